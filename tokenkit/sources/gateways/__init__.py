"""Gateways: access logs of HTTP gateways: one reader, and for each gateway a table of its fields (``profile.py``).

To add one, write its table in a module of its own and name it here. A profile whose lines look like another's, with
something behind them, comes before it.
"""

from tokenkit.sources.gateways import aws, caddy, envoy, haproxy, kong, nginx, traefik, w3c
from tokenkit.sources.gateways.profile import Profile
from tokenkit.sources.gateways.reader import source

PROFILES: tuple[Profile, ...] = (
    haproxy.PROFILE,
    envoy.PROFILE,
    kong.PROFILE,
    traefik.PROFILE,
    caddy.PROFILE,
    aws.API_GATEWAY,
    aws.ALB,
    w3c.CLOUDFRONT,
    w3c.W3C,
    nginx.PROFILE,
)
SOURCES = tuple(map(source, PROFILES))
