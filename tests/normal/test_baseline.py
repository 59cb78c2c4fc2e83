"""What is usual: a frozen reference, peers for the young, and residuals that did not see their own week."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
import raw_logs
from raw_logs import day_of

from tokenkit.config import History
from tokenkit.days import plan
from tokenkit.fingerprint import features, judged_features
from tokenkit.normal import baseline
from tokenkit.normal.day_matrices import Days, day_matrices, peer_groups

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
    return pd.DataFrame(rows, columns=["uid", "purpose", "kind"]).set_index("uid")


def test_peers_share_a_purpose_else_a_kind_else_everything() -> None:
    groups = peer_groups(
        people(
            a=("ci", "api_key", 5),
            b=("rare", "api_key", 4),
            c=(None, "api_key", 2),
            d=(None, "role", 4),
            e=("", None, 1),
        )
    )
    assert groups.groupby(groups).size().to_dict() == {"ci": 5, "api_key": 6, "all tokens": 5}


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
