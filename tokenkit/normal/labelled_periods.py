"""Labelled periods: times of a profile that people labelled as misuse, or accepted as its new normal.

Reads  nothing: ``incidents.labels`` makes them from the labels. Writes nothing.
Nothing is learned from confirmed misuse: not what is usual, not the thresholds, not which networks are known. An
accepted new normal is usual for its profile from its first hour on.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

TIME = "datetime64[us, UTC]"


def _empty() -> pd.DataFrame:
    types = {"profile_uid": "str", "start": TIME, "end": TIME, "accepted_by": "str", "accepted_time": TIME}
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in types.items()})


@dataclass(frozen=True)
class LabelledPeriods:
    """Periods ``[start, end)`` of profiles, one row each: ``profile_uid``, ``start``, ``end`` (datetime64[us, UTC]).

    ``misuse`` was confirmed by a person. ``accepted`` was harmless and became usual; it has ``accepted_by`` and
    ``accepted_time`` too.
    """

    misuse: pd.DataFrame = field(default_factory=_empty)
    accepted: pd.DataFrame = field(default_factory=_empty)


@dataclass(frozen=True)
class DaySpan:
    """Some days of one profile: ``row`` and the columns ``[first, stop)`` of the day matrices."""

    row: int
    first: int
    stop: int


def day_spans(windows: pd.DataFrame, profiles: np.ndarray, days: pd.DatetimeIndex) -> list[DaySpan]:
    """The days that some windows touch, by their first day; what lies outside ``days`` is left out.

    Examples
    --------
    >>> days = pd.date_range("2026-03-01", periods=4, freq="D", tz="UTC")
    >>> hours = pd.to_datetime(["2026-03-02 05:00", "2026-03-03 00:00"], utc=True)
    >>> one = pd.DataFrame({"profile_uid": ["b"], "start": hours[:1], "end": hours[1:]})
    >>> day_spans(one, np.array(["a", "b"]), days)
    [DaySpan(row=1, first=1, stop=2)]
    """
    rows = pd.Index(profiles).get_indexer(windows["profile_uid"])
    first = days.searchsorted(windows["start"].dt.as_unit(days.unit).dt.floor("D"))
    stop = days.searchsorted(windows["end"].dt.as_unit(days.unit), side="left")
    spans = [DaySpan(int(k), int(a), int(b)) for k, a, b in zip(rows, first, stop, strict=True) if k >= 0 and a < b]
    return sorted(spans, key=lambda s: (s.first, s.stop, s.row))


def inside(rows: pd.DataFrame, windows: pd.DataFrame) -> pd.Series:
    """Which rows (``profile_uid``, ``hour_s``: seconds since 1970) lie in a window ``[start, end)`` of their profile.

    Examples
    --------
    >>> rows = pd.DataFrame({"profile_uid": ["a", "a", "b"], "hour_s": [0, 3600, 0]})
    >>> first = pd.DataFrame({"profile_uid": ["a"], "start": pd.to_datetime([0], utc=True)})
    >>> inside(rows, first.assign(end=first["start"] + pd.Timedelta("1h"))).tolist()
    [True, False, False]
    """
    marks = pd.Series(False, index=rows.index)
    for profile_uid, low, high in _seconds(windows):
        marks |= (rows["profile_uid"] == profile_uid) & (rows["hour_s"] >= low) & (rows["hour_s"] < high)
    return marks


def shows_accepted_value(rows: pd.DataFrame, windows: pd.DataFrame) -> pd.Series:
    """Which rows hold a value that their profile showed in an accepted window, and are not earlier than that window.

    ``rows`` has ``profile_uid``, ``hour_s`` and ``value``.
    """
    marks = pd.Series(False, index=rows.index)
    for profile_uid, low, high in _seconds(windows):
        since = rows[(rows["profile_uid"] == profile_uid) & (rows["hour_s"] >= low)]
        shown = set(since.loc[since["hour_s"] < high, "value"])
        marks.loc[since.index[since["value"].isin(shown)]] = True
    return marks


def _seconds(windows: pd.DataFrame) -> list[tuple[str, int, int]]:
    """Windows as profile, first hour and end in seconds since 1970."""
    low = windows["start"].dt.floor("h").map(pd.Timestamp.timestamp)
    high = windows["end"].map(pd.Timestamp.timestamp)
    return [(str(p), int(a), int(b)) for p, a, b in zip(windows["profile_uid"], low, high, strict=True)]
