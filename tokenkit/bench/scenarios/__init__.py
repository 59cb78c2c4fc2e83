"""The registry of 27 attacks and 12 benign changes that the bench lays over tokens (docs/method/scenarios.md).

To add one, decorate a function with ``scenario`` in one of this folder's modules.
"""

from tokenkit.bench.scenarios import (  # noqa: F401  (they register their scenarios)
    benign_changes,
    misuse,
    slow,
    stolen,
    wide,
)
from tokenkit.bench.scenarios.scenario import REGISTRY, Scenario
from tokenkit.errors import InputError, did_you_mean


def _of(kind: str) -> dict[str, Scenario]:
    return dict(sorted(((i, s) for i, s in REGISTRY.items() if s.kind == kind), key=lambda item: item[1].number))


ATTACKS = _of("attack")
BENIGN_CHANGES = _of("confounder")  # as results store them
ALL = {**ATTACKS, **BENIGN_CHANGES}
FAMILIES = {
    "theft": ("stolen_token", "cloned_token", "leaked_key_check", "ci_off_runner", "used_by_hand", "client_swap",
              "network_rotation", "supply_chain", "invalid_token_storm"),
    "calls": ("reconnaissance", "scope_probing", "purpose_creep", "credential_minting", "privilege_escalation",
              "resource_hijack", "destructive_burst", "secret_harvesting", "tracks_covered", "refresh_token_reuse"),
    "amounts": ("object_enumeration", "bulk_spike", "slow_exfiltration", "ramp", "pagination_crawl"),
    "time": ("dormant_revived", "off_schedule"),
}  # fmt: skip


def get(id: str) -> Scenario:
    """The attack or benign change of that id.

    Raises
    ------
    InputError
        There is none.

    Examples
    --------
    >>> get("stolen_token").number, get("egress_change").kind
    (1, 'confounder')
    """
    if id not in ALL:
        raise InputError(f"no scenario {id!r}; {did_you_mean(id, list(ALL))}")
    return ALL[id]
