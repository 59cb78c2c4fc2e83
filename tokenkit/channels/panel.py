"""Panel: PyOD detectors on the deviations, a second opinion on every incident.

Fitted on the first half of the calibration days, ranked among the second half, applied to the reported days: never on
the rows they score. Each detector's score becomes bits (how rare among the held-out days), and the panel's score is
their mean: ranks are combined, never raw scores. It gets a share of the budget only where the user gives it one
(docs/method/channels.md).

Any detector of PyOD may be named. Whether it may run on a schedule is tested on the rows at hand and not looked up in a
list: the score of a row must not change with the batch that it is scored in (``batch_invariant``).
"""

import hashlib
from collections.abc import Sequence
from datetime import date
from typing import Any, Self

import numpy as np
import pandas as pd

from tokenkit.channels import detector_cache, score_rows
from tokenkit.config import PANEL
from tokenkit.errors import DetectorError, did_you_mean
from tokenkit.fingerprint import features
from tokenkit.normal.deviation import CLIP
from tokenkit.normal.evidence import Evidence
from tokenkit.normal.tail import Tail, fit_tail

MIN_ROWS = 100
TESTED_ROWS = 40  # of the held-out days, scored alone and in other company
LEAST_BITS = 1e-6  # so that a detector that sees nothing is still named among the parts
TOLERANCE = 1e-8  # of matrix products, whose last bits depend on the shape of the batch

# what differs from PyOD's defaults
OPTIONS: dict[str, dict[str, Any]] = {
    "IForest": {"n_estimators": 200, "n_jobs": 1},
    "PCA": {"n_components": 0.99},  # it divides by each component's variance, and of features that never move that is 0
}


class Panel:
    """PyOD detectors on the day's robust z of every feature; ``parts`` are one ``panel_<Detector>`` each."""

    name, title, gap_days = "panel", "PyOD detectors on deviations", 1
    least_shape = 0.2

    def __init__(
        self, names: Sequence[str] = PANEL, seed: int = 0, cache: detector_cache.DetectorCache | None = None
    ) -> None:
        self.names = tuple(names)
        self.seed = seed
        self.cache = cache
        self.members: dict[str, tuple[Any, Tail]] = {}
        self.fitted_until = date.min

    def fit(self, evidence: Evidence, start: date, end: date) -> Self:
        """Fit on the first half of ``[start, end)``, rank among the second; with too few rows nobody is fitted.

        Raises
        ------
        DetectorError
            A detector scores a row by the batch that it stands in.
        """
        self.fitted_until = middle = start + (end - start) / 2
        matrix, _, _ = deviation_matrix(evidence, start, middle, learn=True)
        held, _, _ = deviation_matrix(evidence, middle, end, learn=True)
        if len(matrix) < MIN_ROWS or len(held) < MIN_ROWS:
            return self
        for name in self.names:
            model = self._fitted(name, matrix, held[:TESTED_ROWS])
            self.members[name] = (model, fit_tail(model.decision_function(held)))
        return self

    def _fitted(self, name: str, matrix: np.ndarray, tested: np.ndarray) -> Any:
        """The detector, from the cache where the same rows were fitted before by the same versions; tested when new."""
        model = detector(name, self.seed)

        def fit() -> Any:
            model.fit(matrix)
            if not batch_invariant(model, tested):
                raise DetectorError(
                    f"detection.panel: {name} gives a row another score in another batch, so a night's page would "
                    f"depend on which other tokens were scored with it. Name others, such as {', '.join(PANEL)}"
                )
            return model

        if self.cache is None:
            return fit()
        made_of = hashlib.sha256(repr((matrix.shape, self.seed, model)).encode() + matrix.tobytes()).hexdigest()[:16]
        return self.cache.get(f"panel-{name}", made_of, fit)

    def score(self, evidence: Evidence, start: date, end: date) -> pd.DataFrame:
        """One row an active day after those it was fitted on.

        The mean over the detectors of -log2 of the share of held-out days as abnormal.
        """
        first = max(start, self.fitted_until)  # never what it was fitted on
        matrix, profiles, days = deviation_matrix(evidence, first, end)
        n = len(matrix) if self.members else 0
        bits = {
            f"panel_{name}": np.maximum(tail.bits(model.decision_function(matrix)), LEAST_BITS) / len(self.members)
            for name, (model, tail) in self.members.items()
        } if n else {}  # fmt: skip
        return score_rows(self.name, "day", profiles[:n], days[:n], pd.DataFrame(bits, index=range(n)))


def detector(name: str, seed: int) -> Any:
    """A detector of PyOD by its class name, not fitted.

    Raises
    ------
    DetectorError
        PyOD has none of that name, or it needs a library that is not installed; says what exists.

    Examples
    --------
    >>> type(detector("IForest", seed=0)).__name__
    'IForest'
    >>> detector("IForrest", seed=0)
    Traceback (most recent call last):
    tokenkit.errors.DetectorError: PyOD has no detector IForrest: did you mean IForest?
    """
    import inspect
    import pkgutil
    from importlib import import_module

    import pyod.models
    from pyod.models.base import BaseDetector

    modules = {m.name.replace("_", ""): m.name for m in pkgutil.iter_modules(pyod.models.__path__)}
    if name.lower() not in modules:
        usual = ["IForest", "LODA", "HBOS", "PCA", "ECOD", "COPOD", "KNN", "LOF", "GMM", "INNE", "MCD", "OCSVM", "KDE"]
        raise DetectorError(f"PyOD has no detector {name}: {did_you_mean(name, usual)}")
    try:
        module = import_module(f"pyod.models.{modules[name.lower()]}")
    except ImportError as error:
        raise DetectorError(f"detector {name} of PyOD needs a library that is not installed: {error}") from error
    found = [c for n, c in inspect.getmembers(module, inspect.isclass) if n.lower() == name.lower()]
    if not found or not issubclass(found[0], BaseDetector):
        raise DetectorError(f"pyod.models.{modules[name.lower()]} holds no detector {name}")
    if found[0].__name__ != name:
        raise DetectorError(f"PyOD has no detector {name}: did you mean {found[0].__name__}?")
    options = dict(OPTIONS.get(name, {}))
    if "random_state" in inspect.signature(found[0].__init__).parameters:
        options["random_state"] = seed
    try:
        return found[0](**options)
    except TypeError as error:
        raise DetectorError(f"detector {name} of PyOD cannot be made by its name alone: {error}") from error


def batch_invariant(model: Any, rows: np.ndarray) -> bool:
    """Whether a fitted detector gives each row the same score in any batch: all rows, their reverse, a half, itself.

    By itself goes every fifth row: one call each, which takes a forest 15 ms.

    Parameters
    ----------
    model : has ``decision_function``
    rows : array of rows x features that it was not fitted on

    Examples
    --------
    >>> class ByRank:
    ...     def decision_function(self, rows):
    ...         return rows[:, 0].argsort().argsort()
    >>> batch_invariant(ByRank(), np.array([[3.0], [1.0], [2.0]]))
    False
    """
    together = np.asarray(model.decision_function(rows), dtype=float)
    places = np.arange(len(rows))
    batches = [places[::-1], *np.array_split(places, min(2, len(rows))), *np.array_split(places[::5], len(places[::5]))]
    return all(
        np.allclose(model.decision_function(rows[batch]), together[batch], rtol=TOLERANCE, atol=TOLERANCE)
        for batch in batches
    )


def deviation_matrix(
    evidence: Evidence, start: date, end: date, learn: bool = False
) -> tuple[np.ndarray, np.ndarray, pd.DatetimeIndex]:
    """``(X, profile of each row, day of each row)``: robust z of every feature on active days of ``[start, end)``.

    The columns are ``matrix_features(evidence)``. To ``learn``, days of confirmed misuse are left out.
    """
    days = evidence.days
    rows, columns = days.active_cells(start, end, ~days.misuse if learn else None)
    matrix = np.column_stack([np.nan_to_num(evidence.z[n][rows, columns]) for n in matrix_features(evidence)])
    return np.clip(matrix, -CLIP, CLIP), days.profiles[rows], days.days[columns]


def matrix_features(evidence: Evidence) -> list[str]:
    """The columns of ``deviation_matrix``: the features that have a deviation, in the order of the registry."""
    return [name for name in features() if name in evidence.z]
