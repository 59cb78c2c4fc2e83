"""The one control: how many incidents a day people have time for becomes a threshold."""

import numpy as np
import pandas as pd
import pytest
import raw_logs
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_logs import day_of

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
        ([1, 0, 0, 1, 0], 1, [1, 0, 0, 0, 0]),
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


def limits(heights: dict[str, np.ndarray], count: int) -> pd.DataFrame:
    """One incident a day for 14 calibration days and those after them."""
    n = len(next(iter(heights.values())))
    periods = Periods(day_of(14), day_of(count), day_of(-28), (day_of(-28), day_of(0)), (day_of(0), day_of(14)))
    daily = DailyHeights(heights, pd.RangeIndex(n), n, periods)
    return thresholds.threshold_table(daily, Budget(1000 / n, SHARES, GAPS))


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
    heights = DailyHeights(
        {name: np.full((1, 2), 9.0) for name in ("point_day", "theirs")}, pd.Index(["p"]), 1, periods
    )
    budget = Budget(5.0, {"point_day": 0.5, "theirs": 0.5}, {"point_day": 1, "theirs": 1})
    table = thresholds.set_thresholds(heights, budget).for_all
    assert np.isfinite(table["point_day"]).all() and np.isinf(table["theirs"]).all()
