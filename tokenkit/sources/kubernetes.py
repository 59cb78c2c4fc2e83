"""Kubernetes: audit events of an API server, JSON lines or lists of them (``EventList``).

An API server writes up to three stages of a call, which are one call here: RequestReceived is ignored, since it has no
outcome, and of ResponseStarted (an exec or a watch that may go on for hours), ResponseComplete and Panic the first one
read is stored. Traps: a client may choose ``auditID`` by a header, so that it identifies a call only together with what
the server knows (time, user, verb, address called); ``sourceIPs`` begins with what a client wrote into X-Forwarded-For
and ends with who was connected, so that it is read from the end, as hops are; tokens of service accounts live for an
hour, so that the account is what has a past; ``impersonatedUser`` is whom a caller acted as, the caller is ``user``.
"""

import hashlib
from datetime import datetime
from typing import Any

from tokenkit.sources import files
from tokenkit.sources.contract import Record
from tokenkit.sources.fields.masking import without_query
from tokenkit.sources.fields.operations import Routes
from tokenkit.sources.mapped import Mapping, source
from tokenkit.sources.mapped.computed import inner, text
from tokenkit.sources.tabular import ENDINGS

CREDENTIAL = "authentication.kubernetes.io/credential-id"
DECISION = "authorization.k8s.io/decision"
MAPPING = Mapping(
    name="kubernetes-audit",
    issuer="kubernetes",
    columns={
        "time": "requestReceivedTimestamp + stageTimestamp", "event_uid": "auditID + requestReceivedTimestamp",
        "native_id": "user.extra", "principal": "user.username", "app": "impersonatedUser.username",
        "src_ip": "sourceIPs", "user_agent": "userAgent", "operation": "verb + objectRef + requestURI",
        "activity": "verb", "service": "objectRef.apiGroup", "resource": "objectRef.namespace + objectRef.name",
        "resource_type": "objectRef.resource", "status": "responseStatus.code + stage", "denied": "annotations",
        "duration": "stageTimestamp + requestReceivedTimestamp", "logged_time": "stageTimestamp",
    },
    kinds={"JTI=": "k8s_token", "X509SHA256=": "client_certificate"},
    lifetimes={"JTI=": "session", "X509SHA256=": "long_lived"},
    where={"stage": ("ResponseStarted", "ResponseComplete", "Panic")},
    files=ENDINGS["jsonl"],
    unique_ids=True,  # made below from what the server knows
)  # fmt: skip
VERBS = {"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "proxy", "connect", "head",
         "post", "put", "options", "impersonate", "bind", "escalate", "approve", "sign", "use"}  # fmt: skip


def recognises(record: Record) -> bool:
    """Whether a record is an audit event."""
    return {"auditID", "stage"} <= record.keys() and bool(record.keys() & {"verb", "requestURI", "objectRef"})


def fields(record: Record) -> Record:
    """Return what is made of several fields of an event."""
    received, staged = record.get("requestReceivedTimestamp"), record.get("stageTimestamp")
    reference, user = inner(record, "objectRef"), inner(record, "user")
    code = text(inner(record, "responseStatus").get("code"))
    decision = text(inner(record, "annotations").get(DECISION))
    time = received or staged
    extra = inner(user, "extra")
    return {
        "requestReceivedTimestamp + stageTimestamp": time,
        "auditID + requestReceivedTimestamp": _event_uid(record, time),
        "user.extra": text(extra.get(CREDENTIAL)) or text(extra.get("accessKeyId")),
        "user.username": text(user.get("username")),
        "impersonatedUser.username": text(inner(record, "impersonatedUser").get("username")),
        "sourceIPs": _hops(record.get("sourceIPs")),
        "verb + objectRef + requestURI": _operation(record, reference),
        "verb": text(record.get("verb")),
        "objectRef.apiGroup": text(reference.get("apiGroup")) or "kubernetes",
        "objectRef.namespace + objectRef.name": _object(reference),
        "objectRef.resource": text(reference.get("resource")),
        "responseStatus.code + stage": code or ("panic" if record.get("stage") == "Panic" else None),
        "annotations": True if decision == "forbid" else None,
        "stageTimestamp + requestReceivedTimestamp": _duration_ms(received, staged),
    }


def _event_uid(record: Record, time: Any) -> str:
    """Return what all stages of one call have in common, and no other call has."""
    known = [time, record.get("auditID"), record.get("user"), record.get("verb"), record.get("requestURI")]
    return hashlib.sha256(files.as_json(known)).hexdigest()


def _hops(addresses: Any) -> str | None:
    """Return the addresses as a list of hops, of which the last was connected, as X-Forwarded-For has them."""
    hops = addresses if type(addresses) is list else [addresses]
    return ", ".join(filter(None, map(text, hops))) or None


def _operation(record: Record, reference: Record) -> str | None:
    """Return verb and kind of object as kubectl has them, or the path of what is no object.

    Examples
    --------
    >>> _operation({"verb": "create"}, {"resource": "pods", "subresource": "exec", "name": "web-1"})
    'create pods/exec'
    >>> _operation({"verb": "get", "requestURI": "/healthz?verbose"}, {})
    'get /healthz'
    >>> _operation({"verb": "get", "impersonatedUser": {"username": "ana"}}, {"resource": "secrets"})
    'impersonate: get secrets'
    """
    verb, resource, sub = text(record.get("verb")), text(reference.get("resource")), text(reference.get("subresource"))
    if verb is None:
        return None
    path = text(record.get("requestURI"))
    what = f"{resource}{f'/{sub}' if sub else ''}" if resource else Routes().template(without_query(path or ""))
    acting = "impersonate: " if inner(record, "impersonatedUser") else ""
    return f"{acting}{verb if verb in VERBS else 'other'} {what}"


def _object(reference: Record) -> str | None:
    """Return the namespace and name of an object, with its kind; of a list of them there is none."""
    name = text(reference.get("name"))
    parts = (text(reference.get("namespace")), text(reference.get("resource")), name)
    return "/".join(part for part in parts if part) if name else None


def _duration_ms(received: Any, staged: Any) -> float | None:
    try:
        return (datetime.fromisoformat(staged) - datetime.fromisoformat(received)).total_seconds() * 1000
    except (TypeError, ValueError, OverflowError):
        return None


SOURCE = source(
    MAPPING, "Kubernetes audit log, JSON lines or lists; stages of a call are one", recognises=recognises, fields=fields
)
