"""Proposal: from the incidents of a report to what could be done about each of their tokens.

Pure: nothing is asked, read or changed, and the same incidents and handles give the same proposals.

A token is acted on by its handle: the name under which its gateway knows it, which is never the key itself. Without
one the proposal is *notify*, and says why.
"""

import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tokenkit import identity
from tokenkit.errors import did_you_mean
from tokenkit.respond.connector import Connector

NOTIFY = "notify"
# verb: what it does, what the holder of the key meets, what it costs
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
_PAST = {"lock": "locked", "step_up": "asked for a new sign-in", "restrict": "restricted"}

Handles = Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class Proposal:
    """What could be done about one token of one incident: a dry run.

    ``why_not`` says why a stronger verb became *notify*; ``note`` what else a person should know.
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

    @property
    def acts(self) -> bool:
        """Whether there is anything to apply."""
        return self.verb != NOTIFY


def action_uid(incident_uid: str, token_uid: str, verb: str, connector: str, handle: str) -> str:
    """The id of an action, the same in every run: applying it twice is applying it once.

    Examples
    --------
    >>> action_uid("inc1_a", "tok1_b", "lock", "haproxy", "76ca9a91")
    'act1_f685a873a7ad8d84'
    """
    text = "|".join((incident_uid, token_uid, verb, connector, handle))
    return "act1_" + hashlib.sha256(text.encode()).hexdigest()[:16]


def proposals(
    records: list[dict[str, Any]], handles: Handles, connectors: Mapping[str, Connector | str]
) -> list[Proposal]:
    """One proposal for each incident and credential that can be acted on, at least one an incident.

    Parameters
    ----------
    records : incidents, as ``tokenkit.judge.record.records`` makes them
    handles : token_uid to (connector, handle)
    connectors : by name; a text says why that one cannot be used
    """
    return [proposal for record in records for proposal in _of(record, handles, connectors)]


def _of(record: dict[str, Any], handles: Handles, connectors: Mapping[str, Connector | str]) -> list[Proposal]:
    verb, note = _verb(record)
    if verb == NOTIFY:
        return [_proposal(record, record["profile_uid"], NOTIFY)]
    acting, reasons = [], []
    for uid in _credentials(record):
        if uid not in handles:
            continue
        name, handle = handles[uid]
        if why := _why_not(name, handle, connectors):
            reasons.append(why)
        else:
            acting.append(_proposal(record, uid, verb, name, handle, note=note))
    if acting:
        return acting
    return [_proposal(record, record["profile_uid"], NOTIFY, why_not=reasons[0] if reasons else NO_HANDLE)]


def _verb(record: dict[str, Any]) -> tuple[str, str]:
    """What the incident asks for; a service cannot sign in again, so it is locked or restricted instead."""
    verb = str((record.get("action") or {}).get("verb") or NOTIFY)
    if verb not in VERBS:
        return NOTIFY, ""
    if verb != "step_up" or (record.get("owner") or {}).get("type") != "service":
        return verb, str(record["action"].get("note") or "")  # of a stored record that was changed before
    other = "lock" if (record.get("sure") or {}).get("level") == "high" else "restrict"
    return other, f"a service cannot sign in again, so step-up became {other}"


def _credentials(record: dict[str, Any]) -> list[str]:
    """The incident's tokens, those first that made its example calls."""
    seen = [e["token_uid"] for e in record.get("evidence") or [] if e.get("token_uid")]
    known = list(record.get("token_uids") or [])
    return list(dict.fromkeys([*(u for u in seen if u in known), *known]))


def _why_not(name: str, handle: str, connectors: Mapping[str, Connector | str]) -> str:
    if not name:
        return f"enforce_handle is given without enforce_connector; known: {', '.join(connectors)}"
    if name not in connectors:
        return (
            f"there is no connector {name!r} (enforce_connector of the inventory); {did_you_mean(name, [*connectors])}"
        )
    connector = connectors[name]
    if isinstance(connector, str):
        return connector
    odd = connector.unusable(handle)
    return f"its enforce_handle cannot be used: {odd}" if odd else ""


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


# ---- what the page says of them ----
def masked(handle: str, pseudonymous: bool) -> str:
    """What a page may show of a handle.

    Examples
    --------
    >>> masked("76ca9a91aee79028", False), masked("76ca9a91aee79028", True)
    ('76ca...9028', 'HANDLE')
    """
    return "HANDLE" if pseudonymous else identity.mask(handle)


def annotated(
    record: dict[str, Any], mine: list[Proposal], done: list[dict[str, Any]],
    connectors: Mapping[str, Connector | str], pseudonymous: bool,
) -> dict[str, Any]:  # fmt: skip
    """The incident's ``action`` with what tokenkit would do about it, how it is undone, and what was done.

    Parameters
    ----------
    done : what the journal holds of this incident (``states.done``)
    """
    action = dict(record["action"])
    how: list[str] = []
    shown = {d["action_uid"] for d in done}
    for d in done:
        by = "" if pseudonymous else f" by {d['who']}"
        what = (
            _PAST.get(d["verb"], d["verb"])
            if d["state"] == "applied"
            else f"{d['operation']} of {d['verb']}: {d['state']}"
        )
        when = f"{d['when'][:10]} {d['when'][11:16]} UTC"
        how.append(f"{d['token_uid'][:13]}... {what}{by} at {when}; undo: {shell('undo', d['action_uid'])}")
    for p in mine:
        connector = connectors.get(p.connector)
        if not p.acts or p.action_uid in shown or connector is None or isinstance(connector, str):
            continue
        how += [f"{p.token_uid[:13]}... {VERBS[p.verb][0]}: {shell('apply', p.action_uid)}"]
        how += [f"which does: {c}" for c in connector.commands(masked(p.handle, pseudonymous), p.verb)]
    acting = [p for p in mine if p.acts]
    action["how"] = [*(action.get("how") or []), *how]
    action["proposed"] = acting[0].verb if acting else NOTIFY
    action["why_not"] = next((p.why_not for p in mine if p.why_not), None)
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
        uid = next((d["action_uid"] for d in done), acting[0].action_uid)
        action["undo"] = f"{shell('undo', uid)}; what was there before is put back."
    if applied := next((d["verb"] for d in done if d["state"] == "applied"), None):
        action |= {"applied": applied, "title": f"{_PAST.get(applied, applied).capitalize()}: replace it, or undo"}
    return {**record, "action": action}


def shell(command: str, uid: str) -> str:
    """The command a person types."""
    return f"tokenkit respond {command} {shlex.quote(uid)} --why REASON"
