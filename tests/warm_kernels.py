"""Kernels that a process forks which has imported already what the notebooks import: half a page's CPU time.

Each is a process of its own with the environment that the launcher gives it; only its imports are not its own.
"""

import multiprocessing
import os
import signal
import sys
import time
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.provisioning import local_provisioner

IMPORTED = ["warm_kernels", "ipykernel.kernelapp", "ipykernel.ipkernel", "tokenkit.report.parts",
            "tokenkit.judge.facts", "matplotlib.figure", "matplotlib.backends.backend_agg"]  # fmt: skip
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(IMPORTED)
OF_THE_NOTEBOOK = {"IPYTHONDIR", "JPY_PARENT_PID", "JPY_SESSION_NAME"}  # of one and not of another


class Kernel:
    """What the provisioner uses of ``subprocess.Popen``, of a forked kernel."""

    stdin = stdout = stderr = None

    def __init__(self, process: Any):
        self.process, self.pid = process, process.pid

    def poll(self) -> int | None:
        return self.process.exitcode

    def wait(self) -> int | None:
        self.process.join()
        return self.process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def be_a_kernel(arguments: list[str], env: dict[str, str], cwd: str) -> None:
    os.setsid()
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.path.remove(str(Path(__file__).parent))  # a notebook finds no test
    sys.argv = ["ipykernel_launcher", *arguments]
    from ipykernel import kernelapp

    kernelapp.launch_new_instance()


def environment(env: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name not in OF_THE_NOTEBOOK}


class WarmKernels:
    """``jupyter_client``'s way to launch a kernel; one of another environment than the first had starts afresh."""

    def __init__(self) -> None:
        self.launch = local_provisioner.launch_kernel
        self.env: dict[str, str] | None = None

    def __call__(self, command: list[str], env: dict[str, str], cwd: str | None = None, **more: Any) -> Any:
        if self.env is None:
            self.env = environment(env)
            with pytest.MonkeyPatch.context() as patch:  # who forks has the environment of its first kernel
                patch.setattr(os, "environ", env)
                forkserver.ensure_running()
        if "ipykernel_launcher" not in command or environment(env) != self.env or command[0] != sys.executable:
            return self.launch(command, env=env, cwd=cwd, **more)
        arguments = command[command.index("ipykernel_launcher") + 1 :]
        process = PROCESSES.Process(target=be_a_kernel, args=(arguments, env, cwd or str(Path.cwd())))
        process.start()
        while process.is_alive() and os.getpgid(process.pid) != process.pid:  # it is signalled as a group of its own
            time.sleep(0.001)
        return Kernel(process)
