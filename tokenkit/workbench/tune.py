"""Tune: what another budget, other shares or another panel would have raised, and saving what was chosen.

Reads  everything that a run scores (``prepare``, once). Writes ``[detection]`` of tokenkit.toml (``save``).
A trial gives the incidents that a run with those settings would report, from scores and threshold curves made once; so
a slider can be moved. The same functions serve the notebook's widgets and a script:

    scored = tune.prepare(ws)
    trial = tune.trial(scored, budget=8)
    tune.compare(trial, tune.saved(scored))
    tune.save(ws, trial.detection, who="ana", why="the night shift has time for three more")
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd

from tokenkit import channels, config
from tokenkit.channels import detector_cache, policy
from tokenkit.config import Detection, Workspace
from tokenkit.days import MIN_DAYS, Periods, day_of, periods_of
from tokenkit.errors import ConfigError, InputError
from tokenkit.incidents import attribution, labels, merge
from tokenkit.incidents import thresholds as budgets
from tokenkit.judge import detect
from tokenkit.normal import baseline, deviation
from tokenkit.normal.deviation import Evidence
from tokenkit.progress import Progress, silent
from tokenkit.tokens import owners
from tokenkit.tokens.profiles import token_profiles

COLUMNS = ["incident_uid", "profile_uid", "label", "owner", "start", "end", "channels", "score_bits", "state"]


@dataclass
class Scored:
    """The scores of a period, before any budget: what every trial starts from.

    ``heights`` are each channel's largest calibrated surprise of profile x day, -1 where nothing was scored, as it is
    where all channels have the same share; ``windows`` are the rows that could ever exceed a threshold.
    """

    periods: Periods
    days: pd.DatetimeIndex
    detection: Detection
    n_profiles: int
    n_known: int
    heights: dict[str, np.ndarray]
    windows: dict[str, pd.DataFrame]
    beginning: pd.DataFrame  # windows of rules that began to be broken
    accepted: pd.DataFrame
    people: pd.DataFrame  # indexed by profile_uid: label, owner_name
    fixed: dict[str, np.ndarray] = field(default_factory=dict)  # heights that accepted incidents had; -1 elsewhere
    evidence: Evidence | None = None
    curves: dict[Any, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    panels: dict[tuple[str, ...], tuple[np.ndarray, pd.DataFrame]] = field(default_factory=dict)


@dataclass(frozen=True)
class Trial:
    """What a configuration would have raised in the reported days.

    Attributes
    ----------
    detection : Detection
        The configuration.
    incidents : DataFrame, one row an incident that opened or grew, the largest score first
        ``COLUMNS``; ``channels`` is a list, the one that raised it first.
    thresholds : DataFrame indexed by day, one column a channel (bits)
    allowed : float
        Incidents that the budget grants in the period.
    """

    detection: Detection
    incidents: pd.DataFrame
    thresholds: pd.DataFrame
    allowed: float

    @property
    def opened(self) -> int:
        """Incidents that opened in the period."""
        return int((self.incidents["state"] == "opened").sum())

    @property
    def achieved(self) -> float:
        """Opened incidents as a share of those that the budget grants."""
        return self.opened / self.allowed if self.allowed else float("nan")


def prepare(workspace: Workspace, start: str | date = "", end: str | date = "", progress: Progress = silent) -> Scored:
    """Score a period as a run does, and keep what trials need. Takes as long as a run's scoring.

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
    mapped = token_profiles(workspace)
    people = owners.people(workspace, mapped, datetime.combine(periods.end, datetime.min.time(), UTC))
    said = labels.read(workspace, periods.end)
    progress("comparing with the baseline", 0, 2)
    groups = baseline.peer_groups(people)
    if workspace.settings.report.pseudonymous:
        people = owners.hide_names(people)
    evidence = deviation.measure(workspace, periods, groups, said.answers)
    progress("scoring", 1, 2)
    detection = workspace.settings.detection
    even = detection.model_copy(update={"shares": {name: 1.0 for name in channels.gaps()}})
    scores = detect.score(evidence, periods, even, detector_cache.shelf(workspace))
    broken = policy.findings(workspace, mapped, periods.calibration[0], periods.end)
    beginning = detect.policy_windows(broken)
    if len(beginning):
        beginning = labels.without_accepted(beginning, said.answers.accepted)
    scored = ready(periods, scores, evidence.days.profiles, evidence.days.core, detection, people,
                   detect.teaches(scores, evidence), beginning, said.answers.accepted, said.heights)  # fmt: skip
    scored.evidence = evidence
    progress("scoring", 2, 2)
    return scored


def ready(
    periods: Periods, scores: pd.DataFrame, profiles: np.ndarray, core: np.ndarray, detection: Detection,
    people: pd.DataFrame, taught: np.ndarray | None = None, beginning: pd.DataFrame | None = None,
    accepted: pd.DataFrame | None = None, heights: pd.DataFrame | None = None,
) -> Scored:  # fmt: skip
    """What trials need of some scores, from the first calibration day on.

    Parameters
    ----------
    scores : ``incidents.score`` where all channels have the same share
    profiles, core : the judged profiles, and which of them speak for others (bool)
    taught : rows of ``scores`` that say what is ordinary (bool); default: all
    beginning, accepted : windows of rules that began to be broken; stretches that were accepted
    heights : what accepted incidents scored (``verdicts.Verdicts.heights``): part of the line of the others
    """
    assert periods.calibration is not None
    days = pd.date_range(periods.calibration[0], periods.end, freq="D", inclusive="left", tz="UTC").as_unit("us")
    known = pd.Index(profiles[core] if core.any() else profiles)
    nobody = pd.DataFrame(columns=["profile_uid", "start", "end"])
    scored = Scored(
        periods, days, detection, len(profiles), len(known), {}, {}, detect.policy_windows(pd.DataFrame())
        if beginning is None else beginning, nobody if accepted is None else accepted, people[["label", "owner_name"]],
    )  # fmt: skip
    teaching = np.ones(len(scores), dtype=bool) if taught is None else taught
    for channel in channels.gaps():
        mine = (scores["channel"] == channel).to_numpy()
        scored.heights[channel] = budgets.daily_heights(scores[mine & teaching], known, days)
        scored.windows[channel] = _candidates(scores[mine], days)
        had = heights[heights["channel"] == channel] if heights is not None and len(heights) else scores[:0]
        scored.fixed[channel] = budgets.daily_heights(had, known, days)
    scored.panels[tuple(detection.panel)] = scored.heights["panel"], scored.windows["panel"]
    return scored


def _candidates(rows: pd.DataFrame, days: pd.DatetimeIndex) -> pd.DataFrame:
    """The windows of a channel that some threshold could let through, with the number of their day."""
    rows = rows[rows["score_bits"] >= budgets.MIN_BITS]
    return pd.DataFrame(
        {"profile_uid": rows["profile_uid"].astype(object), "window": rows["window"], "start": rows["start"],
         "end": rows["start"] + rows["window"].map(merge.SPAN), "channel": rows["channel"],
         "bits": rows["score_bits"], "day": days.get_indexer(rows["start"].dt.normalize())}
    )  # fmt: skip


def saved(scored: Scored) -> Trial:
    """The trial of the saved configuration."""
    return trial(scored)


def trial(
    scored: Scored,
    budget: float | None = None,
    shares: dict[str, float] | None = None,
    panel: list[str] | None = None,
) -> Trial:
    """What a configuration would have raised; what is not given is as saved.

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
    wanted = scored.detection.model_dump() | {k: v for k, v in given.items() if v is not None}
    detection = checked(wanted)
    gaps = channels.gaps()
    if detection.shares.get("panel"):
        scored.heights["panel"], scored.windows["panel"] = _panel(scored, tuple(detection.panel))
    limits = pd.DataFrame(index=scored.days, columns=list(gaps), dtype=float)
    flagged = []
    largest = max(detection.shares.values(), default=1.0)
    a_day = detection.budget * scored.n_known / 1000
    forgiven = set(scored.accepted["profile_uid"])
    for channel, gap in gaps.items():
        share = detection.shares.get(channel, 0.0)
        if not share:
            limits[channel] = np.inf
            continue
        prior = float(np.log2(share / largest))
        of = (scored, channel, gap, prior, a_day * share, tuple(detection.panel))
        limits[channel] = _limits(*of)
        rows = scored.windows[channel]
        score, day = np.maximum(rows["bits"].to_numpy() + prior, 0.0), rows["day"].to_numpy()
        line = limits[channel].to_numpy()[day]
        if forgiven:  # against the line without what they were forgiven (incidents._lines)
            line = np.where(rows["profile_uid"].isin(forgiven), _limits(*of, fixed=False)[day], line)
        over = score >= line
        flagged.append(rows[over].assign(score_bits=score[over], threshold_bits=line[over]))
    flagged = [f for f in flagged if len(f)]
    windows = labels.without_accepted(pd.concat(flagged), scored.accepted) if flagged else pd.DataFrame()
    if len(scored.beginning):
        windows = pd.concat([windows, scored.beginning], ignore_index=True)
    allowed = detection.budget * scored.n_profiles / 1000 * (scored.periods.end - scored.periods.start).days
    return Trial(detection, _incidents(scored, windows, gaps), limits, allowed)


def checked(values: dict[str, Any]) -> Detection:
    """A configuration from its values.

    Raises
    ------
    ConfigError
        A value that tokenkit.toml would not take either.

    Examples
    --------
    >>> checked({"budget": 0})
    Traceback (most recent call last):
    tokenkit.errors.ConfigError: detection.budget: Input should be greater than 0 (found 0)
    """
    from pydantic import ValidationError

    try:
        return Detection(**values)
    except ValidationError as error:
        said = [f"detection.{'.'.join(map(str, e['loc']))}: {e['msg']} (found {e['input']!r})" for e in error.errors()]
        raise ConfigError("\n".join(said)) from error


def _limits(
    scored: Scored, channel: str, gap: int, prior: float, a_day: float, panel: tuple[str, ...], fixed: bool = True
) -> np.ndarray:
    """The thresholds of a channel on all days, as ``budget.thresholds`` has them, from curves that are kept."""
    base = scored.heights[channel]
    assert scored.periods.calibration is not None
    first = int(scored.days.searchsorted(pd.Timestamp(scored.periods.calibration[1], tz="UTC")))
    key = (channel, round(prior, 9), panel if channel == "panel" else (), fixed)
    matrix = np.where(base >= 0, np.maximum(base + prior, 0.0), -1.0)
    if fixed:
        matrix = np.maximum(matrix, scored.fixed[channel])
    line = np.full(len(scored.days), np.inf)
    for number in range(first, len(scored.days)):
        window = slice(max(0, number - budgets.WINDOW_DAYS), number)
        if (*key, number) not in scored.curves:
            scored.curves[*key, number] = budgets.curve(matrix, gap, window)
        days = int((matrix[:, window] >= 0).any(axis=0).sum())
        if days >= budgets.MIN_DAYS:
            line[number] = budgets.at_quota(*scored.curves[*key, number], a_day * days)
    line[:first] = line[first] if first < len(line) else np.inf
    return line


def _panel(scored: Scored, names: tuple[str, ...]) -> tuple[np.ndarray, pd.DataFrame]:
    """Heights and windows of another panel, fitted when it is first asked for."""
    if names not in scored.panels:
        from tokenkit.channels.panel import Panel

        evidence, periods = scored.evidence, scored.periods
        assert periods.calibration is not None
        if evidence is None:
            raise ConfigError(f"panel {', '.join(names)} was not scored; known: {list(scored.panels)}")
        fitted = Panel(names, scored.detection.seed).fit(evidence, *periods.calibration)
        rows = fitted.score(evidence, periods.calibration[0], periods.end)
        rows["start"] = rows["start"].dt.as_unit("us")
        core = set(evidence.days.profiles[evidence.days.core])
        taught = detect.teaches(rows, evidence)
        rows = channels.calibrate(rows, *periods.calibration, {"panel": 1.0}, core, taught)
        known = pd.Index(evidence.days.profiles[evidence.days.core])
        known = known if len(known) else pd.Index(evidence.days.profiles)
        scored.panels[names] = (budgets.daily_heights(rows[taught], known, scored.days), _candidates(rows, scored.days))
    return scored.panels[names]


def _incidents(scored: Scored, windows: pd.DataFrame, gaps: dict[str, int]) -> pd.DataFrame:
    """Flagged windows as incidents, with what a person calls their token."""
    if windows.empty:
        return pd.DataFrame(columns=COLUMNS)
    joined = merge.join(windows.drop(columns=["bits", "day", "parts"], errors="ignore"), gaps)
    peaks = joined.sort_values(["score_bits", "start"], ascending=[False, True])
    peaks = peaks.drop_duplicates(["incident_uid", "channel"])
    by_uid = joined.groupby("incident_uid")
    frame = by_uid.agg(profile_uid=("profile_uid", "first"), start=("start", "min"), end=("end", "max"))
    frame["last"] = by_uid["start"].max()
    frame["score_bits"] = peaks.groupby("incident_uid")["score_bits"].sum()
    frame["channels"] = peaks.groupby("incident_uid")["channel"].agg(list)
    low = pd.Timestamp(scored.periods.start, tz="UTC")
    frame["state"] = np.where(frame["start"] >= low, "opened", "grown")
    frame = frame[frame["last"] >= low]
    frame = frame.assign(
        label=frame["profile_uid"].map(scored.people["label"]),
        owner=frame["profile_uid"].map(scored.people["owner_name"]),
    )
    frame = frame.reset_index().sort_values(["score_bits", "incident_uid"], ascending=[False, True], ignore_index=True)
    return frame[COLUMNS]


def compare(one: Trial, other: Trial) -> pd.DataFrame:
    """The incidents of two trials: ``COLUMNS`` and ``change``, which is what ``one`` does to ``other``.

    Returns
    -------
    DataFrame
        Gained first, then lost, then kept; within each the largest score first. An incident is the same where its
        first flagged window is; one that begins at another moment is matched by profile and overlap.
    """
    mine, theirs = one.incidents, other.incidents
    pairs = mine.reset_index().merge(theirs, on="profile_uid", suffixes=("", "_theirs"))
    pairs = pairs[(pairs["start_theirs"] < pairs["end"]) & (pairs["end_theirs"] > pairs["start"])]
    change = np.where(mine.index.isin(pairs["index"]), "kept", "gained")
    lost = theirs[~theirs["incident_uid"].isin(pairs["incident_uid_theirs"])]
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
    shares.update({name: round(float(share), 4) for name, share in detection.shares.items()})
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


def calls(trial: Trial, who: str = "", why: str = "") -> str:
    """The function calls that make a trial, and save it where a reason is given: what was clicked, to be scripted."""
    d = trial.detection
    made = f"trial = tune.trial(scored, budget={d.budget:g}, shares={d.shares!r}, panel={list(d.panel)!r})"
    return made + (f"\ntune.save(ws, trial.detection, who={who!r}, why={why!r})" if who and why else "")
