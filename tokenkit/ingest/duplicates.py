"""Duplicates: which of the events that files offer are in the lake already, or are offered twice.

What an event is known by, its id or its whole record, is said in ``sources.fields.sameness``.
"""

import json
import sqlite3
from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tokenkit import identity
from tokenkit.config import Workspace
from tokenkit.ingest.copies import KNOWS_CALLER, OF_AWS
from tokenkit.sources.contract import Batch
from tokenkit.sources.fields.sameness import SAME, Flags, Keys
from tokenkit.store import engine, lake, state

BY_ID, BY_CONTENT = "id", "content"  # what an event is known by (sources.fields.sameness)
MARKS = ["_file", "_by_id", "_later"]


def note_earlier_version(workspace: Workspace, db: sqlite3.Connection) -> None:
    """Note, once, that what an earlier version stored is known by ids, a client's among them."""
    if state.get_meta(db, "known_by") is None:
        before = lake.version(workspace.lake, "events") is not None
        names = [row["source"] for row in db.execute("select distinct source from files")] if before else []
        state.set_meta(db, "known_by", json.dumps({name: [BY_ID] for name in sorted(names)}))
        db.commit()


def both_ways(db: sqlite3.Connection, files: Sequence[tuple[str, Sequence[Batch]]]) -> bool:
    """Note by what the events of files, given as source and batches, are known; whether a source has both ways."""
    known_by: dict[str, list[str]] = json.loads(state.get_meta(db, "known_by") or "{}")
    for source, batches in files:
        for batch in batches:
            flags = batch.by_content
            some_by_id = flags is None or not flags.all()
            ways = [BY_ID] * some_by_id + [BY_CONTENT] * (flags is not None and bool(flags.any()))
            known_by[source] = sorted({*known_by.get(source, ()), *ways})
    state.set_meta(db, "known_by", json.dumps(known_by, sort_keys=True))
    return any(len(known_by.get(source, ())) > 1 for source, _ in files)


def marked(batch: Batch, file: int, later: Flags) -> pa.Table:
    """Return the events with the number of their file, whether an id alone tells them apart, and which are repeated."""
    count = batch.events.num_rows
    by_id = np.ones(count, dtype=bool) if batch.by_content is None else ~batch.by_content
    marks = (pa.repeat(file, count), pa.array(by_id), pa.array(later))
    table = batch.events
    for name, values in zip(MARKS, marks, strict=True):
        table = table.append_column(name, values)
    return table


def stored_keys(workspace: Workspace, keys: Keys, first: date, last: date) -> Keys:
    """Return those of some event keys that the lake has in the days from ``first`` to ``last``, both included."""
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        lake.scan(connection, workspace.lake, "events", first, last + timedelta(days=1)).create_view("stored")
        connection.register("offered", pa.table({"event_key": keys}))
        found = connection.sql("select event_key from offered semi join stored using (event_key)").to_arrow_table()
    return found["event_key"].to_numpy()


def without_duplicates(
    workspace: Workspace, events: pa.Table, both_ways: bool, files: int
) -> tuple[pa.Table, pa.Table | None, list[int]]:
    """Return the events that are neither in the lake nor in an earlier row, sorted by day, token and time.

    And those that are in the lake as the copy of another account, which knows the caller less well; and, of each file,
    how many of the others have the id of another event but not its content. ``both_ways``: events of these sources may
    be in the lake under keys of another kind: of an earlier version, or of another ``unique_ids``.
    """
    low, high = pc.min_max(events["day"]).as_py().values()
    count = events.num_rows
    keys = events.select(
        ["event_key", "day", "token_key", "time", "source", "token_kind", "principal_uid", "tenant_uid"]
    )
    keys = keys.append_column("place", pa.array(np.arange(count)))
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        stored = lake.scan(connection, workspace.lake, "events", low, high + timedelta(days=1))
        stored.create_view("stored")
        connection.register("offered", keys)
        known = ""
        if both_ways:
            connection.register("named", _named(events, keys["place"]))
            known = f" where place not in ({_KNOWN_ANOTHER_WAY})"
        # of several records of an event the one that knows the caller best, else the first
        first_rows = connection.sql(
            f"select min(place + (3 - {KNOWS_CALLER}) * {count}) % {count} as place"
            f" from offered anti join (select event_key from stored) using (event_key){known}"
            " group by event_key order by min(day), min(token_key), min(time), event_key"
        ).to_arrow_table()
        new = events.take(first_rows["place"])
        better = None
        duplicates = count > first_rows.num_rows and set(pc.unique(events["source"]).to_pylist()) & set(OF_AWS)
        if duplicates and lake.version(workspace.lake, "events") is not None:
            better_rows = connection.sql(
                f"with known as (select event_key, day, min({KNOWS_CALLER}) as least from stored"
                " where event_key in (select event_key from offered) group by event_key, day),"
                f" better as (select event_key, day, place, {KNOWS_CALLER} as knows from offered)"
                " select arg_max(place, (knows, -place)) as place from better join known using (event_key, day)"
                " where knows > least group by event_key order by event_key"
            ).to_arrow_table()
            better = events.take(better_rows["place"])
        others = np.ones(count, dtype=bool)
        others[first_rows["place"].to_numpy()] = False
        again = events.filter(pa.array(others & events["_by_id"].to_numpy()))
        differing = [0] * files
        if again.num_rows:
            connection.register("again", again.select(["_file", "event_key", "day", "source", "tenant_uid", *SAME]))
            connection.register("new", new.select(["event_key", "tenant_uid", *SAME]))
            for number, of_file in connection.sql(_DIFFERING).fetchall():
                differing[number] = of_file
    return new, better, differing


# a log's own id with the same time, token, status and amounts: one call, whatever key it was stored under
_KNOWN_ANOTHER_WAY = """
    select place from named o join stored s on s.event_uid = o.event_uid and s.source = o.source
        and s.time = o.time and s.token_key = o.token_key
    where (o._by_id or s.event_key = o.id_key) and s.http_status is not distinct from o.http_status
        and s.request_bytes is not distinct from o.request_bytes
        and s.response_bytes is not distinct from o.response_bytes"""
# what another account of AWS saw of a call differs and is the same call
_DIFFERING = f"""
    select a._file, count(*) from again a join (
        select event_key, tenant_uid, {", ".join(SAME)} from new union all
        select event_key, tenant_uid, {", ".join(SAME)} from stored where event_key in (select event_key from again)) k
    using (event_key) where ({" or ".join(f"a.{name} is distinct from k.{name}" for name in SAME)})
    and not (a.source in {OF_AWS} and a.tenant_uid is distinct from k.tenant_uid) group by 1"""


def _named(events: pa.Table, place: pa.ChunkedArray) -> pa.Table:
    """Return the events with the key that they have, or had, where their id alone is what they are known by.

    Of equal records of one file the first alone: the others were not stored by id.
    """
    columns = ["event_uid", "source", "time", "token_key", "http_status", "request_bytes", "response_bytes", "_by_id"]
    marked = pc.binary_join_element_wise(events["source"], events["event_uid"], "|")
    named = events.select(columns).append_column("place", place)
    return named.append_column("id_key", identity.value_keys("event", marked)).filter(pc.invert(events["_later"]))
