"""Signs: everything about a day or an hour of a profile that may tell of misuse, each in bits of surprise.

Reads  Evidence. Writes nothing.
Amounts are ranked among the peers' days already. What is new is ranked among the calibration days here: how many of
them show something as new. So bits of all signs mean the same, and ``weights`` can add them up.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from tokenkit.fingerprint import judged_features
from tokenkit.normal import familiarity
from tokenkit.normal.day_matrices import Days
from tokenkit.normal.evidence import NOVELTIES, Evidence
from tokenkit.normal.tail import Tail, fit_tail

MOVED_SHARE = 0.95  # of the calls come from networks never used before: everything moved, and nothing came beside it
UNFAMILIAR = {"unfamiliar_objects": "object", "unfamiliar_operations": "operation",
              "unfamiliar_networks": "network", "unfamiliar_clients": "client"}  # fmt: skip
FEWER = "fewer_"  # begins the sign of a feature that lies below what is usual
LEAST_PAUSES = 3  # earlier ones, for the longest of them to say anything


@dataclass(frozen=True)
class Scale:
    """What turns novelty, familiarity and silence into bits: the tail of each on the days that were learned from.

    Without such days (a young lake) they are taken as they are.
    """

    tails: dict[str, Tail]

    def bits(self, name: str, values: np.ndarray) -> np.ndarray:
        """Bits of surprise; 0 where there is nothing."""
        tail = self.tails.get(name)
        return np.where(values > 0, tail.bits(values) if tail else values, 0.0)


def fewer() -> list[str]:
    """The signs of features that lie below what is usual.

    Examples
    --------
    >>> "fewer_objects" in fewer()
    True
    """
    return [FEWER + name for name in judged_features()]


def names() -> list[str]:
    """Every sign of a day, in the order of the table.

    Examples
    --------
    >>> {"requests", "network_moved", "network_beside", "unfamiliar_objects", "silence"} <= set(names())
    True
    """
    return [*judged_features(), "network_moved", "network_beside", *NOVELTIES[1:], *UNFAMILIAR, "silence", *fewer()]


def fit_scale(evidence: Evidence, start: date, end: date) -> Scale:
    """Learn how new things usually are from the active days ``[start, end)`` of representative profiles."""
    days = evidence.days
    rows, columns = days.active_cells(start, end, days.representative[:, None] & ~days.misuse)
    values = _unscaled(evidence, rows, columns).drop(columns="moved") if len(rows) else pd.DataFrame()
    return Scale({name: fit_tail(values[name].to_numpy()) for name in values})


def of_days(evidence: Evidence, scale: Scale, start: date, end: date) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """The signs of every active day in ``[start, end)``: row and column of ``evidence.days``, and bits by sign."""
    rows, columns = evidence.days.active_cells(start, end)
    amounts = {}
    for name in judged_features():
        above = np.nan_to_num(evidence.z[name][rows, columns]) > 0
        amounts[name] = np.where(above, np.nan_to_num(evidence.bits[name][rows, columns]), 0.0)
    values = _unscaled(evidence, rows, columns)
    bits = {name: scale.bits(name, values[name].to_numpy()) for name in values}
    moved = values["moved"].to_numpy() >= MOVED_SHARE
    new = _of_network(bits["network"], moved) | {name: bits[name] for name in NOVELTIES[1:]}
    for name, kind in UNFAMILIAR.items():
        new[name] = np.max([bits[column] for column in familiarity.fresh_columns(kind)], axis=0)
    return rows, columns, pd.DataFrame(amounts | new | {name: bits[name] for name in ("silence", *fewer())})[names()]


def of_hours(evidence: Evidence, scale: Scale, start: date, end: date) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The hours in ``[start, end)`` (``evidence.hours``), and the signs that an hour has, in bits: what is new in it.

    They are ranked among the largest of days, so that an hour never has more bits of a sign than its day.
    """
    hours = evidence.hours_between(start, end)
    bits = {name: scale.bits(name, hours[name].to_numpy(dtype=float)) for name in NOVELTIES}
    moved = hours["moved"].to_numpy() >= MOVED_SHARE
    return hours, pd.DataFrame(_of_network(bits["network"], moved) | {name: bits[name] for name in NOVELTIES[1:]})


def _of_network(bits: np.ndarray, moved: np.ndarray) -> dict[str, np.ndarray]:
    return {"network_moved": np.where(moved, bits, 0.0), "network_beside": np.where(moved, 0.0, bits)}


def _unscaled(evidence: Evidence, rows: np.ndarray, columns: np.ndarray) -> pd.DataFrame:
    """Novelty (the day's largest), ``moved``, unfamiliarity and silence of some days, in units of their own.

    How far each feature lies below what is usual, too (standard deviations, negative above it). Most are given the
    calls: a crawl makes so many of one kind that all else falls behind.
    """
    found = evidence.daily_novelty(evidence.days.profiles[rows], evidence.days.days[columns])
    unfamiliar = evidence.unfamiliarity.set_index(["profile_uid", "start"]).reindex(found.index).fillna(0.0)
    fresh = [column for kind in UNFAMILIAR.values() for column in familiarity.fresh_columns(kind)]
    below = {FEWER + name: -np.nan_to_num(evidence.z[name][rows, columns]) for name in judged_features()}
    return found.join(unfamiliar[fresh]).assign(silence=silence(evidence.days)[rows, columns], **below)


def silence(days: Days) -> np.ndarray:
    """How much longer than ever before a profile was silent before each day (profile x day), in doublings.

    0 where it was not, and until it has made ``LEAST_PAUSES`` pauses; days on end count as pauses of none.

    Examples
    --------
    >>> import numpy as np
    >>> from types import SimpleNamespace
    >>> used = np.array([[1, 1, 0, 1, 1, 0, 0, 0, 0, 0, 1]], dtype=bool)
    >>> silence(SimpleNamespace(active=used))[0, -1].round(2)  # five days, and one at most before
    np.float64(1.58)
    """
    found = np.zeros(days.active.shape)
    for row, active in enumerate(days.active):
        used = np.flatnonzero(active)
        pauses = np.diff(used) - 1
        longest = np.maximum.accumulate(np.concatenate([[0], pauses]))[:-1]
        longer = (pauses > longest) & (np.arange(len(pauses)) >= LEAST_PAUSES)
        found[row, used[1:]] = np.where(longer, np.log2((pauses + 1) / (longest + 1)), 0.0)
    return found
