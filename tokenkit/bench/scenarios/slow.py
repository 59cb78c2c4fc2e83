"""Scenarios that show only over days: more data, other calls, an owner who left, noise before an attack."""

from dataclasses import replace

import numpy as np
import pandas as pd

from tokenkit.bench.scenarios.calls import (
    as_calls,
    numbered_reads,
    older_objects,
    on_objects,
    unused_calls,
    with_status,
)
from tokenkit.bench.scenarios.misuse import calls_never_made, carries_bytes
from tokenkit.bench.scenarios.scenario import (
    DAY,
    NEW_CALLS,
    SIZES,
    EditedToken,
    Setting,
    own_calls,
    resized,
    scenario,
    usual_calls,
    with_added,
    with_columns,
    with_replaced,
    without_attack,
)

READS_FOR_BYTES = 0.1  # new reads a call, for each doubling of the bytes; the other answers grow for the rest


def steady(events: pd.DataFrame) -> bool:
    """Return whether answers carry bytes on at least every second day, in at least ten calls a day."""
    if not carries_bytes(events):
        return False
    days = events.loc[events["response_bytes"].fillna(0) > 0, "time"].dt.floor("D").value_counts()
    lifetime = (events["time"].max() - events["time"].min()) / DAY
    return len(days) >= lifetime / 2 and float(days.median()) >= 10


def with_more_bytes(events: pd.DataFrame, setting: Setting, own: pd.DataFrame, share: np.ndarray) -> EditedToken:
    """Return the events with answers of ``own`` larger by ``share`` each, partly as reads of untouched objects."""
    rng = setting.rng
    sized = own["response_bytes"].fillna(0).to_numpy(dtype="float64")
    keep = (sized > 0) & (own["status_id"] == 1).to_numpy(dtype=bool)
    own, sized, share = own[keep], sized[keep], np.asarray(share)[keep]
    if not len(own):
        return EditedToken(without_attack(events))
    wanted = float((sized * share).sum())
    pool, n = numbered_reads(own), int(np.ceil(READS_FOR_BYTES * share.sum()))
    pool = pool[pool["response_bytes"].fillna(0) > 0]
    more = events.iloc[:0]
    if len(pool):
        weight = share[own.index.get_indexer(pool.index)] + 1e-9
        chosen = pool.iloc[np.sort(rng.choice(len(pool), size=n, p=weight / weight.sum()))]
        later = chosen["time"] + pd.to_timedelta(rng.integers(1, 60, n), unit="s")
        more = with_columns(chosen, time=later, count=1)
        more = on_objects(more, older_objects(more, events, rng))
        carried = float(more["response_bytes"].sum())
        more = resized(more, min(2.0, 0.5 * wanted / carried) * rng.lognormal(0.0, 0.2, n), ("response_bytes", "rows"))
    rest = max(wanted - float(more["response_bytes"].sum()), 0.0) / max(wanted, 1.0)
    larger = resized(own, 1.0 + rest * share * _daily_factor(own, rng), ("response_bytes", "rows"))
    raised = with_replaced(events, larger)
    return with_added(raised.events, more) if len(more) else raised


def _daily_factor(own: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    """Return a factor with mean one for each event, the same within a day; days differ by a tenth."""
    days, which = np.unique(own["time"].dt.floor("D"), return_inverse=True)
    factor = rng.lognormal(0.0, 0.1, len(days))[which]
    return np.asarray(factor / factor.mean())


MORE_DATA = ("drift_response_bytes", "drift_objects", "drift_new_objects", "drift_rows", "response_bytes",
             "new_objects", "rows", "unfamiliar_objects")  # fmt: skip


@scenario(
    8,
    "Slow exfiltration: more data on every day",
    attack_ids=("T1030", "T1020", "T1029"),
    intensities=(0.1, 0.3, 0.6, 1.0, 2.0),
    unit="times the usual bytes of each day, in addition",
    days=34,
    suits=steady,
    shown_by=MORE_DATA,
)
def slow_exfiltration(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """For 34 days the token's answers carry more bytes, by the same share on each day.

    A part of it are reads of objects that it never touched.
    """
    own = own_calls(events, setting, 34)
    return with_more_bytes(events, setting, own, np.full(len(own), setting.intensity))


@scenario(
    9,
    "Ramp: a little more data each day",
    attack_ids=("T1030", "T1029"),
    intensities=(0.005, 0.01, 0.03, 0.05),
    unit="growth of the bytes a day",
    days=None,
    suits=steady,
    shown_by=MORE_DATA,
)
def ramp(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """Until the end of the period the bytes of the token's answers grow by the same rate each day, compounded."""
    own = own_calls(events, setting)
    days = np.asarray((own["time"] - setting.start) / DAY, dtype=float) // 1 + 1
    return with_more_bytes(events, setting, own, (1 + setting.intensity) ** days - 1)


@scenario(
    10,
    "Purpose creep: its own calls give way to others",
    attack_ids=("T1213",),
    intensities=(0.1, 0.2, 0.35, 0.5),
    unit="share of its calls replaced on day 28",
    days=28,
    shown_by=(*NEW_CALLS, "operations", "sensitive_requests", "list_requests", "new_pairs", "new_transitions"),
)
def purpose_creep(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """For 28 days a growing share of the token's calls is replaced by listings and reads of secrets that it never made.

    The number of calls stays the same.
    """
    rng = setting.rng
    own = own_calls(events, setting, 28)
    age = np.asarray((own["time"] - setting.start) / (28 * DAY), dtype=float)
    rows = own[rng.random(len(own)) < setting.intensity * age]
    others = [*unused_calls(events, setting, "list", 4), *unused_calls(events, setting, "secret", 1)]
    if not len(rows):
        return EditedToken(without_attack(events))
    turned = as_calls(rows, others, events, rng)
    kept = {c: rows[c].where(turned[c].notna(), turned[c]) for c in SIZES}
    return with_replaced(events, turned.assign(**kept))


@scenario(
    13,
    "Token used after its owner left",
    attack_ids=("T1078.004",),
    intensities=(1,),
    unit="owner who left",
    days=None,
    gradual=False,
    shown_by=("orphan_in_use",),
)
def orphan(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """No event changes. From the start on the list of owners says that the owner has left."""
    rows = without_attack(events)
    left = {"owner_status": "orphaned", "valid_from": setting.start}
    return EditedToken(rows.assign(attack=(rows["time"] >= setting.start) & (rows["time"] < setting.end)), left)


@scenario(
    25,
    "Tracks covered, after days of noise",
    attack_ids=("T1562.008", "T1070", "AML.T0020"),
    unchecked=("T1070",),
    intensities=(1, 3, 6),
    unit="calls that switch off logs, webhooks or jobs",
    days=7,
    gradual=False,
    shown_by=(*NEW_CALLS, "sensitive_requests", "delete_requests", "write_requests", "denied", "operations"),
)
def tracks_covered(events: pd.DataFrame, setting: Setting) -> EditedToken:
    """For six days the token makes two listing calls a day that it never made, one of them refused.

    Then, within half an hour, it switches off or deletes logs, webhooks or jobs.
    """
    noise = usual_calls(events, setting, 12, 24 * 6)
    noise = as_calls(noise, unused_calls(events, setting, "list", 4), events, setting.rng)
    last = replace(setting, start=setting.start + 6 * DAY)
    tracks = calls_never_made(events, last, "audit", setting.count, 0.5)
    return with_added(events, with_status(noise, [403, 200] * 6), tracks)
