"""Card: one incident of the facts, put into the words and rows that its card, its line and its place in a list show."""

from typing import Any

from markupsafe import Markup

from tokenkit.report import figures, words
from tokenkit.report.parts import render

Facts = dict[str, Any]

LINES = 3  # reasons written out; the others become one row, up to 100%
NEW_VALUES = 8

# what is undone, and how: true of the verb wherever it is applied
_UNDO = {
    "lock": ("It can be undone.", "Set the key active again, or hand out the new one; nothing is deleted."),
    "restrict": ("It can be lifted.", "Remove the limit."),
    "step_up": ("It can be lifted.", "Stop asking for it."),
    "notify": ("Nothing is locked.", "Nothing is changed, so nothing has to be undone."),
}
_MARKS = {
    "UNSEEN": "the token never showed the value before",
    "RARE": "in fewer than 1 of its 1,000 calls before",
    "INFREQUENT": "in fewer than 1 of its 20 calls before",
    "FREQUENT": "everyday for it",
}


def anchor(incident: Facts) -> str:
    """The id of a card on the page: the incident's own, so that a link holds from night to night."""
    return "".join(c for c in str(incident["incident_uid"]) if c.isalnum() or c in "_-")


def name(incident: Facts) -> str:
    """What the token is called."""
    token = incident.get("token") or {}
    return words.clean(token.get("label") or token.get("principal") or token.get("mask") or incident["profile_uid"], 80)


def holder(incident: Facts) -> tuple[str, str]:
    """Who answers for the token, and the team or what is wrong; no name where nobody does."""
    owner = incident.get("owner") or {}
    who, team, status = owner.get("name"), owner.get("team"), owner.get("status") or ""
    if status == "orphaned":
        left = f"{who} has left" if who else "The owner has left"
        return "", f"{left}; ask {team}" if team else left
    if status == "ambiguous":
        return "", f"Two owners are recorded: {who}" if who else "Two owners are recorded"
    if not who:
        return (team, "") if team else ("", "No owner is recorded")
    return who, team or ""


def since(incident: Facts) -> list[str]:
    """When it began, in lines: days for what lasts days, else the hour in UTC and with the owner."""
    if (incident.get("timeline") or {}).get("window") == "day":
        n = incident.get("n_days") or incident.get("n_windows") or 0
        a, b = words.moment(incident["start"]), words.moment(incident["end"])
        days = round((b - a).total_seconds() / 86400) if a and b else n
        if days <= 1:
            return ["one day"]
        if n < days:
            return [f"{n} of {words.plural(days, 'day')}"]
        return [f"{words.plural(days, 'day')} in a row"]
    zone = (incident.get("owner") or {}).get("timezone")
    here, _, there = words.clock(incident["start"], zone).partition(" / ")
    return [f"{here} /", there] if there else [here]


def line(incident: Facts) -> Facts:
    """The incident as one row of *In one minute* and of the list of those that are not written out."""
    owner, team = holder(incident)
    action, sure = incident.get("action") or {}, incident.get("sure") or {}
    return {
        "uid": anchor(incident),
        "short": incident.get("short") or incident.get("headline") or name(incident),
        "detail": words.sentence(incident.get("detail")),
        "owner": owner,
        "team": team,
        "day": incident["start"],
        "since": since(incident),
        "sure": sure.get("level") or "low",
        "sure_text": words.sentence(sure.get("text")),
        "do": action.get("title") or "Ask the owner",
        "undo": _UNDO.get(action.get("verb") or "", ("", ""))[0],
        "otherwise": words.sentence((incident.get("if_nothing") or [""])[0]),
        "risk": incident.get("risk"),
    }


def answer(given: Facts | None) -> str:
    """Who answered what, and when, in one sentence; nothing where nobody did.

    Examples
    --------
    >>> answer({"verdict": "true_positive", "who": "ana", "made_time": "2026-03-03T09:12:00Z", "reason": "in a gist"})
    'Confirmed by ana on Tue 3 Mar: in a gist.'
    """
    if not given:
        return ""
    by = f" by {words.clean(given['who'], 60)}" if given.get("who") else ""
    on = f" on {words.day(given.get('made_time'))}" if given.get("made_time") else ""
    day = words.day(f"{given['until']}T00:00:00Z") if given.get("until") else ""
    text = {
        "true_positive": f"Confirmed{by}{on}",
        "false_positive": f"Called a false alarm{by}{on}",
        "suppressed": f"Suppressed until {day}{by}{on}",
    }.get(given.get("verdict") or "", f"Answered{by}{on}")
    if given.get("expired"):
        text = f"It was suppressed until {day}{by}; that day has come and it goes on"
    elif given.get("verdict") == "suppressed" and not given.get("closes"):
        text = f"Suppressed in part until {day}{by}; what is not goes on"
    return words.sentence(f"{text}: {words.clean(given.get('reason'), 200)}" if given.get("reason") else text)


def place(number: int, incident: Facts, known_before: bool) -> str:
    """What kind of news it is."""
    state = incident.get("state")
    if ended := incident.get("ended"):
        news = f"ended on {words.last_day(ended)}"
    elif state == "grown":
        news = "grew since the last report" if known_before else "still growing"
    elif state == "quiet":
        news = f"quiet since {words.day(incident.get('last_seen'))}"
    elif state == "closed":
        news = "closed"
    elif known_before and incident.get("new_since_last"):
        news = "new since the last report"
    else:
        news = f"raised {words.instant(incident.get('created_time'))}"
    return f"Incident {number}: {news}"


def card(number: int, incident: Facts, known_before: bool) -> Facts:
    """Everything a card shows, in its order."""
    uid = anchor(incident)
    timeline = incident.get("timeline") or {}
    return {
        "uid": uid,
        "place": place(number, incident, known_before),
        "risk": incident.get("risk"),
        "risk_level": incident.get("risk_level"),
        "headline": words.clean(incident.get("headline") or incident.get("short") or name(incident), 300),
        "facts": _facts(incident),
        "caption": _caption(incident),
        **_reasons(incident),
        "opinion": _opinion(incident),
        "figure_title": timeline.get("title"),
        "figure_note": timeline.get("note"),
        "figure": figures.timeline(timeline, f"t-{uid[-8:]}", name(incident)) if timeline.get("points") else "",
        **_new_values(incident),
        "explanations": incident.get("explanations") or [],
        "cleared": "Cleared once the owner has named the reason, and what is marked above is explained by it.",
        "action": _action(incident),
        "if_nothing": incident.get("if_nothing") or [],
        **_evidence(incident),
        **_score(incident, uid),
        "attack": _attack(incident),
    }


def _facts(incident: Facts) -> list[tuple[str, list[Markup | str]]]:
    """The eight facts, each in lines; what is not known is left out."""
    owner, sure = incident.get("owner") or {}, incident.get("sure") or {}
    who, team = holder(incident)
    known, day = incident.get("known_days"), words.day(incident["start"])
    nobody = Markup('<span class="hot">Nobody</span>')
    began = [Markup('<span class="keep">{}</span>').format(line) for line in since(incident)]
    rows: list[tuple[str, list[Markup | str]]] = [
        ("Token", _token(incident)),
        ("Answer", [answer(incident.get("answer"))]),
        ("Owner", [_bold(render.bdi(who, 80)) if who else nobody, render.bdi(team, 120), _address(owner)]),
        ("Since", [_bold(render.time(incident["start"], day)), *began, _last(incident)]),
        ("How sure", [_sure(sure.get("level")), words.sentence(sure.get("text"))]),
        ("What it is for", [render.bdi(incident.get("purpose")), render.bdi(depends(incident))]),
        ("What it may do", [render.bdi(incident.get("scopes"), 160)]),
        ("Taken so far", [words.sentence(incident.get("taken"))]),
        (
            "How well we know it",
            [f"{words.plural(int(known), 'day')} of history" if known is not None else "", _maturity(incident)],
        ),
    ]
    kept = [(term, [text for text in lines if text]) for term, lines in rows]
    return [(term, lines) for term, lines in kept if lines]


def _bold(text: Markup) -> Markup:
    return Markup("<b>{}</b>").format(text)


def _token(incident: Facts) -> list[Markup | str]:
    """Its name and mask, and the ids of the credentials concerned."""
    mask, uids = (incident.get("token") or {}).get("mask"), incident["token_uids"]
    label = render.bdi(name(incident), 80)
    if mask and words.clean(mask) != words.clean(name(incident)):
        label += Markup(' <span class="keep">({})</span>').format(render.bdi(mask, 40))
    ids: list[Markup | str] = [
        Markup('<span class="id">{}...</span>').format(words.clean(u, 80)[:17]) for u in uids[:2]
    ]
    return [label, *ids, *([f"and {len(uids) - 2} more keys"] if len(uids) > 2 else [])]


def depends(row: Facts) -> str:
    """Where the token works, and how much depends on it."""
    critical = words.clean(row.get("criticality"), 40)
    texts = (words.clean(row.get("environment"), 40), f"{critical} criticality" if critical else "")
    return ", ".join(text for text in texts if text)


def timeline_of(incident: Facts) -> str:
    """Whether the incident is one of hours or of days."""
    return (incident.get("timeline") or {}).get("window") or "hour"


def _address(owner: Facts) -> Markup:
    """The owner's address, which may break after the @."""
    before, at, after = words.clean(owner.get("email"), 80).partition("@")
    if not at or owner.get("status") in ("orphaned", "ambiguous"):
        return Markup("")
    return Markup("{}@<wbr>{}").format(before, after)


def _last(incident: Facts) -> str:
    """When it was last seen; the day is named where it is another one."""
    last = incident.get("last_seen")
    if not words.moment(last):
        return ""
    same_day = words.day(last) == words.day(incident["start"])
    return f"last seen {words.clock(last) if same_day else words.instant(last)}"


def _sure(level: str | None) -> Markup:
    macros = render.environment().get_template("parts/macros.html.j2").module
    return Markup(macros.sure(level or "low"))  # type: ignore[attr-defined]


def _maturity(incident: Facts) -> str:
    if incident.get("maturity") == "young":
        return "judged by its peers only"
    return "judged by its own past" if incident.get("maturity") == "mature" else ""


def _caption(incident: Facts) -> str:
    peers, group = incident.get("peers"), words.clean(incident.get("peer_group"), 80)
    if not peers:
        return "Shares add up to 100%. It has no peers to be compared with."
    return f"Shares add up to 100%. Peers: {words.plural(peers, 'other token')}{f', {group}' if group else ''}."


def _reasons(incident: Facts) -> Facts:
    """The first reasons as rows, the others as one."""
    every = sorted(incident.get("reasons") or [], key=lambda r: -(r.get("share") or 0))
    whole = words.percents([r.get("share") or 0.0 for r in every])
    # one more than the limit is written out too: a rest of one says less in no less space
    shown = len(every) if len(every) <= LINES + 1 else LINES
    rows = [
        {**r, "percent": p, "observed": r.get("observed") or words.sentence(r.get("sentence"))}
        for r, p in zip(every[:shown], whole, strict=False)
    ]
    rest = list(zip(every[shown:], whole[shown:], strict=True))
    if not rest:
        return {"reasons": rows, "rest": None}
    named = ", ".join(f"{words.inside(words.clean(r.get('title'), 60))} ({p}%)" for r, p in rest[:4])
    others = " and others" if len(rest) > 4 else ""
    text = f"{words.number(len(rest)).capitalize()} smaller signs: {named}{others}"
    share = sum(r.get("share") or 0 for r, _ in rest)
    return {"reasons": rows, "rest": {"percent": sum(p for _, p in rest), "share": share, "text": text}}


def _opinion(incident: Facts) -> str:
    opinion = incident.get("second_opinion")
    if not opinion:
        return ""
    text = words.inside(opinion["text"])
    return f"Second opinion ({words.clean(opinion['name'], 60)}): {text}{'' if text[-1:] in '.?!' else '.'}"


def _new_values(incident: Facts) -> Facts:
    order = list(_MARKS)
    values = sorted(
        incident.get("new_values") or [], key=lambda v: order.index(v["mark"]) if v.get("mark") in order else 9
    )
    new = [v for v in values if v.get("mark") not in ("FREQUENT", None)]
    values = (new or values)[:NEW_VALUES]
    rows = [
        {
            **v,
            "mark": v["mark"] if v.get("mark") in _MARKS else "FREQUENT",
            "now": words.plural(v.get("now"), "call"),
            "before": words.plural(v["before"], "call") if v.get("before") else "none",
        }
        for v in values
    ]
    used = [mark for mark in _MARKS if any(r["mark"] == mark for r in rows)]
    days = values[0].get("before_days") if values else None
    return {
        "new_values": rows,
        "new_title": "What is new" if new else "Nothing new: what it used",
        "before": f"{words.plural(round(days), 'day')} before" if days else "Before",
        "marks": " ".join(f"{mark}: {_MARKS[mark]}." for mark in used),
    }


def _action(incident: Facts) -> Facts | None:
    action = incident.get("action")
    if not action:
        return None
    undo = action.get("undo") or _UNDO.get(action.get("verb") or "", ("", ""))[1]
    only = f"notify only: {action['why_not']}" if action.get("why_not") else ""
    pairs = [("Cost", action.get("cost")), ("Undo", undo), ("Who decides", action.get("who")), ("By tokenkit", only)]
    return {
        **action,
        "title": action.get("title") or "Ask the owner",
        "how": action.get("how") or [],
        "pairs": [(k, v) for k, v in pairs if v],
    }


def _evidence(incident: Facts) -> Facts:
    rows = (incident.get("evidence") or [])[:10]
    days = {words.day(e.get("time")) for e in rows}
    shown = [{**e, "when": _second(e.get("time"), len(days) > 1)} for e in rows]
    total = incident.get("evidence_total")
    one_day = f", {days.pop()}" if len(days) == 1 else ""
    count = f"{len(rows)} of {words.plural(total, 'call')}{one_day}" if total else f"{len(rows)} calls{one_day}"
    return {"evidence": shown, "evidence_count": count}


def _second(when: str | None, with_day: bool) -> str:
    t = words.moment(when)
    return "" if t is None else (f"{words.day(t)}, " if with_day else "") + f"{t:%H:%M:%S}"


def _score(incident: Facts, uid: str) -> Facts:
    numbers = ("value", "expected", "bits")
    windows = words.plural(incident.get("n_windows"), timeline_of(incident))
    raised = words.joined(words.clean(c, 40) for c in incident.get("channels") or [])
    score, limit = incident.get("score_bits") or 0.0, incident.get("threshold_bits") or 0.0
    return {
        "score": f"{score:.1f} points against a line of {limit:.1f}.",
        "score_figure": figures.score(incident, f"s-{uid[-8:]}"),
        "parts": [{**r, **{k: _plain(r.get(k)) for k in numbers}} for r in incident.get("reasons") or []],
        "made_of": f"Raised by {raised or 'no channel'}, in {windows or 'its windows'}. Values are those of the "
        "strongest window; points are bits of surprise, and they add up.",
    }


def _plain(value: Any) -> str:
    if value is None or isinstance(value, str):
        return words.clean(value, 40)
    return words.count(value) if abs(value) >= 1000 else f"{value:.3g}"


def _attack(incident: Facts) -> str:
    known = incident.get("attack") or []
    named = [f"{words.clean(a.get('technique'), 20)} {words.clean(a.get('name'), 80)}".strip() for a in known]
    return f"MITRE ATT&CK: {', '.join(named)}." if named else ""
