"""Contenders: whatever can score a profile's day, made comparable: PyOD, our channels, plain controls, your estimator.

Reads  Case. Writes nothing.
A contender gets what a nightly run would have: it is fitted on the reference days and scores the days after them, each
row without regard to the other rows of its batch. Where a detector ranks a row among its batch, which is measured and
not believed, it scores each day by itself, as a nightly run would.
"""

import copy
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from tokenkit.bench import detectors
from tokenkit.bench.cases import Case
from tokenkit.bench.detectors import entrants, series
from tokenkit.bench.detectors.matrices import MATRICES
from tokenkit.bench.protocol import Entrant
from tokenkit.channels.panel import TESTED_ROWS, batch_invariant, detector
from tokenkit.errors import InputError, did_you_mean

ROWS, DAYS, NIGHTS, TRAILING, RULE = "row by row", "day by day", "night by night", "trailing fortnight", "rule"
PIPELINE = entrants.TOKENKIT
WARM_ROWS = 128  # imports and compilation are over before the clock starts


@dataclass(frozen=True)
class Scored:
    """What a contender says of one organisation.

    ``rows`` has ``profile_uid``, ``window`` (hour or day), ``start``, ``channel``, ``raw_bits`` (higher is more
    abnormal, in any unit) and ``parts``. ``fit_s`` and ``score_s`` are CPU seconds; ``how`` is how rows were scored.
    """

    rows: pd.DataFrame
    fit_s: float
    score_s: float
    how: str
    note: str = ""


@dataclass(frozen=True)
class Contender:
    """A name, what it sees, and a function of a case and a seed that scores it.

    ``shares`` splits the budget among its channels. A rule has no threshold: whatever it scores above 0 is flagged,
    whatever the budget.
    """

    name: str
    sees: str
    score: Callable[[Case, int], Scored]
    shares: dict[str, float]
    gap_days: dict[str, int]
    rule: bool = False


# ---- PyOD, and whatever has fit and decision_function ----
PYOD = ("IForest", "LODA", "HBOS", "PCA", "KNN", "GMM", "ECOD", "COPOD", "LOF", "OCSVM", "INNE", "MCD")


def tabular(name: str, sees: str, make: Callable[[int, np.ndarray], tuple[Any, str]]) -> Contender:
    """A contender from a function of (seed, rows to fit on) that makes an unfitted detector and a note on it."""

    def score(case: Case, seed: int) -> Scored:
        fit, rows, profiles, days = MATRICES[sees](case)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model, note = make(seed, fit)
            copy.deepcopy(model).fit(fit[:WARM_ROWS])
            begun = time.process_time()
            model.fit(fit)
            fitted = time.process_time()
            values = _scores(name, model, rows)
            done = time.process_time()
            fit_s, score_s = fitted - begun, done - fitted
            few = np.linspace(0, len(rows) - 1, min(TESTED_ROWS, len(rows))).astype(int)
            how = ROWS if batch_invariant(model, rows[few]) else DAYS
            if how == DAYS:
                begun = time.process_time()  # without the test of the batch above
                values = np.empty(len(rows))
                for day in days.unique():
                    values[days == day] = _scores(name, model, rows[days == day])
                score_s = time.process_time() - begun
        return Scored(detectors.made(name, profiles, days, values), fit_s, score_s, how, note)

    return Contender(name, sees, score, {name: 1.0}, {name: 1})


def _scores(name: str, model: Any, rows: np.ndarray) -> np.ndarray:
    values = detectors.signed(model, rows)
    if values.shape != (len(rows),) or not np.isfinite(values).all():
        bad = f"{len(values)} scores" if len(values) != len(rows) else f"{(~np.isfinite(values)).sum()} not finite"
        raise InputError(
            f"{name}: decision_function of {len(rows)} rows gave {bad}; expected one finite number for each row"
        )
    return values


def _pyod(name: str, seed: int, fit: np.ndarray) -> tuple[Any, str]:
    return detector(name, seed), ""


def recommended(x: np.ndarray, seed: int = 0, data_type: str | None = None) -> dict[str, Any]:
    """What PyOD's ADEngine recommends for some data: its plan, by its own rules alone (no model asked, nothing online).

    Examples
    --------
    >>> sorted(recommended(np.zeros((1000, 20))))[:3]
    ['alternatives', 'confidence', 'detector_name']
    """
    from pyod.utils.ad_engine import ADEngine

    engine = ADEngine(random_state=seed)
    return dict(engine.plan_detection(engine.profile_data(x, data_type=data_type), priority="balanced"))


def advice(case: Case, seed: int = 0) -> pd.DataFrame:
    """What ADEngine recommends for each matrix and for an hourly series: detector, reason, the next two."""
    seen: dict[str, tuple[np.ndarray, str | None]] = {name: (MATRICES[name](case)[0], None) for name in MATRICES}
    seen["hourly series"] = (np.log1p(next(iter(case.hourly.values()))[0]), "time_series")
    plans = {name: recommended(x, seed, kind) for name, (x, kind) in seen.items()}
    columns = {"recommends": "detector_name", "reason": "reason"}
    rows = {n: {c: p[k] for c, k in columns.items()} for n, p in plans.items()}
    for name, plan in plans.items():
        rows[name]["next"] = ", ".join(p["detector_name"] for p in plan["alternatives"])
    return pd.DataFrame.from_dict(rows, orient="index")


def _ad_engine(seed: int, fit: np.ndarray) -> tuple[Any, str]:
    from pyod.utils.ad_engine import ADEngine

    plan = recommended(fit, seed)
    return ADEngine(random_state=seed).build_detector(plan), f"{plan['detector_name']}: {plan['reason']}"


def own(estimator: Any, name: str = "", sees: str = "deviations+novelty") -> Contender:
    """Your estimator as a contender.

    Parameters
    ----------
    estimator : object, class, or import path ``"module:Class"``
        With ``fit(X)`` and ``decision_function(X)``, a score for each row, higher for what is more abnormal. (Of
        scikit-learn's outlier detectors, which do it the other way round, the sign is turned.) Each organisation gets
        a copy of its own; ``random_state`` is set where it has one that is None.
    name : in tables and figures; default: the class's
    sees : a name of ``MATRICES``

    Raises
    ------
    InputError
        The path does not lead to a class, or the estimator lacks a method.

    Examples
    --------
    >>> own("sklearn.ensemble:IsolationForest", "mine").name
    'mine'
    """
    if isinstance(estimator, str):
        estimator = detectors.imported(estimator)
    if isinstance(estimator, type):
        try:
            estimator = estimator()
        except TypeError as error:
            raise InputError(
                f"{estimator.__name__} cannot be made without arguments ({error}): pass an object"
            ) from error
    name = name or type(estimator).__name__
    missing = [m for m in ("fit", "decision_function") if not callable(getattr(estimator, m, None))]
    if missing:
        raise InputError(f"{name} has no {' and no '.join(missing)}; a detector has fit(X) and decision_function(X)")
    if sees not in MATRICES:
        raise InputError(f"{name}: no matrix {sees!r}; {did_you_mean(sees, list(MATRICES))}")

    def make(seed: int, fit: np.ndarray) -> tuple[Any, str]:
        mine = copy.deepcopy(estimator)
        if getattr(mine, "random_state", 0) is None:
            mine.random_state = seed
        return mine, ""

    return tabular(name, sees, make)


# ---- those of the leaderboard, and time series ----
def entered(entrant: Entrant) -> Contender:
    """An entrant of the leaderboard as a contender: the same detectors, fitted on the same days."""

    def score(case: Case, seed: int) -> Scored:
        learn = case.reference if entrant.learns == "reference" else case.calibration
        frames, fit_s, score_s = [], 0.0, 0.0
        for one in entrant.make(seed):
            begun = time.process_time()
            fitted = one.fit(case.evidence, *learn)
            middle = time.process_time()
            frames.append(fitted.score(case.evidence, case.calibration[0], case.periods.end))
            fit_s, score_s = fit_s + middle - begun, score_s + time.process_time() - middle
        rows = pd.concat([f for f in frames if len(f)] or frames, ignore_index=True)
        return Scored(rows.assign(start=rows["start"].dt.as_unit("us")), fit_s, score_s, RULE if entrant.rule else ROWS)

    gap_days = {one.name: one.gap_days for one in entrant.make(0)}
    return Contender(entrant.name, entrant.sees, score, entrant.shares, gap_days, entrant.rule)


def _series(name: str, quantity: str, make: series.Make, trailing: bool, case: Case, seed: int) -> Scored:
    rows, fit_s, score_s = series.nightly(case, quantity, make, seed, trailing)
    made = detectors.made(
        name, rows["profile_uid"].to_numpy(), pd.DatetimeIndex(rows["start"]), rows["score"].to_numpy()
    )
    return Scored(made, fit_s, score_s, TRAILING if trailing else NIGHTS)


def catalogue() -> dict[str, list[Contender]]:
    """Every contender, by group: tokenkit, channels, raw, deviations, deviations+novelty, series, controls."""
    known = entrants.catalogue()
    groups = {name: [entered(one) for one in known[name]] for name in (PIPELINE, "channels")}
    for sees in MATRICES:
        groups[sees] = [tabular(f"{d}, {sees}", sees, partial(_pyod, d)) for d in PYOD]
        groups[sees].append(tabular(f"ADEngine, {sees}", sees, _ad_engine))
    timed: list[tuple[str, str, series.Make, bool]] = [
        ("SpectralResidual", "requests", series.spectral_residual, True),
        ("SpectralResidual", "response_bytes", series.spectral_residual, True),
        ("TimeSeriesOD", "requests", series.windowed_iforest, False),
        ("TimeSeriesOD", "response_bytes", series.windowed_iforest, False),
        ("MatrixProfile", "requests", series.matrix_profile, True),
        ("KShape", "requests", series.kshape, False),
        ("SAND", "requests", series.sand, False),
    ]
    groups["series"] = []
    for title, quantity, make, trailing in timed:
        name = f"{title}, hourly {'calls' if quantity == 'requests' else 'bytes'}"
        score = partial(_series, name, quantity, make, trailing)
        groups["series"].append(Contender(name, "hourly series", score, {name: 1.0}, {name: 1}))
    counted = partial(detectors.Control, "new networks", detectors.new_networks, "network")
    new = Entrant("new networks", lambda seed: [counted()], {"new networks": 1.0}, sees="control")
    groups["controls"] = [entered(one) for one in (*known["controls"], new)]
    return groups


def choose(names: list[str] | None = None) -> list[Contender]:
    """Contenders by name, group or detector (``"KNN"`` is KNN on every matrix); all of them without names.

    Raises
    ------
    InputError
        There is none of that name; names the closest.

    Examples
    --------
    >>> [c.name for c in choose(["tokenkit", "KNN", "random"])]
    ['tokenkit', 'KNN, raw', 'KNN, deviations', 'KNN, deviations+novelty', 'random']
    """
    groups = catalogue()
    every = [c for group in groups.values() for c in group]
    if not names:
        return every
    chosen: dict[str, Contender] = {}
    for name in names:
        found = groups.get(name) or [c for c in every if name in (c.name, c.name.split(",")[0])]
        if not found:
            known = [*groups, *{c.name.split(",")[0]: 0 for c in every}, *(c.name for c in every)]
            raise InputError(f"no contender {name!r}; {did_you_mean(str(name), list(dict.fromkeys(known)))}")
        chosen |= {c.name: c for c in found}
    return list(chosen.values())
