"""Sections: the settings below each heading of tokenkit.toml, with their meaning, defaults and checks."""

import ipaddress
from importlib.metadata import entry_points
from typing import Annotated, Self
from zoneinfo import available_timezones

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from tokenkit.errors import did_you_mean

CHANNELS = ("point_hour", "point_day", "foreign_objects", "drift_amounts", "drift_requests", "panel")
PANEL = ("IForest", "LODA", "HBOS", "PCA")
DETECTORS_GROUP = "tokenkit.detectors"  # entry points: each a channel of that name


def known_zone(name: str) -> bool:
    """Whether a name is one of the IANA time zone database.

    Examples
    --------
    >>> known_zone("Europe/Berlin"), known_zone("Berlin"), known_zone("../etc/passwd")
    (True, False, False)
    """
    return name in available_timezones()


def unknown_zone(name: str) -> str:
    """What is said of a zone that does not exist."""
    return f"no time zone {name!r}; {did_you_mean(name, sorted(available_timezones()))}"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Gateway(_Section):
    """How gateway logs are read."""

    key_fields: list[str] = Field(
        default=["api_key_id", "key_hmac"],
        min_length=1,
        description="fields that may hold the key's id, first found wins",
    )
    realm: str = Field(default="default", description="whose keys these are; the issuer is gateway:<realm>")
    timezone: str = Field(
        default="", description="zone of times that name none, such as Europe/Berlin; empty means UTC"
    )

    unique_ids: bool = Field(
        default=False,
        description="whether a request id alone tells calls apart: only where the gateway makes it and takes none "
        "from a client",
    )

    trusted_proxies: list[str] = Field(
        default=[],
        description="networks of your own proxies and load balancers, such as 10.0.0.0/8: where one of them made the "
        "call, the address before it in X-Forwarded-For counts; without any the peer's address does",
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, texts: list[str]) -> list[str]:
        for text in texts:
            try:
                ipaddress.ip_network(text)
            except ValueError as error:
                raise ValueError(f"{error}. Expected an address, or a network such as 10.0.0.0/8") from None
        return texts

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        if name and not known_zone(name):
            raise ValueError(unknown_zone(name))
        return name


class Ingest(_Section):
    """Which records are set aside as written by a wrong clock. Holds for files that are read from then on."""

    future_hours: float = Field(
        default=24, ge=0, description="a record further ahead of the time of reading than this is set aside, hours"
    )
    past_days: int = Field(
        default=365,
        ge=30,
        description="a few records this long before all others of their file are set aside, days",
    )


class Networks(_Section):
    """What is known of the networks that calls come from (docs/method/sources.md)."""

    database: Annotated[list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)] = Field(
        default=[],
        description="files in the MaxMind DB format, such as GeoLite2-ASN.mmdb, relative to the workspace, that say "
        "what kind of network an address is in; one path or several; without one nothing is looked up",
    )


class Retention(_Section):
    """How long events, and what is counted of them, are kept. A run removes what is older (docs/lake.md)."""

    events_days: int = Field(
        default=0, ge=0, description="events of this many days up to the newest are kept; 0: all, else at least 35"
    )
    activity_days: int = Field(
        default=0,
        ge=0,
        description="what is counted of the calls of this many days is kept, and the days of the frozen reference; "
        "0: all, else at least 90 and events_days",
    )

    @model_validator(mode="after")
    def _long_enough(self) -> Self:
        if 0 < self.events_days < 35:
            raise ValueError(
                f"events_days is {self.events_days}, expected 0 (all) or at least 35: a report has 28 days"
            )
        if self.activity_days and not max(90, self.events_days) <= self.activity_days:
            raise ValueError(
                f"activity_days is {self.activity_days}, expected 0 (all) or at least 90 and events_days: "
                "a report is compared with the days before it"
            )
        if self.activity_days and not self.events_days:
            raise ValueError(
                "activity_days needs events_days: what is counted of an event is kept as long as the event"
            )
        return self


class History(_Section):
    """Which past days a token is compared with."""

    reference_days: int = Field(default=28, ge=7, le=28, description="length of the frozen reference, days")
    calibration_days: int = Field(
        default=14, ge=7, le=28, description="days after the reference on which thresholds are set"
    )


class Detection(_Section):
    """How incidents are detected; tuned in a notebook, saved here, used by the nightly run."""

    budget: float = Field(default=5.0, gt=0, description="new incidents a day for each 1,000 profiles")
    shares: dict[str, float] = Field(
        default={
            "point_hour": 0.05,
            "point_day": 0.5,
            "foreign_objects": 0.1,
            "drift_amounts": 0.3,
            "drift_requests": 0.05,
        },
        description="share of the budget for each channel, at most 1 in all; those you do not name divide what is "
        "left, 0 switches a channel off; panel (PyOD) has none unless you give it one",
    )
    panel: list[str] = Field(
        default_factory=lambda: list(PANEL),
        description="detectors of PyOD that give a second opinion, by class name; with a share, the channel panel",
    )
    seed: int = Field(default=0, description="seed of everything random in detection")
    set_by: str = Field(default="", description="who saved this section last (04_tune); changes no result")
    set_on: str = Field(default="", description="the day it was saved, UTC; changes no result")
    set_why: str = Field(default="", description="why it was saved; changes no result")

    @field_validator("shares")
    @classmethod
    def _known_channels(cls, shares: dict[str, float]) -> dict[str, float]:
        channels = [*CHANNELS, *(point.name for point in entry_points(group=DETECTORS_GROUP))]
        for channel, share in shares.items():
            if channel not in channels:
                raise ValueError(f"unknown channel {channel!r}: {did_you_mean(channel, channels)}")
            if not 0 <= share <= 1:
                raise ValueError(f"share of {channel} is {share}, expected 0 to 1")
        if sum(shares.values()) > 1.0001:
            raise ValueError(f"shares add up to {sum(shares.values()):.2f}, expected at most 1")
        return shares


def with_default_shares(named: dict[str, float]) -> dict[str, float]:
    """The shares of all channels where some are named: the others divide what is left, each at most its default.

    Examples
    --------
    >>> with_default_shares({"panel": 0.2})["point_day"], with_default_shares({"point_hour": 0.0})["point_day"]
    (0.4, 0.5)
    """
    others = {name: share for name, share in Detection().shares.items() if name not in named}
    left = max(1.0 - sum(named.values()), 0.0)
    part = min(1.0, left / sum(others.values())) if others else 0.0
    return {name: int(share * part * 10_000 + 1e-6) / 10_000 for name, share in others.items()} | named


class Report(_Section):
    """What the page shows."""

    pseudonymous: bool = Field(default=False, description="show ids instead of names of tokens, owners and teams")


class HAProxy(_Section):
    """The gateway that the haproxy connector acts on (docs/respond.md). All three are needed."""

    socket: str = Field(default="", description="path of its admin socket (stats socket ... level operator)")
    map: str = Field(default="", description="path of the map file, exactly as HAProxy's configuration names it")
    probe: str = Field(default="", description="URL of its probe frontend, such as http://127.0.0.1:8405/")


class Respond(_Section):
    """Which gateways a person may act on with tokenkit respond. Nothing acts by itself."""

    haproxy: HAProxy = HAProxy()


class Engine(_Section):
    """How much of this machine queries may use."""

    memory_limit: str = Field(default="2GB", description="of the query engine, which spills to disk beyond it")
    threads: int = Field(default=2, ge=1, description="of the query engine")
