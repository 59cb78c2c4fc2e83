"""Git repository: write the history of a repository to a file that ``git_log`` reads, without trusting the repository.

Reads  a repository, by the program ``git``. Writes one file.
A repository that somebody else made brings settings with it, some of which name programs to run: pagers, hooks,
monitors of files, filters of differences, checkers of signatures, ways to fetch what is missing. ``git log`` is asked
so that it runs none of them, fetches nothing and changes nothing; and git's own refusal of a repository that another
user owns stands.
"""

import os
import shutil
import subprocess
import time
from pathlib import Path

from tokenkit.errors import InputError
from tokenkit.sources.git_log import FORMAT

MAX_COMMITS = 20_000  # the newest
# before the newest commit: enough for a reference, and 28 days to report; the longer one where there are few commits
WEEKS, MORE_WEEKS, FEW_COMMITS = 16, 52, 300
TIMEOUT_S = 300
# settings and options by which a repository would choose a program, or what and how much is written
_SETTINGS = ("core.fsmonitor=false", "core.hooksPath=/dev/null", "core.pager=cat", "log.showSignature=false",
             "log.showRoot=true", "log.follow=false", "diff.external=", "core.quotePath=true",
             "protocol.allow=never", "uploadpack.packObjectsHook=", "gpg.program=false")  # fmt: skip
_OPTIONS = ("--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "--no-show-signature", "--no-notes",
            "--no-relative", "-O/dev/null", "--no-decorate", "--encoding=UTF-8", "--diff-merges=off",
            "--submodule=short", "--ignore-submodules=none")  # fmt: skip


def is_repository(path: Path) -> bool:
    """Whether a folder is a repository itself: one with a working tree, or a bare one."""
    if (path / ".git").exists():
        return True
    return path.is_dir() and all((path / name).exists() for name in ("HEAD", "objects", "refs"))


def write_history(repository: Path, target: Path) -> Path:
    """Write what ``git log --numstat`` says of the newest commits of a repository; returns the file.

    Commits of ``WEEKS`` before the newest one, or of ``MORE_WEEKS`` where these are fewer than ``FEW_COMMITS``.

    Raises
    ------
    InputError
        Git is not there, refuses the repository, or finds no commit in it; says what to do.
    """
    newest = min(int(_log(repository, "--max-count=1", "--format=%ct") or 0), int(time.time()))
    since = [f"--since=@{max(newest - weeks * 7 * 86400, 0)}" for weeks in (WEEKS, MORE_WEEKS)]
    limit = f"--max-count={MAX_COMMITS}"
    lately = _log(repository, limit, since[0], "--format=%H").count(b"\n")
    history = _log(repository, limit, since[lately < FEW_COMMITS], "--numstat", f"--format={FORMAT}")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(history)
    return target


def _log(repository: Path, *words: str) -> bytes:
    """Return what ``git log`` says of HEAD."""
    program = shutil.which("git")
    if program is None:
        raise InputError(f"{repository} is a git repository, and there is no program git. Install git.")
    settings = [word for setting in _SETTINGS for word in ("-c", setting)]
    try:
        done = subprocess.run(
            [program, "--no-pager", *settings, "log", *_OPTIONS, *words, "HEAD", "--"], cwd=repository,
            env=_environment(repository), stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise InputError(
            f"{repository}: git log took more than {TIMEOUT_S} s. Write less of it to a file, and try that file: "
            "git log --numstat --max-count=1000 > history.log"
        ) from None
    if done.returncode:
        raise InputError(_explained(repository, done.stderr.decode("utf-8", "replace")))
    return done.stdout


def _environment(repository: Path) -> dict[str, str]:
    """Return an environment in which git looks at this repository alone, asks nobody and fetches nothing."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | {
        "GIT_CEILING_DIRECTORIES": str(repository.resolve().parent), "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "none", "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "GIT_SSH_COMMAND": "false",
        "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_REPLACE_OBJECTS": "1", "GIT_PAGER": "cat", "LC_ALL": "C",
    }  # fmt: skip


def _explained(repository: Path, said: str) -> str:
    if "dubious ownership" in said:
        return (
            f"{repository}: the repository belongs to another user, and git does not trust it. If you do: "
            f"git config --global --add safe.directory {repository.resolve()}"
        )
    if "unknown revision" in said or "bad revision" in said or "ambiguous argument 'HEAD'" in said:
        return f"{repository}: the repository has no commit yet. Try it on one with a few weeks of history."
    last = said.strip().splitlines()[-1][:200] if said.strip() else "it said nothing"
    return f"{repository}: git log failed: {last}. See whether this works: git -C {repository} log -1"
