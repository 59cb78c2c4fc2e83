"""Masking: replace secrets in text by ``[masked]``, and remove control characters and query strings.

One small table of known token formats, written for RE2 and for ``re`` alike: RE2 (in Arrow) finds the few values that
need work, ``re`` rewrites those. detect-secrets knows the same formats, but its last release is of 2024,
and it works line by line in Python (docs/decisions.md).
"""

import hashlib
import os
import re
import string
from collections.abc import Callable, Sequence
from functools import lru_cache
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tokenkit import identity

MASK = "[masked]"

# format: hint, a short sign that is cheap to look for; pattern, whose first group (before) and second (after) are kept
SECRETS: dict[str, tuple[str, str]] = {
    "private key": ("-----B", r"-----BEGIN(?:[A-Z ]|%20|\+)*PRIVATE(?: |%20|\+)KEY(?s:.)*"),
    "GitHub": (r"gh[pousr]_|hub_pat_", r"gh[pousr]_[A-Za-z0-9_]{16,}|github_pat_[A-Za-z0-9_]{16,}"),
    "GitLab": (r"gl[a-z]+-", r"gl(?:pat|dt|ptt|rt|soat|cbt)-[A-Za-z0-9_.-]{16,}"),
    "AWS key id": (r"A[KS]IA", r"A(?:KIA|SIA)[A-Z0-9]{16,}"),
    "AWS secret": (r"=", r"(=[\"']?)[A-Za-z0-9/+]{40,}"),
    "Slack": (r"xox|xapp-", r"xox[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]{8,}|xapp-[A-Za-z0-9-]{16,}"),
    "Slack webhook": (r"services/T", r"(services/)T[A-Z0-9]{6,}/B[A-Z0-9]{6,}/[A-Za-z0-9]{16,}"),
    "Stripe": (r"_live_|_test_|whsec_", r"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{8,}|whsec_[A-Za-z0-9+/=]{16,}"),
    "Google": (r"AIza|ya29|GOCSPX", r"AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{16,}|GOCSPX-[A-Za-z0-9_-]{16,}"),
    "OpenAI, Anthropic": (r"sk-", r"\bsk-[A-Za-z0-9_-]{16,}"),
    "JWT": (r"eyJ", r"eyJ[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_=-]*){0,4}"),
    "npm": (r"npm_", r"npm_[A-Za-z0-9]{24,}"),
    "PyPI": (r"pypi-", r"pypi-[A-Za-z0-9_-]{16,}"),
    "SendGrid": (r"SG\.", r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    "Twilio": (r"SK[0-9a-f]", r"\bSK[0-9a-f]{32}"),
    "Telegram": (r"bot[0-9]", r"(\bbot)[0-9]{6,}:[A-Za-z0-9_-]{30,}"),
    "Vault": (r"hv[sbr]\.", r"\bhv[sbr]\.[A-Za-z0-9_-]{20,}"),
    "bearer": (r"[Bb][Ee][Aa][Rr]", r"((?i:\bbearer)(?:[ :+]|%20)+)[A-Za-z0-9._~+/=-]{6,}"),
    "basic": (r"[Bb][Aa][Ss][Ii][Cc]", r"((?i:\bbasic)(?:[ +]|%20)+)[A-Za-z0-9+/=]{16,}"),
    "password in URL": (r"://", r"(://)[^/\s:@]*:[^/\s@]+(@)"),
    "pair": (
        r"=|%3[dD]|: ",
        r"((?i:api[_-]?key|access[_-]?key|secret|token|passw(?:or)?d|passwd|pwd|credential|signature|authorization"
        r"|\bauth|\bkey|\bsig)[A-Za-z_]{0,12}(?:=|%3[dD]|: +)[\"']?)[^\s&;,\"'()<>\[]+",
    ),
}
_QUERY = r"((?:https?|wss?)://[^\s?#()<>]*)[?#][^\s()<>]*"
# C0 and C1 controls, zero-width and direction marks: a terminal or a page would obey them
_CONTROL = "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]"

# compiled for RE2 at each call, the hints take 0.03 ms and the patterns 0.7 ms; over 50,000 paths both take 3 ms
_HINT = "|".join((*(hint for hint, _ in SECRETS.values()), "://", _CONTROL))
_PATTERN = "|".join(f"(?:{pattern})" for _, pattern in SECRETS.values()) + f"|{_QUERY}|{_CONTROL}"
_COMPILED = [re.compile(pattern) for _, pattern in SECRETS.values()]
_COMPILED_HINT = re.compile(_HINT)
_WORD = re.compile(r"[^\s()<>]+")
_COMPILED_CONTROL = re.compile(_CONTROL)


def _masked_match(match: re.Match[str]) -> str:
    before, after = ((*match.groups(), "", "")[:2]) if match.re.groups else ("", "")
    return (before or "") + MASK + (after or "")


def _without_parameters(match: re.Match[str]) -> str:
    # not one pattern over the text: "http://http://..." would cost the square of its length
    word = match.group()
    return re.split("[?#]", word, maxsplit=1)[0] if "://" in word else word


def masked(text: str) -> str:
    """Return the text without secrets of known formats, and without the query strings of URLs.

    Examples
    --------
    >>> masked("deploy/1.0 (token=abc123; +https://example.com/a?key=b)")
    'deploy/1.0 (token=[masked]; +https://example.com/a)'
    >>> masked("/v1/keys/ghp_0123456789abcdefghij0123456789abcdef/use")
    '/v1/keys/[masked]/use'
    """
    text = _WORD.sub(_without_parameters, text)
    for pattern in _COMPILED:
        text = pattern.sub(_masked_match, text)
    return text


def _shortened(text: str, cap: int, whole: str) -> str:
    return f"{text[: cap - 18]}~{hashlib.sha256(whole.encode()).hexdigest()[:16]}"


def tidy_text(text: str, cap: int = 1024) -> str:
    r"""Return a text without secrets and control characters, shortened to ``cap`` characters.

    Examples
    --------
    >>> tidy_text("curl/8\x1b[31m")
    'curl/8�[31m'
    """
    cleaned = text
    if len(text) > LONGEST:  # what follows is not looked at; half a secret at the cut goes, too
        cleaned = text[:LONGEST].rstrip(_OF_SECRETS)
    if _COMPILED_HINT.search(cleaned):
        cleaned = masked(_COMPILED_CONTROL.sub("\ufffd", cleaned))
    # a longer text keeps its beginning and a digest, so that two stay two
    return _shortened(cleaned, cap, text) if len(cleaned) > cap or len(text) > LONGEST else cleaned


LONGEST = 4096
_OF_SECRETS = string.ascii_letters + string.digits + "_.+/=-"
_remembered = lru_cache(maxsize=20_000)(tidy_text)
FEW, LONG = 200, 512


def _tidy_few(text: str | None, cap: int) -> str | None:
    if not text:
        return text
    return _remembered(text, cap) if len(text) < LONG else tidy_text(text, cap)


def path_text(path: str | os.PathLike[str]) -> str:
    r"""Return a path as text that can be stored and printed; bytes of it that are not UTF-8 are written ``\xe9``.

    A part of it that holds a secret or control characters is masked, and a digest keeps two such paths apart.

    Examples
    --------
    >>> path_text("logs/caf\udce9.log") == "logs/caf" + chr(92) + "xe9.log"
    True
    >>> path_text("logs/ghp_0123456789abcdefghij0123456789abcdef/a.log")
    'logs/[masked]~8c1746fa/a.log'
    """
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    if not _COMPILED_HINT.search(text):
        return text
    parts = [(part, tidy_text(part)) for part in text.split("/")]
    return "/".join(
        part if tidied == part else f"{tidied}~{hashlib.sha256(part.encode()).hexdigest()[:8]}"
        for part, tidied in parts
    )


def tidy(values: pa.Array, cap: int = 1024) -> pa.Array:
    """Return distinct texts without secrets and control characters, shortened to ``cap`` characters."""
    if len(values) <= FEW:  # programs, operations, services: the same ones in every batch
        return pa.array([_tidy_few(text, cap) for text in values.to_pylist()], pa.string())
    odd = pc.or_(pc.match_substring_regex(values, _HINT), pc.greater(pc.utf8_length(values), cap))
    count = pc.sum(odd).as_py()
    if not count:
        return values
    if count > FEW:
        odd = pc.or_(pc.match_substring_regex(values, _PATTERN), pc.greater(pc.utf8_length(values), cap))
    words = values.to_pylist()
    for i in np.flatnonzero(odd.fill_null(False).to_numpy(zero_copy_only=False)).tolist():
        words[i] = _tidy_few(words[i], cap)
    return pa.array(words, pa.string())


_CUT = re.compile(r"[?#]|%(?:25)*(?:3[fF]|23)")


def without_query(path: str) -> str:
    """Return the plain path of a path or URL: decoded, without scheme, host, query string and fragment.

    Examples
    --------
    >>> without_query("/a%2Fb%3Ftoken=1"), without_query("https://u:p@host/x?y"), without_query("/p;v=1/q")
    ('/a/b', '/x', '/p/q')
    """
    path = _CUT.split(path, maxsplit=1)[0]
    for _ in range(3):
        if "%" not in path:
            break
        path = _CUT.split(unquote(path, errors="replace"), maxsplit=1)[0]
    if "://" in path:
        path = "/" + path.split("://", 1)[1].partition("/")[2]
    if ";" in path:
        path = "/".join(part.split(";", 1)[0] for part in path.split("/"))
    return path


_NOT_RAW = {"AWS key id", "AWS secret", "pair"}  # an AWS key's id is no secret, and the others need what stands before
_RAW = re.compile("|".join(pattern for name, (_, pattern) in SECRETS.items() if name not in _NOT_RAW))


_WITH_CONTEXT = {"AWS secret", "pair"}  # recognised by what stands before, as a path such as key=1/day=2 has it too
_SECRET = re.compile("|".join(pattern for name, (_, pattern) in SECRETS.items() if name not in _WITH_CONTEXT))


def holds_secret(text: str) -> bool:
    """Whether a text holds a secret of a known format.

    Examples
    --------
    >>> holds_secret("see ghp_0123456789abcdefghij0123456789abcdef"), holds_secret("logs/key=1/day=2")
    (True, False)
    """
    return _SECRET.search(text) is not None


_GIVEN = re.compile(
    r"(?i)((?:passw(?:or)?d|pwd|secret|signature|\bsig|(?:account|access|api)[_-]?key|credential)\w{0,12}=)"
    r"[^\s&;,\"'()<>]{6,}"
)


def without_secrets(text: str) -> str:
    """Return a message of our own without the secrets that are in what it quotes: of known formats, and ``password=``.

    Examples
    --------
    >>> without_secrets("logs/ghp_0123456789abcdefghij0123456789abcdef: no such file. Set token_uid= or key=1")
    'logs/[masked]: no such file. Set token_uid= or key=1'
    """
    text = _GIVEN.sub(lambda match: match.group(1) + MASK, text)
    for name, (_, pattern) in SECRETS.items():
        if name not in _WITH_CONTEXT:
            text = re.sub(pattern, _masked_match, text)
    return text


def shown(native_id: str) -> str:
    """Return the mask of a native id, which may be shown; of a raw secret that was logged as an id, only its prefix.

    Examples
    --------
    >>> shown("AKIAIOSFODNN7EXAMPLE"), shown("sk_live_0123456789abcdef")
    ('AKIA...MPLE', 'sk_...')
    """
    native_id = _COMPILED_CONTROL.sub("\ufffd", native_id)
    if _RAW.match(native_id):
        prefix = re.match(r"[A-Za-z0-9]{1,8}[_.-]", native_id)
        return (prefix.group() if prefix else native_id[:3]) + "..."
    return tidy_text(identity.mask(native_id), 256)


def without_own_key(
    texts: Sequence[str | None], keys: Sequence[str | None], hint: Callable[[str], str]
) -> list[str | None]:
    """Return the texts without the id of the key that called, which need not have the format of a known secret."""
    return [
        t.replace(k, hint(k)) if t and k and len(k) >= 8 and k in t else t for t, k in zip(texts, keys, strict=True)
    ]


# ---- what is shown of a file that nothing is known about yet: whatever looks like a credential is hidden ----
_PAIRS = re.compile(
    r"""(?i)((?:[\w-]*(?:session|sess|sid|cookie|csrf|xsrf|jwt|otp|key|token|secret|passw(?:or)?d|pwd|auth)[\w-]*)"""
    r"""["']?(?:=|%3d)["']?)([^\s"'&;,{}\[\]]{4,})"""
)
_BASE64 = re.compile(r"(?<![\w/+])(?=[^A-Z]*[A-Z])(?=\D*\d)(?=[^a-z]*[a-z])[A-Za-z0-9+][A-Za-z0-9+/]{38,}={0,2}")
_UUID = re.compile(r"(?i)\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b")
_PREFIXED = re.compile(r"(?i)\b(?:key|tok|token|secret|sk|pk|rk|pat)[_-](?:live|test|prod|dev)[_-]\w{6,}")
_WORDS = re.compile(r"[A-Za-z0-9_.~+=%$!*-]{8,}")
_RUNS = re.compile(r"[A-Za-z0-9]{8,}")
_SHA = re.compile(r"[0-9a-fA-F]{8,}")
_LETTERS = re.compile(r"[A-Za-z]+")
_CASES = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[a-z])")
_NO_VOWEL = re.compile(r"(?i)[bcdfghjklmnpqrstvwxz]{6}")
OURS = re.compile(r"\b(?:tok1|own1|inc1)_[0-9a-f]{8,24}\b")


def _is_random(run: str) -> bool:
    """Whether letters and digits without a break look like no word, name or number that people write.

    Examples
    --------
    >>> words = ("0001aaaabbbb", "base64url", "ListFunctions20150331", "sourceIPAddress", "accessKeyId")
    >>> [word for word in words if _is_random(word)]
    ['0001aaaabbbb']
    >>> [run for run in ("wJalrXUtnFEMI", "qwjzkxvbnmplkjhg", "20260301102030", "x9K2mP4q") if _is_random(run)]
    ['wJalrXUtnFEMI', 'qwjzkxvbnmplkjhg', 'x9K2mP4q']
    """
    digits = sum(map(str.isdigit, run))
    if digits == len(run):
        return False
    if digits:
        parts = _LETTERS.findall(run)
        wordlike = min(map(len, parts)) >= 3 and not any(_changes_case(part) for part in parts)
        return (not wordlike and (digits >= 2 or len(run) >= 16)) or (digits >= 3 and bool(_SHA.fullmatch(run)))
    if len(run) >= 10 and _changes_case(run):
        return True
    return len(run) >= 40 or (len(run) >= 16 and bool(_NO_VOWEL.search(run)))


_SHORT_WORDS = {"Id", "Ip", "By", "To", "Of", "At", "In", "On", "Is", "No", "Db", "Ua"}  # of accessKeyId, isOnIp


def _changes_case(run: str) -> bool:
    """Whether capitals stand where no camelCase has them."""
    words = [word for word in re.findall(r"[A-Z]*[a-z]*", run)[:-1] if word not in _SHORT_WORDS]
    odd = any(len(word) < 3 or not re.search("[aeiouyAEIOUY]", word) for word in words)
    return odd and len(_CASES.findall(run)) > len(run) / 3


def _without_random(match: re.Match[str]) -> str:
    word = match.group()
    if OURS.fullmatch(word) or not any(map(_is_random, _RUNS.findall(word))):
        return word
    return MASK


def hidden(text: str, cap: int = 1024) -> str:
    """Return a text of an unknown file for people to see: without secrets, and without words that look like one.

    Stored texts lose secrets of known formats alone (``tidy_text``), since an order's number may look as random as a
    key. What is only shown loses both.

    Examples
    --------
    >>> hidden('escape=json{"api_key_id": "key_live_0001aaaabbbb"}'), hidden("GET /v1/orders/17")
    ('escape=json{"api_key_id": "[masked]"}', 'GET /v1/orders/17')
    >>> hidden("python-requests/2.31.0 session=abcd; 3f2504e0-4f89-11d3-9a0c-0305e82c3301")
    'python-requests/2.31.0 session=[masked]; [masked]'
    """
    text = tidy_text(text, cap)
    text = _PAIRS.sub(lambda m: m.group(1) + MASK, text)
    for pattern in (_UUID, _BASE64, _PREFIXED):
        text = pattern.sub(MASK, text)
    return _WORDS.sub(_without_random, text)
