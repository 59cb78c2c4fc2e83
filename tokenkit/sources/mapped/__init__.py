"""Mapped: any CSV, JSON lines or Parquet whose columns a ``Mapping`` names; and lines that a function parses.

Reads  files by ``tabular``. Gives batches of events, by the functions that the gateways' logs use (``http``).
A row without time or operation, or with text where a number belongs, is quarantined with its place and the name of the
column, never its value.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tokenkit import identity, schema
from tokenkit.errors import ConfigError, did_you_mean
from tokenkit.sources import files, http, tabular
from tokenkit.sources.contract import Batch, Reading, Record, Source, Tally
from tokenkit.sources.fields import operations
from tokenkit.sources.fields.clients import USER_AGENT_CAP
from tokenkit.sources.fields.masking import MASK, hidden, shown, without_own_key
from tokenkit.sources.fields.normalise import Coded, assemble
from tokenkit.sources.fields.sameness import event_ids
from tokenkit.sources.mapped import computed
from tokenkit.sources.mapped.computed import Fields
from tokenkit.sources.mapped.mapping import FIELDS, LIFETIMES, UNITS, Mapping, load_mapping
from tokenkit.sources.mapped.outcome import add_outcome, first
from tokenkit.sources.mapped.values import AMBIGUOUS, CellReader, ambiguous, first_of
from tokenkit.sources.stretch import Stretch
from tokenkit.sources.tabular import Rows

__all__ = ["Mapping", "load", "source"]

SHOWN_AS_MASK = ("path", "user_agent", "resource")


def load(path: Path) -> Source:
    """Return the source that a mapping TOML describes.

    Raises
    ------
    ConfigError
        The TOML cannot be used; says what to correct.
    """
    return source(load_mapping(path))


def source(
    mapping: Mapping,
    doc: str = "",
    parse: Callable[[bytes], Record] | None = None,
    recognises: Callable[[Record], bool] | None = None,
    fields: Fields | None = None,
    header: Collection[str] = (),
    is_record: Callable[[Record], bool] | None = None,
) -> Source:
    """Return a source that reads a log by a mapping.

    Parameters
    ----------
    mapping : Mapping
    doc : str
        One line for ``tokenkit sources``.
    parse : function of a line, optional
        For lines that are neither CSV nor JSON: turns one line (bytes) into a dict; raises ValueError where it cannot,
        with a reason that quotes nothing of the line.
    recognises : function of a record, optional
        Whether the first JSON object of a file is this source's. Without it the source has to be named.
    fields : function of a record, optional
        Computes columns of the mapping from several fields of a record, as of ``computed.with_fields``.
    header : names, optional
        Names that tell a CSV of this log from others, where ``fields`` takes one, too.
    is_record : function of a record, optional
        Whether an object of JSON is a record rather than an envelope of them, where ``recognises`` asks for more. What
        a client sent may lie in it, and makes no records of its own.
    """

    def is_row(record: Record) -> bool:
        telling = ("time", "native_id", "operation", "path", "method")
        return sum(_has(record, theirs) for name, theirs in mapping.each_column if name in telling) >= 2

    def read(path: Path, reading: Reading, tally: Tally) -> Iterator[Batch]:
        if fields:
            rows = computed.rows(path, _columns_of(mapping), is_record or recognises or is_row, fields)
            yield from batches(mapping, path, reading, tally, rows)
            return
        form = "" if parse else mapping.format or tabular.format_of(path)
        if form in ("csv", "parquet"):
            _require_columns(mapping, path, form)
        rows = tabular.rows(path, form, _columns_of(mapping), parse, is_row)
        with_value: set[str] = set()
        yield from batches(mapping, path, reading, tally, rows, with_value)
        if form == "jsonl" and with_value:
            tally.without_value = _without_value(mapping, path, with_value)

    description = doc or f"{mapping.format or 'CSV, JSON lines or Parquet'}, as {mapping.origin} maps it"
    recognise = recognises or (lambda record: False)
    return Source(
        mapping.name, description, mapping.endings, recognise, read, columns=mapping.filled, timezone=mapping.timezone,
        unwraps=parse is None, recognises_file=(lambda path: computed.has_header(path, header)) if header else None,
        is_lines=lambda path: parse is not None or tabular.is_lines(path, mapping.format),
    )  # fmt: skip


def batches(
    mapping: Mapping, path: Path, reading: Reading, tally: Tally, rows: Iterator[Rows],
    with_value: set[str] | None = None,
) -> Iterator[Batch]:  # fmt: skip
    """Yield the events of rows of a file; what is no event is counted.

    Parameters
    ----------
    mapping : Mapping
    path : Path
        The file, for places and messages.
    reading : Reading
    tally : Tally
        Added to.
    rows : iterator of Rows
        With the columns that the mapping names.
    with_value : set of str, optional
        Names of ours are added to it of which some row has a value.
    """
    for number, part in enumerate(rows):
        if number == 0 and not (isinstance(path, Stretch) and path.start):
            _require_marks(mapping, path, part)
        if with_value is not None:
            with_value |= {name for name, theirs in mapping.each_column if _any(part.columns.get(theirs, ()))}
        with files.without_collection():
            batch = _batch(mapping, path, reading, tally, part)
        if batch:
            yield batch


def _has(record: Record, name: str) -> bool:
    """Whether a record has a field; a name with dots leads into objects."""
    value: Any = record
    for part in (name,) if name in record else name.split("."):
        if not isinstance(value, dict) or part not in value:
            return False
        value = value[part]
    return True


def _columns_of(mapping: Mapping) -> list[str]:
    return list(dict.fromkeys((*mapping.needed, *mapping.where)))


def _any(values: Sequence[Any]) -> bool:
    return any(value is not None for value in values)


def _without_value(mapping: Mapping, path: Path, with_value: set[str]) -> dict[str, str]:
    """What to say of the fields that the mapping names and no record of the file has; an error is often in none."""
    names = [hidden(name, 60) for name in tabular.names(path, "jsonl")]

    def short(text: str) -> str:
        return text.replace(mapping.origin, Path(mapping.origin).name, 1) if mapping.origin else text

    return {
        name: f"{short(mapping.line(name))}, but no record has that field; {did_you_mean(theirs, names)}"
        for name, theirs in mapping.columns.items()
        if name not in with_value and name != "error"
    }


def _require_marks(mapping: Mapping, path: Path, rows: Rows) -> None:
    """Make sure that the numbers of the first rows can be read in one way alone.

    Raises
    ------
    ConfigError
        Those of a column cannot; names the file, the column and the line of the mapping.
    """
    if mapping.decimal or mapping.thousands:
        return
    for name, theirs in mapping.columns.items():
        kind, values = FIELDS[name].kind, rows.columns.get(theirs, [])
        if kind in ("amount", "number") and ambiguous(values, kind == "amount"):
            raise ConfigError(f"{mapping.line(name)}, but this column of {path} {AMBIGUOUS}.")


def _require_columns(mapping: Mapping, path: Path, form: str) -> None:
    """Make sure that every mapped column exists once.

    Raises
    ------
    ConfigError
        One does not; names the file, its columns and the line of the mapping.
    """
    try:
        names = tabular.names(path, form)
    except tabular.SourceError:
        if form == "parquet" or not files.Reader(path).head(4096).strip():
            return  # quarantined when it is read
        raise
    for name, theirs in mapping.each_column:
        column = theirs if form == "csv" else theirs if theirs in names else theirs.split(".", 1)[0]
        if column not in names:
            raise ConfigError(
                f"{mapping.line(name)}, but {path} has no column {theirs!r}; "
                f"{did_you_mean(theirs, [tabular.printable_names([name]) for name in names])} "
                f"(its columns: {tabular.printable_names(names)})"
            )
    for theirs in mapping.where:
        if (theirs if form == "csv" or theirs in names else theirs.split(".", 1)[0]) not in names:
            raise ConfigError(
                f"{mapping.origin or mapping.name}: where.{theirs}, but {path} has no such column "
                f"(its columns: {tabular.printable_names(names)})"
            )
    for name, theirs in mapping.columns.items():
        column = theirs if form == "csv" else theirs if theirs in names else theirs.split(".", 1)[0]
        if names.count(column) > 1:
            raise ConfigError(f"{mapping.line(name)}, but {path} has {names.count(column)} columns of that name.")


def _batch(mapping: Mapping, path: Path, reading: Reading, tally: Tally, rows: Rows) -> Batch | None:
    """Return the events of these rows; rows that are no events are counted."""
    tally.read += len(rows.numbers) + len(rows.quarantined)
    tally.quarantined += rows.quarantined
    if mapping.where and rows.numbers:
        rows = _calls_alone(mapping, tally, rows)
    if not rows.numbers:
        return None
    reader, raw = _raw(mapping, rows)
    if reader.reasons:
        tally.quarantined += rows.quarantine(reader.reasons)
        rows = rows.without(reader.reasons)
        reader, raw = _raw(mapping, rows)
    return _events(mapping, path, reading, rows, raw) if rows.numbers else None


def _calls_alone(mapping: Mapping, tally: Tally, rows: Rows) -> Rows:
    """Return the rows that ``where`` keeps; the others are ignored, and counted by the column that says so."""
    others: dict[int, str] = {}
    for theirs, words in mapping.where.items():
        for i, value in enumerate(rows.columns[theirs]):
            value = first_of(value) if type(value) is list else value
            value = int(value) if type(value) is float and value.is_integer() else value  # whole numbers beside nulls
            if (str(value).lower() if type(value) is bool else str(value).strip()) not in words:
                others.setdefault(i, f"rows that are no calls (where {theirs})")
    tally.ignored.update(others.values())
    return rows.without(others) if others else rows


def _raw(mapping: Mapping, rows: Rows) -> tuple[CellReader, dict[str, list[Any]]]:
    """Return the raw columns of a batch under our names, those that are mapped, and why rows cannot be used."""
    reader = CellReader(rows, *mapping.marks)
    for name, (day, clock) in mapping.joined.items():
        cells = zip(reader.values(day), reader.values(clock), strict=True)
        rows.columns[name] = [None if d is None or t is None else f"{d} {t}" for d, t in cells]
    raw: dict[str, list[Any]] = {}
    read: dict[str, Callable[[str], list[Any]]] = {
        "label": reader.labels, "number": reader.numbers, "amount": reader.amounts, "flag": reader.yes_or_no,
        "list": reader.lists_as_text,
    }  # fmt: skip
    for name, theirs in mapping.columns.items():
        if FIELDS[name].kind == "time":
            raw[name] = reader.moments(theirs, mapping.units.get("time", ""), name == "time", mapping.timezone)
        else:
            raw[name] = read[FIELDS[name].kind](theirs)
    for name, value in mapping.values.items():
        raw[name] = [value] * len(rows.numbers)
    named = [raw[name] for name in ("operation", "path") if name in raw]
    reader.require([next((v for v in cells if v is not None), None) for cells in zip(*named, strict=True)],
                 " and ".join(mapping.columns[n] for n in ("operation", "path") if n in mapping.columns))  # fmt: skip
    if "token_lifetime" in mapping.columns:
        for i, lifetime in enumerate(raw["token_lifetime"]):
            if lifetime not in (None, *LIFETIMES):
                theirs = mapping.columns["token_lifetime"]
                reader.reasons.setdefault(i, f"{theirs} is none of {', '.join(LIFETIMES)}")
    for i, calls in enumerate(raw.get("count", ())):
        if calls is not None and not 1 <= calls < 1 << 31:
            reader.reasons.setdefault(i, f"{mapping.columns['count']} is out of range")
    return reader, raw


def _events(mapping: Mapping, path: Path, reading: Reading, rows: Rows, raw: dict[str, list[Any]]) -> Batch:
    keys = raw["native_id"]
    nulls: list[Any] = [None] * len(keys)
    for name, values in raw.items():
        kind, hint = FIELDS[name].kind, (lambda _: MASK) if name in SHOWN_AS_MASK else shown
        if name not in mapping.columns or name in ("native_id", "event_uid"):
            continue
        if kind in ("label", "list"):
            raw[name] = without_own_key(values, keys, hint)
    issuer = f"gateway:{reading.gateway.realm}" if mapping.issuer == "gateway" else mapping.issuer
    uids = _without_credentials(reading.key, raw.get("event_uid", nulls), keys)
    event_uid, contents = event_ids(uids, rows.raw, mapping.unique_ids)
    columns: dict[str, Any] = {"event_uid": event_uid}
    columns["address"] = http.client_addresses(raw.get("src_ip", nulls), reading.gateway.trusted_proxies)
    columns["user_agent"] = Coded.of(raw.get("user_agent", nulls), USER_AGENT_CAP)
    callers = {"key_id": keys, "principal": raw.get("principal", nulls), "tenant": raw.get("tenant"),
               "token_lifetime": raw.get("token_lifetime")}  # fmt: skip
    for name, prefixes in (("token_kind", mapping.kinds), ("token_lifetime", mapping.lifetimes)):
        if prefixes:
            by_key = {key: _by_prefix(key, prefixes) for key in set(keys)}
            raw[name] = [by_key[k] or stated for k, stated in zip(keys, raw.get(name, nulls), strict=True)]
    callers["token_lifetime"] = raw.get("token_lifetime")
    if "token_kind" in raw:
        callers["token_kind"] = Coded.of(raw["token_kind"], 40).texts().to_pylist()
    tokens = http.add_token_columns(reading.key, issuer, callers, columns)
    _calls(raw, columns, nulls)
    add_outcome(raw, columns)
    for name in ("service", "app", "tenant", "resource_type", "region", "ja4", "src_country"):
        (column,) = FIELDS[name].fills
        columns[column] = Coded.of(raw.get(name, nulls), 256)
    if "src_country" in raw:
        words = columns["src_country"].values
        columns["src_country"] = columns["src_country"].become([w.upper() if len(w) == 2 else None for w in words])
    columns["class_uid"] = pa.repeat(pa.scalar(6003, pa.int32()), len(keys))
    for name in ("request_bytes", "response_bytes", "rows", "page_offset", "src_asn"):
        columns[name] = pa.array(raw.get(name, nulls), pa.int64())
    columns["cost_units"] = pa.array([_finite(v) for v in raw.get("cost_units", nulls)], pa.float64())
    columns["is_mfa"] = pa.array(raw.get("mfa", nulls), pa.bool_())
    unit_ms = UNITS["duration"][mapping.units.get("duration", "ms")]
    columns["duration_ms"] = http.durations_ms(raw.get("duration", nulls), unit_ms)
    if "count" in raw:
        columns["count"] = pa.array([v or 1 for v in raw["count"]], pa.int32())
    if "logged_time" in raw:
        columns["logged_time"] = pa.array(raw["logged_time"], pa.int64()).cast(schema.TIME)
    if "scopes" in raw:
        scopes = Coded.of(raw["scopes"])
        columns["scopes"] = scopes.spread([text.split() for text in scopes.values], pa.list_(pa.string()))
    if "session" in raw:
        sessions = Coded.of(raw["session"], cap=None)
        hashed = sessions.each(lambda text: identity.token_uid(reading.key, f"{issuer}:session", text))
        columns["session_uid"] = sessions.spread(hashed, pa.string())
    time = np.array(raw["time"], dtype=np.int64)
    return assemble(reading, mapping.name, time, columns, tokens, str(path), rows.numbers, rows.place, contents)


def _by_prefix(key: str | None, prefixes: dict[str, str]) -> str | None:
    """Return what is said of ids that begin so; of several beginnings the longest counts.

    Examples
    --------
    >>> _by_prefix("ASIA0123", {"A": "aws_key", "ASIA": "aws_session"}), _by_prefix("k1", {"A": "aws_key"})
    ('aws_session', None)
    """
    fits = [prefix for prefix in prefixes if key and key.startswith(prefix)]
    return prefixes[max(fits, key=len)] if fits else None


def _finite(value: float | int | None) -> float | None:
    return float(value) if value is not None and abs(value) < 1e15 else None


def _without_credentials(key: bytes, uids: list[str | None], keys: list[str | None]) -> list[str | None]:
    """Return the log's own ids; one with the credential in it is hashed with the workspace's key."""
    return [
        identity.token_uid(key, "event", uid).removeprefix("tok1_")
        if uid and native and len(native) >= 8 and native in uid
        else uid
        for uid, native in zip(uids, keys, strict=True)
    ]


def _calls(raw: dict[str, list[Any]], columns: dict[str, Any], nulls: list[Any]) -> None:
    """Add operation, method, path, object and activity: as the log names them, else from method and path."""
    operation = Coded.of(raw.get("operation", nulls), 256)
    resource = Coded.of([uid.split("?", 1)[0] if uid else None for uid in raw.get("resource", nulls)])
    method = raw.get("method")
    if "path" in raw:
        http.add_route_columns(raw["path"], method or nulls, columns)
        route: Coded = columns["operation"]
        if method is None:
            route = route.become([name.removeprefix("OTHER ") for name in route.values])
        operation, resource = first(operation, route), first(resource, columns["resource_uid"])
        without = pa.array([path is None for path in raw["path"]])
        columns["url_path"] = pc.if_else(without, None, columns["url_path"].texts())
    elif method:
        methods = Coded.of(method, cap=None)
        columns["http_method"] = methods.become([operations.known_method(m) for m in methods.values])
    columns["operation"], columns["resource_uid"] = operation, resource
    if method is None:
        columns.pop("http_method", None)
        columns["activity_id"] = operation.spread(operation.each(_activity), pa.int8(), 0)
    else:
        methods = columns["http_method"]
        columns["activity_id"] = methods.spread(methods.each(operations.activity_of_method), pa.int8(), 0)
    if "activity" in raw:
        words = Coded.of(raw["activity"], 64)
        stated = words.spread(
            [_STATED.get(word.lower()) or _activity(word) or None for word in words.values], pa.int8()
        )
        columns["activity_id"] = pc.coalesce(stated, columns["activity_id"])


# what logs call it where they say it in a column of its own; else as in names of operations
_STATED = {
    "access": operations.READ, "clone": operations.READ, "fetch": operations.READ, "watch": operations.READ,
    "modify": operations.UPDATE, "write": operations.UPDATE, "patch": operations.UPDATE, "push": operations.UPDATE,
    "edit": operations.UPDATE, "transfer": operations.UPDATE, "deletecollection": operations.DELETE,
}  # fmt: skip
_SIMPLE = {"Read": operations.READ, "Write": operations.UPDATE, "Insert": operations.CREATE}


def _activity(name: str) -> int:
    """Return what a call does, by its method, or by its first or last word.

    Examples
    --------
    >>> [_activity(name) for name in ("GET /orders", "list_orders", "orders.delete", "CreateOrder", "ping")]
    [2, 2, 4, 1, 0]
    """
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Za-z][a-z]*", name)
    if not words:
        return operations.UNKNOWN
    by_method = operations.activity_of_method(words[0])
    if by_method != operations.OTHER:
        return by_method
    named = (name, words[0].capitalize(), words[-1].capitalize())
    activities = (operations.activity_of_name(text) or _SIMPLE.get(text, 0) for text in named)
    return next((activity for activity in activities if activity), operations.UNKNOWN)
