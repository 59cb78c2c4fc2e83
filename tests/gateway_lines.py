"""One call as each gateway writes it, after the public descriptions of the formats."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

TRUSTED = "10.0.0.2"


@dataclass(frozen=True)
class Call:
    """What a gateway saw. Of these a client chooses path, agent, request_id and forwarded."""

    peer: str = "203.0.113.7"
    user: str = "ana"
    key: str = "key_0123456789ab"
    method: str = "GET"
    path: str = "/v1/orders/17?x=1"
    status: int = 200
    sent: int = 321
    answered: int = 1234
    agent: str = "curl/8.5.0"
    request_id: str = "0a1b2c"
    forwarded: str = ""
    second: int = 0

    def but(self, **fields: Any) -> "Call":
        """The same call with other fields."""
        return replace(self, **fields)

    @property
    def clock(self) -> str:
        """Time of day."""
        return f"10:00:{self.second:02d}"

    @property
    def ms(self) -> int:
        """Milliseconds since 1970."""
        return 1772445600000 + 1000 * self.second

    @property
    def hops(self) -> str:
        """X-Forwarded-For with the peer at its end, as Envoy writes it."""
        return f"{self.forwarded}, {self.peer}" if self.forwarded else self.peer


def _escaped(text: str, quote_as: str = "\\x22") -> str:
    """As NGINX and Apache write a field: quotes, backslashes and what is no printable ASCII as its bytes."""
    odd = {ord('"'): quote_as, ord("\\"): "\\x5C"}
    return "".join(odd.get(b, chr(b)) if 32 <= b < 127 else f"\\x{b:02X}" for b in text.encode()) or "-"


def _encoded(text: str) -> str:
    """As HAProxy writes a captured header."""
    return "".join(chr(b) if 32 <= b < 127 and chr(b) not in '"#{|}' else f"#{b:02X}" for b in text.encode())


def _json(record: dict[str, Any]) -> bytes:
    return json.dumps(record).encode()


def _combined(call: Call) -> str:
    return (
        f'{call.peer} - {call.user or "-"} [02/Mar/2026:11:00:{call.second:02d} +0100]'
        f' "{call.method} {_escaped(call.path)} HTTP/1.1" {call.status} {call.answered}'
    )  # fmt: skip


def nginx_json(call: Call) -> bytes:
    return _json({"time_iso8601": f"2026-03-02T{call.clock}+00:00", "remote_addr": call.peer,
                  "status": str(call.status), "remote_user": call.user, "request_method": call.method,
                  "request_uri": call.path, "uri": "/index.php",
                  "request_length": str(call.sent), "bytes_sent": str(call.answered), "request_time": "0.012",
                  "http_user_agent": call.agent, "request_id": call.request_id,
                  "http_x_forwarded_for": call.forwarded})  # fmt: skip


def nginx_common(call: Call) -> bytes:
    return _combined(call).encode()


def nginx_combined(call: Call) -> bytes:
    return f'{_combined(call)} "-" "{_escaped(call.agent)}"'.encode()


def nginx_main(call: Call) -> bytes:
    return f'{_combined(call)} "-" "{_escaped(call.agent)}" "{_escaped(call.forwarded)}"'.encode()


def apache_combined(call: Call) -> bytes:
    agent = _escaped(call.agent, quote_as='\\"').replace("\\x5C", "\\\\")
    return f'{_combined(call)} "-" "{agent}"'.encode()


def apache_vhost(call: Call) -> bytes:
    return b"api.example.com:443 " + apache_combined(call)


def haproxy_json(call: Call) -> bytes:
    return _json({"ts_ms": call.ms, "src_ip": call.peer, "method": call.method, "path": call.path,
                  "status": call.status, "bytes_in": call.sent, "bytes_out": call.answered, "latency_ms": 12,
                  "ua": call.agent, "unique_id": call.request_id, "consumer": call.user,
                  "x_forwarded_for": call.forwarded})  # fmt: skip


def haproxy_text(call: Call) -> bytes:
    headers = "|".join(map(_encoded, (call.agent, call.request_id, call.forwarded)))
    return (
        f"{call.peer}:33317 [02/Mar/2026:{call.clock}.000] https~ api/s1 1/0/3/8/12 {call.status} {call.answered} - -"
        f' ---- 9/8/7/6/0 0/0 {{{headers}}} {{}} "{call.method} {_encoded(call.path)} HTTP/1.1"'
    ).encode()


def envoy_text(call: Call) -> bytes:
    return (
        f'[2026-03-02T{call.clock}.000Z] "{call.method} {call.path} HTTP/1.1" {call.status} - {call.sent}'
        f' {call.answered} 12 11 "{call.hops}" "{call.agent or "-"}" "{call.request_id}" "api.example.com"'
        ' "10.1.2.3:8080"'
    ).encode()


def istio_text(call: Call) -> bytes:
    return (
        f'[2026-03-02T{call.clock}.000Z] "{call.method} {call.path} HTTP/1.1" {call.status} - via_upstream - "-"'
        f' {call.sent} {call.answered} 12 11 "{call.hops}" "{call.agent or "-"}" "{call.request_id}" "api.example.com"'
        f' "10.1.2.3:8080" inbound|8080|| 10.1.2.3:5000 10.1.2.3:8080 {call.peer}:0 - default'
    ).encode()


def envoy_json(call: Call) -> bytes:
    return _json({"start_time": f"2026-03-02T{call.clock}.000Z", "method": call.method, "path": call.path,
                  "protocol": "HTTP/1.1", "response_code": call.status, "response_flags": "-",
                  "bytes_received": call.sent, "bytes_sent": call.answered, "duration": 12,
                  "x_forwarded_for": call.hops, "user_agent": call.agent, "request_id": call.request_id,
                  "downstream_remote_address": f"{call.peer}:4711", "upstream_host": "10.1.2.3:8080",
                  "downstream_peer_uri_san": call.user})  # fmt: skip


def kong_json(call: Call) -> bytes:
    headers = {"user-agent": call.agent, "x-forwarded-for": call.forwarded, "apikey": "the-raw-key-0001"}
    return _json({"started_at": call.ms, "client_ip": call.peer,
                  "consumer": {"username": call.user, "id": "c1"},
                  "authenticated_entity": {"id": call.key} if call.key else None,
                  "request": {"id": call.request_id, "method": call.method, "uri": call.path, "size": call.sent,
                              "headers": headers, "querystring": {"apikey": "the-raw-key-0001"}},
                  "response": {"status": call.status, "size": call.answered, "headers": {}},
                  "latencies": {"request": 12, "proxy": 11, "kong": 1}, "route": {"name": "orders"}})  # fmt: skip


def traefik_json(call: Call) -> bytes:
    return _json({"StartUTC": f"2026-03-02T{call.clock}.000000000Z", "Duration": 12000000,
                  "time": "2026-03-02T10:00:01Z",
                  "ClientAddr": f"{call.peer}:4711", "ClientHost": call.hops if call.forwarded else call.peer,
                  "ClientUsername": call.user or "-", "RequestMethod": call.method, "RequestPath": call.path,
                  "RequestContentSize": call.sent, "DownstreamStatus": call.status,
                  "DownstreamContentSize": call.answered, "request_User-Agent": call.agent,
                  "request_X-Request-Id": call.request_id, "level": "info", "msg": ""})  # fmt: skip


def traefik_text(call: Call) -> bytes:
    return (
        f'{call.peer} - {call.user or "-"} [02/Mar/2026:{call.clock} +0000] "{call.method} {call.path} HTTP/1.1"'
        f' {call.status} {call.answered} "-" "{call.agent or "-"}" 7 "api@docker" "http://10.1.2.3:80" 12ms'
    ).encode()


def caddy_json(call: Call) -> bytes:
    headers = {"User-Agent": [call.agent], "X-Forwarded-For": [call.forwarded], "X-Request-Id": [call.request_id]}
    return _json({"level": "info", "ts": call.ms / 1000, "logger": "http.log.access", "msg": "handled request",
                  "request": {"remote_ip": call.peer, "remote_port": "4711", "client_ip": call.forwarded or call.peer,
                              "proto": "HTTP/2.0", "method": call.method, "host": "api.example.com", "uri": call.path,
                              "headers": {name: v for name, v in headers.items() if v[0]}},
                  "bytes_read": call.sent, "user_id": call.user, "duration": 0.012, "size": call.answered,
                  "status": call.status, "resp_headers": {"Server": ["Caddy"]}})  # fmt: skip


def api_gateway_json(call: Call) -> bytes:
    return _json({"requestId": call.request_id, "extendedRequestId": "XyZ=", "ip": call.peer,
                  "apiKeyId": call.key or "-",
                  "caller": "-", "user": call.user or "-", "requestTime": f"02/Mar/2026:{call.clock} +0000",
                  "httpMethod": call.method, "resourcePath": "/v1/orders/{id}", "path": call.path,
                  "status": str(call.status), "protocol": "HTTP/1.1", "responseLength": str(call.answered),
                  "responseLatency": "12", "userAgent": call.agent})  # fmt: skip


def api_gateway_text(call: Call) -> bytes:
    return (
        f"{call.peer} - {call.user or '-'} [02/Mar/2026:{call.clock} +0000]"
        f' "{call.method} {_escaped(call.path)} HTTP/1.1" {call.status} {call.answered}'
        f" 0b1a2c3d-0000-4000-8000-0123456789ab XyZ="
    ).encode()


def alb_text(call: Call) -> bytes:
    return (
        f"https 2026-03-02T{call.clock}.000000Z app/lb/50dc {call.peer}:4711 10.1.2.3:80 0.001 0.010 0.001"
        f" {call.status} {call.status} {call.sent} {call.answered}"
        f' "{call.method} https://api.example.com:443{call.path} HTTP/1.1"'
        f' "{call.agent or "-"}" ECDHE-RSA TLSv1.2 arn:aws:x "Root={call.request_id}" "api.example.com" "arn:aws:y" 1'
        f' 2026-03-02T10:00:00.000000Z "forward" "-" "-" "10.1.2.3:80" "200" "-" "-" TID_1'
    ).encode()


CLOUDFRONT_FIELDS = (
    b"#Version: 1.0\n#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status"
    b" cs(Referer) cs(User-Agent) cs-uri-query x-edge-request-id cs-bytes time-taken x-forwarded-for\n"
)
IIS_FIELDS = (
    b"#Software: Microsoft Internet Information Services 10.0\n#Fields: date time s-ip cs-method cs-uri-stem"
    b" cs-uri-query s-port cs-username c-ip cs(User-Agent) sc-status sc-bytes cs-bytes time-taken\n"
)


def cloudfront_text(call: Call) -> bytes:
    path, agent, hops = (quote(text, safe="/().,:;=") or "-" for text in (call.path, call.agent, call.forwarded))
    return "\t".join(
        ("2026-03-02", call.clock, "FRA2", str(call.answered), call.peer, call.method, "d1.cloudfront.net",
         path.partition("%3F")[0], str(call.status), "-", agent, "-", "edge-1==", str(call.sent), "0.012", hops)
    ).encode()  # fmt: skip


def iis_text(call: Call) -> bytes:
    path, agent = ("+".join(quote(word, safe="/().,:;=") for word in text.split(" ")) or "-"
                   for text in (call.path.partition("?")[0], call.agent))  # fmt: skip
    return (
        f"2026-03-02 {call.clock} 10.1.2.3 {call.method} {path} - 443 {call.user or '-'} {call.peer} {agent}"
        f" {call.status} {call.answered} {call.sent} 12"
    ).encode()


# of each format: the source, how a line is written, and what stands before the first one
FORMATS: dict[str, tuple[str, Callable[[Call], bytes], bytes]] = {
    "nginx_json": ("nginx", nginx_json, b""),
    "nginx_common": ("nginx", nginx_common, b""),
    "nginx_combined": ("nginx", nginx_combined, b""),
    "nginx_main": ("nginx", nginx_main, b""),
    "apache_combined": ("nginx", apache_combined, b""),
    "apache_vhost": ("nginx", apache_vhost, b""),
    "haproxy_json": ("haproxy", haproxy_json, b""),
    "haproxy_text": ("haproxy", haproxy_text, b""),
    "envoy_text": ("envoy", envoy_text, b""),
    "istio_text": ("envoy", istio_text, b""),
    "envoy_json": ("envoy", envoy_json, b""),
    "kong_json": ("kong", kong_json, b""),
    "traefik_json": ("traefik", traefik_json, b""),
    "traefik_text": ("traefik", traefik_text, b""),
    "caddy_json": ("caddy", caddy_json, b""),
    "api_gateway_json": ("api-gateway", api_gateway_json, b""),
    "api_gateway_text": ("api-gateway", api_gateway_text, b""),
    "alb_text": ("alb", alb_text, b""),
    "cloudfront_text": ("cloudfront", cloudfront_text, CLOUDFRONT_FIELDS),
    "iis_text": ("w3c", iis_text, IIS_FIELDS),
}
# what these formats do not say
WITHOUT = {
    "user": {"haproxy_text", "envoy_text", "istio_text", "alb_text", "cloudfront_text"},
    "agent": {"nginx_common", "haproxy_text", "api_gateway_text"},
    "sent": {"nginx_common", "nginx_combined", "nginx_main", "apache_combined", "apache_vhost", "haproxy_text",
             "traefik_text", "api_gateway_json", "api_gateway_text"},
    "duration": {"nginx_common", "nginx_combined", "nginx_main", "apache_combined", "apache_vhost", "api_gateway_text"},
    "forwarded": {"nginx_common", "nginx_combined", "apache_combined", "apache_vhost", "haproxy_text", "traefik_text",
                  "api_gateway_json", "api_gateway_text", "alb_text", "iis_text"},
}  # fmt: skip
KEYED = {"kong_json", "api_gateway_json"}
