"""Events go out as valid OCSF 1.8, and come back as they were."""

import gzip
import json
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tokenkit import config, ingest, schema, sources
from tokenkit.errors import InputError
from tokenkit.export import export_ocsf
from tokenkit.sources import ocsf, ocsf_activity
from tokenkit.sources.inputs import Input
from tokenkit.store import lake

DATA = Path(__file__).parent / "data"
VALIDATOR = Draft202012Validator(json.loads((DATA / "ocsf" / "api_activity.schema.json").read_text()))
KEY = b"k" * 32
MAPPED = list(ocsf_activity.MAPPED)
FORMED = ["token_key", "network_key", "client_key", "operation_key", "object_key", "day", "ua_family", "network",
          "network_class"]  # fmt: skip


def gateway_line(**more):
    return {"msec": 1772360430.123, "remote_addr": "203.0.113.7", "request_method": "GET", "uri": "/v1/orders/17",
            "status": 200, "bytes_sent": 512, "request_length": 90, "request_time": 0.0123, "request_id": "r1",
            "http_user_agent": "curl/8.5.0", "api_key_id": "key_live_0001aaaabbbb"} | more  # fmt: skip


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A lake with calls of AWS and of a gateway: refused, odd, of nobody."""
    root = tmp_path_factory.mktemp("export")
    lines = [gateway_line(), gateway_line(request_method="PURGE", remote_addr="2001:db8::1", status=403),
             gateway_line(api_key_id="-", remote_addr="-"), *[gateway_line(status="-")] * 2]  # fmt: skip
    (root / "gateway.log").write_text("".join(json.dumps(line) + "\n" for line in lines))
    made = config.init(root / "ws")
    logs = [
        Input(DATA / "aws" / "records.json"),
        Input(root / "gateway.log"),
        Input(DATA / "aws" / "security_lake.parquet"),
    ]
    ingest.ingest(made, logs, now=datetime(2026, 3, 5, tzinfo=UTC))
    return made


def rows(workspace):
    frame = lake.read(workspace.lake, "events").to_pandas()
    return frame.sort_values("event_key").reset_index(drop=True)


def problems(records):
    return [f"{e.json_path}: {e.message[:200]}" for record in records for e in VALIDATOR.iter_errors(record)]


def test_every_event_is_written_once_and_is_valid(workspace, tmp_path):
    assert export_ocsf(workspace, tmp_path / "a.jsonl") == len(rows(workspace)) > 10
    records = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert problems(records) == []
    assert [r["time"] for r in records] == sorted(r["time"] for r in records)


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".parquet"])
def test_another_workspace_reads_the_same_events(workspace, tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    export_ocsf(workspace, path)
    assert sources.recognise(path) is ocsf.SOURCE
    other = config.init(tmp_path / "other")
    other.key.parent.mkdir(parents=True, exist_ok=True)
    other.key.write_bytes(workspace.key.read_bytes())
    other.key.chmod(0o600)
    counts = ingest.ingest(other, [Input(path)], now=datetime(2026, 3, 5, tzinfo=UTC))
    before, after = rows(workspace), rows(other)
    assert (counts.quarantined, counts.duplicates) == (0, 0)
    pd.testing.assert_frame_equal(after[MAPPED + FORMED], before[MAPPED + FORMED])
    tokens = [lake.read(w.lake, "dim_token").to_pandas().sort_values("token_uid") for w in (workspace, other)]
    same = ["token_uid", "issuer", "token_kind", "mask", "role", "role_token_uid"]
    pd.testing.assert_frame_equal(tokens[0][same].reset_index(drop=True), tokens[1][same].reset_index(drop=True))


def test_the_lake_that_wrote_it_knows_every_event(workspace, tmp_path):
    export_ocsf(workspace, tmp_path / "a.jsonl")
    before = len(rows(workspace))
    counts = ingest.ingest(workspace, [Input(tmp_path / "a.jsonl")], now=datetime(2026, 3, 5, tzinfo=UTC))
    assert (counts.stored, counts.duplicates) == (0, before)


def test_no_key_goes_out(workspace, tmp_path):
    export_ocsf(workspace, tmp_path / "a.jsonl")
    text = (tmp_path / "a.jsonl").read_text()
    assert "key_live_0001aaaabbbb" not in text and "AKIAEXAMPLEEXPORT001" not in text
    assert workspace.key.read_text().strip() not in text


def test_days_are_chosen_and_nothing_is_left_of_a_refused_export(workspace, tmp_path):
    days = sorted(lake.days(workspace.lake, "events"))
    written = export_ocsf(workspace, tmp_path / "a.jsonl.gz", days[-1])
    records = [json.loads(line) for line in gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()).splitlines()]
    assert len(records) == written < len(rows(workspace))
    with pytest.raises(InputError, match="no events from 2030-01-01"):
        export_ocsf(workspace, tmp_path / "b.jsonl", date(2030, 1, 1))
    with pytest.raises(InputError, match=r"has to end in \.jsonl"):
        export_ocsf(workspace, tmp_path / "b.csv")
    with pytest.raises(InputError, match="no such folder"):
        export_ocsf(workspace, tmp_path / "none" / "b.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl.gz"]


def test_the_command_says_what_it_wrote_and_what_a_typing_error_needs(workspace, tmp_path, command):
    said = command("export", "ocsf", tmp_path / "a.jsonl", "--end", "2026-03-02", cwd=workspace.root)
    assert (said.code, said.out) == (0, f"5 events written to {tmp_path / 'a.jsonl'}\n"), said.err
    wrong = command("export", "ocsf", tmp_path / "a.jsonl", "--end", "March", cwd=workspace.root)
    assert wrong.code == 2 and "--end is 'March', expected a day such as 2026-03-01" in wrong.err


TYPES = {c.name: c.type for c in schema.EVENTS.columns}
words = st.text(st.characters(codec="utf-8"), max_size=12)
texts = {"http_method": st.sampled_from(["GET", "purge", ""]), "src_ip": st.ip_addresses().map(str),
         "src_svc": st.none(), "token_uid": st.sampled_from(["", "tok1_" + "0a" * 12])}  # fmt: skip
numbers = {"activity_id": st.sampled_from([0, 1, 2, 3, 4, 99]), "status_id": st.sampled_from([0, 1, 2]),
           "token_type_id": st.sampled_from([0, 7]), "principal_type_id": st.sampled_from([0, 1, 4]),
           "class_uid": st.just(6003)}  # fmt: skip
moments = st.datetimes(datetime(2001, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC))


def values(column):
    if column in ("time", "logged_time"):
        return moments
    if column == "scopes":
        return st.lists(words, max_size=2)
    type_ = TYPES[column]
    if pa.types.is_string(type_):
        return texts.get(column, words)
    if pa.types.is_boolean(type_):
        return st.booleans()
    if pa.types.is_floating(type_):
        return st.floats(0, 1e6, width=32)
    return numbers.get(column, st.integers(0, 2 ** (min(type_.bit_width, 53) - 1) - 1))


NEEDED = {"event_uid", "time", "source", "class_uid", "token_uid", "operation", "status_id", "event_key", "activity_id"}
events = st.fixed_dictionaries(
    {name: values(name) if name in NEEDED or name == "src_svc" else st.one_of(st.none(), values(name))
     for name in (*MAPPED, "raw_ref")}
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(events)
def test_whatever_an_event_holds_its_record_is_valid(event):
    record = ocsf_activity.record_of(event, KEY)
    assert problems([record]) == []
    json.dumps(record, allow_nan=False)
    assert ocsf.recognises(record) and ocsf_activity.is_own(record)
    again = pa.Table.from_pylist([record], schema=ocsf_activity.arrow_schema()).to_pylist()[0]
    assert again["time"] == record["time"]


wrong_values = st.one_of(
    st.integers(), st.text(max_size=3), st.booleans(), st.sampled_from([[], {}, [[1]], 1e300, [None]])
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(ocsf_activity.ATTRIBUTES)), wrong_values)
def test_a_value_of_the_wrong_type_costs_its_own_record_at_most(tmp_path_factory, attribute, wrong):
    row = dict.fromkeys((*MAPPED, "raw_ref")) | {
        "event_uid": "e1", "time": datetime(2026, 3, 1, tzinfo=UTC), "source": "nginx", "class_uid": 6003,
        "token_uid": "", "operation": "GET /", "status_id": 1, "activity_id": 2, "event_key": 5, "duration_ms": 1.5,
        "url_path": "/", "http_status": 200, "response_bytes": 1, "resource_uid": "/a", "resource_type": "b",
    }  # fmt: skip
    good, bad = ocsf_activity.record_of(row, KEY), ocsf_activity.record_of(row | {"event_key": 6}, KEY)
    *parents, name = attribute.split(".")
    target = bad
    for parent in parents:
        target = target.setdefault(parent, {})
        target = target[0] if isinstance(target, list) else target
    target[name] = wrong
    path = tmp_path_factory.getbasetemp() / "wrong.jsonl"
    path.write_text(json.dumps(good) + "\n" + json.dumps(bad) + "\n")
    tally = sources.Tally()
    batches = list(ocsf.SOURCE.read(path, sources.Reading(KEY), tally))
    keys = [key for batch in batches for key in batch.events["event_key"].to_pylist()]
    assert 5 in keys and tally.read == 2 == len(keys) + len(tally.quarantined) + sum(tally.ignored.values())


def test_a_parquet_file_has_every_attribute_of_the_records(workspace, tmp_path):
    export_ocsf(workspace, tmp_path / "a.parquet")
    export_ocsf(workspace, tmp_path / "a.jsonl")
    table = pq.read_table(tmp_path / "a.parquet").to_pylist()
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    for row, record in zip(table, lines, strict=True):
        assert _without_nulls(row) == _without_nulls(record)


def _without_nulls(value):
    if isinstance(value, dict):
        inner = {name: _without_nulls(v) for name, v in value.items()}
        return {name: v for name, v in inner.items() if v is not None and v != {}}
    return [_without_nulls(v) for v in value] if isinstance(value, list) else value
