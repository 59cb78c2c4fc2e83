"""Entrants: who takes part in the leaderboard: tokenkit, its channels, PyOD, controls, ablations, and your own.

Reads  nothing. Writes nothing.
"""

import copy
import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from tokenkit import channels
from tokenkit.bench import detectors
from tokenkit.bench.protocol import Entrant
from tokenkit.channels import Detector
from tokenkit.channels.panel import detector
from tokenkit.config import PANEL, Detection
from tokenkit.errors import DetectorError, InputError, did_you_mean
from tokenkit.incidents.thresholds import MIN_BITS

TOKENKIT, RANDOM = "tokenkit", "random"
LEARNED = f"{TOKENKIT} without rules"  # what the ablations are compared with: no rule raises what a family would have
ROWS = "deviations+novelty"
PYOD = ("IForest", "LODA", "HBOS", "PCA", "GMM", "KNN", "MCD")  # those whose score of a row is its own (``leaks``)
FOR_EVER_DAYS = 3650


def _channels(names: tuple[str, ...], seed: int, panel: Sequence[str] = PANEL) -> list[Detector]:
    return [one for one in channels.detectors(panel, seed) if one.name in names]


def as_set(detection: Detection) -> Entrant:
    """Tokenkit as a workspace has it set: its shares, its panel, and the rules of the inventory."""
    paid = {channel: share for channel, share in detection.shares.items() if share > 0}
    make = partial(_channels, tuple(paid), panel=detection.panel)
    return Entrant(TOKENKIT, make, paid, sees="channels", policy=True, least_bits=MIN_BITS)


def _ablated(family: str, seed: int) -> list[Detector]:
    return [detectors.Without(one, family) for one in as_set(Detection()).make(seed)]


def _of_pyod(name: str, title: str, sees: str, seed: int) -> list[Detector]:
    return [detectors.Rows(title, detector(name, seed), sees)]


def _control(name: str, values: detectors.Values, reason: str, gap_days: int, seed: int) -> list[Detector]:
    return [detectors.Control(name, values, reason, gap_days)]


def _random(seed: int) -> list[Detector]:
    return [detectors.Control(RANDOM, detectors.at_random(seed))]


def _default_iforest(seed: int) -> list[Detector]:
    return [detectors.Flagger("IForest at contamination 0.1", detector("IForest", seed), "deviations")]


def catalogue() -> dict[str, list[Entrant]]:
    """Every entrant by group: tokenkit, channels, pyod, controls, ablation."""
    usual = as_set(Detection())
    learned = replace(usual, name=LEARNED, policy=False)
    groups = {
        TOKENKIT: [usual],
        "channels": [Entrant(c, partial(_channels, (c,)), {c: 1.0}, sees="channel") for c in channels.gaps()],
        "pyod": [],
        "ablation": [
            learned,
            *(replace(learned, name=f"{TOKENKIT} without {family}", make=partial(_ablated, family))
              for family in detectors.families()),
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


def _rule(name: str, values: detectors.Values, reason: str, gap_days: int) -> Entrant:
    return Entrant(name, partial(_control, name, values, reason, gap_days), {name: 1.0}, sees="control", rule=True)


def choose(names: list[str] | None = None) -> list[Entrant]:
    """Entrants by name or group; all of them without names.

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
        return [entrant for some in groups.values() for entrant in some]
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
    found, name = detectors.imported(where), where.rpartition(":")[2]
    try:
        made = found()
    except Exception as error:
        raise DetectorError(f"{where}: {name} cannot be made without arguments: {error}") from error
    if all(hasattr(made, needed) for needed in ("name", "gap_days", "least_shape", "score")):
        return Entrant(made.name, partial(_made, found), {made.name: 1.0}, "calibration", "yours")
    if all(callable(getattr(made, method, None)) for method in ("fit", "decision_function")):
        return Entrant(name, partial(_estimator, found, name), {name: 1.0}, "reference", "yours")
    raise DetectorError(
        f"{where}: {name} is no detector: it has neither name, gap_days, least_shape, fit and score (a channel), nor "
        "fit(X) and decision_function(X) (an estimator of rows). docs/extend/detector.md has an example"
    )


def source_of(where: str) -> bytes:
    """The text of the module that a detector of your own is in; what that imports is not looked at."""
    found = detectors.imported(where)
    return Path(inspect.getsourcefile(found) or __file__).read_bytes()


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
