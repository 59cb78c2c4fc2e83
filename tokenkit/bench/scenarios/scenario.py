"""What a scenario is, and the functions over events that scenarios are made of.

A scenario is an attack or a benign change: a function that edits the events of one token.
Reads  events of one token (``COLUMNS``), of a simulated organisation or of anybody's lake. Writes nothing.
A scenario works on any log: it copies the token's own calls, or makes calls that others of the organisation make.
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
# what shows that somebody else calls, from elsewhere or with another program, and that other calls are made (shown_by)
NEW_NETWORK = ("network", "outside_networks", "unfamiliar_networks")
NEW_PROGRAM = ("client", "unfamiliar_clients")
NEW_CALLS = ("operation", "unfamiliar_operations")
WARM_UP_DAYS = 14  # before the attack
WARM_UP_SHARE = 0.25  # of the intensity, reached on the last day before the attack


@dataclass(frozen=True)
class Setting:
    """Where, when and how strongly a scenario happens.

    ``start`` is its first moment and ``end`` the end of the observed period (exclusive, UTC). ``operations`` is what
    the organisation calls (``service``, ``operation``, ``activity_id``, ``is_list``, ``is_sensitive``), ``networks``
    what it calls from, ``timezone`` that of the token's owner.
    ``shared`` holds the attacker's address and program (``shared_traits``). It is the same for all tokens of a cohort;
    for a single token it is filled when first needed.
    """

    rng: np.random.Generator
    start: pd.Timestamp
    end: pd.Timestamp
    intensity: float
    operations: pd.DataFrame
    networks: frozenset[str] = frozenset()
    timezone: str = "UTC"
    shared: dict[str, Any] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """The intensity as a whole number, at least one."""
        return max(1, round(self.intensity))


@dataclass(frozen=True)
class EditedToken:
    """The events of a token after a scenario.

    ``events`` has ``COLUMNS`` by time, and ``attack`` (bool: the event is the attacker's, or carries stolen data)
    and ``excess_bytes`` (int64: stolen response bytes). New events have the key 0, and so have new texts:
    ``fill_keys`` fills them. ``inventory`` holds the fields of the token's row that change at the start.
    From ``rotated_at`` on, the events belong to a successor of the token.
    """

    events: pd.DataFrame
    inventory: dict[str, Any] = field(default_factory=dict)
    rotated_at: pd.Timestamp | None = None


Edit = Callable[[pd.DataFrame, Setting], EditedToken]


def enough_use(events: pd.DataFrame) -> bool:
    """Return whether the token has 20 calls on five days, enough to copy what it usually does."""
    return len(events) >= 20 and events["time"].dt.floor("D").nunique() >= 5


@dataclass(frozen=True)
class Scenario:
    """An attack or a benign change: its text, its intensities, and the reasons that should show it.

    ``kind`` is "attack", or "confounder" for a benign change, as results store it. ``what`` is the text of ``how``, for
    pages. ``unit`` says what an intensity is; ``days`` how long it lasts (None: until the end of the period).
    ``attack_ids`` are techniques of ATT&CK, ATLAS or the OWASP API list that it is an example of, ``unchecked`` those
    of them that were not checked in public detection content.
    ``shown_by`` names the parts of a score of which one should be among the first three reasons. ``suits`` says
    whether a token can have this scenario, ``cohort`` how many tokens have it at once. ``gradual``: it can begin small
    (``with_warm_up``). ``lead`` is how many days before the start events change, for each unit of intensity.
    ``alike``: the tokens of the cohort have one purpose.
    """

    number: int
    id: str
    title: str
    how: Edit
    intensities: tuple[float, ...]
    unit: str
    days: float | None
    suits: Callable[[pd.DataFrame], bool] = enough_use
    kind: str = "attack"
    attack_ids: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    shown_by: tuple[str, ...] = ()
    cohort: int = 1
    gradual: bool = True
    lead: float = 0.0
    alike: bool = False

    @property
    def what(self) -> str:
        """What happens, in one or two sentences."""
        return " ".join((self.how.__doc__ or "").split())

    def edit(self, events: pd.DataFrame, setting: Setting) -> EditedToken:
        """Return a token's events with the scenario in them.

        Parameters
        ----------
        events : DataFrame, one row an event of one token, all days; at least ``COLUMNS``
        setting : where and when; its generator is drawn from

        Raises
        ------
        InputError
            A column is missing, or the token has no event to go by.
        """
        own = event_columns(events)
        if own.empty:
            raise InputError(f"{self.id}: the token has no events, and a scenario copies what it usually does")
        edited = self.how(own, setting)
        rows = edited.events
        new = rows["event_key"] == 0
        rows = rows[~new | (rows["time"] < setting.end)].sort_values("time", kind="stable", ignore_index=True)
        if self.kind == "confounder":
            rows = without_attack(rows)
        return replace(edited, events=rows)


REGISTRY: dict[str, Scenario] = {}


def scenario(number: int, title: str, **fields: Any) -> Callable[[Edit], Scenario]:
    """Register the decorated function as a ``Scenario`` under its name."""

    def register(how: Edit) -> Scenario:
        registered = Scenario(number, how.__name__, title, how, **fields)
        REGISTRY[registered.id] = registered
        return registered

    return register


# ---- events in, events out ----
def event_columns(events: pd.DataFrame) -> pd.DataFrame:
    """Return the events with ``COLUMNS`` alone, in their types, by time.

    Raises
    ------
    InputError
        Columns are missing; names them.
    """
    missing = [name for name in COLUMNS if name not in events]
    if missing:
        raise InputError(f"events lack {', '.join(missing)}: read them with lake.scan, which has every column")
    chosen = events[list(COLUMNS)]
    if chosen.dtypes.astype(str).to_dict() != COLUMNS:
        chosen = chosen.astype(COLUMNS)
    return chosen.sort_values("time", kind="stable", ignore_index=True)


def with_columns(events: pd.DataFrame, /, **values: Any) -> pd.DataFrame:
    """Return the events with new values in some of ``COLUMNS``, in the types of those columns."""
    changed = events.assign(**values)
    # astype of the frame goes through every column, which took nearly half of a scenario's time
    return changed.assign(**{name: changed[name].astype(COLUMNS[name]) for name in values})


def without_attack(events: pd.DataFrame) -> pd.DataFrame:
    """Return the events with none of them marked as an attacker's."""
    return events.assign(attack=False, excess_bytes=np.int64(0))


def with_added(events: pd.DataFrame, *more: pd.DataFrame) -> EditedToken:
    """Return the token's events and the attacker's, marked.

    New times have whole seconds where all of the token's have. ``events`` may come from ``with_replaced``.
    """
    own = events if "attack" in events else without_attack(events)
    new = pd.concat(more, ignore_index=True)
    whole_seconds = not (events["time"].dt.microsecond % 1_000_000).any()
    times = new["time"].dt.floor("s" if whole_seconds else "ms")
    taken = new["response_bytes"].fillna(0).astype("int64")
    new = with_columns(new, event_key=0, time=times).assign(attack=True, excess_bytes=taken)
    return EditedToken(pd.concat([own, new], ignore_index=True))


def with_replaced(events: pd.DataFrame, rows: pd.DataFrame) -> EditedToken:
    """Return the token's events with those at the index of ``rows`` replaced by ``rows``, marked as the attacker's."""
    before = events.loc[rows.index, "response_bytes"].fillna(0).astype("int64")
    taken = (rows["response_bytes"].fillna(0).astype("int64") - before).clip(lower=0)
    theirs = rows.assign(attack=True, excess_bytes=taken)
    return EditedToken(pd.concat([without_attack(events.drop(index=rows.index)), theirs]).sort_index())


def own_calls(events: pd.DataFrame, setting: Setting, days: float | None = None) -> pd.DataFrame:
    """Return the token's own events from the start on, for ``days`` or until the end of the period."""
    end = min(setting.end, setting.start + days * DAY) if days else setting.end
    return events[(events["time"] >= setting.start) & (events["time"] < end)]


def recent_calls(events: pd.DataFrame, setting: Setting) -> pd.DataFrame:
    """Return the successful calls of the four weeks before the start, or of all days if those are fewer than five."""
    ok = events[events["status_id"] == 1]
    ok = ok if len(ok) else events
    lately = ok[(ok["time"] < setting.start) & (ok["time"] >= setting.start - 28 * DAY)]
    return lately if len(lately) >= 5 else ok


# ---- when ----
def early_times(start: pd.Timestamp, hours: float, n: int, rng: np.random.Generator) -> pd.DatetimeIndex:
    """Return ``n`` sorted times within ``hours`` of the start, more of them early than late; the first is the start.

    Examples
    --------
    >>> moments = early_times(pd.Timestamp("2026-03-01", tz="UTC"), 2, 5, np.random.default_rng(1))
    >>> len(moments), moments[0].hour, bool(moments[-1] < pd.Timestamp("2026-03-01 02:00", tz="UTC"))
    (5, 0, True)
    """
    share = np.sort(rng.beta(1.0, 1.3, n))
    share[:1] = 0.0
    return _moments(start, share * hours * 3600 * 0.999)


def even_times(start: pd.Timestamp, seconds: float, n: int, rng: np.random.Generator) -> pd.DatetimeIndex:
    """Return ``n`` times at a machine's pace: ``seconds`` apart, give or take a few per cent."""
    return _moments(start, np.cumsum(seconds * rng.normal(1.0, 0.02, n).clip(0.9, 1.1)))


def _moments(start: pd.Timestamp, seconds: np.ndarray) -> pd.DatetimeIndex:
    return (start + pd.to_timedelta((seconds * 1000).astype("int64"), unit="ms")).as_unit("us")


# ---- what ----
def copies(events: pd.DataFrame, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return ``n`` single calls drawn from ``events`` with repetition, with slightly different sizes.

    All have the address and program of the last of ``events``: a mixture within an hour would give the copy away.
    """
    rows = events.iloc[rng.integers(len(events), size=n)].reset_index(drop=True)
    last = events.iloc[np.full(n, len(events) - 1)]
    rows = rows.assign(**{name: last[name].array for name in PLACE})
    each = rows["count"].fillna(1).clip(lower=1).astype("float64")
    rows = with_columns(rows, event_key=0, count=1)
    return resized(rows, rng.lognormal(0.0, 0.2, n) / each)


def resized(rows: pd.DataFrame, factor: Any, columns: tuple[str, ...] = SIZES) -> pd.DataFrame:
    """Return the rows with sizes multiplied by ``factor``; unknown sizes stay unknown."""
    return with_columns(rows, **{c: (rows[c].astype("Float64") * factor).round() for c in columns})


def repeated_calls(
    pool: pd.DataFrame, setting: Setting, n: int, hours: float, start: pd.Timestamp | None = None
) -> pd.DataFrame:
    """Return ``n`` calls drawn from ``pool``, made again within ``hours`` of ``start`` (default: the setting's)."""
    rows = copies(pool, n, setting.rng)
    return with_columns(rows, time=early_times(start or setting.start, hours, n, setting.rng))


def usual_calls(
    events: pd.DataFrame, setting: Setting, n: int, hours: float, start: pd.Timestamp | None = None
) -> pd.DataFrame:
    """Return ``n`` recent calls of the token, made again (``repeated_calls``)."""
    return repeated_calls(recent_calls(events, setting), setting, n, hours, start)


# ---- from where, with what ----
def new_address(setting: Setting, kind: str) -> str:
    """Return an address of a network that the organisation never called from.

    Parameters
    ----------
    kind : ``hosting``, ``home`` or ``business``
    """
    while True:
        prefix = draws.network_prefix(setting.rng, kind)
        if f"{prefix}0/24" not in setting.networks:
            return draws.address_in(setting.rng, prefix)


def neighbours(ip: str, n: int, rng: np.random.Generator) -> list[str]:
    """Return ``n`` addresses of the network of ``ip``, that one first."""
    return [ip, *(draws.address_in(rng, draws.network_of(ip)) for _ in range(n - 1))]


def from_network(rows: pd.DataFrame, ip: str | list[str], rng: np.random.Generator | None = None) -> pd.DataFrame:
    """Return the rows with this address, or with each of several in turn (in random order with ``rng``)."""
    ips = [ip] if isinstance(ip, str) else ip
    which = rng.integers(len(ips), size=len(rows)) if rng is not None else np.arange(len(rows)) % len(ips)
    found = [clients.network(one) for one in ips]
    assert all(found), f"no addresses: {ips}"
    columns = np.array([list(one) for one in found if one], dtype=object)[which]
    return with_columns(rows, src_ip=columns[:, 0], network=columns[:, 1], network_class=columns[:, 2], network_key=0)


def with_client(rows: pd.DataFrame, user_agent: str) -> pd.DataFrame:
    """Return the rows with this program as their client."""
    return with_columns(rows, user_agent=user_agent, ua_family=clients.client(user_agent)[0], client_key=0)


CLIENTS_OF_SCRIPTS = (
    "rclone/v1.65.2", "Go-http-client/2.0", "Python/3.10 aiohttp/3.9.1", "python-urllib3/2.0.7", "libwww-perl/6.72",
    "Ruby/3.2 faraday/2.9.0", "GuzzleHttp/7.8 PHP/8.2", "reqwest/0.11.27",
)  # fmt: skip
CLIENTS_OF_PEOPLE = (
    "PostmanRuntime/7.36.1", "insomnia/8.6.1", "HTTPie/3.2.2",
    "Mozilla/5.0 (X11; Linux x86_64; rv:122.0) Gecko/20100101 Firefox/122.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/121.0.0.0 Safari/537.36",
)  # fmt: skip


def new_client(events: pd.DataFrame, setting: Setting, known: tuple[str, ...] = CLIENTS_OF_SCRIPTS) -> str:
    """Return a program of a family that the token was never used with."""
    families = set(events["ua_family"].dropna())
    strange = [one for one in known if clients.client(one)[0] not in families]
    return str(setting.rng.choice(strange or list(known)))


def shared_traits(setting: Setting) -> dict[str, Any]:
    """Return what all calls of one attacker share: an address, a program, and a number that chooses calls."""
    return {
        "ip": new_address(setting, "hosting"),
        "user_agent": str(setting.rng.choice(CLIENTS_OF_SCRIPTS)),
        "choice": float(setting.rng.random()),
    }


def attacker_address(setting: Setting, kind: str) -> str:
    """Return the attacker's address: that of ``shared``, else a new one, which is kept in ``shared``."""
    if "ip" not in setting.shared:
        setting.shared["ip"] = new_address(setting, kind)
    return str(setting.shared["ip"])


def attacker_client(events: pd.DataFrame, setting: Setting, known: tuple[str, ...] = CLIENTS_OF_SCRIPTS) -> str:
    """Return the attacker's program: that of ``shared``, else a new one, which is kept in ``shared``."""
    if "user_agent" not in setting.shared:
        setting.shared["user_agent"] = new_client(events, setting, known)
    return str(setting.shared["user_agent"])


def from_attacker(rows: pd.DataFrame, events: pd.DataFrame, setting: Setting, addresses: int = 0) -> pd.DataFrame:
    """Return the rows with so many of the attacker's addresses (0: one or two) and the attacker's program."""
    first = attacker_address(setting, "hosting")
    hosts = neighbours(first, addresses or int(setting.rng.integers(1, 3)), setting.rng)
    return with_client(from_network(rows, hosts, setting.rng), attacker_client(events, setting))


# ---- the poisoned variant ----
def with_warm_up(chosen: Scenario, days: int = WARM_UP_DAYS) -> Scenario:
    """Return the same attack, preceded by days on which the same attacker does a little of it, more each day.

    On the last of these days it has a quarter (``WARM_UP_SHARE``) of the intensity.

    Raises
    ------
    InputError
        The scenario cannot begin small.
    """
    if not chosen.gradual:
        raise InputError(f"{chosen.id} cannot begin small, so there is no poisoned variant of it")

    def how(events: pd.DataFrame, setting: Setting) -> EditedToken:
        alike = replace(setting, shared=dict(setting.shared))
        whole = chosen.how(events, alike)
        parts = [whole.events]
        for day in range(days):
            first = setting.start - (days - day) * DAY
            little = setting.intensity * WARM_UP_SHARE * (day + 1) / days
            part = chosen.how(events, replace(alike, start=first, end=first + DAY, intensity=little)).events
            parts.append(part[part["attack"] & ((part["event_key"] != 0) | (part["time"] < first + DAY))])
        rows = pd.concat(parts, ignore_index=True)
        # a changed event is there twice: unchanged in the attack, changed in the warm-up
        again = rows.duplicated("event_key", keep="last") & (rows["event_key"] != 0)
        return replace(whole, events=rows[~again])

    return replace(chosen, how=how)
