"""The journal of actions is append-only, and what is changed all the same is found."""

import sqlite3

import pytest

from tokenkit import config
from tokenkit.respond import journal
from tokenkit.store import state


@pytest.fixture
def written(tmp_path):
    workspace = config.init(tmp_path)
    for n in range(3):
        journal.append(workspace, "act1_a", journal.INTENT, {"operation": "apply", "who": f"ana {n} é"})
        journal.append(workspace, "act1_a", journal.RESULT, {"operation": "apply", "status": "verified"})
    return workspace


def test_rows_come_back_in_order_and_their_chain_holds(written):
    rows = journal.read(written)
    assert [r.number for r in rows] == [1, 2, 3, 4, 5, 6] and journal.check(rows) is None
    assert rows[1].previous == rows[0].digest
    assert journal.latest(rows)["act1_a"][0] == journal.APPLIED


@pytest.mark.parametrize("change", ["update actions set record = '{}' where number = 2", "delete from actions"])
def test_a_row_can_be_neither_changed_nor_removed(written, change):
    with pytest.raises(sqlite3.IntegrityError, match="append-only"), state.connect(written.state) as db:
        db.execute(change)


@pytest.mark.parametrize(
    "change",
    [
        """update actions set record = '{"status": "failed"}' where number = 2""",
        "update actions set action_uid = 'act1_b' where number = 3",
        "update actions set phase = 'intent' where number = 4",
        "delete from actions where number = 2",
        "delete from actions where number = 1",
    ],
)
def test_what_is_changed_without_the_triggers_is_found(written, change):
    db = sqlite3.connect(written.state)
    db.executescript(f"drop trigger actions_are_never_changed; drop trigger actions_are_never_removed; {change}")
    db.close()
    assert "not the one that was written" in journal.check(journal.read(written))


def test_an_intent_without_a_result_is_in_doubt(written):
    journal.append(written, "act1_a", journal.INTENT, {"operation": "undo"})
    assert journal.latest(journal.read(written))["act1_a"][0] == journal.IN_DOUBT


def test_a_workspace_without_state_has_an_empty_journal(tmp_path):
    assert journal.read(config.init(tmp_path)) == [] and not (tmp_path / "state.db").exists()
