"""Misuse: what is done with a token from where it always works: looking round, taking, changing, destroying."""

import numpy as np
import pandas as pd

from tokenkit.bench.scenarios.calls import (
    Call,
    answered,
    called_before,
    calling,
    number_of,
    numbered,
    older,
    reads,
    renumbered,
    speaks_routes,
    touching,
    unused,
)
from tokenkit.bench.scenarios.scenario import (
    Edited,
    Setting,
    added,
    at,
    copies,
    count,
    paced,
    resized,
    scenario,
    spread,
    usual,
)
from tokenkit.bench.scenarios.stolen import used
from tokenkit.sources.fields import operations


def reads_objects(events: pd.DataFrame) -> bool:
    """Used, and with ten successful reads of numbered objects at least."""
    return used(events) and len(reads(events)) >= 10


def carries_bytes(events: pd.DataFrame) -> bool:
    """Used, on 14 days or more with answers whose size the log says."""
    sized = events[events["response_bytes"].fillna(0) > 0]
    return used(events) and sized["time"].dt.floor("D").nunique() >= 14


def daily_bytes(events: pd.DataFrame, setting: Setting) -> float:
    """Median response bytes of an active day."""
    sized = usual(events, setting)
    return float(sized.groupby(sized["time"].dt.floor("D"))["response_bytes"].sum().astype("float64").median())


def one_kind_read(events: pd.DataFrame, setting: Setting) -> pd.DataFrame:
    """Reads of numbered objects of the kind that it read most, lately where there are such."""
    lately = reads(usual(events, setting))
    own = lately if len(lately) else reads(events)
    return own[own["operation"] == own["operation"].mode()[0]]


def burst(events: pd.DataFrame, setting: Setting, purpose: str, n: int, hours: float) -> pd.DataFrame:
    """``n`` calls of a purpose that the token never made, each about as often, within some hours."""
    rows = at(copies(usual(events, setting), n, setting.rng), spread(setting.start, hours, n, setting.rng))
    return calling(rows, unused(events, setting, purpose, max(1, n)), events, setting.rng)


@scenario(
    4, "Looking round: what can be listed", attack_ids=("T1526", "T1580", "T1087.004", "T1619"),
    intensities=(5, 15, 40), unit="listing calls never made before", days=1 / 24, suits=used,
    shown_by=("operation", "operations", "list_requests", "denied_operations", "denied", "new_pairs", "pairs",
              "new_transitions", "transitions", "sensitive_requests"),
)  # fmt: skip
def reconnaissance(events: pd.DataFrame, setting: Setting) -> Edited:
    """Within twenty minutes one call each of many listings that the token never asked for; one in six is refused."""
    rows = burst(events, setting, "list", count(setting), 1 / 3)
    return added(events, answered(rows, np.where(setting.rng.random(len(rows)) < 1 / 6, 403, 200).tolist()))


@scenario(
    5, "Scopes probed", attack_ids=("T1069.003", "OWASP API5"), unchecked=("OWASP API5",), intensities=(4, 10, 25),
    unit="kinds of calls refused", days=1 / 24, suits=used,
    shown_by=("denied_operations", "denied", "client_errors", "operation", "operations"),
)  # fmt: skip
def scope_probing(events: pd.DataFrame, setting: Setting) -> Edited:
    """Many kinds of calls are refused, one after the other; the last one is answered."""
    rng, n = setting.rng, count(setting)
    known = called_before(events)
    doors = [call for purpose in ("rights", "mint", "secret", "audit") for call in unused(events, setting, purpose, 3)]
    doors = [call for call in [*doors, *unused(events, setting, "list", n + 1)] if call not in known][: n + 1]
    rows = at(copies(usual(events, setting), n + 1, rng), spread(setting.start, 0.5, n + 1, rng))
    return added(events, answered(calling(rows, doors, events, rng), [403] * n + [200]))


@scenario(
    6, "Objects enumerated", attack_ids=("T1213", "OWASP API1"), unchecked=("OWASP API1",),
    intensities=(50, 200, 800), unit="numbers tried", days=4 / 24, suits=reads_objects,
    shown_by=("sequential_objects", "objects", "new_objects", "client_errors", "requests"),
)  # fmt: skip
def object_enumeration(events: pd.DataFrame, setting: Setting) -> Edited:
    """The numbers of one kind of object that it reads, one after the other; two in five do not exist."""
    rng, n = setting.rng, count(setting)
    own = one_kind_read(events, setting)
    known = str(own["resource_uid"].iloc[int(rng.integers(len(own)))])
    begin = number_of(known) + int(rng.integers(1, 500))
    rows = at(copies(own, n, rng), spread(setting.start, 3, n, rng))
    rows = touching(rows, [renumbered(known, begin + i) for i in range(n)])
    return added(events, answered(rows, np.where(rng.random(n) < 0.4, 404, 200).tolist()))


@scenario(
    7, "Bulk taken in one day", attack_ids=("T1530", "T1567", "T1213"), intensities=(2, 4, 9, 29),
    unit="times the usual day's bytes, on top of it", days=1, suits=carries_bytes,
    shown_by=("response_bytes", "rows", "objects", "new_objects", "requests", "max_in_minute", "active_minutes"),
)  # fmt: skip
def bulk_spike(events: pd.DataFrame, setting: Setting) -> Edited:
    """Its own reads, more and larger ones and of older objects, within ten hours: half by number, half by size."""
    rng = setting.rng
    own = usual(events, setting)
    own = own[own["response_bytes"].fillna(0) > 0]
    wanted = setting.intensity * daily_bytes(events, setting)
    mean = float(own["response_bytes"].astype("float64").mean())
    n = int(np.clip(wanted / mean / 2, 5, 3_000))
    rows = at(copies(own, n, rng), spread(setting.start, 10, n, rng))
    rows = resized(rows, wanted / max(float(rows["response_bytes"].sum()), 1.0), ("response_bytes", "rows"))
    return added(events, of_older_objects(rows, events, rng))


def of_older_objects(rows: pd.DataFrame, events: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """The rows; those that read a numbered object read another one, which the token never touched."""
    read = numbered(rows)
    old = touching(rows[read], older(rows[read], events, rng))
    return pd.concat([rows[~read], old])


@scenario(
    11, "Listing crawled page by page", attack_ids=("T1119", "T1213"), intensities=(100, 400, 1600),
    unit="pages, one every four seconds", days=2 / 24, suits=used,
    shown_by=("requests", "list_requests", "active_minutes", "response_bytes", "rows", "max_in_minute", "hour_of_week"),
)  # fmt: skip
def pagination_crawl(events: pd.DataFrame, setting: Setting) -> Edited:
    """One listing of its own (or its most frequent read), without a pause and at an even pace."""
    rng, n = setting.rng, count(setting)
    own = usual(events, setting)
    lists = own[[operations.lists(one) for one in own["operation"]]]
    pool = lists if len(lists) else own[own["activity_id"] == operations.READ]
    pool = pool if len(pool) else own
    pool = pool[pool["operation"] == pool["operation"].mode()[0]]
    return added(events, at(copies(pool, n, rng), paced(setting.start, 4, n, rng)))


@scenario(
    14, "Keys and credentials made with the token", attack_ids=("T1098.001", "T1136.003"), intensities=(1, 2, 5),
    unit="credentials made", days=1 / 24, suits=used,
    shown_by=("operation", "sensitive_requests", "write_requests", "operations"),
)  # fmt: skip
def credential_minting(events: pd.DataFrame, setting: Setting) -> Edited:
    """It looks up who there is, then makes credentials, which it never did."""
    look = burst(events, setting, "identity", 1, 0.1)
    later = setting.start + pd.Timedelta("5min")
    n = count(setting)
    rows = at(copies(usual(events, setting), n, setting.rng), spread(later, 0.5, n, setting.rng))
    return added(events, look, calling(rows, unused(events, setting, "mint", n), events, setting.rng))


@scenario(
    15, "Rights raised over the API", attack_ids=("T1098.003",), intensities=(1, 3, 8), unit="changes of rights",
    days=1 / 24, suits=used, shown_by=("operation", "sensitive_requests", "write_requests", "operations", "new_pairs"),
)  # fmt: skip
def privilege_escalation(events: pd.DataFrame, setting: Setting) -> Edited:
    """Roles and policies are written, which neither it nor its peers ever did."""
    return added(events, burst(events, setting, "rights", count(setting), 0.5))


@scenario(
    21, "Much deleted at once", attack_ids=("T1485", "T1486"), intensities=(10, 50, 300), unit="objects deleted",
    days=1 / 24, suits=reads_objects,
    shown_by=("delete_requests", "operation", "sensitive_requests", "requests", "hour_of_week"),
)  # fmt: skip
def destructive_burst(events: pd.DataFrame, setting: Setting) -> Edited:
    """Objects that it read before are deleted, within twenty minutes."""
    rng, n = setting.rng, count(setting)
    own = one_kind_read(events, setting).drop_duplicates("resource_uid")
    rows = copies(own, n, rng)
    if n <= len(own):
        rows = rows.assign(resource_uid=own["resource_uid"].to_numpy()[rng.permutation(len(own))[:n]])
    names, service = rows["resource_uid"].tolist(), own["service"].iloc[0]
    was = str(own["operation"].iloc[0])
    call = Call(service, "DELETE " + was.split(" ", 1)[1]) if speaks_routes(own) else Call(service, _deletion(was))
    kinds = rows["resource_type"]
    rows = calling(at(rows, spread(setting.start, 1 / 3, n, rng)), [call], events, rng)
    return added(events, touching(rows, names).assign(resource_type=kinds))


def _deletion(read: str) -> str:
    """The name of the call that deletes what this one reads."""
    for verb in ("Get", "Head", "Describe", "Download"):
        if read.startswith(verb):
            return "Delete" + read.removeprefix(verb)
    return "DeleteObject"


@scenario(
    22, "Model or compute service hijacked", attack_ids=("T1496", "T1496.004"), intensities=(20, 100, 500),
    unit="calls", days=0.5, suits=used,
    shown_by=("operation", "requests", "active_minutes", "write_requests", "operations", "hour_of_week"),
)  # fmt: skip
def resource_hijack(events: pd.DataFrame, setting: Setting) -> Edited:
    """Two calls that are not valid, to see whether it is allowed; then one call, over and over, for twelve hours."""
    rng, n = setting.rng, count(setting)
    call = unused(events, setting, "compute", 1)
    rows = at(copies(usual(events, setting), n + 2, rng), spread(setting.start, 12, n + 2, rng))
    rows = calling(rows, call, events, rng)
    return added(events, answered(rows, [400, 400] + [200] * n))


@scenario(
    23, "Secrets harvested", attack_ids=("T1555.006", "T1552.005"), intensities=(10, 40, 150),
    unit="different secrets read", days=1 / 24, suits=used,
    shown_by=("operation", "sensitive_requests", "new_objects", "objects", "requests"),
)  # fmt: skip
def secret_harvesting(events: pd.DataFrame, setting: Setting) -> Edited:
    """Many different secrets are read within half an hour, each once."""
    rng, n = setting.rng, count(setting)
    rows = burst(events, setting, "secret", 1, 0.1)
    call = [Call(rows["service"].iloc[0], rows["operation"].iloc[0])]
    rows = at(copies(usual(events, setting), n, rng), spread(setting.start, 0.5, n, rng))
    rows = calling(rows, call, events, rng)
    numbers = rng.choice(900_000, n, replace=False) + 1_000
    if speaks_routes(events):
        path = call[0].operation.split(" ", 1)[1]
        return added(events, touching(rows, [path.replace("{id}", str(i)) for i in numbers.tolist()]))
    return added(events, touching(rows, [f"prod/service-{i}/password" for i in numbers.tolist()]))
