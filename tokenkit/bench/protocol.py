"""Protocol: one way to fit, calibrate and judge every detector, which cannot flatter (EVALUATION.md).

Reads  overlay.Benign, overlay.Attacked. Writes nothing; its tables are those that ``scoring`` takes.
Fitted on days before the calibration ends, and shown no later ones; calibrated on the calibration days, which also set
the one threshold of each channel and budget; judged on the days after them. Windows above it merge into incidents by
the pipeline's own functions, and incidents are what the budget counts. A detector that learns from what it is to judge,
or whose score of a row follows the batch, is refused (``leaks``).
"""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from tokenkit import channels, engine, fingerprint, incidents, lake
from tokenkit.bench import metrics, scenarios
from tokenkit.bench.overlay import Attacked, Benign
from tokenkit.channels import Detector, policy
from tokenkit.config import Workspace
from tokenkit.deviation import Evidence, Tail
from tokenkit.errors import DetectorError
from tokenkit.incidents import advice, budget, merge
from tokenkit.incidents.record import sure

BUDGETS = (1.0, 5.0, 10.0, 20.0)
HARM_HOURS = 24  # how long an action stands until somebody has looked: a working day
REASONS = 3
ORACLE = "oracle"
SAMPLED = 4_000  # benign profile-days kept of each organisation and detector, for average precision


@dataclass(frozen=True)
class Entrant:
    """Who takes part: a name, its detectors, and how the budget is split among them.

    ``make`` of a seed gives fresh ones. ``learns`` says from which days: ``calibration``, as the channels of a run, or
    ``reference``, as an estimator of rows, which has no calibration of its own. A rule flags whatever it scores above
    0, at every budget. ``policy``: the rules of the inventory raise too, as in a run.
    """

    name: str
    make: Callable[[int], list[Detector]]
    shares: dict[str, float]
    learns: str = "calibration"
    sees: str = ""
    rule: bool = False
    policy: bool = False


@dataclass(frozen=True)
class Fitted:
    """An entrant on one organisation: detectors, what turns scores into surprise, and lines at each budget."""

    entrant: Entrant
    detectors: list[Detector]
    units: dict[str, tuple[float, float]]
    tails: dict[str, Tail]
    limits: dict[float, dict[str, float]]
    scores: pd.DataFrame
    fit_s: float
    score_s: float
    gaps: dict[str, int] = field(default_factory=dict)


def until(evidence: Evidence, day: pd.Timestamp) -> Evidence:
    """The evidence as it was when a day began: nothing of that day, nor of any after it."""
    known = np.asarray(evidence.days.days < day)

    def part(matrices: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: matrix[:, known] for name, matrix in matrices.items()}

    days = evidence.days
    mine = replace(
        days, days=days.days[known], values=part(days.values), reference=days.reference[:, known],
        shared=days.shared[:, known], kept_out=days.kept_out[:, known],
    )  # fmt: skip
    usual = {n: replace(u, held=u.held[:, known], effect=u.effect[:, known]) for n, u in evidence.usual.items()}
    hours = evidence.hours[evidence.hours["start"] < day].reset_index(drop=True)
    return replace(
        evidence, days=mine, bits=part(evidence.bits), z=part(evidence.z),
        since_reference=part(evidence.since_reference), usual=usual, hours=hours,
    )  # fmt: skip


def fit(ground: Benign, entrant: Entrant, seed: int, budgets: Sequence[float] = BUDGETS) -> Fitted:
    """Fit an entrant on a benign organisation, calibrate it, and set its lines.

    Parameters
    ----------
    seed : of everything random in it
    budgets : new incidents a day for each 1,000 profiles

    Raises
    ------
    DetectorError
        A detector gives no usable scores; says which and what was found.
    """
    evidence, periods = ground.evidence, ground.evidence.periods
    assert periods.reference is not None and periods.calibration is not None
    learn = periods.reference if entrant.learns == "reference" else periods.calibration
    shown = until(evidence, pd.Timestamp(learn[1], tz="UTC"))
    begun = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        detectors = [one.fit(shown, *learn) for one in entrant.make(seed)]
    fit_s = time.process_time() - begun
    begun = time.process_time()
    rows = _scored(entrant, detectors, evidence)
    score_s = time.process_time() - begun
    ours = channels.gaps()
    gaps = {d.name: d.gap_days for d in detectors}
    units = {
        str(c): (0.0, 1.0) if entrant.rule or c in ours else _unit(g, periods.calibration)
        for c, g in rows.groupby("channel")
    }
    shapes = {d.name: d.least_shape for d in detectors}
    rows = _in_units(rows, units)
    known = set(evidence.days.profiles[evidence.days.core]) or set(evidence.days.profiles)
    tails = {str(c): channels.channel_tail(g[g["profile_uid"].isin(known)], *periods.calibration, shapes[str(c)])
             for c, g in rows.groupby("channel")}  # fmt: skip
    rows = _surprise(entrant, rows, tails)
    limits = {b: _lines(entrant, rows, evidence, b, gaps) for b in budgets}
    return Fitted(entrant, detectors, units, tails, limits, rows, fit_s, score_s, gaps)


def _scored(entrant: Entrant, detectors: list[Detector], evidence: Evidence) -> pd.DataFrame:
    periods = evidence.periods
    assert periods.calibration is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frames = [d.score(evidence, periods.calibration[0], periods.end) for d in detectors]
    rows = pd.concat([f for f in frames if len(f)] or frames, ignore_index=True)
    bad = ~np.isfinite(rows["raw_bits"].to_numpy(dtype=float))
    if bad.any():
        raise DetectorError(f"{entrant.name}: {int(bad.sum())} of {len(rows)} scores are no finite numbers")
    return rows.assign(start=rows["start"].dt.as_unit("us"))


def _unit(rows: pd.DataFrame, calibration: tuple[Any, Any]) -> tuple[float, float]:
    """Middle and width of a detector's scores on the calibration days: they come in units from 1e-3 to 1e9."""
    day = rows["start"].dt.normalize()
    low, high = (pd.Timestamp(d, tz="UTC") for d in calibration)
    inside = rows.loc[(day >= low) & (day < high), "raw_bits"]
    if inside.empty:
        return 0.0, 1.0
    middle = float(inside.median())
    return middle, float(inside.quantile(0.98)) - middle or float(inside.std(ddof=0)) or 1.0


def _in_units(rows: pd.DataFrame, units: dict[str, tuple[float, float]]) -> pd.DataFrame:
    middle = rows["channel"].map({c: u[0] for c, u in units.items()}).astype(float)
    width = rows["channel"].map({c: u[1] for c, u in units.items()}).astype(float)
    return rows.assign(raw_bits=(rows["raw_bits"] - middle) / width)


def _lines(
    entrant: Entrant, rows: pd.DataFrame, evidence: Evidence, per_1000: float, gaps: dict[str, int]
) -> dict[str, float]:
    """The line of each channel: what would have opened its share of the budget in the calibration days."""
    if entrant.rule:
        return {channel: np.nextafter(0.0, 1.0) for channel in entrant.shares}
    periods = evidence.periods
    assert periods.calibration is not None
    judged = pd.Index(evidence.days.profiles)
    core = evidence.days.core
    known = judged[core] if core.any() else judged
    days = pd.date_range(*periods.calibration, freq="D", inclusive="left", tz="UTC").as_unit("us")
    least = budget.MIN_BITS if entrant.policy else 0.0  # a run never goes below it, whatever the budget
    lines = {}
    for channel, share in entrant.shares.items():
        heights = budget.daily_heights(rows[rows["channel"] == channel], known, days)
        scored = int((heights >= 0).any(axis=0).sum())
        quota = per_1000 / 1000 * len(known) * share * scored
        inside = slice(0, len(days))
        lines[channel] = budget.threshold(heights, gaps.get(channel, 1), inside, quota, least) if scored else np.inf
    return lines


# ---- what the lines let through ----
def surprise(fitted: Fitted, evidence: Evidence) -> pd.DataFrame:
    """Scores of other evidence (twins) in the units of the organisation it was fitted on."""
    rows = _in_units(_scored(fitted.entrant, fitted.detectors, evidence), fitted.units)
    return _surprise(fitted.entrant, rows, fitted.tails)


def _surprise(entrant: Entrant, rows: pd.DataFrame, tails: dict[str, Tail]) -> pd.DataFrame:
    bits = rows["raw_bits"] if entrant.rule else channels.surprise_bits(rows, tails, entrant.shares)
    return rows.assign(score_bits=bits)


def flagged(fitted: Fitted, rows: pd.DataFrame, per_1000: float, broken: pd.DataFrame) -> pd.DataFrame:
    """Windows beyond the lines of a budget, with their ``incident_uid``; ``broken`` are windows of the policy."""
    lines = rows["channel"].map(fitted.limits[per_1000]).astype(float)
    rows = rows.assign(threshold_bits=lines)
    above = rows[(rows["score_bits"] >= lines) & (rows["score_bits"] > 0)]
    above = channels.with_parts(above.assign(end=above["start"] + above["window"].map(merge.SPAN)))
    if fitted.entrant.policy and len(broken):
        above = pd.concat([above, broken], ignore_index=True)
    return merge.join(above.reset_index(drop=True), fitted.gaps)


def policy_windows(place: Workspace, evidence: Evidence, called: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Rules of the inventory that begin to be broken from the calibration days on, as windows.

    ``called`` is how the evidence calls the profiles of the workspace, where by another name.
    """
    periods = evidence.periods
    assert periods.calibration is not None
    mapped = fingerprint.profiles(place)
    found = incidents.policy_windows(policy.findings(place, mapped, periods.calibration[0], periods.end))
    return found.assign(profile_uid=found["profile_uid"].map(called)) if called and len(found) else found


def alerts(
    fitted: Fitted, attacked: Attacked, broken: pd.DataFrame, usual: pd.DataFrame, rows: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Incidents of the attacked profiles at each budget, one row each (``scoring``: ``alerts``).

    An attack is touched only by a window that it changed: one within it that is below its line when nobody attacks.
    What the token would have raised anyway is no catch, and a catch is dated by the first window that is one.

    Parameters
    ----------
    broken : ``policy_windows`` of the twins
    usual : ``as_usual`` of the organisation that nobody attacks
    rows : ``surprise`` of the twins, where it is there already
    """
    rows = surprise(fitted, attacked.evidence) if rows is None else rows
    test = pd.Timestamp(attacked.evidence.periods.start, tz="UTC")
    trials = attacked.trials
    of = trials.set_index("profile_uid")["trial"]
    begins = trials.drop_duplicates("trial").set_index("trial")["start"].clip(lower=test)
    out = []
    for per_1000 in fitted.limits:
        windows = flagged(fitted, rows, per_1000, broken)
        found = metrics.incidents(windows, test) if len(windows) else pd.DataFrame()
        if found.empty:
            continue
        first = _changed(windows, trials, usual).groupby("incident_uid")["end"].min()
        said = incidents.summary(windows[windows["incident_uid"].isin(found["incident_uid"])])
        reasons = {r.incident_uid: _first(r.parts) for r in said.itertuples()}
        found = found.assign(
            detector=fitted.entrant.name, budget=per_1000, trial=found["profile_uid"].map(of),
            touches=found["incident_uid"].isin(first.index), reasons=found["incident_uid"].map(reasons),
        )  # fmt: skip
        found["fresh"] = found["touches"] & (found["raised"] > found["trial"].map(begins))
        dated = first.reindex(found["incident_uid"]).set_axis(found.index)
        found["raised"] = dated.where(found["fresh"], found["raised"])
        out.append(found)
    if not out:
        return pd.DataFrame(columns=ALERTS)
    frame = pd.concat(out, ignore_index=True)
    return _before(frame, attacked.taken)[ALERTS]


WINDOW = ["profile_uid", "channel", "window", "start"]


def as_usual(fitted: Fitted, broken: pd.DataFrame) -> pd.DataFrame:
    """Every window of the organisation that nobody attacks, and its score; ``broken`` are its windows of the policy."""
    rows = fitted.scores[[*WINDOW, "score_bits"]]
    return pd.concat([rows, broken[[*WINDOW, "score_bits"]]], ignore_index=True) if len(broken) else rows


def _changed(windows: pd.DataFrame, trials: pd.DataFrame, usual: pd.DataFrame) -> pd.DataFrame:
    """The windows within an attack that the token raises only when it is attacked."""
    truth = trials.drop_duplicates("profile_uid")[["profile_uid", "base_uid", "start", "end"]]
    inside = windows.merge(truth, on="profile_uid", suffixes=("", "_attack"))
    inside = inside[(inside["end"] > inside["start_attack"]) & (inside["start"] < inside["end_attack"])]
    theirs = usual.rename(columns={"score_bits": "usual_bits", "profile_uid": "base_uid"})
    both = inside.merge(theirs, how="left", on=["base_uid", *WINDOW[1:]])
    return both[both["usual_bits"].isna() | (both["usual_bits"] < both["threshold_bits"])]


ALERTS = ["detector", "budget", "trial", "incident_uid", "start", "end", "raised", "score_bits", "touches", "fresh",
          "reasons", "bytes_before", "objects_before"]  # fmt: skip
BENIGN = ["detector", "budget", "seed", "profile_uid", "incident_uid", "start", "end", "raised", "score_bits", "action",
          "harm_minutes"]  # fmt: skip


def _first(parts: dict[str, float]) -> list[str]:
    return sorted(parts, key=lambda name: (-parts[name], name))[:REASONS]


def _before(frame: pd.DataFrame, taken: pd.DataFrame) -> pd.DataFrame:
    """``bytes_before`` and ``objects_before``: what the attacker had when each incident was raised."""
    by_trial = {trial: part.sort_values("time") for trial, part in taken.groupby("trial")}
    found = []
    for trial, raised in zip(frame["trial"], frame["raised"], strict=True):
        part = by_trial.get(trial)
        part = None if part is None else part[part["time"] < raised]
        objects = 0 if part is None else part.loc[part["object_key"] != 0, "object_key"].nunique()
        found.append([0 if part is None else int(part["bytes"].sum()), objects])
    return frame.assign(bytes_before=[f[0] for f in found], objects_before=[f[1] for f in found])


def benign_incidents(fitted: Fitted, ground: Benign, broken: pd.DataFrame) -> pd.DataFrame:
    """Incidents of the organisation when nobody attacks it, at each budget, and what acting on them would cost."""
    out = []
    minutes = _active_minutes(ground)
    profiles = len(ground.evidence.days.profiles)
    for per_1000 in fitted.limits:
        windows = flagged(fitted, fitted.scores, per_1000, broken)
        found = metrics.incidents(windows, ground.start) if len(windows) else pd.DataFrame()
        if found.empty:
            continue
        found = found[found["opened"]]
        said = incidents.summary(windows[windows["incident_uid"].isin(found["incident_uid"])]).set_index("incident_uid")
        verbs = [_verb(said.loc[uid], ground.people, profiles) for uid in found["incident_uid"]]
        harm = [_minutes(minutes, p, at) if verb == "lock" else 0.0
                for p, at, verb in zip(found["profile_uid"], found["raised"], verbs, strict=True)]  # fmt: skip
        out.append(found.assign(detector=fitted.entrant.name, budget=per_1000, seed=ground.seed, action=verbs,
                                harm_minutes=harm))  # fmt: skip
    return pd.concat(out, ignore_index=True)[BENIGN] if out else pd.DataFrame(columns=BENIGN)


def _verb(incident: pd.Series, people: pd.DataFrame, profiles: int) -> str:
    """What a run would propose for the incident, had its token a handle (``respond``: a service is not stepped up)."""
    person = people.loc[incident["profile_uid"]]
    level = sure(incident, profiles)["level"]
    verb = str(advice.action(advice.kind(incident["parts"]), person, level).get("verb") or "notify")
    if verb == "step_up" and person["owner_type"] == "service":
        return "lock" if level == "high" else "restrict"
    return verb


def _active_minutes(ground: Benign) -> pd.DataFrame:
    """Profile and hour: minutes with a call."""
    mapped = fingerprint.profiles(ground.workspace)[["token_key", "profile_uid"]]
    with engine.connect(ground.workspace.settings.engine, ground.workspace.scratch) as connection:
        connection.register("profiles", mapped)
        period = ground.evidence.periods
        lake.scan(connection, ground.workspace.lake, "activity_hour", period.start, period.end).create_view("hours")
        rows = connection.sql(
            "select profile_uid, hour_s, sum(active_minutes)::bigint as minutes from hours join profiles"
            " using (token_key) group by all order by all"
        ).df()
    return rows.set_index("profile_uid")


def _minutes(minutes: pd.DataFrame, profile_uid: str, raised: pd.Timestamp) -> float:
    if profile_uid not in minutes.index:
        return 0.0
    mine, at = minutes.loc[[profile_uid]], int(raised.timestamp())
    return float(mine.loc[(mine["hour_s"] >= at) & (mine["hour_s"] < at + HARM_HOURS * 3600), "minutes"].sum())


def windows(fitted: Fitted, ground: Benign, attacked: Attacked | None, rows: pd.DataFrame | None) -> pd.DataFrame:
    """Profile-days with their highest score, for average precision: benign ones sampled, or those of the trials.

    A benign day weighs what it stands for; the days of one attack weigh one in all, and a day that the detector does
    not score has the least score. Benign changes are left out.
    """
    if attacked is None:
        daily = _daily(fitted.scores[fitted.scores["start"] >= ground.start])
        rng = np.random.default_rng(ground.seed)
        kept = daily.iloc[np.sort(rng.choice(len(daily), min(SAMPLED, len(daily)), replace=False))]
        weight = len(daily) / max(len(kept), 1)
        made = kept.assign(trial=-1, scenario="", attack=False, weight=weight)
    else:
        assert rows is not None
        told = attacked.trials[attacked.trials["scenario"].isin(scenarios.SCENARIOS)]
        days = [pd.date_range(a.floor("D"), b, freq="D", inclusive="left") for a, b in
                zip(told["start"], told["end"], strict=True)]  # fmt: skip
        made = told[["trial", "scenario", "profile_uid"]].assign(day=days).explode("day")
        made["day"] = pd.to_datetime(made["day"], utc=True).dt.as_unit("us")
        made = made.merge(_daily(rows), on=["profile_uid", "day"], how="left").fillna({"score_bits": 0.0})
        made = made.assign(attack=True, weight=1.0 / made.groupby("trial")["day"].transform("size"))
    return made.assign(detector=fitted.entrant.name, seed=ground.seed)[WINDOWS]


WINDOWS = ["detector", "seed", "trial", "scenario", "profile_uid", "score_bits", "attack", "weight"]


def _daily(rows: pd.DataFrame) -> pd.DataFrame:
    day = rows["start"].dt.normalize()
    return rows.groupby(["profile_uid", day.rename("day")])["score_bits"].max().reset_index()


def as_oracle(windows: pd.DataFrame) -> pd.DataFrame:
    """The windows of another as one who knows would score them."""
    return windows.assign(detector=ORACLE, score_bits=np.where(windows["attack"], 40.0, 0.0))


def oracle(attacked: Attacked) -> pd.DataFrame:
    """Alerts of one who knows: of each attack one at its first moment, for the right reason, and none else."""
    told = attacked.trials.drop_duplicates("trial")
    registry = {one: scenarios.get(one) for one in told["scenario"].unique()}
    told = told[told["scenario"].map(lambda one: registry[one].kind == "attack")]
    at = told["start"] + pd.Timedelta("1us")
    frame = told.assign(
        detector=ORACLE, incident_uid="inc1_oracle_" + told["trial"].astype(str), raised=at, score_bits=40.0,
        touches=True, fresh=True, reasons=[list(registry[one].shown_by[:1]) for one in told["scenario"]],
        bytes_before=0, objects_before=0,
    )  # fmt: skip
    return pd.concat([frame.assign(budget=b) for b in BUDGETS], ignore_index=True)[ALERTS]
