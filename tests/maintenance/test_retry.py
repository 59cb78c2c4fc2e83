"""What was set aside is read again after a fix, exactly once, and every record stays counted."""

from pathlib import Path

import pytest
import raw_logs
from raw_logs import moment, nginx

from tokenkit.config import Workspace
from tokenkit.errors import InputError
from tokenkit.maintenance.retry import CHANGED, NOT_NAMED, retry
from tokenkit.sources.inputs import Input
from tokenkit.store import lake, points, state

MAPPING = """
name = "orders"
issuer = "orders-api"
[columns]
time = "at"
operation = "call"
native_id = "key"
response_bytes = "size"
"""
ROWS = "at,call,key,size,more\n" + "\n".join(
    f"{moment(minute=n).isoformat()},GET /a,key_0123456789ab,{size},1"
    for n, size in enumerate(["10", "many", "12", "few"])
)


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    """A workspace that has read four rows, of which two could not be used."""
    (tmp_path / "orders.toml").write_text(MAPPING)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "orders.csv").write_text(ROWS + "\n")
    place = raw_logs.workspace(tmp_path / "w")
    raw_logs.ingest(place, [orders(tmp_path)])
    return place


def orders(folder: Path) -> Input:
    return Input(folder / "logs", str(folder / "orders.toml"))


def fix(folder: Path) -> Input:
    (folder / "orders.toml").write_text(MAPPING.replace('response_bytes = "size"\n', ""))
    return orders(folder)


def counted(place: Workspace) -> list[tuple[int, ...]]:
    names = ("read", "stored", "duplicates", "quarantined", "ignored")
    return [tuple(file[name] for name in names) for file in raw_logs.files_of(place)]


def aside(place: Workspace) -> list[tuple[str, str]]:
    with state.connect(place.state) as db:
        return [(row["place"], row["reason"]) for row in db.execute("select * from quarantine order by place")]


def test_what_a_new_mapping_can_read_is_stored_once_and_leaves_quarantine(place: Workspace, tmp_path: Path) -> None:
    assert counted(place) == [(4, 2, 0, 2, 0)] and len(aside(place)) == 2
    found = retry(place, [fix(tmp_path)])
    assert (found.tried, found.stored, found.still) == (2, 2, 0)
    assert counted(place) == [(4, 4, 0, 0, 0)] and aside(place) == []
    keys = raw_logs.event_keys(place)
    assert len(keys) == len(set(keys)) == 4
    assert retry(place, [orders(tmp_path)]).tried == 0 and raw_logs.event_keys(place) == keys
    assert raw_logs.ingest(place, [orders(tmp_path)]).files_known == 1


def test_what_is_still_wrong_stays_with_its_reason(place: Workspace, tmp_path: Path) -> None:
    before = aside(place)
    found = retry(place, [orders(tmp_path)])
    assert (found.tried, found.stored, found.still) == (2, 0, 2) and aside(place) == before
    assert counted(place) == [(4, 2, 0, 2, 0)] and sum(found.reasons.values()) == 2


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_around_its_commit_it_stores_and_counts_each_record_once(
    place: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    append = lake.append

    def killed(root: Path, name: str, *more: object) -> None:
        if name == "events" and when == "before":
            raise KeyboardInterrupt
        append(root, name, *more)  # type: ignore[arg-type]
        if name == "events":
            raise KeyboardInterrupt

    fixed = fix(tmp_path)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(lake, "append", killed)
        retry(place, [fixed])
    retry(place, [fixed])
    assert counted(place) == [(4, 4, 0, 0, 0)] and len(set(raw_logs.event_keys(place))) == 4 and aside(place) == []


def test_a_restore_to_before_the_retry_reads_the_file_again_whole(place: Workspace, tmp_path: Path) -> None:
    fixed = fix(tmp_path)
    retry(place, [fixed])
    points.restore(place, 1)
    assert len(raw_logs.event_keys(place)) == 2
    raw_logs.ingest(place, [fixed])
    assert len(set(raw_logs.event_keys(place))) == len(raw_logs.event_keys(place)) == 4


def test_a_file_that_is_gone_or_changed_or_not_named_is_said_and_keeps_its_records(
    place: Workspace, tmp_path: Path
) -> None:
    other = raw_logs.write(tmp_path / "other.log", [nginx("r1")])
    assert retry(place, [Input(other)]).not_tried == {NOT_NAMED: 2}
    with (tmp_path / "logs" / "orders.csv").open("a") as file:
        file.write("more\n")
    assert retry(place, [fix(tmp_path)]).not_tried == {CHANGED: 2}
    assert len(aside(place)) == 2


def test_without_any_logs_it_says_how_to_name_them(place: Workspace) -> None:
    with pytest.raises(InputError, match=r"no logs are named: .*tokenkit lake retry orders.toml=logs/orders"):
        retry(place)
