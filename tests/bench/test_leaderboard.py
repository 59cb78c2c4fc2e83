"""The leaderboard: a smoke run of few scenarios, taken up after a kill, the same in any number of processes."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from filelock import FileLock

from tokenkit.bench import alerts, inject, leaderboard, measure, page
from tokenkit.bench.detectors import own, registry
from tokenkit.bench.metrics import scoring
from tokenkit.bench.page import tables
from tokenkit.bench.profiles import Profile
from tokenkit.errors import InputError
from tokenkit.normal.behaviour import KINDS
from tokenkit.report import find_notebook
from tokenkit.report.publishing import unattended

CHOSEN = ["stolen_token", "slow_exfiltration", "deploy"]
SMALL = Profile(40, (0, 1), 2, False, (registry.TOKENKIT, "random", "any new network"))


@pytest.fixture(scope="module")
def run(unattacked):
    """A run of the profile *smoke*, with few scenarios, on organisations that are there already."""
    before = leaderboard.PROFILES["smoke"]
    leaderboard.PROFILES["smoke"] = SMALL

    def of(folder, **more):
        taking_part = registry.choose(SMALL.contenders)
        for seed in SMALL.seeds:
            prepare(unattacked, folder / f"smoke-{leaderboard.digest(SMALL, taking_part, CHOSEN)}" / f"seed-{seed}")
        return leaderboard.run(folder, "smoke", chosen=CHOSEN, **more)

    yield of
    leaderboard.PROFILES["smoke"] = before


def prepare(unattacked, folder):
    if not folder.exists():
        shutil.copytree(unattacked.workspace.root, folder / "organisation")


@pytest.fixture(scope="module")
def results(run, tmp_path_factory):
    return run(tmp_path_factory.mktemp("bench"))


def without_cost(results, seed=0):
    tables = [results.trials, results.alerts.assign(seed=results.alerts["trial"].floordiv(1_000_000)), results.benign,
              results.windows]  # fmt: skip
    tables = [t[t["seed"] == seed] for t in tables]
    return [t.sort_values([c for c in t if c != "reasons"], ignore_index=True) for t in tables]


KILLED = """
import sys
from pathlib import Path
from tokenkit.bench import measure
from tokenkit.bench.measure import Job
from tokenkit.bench.profiles import Profile
measure.TWINS_A_PIECE = 3
measure.measure_organisation(Job(Path(sys.argv[1]), 0, {size!r}, {names!r}, {chosen!r}))
"""


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_in_one_process_and_gives_the_same(unattacked, run, results, tmp_path):
    """kill -9 while pieces are written; what goes on repeats no piece, and is what two undisturbed processes gave."""
    taking_part = registry.choose(SMALL.contenders)
    root = tmp_path / f"smoke-{leaderboard.digest(SMALL, taking_part, CHOSEN)}"
    prepare(unattacked, root / "seed-0")
    names = [one.name for one in taking_part]
    script = KILLED.format(size=SMALL, names=names, chosen=CHOSEN)
    running = subprocess.Popen([sys.executable, "-c", script, str(root)])
    first, end = root / "seed-0" / "trials-0000.parquet", time.monotonic() + 240
    while not first.exists() and time.monotonic() < end:
        assert running.poll() is None, "it ended by itself"
        time.sleep(0.02)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert not (root / "seed-0" / "done").exists()
    written = first.stat().st_mtime_ns
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "TWINS_A_PIECE", 3)
        measure.measure_organisation(measure.Job(root, 0, SMALL, names, CHOSEN))
    assert first.stat().st_mtime_ns == written
    again = run(tmp_path, processes=1, seeds=[0])
    for one, other in zip(without_cost(results), without_cost(again), strict=True):
        pd.testing.assert_frame_equal(one, other)


STARTED = """
import sys
from pathlib import Path
from tokenkit.bench import leaderboard
from tokenkit.bench.profiles import Profile
leaderboard.PROFILES["smoke"] = {size!r}
if __name__ == "__main__":
    leaderboard.run(Path(sys.argv[1]), "smoke", chosen={chosen!r})
"""


@pytest.mark.slow
def test_nobody_works_on_where_a_run_was_killed(tmp_path):
    script = tmp_path / "started.py"
    script.write_text(STARTED.format(size=SMALL, chosen=CHOSEN), encoding="utf-8")
    running = subprocess.Popen([sys.executable, script, tmp_path / "out"])
    end = time.monotonic() + 120
    while len(list((tmp_path / "out").glob("*/seed-*/organisation"))) < 2 and time.monotonic() < end:
        assert running.poll() is None, "it ended by itself"
        time.sleep(0.1)
    workers = [pid for pid, (parent, _) in processes().items() if parent == running.pid]
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert len(workers) >= 3  # two organisations, and who passes on how far they are
    end = time.monotonic() + 30
    while (left := [pid for pid in workers if processes().get(pid, (0, "Z"))[1] != "Z"]) and time.monotonic() < end:
        time.sleep(0.1)
    assert not left


def processes():
    """Of each process its parent and state ("Z": ended, and nobody has asked)."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            found[int(path.parent.name)] = (int(parent), state)
    return found


def test_the_code_that_ran_is_named_whatever_is_edited_meanwhile(run, tmp_path, monkeypatch):
    ran = leaderboard.code_digest()[:12]
    monkeypatch.setattr(
        leaderboard, "_run_jobs", lambda *given: monkeypatch.setattr(leaderboard, "code_digest", lambda: "later")
    )
    kept = {}
    monkeypatch.setattr(leaderboard, "_collect", lambda root, profile, jobs, code: kept.update(code=code))
    run(tmp_path)
    assert kept == {"code": ran}


def test_a_seed_or_a_scenario_that_is_named_twice_counts_once(tmp_path, monkeypatch):
    monkeypatch.setattr(leaderboard, "_run_jobs", lambda *given: None)
    monkeypatch.setattr(leaderboard, "_collect", lambda root, profile, jobs, code: jobs)
    jobs = leaderboard.run(tmp_path, "smoke", chosen=["deploy", "deploy"], seeds=[1, 0, 1])
    assert [(job.seed, job.scenarios) for job in jobs] == [(1, ["deploy"]), (0, ["deploy"])]


@pytest.mark.slow
def test_what_is_asked_for_is_what_is_given_whatever_the_folder_holds(run, results):
    folder = Path(results.run["folder"])
    assert set(run(folder, seeds=[1]).trials["seed"]) == {1}
    again = run(folder)
    assert again.run["seeds"] == [0, 1] and len(again.trials) == len(results.trials)


@pytest.mark.slow
def test_the_oracle_is_perfect_and_random_is_not(results):
    table = tables.table(results)
    oracle = table.loc["oracle"]
    one = ["recall_1", "recall_5", "recall_10", "recall_20", "worst_5", "average_precision", "roc_auc", "explained",
           "incident_precision", "precision_5", "precision_10", "precision_20"]  # fmt: skip
    assert oracle[one].tolist() == [1.0] * len(one)
    nothing = ["benign_change", "of_budget", "bytes_lost", "objects_lost", "hours_median", "harm_minutes"]
    assert oracle[nothing].tolist() == pytest.approx([0.0] * len(nothing), abs=1e-6)
    assert table.loc["random", "recall_5"] < 0.5


@pytest.mark.slow
def test_every_detector_has_every_trial(results):
    found = scoring.trial_outcomes(results.trials, results.alerts, results.runs)
    counts = found.groupby(["detector", "budget"])["trial"].nunique()
    assert (counts == results.trials["trial"].nunique()).all()
    assert set(results.runs["detector"]) == {one.name for one in registry.choose(SMALL.contenders)} | {"oracle"}


@pytest.mark.slow
def test_the_page_says_what_was_run_and_keeps_what_a_person_wrote(results, tmp_path):
    written = page.write(results, tmp_path)
    with written.open("a", encoding="utf-8") as file:
        file.write("\nBy hand.\n")
    text = page.write(results, tmp_path).read_text(encoding="utf-8")
    assert (
        text.endswith("\nBy hand.\n") and text.count("\n| tokenkit |") == 2 and "2 organisations of 40 tokens" in text
    )
    assert {path.name for path in tmp_path.glob("*.png")} >= {"recall.png", "scenarios.png", "cost.png"}
    assert "## By kind of token" in text and "- of organisation 1: " in text and "; AP " in text


@pytest.mark.slow
def test_each_kind_of_token_and_each_attack_by_amounts_has_a_row(results):
    kinds = tables.by_kind(results)
    attacks = results.trials[results.trials["kind"] == "attack"]
    assert set(kinds["behaviour"]) == set(attacks["behaviour"]) <= set(KINDS)
    assert kinds["tokens"].sum() == attacks.groupby("behaviour")["base_uid"].nunique().sum()
    rows = tables.reachable(results)
    assert rows["title"].unique().tolist() == ["Slow exfiltration: more data on every day"]
    assert rows["window_days"].tolist() == [14, 30] and (rows["trials"] == SMALL.each * len(SMALL.seeds)).all()
    assert (rows["oracle_quarter"] <= rows["oracle_whole"]).all()
    assert tables.harder_when_stronger(results).empty  # one intensity each


@pytest.mark.slow
def test_the_page_says_from_which_intensity_on_an_attack_is_caught(results):
    attack, found = results.trials["kind"] == "attack", tables.headline_outcomes(results)
    assert tables.intensity_at_recall(results, ["tokenkit"]).empty  # one intensity each
    weak = results.trials.loc[attack].assign(trial=lambda t: t["trial"] + 10**8, intensity=1e-3)
    both = replace(results, trials=pd.concat([results.trials, weak], ignore_index=True))
    table = tables.intensity_at_recall(both, ["tokenkit", "random"]).set_index("title")
    assert len(table) == found.loc[found["kind"] == "attack", "scenario"].nunique()
    stolen = table.loc["Stolen token replayed from another network"]
    assert 1e-3 < float(stolen["tokenkit 50%"]) < 40 and stolen["random 90%"] == "-"


def test_a_mistyped_parameter_of_the_notebook_is_said(tmp_path):  # .ci/run runs it on a smoke run
    with pytest.raises(InputError, match="did you mean profile"):
        unattended.run_notebook(find_notebook("bench/leaderboard"), {"profil": "smoke"}, tmp_path / "page.html")


def test_results_of_other_scenarios_or_detectors_are_not_taken_for_these(tmp_path):
    mine = tmp_path / "mine.py"
    tokenkit, random = registry.choose(["tokenkit", "random"])
    ways = [([tokenkit], CHOSEN), ([tokenkit], CHOSEN[:1]), ([random], CHOSEN)]
    names = [leaderboard.digest(SMALL, taking_part, ids) for taking_part, ids in ways]
    for weight in (1, 2):
        mine.write_text(
            f"class Mine:\n    weight = {weight}\n\n    def fit(self, X):\n        return self\n\n"
            "    def decision_function(self, X):\n        return X[:, 0]\n",
            encoding="utf-8",
        )
        names.append(leaderboard.digest(SMALL, [tokenkit, own.load(f"{mine}:Mine")], CHOSEN))
    assert len(set(names)) == len(names)


def test_a_second_run_in_the_same_folder_is_told_of_the_first(tmp_path):
    smoke = leaderboard.PROFILES["smoke"]
    root = tmp_path / f"smoke-{leaderboard.digest(smoke, registry.choose(smoke.contenders), CHOSEN)}"
    root.mkdir()
    with FileLock(root / "lock"), pytest.raises(InputError, match="another run of the same bench is at work"):
        leaderboard.run(tmp_path, "smoke", chosen=CHOSEN)


def test_a_mistyped_profile_scenario_or_folder_is_said(tmp_path):
    with pytest.raises(InputError, match="did you mean smoke"):
        leaderboard.run(tmp_path, "smok")
    with pytest.raises(InputError, match="did you mean stolen_token"):
        leaderboard.run(tmp_path, chosen=["stolen_tokens"])
    with pytest.raises(InputError, match="no finished run"):
        leaderboard.read(tmp_path)


@pytest.mark.slow
def test_attacks_are_injected_into_a_copy_of_ones_own_events(workspace, tmp_path):
    from tokenkit import config
    from tokenkit.store import lake

    place = config.find(workspace)
    before = lake.versions(place.lake)
    done = inject.inject(place, ["stolen_token", "object_enumeration"], tmp_path / "out", each=1)
    assert lake.versions(place.lake) == before
    assert set(done.outcomes["scenario"]) == {"stolen_token", "object_enumeration"}
    assert done.outcomes.loc[done.outcomes["caught"], "reasons"].notna().all()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "alerts.parquet", "taken.parquet", "trials.parquet",
    }  # fmt: skip


def test_a_contender_without_any_alert_has_caught_nothing():
    start = pd.Timestamp("2026-03-02", tz="UTC")
    trials = pd.DataFrame({"trial": [1], "scenario": "stolen_token", "intensity": 40.0, "start": start,
                           "base_uid": "tok1_a"})  # fmt: skip
    people = pd.DataFrame({"label": ["a token"]}, index=["tok1_a"])
    table = inject.outcomes(trials, pd.DataFrame(columns=alerts.ALERTS), people)
    assert (
        table["caught"].tolist() == [False] and table["hours"].isna().all() and table["token"].tolist() == ["a token"]
    )
