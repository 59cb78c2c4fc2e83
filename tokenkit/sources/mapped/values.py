"""Values: read the cells of a mapped log: times of any kind, yes and no in many words, lists, numbers as text.

Blank cells, ``-``, ``null`` and the like are null. A cell of another type than its column's quarantines its row.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tokenkit.sources.contract import Record
from tokenkit.sources.fields.columns import EARLIEST, LATEST, ColumnReader, by_size
from tokenkit.sources.fields.zones import NO_SUCH_TIME, Micros, column_to_utc, no_such_time, to_utc
from tokenkit.sources.mapped.mapping import UNITS
from tokenkit.sources.tabular import Rows

NOTHING = frozenset(("", "-", "null", "NULL", "Null", "None", "none", "NaN", "nan", "N/A", "n/a", "(null)", "\\N"))
YES = frozenset(("true", "t", "yes", "y", "1", "deny", "denied", "blocked", "rejected", "refused"))
NO = frozenset(("false", "f", "no", "n", "0", "allow", "allowed", "accepted", "granted", "permitted"))
EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


class CellReader(ColumnReader):
    """Reads the cells of some rows, column by column; blank cells, ``-``, ``null`` and the like are null.

    ``decimal`` and ``thousands`` are the marks in its numbers, as the mapping says; ``""``: it does not.
    """

    def __init__(self, rows: Rows, decimal: str = "", thousands: str = "") -> None:
        super().__init__(())
        self.rows = rows
        self.decimal, self.thousands = decimal, thousands
        self.odd: list[Any] = []  # texts of the column read last, where they are not all whole numbers

    def values(self, name: str, parents: Sequence[Record] | None = None) -> list[Any]:
        """Return the cells of a column, stripped; blank cells and the like are null."""
        values = self.rows.columns[name]
        kinds = set(map(type, values))
        if list in kinds:  # a header's value is a list of one
            values = [first_of(v) if type(v) is list else v for v in values]
            kinds = set(map(type, values))
        if kinds == {str}:  # a column of a CSV
            return [None if (word := v.strip()) in NOTHING else word for v in values]
        if str in kinds:
            stripped = [v.strip() if type(v) is str else v for v in values]
            values = [None if type(v) is str and v in NOTHING else v for v in stripped]
        if float in kinds:  # a column of whole numbers with nulls was written as one of floats
            values = [(int(v) if v.is_integer() else v if v == v else None) if type(v) is float else v for v in values]
        return list(values)

    def numbers(self, name: str, parents: Sequence[Record] | None = None) -> list[float | int | None]:
        """Numbers, or null."""
        self.odd = []
        values = self.values(name)
        if str in set(map(type, values)):
            if self.decimal:
                values = [self._marked(i, v, name) if type(v) is str else v for i, v in enumerate(values)]
                return self._check(values, name, {int, float, type(None)}, "a number")
            for type_ in (pa.int64(), pa.float64()):
                try:  # of a CSV every value is text: Arrow reads a column in a tenth of the time
                    return pa.array(values, pa.string()).cast(type_).to_pylist()
                except (pa.ArrowInvalid, pa.ArrowTypeError):
                    self.odd = values
        values = [self._plain_number(i, v, name) if type(v) is str else v for i, v in enumerate(values)]
        return self._check(values, name, {int, float, type(None)}, "a number")

    def amounts(self, name: str, parents: Sequence[Record] | None = None) -> list[int | None]:
        """Whole numbers from 0, or null; 1.234 in a column of them is one, or a thousand of them."""
        amounts = list(super().amounts(name))
        if self.odd and not _has_points(self.odd):
            for i, value in enumerate(self.odd):
                if type(value) is str and GROUPED.fullmatch(value):
                    amounts[i] = None
                    self.reasons.setdefault(i, f"{name} {AMBIGUOUS}")
        return amounts

    def _plain_number(self, index: int, text: str, name: str) -> float | int | None:
        if MARKED.fullmatch(text):
            self.reasons.setdefault(index, f"{name} {AMBIGUOUS}")
            return None
        return self._number(index, text, name)

    def _marked(self, index: int, text: str, name: str) -> float | int | None:
        """Return a number that is written with the marks of the mapping."""
        plain = text
        if self.thousands and self.thousands in text:
            if not re.fullmatch(
                rf"[+-]?\d{{1,3}}({re.escape(self.thousands)}\d{{3}})+({re.escape(self.decimal)}\d*)?", text
            ):
                self.reasons.setdefault(index, f"{name} is no number with decimal = {self.decimal!r} and "
                                        f"thousands = {self.thousands!r}")  # fmt: skip
                return None
            plain = text.replace(self.thousands, "")
        if self.decimal != "." and "." in plain:
            self.reasons.setdefault(index, f"{name} is no number with decimal = {self.decimal!r}")
            return None
        return self._number(index, plain.replace(self.decimal, "."), name)

    def yes_or_no(self, name: str) -> list[bool | None]:
        """Return true or false, from the words that logs use for yes and no."""
        values = self.values(name)
        known = {v: yes_or_no(v) for v in set(v for v in values if v.__hash__)}
        for i, value in enumerate(values):
            if value is not None and (not value.__hash__ or known[value] is None):
                self.reasons.setdefault(i, f"{name} is neither yes nor no (true, false, 1, 0, denied, allowed)")
        return [known.get(v) if v.__hash__ else None for v in values]

    def lists_as_text(self, name: str) -> list[str | None]:
        """Return lists of texts, or text with blanks or commas, as text with blanks."""
        texts: list[str | None] = []
        lists = self.rows.columns[name]
        for i, value in enumerate(lists if list in set(map(type, lists)) else self.values(name)):
            if value is None or type(value) is str:
                texts.append(" ".join(re.split(r"[\s,]+", value.strip("[] "))) if value else None)
            elif type(value) is list and all(type(v) is str for v in value):
                texts.append(" ".join(v.replace(" ", "_") for v in value) or None)
            else:
                texts.append(None)
                self.reasons.setdefault(i, f"{name} is neither a list of texts nor text")
        return texts

    def labels(self, name: str) -> list[str | None]:
        """Texts, whole numbers, or true and false, as text; blank texts and the like are null."""
        return self._labels([str(v).lower() if type(v) is bool else v for v in self.values(name)], name)

    def moments(self, name: str, unit: str, required: bool, zone: str = "") -> list[int | None]:
        """Return times in microseconds since 1970; those without a zone are of ``zone`` (empty: UTC)."""
        values = self.values(name)
        kinds = set(map(type, values))
        found = column_moments(values, kinds, unit, zone)
        if found is not None:
            out = found.tolist()
            if len(found) == 0 or (found.min() >= EARLIEST and found.max() < LATEST):
                return out
        else:
            out = [moment(v, unit, zone) for v in values]
        for i, (value, micros) in enumerate(zip(values, out, strict=True)):
            if value is None:
                if required:
                    self.reasons.setdefault(i, f"{name} is missing")
            elif micros is None:
                self.reasons.setdefault(i, f"{name} is not a time (ISO 8601, or a number since 1970)")
            elif not EARLIEST <= micros < LATEST:
                missing = micros == NO_SUCH_TIME
                self.reasons.setdefault(
                    i, no_such_time(name, zone) if missing else f"{name} is not between 2000 and 2100"
                )
                out[i] = None
        return out


def first_of(values: list[Any]) -> Any:
    """Return the first of a list, of a list in it too; None of an empty one.

    Examples
    --------
    >>> first_of(["a", "b"]), first_of([]), first_of([[7]])
    ('a', None, 7)
    """
    value: Any = values
    while type(value) is list:
        value = value[0] if value else None
    return value


# 1.234 and 1.234.567 are whole numbers in one country, and a fraction or nothing in another
GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}([.,' \u00a0\u2019\u202f])\d{3}(?:\1\d{3})*")
MARKED = re.compile(
    r"[+-]?\d{1,3}(?:([.,' \u00a0\u2019\u202f])\d{3}(?:\1\d{3})+|[,' \u00a0\u2019\u202f]\d{3}(?:\.\d+)?)"
    r"|[+-]?\d+(?:\.\d{3})*,\d+"
)
AMBIGUOUS = (
    "has numbers such as 1.234 or 1,5, which countries read differently. Say in the mapping, above [columns], "
    'decimal = "," and thousands = "." (1.234,5), or decimal = "." and thousands = "," (1,234.5)'
)
SHARE = 0.05  # of a column's numbers; where more of them are ambiguous, its file is refused


def _has_points(values: Sequence[Any]) -> bool:
    """Whether some number has a point that can only be a decimal one, as a column of averages has."""
    return any(type(v) is str and re.fullmatch(r"[+-]?(\d+\.(\d{1,2}|\d{4,})|\d{4,}\.\d+|0\.\d+)", v) for v in values)


def ambiguous(values: Sequence[Any], whole: bool) -> bool:
    """Whether the numbers of a column, as text, may be read in two ways.

    Parameters
    ----------
    values : sequence
        Cells; those that are no text are left out.
    whole : bool
        Whether the column counts something: of such a column 1.234 is ambiguous, of seconds it is not.

    Examples
    --------
    >>> ambiguous(["1.234", "998"], True), ambiguous(["1.234", "998"], False), ambiguous(["12,5", "8"], False)
    (True, False, True)
    >>> ambiguous(["512.125", "17.5"], True), ambiguous(["1234", "998"], True)
    (False, False)
    """
    texts = [v.strip() for v in values if type(v) is str and v.strip() not in NOTHING]
    marked = sum(bool(MARKED.fullmatch(text)) for text in texts)
    if whole and not _has_points(texts):
        marked = sum(bool(GROUPED.fullmatch(text) or MARKED.fullmatch(text)) for text in texts)
    return marked > 0 and marked >= SHARE * len(texts)


def yes_or_no(value: Any) -> bool | None:
    """Return whether a word of a log means yes, or None where it means neither.

    Examples
    --------
    >>> yes_or_no("Denied"), yes_or_no(0), yes_or_no("perhaps")
    (True, False, None)
    """
    word = str(value).lower()
    return True if word in YES else False if word in NO else None


def column_moments(values: list[Any], kinds: set[type], unit: str, zone: str = "") -> Micros | None:
    """Return the times of a whole column at once, µs since 1970, or None where its values are of several kinds."""
    if kinds == {str}:
        texts = pa.array(values, pa.string())
        try:
            if pc.all(pc.match_substring_regex(texts, r"^\d{5,20}(\.\d*)?$")).as_py():
                return _from_numbers(np.array(values, dtype=np.float64), unit)
        except ValueError:
            return None
        for named in ("UTC", None):
            try:
                micros = texts.cast(pa.timestamp("us", named)).cast(pa.int64()).to_numpy(zero_copy_only=False)
            except pa.ArrowInvalid:
                continue
            return micros if named else column_to_utc(micros, zone)
    if kinds and kinds <= {int, float}:
        try:
            return _from_numbers(np.array(values, dtype=np.float64), unit)
        except (OverflowError, ValueError):
            return None
    return None


def _from_numbers(values: "np.ndarray[Any, np.dtype[np.float64]]", unit: str) -> Micros:
    """Convert numbers since 1970 to microseconds.

    Without a unit their size tells it: times from 2000 to 2100 in s, ms, µs and ns have no size in common.
    """
    if not unit:
        return by_size(values)
    with np.errstate(all="ignore"):
        micros = values * UNITS["time"][unit]
        return np.round(np.where(np.abs(micros) < 1e17, micros, 0)).astype(np.int64)


def moment(value: Any, unit: str, zone: str = "") -> int | None:
    """Microseconds since 1970, or None; a time without a zone is of ``zone`` (empty: UTC).

    Examples
    --------
    >>> [moment(v, "") for v in ("2026-03-01T00:00:00,5 UTC", "1772323200", 1772323200000, "yesterday")]
    [1772323200500000, 1772323200000000, 1772323200000000, None]
    """
    if type(value) is str:
        if re.fullmatch(r"\d{8}", value):  # 20260301: a number, as it is where all of a column are
            return moment(int(value), unit, zone)
        try:
            time = datetime.fromisoformat(re.sub(r"\s*(UTC|GMT)$", "+00:00", value))
            return to_utc(time, zone) if time.tzinfo is None else (time - EPOCH) // MICROSECOND
        except (ValueError, OverflowError):
            if not re.fullmatch(r"[+-]?\d{1,20}(\.\d{0,20})?", value, re.ASCII):
                return None
            value = float(value)
    if type(value) is int or type(value) is float:
        try:
            return int(_from_numbers(np.array([value], dtype=np.float64), unit)[0])
        except OverflowError:
            return 0
    return None
