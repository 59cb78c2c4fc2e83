"""Attacks and benign confounders: what is done to a simulated organisation on purpose.

A confounder (a burst, a heavy report, a holiday, growth) is part of the organisation and always there. An attack is
added to it afterwards: it draws from streams of its own and changes no event but its own and, in slow exfiltration,
the response bytes of the one token.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from tokenkit.world.archetypes import Array, address, network_of, prefix, stream
from tokenkit.world.catalogue import COST, ENDPOINT, ENDPOINTS, WHOAMI
from tokenkit.world.organisation import DAY, TRAILS, Organisation, Token, iso, new_key

HOUR = 3_600_000
STRANGE_CLIENTS = (
    "rclone/v1.65.2",
    "Go-http-client/2.0",
    "Python/3.10 aiohttp/3.9.1",
    "python-urllib3/2.0.7",
    "libwww-perl/6.72",
    "Ruby/3.2 faraday/2.9.0",
)
TALES = (
    "rotation",
    "expired",
    "unowned",
    "orphaned",
    "egress_change",
    "sleeper",
    "new_token",
    "growth",
)  # never attacked
Notes = list[dict[str, Any]]


# ---- confounders ----
@dataclass
class Weather:
    """What benign circumstances do to one token, for each day."""

    requests: Array  # factor on the number of requests; 0 on days off
    size: Array  # factor on the bytes of a response
    notes: Notes


def weather(token: Token, org: Organisation) -> Weather:
    """Bursts (0.3% of days), heavy reports (0.6%), growth, holidays, sleep, and the day the token was made."""
    rng = stream(org.seed, token.native_id, "weather")
    days = np.arange(org.days)
    requests, size, notes = np.ones(org.days), np.ones(org.days), []

    def note(kind: str, first: int, last: int, detail: str) -> None:
        notes.append(confounder(kind, [token.native_id], org, first, last, detail))

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
    if token.sleeps:
        requests *= rng.random(org.days) < 0.05
        note("sleeper", 0, org.days - 1, "used on few days")
    first = (token.created.date() - org.start).days
    if first > 0:
        requests[:first] = 0
        note("new_token", first, org.days - 1, "made within the period")
    return Weather(requests, size, notes)


def tales(rng: np.random.Generator, org: Organisation, begin: datetime) -> Notes:
    """Some tokens have no owner, an owner who left, a date behind them, a new key, or move to another network."""
    days = org.days
    usual = [token for token in org.tokens if not token.is_role and not token.sleeps and token.created < begin]
    order = [usual[i] for i in rng.permutation(len(usual))]
    few = max(1, round(0.025 * len(org.tokens)))
    moving = [token for token in order if token.job.archetype in ("cron", "webhook")]
    moving = moving[: min(10, max(2, len(org.tokens) // 12))]
    order = [token for token in order if token not in moving]
    rotated = next(token for token in order if token.job.archetype != "human")
    order.remove(rotated)
    expired, unowned, rest = order[0], order[1 : 1 + few], order[1 + few :]
    owners = [token.owner for token in org.tokens]
    left = [token.owner for token in rest if owners.count(token.owner) <= 1][:few]
    orphaned = [token for token in org.tokens if token.owner in left]
    for token in orphaned:
        token.owner = replace(token.owner, status="left") if token.owner else None
    for token in unowned:
        token.owner = None
    expired.expires = (begin - timedelta(days=float(rng.uniform(10, 50)))).replace(microsecond=0)
    expired.created = min(expired.created, expired.expires - timedelta(days=180))
    rotated.rotated = begin + timedelta(seconds=int(rng.uniform(0.5, 0.65) * days * 86400))
    rotated.rotated_id = new_key(rng, rotated.log)
    around = org.around
    around.moving = frozenset(token.name for token in moving)
    around.move_day = int(rng.uniform(0.72, 0.88) * days)
    around.move = (prefix(rng, "hosting"), prefix(rng, "hosting"))

    def note(kind: str, tokens: list[Token], first: int, last: int, detail: str) -> dict[str, Any]:
        return confounder(kind, [token.native_id for token in tokens], org, first, last, detail)

    notes = [
        note("egress_change", moving, around.move_day, days - 1, f"{around.move[0]}0/24 -> {around.move[1]}0/24"),
        note("rotation", [rotated], (rotated.rotated - begin).days, days - 1, "a new key, the same behaviour"),
        note("expired", [expired], 0, days - 1, "used after it expired"),
        note("unowned", unowned, 0, days - 1, "no row in the inventory"),
        note("orphaned", orphaned, 0, days - 1, "the owner left"),
        note("outage", [], outage_day(days), outage_day(days), "gateways half down for 30 minutes; clients try again"),
    ]
    notes[1]["native_ids"].append(rotated.rotated_id)
    for family, dates in around.releases.items():
        notes += [note("sdk_release", [], day, day, f"{family}, release {i}") for i, day in enumerate(dates, 1)]
    return notes


def outage_day(days: int) -> int:
    """The day on which the gateways are half down."""
    return int(days * 0.55)


def confounder(
    kind: str, native_ids: list[str], org: Organisation, first: int, last: int, detail: str
) -> dict[str, Any]:
    """A confounder as truth.json lists it: days ``first`` to ``last``, inclusive."""
    start = datetime(org.start.year, org.start.month, org.start.day, tzinfo=UTC)
    return {
        "kind": kind,
        "native_ids": native_ids,
        "start": iso(start + timedelta(days=first)),
        "end": iso(start + timedelta(days=last + 1)),
        "detail": detail,
    }


# ---- attacks ----
def inject(events: Array, org: Organisation, barred: frozenset[str], total: int) -> tuple[Array, Notes]:
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
            raise ValueError(
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
    network = prefix(rng, "hosting")
    while network in taken:
        network = prefix(rng, "hosting")
    families = {client.split("/")[0] for client in org.clients}
    client = str(rng.choice([client for client in STRANGE_CLIENTS if client.split("/")[0] not in families]))
    hosts = [org.number(org.addresses, address(rng, network)) for _ in range(int(rng.integers(1, 3)))]
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
