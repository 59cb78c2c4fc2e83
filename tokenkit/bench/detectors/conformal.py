"""Conformal: p-values of the library nonconform, and those that it would select at a false discovery rate.

Reads  Evidence. Writes nothing.
The library needs a newer Python than tokenkit does, so its contenders take part where it is installed.
"""

from datetime import date
from importlib.util import find_spec
from typing import Any, Self

import numpy as np

from tokenkit.bench.detectors.contender import Contender
from tokenkit.bench.detectors.daily import active_days
from tokenkit.bench.detectors.rows import Rows
from tokenkit.channels.panel import detector
from tokenkit.normal.evidence import Evidence

GROUP, LIBRARY = "conformal", "nonconform"
AT_FDR = f"{LIBRARY} at FDR 10%"
NAMES = (GROUP, LIBRARY, AT_FDR)
MISSING = f"{LIBRARY} is not installed: it needs Python 3.12 or newer, and pip install {LIBRARY}"
FDR = 0.1
HELD = 0.5  # of the rows; p-values are ranks among these, and with fewer than 1 / FDR days of them none is small enough


def installed() -> bool:
    """Whether the library is there."""
    return find_spec(LIBRARY) is not None


def contenders() -> list[Contender]:
    """Both contenders: the p-value as a score, at the budget of all others, and selected at the rate, without one.

    Examples
    --------
    >>> [(one.name, one.without_budget) for one in contenders()]
    [('nonconform', False), ('nonconform at FDR 10%', True)]
    """

    def one(kind: type[Rows], name: str, without_budget: bool) -> Contender:
        return Contender(name, lambda seed: [kind(name, PValues(seed))], {name: 1.0}, GROUP, "reference",
                         without_budget)  # fmt: skip

    return [one(Rows, LIBRARY, False), one(Discoveries, AT_FDR, True)]


class PValues:
    """An Isolation Forest of PyOD that says how rare a row's score is among rows that were held back from its fit."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.model: Any = None

    def fit(self, rows: np.ndarray) -> Self:
        """Fit on one half of the rows, drawn at random, and keep the scores of the other."""
        from nonconform import ConformalDetector, Split

        self.model = ConformalDetector(detector("IForest", self.seed), Split(n_calib=HELD), seed=self.seed)
        self.model.detector.set_params(n_jobs=1)  # the library asks for every processor
        self.model.fit(rows)
        return self

    def p_values(self, rows: np.ndarray) -> np.ndarray:
        """(1 + held scores at least as high) / (1 + held scores), of each row by itself."""
        return np.asarray(self.model.compute_p_values(rows))

    def decision_function(self, rows: np.ndarray) -> np.ndarray:
        """-log2 of the p-values, higher for what is more abnormal."""
        return -np.log2(self.p_values(rows))


class Discoveries(Rows):
    """1 for a row that Benjamini-Hochberg would select as the only one of a usual day, else 0.

    The procedure itself compares the p-values of one day with each other, and a score must not depend on the rows
    beside it (``leaks``). So its first step is kept, which is Bonferroni's: p is at most FDR / rows, with the median
    number of rows of a day that it is fitted on. Where a day has k discoveries, the procedure asks for k times that.
    """

    most = 0.0

    def fit(self, evidence: Evidence, start: date, end: date) -> Self:
        """Fit as ``Rows``, and count the rows of a day."""
        super().fit(evidence, start, end)
        _, columns = active_days(evidence, start, end)
        self.most = FDR / float(np.median(np.unique(columns, return_counts=True)[1]))
        return self

    def _values(self, matrix: np.ndarray) -> np.ndarray:
        return (self.estimator.p_values(self._standardised(matrix)) <= self.most).astype(float)
