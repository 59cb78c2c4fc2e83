"""Weights of one's own: learned from attacks on copies, saved with who and why, used by the next run, taken back."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tokenkit.bench import own_weights, scenarios, train
from tokenkit.channels import calibration, weights
from tokenkit.cli import tune
from tokenkit.config import Detection
from tokenkit.errors import ConfigError, InputError

CHOSEN = ("stolen_token", "reconnaissance", "bulk_spike", "deploy")


@pytest.fixture(scope="module")
def by_command(unattacked, tmp_path_factory):
    """A copy of the workspace in which the command learned weights, how it left, and what it learned."""
    few = {one: scenarios.get(one) for one in CHOSEN}
    root = Path(shutil.copytree(unattacked.workspace.root, tmp_path_factory.mktemp("learned") / "copy"))
    learn, kept = own_weights.learn, []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train.scenarios, "ALL", few)
        patch.setattr(train, "OTHERS_WORK", 4)
        patch.setattr(own_weights, "learn", lambda *given: kept.append(learn(*given)) or kept[-1])
        typed = ["learn", "--who", "ana", "--why", "a new\nteam", "--each", "1", "--events", str(root)]
        left = CliRunner().invoke(tune.tune, typed, catch_exceptions=False)
    return root, left, kept[0]


@pytest.fixture(scope="module")
def learned(by_command):
    return by_command[2]


def test_what_was_learned_is_compared_with_what_is_in_use(learned):
    for judged in (learned.before, learned.after):
        assert 0 < judged.recall <= 1 and judged.of_budget > 0 and judged.trials > 10
    assert learned.before.trials == learned.after.trials
    assert learned.weights.by_sign != weights.shipped().by_sign
    assert learned.weights.trained["recall before and after"] == [
        round(learned.before.recall, 3), round(learned.after.recall, 3)
    ]  # fmt: skip
    assert learned.weights.trained["started from"] == weights.shipped().trained["command"]


def test_saved_weights_are_used_say_who_and_why_and_are_taken_back(learned, unattacked):
    path = own_weights.save(unattacked.workspace, learned)
    try:
        assert path == unattacked.workspace.root / "weights.json" and not path.with_suffix(".part").exists()
        own = weights.of_workspace(unattacked.workspace)
        assert own.by_sign == learned.weights.by_sign
        assert (own.trained["set_by"], own.trained["set_why"]) == ("ana", "a new team")
        scores = [calibration.score(unattacked.evidence, Detection(), None, one) for one in (None, own)]
        differ = scores[0]["score_bits"] != scores[1]["score_bits"]
        assert set(scores[0].loc[differ, "channel"]) == {"point_day", "point_hour"}
    finally:
        assert own_weights.forget(unattacked.workspace) == path
    assert weights.of_workspace(unattacked.workspace) is weights.shipped()
    with pytest.raises(InputError, match="no weights of your own"):
        own_weights.forget(unattacked.workspace)


def test_nobody_and_no_reason_are_refused_before_anything_is_done(unattacked, tmp_path):
    for who, why in (("", "a reason"), ("ana", " ")):
        with pytest.raises(ConfigError, match="name both"):
            own_weights.learn(unattacked.workspace, tmp_path, who, why)


def test_too_few_tokens_are_said_to_be_too_few(unattacked, tmp_path, monkeypatch):
    monkeypatch.setattr(own_weights, "MIN_TOKENS", 1_000)
    with pytest.raises(InputError, match=r"tokens can be attacked, 1000 are needed"):
        own_weights.learn(unattacked.workspace, tmp_path, "ana", "a new team")


def test_a_damaged_file_of_weights_stops_a_run_with_what_to_do(unattacked):
    path = unattacked.workspace.root / "weights.json"
    path.write_text(json.dumps({"weights": {}}))
    try:
        with pytest.raises(InputError, match="tokenkit tune forget"):
            weights.of_workspace(unattacked.workspace)
    finally:
        path.unlink()


def test_the_commands_learn_weights_that_the_next_run_uses_and_take_them_back(by_command, command):
    root, left, found = by_command
    path = root / "weights.json"
    assert left.exit_code == 0 and f"weights: {path}; the next tokenkit run uses them" in left.stdout
    said = left.stdout.splitlines()
    for begins, numbers in (("attacks caught", "recall"), ("incidents without any attack", "of_budget")):
        (row,) = [line.split() for line in said if line.startswith(begins)]
        assert row[-2:] == [f"{getattr(judged, numbers):.2f}" for judged in (found.before, found.after)]
    assert f"{found.after.trials:,} attacks; learned:" in left.stdout
    assert weights.read(path) == found.weights
    assert found.weights.trained["command"] == "tokenkit tune learn --each 1 --seed 0"
    assert command("tune", "forget", cwd=root).out.strip() == f"removed: {path}" and not path.exists()
