"""The leaderboard: a smoke run of few scenarios, taken up after a kill, the same in any number of processes."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from tokenkit.bench import entrants, inject, leaderboard, page, scoring
from tokenkit.errors import InputError
from tokenkit.report import find_notebook, unattended

CHOSEN = ["stolen_token", "slow_exfiltration", "deploy"]
SMALL = leaderboard.Profile(40, (0, 1), 2, False, (entrants.TOKENKIT, "controls"))


@pytest.fixture(scope="module")
def run(ground):
    """A run of the profile *smoke*, with few scenarios, on organisations that are there already."""
    before = leaderboard.PROFILES["smoke"]
    leaderboard.PROFILES["smoke"] = SMALL

    def of(folder, **more):
        names = [one.name for one in entrants.choose(list(SMALL.groups))]
        for seed in SMALL.seeds:
            prepare(ground, folder / f"smoke-{leaderboard.digest(SMALL, names, (), CHOSEN)}" / f"seed-{seed}")
        return leaderboard.run(folder, "smoke", chosen=CHOSEN, **more)

    yield of
    leaderboard.PROFILES["smoke"] = before


def prepare(ground, folder):
    shutil.copytree(ground.workspace.root, folder / "ground")


@pytest.fixture(scope="module")
def results(run, tmp_path_factory):
    return run(tmp_path_factory.mktemp("bench"))


def without_cost(results, seed=0):
    tables = [results.trials, results.alerts.assign(seed=results.alerts["trial"].floordiv(1_000_000)), results.benign,
              results.windows]  # fmt: skip
    tables = [t[t["seed"] == seed] for t in tables]
    return [t.sort_values([c for c in t if c != "reasons"], ignore_index=True) for t in tables]


@pytest.mark.slow
def test_a_run_is_the_same_again_and_in_one_process(run, results, tmp_path):
    again = run(tmp_path, processes=1, seeds=[0])
    for one, other in zip(without_cost(results), without_cost(again), strict=True):
        pd.testing.assert_frame_equal(one, other)


@pytest.mark.slow
def test_the_oracle_is_perfect_and_random_is_not(results):
    table = page.table(results)
    oracle = table.loc["oracle"]
    one = ["recall_1", "recall_5", "recall_10", "recall_20", "worst_5", "average_precision", "roc_auc", "explained"]
    assert oracle[one].tolist() == [1.0] * len(one)
    nothing = ["benign_change", "of_budget", "bytes_lost", "objects_lost", "hours_median", "harm_minutes"]
    assert oracle[nothing].tolist() == pytest.approx([0.0] * len(nothing), abs=1e-6)
    assert table.loc["random", "recall_5"] < 0.5


@pytest.mark.slow
def test_every_detector_has_every_trial(results):
    found = scoring.outcomes(results.trials, results.alerts, results.runs)
    counts = found.groupby(["detector", "budget"])["trial"].nunique()
    assert (counts == results.trials["trial"].nunique()).all()
    assert set(results.runs["detector"]) == {e.name for e in entrants.choose(list(SMALL.groups))} | {"oracle"}


@pytest.mark.slow
def test_the_page_says_what_was_run_and_keeps_what_a_person_wrote(results, tmp_path):
    written = page.write(results, tmp_path)
    with written.open("a", encoding="utf-8") as file:
        file.write("\nBy hand.\n")
    text = page.write(results, tmp_path).read_text(encoding="utf-8")
    assert text.endswith("\nBy hand.\n") and "| tokenkit |" in text and "2 organisations of 40 tokens" in text
    assert {path.name for path in tmp_path.glob("*.png")} >= {"recall.png", "scenarios.png", "cost.png"}


def test_a_mistyped_parameter_of_the_notebook_is_said(tmp_path):  # .ci/run runs it on a smoke run
    with pytest.raises(InputError, match="did you mean profile"):
        unattended.run_notebook(find_notebook("bench/leaderboard"), {"profil": "smoke"}, tmp_path / "page.html")


def test_results_of_other_scenarios_or_detectors_are_not_taken_for_these(tmp_path):
    mine = tmp_path / "mine.py"
    ways = [(["tokenkit"], CHOSEN), (["tokenkit"], CHOSEN[:1]), (["random"], CHOSEN)]
    names = [leaderboard.digest(SMALL, entered, (), ids) for entered, ids in ways]
    for weight in (1, 2):
        mine.write_text(f"class Mine:\n    weight = {weight}\n", encoding="utf-8")
        names.append(leaderboard.digest(SMALL, ["tokenkit"], [f"{mine}:Mine"], CHOSEN))
    assert len(set(names)) == len(names)


@pytest.mark.slow
def test_a_killed_run_goes_on(ground, tmp_path):
    """kill -9 while pieces are written; the next run gives what an undisturbed one gives, and repeats no piece."""
    script = tmp_path / "killed.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\nfrom tokenkit.bench import leaderboard\n"
        "leaderboard.TWINS_A_PIECE = 2\n"
        "size = leaderboard.Profile(40, (0,), 2, False, ('tokenkit',))\n"
        f"job = leaderboard.Job(Path(sys.argv[1]), 0, size, ['tokenkit'], [], {CHOSEN!r})\n"
        "leaderboard.organisation(job)\n",
        encoding="utf-8",
    )
    place, whole = (tmp_path / name / "seed-0" for name in ("killed", "whole"))
    prepare(ground, place)
    prepare(ground, whole)
    undisturbed = subprocess.Popen([sys.executable, str(script), str(whole.parent)])
    running = subprocess.Popen([sys.executable, str(script), str(place.parent)])
    end = time.monotonic() + 240
    while not (place / "trials-0000.parquet").exists() and time.monotonic() < end:
        assert running.poll() is None, "it ended by itself"
        time.sleep(0.02)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert not (place / "done").exists()
    first = (place / "trials-0000.parquet").stat().st_mtime_ns
    subprocess.run([sys.executable, str(script), str(place.parent)], check=True)
    assert (place / "trials-0000.parquet").stat().st_mtime_ns == first
    assert undisturbed.wait() == 0
    for name in ("trials", "alerts"):
        parts = [pd.concat([pd.read_parquet(p) for p in sorted(folder.glob(f"{name}-*.parquet"))], ignore_index=True)
                 for folder in (place, whole)]  # fmt: skip
        pd.testing.assert_frame_equal(*parts)


def test_a_mistyped_profile_scenario_or_folder_is_said(tmp_path):
    with pytest.raises(InputError, match="did you mean smoke"):
        leaderboard.run(tmp_path, "smok")
    with pytest.raises(InputError, match="did you mean stolen_token"):
        leaderboard.run(tmp_path, chosen=["stolen_tokens"])
    with pytest.raises(InputError, match="no finished run"):
        leaderboard.read(tmp_path)


@pytest.mark.slow
def test_attacks_are_injected_into_a_copy_of_ones_own_events(workspace, tmp_path):
    from tokenkit import config, lake

    place = config.find(workspace)
    before = lake.versions(place.lake)
    done = inject.inject(place, ["stolen_token", "object_enumeration"], tmp_path / "out", each=1)
    assert lake.versions(place.lake) == before
    assert set(done.outcomes["scenario"]) == {"stolen_token", "object_enumeration"}
    assert done.outcomes.loc[done.outcomes["caught"], "reasons"].notna().all()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "alerts.parquet", "taken.parquet", "trials.parquet",
    }  # fmt: skip
