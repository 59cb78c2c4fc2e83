"""Invented facts in four states, as tokenkit.report.gather makes them. Sums, shares and times agree with each other.

``attention()`` 18 days with three incidents; ``quiet()`` the same organisation on a calm day; ``not_enough_history()``
one hour of logs; ``empty()`` a day of which no log was read. Each call makes a fresh copy.
"""

import copy
from datetime import UTC, datetime, timedelta

from report.incidents_example import days, drifting, iso, stolen, walking

from tokenkit.schema.coverage import Source
from tokenkit.schema.facts import DriftingToken, Facts, RiskyToken
from tokenkit.schema.incident import Incident

START, END = datetime(2026, 2, 14, tzinfo=UTC), datetime(2026, 3, 4, tzinfo=UTC)


def _watch() -> list[DriftingToken]:
    rows = (
        (
            "warehouse-load",
            "Jonas Weber",
            "Data Platform",
            1.22,
            11,
            48e9,
            "bytes",
            "Takes 59 GB a day instead of 48 GB.",
        ),
        ("ci-deploy", None, None, 1.35, 8, 26, "objects", "Reads 35 repositories a day instead of 26."),
        ("support-bot", "Lena Fischer", "Customer Care", 1.41, 14, 31, "calls", "Asks 44 times a day instead of 31."),
    )
    found = []
    for label, owner, team, ratio, n, level, unit, text in rows:
        series = days(level, ratio, n, unit, "", None)
        found.append(
            {
                "profile_uid": f"tok1_{abs(len(label)):024d}",
                "label": label,
                "mask": "AKIA...7T3C",
                "owner": owner,
                "team": team,
                "days": n,
                "ratio": ratio,
                "what": "data taken per call",
                "score_bits": 9.1,
                "threshold_bits": 18.1,
                "text": text,
                "usual": "48 GB",
                "observed": "59 GB",
                "series": series["points"],
                "band": series["band"],
                "unit": unit,
            }
        )
    return found


def _risk_row(incident: Incident, do: str) -> RiskyToken:
    owner = incident["owner"]
    return {
        "label": incident["token"]["label"],
        "mask": incident["token"]["mask"],
        "profile_uid": incident["profile_uid"],
        "risk": incident["risk"],
        "level": incident["risk_level"],
        "owner": owner["name"],
        "team": owner["team"],
        "environment": incident["environment"],
        "criticality": incident["criticality"],
        "known_days": incident["known_days"],
        "do": do,
        "incident_uid": incident["incident_uid"],
    }


def _source(name: str, read: int, stored: int, unattributed: int) -> Source:
    return {
        "source": name,
        "files": 41,
        "read": read,
        "stored": stored,
        "duplicates": 118,
        "quarantined": 12,
        "ignored": read - stored - 130,
        "repeated": 0,
        "differing": 0,
        "first": "2026-01-03T00:00:02Z",
        "last": "2026-03-04T03:58:41Z",
        "unattributed": unattributed,
        "lag_s": 402.0,
    }


def attention() -> Facts:
    incidents = [stolen(), drifting(), walking()]
    return copy.deepcopy(
        {
            "organisation": "Norrland Parcels",
            "run_uid": "run1_5d0c8a1f22b94e07",
            "made": "2026-03-04T03:58:41Z",
            "period": {"start": iso(START), "end": iso(END), "days": 18},
            "state": "attention",
            "pseudonymous": False,
            "history": {
                "first": "2026-01-03T00:00:02Z",
                "last": "2026-03-04T03:58:41Z",
                "days": 60.2,
                "hours": 1444.0,
                "reference": {"start": "2026-01-03T00:00:00Z", "end": "2026-01-31T00:00:00Z", "days": 28},
                "calibration": {"start": "2026-01-31T00:00:00Z", "end": "2026-02-14T00:00:00Z", "days": 14},
                "provisional": False,
                "note": None,
            },
            "previous": {
                "run_uid": "run1_4c",
                "end": "2026-03-03T00:00:00Z",
                "opened": 2,
                "grown": 1,
                "quiet": 0,
                "closed": 3,
                "new_tokens": 3,
                "lost_owner": 1,
                "incidents_new": ["inc1_4b7e09d2a6c01f35", "inc1_a90c55e1774b20d8"],
            },
            "counts": {
                "tokens": 205,
                "credentials": 240,
                "profiles": 200,
                "active": 190,
                "new": 3,
                "idle": 10,
                "dormant": 5,
                "unowned": 4,
                "orphaned": 3,
                "ambiguous": 0,
                "unattributed_calls": 76,
                "calls": 1_004_812,
                "judged": 188,
                "young": 6,
                "answered": 0,
                "accepted": 0,
            },
            "budget": {
                "per_1000": 5.0,
                "allowed": 18.0,
                "opened": 2,
                "days": 18,
                "per_day": 1.0,
                "achieved": 0.11,
                "calibration_opened": 13,
                "by_chance": 11.2,
                "week": {
                    "opened": 9,
                    "allowed": 3.5,
                    "far_off": True,
                    "may_be_chance": False,
                    "causes": [
                        "All that is unusual about one day (6)",
                        "Made calls it rarely or never made (5)",
                        "services (4)",
                    ],
                },
                "calibration_days": 14,
            },
            "incidents": incidents,
            "answered": [],
            "accepted": [],
            "not_raised": [],
            "watch": _watch(),
            "policy": [
                {
                    "rule": "orphan_in_use",
                    "title": "Used after its owner left",
                    "label": "legacy-invoices",
                    "mask": "AKIA...QX41",
                    "token_uid": "tok1_0a",
                    "profile_uid": "tok1_0a",
                    "owner": "Tom Hale",
                    "since": "2026-03-02T00:00:00Z",
                    "requests": 412,
                    "standing": True,
                    "text": "Tom Hale left on Mon 2 Mar; the token made 412 calls since.",
                    "do": "Name a new owner or lock it.",
                },
                {
                    "rule": "expired_in_use",
                    "title": "Used after it expired",
                    "label": "qa-scanner",
                    "mask": "k...",
                    "token_uid": "tok1_0b",
                    "profile_uid": "tok1_0b",
                    "owner": None,
                    "since": "2026-02-20T00:00:00Z",
                    "requests": 51,
                    "standing": False,
                    "text": "It expired on Fri 20 Feb and made 51 calls since.",
                    "do": "Renew or lock it.",
                },
            ],
            "owners_missing": [
                {
                    "label": "returns-app",
                    "mask": "k...",
                    "token_uid": "tok1_c0",
                    "principal": None,
                    "kind": "api key",
                    "status": "orphaned",
                    "owner": "Pavel Novak",
                    "requests": 13260,
                    "last_seen": "2026-03-03T00:31:40Z",
                    "ask": "team Returns",
                },
                {
                    "label": "legacy-invoices",
                    "mask": "AKIA...QX41",
                    "token_uid": "tok1_0a",
                    "principal": "user/legacy",
                    "kind": "user key",
                    "status": "orphaned",
                    "owner": "Tom Hale",
                    "requests": 412,
                    "last_seen": "2026-03-03T21:00:00Z",
                    "ask": "team Billing",
                },
                {
                    "label": "partner-webhook",
                    "mask": "k...",
                    "token_uid": "tok1_0c",
                    "principal": None,
                    "kind": "api key",
                    "status": "unowned",
                    "owner": None,
                    "requests": 2904,
                    "last_seen": "2026-03-04T03:10:00Z",
                    "ask": None,
                },
            ],
            "riskiest": [
                _risk_row(i, do) for i, do in zip(incidents, ("Lock now", "Ask the owner", "Limit it"), strict=True)
            ],
            "active_tokens": [
                {
                    "label": "invoice-export",
                    "mask": "AKIA...20BJ",
                    "kind": "user key",
                    "owner": "Marta Lind",
                    "requests": 61200,
                    "response_bytes": 9_400_000_000,
                    "networks": 2,
                    "clients": 2,
                    "top_operation": "s3:GetObject",
                }
            ],
            "calls_series": {
                "unit": "day",
                "points": [[p[0], p[1]] for p in days(16700, 1.0, 1, "calls", "", None)["points"]],
            },
            "rare_values": [
                {
                    "kind": "Program",
                    "value": "rclone 1.68",
                    "label": "invoice-export",
                    "mask": "AKIA...20BJ",
                    "requests": 1931,
                    "first": "2026-03-04T02:10:04Z",
                    "note": None,
                }
            ],
            "coverage": {
                "first": "2026-01-03T00:00:02Z",
                "last": "2026-03-04T03:58:41Z",
                "sources": [_source("cloudtrail", 612_900, 612_118, 76), _source("gateway", 392_930, 392_694, 0)],
                "ignored_rules": {"cloudtrail digest file": 752},
                "quarantined_total": 24,
                "quarantined": [
                    {"file": "gateway/2026-03-02.log", "place": "line 1204", "reason": "not JSON: ends in a string"}
                ],
                "gaps": [{"source": "gateway", "start": "2026-03-02T23:12:00Z", "end": "2026-03-02T23:53:00Z"}],
                "notes": [],
                "owners": {"rows": 198, "source": "inventory.csv", "with_owner": 0.966, "unmatched": None},
            },
            "health": {
                "channels": [
                    {
                        "channel": "point_hour",
                        "title": "One hour unlike itself",
                        "share": 0.3,
                        "opened": 1,
                        "threshold_bits": 19.2,
                    },
                    {
                        "channel": "point_day",
                        "title": "One day unlike itself",
                        "share": 0.25,
                        "opened": 0,
                        "threshold_bits": 18.8,
                    },
                    {
                        "channel": "drift_amounts",
                        "title": "Takes more and more",
                        "share": 0.3,
                        "opened": 1,
                        "threshold_bits": 18.1,
                    },
                    {
                        "channel": "drift_requests",
                        "title": "Calls more and more",
                        "share": 0.15,
                        "opened": 0,
                        "threshold_bits": 17.5,
                    },
                ],
                "second_opinion": {"name": "PyOD Isolation Forest", "agree": 2, "of": 3},
                "assumed": ["At most 1% of the tokens were already misused in the reference."],
                "settings_digest": "8f2c11d09ab4",
                "settings_set": {"by": "", "on": "", "why": ""},
                "weights_set": {"by": "", "on": "", "why": ""},
                "verdicts": {"true_positive": 0, "benign": 0, "false_positive": 0, "precision": None},
                "versions": {"tokenkit": "0.1.0", "pyod": "3.6.2"},
                "tables": {"events": 12, "scores": 4},
                "seed": 0,
            },
            "blind": [
                {"what": "6 tokens known for less than 7 days", "means": "They are judged by their peers only."},
                {"what": "Calls that bypass the gateway", "means": "No log of them is read."},
            ],
            "by_owner": [
                {
                    "owner": "Marta Lind",
                    "team": "Billing",
                    "tokens": 6,
                    "do": "Lock invoice-export and replace it.",
                    "on_page": [{"label": "invoice-export", "incident_uid": incidents[0]["incident_uid"]}],
                },
                {
                    "owner": "Ines Ortega",
                    "team": "Sales Systems",
                    "tokens": 3,
                    "do": "Say what changed on Sat 14 Feb.",
                    "on_page": [{"label": "crm-sync", "incident_uid": incidents[1]["incident_uid"]}],
                },
                {
                    "owner": None,
                    "team": None,
                    "tokens": 7,
                    "do": "Find an owner.",
                    "on_page": [{"label": "returns-app", "incident_uid": incidents[2]["incident_uid"]}],
                },
            ],
            "not_judged": {"young": 2, "text": "Two tokens made their first call on the last day."},
        }
    )


def quiet() -> Facts:
    facts = attention()
    facts.update({"state": "quiet", "incidents": [], "policy": [], "run_uid": "run1_03e1aa0945c2b7d1"})
    facts["period"] = {"start": "2026-03-02T00:00:00Z", "end": "2026-03-03T00:00:00Z", "days": 1}
    facts["made"] = facts["history"]["last"] = "2026-03-03T03:59:12Z"
    facts["previous"] = {
        "run_uid": "run1_02",
        "end": "2026-03-02T00:00:00Z",
        "opened": 0,
        "grown": 0,
        "quiet": 1,
        "closed": 2,
        "new_tokens": 0,
        "lost_owner": 0,
        "incidents_new": [],
    }
    facts["budget"] |= {"opened": 0, "allowed": 1.0, "days": 1, "achieved": 0.0}
    facts["riskiest"] = []
    facts["by_owner"] = []
    facts["coverage"]["gaps"] = []
    facts["counts"] |= {"calls": 17_204, "new": 0}
    for channel in facts["health"]["channels"]:
        channel["opened"] = 0
    facts["health"]["second_opinion"] = None
    return facts


def not_enough_history() -> Facts:
    facts = attention()
    minutes = [datetime(2026, 3, 3, 13, tzinfo=UTC) + timedelta(minutes=m) for m in range(60)]
    labels = ("role/etl-nightly", "user/terraform", "role/web-frontend", "user/s.lund", "role/backup")
    facts.update(
        {
            "organisation": "",
            "state": "not_enough_history",
            "incidents": [],
            "watch": [],
            "policy": [],
            "riskiest": [],
            "by_owner": [],
            "previous": None,
            "run_uid": "run1_77aa0945c2b7d103",
            "made": "2026-03-03T13:59:40Z",
            "period": {"start": "2026-03-03T00:00:00Z", "end": "2026-03-04T00:00:00Z", "days": 1},
            "history": {
                "first": "2026-03-03T13:00:01Z",
                "last": "2026-03-03T13:59:40Z",
                "days": 1 / 24,
                "hours": 1.0,
                "reference": None,
                "calibration": None,
                "provisional": False,
                "note": None,
            },
            "counts": {
                "tokens": 41,
                "credentials": 41,
                "profiles": 38,
                "active": 41,
                "new": 41,
                "idle": 0,
                "dormant": 0,
                "unowned": 41,
                "orphaned": 0,
                "ambiguous": 0,
                "unattributed_calls": 76,
                "calls": 2900,
                "judged": 0,
                "young": 38,
                "answered": 0,
                "accepted": 0,
            },
            "budget": {
                "per_1000": 5.0,
                "allowed": 0.0,
                "opened": 0,
                "days": 1,
                "per_day": 0.2,
                "achieved": None,
                "calibration_opened": None,
                "by_chance": None,
                "week": None,
                "calibration_days": 0,
            },
            "owners_missing": [
                {
                    "label": label,
                    "mask": "AKIA...6HQ2",
                    "token_uid": f"tok1_{n}",
                    "principal": label,
                    "kind": "role",
                    "status": "unowned",
                    "owner": None,
                    "requests": 612 - 80 * n,
                    "last_seen": "2026-03-03T13:59:40Z",
                    "ask": None,
                }
                for n, label in enumerate(labels)
            ],
            "active_tokens": [
                {
                    "label": label,
                    "mask": "AKIA...6HQ2",
                    "kind": "role",
                    "owner": None,
                    "requests": 612 - 80 * n,
                    "response_bytes": 84_000_000 // (n + 1),
                    "networks": 1 + n % 2,
                    "clients": 1 + n % 3,
                    "top_operation": "s3:GetObject",
                }
                for n, label in enumerate(labels)
            ],
            "calls_series": {
                "unit": "minute",
                "points": [[iso(t), 95 if t.minute % 15 == 0 else 38 + t.minute % 7] for t in minutes],
            },
            "rare_values": [
                {
                    "kind": "Program",
                    "value": "stratus-red-team_2f",
                    "label": "user/s.lund",
                    "mask": "AKIA...R5TD",
                    "requests": 14,
                    "first": "2026-03-03T13:14:00Z",
                    "note": "one other uses it too",
                },
                {
                    "kind": "Program",
                    "value": "rclone 1.68",
                    "label": "role/backup",
                    "mask": "",
                    "requests": 9,
                    "first": "2026-03-03T13:31:00Z",
                    "note": None,
                },
                {
                    "kind": "Network",
                    "value": "192.0.2.0/24",
                    "label": "user/terraform",
                    "mask": "AKIA...XW7P",
                    "requests": 3,
                    "first": "2026-03-03T13:40:00Z",
                    "note": None,
                },
            ],
            "blind": [{"what": "Anything unusual", "means": "Without a past there is nothing to compare with."}],
            "not_judged": {"young": 41, "text": "No token has a past of 7 days."},
        }
    )
    facts["coverage"].update(
        {
            "sources": [
                {
                    "source": "cloudtrail",
                    "files": 1,
                    "read": 2903,
                    "stored": 2900,
                    "duplicates": 0,
                    "quarantined": 3,
                    "ignored": 0,
                    "repeated": 0,
                    "differing": 0,
                    "first": "2026-03-03T13:00:01Z",
                    "last": "2026-03-03T13:59:40Z",
                    "unattributed": 76,
                    "lag_s": None,
                }
            ],
            "first": "2026-03-03T13:00:01Z",
            "last": "2026-03-03T13:59:40Z",
            "ignored_rules": {},
            "quarantined": [],
            "quarantined_total": 3,
            "gaps": [],
            "owners": {"rows": 0, "source": None, "with_owner": 0.0, "unmatched": None},
        }
    )
    facts["health"] |= {"channels": [], "second_opinion": None, "assumed": [], "tables": {"events": 1}}
    return facts


def empty() -> Facts:
    facts = not_enough_history()
    facts.update(
        {
            "active_tokens": [],
            "rare_values": [],
            "owners_missing": [],
            "blind": [],
            "calls_series": {"unit": "day", "points": []},
            "made": None,
            "run_uid": "run1_0000000000000000",
        }
    )
    facts["history"] |= {"first": None, "last": None, "days": 0.0, "hours": 0.0}
    facts["counts"] = dict.fromkeys(facts["counts"], 0)
    facts["coverage"].update(
        {
            "sources": [],
            "first": None,
            "last": None,
            "quarantined_total": 0,
            "owners": {"rows": 0, "source": None, "with_owner": None, "unmatched": None},
        }
    )
    facts["not_judged"] = {"young": 0, "text": ""}
    return facts


def busy() -> Facts:
    """A night with eight times as much: 24 incidents, and rules broken by a dozen tokens."""
    facts = attention()
    facts["incidents"] = [
        copy.deepcopy(one)
        | {"incident_uid": f"{one['incident_uid'][:-2]}{n:02d}", "profile_uid": f"{one['profile_uid'][:-2]}{n:02d}"}
        for n in range(8)
        for one in facts["incidents"]
    ]
    facts["policy"] = [copy.deepcopy(one) for one in facts["policy"] * 12][:12]
    facts["budget"]["opened"] = len(facts["incidents"])
    return facts


STATES = {"attention": attention, "quiet": quiet, "not_enough_history": not_enough_history, "empty": empty}
PUBLISHED = STATES | {"busy": busy}
