"""Scenario: what one attack, or one benign change, does to the events of one token; and the words to say it in.

Reads  canonical events of one token (``COLUMNS``), of a simulated organisation or of anybody's lake. Writes nothing.
A scenario knows no catalogue: it copies the token's own calls, or calls what others of the organisation call.
The scenarios themselves are in the folder ``scenarios``.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from tokenkit.errors import InputError
from tokenkit.sources.fields import clients
from tokenkit.world import draws

# the columns of events that a scenario sees, all others follow from them or are the token's own
COLUMNS = {
    "event_key": "int64", "time": "datetime64[us, UTC]", "src_ip": "str", "network": "str", "network_class": "str",
    "network_key": "int64", "user_agent": "str", "ua_family": "str", "client_key": "int64", "service": "str",
    "operation": "str", "http_method": "str", "activity_id": "Int8", "operation_key": "int64", "url_path": "str",
    "resource_uid": "str", "resource_type": "str", "object_key": "int64", "http_status": "Int16", "status_id": "Int8",
    "status_code": "str", "is_denied": "boolean", "request_bytes": "Int64", "response_bytes": "Int64", "rows": "Int64",
    "count": "Int32",
}  # fmt: skip
SIZES = ("request_bytes", "response_bytes", "rows")
PLACE = ("src_ip", "network", "network_class", "network_key", "user_agent", "ua_family", "client_key")
DAY = pd.Timedelta("1D")
PREWARM_DAYS = 14  # before the attack
PREWARM_SHARE = 0.25  # of the intensity, reached on the last day before the attack


@dataclass(frozen=True)
class Setting:
    """Where and when a scenario happens.

    ``start`` is its first moment and ``end`` the end of the observed period (exclusive, UTC). ``operations`` is what
    the organisation calls (``service``, ``operation``, ``activity_id``, ``is_list``, ``is_sensitive``), ``networks``
    what it calls from, ``inventory`` the token's row of ``tokens`` (may be empty), ``timezone`` its owner's.
    ``shared`` is what the attacker has in all he does (``share``): given for a cohort, else filled when first needed.
    """

    rng: np.random.Generator
    start: pd.Timestamp
    end: pd.Timestamp
    intensity: float
    operations: pd.DataFrame
    networks: frozenset[str] = frozenset()
    inventory: dict[str, Any] = field(default_factory=dict)
    timezone: str = "UTC"
    shared: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Edited:
    """What a scenario made of a token's events.

    ``events`` has ``COLUMNS`` by time, and ``attack`` (bool: the event is the attacker's, or carries what he takes)
    and ``excess_bytes`` (int64: response bytes he took with it). New events have the key 0, and so have new texts:
    ``keyed`` fills them. ``inventory`` holds the fields of the token's row that are others from the start on.
    From ``rotated_at`` on, the events belong to a successor of the token.
    """

    events: pd.DataFrame
    inventory: dict[str, Any] = field(default_factory=dict)
    rotated_at: pd.Timestamp | None = None


Edit = Callable[[pd.DataFrame, Setting], Edited]


@dataclass(frozen=True)
class Scenario:
    """An attack or a benign change ("confounder"): what it is, how strong it can be, and what should show it.

    ``unit`` says what an intensity is, in words; ``days`` how long it lasts (None: until the end of the period).
    ``shown_by`` names the parts of a score of which one should be among the first three reasons. ``suits`` says
    whether a token can be attacked in this way, ``cohort`` how many tokens are at once. ``gradual``: it can begin
    small (``prewarm``). ``lead`` is how many days before its start it changes, for each unit of intensity.
    ``alike``: the tokens of the cohort have one purpose.
    """

    number: int
    id: str
    title: str
    kind: str
    attack_ids: tuple[str, ...]
    unchecked: tuple[str, ...]
    intensities: tuple[float, ...]
    unit: str
    days: float | None
    shown_by: tuple[str, ...]
    suits: Callable[[pd.DataFrame], bool]
    cohort: int
    gradual: bool
    lead: float
    alike: bool
    how: Edit

    def edit(self, events: pd.DataFrame, setting: Setting) -> Edited:
        """Do it to a token's events.

        Parameters
        ----------
        events : DataFrame, one row an event of one token, all days; at least ``COLUMNS``
        setting : where and when; its generator is drawn from

        Raises
        ------
        InputError
            A column is missing, or the token has no event to go by.
        """
        own = canonical(events)
        if own.empty:
            raise InputError(f"{self.id}: the token has no events, and a scenario goes by what it usually does")
        edited = self.how(own, setting)
        made = edited.events
        new = made["event_key"] == 0
        made = made[~new | (made["time"] < setting.end)].sort_values("time", kind="stable", ignore_index=True)
        if self.kind == "confounder":
            made = made.assign(attack=False, excess_bytes=np.int64(0))
        return replace(edited, events=made)


REGISTRY: dict[str, Scenario] = {}


def scenario(
    number: int, title: str, *, intensities: tuple[float, ...], unit: str, days: float | None,
    suits: Callable[[pd.DataFrame], bool], shown_by: tuple[str, ...] = (), attack_ids: tuple[str, ...] = (),
    unchecked: tuple[str, ...] = (), kind: str = "attack", cohort: int = 1, gradual: bool = True,
    lead: float = 0.0, alike: bool = False,
) -> Callable[[Edit], Scenario]:  # fmt: skip
    """Make the decorated function a scenario, registered under the function's name.

    Parameters
    ----------
    attack_ids : techniques of ATT&CK (or ATLAS) that it is an instance of
    unchecked : those of them that were not checked in public detection content
    """

    def register(how: Edit) -> Scenario:
        made = Scenario(
            number, how.__name__, title, kind, attack_ids, unchecked, intensities, unit, days, shown_by, suits, cohort,
            gradual, lead, alike, how,
        )  # fmt: skip
        REGISTRY[made.id] = made
        return made

    return register


# ---- events in, events out ----
def canonical(events: pd.DataFrame) -> pd.DataFrame:
    """The events with ``COLUMNS`` alone, in their types, by time.

    Raises
    ------
    InputError
        Columns are missing; names them.
    """
    missing = [name for name in COLUMNS if name not in events]
    if missing:
        raise InputError(f"events lack {', '.join(missing)}: read them with lake.scan, which has every column")
    made = events[list(COLUMNS)]
    if made.dtypes.astype(str).to_dict() != COLUMNS:
        made = made.astype(COLUMNS)
    return made.sort_values("time", kind="stable", ignore_index=True)


def changed(events: pd.DataFrame, /, **values: Any) -> pd.DataFrame:
    """The events with other values in some of ``COLUMNS``, in the types of those."""
    return events.assign(**values).astype({name: COLUMNS[name] for name in values})


def unchanged(events: pd.DataFrame) -> pd.DataFrame:
    """The events with nothing of an attacker's in them."""
    return events.assign(attack=False, excess_bytes=np.int64(0))


def added(events: pd.DataFrame, *more: pd.DataFrame) -> Edited:
    """The token's events (or those that ``replaced`` made of them) and the attacker's, which are written as finely."""
    own = events if "attack" in events else unchanged(events)
    new = pd.concat(more, ignore_index=True)
    whole_seconds = not (events["time"].dt.microsecond % 1_000_000).any()
    times = new["time"].dt.floor("s" if whole_seconds else "ms")
    taken = new["response_bytes"].fillna(0).astype("int64")
    new = changed(new, event_key=0, time=times).assign(attack=True, excess_bytes=taken)
    return Edited(pd.concat([own, new], ignore_index=True))


def replaced(events: pd.DataFrame, rows: pd.DataFrame) -> Edited:
    """The token's events, some of them (by their index) as they are in ``rows``, by the attacker's doing."""
    before = events.loc[rows.index, "response_bytes"].fillna(0).astype("int64")
    taken = (rows["response_bytes"].fillna(0).astype("int64") - before).clip(lower=0)
    theirs = rows.assign(attack=True, excess_bytes=taken)
    return Edited(pd.concat([unchanged(events.drop(index=rows.index)), theirs]).sort_index())


def until_the_end(events: pd.DataFrame, setting: Setting, days: float | None = None) -> pd.DataFrame:
    """The token's own events from the start on, for so many days."""
    end = min(setting.end, setting.start + days * DAY) if days else setting.end
    return events[(events["time"] >= setting.start) & (events["time"] < end)]


def usual(events: pd.DataFrame, setting: Setting) -> pd.DataFrame:
    """Successful calls of the token in the four weeks before the start, or of all its days where those are few."""
    ok = events[events["status_id"] == 1]
    ok = ok if len(ok) else events
    lately = ok[(ok["time"] < setting.start) & (ok["time"] >= setting.start - 28 * DAY)]
    return lately if len(lately) >= 5 else ok


def count(setting: Setting) -> int:
    """The intensity as a number of things, at least one."""
    return max(1, round(setting.intensity))


# ---- when ----
def spread(start: pd.Timestamp, hours: float, n: int, rng: np.random.Generator) -> pd.DatetimeIndex:
    """``n`` moments in ``hours`` from the start, sorted, more of them early than late; the first is the start.

    Examples
    --------
    >>> moments = spread(pd.Timestamp("2026-03-01", tz="UTC"), 2, 5, np.random.default_rng(1))
    >>> len(moments), moments[0].hour, bool(moments[-1] < pd.Timestamp("2026-03-01 02:00", tz="UTC"))
    (5, 0, True)
    """
    share = np.sort(rng.beta(1.0, 1.3, n))
    share[:1] = 0.0
    return _at(start, share * hours * 3600 * 0.999)


def paced(start: pd.Timestamp, seconds: float, n: int, rng: np.random.Generator) -> pd.DatetimeIndex:
    """``n`` moments at the pace of a machine: so many seconds apart, to some hundredths."""
    return _at(start, np.cumsum(seconds * rng.normal(1.0, 0.02, n).clip(0.9, 1.1)))


def _at(start: pd.Timestamp, seconds: np.ndarray) -> pd.DatetimeIndex:
    return (start + pd.to_timedelta((seconds * 1000).astype("int64"), unit="ms")).as_unit("us")


# ---- what ----
def copies(events: pd.DataFrame, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """``n`` single calls like those of ``events``, drawn with repetition, their sizes a little off.

    All come from where, and by which program, the last of ``events`` came: several in an hour would be a trace of ours.
    """
    rows = events.iloc[rng.integers(len(events), size=n)].reset_index(drop=True)
    last = events.iloc[np.full(n, len(events) - 1)]
    rows = rows.assign(**{name: last[name].array for name in PLACE})
    each = rows["count"].fillna(1).clip(lower=1).astype("float64")
    rows = changed(rows, event_key=0, count=1)
    return resized(rows, rng.lognormal(0.0, 0.2, n) / each)


def resized(rows: pd.DataFrame, factor: Any, columns: tuple[str, ...] = SIZES) -> pd.DataFrame:
    """The rows with other sizes; what the log does not say stays unsaid."""
    return changed(rows, **{c: (rows[c].astype("Float64") * factor).round() for c in columns})


def at(rows: pd.DataFrame, times: pd.DatetimeIndex) -> pd.DataFrame:
    """The rows at these moments, one each."""
    return changed(rows, time=times)


# ---- from where, with what ----
def new_address(setting: Setting, kind: str) -> str:
    """An address of a network that the organisation never called from.

    Parameters
    ----------
    kind : ``hosting``, ``home`` or ``business``
    """
    while True:
        prefix = draws.network_prefix(setting.rng, kind)
        if f"{prefix}0/24" not in setting.networks:
            return draws.address_in(setting.rng, prefix)


def neighbours(ip: str, n: int, rng: np.random.Generator) -> list[str]:
    """Addresses of the network of ``ip``, that one first."""
    return [ip, *(draws.address_in(rng, draws.network_of(ip)) for _ in range(n - 1))]


def from_network(rows: pd.DataFrame, ip: str | list[str], rng: np.random.Generator | None = None) -> pd.DataFrame:
    """The rows from this address, or from each of several in turn (at random with ``rng``)."""
    ips = [ip] if isinstance(ip, str) else ip
    which = rng.integers(len(ips), size=len(rows)) if rng is not None else np.arange(len(rows)) % len(ips)
    found = [clients.network(one) for one in ips]
    assert all(found), f"no addresses: {ips}"
    columns = np.array([list(one) for one in found if one], dtype=object)[which]
    return changed(rows, src_ip=columns[:, 0], network=columns[:, 1], network_class=columns[:, 2], network_key=0)


def with_client(rows: pd.DataFrame, user_agent: str) -> pd.DataFrame:
    """The rows by this program."""
    return changed(rows, user_agent=user_agent, ua_family=clients.client(user_agent)[0], client_key=0)


SCRIPTS = (
    "rclone/v1.65.2", "Go-http-client/2.0", "Python/3.10 aiohttp/3.9.1", "python-urllib3/2.0.7", "libwww-perl/6.72",
    "Ruby/3.2 faraday/2.9.0", "GuzzleHttp/7.8 PHP/8.2", "reqwest/0.11.27",
)  # fmt: skip
HANDS = (
    "PostmanRuntime/7.36.1", "insomnia/8.6.1", "HTTPie/3.2.2",
    "Mozilla/5.0 (X11; Linux x86_64; rv:122.0) Gecko/20100101 Firefox/122.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/121.0.0.0 Safari/537.36",
)  # fmt: skip


def new_client(events: pd.DataFrame, setting: Setting, known: tuple[str, ...] = SCRIPTS) -> str:
    """A program of another family than any that the token was used by."""
    families = set(events["ua_family"].dropna())
    strange = [one for one in known if clients.client(one)[0] not in families]
    return str(setting.rng.choice(strange or list(known)))


def share(setting: Setting) -> dict[str, Any]:
    """What one attacker has in all he does: an address, a program, and a number that chooses his calls."""
    return {
        "ip": new_address(setting, "hosting"),
        "user_agent": str(setting.rng.choice(SCRIPTS)),
        "choice": float(setting.rng.random()),
    }


def his_address(setting: Setting, kind: str) -> str:
    """The attacker's address: that of ``shared``, else a new one (``new_address``), which is his from then on."""
    if "ip" not in setting.shared:
        setting.shared["ip"] = new_address(setting, kind)
    return str(setting.shared["ip"])


def his_client(events: pd.DataFrame, setting: Setting, known: tuple[str, ...] = SCRIPTS) -> str:
    """The attacker's program: that of ``shared``, else a new one (``new_client``), which is his from then on."""
    if "user_agent" not in setting.shared:
        setting.shared["user_agent"] = new_client(events, setting, known)
    return str(setting.shared["user_agent"])


def attackers(rows: pd.DataFrame, events: pd.DataFrame, setting: Setting) -> pd.DataFrame:
    """The rows from one or two hosts of a new hosting network, by a program strange to the token, or as ``shared``."""
    hosts = neighbours(his_address(setting, "hosting"), int(setting.rng.integers(1, 3)), setting.rng)
    return with_client(from_network(rows, hosts, setting.rng), his_client(events, setting))


# ---- the poisoned variant ----
def prewarm(chosen: Scenario, days: int = PREWARM_DAYS) -> Scenario:
    """The same attack, and on each of the days before it a little of it: more each day, by the same attacker.

    On the last of them it is a quarter (``PREWARM_SHARE``) of the intensity.

    Raises
    ------
    InputError
        The scenario cannot begin small.
    """
    if not chosen.gradual:
        raise InputError(f"{chosen.id} cannot begin small, so there is no poisoned variant of it")

    def how(events: pd.DataFrame, setting: Setting) -> Edited:
        alike = replace(setting, shared=dict(setting.shared))
        whole = chosen.how(events, alike)
        parts = [whole.events]
        for day in range(days):
            first = setting.start - (days - day) * DAY
            little = setting.intensity * PREWARM_SHARE * (day + 1) / days
            part = chosen.how(events, replace(alike, start=first, end=first + DAY, intensity=little)).events
            parts.append(part[part["attack"] & ((part["event_key"] != 0) | (part["time"] < first + DAY))])
        made = pd.concat(parts, ignore_index=True)
        # an old event that was changed stands twice: as it was, and as it is
        again = made.duplicated("event_key", keep="last") & (made["event_key"] != 0)
        return replace(whole, events=made[~again])

    return replace(chosen, how=how)
