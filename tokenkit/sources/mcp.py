"""MCP: calls of tools by agents, as gateways for the Model Context Protocol log them, JSON lines.

There is no one format. A record has the message of JSON-RPC, as it is or under one of ``MESSAGES``, or names the tool
in a field of its own; what the gateway knows stands beside it, under the spellings of ``SPELLINGS``. A call is a
request with its result: the tool is the operation, the agent the program, the person behind it the principal. Traps:
the message's id and arguments and the name that a client gives itself (``clientInfo``) are the client's, so that they
identify nothing and arguments are not kept; a tool that fails says so in ``result.isError``, in a message that
succeeded; a line with a result alone has no tool and is ignored, as are notifications.
"""

import re
from typing import Any

from tokenkit.sources.contract import Record
from tokenkit.sources.fields.masking import without_query
from tokenkit.sources.mapped import Mapping, source
from tokenkit.sources.mapped.computed import inner, parsed, text
from tokenkit.sources.mapped.outcome import meaning_of_error, meaning_of_status
from tokenkit.sources.tabular import ENDINGS

MESSAGES = ("request", "message", "rpc", "jsonrpc_request", "mcp", "body", "payload")
SPELLINGS: dict[str, tuple[str, ...]] = {
    "time": ("timestamp", "time", "@timestamp", "ts", "at", "started_at", "start_time", "created_at"),
    "key": ("api_key_id", "key_id", "token_id", "credential_id", "token_hash", "virtual_key_id", "key_hmac"),
    "user": ("user", "user_email", "user_id", "subject", "sub", "principal", "human", "on_behalf_of", "end_user"),
    "agent": ("agent", "agent_id", "agent_name", "client_id", "client"),
    "session": ("session_id", "sessionId", "mcp_session_id", "Mcp-Session-Id", "mcp-session-id", "session"),
    "server": ("server", "server_name", "mcp_server", "server_id", "upstream", "target"),
    "address": ("client_ip", "remote_addr", "source_ip", "src_ip", "ip", "remote_address"),
    "program": ("user_agent", "client_name"),
    "tool": ("tool", "tool_name"),
    "status": ("status", "outcome", "decision"),
    "tenant": ("tenant", "tenant_id", "org_id", "workspace_id"),
    "duration": ("duration_ms", "latency_ms", "elapsed_ms"),
    "bytes": ("response_bytes", "response_size", "bytes_out"),
}
MAPPING = Mapping(
    name="mcp-gateway",
    issuer="mcp",
    columns={
        "time": "timestamp", "native_id": "api_key_id", "principal": "user + agent", "app": "agent",
        "session": "session_id", "tenant": "tenant", "src_ip": "client_ip", "user_agent": "user_agent + clientInfo",
        "service": "server", "operation": "params.name + method", "activity": "method", "resource": "params.uri",
        "status": "status + result.isError", "error": "error.code", "denied": "error + decision",
        "duration": "duration_ms", "response_bytes": "response_bytes",
    },
    values={"token_kind": "api_key"},
    where={"kind of message": ("request",)},
    files=ENDINGS["jsonl"],
)  # fmt: skip
_METHOD = re.compile(r"(tools|resources|prompts|completion|logging|sampling|elicitation|roots|tasks)/[\w/]{1,40}"
                     r"|initialize|ping")  # fmt: skip
_READS = re.compile(r"(tools|prompts|resources)/(list|get|read|templates/list)|ping|completion/complete")


def recognises(record: Record) -> bool:
    """Whether a record is a message of the protocol, or a call of a tool with its session or agent, and has a time."""
    if not _has(record, "time"):
        return False
    method = text(_message(record).get("method")) or ""
    if _METHOD.fullmatch(method) or method.startswith("notifications/"):
        return True
    return _has(record, "tool") and (_has(record, "session") or _has(record, "agent"))


def is_record(record: Record) -> bool:
    """Whether an object is a line of the gateway: it is not looked into, since most of it may be a client's."""
    about_calls = any(type(record.get(name)) is dict for name in MESSAGES) or "method" in record
    return _has(record, "time") and (about_calls or any(_has(record, n) for n in ("tool", "session", "agent", "user")))


def _has(record: Record, name: str) -> bool:
    return any(spelling in record for spelling in SPELLINGS[name])


def _message(record: Record) -> Record:
    """Return the message of JSON-RPC in a record, as an object or as text; an empty one where there is none."""
    held = (record, *(parsed(record.get(name)) for name in MESSAGES))
    return next((m for m in held if type(m.get("method")) is str and ("jsonrpc" in m or "params" in m)), {})


def fields(record: Record) -> Record:
    """Return the columns of a record, by the first spelling that it has."""
    message = _message(record)
    params = inner(message, "params")
    method = text(message.get("method")) or (text(record.get("method")) if _is_method(record.get("method")) else None)
    tool = text(params.get("name")) if message else _first(record, "tool")
    answer = inner(record, "response") or record
    result = inner(answer, "result") or inner(message, "result")
    error = answer.get("error") or message.get("error")
    user, agent = _first(record, "user"), _first(record, "agent")
    status, code, refused = _outcome(record, result, error)
    is_call = tool if method in (None, "tools/call") else None
    return {
        "kind of message": "request" if is_call or _is_method(method) else "other",
        "timestamp": next((record[name] for name in SPELLINGS["time"] if record.get(name)), None),
        "api_key_id": _first(record, "key"),
        "user + agent": user or agent,
        "agent": agent,
        "session_id": _first(record, "session"),
        "tenant": _first(record, "tenant"),
        "client_ip": _first(record, "address"),
        "user_agent + clientInfo": _first(record, "program") or _program(inner(params, "clientInfo")),
        "server": _first(record, "server") or "mcp",
        "params.name + method": is_call or method,
        "method": "read" if method and _READS.fullmatch(method) else None,
        "params.uri": without_query(uri) if (uri := text(params.get("uri"))) else None,
        "status + result.isError": status,
        "error.code": code,
        "error + decision": refused,
        "duration_ms": next((record[name] for name in SPELLINGS["duration"] if record.get(name) is not None), None),
        "response_bytes": next((record[name] for name in SPELLINGS["bytes"] if record.get(name) is not None), None),
    }


def _is_method(value: Any) -> bool:
    return isinstance(value, str) and _METHOD.fullmatch(value) is not None


def _first(record: Record, name: str) -> str | None:
    """Return the first spelling that has a text; of an object (a user with id and name) its id."""
    for spelling in SPELLINGS[name]:
        value = record.get(spelling)
        if type(value) is dict:
            value = next((v for part in ("id", "email", "sub", "name") if (v := text(value.get(part)))), None)
        if found := text(value):
            return found
    return None


def _program(info: Record) -> str | None:
    name, version = text(info.get("name")), text(info.get("version"))
    return f"{name}/{version}" if name and version else name


def _outcome(record: Record, result: Record, error: Any) -> tuple[str | None, str | None, bool | None]:
    """Return how a call ended, the code of its error, and whether it was refused; the gateway's word counts first."""
    stated = _first(record, "status")
    is_error = next((value for value in (result.get("isError"), record.get("is_error"), record.get("isError"))
                     if type(value) is bool), None)  # fmt: skip
    code = text(error.get("code")) if type(error) is dict else text(error)
    words = [text(error.get("message")) if type(error) is dict else None, _said(result) if is_error else None]
    refused = any(meaning_of_error(word)[2] for word in (*words, code) if word) if error or is_error else False
    if stated and meaning_of_status(stated)[1]:
        refused = refused or bool(meaning_of_status(stated)[2])
        failed = bool(error or is_error) or meaning_of_status(stated)[1] == 2
    else:
        failed = bool(error or is_error)
        if not failed and not result and is_error is None:
            return stated, None, None
    return "failed" if failed else "ok", (code or "isError") if failed and (error or is_error) else None, refused


def _said(result: Record) -> str | None:
    """Return the first text that a tool gave for its failure."""
    content = result.get("content")
    first = content[0] if type(content) is list and content and type(content[0]) is dict else {}
    return text(first.get("text"))


SOURCE = source(
    MAPPING, "MCP gateway logs, JSON lines; a tool is an operation", recognises=recognises, fields=fields,
    is_record=is_record,
)  # fmt: skip
