"""Record: one incident as everything that the page, the findings for machines and a person at the desk need to know.

Reads  Judgement, the activity and events of the profiles concerned. Writes nothing.
"""

from collections.abc import Collection
from typing import Any, cast

import duckdb
import numpy as np
import pandas as pd

from tokenkit.config import Workspace
from tokenkit.fingerprint import features
from tokenkit.incidents import advice, explain, labels, merge, risk, words
from tokenkit.judge.judgement import Judgement
from tokenkit.normal import baseline
from tokenkit.schema.incident import Incident
from tokenkit.store import engine, lake

TOKENS_LISTED = 25
EVIDENCE = 10
ENDED = pd.Timedelta("2D")  # without a flagged window before the end of the period, and an incident is over
TIMELINE_HOURS = 72
OPINION_BITS = -np.log2(0.01)
HIGH_NIGHTS, MEDIUM_NIGHTS = 365, 30  # once a year, once a month: how rarely chance alone would do it


def records(workspace: Workspace, judgement: Judgement, previous: Collection[str] = ()) -> list[Incident]:
    """Every incident of the reported days, labelled ones too (``answer``): confirmed misuse first, then by risk.

    Parameters
    ----------
    previous : ids of the incidents that the report before this one had
    """
    people, mapped = judgement.population.people, judgement.population.tokens
    incidents = []
    credentials = lake.read(workspace.lake, "dim_token").to_pandas().set_index("token_uid")
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        views(connection, workspace, judgement)
        for _, incident in merge.summary(judgement.windows).iterrows():
            windows = judgement.windows[judgement.windows["incident_uid"] == incident["incident_uid"]]
            state = merge.state(windows, judgement.periods.start, judgement.periods.end)
            if state == "closed":
                continue
            own = mapped[mapped["profile_uid"] == incident["profile_uid"]]
            own = own.join(credentials[["principal_token_uid", "role_token_uid"]], on="token_uid")
            connection.register("concerned", own[["token_key"]])
            record = _record(connection, judgement, incident, people.loc[incident["profile_uid"]], own, mapped)
            answer = labels.answer_of(judgement.labels, windows)
            new = incident["incident_uid"] not in previous
            incidents.append(record | {"state": state, "new_since_last": new, "answer": answer})
    return cast(list[Incident], sorted(incidents, key=_order))


def _order(record: dict[str, Any]) -> tuple[bool, bool, int, float, str]:
    """Sort key: incidents that go on before quiet ones, among them confirmed misuse first, then by risk."""
    confirmed = (record["answer"] or {}).get("verdict") == "true_positive"
    quiet = record["state"] == "quiet"
    return quiet, not confirmed, -record["risk"], -record["score_bits"], record["incident_uid"]


def views(connection: duckdb.DuckDBPyConnection, workspace: Workspace, judgement: Judgement) -> None:
    """The tables that records are made from, by name, on one connection; ``concerned`` is the incident's tokens."""
    for name in ("activity_hour", "activity_network", "activity_client", "activity_operation", "events"):
        lake.scan(connection, workspace.lake, name, judgement.periods.first, judgement.periods.end).create_view(name)
    for name in ("dim_network", "dim_client", "dim_operation", "seen"):
        lake.scan(connection, workspace.lake, name).create_view(name)


def iso_text(moment: pd.Timestamp) -> str:
    """ISO 8601 in UTC to the second."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def iso(moment: Any) -> str | None:
    """ISO 8601 in UTC to the second, or None."""
    return None if moment is None or pd.isna(moment) else pd.Timestamp(moment).strftime("%Y-%m-%dT%H:%M:%SZ")


def _record(
    connection: duckdb.DuckDBPyConnection, judgement: Judgement, incident: pd.Series, person: pd.Series,
    own: pd.DataFrame, mapped: pd.DataFrame,
) -> dict[str, Any]:  # fmt: skip
    start, end = incident["start"], min(incident["end"], pd.Timestamp(judgement.periods.end, tz="UTC"))
    since = start - pd.Timedelta(days=28)
    new = {kind: explain.values_of(connection, kind, start, end, since) for kind in explain.VALUES}
    users = {kind: _users(connection, judgement, incident, mapped, kind, new[kind]) for kind in explain.VALUES}
    reasons = explain.reasons(incident, judgement.evidence, new, users)
    story = advice.kind(incident["parts"])
    certainty = sure(incident, judgement.judged_profiles)
    label = str(person["label"])
    long, short, detail = advice.headline(story, label, reasons)
    value = risk.risk(incident["score_bits"], person["criticality"], person["owner_status"])
    evidence, calls, last_seen = _evidence(connection, start, end, new)
    ended = end if pd.Timestamp(judgement.periods.end, tz="UTC") - end > ENDED else None
    k = _row_of(judgement, incident["profile_uid"])
    return {
        "incident_uid": incident["incident_uid"],
        "profile_uid": incident["profile_uid"],
        "token_uids": _concerned(incident["profile_uid"], own, evidence),
        "start": iso(start),
        "end": iso(end),
        "created_time": iso(incident["created_time"]),
        "last_seen": last_seen or iso(end),
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
        "known_days": _known_days(judgement, k, start),
        **_peers(judgement, k),
        "sure": certainty,
        "taken": _amount_in_words(judgement, k, incident, calls),
        "reasons": reasons,
        "timeline": timeline(connection, judgement, incident, reasons),
        "new_values": _new_values(new),
        "explanations": advice.explanations(story, reasons, person),
        "action": advice.action(story, person, certainty["level"]),
        "if_nothing": advice.if_nothing(story, reasons, ended),
        "evidence": evidence,
        "evidence_total": calls,
        "second_opinion": _second_opinion(judgement, incident),
        "attack": [{"technique": t, "name": advice.ATTACK[t], "checked": True} for t in advice.technique_ids(story)],
    }  # fmt: skip


def _text(value: Any) -> str | None:
    return None if value is None or (not isinstance(value, list) and pd.isna(value)) or value == "" else str(value)


def _row_of(judgement: Judgement, profile_uid: str) -> int | None:
    if judgement.evidence is None:
        return None
    rows = np.flatnonzero(judgement.evidence.days.profiles == profile_uid)
    return int(rows[0]) if len(rows) else None


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


def _users(
    connection: duckdb.DuckDBPyConnection, judgement: Judgement, incident: pd.Series, mapped: pd.DataFrame, kind: str,
    rows: pd.DataFrame,
) -> dict[int, int]:  # fmt: skip
    """How many other profiles of the peer group used each value before the incident."""
    if judgement.evidence is None or rows.empty:
        return {}
    peers = judgement.evidence.days.profiles[explain.peers_of(judgement.evidence, incident["profile_uid"])]
    of_peers = mapped[mapped["profile_uid"].isin(set(peers) - {incident["profile_uid"]})]
    connection.register("peers", of_peers[["token_key", "profile_uid"]])
    connection.register("wanted", rows[["key"]].head(50))
    counts = connection.sql(
        f"select value_key, count(distinct profile_uid) from seen join peers using (token_key) join wanted on"
        f" wanted.key = value_key where kind = '{kind}' and first_day < date '{incident['start'].date()}' group by 1"
    ).fetchall()
    return dict(counts)


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
    connection: duckdb.DuckDBPyConnection, judgement: Judgement, incident: pd.Series, reasons: list[dict[str, Any]]
) -> dict[str, Any] | None:
    """The leading feature over time with its band of normal: hours around a sudden incident, days for amounts."""
    flagged = judgement.windows[judgement.windows["incident_uid"] == incident["incident_uid"]]
    ranges = [[iso(w.start), iso(w.end)] for w in flagged.sort_values("start").itertuples()]
    leading = reasons[0]["feature"]
    name = leading.removeprefix("drift_")
    if judgement.evidence is None or name not in features():
        return _hours(connection, judgement, incident, ranges)
    evidence, feature = judgement.evidence, features()[name]
    k, days = _row_of(judgement, incident["profile_uid"]), evidence.days
    assert k is not None
    center = baseline.expected(evidence.fits[name], feature, days)[k]
    sd = np.sqrt(baseline.variance(evidence.fits[name], feature, days)[k])
    last = int(np.flatnonzero(days.days < max(incident["end"], pd.Timestamp(judgement.periods.end, tz="UTC")))[-1])
    shown = range(max(0, last - 41), last + 1)
    values = np.nan_to_num(days.values[name][k])
    low, high = (np.nan_to_num(np.maximum(np.expm1(center + s * sd), 0.0)) for s in (-2.0, 2.0))
    title = f"{feature.doc.rstrip('.').split(',')[0].split(' (')[0]}, by day"
    return {
        "title": title, "unit": feature.unit, "window": "day",
        "points": [[iso(days.days[d]), float(values[d])] for d in shown],
        "band": [[float(low[d]), float(high[d])] for d in shown],
        "flagged": ranges, "note": None,
    }  # fmt: skip


def _hours(
    connection: duckdb.DuckDBPyConnection, judgement: Judgement, incident: pd.Series, ranges: list[Any]
) -> dict[str, Any]:
    """Calls by the hour around an incident; normal is the middle 90% of that hour on such days before it."""
    start = incident["start"].floor("D") - pd.Timedelta("1D")
    end = min(incident["end"].ceil("D") + pd.Timedelta("1D"), pd.Timestamp(judgement.periods.end, tz="UTC"))
    if end - start > pd.Timedelta(hours=TIMELINE_HOURS * 3):
        end = start + pd.Timedelta(hours=TIMELINE_HOURS * 3)
    past = max(start - pd.Timedelta(days=28), pd.Timestamp(judgement.periods.first, tz="UTC"))
    low, high = int(past.timestamp()), int(end.timestamp())
    counted = connection.sql(
        "select hour_s, sum(requests)::bigint as n from activity_hour join concerned using (token_key)"
        f" where hour_s >= {low} and hour_s < {high} group by 1"
    ).df()
    hours = pd.date_range(past, end, freq="h", inclusive="left")
    series = pd.Series(0.0, index=hours)
    at = pd.to_datetime(counted["hour_s"], unit="s", utc=True)
    series.loc[at[at.isin(hours)]] = counted.loc[at.isin(hours).to_numpy(), "n"].to_numpy(dtype=float)
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


def _evidence(
    connection: duckdb.DuckDBPyConnection, start: pd.Timestamp, end: pd.Timestamp, new: dict[str, pd.DataFrame]
) -> tuple[list[dict[str, Any]], int, str | None]:
    """Ten calls of the incident, those with new values first, in order of time; how many there were, and the last."""
    fresh = {
        f"{kind}_key": [int(k) for k in rows.loc[rows["hours_before"] == 0, "key"].head(20)]
        for kind, rows in new.items()
    }
    scored = " + ".join(
        f"({column} in ({', '.join(map(str, keys))}))::int" for column, keys in fresh.items() if keys
    ) or "0"  # fmt: skip
    low, high = iso(start), iso(end)
    inside = (
        "from events join concerned using (token_key)"
        f" where day >= date '{start.date()}' and day <= date '{end.date()}'"
        f" and time >= timestamptz '{low}' and time < timestamptz '{high}'"
    )
    total, last = connection.sql(f"select count(*), max(time) {inside}").fetchall()[0]
    rows = connection.sql(
        "select * from (select time, coalesce(src_ip, src_svc) as src, user_agent, operation, resource_uid,"
        f" status_code, http_status, response_bytes, token_uid, event_key, {scored} as score {inside}"
        f" order by score desc, hash(event_key) limit {EVIDENCE}) order by time, event_key"
    ).df()
    listed = [
        {"time": iso(r.time), "from": _text(r.src), "client": _text(r.user_agent), "operation": r.operation,
         "object": _text(r.resource_uid), "answer": _text(r.status_code) or "ok",
         "response_bytes": None if pd.isna(r.response_bytes) else int(r.response_bytes), "token_uid": r.token_uid}
        for r in rows.itertuples()
    ]  # fmt: skip
    return listed, int(total), iso(last)


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
