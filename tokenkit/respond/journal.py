"""Journal: who did what to which token, when, why and how it is undone; each row holds the digest of the one before.

Reads and writes  actions (state.db), append-only: two triggers refuse any change, and ``check`` finds what was changed
all the same. A row is on the disk before its function returns.
An action has rows of two phases, for apply and for undo alike: *intent* before anything is changed, *result* after.
An intent without a result was interrupted: the action is in doubt, and the next command settles it.
"""

import hashlib
import json
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tokenkit.config import Workspace
from tokenkit.store import state

INTENT, RESULT = "intent", "result"
APPLIED, UNDONE, FAILED, UNVERIFIED, IN_DOUBT = "applied", "undone", "failed", "unverified", "in doubt"


@dataclass(frozen=True)
class Row:
    """One row of the journal; ``record`` is a plain dict."""

    number: int
    action_uid: str
    phase: str
    record: dict[str, Any]
    previous: str
    digest: str


def append(workspace: Workspace, action_uid: str, phase: str, record: dict[str, Any]) -> Row:
    """Add a row; it is on the disk when this returns."""
    with state.connect(workspace.state) as db:
        db.execute("pragma synchronous = full")  # with WAL's default a power cut may take the last commits
        db.execute("begin immediate")
        last = db.execute("select number, digest from actions order by number desc limit 1").fetchone()
        number, previous = (last["number"] + 1, last["digest"]) if last else (1, "")
        text = json.dumps(record, sort_keys=True, ensure_ascii=False)
        digest = _digest(number, action_uid, phase, text, previous)
        db.execute("insert into actions values (?, ?, ?, ?, ?, ?)", [number, action_uid, phase, text, previous, digest])
    return Row(number, action_uid, phase, record, previous, digest)


def read(workspace: Workspace) -> list[Row]:
    """Every row, the oldest first; none where there is no state yet."""
    if not workspace.state.exists():
        return []
    with state.connect(workspace.state) as db:
        found: list[sqlite3.Row] = db.execute("select * from actions order by number").fetchall()
    return [Row(r["number"], r["action_uid"], r["phase"], json.loads(r["record"]), r["previous"], r["digest"])
            for r in found]  # fmt: skip


def check(rows: list[Row]) -> str | None:
    """What is wrong with the chain, in words, or None. That the newest rows were cut off cannot be seen.

    Examples
    --------
    >>> check([])
    """
    previous = ""
    for place, row in enumerate(rows, 1):
        text = json.dumps(row.record, sort_keys=True, ensure_ascii=False)
        expected = _digest(place, row.action_uid, row.phase, text, previous)
        if (row.number, row.previous, row.digest) != (place, previous, expected):
            return f"row {place} of the journal (table actions of state.db) is not the one that was written"
        previous = row.digest
    return None


def standing(rows: list[Row]) -> dict[str, tuple[str, Row, Row | None]]:
    """Of each action: its state, its newest intent, and the newest result of that intent."""
    found: dict[str, tuple[str, Row, Row | None]] = {}
    for row in rows:
        if row.phase == INTENT:
            found[row.action_uid] = (IN_DOUBT, row, None)
        elif row.action_uid in found:
            found[row.action_uid] = (_state(row), found[row.action_uid][1], row)
    return found


def head(rows: list[Row]) -> str:
    """The digest of the newest row: another one, another journal."""
    return rows[-1].digest if rows else ""


def now() -> str:
    """The present moment, ISO 8601 in UTC to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _state(row: Row) -> str:
    status = row.record["status"]
    if status != "verified":
        return UNVERIFIED if status == "unverified" else FAILED
    return UNDONE if row.record["operation"] == "undo" else APPLIED


def _digest(number: int, action_uid: str, phase: str, text: str, previous: str) -> str:
    return hashlib.sha256("\n".join((str(number), action_uid, phase, text, previous)).encode()).hexdigest()
