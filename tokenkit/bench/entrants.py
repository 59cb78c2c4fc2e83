"""Entrants: who takes part in the leaderboard: tokenkit, its channels, PyOD, controls, ablations, and your own.

Reads  nothing. Writes nothing.
"""

import copy
import importlib.util
import inspect
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tokenkit import channels
from tokenkit.bench import detectors
from tokenkit.bench.protocol import Entrant
from tokenkit.channels import Detector
from tokenkit.channels.panel import detector
from tokenkit.config import Detection
from tokenkit.errors import DetectorError, InputError, did_you_mean

TOKENKIT, ORACLE, RANDOM = "tokenkit", "oracle", "random"
ROWS = "deviations+novelty"
PYOD = ("IForest", "LODA", "HBOS", "PCA", "GMM", "KNN", "MCD")  # those whose score of a row is its own (``leaks``)
FOR_EVER_DAYS = 3650


def _channels(names: tuple[str, ...], seed: int) -> list[Detector]:
    return [one for one in channels.detectors(seed=seed) if one.name in names]


def _paid() -> dict[str, float]:
    return {channel: share for channel, share in Detection().shares.items() if share > 0}


def _ablated(family: str, seed: int) -> list[Detector]:
    return [detectors.Without(one, family) for one in _channels(tuple(_paid()), seed)]


def _of_pyod(name: str, title: str, sees: str, seed: int) -> list[Detector]:
    return [detectors.Rows(title, detector(name, seed), sees)]


def _control(name: str, values: Callable[..., Any], reason: str, gap_days: int, seed: int) -> list[Detector]:
    made = detectors.Control(name, values, reason)
    made.gap_days = gap_days
    return [made]


def _random(seed: int) -> list[Detector]:
    return [detectors.Control(RANDOM, detectors.at_random(seed))]


def _default_iforest(seed: int) -> list[Detector]:
    return [detectors.Flagger("IForest at contamination 0.1", detector("IForest", seed), "deviations")]


def catalogue() -> dict[str, list[Entrant]]:
    """Every entrant by group: tokenkit, channels, pyod, controls, ablation."""
    paid = _paid()
    groups = {
        TOKENKIT: [Entrant(TOKENKIT, partial(_channels, tuple(paid)), paid, sees="channels", policy=True)],
        "channels": [Entrant(c, partial(_channels, (c,)), {c: 1.0}, sees="channel") for c in channels.gaps()],
        "pyod": [],
        "ablation": [
            Entrant(f"{TOKENKIT} without {f}", partial(_ablated, f), paid, sees="channels", policy=True)
            for f in detectors.families()
        ],
    }  # fmt: skip
    for name, sees in [("IForest", "raw"), ("IForest", "deviations"), *((name, ROWS) for name in PYOD)]:
        title = f"{name}, {sees}"
        groups["pyod"].append(Entrant(title, partial(_of_pyod, name, title, sees), {title: 1.0}, "reference", sees))
    z = {"robust z of calls": "requests", "robust z of bytes": "response_bytes"}
    groups["controls"] = [
        Entrant(RANDOM, _random, {RANDOM: 1.0}, sees="control"),
        *(Entrant(n, partial(_control, n, detectors.robust_z(f), f, 1), {n: 1.0}, sees="control")
          for n, f in z.items()),
        _rule("any new network", detectors.new_networks, "network", 1),
        _rule("lock on first use", detectors.first_uses, "", FOR_EVER_DAYS),
        Entrant("IForest at contamination 0.1", _default_iforest, {"IForest at contamination 0.1": 1.0}, "reference",
                "deviations", rule=True),
    ]  # fmt: skip
    return groups


def _rule(name: str, values: Callable[..., Any], reason: str, gap_days: int) -> Entrant:
    return Entrant(name, partial(_control, name, values, reason, gap_days), {name: 1.0}, sees="control", rule=True)


def choose(names: list[str] | None = None, without: tuple[str, ...] = ()) -> list[Entrant]:
    """Entrants by name or group; all of them without names, less the groups in ``without``.

    Raises
    ------
    InputError
        There is none of that name; names the closest.

    Examples
    --------
    >>> [entrant.name for entrant in choose(["tokenkit", "random"])]
    ['tokenkit', 'random']
    """
    groups = catalogue()
    if not names:
        return [entrant for group, some in groups.items() if group not in without for entrant in some]
    every = {entrant.name: [entrant] for some in groups.values() for entrant in some}
    chosen: dict[str, Entrant] = {}
    for name in names:
        found = groups.get(name) or every.get(name)
        if not found:
            raise InputError(f"no entrant {name!r}; {did_you_mean(name, [*groups, *every])}")
        chosen |= {entrant.name: entrant for entrant in found}
    return list(chosen.values())


def own(where: str) -> Entrant:
    """Your own detector: ``path/to/module.py:Class``, or ``package.module:Class``.

    The class is made without arguments. With ``fit(evidence, start, end)`` and ``score(evidence, start, end)``
    (docs/extend/detector.md) it is a channel; with ``fit(X)`` and ``decision_function(X)`` it gets rows of deviations
    and novelty.

    Raises
    ------
    InputError
        There is no such file or class.
    DetectorError
        The class cannot be made, or is neither of both.
    """
    path, _, name = where.rpartition(":")
    if not path or not name:
        raise InputError(f"detector {where!r}: expected path/to/module.py:Class")
    found = _attribute(path, name)
    try:
        made = found()
    except Exception as error:
        raise DetectorError(f"{where}: {name} cannot be made without arguments: {error}") from error
    if all(hasattr(made, needed) for needed in ("name", "gap_days", "least_shape", "score")):
        return Entrant(made.name, partial(_made, found), {made.name: 1.0}, "reference", "yours")
    if all(callable(getattr(made, method, None)) for method in ("fit", "decision_function")):
        return Entrant(name, partial(_estimator, found, name), {name: 1.0}, "reference", "yours")
    raise DetectorError(
        f"{where}: {name} is no detector: it has neither name, gap_days, least_shape, fit and score (a channel), nor "
        "fit(X) and decision_function(X) (an estimator of rows). docs/extend/detector.md has an example"
    )


def source_of(where: str) -> bytes:
    """The text of the module that a detector of your own is in; what that imports is not looked at."""
    path, _, name = where.rpartition(":")
    if path.endswith(".py"):
        return Path(path).read_bytes()
    return Path(inspect.getsourcefile(_attribute(path, name)) or __file__).read_bytes()


def _made(found: Callable[[], Detector], seed: int) -> list[Detector]:
    made = found()
    if hasattr(made, "seed"):
        made.seed = seed
    return [made]


def _estimator(found: Callable[[], Any], name: str, seed: int) -> list[Detector]:
    made = copy.deepcopy(found())
    if getattr(made, "random_state", 0) is None:
        made.random_state = seed
    return [detectors.Rows(name, made, ROWS)]


def _attribute(path: str, name: str) -> Any:
    if path.endswith(".py"):
        file = Path(path)
        if not file.is_file():
            raise InputError(f"{path}: there is no such file")
        called = f"tokenkit_own_{file.stem}"  # no module of the standard library is called so
        spec = importlib.util.spec_from_file_location(called, file)
        assert spec is not None and spec.loader is not None
        module = sys.modules[called] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    else:
        try:
            module = importlib.import_module(path)
        except ImportError as error:
            raise InputError(f"detector {path}: {error}. Is it installed in this environment?") from error
    if not hasattr(module, name):
        raise InputError(f"{path} has no {name}; {did_you_mean(name, [n for n in dir(module) if n[0] != '_'])}")
    return getattr(module, name)
