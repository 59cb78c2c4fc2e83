"""Known files: what was read of which file, how far, and where it is found again, whatever it is called by then.

Reads and writes  files, parts, places, unfinished and quarantine (state.db).
A file is known by its content. A plain file of lines may go on, and is known by its parts: by its first line, and by
the digest of every part, or, where it still lies at the same place (device and inode), of the last one. What is read is
noted as a pending part before the commit of its events, and added to the row of its file after it.
"""

import hashlib
import json
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from tokenkit.sources import packed
from tokenkit.sources.contract import Quarantined
from tokenkit.sources.fields.masking import path_text

GROWS_S = 24 * 3600  # a file that nobody wrote to for so long does not go on
HEAD = 4096  # bytes of the first line that are looked at
ADDED = ("read", "stored", "duplicates", "quarantined", "ignored", "unattributed", "repeated", "differing")
GONE = "the file ends in the middle of a line, and is gone or was emptied since"


@dataclass(frozen=True)
class Part:
    """What was read at once of a file.

    Attributes
    ----------
    start, end : int
        Where it lies in the file, unpacked, bytes.
    first_line, next_line : int
        Number of its first line, and of the line after it, from 1.
    content : str
        Digest of its bytes; empty in a packed file.
    low_us, high_us : int or None
        Times of its first and last event, us since 1970; None where it has none that are known by content.
    """

    start: int
    end: int
    first_line: int
    next_line: int
    content: str
    low_us: int | None
    high_us: int | None

    @property
    def span(self) -> tuple[int, int]:
        """The two times; those of a part without any begin after they end."""
        return (1, 0) if self.low_us is None or self.high_us is None else (self.low_us, self.high_us)


@dataclass
class KnownFile:
    """A file, and what was read of it: its parts in order, and the number of their records by day."""

    digest: str = ""
    parts: list[Part] = field(default_factory=list)
    days: Counter[date] = field(default_factory=Counter)

    @property
    def end(self) -> int:
        """Where it is read on, bytes."""
        return self.parts[-1].end if self.parts else 0

    @property
    def next_line(self) -> int:
        """Number of the line at which it is read on, from 1."""
        return self.parts[-1].next_line if self.parts else 1


def is_plain(path: Path) -> bool:
    """Whether a file is neither packed nor in an archive, so that it may go on."""
    return os.path.exists(path) and not packed.is_packed(path)


def place_of(path: Path) -> tuple[str, int, int]:
    """Return the place of a file on the disk (device, inode and, of an archive, the name in it), size and time changed.

    Raises
    ------
    OSError
        There is no such file.
    """
    outer = next((p for p in (path, *path.parents) if p.is_file()), path)
    status = outer.stat()
    inside = [path.relative_to(outer).as_posix()] if outer != path else []
    name = ":".join([str(status.st_dev), str(status.st_ino), *inside])
    return os.fsencode(name).decode("utf-8", "backslashreplace"), status.st_size, status.st_mtime_ns


def places_of(paths: Iterable[Path]) -> dict[str, int]:
    """Return the size of each of some files, by its place."""
    sizes = {}
    for path in paths:
        with suppress(OSError):  # it went meanwhile, and is told where it is read
            place, size, _ = place_of(path)
            sizes[place] = size
    return sizes


def whole_digest(path: Path) -> str:
    """Return the digest of a file's bytes, as they are on the disk or in the archive."""
    digest = hashlib.sha256()
    for block in packed.raw_blocks(path):
        digest.update(block)
    return digest.hexdigest()[:32]


def digest_of(db: sqlite3.Connection, path: Path, source: str) -> str:
    """Return what a file is known by, where its content is that of a file that was read."""
    return (find(db, path, source, {}).digest if is_plain(path) else "") or whole_digest(path)


def part_digest(path: Path, start: int, end: int) -> str:
    """Return the digest of the bytes ``[start, end)`` of a plain file, as far as they are there."""
    return next(_digests(path, start, [end]))[1]


def _digests(path: Path, start: int, ends: Iterable[int]) -> Iterator[tuple[int, str]]:
    """Yield the digest of the bytes from ``start`` up to each of some ends, in one pass."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(start)
        for end in sorted(ends):
            while start < end and (block := file.read(min(1 << 20, end - start))):
                digest.update(block)
                start += len(block)
            yield end, digest.hexdigest()[:32]


def head_digest(path: Path) -> str:
    """Return the digest of the first line of a plain file."""
    with path.open("rb") as file:
        line = file.read(HEAD).split(b"\n", 1)[0]
    return hashlib.sha256(line.rstrip(b"\r")).hexdigest()[:32]


def is_unchanged(db: sqlite3.Connection, path: Path, source: str) -> bool:
    """Whether a file that was read to its end was neither changed nor moved since."""
    place, size, changed_ns = place_of(path)
    row = db.execute(
        "select 1 from places p join files using (digest, source) where p.place = ? and p.source = ? and size = ?"
        " and changed_ns = ? and path_digest = ?"
        " and not exists (select 1 from unfinished u where u.digest = p.digest and u.source = p.source)",
        [place, source, size, changed_ns, _path_digest(path)],
    ).fetchone()
    return row is not None


def _path_digest(path: Path) -> str:
    """What tells a path from others. The path itself may hold what is no business of ours."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:32]


def is_read(db: sqlite3.Connection, digest: str, source: str) -> bool:
    """Whether a file that is known by its whole content was read to its end, or is being read."""
    parts = db.execute("select max(is_last) from parts where digest = ? and source = ?", [digest, source]).fetchone()[0]
    if parts is not None:
        return bool(parts)
    return db.execute("select 1 from files where digest = ? and source = ?", [digest, source]).fetchone() is not None


def has_files_known_whole(db: sqlite3.Connection, source: str) -> bool:
    """Whether files of a source are known by their whole content: packed ones, or all that an earlier version read."""
    query = "select 1 from files f where source = ? and not exists"
    query += " (select 1 from parts p where p.digest = f.digest and p.source = f.source and p.content <> '') limit 1"
    return db.execute(query, [source]).fetchone() is not None


def parts_of(db: sqlite3.Connection, digest: str, source: str) -> KnownFile:
    """Return what was read of a file."""
    known = KnownFile(digest)
    for row in db.execute("select * from parts where digest = ? and source = ? order by number", [digest, source]):
        known.days.update({date.fromisoformat(day): n for day, n in json.loads(row["days"]).items()})
        names = ("start", "end", "next_line", "content", "low_us", "high_us")
        known.parts.append(Part(first_line=known.next_line, **{name: row[name] for name in names}))
    return known


def find(db: sqlite3.Connection, path: Path, source: str, here: Mapping[str, int]) -> KnownFile:
    """Return what was read of a plain file of lines: nothing, where its content is not that of a file that was read.

    Of a file that begins like another one, which still lies where it did, nothing is known: what both have are
    duplicates. ``here``: size by place of the files that are being read.
    """
    (place, size, _), head = place_of(path), head_digest(path)
    lay = db.execute("select digest from places where place = ? and source = ?", [place, source]).fetchone()
    rows = db.execute(
        'select digest, "end", content from parts where number = 0 and source = ? and head = ?', [source, head]
    ).fetchall()
    if lay and lay["digest"] in {row["digest"] for row in rows}:
        known = parts_of(db, lay["digest"], source)
        last = known.parts[-1]
        if last.end <= size and part_digest(path, last.start, last.end) == last.content:
            return known
    rows = [row for row in rows if row["content"] and row["end"] <= size]
    begins = dict(_digests(path, 0, {row["end"] for row in rows}))
    candidates = [parts_of(db, row["digest"], source) for row in rows if begins[row["end"]] == row["content"]]
    same = [
        known
        for known in candidates
        if known.end <= size and all(part_digest(path, p.start, p.end) == p.content for p in known.parts[1:])
    ]
    same = [known for known in same if known.end == size or was_moved(db, known.digest, source, here, place)]
    return max(same, key=lambda known: known.end, default=KnownFile())


def new_digest(db: sqlite3.Connection, content: str, source: str) -> str:
    """Return what a file of lines is known by from now on: the digest of its first part, unless another has it."""
    digest, number = content, 1
    query = "select 1 from {} where digest = ?1 and source = ?2"
    query = f"{query.format('parts')} union {query.format('files')}"
    while db.execute(query, [digest, source]).fetchone():
        number += 1
        digest = hashlib.sha256(f"{content}#{number}".encode()).hexdigest()[:32]
    return digest


def add_part(db: sqlite3.Connection, known: KnownFile, source: str, part: Part, head: str, days: Counter[date]) -> int:
    """Note a part that is being read, and return its number. It is kept once its counts are."""
    by_day = json.dumps({day.isoformat(): n for day, n in sorted(days.items()) if n})
    number = len(known.parts)
    db.execute(
        "insert into parts values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 'pending', '')",
        [known.digest, source, number, part.start, part.end, part.next_line, part.content, head,
         part.low_us, part.high_us, by_day],
    )  # fmt: skip
    known.parts.append(part)
    return number


def add_whole(db: sqlite3.Connection, digest: str, source: str) -> None:
    """Note a file that is being read at once. It is kept once its counts are."""
    row = [digest, source, 0, 0, None, 1, "", "", None, None, "{}", 1, "pending", ""]
    db.execute(f"insert into parts values ({', '.join('?' * len(row))})", row)


def finish(db: sqlite3.Connection, digest: str, source: str) -> None:
    """Note that a packed file was read to its end with the part that was read last."""
    db.execute(
        "update parts set is_last = 1 where digest = ?1 and source = ?2"
        " and number = (select max(number) from parts where digest = ?1 and source = ?2)",
        [digest, source],
    )


def count_part(db: sqlite3.Connection, key: tuple[str, str, int], record: dict[str, Any]) -> None:
    """Keep the counts of a part, given by digest, source and number, until its events are stored."""
    db.execute("update parts set record = ? where digest = ? and source = ? and number = ?", [json.dumps(record), *key])


def record_of(path: Path, pieces: Sequence[Quarantined], rules: Counter[str], **counts: Any) -> dict[str, Any]:
    """Return what is kept of a part: its counts, by their names, and its quarantined pieces."""
    quarantined = [(one.place, one.piece_digest, one.reason) for one in pieces]
    return {"path": path_text(path), "ignored_rules": rules, "pieces": quarantined, **counts}


def store_part(db: sqlite3.Connection, digest: str, source: str, number: int) -> None:
    """Add the counts and the quarantined pieces of a part whose events are stored to its file."""
    key = [digest, source, number]
    row = db.execute("select * from parts where digest = ? and source = ? and number = ?", key).fetchone()
    add_to_file(db, digest, source, json.loads(row["record"]))
    if row["end"] is None:  # a file that was read at once
        db.execute("delete from parts where digest = ? and source = ? and number = ?", key)
    else:
        db.execute(
            "update parts set status = 'stored', record = '' where digest = ? and source = ? and number = ?", key
        )


def add_to_file(db: sqlite3.Connection, digest: str, source: str, record: dict[str, Any]) -> None:
    """Add counts and quarantined pieces to a file, which is noted where it is not yet."""
    row = db.execute("select * from files where digest = ? and source = ?", [digest, source]).fetchone()
    values = {**record, "first": record.get("first"), "last": record.get("last")}
    rules = Counter(record["ignored_rules"])
    if row:
        values |= {name: row[name] + record.get(name, 0) for name in ADDED}
        values["path"] = row["path"]
        values["first"] = min(filter(None, [row["first"], values["first"]]), default=None)
        values["last"] = max(filter(None, [row["last"], values["last"]]), default=None)
        rules.update(json.loads(row["ignored_rules"]))
    values |= {"digest": digest, "source": source, "status": "stored"}
    values["ignored_rules"] = json.dumps(rules, sort_keys=True)
    names = [*("digest", "source", "path", "status", "ignored_rules", "first", "last"), *ADDED]
    updates = ", ".join(f"{name} = excluded.{name}" for name in names[2:])
    db.execute(
        f"insert into files ({', '.join(names)}) values ({', '.join('?' * len(names))})"
        f" on conflict (digest, source) do update set {updates}",
        [values.get(name, 0) for name in names],
    )
    db.executemany(
        "insert into quarantine values (?, ?, ?, ?, ?, ?)",
        [(digest, source, values["path"], *piece) for piece in record["pieces"]],
    )


def drop_part(db: sqlite3.Connection, digest: str, source: str, number: int) -> None:
    """Forget a part that was not stored, so that it is read again, also where its file was read to its end with it."""
    db.execute("delete from parts where digest = ? and source = ? and number = ?", [digest, source, number])
    db.execute("update places set changed_ns = -1 where digest = ? and source = ?", [digest, source])
    note_unfinished(db, digest, source, 0, b"")  # it may get another digest, and the line is looked at again


# where a file lies, and whether it goes on


def note_place(
    db: sqlite3.Connection, path: Path, source: str, digest: str, seen: tuple[str, int, int], here: Mapping[str, int]
) -> None:
    """Note where a file lies, by ``place_of`` before it was read; what was moved has its new path from now on."""
    place, size, changed_ns = seen
    row = db.execute("select path from files where digest = ? and source = ?", [digest, source]).fetchone()
    if row and row["path"] != path_text(path) and was_moved(db, digest, source, here, place):
        for table in ("files", "quarantine"):
            db.execute(
                f"update {table} set path = ? where digest = ? and source = ?", [path_text(path), digest, source]
            )
    db.execute(
        "insert or replace into places values (?, ?, ?, ?, ?, ?)",
        [place, source, digest, _path_digest(path), size, changed_ns],
    )


def was_moved(db: sqlite3.Connection, digest: str, source: str, here: Mapping[str, int], place: str = "") -> bool:
    """Whether a file that was read lies at none of its places any more, this one aside, or was emptied there."""
    key = [digest, source]
    rows = db.execute("select place from places where digest = ? and source = ?", key).fetchall()
    places = {row["place"] for row in rows} - {place}
    end = db.execute('select coalesce(max("end"), 0) from parts where digest = ? and source = ?', key).fetchone()[0]
    if any(here.get(other, -1) >= end for other in places):
        return False
    row = db.execute("select path from files where digest = ? and source = ?", key).fetchone()
    try:
        now, size, _ = place_of(Path(row["path"])) if row else ("", 0, 0)
    except OSError:
        return True
    return now not in places or size < end


def goes_on(db: sqlite3.Connection, path: Path, source: str, digest: str, here: Mapping[str, int]) -> bool:
    """Whether somebody may still write to a plain file: to its end, which may be half of a line.

    Not where it lay untouched for a day, and not where it is what was moved, or copied before it was emptied.
    """
    if time.time() - path.stat().st_mtime > GROWS_S:
        return False
    row = db.execute("select path from files where digest = ? and source = ?", [digest, source]).fetchone()
    moved = row and row["path"] != path_text(path) and was_moved(db, digest, source, here, place_of(path)[0])
    return not moved


def note_unfinished(db: sqlite3.Connection, digest: str, source: str, line: int, piece: bytes) -> None:
    """Note that the last line of a file is not finished, to be read when it is; or, without a piece, that it is."""
    db.execute("delete from unfinished where digest = ? and source = ?", [digest, source])
    if piece:
        one = Quarantined.of(f"line {line}", piece, GONE)
        db.execute("insert into unfinished values (?, ?, ?, ?)", [digest, source, one.place, one.piece_digest])


def quarantine_gone(db: sqlite3.Connection, here: Mapping[str, int]) -> list[tuple[str, str]]:
    """Quarantine the unfinished lines of files that are gone; return digest and source of each file."""
    gone = [
        row
        for row in db.execute("select * from unfinished").fetchall()
        if was_moved(db, row["digest"], row["source"], here)
    ]
    for row in gone:
        pieces = [(row["line"], row["piece"], GONE)]
        add_to_file(
            db, row["digest"], row["source"],
            {"path": "", "read": 1, "quarantined": 1, "ignored_rules": {}, "pieces": pieces},
        )  # fmt: skip
        note_unfinished(db, row["digest"], row["source"], 0, b"")
    return [(row["digest"], row["source"]) for row in gone]
