"""What kill -9 leaves is what the journal says; and how long a lock takes.

    python benchmarks/respond_kill.py [--kills 200] [--seed 0]

A real HAProxy on loopback; each lock and its undo run in a process that is killed at a random call of a function.
The reference for the time of a lock, which is journalled, written to the file and verified, is one ``set map``.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from respond import kill
from respond.gateway import Gateway, executable, handle

from tokenkit import config, respond
from tokenkit.config import Workspace
from tokenkit.respond.proposal import Proposal, action_uid

TOKEN, KEY, TIMES = "tok1_" + "a" * 24, "k-live-1", 100


def median_ms(function: Callable[[], object], between: Callable[[], object] = lambda: None) -> float:
    took = []
    for _ in range(TIMES):
        began = time.perf_counter()
        function()
        took.append((time.perf_counter() - began) * 1000)
        between()
    return statistics.median(took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    name, goal = "respond_kill", "value == 0"
    if not executable():
        print("no HAProxy: sudo apt-get install haproxy")
        print(json.dumps({"name": name, "value": None, "unit": "tokens", "reference": None, "ratio": None,
                          "goal": goal, "holds": False}))  # fmt: skip
        return
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "gateway").mkdir()
        gateway = Gateway(Path(folder) / "gateway")
        try:
            gateway.start()
            opened = config.init(Path(folder) / "workspace")
            opened.settings.respond = gateway.settings
            workspace = Workspace(opened.root, opened.settings)
            uid, h = action_uid("inc1_a", TOKEN, "lock", "haproxy", handle(KEY)), handle(KEY)
            proposal = Proposal(
                uid, "inc1_a", TOKEN, TOKEN, "lock", "haproxy", h, "ci", "Ana", "", "2026-03-03T02:00:00Z", "high"
            )  # fmt: skip
            lock = median_ms(
                lambda: respond.apply(workspace, proposal, "ana", "measured"),
                lambda: respond.undo(workspace, uid, "ana", "measured"),
            )
            gateway.ask(f"add map {gateway.map} {h} lock")
            raw = median_ms(lambda: gateway.ask(f"set map {gateway.map} {h} lock"))
            gateway.ask(f"del map {gateway.map} {h}")
            print(f"lock to verified: median {lock:.1f} ms; one set map: {raw:.2f} ms ({lock / raw:.0f} times)")
            began = time.perf_counter()
            outcome = kill.at_random(workspace, proposal, options.kills, options.seed)
            print(f"{outcome} in {time.perf_counter() - began:.0f} s")
        finally:
            gateway.close()
    wrong = len(outcome["problems"])
    print(json.dumps({"name": name, "value": wrong, "unit": "tokens in a state the journal does not say",
                      "reference": None, "ratio": None, "goal": goal, "holds": wrong == 0,
                      "lock_to_verified_ms": round(lock, 2), "set_map_ms": round(raw, 3),
                      "killed": outcome["killed"], "in_doubt": outcome["in doubt"]}))  # fmt: skip


if __name__ == "__main__":
    main()
