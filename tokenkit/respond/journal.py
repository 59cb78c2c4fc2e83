"""Journal of actions: who did what to which token, when, why and how it is undone, in a chain of digests.

Reads and writes  actions (state.db). Rows are only appended: two triggers refuse any other change, and ``check`` finds
changes that were made without the triggers. A row is on the disk before ``append`` returns.
An apply and an undo each make two rows: an *intent* before anything is changed, and a *result* after it. An intent
without a result was interrupted: the action is in doubt, and the next command settles it.
"""

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from tokenkit.config import Workspace
from tokenkit.store import state

INTENT, RESULT = "intent", "result"
APPLY, UNDO = "apply", "undo"
APPLIED, UNDONE, FAILED, UNVERIFIED, IN_DOUBT = "applied", "undone", "failed", "unverified", "in doubt"


@dataclass(frozen=True)
class Row:
    """One row of the journal."""

    number: int
    action_uid: str
    phase: str
    record: dict[str, Any]
    previous: str
    digest: str


class Latest(NamedTuple):
    """The newest intent of an action, its result (None: interrupted), and the state of the action that follows."""

    state: str
    intent: Row
    result: Row | None

    @property
    def may_be_in_force(self) -> bool:
        """Whether the gateway may still do what the action made it do."""
        failed_undo = self.state == FAILED and self.result is not None and self.result.record["operation"] == UNDO
        return self.state in (APPLIED, UNVERIFIED, IN_DOUBT) or failed_undo


def append(workspace: Workspace, action_uid: str, phase: str, record: dict[str, Any]) -> Row:
    """Add a row to the journal; it is on the disk when this returns."""
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
    """Read every row, the oldest first; none where the workspace has no state yet."""
    if not workspace.state.exists():
        return []
    with state.connect(workspace.state) as db:
        rows: list[sqlite3.Row] = db.execute("select * from actions order by number").fetchall()
    return [Row(r["number"], r["action_uid"], r["phase"], json.loads(r["record"]), r["previous"], r["digest"])
            for r in rows]  # fmt: skip


def redact(workspace: Workspace, words: Mapping[str, str]) -> int:
    """Put other words in the place of some in all records, and chain them anew; return how many rows changed.

    For the erasure of a token alone (``maintenance.erasure``): that an action was taken, when and by whom, stays.
    """
    rows = read(workspace)
    previous, changed = "", []
    for row in rows:
        text = json.dumps(row.record, sort_keys=True, ensure_ascii=False)
        for word, other in words.items():
            text = text.replace(json.dumps(word, ensure_ascii=False)[1:-1], other)
        if json.loads(text) != row.record or previous != row.previous:
            digest = _digest(row.number, row.action_uid, row.phase, text, previous)
            changed.append((text, previous, digest, row.number))
            previous = digest
        else:
            previous = row.digest
    if changed:
        with state.connect(workspace.state) as db:
            db.execute("pragma secure_delete = on")
            db.execute("begin immediate")
            db.execute("drop trigger actions_are_never_changed")
            db.executemany("update actions set record = ?, previous = ?, digest = ? where number = ?", changed)
        with state.connect(workspace.state):
            pass  # which makes the trigger anew
    return len(changed)


def check(rows: list[Row]) -> str | None:
    """Return what is wrong with the chain of digests, in words, or None.

    Notes
    -----
    That the newest rows were cut off cannot be seen.

    Examples
    --------
    >>> check([])
    """
    previous = ""
    for number, row in enumerate(rows, 1):
        text = json.dumps(row.record, sort_keys=True, ensure_ascii=False)
        expected = _digest(number, row.action_uid, row.phase, text, previous)
        if (row.number, row.previous, row.digest) != (number, previous, expected):
            return f"row {number} of the journal (table actions of state.db) is not the one that was written"
        previous = row.digest
    return None


def latest(rows: list[Row]) -> dict[str, Latest]:
    """Return the state of each action with its newest intent and result, by action_uid."""
    actions: dict[str, Latest] = {}
    for row in rows:
        if row.phase == INTENT:
            actions[row.action_uid] = Latest(IN_DOUBT, row, None)
        elif row.action_uid in actions:
            actions[row.action_uid] = Latest(_state_after(row), actions[row.action_uid].intent, row)
    return actions


def newest_digest(rows: list[Row]) -> str:
    """Return the digest of the newest row, which changes whenever the journal does; empty for an empty journal."""
    return rows[-1].digest if rows else ""


def now() -> str:
    """Return the present moment, ISO 8601 in UTC to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _state_after(result: Row) -> str:
    status = result.record["status"]
    if status != "verified":
        return UNVERIFIED if status == "unverified" else FAILED
    return UNDONE if result.record["operation"] == UNDO else APPLIED


def _digest(number: int, action_uid: str, phase: str, text: str, previous: str) -> str:
    return hashlib.sha256("\n".join((str(number), action_uid, phase, text, previous)).encode()).hexdigest()
