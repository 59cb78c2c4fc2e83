"""Whatever a file holds: no exception, every record counted once, tables that conform."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tokenkit import schema, sources
from tokenkit.sources import files

SOME = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
READING = sources.Reading(b"k" * 32)
NAMES = [
    "eventID", "eventTime", "eventSource", "eventName", "userIdentity", "accessKeyId", "arn", "type", "sessionContext",
    "sessionIssuer", "attributes", "mfaAuthenticated", "sourceIPAddress", "userAgent", "resources", "ARN",
    "requestParameters", "bucketName", "key", "additionalEventData", "bytesTransferredOut", "errorCode", "readOnly",
    "Records", "msec", "time_iso8601", "remote_addr", "uri", "status", "bytes_sent", "request_time", "http_user_agent",
    "api_key_id", "request_method", "request_id", "ts_ms", "src_ip", "path", "bytes_out", "latency_ms", "ua", "method",
]  # fmt: skip
texts = st.one_of(
    st.text(max_size=20),
    st.text(st.characters(), max_size=8),  # lone surrogates, NUL, direction marks
    st.sampled_from(
        [
            "",
            "-",
            "2026-03-01T00:00:00Z",
            "2026-03-01T00:00:00.5+02:00",
            "0001-01-01T00:00:00+23:59",
            "9999-12-31",
            "true",
            "203.0.113.7",
            "::ffff:1.2.3.4",
            "AWS Internal",
            "Mozilla/5.0 (X11)",
            "s3.amazonaws.com",
            "GET",
            "1e999",
            "²",
            "/v1/orders/17?x",
            "%ff%00",
            "AKIAIOSFODNN7EXAMPLE",
            "Bearer abcdefghij",
            "nan",
            "1" * 30,
        ]
    ),
)
numbers = st.one_of(
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([1772360430.5, 10**400]),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(NAMES), inner, max_size=6)),
    max_leaves=20,
)


def is_no_list(value: Any) -> bool:
    """Whether a line is one record, and not an array of them."""
    return type(value) is not list


def is_no_document(value: Any) -> bool:
    """Whether a record of CloudTrail is one, and not a document or a list of them."""
    return type(value) is not list and "Records" not in json.dumps(value)


good_cloudtrail = st.fixed_dictionaries(
    {"eventTime": st.just("2026-03-01T00:00:00Z"), "eventName": texts, "eventID": texts},
    optional={name: values for name in NAMES[4:23]},
)
good_line = st.fixed_dictionaries(
    {
        "msec": st.just(1772360430.5),
        "ts_ms": st.just(1772360430500),
        "uri": texts,
        "path": texts,
        "request_method": texts,
    },
    optional={name: values for name in NAMES[24:] if name not in ("msec", "ts_ms", "uri", "path", "request_method")},
)


def check(path: Path, name: str) -> tuple[int, sources.Tally]:
    tally = sources.Tally()
    stored = 0
    for batch in sources.get(name).read(path, READING, tally):
        assert batch.events.schema.equals(schema.EVENTS.arrow)
        stored += batch.events.num_rows
        keys = {"token": "dim_token", "network": "dim_network", "client": "dim_client", "operation": "dim_operation"}
        for what, table in (keys | {"object": "dim_object"}).items():
            assert batch.dimensions[table].schema.equals(schema.table(table).arrow)
            known = set(batch.dimensions[table].column(f"{what}_key").to_pylist())
            assert set(batch.events.column(f"{what}_key").to_pylist()) - {0} == known - {0}
        sink = pa.BufferOutputStream()  # what cannot be written to disk is no event
        pa.ipc.new_file(sink, batch.events.schema).write_table(batch.events)
        batch.events.to_pandas()
    assert tally.read == stored + sum(tally.ignored.values()) + len(tally.quarantined)
    assert all(len(one.piece_digest) == 16 for one in tally.quarantined)
    sources.recognise(path)
    return stored, tally


@SOME
@given(st.lists(st.one_of(good_cloudtrail, values.filter(is_no_document)), max_size=6))
@example([{"eventTime": "2026-03-01T00:00:00Z", "eventName": "\ud800"}])
def test_any_records_of_a_cloudtrail_document(tmp_path: Path, records: list[Any]) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"Records": records}))
    _, tally = check(path, "cloudtrail")
    assert tally.read == len(records)


@SOME
@given(st.sampled_from(["nginx", "haproxy"]), st.lists(st.one_of(good_line, values.filter(is_no_list)), max_size=6))
@example("nginx", [{"msec": 1.7e305, "uri": "/", "remote_addr": "::1", "status": 200}, {}])  # times 1000 it is infinite
def test_any_lines_of_a_gateway(tmp_path: Path, name: str, lines: list[Any]) -> None:
    path = tmp_path / "a.log"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    _, tally = check(path, name)
    assert tally.read == len(lines)


@SOME
@given(st.sampled_from(["nginx", "haproxy"]), st.lists(st.one_of(good_line, values.filter(is_no_list)), max_size=6))
@example("nginx", [{"msec": 1772360430.5, "uri": ""}, 10**400, {"msec": 1772360430.5, "uri": ""}])
@example("nginx", ["x" * 20_000, {"msec": 1772360430.5, "uri": ""}])
def test_any_array_of_a_gateway(tmp_path: Path, name: str, records: list[Any]) -> None:
    path = tmp_path / "a.log"
    path.write_text(json.dumps([{}, *records]))
    _, tally = check(path, name)
    assert tally.read == 1 + len(records)


def test_what_is_no_json_between_two_commas_of_an_array_is_one_record_and_costs_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    good = b'{"msec": 1772360430.5, "uri": "/v1"}'
    for odd in (b"1" * 500, b"undefined", b"1..2", b'{"a": 01}', b"'a'", b'"' + b"a" * 20_000 + b'"'):
        path.write_bytes(b"[" + good + b", " + odd + b", " + good + b"]")
        stored, tally = check(path, "nginx")
        assert (stored, tally.read) == (2, 3), odd[:10]


@SOME
@given(st.sampled_from(["cloudtrail", "nginx", "haproxy"]), st.binary(max_size=300))
@example("cloudtrail", b'{"Records": [')
@example("cloudtrail", b'{"Records": [,,{}]}')
@example("cloudtrail", b'{"Records": [{}, "a]", {"b": "\\')
@example("cloudtrail", b"\x1f\x8b")
@example("nginx", b"\x1f\x8b\x08\x00")
@example("nginx", b"\xff\xfe\n\x00\n")
def test_any_bytes(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    check(path, name)


@SOME
@given(st.lists(good_cloudtrail, min_size=1, max_size=5), st.data())
def test_any_cut_through_a_cloudtrail_file_keeps_what_came_before(
    tmp_path: Path, records: list[Any], data: Any
) -> None:
    for i, record in enumerate(records):
        record |= {"eventID": str(i), "eventName": "GetObject"}
        for odd in set(record) - {"eventID", "eventName", "eventTime", "userAgent"}:
            del record[odd]
        record["userAgent"] = 'a]}\\"' + str(record.get("userAgent"))
    pieces = [json.dumps(record).encode() for record in records]
    whole = b'{"Records": [' + b",".join(pieces) + b"]}"
    at = data.draw(st.integers(0, len(whole) - 1))
    path = tmp_path / "a.json"
    path.write_bytes(whole[:at])
    stored, tally = check(path, "cloudtrail")
    ends = [len(b'{"Records": [' + b",".join(pieces[: i + 1])) for i in range(len(pieces))]
    assert stored == sum(end <= at for end in ends)
    assert len(tally.quarantined) == 1


@SOME
@given(st.sampled_from(["cloudtrail", "nginx"]), st.data())
def test_any_damage_to_a_gzip(tmp_path: Path, name: str, data: Any) -> None:
    lines = [json.dumps({"msec": 1772360430.5, "uri": f"/{i * 7919:x}", "request_method": "GET"}) for i in range(200)]
    records = [{"eventTime": "2026-03-01T00:00:00Z", "eventName": f"Get{i * 7919:x}"} for i in range(200)]
    content = "\n".join(lines) if name == "nginx" else json.dumps({"Records": records})
    packed = bytearray(gzip.compress(content.encode()))
    at = data.draw(st.integers(2, len(packed) - 1))
    if data.draw(st.booleans()):
        packed = packed[:at]
    else:
        packed[at] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "a.gz"
    path.write_bytes(packed)
    check(path, name)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"Records":['])
def test_depth_costs_no_stack(tmp_path: Path, opening: bytes) -> None:
    path = tmp_path / "a"
    for content in (opening * 50_000, b'{"Records": [' + opening * 50_000):
        path.write_bytes(content)
        for name in ("cloudtrail", "nginx"):
            stored, tally = check(path, name)
            assert stored == 0 and len(tally.quarantined) == 1


def test_reading_leaves_the_garbage_collector_as_it_was() -> None:
    import gc

    with pytest.raises(RuntimeError), files.without_collection():
        assert not gc.isenabled()
        raise RuntimeError
    assert gc.isenabled()
