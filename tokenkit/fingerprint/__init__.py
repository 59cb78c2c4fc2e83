"""Fingerprint: describe what each profile did in each hour and each day, by the raw values of its features.

Reads  activity_*, seen, dimensions, tokens. Writes fingerprint (by day; one column a feature).
Each family of features has a file; a feature is one expression (``feature.feature``) over one of the ``tables``. Tokens
are mapped to profiles here, so that a corrected inventory does not change the tables of activity.
"""

import hashlib
import sys
from datetime import date
from functools import cache
from pathlib import Path

import narwhals as nw
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tokenkit import plugins
from tokenkit.config import Workspace
from tokenkit.days import begin_of_logs, in_groups
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
from tokenkit.fingerprint.feature import REGISTRY, Feature
from tokenkit.fingerprint.tables import activity_tables
from tokenkit.progress import Progress, silent
from tokenkit.store import engine, lake, state
from tokenkit.tokens.profiles import token_profiles

VERSION = "2"  # to be raised when the definition of a feature of ours changes: every day is then formed again
GROUP = "tokenkit.features"
KEYS = ("profile_key", "window_s")


@cache
def features() -> dict[str, Feature]:
    """Return all features by name, also those of installed packages (entry points of the group ``tokenkit.features``).

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
        pass  # a package's features are registered when it is loaded
    judged = [name for name, feature in REGISTRY.items() if feature.bad != "context"]
    for feature in REGISTRY.values():
        if feature.given is not None and feature.given not in judged:
            raise SchemaError(
                f"feature {feature.name} of {feature.expression.__module__} is given {feature.given!r},"
                f" which is no judged feature; {did_you_mean(feature.given, judged)}"
            )
    return REGISTRY


def judged_features() -> dict[str, Feature]:
    """Return the features that are compared with the baseline: all but context.

    Examples
    --------
    >>> "requests" in judged_features(), "age_days" in judged_features()
    (True, False)
    """
    return {name: feature for name, feature in features().items() if feature.bad != "context"}


def definitions() -> str:
    """Return a digest of the features: of all names, of ``VERSION``, and of the text of other packages' modules."""
    modules = sorted({feature.expression.__module__ for feature in features().values()})
    files = [getattr(sys.modules[m], "__file__", None) for m in modules if not m.startswith("tokenkit.")]
    texts = [Path(file).read_bytes() for file in files if file]  # a notebook has none
    parts = [VERSION.encode(), *(name.encode() for name in sorted(features())), *texts]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def build(workspace: Workspace, progress: Progress = silent) -> int:
    """Bring the fingerprint up to date with the activity and the owners; return the number of days rebuilt."""
    profiles, begin = token_profiles(workspace), begin_of_logs(workspace)
    with state.connect(workspace.state) as db:
        digests_built = state.stage_digests(db, "fingerprint")
    digests = day_digests(workspace)
    stale_days = [d for d in digests if digests_built.get(d.isoformat()) != digests[d]]
    done = 0
    for days in in_groups(stale_days, lake.rows_by_day(workspace.lake, "activity_operation")):
        progress("forming fingerprints", done, len(stale_days))
        done += len(days)
        lake.replace_days(workspace.lake, "fingerprint", _form(workspace, profiles, days, begin), days)
        with state.connect(workspace.state) as db:
            state.save_stage_digests(db, "fingerprint", {d.isoformat(): digests[d] for d in days})
    if stale_days:
        progress("forming fingerprints", len(stale_days), len(stale_days))
    return len(stale_days)


def day_digests(workspace: Workspace) -> dict[date, str]:
    """Return a digest for each day: of its activity and that of all days before, on which it depends what is new."""
    digest_so_far = f"{lake.digest(workspace.lake, ['dim_token', 'tokens'])}:{definitions()}"
    if begin := begin_of_logs(workspace):
        digest_so_far += f":{begin}"
    digests = {}
    for day, digest in lake.days(workspace.lake, "activity_hour").items():
        digest_so_far = hashlib.sha256(f"{digest_so_far}:{digest}".encode()).hexdigest()[:16]
        digests[day] = digest_so_far
    return digests


def _form(workspace: Workspace, profiles: pd.DataFrame, days: list[date], begin: date | None = None) -> pa.Table:
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        tables = {}
        for name, relation in activity_tables(connection, workspace, profiles, days, begin).items():
            # read once for both windows; and a relation over the lake is bound anew by each step of an expression
            relation.create(f"{name}_of_profiles")
            tables[name] = nw.from_native(connection.table(f"{name}_of_profiles"))
        windows = [window_table(tables, window) for window in ("hour", "day")]
    names = profiles.drop_duplicates("profile_key").set_index("profile_key")["profile_uid"]
    frame = pd.concat([w.to_pandas().assign(window=kind) for w, kind in zip(windows, ("hour", "day"), strict=True)])
    frame["profile_uid"] = frame.pop("profile_key").map(names)
    start = pd.to_datetime(frame.pop("window_s"), unit="s", utc=True).dt.as_unit("us")
    frame = frame.assign(start=start, day=start.dt.date).sort_values(["day", "profile_uid", "window", "start"])
    first = ["day", "profile_uid", "window", "start"]
    table = pa.Table.from_pandas(frame[first + [n for n in features() if n in frame]], preserve_index=False)
    return table.set_column(0, "day", table["day"].cast(pa.date32()))


def window_table(tables: dict[str, nw.LazyFrame], window: str) -> pa.Table:
    """Return every feature of one kind of window.

    Parameters
    ----------
    tables : the activity tables by name, each with ``profile_key`` and ``hour_s`` (int64)
    window : ``hour`` or ``day``

    Returns
    -------
    Table with ``profile_key``, ``window_s`` (start, seconds since 1970) and one column a feature (int64, zero where
    nothing happened).
    """
    window_length_s = 3600 if window == "hour" else 86400
    joined: pa.Table | None = None
    for name, frame in tables.items():
        expressions = {f.name: f.expression() for f in features().values() if f.table == name and window in f.windows}
        if not expressions:
            continue
        with_window = frame.with_columns((nw.col("hour_s") // window_length_s * window_length_s).alias("window_s"))
        # joined as they come: of a relation of ten joins each step is bound anew, which takes longer than the query
        table = with_window.group_by(*KEYS).agg(**expressions).collect(backend="pyarrow").to_native()
        joined = table if joined is None else joined.join(table, keys=list(KEYS), join_type="left outer")
    assert joined is not None, "activity_hour has features"
    columns = [joined[n] if n in KEYS else pc.fill_null(joined[n], 0) for n in joined.column_names]
    return pa.table(columns, joined.column_names)
