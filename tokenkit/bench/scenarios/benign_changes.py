"""Benign changes that look like attacks and should open no incident, or few."""

import re
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from tokenkit.bench.scenarios.calls import as_calls, unused_calls, with_status
from tokenkit.bench.scenarios.misuse import with_older_objects
from tokenkit.bench.scenarios.scenario import (
    DAY,
    EditedToken,
    Setting,
    copies,
    early_times,
    enough_use,
    from_network,
    neighbours,
    new_address,
    new_client,
    own_calls,
    recent_calls,
    repeated_calls,
    resized,
    scenario,
    usual_calls,
    with_added,
    with_client,
    with_columns,
    with_replaced,
    without_attack,
)
from tokenkit.bench.scenarios.stolen import mostly_one_client, next_office_morning
from tokenkit.sources.fields import clients, operations

benign_change = partial(scenario, kind="confounder", gradual=False)


def few_networks(events: pd.DataFrame) -> bool:
    """Return whether nine calls in ten come from at most three networks: a service's token."""
    share = events.loc[events["src_ip"].notna(), "network"].value_counts(normalize=True)
    return enough_use(events) and bool(len(share)) and float(share.iloc[:3].sum()) >= 0.9


def next_version(user_agent: str) -> str:
    """Return the program in its next version, or unchanged if it names no version.

    Examples
    --------
    >>> next_version("okhttp/4.12.3"), next_version("python-requests/2.31.0 linux"), next_version("tool")
    ('okhttp/4.12.4', 'python-requests/2.31.1 linux', 'tool')
    """
    version = clients.client(user_agent)[1]
    if not version or not re.search(r"\d", version):
        return user_agent
    before, last, after = re.fullmatch(r"(.*?)(\d+)(\D*)", version, re.DOTALL).groups()  # type: ignore[union-attr]
    return user_agent.replace(version, f"{before}{int(last) + 1}{after}")


@benign_change(
    1,
    "Deployment of a new version",
    intensities=(0.0, 0.02, 0.05),
    unit="share of calls that are new",
    days=None,
    suits=mostly_one_client,
)
def deploy(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """From the start on each program of the token has its next version, and a share of its calls are one listing that
    it never made before.
    """
    rng = setting.rng
    rows = own_calls(events, setting)
    rows = rows[rows["user_agent"].notna()]
    if not len(rows):
        return EditedToken(without_attack(events))
    agents = {agent: next_version(agent) for agent in rows["user_agent"].unique()}
    moved = rows["user_agent"].map(agents) != rows["user_agent"]
    rows = with_columns(rows, user_agent=rows["user_agent"].map(agents), client_key=rows["client_key"].where(~moved, 0))
    others = rng.random(len(rows)) < setting.intensity
    if others.any():
        called = as_calls(rows[others], unused_calls(events, setting, "list", 1), events, rng)
        rows = pd.concat([rows[~others], called]).sort_index()
    return with_replaced(events, rows)


@benign_change(
    2,
    "Egress address of a service changed",
    intensities=(1.0,),
    unit="share of its calls",
    days=None,
    suits=few_networks,
)
def egress_change(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """From the start on all calls come from a new business network. Nothing else changes."""
    return _from_new_network(events, setting, own_calls(events, setting), "business")


@benign_change(
    3,
    "Cloud region failed over",
    intensities=(6, 24, 72),
    unit="hours",
    days=3,
    suits=few_networks,
)
def region_failover(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """From the token's next call on all calls come from a new hosting network for some hours, then from the usual one
    again.
    """
    begun = _start_at_next_call(events, setting)
    return _from_new_network(events, begun, own_calls(events, begun, setting.intensity / 24), "hosting")


def _start_at_next_call(events: pd.DataFrame, setting: Setting) -> Setting:
    """Return the setting with the token's next call as its start, so that a short change touches a call."""
    ahead = own_calls(events, setting)["time"]
    return replace(setting, start=ahead.min()) if len(ahead) else setting


def _from_new_network(events: pd.DataFrame, setting: Setting, rows: pd.DataFrame, kind: str) -> EditedToken:
    """Return the events with the rows moved to a new network, with as many addresses as before."""
    rows = rows[rows["src_ip"].notna()]
    if not len(rows):
        return EditedToken(without_attack(events))
    hosts = sorted(rows["src_ip"].unique())
    there = dict(zip(hosts, neighbours(new_address(setting, kind), len(hosts), setting.rng), strict=True))
    moved = from_network(rows, list(there.values()))
    address = rows["src_ip"].map(there)
    return with_replaced(events, with_columns(moved, src_ip=address))


@benign_change(
    4,
    "Key rotated: a new token with the same behaviour",
    intensities=(1,),
    unit="rotation",
    days=None,
)
def key_rotation(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """No event changes.

    From the start on the events belong to a new token, which the inventory links to the old one.
    """
    return EditedToken(without_attack(events), rotated_at=setting.start)


@benign_change(
    5,
    "Month-end batch",
    intensities=(2, 5),
    unit="times its usual calls of two days, in addition",
    days=2,
)
def month_end_batch(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """For two days the token makes many more of its usual calls, at its usual hours."""
    return _more_of_the_same(events, setting, own_calls(events, setting, 2), setting.intensity)


@benign_change(
    6,
    "Backfill announced by the owner",
    intensities=(4, 9, 19),
    unit="times its usual calls of a day, in addition",
    days=1,
)
def backfill(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """Within twelve hours the token makes many times its usual reads, of older objects that it never touched."""
    own = recent_calls(events, setting)
    pool = own[(own["activity_id"] == operations.READ).to_numpy(dtype=bool, na_value=False)]
    pool = pool if len(pool) else own
    a_day = float(own.groupby(own["time"].dt.floor("D")).size().median())
    n = int(np.clip(setting.intensity * a_day, 5, 20_000))
    rows = repeated_calls(pool, setting, n, 12)
    return with_added(events, with_older_objects(rows, events, setting.rng))


@benign_change(
    7,
    "Organic growth",
    intensities=(0.1, 0.2, 0.4),
    unit="growth of its calls a month",
    days=None,
)
def organic_growth(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """From the start on the token makes more of its usual calls each day, compounded."""
    own = own_calls(events, setting)
    months = np.asarray((own["time"] - setting.start) / (30 * DAY), dtype=float)
    return _more_of_the_same(events, setting, own, (1 + setting.intensity) ** months - 1)


def _more_of_the_same(
    events: pd.DataFrame, setting: Setting, own: pd.DataFrame, share: float | np.ndarray
) -> EditedToken:
    """Return the events with each of ``own`` repeated ``share`` times on average, within the next half hour."""
    rng = setting.rng
    rows = own.loc[own.index.repeat(rng.poisson(np.broadcast_to(share, len(own))))]
    if not len(rows):
        return EditedToken(without_attack(events))
    later = rows["time"] + pd.to_timedelta(rng.integers(0, 1_800_000, len(rows)), unit="ms")
    rows = with_columns(rows, time=later)
    return with_added(events, resized(rows, rng.lognormal(0.0, 0.2, len(rows))))


@benign_change(
    8,
    "Daylight saving: the clock changes by an hour",
    intensities=(1.0,),
    unit="hours",
    days=None,
)
def clock_shift(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """From the next midnight (UTC) on all calls come an hour later, or an hour earlier."""
    midnight = (setting.start + pd.Timedelta("1h")).ceil("D")
    rows = events[(events["time"] >= midnight) & (events["time"] < setting.end)]
    hour = pd.Timedelta(hours=setting.intensity) * int(setting.rng.choice([-1, 1]))
    moved = with_columns(rows, time=rows["time"] + hour)
    moved = moved[(moved["time"] >= setting.start) & (moved["time"] < setting.end)]
    return with_replaced(events.drop(index=rows.index.difference(moved.index)), moved)


@benign_change(
    9,
    "Holiday and return",
    intensities=(5, 10, 14),
    unit="days without a call",
    days=16,
)
def holiday(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """The token makes no call for some days. On the day of return it makes half as many again as usual."""
    back = setting.start + setting.intensity * DAY
    kept = events[(events["time"] < setting.start) | (events["time"] >= back)].reset_index(drop=True)
    return _more_of_the_same(kept, setting, kept[(kept["time"] >= back) & (kept["time"] < back + DAY)], 0.5)


LOAD_TOOLS = ("k6/0.49.0 (https://k6.io/)", "Apache-JMeter/5.6.3", "python-locust/2.23.1")


@benign_change(
    10,
    "Load test from staging",
    intensities=(200, 800, 3000),
    unit="requests within two hours",
    days=2 / 24,
)
def load_test(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """Within two hours a load-testing tool makes the token's usual calls from another network of the organisation, or
    from a new hosting network if there is none.
    """
    rng, n = setting.rng, setting.count
    theirs = sorted(n for n in setting.networks - set(events["network"].dropna()) if re.fullmatch(r"[\d.]+\.0/24", n))
    staging = str(rng.choice(theirs)).replace(".0/24", ".17") if theirs else new_address(setting, "hosting")
    rows = usual_calls(events, setting, n, 2)
    return with_added(events, with_client(from_network(rows, staging), str(rng.choice(LOAD_TOOLS))))


@benign_change(
    11,
    "New engineer uses a shared token",
    intensities=(3, 8, 20),
    unit="calls on each working day",
    days=None,
)
def new_engineer(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """On every working day until the end somebody else uses the token too, from a new home network and with another
    tool. One call in ten is a listing that the token never asked for.
    """
    rng = setting.rng
    tool = new_client(events, setting, ("curl/8.5.0", "HTTPie/3.2.2", "python-requests/2.31.0", "aws-cli/2.15.17"))
    home, others = new_address(setting, "home"), unused_calls(events, setting, "list", 2)
    mornings = [next_office_morning(setting)]
    while mornings[-1] < setting.end - DAY:
        mornings.append(next_office_morning(replace(setting, start=mornings[-1] + pd.Timedelta("12h"))))
    calls = np.maximum(rng.poisson(setting.intensity, len(mornings)), 1)
    times = [early_times(morning, 8, n, rng) for morning, n in zip(mornings, calls.tolist(), strict=True)]
    rows = with_columns(copies(recent_calls(events, setting), int(calls.sum()), rng), time=times[0].append(times[1:]))
    tried = rng.random(len(rows)) < 0.1
    rows = pd.concat([rows[~tried], as_calls(rows[tried], others, events, rng)])
    return with_added(events, with_client(from_network(rows, home), tool))


@benign_change(
    12,
    "Retry storm after an outage",
    intensities=(2, 5, 10),
    unit="retries of each call",
    days=2 / 24,
)
def retry_storm(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """For half an hour from the token's next call on, all its calls and their retries fail (503).

    Within the following hour or so the calls succeed.
    """
    rng = setting.rng
    failed = own_calls(events, _start_at_next_call(events, setting), 0.5 / 24)
    if failed.empty:
        return EditedToken(without_attack(events))
    retries = failed.loc[failed.index.repeat(setting.count)]
    soon = retries["time"] + pd.to_timedelta(rng.integers(500, 120_000, len(retries)), unit="ms")
    late = failed["time"] + pd.to_timedelta(rng.integers(1_800_000, 5_400_000, len(failed)), unit="ms")
    again = with_status(with_columns(retries, time=soon), 503)
    kept = with_replaced(events, with_status(failed, 503)).events
    return with_added(kept, again, with_columns(failed, time=late))
