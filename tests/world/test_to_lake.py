"""A lake that is simulated directly: the one that ingest makes of the raw logs, for any number of processes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tokenkit import activity, config, fingerprint, identity, ingest, schema
from tokenkit.config import Workspace
from tokenkit.errors import InputError
from tokenkit.sources.inputs import Input
from tokenkit.store import lake
from tokenkit.tokens import inventory
from tokenkit.world import simulate_lake, simulate_logs, to_lake

SIZE: dict[str, Any] = {"tokens": 42, "days": 24, "seed": 4, "events": 30_000}
DIMENSIONS = [name for name in schema.TABLES if name.startswith("dim_")]
BY_FILE = ["raw_ref"]  # a file's name, which there is none of here


def filled(folder: Path, **arguments: Any) -> tuple[Workspace, dict[str, Any]]:
    workspace = config.init(folder)
    return workspace, simulate_lake(workspace, **arguments)


def in_order(table: pa.Table) -> pa.Table:
    """Rows in an order that does not depend on how they were stored."""
    return table.sort_by([(table.column_names[0], "ascending")]).combine_chunks()


def events(workspace: Workspace) -> pa.Table:
    return lake.read(workspace.lake, "events").sort_by([("event_key", "ascending")]).combine_chunks()


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, dict[str, Any]]:
    return filled(tmp_path_factory.mktemp("direct"), processes=1, **SIZE)


@pytest.fixture(scope="module")
def by_logs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, dict[str, Any], ingest.Counts]:
    folder = tmp_path_factory.mktemp("logs")
    truth = simulate_logs(folder / "raw", attacks=False, bench=True, **SIZE)
    workspace = config.init(folder / "workspace")
    (workspace.root / config.FILE_NAME).write_text("[gateway]\nunique_ids = true\n")  # NGINX made them
    workspace = config.find(workspace.root)
    workspace.key.write_text(hashlib.sha256(f"simulated organisation {SIZE['seed']}".encode()).hexdigest() + "\n")
    counts = ingest.ingest(workspace, [Input(folder / "raw" / "logs")])
    table = inventory.load(folder / "raw" / "inventory.csv", identity.load_key(workspace.key), "default")[0]
    lake.replace(workspace.lake, "tokens", table)
    return workspace, truth, counts


def test_events_are_those_that_ingest_makes_of_the_raw_logs_column_by_column(direct, by_logs):
    ours, theirs = events(direct[0]), events(by_logs[0])
    assert by_logs[2].duplicates > 0
    assert set(theirs["source"].to_pylist()) == {"cloudtrail", "nginx", "haproxy"}
    assert pc.sum(pc.equal(theirs["token_key"], 0)).as_py() > 0  # AWS services, without a key
    assert ours.num_rows == theirs.num_rows
    different = [name for name in schema.EVENTS.names if not ours[name].equals(theirs[name])]
    assert different == BY_FILE


@pytest.mark.parametrize("name", [*DIMENSIONS, "tokens"])
def test_dimensions_and_inventory_are_those_of_the_raw_logs(direct, by_logs, name):
    ours, theirs = (in_order(lake.read(where.lake, name)) for where in (direct[0], by_logs[0]))
    assert ours.num_rows > 0
    assert ours.equals(theirs)


def test_the_truth_is_that_of_the_raw_logs_and_names_every_token(direct, by_logs):
    truth = dict(direct[1])
    tokens = truth.pop("tokens")
    assert truth == by_logs[1]
    assert sorted({about["number"] for about in tokens.values()}) == list(range(SIZE["tokens"]))
    key = identity.load_key(direct[0].key)
    known = set(lake.read(direct[0].lake, "tokens")["token_uid"].to_pylist())
    issuers = {"aws": "aws", "gateway": "gateway:default"}
    named = {identity.token_uid(key, issuers[about["issuer"]], native) for native, about in tokens.items()}
    assert known <= named


def test_the_number_of_processes_and_of_commits_changes_nothing(direct, tmp_path, monkeypatch):
    monkeypatch.setattr(to_lake, "EVENTS_PER_COMMIT", 5_000)
    workspace, truth = filled(tmp_path, processes=2, **SIZE)
    assert lake.version(direct[0].lake, "events") == 0
    assert lake.version(workspace.lake, "events") > 2
    assert truth == direct[1]
    for name in ("events", "tokens", *DIMENSIONS):
        ours, theirs = (in_order(lake.read(where.lake, name)) for where in (direct[0], workspace))
        assert ours.equals(theirs), name


def test_another_token_changes_no_event_of_the_others(tmp_path):
    arguments = {"days": 14, "seed": 2, "processes": 1}
    few, _ = filled(tmp_path / "20", tokens=20, **arguments)
    more, truth = filled(tmp_path / "21", tokens=21, **arguments)
    key = identity.load_key(few.key)
    (last,) = [about for about in truth["tokens"].values() if about["number"] == 20]
    assert key == identity.load_key(more.key)
    theirs, ours = events(more), events(few)
    ours = ours.filter(pc.not_equal(ours["token_uid"], ""))  # AWS services are as many as there are events
    theirs = theirs.filter(pc.not_equal(theirs["token_uid"], ""))
    added = theirs.filter(pc.invert(pc.is_in(theirs["event_key"], value_set=ours["event_key"].combine_chunks())))
    assert theirs.num_rows - added.num_rows == ours.num_rows
    assert theirs.filter(pc.is_in(theirs["event_key"], value_set=ours["event_key"].combine_chunks())).equals(ours)
    names = lake.read(more.lake, "dim_token").to_pandas().set_index("token_uid")
    principals = names.loc[added["token_uid"].unique().to_pylist(), ["principal", "mask"]]
    assert added.num_rows > 0
    assert principals.drop_duplicates().shape[0] == 1 or principals["principal"].str.contains(last["name"]).all()


def test_each_day_is_sorted_as_ingest_sorts_it(direct):
    for file in lake.files(direct[0].lake, "events"):
        table = pq.read_table(file, partitioning=None)
        rows = zip(
            *(table[name].cast(pa.int64()).to_pylist() for name in ("token_key", "time", "event_key")), strict=True
        )
        rows = list(rows)
        assert rows == sorted(rows)


def test_activity_and_fingerprints_can_be_built(direct):
    workspace = direct[0]
    activity.build(workspace)
    fingerprint.build(workspace)
    requests = lake.read(workspace.lake, "activity_hour")["requests"]
    attributed = lake.read(workspace.lake, "events")["token_key"].to_numpy() != 0
    assert pc.sum(requests).as_py() in (attributed.sum(), len(attributed))
    assert lake.read(workspace.lake, "fingerprint").num_rows > 0


def test_a_lake_with_events_is_refused(direct):
    with pytest.raises(InputError, match="has events"):
        simulate_lake(direct[0], tokens=12, days=14)


def test_no_token_or_too_few_days_are_refused(tmp_path):
    for tokens, days in ((0, 30), (12, 13)):
        with pytest.raises(InputError, match="at least a token and 14 days"):
            simulate_lake(config.init(tmp_path), tokens=tokens, days=days)


def test_nothing_but_its_events_tells_what_was_simulated(direct):
    table = lake.read(direct[0].lake, "events")
    assert len(table["raw_ref"].unique()) == 3
    left = {path.name for path in direct[0].scratch.iterdir()}
    assert not [name for name in left if name.startswith("simulate-")]
