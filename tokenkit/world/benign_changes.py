"""Benign changes of a simulated organisation: bursts, heavy reports, growth, days off, and how truth.json lists them.

They are part of the organisation with and without attacks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np

from tokenkit.world.draws import Array, stream
from tokenkit.world.organisation import Organisation, Token, iso

TruthEntries = list[dict[str, Any]]


@dataclass
class DailyVariation:
    """The benign changes of one token, for each day."""

    requests: Array  # factor on the number of requests; 0 on days off
    size: Array  # factor on the bytes of a response
    entries: TruthEntries


def daily_variation(token: Token, org: Organisation) -> DailyVariation:
    """The benign changes of one token: bursts (0.3% of days), heavy reports (0.6%), growth, days off.

    A token that is used on few days only, or was made within the period, has no requests on the other days.
    """
    rng = stream(org.seed, token.native_id, "weather")
    days = np.arange(org.days)
    requests, size, entries = np.ones(org.days), np.ones(org.days), []

    def note(kind: str, first: int, last: int, detail: str) -> None:
        entries.append(truth_entry(kind, [token.native_id], org, first, last, detail))

    burst, heavy = rng.random(org.days) < 0.003, rng.random(org.days) < 0.006
    requests[burst] *= rng.uniform(5, 10, org.days)[burst]
    size[heavy] *= rng.uniform(3, 6, org.days)[heavy]
    for day in np.flatnonzero(burst).tolist():
        note("burst", day, day, f"requests x{requests[day]:.1f}")
    for day in np.flatnonzero(heavy).tolist():
        note("heavy_report", day, day, f"bytes a response x{size[day]:.1f}")
    if rng.random() < 0.04:
        requests *= 1.2 ** (days / 30)
        note("growth", 0, org.days - 1, "requests +20% a month")
    holiday, length = int(rng.integers(org.days)), int(rng.integers(4, 10))
    if token.job.archetype == "human" and rng.random() < 0.5 * org.days / 60:
        requests[holiday : holiday + length] = 0
        note("holiday", holiday, min(holiday + length, org.days) - 1, "the owner is away")
    if token.seldom_used:
        requests *= rng.random(org.days) < 0.05
        note("sleeper", 0, org.days - 1, "used on few days")
    first = (token.created.date() - org.start).days
    if first > 0:
        requests[:first] = 0
        note("new_token", first, org.days - 1, "made within the period")
    return DailyVariation(requests, size, entries)


def outage_day(days: int) -> int:
    """The day on which the gateways are half down."""
    return int(days * 0.55)


def truth_entry(
    kind: str, native_ids: list[str], org: Organisation, first: int, last: int, detail: str
) -> dict[str, Any]:
    """A benign change as truth.json lists it: days ``first`` to ``last``, inclusive."""
    return {
        "kind": kind,
        "native_ids": native_ids,
        "start": iso(org.begin_time + timedelta(days=first)),
        "end": iso(org.begin_time + timedelta(days=last + 1)),
        "detail": detail,
    }


def release_entries(org: Organisation) -> TruthEntries:
    """The days on which a version of a client came out, as truth.json lists them."""
    return [
        truth_entry("sdk_release", [], org, day, day, f"{family}, release {number}")
        for family, dates in org.around.releases.items()
        for number, day in enumerate(dates, 1)
    ]
