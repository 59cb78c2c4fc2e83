"""Where logs begin and end: a few events of a wrong clock decide neither, whatever they say."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import raw_logs
from hypothesis import given
from hypothesis import strategies as st
from raw_logs import cloudtrail, moment, nginx

from tokenkit.config import Workspace
from tokenkit.days import apart, extent, main_part, periods_of
from tokenkit.errors import InputError
from tokenkit.run import end_of_last_report
from tokenkit.store import state

MONDAY = date(2026, 1, 5)


def daily(counts: list[int], first: date = MONDAY) -> dict[date, int]:
    """Number of events by day, of the days from the first on; none where it is 0."""
    return {first + timedelta(day): n for day, n in enumerate(counts) if n}


def span(counts: dict[date, int], first: date = MONDAY) -> tuple[int, int]:
    begin, end = main_part(counts)
    return (begin - first).days, (end - first).days


@pytest.mark.parametrize("ahead", [1, 2, 3, 7, 8, 20, 60, 365, 5000, -1, -3, -20, -365, -9000])
@pytest.mark.parametrize("calls", [1, 3])
def test_a_handful_of_a_day_beyond_the_others_neither_begins_nor_ends_them(ahead: int, calls: int) -> None:
    counts = daily([200] * 40)
    day = MONDAY + timedelta(39 + ahead if ahead > 0 else ahead)
    assert span(counts | {day: calls}) == (0, 39)


@given(st.lists(st.integers(-9000, 20000), max_size=6))
def test_six_events_of_any_days_move_neither_end(offsets: list[int]) -> None:
    counts = daily([150, 210, 180, 200, 190, 60, 50] * 7)
    for offset in offsets:
        day = MONDAY + timedelta(offset)
        counts[day] = counts.get(day, 0) + 1
    assert span(counts) == (0, 48)


@pytest.mark.parametrize(
    "counts",
    [
        [1] * 30,  # one call a day
        [1, 0, 0, 0, 0, 0, 0] * 9 + [1],  # one a week
        ([1] + [0] * 29) * 6 + [1],  # one a month
        [500] * 40 + [0] * 10 + [480] * 2,  # logs were missing, and are back
        [500] * 40 + [0] * 10 + [300],
        [500] * 40 + [2] * 10,  # nearly everything was switched off
        [3] * 10 + [500] * 30,  # it began small
        [400, 400, 400, 400, 400, 10, 8] * 6,  # ends with a quiet weekend
        [200] * 40 + [20],  # the last day has only begun
        [7, 300],
        [300, 1],
        [1],
    ],
)
def test_quiet_times_new_beginnings_and_rare_calls_are_no_wrong_clock(counts: list[int]) -> None:
    assert span(daily(counts)) == (0, len(counts) - 1)


def test_a_machine_whose_clock_is_weeks_ahead_for_days_ends_nothing() -> None:
    assert span(daily([200] * 40 + [0] * 40 + [12, 15, 9])) == (0, 39)


def test_two_days_far_from_each_other_are_both_kept() -> None:
    assert span(daily([5] + [0] * 400 + [5])) == (0, 401)


# in a lake: what an earlier version stored of a wrong clock


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    place = raw_logs.workspace(tmp_path / "w")
    place.settings.ingest.future_hours = 1e9
    place.settings.ingest.past_days = 10**6
    return place


def stored(place: Workspace, tmp_path: Path, *more: dict[str, Any]) -> Workspace:
    """Thirty days of one source, and some odd records, stored as they are."""
    calls = [nginx(f"{day}-{n}", moment(day, 8 + n)) for day in range(30) for n in range(6)]
    for name, records in (("calls", calls), ("odd", more)):
        if records:
            raw_logs.read(place, raw_logs.write(tmp_path / f"{name}.log", records))
    return place


ODD = [datetime(2027, 6, 1, tzinfo=UTC), datetime(2098, 1, 1, tzinfo=UTC), datetime(2001, 1, 1, tzinfo=UTC),
       moment(33), moment(90), moment(-3), moment(-50)]  # fmt: skip


@pytest.mark.parametrize("when", ODD)
def test_an_event_of_a_wrong_clock_that_is_stored_moves_no_period(
    place: Workspace, tmp_path: Path, when: datetime
) -> None:
    good = repr(periods_of(stored(place, tmp_path)))
    raw_logs.read(place, raw_logs.write(tmp_path / "odd.log", [nginx("odd", when)]))
    assert repr(periods_of(place)) == good
    assert apart(place) == {when.date(): {"nginx": 1}}
    assert end_of_last_report(place) == ""


def test_a_day_that_has_only_begun_is_not_called_a_wrong_clock(place: Workspace, tmp_path: Path) -> None:
    assert apart(stored(place, tmp_path, nginx("early", moment(30)))) == {}


def test_days_that_are_named_are_judged_whatever_they_hold(place: Workspace, tmp_path: Path) -> None:
    stored(place, tmp_path, nginx("late", moment(90)), nginx("old", datetime(2001, 1, 1, tzinfo=UTC)))
    late = periods_of(place, moment(90).date(), moment(91).date())
    assert (late.start, late.end, late.first) == (moment(90).date(), moment(91).date(), moment(0).date())
    assert periods_of(place, None, date(2001, 1, 2)).end == date(2001, 1, 2)


def test_days_without_any_event_before_them_are_refused_in_words(place: Workspace, tmp_path: Path) -> None:
    stored(place, tmp_path, nginx("late", datetime(2027, 6, 1, tzinfo=UTC)))
    with pytest.raises(InputError, match=r"there are no events from .* the lake holds 2026-03-02 to 2026-03-31"):
        periods_of(place, date(2026, 10, 2), date(2026, 10, 30))


def test_a_source_that_goes_on_ends_the_logs_though_another_is_larger(place: Workspace, tmp_path: Path) -> None:
    stored(place, tmp_path)
    trail = [cloudtrail(f"{day}", moment(day)) for day in range(20, 45)]
    raw_logs.read(place, raw_logs.write(tmp_path / "t.json", trail))
    assert extent(place) == (moment(0).date(), moment(44).date()) and apart(place) == {}


def test_a_thief_s_days_after_a_holiday_are_judged() -> None:
    begin = date(2026, 3, 2)
    busy = {begin + timedelta(days=n): 300 for n in range(60)}
    thief = {begin + timedelta(days=68 + n): 30 for n in range(6)}
    assert main_part(busy | thief) == (begin, max(thief))


def test_a_frozen_reference_stays_where_quiet_first_days_are_seen_later(place: Workspace, tmp_path: Path) -> None:
    def calls(first: int, end: int) -> list[dict[str, Any]]:
        return [nginx(f"{day}-{n}", moment(day, n)) for day in range(first, end) for n in range(20 if day >= 6 else 3)]

    raw_logs.read(place, raw_logs.write(tmp_path / "a.log", calls(0, 43)))
    fixed = periods_of(place, moment(42).date()).reference
    assert fixed == (moment(0).date(), moment(28).date())
    with state.connect(place.state) as db:
        state.set_meta(db, "reference", json.dumps([day.isoformat() for day in fixed]))
    for first, end in ((43, 57), (57, 80), (80, 120)):
        raw_logs.read(place, raw_logs.write(tmp_path / f"{first}.log", calls(first, end)))
        assert periods_of(place, moment(end - 1).date()).reference == fixed


def test_a_simulation_whose_days_have_not_come_yet_is_judged_by_its_own_days(place: Workspace, tmp_path: Path) -> None:
    calls = [nginx(f"{day}-{n}", moment(20_000 + day, n)) for day in range(30) for n in range(6)]
    raw_logs.read(place, raw_logs.write(tmp_path / "calls.log", calls))
    assert extent(place) == (moment(20_000).date(), moment(20_029).date())


def test_a_report_and_a_reference_of_a_moved_period_are_not_gone_on_from(place: Workspace, tmp_path: Path) -> None:
    good = repr(periods_of(stored(place, tmp_path, nginx("odd", moment(90)))))
    with state.connect(place.state) as db:
        state.save_run(db, "good", "2026-03-20", "2026-03-25", {})
        state.save_run(db, "moved", "2026-05-01", "2026-06-01", {})
        state.set_meta(db, "reference", json.dumps(["2026-04-10", "2026-05-08"]))
    assert end_of_last_report(place) == "2026-03-25"
    assert repr(periods_of(place)) == good


def test_what_only_a_wrong_clock_saw_is_new_when_it_comes(place: Workspace, tmp_path: Path) -> None:
    stored(place, tmp_path, nginx("odd", datetime(2001, 1, 1, tzinfo=UTC), uri="/v1/orders/99"),
           nginx("now", moment(20, 9), uri="/v1/orders/99"))  # fmt: skip
    raw_logs.form(place)
    seen = raw_logs.table(place, "seen")
    assert seen["first_day"].min().date() == moment(0).date()
    daily = raw_logs.table(place, "fingerprint").query("window == 'day'").set_index("day")
    assert len(daily) == 30 and daily["age_days"].max() == 29
