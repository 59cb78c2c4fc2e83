"""Front: the first screen: is something wrong, and in one minute what, whose, since when, how sure, and what to do.

Facts to Parts like ``parts``, which names these functions too. How its sentences are made stands here.
"""

from typing import Any

from tokenkit.report import words as say
from tokenkit.report.parts import card
from tokenkit.report.parts.answered import confirmed
from tokenkit.report.parts.render import PILLS, Part, part

Facts = dict[str, Any]

BRIEF_ROWS = 5  # what can be read in a minute
FIRST_DAYS, FULL_DAYS = 7, 42  # first provisional scores; reference of 28 days and calibration of 14
# what a person is told to do, most urgent first: (verb of the action, words for one token, for several, after its name)
_ORDERS = (
    ("lock", "lock ", "lock ", " now"),
    ("restrict", "limit ", "limit ", ""),
    ("step_up", "ask for a second proof from ", "ask for a second proof from ", ""),
    ("notify", "ask the owner of ", "ask the owners of ", ""),
)


def judged(facts: Facts) -> bool:
    """Whether there was enough history to judge anything."""
    return facts["state"] != "not_enough_history"


def still_open(facts: Facts) -> list[Facts]:
    """The incidents that are not closed, by risk."""
    return [i for i in facts["incidents"] if i.get("state") != "closed"]


def over(incident: Facts) -> bool:
    """Whether nothing of it was flagged lately: quiet in these days, or ended days before their end."""
    return incident.get("state") == "quiet" or bool(incident.get("ended"))


def by_urgency(found: list[Facts]) -> list[Facts]:
    """News before what is quiet, confirmed misuse first, stopping before asking, what goes on before what ended.

    A key that has to be locked waits for that whether or not its thief was here lately; what only needs a question does
    not stand before it because it happened to go on.
    """
    order = [verb for verb, *_ in _ORDERS]

    def key(i: Facts) -> tuple[bool, bool, bool, bool, bool, int]:
        action, chance = i.get("action") or {}, (i.get("sure") or {}).get("level") == "low"
        verb = action.get("verb")
        asks = verb not in order[:-1] or chance or "applied" in action
        place = order.index(verb) if verb in order else len(order)
        return i.get("state") == "quiet", not confirmed(i), asks, over(i), chance, place

    return sorted(found, key=key)


def verdict(facts: Facts) -> Part:
    """Is something wrong: the state, one sentence, what to do about it, and what is new since the last report."""
    state = facts["state"]
    headline, lead = {"attention": _attention, "quiet": _quiet}.get(state, _too_little)(facts)
    period = say.period(facts["period"]["start"], facts["period"]["end"])
    head = {
        "title": f"{headline.removesuffix('.')} | tokenkit",
        "issue": ", ".join(t for t in (say.clean(facts.get("organisation"), 80), period) if t),
        "state": state,
        "headline": headline,
    }
    groups = _orders(by_urgency(still_open(facts))) if state == "attention" else []
    pill, asides = PILLS[state], _asides(facts)
    return part("verdict", head, state=state, pill=pill, headline=headline, lead=lead, groups=groups, asides=asides)


def _attention(facts: Facts) -> tuple[str, str]:
    found = by_urgency(still_open(facts))
    if not found:  # all of them closed again
        return "What was raised is closed again; nothing is open.", "Nothing has to be done now."
    first = say.sentence(found[0].get("short") or found[0].get("headline") or card.name(found[0]))
    if confirmed(found[0]):
        first = f"{card.name(found[0])} was misused, as confirmed on {say.day(found[0]['answer'].get('made_time'))}."
    if over(found[0]):
        first += f" It was last seen on {say.day(found[0].get('last_seen'))}."
    tokens = len({i["profile_uid"] for i in found if i.get("state") != "quiet" or confirmed(i)})
    if tokens == 2:
        first += " One other token left its usual behaviour."
    elif tokens > 2:
        first += f" {say.number(tokens - 1).capitalize()} other tokens left their usual behaviour."
    calm = (facts["counts"].get("judged") or 0) - tokens
    lead = f"The other {say.count(calm)} tokens that could be judged behaved like themselves." if calm > 1 else ""
    return say.clean(first, 240), lead


def _quiet(facts: Facts) -> tuple[str, str]:
    n = facts["counts"].get("judged") or 0
    headline = f"All {say.count(n)} tokens that could be judged behaved like themselves."
    if known := len({i["profile_uid"] for i in facts.get("answered") or [] if i.get("state") != "quiet"}):
        rest = f"the other {say.count(n - known)} tokens that could be judged behaved like themselves"
        was = (
            "One token goes on with what was answered"
            if known == 1
            else f"{say.number(known).capitalize()} tokens go on with what was answered"
        )
        return f"{was}; {rest}.", "Nothing new has to be done."
    todo = []
    if rules := len(facts["policy"]):
        todo.append(f"{say.plural(rules, 'token', word=True)} {'breaks a rule' if rules == 1 else 'break rules'}")
    if drift := len(facts["watch"]):
        verb = "drifts and is" if drift == 1 else "drift and are"
        todo.append(f"{say.plural(drift, 'token', word=True)} {verb} worth a word with the owner")
    lead = say.sentence(say.joined(todo)) if todo else "Nothing has to be done."
    return headline if n > 1 else "Nothing unusual was found.", lead


def _too_little(facts: Facts) -> tuple[str, str]:
    if not facts["counts"].get("calls"):
        return (
            "No call was read, so there is nothing to judge yet.",
            "An empty page says nothing about your tokens. What to do next stands below.",
        )
    read = say.span((facts["history"].get("hours") or 0) * 3600)
    return (
        f"Only {read} of logs so far: too little to know what is normal for a token.",
        f"No token was judged, so the absence of incidents means nothing yet. With {FIRST_DAYS} days of logs the first "
        f"tokens can be compared with their own past; with {FULL_DAYS} days the comparison is complete.",
    )


def _orders(found: list[Facts]) -> list[Facts]:
    """What to do, by urgency, a few tokens by name for each verb: the pieces of a sentence with links in it."""
    few = 4 if len(found) <= 6 else 2
    groups: list[Facts] = []
    for verb, one, several, after in _ORDERS:
        by_name = {card.name(i): i for i in reversed(found) if _to_do(i) == verb}
        every = list(reversed(by_name.values()))
        if not every:
            continue
        named = every if len(every) <= few else every[: max(few - 1, 2)]
        more = len(every) - len(named)
        tokens = [{"uid": card.anchor(i), "label": card.name(i), "after": ""} for i in named]
        for n, token in enumerate(tokens[:-1]):
            token["after"] = ", " if more or n < len(tokens) - 2 else " and "
        end = (f" and {more} more" if more else "") + after
        groups.append({"before": one if len(every) == 1 else several, "tokens": tokens, "after": end + "; "})
    if groups:
        groups[0]["before"] = groups[0]["before"].capitalize()
        groups[-1]["after"] = groups[-1]["after"].removesuffix("; ") + ". "
    return groups


def _to_do(incident: Facts) -> str | None:
    """The verb of its action; None where that was done."""
    action = incident.get("action") or {}
    return None if "applied" in action else action.get("verb")


def _asides(facts: Facts) -> list[tuple[str, str]]:
    """What else the reader has to know before reading on: what is new, what is provisional, what is missing."""
    asides = []
    if previous := facts.get("previous"):
        asides.append(("New since the last report", _news(previous)))
    elif facts["counts"].get("calls"):
        asides.append(("First report.", "There is none before it to compare with."))
    history = facts["history"]
    if history.get("provisional"):
        short = "the history is shorter than asked for, so the lines above which a token is reported are rough"
        asides.append(("Provisional.", say.sentence(history.get("note") or short)))
    if n := len(facts.get("answered") or []):
        asides.append(
            (
                "Answered or suppressed:",
                f"{say.plural(n, 'incident', word=True)}, in a section of {'its' if n == 1 else 'their'} own.",
            )
        )
    if gaps := facts["coverage"].get("gaps"):
        where = say.joined(sorted({say.clean(g["source"], 40) for g in gaps}))
        asides.append(("Logs are missing", f"from {where}: what happened then is not on this page."))
    return asides


def _news(previous: Facts) -> str:
    verbs = (("grown", "grew"), ("quiet", "went quiet"), ("closed", "closed"))
    news = [f"{say.plural(previous.get('opened') or 0, 'incident', word=True)} opened"]
    news += [f"{say.number(previous[key])} {verb}" for key, verb in verbs if previous.get(key)]
    seen = []
    if n := previous.get("new_tokens"):
        seen.append(f"{say.plural(n, 'token', word=True)} {'was' if n == 1 else 'were'} seen for the first time")
    if n := previous.get("lost_owner"):
        seen.append(f"{say.plural(n, 'token', word=True)} lost {'its' if n == 1 else 'their'} owner")
    ended = say.last_day(previous.get("end"))
    return f"(it ended with {ended}): {say.joined(news)}. {say.sentence(say.joined(seen))}".strip()


def brief(facts: Facts) -> Part:
    """In one minute: a row an incident (what, whose, since, how sure, what to do, what if not), then key figures."""
    found = by_urgency(still_open(facts))
    more = len(found) - BRIEF_ROWS
    verb = "is" if more == 1 else "are"
    return part(
        "brief",
        title="In one minute" if judged(facts) else "What was read",
        lede="What to do first stands first." if found != still_open(facts) else "",
        rows=[card.line(i) for i in found[:BRIEF_ROWS]],
        more=f"{say.number(more).capitalize()} more {verb} further down." if more > 0 else "",
        keys=_keys(facts) if judged(facts) else _keys_of_little(facts),
        jump=_jump(facts),
    )


def _key(value: str, what: str, more: str, of: str = "") -> Facts:
    return {"value": value, "of": of, "what": what, "more": more}


def _keys(facts: Facts) -> list[Facts]:
    """Six figures, each with what it is compared with."""
    c, b = facts["counts"], facts["budget"]
    found = still_open(facts)
    opened = sum(1 for i in found if i.get("state") == "opened")
    new, idle = (f"{say.count(c[k])} {k}" if c.get(k) else "" for k in ("new", "idle"))
    long = f", {say.count(c['dormant'])} of them for more than 30 days" if c.get("dormant") else ""
    activity = f"{say.joined([new, idle])}{long if idle else ''}"
    budget = f"{say.plural(round(b.get('days') or 0), 'day')}; {b.get('per_day') or 0:.2g} a day allowed"
    going = sum(1 for i in found if not over(i))
    before = f"{say.count(opened)} opened, {say.count(len(found) - opened)} from before" if found else "none is open"
    if ended := len(found) - going:
        before += f"; {say.count(ended)} ended or quiet"
    if answered := len(facts.get("answered") or []):
        before += f"; {say.count(answered)} answered"
    past = say.span((facts["history"].get("hours") or 0) * 3600)
    return [
        _key(
            say.count(c.get("active") or 0),
            "tokens active",
            activity,
            f"of {say.count(known(facts, c.get('active') or 0))}",
        ),
        _key(say.count(going), "incidents", before, "open"),
        _key(say.count(b.get("opened") or 0), "of the budget used", budget, f"of {b.get('allowed') or 0:.3g}"),
        _ownerless(facts),
        _calls(facts),
        _key(
            say.count(c.get("judged") or 0),
            "tokens judged",
            f"{say.count(c.get('young') or 0)} young, by their peers; {past} of logs",
            f"of {say.count(c.get('active') or 0)}",
        ),
    ]


def _keys_of_little(facts: Facts) -> list[Facts]:
    """Six figures that say whether the right logs arrived."""
    c, history = facts["counts"], facts["history"]
    when = say.period(history.get("first"), history.get("last"), year=False)
    return [
        _key(say.span((history.get("hours") or 0) * 3600) if c.get("calls") else "none", "of logs", when),
        _calls(facts),
        _key(say.count(c.get("active") or 0), "tokens seen", f"in {say.plural(c.get('profiles') or 0, 'profile')}"),
        _key(say.count(c.get("unattributed_calls") or 0), "calls without a token", "kept, not judged"),
        _ownerless(facts),
        _key("0", "tokens judged", f"{FIRST_DAYS} days are needed"),
    ]


def known(facts: Facts, n: int = 0) -> int:
    """Of how many tokens ``n`` are a part.

    A rotated key, and a role with its keys of an hour, count as one, unless ``n`` itself counts them singly.
    """
    profiles, tokens = (facts["counts"].get(k) or 0 for k in ("profiles", "tokens"))
    return profiles if profiles and n <= profiles else tokens


def ownerless(facts: Facts) -> int:
    """How many tokens nobody answers for."""
    return sum(facts["counts"].get(k) or 0 for k in ("unowned", "orphaned", "ambiguous"))


def _ownerless(facts: Facts) -> Facts:
    c, n = facts["counts"], ownerless(facts)
    kinds = (("orphaned", "whose owner left"), ("ambiguous", "with two owners"))
    why = say.joined(f"{say.count(c[k])} {what}" for k, what in kinds if c.get(k))
    if not facts["coverage"]["owners"].get("source"):
        why = "no list of owners was given"
    more = why or ("nobody ever recorded" if n else "each has one")
    return _key(say.count(n), "tokens without an owner", more, f"of {say.count(known(facts, n))}")


def _calls(facts: Facts) -> Facts:
    last, aside = facts["history"].get("last"), facts["coverage"].get("quarantined_total") or 0
    to = f"to {say.instant(last)}" if last else "no log was read"
    return _key(
        say.compact(facts["counts"].get("calls") or 0),
        "calls read",
        f"{to}; {say.count(aside)} set aside" if aside else to,
    )


def _jump(facts: Facts) -> list[tuple[str, str]]:
    """The sections that stand on this page."""
    enough = judged(facts)
    every = [
        ("next", "What to do next", not enough),
        ("incidents", "Incidents", facts["incidents"]),
        ("answered", "Answered", facts.get("answered") or facts.get("accepted")),
        ("risk", "Riskiest tokens", enough and facts["riskiest"]),
        ("watch", "Drifting", enough and facts["watch"]),
        ("rules", "Rules broken", facts["policy"]),
        ("active", "Most active", not enough and facts["active_tokens"]),
        ("rare", "Used by one only", not enough and facts["rare_values"]),
        ("no-owner", "No owner", facts["owners_missing"]),
        ("trust", "Trust", True),
        ("blind", "Blind spots", facts["blind"]),
        ("by-owner", "By owner", facts["by_owner"]),
        ("words", "Words used", True),
    ]
    return [(anchor, name) for anchor, name, there in every if there]
