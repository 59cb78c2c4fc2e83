"""Records of audit logs and usage reports, as their makers describe them, and how to read them."""

import json
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import pandas as pd

from tokenkit import sources

KEY = b"k" * 32
Record = dict[str, Any]

GITHUB = {
    "@timestamp": 1772445600123, "_document_id": "doc-1", "action": "repo.create", "actor": "ana", "actor_id": 7,
    "actor_ip": "203.0.113.7", "user_agent": "gh/2.60.0", "org": "acme", "repo": "acme/shop",
    "hashed_token": "q1w2e3r4t5y6u7i8o9p0a1s2d3f4g5h6j7k8l9z0x1c=", "token_id": 4711, "token_scopes": "repo,read:org",
    "programmatic_access_type": "Personal access token (classic)", "operation_type": "create",
    "actor_location": {"country_code": "DE"},
}  # fmt: skip
OKTA = {
    "uuid": "0a1b2c3d-0000-11f0-8000-000000000001", "published": "2026-03-02T10:00:00.123Z",
    "eventType": "user.lifecycle.create", "severity": "INFO",
    "actor": {"id": "00u1", "type": "User", "alternateId": "ana@acme.example", "displayName": "Ana"},
    "client": {"ipAddress": "203.0.113.7", "userAgent": {"rawUserAgent": "okta-sdk-python/2.9", "os": "Linux"},
               "geographicalContext": {"country": "Germany"}},
    "outcome": {"result": "SUCCESS", "reason": None}, "securityContext": {"asNumber": 64500},
    "transaction": {"id": "t1", "detail": {"requestApiTokenId": "00Tabcdefgh1234567"}},
    "authenticationContext": {"externalSessionId": "trs0123456789"},
    "debugContext": {"debugData": {"dtHash": "ab" * 32, "requestUri": "/api/v1/users"}},
    "target": [{"id": "00u1", "type": "User"}, {"id": "00u2", "type": "User", "alternateId": "raj@acme.example"}],
}  # fmt: skip
KUBERNETES = {
    "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "stage": "ResponseComplete",
    "auditID": "3f2504e0-0000-41d3-9a0c-0305e82c3301", "requestURI": "/api/v1/namespaces/shop/secrets/db?x=1",
    "verb": "get", "user": {"username": "system:serviceaccount:shop:deployer", "uid": "u1", "extra": {
        "authentication.kubernetes.io/credential-id": ["JTI=7b2c1c1e-0000-4d0d-8a75-000000000001"]}},
    "sourceIPs": ["198.51.100.99", "203.0.113.7"], "userAgent": "kubectl/v1.31.0 (linux/amd64)",
    "objectRef": {"resource": "secrets", "namespace": "shop", "name": "db", "apiVersion": "v1"},
    "responseStatus": {"metadata": {}, "code": 200}, "requestReceivedTimestamp": "2026-03-02T10:00:00.000001Z",
    "stageTimestamp": "2026-03-02T10:00:00.250001Z", "annotations": {"authorization.k8s.io/decision": "allow"},
}  # fmt: skip
OPENAI = {
    "object": "bucket", "start_time": 1772445600, "end_time": 1772449200, "results": [
        {"object": "organization.usage.completions.result", "input_tokens": 1000, "output_tokens": 500,
         "input_cached_tokens": 800, "num_model_requests": 5, "project_id": "proj_1", "user_id": "user-1",
         "api_key_id": "key_Zq7RkV2mXw9LtB4n", "model": "gpt-5-mini", "batch": False}],
}  # fmt: skip
ANTHROPIC = {
    "starting_at": "2026-03-02T10:00:00Z", "ending_at": "2026-03-02T11:00:00Z", "results": [
        {"uncached_input_tokens": 1500, "cache_read_input_tokens": 200, "output_tokens": 500,
         "api_key_id": "apikey_01R",
         "cache_creation": {"ephemeral_1h_input_tokens": 1000, "ephemeral_5m_input_tokens": 500},
         "server_tool_use": {"web_search_requests": 10}, "workspace_id": "wrkspc_01", "model": "claude-opus-5",
         "service_tier": "standard", "context_window": "0-200k"}],
}  # fmt: skip
LITELLM = {
    "request_id": "chatcmpl-1", "call_type": "acompletion", "api_key": "88dc28d0f030c55ed4ab77ed8faf098196cb1c05",
    "spend": 0.0021, "total_tokens": 300, "prompt_tokens": 200, "completion_tokens": 100,
    "startTime": "2026-03-02T10:00:00.000Z", "endTime": "2026-03-02T10:00:02.500Z", "model": "gpt-5-mini",
    "model_group": "small", "custom_llm_provider": "openai", "user": "ana", "end_user": "customer-9",
    "requester_ip_address": "203.0.113.7", "session_id": "s1", "status": "success", "team_id": "team-1",
    "request_tags": ["User-Agent: openai-python", "User-Agent: openai-python/2.1.0"],
    "messages": {"content": "hello"}, "metadata": {"user_api_key_alias": "ci", "status": "success"},
}  # fmt: skip
HOOP = {
    "id": "5701046a-0000-4b3b-a02d-000000000001", "org_id": "o1", "user": "ana@acme.example", "user_id": "u1",
    "connection": "orders-db", "connection_subtype": "postgres", "type": "database", "verb": "exec", "status": "done",
    "exit_code": 0, "event_size": 569, "start_date": "2026-03-02T10:00:00Z", "end_date": "2026-03-02T10:00:03Z",
    "script": {"data": "SELECT * FROM orders"}, "review": {"status": "APPROVED"},
}  # fmt: skip
MCP = {
    "timestamp": "2026-03-02T10:00:00Z", "session_id": "s1", "agent": "coder", "user": {"email": "ana@acme.example"},
    "api_key_id": "gk_0123456789", "server": "github", "client_ip": "203.0.113.7", "duration_ms": 12,
    "request": {"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                "params": {"name": "create_issue", "arguments": {"title": "x"}}},
    "response": {"jsonrpc": "2.0", "id": 1, "result": {"isError": False, "content": []}},
}  # fmt: skip
VAULT = {
    "time": "2026-03-02T10:00:00.9Z", "type": "response",
    "auth": {"accessor": "hmac-sha256:bb22bb22", "display_name": "approle", "token_type": "service"},
    "request": {"id": "a1", "operation": "read", "path": "secret/data/app", "remote_address": "203.0.113.7"},
}  # fmt: skip
RECORDS: dict[str, Record] = {
    "github-audit": GITHUB, "okta-log": OKTA, "kubernetes-audit": KUBERNETES, "openai-usage": OPENAI,
    "anthropic-usage": ANTHROPIC, "litellm-spend": LITELLM, "hoop-sessions": HOOP, "mcp-gateway": MCP,
    "vault-audit": VAULT,
}  # fmt: skip


def changed(record: Record, **fields: Any) -> Record:
    """The record with other fields; ``a__b`` is b in a."""
    copy = deepcopy(record)
    for name, value in fields.items():
        *path, last = name.split("__")
        inner = copy
        for part in path:
            inner = inner.setdefault(part, {})
        inner[last] = value
    return copy


def put(path: Path, records: Sequence[Any]) -> Path:
    """JSON lines."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def read(path: Path, name: str) -> tuple[pd.DataFrame, sources.Tally]:
    """The events of a file, of which each piece is accounted for."""
    tally = sources.Tally()
    batches = list(sources.get(name).read(path, sources.Reading(KEY), tally))
    events = pd.concat([b.events.to_pandas() for b in batches]) if batches else pd.DataFrame()
    assert tally.read == len(events) + sum(tally.ignored.values()) + len(tally.quarantined)
    return events, tally


def event(folder: Path, name: str, record: Record) -> Record:
    """The one event of one record."""
    events, tally = read(put(folder / "one.json", [record]), name)
    assert len(events) == 1, tally
    return events.iloc[0].to_dict()
