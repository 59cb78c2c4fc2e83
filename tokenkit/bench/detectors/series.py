"""Series: PyOD's time-series detectors on the calls of each profile's hours, a night at a time.

Reads  Evidence. Writes nothing.
One model a profile. The score of a day is the highest of its 24 hours, and nothing after that day is looked at. Two
ways, as each detector allows:

- *fitted once*: on the hours of the reference; a night scores the day and the 23 hours before it (KShape, SAND,
  TimeSeriesOD).
- *trailing fortnight*: the detector knows only the series that it is given (SpectralResidual transforms it as a whole,
  MatrixProfile cannot score new data), so that a night runs it on the last 14 days, that day included.

Scores of one profile mean nothing beside those of another: each is measured against its own days of the reference.
"""

from collections.abc import Callable
from datetime import date
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd

from tokenkit.bench.detectors.daily import active_days, day_scores
from tokenkit.normal.evidence import Evidence

WINDOW = 24  # hours in a subsequence
TRAILING_DAYS = 14
REFERENCE_NIGHTS = 7  # nights of the reference that say how high a trailing detector's scores ordinarily are
LEAST_ACTIVE_HOURS = 2 * WINDOW  # of the reference: with fewer there is no series to learn from


class Past(NamedTuple):
    """What one profile's reference taught: its model (None of a trailing one), median and spread of its nights."""

    model: Any
    middle: float
    spread: float


class HourlySeries:
    """A time-series detector as a channel: one score for each active day of a profile with enough calls to learn from.

    Parameters
    ----------
    name : of the channel
    make : function that makes an unfitted detector
    trailing : run on the last 14 days each night, instead of fitting once on the reference
    """

    gap_days, least_shape = 1, 0.2

    def __init__(self, name: str, make: Callable[[], Any], trailing: bool) -> None:
        self.name, self.title, self.make, self.trailing = name, name, make, trailing
        self.learn_hours = 0
        self.typical_spread = 1.0
        self.pasts: dict[bytes, Past] = {}  # by the series that they were learned from: a twin has its token's past

    def fit(self, evidence: Evidence, start: date, end: date) -> Self:
        """Learn on which days a profile's own past lies, and how far nights ordinarily spread in the organisation."""
        self.learn_hours = 24 * int(evidence.days.days.searchsorted(pd.Timestamp(end, tz="UTC")))
        series = np.log1p(hourly_calls(evidence))
        spreads = [self._past(row).spread for row in series if self._long_enough(row)]
        # a profile whose nights are all alike would be surprised by anything
        self.typical_spread = max(float(np.median(spreads)) if spreads else 0.0, 1e-9)
        return self

    def score(self, evidence: Evidence, start: date, end: date) -> pd.DataFrame:
        """One row an active day of ``[start, end)``; such a detector gives no reasons."""
        series = np.log1p(hourly_calls(evidence))
        rows, columns = active_days(evidence, start, end)
        values = np.full(len(rows), np.nan)
        for row in np.unique(rows):
            if self._long_enough(series[row]):
                at = rows == row
                values[at] = self._nights(series[row], columns[at])
        scored = ~np.isnan(values)
        days = evidence.days
        return day_scores(self.name, days.profiles[rows[scored]], days.days[columns[scored]], values[scored])

    def _long_enough(self, series: np.ndarray) -> bool:
        return bool((series[: self.learn_hours] > 0).sum() >= LEAST_ACTIVE_HOURS)

    def _nights(self, series: np.ndarray, columns: np.ndarray) -> np.ndarray:
        past = self._past(series)
        if self.trailing:
            heights = np.array([_trailing(self.make(), series, day) for day in columns])
        else:
            heights = np.array([_last_day(past.model, series, day) for day in columns])
        return (heights - past.middle) / np.hypot(past.spread, self.typical_spread)

    def _past(self, series: np.ndarray) -> Past:
        learn = series[: self.learn_hours]
        key = learn.tobytes()
        if key not in self.pasts:
            self.pasts[key] = self._learn(learn)
        return self.pasts[key]

    def _learn(self, learn: np.ndarray) -> Past:
        days = len(learn) // 24
        if self.trailing:
            model = None
            nights = range(max(days - REFERENCE_NIGHTS, TRAILING_DAYS), days)
            heights = np.array([_trailing(self.make(), learn, day) for day in nights])
        else:
            model = self.make().fit(learn)
            heights = np.asarray(model.decision_scores_).reshape(-1, 24).max(axis=1)
        middle = float(np.median(heights)) if len(heights) else 0.0
        spread = float(1.4826 * np.median(np.abs(heights - middle))) if len(heights) else 0.0
        return Past(model, middle, spread)


def hourly_calls(evidence: Evidence) -> np.ndarray:
    """Calls of each profile in each hour of the evidence's days (profile x hour), 0 where there were none."""
    days, hours = evidence.days, evidence.hours
    calls = np.zeros((len(days.profiles), 24 * len(days.days)))
    row = pd.Index(days.profiles).get_indexer(hours["profile_uid"])
    column = ((hours["start"] - days.days[0]) // pd.Timedelta("1h")).to_numpy() if len(hours) else np.zeros(0, int)
    inside = (row >= 0) & (column >= 0) & (column < calls.shape[1])
    calls[row[inside], column[inside]] = hours["requests"].to_numpy(dtype=float)[inside]
    return calls


def _trailing(model: Any, series: np.ndarray, day: int) -> float:
    """Highest score of a day, from the fortnight that ends with it."""
    part = series[24 * max(0, day + 1 - TRAILING_DAYS) : 24 * (day + 1)]
    if np.ptp(part) == 0:
        return 0.0
    return float(np.max(np.nan_to_num(model.fit(part).decision_scores_[-24:], posinf=0.0)))


def _last_day(model: Any, series: np.ndarray, day: int) -> float:
    """Highest score of a day, from its hours and the 23 before."""
    return float(np.max(model.decision_function(series[24 * day - WINDOW + 1 : 24 * (day + 1)])))


# ---- the detectors ----
def spectral_residual(seed: int) -> Any:
    """Saliency of a Fourier transform."""
    from pyod.models.ts_spectral_residual import SpectralResidual

    return SpectralResidual()


def matrix_profile(seed: int) -> Any:
    """Distance of a day's shape to the most similar other one."""
    from pyod.models.ts_matrix_profile import MatrixProfile

    return MatrixProfile(window_size=WINDOW)


def kshape(seed: int) -> Any:
    """Distance of a day's shape to the nearest of three common ones."""
    from pyod.models.ts_kshape import KShape

    return KShape(window_size=WINDOW, random_state=seed)


def sand(seed: int) -> Any:
    """As KShape, with shapes that follow the stream."""
    from pyod.models.ts_sand import SAND

    return SAND(window_size=WINDOW, random_state=seed)


def windowed_iforest(seed: int) -> Any:
    """An Isolation Forest on windows of a day."""
    from pyod.models.iforest import IForest
    from pyod.models.ts_od import TimeSeriesOD

    return TimeSeriesOD(detector=IForest(random_state=seed), window_size=WINDOW)


Make = Callable[[int], Any]
# of each its maker, and whether it runs on the trailing fortnight
SERIES: dict[str, tuple[Make, bool]] = {
    "SpectralResidual": (spectral_residual, True),
    "TimeSeriesOD": (windowed_iforest, False),
    "MatrixProfile": (matrix_profile, True),
    "KShape": (kshape, False),
    "SAND": (sand, False),
}
