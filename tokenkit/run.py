"""Run: read, form, judge, publish: every stage in order, under one lock, for a person or for a scheduler at 3 a.m.

logs -> events -> activity -> fingerprint -> deviation -> scores -> incidents -> report. A stage that is up to date is
not repeated, so a run that was killed is taken up by the next one, and the same input makes the same report.
"""

import json
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from tokenkit import activity, config, fingerprint, report, sources
from tokenkit.config import Workspace
from tokenkit.days import apart, day_of, extent
from tokenkit.errors import ConfigError, InputError, ReportError
from tokenkit.ingest import Counts, ingest, open_key
from tokenkit.judge.coverage import apart_note
from tokenkit.judge.facts import gather, summary
from tokenkit.judge.health import switched_off
from tokenkit.maintenance import erasure, retention
from tokenkit.progress import Progress, silent
from tokenkit.schema.facts import Facts, Run
from tokenkit.sources.inputs import Input, configured_inputs
from tokenkit.store import lake, points, state
from tokenkit.store.access import locked
from tokenkit.tokens.load import load_inventory


@dataclass(frozen=True)
class Result:
    """What a run leaves: the page, what it says, what was read for it, and what is said of calls that stand apart."""

    page: Path
    facts: Facts
    counts: Counts
    notes: tuple[str, ...] = ()


def workspace_for(events: Sequence[Input], out: Path | None) -> Workspace:
    """The workspace around the current folder, or, outside one, a fresh one under ``out``.

    Raises
    ------
    InputError
        There is no workspace and no ``out`` to make one in, or no logs to fill it with.
    """
    found = config.find()
    if found:
        return found
    if not events:
        raise InputError(
            f"no tokenkit workspace at or above {Path.cwd()}. Make one (tokenkit init DIR), or name logs: --events PATH"
        )
    for logs in events:
        if not logs.path.exists():
            sources.find_files(logs.path, logs.source)  # says so, before a folder is made
    return config.init((out or Path("tokenkit-out")) / "workspace")


def run(
    workspace: Workspace,
    events: Sequence[Input] | None = None,
    owners: Path | None = None,
    start: str | date = "",
    end: str | date = "",
    budget: float | None = None,
    since_last: bool = False,
    out: Path | None = None,
    pseudonymous: bool | None = None,
    progress: Progress = silent,
    notebook: Path | None = None,
    now: datetime | None = None,
) -> Result:
    """Read the logs, form fingerprints, judge the period and publish the report.

    Parameters
    ----------
    workspace : where the lake is
    events : the logs; default: those named in tokenkit.toml
    owners : list of owners (CSV or JSON); default: the one named in tokenkit.toml
    start, end : reported days ``[start, end)``; what lies before is history. Default: the newest that can be judged
    budget : new incidents a day for each 1,000 profiles; default as in tokenkit.toml
    since_last : start where the last report ended
    out : folder of the reports; default: ``reports/`` of the workspace
    progress : function of stage, done, total
    notebook : what the page is made from, a copy of 03_anomaly_report; default: that one
    now : as in ``ingest``; default: this machine's clock

    Returns
    -------
    Result

    Raises
    ------
    InputError, ConfigError, IdentityError, LockedError, ReportError
        Exit codes 2, 2, 2, 3, 4. What was published before stands in every case.
    """
    first, last = day_of(start, "start"), day_of(end, "end")
    if first and last and first >= last:
        raise InputError(f"start ({first}) must be before end ({last}); both are UTC days, and the end is not included")
    if budget is not None and not 0 < budget < math.inf:
        raise ConfigError(f"budget is {budget}, expected more than 0: new incidents a day for each 1,000 profiles")
    page_notebook = report.report_notebook(notebook)
    check_out(out or workspace.reports)
    with locked(workspace):
        erasure.finish(workspace)
        counts = read(workspace, events, owners, progress, now)
        form(workspace, progress)
        removed = retention.apply(workspace)
        if since_last and not start:
            start = end_of_last_report(workspace)
        facts = gather(workspace, start, end, budget, pseudonymous, progress)  # judges the period
        page = publish(workspace, facts, page_notebook, out or workspace.reports, budget, progress)
        remember(workspace, facts)
        points.note(workspace, "run")
        lake.tidy(workspace.lake)
        note = apart_note(apart(workspace))
    off = [f"{spot['what']}: {spot['means']}" for spot in switched_off(workspace.settings.detection)]
    return Result(page, facts, counts, (*removed, *off, *((note,) if note else ())))


def read(
    workspace: Workspace, events: Sequence[Input] | None, owners: Path | None, progress: Progress,
    now: datetime | None = None,
) -> Counts:  # fmt: skip
    """Bring the list of owners and the logs into the lake; returns what was counted."""
    inputs = events or configured_inputs(workspace)
    with state.connect(workspace.state) as db:
        open_key(workspace, db)
    load_inventory(workspace, owners)
    return ingest(workspace, inputs, progress, now) if inputs else Counts()


def form(workspace: Workspace, progress: Progress) -> None:
    """Form activity and fingerprints of what was read; what is up to date stays."""
    activity.build(workspace, progress)
    fingerprint.build(workspace, progress)


def publish(
    workspace: Workspace, facts: Facts, notebook: Path, out: Path, budget: float | None, progress: Progress
) -> Path:
    """Make the page of the facts, and put it in place; returns its path.

    Raises
    ------
    ReportError
        It cannot be written; what was published before stands.
    """
    progress("writing the report", 0, 1)
    parameters = {
        "workspace": str(workspace.root), "start": facts["period"]["start"][:10], "end": facts["period"]["end"][:10],
        "budget": float(budget or 0.0), "pseudonymous": facts["pseudonymous"],
    }  # fmt: skip
    try:
        page = report.publish(notebook, parameters, out, record(facts), report.findings(facts))
    except OSError as error:
        raise ReportError(f"{out}: the report cannot be written: {error}. Free some space.") from error
    progress("writing the report", 1, 1)
    return page


def end_of_last_report(workspace: Workspace) -> str | date:
    """The day after the last report, or the newest day where there is none after it; empty without a report.

    A report that ends beyond the logs took the days of a wrong clock for the newest (or was asked for such days): it
    says nothing of where to go on, and the one before it does.
    """
    span = extent(workspace)
    newest = span[1] if span else None
    with state.connect(workspace.state) as db:
        previous = state.last_run(db, end_until=(newest + timedelta(days=1)).isoformat() if newest else "9999")
    start = previous["end"] if previous else ""
    return newest if start and newest and str(start) > newest.isoformat() else start


def check_out(out: Path) -> None:
    """Find out now, and not after an hour of work, whether reports can be written to this folder.

    Raises
    ------
    InputError
        They cannot; nothing was read or changed.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise InputError(
            f"{out}: reports cannot be written there ({error.strerror}). "
            "Name another folder with --out; nothing was changed."
        ) from error


def record(facts: Facts) -> Run:
    """What run.json says: what made the page, so that it can be made again."""
    return {
        "run_uid": facts["run_uid"], "organisation": facts["organisation"], "period": facts["period"],
        "state": facts["state"], "made": facts["made"], "opened": facts["budget"]["opened"],
        "allowed": facts["budget"]["allowed"],
        "incidents": [r["incident_uid"] for r in facts["incidents"]], "counts": facts["counts"],
        "parameters": {"start": facts["period"]["start"], "end": facts["period"]["end"],
                       "budget_per_1000": facts["budget"]["per_1000"], "pseudonymous": facts["pseudonymous"]},
        "coverage": {k: facts["coverage"][k] for k in ("sources", "ignored_rules", "quarantined_total")},
        "settings_digest": facts["health"]["settings_digest"], "versions": facts["health"]["versions"],
        "tables": facts["health"]["tables"],
    }  # fmt: skip


def remember(workspace: Workspace, facts: Facts) -> None:
    """Keep what later runs compare with; fix the reference once it has its full length."""
    with state.connect(workspace.state) as db:
        state.save_run(
            db,
            facts["run_uid"],
            facts["period"]["start"][:10],
            facts["period"]["end"][:10],
            {**summary(facts)},
        )
        for r in facts["incidents"] + facts["answered"]:
            row = [facts["run_uid"], r["incident_uid"], r["profile_uid"], r["state"], json.dumps(r)]
            db.execute("insert or replace into incidents values (?, ?, ?, ?, ?)", row)
        reference = facts["history"]["reference"]
        full = reference is not None and reference["days"] >= workspace.settings.history.reference_days
        if reference is not None and full and not state.get_meta(db, "reference"):
            state.set_meta(db, "reference", json.dumps([reference["start"][:10], reference["end"][:10]]))
