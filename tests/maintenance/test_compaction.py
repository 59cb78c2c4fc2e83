"""Fewer files and the same rows, whatever is killed or runs meanwhile; and what no version needs can go."""

import random
import re
from pathlib import Path

import pytest
import raw_logs
from at_once import Together
from maintenance_example import content, day_log

from tokenkit import activity, fingerprint
from tokenkit.config import Workspace
from tokenkit.errors import InputError
from tokenkit.maintenance import compaction
from tokenkit.store import lake, points

KILLS = 4


def test_compaction_leaves_each_day_one_file_and_every_row(place: Workspace) -> None:
    before = content(place)
    changed = {one.table: (one.before, one.after) for one in compaction.compact(place)}
    assert changed["events"] == (6, 2) and content(place) == before
    assert compaction.compact(place) == []


def test_what_was_made_from_the_tables_is_not_made_again_after_a_compaction(place: Workspace) -> None:
    compaction.compact(place)
    versions = lake.versions(place.lake)
    assert (activity.build(place), fingerprint.build(place)) == (0, 0)
    assert lake.versions(place.lake) == versions


def test_what_was_out_of_date_before_a_compaction_still_is(place: Workspace, tmp_path: Path) -> None:
    raw_logs.read(place, day_log(tmp_path / "logs", 1, 7))
    compaction.compact(place)
    assert activity.build(place) == 1


def test_files_of_earlier_versions_stay_for_a_week_and_are_listed_before_they_go(place: Workspace) -> None:
    compaction.compact(place)
    on_disk = set(place.lake.rglob("*.parquet"))
    assert compaction.vacuum(place, apply=True) == {}
    listed = compaction.vacuum(place, keep_hours=0)
    assert len(listed) >= 6 and set(place.lake.rglob("*.parquet")) == on_disk
    assert all(number > 0 for number in listed.values())
    assert compaction.vacuum(place, keep_hours=0, apply=True) == listed
    assert on_disk - set(place.lake.rglob("*.parquet")) == set(listed)
    assert [point.after for point in points.points(place)] == ["compact"]


def test_a_file_of_no_version_is_removed_too(place: Workspace) -> None:
    left = place.lake / "events" / "day=2026-03-02" / "part-of-a-killed-write.parquet"
    left.write_bytes(b"half")
    assert left in compaction.vacuum(place, keep_hours=0, apply=True) and not left.exists()


def test_hours_below_zero_are_refused(place: Workspace) -> None:
    with pytest.raises(InputError, match=r"keep-hours is -1, expected 0 or more"):
        compaction.vacuum(place, keep_hours=-1)


def test_killed_at_random_moments_and_run_once_more_it_leaves_the_same_lake(
    place: Workspace, together: Together
) -> None:
    """Fifty kills: benchmarks/kill_compaction.py."""
    before, numbers = content(place), random.Random(5)
    codes = [together([place.root, "lake", "compact"], kill_after_s=numbers.uniform(0, 0.3))[0] for _ in range(KILLS)]
    assert set(codes) <= {-9, 0}
    assert together([place.root, "lake", "compact"]) == [0]
    assert content(place) == before and len(lake.files(place.lake, "events")) == 2
    assert (activity.build(place), fingerprint.build(place)) >= (0, 0) and content(place) == before


def test_two_ingests_and_a_compaction_at_once_make_the_lake_of_one_after_the_other(
    tmp_path: Path, together: Together
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for day in range(3):
        day_log(one, day, part=0)
        day_log(two, day, part=1)
    raw_logs.write(two / "again.log", [(one / "0-0.log").read_bytes().splitlines()[0]])
    at_once, in_turn = raw_logs.workspace(tmp_path / "w"), raw_logs.workspace(tmp_path / "v")
    for place in (at_once, in_turn):
        place.key.write_text("0a" * 32 + "\n")
    words = [[at_once.root, "ingest", one], [at_once.root, "ingest", two], [at_once.root, "lake", "compact"]]
    assert together(*words) == [0, 0, 0]
    raw_logs.read(in_turn, one)
    raw_logs.read(in_turn, two)
    stored, expected = (
        [re.sub(r'"raw_ref": "[^"]*"', "", row) for row in content(w)["events"]] for w in (at_once, in_turn)
    )
    assert sorted(stored) == sorted(expected), "but for the file of what both bring: of whichever came first"
    assert {**content(at_once), "events": []} == {**content(in_turn), "events": []} and len(
        raw_logs.event_keys(at_once)
    ) == 18
