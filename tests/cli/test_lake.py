"""tokenkit lake: what a person is told, and what is refused."""

import json

import pytest
import raw_logs
from raw_logs import moment, nginx

from tokenkit import config


@pytest.fixture
def place(tmp_path):
    place = raw_logs.workspace(tmp_path / "w")
    for n in range(2):
        raw_logs.read(place, raw_logs.write(tmp_path / f"{n}.log", [nginx(f"r{n}", moment(minute=n)), b"{%d" % n]))
    return place


@pytest.mark.parametrize("name", ["status", "compact", "vacuum", "restore", "forget", "retry"])
def test_each_command_has_a_help_with_an_example_and_needs_a_workspace(command, tmp_path, name):
    left = command("lake", name, "--help", cwd=tmp_path)
    assert left.code == 0 and f"Example: tokenkit lake {name}" in left.out and "--json" in left.out
    left = command("lake", name, *["somebody"] * (name == "forget"), cwd=tmp_path)
    assert left.code == 2 and "no tokenkit workspace at or above" in left.err


@pytest.mark.parametrize("name", ["status", "compact", "vacuum", "restore"])
def test_an_empty_workspace_is_no_error(command, tmp_path, name):
    config.init(tmp_path)
    left = command("lake", name, cwd=tmp_path)
    assert left.code == 0 and left.out and not left.err


def test_the_lake_is_compacted_brought_back_and_cleared(command, place):
    at_first = command("lake", "status", cwd=place.root)
    assert "events\t2\t2\t" in at_first.out and "2 events of 2 log files were stored\n" in at_first.out
    assert "2 pieces set aside; after a fix: tokenkit lake retry" in at_first.out
    assert json.loads(command("lake", "status", "--json", cwd=place.root).out)["events"] == 2
    assert "events\t2\t1\n" in command("lake", "compact", cwd=place.root).out
    assert command("lake", "compact", cwd=place.root).out.startswith("nothing to compact")
    assert command("lake", "restore", cwd=place.root).out.count("\n") == 4
    left = command("lake", "restore", 1, cwd=place.root)
    assert left.code == 0 and "all tables are as they were after ingest" in left.out
    assert "1 events of 1 log files" in command("lake", "status", cwd=place.root).out
    assert (
        "would be removed; nothing was: add --apply" in command("lake", "vacuum", "--keep-hours", 0, cwd=place.root).out
    )
    assert " removed\n" in command("lake", "vacuum", "--keep-hours", 0, "--apply", cwd=place.root).out
    left = command("lake", "restore", 1, cwd=place.root)
    assert left.code == 2 and "there is no restore point 1; known: 4. See: tokenkit lake restore" in left.err


def test_nobody_is_forgotten_before_a_person_says_yes(command, place):
    left = command("lake", "forget", "key_...89ab", cwd=place.root)
    assert left.code == 0 and "1 tokens would be forgotten: tok1_" in left.out and "add --yes" in left.out
    assert "2 events of" in command("lake", "status", cwd=place.root).out
    left = command("lake", "forget", "key_...89ab", "--yes", cwd=place.root)
    assert "events\t2\n" in left.out and "1 tokens forgotten, and nothing of them found afterwards" in left.out
    assert "2 of them removed since" in command("lake", "status", cwd=place.root).out
    left = command("lake", "forget", "key_...89ab", "--yes", cwd=place.root)
    assert left.code == 2 and "no owner of this name, and no token 'key_...89ab'" in left.err


def test_what_was_set_aside_is_read_again(command, place):
    left = command("lake", "retry", cwd=place.root)
    assert left.code == 2 and "no logs are named" in left.err
    left = command("lake", "retry", "../0.log", cwd=place.root)
    assert left.out == (
        "1 records read again: 0 stored, 0 duplicates, 0 ignored, 1 still set aside\n"
        "1 set aside: the line is not JSON\n1 not read again: its folder is not among the logs named\n"
    )
