"""Answered: what people have answered and what goes on all the same: judged, listed, and out of the main list.

Reads  incidents.Findings, activity. Writes nothing. The first half makes facts, the second the section of the page.
"""

from typing import Any

import pandas as pd

from tokenkit import engine, lake
from tokenkit.config import Workspace
from tokenkit.incidents import Findings
from tokenkit.incidents.record import iso
from tokenkit.report import card
from tokenkit.report import words as say
from tokenkit.report.render import Part, part

Facts = dict[str, Any]


def confirmed(record: Facts) -> bool:
    """Whether somebody confirmed that the token was misused."""
    return (record.get("answer") or {}).get("verdict") == "true_positive"


def accepted(workspace: Workspace, found: Findings, people: pd.DataFrame, mapped: pd.DataFrame) -> list[dict[str, Any]]:
    """New normals that were accepted, the newest first, with what their tokens do in the reported days."""
    rows = found.said.labels
    rows = rows[rows["accept"].astype(bool)] if len(rows) else rows
    if rows.empty:
        return []
    periods = found.periods
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        lake.scan(connection, workspace.lake, "activity_hour", periods.start, periods.end).create_view("hour")
        connection.register("m", mapped[["token_key", "profile_uid"]])
        used = connection.sql(
            "select profile_uid, sum(requests)::bigint as requests, max(last_s) as last_s from hour"
            " join m using (token_key) group by 1"
        ).df().set_index("profile_uid")  # fmt: skip
    scores = found.scores[found.scores["start"] >= pd.Timestamp(periods.start, tz="UTC")]
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


def section(facts: Facts) -> Part:
    """What was answered or suppressed and still happens: who said so, why, until when, and what goes on."""
    rows = [
        {"uid": card.anchor(i), "label": card.name(i), "mask": (i.get("token") or {}).get("mask"),
         "short": i.get("short") or i.get("headline") or card.name(i), "answer": card.answer(i.get("answer")),
         "goes_on": _goes_on(i), "last": i.get("last_seen"), "last_text": say.instant(i.get("last_seen")),
         "score": _points(i.get("score_bits"))}
        for i in facts.get("answered") or []
    ]  # fmt: skip
    for i in facts.get("accepted") or []:
        by = f" by {say.clean(i['who'], 60)}" if i.get("who") else ""
        text = f"Accepted as normal{by} on {say.day(i.get('made_time'))}: {say.clean(i.get('reason'), 200)}"
        calls = say.plural(i.get("calls") or 0, "call")
        rows.append(
            {"uid": "", "label": i.get("label"), "mask": i.get("mask"),
             "short": f"What it did from {say.day(i.get('start'))} on is usual for it now",
             "answer": say.sentence(text), "goes_on": f"{calls} in these days", "last": i.get("last_seen"),
             "last_text": say.instant(i.get("last_seen")), "score": _points(i.get("score_bits"))}
        )  # fmt: skip
    lede = "Judged like everything else, and neither in the list above nor counted against the budget."
    return part("answered", rows=rows, lede=lede, kind="long" if len(rows) > 10 else "")


def _goes_on(incident: Facts) -> str:
    """What an answered incident does now."""
    state, calls = incident.get("state"), say.plural(incident.get("evidence_total") or 0, "call")
    if state == "quiet":
        return f"{calls} in all; nothing new in these days"
    return f"{calls}, {'began' if state == 'opened' else 'went on'} in these days"


def _points(bits: float | None) -> str:
    return "" if bits is None else f"{bits:.1f}"
