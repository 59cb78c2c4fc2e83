"""Attacks: the three that the demo adds to a simulated organisation's events.

Each draws from a random stream of its own and changes no event of the organisation but, in slow exfiltration, the
response bytes of the one token.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from tokenkit.errors import InputError
from tokenkit.world.benign_changes import TruthEntries
from tokenkit.world.catalogue import COST, ENDPOINT, ENDPOINTS, STRANGE_CLIENTS, WHOAMI
from tokenkit.world.draws import Array, address_in, network_of, network_prefix, stream
from tokenkit.world.organisation import DAY, HOUR, TRAILS, Organisation, Token, iso


def add_attacks(events: Array, org: Organisation, excluded: frozenset[str], total: int) -> tuple[Array, TruthEntries]:
    """Add the three attacks to three different tokens.

    Parameters
    ----------
    events : array of EVENT
        The organisation without attacks; changed in place where slow exfiltration raises response bytes.
    org : Organisation
    excluded : frozenset of token names
        Never attacked, because truth.json says something else of them already (``NEVER_ATTACKED``).
    total : int
        Events the organisation was asked to have; small organisations get small attacks.

    Returns
    -------
    (array of EVENT, list of attacks as in truth.json)
    """
    rng = stream(org.seed, "attacks")
    plain = events["token"] >= 0
    day = (events["time"] - org.begin) // DAY
    used = np.bincount(events["token"][plain] * org.days + day[plain], minlength=len(org.tokens) * org.days)
    used = used.reshape(len(org.tokens), org.days)
    last_days = np.arange(max(org.days // 2, org.days - 13), org.days - 2)
    candidates = [token for token in org.tokens if token.name not in excluded and token.owner and not token.is_role]
    used_long_enough = (used[:, : last_days[0]] > 0).sum(axis=1) >= min(30, last_days[0] // 2)
    candidates = [
        token for token in candidates if used_long_enough[token.number] and used[token.number, last_days].any()
    ]
    attacks, extras = [], []
    for attack, suitability in ATTACKS:
        suits = [suitability(events, token, used[token.number], org) for token in candidates]
        if not any(suits):
            raise InputError(
                f"no token of this organisation suits {attack.__name__}: simulate more tokens or more days"
            )
        best = [token for token, value in zip(candidates, suits, strict=True) if value == max(suits)]
        chosen = best[int(rng.integers(len(best)))]
        candidates.remove(chosen)
        active = last_days[used[chosen.number, last_days] > 0]
        extra, truth = attack(events, chosen, int(rng.choice(active)), org, total)
        extras.append(extra)
        named = {"id": "", "scenario": attack.__name__, "native_id": chosen.native_id, "issuer": chosen.issuer}
        attacks.append({**named, **truth})
    attacks.sort(key=lambda attack: attack["scenario"])
    for number, truth in enumerate(attacks, 1):
        truth["id"] = f"attack-{number}"
    return np.concatenate([events, *extras]), attacks


def copies_with_new_ids(rows: Array, rng: np.random.Generator) -> Array:
    """Copies of events with ids, sizes, latency and ``again`` (delivered twice) drawn anew."""
    copies = rows.copy()
    copies["sent"] = (rows["sent"] * rng.uniform(0.97, 1.03, len(rows))).astype("i8")
    copies["received"] = (rows["received"] * rng.uniform(0.97, 1.03, len(rows))).astype("i8")
    copies["latency"] = rows["latency"] * rng.lognormal(0, 0.2, len(rows))
    copies["uid"] = rng.integers(0, 2**64, (len(rows), 2), dtype="u8")
    copies["again"] = (rng.random(len(rows)) < 0.004) & (copies["log"] < len(TRAILS))
    return copies


def span(times: Array) -> dict[str, str]:
    """Start and end (exclusive) of an attack, to the second."""
    first, last = (datetime.fromtimestamp(t // 1000, UTC) for t in (int(times.min()), int(times.max()) + 1000))
    return {"start": iso(first), "end": iso(last)}


def stolen_token(events: Array, token: Token, day: int, org: Organisation, total: int) -> tuple[Array, dict[str, Any]]:
    """Return the thief's events and their entry in truth.json: hours of use from another network with another client.

    The first calls are of the kind that asks what the token may do, which it never made (``WHOAMI``).
    """
    rng = stream(org.seed, token.native_id, "stolen_token")
    own = events[events["token"] == token.number]
    n = int(rng.integers(80, min(400, max(80, total // 25)) + 1))
    extra = copies_with_new_ids(own[np.sort(rng.integers(len(own), size=n))], rng)
    begin = org.begin + day * DAY + int(rng.uniform(0, 19.5) * HOUR)
    extra["time"] = np.sort(begin + (rng.beta(1, 1.3, n) * rng.uniform(2, 4) * HOUR).astype("i8"))
    taken = {network_of(ip) for ip in org.addresses}
    network = network_prefix(rng, "hosting")
    while network in taken:
        network = network_prefix(rng, "hosting")
    families = {client.split("/")[0] for client in org.clients}
    client = str(rng.choice([client for client in STRANGE_CLIENTS if client.split("/")[0] not in families]))
    hosts = [org.number(org.addresses, address_in(rng, network)) for _ in range(int(rng.integers(1, 3)))]
    extra["address"] = rng.choice(hosts, n)
    extra["client"] = org.number(org.clients, client)
    never = [ENDPOINT[name] for name in WHOAMI[token.issuer] if not (own["endpoint"] == ENDPOINT[name]).any()]
    fresh = rng.choice(never, min(len(never), int(rng.integers(1, 3))), replace=False)
    look = np.concatenate([np.arange(len(fresh)), np.flatnonzero(rng.random(n) < 0.03)])
    calls = np.resize(fresh, len(look))
    sent = np.array([COST[ENDPOINTS[call]][0] for call in calls]) * 1024 * rng.lognormal(0, 0.3, len(look))
    asked = {"endpoint": calls, "object": 0, "page": 0, "status": 200, "sent": sent, "received": 300}
    for name, values in asked.items():
        extra[name][look] = values
    called = ", ".join(ENDPOINTS[call] for call in fresh)
    detail = f"{n} requests from {network}0/24 with {client}; first of all {called}"
    return extra, {**span(extra["time"]), "cause": ["network", "client", "operations"], "detail": detail}


def slow_exfiltration(
    events: Array, token: Token, day: int, org: Organisation, total: int
) -> tuple[Array, dict[str, Any]]:
    """Return the extra events, reads of objects never touched before, and their entry in truth.json.

    Over the last days (``exfiltration_days``) the responses carry 60% more in all: ``sent`` of the token's own events
    is raised in place for the rest.
    """
    rng = stream(org.seed, token.native_id, "slow_exfiltration")
    begin = org.begin + (org.days - exfiltration_days(org)) * DAY
    mine = events["token"] == token.number
    window = np.flatnonzero(mine & (events["time"] >= begin) & (events["status"] < 400) & (events["sent"] > 0))
    before = int(events["sent"][window].sum())
    pulls = window[np.isin(events["endpoint"][window], object_reads(token))]
    known = events["object"][mine & np.isin(events["endpoint"], object_reads(token))]
    extra = copies_with_new_ids(events[np.sort(rng.choice(pulls, max(1, int(0.06 * len(window)))))], rng)
    extra["time"] += rng.integers(1_000, 60_000, len(extra))
    extra["time"] = np.minimum(extra["time"], org.begin + org.days * DAY - 1)
    step = 1 if token.issuer == "aws" else 17
    extra["object"] = max(int(known.min()), len(extra) * step * 4) - step * (
        1 + rng.permutation(len(extra) * 3)[: len(extra)]
    )
    extra["sent"] = (extra["sent"] * rng.uniform(1.5, 2.5, len(extra))).astype("i8")
    more = min(int(extra["sent"].sum()), int(0.3 * before))
    extra["sent"] = np.maximum(extra["sent"] * (more / extra["sent"].sum()), 200).astype("i8")
    noise = rng.lognormal(0, 0.06, org.days)[(events["time"][window] - org.begin) // DAY]
    raised = events["sent"][window] * noise
    events["sent"][window] = (raised * ((1.6 * before - extra["sent"].sum()) / raised.sum())).astype("i8")
    detail = (
        f"response bytes {before:,} -> {int(events['sent'][window].sum() + extra['sent'].sum()):,}; "
        f"{len(extra)} requests more, for objects never touched before"
    )
    times = np.array([begin, begin + exfiltration_days(org) * DAY - 1000])
    return extra, {**span(times), "cause": ["response_bytes", "objects"], "detail": detail}


def object_enumeration(
    events: Array, token: Token, day: int, org: Organisation, total: int
) -> tuple[Array, dict[str, Any]]:
    """Return the extra events and their entry in truth.json: for hours the token reads objects by consecutive number.

    They come from the addresses and clients that the token has on that day.
    """
    rng = stream(org.seed, token.native_id, "object_enumeration")
    own = events[events["token"] == token.number]
    reads, counts = np.unique(own["endpoint"][np.isin(own["endpoint"], object_reads(token))], return_counts=True)
    call = int(reads[counts.argmax()])
    like = own[(own["endpoint"] == call) & (own["status"] == 200)]
    n = int(rng.integers(300, min(1500, max(300, total // 20)) + 1))
    extra = copies_with_new_ids(like[rng.integers(len(like), size=n)], rng)
    begin = org.begin + day * DAY + int(rng.uniform(0, 18.5) * HOUR)
    gaps = rng.gamma(2.0, 1.0, n)
    extra["time"] = begin + (np.cumsum(gaps) / gaps.sum() * rng.uniform(2, 5) * HOUR).astype("i8")
    extra["object"] = int(rng.choice(like["object"])) + int(rng.integers(3, 500)) + np.arange(n)
    absent = rng.random(n) < rng.uniform(0.33, 0.57)
    extra["status"][absent] = 404
    extra["sent"][absent] = rng.integers(180, 320, int(absent.sum()))
    lately = own[(own["time"] >= org.begin + day * DAY) & (own["time"] < org.begin + (day + 1) * DAY)]
    rows = lately[rng.integers(len(lately), size=n)]
    extra["address"], extra["client"] = rows["address"], rows["client"]
    detail = f"{n} requests {ENDPOINTS[call]}, numbers in sequence, {absent.mean():.0%} of them 404"
    return extra, {**span(extra["time"]), "cause": ["objects", "sequential", "errors"], "detail": detail}


# ---- how well a token suits an attack: 0 not at all, and one of those with the largest value is chosen ----
STEADY_SD = 0.25  # largest day-to-day sd (log) of the bytes of a request at which +60% can still be seen


def object_reads(token: Token) -> list[int]:
    """Endpoints of the token's job that return one object."""
    names = (*token.job.calls, *token.job.seldom)
    return [ENDPOINT[name] for name in names if name == "s3 GetObject" or (name[:3] == "GET" and "{id}" in name)]


def exfiltration_days(org: Organisation) -> int:
    """Length of a slow exfiltration: 20 days, or a third of a short period."""
    return min(20, org.days // 3)


def suitability_for_theft(events: Array, token: Token, used: Array, org: Organisation) -> float:
    """How well a token suits: all alike."""
    return 1.0


def suitability_for_exfiltration(events: Array, token: Token, used: Array, org: Organisation) -> float:
    """How well a token suits: 1e6 for steady use, twice that for a scheduled job, else its median requests a weekday.

    Steady is 20 requests on nine weekdays in ten, and sizes that are alike from day to day (``STEADY_SD``). A scheduled
    job keeps to its level over weeks; of most others +60% cannot be told from what they do anyway. 0 without reads or
    sizes.
    """
    weekday = np.array([(org.start + timedelta(days=day)).weekday() < 5 for day in range(org.days)])
    lately = used[-min(48, org.days) :][weekday[-min(48, org.days) :]]
    mine = events[(events["token"] == token.number) & (events["sent"] > 0)]
    day = (mine["time"] - org.begin) // DAY
    pulls = np.isin(mine["endpoint"], object_reads(token)) & (day >= org.days - exfiltration_days(org))
    if pulls.sum() < 5 or len(mine) < 0.3 * used.sum():
        return 0.0
    if pulls.sum() < 20 or not lately.all():
        return float(pulls.sum()) / 1e6  # only where a small organisation has nothing better
    sent, n = np.bincount(day, mine["sent"], org.days), np.bincount(day, minlength=org.days)
    level = np.log(sent[n > 0] / n[n > 0])
    day_to_day_sd = 1.48 * np.median(abs(level - np.median(level)))
    if np.quantile(lately, 0.1) < 20 or day_to_day_sd >= STEADY_SD:
        return float(np.median(lately))
    return 2e6 if token.job.archetype == "cron" else 1e6


def suitability_for_enumeration(events: Array, token: Token, used: Array, org: Organisation) -> float:
    """How well a token suits: 1 for a gateway's token that reads objects by number, else 0."""
    if token.issuer != "gateway":
        return 0.0
    mine = events[events["token"] == token.number]
    return float((np.isin(mine["endpoint"], object_reads(token)) & (mine["status"] == 200)).sum() >= 10)


# the most particular first, so that it finds its token; truth.json lists them by name of scenario
ATTACKS = (
    (slow_exfiltration, suitability_for_exfiltration),
    (object_enumeration, suitability_for_enumeration),
    (stolen_token, suitability_for_theft),
)
