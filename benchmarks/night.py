"""What does a night cost before the page is made: 1,000 tokens, 90 days, 20.5 million events.

    python benchmarks/night.py [--folder FOLDER] [--tokens 1000] [--days 90] [--events 20500000]

The lake is made once by ``simulate_lake`` (seed 0) with its activity and fingerprints, and kept in the folder. Then the
night of its last day is measured in a process of its own, in CPU seconds (user and system) of that process and its
children. Two lines of JSON are printed:

- ``night_last_day``: the activity and the fingerprints of the last day, as if its events had just been read.
- ``night``: everything that ``tokenkit run`` does after that and before the page: evidence, scores, thresholds,
  incidents, their records, and all other facts, with the tables and facts that it writes. The detectors of PyOD are
  fitted, as in the first night of a workspace; later nights load them. Starting Python and importing tokenkit count.

Neither reads raw logs, and neither makes the page.
"""

import argparse
import json
import multiprocessing
import shutil
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from simulate import cpu_s

from tokenkit import activity, config, fingerprint, report
from tokenkit.config import Workspace
from tokenkit.store import lake, state
from tokenkit.world import simulate_lake

GOAL_S = 70
Costs = dict[str, float]


def make_lake(folder: Path, tokens: int, days: int, events: int) -> Workspace:
    """Return the workspace in the folder, with the lake of a simulated organisation; what is there is used again."""
    marker = folder / "complete"
    if not marker.exists():
        shutil.rmtree(folder / "workspace", ignore_errors=True)
        workspace = config.init(folder / "workspace")
        simulate_lake(workspace, tokens=tokens, days=days, seed=0, events=events)
        activity.build(workspace)
        fingerprint.build(workspace)
        marker.touch()
    return config.workspace_at(folder / "workspace")


def forget_last_night(workspace: Workspace) -> None:
    """Make activity and fingerprints of the last day out of date, and remove fitted detectors and stored facts."""
    last = max(lake.days(workspace.lake, "events")).isoformat()
    shutil.rmtree(workspace.key.parent / "models", ignore_errors=True)
    with state.connect(workspace.state) as db:
        db.execute("delete from built where part = ? or stage = 'seen'", [last])
        db.execute("delete from meta where name like 'facts:%'")


def night(root: Path) -> Costs:
    """Run the night; return CPU seconds by part. To be called in a new process."""
    costs = {"start of Python": cpu_s()}
    workspace = config.workspace_at(root)
    for part, work in (("activity", activity.build), ("fingerprint", fingerprint.build), ("facts", report.gather)):
        began = cpu_s()
        work(workspace)
        costs[part] = cpu_s() - began
    return costs


def line(name: str, value: float, goal_s: float) -> None:
    """Print a result."""
    print(json.dumps({"name": name, "value": round(value, 1), "unit": "CPU s", "reference": None, "ratio": None,
                      "goal": f"value <= {goal_s}", "holds": value <= goal_s}), flush=True)  # fmt: skip


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where the lake is kept; default: a folder in the system's own")
    for name, value in (("tokens", 1000), ("days", 90), ("events", 20_500_000)):
        parser.add_argument(f"--{name}", type=int, default=value)
    asked = parser.parse_args()
    size = f"{asked.tokens}-{asked.days}-{asked.events}"
    folder = asked.folder or Path(tempfile.gettempdir()) / "tokenkit-night"
    workspace = make_lake(folder.resolve() / size, asked.tokens, asked.days, asked.events)
    forget_last_night(workspace)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        costs = pool.submit(night, workspace.root).result()
    for part, seconds in costs.items():
        print(f"{part}: {seconds:.1f} CPU s", flush=True)
    line("night_last_day", costs["activity"] + costs["fingerprint"], GOAL_S)
    line("night", costs["start of Python"] + costs["facts"], GOAL_S)


if __name__ == "__main__":
    main()
