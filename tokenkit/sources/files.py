"""Files: read a file, plain or packed, whole or cut off, as lines or as the records of one JSON document.

Nothing here raises for the content of a file. Of a cut-off file the part before the cut is read; ``Reader.stop_reason``
says why no more of it is.
"""

import base64
import codecs
import gc
import json
import math
import re
import zlib
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from tokenkit.sources import packed
from tokenkit.sources.contract import Quarantined, Record
from tokenkit.sources.stretch import BLOCK, Stretch, without_nulls

Lines = Iterator[tuple[list[int], list[bytes], list[Quarantined]]]  # numbers from 1, lines, what is quarantined

ENOUGH = 200  # bytes that tell UTF-16
MAX_LINE = 16 << 20  # bytes; a longer line is no log record
MAX_DOCUMENT = 2 << 30  # bytes after decompression; CloudTrail's own files stay below 100 MB
MAX_IN_BASE64 = 64 << 20
HEADS = (64 << 10, 1 << 20)  # bytes that recognition looks at; the second where no record ends in the first
CUT_OFF = packed.CUT_OFF
TOO_LONG = f"longer than {MAX_LINE >> 20} MB without an end of line"
TOO_LARGE = f"larger than {MAX_DOCUMENT >> 30} GB"


@contextmanager
def without_collection() -> Iterator[None]:
    """Switch garbage collection off: parsed records hold no cycles, and looking for one halves the speed."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Reader:
    """The bytes of a file, unpacked. If it cannot be read to its end, ``stop_reason`` says why afterwards."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stop_reason: str | None = None

    def blocks(self, size: int = 0) -> Iterator[bytes]:
        """Yield the content in blocks, as far as it can be unpacked; UTF-16 becomes UTF-8."""
        if isinstance(self.path, Stretch):
            text = self.path.content
            yield from (text[at : at + BLOCK] for at in range(0, len(text), BLOCK))
            self.stop_reason = self.path.stop_reason
            return
        content, archive_reason = packed.unpacking(self.path)
        yield from _in_utf8(content.blocks(size or BLOCK))
        self.stop_reason = archive_reason or content.stop_reason

    def is_utf_16(self) -> bool:
        """Whether the file is UTF-16, of which a line cannot be told by its bytes."""
        start = b""
        for block in packed.unpacking(self.path)[0].blocks():
            start += block
            if len(start) >= ENOUGH:
                break
        return is_utf_16(start)

    def document(self) -> bytes:
        """Return the whole content."""
        parts: list[bytes] = []
        size = 0
        for block in self.blocks():
            parts.append(block)
            size += len(block)
            if size > MAX_DOCUMENT:
                self.stop_reason = TOO_LARGE
                return b""
        return without_byte_order_mark(b"".join(parts))

    def head(self, size: int) -> bytes:
        """Return at least the first ``size`` bytes, or the whole content if it is shorter."""
        head = b""
        for block in self.blocks(16 << 10):
            head += block
            if len(head) >= size:
                break
        return without_byte_order_mark(head)

    def lines(self, count: int) -> Lines:
        """Yield lines in groups of about ``count``: their numbers from 1, the lines, and what is quarantined.

        Blank lines are skipped. What stands after the last line end is a line, too. Only where a gzip stream is cut off
        or damaged is it quarantined, since its end is missing.
        """
        number = self.path.first_line - 1 if isinstance(self.path, Stretch) else 0
        tail = b""
        numbers: list[int] = []
        lines: list[bytes] = []
        quarantined: list[Quarantined] = []
        first = not (isinstance(self.path, Stretch) and self.path.start)
        skipping = False
        for block in self.blocks():
            if first:
                block, first = without_byte_order_mark(block), False
            if skipping:  # the tail of a line that was given up
                end = block.find(b"\n")
                if end < 0:
                    continue
                block, skipping = block[end + 1 :], False
            if b"\0" in block:
                block = without_nulls(block, inside_line=bool(tail))
            new = (tail + block).split(b"\n")
            tail = new.pop()
            if len(tail) > MAX_LINE:
                quarantined.append(Quarantined.of(f"line {number + len(new) + 1}", tail, TOO_LONG))
                new.append(b"")
                tail, skipping = b"", True
            numbers.extend(range(number + 1, number + 1 + len(new)))
            lines.extend(new)
            number += len(new)
            while len(lines) >= count:
                yield (*_not_blank(numbers[:count], lines[:count]), quarantined)
                numbers, lines, quarantined = numbers[count:], lines[count:], []
        if self.stop_reason:
            quarantined.append(Quarantined.of(f"line {number + 1}", tail, self.stop_reason))
        elif tail:
            numbers.append(number + 1)
            lines.append(tail)
        if lines or quarantined:
            yield (*_not_blank(numbers, lines), quarantined)


def is_utf_16(start: bytes) -> bool:
    r"""Whether a file begins with the mark of UTF-16 and has its zeros: the mark alone may be a broken line.

    Letters of any language stand between commas, blanks or line ends, which have a zero byte in UTF-16.

    Examples
    --------
    >>> [is_utf_16(text) for text in ("at,key".encode("utf-16"), "\u65f6\u95f4,\u9375".encode("utf-16"))]
    [True, True]
    >>> [is_utf_16(text) for text in (b"\xff\xfe\n{}", b"\xff\xfe", b"at,key")]
    [False, False, False]
    """
    return start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and b"\0" in start


def _in_utf8(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The blocks, in UTF-8 where the file is UTF-16, and without the NUL bytes that it begins with."""
    start = b""
    for block in blocks:
        start += block
        if len(start) >= ENOUGH:
            break
    if is_utf_16(start):
        decoder = codecs.getincrementaldecoder("utf-16")("replace")
        yield decoder.decode(start).encode("utf-8", "replace")
        yield from (decoder.decode(more).encode("utf-8", "replace") for more in blocks)
        yield decoder.decode(b"", final=True).encode()
        return
    while start.startswith(b"\0"):  # of a log that was emptied while its writer went on (copytruncate)
        start = start.lstrip(b"\0") or next(blocks, b"")
    yield start
    yield from blocks


def without_byte_order_mark(block: bytes) -> bytes:
    """Return the first bytes of a file without the mark that says UTF-8."""
    return block[3:] if block.startswith(b"\xef\xbb\xbf") else block


def _not_blank(numbers: list[int], lines: list[bytes]) -> tuple[list[int], list[bytes]]:
    if all(map(bytes.strip, lines)):
        return numbers, lines
    pairs = [(n, line) for n, line in zip(numbers, lines, strict=True) if line.strip()]
    return [n for n, _ in pairs], [line for _, line in pairs]


def parse(text: bytes) -> Any:
    r"""Return a JSON value. Invalid UTF-8, raw control characters and lone surrogates are replaced.

    Raises
    ------
    ValueError
        It is not JSON, or nested too deep; says which and quotes nothing.

    Examples
    --------
    >>> parse(b'{"a": "\xff"}'), parse(b'{"a": 1e3}')
    ({'a': '�'}, {'a': 1000.0})
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    try:
        return _storable(json.loads(text.decode("utf-8", "replace"), strict=False, parse_constant=_refuse))
    except RecursionError:
        raise ValueError("nested too deep") from None
    except ValueError:
        raise ValueError("not JSON") from None


def as_json(value: Any) -> bytes:
    """Return a parsed value as JSON again; one that is nested too deep for it as what Python prints."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return repr(value).encode("utf-8", "replace")


def parse_lines(lines: list[bytes]) -> tuple[list[Record], dict[int, str]]:
    """Return the objects of JSON lines in order, and, by its index, why a line is none."""
    try:
        records = list(map(orjson.loads, lines))
        if set(map(type, records)) <= {dict}:
            return records, {}
    except orjson.JSONDecodeError:
        pass
    records, reasons = [], {}
    for i, line in enumerate(lines):
        try:
            value = parse(line)
        except ValueError as error:
            reasons[i] = f"the line is {error}"
            continue
        if type(value) is dict:
            records.append(value)
        else:
            reasons[i] = "the line is not an object"
    return records, reasons


def without(items: Sequence[Any], indices: Container[int]) -> list[Any]:
    """Return the items whose index is not among these."""
    return [item for i, item in enumerate(items) if i not in indices]


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(name): _storable(item) for name, item in value.items()}
    if type(value) is int and value.bit_length() > 63:
        return math.inf if value > 0 else -math.inf  # orjson gives a float, too
    return value


_RECORDS = re.compile(rb'"Records"\s*:\s*\[')
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|["{}\[\]]', re.DOTALL)
_GAP = re.compile(rb"[\s,]*")
_SCALAR = re.compile(rb"[^,\]]+")


def from_base64(text: Any) -> bytes | None:
    """Return what a base64 text holds, unpacked where it is gzip, up to 64 MB; None where it is none.

    Examples
    --------
    >>> from_base64("eyJhIjogMX0="), from_base64("no base64")
    (b'{"a": 1}', None)
    """
    if type(text) is not str:
        return None
    try:
        raw = base64.b64decode(text, validate=True)
        return zlib.decompressobj(wbits=31).decompress(raw, MAX_IN_BASE64) if raw.startswith(packed.GZIP) else raw
    except (ValueError, zlib.error):
        return None


def has_records(document: bytes) -> bool:
    """Whether a document is one of a "Records" list, by its beginning."""
    return _RECORDS.search(document, 0, 4096) is not None


def end_of_object(document: bytes, start: int, limit: int | None = None) -> int | None:
    """Return where the object that begins at ``start`` ends, or None where it does not end before ``limit``.

    Brackets are counted, so depth costs no stack.
    """
    depth = 0
    for match in _TOKEN.finditer(document, start, len(document) if limit is None else limit):
        mark = match.group()
        if mark in (b"{", b"["):
            depth += 1
        elif mark in (b"}", b"]"):
            depth -= 1
            if depth <= 0:
                return match.end()
        elif mark == b'"':
            return None  # a string without end
    return None


def never_closed(document: bytes, start: int) -> set[int]:
    """Return where the objects and lists begin that are still open when the document ends, read from ``start`` on.

    Examples
    --------
    >>> sorted(never_closed(b'{"a": {"b": [1]} {"c": 2', 0))
    [0, 17]
    """
    still_open: list[int] = []
    for match in _TOKEN.finditer(document, start):
        mark = match.group()
        if mark in (b"{", b"["):
            still_open.append(match.start())
        elif mark in (b"}", b"]") and still_open:
            still_open.pop()
    return set(still_open)


def records_in(document: bytes, lists: "re.Pattern[bytes]" = _RECORDS) -> Iterator[tuple[int, bytes, bool]]:
    """Yield the items of the "Records" lists of a document, or of others: offset, bytes, and whether it is complete.

    Examples
    --------
    >>> [(offset, complete) for offset, _, complete in records_in(b'{"Records": [{"a": [1]}, 7, {"b":')]
    [(13, True), (25, True), (28, False)]
    """
    match = lists.search(document)
    while match:
        offset = match.end()
        while True:
            gap = _GAP.match(document, offset)
            offset = gap.end() if gap else offset
            if offset >= len(document):
                yield offset, b"", False
                return
            if document[offset : offset + 1] == b"]":
                break
            if document[offset : offset + 1] in (b"{", b"["):
                end = end_of_object(document, offset)
            else:
                scalar = _SCALAR.match(document, offset)
                end = scalar.end() if scalar and scalar.end() < len(document) else None
            if end is None:
                yield offset, document[offset:], False
                return
            yield offset, document[offset:end], True
            offset = end
        match = lists.search(document, offset)


def first_records(path: Path) -> Iterator[Record]:
    """Yield the first objects of a file that can be read: of a "Records" list, else of lines, else the document.

    A document whose list is empty is yielded itself.
    """
    for size in HEADS:
        head = Reader(path).head(size)
        any_record = False
        for value in _objects(head):
            any_record = True
            yield value
        if any_record or len(head) < size:
            return


def _objects(head: bytes) -> Iterator[Record]:
    if has_records(head):
        values = (_value_or_none(text) for _, text, complete in records_in(head) if complete)
    else:
        values = (_value_or_none(line) for line in head.split(b"\n")[:50] if line.rstrip().endswith(b"}"))
    any_object = False
    for value in values:
        if isinstance(value, dict):
            any_object = True
            yield value
    if not any_object and isinstance(
        value := _value_or_none(head), dict
    ):  # a document over many lines, or of an empty list
        yield value


def _value_or_none(text: bytes) -> Any:
    try:
        return parse(text)
    except ValueError:
        return None
