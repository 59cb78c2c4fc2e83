"""The organisation of the demo: every kind of token, and a few with something odd about them.

Tokens share one random stream, so another number of tokens is another organisation. The bench's organisation
(``bench_organisation``) draws each token by itself.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np

from tokenkit.world.archetypes import ARCHETYPES, Surroundings
from tokenkit.world.benign_changes import TruthEntries, outage_day, release_entries, truth_entry
from tokenkit.world.catalogue import CLIENTS, JOBS
from tokenkit.world.draws import network_prefix, stream
from tokenkit.world.organisation import SITES, VOLUME, Organisation, Person, Token, colleague, hire, issue, new_key

# tokens of which truth.json says this are left alone by the demo's attacks
NEVER_ATTACKED = ("rotation", "expired", "unowned", "orphaned", "egress_change", "sleeper", "new_token", "growth")


def demo_organisation(tokens: int, days: int, start: date, seed: int) -> tuple[Organisation, TruthEntries]:
    """People, networks and tokens of the demo, and what truth.json says of them."""
    rng = stream(seed, "organisation")
    releases = {family: sorted(rng.choice(days, max(1, days // 14), replace=False).tolist()) for family in CLIENTS}
    around = Surroundings(
        days=days,
        egress=[network_prefix(rng, "hosting") for _ in range(8)],
        offices={site: network_prefix(rng, "business") for site in SITES},
        runners=[network_prefix(rng, "hosting") for _ in range(400)],
        carriers={site: [network_prefix(rng, "home") for _ in range(80)] for site in SITES},
        releases=releases,
    )
    people: list[Person] = []
    org = Organisation(seed, start, days, [], around)
    jobs = [job for job, n in zip(JOBS, apportion([job.share for job in JOBS], tokens), strict=True) for _ in range(n)]
    for number in range(tokens):
        job = jobs[number]
        another = job.archetype == "human" or rng.random() < 0.5
        owner = hire(rng, people, job) if another else colleague(rng, people, job)
        org.tokens.append(issue(rng, number, job, owner, org.begin_time, days))
    return org, add_peculiarities(rng, org)


def add_peculiarities(rng: np.random.Generator, org: Organisation) -> TruthEntries:
    """Change some tokens (no owner, an owner who left, expired, a new key, another network); returns their entries."""
    days, begin = org.days, org.begin_time
    usual = [token for token in org.tokens if not token.is_role and not token.seldom_used and token.created < begin]
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
    around.move = (network_prefix(rng, "hosting"), network_prefix(rng, "hosting"))

    def note(kind: str, tokens: list[Token], first: int, last: int, detail: str) -> dict[str, Any]:
        return truth_entry(kind, [token.native_id for token in tokens], org, first, last, detail)

    entries = [
        note("egress_change", moving, around.move_day, days - 1, f"{around.move[0]}0/24 -> {around.move[1]}0/24"),
        note("rotation", [rotated], (rotated.rotated - begin).days, days - 1, "a new key, the same behaviour"),
        note("expired", [expired], 0, days - 1, "used after it expired"),
        note("unowned", unowned, 0, days - 1, "no row in the inventory"),
        note("orphaned", orphaned, 0, days - 1, "the owner left"),
        note("outage", [], outage_day(days), outage_day(days), "gateways half down for 30 minutes; clients try again"),
    ]
    entries[1]["native_ids"].append(rotated.rotated_id)
    return entries + release_entries(org)


def apportion(shares: list[float], total: int) -> list[int]:
    """Whole numbers in proportion to ``shares`` that add up to ``total``, none of them 0.

    Examples
    --------
    >>> apportion([0.5, 0.3, 0.2], 11)
    [5, 3, 3]
    """
    exact = np.array(shares) / sum(shares) * (total - len(shares)) + 1
    whole = np.floor(exact).astype(int)
    whole[np.argsort(whole - exact, kind="stable")[: total - whole.sum()]] += 1
    return [int(n) for n in whole]


def demo_mean_requests(org: Organisation, events: int) -> list[float]:
    """Mean requests of each token over the period: heavy-tailed, people about 25 on a working day, none above 3.5%."""
    human = np.array([token.job.archetype == "human" for token in org.tokens])
    weight = np.array(
        [
            VOLUME.get(token.job.archetype, 1.0)
            * stream(org.seed, token.native_id, "volume").lognormal(0, ARCHETYPES[token.job.archetype].spread)
            for token in org.tokens
        ]
    )
    budget = 0.985 * events
    people = np.where(human, weight * 25 * org.days * 5 / 7, 0.0)
    people *= min(1.0, 0.3 * budget / people.sum())
    limit, others = max(0.035, 3 / len(org.tokens)) * budget, np.where(human, 0.0, weight)
    for _ in range(20):
        free = others < limit
        spent = people.sum() + others[~free].sum()
        others = np.where(free, np.minimum(others * ((budget - spent) / others[free].sum()), limit), others)
    return [float(mean) for mean in people + others]
