"""Organisation: facts about all tokens of an organisation, beside its incidents: counts, owners, drift, rules, values.

Reads  Judgement, activity_hour, activity_network, activity_client, activity_operation, events. Writes nothing.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import pdtr, pdtrc

from tokenkit.channels import detectors
from tokenkit.channels.policy import TITLES
from tokenkit.config import Detection, Workspace
from tokenkit.days import Periods
from tokenkit.fingerprint import features
from tokenkit.incidents import aliases, answers, explain, merge, words
from tokenkit.judge.judgement import Judgement
from tokenkit.judge.record import iso, iso_text
from tokenkit.normal import baseline
from tokenkit.normal.behaviour import KINDS
from tokenkit.schema import facts
from tokenkit.schema.incident import Incident
from tokenkit.store import engine, lake

TOP = 10
RARE_LISTED = 200
MANY_PROFILES = 10
DORMANT_DAYS = 30
WATCH_FROM = 0.75  # of the threshold
WEEK_DAYS = 7
FAR_OFF = 2.0  # times the budget, or 1 of so many: then the page says by what
MAY_BE_CHANCE = 0.05  # as many or more (or fewer) are so likely if the budget is kept
TOLD = KINDS | {"young": "tokens that are young or seldom used"}


def counts(
    workspace: Workspace, judgement: Judgement, people: pd.DataFrame, mapped: pd.DataFrame, answered: int, accepted: int
) -> facts.Counts:
    """Tokens and calls of the reported days."""
    periods = judgement.periods
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        lake.scan(connection, workspace.lake, "activity_hour", None, periods.end).create_view("a")
        connection.register("m", mapped[["token_key", "profile_uid"]])
        rows = connection.sql(
            "select profile_uid, min(day) as first, max(day) as last, sum(requests)::bigint as n from a"
            " join m using (token_key) group by 1"
        ).df()
        lake.scan(connection, workspace.lake, "events", periods.start, periods.end).create_view("e")
        calls, unattributed = connection.sql("select count(*), count(*) filter (token_key = 0) from e").fetchall()[0]
    first, last = pd.to_datetime(rows["first"]), pd.to_datetime(rows["last"])
    start, end = pd.Timestamp(periods.start), pd.Timestamp(periods.end)
    active = last >= start
    days = judgement.evidence.days if judgement.evidence else None
    young = int(((days.maturity != "mature") & ~np.isnan(days.values["requests"]).all(axis=1)).sum()) if days else 0
    status = people["owner_status"]
    return {
        "tokens": len(people), "credentials": int(mapped["token_uid"].nunique()), "profiles": len(people),
        "active": int(active.sum()),
        "new": int((first >= start).sum()) if first.min() < start else 0, "idle": int((~active).sum()),
        "dormant": int((last < end - pd.Timedelta(days=DORMANT_DAYS)).sum()),
        "unowned": int((status == "unowned").sum()), "orphaned": int((status == "orphaned").sum()),
        "ambiguous": int((status == "ambiguous").sum()),
        "unattributed_calls": int(unattributed),
        "calls": int(calls),
        "judged": len(days.profiles) - young if days else 0, "young": young,
        "answered": answered, "accepted": accepted,
    }  # fmt: skip


def budget(judgement: Judgement, listed: list[Incident], detection: Detection) -> facts.Budget:
    """What was asked for and what was opened in the reported days."""
    days = (judgement.periods.end - judgement.periods.start).days
    allowed = judgement.allowed_a_day * days
    opened = sum(r["state"] == "opened" for r in listed)
    calibration = judgement.periods.calibration
    return {
        "per_1000": detection.budget, "allowed": allowed, "opened": opened, "days": days,
        "per_day": judgement.allowed_a_day,
        "achieved": opened / allowed if allowed else None,
        "calibration_days": (calibration[1] - calibration[0]).days if calibration else 0,
        "calibration_opened": _calibration_opened(judgement) if calibration else None,
        "by_chance": allowed * sum(detection.shares.values()) if calibration else None,
        "week": _week(judgement, detection) if calibration else None,
    }  # fmt: skip


def _week(judgement: Judgement, detection: Detection) -> facts.BudgetWeek | None:
    """Incidents opened in the last week beside what was allowed, and where the rate is far off, by what."""
    periods, days = judgement.periods, judgement.evidence.days if judgement.evidence else None
    assert periods.calibration is not None
    end = pd.Timestamp(periods.end, tz="UTC")
    start = max(end - pd.Timedelta(days=WEEK_DAYS), pd.Timestamp(periods.calibration[1], tz="UTC"))
    length = (end - start).days
    allowed = judgement.allowed_a_day * length
    if days is None or length < WEEK_DAYS or not allowed:
        return None
    windows = judgement.windows[judgement.windows["channel"] != "policy"]
    first = windows.groupby("incident_uid")["start"].min()
    incidents = merge.summary(windows[windows["incident_uid"].isin(first.index[first >= start])])
    opened, ratio = len(incidents), len(incidents) / allowed
    causes: list[str] = []
    if ratio > FAR_OFF:
        ways = {one.name: one.title for one in detectors(detection.panel)}
        kinds = pd.Series(days.behaviour, days.profiles).where(days.representative, "young")
        named = (
            incidents["channels"].str[0].map(ways), incidents["parts"].map(_largest_part),
            incidents["profile_uid"].map(kinds).map(TOLD),
        )  # fmt: skip
        causes = [f"{name} ({count})" for column in named for name, count in column.value_counts().head(1).items()]
    # Poisson's, without scipy.stats: that would be half of what a kernel imports for the page
    chance = float(pdtrc(opened - 1, allowed) if ratio > 1 else pdtr(opened, allowed)) > MAY_BE_CHANCE
    return {"opened": opened, "allowed": allowed, "far_off": not 1 / FAR_OFF <= ratio <= FAR_OFF, "causes": causes,
            "may_be_chance": chance}  # fmt: skip


def _largest_part(parts: dict[str, float]) -> str:
    return explain.title_of(max(parts, key=lambda part: parts[part]))


def _calibration_opened(judgement: Judgement) -> int:
    """Incidents that the first thresholds would have opened on the days on which they were set."""
    calibration = judgement.periods.calibration
    assert calibration is not None
    windows = judgement.windows[judgement.windows["channel"] != "policy"]
    first = windows.groupby("incident_uid")["start"].min()
    return int(
        ((first >= pd.Timestamp(calibration[0], tz="UTC")) & (first < pd.Timestamp(calibration[1], tz="UTC"))).sum()
    )


def drifting_tokens(judgement: Judgement, people: pd.DataFrame, listed: list[Incident]) -> list[facts.DriftingToken]:
    """Profiles whose last days drift and are still below their threshold, the nearest to it first."""
    thresholds = judgement.thresholds
    if judgement.evidence is None or thresholds is None:
        return []
    last = thresholds.for_all.index[-1]
    rows = judgement.scores[judgement.scores["channel"].isin(["drift_amounts", "drift_requests"])]
    recent = rows[rows["start"] > last - pd.Timedelta(days=3)].sort_values("start")
    recent = recent.groupby(["profile_uid", "channel"]).last().reset_index()
    recent = recent.assign(limit=thresholds.of(recent.assign(start=last), judgement.labels.periods.accepted))
    recent = recent[(recent["score_bits"] >= WATCH_FROM * recent["limit"]) & np.isfinite(recent["limit"])]
    known = {r["profile_uid"] for r in listed}
    recent = recent[~recent["profile_uid"].isin(known)].assign(near=lambda r: r["score_bits"] / r["limit"])
    recent = (
        recent.sort_values(["near", "profile_uid"], ascending=[False, True]).drop_duplicates("profile_uid").head(TOP)
    )
    return [_drifting(judgement, people.loc[row.profile_uid], row) for row in recent.itertuples()]


def _drifting(judgement: Judgement, person: pd.Series, row: Any) -> facts.DriftingToken:
    assert judgement.evidence is not None
    days = judgement.evidence.days
    name = max(row.parts, key=lambda part: row.parts[part]).removeprefix("drift_")
    k = days.row(row.profile_uid)
    incident = pd.Series({"profile_uid": row.profile_uid, "end": row.start + pd.Timedelta("1D")})
    drift = explain.drift_in_words(name, incident, judgement.evidence)
    feature, fit = features()[name], judgement.evidence.fits[name]
    center = baseline.expected(fit, feature, days)[k]
    sd = np.sqrt(baseline.variance(fit, feature, days)[k])
    shown = [d for d in range(max(0, len(days.days) - 28), len(days.days)) if not np.isnan(days.values[name][k, d])]
    ratio = drift["value"] / max(drift["expected"], 1e-9)
    return {
        "profile_uid": row.profile_uid, "label": str(person["label"]), "mask": person["mask"],
        "owner": person["owner_name"],
        "team": person["team"], "days": 14, "ratio": ratio, "what": feature.doc.rstrip("."),
        "score_bits": row.score_bits,
        "threshold_bits": row.limit, "text": f"{drift['observed']}; usual {drift['usual']}.",
        "usual": words.amount(drift["expected"], feature.unit), "observed": words.amount(drift["value"], feature.unit),
        "series": [(iso_text(days.days[d]), float(days.values[name][k, d])) for d in shown],
        "band": [(max(0.0, float(np.expm1(center[d] - 2 * sd[d]))),
        float(np.expm1(center[d] + 2 * sd[d]))) for d in shown],
        "unit": feature.unit,
    }  # fmt: skip


def broken_rules(judgement: Judgement, people: pd.DataFrame) -> list[facts.BrokenRule]:
    """Rules broken in the reported days."""
    todo = {
        "orphan_in_use": "Name a new owner, or lock it.",
        "expired_in_use": "Replace it, or move its end date; then make the service refuse expired keys.",
        "outside_networks": "Ask the owner whether the network is theirs; add it to the list or lock the token.",
    }
    rows: list[facts.BrokenRule] = []
    for row in judgement.broken_rules.sort_values(["standing", "rule", "profile_uid"]).itertuples():
        person = people.loc[row.profile_uid]
        which = ", ".join(v for v in row.what if v)
        rows.append(
            {"rule": row.rule, "title": TITLES[row.rule], "label": str(person["label"]), "mask": person["mask"],
             "token_uid": row.token_uid, "profile_uid": row.profile_uid, "owner": person["owner_name"],
             "since": iso_text(pd.Timestamp(row.first_s, unit="s", tz="UTC")), "requests": int(row.requests),
             "standing": bool(row.standing),
             "text": f"{words.plural(row.requests, 'call')} in these days" + (f" ({which})" if which else "") + ".",
             "do": todo[row.rule]}
        )  # fmt: skip
    return rows


def usage(workspace: Workspace, mapped: pd.DataFrame, periods: Periods) -> pd.DataFrame:
    """Calls, data and last call of each profile in the reported days, the busiest first."""
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        for name in ("hour", "network", "client", "operation"):
            lake.scan(connection, workspace.lake, f"activity_{name}", periods.start, periods.end).create_view(name)
        lake.scan(connection, workspace.lake, "dim_operation").create_view("dim")
        connection.register("m", mapped[["token_key", "profile_uid"]])
        return connection.sql(
            "with h as (select profile_uid, sum(requests)::bigint as requests,"
            " sum(response_bytes)::bigint as response_bytes, max(last_s) as last_s"
            " from hour join m using (token_key) group by 1),"
            " n as (select profile_uid, count(distinct network_key) as networks"
            " from network join m using (token_key) group by 1),"
            " c as (select profile_uid, count(distinct client_key) as clients"
            " from client join m using (token_key) group by 1),"
            " o as (select profile_uid, operation, sum(requests) as q from operation join m using (token_key) join dim"
            " using (operation_key) group by all),"
            " t as (select profile_uid, operation as top from o qualify row_number() over"
            " (partition by profile_uid order by q desc, operation) = 1)"
            " select * from h left join n using (profile_uid) left join c using (profile_uid)"
            " left join t using (profile_uid) order by requests desc, profile_uid"
        ).df()


def active_tokens(people: pd.DataFrame, used: pd.DataFrame) -> list[facts.ActiveToken]:
    """The busiest profiles (of ``usage``): a map, not a ranking of suspicion."""
    return [
        {"label": str(people.at[r.profile_uid, "label"]), "mask": people.at[r.profile_uid, "mask"],
         "kind": people.at[r.profile_uid, "kind"], "owner": people.at[r.profile_uid, "owner_name"],
         "requests": int(r.requests), "response_bytes": int(r.response_bytes),
         "networks": int(r.networks if pd.notna(r.networks) else 0),
         "clients": int(r.clients if pd.notna(r.clients) else 0),
         "top_operation": r.top}
        for r in used.head(TOP).itertuples()
    ]  # fmt: skip


def owners_missing(people: pd.DataFrame, used: pd.DataFrame) -> list[facts.OwnerlessToken]:
    """Active profiles (of ``usage``) nobody answers for, the busiest first."""
    used = used.assign(status=used["profile_uid"].map(people["owner_status"]))
    return [
        {"label": str(p["label"]), "mask": p["mask"], "token_uid": r.profile_uid, "principal": p["principal"],
         "kind": p["kind"], "status": r.status, "owner": p["owner_name"], "requests": int(r.requests),
         "last_seen": iso_text(pd.Timestamp(r.last_s, unit="s", tz="UTC")), "ask": p["team"]}
        for r in used[used["status"] != "owned"].itertuples()
        for p in [people.loc[r.profile_uid]]
    ]  # fmt: skip


def rare_values(
    workspace: Workspace, people: pd.DataFrame, mapped: pd.DataFrame, periods: Periods
) -> list[facts.RareValue]:
    """Values that one profile shows in the reported days and hardly any other: programs first, then networks.

    Two profiles may share one where there are ten or more: a key and the role that it assumes use the same program.
    """
    values: list[facts.RareValue] = []
    most = 2 if len(people) >= MANY_PROFILES else 1
    for kind, title, text in (("client", "Program", "user_agent"), ("network", "Network", "network")):
        with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
            lake.scan(connection, workspace.lake, f"activity_{kind}", periods.start, periods.end).create_view("a")
            lake.scan(connection, workspace.lake, f"dim_{kind}").create_view("d")
            connection.register("m", mapped[["token_key", "profile_uid"]])
            rows = connection.sql(
                f"with used as (select {kind}_key, {text} as value, profile_uid, sum(requests)::bigint as calls,"
                f" min(hour_s) as s from a join m using (token_key) join d using ({kind}_key) group by all)"
                " select value, first(profile_uid order by calls desc, profile_uid) as profile_uid,"
                " sum(calls)::bigint as n, min(s) as s,"
                f" count(*) as profiles from used group by {kind}_key, value having count(*) <= {most}"
                " order by profiles, n, value"
            ).df()
        values += [
            {"kind": title, "value": str(r.value), "label": str(people.at[r.profile_uid, "label"]),
             "mask": people.at[r.profile_uid, "mask"], "requests": int(r.n),
             "first": iso_text(pd.Timestamp(r.s, unit="s", tz="UTC")),
             "note": "one other uses it too" if r.profiles > 1 else None}
            for r in rows.itertuples()
        ]  # fmt: skip
    return values[:RARE_LISTED]


def riskiest(listed: list[Incident]) -> list[facts.RiskyToken]:
    """The ten riskiest profiles, one row each."""
    rows: dict[str, facts.RiskyToken] = {}
    for r in listed:
        rows.setdefault(
            r["profile_uid"],
            {"label": r["token"]["label"], "mask": r["token"]["mask"], "profile_uid": r["profile_uid"],
             "risk": r["risk"],
             "level": r["risk_level"], "owner": _owner_name(r), "team": r["owner"]["team"],
             "environment": r["environment"], "criticality": r["criticality"], "known_days": r["known_days"],
             "do": r["action"]["title"], "incident_uid": r["incident_uid"]},
        )  # fmt: skip
    return list(rows.values())[:TOP]


def _owner_name(record: Incident) -> str | None:
    """Who answers for an incident's token; None where the owner has left or there is none."""
    return record["owner"]["name"] if record["owner"]["status"] == "owned" else None


def by_owner(
    people: pd.DataFrame, listed: list[Incident], drifting: list[facts.DriftingToken], broken: list[facts.BrokenRule]
) -> list[facts.ToDo]:
    """What each owner has to do: about incidents, then drifting tokens, then broken rules."""
    rows: dict[str | None, facts.ToDo] = {}
    to_do: dict[str | None, list[str]] = {}
    owners = people["owner_name"].where(people["owner_status"] == "owned")
    sizes = owners.value_counts()
    todo = {
        "lock": "Expect the key to be locked; issue a new one",
        "step_up": "Sign in again with a second factor",
        "restrict": "Say what the extra work was for",
        "notify": "Say whether the change is meant",
    }
    tasks: list[tuple[str | None, str | None, str | None, str | None, str]] = [
        (_owner_name(r), r["owner"]["team"], r["token"]["label"], r["incident_uid"], todo[r["action"]["verb"]])
        for r in listed
    ]
    tasks += [(owners.get(r["profile_uid"]), r["team"], r["label"], None, todo["notify"]) for r in drifting]
    for r in broken:
        owner = owners.get(r["profile_uid"])
        tasks.append((owner, people.at[r["profile_uid"], "team"], r["label"], None, r["do"].rstrip(".")))
    for owner, team, label, uid, do in tasks:
        owner = owner if isinstance(owner, str) else None
        size = int(sizes.get(owner, 0)) if owner else int(owners.isna().sum())
        row = rows.setdefault(owner, {"owner": owner, "team": team, "tokens": size, "on_page": [], "do": ""})
        row["on_page"].append({"label": label, "incident_uid": uid})
        to_do.setdefault(owner, []).append(do if owner else "Name an owner")
    for owner, row in rows.items():
        row["do"] = "; ".join(dict.fromkeys(to_do[owner]))
    return list(rows.values())


def not_raised(
    judgement: Judgement, people: pd.DataFrame, incidents: Sequence[Incident], pseudonymous: bool
) -> list[facts.NotRaised]:  # fmt: skip
    """Confirmed misuse of these days and the two weeks before of which this report has no incident, the newest first.

    Other settings may raise nothing where somebody found a theft; what he said stays on the page.
    """
    rows = judgement.labels.table
    since = (judgement.periods.start - timedelta(days=14)).isoformat()
    rows = rows[(rows["verdict"] == "true_positive") & (rows["end"] > since)] if len(rows) else rows
    found: list[facts.NotRaised] = []
    for row in rows.sort_values("number", ascending=False).itertuples():
        said = answers.extent_of_label(row)
        raised = any(
            row.incident_uid in aliases.ids(i)
            or (i["profile_uid"] == row.profile_uid
                and said.meets(aliases.extent_of(i["start"], i["end"], i["channels"])))
            for i in incidents
        )  # fmt: skip
        if not raised and row.profile_uid in people.index:
            person = people.loc[row.profile_uid]
            found.append(
                {"incident_uid": row.incident_uid, "profile_uid": row.profile_uid, "label": str(person["label"]),
                 "mask": person["mask"], "who": None if pseudonymous else row.who, "made_time": row.made_time,
                 "reason": row.reason, "start": row.start, "end": row.end}
            )  # fmt: skip
    return found


def accepted_normals(
    workspace: Workspace, judgement: Judgement, people: pd.DataFrame, mapped: pd.DataFrame
) -> list[facts.AcceptedChange]:
    """New normals that were accepted, the newest first, with what their tokens do in the reported days."""
    rows = judgement.labels.table
    rows = rows[rows["accept"].astype(bool)] if len(rows) else rows
    if rows.empty:
        return []
    periods = judgement.periods
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        lake.scan(connection, workspace.lake, "activity_hour", periods.start, periods.end).create_view("hour")
        connection.register("m", mapped[["token_key", "profile_uid"]])
        used = connection.sql(
            "select profile_uid, sum(requests)::bigint as requests, max(last_s) as last_s from hour"
            " join m using (token_key) group by 1"
        ).df().set_index("profile_uid")  # fmt: skip
    scores = judgement.scores[judgement.scores["start"] >= pd.Timestamp(periods.start, tz="UTC")]
    highest = scores[scores["channel"] != "panel"].groupby("profile_uid")["score_bits"].max()
    versions = rows.sort_values(["made_time", "number"]).groupby("profile_uid").cumcount() + 2
    hide = workspace.settings.report.pseudonymous
    return [
        {"incident_uid": r.incident_uid, "profile_uid": r.profile_uid,
         "label": str(people.at[r.profile_uid, "label"]), "mask": people.at[r.profile_uid, "mask"],
         "owner": people.at[r.profile_uid, "owner_name"], "team": people.at[r.profile_uid, "team"],
         "who": None if hide else r.who, "made_time": r.made_time, "reason": r.reason, "start": r.start, "end": r.end,
         "version": int(versions[r.Index]),
         "calls": int(used["requests"].get(r.profile_uid, 0)),
         "last_seen": iso(pd.Timestamp(used["last_s"][r.profile_uid], unit="s", tz="UTC"))
         if r.profile_uid in used.index else None,
         "score_bits": float(highest.get(r.profile_uid, 0.0))}
        for r in rows.sort_values("number", ascending=False).itertuples()
        if r.profile_uid in people.index
    ]  # fmt: skip
