"""Merge: windows above their threshold become what a person would call one event.

Windows of a profile that lie no more than a day apart are one incident, of whatever channel. What goes on for weeks
(channels with a longer gap) joins the others by its first day alone, and belongs to the next incident as soon as that
begins, so that it does not hide what happens meanwhile. So incidents of a profile never overlap. An incident's id is a
hash of its profile and its first flagged window: it is the same in every run and while the incident grows.
"""

import hashlib
from collections.abc import Mapping
from datetime import date

import pandas as pd

JOIN_GAP = pd.Timedelta("24h")  # what lies no further apart is one incident
SAME_SIGNS = {"point_hour": "point_day"}
SPAN = {"hour": pd.Timedelta("1h"), "day": pd.Timedelta("1D")}


def merge_windows(flagged: pd.DataFrame, gap: pd.Timedelta) -> pd.Series:
    """Number the incidents of each profile: windows no further apart than ``gap`` share a number.

    Parameters
    ----------
    flagged : DataFrame, one row a flagged window: ``profile_uid``, ``start``, ``end`` (datetime64[UTC], half-open)
    gap : longest time between the end of one and the start of the next

    Returns
    -------
    Series of int, aligned with ``flagged``.

    Examples
    --------
    >>> hours = pd.to_datetime(["2026-03-01 00:00", "2026-03-01 02:00", "2026-03-04 00:00"], utc=True)
    >>> frame = pd.DataFrame({"profile_uid": "tok1_a", "start": hours, "end": hours + pd.Timedelta("1h")})
    >>> merge_windows(frame, pd.Timedelta("24h")).tolist()
    [0, 0, 1]
    """
    ordered = flagged.sort_values(["profile_uid", "start", "end"])
    reach = ordered.groupby("profile_uid")["end"].cummax().groupby(ordered["profile_uid"]).shift()
    fresh = reach.isna() | (ordered["start"] - reach > gap)
    return (fresh.cumsum() - 1).reindex(flagged.index).astype("int64")


def join(flagged: pd.DataFrame, gaps: Mapping[str, int]) -> pd.DataFrame:
    """Give each flagged window the incident that it belongs to.

    Parameters
    ----------
    flagged : DataFrame, one row a window: ``profile_uid``, ``channel``, ``start``, ``end``
    gaps : dict of channel to days
        How many days may lie between its windows in one incident, at least one; of channels that are not in it, one.

    Returns
    -------
    ``flagged`` with ``incident_uid`` (string)

    Notes
    -----
    Windows of the shortest gap make parts, by day; so do those of each channel with a longer one, but such a part joins
    others as if it ended with its first window. Parts within ``JOIN_GAP`` are one incident. Of a channel with a longer
    gap a window belongs to the incident that began last, on its day or before.
    """
    if flagged.empty:
        return flagged.assign(incident_uid=pd.Series(dtype="str"))
    gap = flagged["channel"].map(lambda channel: max(pd.Timedelta(days=gaps.get(channel, 1)), JOIN_GAP))
    is_slow = gap > JOIN_GAP
    days = flagged.assign(start=flagged["start"].dt.floor("D"), end=flagged["end"].dt.ceil("D"))
    spans = []
    for (kind, longest), windows in days.groupby([flagged["channel"].where(is_slow, ""), gap], sort=True):
        part = f"{kind}:" + merge_windows(windows, longest).astype(str)
        ends = windows["end"].groupby(part).transform("min" if kind else "max")
        spans.append(pd.DataFrame({"part": part, "until": ends}, index=windows.index))
    days = days.join(pd.concat(spans))
    parts = days.groupby("part").agg(
        profile_uid=("profile_uid", "first"), start=("start", "min"), end=("until", "first")
    )
    parts["incident"] = merge_windows(parts.reset_index(), JOIN_GAP).to_numpy()
    incident = days["part"].map(parts["incident"])
    begins = parts.groupby("incident", as_index=False).agg(profile_uid=("profile_uid", "first"), start=("start", "min"))
    if is_slow.any():
        slow = days.loc[is_slow, ["profile_uid", "start"]].rename_axis("window").reset_index()
        last = pd.merge_asof(slow.sort_values("start"), begins.sort_values("start"), on="start", by="profile_uid")
        incident.loc[last["window"]] = last["incident"].to_numpy()
    first = (
        flagged.assign(incident=incident)
        .groupby("incident")
        .agg(profile_uid=("profile_uid", "first"), start=("start", "min"))
    )
    uids = {n: incident_uid(row.profile_uid, row.start) for n, row in zip(first.index, first.itertuples(), strict=True)}
    return flagged.assign(incident_uid=incident.map(uids))


def incident_uid(profile_uid: str, start: pd.Timestamp) -> str:
    """``inc1_`` and 16 hex digits of profile and first flagged window.

    Examples
    --------
    >>> incident_uid("tok1_a", pd.Timestamp("2026-03-01T02:00Z"))
    'inc1_4f70ee5f136bb69f'
    """
    text = f"{profile_uid}|{start.strftime('%Y-%m-%dT%H:%MZ')}"
    return "inc1_" + hashlib.sha256(text.encode()).hexdigest()[:16]


def state(windows: pd.DataFrame, start: date, end: date) -> str:
    """State of one incident in the reported days: opened, grown, quiet (nothing new), or closed (quiet for 14 days)."""
    low, high = pd.Timestamp(start, tz="UTC"), pd.Timestamp(end, tz="UTC")
    if windows["start"].min() >= low:
        return "opened"
    if windows["start"].max() >= low:
        return "grown"
    return "quiet" if high - windows["end"].max() <= pd.Timedelta(days=14) else "closed"


def peaks(windows: pd.DataFrame) -> pd.DataFrame:
    """The highest window of each channel in each incident, the highest first; of an hour and a day the higher.

    An hour and its day are two views of the same signs (``channels.point``): what is seen twice is not counted twice.
    """
    by_height = windows.sort_values(["score_bits", "start"], ascending=[False, True], kind="stable")
    view = by_height["channel"].replace(SAME_SIGNS)
    return by_height[~by_height.assign(view=view).duplicated(["incident_uid", "view"])]


def summary(windows: pd.DataFrame) -> pd.DataFrame:
    """One row an incident: profile, first and last window, channels by size, and the parts that add up to its score.

    Each channel contributes its highest window (``peaks``); their scores add up. ``threshold_bits`` is that of one
    channel, the one with the highest window.
    """
    if windows.empty:
        return pd.DataFrame()
    grouped = windows.assign(day=windows["start"].dt.normalize()).groupby("incident_uid", sort=True)
    table = grouped.agg(
        profile_uid=("profile_uid", "first"), start=("start", "min"), end=("end", "max"), created_time=("end", "min"),
        n_windows=("start", "size"), n_days=("day", "nunique"),
    )  # fmt: skip
    by_height = windows.sort_values(["score_bits", "start"], ascending=[False, True], kind="stable")
    called = by_height.drop_duplicates(["incident_uid", "channel"]).groupby("incident_uid")["channel"].agg(list)
    added_up = peaks(windows)
    parts: dict[str, dict[str, float]] = {uid: {} for uid in table.index}
    for uid, its in zip(added_up["incident_uid"], added_up["parts"], strict=True):
        for name, bits in its.items():
            parts[uid][name] = parts[uid].get(name, 0.0) + bits
    highest = added_up.drop_duplicates("incident_uid").set_index("incident_uid").loc[table.index]
    return table.assign(
        channels=called, score_bits=[float(sum(parts[uid].values())) for uid in table.index],
        threshold_bits=highest["threshold_bits"].astype(float), parts=pd.Series(parts), peak_start=highest["start"],
        peak_window=highest["window"],
    ).reset_index()  # fmt: skip
