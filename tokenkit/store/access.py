"""Access: one run at a time in a workspace, and a plain message where its files cannot be read or written.

Writes  .tokenkit/lock. Brings a workspace of an older version up to date (``migration``).
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
from deltalake.exceptions import DeltaError
from filelock import FileLock, Timeout

from tokenkit.config import Workspace
from tokenkit.errors import InputError, LockedError
from tokenkit.store import migration, points, remote

PATIENCE_S = 600  # how long what goes on with another run's lake waits for that run


@contextmanager
def locked(workspace: Workspace, wait_s: float = 0) -> Iterator[None]:
    """Hold the workspace; only one run works in it at a time. Whoever holds it may take it again.

    Parameters
    ----------
    wait_s : how long to wait for another run, in seconds

    Raises
    ------
    LockedError
        Another run holds it. The lock goes with its process, so there is nothing to clean up.
    """
    with readable(workspace):
        workspace.key.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(workspace.key.parent / "lock", is_singleton=True)
        try:
            lock.acquire(timeout=wait_s)
        except Timeout as error:
            raise LockedError(
                f"another run works in {workspace.root}. Wait until it has finished; nothing was changed."
            ) from error
        try:
            if lock.lock_counter == 1:
                migration.migrate(workspace)
                points.finish_restore(workspace)
            yield
        finally:
            lock.release()


@contextmanager
def readable(workspace: Workspace) -> Iterator[None]:
    """Turn an error of reading or writing a file of the workspace into one that says what to do.

    Raises
    ------
    InputError
        The disk is full, a file is missing, damaged or somebody else's.
    """
    try:
        yield
    except (sqlite3.DatabaseError, DeltaError, duckdb.IOException, OSError) as error:
        if remote.is_remote(workspace.lake) and re.search(r"S3|AWS|object store", str(error)):
            raise InputError(
                f"{remote.url(workspace.lake)}: cannot be reached: {' '.join(str(error).split())[:300]}. Check that "
                "the bucket exists, and AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY "
                "(AWS_ALLOW_HTTP=true for an address without TLS). What was published stands."
            ) from error
        raise InputError(
            f"{workspace.root}: the workspace cannot be read or written: {str(error).splitlines()[0]}. "
            "What was published stands. See what to do: tokenkit doctor"
        ) from error
