"""One call of each audit log and usage report, for ``samples``: made of the records of ``own_sources``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from own_sources import ANTHROPIC, GITHUB, HOOP, KUBERNETES, LITELLM, MCP, OKTA, OPENAI, changed

if TYPE_CHECKING:
    from samples import Chosen

HOUR, SECONDS = "2026-03-02T10:00", 1772445600


def _line(record: dict[str, Any], **fields: Any) -> bytes:
    return json.dumps(changed(record, **fields)).encode() + b"\n"


def github(n: int, who: str, chosen: Chosen) -> bytes:
    return _line(GITHUB, _document_id=f"doc-{n}", actor=who, hashed_token=f"{who}+hash+of+a+token=", token_id=None,
                 action="api.request", request_method="GET", url_path=chosen.path, user_agent=chosen.agent,
                 request_id=chosen.request_id, status_code=200, **{"@timestamp": (SECONDS + n) * 1000})  # fmt: skip


def okta(n: int, who: str, chosen: Chosen) -> bytes:
    return _line(OKTA, uuid=f"uuid-{n}", published=f"{HOUR}:{n:02d}.5Z", actor__id=who, actor__alternateId=who,
                 transaction__detail__requestApiTokenId=f"00T{who}", client__userAgent__rawUserAgent=chosen.agent,
                 debugContext__debugData__requestUri=chosen.path, request={"ipChain": [{"ip": chosen.forwarded}]},
                 debugContext__debugData__requestId=chosen.request_id)  # fmt: skip


def kubernetes(n: int, who: str, chosen: Chosen) -> bytes:
    return _line(KUBERNETES, auditID=chosen.request_id, requestURI=chosen.path, userAgent=chosen.agent,
                 sourceIPs=[chosen.forwarded, "203.0.113.7"], user__username=f"system:serviceaccount:shop:{who}",
                 user__extra={"authentication.kubernetes.io/credential-id": [f"JTI={who}"]},
                 requestReceivedTimestamp=f"{HOUR}:{n:02d}.1Z", stageTimestamp=f"{HOUR}:{n:02d}.2Z")  # fmt: skip


def openai(n: int, who: str, chosen: Chosen) -> bytes:
    result = OPENAI["results"][0] | {"api_key_id": f"key_of_{who}", "user_id": who}
    return _line(OPENAI, start_time=SECONDS + n, end_time=SECONDS + 60 + n, results=[result])


def anthropic(n: int, who: str, chosen: Chosen) -> bytes:
    result = ANTHROPIC["results"][0] | {"api_key_id": f"apikey_{who}"}
    return _line(ANTHROPIC, starting_at=f"{HOUR}:{n:02d}Z", ending_at="2026-03-02T11:00:00Z", results=[result])


def litellm(n: int, who: str, chosen: Chosen) -> bytes:
    return _line(LITELLM, startTime=f"{HOUR}:{n:02d}Z", api_key=f"{who}0123456789", user=who,
                 request_id=chosen.request_id, end_user=chosen.forwarded, session_id=chosen.request_id,
                 messages={"content": chosen.path},
                 request_tags=[f"User-Agent: {chosen.agent}"])  # fmt: skip


def hoop(n: int, who: str, chosen: Chosen) -> bytes:
    return _line(HOOP, id=f"session-{n}", user=who, start_date=f"{HOUR}:{n:02d}Z", end_date=f"{HOUR}:{n:02d}.5Z",
                 script={"data": chosen.path}, labels={"agent": chosen.agent})  # fmt: skip


def mcp(n: int, who: str, chosen: Chosen) -> bytes:
    params = {"name": "read_file", "arguments": {"path": chosen.path, "user": chosen.forwarded}}
    request = {"jsonrpc": "2.0", "id": chosen.request_id, "method": "tools/call", "params": params}
    return _line(MCP, timestamp=f"{HOUR}:{n:02d}Z", api_key_id=f"gk_of_{who}", user=who, request=request,
                 user_agent=chosen.agent)  # fmt: skip


def git(n: int, who: str, chosen: Chosen) -> bytes:
    path = "".join(
        c if c.isascii() and c not in '"\\' else "".join(f"\\{b:03o}" for b in c.encode()) for c in chosen.path
    )
    name = f'"{path}"' if path != chosen.path else path
    header = (
        f"commit\t{f'{who}{n}'.encode().hex():0>40}\t{HOUR}:{n:02d}+01:00\t{who}@acme.example\t{chosen.agent}\t{who}"
    )
    return f"{header}\n\n1\t2\t{name}\n".encode()


CALLS = {
    "github-audit": github, "okta-log": okta, "kubernetes-audit": kubernetes, "openai-usage": openai,
    "anthropic-usage": anthropic, "litellm-spend": litellm, "hoop-sessions": hoop, "mcp-gateway": mcp, "git-log": git,
}  # fmt: skip
