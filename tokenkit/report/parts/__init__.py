"""Parts: the sections of the report, one function each, from facts (``gather``) to a Part.

In the order of the page: is something wrong, what and what to do about it (``front``), then who else, then whether to
believe it (``trust``). A function that has nothing to say about these facts returns an empty Part, so a notebook calls
them all.
"""

from collections.abc import Sized

from markupsafe import Markup

from tokenkit.incidents import words as say
from tokenkit.report import figures
from tokenkit.report.parts import card
from tokenkit.report.parts.front import (
    FIRST_DAYS,
    FULL_DAYS,
    all_tokens,
    brief,
    by_urgency,
    enough_history,
    ownerless,
    verdict,
)
from tokenkit.report.parts.render import Part, Values, part
from tokenkit.report.parts.trust import blind, by_owner, coverage_and_health, footer, words
from tokenkit.schema.facts import AcceptedChange, Facts, NotRaised
from tokenkit.schema.incident import Incident, Timeline

__all__ = [
    "active",
    "answered",
    "blind",
    "brief",
    "by_owner",
    "coverage_and_health",
    "footer",
    "incidents",
    "next_steps",
    "owners",
    "rare",
    "risk",
    "rules",
    "verdict",
    "watch",
    "words",
]

ROWS = 10  # of a table before the rest folds


def _kind(rows: Sized) -> str:
    """The class of a section: a long one may be divided in print, a short one stays together."""
    return "long" if len(rows) > ROWS else ""


def incidents(facts: Facts, top: int = 10) -> Part:
    """One card an incident: whose it is, why, what else it could be, what to do. The most urgent is open, then by risk.

    The ``top`` first are written out, and folded; of the others there is a line.

    Those in which nothing happened in these days stand under a heading of their own.
    """
    every = facts["incidents"]
    if not every:
        return Part("incidents")
    has_previous = facts["previous"] is not None
    of_tokens = [*every, *facts["answered"]]
    first = by_urgency(every)[0]  # that of the headline, which alone is not folded
    shown = [first, *(i for i in every if i is not first)]
    cards = [(i, card.card(n, i, has_previous, of_tokens)) for n, i in enumerate(shown[:top], 1)]
    known: set[str] = set()
    for i, made in cards:  # of an incident that was divided two know the former id, and a link leads to one
        made["anchors"] = [uid for uid in i["aliases"] if uid not in known]
        known.update(i["aliases"])
    quiet = sum(i["state"] == "quiet" for i in every)
    n = len(every) - quiet
    return part(
        "incidents",
        title="The incident" if n == 1 else f"The {say.number(n)} incidents" if n else "Incidents",
        lede="The most urgent first, then by risk. Each says whose token it is, why, what else it could be, what to do."
        if n else "None of these days; what is from before stands below.",
        cards=[c for i, c in cards if i["state"] != "quiet"],
        calm_title=f"{say.number(quiet).capitalize()} from before, quiet in these days" if quiet else "",
        calm=[c for i, c in cards if i["state"] == "quiet"],
        others=[{**card.row(i), "since": say.instant(i["start"])} for i in shown[top:]],
    )  # fmt: skip


def answered(facts: Facts) -> Part:
    """What was answered or suppressed and still happens: who answered, why, until when, and what goes on."""
    rows: list[Values] = [
        {"uid": card.anchor(i), "label": card.name(i), "mask": i["token"]["mask"], "short": i["short"],
         "answer": card.answer_text(i["answer"]), "goes_on": _goes_on(i), "last": i["last_seen"],
         "last_text": say.instant(i["last_seen"]), "score": say.points(i["score_bits"])}
        for i in facts["answered"]
    ]  # fmt: skip
    rows += [
        _said(a, "Accepted as normal", f"What it did from {say.day(a['start'])} on is usual for it now")
        | {"goes_on": f"{say.plural(a['calls'], 'call')} in these days", "last": a["last_seen"],
           "last_text": say.instant(a["last_seen"]), "score": say.points(a["score_bits"])}
        for a in facts["accepted"]
    ]  # fmt: skip
    rows += [
        _said(
            m, "Confirmed as misuse", f"What it did from {say.day(m['start'])} on, which the settings do not raise now"
        )
        | {"goes_on": "", "last": None, "last_text": "", "score": ""}
        for m in facts["not_raised"]
    ]
    lede = "Judged like everything else, and neither in the list above nor counted against the budget."
    return part("answered", rows=rows, lede=lede, kind=_kind(rows))


def _said(one: AcceptedChange | NotRaised, verdict: str, short: str) -> Values:
    """A row of what somebody said of a token that no incident tells of."""
    by = f" by {say.clean(one['who'], 60)}" if one["who"] else ""
    answer = say.sentence(f"{verdict}{by} on {say.day(one['made_time'])}: {say.clean(one['reason'], 200)}")
    return {"uid": "", "label": one["label"], "mask": one["mask"], "short": short, "answer": answer}


def _goes_on(incident: Incident) -> str:
    """What an answered incident does now."""
    calls = say.plural(incident["evidence_total"], "call")
    if incident["state"] == "quiet":
        return f"{calls} in all; nothing new in these days"
    return f"{calls}, {'began' if incident['state'] == 'opened' else 'went on'} in these days"


def risk(facts: Facts) -> Part:
    """The tokens of highest risk, with their owners and the next step."""
    rows = []
    for r in facts["riskiest"][:ROWS] if enough_history(facts) else []:
        rows.append({**r, "used_in": card.where_used(r), "known": say.plural(r["known_days"], "day")})
    lede = "Risk joins how unusual a token behaves with how much depends on it, from 0 to 100."
    more = f"{say.plural(len(rows), 'token', word=True)}, the riskiest first"
    return part("risk", rows=rows, lede=lede, more=more)


def watch(facts: Facts) -> Part:
    """Tokens that drift away from what they were and have not reached their threshold."""
    rows = []
    for n, r in enumerate(facts["watch"] if enough_history(facts) else []):
        share = say.percent(min(r["score_bits"] / r["threshold_bits"], 1))
        way = f"For {say.plural(r['days'], 'day')}; {share} of the way to the threshold."
        rows.append({**r, "figure": figures.small(r, f"w{n}"), "way": way})
    many = "One token has" if len(rows) == 1 else f"{say.number(len(rows)).capitalize()} tokens have"
    lede = (
        f"{many} moved away from what was usual in the reference, without reaching the threshold. "
        "A word with the owner now may spare an incident."
    )
    return part("watch", rows=rows, lede=lede)


def rules(facts: Facts) -> Part:
    """What breaks a rule whatever its behaviour: used after its owner left, after it expired, outside its networks."""
    rows = facts["policy"]
    lede = "These need no comparison with the past, and count towards no budget."
    return part("rules", rows=rows, lede=lede, kind=_kind(rows))


def owners(facts: Facts) -> Part:
    """Tokens nobody answers for."""
    states = {"unowned": "no owner ever", "ambiguous": "two owners at once", "orphaned": "the owner left"}
    rows = []
    for r in facts["owners_missing"]:
        recorded = states[r["status"]]
        if r["owner"]:
            recorded = f"{r['owner']}, who left" if r["status"] == "orphaned" else f"{recorded}: {r['owner']}"
        rows.append({**r, "recorded": recorded, "last": say.day(r["last_seen"])})
    nobody = ownerless(facts)
    return part(
        "owners",
        rows=rows,
        show=ROWS if enough_history(facts) else 5,
        lede=f"{say.count(nobody)} of {say.count(all_tokens(facts, nobody))} tokens. "
        "If one of them misbehaves, there is nobody to ask.",
        note=_name_an_owner(facts["coverage"]["owners"]["source"]),
        kind=_kind(rows),
    )


def _name_an_owner(source: str | None) -> Markup:
    if source:
        return Markup("To name an owner, add a row to {}; the next run reads it.").format(say.clean(source, 80))
    return Markup(
        "To name owners, give a table with one row a token: <code>tokenkit run --inventory FILE</code>. "
        "Only the column native_id is required: the key's id as the log has it, or the ARN of a user or role."
    )


def active(facts: Facts) -> Part:
    """Who is there, where nobody can be judged yet."""
    if enough_history(facts):
        return Part("active")
    c, rows = facts["counts"], facts["active_tokens"][:ROWS]
    unit, points = facts["calls_series"]["unit"], facts["calls_series"]["points"]
    drawn: Timeline = {"title": f"Calls by the {unit}", "unit": "calls", "window": unit, "points": points, "band": [],
                       "flagged": [], "note": None}  # fmt: skip
    days = list(dict.fromkeys(say.day(when) for when, _ in points))
    calls = c["calls"] - c["unattributed_calls"]
    others, rest = c["active"] - len(rows), calls - sum(r["requests"] for r in rows)
    note = f"{say.plural(others, 'other token')} made {say.count(rest)} of the {say.count(calls)} calls with a token."
    return part(
        "active",
        rows=rows,
        figure=figures.timeline(drawn, "calls", "all tokens", widths=(1040, figures.NARROW)),
        figure_title=f"Calls by the {unit}, all tokens{f', {days[0]}' if len(days) == 1 else ''}, UTC.",
        note=note if others > 0 and rest > 0 else "",
    )


def rare(facts: Facts) -> Part:
    """Programs, networks and calls that hardly any other token uses, where there is no past to compare with."""
    rows = [] if enough_history(facts) else facts["rare_values"]
    lede = (
        "Rare among the other tokens is not the same as new: without a past nobody can tell. "
        "Worth a look where you do not recognise one."
    )
    return part("rare", rows=rows, lede=lede, kind=_kind(rows))


def next_steps(facts: Facts) -> Part:
    """What to do so that the next report can say more."""
    if enough_history(facts):
        return Part("next_steps")
    days = facts["history"]["hours"] / 24
    return part(
        "next_steps",
        steps=_steps(bool(facts["coverage"]["owners"]["source"])),
        levels=[(*texts, first <= days < end) for *texts, first, end in _LEVELS],
    )


def _steps(owners_known: bool) -> list[dict[str, str]]:
    more_past = {
        "title": "Give it more of the past",
        "text": "PATH is the folder that holds the logs of the last weeks. What was read before is not read twice.",
        "command": "tokenkit run --events PATH",
    }
    name_owners = {
        "title": "Say whose the tokens are",
        "text": "A table with a row a token: native_id (the key's id, or a user's or role's ARN), owner and team. "
        "Without them a report has nobody to turn to.",
        "command": "tokenkit run --events PATH --inventory tokens.csv",
    }
    every_night = {
        "title": "Run it every night",
        "text": "Each night adds a day. Nothing has to be installed on the services that are watched.",
        "command": "tokenkit run",
    }
    return [more_past, every_night] if owners_known else [more_past, name_owners, every_night]


# with how much history, what the page can say, what it cannot yet, and the days from which and until which that holds
_LEVELS: list[tuple[str, str, str, float, float]] = [
    (
        f"less than {FIRST_DAYS} days",
        "who is active, from where and with what; what hardly any other uses",
        "what is unusual",
        0,
        FIRST_DAYS,
    ),
    (
        f"{FIRST_DAYS} days",
        "sudden jumps, new networks and new programs; provisional",
        "slow leaks",
        FIRST_DAYS,
        2 * FIRST_DAYS,
    ),
    (
        f"{2 * FIRST_DAYS} days",
        "the same, with thresholds that hold what the budget promises",
        "slow leaks over weeks",
        2 * FIRST_DAYS,
        FULL_DAYS,
    ),
    (
        f"{FULL_DAYS} days",
        "all of it: slow leaks and drift against a month of reference",
        "what comes once a year",
        FULL_DAYS,
        1e9,
    ),
]
