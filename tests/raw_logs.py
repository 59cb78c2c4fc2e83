"""Raw logs for tests, a few lines each: gateway JSON lines and CloudTrail documents, and steady profiles made of them.

``nginx`` and ``cloudtrail`` are records with every field that matters, ``write`` puts them into a file, ``workspace``
makes a place to read them into. ``steady`` skips the files: day windows of profiles that do the same thing every day.
"""

import gzip
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tokenkit import activity, config, fingerprint
from tokenkit.config import Workspace
from tokenkit.days import Periods
from tokenkit.ingest import Counts, ingest, open_key
from tokenkit.normal import deviation, familiarity
from tokenkit.normal.day_matrices import day_matrices
from tokenkit.normal.evidence import Evidence
from tokenkit.sources.inputs import Input
from tokenkit.store import engine, lake, state
from tokenkit.tokens import inventory

FIRST = date(2026, 3, 2)  # a Monday
CLOUDTRAIL = "lambda.amazonaws.com"


def moment(day: int = 0, hour: int = 0, minute: int = 0, second: float = 0.0) -> datetime:
    """A moment of the day that is so many days after ``FIRST``."""
    return datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC) + timedelta(
        days=day, hours=hour, minutes=minute, seconds=second
    )


def nginx(uid: str, when: datetime | None = None, **fields: Any) -> dict[str, Any]:
    """A line of an NGINX access log; the arguments win."""
    return {
        "request_id": uid,
        "msec": (when or moment()).timestamp(),
        "remote_addr": "203.0.113.7",
        "request_method": "GET",
        "uri": "/v1/orders/17",
        "status": 200,
        "bytes_sent": 1000,
        "request_length": 300,
        "request_time": 0.25,
        "http_user_agent": "python-requests/2.31.0",
        "api_key_id": "key_0123456789ab",
    } | fields


def cloudtrail(
    uid: str, when: datetime | None = None, caller: dict[str, Any] | None = None, **fields: Any
) -> dict[str, Any]:
    """A CloudTrail record of a user with a lasting key; the arguments win."""
    return {
        "eventID": uid,
        "eventTime": (when or moment()).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": CLOUDTRAIL,
        "eventName": "ListFunctions",
        "awsRegion": "eu-west-1",
        "sourceIPAddress": "198.51.100.9",
        "userAgent": "Boto3/1.34.2",
        "recipientAccountId": "111122223333",
        "readOnly": True,
        "userIdentity": caller or user("ana", "AKIAIOSFODNN7EXAMPLE"),
    } | fields


def user(name: str, key: str) -> dict[str, Any]:
    """An IAM user with a key."""
    return {"type": "IAMUser", "arn": f"arn:aws:iam::111122223333:user/{name}", "accessKeyId": key, "userName": name}


def role(name: str, session: str, key: str) -> dict[str, Any]:
    """A session of a role, with the key that it has for hours."""
    return {
        "type": "AssumedRole",
        "arn": f"arn:aws:sts::111122223333:assumed-role/{name}/{session}",
        "accessKeyId": key,
        "sessionContext": {
            "sessionIssuer": {"type": "Role", "arn": f"arn:aws:iam::111122223333:role/{name}"},
            "attributes": {"creationDate": "2026-03-02T00:00:00Z", "mfaAuthenticated": "false"},
        },
    }


def write(path: Path, records: Iterable[dict[str, Any] | bytes], cut: int | None = None) -> Path:
    """Records as a file: a CloudTrail document or lines, gzip by suffix, of which ``cut`` bytes are kept."""
    listed = list(records)
    if listed and isinstance(listed[0], dict) and "eventName" in listed[0]:
        content = json.dumps({"Records": listed}).encode()
    else:
        content = b"".join((r if isinstance(r, bytes) else json.dumps(r).encode()) + b"\n" for r in listed)
    if path.suffix == ".gz":
        content = gzip.compress(content, mtime=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if cut is None else content[:cut])
    return path


def workspace(folder: Path) -> Workspace:
    """A workspace with nothing in it."""
    return config.init(folder)


def read(place: Workspace, *paths: Path) -> Counts:
    """Ingest some files."""
    return ingest(place, [Input(p) for p in paths])


def form(place: Workspace, *paths: Path) -> None:
    """Ingest files, count activity, form fingerprints."""
    if paths:
        read(place, *paths)
    activity.build(place)
    fingerprint.build(place)


def own(place: Workspace, folder: Path, text: str) -> None:
    """Bring an inventory, given as the text of its CSV, into the lake."""
    path = folder / "tokens.csv"
    path.write_text(text, encoding="utf-8")
    with state.connect(place.state) as db:
        key = open_key(place, db)
    lake.replace(place.lake, "tokens", inventory.load(path, key, place.settings.gateway.realm)[0])


def table(place: Workspace, name: str) -> pd.DataFrame:
    """A table of the lake, all of its columns, in the order of its keys."""
    with engine.connect(place.settings.engine, place.scratch) as connection:
        frame = lake.scan(connection, place.lake, name).df()
    keys = dict.fromkeys((*activity.table_keys("events"), *activity.table_keys(name)))
    order = [c for c in ("day", "profile_uid", "window", "start", *keys) if c in frame]
    return frame.sort_values(order).reset_index(drop=True) if order else frame


def event_keys(place: Workspace) -> list[int]:
    """The keys of all events, sorted."""
    return sorted(lake.read(place.lake, "events")["event_key"].to_pylist())


def files_of(place: Workspace) -> list[dict[str, Any]]:
    """What ``state.db`` says of each file that was read, by path."""
    with state.connect(place.state) as db:
        return [dict(r) for r in db.execute("select * from files order by path")]


def events(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Events as ``activity.prepare`` sees them, from the few columns that it reads."""
    base = {
        "token_key": 1, "network_key": 1, "client_key": 1, "operation_key": 1, "object_key": 0, "http_status": 200,
        "is_denied": False, "status_id": 1, "status_code": "200", "count": 1, "request_bytes": 0, "response_bytes": 0,
        "rows": None, "time": moment(),
    }  # fmt: skip
    full = [base | {"event_key": n} | row for n, row in enumerate(rows)]
    types = {
        "token_key": pa.int64(), "network_key": pa.int64(), "client_key": pa.int64(), "operation_key": pa.int64(),
        "object_key": pa.int64(), "http_status": pa.int16(), "is_denied": pa.bool_(), "status_id": pa.int8(),
        "status_code": pa.string(), "count": pa.int32(), "request_bytes": pa.int64(), "response_bytes": pa.int64(),
        "rows": pa.int64(), "event_key": pa.int64(), "time_ms": pa.int64(), "day": pa.date32(),
    }  # fmt: skip
    for row in full:
        when = row.pop("time")
        row["time_ms"], row["day"] = int(when.timestamp() * 1000), when.date()
    return pa.Table.from_pylist(full, schema=pa.schema(list(types.items())))


def day_of(number: int) -> date:
    """The day so many days after ``FIRST``."""
    return FIRST + timedelta(days=number)


def periods(reported: int, end: int, calibration: bool = True) -> Periods:
    """28 days of reference and 14 of calibration before the reported days (42 and more)."""
    if calibration:
        return Periods(day_of(reported), day_of(end), FIRST, (day_of(0), day_of(28)), (day_of(28), day_of(42)))
    return Periods(day_of(reported), day_of(end), FIRST, (day_of(0), day_of(reported)), None)


def steady(
    profiles: int = 24, days: int = 62, seed: int = 1, noise: float = 0.15, requests: float = 200.0
) -> dict[str, np.ndarray]:
    """What each profile did each day, by feature (profile x day): steady amounts, zero for what is rare.

    Bytes, rows and objects follow the requests, so that they can be changed with or without them.
    """
    rng = np.random.default_rng(seed)
    shape = (profiles, days)
    values = {name: np.zeros(shape) for name in fingerprint.features()}
    level = requests * np.exp(rng.normal(0, 0.5, profiles))[:, None]
    calls = np.round(level * np.exp(rng.normal(0, noise, shape))) + 1
    each = np.exp(rng.normal(0, 0.4, profiles))[:, None]
    values["requests"] = calls
    values["response_bytes"] = np.round(calls * 4000 * each * np.exp(rng.normal(0, noise, shape)))
    values["request_bytes"] = np.round(calls * 300 * np.exp(rng.normal(0, noise, shape)))
    values["objects"] = np.round(calls * 0.3 * np.exp(rng.normal(0, noise, shape)))
    values["active_minutes"] = np.round(np.minimum(calls * 0.8, 1440))
    values["max_in_minute"] = rng.poisson(4, shape) + 1.0
    values["operations"] = rng.integers(4, 7, shape).astype(float)
    values["networks"] = np.ones(shape)
    values["clients"] = np.ones(shape)
    return values


def evidence_of(
    values: dict[str, np.ndarray], when: Periods, hours: pd.DataFrame | None = None,
    unfamiliarity: pd.DataFrame | None = None,
) -> Evidence:  # fmt: skip
    """Evidence as ``evidence.measure`` makes it, from day values (a day of NaN requests has no call)."""
    n, count = values["requests"].shape
    row, column = np.nonzero(~np.isnan(values["requests"]))
    starts = pd.DatetimeIndex([pd.Timestamp(day_of(d), tz="UTC") for d in range(count)]).as_unit("us")
    frame = pd.DataFrame({name: matrix[row, column] for name, matrix in values.items()})
    frame = frame.assign(profile_uid=[f"tok1_{k:024x}" for k in row], start=starts[column])
    frame = frame[frame["start"] < pd.Timestamp(when.end, tz="UTC")]
    groups = pd.Series("job", index=[f"tok1_{k:024x}" for k in range(n)])
    days = day_matrices(frame, groups, when)
    columns = [
        "profile_uid",
        "start",
        "requests",
        "network",
        "client",
        "operation",
        "hour_of_week",
        "moved",
        "new_networks",
    ]
    empty = pd.DataFrame(columns=columns).astype({"start": "datetime64[us, UTC]"} | {c: "float64" for c in columns[2:]})
    return Evidence(
        when, days, *deviation.day_deviations(days), empty if hours is None else hours,
        familiarity.nothing() if unfamiliarity is None else unfamiliarity,
    )  # fmt: skip
