"""Normalise: turn the raw columns of any source into a batch of events with its dimension rows.

``Coded`` is a column whose distinct values are worked on once; ``assemble`` makes the batch: masks, networks, clients,
keys, dimensions.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tokenkit import identity, schema
from tokenkit.sources.contract import Batch, Reading
from tokenkit.sources.fields import clients, operations, sensitive
from tokenkit.sources.fields.columns import Micros
from tokenkit.sources.fields.masking import path_text, tidy
from tokenkit.sources.fields.networks import NOTHING, UNKNOWN, Databases


@dataclass(frozen=True)
class Coded:
    """A column as codes into its distinct values; the code ``len(values)`` stands for null."""

    codes: Micros
    values: list[str]

    @classmethod
    def of(cls, column: Sequence[str | None] | pa.Array, cap: int | None = 1024) -> "Coded":
        """Encode a column; its distinct values are cleaned by ``tidy``, unless ``cap`` is None."""
        whole = column if isinstance(column, pa.Array) else pa.array(column, pa.string())
        encoded = whole.dictionary_encode()
        words = encoded.dictionary if cap is None else tidy(encoded.dictionary, cap)
        codes = encoded.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)
        return cls(codes.astype(np.int64), words.to_pylist())

    def spread(self, values: Sequence[Any], type: pa.DataType, null: Any = None) -> pa.Array:
        """Return a whole column from one value for each distinct value."""
        return pa.array([*values, null], type).take(pa.array(self.codes))

    def texts(self) -> pa.Array:
        """Return the column as text."""
        return self.spread(self.values, schema.STRING)

    def become(self, values: Sequence[str | None], null: str | None = None) -> "Coded":
        """Replace the distinct values, and encode again: several may have become one, or null."""
        encoded = pa.array([*values, null], pa.string()).dictionary_encode()
        codes = encoded.indices.fill_null(len(encoded.dictionary)).to_numpy(zero_copy_only=False)
        return Coded(codes[self.codes].astype(np.int64), encoded.dictionary.to_pylist())

    def each(self, function: Callable[[str], Any]) -> list[Any]:
        """Apply a function to every distinct value."""
        return [function(value) for value in self.values]


@cache
def _types(name: str) -> pa.Schema:
    return schema.table(name).arrow


def _table(name: str, rows: dict[Any, tuple[Any, ...]]) -> pa.Table:
    """Return rows, by key, as a dimension table."""
    types = _types(name)
    columns = list(zip(*rows.values(), strict=True)) if rows else [()] * len(types)
    return pa.Table.from_arrays([pa.array(c, f.type) for c, f in zip(columns, types, strict=True)], schema=types)


LOOKED_UP = ("src_asn", "src_country")
NO_DATABASES = Databases()
Handle = tuple[str, str]  # connector, and the name under which it knows the token
TokenRow = (
    tuple[str, str, str, str, str, str | None, str | None, str | None]
    | tuple[str, str, str, str, str, str | None, str | None, str | None, Handle | None]
)


def token_rows(key: bytes, rows: Sequence[TokenRow]) -> pa.Table:
    """``dim_token`` from (token_uid, issuer, kind, lifetime, mask, principal, role, tenant), one row a token.

    A ninth element, if there is one, is (connector, handle), by which the token can be locked, or None.
    """
    by_number: dict[int, tuple[Any, ...]] = {}
    for uid, issuer, kind, lifetime, mask, principal, role, tenant, *more in rows:
        handle = more[0] if more and more[0] else (None, None)
        number = identity.int_key(uid)
        if not uid or (number in by_number and (by_number[number][6] or not principal)):
            continue
        principal_uid = identity.token_uid(key, issuer, principal) if principal else None
        role_uid = identity.token_uid(key, issuer, role) if role else None
        texts = tidy(pa.array([principal, role, tenant], pa.string())).to_pylist()
        by_number[number] = (
            number,
            uid,
            issuer,
            kind,
            lifetime,
            mask,
            texts[0],
            principal_uid,
            texts[1],
            role_uid,
            texts[2],
            *handle,
        )
    return _table("dim_token", by_number)


@lru_cache(maxsize=200_000)
def _twin(kind: str, value: str) -> int:
    return identity.value_key(kind, value)


SHORT = 256  # characters; the row of a longer resource is not remembered
LAST_NUMBER = re.compile(r"^(.*[^0-9])?([0-9]+)([^0-9]*)$", re.DOTALL)


def object_row(resource: str) -> tuple[int, str, int, int | None]:
    """A ``dim_object`` row: key, resource, key of its group, number.

    Examples
    --------
    >>> object_row("/orders/17")[2] == object_row("/orders/18")[2], object_row("/orders/17/items")[3]
    (True, 17)
    """
    return _remembered(resource) if len(resource) < SHORT else _object_row(resource)


def _object_row(resource: str) -> tuple[int, str, int, int | None]:
    match = LAST_NUMBER.match(resource)
    number, group = None, resource
    if match:
        before, digits, after = match.groups()
        group = f"{before or ''}{{n}}{after}"
        number = int(digits) if len(digits) <= 18 else None
    return identity.value_key("object", resource), resource, _twin("object_group", group), number


_remembered = lru_cache(maxsize=50_000)(_object_row)


def _event_ids(key: bytes, values: Sequence[str]) -> pa.Array:
    """Return event ids without secrets; one that holds a secret becomes its keyed digest, so that ids stay distinct."""
    raw = pa.array(values, pa.string())
    tidied = tidy(raw, 200)
    if tidied.equals(raw):
        return raw
    ids = list(values)
    for i in np.flatnonzero(pc.not_equal(raw, tidied).to_numpy(zero_copy_only=False)).tolist():
        ids[i] = identity.token_uid(key, "event", values[i]).removeprefix("tok1_")
    return pa.array(ids, pa.string())


def assemble(
    reading: Reading,
    source: str,
    time: Micros,
    columns: dict[str, Any],
    tokens: pa.Table,
    origin: str,
    places: list[int],
    place: str = "line",
    contents: Sequence[str | None] | None = None,
) -> Batch:
    """Return events and dimensions of one batch.

    Parameters
    ----------
    reading : Reading
        Whose key is used where an event id held a secret, and whose databases know networks.
    source : str
        Name of the source.
    time : array of int64
        Microseconds since 1970.
    columns : dict
        Arrow arrays or lists under the names of ``events``. ``event_uid`` (no null), ``token_uid`` (Coded), and, as
        Coded, ``user_agent``, ``address`` (what the log has for the caller), ``service``, ``operation``,
        ``resource_uid``; the rest is stored as it is, a Coded as its text. ``activity_id`` is needed.
    tokens : Table
        ``dim_token``.
    origin : str
        The file, for ``raw_ref``.
    places : list of int
        Number of each record in it.
    place : str
        What such a number counts: line, record or row.
    contents : sequence of str or None, optional
        What each event is known by instead of its ``event_uid``, or None where that is enough (``sameness.event_ids``).
    """
    count = len(time)
    uid: Coded = columns["token_uid"]
    data: dict[str, Any] = {"source": pa.repeat(source, count), "time": pa.array(time, schema.INT).cast(schema.TIME)}
    data["day"] = data["time"].cast(schema.DAY)
    data["token_key"] = uid.spread(uid.each(identity.int_key), schema.INT, 0)
    data["count"] = columns.get("count", pa.repeat(pa.scalar(1, pa.int32()), count))
    data["raw_ref"] = pc.binary_join_element_wise(
        pa.scalar(path_text(origin)), pa.array(places, pa.int64()).cast(schema.STRING), "#"
    )
    event_uid = data["event_uid"] = _event_ids(reading.key, columns["event_uid"])
    known_by, by_content = event_uid.to_pylist(), None
    if contents is not None:
        by_content = np.array([content is not None for content in contents])
        known_by = [event if content is None else content for content, event in zip(contents, known_by, strict=True)]
    data["event_key"] = identity.distinct_value_keys("event", [f"{source}|{one}" for one in known_by])
    dimensions = {
        "dim_token": tokens,
        "dim_network": network_rows(columns.pop("address"), data, reading.databases),
        "dim_client": client_rows(columns["user_agent"], data),
        "dim_operation": operation_rows(columns, data),
        "dim_object": object_rows(columns["resource_uid"], data),
    }
    for name, values in columns.items():
        if name not in data:
            data[name] = values.texts() if isinstance(values, Coded) else values
        elif name in LOOKED_UP:  # what the log says counts
            data[name] = pc.coalesce(values.texts() if isinstance(values, Coded) else values, data[name])
    return Batch(schema.conform("events", pa.table(data)), dimensions, place, by_content)


def network_rows(address: Coded, data: dict[str, Any], databases: Databases = NO_DATABASES) -> pa.Table:
    """``dim_network`` of the addresses; puts network, class, address and ``network_key`` of each row into ``data``.

    With databases, also the autonomous system and the country.
    """
    found = address.each(clients.network)
    infos = [databases.look_up(f[0]) if f and f[2] == UNKNOWN else NOTHING for f in found]
    words = address.values
    nets = [f[1] if f else w[: clients.FAMILY_CAP] for f, w in zip(found, words, strict=True)]
    keys = [_twin("network", n) if n else 0 for n in nets]
    classes = [
        (info.network_class if f[2] == UNKNOWN else f[2]) if f else "service"
        for f, info in zip(found, infos, strict=True)
    ]
    data["src_ip"] = address.spread([f[0] if f else None for f in found], schema.STRING)
    data["src_svc"] = address.spread([None if f else n for f, n in zip(found, nets, strict=True)], schema.STRING)
    data["network"] = address.spread(nets, schema.STRING)
    data["network_class"] = address.spread(classes, schema.STRING)
    data["network_key"] = address.spread(keys, schema.INT, 0)
    if databases.opened:
        data["src_asn"] = address.spread([info.asn for info in infos], schema.INT)
        data["src_country"] = address.spread([info.country for info in infos], schema.STRING)
    rows = zip(keys, nets, classes, infos, strict=True)
    return _table("dim_network", {k: (k, n, c, i.asn, i.as_name) for k, n, c, i in rows if k})


def client_rows(agents: Coded, data: dict[str, Any]) -> pa.Table:
    """``dim_client`` of the programs; puts family and ``client_key`` of each row into ``data``."""
    rows: dict[int, tuple[Any, ...]] = {}
    keys = []
    families = []
    for family, version in agents.each(clients.client):
        program = f"{family}/{version}" if version else family
        key = _twin("client", program)
        rows[key] = (key, _twin("client_family", family), program, family, version)
        keys.append(key)
        families.append(family)
    data["client_key"] = agents.spread(keys, schema.INT, 0)
    data["ua_family"] = agents.spread(families, schema.STRING)
    return _table("dim_client", rows)


def operation_rows(columns: dict[str, Any], data: dict[str, Any]) -> pa.Table:
    """``dim_operation`` of service and operation (with ``activity_id``); puts ``operation_key`` into ``data``."""
    service: Coded = columns["service"]
    operation: Coded = columns["operation"]
    base = len(operation.values) + 1
    pair = service.codes.astype(np.int64) * base + operation.codes
    distinct, first, inverse = np.unique(pair, return_index=True, return_inverse=True)
    activity = pa.array(columns["activity_id"], pa.int8()).take(pa.array(first)).to_pylist()
    services = [*service.values, None]
    keys = []
    rows: dict[int, tuple[Any, ...]] = {}
    for code, act in zip(distinct.tolist(), activity, strict=True):
        where, what = services[code // base], operation.values[code % base]
        key = _twin("operation", f"{where or ''}|{what}")
        keys.append(key)
        rows[key] = (key, where, what, act, operations.lists(what), sensitive.sensitive_because(what) is not None)
    data["operation_key"] = pa.array(np.array(keys, dtype=np.int64)[inverse])
    return _table("dim_operation", rows)


def object_rows(resources: Coded, data: dict[str, Any]) -> pa.Table:
    """``dim_object`` of the resources; puts ``object_key`` of each row into ``data``, 0 without one."""
    rows = [object_row(value) for value in resources.values]
    data["object_key"] = resources.spread([row[0] if row[1] else 0 for row in rows], schema.INT, 0)
    return _table("dim_object", {row[0]: row for row in rows if row[1]})
