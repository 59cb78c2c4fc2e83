"""What the repository's pages and comments point to is there: documents, links, files, modules and names."""

import importlib
import re
from functools import cache
from pathlib import Path

import pytest
from repository import ROOT, tracked_files

from tokenkit.fingerprint import features

HISTORY = {"docs/decisions.md", "CHANGELOG.md"}  # say what was there when they were written
GROUPS = {"tokenkit.sources", "tokenkit.features", "tokenkit.detectors"}  # entry points

DOCUMENT = re.compile(r"\b[A-Z][A-Z0-9_]{3,}\.md\b")  # DESIGN.md
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
DOCS_PATH = re.compile(r"(?<![\w./-])docs/[\w./-]*\w(?![\w*])")
CODE_PATH = re.compile(r"(?<![\w./-])(?:tokenkit|tests|benchmarks|notebooks)/[\w./-]*[\w/]")
DOTTED = re.compile(r"(?<![\w./-])tokenkit(?:\.[A-Za-z_]\w*)+")
PLACE = re.compile(r"`(\w+)` (?:in|of)\s+`(tokenkit/[\w/]+\.py)`")  # `plan` in `tokenkit/days.py`
IMPORT = re.compile(r"^ *from (tokenkit[\w.]*) import ([\w, ]+)$", re.MULTILINE)


def tracked(*endings: str) -> list[str]:
    names = [path.relative_to(ROOT).as_posix() for path in tracked_files()]
    return [name for name in names if name.endswith(endings)]


@cache
def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def missing(names: list[str], pattern: re.Pattern[str], is_there) -> list[str]:
    return [f"{name}: {found}" for name in names for found in pattern.findall(text(name)) if not is_there(name, found)]


def test_no_file_cites_a_document_that_the_repository_does_not_have() -> None:
    known = {Path(name).name for name in tracked(".md")}
    names = [n for n in tracked(".py", ".md", ".ipynb", ".toml", "Makefile") if n != "tests/docs/test_references.py"]
    assert missing(names, DOCUMENT, lambda _, found: found in known) == []


def heading_anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#{1,6} +(.+?) *$", page.read_text(encoding="utf-8"), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).lower()) for title in titles]
    return {title.replace(" ", "-") for title in plain}


def link_leads_somewhere(name: str, link: str) -> bool:
    if re.match(r"[a-z]+:", link):
        return True  # the tests ask no network
    path, _, anchor = link.partition("#")
    page = (ROOT / name).parent / path if path else ROOT / name
    return page.exists() and (not anchor or anchor in heading_anchors(page))


@pytest.mark.parametrize("link", ["gone.md", "decisions.md#2026-11-24-never-decided", "../docs"])
def test_a_link_to_nothing_is_noticed(link: str) -> None:
    assert link_leads_somewhere("docs/glossary.md", link) == (link == "../docs")


def test_every_link_of_a_page_leads_to_a_file_and_to_a_heading_in_it() -> None:
    assert missing(tracked(".md"), LINK, link_leads_somewhere) == []


def test_every_decision_stands_in_the_index_by_subject() -> None:
    page = text("docs/decisions.md")
    index, *entries = re.split(r"^## (?=\d{4}-\d\d-\d\d: )", page, flags=re.MULTILINE)
    linked = [link.removeprefix("#") for link in LINK.findall(index)]
    decided = heading_anchors(ROOT / "docs/decisions.md")
    assert entries
    assert sorted(linked) == sorted(anchor for anchor in decided if re.match(r"\d{4}-\d\d-\d\d-", anchor))


def path_exists(name: str, found: str) -> bool:
    return any((folder / found).exists() for folder in (ROOT, (ROOT / name).parent))


def test_every_path_of_a_document_in_the_code_exists() -> None:
    names = [n for n in tracked(".py", ".ipynb", ".toml", ".j2", "Makefile") if not n.startswith("tests/docs/")]
    assert missing(names, DOCS_PATH, path_exists) == []


def test_every_path_that_a_page_names_exists() -> None:
    names = [n for n in tracked(".md") if n not in HISTORY]
    for pattern in (CODE_PATH, DOCS_PATH):
        assert missing(names, pattern, path_exists) == []


def test_every_name_that_a_page_places_in_a_file_is_there() -> None:
    names = [n for n in tracked(".md") if n not in HISTORY]

    def is_there(_: str, found: tuple[str, str]) -> bool:
        return (ROOT / found[1]).exists() and re.search(
            rf"^\s*(?:def|class) {found[0]}\b|^{found[0]}\b\s*[:=]", text(found[1]), re.M
        ) is not None

    assert any(PLACE.search(text(name)) for name in names)
    assert missing(names, PLACE, is_there) == []


def name_exists(dotted: str) -> bool:
    module, names = importlib.import_module("tokenkit"), dotted.split(".")[1:]
    for number, name in enumerate(names, 1):
        if hasattr(module, name):
            module = getattr(module, name)
            continue
        try:
            module = importlib.import_module(".".join(["tokenkit", *names[:number]]))
        except ImportError:
            return False
    return True


def test_a_name_that_does_not_exist_is_noticed() -> None:
    assert name_exists("tokenkit.config.Workspace.lake")
    assert not name_exists("tokenkit.config.Workspace.sea")


def test_every_module_and_function_that_a_page_names_exists() -> None:
    names = [n for n in tracked(".md") if n not in HISTORY]
    files = {"tokenkit.toml"} | GROUPS
    assert missing(names, DOTTED, lambda _, found: found in files or name_exists(found)) == []
    imports = [(n, module, name.strip()) for n in names for module, line in IMPORT.findall(text(n))
               for name in line.split(",")]  # fmt: skip
    assert imports
    assert [one for one in imports if not name_exists(f"{one[1]}.{one[2]}")] == []


def test_the_page_on_features_has_every_feature_with_its_family_unit_and_use() -> None:
    page = (ROOT / "docs/method/features.md").read_text(encoding="utf-8")
    judged, context = page.split("## Judged features")[1].split("## Context features")
    rows: dict[str, tuple[str, str, bool, bool]] = {}
    for part, is_judged in ((judged, True), (context, False)):
        heading = ""
        for cells in re.findall(r"^\| ([^|]*)\| `(\w+)` \| ([^|]+) \|", part, re.MULTILINE):
            heading = cells[0].strip() or heading
            rows[cells[1]] = (heading.split(",")[0], cells[2], "given calls" in heading, is_judged)
    ours = {n: f for n, f in features().items() if f.expression.__module__.startswith("tokenkit.")}
    assert rows == {n: (f.family, f.unit, f.given == "requests", f.bad == "high") for n, f in ours.items()}
