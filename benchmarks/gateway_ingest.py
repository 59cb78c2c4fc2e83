"""How fast do gateways' access logs come in? Lines a CPU second, beside orjson and DuckDB over the same files.

    python benchmarks/gateway_ingest.py [--lines 400000]

Of a log in the format *combined* and one of NGINX's JSON: reading (from bytes to events in memory) and ingest (into a
lake). CPU seconds are of the whole process, threads included. A line of JSON each; the last one is the ingest of JSON.
"""

import argparse
import json
import resource
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import numpy as np
import orjson

from tokenkit import config, sources
from tokenkit import ingest as ingesting
from tokenkit.sources.inputs import Input

GOAL = 200_000
ROUTES = [f"/v{version}/{noun}" for version in (1, 2) for noun in ("orders", "customers", "invoices", "files", "me")]


def cpu() -> float:
    """CPU seconds of this process, threads included."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def clocked(work: Callable[[], int]) -> float:
    """What the work counted, a CPU second."""
    began = cpu()
    count = work()
    return count / (cpu() - began)


def calls(count: int) -> Iterator[tuple[int, str, str, int, str, str, int, int]]:
    """Calls as a gateway sees them: 300 keys, 2,000 addresses, 60 programs, 20,000 objects of which few are usual."""
    rng = np.random.default_rng(0)
    objects = np.minimum(rng.zipf(1.3, count), 20_000)
    columns = [rng.integers(0, high, count).tolist() for high in (300, 2_000, 60, len(ROUTES), 20, 90_000)]
    for n, (thing, key, place, program, route, luck, size) in enumerate(zip(objects.tolist(), *columns, strict=True)):
        path = f"{ROUTES[route]}/{thing}" if luck % 2 else ROUTES[route]
        status = 404 if luck == 7 else 403 if luck == 8 else 200
        yield (
            n,
            f"203.{place // 250}.113.{place % 250}",
            path,
            status,
            f"key_{key:012d}",
            f"client/2.{program}",
            size,
            luck,
        )


def write(folder: Path, count: int) -> tuple[Path, Path]:
    """The same calls as a log in the format combined, and as one of JSON."""
    combined, lines = folder / "combined.log", folder / "json.log"
    with combined.open("w") as text, lines.open("w") as objects:
        for n, address, path, status, key, agent, size, luck in calls(count):
            second = n // 25
            clock = f"{second // 3600 % 24:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
            day = 1 + second // 86400
            text.write(
                f'{address} - {key} [{day:02d}/Mar/2026:{clock} +0000] "GET {path} HTTP/1.1" {status} {size}'
                f' "-" "{agent}"\n'
            )
            objects.write(
                f'{{"msec": {1772323200 + n / 25:.3f}, "request_id": "{n:032x}", "remote_addr": "{address}",'
                f' "request_method": "GET", "request_uri": "{path}", "status": {status}, "bytes_sent": {size},'
                f' "request_length": {100 + luck}, "request_time": 0.0{luck:02d}, "http_user_agent": "{agent}",'
                f' "api_key_id": "{key}"}}\n'
            )
    return combined, lines


def read(path: Path) -> int:
    """Events of a log, in memory."""
    reading = sources.Reading(b"k" * 32)
    return sum(batch.events.num_rows for batch in sources.get("nginx").read(path, reading, sources.Tally()))


def by_duckdb(path: Path) -> int:
    """DuckDB's own reading of a file into a table in memory, columns as text."""
    how = (
        f"read_csv('{path}', delim=' ', quote='\"', header=false, all_varchar=true, auto_detect=false, columns={{"
        + ", ".join(f"'c{n}': 'VARCHAR'" for n in range(10)) + "})"
        if path.stem == "combined"
        else f"read_json('{path}', format='newline_delimited')"
    )  # fmt: skip
    with duckdb.connect() as connection:
        connection.execute(f"create table log as select * from {how}")
        return connection.execute("select count(*) from log").fetchall()[0][0]


def by_orjson(path: Path) -> int:
    """Parse every line of JSON and keep nothing."""
    return sum(1 for line in path.read_bytes().splitlines() if orjson.loads(line))


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=400_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        warm = folder / "warm"
        warm.mkdir()
        small = write(warm, 2_000)
        ingesting.ingest(config.init(warm / "lake"), [Input(path, "nginx") for path in small])  # imports and first use
        for path in write(folder, arguments.lines):
            workspace = config.init(folder / f"lake-{path.stem}")
            plain = {"DuckDB": clocked(lambda path=path: by_duckdb(path))}
            if path.stem == "json":
                plain["orjson"] = clocked(lambda path=path: by_orjson(path))
            reference = max(plain.values())
            works = {
                "read": lambda path=path: read(path),
                "ingest": lambda path=path, w=workspace: ingesting.ingest(w, [Input(path, "nginx")]).stored,
            }
            for what, work in works.items():
                value = clocked(work)
                row = {"name": f"gateway_{what}_{path.stem}", "value": round(value), "unit": "lines/CPU s",
                       "reference": round(reference), "ratio": round(value / reference, 3),
                       "goal": f"value >= {GOAL}", "holds": value >= GOAL,
                       "beside": {name: round(speed) for name, speed in plain.items()}}  # fmt: skip
                print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
