"""Inventory: who owns which token, from a CSV, and who owned it at a time.

Reads  a CSV of tokens (only ``native_id`` is required) -> ``schema.TOKENS``, native ids hashed at once.
Gives  the row of each token that is valid at a time (``as_of``).
Common spellings of the columns are accepted and reported; nothing about an owner is guessed.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa

from tokenkit import identity, schema
from tokenkit.errors import InventoryError
from tokenkit.sources.fields.masking import shown, tidy_text
from tokenkit.sources.mapped.values import EPOCH, MICROSECOND
from tokenkit.sources.mapped.values import moment as since_1970
from tokenkit.tokens import sheet

# column: other spellings, compared in lower case with _ for blanks, dots and hyphens
SPELLINGS: dict[str, tuple[str, ...]] = {
    "native_id": ("token", "token_id", "key", "key_id", "access_key_id", "accesskeyid", "access_key", "api_key_id",
                  "api_key", "key_hmac", "credential", "credential_id", "accessor", "id", "arn", "user_arn",
                  "role_arn", "service_account", "uid"),
    "source": ("issuer", "log", "system"),
    "token_kind": ("kind", "type", "token_type"),
    "token_name": ("label", "name", "title", "key_name", "display_name", "note"),
    "owner_uid": ("owner_id", "user_id", "userid", "employee_id", "entity_id"),
    "owner_name": ("owner", "user", "username", "user_name", "owner_login", "login", "contact", "responsible"),
    "owner_email": ("email", "e_mail", "mail", "owner_mail"),
    "owner_type": (),
    "owner_status": ("owner_state",),
    "owner_timezone": ("timezone", "time_zone", "tz", "owner_tz"),
    "team": ("group", "department", "owner_team"),
    "purpose": ("use", "used_for", "application", "app"),
    "environment": ("env", "stage"),
    "criticality": ("critical", "importance", "tier"),
    "scopes": ("scope", "permissions", "policies"),
    "networks": ("network", "cidr", "cidrs", "allowed_networks", "ip_ranges"),
    "created_time": ("created", "created_at", "creation_date", "create_date", "createdate", "creation_time",
                     "creation_timestamp", "user_creation_time", "issue_time"),
    "expires_time": ("expires", "expires_at", "expiry", "expiration", "expiration_date", "expire_time", "expiry_date",
                     "token_expires_at", "expiration_time", "expiration_timestamp"),
    "rotated_from": ("replaces", "rotated_from_id", "previous_token", "predecessor"),
    "enforce_connector": ("connector",),
    "enforce_handle": ("handle",),
    "reversible": ("can_be_undone",),
    "break_glass": ("breakglass", "emergency", "emergency_access"),
    "allow_auto": ("allow_automatic", "automatic_action", "automation_allowed"),
    "valid_from": ("from", "since", "owner_since"),
    "valid_to": ("to", "until", "owner_until"),
}  # fmt: skip
# common columns of no use yet; read over in silence
UNUSED = {"manager_uid", "last_used_time", "last_used", "evidence"}
# whether the token itself is in use, which says nothing about its owner
TOKEN_STATUS = {"status", "state", "active", "enabled", "token_status", "key_status"}
IN_USE = {"active", "enabled", "true", "yes", "1", "valid", "current", "in_use", "in use"}
OWNED, UNOWNED, ORPHANED, AMBIGUOUS = "owned", "unowned", "orphaned", "ambiguous"
STATUSES = {"active": OWNED, "owned": OWNED, "enabled": OWNED, "current": OWNED, "left": ORPHANED, "disabled": ORPHANED,
            "inactive": ORPHANED, "orphaned": ORPHANED, "terminated": ORPHANED, "suspended": ORPHANED,
            "deleted": ORPHANED, "unowned": UNOWNED, "none": UNOWNED}  # fmt: skip
AWS_NAMES = {"aws", "cloudtrail", "iam"}
GATEWAY_NAMES = {"gateway", "nginx", "haproxy", "kong", "envoy", "apigateway", "api gateway", "proxy"}
NOTHING = {"", "-", "n/a", "na", "#n/a", "null", "(null)", "none", "<none>", "nil", "<nil>", "nan", "nat", "<na>",
           "undefined", "<unknown>", "no_information", "not_supported", "never"}  # fmt: skip
# of a time: there is none
NO_TIME = re.compile(
    r"(no|never|does not|doesn't|without|non)[ _-]*(expir\w*|end|limit)?( date)?|unlimited|permanent|indefinite(ly)?"
    r"|infinit[ey]|forever|not set|unset|unknown|0|0001-01-01.*|0000-00-00.*",
    re.IGNORECASE,
)
# 1.23457E+19: how a spreadsheet shows a long number that it took an id for, whose last digits it has lost
SHORTENED = re.compile(r"[+-]?\d([.,]\d+)?[eE]\+\d{1,3}")
YES, NO = {"yes", "y", "true", "t", "1", "x"}, {"no", "n", "false", "f", "0"}
FLAGS = ("reversible", "break_glass", "allow_auto")
LISTS = ("scopes", "networks")  # a list may have a row for each of them
TOKEN_STATE = "token_state"  # no column of ours: read for a note alone
TEXTS = ("token_kind", "token_name", "owner_name", "owner_email", "owner_type", "team", "purpose", "environment",
         "scopes", "networks")  # fmt: skip
_AWS = re.compile(r"^(A[KS]IA[A-Z0-9]{12,}$|arn:aws)|^A[IR][DO]A[A-Z0-9]{12,}")
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2262, 1, 1, tzinfo=UTC)  # what pandas can hold


def load(path: Path, key: bytes, realm: str) -> tuple[pa.Table, list[str]]:
    """Read an inventory.

    Parameters
    ----------
    path : Path
        CSV in UTF-8, with a header, separated by commas, semicolons or tabs; or JSON (``json_list``).
    key : bytes
        The workspace's key.
    realm : str
        Whose gateway keys these are (``gateway.realm``).

    Returns
    -------
    Table
        ``schema.TOKENS``, one row a line, in the file's order; lines that differ in scopes or networks alone are one.
    list of str
        Deviations from the format that were accepted, for the log and the page.

    Raises
    ------
    InventoryError
        No such file, not a CSV, no column for the token's id, an id that a spreadsheet shortened, a value that is no
        time or neither yes nor no, two owners at one time.
    """
    header, rows, notes = sheet.read(path, {"native_id", *SPELLINGS["native_id"]})
    columns = _columns(path, header, notes)
    line_notes: dict[str, list[int]] = {}
    tokens = [_token(_Line(path, number, cells, columns, line_notes), key, realm) for number, cells in rows]
    _check_owners(path, tokens)
    tokens = _without_repeats(tokens, line_notes)
    for what, numbers in line_notes.items():
        numbers = list(dict.fromkeys(numbers))
        places = ", ".join(map(str, numbers[:5])) + (", ..." if len(numbers) > 5 else "")
        notes.append(f"{what} (line{'s' * (len(numbers) > 1)} {places})")
    table = pa.Table.from_pylist([token.row for token in tokens], schema=schema.TOKENS.arrow)
    return schema.conform("tokens", table), notes


def _columns(path: Path, header: list[str], notes: list[str]) -> dict[str, int]:
    """Return the place of each of our columns in a line."""
    names = [sheet.plain_name(sheet.unwrapped(name)) for name in header]
    places: dict[str, int] = {}
    for column, spellings in SPELLINGS.items():
        for spelling in (column, *spellings):
            if spelling in names and names.index(spelling) not in places.values():
                places[column] = names.index(spelling)
                if spelling != column:
                    notes.append(f"column {tidy_text(sheet.unwrapped(header[places[column]]), 60)} read as {column}")
                break
    if "native_id" not in places:
        raise InventoryError(
            f"{path}, line 1: no column for the token's id, expected native_id "
            f"(or {', '.join(SPELLINGS['native_id'][:6])}), found {', '.join(map(_printable_name, names))}. "
            "Rename the column that holds the id to native_id."
        )
    own = next((i for i, name in enumerate(names) if name in TOKEN_STATUS and i not in places.values()), None)
    if own is not None:
        places[TOKEN_STATE] = own
    unknown = [
        tidy_text(sheet.unwrapped(header[i]), 60) if _NAME_OF_COLUMN.fullmatch(name) else "(no name)"
        for i, name in enumerate(names)
        if name and i not in places.values() and name not in UNUSED
    ]
    if unknown:
        notes.append(f"columns not read: {', '.join(unknown)}")
    return places


_NAME_OF_COLUMN = re.compile(r"[a-z_]{1,40}(\d{1,2}[a-z_]{0,40})?|[^\x00-\x7f]{1,40}")  # else it may be an id


def _printable_name(name: str) -> str:
    """A column's name, unless the file has no header and this is somebody's data."""
    return name if re.fullmatch(r"[a-z][a-z_]{0,29}", name) else "(no name)"


@dataclass
class _Line:
    """One line of the file; ``notes`` are those of all lines, each with the numbers of its lines."""

    path: Path
    number: int
    cells: list[str]
    columns: dict[str, int]
    notes: dict[str, list[int]]

    def text(self, column: str) -> str | None:
        at = self.columns.get(column, len(self.cells))
        cell = sheet.unwrapped(self.cells[at]) if at < len(self.cells) else ""
        return None if cell.lower() in NOTHING else cell

    def identifier(self, column: str) -> str | None:
        """Return an id, without the apostrophe by which a spreadsheet marks text.

        Raises
        ------
        InventoryError
            A spreadsheet took it for a number and lost its digits.
        """
        text = self.text(column)
        if text is None:
            return None
        if text.startswith("'"):
            self.note(f"{column} without the apostrophe that a spreadsheet puts before text")
            text = text.strip("'").strip()
        if SHORTENED.fullmatch(text):
            raise self.error(
                f"{column} is {text}, a number that a spreadsheet has shortened: its last digits are lost. "
                "Export the list again, and open it in the sheet with that column formatted as text."
            )
        if re.fullmatch(r"\d{15}0{3,}", text):
            self.note(f"{column} ends in zeros as if a spreadsheet had rounded it; format that column as text there")
        return text or None

    def time(self, column: str) -> datetime | None:
        """Return a time in UTC: of a date its midnight; without a zone UTC; None beyond what pandas can hold."""
        text = self.text(column)
        if text is None or NO_TIME.fullmatch(text):
            return None
        # 2026-03-01 10:20:30 -0500, 2026-03-01 10:20:30 +0000 UTC, 2026-03-01 10:20:30 UTC
        plain = re.sub(r"\s*([+-]\d\d:?\d\d)(\s+[A-Z]{3,4})?$", r"\1", text)
        try:
            number = re.fullmatch(r"\d{9,19}(\.\d+)?", text)
            if number and (micros := since_1970(text, "")):
                plain = (EPOCH + micros * MICROSECOND).isoformat()
            moment = datetime.fromisoformat(re.sub(r"\s*(UTC|GMT)$", "+00:00", plain))
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            expected = "expected a time such as 2026-03-02 or 2026-03-02T14:00:00Z, or nothing"
            raise self.error(f"{column} is {text[:40]!r}, {expected}. Correct it.") from error
        return moment if EARLIEST < moment < LATEST else None

    def yes_or_no(self, column: str) -> bool | None:
        """Return whether a cell says yes; None where it is empty.

        Raises
        ------
        InventoryError
            It says neither yes nor no. What protects a token is not guessed.
        """
        text = self.text(column)
        if text is None:
            return None
        if text.lower() not in YES | NO:
            shown_text = tidy_text(text, 40)
            raise self.error(f"{column} is {shown_text!r}, expected yes or no, or nothing. Correct it.")
        return text.lower() in YES

    def note(self, what: str) -> None:
        self.notes.setdefault(what, []).append(self.number)

    def error(self, what: str) -> InventoryError:
        return InventoryError(f"{self.path}, line {self.number}: {what}")


@dataclass
class _Token:
    """A row of ``tokens`` with what an error needs to name it."""

    number: int
    owner: str | None
    row: dict[str, Any]

    @property
    def start(self) -> datetime:
        return self.row["valid_from"] or EARLIEST

    @property
    def end(self) -> datetime:
        return self.row["valid_to"] or LATEST

    @property
    def owner_name(self) -> str:
        return str(self.row["owner_name"] or self.row["owner_email"] or self.owner)


def _token(line: _Line, key: bytes, realm: str) -> _Token:
    native = line.identifier("native_id")
    if native is None:
        raise line.error("no id of a token, expected one in every line. Fill it in, or remove the line.")
    issuer = _issuer(line, native, realm)
    hint = shown(native)
    row: dict[str, Any] = {column: line.text(column) for column in TEXTS}
    # the id may also be part of a name: it is masked there, too
    if len(native) >= 8:
        row = {column: text.replace(native, hint) if text else text for column, text in row.items()}
    row = {column: tidy_text(text, 512) if text else text for column, text in row.items()}
    row["label"] = row.pop("token_name")
    row["enforce_connector"], row["enforce_handle"] = line.text("enforce_connector"), line.text("enforce_handle")
    row |= {column: line.yes_or_no(column) for column in FLAGS}
    row["issuer"], row["mask"] = issuer, hint
    row["token_uid"] = identity.token_uid(key, issuer, native)
    row["token_key"] = identity.int_key(row["token_uid"])
    owner = line.identifier("owner_uid") or line.text("owner_email") or line.text("owner_name")
    row["owner_uid"] = identity.owner_uid(key, owner) if owner else None
    row["owner_status"] = _status(line, owner or row["team"])
    row["owner_timezone"] = _timezone(line)
    state = line.text(TOKEN_STATE)
    if state is not None and state.lower() not in IN_USE:
        line.note("the token is said not to be in use; that is not judged, and its owner stands")
    row["criticality"] = (line.text("criticality") or "").lower() or None
    for column in ("created_time", "expires_time", "valid_from", "valid_to"):
        row[column] = line.time(column)
    if (row["valid_to"] or LATEST) <= (row["valid_from"] or EARLIEST):
        raise line.error("valid_to is not after valid_from. Correct one of them.")
    rotated = line.identifier("rotated_from")
    row["rotated_from_uid"] = identity.token_uid(key, _issuer(line, rotated, realm), rotated) if rotated else None
    return _Token(line.number, owner, row)


def _issuer(line: _Line, native: str, realm: str) -> str:
    """Return who issued a token: aws, gateway:<realm>, or another name as it is written in the file."""
    source = line.text("source") or ""
    if source.lower() in AWS_NAMES:
        return "aws"
    if source.lower() in GATEWAY_NAMES:
        return f"gateway:{realm}"
    if source:
        return source
    guess = "aws" if _AWS.match(native) else f"gateway:{realm}"
    line.note(f"issuer not given, taken for {guess} by the shape of the id")
    return guess


def _status(line: _Line, owner: str | None) -> str:
    status = line.text("owner_status")
    if owner is None or status is None:
        return OWNED if owner else UNOWNED
    if status.lower() not in STATUSES:
        line.note(f"owner_status {status[:40]!r} is not active, left or disabled; taken for active")
    return STATUSES.get(status.lower(), OWNED)


def _timezone(line: _Line) -> str | None:
    name = line.text("owner_timezone")
    if name is None:
        return None
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        line.note(f"owner_timezone {name[:40]!r} is no time zone (such as Europe/Berlin); left out")
        return None
    return name


def _check_owners(path: Path, tokens: Iterable[_Token]) -> None:
    """Refuse a token that has two owners at one time."""
    by_token: dict[str, list[_Token]] = {}
    for token in tokens:
        by_token.setdefault(token.row["token_uid"], []).append(token)
    for rows in by_token.values():
        rows.sort(key=lambda token: (token.start, token.number))
        for earlier, later in combinations(rows, 2):
            if later.start < earlier.end and earlier.row["owner_uid"] and later.row["owner_uid"]:
                if _same(earlier.owner, later.owner):
                    later.row["owner_uid"] = earlier.row["owner_uid"]  # one owner, in whatever letters
                    continue
                when = "at every time" if later.start == EARLIEST else f"at {later.start:%Y-%m-%d}"
                name = later.row["label"] or later.row["mask"]
                raise InventoryError(
                    f"{path}, line {max(earlier.number, later.number)}: token {name!r} has two owners {when} "
                    f"({earlier.owner_name}, {later.owner_name}).\n"
                    "A token has one owner at a time: end the first row with valid_to, or remove one."
                )


def _same(one: str | None, other: str | None) -> bool:
    """Whether two cells name the same owner, whatever the case of their letters and the blanks between words."""
    return " ".join((one or "").lower().split()) == " ".join((other or "").lower().split())


def _without_repeats(tokens: Sequence[_Token], line_notes: dict[str, list[int]]) -> list[_Token]:
    """Return the rows, those about one token that differ in scopes or networks alone as one, with all of them."""
    kept: dict[str, list[_Token]] = {}
    for token in tokens:
        rows = kept.setdefault(token.row["token_uid"], [])
        twin = next((row for row in rows if _agree(row, token)), None)
        if twin is None:
            rows.append(token)
            continue
        line_notes.setdefault("rows about one token and one owner, read as one", []).extend((twin.number, token.number))
        for column, value in token.row.items():
            if column in LISTS and value and twin.row[column]:
                words = re.split(r"[\s,;]+", f"{twin.row[column]} {value}")
                twin.row[column] = " ".join(dict.fromkeys(word for word in words if word))
            elif twin.row[column] is None:
                twin.row[column] = value
    return sorted((token for rows in kept.values() for token in rows), key=lambda token: token.number)


def _agree(one: _Token, other: _Token) -> bool:
    differing = {
        column
        for column, value in one.row.items()
        if column not in (*LISTS, "owner_uid") and value != other.row[column] and None not in (value, other.row[column])
    }
    starts = (one.row["valid_from"], one.row["valid_to"]) == (other.row["valid_from"], other.row["valid_to"])
    return starts and _same(one.owner, other.owner) and differing <= {"owner_name"}


def as_of(tokens: pa.Table | pd.DataFrame, when: datetime) -> pd.DataFrame:
    """Return the row of each token that is valid at a time.

    Parameters
    ----------
    tokens : Table or DataFrame
        ``schema.TOKENS``.
    when : datetime
        UTC where it names no zone.

    Returns
    -------
    DataFrame, one row a token
        The same columns; where several rows are valid, the latest one, and ``owner_status`` is ``ambiguous`` unless
        they agree in owner and team.
    """
    frame = tokens.to_pandas() if isinstance(tokens, pa.Table) else tokens
    moment = pd.Timestamp(when if when.tzinfo else when.replace(tzinfo=UTC))
    live = frame[
        (frame["valid_from"].isna() | (frame["valid_from"] <= moment))
        & (frame["valid_to"].isna() | (frame["valid_to"] > moment))
    ]
    live = live.sort_values("valid_from", na_position="first", kind="stable")
    owner = live["owner_uid"].fillna("") + "|" + live["team"].fillna("")
    several = owner.groupby(live["token_uid"]).transform("nunique") > 1
    live = live.assign(owner_status=live["owner_status"].mask(several, AMBIGUOUS))
    return live.drop_duplicates("token_uid", keep="last").sort_index().reset_index(drop=True)
