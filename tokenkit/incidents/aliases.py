"""Aliases: the ids under which earlier reports had an incident.

Reads  incidents, runs (state.db). Writes nothing.
An incident's id is that of its first flagged window. Another budget, other weights or a late log may move that window,
or join two incidents. What earlier reports called it stays known, so that answers and actions are found again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from tokenkit.config import Workspace
from tokenkit.store import state


@dataclass(frozen=True)
class Alias:
    """An id that an earlier report gave to an incident, and the time that it had there."""

    incident_uid: str
    start: pd.Timestamp
    end: pd.Timestamp


def aliases(workspace: Workspace, windows: pd.DataFrame, run_uid: str = "") -> dict[str, list[Alias]]:
    """What earlier reports called the incidents of a run: those of the same profile that they overlap.

    Parameters
    ----------
    windows : flagged windows: ``incident_uid``, ``profile_uid``, ``start``, ``end`` (datetime64[UTC], half-open)
    run_uid : of the report that is made; it and later ones are left out, so that it can be made again

    Returns
    -------
    dict of incident_uid to aliases, the newest first
        An id that an incident of ``windows`` has now is no alias of another one.
    """
    spans = windows.groupby("incident_uid").agg(
        profile_uid=("profile_uid", "first"), start=("start", "min"), end=("end", "max")
    )
    if spans.empty:
        return {}
    found: dict[str, dict[str, Alias]] = {uid: {} for uid in spans.index}
    of_profile = spans.groupby("profile_uid").groups
    for profile_uid, one in _recorded(workspace, spans, run_uid):
        for uid in of_profile[profile_uid]:
            overlaps = one.start < spans.at[uid, "end"] and one.end > spans.at[uid, "start"]
            if overlaps and one.incident_uid not in found:
                found[uid].setdefault(one.incident_uid, one)
    return {uid: list(of_incident.values()) for uid, of_incident in found.items() if of_incident}


def _recorded(workspace: Workspace, spans: pd.DataFrame, run_uid: str) -> list[tuple[str, Alias]]:
    """The incidents of these profiles in earlier reports that may overlap, with their profiles, the newest first."""
    with state.connect(workspace.state) as db:
        rows = db.execute(
            "select i.profile_uid, i.incident_uid, json_extract(i.record, '$.start'), json_extract(i.record, '$.end')"
            " from incidents i join runs r using (run_uid)"
            " where i.profile_uid in (select value from json_each(?)) and r.end > ? and r.run_uid <> ?"
            " and r.number < coalesce((select number from runs where run_uid = ?), 1e18) order by r.number desc",
            [json.dumps(sorted(set(spans["profile_uid"]))), spans["start"].min().date().isoformat(), run_uid, run_uid],
        ).fetchall()
    return [(r[0], Alias(r[1], pd.Timestamp(r[2]), pd.Timestamp(r[3]))) for r in rows if r[2] and r[3]]


def ids(record: Mapping[str, object]) -> list[str]:
    """The id of an incident, and its aliases.

    Examples
    --------
    >>> ids({"incident_uid": "inc1_a", "aliases": ["inc1_b"]})
    ['inc1_a', 'inc1_b']
    """
    known = record.get("aliases")
    return [str(record["incident_uid"]), *(known if isinstance(known, list) else ())]
