"""Attacks and benign confounders: what is done to a simulated organisation on purpose.

A confounder (a burst, a heavy report, a holiday, growth) is part of the organisation and always there. An attack is
added to it afterwards: it draws from streams of its own and changes no event but its own and, in slow exfiltration,
the response bytes of the one token.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from tokenkit.errors import InputError
from tokenkit.world.benign import TruthEntries
from tokenkit.world.catalogue import COST, ENDPOINT, ENDPOINTS, WHOAMI
from tokenkit.world.draws import Array, address_in, network_of, network_prefix, stream
from tokenkit.world.organisation import DAY, TRAILS, Organisation, Token, iso

HOUR = 3_600_000
STRANGE_CLIENTS = (
    "rclone/v1.65.2",
    "Go-http-client/2.0",
    "Python/3.10 aiohttp/3.9.1",
    "python-urllib3/2.0.7",
    "libwww-perl/6.72",
    "Ruby/3.2 faraday/2.9.0",
)


# ---- attacks ----
def add_attacks(events: Array, org: Organisation, barred: frozenset[str], total: int) -> tuple[Array, TruthEntries]:
    """Add the three attacks to three different tokens.

    Parameters
    ----------
    events : array of EVENT
        The organisation without attacks; changed in place where slow exfiltration raises response bytes.
    org : Organisation
    barred : frozenset of token names
        Tokens with a tale of their own (rotated, expired, moved, ...), never attacked.
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
    open_to = [token for token in org.tokens if token.name not in barred and token.owner and not token.is_role]
    seasoned = (used[:, : last_days[0]] > 0).sum(axis=1) >= min(30, last_days[0] // 2)
    open_to = [token for token in open_to if seasoned[token.number] and used[token.number, last_days].any()]
    attacks, extras = [], []
    for attack, suits in ATTACKS:
        fits = [suits(events, token, used[token.number], org) for token in open_to]
        if not any(fits):
            raise InputError(
                f"no token of this organisation suits {attack.__name__}: simulate more tokens or more days"
            )
        best = [token for token, fit in zip(open_to, fits, strict=True) if fit == max(fits)]
        chosen = best[int(rng.integers(len(best)))]
        open_to.remove(chosen)
        active = last_days[used[chosen.number, last_days] > 0]
        extra, truth = attack(events, chosen, int(rng.choice(active)), org, total)
        extras.append(extra)
        named = {"id": "", "scenario": attack.__name__, "native_id": chosen.native_id, "issuer": chosen.issuer}
        attacks.append({**named, **truth})
    attacks.sort(key=lambda attack: attack["scenario"])
    for number, truth in enumerate(attacks, 1):
        truth["id"] = f"attack-{number}"
    return np.concatenate([events, *extras]), attacks


def again_as(rows: Array, rng: np.random.Generator) -> Array:
    """Copies of events under ids of their own, and not quite the same in size."""
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
    """For some hours somebody else uses the token too: another network, another client, a look around first."""
    rng = stream(org.seed, token.native_id, "stolen_token")
    own = events[events["token"] == token.number]
    n = int(rng.integers(80, min(400, max(80, total // 25)) + 1))
    extra = again_as(own[np.sort(rng.integers(len(own), size=n))], rng)
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
    for row, call in zip(look, np.resize(fresh, len(look)), strict=True):
        sent = int(COST[ENDPOINTS[call]][0] * 1024 * rng.lognormal(0, 0.3))
        for name, value in {
            "endpoint": call,
            "object": 0,
            "page": 0,
            "status": 200,
            "sent": sent,
            "received": 300,
        }.items():
            extra[name][row] = value
    called = ", ".join(ENDPOINTS[call] for call in fresh)
    detail = f"{n} requests from {network}0/24 with {client}; first of all {called}"
    return extra, {**span(extra["time"]), "cause": ["network", "client", "operations"], "detail": detail}


def slow_exfiltration(
    events: Array, token: Token, day: int, org: Organisation, total: int
) -> tuple[Array, dict[str, Any]]:
    """Over the last 20 days the responses carry 60% more in all, a part of it objects never touched before."""
    rng = stream(org.seed, token.native_id, "slow_exfiltration")
    begin = org.begin + (org.days - exfiltration_days(org)) * DAY
    mine = events["token"] == token.number
    window = np.flatnonzero(mine & (events["time"] >= begin) & (events["status"] < 400) & (events["sent"] > 0))
    before = int(events["sent"][window].sum())
    pulls = window[np.isin(events["endpoint"][window], object_reads(token))]
    known = events["object"][mine & np.isin(events["endpoint"], object_reads(token))]
    extra = again_as(events[np.sort(rng.choice(pulls, max(1, int(0.06 * len(window)))))], rng)
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
    """For some hours the token counts through the numbers of one kind of object, from where it always works."""
    rng = stream(org.seed, token.native_id, "object_enumeration")
    own = events[events["token"] == token.number]
    reads, counts = np.unique(own["endpoint"][np.isin(own["endpoint"], object_reads(token))], return_counts=True)
    call = int(reads[counts.argmax()])
    like = own[(own["endpoint"] == call) & (own["status"] == 200)]
    n = int(rng.integers(300, min(1500, max(300, total // 20)) + 1))
    extra = again_as(like[rng.integers(len(like), size=n)], rng)
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


# ---- which tokens suit: 0 not at all, and the largest wins ----
# Log-sd of a day's bytes a request, beyond which +60% over three weeks drowns in the token's own noise: the standard
# error of two 14-day means is then 0.25 * sqrt(2 / 14), 0.1, against log(1.6) = 0.47 and a benign movement of 0.1.
STEADY = 0.25


def object_reads(token: Token) -> list[int]:
    """Endpoints of the token's job that return one object."""
    names = (*token.job.calls, *token.job.seldom)
    return [ENDPOINT[name] for name in names if name == "s3 GetObject" or (name[:3] == "GET" and "{id}" in name)]


def exfiltration_days(org: Organisation) -> int:
    """Length of a slow exfiltration: 20 days, or a third of a short period."""
    return min(20, org.days // 3)


def fit_stolen(events: Array, token: Token, used: Array, org: Organisation) -> float:
    """Any token."""
    return 1.0


def fit_slow(events: Array, token: Token, used: Array, org: Organisation) -> float:
    """Steady use (20 requests on nearly every weekday, sizes alike from day to day); else the busiest."""
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
    restless = 1.48 * np.median(abs(level - np.median(level)))
    return 1e6 if np.quantile(lately, 0.1) >= 20 and restless < STEADY else float(np.median(lately))


def fit_enumeration(events: Array, token: Token, used: Array, org: Organisation) -> float:
    """A gateway token that reads objects by number."""
    if token.issuer != "gateway":
        return 0.0
    mine = events[events["token"] == token.number]
    return float((np.isin(mine["endpoint"], object_reads(token)) & (mine["status"] == 200)).sum() >= 10)


# the most particular first, so that it finds its token; truth.json lists them by name of scenario
ATTACKS = ((slow_exfiltration, fit_slow), (object_enumeration, fit_enumeration), (stolen_token, fit_stolen))
