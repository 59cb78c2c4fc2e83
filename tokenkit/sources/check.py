"""Check: read a file by a source and show the result, before anything is stored.

Reads  one file by one source. Writes nothing. Credentials are shown as masks alone, and reasons quote nothing. Any word
that looks like a credential is hidden, even where it would be stored, since nobody has looked at this file yet.
"""

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pandas.util import hash_pandas_object

from tokenkit import schema
from tokenkit.config import Ingest
from tokenkit.errors import SourceError
from tokenkit.sources import tabular
from tokenkit.sources.clocks import Clock, keep_right
from tokenkit.sources.contract import Batch, Quarantined, Reading, Source, Tally
from tokenkit.sources.fields import sameness
from tokenkit.sources.fields.masking import hidden

SHOWN_RECORDS = 10
QUARANTINED_LISTED = 20
# what is lost where a column is null in every record
COSTS = {
    "token_uid": "every call is unattributed: stored and counted, never judged",
    "src_ip": "family network stays blind: new networks, a key used from two places",
    "user_agent": "family client stays blind: new programs",
    "response_bytes": "family data does not see what is taken",
    "request_bytes": "family data does not see what is sent",
    "rows": "family data does not see how many rows are read",
    "resource_uid": "family objects stays blind: objects never touched before, numbers tried one by one",
    "status_id": "family outcome stays blind: failures look like successes",
    "http_status": "failures are told apart by words alone: limits (429) and the service's own errors are not seen",
    "is_denied": "family outcome does not see refusals for lack of rights",
    "http_method": "whether a call reads or changes is known from the operation's name alone",
    "principal_uid": "a token that no inventory names is called by its mask; short-lived ones are followed one by one",
    "service": "two services' operations of one name are one operation",
    "duration_ms": "cannot be seen in the evidence; nothing is judged by it",
}
# columns that are derived from others or at ingest: they are not in the file, and not missing from it
DERIVED = {"day", "raw_ref", "class_uid", "source", "ua_family", "network_class", "activity_id", "token_type_id",
           "owner_uid", "owner_status"}  # fmt: skip
KEYED = {"session_uid"}  # a hash with the workspace's key, as token_uid
COLUMNS = [c.name for c in schema.EVENTS.columns if not c.name.endswith("_key") and c.name not in DERIVED]


@dataclass
class CheckResult:
    """The result of reading a file by a source.

    Attributes
    ----------
    counts : dict of str to int
        ``read`` = ``stored`` + ``duplicates`` + ``ignored`` + ``quarantined``; duplicates within the file alone.
    records : list of dict
        The first ten as they would be stored; ``token`` is the mask of the credential.
    filled : dict of str to str
        Columns of ``events`` to the columns of the file that fill them.
    null : dict of str to str
        Columns that are null in every record, and what that costs; "" where nothing is judged by them.
    unused : list of str
        Columns of the file that are not used.
    quarantined : list of Quarantined
        The first ones.
    notes : list of str
        What was assumed.
    """

    path: Path
    source: str
    counts: dict[str, int]
    records: list[dict[str, Any]] = field(default_factory=list)
    filled: dict[str, str] = field(default_factory=dict)
    null: dict[str, str] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check(path: Path, source: Source, reading: Reading, keyed: bool = True, clock: Clock | None = None) -> CheckResult:
    """Read a file as ingest would, and return what would be stored and what is quarantined.

    Parameters
    ----------
    path : Path
        One file.
    source : Source
    reading : Reading
        With the workspace's key, so that the ``token_uid`` shown are those that would be stored.
    keyed : bool
        Whether it is; without a workspace's key no ``token_uid`` is shown.
    clock : Clock, optional
        What time it is; default: by this machine, with the default settings.

    Raises
    ------
    ConfigError
        The source is a mapping, and the file lacks a column of it.
    """
    tally = Tally()
    records: list[dict[str, Any]] = []
    event_keys: list[np.ndarray[Any, np.dtype[np.int64]]] = []
    by_content: list[sameness.Flags] = []
    contents: list[np.ndarray[Any, np.dtype[np.uint64]]] = []  # a digest of what two deliveries have in common
    filled_rows: dict[str, int] = dict.fromkeys(COLUMNS, 0)
    unattributed = 0
    batches = list(source.read(path, reading, tally))
    for batch in keep_right(batches, tally, clock or Clock(datetime.now(UTC), Ingest())):
        if len(records) < SHOWN_RECORDS:
            records += _records(batch, SHOWN_RECORDS - len(records), keyed)
        event_keys.append(batch.events["event_key"].to_numpy())
        flags = batch.by_content
        by_content.append(np.zeros(batch.events.num_rows, dtype=bool) if flags is None else flags)
        contents.append(hash_pandas_object(batch.events.select(sameness.SAME).to_pandas(), index=False).to_numpy())
        for name in COLUMNS:
            filled_rows[name] += _present(batch.events[name], name)
        unattributed += pc.sum(pc.equal(batch.events["token_kind"], "none")).as_py() or 0
    events = sum(map(len, event_keys))
    stored = repeated = differing = 0
    if events:
        numbered, later = sameness.number_equal(np.concatenate(event_keys), np.concatenate(by_content))
        _, first, inverse = np.unique(numbered, return_index=True, return_inverse=True)
        content = np.concatenate(contents)
        stored, repeated, differing = len(first), int(later.sum()), int((content != content[first[inverse]]).sum())
    counts = {
        "read": tally.read, "stored": stored, "duplicates": events - stored, "ignored": sum(tally.ignored.values()),
        "quarantined": len(tally.quarantined),
    }  # fmt: skip
    fields_by_column = dict(source.columns)
    if fields_by_column and "token_uid" not in fields_by_column:
        fields_by_column["token_uid"] = tuple(reading.gateway.key_fields)
    result = CheckResult(
        Path(hidden(str(path), 4096)),
        source.name,
        counts,
        records,
        quarantined=[
            replace(one, reason=hidden(one.reason))
            for one in sorted(tally.quarantined, key=_place)[:QUARANTINED_LISTED]
        ],
    )
    names = _names(path, set(chain.from_iterable(fields_by_column.values())))
    result.filled = {ours: hidden(" + ".join(_of_file(theirs, names))) for ours, theirs in fields_by_column.items()}
    if events:
        result.null = {name: COSTS.get(name, "") for name in COLUMNS if not filled_rows[name]}
    used = tuple(chain.from_iterable(fields_by_column.values()))
    result.unused = [hidden(name, 60) for name in names if not _is_used(name, used)]
    result.notes = _notes(path, source, reading, unattributed, names)
    if equal := counts["duplicates"] - differing:
        result.notes.append(f"{equal:,} records are equal to an earlier one, their id included, and count once")
    result.notes += sameness.remarks(repeated, differing)
    result.notes += [hidden(text) for text in tally.without_value.values()]
    return result


def _place(entry: Quarantined) -> int:
    """The number in a place, so that what is quarantined stands in the order of the file."""
    number = re.search(r"\d+", entry.place)
    return int(number.group()) if number else 0


def _present(column: pa.ChunkedArray, name: str) -> int:
    """Return in how many rows a column has a value."""
    if name == "token_uid":
        return pc.sum(pc.not_equal(column, "")).as_py() or 0
    if name == "status_id":
        return pc.sum(pc.not_equal(column, 0)).as_py() or 0
    return len(column) - column.null_count


def _records(batch: Batch, count: int, keyed: bool) -> list[dict[str, Any]]:
    tokens = batch.dimensions["dim_token"]
    masks = dict(zip(tokens["token_key"].to_pylist(), tokens["mask"].to_pylist(), strict=True))
    records = []
    for row in batch.events.slice(0, count).select([*COLUMNS, "token_key"]).to_pylist():
        token = masks.get(row.pop("token_key"))
        if not keyed:
            row |= {"token_uid": None, "session_uid": None}
        record = {name: value if name in KEYED else _plain(value) for name, value in row.items() if name != "token_uid"}
        records.append({"time": record.pop("time"), "token": token, "token_uid": row["token_uid"] or None} | record)
    return records


def _plain(value: Any) -> Any:
    """Return a value as JSON has it, without what looks like a credential."""
    if isinstance(value, str):
        return hidden(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value


def _names(path: Path, used: set[str]) -> list[str]:
    """Return the names of the file's columns; none where its columns have no names."""
    try:
        names = tabular.names(path, tabular.format_of(path))
    except SourceError:
        return []
    return names if any(_is_used(name, tuple(used)) for name in names) else []


def _is_used(name: str, used: tuple[str, ...]) -> bool:
    return any(name == one or name.startswith(one + ".") or one.startswith(name + ".") for one in used)


def _of_file(theirs: tuple[str, ...], names: list[str]) -> list[str]:
    """Return those of several spellings that the file has; all where its columns have no names."""
    return [name for name in theirs if name.startswith('"') or _is_used(name, tuple(names))] or list(theirs)


def _notes(path: Path, source: Source, reading: Reading, unattributed: int, names: list[str]) -> list[str]:
    notes = []
    zone = source.timezone or (reading.gateway.timezone if "token_uid" not in source.columns else "")
    times = [name for name in source.columns.get("time", ()) if name in names]
    if times and _without_zone(path, times):
        notes.append(f"times name no zone: they are read as {zone or 'UTC'}")
    if unattributed:
        notes.append(f"{unattributed:,} calls without a credential: stored, counted as unattributed, never judged")
    return notes


def _without_zone(path: Path, columns: list[str]) -> bool:
    """Whether the first times of a file are text without a zone; of two columns (date and time) the last tells it."""
    for rows in tabular.rows(path, tabular.format_of(path), columns):
        cells = zip(*(rows.columns[column][:50] for column in columns), strict=True)
        texts = [" ".join(str(v).strip() for v in row) for row in cells if any(isinstance(v, str) for v in row)]
        for text in texts:
            try:
                return datetime.fromisoformat(text).tzinfo is None and not text.isdigit()
            except ValueError:
                continue
        return False
    return False
