"""Retention: remove the events, and what was counted of them, of days that are older than the settings say.

Reads and writes  events, activity_*, fingerprint, deviations, scores; counts of what was removed (state.db).
How many events each removed day had is kept, so that the history of a token stays as long as it was, and the days of
the frozen reference keep their activity: what tokens are compared with is not lost by growing old.
"""

import json
from datetime import date, timedelta

from tokenkit.config import Workspace
from tokenkit.days import EVENTS_FROM, event_counts, extent
from tokenkit.maintenance.stages import stages_stay_current
from tokenkit.store import lake, state

DAILY = (
    "activity_hour", "activity_network", "activity_client", "activity_operation", "activity_transition",
    "activity_session", "activity_pair", "activity_object", "fingerprint", "deviations", "scores",
)  # fmt: skip


def apply(workspace: Workspace) -> list[str]:
    """Remove what is older than the settings say, counted from the newest day of the logs; say what was removed.

    To be called under the lock of the workspace, when the activity of all events has been counted.
    """
    kept, span = workspace.settings.retention, extent(workspace)
    if not kept.events_days or span is None:
        return []
    notes = [_remove_events(workspace, span[1] - timedelta(days=kept.events_days - 1))]
    if kept.activity_days:
        notes.append(_remove_activity(workspace, span[1] - timedelta(days=kept.activity_days - 1)))
    return [note for note in notes if note]


def _remove_events(workspace: Workspace, first: date) -> str:
    with state.connect(workspace.state) as db:
        first = max(first, date.fromisoformat(state.get_meta(db, EVENTS_FROM) or first.isoformat()))
    old = [day for day in lake.days(workspace.lake, "events") if day < first]
    if not old:
        return ""
    counts = event_counts(workspace)  # before any of them go: a removal that was killed has noted them already
    rows = [
        (source, day.isoformat(), n) for source, by_day in counts.items() for day, n in by_day.items() if day < first
    ]
    with state.connect(workspace.state) as db:
        db.executemany("insert or ignore into removed_days values (?, ?, ?)", rows)
        state.set_meta(db, EVENTS_FROM, first.isoformat())
    with stages_stay_current(workspace):
        removed = lake.delete_rows(workspace.lake, "events", f"day < date '{first}'")
    return f"retention: {removed:,} events of {len(old):,} days before {first} were removed (retention.events_days)"


def _remove_activity(workspace: Workspace, first: date) -> str:
    with state.connect(workspace.state) as db:
        frozen = state.get_meta(db, "reference")
    if not frozen:
        return ""  # until it is fixed, any day may become part of it
    begin, end = (date.fromisoformat(day) for day in json.loads(frozen))
    end += timedelta(days=workspace.settings.history.calibration_days)
    old = [d for d in lake.days(workspace.lake, "activity_hour") if d < first and not begin <= d < end]
    if not old:
        return ""
    condition = f"day < date '{first}' and (day < date '{begin}' or day >= date '{end}')"
    with stages_stay_current(workspace):
        for name in DAILY:
            lake.delete_rows(workspace.lake, name, condition)
        with state.connect(workspace.state) as db:
            db.execute("delete from removed_days where day < ? and (day < ? or day >= ?)",
                       [first.isoformat(), begin.isoformat(), end.isoformat()])  # fmt: skip
    return (
        f"retention: the activity of {len(old):,} days before {first} was removed (retention.activity_days); "
        f"the reference, {begin} to {end}, stays"
    )
