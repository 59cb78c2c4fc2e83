"""Views: what a detector of rows is shown of an organisation: raw features, or deviations from each profile's past.

Reads  Evidence. Writes nothing.
One row is an active profile-day. Each view is a function of evidence, first day and end that returns the matrix
(rows x columns), the profile of each row, and its day.
"""

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import pandas as pd

from tokenkit.bench.detectors.daily import active_days
from tokenkit.channels.panel import deviation_matrix, matrix_features
from tokenkit.days import MIN_DAYS
from tokenkit.normal.evidence import NOVELTIES, Evidence

View = Callable[..., tuple[np.ndarray, np.ndarray, pd.DatetimeIndex]]


def raw(
    evidence: Evidence, start: date, end: date, learn: bool = False
) -> tuple[np.ndarray, np.ndarray, pd.DatetimeIndex]:
    """log1p of every feature on active days of ``[start, end)``; to ``learn``, without days of confirmed misuse."""
    days = evidence.days
    rows, columns = active_days(evidence, start, end)
    if learn:
        usable = ~days.misuse[rows, columns]
        rows, columns = rows[usable], columns[usable]
    features = [days.values[name][rows, columns] for name in matrix_features(evidence)]
    return np.log1p(np.nan_to_num(np.column_stack(features))), days.profiles[rows], days.days[columns]


def with_novelty(
    evidence: Evidence, start: date, end: date, learn: bool = False
) -> tuple[np.ndarray, np.ndarray, pd.DatetimeIndex]:
    """The deviations and, beside them, the day's highest bits of new networks, programs, calls and hours.

    The first week of the logs, in which everything is new, is not fitted on.
    """
    if learn:
        start = max(start, evidence.periods.first + timedelta(days=MIN_DAYS))
    matrix, profiles, days = deviation_matrix(evidence, start, end, learn)
    novelty = evidence.daily_novelty(profiles, days)[list(NOVELTIES)]
    return np.column_stack([matrix, novelty.to_numpy()]), profiles, days


VIEWS: dict[str, View] = {"raw": raw, "deviations": deviation_matrix, "deviations+novelty": with_novelty}
