"""Record: one incident as everything that the page, the findings for machines and a person at the desk need to know.

Reads  Judgement, dim_token, and the calls of each incident. Writes nothing.
"""

from collections.abc import Collection
from typing import Any, cast

import numpy as np
import pandas as pd

from tokenkit.config import Workspace
from tokenkit.days import Periods
from tokenkit.fingerprint import features
from tokenkit.incidents import advice, aliases, answers, explain, merge, risk, words
from tokenkit.judge.calls import Calls, calls_of
from tokenkit.judge.judgement import Judgement
from tokenkit.normal import baseline
from tokenkit.schema.incident import Incident
from tokenkit.store import engine, lake
from tokenkit.tokens import scopes

TOKENS_LISTED = 25
ENDED = pd.Timedelta("2D")  # without a flagged window before the end of the period, and an incident is over
TIMELINE_HOURS = 72
CALLS_NAMED = 3
SCOPES_FROM_DAYS = 14  # with a call before the incident
OPINION_BITS = -np.log2(0.01)
HIGH_NIGHTS, MEDIUM_NIGHTS = 365, 30  # once a year, once a month: how rarely chance alone would do it


def records(
    workspace: Workspace, judgement: Judgement, previous: Collection[str] = (), run_uid: str = ""
) -> list[Incident]:  # fmt: skip
    """Every incident of the reported days, labelled ones too (``answer``): confirmed misuse first, then by risk.

    Parameters
    ----------
    previous : ids of the incidents that the report before this one had
    run_uid : of the report
    """
    people, mapped, periods = judgement.population.people, judgement.population.tokens, judgement.periods
    windows = dict(list(judgement.windows.groupby("incident_uid")))
    states = {uid: merge.state(rows, periods.start, periods.end) for uid, rows in windows.items()}
    incidents = merge.summary(judgement.windows[judgement.windows["incident_uid"].map(states) != "closed"])
    if incidents.empty:
        return []
    credentials = lake.read(workspace.lake, "dim_token").to_pandas().set_index("token_uid")
    mapped = mapped.join(credentials[["principal_token_uid", "role_token_uid"]], on="token_uid")
    known_as = aliases.aliases(workspace, judgement.windows, run_uid)
    records = []
    for (_, incident), calls in zip(incidents.iterrows(), _calls(workspace, judgement, incidents), strict=True):
        uid, profile_uid = incident["incident_uid"], incident["profile_uid"]
        own = mapped[mapped["profile_uid"] == profile_uid]
        record = _record(calls, judgement, incident, people.loc[profile_uid], own)
        answer = answers.answer_of(judgement.labels, windows[uid], known_as.get(uid, ()), windows)
        record["aliases"] = [one.incident_uid for one in known_as.get(uid, ())]
        is_new = not any(one in previous for one in aliases.ids(record))
        records.append(record | {"state": states[uid], "new_since_last": is_new, "answer": answer})
    return cast(list[Incident], sorted(records, key=_order))


def _calls(workspace: Workspace, judgement: Judgement, incidents: pd.DataFrame) -> list[Calls]:
    """What the lake holds about each incident."""
    periods, days = judgement.periods, judgement.evidence.days if judgement.evidence else None
    spans = incidents[["profile_uid", "start"]].assign(
        end=incidents["end"].clip(upper=pd.Timestamp(periods.end, tz="UTC"))
    )
    charted = [_charted_span(incident, periods) for _, incident in incidents.iterrows()]
    spans[["chart_start", "chart_end"]] = pd.DataFrame(charted, spans.index)
    groups = pd.Series(days.group, days.profiles) if days else pd.Series(dtype="int64")
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        return calls_of(connection, workspace, periods, spans, judgement.population.tokens, groups)


def _order(record: dict[str, Any]) -> tuple[bool, bool, int, float, str]:
    """Sort key: incidents that go on before quiet ones, among them confirmed misuse first, then by risk."""
    confirmed = (record["answer"] or {}).get("verdict") == "true_positive"
    quiet = record["state"] == "quiet"
    return quiet, not confirmed, -record["risk"], -record["score_bits"], record["incident_uid"]


def iso_text(moment: pd.Timestamp) -> str:
    """ISO 8601 in UTC to the second."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def iso(moment: Any) -> str | None:
    """ISO 8601 in UTC to the second, or None."""
    return None if moment is None or pd.isna(moment) else pd.Timestamp(moment).strftime("%Y-%m-%dT%H:%M:%SZ")


def _record(
    calls: Calls, judgement: Judgement, incident: pd.Series, person: pd.Series, own: pd.DataFrame
) -> dict[str, Any]:
    start, end = incident["start"], min(incident["end"], pd.Timestamp(judgement.periods.end, tz="UTC"))
    reasons = explain.reasons(incident, judgement.evidence, calls.values, calls.users)
    story = advice.story_of(incident["parts"])
    certainty = sure(incident, judgement.judged_profiles)
    label = str(person["label"])
    long, short, detail = advice.headline(story, label, reasons)
    value = risk.risk(incident["score_bits"], person["criticality"], person["owner_status"])
    evidence = _examples(calls.examples)
    ended = end if pd.Timestamp(judgement.periods.end, tz="UTC") - end > ENDED else None
    k = _row_of(judgement, incident["profile_uid"])
    known_days = _known_days(judgement, k, start)
    return {
        "incident_uid": incident["incident_uid"],
        "profile_uid": incident["profile_uid"],
        "token_uids": _concerned(incident["profile_uid"], own, evidence),
        "start": iso(start),
        "end": iso(end),
        "created_time": iso(incident["created_time"]),
        "last_seen": iso(calls.last) or iso(end),
        "ended": iso(ended),
        "n_windows": int(incident["n_windows"]),
        "n_days": int(incident["n_days"]),
        "channels": incident["channels"],
        "score_bits": float(incident["score_bits"]),
        "threshold_bits": float(incident["threshold_bits"]),
        "risk": value,
        "risk_level": risk.level(value),
        "story": story,
        "headline": long,
        "short": short,
        "detail": detail,
        "token": {name: _text(person[name]) for name in ("label", "mask", "issuer", "kind", "principal")},
        "owner": {
            name: _text(person[f"owner_{name}"]) for name in ("name", "email", "status", "timezone", "type")
        } | {"team": _text(person["team"])},
        **{name: _text(person[name]) for name in ("purpose", "environment", "criticality", "scopes")},
        "called_before": [[row.operation, int(row.calls)] for row in calls.before.head(CALLS_NAMED).itertuples()],
        "kinds_called_before": len(calls.before),
        "unused_scopes": _unused_scopes(person["scopes"], calls.before, known_days),
        "known_days": known_days,
        **_peers(judgement, k),
        "sure": certainty,
        "taken": _amount_in_words(judgement, k, incident, calls.total),
        "reasons": reasons,
        "timeline": timeline(calls.hours, judgement, incident, reasons),
        "new_values": _new_values(calls.values),
        "explanations": advice.explanations(story, reasons, person),
        "action": advice.action(story, person, certainty["level"]),
        "if_nothing": advice.if_nothing(story, reasons, ended),
        "evidence": evidence,
        "evidence_total": calls.total,
        "second_opinion": _second_opinion(judgement, incident),
        "attack": [{"technique": t, "name": advice.ATTACK[t], "checked": True} for t in advice.technique_ids(story)],
    }  # fmt: skip


def _unused_scopes(granted: Any, before: pd.DataFrame, known_days: int) -> list[str]:
    """Scopes of which no call of the 28 days before has a word; none of a token that is hardly known."""
    if known_days < SCOPES_FROM_DAYS or not _text(granted):
        return []
    return scopes.unused(granted, [*before["service"].fillna(""), *before["operation"]])


def _text(value: Any) -> str | None:
    return None if value is None or (not isinstance(value, list) and pd.isna(value)) or value == "" else str(value)


def _row_of(judgement: Judgement, profile_uid: str) -> int | None:
    return None if judgement.evidence is None else judgement.evidence.days.row_of(profile_uid)


def _peers(judgement: Judgement, k: int | None) -> dict[str, Any]:
    """How well a profile is known, and beside whom it is judged."""
    if judgement.evidence is None or k is None:
        return {"maturity": "new", "peers": 0, "peer_group": ""}
    days = judgement.evidence.days
    same = days.group == days.group[k]
    return {
        "maturity": str(days.maturity[k]),
        "peers": int(same.sum()) - 1,
        "peer_group": days.groups[days.group[k]],
    }


def _known_days(judgement: Judgement, k: int | None, start: pd.Timestamp) -> int:
    if judgement.evidence is None or k is None:
        return 0
    days = judgement.evidence.days
    return int((~np.isnan(days.values["requests"][k]) & (days.days < start)).sum())


def _concerned(profile_uid: str, own: pd.DataFrame, evidence: list[dict[str, Any]]) -> list[str]:
    """Identities concerned: the profile, the credentials seen in the evidence, and the role or user behind them."""
    uids = [profile_uid, *(e["token_uid"] for e in evidence if e["token_uid"])]
    if own["profile_kind"].iloc[0] not in ("token", "rotated"):
        uids += [u for c in ("principal_token_uid", "role_token_uid") for u in own[c].dropna().unique()[:3]]
    return list(dict.fromkeys([*uids, *own["token_uid"].tolist()[-TOKENS_LISTED:]]))[: TOKENS_LISTED + 6]


def sure(incident: pd.Series, n_profiles: int) -> dict[str, str]:
    """How sure: the level, and how often chance alone would do it in an organisation of this size."""
    if not n_profiles:
        return {"level": "high", "text": "a rule was broken; nothing is estimated"}
    nights = 2.0 ** min(incident["score_bits"], 40.0) / n_profiles
    level = "high" if nights >= HIGH_NIGHTS else "medium" if nights >= MEDIUM_NIGHTS else "low"
    often = "more than once a night" if nights < 1 else (
        f"about one night in {nights:,.0f}" if nights < 1000 else "rarer than one night in 1,000")  # fmt: skip
    return {"level": level, "text": f"as rare as {often} for an organisation of {n_profiles:,} tokens"
            if nights < 1000 else often}  # fmt: skip


def _amount_in_words(judgement: Judgement, k: int | None, incident: pd.Series, calls: int) -> str | None:
    parts = [words.plural(calls, "call")]
    if judgement.evidence is not None and k is not None:
        days = judgement.evidence.days
        inside = (days.days >= incident["start"].normalize()) & (days.days < incident["end"])
        usual = np.expm1(
            baseline.expected(judgement.evidence.fits["response_bytes"], features()["response_bytes"], days)[k, inside]
        )
        more = float(np.nansum(days.values["response_bytes"][k, inside] - usual))
        if more > 0.1 * float(np.nansum(usual)) and more > 1000:
            parts.insert(0, f"{words.amount(more, 'bytes')} more than usual")
    return ", ".join(parts)


def timeline(
    hours: pd.Series, judgement: Judgement, incident: pd.Series, reasons: list[dict[str, Any]]
) -> dict[str, Any] | None:
    """The leading feature over time with its band of normal: hours around a sudden incident, days for amounts."""
    flagged = judgement.windows[judgement.windows["incident_uid"] == incident["incident_uid"]]
    ranges = [[iso(w.start), iso(w.end)] for w in flagged.sort_values("start").itertuples()]
    leading = reasons[0]["feature"]
    name = leading.removeprefix("drift_")
    if judgement.evidence is None or name not in features():
        return _hours(hours, judgement.periods, incident, ranges)
    evidence, feature = judgement.evidence, features()[name]
    k, days = _row_of(judgement, incident["profile_uid"]), evidence.days
    assert k is not None
    center = baseline.expected(evidence.fits[name], feature, days)[k]
    sd = np.sqrt(baseline.variance(evidence.fits[name], feature, days)[k])
    last = int(np.flatnonzero(days.days < max(incident["end"], pd.Timestamp(judgement.periods.end, tz="UTC")))[-1])
    shown = range(max(0, last - 41), last + 1)
    values = np.nan_to_num(days.values[name][k])
    low, high = (np.nan_to_num(np.maximum(np.expm1(center + s * sd), 0.0)) for s in (-2.0, 2.0))
    title = f"{feature.short}, by day"
    return {
        "title": title, "unit": feature.unit, "window": "day",
        "points": [[iso(days.days[d]), float(values[d])] for d in shown],
        "band": [[float(low[d]), float(high[d])] for d in shown],
        "flagged": ranges, "note": None,
    }  # fmt: skip


def _charted_span(incident: pd.Series, periods: Periods) -> tuple[pd.Timestamp, pd.Timestamp]:
    """First and last moment of the hours around an incident that are charted or make up its band of normal."""
    start = incident["start"].floor("D") - pd.Timedelta("1D")
    end = min(incident["end"].ceil("D") + pd.Timedelta("1D"), pd.Timestamp(periods.end, tz="UTC"))
    end = min(end, start + pd.Timedelta(hours=TIMELINE_HOURS * 3))
    return max(start - pd.Timedelta(days=28), pd.Timestamp(periods.first, tz="UTC")), end


def _hours(hours: pd.Series, periods: Periods, incident: pd.Series, ranges: list[Any]) -> dict[str, Any]:
    """Calls by the hour around an incident; normal is the middle 90% of that hour on such days before it."""
    start = incident["start"].floor("D") - pd.Timedelta("1D")
    past, end = _charted_span(incident, periods)
    index = pd.date_range(past, end, freq="h", inclusive="left")
    at = pd.to_datetime(hours.index, unit="s", utc=True)
    series = pd.Series(hours.to_numpy(dtype=float), at).reindex(index, fill_value=0.0)
    before = series[series.index < start]
    key = [before.index.hour, before.index.day_of_week >= 5]
    floor, ceiling = before.groupby(key).quantile(0.05), before.groupby(key).quantile(0.95)
    shown = series[series.index >= start]
    band = [
        [float(floor.get((t.hour, t.day_of_week >= 5), 0.0)), float(ceiling.get((t.hour, t.day_of_week >= 5), 0.0))]
        for t in shown.index
    ]
    return {"title": "Calls by the hour", "unit": "calls", "window": "hour",
            "points": [[iso(t), float(v)] for t, v in shown.items()], "band": band, "flagged": ranges,
            "note": None}  # fmt: skip


def _new_values(new: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
    listed_values = []
    for kind, rows in new.items():
        total = int(rows["before"].sum())
        listed = rows.head(4) if len(rows) <= 5 else pd.concat([rows.head(3), rows.tail(1)])
        listed_values += [
            {"kind": explain.VALUES[kind][0], "value": str(row.value), "mark": explain.mark(int(row.before), total),
             "now": int(row.now), "before": int(row.before), "before_days": 28}
            for row in listed.itertuples()
        ]  # fmt: skip
    return listed_values


def _examples(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Calls of an incident as the page lists them."""
    return [
        {"time": iso(r.time), "from": _text(r.src), "client": _text(r.user_agent), "operation": r.operation,
         "object": _text(r.resource_uid), "answer": _text(r.status_code) or "ok",
         "response_bytes": None if pd.isna(r.response_bytes) else int(r.response_bytes), "token_uid": r.token_uid}
        for r in rows.itertuples()
    ]  # fmt: skip


def _second_opinion(judgement: Judgement, incident: pd.Series) -> dict[str, Any] | None:
    """What the PyOD detectors of the panel say of the incident's most unusual day: each against its held-out days."""
    rows = judgement.scores
    of_panel = rows[(rows["channel"] == "panel") & (rows["profile_uid"] == incident["profile_uid"])]
    inside = of_panel[(of_panel["start"] >= incident["start"].normalize()) & (of_panel["start"] < incident["end"])]
    if inside.empty:
        return None
    day = inside.loc[inside["raw_bits"].idxmax()]
    whole = sum(day["parts"].values()) or 1.0  # parts were scaled with the calibrated score; their shares were not
    bits = {n.removeprefix("panel_"): len(day["parts"]) * day["raw_bits"] * b / whole for n, b in day["parts"].items()}
    yes = [n for n, b in bits.items() if b >= OPINION_BITS]
    no = [n for n in bits if n not in yes]
    text = f"none of {', '.join(no)} calls its most unusual day one of the 1% most unusual."
    if yes:
        others = f"; {' and '.join(no)} {'do' if len(no) > 1 else 'does'} not" if no else ""
        verb = "call" if len(yes) > 1 else "calls"
        text = f"{' and '.join(yes)} {verb} its most unusual day one of the 1% most unusual{others}."
    return {"name": "PyOD", "percentile": float(1 - 2.0 ** -day["raw_bits"]), "agrees": len(yes) > len(no),
            "members": {n: n in yes for n in bits}, "text": text}  # fmt: skip
