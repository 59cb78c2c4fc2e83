"""Organisation: the people, tokens and inventory of a simulated organisation."""

from __future__ import annotations

import csv
import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np

from tokenkit.world.archetypes import Surroundings
from tokenkit.world.catalogue import Job

HOUR, DAY = 3_600_000, 86_400_000  # ms
BASE32 = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
TRAILS = (("418207735116", "eu-west-1"), ("418207735116", "us-east-1"), ("730461952284", "us-east-1"))
NGINX, HAPROXY = len(TRAILS), len(TRAILS) + 1  # numbers of the logs; below them the CloudTrail trails

# fmt: off
EVENT = np.dtype([
    ("time", "i8"), ("log", "i1"), ("token", "i4"), ("credential", "i4"), ("endpoint", "i2"), ("object", "i8"),
    ("page", "i4"), ("address", "i4"), ("client", "i4"), ("status", "i2"), ("sent", "i8"), ("received", "i8"),
    ("latency", "f4"), ("uid", "u8", 2), ("again", "?"),
])
# fmt: on
# time in ms since 1970 UTC; sent = response bytes, received = request bytes; again = delivered twice


@dataclass(frozen=True)
class Person:
    """An owner."""

    uid: str
    name: str
    email: str
    team: str
    timezone: str
    status: str  # active or left


@dataclass
class Token:
    """A credential with what its owner knows about it, and where its objects lie."""

    number: int
    name: str
    native_id: str
    job: Job
    log: int
    owner: Person | None  # None: no row in the inventory
    timezone: str
    created: datetime
    environment: str
    criticality: str
    expires: datetime | None = None
    is_role: bool = False
    session_name: str = ""  # of a role whose sessions always have the same name
    rotated_id: str = ""  # the key that replaces native_id at ``rotated``
    rotated: datetime | None = None
    networks: tuple[str, ...] = ()
    seldom_used: bool = False
    bucket: str = ""
    folder: str = ""
    first: float = 0.0  # number of its newest object on the first day
    pace: float = 1.0  # new objects a day

    @property
    def issuer(self) -> str:
        """``aws`` or ``gateway``."""
        return self.job.issuer


@dataclass(frozen=True)
class Credential:
    """What authenticates one event: a key, a role's session, or (without a key) an AWS service."""

    key: str
    token: int  # -1: a service
    session: str = ""
    created: int = 0  # ms


@dataclass
class Organisation:
    """Everything but the requests."""

    seed: int
    start: date
    days: int
    tokens: list[Token]
    around: Surroundings
    credentials: list[Credential] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    clients: list[str] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)

    @property
    def begin_time(self) -> datetime:
        """First moment of the first day."""
        return datetime(self.start.year, self.start.month, self.start.day, tzinfo=UTC)

    @property
    def begin(self) -> int:
        """First ms of the first day."""
        return int(self.begin_time.timestamp() * 1000)

    def number(self, table: list[str], text: str) -> int:
        """Number of ``text`` in ``table`` (addresses or clients), added if it is new."""
        key = ("a" if table is self.addresses else "c") + text
        if key not in self.numbers:
            self.numbers[key] = len(table)
            table.append(text)
        return self.numbers[key]


def new_key(rng: np.random.Generator, log: int, lead: str = "AKIA") -> str:
    """A key's id as the issuer of the log's keys would make it."""
    if log == NGINX:
        return f"key_{rng.bytes(8).hex()}"
    return rng.bytes(32).hex() if log == HAPROXY else lead + "".join(rng.choice(BASE32, 16))


# ---- people and their tokens ----
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
VOLUME = {"cron": 1.0, "webhook": 1.5, "ci": 1.0, "partner": 1.2}  # mean requests, relative; people have their own
SITES = ("Europe/Lisbon", "Europe/Berlin", "Asia/Kolkata", "America/New_York", "America/Sao_Paulo", "Asia/Singapore")


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
        seldom_used=rng.random() < 0.02,
        bucket=f"northwind-{owner.team}-{'prod' if production else 'stage'}",
        folder=f"{job.slug}/{serial}",
        first=float(rng.integers(20_000, 90_000)),
    )


# ---- inventory ----
INVENTORY = (
    *("source", "native_id", "token_kind", "token_name", "owner_uid", "owner_email", "owner_name", "owner_type"),
    *("owner_status", "owner_timezone", "team", "purpose", "environment", "criticality", "created_time"),
    *("expires_time", "scopes", "networks", "rotated_from", "valid_from", "valid_to"),
)


def write_inventory(path: Path, org: Organisation) -> None:
    """Write one row a token that somebody registered, and one more for the key that replaced another."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(INVENTORY)
        for token in sorted(org.tokens, key=lambda token: token.native_id):
            owner = token.owner
            if owner is None:
                continue
            kind = "api_key" if token.issuer == "gateway" else "aws_session" if token.is_role else "aws_access_key"
            person = "human" if token.job.archetype == "human" else "service"
            keys = [(token.native_id, token.created, "", token.rotated)]
            if token.rotated:
                keys.append((token.rotated_id, token.rotated, token.native_id, None))
            for native_id, since, replaced, until in keys:
                writer.writerow([
                    token.issuer, native_id, kind, token.name, owner.uid, owner.email, owner.name, person, owner.status,
                    owner.timezone, owner.team, token.job.purpose, token.environment, token.criticality, iso(since),
                    iso(token.expires), token.job.scopes, " ".join(token.networks), replaced, iso(since), iso(until),
                ])  # fmt: skip


def iso(time: datetime | None) -> str:
    """UTC with a Z, or nothing.

    Examples
    --------
    >>> iso(datetime(2026, 1, 5, tzinfo=UTC)), iso(None)
    ('2026-01-05T00:00:00Z', '')
    """
    return f"{time:%Y-%m-%dT%H:%M:%SZ}" if time else ""
