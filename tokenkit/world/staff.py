"""Staff: who works in a simulated organisation and which tokens they are issued."""

from __future__ import annotations

import unicodedata
from datetime import UTC, date, datetime, timedelta

import numpy as np

from tokenkit.world.archetypes import ARCHETYPES, Surroundings, prefix, stream
from tokenkit.world.attacks import Notes, tales
from tokenkit.world.catalogue import CLIENTS, JOBS, Job
from tokenkit.world.organisation import HAPROXY, NGINX, TRAILS, Organisation, Person, Token, new_key

# fmt: off
FIRST_NAMES = [
    "Ana", "Raj", "Wei", "Fatima", "Jürgen", "Zoë", "José", "Priya", "Kwame", "Ingrid", "Tomás", "Mei", "Omar",
    "Elena", "Yuki", "Lars", "Chidi", "Sofia", "Arjun", "Hannah", "Mateo", "Aisha", "Piotr", "Linh", "Noah",
    "Camille", "Hiroshi", "Leila", "Björn", "Nadia", "Diego", "Amara", "Viktor", "Sana", "Luca", "Grace", "Emre",
    "Katarzyna", "Samuel", "Ximena",
]
LAST_NAMES = [
    "Ferreira", "Patel", "Chen", "Rahman", "Weber", "Okafor", "Novak", "Silva", "Müller", "Tanaka", "Kowalski",
    "Haddad", "Jensen", "García", "Nguyen", "Rossi", "Iyer", "Mensah", "Larsson", "Dubois", "Cohen", "Almeida",
    "Kim", "Petrov", "Yilmaz", "Moreau", "Schmidt", "Ali", "Costa", "Murphy", "Sato", "Lindqvist", "Banerjee",
    "Vargas", "Adeyemi", "Keller",
]
# fmt: on
SITES = ("Europe/Lisbon", "Europe/Berlin", "Asia/Kolkata", "America/New_York", "America/Sao_Paulo", "Asia/Singapore")


VOLUME = {"cron": 1.0, "webhook": 1.5, "ci": 1.0, "partner": 1.2}  # mean requests, relative; people have their own


# ---- the organisation ----
def organisation(tokens: int, days: int, start: date, seed: int) -> tuple[Organisation, Notes]:
    """People, networks and tokens, and which of the tokens have a tale of their own."""
    rng = stream(seed, "organisation")
    releases = {family: sorted(rng.choice(days, max(1, days // 14), replace=False).tolist()) for family in CLIENTS}
    around = Surroundings(
        days=days,
        egress=[prefix(rng, "hosting") for _ in range(8)],
        offices={site: prefix(rng, "business") for site in SITES},
        runners=[prefix(rng, "hosting") for _ in range(400)],
        carriers={site: [prefix(rng, "home") for _ in range(80)] for site in SITES},
        releases=releases,
    )
    people: list[Person] = []
    org = Organisation(seed, start, days, [], around)
    begin = datetime(start.year, start.month, start.day, tzinfo=UTC)
    jobs = [job for job, n in zip(JOBS, apportion([job.share for job in JOBS], tokens), strict=True) for _ in range(n)]
    for number in range(tokens):
        job = jobs[number]
        another = job.archetype == "human" or rng.random() < 0.5
        owner = hire(rng, people, job) if another else colleague(rng, people, job)
        org.tokens.append(issue(rng, number, job, owner, begin, days))
    return org, tales(rng, org, begin)


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


def hire(rng: np.random.Generator, people: list[Person], job: Job) -> Person:
    """A new person in one of the job's teams."""
    name = f"{rng.choice(FIRST_NAMES)} {rng.choice(LAST_NAMES)}"
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower().replace(" ", ".")
    same = sum(person.email.split("@")[0].rstrip("0123456789") == plain for person in people)
    email = f"{plain}{same + 1 if same else ''}@northwind-parcel.example"
    team, site = str(rng.choice(job.teams)), str(rng.choice(SITES))
    people.append(Person(f"u-{1000 + len(people) * 7}", name, email, team, site, "active"))
    return people[-1]


def colleague(rng: np.random.Generator, people: list[Person], job: Job) -> Person:
    """Someone already there who works in one of the job's teams, or a new person."""
    there = [person for person in people if person.team in job.teams]
    return there[int(rng.integers(len(there)))] if there else hire(rng, people, job)


def issue(rng: np.random.Generator, number: int, job: Job, owner: Person, begin: datetime, days: int) -> Token:
    """A token for a job."""
    trail, gateway = rng.choice(len(TRAILS), p=[0.5, 0.2, 0.3]), rng.choice([NGINX, HAPROXY], p=[0.6, 0.4])
    log = int(trail if job.issuer == "aws" else gateway)
    human, serial = job.archetype == "human", f"{int(rng.integers(100, 1000))}{number}"
    name = f"{owner.email.split('@')[0]}-{serial}" if human else f"{job.slug}-{serial}"
    age = rng.uniform(40, 900) if rng.random() > 0.04 else -rng.uniform(0.2, 0.7) * days
    role = rng.random() < job.roles
    native = f"arn:aws:iam::{TRAILS[log][0]}:role/{name}" if role else new_key(rng, log)
    production = log in (0, NGINX) or rng.random() < 0.5
    created = (begin - timedelta(days=float(age))).replace(microsecond=0)
    return Token(
        number,
        name,
        native,
        job,
        log,
        owner,
        owner.timezone if job.archetype != "partner" else str(rng.choice(SITES)),
        created,
        "production" if production else "staging",
        str(rng.choice(["low", "medium", "high", "critical"], p=[0.2, 0.4, 0.3, 0.1])),
        expires=created + timedelta(days=1825) if rng.random() < 0.3 else None,
        is_role=role,
        session_name=str(rng.choice(["", job.slug.title().replace("-", "")])) if role else "",
        sleeps=rng.random() < 0.02,
        bucket=f"northwind-{owner.team}-{'prod' if production else 'stage'}",
        folder=f"{job.slug}/{serial}",
        first=float(rng.integers(20_000, 90_000)),
    )


def volumes(org: Organisation, events: int) -> list[float]:
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
