"""Plugins: load sources, features and detectors of other installed packages, by their entry points.

Reads  the metadata of installed packages. Nothing else looks for plug-ins.
"""

from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from tokenkit.errors import TokenkitError


def installed(group: str, noun: str, error: type[TokenkitError]) -> Iterator[tuple[EntryPoint, str, Any]]:
    """Yield each entry point of a group, the name of its package, and the object that it loads.

    Parameters
    ----------
    group : such as ``tokenkit.sources``
    noun : a word for such an object, for the message
    error : class of the error where one cannot be loaded

    Examples
    --------
    >>> list(installed("tokenkit.nothing", "thing", TokenkitError))
    []
    """
    for point in entry_points(group=group):
        package = point.dist.name if point.dist else point.value
        try:
            loaded = point.load()
        except Exception as failed:
            # a plug-in may raise anything at import; the user can only repair or remove its package
            raise error(
                f"{noun} {point.name!r} of package {package} cannot be loaded: {type(failed).__name__}: {failed}. "
                f"{remedy(package)}"
            ) from failed
        yield point, package, loaded


def remedy(package: str) -> str:
    """Return what a user can do about a package that does not work.

    Examples
    --------
    >>> remedy("acme")
    'Repair the package or remove it: pip uninstall acme'
    """
    return f"Repair the package or remove it: pip uninstall {package}"
