"""Kernel: execute a notebook with the Python that is running now, in a plain environment, silently.

Papermill does it. What is fixed here: the kernel is this interpreter whatever kernels are installed for the user and
whether or not a virtual environment is active; cells travel over a socket file that only this user can open, not over
loopback; of the environment only what is named below reaches the notebook, so that it cannot print a secret of the
shell; and no profile of the user's runs code first.
"""

import os
import re
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

# what a notebook may see of the environment: where things are, the language, and how many cores to use
_KEPT = re.compile(
    r"(PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|TEMP|TMP|SYSTEMROOT|LD_LIBRARY_PATH|VIRTUAL_ENV|PYTHONPATH|"
    r"PYTHONTZPATH|XDG_\w+|MPLCONFIGDIR|\w+_NUM_THREADS|LOKY_MAX_CPU_COUNT|COVERAGE_\w+|TOKENKIT_\w+)"
)


def execute(notebook: Path, output: Path, parameters: dict[str, Any]) -> Any:
    """Run all cells and return the notebook with its outputs; ``output`` is written at the end, also of a failure.

    Raises whatever papermill, nbclient or the kernel raise.
    """
    import papermill
    from papermill.engines import papermill_engines

    papermill_engines.register("save at the end", _engine())
    with tempfile.TemporaryDirectory(prefix="tokenkit-") as scratch:
        return papermill.execute_notebook(
            _literal(notebook),
            _literal(output),
            parameters=parameters,
            progress_bar=False,
            log_output=False,
            engine_name="save at the end",
            kernel_name="python3",
            language="python",
            kernel_manager_class=_manager(Path(scratch)),
            start_timeout=120,
            cwd=str(Path.cwd()),
        )


def _literal(path: Path) -> str:
    """The path for papermill, which puts parameters in the place of names in braces."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _engine() -> type:
    """Papermill's engine, but for saving the notebook before and after each cell: it saves when the notebook ends."""
    from papermill.engines import NBClientEngine

    class SaveAtTheEnd(NBClientEngine):
        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, *given: Any, **named: Any) -> Any:
            save, nb_man.save = nb_man.save, lambda **_: None
            try:
                return super().execute_managed_notebook(nb_man, *given, **named)
            finally:
                nb_man.save = save

    return SaveAtTheEnd


def _manager(scratch: Path) -> type:
    """A kernel manager that starts this interpreter. ``scratch`` holds its sockets and settings."""
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpec

    # without -X frozen_modules=off the debugger warns on every start
    launch = ["-Xfrozen_modules=off", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    # at shutdown it may log that it was interrupted, into the log of a run that went well; what fails is raised here
    argv = [sys.executable, *launch, "--IPKernelApp.log_level=CRITICAL"]
    # a socket's path may have 107 bytes
    over_file = sys.platform != "win32" and len(os.fsencode(scratch)) < 70

    class ThisPython(AsyncKernelManager):
        @property
        def kernel_spec(self) -> KernelSpec:
            return KernelSpec(argv=argv, display_name="Python 3", language="python")

        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.connection_file = str(scratch / "kernel.json")
            if over_file:
                self.transport = "ipc"
                self.ip = str(scratch / "k")

        async def _async_pre_start_kernel(self, **kwargs: Any) -> Any:
            return await super()._async_pre_start_kernel(**kwargs | {"env": environment(scratch)})

    return ThisPython


def environment(scratch: Path) -> dict[str, str]:
    """The environment of the notebook."""
    env = {name: value for name, value in os.environ.items() if _KEPT.fullmatch(name)}
    package = str(Path(__file__).resolve().parents[3])
    installed = (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
    if package not in installed:  # a checkout; it may not be installed
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [package, env.get("PYTHONPATH")]))
    return env | {
        "IPYTHONDIR": str(scratch / "ipython"),
        "PYTHONHASHSEED": "0",
        "MPLBACKEND": "agg",
        "JPY_PARENT_PID": str(os.getpid()),
    }


def where(error: Exception) -> str:
    """The cell at which it stopped: its number, id and first line."""
    index, source = getattr(error, "cell_index", None), getattr(error, "source", None)
    if index is None:
        return "while it ran" if "kernel" in str(error).lower() else "after the last cell"
    lines = [line for line in (source or "").splitlines() if line.strip() and not line.startswith("#")]
    return f"cell {index + 1} ({lines[0][:80]})" if lines else f"cell {index + 1}"


def what(error: Exception) -> str:
    """The error in one line."""
    name, value = getattr(error, "ename", None), getattr(error, "evalue", None)
    if name is None:
        name, value = type(error).__name__, str(error)
    if name == "DeadKernelError":
        return "the kernel died: it was killed, or the machine had no memory left"
    lines = plain(str(value)).strip().splitlines()
    return f"{name}: {lines[0]}" if lines else str(name)


def plain(text: str) -> str:
    """Text without the codes that colour a terminal."""
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)
