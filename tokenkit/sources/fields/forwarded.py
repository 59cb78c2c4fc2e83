"""Forwarded: the client's address behind proxies, from the hops that a log names.

Anyone can send X-Forwarded-For; each proxy adds the address that it saw to the end. So hops are read from the right: as
long as a hop is a proxy that the user trusts, the one before it is believed. What stands left of the first hop that is
not trusted may be the client's own words, and never counts.
"""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_HOPS = 100  # proxies in a row that are believed; a longer list was made by a client inside a trusted network
MAX_HOP = 80  # characters of an address with its port


def client_address(hops: str, trusted_proxies: Sequence[str] = ()) -> str:
    """Return the address that a call came from, as far as it can be believed.

    Parameters
    ----------
    hops : str
        Addresses with commas between them, the farthest first: X-Forwarded-For, and the peer's address at the end.
    trusted_proxies : sequence of str
        Networks of the user's own proxies. Without any, the last hop is the client.

    Returns
    -------
    str
        The first hop from the right that is not trusted, without its port. Where all are trusted the leftmost; where
        one is no address, the one right of it. Where the last one is no address, it is returned as it stands.

    Examples
    --------
    >>> client_address("198.51.100.9, 203.0.113.7, 10.0.0.2", ["10.0.0.0/8"])
    '203.0.113.7'
    >>> client_address("198.51.100.9, 203.0.113.7")
    '203.0.113.7'
    >>> client_address("198.51.100.9, nonsense, 10.0.0.2:443", ["10.0.0.2"])
    '10.0.0.2'
    """
    if "," not in hops:
        address = address_of(hops)
        return str(address) if address else hops.strip()
    networks = _networks(tuple(trusted_proxies))
    client, rest = "", hops
    for _ in range(MAX_HOPS):
        rest, comma, hop = rest.rpartition(",")
        address = address_of(hop)
        if not address:
            return client or hop.strip()
        client = str(address)
        if not comma or not any(address.version == n.version and address in n for n in networks):
            break
    return client


def address_of(hop: str) -> Address | None:
    """Return the address that a hop is, with or without its port; None where it is none.

    Examples
    --------
    >>> address_of("203.0.113.7:4711"), address_of("[2001:db8::1]:443"), address_of("::ffff:203.0.113.7")
    (IPv4Address('203.0.113.7'), IPv6Address('2001:db8::1'), IPv4Address('203.0.113.7'))
    >>> address_of("unknown"), address_of("203.0.113.7 x")
    (None, None)
    """
    return _address_of(hop) if len(hop) <= MAX_HOP else None


@lru_cache(maxsize=50_000)
def _address_of(hop: str) -> Address | None:
    text = hop.strip().strip('"')
    if text.startswith("["):
        text, bracket, port = text[1:].partition("]")
        if not bracket or (port and not _is_port(port)):
            return None
    elif text.count(":") == 1:
        text, _, number = text.partition(":")
        if not _is_port(f":{number}"):
            return None
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _is_port(text: str) -> bool:
    return text[:1] == ":" and text[1:].isascii() and text[1:].isdigit()


@lru_cache(maxsize=64)
def _networks(trusted_proxies: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(map(ipaddress.ip_network, trusted_proxies))
