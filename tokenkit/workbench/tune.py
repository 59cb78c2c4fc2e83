"""Tune: what another budget, other shares or another panel would have reported, and saving what was chosen.

Reads  everything that a run scores (``prepare``, once). Writes ``[detection]`` of tokenkit.toml (``save``).
``what_if`` gives the incidents that a run with other settings would report, from scores and threshold curves that are
computed once; so a slider can be moved. The same functions serve the notebook's widgets and a script:

    scored = tune.prepare(ws)
    what_if = tune.what_if(scored, budget=8)
    tune.compare(what_if, tune.with_saved_settings(scored))
    tune.save(ws, what_if.detection, who="ana", why="the night shift has time for three more")
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd

from tokenkit import channels, config
from tokenkit.channels import calibration, detector_cache, policy, weights
from tokenkit.config import Detection, Workspace
from tokenkit.days import MIN_DAYS, Periods, day_of, periods_of
from tokenkit.errors import ConfigError, InputError
from tokenkit.incidents import attribution, labels, merge, rules
from tokenkit.incidents.labels import Labels
from tokenkit.incidents.thresholds import (
    MIN_BITS,
    Budget,
    Curve,
    DailyHeights,
    daily_heights,
    flag,
    set_thresholds,
)
from tokenkit.normal.evidence import Evidence, of_workspace
from tokenkit.progress import Progress, silent

WINDOW = ["profile_uid", "window", "start", "channel"]
COLUMNS = ["incident_uid", "profile_uid", "label", "owner", "start", "end", "channels", "score_bits", "state"]


@dataclass
class ScoredPeriod:
    """The scores of a period, before any budget: what every ``what_if`` starts from.

    Attributes
    ----------
    heights : DailyHeights
        From scores computed with equal shares; ``with_shares`` converts them.
    windows : DataFrame, one row a window that some threshold could flag
        Scores computed with equal shares; ``_with_shares`` converts them.
    breaches : DataFrame
        Windows of rules that began to be broken (``rules.new_breaches``).
    people : DataFrame indexed by profile_uid: label, owner_name
    labels : Labels
    evidence : Evidence, or None where no other panel will be fitted
    curves : dict
        Threshold curves that earlier settings needed (``thresholds.set_thresholds``).
    panels : dict of panel to its heights and windows
    """

    periods: Periods
    detection: Detection
    heights: DailyHeights
    windows: pd.DataFrame
    people: pd.DataFrame
    breaches: pd.DataFrame = field(default_factory=pd.DataFrame)
    labels: Labels = field(default_factory=Labels)
    evidence: Evidence | None = None
    curves: dict[bytes, Curve] = field(default_factory=dict)
    panels: dict[tuple[str, ...], tuple[np.ndarray, pd.DataFrame]] = field(default_factory=dict)


@dataclass(frozen=True)
class WhatIf:
    """What a configuration would have reported in the reported days.

    Attributes
    ----------
    detection : Detection
        The configuration.
    incidents : DataFrame, one row an incident that opened or grew, the largest score first
        ``COLUMNS``; ``channels`` is a list, the one with the highest score first.
    threshold_table : DataFrame indexed by day, one column a channel (bits)
        Those of profiles without an accepted change (``Thresholds.for_all``).
    allowed : float
        Incidents that the budget grants in the period.
    """

    detection: Detection
    incidents: pd.DataFrame
    threshold_table: pd.DataFrame
    allowed: float

    @property
    def opened(self) -> int:
        """Incidents that opened in the period."""
        return int((self.incidents["state"] == "opened").sum())

    @property
    def achieved(self) -> float:
        """Opened incidents as a share of those that the budget grants."""
        return self.opened / self.allowed if self.allowed else float("nan")


def prepare(
    workspace: Workspace, start: str | date = "", end: str | date = "", progress: Progress = silent
) -> ScoredPeriod:
    """Score a period as a run does, and keep what ``what_if`` needs. Takes as long as a run's scoring.

    Parameters
    ----------
    start, end : reported days ``[start, end)``; default: the newest that can be judged

    Raises
    ------
    InputError
        There are no events, or too few days before the reported ones to set thresholds on.
    """
    periods = periods_of(workspace, day_of(start, "start"), day_of(end, "end"))
    if periods.reference is None or periods.calibration is None:
        known, wanted = (periods.start - periods.first).days, 2 * MIN_DAYS
        raise InputError(
            f"{known} days lie before the reported ones, expected {wanted} or more: until then no threshold follows "
            "from the budget, and there is nothing to tune. Read older logs, or wait."
        )
    given = labels.read(workspace, periods.end)
    progress("comparing with the baseline", 0, 2)
    evidence, population = of_workspace(workspace, periods, given.periods)
    progress("scoring", 1, 2)
    detection = workspace.settings.detection
    even = detection.model_copy(update={"shares": {name: 1.0 for name in channels.gaps()}})
    scores = calibration.score(evidence, even, detector_cache.open_cache(workspace), weights.of_workspace(workspace))
    shown = population.without_names() if workspace.settings.report.pseudonymous else population
    breaches = policy.breaches(workspace, population.tokens, periods.end)
    scored = ScoredPeriod(
        periods, detection, daily_heights(scores, evidence, list(channels.gaps())), candidates(scores),
        shown.people[["label", "owner_name"]],
        rules.new_breaches(breaches, periods.first_scored, periods.end, given.periods.accepted), given, evidence,
    )  # fmt: skip
    progress("scoring", 2, 2)
    return scored


def candidates(scores: pd.DataFrame) -> pd.DataFrame:
    """The windows that some threshold could flag, channel by channel."""
    rows = scores.loc[scores["score_bits"] >= MIN_BITS, [*WINDOW, "score_bits"]]
    return pd.concat([rows[rows["channel"] == name] for name in channels.gaps()], ignore_index=True)


def with_saved_settings(scored: ScoredPeriod) -> WhatIf:
    """What the saved configuration reports."""
    return what_if(scored)


def what_if(
    scored: ScoredPeriod,
    budget: float | None = None,
    shares: dict[str, float] | None = None,
    panel: list[str] | None = None,
) -> WhatIf:
    """What a configuration would have reported; what is not given is as saved.

    Parameters
    ----------
    budget : new incidents a day for each 1,000 profiles
    shares : share of the budget of each channel; a channel that is not named has none
    panel : detectors of PyOD that make the channel ``panel``, by class name; another than before is fitted first

    Raises
    ------
    ConfigError
        A value that tokenkit.toml would not take either.
    """
    given = {"budget": budget, "shares": shares, "panel": panel}
    detection = make_detection(scored.detection.model_dump() | {k: v for k, v in given.items() if v is not None})
    wanted = Budget.of_run(detection)
    heights, windows = _of_panel(scored, tuple(detection.panel)) if detection.shares.get("panel") else (
        scored.heights, scored.windows)  # fmt: skip
    accepted = scored.labels.periods.accepted
    thresholds = set_thresholds(
        heights.with_shares(detection.shares), wanted, scored.labels.accepted_scores, scored.curves
    )
    flagged = flag(_with_shares(windows, detection.shares), thresholds, accepted)
    if len(scored.breaches):
        flagged = pd.concat([flagged, scored.breaches], ignore_index=True)
    allowed = heights.allowed(wanted)
    return WhatIf(detection, _incidents(scored, flagged, wanted.gaps), thresholds.for_all, allowed)


def _with_shares(windows: pd.DataFrame, shares: dict[str, float]) -> pd.DataFrame:
    """Windows with the scores that these shares give."""
    largest = max(shares.values(), default=1.0)
    of_share = {name: calibration.share_bits(shares.get(name, 0.0), largest) for name in windows["channel"].unique()}
    return windows.assign(score_bits=np.maximum(windows["score_bits"] + windows["channel"].map(of_share), 0.0))


def make_detection(values: dict[str, Any]) -> Detection:
    """A configuration of ``[detection]`` from its values, as tokenkit.toml would take them.

    Raises
    ------
    ConfigError
        A value that tokenkit.toml would not take either.

    Examples
    --------
    >>> make_detection({"budget": 0})
    Traceback (most recent call last):
    tokenkit.errors.ConfigError: detection.budget: Input should be greater than 0 (found 0)
    """
    from pydantic import ValidationError

    try:
        return Detection(**values)
    except ValidationError as error:
        texts = [f"detection.{'.'.join(map(str, e['loc']))}: {e['msg']} (found {e['input']!r})" for e in error.errors()]
        raise ConfigError("\n".join(texts)) from error


def _of_panel(scored: ScoredPeriod, names: tuple[str, ...]) -> tuple[DailyHeights, pd.DataFrame]:
    """Heights and windows with another panel, which is fitted when it is first asked for."""
    if names == tuple(scored.detection.panel):
        return scored.heights, scored.windows
    if names not in scored.panels:
        scored.panels[names] = _fit_panel(scored, names)
    matrix, rows = scored.panels[names]
    others = scored.windows[scored.windows["channel"] != "panel"]
    heights = replace(scored.heights, matrices={**scored.heights.matrices, "panel": matrix})
    return heights, pd.concat([others, rows], ignore_index=True)


def _fit_panel(scored: ScoredPeriod, names: tuple[str, ...]) -> tuple[np.ndarray, pd.DataFrame]:
    from tokenkit.channels.panel import Panel

    if scored.evidence is None:
        raise ConfigError(f"panel {', '.join(names)} was not scored; known: {list(scored.detection.panel)}")
    fitted = calibration.fit([Panel(names, scored.detection.seed)], scored.evidence)
    raw = calibration.raw_scores(fitted, scored.evidence)
    rows = calibration.calibrate(raw, scored.evidence, {"panel": 1.0}).scores(raw)
    return daily_heights(rows, scored.evidence, ["panel"]).matrices["panel"], candidates(rows)


def _incidents(scored: ScoredPeriod, windows: pd.DataFrame, gaps: Mapping[str, int]) -> pd.DataFrame:
    """Flagged windows as incidents, with what a person calls their token."""
    if windows.empty:
        return pd.DataFrame(columns=COLUMNS)
    joined = merge.join(windows.drop(columns="parts", errors="ignore"), gaps)
    highest = joined.sort_values(["score_bits", "start"], ascending=[False, True])
    highest = highest.drop_duplicates(["incident_uid", "channel"])
    by_uid = joined.groupby("incident_uid")
    frame = by_uid.agg(profile_uid=("profile_uid", "first"), start=("start", "min"), end=("end", "max"))
    frame["last"] = by_uid["start"].max()
    frame["score_bits"] = merge.peaks(joined).groupby("incident_uid")["score_bits"].sum()
    frame["channels"] = highest.groupby("incident_uid")["channel"].agg(list)
    low = pd.Timestamp(scored.periods.start, tz="UTC")
    frame["state"] = np.where(frame["start"] >= low, "opened", "grown")
    frame = frame[frame["last"] >= low]
    frame = frame.assign(
        label=frame["profile_uid"].map(scored.people["label"]),
        owner=frame["profile_uid"].map(scored.people["owner_name"]),
    )
    frame = frame.reset_index().sort_values(["score_bits", "incident_uid"], ascending=[False, True], ignore_index=True)
    return frame[COLUMNS]


def compare(one: WhatIf, other: WhatIf) -> pd.DataFrame:
    """The incidents of two configurations: ``COLUMNS`` and ``change``: gained (only in ``one``), lost (only in
    ``other``) or kept.

    Returns
    -------
    DataFrame
        Gained first, then lost, then kept; within each the largest score first. An incident is the same where its
        first flagged window is; of those that are left, one of each is the same where a profile's overlap.
    """
    mine, theirs = one.incidents, other.incidents
    is_kept = mine["incident_uid"].isin(theirs["incident_uid"])
    left = theirs[~theirs["incident_uid"].isin(mine["incident_uid"])]
    pairs = mine[~is_kept].reset_index().merge(left, on="profile_uid", suffixes=("", "_theirs"))
    pairs = pairs[(pairs["start_theirs"] < pairs["end"]) & (pairs["end_theirs"] > pairs["start"])]
    pairs = pairs.drop_duplicates("index").drop_duplicates("incident_uid_theirs")
    change = np.where(is_kept | mine.index.isin(pairs["index"]), "kept", "gained")
    lost = left[~left["incident_uid"].isin(pairs["incident_uid_theirs"])]
    frames = [f for f in (mine.assign(change=change), lost.assign(change="lost")) if len(f)]
    if not frames:
        return pd.DataFrame(columns=["change", *COLUMNS])
    both = pd.concat(frames, ignore_index=True)
    order = both["change"].map({"gained": 0, "lost": 1, "kept": 2})
    both = both.assign(order=order).sort_values(["order", "score_bits"], ascending=[True, False], ignore_index=True)
    return both[["change", *COLUMNS]]


def save(workspace: Workspace, detection: Detection, who: str, why: str) -> str:
    """Write a configuration to ``[detection]`` of tokenkit.toml; every other line and comment stays as it is.

    Parameters
    ----------
    who, why : written beside it, and printed on the page of the next run

    Returns
    -------
    The digest of the settings, which the page of the next run names too.

    Raises
    ------
    ConfigError
        Nobody is named, or no reason; or the file cannot be read.
    """
    import tomlkit

    if not who.strip() or not why.strip():
        raise ConfigError("who saves it and why are written beside it: name both, such as who='ana', why='too many'")
    path = workspace.root / config.FILE_NAME
    config.load_settings(path)  # a file that cannot be read is said to be so, and not written over
    text = path.read_text(encoding="utf-8")
    document = tomlkit.parse(text)
    section = document.setdefault("detection", tomlkit.table())
    section["budget"] = float(detection.budget)
    shares = tomlkit.inline_table()
    every = dict.fromkeys(Detection().shares, 0.0) | detection.shares  # what is left out of a file has a share
    shares.update({name: round(float(share), 4) for name, share in every.items()})
    section["shares"] = shares
    section["panel"] = list(detection.panel)
    section["seed"] = detection.seed
    section["set_by"], section["set_why"] = (
        attribution.person(" ".join(who.split())),
        attribution.reason(" ".join(why.split())),
    )
    section["set_on"] = datetime.now(UTC).date().isoformat()
    staged = path.with_suffix(".part")
    staged.write_text(tomlkit.dumps(document), encoding="utf-8")
    try:
        digest = config.digest(config.load_settings(staged))
    except ConfigError:
        staged.unlink()
        raise
    staged.replace(path)
    return digest


def as_code(what_if: WhatIf, who: str = "", why: str = "") -> str:
    """The lines of Python that make a ``WhatIf``, and save its settings where a reason is given."""
    d = what_if.detection
    call = f"what_if = tune.what_if(scored, budget={d.budget:g}, shares={d.shares!r}, panel={list(d.panel)!r})"
    return call + (f"\ntune.save(ws, what_if.detection, who={who!r}, why={why!r})" if who and why else "")
