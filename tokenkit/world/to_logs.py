"""A simulated organisation: people, tokens and every request they make, written as raw logs with the truth beside.

Reads  nothing but its arguments and ``catalogue`` and ``archetypes``.
Writes logs/ and inventory.csv as an organisation would have them, and truth.json: which tokens were attacked, when,
       and which benign events a detector should not mistake for an attack.
Each token draws from random streams of its own, so an attack changes no other event.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from tokenkit.errors import InputError
from tokenkit.world.attacks import add_attacks
from tokenkit.world.bench_organisation import bench_mean_requests, bench_organisation
from tokenkit.world.benign_changes import TruthEntries, daily_variation
from tokenkit.world.catalogue import JOBS
from tokenkit.world.demo_organisation import NEVER_ATTACKED, demo_mean_requests, demo_organisation
from tokenkit.world.log_formats import write_logs
from tokenkit.world.organisation import write_inventory
from tokenkit.world.traffic import service_requests, token_requests

EVENTS_PER_TOKEN_DAY = 250 / 3
FIRST_DAY = date(2026, 1, 5)  # a Monday


def simulate_logs(
    out: Path,
    *,
    tokens: int = 200,
    days: int = 60,
    start: date = FIRST_DAY,
    seed: int = 0,
    attacks: bool = True,
    events: int = 1_000_000,
    bench: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Write a simulated organisation: raw logs, inventory and truth.

    Parameters
    ----------
    out : Path
        Folder for ``logs/``, ``inventory.csv`` and ``truth.json``; made if absent.
    tokens : int, at least 12
    days : int, at least 14
    start : date
        First day (UTC).
    seed : int
        The same arguments give the same bytes.
    attacks : bool
        Without them the organisation is the identical one, benign changes included.
    events : int
        About so many events in all (within 10%).
    bench : bool
        The bench's organisation (``bench_organisation``) in place of the demo's.
    progress : callable(done, total), optional
        Called after each token drawn and each day written.

    Returns
    -------
    dict
        What truth.json holds: ``seed``, ``start``, ``days``, ``attacks``, ``confounders``.

    Raises
    ------
    InputError
        Fewer tokens or days than an organisation needs, or no token suits an attack.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     truth = simulate_logs(Path(folder), tokens=16, days=16, events=3_000)
    >>> [attack["scenario"] for attack in truth["attacks"]]
    ['object_enumeration', 'slow_exfiltration', 'stolen_token']
    """
    if tokens < len(JOBS) or days < 14:
        raise InputError(f"tokens={tokens}, days={days}: an organisation needs at least {len(JOBS)} tokens and 14 days")
    tell = progress or (lambda done, total: None)
    org, entries = (bench_organisation if bench else demo_organisation)(tokens, days, start, seed)
    volume = bench_mean_requests(org, events / tokens) if bench else demo_mean_requests(org, events)
    conditions = [daily_variation(token, org) for token in org.tokens]
    parts = [service_requests(org, events)]
    for token, mean, variation in zip(org.tokens, volume, conditions, strict=True):
        parts.append(token_requests(token, org, mean, variation))
        entries += variation.entries
        tell(token.number + 1, tokens + days)
    rows = np.concatenate(parts)
    found: TruthEntries = []
    del parts
    if attacks:
        peculiar = {native for note in entries if note["kind"] in NEVER_ATTACKED for native in note["native_ids"]}
        excluded = frozenset(token.name for token in org.tokens if token.native_id in peculiar)
        rows, found = add_attacks(rows, org, excluded, events)
    rows = rows[np.lexsort((rows["uid"][:, 0], rows["time"], rows["log"]))]
    write_logs(out / "logs", rows, org, lambda day: tell(tokens + day + 1, tokens + days))
    write_inventory(out / "inventory.csv", org)
    truth = {"seed": seed, "start": start.isoformat(), "days": days, "attacks": found, "confounders": entries}
    (out / "truth.json").write_bytes(orjson.dumps(truth, option=orjson.OPT_INDENT_2))
    return truth
