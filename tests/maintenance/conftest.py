"""A workspace that is looked after: two days of a gateway's logs; and a process that runs commands at once."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import at_once
import pytest
import raw_logs
from maintenance_example import day_log

from tokenkit.config import Workspace


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``logs``, two days in three files each, and ``w``, which has read them one after the other."""
    folder = tmp_path_factory.mktemp("made")
    place = raw_logs.workspace(folder / "w")
    for part in range(3):
        raw_logs.read(place, *(day_log(folder / "logs", day, part) for day in range(2)))
    raw_logs.form(place)
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Workspace:
    """A copy of that workspace, with all that is made from its events, to work in."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return raw_logs.workspace(tmp_path / "w")


@pytest.fixture(scope="session")
def together() -> Iterator[at_once.Together]:
    """Commands at the same time, each in a process of its own (``at_once.together``)."""
    with at_once.together() as ask:
        yield ask
