"""Front: the first screen: is something wrong, and in one minute what, whose, since when, how sure, and what to do.

Each function turns Facts into a Part; ``parts`` offers them together with the other sections.
"""

from tokenkit.incidents import words as say
from tokenkit.report.parts import card
from tokenkit.report.parts.render import PILLS, Part, Values, part
from tokenkit.schema.facts import Facts, Previous
from tokenkit.schema.incident import Incident, Verb

BRIEF_ROWS = 5  # what can be read in a minute
FIRST_DAYS, FULL_DAYS = 7, 42  # first provisional scores; reference of 28 days and calibration of 14
# what to do, most urgent first: (verb of the action, words for one token, for several, after its name)
_ORDERS: tuple[tuple[Verb, str, str, str], ...] = (
    ("lock", "lock ", "lock ", " now"),
    ("restrict", "limit ", "limit ", ""),
    ("step_up", "ask for a second proof from ", "ask for a second proof from ", ""),
    ("notify", "ask the owner of ", "ask the owners of ", ""),
)


def enough_history(facts: Facts) -> bool:
    """Whether there was enough history to judge anything."""
    return facts["state"] != "not_enough_history"


def open_incidents(facts: Facts) -> list[Incident]:
    """The incidents that are not closed, by risk."""
    return [i for i in facts["incidents"] if i["state"] != "closed"]


def has_ended(incident: Incident) -> bool:
    """Whether nothing of it was flagged lately: quiet in the reported days, or ended days before their end."""
    return incident["state"] == "quiet" or incident["ended"] is not None


def by_urgency(incidents: list[Incident]) -> list[Incident]:
    """Incidents in the order in which to deal with them.

    What nobody has answered first, then confirmed misuse, then what is from before and quiet; stopping before asking,
    what goes on before what ended. A key that has to be locked comes before one whose owner only has to be asked, even
    where its thief was not here lately.
    """
    order = [verb for verb, *_ in _ORDERS]

    def key(i: Incident) -> tuple[bool, bool, bool, bool, bool, int]:
        action, may_be_chance = i["action"], i["sure"]["level"] == "low"
        only_asks = action["verb"] == "notify" or may_be_chance or "applied" in action
        place = order.index(action["verb"])
        confirmed = card.confirmed(i)
        return i["state"] == "quiet" and not confirmed, confirmed, only_asks, has_ended(i), may_be_chance, place

    return sorted(incidents, key=key)


def verdict(facts: Facts) -> Part:
    """Is something wrong: the state, one sentence, what to do about it, and what is new since the last report."""
    state = facts["state"]
    headline, lead = {"attention": _attention, "quiet": _quiet}.get(state, _too_little)(facts)
    period = say.period(facts["period"]["start"], facts["period"]["end"])
    head = {
        "title": f"{headline.removesuffix('.')} | tokenkit",
        "issue": ", ".join(t for t in (say.clean(facts["organisation"], 80), period) if t),
        "state": state,
        "headline": headline,
    }
    groups = _orders(_unusual(by_urgency(open_incidents(facts)))) if state == "attention" else []
    pill, asides = PILLS[state], _asides(facts)
    return part("verdict", head, state=state, pill=pill, headline=headline, lead=lead, groups=groups, asides=asides)


def _attention(facts: Facts) -> tuple[str, str]:
    incidents = _unusual(by_urgency(open_incidents(facts)))
    if not incidents:  # all of them closed again
        return "What was raised is closed again; nothing is open.", "Nothing has to be done now."
    first = incidents[0]
    headline = say.sentence(first["short"])
    if first["answer"] is not None and card.confirmed(first):
        headline = f"{card.name(first)} was misused, as confirmed on {say.day(first['answer']['made_time'])}."
    if has_ended(first):
        headline += f" It was last seen on {say.day(first['last_seen'])}."
    tokens = len({i["profile_uid"] for i in incidents})
    if tokens == 2:
        headline += " One other token left its usual behaviour."
    elif tokens > 2:
        headline += f" {say.number(tokens - 1).capitalize()} other tokens left their usual behaviour."
    calm = facts["counts"]["judged"] - tokens
    lead = f"The other {say.count(calm)} tokens that could be judged behaved like themselves." if calm > 1 else ""
    return say.clean(headline, 240), lead


def _unusual(incidents: list[Incident]) -> list[Incident]:
    """Those of tokens that the first screen speaks of: with news in these days, or confirmed."""
    return [i for i in incidents if i["state"] != "quiet" or card.confirmed(i)]


def _quiet(facts: Facts) -> tuple[str, str]:
    n = facts["counts"]["judged"]
    headline = f"All {say.count(n)} tokens that could be judged behaved like themselves."
    if answered := len({i["profile_uid"] for i in facts["answered"] if i["state"] != "quiet"}):
        rest = f"the other {say.count(n - answered)} tokens that could be judged behaved like themselves"
        was = (
            "One token goes on with what was answered"
            if answered == 1
            else f"{say.number(answered).capitalize()} tokens go on with what was answered"
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
    if not facts["counts"]["calls"]:
        return (
            "No call was read, so there is nothing to judge yet.",
            "An empty page says nothing about your tokens. What to do next stands below.",
        )
    read = say.duration(facts["history"]["hours"] * 3600)
    return (
        f"Only {read} of logs so far: too little to know what is normal for a token.",
        f"No token was judged, so the absence of incidents means nothing yet. With {FIRST_DAYS} days of logs the first "
        f"tokens can be compared with their own past; with {FULL_DAYS} days the comparison is complete.",
    )


def _orders(incidents: list[Incident]) -> list[Values]:
    """What to do, a few tokens by name for each verb, the first incident's first: a sentence in pieces, with links.

    Each token is told once, by the incident that asks for most.
    """
    few = 4 if len(incidents) <= 6 else 2
    groups: list[Values] = []
    order = [verb for verb, *_ in _ORDERS]
    to_do = [i for i in incidents if _to_do(i)]
    of_token: dict[str, Incident] = {}
    for i in sorted(to_do, key=lambda i: order.index(i["action"]["verb"])):
        of_token.setdefault(i["profile_uid"], i)
    first = of_token[to_do[0]["profile_uid"]]["action"]["verb"] if to_do else None
    for verb, one, several, after in sorted(_ORDERS, key=lambda row: row[0] != first):
        every = [i for i in to_do if of_token[i["profile_uid"]] is i and i["action"]["verb"] == verb]
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


def _to_do(incident: Incident) -> Verb | None:
    """The verb of its action; None where that was done."""
    return None if "applied" in incident["action"] else incident["action"]["verb"]


def _asides(facts: Facts) -> list[tuple[str, str]]:
    """What else the reader has to know before reading on: what is new, what is provisional, what is missing."""
    asides = []
    if previous := facts["previous"]:
        asides.append(("New since the last report", _news(previous)))
    elif facts["counts"]["calls"]:
        asides.append(("First report.", "There is none before it to compare with."))
    history = facts["history"]
    if history["provisional"]:
        asides.append(("Provisional.", say.sentence(history["note"])))
    if confirmed := [i for i in by_urgency(open_incidents(facts)) if card.confirmed(i)]:
        names = list(dict.fromkeys(card.name(i) for i in confirmed))
        more = [f"{len(names) - 3} more"] if len(names) > 4 else []
        asides.append(("Confirmed misuse:", say.sentence(say.joined([*names[: 3 if more else 4], *more]))))
    if n := len(facts["answered"]):
        asides.append(
            (
                "Answered or suppressed:",
                f"{say.plural(n, 'incident', word=True)}, in a section of {'its' if n == 1 else 'their'} own.",
            )
        )
    if gaps := facts["coverage"]["gaps"]:
        where = say.joined(sorted({say.clean(g["source"], 40) for g in gaps}))
        asides.append(("Logs are missing", f"from {where}: what happened then is not on this page."))
    return asides


def _news(previous: Previous) -> str:
    verbs = ((previous["grown"], "grew"), (previous["quiet"], "went quiet"), (previous["closed"], "closed"))
    news = [f"{say.plural(previous['opened'], 'incident', word=True)} opened"]
    news += [f"{say.number(n)} {verb}" for n, verb in verbs if n]
    seen = []
    if n := previous["new_tokens"]:
        seen.append(f"{say.plural(n, 'token', word=True)} {'was' if n == 1 else 'were'} seen for the first time")
    if n := previous["lost_owner"]:
        seen.append(f"{say.plural(n, 'token', word=True)} lost {'its' if n == 1 else 'their'} owner")
    ended = say.last_day(previous["end"])
    return f"(it ended with {ended}): {say.joined(news)}. {say.sentence(say.joined(seen))}".strip()


def brief(facts: Facts) -> Part:
    """In one minute: a row an incident (what, whose, since, how sure, what to do, what if not), then key figures."""
    incidents = by_urgency(open_incidents(facts))
    more = len(incidents) - BRIEF_ROWS
    verb = "is" if more == 1 else "are"
    return part(
        "brief",
        title="In one minute" if enough_history(facts) else "What was read",
        lede="What to do first stands first." if incidents != open_incidents(facts) else "",
        rows=[card.row(i) for i in incidents[:BRIEF_ROWS]],
        more=f"{say.number(more).capitalize()} more {verb} further down." if more > 0 else "",
        keys=_keys(facts) if enough_history(facts) else _keys_of_little(facts),
        jump=_jump(facts),
    )


def _key(value: str, what: str, more: str, of: str = "") -> Values:
    return {"value": value, "of": of, "what": what, "more": more}


def _keys(facts: Facts) -> list[Values]:
    """Six figures, each with what it is compared with."""
    c, b = facts["counts"], facts["budget"]
    incidents = open_incidents(facts)
    opened = sum(1 for i in incidents if i["state"] == "opened")
    new = f"{say.count(c['new'])} new" if c["new"] else ""
    idle = f"{say.count(c['idle'])} idle" if c["idle"] else ""
    long = f", {say.count(c['dormant'])} of them for more than 30 days" if c["dormant"] else ""
    activity = f"{say.joined([new, idle])}{long if idle else ''}"
    budget = f"{say.plural(b['days'], 'day')}; {say.rounded(b['per_day'], 2)} a day allowed"
    going = sum(1 for i in incidents if not has_ended(i))
    before = f"{say.count(opened)} opened, {say.count(len(incidents) - opened)} from before"
    before = before if incidents else "none is open"
    if ended := len(incidents) - going:
        before += f"; {say.count(ended)} ended or quiet"
    if answered := len(facts["answered"]):
        before += f"; {say.count(answered)} answered"
    past = say.duration(facts["history"]["hours"] * 3600)
    return [
        _key(say.count(c["active"]), "tokens active", activity, f"of {say.count(all_tokens(facts, c['active']))}"),
        _key(say.count(going), "incidents", before, "open"),
        _key(say.count(b["opened"]), "of the budget used", budget, f"of {say.rounded(b['allowed'])}"),
        _ownerless(facts),
        _calls(facts),
        _key(
            say.count(c["judged"]),
            "tokens judged",
            f"{say.count(c['young'])} young, by their peers; {past} of logs",
            f"of {say.count(c['active'])}",
        ),
    ]


def _keys_of_little(facts: Facts) -> list[Values]:
    """Six figures that say whether the right logs arrived."""
    c, history = facts["counts"], facts["history"]
    when = say.period(history["first"], history["last"], year=False)
    return [
        _key(say.duration(history["hours"] * 3600) if c["calls"] else "none", "of logs", when),
        _calls(facts),
        _key(say.count(c["active"]), "tokens seen", f"in {say.plural(c['profiles'], 'profile')}"),
        _key(say.count(c["unattributed_calls"]), "calls without a token", "kept, not judged"),
        _ownerless(facts),
        _key("0", "tokens judged", f"{FIRST_DAYS} days are needed"),
    ]


def all_tokens(facts: Facts, n: int = 0) -> int:
    """How many tokens there are, of which ``n`` are a part.

    A rotated key, and a role with its keys of an hour, count as one, unless ``n`` itself counts them singly.
    """
    profiles, tokens = facts["counts"]["profiles"], facts["counts"]["tokens"]
    return profiles if profiles and n <= profiles else tokens


def ownerless(facts: Facts) -> int:
    """How many tokens nobody answers for."""
    counts = facts["counts"]
    return counts["unowned"] + counts["orphaned"] + counts["ambiguous"]


def _ownerless(facts: Facts) -> Values:
    c, n = facts["counts"], ownerless(facts)
    kinds = ((c["orphaned"], "whose owner left"), (c["ambiguous"], "with two owners"))
    why = say.joined(f"{say.count(of_kind)} {what}" for of_kind, what in kinds if of_kind)
    if not facts["coverage"]["owners"]["source"]:
        why = "no list of owners was given"
    more = why or ("nobody ever recorded" if n else "each has one")
    return _key(say.count(n), "tokens without an owner", more, f"of {say.count(all_tokens(facts, n))}")


def _calls(facts: Facts) -> Values:
    last, aside = facts["history"]["last"], facts["coverage"]["quarantined_total"]
    to = f"to {say.instant(last)}" if last else "no log was read"
    return _key(
        say.compact(facts["counts"]["calls"]),
        "calls read",
        f"{to}; {say.count(aside)} set aside" if aside else to,
    )


def _jump(facts: Facts) -> list[tuple[str, str]]:
    """The sections that stand on this page."""
    enough = enough_history(facts)
    every = [
        ("next", "What to do next", not enough),
        ("incidents", "Incidents", facts["incidents"]),
        ("answered", "Answered", facts["answered"] or facts["accepted"] or facts["not_raised"]),
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
    return [(anchor, name) for anchor, name, shown in every if shown]
