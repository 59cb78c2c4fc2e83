"""Periods: the days that a run or a notebook speaks of, from what was asked for and from what the lake holds.

Reads  the days of events, and the frozen reference of earlier runs (state.db). Writes nothing.
"""

import json
from datetime import UTC, date, datetime, timedelta

from tokenkit import baseline, lake, state
from tokenkit.baseline import Periods
from tokenkit.config import History, Workspace
from tokenkit.errors import InputError

Span = tuple[date, date]
FIRST_REPORT_DAYS = 28


def day_of(value: str | date, name: str) -> date | None:
    """A day from what a person or a notebook gave; empty is None.

    Raises
    ------
    InputError
        It is no day.

    Examples
    --------
    >>> day_of("2026-03-01T23:30:00-05:00", "start"), day_of("", "end")
    (datetime.date(2026, 3, 2), None)
    """
    if not value:
        return None
    if isinstance(value, datetime):  # a pandas Timestamp too
        return (value.astimezone(UTC) if value.tzinfo else value).date()
    if isinstance(value, date):
        return value
    try:
        moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError as error:
        raise InputError(f"{name} is {value!r}, expected a day such as 2026-03-01 (UTC)") from error
    return (moment.astimezone(UTC) if moment.tzinfo else moment).date()


def periods_of(workspace: Workspace, start: date | None = None, end: date | None = None) -> Periods:
    """The days of a run: reported, calibration and reference.

    Raises
    ------
    InputError
        There are no events, none in the period, or ``start`` is not before ``end``.
    """
    days = sorted(lake.days(workspace.lake, "events"))
    if not days:
        raise InputError(
            f"{workspace.lake}: there are no events yet. Read some: tokenkit ingest PATH, or tokenkit run --events PATH"
        )
    with state.connect(workspace.state) as db:
        saved = state.get_meta(db, "reference")
    frozen = tuple(date.fromisoformat(d) for d in json.loads(saved)) if saved else None
    return plan_for(days[0], days[-1], start, end, workspace.settings.history, frozen)  # type: ignore[arg-type]


def plan_for(
    first: date, last: date, start: date | None, end: date | None, history: History, frozen: Span | None = None
) -> Periods:
    """The same from the first and the last day that there are (both included).

    Without ``start`` the newest days that can be judged: at most 28 where the history is long enough, else one.

    Examples
    --------
    >>> periods = plan_for(date(2026, 1, 1), date(2026, 3, 1), None, None, History())
    >>> periods.start.isoformat(), periods.end.isoformat()
    ('2026-02-12', '2026-03-02')
    """
    today = datetime.now(UTC).date()
    newest = min(last + timedelta(days=1), max(today, first + timedelta(days=1)))
    end = end or newest
    if start and start >= end:
        raise InputError(f"start ({start}) must be before end ({end}); both are UTC days, and the end is not included")
    if end <= first or (start and start > last):
        raise InputError(f"there are no events in the period: the lake holds {first} to {last}")
    full = history.reference_days + history.calibration_days
    if start is None:
        known = (end - first).days
        if known > full:
            start = max(first + timedelta(days=full), end - timedelta(days=FIRST_REPORT_DAYS))
        else:
            start = end - timedelta(days=1) if known > baseline.MIN_DAYS else first
    return baseline.plan(first, start, end, history, frozen)
