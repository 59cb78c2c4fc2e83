"""One call as each source's server writes it: what tests of all sources are made of.

A call is a piece of a log, of one line or of several. What a client chooses of it stands in ``Chosen``; all else is the
server's. A new source gets an entry in ``SAMPLES``.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gateway_lines
from gateway_lines import Call
from own_sources import ANTHROPIC, GITHUB, HOOP, KUBERNETES, LITELLM, MCP, OKTA, OPENAI, changed

HOUR = "2026-03-02T10:00"
SECONDS = 1772445600  # 2026-03-02 10:00 UTC
KEYS = {"ana": "AKIAEXAMPLEANA000001", "raj": "AKIAEXAMPLERAJ000001"}


@dataclass(frozen=True)
class Chosen:
    """What a client chooses of a call."""

    agent: str = "curl/8.5.0"
    path: str = "/v1/orders/17"
    request_id: str = "r1"
    forwarded: str = "198.51.100.9"


@dataclass(frozen=True)
class Sample:
    """How a source's log looks.

    Attributes
    ----------
    call : function of a number below 60, who calls (a key of ``KEYS``), and what the client chose
        One call as its server writes it, with its line ends.
    head : bytes
        What stands above the first.
    name : str
        Name of the file.
    mapping : str
        TOML of a source that a user describes.
    tokens : int
        How many tokens the callers are: none where a log does not name them.
    """

    call: Callable[[int, str, Chosen], bytes]
    head: bytes = b""
    name: str = "a.log"
    mapping: str = ""
    tokens: int = 2

    def log(self, *calls: bytes) -> bytes:
        """A log of these calls."""
        return self.head + b"".join(calls)

    def usual(self, count: int = 4) -> list[bytes]:
        """Calls of two tokens in turn."""
        return [self.call(n, "ana" if n % 2 == 0 else "raj", Chosen(request_id=f"r{n}")) for n in range(count)]


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(record).encode() + b"\n"


def cloudtrail(n: int, who: str, chosen: Chosen) -> bytes:
    user = {"type": "IAMUser", "arn": f"arn:aws:iam::111122223333:user/{who}", "accountId": "111122223333",
            "principalId": f"AIDAEXAMPLE{who.upper()}", "accessKeyId": KEYS[who], "userName": who}  # fmt: skip
    return _line({"eventVersion": "1.09", "eventTime": f"{HOUR}:{n:02d}Z", "eventSource": "s3.amazonaws.com",
                  "eventName": "GetObject", "awsRegion": "eu-central-1", "sourceIPAddress": "203.0.113.7",
                  "userAgent": chosen.agent, "userIdentity": user, "recipientAccountId": "111122223333",
                  "requestParameters": {"bucketName": "reports", "key": chosen.path, "via": chosen.forwarded},
                  "eventID": f"00000000-0000-4000-8000-{n:012d}", "requestID": chosen.request_id,
                  "eventType": "AwsApiCall", "readOnly": True})  # fmt: skip


def nginx(n: int, who: str, chosen: Chosen) -> bytes:
    return _line({"msec": SECONDS + n, "remote_addr": "203.0.113.7", "request_method": "GET", "status": 200,
                  "request_uri": chosen.path, "uri": "/index.php", "bytes_sent": 512, "request_length": 90,
                  "request_time": 0.01, "request_id": chosen.request_id, "http_user_agent": chosen.agent,
                  "http_x_forwarded_for": chosen.forwarded, "api_key_id": KEYS[who]})  # fmt: skip


def haproxy(n: int, who: str, chosen: Chosen) -> bytes:
    key = {"ana": "a1", "raj": "b2"}[who] * 32
    return _line({"ts_ms": (SECONDS + n) * 1000, "src_ip": "203.0.113.7", "method": "GET", "path": chosen.path,
                  "status": 200, "bytes_in": 90, "bytes_out": 512, "latency_ms": 10, "unique_id": chosen.request_id,
                  "ua": chosen.agent, "x_forwarded_for": chosen.forwarded, "key_hmac": key})  # fmt: skip


def ocsf(n: int, who: str, chosen: Chosen) -> bytes:
    return _line({"class_uid": 6003, "category_uid": 6, "activity_id": 2, "type_uid": 600302, "severity_id": 1,
                  "time": (SECONDS + n) * 1000, "status_id": 1,
                  "metadata": {"version": "1.8.0", "uid": f"e{n}", "product": {"name": "API", "vendor_name": "Acme"}},
                  "api": {"operation": "GetOrder", "service": {"name": "orders"}, "request": {"uid": chosen.request_id},
                          "token": {"uid": KEYS[who]}},
                  "actor": {"user": {"uid": who}}, "src_endpoint": {"ip": "203.0.113.7"},
                  "http_request": {"user_agent": chosen.agent, "url": {"path": chosen.path}, "uid": chosen.request_id,
                                   "x_forwarded_for": [chosen.forwarded]}})  # fmt: skip


def vault(n: int, who: str, chosen: Chosen) -> bytes:
    auth = {"client_token": f"hmac-sha256:{who}11", "accessor": f"hmac-sha256:{KEYS[who]}", "display_name": who,
            "token_type": "service", "policies": ["app"]}  # fmt: skip
    request = {"id": f"3f2504e0-0000-4000-8000-{n:012d}", "operation": "read", "path": f"secret/data{chosen.path}",
               "remote_address": "203.0.113.7", "headers": {"user-agent": [chosen.agent], "x-forwarded-for":
               [chosen.forwarded], "x-request-id": [chosen.request_id]}}  # fmt: skip
    return _line({"time": f"{HOUR}:{n:02d}.1Z", "type": "response", "auth": auth, "request": request})


MAPPING = """name = "orders"
issuer = "orders-api"
[columns]
time = "at"
event_uid = "request"
native_id = "key"
src_ip = "ip"
method = "verb"
path = "url"
user_agent = "agent"
"""
COLUMNS = ("at", "request", "key", "ip", "verb", "url", "agent", "forwarded")


def _cells(n: int, who: str, chosen: Chosen) -> tuple[str, ...]:
    return (f"{HOUR}:{n:02d}Z", chosen.request_id, KEYS[who], "203.0.113.7", "GET", chosen.path, chosen.agent,
            chosen.forwarded)  # fmt: skip


def mapped_csv(n: int, who: str, chosen: Chosen) -> bytes:
    quoted = ['"' + cell.replace('"', '""') + '"' for cell in _cells(n, who, chosen)]
    return ",".join(quoted).encode() + b"\n"


def mapped_json(n: int, who: str, chosen: Chosen) -> bytes:
    return _line(dict(zip(COLUMNS, _cells(n, who, chosen), strict=True)))


def _at_gateway(line: Callable[[Call], bytes]) -> Callable[[int, str, Chosen], bytes]:
    """A call as a gateway writes it, of a token that is known by the key's id or by its user."""

    def call(n: int, who: str, chosen: Chosen) -> bytes:
        return line(Call(user=who, key=KEYS[who], path=chosen.path, agent=chosen.agent, request_id=chosen.request_id,
                         forwarded=chosen.forwarded, second=n)) + b"\n"  # fmt: skip

    return call


def github(n: int, who: str, chosen: Chosen) -> bytes:
    return _line(changed(GITHUB, **{"@timestamp": (SECONDS + n) * 1000, "_document_id": f"doc-{n}", "actor": who},
                         hashed_token=KEYS[who], user_agent=chosen.agent, repo=f"acme{chosen.path}",
                         request_id=chosen.request_id))  # fmt: skip


def okta(n: int, who: str, chosen: Chosen) -> bytes:
    return _line(changed(OKTA, uuid=f"0a1b2c3d-0000-11f0-8000-{n:012d}", published=f"{HOUR}:{n:02d}.123Z",
                         actor__id=f"00u{who}", actor__alternateId=f"{who}@acme.example",
                         transaction__detail__requestApiTokenId=KEYS[who], transaction__id=chosen.request_id,
                         client__userAgent__rawUserAgent=chosen.agent,
                         debugContext__debugData__requestUri=chosen.path))  # fmt: skip


def kubernetes(n: int, who: str, chosen: Chosen) -> bytes:
    times = {"requestReceivedTimestamp": f"{HOUR}:{n:02d}.000001Z", "stageTimestamp": f"{HOUR}:{n:02d}.200001Z"}
    user = {"username": who, "uid": who,
            "extra": {"authentication.kubernetes.io/credential-id": [f"JTI={KEYS[who]}"]}}  # fmt: skip
    return _line(changed(KUBERNETES, auditID=f"3f2504e0-0000-41d3-9a0c-{n:012d}", user=user, userAgent=chosen.agent,
                         requestURI=chosen.path, sourceIPs=[chosen.forwarded, "203.0.113.7"], **times))  # fmt: skip


def openai(n: int, who: str, chosen: Chosen) -> bytes:
    result = changed(OPENAI["results"][0], api_key_id=KEYS[who], user_id=who)
    return _line(changed(OPENAI, start_time=SECONDS + 60 * n, end_time=SECONDS + 60 * n + 60, results=[result]))


def anthropic(n: int, who: str, chosen: Chosen) -> bytes:
    result = changed(ANTHROPIC["results"][0], api_key_id=KEYS[who])
    times = {"starting_at": f"2026-03-02T10:{n:02d}:00Z", "ending_at": f"2026-03-02T10:{n + 1:02d}:00Z"}
    return _line(changed(ANTHROPIC, results=[result], **times))


def litellm(n: int, who: str, chosen: Chosen) -> bytes:
    return _line(changed(LITELLM, request_id=f"chatcmpl-{n}", api_key=KEYS[who], user=who, end_user=chosen.request_id,
                         startTime=f"{HOUR}:{n:02d}.000Z", endTime=f"{HOUR}:{n:02d}.500Z", session_id=chosen.request_id,
                         request_tags=[f"User-Agent: {chosen.agent}"]))  # fmt: skip


def hoop(n: int, who: str, chosen: Chosen) -> bytes:
    return _line(changed(HOOP, id=f"5701046a-0000-4b3b-a02d-{n:012d}", user=f"{who}@acme.example", user_id=who,
                         start_date=f"{HOUR}:{n:02d}Z", end_date=f"{HOUR}:{n + 1:02d}Z",
                         script={"data": f"SELECT {chosen.path} -- {chosen.agent}"}))  # fmt: skip


def mcp(n: int, who: str, chosen: Chosen) -> bytes:
    return _line(changed(MCP, timestamp=f"{HOUR}:{n:02d}Z", api_key_id=KEYS[who], user={"email": f"{who}@acme.example"},
                         agent=chosen.agent, session_id=chosen.request_id, request__id=chosen.request_id,
                         request__params__arguments={"title": chosen.path}))  # fmt: skip


def git_log(n: int, who: str, chosen: Chosen) -> bytes:
    name = chosen.path[1:] or "a"
    if any(not 32 <= ord(c) < 127 or c in '"\\' for c in name):  # as git quotes a path
        octal = "".join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\' else f"\\{b:03o}" for b in name.encode())
        name = f'"{octal}"'
    commit = f"commit\t{n:040x}\t{HOUR}:{n:02d}Z\t{who}@acme.example\tnoreply@forge.example\t{who}\n"
    return f"{commit}\n3\t0\t{name}\n".encode()


SAMPLES: dict[str, Sample] = {
    "alb": Sample(_at_gateway(gateway_lines.alb_text), tokens=0),
    "api-gateway": Sample(_at_gateway(gateway_lines.api_gateway_text)),
    "caddy": Sample(_at_gateway(gateway_lines.caddy_json)),
    "cloudfront": Sample(_at_gateway(gateway_lines.cloudfront_text), gateway_lines.CLOUDFRONT_FIELDS, tokens=0),
    "envoy": Sample(_at_gateway(gateway_lines.envoy_json)),
    "kong": Sample(_at_gateway(gateway_lines.kong_json)),
    "traefik": Sample(_at_gateway(gateway_lines.traefik_text)),
    "w3c": Sample(_at_gateway(gateway_lines.iis_text), gateway_lines.IIS_FIELDS),
    "cloudtrail": Sample(cloudtrail, name="a.json"),
    "a mapping of CSV": Sample(mapped_csv, ",".join(COLUMNS).encode() + b"\n", "a.csv", MAPPING),
    "a mapping of JSON": Sample(mapped_json, name="a.jsonl", mapping=MAPPING),
    "haproxy": Sample(haproxy),
    "nginx": Sample(nginx),
    "anthropic-usage": Sample(anthropic, name="a.json"),
    "git-log": Sample(git_log),
    "github-audit": Sample(github, name="a.json"),
    "hoop-sessions": Sample(hoop, name="a.json"),
    "kubernetes-audit": Sample(kubernetes),
    "litellm-spend": Sample(litellm, name="a.json"),
    "mcp-gateway": Sample(mcp),
    "okta-log": Sample(okta, name="a.json"),
    "openai-usage": Sample(openai, name="a.json"),
    "ocsf": Sample(ocsf, name="a.jsonl"),
    "vault-audit": Sample(vault),
}
