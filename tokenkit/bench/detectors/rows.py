"""Rows: a detector from any estimator with ``fit(X)`` and ``decision_function(X)``: of PyOD, scikit-learn, or yours.

Reads  Evidence. Writes nothing.
"""

from datetime import date
from typing import Any, Self

import numpy as np
import pandas as pd

from tokenkit.bench.detectors.daily import day_scores
from tokenkit.bench.detectors.views import VIEWS
from tokenkit.errors import DetectorError
from tokenkit.normal.evidence import Evidence


class Rows:
    """An estimator of rows on one view of the evidence (``views.VIEWS``).

    Raw features are standardised by the days that it is fitted on; columns that are constant on them are left out (PCA
    and MCD divide by their spread). Scores have PyOD's sign: higher is more abnormal.
    """

    gap_days, least_shape = 1, 0.2

    def __init__(self, name: str, estimator: Any, view: str = "deviations+novelty") -> None:
        self.name, self.title, self.estimator, self.view = name, name, estimator, view
        self.varies = np.zeros(0, dtype=bool)
        self.middle = self.spread = np.zeros(0)

    def fit(self, evidence: Evidence, start: date, end: date) -> Self:
        """Fit on the active days of ``[start, end)``, days of confirmed misuse left out."""
        matrix, _, _ = VIEWS[self.view](evidence, start, end, learn=True)
        self.varies = np.ptp(matrix, axis=0) > 0
        raw = self.view == "raw"
        self.middle = matrix.mean(axis=0) if raw else np.zeros(matrix.shape[1])
        self.spread = matrix.std(axis=0) if raw else np.ones(matrix.shape[1])
        self.estimator.fit(self._standardised(matrix))
        return self

    def score(self, evidence: Evidence, start: date, end: date) -> pd.DataFrame:
        """One row an active day of ``[start, end)``; such an estimator gives no reasons."""
        matrix, profiles, days = VIEWS[self.view](evidence, start, end)
        return day_scores(self.name, profiles, days, self._values(matrix) if len(matrix) else np.zeros(0))

    def _values(self, matrix: np.ndarray) -> np.ndarray:
        values = higher_is_abnormal(self.estimator, self._standardised(matrix))
        if values.shape != (len(matrix),):
            raise DetectorError(
                f"{self.name}: decision_function of {len(matrix)} rows gave {len(values)} scores; expected one number "
                "for each row"
            )
        return values

    def _standardised(self, matrix: np.ndarray) -> np.ndarray:
        return ((matrix - self.middle) / np.where(self.spread > 0, self.spread, 1.0))[:, self.varies]


class Flagger(Rows):
    """An estimator's own labels (``predict``) in the place of its scores: what its contamination makes of them.

    The score is 1 for a day that it calls an outlier, else 0.
    """

    def _values(self, matrix: np.ndarray) -> np.ndarray:
        return np.asarray(self.estimator.predict(self._standardised(matrix)), dtype=float)


def higher_is_abnormal(model: Any, rows: np.ndarray) -> np.ndarray:
    """Scores with PyOD's sign: scikit-learn's own outlier detectors give more to what is more normal."""
    from sklearn.base import OutlierMixin

    values = np.asarray(model.decision_function(rows), dtype=float).reshape(-1)
    return -values if isinstance(model, OutlierMixin) else values
