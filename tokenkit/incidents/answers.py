"""Answers: which label or suppression holds for an incident of a report.

Reads  Labels and flagged windows. Writes nothing.
An answer follows what it is about, and not an id: another budget, other weights or a late log may give the same theft
another first window, and so another id.
"""

from collections.abc import Collection, Sequence
from typing import Any

import pandas as pd

from tokenkit.incidents.aliases import Alias
from tokenkit.incidents.labels import Labels


def answer_of(
    labels: Labels, windows: pd.DataFrame, known_as: Sequence[Alias] = (), current: Collection[str] = ()
) -> dict[str, Any] | None:  # fmt: skip
    """The label or suppression that holds for one incident, or None.

    Parameters
    ----------
    windows : its flagged windows: ``incident_uid``, ``profile_uid``, ``channel``, ``start``, ``end``
    known_as : what earlier reports called it
    current : the ids of all incidents of this report

    Returns
    -------
    dict
        ``verdict`` (one of ``VERDICTS``, or ``suppressed``), ``who``, ``made_time``, ``reason``, ``until`` (or None),
        ``uid`` of the label or suppression, ``closes`` (bool: it leaves the main list) and ``expired`` (bool).

    Notes
    -----
    A label is about an incident if it was given under its id or one of its aliases, or if their times overlap: another
    budget or a late log moves an incident's first window. Of several confirmed misuse counts, else the newest. A false
    alarm closes what goes on under its id; under another one only if nothing came after what was seen, and if all that
    earlier reports had of it was a false alarm. A suppression holds while every flagged window starts before its day.
    """
    first = windows.sort_values(["start", "end"]).iloc[0]
    about = _about(labels.table, windows, known_as)
    if len(about):
        confirmed = about[about["verdict"] == "true_positive"]
        row = (confirmed if len(confirmed) else about).iloc[-1]
        closes = row["verdict"] == "false_positive" and _all_seen(about, windows, known_as, current)
        return _answer(row["verdict"], row, row["label_uid"], None, closes, False)
    suppressed = labels.suppressions[labels.suppressions["profile_uid"] == first["profile_uid"]]
    left = pd.Series(True, index=windows.index)
    ended = None
    for row in suppressed.itertuples():
        concerned = (windows["channel"] == row.channel) if row.channel else pd.Series(True, index=windows.index)
        inside = concerned & (windows["start"] < pd.Timestamp(row.until, tz="UTC"))
        left &= ~inside
        ended = row if inside.any() else ended
        if not left.any():
            return _answer("suppressed", row, row.suppression_uid, row.until, True, False)
    if ended is None:
        return None
    return _answer("suppressed", ended, ended.suppression_uid, ended.until, False, not ended.channel)


def _about(table: pd.DataFrame, windows: pd.DataFrame, known_as: Sequence[Alias]) -> pd.DataFrame:
    """Verdicts about an incident in the order in which they were given, without those that a later one is about."""
    start, end = windows["start"].min(), windows["end"].max()
    rows = table[table["profile_uid"] == windows["profile_uid"].iloc[0]]
    rows = rows[~rows["accept"].astype(bool) & rows["expires"].isna()]
    rows = rows.assign(**{name: pd.to_datetime(rows[name], utc=True) for name in ("start", "end")})
    ids = {windows["incident_uid"].iloc[0], *(one.incident_uid for one in known_as)}
    rows = rows[rows["incident_uid"].isin(ids) | ((rows["start"] < end) & (rows["end"] > start))]
    last = [
        not any((later["start"] < row.end) & (later["end"] > row.start))
        for n, row in enumerate(rows.itertuples(), 1)
        for later in [rows.iloc[n:]]
    ]
    return rows[last]


def _all_seen(
    about: pd.DataFrame, windows: pd.DataFrame, known_as: Sequence[Alias], current: Collection[str]
) -> bool:  # fmt: skip
    """Whether a false alarm is all that there is to an incident: nobody is to miss what was never looked at."""
    newest, uid = about.iloc[-1], windows["incident_uid"].iloc[0]
    renamed = newest["incident_uid"] not in current and windows["start"].max() < newest["end"]
    return (newest["incident_uid"] == uid or bool(renamed)) and all(
        any((about["incident_uid"] == one.incident_uid) | ((about["start"] < one.end) & (about["end"] > one.start)))
        for one in known_as
    )


def _answer(verdict: str, row: Any, uid: str, until: str | None, closes: bool, expired: bool) -> dict[str, Any]:
    return {
        "verdict": verdict, "who": row.who, "made_time": row.made_time, "reason": row.reason, "until": until,
        "uid": uid, "closes": bool(closes), "expired": expired,
    }  # fmt: skip
