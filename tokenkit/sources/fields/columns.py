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
from tokenkit.sources.fields.zones import NO_SUCH_TIME, Micros, column_to_utc, no_such_time, to_utc

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

    def times(self, values: Sequence[Any], name: str, per_second: int = 1, zone: str = "") -> Micros:
        """Microseconds since 1970 of ISO 8601 text, or of numbers since 1970.

        Text without a zone is of ``zone`` (empty: UTC). A number that is of no year from 2000 to 2100 in the given unit
        is read in the unit in which it is, of s, ms, us and ns.
        """
        out: Micros | None = None
        kinds = set(map(type, values))
        if kinds == {str}:
            try:
                parsed = pa.array(values, pa.string()).cast(schema.TIME)
                out = parsed.cast(pa.int64()).to_numpy(zero_copy_only=False)
            except pa.ArrowInvalid:
                out = _without_zone(values, zone)
        elif kinds and kinds <= {int, float}:
            # whole milliseconds: 1.7e9 s as a double is exact to 0.2 microseconds
            with np.errstate(all="ignore"):
                seconds = np.array(values, dtype=np.float64) * (1000 / per_second)
                sane = np.where(np.abs(seconds) < 1e15, seconds, 0)
            out = np.round(sane).astype(np.int64) * 1000
            other = (out < EARLIEST) | (out >= LATEST)
            if other.any():
                out[other] = by_size(np.array(values, dtype=np.float64)[other])
        if out is None:
            out = np.array([self._time(i, v, name, per_second, zone) for i, v in enumerate(values)], dtype=np.int64)
        if len(out) and (out.min() < EARLIEST or out.max() >= LATEST):
            for i in np.flatnonzero((out < EARLIEST) | (out >= LATEST)).tolist():
                missing = out[i] == NO_SUCH_TIME
                self.reasons.setdefault(
                    i, no_such_time(name, zone) if missing else f"{name} is not between 2000 and 2100"
                )
        return out

    def _time(self, index: int, value: Any, name: str, per_second: int, zone: str) -> int:
        if isinstance(value, str):
            try:
                value = float(value) if value.replace(".", "", 1).isdigit() else datetime.fromisoformat(value)
            except (ValueError, OverflowError):
                self.reasons.setdefault(index, f"{name} is not a time")
                return EARLIEST
            if isinstance(value, datetime):
                return _of_datetime(value, zone)
        if type(value) in (int, float) and math.isfinite(value):
            # held before it is rounded: the largest numbers times 1000 are infinite
            micros = round(min(max(value * 1000 / per_second, -(1 << 50)), 1 << 50)) * 1000
            return micros if EARLIEST <= micros < LATEST else int(by_size(np.array([value], dtype=np.float64))[0])
        self.reasons.setdefault(index, f"{name} is {_NAMES.get(type(value), 'odd')}, expected a time")
        return EARLIEST

    def require(self, values: Sequence[Any], name: str) -> None:
        """Records without this value cannot be used."""
        if None in values:
            for i, value in enumerate(values):
                if value is None:
                    self.reasons.setdefault(i, f"{name} is missing")


def _of_datetime(moment: datetime, zone: str) -> int:
    if moment.tzinfo is None:
        return to_utc(moment, zone)
    try:
        return int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000)
    except OverflowError:
        return EARLIEST - 1


def _without_zone(values: Sequence[Any], zone: str) -> Micros | None:
    """Times of a column of texts none of which names a zone; None where that is not so."""
    try:
        local = pa.array(values, pa.string()).cast(pa.timestamp("us")).cast(pa.int64())
    except pa.ArrowInvalid:
        return None
    micros: Micros = local.to_numpy(zero_copy_only=False)
    return column_to_utc(micros, zone) if zone else micros


def by_size(values: "np.ndarray[Any, np.dtype[np.float64]]") -> Micros:
    """Microseconds since 1970 of numbers in s, ms, us or ns, as their size says; 0 where they are too large.

    Times from 2000 to 2100 have no size in common in these units; of any other size, a number is no such time.

    Examples
    --------
    >>> by_size(np.array([1772445600, 1772445600123, 1772445600123456, 1772445600123456789])).tolist()
    [1772445600000000, 1772445600123000, 1772445600123456, 1772445600123457]
    """
    size = np.abs(values)
    with np.errstate(all="ignore"):
        micros = values * np.select([size < 1e11, size < 1e14, size < 1e17], [1e6, 1e3, 1.0], 1e-3)
        return np.round(np.where(np.abs(micros) < 1e17, micros, 0)).astype(np.int64)
