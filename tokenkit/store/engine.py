"""Engine: DuckDB connections, in which all queries over the Parquet files of the lake run.

Memory is bounded, and what does not fit is written to disk; times are UTC. Narwhals expressions run on what
``lake.scan`` returns.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from tokenkit.config import Engine


@contextmanager
def connect(settings: Engine, scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a DuckDB connection with a memory limit, a number of threads, and a folder for temporary files.

    Examples
    --------
    >>> import tempfile
    >>> with connect(Engine(), Path(tempfile.mkdtemp())) as connection:
    ...     connection.sql("select current_setting('TimeZone')").fetchall()
    [('UTC',)]
    """
    scratch.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect()
    try:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(f"set memory_limit = '{settings.memory_limit}'")
        connection.execute(f"set threads = {settings.threads}")
        connection.execute("set temp_directory = ?", [str(scratch)])
        connection.execute("set enable_progress_bar = false")
        yield connection
    finally:
        connection.close()
