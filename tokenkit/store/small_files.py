"""Small files: the Parquet files of many quiet days, each read once in a process and kept in memory.

Reads  files of the lake. Writes nothing.
To open a file costs as much as to read thousands of rows, and a run asks for the days of a table some ten times.
"""

import os
from collections.abc import Sequence
from datetime import date
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from pyarrow import parquet

ROWS_A_FILE, ROWS_TOGETHER = 500, 100_000  # on average, and of all files of one scan


def are_small(table: DeltaTable, parts: Sequence[str]) -> bool:
    """Whether these files of a table hold so few rows that opening them is most of the work."""
    actions = pa.table(table.get_add_actions(flatten=True)).select(["path", "num_records"])
    rows = pc.sum(actions.filter(pc.is_in(actions["path"], pa.array(parts)))["num_records"]).as_py()
    return rows is not None and rows <= min(ROWS_A_FILE * len(parts), ROWS_TOGETHER)


def rows_of(table: DeltaTable, paths: Sequence[str]) -> pa.Table:
    """Return the rows of files together, with the day of each as its last column; what a file lacks is null.

    Each column has the type that the table's log says: Delta's own changes write text in another way than its appends.

    Raises
    ------
    OSError
        A file is missing or damaged.
    """
    # without what is said of the columns, which Delta gives in another order each time
    fields = [field.remove_metadata() for field in pa.schema(table.schema())]
    schema = pa.schema(fields).serialize().to_pybytes()
    tables = [_rows_of_file(path, os.stat(path).st_mtime_ns, schema) for path in paths]
    return pa.concat_tables(tables, promote_options="permissive").combine_chunks()


@lru_cache(maxsize=16_384)
def _rows_of_file(path: str, changed_ns: int, schema: bytes) -> pa.Table:
    """The rows of a file; Delta never changes one in place."""
    try:
        rows = parquet.ParquetFile(path).read(use_threads=False)
    except pa.ArrowInvalid as error:
        raise OSError(f"{path}: {error}") from error
    types = pa.ipc.read_schema(pa.py_buffer(schema))
    types = pa.schema([types.field(name) for name in rows.column_names])
    rows = rows if rows.schema.equals(types) else rows.cast(types)
    return rows.append_column("day", pa.repeat(pa.scalar(day_of(path), pa.date32()), rows.num_rows))


def day_of(part: str) -> date:
    """Return the day that a file is of.

    Examples
    --------
    >>> day_of("day=2026-03-01/part-00000.snappy.parquet")
    datetime.date(2026, 3, 1)
    """
    return date.fromisoformat(part.rsplit("day=", 1)[-1].split("/", 1)[0])
