"""States: every proposal and every action with its state, and where the gateway says something else than the journal.

Reads  the journal's rows and, through the connectors, the gateways. Writes nothing.
"""

from collections.abc import Mapping
from typing import Any

from tokenkit.errors import RespondError
from tokenkit.respond import act, journal
from tokenkit.respond.connector import Connector, Standing
from tokenkit.respond.proposal import Proposal, shell

PROPOSED = "proposed"


def proposal_of(uid: str, record: dict[str, Any]) -> Proposal:
    """The proposal that an intent of the journal was made from."""
    return Proposal(
        uid, record["incident_uid"], record["token_uid"], record["token_uid"], record["verb"], record["connector"],
        record["handle"], record["label"], record["owner"], "", record["first_seen"], record["risk_level"],
    )  # fmt: skip


def done(rows: list[journal.Row]) -> dict[str, list[dict[str, Any]]]:
    """By incident, what may be in force: ``action_uid``, ``state``, ``operation`` (what was tried last: apply or undo),
    ``verb``, ``who``, ``when``, ``token_uid``.
    """
    keys = ("operation", "verb", "who", "when", "token_uid")
    found: dict[str, list[dict[str, Any]]] = {}
    for uid, (state, intent, result) in journal.standing(rows).items():
        if act.in_force(state, result):
            r = intent.record
            row = {"action_uid": uid, "state": state, **{k: r[k] for k in keys}}
            found.setdefault(r["incident_uid"], []).append(row)
    return found


def rows(
    proposed: list[Proposal], written: list[journal.Row], connectors: Mapping[str, Connector | str]
) -> list[dict[str, Any]]:
    """One row an action: those of the newest report in its order, then older ones that the journal holds.

    Keys: ``action_uid``, ``incident_uid``, ``token``, ``token_uid``, ``owner``, ``verb``, ``connector``, ``state``,
    ``note`` (what is odd, or why only notify), ``do`` (the command to type), ``who``, ``when``.
    """
    live = journal.standing(written)
    known = {p.action_uid: p for p in proposed}
    for uid, (_, intent, _) in live.items():
        known.setdefault(uid, proposal_of(uid, intent.record))
    return [_row(p, live, connectors) for p in known.values()]


def _row(
    p: Proposal, live: dict[str, tuple[str, journal.Row, journal.Row | None]],
    connectors: Mapping[str, Connector | str],
) -> dict[str, Any]:  # fmt: skip
    state, intent, result = live.get(p.action_uid, (PROPOSED, None, None))
    notes = [text for text in (p.why_not, p.note) if text]
    if result is not None and result.record["note"] and state in (journal.FAILED, journal.UNVERIFIED):
        notes.append(f"{result.record['operation']}: {result.record['note']}")
    if p.acts:
        notes += _odd(p, state, intent, live, connectors)
    return {
        "action_uid": p.action_uid, "incident_uid": p.incident_uid, "token": p.label, "token_uid": p.token_uid,
        "owner": p.owner, "verb": p.verb, "connector": p.connector, "state": state, "note": "; ".join(notes),
        "do": _do(p, state, result), "who": intent.record["who"] if intent else "",
        "when": intent.record["when"] if intent else "",
    }  # fmt: skip


def _odd(
    p: Proposal, state: str, intent: journal.Row | None,
    live: dict[str, tuple[str, journal.Row, journal.Row | None]], connectors: Mapping[str, Connector | str],
) -> list[str]:  # fmt: skip
    """Where the gateway says something else than the journal, or than itself after a restart."""
    connector = connectors.get(p.connector)
    if connector is None or isinstance(connector, str):
        return [f"its state cannot be read: {connector or 'no such connector'}"]
    try:
        found = connector.read(p.handle)
    except RespondError as error:
        return [f"its state cannot be read: {error}"]
    said = [] if found.agree else [f"{p.connector} disagrees with itself: {found.line()}"]
    if intent is not None and (other := act.later(live, p.action_uid)):
        return [*said, f"covered by {other}"]
    if state == journal.APPLIED and found != Standing(p.verb, p.verb):
        said.append(f"the journal says {p.verb}, {p.connector} says: {found.line()}; apply it again, or undo it")
    if state in (PROPOSED, journal.UNDONE) and found.in_force == p.verb:
        said.append(f"{found.line()}, but not by this action")
    return said


def _do(p: Proposal, state: str, result: journal.Row | None) -> str:
    if not p.acts:
        return "by hand, as the card says" if p.why_not else "ask the owner, as the card says"
    if state in (PROPOSED, journal.UNDONE):
        return shell("apply", p.action_uid)
    if state == journal.IN_DOUBT:
        return "tokenkit respond list, once its gateway can be asked"
    if state == journal.APPLIED:
        return shell("undo", p.action_uid)
    again = shell(result.record["operation"] if result else "apply", p.action_uid)
    return f"{again}, or {shell('undo', p.action_uid)}" if again != shell("undo", p.action_uid) else again
