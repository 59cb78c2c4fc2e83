"""Every table exists with zero rows, and a table that does not fit is refused by name."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
import raw_logs

from tokenkit import activity, fingerprint, schema
from tokenkit.channels import policy
from tokenkit.errors import SchemaError
from tokenkit.store import engine, lake
from tokenkit.tokens import listing, owners
from tokenkit.tokens.profiles import token_profiles

NOW = datetime(2026, 3, 9, tzinfo=UTC)


def seen_rows(**columns: list[object]) -> pa.Table:
    return pa.table({"token_key": [1], "kind": ["network"], "value_key": [2], "requests": [3]} | columns)


@pytest.mark.parametrize("name", schema.TABLES)
def test_every_table_has_a_form_with_zero_rows_that_conforms_to_itself(name: str, tmp_path: Path) -> None:
    empty = schema.empty(name)
    assert empty.num_rows == 0 and empty.column_names == schema.table(name).names
    assert schema.conform(name, empty).schema.equals(schema.table(name).arrow, check_metadata=True)
    assert lake.read(tmp_path, name).equals(empty)


@pytest.mark.parametrize("name", schema.TABLES)
def test_a_table_that_does_not_exist_yet_is_scanned_as_zero_rows(name: str, tmp_path: Path) -> None:
    place = raw_logs.workspace(tmp_path)
    with engine.connect(place.settings.engine, place.scratch) as connection:
        frame = lake.scan(connection, place.lake, name, raw_logs.FIRST, raw_logs.day_of(1)).df()
    assert len(frame) == 0 and set(schema.table(name).names) <= set(frame.columns)


@pytest.mark.parametrize("name", schema.TABLES)
def test_every_table_and_every_column_says_what_it_is(name: str) -> None:
    table = schema.table(name)
    assert table.row
    assert all(column.doc for column in table.columns)
    assert table.partition is None or table.partition in table.names


def test_the_whole_pipeline_runs_on_an_empty_lake(tmp_path: Path) -> None:
    place = raw_logs.workspace(tmp_path)
    assert activity.build(place) == 0
    assert fingerprint.build(place) == 0
    mapped = token_profiles(place)
    assert len(mapped) == 0 and {"token_key", "profile_uid", "profile_kind", "profile_key"} <= set(mapped.columns)
    people = owners.people(place, mapped, NOW)
    assert len(people) == 0 and list(people.columns) == owners.COLUMNS
    assert listing.tokens(place, None, NOW).empty
    breaches = policy.breaches(place, mapped, raw_logs.day_of(1))
    assert policy.in_period(breaches, raw_logs.FIRST, raw_logs.day_of(1)).empty


def test_the_whole_pipeline_runs_on_events_that_nobody_made(tmp_path: Path) -> None:
    place = raw_logs.workspace(tmp_path / "w")
    line = raw_logs.nginx("r1", api_key_id="-")
    raw_logs.form(place, raw_logs.write(tmp_path / "a.log", [line]))
    assert [f["unattributed"] for f in raw_logs.files_of(place)] == [1]
    assert len(raw_logs.table(place, "activity_hour")) == 0
    assert lake.read(place.lake, "seen").num_rows == 0
    assert len(owners.people(place, token_profiles(place), NOW)) == 0


def test_columns_come_in_order_and_those_that_may_lack_are_null() -> None:
    table = schema.conform("seen", seen_rows(more=[1]).select(["more", "requests", "value_key", "kind", "token_key"]))
    assert table.schema.equals(schema.SEEN.arrow)
    assert table["first_day"].null_count == 1


def test_a_missing_column_is_named_with_what_is_there() -> None:
    with pytest.raises(SchemaError, match=r"seen: column kind is missing; it has token_key, value_key, requests"):
        schema.conform("seen", seen_rows().drop_columns(["kind"]))


def test_a_null_where_none_may_be_is_named() -> None:
    with pytest.raises(SchemaError, match="seen: column kind has 1 nulls, expected none"):
        schema.conform("seen", seen_rows(kind=pa.array([None], pa.string())))


@pytest.mark.parametrize(
    ("found", "type"),
    [
        (["many"], "string"),
        ([1.5], "double"),
        ([[1]], "list<item: int64>"),  # Arrow has no cast at all for it, and says so with another exception
        ([{"a": 1}], "struct<a: int64>"),
    ],
)
def test_a_column_of_another_type_is_named_with_what_was_expected_and_found(found: list[object], type: str) -> None:
    data = seen_rows(requests=pa.array(found))
    with pytest.raises(SchemaError) as error:
        schema.conform("seen", data)
    assert f"seen: column requests is {data['requests'].type}, expected int64" in str(error.value)
    assert type.split("<")[0] in str(error.value)


def test_an_unknown_table_names_the_one_that_was_meant() -> None:
    with pytest.raises(SchemaError, match="did you mean events"):
        schema.table("event")
