"""Contract: what a log source is given, what it gives back, and how it counts what it could not read.

For every file: read = events + ignored + quarantined. A new source is one file that ends in a ``Source``.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from tokenkit.config import Gateway

Record = dict[str, Any]

BATCH = 50_000  # records: 25 MB of Arrow, large enough that the cost of a call does not show


@dataclass(frozen=True)
class Reading:
    """What a source needs to know: the workspace's key, and how gateway logs are read."""

    key: bytes
    gateway: Gateway = field(default_factory=Gateway)


@dataclass(frozen=True)
class Bad:
    """One piece that could not be used. The reason never quotes the piece: what is broken cannot be redacted."""

    place: str
    digest: str
    reason: str


@dataclass
class Tally:
    """What a reader met: every record or line, those dropped by rule, and those that could not be used."""

    read: int = 0
    ignored: Counter[str] = field(default_factory=Counter)
    quarantined: list[Bad] = field(default_factory=list)


@dataclass(frozen=True)
class Batch:
    """Events and the dimension rows that they point to, conforming to ``schema``."""

    events: pa.Table
    dimensions: dict[str, pa.Table]


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
        The file in batches. Broken records go to the tally and raise nothing.
    handle_field : str, optional
        Field of its records whose id is declared to be no secret (an HMAC made inside the proxy). It alone may be kept
        as ``dim_token.enforce_handle``: the name under which the connector called as the source can lock the token.
    columns : dict of str to tuple of str, optional
        Column of ``events`` to the fields of its records that fill it, for ``tokenkit sources check``.
    """

    name: str
    doc: str
    suffixes: tuple[str, ...]
    recognises: Callable[[Record], bool]
    read: Callable[[Path, Reading, Tally], Iterator[Batch]]
    handle_field: str | None = None
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)
