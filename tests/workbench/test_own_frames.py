"""Frames as people have them: the right time, or a plain word about the row."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenkit.errors import SchemaError
from tokenkit.schema import TIME
from tokenkit.workbench.own_frames import _table, _times, from_events

WHEN = [datetime(2026, 3, 2, 10, minute, 30, tzinfo=UTC) for minute in range(3)]
SECONDS = [int(moment.timestamp()) for moment in WHEN]


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"time": WHEN, "token_uid": ["a", "a", "b"], "operation": "GET /x"} | columns)


def times(values: Any) -> list[datetime | None]:
    return _times("time", pa.array(values)).cast(TIME).to_pylist()


@pytest.mark.parametrize(
    "values",
    [
        WHEN,
        SECONDS,
        [s * 1_000 for s in SECONDS],
        [s * 1_000_000 for s in SECONDS],
        [s * 1_000_000_000 for s in SECONDS],
        [float(s) for s in SECONDS],
        [str(s) for s in SECONDS],
        [moment.isoformat() for moment in WHEN],
        [f"{moment:%Y-%m-%d %H:%M:%S}" for moment in WHEN],
        [f"{moment:%Y-%m-%dT%H:%M:%S}.000 UTC" for moment in WHEN],
    ],
)
def test_a_time_is_that_time_however_it_is_written(values: list[Any]) -> None:
    assert times(values) == WHEN
    assert times([*values, None])[-1] is None


@given(st.lists(st.integers(-(1 << 62), 1 << 62) | st.floats() | st.none(), min_size=1))
def test_a_number_is_a_time_of_this_century_or_refused_and_never_1970(values: list[Any]) -> None:
    if any(isinstance(value, float) for value in values):
        array = pa.array([None if value is None else float(value) for value in values], pa.float64())
    else:
        array = pa.array(values, pa.int64())
    try:
        found = _times("time", array).cast(TIME).to_pylist()
    except SchemaError as error:
        assert "expected a time from 2000 to 2100" in str(error)
    else:
        assert all(moment is None or 2000 <= moment.year < 2100 for moment in found)


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"time": [*SECONDS[:2], 17]}, "row 2: time is 17, expected a time from 2000 to 2100"),
        ({"time": [*WHEN[:2], datetime(1970, 1, 1, tzinfo=UTC)]}, "row 2: time is 1970-01-01"),
        ({"time": ["02.03.2026 10:00"] * 3}, "row 0: time is not a time"),
        ({"logged_time": [5, 5, 5]}, "row 0: logged_time is 5"),
        ({"response_bytes": [1.0, np.nan, -1.0]}, "row 2: response_bytes is -1, expected 0 or more"),
        ({"count": [1, 0, 1]}, "row 1: count is 0, expected 1 or more"),
        ({"rows": [3, "many", 4]}, "several types|column rows"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_row(columns: dict[str, Any], says: str) -> None:
    with pytest.raises(SchemaError, match=says):
        from_events(frame(**columns))


def test_lazy_frames_lists_of_dicts_and_columns_are_tables_too() -> None:
    whole = frame()
    shapes = [whole, pl.from_pandas(whole), pl.from_pandas(whole).lazy(), whole.to_dict("records"),
              whole.to_dict("list"), pa.Table.from_pandas(whole, preserve_index=False)]  # fmt: skip
    for events in shapes:
        table = _table(events)
        assert table.num_rows == 3 and table["token_uid"].to_pylist() == ["a", "a", "b"]
        assert _times("time", table["time"].combine_chunks()).cast(TIME).to_pylist() == WHEN


def test_what_is_no_table_is_an_error_in_plain_words() -> None:
    doubled = pd.concat([frame(), frame()[["operation"]]], axis=1)
    for events, says in [
        (doubled, "several columns operation"),
        (pa.table([[1], [2]], names=["time", "time"]), "several columns time"),
        ([1, 2], "a list of something else than dicts"),
        ({"time": [1], "operation": []}, "no table"),
        (7, "events are a int, expected a DataFrame"),
        ("events.csv", "events are a str, expected a DataFrame"),
    ]:
        with pytest.raises(SchemaError, match=says):
            _table(events)


def test_seconds_since_1970_are_stored_as_the_times_they_are() -> None:
    stored = from_events(frame(time=SECONDS)).events()["time"]
    assert stored.tolist() == [pd.Timestamp(moment) for moment in WHEN]
