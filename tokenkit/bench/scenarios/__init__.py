"""The registry of 27 attacks and 12 benign changes that the bench lays over tokens (docs/method/scenarios.md).

To add one, decorate a function with ``scenario`` in one of this folder's modules.
"""

from tokenkit.bench.scenarios import (  # noqa: F401  (they register their scenarios)
    confounders,
    misuse,
    slow,
    stolen,
    wide,
)
from tokenkit.bench.scenarios.scenario import REGISTRY, Scenario
from tokenkit.errors import InputError, did_you_mean


def _of(kind: str) -> dict[str, Scenario]:
    return dict(sorted(((i, s) for i, s in REGISTRY.items() if s.kind == kind), key=lambda item: item[1].number))


SCENARIOS = _of("attack")
CONFOUNDERS = _of("confounder")


def get(id: str) -> Scenario:
    """The attack or confounder of that id.

    Raises
    ------
    InputError
        There is none.

    Examples
    --------
    >>> get("stolen_token").number, get("egress_change").kind
    (1, 'confounder')
    """
    if id not in REGISTRY:
        raise InputError(f"no scenario {id!r}; {did_you_mean(id, [*SCENARIOS, *CONFOUNDERS])}")
    return REGISTRY[id]
