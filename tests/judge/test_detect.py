"""A small organisation from raw logs to incidents, reported over different periods: the same events, the same names."""

import functools
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import raw_logs

from tokenkit import config, fingerprint, schema
from tokenkit.config import CHANNELS, History, Workspace
from tokenkit.days import Periods, plan
from tokenkit.incidents import merge
from tokenkit.incidents.labels import Labels
from tokenkit.incidents.thresholds import Thresholds
from tokenkit.judge import Judgement, health
from tokenkit.judge import detect as judge_detect
from tokenkit.judge.organisation import drifting_tokens
from tokenkit.judge.record import records
from tokenkit.normal import evidence
from tokenkit.normal.labelled_periods import LabelledPeriods
from tokenkit.store import lake, state
from tokenkit.world import simulate_logs

START, DAYS = date(2026, 1, 5), 60
FROZEN = (START, START + timedelta(28))


@pytest.fixture(scope="module")
def organisation(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("organisation")
    simulate_logs(folder, tokens=16, days=DAYS, start=START, seed=4, events=20_000)
    place = config.init(folder / "w")
    raw_logs.read(place, folder / "logs")
    raw_logs.own(place, folder, (folder / "inventory.csv").read_text())
    raw_logs.form(place)
    return place


def periods(start: int, end: int) -> Periods:
    return plan(START, START + timedelta(start), START + timedelta(end), History(), FROZEN)


def detect(place: Workspace, start: int, end: int) -> Judgement:
    # as of one moment: who owns what must not be what differs between two reports
    return judge_detect(place, periods(start, end), population=evidence.population(place, periods(42, 60)))


Reported = Callable[[int, int], Judgement]


@pytest.fixture(scope="module")
def reported(organisation: Workspace) -> Reported:
    """What is found in a period, each worked out once."""
    return functools.cache(lambda start, end: detect(organisation, start, end))


@pytest.fixture(scope="module")
def written(organisation: Workspace, whole: Judgement) -> Judgement:
    """The whole period once more, after shorter ones were reported: the tables hold what it wrote."""
    return detect(organisation, 42, DAYS)


@pytest.fixture(scope="module")
def whole(reported: Reported) -> Judgement:
    return reported(42, DAYS)


COLUMNS = ["profile_uid", "channel", "window", "start", "score_bits", "threshold_bits", "incident_uid"]


def flagged(found: Judgement, before: int = DAYS) -> pd.DataFrame:
    """Flagged windows of the channels, in one order; those of policy are judged by the period itself."""
    rows = found.windows[found.windows["channel"] != "policy"]
    rows = rows[rows["start"] < pd.Timestamp(START + timedelta(before), tz="UTC")]
    return rows.sort_values(["profile_uid", "channel", "start"])[COLUMNS].reset_index(drop=True)


def test_something_is_found(whole: Judgement) -> None:
    assert whole.windows["incident_uid"].nunique() >= 2
    assert set(whole.scores["channel"]) == set(CHANNELS)


@pytest.mark.parametrize(
    ("start", "end"),
    [(50, DAYS), (59, DAYS), (55, 56), (42, 56)],
)
def test_the_same_windows_are_flagged_whatever_period_is_reported(
    reported: Reported, whole: Judgement, start: int, end: int
) -> None:
    part = reported(start, end)
    columns = [c for c in COLUMNS if c != "incident_uid"]
    pd.testing.assert_frame_equal(flagged(part, end)[columns], flagged(whole, end)[columns], check_exact=True)


@pytest.mark.parametrize(("start", "end"), [(50, DAYS), (59, DAYS), (42, 56), (55, 56)])
def test_an_incident_has_the_same_id_whatever_period_is_reported(
    reported: Reported, whole: Judgement, start: int, end: int
) -> None:
    part = reported(start, end)
    assert set(flagged(part, end)["incident_uid"]) <= set(whole.windows["incident_uid"])


def test_each_incident_opens_in_one_of_two_reports_that_follow_one_another(reported: Reported) -> None:
    first, second = (reported(*span) for span in ((42, 56), (56, DAYS)))
    opened: list[set[str]] = []
    for found in (first, second):
        groups = found.windows.groupby("incident_uid")
        opened.append({u for u, g in groups if merge.state(g, found.periods.start, found.periods.end) == "opened"})
    assert opened[0] and not opened[0] & opened[1]


@pytest.mark.usefixtures("written")
def test_what_is_written_are_the_days_from_the_calibration_on(organisation: Workspace, whole: Judgement) -> None:
    expected = [START + timedelta(d) for d in range(28, DAYS)]
    assert sorted(lake.days(organisation.lake, "scores")) == expected
    scores = raw_logs.table(organisation, "scores")
    assert len(scores) == len(whole.scores)
    added = [sum(json.loads(p).values()) for p in scores["parts"]]
    surprising = scores["score_bits"] > 0
    assert surprising.sum() > len(scores) / 10
    assert (abs(scores["score_bits"] - added)[surprising] < 0.01).all()
    table = lake.read(organisation.lake, "baseline")
    assert table.num_rows and set(table["maturity"].to_pylist()) <= {"mature", "young"}


@pytest.mark.usefixtures("written")
def test_every_table_that_the_schema_describes_is_in_the_lake(organisation: Workspace) -> None:
    assert set(lake.versions(organisation.lake)) == set(schema.TABLES)


def test_contributions_of_every_record_add_up_to_its_score(organisation: Workspace, written: Judgement) -> None:
    made: list[dict[str, Any]] = records(organisation, written)
    assert made
    for record in made:
        assert sum(r["bits"] for r in record["reasons"]) == pytest.approx(record["score_bits"])
        assert sum(r["share"] for r in record["reasons"]) == pytest.approx(1)
        assert record["start"] < record["created_time"] <= record["end"]
        assert 0 <= record["risk"] <= 100 and record["headline"] and record["action"]["verb"]
    risks = [r["risk"] for r in made if r["state"] != "quiet"]
    assert risks == sorted(risks, reverse=True)


def test_a_history_that_is_too_short_has_no_scores_but_its_rules(tmp_path: Path, organisation: Workspace) -> None:
    short = plan(START, START + timedelta(3), START + timedelta(5), History())
    found = judge_detect(organisation, short)
    assert found.evidence is None and found.scores.empty and set(found.windows["channel"]) <= {"policy"}


def test_a_rule_that_began_to_be_broken_keeps_its_incident_in_the_next_report(tmp_path: Path) -> None:
    """An id is the same in every run, though the second report takes the breach for standing."""
    place = raw_logs.workspace(tmp_path / "w")
    lines = [
        raw_logs.nginx(
            f"r{k}{d}{h}", raw_logs.moment(d, h), api_key_id=f"key_{k}_0123456789", uri=f"/v1/orders/{d * 3 + h}"
        )
        for k in range(6)
        for d in range(48)
        for h in (9, 10, 14)
    ]
    # some new call every day, or no day of the channel counts as scored
    lines += [
        raw_logs.nginx(
            f"n{d}",
            raw_logs.moment(d, 9),
            api_key_id=f"key_{1 + d % 5}_0123456789",
            uri=f"/v1/{chr(97 + d % 26)}{chr(97 + d // 26)}s",
        )
        for d in range(48)
    ]
    stolen = {"api_key_id": "key_0_0123456789", "remote_addr": "192.0.2.9", "http_user_agent": "curl/8.1"}
    lines += [raw_logs.nginx(f"s{h}", raw_logs.moment(45, h), uri="/v1/secrets", **stolen) for h in (3, 4)]
    raw_logs.form(place, raw_logs.write(tmp_path / "a.log", lines))
    raw_logs.own(place, tmp_path, "native_id,owner_name,expires_time\nkey_0_0123456789,ana,2026-04-15\n")
    fingerprint.build(place)
    population = evidence.population(place, raw_logs.periods(43, 48))
    frozen = (raw_logs.day_of(0), raw_logs.day_of(28))
    uids = []
    for start, end in ((43, 47), (46, 48)):
        planned = plan(raw_logs.day_of(0), raw_logs.day_of(start), raw_logs.day_of(end), History(), frozen)
        windows = judge_detect(place, planned, population=population).windows
        uids.append(set(windows.loc[windows["channel"] == "point_hour", "incident_uid"]))
    with state.connect(place.state) as db:
        assert state.get_meta(db, "reference") is None
    assert uids[0] and uids[0] == uids[1]


def test_while_thresholds_are_provisional_no_smallest_leak_is_claimed(organisation: Workspace) -> None:
    """Drift has no scores yet, so nothing can be said of how small a leak it would miss; the page said "nan%"."""
    judgement = judge_detect(organisation, plan(START, START + timedelta(10), START + timedelta(12), History()))
    assert judgement.periods.provisional and len(judgement.threshold_table)
    assert health.smallest_leak(judgement) is None


def test_a_drifting_token_is_set_beside_the_threshold_that_it_is_held_against(whole: Judgement) -> None:
    drift = whole.scores[whole.scores["channel"].str.startswith("drift_")].sort_values("start")
    newest = drift.groupby(["profile_uid", "channel"]).tail(1)
    uid, score = newest.sort_values("score_bits")[["profile_uid", "score_bits"]].iloc[-1]
    of_all, of_accepted = (whole.threshold_table.map(lambda _, bits=score * k: bits) for k in (1.2, 1.1))
    labels = Labels(periods=LabelledPeriods(accepted=pd.DataFrame({"profile_uid": [uid]})))
    judgement = replace(whole, thresholds=Thresholds(of_all, of_accepted), labels=labels)
    limits = {r["profile_uid"]: r["threshold_bits"] for r in drifting_tokens(judgement, whole.population.people, [])}
    assert limits.pop(uid) == pytest.approx(score * 1.1)
    assert all(bits == pytest.approx(score * 1.2) for bits in limits.values())


def test_a_leak_that_would_be_missed_is_said_in_percent(whole: Judgement) -> None:
    said = health.smallest_leak(whole) or ""
    rises = [float(times) for times in re.findall(r"([\d.]+) times for [a-z ]+", said.replace("more than 10", "10.1"))]
    assert len(rises) >= 2 and rises == sorted(rises) and rises[0] > 1
