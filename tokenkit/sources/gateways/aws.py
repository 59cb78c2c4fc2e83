"""AWS's gateways: access logs of API Gateway (JSON and common log format) and of the Application Load Balancer.

Traps of API Gateway: the user writes the format. Log ``$context.identity.apiKeyId`` and never ``apiKey``, which is the
key itself. A client can choose ``requestId``; ``extendedRequestId`` it cannot. ``resourcePath`` is the route, ``path``
what was asked for. Traps of the ALB: it knows no caller, so that calls are unattributed; three durations, -1 for a call
that broke off; the path is a whole URL.
"""

from typing import Any

from tokenkit.sources.gateways.profile import Profile

_CLF = '{ip:address} {caller:ident} {user:user} [{requestTime:clf}] "{request}" {status:number} {responseLength:number}'

API_GATEWAY = Profile(
    name="api-gateway",
    doc="AWS API Gateway access log: JSON, or common log format",
    time=("requestTimeEpoch", "requestTime"),
    per_second=1000,
    address=("ip", "sourceIp", "identity.sourceIp"),
    forwarded=("xForwardedFor",),
    key_id=("apiKeyId", "identity.apiKeyId"),
    principal=("userArn", "principalId", "authorizer.principalId", "user", "caller"),
    method=("httpMethod",),
    path=("path", "resourcePath", "routeKey"),
    request=("request",),
    status=("status",),
    event_uid=("extendedRequestId", "requestId"),
    user_agent=("userAgent", "identity.userAgent"),
    request_bytes=("requestLength",),
    response_bytes=("responseLength",),
    duration=("responseLatency",),
    marks=(
        ("requestId", "extendedRequestId"),
        ("ip", "sourceIp", "identity"),
        ("requestTime", "requestTimeEpoch"),
        ("httpMethod", "routeKey", "request"),
        ("status",),
    ),
    lines=(f"{_CLF} {{requestId:uuid}} {{extendedRequestId}}", f"{_CLF} {{requestId:uuid}}"),
)


def _derive(record: dict[str, Any]) -> None:
    """Add the whole duration; -1 in one of its parts says that there is none."""
    parts = [record[name] for name in ("request_s", "target_s", "response_s")]
    record["seconds"] = "-" if any(part.startswith("-") for part in parts) else sum(map(float, parts))


_ALB = (
    "{type} {time} {elb} {client} {target} {request_s:number} {target_s:number} {response_s:number} {status:number}"
    ' {target_status} {received_bytes:number} {sent_bytes:number} "{request:words}"'
)

ALB = Profile(
    name="alb",
    doc="AWS Application Load Balancer access log, text",
    time=("time",),
    address=("client",),
    request=("request",),
    status=("status",),
    event_uid=("trace_id",),
    user_agent=("user_agent",),
    request_bytes=("received_bytes",),
    response_bytes=("sent_bytes",),
    duration=("seconds",),
    duration_unit_ms=1000.0,
    marks=(("elb",), ("client",), ("request",), ("target_status",)),
    derive=_derive,
    # where a client sent a quote, nothing behind it can be told apart
    lines=(
        f'{_ALB} "{{user_agent:plain}}" {{cipher}} {{protocol}} {{target_group}} "{{trace_id:plain}}"{{more:any}}',
        f'{_ALB} "{{more:any}}',
    ),
)
