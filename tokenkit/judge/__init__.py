"""Judge: from the evidence of a workspace to scores, thresholds, incidents and proposals.

Reads  Evidence, tokens, activity, labels. Writes baseline, deviations, scores.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pandas as pd

from tokenkit import respond
from tokenkit.channels import calibration, detector_cache, policy, weights
from tokenkit.config import Workspace
from tokenkit.days import Periods
from tokenkit.incidents import labels, merge, rules
from tokenkit.incidents.thresholds import Budget, daily_heights, flag, set_thresholds
from tokenkit.judge import tables
from tokenkit.judge.judgement import Judgement
from tokenkit.judge.record import records
from tokenkit.normal import evidence
from tokenkit.normal.evidence import Population
from tokenkit.progress import Progress, silent

__all__ = ["Judgement", "detect", "judge"]


def judge(
    workspace: Workspace, periods: Periods, progress: Progress = silent, previous: Collection[str] = (),
    run_uid: str = "",
) -> Judgement:  # fmt: skip
    """Judge the reported days of a workspace: incidents, explained, each with a proposal what to do.

    Parameters
    ----------
    workspace : its fingerprints are up to date
    periods : as ``periods_of`` plans them
    progress : function of stage, done, total
    previous : ids of the incidents that the report before this one had
    run_uid : of the report
    """
    judgement = detect(workspace, periods, progress)
    explained: Any = records(workspace, judgement, previous, run_uid)
    incidents: Any = respond.add_actions(workspace, explained, periods.end)
    return replace(judgement, incidents=incidents)


def detect(
    workspace: Workspace, periods: Periods, progress: Progress = silent, population: Population | None = None
) -> Judgement:
    """Score the days of a run and merge what exceeds the thresholds into incidents, not yet explained.

    The tables ``baseline``, ``deviations`` and ``scores`` are written on the way.

    Parameters
    ----------
    population : the profiles and their owners; default: as they are when the reported days end
    """
    population = population or evidence.population(workspace, periods)
    given_labels = labels.read(workspace, periods.end)
    accepted = given_labels.periods.accepted
    all_breaches = policy.breaches(workspace, population.tokens, periods.end)
    broken = policy.in_period(all_breaches, periods.start, periods.end)
    # over all scored days, as for the channels: what began in the last report would else be broken before in this one,
    # and the incident that it belongs to would have another first window, and another id
    breaches = rules.new_breaches(all_breaches, periods.first_scored, periods.end, accepted)
    shown = population.without_names() if workspace.settings.report.pseudonymous else population
    if periods.reference is None:
        return Judgement(periods, shown, given_labels, broken, merge.join(breaches, {}))

    progress("comparing with the baseline", 0, 3)
    measured = evidence.measure(workspace, periods, population, given_labels.periods)
    progress("scoring", 1, 3)
    detection = workspace.settings.detection
    scores = calibration.score(
        measured, detection, detector_cache.open_cache(workspace), weights.of_workspace(workspace)
    )
    budget = Budget.of_run(detection)
    heights = daily_heights(scores, measured, list(budget.gaps))  # of every channel
    thresholds = set_thresholds(heights, budget, given_labels.accepted_scores)
    flagged = flag(scores, thresholds, accepted)
    windows = pd.concat([flagged, breaches], ignore_index=True) if len(breaches) else flagged
    windows = merge.join(windows, budget.gaps)
    progress("scoring", 2, 3)
    tables.write(workspace, measured, scores, thresholds)
    progress("scoring", 3, 3)
    allowed = heights.allowed(budget) / (periods.end - periods.start).days
    return Judgement(periods, shown, given_labels, broken, windows, measured, scores, thresholds, allowed)
