r"""NGINX and Apache: the access log as JSON (``escape=json``), or in the formats *common*, *combined* and *main*.

Traps: ``$uri`` is what a rewrite made of ``$request_uri``. ``$request_id`` may be the client's own header.
``$remote_user`` is what a client claims to be until it was let in. Quotes in a field are written ``\x22`` by NGINX and
``\"`` by Apache, so that a quote in a line is the writer's own; blanks in a user's name are not escaped.
"""

from tokenkit.sources.gateways.profile import Profile

_CALL = '[{time_local:clf}] "{request}" {status:number} {body_bytes_sent:number}'
_COMMON = f"{{remote_addr:address}} {{ident:ident}} {{remote_user:user}} {_CALL}"
_NAMED = f"{{remote_addr:name}} - {{remote_user:user}} {_CALL}"  # Apache with HostnameLookups
_SENT = '"{referer}" "{http_user_agent}"'

PROFILE = Profile(
    name="nginx",
    doc="NGINX or Apache access log: JSON, or text in the formats common, combined, main",
    time=("msec", "time_iso8601", "time", "time_local"),
    address=("remote_addr",),
    forwarded=("http_x_forwarded_for", "proxy_protocol_addr"),
    principal=("consumer", "remote_user"),
    method=("request_method", "method"),
    path=("request_uri", "uri", "path"),
    request=("request",),
    status=("status",),
    event_uid=("request_id",),
    user_agent=("http_user_agent",),
    request_bytes=("request_length",),
    response_bytes=("bytes_sent", "body_bytes_sent"),
    duration=("request_time",),
    duration_unit_ms=1000.0,
    marks=(
        ("msec", "time_iso8601", "time", "time_local"),
        ("remote_addr",),
        ("uri", "request_uri", "request"),
        ("status",),
    ),
    escapes=True,
    lines=(
        f'{_COMMON} {_SENT} "{{http_x_forwarded_for}}"{{more:any}}',
        f"{_COMMON} {_SENT}{{more:any}}",
        _COMMON,
        f"{{host:host}} {_COMMON} {_SENT}{{more:any}}",  # Apache's vhost_combined
        f"{_NAMED} {_SENT}{{more:any}}",
        _NAMED,
    ),
)
