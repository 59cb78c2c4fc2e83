"""Matrices: what a detector of rows sees of an organisation: raw features, or deviations from each profile's past.

Reads  Case. Writes nothing.
One row is an active profile-day. Rows of the reference are there to fit on, those from the first calibration day on to
be scored; no row is both.
"""

from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pandas as pd

from tokenkit import baseline
from tokenkit.bench.cases import Case
from tokenkit.channels.panel import deviation_matrix, matrix_features
from tokenkit.deviation import NOVELTIES

Matrix = tuple[np.ndarray, np.ndarray, np.ndarray, pd.DatetimeIndex]


def raw_features(case: Case) -> Matrix:
    """Rows to fit on, rows to score, profile and day of the latter: log1p of every feature, standardised."""
    days = case.evidence.days
    active = ~np.isnan(days.values["requests"])
    seen = [days.values[name] for name in matrix_features(case.evidence)]
    logs = np.stack([np.log1p(np.nan_to_num(m)) for m in seen], axis=-1)
    early, late = (active & part[None, :] for part in parts(case))
    middle, spread = logs[early].mean(axis=0), logs[early].std(axis=0)
    logs = (logs - middle) / np.where(spread > 0, spread, 1.0)
    rows, columns = np.nonzero(late)
    return *_varying(logs[early], logs[late]), days.profiles[rows], days.days[columns]


def deviations(case: Case) -> Matrix:
    """The same rows as robust z from each profile's own baseline: the matrix of the panel."""
    fit, _, _ = deviation_matrix(case.evidence, *case.reference, learn=True)
    rows, profiles, days = deviation_matrix(case.evidence, case.calibration[0], case.periods.end)
    return *_varying(fit, rows), profiles, days


def with_novelty(case: Case) -> Matrix:
    """The deviations and, beside them, the day's highest bits of new networks, programs, calls and hours.

    The first week of the logs, in which everything is new, is not fitted on.
    """
    begin = max(case.reference[0], case.periods.first + timedelta(days=baseline.MIN_DAYS))
    hours = case.evidence.hours.assign(day=case.evidence.hours["start"].dt.floor("D"))
    best = hours.groupby(["profile_uid", "day"])[list(NOVELTIES)].max()
    fit, fit_profiles, fit_days = deviation_matrix(case.evidence, begin, case.reference[1], learn=True)
    rows, profiles, days = deviation_matrix(case.evidence, case.calibration[0], case.periods.end)

    def beside(x: np.ndarray, who: np.ndarray, when: pd.DatetimeIndex) -> np.ndarray:
        index = pd.MultiIndex.from_arrays([who, when.as_unit(best.index.levels[1].unit)])
        return np.column_stack([x, best.reindex(index).fillna(0.0).to_numpy()])

    return *_varying(beside(fit, fit_profiles, fit_days), beside(rows, profiles, days)), profiles, days


def _varying(fit: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both without the columns that are constant on the rows to fit on: PCA and MCD divide by their spread."""
    keep = np.ptp(fit, axis=0) > 0
    return fit[:, keep], rows[:, keep]


def parts(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """The days of the reference, and those from calibration on (bool by day)."""
    days = case.evidence.days.days
    first, end = (pd.Timestamp(d, tz="UTC") for d in case.reference)
    return np.asarray((days >= first) & (days < end)), np.asarray(days >= end)


MATRICES: dict[str, Callable[[Case], Matrix]] = {
    "raw": raw_features, "deviations": deviations, "deviations+novelty": with_novelty,
}  # fmt: skip
