"""Confounders: benign changes that look like attacks and should not raise an incident, or few of them."""

import re
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from tokenkit.bench.scenarios.calls import answered, calling, unused
from tokenkit.bench.scenarios.misuse import of_older_objects
from tokenkit.bench.scenarios.scenario import (
    DAY,
    Edited,
    Setting,
    added,
    at,
    changed,
    copies,
    count,
    from_network,
    neighbours,
    new_address,
    new_client,
    replaced,
    resized,
    scenario,
    spread,
    unchanged,
    until_the_end,
    usual,
    with_client,
)
from tokenkit.bench.scenarios.stolen import mostly_one_client, office_hours, used
from tokenkit.sources.fields import clients, operations

confounder = partial(scenario, kind="confounder", gradual=False)


def one_network_home(events: pd.DataFrame) -> bool:
    """Used, nine calls in ten from three networks at most, by an address: a service's token."""
    share = events.loc[events["src_ip"].notna(), "network"].value_counts(normalize=True)
    return used(events) and bool(len(share)) and float(share.iloc[:3].sum()) >= 0.9


def upgraded(user_agent: str) -> str:
    """The program in its next version, or the same where it names none.

    Examples
    --------
    >>> upgraded("okhttp/4.12.3"), upgraded("python-requests/2.31.0 linux"), upgraded("tool")
    ('okhttp/4.12.4', 'python-requests/2.31.1 linux', 'tool')
    """
    version = clients.client(user_agent)[1]
    if not version or not re.search(r"\d", version):
        return user_agent
    before, last, after = re.fullmatch(r"(.*?)(\d+)(\D*)", version, re.DOTALL).groups()  # type: ignore[union-attr]
    return user_agent.replace(version, f"{before}{int(last) + 1}{after}")


@confounder(
    1, "Deploy with an upgrade of the library", intensities=(0.0, 0.02, 0.05), unit="share of calls that are new ones",
    days=None, suits=mostly_one_client,
)  # fmt: skip
def deploy(events: pd.DataFrame, setting: Setting) -> Edited:
    """From the start on each program has its next version, and some of its calls are one that it never made."""
    rng = setting.rng
    rows = until_the_end(events, setting)
    rows = rows[rows["user_agent"].notna()]
    if not len(rows):
        return Edited(unchanged(events))
    agents = {agent: upgraded(agent) for agent in rows["user_agent"].unique()}
    moved = rows["user_agent"].map(agents) != rows["user_agent"]
    rows = changed(rows, user_agent=rows["user_agent"].map(agents), client_key=rows["client_key"].where(~moved, 0))
    others = rng.random(len(rows)) < setting.intensity
    if others.any():
        called = calling(rows[others], unused(events, setting, "list", 1), events, rng)
        rows = pd.concat([rows[~others], called]).sort_index()
    return replaced(events, rows)


@confounder(
    2, "Egress address of a service changed", intensities=(1.0,), unit="share of its calls", days=None,
    suits=one_network_home,
)  # fmt: skip
def egress_change(events: pd.DataFrame, setting: Setting) -> Edited:
    """From the start on all its calls come from a new network; nothing else changes."""
    return _from_elsewhere(events, setting, until_the_end(events, setting), "business")


@confounder(
    3, "Cloud region failed over", intensities=(6, 24, 72), unit="hours", days=3, suits=one_network_home,
)  # fmt: skip
def region_failover(events: pd.DataFrame, setting: Setting) -> Edited:
    """From its next call on, for some hours, all come from another hosting network; then from the usual one again."""
    begun = _from_next_call(events, setting)
    return _from_elsewhere(events, begun, until_the_end(events, begun, setting.intensity / 24), "hosting")


def _from_next_call(events: pd.DataFrame, setting: Setting) -> Setting:
    """The setting with the token's next call as its start: what is over before it does anything is no change."""
    ahead = until_the_end(events, setting)["time"]
    return replace(setting, start=ahead.min()) if len(ahead) else setting


def _from_elsewhere(events: pd.DataFrame, setting: Setting, rows: pd.DataFrame, kind: str) -> Edited:
    """The rows that have an address from a new network, with as many hosts as before."""
    rows = rows[rows["src_ip"].notna()]
    if not len(rows):
        return Edited(unchanged(events))
    hosts = sorted(rows["src_ip"].unique())
    there = dict(zip(hosts, neighbours(new_address(setting, kind), len(hosts), setting.rng), strict=True))
    moved = from_network(rows, list(there.values()))
    address = rows["src_ip"].map(there)
    return replaced(events, changed(moved, src_ip=address))


@confounder(
    4, "Key rotated: a new token, the same behaviour", intensities=(1,), unit="rotation", days=None, suits=used,
)  # fmt: skip
def key_rotation(events: pd.DataFrame, setting: Setting) -> Edited:
    """No event changes; from the start on they belong to a successor that the inventory links to the token."""
    return Edited(unchanged(events), rotated_at=setting.start)


@confounder(
    5, "Month-end batch", intensities=(2, 5), unit="times its usual calls of two days, on top of them", days=2,
    suits=used,
)  # fmt: skip
def month_end_batch(events: pd.DataFrame, setting: Setting) -> Edited:
    """In two days it does much more of the same: the same calls, at its usual hours."""
    return _more_of_the_same(events, setting, until_the_end(events, setting, 2), setting.intensity)


@confounder(
    6, "One-off backfill that its owner announced", intensities=(4, 9, 19), unit="times the usual day's calls, on top",
    days=1, suits=used,
)  # fmt: skip
def backfill(events: pd.DataFrame, setting: Setting) -> Edited:
    """Within twelve hours its own reads of older objects, many times a day's number."""
    rng = setting.rng
    own = usual(events, setting)
    pool = own[(own["activity_id"] == operations.READ).to_numpy(dtype=bool, na_value=False)]
    pool = pool if len(pool) else own
    a_day = float(own.groupby(own["time"].dt.floor("D")).size().median())
    n = int(np.clip(setting.intensity * a_day, 5, 20_000))
    rows = at(copies(pool, n, rng), spread(setting.start, 12, n, rng))
    return added(events, of_older_objects(rows, events, rng))


@confounder(
    7, "Organic growth", intensities=(0.1, 0.2, 0.4), unit="growth of its calls a month", days=None, suits=used,
)  # fmt: skip
def organic_growth(events: pd.DataFrame, setting: Setting) -> Edited:
    """From the start on it does more of the same each day, compounding."""
    own = until_the_end(events, setting)
    months = np.asarray((own["time"] - setting.start) / (30 * DAY), dtype=float)
    return _more_of_the_same(events, setting, own, (1 + setting.intensity) ** months - 1)


def _more_of_the_same(events: pd.DataFrame, setting: Setting, own: pd.DataFrame, share: float | np.ndarray) -> Edited:
    """Each of ``own`` again as often as ``share`` says (on average), within half an hour of it."""
    rng = setting.rng
    rows = own.loc[own.index.repeat(rng.poisson(np.broadcast_to(share, len(own))))]
    if not len(rows):
        return Edited(unchanged(events))
    later = rows["time"] + pd.to_timedelta(rng.integers(0, 1_800_000, len(rows)), unit="ms")
    rows = changed(rows, time=later)
    return added(events, resized(rows, rng.lognormal(0.0, 0.2, len(rows))))


@confounder(
    8, "Daylight saving: an hour's shift", intensities=(1.0,), unit="hours", days=None, suits=used,
)  # fmt: skip
def clock_shift(events: pd.DataFrame, setting: Setting) -> Edited:
    """From the next midnight (UTC) on all that it does comes an hour later, or an hour earlier."""
    midnight = (setting.start + pd.Timedelta("1h")).ceil("D")
    rows = events[(events["time"] >= midnight) & (events["time"] < setting.end)]
    hour = pd.Timedelta(hours=setting.intensity) * int(setting.rng.choice([-1, 1]))
    moved = changed(rows, time=rows["time"] + hour)
    moved = moved[(moved["time"] >= setting.start) & (moved["time"] < setting.end)]
    return replaced(events.drop(index=rows.index.difference(moved.index)), moved)


@confounder(
    9, "Holiday and return", intensities=(5, 10, 14), unit="days of silence", days=16, suits=used,
)  # fmt: skip
def holiday(events: pd.DataFrame, setting: Setting) -> Edited:
    """Some days without a call (its events go), then a day with half as many again as usual, to catch up."""
    back = setting.start + setting.intensity * DAY
    kept = events[(events["time"] < setting.start) | (events["time"] >= back)].reset_index(drop=True)
    return _more_of_the_same(kept, setting, kept[(kept["time"] >= back) & (kept["time"] < back + DAY)], 0.5)


LOAD_TOOLS = ("k6/0.49.0 (https://k6.io/)", "Apache-JMeter/5.6.3", "python-locust/2.23.1")


@confounder(
    10, "Load test from staging", intensities=(200, 800, 3000), unit="requests in two hours", days=2 / 24, suits=used,
)  # fmt: skip
def load_test(events: pd.DataFrame, setting: Setting) -> Edited:
    """A load tool makes its usual calls from another network of the organisation."""
    rng, n = setting.rng, count(setting)
    theirs = sorted(n for n in setting.networks - set(events["network"].dropna()) if re.fullmatch(r"[\d.]+\.0/24", n))
    staging = str(rng.choice(theirs)).replace(".0/24", ".17") if theirs else new_address(setting, "hosting")
    rows = at(copies(usual(events, setting), n, rng), spread(setting.start, 2, n, rng))
    return added(events, with_client(from_network(rows, staging), str(rng.choice(LOAD_TOOLS))))


@confounder(
    11, "New engineer on a shared token", intensities=(3, 8, 20), unit="calls a working day", days=None, suits=used,
)  # fmt: skip
def new_engineer(events: pd.DataFrame, setting: Setting) -> Edited:
    """On working days somebody else works with it too, to the end: from home, with another tool, some new calls."""
    rng = setting.rng
    tool = new_client(events, setting, ("curl/8.5.0", "HTTPie/3.2.2", "python-requests/2.31.0", "aws-cli/2.15.17"))
    home, others = new_address(setting, "home"), unused(events, setting, "list", 2)
    mornings = [office_hours(setting)]
    while mornings[-1] < setting.end - DAY:
        mornings.append(office_hours(replace(setting, start=mornings[-1] + pd.Timedelta("12h"))))
    calls = np.maximum(rng.poisson(setting.intensity, len(mornings)), 1)
    times = [spread(morning, 8, n, rng) for morning, n in zip(mornings, calls.tolist(), strict=True)]
    rows = at(copies(usual(events, setting), int(calls.sum()), rng), times[0].append(times[1:]))
    tried = rng.random(len(rows)) < 0.1
    rows = pd.concat([rows[~tried], calling(rows[tried], others, events, rng)])
    return added(events, with_client(from_network(rows, home), tool))


@confounder(
    12, "Retry storm after an outage", intensities=(2, 5, 10), unit="retries of each call", days=2 / 24, suits=used,
)  # fmt: skip
def retry_storm(events: pd.DataFrame, setting: Setting) -> Edited:
    """Half an hour of 503: each of its calls fails, and so do its retries; in the hour after they all succeed, late."""
    rng = setting.rng
    failed = until_the_end(events, _from_next_call(events, setting), 0.5 / 24)
    if failed.empty:
        return Edited(unchanged(events))
    retries = failed.loc[failed.index.repeat(count(setting))]
    soon = retries["time"] + pd.to_timedelta(rng.integers(500, 120_000, len(retries)), unit="ms")
    late = failed["time"] + pd.to_timedelta(rng.integers(1_800_000, 5_400_000, len(failed)), unit="ms")
    again = answered(changed(retries, time=soon), 503)
    kept = replaced(events, answered(failed, 503)).events
    return added(kept, again, changed(failed, time=late))
