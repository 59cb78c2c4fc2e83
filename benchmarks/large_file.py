"""How much memory does one large log take? Peak of ingest over a gateway's file that fits into no memory.

    python benchmarks/large_file.py [--gigabytes 1] [--gzip]

The file is written first, of lines of 330 bytes in order of time, from a fixed seed. Ingest runs in a process of its
own; its peak is of all that it held. ``--gigabytes 10`` needs 10 GB of disk and some minutes of CPU for each GB.
"""

import argparse
import gzip
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

from tokenkit import config

GOAL_MB = 1500
LINES = 50_000  # that are written at once
INGEST = """
import json, resource, sys
from pathlib import Path
from tokenkit import config, ingest
from tokenkit.sources.inputs import Input
counts = ingest.ingest(config.init(Path(sys.argv[1])), [Input(Path(sys.argv[2]), "nginx")])
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([counts.read, counts.stored, used.ru_maxrss / 1024, used.ru_utime + used.ru_stime]))
"""


def write(file: IO[bytes], size: int) -> int:
    """Write lines until the file has that many bytes; returns how many."""
    noise = random.Random(0)
    number = written = 0
    while written < size:
        lines = []
        for _ in range(LINES):
            number += 1
            key = noise.randrange(200)
            lines.append(
                f'{{"request_id":"{noise.getrandbits(128):032x}","msec":{1767225600 + number / 40:.3f},'
                f'"remote_addr":"10.{key}.0.{noise.randrange(20)}","request_method":"GET",'
                f'"request_uri":"/v1/orders/{noise.randrange(9000)}","status":200,"bytes_sent":{noise.randrange(9000)},'
                f'"request_length":300,"request_time":0.1,"http_user_agent":"python-requests/2.31.0",'
                f'"api_key_id":"key_{key}"}}\n'
            )
        content = "".join(lines).encode()
        file.write(content)
        written += len(content)
    return number


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=1)
    parser.add_argument("--gzip", action="store_true", help="as a packed file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config.init(folder / "w")
        log = folder / ("access.log.gz" if arguments.gzip else "access.log")
        with gzip.open(log, "wb", compresslevel=1) if arguments.gzip else log.open("wb") as file:
            lines = write(file, int(arguments.gigabytes * 1e9))
        command = [sys.executable, "-W", "ignore", "-c", INGEST, str(folder / "w"), str(log)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        read, stored, peak_mb, cpu_s = json.loads(done.stdout)
        assert read == stored == lines, f"{lines} lines were written, {read} read and {stored} stored"
    print(f"{lines:,} lines, {arguments.gigabytes} GB, {cpu_s:.0f} CPU s")
    print(json.dumps({"name": "large_file", "value": round(peak_mb), "unit": "MB", "reference": None, "ratio": None,
                      "goal": f"value < {GOAL_MB}", "holds": peak_mb < GOAL_MB}))  # fmt: skip


if __name__ == "__main__":
    main()
