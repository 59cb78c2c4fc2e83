"""Training: weights that tell attacked days from others, and never know what they are judged on."""

import pickle

import numpy as np
import pandas as pd
import pytest

from tokenkit.bench import protocol, scenarios, train
from tokenkit.channels import signs, weights
from tokenkit.channels.weights import HINGES, Weights
from tokenkit.config import Detection, code_digest
from tokenkit.errors import InputError


@pytest.fixture(scope="module")
def lesson(unattacked, attacked):
    breaches = [protocol.breach_windows(one.workspace, one.evidence) for one in (unattacked, attacked)]
    return train.Lesson(
        unattacked, [(attacked, breaches[1])], breaches[0], frozenset(unattacked.evidence.days.profiles)
    )


@pytest.fixture(scope="module")
def days(lesson):
    return train.days_of(lesson)


def test_every_scenario_weighs_the_same_and_a_day_without_an_attacker_is_no_attacked_one(days, attacked):
    total = days.groupby(["scenario", "is_attack"])["weight"].sum()
    assert total["", 0.0] == pytest.approx(train.USUAL_DAYS) and total["deploy", 0.0] == pytest.approx(
        train.BENIGN_CHANGES
    )
    thefts = [total[one, 1.0] for one in ("stolen_token", "bulk_spike", "slow_exfiltration")]
    assert thefts == pytest.approx([1 / 3] * 3), "of orphan the rules tell, nothing is to be learned"
    with_attacker = attacked.taken.assign(day=attacked.taken["time"].dt.floor("D"))
    chosen = attacked.trials[attacked.trials["scenario"] != "orphan"]["trial"]
    expected = with_attacker[with_attacker["trial"].isin(chosen)][["trial", "day"]].drop_duplicates()
    assert (days["is_attack"] == 1).sum() == len(expected)


def test_signs_of_attacked_days_are_those_that_a_channel_scores(days):
    names = [name for name in days.columns if name not in ("scenario", "is_attack", "weight")]
    assert names == signs.names() and days[names].notna().all().all()
    stolen, usual = days[days["scenario"] == "stolen_token"], days[days["scenario"] == ""]
    assert stolen["network_beside"].max() > usual["network_beside"].quantile(0.8)


def table(rng: np.random.Generator, good: tuple[str, ...] = ("told",)) -> pd.DataFrame:
    """Attacked days with more bits of some signs, and others."""
    n = 400
    attack = np.arange(n) < n // 2
    frame = pd.DataFrame({name: rng.exponential(1.44, n) for name in ("told", "idle", "less")})
    for name in good:
        frame.loc[attack, name] += 6.0
    frame.loc[attack, "less"] *= 0.1
    return frame.assign(scenario=np.where(attack, "x", ""), is_attack=attack.astype(float), weight=1 / n)


def test_what_tells_weighs_most_and_nothing_weighs_less_than_nothing():
    found = train.learn([table(np.random.default_rng(1))])
    matrix = found.matrix(["told", "idle", "less"])
    assert (matrix >= 0).all() and matrix[0, :2].sum() > 5 * matrix[1:, :2].sum(axis=1).max()
    assert matrix.shape == (3, len(HINGES))


def test_what_hardly_ever_happens_by_chance_counts_although_no_attack_showed_it():
    found = train.learn([table(np.random.default_rng(1))])
    assert found.by_sign["idle"][-1] > 0.3


def test_the_scenarios_left_out_teach_nothing():
    rng = np.random.default_rng(1)
    first, second = table(rng), table(rng, ("idle",)).replace({"scenario": {"x": "y"}})
    both, without = train.learn([first, second]), train.learn([first, second], without=["y"])
    assert sum(both.by_sign["idle"][:2]) > 3 * sum(without.by_sign["idle"][:2])


def test_weights_to_start_from_stay_where_nothing_speaks_against_them():
    start = Weights({name: (0.1, 0.2, 0.3, 0.4, 0.5) for name in ("told", "idle", "less")})
    found = train.learn([table(np.random.default_rng(1)).assign(weight=1e-9)], start=start)
    assert np.allclose(found.matrix(["told", "idle"]), start.matrix(["told", "idle"]), atol=2e-3)


def test_the_same_days_give_the_same_weights(days):
    assert train.learn([days]) == train.learn([days.copy()])


def test_judging_counts_the_trials_of_the_scenarios_asked_for(lesson):
    found = train.judge(
        lesson, train.learn([train.days_of(lesson)]), ["stolen_token", "slow_exfiltration"], Detection(budget=20)
    )
    assert sorted(found["scenario"].unique()) == ["slow_exfiltration", "stolen_token"] and len(found) == 4
    assert found[found["scenario"] == "stolen_token"]["caught"].any()


def test_each_attack_that_a_score_can_show_is_in_one_family():
    listed = [one for ids in scenarios.FAMILIES.values() for one in ids]
    assert sorted(listed) == sorted(set(scenarios.ATTACKS) - {"orphan"})


def test_one_organisation_is_not_enough(tmp_path):
    with pytest.raises(InputError, match="expected two or more"):
        train.train(tmp_path, seeds=[7, 7])


@pytest.mark.slow
def test_the_command_learns_from_organisations_that_are_there_and_says_what_it_learned(
    lesson, tmp_path, monkeypatch, command
):
    monkeypatch.setattr(scenarios, "FAMILIES", {"theft": ("stolen_token",)})
    (tmp_path / "out").mkdir()
    for seed in (7, 8):  # what a killed run has made is not made again
        (tmp_path / "out" / f"train-{code_digest()[:12]}-60-1-{seed}.pickle").write_bytes(pickle.dumps(lesson))
    small = ["--seed", 7, "--seed", 8, "--tokens", 60, "--each", 1, "--processes", 1]
    left = command("bench", "train", *small, "--out", "out", "--save", "made/own.json", cwd=tmp_path)
    assert left.code == 0, left.err
    own = weights.read(tmp_path / "made" / "own.json")
    assert own.by_sign == train.learn([train.days_of(lesson)] * 2).by_sign
    assert own.trained["command"] == "tokenkit bench train --tokens 60 --each 1 --seed 7 --seed 8"
    recall = own.trained["recall of a family left out, on an organisation not learned from"]["theft"]
    said = left.out.splitlines()
    assert said[-1] == "weights: made/own.json"
    assert ["theft", f"{recall:.2f}", "4"] in [line.split() for line in said]
    assert {line.split()[0] for line in said if line.count("0.") > 3} <= {"sign", *own.by_sign}
