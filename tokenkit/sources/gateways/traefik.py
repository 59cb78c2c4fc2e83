"""Traefik: the access log as JSON or in its common log format.

Traps: ``ClientHost`` is what X-Forwarded-For says where there is one; ``ClientAddr`` is the peer. ``Duration`` is ns,
the text's in ms. The text does not escape a quote in a header: what stands before is read from the left, where a client
has no say, and the referer and the program share what stands behind.
"""

from typing import Any

from tokenkit.sources.gateways.profile import Profile


def _derive(record: dict[str, Any]) -> None:
    """Add the program, which is the last of the two texts that a client sent, and the duration in ns."""
    record["request_User-Agent"] = record["sent"].rpartition('" "')[2]
    record["Duration"] = record["milliseconds"] + "000000"


PROFILE = Profile(
    name="traefik",
    doc="Traefik access log: JSON, or its common log format",
    time=("StartUTC", "time", "time_local"),
    address=("ClientAddr",),
    forwarded=("request_X-Forwarded-For", "ClientHost"),
    principal=("ClientUsername",),
    method=("RequestMethod",),
    path=("RequestPath",),
    request=("request",),
    status=("DownstreamStatus",),
    event_uid=("request_X-Request-Id",),
    user_agent=("request_User-Agent",),
    request_bytes=("RequestContentSize",),
    response_bytes=("DownstreamContentSize",),
    duration=("Duration",),
    duration_unit_ms=1e-6,
    marks=(
        ("StartUTC", "time", "time_local"),
        ("RequestMethod", "request"),
        ("RequestPath", "request"),
        ("DownstreamStatus",),
    ),
    derive=_derive,
    lines=(
        '{ClientHost:addresses} {ident:ident} {ClientUsername:user} [{time_local:clf}] "{request:words}"'
        ' {DownstreamStatus:number} {DownstreamContentSize:number} "{sent:any}"'
        ' {count:number} "{router:plain}" "{url:plain}" {milliseconds:number}ms',
    ),
)
