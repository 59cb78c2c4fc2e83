"""Panel: PyOD's Isolation Forest on the deviations, a second opinion on every incident.

Fitted on the first half of the calibration days, ranked among the second half, applied to the reported days: never on
the rows it scores. It gets a share of the budget only where the user gives it one: as an extra channel it lowered the
recall of the five worst scenarios from .364 to .34 (DETECTION.md).
"""

from datetime import date
from typing import Any, Self

import numpy as np
import pandas as pd

from tokenkit.channels.point import _frame
from tokenkit.deviation import CLIP, Evidence, fit_tail
from tokenkit.fingerprint import features

MIN_ROWS = 100


class Panel:
    """Isolation Forest on the day's robust z of every feature."""

    name, title, gap_days = "panel", "PyOD Isolation Forest on deviations", 1
    least_shape = 0.2

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.model: Any = None
        self.tail: Any = None

    def fit(self, evidence: Evidence, start: date, end: date) -> Self:
        """Fit on the first half of ``[start, end)``, rank among the second."""
        from pyod.models.iforest import IForest

        middle = start + (end - start) / 2
        matrix, _, _ = deviation_matrix(evidence, start, middle)
        held, _, _ = deviation_matrix(evidence, middle, end)
        if len(matrix) >= MIN_ROWS and len(held) >= MIN_ROWS:
            self.model = IForest(n_estimators=200, random_state=self.seed, n_jobs=1).fit(matrix)
            self.tail = fit_tail(self.model.decision_function(held))
        return self

    def score(self, evidence: Evidence, start: date, end: date) -> pd.DataFrame:
        """One row an active day: -log2 of the share of held-out days at least as isolated; nothing when unfitted."""
        matrix, profiles, days = deviation_matrix(evidence, start, end)
        bits = self.tail.bits(self.model.decision_function(matrix)) if self.model and len(matrix) else np.zeros(0)
        n = len(bits)
        return _frame(self.name, "day", profiles[:n], days[:n], pd.DataFrame({"panel": bits}))


def deviation_matrix(evidence: Evidence, start: date, end: date) -> tuple[np.ndarray, np.ndarray, pd.DatetimeIndex]:
    """``(X, profile of each row, day of each row)``: robust z of every feature on active days of ``[start, end)``."""
    days = evidence.days
    wanted = (days.days >= pd.Timestamp(start, tz="UTC")) & (days.days < pd.Timestamp(end, tz="UTC"))
    rows, columns = np.nonzero(~np.isnan(days.values["requests"]) & wanted[None, :])
    matrix = np.column_stack([np.nan_to_num(evidence.z[n][rows, columns]) for n in features()])
    return np.clip(matrix, -CLIP, CLIP), days.profiles[rows], days.days[columns]
