"""Compaction: many small files of a day into few, and the removal of files that no version in use needs.

Reads and writes  the tables of the lake; digests of the stages (state.db).
Each is one commit of a table: killed at any moment, a table is as before or as after, and what was half written is a
file of no version, which ``vacuum`` removes.
"""

from dataclasses import dataclass
from pathlib import Path

from tokenkit.config import Workspace
from tokenkit.errors import InputError
from tokenkit.maintenance.stages import stages_stay_current
from tokenkit.progress import Progress, silent
from tokenkit.store import lake, points
from tokenkit.store.access import PATIENCE_S, locked


@dataclass(frozen=True)
class Compacted:
    """A table that was compacted: its number of files before and after."""

    table: str
    before: int
    after: int


def compact(workspace: Workspace, progress: Progress = silent) -> list[Compacted]:
    """Write the small files of each table, day by day, into few; return the tables that changed.

    No row changes, so what was made from them stays up to date. The old files remain for earlier versions
    (``vacuum``).

    Raises
    ------
    LockedError
        Another run works in the workspace for longer than ten minutes.
    """
    changed = []
    with locked(workspace, PATIENCE_S), stages_stay_current(workspace):
        names = list(lake.versions(workspace.lake))
        for number, name in enumerate(names):
            progress("compacting", number, len(names))
            table = lake.open_to_change(workspace.lake, name)
            assert table is not None
            before = len(lake.files(workspace.lake, name))
            if table.optimize.compact()["numFilesRemoved"]:
                changed.append(Compacted(name, before, len(lake.files(workspace.lake, name))))
        progress("compacting", len(names), len(names))
        points.note(workspace, "compact")
    return changed


def vacuum(workspace: Workspace, keep_hours: float = lake.KEEP_HOURS, apply: bool = False) -> dict[Path, int]:
    """Remove the files that no version of the last ``keep_hours`` needs; return them with their sizes in bytes.

    Parameters
    ----------
    keep_hours : restore points older than this are given up, hours
    apply : without it nothing is removed

    Raises
    ------
    InputError
        ``keep_hours`` is negative.
    LockedError
        Another run works in the workspace for longer than ten minutes.
    """
    if keep_hours < 0:
        raise InputError(f"keep-hours is {keep_hours:g}, expected 0 or more: how far back restore points reach, hours")
    with locked(workspace, PATIENCE_S):
        files = unused_files(workspace, keep_hours)
        if apply:
            points.forget_points(workspace, keep_hours)
            for name in lake.versions(workspace.lake):
                lake.vacuum(workspace.lake, name, keep_hours, apply=True)
    return files


def unused_files(workspace: Workspace, keep_hours: float = 0) -> dict[Path, int]:
    """Return the Parquet files that no version of the last hours needs, with their sizes in bytes."""
    files = [path for name in lake.versions(workspace.lake) for path in lake.vacuum(workspace.lake, name, keep_hours)]
    return lake.file_sizes(files)
