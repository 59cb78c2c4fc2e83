"""The baseline as docs/method/baseline.md writes it, one value after the other: slow, and close to the text.

Only ``Days`` is taken from the package. Rows are profiles, columns days; a day without a call is NaN.
"""

import math
from dataclasses import dataclass
from statistics import median

import numpy as np

from tokenkit.fingerprint.feature import Feature
from tokenkit.normal.day_matrices import Days


def line(calls: list[float], amounts: list[float]) -> tuple[float, float]:
    """Level and slope of amounts on calls (both on the log scale), by Huber's estimator with a slope near 1."""
    if not calls:
        return math.nan, math.nan
    weights, sigma = [1.0] * len(calls), 0.1
    level, slope = 0.0, 1.0
    for _ in range(12):
        total = sum(weights)
        mean_x = sum(w * x for w, x in zip(weights, calls, strict=True)) / total
        mean_y = sum(w * y for w, y in zip(weights, amounts, strict=True)) / total
        points = list(zip(weights, calls, amounts, strict=True))
        rho = (sigma / 0.3) ** 2
        slope = (sum(w * (x - mean_x) * (y - mean_y) for w, x, y in points) + rho) / (
            sum(w * (x - mean_x) ** 2 for w, x, _ in points) + rho
        )
        level = mean_y - slope * mean_x
        off = [abs(y - level - slope * x) for x, y in zip(calls, amounts, strict=True)]
        sigma = max(1.4826 * median(off), 0.1)
        weights = [min(1.0, 1.345 * sigma / o) if o else 1.0 for o in off]
    return level, slope


def levels(amounts: list[tuple[bool, float]]) -> list[float]:
    """Level of weekdays and of weekends, from ``(is a weekend, log amount)``."""
    if not amounts:
        return [math.nan, math.nan]
    overall = median(y for _, y in amounts)
    found = []
    for weekend in (False, True):
        part = [y for w, y in amounts if w == weekend]
        found.append((len(part) * median(part) + 2 * overall) / (len(part) + 2) if part else overall)
    return found


def least_squares(points: list[tuple[float, float, float]]) -> tuple[float, float]:
    """``(s2, c)``, neither negative, of ``v = s2 + c / calls`` for points ``(weight, calls, v)``."""

    def cost(s2: float, c: float) -> float:
        return sum(w * (v - s2 - c / n) ** 2 for w, n, v in points)

    one = sum(w for w, _, _ in points)
    each, square = sum(w / n for w, n, _ in points), sum(w / n**2 for w, n, _ in points)
    right, right_each = sum(w * v for w, _, v in points), sum(w * v / n for w, n, v in points)
    ways = [(right / one, 0.0), (0.0, right_each / square)]
    if (divisor := one * square - each**2) > 1e-12:
        ways.append(((right * square - right_each * each) / divisor, (right_each * one - right * each) / divisor))
    return min((way for way in ways if min(way) >= 0), key=lambda way: cost(*way))


@dataclass
class Usual:
    """What is usual, for each profile."""

    level: list[list[float]]
    slope: list[float]
    m2: list[float]
    s2: float
    c: float

    def expected(self, feature: Feature, days: Days, k: int, d: int) -> float:
        """Usual value on the log scale."""
        value = self.level[k][int(days.days[d].weekday() >= 5)]
        return value + self.slope[k] * math.log(1 + days.values[feature.given][k, d]) if feature.given else value

    def residual(self, feature: Feature, days: Days, k: int, d: int) -> float:
        """Observed minus usual."""
        return math.log(1 + days.values[feature.name][k, d]) - self.expected(feature, days, k, d)

    def variance(self, feature: Feature, days: Days, k: int, d: int, shift: float = 0.0) -> float:
        """Variance of a residual."""
        v = self.m2[k] * (self.s2 + self.c / max(days.values["requests"][k, d], 1.0))
        if feature.unit == "bytes":
            return v
        count = max(math.exp(self.expected(feature, days, k, d) + shift) - 1, 0.0)
        return v + (count + 0.5) / (count + 1) ** 2


def usual(feature: Feature, days: Days, teaches: np.ndarray) -> Usual:
    """What is usual, from the days (profile x day, bool) that teach."""
    n = len(days.profiles)
    found = Usual([], [], [1.0] * n, 0.01, 0.0)
    for k in range(n):
        seen = [int(d) for d in np.flatnonzero(teaches[k])]
        amounts = [math.log(1 + days.values[feature.name][k, d]) for d in seen]
        if feature.given:
            level, slope = line([math.log(1 + days.values[feature.given][k, d]) for d in seen], amounts)
            found.level.append([level, level])
            found.slope.append(slope)
        else:
            weekend = [days.days[d].weekday() >= 5 for d in seen]
            found.level.append(levels(list(zip(weekend, amounts, strict=True))))
            found.slope.append(0.0)
    core = [k for k in range(n) if days.shared[k].any()]
    young = [k for k in range(n) if days.maturity[k] == "young"]
    spread = dict.fromkeys(range(n), 0.0)
    for k in young:
        peers = [p for p in core if days.group[p] == days.group[k]]
        peers = peers if len(peers) >= 5 else core
        found.level[k] = [median(found.level[p][kind] for p in peers) for kind in (0, 1)]
        found.slope[k] = median(found.slope[p] for p in peers)
        off = [abs(found.level[p][kind] - found.level[k][kind]) for p in peers for kind in (0, 1)]
        spread[k] = (1.4826 * median(off)) ** 2
    r = {(k, d): found.residual(feature, days, k, d) for k, d in zip(*map(list, np.nonzero(teaches)), strict=True)}
    shared = {cell: value**2 for cell, value in r.items() if days.shared[cell]}
    if len(shared) >= 20:
        cap = 9 * median(shared.values()) / 0.455 + 0.01
        points = []
        for cell, square in shared.items():
            calls = max(days.values["requests"][cell], 1.0)
            points.append((calls / (1 + calls), calls, min(square, cap)))
        found.s2, found.c = least_squares(points)
        found.s2 = max(found.s2, 0.01)
    own, counts = [], []
    for k in range(n):
        cells = [(k, d) for (row, d) in r if row == k]
        ratios = [r[c] ** 2 / (found.s2 + found.c / max(days.values["requests"][c], 1.0)) for c in cells]
        own.append(median(ratios) / 0.455 if ratios else 1.0)
        counts.append(len(cells))
    for k in range(n):
        peers = [p for p in core if days.group[p] == days.group[k]]
        of_peers = median(own[p] for p in peers) if len(peers) >= 5 else 1.0
        m2 = of_peers + spread[k] / found.s2 if k in young else (counts[k] * own[k] + 10 * of_peers) / (counts[k] + 10)
        found.m2[k] = max(m2, 0.01 / found.s2)
    return found


def out_of_sample(feature: Feature, days: Days) -> np.ndarray:
    """Standardised residuals of the reference, each from what is usual without its block of days."""
    z = np.full(days.reference.shape, np.nan)
    length = min(max(1, int(days.reference.any(axis=0).sum()) // 4), 7)
    for fold in range(4):
        held = np.array([(d // length) % 4 == fold for d in range(len(days.days))])
        found = usual(feature, days, days.reference & ~held[None, :])
        for k, d in zip(*np.nonzero(days.reference & held[None, :]), strict=True):
            z[k, d] = found.residual(feature, days, k, d) / math.sqrt(found.variance(feature, days, k, d))
    return z


def accepted(found: Usual, feature: Feature, days: Days) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``(shift, since, doubt)``, profile x day, of the spans of days that were accepted."""
    shift, doubt = np.zeros(days.reference.shape), np.zeros(days.reference.shape)
    since = np.zeros(days.reference.shape, dtype=int)
    for span in days.accepted:
        k = span.row

        def off(first: int, stop: int, k: int = k) -> list[float]:
            active = [d for d in range(max(first, 0), stop) if days.active[k, d]]
            return [found.residual(feature, days, k, d) - shift[k, d] for d in active]

        now, before = off(span.first, span.stop), off(span.first - 14, span.first)
        if not now:
            continue
        level = median(now)
        moved = level > min(median(before) if before else 0.0, 0.0)
        for d in range(span.first, len(days.days)):
            if moved:
                shift[k, d] += max(level, 0.0)
                since[k, d] = span.first
        if level > 0:
            active = [d for d in range(span.first, span.stop) if days.active[k, d]]
            variances = [found.variance(feature, days, k, d, shift[k, d]) for d in active]
            for d in range(span.first, len(days.days)):
                doubt[k, d] += median(variances) / len(variances)
    return shift, since, doubt
