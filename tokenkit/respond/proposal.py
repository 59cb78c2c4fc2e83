"""Proposal: what could be done about each token of an incident.

Pure functions: the same incidents and handles give the same proposals, and no gateway is asked.

An action names a token by its handle: the name under which its gateway knows it, which is never the key itself. Without
a handle the proposal is *notify*, and says why.
"""

import hashlib
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tokenkit import identity
from tokenkit.errors import did_you_mean
from tokenkit.respond.connector import Connector

NOTIFY = "notify"
# verb: its name, what the holder of the key then meets, what it costs
VERBS = {
    "lock": ("lock", "every call is answered 403", "Whatever uses this key stops until it has a new one."),
    "step_up": ("step up", "every call is answered 401 with a challenge (RFC 9470)", "Its owner has to sign in again."),
    "restrict": ("restrict", "GET, HEAD and OPTIONS pass, all else is answered 403", "It cannot write meanwhile."),
    NOTIFY: ("notify", "nothing", "None."),
}
NO_HANDLE = (
    "no enforce_handle in the inventory for this token, and its log declares none: add the columns enforce_connector "
    "and enforce_handle to the list of owners (docs/respond.md)"
)
_PAST_TENSE = {"lock": "locked", "step_up": "asked for a new sign-in", "restrict": "restricted"}

BREAK_GLASS = "it is kept for emergencies (break_glass in the list of owners), so that no action is proposed"
NOT_UNDONE = "the list of owners says that this cannot be undone (reversible = no), so that a person has to confirm it"
NO_AUTOMATION = "the list of owners allows no action without a person (allow_auto = no), so that --yes is refused"

Handles = Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class Protection:
    """What the list of owners says of acting on a token: it is kept for emergencies, or a person has to confirm."""

    break_glass: bool = False
    confirm: str = ""  # why a person has to confirm; empty: nobody has to


UNPROTECTED = Protection()


@dataclass(frozen=True)
class Proposal:
    """What could be done about one token of one incident: a dry run.

    ``why_not`` says why the verb is only *notify*; ``note`` says what else a person should know; ``confirm`` says why a
    person has to be asked before it is applied.
    """

    action_uid: str
    incident_uid: str
    profile_uid: str
    token_uid: str
    verb: str
    connector: str
    handle: str
    label: str
    owner: str
    headline: str
    first_seen: str
    risk_level: str
    why_not: str = ""
    note: str = ""
    confirm: str = ""

    @property
    def acts(self) -> bool:
        """Whether there is anything to apply."""
        return self.verb != NOTIFY

    def as_done(self, known_as: Sequence[str], done: Collection[str]) -> "Proposal":
        """The proposal under the id of the action that was done when earlier reports called its incident otherwise.

        Parameters
        ----------
        known_as : what earlier reports called the incident
        done : ids of the actions in the journal
        """
        parts = (self.token_uid, self.verb, self.connector, self.handle)
        names = [self.action_uid, *(action_uid(uid, *parts) for uid in known_as)]
        return replace(self, action_uid=next((name for name in names if name in done), self.action_uid))


def action_uid(incident_uid: str, token_uid: str, verb: str, connector: str, handle: str) -> str:
    """Return the id of an action; it is the same in every run, so that an action is applied only once.

    Examples
    --------
    >>> action_uid("inc1_a", "tok1_b", "lock", "haproxy", "76ca9a91")
    'act1_f685a873a7ad8d84'
    """
    text = "|".join((incident_uid, token_uid, verb, connector, handle))
    return "act1_" + hashlib.sha256(text.encode()).hexdigest()[:16]


def proposals(
    records: list[dict[str, Any]],
    handles: Handles,
    connectors: Mapping[str, Connector | str],
    protections: Mapping[str, Protection] | None = None,
) -> list[Proposal]:
    """Make one proposal for each token of an incident that can be acted on, and at least one for each incident.

    Parameters
    ----------
    records : incidents, as ``tokenkit.judge.record.records`` makes them
    handles : token_uid to (connector, handle)
    connectors : by name; in place of one that cannot be used, a text that says why
    protections : token_uid to what the list of owners says of acting on it
    """
    known = protections or {}
    return [proposal for record in records for proposal in _proposals_of(record, handles, connectors, known)]


def _proposals_of(
    record: dict[str, Any],
    handles: Handles,
    connectors: Mapping[str, Connector | str],
    protections: Mapping[str, Protection],
) -> list[Proposal]:
    verb, note = _verb(record)
    if verb == NOTIFY:
        return [_proposal(record, record["profile_uid"], NOTIFY)]
    acting: list[Proposal] = []
    reasons: list[str] = []
    for uid in _tokens(record):
        protection = protections.get(uid, UNPROTECTED)
        if protection.break_glass:
            reasons.insert(0, BREAK_GLASS)
            continue
        if uid not in handles:
            continue
        name, handle = handles[uid]
        if obstacle := _obstacle(name, handle, connectors):
            reasons.append(obstacle)
        else:
            acting.append(_proposal(record, uid, verb, name, handle, note=note, confirm=protection.confirm))
    if acting:
        return acting
    why_not = reasons[0] if reasons else NO_HANDLE
    confirm = next((protections[uid].confirm for uid in _tokens(record) if uid in protections), "")
    return [_proposal(record, record["profile_uid"], NOTIFY, why_not=why_not, confirm=confirm)]


def _verb(record: dict[str, Any]) -> tuple[str, str]:
    """Return the verb of the incident's advice, and a note where another one took its place."""
    verb = str((record.get("action") or {}).get("verb") or NOTIFY)
    if verb not in VERBS:
        return NOTIFY, ""
    if verb != "step_up" or (record.get("owner") or {}).get("type") != "service":
        return verb, str(record["action"].get("note") or "")  # a stored record may have been changed already
    other = "lock" if (record.get("sure") or {}).get("level") == "high" else "restrict"
    return other, f"a service cannot sign in again, so step-up became {other}"


def _tokens(record: dict[str, Any]) -> list[str]:
    """Return the incident's tokens, those first that made its example calls."""
    callers = [e["token_uid"] for e in record.get("evidence") or [] if e.get("token_uid")]
    tokens = list(record.get("token_uids") or [])
    return list(dict.fromkeys([*(u for u in callers if u in tokens), *tokens]))


def _obstacle(name: str, handle: str, connectors: Mapping[str, Connector | str]) -> str:
    """Say why a token with this connector and handle cannot be acted on; empty where it can."""
    if not name:
        return f"enforce_handle is given without enforce_connector; known: {', '.join(connectors)}"
    if name not in connectors:
        return (
            f"there is no connector {name!r} (enforce_connector of the inventory); {did_you_mean(name, [*connectors])}"
        )
    connector = connectors[name]
    if isinstance(connector, str):
        return connector
    unusable = connector.unusable(handle)
    return f"its enforce_handle cannot be used: {unusable}" if unusable else ""


def _proposal(
    record: dict[str, Any], token_uid: str, verb: str, connector: str = "", handle: str = "", **more: str
) -> Proposal:
    token, owner = record.get("token") or {}, record.get("owner") or {}
    uid = action_uid(record["incident_uid"], token_uid, verb, connector, handle)
    return Proposal(
        uid, record["incident_uid"], record["profile_uid"], token_uid, verb, connector, handle,
        label=str(token.get("label") or token.get("mask") or token_uid),
        owner=str(owner.get("name") or owner.get("team") or ""),
        headline=str(record.get("headline") or ""),
        first_seen=str(record.get("start") or ""),
        risk_level=str(record.get("risk_level") or ""),
        **more,
    )  # fmt: skip


# ---- what the page says about proposals ----
def shown_handle(handle: str, pseudonymous: bool) -> str:
    """Return what a page may show of a handle.

    Examples
    --------
    >>> shown_handle("76ca9a91aee79028", False), shown_handle("76ca9a91aee79028", True)
    ('76ca...9028', 'HANDLE')
    """
    return "HANDLE" if pseudonymous else identity.mask(handle)


def with_actions(
    record: dict[str, Any], proposals: list[Proposal], applied: list[dict[str, Any]],
    connectors: Mapping[str, Connector | str], pseudonymous: bool,
) -> dict[str, Any]:  # fmt: skip
    """Return the incident with what tokenkit would do, how that is undone, and what was done, in its ``action``.

    Parameters
    ----------
    record : an incident, as ``judge.record.records`` makes them
    proposals : those about this incident
    applied : actions about it and its tokens that may be in force (``listing.in_force``)
    """
    action = dict(record["action"])
    how: list[str] = []
    in_force = {(a["token_uid"], a["verb"]) for a in applied}
    for a in applied:
        by = "" if pseudonymous else f" by {a['who']}"
        what = (
            _PAST_TENSE.get(a["verb"], a["verb"])
            if a["state"] == "applied"
            else f"{a['operation']} of {a['verb']}: {a['state']}"
        )
        when = f"{a['when'][:10]} {a['when'][11:16]} UTC"
        how.append(f"{a['token_uid'][:13]}... {what}{by} at {when}; undo: {command_line('undo', a['action_uid'])}")
    for p in proposals:
        connector = connectors.get(p.connector)
        if not p.acts or (p.token_uid, p.verb) in in_force or connector is None or isinstance(connector, str):
            continue
        how += [f"{p.token_uid[:13]}... {VERBS[p.verb][0]}: {command_line('apply', p.action_uid)}"]
        how += [f"which does: {c}" for c in connector.commands(shown_handle(p.handle, pseudonymous), p.verb)]
    acting = [p for p in proposals if p.acts]
    action["how"] = [*(action.get("how") or []), *how]
    action["proposed"] = acting[0].verb if acting else NOTIFY
    action["why_not"] = next((p.why_not for p in proposals if p.why_not), None)
    if acting and action["verb"] != acting[0].verb:
        name, meets, cost = VERBS[acting[0].verb]
        text = f"{acting[0].note.capitalize()}: {meets}. It can be undone."
        action |= {
            "verb": acting[0].verb,
            "note": acting[0].note,
            "title": f"{name.capitalize()} it",
            "cost": cost,
            "text": text,
        }
    if acting:
        uid = next((a["action_uid"] for a in applied), acting[0].action_uid)
        action["undo"] = f"{command_line('undo', uid)}; what was there before is put back."
    if action["why_not"] == BREAK_GLASS and not acting:
        text = "Ask whether there is an emergency. Whoever locks it takes away the way in of last resort."
        title = "Ask its owner: it is kept for emergencies"
        action |= {"verb": NOTIFY, "title": title, "text": text, "cost": VERBS[NOTIFY][2]}
    elif any(p.confirm == NOT_UNDONE for p in proposals) and action["verb"] != NOTIFY:
        text = action["text"].replace("; this can be undone", "").replace(" It can be undone.", "")
        action |= {"irreversible": True, "text": text, "undo": "The list of owners says that this cannot be undone."}
    if verb := next((a["verb"] for a in applied if a["state"] == "applied"), None):
        action |= {"applied": verb, "title": f"{_PAST_TENSE.get(verb, verb).capitalize()}: replace it, or undo"}
    return {**record, "action": action}


def command_line(command: str, uid: str) -> str:
    """Return the command that a person types to apply or undo an action."""
    return f"tokenkit respond {command} {shlex.quote(uid)} --why REASON"
