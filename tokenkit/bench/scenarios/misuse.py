"""Scenarios in which the token is misused from its usual network: listing, reading, changing, deleting."""

import numpy as np
import pandas as pd

from tokenkit.bench.scenarios.calls import (
    Call,
    as_calls,
    called_before,
    is_numbered_read,
    last_number,
    logs_routes,
    numbered_reads,
    older_objects,
    on_objects,
    unused_calls,
    with_number,
    with_status,
)
from tokenkit.bench.scenarios.scenario import (
    NEW_CALLS,
    EditedToken,
    Setting,
    copies,
    early_times,
    enough_use,
    even_times,
    recent_calls,
    repeated_calls,
    resized,
    scenario,
    usual_calls,
    with_added,
    with_columns,
)
from tokenkit.sources.fields import operations


def reads_objects(events: pd.DataFrame) -> bool:
    """Return whether the token has at least ten successful reads of numbered objects."""
    return enough_use(events) and len(numbered_reads(events)) >= 10


def carries_bytes(events: pd.DataFrame) -> bool:
    """Return whether the log records answer sizes on at least 14 days."""
    sized = events[events["response_bytes"].fillna(0) > 0]
    return enough_use(events) and sized["time"].dt.floor("D").nunique() >= 14


def reads_of_one_kind(events: pd.DataFrame, setting: Setting) -> pd.DataFrame:
    """Return the reads of the kind of numbered object that is read most, recent ones if there are any."""
    lately = numbered_reads(recent_calls(events, setting))
    own = lately if len(lately) else numbered_reads(events)
    return own[own["operation"] == own["operation"].mode()[0]]


def calls_never_made(events: pd.DataFrame, setting: Setting, purpose: str, n: int, hours: float) -> pd.DataFrame:
    """Return ``n`` calls of a purpose that the token never made, within ``hours`` of the start."""
    rows = usual_calls(events, setting, n, hours)
    return as_calls(rows, unused_calls(events, setting, purpose, max(1, n)), events, setting.rng)


@scenario(
    4,
    "Reconnaissance: listing what there is",
    attack_ids=("T1526", "T1580", "T1087.004", "T1619"),
    intensities=(5, 15, 40),
    unit="listing calls never made before",
    days=1 / 24,
    shown_by=(
        *NEW_CALLS,
        "operations",
        "list_requests",
        "denied_operations",
        "denied",
        "new_pairs",
        "pairs",
        "new_transitions",
        "transitions",
        "sensitive_requests",
    ),
)
def reconnaissance(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """Within twenty minutes the token makes listing calls that it never made before. One in six is refused."""
    rows = calls_never_made(events, setting, "list", setting.count, 1 / 3)
    return with_added(events, with_status(rows, np.where(setting.rng.random(len(rows)) < 1 / 6, 403, 200).tolist()))


@scenario(
    5,
    "Permissions tried out",
    attack_ids=("T1069.003", "OWASP API5"),
    unchecked=("OWASP API5",),
    intensities=(4, 10, 25),
    unit="kinds of calls refused",
    days=1 / 24,
    shown_by=(*NEW_CALLS, "denied_operations", "denied", "client_errors", "operations"),
)
def scope_probing(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """Within half an hour the token tries kinds of calls that it never made, sensitive ones first.

    All are refused but the last.
    """
    rng, n = setting.rng, setting.count
    known = called_before(events)
    kinds = {"rights": 3, "mint": 3, "secret": 3, "audit": 3, "list": n + 1}
    tried = [call for kind, most in kinds.items() for call in unused_calls(events, setting, kind, most)]
    tried = [call for call in tried if call not in known][: n + 1]
    rows = usual_calls(events, setting, n + 1, 0.5)
    return with_added(events, with_status(as_calls(rows, tried, events, rng), [403] * n + [200]))


@scenario(
    6,
    "Objects read by counting through their numbers",
    attack_ids=("T1213", "OWASP API1"),
    unchecked=("OWASP API1",),
    intensities=(50, 200, 800),
    unit="numbers tried",
    days=4 / 24,
    suits=reads_objects,
    shown_by=(
        "sequential_objects",
        "objects",
        "new_objects",
        "client_errors",
        "requests",
        "unfamiliar_objects",
        "foreign_objects",
    ),
)
def object_enumeration(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """Within three hours the token reads consecutive numbers of the kind of object that it reads most.

    Two in five do not exist.
    """
    rng, n = setting.rng, setting.count
    own = reads_of_one_kind(events, setting)
    known = str(own["resource_uid"].iloc[int(rng.integers(len(own)))])
    begin = last_number(known) + int(rng.integers(1, 500))
    rows = repeated_calls(own, setting, n, 3)
    rows = on_objects(rows, [with_number(known, begin + i) for i in range(n)])
    return with_added(events, with_status(rows, np.where(rng.random(n) < 0.4, 404, 200).tolist()))


@scenario(
    7,
    "Much data read in one day",
    attack_ids=("T1530", "T1567", "T1213"),
    intensities=(2, 4, 9, 29),
    unit="times the usual bytes of a day, in addition",
    days=1,
    suits=carries_bytes,
    shown_by=(
        "response_bytes",
        "rows",
        "objects",
        "new_objects",
        "requests",
        "max_in_minute",
        "active_minutes",
        "unfamiliar_objects",
    ),
)
def bulk_spike(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """Within ten hours the token reads many older objects that it never touched.

    There are more reads, and each answer is larger.
    """
    rng = setting.rng
    own = recent_calls(events, setting)
    a_day = own.groupby(own["time"].dt.floor("D"))["response_bytes"].sum().astype("float64").median()
    wanted = setting.intensity * float(a_day)
    own = own[own["response_bytes"].fillna(0) > 0]
    mean = float(own["response_bytes"].astype("float64").mean())
    n = int(np.clip(wanted / mean / 2, 5, 3_000))
    rows = repeated_calls(own, setting, n, 10)
    rows = resized(rows, wanted / max(float(rows["response_bytes"].sum()), 1.0), ("response_bytes", "rows"))
    return with_added(events, with_older_objects(rows, events, rng))


def with_older_objects(rows: pd.DataFrame, events: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Return the rows with reads of numbered objects turned to objects that the token never touched."""
    read = is_numbered_read(rows)
    old = on_objects(rows[read], older_objects(rows[read], events, rng))
    return pd.concat([rows[~read], old])


@scenario(
    11,
    "A listing read page by page",
    attack_ids=("T1119", "T1213"),
    intensities=(100, 400, 1600),
    unit="pages, one every four seconds",
    days=2 / 24,
    shown_by=("requests", "list_requests", "active_minutes", "response_bytes", "rows", "max_in_minute", "hour_of_week"),
)
def pagination_crawl(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """The token calls its most frequent listing (or read, if it never lists) every four seconds without a pause."""
    rng, n = setting.rng, setting.count
    own = recent_calls(events, setting)
    lists = own[[operations.lists(one) for one in own["operation"]]]
    pool = lists if len(lists) else own[own["activity_id"] == operations.READ]
    pool = pool if len(pool) else own
    pool = pool[pool["operation"] == pool["operation"].mode()[0]]
    return with_added(events, with_columns(copies(pool, n, rng), time=even_times(setting.start, 4, n, rng)))


@scenario(
    14,
    "New credentials created with the token",
    attack_ids=("T1098.001", "T1136.003"),
    intensities=(1, 2, 5),
    unit="credentials created",
    days=1 / 24,
    shown_by=(*NEW_CALLS, "sensitive_requests", "write_requests", "operations"),
)
def credential_minting(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """The token asks whose token it is.

    From five minutes later on it creates credentials, which it never did before.
    """
    look = calls_never_made(events, setting, "identity", 1, 0.1)
    later = setting.start + pd.Timedelta("5min")
    n = setting.count
    rows = usual_calls(events, setting, n, 0.5, later)
    return with_added(events, look, as_calls(rows, unused_calls(events, setting, "mint", n), events, setting.rng))


@scenario(
    15,
    "Permissions extended through the API",
    attack_ids=("T1098.003",),
    intensities=(1, 3, 8),
    unit="changes of roles or policies",
    days=1 / 24,
    shown_by=(*NEW_CALLS, "sensitive_requests", "write_requests", "operations", "new_pairs"),
)
def privilege_escalation(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """Within half an hour the token changes roles and policies with calls that it never made before."""
    return with_added(events, calls_never_made(events, setting, "rights", setting.count, 0.5))


@scenario(
    21,
    "Many objects deleted at once",
    attack_ids=("T1485", "T1486"),
    intensities=(10, 50, 300),
    unit="objects deleted",
    days=1 / 24,
    suits=reads_objects,
    shown_by=(*NEW_CALLS, "delete_requests", "sensitive_requests", "requests", "hour_of_week"),
)
def destructive_burst(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """Within twenty minutes the token deletes objects that it read before."""
    rng, n = setting.rng, setting.count
    own = reads_of_one_kind(events, setting).drop_duplicates("resource_uid")
    rows = copies(own, n, rng)
    if n <= len(own):
        rows = rows.assign(resource_uid=own["resource_uid"].to_numpy()[rng.permutation(len(own))[:n]])
    names, service = rows["resource_uid"].tolist(), own["service"].iloc[0]
    was = str(own["operation"].iloc[0])
    call = Call(service, "DELETE " + was.split(" ", 1)[1]) if logs_routes(own) else Call(service, _deletion(was))
    kinds = rows["resource_type"]
    rows = as_calls(with_columns(rows, time=early_times(setting.start, 1 / 3, n, rng)), [call], events, rng)
    return with_added(events, on_objects(rows, names).assign(resource_type=kinds))


def _deletion(read: str) -> str:
    """Return the name of the call that deletes what this one reads."""
    for verb in ("Get", "Head", "Describe", "Download"):
        if read.startswith(verb):
            return "Delete" + read.removeprefix(verb)
    return "DeleteObject"


@scenario(
    22,
    "Model or compute service used at the owner's expense",
    attack_ids=("T1496", "T1496.004"),
    intensities=(20, 100, 500),
    unit="calls",
    days=0.5,
    shown_by=(*NEW_CALLS, "requests", "active_minutes", "write_requests", "operations", "hour_of_week"),
)
def resource_hijack(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """Two invalid calls try whether a model or compute service may be used, which the token never called.

    Then it is called for twelve hours.
    """
    rng, n = setting.rng, setting.count
    call = unused_calls(events, setting, "compute", 1)
    rows = usual_calls(events, setting, n + 2, 12)
    rows = as_calls(rows, call, events, rng)
    return with_added(events, with_status(rows, [400, 400] + [200] * n))


@scenario(
    23,
    "Many secrets read",
    attack_ids=("T1555.006", "T1552.005"),
    intensities=(10, 40, 150),
    unit="different secrets read",
    days=1 / 24,
    shown_by=(
        *NEW_CALLS,
        "sensitive_requests",
        "new_objects",
        "objects",
        "requests",
        "unfamiliar_objects",
        "foreign_objects",
    ),
)
def secret_harvesting(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """Within half an hour the token reads many different secrets with a call that it never made before, each secret
    once.
    """
    rng, n = setting.rng, setting.count
    rows = calls_never_made(events, setting, "secret", 1, 0.1)
    call = [Call(rows["service"].iloc[0], rows["operation"].iloc[0])]
    rows = usual_calls(events, setting, n, 0.5)
    rows = as_calls(rows, call, events, rng)
    numbers = rng.choice(900_000, n, replace=False) + 1_000
    name = call[0].operation.split(" ", 1)[1] if logs_routes(events) else "prod/service-{id}/password"
    return with_added(events, on_objects(rows, [name.replace("{id}", str(i)) for i in numbers.tolist()]))
