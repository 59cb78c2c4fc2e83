"""Clients and networks: program and version of a user agent, network and class of an address, without a lookup."""

import ipaddress
import re
from functools import lru_cache

FAMILY_CAP, USER_AGENT_CAP = 80, 256
LONGEST_ADDRESS = 80  # characters; what is longer is no address, and is not remembered

_SERVICE = re.compile(r"^[a-z0-9.-]+\.amazonaws\.com(?:\.cn)?$|^AWS Internal$")
_PRODUCT = re.compile(r"^([^\s/;,()]+(?: (?!v?\d|[A-Za-z0-9._-]+/)[^\s/;,()]+){0,2})(?:/([^\s;,()]*))?")
_PARTNER = re.compile(r"^APN/[\d.]+ (?:[^\s/]+/[\d.]+ )?(?=[^\s/]+/)")
_VERSION = re.compile(r"^v?\d")


def client(user_agent: str) -> tuple[str, str | None]:
    """Return family and version of a program, from its (masked) user agent.

    Browsers are read by ua-parser; of every other program the first product counts, which in AWS's partner format
    (``APN/1.0 HashiCorp/1.0 Terraform/1.1.2 ...``) is the one after the partner's name.

    Examples
    --------
    >>> client("Boto3/1.34.2 md/Botocore#1.34.2"), client("[aws-cli/2.15 Python/3]"), client("AWS Internal")
    (('Boto3', '1.34.2'), ('aws-cli', '2.15'), ('AWS Internal', None))
    >>> client("Mozilla/5.0 (X11; Linux x86_64; rv:102.0) Gecko/20100101 Firefox/102.0")
    ('Firefox', '102.0')
    """
    text = user_agent.strip()
    if text.startswith("[") and not text.startswith("[masked]"):
        text = text[1:].removesuffix("]").strip()
    if not text:
        return "unknown", None
    if _SERVICE.match(text):
        return text[:FAMILY_CAP], None
    if text.startswith("Mozilla/"):
        return _browser(text[:USER_AGENT_CAP])
    partner = _PARTNER.match(text)
    product = _PRODUCT.match(text[partner.end() :] if partner else text)
    if not product:
        return text.split(" ", 1)[0][:FAMILY_CAP], None
    family, version = product.group(1)[:FAMILY_CAP], product.group(2)
    return family, version[:40] if version and _VERSION.match(version) else None


@lru_cache(maxsize=4096)
def _browser(user_agent: str) -> tuple[str, str | None]:
    # imported late: its 900 patterns take half a second, and most logs hold no browser
    from ua_parser import parse_user_agent

    agent = parse_user_agent(user_agent)
    if agent is None or agent.family == "Other":
        return "Mozilla", None
    version = ".".join(part for part in (agent.major, agent.minor) if part)
    return agent.family[:FAMILY_CAP], version[:40] or None


_PRIVATE = [
    ipaddress.ip_network(block)
    for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
                  "fc00::/7", "fe80::/10", "::1/128")
]  # fmt: skip


def network(address: str) -> tuple[str, str, str] | None:
    """Return address, network (/24 or /48) and class (private or unknown) of a valid address, else None.

    Documentation ranges count as public, unlike in ``ipaddress``: simulated organisations live in them.

    Examples
    --------
    >>> network("203.0.113.7"), network("10.1.2.3, 192.0.2.1"), network("rds.amazonaws.com")
    (('203.0.113.7', '203.0.113.0/24', 'unknown'), ('10.1.2.3', '10.1.2.0/24', 'private'), None)
    >>> network("2001:db8:1:2::3")
    ('2001:db8:1:2::3', '2001:db8:1::/48', 'unknown')
    """
    return _remembered(address) if len(address) < LONGEST_ADDRESS else _network(address)


def _network(address: str) -> tuple[str, str, str] | None:
    text = address.split(",", 1)[0].strip().split("%", 1)[0]
    if text.startswith("["):
        text = text[1:].split("]", 1)[0]
    elif text.count(":") == 1 and "." in text:
        text = text.split(":", 1)[0]
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    if isinstance(parsed, ipaddress.IPv4Address):
        net = f"{ipaddress.IPv4Address(int(parsed) & 0xFFFFFF00)}/24"
    else:
        net = f"{ipaddress.IPv6Address(int(parsed) >> 80 << 80)}/48"
    private = any(parsed.version == block.version and parsed in block for block in _PRIVATE)
    return str(parsed), net, "private" if private else "unknown"


_remembered = lru_cache(maxsize=50_000)(_network)
