"""Organisation: the people, tokens and inventory of a simulated organisation."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np

from tokenkit.world.archetypes import Surroundings
from tokenkit.world.catalogue import Job

DAY = 86_400_000  # ms
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
    sleeps: bool = False
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
    def begin(self) -> int:
        """First ms of the first day."""
        return int(datetime(self.start.year, self.start.month, self.start.day, tzinfo=UTC).timestamp() * 1000)

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


# ---- inventory ----
INVENTORY = (
    "source",
    "native_id",
    "token_kind",
    "token_name",
    "owner_uid",
    "owner_email",
    "owner_name",
    "owner_type",
    "owner_status",
    "owner_timezone",
    "team",
    "purpose",
    "environment",
    "criticality",
    "created_time",
    "expires_time",
    "scopes",
    "networks",
    "rotated_from",
    "valid_from",
    "valid_to",
)


def write_inventory(path: Path, org: Organisation) -> None:
    """One row a token that somebody registered, and one more for the key that replaced another."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(INVENTORY)
        for token in sorted(org.tokens, key=lambda token: token.native_id):
            owner = token.owner
            if owner is None:
                continue
            kind = "api_key" if token.issuer == "gateway" else "aws_session" if token.is_role else "aws_access_key"
            before = [
                token.issuer,
                token.native_id,
                kind,
                token.name,
                owner.uid,
                owner.email,
                owner.name,
                "human" if token.job.archetype == "human" else "service",
                owner.status,
                owner.timezone,
                owner.team,
                token.job.purpose,
                token.environment,
                token.criticality,
            ]
            after = [token.job.scopes, " ".join(token.networks)]
            writer.writerow(
                [*before, iso(token.created), iso(token.expires), *after, "", iso(token.created), iso(token.rotated)]
            )
            if token.rotated:
                before[1] = token.rotated_id
                writer.writerow(
                    [*before, iso(token.rotated), iso(token.expires), *after, token.native_id, iso(token.rotated), ""]
                )


def iso(time: datetime | None) -> str:
    """UTC with a Z, or nothing.

    Examples
    --------
    >>> iso(datetime(2026, 1, 5, tzinfo=UTC)), iso(None)
    ('2026-01-05T00:00:00Z', '')
    """
    return f"{time:%Y-%m-%dT%H:%M:%SZ}" if time else ""
