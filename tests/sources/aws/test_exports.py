"""CloudTrail as a table of Athena, CloudTrail Lake or the console."""

import csv
import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenkit import schema, sources
from tokenkit.sources.aws import exports

READING = sources.Reading(b"k" * 32)
CALL = {
    "eventtime": "2026-03-02T10:01:00Z", "eventsource": "iam.amazonaws.com", "eventname": "GetUser",
    "eventid": "e1",
    "useridentity": "{type=IAMUser, arn=arn:aws:iam::111122223333:user/ana, accesskeyid=AKIAEXAMPLEANA000001}",
}  # fmt: skip


def read(path: Path) -> tuple[pd.DataFrame, sources.Tally]:
    tally = sources.Tally()
    batches = list(sources.get("cloudtrail").read(path, READING, tally))
    events = pa.concat_tables([b.events for b in batches]) if batches else schema.empty("events")
    assert tally.read == events.num_rows + sum(tally.ignored.values()) + len(tally.quarantined)
    return events.to_pandas(), tally


def read_rows(folder: Path, *rows: dict[str, str]) -> tuple[pd.DataFrame, sources.Tally]:
    path = folder / "a.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return read(path)


def test_a_caller_may_be_json_or_athenas_text(tmp_path: Path) -> None:
    as_json = json.dumps(
        {"type": "IAMUser", "accessKeyId": "AKIAEXAMPLEANA000001", "arn": "arn:aws:iam::111122223333:user/ana"}
    )
    events, _ = read_rows(tmp_path, CALL, CALL | {"eventid": "e2", "useridentity": as_json})
    assert events["token_uid"].nunique() == 1 and events["token_kind"].tolist() == ["aws_access_key"] * 2


def test_a_caller_may_be_columns_of_its_own(tmp_path: Path) -> None:
    for name in ("useridentity.accesskeyid", "userIdentity_accessKeyId", "AWS access key"):
        row = {k: v for k, v in CALL.items() if k != "useridentity"} | {name: "AKIAEXAMPLEANA000001"}
        assert read_rows(tmp_path, row)[0]["token_kind"].tolist() == ["aws_access_key"], name


def test_a_caller_who_cannot_be_read_is_quarantined_and_parameters_are_not(tmp_path: Path) -> None:
    rows = [
        CALL | {"requestparameters": "{broken"},
        CALL | {"eventid": "e2", "useridentity": "{type=IAMUser", "requestparameters": ""},
    ]
    events, tally = read_rows(tmp_path, *rows)
    assert events["event_uid"].tolist() == ["e1"]
    assert [(q.place, q.reason) for q in tally.quarantined] == [("line 3", "userIdentity is text, expected an object")]


def test_a_row_of_another_length_costs_itself(tmp_path: Path) -> None:
    read_rows(tmp_path, CALL, CALL | {"eventid": "e2"})
    path = tmp_path / "a.csv"
    path.write_text(path.read_text() + "a,b\n")
    events, tally = read(path)
    assert len(events) == 2 and [q.place for q in tally.quarantined] == ["line 4"]


def test_a_parquet_file_cut_off_is_one_piece(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    whole = (Path(__file__).parents[2] / "data" / "aws" / "athena.parquet").read_bytes()
    path.write_bytes(whole[:-100])
    events, tally = read(path)
    assert len(events) == 0 and len(tally.quarantined) == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{a=1, b={c=x y, z}, d=null}", {"a": "1", "b": {"c": "x y, z"}, "d": None}),
        ("[a, b]", ["a", "b"]), ("[]", []), ("{}", {}), ('{"a": 1}', {"a": 1}),
        ("{a=", None), ("{a=1", None), ("[", None), ("{=}", None), ("{a=1}}", None), ("x", None), ("", None),
    ],
)  # fmt: skip
def test_a_struct_as_text_is_an_object(text: str, value: object) -> None:
    assert exports.parse_text(text) == value


@given(st.text(alphabet='{}[]=, ab1"\\:\n', max_size=40))
def test_any_text_is_an_object_or_nothing(text: str) -> None:
    assert exports.parse_text(text) is None or type(exports.parse_text(text)) in (dict, list)


def test_depth_costs_no_stack() -> None:
    assert exports.parse_text("{a=" * 5000) is None and exports.parse_text("[" * 5000) is None


def test_a_user_whose_name_looks_like_a_field_is_nobody_else(tmp_path: Path) -> None:
    arn = "arn:aws:iam::111122223333:user/eve,accesskeyid=AKIAVICTIM0000000001"
    caller = (
        f"{{type=IAMUser, principalid=AIDAX, arn={arn}, accountid=111122223333, accesskeyid=AKIAEXAMPLEEVE000001, "
        "username=eve,accesskeyid=AKIAVICTIM0000000001,arn=arn:aws:iam::111122223333:user/victim}"
    )
    events, _ = read_rows(tmp_path, CALL | {"useridentity": caller})
    honest, _ = read_rows(tmp_path, CALL | {"useridentity": "{type=IAMUser, accesskeyid=AKIAEXAMPLEEVE000001}"})
    assert events["token_uid"].tolist() == honest["token_uid"].tolist()
    assert events["principal_uid"].tolist() == [arn.replace("AKIAVICTIM0000000001", "[masked]")]
