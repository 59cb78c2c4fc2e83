"""Retry: read the records that were set aside again, after a mapping, a setting or a version of tokenkit was corrected.

Reads  the log files that have quarantined records. Writes events and dimensions; files and quarantine (state.db).
A record is known by its place in a file whose content is still the same, and an event by its key, as ever: what is
stored already is not stored again. The counts of a file are noted before the commit, as ``ingest`` does.
"""

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tokenkit import schema, sources
from tokenkit.config import Workspace
from tokenkit.days import EVENTS_FROM, day_of
from tokenkit.errors import InputError
from tokenkit.ingest import forgotten, known, open_key
from tokenkit.ingest.duplicates import MARKS, both_ways, marked, without_duplicates
from tokenkit.progress import Progress, silent
from tokenkit.sources import clocks, packed
from tokenkit.sources.clocks import still_used
from tokenkit.sources.contract import Batch
from tokenkit.sources.fields.masking import path_text
from tokenkit.sources.fields.networks import open_databases
from tokenkit.sources.fields.sameness import Flags, number_equal_records
from tokenkit.sources.inputs import Input, configured_inputs
from tokenkit.store import lake, points, state
from tokenkit.store.access import PATIENCE_S, locked

UNFINISHED = "unfinished_retry"  # in table meta of state.db
NOT_NAMED = "its folder is not among the logs named"
CHANGED = "not found with the content that it had"


@dataclass
class Retried:
    """What became of quarantined records: tried = stored + duplicates + ignored + still set aside."""

    tried: int = 0
    stored: int = 0
    duplicates: int = 0
    ignored: int = 0
    still: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    not_tried: Counter[str] = field(default_factory=Counter)


def retry(workspace: Workspace, inputs: Sequence[Input] = (), progress: Progress = silent) -> Retried:
    """Read the quarantined records of the logs again; what can be used now is stored and leaves quarantine.

    Parameters
    ----------
    inputs : the logs, with the mapping that reads them now; default: those named in tokenkit.toml

    Raises
    ------
    InputError
        No logs are named.
    LockedError
        Another run works in the workspace for longer than ten minutes.
    """
    found = Retried()
    with locked(workspace, PATIENCE_S):
        named = list(inputs) or configured_inputs(workspace)
        if not named:
            raise InputError(
                "no logs are named: name the folders or files whose records were set aside, as for ingest "
                "(tokenkit lake retry orders.toml=logs/orders), or set events in tokenkit.toml"
            )
        with state.connect(workspace.state) as db:
            _finish(workspace, db)
            waiting = {
                (row["digest"], row["source"]): row["path"]
                for row in db.execute("select distinct digest, source, path from quarantine")
            }
            names = {Path(path).name for path in waiting.values()}
            log_files = [one for logs in named for one in sources.find_files(logs.path, logs.source)[0]]
            candidates = [(path, source) for path, source in log_files if Path(path_text(path)).name in names]
            looked = {path for path, _ in candidates}
            for number, (path, source) in enumerate(candidates):
                progress("reading again", number, len(candidates))
                identity = (known.digest_of(db, path, source.name), source.name)
                if identity in waiting:
                    _read_again(workspace, db, path, source, identity, found)
                    del waiting[identity]
            progress("reading again", len(candidates), len(candidates))
            packed.forget()
            for (digest, source_name), text in waiting.items():
                number = db.execute(
                    "select count(*) from quarantine where digest = ? and source = ?", [digest, source_name]
                ).fetchone()[0]
                is_named = any(path_text(path) == text for path in looked)
                found.not_tried[CHANGED if is_named else NOT_NAMED] += number
        points.note(workspace, "retry")
    return found


def _read_again(
    workspace: Workspace, db: sqlite3.Connection, path: Path, source: sources.Source, identity: tuple[str, str],
    found: Retried,
) -> None:  # fmt: skip
    """Read one file again, and keep of it what stands at the places of its quarantined records."""
    aside = {
        row["place"] for row in db.execute("select place from quarantine where digest = ? and source = ?", identity)
    }
    file = dict(db.execute("select * from files where digest = ? and source = ?", identity).fetchone())
    reading = sources.Reading(
        open_key(workspace, db), workspace.settings.gateway, open_databases(workspace.network_databases)
    )
    tally = sources.Tally()
    batches = list(source.read(path, reading, tally))
    marks = forgotten.marks(db)
    batches = forgotten.keep_others(batches, tally, reading.key, marks)
    batches = forgotten.keep_from(batches, tally, day_of(state.get_meta(db, EVENTS_FROM) or "", EVENTS_FROM))
    batches = clocks.keep_right(batches, tally, clocks.Clock(datetime.now(UTC), workspace.settings.ingest))
    numbered, later = number_equal_records(batches)
    reasons = {one.place: one.reason for one in tally.quarantined}
    here = [_at(batch, flags, aside - set(reasons)) for batch, flags in zip(numbered, later, strict=True)]
    here = [(batch, flags) for batch, flags in here if batch.events.num_rows]
    places = {place for batch, _ in here for place in _places(batch)}
    # a record of which nothing is made any more, and which is not refused either, is left out by a rule
    left_out = aside - set(reasons) - places if sum(tally.ignored.values()) > file["ignored"] else set()
    fixed = places | left_out
    found.tried += len(aside)
    found.still += len(aside - fixed)
    found.reasons.update(reasons.get(place, "as before") for place in aside - fixed)
    events = pa.concat_tables([marked(batch, 0, flags) for batch, flags in here]) if here else None
    new = None
    if events is not None:
        both = both_ways(db, [(source.name, [batch for batch, _ in here])])
        new, _, _ = without_duplicates(workspace, events, both, 1)
        for name in [t for t in schema.TABLES if t.startswith("dim_")]:
            rows = [batch.dimensions[name] for batch, _ in here if name in batch.dimensions]
            if rows:
                lake.grow_dimension(workspace.lake, name, pa.concat_tables(rows))
    stored, offered = (new.num_rows if new is not None else 0), (events.num_rows if events is not None else 0)
    named = hashlib.sha256("|".join(sorted(fixed)).encode()).hexdigest()[:16]
    note: dict[str, Any] = {
        "transaction": points.transaction(db, f"retry:{identity[1]}:{identity[0]}:{named}"), "identity": identity,
        "fixed": sorted(fixed), "reasons": {place: reasons[place] for place in aside & set(reasons)},
        "counts": [offered - len(places), stored, offered - stored, -len(fixed), len(left_out)],
        "rules": dict(tally.ignored) if left_out else {}, "commits": stored > 0,
    }  # fmt: skip
    state.set_meta(db, UNFINISHED, json.dumps(note))
    db.commit()
    if new is not None and stored:
        lake.append(workspace.lake, "events", new.drop_columns(MARKS), [note["transaction"]])
    _finish(workspace, db)
    found.stored += stored
    found.duplicates += offered - stored
    found.ignored += len(left_out)


def _places(batch: Batch) -> list[str]:
    return [f"{batch.place} {ref.rsplit('#', 1)[-1]}" for ref in batch.events["raw_ref"].to_pylist()]


def _at(batch: Batch, later: Flags, places: set[str]) -> tuple[Batch, Flags]:
    """Return what stands at some places of a batch."""
    here = np.array([place in places for place in _places(batch)], dtype=bool)
    events = batch.events.filter(pa.array(here, pa.bool_()))
    by_content = None if batch.by_content is None else batch.by_content[here]
    kept = replace(batch, events=events, dimensions=still_used(batch.dimensions, events), by_content=by_content)
    return kept, later[here]


def _finish(workspace: Workspace, db: sqlite3.Connection) -> None:
    """Count what the last retry committed; nothing where it committed nothing, or there was none."""
    noted = state.get_meta(db, UNFINISHED)
    if noted is None:
        return
    note = json.loads(noted)
    if not note["commits"] or lake.has_transaction(workspace.lake, "events", note["transaction"]):
        digest, source = note["identity"]
        for place in note["fixed"]:
            db.execute("delete from quarantine where digest = ? and source = ? and place = ?", [digest, source, place])
        for place, reason in note["reasons"].items():
            db.execute(
                "update quarantine set reason = ? where digest = ? and source = ? and place = ?",
                [reason, digest, source, place],
            )
        row = db.execute("select ignored_rules from files where digest = ? and source = ?", [digest, source]).fetchone()
        rules = note["rules"] or json.loads(row["ignored_rules"])
        # under the newest number: a restore to an earlier point forgets the file, and it is read again whole
        db.execute(
            "update files set read = read + ?, stored = stored + ?, duplicates = duplicates + ?,"
            " quarantined = quarantined + ?, ignored = ignored + ?, ignored_rules = ?,"
            " rowid = (select max(rowid) + 1 from files) where digest = ? and source = ?",
            [*note["counts"], json.dumps(rules, sort_keys=True), digest, source],
        )
    db.execute("delete from meta where name = ?", [UNFINISHED])
    db.commit()
