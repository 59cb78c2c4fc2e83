"""Engine: DuckDB connections, in which all queries over the Parquet files of the lake run.

Memory is bounded, and what does not fit is written to disk; times are UTC. Narwhals expressions run on what
``lake.scan`` returns.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import count
from pathlib import Path

import duckdb

from tokenkit.config import Engine

_NUMBER = count(1)


@contextmanager
def connect(settings: Engine, scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a DuckDB connection with a memory limit, a number of threads, and a folder for temporary files.

    Its tables and views are its own and end with it. The memory limit is that of all connections of the process.

    Examples
    --------
    >>> import tempfile
    >>> with connect(Engine(), Path(tempfile.mkdtemp())) as connection:
    ...     connection.sql("select current_setting('TimeZone')").fetchall()
    [('UTC',)]
    """
    scratch.mkdir(parents=True, exist_ok=True)
    database = _database(settings.memory_limit, settings.threads, scratch)
    connection, name = database.cursor(), f"connection_{next(_NUMBER)}"
    try:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("set enable_progress_bar = false")
        connection.execute(f"attach ':memory:' as {name}")
        connection.execute(f"use {name}")
        yield connection
    finally:
        connection.close()  # with whatever it was at: a query half read, a transaction that failed
        with database.cursor() as other:
            other.execute(f"detach database if exists {name}")


@lru_cache(maxsize=1)
def _database(memory_limit: str, threads: int, scratch: Path) -> duckdb.DuckDBPyConnection:
    """The process's one database: to open one costs 20 ms, and a night opens some forty connections."""
    database = duckdb.connect()
    database.execute(f"set memory_limit = '{memory_limit}'")
    database.execute(f"set threads = {threads}")
    database.execute("set temp_directory = ?", [str(scratch)])
    return database
