"""Channels: deviations become scores, one channel a way of being wrong.

Reads  deviation.Evidence. Writes scores (profile x window x channel).
Each channel is a ``Detector``: fitted on one period, applied to another. Spikes and drift need separate channels, each
with its own threshold: one maximum over everything drowns what is slow in what is loud (docs/method/channels.md).
"""

from collections.abc import Callable, Sequence
from datetime import date
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd

from tokenkit import plugins
from tokenkit.config import CHANNELS, DETECTORS_GROUP, PANEL
from tokenkit.errors import DetectorError
from tokenkit.normal.deviation import Evidence, Tail, fit_tail

if TYPE_CHECKING:
    from tokenkit.channels.detector_cache import Shelf

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


def detectors(panel: Sequence[str] = PANEL, seed: int = 0, shelf: "Shelf | None" = None) -> list[Detector]:
    """The channels of a run, in the order of the page: ours, then those of installed packages.

    Parameters
    ----------
    panel : detectors of PyOD that make the channel ``panel``, by class name
    seed : of everything random in them
    shelf : where fitted ones are kept; None to fit them each time

    Raises
    ------
    DetectorError
        An installed package's detector cannot be used; names the package.

    Examples
    --------
    >>> [detector.name for detector in detectors()]
    ['point_hour', 'point_day', 'drift_amounts', 'drift_requests', 'panel']
    """
    from tokenkit.channels.drift import DriftAmounts, DriftRequests
    from tokenkit.channels.panel import Panel
    from tokenkit.channels.point import PointDay, PointHour

    ours: list[Detector] = [PointHour(), PointDay(), DriftAmounts(), DriftRequests(), Panel(panel, seed, shelf)]
    return ours + [make() for make in _installed().values()]


def gaps() -> dict[str, int]:
    """Days that may lie between two windows of one incident, by channel."""
    return {detector.name: detector.gap_days for detector in detectors()}


def package_of(channel: str) -> str:
    """The package that brings a channel.

    Examples
    --------
    >>> package_of("point_hour")
    'tokenkit'
    """
    found = [p.dist.name for p in entry_points(group=DETECTORS_GROUP) if p.name == channel and p.dist]
    return found[0] if found else "tokenkit"


@cache
def _installed() -> dict[str, Callable[[], Detector]]:
    """The detectors of other packages: entry points of the group, each a class (or function) without arguments."""
    found: dict[str, Callable[[], Detector]] = {}
    for point, package, make in plugins.installed(DETECTORS_GROUP, "detector", DetectorError):
        remedy = plugins.remedy(package)
        try:
            detector = make()
        except Exception as error:  # as where it is loaded
            raise DetectorError(
                f"detector {point.name!r} of package {package} cannot be made without arguments: "
                f"{type(error).__name__}: {error}. {remedy}"
            ) from error
        lacks = [a for a in ("name", "title", "gap_days", "least_shape", "fit", "score") if not hasattr(detector, a)]
        if lacks:
            raise DetectorError(f"detector {point.name!r} of package {package} has no {', '.join(lacks)}. {remedy}")
        if detector.name != point.name or point.name in (*CHANNELS, *found):
            raise DetectorError(
                f"detector {point.name!r} of package {package} calls itself {detector.name!r}: the entry point and the"
                f" attribute name must be the same, and no other channel's. {remedy}"
            )
        found[point.name] = make
    return found


def calibrate(
    scores: pd.DataFrame, start: date, end: date, shares: dict[str, float], core: set[str] | None = None,
    teaches: np.ndarray | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Turn each channel's raw bits into calibrated surprise, so that channels can be compared and added.

    The calibrated surprise of a window is -log2 of the share of profile-days of the calibration period ``[start, end)``
    whose largest raw score was at least as large (generalised Pareto beyond 98%). The parts are scaled with it and
    still add up. It does not depend on which other windows are scored.
    Only the profiles of ``core`` (those with the frozen reference; None for all) are counted, and of their rows those
    that ``teaches`` marks (bool; None for all): confirmed misuse does not say what is ordinary.
    A channel with half the share of the budget has to be one bit more surprising: so one line holds for all of them,
    and an incident of one channel ranks fairly beside one of another.
    """
    return in_surprise(scores, tails(scores, start, end, core, teaches), shares)


def tails(
    scores: pd.DataFrame, start: date, end: date, core: set[str] | None = None, teaches: np.ndarray | None = None
) -> dict[str, Tail]:
    """The tail of each channel on the calibration days ``[start, end)``: the parameters as for ``calibrate``."""
    shapes = {d.name: d.least_shape for d in detectors()}
    made = {}
    for channel, rows in scores.groupby("channel", sort=False):
        known = rows if teaches is None else rows[pd.Series(teaches, index=scores.index).loc[rows.index]]
        known = known if core is None else known[known["profile_uid"].isin(core)]
        made[str(channel)] = channel_tail(known, start, end, shapes.get(str(channel), 0.2))
    return made


def in_surprise(scores: pd.DataFrame, tails: dict[str, Tail], shares: dict[str, float]) -> pd.DataFrame:
    """Scores with ``score_bits``, their calibrated surprise, and parts that add up to it (see ``calibrate``)."""
    return with_parts(scores.assign(score_bits=surprise_bits(scores, tails, shares)))


def surprise_bits(scores: pd.DataFrame, tails: dict[str, Tail], shares: dict[str, float]) -> np.ndarray:
    """Calibrated surprise of each row, in bits."""
    largest = max(shares.values(), default=1.0)
    bits = np.zeros(len(scores))
    for channel, rows in scores.groupby(scores["channel"].to_numpy(dtype=str)).indices.items():
        share = shares.get(channel, 0.0)
        prior = np.log2(share / largest) if share else 0.0
        bits[rows] = np.maximum(tails[channel].bits(scores["raw_bits"].to_numpy()[rows]) + prior, 0.0)
    return bits


def with_parts(scores: pd.DataFrame) -> pd.DataFrame:
    """Rows whose parts add up to ``score_bits``, where they added up to ``raw_bits``."""
    factor = scores["score_bits"].to_numpy() / scores["raw_bits"].clip(lower=1e-9).to_numpy()
    parts = [{k: v * f for k, v in p.items()} for p, f in zip(scores["parts"], factor, strict=True)]
    return scores.assign(parts=parts)


def channel_tail(rows: pd.DataFrame, start: date, end: date, least_shape: float) -> Tail:
    """The tail of one channel's largest raw score of each profile-day in ``[start, end)``."""
    day = rows["start"].dt.normalize()
    inside = rows[(day >= pd.Timestamp(start, tz="UTC")) & (day < pd.Timestamp(end, tz="UTC"))]
    daily = inside.groupby(["profile_uid", inside["start"].dt.normalize()])["raw_bits"].max()
    return fit_tail(daily.to_numpy(), least_shape)
