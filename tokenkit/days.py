"""Periods: the days that a run or a notebook speaks of, from what was asked for and from what the lake holds.

Reads  the days of events, and the frozen reference of earlier runs (state.db). Writes nothing.
"""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pandas as pd

from tokenkit.config import History, Workspace
from tokenkit.errors import InputError
from tokenkit.store import lake, state

MIN_DAYS = 7  # of history, and of activity in the reference, before anything is judged on its own past
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


@dataclass(frozen=True)
class Periods:
    """The days a run speaks of, each half-open. ``reference`` and ``calibration`` are None where history is short."""

    start: date
    end: date
    first: date
    reference: tuple[date, date] | None
    calibration: tuple[date, date] | None

    @property
    def provisional(self) -> bool:
        """Whether thresholds could not be set on a week of days after the reference."""
        return self.reference is not None and self.calibration is None

    @property
    def learning(self) -> Span:
        """The days that detectors are fitted on: the calibration days, or none where history is too short for them."""
        return self.calibration or (self.start, self.start)

    @property
    def first_scored(self) -> date:
        """The first day that is scored: thresholds are set on the scores from here on."""
        return self.learning[0]

    @property
    def scored_days(self) -> pd.DatetimeIndex:
        """The days that are scored (UTC): the calibration days and those after them, to the end of the report."""
        return pd.date_range(self.first_scored, self.end, freq="D", inclusive="left", tz="UTC").as_unit("us")


def plan(first: date, start: date, end: date, history: History, frozen: tuple[date, date] | None = None) -> Periods:
    """Lay reference and calibration before the reported days.

    Parameters
    ----------
    first : first day with events
    start, end : reported days, half-open
    history : lengths asked for
    frozen : a reference fixed by an earlier run, kept where it is full length and lies a week before ``start``

    Examples
    --------
    >>> day = date(2026, 1, 1)
    >>> p = plan(day, day + timedelta(42), day + timedelta(60), History())
    >>> (p.reference[1] - p.reference[0]).days, (p.calibration[1] - p.calibration[0]).days
    (28, 14)
    >>> plan(day, day + timedelta(5), day + timedelta(6), History()).reference is None
    True
    """
    past = (start - first).days
    if past < MIN_DAYS:
        return Periods(start, end, first, None, None)
    if past < 2 * MIN_DAYS:
        return Periods(start, end, first, (first, start), None)
    calibration_days = min(max(past - history.reference_days, MIN_DAYS), history.calibration_days)
    reference_days = min(history.reference_days, past - calibration_days)
    planned_end = start - timedelta(days=calibration_days)
    reference = (planned_end - timedelta(days=reference_days), planned_end)
    if frozen and (frozen[1] - frozen[0]).days >= reference_days and (start - frozen[1]).days >= MIN_DAYS:
        reference = frozen
    end_of_calibration = min(start, reference[1] + timedelta(days=history.calibration_days))
    return Periods(start, end, first, reference, (reference[1], end_of_calibration))


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
            start = end - timedelta(days=1) if known > MIN_DAYS else first
    return plan(first, start, end, history, frozen)
