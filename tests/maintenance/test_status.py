"""What the lake holds, as it is."""

from pathlib import Path

import raw_logs

from tokenkit.config import Workspace
from tokenkit.maintenance import compaction
from tokenkit.maintenance.status import status


def test_each_table_is_counted_by_its_log(place: Workspace) -> None:
    found = status(place)
    events = next(one for one in found.tables if one.table == "events")
    assert (events.rows, events.files, events.oldest, events.newest) == (18, 6, "2026-03-02", "2026-03-03")
    assert events.file_bytes == sum(path.stat().st_size for path in (place.lake / "events").rglob("*.parquet"))
    assert (found.events, found.removed_events, found.log_files, found.quarantined) == (18, 0, 6, 0)
    assert found.restore_points == 3 and found.schema_version == 2


def test_files_of_earlier_versions_and_pieces_set_aside_are_counted(place: Workspace, tmp_path: Path) -> None:
    raw_logs.read(place, raw_logs.write(tmp_path / "b.log", [raw_logs.nginx("r1"), b"{"]))
    before = status(place).old_files
    compaction.compact(place)
    found = status(place)
    assert found.quarantined == 1 and found.old_files > before and found.old_file_bytes > 0


def test_a_workspace_that_has_read_nothing_has_no_table(tmp_path: Path) -> None:
    found = status(raw_logs.workspace(tmp_path / "w"))
    assert (found.tables, found.events, found.log_files, found.restore_points) == ([], 0, 0, 0)
