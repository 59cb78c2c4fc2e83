"""Novelty: how surprising a network, a program, a call or an hour is for this profile, in bits.

Reads  activity_network, activity_client, activity_operation, fingerprint. Writes nothing of its own.
A value is as surprising as the profile's own habit of changing makes it, and the peers' use of it: a laptop that
travels and a server that never moved are not judged alike. Only earlier days count, so a row never judges itself.
Hours of confirmed misuse count for nothing, so that a thief's network does not become known; what was seen in an
accepted incident is usual for its profile from then on.
"""

from datetime import date

import numpy as np
import pandas as pd

from tokenkit import engine, fingerprint, lake
from tokenkit.answers import Answers, accepted, inside
from tokenkit.config import Workspace

MAX_BITS = 40.0
USUAL_BITS = 3.0  # a value that one hour in eight shows says nothing; what was accepted is no more surprising than that
VERSION_BUMP = 0.25  # of the bits, where only the version of a known program is new (DETECTION.md, 7)
KINDS = {"network": "network_key", "client": "client_key", "operation": "operation_key"}


def graded_hours(
    workspace: Workspace, groups: pd.Series, start: date, end: date, answers: Answers | None = None
) -> pd.DataFrame:
    """Every active hour of every profile, with the bits of its most surprising network, program and call, and its own.

    Returns
    -------
    DataFrame, one row a profile and hour
        ``profile_uid``, ``start`` (datetime64[UTC]), ``requests``, ``network``, ``client``, ``operation``,
        ``hour_of_week`` (bits), ``moved`` (share of calls from networks never used before), ``new_networks`` (int).
    """
    mapped = fingerprint.profiles(workspace)
    answers = answers or Answers()
    hours: pd.DataFrame | None = None
    active: pd.DataFrame | None = None
    for kind, key in KINDS.items():
        uses = _uses(workspace, mapped, kind, key, start, end)
        uses["teaches"] = ~inside(uses, answers.kept_out)
        if hours is None:
            hours = uses.groupby(["profile_uid", "hour_s"], as_index=False)["requests"].sum()
            day = pd.to_datetime(hours["hour_s"] // 86400, unit="D")
            teaches = ~inside(hours, answers.kept_out)
            counted = hours.assign(day=day, teaches=teaches).groupby(["profile_uid", "day"])["teaches"].sum()
            active = counted.rename("hours").reset_index()
        assert active is not None
        best = _hour_bits(workspace, uses, active, groups, kind, answers)
        hours = hours.merge(best, on=["profile_uid", "hour_s"], how="outer" if kind == "operation" else "left")
    assert hours is not None
    hours = hours.fillna(
        {"network": 0.0, "client": 0.0, "operation": 0.0, "moved": 0.0, "new_networks": 0, "requests": 0}
    )
    hours["start"] = pd.to_datetime(hours["hour_s"], unit="s", utc=True)
    hours["teaches"] = ~inside(hours, answers.kept_out)  # of all hours: some have calls and no network
    graded = hour_of_week(hours[["profile_uid", "start", "teaches"]]).rename(columns={"bits": "hour_of_week"})
    hours = hours.drop(columns="teaches").merge(graded.drop(columns="teaches"), on=["profile_uid", "start"], how="left")
    slot = hours["start"].dt.hour + 24 * (hours["start"].dt.day_of_week >= 5)
    usual = accepted(hours.assign(value=slot), answers.accepted)
    hours["hour_of_week"] = hours["hour_of_week"].mask(usual, hours["hour_of_week"].clip(upper=USUAL_BITS))
    return hours.drop(columns="hour_s")


def _uses(workspace: Workspace, mapped: pd.DataFrame, kind: str, key: str, start: date, end: date) -> pd.DataFrame:
    """Profile x hour x value: calls."""
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        connection.register("profiles", mapped[["token_key", "profile_uid"]])
        lake.scan(connection, workspace.lake, f"activity_{kind}", start, end).create_view("uses")
        return connection.sql(
            f"select profile_uid, hour_s, {key} as value, sum(requests)::bigint as requests from uses"
            " join profiles using (token_key) group by all order by all"
        ).df()


def _hour_bits(
    workspace: Workspace, uses: pd.DataFrame, active: pd.DataFrame, groups: pd.Series, kind: str, answers: Answers
) -> pd.DataFrame:
    """Per profile and hour, the bits of its most surprising value of one kind."""
    uses = uses.assign(day=pd.to_datetime(uses["hour_s"] // 86400, unit="D"))
    daily = uses.groupby(["profile_uid", "day", "value"])["teaches"].sum().rename("hours").reset_index()
    graded = novelty(daily, active, groups)
    if kind == "client":
        graded = _version_bumps(workspace, graded)
    uses = uses.merge(
        graded[["profile_uid", "day", "value", "bits", "hours_before"]], on=["profile_uid", "day", "value"]
    )
    usual = accepted(uses, answers.accepted)
    uses["bits"] = uses["bits"].mask(usual, uses["bits"].clip(upper=USUAL_BITS))
    uses["fresh"] = (uses["hours_before"] == 0) & ~usual
    uses["fresh_requests"] = uses["requests"].where(uses["fresh"], 0)
    best = uses.groupby(["profile_uid", "hour_s"], as_index=False).agg(
        bits=("bits", "max"), fresh=("fresh", "sum"), fresh_requests=("fresh_requests", "sum"), all=("requests", "sum")
    )
    best = best.rename(columns={"bits": kind})
    if kind == "network":
        best["moved"] = best["fresh_requests"] / best["all"].clip(lower=1)
        best["new_networks"] = best["fresh"].astype("int64")
    return best.drop(columns=["fresh", "fresh_requests", "all"])


def _version_bumps(workspace: Workspace, graded: pd.DataFrame) -> pd.DataFrame:
    """Weigh down programs of which only the version is new to the profile."""
    families = lake.read(workspace.lake, "dim_client").to_pandas().set_index("client_key")["family_key"]
    graded = graded.assign(family=graded["value"].map(families).fillna(0))
    learned = graded["day"].where(graded["hours"] > 0)
    first_of_family = learned.groupby([graded["profile_uid"], graded["family"]]).transform("min")
    known = (first_of_family < graded["day"]) & (graded["hours_before"] == 0)
    return graded.assign(bits=graded["bits"].where(~known, graded["bits"] * VERSION_BUMP))


def novelty(uses: pd.DataFrame, active_hours: pd.DataFrame, groups: pd.Series) -> pd.DataFrame:
    """How surprising each value (network, program, operation) is for its profile on that day, in bits.

    Parameters
    ----------
    uses : DataFrame, one row a profile, day and value
        ``profile_uid``, ``day`` (datetime64), ``value`` (int64), ``hours`` (int: hours of that day with it that count
        for later days; a row of none is graded and counts for nothing).
    active_hours : DataFrame, one row a profile and day
        ``profile_uid``, ``day``, ``hours``.
    groups : peer group by profile_uid

    Returns
    -------
    ``uses`` with ``bits`` (float), ``hours_before`` (int: earlier hours with the value),
    ``peers_before`` (int: others of
    its group that used it on an earlier day).

    Notes
    -----
    p = (hours with it + a p_peer) / (active hours + a), over the days before. The concentration a is that of a Chinese
    restaurant process with as many tables as the profile has had values: a = (values + 1) / (ln(1 + hours) + 0.3); so a
    profile that often shows new values is surprised less by one. p_peer = (peers + 20 p_org) / (group + 20) and
    p_org = (others + 0.5) / (organisation + 1) (DETECTION.md, 7, with a fixed at 10 there).
    """
    uses = uses.sort_values(["profile_uid", "value", "day"]).reset_index(drop=True)
    by_value = uses.groupby(["profile_uid", "value"], sort=False)
    before = (by_value["hours"].cumsum() - uses["hours"]).to_numpy()
    first_use = (before == 0) & (uses["hours"].to_numpy() > 0)
    active = active_hours.sort_values(["profile_uid", "day"])
    active = active.assign(n=active.groupby("profile_uid")["hours"].cumsum() - active["hours"])
    fresh = uses[first_use].groupby(["profile_uid", "day"]).size().rename("new").reset_index()
    active = active.merge(fresh, on=["profile_uid", "day"], how="left").fillna({"new": 0})
    active["values"] = active.groupby("profile_uid")["new"].cumsum() - active["new"]
    context = uses[["profile_uid", "day"]].merge(active[["profile_uid", "day", "n", "values"]], how="left")
    n, values = context["n"].to_numpy(), context["values"].to_numpy()
    group = pd.factorize(uses["profile_uid"].map(groups), sort=True)[0]
    value = pd.factorize(uses["value"], sort=True)[0]
    day = (uses["day"] - pd.Timestamp("1970-01-01")).dt.days.to_numpy()
    known = before > 0
    peers = _earlier_users(group * (value.max() + 1) + value, day, first_use) - known if len(uses) else before
    others = _earlier_users(value, day, first_use) - known if len(uses) else before
    size, everyone = _known_profiles(active, groups, group, day)
    p_org = (others + 0.5) / (everyone + 1.0)
    p_peer = (peers + 20 * p_org) / (size + 20.0)
    a = (values + 1.0) / (np.log1p(n) + 0.3)
    p = (before + a * p_peer) / (n + a)
    return uses.assign(bits=np.minimum(-np.log2(p), MAX_BITS), hours_before=before, peers_before=peers.astype("int64"))


def _known_profiles(
    active: pd.DataFrame, groups: pd.Series, group: np.ndarray, day: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """For each row, how many others of its group, and of all, were active on an earlier day."""
    first = active[active["hours"] > 0].groupby("profile_uid")["day"].min()
    started = (first - pd.Timestamp("1970-01-01")).dt.days.to_numpy()
    codes = {name: code for code, name in enumerate(sorted(set(groups.loc[active["profile_uid"].unique()])))}
    theirs = groups.loc[first.index].map(codes).to_numpy()
    step = int(max(day.max(initial=0), started.max(initial=0))) + 2
    firsts = np.sort(theirs.astype(np.int64) * step + started)
    low = np.searchsorted(firsts, group.astype(np.int64) * step)
    size = np.searchsorted(firsts, group.astype(np.int64) * step + day) - low
    everyone = np.searchsorted(np.sort(started), day)
    return np.maximum(size - 1, 0), everyone


def _earlier_users(key: np.ndarray, day: np.ndarray, first_use: np.ndarray) -> np.ndarray:
    """For each row, how many profiles used the same key on an earlier day."""
    step = int(day.max()) + 2
    firsts = np.sort(key[first_use].astype(np.int64) * step + day[first_use])
    low = np.searchsorted(firsts, key.astype(np.int64) * step)
    return np.searchsorted(firsts, key.astype(np.int64) * step + day) - low


def hour_of_week(hours: pd.DataFrame) -> pd.DataFrame:
    """How surprising it is that a profile is active in that hour, in bits, from the days before.

    Parameters
    ----------
    hours : DataFrame, one row a profile and active hour: ``profile_uid``, ``start`` (datetime64[UTC]), and, where some
        hours count for nothing, ``teaches`` (bool)

    Returns
    -------
    ``hours`` with ``bits``: -log2 of the share of earlier days of that kind (weekday, weekend) active in that hour,
    (days with it + 0.4) / (days + 2).
    """
    hours = hours.sort_values(["profile_uid", "start"]).reset_index(drop=True)
    day = hours["start"].dt.normalize()
    weekend = day.dt.day_of_week >= 5
    teaches = hours["teaches"].astype("int64") if "teaches" in hours else pd.Series(1, index=hours.index)
    slot = [hours["profile_uid"], weekend.rename("weekend"), hours["start"].dt.hour.rename("hour")]
    with_it = teaches.groupby(slot).cumsum() - teaches
    first = day.where(teaches > 0).groupby(hours["profile_uid"]).transform("min").fillna(day)
    first = first.where(first < day, day)  # before the first day that counts no day has passed
    passed = _days_of_kind(first.dt.tz_localize(None), day.dt.tz_localize(None), weekend.to_numpy())
    p = (with_it.to_numpy() + 0.4) / (passed + 2.0)
    return hours.assign(bits=np.maximum(-np.log2(np.minimum(p, 1.0)), 0.0))


def _days_of_kind(first: pd.Series, day: pd.Series, weekend: np.ndarray) -> np.ndarray:
    a, b = first.to_numpy().astype("datetime64[D]"), day.to_numpy().astype("datetime64[D]")
    weekdays = np.busday_count(a, b)
    return np.where(weekend, (b - a).astype(int) - weekdays, weekdays)
