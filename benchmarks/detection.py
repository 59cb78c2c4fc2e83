"""Does the main job find what was planted? Raw logs in, incidents.json out, over seeds, with and without attacks.

    python benchmarks/detection.py [--seeds 0 1 2 3 4] [--tokens 200] [--days 60]

Reference in the same run: whether most of the panel's PyOD detectors, on the same deviations, call the incident's day
one of the 1% most unusual.
The last line is the JSON of the headline: attacks found among the five first of their run with their cause among the
three first reasons. Lines before it: one for each attack, and the achieved share of the budget without attacks with its
95% interval (bootstrap over token-seed pairs).
"""

import argparse
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from tokenkit import config, run
from tokenkit.config import PANEL
from tokenkit.sources.inputs import Input
from tokenkit.tokens import listing
from tokenkit.world import simulate_logs

CAUSES = {
    "network": {"network"}, "client": {"client"}, "operations": {"operation"},
    "response_bytes": {"response_bytes", "drift_response_bytes"}, "errors": {"client_errors"},
    "objects": {"objects", "new_objects", "drift_objects"}, "sequential": {"sequential_objects"},
}  # fmt: skip


def one(folder: Path, seed: int, attacks: bool, tokens: int, days: int) -> tuple[dict, list[dict], dict]:
    """Facts, incidents.json and the truth of one organisation, through the same door as real logs."""
    truth = simulate_logs(
        folder / "raw", tokens=tokens, days=days, seed=seed, attacks=attacks, events=tokens * days * 250 // 3
    )
    workspace = config.init(folder / "workspace")
    result = run.run(workspace, [Input(folder / "raw/logs")], folder / "raw/inventory.csv")
    natives = folder / "natives.txt"
    natives.write_text("\n".join(a["native_id"] for a in truth["attacks"]))
    uids = dict(
        listing.tokens(workspace, natives, datetime.now(UTC))[["native_id", "token_uid"]].itertuples(index=False)
    )
    for attack in truth["attacks"]:
        attack["token_uid"] = uids[attack["native_id"]]
    return result.facts, json.loads((result.page.parent / "incidents.json").read_text()), truth


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--days", type=int, default=60)
    arguments = parser.parse_args()
    found = raised = planted = panel = 0
    opened: list[np.ndarray] = []
    allowed: list[float] = []
    for seed in arguments.seeds:
        with tempfile.TemporaryDirectory() as folder:
            facts, findings, truth = one(Path(folder), seed, True, arguments.tokens, arguments.days)
        by_uid = {r["incident_uid"]: r for r in facts["incidents"]}
        for attack in truth["attacks"]:
            ranks = [n for n, f in enumerate(findings, 1) if attack["token_uid"] in [r["uid"] for r in f["resources"]]]
            record = by_uid[findings[ranks[0] - 1]["finding_info"]["uid"]] if ranks else None
            first = [r["feature"] for r in record["reasons"][:3]] if record else []
            cause = any(name in CAUSES[c] for name in first for c in attack["cause"])
            planted, raised = planted + 1, raised + bool(ranks)
            found += bool(ranks) and ranks[0] <= 5 and cause
            panel += bool(record and record["second_opinion"] and record["second_opinion"]["agrees"])
            print(json.dumps({"seed": seed, "attack": attack["scenario"], "rank": ranks[0] if ranks else None,
                              "of": len(findings), "reasons": first, "cause_in_three": cause,
                              "panel_agrees": bool(record and (record["second_opinion"] or {}).get("agrees"))}),
                  flush=True)  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            facts, _, _ = one(Path(folder), seed, False, arguments.tokens, arguments.days)
        counts = [sum(r["profile_uid"] == p and r["state"] == "opened" for r in facts["incidents"])
                  for p in {r["profile_uid"] for r in facts["incidents"]}]  # fmt: skip
        opened.append(np.array(counts + [0] * (facts["counts"]["profiles"] - len(counts))))
        allowed.append(facts["budget"]["allowed"])
        print(json.dumps({"seed": seed, "opened": int(sum(counts)), "allowed": allowed[-1]}), flush=True)
    pooled, rng = np.concatenate(opened), np.random.default_rng(0)
    draws = rng.choice(pooled, (2000, len(pooled))).sum(axis=1) / sum(allowed)
    ratio = float(pooled.sum() / sum(allowed))
    low, high = np.quantile(draws, [0.025, 0.975])
    print(json.dumps({"name": "achieved_over_requested_budget", "value": round(ratio, 3), "unit": "ratio",
                      "interval": [round(float(low), 3), round(float(high), 3)], "reference": "1.0",
                      "ratio": round(ratio, 3),
                      "goal": "0.5 to 1.5", "holds": bool(0.5 <= ratio <= 1.5)}))  # fmt: skip
    print(json.dumps({"name": "attacks_in_first_five_with_cause", "value": found,
    "unit": f"of {planted} ({raised} raised)",
                      "reference": f"panel of PyOD ({', '.join(PANEL)}) agrees with {panel}",
                      "ratio": round(found / max(planted, 1), 3),
                      "goal": 13 / 15, "holds": found >= 13 / 15 * planted and raised == planted}))  # fmt: skip


if __name__ == "__main__":
    main()
