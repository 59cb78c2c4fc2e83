"""Wrappers: the records of a file of JSON, or of lines of text, whatever was put around them on the way.

``records`` reads JSON lines, arrays, objects over several lines or side by side, and peels off what log shippers add:
headers of syslog, CRI and others before an object; envelopes in which the record is text (``log``, ``message``) or an
object (``nginx``, ``detail``), one or a list of them. What is counted is the record inside. A source says by ``wanted``
which object is its record; an object that it wants as it stands is never looked into, nor is a text of any other name,
so that nobody makes records by what he sends as a user agent. Lines of text are read by ``parse``.
"""

import csv
import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tokenkit.sources import files, objects
from tokenkit.sources.contract import BATCH, Quarantined, Record
from tokenkit.sources.objects import Records
from tokenkit.sources.stretch import CutInRecordError, Stretch

Wanted = Callable[[Record], bool]
Whole = Callable[[list[bytes]], tuple[Any, "np.ndarray[Any, np.dtype[np.bool_]]"]]  # what it made, of which lines
Parse = Callable[[bytes], Record]  # of a line that is no JSON; raises ValueError, which quotes nothing

# fields in which shippers put the line that they read: Docker, Fluent Bit, Logstash, Vector, Beats, journald,
# CloudWatch, Google Cloud, Splunk
TEXT_FIELDS = ("log", "message", "MESSAGE", "msg", "@message", "original", "_raw", "textPayload", "line", "Message")
# and fields that hold such a line only beside these others: of Kafka's tools, Graylog (GELF), OpenTelemetry, Splunk's
# collector. A log's own field of that name may hold what a client sent
TEXT_BESIDE = {"value": {"topic", "partition"}, "payload": {"topic", "partition"}, "short_message": {"version", "host"},
               "event": {"sourcetype"}}  # fmt: skip
# beside these "data" is a line in base64, perhaps of gzip: of Pub/Sub, Firehose and Kinesis
PACKED_BESIDE = ({"messageId"}, {"recordId"}, {"partitionKey", "sequenceNumber"})
# columns of tables in which a search gives lines: of CloudWatch, Splunk, Datadog, Kibana, Grafana; the surest first
LINE_COLUMNS = ("@message", "_raw", "textPayload", "Message", "message", "Line", "line", "log")
DEPTH = 6  # envelopes in envelopes
HEAD = 200  # lines that are looked at to tell what a file is
HEAD_GROUPS = 10  # so many lines are looked at so often, where they are no records
_ISO = rb"\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d[\d.,]*(?:Z|[+-]\d\d:?\d\d)?"
_CRI = re.compile(_ISO + rb" (stdout|stderr) ([PF])(?::\S*)? ")
# Heroku leaves out what is "-" before the text
_RFC_5424 = (
    rb"(?:\d+ )?<\d{1,3}>\d{1,2} (?:[^\s{]+ ){5}(?:(?:-|(?:\[(?:[^\]\"\\]|\\.|\"(?:[^\"\\]|\\.)*\")*\])+) ?|(?=\{))"
)
_TIME = rb"(?:<\d{1,3}>)?(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|" + _ISO + rb"|\d{10,19}(?:\.\d+)?)"  # RFC 3164
_ONE_WORD = rb"[^\s{\"]{1,80}[ \t]*(?:\| ?)?"
_HEADER = re.compile(_RFC_5424 + rb"|" + _TIME + rb"(?:[ \t]+[^\s{\"]+){0,3}[ \t]*|" + _ONE_WORD)
# before a line of text, of which the words could be part: they are taken off one by one
_HEADER_OF_TEXT = re.compile(_RFC_5424 + rb"|" + _TIME + rb"[ \t]+|" + _ONE_WORD)
_WORD = re.compile(rb"[^\s{\"]{1,80}[ \t]+")
_COOKIE = re.compile(rb"(?:\xef\xbb\xbf)?(?:@cee:\s*)?(?=\{)")
_COLUMN = re.compile(r"[@\w][\w @.-]{0,60}")
_JOURNAL_FIELD = re.compile(rb"[A-Z_][A-Z0-9_]*=")


def is_plain(record: Record) -> bool:
    """Whether a record is no envelope, as far as it can be told without knowing the source.

    Examples
    --------
    >>> is_plain({"at": 1, "key": "a"}), is_plain({"log": '{"at": 1}', "stream": "stdout"}), is_plain({"records": [{}]})
    (True, False, False)
    """
    if _is_docker(record):
        return False
    if len(record) == 1:
        value = next(iter(record.values()))
        if type(value) is dict or (type(value) is list and any(type(item) is dict for item in value)):
            return False
    return not _holds_json(record)


def _holds_json(record: Record, depth: int = 2) -> bool:
    """Whether a field in which shippers put a line holds an object."""
    texts = (_text_of(record[name]) for name in TEXT_FIELDS if name in record)
    return any(text.lstrip().startswith(b"{") for text in texts) or any(
        (type(value) is dict and depth > 0 and _holds_json(value, depth - 1))
        or (type(value) is list and value and _is_entry(value[0]))
        for value in record.values()
    )


def _is_entry(item: Any) -> bool:
    """Whether this is a line beside its time, as Loki has it: ``["1772445600000000000", "..."]``."""
    return type(item) is list and len(item) > 1 and type(item[0]) is str and item[0].isdigit()


def _is_docker(record: Record) -> bool:
    return len(record) < 5 and type(record.get("log")) is str and type(record.get("stream")) is str


def records(
    path: Path, wanted: Wanted = is_plain, count: int = BATCH, by_names: bool = False, parse: Parse | None = None,
    whole: Whole | None = None,
) -> Iterator[Records]:  # fmt: skip
    """Yield the records of a file of JSON, in groups of about ``count``.

    Parameters
    ----------
    path : Path
        A file of JSON lines, wrapped or not, or of objects in an array, over several lines or side by side.
    wanted : function of a record
        Whether an object is a record; one that is not is looked into, and stays as it is if nothing is found.
    count : int
    by_names : bool
        Whether ``wanted`` looks at the names of a record's own fields alone: it is then asked once for all that have
        the same.
    parse : function of a line, optional
        Gives the record that a line of text is, where a log has such lines beside JSON or instead of it.
    whole : function of lines, optional
        Takes those lines that it can read at once as they stand; they come as ``Records.whole``, before the others.
    """
    peeler = Peeler(wanted, by_names, parse)
    reader = files.Reader(path)
    if not isinstance(path, Stretch) and objects.is_stream(path):
        for piece in objects.records(reader, count):
            with files.without_collection():
                part = peeler.peel(piece.numbers, piece.lines, piece.records, {}, piece.place)
            part.quarantined += piece.quarantined
            yield part
    else:
        for numbers, lines, quarantined in reader.lines(count):
            if whole and lines:
                made, taken = whole(lines)
                if made is not None:
                    yield Records(_where(numbers, taken), _where(lines, taken), whole=made)
                    numbers, lines = _where(numbers, ~taken), _where(lines, ~taken)
            with files.without_collection():
                part = peeler.peel(numbers, lines, *_parse_lines(lines, parse))
            part.quarantined += quarantined
            yield part
    if peeler.unfinished and isinstance(path, Stretch) and not path.is_last:
        raise CutInRecordError(peeler.unfinished)
    if rest := peeler.rest():
        yield Records(quarantined=rest)


def _where(items: list[Any], mask: "np.ndarray[Any, np.dtype[np.bool_]]") -> list[Any]:
    return items if mask.all() else [items[i] for i in np.flatnonzero(mask).tolist()]


def _parse_lines(lines: list[bytes], parse: Parse | None) -> tuple[list[Record], dict[int, str]]:
    """Return the records of lines of JSON or text, and, by its index, why a line is none."""
    if parse is None or all(line[:1] == b"{" for line in lines):
        return files.parse_lines(lines)
    found: list[Record] = []
    reasons: dict[int, str] = {}
    for i, line in enumerate(lines):
        try:
            found.append(parse(line))
        except ValueError as error:
            record, why = files.parse_lines([line]) if line.lstrip()[:1] in (b"{", b"[") else ([], {0: str(error)})
            found += record
            if why:
                reasons[i] = why[0]
    return found, reasons


class Peeler:
    """Takes off what is around records, batch by batch; a record that was cut into several lines is joined."""

    def __init__(self, wanted: Wanted, by_names: bool, parse: Parse | None = None) -> None:
        self._wanted, self._by_names, self._parse = wanted, by_names, parse
        self._shapes: dict[tuple[str, ...], bool] = {}
        self._parts: dict[str, tuple[int, bytes]] = {}  # by stream: the first line, and what was read of the record
        self._is_journal = False
        self._column: int | None = None  # in which the lines stand, of a table of them

    def peel(
        self, numbers: list[int], lines: list[bytes], found: list[Record], reasons: dict[int, str], place: str = "line"
    ) -> Records:
        """Return the records in these lines, given what is JSON of them and, by index, why others are not."""
        if not reasons and not self._parts and self._all_wanted(found):
            return Records(numbers, lines, found, place=place)
        out = Records(place=place)
        parsed = iter(found)
        for i, (number, line) in enumerate(zip(numbers, lines, strict=True)):
            if i in reasons:
                self._text(out, number, line, reasons[i])
            else:
                self._object(out, number, line, next(parsed))
        return out

    @property
    def unfinished(self) -> int:
        """The first line of a record whose last part did not come yet; 0 where there is none."""
        return min((number for number, _ in self._parts.values()), default=0)

    def rest(self) -> list[Quarantined]:
        """Return the records whose last part never came."""
        parts, self._parts = self._parts, {}
        return [Quarantined.of(f"line {number}", text, files.CUT_OFF) for number, text in parts.values()]

    def _all_wanted(self, found: list[Record]) -> bool:
        """Whether all are records as they are."""
        if not self._by_names:
            return all(map(self._wanted, found))
        shapes = set(map(tuple, found))
        if not shapes - self._shapes.keys():
            return all(map(self._shapes.__getitem__, shapes))
        by_shape = {tuple(record): record for record in found}
        return all([self._shape_is_wanted(shape, record) for shape, record in by_shape.items()])

    def _shape_is_wanted(self, shape: tuple[str, ...], record: Record) -> bool:
        known = self._shapes.get(shape)
        if known is None:
            known = self._wanted(record)
            if len(self._shapes) < 10_000:
                self._shapes[shape] = known
        return known

    def _is_wanted(self, record: Record) -> bool:
        return self._shape_is_wanted(tuple(record), record) if self._by_names else self._wanted(record)

    def _text(self, out: Records, number: int, line: bytes, reason: str) -> None:
        """Add what a line holds that is no object."""
        if number == 1 and (column := _column_of_lines(line)) is not None:
            self._column = column
            return
        if line.startswith(b"__CURSOR="):
            self._is_journal = True
        if self._is_journal and _JOURNAL_FIELD.match(line) and not line.startswith(b"MESSAGE="):
            return  # the other fields of an entry that journalctl wrote with --output=export
        if cri := _CRI.match(line):
            stream, last = cri.group(1).decode(), cri.group(2) == b"F"
            content = line[cri.end() :]
            if not last or stream in self._parts:
                self._part(out, number, stream, content.rstrip(b"\r"), last)
                return
        found = self._in_text(line if self._column is None else _cell(line, self._column), 0)
        if not found:
            out.quarantine(number, line, reason)
        for inner, record in found:
            out.add(number, inner, record)

    def _object(self, out: Records, number: int, line: bytes, record: Record) -> None:
        """Add what an object holds, or the object itself."""
        if self._is_wanted(record):
            out.add(number, line, record)
            return
        if _is_docker(record):
            text, stream = record["log"], record["stream"]
            # Docker cuts a line into pieces of 16 kB; the last one ends with a line end
            content, last = text.encode("utf-8", "replace"), text.endswith("\n") or record.get("logtag") == "F"
            if stream in self._parts and self._in_text(content, 0):
                first, cut = self._parts.pop(stream)  # whose end never came: this is a record of its own
                out.quarantine(first, cut, files.CUT_OFF)
            elif stream in self._parts or not (last or self._in_text(content, 0) or not _begins_object(content)):
                self._part(out, number, stream, content, last)
                return
        for inner, inner_record in self._inside(record, 0) or [(line, record)]:
            out.add(number, inner, inner_record)

    def _part(self, out: Records, number: int, stream: str, content: bytes, last: bool) -> None:
        first, before = self._parts.pop(stream, (number, b""))
        text = before + content
        if len(text) > files.MAX_LINE:
            out.quarantine(first, text, files.TOO_LONG)
        elif not last:
            self._parts[stream] = first, text
        elif found := self._in_text(text, 0):
            for inner, record in found:
                out.add(first, inner, record)
        else:
            out.quarantine(first, text, "the line is not JSON")

    def _in_text(self, text: bytes, depth: int) -> list[tuple[bytes, Record]]:
        """Return the records that a text is: an object, or an object behind a header."""
        text = text.strip()
        if not text.startswith(b"{"):
            if self._parse and (found := _behind_header(text, self._parse)):
                return [found]
            header = _HEADER.match(text)
            cookie = _COOKIE.match(text, header.end() if header else 0)
            if not header or not cookie:
                return []
            text = text[cookie.end() :]
        try:
            record = files.parse(text)
        except ValueError:
            return []
        if type(record) is not dict:
            return []
        return self._inside(record, depth) if not self._is_wanted(record) else [(text, record)]

    def _inside(self, record: Record, depth: int) -> list[tuple[bytes, Record]]:
        """Return the records in an object: the first of its fields that holds some, those with a line before others."""
        if depth == DEPTH:
            return []
        for name in record:
            text = _line_in(name, record)
            if text and (self._parse or b"{" in text) and (found := self._in_text(text, depth + 1)):
                return found
        for value in filter(None, record.values()):
            if type(value) is dict:
                if found := self._of_object(value, depth):
                    return found
            elif type(value) is list:
                each = [(item, self._of_item(item, depth)) for item in value if type(item) in (dict, list)]
                if any(found for _, found in each):  # those in which nothing is found stay, to be counted
                    return [one for item, found in each for one in found or [(files.as_json(item), item)]]
        return []

    def _of_item(self, item: Any, depth: int) -> list[tuple[bytes, Record]]:
        """Return the records in an item of a list, which is an object or an entry of Loki."""
        if type(item) is dict:
            return self._of_object(item, depth)
        return self._in_text(_text_of(item[1]), depth + 1) if _is_entry(item) else []

    def _of_object(self, value: Record, depth: int) -> list[tuple[bytes, Record]]:
        return [(files.as_json(value), value)] if self._is_wanted(value) else self._inside(value, depth + 1)


def _behind_header(text: bytes, parse: Parse) -> tuple[bytes, Record] | None:
    """Return the line and the record that a text is, behind a header or not; a directive (#) is none."""
    if text.startswith(b"#"):
        return None
    header = _HEADER_OF_TEXT.match(text)
    at = 0
    for _ in range(5):
        try:
            return text[at:], parse(text[at:])
        except ValueError:
            pass
        after = header if at == 0 else _WORD.match(text, at)
        if not after or after.end() == len(text):
            return None
        at = after.end()
    return None


def _column_of_lines(header: bytes) -> int | None:
    """Return which column of a table holds lines, of its header; None where this is no such header.

    Examples
    --------
    >>> _column_of_lines(b"@timestamp,@message"), _column_of_lines(b'203.0.113.7 "GET /a,message,b HTTP/1.1"')
    (1, None)
    """
    names = [name.strip() for name in _cells(header)]
    if not all(map(_COLUMN.fullmatch, names)):  # a request for /a,message,b is no header
        return None
    return next((names.index(name) for name in LINE_COLUMNS if name in names), None)


def _cell(row: bytes, column: int) -> bytes:
    cells = _cells(row)
    return cells[column].encode("utf-8", "replace") if column < len(cells) else b""


def _cells(row: bytes) -> list[str]:
    try:
        return next(csv.reader([row.decode("utf-8", "replace")]), [])
    except csv.Error:
        return []


def _begins_object(text: bytes) -> bool:
    """Whether a text begins an object, behind a header or not; only such a one can have been cut."""
    text = text.lstrip()
    header = _HEADER.match(text)
    return text.startswith(b"{") or bool(header and _COOKIE.match(text, header.end()))


def _line_in(name: str, record: Record) -> bytes:
    """Return the line that a shipper read and put into a field; empty where it does not put one into this field."""
    value = record[name]
    if name == "awslogs" and type(value) is dict:  # a subscription of CloudWatch
        return files.from_base64(value.get("data")) or b""
    if name == "data" and any(record.keys() >= beside for beside in PACKED_BESIDE):
        return files.from_base64(value) or b""
    if name == "stringValue":  # of the body of a log record of OpenTelemetry
        return _text_of(value) if len(record) == 1 else b""
    is_text = name in TEXT_FIELDS or (name in TEXT_BESIDE and record.keys() >= TEXT_BESIDE[name])
    return _text_of(value) if is_text else b""


def _text_of(value: Any) -> bytes:
    """A text as bytes; journald writes one that is not UTF-8 as a list of bytes."""
    if type(value) is str:
        return value.encode("utf-8", "replace")
    if type(value) is list and value and all(type(byte) is int and 0 <= byte < 256 for byte in value):
        return bytes(value)
    return b""


def first_records(path: Path, wanted: Wanted, by_names: bool = False, parse: Parse | None = None) -> list[Record]:
    """Return the first records of a file of JSON; none where its begin has none. Arguments as of ``records``."""
    # a large file of another kind is not read whole
    begin = islice(records(path, wanted, HEAD, by_names, parse), HEAD_GROUPS)
    return next((part.records for part in begin if part.records), [])


def is_json(path: Path) -> bool:
    """Whether a file is one of JSON: by its first bytes, by a header and an object, or by most of its first lines."""
    head = files.Reader(path).head(files.HEADS[0]).lstrip(b" \t\r\n\x1e")
    if head.startswith((b"{", b"[", b"__CURSOR=")):
        return True
    lines = [line for line in map(bytes.strip, head.split(b"\n")[:HEAD]) if line]
    if 2 * sum(line.startswith(b"{") for line in lines) > len(lines):
        return True
    header = (_CRI.match(lines[0]) or _HEADER.match(lines[0])) if lines else None
    return bool(header and _COOKIE.match(lines[0], header.end()) and lines[0].endswith(b"}")) or _is_cri(lines[:1])


def is_lines(path: Path) -> bool:
    """Whether each line of a file of JSON can be read without those before it, but for records cut into several."""
    if objects.is_stream(path):
        return False
    first = files.Reader(path).head(4096).split(b"\n", 1)[0]
    return not first.startswith(b"__CURSOR=") and _column_of_lines(first) is None


def _is_cri(lines: list[bytes]) -> bool:
    return any(match and lines[0][match.end() :].startswith(b"{") for match in map(_CRI.match, lines))
