"""Does the overlay give the scores of an attack on the whole organisation? Twenty trials, drawn at random, by both.

    python benchmarks/overlay.py [--tokens 100] [--injections 20] [--seed 0]

The whole way: the token's events in the lake are replaced by the attacked ones, and activity, fingerprint, deviation
and scores of the organisation are made again. The last line is the JSON of the headline: the largest difference between
two scores of one window; lines before it: one for each injection, and the seconds of both ways.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import numpy as np
import pandas as pd
from whole_organisation import CHANGE_THE_INVENTORY, measure_whole

from tokenkit import channels
from tokenkit.bench import scenarios
from tokenkit.bench.trials import draws, overlay
from tokenkit.bench.trials.unattacked import simulated_organisation

KEYS = ["profile_uid", "channel", "window", "start"]


def scores(evidence: object, periods: object) -> pd.DataFrame:
    """Scores of every channel, fitted on this evidence."""
    frames = [d.fit(evidence, *periods.calibration).score(evidence, periods.calibration[0], periods.end)
              for d in channels.detectors(("IForest",))]  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=100)
    parser.add_argument("--injections", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        organisation = simulated_organisation(Path(folder) / "organisation", given.seed, given.tokens)
        events = draws.events_of(organisation, draws.attackable(organisation))
        every = scenarios.ALL.values()
        cells = [(s, i) for s in every if s.id not in CHANGE_THE_INVENTORY for i in s.intensities]
        rng = np.random.default_rng(given.seed)
        picked = [cells[n] for n in sorted(rng.choice(len(cells), given.injections, replace=False))]
        trials = draws.draw(organisation, picked, 1, events)
        begun = time.monotonic()
        attacked = overlay.attack(organisation, trials, events, Path(folder) / "twins")
        periods = organisation.evidence.periods
        fitted = [d.fit(organisation.evidence, *periods.calibration) for d in channels.detectors(("IForest",))]
        mine = pd.concat([d.score(attacked.evidence, periods.calibration[0], periods.end) for d in fitted])
        overlay_s = time.monotonic() - begun
        largest, begun = 0.0, time.monotonic()
        for trial in trials:
            rows = attacked.trials[attacked.trials["trial"] == trial.number]
            of = dict(zip(rows["profile_uid"], rows["base_uid"], strict=True))
            by_overlay = mine[mine["profile_uid"].isin(of)].assign(
                profile_uid=lambda f, of=of: f["profile_uid"].map(of)
            )
            with tempfile.TemporaryDirectory(dir=folder) as place:
                by_whole = scores(measure_whole(organisation, attacked, trial.number, Path(place)), periods)
            by_whole = by_whole[by_whole["profile_uid"].isin(of.values())]
            both = by_overlay.merge(by_whole, on=KEYS, how="outer", suffixes=("", "_whole"))
            apart = float((both["raw_bits"] - both["raw_bits_whole"]).abs().max(skipna=False))
            largest = max(largest, np.inf if np.isnan(apart) else apart)
            print(json.dumps({"scenario": trial.scenario.id, "intensity": trial.intensity, "windows": len(both),
                              "largest_difference_bits": apart}), flush=True)  # fmt: skip
        whole_s = time.monotonic() - begun
    print(json.dumps({"overlay_s": round(overlay_s, 1), "whole_s": round(whole_s, 1), "trials": len(trials)}))
    print(json.dumps({"name": "overlay_against_the_whole_run", "value": largest, "unit": "bits, largest difference",
                      "reference": f"attacking the whole organisation, {whole_s / max(overlay_s, 1e-9):.0f} times the "
                      "seconds", "ratio": largest, "goal": "<= 1e-9", "holds": largest <= 1e-9}))  # fmt: skip


if __name__ == "__main__":
    main()
