"""Burden: what a detector costs people who did nothing wrong: incidents beyond the budget, minutes that were blocked.

Reads  benign, runs: tables that measure and leaderboard write. Writes nothing.
All of it is about the clean variant, because the benign incidents are those of its runs.
"""

from collections.abc import Sequence

import pandas as pd

from tokenkit.bench.metrics.intervals import DRAWS, rates
from tokenkit.bench.metrics.ranking import BUDGETS, CLEAN

KEYS = ["detector", "budget"]


def share_of_budget(
    benign: pd.DataFrame, runs: pd.DataFrame, budgets: Sequence[float] = BUDGETS, draws: int = DRAWS
) -> pd.DataFrame:
    """Achieved / requested incidents a day in the unattacked organisations of the clean variant, pooled over the seeds.

    Parameters
    ----------
    benign : DataFrame, one row an incident: ``detector``, ``budget``, ``seed``, ``profile_uid``
    runs : DataFrame, one row a detector, seed and variant: with ``profiles``, ``days``, and ``counted``: how many of
        the profiles the budget counts, the mean over the days

    Returns
    -------
    DataFrame, one row a detector and budget
        ``value`` (1: as many as requested), ``low``, ``high`` (no incident at all has the upper end of a count of 0,
        3.69), ``n`` (incidents), ``requested`` and ``achieved`` (incidents a day for each 1,000 profiles).

    Examples
    --------
    >>> runs = pd.DataFrame({"detector": ["d"], "seed": 1, "variant": "clean", "days": 30})
    >>> runs = runs.assign(profiles=120, counted=100)
    >>> benign = pd.DataFrame({"detector": "d", "budget": 5.0, "seed": 1, "profile_uid": list("abc")})
    >>> share_of_budget(benign, runs, [5.0])[["value", "achieved"]].round(2).values.tolist()
    [[0.2, 1.0]]
    """
    exposure = _exposure(runs, budgets)
    table = rates(benign.assign(one=1.0), "one", exposure, KEYS, draws)
    thousands = exposure.groupby(KEYS)["exposure"].sum().to_numpy()
    requested = table["budget"].astype(float)
    high = table["high"].where(table["n"] > 0, 3.69 / thousands)
    return table.assign(value=table["value"] / requested, low=table["low"] / requested, high=high / requested,
                        requested=requested, achieved=table["value"])  # fmt: skip


def harm(
    benign: pd.DataFrame, runs: pd.DataFrame, budgets: Sequence[float] = BUDGETS, draws: int = DRAWS
) -> pd.DataFrame:
    """Legitimate minutes that the proposed actions would have blocked, in 30 days for each 1,000 profiles.

    Parameters
    ----------
    benign : as in ``share_of_budget``, with ``harm_minutes`` (NaN where no reason is given: nobody acts on such)
    runs : as in ``share_of_budget``

    Returns
    -------
    DataFrame, one row a detector and budget: ``value``, ``low``, ``high`` (NaN of one that never gives a reason), ``n``

    Examples
    --------
    >>> runs = pd.DataFrame({"detector": ["d"], "seed": 1, "variant": "clean", "days": 30})
    >>> runs = runs.assign(profiles=120, counted=100)
    >>> benign = pd.DataFrame({"detector": "d", "budget": 5.0, "seed": 1, "profile_uid": ["a"], "harm_minutes": 8.0})
    >>> harm(benign, runs, [5.0])["value"].tolist()
    [80.0]
    """
    exposure = _exposure(runs, budgets)
    exposure["exposure"] /= 30
    said = benign.fillna({"harm_minutes": 0.0})
    table = rates(said, "harm_minutes", exposure, KEYS, draws)
    silent = benign["harm_minutes"].isna().groupby(benign["detector"]).all()
    table.loc[table["detector"].isin(silent.index[silent]), ["value", "low", "high"]] = float("nan")
    return table


def _exposure(runs: pd.DataFrame, budgets: Sequence[float]) -> pd.DataFrame:
    """Days of 1,000 profiles of each detector, seed and budget."""
    clean = runs[runs["variant"] == CLEAN][["detector", "seed", "profiles", "counted", "days"]]
    clean = clean.assign(exposure=clean["counted"] * clean["days"] / 1000.0)
    return clean.merge(pd.DataFrame({"budget": [float(b) for b in budgets]}), how="cross")
