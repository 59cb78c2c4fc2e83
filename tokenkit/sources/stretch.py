r"""Stretch: some whole lines of a file, which a source reads as if they were a file of their own.

A file of lines is read in stretches, so that a large one takes no more memory than a small one, and one that has grown
is read on from where it was left. A stretch ends at a line end. What stands after the last line end of a file may be
half of a line, and is a stretch's only where it is asked for.
"""

import os
import re
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path, PosixPath

from tokenkit.sources import packed

BLOCK = 1 << 20
GIVE_UP = 32 << 20  # bytes; what stands between this and the end of a line is passed over: no reader takes such a line
_GAP_OF_NULLS = re.compile(rb"(?<=[^\n\0])\0{8,}")


class Stretch(PosixPath):
    """The path of a file, of which some lines are to be read: the bytes ``[start, end)``.

    Attributes
    ----------
    content : bytes
        Its lines, without the NUL bytes of a log that was emptied while its writer went on.
    start, end : int
        Where it lies in the file, unpacked, bytes.
    first_line : int
        Number of its first line in the file, from 1.
    is_last : bool
        Whether no whole line follows.
    stop_reason : str or None
        Why the file cannot be read to its end, where this is the last of it.
    held : int
        How many bytes of it its cutter holds.
    """

    content = b""
    start = 0
    end = 0
    first_line = 1
    is_last = False
    stop_reason: str | None = None
    held = 0

    @property
    def next_line(self) -> int:
        """Number of the line after it."""
        return self.first_line + self.content.count(b"\n")


class CutInRecordError(Exception):
    """A stretch ends in the middle of a record that goes over several lines, the first of which is ``line``."""

    def __init__(self, line: int) -> None:
        super().__init__(f"a record that begins in line {line} is not finished")
        self.line = line


class Cutter:
    r"""Cuts a file, plain or packed, into stretches, from a byte on that begins a line.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.log"
    >>> path.write_bytes(b"one\ntwo\nthr")
    11
    >>> cutter = Cutter(path)
    >>> stretch = cutter.peek(1 << 20)
    >>> stretch.content, stretch.end, stretch.next_line, cutter.peek(1 << 20, to_the_end=True).content
    (b'one\ntwo\n', 8, 3, b'one\ntwo\nthr')
    """

    def __init__(self, path: Path, start: int = 0, first_line: int = 1) -> None:
        self.at_end = False
        self._path, self._start, self._line = path, start, first_line
        self._stop_reason: str | None = None
        self._blocks = self._read(start)
        self._buffer = bytearray()
        self._holes: list[tuple[int, int]] = []  # places in the buffer, and bytes that are left out there

    @property
    def held(self) -> int:
        """How many bytes were read and not taken."""
        return len(self._buffer)

    def peek(self, size: int, to_the_end: bool = False) -> Stretch:
        """Return the next lines, about ``size`` bytes of them and one at least; without content where there are none.

        ``to_the_end``: of the end of a file also what stands after its last line end.
        """
        while not self.at_end and (len(self._buffer) < size or b"\n" not in self._buffer):
            self._fill()
        end = self._buffer.rfind(b"\n", 0, size) + 1 or self._buffer.find(b"\n", size) + 1
        is_last = self.at_end and (len(self._buffer) <= size or not end)
        whole = is_last and (to_the_end or self._stop_reason is not None)
        stretch = self._stretch(len(self._buffer), self._stop_reason) if whole else self._stretch(end)
        stretch.is_last = is_last
        return stretch

    def up_to(self, end: int) -> Stretch:
        """Return the lines before a byte of the file that begins a line."""
        while not self.at_end and self._place(len(self._buffer)) < end:
            self._fill()
        return self._stretch(bisect_left(range(len(self._buffer)), end, key=self._place))

    def before(self, stretch: Stretch, line: int) -> Stretch:
        """Return the lines of a stretch before that of a number."""

        def number(held: int) -> int:
            return stretch.first_line + without_nulls(bytes(self._buffer[:held])).count(b"\n")

        ends = [0, *(match.end() for match in re.finditer(rb"\n", self._buffer[: stretch.held]))]
        return self._stretch(ends[bisect_left(ends, line, key=number)])

    def after(self, stretch: Stretch) -> Stretch:
        """Return what stands after a stretch that goes to the last line end of the file."""
        rest = self._stretch(len(self._buffer))
        rest.first_line = stretch.next_line
        rest.content = rest.content[len(stretch.content) :]
        return rest

    def take(self, stretch: Stretch) -> None:
        """Go on behind a stretch."""
        self._line, self._start = stretch.next_line, stretch.end
        self._holes = [(at - stretch.held, size) for at, size in self._holes if at >= stretch.held]
        del self._buffer[: stretch.held]

    def _read(self, start: int) -> Iterator[bytes]:
        """The unpacked bytes of the file from one on, in blocks."""
        if os.path.exists(self._path) and not packed.is_packed(self._path):
            with self._path.open("rb") as file:
                file.seek(start)
                while block := file.read(BLOCK):
                    yield block
            return
        content, archive_reason = packed.unpacking(self._path)
        for block in content.blocks():
            if start < len(block):
                yield block[start:]
            start = max(0, start - len(block))
        self._stop_reason = archive_reason or content.stop_reason

    def _fill(self) -> None:
        block = next(self._blocks, None)
        if block is None:
            self.at_end = True
            return
        buffer = self._buffer
        left_out = 0
        if not block.strip(b"\0") and (not buffer or buffer.endswith((b"\n", b"\0" * 8))):
            left_out = len(block)
        elif len(buffer) > GIVE_UP and b"\n" not in buffer:
            end = block.find(b"\n")
            left_out = len(block) if end < 0 else end
        if left_out:
            self._holes.append((len(buffer), left_out))
        buffer += block[left_out:]

    def _place(self, held: int) -> int:
        """Where in the file the buffer's byte of this number stands."""
        return self._start + held + sum(size for at, size in self._holes if at < held)

    def _stretch(self, held: int, stop_reason: str | None = None) -> Stretch:
        stretch = Stretch(self._path)
        stretch.content = without_nulls(bytes(self._buffer[:held]))
        stretch.start, stretch.end, stretch.first_line = self._start, self._place(held), self._line
        stretch.stop_reason, stretch.held = stop_reason, held
        return stretch


def without_nulls(block: bytes, inside_line: bool = False) -> bytes:
    r"""Return a block without NUL bytes at the begin of a line; many of them in a line end it: its writer began anew.

    ``inside_line``: whether the block does not begin a line.

    Examples
    --------
    >>> without_nulls(b"\0\0{}\n\0{}\n{" + b"\0" * 9 + b"{}")
    b'{}\n{}\n{\n{}'
    """
    if b"\0" not in block:
        return block
    block = re.sub(rb"(?<=\n)\0+", b"", block if inside_line else block.lstrip(b"\0"))
    return _GAP_OF_NULLS.sub(b"\n", block)
