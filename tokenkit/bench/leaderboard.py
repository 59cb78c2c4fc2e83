"""Leaderboard: every detector on every scenario, over several organisations, in pieces that a killed run keeps.

Reads  nothing but its arguments. Writes a folder: for each organisation the lake it was measured in and one file of
results a piece, and in the end the tables that ``scoring`` takes and ``run.json``.
A piece is written once and whole; what is there is not done again. The truth is in the folder of the results, and no
part of the pipeline is given its path.
"""

import hashlib
import json
import multiprocessing
import os
import platform
import shutil
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from importlib.metadata import entry_points, version
from multiprocessing.managers import SyncManager
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from tokenkit import fingerprint
from tokenkit.bench import cases, protocol, raised, scenarios
from tokenkit.bench.detectors import entrants, leaks
from tokenkit.bench.protocol import Entrant
from tokenkit.bench.scenarios.scenario import Scenario
from tokenkit.bench.trials import benign, draws, overlay, variants
from tokenkit.bench.trials.benign import Benign
from tokenkit.config import DETECTORS_GROUP
from tokenkit.errors import InputError, did_you_mean
from tokenkit.normal import deviation
from tokenkit.progress import Progress, silent

TWINS_A_PIECE = 120
GROUPS = (DETECTORS_GROUP, fingerprint.GROUP)  # what other packages may add
TABLES = ("trials", "alerts", "benign", "runs", "windows")


@dataclass(frozen=True)
class Profile:
    """How large a run is: tokens of an organisation, organisations, trials of each scenario and intensity in each.

    ``grid``: all intensities, or the one in the middle.
    """

    tokens: int
    seeds: tuple[int, ...]
    each: int
    grid: bool
    groups: tuple[str, ...]


SOME = (entrants.TOKENKIT, "controls", "IForest, deviations")
PROFILES = {
    "smoke": Profile(100, (0, 1), 1, False, SOME),
    "standard": Profile(300, (0, 1), 8, True, (entrants.TOKENKIT, "channels", "pyod", "controls", "ablation")),
    "full": Profile(1000, (0, 1, 2, 3, 4), 13, True, (entrants.TOKENKIT, "channels", "pyod", "controls", "ablation")),
}


@dataclass(frozen=True)
class Job:
    """What one process does: everything of one organisation."""

    folder: Path
    seed: int
    profile: Profile
    entrants: list[str]
    detectors: list[str]
    scenarios: list[str]


@dataclass(frozen=True)
class Results:
    """The tables of a run (``scoring``) and what made them."""

    trials: pd.DataFrame
    alerts: pd.DataFrame
    benign: pd.DataFrame
    runs: pd.DataFrame
    windows: pd.DataFrame
    scenarios: pd.DataFrame
    made: dict[str, Any]


def run(
    folder: Path,
    profile: str = "smoke",
    detectors: Sequence[str] = (),
    chosen: Sequence[str] = (),
    seeds: Sequence[int] = (),
    processes: int = 2,
    progress: Progress = silent,
) -> Results:
    """Run the bench, or what is left of a run that was killed.

    Parameters
    ----------
    folder : where organisations and results are kept
    profile : smoke, standard or full
    detectors : your own, each ``path/to/module.py:Class``
    chosen : ids of scenarios and confounders; all without
    seeds : organisations; those of the profile without
    processes : organisations at a time
    progress : function of stage, done, total

    Raises
    ------
    InputError
        There is no such profile or scenario, or the same run is at work in the folder.
    DetectorError
        A detector of yours is refused (``leaks``); says why.
    """
    if profile not in PROFILES:
        raise InputError(f"no profile {profile!r}; {did_you_mean(profile, list(PROFILES))}")
    size = PROFILES[profile]
    ids = [scenarios.get(one).id for one in chosen] or [*scenarios.SCENARIOS, *scenarios.CONFOUNDERS]
    names = [one.name for one in entrants.choose(list(size.groups))]
    for where in detectors:
        names.append(entrants.own(where).name)
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise InputError(f"two detectors are called {twice[0]!r}: give yours another name")
    root = folder / f"{profile}-{digest(size, names, detectors, ids)}"
    root.mkdir(parents=True, exist_ok=True)
    jobs = [Job(root, seed, size, names, list(detectors), ids) for seed in seeds or size.seeds]
    try:
        with FileLock(root / "lock", timeout=0):
            told = root / "run.json"
            if told.exists() and json.loads(told.read_text())["seeds"] == [job.seed for job in jobs]:
                return read(root)  # written last
            code = cases.code_digest()  # of what is running now, whatever is edited meanwhile
            _all(jobs, processes, progress)
            return _collect(root, profile, jobs, code)
    except Timeout:
        raise InputError(f"{root}: another run of the same bench is at work there. Wait for it, or name another folder "
                         "with --out") from None  # fmt: skip


def digest(size: Profile, names: Sequence[str], detectors: Sequence[str], ids: Sequence[str]) -> str:
    """What a run is made of: results of another version, scenario or detector are not taken for this one's."""
    own = [hashlib.sha256(entrants.source_of(where)).hexdigest() for where in detectors]
    plug_ins = sorted(f"{p.name} {p.dist.name} {p.dist.version}" for group in GROUPS for p in entry_points(group=group)
                      if p.dist)  # fmt: skip
    made_of = [cases.code_digest(), libraries(), plug_ins, asdict(size) | {"seeds": []}]
    told = json.dumps([made_of, *map(list, (names, detectors, own, ids))])
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def libraries() -> dict[str, str]:
    """The libraries that scores depend on, and their versions."""
    return {name: version(name) for name in ("pyod", "scikit-learn", "numpy", "pandas", "duckdb")}


def _all(jobs: list[Job], processes: int, progress: Progress) -> None:
    """Every job in a pool of processes, with one bar for all of them."""
    context = multiprocessing.get_context("spawn")
    manager = SyncManager(ctx=context)
    manager.start(_end_with_parent)
    with manager:
        heard = manager.Queue()
        listener = threading.Thread(target=_listen, args=(heard, len(jobs), progress), daemon=True)
        listener.start()
        with ProcessPoolExecutor(min(processes, len(jobs)), context, initializer=_end_with_parent) as pool:
            for done in as_completed([pool.submit(organisation, job, heard.put) for job in jobs]):
                done.result()
        heard.put(None)
        listener.join(5)


def _end_with_parent() -> None:
    """Let a process of ours end when its parent is killed, so that the run can be taken up at once."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _listen(heard: Any, jobs: int, progress: Progress) -> None:
    shares: dict[int, float] = {}
    while (said := heard.get()) is not None:
        seed, share = said
        shares[seed] = share
        progress("measuring detectors", round(sum(shares.values()) * 1000 / jobs), 1000)


# ---- one organisation ----
def organisation(job: Job, tell: Callable[[tuple[int, float]], None] = lambda said: None) -> None:
    """Simulate, measure and attack one organisation; what is there already is not done again."""
    here = job.folder / f"seed-{job.seed}"
    here.mkdir(parents=True, exist_ok=True)
    with FileLock(here / "lock"):
        if (here / "done").exists():
            tell((job.seed, 1.0))
            return
        begun = time.monotonic()
        ground = benign.simulated(here / "ground", job.seed, job.profile.tokens)
        tell((job.seed, 0.25))
        taking_part = _taking_part(job)
        events = draws.events_of(ground, draws.pool(ground))
        trials = _planned(ground, job, events)
        fitted = []
        for entrant in taking_part:
            if job.detectors and entrant.sees == "yours":
                leaks.refuse(ground, entrant)
            fitted.append(protocol.fit(ground, entrant, job.seed))
        stable = _stability(here, ground, taking_part, fitted)
        tell((job.seed, 0.35))
        broken = protocol.policy_windows(ground.workspace, ground.evidence)
        put(here, "benign", pd.concat([raised.benign_incidents(f, ground, broken) for f in fitted]))
        usual = {f.entrant.name: raised.as_usual(f.scores, broken) for f in fitted}
        sampled = [raised.windows(f, ground, None, None) for f in fitted]
        pieces = _pieces(trials)
        for number, piece in enumerate(pieces):
            _piece(here, f"{number:04d}", ground, piece, fitted, events, usual)
            tell((job.seed, 0.35 + 0.5 * (number + 1) / len(pieces)))
        _variants(here, job, ground, [e for e in taking_part if e.name in _in_variants(job)], events, broken)
        put(here, "windows", pd.concat([*sampled, raised.as_oracle(sampled[0])]))
        put(here, "runs", _runs(here, ground, fitted).merge(stable, how="left", on="detector"))
        (here / "done").write_text(f"{time.monotonic() - begun:.0f}\n")  # seconds, since it was last taken up
        shutil.rmtree(here / "ground", ignore_errors=True)


def _taking_part(job: Job) -> list[Entrant]:
    mine = {entrants.own(where).name: entrants.own(where) for where in job.detectors}
    every = {entrant.name: entrant for entrant in entrants.choose()} | mine
    return [every[name] for name in job.entrants]


def _planned(ground: Benign, job: Job, events: dict[str, pd.DataFrame]) -> list[draws.Trial]:
    cells: list[tuple[Scenario, float]] = []
    for one in job.scenarios:
        found = scenarios.get(one)
        grid = found.intensities if job.profile.grid else (found.intensities[len(found.intensities) // 2],)
        cells += [(found, intensity) for intensity in grid]
    return draws.draw(ground, cells, job.profile.each, events, job.seed * 1_000_000)


def _pieces(trials: Sequence[draws.Trial]) -> list[list[draws.Trial]]:
    pieces: list[list[draws.Trial]] = []
    for trial in trials:
        if not pieces or sum(t.scenario.cohort for t in pieces[-1]) >= TWINS_A_PIECE:
            pieces.append([])
        pieces[-1].append(trial)
    return pieces


def _piece(
    here: Path, name: str, ground: Benign, trials: list[draws.Trial], fitted: list[protocol.Fitted],
    events: dict[str, pd.DataFrame], usual: dict[str, pd.DataFrame],
) -> None:  # fmt: skip
    if (here / f"trials-{name}.parquet").exists():  # written last
        return
    twins = here / "twins"
    shutil.rmtree(twins, ignore_errors=True)
    attacked = overlay.attack(ground, trials, events, twins)
    broken = protocol.policy_windows(attacked.workspace, attacked.evidence)
    alerts, windows, cost = [raised.oracle(attacked)], [], []
    for one in fitted:
        begun = time.process_time()
        rows = protocol.surprise(one, attacked.evidence)
        cost.append([one.entrant.name, time.process_time() - begun])
        alerts.append(raised.alerts(one, attacked, broken, usual[one.entrant.name], rows))
        windows.append(raised.windows(one, ground, attacked, rows))
    put(here, f"alerts-{name}", pd.concat(alerts, ignore_index=True))
    put(here, f"windows-{name}", pd.concat([*windows, raised.as_oracle(windows[0])], ignore_index=True))
    put(here, f"taken-{name}", attacked.taken)
    put(here, f"cost-{name}", pd.DataFrame(cost, columns=["detector", "score_s"]))
    put(here, f"trials-{name}", attacked.trials)
    shutil.rmtree(twins)


def _in_variants(job: Job) -> set[str]:
    """Who takes part in the dirty and poisoned variants: all but the ablations, where the grid is full."""
    if not job.profile.grid:
        return set()
    mine = {entrants.own(where).name for where in job.detectors}
    return mine | {one.name for one in entrants.choose([entrants.TOKENKIT, "controls", "IForest, deviations"])}


def _variants(
    here: Path, job: Job, ground: Benign, taking_part: list[Entrant], events: dict[str, pd.DataFrame],
    rules: pd.DataFrame,
) -> None:  # fmt: skip
    """The dirty and the poisoned variant, each scenario at its middle intensity; ``rules`` are broken anyway."""
    attacks = [found for found in map(scenarios.get, job.scenarios) if found.kind == "attack"]
    cells = [(found, found.intensities[len(found.intensities) // 2]) for found in attacks]
    if not taking_part or not cells:
        return
    first = job.seed * 1_000_000
    if not (here / "runs-dirty.parquet").exists():
        changed, others = variants.dirty(ground, events, here / "twins")
        fitted = [protocol.fit(changed, entrant, job.seed) for entrant in taking_part]
        broken = protocol.policy_windows(changed.workspace, changed.evidence)
        theirs = {f.entrant.name: raised.as_usual(f.scores, broken) for f in fitted}
        trials = draws.draw(changed, cells, job.profile.each, others, first + 500_000, variants.DIRTY)
        for number, piece in enumerate(_pieces(trials)):
            _piece(here, f"dirty-{number:04d}", changed, piece, fitted, others, theirs)
        put(here, "runs-dirty", _runs(here, changed, fitted, variants.DIRTY))
    if (here / "runs-poisoned.parquet").exists():
        return
    told, alerts, fitted = [], [], []
    for changed, attacked in variants.poisoned(ground, cells, job.profile.each, events, first + 700_000,
                                               here / "twins"):  # fmt: skip
        broken = protocol.policy_windows(attacked.workspace, attacked.evidence, attacked.called)
        fitted = [protocol.fit(changed, entrant, job.seed) for entrant in taking_part]
        mine = attacked.trials["profile_uid"].unique()
        alone = deviation.of_profiles(ground.evidence, pd.Index(ground.evidence.days.profiles).get_indexer(mine))
        alerts.append(raised.oracle(attacked))
        for one in fitted:
            rows = one.scores[one.scores["profile_uid"].isin(mine)]
            usual = raised.as_usual(protocol.surprise(one, alone), rules)
            alerts.append(raised.alerts(one, attacked, broken, usual, rows))
        told.append(attacked.trials)
    if told:
        put(here, "alerts-poisoned", pd.concat(alerts, ignore_index=True))
        put(here, "trials-poisoned", pd.concat(told, ignore_index=True))
        put(here, "runs-poisoned", _runs(here, ground, fitted, variants.POISONED))


def _stability(here: Path, ground: Benign, taking_part: list[Entrant], fitted: list[protocol.Fitted]) -> pd.DataFrame:
    """How far the scores of two nights agree, of each detector but the ablations: ``detector``, ``stability``."""
    kept = here / "stability.parquet"
    if not kept.exists():
        apart, before = {one.name for one in entrants.choose(["ablation"])}, benign.a_day_earlier(ground)
        rows = [
            [e.name, protocol.stability(f, protocol.fit(before, e, ground.seed, []), ground.start)]
            for e, f in zip(taking_part, fitted, strict=True) if e.name not in apart
        ]  # fmt: skip
        put(here, "stability", pd.DataFrame(rows, columns=["detector", "stability"]))
    return pd.read_parquet(kept)


def _runs(here: Path, ground: Benign, fitted: list[protocol.Fitted], variant: str = "clean") -> pd.DataFrame:
    names = "cost-[0-9]*.parquet" if variant == "clean" else f"cost-{variant}*.parquet"
    pieces = [pd.read_parquet(path) for path in sorted(here.glob(names))]
    spent = pd.concat(pieces).groupby("detector")["score_s"].sum() if pieces else pd.Series(dtype=float)
    same = {"seed": ground.seed, "variant": variant, "profiles": len(ground.evidence.days.profiles),
            "days": (ground.end - ground.start).days}  # fmt: skip
    rows = [{"detector": f.entrant.name, **same, "fit_s": f.fit_s,
             "score_s": f.score_s + spent.get(f.entrant.name, 0.0), "rows": len(f.scores)} for f in fitted]  # fmt: skip
    rows.append({"detector": raised.ORACLE, **same, "fit_s": 0.0, "score_s": 0.0, "rows": 0})
    return pd.DataFrame(rows)


def put(here: Path, name: str, table: pd.DataFrame) -> None:
    """Write a table whole or not at all."""
    part = here / f".{name}.part"
    table.to_parquet(part, index=False)
    os.replace(part, here / f"{name}.parquet")


# ---- the whole ----
def _collect(root: Path, profile: str, jobs: list[Job], code: str) -> Results:
    tables = {
        name: pd.concat([pd.read_parquet(p) for job in jobs
                         for p in sorted((root / f"seed-{job.seed}").glob(f"{name}*.parquet"))], ignore_index=True)
        for name in TABLES
    }  # fmt: skip
    idle = tables["trials"].groupby("trial")["events"].max() == 0
    nothing = set(idle.index[idle])  # an attack or a change that changed nothing is none
    for name in ("trials", "alerts", "windows"):
        tables[name] = tables[name][~tables[name]["trial"].isin(nothing)].reset_index(drop=True)
    registry = [scenarios.get(one) for one in jobs[0].scenarios]
    tables["scenarios"] = pd.DataFrame(
        [[s.id, s.number, s.kind, s.title, list(s.shown_by), s.unit] for s in registry],
        columns=["scenario", "number", "kind", "title", "shown_by", "unit"],
    )
    kinds = tables["scenarios"].set_index("scenario")[["number", "kind"]]
    trials = tables["trials"].drop_duplicates("trial").join(kinds, on="scenario").drop(columns="profile_uid")
    tables["trials"] = trials.reset_index(drop=True)
    seconds = [float((root / f"seed-{job.seed}" / "done").read_text()) for job in jobs]
    made = {
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
    (root / "run.json").write_text(json.dumps(made, indent=1) + "\n")
    return Results(**tables, made=made)


def read(folder: Path) -> Results:
    """The newest finished run in a folder of ``run``.

    Raises
    ------
    InputError
        There is none.
    """
    found = sorted(folder.glob("**/run.json"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise InputError(f"{folder}: there is no finished run of the bench. Make one: tokenkit bench run")
    root = found[-1].parent
    tables = {name: pd.read_parquet(root / f"{name}.parquet") for name in (*TABLES, "scenarios")}
    return Results(**tables, made=json.loads(found[-1].read_text()))
