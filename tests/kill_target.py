"""What test_kill.py kills: the command line with many small commits, in a child of a process that has imported it all.

    python kill_target.py ARGUMENTS...     reads one line a run from standard input: KILL

For each line a child runs ``tokenkit ARGUMENTS``. KILL says where it dies (SIGKILL): at a point by its name, at its
N-th write to the lake (``write N``), or nowhere (empty). Its exit code is printed.
Imports take as long as the work on a small organisation, so they are done once.
"""

import os
import pkgutil
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import tokenkit.ingest
from tokenkit.cli import main, pipeline  # noqa: F401
from tokenkit.report import publishing  # noqa: F401
from tokenkit.store import lake

EVENTS_A_COMMIT = 150  # so that a kill falls between commits, too
# name: the function at which the run dies, whether before or after it, and what it is called with (None: anything)
POINTS: dict[str, tuple[str, str, str | None]] = {
    "owners stored, not noted": ("tokenkit.store.state.save_stage_digests", "before", "inventory"),
    "dimensions stored, no events": ("tokenkit.store.lake.append", "before", "events"),
    "events stored, files pending": ("tokenkit.store.lake.append", "after", "events"),
    "some tables of activity stored": ("tokenkit.store.lake.replace_days", "before", "activity_operation"),
    "activity stored, not noted": ("tokenkit.store.state.save_stage_digests", "before", "activity"),
    "activity noted, seen not stored": ("tokenkit.store.lake.replace", "before", "seen"),
    "seen stored, not noted": ("tokenkit.store.state.save_stage_digests", "before", "seen"),
    "fingerprint stored, not noted": ("tokenkit.store.state.save_stage_digests", "before", "fingerprint"),
    "deviations stored, scores not": ("tokenkit.store.lake.replace_days", "before", "scores"),
    "report published, not remembered": ("tokenkit.run.remember", "before", None),
    "report remembered, lake not tidied": ("tokenkit.store.lake.tidy", "before", None),
}


def die_at(point: str) -> None:
    """Let this process die when it comes to a named point."""
    name, when, argument = POINTS[point]
    path, attribute = name.rsplit(".", 1)
    owner = pkgutil.resolve_name(path)
    function = getattr(owner, attribute)

    def deadly(*arguments: Any, **more: Any) -> Any:
        here = argument is None or argument in [a for a in arguments if isinstance(a, str)]
        if here and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*arguments, **more)
        if here:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, attribute, deadly)


def die_at_write(number: int) -> None:
    """Let this process die at its write of that number to the lake."""
    writes = 0

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def write(*arguments: Any, **more: Any) -> Any:
            nonlocal writes
            writes += 1
            if writes == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **more)

        return write

    for name in ("append", "grow_dimension", "replace", "replace_days"):
        setattr(lake, name, counted(getattr(lake, name)))


def child(arguments: list[str], kill: str) -> None:
    tokenkit.ingest.EVENTS_A_COMMIT = EVENTS_A_COMMIT
    if kill in POINTS:
        die_at(kill)
    elif kill:
        die_at_write(int(kill.removeprefix("write ")))
    sys.argv = ["tokenkit", *arguments]
    os.dup2(2, 1)
    main()


if __name__ == "__main__":
    for library in ("nbformat.validator", "papermill", "pyod.models.iforest"):  # after our own, which imports less
        import_module(library)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                child(sys.argv[1:], line.strip())
            except SystemExit as left:
                os._exit(int(left.code or 0))
            except BaseException:
                import traceback

                traceback.print_exc()
                os._exit(99)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
