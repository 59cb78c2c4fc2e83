"""AWS's gateways: access logs of API Gateway (JSON, CSV, XML, common log format) and of the Application Load Balancer.

Traps of API Gateway: the user writes the format; read are the four that its console offers, of REST and HTTP APIs. Log
``$context.identity.apiKeyId`` and never ``apiKey``, which is the key itself. A client can choose ``requestId``;
``extendedRequestId`` it cannot. ``resourcePath`` is the route, ``path`` what was asked for, and ``routeKey`` has the
method before the route. Traps of the ALB: it knows no caller, so that calls are unattributed; three durations, -1 for
a call that broke off; the path is a whole URL.
"""

from typing import Any

from tokenkit.sources.gateways.profile import Profile

# what the console offers: https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html (REST APIs)
# and http-api-logging.html; the extended id was added later. In CLF a REST API has no blank before the quote.
_CALLER = "{ip:address} {caller:ident} {user:user} [{requestTime:clf}]"
_ID, _MORE_ID = "{requestId:gateway_id}", "{extendedRequestId:word}"
_CLF = [f'{_CALLER}{gap}"{{request}}" {{status:number}} {{responseLength:number}} {_ID}' for gap in ("", " ")]
_ROUTES = ("{resourcePath:cell}", "{routeKey:cell}")
_WHO = ("{ip:address},{caller:cell},{user:cell}", "{ip:address}")
_CSV = [
    f"{who},{{requestTime:clf}},{{httpMethod:cell}},{route},{{protocol:cell}},{{status:number}},"
    f"{{responseLength:number}},{_ID}"
    for who, route in zip(_WHO, _ROUTES, strict=True)
]


def _xml(*names: str) -> str:
    """Return the format of these fields, each the name and kind of an element."""
    elements = " ".join(f"<{name.partition(':')[0]}>{{{name}}}</{name.partition(':')[0]}>" for name in names)
    return f'<request id="{_ID}"> {elements} </request>'


_CALLED = ("status:number", "protocol:element", "responseLength:number")
_REST = ("ip:address", "caller:element", "user:element", "requestTime:clf", "httpMethod:element",
         "resourcePath:element", *_CALLED)  # fmt: skip
_HTTP = ("ip:address", "requestTime:clf", "httpMethod:element", "routeKey:element", *_CALLED)
_EXTENDED = "extendedRequestId:element"
_XML = (_xml(*_REST), _xml(_EXTENDED, *_REST), _xml(*_HTTP), _xml(*_HTTP, _EXTENDED))

API_GATEWAY = Profile(
    name="api-gateway",
    doc="AWS API Gateway access log: JSON, CSV, XML or common log format",
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
    lines=(
        *(line for one in _CLF for line in (f"{one} {_MORE_ID}", one)),
        *(line for one in _CSV for line in (f"{one},{_MORE_ID}", one)),
        *_XML,
    ),
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
