"""Series: PyOD's time-series detectors on each profile's hourly series, a night at a time.

Reads  Case.hourly. Writes nothing.
One model a profile. The score of a day is the highest of its 24 hours, and nothing after that day is seen. Two ways,
as each detector allows:

- *fitted once*: on the reference hours; a night scores the day and the 23 hours before it (KShape, SAND,
  TimeSeriesOD).
- *trailing fortnight*: the detector knows only the series it is given (SpectralResidual transforms it as a whole,
  MatrixProfile cannot score new data), so that a night runs it on the last 14 days, that day included.

Scores of one profile mean nothing beside those of another: each is measured against its own days of the reference.
"""

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from tokenkit.bench.cases import Case

WINDOW = 24  # hours in a subsequence
TRAILING_DAYS = 14
REFERENCE_NIGHTS = 7  # nights of the reference that say how high a trailing detector's scores usually are
LEAST_ACTIVE_HOURS = 2 * WINDOW  # of the reference: less is no series

Make = Callable[[int], Any]


def spectral_residual(seed: int) -> Any:
    """Saliency of a Fourier transform."""
    from pyod.models.ts_spectral_residual import SpectralResidual

    return SpectralResidual()


def matrix_profile(seed: int) -> Any:
    """Distance of a day's shape to the most similar other one."""
    from pyod.models.ts_matrix_profile import MatrixProfile

    return MatrixProfile(window_size=WINDOW)


def kshape(seed: int) -> Any:
    """Distance of a day's shape to the nearest of three usual ones."""
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


def nightly(case: Case, quantity: str, make: Make, seed: int, trailing: bool) -> tuple[pd.DataFrame, float, float]:
    """Scores of every active profile-day from the first calibration day on, and CPU seconds to fit and to score.

    Parameters
    ----------
    quantity : of ``cases.SERIES``; its logarithm is the series
    make : function of a seed that makes an unfitted detector
    trailing : run on the last 14 days each night, instead of fitting once on the reference

    Returns
    -------
    (DataFrame of ``profile_uid``, ``start`` (day), ``score``; CPU seconds to fit; CPU seconds to score)
        A profile with too short a series (under 48 active reference hours) has no score.
    """
    days = case.evidence.days
    active = ~np.isnan(days.values["requests"])
    scored = np.flatnonzero(days.days >= pd.Timestamp(case.calibration[0], tz="UTC"))
    last_reference = int(scored[0])
    rows, fit_s, score_s = [], 0.0, 0.0
    for k, uid in enumerate(days.profiles):
        series = np.log1p(case.hourly[quantity][k])
        learn = series[: 24 * last_reference]
        if (learn > 0).sum() < LEAST_ACTIVE_HOURS:
            continue
        wanted = scored[active[k, scored]]
        begun = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if trailing:
                nights = range(max(last_reference - REFERENCE_NIGHTS, TRAILING_DAYS), last_reference)
                usual = np.array([_trailing(make(seed), series, d) for d in nights])
                fitted = time.process_time()
                values = np.array([_trailing(make(seed), series, d) for d in wanted])
            else:
                model = make(seed).fit(learn)
                usual = np.asarray(model.decision_scores_).reshape(-1, 24).max(axis=1)
                fitted = time.process_time()
                values = np.array([_night(model, series, d) for d in wanted])
        fit_s, score_s = fit_s + fitted - begun, score_s + time.process_time() - fitted
        rows.append(
            pd.DataFrame({"profile_uid": uid, "start": days.days[wanted], "score": values,
                          "usual": np.median(usual), "spread": 1.4826 * np.median(np.abs(usual - np.median(usual)))})
        )  # fmt: skip
    if not rows:
        return pd.DataFrame({"profile_uid": [], "start": days.days[:0], "score": []}), fit_s, score_s
    frame = pd.concat(rows, ignore_index=True)
    typical = max(float(frame["spread"].median()), 1e-9)  # a spread of nothing would make anything a surprise
    score = (frame["score"] - frame["usual"]) / np.hypot(frame["spread"], typical)
    return frame[["profile_uid", "start"]].assign(score=score), fit_s, score_s


def _trailing(model: Any, series: np.ndarray, day: int) -> float:
    """Highest score of a day, from the fortnight that ends with it."""
    part = series[24 * max(0, day + 1 - TRAILING_DAYS) : 24 * (day + 1)]
    if np.ptp(part) == 0:
        return 0.0
    return float(np.max(np.nan_to_num(model.fit(part).decision_scores_[-24:], posinf=0.0)))


def _night(model: Any, series: np.ndarray, day: int) -> float:
    """Highest score of a day, from its hours and the 23 before."""
    return float(np.max(model.decision_function(series[24 * day - WINDOW + 1 : 24 * (day + 1)])))
