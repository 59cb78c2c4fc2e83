"""What does the main job cost? `tokenkit run` on the demo organisation, raw logs to report, in a process of its own.

    python benchmarks/run.py [--tokens 200] [--days 60]

CPU seconds of the process and its kernel, wall seconds and the largest process's peak memory, for ingest alone (the
reference), for the first run and for a second one that finds all stages up to date. The last line is the JSON of the
first run; the lines before it have the memory and the second run.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tokenkit.world import simulate_logs

MEMORY_MB, SECOND_S = 4096, 90


@dataclass(frozen=True)
class Cost:
    """Of one process and its children."""

    cpu_s: float
    wall_s: float
    peak_mb: float


MEASURED = """
import json, resource, subprocess, sys, time
began = time.monotonic()
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([done.returncode, used.ru_utime + used.ru_stime, time.monotonic() - began, used.ru_maxrss / 1024,
                  done.stdout[-2000:], done.stderr[-2000:]]))
"""


def cost(*arguments: str) -> Cost:
    """Run tokenkit; a parent of its own keeps this run's figures apart from the last one's."""
    tool = str(Path(sys.executable).parent / "tokenkit")
    out = subprocess.run([sys.executable, "-c", MEASURED, tool, *arguments], capture_output=True, text=True, check=True)
    code, cpu_s, wall_s, peak_mb, said, wrong = json.loads(out.stdout)
    if code:
        raise SystemExit(f"tokenkit {arguments[0]} left with {code}: {said}{wrong}")
    return Cost(cpu_s, wall_s, peak_mb)


def line(name: str, value: float, unit: str, reference: float | None, goal: str, holds: bool) -> None:
    """Print a result."""
    ratio = round(value / reference, 2) if reference else None
    shown = None if reference is None else round(reference, 1)
    print(json.dumps({"name": name, "value": round(value, 1), "unit": unit, "reference": shown, "ratio": ratio,
                      "goal": goal, "holds": holds}), flush=True)  # fmt: skip


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--days", type=int, default=60)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        began = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        simulate_logs(Path("raw"), tokens=asked.tokens, days=asked.days, events=asked.tokens * asked.days * 250 // 3)
        print(f"simulated in {time.process_time() - began[0]:.1f} CPU s", flush=True)
        subprocess.run([sys.executable, "-m", "tokenkit.cli", "--help"], capture_output=True)  # compile
        tool = str(Path(sys.executable).parent / "tokenkit")
        for folder in ("alone", "whole"):
            subprocess.run([tool, "init", folder], check=True, capture_output=True)
        logs, owners = str(Path("raw/logs").resolve()), str(Path("raw/inventory.csv").resolve())
        os.chdir("alone")
        alone = cost("ingest", logs)
        os.chdir("../whole")
        run = ("run", "--events", logs, "--inventory", owners)
        first = cost(*run)
        second = cost(*run)
        for what, c in (("ingest alone", alone), ("first run", first), ("second run", second)):
            print(f"{what}: {c.cpu_s:.1f} CPU s, {c.wall_s:.1f} s, {c.peak_mb:.0f} MB", flush=True)
    peak = f"value < {MEMORY_MB}"
    line("run_peak_memory", first.peak_mb, "MB", alone.peak_mb, peak, first.peak_mb < MEMORY_MB)
    line("run_again_wall", second.wall_s, "s", first.wall_s, f"value < {SECOND_S}", second.wall_s < SECOND_S)
    line("run_cpu", first.cpu_s, "CPU s", alone.cpu_s, "ratio < 4", first.cpu_s < 4 * alone.cpu_s)


if __name__ == "__main__":
    main()
