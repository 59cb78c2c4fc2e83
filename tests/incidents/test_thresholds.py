"""The one control: how many incidents a day people have time for becomes a threshold."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import raw_logs
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_logs import day_of

from tokenkit import channels
from tokenkit.config import Detection
from tokenkit.days import Periods
from tokenkit.incidents import merge, thresholds
from tokenkit.incidents.thresholds import Budget, DailyHeights

GAPS, SHARES = {"a": 1, "b": 14}, {"a": 0.5, "b": 0.25}


def threshold(heights: np.ndarray, quota: float) -> float:
    """The threshold of one channel on the day after these."""
    return thresholds.at_quota(*thresholds.curve_of(heights, 1, slice(0, heights.shape[1])), quota)


def days(count: int) -> pd.DatetimeIndex:
    return pd.date_range(day_of(0), periods=count, freq="D", tz="UTC")


@pytest.mark.parametrize(
    ("flagged", "gap", "opens"),
    [
        ([1, 1, 0, 1], 1, [1, 0, 0, 0]),
        ([1, 0, 0, 1, 0], 1, [1, 0, 0, 1, 0]),
        ([1, 0, 1, 0, 1], 1, [1, 0, 0, 0, 0]),
        ([1, 0, 0, 0, 1], 1, [1, 0, 0, 0, 1]),
        ([1, 0, 0, 0, 1, 0], 14, [1, 0, 0, 0, 0, 0]),
        ([0, 0, 0, 1], 14, [0, 0, 0, 1]),
        ([1] * 20, 14, [1] + [0] * 19),
        ([0] * 5, 1, [0] * 5),
    ],
)
def test_an_incident_opens_where_the_days_before_are_quiet(flagged: list[int], gap: int, opens: list[int]) -> None:
    found = thresholds.opened(np.array([flagged, [0] * len(flagged)], dtype=bool), gap)
    assert found.astype(int).tolist() == [opens, [0] * len(flagged)]


@settings(max_examples=60)
@given(st.lists(st.lists(st.booleans(), min_size=40, max_size=40), min_size=1, max_size=3), st.sampled_from([1, 14]))
def test_the_budget_counts_the_incidents_that_merging_makes(flags: list[list[bool]], gap: int) -> None:
    flagged = np.array(flags)
    rows, columns = np.nonzero(flagged)
    start = days(40)[columns].as_unit("us")
    windows = pd.DataFrame(
        {"profile_uid": [f"p{r}" for r in rows], "channel": "a", "start": start, "end": start + pd.Timedelta("1D")}
    )
    joined = merge.join(windows, {"a": gap})
    assert int(thresholds.opened(flagged, gap).sum()) == joined["incident_uid"].nunique()


def test_a_low_threshold_that_keeps_everything_open_is_not_taken_for_a_strict_one() -> None:
    heights = np.full((4, 14), 7.0)  # at 7 all is open all the time: four incidents in two weeks
    heights[0, ::4] = 20.0  # at 20 one profile alone opens four, and three more open at 19
    heights[1:, 5] = 19.0
    at_seven, at_nineteen = (int(thresholds.opened(heights >= h, 1).sum()) for h in (7.0, 19.0))
    assert (at_seven, at_nineteen) == (4, 7), "the count is not monotone"
    found = threshold(heights, 4.5)
    assert found > 7.0, "from the top, seven is already more than the quota"


heights_of = st.lists(st.lists(st.floats(0, 40), min_size=14, max_size=14), min_size=1, max_size=6).map(np.array)


@settings(max_examples=60)
@given(heights_of, st.floats(0.05, 20), st.floats(1.0, 4.0))
def test_a_larger_budget_never_raises_the_threshold(heights: np.ndarray, quota: float, more: float) -> None:
    assert threshold(heights, quota) >= threshold(heights, quota * more) - 1e-9


@settings(max_examples=60)
@given(heights_of, st.floats(0.05, 20))
def test_no_threshold_is_lower_than_what_a_profile_day_in_64_exceeds(heights: np.ndarray, quota: float) -> None:
    assert threshold(heights, quota) >= thresholds.MIN_BITS


def test_in_a_calm_and_small_organisation_the_floor_holds_as_well() -> None:
    assert threshold(np.full((2, 14), 2.0), 0.5) == thresholds.MIN_BITS


def test_no_more_open_above_the_threshold_than_the_quota() -> None:
    heights = np.random.default_rng(0).exponential(1.44, (200, 14)) + 7  # bits of chance
    for quota in (1.0, 3.0, 10.0, 40.0):
        found = threshold(heights, quota)
        count = int(thresholds.opened(heights >= found, 1).sum())
        assert quota - 2 <= count <= quota


@pytest.mark.parametrize("quota", [0.3, 0.7, 1.0, 1.5])
def test_one_attack_does_not_hide_the_next(quota: float) -> None:
    """Found by reporting night after night: a stolen token's first night lifted the threshold above its second."""
    heights = np.random.default_rng(0).exponential(1.44, (40, 14))
    calm = threshold(heights, quota)
    heights[7, 13] = 40.0
    assert calm <= threshold(heights, quota) <= calm + 2 * 1.44 + 1e-9


def test_below_one_incident_half_the_quota_costs_one_bit() -> None:
    heights = np.array([[20.0, 0.0], [18.0, 0.0]])
    found = [threshold(heights, q) for q in (0.5, 0.25, 0.125)]
    assert found == [21.0, 22.0, 23.0]


def test_a_channel_without_a_share_never_opens_and_one_without_scores_waits_at_the_floor() -> None:
    assert threshold(np.full((2, 14), 30.0), 0.0) == np.inf
    assert threshold(np.zeros((2, 14)), 1.0) == thresholds.MIN_BITS


def test_the_height_of_a_day_is_its_largest_score() -> None:
    starts = pd.DatetimeIndex(
        [raw_logs.moment(0, 9), raw_logs.moment(0, 17), raw_logs.moment(2, 1), raw_logs.moment(9)]
    )
    scores = pd.DataFrame({"profile_uid": ["a", "a", "b", "b"], "start": starts, "score_bits": [3.0, 5.0, 2.0, 9.0]})
    found = thresholds.highest(scores, pd.Index(["a", "b"]), days(3))
    assert found.tolist() == [[5.0, -1.0, -1.0], [-1.0, -1.0, 2.0]], "and -1 where nothing was scored"


def daily_heights_of(matrices: dict[str, np.ndarray], profiles: pd.Index, periods: Periods) -> DailyHeights:
    """Of profiles of which all have the frozen reference and are counted every day."""
    n = len(profiles)
    counted = np.ones((n, len(periods.scored_days)), dtype=bool)
    return DailyHeights(matrices, profiles, np.zeros(n, dtype=bool), counted, periods)


def limits(heights: dict[str, np.ndarray], count: int) -> pd.DataFrame:
    """One incident a day for 14 calibration days and those after them."""
    n = len(next(iter(heights.values())))
    periods = Periods(day_of(14), day_of(count), day_of(-28), (day_of(-28), day_of(0)), (day_of(0), day_of(14)))
    daily = daily_heights_of(heights, pd.RangeIndex(n), periods)
    return thresholds.threshold_table(daily, Budget(1000 / n, SHARES, GAPS), ~daily.young)


def test_what_is_scored_never_sets_its_own_threshold() -> None:
    rng = np.random.default_rng(1)
    heights = {c: rng.exponential(4, (20, 30)) for c in GAPS}
    before = limits(heights, 30)
    heights["a"][:, 20] += 30
    after = limits(heights, 30)
    assert after.iloc[:21].equals(before.iloc[:21])
    assert (after["a"].iloc[21:] > before["a"].iloc[21:]).any(), "and from the day after it does"


def test_days_of_calibration_have_the_first_threshold_and_later_days_change_none() -> None:
    rng = np.random.default_rng(1)
    heights = {c: rng.exponential(4, (20, 30)) for c in GAPS}
    found = limits(heights, 30)
    assert found.iloc[:14].eq(found.iloc[14]).all().all() and len(found) == 30
    part = limits({c: h[:, :20] for c, h in heights.items()}, 20)
    assert part.equals(found.iloc[:20])


def test_a_channel_that_was_scored_on_too_few_days_waits() -> None:
    late = np.full((5, 30), -1.0)
    late[:, 10:] = 8.0
    found = limits({"a": late, "b": np.full((5, 30), 8.0)}, 30)
    assert np.isinf(found["a"].iloc[14]) and not np.isinf(found["a"].iloc[17])


def test_a_channel_in_which_nothing_ever_stood_out_opens_all_the_same() -> None:
    calm = np.zeros((5, 30))  # a handful of jobs that never do anything new
    assert not np.isinf(limits({"a": calm, "b": calm}, 30)["a"].iloc[-1])


def test_a_channel_of_another_package_has_no_provisional_threshold_and_flags_nothing() -> None:
    periods = Periods(day_of(10), day_of(12), day_of(0), (day_of(0), day_of(10)), None)
    matrices = {name: np.full((1, 2), 9.0) for name in ("point_day", "theirs")}
    heights = daily_heights_of(matrices, pd.Index(["p"]), periods)
    budget = Budget(5.0, {"point_day": 0.5, "theirs": 0.5}, {"point_day": 1, "theirs": 1})
    table = thresholds.set_thresholds(heights, budget).for_all
    assert np.isfinite(table["point_day"]).all() and np.isinf(table["theirs"]).all()


# ---- from scores to heights, from heights to thresholds, from thresholds to flagged windows ----
def rows(*given: tuple[str, str, int, float], window: str = "day", hour: int = 0) -> pd.DataFrame:
    """Scores: (profile, channel, day, bits)."""
    frame = pd.DataFrame(given, columns=["profile_uid", "channel", "day", "score_bits"])
    start = pd.DatetimeIndex([raw_logs.moment(day, hour) for day in frame.pop("day")]).as_unit("us")
    return frame.assign(window=window, start=start)


def table(**bits: list[float]) -> pd.DataFrame:
    return pd.DataFrame(bits, index=days(len(next(iter(bits.values())))))


TABLES = thresholds.Thresholds(table(a=[8.0, 9.0], b=[7.0, np.inf]), table(a=[6.0, 6.5], b=[5.0, np.inf]))
ACCEPTED = pd.DataFrame(
    {"profile_uid": ["q"], "start": [raw_logs.moment(1)], "end": [raw_logs.moment(1, 12)]}
)  # half of day 1


def test_a_row_has_the_threshold_of_its_channel_and_day_and_none_where_there_is_no_such() -> None:
    scores = rows(("p", "a", 0, 1.0), ("p", "b", 0, 1.0), ("p", "a", 1, 1.0), ("p", "c", 0, 1.0), ("p", "a", 2, 1.0),
                  hour=17)  # fmt: skip
    assert TABLES.of(scores).tolist() == [8.0, 7.0, 9.0, np.inf, np.inf]
    assert TABLES.of(scores, ACCEPTED).tolist() == [8.0, 7.0, 9.0, np.inf, np.inf], "it is another's change"
    assert TABLES.of(scores, ACCEPTED.iloc[:0]).tolist() == [8.0, 7.0, 9.0, np.inf, np.inf]


def test_a_profile_with_an_accepted_change_has_thresholds_that_do_not_count_it() -> None:
    scores = rows(("q", "a", 0, 1.0), ("q", "a", 1, 1.0), ("p", "a", 1, 1.0))
    assert TABLES.of(scores, ACCEPTED).tolist() == [6.0, 6.5, 9.0]


def test_flagged_is_what_reaches_its_threshold_and_nothing_reaches_one_that_is_infinite() -> None:
    scores = rows(
        ("p", "a", 0, 8.0), ("p", "a", 1, 8.9), ("p", "b", 1, np.inf), ("p", "b", 0, 7.1), ("p", "a", 9, 99.0)
    )
    found = thresholds.flag(scores, TABLES)
    assert found[["channel", "score_bits", "threshold_bits"]].to_numpy().tolist() == [["a", 8.0, 8.0], ["b", 7.1, 7.0]]
    assert found.index.tolist() == [0, 1] and (found["end"] - found["start"] == pd.Timedelta("1D")).all()
    by_hour = thresholds.flag(rows(("p", "a", 0, 8.0), window="hour", hour=5), TABLES, ACCEPTED.iloc[:0])
    assert (by_hour["end"] - by_hour["start"]).tolist() == [pd.Timedelta("1h")]


def test_what_lies_in_an_accepted_period_is_not_flagged_and_what_follows_it_is() -> None:
    inside = rows(("q", "a", 1, 20.0), window="hour", hour=11)
    after = rows(("q", "a", 1, 6.5), ("p", "a", 1, 6.5), window="hour", hour=12)
    found = thresholds.flag(pd.concat([inside, after], ignore_index=True), TABLES, ACCEPTED)
    assert found[["profile_uid", "score_bits", "threshold_bits"]].to_numpy().tolist() == [["q", 6.5, 6.5]]


def heights_of_two(**matrices: list[list[float]]) -> DailyHeights:
    """Of the profiles p and q, with days 0 to 13 as calibration."""
    made = {name: np.array(matrix) for name, matrix in matrices.items()}
    count = next(iter(made.values())).shape[1]
    periods = Periods(day_of(14), day_of(count), day_of(-28), (day_of(-28), day_of(0)), (day_of(0), day_of(14)))
    return daily_heights_of(made, pd.Index(["p", "q"]), periods)


def test_heights_with_more_scores_have_the_larger_of_both() -> None:
    heights = heights_of_two(a=[[3.0, 9.0], [-1.0, 2.0]], b=[[-1.0, -1.0], [1.0, 1.0]])
    more = heights.with_scores(
        rows(("p", "a", 0, 5.0), ("p", "a", 1, 5.0), ("q", "b", 1, 4.0), ("nobody", "a", 0, 50.0))
    )
    assert more.matrices["a"].tolist() == [[5.0, 9.0], [-1.0, 2.0]]
    assert more.matrices["b"].tolist() == [[-1.0, -1.0], [1.0, 4.0]]
    assert more.counted is heights.counted and more.periods == heights.periods


def test_heights_with_other_shares_differ_by_one_bit_for_half_a_share_and_never_fall_below_zero() -> None:
    heights = heights_of_two(a=[[3.0, 0.5], [-1.0, 0.0]], b=[[3.0, 0.5], [-1.0, 0.0]], c=[[3.0, 0.5], [-1.0, 0.0]])
    found = heights.with_shares({"a": 0.6, "b": 0.3, "c": 0.0}).matrices
    assert found["a"].tolist() == found["c"].tolist() == [[3.0, 0.5], [-1.0, 0.0]]
    assert found["b"].tolist() == [[2.0, 0.0], [-1.0, 0.0]]
    assert heights.with_shares({}).matrices["b"].tolist() == [[3.0, 0.5], [-1.0, 0.0]]


def test_heights_are_those_of_all_profiles_on_scored_days_without_confirmed_misuse() -> None:
    evidence = raw_logs.evidence_of(raw_logs.steady(profiles=3), raw_logs.periods(42, 62))
    first, second, _ = evidence.days.profiles
    evidence.days.misuse[1, evidence.days.days.get_loc(days(62)[30])] = True
    day = {n: n - 28 for n in (30, 31)}  # scored days begin with the calibration
    scores = rows((first, "a", 30, 5.0), (first, "a", 30, 7.0), (second, "a", 30, 40.0), (second, "a", 31, 4.0),
                  (first, "unnamed", 31, 9.0), (first, "a", 3, 50.0))  # fmt: skip
    found = thresholds.daily_heights(scores, evidence, {"a": 1, "b": 14})
    assert list(found.matrices) == ["a", "b"] and found.counted.all() and found.periods == evidence.periods
    assert found.profiles.tolist() == list(evidence.days.profiles) and not found.young.any()
    where = {uid: found.profiles.get_loc(uid) for uid in (first, second)}
    expected = np.full(found.matrices["a"].shape, -1.0)
    expected[where[first], day[30]], expected[where[second], day[31]] = 7.0, 4.0
    assert found.matrices["a"].tolist() == expected.tolist() and (found.matrices["b"] == -1).all()


def test_a_threshold_is_set_by_the_fourteen_days_before_and_the_budget_of_all_profiles() -> None:
    matrix = np.full((2, 20), 1.0)
    matrix[0, 2], matrix[1, 4], matrix[0, 9], matrix[1, 12] = 12.0, 11.0, 10.0, 9.0
    heights = heights_of_two(a=matrix.tolist())
    budget = Budget(2000 / 14, {"a": 0.5}, {"a": 1})  # of two profiles: 2 in fourteen days
    found = thresholds.threshold_table(heights, budget, ~heights.young)["a"]
    bits, counts = thresholds.curve_of(matrix, 1, slice(0, 14))
    assert found.iloc[14] == pytest.approx(thresholds.at_quota(bits, counts, 2.0))
    later = thresholds.curve_of(matrix, 1, slice(5, 19))
    assert found.iloc[19] == pytest.approx(thresholds.at_quota(*later, 2.0)) and found.iloc[19] < found.iloc[14]


def test_a_channel_without_a_share_is_passed_over_and_the_next_one_is_not() -> None:
    matrix = np.random.default_rng(3).exponential(4, (2, 20)).tolist()
    heights = heights_of_two(a=matrix, b=matrix)
    found = thresholds.threshold_table(heights, Budget(100.0, {"b": 0.5}, {}), ~heights.young)
    assert np.isinf(found["a"]).all() and np.isfinite(found["b"]).all()


def test_accepted_scores_count_for_everybody_but_the_profile_itself() -> None:
    rng = np.random.default_rng(3)
    heights = heights_of_two(a=rng.exponential(4, (2, 30)).tolist())
    budget = Budget(100.0, {"a": 0.5}, {"a": 1})
    plain = thresholds.set_thresholds(heights, budget)
    assert plain.for_all is plain.for_accepted
    accepted = rows(*[(who, "a", day, 30.0 + day % 3) for who in "pq" for day in range(0, 30, 4)])
    found = thresholds.set_thresholds(heights, budget, accepted)
    assert found.for_accepted.equals(plain.for_all) and (found.for_all["a"] > plain.for_all["a"]).all()
    assert thresholds.set_thresholds(heights, budget, accepted.iloc[:0]).for_all.equals(plain.for_all)


def test_curves_that_are_known_are_not_made_again_and_give_the_same() -> None:
    heights = heights_of_two(a=np.random.default_rng(3).exponential(4, (2, 30)).tolist())
    known: dict[bytes, thresholds.Curve] = {}
    first = thresholds.set_thresholds(heights, Budget(1000.0, {"a": 0.5}, {"a": 1}), None, known)
    assert len(known) == 32, "one of two weeks and one of three days for each day after the calibration"
    again = thresholds.set_thresholds(heights, Budget(1000.0, {"a": 0.5}, {"a": 1}), None, dict(known))
    assert again.for_all.equals(first.for_all)
    marked = dict.fromkeys(known, (np.array([99.0]), np.array([0])))
    told = thresholds.set_thresholds(heights, Budget(1000.0, {"a": 0.5}, {"a": 1}), None, marked)
    assert (told.for_all["a"] == 99.0).all(), "what is known is taken as it is"
    other_gap = thresholds.set_thresholds(heights, Budget(1000.0, {"a": 0.5}, {"a": 14}), None, dict(marked))
    assert (other_gap.for_all["a"] < 99.0).all(), "incidents that last longer have a curve of their own"


def with_young(core: np.ndarray, young: np.ndarray) -> DailyHeights:
    """Some profiles with the frozen reference and some without, in one channel; days 0 to 13 are calibration."""
    periods = Periods(day_of(14), day_of(core.shape[1]), day_of(-28), (day_of(-28), day_of(0)), (day_of(0), day_of(14)))
    both = np.concatenate([core, young])
    heights = daily_heights_of({"a": both}, pd.Index([f"p{k}" for k in range(len(both))]), periods)
    return replace(heights, young=np.arange(len(both)) >= len(core))


BUDGET = Budget(10.0, {"a": 1.0}, {"a": 1})


def test_restless_young_profiles_raise_no_threshold_of_the_others_and_keep_to_their_own_share() -> None:
    rng = np.random.default_rng(5)
    core, young = rng.exponential(1.44, (200, 60)), rng.exponential(1.44, (200, 60)) + 3.0
    heights = with_young(core, young)
    found = thresholds.set_thresholds(heights, BUDGET)
    assert found.for_all.equals(thresholds.set_thresholds(with_young(core, young * 0.1), BUDGET).for_all)
    assert found.for_young is not None
    own = thresholds.opened(core >= found.for_all["a"].to_numpy(), 1)[:, 14:].sum()
    theirs = thresholds.opened(young >= found.for_young["a"].to_numpy(), 1)[:, 14:].sum()
    granted = heights.allowed(BUDGET) / 2
    assert 0.6 * granted < own < 1.5 * granted and 0.6 * granted < theirs < 1.5 * granted
    flood = thresholds.opened(young >= found.for_all["a"].to_numpy(), 1)[:, 14:].sum()
    assert flood > 4 * granted, "with the thresholds of the others"
    one = rows(("p300", "a", 20, 0.0), ("p1", "a", 20, 0.0))
    assert found.of(one).tolist() == [found.for_young["a"].iloc[20], found.for_all["a"].iloc[20]]


def test_young_profiles_of_which_each_has_one_odd_day_are_held_to_their_budget() -> None:
    """Most of them do nothing odd in two weeks, so that the few peaks look as if chance could not explain them."""
    rng = np.random.default_rng(5)
    young = rng.exponential(0.5, (70, 60))
    for row in range(70):
        young[row, rng.integers(0, 60, 2)] = rng.normal(16, 1, 2)
    heights = with_young(rng.exponential(1.44, (70, 60)), young)
    found = thresholds.set_thresholds(heights, BUDGET)
    assert found.for_young is not None
    theirs = thresholds.opened(young >= found.for_young["a"].to_numpy(), 1)[:, 14:].sum()
    assert theirs < 1.6 * heights.allowed(BUDGET) / 2


def test_calm_young_profiles_are_held_to_the_threshold_of_the_others() -> None:
    core, young = np.random.default_rng(5).exponential(1.44, (200, 30)), np.full((200, 30), 1.0)
    found = thresholds.set_thresholds(with_young(core, young), BUDGET)
    one = rows(("p201", "a", 20, 0.0), ("p1", "a", 20, 0.0))
    bits = found.of(one)
    assert bits[0] == bits[1] == found.for_all["a"].iloc[20]


def test_the_budget_counts_profiles_with_a_call_in_the_28_days_before() -> None:
    evidence = raw_logs.evidence_of(raw_logs.steady(profiles=2), raw_logs.periods(42, 62))
    evidence.days.values["requests"][1, 20:] = np.nan
    found = thresholds.daily_heights(rows((evidence.days.profiles[0], "a", 30, 5.0)), evidence, ["a"])
    assert found.counted[0].all() and found.counted[1].tolist() == [n <= 47 for n in range(28, 62)]
    assert found.allowed(Budget(500.0, {}, {})) == pytest.approx(0.5 * (6 * 2 + 14))


def test_thresholds_answer_three_nights_after_scores_have_doubled_for_everybody() -> None:
    rng = np.random.default_rng(5)
    heights = rng.exponential(1.44, (200, 40))
    heights[:, 20:] *= 2.0
    found = limits({"a": heights, "b": heights}, 40)["a"]
    flagged = thresholds.opened(heights >= found.to_numpy(), 1).sum(axis=0)
    assert flagged[20] > 10 and flagged[23:].mean() < 3, "0.5 a day are asked for"


def test_the_budget_of_a_run_is_that_of_its_settings() -> None:
    detection = Detection(budget=12.0)
    budget = Budget.of_run(detection)
    assert (budget.per_1000, dict(budget.shares), dict(budget.gaps)) == (12.0, detection.shares, channels.gaps())
    assert budget.a_day(250) == 3.0 and budget.least_bits == thresholds.MIN_BITS


def test_without_calibration_days_thresholds_are_the_provisional_ones_of_channels_that_have_a_share() -> None:
    periods = Periods(day_of(10), day_of(12), day_of(0), (day_of(0), day_of(10)), None)
    names = ["point_hour", "panel", "drift_amounts"]
    heights = daily_heights_of({name: np.full((1, 2), 9.0) for name in names}, pd.Index(["p"]), periods)
    found = thresholds.set_thresholds(heights, Budget(5.0, {"point_hour": 0.5, "panel": 0.1}, channels.gaps()))
    assert found.for_all.equals(found.for_accepted) and found.for_all.index.equals(periods.scored_days)
    assert found.for_all.iloc[0].to_dict() == {"point_hour": 5.2, "panel": 14.0, "drift_amounts": np.inf}
