"""How long does the bench's largest organisation take, and how much memory: 1,000 tokens, 90 days, 20 million events.

    python benchmarks/simulate.py [--tokens 1000] [--days 90] [--events 20500000] [--processes 2]

A line of JSON each for memory (of all processes together, shared pages counted once), CPU seconds and seconds. The
reference is the time in which ``simulate_logs`` would have written the raw logs of as many events, from a smaller
organisation in the same run; it reads none of them.
"""

import argparse
import json
import resource
import tempfile
import threading
import time
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable

from tokenkit import config
from tokenkit.world import simulate_lake, simulate_logs

GOAL_S, GOAL_GB, GOAL_EVENTS = 300, 4.0, 20_000_000
REFERENCE_EVENTS = 500_000


def tree() -> list[int]:
    """Numbers of this process and of all that it started."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue  # it ended meanwhile
            parents.setdefault(parent, []).append(int(entry.name))
    found = [int(Path("/proc/self").resolve().name)]
    for number in found:
        found += parents.get(number, [])
    return found


def memory_gb() -> float:
    """Memory of the processes together, in 10^9 bytes."""
    total = 0
    for number in tree():
        try:
            lines = Path(f"/proc/{number}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total / 1e9


class Watched:
    """The most memory that the processes had while the block ran, looked at each second."""

    def __enter__(self) -> "Watched":
        self.peak_gb, self._over = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._over.wait(1.0):
            self.peak_gb = max(self.peak_gb, memory_gb())

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()


def cpu_s() -> float:
    """CPU seconds of this process and of those that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in used)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("tokens", 1000), ("days", 90), ("events", 20_500_000), ("processes", 2)):
        parser.add_argument(f"--{name}", type=int, default=value)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        began = time.perf_counter()
        simulate_logs(folder / "raw", tokens=84, days=60, seed=0, events=REFERENCE_EVENTS, attacks=False, bench=True)
        plain_s = (time.perf_counter() - began) * asked.events / REFERENCE_EVENTS
        workspace = config.init(folder / "workspace")
        began, used = time.perf_counter(), cpu_s()
        with Watched() as watched:
            simulate_lake(
                workspace, tokens=asked.tokens, days=asked.days, seed=0, events=asked.events, processes=asked.processes
            )
        seconds, used = time.perf_counter() - began, cpu_s() - used
        stored = pa.table(DeltaTable(str(workspace.lake / "events")).get_add_actions(flatten=True))
        events = sum(stored["num_records"].to_pylist())
    for name, value, unit, goal, holds in (
        ("simulate_events", events, "events", f"value >= {GOAL_EVENTS}", events >= GOAL_EVENTS),
        ("simulate_memory", round(watched.peak_gb, 2), "GB", f"value < {GOAL_GB}", watched.peak_gb < GOAL_GB),
        ("simulate_cpu", round(used), "CPU s", f"value < {GOAL_S * asked.processes}", used < GOAL_S * asked.processes),
    ):
        line = {"name": name, "value": value, "unit": unit, "reference": None, "ratio": None}
        print(json.dumps(line | {"goal": goal, "holds": holds}), flush=True)
    print(json.dumps({
        "name": "simulate", "value": round(seconds), "unit": "s", "reference": round(plain_s),
        "ratio": round(seconds / plain_s, 3), "goal": f"value < {GOAL_S}", "holds": seconds < GOAL_S,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
