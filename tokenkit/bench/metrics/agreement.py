"""Agreement: how alike what two contenders flag is.

Reads  nothing but its arguments. Writes nothing.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd


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
