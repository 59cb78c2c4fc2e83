"""Activity: count what each token did, hour by hour, in narrow tables with one part a day.

Reads  events and dimensions (integer columns only). Writes activity_* (by day) and seen.
Narwhals expressions: the same on DuckDB, Spark, pandas and Polars. After ingest there is only integer arithmetic, and
every sum is cast to Int64 (DuckDB sums to HUGEINT, which Parquet writers turn into double). A day is rebuilt when the
events of that day changed, and only then.
"""

from collections.abc import Callable
from datetime import date, timedelta

import duckdb
import narwhals as nw
import pyarrow as pa

from tokenkit import schema
from tokenkit.config import Workspace
from tokenkit.days import begin_of_logs, in_groups
from tokenkit.progress import Progress, silent
from tokenkit.store import engine, lake, state

HOUR_MS, MINUTE_MS = 3_600_000, 60_000
SESSION_GAP_MS = 600_000  # calls no further apart than 10 minutes are of one session (docs/method/features.md)
SESSION_OPERATIONS = 60  # pairs grow with the square: of a session's operations the first 60 make pairs, 1,770 at most
PACED_LEAST_S = 2  # times have whole seconds in some logs: gaps of 0 and 1 s are equal by chance
VERSION = "3"  # to be raised when a definition changes: every day is then rebuilt

Keep = Callable[[nw.LazyFrame], nw.LazyFrame]


def _total(name: str) -> nw.Expr:
    return nw.col(name).sum().cast(nw.Int64).alias(name)


def prepare(events: nw.LazyFrame) -> nw.LazyFrame:
    """Return the events that have a token, with the columns that every table needs: hour, minute, outcome, counts."""
    status = nw.col("http_status").fill_null(0)
    denied = nw.col("is_denied").fill_null(False)
    failed = nw.col("status_id") == 2
    outcome = (
        nw.when(denied).then(nw.lit(2)).otherwise(nw.when(status >= 500).then(nw.lit(4)).otherwise(
            nw.when(failed | (status >= 400)).then(nw.lit(3)).otherwise(nw.lit(1))))
    )  # fmt: skip
    throttled = (status == 429) | (nw.col("status_code").fill_null("") == "ThrottlingException")
    return events.filter(nw.col("token_key") != 0).select(
        "day", "token_key", "network_key", "client_key", "operation_key", "object_key", "event_key", "time_ms",
        (nw.col("time_ms") // HOUR_MS * 3600).alias("hour_s"),
        (nw.col("time_ms") // MINUTE_MS).alias("minute"),
        nw.col("count").fill_null(1).cast(nw.Int64).alias("requests"),
        outcome.cast(nw.Int8).alias("outcome"),
        throttled.cast(nw.Int64).alias("throttled"),
        nw.col("request_bytes").fill_null(0).alias("request_bytes"),
        nw.col("response_bytes").fill_null(0).alias("response_bytes"),
        nw.col("rows").fill_null(0).alias("rows"),
    )  # fmt: skip


def hour(events: nw.LazyFrame) -> nw.LazyFrame:
    """Token x hour: calls, outcomes, bytes, active minutes."""

    def calls(condition: nw.Expr, name: str) -> nw.Expr:
        return nw.when(condition).then(nw.col("requests")).otherwise(nw.lit(0)).sum().cast(nw.Int64).alias(name)

    minutes = events.group_by("day", "token_key", "hour_s", "minute").agg(
        _total("requests"),
        calls(nw.col("outcome") == 1, "ok"),
        calls(nw.col("outcome") == 2, "denied"),
        calls((nw.col("outcome") == 2) | (nw.col("outcome") == 3), "client_errors"),
        calls(nw.col("throttled") == 1, "throttled"),
        calls(nw.col("outcome") == 4, "server_errors"),
        _total("request_bytes"),
        _total("response_bytes"),
        nw.col("response_bytes").max().alias("max_response_bytes"),
        _total("rows"),
        nw.col("time_ms").min().alias("first_ms"),
        nw.col("time_ms").max().alias("last_ms"),
    )
    return minutes.group_by("day", "token_key", "hour_s").agg(
        *[_total(name) for name in ("ok", "denied", "client_errors", "throttled", "server_errors", "request_bytes")],
        _total("response_bytes"),
        _total("rows"),
        nw.col("max_response_bytes").max(),
        nw.len().cast(nw.Int64).alias("active_minutes"),
        nw.col("requests").max().alias("max_in_minute"),
        nw.col("requests").sum().cast(nw.Int64).alias("requests"),
        (nw.col("first_ms").min() // 1000).alias("first_s"),
        (nw.col("last_ms").max() // 1000).alias("last_s"),
    )


def _by(events: nw.LazyFrame, *keys: str) -> nw.LazyFrame:
    return events.group_by("day", "token_key", "hour_s", *keys).agg(_total("requests"), _total("response_bytes"))


def network(events: nw.LazyFrame) -> nw.LazyFrame:
    """Token x hour x network: calls and bytes."""
    return _by(events.filter(nw.col("network_key") != 0), "network_key")


def client(events: nw.LazyFrame) -> nw.LazyFrame:
    """Token x hour x program: calls and bytes."""
    return _by(events.filter(nw.col("client_key") != 0), "client_key")


def operation(events: nw.LazyFrame) -> nw.LazyFrame:
    """Token x hour x operation x outcome: calls and bytes."""
    return _by(events, "operation_key", "outcome")


def daily_objects(events: nw.LazyFrame, dim_object: nw.LazyFrame) -> nw.LazyFrame:
    """Token x day x object: calls, bytes, and whether the object one number below was touched the same day."""
    objects = (
        events.filter(nw.col("object_key") != 0)
        .group_by("day", "token_key", "object_key")
        .agg(_total("requests"), _total("response_bytes"))
        .join(dim_object.select("object_key", "group_key", "number"), on="object_key", how="left")
    )
    # object_key: of two spellings of one number (7 and 07) always the same one follows
    below = nw.col("number").shift(1).over("day", "token_key", "group_key", order_by=["number", "object_key"])
    step = nw.col("number") - below
    return objects.with_columns((step.fill_null(0) == 1).alias("sequential"))


def transition(events: nw.LazyFrame) -> nw.LazyFrame:
    """Token x day x operation and the one called before it: how often, and how many seconds lay between them.

    A step is paced when its gap is the gap before it, to a tenth: what a program that waits between its calls does.
    Gaps are differences of whole seconds, so that those of a day add up to its last call minus its first.
    """
    order = ["time_ms", "event_key"]

    def earlier(column: str, steps: int = 1) -> nw.Expr:
        return nw.col(column).shift(steps).over("day", "token_key", order_by=order)

    time_s = (nw.col("time_ms") // 1000).alias("time_s")
    calls = events.select("day", "token_key", "operation_key", "network_key", *order, time_s)
    steps = calls.with_columns(
        earlier("operation_key").alias("previous_key"),
        earlier("network_key").alias("previous_network"),
        (nw.col("time_s") - earlier("time_s")).alias("gap_s"),
        (earlier("time_s") - earlier("time_s", 2)).alias("gap_before_s"),
    ).filter(~nw.col("previous_key").is_null())
    moved = (nw.col("network_key") != nw.col("previous_network")) & (nw.col("network_key") != 0)
    switched = moved & (nw.col("previous_network") != 0) & (nw.col("gap_s") <= SESSION_GAP_MS // 1000)
    change = (nw.col("gap_s") - nw.col("gap_before_s")).abs()
    paced = (nw.col("gap_s") >= PACED_LEAST_S) & (change * 10 <= nw.col("gap_s"))
    return (
        steps.with_columns(
            (nw.col("gap_s") * nw.col("gap_s")).alias("squared_gap_s2"),
            paced.fill_null(False).cast(nw.Int64).alias("paced"),
            switched.fill_null(False).cast(nw.Int64).alias("switched"),
            nw.col("gap_s").alias("max_gap_s"),
        )
        .group_by("day", "token_key", "previous_key", "operation_key")
        .agg(
            nw.len().cast(nw.Int64).alias("steps"),
            _total("gap_s"),
            _total("squared_gap_s2"),
            nw.col("max_gap_s").max(),
            _total("paced"),
            _total("switched"),
        )
    )


def session_operations(events: nw.LazyFrame, keep: Keep = lambda frame: frame) -> nw.LazyFrame:
    """Token x day x session x operation: what ``session`` and ``pair`` are made from.

    Parameters
    ----------
    events : as ``prepare`` makes them
    keep : keeps a frame that is read more than once, which a lazy engine would work out anew each time

    Returns
    -------
    LazyFrame with ``session`` (its number in the day), ``place`` (of the operation in it, by first call, from 1),
    ``requests``, ``first_ms`` and ``last_ms``.
    """
    # calls of one slot of 10 minutes are of one session in any case: the ordered pass goes over slots, not over calls
    slots = keep(
        events.with_columns((nw.col("time_ms") // SESSION_GAP_MS).alias("slot"))
        .group_by("day", "token_key", "slot", "operation_key")
        .agg(_total("requests"), nw.col("time_ms").min().alias("first_ms"), nw.col("time_ms").max().alias("last_ms"))
    )
    span = slots.group_by("day", "token_key", "slot").agg(nw.col("first_ms").min(), nw.col("last_ms").max())
    pause = nw.col("first_ms") - nw.col("last_ms").shift(1).over("day", "token_key", order_by="slot")
    begun = span.with_columns((pause > SESSION_GAP_MS).fill_null(True).cast(nw.Int64).alias("begun"))
    number = nw.col("begun").cum_sum().over("day", "token_key", order_by="slot").cast(nw.Int64).alias("session")
    operations = (
        slots.join(begun.select("day", "token_key", "slot", number), on=["day", "token_key", "slot"])
        .group_by("day", "token_key", "session", "operation_key")
        .agg(_total("requests"), nw.col("first_ms").min(), nw.col("last_ms").max())
    )
    order = ["first_ms", "operation_key"]
    place = nw.col("operation_key").cum_count().over("day", "token_key", "session", order_by=order)
    return keep(operations.with_columns(place.cast(nw.Int64).alias("place")))


def session(operations: nw.LazyFrame) -> nw.LazyFrame:
    """Token x day x session: from when to when, different operations, calls."""
    return (
        operations.group_by("day", "token_key", "session")
        .agg(
            (nw.col("first_ms").min() // 1000).alias("start_s"),
            (nw.col("last_ms").max() // 1000).alias("end_s"),
            nw.len().cast(nw.Int64).alias("operations"),
            _total("requests"),
        )
        .drop("session")
    )


def pair(operations: nw.LazyFrame) -> nw.LazyFrame:
    """Token x day x two operations called in one session: in how many sessions. The smaller key stands first.

    Of a session with more than ``SESSION_OPERATIONS`` different ones, those called first make the pairs: a sweep over
    everything still makes 1,770 pairs that nobody has seen, and no more than that.
    """
    ones = operations.filter(nw.col("place") <= SESSION_OPERATIONS)
    ones = ones.select("day", "token_key", "session", "operation_key")
    others = ones.select("day", "token_key", "session", nw.col("operation_key").alias("other_key"))
    return (
        ones.join(others, on=["day", "token_key", "session"])
        .filter(nw.col("operation_key") < nw.col("other_key"))
        .group_by("day", "token_key", "operation_key", "other_key")
        .agg(nw.len().cast(nw.Int64).alias("sessions"))
    )


TABLES = {
    "activity_hour": hour,
    "activity_network": network,
    "activity_client": client,
    "activity_operation": operation,
    "activity_transition": transition,
}
SESSION_TABLES = {"activity_session": session, "activity_pair": pair}


def build(workspace: Workspace, progress: Progress = silent) -> int:
    """Bring the activity tables up to date with the events; return the number of days rebuilt."""
    root = workspace.lake
    with state.connect(workspace.state) as db:
        digests_built = state.stage_digests(db, "activity")
        seen_digest = state.stage_digests(db, "seen").get("all")
    digests = day_digests(workspace)
    stale_days = [d for d, digest in digests.items() if digests_built.get(d.isoformat()) != digest]
    done = 0
    for days in in_groups(stale_days, lake.rows_by_day(root, "events")):
        progress("counting activity", done, len(stale_days))
        done += len(days)
        with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
            relation = lake.scan(connection, root, "events", days[0], days[-1] + timedelta(days=1))
            events = prepare(nw.from_native(relation.filter(_in_days(days))))
            for name, table in TABLES.items():
                _write(workspace, name, table(events), days)
            operations = session_operations(events, _in_tables(connection))
            for name, of_sessions in SESSION_TABLES.items():
                _write(workspace, name, of_sessions(operations), days)
            objects = nw.from_native(lake.scan(connection, root, "dim_object"))
            _write(workspace, "activity_object", daily_objects(events, objects), days)
        with state.connect(workspace.state) as db:
            state.save_stage_digests(db, "activity", {d.isoformat(): digests[d] for d in days})
    counts_digest = digest_of_counts(workspace)
    if seen_digest != counts_digest or lake.version(root, "seen") is None:
        lake.replace(root, "seen", _seen(workspace, begin_of_logs(workspace)))
        with state.connect(workspace.state) as db:
            state.save_stage_digests(db, "seen", {"all": counts_digest})
    if stale_days:
        progress("counting activity", len(stale_days), len(stale_days))
    return len(stale_days)


def day_digests(workspace: Workspace) -> dict[date, str]:
    """Return a digest of what the activity of each day is counted from; one that was noted is up to date."""
    return {d: f"{VERSION}:{digest}" for d, digest in lake.days(workspace.lake, "events").items()}


def digest_of_counts(workspace: Workspace) -> str:
    """Return a digest of what ``seen`` is made from."""
    kinds = [f"activity_{kind}" for kind in ("network", "client", "operation", "object")]
    begin = begin_of_logs(workspace)
    return lake.digest(workspace.lake, kinds) + (f":{begin}" if begin else "")


def _in_tables(connection: duckdb.DuckDBPyConnection) -> Keep:
    """Return a function that stores a frame as a table of the connection, on disk where memory ends."""

    def keep(frame: nw.LazyFrame) -> nw.LazyFrame:
        relation: duckdb.DuckDBPyRelation = frame.to_native()
        name = f"stored_{len(connection.sql('show tables').fetchall())}"
        relation.create(name)
        return nw.from_native(connection.table(name))

    return keep


def _in_days(days: list[date]) -> str:
    return "day in ({})".format(", ".join(f"date '{d.isoformat()}'" for d in days))


def _write(workspace: Workspace, name: str, frame: nw.LazyFrame, days: list[date]) -> None:
    table: pa.Table = frame.collect(backend="pyarrow").to_native()
    table = schema.conform(name, table).sort_by([(c, "ascending") for c in table_keys(name)])
    lake.replace_days(workspace.lake, name, table, days)


def table_keys(name: str) -> list[str]:
    """The columns that tell one row of an activity table from another, in the order in which rows are stored."""
    keys = ["day", "token_key", "hour_s", "network_key", "client_key", "previous_key", "operation_key", "other_key"]
    keys += ["outcome", "object_key", "start_s"]
    return [k for k in keys if k in schema.table(name).names]


def _seen(workspace: Workspace, begin: date | None) -> pa.Table:
    """Token x kind x value over all days, or those from ``begin`` on."""
    kinds = {"network": "network_key", "client": "client_key", "operation": "operation_key", "object": "object_key"}
    tables = []
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        for kind, key in kinds.items():
            rows = nw.from_native(lake.scan(connection, workspace.lake, f"activity_{kind}", begin))
            daily = rows.group_by("token_key", key, "day").agg(_total("requests"))
            table = (
                daily.group_by("token_key", key)
                .agg(
                    nw.col("day").min().alias("first_day"),
                    nw.col("day").max().alias("last_day"),
                    nw.len().cast(nw.Int64).alias("days_seen"),
                    _total("requests"),
                )
                .with_columns(nw.lit(kind).alias("kind"), nw.col(key).alias("value_key"))
            )
            tables.append(schema.conform("seen", table.collect(backend="pyarrow").to_native()))
    return pa.concat_tables(tables).sort_by(
        [("token_key", "ascending"), ("kind", "ascending"), ("value_key", "ascending")]
    )
