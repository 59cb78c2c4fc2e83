"""Outcome: how a call ended, from what logs have for it: 200, ok, PERMISSION_DENIED, "429 Too Many Requests".

No HTTP status is made up: there is one where the log has a code, or an error's name that stands for one.
"""

import re
from typing import Any

import numpy as np
import pyarrow as pa

from tokenkit.sources import http
from tokenkit.sources.fields.normalise import Coded

# in small letters, _ for what is no letter; gRPC's names among them
SUCCEEDED = frozenset(("ok", "okay", "success", "succeeded", "successful", "successfully", "allowed", "allow",
                       "granted", "completed", "complete", "done", "passed", "accepted", "permitted", "true", "yes",
                       "no_error", "noerror", "none", "null", "nil", "no_content", "created",
                       "not_modified"))  # fmt: skip
NO_ERROR = SUCCEEDED | {"false", "no", "n", "f", ""}  # what a column of errors says where there is none
REFUSED = re.compile(
    r"^(deny|refused|rejected|blocked)$|(?<!not_)(denied|forbidden)|access_?denied|permission_?denied"
    r"|un_?authori[sz]ed|not_?authori[sz]ed|un_?authenticated|not_?authenticated"
    r"|auth(ori[sz]ation|entication|n|z)?_?(failed|failure|error|required|exception|fail)"
    r"|insufficient_?(scope|privilege|permission|right|access|authenti)"
    r"|(invalid|missing|expired|revoked|bad|wrong|unknown|inactive|disabled)_((api|access|security|client|session)_)*"
    r"(key|token|credential|signature|password)|(token|key|credentials?)_(is_|has_|was_|been_)*(invalid|expired|revoked)"
    r"|(no|lacks?|missing|without|required?)_(the_)?(required_)?(permission|privilege)|not_permitted|not_allowed_to"
    r"|does_not_have_([a-z]+_){0,4}(permission|access|privilege)"
)
FAILED = re.compile(
    r"err(or)?(_|$)|fail|exception|time_?d?_?out|abort|cancell?ed|^false$|^no$|not_?found|invalid|internal|unavailable|unsuccess"
    r"|exceeded|exhausted|throttl|too_many|conflict|^bad_|refused|reset|unimplemented|data_loss|out_of_range"
    r"|already_exists|not_allowed|rejected|blocked|denied|crash|panic|already|precondition|unknown_error|not_ok"
)
_CODE = re.compile(
    r"\W*(?:http(?:/\d(?:\.\d)?)?|error|status|code|response)?(?:[ _]?(?:status|code))*\W*"
    r"([1-5]\d\d)(?:\.0*)?(?:\W.*)?",
    re.IGNORECASE | re.DOTALL,
)
Meaning = tuple[int, int, bool | None]


def _word(text: str) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text)
    return re.sub(r"[^a-z]+", "_", words.lower()).strip("_")


def meaning_of_status(status: str) -> Meaning:
    """Return HTTP status (0: none), status id (1 ok, 2 failed, 0 unknown) and whether the call was refused.

    Examples
    --------
    >>> [meaning_of_status(s) for s in ("403", "200.0", "PERMISSION_DENIED", "Ok", "-1")]
    [(403, 2, True), (200, 1, False), (0, 2, True), (0, 1, False), (0, 0, None)]
    >>> [meaning_of_status(s) for s in ("429 Too Many Requests", "HTTP/1.1 403 Forbidden", "Access Denied", "strange")]
    [(429, 2, False), (403, 2, True), (0, 2, True), (0, 0, None)]
    """
    if code := _CODE.fullmatch(status):
        number = int(code.group(1))
        return number, 1 if number < 400 else 2, number in (401, 403)
    word = _word(status)
    if word in SUCCEEDED:
        return 0, 1, False
    if REFUSED.search(word):
        return 0, 2, True
    return (0, 2, False) if FAILED.search(word) else (0, 0, None)


def meaning_of_error(error: str) -> Meaning:
    """Return the same of what a column of errors says; anything but the words for none is a failure.

    Examples
    --------
    >>> [meaning_of_error(e) for e in ("1 error occurred: permission denied", "AccessDenied", "403", "NoSuchKey")]
    [(0, 2, True), (403, 2, True), (403, 2, True), (0, 2, False)]
    >>> [meaning_of_error(e) for e in ("0", "false", "OK", "none", "200 OK", "ThrottlingException")]
    [(0, 1, False), (0, 1, False), (0, 1, False), (0, 1, False), (200, 1, False), (429, 2, False)]
    """
    if code := _CODE.fullmatch(error):
        number = int(code.group(1))
        return number, 1 if number < 400 else 2, number in (401, 403)
    word = _word(error)
    if word in NO_ERROR and not re.search(r"[1-9]", error):
        return 0, 1, False
    named = http.status_of_error(error) if re.fullmatch(r"[A-Za-z.]+", error) else 0
    implied = 0 if named == 400 else named
    return implied, 2, implied == 403 or bool(REFUSED.search(word))


def first(one: Coded, other: Coded) -> Coded:
    """Return the first column where it has a value, else the second."""
    if not one.values:
        return other
    codes = np.where(one.codes < len(one.values), one.codes, len(one.values) + other.codes)
    joined = Coded(codes, [*one.values, *other.values])
    return joined.become(joined.values)


def add_outcome(raw: dict[str, list[Any]], columns: dict[str, Any]) -> None:
    """Add status, error and refusal, from those of them that the log has; an error or a refusal is a failure.

    Parameters
    ----------
    raw : dict of str to list
        ``status``, ``error`` and ``denied``, those that are mapped; ``native_id`` for the number of rows.
    columns : dict
        Columns of ``events``, added to.
    """
    nulls: list[Any] = [None] * len(raw["native_id"])
    status, error = Coded.of(raw.get("status", nulls), 64), Coded.of(raw.get("error", nulls), 128)
    http_status, outcome, denied = _each([meaning_of_status(text) for text in status.values], status)
    of_errors = [meaning_of_error(text) for text in error.values]
    code, ended, refused = _each(of_errors, error)
    failed, fine = ended == 2, ended == 1
    http_status = np.where((http_status == 0) & (failed | fine), code, http_status)
    denied = np.where(failed, np.where((refused == 1) | (denied < 0), refused, denied), denied)
    outcome = np.where(failed, 2, np.where(fine & (outcome == 0), 1, outcome))
    denied = np.where(fine & (denied < 0), 0, denied)
    if "error" in raw and "status" not in raw:  # a call without an error did not fail
        outcome, denied = np.where(ended == 0, 1, outcome), np.where(ended == 0, 0, denied)
    stated = np.array([-1 if v is None else int(v) for v in raw.get("denied", nulls)])
    denied = np.where(stated >= 0, stated, denied)
    columns["http_status"] = pa.array(http_status.astype(np.int16), mask=http_status == 0)
    columns["status_code"] = first(
        error.become(
            [text if ended != 1 else None for text, (_, ended, _) in zip(error.values, of_errors, strict=True)]
        ),
        status,
    )
    columns["status_id"] = pa.array(np.where(denied == 1, 2, outcome).astype(np.int8))
    columns["is_denied"] = pa.array(denied == 1, mask=denied < 0)


def _each(meanings: list[Meaning], column: Coded) -> tuple["np.ndarray[Any, Any]", ...]:
    """HTTP status, status id and refusal (1, 0, -1 unknown) of every row; 0, 0 and -1 where the column is null."""
    rows = [(code, ended, -1 if refused is None else int(refused)) for code, ended, refused in meanings]
    return tuple(np.array([*values], dtype=np.int64)[column.codes] for values in zip(*rows, (0, 0, -1), strict=True))
