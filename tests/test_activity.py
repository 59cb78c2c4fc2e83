"""What each token did, counted: whole days add up, and every engine gives the same integers."""

import importlib
import importlib.util
import warnings
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import duckdb
import narwhals as nw
import pandas as pd
import pyarrow as pa
import pytest
import raw_logs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw_logs import moment, nginx

from tokenkit import activity, schema
from tokenkit.config import Workspace
from tokenkit.store import lake

OBJECTS = pa.table(
    {
        "object_key": pa.array([11, 12, 13, 20, 30, 31], pa.int64()),
        "group_key": pa.array([1, 1, 1, 1, 3, 4], pa.int64()),
        "number": pa.array([1, 2, 2, 9, None, 3], pa.int64()),  # 12 and 13: /orders/2 and /orders/02
    }
)
Frames = Callable[[pa.Table], nw.LazyFrame]


CONNECTION = duckdb.connect(config={"threads": 1})  # one for all: relations of two cannot be joined


def in_duckdb(table: pa.Table) -> nw.LazyFrame:
    return nw.from_native(CONNECTION.from_arrow(table))


def in_pandas(table: pa.Table) -> nw.LazyFrame:
    return nw.from_native(table.to_pandas(types_mapper=pd.ArrowDtype)).lazy()


# a frame of pyarrow alone is no engine: Narwhals has no partitioned shift and no cast sum on it; and pandas' masked
# types fail in its ordered shift where a number is missing
ENGINES: dict[str, Frames] = {"duckdb": in_duckdb, "pandas": in_pandas}
if importlib.util.find_spec("polars"):
    ENGINES["polars"] = lambda table: nw.from_native(importlib.import_module("polars").from_arrow(table)).lazy()


def tables(events: pa.Table, frames: Frames = in_duckdb) -> dict[str, pa.Table]:
    """Every activity table of these events, as it would be stored."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prepared = activity.prepare(frames(events))
        made = {name: table(prepared) for name, table in activity.TABLES.items()}
        operations = activity.session_operations(prepared)
        made |= {name: table(operations) for name, table in activity.SESSION_TABLES.items()}
        made["activity_object"] = activity.daily_objects(prepared, frames(OBJECTS))
        collected = {name: frame.collect(backend="pyarrow").to_native() for name, frame in made.items()}
    return {
        name: schema.conform(name, table).sort_by([(c, "ascending") for c in activity.table_keys(name)])
        for name, table in collected.items()
    }


def one_hour(rows: list[dict[str, Any]]) -> dict[str, Any]:
    (row,) = tables(raw_logs.events(rows))["activity_hour"].to_pylist()
    return row


event = st.fixed_dictionaries(
    {
        "time": st.builds(moment, day=st.integers(0, 4), hour=st.integers(0, 2), second=st.integers(0, 200)),
        "token_key": st.integers(0, 2),
        "network_key": st.integers(0, 2),
        "client_key": st.integers(0, 2),
        "operation_key": st.integers(1, 3),
        "object_key": st.sampled_from([0, 11, 12, 13, 20, 30]),
        "http_status": st.sampled_from([None, 200, 403, 404, 429, 500]),
        "is_denied": st.sampled_from([None, True, False]),
        "status_id": st.sampled_from([None, 0, 1, 2]),
        "status_code": st.sampled_from([None, "ThrottlingException"]),
        "count": st.sampled_from([None, 1, 3]),
        "response_bytes": st.sampled_from([None, 0, 1, 2**53, 2**53 + 1]),
        "rows": st.sampled_from([None, 7]),
    }
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(event, max_size=40))
def test_several_days_in_one_pass_equal_day_by_day(rows: list[dict[str, Any]]) -> None:
    whole = tables(raw_logs.events(rows))
    days = sorted({r["time"].date() for r in rows})
    parts = [tables(raw_logs.events([r for r in rows if r["time"].date() == d])) for d in days]
    for name, table in whole.items():
        joined = pa.concat_tables([p[name] for p in parts]) if parts else schema.empty(name)
        joined = joined.sort_by([(c, "ascending") for c in activity.table_keys(name)])
        assert joined.equals(table), name


@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(event, min_size=1, max_size=40))
def test_the_hours_of_a_day_add_up_to_its_events(rows: list[dict[str, Any]]) -> None:
    made = tables(raw_logs.events(rows))
    mine = [r for r in rows if r["token_key"]]
    calls = sum(r["count"] if r["count"] is not None else 1 for r in mine)
    sent = sum(r["response_bytes"] or 0 for r in mine)
    for name in ("activity_hour", "activity_operation"):
        assert sum(made[name]["requests"].to_pylist()) == calls
        assert sum(made[name]["response_bytes"].to_pylist()) == sent
    hours = made["activity_hour"].to_pylist()
    assert all(h["ok"] + h["client_errors"] + h["server_errors"] == h["requests"] for h in hours)
    assert all(h["denied"] <= h["client_errors"] for h in hours)


# gaps around the ten minutes that count, some of them over midnight, and many calls at one moment
walks = st.lists(
    st.fixed_dictionaries(
        {
            "after_ms": st.sampled_from([0, 0, 1, 999, 60_000, 599_000, 599_999, 600_000, 600_001, 600_999, 601_000]),
            "token_key": st.integers(0, 2),
            "network_key": st.sampled_from([0, 1, 2, 3]),
            "operation_key": st.integers(1, 2),
        }
    ),
    max_size=30,
)


def switches_by_hand(rows: list[dict[str, Any]]) -> dict[tuple[int, Any], int]:
    """By token and day: calls from another network than the call before, at most 600 whole seconds after it."""
    found: dict[tuple[int, Any], int] = {}
    for token in {row["token_key"] for row in rows} - {0}:
        mine = [row for row in rows if row["token_key"] == token]  # in the order of the log
        for day in {row["time"].date() for row in mine}:
            of_day = sorted((row for row in mine if row["time"].date() == day), key=lambda row: row["time"])
            found[token, day] = 0
            for before, call in pairwise(of_day):
                known = before["network_key"] != 0 and call["network_key"] != 0
                seconds = int(call["time"].timestamp()) - int(before["time"].timestamp())
                found[token, day] += known and before["network_key"] != call["network_key"] and seconds <= 600
    return found


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(walks, st.integers(20 * 3600, 24 * 3600))
def test_going_between_networks_is_counted_as_by_hand(drawn: list[dict[str, Any]], start: int) -> None:
    after = [row["after_ms"] for row in drawn]
    rows = [{"time": moment(second=start) + timedelta(milliseconds=sum(after[: n + 1]))} | row
            for n, row in enumerate(drawn)]  # fmt: skip
    expected = switches_by_hand(rows)
    calls = raw_logs.events([{name: row[name] for name in row if name != "after_ms"} for row in rows])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        steps = activity.transition(activity.prepare(in_duckdb(calls)))
        made = steps.collect(backend="pyarrow").to_native().to_pylist()
    found = dict.fromkeys(expected, 0)
    for row in made:
        found[row["token_key"], row["day"]] += row["switched"]
    assert found == expected


@pytest.mark.parametrize("engine", [e for e in ENGINES if e != "duckdb"])
def test_every_engine_gives_the_same_tables(engine: str) -> None:
    rows: list[dict[str, Any]] = []
    for n in range(120):
        rows.append(
            {
                "time": moment(day=n % 2, hour=n % 3, second=n * 7),
                "token_key": n % 4,
                "network_key": n % 3,
                "client_key": n % 2,
                "operation_key": 1 + n % 5,
                "object_key": [0, 11, 12, 13, 20, 30][n % 6],
                "http_status": [200, 403, 404, 429, 500, None][n % 6],
                "is_denied": [False, True, None][n % 3],
                "status_id": [1, 2, 0, None][n % 4],
                "response_bytes": [None, 5, 2**53 + 1][n % 3],
            }
        )
    expected, found = tables(raw_logs.events(rows)), tables(raw_logs.events(rows), ENGINES[engine])
    for name, table in expected.items():
        assert table.num_rows and found[name].equals(table), name


def test_sums_are_whole_numbers_beyond_what_a_double_holds(tmp_path: Path) -> None:
    row = one_hour([{"response_bytes": 2**53}, {"response_bytes": 1}])
    assert row["response_bytes"] == 2**53 + 1
    table = tables(raw_logs.events([{"response_bytes": 2**53}, {"response_bytes": 1}]))["activity_hour"]
    lake.replace_days(tmp_path, "activity_hour", table, [raw_logs.FIRST])
    stored = lake.read(tmp_path, "activity_hour")
    assert stored["response_bytes"].to_pylist() == [2**53 + 1]
    assert all(f.type in (pa.int64(), pa.date32()) for f in stored.schema)


def test_an_hour_counts_minutes_and_its_busiest_one() -> None:
    seconds = [0, 10, 59, 60, 200]
    row = one_hour([{"time": moment(hour=1, second=s)} for s in seconds])
    start = int(moment(hour=1).timestamp())
    assert (row["requests"], row["active_minutes"], row["max_in_minute"]) == (5, 3, 3)
    assert (row["hour_s"], row["first_s"], row["last_s"]) == (start, start, start + 200)


@pytest.mark.parametrize(
    ("fields", "counted"),
    [
        ({}, {"ok"}),
        ({"http_status": 404}, {"client_errors"}),
        ({"http_status": None, "status_id": 2}, {"client_errors"}),
        ({"http_status": 403, "is_denied": True}, {"client_errors", "denied"}),
        ({"http_status": None, "is_denied": True, "status_id": 2}, {"client_errors", "denied"}),
        ({"http_status": 429, "status_id": 2}, {"client_errors", "throttled"}),
        ({"http_status": None, "status_id": 2, "status_code": "ThrottlingException"}, {"client_errors", "throttled"}),
        ({"http_status": 503, "status_id": 2}, {"server_errors"}),
        ({"http_status": None, "status_id": None, "is_denied": None, "status_code": None}, {"ok"}),
    ],
)
def test_an_outcome_is_counted_where_it_belongs(fields: dict[str, Any], counted: set[str]) -> None:
    row = one_hour([fields | {"count": 3}])
    kinds = ("ok", "denied", "client_errors", "throttled", "server_errors")
    assert {k for k in kinds if row[k] == 3} == counted
    assert {k for k in kinds if row[k] == 0} == set(kinds) - counted


def test_a_call_that_stands_for_several_counts_as_several() -> None:
    row = one_hour([{"count": 3, "response_bytes": 5}, {"count": None, "response_bytes": 9, "rows": 2}])
    assert (row["requests"], row["response_bytes"], row["max_response_bytes"], row["rows"]) == (4, 14, 9, 2)


def touched(*keys: int, day: int = 0) -> dict[int, bool]:
    rows = [{"object_key": k, "time": moment(day=day, second=n)} for n, k in enumerate(keys)]
    return {r["object_key"]: r["sequential"] for r in tables(raw_logs.events(rows))["activity_object"].to_pylist()}


def test_an_object_is_sequential_where_the_one_below_was_touched_the_same_day() -> None:
    assert touched(12, 11, 20) == {11: False, 12: True, 20: False}, "in whatever order they were touched"
    assert touched(30, 31) == {30: False, 31: False}, "without a number, or of another kind, nothing follows"
    assert touched(0) == {}


def test_of_two_spellings_of_one_number_always_the_same_is_sequential() -> None:
    assert {k for k, s in touched(11, 13, 12).items() if s} == {k for k, s in touched(12, 11, 13).items() if s} == {12}


def test_yesterday_s_object_makes_nothing_sequential_today() -> None:
    rows = [{"object_key": 11, "time": moment(day=0)}, {"object_key": 12, "time": moment(day=1)}]
    assert not any(tables(raw_logs.events(rows))["activity_object"]["sequential"].to_pylist())


def test_events_without_a_token_are_in_no_table() -> None:
    assert all(t.num_rows == 0 for t in tables(raw_logs.events([{"token_key": 0, "object_key": 11}])).values())


# in the lake


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("activity")
    place = raw_logs.workspace(folder / "w")
    lines = [nginx(f"r{n}", moment(day=n % 4, hour=n % 5, minute=n), uri=f"/v1/orders/{n}") for n in range(40)]
    raw_logs.read(place, raw_logs.write(folder / "a.log", lines))
    assert activity.build(place) == 4
    return place


def activity_files(place: Workspace, day: int) -> set[str]:
    folder = f"day={raw_logs.day_of(day)}"
    names = (*activity.TABLES, *activity.SESSION_TABLES, "activity_object")
    return {digest for name in names for d, digest in lake.days(place.lake, name).items() if f"day={d}" == folder}


def test_what_is_up_to_date_is_not_counted_again(filled: Workspace) -> None:
    before = lake.versions(filled.lake)
    assert activity.build(filled) == 0
    assert lake.versions(filled.lake) == before


def test_a_late_event_rebuilds_only_its_day(filled: Workspace, tmp_path: Path) -> None:
    before = {d: activity_files(filled, d) for d in range(4)}
    late = nginx("late", moment(day=1, hour=23), bytes_sent=5)
    raw_logs.read(filled, raw_logs.write(tmp_path / "late.log", [late]))
    assert activity.build(filled) == 1
    after = {d: activity_files(filled, d) for d in range(4)}
    assert [d for d in range(4) if before[d] != after[d]] == [1]
    assert raw_logs.table(filled, "activity_hour")["requests"].sum() == 41


def test_days_that_came_one_by_one_equal_days_that_came_together(tmp_path: Path) -> None:
    lines = [
        nginx(
            f"r{n}",
            moment(day=n % 3, hour=n % 4, second=n * 13),
            uri=f"/v1/orders/{n % 7}",
            api_key_id=f"key_{n % 2}_01234567",
        )
        for n in range(60)
    ]
    places = [raw_logs.workspace(tmp_path / name) for name in ("slow", "fast")]
    key = places[0].key
    raw_logs.read(
        places[0],
        raw_logs.write(tmp_path / "none.log", [nginx("r0", moment(), api_key_id="key_0_01234567", uri="/v1/orders/0")]),
    )
    places[1].key.write_text(key.read_text())
    for day in (2, 0, 1):
        part = [line for n, line in enumerate(lines) if n % 3 == day]
        raw_logs.read(places[0], raw_logs.write(tmp_path / f"{day}.log", part))
        activity.build(places[0])
    raw_logs.read(places[1], raw_logs.write(tmp_path / "all.log", lines))
    activity.build(places[1])
    for name in (*activity.TABLES, *activity.SESSION_TABLES, "activity_object", "seen"):
        pd.testing.assert_frame_equal(*(raw_logs.table(p, name) for p in places))


def test_seen_says_since_when_and_on_how_many_days(filled: Workspace) -> None:
    seen = lake.read(filled.lake, "seen").to_pandas()
    (network,) = seen[seen["kind"] == "network"].to_dict("records")
    days = (network["first_day"], network["last_day"], network["days_seen"])
    assert days == (raw_logs.day_of(0), raw_logs.day_of(3), 4)
    assert network["requests"] == raw_logs.table(filled, "activity_network")["requests"].sum()
    objects = seen[seen["kind"] == "object"]
    assert (objects["days_seen"] == 1).all()


def test_times_are_milliseconds_whatever_the_machine_s_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    when = datetime.fromisoformat("2026-03-02T23:59:59.999+00:00")
    row = one_hour([{"time": when}])
    assert row["hour_s"] == int(moment(hour=23).timestamp()) and row["last_s"] == int(when.timestamp())


# steps from call to call, sessions and pairs


def rows_of(name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return tables(raw_logs.events(rows))[name].to_pylist()


def calls(*said: tuple[float, int], day: int = 0) -> list[dict[str, Any]]:
    """Calls of one token: second of the day, operation."""
    return [{"time": moment(day=day, second=second), "operation_key": operation} for second, operation in said]


def test_a_step_counts_the_seconds_since_the_call_before_it() -> None:
    found = rows_of("activity_transition", calls((0, 1), (5, 2), (12, 1), (20, 2)))
    steps = {(r["previous_key"], r["operation_key"]): r for r in found}
    assert set(steps) == {(1, 2), (2, 1)}
    measures = [steps[1, 2][c] for c in ("steps", "gap_s", "squared_gap_s2", "max_gap_s")]
    assert measures == [2, 5 + 8, 25 + 64, 8]


def test_calls_of_one_moment_follow_one_another_by_their_event_key() -> None:
    rows = [{"event_key": key, "operation_key": operation} for key, operation in ((30, 3), (10, 1), (20, 2))]
    found = rows_of("activity_transition", rows)
    assert [(r["previous_key"], r["operation_key"], r["gap_s"]) for r in found] == [(1, 2, 0), (2, 3, 0)]


@pytest.mark.parametrize(
    ("seconds", "paced"),
    [
        ((0, 10, 20, 30), 2),
        ((0, 10, 21, 31), 2),  # 11 after 10 and 10 after 11: within a tenth
        ((0, 10, 22, 32), 0),
        ((0, 1, 2, 3), 0),  # a gap of a second is a matter of chance
        ((0, 0, 0, 0), 0),
        ((0, 10), 0),  # nothing to compare the only gap with
    ],
)
def test_a_step_is_paced_when_it_took_as_long_as_the_one_before(seconds: tuple[int, ...], paced: int) -> None:
    found = rows_of("activity_transition", calls(*((s, 1) for s in seconds)))
    assert sum(r["paced"] for r in found) == paced


def test_squares_of_gaps_are_whole_numbers_beyond_what_a_double_holds() -> None:
    gap = 94_906_267  # its square is odd and above 2^53
    events = raw_logs.events(calls((0, 1), (1, 1)))
    late = pa.array([events["time_ms"][0].as_py(), events["time_ms"][0].as_py() + 1000 * gap], pa.int64())
    events = events.set_column(events.schema.get_field_index("time_ms"), "time_ms", late)
    for frames in ENGINES.values():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = activity.transition(activity.prepare(frames(events))).collect(backend="pyarrow").to_native()
        assert made["squared_gap_s2"].type == pa.int64() and made["squared_gap_s2"].to_pylist() == [gap**2]


def test_a_pause_of_more_than_ten_minutes_ends_a_session() -> None:
    found = rows_of("activity_session", calls((0, 1), (600, 2), (1200, 1), (1800.001, 3)))
    start = int(moment().timestamp())
    assert [(r["start_s"] - start, r["end_s"] - start, r["operations"], r["requests"]) for r in found] == [
        (0, 1200, 2, 3),
        (1800, 1800, 1, 1),
    ]


def test_sessions_steps_and_pairs_end_at_midnight() -> None:
    rows = [*calls((86399, 1)), *calls((0, 2), day=1)]
    assert rows_of("activity_transition", rows) == rows_of("activity_pair", rows) == []
    assert len(rows_of("activity_session", rows)) == 2


def test_two_operations_of_one_session_are_a_pair_whatever_their_order() -> None:
    rows = calls((0, 2), (1, 1), (2, 2), (3, 3), (3000, 1), (3001, 2), (6000, 3))
    found = {(r["operation_key"], r["other_key"]): r["sessions"] for r in rows_of("activity_pair", rows)}
    assert found == {(1, 2): 2, (1, 3): 1, (2, 3): 1}


def test_a_session_that_sweeps_over_everything_makes_no_more_pairs_than_its_first_operations() -> None:
    most = activity.SESSION_OPERATIONS
    found = rows_of("activity_pair", calls(*((n, 1000 - n) for n in range(most + 40))))
    assert len(found) == most * (most - 1) // 2
    assert {r["operation_key"] for r in found} | {r["other_key"] for r in found} == {1000 - n for n in range(most)}
    assert rows_of("activity_session", calls(*((n, 1000 - n) for n in range(most + 40))))[0]["operations"] == most + 40


@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(event, min_size=1, max_size=40))
def test_gaps_add_up_to_the_time_from_first_to_last_call_and_pairs_to_those_of_each_session(
    rows: list[dict[str, Any]],
) -> None:
    made = tables(raw_logs.events(rows))
    by_day: dict[tuple[Any, int], list[tuple[int, int]]] = {}
    for row in rows:
        if row["token_key"]:
            when = (row["time"].date(), row["token_key"])
            by_day.setdefault(when, []).append((int(row["time"].timestamp() * 1000), row["operation_key"]))
    steps, gaps = 0, 0
    together: dict[tuple[Any, int, int, int], int] = {}
    sessions = 0
    for (day, token), events in by_day.items():
        events.sort()
        steps += len(events) - 1
        gaps += events[-1][0] // 1000 - events[0][0] // 1000
        begun = [0, *(n for n in range(1, len(events)) if events[n][0] - events[n - 1][0] > 600_000), len(events)]
        sessions += len(begun) - 1
        for low, high in pairwise(begun):
            for pair in combinations(sorted({operation for _, operation in events[low:high]}), 2):
                together[day, token, *pair] = together.get((day, token, *pair), 0) + 1
    transitions = made["activity_transition"]
    assert sum(transitions["steps"].to_pylist()) == steps and sum(transitions["gap_s"].to_pylist()) == gaps
    found = made["activity_pair"].to_pylist()
    assert {(r["day"], r["token_key"], r["operation_key"], r["other_key"]): r["sessions"] for r in found} == together
    assert made["activity_session"].num_rows == sessions
    assert sum(made["activity_session"]["requests"].to_pylist()) == sum(made["activity_hour"]["requests"].to_pylist())
