"""OCSF: incidents as Detection Findings of OCSF 1.8, for a SIEM.

One finding an incident, the same in every run: ``finding_info.uid`` is the incident's id, ``created_time`` is when it
could first have been raised in event time, ``resources[].uid`` are the credentials concerned. Nothing here is read from
the clock, and nothing but what the page shows is written.
"""

import ipaddress
import math
import re
from typing import Any, Final

from tokenkit import __version__
from tokenkit.incidents import words
from tokenkit.schema.facts import Facts
from tokenkit.schema.incident import Incident, Level, Owner, State

VERSION = "1.8.0"
Object = dict[str, Any]  # of OCSF, as JSON has it

_ACTIVITY: dict[State, tuple[int, str]] = {
    "opened": (1, "Create"),
    "grown": (2, "Update"),
    "quiet": (2, "Update"),
    "closed": (3, "Close"),
}
_LEVEL: dict[Level, int] = {"low": 1, "medium": 2, "high": 3}  # of risk and of confidence; severity is one higher
_REASON_TEXTS: Final = ("feature", "family", "channel", "title", "observed", "usual", "peers", "sentence")
_REASON_NUMBERS: Final = ("share", "bits", "value", "expected")
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}")
_TECHNIQUE = re.compile(r"(T\d{4})(\.\d{3})?")


def findings(facts: Facts) -> list[Object]:
    """The incidents of a report as Detection Findings.

    Parameters
    ----------
    facts : what ``gather`` returns

    Returns
    -------
    One an incident, in the order of the page; an empty list where there is none.

    Examples
    --------
    >>> findings({"run_uid": "run1_0", "incidents": []})
    []
    """
    return [_finding(incident, facts["run_uid"]) for incident in facts["incidents"]]


def _finding(i: Incident, run_uid: str) -> Object:
    activity, activity_name = _ACTIVITY[i["state"]]
    created, first, last = _ms(i["created_time"]), _ms(i["start"]), _ms(i["last_seen"])
    evidence, closed = _evidence(i), activity == 3
    return _without_empty(
        {
            "class_uid": 2004,
            "class_name": "Detection Finding",
            "category_uid": 2,
            "category_name": "Findings",
            "activity_id": activity,
            "activity_name": activity_name,
            "type_uid": 200400 + activity,
            "type_name": f"Detection Finding: {activity_name}",
            "status_id": 4 if closed else 1,
            "status": "Resolved" if closed else "New",
            "time": (created if activity == 1 else last) or first or 0,
            "start_time": first,
            "end_time": _ms(i["end"]),
            "count": i["evidence_total"],
            "is_alert": not closed,
            **_levels(i),
            "action_id": 3,
            "action": "Observed",
            "disposition_id": 15,
            "disposition": "Detected",
            "message": _text(i["headline"]),
            "metadata": {
                "version": VERSION,
                "uid": i["incident_uid"],
                "correlation_uid": run_uid,
                "log_name": "tokenkit.incidents",
                "profiles": ["security_control"],  # action and disposition belong to it
                "product": {"name": "tokenkit", "vendor_name": "tokenkit", "version": __version__},
            },
            "finding_info": {
                "uid": i["incident_uid"],
                "title": _text(i["short"]),
                "desc": _text(_desc(i), 4000),
                "types": ["Behavioral Anomaly"],
                "created_time": created,
                "first_seen_time": first,
                "last_seen_time": last,
                "related_events_count": i["evidence_total"],
                "analytic": _analytic(i["channels"][0]),
                "related_analytics": [_analytic(c) for c in i["channels"][1:]] + _opinion(i),
                "attacks": _attacks(i),
                "traits": _traits(i),
            },
            "anomaly_analyses": _analyses(i),
            "evidences": evidence,
            "observables": _observables(i, evidence),
            "resources": [_resource(uid, i) for uid in i["token_uids"]],
            "remediation": {"desc": _text(_remedy(i), 2000)},
            "unmapped": {"tokenkit": _unmapped(i)},
        }
    )


def _levels(i: Incident) -> Object:
    """Severity, confidence and risk."""
    risk, sure = i["risk_level"], i["sure"]["level"]
    return {
        "severity_id": _LEVEL[risk] + 1,
        "severity": risk.capitalize(),
        "confidence_id": _LEVEL[sure],
        "confidence": sure.capitalize(),
        "risk_level_id": _LEVEL[risk],
        "risk_level": risk.capitalize(),
        "risk_score": i["risk"],
        "risk_details": _text(i["sure"]["text"]),
    }


def _unmapped(i: Incident) -> Object:
    """What OCSF has no attribute for: the score, and the reasons with their numbers."""
    return {
        "profile_uid": i["profile_uid"],
        "state": i["state"],
        "channels": i["channels"],
        "n_windows": i["n_windows"],
        "score_bits": _number(i["score_bits"]),
        "threshold_bits": _number(i["threshold_bits"]),
        "reasons": [
            {k: _text(r[k]) for k in _REASON_TEXTS} | {k: _number(r[k]) for k in _REASON_NUMBERS} for r in i["reasons"]
        ],
    }


def _traits(i: Incident) -> list[Object]:
    """The features that contributed, with their values."""
    return [
        {"name": _text(r["feature"], 80), "category": _text(r["family"], 80), "values": _values(r["value"])}
        for r in i["reasons"]
        if r["feature"]
    ]


def _values(value: float | None) -> list[str]:
    text = _text(value, 80)
    return [text] if text else []


def _desc(i: Incident) -> str:
    """The headline and the reasons in words, the strongest first."""
    sentences = [words.sentence(r["sentence"] or r["title"]) for r in i["reasons"]]
    return " ".join([words.sentence(i["headline"]), *sentences]).strip()


def _remedy(i: Incident) -> str:
    action = i["action"]
    return " ".join(words.sentence(text) for text in [action["title"], action["text"], *action["how"]] if text)


def _analytic(channel: str) -> Object:
    name = _text(channel, 60)
    fixed = {"type_id": 3, "type": "Statistical", "version": __version__, "category": "UEBA"}
    return {"uid": f"tokenkit.{name}", "name": name, **fixed}


def _opinion(i: Incident) -> list[Object]:
    opinion = i["second_opinion"]
    if opinion is None:
        return []
    name, text = _text(opinion["name"], 80), _text(opinion["text"])
    return [{"name": name, "type_id": 4, "type": "Learning (ML/DL)", "desc": text}]


def _attacks(i: Incident) -> list[Object]:
    """Techniques of MITRE ATT&CK; ids of other catalogues stand on the page only."""
    attacks = []
    for a in i["attack"]:
        if match := _TECHNIQUE.fullmatch(a["technique"]):
            name = _text(a["name"], 120)
            sub = {"sub_technique": {"uid": match[0], "name": name}} if match[2] else {}
            attacks.append({"technique": {"uid": match[1]} | ({} if sub else {"name": name}), **sub})
    return attacks


def _analyses(i: Incident) -> list[Object]:
    """What was observed against what is usual, in the words of the card."""
    both = [r for r in i["reasons"] if r["observed"] and r["usual"] and r["feature"]]
    if not both:
        return []
    span = {"start_time": _ms(i["start"]), "end_time": _ms(i["end"]), "type_id": 9, "type": "Time Interval"}
    return [
        {
            "analysis_targets": [{"name": uid, "type": "API Token"} for uid in i["token_uids"]],
            "baselines": [_observation(r["feature"], r["usual"]) for r in both],
            "anomalies": [_observation(r["feature"], r["observed"], timespan=span) for r in both],
        }
    ]


def _observation(feature: str, value: str, **more: Any) -> Object:
    observations = [{"value": _text(value) or "unknown", **more}]
    return {"observation_parameter": _text(feature, 80), "observations": observations}


def _evidence(i: Incident) -> list[Object]:
    """Example calls. An address is an endpoint only where it is one."""
    calls = []
    for e in i["evidence"][:10]:
        ip = _ip(e["from"])
        calls.append(
            {
                "api": {"operation": _text(e["operation"]) or "unknown"},
                "src_endpoint": {"ip": ip},
                "http_request": {"user_agent": _text(e["client"])},
                "data": {
                    "time": _text(e["time"], 40),
                    "from": None if ip else _text(e["from"], 120),
                    "object": _text(e["object"]),
                    "answer": _text(e["answer"], 80),
                    "response_bytes": _number(e["response_bytes"]),
                },
            }
        )
    return calls


_OBSERVED = (
    ("src_endpoint", "ip", 2, "IP Address"),
    ("http_request", "user_agent", 16, "HTTP User-Agent"),
)


def _observables(i: Incident, evidence: list[Object]) -> list[Object]:
    """What a SIEM may search for: credentials, addresses, programs."""
    observables: list[Object] = [
        {"name": f"resources[{n}].uid", "type_id": 19, "type": "User Credential ID", "value": uid}
        for n, uid in enumerate(i["token_uids"])
    ]
    seen = set()
    for n, e in enumerate(evidence):
        for part, key, type_id, kind in _OBSERVED:
            value = e[part][key]
            if value and value not in seen:
                seen.add(value)
                name = f"evidences[{n}].{part}.{key}"
                observables.append({"name": name, "type_id": type_id, "type": kind, "value": value})
    return observables


def _resource(uid: str, i: Incident) -> Object:
    token, owner = i["token"], i["owner"]
    job = {"environment": i["environment"], "purpose": i["purpose"]}
    labels = [f"{name}:{_text(value, 80)}" for name, value in job.items() if value]
    return {
        "uid": uid,
        "name": _text(token["label"] or token["principal"], 120),
        "type": "API Token",
        "role_id": 3,
        "role": "Affected",
        "criticality": _text(i["criticality"], 40),
        "labels": labels,
        "owner": _owner(owner) if owner["status"] != "orphaned" else None,
        "group": {"name": _text(owner["team"], 120)},
    }


def _owner(owner: Owner) -> Object | None:
    name, email = _text(owner["name"], 120), owner["email"] or ""
    if not name:
        return None
    return {"name": name, "email_addr": email if _EMAIL.fullmatch(email) else None, "type_id": 1}


def _text(value: str | float | None, limit: int = 1000) -> str | None:
    if isinstance(value, float):
        value = f"{value:.6g}"
    return words.clean(value, limit) or None


def _ms(iso: str | None) -> int | None:
    t = words.moment(iso)
    return None if t is None else round(t.timestamp() * 1000)


def _number(value: float | None) -> float | None:
    """A number that JSON knows."""
    return value if value is not None and math.isfinite(value) else None


def _ip(value: str | None) -> str | None:
    try:
        return str(ipaddress.ip_address(str(value)))
    except ValueError:
        return None


def _without_empty(value: Any) -> Any:
    """Leave out what is not known: OCSF has no null."""
    if isinstance(value, dict):
        cleaned = {k: _without_empty(v) for k, v in value.items()}
        return {k: v for k, v in cleaned.items() if v is not None and v != [] and v != {}}
    if isinstance(value, list):
        return [v for v in (_without_empty(item) for item in value) if v is not None and v != {}]
    return value
