"""Caddy: the JSON access log (``http.log.access``).

Traps: values of headers are lists. ``ts`` and ``duration`` are in seconds unless the encoder was told otherwise.
``client_ip`` is what Caddy's own ``trusted_proxies`` made of the headers, by default from the left; ``remote_ip`` is
the peer. ``user_id`` is whom Caddy let in. A key id in a header is named with its path:
``key_fields = ["request.headers.X-Api-Key-Id"]``.
"""

from tokenkit.sources.gateways.profile import Profile

PROFILE = Profile(
    name="caddy",
    doc="Caddy access log, JSON",
    time=("ts",),
    address=("request.remote_ip", "request.remote_addr"),
    forwarded=("request.headers.X-Forwarded-For",),
    principal=("user_id",),
    method=("request.method",),
    path=("request.uri",),
    status=("status",),
    event_uid=("request.headers.X-Request-Id",),
    user_agent=("request.headers.User-Agent",),
    request_bytes=("bytes_read",),
    response_bytes=("size",),
    duration=("duration",),
    duration_unit_ms=1000.0,
    marks=(("ts",), ("request",), ("status",), ("size", "duration", "resp_headers"), ("logger", "level", "msg")),
)
