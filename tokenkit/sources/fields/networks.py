"""Networks: what kind of network an address is in, by files in the MaxMind DB format that a user has.

Reads  the files that ``networks.database`` names. Writes nothing and asks nobody: without a file nothing is looked up.
The files of MaxMind (GeoLite2 and GeoIP2: ASN, ISP, Anonymous-IP, Connection-Type, Country, Enterprise), DB-IP and
IPinfo have different fields; those that are known here are taken from whichever file has them.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import maxminddb

from tokenkit.errors import ConfigError
from tokenkit.sources.fields.masking import tidy_text

UNKNOWN = "unknown"
REMEMBERED = 100_000  # addresses
NAME_CAP = 80  # characters of an organisation's name

# ``is_anonymous`` of MaxMind is not among them: a hosting provider without any of them has it, too
_ANONYMISER = ("is_anonymous_vpn", "is_public_proxy", "is_residential_proxy", "is_tor_exit_node",
               "vpn", "proxy", "tor", "relay")  # fmt: skip
_HOSTING = ("is_hosting_provider", "is_hosting", "hosting")
_KINDS = ("user_type", "connection_type", "as_type", "type")
_CLASS_OF_KIND = {
    "consumer_privacy_network": "anonymiser",
    "hosting": "hosting", "content_delivery_network": "hosting",
    "cellular": "mobile",
    "residential": "residential", "cable/dsl": "residential", "dialup": "residential",
    "business": "corporate", "corporate": "corporate", "government": "corporate", "military": "corporate",
    "college": "corporate", "school": "corporate", "library": "corporate", "education": "corporate",
}  # fmt: skip
# large hosting providers, for files that have only the number: others stay unknown
HOSTING_ASNS = {
    14618: "Amazon", 16509: "Amazon", 15169: "Google", 396982: "Google", 8075: "Microsoft", 14061: "DigitalOcean",
    16276: "OVH", 24940: "Hetzner", 63949: "Akamai (Linode)", 20473: "Vultr", 31898: "Oracle", 45102: "Alibaba",
    132203: "Tencent", 12876: "Scaleway", 51167: "Contabo", 60781: "Leaseweb",
}  # fmt: skip


@dataclass(frozen=True)
class AddressInfo:
    """What the files say of an address.

    Attributes
    ----------
    network_class : str
        ``anonymiser``, ``hosting``, ``mobile``, ``residential``, ``corporate`` or ``unknown``.
    asn : int, optional
        Number of the autonomous system.
    as_name : str, optional
        The organisation that runs it, cleaned as all text from outside.
    country : str, optional
        ISO 3166 alpha-2.
    """

    network_class: str = UNKNOWN
    asn: int | None = None
    as_name: str | None = None
    country: str | None = None


NOTHING = AddressInfo()


@dataclass(frozen=True)
class Database:
    """An opened file: where it is, what it calls itself, when it was made, and a digest of its content."""

    path: Path
    kind: str
    made: datetime
    digest: str
    reader: maxminddb.Reader


class Databases:
    """Opened files, of which an earlier one's fields count before those of a later one.

    Examples
    --------
    >>> Databases().look_up("203.0.113.7").network_class  # no file
    'unknown'
    """

    def __init__(self, opened: Sequence[Database] = ()) -> None:
        self.opened = tuple(opened)
        self._known: dict[str, AddressInfo] = {}  # each log file has the same addresses again

    def look_up(self, address: str) -> AddressInfo:
        """What the files say of an address; ``NOTHING`` where none has it.

        Raises
        ------
        ConfigError
            A file is damaged at that place; names it.
        """
        if not self.opened:
            return NOTHING
        if address not in self._known:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[address] = self._ask(address)
        return self._known[address]

    def _ask(self, address: str) -> AddressInfo:
        fields: dict[str, Any] = {}
        for database in self.opened:
            for name, value in _flat(_record(database, address)).items():
                if value not in (None, False, ""):
                    fields.setdefault(name, value)
        return _info(fields) if fields else NOTHING

    @property
    def digest(self) -> str:
        """16 hex digits that change when a file does; empty without one."""
        text = "|".join(database.digest for database in self.opened)
        return hashlib.sha256(text.encode()).hexdigest()[:16] if text else ""


def open_databases(paths: Sequence[Path]) -> Databases:
    """Open some files.

    Raises
    ------
    ConfigError
        A file is missing, cannot be read or is none in the MaxMind DB format; names it and says what to do.
    """
    return Databases([_open(path) for path in paths])


def _open(path: Path) -> Database:
    if not path.is_file():
        raise ConfigError(
            f"networks.database: {path}: no such file, expected one in the MaxMind DB format (.mmdb). "
            "Correct its path in tokenkit.toml, which is relative to the workspace, or take the setting out."
        )
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        # in memory, by the reader in Python: the one in C ends the process on some damaged files (docs/decisions.md)
        reader = maxminddb.open_database(str(path), maxminddb.MODE_MEMORY)
        about = reader.metadata()
        made = datetime.fromtimestamp(about.build_epoch, UTC)
    except OSError as error:
        raise ConfigError(
            f"networks.database: {path} cannot be read: {error.strerror}. Check its permissions."
        ) from error
    except Exception as error:  # a damaged file may raise anything
        raise _damaged(path) from error
    return Database(path, tidy_text(str(about.database_type), NAME_CAP), made, digest, reader)


def _record(database: Database, address: str) -> Any:
    if ":" in address and database.reader.metadata().ip_version == 4:
        return None
    try:
        return database.reader.get(address)
    except Exception as error:  # as above
        raise _damaged(database.path) from error


def _damaged(path: Path) -> ConfigError:
    return ConfigError(
        f"networks.database: {path} is damaged or another kind of file, expected one in the MaxMind DB format (.mmdb). "
        "Download it again, or take it out of the setting in tokenkit.toml."
    )


def _flat(record: Any) -> dict[str, Any]:
    """The fields of a record, those of its ``traits`` among them, and its country as two letters."""
    if not isinstance(record, dict):
        return {}
    traits, country = record.get("traits"), record.get("country")
    fields = record | (traits if isinstance(traits, dict) else {})
    fields["country"] = country.get("iso_code") if isinstance(country, dict) else record.get("country_code") or country
    return fields


def _info(fields: Mapping[str, Any]) -> AddressInfo:
    asn = _asn(fields)
    name = fields.get("autonomous_system_organization") or fields.get("as_name")
    country = fields.get("country")
    return AddressInfo(
        class_of(fields),
        asn,
        _cleaned(name) if isinstance(name, str) and name.strip() else None,
        country.upper() if isinstance(country, str) and len(country) == 2 and country.isalpha() else None,
    )


_cleaned = lru_cache(maxsize=20_000)(lambda name: tidy_text(name.strip(), NAME_CAP))


def _asn(fields: Mapping[str, Any]) -> int | None:
    number = fields.get("autonomous_system_number") or fields.get("asn")
    text = str(number).upper().removeprefix("AS")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else None


def class_of(fields: Mapping[str, Any]) -> str:
    """The class of a network, by the fields of its record: the first of these rules that fits.

    An anonymiser by a flag of its own (VPN, proxy, Tor, relay); hosting by a flag; ``is_anonymous`` alone: an
    anonymiser; hosting by the number of a large provider's autonomous system; else by the kind of user or connection.

    Examples
    --------
    >>> class_of({"is_anonymous": True, "is_hosting_provider": True}), class_of({"is_anonymous": True})
    ('hosting', 'anonymiser')
    >>> class_of({"connection_type": "Cellular"}), class_of({"autonomous_system_number": 16509}), class_of({})
    ('mobile', 'hosting', 'unknown')
    """
    if any(_is_set(fields.get(flag)) for flag in _ANONYMISER):
        return "anonymiser"
    if any(_is_set(fields.get(flag)) for flag in _HOSTING):
        return "hosting"
    if _is_set(fields.get("is_anonymous")):
        return "anonymiser"
    kinds = [_CLASS_OF_KIND.get(str(fields.get(name, "")).lower()) for name in _KINDS]
    if _asn(fields) in HOSTING_ASNS and not kinds[0]:  # a connection type calls a data centre corporate
        return "hosting"
    return next((kind for kind in kinds if kind), UNKNOWN)


def _is_set(flag: Any) -> bool:
    return flag is True or (isinstance(flag, str) and flag.lower() == "true")  # IPinfo's files have text
