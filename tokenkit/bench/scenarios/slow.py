"""Slow: what only days together show: a little more each day, another mix, an owner who left, noise before."""

from dataclasses import replace

import numpy as np
import pandas as pd

from tokenkit.bench.scenarios.calls import answered, calling, older, reads, touching, unused
from tokenkit.bench.scenarios.misuse import burst, carries_bytes
from tokenkit.bench.scenarios.scenario import (
    DAY,
    SIZES,
    Edited,
    Setting,
    added,
    at,
    changed,
    copies,
    count,
    replaced,
    resized,
    scenario,
    spread,
    unchanged,
    until_the_end,
    usual,
)
from tokenkit.bench.scenarios.stolen import used

READS_FOR_BYTES = 0.1  # new reads a call, for each doubling of the bytes; the other answers grow for the rest


def steady(events: pd.DataFrame) -> bool:
    """Carries bytes on every second day of its time at least, in ten calls a day or more."""
    if not carries_bytes(events):
        return False
    days = events.loc[events["response_bytes"].fillna(0) > 0, "time"].dt.floor("D").value_counts()
    lifetime = (events["time"].max() - events["time"].min()) / DAY
    return len(days) >= lifetime / 2 and float(days.median()) >= 10


def taking(events: pd.DataFrame, setting: Setting, own: pd.DataFrame, share: np.ndarray) -> Edited:
    """Answers of ``own`` carry ``share`` more each, a part of it in reads of objects that were never touched before."""
    rng = setting.rng
    sized = own["response_bytes"].fillna(0).to_numpy(dtype="float64")
    keep = (sized > 0) & (own["status_id"] == 1).to_numpy(dtype=bool)
    own, sized, share = own[keep], sized[keep], np.asarray(share)[keep]
    if not len(own):
        return Edited(unchanged(events))
    wanted = float((sized * share).sum())
    pool, n = reads(own), int(np.ceil(READS_FOR_BYTES * share.sum()))
    pool = pool[pool["response_bytes"].fillna(0) > 0]
    more = events.iloc[:0]
    if len(pool):
        weight = share[own.index.get_indexer(pool.index)] + 1e-9
        chosen = pool.iloc[np.sort(rng.choice(len(pool), size=n, p=weight / weight.sum()))]
        later = chosen["time"] + pd.to_timedelta(rng.integers(1, 60, n), unit="s")
        more = changed(chosen, time=later, count=1)
        more = touching(more, older(more, events, rng))
        carried = float(more["response_bytes"].sum())
        more = resized(more, min(2.0, 0.5 * wanted / carried) * rng.lognormal(0.0, 0.2, n), ("response_bytes", "rows"))
    rest = max(wanted - float(more["response_bytes"].sum()), 0.0) / max(wanted, 1.0)
    larger = resized(own, 1.0 + rest * share * _restless(own, rng), ("response_bytes", "rows"))
    raised = replaced(events, larger)
    return added(raised.events, more) if len(more) else raised


def _restless(own: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    """A factor around one for each event: days differ by a tenth."""
    days, which = np.unique(own["time"].dt.floor("D"), return_inverse=True)
    factor = rng.lognormal(0.0, 0.1, len(days))[which]
    return np.asarray(factor / factor.mean())


@scenario(
    8, "Slow exfiltration", attack_ids=("T1030", "T1020", "T1029"), intensities=(0.1, 0.3, 0.6, 1.0, 2.0),
    unit="times the usual bytes, on top of them, sustained", days=34, suits=steady,
    shown_by=("drift_response_bytes", "drift_objects", "drift_rows", "response_bytes", "new_objects", "rows"),
)  # fmt: skip
def slow_exfiltration(events: pd.DataFrame, setting: Setting) -> Edited:
    """For 34 days its answers carry more, by the same share each day."""
    own = until_the_end(events, setting, 34)
    return taking(events, setting, own, np.full(len(own), setting.intensity))


@scenario(
    9, "Ramp: a little more each day", attack_ids=("T1030", "T1029"), intensities=(0.005, 0.01, 0.03, 0.05),
    unit="growth of the bytes a day", days=None, suits=steady,
    shown_by=("drift_response_bytes", "drift_objects", "drift_rows", "response_bytes", "new_objects", "rows"),
)  # fmt: skip
def ramp(events: pd.DataFrame, setting: Setting) -> Edited:
    """From the start on its answers grow by some per cent a day, compounding, to the end."""
    own = until_the_end(events, setting)
    days = np.asarray((own["time"] - setting.start) / DAY, dtype=float) // 1 + 1
    return taking(events, setting, own, (1 + setting.intensity) ** days - 1)


@scenario(
    10, "Purpose creep: the mix of calls turns to others", attack_ids=("T1213",), intensities=(0.1, 0.2, 0.35, 0.5),
    unit="share of its calls that are others, after 28 days", days=28, suits=used,
    shown_by=("operation", "operations", "sensitive_requests", "list_requests", "new_pairs", "new_transitions"),
)  # fmt: skip
def purpose_creep(events: pd.DataFrame, setting: Setting) -> Edited:
    """In place of its own calls come, more each day, listings and sensitive reads it never made; as many in all."""
    rng = setting.rng
    own = until_the_end(events, setting, 28)
    age = np.asarray((own["time"] - setting.start) / (28 * DAY), dtype=float)
    rows = own[rng.random(len(own)) < setting.intensity * age]
    others = [*unused(events, setting, "list", 4), *unused(events, setting, "secret", 1)]
    if not len(rows):
        return Edited(unchanged(events))
    turned = calling(rows, others, events, rng)
    kept = {c: rows[c].where(turned[c].notna(), turned[c]) for c in SIZES}
    return replaced(events, turned.assign(**kept))


@scenario(
    13, "Orphan: the owner left, the token works on", attack_ids=("T1078.004",), intensities=(1,),
    unit="owner who has left", days=None, suits=used, gradual=False, shown_by=("orphan_in_use",),
)  # fmt: skip
def orphan(events: pd.DataFrame, setting: Setting) -> Edited:
    """No event changes: from the start on the list of owners says that the owner has left."""
    made = unchanged(events)
    left = {"owner_status": "orphaned", "valid_from": setting.start}
    return Edited(made.assign(attack=(made["time"] >= setting.start) & (made["time"] < setting.end)), left)


@scenario(
    25, "Tracks covered, after low noise", attack_ids=("T1562.008", "T1070", "AML.T0020"),
    unchecked=("T1070",), intensities=(1, 3, 6), unit="calls on logs, webhooks, jobs", days=7, suits=used,
    gradual=False,
    shown_by=("operation", "sensitive_requests", "delete_requests", "write_requests", "denied", "operations"),
)  # fmt: skip
def tracks_covered(events: pd.DataFrame, setting: Setting) -> Edited:
    """Six days of noise, two odd calls a day of which one is refused; then logs and hooks are switched off."""
    rng, n = setting.rng, count(setting)
    noise = at(copies(usual(events, setting), 12, rng), spread(setting.start, 24 * 6, 12, rng))
    noise = calling(noise, unused(events, setting, "list", 4), events, rng)
    noise = answered(noise, [403, 200] * 6)
    return added(events, noise, burst(events, replace(setting, start=setting.start + 6 * DAY), "audit", n, 0.5))
