"""Fill a lake with a simulated organisation directly, for benches too large for raw logs.

Reads  nothing but its arguments.
Writes events, dimensions and the inventory of an empty workspace, equal to what ``ingest`` makes of the raw logs of the
       same organisation (``simulate_logs(..., bench=True, attacks=False)``). One column differs: ``raw_ref`` names the
       source alone, since there is no file.
Tokens are drawn in groups by several processes and stored by days; the number of processes changes no row.
"""

import hashlib
import multiprocessing
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import dataset

from tokenkit import config, ingest, schema, sources
from tokenkit.errors import InputError
from tokenkit.progress import Progress, silent
from tokenkit.sources.fields.sameness import number_equal
from tokenkit.store import lake, state
from tokenkit.tokens import inventory
from tokenkit.world import lake_rows
from tokenkit.world.bench_organisation import bench_mean_requests, bench_organisation
from tokenkit.world.benign_changes import TruthEntries, daily_variation
from tokenkit.world.draws import Array
from tokenkit.world.organisation import DAY, TRAILS, Organisation, write_inventory
from tokenkit.world.to_logs import EVENTS_PER_TOKEN_DAY
from tokenkit.world.traffic import service_requests, token_requests

TOKENS_PER_GROUP = 40  # of 8, a file would hold so little that opening it took longest
EVENTS_PER_COMMIT = 200_000  # a process that sorts and stores so many has 1 GB
ROWS_PER_COMMIT = 1_000_000  # of a dimension
DIMENSIONS = tuple(name for name in schema.TABLES if name.startswith("dim_"))


@dataclass(frozen=True)
class Plan:
    """What a process needs to draw any group of tokens."""

    tokens: int
    days: int
    start: date
    seed: int
    events_per_token: float
    days_per_commit: int
    reading: sources.Reading
    scratch: Path


def simulate_lake(
    workspace: config.Workspace,
    *,
    tokens: int = 200,
    days: int = 60,
    start: date = date(2026, 1, 5),
    seed: int = 0,
    events: int | None = None,
    processes: int = 2,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Fill an empty workspace with the bench's organisation (``bench_organisation``), without attacks.

    Parameters
    ----------
    workspace : Workspace
        Without events. Where it has no key yet it is given one that follows from the seed.
    tokens, days, start, seed : as for ``simulate_logs``
    events : int, optional
        About so many events in all; 250 a token every three days if not given.
    processes : int
        Changes how long it takes, and nothing else. They are spawned: a script that asks for more than one keeps its
        own work under ``if __name__ == "__main__"``.
    progress : function of stage, done, total

    Returns
    -------
    dict
        ``seed``, ``start``, ``days``, ``attacks`` (none) and ``confounders`` as truth.json has them, and ``tokens``:
        native id -> ``number``, ``name``, ``archetype``, ``purpose`` and ``issuer``.

    Raises
    ------
    InputError
        The workspace has events, or there are fewer than 14 days or no token.

    Examples
    --------
    >>> workspace = config.init(Path(tempfile.mkdtemp()))
    >>> truth = simulate_lake(workspace, tokens=16, days=14, events=2_000, processes=1)
    >>> len(truth["tokens"]) >= 16, lake.read(workspace.lake, "events").num_rows > 1_500
    (True, True)
    """
    if tokens < 1 or days < 14:
        raise InputError(f"tokens={tokens}, days={days}: an organisation needs at least a token and 14 days")
    if lake.version(workspace.lake, "events") is not None:
        raise InputError(f"{workspace.root} has events. Simulate into a new folder: tokenkit init DIR")
    if not workspace.key.exists():
        # made up tokens are no secret, and a fixed key gives the same rows in the same order
        workspace.key.write_text(hashlib.sha256(f"simulated organisation {seed}".encode()).hexdigest() + "\n")
        workspace.key.chmod(0o600)
    with state.connect(workspace.state) as db:
        key = ingest.open_key(workspace, db)
    workspace.scratch.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="simulate-", dir=workspace.scratch))
    try:
        events_per_token = events / tokens if events else days * EVENTS_PER_TOKEN_DAY
        days_per_commit = max(1, int(days * EVENTS_PER_COMMIT / (events_per_token * tokens)))
        reading = sources.Reading(key, workspace.settings.gateway)
        plan = Plan(tokens, days, start, seed, events_per_token, days_per_commit, reading, scratch)
        org, entries = bench_organisation(tokens, days, start, seed)
        groups = range(-1, -(-tokens // TOKENS_PER_GROUP))  # -1: requests of AWS services
        parts = range(-(-days // days_per_commit))
        with _mapping(processes) as each:
            for done, (more, networks) in enumerate(each(partial(_draw, plan), groups), 1):
                entries += more
                for number, declared in networks.items():
                    org.tokens[number].networks = declared
                progress("simulating", done, len(groups))
            store = partial(_store_events, workspace.lake, scratch)
            for some in (parts[:1], parts[1:]):  # the first makes the table, to which several then add at a time
                for done, _ in enumerate(each(store, some), some.start + 1):
                    progress("storing events", done, len(parts))
        _store_dimensions(workspace.lake, scratch)
        write_inventory(scratch / "inventory.csv", org)
        table = inventory.load(scratch / "inventory.csv", key, workspace.settings.gateway.realm)[0]
        lake.replace(workspace.lake, "tokens", table)
    finally:
        shutil.rmtree(scratch)
    about = {
        native: {
            "number": token.number, "name": token.name, "archetype": token.job.archetype,
            "purpose": token.job.purpose, "issuer": token.issuer,
        }
        for token in org.tokens
        for native in (token.native_id, token.rotated_id)
        if native
    }  # fmt: skip
    truth = {"seed": seed, "start": start.isoformat(), "days": days, "attacks": [], "confounders": entries}
    return truth | {"tokens": about}


# ---- groups of tokens, each in some process ----
@contextmanager
def _mapping(processes: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """``map`` in this process, or over several."""
    if processes == 1:
        yield map
        return
    # spawned: a forked process would inherit the locks of Arrow's threads
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        yield pool.map


@lru_cache(maxsize=1)
def _organisation(
    tokens: int, days: int, start: date, seed: int, events_per_token: float
) -> tuple[Organisation, list[float]]:
    org, _ = bench_organisation(tokens, days, start, seed)
    return org, bench_mean_requests(org, events_per_token)


def _draw(plan: Plan, group: int) -> tuple[TruthEntries, dict[int, tuple[str, ...]]]:
    """Draw one group of tokens and put its events by days, and its dimensions, into the scratch folder.

    Returns its entries, and by number the networks that the inventory declares of a token: known once it was drawn.
    """
    shared, volumes = _organisation(plan.tokens, plan.days, plan.start, plan.seed, plan.events_per_token)
    org = replace(shared, credentials=[], addresses=[], clients=[], numbers={})
    entries: TruthEntries = []
    chosen = slice(max(0, group * TOKENS_PER_GROUP), (group + 1) * TOKENS_PER_GROUP)
    if group < 0:
        rows = service_requests(org, plan.events_per_token * plan.tokens)
    else:
        parts = []
        for token, mean in zip(org.tokens[chosen], volumes[chosen], strict=True):
            variation = daily_variation(token, org)
            parts.append(token_requests(token, org, mean, variation))
            entries += variation.entries
        rows = np.concatenate(parts)
    if len(rows):
        _write(plan, group, org, rows)
    return entries, {token.number: token.networks for token in org.tokens[chosen]}


def _write(plan: Plan, group: int, org: Organisation, rows: Array) -> None:
    rows = rows[np.lexsort((rows["uid"][:, 0], rows["time"], rows["log"]))]
    folder = plan.scratch / f"group{group}"
    folder.mkdir()
    edges = np.searchsorted(rows["log"], np.arange(len(TRAILS) + 3))
    logs = [rows[lower:upper] for lower, upper in pairwise(edges) if lower < upper]
    reads = [lake_rows.read(log, org, plan.reading, folder) for log in logs]
    for name in DIMENSIONS:
        table = pa.concat_tables([read.dimensions[name] for read in reads])
        _put(plan.scratch / name / f"{group}.parquet", table)
    for number, first in enumerate(range(0, plan.days, plan.days_per_commit)):
        span = org.begin + np.array([first, min(first + plan.days_per_commit, plan.days)]) * DAY
        tables = [read.events(*np.searchsorted(read.rows["time"], span).tolist()) for read in reads]
        table = pa.concat_tables(tables)
        if table.num_rows:
            _put(plan.scratch / f"part{number}" / f"{group}.parquet", table)
    folder.rmdir()
    pa.default_memory_pool().release_unused()


def _put(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(exist_ok=True)
    pq.write_table(table, path, compression="lz4")


# ---- into the lake ----
def _store_events(where: Path, scratch: Path, part: int) -> None:
    """Add the events of some days to the lake, by day, token, time and key."""
    files = sorted((scratch / f"part{part}").glob("*.parquet"))
    if not files:
        return
    table = pa.concat_tables([pq.read_table(file, schema=schema.EVENTS.arrow) for file in files])
    days = table["day"].cast(pa.int32()).to_numpy()
    keys, times, tokens = (table[name].cast(schema.INT).to_numpy() for name in ("event_key", "time", "token_key"))
    keys, _ = number_equal(keys, np.ones(len(keys), dtype=bool))  # requests alike have one key in HAProxy's log
    at = table.column_names.index("event_key")
    table = table.set_column(at, table.schema.field(at), pa.array(keys))
    lake.append(where, "events", table.take(pa.array(np.lexsort((keys, times, tokens, days)))))


def _store_dimensions(where: Path, scratch: Path) -> None:
    """Add every dimension to the lake, a range of keys after the other: the objects of a large bench are millions."""
    for name in DIMENSIONS:
        if not (scratch / name).exists():
            continue  # no event at all
        rows = dataset.dataset(scratch / name)
        key, ranges = dataset.field(schema.table(name).names[0]), 1 + rows.count_rows() // ROWS_PER_COMMIT
        for lower, upper in pairwise((1 << 63) * number // ranges for number in range(ranges + 1)):
            within = rows.to_table(filter=(key >= lower) & (key <= upper - 1))
            if within.num_rows:
                lake.grow_dimension(where, name, within)
