"""Objects: the JSON objects of a file that is not one of lines: an array, over several lines, side by side.

Whatever stands between them is passed over, and nothing has to fit into memory but one object.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenkit.sources import files
from tokenkit.sources.contract import Quarantined, Record

MAX_OBJECT = files.MAX_LINE
TOO_LARGE = f"an object of more than {MAX_OBJECT >> 20} MB; write its records one a line (jq -c '.records[]')"


@dataclass
class Records:
    """Records of a file.

    Attributes
    ----------
    numbers : list of int
        Place of each in its file, from 1: the line, or, of a file that is not one of lines, the object.
    lines : list of bytes
        Each record as JSON, without what was around it.
    records : list of dict
    whole : optional
        What a source made of these lines at once, instead of records.
    quarantined : list of Quarantined
    place : str
        line or object
    """

    numbers: list[int] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    place: str = "line"
    whole: Any = None

    def add(self, number: int, line: bytes, record: Record) -> None:
        """Add one record."""
        self.numbers.append(number)
        self.lines.append(line)
        self.records.append(record)

    def quarantine(self, number: int, piece: bytes, reason: str) -> None:
        """Add a piece that is no record."""
        self.quarantined.append(Quarantined.of(f"{self.place} {number}", piece, reason))


_FILLER = re.compile(rb"[\s,\[\]\x1e]*")
_NEXT = re.compile(rb"\n[\s,\[]*(?=\{)")
_SCALAR = re.compile(rb'(?:null|true|false|NaN|-?Infinity|[-+\d.eE]++|"(?:[^"\\\n]|\\.)*+")(?=[\s,\]])')
_END_OF_ITEM = re.compile(rb"(?=[,\]\n])")


def is_stream(path: Path) -> bool:
    """Whether a file is an array, or objects over several lines or side by side, rather than one of lines."""
    for size in files.HEADS:
        head = files.Reader(path).head(size)
        begin = head.lstrip(b" \t\r\n\x1e")
        if re.match(rb"\[\s*\{", begin):
            return True
        if not begin.startswith(b"{") or _is_object(begin.split(b"\n", 1)[0]):
            return False
        end = files.end_of_object(begin, 0)
        if end is not None:
            return _is_object(begin[:end])
        if len(head) < size:
            break
    return False


def _is_object(text: bytes) -> bool:
    try:
        return type(files.parse(text.strip())) is dict
    except ValueError:
        return False


def records(reader: files.Reader, count: int) -> Iterator[Records]:
    """Yield the objects of a file one after another, whatever stands between them."""
    out = Records(place="object")
    number, text, at_end, cut = 0, b"", False, False
    in_array = False
    blocks = reader.blocks()
    needed = 0
    while not at_end:
        while len(text) <= needed:
            block = next(blocks, None)
            if block is None:
                at_end = True
                break
            text += block if number or text else files.without_byte_order_mark(block)
        at = 0
        never_closed: set[int] = set()  # of this text; each would be looked for up to its end again
        while True:
            filler = _FILLER.match(text, at)
            if filler:
                at, in_array = filler.end(), in_array or b"[" in filler.group()
            if at == len(text):
                break
            end, reason = _piece(text, at, at_end, reader.stop_reason, in_array, never_closed)
            if end is None:
                break
            number += 1
            piece = text[at:end]
            if not reason:
                try:
                    record = files.parse(piece)
                    out.add(number, piece, record)
                except ValueError as error:
                    end = _sibling(text, at, end) or end
                    piece, reason = text[at:end], f"the object is {error}"
            if reason:
                out.quarantine(number, piece, reason)
                cut = cut or reason == reader.stop_reason
            at = end
            if len(out.records) == count:
                yield out
                out = Records(place="object")
        text = text[at:]
        needed = 2 * len(text)  # what is incomplete is looked at again when there is twice as much
    if reader.stop_reason and not cut:
        out.quarantine(number + 1, b"", reader.stop_reason)
    if out.records or out.quarantined:
        yield out


def _piece(
    text: bytes, at: int, at_end: bool, stop_reason: str | None, in_array: bool, never_closed: set[int]
) -> tuple[int | None, str]:
    """Return where the piece that begins here ends, None where it goes on behind the text, and why it is no object.

    In an array, what stands between two commas is one piece, JSON or not. Objects that do not end are added to
    ``never_closed``.
    """
    if text[at : at + 1] != b"{":
        scalar = _SCALAR.match(text, at)
        if scalar:
            return scalar.end(), "the record is not an object"
        found = (_END_OF_ITEM if in_array else _NEXT).search(text, at)
        if found:
            return found.end(), "text between objects"
        return (len(text), "text between objects") if at_end or len(text) - at > MAX_OBJECT else (None, "")
    end = None if at in never_closed else files.end_of_object(text, at)
    if end is not None:
        return end, ""
    if not at_end and len(text) - at <= MAX_OBJECT:
        return None, ""
    if at not in never_closed:
        never_closed |= files.never_closed(text, at)
    reason = TOO_LARGE if len(text) - at > MAX_OBJECT else stop_reason or files.CUT_OFF
    return _sibling(text, at, len(text)) or len(text), reason


def _sibling(text: bytes, at: int, end: int) -> int | None:
    """Return where the next object begins that stands as far to the right as the one at ``at``, before ``end``."""
    line = text.rfind(b"\n", 0, at) + 1
    indent = text[line:at]
    if indent.strip():
        return None
    found = text.find(b"\n" + indent + b"{", at, end)
    return found + 1 if found >= 0 else None
