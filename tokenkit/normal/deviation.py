"""Deviation: how far the amounts of a day are from what is usual, as robust z and as bits of surprise.

Reads  Days and baseline.Fit. Writes nothing.
A day's deviation is ranked among those that the peers' reference days have by a fit that did not see them, with a
generalised Pareto tail beyond 98% (docs/method/baseline.md). How new values are is measured by ``novelty``.
"""

from dataclasses import dataclass, replace

import numpy as np

from tokenkit.fingerprint import judged_features
from tokenkit.fingerprint.feature import Feature
from tokenkit.normal import baseline
from tokenkit.normal.baseline import TRAILING_DAYS, Fit
from tokenkit.normal.day_matrices import Days, Matrices
from tokenkit.normal.robust import column_median, row_median
from tokenkit.normal.tail import Tail, fit_tail

CLIP = 20.0  # a z beyond this is as good as any other; at 8 a tenfold and a thousandfold day would tie
MIN_POOL = 200


@dataclass(frozen=True)
class Yardstick:
    """What a feature's deviations are measured with, beside its fit.

    Attributes
    ----------
    out_of_sample : matrix (profile x day)
        The reference days in standard deviations, each by a fit that did not see its week; NaN on other days.
    day_effect : matrix (profile x day)
        What moved everyone on a day, in standard deviations.
    tails : dict of peer group to Tail
        The ordinary deviations that those of a group are ranked among.
    """

    out_of_sample: np.ndarray
    day_effect: np.ndarray
    tails: dict[int, Tail]

    def of_profiles(self, rows: np.ndarray) -> "Yardstick":
        """That of some profiles (row numbers)."""
        return replace(self, out_of_sample=self.out_of_sample[rows], day_effect=self.day_effect[rows])

    def of_days(self, columns: slice) -> "Yardstick":
        """That of some days (column numbers)."""
        return replace(self, out_of_sample=self.out_of_sample[:, columns], day_effect=self.day_effect[:, columns])


def day_deviations(days: Days) -> tuple[Matrices, Matrices, Matrices, dict[str, Fit], dict[str, Yardstick]]:
    """Deviations of every feature on every day.

    Returns
    -------
    (bits, z, since_reference, fits, yardsticks)
        The first three are profile x day matrices by feature. ``since_reference`` is the robust z against the frozen
        reference, without what moved everyone on a day, and on days of the reference by a fit that did not see their
        week. ``z`` has the median of the 14 days before taken out too, since a level that has moved is the drift
        channel's business. ``bits`` is the surprise of ``z``.
    """
    bits, z, since_reference, fits, yardsticks = {}, {}, {}, {}, {}
    for name, feature in judged_features().items():
        fit = baseline.fit_feature(feature, days)
        standard = in_deviations(fit, feature, days)
        effect = day_effect(standard, days)  # before accepted changes: what is accepted of one profile moves no other
        if days.accepted:
            fit = baseline.accept(fit, feature, days)
            doubt = 0.0 if fit.doubt is None else fit.doubt  # of a level estimated from few days
            standard = baseline.residual(fit, feature, days) / np.sqrt(baseline.variance(fit, feature, days) + doubt)
        out_of_sample = baseline.out_of_sample(feature, days)
        joined, recent = recent_deviations(standard, out_of_sample, effect, days, fit.since)
        tails = _tails(recent, days)
        bits[name] = tail_bits(recent, tails, days)
        z[name] = recent
        since_reference[name] = np.clip(joined, -CLIP, CLIP)
        fits[name] = fit
        yardsticks[name] = Yardstick(out_of_sample, effect, tails)
    return bits, z, since_reference, fits, yardsticks


def in_deviations(fit: Fit, feature: Feature, days: Days) -> np.ndarray:
    """Residuals in standard deviations (profile x day), as if nothing had been accepted."""
    plain = replace(fit, shift=None)
    return baseline.residual(plain, feature, days) / np.sqrt(baseline.variance(plain, feature, days))


def recent_deviations(
    standard: np.ndarray, out_of_sample: np.ndarray, effect: np.ndarray, days: Days, since: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Deviations from the reference, and the same without the level of the two weeks before, clipped.

    Parameters
    ----------
    standard : residuals in standard deviations (profile x day)
    out_of_sample, effect : as in ``Yardstick``
    since : as in ``trailing_level``
    """
    joined = np.where(days.reference, out_of_sample, standard - effect)
    recent = joined - trailing_level(np.where(days.misuse, np.nan, joined), since)
    return joined, np.clip(recent, -CLIP, CLIP)


def day_effect(standard: np.ndarray, days: Days) -> np.ndarray:
    """What moved everyone on a day: the peers' median deviation, shrunk to the organisation's by n / (n + 10).

    Only profiles with the frozen reference count, so that a younger one's past does not move that of others.
    """
    counted = days.representative
    standard = np.where(days.misuse, np.nan, standard)
    everyone = np.nan_to_num(column_median(standard[counted]))
    effect = np.tile(everyone, (len(standard), 1))
    for g in np.unique(days.group):
        effect[days.group == g] = peers_effect(standard[(days.group == g) & counted], everyone)
    return effect


def peers_effect(standard: np.ndarray, everyone: np.ndarray) -> np.ndarray:
    """What moved a peer group on each day, from its deviations and what moved everyone on that day."""
    n = (~np.isnan(standard)).sum(axis=0)
    return (n * np.nan_to_num(column_median(standard)) + 10 * everyone) / (n + 10)


def trailing_level(z: np.ndarray, since: np.ndarray | None = None) -> np.ndarray:
    """Median of the 14 days before each day, shrunk by n / (n + 3); NaN is left out.

    ``since`` (profile x day) is the column of the first day that is looked at for each day, where a new level was
    accepted.
    """
    level = np.zeros_like(z)
    for d in range(1, z.shape[1]):
        first = max(0, d - TRAILING_DAYS)
        part = z[:, first:d]
        if since is not None:
            part = np.where(np.arange(first, d)[None, :] >= since[:, d][:, None], part, np.nan)
        n = (~np.isnan(part)).sum(axis=1)
        level[:, d] = np.nan_to_num(row_median(part)) * n / (n + 3)
    return level


def _tails(z: np.ndarray, days: Days) -> dict[int, Tail]:
    """The tail that each peer group is ranked in: its own, or everyone's where it has too few days."""
    pool = np.where(days.shared, z, np.nan)
    everyone = fit_tail(pool)
    tails = {}
    for g in np.unique(days.group).tolist():
        own = pool[days.group == g]
        tails[g] = fit_tail(own) if (~np.isnan(own)).sum() >= MIN_POOL else everyone
    return tails


def tail_bits(z: np.ndarray, tails: dict[int, Tail], days: Days) -> np.ndarray:
    """Surprise of deviations (profile x day) in bits, each ranked in the tail of its peer group."""
    bits = np.full_like(z, np.nan)
    for g in np.unique(days.group).tolist():
        rows = days.group == g
        bits[rows] = tails[g].bits(z[rows])
    return bits
