"""Whatever AWS and its tools wrap CloudTrail's records in, the same calls are stored, and what is bad costs itself."""

import gzip
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tokenkit import schema, sources
from tokenkit.sources import cloudtrail
from tokenkit.sources.aws import shapes

DATA = Path(__file__).parents[2] / "data" / "aws"
READING = sources.Reading(b"k" * 32)
LOOSE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SHAPES = ("lines.jsonl", "batches.jsonl", "array.json", "array_lines.json", "pretty.json", "firehose.json",
          "lookup_events.json", "eventbridge.jsonl", "cloudwatch_export.log", "cloudwatch_subscription.json",
          "cloudwatch_lambda.json", "filter_log_events.json", "lake_query.json", "athena.csv",
          "athena.parquet")  # fmt: skip


def read(path: Path, source: str = "cloudtrail") -> tuple[pd.DataFrame, sources.Tally]:
    tally = sources.Tally()
    batches = list(sources.get(source).read(path, READING, tally))
    events = pa.concat_tables([b.events for b in batches]) if batches else schema.empty("events")
    assert tally.read == events.num_rows + sum(tally.ignored.values()) + len(tally.quarantined)
    return events.to_pandas(), tally


def read_bytes(folder: Path, content: bytes) -> tuple[pd.DataFrame, sources.Tally]:
    path = folder / "file.json"
    path.write_bytes(content)
    return read(path)


def records() -> list[dict[str, Any]]:
    return json.loads((DATA / "records.json").read_text())["Records"]


def of(events: pd.DataFrame) -> list[str]:
    return events["event_uid"].str[-1].tolist()


@pytest.mark.parametrize("name", SHAPES)
def test_the_same_calls_are_the_same_events_in_every_shape(name: str) -> None:
    expected, _ = read(DATA / "records.json")
    events, tally = read(DATA / name)
    assert not tally.quarantined
    same = expected.columns.difference(["raw_ref", "session_uid"])
    pd.testing.assert_frame_equal(events[same], expected[same])


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_is_recognised(name: str) -> None:
    assert sources.recognise(DATA / name) is cloudtrail.SOURCE


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_may_be_packed(name: str, tmp_path: Path) -> None:
    if name.endswith(".parquet"):
        pytest.skip("Parquet is packed by itself")
    path = tmp_path / (name + ".gz")
    path.write_bytes(gzip.compress((DATA / name).read_bytes()))
    assert sources.recognise(path) is cloudtrail.SOURCE
    assert len(read(path)[0]) == 5


def test_a_record_alone_is_one_call(tmp_path: Path) -> None:
    events, _ = read_bytes(tmp_path, json.dumps(records()[2], indent=2).encode())
    assert of(events) == ["3"]


def test_records_as_json_texts_are_read(tmp_path: Path) -> None:
    texts = [json.dumps(json.dumps(r)) for r in records()]
    assert of(read_bytes(tmp_path, "\n".join(texts).encode())[0]) == list("12345")
    assert of(read_bytes(tmp_path, f"[{','.join(texts)}]".encode())[0]) == list("12345")


def test_summaries_and_messages_of_the_carrier_are_ignored_by_rule() -> None:
    events, tally = read(DATA / "ignored.json")
    assert len(events) == 1
    assert tally.ignored == {"cloudtrail insight event": 1, "cloudtrail aggregated event": 1}
    assert read(DATA / "cloudwatch_subscription.json")[1].ignored == {"cloudwatch control message": 1}


def test_a_control_message_alone_is_ignored_by_rule(tmp_path: Path) -> None:
    message = {"messageType": "CONTROL_MESSAGE", "logEvents": [{"message": "CWL CONTROL MESSAGE"}]}
    assert read_bytes(tmp_path, json.dumps(message).encode())[1].ignored == {"cloudwatch control message": 1}


@pytest.mark.parametrize("name", ["array.json", "lookup_events.json", "filter_log_events.json", "firehose.json"])
def test_of_a_file_cut_off_the_whole_records_are_stored_and_the_rest_is_one_piece(name: str, tmp_path: Path) -> None:
    content = (DATA / name).read_bytes()
    at = content.index(b"000000000004") - 30
    events, tally = read_bytes(tmp_path, content[:at])
    assert of(events) == list("123")
    assert [q.reason for q in tally.quarantined] == ["the file ends in the middle (half-written or cut off)"]


@pytest.mark.parametrize("name", ["lines.jsonl", "batches.jsonl"])
def test_of_lines_cut_off_the_last_one_is_one_piece(name: str, tmp_path: Path) -> None:
    content = (DATA / name).read_bytes()
    events, tally = read_bytes(tmp_path, content[:-30])
    assert of(events) == list("1234") and len(tally.quarantined) == 1


@pytest.mark.parametrize("name", ["lines.jsonl", "batches.jsonl"])
def test_of_a_gzip_cut_off_the_whole_records_are_stored_and_the_rest_is_one_piece(name: str, tmp_path: Path) -> None:
    packed = gzip.compress((DATA / name).read_bytes(), 0)
    for kept, stored in ((len(packed) - 8, 5), (packed.index(b"000000000004"), 3)):
        events, tally = read_bytes(tmp_path, packed[:kept])
        assert of(events) == list("12345")[:stored] and len(tally.quarantined) == 1


@pytest.mark.parametrize("bad", [b"{", b"nonsense", b'{"eventName": "x', b"\x00\xff", b"7", b'{"eventID": no}'])
def test_a_bad_line_costs_itself_alone(bad: bytes, tmp_path: Path) -> None:
    lines = (DATA / "lines.jsonl").read_bytes().splitlines()
    for at in range(6):
        events, tally = read_bytes(tmp_path, b"\n".join([*lines[:at], bad, *lines[at:]]))
        assert of(events) == list("12345")
        assert [q.place for q in tally.quarantined] == [f"line {at + 1}"]


def test_many_bad_lines_are_as_many_pieces_and_cost_no_time(tmp_path: Path) -> None:
    for bad in (b'{"a": \n', b"x\n", b"[\n{\n"):
        _, tally = read_bytes(tmp_path, bad * 20_000)
        assert len(tally.quarantined) == 20_000


@LOOSE
@given(st.data())
def test_no_damage_to_one_record_changes_what_is_stored_of_another(tmp_path: Path, data: st.DataObject) -> None:
    lines = (DATA / "lines.jsonl").read_bytes().splitlines()
    which, line = data.draw(st.integers(0, 4)), b""
    line = bytearray(lines[which])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(line) - 1))
        kind = data.draw(st.sampled_from(["cut", "drop", "put", "null"]))
        if kind == "cut":
            line = line[: at + 1]
        elif kind == "drop" and len(line) > 1:
            del line[at]
        else:
            line[at] = 0 if kind == "null" else data.draw(st.integers(0, 255).filter(lambda b: b != 10))
    others = [n for n in "12345" if n != str(which + 1)]
    shape = data.draw(st.sampled_from([b"\n", b",\n"]))
    events, _ = read_bytes(tmp_path, shape.join([*lines[:which], bytes(line), *lines[which + 1 :]]))
    of_others = events["raw_ref"].str.rsplit("#").str[-1].isin(others)
    expected, _ = read(DATA / "records.json")
    wanted = expected[expected["event_uid"].str[-1].isin(others)].reset_index(drop=True)
    same = expected.columns.difference(["raw_ref"])
    stored = events[of_others].reset_index(drop=True)
    pd.testing.assert_frame_equal(stored[same], wanted[same], check_dtype=False)


@LOOSE
@given(st.permutations(range(5)), st.lists(st.integers(0, 4), max_size=3), st.sampled_from(["\n", "", ",", "\n\n"]))
def test_order_and_repetition_change_no_event(tmp_path: Path, order: list[int], more: list[int], between: str) -> None:
    texts = [json.dumps(records()[i]) for i in [*order, *more]]
    events, tally = read_bytes(tmp_path, between.join(texts).encode())
    assert len(events) == len(texts) and not tally.quarantined
    expected, _ = read(DATA / "records.json")
    same = expected.columns.difference(["raw_ref"])
    events = events.drop_duplicates("event_uid").sort_values("event_uid", ignore_index=True)
    pd.testing.assert_frame_equal(events[same], expected[same])


WRONG = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5),
                  st.just([]), st.just({}), st.just([{"a": "\x00"}]), st.just(10**400))  # fmt: skip


@LOOSE
@given(st.integers(0, 4), st.sampled_from(sorted({*records()[3], "resources", "sharedEventID"})), WRONG)
def test_a_value_of_the_wrong_type_costs_its_record_at_most(tmp_path: Path, at: int, name: str, wrong: Any) -> None:
    changed = records()
    changed[at][name] = wrong
    events, tally = read_bytes(tmp_path, "\n".join(map(json.dumps, changed)).encode())
    assert tally.read == 5
    others = {r["eventID"] for i, r in enumerate(records()) if i != at}
    assert others <= set(events["event_uid"])


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from([*shapes.LISTS, *shapes.TEXTS, *shapes.PACKED, "detail", "data"]), inner, max_size=3
        ),
    ),
    max_leaves=12,
)


@LOOSE
@given(st.lists(json_values, max_size=4), st.sampled_from(["\n", "", ", "]), st.integers(0, 60))
def test_any_values_wrapped_in_any_way_are_accounted_for(
    tmp_path: Path, values: list[Any], between: str, cut: int
) -> None:
    content = between.join(map(json.dumps, values)).encode()
    read_bytes(tmp_path, content)
    read_bytes(tmp_path, content[:-cut])
    sources.recognise(tmp_path / "file.json")


def test_wrappers_in_wrappers_end_somewhere() -> None:
    value: Any = {"eventName": "x"}
    for _ in range(50):
        value = {"detail": value}
    assert len(shapes.unwrap(value)) == 1
