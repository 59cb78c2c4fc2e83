"""Ingest killed at fifty random moments, of new files and of files that grow: one more run makes the undisturbed lake.

    python benchmarks/kill_ingest.py [--kills 50]

Between two kills a gateway writes on: its log grows, mostly by half a line too much, now and then it is rotated (by
renaming, or copied and emptied), a packed log of another day arrives, or a large one that is stored in several commits.
A process that has imported everything forks a child for each ingest, which gets SIGKILL after a random time, up to as
long as the last one took that came to its end. The reference is a workspace with the same key that reads all of it
once, at the end.
"""

import argparse
import gzip
import json
import random
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"
sys.path.insert(0, str(TESTS))

import at_once  # noqa: E402
import raw_logs  # noqa: E402

from tokenkit import config  # noqa: E402
from tokenkit.config import Workspace  # noqa: E402
from tokenkit.store import lake, state  # noqa: E402

LINES, PACKED_LINES, LARGE_LINES = 40, 200, 30_000  # of a large one: more than one part of 16 MB
LARGE_AT = (10, 30)


class Gateway:
    """One that goes on writing its logs into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log, self.number, self.rotated, self.rest = folder, folder / "access.log", 0, 0, b""
        folder.mkdir(parents=True)

    def lines(self, count: int, padding: int = 0) -> bytes:
        """The next calls of three keys."""
        made = []
        for number in range(self.number + 1, self.number + count + 1):
            key = number % 3
            fields = raw_logs.nginx(
                f"r{number}", raw_logs.moment() + timedelta(seconds=number), api_key_id=f"key_{key:012d}",
                remote_addr=f"203.0.{key}.7", http_user_agent="client/1 " + "x" * padding,
            )  # fmt: skip
            made.append(json.dumps(fields).encode() + b"\n")
        self.number += count
        return b"".join(made)

    def go_on(self, turn: int, numbers: random.Random) -> None:
        """Write some more."""
        text = self.rest + self.lines(LINES)
        cut = numbers.choice((len(text), len(text) - 25))  # half of the last line comes later
        with self.log.open("ab") as file:
            file.write(text[:cut])
        self.rest = text[cut:]
        if turn % 5 == 4:
            self.rotate(numbers.random() < 0.5)
        if turn % 3 == 2:
            (self.folder / f"{turn}.log.gz").write_bytes(gzip.compress(self.lines(PACKED_LINES)))
        if turn in LARGE_AT:
            (self.folder / f"large-{turn}.log").write_bytes(self.lines(LARGE_LINES, 700))

    def rotate(self, by_name: bool) -> None:
        """Begin a new log, of the same name."""
        with self.log.open("ab") as file:
            file.write(self.rest)
        self.rest, self.rotated = b"", self.rotated + 1
        old = self.folder / f"access.log.{self.rotated}"
        if by_name:
            self.log.rename(old)
        else:
            old.write_bytes(self.log.read_bytes())
            self.log.write_bytes(b"")

    def end(self) -> None:
        """Write the last line to its end."""
        with self.log.open("ab") as file:
            file.write(self.rest)


def content(place: Workspace) -> list[str]:
    """All events, without the file that each came from, which may have an older name, and what was set aside."""
    events = lake.read(place.lake, "events").drop_columns(["raw_ref"])
    with state.connect(place.state) as db:
        set_aside = [f"set aside: {row['reason']}" for row in db.execute("select reason from quarantine")]
    return sorted([*(json.dumps(row, default=str) for row in events.to_pylist()), *set_aside])


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    kills = parser.parse_args().kills
    with tempfile.TemporaryDirectory() as name, at_once.together() as ask:
        folder, numbers = Path(name), random.Random(1)
        gateway, place = Gateway(folder / "logs"), config.init(folder / "killed")
        command = ("ingest", f"nginx={gateway.folder}")
        whole_s, killed, turn = 1.0, 0, 0
        while killed < kills:
            gateway.go_on(turn, numbers)
            after_s = numbers.uniform(0.0, whole_s * (4 if turn in LARGE_AT else 1))
            began = time.perf_counter()
            if ask([place.root, *command], kill_after_s=after_s) == [-9]:
                killed += 1
            else:
                whole_s = max(0.2, time.perf_counter() - began)  # of the last one that came to its end
            turn += 1
        gateway.end()
        calm = config.init(folder / "calm")
        calm.key.write_bytes(place.key.read_bytes())
        ended = [*ask([place.root, *command]), *ask([calm.root, *command])]
        mine, theirs = content(place), content(calm)
        differ = len(set(mine) ^ set(theirs)) + abs(len(mine) - len(theirs))
        print(
            f"{killed} of {turn} ingests were killed; {len(mine):,} events of {gateway.number:,} lines; {differ} differ"
        )
        holds = differ == 0 and len(mine) == gateway.number and not any(ended)
        print(json.dumps({
            "name": "kill_ingest", "value": differ, "unit": "events that differ", "reference": killed, "ratio": None,
            "goal": "value == 0", "holds": bool(holds),
        }))  # fmt: skip


if __name__ == "__main__":
    main()
