"""Windows become what a person would call one event, and the event keeps its name."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_logs import day_of, moment

from tokenkit.incidents import merge, thresholds

GAPS = {"point_hour": 1, "point_day": 1, "drift_amounts": 14, "drift_requests": 14, "panel": 1}
Window = tuple[str, str, int, int]  # profile, channel, day, hour


def windows(*rows: Window, bits: float = 20.0) -> pd.DataFrame:
    made = []
    for n, (profile, channel, day, hour) in enumerate(rows):
        kind = "hour" if channel == "point_hour" else "day"
        start = pd.Timestamp(moment(day, hour if kind == "hour" else 0)).as_unit("us")
        score = bits + n
        made.append(
            {"profile_uid": profile, "window": kind, "start": start, "end": start + merge.SPAN[kind],
             "channel": channel, "raw_bits": score,
             "score_bits": score, "threshold_bits": 10.0, "parts": {channel: score}}
        )  # fmt: skip
    columns = ["profile_uid", "window", "start", "end", "channel", "raw_bits", "score_bits", "threshold_bits", "parts"]
    return pd.DataFrame(made, columns=columns)


def incidents(*rows: Window) -> list[list[int]]:
    """Numbers of the windows of each incident, by their first."""
    joined = merge.join(windows(*rows), GAPS).reset_index(drop=True)
    return sorted(sorted(g.index.tolist()) for _, g in joined.groupby("incident_uid"))


def test_windows_of_a_channel_no_further_apart_than_its_gap_are_one_incident() -> None:
    assert incidents(("a", "point_hour", 0, 9), ("a", "point_hour", 1, 9), ("a", "point_hour", 5, 9)) == [[0, 1], [2]]
    assert incidents(("a", "drift_amounts", 0, 0), ("a", "drift_amounts", 14, 0), ("a", "drift_amounts", 40, 0)) == [
        [0, 1],
        [2],
    ]


def test_channels_of_one_profile_join_and_profiles_never_do() -> None:
    rows: list[Window] = [("a", "point_hour", 0, 9), ("a", "point_day", 1, 0), ("a", "drift_amounts", 3, 0)]
    assert incidents(*rows, ("b", "point_hour", 0, 9)) == [[0, 1, 2], [3]]


def test_what_goes_on_for_weeks_does_not_hide_a_theft_in_its_midst() -> None:
    drift: list[Window] = [("a", "drift_amounts", day, 0) for day in range(0, 30, 3)]
    assert incidents(*drift, ("a", "point_day", 12, 0)) == [[0, 1, 2, 3], [4, 5, 6, 7, 8, 9, 10]]
    assert incidents(*drift, ("a", "point_hour", 12, 5)) == [[0, 1, 2, 3], [4, 5, 6, 7, 8, 9, 10]]


def test_what_goes_on_for_weeks_joins_what_was_there_when_it_began() -> None:
    drift: list[Window] = [("a", "drift_amounts", day, 0) for day in range(3, 9)]
    assert incidents(*drift, ("a", "point_day", 1, 0)) == [list(range(7))]
    assert incidents(*drift, ("a", "point_day", 6, 0)) == [[0, 1, 2], [3, 4, 5, 6]]


def test_another_slow_change_is_an_incident_of_its_own_and_goes_on_with_the_first() -> None:
    rows: list[Window] = [("a", "drift_amounts", 0, 0), ("a", "drift_requests", 9, 0), ("a", "drift_amounts", 12, 0)]
    assert incidents(*rows) == [[0], [1, 2]]


def test_hours_join_by_their_days_as_days_do() -> None:
    assert incidents(("a", "point_hour", 0, 3), ("a", "point_hour", 1, 9)) == [[0, 1]]
    assert incidents(("a", "point_hour", 0, 3), ("a", "point_hour", 2, 22)) == [[0, 1]]
    assert incidents(("a", "point_hour", 0, 23), ("a", "point_hour", 3, 0)) == [[0], [1]]


def test_a_day_without_anything_lies_within_an_incident_and_two_days_do_not() -> None:
    assert incidents(("a", "point_day", 0, 0), ("a", "point_day", 2, 0), ("a", "point_day", 5, 0)) == [[0, 1], [2]]


def test_a_window_inside_a_longer_one_opens_nothing() -> None:
    frame = windows(("a", "point_day", 0, 0), ("a", "point_hour", 0, 3), ("a", "point_hour", 2, 3))
    frame.loc[0, "end"] = frame.loc[0, "start"] + pd.Timedelta("5D")
    assert merge.merge_windows(frame, pd.Timedelta("1h")).tolist() == [0, 0, 0]


def test_nothing_joins_to_nothing() -> None:
    assert merge.join(windows(), GAPS)["incident_uid"].tolist() == []


window = st.tuples(
    st.sampled_from("ab"),
    st.sampled_from(["point_hour", "point_day", "drift_amounts"]),
    st.integers(0, 40),
    st.integers(0, 23),
)


@settings(max_examples=25)
@given(st.lists(window, min_size=1, max_size=15, unique=True), st.randoms(use_true_random=False))
def test_the_order_of_the_windows_changes_no_incident(rows: list[Window], chance: np.random.Generator) -> None:
    shuffled = list(rows)
    chance.shuffle(shuffled)
    one, two = (merge.join(windows(*r), GAPS) for r in (rows, shuffled))
    keys = ["profile_uid", "channel", "start", "incident_uid"]
    assert set(map(tuple, one[keys].to_numpy())) == set(map(tuple, two[keys].to_numpy()))


@settings(max_examples=50)
@given(st.lists(window, min_size=1, max_size=15, unique=True))
def test_incidents_of_a_profile_never_overlap(rows: list[Window]) -> None:
    joined = merge.join(windows(*rows), GAPS)
    spans = joined.groupby(["profile_uid", "incident_uid"]).agg(start=("start", "min"), end=("end", "max"))
    for _, own in spans.groupby("profile_uid"):
        ordered = own.sort_values("start")
        assert (ordered["start"].iloc[1:].to_numpy() >= ordered["end"].iloc[:-1].to_numpy()).all()


@settings(max_examples=25)
@given(st.lists(window, min_size=1, max_size=15, unique=True), st.integers(1, 40))
def test_an_incident_keeps_its_id_while_it_grows(rows: list[Window], day: int) -> None:
    """Whatever is flagged later, an incident that was open has the id it had, or joins one that began earlier."""
    early = merge.join(windows(*[r for r in rows if r[2] < day]), GAPS)
    whole = merge.join(windows(*rows), GAPS)
    firsts = early.groupby(["profile_uid", "incident_uid"])["start"].min().reset_index()
    for _, profile in firsts.groupby("profile_uid"):
        first = profile.sort_values("start").iloc[0]
        assert first["incident_uid"] in set(whole["incident_uid"])
    assert set(whole["incident_uid"]) == {
        merge.incident_uid(p, g["start"].min()) for (p, _), g in whole.groupby(["profile_uid", "incident_uid"])
    }


@settings(max_examples=10)
@given(st.lists(window, min_size=1, max_size=12, unique=True))
def test_every_night_s_incident_ids_are_those_of_the_night_before_and_new_ones(rows: list[Window]) -> None:
    one_channel = [(p, "point_day", d, 0) for p, _, d, _ in rows]
    known: set[str] = set()
    for night in range(0, 42, 3):
        flagged = merge.join(windows(*dict.fromkeys(r for r in one_channel if r[2] < night)), GAPS)
        now = set(flagged["incident_uid"])
        assert known <= now
        known = now


def test_an_id_is_of_profile_and_first_window_only() -> None:
    start = pd.Timestamp(moment(0, 9))
    assert merge.incident_uid("a", start) == merge.incident_uid("a", start.as_unit("us"))
    assert len({merge.incident_uid(p, start + pd.Timedelta(hours=h)) for p in "ab" for h in range(3)}) == 6


@pytest.mark.parametrize(
    ("flagged", "expected"),
    [([10, 11], "opened"), ([8, 11], "grown"), ([8, 9], "quiet"), ([4], "quiet"), ([1], "quiet"), ([-10], "closed")],
)
def test_the_state_of_an_incident_in_the_reported_days(flagged: list[int], expected: str) -> None:
    rows = windows(*[("a", "point_day", d, 0) for d in flagged])
    assert merge.state(rows, day_of(10), day_of(12)) == expected


def test_flagged_are_the_windows_that_reach_the_threshold_of_their_channel_and_day() -> None:
    scores = windows(
        ("a", "point_hour", 0, 9), ("a", "point_hour", 1, 9), ("a", "point_day", 0, 0), ("a", "panel", 0, 0)
    )
    scores = scores.drop(columns=["end", "threshold_bits"])
    limits = pd.DataFrame(
        {"point_hour": [20.0, 99.0], "point_day": [99.0, 0.0], "panel": [np.inf, np.inf]},
        index=pd.DatetimeIndex([day_of(0), day_of(1)], tz="UTC").as_unit("us"),
    )
    found = thresholds.flag(scores, thresholds.Thresholds(limits, limits))
    assert found[["channel", "threshold_bits"]].to_numpy().tolist() == [["point_hour", 20.0]]
    assert found["end"].iloc[0] - found["start"].iloc[0] == timedelta(hours=1)


def test_a_summary_adds_the_highest_window_of_each_channel() -> None:
    rows = windows(
        ("a", "point_hour", 0, 9),
        ("a", "point_hour", 0, 12),
        ("a", "point_day", 1, 0),
        ("b", "point_day", 1, 0),
        bits=20,
    )
    found = merge.summary(merge.join(rows, GAPS)).set_index("profile_uid")
    a = found.loc["a"]
    assert a["parts"] == {"point_day": 22.0} and a["score_bits"] == 22.0, "an hour and a day have the same signs"
    assert (a["channels"], a["n_windows"], a["n_days"]) == (["point_day", "point_hour"], 3, 2)
    assert a["start"] == moment(0, 9) and a["end"] == moment(2) and a["created_time"] == moment(0, 10)
    assert a["peak_start"] == moment(1) and a["peak_window"] == "day"
    assert found.loc["b", "score_bits"] == sum(found.loc["b", "parts"].values())
