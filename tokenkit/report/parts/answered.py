"""Answered: what people have answered and what goes on all the same: judged, listed, and out of the main list.

Reads  incidents.Findings, activity. Writes nothing. The first half makes facts, the second the section of the page.
"""

from typing import Any

from tokenkit.report import words as say
from tokenkit.report.parts import card
from tokenkit.report.parts.render import Part, part

Facts = dict[str, Any]


def confirmed(record: Facts) -> bool:
    """Whether somebody confirmed that the token was misused."""
    return (record.get("answer") or {}).get("verdict") == "true_positive"


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
