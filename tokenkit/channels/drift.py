"""Drift: two weeks that, day by day, look ordinary and together are not.

Reads  Evidence. Writes nothing.
Each day says of each feature how far it is from the frozen reference, in the standard deviations of the token itself;
one day counts for little (``HELD``), fourteen are added. Two scores are made of that: the two amounts that rise
most, and the direction in which all features move together where data leaks, which was learned from injected leaks
(``weights``; a matched filter: Turin, *An introduction to matched filters*, 1960). How far they usually move is fitted
for each kind of token, since what a person does must not hide what happens to a scheduled job; the larger counts
(docs/method/channels.md).
Days of confirmed misuse are scored and fit nothing; where a new level was accepted, the two weeks begin with it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Self

import numpy as np
import pandas as pd
from scipy.special import ndtri

from tokenkit.channels import score_rows
from tokenkit.channels.weights import Weights, shipped
from tokenkit.fingerprint import features
from tokenkit.normal import baseline, familiarity
from tokenkit.normal.deviation import in_deviations
from tokenkit.normal.evidence import Evidence
from tokenkit.normal.robust import row_median
from tokenkit.normal.tail import normal_bits, normal_z

WINDOW_DAYS = 14
HELD = 2.0  # standard deviations at which a day is held: single heavy days are frequent, and hide what lasts
LEAST_SD = 0.3  # of a token's own days, in those of its peers
OWN_DAYS = 7  # days by which a token's own standard deviation and level are drawn to those of its peers
MIN_REFERENCE_DAYS = 8
MIN_ACTIVE_DAYS = 5
MIN_OF_KIND, MIN_WINDOWS = 5, 30  # profiles, and two weeks of all of them together, for a kind's own scale
UPPER_FIFTH = 0.8  # the quantile that says how far a score usually moves; the far tail is the budget's business
MOST_UNFAMILIAR = 8.0  # bits of objects never touched before on one day, which count as a day that is held
NEW_TO_IT = "unfamiliar_objects"  # a sign beside the features: objects never touched before, given its usual share
ADDED = 2  # amounts of a leak that count: the two that rise most
LEAST_SPREAD = 0.1  # of a score that hardly moves: a sum of independent days moves by 1


@dataclass(frozen=True)
class _Scale:
    """What the score of two weeks usually is in a kind of token: its median, and its standard deviation upwards."""

    middle: float
    spread: float


class _Drift:
    amounts: tuple[str, ...]
    # 14-day sums leave one independent value a token in a calibration of two weeks: too few to promise a thin tail
    least_shape = 0.35

    def __init__(self, leak: Mapping[str, float] | None = None) -> None:
        self.leak = dict(leak or {})
        self.scales: dict[str, list[_Scale]] = {}  # by kind of token; "" is every other kind

    def fit(self, evidence: Evidence, start: date, end: date) -> Self:
        """Fit how far the scores of two weeks usually move, for each kind of token with enough profiles."""
        days, scores = evidence.days, self._scores(_without_answers(evidence, [*self.amounts, *self.leak]))[0]
        learned = ~in_two_weeks(days.misuse) & days.between(start, end)[None, :] & days.core[:, None]
        pools = {"": learned}
        pools |= {kind: learned & (days.behaviour == kind)[:, None] for kind in np.unique(days.behaviour).tolist()}
        for kind, pool in pools.items():
            pool = pool & ~np.isnan(scores[0])
            if pool.sum() >= MIN_WINDOWS and pool.any(axis=1).sum() >= MIN_OF_KIND:
                self.scales[kind] = [_scale(score[pool]) for score in scores]
        return self

    def _scores(self, evidence: Evidence) -> tuple[list[np.ndarray], np.ndarray]:
        """The scores of each two weeks (profile x day, NaN where too little is known), and how far each amount rose.

        The first needs nothing but a rise, and has no end: the two amounts that rise most. The second is the learned
        direction.
        """
        sums, known = two_weeks(evidence, self.amounts, _held_near_median)
        rises = np.maximum(sums, 0.0)
        added = min(ADDED, len(self.amounts))
        scores = [np.sort(rises, axis=2)[..., -added:].sum(axis=2) / np.sqrt(added)]
        if self.leak:
            moves, _ = two_weeks(evidence, list(self.leak))
            # a product of matrices rounds as it likes, by their size
            scores.append((moves * np.array(list(self.leak.values()))).sum(axis=2))
        return [np.where(known, score, np.nan) for score in scores], rises

    def _scale_of(self, evidence: Evidence, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Middle and spread of a score in each profile's kind; without calibration days, as of independent days."""
        other = self.scales.get("", [_Scale(0.0, 1.0)] * 2)
        of_profile = [self.scales.get(kind, other)[number] for kind in evidence.days.behaviour.tolist()]
        return np.array([one.middle for one in of_profile]), np.array([one.spread for one in of_profile])

    def score(self, evidence: Evidence, start: date, end: date) -> pd.DataFrame:
        """One row a day with enough behind it: surprise of the larger score, which the amounts share as they rose.

        0 where none of them rose: whatever else moves, no data leaks.
        """
        days = evidence.days
        scores, rises = self._scores(evidence)
        z = np.full(scores[0].shape, -np.inf)
        for number, score in enumerate(scores):
            middle, spread = self._scale_of(evidence, number)
            z = np.fmax(z, (score - middle[:, None]) / spread[:, None])
        rows, columns = np.nonzero(~np.isnan(scores[0]) & days.between(start, end)[None, :])
        rose = rises[rows, columns]
        share = rose / np.maximum(rose.sum(axis=1, keepdims=True), 1e-9)
        names = [f"drift_{name}" for name in self.amounts]
        table = pd.DataFrame(share * normal_bits(z[rows, columns])[:, None], columns=names)
        return score_rows(self.name, "day", days.profiles[rows], days.days[columns], table)  # type: ignore[attr-defined]


class DriftAmounts(_Drift):
    """Data, objects, objects never touched before and rows, given the calls."""

    name, title, gap_days = "drift_amounts", "Takes more for its calls, for two weeks", 14
    amounts = ("response_bytes", "objects", "new_objects", "rows")

    def __init__(self, weights: Weights | None = None) -> None:
        super().__init__((weights or shipped()).leak)


class DriftRequests(_Drift):
    """Calls."""

    name, title, gap_days = "drift_requests", "Calls more often, for two weeks", 14
    amounts = ("requests",)


def smallest_rise(evidence: Evidence, raw_bits: float) -> pd.Series:
    """The lasting rise of data per call (0.5: by half) that gives so many raw bits of ``drift_amounts`` in two weeks.

    Parameters
    ----------
    raw_bits : of the channel, before calibration

    Returns
    -------
    Series of float, by profile
        As of the last day, when nothing else rises and by the score of the amounts alone, so that the learned direction
        may see less; NaN where too little is known.
    """
    name, days = "response_bytes", evidence.days
    detector = DriftAmounts().fit(evidence, *evidence.periods.learning)
    scores, _ = detector._scores(evidence)
    middle, spread = detector._scale_of(evidence, 0)
    number = np.maximum(_rolling((days.active & ~days.reference).astype(float))[:, -1], 1.0)
    each_day = (middle + normal_z(raw_bits) * spread) * np.sqrt(ADDED / number)
    level, own_sd = _own(evidence, name)
    sd = np.sqrt(baseline.variance(evidence.fits[name], features()[name], days)[:, -1])
    rise = np.expm1(np.maximum(level + each_day * own_sd, 0.0) * sd)
    return pd.Series(np.where(np.isnan(scores[0][:, -1]), np.nan, rise), days.profiles)


def _scale(values: np.ndarray) -> _Scale:
    middle, high = np.quantile(values, [0.5, UPPER_FIFTH])
    return _Scale(float(middle), max(float((high - middle) / ndtri(UPPER_FIFTH)), LEAST_SPREAD))


def _held(off: np.ndarray) -> np.ndarray:
    """Sums of 14 days, each within ``HELD`` of the reference: what all features do must not be one of them alone."""
    return _rolling(np.nan_to_num(np.clip(off, -HELD, HELD)))


def _held_near_median(off: np.ndarray) -> np.ndarray:
    """Sums of 14 days, each within ``HELD`` of their median: a heavy day is a spike, and a rise may have any size."""
    sums = np.zeros(off.shape)
    for day in range(off.shape[1]):
        window = off[:, max(0, day - WINDOW_DAYS + 1) : day + 1]
        middle = row_median(window)[:, None]
        sums[:, day] = np.nansum(np.clip(window, middle - HELD, middle + HELD), axis=1)
    return sums


def two_weeks(
    evidence: Evidence, names: Sequence[str], held: Callable[[np.ndarray], np.ndarray] = _held
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """How far some features are from the frozen reference in the last two weeks.

    Parameters
    ----------
    names : features, or ``NEW_TO_IT``
    held : makes of days in own standard deviations (profile x day, NaN where one does not count) the sums of 14 of them

    Returns
    -------
    (sums, known)
        Profile x day x feature: the days' deviations in own standard deviations, held, added and divided by the root of
        their number. Profile x day (bool): whether enough is known.
    """
    days = evidence.days
    counts = days.active & ~days.reference  # a window that shares days with its reference would look calm
    deviations = (np.where(counts, _deviations(evidence, name), np.nan) for name in names)
    sums = np.stack([_windows(evidence, values, held) for values in deviations], axis=2)
    number = _windows(evidence, counts.astype(float), _rolling)
    enough = _rolling(counts.astype(float)) >= MIN_ACTIVE_DAYS
    known = (days.reference.sum(axis=1) >= MIN_REFERENCE_DAYS)[:, None] & counts & enough
    return sums / np.sqrt(np.maximum(number, 1.0))[..., None], known


def _without_answers(evidence: Evidence, names: list[str]) -> Evidence:
    """The evidence as if nothing had been accepted: what is learned for all must not depend on an answer about one."""
    days = evidence.days
    if not days.accepted:
        return evidence
    plain = {
        name: in_deviations(evidence.fits[name], features()[name], days) - evidence.yardsticks[name].day_effect
        for name in names
        if name in evidence.since_reference
    }
    plain = {name: np.where(days.reference, evidence.since_reference[name], z) for name, z in plain.items()}
    return replace(evidence, days=replace(days, accepted=[]), since_reference=evidence.since_reference | plain)


def _windows(evidence: Evidence, values: np.ndarray, sums: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Sums of the last 14 days; from an accepted new level on, of the days since."""
    found = sums(values)
    for accepted in evidence.days.accepted:
        row, first = accepted.row, accepted.first
        found[row, first:] = sums(values[[row], first:])[0]
    return found


def _deviations(evidence: Evidence, name: str) -> np.ndarray:
    """Each day of a feature in own standard deviations; 0 of what a profile's log never has (profile x day)."""
    if name == NEW_TO_IT:
        return _unfamiliar_objects(evidence)
    level, own_sd = _own(evidence, name)
    days = evidence.days
    off = (evidence.since_reference[name] - level[:, None]) / own_sd[:, None]
    has = np.nansum(np.where(days.reference, days.values[name], 0.0), axis=1) > 0
    return np.where(has[:, None], off, 0.0)


def _own(evidence: Evidence, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Level and standard deviation of each profile's reference days, in standard deviations of its peers."""
    reference = np.where(evidence.days.reference, evidence.since_reference[name], np.nan)
    number = (~np.isnan(reference)).sum(axis=1)
    at_least = np.maximum(number, 1)
    level = np.nansum(np.clip(reference, -3.0, 3.0), axis=1) / at_least
    held = np.clip(reference, -6.0, 6.0)
    mean = np.nansum(held, axis=1) / at_least
    variance = np.nansum((held - mean[:, None]) ** 2, axis=1)
    sd = np.sqrt((variance + OWN_DAYS) / (number + OWN_DAYS))
    return level * number / (number + OWN_DAYS), np.maximum(sd, LEAST_SD)


def _unfamiliar_objects(evidence: Evidence) -> np.ndarray:
    """How unfamiliar the objects of each day are (profile x day), from 0 to ``HELD``."""
    days = evidence.days
    found = np.zeros(days.active.shape)
    table = evidence.unfamiliarity
    if len(table):
        row = pd.Index(days.profiles).get_indexer(table["profile_uid"])
        column = days.days.get_indexer(pd.DatetimeIndex(table["start"]))
        largest = table[familiarity.fresh_columns("object")].max(axis=1).to_numpy(dtype=float)
        inside = (row >= 0) & (column >= 0)
        found[row[inside], column[inside]] = np.nan_to_num(largest[inside])
    return np.minimum(found, MOST_UNFAMILIAR) * HELD / MOST_UNFAMILIAR


def in_two_weeks(days: np.ndarray) -> np.ndarray:
    """Which two weeks, by their last day, hold a marked day (profile x day, bool)."""
    return _rolling(days.astype(float)) > 0


def _rolling(values: np.ndarray) -> np.ndarray:
    """Sum of each day and the 13 before it."""
    padded = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
    high = np.arange(1, values.shape[1] + 1)
    return padded[:, high] - padded[:, np.maximum(high - WINDOW_DAYS, 0)]
