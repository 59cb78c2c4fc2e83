"""Lake rows: simulated requests as the sources would have read them, without a raw log of each.

Reads  EVENT rows of one log, and the Organisation that their numbers point into.
Gives  ``events`` and dimensions as ``ingest`` would have stored them for the raw logs of these rows.

Most columns follow from one part of a request: its credential, its call with the outcome, its address, its client or
what it touches. One request of each distinct part is written as the raw log and read by the source itself, and every
other request takes its columns from there. Set here are only the id, time, bytes and duration, which are each
request's own, and the names of numbered objects, which are too many to be read.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tokenkit import identity, schema, sources
from tokenkit.sources.fields import normalise
from tokenkit.world import log_formats
from tokenkit.world.catalogue import COST, ENDPOINTS
from tokenkit.world.draws import Array
from tokenkit.world.organisation import NGINX, TRAILS, Organisation

PARTS = {
    "caller": ("token_uid", "token_kind", "token_type_id", "token_lifetime", "session_uid", "principal_uid",
               "principal_type_id", "is_mfa", "token_key"),
    "place": ("src_ip", "src_svc", "src_country", "src_asn", "network", "network_class", "network_key"),
    "client": ("user_agent", "ua_family", "client_key"),
    "thing": ("url_path", "resource_uid", "resource_type", "object_key"),
}  # fmt: skip
OWN = ("event_uid", "event_key", "time", "day", "request_bytes", "response_bytes", "duration_ms", "raw_ref")
_CALL = set(schema.EVENTS.names) - {*OWN, *(name for names in PARTS.values() for name in names)}
PARTS["call"] = tuple(name for name in schema.EVENTS.names if name in _CALL)
PATHS = pd.factorize(np.array([name.split(" ")[1] for name in ENDPOINTS]))[0]  # endpoint -> number of its path
_HEX = np.frombuffer(b"0123456789abcdef", "u1")


@dataclass(frozen=True)
class Reads:
    """Rows of one log and what their source makes of them; ``samples`` are the events that were read."""

    rows: Array
    org: Organisation
    source: str
    samples: pa.Table
    of_row: dict[str, Array]  # part -> for each row, the sample that has the same one
    object_of_row: pa.Array  # for each row, its numbered object, or null
    objects: pa.Table  # dim_object
    dimensions: dict[str, pa.Table]

    def events(self, lower: int, upper: int) -> pa.Table:
        """The events of the rows ``[lower, upper)``, in their order (``schema.EVENTS``)."""
        rows = self.rows[lower:upper]
        columns = _own(rows, self.org, self.source)
        for part, names in PARTS.items():
            taken = self.samples.select(list(names)).take(pa.array(self.of_row[part][lower:upper]))
            columns |= dict(zip(names, taken.columns, strict=True))
        named = self.objects.take(self.object_of_row[lower:upper])
        for column in ("url_path", "resource_uid") if self.source != "cloudtrail" else ("resource_uid",):
            columns[column] = pc.coalesce(named["resource_uid"], columns[column])
        columns["object_key"] = pc.coalesce(named["object_key"], columns["object_key"])
        return schema.conform("events", pa.table(columns))


def read(rows: Array, org: Organisation, reading: sources.Reading, folder: Path) -> Reads:
    """What the source of these rows' log makes of them.

    Parameters
    ----------
    rows : array of EVENT, at least one, all of one log
    org : Organisation
    reading : Reading
        The workspace's key and how its gateway logs are read.
    folder : Path
        For the raw log of the samples, which is removed again.

    Raises
    ------
    AssertionError
        The source refused a sample: the simulator writes what it cannot read.
    """
    codes = {part: _code(columns) for part, columns in _parts(rows).items()}
    chosen = np.unique(np.concatenate([first for _, first in codes.values()]))
    name, path = _write(rows[chosen], org, folder)
    tally = sources.Tally()
    batches = list(sources.get(name).read(path, reading, tally))
    path.unlink()
    samples = pa.concat_tables([batch.events for batch in batches]).combine_chunks()
    if samples.num_rows != len(chosen):
        raise AssertionError(f"{name}: {len(chosen)} records written, {samples.num_rows} read: {tally}. Report this.")
    of_row = {part: np.searchsorted(chosen, first)[found] for part, (found, first) in codes.items()}
    dimensions = {table: pa.concat_tables([b.dimensions[table] for b in batches]) for table in batches[0].dimensions}
    object_of_row, objects = _objects(rows, org)
    dimensions["dim_object"] = pa.concat_tables([dimensions["dim_object"], objects])
    return Reads(rows, org, name, samples, of_row, object_of_row, objects, dimensions)


def _objects(rows: Array, org: Organisation) -> tuple[pa.Array, pa.Table]:
    """The numbered objects of rows: which one each touches, or null, and what they are (``dim_object``)."""
    named = np.flatnonzero(np.array([log_formats.is_numbered(name) for name in ENDPOINTS])[rows["endpoint"]])
    touched = rows[named]
    aws = touched["log"] < len(TRAILS)
    places = [np.where(aws, -1, PATHS[touched["endpoint"]]), np.where(aws, touched["token"], -1)]
    codes, first = _code([*places, touched["object"]])
    found = [normalise.object_row(name) for name in log_formats.object_names(touched[first], org)]
    of_row, absent = np.zeros(len(rows), dtype=np.int64), np.ones(len(rows), dtype=bool)
    of_row[named], absent[named] = codes, False
    columns = list(zip(*found, strict=True)) or [()] * 4
    types = schema.table("dim_object").arrow
    arrays = [pa.array(column, field.type) for column, field in zip(columns, types, strict=True)]
    return pa.array(of_row, mask=absent), pa.Table.from_arrays(arrays, schema=types)


def _parts(rows: Array) -> dict[str, list[Array]]:
    """The numbers that each part of a request follows from."""
    nouns = np.array([COST[name][2] for name in ENDPOINTS])[rows["endpoint"]]
    in_bucket, gateway = nouns == "object", rows["log"] >= len(TRAILS)
    s3 = np.array([name.startswith("s3 ") for name in ENDPOINTS])[rows["endpoint"]] & (rows["token"] >= 0)
    return {
        "caller": [rows["credential"]],
        "call": [rows["endpoint"], rows["status"]],
        "place": [rows["address"]],
        "client": [rows["client"], s3],
        "thing": [np.where(in_bucket, -1, PATHS[rows["endpoint"]]), np.where(gateway, -1, rows["token"])],
    }


def _code(columns: list[Array]) -> tuple[Array, Array]:
    """A number from 0 for each distinct row of some columns, and the first place of each."""
    codes = pd.factorize(columns[0])[0].astype(np.int64)
    for column in columns[1:]:
        more = pd.factorize(column)[0]
        codes = pd.factorize(codes * (int(more.max(initial=0)) + 1) + more)[0].astype(np.int64)
    first = np.empty(int(codes.max(initial=-1)) + 1, dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    return codes, first


def _write(rows: Array, org: Organisation, folder: Path) -> tuple[str, Path]:
    """Write rows as the raw log they belong to; its source and path."""
    log = int(rows["log"][0])
    agents = [orjson.dumps(client).decode() for client in org.clients]
    path = folder / "samples.json"
    if log >= len(TRAILS):
        lines = log_formats.nginx_lines if log == NGINX else log_formats.haproxy_lines
        path.write_text("".join(lines(rows, org, agents)), encoding="utf-8")
        return "nginx" if log == NGINX else "haproxy", path
    identities = [log_formats.identity(credential, org) for credential in org.credentials]
    records = log_formats.cloudtrail_records(rows, org, identities, agents, TRAILS[log])
    path.write_text('{"Records":[' + ",".join(records) + "]}", encoding="utf-8")
    return "cloudtrail", path


def _own(rows: Array, org: Organisation, source: str) -> dict[str, Any]:
    """The columns that no two requests share."""
    sent, received = pa.array(rows["sent"]), pa.array(rows["received"])
    milliseconds, latency = rows["time"], rows["latency"].astype("f8")
    if source == "cloudtrail":
        milliseconds = milliseconds // 1000 * 1000
        unsized = np.array([not log_formats.is_data(name) for name in ENDPOINTS])[rows["endpoint"]]
        sent, received = pa.array(rows["sent"], mask=unsized), pa.array(rows["received"], mask=unsized)
        uids, duration = _hex(rows["uid"], dashes=True), pa.nulls(len(rows), pa.float32())
    elif source == "nginx":
        uids = _hex(rows["uid"])
        whole = np.rint(latency)
        halves = np.flatnonzero(latency % 1 == 0.5)  # rounded as a decimal text of seconds is
        whole[halves] = [float(f"{value / 1000:.3f}") * 1000 for value in latency[halves].tolist()]
        duration = pa.array(whole.astype("f4"))
    else:
        agents = [orjson.dumps(client).decode() for client in org.clients]
        lines = log_formats.haproxy_lines(rows, org, agents)
        uids = pa.array([hashlib.sha256(line[:-1].encode()).hexdigest() for line in lines], pa.string())
        duration = pa.array(np.rint(latency).astype("f4"))
    time = pa.array(milliseconds * 1000).cast(schema.TIME)
    marked = pc.binary_join_element_wise(pa.scalar(source), uids, "|")
    return {
        "event_uid": uids, "event_key": identity.value_keys("event", marked),
        "time": time, "day": time.cast(schema.DAY),
        "request_bytes": received, "response_bytes": sent, "duration_ms": duration,
        "raw_ref": pa.repeat(f"simulated {source}", len(rows)),
    }  # fmt: skip


def _hex(uid: Array, dashes: bool = False) -> pa.Array:
    """Ids as 32 hex digits, or as the UUIDs that ``log_formats`` makes of them for CloudTrail."""
    octets = uid.astype(">u8").view("u1").reshape(len(uid), 16)
    digits = np.empty((len(uid), 32), "u1")
    digits[:, 0::2], digits[:, 1::2] = _HEX[octets >> 4], _HEX[octets & 15]
    if dashes:
        digits[:, 12], digits[:, 16] = ord("4"), ord("a")
        digits = np.insert(digits, [8, 12, 16, 20], ord("-"), axis=1)
    width = digits.shape[1]
    offsets = np.arange(len(uid) + 1, dtype="i4") * width
    return pa.StringArray.from_buffers(len(uid), pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(digits)))
