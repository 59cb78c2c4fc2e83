"""Tabular: CSV, JSON lines and Parquet as columns of values, whatever the columns are called.

Reads  a file, plain or gzip, whole or cut off, in batches of bounded memory. Gives ``Rows``.
Traps of CSV: separators of other countries, a byte order mark, rows of another length, quotes that nobody closes (which
would swallow the rest of the file), values over several lines. A row that cannot be read costs that row alone.
"""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from tokenkit.errors import SourceError
from tokenkit.sources import files, packed, wrappers
from tokenkit.sources.contract import BATCH, Quarantined, Record
from tokenkit.sources.fields.masking import hidden, tidy_text
from tokenkit.sources.stretch import Stretch

FORMATS = ("csv", "jsonl", "parquet")
ENDINGS = {
    "csv": (".csv", ".csv.gz", ".tsv", ".tsv.gz"),
    "jsonl": (".jsonl", ".ndjson", ".json", ".log", ".jsonl.gz", ".ndjson.gz", ".json.gz", ".log.gz"),
    "parquet": (".parquet", ".pq"),
}
SEPARATORS = ",;\t|"
SEPARATOR_LINE = re.compile(rb"""\s*["']?sep=.["']?\s*$""", re.IGNORECASE)  # what tells Excel the separator
MAX_SPAN = 100  # lines that one value in quotes may go over; beyond it somebody forgot to close the quote
SAMPLE_ROWS = 50  # rows from which the columns of a file without a header are collected
OTHER_PACKERS = {b"BZh": "bzip2", b"\xfd7zXZ": "xz"}
OPEN = "a quote is not closed"
_JSON = re.compile(r"""\{\s*\\?["'][^"']{0,100}["']\s*:""")
# no name of a column: a number, a time, an address, an id; a piece of JSON or of key=value; a word with many digits
_DATA = re.compile(
    r"^[-+]?\d[\d.,:/ T+Z-]*$|^\d{1,3}(\.\d{1,3}){3}$|://|^[0-9a-fA-F-]{16,}$|[{}\"=]|[A-Za-z_-]\d{3,}[A-Za-z]|\d{6}"
)


@dataclass
class Rows:
    """Rows of a file, column by column, and what of it is quarantined.

    Attributes
    ----------
    numbers : list of int
        Place of each row in its file, from 1: the line, or the row of a Parquet file.
    columns : dict of str to list
        Values by the file's own column names.
    raw : list of bytes
        Each row as it stands in the file; of Parquet as JSON.
    quarantined : list of Quarantined
    """

    numbers: list[int] = field(default_factory=list)
    columns: dict[str, list[Any]] = field(default_factory=dict)
    raw: list[bytes] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    place: str = "line"

    def without(self, reasons: dict[int, str]) -> "Rows":
        """Return the rows whose index has no reason to be quarantined."""
        indices = [i for i in range(len(self.numbers)) if i not in reasons]
        columns = {name: [values[i] for i in indices] for name, values in self.columns.items()}
        return Rows([self.numbers[i] for i in indices], columns, [self.raw[i] for i in indices], [], self.place)

    def quarantine(self, reasons: dict[int, str]) -> list[Quarantined]:
        """Return the rows whose index has a reason, as quarantined."""
        return [
            Quarantined.of(f"{self.place} {self.numbers[i]}", self.raw[i], reason)
            for i, reason in sorted(reasons.items())
        ]


def format_of(path: Path) -> str:
    """Return csv, jsonl or parquet: Parquet begins with its own bytes, JSON with a bracket or a header before one."""
    if isinstance(path, Stretch):
        return "jsonl"
    if files.Reader(path).head(4096).startswith(b"PAR1"):
        return "parquet"
    return "jsonl" if wrappers.is_json(path) else "csv"


def is_lines(path: Path, form: str) -> bool:
    """Whether a file, of this form or of the one that it has, is JSON whose lines can be read each by itself."""
    return (form or format_of(path)) == "jsonl" and wrappers.is_lines(path)


def names(path: Path, form: str) -> list[str]:
    """The file's columns in order: of the header, the Parquet schema, or the first rows.

    Raises
    ------
    SourceError
        It has none that can be read.
    """
    if form == "parquet":
        try:
            return list(pq.read_schema(packed.on_disk(path)).names)
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{path}: not a Parquet file, or one that was cut off. Write it again.") from error
    if form == "csv":
        for _, lines, _ in files.Reader(path).lines(2):
            if lines:
                return header(path, lines[-1 if SEPARATOR_LINE.match(lines[0]) else 0])[0]
        raise SourceError(f"{path}: no line in it, expected a CSV with a header.")
    columns: dict[str, None] = {}
    for number, record in enumerate(wrappers.first_records(path, wrappers.is_plain)):
        if number == SAMPLE_ROWS:
            break
        columns |= dict.fromkeys(_leaves(record))
    if not columns:
        raise SourceError(f"{path}: no object in its first lines, expected JSON objects, one a line.")
    return list(columns)


def _leaves(record: Record, before: str = "") -> Iterator[str]:
    """Names of the values of a record, those of objects in it with dots."""
    for name, value in record.items():
        if isinstance(value, dict) and value and before.count(".") < 3:
            yield from _leaves(value, f"{before}{name}.")
        else:
            yield f"{before}{name}"


def header(path: Path, line: bytes) -> tuple[list[str], str]:
    """The names in a CSV's first line, and what separates them.

    Raises
    ------
    SourceError
        The line cannot be read, or holds data: it is not shown, because data may be secret.
    """
    for begin, packer in OTHER_PACKERS.items():
        if line.startswith(begin):
            raise SourceError(
                f"{path}: packed with {packer}, expected gzip, zstd, zip or tar.gz. Unpack it: {packer} -d"
            )
    text = line.decode("utf-8", "replace").rstrip("\r\n")
    bare = re.sub(r'"[^"]*"', "", text)
    separator = max(SEPARATORS, key=bare.count)
    cells, why = _row([text], separator)
    if cells is None or "\0" in text:
        raise SourceError(f"{path}: the first line cannot be read ({why or 'not text in UTF-8'}), expected a header.")
    names = [cell.strip() for cell in cells]
    if _JSON.search(text):
        raise SourceError(
            f"{path}: its first line holds a JSON object after other text. Write one object a line and nothing else: "
            "remove what stands before the first { (in a log_format of NGINX, escape=json stands before the quotes)."
        )
    for number, cell in enumerate(names, 1):
        if _DATA.search(cell) or len(cell) > 100:
            raise SourceError(
                f"{path}: not a table: its first line looks like data (column {number}), expected the names of the "
                "columns. Put a line with names on top."
            )
    return names, separator


def printable_names(names: Sequence[str]) -> str:
    """Return column names for a message, without control characters and what looks like a credential.

    Examples
    --------
    >>> printable_names(["at", "key"])
    'at, key'
    """
    return ", ".join(hidden(name, 60) for name in names[:60]) + (", ..." if len(names) > 60 else "")


def rows(
    path: Path,
    form: str,
    columns: Sequence[str],
    parse: Callable[[bytes], Record] | None = None,
    wanted: wrappers.Wanted = wrappers.is_plain,
) -> Iterator[Rows]:
    """Yield some columns of a file, in batches of rows.

    Parameters
    ----------
    path : Path
    form : str
        csv, jsonl or parquet.
    columns : list of str
        Names of the file's columns; of JSON and Parquet also with dots, for what lies in an object.
    parse : function of a line, optional
        Makes the record of a line that is neither; raises ValueError where it is none, quoting nothing of it.
    wanted : function of a record, optional
        Whether an object of JSON is a row, rather than an envelope of rows.
    """
    if parse is not None:
        return _lines(path, columns, parse)
    if form == "jsonl":
        return _json(path, columns, wanted)
    return {"csv": _csv, "parquet": _parquet}[form](path, columns)


def _json(path: Path, columns: Sequence[str], wanted: wrappers.Wanted) -> Iterator[Rows]:
    for part in wrappers.records(path, wanted, BATCH):
        with files.without_collection():
            by_name = {name: field_of_each(part.records, name) for name in columns}
        yield Rows(part.numbers, by_name, part.lines, part.quarantined, part.place)


def _lines(path: Path, columns: Sequence[str], parse: Callable[[bytes], Record]) -> Iterator[Rows]:
    for numbers, lines, quarantined in files.Reader(path).lines(BATCH):
        with files.without_collection():
            records, reasons = _parsed(lines, parse)
            all_rows = Rows(numbers, {}, lines)
            rows = all_rows.without(reasons) if reasons else all_rows
            rows.columns = {name: field_of_each(records, name) for name in columns}
        rows.quarantined = all_rows.quarantine(reasons) + quarantined
        yield rows


def _parsed(lines: list[bytes], parse: Callable[[bytes], Record]) -> tuple[list[Record], dict[int, str]]:
    records, reasons = [], {}
    for i, line in enumerate(lines):
        try:
            records.append(parse(line))
        except ValueError as error:
            reasons[i] = tidy_text(str(error), 200) or "not a line of this source"
    return records, reasons


def field_of_each(records: Sequence[Record], name: str) -> list[Any]:
    """A field of every record; a name with dots that a record does not have as such leads into objects and lists.

    Of a list the first element is taken, or the one whose number, from 0, the name has.
    """
    values = [record.get(name) for record in records]
    if "." not in name or all(value is not None for value in values):
        return values
    inner: list[Any] = list(records)
    for part in name.split("."):
        inner = [value.get(part) if type(value) is dict else _in_list(value, part) for value in inner]
    return [below if flat is None else flat for flat, below in zip(values, inner, strict=True)]


def _in_list(value: Any, part: str) -> Any:
    """Return what a part of a name leads to in a list: an element by its number, or a field of the first one."""
    if type(value) is not list or not value:
        return None
    if part.isdecimal():
        return value[int(part)] if len(part) < 7 and int(part) < len(value) else None
    return value[0].get(part) if type(value[0]) is dict else None


def _csv(path: Path, columns: Sequence[str]) -> Iterator[Rows]:
    names: list[str] = []
    separator = ","
    numbers: list[int] = []
    lines: list[bytes] = []
    for more_numbers, more_lines, quarantined in files.Reader(path).lines(BATCH):
        numbers, lines = numbers + more_numbers, lines + more_lines
        if not names and lines:
            first = 1 if SEPARATOR_LINE.match(lines[0]) and len(lines) > 1 else 0
            names, separator = header(path, lines[first])
            numbers, lines = numbers[first + 1 :], lines[first + 1 :]
        with files.without_collection():
            rows, complete_lines = _table(numbers, lines, names, separator, columns, last=False)
        rows.quarantined += quarantined
        numbers, lines = numbers[complete_lines:], lines[complete_lines:]
        yield rows
    if lines:
        yield _table(numbers, lines, names, separator, columns, last=True)[0]


def _table(
    numbers: list[int], lines: list[bytes], names: list[str], separator: str, columns: Sequence[str], last: bool
) -> tuple[Rows, int]:
    """Return the rows of these lines, and how many lines they take up; the value in the lines after them is cut off."""
    texts = [line.decode("utf-8", "replace") for line in lines]
    rows = Rows(numbers, {}, lines)
    complete_lines = len(lines)
    try:
        cells = list(csv.reader(texts, delimiter=separator, strict=True))
    except csv.Error:
        cells = []
    # as many rows as lines: each line is one
    if len(cells) != len(lines) or set(map(len, cells)) - {len(names)}:
        cells, complete_lines = _one_by_one(rows, texts, len(names), separator, last)
    by_column = list(zip(*cells, strict=True)) if cells else [()] * len(names)
    rows.columns = {
        name: list(by_column[names.index(name)]) if name in names else [None] * len(cells) for name in columns
    }
    return rows, complete_lines


def _one_by_one(rows: Rows, texts: list[str], width: int, separator: str, last: bool) -> tuple[list[list[str]], int]:
    """Read row by row, where some line is not a row of its own; what is no row goes to ``rows.quarantined``."""
    cells, numbers, raw = [], [], []
    odd = np.array([text.count('"') % 2 for text in texts], dtype=bool)
    at = 0
    while at < len(texts):
        end = at + 1
        row, why = _row(texts[at:end], separator)
        if why == OPEN:  # a value may go over several lines: to the next one with an odd number of quotes
            closing = np.flatnonzero(odd[at + 1 : at + MAX_SPAN])
            if len(closing):
                row, _ = _row([text + "\n" for text in texts[at : at + closing[0] + 2]], separator)
                row = row if row and len(row) == width else None
                end = at + int(closing[0]) + 2 if row else end
            elif not last and len(texts) - at < MAX_SPAN:
                break
        if row and len(row) > width and not any(cell.strip() for cell in row[width:]):
            row = row[:width]
        if row is None or len(row) != width:
            why = why or f"{len(row or ())} values, expected {width}"
            rows.quarantined.append(Quarantined.of(f"line {rows.numbers[at]}", rows.raw[at], why))
        else:
            cells.append(row)
            numbers.append(rows.numbers[at])
            raw.append(rows.raw[at] if end == at + 1 else b"\n".join(rows.raw[at:end]))
        at = end
    rows.numbers, rows.raw = numbers, raw
    return cells, at


def _row(texts: list[str], separator: str) -> tuple[list[str] | None, str]:
    """Return the one row that these lines are, or None and the reason."""
    try:
        rows = list(csv.reader(texts, delimiter=separator, strict=True))
    except csv.Error as error:
        if "unexpected end" in str(error):
            return None, OPEN
        return None, "a value is too long" if "limit" in str(error) else "a quote or a line end stands inside a value"
    return (rows[0], "") if len(rows) == 1 else (None, "a line end stands inside a value")


def _parquet(path: Path, columns: Sequence[str]) -> Iterator[Rows]:
    """Read row group by row group; the rows of a damaged one are lost."""
    try:
        file = pq.ParquetFile(packed.on_disk(path))
    except (pa.ArrowException, OSError) as error:
        why = "not a Parquet file, or one that was cut off"
        yield Rows(quarantined=[Quarantined.of("file", str(error).encode(), why)], place="row")
        return
    number = 0
    with file:
        for group in range(file.num_row_groups):
            begin = number
            try:
                for batch in file.iter_batches(BATCH, row_groups=[group]):
                    with files.without_collection():
                        yield _plain_rows(batch, number + 1, columns)
                    number += batch.num_rows
            except (
                pa.ArrowException,
                OSError,
                ValueError,
                OverflowError,
            ) as error:  # a date of no year, too
                why = "the row group is damaged"
                place = f"row group {group}"
                yield Rows(quarantined=[Quarantined.of(place, str(error).encode(), why)], place="row")
            number = begin + file.metadata.row_group(group).num_rows


def _plain_rows(batch: pa.RecordBatch, first: int, columns: Sequence[str]) -> Rows:
    values_by_name = {name: _plain(values) for name, values in zip(batch.schema.names, batch.columns, strict=True)}
    records = [dict(zip(values_by_name, cells, strict=True)) for cells in zip(*values_by_name.values(), strict=True)]
    raw = [orjson.dumps(record, default=str, option=orjson.OPT_NON_STR_KEYS) for record in records]
    numbers = list(range(first, first + batch.num_rows))
    return Rows(
        numbers,
        {name: values_by_name.get(name) or field_of_each(records, name) for name in columns},
        raw,
        [],
        "row",
    )


def _plain(values: pa.Array) -> list[Any]:
    """The values of a Parquet column as JSON would have them; a time as ISO 8601 text."""
    type_ = values.type
    if pa.types.is_timestamp(type_):
        micros = values.cast(pa.timestamp("us", type_.tz), safe=False)
        texts = micros.cast(pa.timestamp("us")).cast(pa.string())
        return [None if t is None else t + ("Z" if type_.tz else "") for t in texts.to_pylist()]
    if pa.types.is_decimal(type_):
        values = values.cast(pa.float64())
    return [v.decode("utf-8", "replace") if type(v) is bytes else v for v in values.to_pylist()]
