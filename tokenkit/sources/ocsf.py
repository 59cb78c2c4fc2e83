"""OCSF: API calls in the Open Cybersecurity Schema Framework, as Amazon Security Lake and others write them.

Reads  Parquet, JSON lines, arrays and documents of records of OCSF 1.0 to 1.8: API Activity (6003), and what else names
an API's operation and an actor (Security Lake files sign-ins and changes of accounts under 3002 and 3001).
``FIELDS`` is the mapping. A call of AWS has the id and the identity that CloudTrail's own log would give it.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tokenkit.sources import files, ocsf_activity, packed
from tokenkit.sources.aws import calls, shapes
from tokenkit.sources.contract import BATCH, Batch, Quarantined, Reading, Record, Source, Tally
from tokenkit.sources.fields.columns import ColumnReader
from tokenkit.sources.fields.normalise import Coded
from tokenkit.sources.fields.sameness import event_ids

NAME = "ocsf"
OTHER_CLASS = "ocsf record that is no API call"
_SUCCEEDED = re.compile("[1-3][0-9][0-9]")  # an HTTP status as a status code

# what is read: attributes of OCSF, of which the first that a record has counts. Earlier names: of 1.0 and of 1.1 to 1.5
FIELDS: dict[str, tuple[str, ...]] = {
    "event_uid": ("metadata.original_event_uid", "metadata.uid"),
    "shared_uid": ("unmapped.sharedEventID",),
    "time": ("time", "time_dt"),
    "operation": ("api.operation",),
    "service": ("api.service.name",),
    "region": ("cloud.region", "region"),
    "tenant_uid": ("unmapped.recipientAccountId", "cloud.account.uid", "cloud.account_uid", "metadata.tenant_uid",
                   "actor.user.account.uid", "actor.user.account_uid", "accountid"),
    "status_code": ("api.response.error", "status_code"),
    "error_message": ("api.response.error_message", "status_detail"),
    "address": ("src_endpoint.ip", "src_endpoint.domain", "src_endpoint.svc_name", "src_endpoint.hostname"),
    "user_agent": ("http_request.user_agent",),
    "type": ("actor.user.type", "actor.session.issuer_type"),
    "arn": ("actor.user.uid", "actor.user.uuid", "actor.user.uid_alt", "actor.session.uid"),
    "principal_id": ("actor.user.uid_alt", "actor.user.uid", "actor.user.name", "actor.app_uid"),
    "key_id": ("actor.user.programmatic_credentials", "actor.user.credential_uid", "actor.session.credential_uid",
               "api.token.uid"),
    "person": ("unmapped.userIdentity.onBehalfOf.userId",),
    "account": ("actor.user.account.uid", "actor.user.account_uid"),
    "issuer_arn": ("actor.session.issuer",),
    "session_start": ("actor.session.created_time_dt", "actor.session.created_time"),
    "is_mfa": ("actor.session.is_mfa", "actor.session.mfa", "is_mfa"),
    "status_id": ("status_id",),
    "status": ("status",),
    "disposition_id": ("disposition_id",),
    "action_id": ("action_id",),
    "activity": ("activity_id",),
    "resources": ("resources",),
    "request_bytes": ("http_request.length", "traffic.bytes_out"),
    "response_bytes": ("http_response.length", "traffic.bytes_in"),
    "vendor": ("metadata.product.vendor_name",),
    "product": ("metadata.product.name",),
}  # fmt: skip
# column of events to what fills it, where the names above differ
FILLED = {
    "event_uid": "event_uid", "time": "time", "operation": "operation", "service": "service", "region": "region",
    "tenant_uid": "tenant_uid", "status_code": "status_code", "src_ip": "address", "user_agent": "user_agent",
    "token_uid": "key_id", "principal_uid": "arn", "session_uid": "session_start", "is_mfa": "is_mfa",
    "status_id": "status_id", "activity_id": "activity", "resource_uid": "resources",
    "request_bytes": "request_bytes", "response_bytes": "response_bytes",
}  # fmt: skip
DENIED_DISPOSITIONS = (2, 26)  # Blocked, Unauthorized
DENIED_ACTION, SUCCESS, FAILURE = 2, 1, 2
ACTIVITIES = (1, 2, 3, 4, 99)  # create, read, update, delete, other: as in ``events``


def recognises(record: Record) -> bool:
    """Whether a record is of OCSF and names an operation of an API."""
    metadata, api = record.get("metadata"), record.get("api")
    return (
        type(metadata) is dict and type(api) is dict and "operation" in api
        and ("class_uid" in record or "product" in metadata or "version" in metadata)
    )  # fmt: skip


def _names_operation(record: Record) -> bool:
    api = record.get("api")
    return type(api) is dict and api.get("operation") is not None


def recognises_file(path: Path) -> bool:
    """Whether a Parquet file, an array or a document of records is of OCSF."""
    head = files.Reader(path).head(4096)
    if head.startswith(b"PAR1"):
        try:
            names = set(pq.read_schema(path).names)
        except (pa.ArrowException, OSError):
            return False
        return {"metadata", "api", "time"} <= names
    head = files.Reader(path).head(files.HEADS[-1])
    found = [p.value for p in islice(shapes.pieces(head), 50) if not p.reason]
    return any(type(r) is dict and recognises(r) for value in found for r in shapes.unwrap(value)[:5])


def read(path: Path, reading: Reading, tally: Tally) -> Iterator[Batch]:
    """Yield the events of one file, whole or cut off."""
    rows = _parquet if files.Reader(path).head(4).startswith(b"PAR1") else _json
    for records, numbers, raw, quarantined, unit in rows(path):
        tally.read += len(records) + len(quarantined)
        tally.quarantined += quarantined
        for start in range(0, len(records), BATCH):
            part = slice(start, start + BATCH)
            with files.without_collection():
                batches = list(_batches(path, reading, tally, records[part], numbers[part], raw[part], unit))
            yield from batches


Rows = tuple[list[Any], list[int], list[Any], list[Quarantined], str]


def _parquet(path: Path) -> Iterator[Rows]:
    """Yield the rows of a Parquet file, of the attributes that are read alone."""
    try:
        file = pq.ParquetFile(packed.on_disk(path))
    except (pa.ArrowException, OSError) as error:
        why = "not a Parquet file, or one that was cut off"
        yield [], [], [], [Quarantined.of("file", str(error).encode(), why)], "row"
        return
    wanted = {name for names in FIELDS.values() for name in names} | {"class_uid", "type_uid"}
    wanted |= ocsf_activity.ATTRIBUTES
    leaves = [file.schema.column(i).path for i in range(len(file.schema))]
    columns = [leaf for leaf in leaves if any(leaf == name or leaf.startswith(name + ".") for name in wanted)]
    columns += [leaf for leaf in leaves if leaf.startswith("unmapped.")]
    number = 0
    with file:
        for group in range(file.num_row_groups):
            begin = number
            try:
                for batch in file.iter_batches(BATCH, row_groups=[group], columns=columns):
                    records = _plain_rows(batch)
                    yield records, list(range(number + 1, number + 1 + len(records))), [None] * len(records), [], "row"
                    number += len(records)
            except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
                why = "the row group is damaged"
                yield [], [], [], [Quarantined.of(f"row group {group}", str(error).encode(), why)], "row"
            number = begin + file.metadata.row_group(group).num_rows


def _plain_rows(batch: pa.RecordBatch) -> list[Any]:
    names = batch.schema.names
    cells = [_plain(column).to_pylist() for column in batch.columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*cells, strict=True)]


def _plain(column: pa.Array) -> pa.Array:
    """Return times as milliseconds since 1970, as OCSF has them in JSON."""
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("ms", column.type.tz), safe=False).cast(pa.int64())
    return column


def _json(path: Path) -> Iterator[Rows]:
    reader = files.Reader(path)
    document = reader.document()
    if reader.stop_reason == files.TOO_LARGE:
        yield [], [], [], [Quarantined.of("file", b"", files.TOO_LARGE)], "record"
        return
    records: list[Any] = []
    numbers: list[int] = []
    raw: list[Any] = []
    quarantined: list[Quarantined] = []
    with files.without_collection():
        for piece in _pieces(document, reader.stop_reason or ""):
            if piece.reason:
                place = f"byte {piece.offset}" if piece.reason == files.CUT_OFF else f"line {piece.line}"
                quarantined.append(Quarantined.of(place, piece.raw, piece.reason))
                continue
            inner = shapes.unwrap(piece.value)
            records += inner
            numbers += [piece.line] * len(inner)
            raw += [piece.raw if len(inner) == 1 else None] * len(inner)
    if not records and not quarantined and document.strip():
        quarantined.append(Quarantined.of("record 1", document, reader.stop_reason or "no record in it"))
    elif reader.stop_reason and not any(one.reason == reader.stop_reason for one in quarantined):
        quarantined.append(Quarantined.of(f"byte {len(document)}", b"", reader.stop_reason))
    yield records, numbers, raw, quarantined, "line"


def _pieces(document: bytes, stop_reason: str) -> Iterator[shapes.Piece]:
    try:
        yield shapes.Piece(1, 0, document, files.parse(document))
    except ValueError:
        yield from shapes.pieces(document, end_reason=stop_reason)


def _batches(
    path: Path,
    reading: Reading,
    tally: Tally,
    records: Sequence[Any],
    numbers: Sequence[int],
    raw: Sequence[Any],
    unit: str,
) -> Iterator[Batch]:
    """Yield the events among these records, a batch for each issuer of credentials; the others are counted."""

    def quarantine(reasons: dict[int, str]) -> None:
        for i, reason in sorted(reasons.items()):
            tally.quarantined.append(Quarantined.of(f"{unit} {numbers[i]}", _bytes_of(raw[i], records[i]), reason))

    no_objects = {i: "the record is not an object" for i, r in enumerate(records) if type(r) is not dict}
    others = {i for i, r in enumerate(records) if i not in no_objects and not _names_operation(r) and "class_uid" in r}
    quarantine(no_objects)
    if others:
        tally.ignored[OTHER_CLASS] += len(others)
    kept = [i for i in range(len(records)) if i not in no_objects and i not in others]
    if own := [i for i in kept if ocsf_activity.is_own(records[i])]:
        kept = files.without(kept, set(own))
        their_bytes = [_bytes_of(raw[i], records[i]) for i in own]
        of_own, places = [records[i] for i in own], [numbers[i] for i in own]
        yield from ocsf_activity.read_own(str(path), reading, tally, of_own, places, their_bytes, unit)
    reader, columns = _columns([records[i] for i in kept])
    quarantine({kept[i]: reason for i, reason in reader.reasons.items()})
    if reader.reasons:
        kept = files.without(kept, reader.reasons)
        reader, columns = _columns([records[i] for i in kept])
    if not kept:
        return
    uids = columns["event_uid"]  # of the product that wrote the record, which no client can choose
    without_id = [b"" if uid else _bytes_of(raw[i], records[i]) for uid, i in zip(uids, kept, strict=True)]
    columns["event_uid"], contents = event_ids(uids, without_id, unique=True)
    columns["contents"] = contents or [None] * len(kept)
    issuers = columns.pop("issuer")
    for issuer in dict.fromkeys(issuers):
        rows = [i for i, one in enumerate(issuers) if one == issuer]
        part = columns if len(rows) == len(kept) else {name: _taken(column, rows) for name, column in columns.items()}
        part["resource_uid"], part["resource_type"] = _resources(part["resources"])
        yield calls.events(path, reading, part, [numbers[kept[i]] for i in rows], NAME, issuer)


def _taken(column: Any, rows: list[int]) -> Any:
    return column[rows] if isinstance(column, np.ndarray) else [column[i] for i in rows]


def _bytes_of(raw: bytes | None, record: Any) -> bytes:
    return shapes.bytes_of(record) if raw is None else raw


class _Reader(ColumnReader):
    """Reads attributes by their names with dots; of a field the first that a record has."""

    def values(self, name: str, parents: Sequence[Record] | None = None) -> list[Any]:
        """The first attribute of the field that each record has; a blank text is none, a time is in ms."""
        out: list[Any] = [None] * len(self.records)
        for path in FIELDS[name]:
            parts = path.split(".")
            for i, record in enumerate(self.records):
                if out[i] is None or out[i] == "":
                    value = _attribute(record, parts)
                    out[i] = round(value.timestamp() * 1000) if isinstance(value, datetime) else value
        return out


def _attribute(record: Any, parts: list[str]) -> Any:
    """Return an attribute; below ``unmapped``, which Parquet has as a list of pairs, or as text, by its whole name."""
    for i, part in enumerate(parts):
        if type(record) is list and parts[0] == "unmapped":
            pairs = {p[0]: p[1] for p in record if type(p) is tuple and len(p) == 2}
            return pairs.get(".".join(parts[i:]))
        if type(record) is not dict:
            return None
        if i and parts[0] == "unmapped" and (whole := ".".join(parts[i:])) in record:
            return record[whole]
        record = record.get(part)
    return record


def _columns(records: Sequence[Record]) -> tuple[_Reader, dict[str, Any]]:
    """Return the raw columns that ``calls.events`` takes; the reader has why records cannot be used."""
    reader = _Reader(records)
    names = ("operation", "service", "region", "tenant_uid", "status_code", "error_message", "address", "user_agent",
             "type", "principal_id", "account", "issuer_arn", "event_uid", "shared_uid", "person", "vendor", "product",
             "session_start", "status")  # fmt: skip
    raw: dict[str, Any] = {name: reader.labels(name) for name in names}
    reader.require(raw["operation"], "api.operation")
    raw["event_uid"] = [s or uid for s, uid in zip(raw.pop("shared_uid"), raw["event_uid"], strict=True)]
    raw["time"] = reader.times(reader.values("time"), "time", 1000)
    raw["arn"] = [_arn(record) for record in records]
    raw["key_id"] = [_key_id(record) for record in records]
    raw["bearer"] = raw["read_only"] = [None] * len(records)
    raw["issuer_type"] = ["Role" if arn and ":role/" in arn else None for arn in raw["issuer_arn"]]
    raw["is_mfa"] = reader.flags("is_mfa")
    raw["resources"] = [v if type(v) is list else None for v in reader.values("resources")]
    raw["request_bytes"], raw["response_bytes"] = reader.amounts("request_bytes"), reader.amounts("response_bytes")
    raw["activity_id"] = pa.array(
        [v if type(v) is int and v in ACTIVITIES else 0 for v in reader.values("activity")], pa.int8()
    )
    ids = [reader.values(name) for name in ("status_id", "disposition_id", "action_id")]
    raw["failed"] = [
        s == FAILURE or (s in (None, 0) and (w or "").lower() == "failure")
        for s, w in zip(ids[0], raw["status"], strict=True)
    ]
    raw["refused"] = [d in DENIED_DISPOSITIONS or a == DENIED_ACTION for d, a in zip(*ids[1:], strict=True)]
    raw["status_code"] = [
        None if s == SUCCESS or _SUCCEEDED.fullmatch(code or "") else code
        for s, code in zip(ids[0], raw["status_code"], strict=True)
    ]
    raw["error_message"] = [
        message if failed or code else None
        for message, failed, code in zip(raw["error_message"], raw["failed"], raw["status_code"], strict=True)
    ]
    raw["issuer"] = [_issuer(v, p) for v, p in zip(raw.pop("vendor"), raw.pop("product"), strict=True)]
    return reader, raw


def _arn(record: Record) -> str | None:
    """Return the caller's ARN, which OCSF 1.0 has in another attribute than 1.1."""
    for name in FIELDS["arn"]:
        value = _attribute(record, name.split("."))
        if type(value) is str and value.startswith("arn:"):
            return value
    return None


def _key_id(record: Record) -> str | None:
    """Return the id of the credential: that of the first of ``programmatic_credentials``, or where others have it."""
    for name in FIELDS["key_id"]:
        value = _attribute(record, name.split("."))
        if type(value) is list:
            value = next((v.get("uid") for v in value if type(v) is dict and v.get("uid")), None)
        if type(value) is str and value not in ("", "-"):
            return value
    return None


def _issuer(vendor: str | None, product: str | None) -> str:
    """Return who issued the credentials: AWS, or the vendor in small letters.

    Examples
    --------
    >>> _issuer("Amazon Web Services", None), _issuer(None, "CloudTrail"), _issuer("Acme Corp.", "API")
    ('aws', 'aws', 'acme-corp')
    """
    name = (vendor or "").lower()
    if "aws" in name.split() or "amazon" in name or (product or "").lower() == "cloudtrail":
        return calls.AWS
    letters = "".join(c if c.isalnum() else " " for c in name or (product or "").lower())
    return "-".join(letters.split()) or NAME


def _resources(listed: Sequence[list[Any] | None]) -> tuple[Coded, Coded]:
    """Return the resource of each call: the first listed, an object before its bucket."""
    uids: list[str | None] = []
    types: list[str | None] = []
    for resources in listed:
        items = [r for r in resources or () if type(r) is dict and type(r.get("uid")) is str and r["uid"]]
        item = next((r for r in items if str(r.get("type")).endswith("::Object")), items[0] if items else {})
        uids.append(item["uid"].split("?", 1)[0] if item else None)
        types.append(item["type"] if type(item.get("type")) is str else None)
    return Coded.of(uids), Coded.of(types)


def _filled() -> dict[str, tuple[str, ...]]:
    return {column: FIELDS[ours] for column, ours in FILLED.items()}


SOURCE = Source(
    NAME,
    "OCSF API Activity: Amazon Security Lake (Parquet), JSON lines or documents",
    (".parquet", ".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz", ".gz.parquet"),
    recognises,
    read,
    columns=_filled(),
    recognises_file=recognises_file,
)
