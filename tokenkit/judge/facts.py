"""Facts: everything that the page of a report says, as plain dicts made from a judgement and the tables.

Reads  every table. Writes the facts of a period to state.db, so that the notebook that draws them does not judge twice.
"""

import hashlib
import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import tokenkit
from tokenkit import config, fingerprint, respond
from tokenkit.channels import weights
from tokenkit.config import Workspace
from tokenkit.days import Periods, Span, day_of, periods_of
from tokenkit.incidents import labels
from tokenkit.incidents.aliases import ids
from tokenkit.judge import coverage, health, judge, organisation
from tokenkit.judge.record import iso, iso_text
from tokenkit.progress import Progress, silent
from tokenkit.schema import facts as types
from tokenkit.schema.coverage import Logs, Ownership
from tokenkit.schema.facts import Facts
from tokenkit.schema.incident import Incident
from tokenkit.store import lake, state
from tokenkit.tokens.load import unmatched_list


def gather(
    workspace: Workspace | Path | str = "",
    start: str | date = "",
    end: str | date = "",
    budget: float | None = None,
    pseudonymous: bool | None = None,
    progress: Progress = silent,
) -> Facts:
    """Judge a period and return everything that its report says.

    Parameters
    ----------
    workspace : a workspace, its folder, or empty for the one at or above the current folder
    start, end : reported days ``[start, end)``, ISO dates; empty for the newest days that can be judged
    budget : new incidents a day for each 1,000 profiles; default as in tokenkit.toml
    pseudonymous : ids instead of names; default as in tokenkit.toml

    Returns
    -------
    Facts, JSON-able, times as ISO 8601 UTC.

    Raises
    ------
    InputError
        No workspace, no events, or ``start`` not before ``end``.
    """
    opened = config.workspace_at(workspace)
    settings = opened.settings.model_copy(deep=True)
    if budget is not None:
        settings.detection.budget = budget
    if pseudonymous is not None:
        settings.report.pseudonymous = pseudonymous
    opened = Workspace(opened.root, settings)
    periods = periods_of(opened, day_of(start, "start"), day_of(end, "end"))
    run_uid, digest = identify(opened, periods)
    with state.connect(opened.state) as db:
        previous = state.last_run(db, before=run_uid, end=periods.end.isoformat())
        key = f"{digest}:{previous['run_uid'] if previous else ''}:{respond.actions_digest(opened)}"
        stored = state.get_meta(db, f"facts:{run_uid}")
    if stored:
        earlier = json.loads(stored)
        if earlier["key"] == key:
            return earlier["facts"]
    made = _gather(opened, periods, run_uid, previous, progress)
    facts: Facts = json.loads(json.dumps(made, allow_nan=False, default=_plain))
    with state.connect(opened.state) as db:
        db.execute("delete from meta where name like 'facts:%' and name <> ?", [f"facts:{run_uid}"])
        state.set_meta(db, f"facts:{run_uid}", json.dumps({"key": key, "facts": facts}))
    return facts


def identify(workspace: Workspace, periods: Periods) -> tuple[str, str]:
    """``(run_uid, digest)``: the same for the same tables, settings, period, answers and version."""
    with state.connect(workspace.state) as db:
        rows = db.execute("select source, digest, read from files").fetchall()
        read = sorted(f"{r['source']}:{r['digest']}:{r['read']}" for r in rows)  # a file that grows keeps its digest
        owned = state.stage_digests(db, "inventory").get("tokens", "")
        networks = state.get_meta(db, "networks")
    settings = workspace.settings
    parts = [
        tokenkit.__version__, config.code_digest(), fingerprint.definitions(), config.digest(settings),
        settings.report.model_dump_json(), settings.name,
        settings.detection.set_by, settings.detection.set_on, settings.detection.set_why,
        repr(periods), *read, owned, labels.read(workspace, periods.end).digest,
        repr(weights.of_workspace(workspace)), *([networks] if networks else []),
    ]  # fmt: skip
    digest = hashlib.sha256("|".join(parts).encode()).hexdigest()
    return f"run1_{periods.start:%Y%m%d}_{periods.end:%Y%m%d}_{digest[:8]}", digest


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, pd.Timestamp | date):
        return iso(value)
    raise TypeError(f"a fact is a {type(value).__name__}, which JSON does not know")


def _gather(
    workspace: Workspace, periods: Periods, run_uid: str, previous: dict[str, Any] | None, progress: Progress
) -> Facts:
    before = previous["record"]["incidents"] if previous else ()
    judgement = judge(workspace, periods, progress, before, run_uid)
    people, mapped = judgement.population.people, judgement.population.tokens
    every = judgement.incidents
    if workspace.settings.report.pseudonymous:
        every = [_without_name(r) for r in every]
    listed, closed = (
        [r for r in every if (r["answer"] is not None and r["answer"]["closes"]) == c] for c in (False, True)
    )
    accepted = organisation.accepted_normals(workspace, judgement, people, mapped)
    drifting = organisation.drifting_tokens(judgement, people, every)
    broken = organisation.broken_rules(judgement, people)
    used = organisation.usage(workspace, mapped, periods)
    read = coverage.coverage(workspace, periods)
    counts = organisation.counts(workspace, judgement, people, mapped, len(closed), len(accepted))
    last = read["last"]
    judged = periods.reference is not None
    shown = [
        r
        for r in listed
        if r["state"] in ("opened", "grown") or (r["answer"] is not None and r["answer"]["verdict"] == "true_positive")
    ]
    return {
        "organisation": workspace.settings.name,
        "run_uid": run_uid,
        "made": last,
        "period": _days((periods.start, periods.end)),
        "state": "not_enough_history" if not judged else "attention" if shown else "quiet",
        "pseudonymous": workspace.settings.report.pseudonymous,
        "history": _history(periods, read),
        "previous": _previous(previous, listed, closed, counts),
        "counts": counts,
        "budget": organisation.budget(judgement, listed, workspace.settings.detection),
        "incidents": listed,
        "answered": closed,
        "accepted": accepted,
        "not_raised": organisation.not_raised(judgement, people, every, workspace.settings.report.pseudonymous),
        "watch": drifting,
        "policy": broken,
        "owners_missing": organisation.owners_missing(people, used),
        "riskiest": organisation.riskiest(listed),
        "active_tokens": organisation.active_tokens(people, used),
        "calls_series": coverage.calls_series(workspace, periods),
        "rare_values": organisation.rare_values(workspace, people, mapped, periods),
        "coverage": {**read, "owners": _ownership(workspace, people)},
        "health": health.health(workspace, judgement, listed),
        "blind": health.blind_spots(workspace.settings.detection, judgement, counts, read),
        "by_owner": organisation.by_owner(people, listed, drifting, broken),
        "not_judged": {"young": counts["young"], "text": f"{counts['young']} are judged by their peers only"},
    }


def _without_name(incident: Incident) -> Incident:
    """The incident without the name of who answered about it."""
    answer = incident["answer"]
    return incident if answer is None else {**incident, "answer": {**answer, "who": None}}


def _days(days: Span) -> types.Days:
    start, end = (iso_text(pd.Timestamp(day)) for day in days)
    return {"start": start, "end": end, "days": (days[1] - days[0]).days}


def _history(periods: Periods, read: Logs) -> types.History:
    hours = 0.0
    if read["first"]:
        hours = (pd.Timestamp(read["last"]) - pd.Timestamp(read["first"])).total_seconds() / 3600
    note = None
    if periods.provisional and periods.reference:
        note = (
            f"Thresholds are provisional: only {(periods.start - periods.reference[0]).days} days lie before the "
            "reported ones; with 14 they are set by the budget."
        )
    return {
        "first": read["first"], "last": read["last"], "days": hours / 24, "hours": hours,
        "reference": _days(periods.reference) if periods.reference else None,
        "calibration": _days(periods.calibration) if periods.calibration else None,
        "provisional": periods.provisional, "note": note,
    }  # fmt: skip


def _previous(
    previous: dict[str, Any] | None, listed: list[Incident], closed: list[Incident], counts: types.Counts
) -> types.Previous | None:
    if previous is None:
        return None
    before = previous["record"]
    fresh = [r["incident_uid"] for r in listed if r["new_since_last"]]
    ends = [max((before["incidents"][uid] for uid in ids(r) if uid in before["incidents"]), default="") for r in listed]
    grown = [r for r, end in zip(listed, ends, strict=True) if end and end != r["end"]]
    return {
        "run_uid": previous["run_uid"], "end": before["end"], "opened": len(fresh), "grown": len(grown),
        "quiet": sum(r["state"] == "quiet" for r in listed),
        "closed": len(set(before["incidents"]) - {uid for r in listed + closed for uid in ids(r)}),
        "new_tokens": max(counts["tokens"] - before["tokens"], 0),
        "lost_owner": max(counts["orphaned"] - before["orphaned"], 0), "incidents_new": fresh,
    }  # fmt: skip


def _ownership(workspace: Workspace, people: pd.DataFrame) -> Ownership:
    rows = lake.read(workspace.lake, "tokens").num_rows
    owned = float((people["owner_status"] == "owned").mean()) if len(people) else 0.0
    with state.connect(workspace.state) as db:
        source = state.get_meta(db, "inventory_name")
    return {"rows": rows, "source": source, "with_owner": owned, "unmatched": unmatched_list(workspace)}


def summary(facts: Facts) -> types.Summary:
    """What a later run needs to say what is new: incident ids with their ends, and counts."""
    return {
        "end": facts["period"]["end"], "state": facts["state"], "organisation": facts["organisation"],
        "incidents": {r["incident_uid"]: r["end"] for r in facts["incidents"] + facts["answered"]},
        "tokens": facts["counts"]["tokens"], "orphaned": facts["counts"]["orphaned"],
        "opened": facts["budget"]["opened"],
    }  # fmt: skip
