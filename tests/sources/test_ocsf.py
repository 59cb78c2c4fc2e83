"""API calls of OCSF, of Amazon Security Lake and of others."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tokenkit import schema, sources
from tokenkit.sources import ocsf

DATA = Path(__file__).parents[1] / "data" / "aws"
READING = sources.Reading(b"k" * 32)
SHAPES = ("security_lake.parquet", "security_lake.jsonl", "ocsf_1_8.json")


def read(path: Path, source: str = "ocsf") -> tuple[pd.DataFrame, sources.Tally]:
    tally = sources.Tally()
    batches = list(sources.get(source).read(path, READING, tally))
    events = pa.concat_tables([b.events for b in batches]) if batches else schema.empty("events")
    assert events.schema.equals(schema.EVENTS.arrow)
    assert tally.read == events.num_rows + sum(tally.ignored.values()) + len(tally.quarantined)
    return events.to_pandas(), tally


def records() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / "security_lake.jsonl").read_text().splitlines()]


def read_records(folder: Path, *changed: Any) -> tuple[pd.DataFrame, sources.Tally]:
    path = folder / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, changed)))
    return read(path)


@pytest.mark.parametrize("name", SHAPES)
def test_a_call_has_the_identity_and_outcome_that_cloudtrail_gives_it(name: str) -> None:
    expected, _ = read(DATA / "records.json", "cloudtrail")
    events, tally = read(DATA / name)
    assert not tally.quarantined
    same = ["event_uid", "time", "token_uid", "token_kind", "token_lifetime", "principal_uid", "principal_type_id",
            "tenant_uid", "src_ip", "user_agent", "service", "operation", "activity_id", "region", "status_id",
            "status_code", "http_status", "is_denied", "resource_uid"]  # fmt: skip
    pd.testing.assert_frame_equal(
        events[same].drop(columns="resource_uid"), expected[same].drop(columns="resource_uid")
    )
    assert events["resource_uid"].tolist() == expected["resource_uid"].tolist()


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_is_recognised(name: str) -> None:
    assert sources.recognise(DATA / name) is ocsf.SOURCE


def test_the_sessions_of_a_role_name_it() -> None:
    tally = sources.Tally()
    (batch,) = sources.get("ocsf").read(DATA / "security_lake.parquet", READING, tally)
    tokens = batch.dimensions["dim_token"].to_pandas()
    assert tokens["role"].dropna().tolist() == ["arn:aws:iam::111122223333:role/nightly"] * 3
    assert tokens["role_token_uid"].nunique() == 1


def test_ocsf_1_0_has_the_arn_elsewhere(tmp_path: Path) -> None:
    record = records()[0]
    user = record["actor"]["user"]
    user |= {"uuid": user["uid"], "uid": user["uid_alt"], "uid_alt": None}
    events, _ = read_records(tmp_path, record)
    assert events["principal_uid"].tolist() == ["arn:aws:iam::111122223333:user/export"]


def test_another_vendor_is_another_issuer(tmp_path: Path) -> None:
    other = records()[0]
    other["metadata"]["product"] = {"name": "API", "vendor_name": "Acme Corp."}
    other["actor"]["user"]["credential_uid"] = "key_0123456789ab"
    tally = sources.Tally()
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(other) + "\n" + json.dumps(records()[1]))
    batches = list(sources.get("ocsf").read(path, READING, tally))
    rows = pa.concat_tables([b.dimensions["dim_token"] for b in batches]).to_pandas()
    assert rows["issuer"].tolist() == ["acme-corp", "aws"]
    assert rows["token_kind"].tolist() == ["api_key", "aws_access_key"]


def test_records_of_other_classes_are_ignored_by_rule(tmp_path: Path) -> None:
    flow = {"metadata": {"version": "1.1.0"}, "class_uid": 4001, "time": 1772445600000}
    events, tally = read_records(tmp_path, records()[0], flow)
    assert len(events) == 1 and tally.ignored == {"ocsf record that is no API call": 1}


@pytest.mark.parametrize(
    ("change", "refused", "status"),
    [
        ({"status_id": 1}, False, 1), ({"status_id": 2, "status": "Failure"}, False, 2),
        ({"disposition_id": 2}, True, 2), ({"action_id": 2}, True, 2), ({"disposition_id": 15}, False, 1),
        ({"status_id": None, "status": "Failure"}, False, 2),
    ],
)  # fmt: skip
def test_an_outcome_is_said_in_several_ways(tmp_path: Path, change: Any, refused: bool, status: int) -> None:
    events, _ = read_records(tmp_path, records()[0] | change)
    assert (events["is_denied"][0], events["status_id"][0]) == (refused, status)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (7, "the record is not an object"), (records()[1] | {"time": "yesterday"}, "time is not a time"),
        (records()[1] | {"api": {"service": {}}, "class_uid": None} , "api.operation is missing"),
        (records()[1] | {"http_request": {"length": -1}}, "request_bytes is out of range"),
    ],
)  # fmt: skip
def test_a_broken_record_costs_itself_alone(tmp_path: Path, broken: Any, reason: str) -> None:
    if isinstance(broken, dict) and broken.get("class_uid", 1) is None:
        broken = {name: value for name, value in broken.items() if name != "class_uid"}
    events, tally = read_records(tmp_path, records()[0], broken, records()[2])
    assert events["event_uid"].str[-1].tolist() == ["1", "3"]
    assert [(q.place, q.reason) for q in tally.quarantined] == [("line 2", reason)]


def test_of_a_file_cut_off_the_whole_records_are_stored(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(records())[:-40])
    events, tally = read(path)
    assert len(events) == 4 and len(tally.quarantined) == 1


def test_a_parquet_file_cut_off_is_one_piece(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes((DATA / "security_lake.parquet").read_bytes()[:-50])
    events, tally = read(path)
    assert len(events) == 0 and len(tally.quarantined) == 1


def test_times_of_parquet_may_be_timestamps(tmp_path: Path) -> None:
    table = pq.read_table(DATA / "security_lake.parquet")
    time = table["time"].cast(pa.timestamp("ms", "UTC"))
    pq.write_table(table.set_column(table.schema.get_field_index("time"), "time", time), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet")[0]["time"].equals(read(DATA / "security_lake.parquet")[0]["time"])


ATTRIBUTES = sorted({name for names in ocsf.FIELDS.values() for name in names})


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(0, 4),
    st.sampled_from(ATTRIBUTES),
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.text(max_size=4),
        st.just([]),
        st.just({}),
        st.just([{"uid": 1}]),
        st.just(1e300),
    ),
)
def test_a_value_of_the_wrong_type_costs_its_record_at_most(tmp_path: Path, at: int, name: str, wrong: Any) -> None:
    changed = records()
    target, parts = changed[at], name.split(".")
    for part in parts[:-1]:
        if type(target.get(part)) is not dict:
            target[part] = {}
        target = target[part]
    target[parts[-1]] = wrong
    events, tally = read_records(tmp_path, *changed)
    assert tally.read == 5
    assert {r["metadata"]["uid"] for i, r in enumerate(records()) if i != at} <= set(events["event_uid"])


def test_times_within_objects_of_parquet_may_be_timestamps(tmp_path: Path) -> None:
    rows = pq.read_table(DATA / "security_lake.parquet").to_pylist()
    for row in rows:
        session = row["actor"]["session"] or {}
        row["actor"]["session"] = session | {"created_time_dt": datetime(2026, 3, 2, 9, tzinfo=UTC)}
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    events, tally = read(tmp_path / "a.parquet")
    assert len(events) == len(rows) and not tally.quarantined
