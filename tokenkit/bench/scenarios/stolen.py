"""Stolen: somebody else holds the token: from another place, with another program, at another time."""

import numpy as np
import pandas as pd

from tokenkit.bench.scenarios.calls import answered, calling, plausible, speaks_routes, unused
from tokenkit.bench.scenarios.scenario import (
    DAY,
    HANDS,
    Edited,
    Setting,
    added,
    at,
    attackers,
    copies,
    count,
    from_network,
    his_address,
    his_client,
    neighbours,
    new_address,
    scenario,
    spread,
    until_the_end,
    usual,
    with_client,
)


def used(events: pd.DataFrame) -> bool:
    """At least 20 calls on at least five days: enough to say what it usually does."""
    return len(events) >= 20 and events["time"].dt.floor("D").nunique() >= 5


def mostly_one_client(events: pd.DataFrame) -> bool:
    """Used, nine calls in ten by one program: a machine's token."""
    share = events["ua_family"].value_counts(normalize=True)
    return used(events) and len(share) > 0 and float(share.iloc[0]) >= 0.9


def no_hands(events: pd.DataFrame) -> bool:
    """A machine's token that no browser or tool of people ever used."""
    words = "Mozilla|Chrome|Firefox|Safari|Postman|insomnia|HTTPie|curl|aws-cli"
    return (
        mostly_one_client(events)
        and not events["user_agent"].astype("str").str.contains(words, case=False, na=False).any()
    )


def seldom_hours(events: pd.DataFrame) -> pd.Series:
    """Share of the token's days that were active in each hour of the day (UTC), for all 24."""
    active = events["time"].dt.floor("h").drop_duplicates()
    hours = active.groupby(active.dt.hour).size()
    return hours.reindex(range(24), fill_value=0) / max(events["time"].dt.floor("D").nunique(), 1)


def on_schedule(events: pd.DataFrame) -> bool:
    """Used, and never in at least six hours of the day."""
    return used(events) and int((seldom_hours(events) == 0).sum()) >= 6


@scenario(
    1, "Stolen token replayed from the attacker's network", attack_ids=("T1078.004", "T1550.001", "T1528"),
    intensities=(10, 40, 160), unit="requests replayed", days=4 / 24, suits=used,
    shown_by=("network", "client", "operation", "outside_networks"),
)  # fmt: skip
def stolen_token(events: pd.DataFrame, setting: Setting) -> Edited:
    """The token's own calls for up to four hours, from a new network with a strange program; first of all: who am I."""
    rng, n = setting.rng, count(setting)
    rows = at(copies(usual(events, setting), n, rng), spread(setting.start, 4, n, rng))
    look = unused(events, setting, "identity", 2)[: max(1, n // 5)]
    first = calling(rows.iloc[: len(look)], look, events, rng)
    return added(events, attackers(pd.concat([first, rows.iloc[len(look) :]]), events, setting))


@scenario(
    2, "Token cloned: its owner and the attacker use it at once", attack_ids=("T1550.001",),
    intensities=(10, 40, 160), unit="requests by the attacker, each within ten minutes of one of the owner's", days=2,
    suits=used, shown_by=("network", "networks", "outside_networks"),
)  # fmt: skip
def cloned_token(events: pd.DataFrame, setting: Setting) -> Edited:
    """Beside its own calls, some minutes later, the same calls by the same program from another network."""
    rng, n = setting.rng, count(setting)
    own = until_the_end(events, setting, 2)["time"]
    moments = pd.DatetimeIndex(own) if len(own) else spread(setting.start, 48, n, rng)
    beside = moments[np.sort(rng.integers(len(moments), size=n))] + pd.to_timedelta(rng.integers(5, 600, n), unit="s")
    hosts = neighbours(his_address(setting, "hosting"), 2, rng)
    return added(events, from_network(at(copies(usual(events, setting), n, rng), beside), hosts, rng))


@scenario(
    3, "Leaked key being validated, minutes after the leak", attack_ids=("T1552.001", "T1526"),
    intensities=(1, 2, 3), unit="identity calls", days=10 / 1440, suits=used, gradual=False,
    shown_by=("network", "client", "operation", "outside_networks"),
)  # fmt: skip
def leaked_key_check(events: pd.DataFrame, setting: Setting) -> Edited:
    """One to three identity calls by a script from a hosting network, and nothing after."""
    rng, n = setting.rng, count(setting)
    rows = at(copies(usual(events, setting), n, rng), spread(setting.start, 1 / 12, n, rng))
    return added(events, attackers(calling(rows, unused(events, setting, "identity", n), events, rng), events, setting))


@scenario(
    12, "Dormant token revived", attack_ids=("T1078.004",), intensities=(7, 14, 28), unit="days of silence before",
    days=6 / 24, suits=used, gradual=False, lead=1.0,
    shown_by=("network", "outside_networks", "hour_of_week", "requests"),
)  # fmt: skip
def dormant_revived(events: pd.DataFrame, setting: Setting) -> Edited:
    """The token falls silent for good (its events go); then somebody who found it makes 30 of its calls from home."""
    rng = setting.rng
    silent = setting.start - setting.intensity * DAY
    rows = at(copies(usual(events, setting), 30, rng), spread(setting.start, 6, 30, rng))
    before = events[events["time"] < silent].reset_index(drop=True)
    return added(before, from_network(rows, new_address(setting, "home")))


@scenario(
    16, "Token of a build system used elsewhere", attack_ids=("T1552.001", "T1195.002", "T1550.001"),
    intensities=(5, 20, 80), unit="requests", days=3 / 24, suits=mostly_one_client,
    shown_by=("network", "outside_networks"),
)  # fmt: skip
def ci_off_runner(events: pd.DataFrame, setting: Setting) -> Edited:
    """The usual calls by the usual program, from a network where no runner is."""
    rng, n = setting.rng, count(setting)
    rows = at(copies(usual(events, setting), n, rng), spread(setting.start, 3, n, rng))
    return added(events, from_network(rows, his_address(setting, "home")))


@scenario(
    17, "Service token used by hand", attack_ids=("T1078.004", "T1059.009"),
    intensities=(8, 25, 80), unit="requests in one working day", days=4, suits=no_hands,
    shown_by=("client", "network", "outside_networks", "hour_of_week", "operation"),
)  # fmt: skip
def used_by_hand(events: pd.DataFrame, setting: Setting) -> Edited:
    """On the next working day of the owner's time zone a person tries its calls and some others, at uneven times."""
    rng, n = setting.rng, count(setting)
    seconds = np.cumsum(rng.exponential(1.0, n) ** 2)
    times = office_hours(setting) + pd.to_timedelta((seconds / seconds[-1] * 6 * 3600).round(3), unit="s")
    rows = at(copies(usual(events, setting), n, rng), pd.DatetimeIndex(times).as_unit("us"))
    tried = rng.random(n) < 0.15
    others = calling(rows[tried], unused(events, setting, "list", 5), events, rng)
    rows = pd.concat([rows[~tried], others])
    rows = from_network(rows, his_address(setting, "business"))
    return added(events, with_client(rows, his_client(events, setting, HANDS)))


@scenario(
    18, "Another program on the same host", attack_ids=("T1078.004",), intensities=(5, 20, 80), unit="requests",
    days=2 / 24, suits=mostly_one_client, shown_by=("client", "clients", "new_transitions"),
)  # fmt: skip
def client_swap(events: pd.DataFrame, setting: Setting) -> Edited:
    """From where the token always works another program makes its calls, in no order of its own."""
    rng, n = setting.rng, count(setting)
    rows = at(copies(usual(events, setting), n, rng), spread(setting.start, 2, n, rng))
    return added(events, with_client(rows, his_client(events, setting)))


@scenario(
    19, "Networks rotated: proxies, VPN, Tor", attack_ids=("T1090", "T1090.003"),
    intensities=(3, 8, 20), unit="networks in a day, three requests or more from each", days=1, suits=used,
    shown_by=("network", "networks", "outside_networks"),
)  # fmt: skip
def network_rotation(events: pd.DataFrame, setting: Setting) -> Edited:
    """The token's own calls by its own program, over a day, each from the next of several new networks."""
    rng, places = setting.rng, count(setting)
    n = max(30, 3 * places)
    hosts = [new_address(setting, str(rng.choice(["hosting", "home", "business"]))) for _ in range(places)]
    rows = at(copies(usual(events, setting), n, rng), spread(setting.start, 24, n, rng))
    return added(events, from_network(rows, hosts))


@scenario(
    20, "Scheduled token used off its schedule", attack_ids=("T1078.004",), intensities=(1, 3, 6),
    unit="hours at which it never works", days=1, suits=on_schedule,
    shown_by=("hour_of_week", "requests", "active_minutes"),
)  # fmt: skip
def off_schedule(events: pd.DataFrame, setting: Setting) -> Edited:
    """A run more, from its own place by its own program, in hours of the day in which it was never active."""
    rng = setting.rng
    idle = seldom_hours(events) == 0
    hours = pd.date_range(setting.start.ceil("h"), periods=24, freq="h")
    chosen = hours[idle.to_numpy()[hours.hour]][: count(setting)]
    n = int(max(5, events.groupby(events["time"].dt.floor("h")).size().median()))
    runs = [at(copies(usual(events, setting), n, rng), spread(hour, 0.8, n, rng)) for hour in chosen]
    return added(events, *runs)


@scenario(
    27, "Refresh token used twice", attack_ids=("T1528",), intensities=(1, 3), unit="refused refreshes", days=1 / 24,
    suits=lambda events: used(events) and speaks_routes(events), gradual=False,
    shown_by=("operation", "network", "outside_networks", "denied", "denied_operations", "sensitive_requests"),
)  # fmt: skip
def refresh_token_reuse(events: pd.DataFrame, setting: Setting) -> Edited:
    """The identity provider refuses a refresh token that was spent before, asked for from another network."""
    rng, n = setting.rng, count(setting)
    rows = calling(copies(usual(events, setting), n, rng), plausible(events, "refresh"), events, rng)
    rows = answered(rows, 400, "refresh_token_reused").assign(is_denied=True)
    rows = at(rows, spread(setting.start, 0.5, n, rng))
    return added(events, from_network(rows, new_address(setting, "hosting")))


def office_hours(setting: Setting) -> pd.Timestamp:
    """The start where it is a working day before noon for the owner, else nine o'clock of the next one."""
    local = setting.start.tz_convert(setting.timezone)
    if local.weekday() < 5 and 9 <= local.hour < 12:
        return setting.start
    days = pd.date_range(local.normalize().tz_localize(None), periods=5, freq="D") + pd.Timedelta("9h")
    mornings = days[days.day_of_week < 5].tz_localize(setting.timezone, nonexistent="shift_forward")
    return mornings[mornings > local][0].tz_convert("UTC")
