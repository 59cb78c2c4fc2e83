"""Envoy: the default text format, and JSON as Istio and Envoy Gateway name its fields.

Traps: the text names no peer. Envoy adds it to the end of X-Forwarded-For (``use_remote_address``), so that the last
address there is the peer. Nothing is escaped: a quote that a client sends in a header moves what stands behind it, and
then address, program and request id of that line are not read. X-Request-Id may be the client's. There is no key id;
name the field that your filter writes in ``gateway.key_fields``.
"""

from tokenkit.sources.gateways.profile import Profile

_BEGIN = '[{start_time}] "{request:words}" {response_code:number} {response_flags}'
_ISTIO = f'{_BEGIN} {{details}} {{termination}} "{{failure:plain}}"'
_COUNTS = "{bytes_received:number} {bytes_sent:number} {duration:number} {upstream_time}"
_CLIENT = (
    '"{x_forwarded_for:plain}" "{user_agent:plain}" "{request_id:plain}" "{authority:plain}" "{upstream_host:plain}"'
)

PROFILE = Profile(
    name="envoy",
    doc="Envoy access log: the default text, or JSON (Istio, Envoy Gateway)",
    time=("start_time",),
    address=("downstream_direct_remote_address", "downstream_remote_address", "downstream_remote_address_without_port"),
    forwarded=("x_forwarded_for", "x-forwarded-for"),
    principal=("downstream_peer_uri_san", "downstream_peer_subject"),
    method=("method", ":method"),
    path=("x-envoy-origin-path", "path", ":path"),
    request=("request",),
    status=("response_code",),
    event_uid=("request_id", "x-request-id"),
    user_agent=("user_agent", "user-agent"),
    request_bytes=("bytes_received",),
    response_bytes=("bytes_sent",),
    duration=("duration",),
    marks=(
        ("start_time",),
        ("response_code",),
        ("path", "x-envoy-origin-path", ":path", "request"),
        ("response_flags", "upstream_host", "upstream_cluster", "downstream_remote_address"),
    ),
    # where a client sent a quote, nothing behind it can be told apart
    lines=(
        f"{_BEGIN} {_COUNTS} {_CLIENT}",
        f'{_BEGIN} {_COUNTS} "{{more:any}}',
        f"{_ISTIO} {_COUNTS} {_CLIENT} {{cluster}} {{local}} {{target}} {{downstream_remote_address}}{{more:any}}",
        f'{_ISTIO} {_COUNTS} "{{more:any}}',
    ),
)
