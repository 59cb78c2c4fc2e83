"""Inject: scenarios on a copy of your own organisation's events, so that recall is measured on your own traffic.

Reads  a workspace that a run has read logs into. Writes a folder of its own; the workspace stays as it is.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pandas as pd

from tokenkit import activity, config, fingerprint
from tokenkit.bench import alerts, protocol, scenarios
from tokenkit.bench.detectors import leaks, registry
from tokenkit.bench.detectors.contender import Contender
from tokenkit.bench.measure import put
from tokenkit.bench.trials import draws, overlay
from tokenkit.bench.trials.unattacked import unattacked_organisation
from tokenkit.config import Workspace
from tokenkit.days import FIRST_REPORT_DAYS, MIN_DAYS, Periods, day_of, periods_of
from tokenkit.errors import InputError
from tokenkit.progress import Progress, silent

LEAST_DAYS = 7  # of the reported days: a slow attack needs some to be slow in


@dataclass(frozen=True)
class InjectionResult:
    """What became of each trial (``outcomes``: one row a contender and trial) and by which alerts.

    ``outcomes`` has ``detector``, ``trial``, ``scenario``, ``title``, ``intensity``, ``unit``, ``token``, ``start``,
    ``caught`` (bool), ``hours`` (until then) and ``reasons`` (the first three); ``left_out`` names the scenarios that
    suit no token, or need more days than are attacked. The tables are in the folder.
    """

    outcomes: pd.DataFrame
    trials: pd.DataFrame
    alerts: pd.DataFrame
    left_out: list[str]


def inject(
    workspace: Workspace,
    chosen: Sequence[str],
    out: Path,
    each: int = 5,
    seed: int = 0,
    start: str | date = "",
    end: str | date = "",
    progress: Progress = silent,
    contenders: Sequence[Contender] = (),
) -> InjectionResult:
    """Lay scenarios over copies of your tokens' events, and return which of them would have been caught.

    Parameters
    ----------
    chosen : ids of scenarios; empty for all attacks
    out : folder for the tables (``trials``, ``taken``, ``alerts``); made if absent
    each : trials of each scenario and intensity, each on a token and from a moment drawn at random
    seed : of the draws
    start, end : days in which they happen; default: the newest that a report would speak of
    contenders : who is to catch them; default: tokenkit as the workspace has it set

    Raises
    ------
    InputError
        No such scenario; no logs, too few days, or no token that could be attacked.
    """
    ids = list(dict.fromkeys(scenarios.get(one).id for one in chosen)) or list(scenarios.ATTACKS)
    activity.build(workspace, progress)
    fingerprint.build(workspace, progress)
    periods = reported_periods(workspace, day_of(start, "start"), day_of(end, "end"))
    progress("measuring your organisation", 0, 4)
    twins = out / "twins"
    shutil.rmtree(twins, ignore_errors=True)
    organisation = unattacked_organisation(workspace, periods, seed)
    progress("measuring your organisation", 1, 4)
    some = draws.pool(organisation)
    if not some:
        raise InputError(
            f"{workspace.root}: no token that could be attacked: none is one profile by itself and has a past"
        )
    events = draws.events_of(organisation, some)
    cells = [(scenarios.get(one), intensity) for one in ids for intensity in scenarios.get(one).intensities]
    trials = draws.draw(organisation, cells, each, events)
    left_out = sorted(set(ids) - {trial.scenario.id for trial in trials})
    if not trials:
        raise InputError(
            f"no token of {workspace.root} suits {', '.join(left_out)}, or {periods.start} to {periods.end} is too "
            "short for it. Name other scenarios, or more days with --start"
        )
    detection = workspace.settings.detection
    taking_part = registry.with_settings(contenders or registry.choose([registry.TOKENKIT]), workspace)
    leaks.refuse_yours(organisation, taking_part)
    fitted = [protocol.fit(organisation, one, detection.seed, [detection.budget]) for one in taking_part]
    progress("measuring your organisation", 2, 4)
    attacked = overlay.attack(organisation, trials, events, twins)
    progress("measuring your organisation", 3, 4)
    breaches = protocol.breach_windows(attacked.workspace, attacked.evidence)
    breaches_anyway = protocol.breach_windows(workspace, organisation.evidence)
    parts = [alerts.trial_alerts(one, attacked, breaches, alerts.benign_scores(one.scores, breaches_anyway))
             for one in fitted]  # fmt: skip
    opened = pd.concat(parts, ignore_index=True)
    for name, table in {"trials": attacked.trials, "taken": attacked.taken, "alerts": opened}.items():
        put(out, name, table)
    shutil.rmtree(twins)
    progress("measuring your organisation", 4, 4)
    names = [one.name for one in taking_part]
    rows = [outcomes(attacked.trials, opened[opened["detector"] == name], organisation.people).assign(detector=name)
            for name in names]  # fmt: skip
    return InjectionResult(pd.concat(rows, ignore_index=True), attacked.trials, opened, left_out)


def reported_periods(workspace: Workspace, start: date | None = None, end: date | None = None) -> Periods:
    """The days: attacked as many as leave five weeks to learn from, four weeks at most, a week at least."""
    asked = periods_of(workspace, start, end)
    first, last = asked.first, asked.end
    if start is None:
        learn = workspace.settings.history.reference_days + MIN_DAYS
        days = min(FIRST_REPORT_DAYS, max(LEAST_DAYS, (last - first).days - learn))
        asked = periods_of(workspace, max(first, last - timedelta(days=days)), last)
    if asked.calibration is None or (asked.end - asked.start).days < LEAST_DAYS:
        raise InputError(
            f"{workspace.root} holds logs from {first}, and {asked.start} to {asked.end} would be attacked: "
            f"{2 * MIN_DAYS} days before them to learn from and {LEAST_DAYS} to be attacked are needed. Read "
            "older logs: tokenkit ingest PATH, or name days with --start"
        )
    return asked


def outcomes(trials: pd.DataFrame, opened: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """One row a trial: which token, from when, how strong, and whether and for what reasons it was caught.

    Parameters
    ----------
    trials : ``overlay.TRIALS``
    opened : ``alerts.ALERTS`` of one contender and budget
    people : ``owners.people``, for the names
    """
    rows = trials.drop_duplicates("trial").set_index("trial")
    first = opened[opened["fresh"].astype(bool)].sort_values("raised").drop_duplicates("trial").set_index("trial")
    kinds = {one: scenarios.get(one) for one in rows["scenario"].unique()}
    table = rows[["scenario", "intensity", "start"]].assign(
        title=rows["scenario"].map({i: s.title for i, s in kinds.items()}),
        unit=rows["scenario"].map({i: s.unit for i, s in kinds.items()}),
        token=rows["base_uid"].map(people["label"]), caught=rows.index.isin(first.index),
    )  # fmt: skip
    caught_at = pd.to_datetime(first["raised"], utc=True).reindex(table.index)  # of no alerts at all: no time
    reasons = first["reasons"].map(", ".join).reindex(table.index)
    return table.assign(hours=(caught_at - table["start"]) / pd.Timedelta("1h"), reasons=reasons).reset_index()


def by_intensity(table: pd.DataFrame) -> pd.DataFrame:
    """One row a contender, scenario and intensity: ``caught`` of ``trials``, median ``hours``, first ``reasons``.

    Parameters
    ----------
    table : ``outcomes``
    """
    grouped = table.groupby(["detector", "scenario", "intensity", "unit"], sort=False)
    return grouped.agg(
        caught=("caught", "sum"), trials=("caught", "size"), hours=("hours", "median"), reasons=("reasons", "first")
    ).reset_index()  # fmt: skip


def workspace_of(events: Path | None) -> Workspace:
    """The workspace of a lake or folder that a person names; without one, that at or above the current folder.

    Raises
    ------
    InputError
        There is none.
    """
    folder = events.parent if events is not None and events.name == "lake" else events
    found = config.find(folder) if folder is not None else config.find()
    if found is None:
        raise InputError(
            f"no tokenkit workspace at or above {folder or Path.cwd()}. Make one: tokenkit init DIR, then tokenkit run"
        )
    return found
