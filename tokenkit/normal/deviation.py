"""Deviation: how far a window is from what is usual, as robust z, tail probability and bits of surprise.

Reads  fingerprint, activity_network, activity_client, activity_operation, baseline. Writes deviations.
Amounts are ranked among the out-of-sample deviations of the peers, with a generalised Pareto tail beyond 98%.
New values are graded by ``novelty``. ``measure`` puts all of it together for the days of a run.
"""

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd

from tokenkit.config import Workspace
from tokenkit.days import Periods
from tokenkit.errors import InputError
from tokenkit.fingerprint import features, scored_features
from tokenkit.fingerprint.feature import Feature
from tokenkit.normal import baseline, novelty
from tokenkit.normal.answers import Answers
from tokenkit.normal.baseline import TRAILING_DAYS, Days, Fit
from tokenkit.store import engine, lake

CLIP = 20.0  # a z beyond this is as good as any other; at 8 a tenfold and a thousandfold day would tie
MAX_BITS = 40.0
TAIL_FROM = 0.02
MIN_POOL = 200
LEAST_SHAPE = 0.2
NOVELTIES = ("network", "client", "operation", "hour_of_week")


@dataclass(frozen=True)
class Tail:
    """The upper tail of a pool of deviations: empirical up to 98%, generalised Pareto beyond."""

    pool: np.ndarray
    start: float
    shape: float
    scale: float

    def bits(self, values: np.ndarray) -> np.ndarray:
        """-log2 of the share of the pool at least as large; NaN stays NaN.

        Examples
        --------
        >>> tail = fit_tail(np.arange(1000.0))
        >>> [round(float(b), 1) for b in tail.bits(np.array([500.0, 990.0]))]
        [1.0, 7.3]
        """
        n = len(self.pool)
        above = n - np.searchsorted(self.pool, values, side="left")
        empirical = (above + 1.0) / (n + 1.0)
        beyond = np.maximum(values - self.start, 0.0) / self.scale
        tail = TAIL_FROM * (1.0 + self.shape * beyond) ** (-1.0 / self.shape)
        p = np.where(values > self.start, np.minimum(tail, TAIL_FROM), np.maximum(empirical, TAIL_FROM))
        return np.where(np.isnan(values), np.nan, np.minimum(-np.log2(p), MAX_BITS))


def fit_tail(pool: np.ndarray, least_shape: float = LEAST_SHAPE) -> Tail:
    """Fit the tail of a pool (NaN left out).

    The shape is held between 0.2 and 0.5 for deviations: the few largest of some hundred days cannot promise a thin
    tail, and with one a busy day outweighed every other sign (32 bits at 13 standard deviations; 15 with 0.2).
    """
    pool = np.sort(pool[~np.isnan(pool)])
    if len(pool) == 0:
        pool = np.zeros(1)
    start = float(np.quantile(pool, 1 - TAIL_FROM))
    over = pool[pool > start] - start
    shape, scale = least_shape, 1.0
    if len(over) >= 10:
        # probability-weighted moments (Hosking and Wallis 1987): closed form, no optimiser to fail at 3 a.m.
        rank = (np.arange(len(over)) + 0.65) / len(over)
        mean, weighted = over.mean(), float((over * (1 - rank)).mean())
        k = mean / max(mean - 2 * weighted, 1e-9) - 2
        shape = float(np.clip(-k, least_shape, 0.5))
        scale = float(mean * (1 - shape))
    elif len(over):
        scale = float(over.mean())
    return Tail(pool, start, shape, max(scale, 0.05))


@dataclass(frozen=True)
class Usual:
    """What a feature's deviations are judged by, beside its fit.

    ``held``: reference days in standard deviations, each by a fit that did not see its week; ``effect``: what moved
    everyone on a day (both profile x day); ``tails``: the ordinary deviations of each peer group.
    """

    held: np.ndarray
    effect: np.ndarray
    tails: dict[int, Tail]


Matrices = dict[str, np.ndarray]


def day_deviations(days: Days) -> tuple[Matrices, Matrices, Matrices, dict[str, Fit], dict[str, Usual]]:
    """Deviations of every feature on every day.

    Returns
    -------
    (bits, z, since_reference, fits, usual)
        The first three are profile x day matrices by feature. ``since_reference`` is the robust z against the frozen
        reference, without what moved everyone on a day, and on days of the reference by a fit that did not see their
        week. ``z`` has the trailing 14-day median taken out too, since a level that moved last month is the drift
        channel's business.
    """
    bits, z, since_reference, fits, usual = {}, {}, {}, {}, {}
    for name, feature in scored_features().items():
        fit = baseline.fit_feature(feature, days)
        standard = in_deviations(fit, feature, days)
        effect = day_effect(standard, days)  # before acceptances: an answer about one profile moves no other
        if days.accepted:
            fit = baseline.accept(fit, feature, days)
            doubt = 0.0 if fit.doubt is None else fit.doubt  # of a level that few days were to tell
            standard = baseline.residual(fit, feature, days) / np.sqrt(baseline.variance(fit, feature, days) + doubt)
        held = baseline.out_of_sample(feature, days)
        joined, recent = _recent(standard, held, effect, days, fit.since)
        tails = _tails(recent, days)
        bits[name] = _bits(recent, tails, days)
        z[name] = recent
        since_reference[name] = np.clip(joined, -CLIP, CLIP)
        fits[name] = fit
        usual[name] = Usual(held, effect, tails)
    return bits, z, since_reference, fits, usual


def in_deviations(fit: Fit, feature: Feature, days: Days) -> np.ndarray:
    """Residuals in standard deviations (profile x day), as if nothing had been accepted."""
    plain = replace(fit, shift=None)
    return baseline.residual(plain, feature, days) / np.sqrt(baseline.variance(plain, feature, days))


def _recent(
    standard: np.ndarray, held: np.ndarray, effect: np.ndarray, days: Days, since: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Deviations from the reference, and the same without the level of the two weeks before, clipped."""
    joined = np.where(days.reference, held, standard - effect)
    recent = joined - trailing_level(np.where(days.kept_out, np.nan, joined), since)
    return joined, np.clip(recent, -CLIP, CLIP)


def day_effect(standard: np.ndarray, days: Days) -> np.ndarray:
    """What moved everyone on a day: the peers' median deviation, shrunk to the organisation's by n / (n + 10).

    Only profiles with the frozen reference count, so that a younger one's past does not move that of others.
    """
    core = _speak_for_others(days)
    standard = np.where(days.kept_out, np.nan, standard)
    everyone = np.nan_to_num(_column_median(standard[core]))
    effect = np.tile(everyone, (len(standard), 1))
    for g in np.unique(days.group):
        effect[days.group == g] = _peers_effect(standard[(days.group == g) & core], everyone)
    return effect


def _speak_for_others(days: Days) -> np.ndarray:
    return days.core if days.core.any() else np.ones(len(days.core), dtype=bool)


def _peers_effect(standard: np.ndarray, everyone: np.ndarray) -> np.ndarray:
    n = (~np.isnan(standard)).sum(axis=0)
    return (n * np.nan_to_num(_column_median(standard)) + 10 * everyone) / (n + 10)


def trailing_level(z: np.ndarray, since: np.ndarray | None = None) -> np.ndarray:
    """Median of the 14 days before each day, shrunk by n / (n + 3); NaN counts for nothing.

    ``since`` (profile x day, column) is the first day that counts for each day, where a new level was accepted.
    """
    level = np.zeros_like(z)
    for d in range(1, z.shape[1]):
        first = max(0, d - TRAILING_DAYS)
        part = z[:, first:d]
        if since is not None:
            part = np.where(np.arange(first, d)[None, :] >= since[:, d][:, None], part, np.nan)
        n = (~np.isnan(part)).sum(axis=1)
        level[:, d] = np.nan_to_num(baseline._median(part)) * n / (n + 3)
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


def _bits(z: np.ndarray, tails: dict[int, Tail], days: Days) -> np.ndarray:
    bits = np.full_like(z, np.nan)
    for g in np.unique(days.group).tolist():
        rows = days.group == g
        bits[rows] = tails[g].bits(z[rows])
    return bits


def _column_median(values: np.ndarray) -> np.ndarray:
    return baseline._median(values.T)


@dataclass
class Evidence:
    """All that the channels score: day matrices of bits and z (``day_deviations``), and each hour's graded values."""

    periods: Periods
    days: Days
    bits: Matrices
    z: Matrices
    since_reference: Matrices
    fits: dict[str, Fit]
    usual: dict[str, Usual]
    hours: pd.DataFrame


def require_features(workspace: Workspace) -> None:
    """Make sure that the fingerprints of the lake have every feature of this version and of what is installed.

    Raises
    ------
    InputError
        They were formed by another version; says what to do.
    """
    if not lake.days(workspace.lake, "fingerprint"):
        return
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        columns = set(lake.scan(connection, workspace.lake, "fingerprint").columns)
    if missing := [name for name in features() if name not in columns]:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise InputError(
            f"{workspace.lake}: the fingerprints have no {shown}: formed by another version. "
            "Form them again: tokenkit run"
        )


def measure(workspace: Workspace, periods: Periods, groups: pd.Series, answers: Answers | None = None) -> Evidence:
    """Deviations of all profiles on all days from the reference on.

    Parameters
    ----------
    answers : what people said of incidents, as far as it changes what is usual
    """
    assert periods.reference is not None
    require_features(workspace)
    start, end = periods.reference[0], periods.end
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        relation = lake.scan(connection, workspace.lake, "fingerprint", start, end)
        daily = relation.filter("\"window\" = 'day'").df()
    days = baseline.day_matrices(daily, groups, periods, answers)
    hours = novelty.graded_hours(workspace, groups, start, end, answers)
    return Evidence(periods, days, *day_deviations(days), hours)


def of_profiles(evidence: Evidence, rows: np.ndarray) -> Evidence:
    """The evidence of some profiles (row numbers), judged as before: by what all of them taught."""

    def part(matrices: Matrices) -> Matrices:
        return {name: matrix[rows] for name, matrix in matrices.items()}

    days = evidence.days
    mine = replace(
        days, profiles=days.profiles[rows], values=part(days.values), group=days.group[rows],
        reference=days.reference[rows], maturity=days.maturity[rows], shared=days.shared[rows],
        kept_out=days.kept_out[rows], accepted=[],
    )  # fmt: skip
    usual = {n: replace(u, held=u.held[rows], effect=u.effect[rows]) for n, u in evidence.usual.items()}
    fits = {name: _fit_of(fit, rows) for name, fit in evidence.fits.items()}
    hours = evidence.hours[evidence.hours["profile_uid"].isin(mine.profiles)].reset_index(drop=True)
    return Evidence(evidence.periods, mine, part(evidence.bits), part(evidence.z), part(evidence.since_reference),
                    fits, usual, hours)  # fmt: skip


def _fit_of(fit: Fit, rows: np.ndarray) -> Fit:
    def part(matrix: np.ndarray | None) -> np.ndarray | None:
        return None if matrix is None else matrix[rows]

    return Fit(
        fit.level[rows], fit.slope[rows], fit.scale[rows], fit.noise, part(fit.shift), part(fit.since), part(fit.doubt)
    )


def instead(
    evidence: Evidence, rows: np.ndarray, profiles: np.ndarray, values: Matrices, hours: pd.DataFrame,
    together: np.ndarray,
) -> Evidence:  # fmt: skip
    """What would have been measured of some profiles, had they done something else after the calibration days.

    What is usual stays as ``evidence`` has it; what moved everyone on a day is worked out again with the other days in
    place of the profile's own, so that the result is what measuring the whole organisation again would give.

    Parameters
    ----------
    evidence : of the organisation, without answers
    rows : array of int: the row of ``evidence`` in whose place each one stands
    profiles : array of str: how each one is called
    values : feature to matrix (one row each) x day, NaN without a call, equal to ``evidence`` until calibration ends
    hours : ``novelty.graded_hours`` of them
    together : array of int: those with one number do it at the same time

    Raises
    ------
    InputError
        Something differs before the end of the calibration days, from which what is usual was learned.
    """
    _require_same_past(evidence, rows, values)
    before = of_profiles(evidence, rows)
    days = replace(before.days, profiles=profiles, values=values)
    bits, z, since_reference, usual = {}, {}, {}, {}
    core = _speak_for_others(evidence.days)
    for name, feature in scored_features().items():
        known, fit = evidence.usual[name], before.fits[name]
        standard = in_deviations(fit, feature, days)
        everyones = in_deviations(evidence.fits[name], feature, evidence.days)
        effect = known.effect[rows]
        for number in np.unique(together):
            mine = together == number
            _replace_effect(effect, everyones, standard[mine], rows[mine], np.flatnonzero(mine), evidence.days, core)
        joined, recent = _recent(standard, known.held[rows], effect, days, None)
        bits[name], z[name] = _bits(recent, known.tails, days), recent
        since_reference[name] = np.clip(joined, -CLIP, CLIP)
        usual[name] = Usual(known.held[rows], effect, known.tails)
    return Evidence(evidence.periods, days, bits, z, since_reference, before.fits, usual, hours)


def _replace_effect(
    effect: np.ndarray, everyones: np.ndarray, mine: np.ndarray, rows: np.ndarray, at: np.ndarray, days: Days,
    core: np.ndarray,
) -> None:  # fmt: skip
    """Set ``effect[at]`` on the days on which ``mine`` differs from what stands in ``everyones[rows]``."""
    changed = ~((mine == everyones[rows]) | (np.isnan(mine) & np.isnan(everyones[rows]))).all(axis=0)
    if not changed.any():
        return
    standard = everyones[:, changed]
    standard[rows] = mine[:, changed]
    everyone = np.nan_to_num(_column_median(standard[core]))
    for place, row in zip(at, rows, strict=True):
        effect[place, changed] = _peers_effect(standard[(days.group == days.group[row]) & core], everyone)


def _require_same_past(evidence: Evidence, rows: np.ndarray, values: Matrices) -> None:
    periods = evidence.periods
    assert periods.reference is not None
    until = pd.Timestamp((periods.calibration or periods.reference)[1], tz="UTC")
    past = np.asarray(evidence.days.days < until)
    for name in scored_features():
        was, now = evidence.days.values[name][rows][:, past], values[name][:, past]
        different = ~((was == now) | (np.isnan(was) & np.isnan(now)))
        if different.any():
            row, column = np.argwhere(different)[0]
            raise InputError(
                f"{evidence.days.profiles[rows[row]]}: {name} on {evidence.days.days[column].date()} is "
                f"{now[row, column]:g}, was {was[row, column]:g}: what is usual was learned from the days before "
                f"{until.date()}, so they must stay as they were"
            )


def table(evidence: Evidence, start: date) -> pd.DataFrame:
    """Deviations from a day on, one row a profile, window and feature (schema.DEVIATIONS).

    Hours have the graded novelty of network, program, call and hour; what is usual of them is no number.
    """
    hours = evidence.hours[evidence.hours["start"] >= pd.Timestamp(start, tz="UTC")]
    long = hours.melt(["profile_uid", "start"], list(NOVELTIES), "feature", "bits")
    long = long.assign(window="hour", tail_probability=2.0 ** -long["bits"], day=long["start"].dt.date)
    days = evidence.days
    rows, columns = np.nonzero(
        ~np.isnan(days.values["requests"]) & (days.days >= pd.Timestamp(start, tz="UTC"))[None, :]
    )
    frames = []
    for name, feature in scored_features().items():
        usual = np.expm1(baseline.expected(evidence.fits[name], feature, days))[rows, columns]
        bits = evidence.bits[name][rows, columns]
        frames.append(
            pd.DataFrame(
                {"profile_uid": days.profiles[rows], "start": days.days[columns], "feature": name,
                 "value": days.values[name][rows, columns], "expected": np.maximum(usual, 0.0),
                 "rz": np.clip(evidence.z[name][rows, columns], -CLIP, CLIP), "tail_probability": 2.0**-bits,
                 "bits": bits}
            )
        )  # fmt: skip
    frame = pd.concat(frames, ignore_index=True)
    frame = frame.assign(window="day", day=frame["start"].dt.date)
    return pd.concat([frame, long], ignore_index=True)
