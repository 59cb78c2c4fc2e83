"""Deviation: how far a window is from what is usual, as robust z, tail probability and bits of surprise.

Reads  fingerprint, activity_network, activity_client, activity_operation, baseline. Writes deviations.
Amounts are ranked among the out-of-sample deviations of the peers, with a generalised Pareto tail beyond 98%.
New values are graded by ``novelty``. ``measure`` puts all of it together for the days of a run.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from tokenkit import baseline, engine, lake, novelty
from tokenkit.answers import Answers
from tokenkit.baseline import TRAILING_DAYS, Days, Fit, Periods
from tokenkit.config import Workspace
from tokenkit.errors import InputError
from tokenkit.fingerprint import features, scored_features

CLIP = 20.0  # a z beyond this is as good as any other; FINGERPRINT.md clips at 8, which ties x10 with x1000
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


def day_deviations(
    days: Days,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, np.ndarray], dict[str, Fit]]:
    """Deviations of every feature on every day.

    Returns
    -------
    (bits, z, since_reference, fits)
        Profile x day matrices by feature. ``since_reference`` is the robust z against the frozen reference, without
        what moved everyone on a day, and on days of the reference by a fit that did not see their week. ``z`` has the
        trailing 14-day median taken out too, since a level that moved last month is the drift channel's business.
    """
    bits, z, since_reference, fits = {}, {}, {}, {}
    for name, feature in scored_features().items():
        fit = baseline.fit_feature(feature, days)
        r = baseline.residual(fit, feature, days)
        standard = r / np.sqrt(baseline.variance(fit, feature, days))
        effect = day_effect(standard, days)  # before acceptances: an answer about one profile moves no other
        if days.accepted:
            fit = baseline.accept(fit, feature, days)
            doubt = 0.0 if fit.doubt is None else fit.doubt  # of a level that few days were to tell
            standard = baseline.residual(fit, feature, days) / np.sqrt(baseline.variance(fit, feature, days) + doubt)
        held = baseline.out_of_sample(feature, days)
        joined = np.where(days.reference, held, standard - effect)
        recent = joined - trailing_level(np.where(days.kept_out, np.nan, joined), fit.since)
        recent = np.clip(recent, -CLIP, CLIP)
        bits[name] = _pooled_bits(recent, days)
        z[name] = recent
        since_reference[name] = np.clip(joined, -CLIP, CLIP)
        fits[name] = fit
    return bits, z, since_reference, fits


def day_effect(standard: np.ndarray, days: Days) -> np.ndarray:
    """What moved everyone on a day: the peers' median deviation, shrunk to the organisation's by n / (n + 10).

    Only profiles with the frozen reference count, so that a younger one's past does not move that of others.
    """
    core = days.core if days.core.any() else np.ones(len(standard), dtype=bool)
    standard = np.where(days.kept_out, np.nan, standard)
    everyone = np.nan_to_num(_column_median(standard[core]))
    effect = np.tile(everyone, (len(standard), 1))
    for g in np.unique(days.group):
        rows = days.group == g
        n = (~np.isnan(standard[rows & core])).sum(axis=0)
        own = np.nan_to_num(_column_median(standard[rows & core]))
        effect[rows] = (n * own + 10 * everyone) / (n + 10)
    return effect


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


def _pooled_bits(z: np.ndarray, days: Days) -> np.ndarray:
    pool = np.where(days.shared, z, np.nan)
    everyone = fit_tail(pool)
    bits = np.full_like(z, np.nan)
    for g in np.unique(days.group):
        rows = days.group == g
        own = pool[rows]
        tail = fit_tail(own) if (~np.isnan(own)).sum() >= MIN_POOL else everyone
        bits[rows] = tail.bits(z[rows])
    return bits


def _column_median(values: np.ndarray) -> np.ndarray:
    return baseline._median(values.T)


@dataclass
class Evidence:
    """All that the channels score: day matrices of bits and z (``day_deviations``), and each hour's graded values."""

    periods: Periods
    days: Days
    fits: dict[str, Fit]
    bits: dict[str, np.ndarray]
    z: dict[str, np.ndarray]
    since_reference: dict[str, np.ndarray]
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
    bits, z, since_reference, fits = day_deviations(days)
    hours = novelty.graded_hours(workspace, groups, start, end, answers)
    return Evidence(periods, days, fits, bits, z, since_reference, hours)


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
