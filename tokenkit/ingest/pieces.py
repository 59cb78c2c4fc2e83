"""Pieces: what is read and stored at once: a whole file, or, of a file of lines, one stretch after another.

Reads  files, and what is known of them (``known``). Writes parts, places and unfinished of state.db.
A file of lines gives the same events, however it is cut: of equal records in one file the n-th is the n-th such call,
whatever stretch it is in, and a record that goes over several lines is never cut.
"""

import sqlite3
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tokenkit.ingest import forgotten, known
from tokenkit.ingest.known import KnownFile, Part
from tokenkit.sources import clocks, files
from tokenkit.sources.contract import Batch, Reading, Source, Tally
from tokenkit.sources.fields.sameness import Flags, Keys, number_equal_records
from tokenkit.sources.stretch import CutInRecordError, Cutter, Stretch

STRETCH = 16 << 20  # bytes that are read at once of a file of lines
LONGEST = 4 * STRETCH  # a record in several lines that is spread over more than this is not joined
_CLOSED = (b"}", b'"', b"]")  # what ends a line that may be whole without a line end; a number may go on

StoredKeys = Callable[[Keys, date, date], Keys]  # which of these events of some days the lake has


def transaction(digest: str, source: str, number: int) -> str:
    """Return the name of the transaction that stores a part of a file."""
    return f"{source}:{digest}" + (f":{number}" if number else "")


@dataclass
class Piece:
    """What was read at once, to be stored.

    ``digest``: what the file is known by. ``number``: of the part, from 0. ``later``: of each batch, which events equal
    an earlier record of the file.
    """

    path: Path
    source: str
    digest: str
    number: int
    tally: Tally
    batches: list[Batch]
    later: list[Flags] = field(default_factory=list)

    @property
    def transaction(self) -> str:
        """The name of the transaction that stores it."""
        return transaction(self.digest, self.source, self.number)


@dataclass
class Reader:
    """Reads files in pieces.

    Attributes
    ----------
    db : connection to state.db
    reading : Reading
    clock : Clock
    stored_keys : function of event keys, first and last day
        Which of these events the lake has.
    marks : dict
        As of ``forgotten.keep_others``.
    kept_from : date or None
        As of ``forgotten.keep_from``.
    here : dict
        Size by place of the files that are being read.
    unfinished : int
        How many files have a last line that is not finished, and was left for the next run.
    """

    db: sqlite3.Connection
    reading: Reading
    clock: clocks.Clock
    stored_keys: StoredKeys
    marks: dict[str, datetime]
    kept_from: date | None
    here: dict[str, int]
    unfinished: int = 0

    def pieces(self, path: Path, source: Source) -> Iterator[Piece]:
        """Yield what is new in a file; nothing where all of it was read before.

        Raises
        ------
        OSError
            The file cannot be read.
        """
        if known.is_unchanged(self.db, path, source.name):
            return
        seen = known.place_of(path)
        if source.is_lines is None or files.Reader(path).is_utf_16() or not source.is_lines(path):
            digest = known.whole_digest(path)
            if not known.is_read(self.db, digest, source.name):
                yield self._whole(path, source, digest)
        elif known.is_plain(path):
            digest = yield from self._growing(path, source)
        else:
            digest = known.whole_digest(path)
            if not known.is_read(self.db, digest, source.name):
                file = known.parts_of(self.db, digest, source.name)
                yield from self._stretches(path, source, file, Cutter(path, file.end, file.next_line), goes_on=False)
                known.finish(self.db, digest, source.name)
        if digest:
            known.note_place(self.db, path, source.name, digest, seen, self.here)

    def _whole(self, path: Path, source: Source, digest: str) -> Piece:
        tally = Tally()
        batches = self._without_forgotten(list(source.read(path, self.reading, tally)), tally)
        batches = clocks.keep_right(batches, tally, self.clock)
        known.add_whole(self.db, digest, source.name)
        return Piece(path, source.name, digest, 0, tally, *number_equal_records(batches))

    def _growing(self, path: Path, source: Source) -> Generator[Piece, None, str]:
        """Yield what is new in a plain file of lines; return what it is known by, empty where it has no whole line."""
        file = known.find(self.db, path, source.name, self.here)
        if not file.parts and known.has_files_known_whole(self.db, source.name):
            digest = known.whole_digest(path)
            if known.is_read(self.db, digest, source.name):
                return digest
        goes_on = known.goes_on(self.db, path, source.name, file.digest, self.here)
        cutter = Cutter(path, file.end, file.next_line)
        yield from self._stretches(path, source, file, cutter, goes_on)
        rest = cutter.peek(cutter.held, to_the_end=True)
        self.unfinished += bool(rest.content.strip())
        if file.digest:
            known.note_unfinished(self.db, file.digest, source.name, rest.first_line, rest.content.strip())
        return file.digest

    def _stretches(self, path: Path, source: Source, file: KnownFile, cutter: Cutter, goes_on: bool) -> Iterator[Piece]:
        equal = _EqualRecords(file.parts, self._keys_of(path, source), self.stored_keys)
        size = STRETCH
        while True:
            stretch = cutter.peek(size, to_the_end=not goes_on)
            at_end = stretch.is_last
            stretch.is_last = (at_end and not goes_on) or size > LONGEST
            if at_end and goes_on:
                stretch = self._with_whole_rest(source, cutter, stretch, size)
            stretch, tally, batches = self._read(source, cutter, stretch)
            if tally:
                yield self._piece(path, source, file, stretch, tally, batches, equal)
                cutter.take(stretch)
                size = STRETCH
            elif not at_end:
                size *= 2
            if (at_end and not tally) or stretch.stop_reason:
                return

    def _read(self, source: Source, cutter: Cutter, stretch: Stretch) -> tuple[Stretch, Tally | None, list[Batch]]:
        """Read as much of a stretch as has no half of a record at its end; without a tally where that is nothing."""
        while stretch.held or stretch.stop_reason:
            tally = Tally()
            try:
                return stretch, tally, list(source.read(stretch, self.reading, tally))
            except CutInRecordError as cut:
                stretch = cutter.before(stretch, cut.line)
        return stretch, None, []

    def _with_whole_rest(self, source: Source, cutter: Cutter, stretch: Stretch, size: int) -> Stretch:
        """Return a stretch with the line after it, which has no end yet, where that is surely whole."""
        everything = cutter.peek(size, to_the_end=True)
        rest = cutter.after(stretch)
        if everything.held == stretch.held or not rest.content.rstrip().endswith(_CLOSED):
            return stretch
        tally = Tally()
        try:
            list(source.read(rest, self.reading, tally))
        except CutInRecordError:
            return stretch
        return everything if tally.read and not tally.quarantined else stretch

    def _piece(
        self, path: Path, source: Source, file: KnownFile, stretch: Stretch, tally: Tally, batches: Sequence[Batch],
        equal: "_EqualRecords",
    ) -> Piece:  # fmt: skip
        before = file.days.copy()
        batches = clocks.keep_right(self._without_forgotten(batches, tally), tally, self.clock, file.days)
        span = _span_us(batches)
        numbered, later = number_equal_records(batches, equal.count_before(batches, span))
        plain = known.is_plain(path)
        content = known.part_digest(path, stretch.start, stretch.end) if plain else ""
        if not file.digest:
            digest = content or known.whole_digest(path)
            file.digest = known.new_digest(self.db, digest, source.name) if plain else digest
        part = Part(stretch.start, stretch.end, stretch.first_line, stretch.next_line, content, *span)
        head = known.head_digest(path) if plain and not file.parts else ""
        number = known.add_part(self.db, file, source.name, part, head, file.days - before)
        return Piece(path, source.name, file.digest, number, tally, numbered, later)

    def _without_forgotten(self, batches: Sequence[Batch], tally: Tally) -> list[Batch]:
        kept = forgotten.keep_others(batches, tally, self.reading.key, self.marks)
        return forgotten.keep_from(kept, tally, self.kept_from)

    def _keys_of(self, path: Path, source: Source) -> Callable[[Part], Keys]:
        """How the keys of an earlier part of a file are found out again: it is read anew."""

        def keys(part: Part) -> Keys:
            stretch = Cutter(path, part.start, part.first_line).up_to(part.end)
            stretch.is_last = True
            return _keys(list(source.read(stretch, self.reading, Tally())))

        return keys


def _keys(batches: Sequence[Batch]) -> Keys:
    """The keys of the events that are known by content, sorted."""
    parts = [b.events["event_key"].to_numpy()[b.by_content] for b in batches if b.by_content is not None]
    return np.sort(np.concatenate([np.empty(0, dtype=np.int64), *parts]))


def _span_us(batches: Sequence[Batch]) -> tuple[int | None, int | None]:
    """First and last time of the events that are known by content, us since 1970."""
    times = [
        b.events["time"].filter(pa.array(b.by_content))
        for b in batches
        if b.by_content is not None and b.by_content.any()
    ]
    if not times:
        return None, None
    ends = pc.min_max(pa.chunked_array([chunk for t in times for chunk in t.cast(pa.timestamp("us", "UTC")).chunks]))
    return ends["min"].cast(pa.int64()).as_py(), ends["max"].cast(pa.int64()).as_py()


class _EqualRecords:
    """Counts how many equal records come before, in earlier parts of a file. Equal records have equal times.

    The keys of what this run read are held, 8 bytes an event. A part that an earlier run read is read anew, where its
    times are those of events that the lake has already: seldom, for of an event that is new there is no equal one.
    """

    def __init__(self, parts: Sequence[Part], keys_of: Callable[[Part], Keys], stored_keys: StoredKeys) -> None:
        self._keys_of, self._stored_keys = keys_of, stored_keys
        self._unread = [part for part in parts if part.low_us is not None]
        self._held: list[tuple[int, int, Keys]] = []

    def count_before(self, batches: Sequence[Batch], span: tuple[int | None, int | None]) -> Callable[[Keys], Keys]:
        """Return a function that counts for sorted keys of these batches, with events in this span of time."""
        low, high = span

        def count(keys: Keys) -> Keys:
            counts = np.zeros(len(keys), dtype=np.int64)
            if low is None or high is None:
                return counts
            overlapping = [p for p in self._unread if p.span[0] <= high and p.span[1] >= low]
            if overlapping and len(self._stored_keys(keys, *_days(batches))):
                for part in overlapping:
                    self._held.append((*part.span, self._keys_of(part)))
                    self._unread.remove(part)
            for begin, end, held in self._held:
                if begin <= high and end >= low:
                    counts += np.searchsorted(held, keys, "right") - np.searchsorted(held, keys, "left")
            self._held.append((low, high, _keys(batches)))
            return counts

        return count


def _days(batches: Sequence[Batch]) -> tuple[date, date]:
    ends = [pc.min_max(b.events["day"]) for b in batches if b.events.num_rows]
    return min(e["min"].as_py() for e in ends), max(e["max"].as_py() for e in ends)
