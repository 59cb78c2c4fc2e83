"""Trust: the back of the report: what was read, how often it speaks up, what it would miss, who has to act, its words.

Facts to Parts like ``parts``, which names these functions too.
"""

from collections.abc import Mapping

from tokenkit.incidents import words as say
from tokenkit.report.parts.front import enough_history
from tokenkit.report.parts.render import Part, Values, part
from tokenkit.schema.coverage import Coverage, Gap, Ownership, Source
from tokenkit.schema.facts import Budget, BudgetWeek, Days, Facts
from tokenkit.sources.fields.sameness import remarks


def coverage_and_health(facts: Facts) -> Part:
    """Can this report be trusted: what was read, what is missing, budget against what was opened, what is assumed."""
    c, enough = facts["coverage"], enough_history(facts)
    gaps = c["gaps"]
    channels = [h for h in facts["health"]["channels"] if h["share"] or h["opened"]] if enough else []
    aside, shown = c["quarantined_total"], c["quarantined"]
    of_all = say.plural(aside, "piece") if len(shown) >= aside else f"{len(shown)} of {say.plural(aside, 'piece')}"
    return part(
        "coverage",
        folds=enough,
        title="Can this report be trusted?" if enough else "What was read, in full",
        lede=_lede(gaps) if enough else "Counts and sources, so that you can see whether the right logs arrived.",
        sources_title="What was read" if enough else "By source",
        sources=[_source(s, gaps) for s in c["sources"]],
        sums=_sums(c),
        notes=c["notes"],
        channels=[{**h, "threshold": say.points(h["threshold_bits"])} for h in channels],
        budget_note=_budget(facts["budget"]),
        checks=_checks(facts),
        checks_title="What else was checked" if channels else "What it rests on",
        quarantined=shown,
        quarantined_note=of_all,
        technical=_technical(facts),
    )


def _lede(gaps: list[Gap]) -> str:
    n = len(gaps)
    gaps_text = (
        f"{say.number(n).capitalize()} {'gap' if n == 1 else 'gaps'} in the logs"
        if n
        else "No gap in the logs was found"
    )
    return f"{gaps_text}. How often it speaks up is set by the budget; what it would miss is said below."


def _source(source: Source, gaps: list[Gap]) -> Values:
    own = [g for g in gaps if g["source"] == source["source"]]
    ends = [(say.moment(g["start"]), say.moment(g["end"])) for g in own]
    length = sum((b - a).total_seconds() for a, b in ends if a and b)
    texts = [f"{say.instant(g['start']).removesuffix(' UTC')} to {say.clock(g['end'])}" for g in own[:3]]
    return {
        **source,
        "files": say.plural(source["files"], "file"),
        "newest": say.instant(source["last"]),
        "gaps": texts + ([f"and {len(own) - 3} more"] if len(own) > 3 else []),
        "missing": say.duration(length),
        "without": say.percent(source["unattributed"] / source["stored"]) if source["stored"] else "",
    }


def _sums(coverage: Coverage) -> str:
    """The sum that always holds, in a sentence."""
    sources = coverage["sources"]
    read, stored, duplicates = (sum(s[k] for s in sources) for k in ("read", "stored", "duplicates"))
    aside, ignored = (sum(s[k] for s in sources) for k in ("quarantined", "ignored"))
    repeated, differing = (sum(s[k] for s in sources) for k in ("repeated", "differing"))
    by_rule = sorted(coverage["ignored_rules"].items())[:5]
    left_out = ", ".join(f"{say.clean(rule, 60)} ({say.count(n)})" for rule, n in by_rule if n)
    return (
        f"{say.count(read)} records were read: {say.count(stored)} kept, {say.count(duplicates)} known already, "
        f"{say.count(aside)} set aside because they could not be used, {say.count(ignored)} ignored."
        f"{f' Left out by rule: {left_out}.' if left_out else ''}"
        + "".join(f" {text}" for text in remarks(repeated, differing))
    )


def _budget(b: Budget) -> str:
    opened = say.plural(b["opened"], "incident")
    text = f"{opened} in {say.plural(b['days'], 'day')}, {say.rounded(b['allowed'])} allowed"
    if b["achieved"] is not None:
        text += f" ({say.percent(b['achieved'])})"
    text += f": {b['per_1000']:g} new ones a day for each 1,000 profiles. It holds on average, not on each day."
    if b["calibration_days"] and b["calibration_opened"] is not None:
        days, opened = say.plural(b["calibration_days"], "day"), say.count(b["calibration_opened"])
        text += f" In the {days} on which the thresholds were set it would have opened {opened}."
    if b["by_chance"] is not None and b["opened"]:
        chance = say.count(round(b["by_chance"]))
        text += f" On days as ordinary as the 14 before, chance alone would open about {chance}."
    return text + _week(b["week"])


def _week(week: BudgetWeek | None) -> str:
    """What is said of a week in which far more or far fewer incidents opened than asked for."""
    if week is None or not week["far_off"]:
        return ""
    text = f" In the last 7 days {say.count(week['opened'])} opened where {say.rounded(week['allowed'], 2)} are allowed"
    if week["may_be_chance"]:
        return f"{text}: so few are allowed that this may be chance."
    if not week["causes"]:
        return f"{text}: these days were calmer than the two weeks before, and thresholds follow."
    causes = "; ".join(say.clean(cause, 120) for cause in week["causes"])
    return f"{text}, most by: {causes}. Thresholds answer within three nights."


def _checks(facts: Facts) -> list[tuple[str, str]]:
    history, health = facts["history"], facts["health"]
    checks = []
    if span := history["reference"]:
        checks.append(("What is usual", f"taken from {_days(span)}"))
    if span := history["calibration"]:
        checks.append(("Thresholds", f"set on {_days(span)}"))
    if history["provisional"]:
        checks.append(("Provisional", say.sentence(history["note"])))
    if opinion := health["second_opinion"]:
        name, agree, of = say.clean(opinion["name"], 60), opinion["agree"], opinion["of"]
        checks.append(("Second opinion", f"{name} agrees on {agree} of {say.plural(of, 'incident')}"))
    labels = health["verdicts"]
    kinds = ((labels["true_positive"], "misuse"), (labels["benign"], "harmless"),
             (labels["false_positive"], "false alarm"))  # fmt: skip
    if of := sum(n for n, _ in kinds):
        counts = say.joined(f"{say.count(n)} {what}" for n, what in kinds if n)
        share = f"; {say.percent(labels['precision'])} of {say.plural(of, 'answered incident')} was misuse"
        checks.append(("Answers so far", counts + share))
    for name, saved in (("Settings", health["settings_set"]), ("Weights", health["weights_set"])):
        if saved["by"]:
            when = f" on {say.day(saved['on'])}" if saved["on"] else ""
            by = f"saved by {say.clean(saved['by'], 60)}{when}"
            checks.append((name, f"{by}: {say.sentence(saved['why'])}"))
    checks.append(("Owners", _owners(facts["coverage"]["owners"])))
    lags = [s["lag_s"] for s in facts["coverage"]["sources"] if s["lag_s"] is not None]
    if lags:
        checks.append(("Delay of the logs", f"up to {say.duration(max(lags))}"))
    text = facts["not_judged"]["text"]
    if text and enough_history(facts):
        checks.append(("Not judged", say.sentence(text)))
    assumed = " ".join(say.sentence(line) for line in health["assumed"])
    return [*checks, ("Assumed", assumed)] if assumed else checks


def _days(span: Days) -> str:
    return f"{say.plural(span['days'], 'day')}, {say.day(span['start'])} to {say.last_day(span['end'])}"


def _owners(owners: Ownership) -> str:
    if not owners["source"]:
        return "no list of owners was given"
    if owners["unmatched"]:
        return say.sentence(owners["unmatched"])
    text = f"{say.clean(owners['source'], 80)}, {say.plural(owners['rows'], 'row')}"
    share = owners["with_owner"]
    return text if share is None else f"{text}; {say.percent(share)} of the tokens have an owner"


def _technical(facts: Facts) -> list[tuple[str, str]]:
    health = facts["health"]
    rows = [
        ("Run", facts["run_uid"]),
        ("Settings, digest", health["settings_digest"]),
        ("Seed", str(health["seed"])),
        ("Versions", _pairs(health["versions"])),
        ("Versions of the tables read", _pairs(health["tables"])),
    ]
    return [(what, value) for what, value in rows if value]


def _pairs(versions: Mapping[str, str | int]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))


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
    more = f"what {say.plural(len(rows), 'owner', word=True)} should do"
    return part("by_owner", rows=rows, lede=lede, more=more, kind="long" if len(rows) > 10 else "")


def words(facts: Facts) -> Part:
    """The words of the page that a newcomer may not know; only those that stand on it."""
    rows = [_TOKEN, *_JUDGED, _ASIDE] if enough_history(facts) else [_TOKEN, _ASIDE]
    budget = say.rounded(facts["budget"]["per_day"], 2)
    more = say.joined([word.split(",")[0].lower() for word, _ in rows])
    return part("words", rows=[(word, meaning.replace("BUDGET", budget)) for word, meaning in rows], more=more)


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
        "Points, threshold",
        "How surprising it was for this token: one more point is half as likely to be chance. At or above the "
        "threshold it becomes an incident; the threshold is set so that the budget holds.",
    ),
    ("Budget", "How many new incidents a day people have time for: here BUDGET."),
    ("Risk", "Surprise and what depends on the token, joined, from 0 to 100."),
]
_ASIDE = (
    "Set aside",
    "A piece of a log file that could not be used, such as a record. It stops nothing; its place and the reason are "
    "kept, the piece itself is not.",
)


def footer(facts: Facts) -> Part:
    """When and of what it was made. The time is that of the newest call, so that the same input makes the same page."""
    made = say.instant(facts["made"], year=True)
    names = (
        "Names of tokens, owners and teams are replaced by ids."
        if facts["pseudonymous"]
        else "Confidential: it names people and what their tokens did."
    )
    state = f"State of the logs: {made}. The same input makes the same page." if made else "No log was read."
    return part("footer", lines=[state, names])
