"""Channels: deviations become scores, one channel a way of being wrong.

Reads  deviation.Evidence. Writes scores (profile x window x channel).
Each channel is a ``Detector``: fitted on one period, applied to another. Spikes and drift need separate channels, each
with its own threshold: one maximum over all drift features cut the recall of a +60% leak from .82 to .61
(DETECTION.md).
"""

from datetime import date
from typing import Protocol

import numpy as np
import pandas as pd

from tokenkit.deviation import Evidence, Tail, fit_tail

COLUMNS = ["profile_uid", "window", "start", "channel", "raw_bits", "parts"]


class Detector(Protocol):
    """What a channel is.

    ``name`` is the channel's, ``gap_days`` how far apart its windows may lie in one incident, ``least_shape`` how heavy
    the tail of its raw scores is at least taken to be when they are calibrated.
    """

    name: str
    title: str
    gap_days: int
    least_shape: float

    def fit(self, evidence: Evidence, start: date, end: date) -> "Detector":
        """Learn from the days ``[start, end)``."""
        ...

    def score(self, evidence: Evidence, start: date, end: date) -> pd.DataFrame:
        """Score the days ``[start, end)``: ``COLUMNS``; ``parts`` is a dict of bits that add up to ``raw_bits``."""
        ...


def detectors() -> list[Detector]:
    """The channels of a run, in the order of the page."""
    from tokenkit.channels.drift import DriftAmounts, DriftRequests
    from tokenkit.channels.panel import Panel
    from tokenkit.channels.point import PointDay, PointHour

    return [PointHour(), PointDay(), DriftAmounts(), DriftRequests(), Panel()]


def calibrate(
    scores: pd.DataFrame, start: date, end: date, shares: dict[str, float], core: set[str] | None = None
) -> pd.DataFrame:
    """Turn each channel's raw bits into calibrated surprise, so that channels can be compared and added.

    The calibrated surprise of a window is -log2 of the share of profile-days of the calibration period ``[start, end)``
    whose largest raw score was at least as large (generalised Pareto beyond 98%). The parts are scaled with it and
    still add up. It does not depend on which other windows are scored.
    Only the profiles of ``core`` (those with the frozen reference; None for all) are counted.
    A channel with half the share of the budget has to be one bit more surprising: so one line holds for all of them,
    and
    an incident of one channel ranks fairly beside one of another.
    """
    scored = []
    shapes = {d.name: d.least_shape for d in detectors()}
    largest = max(shares.values(), default=1.0)
    for channel, rows in scores.groupby("channel", sort=False):
        known = rows if core is None else rows[rows["profile_uid"].isin(core)]
        tail = channel_tail(known, start, end, shapes.get(str(channel), 0.2))
        prior = np.log2(shares.get(str(channel), 0.0) / largest) if shares.get(str(channel)) else 0.0
        bits = np.maximum(tail.bits(rows["raw_bits"].to_numpy()) + prior, 0.0)
        factor = bits / rows["raw_bits"].clip(lower=1e-9).to_numpy()
        parts = [{k: v * f for k, v in p.items()} for p, f in zip(rows["parts"], factor, strict=True)]
        scored.append(rows.assign(score_bits=bits, parts=parts, channel=channel))
    return pd.concat(scored, ignore_index=True) if scored else scores.assign(score_bits=0.0)


def channel_tail(rows: pd.DataFrame, start: date, end: date, least_shape: float) -> Tail:
    """The tail of one channel's largest raw score of each profile-day in ``[start, end)``."""
    day = rows["start"].dt.normalize()
    inside = rows[(day >= pd.Timestamp(start, tz="UTC")) & (day < pd.Timestamp(end, tz="UTC"))]
    daily = inside.groupby(["profile_uid", inside["start"].dt.normalize()])["raw_bits"].max()
    return fit_tail(daily.to_numpy(), least_shape)
