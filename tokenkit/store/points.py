"""Restore points: versions of all tables of the lake that belong together, and the way back to them.

Reads and writes  points (state.db), and the tables of the lake. Labels, actions and reports are no part of a point:
what people said and what was published stays.
A restore is noted before it begins and finished by whoever holds the workspace next, should it be interrupted.
"""

import json
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from deltalake.exceptions import DeltaError

from tokenkit.config import Workspace
from tokenkit.errors import InputError
from tokenkit.store import lake, state

UNFINISHED = "unfinished_restore"  # in table meta of state.db: number of the point
ENDS = ("files", "parts")  # tables of state.db whose newest row a point knows
RESTORES = "restores"  # in table meta: how often this lake was restored


@dataclass(frozen=True)
class Point:
    """Versions of the tables that belong together. ``after`` is what had been done then, ``moment`` when (UTC)."""

    number: int
    moment: str
    after: str
    versions: dict[str, int]
    files: int


def note(workspace: Workspace, after: str, now: datetime | None = None) -> None:
    """Note the present versions of all tables as a restore point, unless they are those of the newest one."""
    versions = json.dumps(lake.versions(workspace.lake), sort_keys=True)
    with state.connect(workspace.state) as db:
        newest = db.execute("select versions from points order by number desc limit 1").fetchone()
        if versions == "{}" or (newest and newest["versions"] == versions):
            return
        files, parts = (db.execute(f"select coalesce(max(rowid), 0) from {name}").fetchone()[0] for name in ENDS)
        moment = (now or datetime.now(UTC)).isoformat(timespec="seconds")
        db.execute(
            "insert into points (moment, after, versions, files, parts) values (?, ?, ?, ?, ?)",
            [moment, after, versions, files, parts],
        )


def points(workspace: Workspace) -> list[Point]:
    """Return the restore points, the newest first."""
    with state.connect(workspace.state) as db:
        rows = db.execute("select * from points order by number desc").fetchall()
    return [Point(r["number"], r["moment"], r["after"], json.loads(r["versions"]), r["files"]) for r in rows]


def forget_points(workspace: Workspace, hours: float, now: datetime | None = None) -> int:
    """Forget the restore points at least so old, whose files may be gone; return how many. The newest one stays."""
    limit = ((now or datetime.now(UTC)) - timedelta(hours=hours)).isoformat(timespec="seconds")
    with state.connect(workspace.state) as db:
        old = db.execute(
            "delete from points where moment <= ? and number < (select max(number) from points)", [limit]
        )  # of one moment in UTC, text is in order of time
    return old.rowcount


def restore(workspace: Workspace, number: int) -> Point:
    """Bring all tables back to a restore point; return it.

    Files that were read after it are forgotten, so that the next run reads them again.

    Raises
    ------
    InputError
        There is no such point, or files that it needs are gone. Nothing was changed.
    """
    known = {point.number: point for point in points(workspace)}
    if number not in known:
        raise InputError(f"there is no restore point {number}; {_listed([*known])}. See: tokenkit lake restore")
    point = known[number]
    for name, version in point.versions.items():
        if lost := _lost_files(workspace, name, version):
            raise InputError(
                f"restore point {number}: {name} of {point.moment} cannot be restored: {lost}. Old versions are kept "
                f"for a week, and less after a vacuum or a forget. Nothing was changed."
            )
    with state.connect(workspace.state) as db:
        state.set_meta(db, UNFINISHED, str(number))
    finish_restore(workspace)
    return point


def finish_restore(workspace: Workspace) -> None:
    """Do what a restore has noted and not finished; nothing where there is none."""
    if not workspace.state.exists():
        return
    with state.connect(workspace.state) as db:
        number = state.get_meta(db, UNFINISHED)
        if number is None:
            return
        row = db.execute("select versions, files, parts from points where number = ?", [int(number)]).fetchone()
        versions: dict[str, int] = json.loads(row["versions"])
        for name in lake.versions(workspace.lake):
            table = lake.open_to_change(workspace.lake, name)
            assert table is not None
            if name not in versions:
                if lake.files(workspace.lake, name):
                    table.delete()  # it was made later
            elif not _is_at(workspace, name, versions[name]):
                table.restore(versions[name])
        db.execute("delete from files where rowid > ?", [row["files"]])
        later = "(select digest, source from parts where rowid > ?)"  # of a file that went on all is read again
        db.execute(f"delete from files where (digest, source) in {later}", [row["parts"]])
        db.execute("delete from parts where (digest, source) not in (select digest, source from files)")
        db.execute("delete from quarantine where (digest, source) not in (select digest, source from files)")
        state.set_meta(db, RESTORES, str(int(state.get_meta(db, RESTORES) or 0) + 1))
        db.execute("delete from meta where name in (?, 'networks')", [UNFINISHED])
        db.execute("delete from built")  # what was noted of the tables is of later versions: all is made anew
    note(workspace, f"restore {number}")


def transaction(db: sqlite3.Connection, name: str) -> str:
    """Return the name of a transaction of the events: another one after a restore, since Delta forgets none."""
    restores = state.get_meta(db, RESTORES)
    return f"{name}:{restores}" if restores else name


def _is_at(workspace: Workspace, name: str, version: int) -> bool:
    return set(lake.files(workspace.lake, name)) == set(lake.files(workspace.lake, name, version))


def _lost_files(workspace: Workspace, name: str, version: int) -> str:
    """Say why a version of a table cannot be restored; empty where it can."""
    try:
        lost = lake.missing_files(workspace.lake, name, version)
    except DeltaError:
        return f"version {version} is no longer in its log"
    return f"{len(lost)} of its files are gone" if lost else ""


def _listed(numbers: list[int]) -> str:
    return f"known: {', '.join(map(str, numbers[:20]))}" if numbers else "there is none yet"
