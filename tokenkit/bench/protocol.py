"""Protocol: one way to fit, calibrate and judge every detector, which cannot flatter (EVALUATION.md).

Reads  benign.Benign, and evidence of its twins. Writes nothing.
Fitted on days before the calibration ends, and shown no later ones; calibrated on the calibration days, which also set
the one threshold of each channel and budget; judged on the days after them. Windows above it merge into incidents by
the pipeline's own functions, and incidents are what the budget counts. A detector that learns from what it is to judge,
or whose score of a row follows the batch, is refused (``leaks``).
"""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from tokenkit import channels
from tokenkit.bench.metrics import ranking
from tokenkit.bench.trials.benign import Benign
from tokenkit.channels import Detector, policy
from tokenkit.config import Workspace
from tokenkit.errors import DetectorError
from tokenkit.incidents import merge, thresholds
from tokenkit.judge import detect
from tokenkit.normal.deviation import Evidence, Tail
from tokenkit.tokens.profiles import token_profiles

BUDGETS = (1.0, 5.0, 10.0, 20.0)
WINDOW = ["profile_uid", "channel", "window", "start"]  # what tells the scores of a detector apart


@dataclass(frozen=True)
class Entrant:
    """Who takes part: a name, its detectors, and how the budget is split among them.

    ``make`` of a seed gives fresh ones. ``learns`` says from which days: ``calibration``, as the channels of a run, or
    ``reference``, as an estimator of rows, which has no calibration of its own. A rule flags whatever it scores above
    0, at every budget. ``policy``: the rules of the inventory raise too, as in a run. ``least_bits`` of surprise raise
    nothing, whatever the budget.
    """

    name: str
    make: Callable[[int], list[Detector]]
    shares: dict[str, float]
    learns: str = "calibration"
    sees: str = ""
    rule: bool = False
    policy: bool = False
    least_bits: float = 0.0


@dataclass(frozen=True)
class Fitted:
    """An entrant on one organisation: detectors, what turns scores into surprise, and lines at each budget."""

    entrant: Entrant
    detectors: list[Detector]
    units: dict[str, tuple[float, float]]
    tails: dict[str, Tail]
    limits: dict[float, dict[str, float]]
    scores: pd.DataFrame
    fit_s: float
    score_s: float
    gaps: dict[str, int] = field(default_factory=dict)


def until(evidence: Evidence, day: pd.Timestamp) -> Evidence:
    """The evidence as it was when a day began: nothing of that day, nor of any after it."""
    known = np.asarray(evidence.days.days < day)

    def part(matrices: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: matrix[:, known] for name, matrix in matrices.items()}

    days = evidence.days
    mine = replace(
        days, days=days.days[known], values=part(days.values), reference=days.reference[:, known],
        shared=days.shared[:, known], kept_out=days.kept_out[:, known],
    )  # fmt: skip
    usual = {n: replace(u, held=u.held[:, known], effect=u.effect[:, known]) for n, u in evidence.usual.items()}
    hours = evidence.hours[evidence.hours["start"] < day].reset_index(drop=True)
    return replace(
        evidence, days=mine, bits=part(evidence.bits), z=part(evidence.z),
        since_reference=part(evidence.since_reference), usual=usual, hours=hours,
    )  # fmt: skip


def fit(ground: Benign, entrant: Entrant, seed: int, budgets: Sequence[float] = BUDGETS) -> Fitted:
    """Fit an entrant on a benign organisation, calibrate it, and set its lines.

    Parameters
    ----------
    seed : of everything random in it
    budgets : new incidents a day for each 1,000 profiles

    Raises
    ------
    DetectorError
        A detector gives no usable scores; says which and what was found.
    """
    evidence, periods = ground.evidence, ground.evidence.periods
    assert periods.reference is not None and periods.calibration is not None
    learn = periods.reference if entrant.learns == "reference" else periods.calibration
    shown = until(evidence, pd.Timestamp(learn[1], tz="UTC"))
    begun = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        detectors = [one.fit(shown, *learn) for one in entrant.make(seed)]
    fit_s = time.process_time() - begun
    begun = time.process_time()
    rows = _scored(entrant, detectors, evidence)
    score_s = time.process_time() - begun
    ours = channels.gaps()
    gaps = {d.name: d.gap_days for d in detectors}
    units = {
        str(c): (0.0, 1.0) if entrant.rule or c in ours else unit(g, periods.calibration)
        for c, g in rows.groupby("channel")
    }
    shapes = {d.name: d.least_shape for d in detectors}
    rows = in_units(rows, units)
    known = set(evidence.days.profiles[evidence.days.core]) or set(evidence.days.profiles)
    tails = {str(c): channels.channel_tail(g[g["profile_uid"].isin(known)], *periods.calibration, shapes[str(c)])
             for c, g in rows.groupby("channel")}  # fmt: skip
    rows = _surprise(entrant, rows, tails)
    limits = {b: _lines(entrant, rows, evidence, b, gaps) for b in budgets}
    return Fitted(entrant, detectors, units, tails, limits, rows, fit_s, score_s, gaps)


def stability(fitted: Fitted, other: Fitted, start: pd.Timestamp) -> float:
    """Rank correlation of two fits' scores of the windows from a moment on (Spearman's; ``ranking.stability``)."""
    first, second = (f.scores[f.scores["start"] >= start].assign(detector="") for f in (fitted, other))
    found = ranking.stability(first, second, WINDOW)
    return float(found["value"].iloc[0]) if len(found) else float("nan")


def _scored(entrant: Entrant, detectors: list[Detector], evidence: Evidence) -> pd.DataFrame:
    periods = evidence.periods
    assert periods.calibration is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frames = [d.score(evidence, periods.calibration[0], periods.end) for d in detectors]
    for one, rows in zip(detectors, frames, strict=True):
        if other := sorted(set(rows["channel"]) - {one.name}):
            raise DetectorError(
                f"{entrant.name}: the channel of its scores is {other[0]!r}, expected its name, {one.name!r}"
            )
    rows = pd.concat([f for f in frames if len(f)] or frames, ignore_index=True)
    bad = ~np.isfinite(rows["raw_bits"].to_numpy(dtype=float))
    if bad.any():
        raise DetectorError(f"{entrant.name}: {int(bad.sum())} of {len(rows)} scores are no finite numbers")
    return rows.assign(start=rows["start"].dt.as_unit("us"))


def unit(rows: pd.DataFrame, calibration: tuple[Any, Any]) -> tuple[float, float]:
    """Middle and width of a detector's scores on the calibration days: they come in units from 1e-3 to 1e9.

    The width is from the median to the 98th percentile, so that the tail beyond has a shape and no scale.

    Parameters
    ----------
    rows : ``start`` (datetime64[UTC]) and ``raw_bits`` of one channel
    calibration : first day and the day after the last

    Examples
    --------
    >>> days = pd.date_range("2026-03-02", periods=4, tz="UTC")
    >>> unit(pd.DataFrame({"start": days, "raw_bits": [1.0, 2.0, 3.0, 99.0]}), ("2026-03-02", "2026-03-05"))
    (2.0, 0.96)
    """
    day = rows["start"].dt.normalize()
    low, high = (pd.Timestamp(d, tz="UTC") for d in calibration)
    inside = rows.loc[(day >= low) & (day < high), "raw_bits"]
    if inside.empty:
        return 0.0, 1.0
    middle = float(inside.median())
    return middle, float(inside.quantile(0.98)) - middle or float(inside.std(ddof=0)) or 1.0


def in_units(rows: pd.DataFrame, units: dict[str, tuple[float, float]]) -> pd.DataFrame:
    """The rows with ``raw_bits`` in the unit of their channel: (score - middle) / width.

    Parameters
    ----------
    units : channel -> ``unit``
    """
    middle = rows["channel"].map({c: u[0] for c, u in units.items()}).astype(float)
    width = rows["channel"].map({c: u[1] for c, u in units.items()}).astype(float)
    return rows.assign(raw_bits=(rows["raw_bits"] - middle) / width)


def _lines(
    entrant: Entrant, rows: pd.DataFrame, evidence: Evidence, per_1000: float, gaps: dict[str, int]
) -> dict[str, float]:
    """The line of each channel: what would have opened its share of the budget in the calibration days."""
    if entrant.rule:
        return {channel: np.nextafter(0.0, 1.0) for channel in entrant.shares}
    periods = evidence.periods
    assert periods.calibration is not None
    judged = pd.Index(evidence.days.profiles)
    core = evidence.days.core
    known = judged[core] if core.any() else judged
    days = pd.date_range(*periods.calibration, freq="D", inclusive="left", tz="UTC").as_unit("us")
    lines = {}
    for channel, share in entrant.shares.items():
        heights = thresholds.daily_heights(rows[rows["channel"] == channel], known, days)
        scored = int((heights >= 0).any(axis=0).sum())
        quota = per_1000 / 1000 * len(known) * share * scored
        inside = slice(0, len(days))
        lines[channel] = (
            thresholds.threshold(heights, gaps.get(channel, 1), inside, quota, entrant.least_bits) if scored else np.inf
        )
    return lines


def surprise(fitted: Fitted, evidence: Evidence) -> pd.DataFrame:
    """Scores of other evidence (twins) in the units of the organisation it was fitted on."""
    rows = in_units(_scored(fitted.entrant, fitted.detectors, evidence), fitted.units)
    return _surprise(fitted.entrant, rows, fitted.tails)


def _surprise(entrant: Entrant, rows: pd.DataFrame, tails: dict[str, Tail]) -> pd.DataFrame:
    bits = rows["raw_bits"] if entrant.rule else channels.surprise_bits(rows, tails, entrant.shares)
    return rows.assign(score_bits=bits)


def flagged(fitted: Fitted, rows: pd.DataFrame, per_1000: float, broken: pd.DataFrame) -> pd.DataFrame:
    """Windows beyond the lines of a budget, with their ``incident_uid``; ``broken`` are windows of the policy."""
    lines = rows["channel"].map(fitted.limits[per_1000]).astype(float)
    rows = rows.assign(threshold_bits=lines)
    above = rows[(rows["score_bits"] >= lines) & (rows["score_bits"] > 0)]
    above = channels.with_parts(above.assign(end=above["start"] + above["window"].map(merge.SPAN)))
    if fitted.entrant.policy and len(broken):
        above = pd.concat([above, broken], ignore_index=True)
    return merge.join(above.reset_index(drop=True), fitted.gaps)


def policy_windows(place: Workspace, evidence: Evidence, called: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Rules of the inventory that begin to be broken from the calibration days on, as windows.

    ``called`` is how the evidence calls the profiles of the workspace, where by another name.
    """
    periods = evidence.periods
    assert periods.calibration is not None
    mapped = token_profiles(place)
    found = detect.policy_windows(policy.findings(place, mapped, periods.calibration[0], periods.end))
    return found.assign(profile_uid=found["profile_uid"].map(called)) if called and len(found) else found
