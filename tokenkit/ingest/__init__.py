"""Ingest: read raw log files into the lake, each file and each event exactly once, also where a run is killed.

Reads  files of any source, and those that know networks. Writes events and dimensions (Delta), files and quarantine
(state.db).
A file is one transaction of the events table, named by its content. Its counts are written to state.db as *pending*
before the commit and as *stored* after it; a pending file whose transaction is in the table was stored, any other is
read again. So read = stored + duplicates + quarantined + ignored, always, kill -9 included; ``ignored`` counts records,
and ``ignored_files`` the files that were not read at all.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tokenkit import identity, schema, sources
from tokenkit.config import Workspace, code_digest
from tokenkit.days import EVENTS_FROM, day_of, extent
from tokenkit.errors import IdentityError, InputError
from tokenkit.ingest import forgotten, known
from tokenkit.ingest.copies import forget_unused_tokens, tokens_of_copies
from tokenkit.ingest.counts import COUNTED, Counts
from tokenkit.ingest.duplicates import (
    MARKS,
    both_ways,
    marked,
    note_earlier_version,
    stored_keys,
    without_duplicates,
)
from tokenkit.ingest.pieces import Piece, Reader, transaction
from tokenkit.progress import Progress, silent
from tokenkit.sources import clocks, packed
from tokenkit.sources.fields.masking import path_text
from tokenkit.sources.fields.networks import Databases, open_databases
from tokenkit.sources.fields.normalise import Coded, network_rows
from tokenkit.sources.inputs import Input
from tokenkit.store import engine, lake, points, state
from tokenkit.store.access import PATIENCE_S, locked

MAPPING_NOTES = "mapping_notes"  # in table meta of state.db
EVENTS_A_COMMIT = 100_000  # 1 M events at once cost the same CPU with 400,000, and 1.9 GB where this takes 0.9


def open_key(workspace: Workspace, db: sqlite3.Connection) -> bytes:
    """Return the workspace's key, which is made on first use.

    Raises
    ------
    IdentityError
        The key is missing though the lake has data, or it is not the key that the lake was made with.
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


def ingest(
    workspace: Workspace, inputs: Sequence[Input], progress: Progress = silent, now: datetime | None = None
) -> Counts:
    """Read logs into the lake.

    Parameters
    ----------
    workspace : Workspace
    inputs : sequence of Input
    progress : function of stage, files done, files in all
    now : what is later by more than ``ingest.future_hours`` is set aside; default: this machine's clock, or the end of
        what was read before where that clock is behind it

    Returns
    -------
    Counts
        Of this call; a file whose content was read before is only counted in ``files_known``.

    Raises
    ------
    InputError, SourceError
        A path does not exist, a source is unknown,
        or nothing of a known source is there. Raised before anything is read.
    ConfigError
        A file of ``networks.database`` is missing or damaged.
    IdentityError
        The workspace key is missing or another one.
    LockedError
        Another run works in the workspace for longer than ``PATIENCE_S``.
    """
    with locked(workspace, PATIENCE_S):
        counts = _read_logs(workspace, inputs, progress, now)
        points.note(workspace, "ingest")
    return counts


def _read_logs(workspace: Workspace, inputs: Sequence[Input], progress: Progress, now: datetime | None) -> Counts:
    databases = open_databases(workspace.network_databases)
    log_files: list[tuple[Path, sources.Source]] = []
    counts = Counts()
    ignored: dict[str, str] = {}
    for logs in inputs:
        files, by_rule = sources.find_files(logs.path, logs.source)
        log_files += files
        for rule, paths in by_rule.items():
            ignored |= {path_text(p): rule for p in paths}
    with state.connect(workspace.state) as db:
        reading = sources.Reading(open_key(workspace, db), workspace.settings.gateway, databases)
        _recover(workspace, db)
        _look_up_again(workspace, db, databases)
        note_earlier_version(workspace, db)
        db.executemany("delete from ignored_files where path = ?", [(path_text(path),) for path, _ in log_files])
        marks, kept_from = forgotten.marks(db), day_of(state.get_meta(db, EVENTS_FROM) or "", EVENTS_FROM)
        told_before: dict[str, dict[str, str]] = json.loads(state.get_meta(db, MAPPING_NOTES) or "{}")
        clock = clocks.Clock(now or datetime.now(UTC), workspace.settings.ingest)
        if now is None:
            clock.end_of_logs = lambda: _end_of_logs(workspace)
        reader = Reader(
            db, reading, clock, partial(stored_keys, workspace), marks, kept_from,
            known.places_of(path for path, _ in log_files),
        )  # fmt: skip
        group: list[Piece] = []
        events_waiting = 0
        without_value: dict[str, dict[str, str]] = {}
        for number, (path, source) in enumerate(log_files):
            progress("reading logs", number, len(log_files))
            pieces, is_new = reader.pieces(path, source), False
            while True:
                try:
                    piece = next(pieces, None)
                except OSError:  # removed or closed to us since it was found; the others are read
                    ignored[path_text(path)] = sources.UNREADABLE
                    break
                if piece is None:
                    counts.files_known += not is_new
                    break
                counts.files += not is_new
                is_new = True
                group.append(piece)
                events_waiting += sum(batch.events.num_rows for batch in piece.batches)
                if piece.tally.read:  # a field that is in no record of a source's files
                    begin = told_before.get(source.name, {}) if piece.number else piece.tally.without_value
                    others = without_value.setdefault(source.name, begin)
                    missing = piece.tally.without_value
                    without_value[source.name] = {name: others[name] for name in others if name in missing}
                if events_waiting >= EVENTS_A_COMMIT:
                    _store(workspace, db, group, counts)
                    group, events_waiting = [], 0
        if group:
            _store(workspace, db, group, counts)
        _quarantine_gone(db, counts, reader.here)
        counts.unfinished = reader.unfinished
        known_anyway = _known_without_mapping(log_files)
        packed.forget()
        counts.ignored_files = Counter(ignored.values())
        db.executemany("insert or replace into ignored_files values (?, ?)", list(ignored.items()))
        progress("reading logs", len(log_files), len(log_files))
        for name, text in known_anyway.items():
            without_value.setdefault(name, {})["source"] = text
        told = {name: told for name, told in (told_before | without_value).items() if told}
        state.set_meta(db, MAPPING_NOTES, json.dumps(told, sort_keys=True))
    names = dict.fromkeys(source.name for _, source in log_files)
    counts.notes = [text for name in names for text in told.get(name, {}).values()]
    return counts


def _known_without_mapping(log_files: Sequence[tuple[Path, sources.Source]]) -> dict[str, str]:
    """What to say of mappings, by name, whose first file is a log that tokenkit knows: it has traps of its own."""
    firsts: dict[str, Path] = {}
    for path, source in log_files:
        if source.name not in sources.sources():
            firsts.setdefault(source.name, path)
    texts = {}
    for name, path in firsts.items():
        try:
            other = sources.recognise(path)
        except OSError:  # it went meanwhile, which is told where it is read
            continue
        if other:
            texts[name] = (
                f"{path_text(path)}: this is a log of {other.name}, which tokenkit reads without a mapping, and joins "
                f"the lines of one call where it has several. If that is what you want, in a new workspace: tokenkit "
                f"ingest {other.name}={path_text(path)}"
            )
    return texts


def _end_of_logs(workspace: Workspace) -> datetime | None:
    """The end of the logs that were read before, whatever this machine's clock says: it may have gone back."""
    span = extent(workspace, today=date.max)
    return datetime.combine(span[1] + timedelta(days=1), time(), UTC) if span else None


def mapping_notes(workspace: Workspace) -> list[str]:
    """What is to be said of the mappings of the files that were read: fields which no record has, by source."""
    with state.connect(workspace.state) as db:
        told = json.loads(state.get_meta(db, MAPPING_NOTES) or "{}")
    return [text for name in sorted(told) for text in told[name].values()]


def read_before(workspace: Workspace, path: Path, source: str) -> bool:
    """Whether the content of this file was read before under the name of this source.

    Such a file is not read again, even if its mapping has changed: its events would get other ids and count twice.
    """
    if not workspace.state.exists():
        return False
    try:
        with state.connect(workspace.state) as db:
            if known.is_plain(path) and (file := known.find(db, path, source, {})).parts:
                return file.end == path.stat().st_size
            return known.is_read(db, known.whole_digest(path), source)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}. Check its permissions.") from error


def _quarantine_gone(db: sqlite3.Connection, counts: Counts, here: Mapping[str, int]) -> None:
    """Count the last lines that were never finished, of files that are gone."""
    for _ in known.quarantine_gone(db, here):
        counts.read += 1
        counts.quarantined += 1
        counts.reasons[known.GONE] += 1


def _recover(workspace: Workspace, db: sqlite3.Connection) -> None:
    """Store what a killed run left pending, where its events are in the lake; forget it otherwise: it is read again."""
    pending = db.execute("select digest, source, number from parts where status = 'pending'").fetchall()
    files = db.execute("select digest, source from files where status = 'pending'").fetchall()  # of an earlier version
    if pending or files:
        forget_unused_tokens(workspace)
    for digest, source, number in pending:
        if lake.has_transaction(workspace.lake, "events", points.transaction(db, transaction(digest, source, number))):
            known.store_part(db, digest, source, number)
        else:
            known.drop_part(db, digest, source, number)
    for digest, source in files:
        if lake.has_transaction(workspace.lake, "events", points.transaction(db, transaction(digest, source, 0))):
            db.execute("update files set status = 'stored' where digest = ? and source = ?", [digest, source])
        else:
            for table in ("files", "parts", "quarantine"):
                db.execute(f"delete from {table} where digest = ? and source = ?", [digest, source])
    db.commit()


def _look_up_again(workspace: Workspace, db: sqlite3.Connection, databases: Databases) -> None:
    """Give all networks their class anew where the files that know it are others than last time.

    So every network of a profile, also one from before there was a file, has its class from the same files. Events keep
    what was known when they were read.
    """
    digest = f"{databases.digest}:{code_digest()[:16]}" if databases.opened else ""
    if digest == (state.get_meta(db, "networks") or ""):
        return
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        lake.scan(connection, workspace.lake, "events").create_view("events")
        known = connection.sql(
            "select network_key, arg_min(src_ip, time_ms) as address from events where src_ip is not null group by 1"
        ).fetchall()
    table = lake.read(workspace.lake, "dim_network")
    data: dict[str, pa.Array] = {}
    looked_up = network_rows(Coded.of([address for _, address in known], cap=None), data, databases)
    rows = {row["network_key"]: row for row in table.to_pylist() + looked_up.to_pylist()}
    renewed = pa.Table.from_pylist([rows[key] for key in table["network_key"].to_pylist()], table.schema)
    if not renewed.equals(table):
        lake.replace(workspace.lake, "dim_network", renewed)
    state.set_meta(db, "networks", digest)
    db.commit()


def _store(workspace: Workspace, db: sqlite3.Connection, group: list[Piece], counts: Counts) -> None:
    """Store the files of one commit: dimensions, then counts as pending, then events, then the files as stored."""
    tables = [
        marked(batch, number, later)
        for number, file in enumerate(group)
        for batch, later in zip(file.batches, file.later, strict=True)
        if batch.events.num_rows  # none where a wrong clock wrote all of them
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
    new_events, better_events, differing = None, None, [0] * len(group)
    if tables:
        ways = both_ways(db, [(file.source, file.batches) for file in group])
        new_events, better_events, differing = without_duplicates(workspace, pa.concat_tables(tables), ways, len(group))
    copies = tokens_of_copies(tables, new_events, better_events)
    for name in [t for t in schema.TABLES if t.startswith("dim_")]:
        rows = [b.dimensions[name] for f in group for b in f.batches if name in b.dimensions]
        if rows:
            dimension = pa.concat_tables(rows)
            if name == "dim_token" and len(copies):
                dimension = dimension.filter(pc.invert(pc.is_in(dimension["token_key"], value_set=copies)))
            lake.grow_dimension(workspace.lake, name, dimension)
    stored = repeated = [0] * len(group)
    if new_events is not None:
        of_file = new_events["_file"].to_numpy()
        stored = np.bincount(of_file, minlength=len(group)).tolist()
        repeated = np.bincount(of_file[new_events["_later"].to_numpy()], minlength=len(group)).tolist()
    for number, file in enumerate(group):
        tally, span = file.tally, spans.get(number, (None, None))
        row = {
            "read": tally.read, "stored": stored[number], "duplicates": offered[number] - stored[number],
            "quarantined": len(tally.quarantined), "ignored": sum(tally.ignored.values()),
            "repeated": repeated[number], "differing": differing[number],
        }  # fmt: skip
        parts = [row[name] for name in ("stored", "duplicates", "quarantined", "ignored")]
        if row["read"] != sum(parts):
            raise AssertionError(f"{file.path}: {row['read']} records read, but {parts} accounted for. Report this.")
        record = known.record_of(
            file.path, tally.quarantined, tally.ignored,
            **row, unattributed=unattributed[number], first=span[0], last=span[1],
        )  # fmt: skip
        known.count_part(db, (file.digest, file.source, file.number), record)
        for name in COUNTED:
            setattr(counts, name, getattr(counts, name) + row[name])
        counts.reasons.update(one.reason for one in tally.quarantined)
    db.commit()
    replaced = better_events is not None and better_events.num_rows > 0
    if better_events is not None and replaced:
        # before the files' transaction: a run that is killed here finds these rows stored, as duplicates
        lake.replace_rows(workspace.lake, "events", better_events.drop_columns(MARKS), "event_key")
    if new_events is not None and new_events.num_rows:
        names = [points.transaction(db, file.transaction) for file in group]
        lake.append(workspace.lake, "events", new_events.drop_columns(MARKS), names)
    if replaced:
        forget_unused_tokens(workspace)
    for file in group:
        known.store_part(db, file.digest, file.source, file.number)
    db.commit()
