"""A run killed at named points and at random, then left alone: lake and report are those of an undisturbed one."""

import json
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import kill_target
import organisation as small
import pyarrow as pa
import pytest

from tokenkit import config, schema
from tokenkit.store import lake, state

RANDOM_KILLS = 5
SEED = 7
DERIVED = [name for name in schema.TABLES if name not in ("events", "tokens")]


class Target:
    """A process that runs ``tokenkit run`` in children, and kills them when told."""

    def __init__(self, folder: Path, raw: Path):
        asked = ["run", "--events", str(raw / "logs"), "--inventory", str(raw / "inventory.csv")]
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", Path(__file__).with_name("kill_target.py"), *asked],
            cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, kill: str = "") -> int:
        """Run once, killed at a named point, at a write (``write N``) or not at all; returns the exit code."""
        self.process.stdin.write(f"{kill}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            pytest.fail(self.process.communicate()[1][-3000:])
        return int(line)

    def close(self) -> str:
        return self.process.communicate()[1]


@pytest.fixture(scope="module")
def survivor(tmp_path_factory):
    """(undisturbed workspace, the one that was killed, exit codes by point, those at random, code of the last run)."""
    root = tmp_path_factory.mktemp("kill")
    small.make(root / "raw", tokens=16, days=21, events=2_500)
    calm, killed = config.init(root / "calm"), config.init(root / "killed")
    calm_target, target = Target(calm.root, root / "raw"), Target(killed.root, root / "raw")
    assert calm_target.run() == 0, calm_target.close()
    killed.key.write_bytes(calm.key.read_bytes())
    killed.key.chmod(0o600)
    first, *others = kill_target.POINTS
    at_points = {first: target.run(first)}
    # all of the organisation takes some hundred writes to read, so these kills leave some for the points that follow
    numbers = random.Random(SEED)
    at_random = [target.run(f"write {numbers.randint(1, 15)}") for _ in range(RANDOM_KILLS)]
    at_points |= {point: target.run(point) for point in others}
    last = target.run()
    errors = calm_target.close() + target.close()
    assert "Traceback" not in errors, errors[-3000:]
    return calm, killed, at_points, at_random, last


def test_each_run_was_killed_at_its_point_and_the_others_ended_well(survivor):
    _, _, at_points, at_random, last = survivor
    assert at_points == dict.fromkeys(kill_target.POINTS, -signal.SIGKILL), "0: it never came to that point"
    assert at_random == [-signal.SIGKILL] * RANDOM_KILLS
    assert last == 0


def rows(table: pa.Table) -> list[str]:
    return sorted(json.dumps(row, default=str, sort_keys=True) for row in table.to_pylist())


@pytest.mark.parametrize("name", ["events", "tokens"])
def test_the_lake_holds_the_same_events(name, survivor):
    calm, killed, *_ = survivor
    expected, got = (rows(lake.read(w.lake, name)) for w in (calm, killed))
    assert len(expected) > 10 and got == expected
    keys = lake.read(killed.lake, "events")["event_key"].to_pylist()
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("name", DERIVED)
def test_what_is_made_from_the_events_is_the_same(name, survivor):
    calm, killed, *_ = survivor
    assert rows(lake.read(killed.lake, name)) == rows(lake.read(calm.lake, name))


def test_what_was_read_adds_up(survivor):
    calm, killed, *_ = survivor
    found = []
    for workspace in (calm, killed):
        with state.connect(workspace.state) as db:
            assert db.execute("select count(*) from files where status <> 'stored'").fetchone()[0] == 0
            counts = db.execute(
                "select sum(read), sum(stored), sum(duplicates), sum(quarantined), sum(ignored) from files"
            )
            found.append(tuple(counts.fetchone()))
    read, *parts = found[1]
    assert read == sum(parts) and found[1][0] == found[0][0]
    assert found[1][1] == lake.read(killed.lake, "events").num_rows
    assert found[1] == found[0]


def test_there_is_one_report_and_nothing_is_left_over(survivor):
    calm, killed, *_ = survivor
    published = [sorted(p.name for p in w.reports.iterdir() if p.is_dir()) for w in (calm, killed)]
    assert published[0] == published[1] and len(published[1]) == 1
    assert not [p for p in killed.reports.iterdir() if p.name.startswith((".staging", ".old"))]
    # the page names the version of each table, which counts commits
    versions = re.compile("(" + "|".join(schema.TABLES) + r") \d+")
    pages = [versions.sub(r"\1", next(w.reports.glob("run1_*/index.html")).read_text()) for w in (calm, killed)]
    findings = [next(w.reports.glob("run1_*/incidents.json")).read_text() for w in (calm, killed)]
    assert findings[0] == findings[1]
    assert pages[0] == pages[1]
    with state.connect(killed.state) as db:
        assert state.last_run(db)["run_uid"] == published[1][0]
