"""Calibration: raw scores of the channels become scores, bits of surprise that can be compared and added.

Reads  Evidence. Writes nothing.
A run, a comparison of settings and the bench score by the same steps:

    fitted = fit(detectors, evidence)
    raw = raw_scores(fitted, evidence)
    scores = calibrate(raw, evidence, shares).scores(raw)
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from tokenkit.channels import Detector, detectors, drift
from tokenkit.channels.detector_cache import DetectorCache
from tokenkit.channels.weights import Weights
from tokenkit.config import Detection
from tokenkit.days import Span
from tokenkit.normal.evidence import Evidence
from tokenkit.normal.tail import Tail, fit_tail

LEAST_SHAPE = 0.2  # of the tail of a channel that names none


@dataclass(frozen=True)
class Calibration:
    """What turns raw scores into scores: the tail of each channel's scores on the calibration days.

    Attributes
    ----------
    tails : dict of channel to Tail
    shares : dict of channel to its share of the budget
        A channel with half the share has to be one bit more surprising, so that scores of all channels can be compared.
    units : dict of channel to (middle, width)
        Of channels whose raw scores come in a unit of their own (``unit``); of others they are taken as bits.
    """

    tails: Mapping[str, Tail]
    shares: Mapping[str, float]
    units: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def scores(self, raw: pd.DataFrame) -> pd.DataFrame:
        """The rows with their ``score_bits``. Parts still add up to ``raw_bits``, until ``with_parts`` scales them.

        A row's score does not depend on which other rows are given.
        """
        rows = in_units(raw, self.units) if self.units else raw
        largest = max(self.shares.values(), default=1.0)
        bits = np.zeros(len(rows))
        for channel, at in rows.groupby(rows["channel"].to_numpy(dtype=str)).indices.items():
            share = self.shares.get(channel, 0.0)
            tail_bits = self.tails[channel].bits(rows["raw_bits"].to_numpy()[at])
            bits[at] = np.maximum(tail_bits + share_bits(share, largest), 0.0)
        return rows.assign(score_bits=bits)


def score(
    evidence: Evidence, detection: Detection, cache: DetectorCache | None = None, weights: Weights | None = None
) -> pd.DataFrame:  # fmt: skip
    """Scores of every channel of a run, on the calibration days and the reported days.

    Parameters
    ----------
    detection : shares, panel and seed
    cache : where fitted detectors are kept between runs; None to fit them each time
    weights : of the signs (``weights.of_workspace``); None for those that tokenkit comes with

    Returns
    -------
    DataFrame, one row a profile, window and channel
        ``channels.COLUMNS`` and ``score_bits``; ``parts`` add up to ``score_bits``. With too little history for
        calibration days the raw bits are the score.
    """
    fitted = fit(detectors(detection.panel, detection.seed, cache, weights), evidence)
    raw = raw_scores(fitted, evidence)
    if evidence.periods.calibration is None:
        return raw.assign(score_bits=raw["raw_bits"])
    least_shapes = {one.name: one.least_shape for one in fitted}
    return with_parts(calibrate(raw, evidence, detection.shares, least_shapes).scores(raw))


def fit(detectors: Sequence[Detector], evidence: Evidence, days: Span | None = None) -> list[Detector]:
    """The detectors, fitted on some days; default: the calibration days."""
    start, end = days or evidence.periods.learning
    return [detector.fit(evidence, start, end) for detector in detectors]


def raw_scores(fitted: Sequence[Detector], evidence: Evidence) -> pd.DataFrame:
    """Scores of fitted detectors on the calibration days and the reported days (``channels.COLUMNS``)."""
    periods = evidence.periods
    frames = [detector.score(evidence, periods.first_scored, periods.end) for detector in fitted]
    raw = pd.concat([frame for frame in frames if len(frame)] or frames, ignore_index=True)
    return raw.assign(start=raw["start"].dt.as_unit("us"))


def calibrate(
    raw: pd.DataFrame, evidence: Evidence, shares: Mapping[str, float], least_shapes: Mapping[str, float] | None = None,
    own_units: Collection[str] = (),
) -> Calibration:  # fmt: skip
    """Learn what is rare among a channel's scores from the calibration days.

    The score of a window is -log2 of the share of profile-days of the calibration period whose largest raw score
    was at least as large (generalised Pareto beyond 98%). Only representative profiles are counted (``Days``), and no
    days of confirmed misuse.

    Parameters
    ----------
    raw : as ``raw_scores`` returns it
    shares : share of the budget of each channel
    least_shapes : how heavy the tail of a channel's scores is at least taken to be; default: 0.2 for each
    own_units : channels whose raw scores come in a unit of their own, which is taken out first
    """
    calibration = evidence.periods.calibration
    assert calibration is not None
    units = {
        str(channel): unit(rows, calibration)
        for channel, rows in raw.groupby("channel", sort=False)
        if channel in own_units
    }
    rows = in_units(raw, units) if units else raw
    rows = rows[learned_from(rows, evidence)]
    least = least_shapes or {}
    tails = {str(channel): _tail(part, calibration, least.get(str(channel), LEAST_SHAPE))
             for channel, part in rows.groupby("channel", sort=False)}  # fmt: skip
    for channel in set(raw["channel"]) - set(tails):
        tails[str(channel)] = _tail(raw[:0], calibration, least.get(str(channel), LEAST_SHAPE))
    return Calibration(tails, dict(shares), units)


def learned_from(scores: pd.DataFrame, evidence: Evidence) -> np.ndarray:
    """Which rows tails and thresholds are learned from (bool): representative profiles, without confirmed misuse."""
    days = evidence.days
    representative = scores["profile_uid"].isin(set(days.profiles[days.representative])).to_numpy()
    return representative & without_misuse(scores, evidence)


def without_misuse(scores: pd.DataFrame, evidence: Evidence) -> np.ndarray:
    """Which rows have no confirmed misuse in their days (bool); a row of drift looks at two weeks."""
    days = evidence.days
    if not days.misuse.any():
        return np.ones(len(scores), dtype=bool)
    two_weeks = np.where(np.char.startswith(scores["channel"].to_numpy(dtype=str), "drift"), 1, 0)
    row = pd.Index(days.profiles).get_indexer(scores["profile_uid"])
    column = days.days.get_indexer(scores["start"].dt.normalize().dt.as_unit(days.days.unit))
    return ~np.stack([days.misuse, drift.in_two_weeks(days.misuse)])[two_weeks, row, column]


def share_bits(share: float, largest: float) -> float:
    """Bits that a channel's share of the budget adds to its scores: one bit less for half of the largest share.

    0 for a channel without a share: it is scored as if it had the largest one, and its threshold is infinite.

    Examples
    --------
    >>> share_bits(0.2, 0.4)
    -1.0
    """
    return float(np.log2(share / largest)) if share else 0.0


def with_parts(scores: pd.DataFrame) -> pd.DataFrame:
    """Rows whose parts add up to ``score_bits``, where they added up to ``raw_bits``."""
    factor = scores["score_bits"].to_numpy() / scores["raw_bits"].clip(lower=1e-9).to_numpy()
    parts = [{k: v * f for k, v in p.items()} for p, f in zip(scores["parts"], factor, strict=True)]
    return scores.assign(parts=parts)


def _tail(rows: pd.DataFrame, calibration: Span, least_shape: float) -> Tail:
    """The tail of one channel's largest raw score of each profile-day of the calibration days."""
    start, end = (pd.Timestamp(day, tz="UTC") for day in calibration)
    day = rows["start"].dt.normalize()
    inside = rows[(day >= start) & (day < end)]
    daily = inside.groupby(["profile_uid", inside["start"].dt.normalize()])["raw_bits"].max()
    return fit_tail(daily.to_numpy(), least_shape)


def unit(rows: pd.DataFrame, calibration: Span) -> tuple[float, float]:
    """Middle and width of a detector's scores on the calibration days: they come in units from 1e-3 to 1e9.

    The width is from the median to the 98th percentile, so that the tail beyond has a shape and no scale.

    Parameters
    ----------
    rows : ``start`` (datetime64[UTC]) and ``raw_bits`` of one channel
    calibration : first day and the day after the last

    Examples
    --------
    >>> from datetime import date
    >>> days = pd.date_range("2026-03-02", periods=4, tz="UTC")
    >>> rows = pd.DataFrame({"start": days, "raw_bits": [1.0, 2.0, 3.0, 99.0]})
    >>> unit(rows, (date(2026, 3, 2), date(2026, 3, 5)))
    (2.0, 0.96)
    """
    start, end = (pd.Timestamp(day, tz="UTC") for day in calibration)
    day = rows["start"].dt.normalize()
    inside = rows.loc[(day >= start) & (day < end), "raw_bits"]
    if inside.empty:
        return 0.0, 1.0
    middle = float(inside.median())
    return middle, float(inside.quantile(0.98)) - middle or float(inside.std(ddof=0)) or 1.0


def in_units(rows: pd.DataFrame, units: Mapping[str, tuple[float, float]]) -> pd.DataFrame:
    """Raw scores in the unit of their channel: (score - middle) / width; those of other channels as they are."""
    middle = rows["channel"].map({channel: u[0] for channel, u in units.items()}).astype(float).fillna(0.0)
    width = rows["channel"].map({channel: u[1] for channel, u in units.items()}).astype(float).fillna(1.0)
    return rows.assign(raw_bits=(rows["raw_bits"] - middle) / width)
