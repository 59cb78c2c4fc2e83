"""Advice: what an incident probably is, what harmless thing it could be, what to do, and what happens otherwise.

Everything said here follows from the reasons of the incident and from what the inventory holds; what neither holds is
left out. ATT&CK ids are technique ids of ATT&CK v19 (docs/method/scenarios.md).
"""

from typing import Any

import pandas as pd

from tokenkit.incidents import words

NETWORK, CLIENT = {"network", "unfamiliar_networks"}, {"client", "unfamiliar_clients"}
CALLS = {"operation", "unfamiliar_operations", "operations", "list_requests", "pairs", "new_pairs", "transitions",
         "new_transitions"}  # fmt: skip
OBJECTS = {"sequential_objects", "objects", "new_objects", "unfamiliar_objects"}
DATA = {"response_bytes", "rows"}
REFUSALS = {"denied", "denied_operations"}

USED_BY_ANOTHER = ("stolen", "new_network", "new_program")
# the parts of each story, in the order in which stories of the same weight win; *doors*: calls that were refused
SIGNS = {
    "stolen": NETWORK | CLIENT,
    "enumeration": OBJECTS,
    "others_work": {"foreign_objects"},
    "revived": {"silence"},
    "new_network": NETWORK | {"network_switches"},
    "new_program": CLIENT,
    "new_calls": CALLS | {"sensitive_requests"},
    "objects": OBJECTS,
    "doors": REFUSALS,
    "spike": DATA,
    "slow_leak": {"drift_response_bytes", "drift_objects", "drift_new_objects", "drift_rows"},
    "growth": {"drift_requests"},
    "busy": {"requests", "active_minutes", "max_in_minute", "little_else"},
    "deletion": {"delete_requests"},
    "policy": {"orphan_in_use", "expired_in_use", "outside_networks"},
}
HEADLINE_SHARE = 0.5  # of the score: a part outside every story is the headline from this share on
BUSY_WEIGHT = 0.3  # of the bits of *busy* count when the story is chosen
# *stolen*: a new network and a new program of these bits each (some tokens often have new networks, which then surprise
# little), and together this share of the score
MIN_BITS_STOLEN, MIN_SHARE_STOLEN = 0.25, 0.25
MIN_SHARE_SEQUENCE = 0.05  # *enumeration*: of the score, from objects whose numbers follow one another

ATTACK = {
    "T1078.004": "Cloud Accounts",
    "T1550.001": "Application Access Token",
    "T1526": "Cloud Service Discovery",
    "T1213": "Data from Information Repositories",
    "T1530": "Data from Cloud Storage",
    "T1030": "Data Transfer Size Limits",
    "T1020": "Automated Exfiltration",
    "T1069.003": "Cloud Groups",
    "T1485": "Data Destruction",
}


def story_of(parts: dict[str, float]) -> str:
    """The story that explains most of an incident's score, from its parts.

    A walk through numbers, or a new network together with a new program, is told as such whatever else grew with it;
    *busy* only where little else is said, since more calls come with almost any misuse.

    Examples
    --------
    >>> story_of({"network": 20.0, "client": 18.0, "requests": 4.0}), story_of({"drift_response_bytes": 15.0})
    ('stolen', 'slow_leak')
    """
    weight = {story: _sum(parts, signs) for story, signs in SIGNS.items() if story not in ("stolen", "enumeration")}
    weight["busy"] *= BUSY_WEIGHT
    if parts.get("sequential_objects", 0.0) >= MIN_SHARE_SEQUENCE * sum(parts.values()):
        return "enumeration"
    least = min(_sum(parts, NETWORK), _sum(parts, CLIENT))
    if least >= MIN_BITS_STOLEN and _sum(parts, NETWORK | CLIENT) >= MIN_SHARE_STOLEN * sum(parts.values()):
        return "stolen"
    best = max(weight, key=lambda name: weight[name])
    return best if weight[best] > 0 else "mixed"


def _sum(parts: dict[str, float], names: set[str]) -> float:
    return sum(bits for name, bits in parts.items() if name in names)


def technique_ids(story: str) -> list[str]:
    """ATT&CK techniques of a story."""
    return {
        "stolen": ["T1078.004", "T1550.001"], "revived": ["T1078.004"], "others_work": ["T1078.004", "T1213"],
        "new_network": ["T1078.004"], "new_program": ["T1078.004"],
        "new_calls": ["T1526"], "enumeration": ["T1213"], "objects": ["T1213"], "doors": ["T1069.003"],
        "spike": ["T1530"], "slow_leak": ["T1030", "T1020"], "deletion": ["T1485"], "policy": ["T1078.004"],
    }.get(story, [])  # fmt: skip


HEADLINES = {
    "stolen": ("{label} was used from a network and by a program it never used.", "{label} may be in other hands"),
    "others_work": ("{label} began to work on what only others had worked on.", "{label} works on what is others'"),
    "revived": ("{label} is used again after a long silence.", "{label} woke up after a long silence"),
    "new_network": ("{label} was used from a network it rarely or never used.", "{label} is used from a new place"),
    "new_program": ("{label} was used by a program that rarely or never used it.", "A new program uses {label}"),
    "new_calls": ("{label} made calls it rarely or never made.", "{label} does new things"),
    "enumeration": (
        "{label} walked through consecutive numbers and touched far more different objects than usual.",
        "{label} walks through numbers",
    ),
    "objects": ("{label} touched far more different objects than usual.", "{label} reaches for more objects"),
    "doors": (
        "{label} was refused on calls it has no right to, far more often than usual.",
        "{label} tries calls it has no right to",
    ),
    "spike": ("{label} took far more data in a day than usual for its calls.", "{label} took far more data"),
    "slow_leak": (
        "{label} takes more for its calls, day after day; no single day looked odd.",
        "{label} quietly takes more every day",
    ),
    "growth": ("{label} calls more often, day after day.", "{label} keeps calling more"),
    "busy": ("{label} was far busier than usual.", "{label} was far busier"),
    "deletion": ("{label} deleted far more than usual.", "{label} deleted far more"),
    "policy": ("{label} broke a rule: {rule}.", "{label}: {rule}"),
    "mixed": (
        "Several small changes in how {label} was used came together; each alone would be nothing unusual.",
        "{label} was unlike itself",
    ),
}


def headline(story: str, label: str, reasons: list[dict[str, Any]]) -> tuple[str, str, str]:
    """Long sentence, short sentence, and one more with the numbers of the largest reason that the story is made of."""
    rule = next((r["title"].lower() for r in reasons if r["family"] == "policy"), "")
    long, short = (text.format(label=label, rule=rule) for text in HEADLINES[story])
    if story == "mixed" and reasons[0]["unit"] and reasons[0]["share"] >= HEADLINE_SHARE:
        short = f"{label} {reasons[0]['title'][:1].lower()}{reasons[0]['title'][1:]}"  # an amount without a story
        long = f"{short}."
    first = next((r for r in reasons if r["feature"] in SIGNS.get(story, ())), reasons[0])
    return long, short, f"{first['title']}: {first['observed']}."


def explanations(story: str, reasons: list[dict[str, Any]], person: pd.Series) -> list[dict[str, str]]:
    """Harmless explanations to check first, at most three."""
    who = _who(person)
    value = {r["feature"]: r["observed"].rsplit(": ", 1)[0] for r in reasons}
    bank = {
        "network": ("Did the job or its owner move?",
        f"Ask {who} about {value.get('network', '')}: a new office, "
                    "provider, runner or VPN would explain it."),
        "client": ("Was a program updated or replaced?",
        f"Ask {who} whether {value.get('client', '')} is theirs."),
        "operation": ("Was a new feature released?", f"Ask {who} whether these calls belong to a release."),
        "take": ("Was a backfill, export or full sync announced?",
        f"Ask {who}; it would explain more data or objects for a day or a while."),
        "more": ("Did the use grow?", "New customers or a new schedule raise calls and data together: did both rise?"),
        "handed": ("Was its work handed over?",
        f"Ask {who} whether it took on what another token, team or person did before."),
        "errors": ("Was there an outage, or a change of numbers?",
        "Retries and removed objects raise errors; look at the service's status for those hours."),
        "test": ("Was it a rehearsal by our own testers?", "Ask whether a security or load test ran at that time."),
        "policy": ("Is the inventory out of date?",
        "The owner, end date or networks recorded may have changed; correct the list if so."),
    }  # fmt: skip
    wanted = {
        "stolen": ["network", "client", "test"], "new_network": ["network", "test"], "new_program": ["client", "test"],
        "others_work": ["handed", "take", "test"], "revived": ["handed", "network", "test"],
        "new_calls": ["operation", "client", "test"], "enumeration": ["take", "errors", "test"], "objects": ["take",
        "more"],
        "doors": ["errors", "operation", "test"], "spike": ["take", "more"], "slow_leak": ["take", "more"],
        "growth": ["more", "take"], "busy": ["more", "errors", "test"], "deletion": ["take", "test"],
        "policy": ["policy"],
    }.get(story, ["more", "test"])  # fmt: skip
    return [{"question": bank[name][0], "detail": bank[name][1]} for name in wanted]


def _who(person: pd.Series) -> str:
    if person["owner_status"] == "owned" and person["owner_name"]:
        return str(person["owner_name"])
    return f"the team {person['team']}" if person["team"] else "whoever runs the service it calls"


def action(story: str, person: pd.Series, sure: str) -> dict[str, Any]:
    """What to do, in words a person can follow; the least that stops it, and a question where little is sure."""
    who = _who(person)
    human = person["owner_type"] == "human" or (
        person["owner_type"] != "service" and person["kind"] in ("principal", "session")
    )
    verb = {
        "stolen": "step_up" if human else "lock", "new_network": "notify", "new_program": "notify",
        "new_calls": "notify", "others_work": "notify", "revived": "notify",
        "enumeration": "restrict", "objects": "restrict", "doors": "restrict", "spike": "restrict",
        "slow_leak": "notify", "growth": "notify", "busy": "notify", "deletion": "lock", "policy": "notify",
    }.get(story, "notify")  # fmt: skip
    if sure == "low":
        verb = "notify"
    where = "in AWS (set the access key to inactive)" if person["issuer"] == "aws" else "at the gateway"
    texts = {
        "lock": ("Lock the key now, then replace it",
                 f"Lock it {where}; this can be undone. Then issue a new key and remove this one.",
                 "Whatever uses this key stops until it has a new one."),
        "step_up": ("Ask for a new sign-in", f"End its sessions and ask {who} to sign in with a second factor.",
                    f"{who} has to sign in once more."),
        "restrict": ("Narrow it until its owner has answered",
                     f"Limit it {where} to its usual calls and rate; ask {who} what it was for.",
                     "Work beyond the usual amount waits."),
        "notify": (f"Ask {who}", f"Show {who} the reasons above and ask if it is meant. No access changes.", "None."),
    }  # fmt: skip
    title, text, cost = texts[verb]
    decides = (
        "the owner or the security on-call"
        if person["owner_status"] == "owned"
        else "the security on-call: it has no owner"
    )
    return {"verb": verb, "title": title, "text": text, "cost": cost, "who": decides, "how": []}


def if_nothing(story: str, reasons: list[dict[str, Any]], ended: pd.Timestamp | None = None) -> list[str]:
    """Sentences on what goes on if nothing is done. If the incident has ended, nothing is projected.

    Parameters
    ----------
    ended : end of its last flagged window, where that lies days before the end of the period
    """
    said = []
    if ended is not None:
        last = words.day(ended - pd.Timedelta("1us"))
        held = ["The key keeps working for whoever holds it."] if story in USED_BY_ANOTHER else []
        return [f"It ended on {last}: nothing of it was flagged since.", *held]
    for reason in reasons:
        if reason["feature"].startswith("drift_") and reason["unit"] and reason["expected"] is not None:
            more = reason["value"] - reason["expected"]
            if more > 0:
                said.append(
                    f"Above usual at this rate: {words.amount(more, reason['unit'])} on every active day,"
                    f" about {words.amount(30 * more, reason['unit'])} in 30 such days."
                )
    if story in USED_BY_ANOTHER:
        said.append("The key keeps working for whoever holds it.")
    if story in ("enumeration", "objects"):
        walked = next((r for r in reasons if r["unit"] == "objects" and r["value"]), None)
        if walked:
            said.append(
                f"At that pace another {words.amount(walked['value'], 'objects')} can be touched in a day like it."
            )
    if story == "spike":
        taken = next((r for r in reasons if r["feature"] == "response_bytes"), None)
        if taken and taken["value"] > taken["expected"]:
            said.append(
                f"Another day like it takes {words.amount(taken['value'] - taken['expected'], 'bytes')} above usual."
            )
    said.append("It stays on this page while it goes on: the reference is frozen and does not get used to it.")
    return said
