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
from tokenkit.sources.mapped import Mapping, source
from tokenkit.sources.mapped.computed import inner

MAPPING = Mapping(
    name="vault-audit",
    issuer="vault",
    columns={
        "time": "time", "event_uid": "request.id", "native_id": "auth.accessor + request.client_token_accessor",
        "principal": "auth.display_name + auth.metadata", "token_kind": "auth.token_type", "session": "auth.entity_id",
        "tenant": "request.namespace.path", "scopes": "auth.policies", "src_ip": "request.remote_address",
        "operation": "request.operation + request.path", "resource": "request.path",
        "resource_type": "request.mount_type", "error": "error",
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


def fields(record: Record) -> Record:
    """Return what is made of several fields of a record; where a call has no accessor, its token's HMAC names it."""
    auth, request = inner(record, "auth"), inner(record, "request")
    accessor = auth.get("accessor") or request.get("client_token_accessor")
    kind = auth.get("token_type")
    return {
        "auth.accessor + request.client_token_accessor": accessor or auth.get("client_token")
        or request.get("client_token"),
        "auth.display_name + auth.metadata": _principal(auth),
        "auth.token_type": f"vault_{kind}" if isinstance(kind, str) and kind else "vault_token",
        "request.operation + request.path": _operation(
            request.get("operation"), request.get("path"), request.get("mount_point")
        ),
    }  # fmt: skip


def _principal(auth: Record) -> Any:
    """Return who acts: the display name, with the role of an application, since all of them share one name."""
    name, role = auth.get("display_name"), inner(auth, "metadata").get("role_name")
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


SOURCE = source(
    MAPPING, "HashiCorp Vault audit log, JSON lines; a call is its response", recognises=recognises, fields=fields
)
