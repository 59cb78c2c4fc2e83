"""Mapping: a user's columns in our words, as a small TOML or as a ``Mapping`` in Python.

Reads  a TOML of ``name``, ``issuer``, ``[columns]`` (ours = "theirs"), and, where needed, ``format``, ``files``,
``[values]`` (what the file does not say and holds for every row), ``[units]``, ``decimal`` and ``thousands`` (the marks
in numbers), ``[where]`` (which rows are calls), ``[kinds]`` and ``[lifetimes]`` (of credentials, by how they begin).
"""

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenkit.config import known_zone, unknown_zone
from tokenkit.errors import ConfigError, did_you_mean
from tokenkit.sources.tabular import ENDINGS, FORMATS


@dataclass(frozen=True)
class Field:
    """Something that a log may say: how it is read, which columns of ``events`` it fills, what it means."""

    kind: str
    fills: tuple[str, ...]
    doc: str


FIELDS: dict[str, Field] = {
    "time": Field("time", ("time",), "when it happened: ISO 8601 (UTC, or timezone, without a zone), or since 1970"),
    "native_id": Field("label", ("token_uid",), "the credential's id or name; hashed at once, never stored"),
    "operation": Field("label", ("operation",), "what was called; or method and path instead"),
    "method": Field("label", ("http_method", "operation"), "HTTP method"),
    "path": Field("label", ("url_path", "operation", "resource_uid"), "path or address; its query string is dropped"),
    "service": Field("label", ("service",), "service that was called"),
    "event_uid": Field("label", ("event_uid",), "id of the record; alone it tells calls apart where unique_ids = true"),
    "principal": Field("label", ("principal_uid",), "who acts: user, service account, role"),
    "token_kind": Field("label", ("token_kind",), "kind of credential: api_key, jwt, ..."),
    "token_lifetime": Field("label", ("token_lifetime",), "long_lived, session or unknown"),
    "session": Field("label", ("session_uid",), "session; hashed as the credential is"),
    "app": Field("label", ("app_uid",), "application or client"),
    "tenant": Field("label", ("tenant_uid",), "account, organisation, project"),
    "mfa": Field("flag", ("is_mfa",), "whether a second factor was used"),
    "src_ip": Field("label", ("src_ip", "network"), "address of the caller, or the name of a service"),
    "src_country": Field("label", ("src_country",), "country of the caller, two letters"),
    "src_asn": Field("amount", ("src_asn",), "autonomous system of the caller"),
    "user_agent": Field("label", ("user_agent",), "program as it names itself"),
    "ja4": Field("label", ("ja4",), "TLS fingerprint"),
    "resource": Field("label", ("resource_uid",), "object touched; without it, a path that holds an id"),
    "resource_type": Field("label", ("resource_type",), "its type"),
    "region": Field("label", ("region",), "cloud region"),
    "status": Field("label", ("status_id", "status_code", "http_status", "is_denied"), "HTTP status, or ok, failed"),
    "error": Field("label", ("status_code",), "error code of a call that failed"),
    "denied": Field("flag", ("is_denied",), "whether it was refused for lack of rights"),
    "request_bytes": Field("amount", ("request_bytes",), "bytes, client to service"),
    "response_bytes": Field("amount", ("response_bytes",), "bytes, service to client"),
    "duration": Field("number", ("duration_ms",), "time taken, in units.duration (ms)"),
    "rows": Field("amount", ("rows",), "rows or objects returned"),
    "cost_units": Field("number", ("cost_units",), "model tokens and the like"),
    "page_offset": Field("amount", ("page_offset",), "page or offset asked for"),
    "activity": Field("label", ("activity_id",), "what the call does: create, read, update, delete; else by its name"),
    "scopes": Field("list", ("scopes",), "scopes of the credential: a list, or text with blanks or commas"),
    "count": Field("amount", ("count",), "calls that a row stands for"),
    "logged_time": Field("time", ("logged_time",), "when the log wrote it"),
}  # fmt: skip
REQUIRED = ("time", "native_id")
UNITS = {
    "time": {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3},
    "duration": {"s": 1e3, "ms": 1.0, "us": 1e-3, "ns": 1e-6},
}
KEYS = ("name", "issuer", "format", "files", "timezone", "unique_ids", "columns", "values", "units", "decimal",
        "thousands", "where", "kinds", "lifetimes")  # fmt: skip
MARKS = {"decimal": (".", ","), "thousands": (".", ",", " ", "'", "\u2019", "\u00a0", "\u202f")}
LIFETIMES = ("long_lived", "session", "unknown")
_NAME = re.compile(r"^[a-z][a-z0-9_-]{0,39}$")


@dataclass(frozen=True)
class Mapping:
    """Which columns of a log fill our columns.

    Attributes
    ----------
    name : str
        The source's name, as in the column ``source``.
    issuer : str
        Who issued the credentials: the namespace of ``token_uid``. ``gateway`` is ``gateway:<realm>`` of the settings.
    columns : dict of str to str
        A name of ``FIELDS`` to the file's column. ``time`` (and ``logged_time``) may be two columns, date and time of
        day, as a list; they are read as one, called by both names. So is what a source computes of several columns.
    values : dict of str to str
        A name of ``FIELDS`` to what holds for every row.
    units : dict of str to str
        ``time`` (s, ms, us, ns; default: by size) and ``duration`` (s, ms, us, ns; default ms).
    format : str
        csv, jsonl or parquet; default: by the file's first bytes.
    files : tuple of str
        How the names of its files end, where a folder is read.
    timezone : str
        Zone of times that name none, such as ``Europe/Berlin``; default UTC.
    unique_ids : bool
        Whether ``event_uid`` alone tells calls apart, because no client can choose it. Else the whole row does.
    decimal, thousands : str
        The marks in numbers that are text, such as ``,`` and ``.`` for 1.234,5. Where one of them is given, the other
        is the opposite of it; where neither is, a column that could be read in two ways is refused.
    where : dict of str to tuple of str
        A column of the file to the values of the rows that are calls; other rows are ignored, and counted.
    kinds, lifetimes : dict of str to str
        How an id begins to the kind, and the lifetime, of its credential; the longest beginning counts.
    origin : str
        The TOML, for messages.
    lines : dict of str to int
        In which line of it a column is mapped.

    Raises
    ------
    ConfigError
        A name that does not exist, or something required that is missing.
    """

    name: str
    issuer: str
    columns: dict[str, str]
    values: dict[str, str] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    format: str = ""
    files: tuple[str, ...] = ()
    timezone: str = ""
    unique_ids: bool = False
    decimal: str = ""
    thousands: str = ""
    where: dict[str, tuple[str, ...]] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    lifetimes: dict[str, str] = field(default_factory=dict)
    origin: str = ""
    lines: dict[str, int] = field(default_factory=dict)
    joined: dict[str, tuple[str, str]] = field(default_factory=dict, init=False)  # a name made of two columns to these

    def __post_init__(self) -> None:
        """Refuse names and values that do not exist; join columns of date and time of day."""
        columns: dict[str, Any] = dict(self.columns)
        for name, theirs in columns.items():
            if (
                name in FIELDS and FIELDS[name].kind == "time" and isinstance(theirs, list | tuple)
                and len(theirs) == 2 and all(isinstance(column, str) and column.strip() for column in theirs)
            ):  # fmt: skip
                columns[name] = " + ".join(theirs)
                self.joined[columns[name]] = (theirs[0], theirs[1])
        object.__setattr__(self, "columns", columns)
        _check(self, self.origin or f"mapping {self.name!r}")

    @property
    def marks(self) -> tuple[str, str]:
        """The decimal mark and that of thousands; both empty where the mapping says neither.

        Examples
        --------
        >>> columns = {"time": "at", "native_id": "key", "operation": "call"}
        >>> Mapping("orders", "orders-api", columns, decimal=",").marks, Mapping("orders", "orders-api", columns).marks
        ((',', '.'), ('', ''))
        """
        if not self.decimal and not self.thousands:
            return "", ""
        decimal = self.decimal or ("," if self.thousands == "." else ".")
        return decimal, self.thousands or ("." if decimal == "," else ",")

    @property
    def endings(self) -> tuple[str, ...]:
        """How the names of its files end."""
        formats = [self.format] if self.format else list(FORMATS)
        return self.files or tuple(ending for form in formats for ending in ENDINGS[form])

    @property
    def each_column(self) -> list[tuple[str, str]]:
        """Our name and the file's column, once for each of two that are read as one."""
        return [(ours, one) for ours, theirs in self.columns.items() for one in self.joined.get(theirs, (theirs,))]

    @property
    def needed(self) -> list[str]:
        """The file's columns that are read."""
        return list(dict.fromkeys(theirs for _, theirs in self.each_column))

    @property
    def filled(self) -> dict[str, tuple[str, ...]]:
        """Return, for each column of ``events``, what fills it: the file's columns, or a constant in quotes.

        Examples
        --------
        >>> Mapping("orders", "orders-api", {"time": "at", "native_id": "key", "operation": "call"}).filled
        {'time': ('at',), 'token_uid': ('key',), 'operation': ('call',)}
        """
        given = {name: tuple(theirs.split(" + ")) for name, theirs in self.columns.items()}
        given |= {name: (f'"{value}"',) for name, value in self.values.items()}
        filled: dict[str, tuple[str, ...]] = {}
        for name, theirs in given.items():
            for column in FIELDS[name].fills:
                filled[column] = (*filled.get(column, ()), *theirs)
        return filled

    def line(self, name: str) -> str:
        """Return where one of our names is mapped, for a message."""
        at = f", line {self.lines[name]}" if name in self.lines else ""
        return f'{self.origin or self.name}{at}: {name} = "{self.columns[name]}"'


def load_mapping(path: Path) -> Mapping:
    """Read a mapping.

    Raises
    ------
    ConfigError
        There is no such file, it is not TOML, or a key or value does not exist; names the line or the key.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        document = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(
            f"{path}: the mapping cannot be read ({error.strerror}); the path is taken from {Path.cwd()}. "
            "A draft of one: tokenkit sources check LOGFILE --draft > mapping.toml"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}. Correct that line.") from error
    for key in document:
        if key not in KEYS:
            raise ConfigError(f"{path}: no key {key}; {did_you_mean(key, [*KEYS, *FIELDS])}{_place(key)}")
    for key in ("name", "issuer", "columns"):
        if key not in document:
            raise ConfigError(f"{path}: {key} is missing, expected {_EXPECTED[key]}")
    for key, type_ in (("name", str), ("issuer", str), ("format", str), ("files", list), ("timezone", str),
                       ("unique_ids", bool), ("columns", dict), ("values", dict), ("units", dict), ("decimal", str),
                       ("thousands", str), ("where", dict), ("kinds", dict), ("lifetimes", dict)):  # fmt: skip
        if key in document and not isinstance(document[key], type_):
            raise ConfigError(f"{path}: {key} is {document[key]!r}, expected {_EXPECTED.get(key, _TYPES[type_])}")
    where = {
        name: tuple(map(_word, values if isinstance(values, list) else [values]))
        for name, values in _flat(document.get("where", {})).items()
    }
    lists = {"files": tuple(document.get("files", ())), "where": where}
    return Mapping(**{**document, **lists}, origin=str(path), lines=_lines(text))


def _flat(section: dict[str, Any], before: str = "") -> dict[str, Any]:
    """A section whose names with dots TOML took for sections."""
    flat: dict[str, Any] = {}
    for name, value in section.items():
        flat |= _flat(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return flat


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


_TYPES: dict[type, str] = {str: "text", list: "a list of texts", dict: "a section", bool: "true or false"}
_EXPECTED = {
    "name": 'the source\'s name, such as name = "orders"',
    "issuer": 'who issued the credentials, such as issuer = "orders-api"',
    "columns": 'a section [columns] with lines such as time = "at"',
}


def _place(key: str) -> str:
    return " (it belongs below [columns])" if key in FIELDS else ""


def _lines(text: str) -> dict[str, int]:
    """Return the line of each name below ``[columns]``."""
    lines, section = {}, ""
    for number, line in enumerate(text.splitlines(), 1):
        if head := re.match(r"\s*\[(\w+)\]", line):
            section = head.group(1)
        elif section == "columns" and (name := re.match(r"\s*[\"']?(\w+)[\"']?\s*=", line)):
            lines[name.group(1)] = number
    return lines


def _check(mapping: Mapping, where: str) -> None:
    if not _NAME.match(mapping.name):
        raise ConfigError(f"{where}: name is {mapping.name!r}, expected small letters, digits, - and _, at most 40")
    if not mapping.issuer.strip() or "|" in mapping.issuer:
        raise ConfigError(f"{where}: issuer is {mapping.issuer!r}, expected who issued the credentials, without |")
    if mapping.format not in ("", *FORMATS):
        raise ConfigError(f"{where}: format is {mapping.format!r}; {did_you_mean(mapping.format, list(FORMATS))}")
    if not all(isinstance(ending, str) and ending for ending in mapping.files):
        raise ConfigError(f'{where}: files is {list(mapping.files)!r}, expected endings such as [".csv", ".csv.gz"]')
    if mapping.timezone and not known_zone(mapping.timezone):
        raise ConfigError(f"{where}: timezone: {unknown_zone(mapping.timezone)}")
    if mapping.unique_ids and "event_uid" not in mapping.columns:
        raise ConfigError(f"{where}: unique_ids is true, but no column is the id. Map event_uid, or remove unique_ids.")
    for section, known in (("columns", FIELDS), ("values", _CONSTANT), ("units", UNITS)):
        for name, value in getattr(mapping, section).items():
            if name not in known:
                raise ConfigError(f"{where}: no {section}.{name}; {did_you_mean(name, list(known))}")
            if not isinstance(value, str) or not value.strip():
                raise ConfigError(f"{where}: {section}.{name} is {value!r}, expected text: {_expected(section, name)}")
    for name, unit in mapping.units.items():
        if unit not in UNITS[name]:
            raise ConfigError(f"{where}: units.{name} is {unit!r}; {did_you_mean(unit, list(UNITS[name]))}")
    for name, known_marks in MARKS.items():
        if (mark := getattr(mapping, name)) and mark not in known_marks:
            raise ConfigError(f"{where}: {name} is {mark!r}, expected one of {' '.join(map(repr, known_marks))}")
    if mapping.marks[0] and mapping.marks[0] == mapping.marks[1]:
        raise ConfigError(f"{where}: decimal and thousands are both {mapping.marks[0]!r}. Correct one of them.")
    for column, words in mapping.where.items():
        if (
            not column.strip()
            or not words
            or isinstance(words, str)
            or not all(isinstance(word, str) for word in words)
        ):
            raise ConfigError(f'{where}: where.{column} is {list(words)!r}, expected values such as ["response"]')
    for section in ("kinds", "lifetimes"):
        for prefix, word in getattr(mapping, section).items():
            if not isinstance(word, str) or not word.strip() or (section == "lifetimes" and word not in LIFETIMES):
                expected = f"one of {', '.join(LIFETIMES)}" if section == "lifetimes" else "a kind such as api_key"
                raise ConfigError(f"{where}: {section}.{prefix} is {word!r}, expected {expected}")
    for name in REQUIRED:
        if name not in mapping.columns:
            raise ConfigError(f"{where}: columns.{name} is missing: {FIELDS[name].doc}")
    if not {"operation", "path"} & {*mapping.columns, *mapping.values}:
        raise ConfigError(f"{where}: columns.operation is missing: {FIELDS['operation'].doc}")
    if both := {*mapping.columns} & {*mapping.values}:
        raise ConfigError(f"{where}: {min(both)} stands below [columns] and below [values]. Remove one of them.")
    if mapping.values.get("token_lifetime", "unknown") not in LIFETIMES:
        raise ConfigError(f"{where}: values.token_lifetime is none of {', '.join(LIFETIMES)}")


_CONSTANT = {name: f for name, f in FIELDS.items() if f.kind == "label" and name not in (*REQUIRED, "event_uid")}


def _expected(section: str, name: str) -> str:
    return f"a unit, {', '.join(UNITS[name])}" if section == "units" else FIELDS[name].doc
