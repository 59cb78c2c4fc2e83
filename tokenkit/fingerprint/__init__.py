"""Fingerprint: what each profile did in each hour and each day, as raw feature values.

Reads  activity_*, seen, dimensions, tokens. Writes fingerprint (by day; one column a feature).
One file a family; a feature is one expression (``feature.feature``) over one of ``tables``. The map from tokens to
profiles is applied here, so that a corrected inventory rewrites no lake.
"""

import hashlib
import sys
from datetime import date
from functools import cache
from pathlib import Path

import narwhals as nw
import pandas as pd
import pyarrow as pa

from tokenkit import plugins
from tokenkit.config import Workspace
from tokenkit.errors import SchemaError, did_you_mean
from tokenkit.fingerprint import (  # noqa: F401  (they register their features)
    client,
    data,
    endpoint,
    lifecycle,
    network,
    objects,
    outcome,
    rhythm,
    volume,
)
from tokenkit.fingerprint import tables as _tables
from tokenkit.fingerprint.feature import REGISTRY, Feature
from tokenkit.progress import Progress, silent
from tokenkit.store import engine, lake, state
from tokenkit.tokens.profiles import token_profiles

DAYS_A_QUERY = 30
VERSION = "2"  # raise when a definition changes, so that every day is formed again
GROUP = "tokenkit.features"


@cache
def features() -> dict[str, Feature]:
    """All features by name, those of installed packages (entry points of the group ``tokenkit.features``) included.

    Raises
    ------
    SchemaError
        A package's features cannot be used; names the package.

    Examples
    --------
    >>> features()["requests"].unit
    'calls'
    """
    for _ in plugins.installed(GROUP, "features", SchemaError):
        pass  # loading registers them
    judged = [name for name, its in REGISTRY.items() if its.bad != "context"]
    for its in REGISTRY.values():
        if its.given is not None and its.given not in judged:
            raise SchemaError(
                f"feature {its.name} of {its.expression.__module__} is given {its.given!r}, which is no judged feature;"
                f" {did_you_mean(its.given, judged)}"
            )
    return REGISTRY


def scored_features() -> dict[str, Feature]:
    """The features that are compared with the baseline: all but context.

    Examples
    --------
    >>> "requests" in scored_features(), "age_days" in scored_features()
    (True, False)
    """
    return {name: its for name, its in features().items() if its.bad != "context"}


def definitions() -> str:
    """A digest of what the features are: ours by ``VERSION``, those of other packages by the text of their modules."""
    modules = sorted({its.expression.__module__ for its in features().values()})
    files = [getattr(sys.modules[m], "__file__", None) for m in modules if not m.startswith("tokenkit.")]
    texts = [Path(file).read_bytes() for file in files if file]  # a notebook has none
    parts = [VERSION.encode(), *(name.encode() for name in sorted(features())), *texts]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def build(workspace: Workspace, progress: Progress = silent) -> int:
    """Bring the fingerprint up to date with the activity and the owners; returns the number of days rebuilt."""
    mapped = token_profiles(workspace)
    how = f"{lake.digest(workspace.lake, ['dim_token', 'tokens'])}:{definitions()}"
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
        tables = {n: nw.from_native(r) for n, r in _tables.of_days(connection, workspace, mapped, part).items()}
        windows = [window_table(tables, window) for window in ("hour", "day")]
    names = mapped.drop_duplicates("profile_key").set_index("profile_key")["profile_uid"]
    frame = pd.concat([w.to_pandas().assign(window=kind) for w, kind in zip(windows, ("hour", "day"), strict=True)])
    frame["profile_uid"] = frame.pop("profile_key").map(names)
    start = pd.to_datetime(frame.pop("window_s"), unit="s", utc=True).dt.as_unit("us")
    frame = frame.assign(start=start, day=start.dt.date).sort_values(["day", "profile_uid", "window", "start"])
    first = ["day", "profile_uid", "window", "start"]
    table = pa.Table.from_pandas(frame[first + [n for n in features() if n in frame]], preserve_index=False)
    return table.set_column(0, "day", table["day"].cast(pa.date32()))


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
