"""docs/lake.md: what it shows runs, and every table is one that Spark's reader of Delta reads."""

import re

import pages
import pyarrow.parquet as pq
import pytest
import raw_logs
from deltalake import DeltaTable

from tokenkit.config import Workspace
from tokenkit.maintenance import compaction, erasure
from tokenkit.store import lake, points

PAGE = (pages.DOCS / "lake.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
LIBRARIES = ("deltalake", "duckdb", "polars", "delta")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with what is made of a few calls, two of them refused."""
    place = raw_logs.workspace(tmp_path_factory.mktemp("read") / "w")
    for part in range(2):
        calls = [
            raw_logs.nginx(f"r{n}", raw_logs.moment(minute=n + 9 * part), status=403 * part or 200) for n in range(2)
        ]
        calls.append(raw_logs.nginx("other", raw_logs.moment(minute=part), api_key_id="key_ffff00001111"))
        raw_logs.read(place, raw_logs.write(place.root.parent / f"{part}.log", calls))
    raw_logs.form(place)
    return place


@pytest.mark.parametrize("number", range(3), ids=LIBRARIES[:3])
def test_a_block_runs_as_it_stands(
    place: Workspace, number: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert len(BLOCKS) == len(LIBRARIES) and f"import {LIBRARIES[number]}" in BLOCKS[number].replace("from ", "import ")
    monkeypatch.chdir(place.root)
    exec(compile(BLOCKS[number], "docs/lake.md", "exec"), {})
    said = capfd.readouterr().out
    assert {0: "tok1_", 1: "2026-03-02", 2: "GET /v1/orders/{id}"}[number] in said, said


def test_the_block_for_spark_is_python(place: Workspace) -> None:
    compile(BLOCKS[3], "docs/lake.md", "exec")


def test_every_table_asks_no_more_of_a_reader_than_any_release_for_spark_has(place: Workspace) -> None:
    compaction.compact(place)
    points.restore(place, 1)
    erasure.forget(place, "key_...1111")
    for name in lake.versions(place.lake):
        asked = DeltaTable(place.lake / name).protocol()
        assert (asked.min_reader_version, asked.min_writer_version) == (1, 2), name
        assert not asked.reader_features and not asked.writer_features
    files = [path for name in lake.versions(place.lake) for path in lake.files(place.lake, name)]
    packed = {pq.ParquetFile(path).metadata.row_group(0).column(0).compression for path in files}
    assert packed <= {"SNAPPY", "ZSTD"}


def test_it_names_every_command_of_the_lake() -> None:
    from tokenkit.cli.lake import lake as commands

    for command in commands.registered_commands:
        assert f"tokenkit lake {command.callback.__name__}" in PAGE  # type: ignore[union-attr]
