"""What is forgotten is in no byte of the workspace afterwards, does not come back, and nothing else is lost."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import raw_logs
from maintenance_example import KEYS, content
from raw_logs import nginx

from tokenkit import config, identity
from tokenkit.config import Workspace
from tokenkit.errors import InputError, TokenkitError
from tokenkit.incidents import labels
from tokenkit.ingest.forgotten import RULE
from tokenkit.maintenance import erasure
from tokenkit.maintenance.subject import find_subject
from tokenkit.respond import journal
from tokenkit.store import lake, points, state
from tokenkit.tokens.load import load_inventory

NOW = datetime(2026, 4, 1, tzinfo=UTC)
OWNERS = (
    "native_id,token_name,owner_name,owner_email\n"
    f"{KEYS[0]},billing-sync,Ana Example,ana@corp.example\n{KEYS[1]},report-job,Raj Other,raj@corp.example\n"
)


def uid(place: Workspace, number: int) -> str:
    return identity.token_uid(identity.load_key(place.key), "gateway:default", KEYS[number])


@pytest.fixture
def owned(place: Workspace) -> Workspace:
    raw_logs.own(place, place.root.parent, OWNERS)
    return place


def found_anywhere(place: Workspace, *words: str) -> list[str]:
    """Files in whose bytes or, of Parquet, in whose values a word is."""
    subject = erasure.Subject(tuple(w for w in words if w.startswith("tok1_")), (), (), words)
    return [str(path.relative_to(place.root)) for path in erasure.traces(place, subject)]


def test_a_token_is_found_in_nothing_afterwards_and_the_other_keeps_every_row(owned: Workspace) -> None:
    gone, other = uid(owned, 0), uid(owned, 1)
    (owned.root / "tokens.csv").write_text(OWNERS)
    before = content(owned)
    words = (gone, "billing-sync", "ana@corp.example")
    assert len(found_anywhere(owned, *words)) > 5
    erased = erasure.forget(owned, "billing-sync", NOW)
    assert found_anywhere(owned, *words) == erased.yours == ["tokens.csv"]
    assert erased.rows["events"] == 12 and erased.rows["dim_object"] == 1
    after = content(owned)
    assert after["events"] == [row for row in before["events"] if other in row] and len(after["events"]) == 6
    assert {json.loads(row)["token_uid"] for row in after["tokens"]} == {other}
    assert [json.loads(row)["network"] for row in after["dim_network"]] == ["203.0.1.0/24"]
    assert [point.after for point in points.points(owned)] == ["forget"]
    with pytest.raises(InputError, match="there is no restore point 1"):
        points.restore(owned, 1)
    with state.connect(owned.state) as db:
        rows = [tuple(row) for row in db.execute("select * from forgotten")]
    assert rows and not any(gone in mark or gone[5:] in mark for mark, _ in rows)


def test_an_owner_is_forgotten_with_all_tokens_and_the_list_does_not_bring_them_back(
    owned: Workspace, tmp_path: Path
) -> None:
    assert find_subject(owned, "ana example", NOW) == find_subject(owned, "ANA@corp.example", NOW)
    erasure.forget(owned, "Ana Example", NOW)
    assert found_anywhere(owned, uid(owned, 0), "Ana Example", "ana@corp.example") == []
    assert lake.read(owned.lake, "events")["token_uid"].unique().to_pylist() == [uid(owned, 1)]
    listed = tmp_path / "tokens.csv"
    listed.write_text(OWNERS + "key_another00000,new-token,Ana Example,ana@corp.example\n")
    load_inventory(owned, listed)
    assert lake.read(owned.lake, "tokens")["label"].to_pylist() == ["report-job"]
    with state.connect(owned.state) as db:
        assert "2 rows are left out: their token or owner was forgotten" in (
            state.get_meta(db, "inventory_notes") or ""
        )


def test_logs_read_again_do_not_bring_it_back_and_later_calls_are_seen(owned: Workspace, tmp_path: Path) -> None:
    erasure.forget(owned, "billing-sync", NOW)
    renamed = raw_logs.write(tmp_path / "again.log", [(tmp_path / "logs" / "0-0.log").read_bytes() + b" "])
    later = raw_logs.write(tmp_path / "later.log", [nginx("new", NOW + timedelta(hours=1), api_key_id=KEYS[0])])
    counts = raw_logs.read(owned, renamed)
    assert counts.read == 3 and counts.stored == 0 and counts.ignored == 2 and counts.duplicates == 1
    (row,) = [file for file in raw_logs.files_of(owned) if file["ignored"]]
    assert json.loads(row["ignored_rules"]) == {RULE: 2}
    assert found_anywhere(owned, uid(owned, 0)) == []
    assert raw_logs.read(owned, later).stored == 1
    assert found_anywhere(owned, uid(owned, 0)) != []


def test_what_was_killed_is_finished_by_the_next(owned: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(root: Path, name: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(lake, "erase_history", killed)
        erasure.forget(owned, "billing-sync", NOW)
    assert found_anywhere(owned, uid(owned, 0)) != []
    erasure.finish(owned)
    assert found_anywhere(owned, uid(owned, 0), "billing-sync") == []
    erasure.finish(owned)


def test_nobody_and_several_of_a_name_are_refused_and_nothing_is_removed(owned: Workspace, tmp_path: Path) -> None:
    before = content(owned)
    with pytest.raises(
        InputError, match=r"no owner of this name, and no token 'biling-sync'; did you mean billing-sync"
    ):
        erasure.forget(owned, "biling-sync", NOW)
    raw_logs.own(owned, tmp_path, OWNERS.replace("Raj Other", "Ana Example"))
    with pytest.raises(InputError, match="'Ana Example' is the name of 2 owners: own1_"):
        erasure.forget(owned, "Ana Example", NOW)
    assert content(owned)["events"] == before["events"]


def test_a_token_with_an_action_in_force_is_not_forgotten_before_it_is_undone(owned: Workspace) -> None:
    record = {"operation": "apply", "token_uid": uid(owned, 0), "label": "billing-sync", "who": "raj", "verb": "lock"}
    journal.append(owned, "act1_a", journal.INTENT, record)
    with pytest.raises(InputError, match=r"act1_a on this token may be in force.*tokenkit respond undo act1_a"):
        erasure.forget(owned, "billing-sync", NOW)
    journal.append(owned, "act1_a", journal.RESULT, record | {"operation": "undo", "status": "verified"})
    erasure.forget(owned, "billing-sync", NOW)
    rows = journal.read(owned)
    assert [row.record["token_uid"] for row in rows] == ["(forgotten)"] * 2 and rows[0].record["who"] == "raj"
    assert journal.check(rows) is None


def test_what_is_left_of_it_is_an_error_that_names_the_file(owned: Workspace) -> None:
    odd = owned.key.parent / "note"
    odd.write_text(uid(owned, 0))
    with pytest.raises(TokenkitError, match=r"1 files still hold something.*note"):
        erasure.forget(owned, "billing-sync", NOW)


def test_reports_models_answers_and_scores_of_a_token_with_an_incident_are_gone(workspace: Path) -> None:
    opened = config.workspace_at(workspace)
    with state.connect(opened.state) as db:
        row = db.execute("select incident_uid, profile_uid, record from incidents where state = 'opened'").fetchone()
    incident, profile, label = row["incident_uid"], row["profile_uid"], json.loads(row["record"])["token"]["label"]
    models = opened.key.parent / "models"
    models.mkdir(exist_ok=True)
    (models / "panel.fitted").write_bytes(b"learned")
    labels.label(opened, incident, "benign", f"{label} is new", "ana", accept=True)
    subject = find_subject(opened, profile, NOW)
    assert incident in subject.words and len(list(opened.reports.glob("run1_*"))) == 1
    assert found_anywhere(opened, *subject.words) != []
    erased = erasure.forget(opened, profile, NOW)
    assert found_anywhere(opened, *subject.words) == []
    assert erased.rows["incidents"] >= 1 and erased.rows["labels"] == 1 and erased.rows["fingerprint"] > 100
    assert not list(opened.reports.glob("run1_*")) and (opened.reports / "index.html").exists()
    assert ".tokenkit/models/panel.fitted" in erased.files and not list(models.glob("*"))
