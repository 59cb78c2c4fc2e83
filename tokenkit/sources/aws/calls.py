"""Calls: the events of AWS's records: who called, by which credential, of which role, and how the call ended.

``columns_of`` reads the fields of CloudTrail's records; ``events`` makes a batch of such columns, of whatever log. Of
requestParameters nothing is kept but a bucket and its key, and what names the object; a key id that stands elsewhere
than as the caller's is masked.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tokenkit import identity
from tokenkit.sources.aws import ids
from tokenkit.sources.aws.refusals import REFUSED, status_of_error
from tokenkit.sources.contract import Batch, Reading, Record
from tokenkit.sources.fields import operations
from tokenkit.sources.fields.clients import USER_AGENT_CAP
from tokenkit.sources.fields.columns import NOTHING, ColumnReader
from tokenkit.sources.fields.masking import shown, tidy
from tokenkit.sources.fields.normalise import Coded, assemble, token_rows

AWS = "aws"  # who issued the credentials
FAILED_SIGN_IN = "Failed authentication"  # a sign-in that failed has this message and no code
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
PRINCIPAL_TYPES = {
    "IAMUser": 1, "IdentityCenterUser": 1, "SAMLUser": 1, "WebIdentityUser": 1, "FederatedUser": 1,
    "Root": 2, "AWSService": 3, "AssumedRole": 4, "Role": 4, "AWSAccount": 4,
}  # fmt: skip
NO_ONE: ids.Kind = ("none", "unknown", 0)
OTHER_KEY: ids.Kind = ("api_key", "unknown", 7)  # of another issuer
PERSON: ids.Kind = ("aws_bearer", "session", 7)  # what Identity Center gives a person for some hours


def columns_of(records: Sequence[Record]) -> tuple[ColumnReader, dict[str, Any]]:
    """Return the raw columns of a batch; the reader has the reasons why records cannot be used."""
    reader = ColumnReader(records)
    raw: dict[str, Any] = {column: reader.texts(field) for column, field in TEXTS.items()}
    reader.require(raw["operation"], "eventName")
    # a call that concerns two accounts is delivered to both, with two eventIDs and this one id in common
    shared = reader.texts("sharedEventID")
    raw["event_uid"] = reader.texts("eventID")
    if any(shared):
        raw["event_uid"] = [s or uid for s, uid in zip(shared, raw["event_uid"], strict=True)]
    raw["time"] = reader.times([r.get("eventTime") for r in records], "eventTime")
    raw["error_message"] = reader.texts("errorMessage")
    raw["read_only"] = reader.flags("readOnly")
    raw["resources"] = reader.lists("resources")
    caller = reader.objects("userIdentity")
    for column, name in (("type", "type"), ("arn", "arn"), ("principal_id", "principalId"), ("key_id", "accessKeyId"),
                         ("bearer", "credentialId"), ("account", "accountId")):  # fmt: skip
        raw[column] = reader.texts(name, caller)
    raw["person"] = [None] * len(records)
    if any("onBehalfOf" in one for one in caller):
        raw["person"] = reader.texts("userId", reader.objects("onBehalfOf", caller))
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


def events(path: Path, reading: Reading, raw: dict[str, Any], numbers: list[int], source: str, issuer: str) -> Batch:
    """Return the batch of events of raw columns.

    Parameters
    ----------
    path : Path
    reading : Reading
    raw : dict
        Those of ``columns_of``, ``contents`` as ``sameness.event_ids`` gives them, ``resource_uid`` and
        ``resource_type`` (Coded); where the log says so itself, also
        ``failed`` and ``refused`` (true or false) and ``activity_id`` (int8, 0 unknown).
    numbers : list of int
        Place of each record in the file.
    source, issuer : str
        Names of the source and of who issued the credentials.
    """
    columns: dict[str, Any] = {name: Coded.of(raw[name]) for name in TEXTS if name != "user_agent"}
    columns["user_agent"] = Coded.of(raw["user_agent"], USER_AGENT_CAP)
    columns["event_uid"] = raw["event_uid"]
    tokens = _add_token_columns(reading.key, issuer, raw, columns)
    _add_outcome(raw, columns)
    columns["activity_id"] = _activity(raw["read_only"], columns["operation"])
    if "activity_id" in raw:  # the log says it; 0 is unknown
        said = raw["activity_id"]
        columns["activity_id"] = pc.if_else(pc.equal(said, 0), columns["activity_id"], said)
    columns["class_uid"] = pa.repeat(pa.scalar(6003, pa.int32()), len(numbers))
    columns["resource_uid"], columns["resource_type"] = raw["resource_uid"], raw["resource_type"]
    columns["is_mfa"] = pa.array(raw["is_mfa"], pa.bool_())
    columns["request_bytes"] = pa.array(raw["request_bytes"], pa.int64())
    columns["response_bytes"] = pa.array(raw["response_bytes"], pa.int64())
    return assemble(reading, source, raw["time"], columns, tokens, str(path), numbers, "record", raw.get("contents"))


def _add_outcome(raw: dict[str, Any], columns: dict[str, Any]) -> None:
    """Add whether each call failed, with which HTTP status, and whether its caller was refused."""
    code, messages = columns["status_code"], raw["error_message"]
    failed = np.array([bool(c or m) for c, m in zip(raw["status_code"], messages, strict=True)], dtype=bool)
    statuses = np.array([*code.each(status_of_error), 0])[code.codes]
    # two codes mean something else where they come from Lambda
    for i in np.flatnonzero(statuses == REFUSED).tolist():
        statuses[i] = status_of_error(code.values[code.codes[i]], raw["service"][i])
    if FAILED_SIGN_IN in messages:
        statuses[[m == FAILED_SIGN_IN for m in messages]] = REFUSED
    if "failed" in raw:
        failed |= np.array(raw["failed"], dtype=bool)
        statuses[np.array(raw["refused"], dtype=bool)] = REFUSED
        failed |= statuses == REFUSED
    columns["status_id"] = pa.array(np.where(failed, 2, 1).astype(np.int8))
    columns["http_status"] = pa.array(statuses.astype(np.int16), mask=statuses == 0)
    columns["is_denied"] = pa.array(statuses == REFUSED)


def _add_token_columns(key: bytes, issuer: str, raw: dict[str, Any], columns: dict[str, Any]) -> pa.Table:
    """Add the columns about token, session and principal; each distinct caller is worked on once."""
    parts = ("type", "arn", "principal_id", "key_id", "bearer", "person", "account", "issuer_type", "issuer_arn",
             "session_start")  # fmt: skip
    callers: dict[tuple[str | None, ...], int] = {}
    codes = np.array(
        [callers.setdefault(c, len(callers)) for c in zip(*(raw[part] for part in parts), strict=True)], dtype=np.int64
    )
    uids, kinds, lifetimes, types, principals, principal_types, sessions, rows = [], [], [], [], [], [], [], []
    for type_, arn, principal_id, key_id, bearer, person, account, issuer_type, issuer_arn, start in callers:
        # of a call through Identity Center the person is all that lasts: it has no ARN
        principal = arn or person or (principal_id if type_ != "AWSService" else None) or None
        native = key_id or bearer or principal
        if key_id:
            known = ids.PREFIXES.get(key_id[:4])
            kind, lifetime, type_id = known[1] if known else ids.OTHER_KEY if issuer == AWS else OTHER_KEY
        elif bearer:
            kind, lifetime, type_id = PERSON if person and not arn else ids.kind_of(bearer) or ids.BEARER
        else:
            kind, lifetime, type_id = ids.PRINCIPAL if principal else NO_ONE
        uid = identity.token_uid(key, issuer, native) if native else ""
        names_role = issuer_type == "Role" or ":role/" in (issuer_arn or "")
        role = (issuer_arn if names_role else None) or ids.role_of(arn or (None if person else principal_id))
        uids.append(uid)
        kinds.append(kind)
        lifetimes.append(lifetime)
        types.append(type_id)
        principals.append(principal)
        principal_types.append(PRINCIPAL_TYPES.get(type_ or "", 0))
        session = f"{principal}|{start}" if principal and start else None
        sessions.append(identity.token_uid(key, f"{issuer}:session", session) if session else None)
        if native:
            rows.append((uid, issuer, kind, lifetime, shown(native), principal, role, account or None))
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


def resources(records: Sequence[Record], raw: dict[str, Any]) -> tuple[Coded, Coded]:
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
