"""Twenty kills at random moments of a run, then one more: the lake and the report are those of an undisturbed one."""

import json
import random
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import organisation as small
import pyarrow as pa
import pytest

from tokenkit import activity, config, run, schema
from tokenkit.sources.inputs import Input
from tokenkit.store import lake, state

KILLS = 20
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

    def run(self, seconds: float = -1) -> tuple[int, float]:
        """Exit code (-9: killed) and how long it ran."""
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            pytest.fail(self.process.communicate()[1][-3000:])
        code, took = line.split()
        return int(code), float(took)

    def close(self) -> str:
        return self.process.communicate()[1]


@pytest.fixture(scope="module")
def survivor(tmp_path_factory):
    """(undisturbed workspace, the one that was killed twenty times, exit codes of the kills, code of the last run)."""
    root = tmp_path_factory.mktemp("kill")
    small.make(root / "raw", tokens=16, days=21, events=2_500)
    calm, killed = config.init(root / "calm"), config.init(root / "killed")
    calm_target = Target(calm.root, root / "raw")
    code, whole = calm_target.run()
    assert code == 0, calm_target.close()
    killed.key.write_bytes(calm.key.read_bytes())
    killed.key.chmod(0o600)
    moments, codes, target = random.Random(SEED), [], Target(killed.root, root / "raw")
    while codes.count(-signal.SIGKILL) < KILLS and len(codes) < 3 * KILLS:
        # early moments more often: what was done once is not done again, and the work moves to the end
        code, took = target.run((0.02 + 0.93 * moments.random() ** 2) * whole)
        codes.append(code)
        if code == 0:
            whole = took
    last, _ = target.run()
    said = calm_target.close() + target.close()
    assert "Traceback" not in said, said[-3000:]
    return calm, killed, codes, last


def test_twenty_runs_were_killed_and_the_others_ended_well(survivor):
    _, _, codes, last = survivor
    assert last == 0
    assert set(codes) <= {-signal.SIGKILL, 0}, "a run that is taken up never fails"
    assert codes.count(-signal.SIGKILL) == KILLS


def rows(table: pa.Table) -> list[str]:
    return sorted(json.dumps(row, default=str, sort_keys=True) for row in table.to_pylist())


@pytest.mark.parametrize("name", ["events", "tokens"])
def test_the_lake_holds_the_same_events(name, survivor):
    calm, killed, _, _ = survivor
    expected, got = (rows(lake.read(w.lake, name)) for w in (calm, killed))
    assert len(expected) > 10 and got == expected
    keys = lake.read(killed.lake, "events")["event_key"].to_pylist()
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("name", DERIVED)
def test_what_is_made_from_the_events_is_the_same(name, survivor):
    calm, killed, _, _ = survivor
    assert rows(lake.read(killed.lake, name)) == rows(lake.read(calm.lake, name))


def test_what_was_read_adds_up(survivor):
    calm, killed, _, _ = survivor
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
    calm, killed, _, _ = survivor
    published = [sorted(p.name for p in w.reports.iterdir() if p.is_dir()) for w in (calm, killed)]
    assert published[0] == published[1] and len(published[1]) == 1
    assert not [p for p in killed.reports.iterdir() if p.name.startswith((".staging", ".old"))]
    # the page names the version of each table, which counts commits
    versions = re.compile("(" + "|".join(schema.TABLES) + r") \d+")
    pages = [versions.sub(r"\1", next(w.reports.glob("run1_*/index.html")).read_text()) for w in (calm, killed)]
    findings = [next(w.reports.glob("run1_*/incidents.json")).read_text() for w in (calm, killed)]
    assert findings[0] == findings[1]
    assert pages[0] == pages[1]


def test_a_run_that_dies_just_before_seen_is_written_is_taken_up(tmp_path, monkeypatch):
    """Found by reading: the days were marked as built, and ``seen`` stayed as it was for ever."""
    small.make(tmp_path / "raw", tokens=16, days=21, events=1_500)
    workspace = config.init(tmp_path / "w")
    shutil.copytree(tmp_path / "raw" / "logs" / "gateway", tmp_path / "logs")
    from tokenkit.ingest import ingest

    ingest(workspace, [Input(tmp_path / "logs")])
    replace = lake.replace

    def die(root: Path, name: str, data: pa.Table) -> None:
        if name == "seen":
            raise KeyboardInterrupt
        replace(root, name, data)

    monkeypatch.setattr(lake, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        activity.build(workspace)
    monkeypatch.setattr(lake, "replace", replace)
    activity.build(workspace)
    assert lake.read(workspace.lake, "seen").num_rows > 0


def test_a_run_that_dies_after_publishing_is_taken_up(organisation, tmp_path, monkeypatch):
    workspace = config.init(tmp_path / "w")
    logs = [Input(organisation / "logs" / "gateway" / "haproxy")]

    def die(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run, "remember", die)
        with pytest.raises(KeyboardInterrupt):
            run.run(workspace, logs)
    before = small.content(workspace.reports)
    result = run.run(workspace, logs)
    after = small.content(workspace.reports)
    assert {k: v for k, v in after.items() if not k.endswith(".ipynb")} == {
        k: v for k, v in before.items() if not k.endswith(".ipynb")
    }
    with state.connect(workspace.state) as db:
        assert state.last_run(db)["run_uid"] == result.facts["run_uid"]
