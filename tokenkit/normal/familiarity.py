"""Familiarity: how much of what a profile does it has done before, beside its usual share (docs/method/baseline.md).

Reads  activity_object, activity_operation, activity_network, activity_client. Writes nothing.
A count of new objects says less the more a profile works. Their share does not: a thief, or another owner, touches
things that this profile never touched, in one day or bit by bit in a week. And of those things there are two kinds: new
to everyone, and known to others only. A profile that begins to work on what others work on is not at its own work.
Counted are distinct pairs of profile and value, so that many odd events are one number of a day.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import duckdb
import numpy as np
import pandas as pd

from tokenkit.config import Workspace
from tokenkit.normal.labelled_periods import LabelledPeriods
from tokenkit.normal.new_value_rate import WINDOW_DAYS, lately
from tokenkit.store import engine, lake
from tokenkit.tokens.profiles import token_profiles

KINDS = {"object": "object_key", "operation": "operation_key", "network": "network_key", "client": "client_key"}
SPANS = (1, 3, 7)  # days that are looked at together
# values never used before; and of objects those of them that others had used: other values are shared by many anyway
COUNTS = {"object": ("fresh", "of_others"), "operation": ("fresh",), "network": ("fresh",), "client": ("fresh",)}
FOREIGN_SPAN = 3  # days of objects of others that are looked at together
FOREIGN = f"of_others_object_{FOREIGN_SPAN}"
PRIOR_VALUES = 20.0  # how many values the usual share of a profile's peers weighs


@dataclass(frozen=True)
class Usage:
    """What an organisation used: how much of it each profile had never used before, and who used what first.

    ``days`` has one row a kind, profile and active day: ``kind``, ``profile_uid``, ``group``, ``day`` (int, since
    1970), ``counts`` (bool: it counts for what is usual), ``values`` (distinct), ``fresh`` and, of objects,
    ``of_others``. ``first_objects`` has one row an object: ``value``, ``profile_uid`` that used it first, ``day``, and
    ``next_day``, on which another one did.
    """

    days: pd.DataFrame
    first_objects: pd.DataFrame


def usage(
    workspace: Workspace, groups: pd.Series, start: date, end: date, labelled: LabelledPeriods | None = None,
    compared_with: Usage | None = None, replaces: Mapping[str, str] | None = None,
) -> Usage:  # fmt: skip
    """What the profiles of a workspace used in the days ``[start, end)``.

    Parameters
    ----------
    groups : peer group by profile_uid
    labelled : nothing is learned from days of confirmed misuse: what was used on them alone stays unknown
    compared_with : who else used an object, of profiles that another workspace has; None for those of the workspace
    replaces : profile_uid to the profile of ``compared_with`` that it replaces, who is nobody else
    """
    mapped = token_profiles(workspace)[["token_key", "profile_uid"]]
    days = []
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        connection.register("profiles", mapped)
        connection.register("misuse", _days_of((labelled or LabelledPeriods()).misuse))
        for kind, key in KINDS.items():
            lake.scan(connection, workspace.lake, f"activity_{kind}", start, end).create_view("activity", replace=True)
            connection.sql(
                f"""
                create or replace temp table uses as
                select profile_uid, activity.{key} as value, (epoch(activity.day) / 86400)::bigint as day,
                    max(misuse.day) is null as counts
                from activity join profiles using (token_key) left join misuse using (profile_uid, day)
                where activity.{key} <> 0 group by profile_uid, activity.{key}, activity.day
                """
            )
            connection.sql(
                """
                create or replace temp table marked as
                with own as (select profile_uid, value, min(day) as first from uses where counts group by all),
                began as (select profile_uid, min(first) as began from own group by all)
                select uses.*, coalesce(uses.day <= own.first, true) and uses.day > began as fresh
                from uses left join own using (profile_uid, value) left join began using (profile_uid)
                """
            )
            days.append(
                connection.sql(
                    "select profile_uid, day, bool_and(counts) as counts, count(*) as values,"
                    " count(*) filter (fresh) as fresh from marked group by all order by all"
                ).df().assign(kind=kind)
            )  # fmt: skip
            if kind == "object":
                first = _first_objects(connection)
                known = compared_with.first_objects if compared_with else first
                days[-1]["of_others"] = _of_others(connection, known, mapped["profile_uid"], replaces or {})
    together = pd.concat(days, ignore_index=True)
    return Usage(together.assign(group=together["profile_uid"].map(groups)), first)


def _first_objects(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Who used each value of the table ``uses`` first, and when another one did."""
    return connection.sql(
        "with own as (select value, profile_uid, min(day) as day from uses where counts group by all)"
        " select value, arg_min(profile_uid, (day, profile_uid)) as profile_uid, min(day) as day,"
        " min(day, 2)[2] as next_day from own group by value order by value"
    ).df()


def _of_others(
    connection: duckdb.DuckDBPyConnection, known: pd.DataFrame, profiles: pd.Series, replaces: Mapping[str, str]
) -> np.ndarray:  # fmt: skip
    """How many fresh values of each profile and day (of the table ``marked``) others had used on an earlier day."""
    connection.register("known", known)
    same = pd.DataFrame({"profile_uid": profiles, "itself": profiles.replace(replaces)}).drop_duplicates()
    connection.register("same", same)
    return connection.sql(
        "select profile_uid, marked.day, count(*) filter (fresh and"
        " case when known.profile_uid = same.itself then next_day else known.day end < marked.day) as of_others"
        " from marked join same using (profile_uid) left join known using (value)"
        " group by profile_uid, marked.day order by all"
    ).df()["of_others"].to_numpy()  # fmt: skip


def _days_of(windows: pd.DataFrame) -> pd.DataFrame:
    """The days that some windows touch: ``profile_uid`` and ``day`` (date)."""
    rows = [
        (uid, day.date())
        for uid, start, end in zip(windows["profile_uid"], windows["start"], windows["end"], strict=True)
        for day in pd.date_range(start.floor("D"), end, freq="D", inclusive="left")
    ]
    return pd.DataFrame(rows, columns=["profile_uid", "day"]).astype({"profile_uid": "str"})


def unfamiliarity(
    own: Usage, compared_with: Usage | None = None, replaces: Mapping[str, str] | None = None
) -> pd.DataFrame:  # fmt: skip
    """How far the share of what is new to a profile lies above its usual share, in standard deviations.

    Returns
    -------
    DataFrame, one row a profile and active day
        ``profile_uid``, ``start`` (datetime64[UTC]); of each kind the day's counts (``values_object``,
        ``fresh_object``, ``of_others_object``), and how far those of some days lie above what is usual
        (``fresh_object_1``, ``fresh_object_3``, ``fresh_object_7``, ``FOREIGN``: standard deviations, at least 0)

    Notes
    -----
    Of n distinct values of the last w days, m are new. The usual share p is that of the 28 days before them, with N
    values: (M + 20 p') / (N + 20), p' that of the peers, theirs in the same way shrunk to everyone's. How far m of n
    lies above p: ``above``, with N + 20 values known.
    """
    others = own if compared_with is None else compared_with
    parts = []
    for kind in KINDS:
        mine, theirs = own.days[own.days["kind"] == kind], others.days[others.days["kind"] == kind]
        parts.append(_of_kind(kind, mine, theirs, replaces or {}))
    table = pd.concat(parts, axis=1).fillna(0.0).sort_index()
    table.index.names = ["profile_uid", "day"]
    table = table.reset_index()
    start = pd.to_datetime(table.pop("day") * 86400, unit="s", utc=True).dt.as_unit("us")
    table.insert(1, "start", start)
    return table


def nothing() -> pd.DataFrame:
    """The unfamiliarity of nobody: no rows."""
    columns = {"profile_uid": "str", "start": "datetime64[us, UTC]"}
    for kind in KINDS:
        columns |= dict.fromkeys([f"{name}_{kind}" for name in ("values", *COUNTS[kind])], "float64")
        columns |= dict.fromkeys(fresh_columns(kind), "float64")
    columns[FOREIGN] = "float64"
    return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in columns.items()})


def fresh_columns(kind: str) -> list[str]:
    """The columns of ``unfamiliarity`` that say how far what is new of a kind lies above what is usual, by span.

    Examples
    --------
    >>> fresh_columns("object")
    ['fresh_object_1', 'fresh_object_3', 'fresh_object_7']
    """
    return [f"fresh_{kind}_{span}" for span in SPANS]


def between(table: pd.DataFrame, start: date, end: date) -> pd.DataFrame:
    """The rows of the days ``[start, end)`` of ``unfamiliarity``."""
    low, high = (pd.Timestamp(day, tz="UTC") for day in (start, end))
    return table[(table["start"] >= low) & (table["start"] < high)].reset_index(drop=True)


@dataclass(frozen=True)
class Share:
    """How many of the values of some days were new to a profile, and what share of them usually is."""

    found: int
    of: int
    usual: float


def share(table: pd.DataFrame, profile_uid: str, day: pd.Timestamp, kind: str, count: str, span: int) -> Share:
    """What ``unfamiliarity`` is made of, for words: the days up to ``day``, and the 28 days before them.

    Examples
    --------
    >>> days = pd.date_range("2026-03-01", periods=3, tz="UTC")
    >>> counts = {"values_object": [10, 10, 8], "fresh_object": [1, 1, 6]}
    >>> table = pd.DataFrame({"profile_uid": "a", "start": days} | counts)
    >>> share(table, "a", days[2], "object", "fresh", 1)
    Share(found=6, of=8, usual=0.1)
    """
    own = table[table["profile_uid"] == profile_uid]
    first = day - pd.Timedelta(days=span - 1)
    now = own[(own["start"] >= first) & (own["start"] <= day)]
    before = own[(own["start"] < first) & (own["start"] >= first - pd.Timedelta(days=WINDOW_DAYS))]
    values, fresh = f"values_{kind}", f"{count}_{kind}"
    usual = float(before[fresh].sum() / max(before[values].sum(), 1))
    return Share(int(now[fresh].sum()), int(now[values].sum()), usual)


def _of_kind(kind: str, mine: pd.DataFrame, theirs: pd.DataFrame, replaces: Mapping[str, str]) -> pd.DataFrame:
    day = mine["day"].to_numpy()
    who = mine["profile_uid"].map(lambda uid: replaces.get(uid, uid))
    amounts = ["values", *COUNTS[kind]]

    def before(names: pd.Series, rows: pd.DataFrame, asked: pd.Series, until: np.ndarray) -> np.ndarray:
        rows_that_count = rows["counts"].to_numpy(dtype=bool)
        return lately(
            names[rows_that_count], rows["day"].to_numpy()[rows_that_count],
            rows[amounts].to_numpy(dtype=float)[rows_that_count], asked, until,
        )  # fmt: skip

    found = {f"{name}_{kind}": mine[name].to_numpy(dtype=float) for name in amounts}
    everywhere = pd.Series(0, mine.index)
    # one that changed its peers is not among them
    is_peer = (
        who.map(theirs.drop_duplicates("profile_uid").set_index("profile_uid")["group"]) == mine["group"]
    ).to_numpy()
    for span in SPANS:
        until = day + 1 - span
        itself = before(theirs["profile_uid"], theirs, who, until)
        everyone = before(theirs["day"] * 0, theirs, everywhere, until) - itself
        peers = before(theirs["group"], theirs, mine["group"], until) - np.where(is_peer[:, None], itself, 0.0)
        usual = before(mine["profile_uid"], mine, mine["profile_uid"], until)
        now = _sums(mine, amounts, span)
        for i, count in enumerate(COUNTS[kind], 1):
            if count == "of_others" and span != FOREIGN_SPAN:
                continue
            of_all = (everyone[:, i] + 0.5) / (everyone[:, 0] + 1.0)
            of_peers = (peers[:, i] + PRIOR_VALUES * of_all) / (peers[:, 0] + PRIOR_VALUES)
            share = (usual[:, i] + PRIOR_VALUES * of_peers) / (usual[:, 0] + PRIOR_VALUES)
            found[f"{count}_{kind}_{span}"] = above(now[:, i], now[:, 0], share, usual[:, 0] + PRIOR_VALUES)
    index = pd.MultiIndex.from_frame(mine[["profile_uid", "day"]])
    return pd.DataFrame(found, index=index)


def above(found: np.ndarray, of: np.ndarray, share: np.ndarray, known: np.ndarray) -> np.ndarray:
    """How far ``found`` of ``of`` values lie above a usual ``share``, in standard deviations, at least 0.

    ``known`` is from how many values the share is known. Shares are compared by the arc sine of their root, whose
    spread does not depend on the share (Anscombe 1948): 1 of 1 is no 100 standard deviations where 1% are usual.

    Examples
    --------
    >>> found, of, share = np.array([1, 10, 30]), np.array([1, 100, 100]), np.array([0.01, 0.1, 0.1])
    >>> above(found, of, share, known=np.full(3, 100.0)).round(1).tolist()
    [2.4, 0.1, 3.7]
    """
    now, usual = np.sqrt((found + 0.375) / (of + 0.75)), np.sqrt(share)
    spread = np.sqrt(1 / (of + 0.5) + 1 / known)
    return np.where(found > 0, np.maximum(2 * (np.arcsin(now) - np.arcsin(usual)) / spread, 0.0), 0.0)


def _sums(days: pd.DataFrame, amounts: list[str], span: int) -> np.ndarray:
    """Sums over each row's day and the ``span - 1`` days before it."""
    values = days[amounts].to_numpy(dtype=float)
    if span == 1:
        return values
    asked = days["day"].to_numpy() + 1
    return lately(days["profile_uid"], days["day"].to_numpy(), values, days["profile_uid"], asked, span)
