"""Remote: a lake on S3-style storage. Arrow's own S3 client reads it for DuckDB, whose S3 client is a download.

A remote lake is named by the path ``s3:/bucket/prefix``, so that a lake is a path everywhere; only this room opens it.
Credentials, region and address come from the environment, by the names that AWS gave them (``config.s3_options``).
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from pyarrow import fs

from tokenkit import schema
from tokenkit.config import s3_options

_OPENED: dict[str, DeltaTable] = {}


def is_remote(lake: Path) -> bool:
    """Whether a lake is on S3-style storage.

    Examples
    --------
    >>> is_remote(Path("s3://bucket/prefix")), is_remote(Path("/home/ana/w/lake"))
    (True, False)
    """
    return lake.parts[:1] == ("s3:",)


def url(lake: Path) -> str:
    """Return the address of a remote lake or of something in it.

    Examples
    --------
    >>> url(Path("s3://bucket/prefix") / "events")
    's3://bucket/prefix/events'
    """
    return "s3://" + key(lake)


def key(path: Path) -> str:
    """Return bucket and key of a path in a remote lake."""
    return "/".join(path.parts[1:])


def file_system() -> fs.S3FileSystem:
    """Return Arrow's client of the storage that the environment names."""
    return _file_system(**s3_options())


@lru_cache(maxsize=4)
def _file_system(**options: str) -> fs.S3FileSystem:
    return fs.S3FileSystem(**options)


def open_table(lake: Path, name: str) -> DeltaTable | None:
    """Return the newest version of a table, or None where there is none."""
    address = url(lake / name)
    table = _OPENED.get(address)
    if table is not None:
        try:
            table.update_incremental()
            return table
        except DeltaError:  # removed meanwhile, or made anew
            del _OPENED[address]
    try:
        table = _OPENED[address] = DeltaTable(address)
    except TableNotFoundError:
        return None
    return table


def dataset(lake: Path, table: DeltaTable, name: str, parts: Sequence[str]) -> ds.Dataset:
    """Return some files of a table as one data set of Arrow, in which columns that a file lacks are null."""
    day = schema.table(name).partition
    by_day = ds.partitioning(pa.schema([(day, pa.date32())]), flavor="hive") if day else None
    files = [key(lake / name / part) for part in parts]
    return ds.dataset(files, pa.schema(table.schema()), "parquet", file_system(), by_day)


def sizes(paths: Sequence[Path]) -> dict[Path, int]:
    """Return the sizes in bytes of those files of a remote lake that are there."""
    infos = file_system().get_file_info([key(path) for path in paths]) if paths else []
    return {path: info.size for path, info in zip(paths, infos, strict=True) if info.type == fs.FileType.File}


def contents(lake: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield every file below a remote lake with its content."""
    client = file_system()
    for info in client.get_file_info(fs.FileSelector(key(lake), recursive=True, allow_not_found=True)):
        if info.type == fs.FileType.File:
            with client.open_input_stream(info.path) as file:
                yield Path("s3:/") / info.path, file.read()
