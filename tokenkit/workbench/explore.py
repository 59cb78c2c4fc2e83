"""Explore: the organisation, peer groups and single tokens in the newest days against the frozen reference.

Reads  every table. Writes nothing.

    view = explore.look(ws)                     the newest week
    explore.tokens(view)                        every token, unowned and orphaned first
    profile = explore.suggested_profile(view)   whom to look at first
    explore.changes(view, profile)              what changed since the reference
    explore.values(view, profile, "network")    where from

Where there is too little history for a baseline the same functions say what there is; ``usual`` is empty then.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from tokenkit import fingerprint
from tokenkit.config import Workspace
from tokenkit.days import MIN_DAYS, day_of, periods_of
from tokenkit.errors import InputError, did_you_mean
from tokenkit.incidents import explain
from tokenkit.normal import baseline
from tokenkit.normal.behaviour import behaviours
from tokenkit.normal.day_matrices import peer_groups
from tokenkit.normal.evidence import Evidence, require_features
from tokenkit.store import engine, lake
from tokenkit.tokens import owners
from tokenkit.tokens.profiles import token_profiles
from tokenkit.workbench import frames
from tokenkit.workbench.frames import OpenWorkspace

RECENT_DAYS = 7  # each day of the week once
KINDS = {"network": "Networks", "client": "Programs", "operation": "Calls", "pair": "Calls in one session"}
UNOWNED = ("unowned", "orphaned", "ambiguous")
SHOWN = {  # what is shown of a token and a group, by family (docs/method/features.md)
    "requests": "Calls",
    "response_bytes": "Data taken",
    "networks": "Networks",
    "clients": "Programs",
    "operations": "Kinds of calls",
    "pairs": "Combinations of calls",
    "objects": "Objects",
    "client_errors": "Calls that failed",
}


@dataclass(frozen=True)
class View:
    """What is looked at: a workspace and its days ``[start, end)``.

    ``reference_start`` is the first day of what they are compared with (of all logs, where there is no reference);
    by ``kind_days`` is told what kind of token each is, as for a report: the reference, or all days without one.
    ``missing`` says why there is nothing to see, ``unjudged`` why nothing can be compared with its past.
    """

    ws: OpenWorkspace
    start: date = date.min
    end: date = date.min
    reference_start: date = date.min
    kind_days: tuple[date, date] = (date.min, date.min)
    evidence: Evidence | None = None
    missing: str = ""
    unjudged: str = ""

    def __bool__(self) -> bool:
        return not self.missing

    @cached_property
    def people(self) -> pd.DataFrame:
        """``ws.tokens()`` with each one's peer ``group``; ids for names where tokenkit.toml asks for it. Read once."""
        people = self.ws.tokens()
        if len(people):
            people = people.assign(behaviour=behaviours(self.ws, people, self.mapped, *self.kind_days))
        people = people.assign(group=peer_groups(people) if len(people) else None)
        return owners.hide_names(people) if self.ws.settings.report.pseudonymous else people

    @cached_property
    def mapped(self) -> pd.DataFrame:
        """The profile of each token (``token_profiles``); read once."""
        return token_profiles(self.ws)

    @cached_property
    def days(self) -> pd.DataFrame:
        """The fingerprint by day, of the reference and since."""
        return self.ws.fingerprint(self.reference_start, self.end)

    @cached_property
    def hours(self) -> pd.DataFrame:
        """The same by hour."""
        return self.ws.fingerprint(self.reference_start, self.end, "hour")

    @cached_property
    def recent(self) -> np.ndarray:
        """Which days of the evidence are looked at (bool)."""
        assert self.evidence is not None
        return self.evidence.days.between(self.start, self.end)

    @property
    def z_since_reference(self) -> dict[str, np.ndarray]:
        """How far each judged feature is from the frozen reference, as robust z, profile x day.

        As ``deviation.day_deviations`` gives it: the day's common effect is removed, a moved level is not.
        """
        return self.evidence.since_reference if self.evidence else {}

    @cached_property
    def z(self) -> pd.DataFrame:
        """Profile x judged feature: the largest robust z of the days looked at."""
        if self.evidence is None:
            return pd.DataFrame()
        index = pd.Index(self.evidence.days.profiles, name="profile_uid")
        recent = {name: pd.DataFrame(z[:, self.recent]) for name, z in self.z_since_reference.items()}
        return pd.DataFrame({name: z.max(axis=1).to_numpy() for name, z in recent.items()}, index=index)


def look(workspace: Workspace | Path | str = "", start: str | date = "", end: str | date = "") -> View:
    """Return the view of a period: what the functions here and the parts of the notebooks are given.

    Reference days are not compared: what is usual was learned from them.

    Parameters
    ----------
    workspace : a workspace, its folder, or empty for the one at or above the current folder
    start, end : days ``[start, end)``; default: the newest seven, or those since the reference where they are fewer

    Raises
    ------
    InputError
        No workspace, no event in the period, ``start`` not before ``end``, or fingerprints of another version. That
        there is nothing at all yet is no error: the view says so.
    """
    ws = frames.open(workspace)
    if missing := _missing(ws):
        return View(ws, missing=f"{missing}. Then run this notebook again.")
    require_features(ws)
    asked = day_of(start, "start")
    periods = periods_of(ws, asked, day_of(end, "end"))
    reference = periods_of(ws, None, periods.end).reference  # the one that ``ws.evidence`` judges by
    newest = max(periods.first, periods.end - timedelta(days=RECENT_DAYS))
    kind_days = reference or (periods.first, periods.end)
    if reference is None:
        known = (periods.end - periods.first).days
        return View(ws, asked or newest, periods.end, periods.first, kind_days, unjudged=(
            f"{known} {'day' if known == 1 else 'days'} of logs so far. With more than {MIN_DAYS} a token can "
            "be compared with its own past; until then there is no band of normal. Read older logs, or wait."
        ))  # fmt: skip
    low = asked or max(newest, reference[1])
    if low < reference[1]:
        span = f"{reference[0]} to {reference[1] - timedelta(days=1)}"
        return View(ws, low, periods.end, periods.first, kind_days, unjudged=(
            f"These days are part of the reference ({span}): look at later ones to compare."
        ))  # fmt: skip
    return View(ws, low, periods.end, reference[0], kind_days, ws.evidence(periods.end))


def _missing(ws: OpenWorkspace) -> str:
    """Why there is nothing to see at all, and what to do about it."""
    if not lake.days(ws.lake, "events"):
        return "No event was read yet. Read some: tokenkit run --events PATH"
    if lake.days(ws.lake, "fingerprint"):
        return ""
    if token_profiles(ws).empty:
        return (
            "None of the events that were read has a token, so there is no one to look at. Read logs that say which "
            "token called, or map the column that does (docs/extend/source.md)"
        )
    return "The events that were read are not analysed yet. Do it: tokenkit run"


def tokens(view: View) -> pd.DataFrame:
    """Every token that was ever seen or is listed, those nobody answers for first, then by calls.

    Returns
    -------
    DataFrame indexed by ``profile_uid``
        ``label``, ``mask``, ``owner_name``, ``owner_status``, ``team``, ``purpose``, ``group``, ``requests``,
        ``response_bytes``, ``days`` (active) of the days looked at; ``last_seen``, the last day with a call since
        ``view.reference_start`` (UTC midnight; NaT where there was none); and of the judged feature that is farthest
        from the reference its name, ``changed``, and ``z`` (missing where nothing is judged).
    """
    columns = ["label", "mask", "owner_name", "owner_status", "team", "purpose", "group"]
    people = view.people[columns]
    now = view.days[view.days["start"] >= _utc(view.start)].groupby("profile_uid")
    used = now.agg(requests=("requests", "sum"), response_bytes=("response_bytes", "sum"), days=("start", "size"))
    frame = people.join(used).join(view.days.groupby("profile_uid")["start"].max().rename("last_seen"))
    frame[["requests", "response_bytes", "days"]] = (
        frame[["requests", "response_bytes", "days"]].fillna(0).astype("int64")
    )
    z = view.z.dropna(how="all")
    frame["changed"] = z.idxmax(axis=1) if len(z) else None
    frame["z"] = z.max(axis=1) if len(z) else np.nan
    order = frame["owner_status"].map({status: n for n, status in enumerate(UNOWNED)}).fillna(len(UNOWNED))
    return frame.assign(order=order).sort_values(["order", "requests", "label"], ascending=[True, False, True]).drop(
        columns="order"
    )  # fmt: skip


def suggested_profile(view: View, token: str = "") -> str:
    """The profile of the token named; without a name, the busiest that nobody owns, else the one that changed most."""
    if token:
        return view.ws.profile(token)
    frame = tokens(view)
    nobody = frame[frame["owner_status"].isin(UNOWNED) & (frame["requests"] > 0)]
    if len(nobody):
        return str(nobody["requests"].idxmax())
    return str(frame["z"].idxmax() if frame["z"].notna().any() else frame["requests"].idxmax())


def groups(view: View) -> pd.DataFrame:
    """10%, 50% and 90% day of each peer group, for each feature shown; the largest group first.

    Returns
    -------
    DataFrame, one row a group and feature of ``SHOWN``
        ``group``, ``tokens`` (members), ``feature``, ``unit``; ``low``, ``usual``, ``high``: the 10%, 50% and 90% of
        its members' days.
    """
    days = view.days.assign(group=view.days["profile_uid"].map(view.people["group"]))
    members = view.people.groupby("group").size().sort_values(ascending=False, kind="stable")
    by = days.groupby("group")[list(SHOWN)]
    found = [by.quantile(q).stack().rename(name) for q, name in ((0.1, "low"), (0.5, "usual"), (0.9, "high"))]
    frame = pd.concat(found, axis=1).rename_axis(["group", "feature"])
    frame = frame.reindex(
        pd.MultiIndex.from_product([members.index, list(SHOWN)], names=["group", "feature"])
    ).reset_index()
    frame.insert(1, "tokens", frame["group"].map(members))
    frame.insert(3, "unit", frame["feature"].map({n: f.unit for n, f in fingerprint.features().items()}))
    return frame


def series(view: View, profile: str, feature: str, window: str = "day") -> pd.DataFrame:
    """One feature of one token over time, with its band of normal.

    Returns
    -------
    DataFrame indexed by ``start``, every window since the reference
        ``value`` (0 where it was silent), ``low``, ``usual``, ``high`` and ``reference`` (bool: what the band was
        learned from). Of a day: two standard deviations around what is usual, NaN where the token was silent; of an
        hour: the 5%, 50% and 95% of that hour on such days (weekday or weekend) of the reference.
    """
    known = [n for n, f in fingerprint.features().items() if window in f.windows]
    if feature not in known:
        raise InputError(f"no feature {feature!r} by {window}; {did_you_mean(feature, known)}")
    source = view.days if window == "day" else view.hours
    own = source[source["profile_uid"] == profile].set_index("start")[feature]
    step = "D" if window == "day" else "h"
    index = pd.date_range(_utc(view.reference_start), _utc(view.end), freq=step, inclusive="left", name="start")
    frame = pd.DataFrame({"value": own.reindex(index).fillna(0.0).astype(float)}, index=index)
    frame[["low", "usual", "high"]] = np.nan
    frame["reference"] = False
    e = view.evidence
    k = _row(view, profile)
    if e is None or k is None or feature not in e.fits:
        return frame
    learned = pd.Series(e.days.reference[k], index=e.days.days)
    frame["reference"] = learned.reindex(index.floor("D")).fillna(False).astype(bool).to_numpy()
    if window == "hour":
        kind = [index.hour, index.day_of_week >= 5]
        past = frame["value"].where(frame["reference"])
        for column, q in (("low", 0.05), ("usual", 0.5), ("high", 0.95)):
            frame[column] = past.groupby(kind).transform("quantile", q)
        return frame
    its = fingerprint.features()[feature]
    center = baseline.expected(e.fits[feature], its, e.days)[k]
    sd = np.sqrt(baseline.variance(e.fits[feature], its, e.days)[k])
    for column, s in (("low", -2.0), ("usual", 0.0), ("high", 2.0)):
        frame[column] = pd.Series(np.maximum(np.expm1(center + s * sd), 0.0), index=e.days.days).reindex(index)
    return frame


def changes(view: View, profile: str) -> pd.DataFrame:
    """What changed since the frozen reference, the farthest from it first.

    Returns
    -------
    DataFrame, one row a judged feature
        ``feature``, ``asks``, ``unit``, ``given``; ``usual`` and ``now``, a day, means of the days looked at with a
        call; ``z``, the median of those days' robust z, against what is usual (for as many calls, where given); and
        ``peak``, the largest of them. Empty where nothing is judged.
    """
    columns = ["feature", "asks", "unit", "given", "usual", "now", "z", "peak"]
    e, k = view.evidence, _row(view, profile)
    if e is None or k is None:
        return pd.DataFrame(columns=columns)
    recent = view.recent & ~np.isnan(e.days.values["requests"][k])
    if not recent.any():
        return pd.DataFrame(columns=columns)
    rows = []
    for name, its in fingerprint.judged_features().items():
        usual = np.expm1(baseline.expected(e.fits[name], its, e.days)[k, recent])
        now, z = e.days.values[name][k, recent], view.z_since_reference[name][k, recent]
        rows.append([name, its.asks, its.unit, its.given or "", max(float(usual.mean()), 0.0), float(now.mean()),
                     float(np.median(z)), float(z.max())])  # fmt: skip
    return pd.DataFrame(rows, columns=columns).sort_values("peak", ascending=False, ignore_index=True)


def values(view: View, profile: str, kind: str) -> pd.DataFrame:
    """Networks, programs, calls or pairs of calls (in one session) of a token, now and before.

    Parameters
    ----------
    kind : ``network``, ``client``, ``operation`` or ``pair``

    Returns
    -------
    DataFrame, what is new first, then by how often it was used now
        ``value``, ``now`` and ``before`` (calls; of pairs, sessions), ``mark`` (UNSEEN to FREQUENT, of its own past),
        ``peers``: how many other tokens of its group had it before, of ``peers_total`` in the group.
    """
    if kind not in KINDS:
        raise InputError(f"no kind {kind!r}; {did_you_mean(kind, list(KINDS))}")
    name = {"network": "network", "client": "user_agent", "operation": "operation"}.get(kind, "operation")
    with engine.connect(view.ws.settings.engine, view.ws.scratch) as connection:
        peers = _peers(view, connection, profile)
        lake.scan(connection, view.ws.lake, f"activity_{kind}", view.reference_start, view.end).create_view("used")
        lake.scan(connection, view.ws.lake, f"dim_{'operation' if kind == 'pair' else kind}").create_view("dim")
        if kind == "pair":
            keys, amount = "operation_key, other_key", "sessions"
            text = "select *, one.operation as first, two.operation as value from counted join dim one using"
            text += " (operation_key) join dim two on two.operation_key = other_key"
        else:
            keys, amount = f"{kind}_key", "requests"
            text = f"select *, '' as first, {name} as value from counted join dim using ({keys})"
        start = f"date '{view.start.isoformat()}'"
        frame = connection.sql(
            f"with counted as (select {keys}, coalesce(sum({amount}) filter (me and day >= {start}), 0)::bigint as now,"
            f" coalesce(sum({amount}) filter (me and day < {start}), 0)::bigint as before,"
            f" count(distinct profile_uid) filter (not me and day < {start}) as peers"
            f" from used join concerned using (token_key) group by all having now + before > 0) {text}"
        ).df()
    total = int(frame["before"].sum())
    frame["mark"] = [explain.mark(int(b), total) if total else "" for b in frame["before"]]
    order = frame.assign(seen=frame["before"] > 0).sort_values(
        ["seen", "now", "before", "value"], ascending=[True, False, False, True], ignore_index=True
    )
    found = order[["first", "value", "now", "before", "mark", "peers"]].assign(peers_total=peers)
    return found if kind == "pair" else found.drop(columns="first")


def week(view: View, profile: str) -> pd.DataFrame:
    """Calls in each hour of the week (UTC): ``day`` (0 is Monday), ``hour``, ``usual`` and ``now``.

    ``usual`` and ``now``: calls in that hour of an average week, before and in the days looked at.
    """
    own = view.hours.loc[view.hours["profile_uid"] == profile, ["start", "requests"]]
    now = (own["start"] >= _utc(view.start)).to_numpy()
    grid = pd.MultiIndex.from_product([range(7), range(24)], names=["day", "hour"])

    def mean(rows: pd.DataFrame, days: int) -> pd.Series:
        counted = rows.groupby([rows["start"].dt.day_of_week.rename("day"), rows["start"].dt.hour.rename("hour")])
        return counted["requests"].sum().reindex(grid).fillna(0.0) / max(days / 7, 1.0)

    past, looked = (view.start - view.reference_start).days, (view.end - view.start).days
    return pd.DataFrame({"usual": mean(own[~now], past), "now": mean(own[now], looked)}, index=grid).reset_index()


def maturity(view: View, profile: str) -> tuple[str, int]:
    """How a token is judged, ``mature`` (by its past), ``young`` (by its peers) or empty; its days in the reference."""
    e, k = view.evidence, _row(view, profile)
    return ("", 0) if e is None or k is None else (str(e.days.maturity[k]), int(e.days.reference[k].sum()))


def _row(view: View, profile: str) -> int | None:
    return None if view.evidence is None else view.evidence.days.row_of(profile)


def _peers(view: View, connection: duckdb.DuckDBPyConnection, profile: str) -> int:
    """Register the token and its peers as ``concerned``; how many peers there are."""
    mapped = view.mapped[["token_key", "profile_uid"]]
    group = view.people["group"]
    mapped = mapped[mapped["profile_uid"].map(group) == group[profile]]
    connection.register("concerned", mapped.assign(me=mapped["profile_uid"] == profile))
    return mapped["profile_uid"].nunique() - 1


def _utc(day: date) -> pd.Timestamp:
    return pd.Timestamp(day, tz="UTC")
