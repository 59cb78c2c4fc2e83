"""What test_kill.py kills: the command line with many small commits, in a child of a process that has imported it all.

    python kill_target.py ARGUMENTS...     reads seconds from standard input, one line a run; -1: let it end

For each line a child runs ``tokenkit ARGUMENTS`` and is killed (SIGKILL) after so many seconds; its exit code and how
long it lived are printed. Imports take as long as the work on a small organisation, and a kill in them shows nothing.
"""

import os
import signal
import sys
import time

import tokenkit.ingest
from tokenkit.cli import main, pipeline  # noqa: F401
from tokenkit.report import publishing  # noqa: F401
from tokenkit.store import lake  # noqa: F401

EVENTS_A_COMMIT = 150  # so that a kill falls between commits, too


def child(arguments: list[str]) -> None:
    tokenkit.ingest.EVENTS_A_COMMIT = EVENTS_A_COMMIT
    sys.argv = ["tokenkit", *arguments]
    os.dup2(2, 1)
    main()


if __name__ == "__main__":
    for line in sys.stdin:
        began, seconds = time.monotonic(), float(line)
        pid = os.fork()
        if pid == 0:
            try:
                child(sys.argv[1:])
            except SystemExit as left:
                os._exit(int(left.code or 0))
            except BaseException:
                import traceback

                traceback.print_exc()
                os._exit(99)
            os._exit(0)
        ended, status = 0, 0
        while not ended:
            if 0 <= seconds <= time.monotonic() - began:
                os.kill(pid, signal.SIGKILL)
                ended, status = os.waitpid(pid, 0)
                break
            time.sleep(0.002)
            ended, status = os.waitpid(pid, os.WNOHANG)
        print(os.waitstatus_to_exitcode(status), time.monotonic() - began, flush=True)
