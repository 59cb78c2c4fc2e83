"""hoop.dev: sessions at databases, servers and clusters, as its API or an export lists them.

A session is a call: of a machine's identity, else of the user; the connection is the object, and what was run says
which operation. Traps: a session that was open when it was exported has neither end nor size; it counts as a call, and
once more when it is over; the commands themselves may hold secrets, so that of each only its first word is kept, where
it is a known one, and of several the one that changes most; an exit code other than 0 is a failure.
"""

import re
from datetime import datetime
from typing import Any

from tokenkit.sources.contract import Record
from tokenkit.sources.mapped import Mapping, source
from tokenkit.sources.mapped.computed import first_text, inner, text
from tokenkit.sources.tabular import ENDINGS

MAPPING = Mapping(
    name="hoop-sessions",
    issuer="hoop",
    columns={
        "time": "start_date", "event_uid": "id + end_date", "native_id": "machine_identity_id",
        "principal": "user + user_id", "tenant": "org_id", "operation": "verb + type + script",
        "activity": "first word of script", "resource": "connection", "resource_type": "connection_subtype + type",
        "status": "status + exit_code", "denied": "review.status", "response_bytes": "event_size",
        "duration": "end_date + start_date", "src_ip": "client_ip",
    },
    values={"service": "hoop", "token_kind": "machine_identity", "token_lifetime": "long_lived"},
    files=ENDINGS["jsonl"],
    unique_ids=True,  # hoop's own id of the session
)  # fmt: skip
# what commands begin with; of several in one session the last of this list counts
COMMANDS = ("describe", "explain", "show", "get", "list", "select", "find", "aggregate", "copy", "logs", "set", "apply",
            "insert", "insertone", "insertmany", "update", "updateone", "updatemany", "merge", "call", "exec", "create",
            "alter", "delete", "deleteone", "deletemany", "truncate", "drop", "dropdatabase", "grant",
            "revoke")  # fmt: skip
_RANK = {word: rank for rank, word in enumerate(COMMANDS)}
_COMMENT = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)
_PROGRAM = re.compile(r"^(?:sudo\s+)?(?:kubectl|oc|aws\s+\S+|redis-cli|db\.\w{1,64}\.)\s*", re.IGNORECASE)


def recognises(record: Record) -> bool:
    """Whether a record is a session."""
    return {"id", "connection", "verb", "start_date"} <= record.keys() and bool(record.keys() & {"user", "user_id"})


def fields(record: Record) -> Record:
    """Return what is made of several fields of a session."""
    verb, kind = text(record.get("verb")), first_text(record, "connection_subtype", "type")
    session, end, code = text(record.get("id")), text(record.get("end_date")), record.get("exit_code")
    word = command(_script(record))
    review = record.get("review")
    decision = text(review.get("status")) if type(review) is dict else text(review)
    status = "failed" if code not in (None, "", 0, "0") else text(record.get("status"))
    return {
        "id + end_date": session if end or session is None else f"{session}/open",
        "user + user_id": first_text(record, "user", "user_email", "user_id"),
        "machine_identity_id": text(record.get("machine_identity_id")),
        "verb + type + script": " ".join(filter(None, (verb, kind, word))) if verb else None,
        "first word of script": word or ("read" if verb == "connect" else None),
        "connection_subtype + type": kind,
        "status + exit_code": status if status != "open" else None,
        "review.status": True if decision and decision.upper() in ("REJECTED", "DENIED") else None,
        "end_date + start_date": _duration_ms(record.get("start_date"), end),
    }


def _script(record: Record) -> str:
    """Return what was run, which several versions have in several places."""
    script = record.get("script", record.get("input"))
    value = inner(record, "script").get("data") if type(script) is dict else script
    return value if type(value) is str else ""


def command(script: str) -> str | None:
    """Return what a script does: the known word that one of its commands begins with, of several the gravest.

    Examples
    --------
    >>> command("/* nightly */ select 1; DROP TABLE users"), command("kubectl get pods"), command("mysecret")
    ('drop', 'get', None)
    """
    words = set()
    for part in re.split(r"[;\n]", _COMMENT.sub(" ", script[:100_000])):
        first = re.match(r"[a-z]{1,16}", _PROGRAM.sub("", part.strip()).lower())
        if first and first.group() in _RANK:
            words.add(first.group())
    return max(words, key=_RANK.__getitem__, default=None)


def _duration_ms(start: Any, end: Any) -> float | None:
    try:
        return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() * 1000
    except (TypeError, ValueError, OverflowError):
        return None


SOURCE = source(MAPPING, "hoop.dev sessions, JSON", recognises=recognises, fields=fields)
