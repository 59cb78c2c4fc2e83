"""Aliases: the ids under which earlier reports had an incident.

Reads  incidents, runs (state.db). Writes nothing.
An incident's id is that of its first flagged window. Another budget, other weights or a late log may move that window,
or join two incidents. What earlier reports called it stays known, so that answers and actions are found again.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tokenkit.channels import gaps as known_gaps
from tokenkit.config import Workspace
from tokenkit.incidents.merge import SAME_SIGNS
from tokenkit.store import state


@dataclass(frozen=True)
class Extent:
    """When something was flagged, ``[start, end)`` in UTC, and by which channels: an hour's counts as its day's.

    ``told_by`` are those that make it what it is: without what goes on for weeks (``merge``) where there are others,
    since that belongs to whatever began last, and would make a theft in the midst of a drift look like that drift.
    """

    start: pd.Timestamp
    end: pd.Timestamp
    channels: frozenset[str]
    told_by: frozenset[str]

    def meets(self, other: "Extent") -> bool:
        """Whether both are about the same: their times overlap, and a channel that makes one makes the other."""
        return self.start < other.end and self.end > other.start and bool(self.told_by & other.told_by)


@dataclass(frozen=True)
class Alias:
    """An id that an earlier report gave to an incident, and the extent that it had there."""

    incident_uid: str
    extent: Extent


def extent_of(start: Any, end: Any, channels: Iterable[str]) -> Extent:
    """The extent between two moments (timestamps, or ISO 8601 text).

    Examples
    --------
    >>> hour = extent_of("2026-03-01T02:00:00Z", "2026-03-01T03:00:00Z", ["point_hour"])
    >>> day = extent_of("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z", ["point_day"])
    >>> drift = extent_of("2026-02-20T00:00:00Z", "2026-03-09T00:00:00Z", ["drift_amounts"])
    >>> hour.meets(day), drift.meets(day)
    (True, False)
    """
    every, gaps = frozenset(SAME_SIGNS.get(channel, channel) for channel in channels), known_gaps()
    sudden = frozenset(channel for channel in every if gaps.get(channel, 1) <= 1)
    return Extent(pd.Timestamp(start), pd.Timestamp(end), every, sudden or every)


def extent_of_windows(windows: pd.DataFrame) -> Extent:
    """The extent of the flagged windows of one incident: ``start``, ``end``, ``channel``."""
    return extent_of(windows["start"].min(), windows["end"].max(), windows["channel"].unique())


def aliases(workspace: Workspace, windows: pd.DataFrame, run_uid: str = "") -> dict[str, list[Alias]]:
    """What earlier reports called the incidents of a run: those of the same profile that they meet (``Extent``).

    Parameters
    ----------
    windows : flagged windows: ``incident_uid``, ``profile_uid``, ``channel``, ``start``, ``end`` (datetime64[UTC],
        half-open)
    run_uid : of the report that is made; it and later ones are left out, so that it can be made again

    Returns
    -------
    dict of incident_uid to aliases, the newest first
        An id that an incident of ``windows`` has now is no alias of another one.
    """
    groups = {str(uid): its for uid, its in windows.groupby("incident_uid")}
    if not groups:
        return {}
    extents = {uid: extent_of_windows(its) for uid, its in groups.items()}
    of_profile: dict[str, list[str]] = {}
    for uid, its in groups.items():
        of_profile.setdefault(its["profile_uid"].iloc[0], []).append(uid)
    found: dict[str, dict[str, Alias]] = {}
    since = min(extent.start for extent in extents.values())
    for profile_uid, one in _recorded(workspace, list(of_profile), since, run_uid):
        for uid in of_profile[profile_uid]:
            if one.incident_uid not in groups and one.extent.meets(extents[uid]):
                found.setdefault(uid, {}).setdefault(one.incident_uid, one)
    return {uid: list(of_incident.values()) for uid, of_incident in found.items()}


def _recorded(
    workspace: Workspace, profiles: list[str], since: pd.Timestamp, run_uid: str
) -> list[tuple[str, Alias]]:  # fmt: skip
    """The incidents of these profiles in earlier reports that end after a moment, the newest report first."""
    span = ", ".join(f"json_extract(i.record, '$.{name}')" for name in ("start", "end", "channels"))
    with state.connect(workspace.state) as db:
        rows = db.execute(
            f"select i.profile_uid, i.incident_uid, {span}"
            " from incidents i join runs r using (run_uid)"
            " where i.profile_uid in (select value from json_each(?)) and r.end > ? and r.run_uid <> ?"
            " and r.number < coalesce((select number from runs where run_uid = ?), 1e18) order by r.number desc",
            [json.dumps(sorted(profiles)), since.date().isoformat(), run_uid, run_uid],
        ).fetchall()
    return [
        (profile_uid, Alias(uid, extent_of(start, end, json.loads(channels))))
        for profile_uid, uid, start, end, channels in rows
    ]


def ids(record: Mapping[str, object]) -> list[str]:
    """The id of an incident, and its aliases.

    Examples
    --------
    >>> ids({"incident_uid": "inc1_a", "aliases": ["inc1_b"]})
    ['inc1_a', 'inc1_b']
    """
    known = record.get("aliases")  # an earlier version kept none
    return [str(record["incident_uid"]), *(known if isinstance(known, list) else ())]
