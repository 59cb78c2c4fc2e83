"""Protocol: one way to fit, calibrate and judge every contender, which none can flatter (docs/method/evaluation.md).

Reads  benign.Benign, and evidence of its twins. Writes nothing.
A contender is fitted on days before the calibration ends, and shown no later ones; the calibration days turn its scores
into surprise; its thresholds follow the days as a nightly run's do, each from the benign organisation's 14 days before;
it is judged on the days after calibration. Flagged windows merge into incidents by the pipeline's own functions, and
incidents are what the budget counts. A detector that learns from what it is to judge, or whose score of a row depends
on its batch, is refused (``leaks``).
"""

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from tokenkit import channels
from tokenkit.bench.detectors.contender import Contender
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
WINDOW = ["profile_uid", "channel", "window", "start"]  # what tells the scores of a contender apart
RULE_THRESHOLD = np.nextafter(0.0, 1.0)


@dataclass(frozen=True)
class Fitted:
    """A contender on one organisation: its fitted detectors and what turns their scores into flagged windows.

    ``units`` and ``tails`` turn raw scores into surprise, by channel; ``thresholds`` has a table of day x channel for
    each budget; ``scores`` are those of the organisation from the calibration days on; ``gaps`` is how many days may
    lie between windows of one incident, by channel.
    """

    contender: Contender
    detectors: list[Detector]
    units: dict[str, tuple[float, float]]
    tails: dict[str, Tail]
    thresholds: dict[float, pd.DataFrame]
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


def fit(
    ground: Benign, contender: Contender, seed: int, budgets: Sequence[float] = BUDGETS,
    unattacked: Evidence | None = None,
) -> Fitted:  # fmt: skip
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
    evidence, periods = ground.evidence, ground.evidence.periods
    assert periods.reference is not None and periods.calibration is not None
    learn = periods.reference if contender.learns == "reference" else periods.calibration
    shown = until(evidence, pd.Timestamp(learn[1], tz="UTC"))
    begun = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        detectors = [one.fit(shown, *learn) for one in contender.make(seed)]
    fit_s = time.process_time() - begun
    begun = time.process_time()
    rows = _raw_scores(contender, detectors, evidence)
    score_s = time.process_time() - begun
    pipeline = channels.gaps()  # their scores are bits already
    gaps = {d.name: d.gap_days for d in detectors}
    units = {
        str(c): (0.0, 1.0) if contender.rule or c in pipeline else unit(g, periods.calibration)
        for c, g in rows.groupby("channel")
    }
    shapes = {d.name: d.least_shape for d in detectors}
    rows = in_units(rows, units)
    counted = set(evidence.days.profiles[evidence.days.core]) or set(evidence.days.profiles)
    tails = {str(c): channels.channel_tail(g[g["profile_uid"].isin(counted)], *periods.calibration, shapes[str(c)])
             for c, g in rows.groupby("channel")}  # fmt: skip
    rows = _with_surprise(contender, rows, tails)
    fitted = Fitted(contender, detectors, units, tails, {}, rows, fit_s, score_s, gaps)
    benign = rows if unattacked is None else _unattacked_scores(fitted, unattacked)
    return replace(fitted, thresholds={b: _thresholds(fitted, benign, evidence, b) for b in budgets})


def _unattacked_scores(fitted: Fitted, unattacked: Evidence) -> pd.DataFrame:
    """The scores of the organisation, with those of attacked profiles as if nobody attacked in the reported days."""
    rows, start = fitted.scores, pd.Timestamp(unattacked.periods.start, tz="UTC")
    attacked = rows["profile_uid"].isin(unattacked.days.profiles) & (rows["start"] >= start)
    instead = surprise(fitted, unattacked)
    return pd.concat([rows[~attacked], instead[instead["start"] >= start]], ignore_index=True)


def stability(fitted: Fitted, other: Fitted, start: pd.Timestamp) -> float:
    """Rank correlation of two fits' scores of the windows from a moment on (Spearman's; ``ranking.stability``)."""
    first, second = (f.scores[f.scores["start"] >= start].assign(detector="") for f in (fitted, other))
    found = ranking.stability(first, second, WINDOW)
    return float(found["value"].iloc[0]) if len(found) else float("nan")


def _raw_scores(contender: Contender, detectors: list[Detector], evidence: Evidence) -> pd.DataFrame:
    periods = evidence.periods
    assert periods.calibration is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frames = [d.score(evidence, periods.calibration[0], periods.end) for d in detectors]
    for one, rows in zip(detectors, frames, strict=True):
        if other := sorted(set(rows["channel"]) - {one.name}):
            raise DetectorError(
                f"{contender.name}: the channel of its scores is {other[0]!r}, expected its name, {one.name!r}"
            )
    rows = pd.concat([f for f in frames if len(f)] or frames, ignore_index=True)
    bad = ~np.isfinite(rows["raw_bits"].to_numpy(dtype=float))
    if bad.any():
        raise DetectorError(f"{contender.name}: {int(bad.sum())} of {len(rows)} scores are no finite numbers")
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


def _thresholds(fitted: Fitted, rows: pd.DataFrame, evidence: Evidence, per_1000: float) -> pd.DataFrame:
    """The threshold of each channel on each day (day x channel): what would have opened its share of the budget in the
    14 days before.
    """
    periods, contender = evidence.periods, fitted.contender
    assert periods.calibration is not None
    days = pd.date_range(periods.calibration[0], periods.end, freq="D", inclusive="left", tz="UTC").as_unit("us")
    if contender.rule:
        return pd.DataFrame(RULE_THRESHOLD, index=days, columns=list(contender.shares))
    core = evidence.days.core
    counted = pd.Index(evidence.days.profiles[core] if core.any() else evidence.days.profiles)
    heights = {c: thresholds.daily_heights(rows[rows["channel"] == c], counted, days) for c in contender.shares}
    allowed = per_1000 * len(counted) / 1000
    return thresholds.thresholds(heights, fitted.gaps, contender.shares, days, periods.calibration[1], allowed)


def surprise(fitted: Fitted, evidence: Evidence) -> pd.DataFrame:
    """Scores of other evidence (twins) in the units of the organisation it was fitted on."""
    rows = in_units(_raw_scores(fitted.contender, fitted.detectors, evidence), fitted.units)
    return _with_surprise(fitted.contender, rows, fitted.tails)


def _with_surprise(contender: Contender, rows: pd.DataFrame, tails: dict[str, Tail]) -> pd.DataFrame:
    bits = rows["raw_bits"] if contender.rule else channels.surprise_bits(rows, tails, contender.shares)
    return rows.assign(score_bits=bits)


def flagged(fitted: Fitted, rows: pd.DataFrame, per_1000: float, broken: pd.DataFrame) -> pd.DataFrame:
    """The windows at or above the thresholds of a budget, with their ``incident_uid``.

    Parameters
    ----------
    rows : ``surprise``
    broken : ``policy_windows``, which count for a contender with ``policy``
    """
    table = fitted.thresholds[per_1000]
    least = rows["channel"].map(table.min()).astype(float)  # most rows are below every day's: they need no join
    above = merge.flag(rows[(rows["score_bits"] >= least) & (rows["score_bits"] > 0)], table)
    above = channels.with_parts(above)
    if fitted.contender.policy and len(broken):
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
