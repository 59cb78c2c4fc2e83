"""Gateways: JSON lines of a proxy that knows which key called. One reader, and a table of field names for each.

The key's id is the first of ``Reading.gateway.key_fields`` that a line has. Whatever else a line holds (headers,
bodies, query strings) is not kept. Traps: numbers as text, ``-`` for nothing, durations of -1 for a call that broke
off, methods that someone invented.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tokenkit.sources import files, http, wrappers
from tokenkit.sources.contract import BATCH, Batch, Quarantined, Reading, Record, Source, Tally
from tokenkit.sources.fields.clients import USER_AGENT_CAP
from tokenkit.sources.fields.columns import ColumnReader
from tokenkit.sources.fields.masking import MASK, shown, without_own_key
from tokenkit.sources.fields.normalise import Coded, assemble
from tokenkit.sources.fields.sameness import event_ids

SUFFIXES = (".json", ".jsonl", ".ndjson", ".log")


@dataclass(frozen=True)
class LogFormat:
    """The names of one gateway's fields, each with its spellings; the first that a batch has is used.

    ``per_second``: what one second is in the time field; ``duration_unit_ms``: what one unit of the duration is, ms;
    ``handle_field``: as in ``Source``.
    """

    name: str
    doc: str
    per_second: int
    duration_unit_ms: float
    time: tuple[str, ...]
    event_uid: tuple[str, ...]
    address: tuple[str, ...]
    method: tuple[str, ...]
    path: tuple[str, ...]
    status: tuple[str, ...]
    request_bytes: tuple[str, ...]
    response_bytes: tuple[str, ...]
    duration: tuple[str, ...]
    user_agent: tuple[str, ...]
    principal: tuple[str, ...]
    marks: tuple[tuple[str, ...], ...]  # a record has one field of each
    handle_field: str | None = None
    request: tuple[str, ...] = ()  # method, path and protocol in one field: GET /v1/orders HTTP/1.1


NGINX_FORMAT = LogFormat(
    name="nginx",
    doc="NGINX access log, log_format escape=json, one object a line",
    per_second=1,
    duration_unit_ms=1000.0,
    time=("msec", "time_iso8601", "time", "time_local"),
    event_uid=("request_id",),
    address=("remote_addr",),
    method=("request_method", "method"),
    path=("request_uri", "uri", "path"),  # $uri is what a rewrite made of $request_uri
    status=("status",),
    request_bytes=("request_length",),
    response_bytes=("bytes_sent", "body_bytes_sent"),
    duration=("request_time",),
    user_agent=("http_user_agent",),
    principal=("consumer", "remote_user"),
    marks=(
        ("msec", "time_iso8601", "time", "time_local"),
        ("remote_addr",),
        ("uri", "request_uri", "request"),
        ("status",),
    ),
    request=("request",),
)
HAPROXY_FORMAT = LogFormat(
    name="haproxy",
    doc="HAProxy log-format as JSON, one object a line, key id made inside the proxy",
    per_second=1000,
    duration_unit_ms=1.0,
    time=("ts_ms",),
    event_uid=("request_id", "unique_id"),
    address=("src_ip",),
    method=("method",),
    path=("path",),
    status=("status",),
    request_bytes=("bytes_in",),
    response_bytes=("bytes_out",),
    duration=("latency_ms",),
    user_agent=("ua", "user_agent"),
    principal=("consumer",),
    marks=(("ts_ms",), ("src_ip",), ("path",), ("status",)),
    handle_field="key_hmac",
)


def _lines(path: Path, log_format: LogFormat, reading: Reading, tally: Tally) -> Iterator[Batch]:
    """Yield the events of one file of JSON, wrapped or not, plain or packed, whole or cut off."""
    for part in wrappers.records(path, lambda record: _recognises(log_format, record), BATCH, by_names=True):
        with files.without_collection():
            batch = _batch(path, log_format, reading, tally, part)
        if batch:
            yield batch
        tally.read += len(part.quarantined)
        tally.quarantined += part.quarantined


def _batch(path: Path, log_format: LogFormat, reading: Reading, tally: Tally, part: wrappers.Records) -> Batch | None:
    """Return the events among these records; the others are counted."""
    numbers, lines, records = part.numbers, part.lines, part.records
    tally.read += len(records)
    reader, raw = _columns(records, log_format, reading)
    if reader.reasons:
        for i, reason in sorted(reader.reasons.items()):
            tally.quarantined.append(Quarantined.of(f"{part.place} {numbers[i]}", lines[i], reason))
        numbers, lines = files.without(numbers, reader.reasons), files.without(lines, reader.reasons)
        records = files.without(records, reader.reasons)
        reader, raw = _columns(records, log_format, reading)
    if not records:
        return None
    raw["event_uid"], raw["contents"] = event_ids(raw["event_uid"], lines, reading.gateway.unique_ids)
    return _events(path, log_format, reading, raw, numbers)


def _first(reads: Callable[[str], list[Any]], names: tuple[str, ...] | list[str]) -> list[Any]:
    """Return, for each record, the first of these fields that it has."""
    values = reads(names[0])
    for name in names[1:]:
        if None not in values:
            break
        values = [v if v is not None else o for v, o in zip(values, reads(name), strict=True)]
    return values


def _columns(records: list[Record], log_format: LogFormat, reading: Reading) -> tuple[ColumnReader, dict[str, Any]]:
    """Return the raw columns of a batch; the reader has the reasons why records cannot be used."""
    reader = ColumnReader(records)
    raw: dict[str, Any] = {}
    raw["time"] = reader.times(
        _first(lambda name: _times(records, name), log_format.time), log_format.time[0], log_format.per_second,
        reading.gateway.timezone,
    )  # fmt: skip
    raw["key_id"] = _first(reader.labels, reading.gateway.key_fields)
    if log_format.handle_field in reading.gateway.key_fields:
        raw["handles"] = _handles(log_format.name, raw["key_id"], reader.labels(log_format.handle_field))
    for column in ("event_uid", "address", "principal"):
        raw[column] = _first(reader.labels, getattr(log_format, column))
    for column in ("method", "path", "user_agent"):
        raw[column] = _first(reader.texts, getattr(log_format, column))
    if log_format.request and None in raw["path"]:
        _split_request(raw, _first(reader.texts, log_format.request))
    called = [p if p is not None else m for p, m in zip(raw["path"], raw["method"], strict=True)]
    if None in called:
        reader.require(called, next((n for n in log_format.path if any(n in r for r in records)), log_format.path[0]))
    for column in ("request_bytes", "response_bytes"):
        raw[column] = _first(reader.amounts, getattr(log_format, column))
    for column in ("status", "duration"):
        raw[column] = _first(reader.numbers, getattr(log_format, column))
    for column, hint in (("path", lambda _: MASK), ("user_agent", lambda _: MASK), ("principal", shown)):
        raw[column] = without_own_key(raw[column], raw["key_id"], hint)
    return reader, raw


def _times(records: list[Record], name: str) -> list[Any]:
    """The times of a field; those of $time_local, such as 02/Mar/2026:10:00:00 +0100, as ISO 8601."""
    values = [r.get(name) for r in records]
    return [_LOCAL.sub(_iso, v) if type(v) is str else v for v in values] if name == "time_local" else values


_NAMES_OF_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {name: f"{number:02d}" for number, name in enumerate(_NAMES_OF_MONTHS, 1)}
_LOCAL = re.compile(r"^(\d\d)/(\w{3})/(\d{4}):(\d\d:\d\d:\d\d) ([+-]\d\d)(\d\d)$")


def _iso(local: re.Match[str]) -> str:
    day, month, year, clock, hours, minutes = local.groups()
    return f"{year}-{_MONTHS.get(month, month)}-{day}T{clock}{hours}:{minutes}"


_REQUEST = re.compile(r"(\S+) (.+?)(?: HTTP/\d(?:\.\d)?)?")


def _split_request(raw: dict[str, Any], requests: list[str | None]) -> None:
    """Fill in method and path where the log has them as the first line of the request alone."""
    for i, request in enumerate(requests):
        if raw["path"][i] is None and request and (parts := _REQUEST.fullmatch(request)):
            raw["path"][i] = parts.group(2)
            raw["method"][i] = raw["method"][i] or parts.group(1)


# what HAProxy's hex converter makes of SHA-1 and longer; a raw key that somebody logs under this name is none
_HMAC = re.compile(r"[0-9a-fA-F]{40,128}")


def _handles(connector: str, keys: list[str | None], declared: list[str | None]) -> dict[str, tuple[str, str]]:
    """Return connector and handle of each id that is an HMAC from the field that is declared to hold no secret."""
    return {k: (connector, k) for k, d in zip(keys, declared, strict=True) if k and k == d and _HMAC.fullmatch(k)}


def _events(path: Path, log_format: LogFormat, reading: Reading, raw: dict[str, Any], numbers: list[int]) -> Batch:
    count = len(numbers)
    columns: dict[str, Any] = {"event_uid": raw["event_uid"]}
    columns["address"] = Coded.of(raw["address"])
    columns["user_agent"] = Coded.of([None if v == "-" or v == "" else v for v in raw["user_agent"]], USER_AGENT_CAP)
    tokens = http.add_token_columns(reading.key, f"gateway:{reading.gateway.realm}", raw, columns)
    http.add_route_columns(raw["path"], raw["method"], columns)
    _outcome(raw["status"], columns)
    columns["service"] = Coded(np.zeros(count, dtype=np.int64), [f"gateway:{reading.gateway.realm}"])
    columns["class_uid"] = pa.repeat(pa.scalar(6003, pa.int32()), count)
    columns["request_bytes"] = pa.array(raw["request_bytes"], pa.int64())
    columns["response_bytes"] = pa.array(raw["response_bytes"], pa.int64())
    columns["duration_ms"] = http.durations_ms(raw["duration"], log_format.duration_unit_ms)
    return assemble(
        reading, log_format.name, raw["time"], columns, tokens, str(path), numbers, contents=raw["contents"]
    )


def _outcome(statuses: list[float | int | None], columns: dict[str, Any]) -> None:
    status = np.array([s if s is not None and 100 <= s <= 599 else 0 for s in statuses], dtype=np.int16)
    unknown = status == 0
    columns["http_status"] = pa.array(status, mask=unknown)
    columns["status_code"] = columns["http_status"].cast(pa.string())
    columns["status_id"] = pa.array(np.where(unknown, 0, np.where(status < 400, 1, 2)).astype(np.int8))
    columns["is_denied"] = pa.array((status == 401) | (status == 403))


def _recognises(log_format: LogFormat, record: Record) -> bool:
    return all(any(name in record for name in names) for names in log_format.marks)


def _source(log_format: LogFormat) -> Source:
    def recognises(record: Record) -> bool:
        return _recognises(log_format, record)

    def read(path: Path, reading: Reading, tally: Tally) -> Iterator[Batch]:
        return _lines(path, log_format, reading, tally)

    columns = {
        "time": log_format.time,
        "event_uid": log_format.event_uid,
        "src_ip": log_format.address,
        "http_method": (*log_format.method, *log_format.request),
        "url_path": (*log_format.path, *log_format.request),
        "operation": (*log_format.method, *log_format.path),
        "http_status": log_format.status,
        "request_bytes": log_format.request_bytes,
        "response_bytes": log_format.response_bytes,
        "duration_ms": log_format.duration,
        "user_agent": log_format.user_agent,
        "principal_uid": log_format.principal,
    }
    return Source(
        log_format.name, log_format.doc, SUFFIXES, recognises, read, log_format.handle_field, columns, unwraps=True
    )


NGINX = _source(NGINX_FORMAT)
HAPROXY = _source(HAPROXY_FORMAT)
