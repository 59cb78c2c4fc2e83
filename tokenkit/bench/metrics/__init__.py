"""Metrics: what a detector caught, what it cost and how much it agrees with others, as pure functions on plain tables.

Reads  nothing but its arguments. Writes nothing.
The unit is the incident, counted after merging (EVALUATION.md). With few attacks a recall is an interval, not a number.
"""

from math import sqrt

import numpy as np
import pandas as pd

CAUGHT, BEFORE, MISSED = "caught", "open before", "missed"


def wilson(hits: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """95% interval of a share, by Wilson's score: right for few trials, and for none or all of them.

    Examples
    --------
    >>> [round(end, 2) for end in wilson(0, 15)], [round(end, 2) for end in wilson(12, 15)]
    ([0.0, 0.2], [0.55, 0.93])
    """
    if n == 0:
        return 0.0, 1.0
    p, square = hits / n, z * z
    middle = (p + square / (2 * n)) / (1 + square / n)
    half = z / (1 + square / n) * sqrt(p * (1 - p) / n + square / (4 * n * n))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def incidents(windows: pd.DataFrame, start: pd.Timestamp) -> pd.DataFrame:
    """One row an incident that has a flagged window in the reported days, the highest score first.

    Parameters
    ----------
    windows : DataFrame, one row a flagged window
        ``incident_uid``, ``profile_uid``, ``channel``, ``start``, ``end`` (datetime64[UTC], half-open), ``score_bits``.
    start : first moment of the reported days

    Returns
    -------
    DataFrame
        ``incident_uid``, ``profile_uid``, ``start``, ``end``, ``raised`` (when its first window was complete),
        ``score_bits`` (each channel's highest window, added up), ``opened`` (bool: not before the reported days).
    """
    grouped = windows.groupby("incident_uid", sort=True)
    rows = grouped.agg(
        profile_uid=("profile_uid", "first"), start=("start", "min"), end=("end", "max"), raised=("end", "min"),
        last=("start", "max"),
    )  # fmt: skip
    peaks = windows.groupby(["incident_uid", "channel"])["score_bits"].max()
    rows["score_bits"] = peaks.groupby("incident_uid").sum()
    rows["opened"] = rows["start"] >= start
    rows = rows[rows["last"] >= start].drop(columns="last").reset_index()
    return rows.sort_values(["score_bits", "incident_uid"], ascending=[False, True]).reset_index(drop=True)


def touched(windows: pd.DataFrame, attacks: pd.DataFrame) -> pd.DataFrame:
    """Which incidents have a flagged window of the attacked profile within an attack: ``incident_uid``, ``attack``.

    The windows themselves must overlap: an incident whose windows lie on both sides of a short attack saw none of it.
    """
    both = windows[["incident_uid", "profile_uid", "start", "end"]].merge(
        attacks[["attack", "profile_uid", "start", "end"]], on="profile_uid", suffixes=("", "_attack")
    )
    inside = both[(both["end"] > both["start_attack"]) & (both["start"] < both["end_attack"])]
    return inside[["incident_uid", "attack"]].drop_duplicates().reset_index(drop=True)


def outcomes(found: pd.DataFrame, touching: pd.DataFrame, attacks: pd.DataFrame) -> pd.DataFrame:
    """What became of each attack.

    Parameters
    ----------
    found : ``incidents``
    touching : ``touched``
    attacks : DataFrame, one row an attack: ``attack``, ``scenario``, ``profile_uid``, ``start``, ``end``

    Returns
    -------
    DataFrame, one row an attack
        ``attack``, ``scenario``, ``outcome``: caught (an incident opened within it), open before (the profile was
        already in an incident when it began: nothing new was said), or missed; ``rank`` of the incident among ``of``
        and ``hours`` from the attack's start until it was raised, both for caught only (NaN else).
    """
    rank = dict(zip(found["incident_uid"], range(1, len(found) + 1), strict=True))
    raised = found.set_index("incident_uid")["raised"]
    rows = []
    for attack in attacks.itertuples():
        mine = [u for u in touching.loc[touching["attack"] == attack.attack, "incident_uid"] if u in rank]
        fresh = [u for u in mine if raised[u] > attack.start]
        first = min(fresh, key=lambda u: raised[u]) if fresh else None
        hours = (raised[first] - attack.start) / pd.Timedelta("1h") if first else np.nan
        outcome = CAUGHT if fresh else BEFORE if mine else MISSED
        rows.append(
            [attack.attack, attack.scenario, outcome, min((rank[u] for u in fresh), default=np.nan), len(found), hours]
        )
    return pd.DataFrame(rows, columns=["attack", "scenario", "outcome", "rank", "of", "hours"])


def summary(runs: pd.DataFrame, results: pd.DataFrame) -> pd.DataFrame:
    """One row a contender over all organisations, the best recall first, then the fewest incidents.

    Parameters
    ----------
    runs : one row a contender and organisation
        ``contender``, ``sees``, ``how``, ``profiles``, ``days``, ``allowed``, ``opened``, ``hits`` (opened incidents
        that touch an attack), ``fit_s``, ``score_s`` (CPU seconds).
    results : ``outcomes`` of all of them, with ``contender``

    Returns
    -------
    DataFrame indexed by contender
        ``sees``, ``how``, ``caught``, ``attacks`` (int), ``recall``, ``low``, ``high`` (Wilson, 95%), ``a_day`` (opened
        incidents a day for each 1,000 profiles), ``of_budget`` (achieved / requested), ``precision`` (NaN where nothing
        opened), ``hours`` (median from the start of an attack to its incident), ``cpu_s`` (all organisations together).
    """
    grouped = runs.groupby("contender", sort=False)
    table = grouped[["sees", "how"]].agg(lambda values: "; ".join(dict.fromkeys(values)))
    total = grouped[["allowed", "opened", "hits", "fit_s", "score_s"]].sum()
    exposure = (runs["profiles"] * runs["days"]).groupby(runs["contender"], sort=False).sum() / 1000
    caught = results[results["outcome"] == CAUGHT].groupby("contender").size().reindex(table.index, fill_value=0)
    n = results.groupby("contender").size().reindex(table.index, fill_value=0)
    ends = [wilson(int(k), int(m)) for k, m in zip(caught, n, strict=True)]
    table = table.assign(
        caught=caught, attacks=n, recall=caught / n.where(n > 0), low=[e[0] for e in ends], high=[e[1] for e in ends],
        a_day=total["opened"] / exposure, of_budget=total["opened"] / total["allowed"],
        precision=total["hits"] / total["opened"].where(total["opened"] > 0),
        hours=results.groupby("contender")["hours"].median().reindex(table.index),
        cpu_s=total["fit_s"] + total["score_s"],
    )  # fmt: skip
    return table.sort_values(["recall", "a_day"], ascending=[False, True], kind="stable")


def agreement(flagged: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Jaccard index of the flagged profile-days of every two contenders; NaN where neither flagged any.

    Parameters
    ----------
    flagged : DataFrame, one row a flagged profile-day: ``contender``, ``organisation``, ``profile_uid``, ``day``
    names : contenders, in the order of the result

    Examples
    --------
    >>> rows = [("a", 0, "p", 1), ("a", 0, "p", 2), ("b", 0, "p", 2), ("b", 0, "q", 2)]
    >>> frame = pd.DataFrame(rows, columns=["contender", "organisation", "profile_uid", "day"])
    >>> float(agreement(frame, ["a", "b"]).loc["a", "b"].round(2))
    0.33
    """
    place = flagged[["organisation", "profile_uid", "day"]].apply(tuple, axis=1) if len(flagged) else pd.Series()
    sets = {name: set(place[flagged["contender"] == name]) if len(flagged) else set() for name in names}
    table = pd.DataFrame(np.nan, index=names, columns=names)
    for a in names:
        for b in names:
            union = sets[a] | sets[b]
            table.loc[a, b] = len(sets[a] & sets[b]) / len(union) if union else np.nan
    return table


def misses(results: pd.DataFrame, order: list[str]) -> pd.DataFrame:
    """Contender x scenario: how many of the scenario's attacks were caught, as ``2 of 5``."""
    counted = results.assign(caught=results["outcome"] == CAUGHT).groupby(["contender", "scenario"])["caught"]
    text = counted.sum().astype(str) + " of " + counted.size().astype(str)
    return text.unstack("scenario").reindex(order)
