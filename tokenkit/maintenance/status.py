"""Status: what the lake of a workspace holds, table by table.

Reads  every table of the lake (its log alone) and state.db. Writes nothing.
"""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from tokenkit import schema
from tokenkit.config import Workspace
from tokenkit.maintenance.compaction import unused_files
from tokenkit.store import lake, points, state


@dataclass(frozen=True)
class TableStatus:
    """A table of the lake: its rows, its Parquet files and their size, its Delta version, its oldest and newest day."""

    table: str
    rows: int
    files: int
    file_bytes: int
    version: int
    oldest: str
    newest: str


@dataclass(frozen=True)
class Status:
    """A lake: its tables, what is beside them, and what was read into it.

    ``old_files`` are those of earlier versions alone (``old_file_bytes`` together); ``removed_events`` were stored and
    have been removed by retention, a forget or a restore; ``quarantined`` pieces wait for ``retry``.
    """

    lake: str
    schema_version: int
    tables: list[TableStatus]
    old_files: int
    old_file_bytes: int
    log_files: int
    events: int
    removed_events: int
    quarantined: int
    restore_points: int


def status(workspace: Workspace) -> Status:
    """Return what the lake holds; with no table where nothing was read yet."""
    tables = [_table_status(workspace, name) for name in schema.TABLES]
    there = [table for table in tables if table is not None]
    events = sum(table.rows for table in there if table.table == "events")
    old = unused_files(workspace)
    version, log_files, stored, aside, number = state.VERSION, 0, 0, 0, 0
    if workspace.state.exists():
        number = len(points.points(workspace))
        with state.connect(workspace.state) as db:
            version = state.version(db)
            log_files, stored = db.execute("select count(*), coalesce(sum(stored), 0) from files").fetchone()
            aside = len(state.still_quarantined(db))
    return Status(
        str(workspace.lake), version, there, len(old), sum(old.values()), log_files, events, stored - events, aside,
        number,
    )  # fmt: skip


def _table_status(workspace: Workspace, name: str) -> TableStatus | None:
    table = lake.open_table(workspace.lake, name)
    if table is None:
        return None
    files = pa.table(table.get_add_actions(flatten=True))
    rows, size = (pc.sum(files[column]).as_py() or 0 for column in ("num_records", "size_bytes"))
    days = sorted(map(str, files["partition.day"].to_pylist())) if "partition.day" in files.column_names else []
    first, last = (days[0], days[-1]) if days else ("", "")
    return TableStatus(name, rows, files.num_rows, size, table.version(), first, last)
