"""Any table whose columns a mapping names: what becomes of its rows, whatever they hold."""

import csv
import gzip
import io
import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import own_sources
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import raw_logs
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tokenkit import config, identity, schema, sources
from tokenkit.errors import ConfigError, InputError, SourceError
from tokenkit.ingest import ingest, mapping_notes
from tokenkit.sources import check, inputs, mapped, tabular
from tokenkit.sources.fields import masking
from tokenkit.sources.inputs import parse_input
from tokenkit.sources.mapped import draft, values
from tokenkit.sources.mapped.mapping import FIELDS
from tokenkit.store import lake

KEY = b"k" * 32
READING = sources.Reading(KEY)
SOME = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
SECRET = "ghp_0123456789abcdefghij0123456789abcdef"
NATIVE = "cred-7f3a9b2c1d"
COLUMNS = {"time": "at", "native_id": "key", "method": "verb", "path": "url", "src_ip": "ip", "user_agent": "agent",
           "status": "code", "response_bytes": "bytes"}  # fmt: skip
ROW = {"at": "2026-03-01T10:20:30.123Z", "key": NATIVE, "verb": "GET", "url": "/v1/orders/17", "ip": "203.0.113.7",
       "agent": "curl/8.1", "code": "200", "bytes": "1234"}  # fmt: skip


def source(columns: dict[str, str] | None = None, **more: Any) -> sources.Source:
    return mapped.source(mapped.Mapping("orders", "orders-api", columns or COLUMNS, **more))


def read(path: Path, its: sources.Source | None = None) -> tuple[pd.DataFrame, sources.Tally]:
    tally = sources.Tally()
    batches = list((its or source()).read(path, READING, tally))
    for batch in batches:
        assert batch.events.schema.equals(schema.EVENTS.arrow)
        for what in ("token", "network", "client", "operation", "object"):
            known = set(batch.dimensions[f"dim_{what}"].column(f"{what}_key").to_pylist())
            assert set(batch.events.column(f"{what}_key").to_pylist()) - {0} <= known
    events = pa.concat_tables([b.events for b in batches]) if batches else schema.empty("events")
    assert tally.read == events.num_rows + sum(tally.ignored.values()) + len(tally.quarantined)
    return events.to_pandas(), tally


def as_csv(rows: list[dict[str, Any]], **dialect: Any) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]), **dialect)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def put(folder: Path, content: bytes, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def one(folder: Path, columns: dict[str, str] | None = None, more: dict[str, Any] | None = None, **cells: Any) -> Any:
    """The only event of a JSON line of these cells; a quarantined one's reason instead."""
    given = mapped.Mapping("orders", "orders-api", COLUMNS | (columns or {}), **(more or {}))
    events, tally = read(put(folder, json.dumps(ROW | cells).encode(), "a.jsonl"), mapped.source(given))
    return events.iloc[0] if len(events) else tally.quarantined[0].reason


# ---- the same event, whatever the format ----
def formats(folder: Path, rows: list[dict[str, Any]]) -> list[Path]:
    content = as_csv(rows)
    lines = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    pq.write_table(pa.Table.from_pylist(rows), folder / "a.parquet")
    return [
        put(folder, content, "plain.csv"),
        put(folder, gzip.compress(content), "a.csv.gz"),
        put(folder, b"\xef\xbb\xbf" + content, "mark.csv"),
        put(folder, as_csv(rows, delimiter=";", lineterminator="\n"), "semicolon.csv"),
        put(folder, as_csv(rows, delimiter="\t", quoting=csv.QUOTE_ALL), "a.tsv"),
        put(folder, lines, "a.jsonl"),
        put(folder, gzip.compress(lines), "a.jsonl.gz"),
        folder / "a.parquet",
    ]


def test_every_format_gives_the_same_events(tmp_path: Path) -> None:
    rows = [ROW | {"url": f"/v1/orders/{i}", "code": code} for i, code in enumerate(("200", "403", "", "404"))]
    first = None
    for path in formats(tmp_path, rows):
        events, tally = read(path)
        assert tally.quarantined == [] and len(events) == 4
        events = events.drop(columns=["event_uid", "event_key", "raw_ref"])
        first = events if first is None else first
        pd.testing.assert_frame_equal(events, first)


def test_a_mapped_row_is_the_event_that_a_gateway_would_make_of_it(tmp_path: Path) -> None:
    line = raw_logs.nginx("r1", http_user_agent="curl/8.1 (+https://example.com/a?b=c)", uri="/v1/orders/17?token=a")
    path = put(tmp_path, json.dumps(line).encode(), "a.jsonl")
    (gateways,) = sources.get("nginx").read(path, READING, sources.Tally())
    columns = {"time": "msec", "event_uid": "request_id", "native_id": "api_key_id", "method": "request_method",
               "path": "uri", "src_ip": "remote_addr", "user_agent": "http_user_agent", "status": "status",
               "request_bytes": "request_length", "response_bytes": "bytes_sent",
               "duration": "request_time"}  # fmt: skip
    given = mapped.Mapping("own", "gateway", columns, {"service": "gateway:default"}, {"duration": "s"})
    (ours,) = mapped.source(given).read(path, READING, sources.Tally())
    own = ["source", "event_key"]
    assert ours.events.drop(own).equals(gateways.events.drop(own))
    assert ours.dimensions["dim_token"].equals(gateways.dimensions["dim_token"])


names = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1, max_size=20)


@SOME
@given(st.lists(st.tuples(names, names, st.integers(0, 1 << 50), st.sampled_from(["GET", "POST"])), min_size=1),
       st.sampled_from([",", ";", "\t", "|"]), st.sampled_from(["\n", "\r\n"]), st.booleans())  # fmt: skip
@example([('"', 'a"b', 1, "GET"), ("a,b;c\td|e", "'", 2, "POST")], ",", "\n", False)
def test_any_csv_of_our_own_making_round_trips(
    tmp_path: Path, cells: list[tuple[str, str, int, str]], separator: str, end: str, every: bool
) -> None:
    rows = [
        {"at": 1772360430000 + i, "key": key, "user": user, "bytes": size, "verb": verb, "url": "/v1/a", "n": i}
        for i, (key, user, size, verb) in enumerate(cells)
    ]
    quoting = csv.QUOTE_ALL if every else csv.QUOTE_MINIMAL
    path = put(tmp_path, as_csv(rows, delimiter=separator, lineterminator=end, quoting=quoting))
    columns = {"time": "at", "native_id": "key", "principal": "user", "response_bytes": "bytes", "method": "verb",
               "path": "url", "event_uid": "n"}  # fmt: skip
    events, tally = read(path, source(columns))
    assert tally.quarantined == [] and len(events) == len(rows)
    assert events["response_bytes"].tolist() == [row["bytes"] for row in rows]
    assert events["http_method"].tolist() == [row["verb"] for row in rows]
    assert [int(t.timestamp() * 1000) for t in events["time"]] == [row["at"] for row in rows]
    for row, uid in zip(rows, events["token_uid"], strict=True):
        native = str(row["key"]).strip()
        if native not in mapped_nothing():
            assert uid == identity.token_uid(KEY, "orders-api", native)


def mapped_nothing() -> frozenset[str]:
    from tokenkit.sources.mapped.values import NOTHING

    return NOTHING


@SOME
@given(st.binary(max_size=300), st.sampled_from(["", "csv", "jsonl", "parquet"]), st.booleans())
@example(b'at,key,verb,url,ip,agent,code,bytes\n"' + b'"' * 50, "csv", False)
@example(b"at,key,verb,url,ip,agent,code,bytes\n\xff\x00,,,\n", "csv", False)
@example(b"PAR1PAR1", "", False)
@example(b"\x1f\x8b", "csv", False)
def test_any_bytes_are_refused_or_counted(tmp_path: Path, content: bytes, form: str, after_header: bool) -> None:
    path = put(tmp_path, as_csv([ROW]) + content if after_header else content)
    try:
        read(path, source(format=form))
    except (ConfigError, SourceError) as error:
        assert str(path) in str(error)
        assert not after_header or form == "parquet" or "Parquet" in str(error) or form == "jsonl"


odd = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**30), 10**30), st.floats(), st.text(max_size=12),
    st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.sampled_from(["2026-03-01", "9999-12-31T23:59:59-23:59", "1e999", "²", "GET", "/a?b", "nan", "1" * 30, "403"]),
)  # fmt: skip


@SOME
@given(st.lists(st.dictionaries(st.sampled_from(list(FIELDS)), odd), max_size=5))
def test_any_values_of_any_column_are_stored_or_quarantined(tmp_path: Path, records: list[dict[str, Any]]) -> None:
    lines = [json.dumps({"time": 1772360430, "operation": "x"} | record).encode() for record in records]
    path = put(tmp_path, b"\n".join(lines), "a.jsonl")
    every = source({name: name for name in FIELDS})
    _, tally = read(path, every)
    assert tally.read == len(records)
    check.check(path, every, READING)


# ---- rows that cannot be read ----
def test_ragged_rows_and_bad_quotes_cost_their_own_row_and_name_its_line(tmp_path: Path) -> None:
    good = b"2026-03-01T10:00:0%d,k1,GET,/a,203.0.113.7,%s,200,5\n"
    content = as_csv([ROW]) + b"".join([
        good % (1, b"a"), b"too,few\n", good % (2, b"b"), good % (3, b'"x"y'), good % (4, b'"open'), good % (5, b"c"),
        good % (6, b'"two\nlines"'), b"a,b,c,d,e,f,g,h,i\n", good % (7, b'say "hi"'), good % (8, b'"a ""b"""'),
        b"\n", (good % (9, b"d")).strip() + b",,\n",
    ])  # fmt: skip
    events, tally = read(put(tmp_path, content))
    assert [(one.place, one.reason) for one in tally.quarantined] == [
        ("line 4", "2 values, expected 8"),
        ("line 6", "a quote or a line end stands inside a value"),
        ("line 7", "a quote is not closed"),
        ("line 11", "9 values, expected 8"),
    ]
    assert events["time"].dt.second.tolist() == [30, 1, 2, 5, 6, 7, 8, 9]
    assert events["user_agent"].tolist()[4:] == ["two�lines", 'say "hi"', 'a "b"', "d"]
    assert events["raw_ref"].str.rsplit("#").str[-1].tolist() == ["2", "3", "5", "8", "9", "12", "13", "15"]


def test_a_value_over_the_end_of_a_batch_stays_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tabular, "BATCH", 3)
    rows = [ROW | {"agent": f"a{i}\nb" if i % 2 else f"c{i}", "bytes": str(i)} for i in range(20)]
    events, tally = read(put(tmp_path, as_csv(rows)))
    assert tally.quarantined == [] and events["response_bytes"].tolist() == list(range(20))


def test_a_quote_that_nobody_closes_does_not_swallow_the_rest(tmp_path: Path) -> None:
    rows = [ROW | {"bytes": str(i)} for i in range(3000)]
    content = as_csv(rows, lineterminator="\n").replace(b",curl/8.1,200,1000\n", b',"curl/8.1,200,1000\n')
    events, tally = read(put(tmp_path, content))
    assert len(events) == 2999 and [one.place for one in tally.quarantined] == ["line 1002"]


def test_a_cut_off_file_gives_what_came_before(tmp_path: Path) -> None:
    rows = [ROW | {"bytes": str(i * 7919), "agent": f"a{i * 104729:x}"} for i in range(5000)]
    for name, content in (("a.csv.gz", as_csv(rows)), ("a.jsonl.gz", b"\n".join(json.dumps(r).encode() for r in rows))):
        whole = gzip.compress(content)
        events, tally = read(put(tmp_path, whole[: len(whole) // 2], name))
        assert 500 < len(events) < 5000 and len(tally.quarantined) == 1
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    events, tally = read(put(tmp_path, whole[: len(whole) // 2], "a.parquet"))
    assert len(events) == 0 and "Parquet" in tally.quarantined[0].reason


def test_a_damaged_row_group_costs_that_group(tmp_path: Path) -> None:
    rows = [ROW | {"agent": f"a{i * 104729:x}", "bytes": str(i)} for i in range(3000)]
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=1000, compression="zstd")
    group = pq.ParquetFile(path).metadata.row_group(1).column(5)
    content = bytearray(path.read_bytes())
    start = group.data_page_offset + 60
    content[start : start + 200] = bytes(200)
    path.write_bytes(content)
    events, tally = read(path)
    assert len(tally.quarantined) == 1 and tally.quarantined[0].place == "row group 1"
    assert events["response_bytes"].tolist() == [*range(1000), *range(2000, 3000)]
    assert events["raw_ref"].iloc[-1].endswith("#3000")


# ---- values ----
INSTANT = pd.Timestamp("2026-03-01 10:20:30", tz="UTC")


@pytest.mark.parametrize(
    "at",
    ["2026-03-01T10:20:30Z", "2026-03-01 10:20:30", "2026-03-01T12:20:30+02:00", "2026-03-01 10:20:30 UTC",
     "2026-03-01T10:20:30.000000000Z", "20260301T102030Z", 1772360430, 1772360430000, 1772360430000000,
     1772360430000000000, "1772360430", "1772360430.0", "1772360430000", 1772360430.0],
)  # fmt: skip
def test_a_time_is_iso_8601_or_a_number_of_any_unit(tmp_path: Path, at: Any) -> None:
    assert one(tmp_path, at=at)["time"] == INSTANT
    mixed = [ROW | {"at": at, "n": 1}, ROW | {"at": "2026-03-01T10:20:30Z", "n": 2}]
    events, _ = read(put(tmp_path, b"\n".join(json.dumps(r).encode() for r in mixed), "a.jsonl"))
    assert events["time"].tolist() == [INSTANT] * 2


def test_a_stated_unit_is_believed(tmp_path: Path) -> None:
    assert one(tmp_path, more={"units": {"time": "ms"}}, at=1772360430000)["time"] == INSTANT
    assert "2000 and 2100" in one(tmp_path, more={"units": {"time": "ms"}}, at=1772360430)


@pytest.mark.parametrize("at", ["", None, "yesterday", "2026-13-01", True, [], {}, "-", "1999-12-31", "²", 0, "1e9"])
def test_a_row_without_a_time_is_refused_and_the_reason_quotes_nothing(tmp_path: Path, at: Any) -> None:
    reason = one(tmp_path, at=at)
    assert isinstance(reason, str) and reason.startswith("at is ")
    assert "yesterday" not in reason and "2026-13" not in reason


def test_parquet_types_become_what_json_would_have(tmp_path: Path) -> None:
    table = pa.table({
        "at": pa.array([datetime(2026, 3, 1, 10, 20, 30)], pa.timestamp("ns")),
        "key": pa.array([b"k1"]), "url": pa.array(["/a"]).dictionary_encode(), "verb": pa.array(["GET"]),
        "code": pa.array([404.0]), "bytes": pa.array([Decimal("17")]), "who": pa.array([{"user": "ana"}]),
        "scopes": pa.array([["read", "write"]]),
    })  # fmt: skip
    pq.write_table(table, tmp_path / "a.parquet")
    columns = {"time": "at", "native_id": "key", "path": "url", "method": "verb", "status": "code",
               "response_bytes": "bytes", "principal": "who.user", "scopes": "scopes"}  # fmt: skip
    events, tally = read(tmp_path / "a.parquet", source(columns))
    event = events.iloc[0]
    assert tally.quarantined == [] and event["time"] == INSTANT
    assert (event["http_status"], event["response_bytes"], event["principal_uid"]) == (404, 17, "ana")
    assert event["scopes"].tolist() == ["read", "write"]


@pytest.mark.parametrize(
    ("code", "error", "denied", "expected"),
    [
        ("200", None, None, (200, 1, False)), (403, None, None, (403, 2, True)), ("500", None, None, (500, 2, False)),
        ("ok", None, None, (None, 1, False)), ("Access Denied", None, None, (None, 2, True)),
        ("failed", None, None, (None, 2, False)), ("PERMISSION_DENIED", None, None, (None, 2, True)),
        ("strange", None, None, (None, 0, None)), (None, None, None, (None, 0, None)),
        (None, "AccessDenied", None, (403, 2, True)), ("200", "Oops", None, (200, 2, False)),
        ("200", None, "yes", (200, 2, True)), ("403", None, "0", (403, 2, False)), (None, None, True, (None, 2, True)),
    ],
)  # fmt: skip
def test_an_outcome_is_a_code_a_word_an_error_or_a_refusal(
    tmp_path: Path, code: Any, error: Any, denied: Any, expected: tuple[int | None, int, bool | None]
) -> None:
    event = one(tmp_path, {"error": "e", "denied": "d"}, code=code, e=error, d=denied)
    http = None if pd.isna(event["http_status"]) else int(event["http_status"])
    assert (http, event["status_id"], event["is_denied"]) == expected


@pytest.mark.parametrize(
    ("columns", "cells", "expected"),
    [
        ({"operation": "op"}, {"op": "list_orders"}, ("list_orders", 2)),
        ({"operation": "op"}, {"op": "orders.delete"}, ("orders.delete", 4)),
        ({"operation": "op", "method": "verb"}, {"op": "orders", "verb": "delete"}, ("orders", 4)),
        ({"operation": "op", "path": "url", "method": "verb"}, {"op": ""}, ("GET /v1/orders/{id}", 2)),
        ({"path": "url"}, {}, ("/v1/orders/{id}", 0)),
        ({"path": "url", "method": "verb"}, {"url": "https://h/v1/orders/9?k=v"}, ("GET /v1/orders/{id}", 2)),
    ],
)
def test_an_operation_is_the_logs_own_or_method_and_route(
    tmp_path: Path, columns: dict[str, str], cells: dict[str, str], expected: tuple[str, int]
) -> None:
    its = source({"time": "at", "native_id": "key"} | columns)
    events, _ = read(put(tmp_path, json.dumps(ROW | cells).encode(), "a.jsonl"), its)
    assert (events["operation"][0], events["activity_id"][0]) == expected


def test_every_column_that_a_log_may_have_is_stored(tmp_path: Path) -> None:
    cells = {
        "time": "2026-03-01T10:20:30Z", "logged_time": 1772360440, "event_uid": "e1", "native_id": NATIVE,
        "principal": "ana", "token_kind": "jwt", "token_lifetime": "session", "session": "s1", "app": "shop",
        "tenant": "t1", "mfa": "true", "operation": "CreateOrder", "service": "orders", "method": "POST",
        "path": "/v1/orders", "src_ip": "203.0.113.7", "src_country": "de", "src_asn": 64500, "user_agent": "curl/8",
        "ja4": "t13d1516h2", "resource": "order-17", "resource_type": "order", "region": "eu", "status": "200",
        "error": None, "denied": "no", "request_bytes": 1, "response_bytes": 2, "duration": 3.5, "rows": 4,
        "cost_units": 5.5, "page_offset": 6, "scopes": "read,write", "count": 7,
        "activity": "remove",
    }  # fmt: skip
    assert set(cells) == set(FIELDS)
    path = put(tmp_path, json.dumps(cells).encode(), "a.jsonl")
    events, tally = read(path, source({name: name for name in FIELDS}))
    assert tally.quarantined == []
    event = events.iloc[0]
    stored = {
        "event_uid": "e1", "principal_uid": "ana", "token_kind": "jwt", "token_lifetime": "session", "app_uid": "shop",
        "token_type_id": 99, "tenant_uid": "t1", "is_mfa": True, "operation": "CreateOrder", "service": "orders",
        "http_method": "POST", "url_path": "/v1/orders", "src_ip": "203.0.113.7", "src_country": "DE",
        "src_asn": 64500, "user_agent": "curl/8", "ja4": "t13d1516h2", "resource_uid": "order-17",
        "resource_type": "order", "region": "eu", "http_status": 200, "is_denied": False, "request_bytes": 1,
        "response_bytes": 2, "duration_ms": 3.5, "rows": 4, "cost_units": 5.5, "page_offset": 6, "count": 7,
        "logged_time": INSTANT + timedelta(seconds=10), "activity_id": 4,
    }  # fmt: skip
    assert {name: event[name] for name in stored} == stored
    assert event["scopes"].tolist() == ["read", "write"] and event["session_uid"].startswith("tok1_")
    assert event["token_uid"] == identity.token_uid(KEY, "orders-api", NATIVE)


def test_values_of_the_mapping_hold_for_every_row(tmp_path: Path) -> None:
    event = one(tmp_path, more={"values": {"service": "orders", "token_lifetime": "session", "region": "eu"}})
    assert (event["service"], event["token_lifetime"], event["region"]) == ("orders", "session", "eu")


def test_a_row_without_a_credential_is_a_principals_or_nobodys(tmp_path: Path) -> None:
    assert one(tmp_path, key="-")["token_kind"] == "none"
    event = one(tmp_path, {"principal": "user"}, key=None, user="ana")
    assert (event["token_kind"], event["principal_uid"]) == ("principal", "ana")


def test_a_record_that_has_a_name_with_dots_as_such_changes_no_other_record(tmp_path: Path) -> None:
    columns = {"time": "at", "native_id": "auth.key", "operation": "op"}
    nested, flat = ROW | {"auth": {"key": "k1"}, "op": "Get"}, ROW | {"auth.key": "k2", "op": "Get"}
    lines = b"\n".join(json.dumps(line).encode() for line in (nested, flat))
    events, _ = read(put(tmp_path, lines, "a.jsonl"), source(columns))
    assert events["token_uid"].tolist() == [identity.token_uid(KEY, "orders-api", key) for key in ("k1", "k2")]


def test_names_with_dots_lead_into_objects(tmp_path: Path) -> None:
    columns = {"time": "at", "native_id": "auth.key.id", "operation": "a.b"}
    line = ROW | {"auth": {"key": {"id": NATIVE}}, "a.b": "flat wins"}
    events, _ = read(put(tmp_path, json.dumps(line).encode(), "a.jsonl"), source(columns))
    assert events["operation"][0] == "flat wins"
    assert events["token_uid"][0] == identity.token_uid(KEY, "orders-api", NATIVE)


def test_equal_rows_have_one_key_before_they_are_numbered_and_different_ones_have_not(tmp_path: Path) -> None:
    rows = [ROW, ROW, ROW | {"bytes": "1"}]
    for path in formats(tmp_path, rows):
        events, _ = read(path)
        assert events["event_key"].nunique() == 2
        assert check.check(path, source(COLUMNS), READING).counts["stored"] == 3


def test_a_success_of_true_and_false_is_a_status(tmp_path: Path) -> None:
    rows = [ROW | {"code": True}, ROW | {"code": False, "bytes": "1"}]
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    events, tally = read(path)
    assert tally.quarantined == [] and sorted(events["status_id"]) == [1, 2]


def test_a_file_of_one_blank_line_is_counted_and_stops_nothing(tmp_path: Path) -> None:
    path = tmp_path / "blank.csv"
    path.write_text("\n")
    events, _ = read(path)
    assert len(events) == 0


def test_what_a_time_means_does_not_depend_on_its_neighbours() -> None:
    alone, beside = values.moment("20260301", ""), values.column_moments(["20260301"], {str}, "")
    assert alone == beside.tolist()[0]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("1 error occurred: permission denied", (None, 2, True)), ("PERMISSION_DENIED", (None, 2, True)),
        ("Access Denied", (None, 2, True)), ("AuthorizationFailed", (None, 2, True)), ("403", (403, 2, True)),
        ("AuthorizationError", (None, 2, True)), ("insufficient_scope", (None, 2, True)), (403, (403, 2, True)),
        ("You are not authorized to perform this operation.", (None, 2, True)), ("AccessDenied", (403, 2, True)),
        ("401 Unauthorized", (401, 2, True)), ("invalid api key", (None, 2, True)), ("Token expired", (None, 2, True)),
        ("0", (None, 1, False)), ("false", (None, 1, False)), ("OK", (None, 1, False)), ("none", (None, 1, False)),
        (False, (None, 1, False)), (0, (None, 1, False)), ("", (None, 1, False)), ("200 OK", (200, 1, False)),
        ("NoSuchKey", (None, 2, False)), ("connection refused", (None, 2, False)), ("not_found", (None, 2, False)),
        ("429 Too Many Requests", (429, 2, False)), ("ThrottlingException", (429, 2, False)),
        ("Method Not Allowed", (None, 2, False)), ("7", (None, 2, False)),
    ],
)  # fmt: skip
def test_an_error_is_a_refusal_a_failure_or_none_at_all(
    tmp_path: Path, error: Any, expected: tuple[int | None, int, bool]
) -> None:
    columns = {k: v for k, v in COLUMNS.items() if k != "status"} | {"error": "e"}
    path = put(tmp_path, json.dumps(ROW | {"e": error}).encode(), "a.jsonl")
    (event,) = read(path, source(columns))[0].to_dict("records")
    code = None if pd.isna(event["http_status"]) else int(event["http_status"])
    assert (code, event["status_id"], event["is_denied"]) == expected
    assert pd.isna(event["status_code"]) == (expected[1] == 1)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("429 Too Many Requests", (429, 2, False)), ("HTTP/1.1 403 Forbidden", (403, 2, True)),
        ("200 OK", (200, 1, False)),
        ("permission denied", (None, 2, True)), ("Not Authorised", (None, 2, True)),
        ("UNAUTHENTICATED", (None, 2, True)),
        ("DEADLINE_EXCEEDED", (None, 2, False)), ("Timed out", (None, 2, False)), ("Success", (None, 1, False)),
        ("-403-", (403, 2, True)), ("0", (None, 0, None)), ("2000", (None, 0, None)),
        ("unsuccessful", (None, 2, False)),
    ],
)  # fmt: skip
def test_a_status_is_read_as_people_write_it(
    tmp_path: Path, status: str, expected: tuple[int | None, int, bool | None]
) -> None:
    event = one(tmp_path, code=status)
    code = None if pd.isna(event["http_status"]) else int(event["http_status"])
    assert (code, event["status_id"], event["is_denied"]) == expected


# ---- numbers of other countries ----
NUMBERS = {"time": "at", "native_id": "key", "operation": "verb", "response_bytes": "bytes", "duration": "took"}


def numbers(folder: Path, bytes_: list[str], took: list[str], **more: Any) -> pd.DataFrame:
    rows = [{"at": f"2026-03-01T10:20:{i:02d}Z", "key": NATIVE, "verb": "GET", "bytes": b, "took": t}
            for i, (b, t) in enumerate(zip(bytes_, took, strict=True))]  # fmt: skip
    path = put(folder, as_csv(rows, delimiter=";"))
    its = source(NUMBERS, **more)
    check.check(path, its, READING)
    events, tally = read(path, its)
    assert tally.quarantined == []
    return events


GERMAN = (["1.234", "48.250", "1.234.567", "998", "0"], ["12,5", "8", "1.204,75", "7", "-"])
ENGLISH = (["1,234", "48,250", "1,234,567", "998", "0"], ["12.5", "8", "1,204.75", "7", ""])
SWISS = (["1'234", "48'250", "1'234'567", "998", "0"], ["12.5", "8", "1'204.75", "7", ""])


@pytest.mark.parametrize(
    ("cells", "marks"),
    [
        (GERMAN, {"decimal": ","}), (GERMAN, {"thousands": "."}), (GERMAN, {"decimal": ",", "thousands": "."}),
        (ENGLISH, {"thousands": ","}), (ENGLISH, {"decimal": "."}), (SWISS, {"decimal": ".", "thousands": "'"}),
        (([c.replace(".", "\u202f") for c in GERMAN[0]], [c.replace(".", "\u202f") for c in GERMAN[1]]),
         {"decimal": ",", "thousands": "\u202f"}),
    ],
)  # fmt: skip
def test_numbers_are_read_with_the_marks_of_the_mapping(
    tmp_path: Path, cells: tuple[list[str], list[str]], marks: dict[str, str]
) -> None:
    events = numbers(tmp_path, *cells, **marks)
    assert events["response_bytes"].tolist() == [1234, 48250, 1234567, 998, 0]
    assert events["duration_ms"].tolist()[:4] == [12.5, 8.0, 1204.75, 7.0] and pd.isna(events["duration_ms"][4])


@pytest.mark.parametrize(
    ("cells", "column"),
    [
        (GERMAN, "bytes"), (ENGLISH, "bytes"), (SWISS, "bytes"), ((["998", "5"], ["12,5", "8"]), "took"),
        ((["1.234", "998"], ["1", "2"]), "bytes"), ((["1", "2"], ["1.204,75", "1,204.75"]), "took"),
    ],
)  # fmt: skip
def test_numbers_that_countries_read_differently_are_refused_with_the_remedy(
    tmp_path: Path, cells: tuple[list[str], list[str]], column: str
) -> None:
    with pytest.raises(ConfigError, match=rf'"{column}", but this column of .*decimal = ",".*thousands = "\."'):
        numbers(tmp_path, *cells)


@pytest.mark.parametrize(
    ("bytes_", "took"), [(["1234", "998"], ["0.125", "1.204"]), (["512.125", "17.5"], ["1", "2"]),
                         (["1234.0", "998.0"], ["1e3", "2"]), (["0.125", "3"], ["", "-"])]
)  # fmt: skip
def test_numbers_that_everybody_reads_alike_need_no_marks(tmp_path: Path, bytes_: list[str], took: list[str]) -> None:
    events = numbers(tmp_path, bytes_, took)
    assert events["response_bytes"].tolist() == [round(float(b)) for b in bytes_]


def test_one_odd_number_of_many_costs_its_row_and_names_the_remedy(tmp_path: Path) -> None:
    rows = [ROW | {"bytes": str(i)} for i in range(100)]
    rows[40]["bytes"] = "1.234"
    events, tally = read(put(tmp_path, as_csv(rows)))
    assert len(events) == 99 and [q.place for q in tally.quarantined] == ["line 42"]
    assert 'thousands = "."' in tally.quarantined[0].reason


def test_a_number_that_breaks_the_marks_costs_its_row(tmp_path: Path) -> None:
    rows = [ROW | {"bytes": b} for b in ("1.234", "12.34", "1,234.5", "1.23.456", "7")]
    events, tally = read(put(tmp_path, as_csv(rows)), source(decimal=","))
    assert events["response_bytes"].tolist() == [1234, 7] and len(tally.quarantined) == 3


@SOME
@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=20), st.sampled_from([(",", "."), (".", ","), (".", "'")]))
def test_any_whole_number_is_read_with_any_marks(tmp_path: Path, amounts: list[int], marks: tuple[str, str]) -> None:
    rows = [ROW | {"bytes": f"{amount:,}".replace(",", marks[1]), "at": f"2026-03-01T10:20:{i:02d}Z"}
            for i, amount in enumerate(amounts)]  # fmt: skip
    events, tally = read(put(tmp_path, as_csv(rows)), source(decimal=marks[0], thousands=marks[1]))
    assert tally.quarantined == [] and events["response_bytes"].tolist() == amounts


# ---- lists, rows that are no calls, kinds by prefix, units ----
def test_the_first_of_a_list_is_taken_and_names_lead_into_lists(tmp_path: Path) -> None:
    line = {"at": "2026-03-01T10:20:30Z", "headers": {"X-Key": [NATIVE], "User-Agent": ["curl/8", "other"], "No": []},
            "hops": [{"ip": "203.0.113.7"}, {"ip": "198.51.100.4"}], "sizes": [[512]], "verb": "GET", "url": "/a",
            "rights": ["read", "write"]}  # fmt: skip
    columns = {"time": "at", "native_id": "headers.X-Key", "user_agent": "headers.User-Agent", "method": "verb",
               "path": "url", "src_ip": "hops.1.ip", "response_bytes": "sizes", "principal": "headers.No",
               "service": "hops.ip", "tenant": "hops.9.ip", "scopes": "rights"}  # fmt: skip
    (event,) = read(put(tmp_path, json.dumps(line).encode(), "a.jsonl"), source(columns))[0].to_dict("records")
    assert event["token_uid"] == identity.token_uid(KEY, "orders-api", NATIVE)
    assert (event["user_agent"], event["src_ip"], event["service"]) == ("curl/8", "198.51.100.4", "203.0.113.7")
    assert event["response_bytes"] == 512 and event["scopes"].tolist() == ["read", "write"]
    assert pd.isna(event["principal_uid"]) and pd.isna(event["tenant_uid"])


def test_rows_that_are_no_calls_are_ignored_and_counted(tmp_path: Path) -> None:
    kinds = (("call", "done"), ("ping", "done"), (" call", "begun"), (None, "done"))
    rows = [ROW | {"kind": kind, "more": {"stage": stage}, "bytes": str(i)} for i, (kind, stage) in enumerate(kinds)]
    content = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    text = TOML.replace('"op"', '"verb"') + '[where]\nkind = "call"\nmore.stage = ["done", "over"]\n'
    its = mapped.load(mapping(tmp_path, text))
    events, tally = read(put(tmp_path, content, "a.jsonl"), its)
    assert events["raw_ref"].str.rsplit("#").str[-1].tolist() == ["1"]
    assert tally.ignored == {"rows that are no calls (where kind)": 2, "rows that are no calls (where more.stage)": 1}
    with pytest.raises(ConfigError, match=r"where\.kind, but .* has no such column"):
        read(put(tmp_path, as_csv([ROW])), source(where={"kind": ("call",)}))


def test_the_kind_of_a_credential_follows_from_how_its_id_begins(tmp_path: Path) -> None:
    rows = [ROW | {"key": key} for key in ("AKIA0123456789", "ASIA0123456789", "key-0123456789")]
    its = source(kinds={"A": "aws", "ASIA": "aws_session"}, lifetimes={"ASIA": "session"})
    events, _ = read(put(tmp_path, as_csv(rows)), its)
    assert events["token_kind"].tolist() == ["aws", "aws_session", "api_key"]
    assert events["token_lifetime"].tolist() == ["unknown", "session", "long_lived"]


def test_durations_may_be_in_nanoseconds(tmp_path: Path) -> None:
    event = one(tmp_path, {"duration": "took"}, {"units": {"duration": "ns"}}, took=12_300_000_000)
    assert event["duration_ms"] == 12_300


@pytest.mark.parametrize("bom", [True, False])
def test_a_separator_line_and_utf_16_are_read(tmp_path: Path, bom: bool) -> None:
    text = "sep=;\n" + as_csv([ROW | {"agent": "é"}], delimiter=";", lineterminator="\n").decode()
    for content in (text.encode(), *((text.encode("utf-16"), ("\ufeff" + text).encode("utf-16-be")) if bom else ())):
        events, tally = read(put(tmp_path, content))
        assert tally.quarantined == [] and events["user_agent"].tolist() == ["é"]
        assert events["raw_ref"].str.rsplit("#").str[-1].tolist() == ["3"]
        assert check.check(tmp_path / "a.csv", source(), READING).counts["stored"] == 1


def test_a_broken_first_line_with_the_mark_of_utf_16_costs_itself_alone(tmp_path: Path) -> None:
    content = b"\xff\xfe\n" + b"".join(json.dumps(ROW | {"bytes": i}).encode() + b"\n" for i in range(3))
    events, tally = read(put(tmp_path, content, "a.jsonl"), source(format="jsonl"))
    assert len(events) == 3 and [q.place for q in tally.quarantined] == ["line 1"]


def test_fields_that_no_record_has_are_told_by_ingest_and_check(tmp_path: Path) -> None:
    columns = 'native_id = "auth.acessor"\noperation = "call"\nsrc_ip = "client.ipaddr"\nerror = "fault"\n'
    path = mapping(tmp_path, f'name = "typo"\nissuer = "shop"\n[columns]\ntime = "at"\n{columns}')
    line = {"at": "2026-03-02T10:00:00Z", "auth": {"accessor": "acc-0123456789"}, "call": "r", "client": {"ip": "::1"}}
    put(tmp_path, json.dumps(line).encode(), "a.jsonl")
    place = config.init(tmp_path / "w")
    notes = ingest(place, [parse_input(f"{path}={tmp_path / 'a.jsonl'}")]).notes
    assert len(notes) == 2
    assert "line 5: native_id" in notes[0] and "did you mean auth.accessor?" in notes[0]
    assert 'src_ip = "client.ipaddr", but no record has that field' in notes[1]
    assert set(notes) <= set(check.check(tmp_path / "a.jsonl", sources.get(str(path)), READING).notes)
    put(tmp_path, json.dumps(line | {"client": {"ipaddr": "::1"}, "n": 2}).encode(), "b.jsonl")
    put(tmp_path, json.dumps(line | {"n": 3}).encode(), "c.jsonl")
    two = [parse_input(f"{path}={tmp_path / name}") for name in ("b.jsonl", "c.jsonl")]
    assert len(ingest(place, two).notes) == 1, "one file of two has it"


def test_a_mapping_of_a_log_that_is_known_as_it_is_says_so(tmp_path: Path) -> None:
    columns = 'time = "time"\nnative_id = "auth.accessor"\noperation = "request.operation"\n'
    path = mapping(tmp_path, f'name = "own"\nissuer = "vault"\n[columns]\n{columns}')
    lines = [own_sources.changed(own_sources.VAULT, type=kind) for kind in ("request", "response")]
    put(tmp_path, "\n".join(map(json.dumps, lines)).encode(), "a.jsonl")
    place = config.init(tmp_path / "w")
    (note,) = ingest(place, [parse_input(f"{path}={tmp_path / 'a.jsonl'}")]).notes
    assert "this is a log of vault-audit" in note and f"tokenkit ingest vault-audit={tmp_path / 'a.jsonl'}" in note
    assert mapping_notes(place) == [note]


def test_a_mapped_file_that_goes_meanwhile_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = 'time = "time"\nnative_id = "auth.accessor"\noperation = "request.operation"\n'
    path = mapping(tmp_path, f'name = "own"\nissuer = "vault"\n[columns]\n{columns}')
    put(tmp_path, json.dumps(own_sources.VAULT).encode(), "a.jsonl")
    find_files = sources.find_files

    def found_and_gone(*given: Any) -> Any:
        found = find_files(*given)
        (tmp_path / "a.jsonl").unlink()
        return found

    monkeypatch.setattr(sources, "find_files", found_and_gone)
    counts = ingest(config.init(tmp_path / "w"), [parse_input(f"{path}={tmp_path / 'a.jsonl'}")])
    assert (counts.files, sum(counts.ignored_files.values())) == (0, 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [('decimal = ";"', "decimal is ';'"), ('decimal = ","\nthousands = ","', "both ','"),
     ("decimal = 1", "decimal is 1"),
     ("[where]\nkind = []", "where.kind"), ("[kinds]\nAKIA = 1", "kinds.AKIA"),
     ('[lifetimes]\nAKIA = "long"', "lifetimes.AKIA is 'long'")],
)  # fmt: skip
def test_a_new_key_that_cannot_be_meant_says_what_to_correct(tmp_path: Path, text: str, said: str) -> None:
    top, _, section = text.partition("[")
    with pytest.raises(ConfigError, match=re.escape(said)):
        sources.get(str(mapping(tmp_path, f"{top}\n{TOML}\n{'[' + section if section else ''}")))


# ---- secrets ----
def test_no_secret_is_stored_shown_or_named(tmp_path: Path) -> None:
    rows = [
        {"at": "2026-03-01T10:20:30Z", "key": native, "verb": "GET", "url": f"/v1/{SECRET}/{native}?k={SECRET}",
         "ip": "203.0.113.7", "agent": f"curl/8 {native} {SECRET}", "code": "200", "bytes": "1",
         "user": f"user of {native}", "id": f"id-{native}-{i}", "error": f"bad {native}", "op": f"use {native}",
         "object": f"thing {native} {SECRET}", "note": SECRET, "session": SECRET, "rights": f"read:{native}"}
        for i, native in enumerate((NATIVE, SECRET, "a-long-opaque-credential-0123"))
    ]  # fmt: skip
    broken = [rows[0] | {"at": SECRET}, rows[0] | {"bytes": NATIVE}]
    columns = COLUMNS | {"principal": "user", "event_uid": "id", "error": "error", "operation": "op",
                         "resource": "object", "session": "session", "scopes": "rights"}  # fmt: skip
    for path in formats(tmp_path, rows + broken):
        events, tally = read(path, source(columns))
        assert len(events) == 3 and len(tally.quarantined) == 2 and events["event_uid"].nunique() == 3
        said = check.check(path, source(columns), READING)
        everything = events.to_csv() + repr(tally) + repr(said) + draft.draft(path)
        for secret in (NATIVE, SECRET, "a-long-opaque-credential-0123"):
            assert secret not in everything, (path, secret)


def test_a_file_without_a_header_is_refused_and_not_quoted(tmp_path: Path) -> None:
    path = put(tmp_path, as_csv([ROW]).split(b"\n", 1)[1])
    for refused in (lambda: read(path), lambda: draft.draft(path)):
        with pytest.raises(SourceError, match="looks like data") as error:
            refused()
        assert NATIVE not in str(error.value)


# ---- the mapping itself ----
TOML = """
name = "orders"
issuer = "orders-api"

[columns]
time = "at"
native_id = "key"
operation = "op"
"""


def mapping(folder: Path, text: str = TOML) -> Path:
    return put(folder, text.encode(), "orders.toml")


def test_a_mapping_is_read(tmp_path: Path) -> None:
    its = sources.get(str(mapping(tmp_path, TOML + '[values]\nservice = "s"\n[units]\ntime = "ms"\n')))
    assert its.name == "orders" and ".csv" in its.suffixes and ".parquet" in its.suffixes
    assert its.columns["service"] == ('"s"',)
    path = mapping(tmp_path, TOML.replace("\n[columns]", 'format = "jsonl"\nfiles = [".audit"]\n[columns]'))
    assert sources.get(str(path)).suffixes == (".audit",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TOML + 'src_pi = "ip"\n', "no columns.src_pi; did you mean src_ip?"),
        (TOML.replace("issuer", "isuer"), "no key isuer; did you mean issuer?"),
        (TOML.replace("[columns]", 'src_ip = "x"\n[columns]'), "belongs below [columns]"),
        (TOML.replace('time = "at"\n', ""), "columns.time is missing"),
        (TOML.replace('native_id = "key"\n', ""), "columns.native_id is missing"),
        (TOML.replace('operation = "op"\n', ""), "columns.operation is missing"),
        (TOML.replace('name = "orders"', ""), "name is missing"),
        (TOML.replace('name = "orders"', 'name = "nginx"'), "another source's"),
        (TOML.replace('name = "orders"', 'name = "Orders!"'), "small letters"),
        (TOML.replace('name = "orders"', "name = 7"), "name is 7"),
        (TOML + "service = 7\n", "columns.service is 7, expected text"),
        (TOML + '[values]\noperation = "x"\n', "stands below [columns] and below [values]"),
        (TOML + '[values]\ntime = "x"\n', "no values.time"),
        (TOML + '[values]\ntoken_lifetime = "short"\n', "none of long_lived"),
        (TOML + '[units]\ntime = "h"\n', "units.time is 'h'"),
        (TOML.replace("\n[columns]", 'format = "cvs"\n[columns]'), "did you mean csv?"),
        (TOML.replace("\n[columns]", "files = [1]\n[columns]"), "expected endings"),
        (TOML + "[", "not valid TOML"),
    ],
)
def test_a_mapping_that_cannot_be_meant_says_what_to_correct(tmp_path: Path, text: str, said: str) -> None:
    path = mapping(tmp_path, text)
    with pytest.raises(InputError) as error:
        sources.get(str(path))
    assert said in str(error.value) and str(path) in str(error.value)


def test_a_mapping_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        sources.get(str(tmp_path / "none.toml"))


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_column_that_a_file_lacks_is_named_with_its_columns_and_the_line(tmp_path: Path, name: str) -> None:
    path = next(p for p in formats(tmp_path, [ROW | {"opp": "x"}]) if p.suffix == Path(name).suffix)
    its = sources.get(str(mapping(tmp_path)))
    with pytest.raises(ConfigError) as error:
        list(its.read(path, READING, sources.Tally()))
    for part in ('orders.toml, line 8: operation = "op"', str(path), "no column 'op'", "at, key, verb, url"):
        assert part in str(error.value)


def test_a_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="2 columns of that name"):
        read(put(tmp_path, as_csv([ROW]).replace(b"verb,", b"at,", 1)), source({**COLUMNS, "method": "code"}))


# ---- ingest ----
def workspace(folder: Path) -> config.Workspace:
    place = raw_logs.workspace(folder / "w")
    rows = [ROW | {"op": "read_order", "bytes": str(i)} for i in range(5)] + [ROW | {"at": "never"}]
    mapping(place.root)
    (place.root / "logs").mkdir()
    put(place.root / "logs", as_csv([{"op": "", **row} for row in rows]))
    (place.root / "logs" / "notes.txt").write_text("no log")
    return place


def test_a_file_is_read_once_and_a_changed_mapping_holds_for_new_files(tmp_path: Path) -> None:
    place = workspace(tmp_path)
    log, logs = place.root / "logs" / "a.csv", parse_input("orders.toml=logs", place.root)
    first = ingest(place, [logs])
    assert (first.read, first.stored, first.quarantined, first.ignored_files.total()) == (6, 5, 1, 1)
    mapping(place.root, TOML + 'src_ip = "ip"\nevent_uid = "bytes"\n')
    again = ingest(place, [logs])
    assert (again.files_known, again.read) == (1, 0), "its events would count twice under other ids"
    put(log.parent, log.read_bytes().replace(b"2026-03-01", b"2026-03-02"), "b.csv")
    assert ingest(place, [logs]).stored == 5
    stored = lake.read(place.lake, "events").to_pandas()
    assert stored.groupby("day")["src_ip"].count().tolist() == [0, 5]
    assert set(stored["source"]) == {"orders"}


def test_a_mapping_of_the_settings_is_found_from_the_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = workspace(tmp_path)
    with (place.root / config.FILE_NAME).open("a") as file:
        file.write("\n")
    text = (place.root / config.FILE_NAME).read_text()
    (place.root / config.FILE_NAME).write_text('events = ["orders.toml=logs"]\n' + text)
    monkeypatch.chdir(tmp_path)
    place = config.find(place.root)
    assert place is not None
    assert [s.name for s in inputs.mapped_sources(place)] == ["orders"]
    assert ingest(place, inputs.configured_inputs(place)).stored == 5


# ---- draft and check ----
def test_a_draft_of_common_names_can_be_used_as_it_is(tmp_path: Path) -> None:
    rows = [
        {"requestId": f"r{i}", "eventTime": "2026-03-01 10:20:30", "apiKeyId": NATIVE, "HTTP-Method": "GET",
         "request.path": f"/v1/orders/{i}", "clientIp": "203.0.113.7", "User Agent": "curl/8", "status": "200",
         "bytes_sent": str(i), "username": "ana", "odd": "x"}
        for i in range(20)
    ]  # fmt: skip
    for path in formats(tmp_path, rows):
        text = draft.draft(path)
        events, tally = read(path, mapped.load(put(tmp_path, text.encode(), "draft.toml")))
        assert tally.quarantined == [] and len(events) == 20, text
        assert events["event_uid"].tolist() == [f"r{i}" for i in range(20)]
        for name in ("src_ip", "user_agent", "http_status", "response_bytes", "principal_uid", "http_method"):
            assert events[name].notna().all(), name
        assert "columns that nothing is made of: odd" in text and NATIVE not in text
        assert "no zone: UTC" in text


def test_a_draft_guesses_by_values_where_names_say_nothing_but_never_a_credential(tmp_path: Path) -> None:
    row = {"wann": "2026-03-01T10:20:30Z", "wer": NATIVE, "woher": "203.0.113.7", "wie": "GET", "was": "/v1/a"}
    text = draft.draft(put(tmp_path, as_csv([row] * 3)))
    for line in ('time = "wann"  # by its values alone', 'src_ip = "woher"', 'method = "wie"', 'path = "was"',
                 '# native_id = ""  # required'):  # fmt: skip
        assert line in text
    with pytest.raises(ConfigError, match=r"columns\.native_id is missing"):
        mapped.load(put(tmp_path, text.encode(), "draft.toml"))


@pytest.mark.parametrize("content", [b"", b"\n\n", b"# A title\n\nSome words.\n", bytes(range(256)) * 4, b"[1, 2]\n"])
def test_what_is_no_table_has_no_draft(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(SourceError):
        draft.draft(put(tmp_path, content, "a"))


@SOME
@given(st.lists(names, min_size=2, max_size=6, unique=True), st.lists(st.text(max_size=12), min_size=6, max_size=6))
def test_a_draft_of_any_names_is_toml_and_safe_to_print(tmp_path: Path, columns: list[str], cells: list[str]) -> None:
    import tomllib

    path = put(tmp_path, json.dumps(dict(zip(columns, cells, strict=False))).encode(), "a.jsonl")
    text = draft.draft(path)
    given = tomllib.loads(text)
    assert set(given["columns"].values()) <= {*columns}
    assert not re.search(masking._CONTROL, text.replace("\n", ""))


def test_a_check_says_what_is_stored_what_is_null_and_what_is_not_used(tmp_path: Path) -> None:
    rows = [ROW | {"at": "2026-03-01 10:20:30", "bytes": str(i % 12), "note": "x", "key": "-" if i == 3 else NATIVE}
            for i in range(14)]  # fmt: skip
    columns = {k: v for k, v in COLUMNS.items() if k != "src_ip"}
    said = check.check(put(tmp_path, as_csv([*rows, ROW | {"at": "x", "note": ""}])), source(columns), READING)
    assert said.counts == {"read": 15, "stored": 14, "duplicates": 0, "ignored": 0, "quarantined": 1}
    assert len(said.records) == 10 and said.records[0]["token"] == identity.mask(NATIVE)
    assert said.filled["operation"] == "verb + url" and said.filled["token_uid"] == "key"
    assert "network stays blind" in said.null["src_ip"] and "time" not in said.null
    assert said.unused == ["ip", "note"]
    assert [(one.place, one.reason.split(" (")[0]) for one in said.quarantined] == [("line 16", "at is not a time")]
    assert any("UTC" in note for note in said.notes) and any(
        "2 records equal an earlier one" in note for note in said.notes
    )
    assert any("1 calls without a credential" in note for note in said.notes)


def test_a_check_of_our_own_sources_names_their_fields(tmp_path: Path) -> None:
    path = put(tmp_path, json.dumps(raw_logs.nginx("r1", extra="x")).encode(), "a.log")
    said = check.check(path, sources.get("nginx"), READING)
    assert (said.filled["src_ip"], said.filled["time"], said.filled["token_uid"]) == (
        "remote_addr",
        "msec",
        "api_key_id",
    )
    assert said.unused == ["extra"]
    path = put(tmp_path, json.dumps({"Records": [raw_logs.cloudtrail("e1")]}).encode(), "a.json")
    said = check.check(path, sources.get("cloudtrail"), READING)
    assert said.counts["stored"] == 1 and said.filled["operation"] == "eventName"
    assert datetime.fromisoformat(said.records[0]["time"]).tzinfo == UTC


def test_what_is_judged_by_nothing_costs_nothing() -> None:
    assert set(check.COSTS) <= set(check.COLUMNS)


CADDY = {"level": "info", "ts": 1772445600.5, "logger": "http.log.access", "msg": "handled request",
         "request": {"remote_ip": "203.0.113.7", "client_ip": "203.0.113.7", "proto": "HTTP/2.0", "method": "GET",
                     "host": "api.example.com", "uri": "/v1/orders/0", "headers": {"User-Agent": ["curl/8.5.0"],
                                                                                  "X-Api-Key-Id": [NATIVE]}},
         "bytes_read": 0, "user_id": "", "duration": 0.0123, "size": 512, "status": 200,
         "resp_headers": {"Server": ["Caddy"]}}  # fmt: skip


def test_a_draft_for_caddy_takes_the_right_fields(tmp_path: Path) -> None:
    path = put(
        tmp_path, b"".join(json.dumps(CADDY | {"ts": 1772445600.5 + i}).encode() + b"\n" for i in range(3)), "a.log"
    )
    text = draft.draft(path)
    for line in ('native_id = "request.headers.X-Api-Key-Id"', 'user_agent = "request.headers.User-Agent"',
                 'duration = "s"', 'path = "request.uri"',
                 "without a value in the first rows, which nothing can be said of: user_id"):  # fmt: skip
        assert line in text, text
    events, tally = read(path, mapped.load(put(tmp_path, text.encode(), "draft.toml")))
    assert tally.quarantined == [] and len(events) == 3
    assert events["user_agent"].tolist() == ["curl/8.5.0"] * 3 and round(events["duration_ms"][0], 1) == 12.3


def test_a_draft_maps_no_column_without_a_value(tmp_path: Path) -> None:
    rows = [{"at": "2026-03-01T10:20:30Z", "key": "", "verb": "GET", "url": "/a", "status": "-", "bytes": ""}] * 3
    text = draft.draft(put(tmp_path, as_csv(rows)))
    assert "# native_id" in text and "status =" not in text and "response_bytes =" not in text
    assert "nothing can be said of: key, status, bytes" in text


def test_rows_are_kept_by_whole_numbers_that_stand_beside_nulls(tmp_path: Path) -> None:
    table = pa.table({"at": ["2026-06-01T00:00:00Z"] * 3, "key": [NATIVE] * 3, "op": ["Get"] * 3,
                      "kind": pa.array([1.0, None, 2.0])})  # fmt: skip
    pq.write_table(table, tmp_path / "a.parquet")
    given = mapped.Mapping("own", "own", {"time": "at", "native_id": "key", "operation": "op"}, where={"kind": ("1",)})
    events, tally = read(tmp_path / "a.parquet", mapped.source(given))
    assert len(events) == 1 and sum(tally.ignored.values()) == 2


def test_a_date_of_no_year_costs_its_row_group_and_ends_nothing(tmp_path: Path) -> None:
    table = pa.table({"at": ["2026-06-01T00:00:00Z"], "key": [NATIVE], "op": ["Get"],
                      "day": pa.array([2_000_000_000], pa.int32()).cast(pa.date32())})  # fmt: skip
    pq.write_table(table, tmp_path / "a.parquet")
    _, tally = read(tmp_path / "a.parquet", source({"time": "at", "native_id": "key", "operation": "op"}))
    assert [q.reason for q in tally.quarantined] == ["the row group is damaged"]
