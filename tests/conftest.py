"""What several tests share: the command line, a small organisation, a workspace that knows it, and a real browser."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import organisation as small
import orjson
import pytest
from playwright.sync_api import Browser, sync_playwright

# PyOD's HBOS compiles itself in each process: 2.7 CPU s, against some ms for as few rows as tests have
os.environ.setdefault("NUMBA_DISABLE_JIT", "1")

# without these Chromium asks its maker's hosts for news at every start, and none of that belongs in a test
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Chromium's executable. Without it the test is skipped, or fails where CI=true."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    reason = "no Chromium: sudo apt-get install chromium"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    """A headless Chromium; ``browser.new_page()`` is a fresh profile."""
    with sync_playwright() as playwright:
        instance = playwright.chromium.launch(executable_path=chromium, args=QUIET)
        yield instance
        instance.close()


@dataclass(frozen=True)
class Left:
    """How a command left: its exit code, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its standard output as JSON."""
        return orjson.loads(self.out)


Command = Callable[..., Left]


def tokenkit_process(*arguments: object, cwd: Path, env: dict[str, str] | None = None) -> Left:
    """The installed command line in a process of its own."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "tokenkit"), *map(str, arguments)],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
    )
    return Left(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """The command line in this process: ``command("run", "--budget", 0, cwd=folder)`` gives a ``Left``."""
    from tokenkit import cli

    monkeypatch.delenv("TOKENKIT_WORKSPACE", raising=False)

    def call(*arguments: object, cwd: Path) -> Left:
        monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["tokenkit", *map(str, arguments)])
        capfd.readouterr()
        code: object = 0
        try:
            cli.main()
        except SystemExit as left:
            code = left.code or 0
        said = capfd.readouterr()
        return Left(int(str(code)), said.out, said.err)

    return call


@pytest.fixture(scope="session")
def real_logs() -> Path:
    """Folder of the 2,900 real CloudTrail records, which are no part of the repository: without them it is a skip."""
    folder = Path(__file__).parents[2] / "shared" / "data" / "cloudtrail-attack-simulation"
    if not folder.is_dir():
        pytest.skip(f"the real records are not part of the repository, expected them in {folder}")
    return folder


@pytest.fixture(scope="session")
def organisation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with ``logs/``, ``inventory.csv`` and ``truth.json`` of 40 tokens in 45 days; not to be changed."""
    folder = tmp_path_factory.mktemp("organisation")
    small.make(folder)
    return folder


@pytest.fixture(scope="session")
def analysed(organisation: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that has read the organisation and published one report; not to be changed."""
    from tokenkit import config, run

    workspace = config.init(tmp_path_factory.mktemp("analysed") / "workspace", "Test organisation")
    run.run(workspace, [str(organisation / "logs")], organisation / "inventory.csv", *small.BUSY)
    return workspace.root


@pytest.fixture
def workspace(analysed: Path, tmp_path: Path) -> Path:
    """A copy of ``analysed`` to work in."""
    return Path(shutil.copytree(analysed, tmp_path / "workspace"))
