"""Contract: what a log source is given, what it gives back, and how it counts what it could not read.

For every file: read = events + ignored + quarantined. (``ingest`` divides the events into stored ones and duplicates.)
A new source is one file that ends in a ``Source``.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tokenkit.config import Gateway
from tokenkit.sources.fields.networks import Databases

Record = dict[str, Any]

BATCH = 50_000  # records: 25 MB of Arrow, large enough that the cost of a call does not show


@dataclass(frozen=True)
class Reading:
    """What a source needs to know: the workspace's key, how gateway logs are read, and files that know networks."""

    key: bytes
    gateway: Gateway = field(default_factory=Gateway)
    databases: Databases = field(default_factory=Databases)


@dataclass(frozen=True)
class Quarantined:
    """One piece of a file that cannot be used: a record, a line that is too long, or the rest after a cut.

    The piece itself is stored nowhere, and the reason never quotes it: what cannot be parsed cannot be masked.

    Attributes
    ----------
    place : str
        Where it stands in the file, such as ``line 7``.
    piece_digest : str
        16 hex digits that identify the piece; column ``piece`` of the table ``quarantine``.
    reason : str
    """

    place: str
    piece_digest: str
    reason: str

    @classmethod
    def of(cls, place: str, piece: bytes, reason: str) -> "Quarantined":
        """The entry of a piece, by its bytes."""
        return cls(place, hashlib.sha256(piece).hexdigest()[:16], reason)


@dataclass
class Tally:
    """What a source met in one file.

    Attributes
    ----------
    read : int
        Records, lines and other pieces.
    ignored : dict of rule to how many records it left out
        Whole files are left out by ``find_files`` and counted beside it.
    quarantined : list of Quarantined
    without_value : dict of str to str
        What to say of a field that a mapping names and no record of the file has, by the name of ours.
    """

    read: int = 0
    ignored: Counter[str] = field(default_factory=Counter)
    quarantined: list[Quarantined] = field(default_factory=list)
    without_value: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Batch:
    """Events and the dimension rows that they point to, conforming to ``schema``.

    ``place`` is what a piece of the file is called: line, record or row.
    ``by_content`` says which events are known by their whole record and not by an id of the source's own: of those,
    equal ones in one file are calls of their own (``fields.sameness``). None: no event is.
    """

    events: pa.Table
    dimensions: dict[str, pa.Table]
    place: str = "line"
    by_content: np.ndarray[Any, np.dtype[np.bool_]] | None = None


@dataclass(frozen=True)
class Source:
    """A log source.

    Attributes
    ----------
    name : str
        As in ``SOURCE=PATH`` and in the column ``source``.
    doc : str
        One line for ``tokenkit sources``.
    suffixes : tuple of str
        What its files are usually called.
    recognises : function of a record
        Whether the first record of a file (or the whole document, where it has none) is this source's.
    read : function of path, Reading and Tally
        The file in batches. What cannot be used goes to the tally and raises nothing.
    handle_field : str, optional
        Field of its records whose id is declared to be no secret (an HMAC made inside the proxy). It alone may be kept
        as ``dim_token.enforce_handle``: the name under which the connector called as the source can lock the token.
    recognises_file : function of a path, optional
        Whether a file is this source's, where no JSON object of its beginning says so: an array, a table of columns.
    columns : dict of str to tuple of str, optional
        Column of ``events`` to the fields of its records that fill it, for ``tokenkit sources check``.
    timezone : str
        Zone of times that name none, for ``tokenkit sources check``; empty: UTC, or that of the gateway's settings.
    unwraps : bool
        Whether it takes off what is around its records (``wrappers.py``), so that a file is its own, too, where the
        first record is inside another one.
    is_lines : function of a path, optional
        Whether a file is one of lines, each of which says all by itself. Such a file is read in stretches
        (``stretch.py``): ``read`` is given a path whose lines, as ``files.Reader`` reads them, are some of the file's.
        Without it every file is read as a whole.
    """

    name: str
    doc: str
    suffixes: tuple[str, ...]
    recognises: Callable[[Record], bool]
    read: Callable[[Path, Reading, Tally], Iterator[Batch]]
    handle_field: str | None = None
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    timezone: str = ""
    unwraps: bool = False
    recognises_file: Callable[[Path], bool] | None = None
    is_lines: Callable[[Path], bool] | None = None
