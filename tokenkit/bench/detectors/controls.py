"""Controls: what a detector has to beat: chance, one feature by itself, and what flags without a budget.

Reads  Evidence. Writes nothing.
"""

from collections.abc import Callable
from datetime import date
from typing import Self

import numpy as np
import pandas as pd

from tokenkit.bench.detectors.daily import active_days, day_scores
from tokenkit.normal import baseline
from tokenkit.normal.evidence import Evidence
from tokenkit.normal.robust import row_median

Values = Callable[[Evidence], np.ndarray]  # a score for each profile and day
FIRST_BITS = 8.0  # a program or a call of more bits counts as used for the first time


class Control:
    """A detector with nothing to learn: ``values`` of an evidence, profile x day, is its score."""

    least_shape = 0.2

    def __init__(self, name: str, values: Values, reason: str = "", gap_days: int = 1) -> None:
        self.name, self.title, self.values, self.reason, self.gap_days = name, name, values, reason, gap_days

    def fit(self, evidence: Evidence, start: date, end: date) -> Self:
        """Nothing to learn."""
        return self

    def score(self, evidence: Evidence, start: date, end: date) -> pd.DataFrame:
        """One row an active day of ``[start, end)``."""
        rows, columns = active_days(evidence, start, end)
        days, values = evidence.days, self.values(evidence)[rows, columns]
        return day_scores(self.name, days.profiles[rows], days.days[columns], values, self.reason)


def at_random(seed: int) -> Values:
    """A number for each row that depends on nothing but its amounts and the seed: what chance alone catches."""

    def values(evidence: Evidence) -> np.ndarray:
        mixed = np.full(evidence.days.values["requests"].size, seed + 1, dtype=np.uint64)
        for name in ("requests", "response_bytes", "request_bytes", "active_minutes"):
            amounts = np.nan_to_num(evidence.days.values[name]).ravel()
            mixed = pd.util.hash_array(mixed ^ pd.util.hash_array(amounts))
        return (mixed / 2.0**64).reshape(evidence.days.values["requests"].shape)

    return values


def robust_z(feature: str) -> Values:
    """log1p of one feature in robust standard deviations above the profile's own reference."""

    def values(evidence: Evidence) -> np.ndarray:
        logs = np.log1p(evidence.days.values[feature])
        learn = np.where(evidence.days.reference, logs, np.nan)
        middle = row_median(learn)[:, None]
        spread = 1.4826 * row_median(np.abs(learn - middle))[:, None]
        return np.nan_to_num((logs - middle) / np.maximum(spread, baseline.SCALE_FLOOR))

    return values


def new_networks(evidence: Evidence) -> np.ndarray:
    """Networks never used on an earlier day (the most in one hour)."""
    return _daily(evidence, evidence.hours["new_networks"].to_numpy(dtype=float))


def first_uses(evidence: Evidence) -> np.ndarray:
    """1 on a day on which a network, a program or a call is so new that no habit explains it, else 0."""
    hours = evidence.hours
    fresh = (hours["new_networks"] > 0) | (hours[["client", "operation"]] >= FIRST_BITS).any(axis=1)
    return _daily(evidence, fresh.to_numpy(dtype=float))


def _daily(evidence: Evidence, values: np.ndarray) -> np.ndarray:
    days, hours = evidence.days, evidence.hours
    matrix = np.zeros(days.values["requests"].shape)
    row = pd.Index(days.profiles).get_indexer(hours["profile_uid"])
    column = days.days.get_indexer(hours["start"].dt.floor("D").dt.as_unit(days.days.unit))
    inside = (row >= 0) & (column >= 0)
    np.maximum.at(matrix, (row[inside], column[inside]), values[inside])
    return matrix
