"""MMDB: small files in the MaxMind DB format for tests, with what each network is said to be."""

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from mmdb_writer import IPSet, MMDBWriter
from raw_logs import moment, nginx

HOSTING = {"autonomous_system_number": 16509, "autonomous_system_organization": "AMAZON-02"}


def write(
    path: Path, networks: Mapping[str, Mapping[str, Any]], kind: str = "GeoLite2-ASN", ip_version: int = 6
) -> Path:
    """A file of some networks (CIDR) and their records."""
    writer = MMDBWriter(ip_version=ip_version, ipv4_compatible=ip_version == 6, database_type=kind, int_type="u32")
    for network, record in networks.items():
        writer.insert_network(IPSet([network]), dict(record))
    writer.to_db_file(str(path))
    return path


def set_in(folder: Path, *names: str) -> None:
    """Name the files in the settings of a workspace."""
    listed = ", ".join(f'"{name}"' for name in names)
    (folder / "tokenkit.toml").write_text(f"[networks]\ndatabase = [{listed}]\n", encoding="utf-8")


PEOPLE = 12
HOME, MOBILE, RENTED = {"user_type": "residential"}, {"user_type": "cellular"}, "198.51.100.7"


def write_places(path: Path, as_name: str = "AMAZON-02") -> Path:
    """A file that knows the networks of ``people``, and a hosting provider at ``RENTED``."""
    rented = HOSTING | {"autonomous_system_organization": as_name}
    return write(path, {"20.0.0.0/8": HOME, "30.0.0.0/8": MOBILE, "198.51.100.0/24": rented})


def key_of(person: int) -> str:
    """The key of a person, as the log has it."""
    return f"key_{person}_0123456789"


def people(days: int) -> list[dict[str, Any]]:
    """Calls of people whose networks change most days: other home networks, other mobile ones."""
    rng, lines = np.random.default_rng(1), []
    for person, day in product(range(PEOPLE), range(days)):
        address = f"20.{person}.251.7"
        if rng.random() < 0.6:
            address = f"{20 if rng.random() < 0.6 else 30}.{person}.{rng.integers(250)}.7"
        for hour in (9, 10, 11):
            uid = f"{person}-{day}-{hour}"
            lines.append(nginx(uid, moment(day, hour), api_key_id=key_of(person), remote_addr=address))
    return lines


def calls_from(address: str, person: int, day: int, n: int = 1) -> list[dict[str, Any]]:
    """Some more calls with a person's key, at ten on a day."""
    return [
        nginx(f"{address}-{k}", moment(day, 10, k), api_key_id=key_of(person), remote_addr=address) for k in range(n)
    ]
