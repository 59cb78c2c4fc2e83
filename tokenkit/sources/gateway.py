"""Gateways: JSON lines of a proxy that knows which key called. A profile is a table of names; the reader is shared.

The key's id is the first of ``Reading.gateway.key_fields`` that a line has. Whatever else a line holds (headers,
bodies, query strings) is not kept. Traps: numbers as text, ``-`` for nothing, durations of -1 for a call that broke
off, methods that someone invented.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from tokenkit import identity
from tokenkit.sources import files
from tokenkit.sources.contract import BATCH, Bad, Batch, Reading, Record, Source, Tally
from tokenkit.sources.fields import operations
from tokenkit.sources.fields.clients import USER_AGENT_CAP
from tokenkit.sources.fields.columns import Columns
from tokenkit.sources.fields.masking import MASK, shown, tidy, without_query
from tokenkit.sources.fields.normalise import Coded, assemble, token_rows

SUFFIXES = (".json", ".jsonl", ".ndjson", ".log")
# kind, lifetime, OCSF token type
API_KEY = ("api_key", "long_lived", 7)
PRINCIPAL = ("principal", "unknown", 0)
NO_ONE = ("none", "unknown", 0)
OTHER_TYPE = 99
STATED = ("token_kind", "token_lifetime", "tenant")  # what a log may state of a token
_NOT_PLAIN = re.compile(r"[?#%;]|://")


@dataclass(frozen=True)
class Profile:
    """Names of one gateway's fields, each with its spellings; the first that the batch has is used.

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


NGINX_PROFILE = Profile(
    name="nginx",
    doc="NGINX access log, log_format escape=json, one object a line",
    per_second=1,
    duration_unit_ms=1000.0,
    time=("msec", "time_iso8601", "time"),
    event_uid=("request_id",),
    address=("remote_addr",),
    method=("request_method", "method"),
    path=("uri", "request_uri", "path"),
    status=("status",),
    request_bytes=("request_length",),
    response_bytes=("bytes_sent", "body_bytes_sent"),
    duration=("request_time",),
    user_agent=("http_user_agent",),
    principal=("consumer", "remote_user"),
    marks=(("msec", "time_iso8601", "time"), ("remote_addr",), ("uri", "request_uri"), ("status",)),
)
HAPROXY_PROFILE = Profile(
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


def _lines(path: Path, profile: Profile, reading: Reading, tally: Tally) -> Iterator[Batch]:
    """Events of one file of JSON lines, plain or gzip, whole or cut off."""
    for numbers, lines, broken in files.Reader(path).lines(BATCH):
        with files.without_collection():
            batch = _batch(path, profile, reading, tally, numbers, lines)
        if batch:
            yield batch
        tally.read += len(broken)
        for number, piece, why in broken:
            tally.quarantined.append(Bad(f"line {number}", files.digest(piece), why))


def _batch(
    path: Path, profile: Profile, reading: Reading, tally: Tally, numbers: list[int], lines: list[bytes]
) -> Batch | None:
    """The events among these lines; the others are counted."""
    tally.read += len(lines)
    records, faults = parse(lines)
    if faults:
        for i, why in faults.items():
            tally.quarantined.append(Bad(f"line {numbers[i]}", files.digest(lines[i]), why))
        numbers, lines = without(numbers, faults), without(lines, faults)
    take, raw = _columns(records, profile, reading)
    if take.faults:
        for i, why in sorted(take.faults.items()):
            tally.quarantined.append(Bad(f"line {numbers[i]}", files.digest(lines[i]), why))
        numbers, lines = without(numbers, take.faults), without(lines, take.faults)
        records = without(records, take.faults)
        take, raw = _columns(records, profile, reading)
    if not records:
        return None
    if not all(raw["event_uid"]):
        raw["event_uid"] = [
            uid or hashlib.sha256(line).hexdigest() for uid, line in zip(raw["event_uid"], lines, strict=True)
        ]
    return _events(path, profile, reading, raw, numbers)


def without(items: list[Any], faults: dict[int, str]) -> list[Any]:
    """The items whose index has no fault."""
    return [item for i, item in enumerate(items) if i not in faults]


def parse(lines: list[bytes]) -> tuple[list[Record], dict[int, str]]:
    """The objects of JSON lines in order, and the reason of each line, by its index, that is none."""
    try:
        records = list(map(orjson.loads, lines))
        if set(map(type, records)) <= {dict}:
            return records, {}
    except orjson.JSONDecodeError:
        pass
    records, faults = [], {}
    for i, line in enumerate(lines):
        try:
            value = files.parse(line)
        except ValueError as error:
            faults[i] = f"the line is {error}"
            continue
        if type(value) is dict:
            records.append(value)
        else:
            faults[i] = "the line is not an object"
    return records, faults


def _first(reads: Callable[[str], list[Any]], names: tuple[str, ...] | list[str]) -> list[Any]:
    """For each record the first of these fields that it has."""
    values = reads(names[0])
    for name in names[1:]:
        if None not in values:
            break
        values = [v if v is not None else o for v, o in zip(values, reads(name), strict=True)]
    return values


def _columns(records: list[Record], profile: Profile, reading: Reading) -> tuple[Columns, dict[str, Any]]:
    """The raw columns of a batch, and what is wrong with which record."""
    take = Columns(records)
    raw: dict[str, Any] = {}
    raw["time"] = take.times(
        _first(lambda name: [r.get(name) for r in records], profile.time), profile.time[0], profile.per_second
    )
    raw["key_id"] = _first(take.labels, reading.gateway.key_fields)
    if profile.handle_field in reading.gateway.key_fields:
        raw["handles"] = _handles(profile.name, raw["key_id"], take.labels(profile.handle_field))
    for column in ("event_uid", "address", "principal"):
        raw[column] = _first(take.labels, getattr(profile, column))
    for column in ("method", "path", "user_agent"):
        raw[column] = _first(take.texts, getattr(profile, column))
    take.require([p if p is not None else m for p, m in zip(raw["path"], raw["method"], strict=True)], profile.path[0])
    for column in ("request_bytes", "response_bytes"):
        raw[column] = _first(take.amounts, getattr(profile, column))
    for column in ("status", "duration"):
        raw[column] = _first(take.numbers, getattr(profile, column))
    for column, hint in (("path", lambda _: MASK), ("user_agent", lambda _: MASK), ("principal", shown)):
        raw[column] = without_own_key(raw[column], raw["key_id"], hint)
    return take, raw


# what HAProxy's hex converter makes of SHA-1 and longer; a raw key that somebody logs under this name is none
_HMAC = re.compile(r"[0-9a-fA-F]{40,128}")


def _handles(connector: str, keys: list[str | None], declared: list[str | None]) -> dict[str, tuple[str, str]]:
    """Of each id that was taken from the field declared to hold no secret, and looks like it: connector and handle."""
    return {k: (connector, k) for k, d in zip(keys, declared, strict=True) if k and k == d and _HMAC.fullmatch(k)}


def without_own_key(
    texts: Sequence[str | None], keys: Sequence[str | None], hint: Callable[[str], str]
) -> list[str | None]:
    """The texts without the id of the key that called: it is of no known format, but it is known here."""
    return [
        t.replace(k, hint(k)) if t and k and len(k) >= 8 and k in t else t for t, k in zip(texts, keys, strict=True)
    ]


def _events(path: Path, profile: Profile, reading: Reading, raw: dict[str, Any], numbers: list[int]) -> Batch:
    count = len(numbers)
    columns: dict[str, Any] = {"event_uid": raw["event_uid"]}
    columns["address"] = Coded.of(raw["address"])
    columns["user_agent"] = Coded.of([None if v == "-" or v == "" else v for v in raw["user_agent"]], USER_AGENT_CAP)
    tokens = callers(reading.key, f"gateway:{reading.gateway.realm}", raw, columns)
    routes(raw, columns)
    _outcome(raw["status"], columns)
    columns["service"] = Coded(np.zeros(count, dtype=np.int64), [f"gateway:{reading.gateway.realm}"])
    columns["class_uid"] = pa.repeat(pa.scalar(6003, pa.int32()), count)
    columns["request_bytes"] = pa.array(raw["request_bytes"], pa.int64())
    columns["response_bytes"] = pa.array(raw["response_bytes"], pa.int64())
    columns["duration_ms"] = durations(raw["duration"], profile.duration_unit_ms)
    return assemble(reading, profile.name, raw["time"], columns, tokens, str(path), numbers)


def callers(key: bytes, issuer: str, raw: dict[str, Any], columns: dict[str, Any]) -> pa.Table:
    """Token columns, made once for each distinct caller: a key's id leaves here as hash and mask alone.

    ``raw`` has ``key_id`` and ``principal`` of each record, and may have STATED. Only an id that the source declares
    to be no secret leaves as itself, too: as the connector's handle (``handles``).
    """
    known: dict[tuple[str | None, ...], int] = {}
    stated = [raw.get(name) or [None] * len(raw["key_id"]) for name in STATED]
    callers_of_records = zip(raw["key_id"], raw["principal"], *stated, strict=True)
    codes = np.array([known.setdefault(c, len(known)) for c in callers_of_records], dtype=np.int64)
    uids, kinds, lifetimes, types, rows = [], [], [], [], []
    for key_id, principal, stated_kind, stated_lifetime, tenant in known:
        native = key_id or principal
        uid = identity.token_uid(key, issuer, native) if native else ""
        kind, lifetime, type_id = API_KEY if key_id else PRINCIPAL if principal else NO_ONE
        if key_id and stated_kind:
            kind, lifetime, type_id = stated_kind, "unknown", OTHER_TYPE
        lifetime = (stated_lifetime if key_id else None) or lifetime
        uids.append(uid)
        kinds.append(kind)
        lifetimes.append(lifetime)
        types.append(type_id)
        if native:
            handle = raw.get("handles", {}).get(key_id)
            rows.append((uid, issuer, kind, lifetime, shown(native), principal, None, tenant, handle))
    who = Coded(codes, uids)
    columns["token_uid"] = who
    columns["token_kind"] = who.spread(kinds, pa.string())
    columns["token_lifetime"] = who.spread(lifetimes, pa.string())
    columns["token_type_id"] = who.spread(types, pa.int8())
    columns["principal_uid"] = Coded.of(raw["principal"])
    return token_rows(key, rows)


def routes(raw: dict[str, Any], columns: dict[str, Any]) -> None:
    """Path, object, operation, method and what it does: each distinct path is cleaned and judged once."""
    paths = Coded.of([path or "/" for path in raw["path"]], cap=None)
    plain = [without_query(path) if _NOT_PLAIN.search(path) else path for path in paths.values]
    paths = paths.become(tidy(pa.array(plain, pa.string())).to_pylist())
    template = operations.Routes().template
    templates = paths.become([template(path) for path in paths.values])
    with_id = ["{id}" in templates.values[code] for code in _code_of_each(paths, templates)]
    methods = Coded.of(raw["method"], cap=None)
    methods = methods.become([operations.known_method(m) for m in methods.values], operations.known_method(None))
    columns["url_path"] = paths
    columns["resource_uid"] = paths.become([p if w else None for p, w in zip(paths.values, with_id, strict=True)])
    columns["operation"] = _joined(methods, templates)
    columns["http_method"] = methods
    columns["activity_id"] = methods.spread(methods.each(operations.activity_of_method), pa.int8())


def _code_of_each(paths: Coded, templates: Coded) -> list[int]:
    codes = np.zeros(len(paths.values), dtype=np.int64)
    codes[paths.codes] = templates.codes
    return codes.tolist()


def _joined(methods: Coded, templates: Coded) -> Coded:
    width = len(templates.values)
    distinct, inverse = np.unique(methods.codes * width + templates.codes, return_inverse=True)
    return Coded(inverse, [f"{methods.values[c // width]} {templates.values[c % width]}" for c in distinct.tolist()])


def _outcome(statuses: list[float | int | None], columns: dict[str, Any]) -> None:
    status = np.array([s if s is not None and 100 <= s <= 599 else 0 for s in statuses], dtype=np.int16)
    unknown = status == 0
    columns["http_status"] = pa.array(status, mask=unknown)
    columns["status_code"] = columns["http_status"].cast(pa.string())
    columns["status_id"] = pa.array(np.where(unknown, 0, np.where(status < 400, 1, 2)).astype(np.int8))
    columns["is_denied"] = pa.array((status == 401) | (status == 403))


def durations(values: list[float | int | None], unit_ms: float) -> pa.Array:
    """Durations in ms; null where the log has what is none."""
    # -1 stands for a call that broke off
    return pa.array([v * unit_ms if v is not None and 0 <= v < 1e9 else None for v in values], pa.float32())


def _source(profile: Profile) -> Source:
    def recognises(record: Record) -> bool:
        return all(any(name in record for name in names) for names in profile.marks)

    def read(path: Path, reading: Reading, tally: Tally) -> Iterator[Batch]:
        return _lines(path, profile, reading, tally)

    columns = {
        "time": profile.time, "event_uid": profile.event_uid, "src_ip": profile.address, "http_method": profile.method,
        "url_path": profile.path, "operation": (profile.method[0], profile.path[0]), "http_status": profile.status,
        "request_bytes": profile.request_bytes, "response_bytes": profile.response_bytes,
        "duration_ms": profile.duration, "user_agent": profile.user_agent, "principal_uid": profile.principal,
    }  # fmt: skip
    return Source(profile.name, profile.doc, SUFFIXES, recognises, read, profile.handle_field, columns)


NGINX = _source(NGINX_PROFILE)
HAPROXY = _source(HAPROXY_PROFILE)
