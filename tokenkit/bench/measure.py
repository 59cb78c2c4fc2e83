"""Measure: one organisation, simulated, measured, attacked and judged, in pieces that a killed run keeps.

Reads  nothing but its arguments. Writes a folder: the lake of the organisation, and one file of results a piece.
A piece is written once and whole; what is there is not done again. What the attacks were stands in the folder of the
results, and no part of the pipeline is given its path.
"""

import os
import pickle
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from filelock import FileLock

from tokenkit.bench import alerts, protocol, scenarios
from tokenkit.bench.detectors import leaks, own, registry
from tokenkit.bench.detectors.contender import YOURS, Contender
from tokenkit.bench.metrics import reachable
from tokenkit.bench.metrics.ranking import CLEAN
from tokenkit.bench.profiles import IN_VARIANTS, Profile
from tokenkit.bench.scenarios.scenario import Scenario
from tokenkit.bench.trials import draws, overlay, variants
from tokenkit.bench.trials.unattacked import UnattackedOrganisation, a_day_earlier, simulated_organisation

TWINS_A_PIECE = 120


@dataclass(frozen=True)
class Job:
    """What one process does: everything of one organisation.

    ``contenders`` are names; ``yours`` has those that are not in the registry, packed (``own.pack``).
    """

    folder: Path
    seed: int
    profile: Profile
    contenders: list[str]
    scenarios: list[str]
    yours: bytes = own.pack([])

    @property
    def results(self) -> Path:
        """The folder of its results."""
        return self.folder / f"seed-{self.seed}"

    @property
    def is_done(self) -> bool:
        """Whether the results are all there."""
        return (self.results / "done").exists()


# ---- one organisation ----
def measure_organisation(job: Job, report: Callable[[tuple[int, float]], None] = lambda share: None) -> None:
    """Simulate, measure and attack one organisation; what is there already is not done again."""
    folder = job.results
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        if job.is_done:
            report((job.seed, 1.0))
            return
        begun = time.monotonic()
        organisation = simulated_organisation(folder / "organisation", job.seed, job.profile.tokens)
        report((job.seed, 0.25))
        taking_part = _taking_part(job)
        events = draws.events_of(organisation, draws.pool(organisation))
        trials = _draw_trials(organisation, job, events)
        leaks.refuse_yours(organisation, taking_part)
        fitted = [protocol.fit(organisation, contender, job.seed) for contender in taking_part]
        stable = _stability(folder, organisation, taking_part, fitted)
        report((job.seed, 0.35))
        breaches = protocol.breach_windows(organisation.workspace, organisation.evidence)
        put(folder, "benign", pd.concat([alerts.benign_alerts(f, organisation, breaches) for f in fitted]))
        benign_scores = {f.contender.name: alerts.benign_scores(f.scores, breaches) for f in fitted}
        sampled = [alerts.benign_days(f, organisation) for f in fitted]
        pieces = pieces_of(trials)
        for number, piece in enumerate(pieces):
            _measure_piece(folder, f"{number:04d}", organisation, piece, fitted, events, benign_scores)
            report((job.seed, 0.35 + 0.5 * (number + 1) / len(pieces)))
        if job.profile.grid:
            in_variants = {one.name for one in registry.choose(IN_VARIANTS)}
            some = [one for one in taking_part if one.name in in_variants or one.group == YOURS]
            _measure_variants(folder, job, organisation, some, events, breaches)
        put(folder, "windows", pd.concat([*sampled, alerts.oracle_days(sampled[0])]))
        put(folder, "runs", _runs(folder, organisation, fitted).merge(stable, how="left", on="detector"))
        put_text(folder / "done", f"{time.monotonic() - begun:.0f}\n")  # seconds, since it was last taken up
        shutil.rmtree(folder / "organisation", ignore_errors=True)


def _taking_part(job: Job) -> list[Contender]:
    every = {one.name: one for one in [*registry.choose(), *pickle.loads(job.yours)]}
    return [every[name] for name in job.contenders]


def _draw_trials(organisation: UnattackedOrganisation, job: Job, events: dict[str, pd.DataFrame]) -> list[draws.Trial]:
    cells: list[tuple[Scenario, float]] = []
    for one in map(scenarios.get, job.scenarios):
        grid = one.intensities if job.profile.grid else (_middle(one),)
        cells += [(one, intensity) for intensity in grid]
    return draws.draw(organisation, cells, job.profile.each, events, job.seed * 1_000_000)


def _middle(scenario: Scenario) -> float:
    return scenario.intensities[len(scenario.intensities) // 2]


def pieces_of(trials: Sequence[draws.Trial]) -> list[list[draws.Trial]]:
    """The trials in pieces of some hundred twins each, which are attacked together."""
    pieces: list[list[draws.Trial]] = []
    for trial in trials:
        if not pieces or sum(t.scenario.cohort for t in pieces[-1]) >= TWINS_A_PIECE:
            pieces.append([])
        pieces[-1].append(trial)
    return pieces


def _measure_piece(
    folder: Path, name: str, organisation: UnattackedOrganisation, trials: list[draws.Trial],
    fitted: list[protocol.FittedContender], events: dict[str, pd.DataFrame], benign_scores: dict[str, pd.DataFrame],
) -> None:  # fmt: skip
    if (folder / f"trials-{name}.parquet").exists():  # written last
        return
    twins = folder / "twins"
    shutil.rmtree(twins, ignore_errors=True)
    attacked = overlay.attack(organisation, trials, events, twins)
    breaches = protocol.breach_windows(attacked.workspace, attacked.evidence)
    opened, days, cost = [alerts.oracle_alerts(attacked)], [], []
    for one in fitted:
        begun = time.process_time()
        rows = protocol.surprise(one, attacked.evidence)
        cost.append([one.contender.name, time.process_time() - begun])
        opened.append(alerts.trial_alerts(one, attacked, breaches, benign_scores[one.contender.name], rows))
        days.append(alerts.trial_days(one, organisation.seed, attacked, rows))
    put(folder, f"alerts-{name}", pd.concat(opened, ignore_index=True))
    put(folder, f"windows-{name}", pd.concat([*days, alerts.oracle_days(days[0])], ignore_index=True))
    put(folder, f"taken-{name}", attacked.taken)
    of_amounts = attacked.trials[attacked.trials["scenario"].isin(scenarios.FAMILIES["amounts"])]
    put(folder, f"reachable-{name}", reachable.of_amounts(organisation.evidence, attacked.evidence, of_amounts))
    put(folder, f"cost-{name}", pd.DataFrame(cost, columns=["detector", "score_s"]))
    put(folder, f"trials-{name}", attacked.trials)
    shutil.rmtree(twins)


def _measure_variants(
    folder: Path, job: Job, organisation: UnattackedOrganisation, taking_part: list[Contender],
    events: dict[str, pd.DataFrame], breaches: pd.DataFrame,
) -> None:  # fmt: skip
    """Measure the dirty and the poisoned variant, each scenario at its middle intensity."""
    cells = [(one, _middle(one)) for one in map(scenarios.get, job.scenarios) if one.kind == "attack"]
    if not taking_part or not cells:
        return
    first = job.seed * 1_000_000
    if not (folder / "runs-dirty.parquet").exists():
        _measure_dirty(folder, job, organisation, taking_part, events, cells, first + 500_000)
    if not (folder / "runs-poisoned.parquet").exists():
        _measure_poisoned(folder, job, organisation, taking_part, events, cells, first + 700_000, breaches)


def _measure_dirty(
    folder: Path, job: Job, organisation: UnattackedOrganisation, taking_part: list[Contender],
    events: dict[str, pd.DataFrame], cells: list[tuple[Scenario, float]], first: int,
) -> None:  # fmt: skip
    changed, others = variants.dirty(organisation, events, folder / "twins")
    fitted = [protocol.fit(changed, contender, job.seed) for contender in taking_part]
    breaches = protocol.breach_windows(changed.workspace, changed.evidence)
    benign_scores = {f.contender.name: alerts.benign_scores(f.scores, breaches) for f in fitted}
    trials = draws.draw(changed, cells, job.profile.each, others, first, variants.DIRTY)
    for number, piece in enumerate(pieces_of(trials)):
        _measure_piece(folder, f"dirty-{number:04d}", changed, piece, fitted, others, benign_scores)
    put(folder, "runs-dirty", _runs(folder, changed, fitted, variants.DIRTY))


def _measure_poisoned(
    folder: Path, job: Job, organisation: UnattackedOrganisation, taking_part: list[Contender],
    events: dict[str, pd.DataFrame], cells: list[tuple[Scenario, float]], first: int, breaches_anyway: pd.DataFrame,
) -> None:  # fmt: skip
    trials, opened, fitted = [], [], []
    for changed, attacked in variants.poisoned(organisation, cells, job.profile.each, events, first, folder / "twins"):
        breaches = protocol.breach_windows(attacked.workspace, attacked.evidence, attacked.profile_names)
        profiles = attacked.trials["profile_uid"].unique()
        rows = pd.Index(organisation.evidence.days.profiles).get_indexer(profiles)
        unattacked = organisation.evidence.of_profiles(rows)
        fitted = [protocol.fit(changed, contender, job.seed, unattacked=unattacked) for contender in taking_part]
        opened.append(alerts.oracle_alerts(attacked))
        for one in fitted:
            scores = one.scores[one.scores["profile_uid"].isin(profiles)]
            benign_scores = alerts.benign_scores(protocol.surprise(one, unattacked), breaches_anyway)
            opened.append(alerts.trial_alerts(one, attacked, breaches, benign_scores, scores))
        trials.append(attacked.trials)
    if trials:
        put(folder, "alerts-poisoned", pd.concat(opened, ignore_index=True))
        put(folder, "trials-poisoned", pd.concat(trials, ignore_index=True))
        put(folder, "runs-poisoned", _runs(folder, organisation, fitted, variants.POISONED))


def _stability(
    folder: Path, organisation: UnattackedOrganisation, taking_part: list[Contender],
    fitted: list[protocol.FittedContender],
) -> pd.DataFrame:  # fmt: skip
    """How far the scores of two nights agree, of each contender but the ablations: ``detector``, ``stability``."""
    path = folder / "stability.parquet"
    if not path.exists():
        earlier = a_day_earlier(organisation)
        rows = [
            [c.name, protocol.stability(f, protocol.fit(earlier, c, organisation.seed, []), organisation.start)]
            for c, f in zip(taking_part, fitted, strict=True) if c.group != "ablation"
        ]  # fmt: skip
        put(folder, "stability", pd.DataFrame(rows, columns=["detector", "stability"]))
    return pd.read_parquet(path)


def _runs(
    folder: Path, organisation: UnattackedOrganisation, fitted: list[protocol.FittedContender], variant: str = CLEAN
) -> pd.DataFrame:
    names = "cost-[0-9]*.parquet" if variant == CLEAN else f"cost-{variant}*.parquet"
    pieces = [pd.read_parquet(path) for path in sorted(folder.glob(names))]
    spent = pd.concat(pieces).groupby("detector")["score_s"].sum() if pieces else pd.Series(dtype=float)
    evidence = organisation.evidence
    counted = evidence.days.counted_a_day(evidence.periods.start)
    same = {"seed": organisation.seed, "variant": variant, "profiles": len(evidence.days.profiles),
            "counted": counted.mean(), "days": len(counted)}  # fmt: skip
    rows = [{"detector": f.contender.name, **same, "fit_s": f.fit_s,
             "score_s": f.score_s + spent.get(f.contender.name, 0.0), "rows": len(f.scores)}
            for f in fitted]  # fmt: skip
    rows.append({"detector": alerts.ORACLE, **same, "fit_s": 0.0, "score_s": 0.0, "rows": 0})
    return pd.DataFrame(rows)


def put(folder: Path, name: str, table: pd.DataFrame) -> None:
    """Write a table whole or not at all."""
    part = folder / f".{name}.part"
    table.to_parquet(part, index=False)
    os.replace(part, folder / f"{name}.parquet")


def put_text(path: Path, text: str) -> None:
    """Write a text whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text)
    os.replace(part, path)
