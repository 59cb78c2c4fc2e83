"""Exports: CloudTrail as a table, as Athena, CloudTrail Lake and the console give it.

Reads  CSV (objects as JSON or as Athena's own text, ``{type=IAMUser, arn=...}``) and Parquet (objects as structs).
Gives  records as CloudTrail writes them, so that a call has the same id in every shape.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from tokenkit.errors import SourceError
from tokenkit.sources import files, tabular
from tokenkit.sources.contract import Quarantined, Record

# names as CloudTrail writes them; a table has them in small letters, or with blanks (the console)
NAMES = (
    "eventVersion", "userIdentity", "eventTime", "eventSource", "eventName", "awsRegion", "sourceIPAddress",
    "userAgent", "errorCode", "errorMessage", "requestParameters", "responseElements", "additionalEventData",
    "requestID", "eventID", "readOnly", "resources", "eventType", "apiVersion", "managementEvent",
    "recipientAccountId", "sharedEventID", "eventCategory", "insightDetails", "type", "principalId", "arn",
    "accountId", "accessKeyId", "userName", "sessionContext", "sessionIssuer", "attributes", "mfaAuthenticated",
    "creationDate", "invokedBy", "identityProvider", "credentialId", "onBehalfOf", "userId", "identityStoreArn",
    "bucketName", "key", "bytesTransferredIn", "bytesTransferredOut",
)  # fmt: skip
OTHER_NAMES = {"awsaccesskey": "accessKeyId", "sourceipaddress": "sourceIPAddress", "region": "awsRegion"}
OBJECTS = ("userIdentity", "requestParameters", "additionalEventData", "resources")
OF_CALLER = ("type", "principalId", "arn", "accountId", "accessKeyId", "userName", "credentialId")
_KNOWN = {name.lower(): name for name in NAMES}
_NEEDED = {"eventname", "eventtime", "eventsource"}
_FIELD = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)=")
# Athena writes a blank behind its commas; a name in IAM has none, but may hold a comma and an equals sign
_END = re.compile(r"(?=, +[A-Za-z_][A-Za-z0-9_]*=)|(?=[}\]])|$")
_END_IN_LIST = re.compile(r"(?=, )|(?=\])|$")
NOTHING = frozenset(("", "-", "null", "NULL", "\\N"))


def _plain(name: str) -> str:
    """Return a column's name without blanks and in small letters; of ``useridentity.arn`` and ``detail.eventname`` too.

    Examples
    --------
    >>> _plain("Event name"), _plain("useridentity.sessioncontext.attributes")
    ('eventname', 'useridentity.sessioncontext.attributes')
    """
    return re.sub(r"[\s_-]+", "", name).lower()


def is_table(path: Path) -> bool:
    """Whether a file is Parquet, or a CSV whose header has the columns of CloudTrail."""
    head = files.Reader(path).head(4096).lstrip()
    if head.startswith(b"PAR1"):
        return True
    if head.startswith((b"{", b"[")):
        return False
    return _is_header(head.split(b"\n", 1)[0].decode("utf-8", "replace"))


def _is_header(line: str) -> bool:
    return {_plain(cell.strip('" \r')) for cell in re.split(r"[,;\t|]", line)} >= _NEEDED


def is_cloudtrail(path: Path) -> bool:
    """Whether the columns of a table are CloudTrail's."""
    try:
        return {_plain(name) for name in tabular.names(path, tabular.format_of(path))} >= _NEEDED
    except SourceError:
        return False


def records(path: Path) -> Iterator[tuple[list[Record], list[int], list[bytes], list[Quarantined], str]]:
    """Yield the records of a table in batches: with numbers from 1, raw rows, what is quarantined, unit of place."""
    form = tabular.format_of(path)
    try:
        names = tabular.names(path, form)
    except SourceError:
        names = []
    for rows in tabular.rows(path, form, names):
        cells = zip(*(rows.columns[name] for name in names), strict=True) if rows.numbers else ()
        yield (
            [record_of(dict(zip(names, row, strict=True))) for row in cells],
            rows.numbers,
            rows.raw,
            rows.quarantined,
            rows.place,
        )


def record_of(row: Record) -> Record:
    """Return the record that a row of a table stands for, by the names of its columns; what is blank is left out.

    Examples
    --------
    >>> record_of({"eventname": "GetObject", "useridentity.accesskeyid": "AKIA...", "errorcode": "null"})
    {'eventName': 'GetObject', 'userIdentity': {'accessKeyId': 'AKIA...'}}
    """
    record: Record = {}
    caller: Record = {}
    for name, value in row.items():
        if value is None or (type(value) is str and value.strip() in NOTHING):
            continue
        plain = _plain(name)
        ours = OTHER_NAMES.get(plain) or _KNOWN.get(plain, name)
        if plain.startswith("useridentity") and plain != "useridentity":
            inner = plain.removeprefix("useridentity").rsplit(".", 1)[-1]
            caller[_KNOWN.get(inner, inner)] = value
        elif ours in OF_CALLER:
            caller[ours] = value
        elif ours in OBJECTS:
            record[ours] = _object(value, ours)
        else:
            record[ours] = value
    if caller:
        whole = record.get("userIdentity")
        record["userIdentity"] = caller | whole if type(whole) is dict else caller
    return record


def _object(value: Any, name: str) -> Any:
    if type(value) is not str:
        return with_known_names(value)
    found = parse_text(value)
    # a caller who cannot be read costs the record, since nobody would be blamed for it; parameters do not
    return value if found is None and name == "userIdentity" else found


@lru_cache(maxsize=20_000)
def parse_text(text: str) -> Any:
    """Return the object or list that a cell of a table stands for: JSON, or Athena's text of a struct; else None.

    Examples
    --------
    >>> parse_text("{type=IAMUser, accesskeyid=null, sessioncontext={attributes={mfaauthenticated=false}}}")
    {'type': 'IAMUser', 'accessKeyId': None, 'sessionContext': {'attributes': {'mfaAuthenticated': 'false'}}}
    >>> parse_text("[{arn=arn:aws:s3:::b/a, b, type=AWS::S3::Object}]"), parse_text("neither")
    ([{'ARN': 'arn:aws:s3:::b/a, b', 'type': 'AWS::S3::Object'}], None)
    """
    text = text.strip()
    if not text.startswith(("{", "[")):
        return None
    try:
        found: Any = orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            found, end = _value(text, 0, 0)
        except ValueError:
            return None
        if text[end:].strip():
            return None
    return with_known_names(found)


def _value(text: str, at: int, depth: int, in_list: bool = False) -> tuple[Any, int]:
    """Return the value of Athena's text that begins at ``at``, and where it ends."""
    if depth > 20:
        raise ValueError("nested too deep")
    if text[at : at + 1] == "{":
        return _struct(text, at + 1, depth + 1)
    if text[at : at + 1] == "[":
        items: list[Any] = []
        at += 1
        while text[at : at + 1] != "]":
            item, at = _value(text, at, depth + 1, in_list=True)
            items.append(item)
            if text[at : at + 1] == ",":
                at = at + 1 + len(text[at + 1 :]) - len(text[at + 1 :].lstrip())
            elif text[at : at + 1] != "]":
                raise ValueError("a list without end")
        return items, at + 1
    end = (_END_IN_LIST if in_list else _END).search(text, at)
    stop = end.start() if end else len(text)
    word = text[at:stop].strip()
    return (None if word == "null" else word), stop


def _struct(text: str, at: int, depth: int) -> tuple[Record, int]:
    found: Record = {}
    while text[at : at + 1] != "}":
        name = _FIELD.match(text, at)
        if not name:
            raise ValueError("no name of a field")
        found[name.group(1)], at = _value(text, name.end(), depth)
        if text[at : at + 1] == ",":
            at += 1
        elif text[at : at + 1] != "}":
            raise ValueError("a struct without end")
    return found, at + 1


def with_known_names(value: Any, depth: int = 0) -> Any:
    """Return a value with CloudTrail's own names for the fields that are read, whatever their case in a table.

    Examples
    --------
    >>> with_known_names({"eventname": "GetObject", "useridentity": {"accesskeyid": "AKIA..."}, "x": 1})
    {'eventName': 'GetObject', 'userIdentity': {'accessKeyId': 'AKIA...'}, 'x': 1}
    """
    if depth > 6:
        return value
    if type(value) is list:
        return [with_known_names(item, depth + 1) for item in value]
    if type(value) is not dict:
        return value
    named: Record = {
        _KNOWN.get(str(name).lower(), str(name)): with_known_names(item, depth + 1) for name, item in value.items()
    }
    if "type" in named and "arn" in named and "ARN" not in named and "principalId" not in named:
        return _resource(named)
    return named


def _resource(named: Record) -> Record:
    """Return an item of ``resources`` with its ARN under CloudTrail's name for it, which is in capitals."""
    if not str(named["type"]).startswith("AWS::"):
        return named
    return {"ARN" if name == "arn" else name: value for name, value in named.items()}
