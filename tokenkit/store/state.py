"""State: the small things that change, in one SQLite file (WAL): files read, what is built, runs, incidents.

Large tables live in the lake; this file may be opened with any SQLite client.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TABLES = """
create table if not exists meta (name text primary key, value text not null);
create table if not exists files (
    digest text not null, source text not null, path text not null, status text not null,
    read integer not null, stored integer not null, duplicates integer not null, quarantined integer not null,
    ignored integer not null, ignored_rules text not null, unattributed integer not null,
    first text, last text, primary key (digest, source));
create table if not exists quarantine (
    digest text not null, source text not null, path text not null, place text not null,
    piece text not null, reason text not null);
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
"""


@contextmanager
def connect(path: Path) -> Iterator[sqlite3.Connection]:
    """The state of a workspace; commits when the block ends well, and rolls back when it does not.

    Examples
    --------
    >>> import tempfile
    >>> with connect(Path(tempfile.mkdtemp()) / "state.db") as db:
    ...     set_meta(db, "key_check", "ab")
    ...     get_meta(db, "key_check")
    'ab'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, timeout=30)
    db.row_factory = sqlite3.Row
    try:
        db.execute("pragma journal_mode = wal")
        db.executescript(TABLES)
        yield db
        db.commit()
    finally:
        db.close()


def get_meta(db: sqlite3.Connection, name: str) -> str | None:
    """A single value, or None."""
    row = db.execute("select value from meta where name = ?", [name]).fetchone()
    return row["value"] if row else None


def set_meta(db: sqlite3.Connection, name: str, value: str) -> None:
    """Keep a single value."""
    db.execute("insert or replace into meta values (?, ?)", [name, value])


def built(db: sqlite3.Connection, stage: str) -> dict[str, str]:
    """What of a stage is built: part to the digest of what it was built from."""
    return dict(db.execute("select part, digest from built where stage = ?", [stage]).fetchall())


def mark_built(db: sqlite3.Connection, stage: str, parts: dict[str, str]) -> None:
    """Remember from what the parts of a stage were built."""
    db.executemany("insert or replace into built values (?, ?, ?)", [(stage, p, d) for p, d in parts.items()])


def save_run(db: sqlite3.Connection, run_uid: str, start: str, end: str, record: Mapping[str, Any]) -> None:
    """Keep a run; the same run again replaces itself and keeps its place in the order."""
    known = db.execute("select number from runs where run_uid = ?", [run_uid]).fetchone()
    number = known[0] if known else db.execute("select coalesce(max(number), 0) + 1 from runs").fetchone()[0]
    db.execute(
        "insert or replace into runs values (?, ?, ?, ?, ?)",
        [run_uid, number, start, end, json.dumps(record, sort_keys=True)],
    )


def last_run(db: sqlite3.Connection, before: str | None = None, end: str = "9999") -> dict[str, Any] | None:
    """The newest run, or the newest before the run of that id whose period ended before ``end``; ``record`` parsed."""
    if before is None:
        row = db.execute("select * from runs order by number desc limit 1").fetchone()
    else:
        row = db.execute(
            "select * from runs where run_uid <> ?"
            " and number < coalesce((select number from runs where run_uid = ?), 1e18)"
            " and end < ? order by number desc limit 1",
            [before, before, end],
        ).fetchone()
    return {**dict(row), "record": json.loads(row["record"])} if row else None
