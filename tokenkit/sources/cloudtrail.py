"""CloudTrail: AWS's own log of API calls, one JSON document of records a file.

Traps: truth as text, bytes as floats, services where an address is expected, parameters that are null, calls of
services that have no credential, digest files beside the logs. Of requestParameters nothing is kept but a bucket and
its key, and what names the object; a key id that stands elsewhere than as the caller's is masked.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tokenkit import identity
from tokenkit.sources import files
from tokenkit.sources.contract import BATCH, Batch, Quarantined, Reading, Record, Source, Tally
from tokenkit.sources.fields import operations
from tokenkit.sources.fields.clients import USER_AGENT_CAP
from tokenkit.sources.fields.columns import NOTHING, ColumnReader
from tokenkit.sources.fields.masking import shown, tidy
from tokenkit.sources.fields.normalise import Coded, assemble, token_rows
from tokenkit.sources.fields.sameness import event_ids
from tokenkit.sources.http import status_of_error

NAME, ISSUER = "cloudtrail", "aws"
DIGEST_FILE, INSIGHT = "cloudtrail digest file", "cloudtrail insight event"

# stored as it is: column of events -> field of the record
TEXTS = {
    "operation": "eventName",
    "service": "eventSource",
    "region": "awsRegion",
    "tenant_uid": "recipientAccountId",
    "status_code": "errorCode",
    "address": "sourceIPAddress",
    "user_agent": "userAgent",
}
# what the other columns are made from
MORE = {
    "event_uid": ("eventID",),
    "time": ("eventTime",),
    "token_uid": ("userIdentity.accessKeyId", "userIdentity.credentialId", "userIdentity.principalId"),
    "session_uid": ("userIdentity.sessionContext",),
    "principal_uid": ("userIdentity.arn",),
    "is_mfa": ("userIdentity.sessionContext",),
    "activity_id": ("readOnly",),
    "resource_uid": ("resources", "requestParameters"),
    "request_bytes": ("additionalEventData.bytesTransferredIn",),
    "response_bytes": ("additionalEventData.bytesTransferredOut",),
}
PRINCIPAL_TYPES = {
    "IAMUser": 1, "IdentityCenterUser": 1, "SAMLUser": 1, "WebIdentityUser": 1, "FederatedUser": 1,
    "Root": 2, "AWSService": 3, "AssumedRole": 4, "Role": 4, "AWSAccount": 4,
}  # fmt: skip
# prefix of the key id: kind, lifetime, OCSF token type
KINDS = {"AKIA": ("aws_access_key", "long_lived", 7), "ASIA": ("aws_session", "session", 99)}
BEARER = ("aws_bearer", "unknown", 7)
OTHER_KEY = ("aws_access_key", "unknown", 7)
PRINCIPAL = ("principal", "unknown", 0)
NO_ONE = ("none", "unknown", 0)


def recognises(record: Record) -> bool:
    """Whether this is a CloudTrail record, a document without any, or a digest."""
    if "eventSource" in record and "eventName" in record and "eventTime" in record:
        return True
    return record.get("Records") == [] or is_digest(record)


def is_digest(document: Any) -> bool:
    """Whether a document is a digest: a signed list of log files, no log."""
    return isinstance(document, dict) and "digestStartTime" in document and "Records" not in document


def read(path: Path, reading: Reading, tally: Tally) -> Iterator[Batch]:
    """Yield the events of one CloudTrail file, whole or cut off."""
    reader = files.Reader(path)
    document = reader.document()
    try:
        with files.without_collection():
            parsed = files.parse(document)
        has_records = isinstance(parsed, dict) and isinstance(parsed.get("Records"), list)
        reason = 'no "Records" list'
    except ValueError as error:
        parsed, has_records, reason = None, False, f"the document is {error}"
    if has_records:
        records: list[Any] = parsed["Records"]
        raw = _RawRecords(document)
        for start in range(0, len(records), BATCH):
            part = records[start : start + BATCH]
            numbers = range(start + 1, start + 1 + len(part))
            with files.without_collection():
                batch = _batch(path, reading, tally, part, numbers, raw)
            if batch:
                yield batch
    elif is_digest(parsed):
        tally.read += 1
        tally.ignored[DIGEST_FILE] += 1
    elif parsed is None and reader.stop_reason != files.TOO_LARGE:
        yield from _complete_records(path, reading, tally, document, reader.stop_reason, reason)
        return
    else:
        _quarantine(tally, "record 1", document, reader.stop_reason or reason)
        return
    if reader.stop_reason:
        _quarantine(tally, f"byte {len(document)}", b"", reader.stop_reason)


def _quarantine(tally: Tally, place: str, piece: bytes, reason: str) -> None:
    tally.read += 1
    tally.quarantined.append(Quarantined.of(place, piece, reason))


class _RawRecords:
    """The raw bytes of each record; split only when the first quarantined record asks for them."""

    def __init__(self, document: bytes) -> None:
        self._document = document
        self._records: list[bytes] | None = None

    def __getitem__(self, number: int) -> bytes:
        if self._records is None:
            self._records = [record for _, record, complete in files.records_in(self._document) if complete]
        return self._records[number - 1] if number <= len(self._records) else self._document


def _complete_records(
    path: Path, reading: Reading, tally: Tally, document: bytes, stop_reason: str | None, reason: str
) -> Iterator[Batch]:
    """Yield the complete records of a document that is not JSON as a whole; the rest is quarantined as one piece."""
    records: list[Any] = []
    numbers: list[int] = []
    raw: dict[int, bytes] = {}
    end, cut_off, quarantined_before = 0, False, len(tally.quarantined)
    for number, (offset, record, complete) in enumerate(files.records_in(document), start=1):
        if not complete:
            end, cut_off = offset, True
            break
        end = offset + len(record)
        raw[number] = record
        try:
            records.append(files.parse(record))
            numbers.append(number)
        except ValueError as error:
            _quarantine(tally, f"record {number}", record, f"the record is {error}")
        if len(records) == BATCH:
            if batch := _batch(path, reading, tally, records, numbers, raw):
                yield batch
            records, numbers, raw = [], [], {}
    if batch := _batch(path, reading, tally, records, numbers, raw):
        yield batch
    # a record that is not JSON explains why the document is not; else the cause lies behind the last record
    if stop_reason or cut_off or len(tally.quarantined) == quarantined_before or document[end:].strip(b" \t\r\n,]}"):
        _quarantine(tally, f"byte {end}", document[end:], stop_reason or (files.CUT_OFF if cut_off else reason))


def _batch(
    path: Path, reading: Reading, tally: Tally, records: Sequence[Any], numbers: Sequence[int], raw: Any
) -> Batch | None:
    """Return the events among these records; the others are counted."""
    tally.read += len(records)
    if set(map(type, records)) - {dict}:
        no_objects = {i for i, record in enumerate(records) if type(record) is not dict}
        for i in sorted(no_objects):
            reason = "the record is not an object"
            tally.quarantined.append(Quarantined.of(f"record {numbers[i]}", raw[numbers[i]], reason))
        records, numbers = files.without(records, no_objects), files.without(numbers, no_objects)
    insights = {i for i, record in enumerate(records) if record.get("eventCategory") == "Insight"}
    if insights:
        tally.ignored[INSIGHT] += len(insights)
        records, numbers = files.without(records, insights), files.without(numbers, insights)
    reader, columns = _columns(records)
    if reader.reasons:
        for i, reason in sorted(reader.reasons.items()):
            tally.quarantined.append(Quarantined.of(f"record {numbers[i]}", raw[numbers[i]], reason))
        records, numbers = files.without(records, reader.reasons), files.without(numbers, reader.reasons)
        reader, columns = _columns(records)
    if not records:
        return None
    uids = columns["event_uid"]  # AWS's own: no client can choose them
    without_id = [] if all(uids) else [b"" if uid else raw[n] for uid, n in zip(uids, numbers, strict=True)]
    columns["event_uid"], columns["contents"] = event_ids(uids, without_id, unique=True)
    return _events(path, reading, records, columns, list(numbers))


def _columns(records: Sequence[Record]) -> tuple[ColumnReader, dict[str, Any]]:
    """Return the raw columns of a batch; the reader has the reasons why records cannot be used."""
    reader = ColumnReader(records)
    raw: dict[str, Any] = {column: reader.texts(field) for column, field in TEXTS.items()}
    reader.require(raw["operation"], "eventName")
    raw["event_uid"] = reader.texts("eventID")
    raw["time"] = reader.times([r.get("eventTime") for r in records], "eventTime")
    raw["error_message"] = reader.texts("errorMessage")
    raw["read_only"] = reader.flags("readOnly")
    raw["resources"] = reader.lists("resources")
    caller = reader.objects("userIdentity")
    for column, field in (("type", "type"), ("arn", "arn"), ("principal_id", "principalId"), ("key_id", "accessKeyId"),
                          ("bearer", "credentialId"), ("account", "accountId")):  # fmt: skip
        raw[column] = reader.texts(field, caller)
    session = reader.objects("sessionContext", caller)
    issuer = reader.objects("sessionIssuer", session)
    raw["issuer_type"], raw["issuer_arn"] = reader.texts("type", issuer), reader.texts("arn", issuer)
    attributes = reader.objects("attributes", session)
    raw["is_mfa"] = reader.flags("mfaAuthenticated", attributes)
    raw["session_start"] = reader.texts("creationDate", attributes)
    more = reader.objects("additionalEventData")
    raw["request_bytes"] = reader.amounts("bytesTransferredIn", more)
    raw["response_bytes"] = reader.amounts("bytesTransferredOut", more)
    return reader, raw


def _events(path: Path, reading: Reading, records: Sequence[Record], raw: dict[str, Any], numbers: list[int]) -> Batch:
    columns: dict[str, Any] = {name: Coded.of(raw[name]) for name in TEXTS if name != "user_agent"}
    columns["user_agent"] = Coded.of(raw["user_agent"], USER_AGENT_CAP)
    columns["event_uid"] = raw["event_uid"]
    tokens = _add_token_columns(reading.key, raw, columns)
    code: Coded = columns["status_code"]
    failed = np.array([bool(c or m) for c, m in zip(raw["status_code"], raw["error_message"], strict=True)], dtype=bool)
    statuses = code.each(status_of_error)
    columns["status_id"] = pa.array(np.where(failed, 2, 1).astype(np.int8))
    columns["http_status"] = code.spread(statuses, pa.int16())
    columns["is_denied"] = code.spread([s == 403 for s in statuses], pa.bool_(), False)
    columns["activity_id"] = _activity(raw["read_only"], columns["operation"])
    columns["class_uid"] = pa.repeat(pa.scalar(6003, pa.int32()), len(records))
    columns["resource_uid"], columns["resource_type"] = _resources(records, raw)
    columns["is_mfa"] = pa.array(raw["is_mfa"], pa.bool_())
    columns["request_bytes"] = pa.array(raw["request_bytes"], pa.int64())
    columns["response_bytes"] = pa.array(raw["response_bytes"], pa.int64())
    return assemble(reading, NAME, raw["time"], columns, tokens, str(path), numbers, "record", raw["contents"])


def _add_token_columns(key: bytes, raw: dict[str, Any], columns: dict[str, Any]) -> pa.Table:
    """Add the columns about token, session and principal; each distinct caller is worked on once."""
    parts = ("type", "arn", "principal_id", "key_id", "bearer", "account", "issuer_type", "issuer_arn", "session_start")
    callers: dict[tuple[str | None, ...], int] = {}
    codes = np.array(
        [callers.setdefault(c, len(callers)) for c in zip(*(raw[part] for part in parts), strict=True)], dtype=np.int64
    )
    uids, kinds, lifetimes, types, principals, principal_types, sessions, rows = [], [], [], [], [], [], [], []
    for type_, arn, principal_id, key_id, bearer, account, issuer_type, issuer_arn, start in callers:
        principal = arn or (principal_id if type_ != "AWSService" else None) or None
        native = key_id or bearer or principal
        if key_id:
            kind, lifetime, type_id = KINDS.get(key_id[:4], OTHER_KEY)
        else:
            kind, lifetime, type_id = BEARER if bearer else PRINCIPAL if principal else NO_ONE
        uid = identity.token_uid(key, ISSUER, native) if native else ""
        role = (issuer_arn or None) if issuer_type == "Role" else None
        uids.append(uid)
        kinds.append(kind)
        lifetimes.append(lifetime)
        types.append(type_id)
        principals.append(principal)
        principal_types.append(PRINCIPAL_TYPES.get(type_ or "", 0))
        sessions.append(identity.token_uid(key, "aws:session", f"{principal}|{start}") if principal and start else None)
        if native:
            rows.append((uid, ISSUER, kind, lifetime, shown(native), principal, role, account or None))
    tokens = Coded(codes, uids)
    columns["token_uid"] = tokens
    columns["token_kind"] = tokens.spread(kinds, pa.string())
    columns["token_lifetime"] = tokens.spread(lifetimes, pa.string())
    columns["token_type_id"] = tokens.spread(types, pa.int8())
    columns["principal_uid"] = tokens.spread(tidy(pa.array(principals, pa.string())).to_pylist(), pa.string())
    columns["principal_type_id"] = tokens.spread(principal_types, pa.int8())
    columns["session_uid"] = tokens.spread(sessions, pa.string())
    return token_rows(key, rows)


def _activity(read_only: list[bool | None], operation: Coded) -> pa.Array:
    """Return what each call does: it reads where AWS says so, else the first word of its name tells it."""
    by_name = np.array([*operation.each(operations.activity_of_name), 0], dtype=np.int8)[operation.codes]
    changes = np.array([flag is False for flag in read_only], dtype=bool)
    reads = np.array([flag is True for flag in read_only], dtype=bool)
    unclear = changes & ((by_name == operations.READ) | (by_name == operations.UNKNOWN))
    return pa.array(np.where(reads, operations.READ, np.where(unclear, operations.OTHER, by_name)).astype(np.int8))


def _resources(records: Sequence[Record], raw: dict[str, Any]) -> tuple[Coded, Coded]:
    """Return the resource of each call: the first listed, an object before its bucket; else an S3 bucket and key."""
    uids: list[str | None] = [None] * len(records)
    types: list[str | None] = [None] * len(records)
    for i, (listed, service) in enumerate(zip(raw["resources"], raw["service"], strict=True)):
        if listed:
            uids[i], types[i] = _resource_of(listed)
        elif service == "s3.amazonaws.com":
            parameters = records[i].get("requestParameters")
            uids[i], types[i] = _s3_object(parameters if type(parameters) is dict else NOTHING)
    return Coded.of([uid.split("?", 1)[0] if uid else None for uid in uids]), Coded.of(types)


def _resource_of(resources: list[Any]) -> tuple[str | None, str | None]:
    first: tuple[str | None, str | None] = (None, None)
    for item in resources:
        if type(item) is dict and type(arn := item.get("ARN")) is str:
            type_ = item.get("type") if type(item.get("type")) is str else None
            if type_ and type_.endswith("::Object"):
                return arn, type_
            if first[0] is None:
                first = arn, type_
    return first


def _s3_object(parameters: Record) -> tuple[str | None, str | None]:
    bucket, key = parameters.get("bucketName"), parameters.get("key")
    if type(bucket) is not str or not bucket:
        return None, None
    if type(key) is str and key:
        return f"arn:aws:s3:::{bucket}/{key}", "AWS::S3::Object"
    return f"arn:aws:s3:::{bucket}", "AWS::S3::Bucket"


SOURCE = Source(
    NAME,
    "AWS CloudTrail, JSON documents of records as AWS delivers them, plain or gzip",
    (".json", ".json.gz"),
    recognises,
    read,
    columns={"src_ip" if column == "address" else column: (theirs,) for column, theirs in TEXTS.items()} | MORE,
)
