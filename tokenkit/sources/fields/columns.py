"""Columns: read parsed records column by column, and note which records cannot be used and why.

A list comprehension for each column and one look at the types in it: 0.1 microseconds a value. Only a column that
holds something odd is gone through value by value.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from tokenkit import schema
from tokenkit.sources.contract import Record

Micros = np.ndarray[Any, np.dtype[np.int64]]
_NONE = type(None)
_NAMES = {dict: "an object", list: "a list", str: "text", int: "a number", float: "a number", bool: "true or false",
          _NONE: "missing"}  # fmt: skip
NOTHING: Record = {}
EARLIEST = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp() * 1_000_000)
LATEST = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp() * 1_000_000)
LARGEST = 1 << 53  # bytes; beyond it a float is no exact integer, and no call moves 9 PB
_TRUTH = {"true": True, "false": False, "yes": True, "no": False}


class ColumnReader:
    """Reads records column by column; ``reasons`` has, by its index, why a record cannot be used."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = records
        self.reasons: dict[int, str] = {}

    def values(self, name: str, parents: Sequence[Record] | None = None) -> list[Any]:
        """The field of every record, or of every parent, as it is."""
        return [r.get(name) for r in (self.records if parents is None else parents)]

    def _check(self, values: list[Any], name: str, allowed: set[type], expected: str) -> list[Any]:
        if set(map(type, values)) <= allowed:
            return values
        for i, value in enumerate(values):
            if type(value) not in allowed:
                self.reasons.setdefault(i, f"{name} is {_NAMES.get(type(value), 'odd')}, expected {expected}")
                values[i] = None
        return values

    def objects(self, name: str, parents: Sequence[Record] | None = None) -> list[Record]:
        """Nested objects; an empty one where there is none."""
        values = self.values(name, parents)
        return [v or NOTHING for v in self._check(values, name, {dict, _NONE}, "an object")]

    def lists(self, name: str) -> list[list[Any] | None]:
        """Lists, or null."""
        return self._check(self.values(name), name, {list, _NONE}, "a list")

    def texts(self, name: str, parents: Sequence[Record] | None = None) -> list[str | None]:
        """Texts, or null."""
        values = self.values(name, parents)
        return self._check(values, name, {str, _NONE}, "text")

    def labels(self, name: str) -> list[str | None]:
        """Texts, or whole numbers as text; ``""`` and ``"-"`` are null."""
        return self._labels(self.values(name), name)

    def _labels(self, values: list[Any], name: str) -> list[str | None]:
        values = self._check(values, name, {str, int, _NONE}, "text or a number")
        if int in set(map(type, values)):
            values = [v if v is None or type(v) is str else str(v) for v in values]
        return [None if v == "" or v == "-" else v for v in values]

    def flags(self, name: str, parents: Sequence[Record] | None = None) -> list[bool | None]:
        """True, false or null; also as text, as CloudTrail has it."""
        values = self.values(name, parents)
        kinds = set(map(type, values))
        if str in kinds:
            values = [_TRUTH.get(v.lower()) if type(v) is str else v for v in values]
        return self._check(values, name, {bool, _NONE}, "true or false")

    def numbers(self, name: str, parents: Sequence[Record] | None = None) -> list[float | int | None]:
        """Numbers, or null; also as text (``"-"`` and ``""`` are null), as a quoted log format has it."""
        values = self.values(name, parents)
        kinds = set(map(type, values))
        if kinds <= {int, _NONE}:
            return values
        if str in kinds:
            values = [self._number(i, v, name) if type(v) is str else v for i, v in enumerate(values)]
        return self._check(values, name, {int, float, _NONE}, "a number")

    def _number(self, index: int, text: str, name: str) -> float | int | None:
        text = text.strip()
        if text in ("", "-"):
            return None
        try:
            return int(text) if text.isdigit() and len(text) < 20 else float(text)
        except ValueError:
            self.reasons.setdefault(index, f"{name} is text, expected a number")
            return None

    def amounts(self, name: str, parents: Sequence[Record] | None = None) -> list[int | None]:
        """Whole numbers from 0 (bytes, rows), or null."""
        values = self.numbers(name, parents)
        kinds = set(map(type, values))
        if kinds == {_NONE}:
            return values  # type: ignore[return-value]  # all null
        if kinds == {int} and min(values) >= 0 and max(values) <= LARGEST:  # type: ignore[type-var,operator]
            return values  # type: ignore[return-value]  # all whole
        return [v if v is None else self._amount(i, v, name) for i, v in enumerate(values)]

    def _amount(self, index: int, value: float | int, name: str) -> int | None:
        if 0 <= value <= LARGEST:  # false for nan
            return round(value)
        self.reasons.setdefault(index, f"{name} is out of range")
        return None

    def times(self, values: Sequence[Any], name: str, per_second: int = 1) -> Micros:
        """Microseconds since 1970 of ISO 8601 text (UTC where it names no zone) or of numbers in the given unit."""
        out: Micros | None = None
        kinds = set(map(type, values))
        if kinds == {str}:
            try:
                parsed = pa.array(values, pa.string()).cast(schema.TIME)
                out = parsed.cast(pa.int64()).to_numpy(zero_copy_only=False)
            except pa.ArrowInvalid:
                pass
        elif kinds and kinds <= {int, float}:
            # whole milliseconds: 1.7e9 s as a double is exact to 0.2 microseconds
            with np.errstate(all="ignore"):
                seconds = np.array(values, dtype=np.float64) * (1000 / per_second)
                sane = np.where(np.abs(seconds) < 1e15, seconds, 0)
            out = np.round(sane).astype(np.int64) * 1000
        if out is None:
            out = np.array([self._time(i, v, name, per_second) for i, v in enumerate(values)], dtype=np.int64)
        if len(out) and (out.min() < EARLIEST or out.max() >= LATEST):
            for i in np.flatnonzero((out < EARLIEST) | (out >= LATEST)).tolist():
                self.reasons.setdefault(i, f"{name} is not between 2000 and 2100")
        return out

    def _time(self, index: int, value: Any, name: str, per_second: int) -> int:
        if isinstance(value, str):
            try:
                value = float(value) if value.replace(".", "", 1).isdigit() else _iso(value)
            except (ValueError, OverflowError):
                self.reasons.setdefault(index, f"{name} is not a time")
                return EARLIEST
            if isinstance(value, datetime):
                return int((value - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000)
        if type(value) in (int, float) and math.isfinite(value):
            # held before it is rounded: the largest numbers times 1000 are infinite
            return round(min(max(value * 1000 / per_second, -(1 << 50)), 1 << 50)) * 1000
        self.reasons.setdefault(index, f"{name} is {_NAMES.get(type(value), 'odd')}, expected a time")
        return EARLIEST

    def require(self, values: Sequence[Any], name: str) -> None:
        """Records without this value cannot be used."""
        if None in values:
            for i, value in enumerate(values):
                if value is None:
                    self.reasons.setdefault(i, f"{name} is missing")


def _iso(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
