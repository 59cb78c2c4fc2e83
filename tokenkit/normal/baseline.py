"""Baseline: what is usual for each profile, from a frozen reference that does not re-learn, and from its peers.

Reads  Days. Writes nothing; ``table`` makes the table ``baseline``.
A baseline that re-learns hides slow exfiltration; so the reference is fixed once (docs/method/baseline.md), and lies
before the days on which thresholds are set (calibration), which lie before the days that are reported. A profile that
is younger than the reference has its own first weeks as reference, or, until it has enough days, only its peers.
Two kinds of labels change what is usual: nothing is learned from confirmed misuse, and an accepted new normal raises
what is expected of its profile from then on.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from tokenkit.days import Periods
from tokenkit.fingerprint.feature import Feature
from tokenkit.normal.day_matrices import MIN_PEERS, Days
from tokenkit.normal.robust import row_median

SCALE_FLOOR = 0.1  # on the log scale: 10%
SLOPE_SD = 0.3  # how far a profile's slope on requests may be from 1 before its own days must say so
FOLDS = 4
TRAILING_DAYS = 14
PRIOR_DAYS = 10.0  # weight of the peers' noise in a profile's own


@dataclass
class Fit:
    """Usual level of one feature: ``level`` per profile and kind of day, ``slope`` on the log of what it is given."""

    level: np.ndarray  # profile x 2 (weekday, weekend), log scale
    slope: np.ndarray  # profile
    scale: np.ndarray  # profile: multiplies the pooled noise
    noise: tuple[float, float]  # pooled variance = noise[0] + noise[1] / calls
    shift: np.ndarray | None = None  # profile x day, log scale: what accepted incidents raised the level by
    since: np.ndarray | None = None  # profile x day: column of the day from which the level is the accepted one
    doubt: np.ndarray | None = None  # profile x day: variance of the shift, which was estimated from few days

    def of_profiles(self, rows: np.ndarray) -> "Fit":
        """That of some profiles (row numbers)."""

        def part(matrix: np.ndarray | None) -> np.ndarray | None:
            return None if matrix is None else matrix[rows]

        return Fit(
            self.level[rows], self.slope[rows], self.scale[rows], self.noise,
            part(self.shift), part(self.since), part(self.doubt),
        )  # fmt: skip


def residual(fit: Fit, feature: Feature, days: Days) -> np.ndarray:
    """Observed minus usual on the log scale, profile x day."""
    y = np.log1p(days.values[feature.name])
    return y - expected(fit, feature, days)


def expected(fit: Fit, feature: Feature, days: Days) -> np.ndarray:
    """Usual value on the log scale, given what else the profile did that day."""
    weekend = (days.days.day_of_week >= 5).astype(int)
    usual = fit.level[:, weekend]
    if feature.given:
        usual = usual + fit.slope[:, None] * np.log1p(days.values[feature.given])
    return usual if fit.shift is None else usual + fit.shift


def accept(fit: Fit, feature: Feature, days: Days) -> Fit:
    """Raise what is usual by what was accepted, from the first accepted day on.

    Notes
    -----
    The shift is the median residual of the accepted days, where it is positive: the same level deviates by nothing
    then, and a larger one by what it is larger. Slope and noise stay, and so does everything before that day. Several
    add up. ``since`` says from which day a trailing level may look back: what stood before it is another level.
    ``doubt`` is the error of a level that was estimated from few days: it widens each later day, and is in every day
    of drift's two weeks.
    """
    if not days.accepted:
        return fit
    shape = days.reference.shape
    shift, since, doubt = np.zeros(shape), np.zeros(shape, dtype=int), np.zeros(shape)
    fit = replace(fit, shift=shift, since=since, doubt=doubt)
    for k, first, stop in ((s.row, s.first, s.stop) for s in days.accepted):
        r = residual(fit, feature, days)[k]
        now, before = r[first:stop], r[max(0, first - TRAILING_DAYS) : first]
        if np.isnan(now).all():
            continue
        level = float(np.nanmedian(now))
        usual = float(np.nanmedian(before)) if (~np.isnan(before)).any() else 0.0
        if level > min(usual, 0.0):
            shift[k, first:] += max(level, 0.0)
            since[k, first:] = first
        if level > 0.0:
            variances = variance(fit, feature, days)[k, first:stop][~np.isnan(now)]
            doubt[k, first:] += np.median(variances) / len(variances)
    return fit


def variance(fit: Fit, feature: Feature, days: Days) -> np.ndarray:
    """Variance of the residual, which knows how many calls a day's sum is made of (docs/method/baseline.md).

    A count adds Poisson's own: (n + 1/2) / (n + 1)^2 on the log scale where n are usual. Without it one object in
    sequence, where none is usual, was as far off as five hundred.
    """
    calls = np.maximum(days.values["requests"], 1.0)
    v = fit.scale[:, None] ** 2 * (fit.noise[0] + fit.noise[1] / calls)
    if feature.unit == "bytes":
        return v
    usual = np.maximum(np.expm1(expected(fit, feature, days)), 0.0)
    return v + (usual + 0.5) / (usual + 1.0) ** 2


def fit_feature(feature: Feature, days: Days, mask: np.ndarray | None = None) -> Fit:
    """Fit one feature on the reference days of every profile, young ones from their peers.

    Notes
    -----
    Amounts are fitted as ``log1p(x) = level + slope * log1p(calls)`` by Huber's iteratively re-weighted least squares
    with the slope shrunk to 1 (docs/method/baseline.md); others as a median for weekdays and one for weekends.
    """
    mask = days.reference if mask is None else mask
    y = np.where(mask, np.log1p(days.values[feature.name]), np.nan)
    if feature.given:
        x = np.where(mask, np.log1p(days.values[feature.given]), np.nan)
        level, slope = _huber_line(x, y)
        level = np.repeat(level[:, None], 2, axis=1)
    else:
        slope = np.zeros(len(y))
        level = _day_levels(y, days.days)
    fit = Fit(level, slope, np.ones(len(y)), (SCALE_FLOOR**2, 0.0))
    young = days.maturity != "mature"
    spread = _from_peers(fit, young, days)
    _fit_noise(fit, np.where(mask, residual(fit, feature, days), np.nan), days, young, spread)
    return fit


def _huber_line(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    weight = np.where(np.isnan(y), 0.0, 1.0)
    x0, y0 = np.nan_to_num(x), np.nan_to_num(y)
    level, slope = np.zeros(len(y)), np.ones(len(y))
    sigma = np.full(len(y), SCALE_FLOOR)
    for _ in range(12):
        total = np.maximum(weight.sum(axis=1), 1e-9)
        mean_x, mean_y = (weight * x0).sum(axis=1) / total, (weight * y0).sum(axis=1) / total
        dx, dy = x0 - mean_x[:, None], y0 - mean_y[:, None]
        ridge = (sigma / SLOPE_SD) ** 2
        slope = ((weight * dx * dy).sum(axis=1) + ridge) / ((weight * dx * dx).sum(axis=1) + ridge)
        level = mean_y - slope * mean_x
        r = np.where(np.isnan(y), np.nan, y0 - level[:, None] - slope[:, None] * x0)
        sigma = np.maximum(1.4826 * row_median(np.abs(r)), SCALE_FLOOR)
        weight = np.where(
            np.isnan(y), 0.0, np.minimum(1.0, 1.345 * sigma[:, None] / np.maximum(np.abs(np.nan_to_num(r)), 1e-9))
        )
    return level, slope


def _day_levels(y: np.ndarray, days: pd.DatetimeIndex) -> np.ndarray:
    overall = row_median(y)
    levels = []
    for weekend in (False, True):
        part = y[:, (days.day_of_week >= 5) == weekend]
        n = (~np.isnan(part)).sum(axis=1)
        levels.append(np.where(n > 0, (n * np.nan_to_num(row_median(part)) + 2 * overall) / (n + 2), overall))
    return np.column_stack(levels)


def _from_peers(fit: Fit, young: np.ndarray, days: Days) -> np.ndarray:
    """Give young profiles the medians of their peers; returns the variance between peers that they take on."""
    spread = np.zeros(len(young))
    for group in np.unique(days.group[young]):
        peers = days.core & (days.group == group)
        peers = peers if peers.sum() >= MIN_PEERS else days.core
        if peers.any():
            theirs = young & (days.group == group)
            level = np.nanmedian(fit.level[peers], axis=0)
            fit.level[theirs], fit.slope[theirs] = level, np.nanmedian(fit.slope[peers])
            spread[theirs] = (1.4826 * float(np.nanmedian(np.abs(fit.level[peers] - level)))) ** 2
    return spread


def _fit_noise(fit: Fit, r: np.ndarray, days: Days, young: np.ndarray, spread: np.ndarray) -> None:
    """Pooled variance = constant + c / calls, and each profile's factor shrunk to 1."""
    from scipy.optimize import nnls

    calls = np.maximum(days.values["requests"], 1.0)
    shared = np.where(days.shared, r, np.nan)
    middle = np.nanmedian(shared**2) if (~np.isnan(shared)).any() else 0.0
    squares = np.minimum(shared**2, 9 * middle / 0.455 + SCALE_FLOOR**2)
    known = ~np.isnan(squares)
    if known.sum() >= 20:
        weight = np.sqrt(calls[known] / (1 + calls[known]))
        design = np.column_stack([weight, weight / calls[known]])
        constant, per_call = nnls(design, squares[known] * weight)[0]
        fit.noise = (max(constant, SCALE_FLOOR**2), float(per_call))
    pooled = fit.noise[0] + fit.noise[1] / calls
    n = (~np.isnan(r)).sum(axis=1)
    own = np.nan_to_num(row_median(r**2 / pooled) / 0.455, nan=1.0)
    usual = np.ones(len(own))
    for g in np.unique(days.group):
        peers = (days.group == g) & days.core
        if peers.sum() >= MIN_PEERS:
            usual[days.group == g] = np.median(own[peers])
    shrunk = (n * own + PRIOR_DAYS * usual) / (n + PRIOR_DAYS)
    floor = SCALE_FLOOR**2 / fit.noise[0]
    fit.scale = np.sqrt(np.maximum(np.where(young, usual + spread / fit.noise[0], shrunk), floor))


def out_of_sample(feature: Feature, days: Days) -> np.ndarray:
    """Standardised residuals of the reference days, each from a fit that did not see its week (cross-fitted).

    They are what a deviation is ranked among: residuals of fitted rows would make every new day look rare.
    """
    z = np.full_like(days.reference, np.nan, dtype=float)
    length = max(1, int(days.reference.any(axis=0).sum()) // FOLDS)  # a week of four, or less of a short reference
    week = (np.arange(len(days.days)) // min(length, 7)) % FOLDS
    for fold in range(FOLDS):
        held = days.reference & (week == fold)[None, :]
        fit = fit_feature(feature, days, days.reference & ~held)
        part = residual(fit, feature, days) / np.sqrt(variance(fit, feature, days))
        z = np.where(held, part, z)
    return z


def table(fits: dict[str, Fit], days: Days, periods: Periods) -> pd.DataFrame:
    """The baseline as a table (schema.BASELINE); an accepted new normal is its profile's next version."""
    assert periods.reference is not None
    rows = []
    signed = days.acceptances.reindex(days.profiles)
    n = days.reference.sum(axis=1)
    for name, fit in fits.items():
        for column, kind in enumerate(("weekday", "weekend")):
            scale = fit.scale * np.sqrt(fit.noise[0])
            shift = fit.shift[:, -1] if fit.shift is not None else 0.0
            rows.append(
                pd.DataFrame(
                    {"profile_uid": days.profiles, "window": "day", "feature": name, "bin": kind,
                     "location": fit.level[:, column] + shift, "scale": scale, "slope": fit.slope, "n": n,
                     "maturity": days.maturity, "version": 1 + signed["n"].fillna(0).to_numpy(dtype="int64"),
                     "accepted_by": signed["accepted_by"].to_numpy(),
                     "accepted_time": signed["accepted_time"].to_numpy()}
                )
            )  # fmt: skip
    start, end = (pd.Timestamp(d, tz="UTC") for d in periods.reference)
    return pd.concat(rows, ignore_index=True).assign(start=start, end=end)
