"""HAProxy: a ``log-format`` of JSON whose key id is made inside the proxy, or the text of ``option httplog``.

Traps: a time of the text has no zone and is the machine's (``gateway.timezone``). A call that broke off has durations
and a status of -1. The text has no key id but in a captured header, which the client sent: ``request_header_1`` is the
first, and may be named in ``gateway.key_fields`` where the proxy made it. ``unique_id`` may be the client's.
"""

from typing import Any

from tokenkit.sources.gateways.profile import Profile

_SERVED = "{frontend} {server} {timers:counts} {status:number} {bytes_out:counts} {cookie} {set_cookie} {termination}"
_HTTPLOG = f"{{src_ip}} [{{accept_date:clf}}] {_SERVED} {{connections:counts}} {{queues:counts}}"
_HEADERS, _REQUEST = "{{{request_headers:captured}}}", '"{request}"{more:any}'


def _derive(record: dict[str, Any]) -> None:
    """Add the whole duration, which is the last timer, and the captured headers of the request one by one."""
    record["latency_ms"] = record["timers"].rpartition("/")[2].lstrip("+")
    record["bytes_out"] = record["bytes_out"].lstrip("+")
    for number, value in enumerate(record.get("request_headers", "").split("|"), 1):
        record[f"request_header_{number}"] = value


PROFILE = Profile(
    name="haproxy",
    doc="HAProxy log: JSON with a key id made inside the proxy, or text of option httplog",
    time=("ts_ms", "accept_date"),
    per_second=1000,
    address=("src_ip",),
    forwarded=("x_forwarded_for",),
    principal=("consumer",),
    method=("method",),
    path=("path",),
    request=("request",),
    status=("status",),
    event_uid=("request_id", "unique_id"),
    user_agent=("ua", "user_agent"),
    request_bytes=("bytes_in",),
    response_bytes=("bytes_out",),
    duration=("latency_ms",),
    marks=(("ts_ms", "accept_date"), ("src_ip",), ("path", "request"), ("status",)),
    derive=_derive,
    lines=(
        f"{_HTTPLOG} {_HEADERS} {{{{{{response_headers:captured}}}}}} {_REQUEST}",
        f"{_HTTPLOG} {_HEADERS} {_REQUEST}",
        f"{_HTTPLOG} {_REQUEST}",
    ),
    handle_field="key_hmac",
)
