"""All tables go back together, and what was read since is read again, exactly once."""

from pathlib import Path

import pytest
import raw_logs
from raw_logs import moment, nginx

from tokenkit.config import Workspace
from tokenkit.errors import InputError
from tokenkit.store import lake, points, state
from tokenkit.store.access import locked


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    """A workspace that has read two files, one after the other: a restore point after each."""
    place = raw_logs.workspace(tmp_path / "w")
    raw_logs.read(place, raw_logs.write(tmp_path / "a.log", [nginx("r1"), nginx("r2")]))
    later = [nginx("r3", moment(day=1), api_key_id="key_ffff00001111"), b"{"]
    raw_logs.read(place, raw_logs.write(tmp_path / "b.log", later))
    return place


def counts(place: Workspace) -> tuple[int, int, int, int]:
    """Events, tokens, files and quarantined pieces."""
    with state.connect(place.state) as db:
        aside = db.execute("select count(*) from quarantine").fetchone()[0]
    events, tokens = (lake.read(place.lake, name).num_rows for name in ("events", "dim_token"))
    return events, tokens, len(raw_logs.files_of(place)), aside


def test_a_point_brings_back_all_tables_and_forgets_what_was_read_since(place: Workspace) -> None:
    assert counts(place) == (3, 2, 2, 1)
    points.restore(place, 1)
    assert counts(place) == (2, 1, 1, 0)
    points.restore(place, 2)
    assert counts(place)[:2] == (3, 2)


def test_what_is_made_from_the_events_is_made_anew_after_a_restore(place: Workspace, tmp_path: Path) -> None:
    """The events of a day may be those that the newest activity was counted from, and the activity an older one."""
    raw_logs.form(place)
    expected = lake.read(place.lake, "activity_hour").sort_by("hour_s").to_pylist()
    points.restore(place, 2)
    raw_logs.form(place)
    assert expected and lake.read(place.lake, "activity_hour").sort_by("hour_s").to_pylist() == expected


def test_what_was_read_since_is_read_again_once(place: Workspace, tmp_path: Path) -> None:
    points.restore(place, 1)
    again = raw_logs.read(place, tmp_path / "a.log", tmp_path / "b.log")
    assert (again.files, again.files_known, again.stored, again.quarantined) == (1, 1, 1, 1)
    assert counts(place) == (3, 2, 2, 1)


def test_a_file_that_is_killed_before_its_events_after_a_restore_is_read_again(
    place: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Delta keeps the transaction of the first reading, which must not be taken for the second one's."""
    points.restore(place, 1)
    write = lake.append

    def killed(root: Path, name: str, *more: object) -> None:
        if name == "events":
            raise KeyboardInterrupt
        write(root, name, *more)  # type: ignore[arg-type]

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(lake, "append", killed)
        raw_logs.read(place, tmp_path / "b.log")
    assert raw_logs.read(place, tmp_path / "b.log").stored == 1
    assert counts(place) == (3, 2, 2, 1)


def test_a_restore_that_was_interrupted_is_finished_by_whoever_comes_next(
    place: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, calls = lake.open_to_change, []

    def killed(root: Path, name: str) -> object:
        calls.append(name)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return opened(root, name)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(lake, "open_to_change", killed)
        points.restore(place, 1)
    with locked(place):
        pass
    assert counts(place) == (2, 1, 1, 0)
    with locked(place):
        pass
    assert [one.after for one in points.points(place)] == ["restore 1", "ingest", "ingest"]


def test_a_point_that_is_not_there_or_whose_files_are_gone_is_refused_and_nothing_changes(place: Workspace) -> None:
    with pytest.raises(InputError, match=r"no restore point 9; known: 2, 1\. See: tokenkit lake restore"):
        points.restore(place, 9)
    lake.replace(place.lake, "dim_token", lake.read(place.lake, "dim_token"))
    before = lake.versions(place.lake)
    gone = lake.files(place.lake, "dim_token", 0)
    gone[0].unlink()
    with pytest.raises(InputError, match=r"dim_token of .* cannot be restored: 1 of its files are gone.*Nothing was"):
        points.restore(place, 1)
    assert lake.versions(place.lake) == before


def test_nothing_new_is_no_new_point(place: Workspace, tmp_path: Path) -> None:
    raw_logs.read(place, tmp_path / "a.log")
    assert [(one.number, one.after) for one in points.points(place)] == [(2, "ingest"), (1, "ingest")]
