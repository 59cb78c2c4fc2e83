"""Respond: what could be done about an incident, and, when a person says so, doing it, proving it and undoing it.

    respond.propose(workspace, records)              a dry run: what each incident asks for, and what would be done
    respond.find(workspace, action_uid)              one proposal of the newest report
    respond.apply(workspace, proposal, who, why)     do it: journalled, verified, once
    respond.undo(workspace, action_uid, who, why)    put back what was there
    respond.overview(workspace)                      every proposal and action with its state

Reads  incidents and the journal (state.db), tokens and dim_token. Writes  the journal and, through a connector, a
gateway. Nothing acts by itself: there is no path here from a run to a gateway.
"""

import json
from datetime import UTC, date, datetime
from typing import Any

from tokenkit.config import Workspace
from tokenkit.errors import InputError, did_you_mean
from tokenkit.respond import act, haproxy, journal, states
from tokenkit.respond.act import Outcome
from tokenkit.respond.connector import Connector
from tokenkit.respond.proposal import Proposal, annotated, proposals
from tokenkit.store import lake, state
from tokenkit.tokens import inventory

__all__ = [
    "CONNECTORS", "Connector", "Outcome", "Proposal", "annotate", "apply", "connectors", "find", "handles", "newest",
    "overview", "propose", "settle", "undo",
]  # fmt: skip

# name: function of the settings, the connector or what its settings lack
CONNECTORS = {"haproxy": haproxy.connector}


def connectors(workspace: Workspace) -> dict[str, Connector | str]:
    """Every connector by name; a text instead says why it cannot be used."""
    return {name: make(workspace.settings.respond) for name, make in CONNECTORS.items()}


def handles(workspace: Workspace, when: datetime) -> dict[str, tuple[str, str]]:
    """By what each token can be acted on: token_uid to (connector, handle).

    What the inventory says (as of ``when``) goes before what a source declared (``Source.handle_field``).
    """
    found: dict[str, tuple[str, str]] = {}
    for frame in (
        lake.read(workspace.lake, "dim_token").to_pandas(),
        inventory.as_of(lake.read(workspace.lake, "tokens"), when),
    ):
        given = frame[frame["enforce_handle"].notna()]
        connector = given["enforce_connector"].fillna("")
        found |= dict(zip(given["token_uid"], zip(connector, given["enforce_handle"], strict=True), strict=True))
    return found


def propose(workspace: Workspace, records: list[dict[str, Any]], end: date | None = None) -> list[Proposal]:
    """What could be done about these incidents.

    Parameters
    ----------
    workspace : whose inventory and settings
    records : incidents, as ``incidents.record.records`` makes them; one that a person closed proposes nothing
    end : end of their period; the inventory is taken as of it. Default: now
    """
    when = datetime(end.year, end.month, end.day, tzinfo=UTC) if end else datetime.now(UTC)
    records = [r for r in records if not (r.get("answer") or {}).get("closes")]  # answered: nothing is asked for
    return proposals(records, handles(workspace, when), connectors(workspace))


def newest(workspace: Workspace) -> list[Proposal]:
    """The proposals of the newest report: what can be applied first, and of that the riskiest incident first."""
    with state.connect(workspace.state) as db:
        run = state.last_run(db)
        if run is None:
            return []
        rows = db.execute("select record from incidents where run_uid = ?", [run["run_uid"]]).fetchall()
    records = sorted((json.loads(r["record"]) for r in rows), key=lambda r: (-r.get("risk", 0), r["incident_uid"]))
    return sorted(propose(workspace, records, date.fromisoformat(run["end"][:10])), key=lambda p: not p.acts)


def find(workspace: Workspace, action_uid: str) -> Proposal:
    """One proposal of the newest report; one that was applied before is found in the journal as well.

    Raises
    ------
    InputError
        There is none; says which was probably meant.
    """
    known = {p.action_uid: p for p in newest(workspace)}
    for uid, (_, intent, _) in journal.standing(journal.read(workspace)).items():
        known.setdefault(uid, states.proposal_of(uid, intent.record))
    if action_uid not in known:
        listed = did_you_mean(action_uid, sorted(known)) if known else "the newest report has no incident"
        raise InputError(f"no action {action_uid!r}; {listed} (tokenkit respond list)")
    return known[action_uid]


def apply(workspace: Workspace, proposal: Proposal, who: str, why: str) -> Outcome:
    """Do what is proposed, journalled before and after; see ``act.apply`` for what it raises."""
    return act.apply(workspace, connectors(workspace), proposal, who, why)


def undo(workspace: Workspace, action_uid: str, who: str, why: str) -> Outcome:
    """Put back what was there before the action; see ``act.undo`` for what it raises."""
    return act.undo(workspace, connectors(workspace), action_uid, who, why)


def settle(workspace: Workspace, who: str = "") -> list[str]:
    """Finish what an interrupted command began; a sentence for each. Nothing to say where nothing is in doubt."""
    if not any(s == journal.IN_DOUBT for s, _, _ in journal.standing(journal.read(workspace)).values()):
        return []
    with act.alone(workspace):
        return act.settle(workspace, connectors(workspace), act.person(who))


def overview(workspace: Workspace) -> list[dict[str, Any]]:
    """Every proposal of the newest report and every action of the journal, with its state; reads the gateways."""
    return states.rows(newest(workspace), journal.read(workspace), connectors(workspace))


def annotate(workspace: Workspace, records: list[dict[str, Any]], end: date) -> list[dict[str, Any]]:
    """The incidents with what tokenkit would do about each and what was done, for the page. Asks no gateway."""
    usable = connectors(workspace)
    by_incident: dict[str, list[Proposal]] = {}
    for proposal in propose(workspace, records, end):
        by_incident.setdefault(proposal.incident_uid, []).append(proposal)
    done = states.done(journal.read(workspace))
    hidden = workspace.settings.report.pseudonymous
    return [
        annotated(r, by_incident.get(r["incident_uid"], []), done.get(r["incident_uid"], []), usable, hidden)
        for r in records
    ]


def digest(workspace: Workspace) -> str:
    """What the page's words about actions depend on: the newest row of the journal, and the settings."""
    return f"{journal.head(journal.read(workspace))}:{workspace.settings.respond.model_dump_json()}"
