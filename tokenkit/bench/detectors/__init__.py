"""Detectors: what can enter the bench, by the one protocol of ``channels``: fit on a period, score windows, reasons.

Reads  deviation.Evidence. Writes nothing.
``Rows`` makes one of any estimator with ``fit`` and ``decision_function``; controls are what a detector has to beat.
"""

import importlib.util
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from tokenkit.bench.detectors.matrices import VIEWS
from tokenkit.channels import Detector
from tokenkit.errors import DetectorError, InputError, did_you_mean
from tokenkit.fingerprint import scored_features
from tokenkit.normal import baseline
from tokenkit.normal.deviation import Evidence

Values = Callable[[Evidence], np.ndarray]  # a score for each profile and day


class Control:
    """A detector with nothing to learn: ``values`` of an evidence, profile x day, is its score."""

    least_shape = 0.2

    def __init__(self, name: str, values: Values, reason: str = "", gap_days: int = 1) -> None:
        self.name, self.title, self.values, self.reason, self.gap_days = name, name, values, reason, gap_days

    def fit(self, evidence: Evidence, start: date, end: date) -> Self:
        """Nothing to learn."""
        return self

    def score(self, evidence: Evidence, start: date, end: date) -> pd.DataFrame:
        """One row an active day of ``[start, end)``."""
        rows, columns = active(evidence, start, end)
        days = evidence.days
        return made(
            self.name, days.profiles[rows], days.days[columns], self.values(evidence)[rows, columns], self.reason
        )


class Rows:
    """An estimator of rows (PyOD, scikit-learn, yours) on one view of the evidence (``matrices.VIEWS``).

    Rows of the days it is fitted on are standardised where the view is of raw features; columns that are constant on
    them are left out (PCA and MCD divide by their spread). Scores have PyOD's sign: higher is more abnormal.
    """

    gap_days, least_shape = 1, 0.2

    def __init__(self, name: str, estimator: Any, sees: str = "deviations+novelty") -> None:
        self.name, self.title, self.estimator, self.sees = name, name, estimator, sees
        self.kept = np.zeros(0, dtype=bool)
        self.middle = self.spread = np.zeros(0)

    def fit(self, evidence: Evidence, start: date, end: date) -> Self:
        """Fit on the active days of ``[start, end)``, days of confirmed misuse left out."""
        matrix, _, _ = VIEWS[self.sees](evidence, start, end, learn=True)
        self.kept = np.ptp(matrix, axis=0) > 0
        raw = self.sees == "raw"
        self.middle = matrix.mean(axis=0) if raw else np.zeros(matrix.shape[1])
        self.spread = matrix.std(axis=0) if raw else np.ones(matrix.shape[1])
        self.estimator.fit(self._seen(matrix))
        return self

    def _seen(self, matrix: np.ndarray) -> np.ndarray:
        return ((matrix - self.middle) / np.where(self.spread > 0, self.spread, 1.0))[:, self.kept]

    def score(self, evidence: Evidence, start: date, end: date) -> pd.DataFrame:
        """One row an active day of ``[start, end)``; such an estimator gives no reasons."""
        matrix, profiles, days = VIEWS[self.sees](evidence, start, end)
        values = signed(self.estimator, self._seen(matrix)) if len(matrix) else np.zeros(0)
        return made(self.name, profiles, days, values)


class Flagger(Rows):
    """An estimator's own labels (``predict``) in the place of its scores: what its contamination makes of them."""

    def score(self, evidence: Evidence, start: date, end: date) -> pd.DataFrame:
        """1 for a day it calls an outlier, else 0."""
        matrix, profiles, days = VIEWS[self.sees](evidence, start, end)
        labels = self.estimator.predict(self._seen(matrix)) if len(matrix) else np.zeros(0)
        return made(self.name, profiles, days, np.asarray(labels, dtype=float))


def signed(model: Any, rows: np.ndarray) -> np.ndarray:
    """Scores with PyOD's sign: scikit-learn's own outlier detectors give more to what is more normal."""
    from sklearn.base import OutlierMixin

    values = np.asarray(model.decision_function(rows), dtype=float).reshape(-1)
    return -values if isinstance(model, OutlierMixin) else values


def made(name: str, profiles: np.ndarray, days: pd.DatetimeIndex, values: np.ndarray, reason: str = "") -> pd.DataFrame:
    """Scores of days as the channels give them; ``reason`` names the one part, where there is one."""
    return pd.DataFrame(
        {"profile_uid": profiles, "window": "day", "start": pd.DatetimeIndex(days).as_unit("us"), "channel": name,
         "raw_bits": values, "parts": [{reason: float(v)} if reason and v > 0 else {} for v in values]}
    )  # fmt: skip


def active(evidence: Evidence, start: date, end: date) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of each active profile-day of ``[start, end)``."""
    days = evidence.days.days
    wanted = (days >= pd.Timestamp(start, tz="UTC")) & (days < pd.Timestamp(end, tz="UTC"))
    rows, columns = np.nonzero(~np.isnan(evidence.days.values["requests"]) & wanted[None, :])
    return rows, columns


def imported(where: str) -> Any:
    """What ``module:Class`` or ``path/to/module.py:Class`` leads to.

    Raises
    ------
    InputError
        It leads nowhere; says what is missing.
    DetectorError
        The file cannot be run; says where.

    Examples
    --------
    >>> imported("sklearn.ensemble:IsolationForest").__name__
    'IsolationForest'
    """
    path, _, name = where.rpartition(":")
    if not path or not name:
        raise InputError(f"detector {where!r}: expected module:Class, or path/to/module.py:Class")
    if path.endswith(".py"):
        if not Path(path).is_file():
            raise InputError(f"detector {where!r}: there is no such file")
        called = f"tokenkit_own_{Path(path).stem}"  # no module of the standard library is called so
        spec = importlib.util.spec_from_file_location(called, path)
        assert spec is not None and spec.loader is not None
        module = sys.modules[called] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            raise DetectorError(f"detector {where!r}: the file cannot be run: {said(error)}") from error
    else:
        try:
            module = importlib.import_module(path)
        except ImportError as error:
            raise InputError(f"detector {where!r}: {error}. Is it installed in this environment?") from error
    if not hasattr(module, name):
        known = [n for n in dir(module) if n[0] != "_"][:400]
        raise InputError(f"detector {where!r}: {path} has no {name}; {did_you_mean(name, known)}")
    return getattr(module, name)


def said(error: Exception) -> str:
    """What an exception of somebody's code says, and where it was raised.

    Examples
    --------
    >>> said(ValueError("no rows"))
    'ValueError: no rows'
    """
    # a mistake in the syntax says itself where it is, and was raised in Python's own importing
    frames = [] if isinstance(error, SyntaxError) else traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__}: {error}" + (f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else "")


# ---- what the controls see ----
def at_random(seed: int) -> Values:
    """A number for each row that depends on nothing but its amounts and the seed: what chance alone catches."""

    def values(evidence: Evidence) -> np.ndarray:
        mixed = np.full(evidence.days.values["requests"].size, seed + 1, dtype=np.uint64)
        for name in ("requests", "response_bytes", "request_bytes", "active_minutes"):
            amounts = np.nan_to_num(evidence.days.values[name]).ravel()
            mixed = pd.util.hash_array(mixed ^ pd.util.hash_array(amounts))
        return (mixed / 2.0**64).reshape(evidence.days.values["requests"].shape)

    return values


def robust_z(feature: str) -> Values:
    """log1p of one feature in robust standard deviations above the profile's own reference."""

    def values(evidence: Evidence) -> np.ndarray:
        logs = np.log1p(evidence.days.values[feature])
        learn = np.where(evidence.days.reference, logs, np.nan)
        middle = baseline._median(learn)[:, None]
        spread = 1.4826 * baseline._median(np.abs(learn - middle))[:, None]
        return np.nan_to_num((logs - middle) / np.maximum(spread, baseline.SCALE_FLOOR))

    return values


def new_networks(evidence: Evidence) -> np.ndarray:
    """Networks never used on an earlier day (the most in one hour)."""
    return _daily(evidence, evidence.hours["new_networks"].to_numpy(dtype=float))


def first_uses(evidence: Evidence) -> np.ndarray:
    """1 on a day on which a network, a program or a call is so new that no habit explains it, else 0."""
    hours = evidence.hours
    fresh = (hours["new_networks"] > 0) | (hours[["client", "operation"]] >= FIRST_BITS).any(axis=1)
    return _daily(evidence, fresh.to_numpy(dtype=float))


FIRST_BITS = 8.0


def _daily(evidence: Evidence, values: np.ndarray) -> np.ndarray:
    days, hours = evidence.days, evidence.hours
    matrix = np.zeros(days.values["requests"].shape)
    row = pd.Index(days.profiles).get_indexer(hours["profile_uid"])
    column = days.days.get_indexer(hours["start"].dt.floor("D").dt.as_unit(days.days.unit))
    keep = (row >= 0) & (column >= 0)
    np.maximum.at(matrix, (row[keep], column[keep]), values[keep])
    return matrix


# ---- without one family of features ----
class Without:
    """A channel that does not see one family of features: what the family is worth is what is lost."""

    def __init__(self, channel: Detector, family: str) -> None:
        self.name, self.title, self.gap_days = channel.name, channel.title, channel.gap_days
        self.least_shape = channel.least_shape
        self.channel, self.family = channel, family

    def fit(self, evidence: Evidence, start: date, end: date) -> Self:
        """Fit the channel on what is left."""
        self.channel = self.channel.fit(without(evidence, self.family), start, end)
        return self

    def score(self, evidence: Evidence, start: date, end: date) -> pd.DataFrame:
        """Score by what is left; nothing, where nothing is left of what the channel looks at."""
        rows = self.channel.score(without(evidence, self.family), start, end)
        names = set(getattr(self.channel, "names", ()))
        return rows[:0] if names and names <= of_family(self.family) else rows


HOURLY = {"network": ("network", "moved", "new_networks"), "client": ("client",), "endpoint": ("operation",),
          "rhythm": ("hour_of_week",)}  # fmt: skip


def families() -> list[str]:
    """What can be left out: the families of judged features, and the hour of the week.

    Examples
    --------
    >>> "network" in families(), "rhythm" in families()
    (True, True)
    """
    return sorted({its.family for its in scored_features().values()} | {"rhythm"})


def of_family(family: str) -> set[str]:
    """The judged features of a family.

    Examples
    --------
    >>> sorted(of_family("objects"))
    ['new_objects', 'objects', 'sequential_objects']
    """
    return {name for name, its in scored_features().items() if its.family == family}


def without(evidence: Evidence, family: str) -> Evidence:
    """The evidence as if one family had never been measured; its deviations are 0 and its amounts unknown."""
    gone = of_family(family)
    shape = evidence.days.values["requests"].shape
    nothing = {name: np.zeros(shape) for name in gone}
    unknown = {name: np.full(shape, np.nan) for name in gone - {"requests"}}  # calls say which days are active
    columns = {name: 0.0 for name in HOURLY.get(family, ())}
    return replace(
        evidence, days=replace(evidence.days, values=evidence.days.values | unknown), bits=evidence.bits | nothing,
        z=evidence.z | nothing, hours=evidence.hours.assign(**columns),
    )  # fmt: skip
