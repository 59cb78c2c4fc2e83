"""Clocks: records of a wrong clock are set aside with their reason, and change nothing that is stored of the others."""

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import raw_logs
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_logs import cloudtrail, moment, nginx

from tokenkit.config import Workspace
from tokenkit.days import periods_of
from tokenkit.ingest import ingest
from tokenkit.sources.clocks import FUTURE, PAST
from tokenkit.sources.inputs import Input, parse_input
from tokenkit.store import lake, state

NOW = moment(30)


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    return raw_logs.workspace(tmp_path / "w")


def read(place: Workspace, path: Path, source: str | None = None, now: datetime = NOW) -> Any:
    return ingest(place, [Input(path, source)], now=now)


def reasons(place: Workspace) -> list[tuple[str, str]]:
    with state.connect(place.state) as db:
        return [tuple(row) for row in db.execute("select place, reason from quarantine order by rowid")]


def calls(days: int = 12, a_day: int = 6) -> list[dict[str, Any]]:
    return [nginx(f"{day}-{n}", moment(day, 24 * n // a_day)) for day in range(days) for n in range(a_day)]


def test_a_record_further_ahead_than_the_tolerance_is_set_aside_and_one_within_it_is_kept(
    place: Workspace, tmp_path: Path
) -> None:
    ahead = [nginx("near", NOW + timedelta(hours=23.9)), nginx("far", NOW + timedelta(hours=24, seconds=1))]
    counts = read(place, raw_logs.write(tmp_path / "a.log", [*calls(), *ahead]))
    assert (counts.read, counts.stored, counts.quarantined) == (74, 73, 1)
    assert reasons(place) == [("line 74", FUTURE)]
    assert counts.remarks() == [f"1 set aside: {FUTURE}"]
    assert "far" not in lake.read(place.lake, "events")["event_uid"].to_pylist()


def test_the_tolerance_is_that_of_the_settings(place: Workspace, tmp_path: Path) -> None:
    place.settings.ingest.future_hours = 1e9
    assert read(place, raw_logs.write(tmp_path / "a.log", [*calls(), nginx("x", moment(9000))])).quarantined == 0


def test_a_few_records_years_before_the_rest_of_their_file_are_set_aside(place: Workspace, tmp_path: Path) -> None:
    old = [nginx("old", datetime(2001, 1, 1, 0, n, tzinfo=UTC), request_id=f"o{n}") for n in range(2)]
    counts = read(place, raw_logs.write(tmp_path / "a.log", [old[0], *calls(), old[1]]))
    assert counts.stored == 72 and reasons(place) == [("line 1", PAST), ("line 74", PAST)]


@pytest.mark.parametrize("days", [[-100], [-400] * 40, [-400 - n for n in range(9)]])
def test_what_may_well_have_happened_is_kept(place: Workspace, tmp_path: Path, days: list[int]) -> None:
    early = [nginx(f"e{n}", moment(day)) for n, day in enumerate(days)]
    assert read(place, raw_logs.write(tmp_path / "a.log", [*early, *calls()])).quarantined == 0


def test_a_file_that_is_in_the_future_as_a_whole_stops_nothing(place: Workspace, tmp_path: Path) -> None:
    raw_logs.write(tmp_path / "logs" / "ahead.log", [nginx(f"a{n}", moment(300)) for n in range(50)])
    raw_logs.write(tmp_path / "logs" / "good.log", calls())
    counts = read(place, tmp_path / "logs")
    assert (counts.read, counts.stored, counts.quarantined) == (122, 72, 50)


def test_a_file_of_which_nothing_is_left_is_counted_though_it_is_alone(place: Workspace, tmp_path: Path) -> None:
    counts = read(place, raw_logs.write(tmp_path / "ahead.log", [nginx(f"a{n}", moment(300)) for n in range(50)]))
    assert (counts.files, counts.read, counts.stored, counts.quarantined) == (1, 50, 0, 50)


def test_every_source_sets_aside_and_says_where(place: Workspace, tmp_path: Path) -> None:
    ahead = moment(300)
    trail = raw_logs.write(tmp_path / "t.json", [cloudtrail("1"), cloudtrail("2", ahead)])
    assert read(place, trail).quarantined == 1
    mapping = tmp_path / "m.toml"
    mapping.write_text('name = "m"\nissuer = "m"\n[columns]\ntime = "at"\nnative_id = "key"\noperation = "call"\n')
    (tmp_path / "m.csv").write_text(f"at,key,call\n{moment():%Y-%m-%d},k1234567,GET\n{ahead:%Y-%m-%d},k7654321,GET\n")
    named = parse_input(f"{mapping}={tmp_path / 'm.csv'}")
    assert ingest(place, [named], now=NOW).quarantined == 1
    assert reasons(place) == [("record 2", FUTURE), ("line 3", FUTURE)]


def test_a_token_that_only_a_wrong_clock_saw_is_not_known(place: Workspace, tmp_path: Path) -> None:
    other = nginx("x", moment(300), api_key_id="key_of_nobody_else", http_user_agent="odd/1.0")
    read(place, raw_logs.write(tmp_path / "a.log", [*calls(), other]))
    assert lake.read(place.lake, "dim_token").num_rows == 1 and lake.read(place.lake, "dim_client").num_rows == 1


@pytest.mark.parametrize("now", [datetime(2020, 1, 1, tzinfo=UTC), moment(5)])
def test_a_machine_whose_clock_went_back_takes_the_end_of_the_logs_for_now(
    place: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now: datetime
) -> None:
    read(place, raw_logs.write(tmp_path / "a.log", calls()))

    class Back(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return now.astimezone(tz)

    monkeypatch.setattr("tokenkit.ingest.datetime", Back)
    monkeypatch.setattr("tokenkit.days.datetime", Back)
    late = raw_logs.write(tmp_path / "b.log", [nginx("next", moment(12, 8)), nginx("no", moment(40))])
    assert ingest(place, [Input(late)]).stored == 1


def test_the_page_and_the_command_line_say_what_was_set_aside(tmp_path: Path, command: Any) -> None:
    raw_logs.workspace(tmp_path / "w")
    ahead = nginx("ahead", datetime.now(UTC) + timedelta(days=60))
    path = raw_logs.write(tmp_path / "a.log", [*calls(), ahead])
    left = command("ingest", path, cwd=tmp_path / "w")
    assert f"1 set aside: {FUTURE}" in left.out
    checked = command("sources", "check", path, cwd=tmp_path / "w")
    assert "1 quarantined" in checked.out and FUTURE in " ".join(checked.out.split())


# whatever the clocks of some records say, the others are stored as they are, and the period is what it was
steady = calls(days=30, a_day=20)


@settings(max_examples=15)
@given(st.dictionaries(st.integers(0, len(steady) - 1), st.integers(-9_000_000, 60_000_000), min_size=1, max_size=6))
def test_clocks_off_by_any_amount_change_neither_another_record_nor_the_period(minutes: dict[int, int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        good, bad = (raw_logs.workspace(Path(folder) / name) for name in ("good", "bad"))
        wrong = [dict(record) for record in steady]
        for i, off in minutes.items():
            wrong[i]["msec"] += 60 * off
        read(good, raw_logs.write(Path(folder) / "good.log", steady))
        counts = read(bad, raw_logs.write(Path(folder) / "bad.log", wrong))
        assert counts.read == counts.stored + counts.duplicates + counts.quarantined + counts.ignored == len(steady)
        tables = [
            lake.read(place.lake, "events").drop_columns(["raw_ref", "token_uid", "token_key"]) for place in (good, bad)
        ]
        rows = [{row["event_uid"]: row for row in table.to_pylist()} for table in tables]
        others = {record["request_id"] for i, record in enumerate(steady) if i not in minutes}
        assert {uid: rows[1].get(uid) for uid in others} == {uid: rows[0][uid] for uid in others}
        assert repr(periods_of(bad)) == repr(periods_of(good))
