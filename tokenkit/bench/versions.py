"""Versions: of the code and the libraries that results were made by.

Reads  the files of the package. Writes nothing.
"""

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

import tokenkit


@cache
def code_digest() -> str:
    """A digest of the package: an organisation that another version measured is not mistaken for this one's."""
    root = Path(tokenkit.__file__).parent
    files = sorted(root.rglob("*.py"))
    return hashlib.sha256(
        b"".join(f.relative_to(root).as_posix().encode() + f.read_bytes() for f in files)
    ).hexdigest()[:12]


def libraries() -> dict[str, str]:
    """The libraries that scores depend on, and their versions."""
    return {name: version(name) for name in ("pyod", "scikit-learn", "numpy", "pandas", "duckdb")}
