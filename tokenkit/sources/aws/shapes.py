"""Shapes: the records of CloudTrail in whatever AWS and its tools wrap them.

Known: batches (``Records``), one record or one batch a line, arrays, records joined without a separator (Firehose),
``lookup-events`` (records as text), EventBridge (``detail``), CloudWatch (``logEvents``, ``message``, a time before
each line, base64 and gzip of a subscription), results of CloudTrail Lake (rows of single columns). A new one is a name
in one of the tables below.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from tokenkit.sources import files
from tokenkit.sources.aws import exports

# field that holds a list of records, or of what wraps one
LISTS = ("Records", "Events", "logEvents", "QueryResultRows", "events", "results", "records", "Messages")
# field that holds a record, or what wraps one, as JSON text
TEXTS = ("CloudTrailEvent", "eventJson", "message", "@message", "Message", "Body", "body", "log", "_raw")
# field that holds an object with base64 of gzip of JSON below "data"
PACKED = ("awslogs", "kinesis")
DEEPEST = 6  # wrappers in one another

_SEPARATORS = re.compile(rb"[\s,\[\]\x1e\x00]*")
_TIME = re.compile(rb"\d{4}-\d\d-\d\dT[\d:.]+Z?[ \t]+(?=\{)")
_LISTS = re.compile(rb'"(?:' + "|".join(LISTS).encode() + rb')"\s*:\s*\[')


@dataclass(frozen=True)
class Piece:
    """One JSON value of a file, or what is none and why.

    Attributes
    ----------
    line : int
        The line it begins in, from 1.
    offset : int
        The byte it begins at.
    raw : bytes
    value : any JSON value, None where there is a reason
    reason : str
        Why it cannot be read; "" where it can.
    """

    line: int
    offset: int
    raw: bytes
    value: Any = None
    reason: str = ""


def pieces(content: bytes, line: int = 1, end_reason: str = "") -> Iterator[Piece]:
    r"""Yield the JSON values of a file that is not one: line by line, over several lines, or joined.

    What is not closed ends where a line begins with another object, and costs itself alone; a list in it that began
    (``LISTS``) still gives its whole records.

    Parameters
    ----------
    content : bytes
    line : int
        The number of its first line.
    end_reason : str
        Why the content ends where it does, for an object that is not closed at its end.

    Examples
    --------
    >>> [(p.line, p.value, p.reason) for p in pieces(b'{"a": 1}{"b": 2}\n{"c"\n{"d": 3}')]
    [(1, {'a': 1}, ''), (1, {'b': 2}, ''), (2, None, 'the record is not JSON'), (3, {'d': 3}, '')]
    """
    at, tried, line_end, next_object = 0, 0, -1, -2
    while True:
        separators = _SEPARATORS.match(content, at)
        begin, at = at, separators.end() if separators else at
        line += content.count(b"\n", begin, at)
        if at >= len(content):
            return
        if at > line_end:
            line_end = content.find(b"\n", at)
            line_end = len(content) if line_end < 0 else line_end
        if line != tried:  # once a line: what is joined in a line is cut by counting brackets
            tried = line
            if prefix := _TIME.match(content, at, line_end):
                at = prefix.end()
            values = _whole_line(content[at:line_end].rstrip(b" \t\r,]\x00"))
            if values is not None:
                for raw, value in values:
                    yield Piece(line, at, raw, value)
                at = line_end
                continue
        if content[at : at + 1] != b"{":
            yield Piece(line, at, content[at:line_end], reason="the line is not JSON")
            at = line_end
            continue
        if next_object != -1 and next_object < at:
            next_object = content.find(b"\n{", at)
        limit = len(content) if next_object < 0 else next_object
        end = files.end_of_object(content, at, limit)
        raw = content[at : limit if end is None else end]
        try:
            yield Piece(line, at, raw, files.parse(raw))
        except ValueError as error:
            reason = f"the record is {error}" if end is not None or next_object >= 0 else end_reason or files.CUT_OFF
            yield from _salvaged(raw, line, at, reason)
        at += len(raw)
        line += raw.count(b"\n")


def _whole_line(text: bytes) -> list[tuple[bytes, Any]] | None:
    """Return the values of a line that holds nothing else, one or many joined by ``}{``; None where it is not so."""
    try:
        return [(text, orjson.loads(text))]
    except orjson.JSONDecodeError:
        pass
    if b"}{" not in text:
        return None
    parts = text.split(b"}{")  # where a text holds }{ too, a part is no JSON, and brackets are counted instead
    parts = [(b"{" if i else b"") + part + (b"}" if i + 1 < len(parts) else b"") for i, part in enumerate(parts)]
    try:
        return [(part, orjson.loads(part)) for part in parts]
    except orjson.JSONDecodeError:
        return None


def _salvaged(raw: bytes, line: int, offset: int, reason: str) -> Iterator[Piece]:
    """Yield the whole records of the lists in an object that cannot be read, and what is left of it as one piece."""
    end, any_broken = 0, False
    if _LISTS.search(raw, 0, 4096):
        for start, record, complete in files.records_in(raw, _LISTS):
            if not complete:
                end = start
                break
            end = start + len(record)
            try:
                yield Piece(line + raw.count(b"\n", 0, start), offset + start, record, files.parse(record))
            except ValueError as error:
                any_broken = True
                yield Piece(line, offset + start, record, reason=f"the record is {error}")
    if not (any_broken and not raw[end:].strip(b" \t\r\n,]}")):
        yield Piece(line + raw.count(b"\n", 0, end), offset + end, raw[end:], reason=reason)


def one_a_line(head: bytes) -> bool:
    r"""Whether a file holds one JSON value a line, by its first bytes: its first line is one, and more follows.

    Examples
    --------
    >>> one_a_line(b'{"a": 1}\n{"b"'), one_a_line(b'{"Records": []}\n'), one_a_line(b'{\n"a": 1}')
    (True, False, False)
    """
    first, _, more = head.lstrip().partition(b"\n")
    if not more.strip() or not first.lstrip().startswith((b"{", b'"')):
        return False
    return _whole_line(first.strip(b" \t\r,")) is not None


def is_record(value: Any) -> bool:
    """Whether a value is itself a record, of CloudTrail or of a table that was made of it (names in small letters)."""
    return type(value) is dict and ("eventName" in value or "eventname" in value)


def unwrap(value: Any, depth: int = 0) -> list[Any]:
    """Return the records in a value; a value that wraps none is returned as it is, so that it is counted.

    Examples
    --------
    >>> unwrap({"Events": [{"CloudTrailEvent": '{"eventName": "GetObject"}'}, 7]})
    [{'eventName': 'GetObject'}, 7]
    >>> unwrap({"detail-type": "AWS API Call via CloudTrail", "account": "1", "detail": {"eventName": "GetObject"}})
    [{'eventName': 'GetObject', 'recipientAccountId': '1'}]
    """
    if is_record(value) or depth > DEEPEST:
        return [value]
    if type(value) is str:
        inner = _inside(value)
        return [value] if inner is None else unwrap(inner, depth + 1)
    if type(value) is list and depth == 0:
        return [record for item in value for record in unwrap(item, 1)]
    if type(value) is not dict or value.get("messageType") == "CONTROL_MESSAGE":
        return [value]
    for name in LISTS:
        if type(items := value.get(name)) is list:
            rows = [_row(item) for item in items] if name in ("QueryResultRows", "results") else items
            return [record for item in rows for record in unwrap(item, depth + 1)]
    if type(detail := value.get("detail")) is dict:
        if is_record(detail) and "recipientAccountId" not in detail and type(value.get("account")) is str:
            detail = detail | {"recipientAccountId": value["account"]}
        return unwrap(detail, depth + 1)
    for name in TEXTS:
        if type(text := value.get(name)) is str and (inner := _inside(text)) is not None:
            return unwrap(inner, depth + 1)
        if type(text) is dict and name == "message":
            return unwrap(text, depth + 1)
    for name in PACKED:
        if type(holder := value.get(name)) is dict and (inner := _unpacked(holder.get("data"))) is not None:
            return unwrap(inner, depth + 1)
    return [value]


def _row(row: Any) -> Any:
    """Return a row of CloudTrail Lake ([{"eventName": ...}, ...]) or of CloudWatch ([{"field": ..., "value": ...}])."""
    if type(row) is not list or not all(type(cell) is dict for cell in row):
        return row
    if all("field" in cell and type(cell["field"]) is str for cell in row):
        return exports.record_of({cell["field"]: cell.get("value") for cell in row})
    return exports.record_of({name: text for cell in row for name, text in cell.items()})


def _inside(text: str) -> Any:
    """Return the object or list that a text is the JSON of, or None."""
    if text.lstrip()[:1] not in ("{", "[", '"'):
        return None
    try:
        inner = files.parse(text.encode("utf-8", "replace"))
    except ValueError:
        return None
    return inner if type(inner) in (dict, list) else None


def _unpacked(text: Any) -> Any:
    raw = files.from_base64(text)
    return None if raw is None else _inside(raw.decode("utf-8", "replace"))


def bytes_of(record: Any) -> bytes:
    """Return the bytes that stand for a record that was unwrapped: its id and digest, where it has none of its own."""
    try:
        return orjson.dumps(record, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return repr(record).encode("utf-8", "replace")
