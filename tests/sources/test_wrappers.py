"""Records are read whatever log shippers put around them, and what is no wrapper is never looked into."""

import base64
import gzip
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
import raw_logs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tokenkit import sources
from tokenkit.errors import SourceError
from tokenkit.sources import objects, wrappers
from tokenkit.sources.mapped import Mapping, source
from tokenkit.sources.mapped.draft import draft

READING = sources.Reading(b"k" * 32)
AT = "2026-03-02T10:00:00.123456789Z"
NS = "1772445600123456789"
MAPPED = source(
    Mapping("shop", "shop", {"time": "msec", "native_id": "api_key_id", "method": "request_method", "path": "uri"})
)


def call(number: int, **fields: Any) -> dict[str, Any]:
    return {"msec": 1772445600.5 + number, "remote_addr": "203.0.113.7", "request_method": "GET", "status": 200,
            "uri": f'/v1/orders/{number}?a="{{x}}"', "api_key_id": "key_live_0001aaaabbbb"} | fields  # fmt: skip


def docker(text: str) -> str:
    return json.dumps({"log": text, "stream": "stdout", "time": AT})


def each(around: Callable[[str], str]) -> Callable[[list[str]], str]:
    return lambda calls: "\n".join(map(around, calls)) + "\n"


def envelope(around: Callable[[Any], Any]) -> Callable[[list[str]], str]:
    return each(lambda line: json.dumps(around(line)))


WRAPPED: dict[str, Callable[[list[str]], str]] = {
    "nothing": each(str),
    "docker": each(lambda c: docker(c + "\n")),
    "docker, cut": each(lambda c: docker(c[:50]) + "\n" + docker(c[50:60]) + "\n" + docker(c[60:] + "\n")),
    "cri": each(lambda c: f"{AT} stdout F {c}"),
    "cri, cut": each(lambda c: f"{AT} stdout P {c[:50]}\n{AT} stdout F {c[50:]}"),
    "syslog of 2001": each(lambda c: f"<134>Mar  2 10:00:00 gw1 haproxy[211]: {c}"),
    "syslog as files have it": each(lambda c: f"Mar  2 10:00:00 gw1 haproxy[211]: {c}"),
    "rsyslog": each(lambda c: f"2026-03-02T10:00:00.123456+01:00 gw1 haproxy[211]: @cee:{c}"),
    "syslog of 2009": each(lambda c: f"<134>1 {AT} gw1 haproxy 211 - - @cee: {c}"),
    "syslog with data": each(lambda c: f'<134>1 {AT} gw1 haproxy 211 - [a@1 b="c\\"]{{"][d e="1"] {c}'),
    "syslog over tcp": each(lambda c: f"{len(c)} <134>1 {AT} gw1 haproxy 211 - - {c}"),
    "journald": envelope(lambda c: {"__CURSOR": "s=1", "MESSAGE": c, "_PID": "1"}),
    "journald, bytes": envelope(lambda c: {"__CURSOR": "s=1", "MESSAGE": list(c.encode())}),
    "journald, export": each(lambda c: f"__CURSOR=s=1\n_PID=1\nMESSAGE={c}\n_HOSTNAME=gw\n"),
    "heroku": each(lambda c: f"<158>1 2026-03-02T10:00:00.000000+00:00 host app web.1 - {c}"),
    "a word": each(lambda c: f"escape=json{c}"),
    "docker compose": each(lambda c: f"web_1  | {c}"),
    "kubectl": each(lambda c: f"[pod/gw-1/nginx] {c}"),
    "fluentd": each(lambda c: f"2026-03-02T10:00:00+00:00\tnginx.access\t{c}"),
    "cloudwatch, export": each(lambda c: f"{AT} {c}"),
    "cloudwatch, tail": each(lambda c: f"2026-03-02T10:00:00 gw/i-1 {c}"),
    "cloudwatch, subscription": lambda calls: json.dumps({"logEvents": [{"id": "1", "message": c} for c in calls]}),
    "cloudwatch, api": lambda calls: json.dumps({"events": [{"timestamp": 1, "message": c} for c in calls]}, indent=2),
    "fluent bit": envelope(lambda c: {"date": 1772445600.1, "log": c}),
    "fluent bit, parsed": envelope(lambda c: {"date": 1.0, "kubernetes": {"pod": "x"}, "nginx": json.loads(c)}),
    "logstash": envelope(lambda c: {"@timestamp": AT, "message": "gw", "event": {"original": c}, "path": "/var/log/x"}),
    "vector": envelope(lambda c: {"message": json.loads(c), "source_type": "file"}),
    "google cloud": envelope(lambda c: {"insertId": "1", "timestamp": AT, "jsonPayload": json.loads(c)}),
    "elasticsearch": lambda calls: json.dumps({"hits": {"hits": [{"_source": json.loads(c)} for c in calls]}}),
    "elasticsearch, dump": envelope(lambda c: {"_index": "gw", "_id": "1", "_source": {"message": c}}),
    "splunk": envelope(lambda c: {"preview": False, "result": {"_raw": c, "host": "gw1"}}),
    "loki": lambda calls: json.dumps(
        {"data": {"result": [{"stream": {}, "values": [["1772445600", c] for c in calls]}]}}
    ),
    "loki, command": envelope(lambda c: {"labels": {"app": "gw"}, "line": c, "timestamp": AT}),
    "datadog": lambda calls: json.dumps({"data": [{"id": "1", "attributes": {"message": c}} for c in calls]}),
    "docker in syslog": each(lambda c: f"Mar  2 10:00:00 gw1 docker[1]: {docker(c)}"),
    "array": lambda calls: "[" + ", ".join(calls) + "]",
    "array over lines": lambda calls: "[\n" + ",\n".join(calls) + "\n]\n",
    "array, pretty": lambda calls: json.dumps(list(map(json.loads, calls)), indent=2),
    "objects, pretty": each(lambda c: json.dumps(json.loads(c), indent=2)),
    "side by side": lambda calls: "".join(calls),
    "with commas": lambda calls: ",\n".join(calls),
    "json sequence": lambda calls: "".join(f"\x1e{c}\n" for c in calls),
    "records": lambda calls: json.dumps({"records": list(map(json.loads, calls))}),
    "array of envelopes": lambda calls: json.dumps([{"log": c, "stream": "stdout", "time": AT} for c in calls]),
}


def in_base64(text: str, packed: bool = False) -> str:
    return base64.b64encode(gzip.compress(text.encode()) if packed else text.encode()).decode()


KAFKA = {"topic": "gw", "partition": 0, "offset": 5, "key": None}
# in a field that is the log's own elsewhere, so that a draft does not look into it
WRAPPED_BESIDE: dict[str, Callable[[list[str]], str]] = {
    "kafka, value": envelope(lambda c: {**KAFKA, "value": c}),
    "kafka, kcat": envelope(lambda c: {**KAFKA, "tstype": "create", "ts": 1772445600000, "payload": c}),
    "kafka connect": envelope(lambda c: {"schema": {"type": "struct"}, "payload": json.loads(c)}),
    "splunk, collector": envelope(lambda c: {"time": 1, "event": c, "sourcetype": "nginx", "host": "gw"}),
    "graylog": envelope(lambda c: {"version": "1.1", "host": "gw", "short_message": c, "timestamp": 1772445600}),
    "pub/sub, push": envelope(
        lambda c: {"message": {"data": in_base64(c), "messageId": "1", "publishTime": AT}, "subscription": "s"}
    ),
    "pub/sub, pull": lambda calls: json.dumps(
        [{"ackId": "a", "message": {"data": in_base64(c), "messageId": "1", "attributes": {}}} for c in calls]
    ),
    "kinesis": lambda calls: json.dumps(
        {"Records": [{"kinesis": {"partitionKey": "1", "sequenceNumber": "2", "data": in_base64(c)}} for c in calls]}
    ),
    "firehose": lambda calls: json.dumps(
        {"records": [{"recordId": "1", "approximateArrivalTimestamp": 1, "data": in_base64(c)} for c in calls]}
    ),
    "cloudwatch, packed": lambda calls: json.dumps(
        {"awslogs": {"data": in_base64(json.dumps({"logEvents": [{"id": "1", "message": c} for c in calls]}), True)}}
    ),
    "opentelemetry": lambda calls: json.dumps(
        {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": c}} for c in calls]}]}]}
    ),
}


def read(path: Path, its: sources.Source) -> tuple[list[str], sources.Tally]:
    """Ids of the events, and what was counted."""
    tally = sources.Tally()
    tables = [batch.events for batch in its.read(path, READING, tally)]
    assert tally.read == sum(t.num_rows for t in tables) + len(tally.quarantined)
    return [uid for t in tables for uid in t["event_uid"].to_pylist()], tally


@pytest.mark.parametrize("name", WRAPPED)
def test_a_wrapped_record_is_recognised_and_read_as_the_record_inside(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.log"
    path.write_text(WRAPPED[name]([json.dumps(call(n, request_id=f"r{n}")) for n in range(4)]))
    assert sources.recognise(path) is sources.get("nginx")
    uids, tally = read(path, sources.get("nginx"))
    assert (len(set(uids)), tally.read, tally.quarantined) == (4, 4, [])
    assert read(path, MAPPED)[1].read == 4
    assert not read(path, MAPPED)[1].quarantined
    assert 'api_key_id"  # by its name' in draft(path)


@pytest.mark.parametrize("name", WRAPPED_BESIDE)
def test_a_record_in_a_field_that_may_be_the_log_s_own_is_read_where_others_tell_the_wrapper(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / "a.log"
    path.write_text(WRAPPED_BESIDE[name]([json.dumps(call(n, request_id=f"r{n}")) for n in range(4)]))
    assert sources.recognise(path) is sources.get("nginx")
    uids, tally = read(path, sources.get("nginx"))
    assert (len(set(uids)), tally.read, tally.quarantined) == (4, 4, [])


def quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


TABLES = {
    "cloudwatch, insights": ("@timestamp,@message", lambda c: f"2026-03-02 10:00:00.000,{quoted(c)}"),
    "splunk": ('"_raw","_time"', lambda c: f'{quoted(c)},"2026-03-02T10:00:00.000+0000"'),
    "datadog": ("Date,Host,Service,Message", lambda c: f"2026-03-02T10:00:00.000Z,gw,nginx,{quoted(c)}"),
    "kibana": ('"@timestamp",message', lambda c: f'"Mar 2, 2026 @ 10:00:00.000",{quoted(c)}'),
    "grafana": ("Time,Line,tsNs", lambda c: f"1772445600000,{quoted(c)},1772445600000000000"),
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("is_text", [False, True])
def test_lines_in_a_table_that_a_search_gave_are_read(tmp_path: Path, name: str, is_text: bool) -> None:
    header, row = TABLES[name]
    lines = [json.dumps(call(n)) for n in range(4)]
    if is_text:
        lines = [f'203.0.113.7 - key_1 [02/Mar/2026:10:00:0{n} +0000] "GET /v1 HTTP/1.1" 200 5' for n in range(4)]
    path = tmp_path / "export.csv"
    path.write_text("\n".join([header, *map(row, lines), 'cut off,"{']) + "\n")
    its = sources.get("nginx")
    assert sources.recognise(path) is its and its.is_lines is not None and not its.is_lines(path)
    uids, tally = read(path, its)
    assert (len(set(uids)), tally.read, len(tally.quarantined)) == (4, 5, 1)


@pytest.mark.parametrize("name", ["value", "payload", "short_message", "stringValue", "data"])
def test_a_field_that_holds_what_a_client_sent_makes_no_record(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.log"
    forged = json.dumps(call(9, api_key_id="key_of_a_victim"))
    forged = in_base64(forged) if name == "data" else forged
    path.write_text(json.dumps(call(1)) + "\n" + json.dumps({"level": "info", name: forged}) + "\n")
    uids, tally = read(path, sources.get("nginx"))
    assert (len(uids), len(tally.quarantined)) == (1, 1)


@pytest.mark.parametrize("name", WRAPPED)
def test_a_wrapped_record_of_cloudtrail_is_read_as_the_record_inside(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.log"
    path.write_text(WRAPPED[name]([json.dumps(raw_logs.cloudtrail(f"e{n}")) for n in range(4)]))
    assert sources.recognise(path) is sources.get("cloudtrail")
    uids, tally = read(path, sources.get("cloudtrail"))
    assert (len(set(uids)), tally.read, tally.quarantined) == (4, 4, [])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_lines_wrapped_in_different_ways_are_all_read_and_damaged_ones_counted(tmp_path: Path, data: Any) -> None:
    calls = [json.dumps(call(n)) for n in range(data.draw(st.integers(1, 8)))]
    by_line = [
        name for name, wrap in WRAPPED.items() if "\n" not in (one := wrap(calls[:1]).strip()) and one[:2] != "[{"
    ]
    lines = [WRAPPED[data.draw(st.sampled_from(by_line))]([c]).strip() for c in calls]
    for _ in range(data.draw(st.integers(0, 3))):
        lines.insert(data.draw(st.integers(0, len(lines))), data.draw(st.sampled_from(["x", "{", '{"a": 1}', "[]"])))
    path = tmp_path / "a.log"
    path.write_text("\n".join(["{}", *lines]) + "\n")
    uids, tally = read(path, sources.get("nginx"))
    assert len(uids) == len(calls)
    assert len(tally.quarantined) == len(lines) + 1 - len(calls)


def test_what_is_no_object_in_an_array_costs_no_other_record(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps([call(1), None, call(2), 7, "a, {", call(3)]))
    parts = list(wrappers.records(path, sources.get("nginx").recognises))
    assert [n for part in parts for n in part.numbers] == [1, 3, 6]
    assert [q.place for part in parts for q in part.quarantined] == ["object 2", "object 4", "object 5"]


def test_what_somebody_sends_makes_no_record(tmp_path: Path) -> None:
    forged = json.dumps(call(9, api_key_id="key_of_a_victim"))
    path = tmp_path / "a.log"
    lines = [call(1, http_user_agent=forged, message=forged), {"user_agent": forged, "time": AT}, {"path": forged}]
    path.write_text("\n".join(map(json.dumps, lines)) + f'\nGET "{forged}"\nuser said: "{forged}"\n')
    uids, tally = read(path, sources.get("nginx"))
    assert (len(uids), len(tally.quarantined)) == (1, 4)


def test_what_a_large_file_of_another_kind_is_not_is_told_from_its_begin(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("2026-03-02,a,b\n" * 50_000)
    tried = []

    def parse(line: bytes) -> dict[str, Any]:
        tried.append(line)
        raise ValueError("it is no call")

    assert wrappers.first_records(path, wrappers.is_plain, parse=parse) == []
    assert 0 < len(tried) < 20_000


def test_the_rest_of_a_cut_record_is_quarantined(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(docker(json.dumps(call(1)) + "\n") + "\n" + docker(json.dumps(call(2))[:40]) + "\n")
    uids, tally = read(path, sources.get("nginx"))
    assert len(uids) == 1
    assert [(q.place, "ends in the middle" in q.reason) for q in tally.quarantined] == [("line 2", True)]


@pytest.mark.parametrize("indent", [None, 2])
def test_a_damaged_object_of_an_array_costs_itself(tmp_path: Path, indent: int | None) -> None:
    path = tmp_path / "a.json"
    pieces = [json.dumps(call(n), indent=indent) for n in range(4)]
    pieces[1] = pieces[1].rstrip("}\n ")  # a bracket is missing
    path.write_text("[\n" + ",\n".join(pieces) + "\n]\n")
    uids, tally = read(path, sources.get("nginx"))
    assert (len(uids), len(tally.quarantined)) == (3, 1)
    path.write_text("[" + ", ".join(json.dumps(call(n)) for n in range(4))[:-20])
    uids, tally = read(path, sources.get("nginx"))
    assert (len(uids), [q.place for q in tally.quarantined]) == (3, ["object 4"])


def test_an_array_is_read_in_bounded_memory_and_an_endless_object_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("[" + ",".join(json.dumps(call(n, pad="x" * 200)) for n in range(60_000)) + "]")
    tracemalloc.start()
    try:
        assert sum(len(part.records) for part in wrappers.records(path, count=500)) == 60_000
        assert tracemalloc.get_traced_memory()[1] < path.stat().st_size / 2
    finally:
        tracemalloc.stop()
    path.write_text('[{"a": 1}, {"b": "' + "x" * (objects.MAX_OBJECT + (3 << 20)))
    parts = list(wrappers.records(path))
    assert sum(len(part.records) for part in parts) == 1
    assert parts[-1].quarantined[0].reason == objects.TOO_LARGE


@pytest.mark.parametrize(
    "line", ["a=key_live_0001aaaabbbb, b", '{"k": "key_live_0001aaaabbbb", ', "x, key_live_0001aaaabbbb"]
)
def test_a_line_that_is_no_header_is_not_shown(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.log"
    path.write_text(f"{line}\n{line}\n")
    with pytest.raises(SourceError) as error:
        draft(path)
    assert "key_live" not in str(error.value)


FORGED = json.dumps(
    {"eventTime": "2026-03-02T10:00:00Z", "eventSource": "iam.amazonaws.com", "eventName": "DeleteUser", "eventID": "x",
     "userIdentity": {"type": "IAMUser", "accessKeyId": "AKIAVICTIM0000000001"}}
)  # fmt: skip


@pytest.mark.parametrize("name", ["body", "message", "log", "detail"])
@pytest.mark.parametrize("wrap", ["nothing", "docker", "fluent bit"])
def test_a_log_of_a_gateway_is_no_other_one_because_of_what_a_client_sends(
    tmp_path: Path, name: str, wrap: str
) -> None:
    path = tmp_path / "a.log"
    sent = json.loads(FORGED) if name == "detail" else FORGED
    path.write_text(WRAPPED[wrap]([json.dumps(call(n, request_id=f"r{n}", **{name: sent})) for n in range(4)]))
    assert sources.recognise(path) is sources.get("nginx")
    assert read(path, sources.get("nginx"))[0] == ["r0", "r1", "r2", "r3"]


def test_a_log_of_aws_in_an_envelope_is_no_gateway_s_because_of_what_a_client_sends(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    record = json.loads(FORGED) | {"requestParameters": {"message": json.dumps(call(1))}}
    path.write_text("\n".join(json.dumps({"message": json.dumps(record)}) for _ in range(3)))
    assert sources.recognise(path) is sources.get("cloudtrail")


@pytest.mark.parametrize("plain", ["/docker-entrypoint.sh: ready for start up", "10.0.0.1 - - hello", "", "x {"])
@pytest.mark.parametrize("logtag", [None, "F"])
def test_a_line_of_text_swallows_no_record_that_follows_it(tmp_path: Path, plain: str, logtag: str | None) -> None:
    more = {"logtag": logtag} if logtag else {}
    texts = [json.dumps(call(0)), plain, json.dumps(call(1)), plain, json.dumps(call(2))]
    path = tmp_path / "a.log"
    path.write_text("\n".join(json.dumps({"log": text, "stream": "stdout"} | more) for text in texts))
    assert len(read(path, sources.get("nginx"))[0]) == 3


def test_a_record_that_was_cut_and_never_ended_swallows_none_that_follows_it(tmp_path: Path) -> None:
    whole = [json.dumps(call(n)) for n in range(3)]
    path = tmp_path / "a.log"
    path.write_text("\n".join(docker(text) for text in (whole[0] + "\n", whole[1][:40], whole[2] + "\n")))
    uids, tally = read(path, sources.get("nginx"))
    assert len(uids) == 2 and [q.reason for q in tally.quarantined] == [
        "the file ends in the middle (half-written or cut off)"
    ]


@pytest.mark.parametrize("depth", [100, 300, 900])
def test_a_wrapped_record_may_be_nested_deep(tmp_path: Path, depth: int) -> None:
    deep: Any = {}
    for _ in range(depth):
        deep = [deep]
    path = tmp_path / "a.log"
    path.write_text(json.dumps({"nginx": call(1, extra=deep)}) + "\n" + json.dumps({"nginx": call(2)}) + "\n")
    assert len(read(path, sources.get("nginx"))[0]) == 2


def test_a_record_is_not_looked_into_because_another_one_lacks_a_field(tmp_path: Path) -> None:
    its = source(Mapping("own", "own", {"time": "time", "native_id": "req.key", "operation": "req.op"}, format="jsonl"))
    forged = json.dumps({"time": "2026-03-02T10:00:00Z", "req": {"key": "victim_key_0001", "op": "delete_all"}})
    call_ = {"time": "2026-03-02T10:00:00Z", "req": {"key": "own_key_000001", "op": "read"}, "message": forged}
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in (call_ | {"req": None}, call_, call_ | {"req": None})))
    (batch,) = its.read(path, READING, sources.Tally())
    alone = tmp_path / "b.jsonl"
    alone.write_text(json.dumps(call_))
    (of_one,) = its.read(alone, READING, sources.Tally())
    uid = of_one.events["token_uid"].to_pylist()[0]
    assert batch.events.filter(pc.equal(batch.events["operation"], "read"))["token_uid"].to_pylist() == [uid]
