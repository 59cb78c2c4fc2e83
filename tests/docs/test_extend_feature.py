"""docs/extend/feature.md as a new user follows it: its files are written, its package installed, its commands run."""

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import organisation as small
import pages
import pyarrow.parquet as pq
import pytest
from conftest import tokenkit_process

from tokenkit.fingerprint import tables
from tokenkit.store import lake

PAGE = pages.DOCS / "extend" / "feature.md"
TEXT = PAGE.read_text(encoding="utf-8")
SHOWN = dict(re.findall(r"^```text shows=(\w+)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE))
START, END = date(2026, 2, 11), date(2026, 2, 15)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return pages.install(PAGE, tmp_path_factory.mktemp("installed"))


@dataclass(frozen=True)
class Reported:
    """A workspace, and what its last report says: the facts, the page and incidents.json."""

    root: Path
    facts: dict[str, Any]
    page: str
    findings: str


def report(root: Path, environment: dict[str, str], *words: object) -> Reported:
    """Run in the workspace and read what was published."""
    # of 40 tokens the usual budget asks for less than one incident a fortnight and channel
    asked = ["--start", START, "--end", END, "--budget", 50]
    left = tokenkit_process("run", *asked, *words, cwd=root, env=environment)
    assert left.code == 0, left.err
    with sqlite3.connect(root / "state.db") as db:
        (kept,) = db.execute("select value from meta where name like 'facts:%'").fetchone()
    page = root / left.out.splitlines()[-1]
    return Reported(root, json.loads(kept)["facts"], page.read_text(), page.with_name("incidents.json").read_text())


@pytest.fixture(scope="module")
def reported(
    analysed: Path, organisation: Path, installed: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Reported:
    """A workspace that had read its logs before; then the package came, and a token got two very large answers."""
    root = Path(shutil.copytree(analysed, tmp_path_factory.mktemp("acme") / "workspace"))
    key = small.victim(organisation)
    path = small.usual_path(organisation, key)
    small.plant(root / "logs", key, START, range(9, 11), a_hour=1, path=path, bytes_sent=4_000_000_000)
    return report(root, installed, "--events", "logs")


def test_it_is_listed_as_the_page_says(installed: dict[str, str], tmp_path: Path) -> None:
    lines = tokenkit_process("features", cwd=tmp_path, env=installed).out.splitlines()
    assert [line for line in lines if line.startswith("acme_answers")] == SHOWN["features"].splitlines()


def test_a_token_that_is_far_off_is_explained_by_it(reported: Reported) -> None:
    said = SHOWN["reason"].strip()
    reasons = [r for i in reported.facts["incidents"] for r in i["reasons"] if r["feature"] == "largest_answer"]
    assert reasons and all(r["sentence"].startswith(said) and r["family"] == "acme_answers" for r in reasons)
    assert any("4 GB" in r["observed"] for r in reasons), "two answers among all of that day's"
    assert said.rstrip(":") in reported.page and said in reported.findings


def test_context_of_it_is_kept_and_is_nobody_s_reason(reported: Reported) -> None:
    names = {c for file in lake.files(reported.root / "lake", "fingerprint") for c in pq.read_schema(file).names}
    assert {"largest_answer", "failed_answers"} <= names
    assert "failed_answers" not in json.dumps(reported.facts["incidents"])


def test_it_is_there_in_a_notebook(reported: Reported, installed: dict[str, str]) -> None:
    code = pages.files(PAGE)["in_a_notebook.py"]
    folder = reported.root.parent  # beside the workspace, as the page says
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=installed, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "4000000000" in done.stdout and "failed_answers" in done.stdout


def test_fingerprints_are_formed_again_when_the_package_changes_and_only_then(
    reported: Reported, installed: dict[str, str]
) -> None:
    root = Path(shutil.copytree(reported.root, reported.root.parent / "changed"))
    module = Path(installed["PYTHONPATH"]) / "acme_answers.py"

    def formed(environment: dict[str, str]) -> int:
        code = "from tokenkit import config, fingerprint; print(fingerprint.build(config.find()))"
        done = subprocess.run([sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    text = module.read_text()
    try:
        assert formed(installed) == 0
        module.write_text(text.replace(".max()", ".max() * 2"))
        assert formed(installed) == 45, "another formula under the same name"
    finally:
        module.write_text(text)
    assert formed(installed | {"PYTHONPATH": ""}) == 45, "it was removed"


def test_every_table_that_a_feature_may_name_is_on_the_page() -> None:
    listed = re.findall(r"^\| `(\w+)` \| ", TEXT.split("## Tables")[1], re.MULTILINE)
    assert set(listed) == {*tables.HOURLY, *tables.DAILY}


MISTAKES = [
    ('table="activity_hour",\n', 'table="activity_huor",\n', "did you mean activity_hour?"),
    ('unit="bytes",', 'unit="bytes", given="reqests",', "did you mean requests?"),
    ('bad="context"', 'bad="low"', "no bad 'low'; known: high, context"),
    ('    reason="Got a far larger single answer",\n', "", "a judged feature has a reason"),
    ("def largest_answer", "def requests", "two features are called requests"),
    ("def largest_answer", "def network", "the name means something else"),
    ("import narwhals", "import narwhales", "No module named 'narwhales'"),
]


@pytest.fixture(scope="module")
def mistaken(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    pairs = [(old, new) for old, new, _ in MISTAKES]
    return pages.with_mistakes(PAGE, "acme_answers.py", pairs, tmp_path_factory.mktemp("mistakes"), "features")


@pytest.mark.parametrize("number", range(len(MISTAKES)), ids=lambda n: MISTAKES[n][2])
def test_a_mistake_is_said_with_what_was_probably_meant(mistaken: list[str], number: int) -> None:
    assert MISTAKES[number][2] in mistaken[number]
    assert "largest_answer" in mistaken[number] or "acme" in mistaken[number]


def test_the_days_of_the_test_lie_in_the_organisation() -> None:
    first, last = (date.fromisoformat(d) for d in small.BUSY)
    assert first <= START < END <= last + timedelta(days=1)
