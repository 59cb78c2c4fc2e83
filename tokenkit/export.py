"""Export: the events of the lake for other programs, as API Activity of OCSF 1.8.

Reads  events, dim_token. Writes one file, JSON lines or Parquet; all of it, or nothing.
"""

import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import IO, Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from tokenkit import schema
from tokenkit.config import Workspace
from tokenkit.errors import InputError
from tokenkit.ingest import open_key
from tokenkit.progress import Progress, silent
from tokenkit.sources import ocsf_activity
from tokenkit.store import engine, lake, state

SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")
ROWS = 20_000  # events in memory at a time: 100 MB as Python objects


def export_ocsf(
    workspace: Workspace, path: Path, start: date | None = None, end: date | None = None,
    progress: Progress = silent,
) -> int:  # fmt: skip
    """Write the events of the days in ``[start, end)`` as API Activity records, by day and time.

    Parameters
    ----------
    workspace : Workspace
    path : Path
        A file that ends in one of ``SUFFIXES``; one that is there is replaced once the new one is whole.
    start, end : date, optional
        UTC days; without them all.
    progress : Progress

    Returns
    -------
    int
        How many events were written.

    Raises
    ------
    InputError
        Another suffix, no such folder, or no event in these days.
    """
    if not path.name.endswith(SUFFIXES):
        raise InputError(f"{path}: the file's name has to end in {', '.join(SUFFIXES)}. Choose one of them.")
    if not path.parent.is_dir():
        raise InputError(f"{path.parent}: no such folder. Make it first.")
    days = [
        day for day in lake.days(workspace.lake, "events") if (not start or day >= start) and (not end or day < end)
    ]
    if not days:
        raise InputError(f"there are no events{_between(start, end)}. Read some: tokenkit ingest LOGS")
    with state.connect(workspace.state) as db:
        key = open_key(workspace, db)
    tokens = _tokens(workspace)
    written = 0
    with _writer(path) as write:
        for number, day in enumerate(days):
            progress("exporting", number, len(days))
            for rows in _events(workspace, day):
                write([ocsf_activity.record_of(row | tokens.get(row["token_uid"], {}), key) for row in rows])
                written += len(rows)
        progress("exporting", len(days), len(days))
    return written


def _between(start: date | None, end: date | None) -> str:
    return (f" from {start}" if start else "") + (f" until {end}" if end else "")


def _tokens(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """What an event does not say of its token, by the token's id."""
    fields = ocsf_activity.TOKEN_FIELDS
    return {
        row["token_uid"]: {name: row[column] for name, column in fields.items()}
        for row in lake.read(workspace.lake, "dim_token").to_pylist()
    }


def _events(workspace: Workspace, day: date) -> Iterator[list[dict[str, Any]]]:
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        relation = lake.scan(connection, workspace.lake, "events", day, day + timedelta(days=1))
        names = ", ".join(name for name in schema.EVENTS.names if name != "day")
        for batch in relation.order("time, event_key").project(names).to_arrow_reader(ROWS):
            yield batch.to_pylist()


@contextmanager
def _writer(path: Path) -> Iterator[Any]:
    """Give a function that writes records; the file appears under its name when all are written."""
    unfinished = path.with_name(f".{path.name}.part")
    try:
        with _opened(unfinished, path.name) as write:
            yield write
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def _opened(unfinished: Path, name: str) -> Iterator[Any]:
    if name.endswith(".parquet"):
        types = ocsf_activity.arrow_schema()
        with pq.ParquetWriter(unfinished, types, compression="zstd") as parquet:
            yield lambda records: parquet.write_table(pa.Table.from_pylist(records, schema=types))
        return
    with unfinished.open("wb") as plain:
        file: IO[bytes] = gzip.GzipFile("", "wb", 6, plain, 0) if name.endswith(".gz") else plain  # type: ignore[assignment]
        yield lambda records: file.write(b"".join(orjson.dumps(record) + b"\n" for record in records))
        if file is not plain:
            file.close()
