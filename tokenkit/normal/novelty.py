"""Novelty: how surprising a network, a program, a call or an hour is for this profile, in bits.

Reads  activity_hour, activity_network, activity_client, activity_operation. Writes nothing of its own.
A new value surprises less the more often this profile lately showed new ones and the more peers use it: a laptop that
travels and a server that never moved are not judged alike. A profile that goes on as ever has the same bits in a year
(``new_value_rate``). Only earlier days count, so a row never judges itself. Nothing is learned from hours of confirmed
misuse, so that a thief's network does not become known; what was seen in an accepted incident is usual for its profile
from then on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from tokenkit.config import Workspace
from tokenkit.normal import network_classes
from tokenkit.normal.labelled_periods import LabelledPeriods, inside, shows_accepted_value
from tokenkit.normal.new_value_rate import WINDOW_DAYS, lately, new_value_rate
from tokenkit.store import engine, lake
from tokenkit.tokens.profiles import token_profiles

USUAL_BITS = 3.0  # a value that one day in eight shows says nothing; what was accepted is no more surprising than that
KINDS = {"network": "network_key", "client": "client_key", "operation": "operation_key"}
RARITY = ("new", "rare", "unique")  # of a new value: any; one that few of the peers use; one that nobody else uses
COMMON_SHARE = 0.05  # of the peers have used a value that is not rare
ODDITY = ("odd", "far")  # of an hour: lately never active within an hour of it; within three hours of it


@dataclass(frozen=True)
class FirstUses:
    """Which profile used which values from which day on: what makes a value common among others.

    ``values`` has one row a profile and value: ``profile_uid``, ``group`` (str), ``value``, ``day`` (int, since 1970);
    ``first_active`` one row a profile: ``group`` and ``day`` of its first activity; ``new_days`` one row a profile and
    active day: ``profile_uid``, ``group``, ``day``, and whether it had a new value of each rarity (``RARITY``).
    """

    values: pd.DataFrame
    first_active: pd.DataFrame
    new_days: pd.DataFrame


@dataclass(frozen=True)
class Others:
    """An organisation, with which profiles are compared: its first uses by kind (``KINDS``), and its odd hours.

    ``odd_days`` has one row a profile and active day: ``profile_uid``, ``group``, ``day`` (int, since 1970), and
    whether it had an hour of each oddity (``ODDITY``).
    """

    first_uses: dict[str, FirstUses]
    odd_days: pd.DataFrame


def others(workspace: Workspace, groups: pd.Series, start: date, end: date) -> Others:
    """An organisation, for ``graded_hours`` of profiles that another workspace has."""
    mapped = token_profiles(workspace)
    hours = _hours(workspace, mapped, start, end).assign(is_learned_from=True)
    active = _active(hours)
    by_kind = {}
    for kind, key in KINDS.items():
        uses = _uses(workspace, mapped, kind, key, start, end).assign(is_learned_from=True)
        by_kind[kind] = first_uses(_daily(uses), active, groups, _families(workspace, kind))
        if kind == "network" and (classes := network_classes.read(workspace)) is not None:
            by_kind["network_class"] = first_uses(_daily(network_classes.uses(uses, classes)), active, groups)
    at = hours.assign(start=pd.to_datetime(hours["hour_s"], unit="s", utc=True))
    return Others(by_kind, _odd_days(_oddity(at), groups))


def graded_hours(
    workspace: Workspace, groups: pd.Series, start: date, end: date, labelled: LabelledPeriods | None = None,
    compared_with: Others | None = None, replaces: Mapping[str, str] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Every active hour: bits of its most surprising network, program and call, and of the hour of the week itself.

    Parameters
    ----------
    compared_with : whom the profiles are compared with (``others``); None for the profiles of the workspace itself
    replaces : profile_uid to the profile of ``compared_with`` that it replaces, which is left out of its comparison

    Returns
    -------
    DataFrame, one row a profile and hour
        ``profile_uid``, ``start`` (datetime64[UTC]), ``requests``, ``network``, ``client``, ``operation``,
        ``hour_of_week`` (bits), ``moved`` (share of calls from networks never used before), ``new_networks`` (int).
    """
    mapped = token_profiles(workspace)
    labelled = labelled or LabelledPeriods()
    hours = _hours(workspace, mapped, start, end)
    hours["is_learned_from"] = ~inside(hours, labelled.misuse)
    active = _active(hours)
    for kind, key in KINDS.items():
        uses = _uses(workspace, mapped, kind, key, start, end)
        uses["is_learned_from"] = ~inside(uses, labelled.misuse)
        known = compared_with.first_uses[kind] if compared_with else None
        families = _families(workspace, kind)
        graded = novelty(_daily(uses), active, groups, families, known, replaces)
        if kind == "network" and (classes := network_classes.read(workspace)) is not None:
            known = compared_with.first_uses.get("network_class") if compared_with else None
            new = novelty(_daily(network_classes.uses(uses, classes)), active, groups, None, known, replaces)
            graded = network_classes.at_least_class(graded, new, classes)
        best = _hour_bits(uses, graded, kind, labelled)
        hours = hours.merge(best, on=["profile_uid", "hour_s"], how="left")
    hours = hours.fillna({"network": 0.0, "client": 0.0, "operation": 0.0, "moved": 0.0, "new_networks": 0})
    hours["start"] = pd.to_datetime(hours["hour_s"], unit="s", utc=True)
    odd_days = compared_with.odd_days if compared_with else None
    graded = hour_of_week(hours[["profile_uid", "start", "is_learned_from"]], groups, odd_days, replaces)
    hours = hours.merge(
        graded[["profile_uid", "start", "bits"]].rename(columns={"bits": "hour_of_week"}), on=["profile_uid", "start"]
    )
    slot = hours["start"].dt.hour + 24 * (hours["start"].dt.day_of_week >= 5)
    usual = shows_accepted_value(hours.assign(value=slot), labelled.accepted)
    hours["hour_of_week"] = hours["hour_of_week"].mask(usual, hours["hour_of_week"].clip(upper=USUAL_BITS))
    return hours.drop(columns=["hour_s", "is_learned_from"])


def _hours(workspace: Workspace, mapped: pd.DataFrame, start: date, end: date) -> pd.DataFrame:
    """Profile x active hour: calls."""
    return _read(workspace, mapped, "activity_hour", "hour_s", start, end)


def _uses(workspace: Workspace, mapped: pd.DataFrame, kind: str, key: str, start: date, end: date) -> pd.DataFrame:
    """Profile x hour x value: calls."""
    return _read(workspace, mapped, f"activity_{kind}", f"hour_s, {key} as value", start, end)


def _read(
    workspace: Workspace, mapped: pd.DataFrame, table: str, columns: str, start: date, end: date
) -> pd.DataFrame:  # fmt: skip
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        connection.register("profiles", mapped[["token_key", "profile_uid"]])
        lake.scan(connection, workspace.lake, table, start, end).create_view("uses")
        return connection.sql(
            f"select profile_uid, {columns}, sum(requests)::bigint as requests from uses"
            " join profiles using (token_key) group by all order by all"
        ).df()


def _active(hours: pd.DataFrame) -> pd.DataFrame:
    """Profile x day with an hour that counts."""
    learned = hours[hours["is_learned_from"].to_numpy(dtype=bool)]
    return learned[["profile_uid"]].assign(day=learned["hour_s"] // 86400).drop_duplicates(ignore_index=True)


def _daily(uses: pd.DataFrame) -> pd.DataFrame:
    """Profile x day x value: in how many hours that count."""
    by = uses.assign(day=uses["hour_s"] // 86400).groupby(["profile_uid", "day", "value"])
    return by["is_learned_from"].sum().astype("int64").rename("hours").reset_index()


def _families(workspace: Workspace, kind: str) -> pd.Series | None:
    """Of programs, the family of each: the same program in another version is not as new as another program."""
    if kind != "client":
        return None
    return lake.read(workspace.lake, "dim_client").to_pandas().set_index("client_key")["family_key"]


def _hour_bits(uses: pd.DataFrame, graded: pd.DataFrame, kind: str, labelled: LabelledPeriods) -> pd.DataFrame:
    """Per profile and hour, the bits of its most surprising value of one kind."""
    uses = uses.assign(day=uses["hour_s"] // 86400)
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


def novelty(
    uses: pd.DataFrame, active: pd.DataFrame, groups: pd.Series, families: pd.Series | None = None,
    compared_with: FirstUses | None = None, replaces: Mapping[str, str] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """How surprising each value (network, program, operation) is for its profile on that day, in bits.

    Parameters
    ----------
    uses : DataFrame, one row a profile, day and value
        ``profile_uid``, ``day`` (int, since 1970), ``value`` (int64), ``hours`` (int: hours of that day with it that
        count for later days; a row of none is graded and counts for nothing).
    active : DataFrame, one row a profile and active day that counts: ``profile_uid``, ``day``
    groups : peer group by profile_uid
    families : of each value; a new value of a family that the profile knows is as little surprising as one of its peers
    compared_with : the first uses of others; None for those of the profiles themselves
    replaces : whom of ``compared_with`` each profile replaces

    Returns
    -------
    ``uses`` with ``bits`` (float), ``hours_before`` (int: earlier hours with the value),
    ``peers_before`` (int: others of its group that used it on an earlier day).

    Notes
    -----
    A new value has -log2 r bits: r is the share of active days on which the profile lately showed a new value that is
    as rare or rarer (``new_value_rate``; ``RARITY``). A known one has -log2 of (k + 1) / (d + 2): of the d active days
    in the last 28 it was used on k (docs/method/baseline.md). On a profile's first active day everything is new: it has
    no bits, and tells no rate.
    """
    uses = _with_past(uses, families)
    values, first_active = (
        (compared_with.values, compared_with.first_active) if compared_with else _first(uses, active, groups)
    )
    uses = _with_rarity(uses, groups, values, first_active, replaces or {})
    own_days = _new_days(uses, active, groups)
    rates = _rates(uses, groups, own_days, compared_with.new_days if compared_with else own_days, replaces)
    is_new = (uses["hours_before"] == 0).to_numpy()
    p = np.where(is_new, rates[np.arange(len(uses)), uses["rarity"]], _share_of_days(uses, active))
    p = np.where(_has_past(uses, active), p, 1.0)
    return uses.assign(bits=-np.log2(p)).drop(columns=["rarity", "is_version"])


def _has_past(rows: pd.DataFrame, active: pd.DataFrame) -> np.ndarray:
    """Whether a profile had an active day that counts before the ``day`` of each row (bool)."""
    first = active.groupby("profile_uid")["day"].min()
    return (rows["profile_uid"].map(first) < rows["day"]).to_numpy()


def _rates(
    uses: pd.DataFrame, groups: pd.Series, own_days: pd.DataFrame, others_days: pd.DataFrame,
    replaces: Mapping[str, str] | None,
) -> np.ndarray:  # fmt: skip
    """Of each use, the rates at which its profile lately showed new values (use x ``RARITY``)."""
    by_day = uses.groupby(["profile_uid", "day"], sort=True)
    days = by_day.size().index.to_frame(index=False)
    days["group"] = days["profile_uid"].map(groups)
    return new_value_rate(days, own_days, others_days, RARITY, replaces)[by_day.ngroup()]


def _with_past(uses: pd.DataFrame, families: pd.Series | None) -> pd.DataFrame:
    """The uses with ``hours_before`` and ``is_version``: whether the profile knew another value of the family."""
    uses = uses.sort_values(["profile_uid", "value", "day"]).reset_index(drop=True)
    by_value = uses.groupby(["profile_uid", "value"], sort=False)
    uses = uses.assign(hours_before=by_value["hours"].cumsum() - uses["hours"])
    if families is None:
        return uses.assign(is_version=False)
    family = uses["value"].map(families).fillna(0)
    learned = uses["day"].where(uses["hours"] > 0)
    first = learned.groupby([uses["profile_uid"], family]).transform("min")
    return uses.assign(is_version=(first < uses["day"]).to_numpy())


def _share_of_days(uses: pd.DataFrame, active: pd.DataFrame) -> np.ndarray:
    """On what share of its active days of the last 28 a profile used each value."""
    counted = uses[uses["hours"] > 0]
    names = [counted["profile_uid"], uses["profile_uid"]]
    code, _ = pd.factorize(pd.concat(names, ignore_index=True))
    value, distinct = pd.factorize(pd.concat([counted["value"], uses["value"]], ignore_index=True))
    pair = pd.Series(code.astype(np.int64) * (len(distinct) + 1) + value)
    day, one = uses["day"].to_numpy(), np.ones((len(counted), 1))
    with_it = lately(pair[: len(counted)], counted["day"].to_numpy(), one, pair[len(counted) :], day)
    of = lately(active["profile_uid"], active["day"].to_numpy(), np.ones((len(active), 1)), uses["profile_uid"], day)
    return ((with_it + 1.0) / (of + 2.0))[:, 0]


def first_uses(
    uses: pd.DataFrame, active: pd.DataFrame, groups: pd.Series, families: pd.Series | None = None
) -> FirstUses:  # fmt: skip
    """The first uses of an organisation, from what ``novelty`` takes."""
    uses = _with_past(uses, families)
    values, first_active = _first(uses, active, groups)
    return FirstUses(
        values, first_active, _new_days(_with_rarity(uses, groups, values, first_active, {}), active, groups)
    )


def _first(uses: pd.DataFrame, active: pd.DataFrame, groups: pd.Series) -> tuple[pd.DataFrame, pd.DataFrame]:
    """``values`` and ``first_active`` of ``FirstUses``."""
    values = uses[uses["hours"] > 0].groupby(["profile_uid", "value"], sort=False)["day"].min().reset_index()
    first_active = active.groupby("profile_uid")["day"].min().reset_index()
    for frame in (values, first_active):
        frame["group"] = frame["profile_uid"].map(groups)
    return values, first_active


def _with_rarity(
    uses: pd.DataFrame, groups: pd.Series, values: pd.DataFrame, first_active: pd.DataFrame,
    replaces: Mapping[str, str],
) -> pd.DataFrame:  # fmt: skip
    """The uses with ``peers_before`` and ``rarity``: an index into ``RARITY``, were the value new."""
    peers, everyone_else, size = _who_else(uses, groups, values, first_active, replaces)
    common = uses["is_version"].to_numpy() | (peers > COMMON_SHARE * size)
    rarity = np.select([common, everyone_else > 0], [0, 1], 2)
    return uses.assign(peers_before=peers.astype("int64"), rarity=rarity)


def _new_days(uses: pd.DataFrame, active: pd.DataFrame, groups: pd.Series) -> pd.DataFrame:
    """Of each active day but a profile's first, whether it showed a new value of each rarity."""
    fresh = uses[(uses["hours_before"] == 0) & (uses["hours"] > 0)]
    rarest = fresh.groupby(["profile_uid", "day"])["rarity"].max().reset_index()
    days = active.loc[_has_past(active, active), ["profile_uid", "day"]].merge(
        rarest, on=["profile_uid", "day"], how="left"
    )
    found = days["rarity"].fillna(-1.0)
    return days.assign(group=days["profile_uid"].map(groups), **{n: found >= i for i, n in enumerate(RARITY)})


def _who_else(
    uses: pd.DataFrame, groups: pd.Series, first: pd.DataFrame, active: pd.DataFrame, replaces: Mapping[str, str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each row: of its group and of all, how many others used the value on an earlier day; and the group's size.

    A profile counts neither for itself nor for the one that replaces it.
    """
    day = uses["day"].to_numpy()
    group, value = uses["profile_uid"].map(groups), uses["value"]
    who = uses["profile_uid"].map(lambda uid: replaces.get(uid, uid)) if replaces else uses["profile_uid"]
    both = pd.DataFrame({"profile_uid": who, "value": value})
    own = both.merge(first[["profile_uid", "value", "day", "group"]], how="left", on=["profile_uid", "value"])
    used = own["day"].to_numpy() < day  # NaN, never used, is smaller than nothing
    peers = _earlier([group, value], [first["group"], first["value"]], first["day"], day)
    peers -= used & (own["group"].to_numpy() == group.to_numpy())
    everyone_else = _earlier([value], [first["value"]], first["day"], day) - used
    there = both.merge(active, how="left", on="profile_uid")
    size = _earlier([group], [active["group"]], active["day"], day)
    size -= (there["day"].to_numpy() < day) & (there["group"].to_numpy() == group.to_numpy())
    return peers, everyone_else, size


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


# ---- hours of the week ----
def hour_of_week(
    hours: pd.DataFrame, groups: pd.Series, odd_days: pd.DataFrame | None = None,
    replaces: Mapping[str, str] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """How surprising it is that a profile is active in that hour, in bits, from the 28 days before.

    Parameters
    ----------
    hours : DataFrame, one row a profile and active hour: ``profile_uid``, ``start`` (datetime64[UTC]), and, where some
        hours count for nothing, ``is_learned_from`` (bool)
    groups : peer group by profile_uid
    odd_days : those of whom the profiles are compared with (``Others``); None for their own
    replaces : whom of those each profile replaces

    Returns
    -------
    ``hours`` with ``bits``.

    Notes
    -----
    Weekdays and weekends are two kinds of days. Where the profile was active within an hour of it, on days of its kind:
    -log2 of (n + .4) / (days + 2), n the days with that hour, half of the weight on its neighbours. An odd hour, where
    it was not: -log2 of the share of active days on which it lately had one as far off (``new_value_rate``).
    """
    graded = _oddity(hours)
    days = _odd_days(graded, groups)
    odd = graded["oddity"].to_numpy() >= 0
    rows = graded[odd].assign(group=graded.loc[odd, "profile_uid"].map(groups))
    rate = new_value_rate(rows, days, days if odd_days is None else odd_days, ODDITY, replaces)
    p = graded["share"].to_numpy().copy()
    p[odd] = rate[np.arange(len(rows)), rows["oddity"]]
    bits = np.maximum(-np.log2(np.minimum(p, 1.0)), 0.0)
    return graded.drop(columns=["day", "share", "oddity"]).assign(bits=bits)


def _oddity(hours: pd.DataFrame) -> pd.DataFrame:
    """The hours, by profile and time, with ``day`` (int, since 1970), ``share`` and ``oddity`` (-1 for none).

    On a profile's first day no hour is odd.
    """
    hours = hours.sort_values(["profile_uid", "start"]).reset_index(drop=True)
    at = hours["start"].dt.tz_localize(None)
    day = at.to_numpy().astype("datetime64[D]").astype("int64")
    weekend, hour = (at.dt.day_of_week >= 5).to_numpy(), at.dt.hour.to_numpy()
    learned = hours["is_learned_from"].to_numpy(dtype=bool) if "is_learned_from" in hours else np.ones(len(at), bool)
    kind = pd.factorize(hours["profile_uid"])[0] * 2 + weekend
    one = np.ones((int(learned.sum()), 1))
    slots = pd.Series(kind * 24 + hour)

    def active_at(shift: int) -> np.ndarray:  # hours later
        asked = pd.Series(kind * 24 + (hour + shift) % 24)
        return lately(slots[learned], day[learned], one, asked, day)[:, 0]

    near = {shift: active_at(shift) for shift in range(-3, 4)}
    within_3 = sum(near.values())
    within_1 = near[-1] + near[0] + near[1]
    first = pd.Series(np.where(learned, day, np.iinfo(np.int64).max)).groupby(hours["profile_uid"]).transform("min")
    since = np.maximum(np.minimum(first.to_numpy(), day), day - WINDOW_DAYS)
    passed = _days_of_kind(since, day, weekend)
    share = ((near[-1] + 2 * near[0] + near[1]) / 4 + 0.4) / (passed + 2.0)
    oddity = np.select([(within_1 > 0) | (since == day), within_3 > 0], [-1, 0], 1)
    return hours.assign(day=day, share=share, oddity=oddity)


def _odd_days(graded: pd.DataFrame, groups: pd.Series) -> pd.DataFrame:
    """Of each active day that counts, but a profile's first, whether it had an hour of each oddity."""
    counted = graded[graded["is_learned_from"].to_numpy(dtype=bool)] if "is_learned_from" in graded else graded
    days = counted.groupby(["profile_uid", "day"])["oddity"].max().reset_index()
    days = days[_has_past(days, days)]
    found = {name: days["oddity"] >= i for i, name in enumerate(ODDITY)}
    return days.assign(group=days["profile_uid"].map(groups), **found)


def _days_of_kind(first: np.ndarray, day: np.ndarray, weekend: np.ndarray) -> np.ndarray:
    a, b = first.astype("datetime64[D]"), day.astype("datetime64[D]")
    weekdays = np.busday_count(a, b)
    return np.where(weekend, (b - a).astype(int) - weekdays, weekdays)
