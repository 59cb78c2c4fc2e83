"""What does a long history of quiet days cost? CPU seconds of one more day on top of 500 days of 30 calls.

    python benchmarks/many_days.py [--days 500] [--calls 30]

A gateway writes one log a day; each run is a process of its own, as cron starts it, and its children count. The first
run, of all days, is printed before the last line. The reference is the same day on top of 60 days: what does not come
from the history's length.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tokenkit import config

FIRST_GOAL_S, NEXT_GOAL_S = 40, 8
BEGIN = datetime(2025, 1, 6, tzinfo=UTC)


def write_day(folder: Path, day: int, calls: int) -> None:
    """The calls of five keys on one day."""
    noise = random.Random(day)
    lines = []
    for number in range(calls):
        key = noise.randrange(5)
        when = BEGIN + timedelta(days=day, seconds=noise.randrange(86_400))
        lines.append({
            "msec": when.timestamp(), "request_id": f"{day}-{number}",
            "remote_addr": f"10.0.{key}.{noise.randrange(9)}",
            "api_key_id": f"key_{key}", "request_method": "GET", "request_uri": f"/v1/orders/{noise.randrange(50)}",
            "status": 200, "request_length": 300, "bytes_sent": noise.randrange(9000), "request_time": 0.1,
            "http_user_agent": "curl/8",
        })  # fmt: skip
    lines.sort(key=lambda line: line["msec"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{day:04}.log").write_text("".join(json.dumps(line) + "\n" for line in lines))


def run(folder: Path) -> float:
    """One run over the logs of a workspace; its CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [str(Path(sys.executable).parent / "tokenkit"), "run", "--events", "nginx=logs"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def history(folder: Path, days: int, calls: int) -> tuple[float, float]:
    """CPU seconds of a first run over so many days, and of the run after the next day."""
    config.init(folder)
    for day in range(days):
        write_day(folder / "logs", day, calls)
    first_s = run(folder)
    write_day(folder / "logs", days, calls)
    return first_s, run(folder)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=500)
    parser.add_argument("--calls", type=int, default=30)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        first_s, next_s = history(Path(name) / "long", arguments.days, arguments.calls)
        _, short_s = history(Path(name) / "short", 60, arguments.calls)
    print(
        json.dumps({"name": "many_days_first", "value": round(first_s, 1), "unit": "CPU s", "reference": None,
                      "ratio": None, "goal": f"value <= {FIRST_GOAL_S}", "holds": first_s <= FIRST_GOAL_S}),
    )  # fmt: skip
    print(json.dumps({"name": "many_days", "value": round(next_s, 1), "unit": "CPU s", "reference": round(short_s, 1),
                      "ratio": round(next_s / short_s, 2), "goal": f"value <= {NEXT_GOAL_S}",
                      "holds": next_s <= NEXT_GOAL_S}))  # fmt: skip


if __name__ == "__main__":
    main()
