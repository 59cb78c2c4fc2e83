"""Draft: a mapping guessed from a file's column names and values, for a person to correct.

Reads  the first rows of a file. Gives a TOML in which each guess says what it rests on, with an example; one that could
be a secret is a mask. What was not guessed is listed, so that nothing is left out in silence; a column without
a value in those rows is never guessed.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenkit.errors import SourceError
from tokenkit.sources import tabular
from tokenkit.sources.fields import clients, operations
from tokenkit.sources.fields.masking import MASK, hidden, shown, tidy_text, without_own_key, without_query
from tokenkit.sources.mapped.mapping import FIELDS, REQUIRED
from tokenkit.sources.mapped.values import NOTHING, first_of, moment, yes_or_no

SAMPLE_ROWS = 200  # rows that are looked at
# names of logs for what we call so, in small letters with _; the first found is taken, and its values must agree
SPELLINGS: dict[str, tuple[str, ...]] = {
    "time": ("time", "timestamp", "ts", "at", "date", "datetime", "event_time", "eventtime", "time_iso8601",
             "request_time", "requested_at", "created_at", "occurred_at", "ts_ms", "start_time", "logged_at"),
    "native_id": ("api_key_id", "key_id", "access_key_id", "token_id", "credential_id", "key_hmac", "key_name",
                  "token_name", "credential", "api_key", "apikey", "access_key", "key", "token", "client_id",
                  "consumer_key", "consumer_id", "jti", "accessor", "x_api_key_id", "x_key_id", "x_api_key",
                  "x_consumer_id", "x_client_id"),
    "operation": ("operation", "operation_name", "action", "event_name", "eventname", "api", "call", "endpoint",
                  "route", "event", "event_type", "function", "rpc", "verb_resource"),
    "method": ("method", "http_method", "request_method", "verb", "httpmethod"),
    "path": ("path", "url", "uri", "request_uri", "request_path", "url_path", "resource_path", "target", "endpoint"),
    "service": ("service", "service_name", "backend", "upstream", "event_source", "host", "application_service"),
    "event_uid": ("event_id", "event_uid", "request_id", "requestid", "correlation_id", "trace_id", "uuid", "id",
                  "insert_id", "record_id"),
    "principal": ("principal", "user", "username", "user_name", "user_id", "actor", "account_name", "service_account",
                  "subject", "sub", "consumer", "identity", "owner", "caller"),
    "token_kind": ("token_kind", "token_type", "credential_type", "key_type", "auth_type"),
    "session": ("session", "session_id", "sid"),
    "app": ("app", "app_id", "application", "application_id", "client", "client_name", "oauth_application_id"),
    "tenant": ("tenant", "tenant_id", "account", "account_id", "org", "organisation", "organization", "org_id",
               "project", "project_id"),
    "mfa": ("mfa", "is_mfa", "mfa_authenticated"),
    "src_ip": ("src_ip", "source_ip", "client_ip", "ip", "remote_addr", "remote_ip", "ip_address", "clientip",
               "source_ip_address", "caller_ip", "actor_ip", "remote_address", "client_address", "x_forwarded_for"),
    "src_country": ("src_country", "country", "country_code", "client_country"),
    "src_asn": ("src_asn", "asn", "client_asn"),
    "user_agent": ("user_agent", "useragent", "ua", "agent", "http_user_agent", "client_agent"),
    "ja4": ("ja4",),
    "resource": ("resource", "resource_id", "resource_uid", "object", "object_id", "arn", "resource_name"),
    "resource_type": ("resource_type", "object_type"),
    "region": ("region", "aws_region", "zone", "location"),
    "status": ("status", "status_code", "http_status", "response_code", "code", "response_status", "outcome", "result"),
    "error": ("error", "error_code", "errorcode", "exception", "failure_reason"),
    "denied": ("denied", "is_denied", "blocked", "refused"),
    "request_bytes": ("request_bytes", "bytes_in", "request_length", "request_size", "req_bytes", "bytes_received"),
    "response_bytes": ("response_bytes", "bytes", "bytes_out", "bytes_sent", "response_size", "response_length",
                       "body_bytes_sent", "size", "content_length", "resp_bytes"),
    "duration": ("duration", "duration_ms", "latency", "latency_ms", "elapsed", "elapsed_ms", "took", "took_ms",
                 "response_time", "response_time_ms", "duration_s"),
    "rows": ("rows", "row_count", "rows_returned", "records", "record_count", "result_count", "objects_returned"),
    "cost_units": ("cost_units", "cost", "total_tokens", "credits", "units"),
    "page_offset": ("page_offset", "offset", "page", "skip"),
    "scopes": ("scopes", "scope", "permissions", "token_scopes"),
    "count": ("count", "calls", "hits", "requests", "request_count"),
    "logged_time": ("logged_time", "ingested_at", "ingest_time", "received_at"),
}  # fmt: skip
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_AGENT = re.compile(r"^(?!HTTP/\d|TLS)(Mozilla/|[\w.+-]+/v?\d)")
_WORD = re.compile(r"[A-Za-z][\w.:/{} -]{0,59}")


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) or bool(_NUMBER.fullmatch(str(value)))


def _is_time(value: Any) -> bool:
    found = moment(value, "")
    return found is not None and 946_684_800_000_000 <= found < 4_102_444_800_000_000


def _is_path(value: Any) -> bool:
    return str(value).startswith("/") or "://" in str(value)


# what a value has to look like; any of the others
AGREES: dict[str, Callable[[Any], bool]] = {
    "time": _is_time,
    "logged_time": _is_time,
    "src_ip": lambda value: clients.network(str(value)) is not None,
    "method": lambda value: operations.known_method(str(value)) != "OTHER",
    "path": _is_path,
    "src_country": lambda value: bool(re.fullmatch(r"[A-Za-z]{2}", str(value))),
    "mfa": lambda value: yes_or_no(value) is not None,
    "denied": lambda value: yes_or_no(value) is not None,
    "operation": lambda value: type(value) is str and not _is_time(value) and not _is_number(value),
} | {name: _is_number for name, field in FIELDS.items() if field.kind in ("number", "amount")}  # fmt: skip
# where no name is known, the values alone may say it
BY_VALUES: dict[str, Callable[[Any], bool]] = {
    "time": lambda value: _is_time(value) and not _is_number(value),
    "src_ip": lambda value: type(value) is str and AGREES["src_ip"](value),
    "method": lambda value: type(value) is str and AGREES["method"](value),
    "path": _is_path,
    "user_agent": lambda value: type(value) is str and bool(_AGENT.match(value)),
}
# their values are shown as they are, since they were checked; those of other fields are masked
OPEN = {"time", "logged_time", "src_ip", "method", "src_country", "mfa", "denied"} | {
    name for name, field in FIELDS.items() if field.kind in ("number", "amount")
}


def draft(path: Path) -> str:
    """A mapping for a file, as TOML.

    Raises
    ------
    SourceError
        The file is no table: neither CSV with a header, nor JSON lines, nor Parquet.
    """
    form = tabular.format_of(path)
    names = [name for name in dict.fromkeys(tabular.names(path, form)) if name]
    if len(names) < 2:
        raise SourceError(
            f"{path}: not a table, expected CSV with a header, JSON lines or Parquet. "
            "Lines of another shape need a source of a few lines: docs/extend/source.md"
        )
    values = _values(path, form, names)
    guesses = _guess(names, values)
    stem = path.name.split(".")[0]
    name = re.sub(r"[^a-z0-9_-]+", "-", stem.lower() if hidden(stem) == stem else "").strip("-")
    name = name[:40] if name[:1].isalpha() else f"log-{name}"[:40].rstrip("-")
    lines = [
        f"# Draft of a mapping for {hidden(path.name, 100)}, guessed from names and values. Correct it, save it as",
        f"# {name}.toml, and look at ten records: tokenkit sources check FILE --source {name}.toml",
        f"name = {_quoted(name)}",
        f"issuer = {_quoted(name)}  # who issued the credentials; an inventory names it in its column source",
        f"format = {_quoted(form)}",
        *(
            ["# unique_ids = true  # only where no client can choose the id: it alone then tells calls apart"]
            if "event_uid" in guesses
            else []
        ),
        "",
        "[columns]",
    ]
    keys = _texts(values[guesses["native_id"][0]]) if "native_id" in guesses else []
    for field in FIELDS:
        if field in guesses:
            theirs, why = guesses[field]
            lines.append(f"{field} = {_quoted(theirs)}  # {why}, {_example(field, values[theirs], keys)}")
        elif field in REQUIRED or (field == "operation" and "path" not in guesses):
            lines.append(f'# {field} = ""  # required, and not found: {FIELDS[field].doc}')
    units = [unit for unit in (_seconds(guesses, values),) if unit]
    if units:
        lines += ["", "[units]", *units]
    empty = [n for n in names if not _present(values[n])]
    used = {theirs for theirs, _ in guesses.values()} | set(empty)
    unused = [hidden(n, 60) for n in names if n not in used]
    missing = [field for field in FIELDS if field not in guesses and field not in REQUIRED]
    lines += ["", f"# columns that nothing is made of: {', '.join(unused) or 'none'}"]
    if empty:
        without = ", ".join(hidden(n, 60) for n in empty)
        lines += [f"# columns without a value in the first rows, which nothing can be said of: {without}"]
    lines += [f"# what else can be mapped: {', '.join(missing)}"]
    return "\n".join(lines) + "\n"


def _values(path: Path, form: str, names: list[str]) -> dict[str, list[Any]]:
    """Return the values of each column in the first rows."""
    for rows in tabular.rows(path, form, names):
        if rows.numbers:
            return {name: [_scalar(v) for v in values[:SAMPLE_ROWS]] for name, values in rows.columns.items()}
    return {name: [] for name in names}


def _scalar(value: Any) -> Any:
    """A cell as a mapping reads it: of a list the first, a text without blanks around it."""
    value = first_of(value) if type(value) is list else value
    return value.strip() if type(value) is str else value


def _seconds(guesses: dict[str, tuple[str, str]], values: dict[str, list[Any]]) -> str:
    """The unit of a duration whose values look like seconds: fractions, most of them small."""
    theirs = guesses["duration"][0] if "duration" in guesses else ""
    numbers = [float(v) for v in _present(values.get(theirs, [])) if _is_number(v)]
    if not numbers or re.search(r"(ms|millis\w*|us|micros\w*|ns|nanos\w*)$", theirs.lower()):
        return ""
    small = sum(n < 60 for n in numbers) >= 0.9 * len(numbers)
    fractions = sum(n != int(n) for n in numbers) >= 0.5 * len(numbers)
    is_whole = all(n == round(n, 2) for n in numbers)  # 12.5 ms has one or two places, 0.0123 s has more
    named = re.search(r"(_s|sec|secs|seconds)$", theirs.lower())
    if named or (small and fractions and (not is_whole or max(numbers) < 1)):
        return f'duration = "s"  # by its {"name" if named else "values"}, such as {numbers[0]:g}; else ms'
    return ""


def _guess(names: list[str], values: dict[str, list[Any]]) -> dict[str, tuple[str, str]]:
    """Return, for our name, the file's column and the reason for the guess; each column is used once."""
    plain = {name: _plain(name) for name in names if hidden(name, 200) == name}
    guesses: dict[str, tuple[str, str]] = {}
    used: set[str] = set()
    for field, spellings in SPELLINGS.items():
        for spelling in spellings:
            fits = [n for n, words in plain.items() if spelling in words and n not in used and _present(values[n])]
            fits = [n for n in fits if _agree(values[n], AGREES.get(field, lambda value: True))]
            if fits:
                guesses[field] = (fits[0], "by its name" + (" and values" if field in AGREES else ""))
                used.add(fits[0])
                break
    for field, is_like in BY_VALUES.items():
        fits = [n for n in plain if n not in used and _present(values[n]) and _agree(values[n], is_like)]
        if field not in guesses and fits:
            guesses[field] = (fits[0], "by its values alone")
            used.add(fits[0])
    return guesses


def _plain(name: str) -> set[str]:
    """A column's name in small letters with _, whole and without the objects that it lies in."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return {re.sub(r"[^a-z0-9]+", "_", part.lower()).strip("_") for part in (words, words.rsplit(".", 1)[-1])}


def _present(values: list[Any]) -> list[Any]:
    return [v for v in values if v is not None and not (type(v) is str and v in NOTHING)]


def _agree(values: list[Any], is_like: Callable[[Any], bool]) -> bool:
    """Whether nine in ten values are like that, or all but one of four or more, since a few rows may be unusable."""
    present = _present(values)
    scalar = [v for v in present if type(v) in (str, int, float, bool)]
    needed = 0.9 * len(present)
    return sum(map(is_like, scalar)) >= (min(needed, len(present) - 1) if len(present) >= 4 else needed)


def _texts(values: list[Any]) -> list[str | None]:
    return [v if type(v) is str else None for v in values]


def _example(field: str, values: list[Any], keys: list[str | None]) -> str:
    """Return a value of the column as an example, without what looks like a credential."""
    return hidden(_first_value(field, values, keys), 100)


def _first_value(field: str, values: list[Any], keys: list[str | None]) -> str:
    present = [(v, k) for v, k in zip(values, keys or [None] * len(values), strict=True) if v in _present([v])]
    if field in AGREES:
        present = [(v, k) for v, k in present if type(v) in (str, int, float, bool) and AGREES[field](v)]
    if not present:
        return "no value in the first rows"
    value, key = str(present[0][0]), present[0][1]
    if field == "time" and moment(value, "") is not None and not _is_number(value):
        value += "" if re.search(r"(Z|[+-]\d\d:?\d\d|UTC|GMT)$", value) else " (no zone: UTC)"
    if field in OPEN:
        return f"such as {tidy_text(value, 60)}"
    if field in ("path", "user_agent"):
        value = without_own_key([value], [key], lambda _: MASK)[0] or ""
        value = operations.Routes().template(without_query(value)) if field == "path" else value
        return f"such as {tidy_text(value, 60)}"
    if field in ("operation", "status") and _WORD.fullmatch(value) and value != key and not operations.is_id(value):
        return f"such as {tidy_text(value, 60)}"
    if field == "status" and re.fullmatch(r"[1-5]\d\d", value):
        return f"such as {value}"
    return f"such as {shown(value)}"


def _quoted(text: str) -> str:
    """A TOML string; what a terminal would obey is escaped."""
    escaped = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08X}" for c in escaped)
