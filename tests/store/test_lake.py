"""The Delta tables themselves: days replaced whole, dimensions that only grow, digests that tell what changed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import raw_logs

from tokenkit import config, schema
from tokenkit.errors import IdentityError
from tokenkit.store import engine, lake

DAYS = [raw_logs.day_of(n) for n in range(3)]


def hours(*rows: tuple[int, int, int]) -> pa.Table:
    """Rows of activity_hour: day number, token, requests."""
    return schema.conform(
        "activity_hour",
        pa.table(
            {
                "day": [raw_logs.day_of(d) for d, _, _ in rows],
                "token_key": pa.array([t for _, t, _ in rows], pa.int64()),
                "hour_s": pa.array([0] * len(rows), pa.int64()),
                "requests": pa.array([n for _, _, n in rows], pa.int64()),
            }
        )
        if rows
        else schema.empty("activity_hour"),
    )


def stored(root: Path) -> list[tuple[int, int, int]]:
    rows = lake.read(root, "activity_hour").to_pylist()
    return sorted(((r["day"] - raw_logs.FIRST).days, r["token_key"], r["requests"]) for r in rows)


def networks(*rows: tuple[int, str]) -> pa.Table:
    return schema.conform(
        "dim_network",
        pa.table({"network_key": pa.array([k for k, _ in rows], pa.int64()), "network": [n for _, n in rows]}),
    )


def test_a_day_is_replaced_whole_and_the_others_are_left(tmp_path: Path) -> None:
    lake.append(tmp_path, "activity_hour", hours((0, 1, 5), (0, 2, 6), (1, 1, 7)))
    before = lake.days(tmp_path, "activity_hour")
    lake.replace_days(tmp_path, "activity_hour", hours((0, 3, 8)), DAYS[:1])
    after = lake.days(tmp_path, "activity_hour")
    assert stored(tmp_path) == [(0, 3, 8), (1, 1, 7)]
    assert (before[DAYS[0]] != after[DAYS[0]]) and (before[DAYS[1]] == after[DAYS[1]])


def test_a_day_replaced_by_nothing_is_empty(tmp_path: Path) -> None:
    lake.replace_days(tmp_path, "activity_hour", hours(), DAYS)  # no table yet: nothing to replace
    assert lake.version(tmp_path, "activity_hour") is None
    lake.append(tmp_path, "activity_hour", hours((0, 1, 5), (1, 1, 7)))
    lake.replace_days(tmp_path, "activity_hour", hours(), DAYS[:1])
    assert stored(tmp_path) == [(1, 1, 7)]
    lake.replace_days(tmp_path, "activity_hour", hours((0, 1, 1)), [])
    assert stored(tmp_path) == [(1, 1, 7)]


def test_scan_gives_the_days_of_a_half_open_span(tmp_path: Path) -> None:
    lake.append(tmp_path, "activity_hour", hours((0, 1, 5), (1, 1, 6), (2, 1, 7)))

    def days_in(*span: Any) -> list[int]:
        with engine.connect(config.Engine(), tmp_path / "scratch") as connection:
            found = lake.scan(connection, tmp_path, "activity_hour", *span).project("day").fetchall()
        return sorted((row[0] - raw_logs.FIRST).days for row in found)

    assert days_in() == [0, 1, 2]
    assert days_in(DAYS[1], DAYS[2]) == [1]
    assert days_in(None, DAYS[1]) == [0]
    assert days_in(DAYS[1], None) == [1, 2]
    assert days_in(raw_logs.day_of(9), None) == []


def test_the_log_says_the_rows_of_each_value_and_names_the_days_of_several(tmp_path: Path) -> None:
    def events(*rows: tuple[int, str]) -> pa.Table:
        return pa.table({"day": [raw_logs.day_of(d) for d, _ in rows], "source": [source for _, source in rows]})

    assert lake.rows_by_value(tmp_path, "events", "source") == ({}, set())
    lake.append(tmp_path, "events", events((0, "a"), (0, "a"), (1, "a"), (1, "b"), (2, "a")))
    lake.append(tmp_path, "events", events((0, "b"), (1, "a")))
    known = {("a", DAYS[0]): 2, ("b", DAYS[0]): 1, ("a", DAYS[2]): 1}
    assert lake.rows_by_value(tmp_path, "events", "source") == (known, {DAYS[1]})


def test_small_files_with_and_without_a_later_column_are_read_as_one_table(tmp_path: Path) -> None:
    lake.append(tmp_path, "activity_hour", hours((0, 1, 5)).drop_columns(["rows", "last_s"]))
    later = hours((1, 1, 6)).drop_columns(["rows", "last_s"])
    lake.append(tmp_path, "activity_hour", later.append_column("rows", pa.array([4], pa.int64())))
    with engine.connect(config.Engine(), tmp_path / "scratch") as connection:
        rows = lake.scan(connection, tmp_path, "activity_hour").project("day, requests, rows, last_s").fetchall()
    assert sorted(rows) == [(DAYS[0], 5, None, None), (DAYS[1], 6, 4, None)]


def test_small_files_that_delta_wrote_itself_are_read_with_the_others(tmp_path: Path) -> None:
    rows = [{"day": day, "source": source, "scopes": ["a"]} for day in DAYS for source in ("a", "b")]
    table = pa.Table.from_pylist(rows)  # pandas makes large texts
    lake.append(tmp_path, "events", table.set_column(1, "source", table["source"].cast(pa.large_string())))
    lake.delete_rows(tmp_path, "events", f"day = '{DAYS[0]}' and source = 'b'")
    with engine.connect(config.Engine(), tmp_path / "scratch") as connection:
        stored = lake.scan(connection, tmp_path, "events").project("day, source, scopes").fetchall()
    assert sorted(stored) == sorted((day, source, ["a"]) for day in DAYS for source in "ab"[: 1 + (day > DAYS[0])])


def test_a_small_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.append(tmp_path, "activity_hour", hours((0, 1, 5), (1, 1, 7)))
    with engine.connect(config.Engine(), tmp_path / "scratch") as connection:
        lake.scan(connection, tmp_path, "activity_hour")
        monkeypatch.setattr("tokenkit.store.small_files.parquet.ParquetFile", None)
        for _ in range(5):
            assert len(lake.scan(connection, tmp_path, "activity_hour", DAYS[1]).fetchall()) == 1


def test_a_small_file_that_is_damaged_after_it_was_read_is_noticed(tmp_path: Path) -> None:
    lake.append(tmp_path, "activity_hour", hours((0, 1, 5), (1, 1, 7)))
    with engine.connect(config.Engine(), tmp_path / "scratch") as connection:
        assert len(lake.scan(connection, tmp_path, "activity_hour").fetchall()) == 2
        file = lake.files(tmp_path, "activity_hour")[0]
        file.write_bytes(b"no Parquet")
        with pytest.raises(OSError, match=file.name):
            lake.scan(connection, tmp_path, "activity_hour")


def test_the_digest_changes_with_what_the_tables_hold_and_with_nothing_else(tmp_path: Path) -> None:
    names = ["activity_hour", "dim_network"]
    assert lake.digest(tmp_path, names) == lake.digest(tmp_path, names)
    empty = lake.digest(tmp_path, names)
    lake.append(tmp_path, "activity_hour", hours((0, 1, 5)))
    one = lake.digest(tmp_path, names)
    lake.append(tmp_path, "dim_network", networks((1, "a")))
    assert len({empty, one, lake.digest(tmp_path, names)}) == 3
    assert lake.versions(tmp_path) == {"activity_hour": 0, "dim_network": 0}


def test_a_dimension_only_grows_and_each_key_is_there_once(tmp_path: Path) -> None:
    lake.grow_dimension(tmp_path, "dim_network", networks((2, "b"), (1, "a"), (2, "b")))
    lake.grow_dimension(tmp_path, "dim_network", networks((1, "a"), (3, "c")))
    version = lake.version(tmp_path, "dim_network")
    lake.grow_dimension(tmp_path, "dim_network", networks((3, "c")))
    assert lake.version(tmp_path, "dim_network") == version, "nothing new, no commit"
    assert sorted(lake.read(tmp_path, "dim_network")["network_key"].to_pylist()) == [1, 2, 3]


def test_one_key_for_two_values_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    lake.grow_dimension(tmp_path, "dim_network", networks((1, "a")))
    with pytest.raises(IdentityError, match="dim_network: 'a' and 'b' have the same key 1"):
        lake.grow_dimension(tmp_path, "dim_network", networks((5, "z"), (1, "b")))
    assert lake.read(tmp_path, "dim_network").num_rows == 1


def test_a_commit_names_its_transactions(tmp_path: Path) -> None:
    assert not lake.has_transaction(tmp_path, "activity_hour", "nginx:1")
    lake.append(tmp_path, "activity_hour", hours((0, 1, 5)), ["nginx:1", "nginx:2"])
    assert lake.has_transaction(tmp_path, "activity_hour", "nginx:2")
    assert not lake.has_transaction(tmp_path, "activity_hour", "nginx:3")


def test_a_whole_table_is_replaced_in_one_commit(tmp_path: Path) -> None:
    lake.replace(tmp_path, "dim_network", networks((1, "a"), (2, "b")))
    lake.replace(tmp_path, "dim_network", networks((3, "c")))
    assert lake.read(tmp_path, "dim_network")["network"].to_pylist() == ["c"]
    assert lake.version(tmp_path, "dim_network") == 1


def test_integers_beyond_what_a_double_holds_survive_the_table(tmp_path: Path) -> None:
    number = 2**53 + 1
    lake.append(tmp_path, "activity_hour", hours((0, number, number)))
    assert stored(tmp_path) == [(0, number, number)]


def test_a_table_whose_columns_were_described_in_other_words_can_be_written(tmp_path: Path) -> None:
    """A newer tokenkit describes a column better; the lake was made by an older one."""

    def described(rows: pa.Table, words: str) -> pa.Table:
        return rows.cast(pa.schema([field.with_metadata({"doc": words}) for field in rows.schema]))

    lake.append(tmp_path, "activity_hour", described(hours((0, 1, 5), (1, 1, 6)), "as it was called"))
    lake.append(tmp_path, "activity_hour", described(hours((2, 1, 7)), "as it is called"))
    lake.replace_days(tmp_path, "activity_hour", described(hours((0, 1, 8)), "as it is called"), DAYS[:1])
    assert stored(tmp_path) == [(0, 1, 8), (1, 1, 6), (2, 1, 7)]


def test_a_table_that_was_read_is_read_anew_after_another_process_wrote_to_it(tmp_path: Path) -> None:
    lake.append(tmp_path, "dim_network", networks((1, "192.0.2.0/24")))
    assert lake.read(tmp_path, "dim_network").num_rows == 1 and lake.version(tmp_path, "dim_network") == 0
    other = "import sys, deltalake; t = deltalake.DeltaTable(sys.argv[1]); t.delete()"
    subprocess.run([sys.executable, "-c", other, tmp_path / "dim_network"], check=True)
    assert lake.read(tmp_path, "dim_network").num_rows == 0 and lake.version(tmp_path, "dim_network") == 1
    shutil.rmtree(tmp_path / "dim_network")
    assert lake.version(tmp_path, "dim_network") is None


def test_a_process_that_reads_a_table_and_ends_at_once_ends_well(tmp_path: Path) -> None:
    """Files that Python opens for Arrow are closed by its threads, maybe when Python has gone: abort, exit code 134."""
    lake.append(tmp_path, "dim_network", networks(*((n, f"203.0.{n}.0/24") for n in range(200))))
    script = "import sys, pathlib; from tokenkit.store import lake; lake.read(pathlib.Path(sys.argv[1]), 'dim_network')"
    started = [subprocess.Popen([sys.executable, "-c", script, tmp_path]) for _ in range(8)]
    assert [one.wait(60) for one in started] == [0] * 8


ODD_NAMES = [
    "with blank", "ü", "u\u0308", "日本", "a#b", "a%20b", "100%", "it's", 'q"q', "a(b)", "a{b}", "a{b,c}", "a[1]",
    "a^b", "a*b", "a?b", "a|b", "a\\b", "a:b", "a`b", "a<b>", "a$b", "line\nend", "🙂", "caf\udce9",
]  # fmt: skip


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_lake_is_written_and_read_under_any_name_of_a_folder(tmp_path: Path, name: str) -> None:
    root = tmp_path / name / "lake"
    (tmp_path / "aXb" / "lake").mkdir(parents=True)  # what a pattern a?b would find, too
    lake.append(tmp_path / "aXb" / "lake", "activity_hour", hours((2, 9, 9)))
    lake.append(root, "activity_hour", hours((0, 1, 5), (1, 1, 7)))
    lake.replace_days(root, "activity_hour", hours((0, 3, 8)), DAYS[:1])
    lake.append(root, "activity_hour", hours((1, 4, 1)))
    lake.replace_rows(root, "activity_hour", hours((1, 4, 2)), "token_key")
    lake.grow_dimension(root, "dim_network", networks((1, "203.0.113.0/24")))
    lake.replace(root, "dim_network", networks((2, "198.51.100.0/24")))
    lake.tidy(root)
    assert stored(root) == [(0, 3, 8), (1, 1, 7), (1, 4, 2)]
    assert all(path.exists() for path in lake.files(root, "activity_hour"))
    assert sorted(lake.days(root, "activity_hour")) == DAYS[:2]
    with engine.connect(config.Engine(), tmp_path / "scratch") as connection:
        whole = lake.scan(connection, root, "activity_hour").project("token_key, requests").fetchall()
        day = lake.scan(connection, root, "activity_hour", DAYS[1], DAYS[2]).project("token_key").fetchall()
    assert (sorted(whole), sorted(day)) == ([(1, 7), (3, 8), (4, 2)], [(1,), (4,)])
    assert [p.name for p in (tmp_path / name).iterdir()] == ["lake"]
    (root / "activity_hour" / "day=2026-03-02" / "half.parquet").write_bytes(b"half")
    assert len(lake.vacuum(root, "activity_hour", 0)) == len(lake.vacuum(root, "activity_hour", 0, apply=True)) == 3
    assert sorted((root / "activity_hour").glob("day=*/*")) == sorted(lake.files(root, "activity_hour"))
    assert stored(root) == [(0, 3, 8), (1, 1, 7), (1, 4, 2)]
    lake.erase_history(root, "activity_hour")
    assert stored(root) == [(0, 3, 8), (1, 1, 7), (1, 4, 2)]


def test_folders_of_odd_names_that_are_gone_are_not_held_open(tmp_path: Path) -> None:
    for number in range(20):
        root = tmp_path / f"a[{number}]" / "lake"
        lake.append(root, "dim_network", networks((1, "203.0.113.0/24")))
        shutil.rmtree(root.parent)
    held = [os.readlink(path) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    assert sum(str(tmp_path) in path for path in held) <= 1


def test_a_lake_of_an_odd_name_is_found_again_where_another_folder_takes_its_place(tmp_path: Path) -> None:
    root = tmp_path / "a[1]" / "lake"
    lake.append(root, "activity_hour", hours((0, 1, 5)))
    shutil.rmtree(root)
    assert lake.version(root, "activity_hour") is None
    lake.append(root, "activity_hour", hours((1, 2, 6)))
    assert stored(root) == [(1, 2, 6)]
