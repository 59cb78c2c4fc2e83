"""Calls: what a gateway's log says of each call, as columns; and these columns as a batch of events."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tokenkit.sources import http
from tokenkit.sources.contract import Batch, Reading, Record
from tokenkit.sources.fields.clients import USER_AGENT_CAP
from tokenkit.sources.fields.columns import ColumnReader
from tokenkit.sources.fields.masking import MASK, shown, without_own_key
from tokenkit.sources.fields.normalise import Coded, assemble
from tokenkit.sources.fields.zones import Micros
from tokenkit.sources.gateways import requests
from tokenkit.sources.gateways.profile import Names, Profile

UNAUTHORIZED = 401


@dataclass
class Calls:
    """Columns of the calls of a batch, all of one length and with nulls.

    Attributes
    ----------
    time : array of int64
        Microseconds since 1970.
    key_id, event_uid, principal, method, path, user_agent : Array of string
    hops : Array of string
        The addresses on the way, the farthest first (``forwarded.py``).
    status, duration : Array of double
        The duration is in the unit of the profile.
    request_bytes, response_bytes : Array of int64
    handles : dict
        As of ``http.add_token_columns``.
    """

    time: Micros
    key_id: pa.Array
    event_uid: pa.Array
    principal: pa.Array
    method: pa.Array
    path: pa.Array
    user_agent: pa.Array
    hops: pa.Array
    status: pa.Array
    duration: pa.Array
    request_bytes: pa.Array
    response_bytes: pa.Array
    handles: dict[str, tuple[str, str]] = field(default_factory=dict)


def of_records(records: list[Record], profile: Profile, reading: Reading) -> tuple[dict[int, str], Calls]:
    """Return, by its index, why a record cannot be used, and the calls; these hold only where there is no reason."""
    key_fields = (*reading.gateway.key_fields, *profile.key_id)
    needed = (*profile.fields, *key_fields)
    if any("." in name for name in needed):
        records = [_flat(record, needed, profile.forwarded) for record in records]
    reader = ColumnReader(records)
    none = [None] * len(records)
    time = reader.times(
        _first((requests.times(reader.values(name)) for name in profile.time), none), profile.time[0],
        profile.per_second, reading.gateway.timezone,
    )  # fmt: skip
    keys = _first(map(reader.labels, key_fields), none)
    labels = [_first(map(reader.labels, names), none) for names in (profile.event_uid, profile.principal)]
    method, path, agent = (
        _first(map(reader.texts, names), none) for names in (profile.method, profile.path, profile.user_agent)
    )
    if profile.request and None in path:
        split = [requests.method_and_path(text or "") for text in _first(map(reader.texts, profile.request), none)]
        method = [
            m if p is not None or m is not None else found for m, p, (found, _) in zip(method, path, split, strict=True)
        ]
        path = [p if p is not None else found for p, (_, found) in zip(path, split, strict=True)]
    called = [p if p is not None else m for p, m in zip(path, method, strict=True)]
    if None in called:
        names = (*profile.path, *profile.request)
        reader.require(called, next((n for n in names if any(n in r for r in records)), names[0]))
    hops = _hops(reader, profile, bool(reading.gateway.trusted_proxies), none)
    status = _first(map(reader.numbers, profile.status), none)
    sent, answered = (
        _first(map(reader.amounts, names), none) for names in (profile.request_bytes, profile.response_bytes)
    )
    duration = _first(([_number(v) for v in reader.values(name)] for name in profile.duration), none)
    handles = {}
    if profile.handle_field and profile.handle_field in key_fields:
        handles = handles_of(profile.name, keys, reader.labels(profile.handle_field))
    return reader.reasons, Calls(
        time, _texts(keys), _texts(labels[0]), _texts(labels[1]), _texts(method), _texts(path), _texts(agent),
        _texts(hops), _doubles(status), _doubles(duration), pa.array(sent, pa.int64()), pa.array(answered, pa.int64()),
        handles,
    )  # fmt: skip


def _texts(values: list[str | None]) -> pa.Array:
    return pa.array(values, pa.string())


def _doubles(values: list[float | int | None]) -> pa.Array:
    return pa.array([None if v is None else float(v) for v in values], pa.float64())


def _first(columns: Iterable[list[Any]], none: list[Any]) -> list[Any]:
    """Return, for each record, the first value that these columns have."""
    values = none
    for column in columns:
        values = column if values is none else [v if v is not None else o for v, o in zip(values, column, strict=True)]
        if None not in values:
            break
    return values


def _flat(record: Record, names: Names, lists: Names) -> Record:
    """Return the fields of these names, wherever they are; lists of addresses as one text."""
    return {name: value for name in names if (value := _at(record, name, name in lists)) is not None}


def _at(record: Record, name: str, is_list: bool) -> Any:
    if name in record or "." not in name:
        return record.get(name)
    value: Any = record
    for part in name.split("."):
        value = value[0] if type(value) is list and value else value
        value = value.get(part) if type(value) is dict else None
    if type(value) is list:
        return ", ".join(map(str, value)) if is_list else value[0] if value else None
    return value


def _number(value: Any) -> float | None:
    """Return a duration; whatever else stands there says nothing and costs no call."""
    try:
        return float(value) if type(value) in (str, int, float) else None
    except (ValueError, OverflowError):
        return None


def _hops(reader: ColumnReader, profile: Profile, proxies_are_trusted: bool, none: list[Any]) -> list[str | None]:
    """Return the addresses on the way of each call: the peer alone where no proxy is trusted and the log names it."""
    peer = _first(map(reader.labels, profile.address), none)
    if not profile.forwarded or not (proxies_are_trusted or None in peer):
        return peer
    columns = [*(_addresses(reader, name) for name in profile.forwarded), peer]
    if proxies_are_trusted:
        return [", ".join(filter(None, hops)) or None for hops in zip(*columns, strict=True)]
    return [next((hop for hop in reversed(hops) if hop), None) for hops in zip(*columns, strict=True)]


def _addresses(reader: ColumnReader, name: str) -> list[str | None]:
    """A field that a client may send: of another type it says nothing, and costs no call."""
    return [v if type(v) is str and v not in ("", "-") else None for v in reader.values(name)]


# what HAProxy's hex converter makes of SHA-1 and longer; a raw key that somebody logs under this name is none
_HMAC = re.compile(r"[0-9a-fA-F]{40,128}")


def handles_of(connector: str, keys: list[str | None], declared: list[str | None]) -> dict[str, tuple[str, str]]:
    """Return connector and handle of each id that is an HMAC from the field that is declared to hold no secret."""
    return {k: (connector, k) for k, d in zip(keys, declared, strict=True) if k and k == d and _HMAC.fullmatch(k)}


def to_events(
    calls: Calls, profile: Profile, reading: Reading, path: Path, numbers: list[int], place: str,
    event_uid: list[str], contents: list[str | None] | None,
) -> Batch:  # fmt: skip
    """Return the calls as a batch of events.

    Parameters
    ----------
    calls, profile, reading
        As of ``of_records``.
    path : Path
    numbers : list of int
        Place of each call in the file, counted in ``place``.
    event_uid, contents
        As ``sameness.event_ids`` gives them.
    """
    count = len(numbers)
    issuer = f"gateway:{reading.gateway.realm}"
    columns: dict[str, Any] = {"event_uid": event_uid}
    status = np.nan_to_num(calls.status.to_numpy(zero_copy_only=False))
    principal = _let_in(calls, status)
    columns["address"] = http.client_addresses(calls.hops, reading.gateway.trusted_proxies)
    if "routeKey" in profile.path:  # of an HTTP API: with the method before it
        calls = replace(calls, path=pc.replace_substring_regex(calls.path, "^[A-Z]+ /", "/"))
    agent, principal, asked = _without_keys(calls, principal)
    agent = pc.if_else(pc.is_in(agent, pa.array(["", "-"])), None, agent)
    columns["user_agent"] = Coded.of(agent, USER_AGENT_CAP)
    tokens = _add_tokens(calls, principal, reading.key, issuer, columns)
    http.add_route_columns(asked, calls.method, columns)
    _add_outcome(status, columns)
    columns["service"] = Coded(np.zeros(count, dtype=np.int64), [issuer])
    columns["class_uid"] = pa.repeat(pa.scalar(6003, pa.int32()), count)
    columns["request_bytes"] = calls.request_bytes
    columns["response_bytes"] = calls.response_bytes
    columns["duration_ms"] = _durations_ms(calls.duration, profile.duration_unit_ms)
    return assemble(reading, profile.name, calls.time, columns, tokens, str(path), numbers, place, contents)


def _let_in(calls: Calls, status: "np.ndarray[Any, np.dtype[np.float64]]") -> pa.Array:
    """Return the principals without those that were only claimed: a name in an answer of 401 was not let in."""
    claimed = pc.and_(pa.array(status == UNAUTHORIZED), pc.is_null(calls.key_id))
    return pc.if_else(claimed, pa.scalar(None, pa.string()), calls.principal)


def _without_keys(calls: Calls, principal: pa.Array) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Return program, principal and path without the id of the key that called."""
    keys = calls.key_id.to_pylist()
    cleaned = []
    for column, hint in ((calls.user_agent, None), (principal, shown), (calls.path, None)):
        texts = column.to_pylist()
        without = without_own_key(texts, keys, hint or (lambda _: MASK))
        cleaned.append(column if without == texts else pa.array(without, pa.string()))
    return cleaned[0], cleaned[1], cleaned[2]


def _add_tokens(calls: Calls, principal: pa.Array, key: bytes, issuer: str, columns: dict[str, Any]) -> pa.Table:
    """Add the columns about token and principal; each distinct caller is worked on once."""
    keys, principals = calls.key_id.dictionary_encode(), principal.dictionary_encode()
    names, wide = [*keys.dictionary.to_pylist(), None], len(principals.dictionary) + 1
    people = [*principals.dictionary.to_pylist(), None]
    of_key = keys.indices.fill_null(len(names) - 1).to_numpy().astype(np.int64)
    pairs = of_key * wide + principals.indices.fill_null(wide - 1).to_numpy()
    distinct, caller = np.unique(pairs, return_inverse=True)
    raw = {
        "key_id": [names[pair // wide] for pair in distinct.tolist()],
        "principal": [people[pair % wide] for pair in distinct.tolist()],
        "handles": calls.handles,
    }
    of_caller: dict[str, Any] = {}
    tokens = http.add_token_columns(key, issuer, raw, of_caller)
    at = pa.array(caller)
    for name, column in of_caller.items():
        columns[name] = Coded(column.codes[caller], column.values) if isinstance(column, Coded) else column.take(at)
    return tokens


def _add_outcome(statuses: "np.ndarray[Any, np.dtype[np.float64]]", columns: dict[str, Any]) -> None:
    status = np.where((statuses >= 100) & (statuses <= 599), statuses, 0).astype(np.int16)
    unknown = status == 0
    columns["http_status"] = pa.array(status, mask=unknown)
    columns["status_code"] = columns["http_status"].cast(pa.string())
    columns["status_id"] = pa.array(np.where(unknown, 0, np.where(status < 400, 1, 2)).astype(np.int8))
    columns["is_denied"] = pa.array((status == UNAUTHORIZED) | (status == 403))


def _durations_ms(values: pa.Array, unit_ms: float) -> pa.Array:
    """Return durations in ms; null where the log has none, as -1 for a call that broke off."""
    numbers = values.to_numpy(zero_copy_only=False)
    with np.errstate(invalid="ignore"):
        sound = (numbers >= 0) & (numbers < 1e9 / min(unit_ms, 1))  # false for nan
    return pa.array((np.where(sound, numbers, 0) * unit_ms).astype(np.float32), mask=~sound)
