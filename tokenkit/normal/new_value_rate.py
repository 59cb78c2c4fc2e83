"""New value rate: on what share of its active days a profile lately showed something new, shrunk to its peers.

Reads  tables of profile x day. Writes nothing.
A surprise must not grow with the calendar: a profile that goes on as ever has to have the same bits in a year. So a new
value is as surprising as new values were rare in the last 28 days (the missing mass of Good, 1953, by days), and what
lies further back counts for nothing but which values are known.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

WINDOW_DAYS = 28
OWN_PRIOR_DAYS = 7.0  # active days of its own that the rate of a profile's peers weighs
PEERS_PRIOR_DAYS = 100.0  # active days of the peers that the rate of everyone weighs


def new_value_rate(
    rows: pd.DataFrame, own_days: pd.DataFrame, others_days: pd.DataFrame, kinds: Sequence[str],
    replaces: Mapping[str, str] | None = None,
) -> np.ndarray:  # fmt: skip
    """On what share of active days something new of each kind is to be expected, for a profile and a day.

    Parameters
    ----------
    rows : DataFrame with ``profile_uid``, ``group`` (str), ``day`` (int, since 1970): whose rate, and when
    own_days : DataFrame, one row a profile and active day that counts: ``profile_uid``, ``group``, ``day``, and one
        bool column a kind: whether it showed something new of that kind
    others_days : the same of those whom the rates are shrunk to; the profile's own days among them are left out
    kinds : columns of both
    replaces : profile_uid to the one of ``others_days`` that it replaces, which is left out in its place

    Returns
    -------
    array of float (row x kind), above 0 and at most 1

    Notes
    -----
    Over the 28 days before the day, with d active days of which n showed something new: of everyone
    o = (n + .5) / (d + 1), of the peers p = (n + 100 o) / (d + 100), of the profile r = (n + 7 p) / (d + 7)
    (docs/method/baseline.md).

    Examples
    --------
    >>> days = pd.DataFrame({"profile_uid": "a", "group": "x", "day": range(10, 20), "new": [True] + [False] * 9})
    >>> asked = pd.DataFrame({"profile_uid": ["a", "a"], "group": "x", "day": [20, 400]})
    >>> new_value_rate(asked, days, days, ["new"]).round(3)[:, 0].tolist()  # nobody else; later nothing is known of it
    [0.265, 0.5]
    """
    who = rows["profile_uid"].map(lambda uid: (replaces or {}).get(uid, uid)) if replaces else rows["profile_uid"]
    day = rows["day"].to_numpy()
    everyone = _lately(others_days["day"] * 0, others_days, pd.Series(0, rows.index), day, kinds)
    peers = _lately(others_days["group"], others_days, rows["group"], day, kinds)
    itself = _lately(others_days["profile_uid"], others_days, who, day, kinds)
    # one that changed its peers is not among them
    same = _lately(others_days["profile_uid"] + "\0" + others_days["group"].astype(str), others_days,
                   who + "\0" + rows["group"].astype(str), day, kinds)  # fmt: skip
    own = _lately(own_days["profile_uid"], own_days, rows["profile_uid"], day, kinds)
    of_all = (everyone[:, 1:] - itself[:, 1:] + 0.5) / (everyone[:, :1] - itself[:, :1] + 1.0)
    days_of_peers = peers[:, :1] - same[:, :1]
    of_peers = (peers[:, 1:] - same[:, 1:] + PEERS_PRIOR_DAYS * of_all) / (days_of_peers + PEERS_PRIOR_DAYS)
    return (own[:, 1:] + OWN_PRIOR_DAYS * of_peers) / (own[:, :1] + OWN_PRIOR_DAYS)


def _lately(
    names: pd.Series, days: pd.DataFrame, asked: pd.Series, day: np.ndarray, kinds: Sequence[str]
) -> np.ndarray:  # fmt: skip
    """For each name and day asked for: days of that name in the 28 days before, and those of each kind."""
    amounts = np.column_stack([np.ones(len(days)), *(days[kind].to_numpy(dtype=float) for kind in kinds)])
    return lately(names, days["day"].to_numpy(), amounts, asked, day)


def lately(
    names: pd.Series, days: np.ndarray, amounts: np.ndarray, asked: pd.Series, day: np.ndarray,
    length: int = WINDOW_DAYS,
) -> np.ndarray:  # fmt: skip
    """Sums over the ``length`` days before a day.

    Parameters
    ----------
    names, days, amounts : of each row its name, its day (int) and its amounts (row x amount)
    asked, day : names and days to sum for

    Returns
    -------
    array of float (asked x amount)

    Examples
    --------
    >>> names, days = pd.Series(["a", "a", "b"]), np.array([1, 30, 30])
    >>> lately(names, days, np.ones((3, 1)), pd.Series(["a", "a", "a"]), np.array([29, 30, 31]))[:, 0].tolist()
    [1.0, 0.0, 1.0]
    """
    code, _ = pd.factorize(pd.concat([names, asked], ignore_index=True))
    if not len(day):
        return np.zeros((0, amounts.shape[1]))
    first = int(min(days.min(initial=day.min()), day.min()))
    span = int(max(days.max(initial=day.max()), day.max())) - first + 2 * WINDOW_DAYS
    keys = code.astype(np.int64) * span
    keys[: len(days)] += days - first + WINDOW_DAYS
    order = np.argsort(keys[: len(days)], kind="stable")
    known = keys[: len(days)][order]
    sums = np.concatenate([np.zeros((1, amounts.shape[1])), np.cumsum(amounts[order], axis=0)])
    until = keys[len(days) :] + day - first + WINDOW_DAYS
    return sums[np.searchsorted(known, until)] - sums[np.searchsorted(known, until - length)]
