"""A workspace of an older version opens and goes on; one of a newer version is refused in words."""

import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import raw_logs
from deltalake import DeltaTable, write_deltalake
from raw_logs import moment, nginx

from tokenkit import activity, config, schema
from tokenkit.config import Workspace
from tokenkit.errors import InputError
from tokenkit.store import engine, lake, migration, state
from tokenkit.store.access import locked

SCHEMA_1 = Path(__file__).parents[1] / "data" / "lake" / "schema_1.tar.xz"


@pytest.fixture
def old(tmp_path: Path) -> Workspace:
    """A workspace as version 1 left it: 11 events of three files (``logs``) over two days, and one piece set aside."""
    with tarfile.open(SCHEMA_1) as packed:
        packed.extractall(tmp_path, filter="data")
    return config.init(tmp_path / "w")


def version(place: Workspace) -> int:
    with state.connect(place.state) as db:
        return state.version(db)


def test_a_workspace_of_version_1_is_brought_up_to_date_once(old: Workspace) -> None:
    events = raw_logs.event_keys(old)
    assert version(old) == 1 and len(events) == 11
    with locked(old):
        pass
    assert version(old) == state.VERSION and raw_logs.event_keys(old) == events
    assert migration.migrate(old) == []


def test_a_workspace_of_version_1_reads_on_and_knows_what_it_read(
    old: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    again = raw_logs.read(old, Path("logs"), raw_logs.write(Path("new.log"), [nginx("new", moment(day=2))]))
    assert (again.files_known, again.stored, again.duplicates) == (3, 1, 0)
    assert len(raw_logs.event_keys(old)) == 12
    assert activity.build(old) >= 1 and lake.read(old.lake, "activity_hour").num_rows > 0


def test_columns_that_a_lake_lacks_are_added_and_null(old: Workspace) -> None:
    stored = DeltaTable(old.lake / "events").to_pyarrow_table()
    write_deltalake(
        old.lake / "events", stored.drop_columns(["network_class", "scopes"]), mode="overwrite",
        schema_mode="overwrite", partition_by=["day"],
    )  # fmt: skip

    def read_by_engine() -> list[tuple[object, ...]]:
        with engine.connect(config.Engine(), old.scratch) as connection:
            relation = lake.scan(connection, old.lake, "events")
            return relation.project("typeof(scopes), network_class, time_ms > 0").distinct().fetchall()

    assert read_by_engine() == [("VARCHAR[]", None, True)]
    with locked(old):
        pass
    fields = {field.name for field in DeltaTable(old.lake / "events").schema().fields}
    assert fields == set(schema.EVENTS.names)
    assert "scopes" not in pq.read_schema(lake.files(old.lake, "events")[0]).names
    assert read_by_engine() == [("VARCHAR[]", None, True)]


def test_a_step_that_was_interrupted_is_taken_again(old: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(workspace: Workspace) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setitem(migration.STEPS, 2, killed)
        migration.migrate(old)
    assert version(old) == 1
    assert migration.migrate(old) == [2] and version(old) == 2


def test_a_newer_workspace_is_refused_in_words_and_nothing_is_changed(old: Workspace) -> None:
    with state.connect(old.state) as db:
        state.set_version(db, state.VERSION + 1)
    before = lake.versions(old.lake)
    words = (
        r"state.db: this workspace was last written by a newer tokenkit \(schema 3\).* schemas up to 2\. Nothing was"
    )
    with pytest.raises(InputError, match=words), locked(old):
        pass
    with pytest.raises(InputError, match=words):
        raw_logs.read(old, SCHEMA_1)
    assert lake.versions(old.lake) == before


def test_a_new_workspace_is_of_the_newest_version(tmp_path: Path) -> None:
    place = raw_logs.workspace(tmp_path / "w")
    assert migration.migrate(place) == []
    assert version(place) == state.VERSION == max(migration.STEPS)
