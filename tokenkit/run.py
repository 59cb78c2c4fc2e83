"""Run: every stage in order, under one lock, for a person or for a scheduler at 3 a.m.

logs -> events -> activity -> fingerprint -> deviation -> scores -> incidents -> report. A stage that is up to date is
not repeated, so a run that was killed is taken up by the next one, and the same input makes the same report.
"""

import hashlib
import json
import math
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
from deltalake.exceptions import DeltaError
from filelock import FileLock, Timeout

from tokenkit import activity, config, fingerprint, report, sources
from tokenkit.config import Workspace
from tokenkit.days import day_of
from tokenkit.errors import ConfigError, InputError, LockedError, ReportError
from tokenkit.ingest import Counts, ingest, open_key
from tokenkit.judge import facts as report_facts
from tokenkit.progress import Progress, silent
from tokenkit.sources.inputs import Input, configured_inputs
from tokenkit.store import lake, state
from tokenkit.tokens import inventory


@dataclass(frozen=True)
class Result:
    """What a run leaves: the page, what it says, and what was read for it."""

    page: Path
    facts: dict[str, Any]
    counts: Counts


@contextmanager
def locked(workspace: Workspace) -> Iterator[None]:
    """Hold the workspace; only one run works in it at a time.

    Raises
    ------
    LockedError
        Another run holds it. The lock goes with its process, so there is nothing to clean up.
    """
    with sound(workspace):
        workspace.key.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(workspace.key.parent / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise LockedError(
                f"another run works in {workspace.root}. Wait until it has finished; nothing was changed."
            ) from error
        try:
            yield
        finally:
            lock.release()


@contextmanager
def sound(workspace: Workspace) -> Iterator[None]:
    """Say plainly what is wrong where a file of the workspace cannot be read or written.

    Raises
    ------
    InputError
        The disk is full, a file is missing, damaged or somebody else's.
    """
    try:
        yield
    except (sqlite3.DatabaseError, DeltaError, duckdb.IOException, OSError) as error:
        raise InputError(
            f"{workspace.root}: the workspace cannot be read or written: {str(error).splitlines()[0]}. "
            "What was published stands. See what to do: tokenkit doctor"
        ) from error


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


def load_inventory(workspace: Workspace, path: Path | None) -> None:
    """Bring the list of owners into the lake; without one, what is there stays.

    Raises
    ------
    InventoryError
        The list cannot be used; what was there stays.
    """
    named = path or (workspace.root / workspace.settings.inventory if workspace.settings.inventory else None)
    if named is None:
        return
    if not named.exists():
        raise InputError(f"{named}: there is no such list of owners (inventory). Correct the path, or leave it out.")
    with state.connect(workspace.state) as db:
        key = open_key(workspace, db)
        digest = hashlib.sha256(named.read_bytes()).hexdigest()[:16] + ":" + workspace.settings.gateway.realm
        known = state.built(db, "inventory").get("tokens")
    if known == digest and lake.version(workspace.lake, "tokens") is not None:
        return
    tokens, notes = inventory.load(named, key, workspace.settings.gateway.realm)
    lake.replace(workspace.lake, "tokens", tokens)
    with state.connect(workspace.state) as db:
        state.set_meta(db, "inventory_notes", json.dumps(notes))
        state.set_meta(db, "inventory_name", named.name)
        state.mark_built(db, "inventory", {"tokens": digest})


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
) -> Result:
    """Read, score and publish.

    Parameters
    ----------
    workspace : where the lake is
    events : the logs; default: those named in tokenkit.toml
    owners : list of owners (CSV); default: the one named in tokenkit.toml
    start, end : reported days ``[start, end)``; what lies before is history. Default: the newest that can be judged
    budget : new incidents a day for each 1,000 profiles; default as in tokenkit.toml
    since_last : start where the last report ended
    out : folder of the reports; default: ``reports/`` of the workspace
    progress : function of stage, done, total
    notebook : what the page is made from, a copy of 03_anomaly_report; default: that one

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
        inputs = events or configured_inputs(workspace)
        with state.connect(workspace.state) as db:
            open_key(workspace, db)
        load_inventory(workspace, owners)
        counts = ingest(workspace, inputs, progress) if inputs else Counts()
        activity.build(workspace, progress)
        fingerprint.build(workspace, progress)
        if since_last and not start:
            with state.connect(workspace.state) as db:
                previous = state.last_run(db)
            start = previous["end"] if previous else ""
            days = sorted(lake.days(workspace.lake, "events"))
            if start and days and str(start) > str(days[-1]):
                start = days[-1]  # no new day yet: report the newest again
        facts = report.gather(workspace, start, end, budget, pseudonymous, progress)
        progress("writing the report", 0, 1)
        try:
            page = report.publish(
                page_notebook,
                {"workspace": str(workspace.root), "start": facts["period"]["start"][:10],
                 "end": facts["period"]["end"][:10],
                 "budget": float(budget or 0.0), "pseudonymous": facts["pseudonymous"]},
                out or workspace.reports,
                record(facts),
                report.findings(facts),
            )  # fmt: skip
        except OSError as error:
            raise ReportError(
                f"{out or workspace.reports}: the report cannot be written: {error}. Free some space."
            ) from error
        progress("writing the report", 1, 1)
        remember(workspace, facts)
        lake.tidy(workspace.lake)
    return Result(page, facts, counts)


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


def record(facts: dict[str, Any]) -> dict[str, Any]:
    """What run.json says: what made the page, so that it can be made again."""
    return {
        "run_uid": facts["run_uid"], "organisation": facts["organisation"], "period": facts["period"],
        "state": facts["state"], "made": facts["made"], "opened": facts["budget"]["opened"],
        "incidents": [r["incident_uid"] for r in facts["incidents"]], "counts": facts["counts"],
        "parameters": {"start": facts["period"]["start"], "end": facts["period"]["end"],
                       "budget_per_1000": facts["budget"]["per_1000"], "pseudonymous": facts["pseudonymous"]},
        "coverage": {k: facts["coverage"][k] for k in ("sources", "ignored_rules", "quarantined_total")},
        "settings_digest": facts["health"]["settings_digest"], "versions": facts["health"]["versions"],
        "tables": facts["health"]["tables"],
    }  # fmt: skip


def remember(workspace: Workspace, facts: dict[str, Any]) -> None:
    """Keep what later runs compare with; fix the reference once it has its full length."""
    with state.connect(workspace.state) as db:
        state.save_run(
            db,
            facts["run_uid"],
            facts["period"]["start"][:10],
            facts["period"]["end"][:10],
            report_facts.summary(facts),
        )
        for r in facts["incidents"] + facts["answered"]:
            row = [facts["run_uid"], r["incident_uid"], r["profile_uid"], r["state"], json.dumps(r)]
            db.execute("insert or replace into incidents values (?, ?, ?, ?, ?)", row)
        reference = facts["history"]["reference"]
        full = reference and reference["days"] >= workspace.settings.history.reference_days
        if full and not state.get_meta(db, "reference"):
            state.set_meta(db, "reference", json.dumps([reference["start"][:10], reference["end"][:10]]))
