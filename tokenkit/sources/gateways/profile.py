"""Profile: the names under which one gateway's log has what an event needs."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_WORD = re.compile(r'"?\{(\w+)(?::(\w+))?\}"?|\[\{(\w+):clf\}\]')
Names = tuple[str, ...]  # spellings of one field; of each record the first that it has counts


@dataclass(frozen=True)
class Profile:
    """A gateway's log.

    Names with dots lead into objects (``request.headers.User-Agent``); of a list there the first element counts.

    Attributes
    ----------
    name, doc : str
        As in ``Source``.
    marks : tuple of Names
        A JSON record is this gateway's where it has one field of each.
    lines : tuple of str
        Its lines of text: the names of their fields in braces, everything else as it stands (``text.py``).
    escapes : bool
        Whether a quote, a backslash or a control character in such a field is written with a backslash.
    derive : function of a record, optional
        Adds to the fields of a line of text what it has in another form.
    table : bool
        Whether it is a W3C table instead, whose ``#Fields`` directive names the columns (``w3c.py``).
    per_second : int
        What one second is in a time that is a number.
    duration_unit_ms : float
        What one unit of the duration is, ms.
    address : Names
        The peer: who opened the connection.
    forwarded : Names
        Lists of the hops before it, the farthest first. All of them count, before ``address`` (``forwarded.py``).
    key_id : Names
        Where the gateway itself says which key called; those of the settings (``gateway.key_fields``) come first.
    request : Names
        Method, path and protocol in one field.
    handle_field : str, optional
        As in ``Source``.
    """

    name: str
    doc: str
    time: Names
    address: Names
    status: Names
    marks: tuple[Names, ...] = ()
    lines: Names = ()
    escapes: bool = False
    derive: Callable[[dict[str, Any]], None] | None = None
    table: bool = False
    per_second: int = 1
    duration_unit_ms: float = 1.0
    forwarded: Names = ()
    key_id: Names = ()
    principal: Names = ()
    method: Names = ()
    path: Names = ()
    request: Names = ()
    event_uid: Names = ()
    user_agent: Names = ()
    request_bytes: Names = ()
    response_bytes: Names = ()
    duration: Names = ()
    handle_field: str | None = None

    @property
    def plain(self) -> tuple[tuple[dict[str, str], int], ...]:
        """Of each of its lines that are words between blanks, quoted or in brackets: kinds by name, and quotes.

        A time in brackets is two words, of which the second one is called ``zone``.
        """
        found = []
        for line in self.lines if self.escapes else ():
            words = [_WORD.fullmatch(word) for word in line.removesuffix("{more:any}").split(" ")]
            if all(words):
                kinds: dict[str, str] = {}
                for word in words:
                    name, kind, time = word.groups("") if word else ("", "", "")
                    kinds |= {time: "", "zone": ""} if time else {name: kind}
                found.append((kinds, line.count('"')))
        return tuple(found)

    @property
    def columns(self) -> dict[str, Names]:
        """Column of ``events`` to the fields that fill it."""
        filled = {
            "time": self.time,
            "event_uid": self.event_uid,
            "src_ip": (*self.forwarded, *self.address),
            "http_method": (*self.method, *self.request),
            "url_path": (*self.path, *self.request),
            "operation": (*self.method, *self.path, *self.request),
            "http_status": self.status,
            "request_bytes": self.request_bytes,
            "response_bytes": self.response_bytes,
            "duration_ms": self.duration,
            "user_agent": self.user_agent,
            "principal_uid": self.principal,
        }
        return {name: fields for name, fields in filled.items() if fields}

    @property
    def fields(self) -> Names:
        """Every field that is read, besides those of the settings."""
        each = (self.key_id, *self.columns.values(), (self.handle_field,) if self.handle_field else ())
        return tuple(dict.fromkeys(name for names in each for name in names))
