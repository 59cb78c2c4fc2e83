"""Trust: the back of the report: what was read, how often it speaks up, what it would miss, who has to act, its words.

Facts to Parts like ``parts``, which names these functions too.
"""

from typing import Any

from tokenkit.report import words as say
from tokenkit.report.parts.front import judged
from tokenkit.report.parts.render import Part, part

Facts = dict[str, Any]


def coverage_and_health(facts: Facts) -> Part:
    """Can this report be trusted: what was read, what is missing, budget against what was opened, what is assumed."""
    c, enough = facts["coverage"], judged(facts)
    gaps = c.get("gaps") or []
    channels = [h for h in facts["health"]["channels"] if h.get("share") or h.get("opened")] if enough else []
    aside, shown = c.get("quarantined_total") or 0, c.get("quarantined") or []
    of_all = say.plural(aside, "record") if len(shown) >= aside else f"{len(shown)} of {say.plural(aside, 'record')}"
    return part(
        "coverage",
        title="Can this report be trusted?" if enough else "What was read, in full",
        lede=_lede(gaps) if enough else "Counts and sources, so that you can see whether the right logs arrived.",
        sources_title="What was read" if enough else "By source",
        sources=[_source(s, gaps) for s in c["sources"]],
        sums=_sums(c),
        notes=c.get("notes") or [],
        channels=[{**h, "line": _points(h.get("threshold_bits"))} for h in channels],
        budget_note=_budget(facts["budget"]),
        checks=_checks(facts),
        checks_title="What else was checked" if channels else "What it rests on",
        quarantined=shown,
        quarantined_note=of_all,
        technical=_technical(facts),
    )


def _lede(gaps: list[Facts]) -> str:
    n = len(gaps)
    found = (
        f"{say.number(n).capitalize()} {'gap' if n == 1 else 'gaps'} in the logs"
        if n
        else "No gap in the logs was found"
    )
    return f"{found}. How often it speaks up is set by the budget; what it would miss is said below."


def _points(bits: float | None) -> str:
    return "" if bits is None else f"{bits:.1f}"


def _source(source: Facts, gaps: list[Facts]) -> Facts:
    own = [g for g in gaps if g["source"] == source["source"]]
    ends = [(say.moment(g["start"]), say.moment(g["end"])) for g in own]
    length = sum((b - a).total_seconds() for a, b in ends if a and b)
    texts = [f"{say.instant(g['start']).removesuffix(' UTC')} to {say.clock(g['end'])}" for g in own[:3]]
    stored, without = source.get("stored") or 0, source.get("unattributed")
    return {
        **source,
        "files": say.plural(source.get("files"), "file"),
        "newest": say.instant(source.get("last")),
        "gaps": texts + ([f"and {len(own) - 3} more"] if len(own) > 3 else []),
        "missing": say.span(length),
        "without": say.percent(without / stored) if stored and without is not None else "",
    }


def _sums(coverage: Facts) -> str:
    """The sum that always holds, in a sentence."""
    keys = ("read", "stored", "duplicates", "quarantined", "ignored")
    read, stored, known, aside, ignored = (sum(s.get(k) or 0 for s in coverage["sources"]) for k in keys)
    by_rule = sorted((coverage.get("ignored_rules") or {}).items())[:5]
    left_out = ", ".join(f"{say.clean(rule, 60)} ({say.count(n)})" for rule, n in by_rule if n)
    return (
        f"{say.count(read)} records were read: {say.count(stored)} kept, {say.count(known)} known already, "
        f"{say.count(aside)} set aside because they could not be read, {say.count(ignored)} ignored."
        f"{f' Left out by rule: {left_out}.' if left_out else ''}"
    )


def _budget(b: Facts) -> str:
    opened = say.plural(b.get("opened") or 0, "incident")
    text = f"{opened} in {say.plural(round(b.get('days') or 0), 'day')}, {b.get('allowed') or 0:.3g} allowed"
    if b.get("achieved") is not None:
        text += f" ({say.percent(b['achieved'])})"
    text += (
        f": {b.get('per_1000') or 0:g} new ones a day for each 1,000 profiles. It holds on average, not on each day."
    )
    if (days := b.get("calibration_days")) and b.get("calibration_opened") is not None:
        opened = say.count(b.get("calibration_opened") or 0)
        text += f" In the {say.plural(round(days), 'day')} on which the lines were set it would have opened {opened}."
    return text


def _checks(facts: Facts) -> list[tuple[str, str]]:
    history, health = facts["history"], facts["health"]
    checks = []
    if span := history.get("reference"):
        checks.append(("What is usual", f"taken from {_days(span)}"))
    if span := history.get("calibration"):
        checks.append(("The lines", f"set on {_days(span)}"))
    if history.get("provisional"):
        checks.append(("Provisional", say.sentence(history.get("note") or "fewer days than asked for")))
    if opinion := health.get("second_opinion"):
        name, agree, of = say.clean(opinion["name"], 60), opinion["agree"], opinion["of"]
        checks.append(("Second opinion", f"{name} agrees on {agree} of {say.plural(of, 'incident')}"))
    given = health.get("verdicts") or {}
    if of := sum(given.get(k) or 0 for k in ("true_positive", "benign", "false_positive")):
        named = (("true_positive", "misuse"), ("benign", "harmless"), ("false_positive", "false alarm"))
        said = say.joined(f"{say.count(given[k])} {what}" for k, what in named if given.get(k))
        share = f"; {say.percent(given.get('precision'))} of {say.plural(of, 'answered incident')} was misuse"
        checks.append(("Answers so far", said + share))
    chosen = health.get("settings_set") or {}
    if chosen.get("by"):
        when = f" on {say.day(chosen['on'])}" if chosen.get("on") else ""
        checks.append(("Settings", f"saved by {say.clean(chosen['by'], 60)}{when}: {say.sentence(chosen.get('why'))}"))
    checks.append(("Owners", _owners(facts["coverage"]["owners"])))
    lags = [s["lag_s"] for s in facts["coverage"]["sources"] if s.get("lag_s") is not None]
    if lags:
        checks.append(("Delay of the logs", f"up to {say.span(max(lags))}"))
    text = (facts.get("not_judged") or {}).get("text")
    if text and judged(facts):
        checks.append(("Not judged", say.sentence(text)))
    assumed = " ".join(say.sentence(line) for line in health.get("assumed") or [])
    return [*checks, ("Assumed", assumed)] if assumed else checks


def _days(span: Facts) -> str:
    return f"{say.plural(round(span['days']), 'day')}, {say.day(span.get('start'))} to {say.last_day(span.get('end'))}"


def _owners(owners: Facts) -> str:
    if not owners.get("source"):
        return "no list of owners was given"
    text = f"{say.clean(owners['source'], 80)}, {say.plural(owners.get('rows') or 0, 'row')}"
    share = owners.get("with_owner")
    return text if share is None else f"{text}; {say.percent(share)} of the tokens have an owner"


def _technical(facts: Facts) -> list[tuple[str, Any]]:
    health = facts["health"]
    rows = [
        ("Run", facts["run_uid"]),
        ("Settings, digest", health.get("settings_digest")),
        ("Seed", health.get("seed")),
        ("Versions", _pairs(health.get("versions"))),
        ("Versions of the tables read", _pairs(health.get("tables"))),
    ]
    return [(what, value) for what, value in rows if value not in (None, "")]


def _pairs(values: Facts | None) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted((values or {}).items()) if value is not None)


def blind(facts: Facts) -> Part:
    """What it would miss."""
    lede = (
        "Someone who uses a stolen token from its usual machine, at its usual hours and for its usual amounts "
        "looks like its owner."
    )
    return part("blind", rows=facts["blind"], lede=lede)


def by_owner(facts: Facts) -> Part:
    """What each owner has to do."""
    rows = [
        {**r, "on_page": list({t["label"]: t for t in reversed(r["on_page"])}.values())[::-1]}
        for r in facts["by_owner"]
    ]
    lede = "What each owner has to do. Who is not named here has nothing to do."
    return part("by_owner", rows=rows, lede=lede, kind="long" if len(rows) > 10 else "")


def words(facts: Facts) -> Part:
    """The words of the page that a newcomer may not know; only those that stand on it."""
    rows = [_TOKEN, *_JUDGED, _ASIDE] if judged(facts) else [_TOKEN, _ASIDE]
    budget = f"{facts['budget'].get('per_day') or 0:.2g}"
    return part("words", rows=[(word, meaning.replace("BUDGET", budget)) for word, meaning in rows])


_TOKEN = (
    "Token",
    "A key with which a program calls a service. Shown by its name and a mask; the key itself is stored nowhere.",
)
_JUDGED = [
    (
        "Usual",
        "What the token did in a fixed stretch of the past, the reference. It does not follow the token by itself, so "
        "that a slow leak cannot become usual.",
    ),
    ("Peers", "Other tokens with the same kind of job."),
    (
        "Points, the line",
        "How surprising it was for this token: one more point is half as likely to be chance. Above the line it "
        "becomes an incident; the line is set so that the budget holds.",
    ),
    ("Budget", "How many new incidents a day people have time for: here BUDGET."),
    ("Risk", "Surprise and what depends on the token, joined, from 0 to 100."),
]
_ASIDE = ("Set aside", "A record that could not be read. It stops nothing, and is kept with its place and the reason.")


def footer(facts: Facts, notebook: str = "03_anomaly_report.ipynb") -> Part:
    """When and of what it was made. The time is that of the newest call, so that the same input makes the same page."""
    made = say.instant(facts.get("made"), year=True)
    names = (
        "Names of tokens, owners and teams are replaced by ids."
        if facts.get("pseudonymous")
        else "Confidential: it names people and what their tokens did."
    )
    state = f"State of the logs: {made}. The same input makes the same page." if made else "No log was read."
    return part("footer", lines=[state, names], notebook=notebook)
