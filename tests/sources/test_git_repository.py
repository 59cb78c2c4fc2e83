"""A repository's history is written without running anything that the repository names."""

import os
import subprocess
from pathlib import Path

import pytest

from tokenkit.errors import InputError
from tokenkit.sources.git_repository import is_repository, write_history

WHO = {"GIT_AUTHOR_NAME": "Ana", "GIT_AUTHOR_EMAIL": "ana@acme.example", "GIT_COMMITTER_NAME": "Ana",
       "GIT_COMMITTER_EMAIL": "ana@acme.example", "GIT_CONFIG_GLOBAL": os.devnull}  # fmt: skip


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True, env={**os.environ, **WHO})


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "a repository"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "a.txt").write_text("one\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "commit\tforged")
    (folder / "a.txt").write_text("two\n")
    git(folder, "commit", "-qam", "work")
    return folder


def test_the_history_is_written_with_the_first_commit(repository: Path, tmp_path: Path) -> None:
    lines = write_history(repository, tmp_path / "out" / "history.log").read_text().splitlines()
    assert [line for line in lines if line.endswith("a.txt")] == ["1\t1\ta.txt", "1\t0\ta.txt"]
    assert sum(line.startswith("commit\t") for line in lines) == 2


def test_no_program_of_the_repository_is_run_and_nothing_in_it_changes(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "was run"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch '{mark}'\ncat\n")
    program.chmod(0o755)
    for name in ("core.fsmonitor", "core.pager", "pager.log", "diff.external", "diff.odd.command", "diff.odd.textconv",
                 "gpg.program", "core.sshCommand", "core.askPass", "alias.log", "core.editor", "filter.odd.clean",
                 "filter.odd.smudge"):  # fmt: skip
        git(repository, "config", name, str(program))
    for name, value in (("log.showSignature", "true"), ("core.hooksPath", str(tmp_path)), ("log.showRoot", "false"),
                        ("diff.orderFile", "missing"), ("log.follow", "true"), ("diff.relative", "true"),
                        ("diff.noprefix", "true"), ("color.ui", "always"), ("format.pretty", "%B")):  # fmt: skip
        git(repository, "config", name, value)
    (repository / ".gitattributes").write_text("* diff=odd filter=odd\n")
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(program))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    before = sorted((path, path.stat().st_mtime_ns) for path in repository.rglob("*"))
    lines = write_history(repository, tmp_path / "history.log").read_text().splitlines()
    assert [line for line in lines if line.endswith("a.txt")] == ["1\t1\ta.txt", "1\t0\ta.txt"]
    assert not mark.exists()
    assert sorted((path, path.stat().st_mtime_ns) for path in repository.rglob("*")) == before


def test_what_is_missing_of_a_partial_clone_is_not_fetched(repository: Path, tmp_path: Path) -> None:
    mark = tmp_path / "was run"
    for name, value in (("extensions.partialClone", "origin"), ("remote.origin.promisor", "true"),
                        ("remote.origin.url", f"ext::sh -c touch% '{mark}'"), ("protocol.ext.allow", "always"),
                        ("core.repositoryFormatVersion", "1")):  # fmt: skip
        git(repository, "config", name, value)
    for path in sorted((repository / ".git" / "objects").glob("??/*"))[:3]:
        path.unlink()
    with pytest.raises(InputError, match=r"git log failed|no commit"):
        write_history(repository, tmp_path / "history.log")
    assert not mark.exists()


def test_an_empty_repository_is_said_to_be_one(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert is_repository(tmp_path)
    with pytest.raises(InputError, match="no commit yet"):
        write_history(tmp_path, tmp_path / "history.log")


def test_a_folder_in_a_repository_is_not_one(repository: Path) -> None:
    (repository / "inner").mkdir()
    assert is_repository(repository) and not is_repository(repository / "inner")
    git(repository, "clone", "-q", "--bare", ".", "bare")
    assert is_repository(repository / "bare")
