"""tokenkit tune: what a person is told, and what is refused; a real run stands in bench/test_own_weights.py."""

import json

import pytest

from tokenkit import config
from tokenkit.channels import weights

LEARN = ("learn", "--who", "ana", "--why", "a new team")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("learn",), ["--who", "--why", "--each", "--dry-run", "Example: tokenkit tune learn --who ana"]),
        (("forget",), ["the next run uses those that tokenkit comes with", "Example: tokenkit tune forget"]),
        ((), ["learn", "forget", "notebook 04_tune"]),
    ],
)
def test_the_help_says_what_a_command_does_and_shows_how_it_is_typed(command, tmp_path, typed, said):
    left = command("tune", *typed, "--help", cwd=tmp_path)
    text = " ".join(left.out.replace("│", " ").split())
    assert left.code == 0 and all(words in text for words in said), text


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("learn",), "Missing option '--who'"),
        (("learn", "--who", "ana"), "Missing option '--why'"),
        ((*LEARN, "--each", "0"), "'--each': Input should be greater than or equal to 1"),
        (LEARN, "no tokenkit workspace"),
        (("forget",), "no tokenkit workspace"),
    ],
)
def test_what_cannot_be_used_is_said_in_words_and_nothing_is_left_behind(command, tmp_path, typed, said):
    left = command("tune", *typed, cwd=tmp_path)
    assert left.code == 2 and said in " ".join(left.err.split()) and "Traceback" not in left.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("learn", "--who", " ", "--why", "x"), "name both, such as --who ana"),
        (("learn", "--who", "ana", "--why", ""), "name both, such as --who ana"),
        (LEARN, "there are no events yet"),
        (("forget",), "there are no weights of your own; tokenkit uses those that it comes with"),
    ],
)
def test_an_empty_workspace_has_nothing_to_learn_from_or_to_forget(command, tmp_path, typed, said):
    config.init(tmp_path)
    left = command("tune", *typed, cwd=tmp_path)
    assert left.code == 2 and said in " ".join(left.err.split()) and "Traceback" not in left.err
    assert not (tmp_path / weights.FILE_NAME).exists()


def test_weights_are_forgotten_although_nobody_can_read_them(command, tmp_path):
    config.init(tmp_path)
    path = tmp_path / weights.FILE_NAME
    path.write_text(json.dumps({"weights": 5}))
    left = command("tune", "forget", cwd=tmp_path)
    assert left.code == 0 and left.out.strip() == f"removed: {path}" and not path.exists()
    assert command("tune", "forget", cwd=tmp_path).code == 2
