"""How fast do logs come in? Records a CPU second of ingest, beside orjson and DuckDB over the same files.

orjson unpacks and parses, and keeps nothing. DuckDB reads the columns that say who called what, and writes Parquet.

    python benchmarks/ingest.py [--events 600000]

CloudTrail and the gateways are read into lakes of their own, from simulated files. CPU seconds are of the whole
process, threads included. A line of JSON each; the last one is CloudTrail's.
"""

import argparse
import gzip
import json
import resource
import tempfile
from collections.abc import Callable
from pathlib import Path

import duckdb
import orjson

from tokenkit import config
from tokenkit import ingest as ingesting
from tokenkit.sources.inputs import Input
from tokenkit.store import engine
from tokenkit.world import simulate_logs

# of the plain parse, which checks, masks, hashes, sorts and stores nothing; a gateway's line is a fifth of a record
GOALS = {"cloudtrail": 0.2, "gateway": 0.05}


def cpu() -> float:
    """CPU seconds of this process, threads included."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def clocked(work: Callable[[], int]) -> tuple[int, float]:
    """What the work counted, and its CPU seconds."""
    began = cpu()
    return work(), cpu() - began


def plain(folder: Path) -> int:
    """Gunzip and parse every file, and count the records."""
    count = 0
    for file in sorted(folder.rglob("*.*")):
        if not file.is_file() or "CloudTrail-Digest" in file.parts:
            continue
        content = file.read_bytes()
        content = gzip.decompress(content) if file.suffix == ".gz" else content
        if "cloudtrail" in file.parts:
            count += len(orjson.loads(content)["Records"])
        else:
            count += sum(1 for line in content.splitlines() if orjson.loads(line))
    return count


def by_duckdb(connection: duckdb.DuckDBPyConnection, logs: Path, target: Path) -> int:
    """Read the files with DuckDB and write what says who called what; how many records there were."""
    if logs.name == "cloudtrail":
        files = [str(p) for p in sorted(logs.rglob("*.json.gz")) if "CloudTrail-Digest" not in p.parts]
        calls = (
            "select r.eventID, r.eventTime, r.eventName, r.eventSource, r.userIdentity.accessKeyId,"
            " r.userIdentity.arn, r.sourceIPAddress, r.userAgent, r.errorCode from (select unnest(Records) as r"
            " from read_json(getvariable('files'), maximum_object_size=268435456, columns={Records:"
            " 'STRUCT(eventID VARCHAR, eventTime TIMESTAMP, eventName VARCHAR, eventSource VARCHAR, userIdentity"
            " STRUCT(accessKeyId VARCHAR, arn VARCHAR), sourceIPAddress VARCHAR, userAgent VARCHAR,"
            " errorCode VARCHAR)[]'}))"
        )
    else:
        files = [str(p) for p in sorted(logs.rglob("*.*")) if p.is_file()]
        calls = "select * from read_json(getvariable('files'), format='newline_delimited', union_by_name=true)"
    connection.execute("set variable files = ?", [files])
    connection.execute(f"copy ({calls}) to '{target}' (format parquet)")
    return int(connection.execute(f"select count(*) from '{target}'").fetchall()[0][0])


def one(name: str, logs: Path, folder: Path) -> dict[str, object]:
    """The result for one folder of logs."""
    workspace = config.init(folder / f"lake-{name}")
    parsed, plain_s = clocked(lambda: plain(logs))
    read, ingest_s = clocked(lambda: ingesting.ingest(workspace, [Input(logs)]).read)
    with duckdb.connect() as connection:
        connection.execute("set threads = 2")
        counted, duckdb_s = clocked(lambda: by_duckdb(connection, logs, folder / f"{name}.parquet"))
    assert read == parsed == counted, f"{name}: {read} records were read, and the files hold {parsed}, {counted}"
    value, reference = round(read / ingest_s), round(parsed / plain_s)
    ratio = value / reference
    return {"name": f"{name}_ingest", "value": value, "unit": "records/CPU s", "reference": reference,
            "duckdb": round(counted / duckdb_s), "ratio": round(ratio, 3),
            "goal": f"ratio >= {GOALS[name]}", "holds": ratio >= GOALS[name]}  # fmt: skip


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=600_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulate_logs(folder / "raw", tokens=200, days=60, seed=0, events=arguments.events)
        with engine.connect(config.Engine(), folder / "warm"):
            pass
        warm = config.init(folder / "warm-lake")
        ingesting.ingest(warm, [Input(next((folder / "raw/logs/gateway/nginx").iterdir()))])  # imports and first use
        for kind in ("gateway", "cloudtrail"):
            print(json.dumps(one(kind, folder / "raw" / "logs" / kind, folder)), flush=True)


if __name__ == "__main__":
    main()
