"""Vault: the audit log of HashiCorp Vault and OpenBao, JSON lines. A call is its response; its request is ignored.

Both lines of a call have one id, and only the response says whether it was refused. Traps: the client's token and its
accessor are HMACs of the audit device, which another device or a new salt makes anew; a call that was refused before
its token was known has none.
"""

from pathlib import PurePosixPath
from typing import Any

from tokenkit.sources.contract import Record
from tokenkit.sources.fields.masking import without_query
from tokenkit.sources.fields.operations import Routes
from tokenkit.sources.files import parse as parse_json
from tokenkit.sources.mapped import Mapping, source

MAPPING = Mapping(
    name="vault-audit",
    issuer="vault",
    columns={
        "time": "time", "event_uid": "id", "native_id": "accessor", "principal": "principal", "token_kind": "kind",
        "session": "session", "tenant": "namespace", "scopes": "policies", "src_ip": "remote_address",
        "operation": "operation", "resource": "path", "resource_type": "mount_type", "error": "error",
    },
    values={"service": "vault"},
    where={"type": ("response",)},
    files=(".log", ".json", ".jsonl", ".log.gz", ".json.gz", ".jsonl.gz"),
    unique_ids=True,  # made by Vault; two audit devices write one call with one id
)  # fmt: skip


def recognises(record: Record) -> bool:
    """Whether a record is a line of an audit device: a request, or a response with its request."""
    request = record.get("request")
    return record.get("type") in ("request", "response") and type(request) is dict and {"id", "operation"} <= {*request}


def parse(line: bytes) -> dict[str, Any]:
    """Return the fields of one line.

    Raises
    ------
    ValueError
        It is no JSON object; quotes nothing of it.
    """
    try:
        record = parse_json(line)
    except ValueError as error:
        raise ValueError(f"the line is {error}") from None
    if type(record) is not dict:
        raise ValueError("the line is not an object")
    auth, request = _object(record, "auth"), _object(record, "request")
    accessor = auth.get("accessor") or request.get("client_token_accessor")
    path = request.get("path")
    kind = auth.get("token_type")
    return {
        "type": record.get("type"), "time": record.get("time"), "id": request.get("id"),
        "accessor": accessor or auth.get("client_token") or request.get("client_token"),
        "principal": _principal(auth), "kind": f"vault_{kind}" if isinstance(kind, str) and kind else "vault_token",
        "session": auth.get("entity_id"), "namespace": _object(request, "namespace").get("path"),
        "policies": auth.get("policies"), "remote_address": request.get("remote_address"),
        "operation": _operation(request.get("operation"), path, request.get("mount_point")), "path": path,
        "mount_type": request.get("mount_type"), "error": record.get("error"),
    }  # fmt: skip


def _object(record: Record, name: str) -> Record:
    value = record.get(name)
    return value if type(value) is dict else {}


def _principal(auth: Record) -> Any:
    """Return who acts: the display name, with the role of an application, since all of them share one name."""
    name, role = auth.get("display_name"), _object(auth, "metadata").get("role_name")
    return f"{name}/{role}" if isinstance(name, str) and isinstance(role, str) and role else name


def _operation(operation: Any, path: Any, mount: Any) -> Any:
    """Return what was called: the operation, and the path without ids and without the name of the secret.

    Examples
    --------
    >>> _operation("read", "secret/data/app/17", "secret/"), _operation("update", "auth/approle/login", None)
    ('read secret/data/...', 'update auth/approle/login')
    """
    if not isinstance(operation, str) or not isinstance(path, str):
        return operation
    parts = PurePosixPath(Routes().template(without_query(path))).parts[1:]
    depth = len(PurePosixPath(mount).parts) + 1 if isinstance(mount, str) else 3 if parts[:1] == ("auth",) else 2
    return f"{operation} {'/'.join(parts[:depth])}{'/...' if len(parts) > depth else ''}"


SOURCE = source(MAPPING, "HashiCorp Vault audit log, JSON lines; a call is its response", parse, recognises)
