"""What is usual: a frozen reference, peers for the young, and residuals that did not see their own week."""

from datetime import date

import baseline_by_hand as by_hand
import numpy as np
import pandas as pd
import pytest
import raw_logs
from raw_logs import day_of

from tokenkit.config import History
from tokenkit.days import Periods, plan
from tokenkit.fingerprint import features, judged_features
from tokenkit.normal import baseline
from tokenkit.normal.day_matrices import Days, day_matrices, peer_groups
from tokenkit.normal.labelled_periods import LabelledPeriods

HISTORY = History()


def days_of(values: dict[str, np.ndarray], groups: list[str] | None = None) -> Days:
    when = raw_logs.periods(42, values["requests"].shape[1])
    if groups is None:
        return raw_logs.evidence_of(values, when).days
    row, column = np.nonzero(~np.isnan(values["requests"]))
    starts = pd.DatetimeIndex([pd.Timestamp(day_of(int(d)), tz="UTC") for d in column])
    frame = pd.DataFrame({n: m[row, column] for n, m in values.items()}).assign(
        profile_uid=[f"tok1_{k:024x}" for k in row], start=starts
    )
    return day_matrices(frame, pd.Series(groups, index=[f"tok1_{k:024x}" for k in range(len(groups))]), when)


def span(days: tuple[date, date] | None) -> tuple[int, int] | None:
    return days and ((days[0] - day_of(0)).days, (days[1] - day_of(0)).days)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("past", "reference", "calibration"),
    [
        (0, None, None),
        (3, None, None),
        (6, None, None),
        (7, (0, 7), None),
        (10, (0, 10), None),
        (13, (0, 13), None),
        (14, (0, 7), (7, 14)),
        (20, (0, 13), (13, 20)),
        (35, (0, 28), (28, 35)),
        (42, (0, 28), (28, 42)),
        (60, (18, 46), (46, 60)),
        (200, (158, 186), (186, 200)),
    ],
)
def test_reference_and_calibration_lie_before_the_reported_days(
    past: int, reference: tuple[int, int] | None, calibration: tuple[int, int] | None
) -> None:
    found = plan(day_of(0), day_of(past), day_of(past + 5), HISTORY)
    assert (span(found.reference), span(found.calibration)) == (reference, calibration)
    assert found.provisional == (7 <= past < 14)


@pytest.mark.parametrize("past", range(0, 230, 3))
def test_the_periods_never_overlap_and_keep_their_lengths(past: int) -> None:
    found = plan(day_of(0), day_of(past), day_of(past + 1), HISTORY)
    if found.reference:
        low, high = span(found.reference) or (0, 0)
        assert low >= 0 and 7 <= high - low <= 28 and high <= past
    if found.calibration and found.reference:
        low, high = span(found.calibration) or (0, 0)
        assert found.calibration[0] == found.reference[1] and 7 <= high - low <= 14 and high <= past


def test_a_frozen_reference_stays_and_its_calibration_with_it() -> None:
    frozen = (day_of(0), day_of(28))
    for past in (42, 60, 200):
        found = plan(day_of(0), day_of(past), day_of(past + 1), HISTORY, frozen)
        assert (span(found.reference), span(found.calibration)) == ((0, 28), (28, 42))


@pytest.mark.parametrize("frozen", [(0, 20), (30, 58)])
def test_a_frozen_reference_that_is_too_short_or_too_near_is_laid_anew(frozen: tuple[int, int]) -> None:
    found = plan(day_of(0), day_of(60), day_of(61), HISTORY, (day_of(frozen[0]), day_of(frozen[1])))
    assert span(found.reference) == (18, 46)


def people(**kinds: tuple[str | None, str | None, int]) -> pd.DataFrame:
    rows = [(f"{n}{i}", p, k) for n, (p, k, count) in kinds.items() for i in range(count)]
    return pd.DataFrame(rows, columns=["uid", "purpose", "behaviour"]).set_index("uid")


def test_peers_share_a_purpose_else_a_behaviour_else_everything() -> None:
    groups = peer_groups(
        people(
            a=("ci", "service", 5),
            b=("rare", "service", 4),
            c=(None, "service", 2),
            d=(None, "office", 4),
            e=("", None, 1),
        )
    )
    assert groups.groupby(groups).size().to_dict() == {"ci": 5, "service": 6, "all tokens": 5}


@pytest.mark.parametrize(("of_a_kind", "group"), [(4, "all tokens"), (5, "service")])
def test_a_behaviour_is_a_group_where_five_of_it_have_no_purpose_in_common(of_a_kind: int, group: str) -> None:
    found = peer_groups(people(a=("ci", "service", 5), b=(None, "service", of_a_kind), c=(None, None, 6)))
    assert found.to_dict() == (
        {f"a{n}": "ci" for n in range(5)}
        | {f"b{n}": group for n in range(of_a_kind)}
        | {f"c{n}": "all tokens" for n in range(6)}
    )


def test_how_an_amount_follows_the_calls_is_recovered() -> None:
    rng = np.random.default_rng(0)
    values = raw_logs.steady(profiles=12)
    shape = values["requests"].shape
    values["requests"] = np.round(np.exp(rng.normal(5, 1.0, shape)))
    slopes = np.linspace(0.5, 1.3, 12)[:, None]
    values["response_bytes"] = np.round(np.exp(8 + slopes * np.log1p(values["requests"]) + rng.normal(0, 0.1, shape)))
    fit = baseline.fit_feature(features()["response_bytes"], days_of(values))
    assert np.abs(fit.slope - slopes[:, 0]).max() < 0.1
    assert np.abs(fit.level[:, 0] - 8).max() < 0.5


def test_an_outlier_of_the_reference_moves_the_usual_little() -> None:
    values = raw_logs.steady()
    feature = features()["response_bytes"]
    clean = days_of(values)
    before = baseline.expected(baseline.fit_feature(feature, clean), feature, clean)
    values["response_bytes"][:, 10] *= 100
    dirty = days_of(values)
    after = baseline.expected(baseline.fit_feature(feature, dirty), feature, dirty)
    assert np.abs(after - before).max() < 0.15, "a hundredfold day moves it by less than the noise of one day"


def test_weekends_have_a_level_of_their_own_where_nothing_else_is_given() -> None:
    values = raw_logs.steady(noise=0.05)
    weekend = np.array([day_of(d).weekday() >= 5 for d in range(62)])
    values["requests"][:, weekend] = np.round(values["requests"][:, weekend] / 10)
    fit = baseline.fit_feature(features()["requests"], days_of(values))
    assert np.all(fit.level[:, 0] - fit.level[:, 1] > 1.5)


def test_a_young_profile_is_judged_by_its_peers() -> None:
    values = raw_logs.steady(profiles=13)
    for matrix in values.values():
        matrix[12, :50] = np.nan  # began when the reference and the calibration were over
    values["response_bytes"][12, 50:] *= 50
    days = days_of(values)
    assert days.maturity.tolist() == ["mature"] * 12 + ["young"]
    fit = baseline.fit_feature(features()["response_bytes"], days)
    assert fit.level[12, 0] == np.median(fit.level[:12, 0])
    assert fit.slope[12] == np.median(fit.slope[:12])
    assert fit.scale[12] > np.median(fit.scale[:12]), "what differs between peers is no deviation of its own"


def test_peers_of_another_group_are_asked_only_where_there_are_too_few_of_its_own() -> None:
    values = raw_logs.steady(profiles=14)
    values["response_bytes"][:6] *= 100
    for matrix in values.values():
        matrix[[12, 13], :50] = np.nan
    days = days_of(values, ["big"] * 6 + ["small"] * 6 + ["big", "alone"])
    fit = baseline.fit_feature(features()["response_bytes"], days)
    assert fit.level[12, 0] == np.median(fit.level[:6, 0])
    assert fit.level[13, 0] == np.median(fit.level[:12, 0])


def test_a_profile_that_began_after_the_reference_has_its_own_first_weeks() -> None:
    values = raw_logs.steady(profiles=8, days=80)
    for matrix in values.values():
        matrix[0, :32] = np.nan
    when = plan(day_of(0), day_of(70), day_of(80), HISTORY, (day_of(0), day_of(28)))
    days = raw_logs.evidence_of(values, when).days
    assert np.flatnonzero(days.reference[0]).tolist() == list(range(32, 60)), "and no day that is reported"
    assert days.maturity[0] == "mature"


def test_a_residual_of_the_reference_does_not_see_its_own_week() -> None:
    feature = features()["response_bytes"]
    values = raw_logs.steady()
    before = baseline.out_of_sample(feature, days_of(values))
    values["response_bytes"][:, 9] *= 30  # in the second week
    after = baseline.out_of_sample(feature, days_of(values))
    week = np.arange(62) // 7 == 1
    others = week & (np.arange(62) != 9)
    assert np.array_equal(before[:, others], after[:, others])
    assert np.all(after[:, 9] > before[:, 9] + 5)
    assert not np.array_equal(before[:, :7], after[:, :7]), "the other weeks learn from it"
    assert np.isnan(after[:, 28:]).all()


@pytest.mark.parametrize("past", [7, 10, 13, 14, 20, 42])
def test_residuals_of_the_reference_are_centred_however_short_the_history_is(past: int) -> None:
    values = raw_logs.steady(days=past + 5)
    when = plan(day_of(0), day_of(past), day_of(past + 5), HISTORY)
    days = raw_logs.evidence_of(values, when).days
    for name in ("response_bytes", "requests", "objects"):
        z = baseline.out_of_sample(features()[name], days)
        assert not np.isnan(z[days.reference]).any()
        assert abs(np.nanmedian(z)) < 1 and np.nanquantile(np.abs(z), 0.9) < 6, name


def test_the_table_has_a_row_for_each_profile_feature_and_kind_of_day() -> None:
    evidence = raw_logs.evidence_of(raw_logs.steady(profiles=6), raw_logs.periods(42, 62))
    table = baseline.table(evidence.fits, evidence.days, evidence.periods)
    assert len(table) == 6 * len(judged_features()) * 2
    assert not table[["location", "scale", "slope"]].isna().any().any()
    assert (table["n"] == 28).all() and set(table["bin"]) == {"weekday", "weekend"}


# ---- the formulas, against the same written value by value ----
UIDS = [f"tok1_{k:024x}" for k in range(12)]


def windows(*spans: tuple[int, int, int], who: str = "ana") -> pd.DataFrame:
    """Spans of days ``(profile, first, stop)`` as people label them: from five in the morning on."""
    times = [[pd.Timestamp(day_of(d), tz="UTC").as_unit("us") for d in span[1:]] for span in spans]
    frame = pd.DataFrame({"profile_uid": [UIDS[k] for k, _, _ in spans], "start": [t[0] for t in times],
                          "end": [t[1] for t in times]})  # fmt: skip
    signed = pd.date_range("2026-06-01", periods=len(spans), freq="D", tz="UTC").as_unit("us")
    return frame.assign(start=frame["start"] + pd.Timedelta("5h"), accepted_by=who, accepted_time=signed)


@pytest.fixture(scope="module")
def uneven() -> Days:
    """Twelve profiles with gaps, bursts and few calls: two groups, one of them too small, two young, two labels."""
    rng = np.random.default_rng(7)
    values = raw_logs.steady(profiles=12, days=50, noise=0.6, requests=12.0)
    for matrix in values.values():
        matrix[5, :26] = matrix[11, :45] = np.nan
    idle = rng.random((12, 50)) < 0.25
    for matrix in values.values():
        matrix[idle] = np.nan
    values["response_bytes"] *= np.where(rng.random((12, 50)) < 0.05, 40.0, 1.0)
    values["networks"] += rng.poisson(0.4, (12, 50))
    for name, first in (("objects", 35), ("requests", 38)):
        values[name][2, first:] *= 5
        values[name][3, first:] *= 0.2
    row, column = np.nonzero(~np.isnan(values["requests"]))
    starts = pd.DatetimeIndex([pd.Timestamp(day_of(int(d)), tz="UTC") for d in column])
    frame = pd.DataFrame({n: m[row, column] for n, m in values.items()})
    frame = frame.assign(profile_uid=[UIDS[k] for k in row], start=starts)
    spans = [(2, 36, 39), (3, 36, 39), (2, 42, 45), (5, 27, 29), (9, 1, 3), (11, 2, 5)]
    labelled = LabelledPeriods(misuse=windows((4, 8, 11)), accepted=windows(*spans))
    return day_matrices(frame, pd.Series(["job"] * 7 + ["tool"] * 5, UIDS), raw_logs.periods(42, 50), labelled)


EACH = ("response_bytes", "rows", "objects", "requests", "active_minutes", "networks")


@pytest.mark.parametrize("name", EACH)
def test_what_is_usual_is_what_the_formulas_say(name: str, uneven: Days) -> None:
    feature = features()[name]
    fit, found = baseline.fit_feature(feature, uneven), by_hand.usual(feature, uneven, uneven.reference)
    assert sorted(set(uneven.maturity)) == ["mature", "young"]
    np.testing.assert_allclose(fit.level, found.level, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(fit.slope, found.slope, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(fit.noise, (found.s2, found.c), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(fit.scale**2, found.m2, rtol=1e-7)
    off, v = baseline.residual(fit, feature, uneven), baseline.variance(fit, feature, uneven)
    usual = baseline.expected(fit, feature, uneven)
    for k, d in zip(*np.nonzero(uneven.active), strict=True):
        assert usual[k, d] == pytest.approx(found.expected(feature, uneven, k, d), rel=1e-9, abs=1e-12)
        assert off[k, d] == pytest.approx(found.residual(feature, uneven, k, d), rel=1e-9, abs=1e-9)
        assert v[k, d] == pytest.approx(found.variance(feature, uneven, k, d), rel=1e-7)
    assert np.isnan(off[~uneven.active]).all()


@pytest.mark.parametrize("name", EACH[::2])
def test_residuals_of_the_reference_are_what_the_formulas_say(name: str, uneven: Days) -> None:
    found = by_hand.out_of_sample(features()[name], uneven)
    np.testing.assert_allclose(baseline.out_of_sample(features()[name], uneven), found, rtol=1e-6, atol=1e-9)
    short = uneven.before(day_of(9))  # blocks of two days
    found = by_hand.out_of_sample(features()[name], short)
    np.testing.assert_allclose(baseline.out_of_sample(features()[name], short), found, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", EACH)
def test_an_accepted_change_raises_what_is_usual_as_the_formulas_say(name: str, uneven: Days) -> None:
    feature = features()[name]
    fit, found = baseline.fit_feature(feature, uneven), by_hand.usual(feature, uneven, uneven.reference)
    raised = baseline.accept(fit, feature, uneven)
    shift, since, doubt = by_hand.accepted(found, feature, uneven)
    np.testing.assert_allclose(raised.shift, shift, rtol=1e-7, atol=1e-9)
    np.testing.assert_array_equal(raised.since, since)
    assert raised.since is not None and raised.since.dtype == int, "columns, to index with"
    np.testing.assert_allclose(raised.doubt, doubt, rtol=1e-7, atol=1e-9)
    assert (raised.level is fit.level) and (raised.noise, raised.slope is fit.slope) == (fit.noise, True)
    np.testing.assert_array_equal(
        baseline.expected(raised, feature, uneven), baseline.expected(fit, feature, uneven) + raised.shift
    )
    some = np.array([3, 2])
    part = raised.of_profiles(some)
    for matrix in ("level", "slope", "scale", "shift", "since", "doubt"):
        np.testing.assert_array_equal(getattr(part, matrix), getattr(raised, matrix)[some])
    assert part.noise == raised.noise
    assert (
        (fit.shift, fit.since, fit.doubt)
        == (None, None, None)
        == tuple(getattr(fit.of_profiles(some), one) for one in ("shift", "since", "doubt"))
    )


def test_where_nothing_was_accepted_nothing_is_raised(uneven: Days) -> None:
    plain = days_of(raw_logs.steady(profiles=6))
    fit = baseline.fit_feature(features()["objects"], plain)
    assert baseline.accept(fit, features()["objects"], plain) is fit


def test_the_table_names_level_noise_days_and_who_accepted_the_last_change(uneven: Days) -> None:
    names = ("objects", "requests")
    fits = {name: baseline.accept(baseline.fit_feature(features()[name], uneven), features()[name], uneven)
            for name in names}  # fmt: skip
    when = raw_logs.periods(42, 50)
    table = baseline.table(fits, uneven, when)
    assert table["feature"].tolist() == ["objects"] * 24 + ["requests"] * 24
    assert table["bin"].tolist() == (["weekday"] * 12 + ["weekend"] * 12) * 2
    assert table["profile_uid"].tolist() == UIDS * 4 and set(table["window"]) == {"day"}
    assert table.index.tolist() == list(range(48))
    for number, (name, kind) in enumerate((n, k) for n in names for k in (0, 1)):
        part, fit = table.iloc[12 * number : 12 * number + 12], fits[name]
        assert fit.shift is not None
        np.testing.assert_array_equal(part["location"], fit.level[:, kind] + fit.shift[:, -1])
        np.testing.assert_array_equal(part["slope"], fit.slope)
        np.testing.assert_allclose(part["scale"] ** 2, fit.scale**2 * fit.noise[0], rtol=1e-12)
        assert part["n"].tolist() == uneven.reference.sum(axis=1).tolist()
        assert part["maturity"].tolist() == uneven.maturity.tolist()
        assert part["version"].tolist() == [1, 1, 3, 2, 1, 2, 1, 1, 1, 2, 1, 2]
        assert part["accepted_by"].isna().tolist() == [n == 1 for n in part["version"]]
        assert part["accepted_time"].iloc[2] == pd.Timestamp("2026-06-03", tz="UTC")
    assert table["version"].dtype == "int64" and (table["n"] > 0).any()
    assert set(table["start"]) == {pd.Timestamp(day_of(0), tz="UTC")}
    assert set(table["end"]) == {pd.Timestamp(day_of(28), tz="UTC")}


# ---- the day matrices themselves ----
def test_each_day_of_the_fingerprint_has_its_place_and_its_marks(uneven: Days) -> None:
    assert uneven.profiles.tolist() == UIDS and uneven.groups == ["job", "tool"]
    assert uneven.group.tolist() == [0] * 7 + [1] * 5
    assert uneven.days[0] == pd.Timestamp(day_of(0), tz="UTC") and len(uneven.days) == 50
    assert uneven.active.sum() == sum((~np.isnan(uneven.values["objects"])).sum(axis=1))
    assert [tuple(map(int, cell)) for cell in np.argwhere(uneven.misuse)] == [(4, 8), (4, 9), (4, 10)]
    spans = [(s.row, s.first, s.stop) for s in uneven.accepted]
    assert spans == [(9, 1, 3), (11, 2, 5), (5, 27, 29), (2, 36, 39), (3, 36, 39), (2, 42, 45)]
    assert uneven.acceptances["n"].to_dict() == {UIDS[2]: 2, UIDS[3]: 1, UIDS[5]: 1, UIDS[9]: 1, UIDS[11]: 1}
    assert not uneven.reference[4, 8:11].any() and not uneven.shared[4, 8:11].any()
    inside = np.arange(50)[None, :] < 28
    teaches = uneven.active & ~uneven.misuse & inside
    many = teaches.sum(axis=1) >= 7
    np.testing.assert_array_equal(uneven.shared, teaches & many[:, None])
    np.testing.assert_array_equal(uneven.core, many)
    assert uneven.core.tolist() == [True] * 5 + [False] + [True] * 5 + [False]
    np.testing.assert_array_equal(uneven.reference[many], teaches[many])
    np.testing.assert_array_equal(uneven.representative, uneven.core)
    assert uneven.of_profiles(np.array([5, 11])).representative.tolist() == [True, True], "where none is, all are"


def test_spans_of_days_are_half_open_and_open_where_no_end_is_named(uneven: Days) -> None:
    def columns(*span: date | None) -> list[int]:
        return [int(d) for d in np.flatnonzero(uneven.between(*span))]

    assert columns() == list(range(50)) == columns(day_of(-3), day_of(70))
    assert columns(day_of(3), day_of(6)) == [3, 4, 5] and columns(day_of(6), day_of(6)) == []
    assert columns(None, day_of(2)) == [0, 1] and columns(day_of(48)) == [48, 49]
    rows, cells = uneven.active_cells(day_of(7), day_of(12))
    expected = [(int(k), int(d)) for k, d in np.argwhere(uneven.active) if 7 <= d < 12]
    assert list(zip(rows.tolist(), cells.tolist(), strict=True)) == expected
    rows, cells = uneven.active_cells(day_of(7), day_of(12), uneven.misuse)
    assert set(rows.tolist()) <= {4} and len(cells) == uneven.active[4, 8:11].sum()
    assert len(uneven.active_cells()[0]) == uneven.active.sum()


def test_days_before_a_day_and_days_of_some_profiles_are_parts_of_all(uneven: Days) -> None:
    for day in (day_of(30), pd.Timestamp(day_of(30), tz="UTC")):
        before = uneven.before(day)
        assert before.days.equals(uneven.days[:30])
        for part, whole in ((before.reference, uneven.reference), (before.shared, uneven.shared),
                            (before.misuse, uneven.misuse), (before.active, uneven.active)):  # fmt: skip
            np.testing.assert_array_equal(part, whole[:, :30])
        np.testing.assert_array_equal(before.values["objects"], uneven.values["objects"][:, :30])
    some = np.array([4, 7])
    two = uneven.of_profiles(some)
    assert two.profiles.tolist() == [UIDS[4], UIDS[7]] and two.accepted == [] and two.days.equals(uneven.days)
    for part, whole in ((two.reference, uneven.reference), (two.shared, uneven.shared), (two.misuse, uneven.misuse),
                        (two.values["objects"], uneven.values["objects"]), (two.group, uneven.group),
                        (two.maturity, uneven.maturity)):  # fmt: skip
        np.testing.assert_array_equal(part, whole[some])


def test_a_profile_is_found_by_its_id(uneven: Days) -> None:
    assert uneven.row_of(UIDS[5]) == uneven.row(UIDS[5]) == 5
    assert uneven.row_of("tok1_other") is None
    with pytest.raises(AssertionError, match=r"^tok1_other has no day in the evidence$"):
        uneven.row("tok1_other")


@pytest.mark.parametrize(
    ("began", "calibration", "own", "maturity"),
    [
        (13, 14, range(13, 20), "mature"),  # seven days of the organisation's reference are enough
        (14, 14, range(14, 34), "mature"),
        (15, 14, range(15, 20), "young"),
        (17, 4, range(17, 37), "mature"),  # a calibration of four days asks for four days
        (18, 4, range(18, 20), "young"),
    ],
)
def test_a_first_month_teaches_once_it_is_complete_and_a_week_old(
    began: int, calibration: int, own: range, maturity: str
) -> None:
    """The reference are days 0 to 19, so a month has 20 days; day 41 is the first that is reported."""
    values = raw_logs.steady(profiles=6, days=45)
    for matrix in values.values():
        matrix[0, :began] = np.nan
        matrix[1] = np.where(np.arange(45) == 44, 1.0, np.nan)
    row, column = np.nonzero(~np.isnan(values["requests"]))
    starts = pd.DatetimeIndex([pd.Timestamp(day_of(int(d)), tz="UTC") for d in column])
    frame = pd.DataFrame({n: m[row, column] for n, m in values.items()})
    frame = frame.assign(profile_uid=[UIDS[k] for k in row], start=starts)
    when = Periods(day_of(41), day_of(45), day_of(0), (day_of(0), day_of(20)), (day_of(20), day_of(20 + calibration)))
    days = day_matrices(frame, pd.Series("job", UIDS), when)
    assert np.flatnonzero(days.reference[0]).tolist() == list(own)
    assert days.maturity.tolist() == [maturity, "young", *["mature"] * 4]
    assert not days.reference[1].any()
    np.testing.assert_array_equal(days.reference[2], np.arange(45) < 20)
