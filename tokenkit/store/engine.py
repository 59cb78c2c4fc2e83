"""Engine: where queries run. DuckDB over the lake's own Parquet files, or a frame the user already has.

Memory is bounded and spills; time is UTC. Narwhals expressions run on what ``scan`` returns.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from tokenkit.config import Engine


@contextmanager
def connect(limits: Engine, scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB connection with a memory limit, threads, and a folder to spill to.

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
        connection.execute(f"set memory_limit = '{limits.memory_limit}'")
        connection.execute(f"set threads = {limits.threads}")
        connection.execute("set temp_directory = ?", [str(scratch)])
        connection.execute("set enable_progress_bar = false")
        yield connection
    finally:
        connection.close()
