"""Inputs: the logs that a person names as ``[SOURCE=]PATH``, on the command line or in tokenkit.toml."""

import re
from dataclasses import dataclass
from pathlib import Path

from tokenkit import sources
from tokenkit.config import Workspace
from tokenkit.errors import InputError

_MAPPING = re.compile(r"(.+?\.toml)=(.+)", re.DOTALL)


@dataclass(frozen=True)
class Input:
    """Logs to read: a file or a folder tree, and its source.

    Attributes
    ----------
    path : Path
    source : str, optional
        Name of a source, or path of a mapping (it ends in ``.toml``); without one, each file's first record tells it.
    """

    path: Path
    source: str | None = None

    @property
    def has_mapping(self) -> bool:
        """Whether a mapping of columns describes the source."""
        return self.source is not None and self.source.endswith(".toml")


def parse_input(text: str, folder: Path = Path()) -> Input:
    """Parse ``[SOURCE=]PATH``; what stands before ``=`` belongs to the path if there is a file or folder of that name.

    Parameters
    ----------
    text : str
    folder : Path
        Relative paths, of logs and of mappings, are paths from this folder.

    Raises
    ------
    InputError
        There is no path in it.
    SourceError
        No source has this name.

    Examples
    --------
    >>> parse_input("cloudtrail=logs/a")
    Input(path=PosixPath('logs/a'), source='cloudtrail')
    >>> parse_input("logs/day=1")
    Input(path=PosixPath('logs/day=1'), source=None)
    >>> parse_input("maps/orders.toml=logs/day=1", Path("/home/ana"))
    Input(path=PosixPath('/home/ana/logs/day=1'), source='/home/ana/maps/orders.toml')
    """
    if not text.strip() or (text.endswith("=") and not (folder / text).exists()):
        raise InputError(f"{text!r} names no file or folder of logs, expected [SOURCE=]PATH such as nginx=/var/log/api")
    if (folder / text).exists():
        return Input(folder / text)
    if mapping := _MAPPING.match(text):
        return Input(folder / mapping.group(2), str(folder / mapping.group(1)))
    name, separator, path = text.partition("=")
    if separator and "/" not in name:
        return Input(folder / path, sources.get(name).name)
    return Input(folder / text)


def configured_inputs(workspace: Workspace) -> list[Input]:
    """The logs that tokenkit.toml names, as paths from the workspace's folder."""
    return [parse_input(text, workspace.root) for text in workspace.settings.events]


def mapped_sources(workspace: Workspace) -> list[sources.Source]:
    """The sources whose mappings tokenkit.toml names."""
    mappings = dict.fromkeys(i.source for i in configured_inputs(workspace) if i.source and i.has_mapping)
    return [sources.get(mapping) for mapping in mappings]
