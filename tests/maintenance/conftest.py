"""A workspace that is looked after: two days of a gateway's logs; and a process that runs commands at once."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import raw_logs
from maintenance_example import Together, day_log

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
def together() -> Iterator[Together]:
    """Run commands at the same time: ``together([folder, "lake", "compact"], ..., kill_after_s=0.1)``; exit codes."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", Path(__file__).parents[1] / "at_once.py"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None

    def call(*commands: list[object], kill_after_s: float | None = None) -> list[int]:
        asked = {"commands": [[str(word) for word in words] for words in commands], "kill_after_s": kill_after_s}
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(asked) + "\n")
        process.stdin.flush()
        return list(json.loads(process.stdout.readline()))

    yield call
    process.communicate()
