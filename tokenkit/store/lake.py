"""Lake: read and write the Delta tables, most of them stored by day.

Reads  any table of ``schema.TABLES``. Writes any table of ``schema.TABLES``.
A day is replaced in one transaction; a dimension only grows. ``deltalake`` writes no deletion vectors, so a table's
file list is the table, and DuckDB reads the Parquet files themselves.
"""

import hashlib
import math
import os
import re
from collections.abc import Iterable, Sequence
from datetime import date
from functools import lru_cache
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from pyarrow import fs

from tokenkit import identity, schema
from tokenkit.store import remote, small_files

KEEP_HOURS = 168
CHECKPOINT_EVERY = 20
# Delta's library cannot open % [ ] ^ | and backslashes in the name of a folder, and * ? [ are patterns to DuckDB
_PLAIN = re.compile(r"[\w ./+=,@~#()'&-]*")
_FOLDERS: dict[str, int] = {}  # folders of other names that are held open, by their path


def _plain_path(lake: Path) -> str:
    """Return a path of the lake that Delta and DuckDB can open: its own, or, under an odd name, that of an open folder.

    ``/proc/self/fd/N`` of Linux is the folder itself, whatever it is called, as long as this process holds it open.
    """
    path = os.path.abspath(lake)
    if _PLAIN.fullmatch(path):
        return str(lake)
    number = _FOLDERS.get(path)
    if number is not None and not os.path.samestat(os.fstat(number), os.stat(path)):
        os.close(_FOLDERS.pop(path))  # removed meanwhile, and another one made in its place
        number = None
    if number is None:
        for gone in [other for other in _FOLDERS if not os.path.isdir(other)]:
            os.close(_FOLDERS.pop(gone))
        number = _FOLDERS[path] = os.open(path, os.O_PATH | os.O_DIRECTORY)
    return f"/proc/self/fd/{number}"


def _uri(lake: Path, name: str) -> str:
    """Return what Delta opens a table by; of an open folder by a scheme that does not resolve it to its name."""
    if remote.is_remote(lake):
        return remote.url(lake / name)
    path = _plain_path(lake)
    return str(lake / name) if path == str(lake) else f"opendal+fs://{path}/{name}"


def open_table(lake: Path, name: str) -> DeltaTable | None:
    """Return a table as Delta's library has it, or None where there is none. It is shared: change nothing with it."""
    if remote.is_remote(lake):
        return remote.open_table(lake, name)
    try:
        commits = sorted((entry.name, entry.stat().st_mtime_ns) for entry in os.scandir(lake / name / "_delta_log"))
    except FileNotFoundError:
        return None
    return _read_log(_uri(lake, name), tuple(commits)) if commits else None


def open_to_change(lake: Path, name: str) -> DeltaTable | None:
    """Return a table of its own for whoever changes it, or None where there is none."""
    table = open_table(lake, name)
    return DeltaTable(_uri(lake, name)) if table else None


@lru_cache(maxsize=64)
def _read_log(uri: str, commits: tuple[tuple[str, int], ...]) -> DeltaTable:
    """The table as of these commits; a run asks for each table some ten times, and only a new commit changes it."""
    return DeltaTable(uri)


def _parts(table: DeltaTable | None) -> list[str]:
    """Return the Parquet files of a table, as paths from its folder; ``file_uris`` would be percent-encoded."""
    return list(pa.table(table.get_add_actions(flatten=True))["path"].to_pylist()) if table else []


def version(lake: Path, name: str) -> int | None:
    """Return the table's Delta version, or None where there is no table yet."""
    table = open_table(lake, name)
    return table.version() if table else None


def versions(lake: Path) -> dict[str, int]:
    """Return the Delta versions of all tables that exist."""
    numbers = {name: version(lake, name) for name in schema.TABLES}
    return {name: number for name, number in numbers.items() if number is not None}


def days(lake: Path, name: str) -> dict[date, str]:
    """Return each day of a table with a digest that changes when the day's content does.

    Delta never changes a file in place, so the names of a day's files identify what is in it.
    """
    table = open_table(lake, name)
    if table is None:
        return {}
    actions = pa.table(table.get_add_actions(flatten=True))
    by_day: dict[date, list[str]] = {}
    for path, day in zip(actions["path"].to_pylist(), actions["partition.day"].to_pylist(), strict=True):
        by_day.setdefault(date.fromisoformat(str(day)), []).append(path)
    return {d: hashlib.sha256("\n".join(sorted(p)).encode()).hexdigest()[:16] for d, p in sorted(by_day.items())}


def rows_by_day(lake: Path, name: str) -> dict[date, int]:
    """Return the number of rows of each day of a table."""
    table = open_table(lake, name)
    if table is None:
        return {}
    actions = pa.table(table.get_add_actions(flatten=True))
    rows: dict[date, int] = {}
    for day, count in zip(actions["partition.day"].to_pylist(), actions["num_records"].to_pylist(), strict=True):
        day = date.fromisoformat(str(day))
        rows[day] = rows.get(day, 0) + (count or 0)
    return rows


def rows_by_value(lake: Path, name: str, column: str) -> tuple[dict[tuple[str, date], int], set[date]]:
    """Return how many rows of each day have which text in a column, and the days that have to be read to know that.

    The log says it of a file in which the column's smallest and largest text are one.
    """
    table = open_table(lake, name)
    if table is None:
        return {}, set()
    actions = pa.table(table.get_add_actions(flatten=True))
    names = (f"min.{column}", f"max.{column}", f"null_count.{column}", "num_records")
    values = [actions[n].to_pylist() if n in actions.column_names else [None] * len(actions) for n in names]
    rows: dict[tuple[str, date], int] = {}
    unknown: set[date] = set()
    for part, low, high, nulls, count in zip(actions["path"].to_pylist(), *values, strict=True):
        day = small_files.day_of(part)
        if low is None or low != high or nulls != 0 or count is None:
            unknown.add(day)
        else:
            rows[low, day] = rows.get((low, day), 0) + count
    return {key: count for key, count in rows.items() if key[1] not in unknown}, unknown


def digest(lake: Path, names: Iterable[str]) -> str:
    """Return a digest of the content of several tables: equal digests mean equal content."""
    parts = []
    for name in names:
        table = open_table(lake, name)
        parts += [name, *sorted(Path(part).name for part in _parts(table))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def files(lake: Path, name: str, version: int | None = None) -> list[Path]:
    """Return the Parquet files of a table, or of an earlier version of it."""
    table = open_table(lake, name) if version is None else DeltaTable(_uri(lake, name), version=version)
    return [lake / name / part for part in _parts(table)]


def missing_files(lake: Path, name: str, version: int | None = None) -> list[Path]:
    """Return those Parquet files of a table, or of an earlier version of it, that are not there."""
    paths = files(lake, name, version)
    there = file_sizes(paths)
    return [path for path in paths if path not in there]


def file_sizes(paths: Sequence[Path]) -> dict[Path, int]:
    """Return the sizes in bytes of those files of a lake that are there."""
    if paths and remote.is_remote(paths[0]):
        return remote.sizes(paths)
    return {path: path.stat().st_size for path in paths if path.exists()}


def scan(
    connection: duckdb.DuckDBPyConnection, lake: Path, name: str, start: date | None = None, end: date | None = None
) -> duckdb.DuckDBPyRelation:
    """Return a table, or its days in ``[start, end)``, as a DuckDB relation; zero rows where there is none.

    Columns that none of its files has, since they are of an older version, are null. Events have one more column:
    ``time_ms``, milliseconds since 1970, so that the next stages use integers only.
    """
    table = open_table(lake, name)
    parts = _parts(table)
    if parts and (start or end):
        keep = {d for d in days(lake, name) if (not start or d >= start) and (not end or d < end)}
        parts = [p for p in parts if small_files.day_of(p) in keep]
    if table is None or not parts:
        relation = connection.from_arrow(schema.empty(name))
    elif remote.is_remote(lake):
        relation = connection.from_arrow(remote.dataset(lake, table, name, parts))
    else:
        folder = f"{_plain_path(lake)}/{name}"
        paths = [f"{folder}/{part}" for part in parts]
        if schema.table(name).partition and small_files.are_small(table, parts):
            relation = connection.from_arrow(small_files.rows_of(table, paths))
        else:
            relation = connection.read_parquet(paths, hive_partitioning=True, union_by_name=True)
    there = set(relation.columns)
    lacking = schema.empty(name).select([c for c in schema.table(name).names if c not in there])
    nulls = [f', null::{t} as "{c}"' for c, t in zip(lacking.column_names, _types(connection, lacking), strict=True)]
    return relation.project("*" + "".join(nulls) + (", epoch_ms(time) as time_ms" if name == "events" else ""))


def _types(connection: duckdb.DuckDBPyConnection, data: pa.Table) -> list[str]:
    return [str(t) for t in connection.from_arrow(data).types] if data.num_columns else []


def read(lake: Path, name: str) -> pa.Table:
    """Return a whole table in memory, with zero rows if it does not exist. For dimensions and other small tables."""
    table = open_table(lake, name)
    if table is None:
        return schema.empty(name)
    # files that Arrow opens itself: those that Python opens for it are closed by threads that may outlive Python
    if remote.is_remote(lake):
        folder = fs.SubTreeFileSystem(remote.key(lake / name), remote.file_system())
    else:
        folder = fs.SubTreeFileSystem(f"{_plain_path(lake)}/{name}", fs.LocalFileSystem())
    return schema.conform(name, table.to_pyarrow_table(filesystem=folder))


def _like_stored(lake: Path, name: str, data: pa.Table) -> pa.Table:
    """The rows without what is said of their columns where the table exists: Delta refuses other words for a column."""
    if open_table(lake, name) is None:
        return data
    return data.cast(pa.schema([field.remove_metadata() for field in data.schema]))


def _make_folder(lake: Path) -> None:
    if not remote.is_remote(lake):
        lake.mkdir(parents=True, exist_ok=True)


def append(lake: Path, name: str, data: pa.Table, transactions: Iterable[str] = ()) -> None:
    """Append rows in one commit that also records each of the transactions."""
    _make_folder(lake)
    partition = schema.table(name).partition
    write_deltalake(
        _uri(lake, name),
        _like_stored(lake, name, data),
        mode="append",
        schema_mode="merge",  # a table of an older version lacks the columns that came later
        partition_by=[partition] if partition else None,
        commit_properties=CommitProperties(app_transactions=[Transaction(t, 1) for t in transactions]),
    )


def has_transaction(lake: Path, name: str, transaction: str) -> bool:
    """Whether a commit with that transaction is in the table."""
    table = open_table(lake, name)
    return table is not None and table.transaction_version(transaction) is not None


def replace_days(lake: Path, name: str, data: pa.Table, days: Iterable[date]) -> None:
    """Replace whole days by these rows, in one commit."""
    sorted_days = sorted(days)
    if not sorted_days:
        return
    if open_table(lake, name) is None:
        if data.num_rows:
            append(lake, name, data)
        return
    predicate = "day in ({})".format(", ".join(f"date '{d.isoformat()}'" for d in sorted_days))
    write_deltalake(
        _uri(lake, name),
        _like_stored(lake, name, data),
        mode="overwrite",
        predicate=predicate,
        partition_by=["day"],
        schema_mode="merge",
    )


def replace_rows(lake: Path, name: str, data: pa.Table, key: str) -> None:
    """Put these rows in the place of those with the same int64 keys and days, in one commit."""
    days = ", ".join(f"date '{d.isoformat()}'" for d in sorted(set(data["day"].to_pylist())))
    keys = ", ".join(map(str, sorted(set(data[key].to_pylist()))))
    write_deltalake(
        _uri(lake, name),
        _like_stored(lake, name, data),
        mode="overwrite",
        predicate=f"day in ({days}) and {key} in ({keys})",
        partition_by=["day"],
        schema_mode="merge",
    )


def replace(lake: Path, name: str, data: pa.Table) -> None:
    """Replace the whole table by these rows, in one commit."""
    _make_folder(lake)
    partition = schema.table(name).partition
    write_deltalake(
        _uri(lake, name),
        data,
        mode="overwrite",
        schema_mode="overwrite",
        partition_by=[partition] if partition else None,
    )


def tidy(lake: Path) -> None:
    """Remove files that no version of the last week needs, and keep the transaction logs short.

    Each run replaces days; without this, their old files would stay for ever. Time travel reaches back a week.
    """
    for name in versions(lake):
        vacuum(lake, name, KEEP_HOURS, apply=True)
        table = open_table(lake, name)
        if table is not None and table.version() and table.version() % CHECKPOINT_EVERY == 0:
            table.create_checkpoint()


def vacuum(lake: Path, name: str, keep_hours: float, apply: bool = False) -> list[Path]:
    """Return the files that no version of the last hours needs, those of killed writes among them; remove them."""
    table = open_to_change(lake, name)
    hours = math.ceil(keep_hours)
    if table is None:
        return []
    # in a folder that is held open, Delta's library takes the folder itself for a file that no version needs
    full = not table.table_uri.startswith("opendal")
    gone = table.vacuum(retention_hours=hours, dry_run=True, enforce_retention_duration=False, full=full)
    if gone and apply:
        table.vacuum(retention_hours=hours, dry_run=False, enforce_retention_duration=False, full=full)
    paths = [lake / name / path for path in gone]
    if not full and not hours:  # then every file but those of the newest version
        newest = set(files(lake, name))
        left = [path for path in sorted((lake / name).rglob("*.parquet")) if path.parent.name != "_delta_log"]
        left = [path for path in left if path not in newest and path not in paths]
        for path in left if apply else []:
            path.unlink()
        paths += left
    return paths


def delete_rows(lake: Path, name: str, predicate: str) -> int:
    """Delete the rows of a table for which a condition of SQL holds, in one commit; return how many."""
    table = open_to_change(lake, name)
    return int(table.delete(predicate)["num_deleted_rows"]) if table else 0


def replace_texts(lake: Path, name: str, column: str, words: Sequence[str], other: str) -> None:
    """Put another text in the place of some texts of a column."""
    listed = ", ".join("'{}'".format(word.replace("'", "''")) for word in words)
    if table := open_to_change(lake, name):
        table.update(updates={column: f"'{other}'"}, predicate=f'"{column}" in ({listed})')


def erase_history(lake: Path, name: str) -> None:
    """Remove all earlier versions of a table: their files, and their entries in its log, which hold smallest values."""
    table = open_to_change(lake, name)
    if table is None:
        return
    table.alter.set_table_properties({name: "interval 0 days" for name in _KEPT})
    vacuum(lake, name, 0, apply=True)
    table = DeltaTable(_uri(lake, name))
    table.create_checkpoint()
    table.cleanup_metadata()
    table.alter.set_table_properties(_KEPT)


_KEPT = {"delta.logRetentionDuration": "interval 30 days", "delta.deletedFileRetentionDuration": "interval 7 days"}


def grow_dimension(lake: Path, name: str, data: pa.Table) -> None:
    """Append the rows whose key is not stored yet. One number for two values is refused (``identity.check_keys``)."""
    key, text = schema.table(name).names[:2] if name != "dim_client" else ("client_key", "user_agent")
    if name == "dim_operation":
        text = "operation"
    numbers, first = np.unique(data[key].to_numpy(), return_index=True)
    stored = read(lake, name).select([key, text])
    stored_again = stored.filter(pc.is_in(stored[key], value_set=pa.array(numbers)))
    columns = {c: pa.chunked_array(stored_again[c].chunks + data[c].chunks, stored_again[c].type) for c in (key, text)}
    pairs = pa.table(columns).group_by([key, text]).aggregate([])
    identity.check_keys(zip(pairs[key].to_pylist(), map(str, pairs[text].to_pylist()), strict=True), name)
    new_rows = data.take(np.sort(first))
    new_rows = new_rows.filter(pc.invert(pc.is_in(new_rows[key], value_set=stored_again[key])))
    if new_rows.num_rows:
        append(lake, name, new_rows.sort_by(key))
    if name == "dim_token":
        _fill_handles(lake, data)


def _fill_handles(lake: Path, data: pa.Table) -> None:
    """Fill in the handles of tokens that were stored without one; this is rare, so the whole table is replaced."""
    rows_with_handle = data.filter(pc.is_valid(data["enforce_handle"]))
    if not rows_with_handle.num_rows:
        return
    table = read(lake, "dim_token")
    without = table.filter(pc.is_null(table["enforce_handle"]))["token_key"]
    rows_with_handle = rows_with_handle.filter(
        pc.is_in(rows_with_handle["token_key"], value_set=without.combine_chunks())
    )
    if not rows_with_handle.num_rows:
        return
    names = ("enforce_connector", "enforce_handle")
    handles = {row["token_key"]: {n: row[n] for n in names} for row in rows_with_handle.to_pylist()}
    rows = [row if row["enforce_handle"] else row | handles.get(row["token_key"], {}) for row in table.to_pylist()]
    replace(lake, "dim_token", pa.Table.from_pylist(rows, schema=table.schema))
