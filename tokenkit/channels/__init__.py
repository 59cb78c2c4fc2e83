"""Channels: deviations become scores, one channel a way of being wrong.

Reads  normal.evidence.Evidence. Writes scores (profile x window x channel).
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
from tokenkit.normal.evidence import Evidence

if TYPE_CHECKING:
    from tokenkit.channels.detector_cache import DetectorCache
    from tokenkit.channels.weights import Weights

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


def detectors(
    panel: Sequence[str] = PANEL, seed: int = 0, cache: "DetectorCache | None" = None,
    weights: "Weights | None" = None,
) -> list[Detector]:  # fmt: skip
    """The channels of a run, in the order of the page: ours, then those of installed packages.

    Parameters
    ----------
    panel : detectors of PyOD that make the channel ``panel``, by class name
    seed : of everything random in them
    cache : where fitted ones are kept; None to fit them each time
    weights : of the signs of a day and an hour; None for those that tokenkit comes with

    Raises
    ------
    DetectorError
        An installed package's detector cannot be used; names the package.

    Examples
    --------
    >>> [detector.name for detector in detectors()]
    ['point_hour', 'point_day', 'foreign_objects', 'drift_amounts', 'drift_requests', 'panel']
    """
    from tokenkit.channels.drift import DriftAmounts, DriftRequests
    from tokenkit.channels.foreign import ForeignObjects
    from tokenkit.channels.panel import Panel
    from tokenkit.channels.point import PointDay, PointHour

    ours: list[Detector] = [PointHour(weights), PointDay(weights), ForeignObjects()]
    ours += [DriftAmounts(weights), DriftRequests()]
    ours.append(Panel(panel, seed, cache))
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


def score_rows(channel: str, window: str, profiles: np.ndarray, start: pd.Series, parts: pd.DataFrame) -> pd.DataFrame:
    """Scores as the table that a detector returns (``COLUMNS``); parts of zero are left out.

    Parameters
    ----------
    window : ``hour`` or ``day``
    profiles, start : profile and start of each row
    parts : DataFrame, one column a part (bits, which add up to the raw score)
    """
    names, values = list(parts.columns), parts.to_numpy()
    dicts = [{n: float(v) for n, v in zip(names, row, strict=True) if v > 0} for row in values]
    return pd.DataFrame(
        {"profile_uid": profiles, "window": window, "start": pd.DatetimeIndex(start), "channel": channel,
         "raw_bits": values.sum(axis=1), "parts": dicts}
    )  # fmt: skip
