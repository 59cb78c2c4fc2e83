"""ADEngine: what PyOD itself recommends for some data, as a table and as an estimator.

Reads  Evidence. Writes nothing. It answers by rules of its own: no model is asked, nothing goes online.
"""

from typing import Any, Self

import numpy as np
import pandas as pd

from tokenkit.bench.detectors.series import hourly_calls
from tokenkit.bench.detectors.views import VIEWS
from tokenkit.normal.evidence import Evidence


class RecommendedDetector:
    """The detector that ADEngine recommends for the rows that it is fitted on."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.detector: Any = None

    def fit(self, rows: np.ndarray) -> Self:
        """Ask for a recommendation, make that detector and fit it."""
        from pyod.utils.ad_engine import ADEngine

        self.detector = ADEngine(random_state=self.seed).build_detector(recommendation(rows, self.seed))
        self.detector.fit(rows)
        return self

    def decision_function(self, rows: np.ndarray) -> np.ndarray:
        """Its scores, higher for what is more abnormal."""
        return np.asarray(self.detector.decision_function(rows))


def recommendation(rows: np.ndarray, seed: int = 0, data_type: str | None = None) -> dict[str, Any]:
    """ADEngine's plan for some data.

    Examples
    --------
    >>> sorted(recommendation(np.zeros((1000, 20))))[:3]
    ['alternatives', 'confidence', 'detector_name']
    """
    from pyod.utils.ad_engine import ADEngine

    engine = ADEngine(random_state=seed)
    return dict(engine.plan_detection(engine.profile_data(rows, data_type=data_type), priority="balanced"))


def advice(evidence: Evidence, seed: int = 0) -> pd.DataFrame:
    """What ADEngine recommends for each view and for an hourly series: ``recommends``, ``reason``, ``next`` (two)."""
    reference = evidence.periods.reference
    assert reference is not None
    data: dict[str, tuple[np.ndarray, str | None]] = {
        name: (view(evidence, *reference, learn=True)[0], None) for name, view in VIEWS.items()
    }
    data["hourly series"] = (np.log1p(hourly_calls(evidence)[0]), "time_series")
    rows = {}
    for name, (values, kind) in data.items():
        plan = recommendation(values, seed, kind)
        alternatives = ", ".join(other["detector_name"] for other in plan["alternatives"])
        rows[name] = {"recommends": plan["detector_name"], "reason": plan["reason"], "next": alternatives}
    return pd.DataFrame.from_dict(rows, orient="index")
