"""Listing: every proposal and every action with its state, and where the gateway contradicts the journal.

Reads  the journal's rows and, through the connectors, the gateways. Writes nothing.
"""

from collections.abc import Mapping
from typing import Any

from tokenkit.errors import RespondError
from tokenkit.respond import act, journal
from tokenkit.respond.connector import Connector, GatewayState
from tokenkit.respond.proposal import Proposal, command_line

PROPOSED = "proposed"


def proposal_from_intent(uid: str, record: dict[str, Any]) -> Proposal:
    """Return the proposal that an intent of the journal was made from."""
    return Proposal(
        uid, record["incident_uid"], record["token_uid"], record["token_uid"], record["verb"], record["connector"],
        record["handle"], record["label"], record["owner"], "", record["first_seen"], record["risk_level"],
    )  # fmt: skip


def in_force(rows: list[journal.Row]) -> list[dict[str, Any]]:
    """Return the actions that may be in force.

    Each is a dict with ``action_uid``, ``incident_uid``, ``state``, ``operation`` (apply or undo, whichever was tried
    last), ``verb``, ``who``, ``when`` and ``token_uid``.
    """
    keys = ("incident_uid", "operation", "verb", "who", "when", "token_uid")
    return [
        {"action_uid": uid, "state": action.state, **{k: action.intent.record[k] for k in keys}}
        for uid, action in journal.latest(rows).items()
        if action.may_be_in_force
    ]


def rows(
    proposals: list[Proposal], journal_rows: list[journal.Row], connectors: Mapping[str, Connector | str]
) -> list[dict[str, Any]]:
    """Return one row an action: those of the newest report in its order, then older ones from the journal.

    Keys: ``action_uid``, ``incident_uid``, ``token``, ``token_uid``, ``owner``, ``verb``, ``connector``, ``state``,
    ``note`` (what is odd, or why only notify), ``do`` (the command to type), ``who``, ``when``.
    """
    actions = journal.latest(journal_rows)
    listed = {p.action_uid: p for p in proposals}
    for uid, action in actions.items():
        listed.setdefault(uid, proposal_from_intent(uid, action.intent.record))
    return [_row(p, actions, connectors) for p in listed.values()]


def _row(p: Proposal, actions: dict[str, journal.Latest], connectors: Mapping[str, Connector | str]) -> dict[str, Any]:
    state, intent, result = actions.get(p.action_uid, (PROPOSED, None, None))
    notes = [text for text in (p.why_not, p.note, p.confirm) if text]
    if result is not None and result.record["note"] and state in (journal.FAILED, journal.UNVERIFIED):
        notes.append(f"{result.record['operation']}: {result.record['note']}")
    if p.acts:
        notes += _contradictions(p, actions, connectors)
    return {
        "action_uid": p.action_uid, "incident_uid": p.incident_uid, "token": p.label, "token_uid": p.token_uid,
        "owner": p.owner, "verb": p.verb, "connector": p.connector, "state": state, "note": "; ".join(notes),
        "do": _what_to_type(p, state, result), "who": intent.record["who"] if intent else "",
        "when": intent.record["when"] if intent else "",
    }  # fmt: skip


def _contradictions(
    p: Proposal, actions: dict[str, journal.Latest], connectors: Mapping[str, Connector | str]
) -> list[str]:
    """Say where the gateway contradicts the journal, or itself after a restart."""
    state = actions[p.action_uid].state if p.action_uid in actions else PROPOSED
    connector = connectors.get(p.connector)
    if connector is None or isinstance(connector, str):
        return [f"its state cannot be read: {connector or 'no such connector'}"]
    try:
        at_gateway = connector.read(p.handle)
    except RespondError as error:
        return [f"its state cannot be read: {error}"]
    words = at_gateway.in_words()
    sentences = [] if at_gateway.agree else [f"{p.connector} disagrees with itself: {words}"]
    if p.action_uid in actions and (other := act.later_action(actions, p.action_uid)):
        return [*sentences, f"covered by {other}"]
    if state == journal.APPLIED and at_gateway != GatewayState(p.verb, p.verb):
        sentences.append(f"the journal says {p.verb}, {p.connector} says: {words}; apply it again, or undo it")
    if state in (PROPOSED, journal.UNDONE) and at_gateway.in_force == p.verb:
        sentences.append(f"{words}, but not by this action")
    return sentences


def _what_to_type(p: Proposal, state: str, result: journal.Row | None) -> str:
    if not p.acts:
        return "by hand, as the card says" if p.why_not else "ask the owner, as the card says"
    if state in (PROPOSED, journal.UNDONE):
        return command_line("apply", p.action_uid)
    if state == journal.IN_DOUBT:
        return "tokenkit respond list, once its gateway can be asked"
    if state == journal.APPLIED:
        return command_line("undo", p.action_uid)
    again = command_line(result.record["operation"] if result else "apply", p.action_uid)
    return f"{again}, or {command_line('undo', p.action_uid)}" if again != command_line("undo", p.action_uid) else again
