"""Archetypes: what the usual kinds of token call, when, from where and with which client.

A *job* (its purpose) is what a token is for, and its peer group; an *archetype* is how such a job behaves. Both are
catalogues to read; ``traffic`` draws the requests.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tokenkit.world.draws import Array, address_in, network_prefix

Places = list[tuple[list[str], list[float]]]  # for each day: addresses, and the share of the requests from each


@dataclass
class Surroundings:
    """What tokens share: egress networks, offices, runner pool, mobile carriers, releases, one day's egress change."""

    days: int
    egress: list[str]
    offices: dict[str, str]
    runners: list[str]
    carriers: dict[str, list[str]]
    releases: dict[str, list[int]]  # client family -> days on which a version came out
    holidays: dict[str, list[int]] = field(default_factory=dict)  # time zone -> days that are public holidays there
    deploys: dict[str, list[int]] = field(default_factory=dict)  # purpose -> hours in which a version is rolled out
    moving: frozenset[str] = field(default_factory=frozenset)  # token names whose egress changes
    move_day: int = 0
    move: tuple[str, str] = ("", "")


# ---- the archetypes: five of the demo, and three more of the bench ----
class Archetype:
    """How a kind of token behaves; the subclasses say what differs."""

    clump = 8.0  # shape of the gamma that multiplies an hour's rate: small is bursty
    spread = 0.9  # log-sd of the volume between its tokens
    sizes = 0.7  # log-sd of a response's size within a token
    sticky = False  # one network for an hour, instead of for a request
    paging = 6  # mean pages in a listing
    daily = 0.0  # requests on a day of use; 0 shares in what the organisation was asked to have
    holiday = 1.0  # share of the requests that are left on a public holiday
    streams = 20_000.0  # bytes of a response in a millisecond
    restless = 1.0  # how far its level jumps, 0 (a machine's) to 1 (a person's account)
    bunch = 0.4  # share of the requests that come some seconds after another, besides the bursts of ``moments``
    echo = 0.0  # power of the request's size to which the response grows

    def active(self, rng: np.random.Generator, days: int) -> Array:
        """Factor on the requests of each day, besides the rhythm of the week."""
        return np.ones(days)

    def week(self, rng: np.random.Generator) -> Array:
        """Relative rate, weekday (Monday first) x hour, local time."""
        raise NotImplementedError

    def moments(self, rng: np.random.Generator, hours: Array) -> Array:
        """Where within its hour each request falls: 0 to 1."""
        return rng.random(len(hours))

    def places(self, rng: np.random.Generator, around: Surroundings, name: str, timezone: str) -> Places:
        """Its own servers behind one egress; a backup line now and then; the organisation's one move."""
        moves = name in around.moving
        home = around.move[0] if moves else str(rng.choice(around.egress))
        hosts = [int(rng.integers(2, 254)) for _ in range(int(rng.integers(1, 3)))]
        places: Places = []
        for day in range(around.days):
            here = around.move[1] if moves and day >= around.move_day else home
            if rng.random() < 0.006 and not moves:
                here = str(rng.choice(around.egress))
            places.append(([f"{here}{host}" for host in hosts], [1.0] * len(hosts)))
        return places


class CronBatch(Archetype):
    """Fixed hours, few endpoints, heavy responses; same machine for months."""

    clump, sizes, paging, restless, bunch = 40.0, 0.9, 9, 0.15, 0.0

    def week(self, rng: np.random.Generator) -> Array:
        """One to three fixed hours, on all days or on weekdays."""
        week = np.zeros((7, 24))
        for hour in rng.choice(24, size=int(rng.integers(1, 4)), replace=False, p=night_first()):
            week[:, hour] = rng.uniform(0.6, 1.4)
        if rng.random() < 0.25:
            week[5:] = 0.0
        return week

    def moments(self, rng: np.random.Generator, hours: Array) -> Array:
        """A run of some minutes that starts at the same minute."""
        start, length = rng.choice([0.0, 0.083, 0.25, 0.5]), rng.uniform(0.15, 0.45)
        return np.asarray(start + length * rng.beta(1.0, 1.6, len(hours)))


class WebhookConsumer(Archetype):
    """Follows the customers' day, every day of the week."""

    clump, sizes, restless = 10.0, 0.5, 0.5

    def week(self, rng: np.random.Generator) -> Array:
        """A daily wave with its peak in the afternoon or evening."""
        peak, night = rng.uniform(12, 19), rng.uniform(0.05, 0.25)
        day = night + np.exp(2.2 * (np.cos((np.arange(24) - peak) / 24 * 2 * np.pi) - 1))
        return np.asarray(np.outer([1.0, 1.0, 0.98, 1.03, 1.1, rng.uniform(0.6, 1.1), rng.uniform(0.5, 1.0)], day))


class CiRunner(Archetype):
    """Working hours, a burst for each build, and a runner pool with hundreds of networks."""

    clump, sizes, spread, paging, holiday, bunch = 1.4, 0.9, 0.8, 3, 0.1, 0.0

    def week(self, rng: np.random.Generator) -> Array:
        """Long working days."""
        return office_hours(rng.uniform(7.5, 9), rng.uniform(18, 21), rng.uniform(0.02, 0.15), rng.uniform(0.01, 0.06))

    def moments(self, rng: np.random.Generator, hours: Array) -> Array:
        """Bursts: a build an hour."""
        builds = rng.random(int(hours.max(initial=0)) + 1)  # when in each hour a build starts
        return np.asarray(builds[hours] * 0.8 + 0.2 * rng.beta(1.0, 2.5, len(hours)))

    def places(self, rng: np.random.Generator, around: Surroundings, name: str, timezone: str) -> Places:
        """A few runners a day, mostly from networks it had lately."""
        known = [str(pool) for pool in rng.choice(around.runners, 12)]
        novelty = rng.uniform(0.04, 0.16)
        places: Places = []
        for _ in range(around.days):
            today = []
            for _ in range(int(rng.integers(2, 5))):
                fresh = rng.random() < novelty
                known += [str(rng.choice(around.runners))] if fresh else []
                today.append(known[-1] if fresh else known[int(rng.integers(max(0, len(known) - 20), len(known)))])
            places.append(
                ([address_in(rng, network) for network in today], list(rng.dirichlet(np.full(len(today), 3.0))))
            )
        return places


class PartnerIntegrator(Archetype):
    """A partner's system: pages through listings on its working days; its provider sometimes changes a network."""

    clump, sizes, spread, paging, holiday = 4.0, 0.6, 1.0, 14, 0.4

    def week(self, rng: np.random.Generator) -> Array:
        """Long days, with a part of the load at night and on weekends."""
        return office_hours(rng.uniform(5, 8), rng.uniform(18, 23), rng.uniform(0.2, 0.7), rng.uniform(0.05, 0.3))

    def places(self, rng: np.random.Generator, around: Surroundings, name: str, timezone: str) -> Places:
        """One to three lines of its own, and a new one now and then."""
        kinds = rng.choice(["business", "hosting"], int(rng.integers(1, 4)))
        lines = [address_in(rng, network_prefix(rng, str(kind))) for kind in kinds]
        share = [1.0, *rng.uniform(0.1, 0.6, len(lines) - 1)]
        places: Places = []
        for _ in range(around.days):
            if rng.random() < 0.035:  # a new line, or one that replaces another
                lines = [*lines, address_in(rng, network_prefix(rng, "business"))][-4:]
                share = [*share, rng.uniform(0.2, 0.9)][-4:]
            places.append((list(lines), list(share)))
        return places


class HumanCli(Archetype):
    """A person: about 25 requests on a working day; home, office, telephone and travel."""

    clump, sizes, spread, sticky, paging, daily, holiday = 0.9, 1.0, 0.35, True, 3, 25.0, 0.03

    def week(self, rng: np.random.Generator) -> Array:
        """Working hours."""
        return office_hours(rng.uniform(7.5, 10), rng.uniform(16.5, 19.5), rng.uniform(0.0, 0.06), 0.01)

    def moments(self, rng: np.random.Generator, hours: Array) -> Array:
        """Small clusters."""
        starts = rng.random(int(hours.max(initial=0)) + 1)
        return np.asarray(starts[hours] * 0.6 + 0.4 * rng.random(len(hours)))

    def places(self, rng: np.random.Generator, around: Surroundings, name: str, timezone: str) -> Places:
        """Home (whose network the provider changes), office, telephone, travel."""
        kind = "ipv6" if rng.random() < 0.2 else "home"
        home, office, carriers = network_prefix(rng, kind), around.offices[timezone], around.carriers[timezone]
        at_home = address_in(rng, home)
        in_office, phone, lease = rng.uniform(0.2, 0.8), rng.uniform(0.03, 0.2), rng.uniform(0.02, 0.09)
        abroad, hotel = 0, home
        places: Places = []
        for _ in range(around.days):
            if rng.random() < lease:  # the provider hands out a line in another network
                home = network_prefix(rng, kind)
                at_home = address_in(rng, home)
            elif ":" in home:
                at_home = address_in(rng, home)
            if abroad == 0 and rng.random() < 0.025:
                abroad = int(rng.integers(2, 6))
            if abroad:
                hotel = network_prefix(rng, "business") if rng.random() < 0.5 or hotel == home else hotel
                abroad -= 1
                today = [address_in(rng, hotel)]
            else:
                today = [address_in(rng, office), at_home] if rng.random() < in_office else [at_home]
            if rng.random() < phone:
                today.append(address_in(rng, str(rng.choice(carriers))))
            places.append((today, [3.0, 1.0, 1.0][: len(today)]))
        return places


class MobileBackend(Archetype):
    """An app's key, in every telephone: evenings, and whatever network a telephone is in."""

    clump, sizes, spread, paging, holiday, restless = 12.0, 0.6, 0.9, 4, 1.1, 0.5

    def week(self, rng: np.random.Generator) -> Array:
        """A wave with its peak in the evening, higher at the weekend."""
        peak = rng.uniform(17, 21)
        day = rng.uniform(0.03, 0.12) + np.exp(1.8 * (np.cos((np.arange(24) - peak) / 24 * 2 * np.pi) - 1))
        return np.asarray(np.outer([1.0, 0.97, 1.0, 1.02, 1.1, rng.uniform(1.0, 1.4), rng.uniform(1.0, 1.3)], day))

    def places(self, rng: np.random.Generator, around: Surroundings, name: str, timezone: str) -> Places:
        """Pools of the carriers, which all apps share, mostly of its own market; and customers' homes, always new."""
        market = around.carriers[timezone]
        elsewhere = [network for zone, pool in around.carriers.items() if zone != timezone for network in pool]
        share = rng.uniform(0.03, 0.2)
        places: Places = []
        for _ in range(around.days):
            pools = [market[i] for i in rng.integers(len(market), size=24)]
            pools += [elsewhere[i] for i in rng.integers(len(elsewhere), size=4)]
            homes = [network_prefix(rng, "ipv6" if i % 3 == 0 else "home") for i in range(8)]
            shares = [1.0] * 24 + [0.2] * 4 + [3 * share] * 8
            places.append(([address_in(rng, network) for network in pools + homes], shares))
        return places


class LlmClient(Archetype):
    """Calls a language model: working hours, in bursts; long prompts have long answers, which come as they are made."""

    clump, sizes, spread, holiday, streams, echo, bunch = 0.6, 1.1, 1.1, 0.3, 25.0, 0.5, 0.0

    def week(self, rng: np.random.Generator) -> Array:
        """Working days, and a part of the load at all hours."""
        return office_hours(rng.uniform(7, 10), rng.uniform(17, 22), rng.uniform(0.1, 0.5), rng.uniform(0.02, 0.2))

    def moments(self, rng: np.random.Generator, hours: Array) -> Array:
        """One call after the other for some minutes."""
        starts = rng.random(int(hours.max(initial=0)) + 1)
        return np.asarray(starts[hours] * 0.75 + 0.25 * rng.beta(1.0, 1.5, len(hours)))


class Dormant(Archetype):
    """Made, used for some days and forgotten; or used once a month."""

    clump, sizes, spread, sticky, daily = 1.0, 1.0, 0.5, True, 30.0

    def week(self, rng: np.random.Generator) -> Array:
        """Working hours, on any day."""
        return office_hours(rng.uniform(7, 10), rng.uniform(16, 20), rng.uniform(0.3, 1.0), 0.02)

    def active(self, rng: np.random.Generator, days: int) -> Array:
        """A day each month, or up to six days on end somewhere in the period."""
        used = np.zeros(days)
        if rng.random() < 0.5:
            used[int(rng.integers(28)) :: 30] = 1.0
        first = int(rng.integers(days))
        if not used.any():
            used[first : first + int(rng.integers(2, 7))] = 1.0
        return used

    def places(self, rng: np.random.Generator, around: Surroundings, name: str, timezone: str) -> Places:
        """Wherever its owner is: the office, mostly."""
        office = around.offices[timezone]
        lines = [
            [address_in(rng, office if rng.random() < 0.6 else network_prefix(rng, "home"))] for _ in range(around.days)
        ]
        return [(line, [1.0]) for line in lines]


ARCHETYPES: dict[str, Archetype] = {
    "cron": CronBatch(),
    "webhook": WebhookConsumer(),
    "ci": CiRunner(),
    "partner": PartnerIntegrator(),
    "human": HumanCli(),
    "mobile": MobileBackend(),
    "llm": LlmClient(),
    "dormant": Dormant(),
}


def night_first() -> Array:
    """Hours in which batch jobs are put: mostly the night."""
    odds = np.where((np.arange(24) < 7) | (np.arange(24) > 21), 6.0, 1.0)
    return np.asarray(odds / odds.sum())


def office_hours(start: float, end: float, weekend: float, night: float) -> Array:
    """A week of working days from ``start`` to ``end`` with soft edges.

    Examples
    --------
    >>> week = office_hours(9, 17, weekend=0.1, night=0.0)
    >>> week.shape, bool(week[2, 11] > week[2, 3]), bool(week[6, 11] < week[2, 11])
    ((7, 24), True, True)
    """
    hours = np.arange(24) + 0.5
    lunch = 1 - 0.3 * (abs(hours - 12.5) < 0.6)
    day = night + lunch / (1 + np.exp(-(hours - start) * 2)) / (1 + np.exp((hours - end) * 2))
    return np.asarray(np.outer([0.95, 1.05, 1.05, 1.0, 0.9, weekend, weekend], day))
