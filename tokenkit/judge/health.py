"""Health: what a data scientist asks of the detectors of a run, and what the report would still miss.

Reads  Judgement. Writes nothing.
"""

from importlib.metadata import version

import numpy as np
import pandas as pd

from tokenkit import channels, config
from tokenkit.channels import drift, weights
from tokenkit.config import Detection, Workspace
from tokenkit.incidents import labels, words
from tokenkit.judge.judgement import Judgement
from tokenkit.normal.behaviour import KINDS
from tokenkit.schema import facts
from tokenkit.schema.coverage import Logs
from tokenkit.schema.incident import Incident
from tokenkit.store import lake


def health(workspace: Workspace, judgement: Judgement, listed: list[Incident]) -> facts.Health:
    """What a data scientist asks of the detectors."""
    detection, learned = workspace.settings.detection, weights.of_workspace(workspace).trained
    rows: list[facts.Channel] = []
    for detector in channels.detectors(detection.panel):
        limit = float(judgement.threshold_table[detector.name].iloc[-1]) if len(judgement.threshold_table) else None
        rows.append(
            {"channel": detector.name, "title": detector.title, "share": detection.shares.get(detector.name, 0.0),
             "opened": sum(r["state"] == "opened" and r["channels"][0] == detector.name for r in listed),
             "threshold_bits": limit if limit is not None and np.isfinite(limit) else None}
        )  # fmt: skip
    asked = [r["second_opinion"] for r in listed if r["second_opinion"]]
    return {
        "channels": rows,
        "second_opinion": {"name": f"PyOD ({', '.join(asked[0]['members'])})",
                           "agree": sum(s["agrees"] for s in asked), "of": len(asked)}
        if asked else None,
        "assumed": ["Most tokens were not misused while the reference was taken.",
                    "A token is compared with its own past, and one younger than the reference with its peers."],
        "settings_digest": config.digest(workspace.settings), "seed": detection.seed,
        "settings_set": {"by": detection.set_by, "on": detection.set_on, "why": detection.set_why},
        "weights_set": {"by": str(learned.get("set_by", "")), "on": str(learned.get("set_on", "")),
                        "why": str(learned.get("set_why", ""))},
        "versions": {name: version(name) for name in ("tokenkit", "pyod", "duckdb", "deltalake", "narwhals", "pandas")},
        "tables": lake.versions(workspace.lake),
        "verdicts": labels.tally(judgement.labels.table),
    }  # fmt: skip


def switched_off(detection: Detection) -> list[facts.BlindSpot]:
    """The channels that raise something by default, and nothing as the settings are.

    Examples
    --------
    >>> from tokenkit.config import Detection
    >>> [spot["what"] for spot in switched_off(Detection(shares={"point_day": 1.0, "drift_amounts": 0.0}))][2]
    'Takes more for its calls, for two weeks'
    """
    titles = {one.name: one.title for one in channels.detectors(detection.panel)}
    return [
        {"what": titles[name],
         "means": f"Not looked for: {name} has no share of the budget in [detection.shares] of tokenkit.toml."}
        for name in Detection().shares if not detection.shares.get(name)
    ]  # fmt: skip


def blind_spots(
    detection: Detection, judgement: Judgement, counted: facts.Counts, read: Logs
) -> list[facts.BlindSpot]:  # fmt: skip
    """What this report would still miss, from what was measured."""
    spots: list[facts.BlindSpot] = [
        *switched_off(detection),
        {"what": "A thief who behaves like the owner",
         "means": "The usual network, program, calls, hours and amounts raise nothing."},
    ]  # fmt: skip
    if counted["young"]:
        spots.append({"what": f"{words.plural(counted['young'], 'token')} too new for a past of their own",
                     "means": "Judged by their peers only; slow changes are not seen."})  # fmt: skip
    if counted["unattributed_calls"]:
        spots.append({"what": f"{words.plural(counted['unattributed_calls'], 'call')} without a token",
                     "means": "Counted, and not judged."})  # fmt: skip
    spots += [
        {"what": f"{g['source']}: no logs from {g['start'][5:16]} to {g['end'][5:16]} UTC".replace("T", " ", 2),
         "means": "What happened then is not on this page."}
        for g in read["gaps"][:5]
    ]  # fmt: skip
    leak = smallest_leak(judgement)
    if leak:
        spots.append({"what": "Slow leaks below the threshold", "means": leak})
    return spots


def smallest_leak(judgement: Judgement) -> str | None:
    """The rise of data per call, lasting for two weeks, that half of the tokens of each kind could show unnoticed."""
    limit = judgement.threshold_table["drift_amounts"].iloc[-1] if len(judgement.threshold_table) else np.nan
    if judgement.evidence is None or not np.isfinite(limit):
        return None
    days = judgement.evidence.days
    rows = judgement.scores[judgement.scores["channel"] == "drift_amounts"]
    if rows.empty:
        return None
    near = rows.iloc[(rows["score_bits"] - limit).abs().argsort()[:5]]["raw_bits"].median()
    kinds = pd.Series(days.behaviour, days.profiles).where(days.maturity == "mature")
    rises = drift.smallest_rise(judgement.evidence, near).groupby(kinds).median().dropna().sort_values()
    if rises.empty:
        return None
    said = [f"{_times(1 + rise)} for {KINDS[str(kind)].split(':')[0]}" for kind, rise in rises.items()]
    return (
        "Data per call may rise for two weeks, unnoticed for half of the tokens of a kind, to about "
        f"{words.joined(said)}; less where the calls also read what was never read before."
    )


def _times(ratio: float) -> str:
    """A ratio in words.

    Examples
    --------
    >>> _times(1.38), _times(4.04), _times(75.0)
    ('1.4 times', '4 times', 'more than 10 times')
    """
    return f"{ratio:.2g} times" if ratio < 10 else "more than 10 times"
