"""Alerts: turn scores above threshold into alerts, for attacked and for benign tokens.

Reads  FittedContender, UnattackedOrganisation, AttackedProfiles. Writes nothing; its tables are those of ``scoring``.
An alert is an incident as the bench counts it: flagged windows of one profile, merged.
"""

import numpy as np
import pandas as pd

from tokenkit.bench import scenarios
from tokenkit.bench.metrics.ranking import BUDGETS
from tokenkit.bench.metrics.scoring import REASONS
from tokenkit.bench.protocol import WINDOW, FittedContender, flagged, surprise
from tokenkit.bench.scenarios.scenario import WARM_UP_DAYS
from tokenkit.bench.trials.overlay import AttackedProfiles
from tokenkit.bench.trials.unattacked import UnattackedOrganisation
from tokenkit.bench.trials.variants import POISONED
from tokenkit.incidents import advice, merge
from tokenkit.judge.record import sure
from tokenkit.store import engine, lake
from tokenkit.tokens.profiles import token_profiles

HARM_HOURS = 24  # how long an action lasts until somebody has looked: a working day
ORACLE = "oracle"
SAMPLED = 4_000  # benign profile-days of each organisation and contender in the table of windows
INCIDENTS = ["incident_uid", "profile_uid", "start", "end", "raised", "score_bits", "opened"]
ALERTS = ["detector", "budget", "trial", "incident_uid", "start", "end", "raised", "score_bits", "touches", "fresh",
          "early", "reasons", "bytes_before", "objects_before"]  # fmt: skip
BENIGN = ["detector", "budget", "seed", "profile_uid", "incident_uid", "start", "end", "raised", "score_bits", "action",
          "harm_minutes"]  # fmt: skip
WINDOWS = ["detector", "seed", "trial", "scenario", "profile_uid", "score_bits", "attack", "weight"]


def incidents(windows: pd.DataFrame, start: pd.Timestamp) -> pd.DataFrame:
    """One row an incident that has a flagged window from ``start`` on, the highest score first.

    Parameters
    ----------
    windows : ``protocol.flagged``
    start : first moment of the reported days

    Returns
    -------
    DataFrame
        ``incident_uid``, ``profile_uid``, ``start``, ``end``, ``raised`` (when its first window was complete),
        ``score_bits`` (each channel's highest window, added up: ``merge.peaks``), ``opened`` (bool: not
        before the reported days).
    """
    grouped = windows.groupby("incident_uid", sort=True)
    rows = grouped.agg(
        profile_uid=("profile_uid", "first"), start=("start", "min"), end=("end", "max"), raised=("end", "min"),
        last=("start", "max"),
    )  # fmt: skip
    rows["score_bits"] = merge.peaks(windows).groupby("incident_uid")["score_bits"].sum()
    rows["opened"] = rows["start"] >= start
    rows = rows[rows["last"] >= start].drop(columns="last").reset_index()
    return rows.sort_values(["score_bits", "incident_uid"], ascending=[False, True]).reset_index(drop=True)


def opened(
    fitted: FittedContender, organisation: UnattackedOrganisation, per_1000: float, breaches: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """The incidents that a contender opens in the reported days at a budget, and all its flagged windows.

    Parameters
    ----------
    breaches : ``breach_windows`` of the organisation
    """
    windows = flagged(fitted, fitted.scores, per_1000, breaches)
    table = incidents(windows, organisation.start) if len(windows) else pd.DataFrame(columns=INCIDENTS)
    return table[table["opened"].astype(bool)], windows


# ---- of trials ----
def trial_alerts(
    fitted: FittedContender, attacked: AttackedProfiles, breaches: pd.DataFrame, benign: pd.DataFrame,
    rows: pd.DataFrame | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Return the alerts of the attacked profiles at each budget, one row each (``scoring``: ``alerts``).

    An alert ``touches`` its trial where a window of it lies within the attack and is below its threshold when nobody
    attacks: what the token would have opened anyway is no catch. It is ``fresh`` where it touches and was raised after
    the attack began, and is then dated by the first such window. It is ``early`` where the attacker's warming-up opened
    it (the poisoned variant), before the attack.

    Parameters
    ----------
    breaches : ``breach_windows`` of the twins
    benign : ``benign_scores`` of the organisation
    rows : ``surprise`` of the twins, where it is there already
    """
    rows = surprise(fitted, attacked.evidence) if rows is None else rows
    periods, trials = attacked.evidence.periods, attacked.trials
    test = pd.Timestamp(periods.start, tz="UTC")
    assert periods.calibration is not None
    warmed_up = (trials["variant"] == POISONED).all()
    since = pd.Timestamp(periods.calibration[0], tz="UTC") if warmed_up else test
    trial_of = trials.set_index("profile_uid")["trial"]
    begins = trials.drop_duplicates("trial").set_index("trial")["start"].clip(lower=test)
    parts = []
    for per_1000 in fitted.thresholds:
        windows = flagged(fitted, rows, per_1000, breaches)
        table = incidents(windows, since) if len(windows) else pd.DataFrame()
        if table.empty:
            continue
        first = changed_windows(windows, trials, benign).groupby("incident_uid")["end"].min()
        early = warming_up_incidents(windows, trials, benign)
        summary = merge.summary(windows[windows["incident_uid"].isin(table["incident_uid"])])
        reasons = {row.incident_uid: _first_reasons(row.parts) for row in summary.itertuples()}
        table = table.assign(
            detector=fitted.contender.name, budget=per_1000, trial=table["profile_uid"].map(trial_of),
            touches=table["incident_uid"].isin(first.index), early=table["incident_uid"].isin(early),
            reasons=table["incident_uid"].map(reasons),
        )  # fmt: skip
        table["fresh"] = table["touches"] & (table["raised"] > table["trial"].map(begins))
        dated = first.reindex(table["incident_uid"]).set_axis(table.index)
        table["raised"] = dated.where(table["fresh"], table["raised"])
        parts.append(table)
    if not parts:
        return pd.DataFrame(columns=ALERTS)
    return with_taken_before(pd.concat(parts, ignore_index=True), attacked.taken)[ALERTS]


def benign_scores(rows: pd.DataFrame, breaches: pd.DataFrame) -> pd.DataFrame:
    """Return every window when nobody attacks, and its score: those scored, and those of ``breaches``."""
    rows = rows[[*WINDOW, "score_bits"]]
    return pd.concat([rows, breaches[[*WINDOW, "score_bits"]]], ignore_index=True) if len(breaches) else rows


def oracle_alerts(attacked: AttackedProfiles) -> pd.DataFrame:
    """Return the alerts of the oracle: one for each attack, at its first moment, for the right reason."""
    trials = attacked.trials.drop_duplicates("trial")
    kinds = {one: scenarios.get(one) for one in trials["scenario"].unique()}
    attacks = trials[trials["scenario"].map(lambda one: kinds[one].kind == "attack")]
    at = attacks["start"] + pd.Timedelta("1us")
    frame = attacks.assign(
        detector=ORACLE, incident_uid="inc1_oracle_" + attacks["trial"].astype(str), raised=at, score_bits=40.0,
        touches=True, fresh=True, early=False, bytes_before=0, objects_before=0,
        reasons=[list(kinds[one].shown_by[:1]) for one in attacks["scenario"]],
    )  # fmt: skip
    return pd.concat([frame.assign(budget=b) for b in BUDGETS], ignore_index=True)[ALERTS]


def changed_windows(windows: pd.DataFrame, trials: pd.DataFrame, benign: pd.DataFrame) -> pd.DataFrame:
    """The windows within an attack that are flagged only because of it."""
    truth = trials.drop_duplicates("profile_uid")[["profile_uid", "base_uid", "start", "end"]]
    inside = windows.merge(truth, on="profile_uid", suffixes=("", "_attack"))
    inside = inside[(inside["end"] > inside["start_attack"]) & (inside["start"] < inside["end_attack"])]
    unattacked = benign.rename(columns={"score_bits": "benign_bits", "profile_uid": "base_uid"})
    both = inside.merge(unattacked, how="left", on=["base_uid", *WINDOW[1:]])
    return both[both["benign_bits"].isna() | (both["benign_bits"] < both["threshold_bits"])]


def warming_up_incidents(windows: pd.DataFrame, trials: pd.DataFrame, benign: pd.DataFrame) -> set[str]:
    """Incidents that a warming-up opened before its attack."""
    poisoned = trials[trials["variant"] == POISONED]
    before = poisoned.assign(start=poisoned["start"] - pd.Timedelta(days=WARM_UP_DAYS), end=poisoned["start"])
    changed = changed_windows(windows, before, benign)
    return set(changed.loc[changed["end"] <= changed["end_attack"], "incident_uid"])


def _first_reasons(parts: dict[str, float]) -> list[str]:
    return sorted(parts, key=lambda name: (-parts[name], name))[:REASONS]


def with_taken_before(frame: pd.DataFrame, taken: pd.DataFrame) -> pd.DataFrame:
    """Alerts with ``bytes_before`` and ``objects_before``: what the attacker had taken when each was raised."""
    so_far = taken.sort_values(["trial", "time"], kind="stable")
    first = (so_far["object_key"] != 0) & ~so_far.duplicated(["trial", "object_key"])
    sums = {"bytes_before": so_far["bytes"].groupby(so_far["trial"]).cumsum(),
            "objects_before": first.astype("int64").groupby(so_far["trial"]).cumsum()}  # fmt: skip
    so_far = so_far.assign(**sums)[["trial", "time", *sums]].sort_values("time", kind="stable")
    at = frame[["trial", "raised"]].reset_index().sort_values("raised", kind="stable")
    had = pd.merge_asof(
        at, so_far, left_on="raised", right_on="time", by="trial", allow_exact_matches=False
    ).set_index("index")  # fmt: skip
    return frame.assign(**{name: had[name].fillna(0).astype("int64") for name in sums})


# ---- of the organisation that nobody attacks ----
def benign_alerts(
    fitted: FittedContender, organisation: UnattackedOrganisation, breaches: pd.DataFrame
) -> pd.DataFrame:
    """Return the alerts of the organisation when nobody attacks it, at each budget, and what acting on them costs.

    One row each (``BENIGN``): ``action`` is what a run would propose, ``harm_minutes`` the minutes with calls that it
    would have blocked; NaN where the contender gives no reason, and nobody would act.
    """
    parts = []
    minutes = _active_minutes(organisation)
    profiles = len(organisation.evidence.days.profiles)
    for per_1000 in fitted.thresholds:
        table, windows = opened(fitted, organisation, per_1000, breaches)
        if table.empty:
            continue
        summary = merge.summary(windows[windows["incident_uid"].isin(table["incident_uid"])]).set_index("incident_uid")
        has_reasons = summary["parts"].reindex(table["incident_uid"]).map(bool)
        verbs = [_verb(summary.loc[uid], organisation.people, profiles) if reasons else "notify"
                 for uid, reasons in has_reasons.items()]  # fmt: skip
        harm = [np.nan if not reasons else _minutes(minutes, p, at) if verb == "lock" else 0.0
                for p, at, verb, reasons in zip(table["profile_uid"], table["raised"], verbs, has_reasons, strict=True)
        ]  # fmt: skip
        parts.append(table.assign(detector=fitted.contender.name, budget=per_1000, seed=organisation.seed, action=verbs,
                                  harm_minutes=harm))  # fmt: skip
    return pd.concat(parts, ignore_index=True)[BENIGN] if parts else pd.DataFrame(columns=BENIGN)


def _verb(incident: pd.Series, people: pd.DataFrame, profiles: int) -> str:
    """What a run would propose for the incident, had its token a handle (``respond``: a service is not stepped up)."""
    person = people.loc[incident["profile_uid"]]
    level = sure(incident, profiles)["level"]
    verb = str(advice.action(advice.story_of(incident["parts"]), person, level).get("verb") or "notify")
    if verb == "step_up" and person["owner_type"] == "service":
        return "lock" if level == "high" else "restrict"
    return verb


def _active_minutes(organisation: UnattackedOrganisation) -> pd.DataFrame:
    """Profile and hour: minutes with a call."""
    workspace, period = organisation.workspace, organisation.evidence.periods
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        connection.register("profiles", token_profiles(workspace)[["token_key", "profile_uid"]])
        lake.scan(connection, workspace.lake, "activity_hour", period.start, period.end).create_view("hours")
        rows = connection.sql(
            "select profile_uid, hour_s, sum(active_minutes)::bigint as minutes from hours join profiles"
            " using (token_key) group by all order by all"
        ).df()
    return rows.set_index("profile_uid")


def _minutes(minutes: pd.DataFrame, profile_uid: str, since: pd.Timestamp) -> float:
    if profile_uid not in minutes.index:
        return 0.0
    own, first = minutes.loc[[profile_uid]], int(since.timestamp())
    inside = (own["hour_s"] >= first) & (own["hour_s"] < first + HARM_HOURS * 3600)
    return float(own.loc[inside, "minutes"].sum())


# ---- profile-days for average precision ----
def benign_days(fitted: FittedContender, organisation: UnattackedOrganisation) -> pd.DataFrame:
    """Return a sample of profile-days that nobody attacks with their highest score; each weighs what it stands for."""
    daily = _daily(fitted.scores[fitted.scores["start"] >= organisation.start])
    rng = np.random.default_rng(organisation.seed)
    sample = daily.iloc[np.sort(rng.choice(len(daily), min(SAMPLED, len(daily)), replace=False))]
    weight = len(daily) / max(len(sample), 1)
    sample = sample.assign(trial=-1, scenario="", attack=False, weight=weight)
    return sample.assign(detector=fitted.contender.name, seed=organisation.seed)[WINDOWS]


def trial_days(fitted: FittedContender, seed: int, attacked: AttackedProfiles, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the profile-days within attacks with their highest score.

    The days of one attack weigh one in all, and a day that the contender does not score has the least score. Benign
    changes are left out.

    Parameters
    ----------
    rows : ``surprise`` of the twins
    """
    attacks = attacked.trials[attacked.trials["scenario"].isin(scenarios.ATTACKS)]
    days = [pd.date_range(a.floor("D"), b, freq="D", inclusive="left") for a, b in
            zip(attacks["start"], attacks["end"], strict=True)]  # fmt: skip
    frame = attacks[["trial", "scenario", "profile_uid"]].assign(day=days).explode("day")
    frame["day"] = pd.to_datetime(frame["day"], utc=True).dt.as_unit("us")
    frame = frame.merge(_daily(rows), on=["profile_uid", "day"], how="left").fillna({"score_bits": 0.0})
    frame = frame.assign(attack=True, weight=1.0 / frame.groupby("trial")["day"].transform("size"))
    return frame.assign(detector=fitted.contender.name, seed=seed)[WINDOWS]


def oracle_days(days: pd.DataFrame) -> pd.DataFrame:
    """Return the days of another contender with the oracle's scores."""
    return days.assign(detector=ORACLE, score_bits=np.where(days["attack"], 40.0, 0.0))


def _daily(rows: pd.DataFrame) -> pd.DataFrame:
    day = rows["start"].dt.normalize()
    return rows.groupby(["profile_uid", day.rename("day")])["score_bits"].max().reset_index()
