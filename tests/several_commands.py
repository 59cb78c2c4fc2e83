"""Commands one after the other, each in a process of its own, forked from one that has imported what they import.

    python several_commands.py     reads one line a command from standard input: [folder, file, word, ...] as JSON

Each runs ``tokenkit`` with its words in its folder, and writes both standard output and standard error to its file.
Its exit code is printed. To start the command line takes seconds of imports; this process takes them once.
"""

import json
import os
import sys
from importlib import import_module
from pathlib import Path

IMPORTED = ("tokenkit.cli.pipeline", "tokenkit.run", "tokenkit.report.publishing", "papermill", "pyod.models.iforest")


def child(folder: str, file: str, *words: str) -> None:
    from tokenkit.cli import main

    written = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_APPEND)
    os.dup2(written, 1)
    os.dup2(written, 2)
    os.chdir(folder)
    sys.argv = [str(Path(sys.executable).parent / "tokenkit"), *words]
    main()


if __name__ == "__main__":
    for module in IMPORTED:
        import_module(module)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            code = 99
            try:
                child(*json.loads(line))
                code = 0
            except SystemExit as left:
                code = int(left.code or 0)
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
