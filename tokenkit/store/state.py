"""State: the small tables that change, in one SQLite file (WAL): files read, stages built, runs, incidents, labels.

Large tables are in the lake. Any SQLite client can open this file.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tokenkit.errors import InputError

VERSION = 2  # of the tables here and in the lake; an older one is brought up to date by ``store.migration``
TABLES = """
create table if not exists meta (name text primary key, value text not null);
create table if not exists files (
    digest text not null, source text not null, path text not null, status text not null,
    read integer not null, stored integer not null, duplicates integer not null, quarantined integer not null,
    ignored integer not null, ignored_rules text not null, unattributed integer not null,
    first text, last text,
    repeated integer not null default 0, -- stored, and equal to an earlier record of the file
    differing integer not null default 0, -- duplicates by their id that are not equal
    primary key (digest, source));
create table if not exists quarantine (
    digest text not null, -- of the file, as in files
    source text not null, path text not null, place text not null,
    piece text not null, -- digest of the piece (sources.Quarantined.piece_digest), which itself is stored nowhere
    reason text not null);
create table if not exists parts ( -- what was read at once of a file: a stretch, or, until it is stored, all of it
    digest text not null, source text not null, -- of the file, as in files
    number integer not null, start integer not null,
    "end" integer, -- bytes of the file, unpacked; null: all
    next_line integer not null, content text not null, -- digest of its bytes
    head text not null, -- digest of the first line of the file, in its first part
    low_us integer, high_us integer, -- times of its events that are known by content
    days text not null, -- JSON: number of its records by day
    is_last integer not null, -- whether a packed file ends with it
    status text not null, record text not null, -- JSON: counts and quarantined pieces, until it is stored
    primary key (digest, source, number));
create index if not exists parts_by_head on parts (source, head) where number = 0;
create table if not exists places ( -- where a file lay when it was read last, and what it looked like
    place text not null, source text not null, -- device and inode, and the name in an archive
    digest text not null, path_digest text not null, size integer not null, changed_ns integer not null,
    primary key (place, source));
create index if not exists places_by_digest on places (digest, source);
create table if not exists unfinished ( -- last lines of files that may go on
    digest text not null, source text not null, line text not null, piece text not null,
    primary key (digest, source));
create table if not exists ignored_files (path text primary key, rule text not null);
create table if not exists built (stage text not null, part text not null, digest text not null,
    primary key (stage, part));
create table if not exists runs (run_uid text primary key, number integer not null, start text not null,
    end text not null, record text not null);
create table if not exists incidents (run_uid text not null, incident_uid text not null, profile_uid text not null,
    state text not null, record text not null, primary key (run_uid, incident_uid));
create table if not exists actions (number integer primary key, action_uid text not null, phase text not null,
    record text not null, previous text not null, digest text not null);
create trigger if not exists actions_are_never_changed before update on actions
    begin select raise(abort, 'the journal of actions is append-only'); end;
create trigger if not exists actions_are_never_removed before delete on actions
    begin select raise(abort, 'the journal of actions is append-only'); end;
create table if not exists labels (number integer primary key, label_uid text not null unique,
    incident_uid text not null, profile_uid text not null, verdict text not null, accept integer not null,
    reason text not null, who text not null, made_time text not null, start text not null, end text not null,
    expires text, record text not null);
create table if not exists suppressions (suppression_uid text primary key, profile_uid text not null,
    channel text not null, reason text not null, who text not null, made_time text not null, until text not null,
    withdrawn_time text);
create table if not exists forgotten (mark text primary key, moment text not null); -- keyed marks of ids
create table if not exists removed_days (source text not null, day text not null, events integer not null,
    primary key (source, day)); -- events that retention has removed
create table if not exists hours ( -- what a day's events were counted to, by source and hour
    day text primary key, digest text not null, -- of the day's events
    counts text not null); -- JSON: source, start of the hour (s since 1970), calls
create table if not exists points (number integer primary key autoincrement, moment text not null, after text not null,
    versions text not null, -- JSON: version of each table of the lake
    files integer not null, -- the newest row of files then
    parts integer not null default 0); -- and of parts
"""


@contextmanager
def connect(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the state of a workspace; commit at the end of the block, or roll back if it raises.

    Examples
    --------
    >>> import tempfile
    >>> with connect(Path(tempfile.mkdtemp()) / "state.db") as db:
    ...     set_meta(db, "key_check", "ab")
    ...     get_meta(db, "key_check")
    'ab'

    Raises
    ------
    InputError
        A newer tokenkit wrote it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, timeout=30)
    db.row_factory = sqlite3.Row
    try:
        if version(db) > VERSION:
            raise InputError(
                f"{path}: this workspace was last written by a newer tokenkit (schema {version(db)}), and this one "
                f"knows schemas up to {VERSION}. Nothing was changed. Use that newer tokenkit, or another workspace."
            )
        new = db.execute("select 1 from sqlite_master limit 1").fetchone() is None
        db.execute("pragma journal_mode = wal")
        db.executescript(TABLES)
        if new:
            set_version(db, VERSION)
        _add_columns(db)
        yield db
        db.commit()
    finally:
        db.close()


def compact(path: Path) -> None:
    """Write the file anew, without what was deleted from it."""
    db = sqlite3.connect(path, timeout=30)
    try:
        db.execute("vacuum")
        db.execute("pragma wal_checkpoint(truncate)")
    finally:
        db.close()


def _add_columns(db: sqlite3.Connection) -> None:
    """Add the columns that a state of an earlier version lacks."""
    there = {row["name"] for row in db.execute("pragma table_info(files)")}
    for name in ("repeated", "differing"):
        if name not in there:
            db.execute(f"alter table files add column {name} integer not null default 0")
    if "parts" not in {row["name"] for row in db.execute("pragma table_info(points)")}:
        db.execute("alter table points add column parts integer not null default 0")


def version(db: sqlite3.Connection) -> int:
    """Return the schema version of a workspace: 1 was not written down yet."""
    return int(db.execute("pragma user_version").fetchone()[0]) or 1


def set_version(db: sqlite3.Connection, number: int) -> None:
    """Note the schema version of a workspace."""
    db.execute(f"pragma user_version = {number:d}")


def get_meta(db: sqlite3.Connection, name: str) -> str | None:
    """Return a single value, or None."""
    row = db.execute("select value from meta where name = ?", [name]).fetchone()
    return row["value"] if row else None


def set_meta(db: sqlite3.Connection, name: str, value: str) -> None:
    """Save a single value."""
    db.execute("insert or replace into meta values (?, ?)", [name, value])


def still_quarantined(db: sqlite3.Connection) -> list[dict[str, Any]]:
    """Return the rows of ``quarantine``, by path and place, but those of files that were written whole later.

    A file was, where a version with nothing in quarantine was read after it, under the same path; not where that one
    begins with another line, as the next log of a path does.
    """
    head = "(select head from parts p where p.digest = {0}.digest and p.source = {0}.source and number = 0)"
    rows = db.execute(
        "select * from quarantine q where not exists ("
        " select 1 from files f where f.path = q.path and f.digest <> q.digest and f.quarantined = 0"
        " and f.rowid > (select rowid from files o where o.digest = q.digest and o.source = q.source)"
        f" and coalesce({head.format('f')} = {head.format('q')}, true))"
        " order by path, place"
    )
    return [dict(row) for row in rows]


def stage_digests(db: sqlite3.Connection, stage: str) -> dict[str, str]:
    """Return, for each part of a stage that is built, the digest of what it was built from."""
    return dict(db.execute("select part, digest from built where stage = ?", [stage]).fetchall())


def save_stage_digests(db: sqlite3.Connection, stage: str, parts: dict[str, str]) -> None:
    """Save the digests of what the parts of a stage were built from."""
    db.executemany("insert or replace into built values (?, ?, ?)", [(stage, p, d) for p, d in parts.items()])


def save_run(db: sqlite3.Connection, run_uid: str, start: str, end: str, record: Mapping[str, Any]) -> None:
    """Save a run; a run that is saved again keeps its number in the order of runs."""
    saved = db.execute("select number from runs where run_uid = ?", [run_uid]).fetchone()
    number = saved[0] if saved else db.execute("select coalesce(max(number), 0) + 1 from runs").fetchone()[0]
    db.execute(
        "insert or replace into runs values (?, ?, ?, ?, ?)",
        [run_uid, number, start, end, json.dumps(record, sort_keys=True)],
    )


def last_run(
    db: sqlite3.Connection, before: str | None = None, end: str = "9999", end_until: str = "9999"
) -> dict[str, Any] | None:
    """Return the newest run, or the newest before the run ``before`` whose period ended before ``end``; or None.

    Without ``before``: the newest run whose period ended at ``end_until`` or earlier.
    """
    if before is None:
        row = db.execute("select * from runs where end <= ? order by number desc limit 1", [end_until]).fetchone()
    else:
        row = db.execute(
            "select * from runs where run_uid <> ?"
            " and number < coalesce((select number from runs where run_uid = ?), 1e18)"
            " and end < ? order by number desc limit 1",
            [before, before, end],
        ).fetchone()
    return {**dict(row), "record": json.loads(row["record"])} if row else None
