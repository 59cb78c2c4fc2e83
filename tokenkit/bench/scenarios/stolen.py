"""Scenarios in which somebody else uses the token: from another network, with another program, at another time."""

import numpy as np
import pandas as pd

from tokenkit.bench.scenarios.calls import as_calls, logs_routes, plausible_calls, unused_calls, with_status
from tokenkit.bench.scenarios.scenario import (
    CLIENTS_OF_PEOPLE,
    DAY,
    NEW_CALLS,
    NEW_NETWORK,
    NEW_PROGRAM,
    EditedToken,
    Setting,
    attacker_address,
    attacker_client,
    copies,
    early_times,
    enough_use,
    from_attacker,
    from_network,
    neighbours,
    new_address,
    own_calls,
    recent_calls,
    scenario,
    usual_calls,
    with_added,
    with_client,
    with_columns,
)


def mostly_one_client(events: pd.DataFrame) -> bool:
    """Return whether nine calls in ten come from one program: a machine's token."""
    share = events["ua_family"].value_counts(normalize=True)
    return enough_use(events) and len(share) > 0 and float(share.iloc[0]) >= 0.9


def never_by_hand(events: pd.DataFrame) -> bool:
    """Return whether it is a machine's token that was never used with a browser or a tool of people."""
    words = "Mozilla|Chrome|Firefox|Safari|Postman|insomnia|HTTPie|curl|aws-cli"
    return (
        mostly_one_client(events)
        and not events["user_agent"].astype("str").str.contains(words, case=False, na=False).any()
    )


def idle_hours(events: pd.DataFrame) -> np.ndarray:
    """Return which of the 24 hours of the day (UTC) never had a call (bool array)."""
    return ~np.isin(np.arange(24), events["time"].dt.hour.unique())


def has_idle_hours(events: pd.DataFrame) -> bool:
    """Return whether there are at least six hours of the day without any call."""
    return enough_use(events) and int(idle_hours(events).sum()) >= 6


@scenario(
    1,
    "Stolen token replayed from another network",
    attack_ids=("T1078.004", "T1550.001", "T1528"),
    intensities=(10, 40, 160),
    unit="requests",
    days=4 / 24,
    shown_by=(*NEW_NETWORK, *NEW_PROGRAM, *NEW_CALLS),
)
def stolen_token(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """Somebody else makes the token's usual calls for up to four hours, from a new hosting network and with a program
    that the token never used. The first calls ask whose token it is and what it may do.
    """
    rng, n = setting.rng, setting.count
    rows = usual_calls(events, setting, n, 4)
    look = unused_calls(events, setting, "identity", 2)[: max(1, n // 5)]
    first = as_calls(rows.iloc[: len(look)], look, events, rng)
    return with_added(events, from_attacker(pd.concat([first, rows.iloc[len(look) :]]), events, setting))


@scenario(
    2,
    "Cloned token: owner and attacker use it at the same time",
    attack_ids=("T1550.001",),
    intensities=(10, 40, 160),
    unit="requests by the attacker",
    days=2,
    shown_by=(*NEW_NETWORK, "networks", "network_switches"),
)
def cloned_token(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """For two days the attacker makes the token's usual calls with its usual program from a new hosting network, each
    within ten minutes after a call of the owner.
    """
    rng, n = setting.rng, setting.count
    own = own_calls(events, setting, 2)["time"]
    moments = pd.DatetimeIndex(own) if len(own) else early_times(setting.start, 48, n, rng)
    beside = moments[np.sort(rng.integers(len(moments), size=n))] + pd.to_timedelta(rng.integers(5, 600, n), unit="s")
    hosts = neighbours(attacker_address(setting, "hosting"), 2, rng)
    rows = with_columns(copies(recent_calls(events, setting), n, rng), time=beside)
    return with_added(events, from_network(rows, hosts, rng))


@scenario(
    3,
    "Leaked key tried out",
    attack_ids=("T1552.001", "T1526"),
    intensities=(1, 2, 3),
    unit="identity calls",
    days=10 / 1440,
    gradual=False,
    shown_by=(*NEW_NETWORK, *NEW_PROGRAM, *NEW_CALLS),
)
def leaked_key_check(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """Within five minutes a script on a new hosting network asks whose token it is. Nothing follows."""
    rng, n = setting.rng, setting.count
    rows = usual_calls(events, setting, n, 1 / 12)
    return with_added(
        events,
        from_attacker(as_calls(rows, unused_calls(events, setting, "identity", n), events, rng), events, setting),
    )


@scenario(
    12,
    "Unused token used again",
    attack_ids=("T1078.004",),
    intensities=(7, 14, 28),
    unit="days without a call before",
    days=6 / 24,
    gradual=False,
    lead=1.0,
    shown_by=(*NEW_NETWORK, "hour_of_week", "requests", "silence"),
)
def dormant_revived(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """The token stops working.

    After some days somebody makes 30 of its usual calls within six hours, from a new home network.
    """
    last_use = setting.start - setting.intensity * DAY
    rows = usual_calls(events, setting, 30, 6)
    before = events[events["time"] < last_use].reset_index(drop=True)
    return with_added(before, from_network(rows, new_address(setting, "home")))


@scenario(
    16,
    "Token of a build system used outside its runners",
    attack_ids=("T1552.001", "T1195.002", "T1550.001"),
    intensities=(5, 20, 80),
    unit="requests",
    days=3 / 24,
    suits=mostly_one_client,
    shown_by=NEW_NETWORK,
)
def ci_off_runner(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """Within three hours the usual calls are made with the usual program, from a new home network."""
    rows = usual_calls(events, setting, setting.count, 3)
    return with_added(events, from_network(rows, attacker_address(setting, "home")))


@scenario(
    17,
    "Service token used by a person",
    attack_ids=("T1078.004", "T1059.009"),
    intensities=(8, 25, 80),
    unit="requests on one working day",
    days=4,
    suits=never_by_hand,
    shown_by=(*NEW_NETWORK, *NEW_PROGRAM, *NEW_CALLS, "hour_of_week"),
)
def used_by_hand(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """On the next working day of the owner a person makes calls at irregular times for six hours, with a browser or a
    tool for trying APIs, from a new business network. About one call in seven is a listing that the token never asked
    for.
    """
    rng, n = setting.rng, setting.count
    seconds = np.cumsum(rng.exponential(1.0, n) ** 2)
    times = next_office_morning(setting) + pd.to_timedelta((seconds / seconds[-1] * 6 * 3600).round(3), unit="s")
    rows = with_columns(copies(recent_calls(events, setting), n, rng), time=pd.DatetimeIndex(times).as_unit("us"))
    tried = rng.random(n) < 0.15
    others = as_calls(rows[tried], unused_calls(events, setting, "list", 5), events, rng)
    rows = pd.concat([rows[~tried], others])
    rows = from_network(rows, attacker_address(setting, "business"))
    return with_added(events, with_client(rows, attacker_client(events, setting, CLIENTS_OF_PEOPLE)))


@scenario(
    18,
    "Another program on the same host",
    attack_ids=("T1078.004",),
    intensities=(5, 20, 80),
    unit="requests",
    days=2 / 24,
    suits=mostly_one_client,
    shown_by=(*NEW_PROGRAM, "clients", "new_transitions"),
)
def client_swap(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """Within two hours a program that the token never used makes its usual calls in random order, from its usual
    addresses.
    """
    rows = usual_calls(events, setting, setting.count, 2)
    return with_added(events, with_client(rows, attacker_client(events, setting)))


@scenario(
    19,
    "Requests through changing networks (proxies, VPN, Tor)",
    attack_ids=("T1090", "T1090.003"),
    intensities=(3, 8, 20),
    unit="networks in one day",
    days=1,
    shown_by=(*NEW_NETWORK, "networks"),
)
def network_rotation(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """For a day the token's usual calls come with its usual program, from several new networks in turn, at least three
    from each.
    """
    rng, places = setting.rng, setting.count
    n = max(30, 3 * places)
    hosts = [new_address(setting, str(rng.choice(["hosting", "home", "business"]))) for _ in range(places)]
    rows = usual_calls(events, setting, n, 24)
    return with_added(events, from_network(rows, hosts))


@scenario(
    20,
    "Scheduled token used at other hours",
    attack_ids=("T1078.004",),
    intensities=(1, 3, 6),
    unit="hours of the day in which it was never active",
    days=1,
    suits=has_idle_hours,
    shown_by=("hour_of_week", "requests", "active_minutes"),
)
def off_schedule(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """Within a day the token makes an hour's usual number of its usual calls, in hours in which it was never active,
    from its usual addresses and with its usual program.
    """
    hours = pd.date_range(setting.start.ceil("h"), periods=24, freq="h")
    chosen = hours[idle_hours(events)[hours.hour]][: setting.count]
    n = int(max(5, events.groupby(events["time"].dt.floor("h")).size().median()))
    runs = [usual_calls(events, setting, n, 0.8, hour) for hour in chosen]
    return with_added(events, *runs)


@scenario(
    27,
    "Refresh token used twice",
    attack_ids=("T1528",),
    intensities=(1, 3),
    unit="refused refreshes",
    days=1 / 24,
    suits=lambda events: enough_use(events) and logs_routes(events),
    gradual=False,
    shown_by=(*NEW_NETWORK, *NEW_CALLS, "denied", "denied_operations", "sensitive_requests"),
)
def refresh_token_reuse(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """Within half an hour the identity provider refuses a refresh token that was used before; the request comes from a
    new hosting network.
    """
    rng, n = setting.rng, setting.count
    rows = as_calls(copies(recent_calls(events, setting), n, rng), plausible_calls(events, "refresh"), events, rng)
    rows = with_status(rows, 400, "refresh_token_reused").assign(is_denied=True)
    rows = with_columns(rows, time=early_times(setting.start, 0.5, n, rng))
    return with_added(events, from_network(rows, new_address(setting, "hosting")))


def next_office_morning(setting: Setting) -> pd.Timestamp:
    """Return the start if it is a working morning for the owner, else nine o'clock on the next working day."""
    local = setting.start.tz_convert(setting.timezone)
    if local.weekday() < 5 and 9 <= local.hour < 12:
        return setting.start
    days = pd.date_range(local.normalize().tz_localize(None), periods=5, freq="D") + pd.Timedelta("9h")
    mornings = days[days.day_of_week < 5].tz_localize(setting.timezone, nonexistent="shift_forward")
    return mornings[mornings > local][0].tz_convert("UTC")
