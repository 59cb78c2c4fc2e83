"""Tail: how rare a value is among a pool of ordinary ones, in bits of surprise."""

from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr, ndtri

MAX_BITS = 40.0
TAIL_FROM = 0.02
LEAST_SHAPE = 0.2


def normal_bits(z: np.ndarray) -> np.ndarray:
    """Surprise of a standard normal number in bits: -log2 P(Z > z), less the bit that half of all have; at least 0.

    Examples
    --------
    >>> normal_bits(np.array([-1.0, 0.0, 3.0])).round(1).tolist()
    [0.0, 0.0, 8.5]
    """
    return np.asarray(np.maximum(-log_ndtr(-z) / np.log(2) - 1.0, 0.0))


def normal_z(bits: float) -> float:
    """The standard normal number that has so many bits of surprise (``normal_bits``).

    Examples
    --------
    >>> normal_bits(np.array([normal_z(8.5)])).round(1).tolist()
    [8.5]
    """
    return float(-ndtri(2.0 ** -(bits + 1.0)))


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
