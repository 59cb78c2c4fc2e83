"""An answer follows what it is about, whatever its incident is called now; and closes nothing that nobody has seen."""

import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenkit import config
from tokenkit.config import Workspace
from tokenkit.incidents import labels, merge
from tokenkit.incidents.aliases import aliases
from tokenkit.incidents.answers import answer_of
from tokenkit.store import state

FIRST = pd.Timestamp("2026-03-01", tz="UTC")
END = pd.Timestamp("2026-04-10", tz="UTC")
NOW = datetime(2026, 4, 10, tzinfo=UTC)
WHO, OTHER = "tok1_a", "tok1_b"


def windows_of(days: list[int], profile: str = WHO, channel: str = "point_day") -> pd.DataFrame:
    start = FIRST + pd.to_timedelta(sorted(set(days)), unit="D")
    return pd.DataFrame({"profile_uid": profile, "channel": channel, "start": start, "end": start + pd.Timedelta("1D")})


def remember(place: Workspace, windows: pd.DataFrame, run_uid: str) -> pd.DataFrame:
    """Merge windows into incidents, and keep them as a run does."""
    joined = merge.join(windows, {"drift_amounts": 14})
    with state.connect(place.state) as db:
        number = db.execute("select count(*) from runs").fetchone()[0] + 1
        db.execute(
            "insert into runs values (?, ?, ?, ?, '{}')", [run_uid, number, "2026-03-01", END.date().isoformat()]
        )
        for uid, its in joined.groupby("incident_uid"):
            record = {"incident_uid": uid, "profile_uid": its["profile_uid"].iloc[0],
                      "start": its["start"].min().isoformat(), "end": its["end"].max().isoformat(),
                      "channels": its["channel"].unique().tolist()}  # fmt: skip
            row = [run_uid, uid, record["profile_uid"], "opened", json.dumps(record)]
            db.execute("insert into incidents values (?, ?, ?, ?, ?)", row)
    return joined


def say(place: Workspace, uid: str, verdict: str) -> None:
    labels.label(place, uid, verdict, "looked at it", "ana", now=NOW)


def answers(place: Workspace, joined: pd.DataFrame, run_uid: str) -> dict[str, Any]:
    known_as, given_labels = aliases(place, joined, run_uid), labels.read(place, END.date())
    groups = dict(list(joined.groupby("incident_uid")))
    return {uid: answer_of(given_labels, its, known_as.get(uid, ()), groups) for uid, its in groups.items()}


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    return config.init(tmp_path / "w")


def uid_of(joined: pd.DataFrame, day: int = 0) -> str:
    return str(joined.sort_values("start")["incident_uid"].iloc[day])


def test_an_incident_that_grew_to_the_left_keeps_its_answer_and_its_former_id(place: Workspace) -> None:
    before = remember(place, windows_of([10, 11]), "one")
    say(place, uid_of(before), "true_positive")
    now = remember(place, windows_of([8, 9, 10, 11, 12]), "two")
    assert uid_of(now) != uid_of(before)
    assert [one.incident_uid for one in aliases(place, now, "two")[uid_of(now)]] == [uid_of(before)]
    assert answers(place, now, "two")[uid_of(now)]["verdict"] == "true_positive"


def test_an_alias_is_of_the_same_profile_and_of_an_earlier_report(place: Workspace) -> None:
    remember(place, windows_of([10, 11], OTHER), "one")
    now = remember(place, windows_of([9, 10]), "two")
    remember(place, windows_of([8, 9, 10]), "three")
    assert aliases(place, now, "two") == {}, "what came later changes nothing in a report that is made again"
    assert aliases(place, now, "four") != {}


def test_a_false_alarm_that_only_began_earlier_stays_closed(place: Workspace) -> None:
    say(place, uid_of(remember(place, windows_of([10, 11]), "one")), "false_positive")
    now = remember(place, windows_of([9, 10, 11]), "two")
    assert answers(place, now, "two")[uid_of(now)]["closes"]


@pytest.mark.parametrize("more", [[9, 10, 11, 12], [9, 10, 11, 13, 14]])
def test_a_false_alarm_under_another_id_closes_nothing_that_came_after(place: Workspace, more: list[int]) -> None:
    say(place, uid_of(remember(place, windows_of([10, 11]), "one")), "false_positive")
    now = remember(place, windows_of(more), "two")
    found = answers(place, now, "two")[uid_of(now)]
    assert found["verdict"] == "false_positive" and not found["closes"]


def test_a_false_alarm_closes_no_incident_that_another_one_became_part_of(place: Workspace) -> None:
    before = remember(place, windows_of([5, 6, 10, 11]), "one")
    first, second = before["incident_uid"].unique()
    say(place, first, "false_positive")
    now = remember(place, windows_of([5, 6, 7, 8, 9, 10, 11]), "two")
    assert uid_of(now) == first
    assert not answers(place, now, "two")[first]["closes"], "nobody has looked at the second"
    say(place, second, "false_positive")
    assert answers(place, now, "two")[first]["closes"]


def test_confirmed_misuse_counts_in_what_was_joined_until_a_later_answer_takes_it_back(place: Workspace) -> None:
    before = remember(place, windows_of([5, 6, 10, 11]), "one")
    first, second = before["incident_uid"].unique()
    say(place, first, "true_positive")
    say(place, second, "false_positive")
    now = remember(place, windows_of([5, 6, 7, 8, 9, 10, 11]), "two")
    found = answers(place, now, "two")[uid_of(now)]
    assert found["verdict"] == "true_positive" and not found["closes"]
    say(place, uid_of(now), "false_positive")
    found = answers(place, now, "two")[uid_of(now)]
    assert found["verdict"] == "false_positive" and found["closes"]


def test_an_incident_inside_a_false_alarm_that_goes_on_is_not_closed(place: Workspace) -> None:
    """A theft in the midst of a drift that somebody found harmless."""
    drift = windows_of([*range(2, 20)], channel="drift_amounts")
    say(place, uid_of(remember(place, drift, "one")), "false_positive")
    now = remember(place, pd.concat([drift, windows_of([12])], ignore_index=True), "two")
    theft = now[now["channel"] == "point_day"]["incident_uid"].iloc[0]
    assert now["incident_uid"].nunique() == 2
    assert answers(place, now, "two")[theft] is None


@pytest.mark.parametrize("verdict", ["false_positive", "true_positive"])
def test_what_was_said_of_a_drift_is_not_said_of_a_theft_that_surfaces_in_it_later(
    place: Workspace, verdict: str
) -> None:
    """Also where the drift has another id by then, so that nothing else tells whose answer it is."""
    drift = windows_of([*range(4, 20)], channel="drift_amounts")
    say(place, uid_of(remember(place, drift, "one")), verdict)
    more = windows_of([*range(2, 20)], channel="drift_amounts")
    now = remember(place, pd.concat([more, windows_of([12])], ignore_index=True), "two")
    theft = now[now["channel"] == "point_day"]["incident_uid"].iloc[0]
    found, known_as = answers(place, now, "two"), aliases(place, now, "two")
    assert found[theft] is None and theft not in known_as
    assert found[uid_of(now)]["verdict"] == verdict and len(known_as[uid_of(now)]) == 1


def test_a_later_answer_about_a_drift_takes_back_none_about_a_theft(place: Workspace) -> None:
    drift = windows_of([*range(4, 20)], channel="drift_amounts")
    both = remember(place, pd.concat([drift, windows_of([12])], ignore_index=True), "one")
    theft = both[both["channel"] == "point_day"]["incident_uid"].iloc[0]
    say(place, theft, "true_positive")
    say(place, uid_of(both), "false_positive")
    assert answers(place, both, "one")[theft]["verdict"] == "true_positive"


def test_a_false_alarm_closes_no_sign_that_it_did_not_have(place: Workspace) -> None:
    say(place, uid_of(remember(place, windows_of([10, 11]), "one")), "false_positive")
    more = pd.concat([windows_of([9, 10, 11]), windows_of([10], channel="foreign_objects")], ignore_index=True)
    now = remember(place, more, "two")
    assert not answers(place, now, "two")[uid_of(now)]["closes"]


def test_an_answer_under_a_new_id_ends_the_suppression_of_the_former_one(place: Workspace) -> None:
    before = uid_of(remember(place, windows_of([10, 11]), "one"))
    labels.label(place, before, "benign", "load test", "ana", until="2026-06-01", now=NOW)
    now = remember(place, windows_of([9, 10, 11]), "two")
    with state.connect(place.state) as db:
        db.execute("update incidents set record = json_set(record, '$.aliases', json(?)) where incident_uid = ?",
                   [json.dumps([before]), uid_of(now)])  # fmt: skip
    say(place, uid_of(now), "true_positive")
    assert labels.read(place, END.date()).suppressions.empty


@settings(max_examples=25, deadline=None)
@given(
    heights=st.lists(st.floats(0, 10), min_size=30, max_size=30),
    limits=st.lists(st.floats(2, 9), min_size=2, max_size=13),
    drawn=st.randoms(use_true_random=False),
)
def test_every_answer_and_id_is_found_again_through_any_change_of_thresholds(
    heights: list[float], limits: list[float], drawn: Any
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = config.init(Path(folder) / "w")
        said: dict[str, tuple[str, pd.Timestamp, pd.Timestamp]] = {}
        seen: dict[str, tuple[pd.Timestamp, pd.Timestamp]] = {}
        for number, limit in enumerate(limits):
            days = np.flatnonzero(np.array(heights) >= limit).tolist()
            if not days:
                continue
            now = remember(place, windows_of(days), f"run{number}")
            spans = now.groupby("incident_uid").agg(start=("start", "min"), end=("end", "max"))
            known_as, found = aliases(place, now, f"run{number}"), answers(place, now, f"run{number}")
            ids = {uid: {uid, *(one.incident_uid for one in known_as.get(uid, ()))} for uid in spans.index}
            for uid, (start, end) in seen.items():
                over = spans[(spans["start"] < end) & (spans["end"] > start)]
                assert over.empty or any(uid in ids[one] for one in over.index) or uid in spans.index
            for verdict, start, end in said.values():
                over = spans[(spans["start"] < end) & (spans["end"] > start)]
                assert over.empty or any((found[one] or {}).get("verdict") == verdict for one in over.index)
            seen |= {uid: (row.start, row.end) for uid, row in zip(spans.index, spans.itertuples(), strict=True)}
            if not said:
                uid = drawn.choice(sorted(spans.index))
                said[uid] = (drawn.choice(["true_positive", "false_positive"]), *spans.loc[uid])
                say(place, uid, said[uid][0])
