"""Incidents: windows that exceed their threshold, merged into what a person would call one event, and explained.

Reads  deviation.Evidence, tokens, activity, labels. Writes deviations, scores, baseline (Delta), incidents (state.db).
"""

import json
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa

from tokenkit import channels, schema
from tokenkit.channels import detector_cache, drift, policy
from tokenkit.channels.detector_cache import Shelf
from tokenkit.config import Detection, Workspace
from tokenkit.days import Periods
from tokenkit.incidents import labels, merge, thresholds
from tokenkit.incidents.labels import Verdicts
from tokenkit.normal import baseline, deviation
from tokenkit.normal.deviation import Evidence
from tokenkit.progress import Progress, silent
from tokenkit.store import lake


@dataclass
class Findings:
    """What a run found: flagged windows with their incident, thresholds, policy findings, the evidence, and answers."""

    periods: Periods
    windows: pd.DataFrame
    limits: pd.DataFrame
    policy: pd.DataFrame
    scores: pd.DataFrame
    evidence: Evidence | None
    allowed_a_day: float
    n_profiles: int
    said: Verdicts = field(default_factory=Verdicts)


def detect(
    workspace: Workspace, periods: Periods, people: pd.DataFrame, mapped: pd.DataFrame, progress: Progress = silent
) -> Findings:
    """Score the days of a run and merge what exceeds the budget into incidents.

    Parameters
    ----------
    people : DataFrame indexed by profile_uid (``owners.people``)
    mapped : DataFrame of tokens and their profiles (``token_profiles``)
    """
    breaches = policy.breaches(workspace, mapped, periods.end)
    broken = policy.in_period(breaches, periods.start, periods.end)
    first_scored = periods.calibration[0] if periods.calibration else periods.start
    # over all scored days, as for the channels: what began in the last report would else be standing in this one, and
    # the incident that it belongs to would have another first window, and another id
    beginning = policy_windows(policy.in_period(breaches, first_scored, periods.end))
    detection = workspace.settings.detection
    said = labels.read(workspace, periods.end)
    if len(beginning):
        beginning = labels.without_accepted(beginning, said.answers.accepted)
    if periods.reference is None:
        empty = pd.DataFrame(columns=[*channels.COLUMNS, "score_bits", "threshold_bits", "end"])
        windows = merge.join(beginning if len(beginning) else empty, {})
        return Findings(periods, windows, pd.DataFrame(), broken, empty, None, 0.0, 0, said)
    progress("comparing with the baseline", 0, 3)
    groups = baseline.peer_groups(people)
    evidence = deviation.measure(workspace, periods, groups, said.answers)
    progress("scoring", 1, 3)
    scores = score(evidence, periods, detection, detector_cache.shelf(workspace))
    days = pd.date_range(first_scored, periods.end, freq="D", inclusive="left", tz="UTC").as_unit("us")
    judged = pd.Index(evidence.days.profiles)
    allowed = detection.budget * len(judged) / 1000
    limits, own = _lines(scores, evidence, workspace.settings.detection, days, allowed, said)
    forgiven = scores["profile_uid"].isin(said.answers.accepted["profile_uid"])
    flagged = merge.flag(scores[~forgiven], limits)
    if forgiven.any():
        flagged = pd.concat([flagged, merge.flag(scores[forgiven], own)], ignore_index=True)
        flagged = labels.without_accepted(flagged, said.answers.accepted)
    gaps = channels.gaps()
    windows = merge.join(pd.concat([flagged, beginning], ignore_index=True) if len(beginning) else flagged, gaps)
    progress("scoring", 2, 3)
    _write(workspace, evidence, scores, limits, first_scored)
    progress("scoring", 3, 3)
    return Findings(periods, windows, limits, broken, scores, evidence, allowed, len(judged), said)


def _lines(
    scores: pd.DataFrame, evidence: Evidence, detection: Detection, days: pd.DatetimeIndex, allowed: float,
    said: Verdicts,
) -> tuple[pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """The lines of all, and those of profiles with an accepted incident.

    What was accepted was a surprise once, and the line of the others goes on knowing it; but what a token was forgiven
    must not hide what it does next.
    """
    periods, judged, core = evidence.periods, pd.Index(evidence.days.profiles), evidence.days.core
    if periods.calibration is None:
        lines = {c: b if detection.shares.get(c) else np.inf for c, b in thresholds.PROVISIONAL_BITS.items()}
        limits = pd.DataFrame(lines, index=days)
        return limits, limits
    gaps, first = channels.gaps(), periods.calibration[1]
    known = judged[core] if core.any() else judged

    def of(rows: pd.DataFrame) -> pd.DataFrame:
        heights = {c: thresholds.daily_heights(rows[rows["channel"] == c], known, days) for c in gaps}
        return thresholds.thresholds(heights, gaps, detection.shares, days, first, allowed * len(known) / len(judged))

    taught = scores[teaches(scores, evidence)]
    own = of(taught)
    return (of(pd.concat([taught, said.heights], ignore_index=True)) if len(said.heights) else own), own


def score(evidence: Evidence, periods: Periods, detection: Detection, shelf: Shelf | None = None) -> pd.DataFrame:
    """Scores of every channel on the calibration days and the reported days, calibrated on the former.

    Parameters
    ----------
    shelf : where fitted detectors are kept between runs; None to fit them each time
    """
    learn = periods.calibration or (periods.start, periods.start)
    first = learn[0] if periods.calibration else periods.start
    frames = []
    for detector in channels.detectors(detection.panel, detection.seed, shelf):
        fitted = detector.fit(evidence, *learn)
        frames.append(fitted.score(evidence, first, periods.end))
    scores = pd.concat([f for f in frames if len(f)], ignore_index=True)
    scores["start"] = scores["start"].dt.as_unit("us")
    if periods.calibration is None:
        return scores.assign(score_bits=scores["raw_bits"])
    core = set(evidence.days.profiles[evidence.days.core])
    return channels.calibrate(scores, *learn, detection.shares, core, teaches(scores, evidence))


def teaches(scores: pd.DataFrame, evidence: Evidence) -> np.ndarray:
    """Which rows of the scores say what is ordinary (bool): those whose days hold no confirmed misuse."""
    days = evidence.days
    marked = np.where(np.char.startswith(scores["channel"].to_numpy(dtype=str), "drift"), 1, 0)
    row = pd.Index(days.profiles).get_indexer(scores["profile_uid"])
    column = days.days.get_indexer(scores["start"].dt.normalize().dt.as_unit(days.days.unit))
    return ~np.stack([days.kept_out, drift.touched(days.kept_out)])[marked, row, column]


def policy_windows(broken: pd.DataFrame) -> pd.DataFrame:
    """Rules that began to be broken in the period, as flagged windows of the channel ``policy``."""
    rows = []
    for finding in broken[~broken["standing"].astype(bool)].itertuples() if len(broken) else ():
        bits = policy.BITS[finding.rule]
        start = pd.Timestamp(finding.since_s, unit="s", tz="UTC").as_unit("us")
        rows.append(
            {"profile_uid": finding.profile_uid, "window": "hour", "start": start, "end": start + pd.Timedelta("1h"),
             "channel": "policy", "raw_bits": bits, "parts": {finding.rule: bits}, "score_bits": bits,
             "threshold_bits": bits}
        )  # fmt: skip
    return pd.DataFrame(rows)


def _write(workspace: Workspace, evidence: Evidence, scores: pd.DataFrame, limits: pd.DataFrame, first: date) -> None:
    """Keep baseline, deviations and scores as tables."""
    fits = baseline.table(evidence.fits, evidence.days, evidence.periods)
    lake.replace(
        workspace.lake, "baseline", schema.conform("baseline", pa.Table.from_pandas(fits, preserve_index=False))
    )
    measured = deviation.table(evidence, first)
    rows = scores.assign(
        day=scores["start"].dt.date,
        parts=[json.dumps({k: round(v, 4) for k, v in p.items()}, sort_keys=True) for p in scores["parts"]],
    )
    if len(limits):
        long = limits.stack().rename("threshold_bits").rename_axis(["day_start", "channel"]).reset_index()
        rows = rows.assign(day_start=rows["start"].dt.normalize()).merge(long, on=["day_start", "channel"], how="left")
    for name, frame in (("deviations", measured), ("scores", rows)):
        table = schema.conform(name, pa.Table.from_pandas(frame, preserve_index=False))
        span = (evidence.periods.end - first).days
        lake.replace_days(workspace.lake, name, table, [first + timedelta(days=n) for n in range(span)])


def summary(windows: pd.DataFrame) -> pd.DataFrame:
    """One row an incident: profile, first and last window, channels by size, and the parts that add up to its score.

    Each channel contributes its highest window; their surprises add up.
    """
    if windows.empty:
        return pd.DataFrame()
    grouped = windows.assign(day=windows["start"].dt.normalize()).groupby("incident_uid", sort=True)
    table = grouped.agg(
        profile_uid=("profile_uid", "first"), start=("start", "min"), end=("end", "max"), created_time=("end", "min"),
        n_windows=("start", "size"), n_days=("day", "nunique"),
    )  # fmt: skip
    by_height = windows.sort_values(["score_bits", "start"], ascending=[False, True], kind="stable")
    peaks = by_height.drop_duplicates(["incident_uid", "channel"])
    called: dict[str, list[str]] = {uid: [] for uid in table.index}
    parts: dict[str, dict[str, float]] = {uid: {} for uid in table.index}
    for uid, channel, its in zip(peaks["incident_uid"], peaks["channel"], peaks["parts"], strict=True):
        called[uid].append(channel)
        for name, bits in its.items():
            parts[uid][name] = parts[uid].get(name, 0.0) + bits
    highest = peaks.drop_duplicates("incident_uid").set_index("incident_uid").loc[table.index]
    return table.assign(
        channels=pd.Series(called), score_bits=[float(sum(parts[uid].values())) for uid in table.index],
        threshold_bits=highest["threshold_bits"].astype(float), parts=pd.Series(parts), peak_start=highest["start"],
        peak_window=highest["window"],
    ).reset_index()  # fmt: skip
