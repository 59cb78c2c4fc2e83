"""The one SQLite file: what was committed stays, what failed is undone, runs keep their order."""

import sqlite3
from pathlib import Path

import pytest

from tokenkit.store import state


def test_a_block_that_fails_changes_nothing(tmp_path: Path) -> None:
    with state.connect(tmp_path / "state.db") as db:
        state.set_meta(db, "a", "1")
    with pytest.raises(RuntimeError), state.connect(tmp_path / "state.db") as db:
        state.set_meta(db, "a", "2")
        raise RuntimeError
    with state.connect(tmp_path / "state.db") as db:
        assert state.get_meta(db, "a") == "1"
        assert state.get_meta(db, "none") is None


def test_the_file_can_be_read_while_another_process_writes(tmp_path: Path) -> None:
    with state.connect(tmp_path / "state.db") as db:
        state.set_meta(db, "a", "1")
        db.commit()
        state.set_meta(db, "a", "2")
        reader = sqlite3.connect(tmp_path / "state.db", timeout=0)
        assert reader.execute("select value from meta").fetchall() == [("1",)]
        reader.close()


def test_what_a_stage_was_built_from_is_replaced_part_by_part(tmp_path: Path) -> None:
    with state.connect(tmp_path / "state.db") as db:
        state.save_stage_digests(db, "activity", {"2026-03-02": "a", "2026-03-03": "b"})
        state.save_stage_digests(db, "activity", {"2026-03-03": "c"})
        state.save_stage_digests(db, "fingerprint", {"2026-03-03": "d"})
        assert state.stage_digests(db, "activity") == {"2026-03-02": "a", "2026-03-03": "c"}
        assert state.stage_digests(db, "none") == {}


def test_the_same_run_again_replaces_itself_and_keeps_its_place(tmp_path: Path) -> None:
    with state.connect(tmp_path / "state.db") as db:
        assert state.last_run(db) is None
        for uid in ("one", "two", "three"):
            state.save_run(db, uid, "2026-03-02", "2026-03-03", {"n": uid})
        state.save_run(db, "two", "2026-03-02", "2026-03-03", {"n": "again"})
        newest = state.last_run(db)
        assert newest is not None and newest["run_uid"] == "three"
        before = state.last_run(db, before="three")
        assert before is not None and (before["run_uid"], before["record"]) == ("two", {"n": "again"})
        first = state.last_run(db, before="two")
        assert first is not None and first["run_uid"] == "one"
        assert state.last_run(db, before="one") is None
        unknown = state.last_run(db, before="not yet saved")
        assert unknown is not None and unknown["run_uid"] == "three"
