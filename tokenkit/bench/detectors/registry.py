"""Registry: every contender of the bench: tokenkit, its channels, PyOD, nonconform, time series, controls, ablations.

Reads  nothing. Writes nothing.
A contender of one's own is made by ``own.load``.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from tokenkit import channels
from tokenkit.bench.detectors import ablation, conformal, controls
from tokenkit.bench.detectors.adengine import RecommendedDetector
from tokenkit.bench.detectors.contender import Contender
from tokenkit.bench.detectors.rows import Flagger, Rows
from tokenkit.bench.detectors.series import SERIES, HourlySeries
from tokenkit.bench.detectors.views import VIEWS
from tokenkit.channels import Detector
from tokenkit.channels.panel import detector
from tokenkit.channels.weights import Weights, of_workspace
from tokenkit.config import PANEL, Detection, Workspace
from tokenkit.errors import InputError, did_you_mean
from tokenkit.incidents.thresholds import MIN_BITS

TOKENKIT, RANDOM = "tokenkit", "random"
WITHOUT_RULES = f"{TOKENKIT} without rules"  # what the ablations are compared with
# whose score of a row does not depend on the other rows of its batch (leaks.refuse; a test measures it)
PYOD = ("IForest", "LODA", "HBOS", "PCA", "KNN", "GMM", "LOF", "OCSVM", "INNE", "MCD")
# who takes no part, and why; a test measures that they would be refused
NOT_COMPARED = {
    "ECOD": "it ranks a row among the rows that it is scored with: another batch, another score",
    "COPOD": "it ranks a row among the rows that it is scored with: another batch, another score",
}
FOR_EVER_DAYS = 3650


def catalogue() -> dict[str, list[Contender]]:
    """Every contender by group; ``conformal`` is one where its library is installed.

    Examples
    --------
    >>> list(catalogue())
    ['tokenkit', 'channels', 'raw', 'deviations', 'deviations+novelty', ...'time series', 'controls', 'ablation']
    """
    groups = {TOKENKIT: [tokenkit_as_set(Detection())], "channels": _single_channels()}
    groups |= {view: [_rows(name, view) for name in (*PYOD, "ADEngine")] for view in VIEWS}
    groups |= {conformal.GROUP: conformal.contenders()} if conformal.installed() else {}
    series = [_time_series(name) for name in SERIES]
    return groups | {"time series": series, "controls": _controls(), "ablation": _ablations()}


def choose(names: Sequence[str] = ()) -> list[Contender]:
    """Contenders by group, name, or detector (``"KNN"`` is KNN on every view); all of them without names.

    Raises
    ------
    InputError
        There is none of that name, names the closest; or it needs a library that is not installed.

    Examples
    --------
    >>> [contender.name for contender in choose(["tokenkit", "KNN", "random"])]
    ['tokenkit', 'KNN, raw', 'KNN, deviations', 'KNN, deviations+novelty', 'random']
    """
    groups = catalogue()
    every = [contender for group in groups.values() for contender in group]
    chosen: dict[str, Contender] = {}
    for name in names:
        matching = groups.get(name) or [one for one in every if name in (one.name, _detector_of(one))]
        if name in NOT_COMPARED:
            raise InputError(f"{name} takes no part: {NOT_COMPARED[name]}")
        if not matching:
            if name in conformal.NAMES:
                raise InputError(f"no contender {name!r}: {conformal.MISSING}")
            possible = dict.fromkeys([*groups, *map(_detector_of, every), *(one.name for one in every)])
            raise InputError(f"no contender {name!r}; {did_you_mean(str(name), list(possible))}")
        chosen |= {one.name: one for one in matching}
    return list(chosen.values()) if names else every


def _detector_of(contender: Contender) -> str:
    return contender.name.split(",")[0]


# ---- tokenkit and its parts ----
def tokenkit_as_set(detection: Detection, weights: Weights | None = None) -> Contender:
    """Tokenkit as a workspace has it set: its shares, its panel, its weights, and the rules of the inventory."""
    paid = {channel: share for channel, share in detection.shares.items() if share > 0}
    make = partial(_channels, tuple(paid), panel=detection.panel, weights=weights)
    return Contender(TOKENKIT, make, paid, TOKENKIT, policy=True, least_bits=MIN_BITS)


def with_settings(contenders: Sequence[Contender], workspace: Workspace) -> list[Contender]:
    """The contenders, with tokenkit as a workspace has it set."""
    own = tokenkit_as_set(workspace.settings.detection, of_workspace(workspace))
    return [own if one.name == TOKENKIT else one for one in contenders]


def _channels(
    names: tuple[str, ...], seed: int, panel: Sequence[str] = PANEL, weights: Weights | None = None
) -> list[Detector]:
    return [one for one in channels.detectors(panel, seed, weights=weights) if one.name in names]


def _single_channels() -> list[Contender]:
    return [Contender(name, partial(_channels, (name,)), {name: 1.0}, "channels") for name in channels.gaps()]


def _ablations() -> list[Contender]:
    """Tokenkit without one family each; none has the rules, which would flag what a family would have."""
    learned = replace(tokenkit_as_set(Detection()), name=WITHOUT_RULES, group="ablation", policy=False)

    def without(family: str) -> Contender:
        return replace(learned, name=f"{TOKENKIT} without {family}",
                       make=lambda seed: [ablation.Without(one, family) for one in learned.make(seed)])  # fmt: skip

    return [learned, *map(without, ablation.families())]


# ---- PyOD ----
def _rows(name: str, view: str) -> Contender:
    title = f"{name}, {view}"

    def make(seed: int) -> list[Detector]:
        return [Rows(title, RecommendedDetector(seed) if name == "ADEngine" else detector(name, seed), view)]

    return Contender(title, make, {title: 1.0}, view, learns="reference")


def _time_series(name: str) -> Contender:
    title, (make, trailing) = f"{name}, hourly calls", SERIES[name]
    return Contender(title, lambda seed: [HourlySeries(title, partial(make, seed), trailing)], {title: 1.0},
                     "time series", learns="reference")  # fmt: skip


# ---- controls ----
def _controls() -> list[Contender]:
    flagger = "IForest at contamination 0.1"
    return [
        Contender(RANDOM, lambda seed: [controls.Control(RANDOM, controls.at_random(seed))], {RANDOM: 1.0}, "controls"),
        _control("robust z of calls", controls.robust_z("requests"), "requests"),
        _control("robust z of bytes", controls.robust_z("response_bytes"), "response_bytes"),
        _control("new networks", controls.new_networks, "network"),
        _control("any new network", controls.new_networks, "network", without_budget=True),
        _control("lock on first use", controls.first_uses, "", FOR_EVER_DAYS, without_budget=True),
        Contender(flagger, lambda seed: [Flagger(flagger, detector("IForest", seed), "deviations")], {flagger: 1.0},
                  "controls", "reference", without_budget=True),
    ]  # fmt: skip


def _control(
    name: str, values: controls.Values, reason: str, gap_days: int = 1, without_budget: bool = False
) -> Contender:
    return Contender(name, lambda seed: [controls.Control(name, values, reason, gap_days)], {name: 1.0}, "controls",
                     without_budget=without_budget)  # fmt: skip
