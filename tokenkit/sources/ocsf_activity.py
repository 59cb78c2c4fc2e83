"""OCSF activity: events of the lake as API Activity (6003) of OCSF 1.8, and such records as events again.

Reads  rows of events and dim_token, or records. Writes nothing.
``record_of`` is what ``tokenkit export ocsf`` writes; the source ``ocsf`` gives records of tokenkit's own (``is_own``)
to ``read_own``. A column is written under the attribute that ``schema.EVENTS`` names for it, or, where the class does
not allow its value, below ``unmapped`` under its own name. Tokens are the keyed ids that they are in the lake.
"""

import math
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from tokenkit import __version__, identity, schema
from tokenkit.sources.contract import Batch, Quarantined, Reading, Record, Tally
from tokenkit.sources.fields.clients import USER_AGENT_CAP
from tokenkit.sources.fields.columns import EARLIEST, ColumnReader
from tokenkit.sources.fields.normalise import Coded, assemble, token_rows

VERSION = "1.8.0"
PRODUCT = "tokenkit"
# of a token, from ``dim_token``: who issued it, how it is shown, and of which role it is
TOKEN_FIELDS = {"token_issuer": "issuer", "token_mask": "mask", "token_role": "role", "token_tenant": "tenant_uid"}
UNMAPPED = "unmapped."
# what is formed anew from others when it is read, what is joined later, and what names the place that was read
_FORMED = {"owner_uid", "owner_status", "raw_ref", "is_denied", "time", "logged_time"}
# column of events: its attribute
PATHS: dict[str, str] = {
    c.name: c.ocsf.replace("[0]", "") for c in schema.EVENTS.columns if c.ocsf and c.name not in _FORMED
} | {"token_lifetime": UNMAPPED + "token_lifetime"}
TIMES = {"time": "time", "logged_time": "metadata.logged_time"}  # in ms; of a finer one the rest stands in ``unmapped``
MAPPED = (*PATHS, *TIMES, "is_denied", "event_key")  # what a round trip brings back as it was
ATTRIBUTES = {*PATHS.values(), *TIMES.values(), "metadata.uid"}

_TYPES = {c.name: c.type for c in schema.EVENTS.columns}
_METHODS = {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}
_ACTIVITIES = {0: "Unknown", 1: "Create", 2: "Read", 3: "Update", 4: "Delete", 99: "Other"}
_STATUSES = {0: "Unknown", 1: "Success", 2: "Failure"}
# attributes that OCSF allows only beside another one: column, and the column that has to have a value
_NEEDS = {
    "response_bytes": "http_status", "principal_type_id": "principal_uid", "resource_type": "resource_uid",
}  # fmt: skip
_TOKEN = re.compile(r"tok1_[0-9a-f]{24}")
EPOCH, MILLISECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)
_UID = re.compile(r"([0-9a-f]{16})-([0-9a-f]{24})")


def record_of(row: dict[str, Any], key: bytes) -> Record:
    """Return one event as an API Activity.

    Parameters
    ----------
    row : dict
        A row of ``events``, and the ``TOKEN_FIELDS`` of its token.
    key : bytes
        The workspace's key: with it a reader tells that an event is the one that it has.
    """
    activity = row["activity_id"] if row["activity_id"] in _ACTIVITIES else 0
    record: Record = {
        "class_uid": 6003, "class_name": "API Activity", "category_uid": 6, "category_name": "Application Activity",
        "activity_id": activity, "activity_name": _ACTIVITIES[activity], "type_uid": 600300 + activity,
        "severity_id": 1, "severity": "Informational",
        "status": _STATUSES.get(row["status_id"], "Unknown"), "actor": {}, "src_endpoint": {}, "unmapped": {},
        "metadata": {
            "version": VERSION, "uid": _uid(key, row["event_key"]), "profiles": ["security_control"],
            "product": {"name": PRODUCT, "vendor_name": PRODUCT, "version": __version__},
        },
    }  # fmt: skip
    for column, path in TIMES.items():
        if (moment := row[column]) is not None:
            _put(record, path, (moment - EPOCH) // MILLISECOND)
            if moment.microsecond % 1000:
                record["unmapped"][column] = moment.astimezone(UTC).isoformat()
    if row["raw_ref"]:
        record["metadata"]["debug"] = [row["raw_ref"]]
    if row["is_denied"] is not None:
        denied = row["is_denied"]
        record |= {"action_id": 2, "action": "Denied"} if denied else {"action_id": 1, "action": "Allowed"}
        record |= {"disposition_id": 26 if denied else 1, "disposition": "Unauthorized" if denied else "Allowed"}
    for column, path in PATHS.items():
        value = row.get(column)
        if value is None or (column, value) == ("token_uid", "") or column == "activity_id":
            continue
        if not _fits(column, value, row):
            path = UNMAPPED + column
        elif column == "duration_ms":
            record["unmapped"][column], value = value, round(value)
        _put(record, path, value)
    for name in TOKEN_FIELDS:
        if row.get(name):
            record["unmapped"][name] = row[name]
    return _complete(record, row)


def _complete(record: Record, row: dict[str, Any]) -> Record:
    """Add what OCSF requires, and leave out what is empty."""
    if "resources" in record:
        record["resources"] = [record["resources"]]
    if "cloud" in record:
        record["metadata"]["profiles"].insert(0, "cloud")
        record["cloud"]["provider"] = "AWS" if str(row["service"]).endswith(".amazonaws.com") else "Other"
    if row["token_uid"]:
        record["actor"].setdefault("session", {})["credential_uid"] = row["token_uid"]
    if not record["actor"]:
        record["actor"] = {"app_name": "unknown"}
    if not {"ip", "svc_name"} & record["src_endpoint"].keys():
        record["src_endpoint"]["name"] = "unknown"
    if not record["unmapped"]:
        del record["unmapped"]
    return record


def _fits(column: str, value: Any, row: dict[str, Any]) -> bool:
    """Whether the class allows a value under the column's own attribute."""
    if column in _NEEDS:
        return row[_NEEDS[column]] is not None
    if column == "http_method":
        return value in _METHODS
    if column == "class_uid":
        return bool(value == 6003)
    return column != "duration_ms" or bool(math.isfinite(value) and value >= 0)


def _put(record: Record, path: str, value: Any) -> None:
    *parents, name = path.split(".")
    for parent in parents:
        record = record.setdefault(parent, {})
    record[name] = value


def _uid(key: bytes, event_key: int) -> str:
    """The id of the record: the event's key, and a sign of who wrote it."""
    text = f"{event_key:016x}"
    return f"{text}-{identity.token_uid(key, 'event', text).removeprefix('tok1_')}"


def arrow_schema() -> pa.Schema:
    """Return the types of the records, for a Parquet file."""
    tree: dict[str, Any] = {}
    for name in ("category_uid", "type_uid", "severity_id", "action_id", "disposition_id", *TIMES.values()):
        _put(tree, name, pa.int64())
    for name in ("class_name", "category_name", "activity_name", "severity", "status", "action", "disposition",
                 "metadata.version", "metadata.uid", "metadata.product.name", "metadata.product.vendor_name",
                 "metadata.product.version", "cloud.provider", "src_endpoint.name", "actor.app_name",
                 "actor.session.credential_uid", *(UNMAPPED + name for name in (*TOKEN_FIELDS, *TIMES))):  # fmt: skip
        _put(tree, name, pa.string())
    for name in ("metadata.debug", "metadata.profiles"):
        _put(tree, name, pa.list_(pa.string()))
    for column, path in PATHS.items():
        _put(tree, path, pa.int64() if column == "duration_ms" else _TYPES[column])
        if column in (*_NEEDS, "http_method", "class_uid", "duration_ms"):
            _put(tree, UNMAPPED + column, _TYPES[column])
    resources = tree.pop("resources")
    types = _struct(tree)
    return pa.schema([*types, pa.field("resources", pa.list_(pa.struct(_struct(resources))))])


def _struct(tree: dict[str, Any]) -> list[pa.Field]:
    return [pa.field(name, pa.struct(_struct(t)) if type(t) is dict else t) for name, t in tree.items()]


def is_own(record: Any) -> bool:
    """Whether a record is of tokenkit's own making.

    Examples
    --------
    >>> is_own({"metadata": {"product": {"name": "tokenkit", "vendor_name": "tokenkit"}}}), is_own({"metadata": 1})
    (True, False)
    """
    metadata = record.get("metadata") if type(record) is dict else None
    product = metadata.get("product") if type(metadata) is dict else None
    return type(product) is dict and product.get("name") == PRODUCT and product.get("vendor_name") == PRODUCT


class _Reader(ColumnReader):
    """Reads the columns of events from their attributes, or from below ``unmapped``."""

    def values(self, name: str, parents: Sequence[Record] | None = None) -> list[Any]:
        """The column of every record."""
        return [_value(record, name) for record in self.records]

    def whole(self, name: str) -> list[int | None]:
        """Whole numbers that fit the column."""
        largest = 2 ** (pa.types.is_integer(_TYPES[name]) and _TYPES[name].bit_width - 1) - 1
        return [v if v is None else self._within(i, v, name, largest) for i, v in enumerate(self.amounts(name))]

    def _within(self, index: int, value: int, name: str, largest: int) -> int | None:
        if value <= largest:
            return value
        self.reasons.setdefault(index, f"{name} is out of range")
        return None


def _value(record: Record, name: str) -> Any:
    unmapped = record.get("unmapped")
    if type(unmapped) is dict and unmapped.get(name) is not None:
        return unmapped[name]
    value: Any = record
    for part in (PATHS | TIMES).get(name, name).split("."):
        value = value[0] if type(value) is list and value else value
        value = value.get(part) if type(value) is dict else None
    return value


def read_own(
    origin: str, reading: Reading, tally: Tally, records: Sequence[Record], numbers: Sequence[int],
    raw: Sequence[bytes], unit: str,
) -> Iterator[Batch]:  # fmt: skip
    """Yield the events of tokenkit's own records, a batch for each source that they name; others are quarantined.

    Parameters
    ----------
    origin, numbers, unit : the file, the place of each record in it, and what such a place is called
    records, raw : each record, parsed and as it stands in the file
    """
    reader, columns = _columns(records)
    for i, reason in sorted(reader.reasons.items()):
        tally.quarantined.append(Quarantined.of(f"{unit} {numbers[i]}", raw[i], reason))
    kept = [i for i in range(len(records)) if i not in reader.reasons]
    names = Coded.of([columns["source"][i] for i in kept], 64)
    for code, source in enumerate(names.values):
        rows = [kept[i] for i in np.flatnonzero(names.codes == code).tolist()]
        part = _columns([records[i] for i in rows])[1]
        yield _batch(origin, reading, source, part, [numbers[i] for i in rows])


def _columns(records: Sequence[Record]) -> tuple[_Reader, dict[str, Any]]:
    """Return the columns of events, and others that make a batch; the reader has why records cannot be used."""
    reader = _Reader(records)
    columns: dict[str, Any] = {}
    for name in PATHS:
        type_ = _TYPES[name]
        if pa.types.is_string(type_):
            columns[name] = reader.texts(name)
        elif pa.types.is_boolean(type_):
            columns[name] = reader.flags(name)
        elif pa.types.is_list(type_):
            columns[name] = [v if v is None else [str(word) for word in v] for v in reader.lists(name)]
        elif pa.types.is_floating(type_):
            columns[name] = reader.numbers(name)
        else:
            columns[name] = reader.whole(name)
    for name in TOKEN_FIELDS:
        columns[name] = reader.texts(name)
    for name in ("operation", "source", "status_id"):
        reader.require(columns[name], name)
    columns["time"] = reader.times(reader.values("time"), "time", 1000)
    logged = reader.values("logged_time")
    moments = reader.times([v if v is not None else EARLIEST // 1000 for v in logged], "logged_time", 1000)
    columns["logged_time"] = pa.array(moments, mask=np.array([v is None for v in logged], dtype=bool))
    columns["is_denied"] = [None if v is None else v == 26 for v in reader.values("disposition_id")]
    columns["uid"] = reader.texts("metadata.uid")
    for i, uid in enumerate(columns["token_uid"]):
        if uid and not _TOKEN.fullmatch(uid):
            reader.reasons.setdefault(i, "api.token.uid is no id of a token as tokenkit writes it")
            columns["token_uid"][i] = None
    return reader, columns


def _batch(origin: str, reading: Reading, source: str, raw: dict[str, Any], numbers: list[int]) -> Batch:
    columns: dict[str, Any] = {}
    for name in PATHS:
        if name in ("src_ip", "src_svc", "token_uid", "event_uid", "source"):
            continue
        is_text = pa.types.is_string(_TYPES[name])
        cap = USER_AGENT_CAP if name == "user_agent" else 1024
        columns[name] = Coded.of(raw[name], cap) if is_text else pa.array(raw[name], _TYPES[name])
    columns["activity_id"] = columns["activity_id"].fill_null(0)
    columns["class_uid"] = columns["class_uid"].fill_null(6003)
    columns["logged_time"] = raw["logged_time"].cast(schema.TIME)
    columns["is_denied"] = pa.array(raw["is_denied"], pa.bool_())
    columns["address"] = Coded.of([ip or name for ip, name in zip(raw["src_ip"], raw["src_svc"], strict=True)])
    columns["token_uid"] = Coded.of([uid or "" for uid in raw["token_uid"]])
    columns["event_uid"] = [uid or sign or "" for uid, sign in zip(raw["event_uid"], raw["uid"], strict=True)]
    rows = dict.fromkeys(
        (uid, issuer or source, kind or "none", lifetime or "unknown", mask or "", principal, role, tenant)
        for uid, issuer, kind, lifetime, mask, principal, role, tenant in zip(
            *(raw[name] for name in ("token_uid", "token_issuer", "token_kind", "token_lifetime", "token_mask",
                                     "principal_uid", "token_role", "token_tenant")), strict=True)
        if uid
    )  # fmt: skip
    tokens = token_rows(reading.key, list(rows))
    batch = assemble(reading, source, raw["time"], columns, tokens, origin, numbers, "record")
    keys = [_event_key(reading.key, uid, name) for uid, name in zip(raw["uid"], columns["event_uid"], strict=True)]
    at = batch.events.column_names.index("event_key")
    events = batch.events.set_column(at, batch.events.schema.field(at), pa.array(keys, pa.int64()))
    return Batch(events, batch.dimensions, batch.place)


def _event_key(key: bytes, uid: str | None, name: str) -> int:
    """Return the key of an event: its own where this workspace wrote the record, so that it is stored once."""
    match = _UID.fullmatch(uid or "")
    if match and _uid(key, int(match.group(1), 16)) == uid:
        return int(match.group(1), 16)
    return identity.value_key("event", f"{PRODUCT}|{uid or name}")
