"""OCSF: incidents as Detection Findings of OCSF 1.8, for a SIEM.

One finding an incident, the same in every run: ``finding_info.uid`` is the incident's id, ``created_time`` is when it
could first have been raised in event time, ``resources[].uid`` are the credentials concerned. Nothing here is read from
the clock, and nothing but what the page shows is written.
"""

import ipaddress
import math
import re
from typing import Any

from tokenkit import __version__
from tokenkit.report import words

VERSION = "1.8.0"
Facts = dict[str, Any]

_ACTIVITY = {"opened": (1, "Create"), "grown": (2, "Update"), "quiet": (2, "Update"), "closed": (3, "Close")}
_LEVEL = {"low": 1, "medium": 2, "high": 3}  # of risk and of confidence; severity is one higher
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}")
_TECHNIQUE = re.compile(r"(T\d{4})(\.\d{3})?")


def findings(facts: Facts) -> list[Facts]:
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
    return [_finding(incident, str(facts["run_uid"])) for incident in facts["incidents"]]


def _finding(i: Facts, run_uid: str) -> Facts:
    activity, activity_name = _ACTIVITY.get(i.get("state") or "", _ACTIVITY["opened"])
    created, first, last = _ms(i.get("created_time")), _ms(i["start"]), _ms(i.get("last_seen") or i["end"])
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
            "count": _whole(i.get("evidence_total")),
            "is_alert": not closed,
            **_levels(i),
            "action_id": 3,
            "action": "Observed",
            "disposition_id": 15,
            "disposition": "Detected",
            "message": _text(i.get("headline") or i.get("short")),
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
                "title": _text(i.get("short") or i.get("headline")),
                "desc": _text(_desc(i), 4000),
                "types": ["Behavioral Anomaly"],
                "created_time": created,
                "first_seen_time": first,
                "last_seen_time": last,
                "related_events_count": _whole(i.get("evidence_total")),
                "analytic": _analytic((i.get("channels") or ["unknown"])[0]),
                "related_analytics": [_analytic(c) for c in (i.get("channels") or [])[1:]] + _opinion(i),
                "attacks": _attacks(i),
                "traits": _traits(i),
            },
            "anomaly_analyses": _analyses(i),
            "evidences": evidence,
            "observables": _observables(i, evidence),
            "resources": [_resource(uid, i) for uid in i["token_uids"]],
            "remediation": {"desc": _text(_remedy(i), 2000)} if i.get("action") else None,
            "unmapped": {"tokenkit": _unmapped(i)},
        }
    )


def _levels(i: Facts) -> Facts:
    """Severity, confidence and risk."""
    risk, sure = str(i.get("risk_level")), str((i.get("sure") or {}).get("level"))
    risk = risk if risk in _LEVEL else "low"
    return {
        "severity_id": _LEVEL[risk] + 1,
        "severity": risk.capitalize(),
        "confidence_id": _LEVEL.get(sure, 0),
        "confidence": sure.capitalize() if sure in _LEVEL else "Unknown",
        "risk_level_id": _LEVEL[risk],
        "risk_level": risk.capitalize(),
        "risk_score": _whole(i.get("risk")),
        "risk_details": _text((i.get("sure") or {}).get("text")),
    }


def _unmapped(i: Facts) -> Facts:
    """What OCSF has no attribute for: the score, and the reasons with their numbers."""
    texts = ("feature", "family", "channel", "title", "observed", "usual", "peers", "sentence")
    numbers = ("share", "bits", "value", "expected")
    return {
        "profile_uid": i["profile_uid"],
        "state": i.get("state"),
        "channels": i.get("channels"),
        "n_windows": i.get("n_windows"),
        "score_bits": _number(i.get("score_bits")),
        "threshold_bits": _number(i.get("threshold_bits")),
        "reasons": [
            {k: _text(r.get(k)) for k in texts} | {k: _number(r.get(k)) for k in numbers}
            for r in i.get("reasons") or []
        ],
    }


def _traits(i: Facts) -> list[Facts]:
    """The features that contributed, with their values."""
    return [
        {"name": _text(r["feature"], 80), "category": _text(r.get("family"), 80), "values": _values(r.get("value"))}
        for r in i.get("reasons") or []
        if r.get("feature")
    ]


def _values(value: Any) -> list[str]:
    text = _text(value, 80)
    return [text] if text else []


def _desc(i: Facts) -> str:
    """The reasons in words, the strongest first."""
    said = [words.sentence(r.get("sentence") or r.get("title")) for r in i.get("reasons") or []]
    return " ".join([words.sentence(i.get("headline")), *said]).strip()


def _remedy(i: Facts) -> str:
    action = i["action"]
    return " ".join(
        words.sentence(t) for t in [action.get("title"), action.get("text"), *(action.get("how") or [])] if t
    )


def _analytic(channel: str) -> Facts:
    name = _text(channel, 60)
    fixed = {"type_id": 3, "type": "Statistical", "version": __version__, "category": "UEBA"}
    return {"uid": f"tokenkit.{name}", "name": name, **fixed}


def _opinion(i: Facts) -> list[Facts]:
    opinion = i.get("second_opinion")
    if not opinion:
        return []
    name, text = _text(opinion.get("name") or "second opinion", 80), _text(opinion.get("text"))
    return [{"name": name, "type_id": 4, "type": "Learning (ML/DL)", "desc": text}]


def _attacks(i: Facts) -> list[Facts]:
    """Techniques of MITRE ATT&CK; ids of other catalogues stand on the page only."""
    found = []
    for a in i.get("attack") or []:
        if match := _TECHNIQUE.fullmatch(str(a.get("technique"))):
            name = _text(a.get("name"), 120)
            sub = {"sub_technique": {"uid": match[0], "name": name}} if match[2] else {}
            found.append({"technique": {"uid": match[1]} | ({} if sub else {"name": name}), **sub})
    return found


def _analyses(i: Facts) -> list[Facts]:
    """What was observed against what is usual, in the words of the card."""
    both = [r for r in i.get("reasons") or [] if r.get("observed") and r.get("usual") and r.get("feature")]
    if not both:
        return []
    span = {"start_time": _ms(i["start"]), "end_time": _ms(i["end"]), "type_id": 9, "type": "Time Interval"}
    return [
        {
            "analysis_targets": [{"name": uid, "type": "API Token"} for uid in i["token_uids"]],
            "baselines": [_observation(r, "usual") for r in both],
            "anomalies": [_observation(r, "observed", timespan=span) for r in both],
        }
    ]


def _observation(reason: Facts, key: str, **more: Any) -> Facts:
    value = _text(reason[key]) or "unknown"
    return {"observation_parameter": _text(reason["feature"], 80), "observations": [{"value": value, **more}]}


def _evidence(i: Facts) -> list[Facts]:
    """Example calls. An address is an endpoint only where it is one."""
    found = []
    for e in (i.get("evidence") or [])[:10]:
        ip = _ip(e.get("from"))
        found.append(
            {
                "api": {"operation": _text(e.get("operation")) or "unknown"},
                "src_endpoint": {"ip": ip},
                "http_request": {"user_agent": _text(e.get("client"))},
                "data": {
                    "time": _text(e.get("time"), 40),
                    "from": None if ip else _text(e.get("from"), 120),
                    "object": _text(e.get("object")),
                    "answer": _text(e.get("answer"), 80),
                    "response_bytes": _number(e.get("response_bytes")),
                },
            }
        )
    return found


_OBSERVED = (
    ("src_endpoint", "ip", 2, "IP Address"),
    ("http_request", "user_agent", 16, "HTTP User-Agent"),
)


def _observables(i: Facts, evidence: list[Facts]) -> list[Facts]:
    """What a SIEM may search for: credentials, addresses, programs."""
    found = [
        {"name": f"resources[{n}].uid", "type_id": 19, "type": "User Credential ID", "value": uid}
        for n, uid in enumerate(i["token_uids"])
    ]
    seen = set()
    for n, e in enumerate(evidence):
        for part, key, type_id, kind in _OBSERVED:
            value = e[part][key]
            if value and value not in seen:
                seen.add(value)
                found.append({"name": f"evidences[{n}].{part}.{key}", "type_id": type_id, "type": kind, "value": value})
    return found


def _resource(uid: str, i: Facts) -> Facts:
    token, owner = i.get("token") or {}, i.get("owner") or {}
    labels = [f"{k}:{_text(i[k], 80)}" for k in ("environment", "purpose") if i.get(k)]
    return {
        "uid": uid,
        "name": _text(token.get("label") or token.get("principal"), 120),
        "type": "API Token",
        "role_id": 3,
        "role": "Affected",
        "criticality": _text(i.get("criticality"), 40),
        "labels": labels,
        "owner": _owner(owner) if owner.get("status") != "orphaned" else None,
        "group": {"name": _text(owner.get("team"), 120)},
    }


def _owner(owner: Facts) -> Facts | None:
    name, email = _text(owner.get("name"), 120), str(owner.get("email") or "")
    if not name:
        return None
    return {"name": name, "email_addr": email if _EMAIL.fullmatch(email) else None, "type_id": 1}


def _text(value: Any, limit: int = 1000) -> str | None:
    if isinstance(value, float):
        value = f"{value:.6g}"
    return words.clean(value, limit) or None


def _ms(iso: str | None) -> int | None:
    t = words.moment(iso)
    return None if t is None else round(t.timestamp() * 1000)


def _whole(value: Any) -> int | None:
    return None if value is None else round(value)


def _number(value: Any) -> float | int | None:
    """A number that JSON knows."""
    return value if isinstance(value, int | float) and math.isfinite(value) else None


def _ip(value: Any) -> str | None:
    try:
        return str(ipaddress.ip_address(str(value)))
    except ValueError:
        return None


def _without_empty(value: Any) -> Any:
    """Leave out what is not known: OCSF has no null."""
    if isinstance(value, dict):
        kept = {k: _without_empty(v) for k, v in value.items()}
        return {k: v for k, v in kept.items() if v is not None and v != [] and v != {}}
    if isinstance(value, list):
        return [v for v in (_without_empty(item) for item in value) if v is not None and v != {}]
    return value
