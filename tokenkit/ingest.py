"""Ingest: raw log files into the lake, each file once, each event once, whatever happens meanwhile.

Reads  files of any source. Writes events and dimensions (Delta), files and quarantine (state.db).
A file is one transaction of the events table, named by its content. Its counts are written to state.db as *pending*
before the commit and as *stored* after it; a pending file whose transaction is in the table was stored, any other is
read again. So read = stored + duplicates + quarantined + ignored, always, kill -9 included.
"""

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tokenkit import identity, schema, sources
from tokenkit.config import Workspace
from tokenkit.errors import IdentityError, InputError
from tokenkit.progress import Progress, silent
from tokenkit.sources.inputs import Input
from tokenkit.store import engine, lake, state

EVENTS_A_COMMIT = 100_000  # 1 M events at once cost the same CPU with 400,000, and 1.9 GB where this takes 0.9


@dataclass
class Counts:
    """What became of the records of one run's files."""

    files: int = 0
    files_known: int = 0
    read: int = 0
    stored: int = 0
    duplicates: int = 0
    quarantined: int = 0
    ignored: int = 0
    ignored_files: Counter[str] = field(default_factory=Counter)

    def line(self) -> str:
        """One line a person can add up."""
        return (
            f"{self.read:,} records read = {self.stored:,} stored + {self.duplicates:,} duplicates"
            f" + {self.quarantined:,} quarantined + {self.ignored:,} ignored"
        )


@dataclass
class _File:
    path: Path
    source: str
    digest: str
    tally: sources.Tally
    batches: list[sources.Batch]

    @property
    def transaction(self) -> str:
        return f"{self.source}:{self.digest}"


def open_key(workspace: Workspace, db: sqlite3.Connection) -> bytes:
    """The workspace's key, made on first use, and refused when it is not the one the lake was made with.

    Raises
    ------
    IdentityError
        The key is missing though the lake has data, or is another one.
    """
    check = state.get_meta(db, "key_check")
    made_before = check is not None or lake.version(workspace.lake, "events") is not None
    key = identity.load_key(workspace.key) if made_before else identity.create_key(workspace.key)
    if check is None:
        state.set_meta(db, "key_check", identity.key_check(key))
        db.commit()
    elif check != identity.key_check(key):
        raise IdentityError(
            f"{workspace.key}: this is another key than the one {workspace.lake} was made with. Nothing was changed. "
            "Restore the former key, or start anew in another folder: tokenkit init DIR"
        )
    return key


def ingest(workspace: Workspace, inputs: Sequence[Input], progress: Progress = silent) -> Counts:
    """Read logs into the lake.

    Parameters
    ----------
    workspace : Workspace
    inputs : sequence of Input
    progress : function of stage, files done, files in all

    Returns
    -------
    Counts
        Of this call; a file whose content was read before is only counted in ``files_known``.

    Raises
    ------
    InputError, SourceError
        A path does not exist, a source is unknown,
        or nothing of a known source is there. Raised before anything is read.
    IdentityError
        The workspace key is missing or another one.
    """
    found: list[tuple[Path, sources.Source]] = []
    counts = Counts()
    ignored: dict[str, str] = {}
    for logs in inputs:
        files, by_rule = sources.find_files(logs.path, logs.source)
        found += files
        for rule, paths in by_rule.items():
            ignored |= {str(p): rule for p in paths}
    counts.ignored_files = Counter(ignored.values())
    with state.connect(workspace.state) as db:
        reading = sources.Reading(open_key(workspace, db), workspace.settings.gateway)
        _recover(workspace, db)
        db.executemany("insert or replace into ignored_files values (?, ?)", list(ignored.items()))
        known = {(r["digest"], r["source"]) for r in db.execute("select digest, source from files")}
        group: list[_File] = []
        waiting = 0
        for number, (path, source) in enumerate(found):
            progress("reading logs", number, len(found))
            digest = _digest(path)
            if (digest, source.name) in known:
                counts.files_known += 1
                continue
            known.add((digest, source.name))
            tally = sources.Tally()
            file = _File(path, source.name, digest, tally, [])
            for batch in source.read(path, reading, tally):
                file.batches.append(batch)
                waiting += batch.events.num_rows
            group.append(file)
            if waiting >= EVENTS_A_COMMIT:
                _store(workspace, db, group, counts)
                group, waiting = [], 0
        if group:
            _store(workspace, db, group, counts)
        progress("reading logs", len(found), len(found))
    return counts


def read_before(workspace: Workspace, path: Path, source: str) -> bool:
    """Whether this file's content was read under that source's name; then it is not read again, whatever its mapping.

    The events it gave are there, under ids that the former mapping may have made: read again by another one they would
    count twice.
    """
    if not workspace.state.exists():
        return False
    with state.connect(workspace.state) as db:
        found = db.execute("select 1 from files where digest = ? and source = ?", [_digest(path), source]).fetchone()
    return found is not None


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}. Check its permissions.") from error


def _recover(workspace: Workspace, db: sqlite3.Connection) -> None:
    """Settle what a killed run left pending."""
    for row in db.execute("select digest, source from files where status = 'pending'").fetchall():
        key = [row["digest"], row["source"]]
        if lake.has_transaction(workspace.lake, "events", f"{row['source']}:{row['digest']}"):
            db.execute("update files set status = 'stored' where digest = ? and source = ?", key)
        else:
            db.execute("delete from files where digest = ? and source = ?", key)
            db.execute("delete from quarantine where digest = ? and source = ?", key)
    db.commit()


def _store(workspace: Workspace, db: sqlite3.Connection, group: list[_File], counts: Counts) -> None:
    """Write the files of one commit: dimensions, pending counts, events, stored."""
    tables = [
        batch.events.append_column("_file", pa.repeat(number, batch.events.num_rows))
        for number, file in enumerate(group)
        for batch in file.batches
    ]
    offered = Counter({n: sum(b.events.num_rows for b in f.batches) for n, f in enumerate(group)})
    unattributed: dict[int, int] = {}
    spans: dict[int, tuple[str, str]] = {}
    for number, file in enumerate(group):
        kinds = [b.events for b in file.batches if b.events.num_rows]
        unattributed[number] = sum(pc.sum(pc.equal(e["token_kind"], "none")).as_py() or 0 for e in kinds)
        if kinds:
            low, high = min(pc.min(e["time"]).as_py() for e in kinds), max(pc.max(e["time"]).as_py() for e in kinds)
            spans[number] = (low.isoformat(), high.isoformat())
    for name in [t for t in schema.TABLES if t.startswith("dim_")]:
        rows = [b.dimensions[name] for f in group for b in f.batches if name in b.dimensions]
        if rows:
            lake.grow_dimension(workspace.lake, name, pa.concat_tables(rows))
    fresh = _only_new(workspace, pa.concat_tables(tables)) if tables else None
    stored = [0] * len(group)
    if fresh is not None:
        stored = np.bincount(fresh["_file"].to_numpy(), minlength=len(group)).tolist()
    for number, file in enumerate(group):
        tally, span = file.tally, spans.get(number, (None, None))
        row = [
            tally.read,
            stored[number],
            offered[number] - stored[number],
            len(tally.quarantined),
            sum(tally.ignored.values()),
        ]
        if row[0] != sum(row[1:]):
            raise AssertionError(f"{file.path}: {row[0]} records read, but {row[1:]} accounted for. Report this.")
        db.execute(
            "insert into files values (?, ?, ?, 'pending', ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [file.digest, file.source, str(file.path), *row, json.dumps(tally.ignored, sort_keys=True),
             unattributed[number], *span],
        )  # fmt: skip
        db.executemany(
            "insert into quarantine values (?, ?, ?, ?, ?, ?)",
            [
                (file.digest, file.source, str(file.path), bad.place, bad.digest, bad.reason)
                for bad in tally.quarantined
            ],
        )
        counts.files += 1
        counts.read += row[0]
        counts.stored += row[1]
        counts.duplicates += row[2]
        counts.quarantined += row[3]
        counts.ignored += row[4]
    db.commit()
    if fresh is not None and fresh.num_rows:
        lake.append(workspace.lake, "events", fresh.drop_columns(["_file"]), [f.transaction for f in group])
    marks = [(f.digest, f.source) for f in group]
    db.executemany("update files set status = 'stored' where digest = ? and source = ?", marks)
    db.commit()


def _only_new(workspace: Workspace, offered: pa.Table) -> pa.Table:
    """The events that neither the lake nor an earlier row of the same table has, sorted by day, token and time."""
    low, high = pc.min_max(offered["day"]).as_py().values()
    keys = offered.select(["event_key", "day", "token_key", "time"])
    keys = keys.append_column("place", pa.array(np.arange(offered.num_rows)))
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        there = lake.scan(connection, workspace.lake, "events", low, high + timedelta(days=1)).project("event_key")
        connection.register("offered", keys)
        there.create_view("there")
        kept = connection.sql(
            "select min(place) as place from offered anti join there using (event_key)"
            " group by event_key order by min(day), min(token_key), min(time), event_key"
        ).to_arrow_table()
    return offered.take(kept["place"])
