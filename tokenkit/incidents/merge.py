"""Merge: windows above their threshold become what a person would call one event.

Windows merge per channel (gap of the channel), then channels join into one incident per profile. An incident's id is a
hash of its profile and its first flagged window, so it is the same in every run and while the incident grows.
"""

import hashlib
from datetime import date

import pandas as pd

JOIN_GAP = pd.Timedelta("48h")  # a profile opens one incident in two days at most, over all channels
SPAN = {"hour": pd.Timedelta("1h"), "day": pd.Timedelta("1D")}


def flag(scores: pd.DataFrame, limits: pd.DataFrame) -> pd.DataFrame:
    """The windows that exceed the threshold of their channel and day, with ``threshold_bits`` and ``end``."""
    long = limits.stack().rename("threshold_bits")
    long.index.names = ["day_start", "channel"]
    scores = scores.assign(day_start=scores["start"].dt.normalize())
    joined = scores.merge(long.reset_index(), on=["day_start", "channel"], how="inner")
    flagged = joined[joined["score_bits"] >= joined["threshold_bits"]].drop(columns="day_start")
    return flagged.assign(end=flagged["start"] + flagged["window"].map(SPAN)).reset_index(drop=True)


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


def join(flagged: pd.DataFrame, gaps: dict[str, int]) -> pd.DataFrame:
    """One row an incident, and ``incident_uid`` for each flagged window.

    Returns
    -------
    ``flagged`` with ``incident_uid`` (string); windows of one channel within its gap, and incidents of one profile
    within two days of each other, share it.
    """
    if flagged.empty:
        return flagged.assign(incident_uid=pd.Series(dtype="str"))
    spans = []
    for channel, windows in flagged.groupby("channel", sort=True):
        number = merge_windows(windows, pd.Timedelta(days=gaps.get(str(channel), 1)))
        spans.append(pd.DataFrame({"part": str(channel) + ":" + number.astype(str)}, index=windows.index))
    flagged = flagged.join(pd.concat(spans))
    parts = flagged.groupby("part").agg(
        profile_uid=("profile_uid", "first"), start=("start", "min"), end=("end", "max")
    )
    parts["incident"] = merge_windows(parts.reset_index(), JOIN_GAP).to_numpy()
    first = parts.groupby("incident").agg(profile_uid=("profile_uid", "first"), start=("start", "min"))
    uids = {n: incident_uid(row.profile_uid, row.start) for n, row in zip(first.index, first.itertuples(), strict=True)}
    return flagged.assign(incident_uid=flagged["part"].map(parts["incident"]).map(uids)).drop(columns="part")


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
