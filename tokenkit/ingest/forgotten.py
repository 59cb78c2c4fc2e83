"""Forgotten: what was erased or is no longer kept, so that logs read again do not bring it back.

Tokens and owners are erased by a person (``maintenance.erasure``), and days by retention (``maintenance.retention``).

Reads and writes  forgotten (state.db): a keyed mark of each id, from which the id cannot be told, and when that was.
Calls from before that moment are ignored, and counted; later ones are those of a token that is seen for the first
time. Nobody can hide a call by being forgotten: only a person does that, and only for the past.
"""

import hashlib
import hmac
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from tokenkit import schema
from tokenkit.sources.clocks import still_used
from tokenkit.sources.contract import Batch, Tally

RULE = "call of a token that was forgotten"
TOO_OLD = "call of a day whose events are no longer kept (retention.events_days)"


def mark(key: bytes, uid: str) -> str:
    """Return the mark of an id of a token or an owner: keyed, and not the id.

    Examples
    --------
    >>> mark(b"k", "tok1_a") == mark(b"k", "tok1_a"), "tok1_a" in mark(b"k", "tok1_a")
    (True, False)
    """
    return hmac.new(key, f"forgotten|{uid}".encode(), hashlib.sha256).hexdigest()[:32]


def remember_marks(db: sqlite3.Connection, key: bytes, uids: Iterable[str], when: datetime) -> None:
    """Note that these ids were forgotten at a moment."""
    moment = when.isoformat(timespec="milliseconds")
    db.executemany("insert or replace into forgotten values (?, ?)", [(mark(key, uid), moment) for uid in uids])


def marks(db: sqlite3.Connection) -> dict[str, datetime]:
    """Return the moment at which each mark was made."""
    rows = db.execute("select mark, moment from forgotten").fetchall()
    return {row["mark"]: datetime.fromisoformat(row["moment"]) for row in rows}


def forgotten_among(db: sqlite3.Connection, key: bytes, uids: Iterable[str | None]) -> set[str]:
    """Return those of some ids that were forgotten."""
    known = marks(db)
    return {uid for uid in set(uids) if uid and known and mark(key, uid) in known}


def keep_others(batches: Sequence[Batch], tally: Tally, key: bytes, known: dict[str, datetime]) -> list[Batch]:
    """Return the batches of one file without the calls that forgotten tokens made before they were forgotten.

    Parameters
    ----------
    batches : all of one file
    tally : of that file; they are counted as ignored
    key : of the workspace
    known : ``marks``
    """
    return [_keep_others(batch, tally, key, known) for batch in batches] if known else list(batches)


def keep_from(batches: Sequence[Batch], tally: Tally, first: date | None) -> list[Batch]:
    """Return the batches of one file without the calls of days whose events retention has removed already.

    What was counted of such a day would be counted anew from these alone. They go to the tally as ignored.
    """
    if first is None:
        return list(batches)
    return [_without(batch, tally, pc.less(batch.events["day"], pa.scalar(first)), TOO_OLD) for batch in batches]


def _keep_others(batch: Batch, tally: Tally, key: bytes, known: dict[str, datetime]) -> Batch:
    events = batch.events
    until = {uid: known.get(mark(key, uid)) for uid in events["token_uid"].unique().to_pylist() if uid}
    gone = pa.chunked_array([pa.repeat(False, events.num_rows)])
    for uid, moment in until.items():
        if moment is not None:
            of_token = pc.equal(events["token_uid"], uid)
            gone = pc.or_(gone, pc.and_(of_token, pc.less(events["time"], pa.scalar(moment, schema.TIME))))
    return _without(batch, tally, gone, RULE)


def _without(batch: Batch, tally: Tally, gone: pa.ChunkedArray, rule: str) -> Batch:
    number = pc.sum(gone).as_py()
    if not number:
        return batch
    tally.ignored[rule] += number
    kept, events = pc.invert(gone), batch.events
    by_content = None if batch.by_content is None else batch.by_content[kept.to_numpy()]
    events = events.filter(kept)
    return replace(batch, events=events, dimensions=still_used(batch.dimensions, events), by_content=by_content)
