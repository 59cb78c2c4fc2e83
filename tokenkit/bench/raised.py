"""Raised: what the lines of a detector let through, as alerts of attacked tokens, and of tokens that nobody attacks.

Reads  protocol.Fitted, benign.Benign, overlay.Attacked. Writes nothing; its tables are those that ``scoring`` takes.
"""

import numpy as np
import pandas as pd

from tokenkit.bench import metrics, scenarios
from tokenkit.bench.protocol import BUDGETS, WINDOW, Fitted, flagged, surprise
from tokenkit.bench.scenarios.scenario import PREWARM_DAYS
from tokenkit.bench.trials.benign import Benign
from tokenkit.bench.trials.overlay import Attacked
from tokenkit.bench.trials.variants import POISONED
from tokenkit.incidents import advice
from tokenkit.judge import detect
from tokenkit.judge.record import sure
from tokenkit.store import engine, lake
from tokenkit.tokens.profiles import token_profiles

HARM_HOURS = 24  # how long an action stands until somebody has looked: a working day
REASONS = 3
ORACLE = "oracle"
SAMPLED = 4_000  # benign profile-days kept of each organisation and detector, for average precision


def alerts(
    fitted: Fitted, attacked: Attacked, broken: pd.DataFrame, usual: pd.DataFrame, rows: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Incidents of the attacked profiles at each budget, one row each (``scoring``: ``alerts``).

    An attack is touched only by a window that it changed: one within it that is below its line when nobody attacks.
    What the token would have raised anyway is no catch, and a catch is dated by the first window that is one. An
    incident is ``early`` where the attacker's warming-up raised it (the poisoned variant), before the attack.

    Parameters
    ----------
    broken : ``policy_windows`` of the twins
    usual : ``as_usual`` of the organisation that nobody attacks
    rows : ``surprise`` of the twins, where it is there already
    """
    rows = surprise(fitted, attacked.evidence) if rows is None else rows
    periods, trials = attacked.evidence.periods, attacked.trials
    test = pd.Timestamp(periods.start, tz="UTC")
    assert periods.calibration is not None
    warmed = (trials["variant"] == POISONED).all()
    since = pd.Timestamp(periods.calibration[0], tz="UTC") if warmed else test
    of = trials.set_index("profile_uid")["trial"]
    begins = trials.drop_duplicates("trial").set_index("trial")["start"].clip(lower=test)
    out = []
    for per_1000 in fitted.limits:
        windows = flagged(fitted, rows, per_1000, broken)
        found = metrics.incidents(windows, since) if len(windows) else pd.DataFrame()
        if found.empty:
            continue
        first = _changed(windows, trials, usual).groupby("incident_uid")["end"].min()
        early = _warned(windows, trials, usual)
        said = detect.summary(windows[windows["incident_uid"].isin(found["incident_uid"])])
        reasons = {r.incident_uid: _first(r.parts) for r in said.itertuples()}
        found = found.assign(
            detector=fitted.entrant.name, budget=per_1000, trial=found["profile_uid"].map(of),
            touches=found["incident_uid"].isin(first.index), early=found["incident_uid"].isin(early),
            reasons=found["incident_uid"].map(reasons),
        )  # fmt: skip
        found["fresh"] = found["touches"] & (found["raised"] > found["trial"].map(begins))
        dated = first.reindex(found["incident_uid"]).set_axis(found.index)
        found["raised"] = dated.where(found["fresh"], found["raised"])
        out.append(found)
    if not out:
        return pd.DataFrame(columns=ALERTS)
    frame = pd.concat(out, ignore_index=True)
    return _before(frame, attacked.taken)[ALERTS]


def as_usual(rows: pd.DataFrame, broken: pd.DataFrame) -> pd.DataFrame:
    """Every window when nobody attacks, and its score: ``rows`` as fitted, ``broken`` those of the policy."""
    rows = rows[[*WINDOW, "score_bits"]]
    return pd.concat([rows, broken[[*WINDOW, "score_bits"]]], ignore_index=True) if len(broken) else rows


def _changed(windows: pd.DataFrame, trials: pd.DataFrame, usual: pd.DataFrame) -> pd.DataFrame:
    """The windows within an attack that the token raises only when it is attacked."""
    truth = trials.drop_duplicates("profile_uid")[["profile_uid", "base_uid", "start", "end"]]
    inside = windows.merge(truth, on="profile_uid", suffixes=("", "_attack"))
    inside = inside[(inside["end"] > inside["start_attack"]) & (inside["start"] < inside["end_attack"])]
    theirs = usual.rename(columns={"score_bits": "usual_bits", "profile_uid": "base_uid"})
    both = inside.merge(theirs, how="left", on=["base_uid", *WINDOW[1:]])
    return both[both["usual_bits"].isna() | (both["usual_bits"] < both["threshold_bits"])]


def _warned(windows: pd.DataFrame, trials: pd.DataFrame, usual: pd.DataFrame) -> set[str]:
    """Incidents that a warming-up raised before its attack."""
    warmed = trials[trials["variant"] == POISONED]
    before = warmed.assign(start=warmed["start"] - pd.Timedelta(days=PREWARM_DAYS), end=warmed["start"])
    raised = _changed(windows, before, usual)
    return set(raised.loc[raised["end"] <= raised["end_attack"], "incident_uid"])


ALERTS = ["detector", "budget", "trial", "incident_uid", "start", "end", "raised", "score_bits", "touches", "fresh",
          "early", "reasons", "bytes_before", "objects_before"]  # fmt: skip
BENIGN = ["detector", "budget", "seed", "profile_uid", "incident_uid", "start", "end", "raised", "score_bits", "action",
          "harm_minutes"]  # fmt: skip


def _first(parts: dict[str, float]) -> list[str]:
    return sorted(parts, key=lambda name: (-parts[name], name))[:REASONS]


def _before(frame: pd.DataFrame, taken: pd.DataFrame) -> pd.DataFrame:
    """``bytes_before`` and ``objects_before``: what the attacker had when each incident was raised."""
    loot = taken.sort_values(["trial", "time"], kind="stable")
    first = (loot["object_key"] != 0) & ~loot.duplicated(["trial", "object_key"])
    so_far = {"bytes_before": loot["bytes"].groupby(loot["trial"]).cumsum(),
              "objects_before": first.astype("int64").groupby(loot["trial"]).cumsum()}  # fmt: skip
    loot = loot.assign(**so_far)[["trial", "time", *so_far]].sort_values("time", kind="stable")
    at = frame[["trial", "raised"]].reset_index().sort_values("raised", kind="stable")
    had = pd.merge_asof(
        at, loot, left_on="raised", right_on="time", by="trial", allow_exact_matches=False
    ).set_index("index")  # fmt: skip
    return frame.assign(**{name: had[name].fillna(0).astype("int64") for name in so_far})


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
        said = detect.summary(windows[windows["incident_uid"].isin(found["incident_uid"])]).set_index("incident_uid")
        known = said["parts"].reindex(found["incident_uid"]).map(bool)  # who gives no reason proposes nothing
        verbs = [_verb(said.loc[uid], ground.people, profiles) if told else "notify" for uid, told in known.items()]
        harm = [np.nan if not told else _minutes(minutes, p, at) if verb == "lock" else 0.0
                for p, at, verb, told in zip(found["profile_uid"], found["raised"], verbs, known, strict=True)
        ]  # fmt: skip
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
    mapped = token_profiles(ground.workspace)[["token_key", "profile_uid"]]
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
        touches=True, fresh=True, early=False, reasons=[list(registry[one].shown_by[:1]) for one in told["scenario"]],
        bytes_before=0, objects_before=0,
    )  # fmt: skip
    return pd.concat([frame.assign(budget=b) for b in BUDGETS], ignore_index=True)[ALERTS]
