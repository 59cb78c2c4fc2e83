"""Health: what a data scientist asks of the detectors of a run, and what the report would still miss.

Reads  Judgement. Writes nothing.
"""

from importlib.metadata import version

import numpy as np

from tokenkit import channels, config
from tokenkit.channels import weights
from tokenkit.config import Workspace
from tokenkit.fingerprint import features
from tokenkit.incidents import labels, words
from tokenkit.judge.judgement import Judgement
from tokenkit.normal import baseline
from tokenkit.schema import facts
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


def blind_spots(judgement: Judgement, counted: facts.Counts, read: facts.Logs) -> list[facts.BlindSpot]:
    """What this report would still miss, from what was measured."""
    spots: list[facts.BlindSpot] = [
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
    """The median over profiles of the lasting rise of data per call that two weeks need to reach the threshold."""
    if (
        judgement.evidence is None
        or judgement.threshold_table.empty
        or not np.isfinite(judgement.threshold_table["drift_amounts"].iloc[-1])
    ):
        return None
    days, fit = judgement.evidence.days, judgement.evidence.fits["response_bytes"]
    v = baseline.variance(fit, features()["response_bytes"], days)[:, -14:]
    mature = (days.maturity == "mature") & (np.nansum(days.values["response_bytes"], axis=1) > 0)
    limit = judgement.threshold_table["drift_amounts"].iloc[-1]
    rows = judgement.scores[judgement.scores["channel"] == "drift_amounts"]
    if rows.empty or not mature.any():
        return None
    near = rows.iloc[(rows["score_bits"] - limit).abs().argsort()[:5]]["raw_bits"].median()
    from scipy.stats import norm

    needed = float(norm.isf(2.0 ** -(near + 1.0)))
    with np.errstate(all="ignore"):
        error = np.sqrt(1.0 / np.nansum(1.0 / v[mature], axis=1) + 0.1**2)
    rise = float(np.exp(needed * np.nanmedian(error)) - 1)
    return (
        f"For half of the tokens, a rise of less than about {100 * rise:.0f}% in data per call over two weeks"
        " stays below it."
    )
