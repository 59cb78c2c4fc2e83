"""Leaderboard: every contender on every scenario, over several organisations.

Reads  nothing but its arguments. Writes a folder: for each organisation what ``measure`` writes, and in the end the
tables that ``scoring`` takes and ``run.json``.
"""

import hashlib
import json
import multiprocessing
import os
import platform
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from importlib.metadata import entry_points, version
from multiprocessing.managers import SyncManager
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from tokenkit import fingerprint
from tokenkit.bench import scenarios
from tokenkit.bench.detectors import conformal, own, registry
from tokenkit.bench.detectors.contender import YOURS, Contender
from tokenkit.bench.measure import Job, measure_organisation, put, put_text
from tokenkit.bench.profiles import PROFILES, Profile
from tokenkit.config import DETECTORS_GROUP, code_digest
from tokenkit.errors import InputError, did_you_mean
from tokenkit.progress import Progress, silent

GROUPS = (DETECTORS_GROUP, fingerprint.GROUP)  # what other packages may add
TABLES = ("trials", "alerts", "benign", "runs", "windows", "reachable")


@dataclass(frozen=True)
class Results:
    """The tables of a run (``scoring``, ``metrics.reachable``), and ``run``: how and of what they were made."""

    trials: pd.DataFrame
    alerts: pd.DataFrame
    benign: pd.DataFrame
    runs: pd.DataFrame
    windows: pd.DataFrame
    reachable: pd.DataFrame
    scenarios: pd.DataFrame
    run: dict[str, Any]


def run(
    folder: Path,
    profile: str = "smoke",
    yours: Sequence[Any] = (),
    chosen: Sequence[str] = (),
    seeds: Sequence[int] = (),
    processes: int = 2,
    progress: Progress = silent,
    contenders: Sequence[str] = (),
) -> Results:
    """Run the bench, or what is left of a run that was killed.

    Parameters
    ----------
    folder : where organisations and results are kept
    profile : small, smoke, standard or full
    yours : detectors of your own: ``path/to/module.py:Class``, a class, an object, or ``own.load``
    chosen : ids of scenarios; all without
    seeds : organisations; those of the profile without
    processes : organisations at a time
    progress : function of stage, done, total
    contenders : names and groups of the registry; those of the profile without

    Raises
    ------
    InputError
        There is no such profile, scenario or contender, or the same run is at work in the folder.
    DetectorError
        A detector of yours is refused (``leaks``); says why.
    """
    if profile not in PROFILES:
        raise InputError(f"no profile {profile!r}; {did_you_mean(profile, list(PROFILES))}")
    size = PROFILES[profile]
    ids = list(dict.fromkeys(scenarios.get(one).id for one in chosen)) or list(scenarios.ALL)
    brought = [one if isinstance(one, Contender) else own.load(one) for one in yours]
    taking_part = [*registry.choose(contenders or size.contenders), *brought]
    names = [one.name for one in taking_part]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise InputError(f"two detectors are called {twice[0]!r}: give yours another name")
    root = folder / f"{profile}-{digest(size, taking_part, ids)}"
    root.mkdir(parents=True, exist_ok=True)
    jobs = [Job(root, seed, size, names, ids, own.pack(brought)) for seed in dict.fromkeys(seeds or size.seeds)]
    try:
        with FileLock(root / "lock", timeout=0):
            written_last = root / "run.json"
            if written_last.exists() and json.loads(written_last.read_text())["seeds"] == [job.seed for job in jobs]:
                return read(root)
            code = code_digest()[:12]  # of what is running now, whatever is edited meanwhile
            _run_jobs(jobs, processes, progress)
            return _collect(root, profile, jobs, code)
    except Timeout:
        raise InputError(f"{root}: another run of the same bench is at work there. Wait for it, or name another folder "
                         "with --out") from None  # fmt: skip


def digest(size: Profile, taking_part: Sequence[Contender], ids: Sequence[str]) -> str:
    """What a run is made of: results of another version, scenario or detector are not mistaken for this one's."""
    sources = [hashlib.sha256(one.source).hexdigest() for one in taking_part if one.group == YOURS]
    plug_ins = sorted(f"{p.name} {p.dist.name} {p.dist.version}" for group in GROUPS for p in entry_points(group=group)
                      if p.dist)  # fmt: skip
    names = [one.name for one in taking_part]
    made_of = [code_digest()[:12], libraries(), plug_ins, asdict(size) | {"seeds": []}, names, sources, list(ids)]
    return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:12]


def _run_jobs(jobs: list[Job], processes: int, progress: Progress) -> None:
    """Do every job that is not done in a pool of processes, with one bar for all of them."""
    jobs = [job for job in jobs if not job.is_done]  # a process takes seconds to begin
    if not jobs:
        return
    context = multiprocessing.get_context("spawn")
    manager = SyncManager(ctx=context)
    manager.start(_end_with_parent)
    with manager:
        shares = manager.Queue()
        listener = threading.Thread(target=_listen, args=(shares, len(jobs), progress), daemon=True)
        listener.start()
        with ProcessPoolExecutor(min(processes, len(jobs)), context, initializer=_end_with_parent) as pool:
            for done in as_completed([pool.submit(measure_organisation, job, shares.put) for job in jobs]):
                done.result()
        shares.put(None)
        listener.join(5)


def _end_with_parent() -> None:
    """Let a process of ours end when its parent is killed, so that the run can be taken up at once."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _listen(queue: Any, jobs: int, progress: Progress) -> None:
    shares: dict[int, float] = {}
    while (news := queue.get()) is not None:
        seed, share = news
        shares[seed] = share
        progress("measuring detectors", round(sum(shares.values()) * 1000 / jobs), 1000)


def libraries() -> dict[str, str]:
    """The libraries that scores depend on, and their versions."""
    optional = [conformal.LIBRARY] if conformal.installed() else []
    return {name: version(name) for name in ("pyod", "scikit-learn", "numpy", "pandas", "duckdb", *optional)}


# ---- the whole ----
def _collect(root: Path, profile: str, jobs: list[Job], code: str) -> Results:
    tables = {
        name: pd.concat([pd.read_parquet(p) for job in jobs
                         for p in sorted(job.results.glob(f"{name}*.parquet"))], ignore_index=True)
        for name in TABLES
    }  # fmt: skip
    idle = tables["trials"].groupby("trial")["events"].max() == 0
    nothing = set(idle.index[idle])  # an attack or a change that changed nothing is none
    for name in ("trials", "alerts", "windows", "reachable"):
        tables[name] = tables[name][~tables[name]["trial"].isin(nothing)].reset_index(drop=True)
    shown = [scenarios.get(one) for one in jobs[0].scenarios]
    tables["scenarios"] = pd.DataFrame(
        [[s.id, s.number, s.kind, s.title, list(s.shown_by), s.unit] for s in shown],
        columns=["scenario", "number", "kind", "title", "shown_by", "unit"],
    )
    kinds = tables["scenarios"].set_index("scenario")[["number", "kind"]]
    trials = tables["trials"].drop_duplicates("trial").join(kinds, on="scenario").drop(columns="profile_uid")
    tables["trials"] = trials.reset_index(drop=True)
    seconds = [float((job.results / "done").read_text()) for job in jobs]
    about = {
        "folder": str(root.parent), "profile": profile, "sizes": asdict(jobs[0].profile),
        "seeds": [job.seed for job in jobs],
        "command": " ".join(["tokenkit", *sys.argv[1:]]) if Path(sys.argv[0]).name.startswith("tokenkit") else "",
        "seed_minutes": [round(s / 60, 1) for s in seconds],
        "version": version("tokenkit"), "code": code,
        "python": platform.python_version(), "processors": os.cpu_count(),
        "libraries": libraries(),
    }  # fmt: skip
    for name, table in tables.items():
        put(root, name, table)
    put_text(root / "run.json", json.dumps(about, indent=1) + "\n")
    return Results(**tables, run=about)


def read(folder: Path) -> Results:
    """The newest finished run in a folder of ``run``.

    Raises
    ------
    InputError
        There is none.
    """
    runs = sorted(folder.glob("**/run.json"), key=lambda path: path.stat().st_mtime)
    if not runs:
        raise InputError(f"{folder}: there is no finished run of the bench. Make one: tokenkit bench run")
    root = runs[-1].parent
    tables = {name: pd.read_parquet(root / f"{name}.parquet") for name in (*TABLES, "scenarios")}
    return Results(**tables, run=json.loads(runs[-1].read_text()))
