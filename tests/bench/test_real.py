"""Real logs: months that add up, and pairs of identities that have each other's events."""

from datetime import timedelta

import pandas as pd
import pytest
import raw_logs

from tokenkit import config, days
from tokenkit.bench import real
from tokenkit.bench.detectors import registry
from tokenkit.bench.scenarios.scenario import Setting
from tokenkit.errors import InputError
from tokenkit.store import lake


@pytest.fixture(scope="module")
def measured(unattacked, tmp_path_factory):
    out = tmp_path_factory.mktemp("real")
    before = lake.versions(unattacked.workspace.lake)
    found = real.measure(unattacked.workspace, registry.choose(["tokenkit", "random"]), out, 20.0, pairs=4, times=2)
    assert lake.versions(unattacked.workspace.lake) == before
    return found, out


def test_every_day_after_the_first_six_weeks_is_judged_and_the_budget_is_that_of_its_days(measured, unattacked):
    found, out = measured
    months = found.months.set_index(["detector", "month"])
    assert months.loc["tokenkit", "days"].to_dict() == {"2026-02": 13, "2026-03": 31, "2026-04": 4}
    active = raw_logs.table(unattacked.workspace, "fingerprint").query("window == 'day'")
    allowed = dict.fromkeys(months.loc["tokenkit"].index, 0.0)
    for day in pd.date_range(active["start"].min() + pd.Timedelta("42D"), active["start"].max()):
        lately = active[(active["start"] < day) & (active["start"] >= day - pd.Timedelta("28D"))]
        allowed[day.strftime("%Y-%m")] += lately["profile_uid"].nunique() * 20 / 1000
    for name in ("tokenkit", "random"):
        assert months.loc[name, "allowed"].to_dict() == pytest.approx(allowed)
    most = months.loc["tokenkit", "days"] * found.profiles * 20 / 1000
    assert any(allowed[month] < most[month] for month in allowed), "else nothing is tested: every token counts always"
    assert (months["of_budget"] == months["opened"] / months["allowed"]).all() and months["opened"].sum() > 0
    assert 0 < found.judged <= found.profiles == 40
    pd.testing.assert_frame_equal(pd.read_parquet(out / "months.parquet"), found.months, check_dtype=False)


def test_who_has_a_strangers_token_is_noticed_more_often_than_by_chance(measured):
    found, _ = measured
    recall = found.recall()
    assert len(found.exchanged) == 2 * 2 * 4 * 2 and recall["tokenkit"] > recall["random"] + 0.2
    caught = found.exchanged[found.exchanged["caught"]]
    assert (caught["hours"] > 0).all() and found.exchanged.loc[~found.exchanged["caught"], "hours"].isna().all()


def test_pairs_are_drawn_at_random_both_ways_and_the_same_each_time(unattacked):
    once = real.exchanges(unattacked, pairs=4, times=2)
    assert once == real.exchanges(unattacked, 4, 2) and len(once) == 16
    both = {(one.draw, one.profile_uid, one.with_uid, one.start) for one in once}
    assert both == {(draw, b, a, start) for draw, a, b, start in both}
    assert {one.draw for one in once} == {0, 1} and all(one.profile_uid != one.with_uid for one in once)
    assert len(real.exchanges(unattacked, 1000, 1)) <= len(unattacked.single)
    assert real.exchanges(unattacked, 0, 3) == []


def test_after_an_exchange_the_events_are_those_of_the_other(unattacked, events):
    mine, theirs = sorted(events)[:2]
    start = unattacked.start + timedelta(days=3)
    trial = real._trial(7, real.Exchange(0, mine, theirs, start), events[theirs], unattacked)
    setting = Setting(None, start, unattacked.end, 1.0, unattacked.operations, unattacked.networks)  # type: ignore[arg-type]
    edited = trial.scenario.edit(events[mine], setting).events
    keys = [set(part["event_key"]) for _, part in edited.groupby(edited["time"] < start, sort=True)]
    expected = [events[theirs][events[theirs]["time"] >= start], events[mine][events[mine]["time"] < start]]
    assert keys == [set(part["event_key"]) for part in expected]
    assert edited["attack"].tolist() == (edited["time"] >= start).tolist() and trial.base_uids == (mine,)


def test_logs_of_six_weeks_are_too_short_and_the_message_says_how_many_days_are_needed(tmp_path, monkeypatch):
    workspace = config.init(tmp_path)
    monkeypatch.setattr(lake, "days", lambda *_: {raw_logs.day_of(n): "" for n in range(42)})
    monkeypatch.setattr(days, "event_counts", lambda _: {"nginx": {raw_logs.day_of(n): 9 for n in range(42)}})
    monkeypatch.setattr(real.activity, "build", lambda *_: None)
    monkeypatch.setattr(real.fingerprint, "build", lambda *_: None)
    with pytest.raises(InputError, match="reach over 42 days, and more than 42 are needed: 28 of reference, 14 of cal"):
        real.measure(workspace, [], tmp_path / "out")
