"""Plugins: what installed packages bring under one of our entry-point groups.

Reads  the metadata of installed packages. Sources, features and detectors of others are found here and nowhere else.
"""

from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from tokenkit.errors import TokenkitError


def installed(group: str, noun: str, error: type[TokenkitError]) -> Iterator[tuple[EntryPoint, str, Any]]:
    """Each entry point of a group, the name of its package, and what it leads to.

    Parameters
    ----------
    group : such as ``tokenkit.sources``
    noun : what the group holds, for the message
    error : what is raised where one cannot be loaded

    Examples
    --------
    >>> list(installed("tokenkit.nothing", "thing", TokenkitError))
    []
    """
    for point in entry_points(group=group):
        package = point.dist.name if point.dist else point.value
        try:
            found = point.load()
        except Exception as failed:
            # whatever a plug-in raises at import, its package is what the user can act on
            raise error(
                f"{noun} {point.name!r} of package {package} cannot be loaded: {type(failed).__name__}: {failed}. "
                f"{remedy(package)}"
            ) from failed
        yield point, package, found


def remedy(package: str) -> str:
    """What a user can do about a package that does not work.

    Examples
    --------
    >>> remedy("acme")
    'Repair the package or remove it: pip uninstall acme'
    """
    return f"Repair the package or remove it: pip uninstall {package}"
