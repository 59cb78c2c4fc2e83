"""What is older than the settings say is removed and counted; what tokens are compared with is not lost by that."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
import raw_logs
from maintenance_example import content
from raw_logs import day_of, moment, nginx

from tokenkit import activity, config, fingerprint
from tokenkit.config import Retention, Workspace
from tokenkit.days import event_days, extent, periods_of
from tokenkit.errors import ConfigError
from tokenkit.ingest.forgotten import TOO_OLD
from tokenkit.maintenance import retention
from tokenkit.maintenance.status import status
from tokenkit.store import lake, state

DAYS = 120


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace of 120 days, whose reference has been frozen; not to be changed."""
    place = raw_logs.workspace(tmp_path_factory.mktemp("long") / "w")
    calls = [nginx(f"r{day}-{n}", moment(day=day, hour=n), uri=f"/v1/{day}") for day in range(DAYS) for n in range(10)]
    raw_logs.form(place, raw_logs.write(place.root.parent / "a.log", calls))
    with state.connect(place.state) as db:
        state.set_meta(db, "reference", json.dumps([day_of(10).isoformat(), day_of(38).isoformat()]))
    return place


def with_retention(place: Workspace, folder: Path, **days: int) -> Workspace:
    shutil.copytree(place.root, folder / "w")
    opened = config.init(folder / "w")
    settings = opened.settings.model_copy(update={"retention": Retention(**days)})
    return Workspace(opened.root, settings)


def test_old_events_go_and_are_counted_and_what_was_counted_of_them_stays(long: Workspace, tmp_path: Path) -> None:
    place = with_retention(long, tmp_path, events_days=40)
    before, periods = content(place), periods_of(place)
    assert retention.apply(place) == [
        f"retention: 800 events of 80 days before {day_of(80)} were removed (retention.events_days)"
    ]
    assert sorted(lake.days(place.lake, "events")) == [day_of(n) for n in range(80, DAYS)]
    assert (status(place).events, status(place).removed_events) == (400, 800)
    assert {**content(place), "events": []} == {**before, "events": []}
    assert (activity.build(place), fingerprint.build(place)) == (0, 0)
    assert periods_of(place) == periods and extent(place) == (day_of(0), day_of(DAYS - 1))
    assert periods.reference == (day_of(10), day_of(38))
    assert retention.apply(place) == []


def test_old_activity_goes_except_for_the_days_of_the_frozen_reference(long: Workspace, tmp_path: Path) -> None:
    place = with_retention(long, tmp_path, events_days=40, activity_days=90)
    periods = periods_of(place)
    (_, note) = retention.apply(place)
    assert note.startswith(f"retention: the activity of 10 days before {day_of(30)} was removed")
    assert f"the reference, {day_of(10)} to {day_of(52)}, stays" in note
    kept = [day_of(n) for n in range(10, DAYS)]
    assert sorted(lake.days(place.lake, "activity_hour")) == sorted(lake.days(place.lake, "fingerprint")) == kept
    assert event_days(place) == kept and periods_of(place).reference == periods.reference
    assert (activity.build(place), fingerprint.build(place)) == (0, 0)


def test_activity_stays_whole_until_a_reference_is_frozen(long: Workspace, tmp_path: Path) -> None:
    place = with_retention(long, tmp_path, events_days=40, activity_days=90)
    with state.connect(place.state) as db:
        db.execute("delete from meta where name = 'reference'")
    assert len(retention.apply(place)) == 1 and len(lake.days(place.lake, "activity_hour")) == DAYS


def test_a_late_call_of_a_day_that_is_gone_does_not_replace_what_was_counted_of_it(
    long: Workspace, tmp_path: Path
) -> None:
    place = with_retention(long, tmp_path, events_days=40)
    retention.apply(place)
    late = [nginx("late", moment(day=3)), nginx("new", moment(day=DAYS))]
    counts = raw_logs.read(place, raw_logs.write(tmp_path / "b.log", late))
    assert (counts.read, counts.stored, counts.ignored) == (2, 1, 1)
    assert json.loads(raw_logs.files_of(place)[1]["ignored_rules"]) == {TOO_OLD: 1}
    before = lake.days(place.lake, "activity_hour")[day_of(3)]
    activity.build(place)
    assert lake.days(place.lake, "activity_hour")[day_of(3)] == before


def test_a_removal_that_was_killed_is_taken_up_and_counts_each_event_once(
    long: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = with_retention(long, tmp_path, events_days=40)

    def killed(*arguments: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(lake, "delete_rows", killed)
        retention.apply(place)
    assert len(event_days(place)) == DAYS
    assert len(retention.apply(place)) == 1
    with state.connect(place.state) as db:
        assert db.execute("select sum(events), count(*) from removed_days").fetchone()[:] == (800, 80)


def test_nothing_is_removed_unless_the_settings_say_so(long: Workspace) -> None:
    assert retention.apply(long) == [] and len(lake.days(long.lake, "events")) == DAYS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("events_days = 10", "events_days is 10, expected 0 .all. or at least 35"),
        ("events_days = 40\nactivity_days = 60", "activity_days is 60, expected 0 .all. or at least 90"),
        (
            "events_days = 400\nactivity_days = 100",
            "activity_days is 100, expected 0 .all. or at least 90 and events_days",
        ),
        ("activity_days = 100", "activity_days needs events_days"),
        ("events_days = -1", "retention.events_days: .*greater than or equal to 0"),
        ("event_days = 40", r"no setting retention.event_days; did you mean events_days\?"),
    ],
)
def test_a_retention_that_would_leave_too_little_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / config.FILE_NAME
    path.write_text(f"[retention]\n{text}\n")
    with pytest.raises(ConfigError, match=said):
        config.load_settings(path)


def test_the_newest_day_of_the_logs_counts_and_not_the_clock(long: Workspace, tmp_path: Path) -> None:
    place = with_retention(long, tmp_path, events_days=40)
    retention.apply(place)
    assert min(lake.days(place.lake, "events")) == day_of(DAYS - 1) - timedelta(days=39)
