"""Ingest: read raw log files into the lake, each file and each event exactly once, also where a run is killed.

Reads  files of any source, and those that know networks. Writes events and dimensions (Delta), files and quarantine
(state.db).
A file is one transaction of the events table, named by its content. Its counts are written to state.db as *pending*
before the commit and as *stored* after it; a pending file whose transaction is in the table was stored, any other is
read again. So read = stored + duplicates + quarantined + ignored, always, kill -9 included; ``ignored`` counts records,
and ``ignored_files`` the files that were not read at all.
AWS delivers a call between two accounts to both, under one shared id. It is stored once, as the account that owns the
credential saw it: where the other account's copy came first, its row is replaced, and the later record is a duplicate.
"""

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tokenkit import identity, schema, sources
from tokenkit.config import Workspace, code_digest
from tokenkit.days import extent
from tokenkit.errors import IdentityError, InputError
from tokenkit.progress import Progress, silent
from tokenkit.sources import clocks, packed
from tokenkit.sources.fields.masking import path_text
from tokenkit.sources.fields.networks import Databases, open_databases
from tokenkit.sources.fields.normalise import Coded, network_rows
from tokenkit.sources.fields.sameness import SAME, Flags, number_equal_records, remarks
from tokenkit.sources.inputs import Input
from tokenkit.store import engine, lake, state

OF_AWS = ("cloudtrail", "ocsf")  # sources of which two records of one event may know its caller unequally well
# how well an event knows its caller: 2 the credential or the ARN, not an account alone; 1 the log is the caller's own
_KNOWS_CALLER = (
    f"case when source not in {OF_AWS} then 0 else"
    " 2 * (token_kind not in ('none', 'principal') or coalesce(principal_uid, '') like 'arn:%')::int"
    " + coalesce(split_part(principal_uid, ':', 5) = tenant_uid, false)::int end"
)
EVENTS_A_COMMIT = 100_000  # 1 M events at once cost the same CPU with 400,000, and 1.9 GB where this takes 0.9
BY_ID, BY_CONTENT = "id", "content"  # what an event is known by (sources.fields.sameness)
MARKS = ["_file", "_by_id", "_later"]


@dataclass
class Counts:
    """How many records of a run's files were read, stored and not stored.

    Of the stored, ``repeated`` are equal to an earlier record of their file, and calls of their own. Of the duplicates,
    ``differing`` have the id of another event and another content.
    """

    files: int = 0
    files_known: int = 0
    read: int = 0
    stored: int = 0
    duplicates: int = 0
    quarantined: int = 0
    ignored: int = 0
    repeated: int = 0
    differing: int = 0
    ignored_files: Counter[str] = field(default_factory=Counter)
    wrong_clock: Counter[str] = field(default_factory=Counter)

    def line(self) -> str:
        """Return the counts as one line of text: a sum that adds up."""
        return (
            f"{self.read:,} records read = {self.stored:,} stored + {self.duplicates:,} duplicates"
            f" + {self.quarantined:,} quarantined + {self.ignored:,} ignored"
        )

    def remarks(self) -> list[str]:
        """Return what to know about records of a wrong clock, and those that only look alike or only have one id.

        Examples
        --------
        >>> Counts(wrong_clock=Counter({clocks.FUTURE: 2})).remarks()
        ['2 records set aside, a clock may be wrong: its time lies in the future']
        """
        wrong = [
            f"{n:,} record{'s' * (n > 1)} set aside, a clock may be wrong: {reason}"
            for reason, n in sorted(self.wrong_clock.items())
        ]
        return wrong + remarks(self.repeated, self.differing)


@dataclass
class _File:
    path: Path
    source: str
    digest: str
    tally: sources.Tally
    batches: list[sources.Batch]
    later: list[Flags] = field(default_factory=list)  # of each batch, which equal an earlier record of the file

    @property
    def transaction(self) -> str:
        return f"{self.source}:{self.digest}"


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
    """
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
        _note_earlier_version(workspace, db)
        db.executemany("delete from ignored_files where path = ?", [(path_text(path),) for path, _ in log_files])
        digests_read = {(r["digest"], r["source"]) for r in db.execute("select digest, source from files")}
        clock = clocks.Clock(now or datetime.now(UTC), workspace.settings.ingest)
        if now is None:
            clock.end_of_logs = lambda: _end_of_logs(workspace)
        group: list[_File] = []
        events_waiting = 0
        for number, (path, source) in enumerate(log_files):
            progress("reading logs", number, len(log_files))
            try:
                digest = _digest(path)
                if (digest, source.name) in digests_read:
                    counts.files_known += 1
                    continue
                tally = sources.Tally()
                batches = list(source.read(path, reading, tally))
            except OSError:  # removed or closed to us since it was found; the others are read
                ignored[path_text(path)] = sources.UNREADABLE
                continue
            digests_read.add((digest, source.name))
            batches = clocks.keep_right(batches, tally, clock)
            events_waiting += sum(batch.events.num_rows for batch in batches)
            group.append(_File(path, source.name, digest, tally, *number_equal_records(batches)))
            if events_waiting >= EVENTS_A_COMMIT:
                _store(workspace, db, group, counts)
                group, events_waiting = [], 0
        if group:
            _store(workspace, db, group, counts)
        packed.forget()
        counts.ignored_files = Counter(ignored.values())
        db.executemany("insert or replace into ignored_files values (?, ?)", list(ignored.items()))
        progress("reading logs", len(log_files), len(log_files))
    return counts


def _end_of_logs(workspace: Workspace) -> datetime | None:
    """The end of the logs that were read before: a clock that is behind it went back."""
    span = extent(workspace)
    return datetime.combine(span[1] + timedelta(days=1), time(), UTC) if span else None


def read_before(workspace: Workspace, path: Path, source: str) -> bool:
    """Whether the content of this file was read before under the name of this source.

    Such a file is not read again, even if its mapping has changed: its events would get other ids and count twice.
    """
    if not workspace.state.exists():
        return False
    try:
        digest = _digest(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}. Check its permissions.") from error
    with state.connect(workspace.state) as db:
        row = db.execute("select 1 from files where digest = ? and source = ?", [digest, source]).fetchone()
    return row is not None


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    for block in packed.raw_blocks(path):
        digest.update(block)
    return digest.hexdigest()[:32]


def _recover(workspace: Workspace, db: sqlite3.Connection) -> None:
    """Mark the files that a killed run left pending as stored, or forget them so that they are read again."""
    for row in db.execute("select digest, source from files where status = 'pending'").fetchall():
        key = [row["digest"], row["source"]]
        if lake.has_transaction(workspace.lake, "events", f"{row['source']}:{row['digest']}"):
            db.execute("update files set status = 'stored' where digest = ? and source = ?", key)
        else:
            db.execute("delete from files where digest = ? and source = ?", key)
            db.execute("delete from quarantine where digest = ? and source = ?", key)
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


def _note_earlier_version(workspace: Workspace, db: sqlite3.Connection) -> None:
    """Note, once, that what an earlier version stored is known by ids, a client's among them."""
    if state.get_meta(db, "known_by") is None:
        before = lake.version(workspace.lake, "events") is not None
        names = [row["source"] for row in db.execute("select distinct source from files")] if before else []
        state.set_meta(db, "known_by", json.dumps({name: [BY_ID] for name in sorted(names)}))
        db.commit()


def _both_ways(db: sqlite3.Connection, group: list[_File]) -> bool:
    """Note by what the events of these files are known; whether a source of them has events known in another way."""
    known_by: dict[str, list[str]] = json.loads(state.get_meta(db, "known_by") or "{}")
    for file in group:
        for batch in file.batches:
            flags = batch.by_content
            some_by_id = flags is None or not flags.all()
            ways = [BY_ID] * some_by_id + [BY_CONTENT] * (flags is not None and bool(flags.any()))
            known_by[file.source] = sorted({*known_by.get(file.source, ()), *ways})
    state.set_meta(db, "known_by", json.dumps(known_by, sort_keys=True))
    return any(len(known_by.get(file.source, ())) > 1 for file in group)


def _marked(batch: sources.Batch, file: int, later: Flags) -> pa.Table:
    """Return the events with the number of their file, whether an id alone tells them apart, and which are repeated."""
    count = batch.events.num_rows
    by_id = np.ones(count, dtype=bool) if batch.by_content is None else ~batch.by_content
    marks = (pa.repeat(file, count), pa.array(by_id), pa.array(later))
    table = batch.events
    for name, values in zip(MARKS, marks, strict=True):
        table = table.append_column(name, values)
    return table


def _store(workspace: Workspace, db: sqlite3.Connection, group: list[_File], counts: Counts) -> None:
    """Store the files of one commit: dimensions, then counts as pending, then events, then the files as stored."""
    tables = [
        _marked(batch, number, later)
        for number, file in enumerate(group)
        for batch, later in zip(file.batches, file.later, strict=True)
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
        new_events, better_events, differing = _new_events(
            workspace, pa.concat_tables(tables), _both_ways(db, group), len(group)
        )
    copies = _tokens_of_copies(tables, new_events, better_events)
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
            "insert into files values (?, ?, ?, 'pending', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [file.digest, file.source, path_text(file.path), *row, json.dumps(tally.ignored, sort_keys=True),
             unattributed[number], *span, repeated[number], differing[number]],
        )  # fmt: skip
        db.executemany(
            "insert into quarantine values (?, ?, ?, ?, ?, ?)",
            [
                (file.digest, file.source, path_text(file.path), one.place, one.piece_digest, one.reason)
                for one in tally.quarantined
            ],
        )
        counts.files += 1
        counts.read += row[0]
        counts.stored += row[1]
        counts.duplicates += row[2]
        counts.quarantined += row[3]
        counts.ignored += row[4]
        counts.wrong_clock.update(q.reason for q in tally.quarantined if q.reason in (clocks.FUTURE, clocks.PAST))
        counts.repeated += repeated[number]
        counts.differing += differing[number]
    db.commit()
    copied = pa.array([], pa.int64())
    if better_events is not None and better_events.num_rows:
        # before the files' transaction: a run that is killed here finds these rows stored, as duplicates
        copied = _replace_copies(workspace, better_events.drop_columns(MARKS))
    if new_events is not None and new_events.num_rows:
        lake.append(workspace.lake, "events", new_events.drop_columns(MARKS), [f.transaction for f in group])
    _forget_tokens(workspace, copied)
    marks = [(f.digest, f.source) for f in group]
    db.executemany("update files set status = 'stored' where digest = ? and source = ?", marks)
    db.commit()


def _new_events(
    workspace: Workspace, events: pa.Table, both_ways: bool, files: int
) -> tuple[pa.Table, pa.Table | None, list[int]]:
    """Return the events that are neither in the lake nor in an earlier row, sorted by day, token and time.

    And those that are in the lake as the copy of another account, which knows the caller less well; and, of each file,
    how many of the others have the id of another event but not its content. ``both_ways``: events of these sources may
    be in the lake under keys of another kind: of an earlier version, or of another ``unique_ids``.
    """
    low, high = pc.min_max(events["day"]).as_py().values()
    count = events.num_rows
    keys = events.select(
        ["event_key", "day", "token_key", "time", "source", "token_kind", "principal_uid", "tenant_uid"]
    )
    keys = keys.append_column("place", pa.array(np.arange(count)))
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        stored = lake.scan(connection, workspace.lake, "events", low, high + timedelta(days=1))
        stored.create_view("stored")
        connection.register("offered", keys)
        known = ""
        if both_ways:
            connection.register("named", _named(events, keys["place"]))
            known = f" where place not in ({_KNOWN_ANOTHER_WAY})"
        # of several records of an event the one that knows the caller best, else the first
        first_rows = connection.sql(
            f"select min(place + (3 - {_KNOWS_CALLER}) * {count}) % {count} as place"
            f" from offered anti join (select event_key from stored) using (event_key){known}"
            " group by event_key order by min(day), min(token_key), min(time), event_key"
        ).to_arrow_table()
        new = events.take(first_rows["place"])
        better = None
        duplicates = count > first_rows.num_rows and set(pc.unique(events["source"]).to_pylist()) & set(OF_AWS)
        if duplicates and lake.version(workspace.lake, "events") is not None:
            better_rows = connection.sql(
                f"with known as (select event_key, day, min({_KNOWS_CALLER}) as least from stored"
                " where event_key in (select event_key from offered) group by event_key, day),"
                f" better as (select event_key, day, place, {_KNOWS_CALLER} as knows from offered)"
                " select arg_max(place, (knows, -place)) as place from better join known using (event_key, day)"
                " where knows > least group by event_key order by event_key"
            ).to_arrow_table()
            better = events.take(better_rows["place"])
        others = np.ones(count, dtype=bool)
        others[first_rows["place"].to_numpy()] = False
        again = events.filter(pa.array(others & events["_by_id"].to_numpy()))
        differing = [0] * files
        if again.num_rows:
            connection.register("again", again.select(["_file", "event_key", "day", "source", "tenant_uid", *SAME]))
            connection.register("new", new.select(["event_key", "tenant_uid", *SAME]))
            for number, of_file in connection.sql(_DIFFERING).fetchall():
                differing[number] = of_file
    return new, better, differing


# a log's own id with the same time, token, status and amounts: one call, whatever key it was stored under
_KNOWN_ANOTHER_WAY = """
    select place from named o join stored s on s.event_uid = o.event_uid and s.source = o.source
        and s.time = o.time and s.token_key = o.token_key
    where (o._by_id or s.event_key = o.id_key) and s.http_status is not distinct from o.http_status
        and s.request_bytes is not distinct from o.request_bytes
        and s.response_bytes is not distinct from o.response_bytes"""
_DIFFERING = f"""
    select a._file, count(*) from again a join (
        select event_key, tenant_uid, {", ".join(SAME)} from new union all
        select event_key, tenant_uid, {", ".join(SAME)} from stored where event_key in (select event_key from again)) k
    using (event_key) where ({" or ".join(f"a.{name} is distinct from k.{name}" for name in SAME)})
    and not (a.source in {OF_AWS} and a.tenant_uid is distinct from k.tenant_uid) group by 1"""  # else another account's


def _named(events: pa.Table, place: pa.ChunkedArray) -> pa.Table:
    """Return the events with the key that they have, or had, where their id alone is what they are known by.

    Of equal records of one file the first alone: the others were not stored by id.
    """
    columns = ["event_uid", "source", "time", "token_key", "http_status", "request_bytes", "response_bytes", "_by_id"]
    marked = pc.binary_join_element_wise(events["source"], events["event_uid"], "|")
    named = events.select(columns).append_column("place", place)
    return named.append_column("id_key", identity.value_keys("event", marked)).filter(pc.invert(events["_later"]))


def _tokens_of_copies(tables: list[pa.Table], new: pa.Table | None, better: pa.Table | None) -> pa.Array:
    """Return the keys of the tokens of AWS of whose events none is stored: they name an account or a stored token."""
    offered = [np.asarray(t["token_key"].filter(pc.is_in(t["source"], value_set=pa.array(OF_AWS)))) for t in tables]
    kept = [np.asarray(t["token_key"]) for t in (new, better) if t is not None]
    none = [np.empty(0, dtype=np.int64)]
    return pa.array(np.setdiff1d(np.concatenate(offered + none), np.concatenate(kept + none)))


def _replace_copies(workspace: Workspace, events: pa.Table) -> pa.Array:
    """Put events in the place of copies that know their caller less well; return the keys of the copies' tokens."""
    low, high = pc.min_max(events["day"]).as_py().values()
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        connection.register("better", events.select(["event_key"]))
        lake.scan(connection, workspace.lake, "events", low, high + timedelta(days=1)).create_view("stored")
        copies = connection.sql("select distinct token_key from stored semi join better using (event_key)")
        copied = copies.to_arrow_table()["token_key"].combine_chunks()
    lake.replace_rows(workspace.lake, "events", events, "event_key")
    return copied


def _forget_tokens(workspace: Workspace, copied: pa.Array) -> None:
    """Forget those of these tokens that no stored event has."""
    if not len(copied):
        return
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        connection.register("copied", pa.table({"token_key": copied}))
        lake.scan(connection, workspace.lake, "events").create_view("stored")
        used = connection.sql("select distinct token_key from stored semi join copied using (token_key)")
        still_used = used.to_arrow_table()["token_key"].combine_chunks()
    forgotten = copied.filter(pc.invert(pc.is_in(copied, value_set=still_used)))
    tokens = lake.read(workspace.lake, "dim_token")
    kept = tokens.filter(pc.invert(pc.is_in(tokens["token_key"], value_set=forgotten)))
    if kept.num_rows < tokens.num_rows:
        lake.replace(workspace.lake, "dim_token", kept)
