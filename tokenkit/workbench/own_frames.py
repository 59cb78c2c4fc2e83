"""Own frames: analyse a DataFrame of yours with the code that analyses logs.

Reads  a frame of events, or of fingerprints, of pandas, Polars or PyArrow. Writes a workspace in a temporary folder,
which is deleted when Python exits: a frame of events is stored, counted and formed by the functions that a run uses.
"""

import hashlib
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tokenkit import activity, config, fingerprint, identity, schema
from tokenkit.channels import calibration
from tokenkit.config import Settings
from tokenkit.days import MIN_DAYS, day_of, plan_for
from tokenkit.errors import InputError, SchemaError
from tokenkit.ingest import open_key
from tokenkit.normal import deviation
from tokenkit.normal.day_matrices import day_matrices
from tokenkit.normal.evidence import NOVELTIES, Evidence
from tokenkit.sources.contract import Batch, Reading
from tokenkit.sources.fields.columns import EARLIEST, LATEST, by_size
from tokenkit.sources.fields.masking import MASK, shown, without_own_key
from tokenkit.sources.fields.normalise import Coded, assemble, token_rows
from tokenkit.sources.mapped.values import column_moments, moment
from tokenkit.store import lake, state
from tokenkit.tokens import inventory
from tokenkit.workbench.frames import Day, OpenWorkspace

Frame = Any  # pandas, Polars, PyArrow: what Narwhals reads
NEEDED = ("time", "token_uid", "operation")  # of a frame of events; every other column of the table may be left out
_FOLDERS: list[tempfile.TemporaryDirectory] = []  # of from_events; deleted when Python exits


def from_events(events: Frame, tokens: Path | None = None, settings: Settings | None = None) -> OpenWorkspace:
    """A workspace of a frame of events, in a temporary folder that is deleted when Python exits.

    Activity and fingerprint are formed as a nightly run forms them; ``ws.deviations()`` and ``ws.matrix()`` follow.

    Parameters
    ----------
    events : DataFrame of pandas, Polars (also lazy) or PyArrow, or a list of dicts, one row a call
        ``time`` (UTC; without a zone it is taken for UTC; also ISO 8601 text, or s, ms, us or ns since 1970),
        ``token_uid`` (the token's id or name, as text) and ``operation`` are needed. All other event columns are
        optional (``tokenkit schema events``): ``src_ip``, ``user_agent``, ``service``, ``resource_uid``,
        ``http_status``, ``request_bytes``, ``response_bytes``, ... Keys and parts of them (``token_key``, ``network``,
        ...) are made anew.
    tokens : list of owners (CSV or JSON), as for ``tokenkit run --inventory``

    Raises
    ------
    SchemaError
        It is no frame; a needed column or a value is missing; a column has values of another type, or a name that
        another has; a time is not from 2000 to 2100, or a size negative. Names column and row.

    Examples
    --------
    >>> times = pd.date_range("2026-03-01", periods=48, freq="h", tz="UTC")
    >>> calls = pd.DataFrame({"time": times, "token_uid": "nightly-export", "operation": "GET /orders"})
    >>> from_events(calls).fingerprint()[["requests", "operations"]].values.tolist()
    [[24, 1], [24, 1]]
    """
    table = _table(events)
    _FOLDERS.append(tempfile.TemporaryDirectory(prefix="tokenkit-"))
    workspace = config.init(Path(_FOLDERS[-1].name))
    workspace = OpenWorkspace(workspace.root, (settings or workspace.settings).model_copy(update={"lake": ""}))
    with state.connect(workspace.state) as db:
        key = open_key(workspace, db)
    batch = _batch(table, key)
    for name, rows in batch.dimensions.items():
        if rows.num_rows:
            lake.grow_dimension(workspace.lake, name, rows)
    lake.append(workspace.lake, "events", batch.events.sort_by([("day", "ascending"), ("token_key", "ascending"),
                                                                ("time", "ascending")]))  # fmt: skip
    if tokens is not None:
        table, _ = inventory.load(tokens, key, workspace.settings.gateway.realm)
        lake.replace(workspace.lake, "tokens", table)
    activity.build(workspace)
    fingerprint.build(workspace)
    return workspace


def _table(events: Frame) -> pa.Table:
    """The frame as an Arrow table, whatever it was."""
    if isinstance(events, list | dict):
        if isinstance(events, list) and not all(isinstance(row, dict) for row in events):
            raise SchemaError("events are a list of something else than dicts, expected one dict a call")
        try:
            events = pd.DataFrame(events)
        except ValueError as error:
            raise SchemaError(
                f"events are a dict that is no table ({error}), expected columns of one length"
            ) from error
    try:
        frame = nw.from_native(events)
        frame = frame.collect() if isinstance(frame, nw.LazyFrame) else frame
        table: pa.Table = frame.to_arrow()
    except TypeError as error:
        found = type(events).__name__
        raise SchemaError(
            f"events are a {found}, expected a DataFrame of pandas, Polars or PyArrow, or a list of dicts"
        ) from error
    except nw.exceptions.DuplicateError as error:
        raise _twice(list(events.column_names if isinstance(events, pa.Table) else events.columns)) from error
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise SchemaError(f"events: a column has values of several types ({error}). Give it one type.") from error
    if len(set(table.column_names)) < len(table.column_names):
        raise _twice(table.column_names)
    return table


def _twice(names: list[Any]) -> SchemaError:
    doubled = sorted({str(name) for name in names if names.count(name) > 1})
    return SchemaError(f"events have several columns {', '.join(doubled)}, expected one of each name. Drop or rename.")


def _batch(table: pa.Table, key: bytes) -> Batch:
    missing = [name for name in NEEDED if name not in table.column_names]
    if missing:
        raise SchemaError(
            f"events have no column {', '.join(missing)}; found {', '.join(table.column_names)}. "
            "tokenkit schema events lists what each column means."
        )
    types = {c.name: c.type for c in schema.table("events").columns}
    taken = {}
    for name in table.column_names:
        if name in types:
            taken[name] = _cast(name, table[name].combine_chunks(), types[name])
    n = table.num_rows
    empty = [None] * n
    text = {name: taken[name].to_pylist() if name in taken else empty for name in types}
    if any(text[name].count(None) for name in NEEDED):
        name = next(name for name in NEEDED if None in text[name])
        raise SchemaError(f"events, row {text[name].index(None)}: {name} is missing, expected a value in every row")
    uids = {
        v: v if not v or (v.startswith("tok1_") and len(v) == 29) else identity.token_uid(key, "frame", v)
        for v in dict.fromkeys(text["token_uid"])
    }  # fmt: skip  (of a call without a token it is empty)
    columns: dict[str, Any] = {name: array for name, array in taken.items() if name not in MADE}
    columns["event_uid"] = [uid or f"{i}" for i, uid in enumerate(text["event_uid"])]
    columns["token_uid"] = Coded.of([uids[v] for v in text["token_uid"]])
    columns["token_kind"] = [kind or ("api_key" if v else "none") for kind, v in
                             zip(text["token_kind"], text["token_uid"], strict=True)]  # fmt: skip
    columns["address"] = Coded.of([a or b for a, b in zip(text["src_ip"], text["src_svc"], strict=True)])
    for name in ("user_agent", "service", "operation", "resource_uid"):
        columns[name] = Coded.of(without_own_key(text[name], text["token_uid"], lambda _: MASK))
    columns["activity_id"] = pa.array([v if v is not None else 0 for v in text["activity_id"]], pa.int8())
    columns["class_uid"] = pa.repeat(pa.scalar(6003, pa.int32()), n)
    statuses = zip(text["status_id"], text["http_status"], strict=True)
    columns["status_id"] = pa.array(
        [s if s is not None else 0 if h is None else 1 if h < 400 else 2 for s, h in statuses], pa.int8()
    )
    of = ("token_kind", "token_lifetime", "principal_uid", "tenant_uid")
    first = {v: i for i, v in reversed(list(enumerate(text["token_uid"])))}  # of each token its first call
    rows = [
        (uid, "frame", kind or "api_key", lifetime or "unknown", shown(v), principal, None, tenant)
        for v, uid in uids.items()
        for kind, lifetime, principal, tenant in [[text[name][first[v]] for name in of]]
    ]
    time = taken["time"].cast(pa.int64()).to_numpy()
    places = list(range(n))
    contents = _contents_of_repeated(columns["event_uid"], [text[name] for name in taken])
    batch = assemble(Reading(key), "frame", time, columns, token_rows(key, rows), "frame", places, contents=contents)
    events = batch.events
    if "event_key" in taken and not taken["event_key"].null_count:
        # events of tokenkit's own keep their key: of calls in the same millisecond it says which came first
        at = events.column_names.index("event_key")
        events = events.set_column(at, events.schema.field(at), taken["event_key"])
    # equal rows are one call, as where frames that overlap were joined
    once = np.unique(events["event_key"].to_numpy(), return_index=True)[1]  # as a run stores each event once
    return Batch(events.take(np.sort(once)), batch.dimensions)


def _contents_of_repeated(uids: list[str], columns: list[list[Any]]) -> list[str | None]:
    """Return a digest of each row whose id another row has, too: a client may have chosen it."""
    several = {uid for uid, count in Counter(uids).items() if count > 1}
    if not several:
        return [None] * len(uids)
    rows = zip(*columns, strict=True)
    return [
        hashlib.sha256(repr(row).encode("utf-8", "surrogatepass")).hexdigest() if uid in several else None
        for uid, row in zip(uids, rows, strict=True)
    ]


# made from the others by ``assemble``
MADE = {
    "time", "day", "token_key", "network", "network_class", "network_key", "client_key", "operation_key", "object_key",
    "event_key", "raw_ref", "source", "src_ip", "src_svc", "ua_family",
}  # fmt: skip


SIZES = ("request_bytes", "response_bytes", "rows", "page_offset", "count")  # never negative


def _cast(name: str, array: pa.Array, expected: pa.DataType) -> pa.Array:
    try:
        if pa.types.is_timestamp(expected):
            return _times(name, array).cast(expected)
        cast = array.cast(expected)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise SchemaError(f"events, column {name}: expected {expected}, found {array.type} ({error})") from error
    if name in SIZES:
        least = 1 if name == "count" else 0
        below = pc.fill_null(pc.less(cast, least), False).to_numpy(zero_copy_only=False)
        if below.any():
            row = int(np.argmax(below))
            raise SchemaError(f"events, row {row}: {name} is {cast[row]}, expected {least} or more, or no value")
    return cast


def _times(name: str, array: pa.Array) -> pa.Array:
    """Times in microseconds since 1970 (int64): of timestamps, dates, numbers since 1970, or ISO 8601 text.

    Raises
    ------
    SchemaError
        One is no time of the years 2000 to 2100; names the row.
    """
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = array.type
    if pa.types.is_temporal(kind):
        micros = array.cast(pa.timestamp("us", kind.tz if pa.types.is_timestamp(kind) else None), safe=False)
        micros = micros.cast(pa.int64())
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = array.cast(pa.float64(), safe=False)
        found = by_size(np.nan_to_num(numbers.to_numpy(zero_copy_only=False), posinf=0, neginf=0))
        micros = pa.array(found, mask=(pc.is_null(numbers, nan_is_null=True)).to_numpy(zero_copy_only=False))
    else:
        values = [text.strip() if isinstance(text, str) else text for text in array.to_pylist()]
        column = column_moments(values, set(map(type, values)), "")
        micros = pa.array([moment(v, "") for v in values] if column is None else column, pa.int64())
        for row, (value, found_time) in enumerate(zip(values, micros.to_pylist(), strict=True)):
            if value is not None and found_time is None:
                raise SchemaError(f"events, row {row}: {name} is not a time (ISO 8601, or a number since 1970)")
    wrong = pc.or_(pc.less(micros, EARLIEST), pc.greater_equal(micros, LATEST))
    wrong = pc.fill_null(wrong, False).to_numpy(zero_copy_only=False)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise SchemaError(
            f"events, row {row}: {name} is {array[row]}, expected a time from 2000 to 2100 (UTC), or s, ms, us or ns"
            " since 1970"
        )
    return micros


def evidence_of(fingerprint_frame: Frame, start: Day = "", end: Day = "", groups: pd.Series | None = None) -> Evidence:
    """The evidence of a fingerprint of yours: deviations of amounts only, since which values are new is not in it.

    Parameters
    ----------
    fingerprint_frame : DataFrame of pandas or Polars, one row a profile and day
        ``profile_uid``, ``start`` (UTC midnight) and the columns of ``tokenkit features``; those left out count as 0.
    start, end : the days to be judged; the reference and the calibration days lie before them. Default: the newest
    groups : peer group by profile_uid; default: all are peers

    Returns
    -------
    Evidence, which every channel and ``channels.panel.deviation_matrix`` takes.

    Raises
    ------
    SchemaError
        ``profile_uid``, ``start`` or ``requests`` is missing.
    InputError
        There are too few days.
    """
    frame = nw.from_native(fingerprint_frame, eager_only=True).to_pandas()
    missing = [name for name in ("profile_uid", "start", "requests") if name not in frame]
    if missing:
        raise SchemaError(f"a fingerprint has no column {', '.join(missing)}; found {', '.join(frame.columns)}")
    frame = frame.assign(start=pd.to_datetime(frame["start"], utc=True).dt.floor("D").dt.as_unit("us"))
    if frame.empty:
        raise InputError("a fingerprint without rows, expected one row a profile and day")
    if frame.duplicated(["profile_uid", "start"]).any():
        raise SchemaError(
            "a fingerprint has several rows of one profile and day, expected whole days: ws.fingerprint(window='day')"
        )
    frame = frame.reindex(columns=["profile_uid", "start", *fingerprint.features()]).fillna(0)
    first, last = frame["start"].min().date(), frame["start"].max().date()
    periods = plan_for(first, last, day_of(start, "start"), day_of(end, "end"), Settings().history)
    if periods.reference is None:
        raise InputError(f"{(periods.end - first).days} days of fingerprint, expected more than {MIN_DAYS}")
    everyone = pd.Series("all tokens", index=pd.Index(sorted(frame["profile_uid"].unique()), name="profile_uid"))
    days = day_matrices(frame, everyone if groups is None else groups, periods)
    hours = pd.DataFrame({"profile_uid": pd.Series(dtype="str"), "start": pd.Series(dtype="datetime64[us, UTC]"),
                          **{n: pd.Series(dtype="float64") for n in (*NOVELTIES, "requests", "moved")},
                          "new_networks": pd.Series(dtype="int64")})  # fmt: skip
    return Evidence(periods, days, *deviation.day_deviations(days), hours)


def score(evidence: Evidence, detection: config.Detection | None = None) -> pd.DataFrame:
    """Scores of every channel: one row a profile, window and channel, with ``raw_bits``, ``score_bits`` and ``parts``.

    Parameters
    ----------
    evidence : from ``ws.evidence()`` or from ``evidence_of`` a fingerprint of your own
    detection : shares, panel and seed; default as in a new workspace
    """
    return calibration.score(evidence, detection or config.Detection())
