"""OCSF: an action as a Remediation Activity (class 7001) of OCSF 1.8, for a SIEM.

``metadata.correlation_uid`` is the incident's id, as in the finding (tokenkit/report/ocsf.py): the activity's end_time
minus the finding's first_seen_time is the time to contain. The countermeasure is named as in MITRE D3FEND.
"""

from datetime import datetime
from typing import Any

from tokenkit import __version__
from tokenkit.respond import journal
from tokenkit.respond.proposal import Proposal

# verb: activity, its name, D3FEND tactic, technique and its name (ids as in the ontology)
_VERBS = {
    "lock": (2, "Evict", "Evict", "D3-AL", "Account Locking"),
    "restrict": (1, "Isolate", "Isolate", "D3-UAP", "User Account Permissions"),
    "step_up": (4, "Harden", "Harden", "D3-MFA", "Multi-factor Authentication"),
    "undo": (3, "Restore", "Restore", "D3-ULA", "Unlock Account"),
}
_SEVERITY = {"low": (2, "Low"), "medium": (3, "Medium"), "high": (4, "High")}
_STATUS = {"verified": (1, "Success"), "unverified": (4, "Partial"), "failed": (2, "Failure")}


def remediation(proposal: Proposal, rows: list[journal.Row]) -> dict[str, Any]:
    """Return the newest apply or undo of an action; before it is applied, what it would be (``unmapped.dry_run``).

    Parameters
    ----------
    proposal : the action
    rows : the journal
    """
    state, intent, result = journal.latest(rows).get(proposal.action_uid, ("proposed", None, None))
    begin = intent.record if intent else {}
    outcome = result.record if result else {}
    operation = begin.get("operation", "apply")
    activity, name, tactic, technique, title = _VERBS["undo" if operation == "undo" else proposal.verb]
    severity, severity_name = _SEVERITY.get(proposal.risk_level, (1, "Informational"))
    status, status_name = _STATUS.get(outcome.get("status", ""), (0, "Unknown"))
    start = _ms(begin.get("when") or proposal.first_seen)
    end = _ms(outcome["when"]) if outcome else start
    checks = [f"{c['what']}: {c['found']}" for c in outcome.get("checks", [])]
    return {
        "class_uid": 7001, "class_name": "Remediation Activity", "category_uid": 7, "category_name": "Remediation",
        "activity_id": activity, "activity_name": name, "type_uid": 700100 + activity,
        "severity_id": severity, "severity": severity_name,
        "time": end, "start_time": start, "end_time": end, "duration": end - start,
        "status_id": status, "status": status_name, "status_detail": "; ".join(checks) or outcome.get("note") or state,
        "command_uid": proposal.action_uid,
        "message": f"{operation} {proposal.verb} of {proposal.token_uid}: {state}",
        "metadata": {
            "version": "1.8.0", "uid": f"{proposal.action_uid}-{result.number if result else 0}",
            "product": {"name": "tokenkit", "vendor_name": "tokenkit", "version": __version__},
            "log_name": "tokenkit.actions", "profiles": ["host"], "correlation_uid": proposal.incident_uid,
        },
        "actor": {"app_name": "tokenkit", "app_uid": "tokenkit.respond"}
        | ({"user": {"name": begin["who"], "type_id": 1}} if begin else {}),
        "countermeasures": [{
            "version": "1.2.0", "d3f_tactic": {"uid": f"d3f:{tactic}", "name": tactic},
            "d3f_technique": {"uid": technique, "name": title},
        }],
        "remediation": {"desc": "; ".join(begin.get("commands") or [f"{proposal.verb} by {proposal.connector}"])},
        "observables": [
            {"name": "unmapped.token_uid", "type_id": 19, "type": "User Credential ID", "value": proposal.token_uid}
        ],
        "unmapped": {
            "token_uid": proposal.token_uid, "connector": proposal.connector, "verb": proposal.verb, "state": state,
            "dry_run": intent is None, "reason": begin.get("why", ""), "undo": begin.get("undo", []),
            "settled_after_interruption": bool(outcome.get("settled")),
        },
    }  # fmt: skip


def _ms(iso: str) -> int:
    return round(datetime.fromisoformat(iso.replace("Z", "+00:00")).timestamp() * 1000)
