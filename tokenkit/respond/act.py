"""Act: apply and undo actions, one at a time, journalled before and after, and verified in another way than written.

Reads and writes  the journal (state.db) and, through a connector, a gateway.
Order: lock, read what is there, journal the *intent*, write (first what survives a restart), verify, journal the
*result*. An interrupted action is in doubt. The next command finishes it, since a person decided on it, and says so.
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
from tokenkit.respond.connector import Connector, GatewayState
from tokenkit.respond.journal import APPLY, UNDO, Latest, Row
from tokenkit.respond.proposal import Proposal, command_line, shown_handle

TIMEOUT_S = 5.0  # an action takes some 20 ms
Connectors = dict[str, Connector | str]


@dataclass(frozen=True)
class Outcome:
    """The result of a command: the action's state, whether the command changed anything, and a sentence about it."""

    action_uid: str
    state: str
    acted: bool
    message: str
    checks: list[dict[str, Any]]
    settled: list[str] = field(default_factory=list)  # interrupted actions that were finished first


def apply(workspace: Workspace, connectors: Connectors, proposal: Proposal, who: str, why: str) -> Outcome:
    """Do what is proposed; does nothing where it is done already.

    Raises
    ------
    InputError
        There is nothing to apply, the hold file is there, or a later action is in force on the same token.
    RespondError
        It failed, and the former value was put back; or it could not be verified.
    LockedError
        Another respond command works in this workspace.
    """
    who, why = person(who), reason(why)
    if not proposal.acts:
        why_not = f": {proposal.why_not}" if proposal.why_not else "; ask its owner, as the card says"
        raise InputError(f"{proposal.action_uid} proposes to notify, so there is nothing to apply{why_not}")
    with lock(workspace):
        check_hold(workspace)
        settled = settle(workspace, connectors, who)
        return replace(_apply(workspace, connectors, proposal, who, why), settled=settled)


def _apply(workspace: Workspace, connectors: Connectors, proposal: Proposal, who: str, why: str) -> Outcome:
    connector = usable_connector(connectors, proposal.connector)
    actions = journal.latest(journal.read(workspace))
    uid, value = proposal.action_uid, proposal.verb
    action = actions.get(uid)
    at_gateway = connector.read(proposal.handle)
    repeated = action is not None and action.may_be_in_force
    prior = at_gateway.in_force
    if action is not None and repeated:
        _check_later(actions, uid)
        before, result = action.intent.record, action.result
        if at_gateway == GatewayState(value, value):
            if action.state == journal.UNVERIFIED and result is not None and result.record["operation"] == APPLY:
                return _verify(workspace, connector, uid, before, who)
            if action.state == journal.APPLIED:
                message = f"{uid} was applied by {before['who']} at {before['when']}: nothing to do"
                return Outcome(uid, action.state, False, message, [])
        if prior == value:
            prior = before["prior"]  # the value in force is that of this action, not one from before it
    if not at_gateway.agree and not repeated:
        raise InputError(
            f"{proposal.connector} disagrees with itself about this token: {at_gateway.in_words()}. "
            "Nothing was changed. Bring both to the same, by a reload or by hand, then repeat."
        )
    record = {
        "operation": APPLY, "verb": proposal.verb, "value": value, "prior": prior,
        "before": [at_gateway.in_force, at_gateway.after_restart],
        "connector": proposal.connector, "handle": proposal.handle,
        "token_uid": proposal.token_uid, "incident_uid": proposal.incident_uid, "label": proposal.label,
        "owner": proposal.owner, "first_seen": proposal.first_seen, "risk_level": proposal.risk_level,
        "who": who, "why": why, "when": journal.now(),
        "commands": connector.commands(proposal.handle, value), "undo": connector.commands(proposal.handle, prior),
    }  # fmt: skip
    return _begin(workspace, connector, uid, record)


def undo(workspace: Workspace, connectors: Connectors, action_uid: str, who: str, why: str) -> Outcome:
    """Put back what was there before the action; does nothing where it is undone already. Allowed while on hold.

    Raises
    ------
    InputError
        No such action was applied, a later one is in force on the same token, or somebody else has changed the entry.
    RespondError, LockedError
        As for ``apply``.
    """
    who, why = person(who), reason(why)
    with lock(workspace):
        settled = settle(workspace, connectors, who)
        return replace(_undo(workspace, connectors, action_uid, who, why), settled=settled)


def _undo(workspace: Workspace, connectors: Connectors, action_uid: str, who: str, why: str) -> Outcome:
    actions = journal.latest(journal.read(workspace))
    if action_uid not in actions:
        hint = did_you_mean(action_uid, sorted(actions)) if actions else "nothing was applied in this workspace"
        raise InputError(f"{action_uid}: no such action was applied; {hint} (tokenkit respond list)")
    applied = actions[action_uid].intent.record
    if actions[action_uid].state == journal.UNDONE:
        message = f"{action_uid} was undone by {applied['who']} at {applied['when']}: nothing to do"
        return Outcome(action_uid, journal.UNDONE, False, message, [])
    _check_later(actions, action_uid)
    connector = usable_connector(connectors, applied["connector"])
    at_gateway = connector.read(applied["handle"])
    commands = connector.commands(applied["handle"], applied["prior"])
    if not {at_gateway.in_force, at_gateway.after_restart} <= {applied["value"], applied["prior"]}:
        raise InputError(
            f"{action_uid}: somebody changed the entry since it set {applied['value']}: {at_gateway.in_words()}. "
            f"Nothing was changed. Find out who did; by hand: {'; '.join(commands)}"
        )
    record = applied | {
        "operation": UNDO, "before": [at_gateway.in_force, at_gateway.after_restart], "who": who, "why": why,
        "when": journal.now(), "commands": commands, "undo": [command_line("apply", action_uid)],
    }  # fmt: skip
    return _begin(workspace, connector, action_uid, record)


def settle(workspace: Workspace, connectors: Connectors, who: str) -> list[str]:
    """Finish interrupted actions; returns a sentence about each. The caller holds the lock.

    Raises
    ------
    RespondError
        The gateway cannot be asked; the action stays in doubt.
    """
    sentences = []
    for uid, action in journal.latest(journal.read(workspace)).items():
        if action.state != journal.IN_DOUBT:
            continue
        record = action.intent.record
        connector = usable_connector(connectors, record["connector"])
        at_gateway = connector.read(record["handle"])
        began = f"{uid}: {record['operation']} by {record['who']} at {record['when']} was interrupted"
        target = _target(record)
        if not {at_gateway.in_force, at_gateway.after_restart} <= {record["value"], record["prior"], *record["before"]}:
            note = "somebody else changed the entry meanwhile"
            _result(workspace, uid, record, "failed", who, at_gateway, note=note)
            sentences.append(f"{began}; {note} ({at_gateway.in_words()}), so it was left alone")
        elif record["operation"] == APPLY and workspace.hold.exists() and at_gateway != GatewayState(target, target):
            connector.write(record["handle"], record["prior"])
            now = connector.read(record["handle"])
            _result(workspace, uid, record, "failed", who, now, note="put back: the hold file was there")
            sentences.append(f"{began}; {workspace.hold} is there, so it was put back: {now.in_words()}")
        else:
            try:
                outcome = _carry_out(workspace, connector, uid, record, who)
                sentences.append(f"{began}; finished now: {outcome.message}")
            except RespondError as error:  # it is in the journal; the caller's own command goes on
                sentences.append(f"{began}; {error}")
    return sentences


@contextmanager
def lock(workspace: Workspace) -> Iterator[None]:
    """Let one command act at a time; the lock ends with its process, even after kill -9.

    Raises
    ------
    LockedError
        Another command acts in this workspace.
    """
    workspace.hold.parent.mkdir(parents=True, exist_ok=True)
    file_lock = FileLock(workspace.hold.parent / "respond.lock")
    try:
        file_lock.acquire(timeout=TIMEOUT_S)
    except Timeout as error:
        raise LockedError(
            f"another respond command acts in {workspace.root}. Wait until it has finished, then look at what it did: "
            "tokenkit respond list. Nothing was changed."
        ) from error
    try:
        yield
    finally:
        file_lock.release()


def check_hold(workspace: Workspace) -> None:
    """Refuse to apply anything while the hold file is there.

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


def usable_connector(connectors: Connectors, name: str) -> Connector:
    """Return the connector of that name.

    Raises
    ------
    InputError
        There is none, or it is not set up.
    """
    if name not in connectors:
        raise InputError(f"no connector {name!r}; {did_you_mean(name, list(connectors))}")
    connector = connectors[name]
    if isinstance(connector, str):
        raise InputError(f"{connector}. Correct it, then repeat.")
    return connector


def later_action(actions: dict[str, Latest], uid: str) -> str | None:
    """Return a later action that may be in force on the same entry of a gateway, or None."""

    def entry(row: Row) -> tuple[str, str]:
        return row.record["connector"], row.record["handle"]

    intent = actions[uid].intent
    for other, action in actions.items():
        if action.intent.number > intent.number and action.may_be_in_force and entry(action.intent) == entry(intent):
            return other
    return None


def _check_later(actions: dict[str, Latest], uid: str) -> None:
    """The last action on an entry has to be undone first."""
    other = later_action(actions, uid)
    if other:
        raise InputError(
            f"{uid}: {other} was applied later to the same token. Nothing was changed. Undo that one first: "
            f"{command_line(UNDO, other)}"
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
        at_gateway, note = _put_back(connector, record)
        _result(workspace, uid, record, "failed", settled_by, at_gateway, note=f"{error} {note}")
        raise RespondError(f"{uid}: {record['operation']} failed; {note}. {error}") from error
    return _verify(workspace, connector, uid, record, settled_by)


def _put_back(connector: Connector, record: dict[str, Any]) -> tuple[GatewayState | None, str]:
    """Put back what was there before a failed apply, if that works, and read what is there then."""
    try:
        if record["operation"] == APPLY:
            connector.write(record["handle"], record["before"][0])
    except RespondError:
        pass  # what is there is read next, and journalled
    try:
        at_gateway = connector.read(record["handle"])
    except RespondError:
        return None, "what is in force is not known, since the gateway cannot be asked"
    return at_gateway, f"now {at_gateway.in_words()}"


def _verify(
    workspace: Workspace, connector: Connector, uid: str, record: dict[str, Any], settled_by: str | None
) -> Outcome:
    target = _target(record)
    try:
        verification = connector.verify(record["handle"], target)
        note, checks, verified = verification.failures(), verification.records(), verification.verified
    except RespondError as error:
        note, checks, verified = str(error), [], False
    status = "verified" if verified else "unverified"
    row = _result(workspace, uid, record, status, settled_by, None, checks=checks, note=note)
    if not verified:
        raise RespondError(
            f"{uid}: {record['operation']} was carried out, but it is not verified: {note}. It stays as it is. Check "
            f"the gateway, then repeat the command to verify it, or put it back: {command_line(UNDO, uid)}"
        )
    state = journal.UNDONE if record["operation"] == UNDO else journal.APPLIED
    handle = shown_handle(record["handle"], False)
    message = f"{record['verb']} of {record['label']} ({handle}): {state}, verified at {row['when']}"
    if record["operation"] == UNDO and target is not None:
        message += f"; what was there before is in force again: {target}"
    return Outcome(uid, state, True, message, checks)


def _result(
    workspace: Workspace, uid: str, record: dict[str, Any], status: str, settled_by: str | None,
    at_gateway: GatewayState | None, checks: list[dict[str, Any]] | None = None, note: str = "",
) -> dict[str, Any]:  # fmt: skip
    row = {
        "operation": record["operation"], "status": status, "when": journal.now(), "who": settled_by or record["who"],
        "settled": settled_by is not None, "checks": checks or [], "note": note,
        "found": [at_gateway.in_force, at_gateway.after_restart] if at_gateway else None,
    }  # fmt: skip
    journal.append(workspace, uid, journal.RESULT, row)
    return row
