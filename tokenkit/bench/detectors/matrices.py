"""Matrices: what a detector of rows sees of an organisation: raw features, or deviations from each profile's past.

Reads  Case. Writes nothing.
One row is an active profile-day. Rows of the reference are there to fit on, those from the first calibration day on to
be scored; no row is both.
"""

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import pandas as pd

from tokenkit.bench.cases import Case
from tokenkit.channels.panel import deviation_matrix, matrix_features
from tokenkit.days import MIN_DAYS
from tokenkit.normal.deviation import NOVELTIES, Evidence

Matrix = tuple[np.ndarray, np.ndarray, np.ndarray, pd.DatetimeIndex]
View = Callable[..., tuple[np.ndarray, np.ndarray, pd.DatetimeIndex]]


# ---- what there is to see of some days: (X, profile of each row, day of each row) ----
def raw(
    evidence: Evidence, start: date, end: date, learn: bool = False
) -> tuple[np.ndarray, np.ndarray, pd.DatetimeIndex]:
    """log1p of every feature on active days; to learn, without days of confirmed misuse."""
    days = evidence.days
    wanted = (days.days >= pd.Timestamp(start, tz="UTC")) & (days.days < pd.Timestamp(end, tz="UTC"))
    active = ~np.isnan(days.values["requests"]) & ~(days.kept_out if learn else False)
    rows, columns = np.nonzero(active & wanted[None, :])
    seen = [days.values[name][rows, columns] for name in matrix_features(evidence)]
    return np.log1p(np.nan_to_num(np.column_stack(seen))), days.profiles[rows], days.days[columns]


def with_novelty(
    evidence: Evidence, start: date, end: date, learn: bool = False
) -> tuple[np.ndarray, np.ndarray, pd.DatetimeIndex]:
    """The deviations and, beside them, the day's highest bits of new networks, programs, calls and hours.

    The first week of the logs, in which everything is new, is not fitted on.
    """
    if learn:
        start = max(start, evidence.periods.first + timedelta(days=MIN_DAYS))
    hours = evidence.hours.assign(day=evidence.hours["start"].dt.floor("D"))
    best = hours.groupby(["profile_uid", "day"])[list(NOVELTIES)].max()
    matrix, profiles, days = deviation_matrix(evidence, start, end, learn)
    index = pd.MultiIndex.from_arrays([profiles, days.as_unit(best.index.levels[1].unit)])
    return np.column_stack([matrix, best.reindex(index).fillna(0.0).to_numpy()]), profiles, days


VIEWS: dict[str, View] = {"raw": raw, "deviations": deviation_matrix, "deviations+novelty": with_novelty}


# ---- of a case: rows to fit on, rows to score, profile and day of the latter ----
def _of(case: Case, view: View) -> Matrix:
    fit, _, _ = view(case.evidence, *case.reference, learn=True)
    rows, profiles, days = view(case.evidence, case.calibration[0], case.periods.end)
    return *_varying(fit, rows), profiles, days


def raw_features(case: Case) -> Matrix:
    """log1p of every feature, standardised on the rows to fit on."""
    fit, rows, profiles, days = _of(case, raw)
    middle, spread = fit.mean(axis=0), fit.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    return (fit - middle) / spread, (rows - middle) / spread, profiles, days


def deviations(case: Case) -> Matrix:
    """Robust z from each profile's own baseline: the matrix of the panel."""
    return _of(case, deviation_matrix)


def deviations_with_novelty(case: Case) -> Matrix:
    """The same, with the day's highest novelty beside it."""
    return _of(case, with_novelty)


def _varying(fit: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both without the columns that are constant on the rows to fit on: PCA and MCD divide by their spread."""
    keep = np.ptp(fit, axis=0) > 0
    return fit[:, keep], rows[:, keep]


MATRICES: dict[str, Callable[[Case], Matrix]] = {
    "raw": raw_features, "deviations": deviations, "deviations+novelty": deviations_with_novelty,
}  # fmt: skip
