"""Random streams, and made-up networks and addresses that are drawn from them.

Every function takes the generator it draws from, so that one token's draws never move another's.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
OCTETS = {
    "home": (5, 31, 37, 46, 62, 78, 79, 82, 84, 86, 88, 91, 93, 94, 95, 109, 176, 178, 188, 189, 201, 202),
    "hosting": (3, 13, 18, 34, 35, 45, 51, 52, 54),
    "business": (80, 81, 83, 185, 193, 194, 195, 203, 212, 213, 217),
}


def stream(seed: int, *names: object) -> np.random.Generator:
    """A random stream of its own for each name: what one consumes, no other notices.

    Examples
    --------
    >>> float(stream(0, "a").random()) == float(stream(0, "a").random()) != float(stream(0, "b").random())
    True
    """
    return np.random.default_rng([seed, zlib.crc32("/".join(map(str, names)).encode())])


def network_prefix(rng: np.random.Generator, kind: str) -> str:
    """A made-up network: a /24 of ``kind``, or a /48 for ``"ipv6"``, as the text its addresses begin with."""
    if kind == "ipv6":
        return f"2a{rng.integers(16):02x}:{rng.integers(256, 65536):x}:{rng.integers(256, 65536):x}:"
    return f"{rng.choice(OCTETS[kind])}.{rng.integers(4, 250)}.{rng.integers(256)}."


def address_in(rng: np.random.Generator, network: str) -> str:
    """An address within ``network``.

    Examples
    --------
    >>> address_in(stream(0, "x"), "81.23.5.").startswith("81.23.5.")
    True
    >>> address_in(stream(0, "x"), "2a02:810:af3:").count(":")
    7
    """
    if ":" in network:
        return network + ":".join(f"{part:x}" for part in rng.integers(1, 65536, 5))
    return f"{network}{rng.integers(2, 254)}"


def network_of(ip: str) -> str:
    """The /24 or /48 of an address, as the text its addresses begin with.

    Examples
    --------
    >>> network_of("81.23.5.9"), network_of("2a02:810:af3:1:2:3:4:5")
    ('81.23.5.', '2a02:810:af3:')
    """
    return ":".join(ip.split(":")[:3]) + ":" if ":" in ip else ip.rsplit(".", 1)[0] + "."
