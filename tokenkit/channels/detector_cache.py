"""Detector cache: fitted detectors of earlier runs, each in one file signed with the workspace's key.

Reads and writes  .tokenkit/models/<name>.fitted: a line with signature and what it was made of, then PyOD's own format.
Loading such a file runs code that is in it, so the signature is checked before a byte of it is loaded; and a detector
fitted by other versions of PyOD or of the libraries below it is refused, since its scores could differ.
"""

import hashlib
import hmac
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenkit import identity
from tokenkit.config import Workspace
from tokenkit.errors import DetectorError

MAGIC = b"tokenkit-fitted-1"


@dataclass(frozen=True)
class DetectorCache:
    """Where fitted detectors of a workspace are kept, and the key that signs them."""

    folder: Path
    key: bytes

    def get(self, name: str, made_of: str, fit: Callable[[], Any]) -> Any:
        """The kept detector if it was made of the same, by the same versions; else a new one, which is then kept."""
        path = self.folder / f"{name}.fitted"
        try:
            if path.exists() and made_of_in(path) == made_of:
                return load(path, self.key)
        except DetectorError:
            pass  # another version's, or damaged: what follows replaces it
        model = fit()
        save(model, path, self.key, made_of)
        return model


def open_cache(workspace: Workspace) -> DetectorCache | None:
    """The detector cache of a workspace; None where it has no key yet."""
    if not workspace.key.exists():
        return None
    return DetectorCache(workspace.key.parent / "models", identity.load_key(workspace.key))


def save(model: Any, path: Path, key: bytes, made_of: str = "") -> None:
    """Keep a fitted detector in a signed file, in place by one rename.

    Parameters
    ----------
    made_of : digest of what it was fitted on; any word without blanks
    """
    from pyod.utils import persistence

    buffer = io.BytesIO()
    persistence.save(model, buffer)
    payload = buffer.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_suffix(".part")
    head = b" ".join([MAGIC, made_of.encode() or b"-", _sign(payload, made_of, key)]) + b"\n"
    staged.write_bytes(head + payload)
    staged.replace(path)


def load(path: Path, key: bytes) -> Any:
    """A kept detector.

    Raises
    ------
    DetectorError
        The file is no kept detector, was not signed with this key, or was made by other versions.
    """
    made_of, signature, payload = _parts(path)
    if not hmac.compare_digest(signature, _sign(payload, made_of, key)):
        raise DetectorError(
            f"{path}: not signed with this workspace's key, so it is not loaded: loading runs code that is in it. "
            "Delete the file; the next run fits the detector again."
        )
    import pyod
    from pyod.utils import persistence

    try:
        model, envelope = persistence.load(io.BytesIO(payload), strict=True, return_metadata=True, trusted=True)
    except Exception as error:  # what other versions wrote may raise anything when it is read
        raise DetectorError(
            f"{path}: fitted by other versions: {(str(error) or repr(error)).splitlines()[0]}. "
            "Delete the file; the next run fits the detector again."
        ) from error
    if envelope["pyod_version"] != pyod.__version__:
        raise DetectorError(
            f"{path}: fitted by PyOD {envelope['pyod_version']}, and {pyod.__version__} is installed. "
            "Delete the file; the next run fits the detector again."
        )
    return model


def made_of_in(path: Path) -> str:
    """The digest of what a kept detector was fitted on, without loading it."""
    return _parts(path)[0]


def _parts(path: Path) -> tuple[str, bytes, bytes]:
    head, _, payload = path.read_bytes().partition(b"\n")
    fields = head.split(b" ")
    if len(fields) != 3 or fields[0] != MAGIC:
        raise DetectorError(f"{path}: not a detector kept by tokenkit. Delete the file; the next run makes it anew.")
    return fields[1].decode("utf-8", "replace"), fields[2], payload


def _sign(payload: bytes, made_of: str, key: bytes) -> bytes:
    return (
        hmac.new(key, b"fitted detector|" + (made_of or "-").encode() + b"|" + payload, hashlib.sha256)
        .hexdigest()
        .encode()
    )
