"""Fingerprint: what each profile did in each hour and each day, as raw feature values.

Reads  activity_*, seen, dimensions, tokens. Writes fingerprint (by day; one column a feature).
One file a family; a feature is one expression (``feature.feature``). The map from tokens to profiles is applied here,
so
that a corrected inventory rewrites no lake.
"""

import hashlib
from datetime import date, timedelta
from functools import cache
from importlib.metadata import entry_points

import duckdb
import narwhals as nw
import pandas as pd
import pyarrow as pa

from tokenkit import engine, inventory, lake, state
from tokenkit.config import Workspace
from tokenkit.fingerprint import client, data, endpoint, network, objects, outcome, volume  # noqa: F401  (register)
from tokenkit.fingerprint.feature import REGISTRY, Feature
from tokenkit.ingest import Progress, silent

DAYS_A_QUERY = 30
VERSION = "1"


@cache
def features() -> dict[str, Feature]:
    """All features by name, those of entry points (group ``tokenkit.features``) included."""
    for point in entry_points(group="tokenkit.features"):
        point.load()
    return REGISTRY


def profiles(workspace: Workspace) -> pd.DataFrame:
    """The profile of each token: ``token_key``, ``token_uid``, ``profile_uid``, ``profile_kind``, ``profile_key``."""
    tokens = lake.read(workspace.lake, "tokens").to_pandas()
    mapped = inventory.profiles(lake.read(workspace.lake, "dim_token").to_pandas(), tokens)
    codes = {uid: number for number, uid in enumerate(sorted(mapped["profile_uid"].unique()))}
    return mapped.assign(profile_key=mapped["profile_uid"].map(codes).astype("int64"))


def build(workspace: Workspace, progress: Progress = silent) -> int:
    """Bring the fingerprint up to date with the activity and the owners; returns the number of days rebuilt."""
    mapped = profiles(workspace)
    how = f"{VERSION}:{lake.digest(workspace.lake, ['dim_token', 'tokens'])}:{','.join(features())}"
    with state.connect(workspace.state) as db:
        done = state.built(db, "fingerprint")
    now = _digests(how, lake.days(workspace.lake, "activity_hour"))
    stale = [d for d in now if done.get(d.isoformat()) != now[d]]
    for number in range(0, len(stale), DAYS_A_QUERY):
        part = stale[number : number + DAYS_A_QUERY]
        progress("forming fingerprints", number, len(stale))
        lake.replace_days(workspace.lake, "fingerprint", _form(workspace, mapped, part), part)
        with state.connect(workspace.state) as db:
            state.mark_built(db, "fingerprint", {d.isoformat(): now[d] for d in part})
    if stale:
        progress("forming fingerprints", len(stale), len(stale))
    return len(stale)


def _digests(how: str, days: dict[date, str]) -> dict[date, str]:
    """What each day is formed from: its activity and that of all days before, which say what is new on it."""
    chained = {}
    for day, digest in days.items():
        how = hashlib.sha256(f"{how}:{digest}".encode()).hexdigest()[:16]
        chained[day] = how
    return chained


def _form(workspace: Workspace, mapped: pd.DataFrame, part: list[date]) -> pa.Table:
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        connection.register("profiles", mapped[["token_key", "profile_key"]])
        wanted = "day in ({})".format(", ".join(f"date '{d.isoformat()}'" for d in part))
        tables = {
            name: nw.from_native(relation.filter(wanted))
            for name, relation in _tables(connection, workspace, part[0], part[-1] + timedelta(days=1)).items()
        }
        windows = [window_table(tables, window) for window in ("hour", "day")]
    names = mapped.drop_duplicates("profile_key").set_index("profile_key")["profile_uid"]
    frame = pd.concat([w.to_pandas().assign(window=kind) for w, kind in zip(windows, ("hour", "day"), strict=True)])
    frame["profile_uid"] = frame.pop("profile_key").map(names)
    start = pd.to_datetime(frame.pop("window_s"), unit="s", utc=True).dt.as_unit("us")
    frame = frame.assign(start=start, day=start.dt.date).sort_values(["day", "profile_uid", "window", "start"])
    first = ["day", "profile_uid", "window", "start"]
    table = pa.Table.from_pandas(frame[first + [n for n in features() if n in frame]], preserve_index=False)
    return table.set_column(0, "day", table["day"].cast(pa.date32()))


def _tables(
    connection: duckdb.DuckDBPyConnection, workspace: Workspace, start: date, end: date
) -> dict[str, duckdb.DuckDBPyRelation]:
    """The activity tables of some days with ``profile_key`` and what features ask of the dimensions."""

    def view(name: str, *between: date) -> None:
        lake.scan(connection, workspace.lake, name, *between).create_view(name, replace=True)

    for kind in ("hour", "network", "client", "operation", "object"):
        view(f"activity_{kind}", start, end)
    for name in ("dim_operation", "seen"):
        view(name)
    tables = {
        name: connection.sql(f"select * from {name} join profiles using (token_key)")
        for name in ("activity_hour", "activity_network", "activity_client")
    }
    tables["activity_operation"] = connection.sql(
        "select * from activity_operation join profiles using (token_key) left join dim_operation using (operation_key)"
    )
    tables["activity_denied"] = tables["activity_operation"].filter("outcome = 2")
    tables["activity_object"] = connection.sql(
        "with first as (select profile_key, value_key as object_key, min(first_day) as first_day from seen"
        " join profiles using (token_key) where kind = 'object' group by all)"
        " select *, epoch(day)::bigint as hour_s, 1::bigint as one, day = first_day as is_new"
        " from activity_object join profiles using (token_key) left join first using (profile_key, object_key)"
    )
    return tables


def window_table(tables: dict[str, nw.LazyFrame], window: str) -> pa.Table:
    """Every feature of one kind of window.

    Parameters
    ----------
    tables : the activity tables by name, each with ``profile_key`` and ``hour_s`` (int64)
    window : ``hour`` or ``day``

    Returns
    -------
    Table with ``profile_key``, ``window_s`` (start, seconds since 1970) and one column a feature (int64, zero where
    nothing happened).
    """
    span = 3600 if window == "hour" else 86400
    joined: nw.LazyFrame | None = None
    for name, frame in tables.items():
        wanted = {f.name: f.expression() for f in features().values() if f.table == name and window in f.windows}
        if not wanted:
            continue
        keyed = frame.with_columns((nw.col("hour_s") // span * span).alias("window_s"))
        table = keyed.group_by("profile_key", "window_s").agg(**wanted)
        joined = table if joined is None else joined.join(table, on=["profile_key", "window_s"], how="left")
    assert joined is not None, "activity_hour has features"
    counts = [f.name for f in features().values() if window in f.windows and f.table in tables]
    return joined.with_columns(nw.col(*counts).fill_null(0)).collect(backend="pyarrow").to_native()
