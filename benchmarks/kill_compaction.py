"""Compactions killed at fifty random moments: every row is still there, and one more compaction finishes the work.

The data is some days of a gateway's log, read in many small files (fixed seed). A process that has imported
everything forks a child for each compaction, which gets SIGKILL after a random time, up to as long as a whole one took.
"""

import json
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"
sys.path.insert(0, str(TESTS))

import at_once  # noqa: E402
import raw_logs  # noqa: E402
from maintenance_example import content, day_log  # noqa: E402

from tokenkit import activity, fingerprint  # noqa: E402
from tokenkit.store import lake  # noqa: E402

KILLS, DAYS, PARTS = 50, 6, 6
COMPACT = ("lake", "compact")


def main() -> None:
    with tempfile.TemporaryDirectory() as name, at_once.together() as ask:
        folder, numbers = Path(name), random.Random(1)
        place = raw_logs.workspace(folder / "w")
        lost, killed, whole_s = 0, 0, 1.0
        for number in range(KILLS):
            if number % 10 == 0:  # something to compact again
                for part in range(PARTS):
                    logs = [day_log(folder / "logs", day, number * PARTS + part) for day in range(DAYS)]
                    raw_logs.read(place, *logs)
                raw_logs.form(place)
                before = content(place)
            if number == 0:  # how long a whole one takes, on a copy
                shutil.copytree(place.root, folder / "copy")
                began = time.perf_counter()
                ask([folder / "copy", *COMPACT])
                whole_s = time.perf_counter() - began
            killed += ask([place.root, *COMPACT], kill_after_s=numbers.uniform(0.0, whole_s)) == [-9]
            lost += content(place) != before
        done = ask([place.root, *COMPACT])
        same = content(place) == before and (activity.build(place), fingerprint.build(place)) >= (0, 0)
        files = len(lake.files(place.lake, "events"))
        print(f"{killed} of {KILLS} compactions were killed; {lost} left another lake; {files} files of {DAYS} days")
        holds = lost == 0 and done == [0] and same and files == DAYS
        print(json.dumps({
            "name": "kill_compaction", "value": lost, "unit": "lakes changed", "reference": killed, "ratio": None,
            "goal": "value == 0", "holds": bool(holds),
        }))  # fmt: skip


if __name__ == "__main__":
    main()
