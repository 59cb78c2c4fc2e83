"""GitHub: the audit log of an organisation or enterprise, as JSON (export, REST, stream) or CSV export.

Traps: ``hashed_token`` is the SHA-256 of the token, in base64, and no secret; ``token_id`` is used where there is no
hash. What was done in the browser has no token and is its actor's. Calls of the API (``api.request``) are logged only
where an enterprise streams them, and are told apart by method and route. Addresses are there only where their
disclosure is switched on. Actions say nothing of an outcome: what is logged was done, but for the few of ``REFUSED``
and for calls of the API, which have a status.
"""

import re

from tokenkit.sources.contract import Record
from tokenkit.sources.fields.masking import without_query
from tokenkit.sources.fields.operations import Routes, known_method
from tokenkit.sources.mapped import Mapping, source
from tokenkit.sources.mapped.computed import first_text, text
from tokenkit.sources.tabular import ENDINGS

MAPPING = Mapping(
    name="github-audit",
    issuer="github",
    columns={
        "time": "@timestamp + created_at", "event_uid": "_document_id", "native_id": "hashed_token + token_id",
        "token_kind": "programmatic_access_type", "token_lifetime": "lifetime of programmatic_access_type",
        "principal": "actor", "scopes": "token_scopes", "tenant": "org + business",
        "app": "oauth_application_id + integration", "src_ip": "actor_ip", "src_country": "actor_location.country_code",
        "user_agent": "user_agent", "operation": "action + request_method + route + url_path",
        "activity": "operation_type", "resource": "repo + team + user", "resource_type": "kind of repo + team + user",
        "status": "status_code",
    },
    values={"service": "github"},
    files=(*ENDINGS["jsonl"], *ENDINGS["csv"]),
    unique_ids=True,  # GitHub's own number of the entry
)  # fmt: skip
REFUSED = {"protected_branch.rejected_ref_update", "user.failed_login", "user.two_factor_challenge_failure"}
# the others live until somebody revokes them
HOURS = ("GitHub App server-to-server token", "GitHub App user-to-server token", "User session")
_OF_GIT = {"git.clone": "clone", "git.fetch": "fetch", "git.push": "push"}


def recognises(record: Record) -> bool:
    """Whether a record is an entry of the audit log."""
    action = record.get("action")
    return (
        isinstance(action, str) and "." in action and ("@timestamp" in record or "created_at" in record)
        and bool(record.keys() & {"_document_id", "actor", "hashed_token"})
        and bool(record.keys() & {"_document_id", "org", "business", "repo", "operation_type"})
    )  # fmt: skip


def fields(record: Record) -> Record:
    """Return what is made of several fields of an entry."""
    action, kind = text(record.get("action")), text(record.get("programmatic_access_type"))
    token = first_text(record, "hashed_token", "token_id")
    status = "rejected" if action in REFUSED else "ok"
    what = next((name for name in ("repo", "team", "user") if _object(record, name)), None)
    return {
        "@timestamp + created_at": record.get("@timestamp") or record.get("created_at"),
        "hashed_token + token_id": token,
        "programmatic_access_type": re.sub(r"\W+", "_", (kind or "GitHub token").lower()).strip("_"),
        "lifetime of programmatic_access_type": ("session" if kind in HOURS else "long_lived") if token else None,
        "actor": text(record.get("actor")),
        "org + business": first_text(record, "org", "business"),
        "oauth_application_id + integration": first_text(record, "oauth_application_id", "integration"),
        "action + request_method + route + url_path": _operation(record, action),
        "operation_type": _OF_GIT.get(action or "") or _activity(record, action),
        "repo + team + user": _object(record, what) if what else None,
        "kind of repo + team + user": what,
        "status_code": status if record.get("status_code") is None else record["status_code"],
    }


def _object(record: Record, name: str) -> str | None:
    """Return what an action was done to; whoever does something is not its object."""
    value = text(record.get(name))
    return None if name == "user" and value == text(record.get("actor")) else value


def _operation(record: Record, action: str | None) -> str | None:
    """Return the action, or of a call of the API its method and route.

    Examples
    --------
    >>> _operation({"request_method": "GET", "url_path": "/repos/a/b/keys/17?x"}, "api.request")
    'GET /repos/a/b/keys/{id}'
    >>> _operation({"request_method": "GET", "route": "/repos/:owner/:repo"}, "api.request")
    'GET /repos/:owner/:repo'
    """
    route, path = text(record.get("route")), first_text(record, "url_path", "request_path")
    if action != "api.request" or not (route or path):
        return action
    return (
        f"{known_method(first_text(record, 'request_method'))} {route or Routes().template(without_query(path or ''))}"
    )


def _activity(record: Record, action: str | None) -> str | None:
    return first_text(record, "request_method") if action == "api.request" else first_text(record, "operation_type")


SOURCE = source(
    MAPPING, "GitHub audit log, JSON or CSV export", recognises=recognises, fields=fields,
    header=("action", "actor", "@timestamp"),
)  # fmt: skip
