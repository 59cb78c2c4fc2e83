"""Agreement: how alike are the flags of two contenders, or the scores of two fits.

Reads  nothing but its arguments. Writes nothing.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tokenkit.errors import InputError


def agreement(rows: pd.DataFrame, names: Sequence[str], on: Sequence[str]) -> pd.DataFrame:
    """Jaccard index of what every two contenders have in common (contender x contender); NaN where neither has any.

    Parameters
    ----------
    rows : DataFrame, one row a contender and thing it flagged: ``detector``, and the columns ``on`` that tell things
        apart, such as ``profile_uid`` and ``day``
    names : contenders, in the order of the result

    Examples
    --------
    >>> frame = pd.DataFrame({"detector": list("aabb"), "trial": [1, 2, 2, 3]})
    >>> float(agreement(frame, ["a", "b"], ["trial"]).loc["a", "b"].round(2))
    0.33
    """
    things = pd.Series(list(rows[list(on)].itertuples(index=False, name=None)), index=rows.index, dtype=object)
    sets = {name: set(things[rows["detector"] == name]) for name in names}
    table = pd.DataFrame(np.nan, index=list(names), columns=list(names))
    for a in names:
        for b in names:
            union = sets[a] | sets[b]
            table.loc[a, b] = len(sets[a] & sets[b]) / len(union) if union else np.nan
    return table


def rank_correlation(first: pd.DataFrame, second: pd.DataFrame, on: Sequence[str]) -> float:
    """Spearman's correlation of the ``score_bits`` of two runs; NaN where a run has one score for all.

    Parameters
    ----------
    first, second : one row a scored row, which the columns ``on`` tell apart; rows of one run only are left out

    Raises
    ------
    InputError
        A row stands twice in a run.

    Examples
    --------
    >>> rows = pd.DataFrame({"row": range(5), "score_bits": [1.0, 2.0, 3.0, 4.0, 5.0]})
    >>> round(rank_correlation(rows, rows.assign(score_bits=rows["score_bits"] ** 2), ["row"]), 9)
    1.0
    """
    from scipy.stats import rankdata

    keys = list(on)
    for name, run in (("first", first), ("second", second)):
        if twice := int(run.duplicated(keys).sum()):
            raise InputError(f"the {name} run: {twice} rows stand twice by {', '.join(keys)}, expected one score a row")
    both = first[[*keys, "score_bits"]].merge(second[[*keys, "score_bits"]], on=keys, sort=True)
    pair = both[["score_bits_x", "score_bits_y"]].to_numpy(float)
    if len(pair) < 2 or (np.ptp(pair, axis=0) == 0).any():
        return float("nan")
    return float(np.corrcoef(np.apply_along_axis(rankdata, 0, pair).T)[0, 1].clip(-1, 1))
