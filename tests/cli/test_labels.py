"""label and suppress, from the command line."""

import getpass
from pathlib import Path

from conftest import Command

from tokenkit.store import state


def raised(workspace: Path) -> tuple[str, str]:
    """An incident of the last report, and what its token is called."""
    with state.connect(workspace / "state.db") as db:
        row = db.execute(
            "select incident_uid, json_extract(record, '$.token.label') from incidents where state = 'opened' limit 1"
        ).fetchone()
    return str(row[0]), str(row[1])


def test_a_label_says_what_follows_and_is_listed(workspace: Path, command: Command) -> None:
    uid, token = raised(workspace)
    left = command("label", uid, "--verdict", "benign", "--reason", "new job", "--accept-new-normal", cwd=workspace)
    assert left.code == 0 and token in left.out and "usual for it from now on" in left.out
    left = command(
        "label", uid, "--verdict", "true_positive", "--reason", "no", "--who", "raj", "--json", cwd=workspace
    )
    assert left.json["who"] == "raj" and left.json["verdict"] == "true_positive"
    listed = command("label", "--list", "--json", cwd=workspace).json
    assert [(r["verdict"], r["who"], r["counts"]) for r in listed] == [
        ("true_positive", "raj", True),
        ("benign", getpass.getuser(), False),
    ]
    assert uid in command("label", "--list", cwd=workspace).out


def test_what_lacks_a_choice_or_an_incident_leaves_with_2_and_says_what_to_do(
    workspace: Path, command: Command
) -> None:
    uid, _ = raised(workspace)
    for words, said in (
        ([uid, "--verdict", "benign", "--reason", "r"], "--accept-new-normal"),
        ([uid, "--verdict", "benig", "--reason", "r"], "did you mean benign?"),
        ([uid[:-1] + "x", "--verdict", "false_positive", "--reason", "r"], f"did you mean {uid}?"),
        ([uid, "--verdict", "false_positive"], "needs a reason"),
        ([], "name an incident"),
    ):
        left = command("label", *words, cwd=workspace)
        assert left.code == 2 and said in left.err, words
    assert command("label", "--list", "--json", cwd=workspace).json == []


def test_a_suppression_is_made_listed_and_withdrawn(workspace: Path, command: Command) -> None:
    _, token = raised(workspace)
    left = command("suppress", token, "--reason", "load test", "--until", "2999-01-01", cwd=workspace)
    assert left.code == 0 and "nothing is raised before 2999-01-01" in left.out
    (listed,) = command("suppress", "--list", "--json", cwd=workspace).json
    assert listed["state"] == "active" and listed["reason"] == "load test"
    assert command("suppress", "--withdraw", listed["suppression_uid"], cwd=workspace).code == 0
    (listed,) = command("suppress", "--list", "--json", cwd=workspace).json
    assert listed["state"] == "withdrawn"
    left = command("suppress", token, "--reason", "r", "--until", "2020-01-01", cwd=workspace)
    assert left.code == 2 and "not in the future" in left.err
    assert "name a token and a day" in command("suppress", token, cwd=workspace).err
