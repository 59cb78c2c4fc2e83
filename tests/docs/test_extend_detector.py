"""docs/extend/detector.md as a new user follows it: its files are written, its package installed, its commands run."""

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import organisation as small
import pages
import pytest
from conftest import tokenkit_process

PAGE = pages.DOCS / "extend" / "detector.md"
TEXT = PAGE.read_text(encoding="utf-8")
SHOWN = dict(re.findall(r"^```text shows=(\w+)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return pages.install(PAGE, tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="module")
def root(analysed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(analysed, tmp_path_factory.mktemp("acme") / "workspace"))


def test_it_is_listed_as_the_page_says(installed: dict[str, str], tmp_path: Path) -> None:
    lines = tokenkit_process("detectors", cwd=tmp_path, env=installed).out.splitlines()
    assert [line for line in lines if line.startswith("acme_breadth")] == SHOWN["detectors"].splitlines()


def test_a_notebook_shows_what_it_would_raise(root: Path, installed: dict[str, str]) -> None:
    code = pages.files(PAGE)["in_a_notebook.py"]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, env=installed, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"gained .*\[.*acme_breadth", done.stdout), done.stdout


def test_with_a_share_it_raises_incidents_and_its_parts_are_reasons_on_the_page(
    root: Path, installed: dict[str, str]
) -> None:
    (root / "tokenkit.toml").write_text(pages.files(PAGE)["tokenkit.toml"])
    left = tokenkit_process("run", "--start", small.BUSY[0], "--end", small.BUSY[1], cwd=root, env=installed)
    assert left.code == 0, left.err
    with sqlite3.connect(root / "state.db") as db:
        (kept,) = db.execute("select value from meta where name like 'facts:%'").fetchone()
    facts: dict[str, Any] = json.loads(kept)["facts"]
    raised = [i for i in facts["incidents"] if "acme_breadth" in i["channels"]]
    assert raised
    for incident in raised:
        assert abs(sum(r["share"] for r in incident["reasons"]) - 1) < 1e-9
        assert all(r["title"] and r["observed"] for r in incident["reasons"])
    title = "Many numbers a little high together"
    assert title in (root / left.out.splitlines()[-1]).read_text()
    assert {c["channel"]: c["share"] for c in facts["health"]["channels"]}["acme_breadth"] == 0.3


def test_without_its_package_its_share_is_refused_with_what_there_is(
    root: Path, installed: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "tokenkit.toml").write_text(pages.files(PAGE)["tokenkit.toml"])
    left = tokenkit_process("config", cwd=tmp_path, env=installed | {"PYTHONPATH": ""})
    assert left.code == 2 and "unknown channel 'acme_breadth'" in left.err and "point_hour" in left.err


MISTAKES = [
    ("    gap_days = 1\n", "", "detector 'acme_breadth' of package acme-breadth has no gap_days"),
    ('name = "acme_breadth"\n    title', 'name = "breadth"\n    title', "calls itself 'breadth'"),
    ("import numpy as np", "import numpyy as np", "cannot be loaded: ModuleNotFoundError"),
]


@pytest.fixture(scope="module")
def mistaken(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    pairs = [(old, new) for old, new, _ in MISTAKES]
    return pages.with_mistakes(PAGE, "acme_breadth.py", pairs, tmp_path_factory.mktemp("mistakes"), "detectors")


@pytest.mark.parametrize("number", range(len(MISTAKES)), ids=lambda n: MISTAKES[n][2])
def test_a_mistake_is_said_with_the_package(mistaken: list[str], number: int) -> None:
    assert MISTAKES[number][2] in mistaken[number]
