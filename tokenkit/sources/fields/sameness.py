"""Sameness: which records are one event, and which only look alike.

A record is known by an id that the log's own server gave it (AWS's ``eventID``, or ids that the user declares unique),
or else by its whole content. A client can choose what it sends as a request id, so that such an id is part of the
content and nothing more. Of equal records in one file the n-th is the n-th such call; the n-th of another file is the
same one, delivered again.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from tokenkit import identity
from tokenkit.sources.contract import Batch

Keys = np.ndarray[Any, np.dtype[np.int64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]
CountBefore = Callable[[Keys], Keys]  # how many events with each of these sorted keys an earlier part of a file has
# what two deliveries of one call have in common, columns of ``events``
SAME = ("time", "token_key", "operation_key", "object_key", "src_ip", "http_status", "request_bytes", "response_bytes")


def event_ids(
    uids: Sequence[str | None], records: Sequence[bytes], unique: bool
) -> tuple[list[str], list[str | None] | None]:
    """Return what each record is called by, and what it is known by.

    Parameters
    ----------
    uids : sequence of str or None
        The ids that the log has.
    records : sequence of bytes
        Each record as it stands in its file; not looked at where ids are unique and none is missing. A carriage return
        at its end belongs to the line end.
    unique : bool
        Whether an id alone tells calls apart, because no client can choose it.

    Returns
    -------
    list of str
        For ``event_uid``: the log's own id, else the SHA-256 of the record.
    list of str or None, or None
        SHA-256 of each record that is known by its content; None for one that is known by its id, or for all of them.

    Examples
    --------
    >>> event_ids(["a", "a"], [b"1", b"2"], unique=True)
    (['a', 'a'], None)
    >>> names, contents = event_ids(["a", "a"], [b"1", b"2"], unique=False)
    >>> names, len(set(contents))
    (['a', 'a'], 2)
    """
    if unique and all(uids):
        return [uid or "" for uid in uids], None
    contents = [hashlib.sha256(record.rstrip(b"\r")).hexdigest() for record in records]
    names = [
        uid or (hashlib.sha256(record).hexdigest() if record[-1:] == b"\r" else content)
        for uid, record, content in zip(uids, records, contents, strict=True)
    ]
    if unique:
        return names, [None if uid else content for uid, content in zip(uids, contents, strict=True)]
    return names, list(contents)


def number_equal(keys: Keys, by_content: Flags, before: CountBefore | None = None) -> tuple[Keys, Flags]:
    """Give the second, third, ... of equal records of one file keys of their own.

    Parameters
    ----------
    keys : array of int64
        ``event_key`` of all events of a file, in its order. 24 bytes an event are needed while it runs.
    by_content : array of bool
        Whether each is known by its content. Equal keys of the others are one event, and stay.
    before : function of sorted keys, optional
        Where these are the events of a part of a file: how many equal ones come before it.

    Returns
    -------
    array of int64
        The keys; that of the n-th equal record follows from the first's key and n alone.
    array of bool
        Which are not the first.

    Examples
    --------
    >>> numbered, later = number_equal(np.array([7, 9, 7]), np.array([True, True, True]))
    >>> len(set(numbered.tolist())), later.tolist()
    (3, [False, False, True])
    """
    later = np.zeros(len(keys), dtype=bool)
    distinct, times = np.unique(keys[by_content], return_counts=True)
    earlier = before(distinct) if before else np.zeros(len(distinct), dtype=np.int64)
    several = distinct[times + earlier > 1]
    if not len(several):
        return keys, later
    at = np.flatnonzero(by_content & np.isin(keys, several))
    at = at[np.argsort(keys[at], kind="stable")]
    first = np.r_[True, np.diff(keys[at]) != 0]
    number = np.arange(len(at)) - np.flatnonzero(first)[np.cumsum(first) - 1]  # 0 for the first
    number += earlier[np.searchsorted(distinct, keys[at])]
    later[at[number > 0]] = True
    numbered = keys.copy()
    for place, n in zip(at[number > 0].tolist(), number[number > 0].tolist(), strict=True):
        numbered[place] = identity.value_key("event", f"{keys[place]}#{n + 1}")
    return numbered, later


def number_equal_records(
    batches: Sequence[Batch], before: CountBefore | None = None
) -> tuple[list[Batch], list[Flags]]:
    """Give the second, third, ... of equal records of one file event keys of their own.

    Parameters
    ----------
    batches : sequence of Batch
        All of one file, or of a part of it, in order.
    before : function of sorted keys, optional
        As in ``number_equal``.

    Returns
    -------
    list of Batch
        With other event keys, where records are equal.
    list of array of bool
        Of each batch, which events equal an earlier one of the file.
    """
    sizes = [batch.events.num_rows for batch in batches]
    if not any(batch.by_content is not None for batch in batches):
        return list(batches), [np.zeros(size, dtype=bool) for size in sizes]
    keys = np.concatenate([batch.events["event_key"].to_numpy() for batch in batches])
    flags = [
        np.zeros(n, dtype=bool) if b.by_content is None else b.by_content for b, n in zip(batches, sizes, strict=True)
    ]
    numbered, later = number_equal(keys, np.concatenate(flags), before)
    ends = np.cumsum(sizes)[:-1]
    if not later.any():
        return list(batches), np.split(later, ends)
    at = batches[0].events.column_names.index("event_key")
    return [
        replace(batch, events=batch.events.set_column(at, batch.events.schema.field(at), pa.array(part)))
        for batch, part in zip(batches, np.split(numbered, ends), strict=True)
    ], np.split(later, ends)


def remarks(repeated: int, differing: int) -> list[str]:
    """Return a sentence for each kind of record of which sameness had to be decided.

    Parameters
    ----------
    repeated : int
        Stored records that are equal to an earlier one of their file.
    differing : int
        Duplicates that have the id of another event and another content.

    Examples
    --------
    >>> remarks(0, 0), [text[:40] for text in remarks(2, 1)]
    ([], ['2 records equal an earlier one of their ', '1 duplicates have the id of another even'])
    """
    texts = []
    if repeated:
        texts.append(
            f"{repeated:,} records equal an earlier one of their file and count as calls of their own. "
            "If they are copies, log an id that no client can choose, and set unique_ids = true."
        )
    if differing:
        texts.append(
            f"{differing:,} duplicates have the id of another event, but not its content: they may be other calls, and "
            "are not stored. If unique_ids = true is set for this log, remove it."
        )
    return texts
