"""Text: lines of an access log that is no JSON, taken apart by the format in which they are written.

A format is the line with the names of its fields in braces, and after a colon what may stand there (``KINDS``). A field
without a kind has no blank in it, or in quotes no quote.
"""

import re
from collections.abc import Callable
from string import Formatter
from typing import Any

from tokenkit.sources.contract import Record
from tokenkit.sources.gateways.profile import Profile

MAX_LINE = 1 << 20  # bytes; servers refuse requests that would make longer ones
TOO_LONG = "a line of text of more than 1 MB is none of an access log"
NO_LINE = "the line is neither JSON nor a line of this log"
_ADDRESS = r"\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F]*:[0-9a-fA-F]*:[0-9a-fA-F:.]*|unix:"
KINDS = {
    # strict, so that a word in front of a line is not taken for its beginning
    "address": _ADDRESS,
    "addresses": rf'[^"\[]*, *(?:{_ADDRESS})|{_ADDRESS}',
    "name": r"(?=[\w.-]*?[A-Za-z])[\w.-]++",  # each letter is looked at once, however many there are
    "ident": r"-|[A-Za-z_][\w.-]*",
    "user": r'[^"\\]*(?:\\.[^"\\]*)*',  # a name with blanks: what follows it is a time in brackets and a quote
    "clf": r"\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d(?:\.\d+)?(?: [+-]\d{4})?",  # a time of the common log format
    "number": r"-?\d+(?:\.\d+)?|-",
    "counts": r"[-+\d/]+",
    "captured": r"[^{}]*+",
    "host": r"[^\s:]+:\d+",  # with its port, which tells it from an address of IPv6
    "words": r"\S+ \S+ \S+",  # a request of a writer that does not escape: its path may have quotes, and no blank
    "plain": r'[^"]*+',
    "gateway_id": r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[\w-]{10,40}=",  # of a REST API, of an HTTP API
    "word": r"[^\s,]+",
    "cell": r"[^,]*+",
    "element": r"[^<]*+",
    "any": r".*",
}
# possessive: a field of megabytes costs no memory for ways back
_BARE, _QUOTED = r"\S+", r'[^"\\]*+(?:\\.[^"\\]*+)*+'
_ESCAPED = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"b": b"\b", b"f": b"\f"}


def parser(profile: Profile) -> Callable[[bytes], Record]:
    """Return the function that gives the fields of one line of text, as text, by their names.

    It raises ValueError, which quotes nothing, for a line that is in none of the profile's formats.

    Examples
    --------
    >>> from tokenkit.sources.gateways import nginx
    >>> line = b'203.0.113.7 - ana [02/Mar/2026:10:00:00 +0100] "GET /v1 HTTP/1.1" 200 17'
    >>> record = parser(nginx.PROFILE)(line)
    >>> record["remote_addr"], record["remote_user"], record["request"], record["status"]
    ('203.0.113.7', 'ana', 'GET /v1 HTTP/1.1', '200')
    """
    formats = [_compiled(line) for line in profile.lines]

    def parse(line: bytes) -> Record:
        if len(line) > MAX_LINE:
            raise ValueError(TOO_LONG)
        text = line.decode("utf-8", "replace").strip()
        for pattern, names in formats:
            if found := pattern.fullmatch(text):
                record: dict[str, Any] = dict(zip(names, found.groups(), strict=True))
                if profile.escapes and "\\" in text:
                    record = {name: _unescaped(value) for name, value in record.items()}
                if profile.derive:
                    profile.derive(record)
                return record
        raise ValueError(NO_LINE)

    return parse


def _compiled(line: str) -> tuple["re.Pattern[str]", list[str]]:
    """Return the pattern of a format, and the names of its groups in order."""
    parts, names = [], []
    before = ""
    for literal, name, kind, _ in Formatter().parse(line):
        before += literal
        parts.append(re.escape(literal))
        if name is not None:
            parts.append(f"({KINDS[kind] if kind else _QUOTED if before.endswith(chr(34)) else _BARE})")
            names.append(name)
    return re.compile("".join(parts), re.DOTALL), names


def _unescaped(text: str) -> str:
    r"""Return what was logged, of what a writer escaped.

    Examples
    --------
    >>> _unescaped(r"caf\xC3\xA9 \x22quoted\x22 \"too\""), _unescaped("plain")
    ('café "quoted" "too"', 'plain')
    """
    if "\\" not in text:
        return text
    return _ESCAPED.sub(_escaped_byte, text.encode("utf-8", "replace")).decode("utf-8", "replace")


def _escaped_byte(match: "re.Match[bytes]") -> bytes:
    code, letter = match.groups()
    return bytes([int(code, 16)]) if code else _LETTERS.get(letter, letter)
