"""Doctor: check the installation and the workspace; each check says what it found and what to do."""

import importlib
import shutil
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from deltalake.exceptions import DeltaError

from tokenkit import config, identity, report
from tokenkit.channels import weights
from tokenkit.errors import TokenkitError
from tokenkit.incidents import words
from tokenkit.sources.fields.networks import open_databases
from tokenkit.store import lake, state

PACKAGES = (
    "jupyterlab",
    "pandas",
    "pyod",
    "matplotlib",
    "seaborn",
    "papermill",
    "ipywidgets",
    "duckdb",
    "deltalake",
    "ipykernel",
)
FREE_GB = 1.0


@dataclass(frozen=True)
class Check:
    """One check: its name, whether it is in order, what was found, and what to do where it is not."""

    name: str
    ok: bool
    found: str
    do: str = ""


def check() -> list[Check]:
    """Check Python, packages, the notebook, the kernel, and the workspace around the current folder."""
    checks = [
        Check("Python", (3, 11) <= sys.version_info[:2] < (3, 14), sys.version.split()[0], "Use Python 3.11 to 3.13."),
        *[_package(name) for name in PACKAGES],
        _kernel(),
        _try("report notebook", lambda: str(report.find_notebook("03_anomaly_report")), "Install tokenkit again."),
    ]
    try:
        workspace = config.find()
    except TokenkitError as error:
        return [*checks, Check("workspace", False, str(error), "Correct tokenkit.toml.")]
    if workspace is None:
        return [*checks, Check("workspace", True, f"none at or above {Path.cwd()} (tokenkit init DIR makes one)")]
    free = shutil.disk_usage(workspace.root).free / 1e9
    checks += [
        Check("workspace", True, str(workspace.root)),
        Check(
            "disk", free > FREE_GB, f"{free:.1f} GB free", "Free some space: a run needs room to spill and to write."
        ),
        _key(workspace),
        _try("lake", lambda: _lake(workspace), "Restore lake/ from a backup, or start anew: tokenkit init DIR"),
        _try("weights", lambda: _weights(workspace), "Take your own back: tokenkit tune forget"),
        _try("networks", lambda: _networks(workspace), "Correct networks.database in tokenkit.toml, or take it out."),
        _try("state", lambda: _state(workspace), "Restore state.db from a backup, with its -wal and -shm files."),
    ]
    return checks


def _package(name: str) -> Check:
    try:
        importlib.import_module(name)
        return Check(name, True, version(name))
    except (ImportError, PackageNotFoundError) as error:
        return Check(name, False, str(error), "Install tokenkit again, with its dependencies.")


def _kernel() -> Check:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        return Check("kernel", True, f"python3 at {KernelSpecManager().get_kernel_spec('python3').resource_dir}")
    except NoSuchKernel:
        return Check("kernel", False, "no kernel named python3", f"{sys.executable} -m ipykernel install --sys-prefix")


def _key(workspace: config.Workspace) -> Check:
    try:
        if not workspace.state.exists():
            return Check("key", True, "made on first use")
        with state.connect(workspace.state) as db:
            check = state.get_meta(db, "key_check")
        same = check is None or identity.key_check(identity.load_key(workspace.key)) == check
    except TokenkitError as error:
        return Check("key", False, "missing or unreadable", str(error))
    except sqlite3.DatabaseError:
        return Check("key", True, "cannot be compared: see state")
    private = not workspace.key.exists() or workspace.key.stat().st_mode & 0o077 == 0
    if not same:
        return Check(
            "key", False, "another key than the one the lake was made with", "Restore the former key from a backup."
        )
    return Check("key", private, "the lake's own" if private else "readable by others", f"chmod 600 {workspace.key}")


def _weights(workspace: config.Workspace) -> str:
    found = weights.of_workspace(workspace)
    if found is weights.shipped():
        return "as tokenkit has them"
    by = f", by {found.trained['set_by']}" if "set_by" in found.trained else ""
    on = f" on {found.trained['set_on']}" if "set_on" in found.trained else ""
    return f"your own{by}{on}"


def _networks(workspace: config.Workspace) -> str:
    opened = open_databases(workspace.network_databases).opened
    files = [f"{database.path.name}: {database.kind} of {database.made:%Y-%m-%d}" for database in opened]
    return "; ".join(files) or "no file says what kind they are (networks.database)"


def _lake(workspace: config.Workspace) -> str:
    for name in lake.versions(workspace.lake):
        missing = lake.missing_files(workspace.lake, name)
        if missing:
            raise FileNotFoundError(f"{name}: {len(missing)} of its files are missing, such as {missing[0].name}")
    return f"{len(lake.days(workspace.lake, 'events'))} days of events"


def _state(workspace: config.Workspace) -> str:
    if not workspace.state.exists():
        return "made on first use"
    with state.connect(workspace.state) as db:
        last = state.last_run(db)
        aside = len(state.still_quarantined(db))
    text = f"last report {last['run_uid']} to {last['end']}" if last else "no report yet"
    return text + (f"; {words.plural(aside, 'piece')} set aside" if aside else "")


def _try(name: str, look: Callable[[], str], do: str) -> Check:
    try:
        return Check(name, True, look())
    except (TokenkitError, OSError, DeltaError, sqlite3.DatabaseError) as error:
        return Check(name, False, str(error).splitlines()[0], do)
