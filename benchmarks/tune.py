"""Tune: from a moved slider to the redrawn picture, kernel side, at 1,000 tokens and 90 days of synthetic scores.

The callback of the widget itself is called: what-if, comparison, picture, table and the calls, up to the HTML that the
browser is sent. Each budget is one the slider was not at before, and half of the moves change a share as well, which
makes threshold curves anew.
"""

import json
import statistics
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

import tokenkit
from tokenkit import channels, config, widgets
from tokenkit.days import Periods
from tokenkit.incidents import thresholds
from tokenkit.workbench import tune

TOKENS, DAYS, GOAL_MS = 1000, 90, 300.0
FIRST = date(2026, 1, 1)


def scored() -> tune.ScoredPeriod:
    """Exponential bits, as calibrated scores are, in every channel on nearly every day; of hours, three a day."""
    rng = np.random.default_rng(0)
    names = np.array([f"tok1_{n:024x}" for n in range(TOKENS)], dtype=object)
    start = FIRST + timedelta(days=28)
    end = FIRST + timedelta(days=28 + DAYS)
    calibration = (start, start + timedelta(days=14))
    periods = Periods(calibration[1], end, FIRST, (FIRST, start), calibration)
    days = pd.date_range(start, end, freq="D", inclusive="left", tz="UTC").as_unit("us")
    frames = []
    for channel in channels.gaps():
        hourly = channel == "point_hour"
        times = 3 if hourly else 1
        uid = np.repeat(names, len(days) * times)
        when = np.tile(np.repeat(days, times), TOKENS)
        when = pd.DatetimeIndex(when) + pd.to_timedelta(rng.integers(0, 24, len(when)) if hourly else 0, unit="h")
        bits = rng.exponential(1 / np.log(2), len(uid))
        frame = pd.DataFrame({"profile_uid": uid, "window": "hour" if hourly else "day", "start": when,
                              "channel": channel, "score_bits": bits})  # fmt: skip
        frames.append(frame[rng.random(len(frame)) < 0.95].drop_duplicates(["profile_uid", "start"]))
    people = pd.DataFrame({"label": [f"token-{n}" for n in range(TOKENS)], "owner_name": "Ana"}, index=names)
    scores, profiles = pd.concat(frames, ignore_index=True), pd.Index(names)
    matrices = {c: thresholds.highest(scores[scores["channel"] == c], profiles, days) for c in channels.gaps()}
    everyone = np.ones((TOKENS, len(days)), dtype=bool)
    heights = thresholds.DailyHeights(matrices, profiles, ~everyone[:, 0], everyone, periods)
    return tune.ScoredPeriod(periods, config.Detection(), heights, tune.candidates(scores), people)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        ws = tokenkit.open(config.init(Path(folder)).root)
        began = time.perf_counter()
        tuner = widgets.tune_budget(ws, scored=scored())
        sliders = tuner.box.children[1].children[0].children
        print(f"made in {time.perf_counter() - began:.1f} s", file=sys.stderr)
        budget, share = sliders[0], sliders[1]
        picture = tuner.box.children[1].children[1]
        budgets, shares = [], []
        for n in range(20):
            for control, value, took in ((budget, 0.5 + n * 0.95, budgets), (share, 0.01 + n * 0.02, shares)):
                before, began = picture.value, time.perf_counter()
                control.value = value
                took.append(1000 * (time.perf_counter() - began))
                assert picture.value != before
    ms = statistics.median(budgets + shares)
    print(f"budget {statistics.median(budgets):.0f} ms, share {statistics.median(shares):.0f} ms, "
          f"largest {max(budgets + shares):.0f} ms", file=sys.stderr)  # fmt: skip
    print(json.dumps({"name": "tune_slider", "value": round(ms, 1), "unit": "ms", "reference": None, "ratio": None,
                      "goal": f"value <= {GOAL_MS:.0f}", "holds": ms <= GOAL_MS}))  # fmt: skip


if __name__ == "__main__":
    main()
