"""Which raw bits keep the budget while there are no calibration days? The source of ``thresholds.PROVISIONAL_BITS``.

    python benchmarks/provisional.py [--seeds 10 11 12 13 14]

Organisations without attacks, 10 days of reference, 14 reported days: for each channel the raw bits at which as many
incidents would have opened as its share of the default budget (5 a day for each 1,000 profiles) allows, pooled.
Reference in the same run: what the values in use would have opened.
"""

import argparse
import json
import tempfile
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from tokenkit import activity, channels, config, fingerprint, ingest
from tokenkit.channels import calibration
from tokenkit.days import plan
from tokenkit.incidents import thresholds
from tokenkit.normal.evidence import of_workspace
from tokenkit.sources.inputs import Input
from tokenkit.store import lake
from tokenkit.tokens import load
from tokenkit.world import simulate_logs

REFERENCE_DAYS, REPORTED_DAYS = 10, 14


def heights_of(folder: Path, seed: int) -> tuple[dict[str, np.ndarray], int]:
    """Largest raw score of each profile and reported day by channel, and the number of profiles."""
    simulate_logs(folder / "raw", days=REFERENCE_DAYS + REPORTED_DAYS, seed=seed, attacks=False, events=400_000)
    workspace = config.init(folder / "workspace")
    load.load_inventory(workspace, folder / "raw/inventory.csv")
    ingest.ingest(workspace, [Input(folder / "raw/logs")])
    activity.build(workspace)
    fingerprint.build(workspace)
    days = sorted(lake.days(workspace.lake, "events"))
    start, end = days[0] + timedelta(days=REFERENCE_DAYS), days[-1] + timedelta(days=1)
    periods = plan(days[0], start, end, workspace.settings.history)
    evidence, _ = of_workspace(workspace, periods)
    scores = calibration.score(evidence, workspace.settings.detection)
    at = pd.date_range(start, end, freq="D", inclusive="left", tz="UTC").as_unit("us")
    profiles = pd.Index(evidence.days.profiles)
    names = [d.name for d in channels.detectors()]
    return {c: thresholds.highest(scores[scores["channel"] == c], profiles, at) for c in names}, len(profiles)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[10, 11, 12, 13, 14])
    runs = []
    for seed in parser.parse_args().seeds:
        with tempfile.TemporaryDirectory() as folder:
            runs.append(heights_of(Path(folder), seed))
    detection = config.Settings().detection
    allowed = sum(detection.budget / 1000 * n * REPORTED_DAYS for _, n in runs)
    opened = 0
    for detector in channels.detectors():
        stacked = np.vstack([heights[detector.name] for heights, _ in runs])
        in_use = thresholds.PROVISIONAL_BITS.get(detector.name, np.inf)
        now = int(thresholds.opened(stacked >= in_use, detector.gap_days).sum())
        share = detection.shares.get(detector.name, 0.0)
        curve = thresholds.curve_of(stacked, detector.gap_days, slice(0, REPORTED_DAYS))
        bits = thresholds.at_quota(*curve, (share or 0.1) * allowed, least=0.0)
        opened += now if share else 0
        print(
            json.dumps(
                {"channel": detector.name, "raw_bits": round(bits, 1), "in_use_opens": now, "of": share * allowed}
            )
        )
    ratio = opened / allowed
    print(json.dumps({"name": "provisional_achieved_over_requested", "value": round(ratio, 2), "unit": "ratio",
                      "reference": f"{allowed:.0f} incidents allowed", "ratio": round(ratio, 2), "goal": "at most 1.5",
                      "holds": bool(ratio <= 1.5)}))  # fmt: skip


if __name__ == "__main__":
    main()
