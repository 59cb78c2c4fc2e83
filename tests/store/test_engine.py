"""Connections of one process: each has tables of its own, whatever else is open."""

from pathlib import Path

import duckdb
import pytest

from tokenkit.config import Engine
from tokenkit.store.engine import connect


def test_two_connections_see_nothing_of_each_other_and_nothing_is_left(tmp_path: Path) -> None:
    with connect(Engine(), tmp_path) as one, connect(Engine(), tmp_path) as other:
        one.sql("select 1 as a").create_view("v")
        other.sql("select 2 as a").create_view("v")
        other.execute("create temp table t as select 3 as a")
        assert (one.sql("from v").fetchall(), other.sql("from v").fetchall()) == ([(1,)], [(2,)])
        with pytest.raises(duckdb.CatalogException):
            one.sql("from t").fetchall()
    with connect(Engine(), tmp_path) as later:
        assert later.sql("show tables").fetchall() == []
        databases = later.sql("select database_name from duckdb_databases() where not internal").fetchall()
        assert len(databases) == 2, "its own, and the one that all are in"


def test_a_failure_is_the_one_that_is_raised_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(duckdb.Error, match="nothing does not exist"), connect(Engine(), tmp_path) as failing:
        failing.execute("begin")
        failing.execute("create table mine as select 1 as a")
        failing.execute("select * from nothing")
    with pytest.raises(KeyboardInterrupt), connect(Engine(), tmp_path) as interrupted:
        interrupted.execute("select * from range(10000000)")
        raise KeyboardInterrupt
    with connect(Engine(), tmp_path) as later:
        databases = "select database_name from duckdb_databases() where not internal"
        assert len(later.sql(databases).fetchall()) == 2, "its own, and the one that all are in"


def test_what_was_stored_beyond_the_memory_limit_is_gone_with_its_connection(tmp_path: Path) -> None:
    for _ in range(2):
        with connect(Engine(memory_limit="60MB"), tmp_path) as connection:
            connection.sql("select hash(range) as a, hash(range + 1) as b from range(8000000)").create("large")
            assert sum(file.stat().st_size for file in tmp_path.iterdir()) > 20_000_000
        assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 1_000


def test_each_workspace_has_its_own_settings_and_its_own_folder(tmp_path: Path) -> None:
    for megabytes, threads in ((400, 1), (600, 2), (400, 1)):
        settings = Engine(memory_limit=f"{megabytes}MB", threads=threads)
        with connect(settings, tmp_path / str(megabytes)) as connection:
            asked = "select current_setting('threads'), current_setting('temp_directory')"
            assert connection.sql(asked).fetchall() == [(threads, str(tmp_path / str(megabytes)))]
