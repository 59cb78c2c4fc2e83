"""Exploration: the organisation, its peer groups, and one token's fingerprint as a card: whose, what, and what changed.

A view of ``explore`` to Parts, as ``parts`` does with facts. Every value passes the autoescaping templates.
"""

from typing import Any

import pandas as pd

from tokenkit import fingerprint
from tokenkit.incidents import words as say
from tokenkit.report.figures import fingerprint_figures as figures
from tokenkit.report.parts.render import Part, part
from tokenkit.workbench import explore
from tokenkit.workbench.explore import UNOWNED, View

ROWS, VALUES, CHANGES = 8, 6, 10
STATUS = {
    "owned": "",
    "unowned": "No owner was ever recorded",
    "orphaned": "Its owner has left",
    "ambiguous": "Two owners at once are recorded",
}
SHOWN_Z = 2.0  # nearer than that to what is usual says nothing


def notice(view: View) -> Part:
    """What is missing, and what to do, where there is nothing to see or nothing to compare with; else nothing."""
    text = view.missing or view.unjudged
    title = "Nothing to see yet" if view.missing else "Nothing to compare with"
    return part("notice", title=title, text=text) if text else Part("notice")


def organisation(view: View) -> Part:
    """Who has tokens, and which of them nobody answers for: those first."""
    if not view:
        return Part("organisation")
    frame = explore.tokens(view)
    owners = frame["owner_name"].nunique()
    active = int((frame["requests"] > 0).sum())
    keys = [
        (say.count(len(frame)), "tokens", f"{say.count(active)} made a call in these days"),
        (say.count(owners), "owners" if owners != 1 else "owner", say.plural(int(frame["team"].nunique()), "team")),
        *(
            (say.count((frame["owner_status"] == status).sum()), words, "")
            for status, words in (("unowned", "without any owner"), ("orphaned", "whose owner left"))
        ),
        (say.compact(float(frame["requests"].sum())), "calls", say.data(float(frame["response_bytes"].sum()))),
    ]
    nobody = frame["owner_status"].isin(UNOWNED)
    return part(
        "organisation",
        keys=keys,
        days=_days(view),
        tables=[
            ("Nobody answers for them", _rows(frame[nobody]), ROWS),
            ("The busiest of the others", _rows(frame[~nobody].head(ROWS)), ROWS),
        ],
        judged=view.evidence is not None,
    )


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    titles = {name: f.reason for name, f in fingerprint.judged_features().items()}
    return [
        {"label": r.label, "mask": r.mask, "incident_uid": None, "owner": r.owner_name, "team": r.team,
         "status": STATUS.get(r.owner_status, ""), "purpose": r.purpose, "requests": r.requests,
         "bytes": r.response_bytes,
         "changed": f"{titles[r.changed]} (z {r.z:.1f})" if isinstance(r.changed, str) and r.z >= 2 * SHOWN_Z else ""}
        for r in frame.itertuples()
    ]  # fmt: skip


def peer_groups(view: View) -> Part:
    """The groups that tokens are compared within, and what a day of their members is."""
    if not view:
        return Part("peer_groups")
    frame = explore.groups(view)
    frame["text"] = [_span(r.low, r.usual, r.high, r.unit) for r in frame.itertuples()]
    rows = [
        {"group": group, "tokens": int(own["tokens"].iloc[0]),
         "texts": dict(zip(own["feature"], own["text"], strict=True))}
        for group, own in frame.groupby("group", sort=False)
    ]  # fmt: skip
    return part("peer_groups", rows=rows, shown=list(explore.SHOWN.items()))


def _span(low: float, usual: float, high: float, unit: str) -> str:
    if usual != usual:
        return ""
    short = unit if unit == "bytes" else ""
    ends = f"{say.short_amount(float(round(low)), short)} to {say.short_amount(float(round(high)), short)}"
    return f"{say.short_amount(float(round(usual)), short)} ({ends})"


def fingerprint_card(view: View, token: str = "", window: str = "day") -> Part:
    """One token: whose it is, what it is judged by, what it does with each band of normal, and what changed.

    Parameters
    ----------
    view : of ``explore.look``
    token : label, mask, principal or id; empty for the one to look at first (``explore.suggested_profile``)
    window : ``day`` or ``hour``, of the panels

    Raises
    ------
    InputError
        There is no token of that name.
    """
    if not view:
        return notice(view)
    profile = explore.suggested_profile(view, token)
    person = view.people.loc[profile]
    panels = []
    for name, title in explore.SHOWN.items():
        feature = fingerprint.features()[name]
        if window in feature.windows:
            frame = explore.series(view, profile, name, window)
            figure = figures.panel(frame, pd.Timestamp(view.start, tz="UTC"), title, feature.unit, f"p-{name}")
            panels.append({"title": title, "figure": figure, "text": _now(frame, view, feature.unit, window)})
    label = say.clean(person["label"], 80)
    hours, changed = explore.week(view, profile), explore.changes(view, profile)
    return part(
        "fingerprint",
        {"token": profile},
        uid=profile,
        label=label,
        mask=person["mask"] if person["mask"] != person["label"] else None,
        facts=_facts(view, profile, person),
        lede=_lede(view, changed),
        missing=view.unjudged,
        panels=panels,
        weeks=[(title, figures.week(hours, column, label)) for column, title in _weeks(view)],
        changes=_changed(changed),
        values=_values(view, profile),
        days=_days(view),
        since=say.day(view.start.isoformat()),
        judged=view.evidence is not None,
    )


def _days(view: View) -> str:
    return say.period(f"{view.start.isoformat()}T00:00:00Z", f"{view.end.isoformat()}T00:00:00Z")


def _facts(view: View, profile: str, person: pd.Series) -> list[tuple[str, list[str]]]:
    """Owner, job, what it is judged by, and use: the four columns at the top."""
    how, learned = explore.maturity(view, profile)
    judged = {
        "mature": [f"its own past, {say.plural(learned, 'active day')}", f"peers: {_peers(view, profile, person)}"],
        "young": ["its peers only: too little past of its own", _peers(view, profile, person)],
    }.get(how, ["nothing yet"])
    own = view.days[view.days["profile_uid"] == profile]
    last = say.day(own["start"].max().isoformat()) if len(own) else ""
    since = say.day(view.reference_start.isoformat())
    status = STATUS.get(person["owner_status"], "")
    whose = [say.clean(person["owner_name"], 80) or "Nobody", say.clean(person["team"], 80), status]
    job = [say.clean(person["purpose"], 80) or say.kind(person["kind"]), say.clean(person["environment"], 60)]
    return [
        ("Owner", [t for t in whose if t]),
        ("For", [t for t in [*job, say.clean(person["scopes"], 120)] if t]),
        ("Judged by", judged),
        ("Used", [f"on {say.plural(len(own), 'day')} since {since}", f"last on {last}"]
         if last else ["not in these days"]),
    ]  # fmt: skip


def _peers(view: View, profile: str, person: pd.Series) -> str:
    n = int((view.people["group"] == person["group"]).sum()) - 1
    return f"{say.plural(n, 'other token')} ({say.clean(person['group'], 60)})"


def _lede(view: View, rows: pd.DataFrame) -> str:
    """The finding in a sentence: how far it is off, and by what."""
    if rows.empty:
        return "It made no call in these days." if view.evidence is not None else ""
    reasons = fingerprint.judged_features()
    far = rows[rows["peak"] >= 2 * SHOWN_Z]
    if far.empty:
        return "In these days it behaved as it did in the reference."
    changes = [say.inside(reasons[name].reason) for name in far["feature"].head(3)]
    return say.sentence(f"In these days it {say.joined(changes)}")


def _now(frame: pd.DataFrame, view: View, unit: str, window: str) -> str:
    """Beside a panel: the largest value of these days and what is usual."""
    now = frame[frame.index >= pd.Timestamp(view.start, tz="UTC")]
    if now.empty:
        return ""
    usual = now.loc[now["value"].idxmax()]
    text = f"up to {say.short_amount(float(now['value'].max()), unit)}"
    if usual["high"] == usual["high"]:
        middle, most = (say.short_amount(float(round(usual[c])), unit) for c in ("usual", "high"))
        text += f"; usual {middle}, at most {most}"
    return f"{text} {'an hour' if window == 'hour' else 'a day'}"


def _weeks(view: View) -> list[tuple[str, str]]:
    reference = "in the reference and after" if view.evidence is not None else "before"
    past = [("usual", f"A usual week ({reference})")] if view.reference_start < view.start else []
    return [*past, ("now", f"These days ({_days(view)})")]


def _changed(rows: pd.DataFrame) -> list[dict[str, Any]]:
    reasons = fingerprint.judged_features()
    return [
        {"title": reasons[r.feature].reason, "asks": r.asks, "now": say.short_amount(r.now, r.unit),
         "usual": say.short_amount(r.usual, r.unit) + (f" for as many {reasons[r.given].unit}" if r.given else ""),
         "z": f"{r.z:.1f}", "peak": f"{r.peak:.1f}", "far": r.peak >= 2 * SHOWN_Z}
        for r in rows.head(CHANGES).itertuples()
    ]  # fmt: skip


def _values(view: View, profile: str) -> list[dict[str, Any]]:
    """The tables of what it is used from, by and for: the new values first."""
    tables = []
    for kind, title in explore.KINDS.items():
        rows = explore.values(view, profile, kind)
        listed = [
            {"value": r.value, "first": getattr(r, "first", ""), "mark": r.mark, "now": r.now, "before": r.before,
             "peers": f"{r.peers} of {r.peers_total}" if r.peers_total else ""}
            for r in rows.head(30).itertuples()
        ]  # fmt: skip
        unit = "Sessions" if kind == "pair" else "Calls"
        tables.append({"title": title, "kind": kind, "rows": listed, "unit": unit, "n": len(rows), "show": VALUES})
    return tables
