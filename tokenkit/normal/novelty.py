"""Novelty: how surprising a network, a program, a call or an hour is for this profile, in bits.

Reads  activity_network, activity_client, activity_operation, fingerprint. Writes nothing of its own.
A value surprises less the more often this profile changes and the more peers use it: a laptop that travels and a
server that never moved are not judged alike. Only earlier days count, so a row never judges itself. Nothing is learned
from hours of confirmed misuse, so that a thief's network does not become known; what was seen in an accepted incident
is usual for its profile from then on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from tokenkit.config import Workspace
from tokenkit.normal.labelled_periods import LabelledPeriods, inside, shows_accepted_value
from tokenkit.store import engine, lake
from tokenkit.tokens.profiles import token_profiles

MAX_BITS = 40.0
USUAL_BITS = 3.0  # a value that one hour in eight shows says nothing; what was accepted is no more surprising than that
NEW_VERSION_FACTOR = 0.25  # of the bits, where only the version of a known program is new
KINDS = {"network": "network_key", "client": "client_key", "operation": "operation_key"}


@dataclass(frozen=True)
class FirstUses:
    """Which profile used which values from which day on: what makes a value common among others.

    ``values`` has one row a profile and value: ``profile_uid``, ``group`` (str), ``value``, ``day`` (int, since 1970);
    ``first_active`` one row a profile: ``group`` and ``day`` of its first activity.
    """

    values: pd.DataFrame
    first_active: pd.DataFrame


def first_uses(workspace: Workspace, groups: pd.Series, start: date, end: date) -> dict[str, FirstUses]:
    """The first uses of an organisation, by kind (``KINDS``): what profiles of another workspace are compared with."""
    mapped = token_profiles(workspace)
    by_kind = {}
    active: pd.DataFrame | None = None
    for kind, key in KINDS.items():
        uses = _uses(workspace, mapped, kind, key, start, end).assign(is_learned_from=1)
        active = _active(uses) if active is None else active
        daily = _daily(uses)
        by_kind[kind] = _first_uses(daily, daily["hours"] > 0, active, groups)
    return by_kind


def graded_hours(
    workspace: Workspace, groups: pd.Series, start: date, end: date, labelled: LabelledPeriods | None = None,
    compared_with: dict[str, FirstUses] | None = None, replaces: Mapping[str, str] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Every active hour: bits of its most surprising network, program and call, and of the hour of the week itself.

    Parameters
    ----------
    compared_with : first uses of the others, by kind (``first_uses``); None for the profiles of the workspace itself
    replaces : profile_uid to the profile of ``compared_with`` that it replaces, which is left out of its comparison

    Returns
    -------
    DataFrame, one row a profile and hour
        ``profile_uid``, ``start`` (datetime64[UTC]), ``requests``, ``network``, ``client``, ``operation``,
        ``hour_of_week`` (bits), ``moved`` (share of calls from networks never used before), ``new_networks`` (int).
    """
    mapped = token_profiles(workspace)
    labelled = labelled or LabelledPeriods()
    hours: pd.DataFrame | None = None
    active: pd.DataFrame | None = None
    for kind, key in KINDS.items():
        uses = _uses(workspace, mapped, kind, key, start, end)
        uses["is_learned_from"] = ~inside(uses, labelled.misuse)
        if hours is None:
            hours = uses.groupby(["profile_uid", "hour_s"], as_index=False)["requests"].sum()
            active = _active(hours.assign(is_learned_from=~inside(hours, labelled.misuse)))
        assert active is not None
        others = (compared_with[kind], replaces or {}) if compared_with else None
        best = _hour_bits(workspace, uses, active, groups, kind, labelled, others)
        hours = hours.merge(best, on=["profile_uid", "hour_s"], how="outer" if kind == "operation" else "left")
    assert hours is not None
    hours = hours.fillna(
        {"network": 0.0, "client": 0.0, "operation": 0.0, "moved": 0.0, "new_networks": 0, "requests": 0}
    )
    hours["start"] = pd.to_datetime(hours["hour_s"], unit="s", utc=True)
    hours["is_learned_from"] = ~inside(hours, labelled.misuse)  # of all hours: some have calls and no network
    graded = hour_of_week(hours[["profile_uid", "start", "is_learned_from"]]).rename(columns={"bits": "hour_of_week"})
    graded, hours = graded.drop(columns="is_learned_from"), hours.drop(columns="is_learned_from")
    hours = hours.merge(graded, on=["profile_uid", "start"], how="left")
    slot = hours["start"].dt.hour + 24 * (hours["start"].dt.day_of_week >= 5)
    usual = shows_accepted_value(hours.assign(value=slot), labelled.accepted)
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


def _active(hours: pd.DataFrame) -> pd.DataFrame:
    """Profile x day: in how many hours that count it was active."""
    each = hours.groupby(["profile_uid", "hour_s"], as_index=False)["is_learned_from"].max()
    day = pd.to_datetime(each["hour_s"] // 86400, unit="D")
    return each.assign(day=day).groupby(["profile_uid", "day"])["is_learned_from"].sum().rename("hours").reset_index()


def _daily(uses: pd.DataFrame) -> pd.DataFrame:
    """Profile x day x value: in how many hours that count."""
    day = pd.to_datetime(uses["hour_s"] // 86400, unit="D")
    by = uses.assign(day=day).groupby(["profile_uid", "day", "value"])
    return by["is_learned_from"].sum().rename("hours").reset_index()


def _hour_bits(
    workspace: Workspace, uses: pd.DataFrame, active: pd.DataFrame, groups: pd.Series, kind: str,
    labelled: LabelledPeriods, others: tuple[FirstUses, Mapping[str, str]] | None,
) -> pd.DataFrame:  # fmt: skip
    """Per profile and hour, the bits of its most surprising value of one kind."""
    uses = uses.assign(day=pd.to_datetime(uses["hour_s"] // 86400, unit="D"))
    graded = novelty(_daily(uses), active, groups, others)
    if kind == "client":
        graded = _weigh_new_versions(workspace, graded)
    uses = uses.merge(
        graded[["profile_uid", "day", "value", "bits", "hours_before"]], on=["profile_uid", "day", "value"]
    )
    usual = shows_accepted_value(uses, labelled.accepted)
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


def _weigh_new_versions(workspace: Workspace, graded: pd.DataFrame) -> pd.DataFrame:
    """Weigh down programs of which only the version is new to the profile."""
    families = lake.read(workspace.lake, "dim_client").to_pandas().set_index("client_key")["family_key"]
    graded = graded.assign(family=graded["value"].map(families).fillna(0))
    learned = graded["day"].where(graded["hours"] > 0)
    first_of_family = learned.groupby([graded["profile_uid"], graded["family"]]).transform("min")
    known = (first_of_family < graded["day"]) & (graded["hours_before"] == 0)
    return graded.assign(bits=graded["bits"].where(~known, graded["bits"] * NEW_VERSION_FACTOR))


def novelty(
    uses: pd.DataFrame, active_hours: pd.DataFrame, groups: pd.Series,
    others: tuple[FirstUses, Mapping[str, str]] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """How surprising each value (network, program, operation) is for its profile on that day, in bits.

    Parameters
    ----------
    uses : DataFrame, one row a profile, day and value
        ``profile_uid``, ``day`` (datetime64), ``value`` (int64), ``hours`` (int: hours of that day with it that count
        for later days; a row of none is graded and counts for nothing).
    active_hours : DataFrame, one row a profile and day
        ``profile_uid``, ``day``, ``hours``.
    groups : peer group by profile_uid
    others : the first uses that the profiles are compared with, and whom of them each replaces; None for themselves

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
    p_org = (others + 0.5) / (organisation + 1) (docs/method/baseline.md).
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
    known, replaces = others or (_first_uses(uses, first_use, active, groups), {})
    peers, everyone_else, size, everyone = _who_else(uses, groups, known, replaces)
    p_org = (everyone_else + 0.5) / (everyone + 1.0)
    p_peer = (peers + 20 * p_org) / (size + 20.0)
    a = (values + 1.0) / (np.log1p(n) + 0.3)
    p = (before + a * p_peer) / (n + a)
    return uses.assign(bits=np.minimum(-np.log2(p), MAX_BITS), hours_before=before, peers_before=peers.astype("int64"))


def _first_uses(
    uses: pd.DataFrame, counts: pd.Series | np.ndarray, active: pd.DataFrame, groups: pd.Series
) -> FirstUses:
    """The first uses among some daily uses, of which those that ``counts`` marks make a value known."""
    values = uses[counts].groupby(["profile_uid", "value"], sort=False)["day"].min().reset_index()
    first_active = active[active["hours"] > 0].groupby("profile_uid")["day"].min().rename("day").reset_index()
    for frame in (values, first_active):
        frame["day"] = _number(frame["day"])
        frame["group"] = frame["profile_uid"].map(groups)
    return FirstUses(values, first_active)


def _number(day: pd.Series) -> pd.Series:
    return (day - pd.Timestamp("1970-01-01")).dt.days


def _who_else(
    uses: pd.DataFrame, groups: pd.Series, others: FirstUses, replaces: Mapping[str, str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """For each row: of its group and of all, how many others used the value on an earlier day; and how many there were.

    A profile counts neither for itself nor for the one that replaces it.
    """
    day = _number(uses["day"]).to_numpy()
    group, value = uses["profile_uid"].map(groups), uses["value"]
    who = uses["profile_uid"].map(lambda uid: replaces.get(uid, uid)) if replaces else uses["profile_uid"]
    own = pd.DataFrame({"profile_uid": who, "value": value}).merge(
        others.values[["profile_uid", "value", "day"]], how="left", on=["profile_uid", "value"]
    )
    known = (own["day"].to_numpy() < day).astype("int64")  # NaN, never used, is smaller than nothing
    first, active = others.values, others.first_active
    peers = _earlier([group, value], [first["group"], first["value"]], first["day"], day) - known
    everyone_else = _earlier([value], [first["value"]], first["day"], day) - known
    size = _earlier([group], [active["group"]], active["day"], day) - 1
    everyone = np.searchsorted(np.sort(active["day"].to_numpy()), day)
    return peers, everyone_else, np.maximum(size, 0), everyone


def _earlier(rows: list[pd.Series], others: list[pd.Series], first_day: pd.Series, day: np.ndarray) -> np.ndarray:
    """For each row, how many of ``others`` with the same values have a day before its own."""
    n, code = len(day), np.zeros(len(day) + len(first_day), dtype=np.int64)
    for mine, theirs in zip(rows, others, strict=True):
        part, distinct = pd.factorize(pd.concat([mine, theirs], ignore_index=True))
        code = code * (len(distinct) + 1) + part + 1
    code = pd.factorize(code)[0].astype(np.int64)
    step = int(max(day.max(initial=0), first_day.max() if len(first_day) else 0)) + 2
    keys = np.sort(code[n:] * step + first_day.to_numpy())
    return np.searchsorted(keys, code[:n] * step + day) - np.searchsorted(keys, code[:n] * step)


def hour_of_week(hours: pd.DataFrame) -> pd.DataFrame:
    """How surprising it is that a profile is active in that hour, in bits, from the days before.

    Parameters
    ----------
    hours : DataFrame, one row a profile and active hour: ``profile_uid``, ``start`` (datetime64[UTC]), and, where some
        hours count for nothing, ``is_learned_from`` (bool)

    Returns
    -------
    ``hours`` with ``bits``: -log2 of the share of earlier days of that kind (weekday, weekend) active in that hour,
    (days with it + 0.4) / (days + 2).
    """
    hours = hours.sort_values(["profile_uid", "start"]).reset_index(drop=True)
    day = hours["start"].dt.normalize()
    weekend = day.dt.day_of_week >= 5
    learned = hours["is_learned_from"].astype("int64") if "is_learned_from" in hours else pd.Series(1, hours.index)
    slot = [hours["profile_uid"], weekend.rename("weekend"), hours["start"].dt.hour.rename("hour")]
    with_it = learned.groupby(slot).cumsum() - learned
    first = day.where(learned > 0).groupby(hours["profile_uid"]).transform("min").fillna(day)
    first = first.where(first < day, day)  # before the first day that counts no day has passed
    passed = _days_of_kind(first.dt.tz_localize(None), day.dt.tz_localize(None), weekend.to_numpy())
    p = (with_it.to_numpy() + 0.4) / (passed + 2.0)
    return hours.assign(bits=np.maximum(-np.log2(np.minimum(p, 1.0)), 0.0))


def _days_of_kind(first: pd.Series, day: pd.Series, weekend: np.ndarray) -> np.ndarray:
    a, b = first.to_numpy().astype("datetime64[D]"), day.to_numpy().astype("datetime64[D]")
    weekdays = np.busday_count(a, b)
    return np.where(weekend, (b - a).astype(int) - weekdays, weekdays)
