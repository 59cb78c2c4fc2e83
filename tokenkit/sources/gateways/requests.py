"""Requests: method and path of the first line of a request, and times of the common log format."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

_NAMES_OF_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {name: f"{number:02d}" for number, name in enumerate(_NAMES_OF_MONTHS, 1)}
_CLF = re.compile(r"^(\d\d)/(\w{3})/(\d{4}):(\d\d:\d\d:\d\d)(\.\d+)?(?: ([+-]\d\d)(\d\d))?$")
_REQUEST = re.compile(r"(\S+) (.+?)(?: HTTP/\d(?:\.\d)?)?", re.DOTALL)
_METHOD_AGAIN = re.compile(r"[A-Z]+ (?=/)")
NOTHING_SENT = ("", "-", "- - -")
SHORT = 256  # characters; a longer request is not remembered, so that memory stays bounded


def times(values: Sequence[Any]) -> list[Any]:
    """Return the values, those that are times of the common log format as ISO 8601.

    Examples
    --------
    >>> times(["02/Mar/2026:10:00:00 +0100", "02/Mar/2026:10:00:00.250", 1772445600])
    ['2026-03-02T10:00:00+01:00', '2026-03-02T10:00:00.250', 1772445600]
    """
    converted: dict[str, str] = {}
    return [_iso(v, converted) if type(v) is str and v[2:3] == "/" else v for v in values]


def _iso(text: str, converted: dict[str, str]) -> str:
    """Return one time; a second that many lines share is converted once."""
    known = converted.get(text)
    if known is None:
        match = _CLF.match(text)
        known = text
        if match:
            day, month, year, clock, fraction, hours, minutes = match.groups()
            zone = f"{hours}:{minutes}" if hours else ""
            known = f"{year}-{_MONTHS.get(month, month)}-{day}T{clock}{fraction or ''}{zone}"
        converted[text] = known
    return known


def method_and_path(request: str) -> tuple[str | None, str | None]:
    """Return method and path of a request line; None and None where nothing was sent, and no method of what is no HTTP.

    Examples
    --------
    >>> method_and_path("GET /v1/orders HTTP/1.1"), method_and_path("-"), method_and_path("SSH-2.0-Go")
    (('GET', '/v1/orders'), (None, None), (None, '/'))
    """
    return _remembered(request) if len(request) < SHORT else _split(request)


def _split(request: str) -> tuple[str | None, str | None]:
    if request in NOTHING_SENT:
        return None, None
    match = _REQUEST.fullmatch(request)
    if not match:
        return None, "/"
    method, path = match.groups()
    # API Gateway's $context.routeKey begins with the method again
    return method, _METHOD_AGAIN.sub("", path, count=1) if path.startswith(f"{method} ") else path


_remembered = lru_cache(maxsize=50_000)(_split)
