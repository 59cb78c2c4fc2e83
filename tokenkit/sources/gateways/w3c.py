"""W3C extended log files: CloudFront's standard log, and IIS and others. ``#Fields`` names the columns.

Traps: the directive may stand again in the middle of a file, with other columns. CloudFront separates by tabs, IIS by
blanks; both write ``-`` for nothing. CloudFront encodes blanks and quotes with %, IIS writes a blank as ``+``.
``time-taken`` is in seconds where CloudFront writes it, else in ms. Neither knows a key: what is there is IIS's
``cs-username``, and a cookie or header that you name in ``gateway.key_fields``.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from urllib.parse import unquote

from tokenkit.sources import files
from tokenkit.sources.contract import Record
from tokenkit.sources.gateways.profile import Profile

DIRECTIVE = "lines that are directives (#)"
NO_FIELDS = "no #Fields directive stands before the line"
HEAD = 1 << 16  # bytes in which the first directive is looked for


def _with_one_time(record: Record) -> None:
    if "date" in record and "time" in record:
        record["time"] = f"{record['date']}T{record['time']}Z"


def _of_iis(record: Record) -> None:
    _with_one_time(record)
    _replace(record, lambda text: text.replace("+", " "))


def _of_cloudfront(record: Record) -> None:
    _with_one_time(record)
    _replace(record, lambda text: unquote(unquote(text)))


def _replace(record: Record, decode: Callable[[str], str]) -> None:
    """Decode the program and the forwarded addresses, which have blanks; a path is decoded where it is stored."""
    for name in (*W3C.user_agent, *W3C.forwarded):
        if isinstance(text := record.get(name), str):
            record[name] = decode(text)


W3C = Profile(
    name="w3c",
    doc="W3C extended log file, as IIS writes it; #Fields names the columns",
    time=("time",),  # with date before it
    address=("c-ip",),
    forwarded=("x-forwarded-for", "cs(X-Forwarded-For)", "X-Forwarded-For"),
    principal=("cs-username",),
    method=("cs-method",),
    path=("cs-uri-stem", "cs-uri"),
    status=("sc-status",),
    event_uid=("x-edge-request-id",),
    user_agent=("cs(User-Agent)",),
    request_bytes=("cs-bytes",),
    response_bytes=("sc-bytes",),
    duration=("time-taken",),
    marks=(("date",), ("time",), ("c-ip",), ("cs-method",), ("sc-status",), ("s-ip", "s-port", "s-computername")),
    table=True,
    derive=_of_iis,
)
CLOUDFRONT = replace(
    W3C,
    name="cloudfront",
    doc="Amazon CloudFront standard log: #Fields and tabs, or JSON",
    duration_unit_ms=1000.0,
    derive=_of_cloudfront,
    marks=(("date",), ("time",), ("c-ip",), ("cs-method",), ("sc-status",), ("x-edge-location",)),
)


def parser(path: Path) -> Callable[[bytes], Record]:
    """Return the function that gives the fields of one line of a file, by the names in the directive before it.

    It raises ValueError, which quotes nothing, for a directive and for a line that has other columns.
    """
    names: list[str] = []

    @cache
    def first_names() -> list[str]:
        head = files.Reader(path).head(HEAD).decode("utf-8", "replace").splitlines()
        return next((found for one in head if (found := _names(one))), [])

    def parse(line: bytes) -> Record:
        text = line.decode("utf-8", "replace").strip("\r\n")
        if text.startswith("#"):
            names[:] = _names(text) or names
            raise ValueError(DIRECTIVE)
        if not names:  # a file that is read from where it was left
            names.extend(first_names())
        if not names:
            raise ValueError(NO_FIELDS)
        cells = text.split("\t") if "\t" in text else text.split(" ")
        if len(cells) != len(names):
            raise ValueError(f"the line has {len(cells)} columns, but #Fields names {len(names)}")
        return {name: None if cell == "-" else cell for name, cell in zip(names, cells, strict=True)}

    return parse


def _names(line: str) -> list[str]:
    return line.removeprefix("#Fields:").split() if line.startswith("#Fields:") else []
