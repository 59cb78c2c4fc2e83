"""Commands at the same time, each in a process of its own, forked from one that has imported what they import.

    python at_once.py     reads one line of JSON a time from standard input: {"commands": [[folder, word, ...], ...],
                          "kill_after_s": number or null}

All commands of a line are started together; where ``kill_after_s`` is given, each gets SIGKILL so many seconds later,
if it is still there. Their exit codes are printed as a JSON array (-9: killed).
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

Together = Callable[..., list[int]]
IMPORTED = ("tokenkit.cli.pipeline", "tokenkit.cli.lake", "tokenkit.run", "tokenkit.maintenance.compaction")


@contextmanager
def together() -> Iterator[Together]:
    """Run commands at the same time: ``ask([folder, "lake", "compact"], ..., kill_after_s=0.1)`` gives exit codes."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", __file__],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip

    def ask(*commands: list[object], kill_after_s: float | None = None) -> list[int]:
        asked = {"commands": [[str(word) for word in words] for words in commands], "kill_after_s": kill_after_s}
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(asked) + "\n")
        process.stdin.flush()
        return list(json.loads(process.stdout.readline()))

    yield ask
    process.communicate()


def child(folder: str, *words: str) -> int:
    from tokenkit.cli import main

    os.dup2(2, 1)
    os.chdir(folder)
    sys.argv = [str(Path(sys.executable).parent / "tokenkit"), *words]
    try:
        main()
    except SystemExit as left:
        return int(left.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
        return 99
    return 0


if __name__ == "__main__":
    for module in IMPORTED:
        import_module(module)
    for line in sys.stdin:
        asked = json.loads(line)
        pids = []
        for folder, *words in asked["commands"]:
            pid = os.fork()
            if pid == 0:
                os._exit(child(folder, *words))
            pids.append(pid)
        if asked.get("kill_after_s") is not None:
            time.sleep(asked["kill_after_s"])
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
        print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]), flush=True)
