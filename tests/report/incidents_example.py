"""Three invented incidents, as the facts of a report hold them: a stolen key, a slow leak, a walk through numbers."""

import math
from datetime import UTC, datetime, timedelta

from tokenkit.schema.incident import Incident, NewValue, Reason, Timeline


def iso(t: datetime) -> str:
    return t.strftime("%Y-%m-%dT%H:%M:%SZ")


def reason(feature, title, observed, usual, peers, share, of=50.0, **more) -> Reason:
    sentence = f"{title}: {observed}, usually {usual}."
    rest = {"family": "volume", "channel": "point_hour", "value": 8.0, "expected": 0.0, "unit": "bytes"}
    return {
        "feature": feature,
        "title": title,
        "observed": observed,
        "usual": usual,
        "peers": peers,
        "sentence": sentence,
        "share": share,
        **rest,
        **more,
        "bits": round(of * share, 2),
        "measured_as": feature,
    }


def new(kind, value, mark, now, before) -> NewValue:
    return {"kind": kind, "value": value, "mark": mark, "now": now, "before": before, "before_days": 28}


def _hours() -> Timeline:
    """Two and a half days of one export an hour past midnight, and somebody else for two hours of the last night."""
    first = datetime(2026, 3, 1, 0, tzinfo=UTC)
    points, band = [], []
    for h in range(77):
        t = first + timedelta(hours=h)
        job = t.hour == 1
        points.append([iso(t), 182e6 + 4e6 * math.sin(h) if job else 0.0])
        band.append([140e6, 214e6] if job else [0.0, 3e6])
    points[73][1], points[74][1], points[75][1] = 182e6, 720e6, 655e6
    flagged = [[iso(first + timedelta(hours=74)), iso(first + timedelta(hours=76))]]
    note = "Its own job ran at 01:00 as on every night; the second user came an hour later."
    return {
        "title": "Data taken, by the hour",
        "unit": "bytes",
        "window": "hour",
        "points": points,
        "band": band,
        "flagged": flagged,
        "note": note,
    }


def days(level: float, rise: float, last: int, unit: str, title: str, note: str | None) -> Timeline:
    first = datetime(2026, 1, 3, tzinfo=UTC)
    points, band = [], []
    for d in range(60):
        t = first + timedelta(days=d)
        weekday = 1.0 if t.weekday() < 5 else 0.55
        wave = 1 + 0.12 * math.sin(2.3 * d) + 0.05 * math.sin(5.1 * d)
        value = level * weekday * wave * (rise if d >= 60 - last else 1)
        points.append([iso(t), round(value)])
        band.append([level * weekday * 0.74, level * weekday * 1.32])
    flagged = [[iso(first + timedelta(days=60 - last)), iso(first + timedelta(days=60))]]
    return {
        "title": title,
        "unit": unit,
        "window": "day",
        "points": points,
        "band": band,
        "flagged": flagged,
        "note": note,
    }


def _walk() -> Timeline:
    first = datetime(2026, 2, 27, tzinfo=UTC)
    points, band = [], []
    for h in range(120):
        t = first + timedelta(hours=h)
        points.append([iso(t), 22 + 18 * math.sin(h / 24 * 6.28) ** 2])
        band.append([0, 60])
    for h, n in ((68, 1700), (69, 2210), (70, 1400), (92, 640), (93, 3720), (94, 3715), (95, 3700), (96, 1155)):
        points[h][1] = n
    flagged = [[iso(first + timedelta(hours=a)), iso(first + timedelta(hours=b))] for a, b in ((68, 71), (92, 97))]
    return {
        "title": "Different orders asked for, by the hour",
        "unit": "objects",
        "window": "hour",
        "points": points,
        "band": band,
        "flagged": flagged,
        "note": None,
    }


def stolen() -> Incident:
    return {
        "incident_uid": "inc1_4b7e09d2a6c01f35",
        "aliases": [],
        "profile_uid": "tok1_9f3c41d7e02a5b6881c4d0aa",
        "token_uids": ["tok1_9f3c41d7e02a5b6881c4d0aa"],
        "state": "opened",
        "start": "2026-03-04T02:00:00Z",
        "end": "2026-03-04T04:00:00Z",
        "created_time": "2026-03-04T03:00:00Z",
        "last_seen": "2026-03-04T03:52:11Z",
        "ended": None,
        "n_windows": 2,
        "n_days": 1,
        "new_since_last": True,
        "answer": None,
        "story": "stolen",
        "channels": ["point_hour", "point_day"],
        "score_bits": 50.0,
        "threshold_bits": 19.2,
        "risk": 94,
        "risk_level": "high",
        "headline": "invoice-export was used from a network and by a program it was never used with, and took "
        "four times its usual data.",
        "short": "invoice-export was used by someone else",
        "detail": "From a network and a program never seen; 1.4 GB taken.",
        "token": {
            "label": "invoice-export",
            "mask": "AKIA...20BJ",
            "issuer": "aws",
            "kind": "user key",
            "principal": "user/invoice-export",
        },
        "owner": {
            "name": "Marta Lind",
            "email": "marta.lind@example.com",
            "team": "Billing",
            "status": "owned",
            "timezone": "Europe/Berlin",
            "type": "human",
        },
        "purpose": "Copies the day's invoices to the warehouse",
        "environment": "production",
        "criticality": "high",
        "scopes": "s3:GetObject, s3:ListBucket, sqs:SendMessage",
        "called_before": [("GetObject", 812), ("ListObjectsV2", 28)],
        "kinds_called_before": 2,
        "unused_scopes": ["sqs:SendMessage"],
        "known_days": 214,
        "maturity": "mature",
        "peers": 14,
        "peer_group": "nightly exports",
        "sure": {"level": "high", "text": "as rare as about one night in 400 for a token of ours"},
        "taken": "1.4 GB more than usual, in 1,931 calls",
        "reasons": [
            reason(
                "network_new",
                "Used from a network it was never used from",
                "1,931 of 2,113 calls from 203.0.113.0/24",
                "all calls from 198.51.100.0/24",
                "none of 14 uses it",
                0.35,
                family="network",
            ),
            reason(
                "client_new",
                "Used by a program it was never used by",
                "rclone 1.68: 1,931 calls",
                "Boto3 1.34 only",
                "none of 14 uses it",
                0.21,
                family="client",
            ),
            reason(
                "response_bytes",
                "Took more data than on any day before",
                "1.6 GB on Wed 4 Mar",
                "182 MB; at most 214 MB",
                "at most 260 MB a day",
                0.34,
                channel="point_day",
            ),
            reason("operation_new", "Made calls it never made", "ListBuckets: 3 calls", "never", "2 of 14 do", 0.05),
            reason("refused_share", "Was refused", "4 of 2,113 calls", "none", "none", 0.05, channel="point_day"),
        ],
        "timeline": _hours(),
        "new_values": [
            new("Network", "203.0.113.0/24", "UNSEEN", 1931, 0),
            new("Program", "rclone 1.68", "UNSEEN", 1931, 0),
            new("Call", "s3:ListBuckets", "UNSEEN", 3, 0),
            new("Call", "sts:GetCallerIdentity", "RARE", 2, 1),
            new("Call", "s3:GetObject", "FREQUENT", 2061, 5180),
        ],
        "explanations": [
            {
                "question": "Did Billing move the job or try another copier?",
                "detail": "Ask Marta Lind whether someone ran rclone from a rented machine.",
            },
            {
                "question": "Does 203.0.113.0/24 belong to a supplier?",
                "detail": "It is not among the networks declared for this token.",
            },
            {"question": "Was it a test of our own?", "detail": "Ask the security team about tests of that night."},
        ],
        "action": {
            "verb": "lock",
            "title": "Lock the key now, then replace it",
            "text": "Whoever holds it keeps access until it is set to inactive. Nothing is deleted.",
            "cost": "Its own job fails at 01:00 UTC until a new key is in place.",
            "who": "Marta Lind, or whoever is on call for security",
            "how": [
                "In the AWS console, open IAM, user invoice-export, security credentials.",
                "Set the access key that ends in 20BJ to inactive.",
                "Create a new key, put it where the job reads it, and run the job once.",
            ],
        },
        "if_nothing": [
            "The key still works: whoever has it can come back at any time.",
            "At that night's rate (0.7 GB an hour) another 16 GB would leave in a day.",
        ],
        "evidence": [
            {
                "time": f"2026-03-04T{t}Z",
                "from": "203.0.113.47",
                "client": "rclone 1.68",
                "operation": op,
                "object": obj,
                "answer": answer,
                "response_bytes": size,
                "token_uid": "tok1_9f3c41d7e02a5b6881c4d0aa",
            }
            for t, op, obj, answer, size in (
                ("02:10:04", "sts:GetCallerIdentity", None, "200", 412),
                ("02:10:06", "s3:ListBuckets", None, "200", 2100),
                ("02:10:31", "s3:GetObject", "inv-archive/2021/01/4471.pdf", "200", 744_000),
                ("02:10:32", "s3:GetObject", "inv-archive/2021/01/4472.pdf", "200", 751_000),
                ("02:47:15", "s3:GetObject", "inv-archive/2021/04/0208.pdf", "200", 698_000),
                ("03:13:02", "s3:GetObject", "inv-2025/12/7719.pdf", "403", 243),
                ("03:52:11", "s3:GetObject", "inv-2026/01/0112.pdf", "200", 722_000),
            )
        ],
        "evidence_total": 1931,
        "second_opinion": {
            "name": "PyOD Isolation Forest",
            "percentile": 0.998,
            "agrees": True,
            "members": {"IForest": True},
            "text": "more unusual than 99.8% of the hours of all tokens",
        },
        "attack": [
            {"technique": "T1078.004", "name": "Cloud Accounts", "checked": True},
            {"technique": "T1530", "name": "Data from Cloud Storage", "checked": True},
        ],
    }


def drifting() -> Incident:
    incident = stolen()
    of = 24.6
    incident.update(
        {
            "incident_uid": "inc1_a90c55e1774b20d8",
            "aliases": [],
            "profile_uid": "tok1_27be80c1f94dd1a2300b7c5e",
            "token_uids": ["tok1_27be80c1f94dd1a2300b7c5e", "tok1_5500aa27be80c1f94dd1a230"],
            "state": "opened",
            "start": "2026-02-14T00:00:00Z",
            "end": "2026-03-04T00:00:00Z",
            "created_time": "2026-03-03T00:00:00Z",
            "last_seen": "2026-03-03T23:41:00Z",
            "n_windows": 18,
            "n_days": 18,
            "story": "slow_leak",
            "new_since_last": True,
            "channels": ["drift_amounts"],
            "score_bits": of,
            "threshold_bits": 18.1,
            "risk": 71,
            "risk_level": "medium",
            "headline": "crm-sync has taken 60% more customer data on every day for 18 days.",
            "short": "crm-sync takes 60% more every day",
            "detail": "25 GB above usual since Sat 14 Feb.",
            "token": {
                "label": "crm-sync",
                "mask": "k...",
                "issuer": "gateway:default",
                "kind": "api key",
                "principal": None,
            },
            "owner": {
                "name": "Ines Ortega",
                "email": None,
                "team": "Sales Systems",
                "status": "owned",
                "timezone": None,
                "type": "human",
            },
            "purpose": "Keeps the partner's address book in step",
            "scopes": "customers:read",
            "called_before": [("GET /v1/customers/{id}", 61_204), ("GET /v1/customers", 840), ("GET /v1/status", 28)],
            "kinds_called_before": 5,
            "unused_scopes": [],
            "known_days": 391,
            "peers": 6,
            "peer_group": "partner integrations",
            "sure": {"level": "medium", "text": "as rare as about one night in 90 for a token of ours"},
            "taken": "25 GB above usual in 18 days",
            "reasons": [
                reason(
                    "bytes_per_call",
                    "Takes more for each call, every day",
                    "3.7 GB a day, 18 days in a row",
                    "2.3 GB a day",
                    "up 3% in the same days",
                    0.78,
                    channel="drift_amounts",
                    of=of,
                ),
                reason(
                    "objects_new",
                    "Reads records it never read",
                    "34% of the records of a day",
                    "3%",
                    "2 to 5%",
                    0.22,
                    channel="drift_amounts",
                    of=of,
                    family="objects",
                ),
            ],
            "timeline": days(
                2.3e9,
                1.6,
                18,
                "bytes",
                "Data taken, by the day",
                "No single day left the usual range by much; 18 high days in a row did.",
            ),
            "new_values": [
                new("Call", "GET /v2/customers/export", "RARE", 412, 3),
                new("Program", "lumio-sync 5.2", "FREQUENT", 61300, 95000),
            ],
            "explanations": [
                {"question": "Was a full copy agreed?", "detail": "Ask Ines Ortega; the partner may have said so."}
            ],
            "action": {
                "verb": "notify",
                "title": "Ask the owner before tomorrow evening",
                "text": "Nothing is locked: the token does its job, only more of it.",
                "cost": "Nothing for the partner.",
                "who": "Whoever is on call for security",
                "how": ["Send Ines Ortega this card.", "Ask what changed on Sat 14 Feb and for how long."],
            },
            "if_nothing": ["At this rate another 1.4 GB above usual leaves every day."],
            "evidence_total": 61300,
            "second_opinion": None,
            "attack": [{"technique": "T1030", "name": "Data Transfer Size Limits", "checked": True}],
        }
    )
    return incident


def walking() -> Incident:
    incident = stolen()
    of = 27.5
    incident.update(
        {
            "incident_uid": "inc1_e3f6127bc94400aa",
            "aliases": [],
            "profile_uid": "tok1_c05d9a36b7e811f0045cd2e9",
            "token_uids": ["tok1_c05d9a36b7e811f0045cd2e9"],
            "state": "grown",
            "start": "2026-03-01T20:00:00Z",
            "end": "2026-03-03T01:00:00Z",
            "created_time": "2026-03-01T21:00:00Z",
            "last_seen": "2026-03-03T00:31:40Z",
            "n_windows": 8,
            "n_days": 3,
            "story": "enumeration",
            "new_since_last": False,
            "channels": ["point_hour"],
            "score_bits": of,
            "risk": 68,
            "risk_level": "medium",
            "headline": "returns-app asks for order numbers one after the other: 18,240 in two evenings.",
            "short": "returns-app walks through order numbers",
            "detail": "18,240 tried in two evenings, 11,309 answered.",
            "token": {
                "label": "returns-app",
                "mask": "k...",
                "issuer": "gateway:default",
                "kind": "api key",
                "principal": None,
            },
            "owner": {
                "name": "Pavel Novak",
                "email": None,
                "team": "Returns",
                "status": "orphaned",
                "timezone": "Europe/Prague",
                "type": "human",
            },
            "purpose": None,
            "environment": "production",
            "criticality": None,
            "scopes": None,
            "called_before": [],
            "kinds_called_before": 0,
            "unused_scopes": [],
            "known_days": 163,
            "peers": 9,
            "peer_group": "mobile apps",
            "sure": {"level": "high", "text": "as rare as about one night in 160 for a token of ours"},
            "taken": "18,240 order numbers tried, 11,309 answered",
            "reasons": [
                reason(
                    "objects_sequential",
                    "Order numbers follow each other",
                    "92% are the number before plus one",
                    "under 1%",
                    "under 1%",
                    0.52,
                    of=of,
                    family="objects",
                ),
                reason(
                    "objects_distinct",
                    "Far more different orders",
                    "3,720 in an hour",
                    "at most 60",
                    "at most 90",
                    0.48,
                    of=of,
                    family="objects",
                ),
            ],
            "timeline": _walk(),
            "new_values": [
                new("Program", "python-requests 2.32", "UNSEEN", 18240, 0),
                new("Call", "GET /v1/orders/{id}", "FREQUENT", 18240, 9240),
            ],
            "explanations": [{"question": "Is somebody testing or moving orders?", "detail": "Ask the Returns team."}],
            "action": {
                "verb": "restrict",
                "title": "Limit it to 5 calls a minute, then name an owner",
                "text": "The gateway slows the walk; the app itself stays usable.",
                "cost": "Nothing expected: the app made at most 3 calls a minute before.",
                "who": "Whoever is on call for security, as the owner has left",
                "how": ["Set the limit for this key in the gateway.", "Name an owner in the inventory."],
            },
            "if_nothing": ["It came back once: expect it again in the evening."],
            "evidence": [],
            "evidence_total": 18240,
            "attack": [],
        }
    )
    return incident
