"""Protocol: fits, calibrates and judges every contender in one and the same way (docs/method/evaluation.md).

Reads  UnattackedOrganisation, and evidence of its twins. Writes nothing.
A contender is fitted on days before the calibration ends, and shown no later ones; the calibration days turn its scores
into surprise; its thresholds follow the days as a nightly run's do, each from the 14 days before when nobody attacks;
it is judged on the days after calibration. Flagged windows merge into incidents by the pipeline's own functions, and
incidents are what the budget counts. A detector that learns from what it is to judge, or whose score of a row depends
on its batch, is refused (``leaks``).
"""

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from tokenkit import channels
from tokenkit.bench.detectors.contender import Contender
from tokenkit.bench.metrics.agreement import rank_correlation
from tokenkit.bench.metrics.ranking import BUDGETS
from tokenkit.bench.trials.unattacked import UnattackedOrganisation
from tokenkit.channels import Detector, calibration, policy
from tokenkit.channels.calibration import Calibration
from tokenkit.config import Workspace
from tokenkit.errors import DetectorError
from tokenkit.incidents import merge, rules, thresholds
from tokenkit.incidents.thresholds import Budget, Curve, Thresholds
from tokenkit.normal.evidence import Evidence
from tokenkit.tokens.profiles import token_profiles

WINDOW = ["profile_uid", "channel", "window", "start"]  # what tells the scores of a contender apart
LEAST_ABOVE_0 = np.nextafter(0.0, 1.0)


@dataclass(frozen=True)
class FittedContender:
    """A contender on one organisation: its fitted detectors and what turns their scores into flagged windows.

    ``scale`` turns raw scores into surprise; ``thresholds`` has a table of day x channel for
    each budget; ``scores`` are those of the organisation from the calibration days on; ``gaps`` is how many days may
    lie between windows of one incident, by channel.
    """

    contender: Contender
    detectors: list[Detector]
    scale: Calibration
    thresholds: dict[float, Thresholds]
    scores: pd.DataFrame
    fit_s: float
    score_s: float
    gaps: dict[str, int] = field(default_factory=dict)


def fit(
    organisation: UnattackedOrganisation, contender: Contender, seed: int, budgets: Sequence[float] = BUDGETS,
    unattacked: Evidence | None = None,
) -> FittedContender:  # fmt: skip
    """Fit a contender on an organisation, calibrate it, and set its thresholds.

    Parameters
    ----------
    seed : of everything random in it
    budgets : new incidents a day for each 1,000 profiles
    unattacked : evidence of those profiles that the organisation shows under attack, as they are when nobody attacks:
        from the reported days on, thresholds are set by these days of theirs

    Raises
    ------
    DetectorError
        A detector gives no usable scores; says which and what was found.
    """
    evidence, periods = organisation.evidence, organisation.evidence.periods
    learn = contender.days_to_learn(periods)
    shown = evidence.before(learn[1])
    begun = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        detectors = calibration.fit(contender.make(seed), shown, learn)
    fit_s = time.process_time() - begun
    begun = time.process_time()
    rows = _raw_scores(contender, detectors, evidence)
    score_s = time.process_time() - begun
    gaps = {d.name: d.gap_days for d in detectors}
    # the scores of a run's channels are bits
    own_units = () if contender.without_budget else set(gaps) - set(channels.gaps())
    least_shapes = {d.name: d.least_shape for d in detectors}
    scale = calibration.calibrate(rows, evidence, contender.shares, least_shapes, own_units)
    rows = _with_surprise(contender, rows, scale)
    fitted = FittedContender(contender, detectors, scale, {}, rows, fit_s, score_s, gaps)
    benign = rows if unattacked is None else _unattacked_scores(fitted, unattacked)
    return replace(fitted, thresholds=_thresholds(fitted, benign, evidence, budgets))


def _unattacked_scores(fitted: FittedContender, unattacked: Evidence) -> pd.DataFrame:
    """The scores of the organisation, with those of attacked profiles as if nobody attacked in the reported days."""
    rows, start = fitted.scores, pd.Timestamp(unattacked.periods.start, tz="UTC")
    attacked = rows["profile_uid"].isin(unattacked.days.profiles) & (rows["start"] >= start)
    instead = surprise(fitted, unattacked)
    return pd.concat([rows[~attacked], instead[instead["start"] >= start]], ignore_index=True)


def stability(fitted: FittedContender, other: FittedContender, start: pd.Timestamp) -> float:
    """Rank correlation of two fits' scores of the windows from a moment on."""
    first, second = (f.scores[f.scores["start"] >= start] for f in (fitted, other))
    return rank_correlation(first, second, WINDOW)


def _raw_scores(contender: Contender, detectors: list[Detector], evidence: Evidence) -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frames = [calibration.raw_scores([one], evidence) for one in detectors]
    for one, rows in zip(detectors, frames, strict=True):
        if other := sorted(set(rows["channel"]) - {one.name}):
            raise DetectorError(
                f"{contender.name}: the channel of its scores is {other[0]!r}, expected its name, {one.name!r}"
            )
    rows = pd.concat([f for f in frames if len(f)] or frames, ignore_index=True)
    bad = ~np.isfinite(rows["raw_bits"].to_numpy(dtype=float))
    if bad.any():
        raise DetectorError(f"{contender.name}: {int(bad.sum())} of {len(rows)} scores are no finite numbers")
    return rows


def _thresholds(
    fitted: FittedContender, rows: pd.DataFrame, evidence: Evidence, budgets: Sequence[float]
) -> dict[float, Thresholds]:
    """The thresholds of each budget: for each channel and day what would have opened its share in the 14 days before.

    A contender without a budget flags whatever it scores above 0.
    """
    contender = fitted.contender
    if contender.without_budget:
        table = pd.DataFrame(LEAST_ABOVE_0, index=evidence.periods.scored_days, columns=list(contender.shares))
        return dict.fromkeys(budgets, Thresholds(table, table))
    heights = thresholds.daily_heights(rows, evidence, list(contender.shares))
    known_curves: dict[bytes, Curve] = {}  # the same for every budget
    tables = {}
    for per_1000 in budgets:
        budget = Budget(per_1000, contender.shares, fitted.gaps, contender.least_bits)
        tables[per_1000] = thresholds.set_thresholds(heights, budget, known_curves=known_curves)
    return tables


def surprise(fitted: FittedContender, evidence: Evidence) -> pd.DataFrame:
    """Scores of other evidence (twins) in the units of the organisation it was fitted on."""
    return _with_surprise(fitted.contender, _raw_scores(fitted.contender, fitted.detectors, evidence), fitted.scale)


def _with_surprise(contender: Contender, rows: pd.DataFrame, scale: Calibration) -> pd.DataFrame:
    return rows.assign(score_bits=rows["raw_bits"]) if contender.without_budget else scale.scores(rows)


def flagged(fitted: FittedContender, rows: pd.DataFrame, per_1000: float, breaches: pd.DataFrame) -> pd.DataFrame:
    """The windows at or above the thresholds of a budget, with their ``incident_uid``.

    Parameters
    ----------
    rows : ``surprise``
    breaches : ``breach_windows``, which count for a contender with ``policy``
    """
    above = calibration.with_parts(thresholds.flag(rows[rows["score_bits"] > 0], fitted.thresholds[per_1000]))
    if fitted.contender.policy and len(breaches):
        above = pd.concat([above, breaches], ignore_index=True)
    return merge.join(above.reset_index(drop=True), fitted.gaps)


def breach_windows(
    place: Workspace, evidence: Evidence, profile_names: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Breaches of the inventory's rules that begin from the calibration days on, as windows.

    ``profile_names`` says by which ``profile_uid`` the evidence has those of the workspace, where it is another.
    """
    periods = evidence.periods
    breaches = policy.breaches(place, token_profiles(place), periods.end)
    windows = rules.new_breaches(breaches, periods.first_scored, periods.end)
    if not profile_names or windows.empty:
        return windows
    return windows.assign(profile_uid=windows["profile_uid"].map(profile_names))
