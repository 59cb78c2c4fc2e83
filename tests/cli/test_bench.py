"""tokenkit bench: what a person is told, and what a typing error gives."""

import pytest

from tokenkit.bench import scenarios


def test_every_scenario_is_listed_with_its_technique_and_its_grid(command, tmp_path):
    left = command("bench", "list", cwd=tmp_path)
    assert left.code == 0
    for one in scenarios.ALL.values():
        assert one.id in left.out
    assert len(scenarios.ATTACKS) == 27 and len(scenarios.BENIGN_CHANGES) == 12
    assert "T1078.004" in left.out and "(unchecked)" in left.out
    assert left.out.count("benign change") == 12 and "confounder" not in left.out


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("run", "--profile", "huge"), "no profile 'huge'"),
        (("run", "--scenario", "stolen_tokn"), "did you mean stolen_token"),
        (("run", "--detector", "nothing.py:Mine"), "there is no such file"),
        (("show",), "there is no finished run of the bench. Make one: tokenkit bench run"),
        (("inject",), "no tokenkit workspace"),
        (("train", "--seed", "7"), "seeds are [7], expected two or more: weights are judged on another organisation"),
        (("train", "--seed", "7", "--seed", "7"), "expected two or more"),
        (("train", "--tokens", "59"), "'--tokens': Input should be greater than or equal to 60"),
    ],
)
def test_a_typing_error_is_said_in_words_and_nothing_is_left_behind(command, tmp_path, typed, said):
    left = command("bench", *typed, cwd=tmp_path)
    assert left.code == 2 and said in " ".join(left.err.split())
    assert list(tmp_path.iterdir()) == []


def test_the_help_of_train_says_what_it_learns_from_and_what_it_leaves_out(command, tmp_path):
    left = command("bench", "train", "--help", cwd=tmp_path)
    text = " ".join(left.out.replace("│", " ").split())
    assert left.code == 0 and "try each family of attacks left out" in text
    assert all(option in text for option in ("--seed", "--tokens", "--each", "--save", "100 to 102"))
