"""Periods: the days that a run or a notebook speaks of, from what was asked for and from what the lake holds.

Reads  the days of events, and the frozen reference of earlier runs (state.db). Writes nothing.
A few events of a wrong clock neither begin nor end anything: ``main_part`` finds the days between which the others lie.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from tokenkit.config import Engine, History, Workspace
from tokenkit.errors import InputError
from tokenkit.store import engine, lake, state

MIN_DAYS = 7  # of history, and of activity in the reference, before anything is judged on its own past
Span = tuple[date, date]
DAYS_A_QUERY, ROWS_A_QUERY = 30, 100_000  # what is worked on together (``in_groups``)
FIRST_REPORT_DAYS = 28
EVENTS_FROM = "events_from"  # in table meta of state.db: retention has removed the events of earlier days
# what a wrong clock may have written (``main_part``): fewer than MIN_DAYS days, each with a handful of events
HANDFUL = 6  # events a day; of busy logs a share of a median day instead
# of a median day: what lies weeks away from the others, what lies beyond a gap, and what lies next to them
WEEKS_SHARE, GAP_SHARE, NEAR_SHARE, LEAST_SHARE = 0.1, 0.01, 0.001, 0.2


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


def main_part(events: Mapping[date, int], gap_days: int = MIN_DAYS) -> Span:
    """The first and the last day (both included) of the days that hold together; a wrong clock may be outside.

    Left out at either end, where they are fewer than ``MIN_DAYS`` days: days beyond a gap that is unusually long for
    these days (more than ``gap_days``, and three times the usual gap), each with at most ``HANDFUL`` events or a
    hundredth of a median day, more than four weeks away a tenth; and days next to the others with at most ``HANDFUL``
    events or a thousandth of a median day, where even a quiet day has five times as many.

    Parameters
    ----------
    events : number of events by day, at least one day

    Examples
    --------
    >>> week = {date(2026, 3, day): 200 for day in range(2, 16)}
    >>> far = main_part(week | {date(2027, 3, 1): 1, date(2001, 1, 1): 2})
    >>> (far[0].isoformat(), far[1].isoformat()), main_part(week | {date(2026, 3, 16): 1})[1].isoformat()
    (('2026-03-02', '2026-03-15'), '2026-03-15')
    """
    days = np.array(sorted(day for day, n in events.items() if n), dtype="datetime64[D]")
    counts = np.array([events[day] for day in days.tolist()], dtype=np.int64)
    gaps = np.diff(days).astype(np.int64)
    usual_gap = int(np.sort(gaps)[(len(gaps) - 1) // 2]) if len(gaps) else 1
    part = np.concatenate([[0], np.cumsum(gaps > max(gap_days, 3 * usual_gap))])
    main = int(np.argmax(np.bincount(part, weights=counts)))
    median = float(np.median(counts[part == main]))
    first, last = np.flatnonzero(part == main)[[0, -1]].tolist()
    away = np.maximum(days[first] - days, days - days[last]).astype(np.int64)
    few = counts <= np.maximum(HANDFUL, np.where(away > FIRST_REPORT_DAYS, WEEKS_SHARE, GAP_SHARE) * median)
    # nothing is known of what is usual where those outside are nearly as many as those inside
    outside = counts[(part != main) & few].sum()
    few &= outside * 4 <= counts[part == main].sum()
    for parts, further in ((range(main + 1, int(part[-1]) + 1), 1), (range(main - 1, -1, -1), -1)):
        beyond = np.isin(part, list(parts))
        if beyond.any() and not (few[beyond].all() and beyond.sum() < MIN_DAYS):
            kept = np.flatnonzero(beyond & ~few) if beyond.sum() < MIN_DAYS else np.flatnonzero(beyond)
            first, last = (first, int(kept[-1])) if further > 0 else (int(kept[0]), last)
    inside = counts[first : last + 1]
    if len(inside) <= MIN_DAYS:
        return days[first].item(), days[last].item()
    quiet = LEAST_SHARE * float(np.quantile(inside, 0.1, method="higher"))
    odd = (counts <= max(HANDFUL, NEAR_SHARE * float(np.median(inside)))) & (counts < quiet)
    begin, end = first, last
    while begin < end and odd[begin]:
        begin += 1
    while end > begin and odd[end]:
        end -= 1
    first, last = begin if begin - first < MIN_DAYS else first, end if last - end < MIN_DAYS else last
    return days[first].item(), days[last].item()


def in_groups(days: Sequence[date], rows: Mapping[date, int]) -> list[list[date]]:
    """Group days that are to be worked on together: at most 30, or of quiet days as many as have 100,000 rows.

    Each query over the lake, and each commit to it, costs about the same for a day as for a month.

    Parameters
    ----------
    days : sorted
    rows : number of rows by day; a day that is not named has none

    Examples
    --------
    >>> days = [date(2026, 1, 1) + timedelta(n) for n in range(100)]
    >>> [len(group) for group in in_groups(days, {})]
    [100]
    >>> [len(group) for group in in_groups(days, dict.fromkeys(days, 2_000))]
    [50, 50]
    >>> [len(group) for group in in_groups(days, dict.fromkeys(days, 1_000_000))]
    [30, 30, 30, 10]
    """
    groups: list[list[date]] = []
    together = 0
    for day in days:
        together += rows.get(day, 0)
        if not groups or (len(groups[-1]) >= DAYS_A_QUERY and together > ROWS_A_QUERY):
            groups.append([])
            together = rows.get(day, 0)
        groups[-1].append(day)
    return groups


def extent(workspace: Workspace, today: date | None = None) -> Span | None:
    """The first and the last day (both included) on which the logs of a workspace begin and end; None without events.

    Each source says where its own logs begin and end, where it has ``MIN_DAYS`` days and more; and so do all together.
    Days after ``today`` (default: by this machine's clock) say nothing, unless there are no others, as in a simulation.
    """
    by_source = {source: dict(counts) for source, counts in event_counts(workspace).items()}
    every: Counter[date] = Counter()
    for counts in by_source.values():
        every.update(counts)
    if not every:
        return None
    today = today or datetime.now(UTC).date()
    if min(every) <= today:
        every = Counter({day: n for day, n in every.items() if day <= today})
    first, last = main_part(every)
    for counts in by_source.values():
        own = {day: n for day, n in counts.items() if day in every}
        if len(own) >= MIN_DAYS:
            begin, end = main_part(own)
            if sum(begin <= day <= end for day in own) >= MIN_DAYS:
                first, last = min(first, begin), max(last, end)
    return first, last


def begin_of_logs(workspace: Workspace) -> date | None:
    """The first day of the logs where a few events of a wrong clock, which make nothing known, lie before it."""
    span = extent(workspace)
    return span[0] if span and event_days(workspace)[0] < span[0] else None


def apart(workspace: Workspace) -> dict[date, dict[str, int]]:
    """Number of events by day and source that lie outside the extent of the logs, two days and more away from it.

    The day next to the logs may just have begun.
    """
    span, one = extent(workspace), timedelta(days=1)
    days: dict[date, dict[str, int]] = {}
    for source, counts in event_counts(workspace).items():
        for day, n in counts.items():
            if span and not span[0] - one <= day <= span[1] + one:
                days.setdefault(day, {})[source] = n
    return dict(sorted(days.items()))


def event_counts(workspace: Workspace) -> dict[str, dict[date, int]]:
    """Number of events by source and day: of those stored, and of those that retention removed after counting them."""
    version = lake.version(workspace.lake, "events")
    if version is None:
        return {}
    engine_settings = workspace.settings.engine.model_dump_json()
    stored = _event_counts(workspace.lake, workspace.scratch, engine_settings, lake.digest(workspace.lake, ["events"]))
    with state.connect(workspace.state) as db:
        kept_from = state.get_meta(db, EVENTS_FROM)
        removed = db.execute("select source, day, events from removed_days order by day").fetchall()
    if kept_from is None:
        return stored
    counts: dict[str, dict[date, int]] = {}
    for row in removed:
        counts.setdefault(row["source"], {})[date.fromisoformat(row["day"])] = row["events"]
    for source, by_day in stored.items():
        counts.setdefault(source, {}).update({day: n for day, n in by_day.items() if day.isoformat() >= kept_from})
    return counts


def event_days(workspace: Workspace) -> list[date]:
    """The days that have events, in order, also those whose events retention removed after counting them."""
    return sorted({day for counts in event_counts(workspace).values() for day in counts})


@lru_cache(maxsize=16)
def _event_counts(root: Path, scratch: Path, engine_settings: str, digest: str) -> dict[str, dict[date, int]]:
    known, of_several = lake.rows_by_value(root, "events", "source")
    counts: dict[str, dict[date, int]] = {}
    if of_several:
        with engine.connect(Engine.model_validate_json(engine_settings), scratch) as connection:
            first, end = min(of_several), max(of_several) + timedelta(days=1)
            lake.scan(connection, root, "events", first, end).create_view("e")
            rows = connection.sql("select source, day, count(*) from e group by all").fetchall()
        known |= {(source, day): n for source, day, n in rows if day in of_several}
    for source, day in sorted(known):
        counts.setdefault(source, {})[day] = known[source, day]
    return counts


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

    A few events far from all others (``extent``) begin and end nothing, unless ``start`` and ``end`` name their days.

    Raises
    ------
    InputError
        There are no events, none in the period, or ``start`` is not before ``end``.
    """
    days = event_days(workspace)
    span = extent(workspace)
    if not days or span is None:
        raise InputError(
            f"{workspace.lake}: there are no events yet. Read some: tokenkit ingest PATH, or tokenkit run --events PATH"
        )
    first = days[0] if end and end <= span[0] else span[0]
    last = days[-1] if start and start > span[1] else span[1]
    with state.connect(workspace.state) as db:
        saved = state.get_meta(db, "reference")
    frozen = tuple(date.fromisoformat(d) for d in json.loads(saved)) if saved else None
    # one that ends outside of the logs was fixed by a version that took the days of a wrong clock for theirs; one that
    # begins before them stays, since where quiet first days end is seen better the longer the logs are
    if frozen and not first < frozen[1] <= last:
        frozen = None
    periods = plan_for(first, last, start, end, workspace.settings.history, frozen)  # type: ignore[arg-type]
    begin = periods.reference[0] if periods.reference else periods.start
    if not any(begin <= day < periods.end for day in days):
        raise InputError(
            f"there are no events from {begin} to {periods.end}, the reported days and those before them that they are"
            f" compared with: the lake holds {span[0]} to {span[1]}"
        )
    return periods


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
