"""Answers: which label or suppression holds for an incident of a report.

Reads  Labels and flagged windows. Writes nothing.
An answer follows what it is about, and not an id: another budget, other weights or a late log may give the same theft
another first window, and so another id.
"""

import json
from collections.abc import Collection, Sequence
from typing import Any

import pandas as pd

from tokenkit.incidents.aliases import Alias, Extent, extent_of, extent_of_windows
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
    A label is about an incident if it was given under its id or one of its aliases, or if what was labelled meets it
    (``aliases.Extent``): another budget or a late log moves an incident's first window. Of several confirmed misuse
    counts, else the newest. A false alarm closes what goes on under its id; under another one only what was looked at,
    and only if all that earlier reports had of it was a false alarm. A suppression holds while every flagged window
    starts before its day.
    """
    first = windows.sort_values(["start", "end"]).iloc[0]
    about = _about(labels.table, windows, known_as)
    if about:
        row = next((row for row, _ in reversed(about) if row.verdict == "true_positive"), about[-1][0])
        closes = row.verdict == "false_positive" and _all_seen(about, windows, known_as, current)
        return _answer(row.verdict, row, row.label_uid, None, closes, False)
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


def extent_of_label(row: Any) -> Extent:
    """What was labelled: the period of a row of ``Labels.table``, and the channels that its incident had."""
    return extent_of(row.start, row.end, json.loads(row.record)["channels"])


def _about(table: pd.DataFrame, windows: pd.DataFrame, known_as: Sequence[Alias]) -> list[tuple[Any, Extent]]:
    """Verdicts about an incident in the order in which they were given, without those that a later one is about."""
    ids = {windows["incident_uid"].iloc[0], *(one.incident_uid for one in known_as)}
    mine = extent_of_windows(windows)
    found: list[tuple[Any, Extent]] = []
    for row in table[table["profile_uid"] == windows["profile_uid"].iloc[0]].itertuples():
        if row.accept or not pd.isna(row.expires):
            continue
        extent = extent_of_label(row)
        if row.incident_uid in ids or extent.meets(mine):
            found = [(earlier, of) for earlier, of in found if not of.meets(extent)]
            found.append((row, extent))
    return found


def _all_seen(
    about: list[tuple[Any, Extent]], windows: pd.DataFrame, known_as: Sequence[Alias], current: Collection[str]
) -> bool:  # fmt: skip
    """Whether a false alarm is all that there is to an incident: nobody is to miss what was never looked at."""
    (newest, seen), now = about[-1], extent_of_windows(windows)
    renamed = newest.incident_uid not in current and windows["start"].max() < seen.end and now.channels <= seen.channels
    return (newest.incident_uid == windows["incident_uid"].iloc[0] or renamed) and all(
        any(row.incident_uid == one.incident_uid or extent.meets(one.extent) for row, extent in about)
        for one in known_as
    )


def _answer(verdict: str, row: Any, uid: str, until: str | None, closes: bool, expired: bool) -> dict[str, Any]:
    return {
        "verdict": verdict, "who": row.who, "made_time": row.made_time, "reason": row.reason, "until": until,
        "uid": uid, "closes": closes, "expired": expired,
    }  # fmt: skip
