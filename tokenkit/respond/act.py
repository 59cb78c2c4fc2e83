"""Act: apply and undo, one at a time, journalled before and after, verified by another way than the write.

Reads and writes  the journal (state.db) and, through a connector, a gateway.
Order: lock, read what is there, journal *intent*, write (what survives a restart first), verify, journal *result*. What
was interrupted is in doubt: the next command finishes it, because the intent was a person's decision, and says so.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from filelock import FileLock, Timeout

from tokenkit.config import Workspace
from tokenkit.errors import InputError, LockedError, RespondError, did_you_mean
from tokenkit.incidents.attribution import person, reason
from tokenkit.respond import journal
from tokenkit.respond.connector import Connector, Standing
from tokenkit.respond.proposal import Proposal, masked, shell

PATIENCE_S = 5.0  # an action takes some 20 ms
APPLY, UNDO = "apply", "undo"
Connectors = dict[str, Connector | str]


@dataclass(frozen=True)
class Outcome:
    """What became of a command: the action's state, whether anything was changed by it, and a sentence for a person."""

    action_uid: str
    state: str
    acted: bool
    message: str
    checks: list[dict[str, Any]]
    settled: list[str] = field(default_factory=list)  # interrupted actions that were finished first


def apply(workspace: Workspace, connectors: Connectors, proposal: Proposal, who: str, why: str) -> Outcome:
    """Do what is proposed; what is done already is done zero times.

    Raises
    ------
    InputError
        There is nothing to apply, the hold file is there, or a later action stands on the same token.
    RespondError
        It failed, and what was there before was put back; or it could not be verified.
    LockedError
        Another respond command works in this workspace.
    """
    who, why = person(who), reason(why)
    if not proposal.acts:
        because = f": {proposal.why_not}" if proposal.why_not else "; ask its owner, as the card says"
        raise InputError(f"{proposal.action_uid} proposes to notify, so there is nothing to apply{because}")
    with alone(workspace):
        check_hold(workspace)
        settled = settle(workspace, connectors, who)
        return replace(_apply(workspace, connectors, proposal, who, why), settled=settled)


def _apply(workspace: Workspace, connectors: Connectors, proposal: Proposal, who: str, why: str) -> Outcome:
    connector = usable(connectors, proposal.connector)
    live = journal.standing(journal.read(workspace))
    uid, value = proposal.action_uid, proposal.verb
    state, intent, result = live.get(uid, ("", None, None))
    standing = connector.read(proposal.handle)
    if intent is not None and in_force(state, result):
        _check_later(live, uid)
        if standing == Standing(value, value):
            by = intent.record
            if state == journal.UNVERIFIED and result is not None and result.record["operation"] == APPLY:
                return _verify(workspace, connector, uid, by, who)
            if state == journal.APPLIED:
                return Outcome(
                    uid, state, False, f"{uid} was applied by {by['who']} at {by['when']}: nothing to do", []
                )
    ours = intent is not None and in_force(state, result)
    if not standing.agree and not ours:
        raise InputError(
            f"{proposal.connector} disagrees with itself about this token: {standing.line()}. Nothing was changed. "
            "Bring both to the same, by a reload or by hand, then repeat."
        )
    prior = standing.in_force
    if intent is not None and in_force(state, result) and prior == value:
        prior = intent.record["prior"]  # what is in force is our own
    record = {
        "operation": APPLY, "verb": proposal.verb, "value": value, "prior": prior,
        "before": [standing.in_force, standing.kept], "connector": proposal.connector, "handle": proposal.handle,
        "token_uid": proposal.token_uid, "incident_uid": proposal.incident_uid, "label": proposal.label,
        "owner": proposal.owner, "first_seen": proposal.first_seen, "risk_level": proposal.risk_level,
        "who": who, "why": why, "when": journal.now(),
        "commands": connector.commands(proposal.handle, value), "undo": connector.commands(proposal.handle, prior),
    }  # fmt: skip
    return _begin(workspace, connector, uid, record)


def undo(workspace: Workspace, connectors: Connectors, action_uid: str, who: str, why: str) -> Outcome:
    """Put back what was there before the action; what is undone already is undone zero times. Allowed while on hold.

    Raises
    ------
    InputError
        No such action was applied, a later one stands on the same token, or somebody else has changed the entry since.
    RespondError, LockedError
        As for ``apply``.
    """
    who, why = person(who), reason(why)
    with alone(workspace):
        settled = settle(workspace, connectors, who)
        return replace(_undo(workspace, connectors, action_uid, who, why), settled=settled)


def _undo(workspace: Workspace, connectors: Connectors, action_uid: str, who: str, why: str) -> Outcome:
    live = journal.standing(journal.read(workspace))
    if action_uid not in live:
        known = did_you_mean(action_uid, sorted(live)) if live else "nothing was applied in this workspace"
        raise InputError(f"{action_uid}: no such action was applied; {known} (tokenkit respond list)")
    state, intent, _ = live[action_uid]
    done = intent.record
    if state == journal.UNDONE:
        said = f"{action_uid} was undone by {done['who']} at {done['when']}: nothing to do"
        return Outcome(action_uid, state, False, said, [])
    _check_later(live, action_uid)
    connector = usable(connectors, done["connector"])
    standing = connector.read(done["handle"])
    by_hand = connector.commands(done["handle"], done["prior"])
    if not {standing.in_force, standing.kept} <= {done["value"], done["prior"]}:
        raise InputError(
            f"{action_uid}: somebody changed the entry since it set {done['value']}: {standing.line()}. Nothing "
            f"was changed. Find out who did; by hand: {'; '.join(by_hand)}"
        )
    record = done | {
        "operation": UNDO, "before": [standing.in_force, standing.kept], "who": who, "why": why,
        "when": journal.now(), "commands": by_hand, "undo": [shell("apply", action_uid)],
    }  # fmt: skip
    return _begin(workspace, connector, action_uid, record)


def settle(workspace: Workspace, connectors: Connectors, who: str) -> list[str]:
    """Finish what was interrupted, and say what it was. The caller holds the lock.

    Raises
    ------
    RespondError
        The gateway cannot be asked; the action stays in doubt.
    """
    said = []
    for uid, (state, intent, _) in journal.standing(journal.read(workspace)).items():
        if state != journal.IN_DOUBT:
            continue
        record = intent.record
        connector = usable(connectors, record["connector"])
        found = connector.read(record["handle"])
        began = f"{uid}: {record['operation']} by {record['who']} at {record['when']} was interrupted"
        wanted = _target(record)
        if not {found.in_force, found.kept} <= {record["value"], record["prior"], *record["before"]}:
            _result(workspace, uid, record, "failed", who, found, note="somebody else changed the entry meanwhile")
            said.append(f"{began}; somebody else changed the entry meanwhile ({found.line()}), so it was left alone")
        elif record["operation"] == APPLY and workspace.hold.exists() and found != Standing(wanted, wanted):
            connector.write(record["handle"], record["prior"])
            now = connector.read(record["handle"])
            _result(workspace, uid, record, "failed", who, now, note="put back: the hold file was there")
            said.append(f"{began}; {workspace.hold} is there, so it was put back: {now.line()}")
        else:
            try:
                said.append(f"{began}; finished now: {_carry_out(workspace, connector, uid, record, who).message}")
            except RespondError as error:  # journalled; what the caller asked for goes on
                said.append(f"{began}; {error}")
    return said


@contextmanager
def alone(workspace: Workspace) -> Iterator[None]:
    """One command acts at a time; the lock goes with its process, kill -9 included."""
    workspace.hold.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(workspace.hold.parent / "respond.lock")
    try:
        lock.acquire(timeout=PATIENCE_S)
    except Timeout as error:
        raise LockedError(
            f"another respond command acts in {workspace.root}. Wait until it has finished, then look at what it did: "
            "tokenkit respond list. Nothing was changed."
        ) from error
    try:
        yield
    finally:
        lock.release()


def check_hold(workspace: Workspace) -> None:
    """Refuse while somebody holds everything.

    Raises
    ------
    InputError
        The file is there.
    """
    if workspace.hold.exists():
        raise InputError(
            f"{workspace.hold} is there: nothing is applied while it is; undo stays allowed. Nothing was changed. "
            f"When the hold is over: rm {workspace.hold}"
        )


def usable(connectors: Connectors, name: str) -> Connector:
    """The connector of that name.

    Raises
    ------
    InputError
        There is none, or it is not set up.
    """
    if name not in connectors:
        raise InputError(f"no connector {name!r}; {did_you_mean(name, list(connectors))}")
    found = connectors[name]
    if isinstance(found, str):
        raise InputError(f"{found}. Correct it, then repeat.")
    return found


def in_force(state: str, result: journal.Row | None) -> bool:
    """Whether the action may still be in force."""
    failed_undo = state == journal.FAILED and result is not None and result.record["operation"] == UNDO
    return state in (journal.APPLIED, journal.UNVERIFIED, journal.IN_DOUBT) or failed_undo


def later(live: dict[str, tuple[str, journal.Row, journal.Row | None]], uid: str) -> str | None:
    """A later action that stands on the same entry: the last one is undone first."""
    mine = live[uid][1]
    same = ("connector", "handle")
    for other, (state, intent, result) in live.items():
        standing_later = other != uid and intent.number > mine.number and in_force(state, result)
        if standing_later and all(intent.record[k] == mine.record[k] for k in same):
            return other
    return None


def _check_later(live: dict[str, tuple[str, journal.Row, journal.Row | None]], uid: str) -> None:
    other = later(live, uid)
    if other:
        raise InputError(
            f"{uid}: {other} was applied later to the same token. Nothing was changed. Undo that one first: "
            f"{shell(UNDO, other)}"
        )


def _target(record: dict[str, Any]) -> str | None:
    return record["value"] if record["operation"] == APPLY else record["prior"]


def _begin(workspace: Workspace, connector: Connector, uid: str, record: dict[str, Any]) -> Outcome:
    journal.append(workspace, uid, journal.INTENT, record)
    return _carry_out(workspace, connector, uid, record, None)


def _carry_out(
    workspace: Workspace, connector: Connector, uid: str, record: dict[str, Any], settled_by: str | None
) -> Outcome:
    """Write, verify, and journal the result; a failed apply puts back what was there."""
    try:
        connector.write(record["handle"], _target(record))
    except RespondError as error:
        found, note = _after_failure(connector, record)
        _result(workspace, uid, record, "failed", settled_by, found, note=f"{error} {note}")
        raise RespondError(f"{uid}: {record['operation']} failed; {note}. {error}") from error
    return _verify(workspace, connector, uid, record, settled_by)


def _after_failure(connector: Connector, record: dict[str, Any]) -> tuple[Standing | None, str]:
    """Put back what was there before a failed apply, as far as that works, and read what is there then."""
    try:
        if record["operation"] == APPLY:
            connector.write(record["handle"], record["before"][0])
    except RespondError:
        pass  # what is there is read next, and journalled
    try:
        found = connector.read(record["handle"])
    except RespondError:
        return None, "what is in force is not known, since the gateway cannot be asked"
    return found, f"now {found.line()}"


def _verify(
    workspace: Workspace, connector: Connector, uid: str, record: dict[str, Any], settled_by: str | None
) -> Outcome:
    target = _target(record)
    try:
        evidence = connector.verify(record["handle"], target)
        why, checks, verified = evidence.failing(), evidence.record(), evidence.verified
    except RespondError as error:
        why, checks, verified = str(error), [], False
    status = "verified" if verified else "unverified"
    row = _result(workspace, uid, record, status, settled_by, None, checks=checks, note=why)
    if not verified:
        raise RespondError(
            f"{uid}: {record['operation']} was carried out, but it is not verified: {why}. It stays as it is. Check "
            f"the gateway, then repeat the command to verify it, or put it back: {shell(UNDO, uid)}"
        )
    state = journal.UNDONE if record["operation"] == UNDO else journal.APPLIED
    said = (
        f"{record['verb']} of {record['label']} ({masked(record['handle'], False)}): {state}, verified at {row['when']}"
    )
    if record["operation"] == UNDO and target is not None:
        said += f"; what was there before is in force again: {target}"
    return Outcome(uid, state, True, said, checks)


def _result(
    workspace: Workspace, uid: str, record: dict[str, Any], status: str, settled_by: str | None,
    found: Standing | None, checks: list[dict[str, Any]] | None = None, note: str = "",
) -> dict[str, Any]:  # fmt: skip
    row = {
        "operation": record["operation"], "status": status, "when": journal.now(), "who": settled_by or record["who"],
        "settled": settled_by is not None, "checks": checks or [], "note": note,
        "found": [found.in_force, found.kept] if found else None,
    }  # fmt: skip
    journal.append(workspace, uid, journal.RESULT, row)
    return row
