"""Bench organisation: that of the bench, in which every token is drawn for itself.

Reads  the catalogues. Writes nothing.
A token's job, owner, volume and peculiarity follow from the seed and its number alone, so an organisation of 21 tokens
is that of 20 and one more. Staff, networks, holidays and deploys are the same for any number of tokens.
"""

from dataclasses import replace
from datetime import date, timedelta
from statistics import NormalDist

import numpy as np
from dateutil.easter import easter
from dateutil.relativedelta import MO, TH, relativedelta, weekday

from tokenkit.world.archetypes import ARCHETYPES, Surroundings
from tokenkit.world.benign_changes import TruthEntries, outage_day, release_entries, truth_entry
from tokenkit.world.catalogue import BENCH_JOBS, CLIENTS, MORE_CLIENTS
from tokenkit.world.draws import network_prefix, stream
from tokenkit.world.organisation import SITES, VOLUME, Organisation, Person, Token, hire, issue, new_key

PEOPLE_PER_JOB = 8
LEFT = 0.04  # share of the staff that left
ROTATED, EXPIRED, UNOWNED, MOVING = 0.06, 0.01, 0.025, 0.12
GOLDEN = 0.6180339887498949  # multiples of it, modulo 1, fill the unit interval evenly

# Enough for a rhythm of the year: feasts of lunar calendars and of regions, and substitute days, are left out.
# fixed days (month, day), days counted from Easter Sunday, and weekdays of a month (month, n-th weekday)
HOLIDAYS: dict[str, tuple[list[tuple[int, int]], list[int], list[tuple[int, weekday]]]] = {
    "Europe/Lisbon": (
        [(1, 1), (4, 25), (5, 1), (6, 10), (8, 15), (10, 5), (11, 1), (12, 1), (12, 8), (12, 25)],
        [-47, -2, 60],
        [],
    ),
    "Europe/Berlin": ([(1, 1), (3, 8), (5, 1), (10, 3), (12, 25), (12, 26)], [-2, 1, 39, 50], []),
    "Asia/Kolkata": ([(1, 26), (8, 15), (10, 2), (12, 25)], [-2], []),
    "America/New_York": (
        [(1, 1), (6, 19), (7, 4), (11, 11), (12, 25)],
        [],
        [(1, MO(3)), (2, MO(3)), (9, MO(1)), (10, MO(2)), (11, TH(4))],
    ),
    "America/Sao_Paulo": (
        [(1, 1), (4, 21), (5, 1), (9, 7), (10, 12), (11, 2), (11, 15), (11, 20), (12, 25)],
        [-48, -47, -2, 60],
        [],
    ),
    "Asia/Singapore": ([(1, 1), (5, 1), (8, 9), (12, 25)], [-2], []),
}


def bench_organisation(tokens: int, days: int, start: date, seed: int) -> tuple[Organisation, TruthEntries]:
    """People, networks and tokens of the bench, and what truth.json says of them.

    Examples
    --------
    >>> few, more = (bench_organisation(n, 20, date(2026, 1, 5), 0)[0].tokens for n in (20, 21))
    >>> few == more[:20]
    True
    """
    around = surroundings(days, start, seed)
    org = Organisation(seed, start, days, [], around)
    people = staff(seed)
    by_kind: dict[str, TruthEntries] = {}
    moving = set()
    for number in range(tokens):
        rng, job = stream(seed, "token", number), BENCH_JOBS[number % len(BENCH_JOBS)]
        team = [person for person in people if person.team in job.teams]
        token = issue(rng, number, job, team[int(rng.integers(len(team)))], org.begin_time, days)
        org.tokens.append(token)
        for note in add_peculiarity(rng, token, org):
            by_kind.setdefault(note["kind"], []).append(note)
        if job.archetype in ("cron", "webhook", "llm") and rng.random() < MOVING:
            moving.add(token.name)
    around.moving = frozenset(moving)
    ids = [token.native_id for token in org.tokens if token.name in moving]
    moved = truth_entry(
        "egress_change", ids, org, around.move_day, days - 1, " -> ".join(f"{n}0/24" for n in around.move)
    )
    outage = truth_entry("outage", [], org, outage_day(days), outage_day(days), "gateways half down for 30 minutes")
    return org, [moved, outage, *(note for entries in by_kind.values() for note in entries), *calendar(org)]


def surroundings(days: int, start: date, seed: int) -> Surroundings:
    """What tokens share."""
    rng = stream(seed, "surroundings")
    families = {**CLIENTS, **MORE_CLIENTS}
    return Surroundings(
        days=days,
        egress=[network_prefix(rng, "hosting") for _ in range(24)],
        offices={site: network_prefix(rng, "business") for site in SITES},
        runners=[network_prefix(rng, "hosting") for _ in range(600)],
        carriers={site: [network_prefix(rng, "home") for _ in range(160)] for site in SITES},
        releases={name: sorted(rng.choice(days, max(1, days // 14), replace=False).tolist()) for name in families},
        move_day=int(rng.uniform(0.72, 0.88) * days),
        move=(network_prefix(rng, "hosting"), network_prefix(rng, "hosting")),
        holidays={site: holidays(site, start, days) for site in SITES},
        deploys={job.purpose: deploys(job.purpose, start, days, seed) for job in BENCH_JOBS},
    )


def staff(seed: int) -> list[Person]:
    """Everybody who may own a token: as many people for each job, whatever the number of tokens."""
    rng = stream(seed, "staff")
    people: list[Person] = []
    for job in BENCH_JOBS:
        for _ in range(PEOPLE_PER_JOB):
            hire(rng, people, job)
    return [replace(person, status="left") if rng.random() < LEFT else person for person in people]


def add_peculiarity(rng: np.random.Generator, token: Token, org: Organisation) -> TruthEntries:
    """Give some tokens a new key, an expiry in the past, or no owner; returns the token's entries of truth.json."""
    entries, days, begin, kind = [], org.days, org.begin_time, rng.random()
    usual = not token.is_role and not token.seldom_used and token.created < begin
    new, moment, ago = new_key(rng, token.log), rng.uniform(0.3, 0.8), rng.uniform(10, 50)
    if token.owner and token.owner.status == "left":
        entries.append(truth_entry("orphaned", [token.native_id], org, 0, days - 1, "the owner left"))
    if usual and kind < ROTATED:
        token.rotated_id, token.rotated = new, begin + timedelta(seconds=int(moment * days * 86400))
        first, both = (token.rotated - begin).days, [token.native_id, new]
        entries.append(truth_entry("rotation", both, org, first, days - 1, "a new key, the same behaviour"))
    elif usual and kind < ROTATED + EXPIRED:
        token.expires = (begin - timedelta(days=ago)).replace(microsecond=0)
        token.created = min(token.created, token.expires - timedelta(days=180))
        entries.append(truth_entry("expired", [token.native_id], org, 0, days - 1, "used after it expired"))
    elif kind < ROTATED + EXPIRED + UNOWNED:
        token.owner = None
        return [truth_entry("unowned", [token.native_id], org, 0, days - 1, "no row in the inventory")]
    return entries


def bench_mean_requests(org: Organisation, events_per_token: float) -> list[float]:
    """Mean requests of each token over the period: ``events_per_token`` on average, heavy-tailed within each job.

    A token's place in its job's distribution follows from its number, evenly spread, so that a sum over many tokens
    is close to what was asked for though no token knows of another.
    """
    kinds = [ARCHETYPES[job.archetype] for job in BENCH_JOBS]
    weights = [
        0.0 if kind.daily else VOLUME.get(job.archetype, 1.0) for job, kind in zip(BENCH_JOBS, kinds, strict=True)
    ]
    daily = [kind.daily * org.days * 5 / 7 for kind in kinds]
    people = sum(mean for job, mean in zip(BENCH_JOBS, daily, strict=True) if job.archetype == "human")
    cycle = (
        1.05 * events_per_token * len(BENCH_JOBS)
    )  # 5% are lost to tokens made within the period, seldom used or clipped
    scale = min(1.0, 0.3 * cycle / people)
    unit = (cycle - scale * people) / sum(weights)
    means = []
    for token in org.tokens:
        turn, place = divmod(token.number, len(BENCH_JOBS))
        kind, job = kinds[place], BENCH_JOBS[place]
        at = (stream(org.seed, "volume", job.purpose).random() + turn * GOLDEN) % 1.0
        share = NormalDist(-(kind.spread**2) / 2, kind.spread).inv_cdf(min(max(at, 1e-4), 0.995))
        means.append(float(np.exp(share)) * (scale * daily[place] + unit * weights[place]))
    return means


# ---- the calendar ----
def holidays(zone: str, start: date, days: int) -> list[int]:
    """Return the public holidays of a time zone's country, as days since the start.

    Examples
    --------
    >>> holidays("America/New_York", date(2026, 1, 5), 60)
    [14, 42]
    """
    fixed, from_easter, weekdays = HOLIDAYS[zone]
    dates: list[date] = []
    for year in range(start.year, (start + timedelta(days=days)).year + 1):
        dates += [date(year, month, day) for month, day in fixed]
        dates += [easter(year) + timedelta(days=after) for after in from_easter]
        dates += [date(year, month, 1) + relativedelta(weekday=nth) for month, nth in weekdays]
    return sorted({(day - start).days for day in dates if 0 <= (day - start).days < days})


def deploys(purpose: str, start: date, days: int, seed: int) -> list[int]:
    """Hours since the start in which a job's program is rolled out: a working day in eight, in working hours."""
    rng = stream(seed, "deploys", purpose)
    chosen = (rng.random(days) < 0.12).tolist()
    hours = rng.integers(8, 17, days).tolist()
    return [
        day * 24 + hour
        for day, (is_on, hour) in enumerate(zip(chosen, hours, strict=True))
        if is_on and (start + timedelta(days=day)).weekday() < 5
    ]


def calendar(org: Organisation) -> TruthEntries:
    """Releases, public holidays and deploys as truth.json lists them."""
    entries = release_entries(org)
    for zone, dates in org.around.holidays.items():
        entries += [truth_entry("public_holiday", [], org, day, day, zone) for day in dates]
    for purpose, hours in org.around.deploys.items():
        ids = [token.native_id for token in org.tokens if token.job.purpose == purpose]
        entries += [
            truth_entry("deploy", ids, org, hour // 24, hour // 24, f"{purpose}, from {hour % 24}:00 UTC for an hour")
            for hour in hours
            if ids
        ]
    return entries
