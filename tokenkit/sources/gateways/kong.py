"""Kong: JSON of the plugins file-log, http-log, tcp-log and others, one object a call.

Traps: ``started_at`` is in ms. Headers and query string hold the raw key unless the plugin removes them: neither is
kept. ``authenticated_entity.id`` is the credential's id in Kong, which also locks it; the consumer is the principal.
"""

from tokenkit.sources.gateways.profile import Profile

PROFILE = Profile(
    name="kong",
    doc="Kong log of the plugins file-log and http-log, JSON",
    time=("started_at",),
    per_second=1000,
    address=("client_ip",),
    forwarded=("request.headers.x-forwarded-for",),
    key_id=("authenticated_entity.id",),
    principal=("consumer.username", "consumer.custom_id", "consumer.id"),
    method=("request.method",),
    path=("request.uri",),
    status=("response.status",),
    event_uid=("request.id",),
    user_agent=("request.headers.user-agent",),
    request_bytes=("request.size",),
    response_bytes=("response.size",),
    duration=("latencies.request",),
    marks=(("started_at",), ("request",), ("latencies", "client_ip")),
)
