"""What several tests share: the command line, a small organisation, a workspace that knows it, and a real browser."""

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import organisation as small
import orjson
import pytest
from filelock import FileLock
from hypothesis import settings
from jupyter_client.provisioning import local_provisioner
from playwright.sync_api import Browser, sync_playwright
from warm_kernels import WarmKernels

from tokenkit.report.publishing import kernel
from tokenkit.run import Result

# PyOD's HBOS compiles itself in each process: 2.7 CPU s, against some ms for as few rows as tests have
os.environ.setdefault("NUMBA_DISABLE_JIT", "1")

# how long an example takes says more of what else the machine does than of the code
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

# without these Chromium asks its maker's hosts for news at every start, and none of that belongs in a test
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # for whatever a page asks, there is no other machine
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


# what takes a minute and more begins first, so that no worker is left with one of them when the other has finished;
# early among them one file that makes the bench's organisation: the others of the bench would wait for it together
LONG = ("incidents/test_labels.py", "test_run.py", "bench/test_leaderboard.py", "notebooks/test_in_jupyterlab.py",
        "bench/test_own_logs.py", "test_kill.py", "judge/test_detect.py", "bench/test_own_weights.py",
        "test_secrets.py", "docs/test_extend_feature.py", "notebooks/test_unattended.py", "test_hostile.py",
        "report/test_publish.py", "report/test_page_in_browser.py", "bench/test_alerts.py")  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {Path(__file__).parent / name: n for n, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path, len(LONG)))


@pytest.fixture(scope="session", autouse=True)
def warm_kernels() -> Iterator[None]:
    """Kernels are forked (``WarmKernels``); they see little of the environment, so they are told of PyOD here, too."""
    plain = kernel.environment
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "environment", lambda scratch: plain(scratch) | {"NUMBA_DISABLE_JIT": "1"})
        patch.setattr(local_provisioner, "launch_kernel", WarmKernels())
        yield


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


def once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that one worker makes while the others wait for it; not to be changed, since all of them read it."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    folder, made = root / name, root / f"{name}.made"
    with FileLock(root / f"{name}.lock"):
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            made.touch()
    return folder


# what notebook 02 is run with: one organisation, an attack and a benign change, three contenders
COMPARED = {"seeds": [1], "contenders": ["tokenkit", "HBOS, raw", "random"], "scenarios": ["stolen_token", "deploy"]}


@pytest.fixture(scope="session")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``out.ipynb``, notebook 02 as it was executed, and ``bench``, its results; not to be changed."""

    def make(folder: Path) -> None:
        from tokenkit import config
        from tokenkit.report.publishing.notebooks import find_notebook

        empty = config.init(folder / "empty")
        parameters = COMPARED | {"folder": str(folder / "bench"), "workspace": str(empty.root)}
        kernel.execute(find_notebook("02_compare_detectors"), folder / "out.ipynb", parameters)

    return once(tmp_path_factory, "compared", make)


@pytest.fixture(scope="session")
def organisation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with ``logs/``, ``inventory.csv`` and ``truth.json`` of 40 tokens in 45 days; not to be changed."""
    return once(tmp_path_factory, "small-organisation", small.make)


@pytest.fixture(scope="session")
def first_run(organisation: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A workspace that has read the organisation and published one report, and that run's result; not to be changed."""

    def make(folder: Path) -> None:
        from tokenkit import config, run
        from tokenkit.sources.inputs import Input

        opened = config.init(folder / "workspace", "Test organisation")
        result = run.run(opened, [Input(organisation / "logs")], organisation / "inventory.csv", *small.BUSY)
        page = result.page.relative_to(opened.root)
        (folder / "result").write_bytes(pickle.dumps(replace(result, page=page)))

    made = once(tmp_path_factory, "small-analysed", make)
    # a copy for each worker: whoever opens a workspace may write to it
    root = Path(shutil.copytree(made / "workspace", tmp_path_factory.mktemp("analysed") / "workspace"))
    result = pickle.loads((made / "result").read_bytes())
    return root, replace(result, page=root / result.page)


@pytest.fixture(scope="session")
def analysed(first_run: tuple[Path, Result]) -> Path:
    """A workspace that has read the organisation and published one report; not to be changed."""
    return first_run[0]


@pytest.fixture
def workspace(analysed: Path, tmp_path: Path) -> Path:
    """A copy of ``analysed`` to work in."""
    return Path(shutil.copytree(analysed, tmp_path / "workspace"))
