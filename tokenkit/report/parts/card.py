"""Card: the texts and rows that an incident's card, and its row in a list, show."""

from collections.abc import Sequence

from markupsafe import Markup

from tokenkit.incidents import words
from tokenkit.report import figures
from tokenkit.report.parts import render
from tokenkit.report.parts.render import Values
from tokenkit.schema.facts import RiskyToken
from tokenkit.schema.incident import Answer, Incident, Level, Owner

LINES = 3  # reasons written out; the others become one row, up to 100%
NEW_VALUES = 8
SCOPES_NAMED = 6

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


def anchor(incident: Incident) -> str:
    """The id of a card on the page: the incident's own, so that a link holds from night to night."""
    return "".join(c for c in str(incident["incident_uid"]) if c.isalnum() or c in "_-")


def name(incident: Incident) -> str:
    """What the token is called."""
    token = incident["token"]
    return words.clean(token["label"] or token["principal"] or token["mask"] or incident["profile_uid"], 80)


def holder(incident: Incident) -> tuple[str, str]:
    """Who answers for the token, and the team or what is wrong; no name where nobody does."""
    owner = incident["owner"]
    who, team, status = owner["name"], owner["team"], owner["status"]
    if status == "orphaned":
        left = f"{who} has left" if who else "The owner has left"
        return "", f"{left}; ask {team}" if team else left
    if status == "ambiguous":
        return "", f"Two owners are recorded: {who}" if who else "Two owners are recorded"
    if not who:
        return (team, "") if team else ("", "No owner is recorded")
    return who, team or ""


def since(incident: Incident) -> list[str]:
    """When it began, in lines: days for what lasts days, else the hour in UTC and with the owner."""
    if incident["timeline"]["window"] == "day":
        n = incident["n_days"]
        a, b = words.moment(incident["start"]), words.moment(incident["end"])
        days = round((b - a).total_seconds() / 86400) if a and b else n
        if days <= 1:
            return ["one day"]
        if n < days:
            return [f"{n} of {words.plural(days, 'day')}"]
        return [f"{words.plural(days, 'day')} in a row"]
    utc, _, local = words.clock(incident["start"], incident["owner"]["timezone"]).partition(" / ")
    return [f"{utc} /", local] if local else [utc]


def row(incident: Incident) -> Values:
    """The incident as one row of *In one minute* and of the list of those that are not written out."""
    owner, team = holder(incident)
    action, sure = incident["action"], incident["sure"]
    return {
        "uid": anchor(incident),
        "short": incident["short"],
        "detail": words.sentence(incident["detail"]),
        "owner": owner,
        "team": team,
        "day": incident["start"],
        "since": since(incident),
        "sure": sure["level"],
        "sure_text": words.sentence(sure["text"]),
        "do": action["title"],
        "undo": "It cannot be undone." if action.get("irreversible") else _UNDO[action["verb"]][0],
        "otherwise": words.sentence(next(iter(incident["if_nothing"]), "")),
        "risk": incident["risk"],
    }


def confirmed(incident: Incident) -> bool:
    """Whether somebody confirmed that the token was misused."""
    answer = incident["answer"]
    return answer is not None and answer["verdict"] == "true_positive"


def answer_text(answer: Answer | None) -> str:
    """Who answered what, and when, in one sentence; empty where nobody did.

    Examples
    --------
    >>> answer_text({"verdict": "true_positive", "who": "ana", "made_time": "2026-03-03T09:12:00Z",
    ...              "reason": "in a gist", "until": None, "uid": "lab1_0", "closes": False, "expired": False})
    'Confirmed by ana on Tue 3 Mar: in a gist.'
    """
    if answer is None:
        return ""
    by = f" by {words.clean(answer['who'], 60)}" if answer["who"] else ""
    on = f" on {words.day(answer['made_time'])}"
    day = words.day(f"{answer['until']}T00:00:00Z") if answer["until"] else ""
    text = {
        "true_positive": f"Confirmed{by}{on}",
        "false_positive": f"Called a false alarm{by}{on}",
        "suppressed": f"Suppressed until {day}{by}{on}",
    }.get(answer["verdict"], f"Answered{by}{on}")
    if answer["expired"]:
        text = f"It was suppressed until {day}{by}; that day has come and it goes on"
    elif answer["verdict"] == "suppressed" and not answer["closes"]:
        text = f"Suppressed in part until {day}{by}; what is not goes on"
    return words.sentence(f"{text}: {words.clean(answer['reason'], 200)}" if answer["reason"] else text)


def number_and_news(number: int, incident: Incident, has_previous: bool) -> str:
    """The number of the incident on the page, and what is new about it.

    ``has_previous`` says whether there was a report before this one.
    """
    state = incident["state"]
    if ended := incident["ended"]:
        news = f"ended on {words.last_day(ended)}"
    elif state == "grown":
        news = "grew since the last report" if has_previous else "still growing"
    elif state == "quiet":
        news = f"quiet since {words.day(incident['last_seen'])}"
    elif state == "closed":
        news = "closed"
    elif has_previous and incident["new_since_last"]:
        news = "new since the last report"
    else:
        news = f"raised {words.instant(incident['created_time'])}"
    return f"Incident {number}: {news}"


def card(number: int, incident: Incident, has_previous: bool, every: Sequence[Incident] = ()) -> Values:
    """Everything a card shows, in its order; ``every`` incident of the page, for those of the same token."""
    uid, timeline = anchor(incident), incident["timeline"]
    return {
        "uid": uid,
        "place": number_and_news(number, incident, has_previous),
        "risk": incident["risk"],
        "risk_level": incident["risk_level"],
        "headline": words.clean(incident["headline"], 300),
        "facts": _facts(incident, [_link(i) for i in every if _is_other_of_token(i, incident)]),
        "caption": _caption(incident),
        **_reasons(incident),
        "opinion": _opinion(incident),
        "figure_title": timeline["title"],
        "figure_note": timeline["note"],
        "figure": figures.timeline(timeline, f"t-{uid[-8:]}", name(incident)),
        **_new_values(incident),
        "explanations": incident["explanations"],
        "cleared": "Cleared once the owner has named the reason, and what is marked above is explained by it.",
        "action": _action(incident),
        "if_nothing": incident["if_nothing"],
        **_evidence(incident),
        **_score(incident, uid),
        "attack": _attack(incident),
    }


def _is_other_of_token(one: Incident, incident: Incident) -> bool:
    same_token = one["profile_uid"] == incident["profile_uid"]
    return same_token and one["incident_uid"] != incident["incident_uid"]


def _link(incident: Incident) -> Markup:
    """Another incident on the page, and when it began."""
    began = render.time(incident["start"], words.day(incident["start"]))
    return Markup('<a href="#{}">{}</a>, {}').format(anchor(incident), render.bdi(incident["short"], 120), began)


def _facts(incident: Incident, others: list[Markup]) -> list[tuple[str, list[Markup | str]]]:
    """The facts, each in lines; what is not known is left out. ``others``: incidents of the same token."""
    sure, day = incident["sure"], words.day(incident["start"])
    who, team = holder(incident)
    nobody = Markup('<span class="hot">Nobody</span>')
    began = [Markup('<span class="keep">{}</span>').format(line) for line in since(incident)]
    rows: list[tuple[str, list[Markup | str]]] = [
        ("Token", _token(incident)),
        ("Answer", [answer_text(incident["answer"])]),
        ("Owner", [_bold(render.bdi(who, 80)) if who else nobody, render.bdi(team, 120), _address(incident["owner"])]),
        ("Since", [_bold(render.time(incident["start"], day)), *began, _last(incident)]),
        ("Of the same token", [*others]),
        ("How sure", [_sure(sure["level"]), words.sentence(sure["text"])]),
        ("What it is for", [render.bdi(incident["purpose"]), render.bdi(where_used(incident))]),
        ("What it may do", [render.bdi(incident["scopes"], 160), *_unused(incident)]),
        ("What it usually calls", _usual_calls(incident)),
        ("Taken so far", [words.sentence(incident["taken"])]),
        (
            "How well we know it",
            [f"{words.plural(incident['known_days'], 'day')} of history", _maturity(incident)],
        ),
    ]
    without_blanks = [(term, [text for text in lines if text]) for term, lines in rows]
    return [(term, lines) for term, lines in without_blanks if lines]


def _bold(text: Markup) -> Markup:
    return Markup("<b>{}</b>").format(text)


def _token(incident: Incident) -> list[Markup | str]:
    """Its name and mask, and the ids of the credentials concerned."""
    mask, uids = incident["token"]["mask"], incident["token_uids"]
    label = render.bdi(name(incident), 80)
    if mask and words.clean(mask) != words.clean(name(incident)):
        label += Markup(' <span class="keep">({})</span>').format(render.bdi(mask, 40))
    ids: list[Markup | str] = [
        Markup('<span class="id">{}...</span>').format(words.clean(u, 80)[:17]) for u in uids[:2]
    ]
    return [label, *ids, *([f"and {len(uids) - 2} more keys"] if len(uids) > 2 else [])]


def where_used(token: Incident | RiskyToken) -> str:
    """Where the token works, and how much depends on it."""
    critical = words.clean(token["criticality"], 40)
    texts = (words.clean(token["environment"], 40), f"{critical} criticality" if critical else "")
    return ", ".join(text for text in texts if text)


def _address(owner: Owner) -> Markup:
    """The owner's address, which may break after the @."""
    before, at, after = words.clean(owner["email"], 80).partition("@")
    if not at or owner["status"] in ("orphaned", "ambiguous"):
        return Markup("")
    return Markup("{}@<wbr>{}").format(before, after)


def _unused(incident: Incident) -> list[Markup | str]:
    """The scopes that no call of the four weeks before has a word of."""
    names = incident["unused_scopes"]
    if not names:
        return []
    more = f" and {len(names) - SCOPES_NAMED} more" if len(names) > SCOPES_NAMED else ""
    named = Markup(", ").join(render.bdi(name, 60) for name in names[:SCOPES_NAMED])
    return [Markup("no call of the 4 weeks before has a word of: {}{}").format(named, more)]


def _usual_calls(incident: Incident) -> list[Markup | str]:
    """The operations that it called most in the four weeks before, and how many others."""
    named = incident["called_before"]
    rest = incident["kinds_called_before"] - len(named)
    lines: list[Markup | str] = [
        Markup("{} <span>({})</span>").format(render.bdi(operation, 80), words.plural(calls, "call"))
        for operation, calls in named
    ]
    lines += [f"and {words.plural(rest, 'other kind')} of call"] if rest else []
    return [*lines, "in the 4 weeks before"] if named else []


def _last(incident: Incident) -> str:
    """When it was last seen; the day is named where it is another one."""
    last = incident["last_seen"]
    same_day = words.day(last) == words.day(incident["start"])
    return f"last seen {words.clock(last) if same_day else words.instant(last)}"


def _sure(level: Level) -> Markup:
    macros = render.environment().get_template("parts/macros.html.j2").module
    return Markup(macros.sure(level))  # type: ignore[attr-defined]


def _maturity(incident: Incident) -> str:
    texts = {"young": "judged by its peers only", "mature": "judged by its own past"}
    return texts.get(incident["maturity"], "")


def _caption(incident: Incident) -> str:
    peers, group = incident["peers"], words.clean(incident["peer_group"], 80)
    if not peers:
        return "Shares add up to 100%. It has no peers to be compared with."
    return f"Shares add up to 100%. Peers: {words.plural(peers, 'other token')}{f', {group}' if group else ''}."


def _reasons(incident: Incident) -> Values:
    """The first reasons as rows, the others as one."""
    every = sorted(incident["reasons"], key=lambda r: -r["share"])
    percents = words.percents([r["share"] for r in every])
    # one more than the limit is written out too: a rest of one says less in no less space
    shown = len(every) if len(every) <= LINES + 1 else LINES
    rows = [{**r, "percent": p} for r, p in zip(every[:shown], percents, strict=False)]
    rest = list(zip(every[shown:], percents[shown:], strict=True))
    if not rest:
        return {"reasons": rows, "rest": None}
    named = ", ".join(f"{words.inside(words.clean(r['title'], 60))} ({p}%)" for r, p in rest[:4])
    others = " and others" if len(rest) > 4 else ""
    text = f"{words.number(len(rest)).capitalize()} smaller reasons: {named}{others}"
    share = sum(r["share"] for r, _ in rest)
    return {"reasons": rows, "rest": {"percent": sum(p for _, p in rest), "share": share, "text": text}}


def _opinion(incident: Incident) -> str:
    opinion = incident["second_opinion"]
    if opinion is None:
        return ""
    text = words.inside(opinion["text"])
    return f"Second opinion ({words.clean(opinion['name'], 60)}): {text}{'' if text[-1:] in '.?!' else '.'}"


def _new_values(incident: Incident) -> Values:
    order = list(_MARKS)
    values = sorted(incident["new_values"], key=lambda v: order.index(v["mark"]))
    new = [v for v in values if v["mark"] != "FREQUENT"]
    values = (new or values)[:NEW_VALUES]
    rows = [
        {
            **v,
            "now": words.plural(v["now"], "call"),
            "before": words.plural(v["before"], "call") if v["before"] else "none",
        }
        for v in values
    ]
    used = [mark for mark in _MARKS if any(v["mark"] == mark for v in values)]
    return {
        "new_values": rows,
        "new_title": "What is new" if new else "Nothing new: what it used",
        "before": f"{words.plural(values[0]['before_days'], 'day')} before" if values else "Before",
        "marks": " ".join(f"{mark}: {_MARKS[mark]}." for mark in used),
    }


def _action(incident: Incident) -> Values:
    action = incident["action"]
    undo = action.get("undo") or _UNDO[action["verb"]][1]
    only = f"notify only: {action['why_not']}" if action.get("why_not") else ""
    pairs = [("Cost", action["cost"]), ("Undo", undo), ("Who decides", action["who"]), ("By tokenkit", only)]
    return {**action, "pairs": [(k, v) for k, v in pairs if v]}


def _evidence(incident: Incident) -> Values:
    rows = incident["evidence"][:10]
    days = {words.day(e["time"]) for e in rows}
    shown = [{**e, "when": _second(e["time"], len(days) > 1)} for e in rows]
    total = incident["evidence_total"]
    one_day = f", {days.pop()}" if len(days) == 1 else ""
    count = f"{len(rows)} of {words.plural(total, 'call')}{one_day}" if total else f"{len(rows)} calls{one_day}"
    return {"evidence": shown, "evidence_count": count}


def _second(when: str, with_day: bool) -> str:
    t = words.moment(when)
    return "" if t is None else (f"{words.day(t)}, " if with_day else "") + f"{t:%H:%M:%S}"


def _score(incident: Incident, uid: str) -> Values:
    windows = words.plural(incident["n_windows"], incident["timeline"]["window"])
    channels = words.joined(words.clean(c, 40) for c in incident["channels"])
    rows = [
        {**r, "value": _plain(r["value"]), "expected": _plain(r["expected"]), "bits": _plain(r["bits"])}
        for r in incident["reasons"]
    ]
    return {
        "score": _score_and_threshold(incident),
        "score_figure": figures.score(incident, f"s-{uid[-8:]}"),
        "parts": rows,
        "made_of": f"Raised by {channels}, in {windows}. Values are those of the "
        "strongest window; points are bits of surprise, and they add up.",
    }


def _score_and_threshold(incident: Incident) -> str:
    """The score beside the threshold; a sum over several channels is not compared with the threshold of one."""
    score, threshold, n = incident["score_bits"], incident["threshold_bits"], len(incident["channels"])
    if n == 1:
        return f"{score:.1f} points against a threshold of {threshold:.1f}."
    ways = f"{words.number(n)} ways of looking"
    return f"{score:.1f} points in all, from {ways}. The strongest reached its own threshold, {threshold:.1f}."


def _plain(value: float | None) -> str:
    return "" if value is None else words.rounded(value)


def _attack(incident: Incident) -> str:
    names = [f"{words.clean(a['technique'], 20)} {words.clean(a['name'], 80)}" for a in incident["attack"]]
    return f"MITRE ATT&CK: {', '.join(names)}." if names else ""
