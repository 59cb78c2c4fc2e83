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


def test_a_failed_query_ends_its_connection_and_no_other(tmp_path: Path) -> None:
    with pytest.raises(duckdb.Error), connect(Engine(), tmp_path) as failing:
        failing.sql("select * from nothing")
    with connect(Engine(), tmp_path) as later:
        assert later.sql("select 1").fetchall() == [(1,)]


def test_each_workspace_has_its_own_settings_and_its_own_folder(tmp_path: Path) -> None:
    for megabytes, threads in ((400, 1), (600, 2), (400, 1)):
        settings = Engine(memory_limit=f"{megabytes}MB", threads=threads)
        with connect(settings, tmp_path / str(megabytes)) as connection:
            asked = "select current_setting('threads'), current_setting('temp_directory')"
            assert connection.sql(asked).fetchall() == [(threads, str(tmp_path / str(megabytes)))]
