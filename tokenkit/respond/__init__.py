"""Respond: propose what to do about an incident; when a person says so, do it, verify it and undo it.

    respond.propose(workspace, records)              what could be done about each incident; a dry run
    respond.find_proposal(workspace, action_uid)     one proposal of the newest report
    respond.apply(workspace, proposal, who, why)     do it once, journalled and verified
    respond.undo(workspace, action_uid, who, why)    put back what was there before
    respond.overview(workspace)                      every proposal and action with its state

Reads  incidents and the journal (state.db), tokens and dim_token. Writes  the journal and, through a connector, a
gateway. Nothing acts by itself: no run calls ``apply``.
"""

import json
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd

from tokenkit.config import Workspace
from tokenkit.errors import InputError, did_you_mean
from tokenkit.incidents import aliases
from tokenkit.respond import act, haproxy, journal, listing
from tokenkit.respond.act import Outcome
from tokenkit.respond.connector import Connector
from tokenkit.respond.proposal import (
    BREAK_GLASS,
    NO_AUTOMATION,
    NOT_UNDONE,
    UNPROTECTED,
    Proposal,
    Protection,
    proposals,
    with_actions,
)
from tokenkit.store import lake, state
from tokenkit.tokens import inventory

__all__ = [
    "CONNECTORS", "Connector", "Outcome", "Proposal", "actions_digest", "add_actions", "apply", "connectors",
    "find_proposal", "handles", "newest_proposals", "overview", "propose", "protections", "settle", "undo",
]  # fmt: skip

# name: function of the settings that returns the connector, or a text that says what its settings lack
CONNECTORS = {"haproxy": haproxy.connector}


def connectors(workspace: Workspace) -> dict[str, Connector | str]:
    """Return every connector by name, or, in its place, a text that says why it cannot be used."""
    return {name: make(workspace.settings.respond) for name, make in CONNECTORS.items()}


def handles(workspace: Workspace, when: datetime) -> dict[str, tuple[str, str]]:
    """Return the connector and handle of each token that has one: token_uid to (connector, handle).

    The inventory (as of ``when``) takes precedence over what a source declared (``Source.handle_field``).
    """
    by_token: dict[str, tuple[str, str]] = {}
    for frame in (
        lake.read(workspace.lake, "dim_token").to_pandas(),
        inventory.as_of(lake.read(workspace.lake, "tokens"), when),
    ):
        rows = frame[frame["enforce_handle"].notna()]
        connector = rows["enforce_connector"].fillna("")
        by_token |= dict(zip(rows["token_uid"], zip(connector, rows["enforce_handle"], strict=True), strict=True))
    return by_token


def protections(workspace: Workspace, when: datetime) -> dict[str, Protection]:
    """Return what the list of owners (as of ``when``) says of acting on a token, by token_uid, where it says something.

    What is said of a user or a role holds for all its tokens.
    """
    listed = inventory.as_of(lake.read(workspace.lake, "tokens"), when)
    said = {}
    for uid, *marks in listed[["token_uid", "break_glass", "reversible", "allow_auto"]].itertuples(index=False):
        emergency, reversible, automatic = (None if pd.isna(mark) else bool(mark) for mark in marks)
        confirm = NOT_UNDONE if reversible is False else NO_AUTOMATION if automatic is False else ""
        if emergency or confirm:
            said[uid] = Protection(bool(emergency), confirm)
    found = dict(said)
    names = ["token_uid", "principal_token_uid", "role_token_uid"]
    for uids in lake.read(workspace.lake, "dim_token").select(names).to_pylist() if said else ():
        about = [said[uid] for name in names if (uid := uids[name]) in said]
        if about:
            confirm = next((one.confirm for one in about if one.confirm), "")
            found[uids["token_uid"]] = Protection(any(one.break_glass for one in about), confirm)
    return found


def propose(workspace: Workspace, records: list[dict[str, Any]], end: date | None = None) -> list[Proposal]:
    """Propose what could be done about these incidents.

    Parameters
    ----------
    workspace : has the inventory and the settings
    records : incidents, as ``judge.record.records`` makes them; one that a person closed gets no proposal
    end : end of their period; the inventory is taken as of it. Default: now
    """
    when = datetime(end.year, end.month, end.day, tzinfo=UTC) if end else datetime.now(UTC)
    records = [r for r in records if not (r.get("answer") or {}).get("closes")]
    made = proposals(records, handles(workspace, when), connectors(workspace), protections(workspace, when))
    known_as = {r["incident_uid"]: aliases.ids(r)[1:] for r in records}
    done = journal.latest(journal.read(workspace)) if any(known_as.values()) else {}
    return [p.as_done(known_as[p.incident_uid], done) for p in made]


def newest_proposals(workspace: Workspace) -> list[Proposal]:
    """Return the proposals of the newest report: those that can be applied first, the riskiest incident first."""
    with state.connect(workspace.state) as db:
        run = state.last_run(db)
    records = sorted(_newest_records(workspace), key=lambda r: (-r.get("risk", 0), r["incident_uid"]))
    end = date.fromisoformat(run["end"][:10]) if run else None
    return sorted(propose(workspace, records, end), key=lambda p: not p.acts)


def _newest_records(workspace: Workspace) -> list[dict[str, Any]]:
    """The incidents of the newest report."""
    with state.connect(workspace.state) as db:
        run = state.last_run(db)
        uid = run["run_uid"] if run else None
        return [json.loads(r[0]) for r in db.execute("select record from incidents where run_uid = ?", [uid])]


def find_proposal(workspace: Workspace, uid: str) -> Proposal:
    """Return one proposal of the newest report, or of the journal if it was applied before.

    Parameters
    ----------
    uid : of the action; or of an incident that has one action, also an id that an earlier report gave it

    Raises
    ------
    InputError
        There is none; the message says which was probably meant. Or the incident has several actions; it names them.
    """
    by_uid = {p.action_uid: p for p in newest_proposals(workspace)}
    for action_uid, action in journal.latest(journal.read(workspace)).items():
        by_uid.setdefault(action_uid, listing.proposal_from_intent(action_uid, action.intent.record))
    if uid in by_uid:
        return by_uid[uid]
    same = next((set(known) for r in _newest_records(workspace) if uid in (known := aliases.ids(r))), {uid})
    its = [p for p in by_uid.values() if p.incident_uid in same]
    its = [p for p in its if p.acts] or its
    if len(its) == 1:
        return its[0]
    if its:
        listed = "; ".join(f"{p.action_uid} ({p.verb} {p.token_uid[:13]}... through {p.connector})" for p in its)
        raise InputError(f"incident {uid} has {len(its)} actions. Name one of them: {listed}")
    same_kind = {p.incident_uid for p in by_uid.values()} if uid.startswith("inc1_") else {*by_uid}
    hint = did_you_mean(uid, sorted(same_kind)) if same_kind else "the newest report has no incident"
    raise InputError(f"no action or incident {uid!r}; {hint} (tokenkit respond list)")


def apply(workspace: Workspace, proposal: Proposal, who: str, why: str, confirmed: bool = False) -> Outcome:
    """Do what is proposed, journalled before and after; raises as ``act.apply`` does.

    Parameters
    ----------
    confirmed : whether a person was shown what would be done, and agreed

    Raises
    ------
    InputError
        The list of owners says that the token is kept for emergencies, or that a person has to confirm.
    """
    protection = protections(workspace, datetime.now(UTC)).get(proposal.token_uid, UNPROTECTED)
    if proposal.acts and protection.break_glass:
        raise InputError(f"{proposal.action_uid}: {BREAK_GLASS}. Nothing was changed. To act, remove the mark there, "
                         "and make a new report (tokenkit run).")  # fmt: skip
    if proposal.acts and protection.confirm and not confirmed:
        raise InputError(f"{proposal.action_uid}: {protection.confirm}. Nothing was changed. Apply it on a terminal, "
                         "without --yes.")  # fmt: skip
    return act.apply(workspace, connectors(workspace), proposal, who, why)


def undo(workspace: Workspace, action_uid: str, who: str, why: str) -> Outcome:
    """Put back what was there before the action; raises as ``act.undo`` does."""
    return act.undo(workspace, connectors(workspace), action_uid, who, why)


def settle(workspace: Workspace, who: str = "") -> list[str]:
    """Finish the actions that an interrupted command left in doubt; returns a sentence about each."""
    actions = journal.latest(journal.read(workspace)).values()
    if not any(action.state == journal.IN_DOUBT for action in actions):
        return []
    with act.lock(workspace):
        return act.settle(workspace, connectors(workspace), act.person(who))


def overview(workspace: Workspace) -> list[dict[str, Any]]:
    """Return every proposal of the newest report and every action, each with its state; reads the gateways."""
    return listing.rows(newest_proposals(workspace), journal.read(workspace), connectors(workspace))


def add_actions(workspace: Workspace, records: list[dict[str, Any]], end: date) -> list[dict[str, Any]]:
    """Return the incidents with what tokenkit would do about each and what was done, for the page. Asks no gateway.

    What was done about an incident was done about another one, too, where it does what that one asks for to each token
    concerned: a token that is limited may still have to be locked.
    """
    by_name = connectors(workspace)
    by_incident: dict[str, list[Proposal]] = {}
    for proposal in propose(workspace, records, end):
        by_incident.setdefault(proposal.incident_uid, []).append(proposal)
    applied = listing.in_force(journal.read(workspace))
    pseudonymous = workspace.settings.report.pseudonymous
    made = []
    for r in records:
        asked, ids = by_incident.get(r["incident_uid"], []), set(aliases.ids(r))
        own = [a for a in applied if a["incident_uid"] in ids]
        enough = {(p.token_uid, verb) for p in asked if p.acts for verb in (p.verb, "lock")}
        others = [a for a in applied if a["incident_uid"] not in ids and a["state"] == journal.APPLIED
                  and (a["token_uid"], a["verb"]) in enough]  # fmt: skip
        done = {a["token_uid"] for a in [*own, *others]}
        covered = all(p.token_uid in done for p in asked if p.acts)
        made.append(with_actions(r, asked, [*own, *(others if covered else [])], by_name, pseudonymous))
    return made


def actions_digest(workspace: Workspace) -> str:
    """Return a digest that changes when what the page says of actions may: that of the journal, and the settings."""
    return f"{journal.newest_digest(journal.read(workspace))}:{workspace.settings.respond.model_dump_json()}"
