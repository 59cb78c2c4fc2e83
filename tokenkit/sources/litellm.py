"""LiteLLM: spend logs of its proxy, one row a call: JSON of its API, rows of its table as JSON lines or CSV.

The key is logged as its SHA-256 (``api_key``); model, tokens and status are the proxy's own. Traps: request id, end
user, session and tags are what a client sent, and identify nothing; ``requester_ip_address`` is who was connected, or
X-Forwarded-For where the proxy was told to believe it; prompts and answers may be there, and are not kept; ``metadata``
is text in exports of the table; what a call cost (``spend``) counts only where no tokens are logged.
"""

from typing import Any

from tokenkit.sources.contract import Record
from tokenkit.sources.mapped import Mapping, source
from tokenkit.sources.mapped.computed import first_text, inner, parsed, text
from tokenkit.sources.tabular import ENDINGS

MAPPING = Mapping(
    name="litellm-spend",
    issuer="litellm",
    columns={
        "time": "startTime", "event_uid": "request_id", "native_id": "api_key", "principal": "user",
        "tenant": "team_id + organization_id", "app": "end_user", "session": "session_id",
        "src_ip": "requester_ip_address", "user_agent": "request_tags", "service": "custom_llm_provider",
        "operation": "model_group + model + call_type", "status": "status + metadata.status",
        "error": "metadata.error_information", "cost_units": "total_tokens + spend", "rows": "completion_tokens",
        "duration": "request_duration_ms",
    },
    values={"token_kind": "litellm_key", "token_lifetime": "long_lived"},
    decimal=".",
    files=(*ENDINGS["jsonl"], *ENDINGS["csv"]),
)  # fmt: skip
_AGENT = "User-Agent: "


def recognises(record: Record) -> bool:
    """Whether a record is a row of the spend log."""
    return {"request_id", "api_key", "startTime", "spend"} <= record.keys()


def fields(record: Record) -> Record:
    """Return what is made of several fields of a row."""
    metadata = parsed(record.get("metadata"))
    error = inner(metadata, "error_information")
    status = first_text(record, "status") or text(metadata.get("status"))
    tokens = record.get("total_tokens")
    return {
        "api_key": text(record.get("api_key")),
        "user": text(record.get("user")),
        "team_id + organization_id": first_text(record, "team_id", "organization_id"),
        "end_user": text(record.get("end_user")),
        "session_id": text(record.get("session_id")),
        "request_tags": _agent(record.get("request_tags")),
        "model_group + model + call_type": first_text(record, "model_group", "model", "call_type") or "unknown model",
        "status + metadata.status": status or "success",
        "metadata.error_information": first_text(error, "error_code", "error_class") if status == "failure" else None,
        "total_tokens + spend": tokens if tokens not in (None, "", 0, "0") else record.get("spend"),
    }


def _agent(tags: Any) -> str | None:
    """Return the client's program, which the proxy adds to the tags: name and version, where both are there."""
    if type(tags) is str and tags.startswith("["):
        tags = parsed(f'{{"tags": {tags}}}').get("tags")
    texts = [tag for tag in tags if type(tag) is str] if type(tags) is list else []
    return max((tag.removeprefix(_AGENT) for tag in texts if tag.startswith(_AGENT)), key=len, default=None)


SOURCE = source(
    MAPPING, "LiteLLM proxy spend logs, JSON or CSV", recognises=recognises, fields=fields,
    header=("request_id", "api_key", "startTime", "spend"),
)  # fmt: skip
