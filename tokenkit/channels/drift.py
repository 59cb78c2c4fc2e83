"""Drift: two weeks that, day by day, look ordinary and together are not.

Against the frozen reference: amounts given the calls (data, objects, rows), and calls, each with its own threshold.
The statistic is the information-weighted mean residual of 14 days over its standard error, in which the level of a
benign profile may move by ``2 tau`` (docs/method/channels.md; tau is fitted on the calibration days).
How far a level moves is fitted for each kind of token: that of a scheduled job hardly does, and what a person does must
not hide what happens to it (docs/decisions.md).
Days of confirmed misuse are scored and fit nothing; an accepted new level counts for the whole window of the days after
it, or the two weeks before the answer would go on raising what was answered.
"""

from dataclasses import dataclass, replace
from datetime import date
from typing import Self

import numpy as np
import pandas as pd

from tokenkit.channels import score_rows
from tokenkit.days import MIN_DAYS
from tokenkit.fingerprint import features
from tokenkit.normal import baseline
from tokenkit.normal.deviation import in_deviations
from tokenkit.normal.evidence import Evidence
from tokenkit.normal.robust import row_median
from tokenkit.normal.tail import normal_bits, normal_z

WINDOW_DAYS = 14
CLIP_SD = 0.5
NINETY = 1.645  # nine in ten of a standard normal lie within; the median would miss that few levels move, and far
MIN_REFERENCE_DAYS = 8
MIN_ACTIVE_DAYS = 5
ADDED = 2  # amounts of a leak that count: the two that rise most
MIN_OF_KIND = 10  # profiles, for a tau of their own
TAU_DEFAULT = 0.05  # benign movement of a level in two weeks, where there are no calibration days to fit it on


@dataclass(frozen=True)
class _TwoWeeks:
    """Profile x day, log scale: mean residual of 14 days, its variance where levels stay, whether enough is known."""

    mean: np.ndarray
    variance: np.ndarray
    known: np.ndarray


class _Drift:
    names: tuple[str, ...] = ()
    # 14-day means leave one independent value a token in a calibration of two weeks: too few to promise a thin tail
    least_shape = 0.35

    def __init__(self) -> None:
        self.tau: dict[str, dict[str, float]] = {}  # feature to kind of token to tau; "" is every other kind
        self.phi: dict[str, float] = {}

    @property
    def _added(self) -> int:
        return min(ADDED, len(self.names))

    def fit(self, evidence: Evidence, start: date, end: date) -> Self:
        """Fit how far a benign level moves (``tau``), and how days hang together (``phi``)."""
        for name in self.names:
            self.phi[name] = _lag_one(evidence, name)
            self.tau[name] = self._fit_taus(evidence, name, start, end)
        return self

    def _fit_taus(self, evidence: Evidence, name: str, start: date, end: date) -> dict[str, float]:
        """The tau of each kind with enough profiles, and of all others together ("").

        It makes nine in ten of their z on the last day as small as those of a standard normal. What is learned for all
        must not depend on a label of one profile: as if nothing had been accepted, without days of confirmed misuse.
        """
        days = evidence.days
        last = np.flatnonzero(days.between(None, end))
        if not len(last) or (end - start).days < MIN_DAYS:
            return {"": TAU_DEFAULT}
        off, v, _ = _plain(evidence, name)
        two_weeks, day = self._two_weeks(evidence, name, off, v), last[-1]
        learned = two_weeks.known[:, day] & ~in_two_weeks(days.misuse)[:, day]
        mean, variance = two_weeks.mean[:, day], two_weeks.variance[:, day]
        age = self._age(evidence)[day]
        taus = {"": _tau(mean, variance, age, learned & days.core)}
        for kind in np.unique(days.behaviour[days.core]).tolist():
            rows = days.core & (days.behaviour == kind)
            if rows.sum() >= MIN_OF_KIND:
                taus[kind] = _tau(mean, variance, age, learned & rows)
        return taus

    def _z(self, evidence: Evidence, name: str) -> np.ndarray:
        """Profile x day: the mean residual of the last 14 days in standard errors; NaN where too little is known."""
        feature, fit, days = features()[name], evidence.fits[name], evidence.days
        off, v, effect = _plain(evidence, name)
        z = self._standardised(evidence, name, self._two_weeks(evidence, name, off, v))
        if fit.shift is None:
            return z
        v = baseline.variance(fit, feature, days)
        off = baseline.residual(fit, feature, days) / np.sqrt(v) - effect
        before = np.arange(off.shape[1])
        for accepted in days.accepted:
            k, first = accepted.row, accepted.first
            raised = np.maximum(fit.shift[k, first] - fit.shift[k], 0.0) / np.sqrt(v[k])
            row = np.where(before < first, np.maximum(off[k] - raised, np.minimum(off[k], 0.0)), off[k])
            doubt = 0.0 if fit.doubt is None else fit.doubt[[k]]
            one = self._two_weeks(evidence, name, row[None], v[[k]], np.array([k]))
            z[k, first:] = self._standardised(evidence, name, one, np.array([k]), doubt)[0, first:]
        return z

    def _standardised(
        self, evidence: Evidence, name: str, two_weeks: "_TwoWeeks", rows: np.ndarray | slice = slice(None),
        doubt: np.ndarray | float = 0.0,
    ) -> np.ndarray:  # fmt: skip
        """``_z`` of some rows; ``doubt`` is the variance of a level that was accepted."""
        with np.errstate(divide="ignore", invalid="ignore"):
            z = two_weeks.mean / np.sqrt(two_weeks.variance + self._moves(evidence, name)[rows] + doubt)
        return np.where(two_weeks.known, z, np.nan)

    def _moves(self, evidence: Evidence, name: str) -> np.ndarray:
        """Profile x day: the variance by which a benign level of its kind has moved."""
        taus = self.tau[name]
        of_kind = np.array([taus.get(kind, taus.get("", TAU_DEFAULT)) for kind in evidence.days.behaviour.tolist()])
        return np.asarray((2 * of_kind[:, None]) ** 2 * self._age(evidence)[None, :])

    def _two_weeks(
        self, evidence: Evidence, name: str, off: np.ndarray, v: np.ndarray, rows: np.ndarray | slice = slice(None)
    ) -> "_TwoWeeks":
        """The last 14 days of some rows, from residuals in standard deviations (``off``) and variances (``v``)."""
        feature, days, reference = features()[name], evidence.days, evidence.days.reference[rows]
        r = _held(off) * np.sqrt(v)
        seen = ~np.isnan(r) & ~reference  # a window that shares days with its reference would look calm
        information, weighted = np.where(seen, 1 / v, 0.0), np.where(seen, r / v, 0.0)
        total, summed, count = (_rolling(m) for m in (information, weighted, seen.astype(float)))
        of_reference = np.where(reference & ~np.isnan(r), 1 / v, 0.0).sum(axis=1)[:, None]
        long_run = (1 + self.phi[name]) / (1 - self.phi[name])
        known = (reference.sum(axis=1) >= MIN_REFERENCE_DAYS)[:, None] & (count >= MIN_ACTIVE_DAYS) & seen
        if feature.given:  # a feature that the profile's log never has cannot drift
            known &= (np.nansum(np.where(reference, days.values[name][rows], 0.0), axis=1) > 0)[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            return _TwoWeeks(summed / total, long_run / total + long_run / of_reference, known)

    def _age(self, evidence: Evidence) -> np.ndarray:
        """The age of the reference on each day, from its middle on; 1 at the end of calibration.

        A benign level walks: its variance grows with the age of the reference. Without this,
        twice the budget was opened in the third week after calibration (docs/decisions.md).
        """
        days, periods = evidence.days.days, evidence.periods
        assert periods.reference is not None
        middle = pd.Timestamp(periods.reference[0], tz="UTC") + (periods.reference[1] - periods.reference[0]) / 2
        at = pd.Timestamp((periods.calibration or periods.reference)[1], tz="UTC")
        age = np.asarray((days - middle) / pd.Timedelta("1D"), dtype=float) - WINDOW_DAYS / 2
        return np.maximum(age, 1.0) / max((at - middle) / pd.Timedelta("1D") - WINDOW_DAYS / 2, 1.0)

    def score(self, evidence: Evidence, start: date, end: date) -> pd.DataFrame:
        """One row a day with enough behind it: -log2 of the upper tail of the two largest z above 0, added.

        A leak raises several amounts a little, and some raise only one: more of them would be noise.
        """
        days = evidence.days
        known = np.stack([self._z(evidence, name) for name in self.names])
        above = np.maximum(np.nan_to_num(known), 0.0)
        least = np.sort(above, axis=0)[-ADDED:][0]
        above = np.where(above >= least, above, 0.0)
        bits = normal_bits(above.sum(axis=0) / np.sqrt(self._added))
        rows, columns = np.nonzero(~np.isnan(known).all(axis=0) & days.between(start, end)[None, :])
        summands = above[:, rows, columns]
        share = summands / np.maximum(summands.sum(axis=0), 1e-9)
        parts = pd.DataFrame((share * bits[rows, columns]).T, columns=[f"drift_{n}" for n in self.names])
        return score_rows(self.name, "day", days.profiles[rows], days.days[columns], parts)  # type: ignore[attr-defined]


class DriftAmounts(_Drift):
    """Data, objects, objects never touched before and rows, given the calls."""

    name, title, gap_days = "drift_amounts", "Takes more for its calls, for two weeks", 14
    names = ("response_bytes", "objects", "new_objects", "rows")


def smallest_rise(evidence: Evidence, raw_bits: float) -> pd.Series:
    """The lasting rise of data per call (0.5: by half) that gives so many raw bits of ``drift_amounts`` in two weeks.

    Of each profile, as of the last day, when nothing else rises; NaN where too little is known.
    """
    name, detector = "response_bytes", DriftAmounts()
    detector.phi[name] = _lag_one(evidence, name)
    detector.tau[name] = detector._fit_taus(evidence, name, *evidence.periods.learning)
    off, v, _ = _plain(evidence, name)
    now = detector._two_weeks(evidence, name, off, v)
    error = np.sqrt(now.variance + detector._moves(evidence, name))[:, -1]
    z = normal_z(raw_bits) * np.sqrt(detector._added)
    return pd.Series(np.where(now.known[:, -1], np.expm1(z * error), np.nan), evidence.days.profiles)


class DriftRequests(_Drift):
    """Calls."""

    name, title, gap_days = "drift_requests", "Calls more often, for two weeks", 14
    names = ("requests",)


def _tau(mean: np.ndarray, variance: np.ndarray, age: float, rows: np.ndarray) -> float:
    """The tau with which nine in ten |z| of some profiles lie within those of a standard normal, by bisection."""
    if not rows.any():
        return TAU_DEFAULT
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        z = np.abs(mean[rows]) / np.sqrt(variance[rows] + middle**2 * age)
        low, high = (middle, high) if np.quantile(z, 0.9) > NINETY else (low, middle)
    return (low + high) / 2


def _plain(evidence: Evidence, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Residuals in standard deviations less the day's effect, their variances, and that effect; nothing accepted."""
    feature, fit, days = features()[name], replace(evidence.fits[name], shift=None), evidence.days
    effect = evidence.yardsticks[name].day_effect
    return in_deviations(fit, feature, days) - effect, baseline.variance(fit, feature, days), effect


def in_two_weeks(days: np.ndarray) -> np.ndarray:
    """Which two weeks, by their last day, hold a marked day (profile x day, bool)."""
    return _rolling(days.astype(float)) > 0


def _held(r: np.ndarray) -> np.ndarray:
    """Each day held within ``CLIP_SD`` of the median of its 14 days: one heavy report is a spike, not a drift."""
    middle = np.zeros_like(r)
    for d in range(r.shape[1]):
        middle[:, d] = np.nan_to_num(row_median(r[:, max(0, d - WINDOW_DAYS + 1) : d + 1]))
    return np.clip(r, middle - CLIP_SD, middle + CLIP_SD)


def _rolling(values: np.ndarray) -> np.ndarray:
    """Sum of each day and the 13 before it."""
    padded = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
    high = np.arange(1, values.shape[1] + 1)
    return padded[:, high] - padded[:, np.maximum(high - WINDOW_DAYS, 0)]


def _lag_one(evidence: Evidence, name: str) -> float:
    """Robust lag-one correlation of the reference days' standardised residuals, held between 0 and 0.6."""
    days = evidence.days
    fit, feature = replace(evidence.fits[name], shift=None), features()[name]
    r = baseline.residual(fit, feature, days) / np.sqrt(baseline.variance(fit, feature, days))
    r = np.clip(np.where(days.shared, r, np.nan), -3, 3)
    a, b = r[:, :-1].ravel(), r[:, 1:].ravel()
    both = ~np.isnan(a) & ~np.isnan(b)
    if both.sum() < 50 or a[both].std() < 1e-9 or b[both].std() < 1e-9:
        return 0.2
    return float(np.clip(np.corrcoef(a[both], b[both])[0, 1], 0.0, 0.6))
