"""Versions: of the code and the libraries that results were made by.

Reads  nothing. Writes nothing.
"""

from importlib.metadata import version

from tokenkit import config


def code_digest() -> str:
    """Return 12 hex digits of the package, so that what another version measured is not mistaken for this one's."""
    return config.code_digest()[:12]


def libraries() -> dict[str, str]:
    """The libraries that scores depend on, and their versions."""
    return {name: version(name) for name in ("pyod", "scikit-learn", "numpy", "pandas", "duckdb")}
