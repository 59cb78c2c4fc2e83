"""Explain: each part of a score in words a person can check: observed, usual, peers, and one plain sentence.

Reads  Evidence and the activity of the profile. The shares are the parts of ``score_bits`` and add up to it.
"""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from tokenkit.channels import Detector, detectors, signs
from tokenkit.channels.policy import TITLES
from tokenkit.fingerprint import features, judged_features
from tokenkit.incidents import words
from tokenkit.normal import baseline, familiarity
from tokenkit.normal.evidence import Evidence

VALUES = {"network": ("Network", "network"), "client": ("Program", "user_agent"), "operation": ("Call", "operation")}
FAMILY = {"network": "network", "client": "client", "operation": "endpoint", "hour_of_week": "rhythm", "panel": "panel"}
# class of a network, as only a file tells it: what such a network is called
PLACES = {
    "anonymiser": "an anonymiser (VPN, proxy or Tor)",
    "hosting": "a hosting provider",
    "mobile": "a mobile network",
    "residential": "a home network",
    "corporate": "a company's network",
}
# part: its family, the kind of ``familiarity`` that it is of, and the unit of such values
FAMILIAR = {
    "unfamiliar_objects": ("objects", "object", "objects"),
    "unfamiliar_operations": ("endpoint", "operation", "kinds of calls"),
    "unfamiliar_networks": ("network", "network", "networks"),
    "unfamiliar_clients": ("client", "client", "programs"),
    "foreign_objects": ("objects", "object", "objects"),
}
TITLE = {
    "network": "Used from a network it rarely or never used",
    "client": "Used by a program that rarely or never used it",
    "operation": "Made calls it rarely or never made",
    "hour_of_week": "Active at an hour it is not usually active",
    "panel": "The mix of all its numbers is unusual",
    "unfamiliar_objects": "More of what it touched was new to it",
    "unfamiliar_operations": "More of its calls were new to it",
    "unfamiliar_networks": "More of its networks were new to it",
    "unfamiliar_clients": "More of the programs that used it were new to it",
    "foreign_objects": "Worked on what only others had worked on",
    "silence": "Used again after a long silence",
    "little_else": "So many calls of one kind that the rest fell behind",
}
DRIFT_TITLE = {
    "response_bytes": "Takes more data for its calls, day after day",
    "objects": "Touches more different objects for its calls, day after day",
    "new_objects": "Touches more objects it never touched before, day after day",
    "rows": "Reads more rows for its calls, day after day",
    "requests": "Calls more often, day after day",
}


def mark(before: int, total_before: int) -> str:
    """How common a value was before: UNSEEN, RARE (< 1 of 1,000 calls), INFREQUENT (< 1 of 20), FREQUENT.

    Examples
    --------
    >>> mark(0, 1000), mark(1, 5000), mark(20, 1000), mark(900, 1000)
    ('UNSEEN', 'RARE', 'INFREQUENT', 'FREQUENT')
    """
    if before == 0:
        return "UNSEEN"
    share = before / max(total_before, 1)
    return "RARE" if share < 0.001 else "INFREQUENT" if share < 0.05 else "FREQUENT"


def reasons(
    incident: pd.Series,
    evidence: Evidence | None,
    new_values: dict[str, pd.DataFrame],
    users: dict[str, dict[int, int]],
) -> list[dict[str, Any]]:
    """All reasons of an incident, the largest first; shares add up to 1.

    Parameters
    ----------
    incident : a row of ``merge.summary``
    new_values : kind (network, client, operation) to its values (``judge.calls.Calls.values``)
    users : kind to {value key: how many profiles of the peer group used it before}
    """
    total = sum(incident["parts"].values()) or 1.0
    rows = []
    for part, bits in sorted(incident["parts"].items(), key=lambda item: (-item[1], item[0])):
        entry = _describe(part, incident, evidence, new_values, users)
        observed, usual, peers = entry["observed"], entry["usual"], entry["peers"]
        sentence = f"{entry['title']}: {observed}; usual: {usual}" + (f"; peers: {peers}." if peers else ".")
        rows.append(
            {"feature": part, "family": entry["family"], "channel": entry["channel"], "title": entry["title"],
             "observed": observed, "usual": usual, "peers": peers, "sentence": sentence, "share": bits / total,
             "bits": bits, "value": entry.get("value"), "expected": entry.get("expected"),
             "unit": entry.get("unit", ""), "measured_as": entry["measured_as"]}
        )  # fmt: skip
    return rows


def _describe(
    part: str, incident: pd.Series, evidence: Evidence | None, new_values: dict[str, pd.DataFrame],
    users: dict[str, dict[int, int]],
) -> dict[str, Any]:  # fmt: skip
    if part in VALUES:
        return _value(part, incident, evidence, new_values[part], users.get(part, {}))
    if part in TITLES:
        return {"family": "policy", "channel": "policy", "title": TITLES[part],
                "observed": "since " + words.instant(incident["start"]),
                "usual": "not allowed", "peers": "", "measured_as": part}  # fmt: skip
    if part == "hour_of_week":
        peak = incident["peak_start"]
        return {"family": "rhythm", "channel": "point_day", "title": TITLE[part], "observed": words.instant(peak),
                "usual": "seldom active at that hour on such a day", "peers": "",
                "measured_as": "hour of week novelty, bits"}  # fmt: skip
    assert evidence is not None, f"no evidence for {part}"
    if part.startswith("drift_"):
        return drift_in_words(part.removeprefix("drift_"), incident, evidence)
    if part in FAMILIAR:
        return _familiar(part, incident, evidence)
    if part == "silence":
        return _silence(incident, evidence)
    if part == "little_else":
        return _little_else(incident, evidence)
    if part in evidence.fits:
        return _amount(part, incident, evidence)
    return _of_detector(part, incident)


def title_of(part: str) -> str:
    """What a part of a score is called on the page.

    Examples
    --------
    >>> title_of("requests"), title_of("drift_requests")
    ('Made far more calls', 'Calls more often, day after day')
    """
    name = part.removeprefix("drift_")
    known = TITLE | TITLES | {f"drift_{name}": title for name, title in DRIFT_TITLE.items()}
    return known.get(part) or (features()[name].reason if name in features() else _title_of_detector(part))


def _familiar(part: str, incident: pd.Series, evidence: Evidence) -> dict[str, Any]:
    """How much of what it used was new to it, on the day and over the span on which that was most unusual."""
    family, kind, unit = FAMILIAR[part]
    foreign = part == "foreign_objects"
    columns = [familiarity.FOREIGN] if foreign else familiarity.fresh_columns(kind)
    own = evidence.unfamiliarity
    own = own[(own["profile_uid"] == incident["profile_uid"]) & (own["start"] < incident["end"])]
    own = own[own["start"] >= incident["start"].normalize()].set_index("start")
    column = str(own[columns].max().idxmax())
    day, span = own[column].idxmax(), int(column.rsplit("_", 1)[-1])
    count = "of_others" if foreign else "fresh"
    told = familiarity.share(evidence.unfamiliarity, incident["profile_uid"], day, kind, count, span)
    over = "" if span == 1 else f" in {span} days"
    were = "was" if told.found == 1 else "were"
    whose = f"{were} others' and new to it" if foreign else f"{were} new to it"
    return {"family": family, "channel": "foreign_objects" if foreign else "point_day", "title": TITLE[part],
            "observed": f"{told.found:,} of {words.amount(told.of, unit)} {whose}{over}, up to {words.day(day)}",
            "usual": f"{words.percent(told.usual)} of them", "peers": "", "value": float(told.found),
            "expected": told.usual * told.of, "unit": "", "measured_as": f"{part}, {span} days against 28"}  # fmt: skip


def _silence(incident: pd.Series, evidence: Evidence) -> dict[str, Any]:
    """How long it had been silent, on the day of the incident before which that was longest for it."""
    days = evidence.days
    k = days.row(incident["profile_uid"])
    inside = (days.days >= incident["start"].normalize()) & (days.days < incident["end"])
    d = int(np.argmax(np.where(inside, signs.silence(days)[k], -1.0)))
    pauses = np.diff(np.flatnonzero(days.active[k, : d + 1])) - 1
    return {"family": "rhythm", "channel": "point_day", "title": TITLE["silence"],
            "observed": f"{words.plural(int(pauses[-1]), 'day')} without a call before {words.day(days.days[d])}",
            "usual": f"at most {words.plural(int(pauses[:-1].max(initial=0)), 'day')}", "peers": "",
            "measured_as": "silence, doublings of the longest before"}  # fmt: skip


def _of_detector(part: str, incident: pd.Series) -> dict[str, Any]:
    """A part that stands for a whole detector: one of PyOD in the panel, or one of another package."""
    channel = _channel_of(part)
    name = channel.name if channel else part
    return {"family": name, "channel": name, "title": _title_of_detector(part),
            "observed": words.instant(incident["peak_start"]), "usual": "not among its rarest windows", "peers": "",
            "measured_as": f"{part}, bits"}  # fmt: skip


def _channel_of(part: str) -> Detector | None:
    return next((d for d in detectors() if part == d.name or part.startswith(f"{d.name}_")), None)


def _title_of_detector(part: str) -> str:
    """The title of a whole detector, and where it has members (``panel_IForest``) which one it is."""
    channel = _channel_of(part)
    if channel is None:
        return part.replace("_", " ").capitalize()
    member = part.removeprefix(channel.name).strip("_")
    return TITLE.get(channel.name, channel.title) + (f" ({member})" if member else "")


def _value(
    kind: str, incident: pd.Series, evidence: Evidence | None, rows: pd.DataFrame, users: dict[int, int]
) -> dict[str, Any]:
    calls, before = int(rows["now"].sum()), int(rows["before"].sum())
    strange = rows[rows["hours_before"] == 0]
    strange = strange if len(strange) else rows.head(1)
    of_new_class = strange.iloc[:0]
    if kind == "network" and "new_class" in strange:
        of_new_class = strange[strange["new_class"] & strange["network_class"].isin(list(PLACES))]
        strange = of_new_class if len(of_new_class) else strange
    names = ", ".join(_named(row) for row in strange.head(3).to_dict("records"))
    more = f" and {len(strange) - 3} more" if len(strange) > 3 else ""
    n = int(strange["now"].sum())
    usual_rows = rows[rows["before"] > 0].sort_values(["before", "value"], ascending=[False, True])
    usual = ", ".join(words.clip(str(v)) for v in usual_rows["value"].head(2)) or "other values"
    if evidence is not None:
        group = peers_of(evidence, incident["profile_uid"])
        of = max(len(group) - 1, 0)
        peers = f"{max((users.get(int(k), 0) for k in strange['key'].head(3)), default=0)} of {of} use it" if of else ""
    else:
        peers = ""
    never = bool((strange["before"] == 0).all())
    title = {
        ("network", True): "Used from a network it was never used from", ("client",
         True): "Used by a program never seen with it",
        ("operation", True): "Made calls it never made before",
    }.get((kind, never), TITLE[kind])  # fmt: skip
    if len(of_new_class):
        places = words.joined([PLACES[name] for name in of_new_class["network_class"].unique()])
        title = f"Used from {places}, a kind of network it never used"
    return {"family": FAMILY[kind], "channel": "point_day", "title": title,
            "observed": f"{names}{more}: {words.plural(n, 'call')} of {calls:,}",
            "usual": f"{usual} ({words.plural(before, 'call')} before)" if before else "no calls before",
            "peers": peers,
            "value": float(n), "expected": 0.0, "unit": "calls", "measured_as": f"{kind} novelty, bits"}  # fmt: skip


def _named(row: Mapping[Hashable, Any]) -> str:
    """A value, and of a network the autonomous system that it is in, where that is known.

    Examples
    --------
    >>> _named({"value": "198.51.100.0/24", "asn": 16509.0, "as_name": "AMAZON-02"}), _named({"value": "curl/8"})
    ('198.51.100.0/24 (AS16509 AMAZON-02)', 'curl/8')
    """
    value, asn, name = words.clip(str(row["value"])), row.get("asn"), row.get("as_name")
    if asn is None or pd.isna(asn):
        return value
    return f"{value} (AS{int(asn)}{' ' + words.clip(name, 40) if isinstance(name, str) else ''})"


def peers_of(evidence: Evidence, profile_uid: str) -> np.ndarray:
    """The rows of the profiles in the peer group of a profile, itself among them."""
    k = evidence.days.row(profile_uid)
    return np.flatnonzero(evidence.days.group == evidence.days.group[k])


def _days_of(incident: pd.Series, evidence: Evidence) -> tuple[int, np.ndarray]:
    """Row of the profile, and columns of the days of the incident."""
    days = evidence.days
    low, high = incident["start"].normalize(), incident["end"]
    return days.row(incident["profile_uid"]), np.flatnonzero((days.days >= low) & (days.days < high))


def _position(incident: pd.Series, evidence: Evidence, part: str) -> tuple[int, int]:
    """Row of the profile, and column of the day of the incident on which the feature was farthest off."""
    k, inside = _days_of(incident, evidence)
    z = np.nan_to_num(evidence.z[part][k, inside], nan=-np.inf)
    return k, int(inside[int(np.argmax(z))])


def _little_else(incident: pd.Series, evidence: Evidence) -> dict[str, Any]:
    """The amount that fell farthest behind what was usual for as many calls in the two weeks before, and on which day.

    ``evidence.z`` is measured from these weeks, whose level may be another one than that of the reference.
    """
    k, inside = _days_of(incident, evidence)
    z = np.nan_to_num([evidence.z[part][k, inside] for part in judged_features()], nan=np.inf)
    number, day = np.unravel_index(int(np.argmin(z)), z.shape)
    part = list(judged_features())[number]
    d, value = int(inside[day]), evidence.days.values[part][k, inside[day]]
    sd = float(np.sqrt(baseline.variance(evidence.fits[part], features()[part], evidence.days)[k, d]))
    row = _amount_on(part, k, d, evidence, center=float(np.log1p(value) - z[number, day] * sd))
    what = features()[part].short
    return row | {"title": TITLE["little_else"], "observed": f"{what[0].lower()}{what[1:]}: {row['observed']}"}


def _amount(part: str, incident: pd.Series, evidence: Evidence) -> dict[str, Any]:
    return _amount_on(part, *_position(incident, evidence, part), evidence)


def _amount_on(part: str, k: int, d: int, evidence: Evidence, center: float | None = None) -> dict[str, Any]:
    """What an amount was on a day, and usually is: as the reference says, or by ``center`` (log of 1 + the amount)."""
    feature, days = features()[part], evidence.days
    fit = evidence.fits[part]
    value = days.values[part][k, d]
    if center is None:
        center = float(baseline.expected(fit, feature, days)[k, d])
    sd = float(np.sqrt(baseline.variance(fit, feature, days)[k, d]))
    low, usual, high = (max(0.0, float(np.expm1(center + s * sd))) for s in (-2, 0, 2))
    limit = (
        f"at least {words.amount(low, feature.unit)}"
        if value < usual
        else f"at most {words.amount(high, feature.unit)}"
    )
    group = [g for g in peers_of(evidence, days.profiles[k]) if g != k]
    of_peers = days.values[part][group][:, max(0, d - 6) : d + 1] if group else np.array([np.nan])
    peers = ""
    if group and (~np.isnan(of_peers)).any():
        q10, q90 = np.nanquantile(of_peers, [0.1, 0.9])
        peers = words.amount_range(q10, q90, feature.unit) + " a day"
    given = f" for as many {features()[feature.given].unit}" if feature.given else ""
    return {"family": feature.family, "channel": "point_day", "title": feature.reason,
            "observed": f"{words.amount(value, feature.unit)} on {words.day(days.days[d])}",
            "usual": f"{words.amount(usual, feature.unit)}{given}; {limit}",
            "peers": peers,
            "value": float(value), "expected": usual, "unit": feature.unit,
            "measured_as": f"{part}, robust z {evidence.z[part][k, d]:.1f}"}  # fmt: skip


def drift_in_words(name: str, incident: pd.Series, evidence: Evidence) -> dict[str, Any]:
    """How far a feature drifted in the two weeks before an incident ends, in words and numbers."""
    feature, days = features()[name], evidence.days
    k = days.row(incident["profile_uid"])
    last = int(np.flatnonzero(days.days < incident["end"])[-1])
    window = slice(max(0, last - 13), last + 1)
    seen = ~np.isnan(days.values[name][k, window])
    values = days.values[name][k, window][seen]
    usual = np.expm1(baseline.expected(evidence.fits[name], feature, days)[k, window][seen])
    ratio = values.sum() / max(usual.sum(), 1e-9)
    group = [g for g in peers_of(evidence, incident["profile_uid"]) if g != k]
    peers = ""
    if group:
        r = baseline.residual(evidence.fits[name], feature, days)[group][:, window]
        if (~np.isnan(r)).any():
            peers = f"{words.percent_change(float(np.exp(np.nanmedian(r))))} in the same days"
    per_day = words.amount(float(values.mean()), feature.unit)
    change = words.percent_change(ratio)
    given = " for as many calls" if feature.given else ""
    return {"family": feature.family, "channel": "drift", "title": title_of(f"drift_{name}"),
            "observed": f"{per_day} a day over {words.plural(int(seen.sum()), 'active day')} ({change})",
            "usual": f"{words.amount(float(usual.mean()), feature.unit)} a day{given}", "peers": peers,
            "value": float(values.mean()), "expected": float(usual.mean()), "unit": feature.unit,
            "measured_as": f"{name} given requests, 14 days against the frozen reference" if feature.given else
            f"{name}, 14 days against the frozen reference"}  # fmt: skip
