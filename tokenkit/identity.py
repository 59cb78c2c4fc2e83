"""Identity: keyed ids of tokens and owners, their int64 keys (for joins), and masks that may be shown.

A token's id is ``tok1_`` and 24 hex digits of HMAC-SHA256(workspace key, issuer + "|" + native id). The issuer is who
issued it (``aws``, ``gateway:<realm>``), never the log it was seen in. Of a native id only its mask is stored.
"""

import hashlib
import hmac
import os
import re
import secrets
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa

from tokenkit.errors import IdentityError

KEY_BYTES = 32
# a role of AWS by its ARN, with or without its path, or by the ARN of its sessions without one
_ROLE = re.compile(r"(arn:aws[a-z-]*):(?:iam::(\d*):role/(?:[^|]*/)?|sts::(\d*):assumed-role/)([^/|]+)/?")


def create_key(path: Path) -> bytes:
    """Create a workspace's key (mode 0600), or read it if there is one."""
    if path.exists():
        return load_key(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = secrets.token_hex(KEY_BYTES)
    # written whole or not at all: a run killed in between would leave an empty key that no later run accepts
    number, name = tempfile.mkstemp(dir=path.parent, prefix="key-")  # mode 0600
    try:
        with os.fdopen(number, "w") as file:
            file.write(text + "\n")
        os.link(name, path)  # unlike a rename it never replaces a key that another process made meanwhile
    except FileExistsError:
        return load_key(path)
    finally:
        os.unlink(name)
    return bytes.fromhex(text)


def load_key(path: Path) -> bytes:
    """Read a workspace's key.

    Raises
    ------
    IdentityError
        The file is missing or is not a key of 64 hex digits.
    """
    if not path.exists():
        raise IdentityError(
            f"{path}: the workspace key is missing. Every identity in the lake was made with it, so a new one would "
            "make every token look new. Nothing was changed. Restore the file from a backup, or start anew: "
            "tokenkit init DIR"
        )
    text = path.read_text(encoding="utf-8", errors="replace").strip()
    if len(text) != 2 * KEY_BYTES or any(c not in "0123456789abcdef" for c in text):
        raise IdentityError(
            f"{path}: expected {2 * KEY_BYTES} hex digits, found {len(text)} other characters. Restore it."
        )
    return bytes.fromhex(text)


def key_check(key: bytes) -> str:
    """Return 16 hex digits that differ for different keys and do not reveal them.

    Examples
    --------
    >>> key_check(b"a") == key_check(b"b")
    False
    """
    return hmac.new(key, b"tokenkit key check", hashlib.sha256).hexdigest()[:16]


def token_uid(key: bytes, issuer: str, native_id: str) -> str:
    """Return the id of a credential or principal.

    The ARN of a role counts without the role's path, which a session's ARN lacks; a name is unique in its account.

    Examples
    --------
    >>> token_uid(b"k", "aws", "AKIAEXAMPLE")
    'tok1_53f8de04aeb641c85dfd5ef5'
    >>> roles = ("arn:aws:iam::111122223333:role/batch/nightly", "arn:aws:iam::111122223333:role/nightly")
    >>> len({token_uid(b"k", "aws", role) for role in roles})
    1
    """
    if native_id.startswith("arn:aws") and (role := _ROLE.fullmatch(native_id)):
        partition, account, of_session, name = role.groups()
        native_id = f"{partition}:iam::{account or of_session or ''}:role/{name}"
    return "tok1_" + hmac.new(key, f"{issuer}|{native_id}".encode(), hashlib.sha256).hexdigest()[:24]


def owner_uid(key: bytes, native_id: str) -> str:
    """Return the id of an owner; it is keyed, because a plain hash of an e-mail address can be guessed."""
    return "own1_" + hmac.new(key, f"owner|{native_id}".encode(), hashlib.sha256).hexdigest()[:24]


def int_key(uid: str) -> int:
    """Return the int64 key of a token's or owner's id: its first 63 bits. The empty id has 0.

    Examples
    --------
    >>> int_key(""), int_key("tok1_ffffffffffffffffffffffff")
    (0, 9223372036854775807)
    """
    return int(uid[5:21], 16) >> 1 if uid else 0


def value_key(kind: str, value: str) -> int:
    """Return the int64 key of any other value: 63 bits of SHA-256 over kind and value.

    Examples
    --------
    >>> value_key("network", "192.0.2.0/24") == value_key("client", "192.0.2.0/24")
    False
    """
    return (
        int.from_bytes(hashlib.sha256(f"{kind}\x1f{value}".encode("utf-8", "surrogatepass")).digest()[:8], "big") >> 1
    )


def value_keys(kind: str, values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return ``value_key`` of a whole column; each distinct value is hashed once, and null and empty give 0."""
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    encoded = array.dictionary_encode()
    prefix, words = f"{kind}\x1f".encode(), encoded.dictionary.to_pylist()
    digests = [
        hashlib.sha256(prefix + w.encode("utf-8", "surrogatepass")).digest()[:8] if w else bytes(8) for w in words
    ]
    lookup = np.frombuffer(b"".join([*digests, bytes(8)]), ">u8").astype(np.uint64) >> np.uint64(1)
    indices = encoded.indices.fill_null(len(lookup) - 1).to_numpy(zero_copy_only=False)
    return pa.array(lookup.astype(np.int64)[indices], pa.int64())


def distinct_value_keys(kind: str, values: list[str]) -> pa.Array:
    """Return ``value_key`` of values that are seldom equal, as of whole records.

    Examples
    --------
    >>> distinct_value_keys("event", ["a"])[0].as_py() == value_key("event", "a")
    True
    """
    prefix = f"{kind}\x1f".encode()
    digests = [hashlib.sha256(prefix + v.encode("utf-8", "surrogatepass")).digest()[:8] for v in values]
    return pa.array((np.frombuffer(b"".join(digests), ">u8").astype(np.uint64) >> np.uint64(1)).astype(np.int64))


def mask(native_id: str) -> str:
    """Return the mask of a native id, which may be shown: four characters at each end, or less of a short one.

    Examples
    --------
    >>> mask("AKIAIOSFODNN7EXAMPLE"), mask("key_7"), mask("arn:aws:iam::111122223333:user/ana")
    ('AKIA...MPLE', 'k...', 'user/ana')
    """
    if native_id.startswith("arn:"):
        return native_id.rsplit(":", 1)[-1]
    if len(native_id) < 12:
        return native_id[:1] + "..."
    return f"{native_id[:4]}...{native_id[-4:]}"


def check_keys(pairs: Iterable[tuple[int, str]], table: str) -> None:
    """Raise where one int64 key stands for two strings (its probability is 5e-8 for a million tokens).

    Raises
    ------
    IdentityError
        Two values share a key; names them.
    """
    texts: dict[int, str] = {}
    for number, text in pairs:
        if texts.setdefault(number, text) != text:
            raise IdentityError(f"{table}: {texts[number]!r} and {text!r} have the same key {number}. Report this.")
