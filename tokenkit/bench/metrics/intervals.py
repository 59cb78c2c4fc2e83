"""Intervals of the bench's means, quantiles and rates, by bootstrap over tokens within organisations.

Reads  nothing but its arguments. Writes nothing.
Tokens are drawn within their organisation (``seed``), and not trials, because trials on one token share its habits.
Every figure of one set of tokens uses the same draws, so that detectors are compared on equal terms, and an
organisation has its own stream: one more seed changes no draw of another.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from tokenkit.errors import InputError

DRAWS = 1000
Floats = npt.NDArray[np.float64]
# cells x draws that are in memory at once: 2,000 x 1,001 float64 are 16 MB, a few times over
CELLS = 2000


def wilson(hits: int, n: int) -> tuple[float, float]:
    """95% interval of a share, by Wilson's score: right for few trials, and for none or all of them.

    Examples
    --------
    >>> [round(end, 2) for end in wilson(0, 15)], [round(end, 2) for end in wilson(12, 15)]
    ([0.0, 0.2], [0.55, 0.93])
    """
    from scipy.stats import binomtest

    if n == 0:
        return 0.0, 1.0
    interval = binomtest(hits, n).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def weights(
    seeds: pd.Series, tokens: pd.Series, draws: int = DRAWS, profiles: Mapping[int, int] | None = None
) -> tuple[npt.NDArray[np.int64], Floats]:
    """How often each draw of the bootstrap holds each token; in the first column, what was measured, each once.

    Parameters
    ----------
    seeds, tokens : the organisation (int, not below 0) and the token of each row
    draws : how many
    profiles : tokens of each organisation, where ``tokens`` names only those with something to count

    Returns
    -------
    unit : (rows,) the place of the row's token in ``drawn``
    drawn : (tokens, 1 + draws)

    Raises
    ------
    InputError
        An organisation has more tokens than ``profiles`` says.

    Examples
    --------
    >>> unit, drawn = weights(pd.Series([1, 1, 1]), pd.Series(["a", "b", "a"]), draws=4)
    >>> unit.tolist(), drawn[:, 0].tolist(), drawn.sum(axis=0).tolist()
    ([0, 1, 0], [1.0, 1.0], [2.0, 2.0, 2.0, 2.0, 2.0])
    """
    grouped = pd.DataFrame({"seed": seeds.to_numpy(), "token": tokens.to_numpy()}).groupby(["seed", "token"], sort=True)
    named = grouped.size().reset_index()
    parts = [np.empty((0, draws))]
    for seed, group in named.groupby("seed", sort=True):
        size = len(group) if profiles is None else int(profiles[seed])
        if size < len(group):
            raise InputError(
                f"seed {seed}: runs has {size} profiles, but {len(group)} have rows: count all that were scored"
            )
        picked = np.random.default_rng([0, int(seed)]).integers(size, size=(draws, size))
        counts = np.bincount((picked + size * np.arange(draws)[:, None]).ravel(), minlength=draws * size)
        parts.append(counts.reshape(draws, size)[:, : len(group)].T.astype(float))
    drawn = np.concatenate(parts)
    return grouped.ngroup().to_numpy(), np.hstack([np.ones((len(drawn), 1)), drawn])


def value_and_interval(values: Floats) -> tuple[Floats, Floats, Floats]:
    """What was measured and its 95% interval, low and high; a draw that holds no row (NaN) is left out.

    Parameters
    ----------
    values : (rows, 1 + draws), measured in the first column

    Examples
    --------
    >>> value, low, high = value_and_interval(np.array([[0.5, *np.linspace(0, 1, 101)]]))
    >>> value.tolist(), low.round(3).tolist(), high.round(3).tolist()
    ([0.5], [0.025], [0.975])
    """
    value, ordered = values[:, 0], np.sort(values[:, 1:], axis=1)
    last = np.maximum(np.isfinite(ordered).sum(axis=1) - 1, 0)
    row = np.arange(len(ordered))
    ends = []
    for share in (0.025, 0.975):
        if not ordered.shape[1]:
            ends.append(value)
            continue
        at = share * last
        below, part = np.floor(at).astype(int), at - np.floor(at)
        ends.append(ordered[row, below] * (1 - part) + ordered[row, np.minimum(below + 1, last)] * part)
    return value, np.fmin(ends[0], value), np.fmax(ends[1], value)


def means(rows: pd.DataFrame, value: str, by: Sequence[str], each: str = "", draws: int = DRAWS) -> pd.DataFrame:
    """Mean of a column over trials, with its 95% interval over tokens.

    Parameters
    ----------
    rows : DataFrame, one row a trial: ``seed``, ``base_uid``, ``value``, ``by``, ``each``
        NaN in ``value`` is left out. A column of bool is a share: where all draws agree (all caught, none caught, one
        token) its interval is Wilson's for as many trials as there are tokens, because it would have no width else.
    by : columns that tell groups apart
    each : column whose values count the same, however many rows they have: the mean of their means

    Returns
    -------
    DataFrame, one row a group, by ``by``
        ``by``, ``value``, ``low``, ``high``, ``n`` (int, rows).

    Examples
    --------
    >>> rows = pd.DataFrame({"seed": 1, "base_uid": list("abc"), "of": ["x", "x", "y"], "hit": [True, False, True]})
    >>> means(rows.assign(all=1), "hit", ["all"])["value"].round(3).item()
    0.667
    >>> means(rows.assign(all=1), "hit", ["all"], each="of")["value"].item()
    0.75
    """
    from scipy import sparse

    share = rows[value].dtype == bool
    rows = rows[rows[value].notna()]
    if rows.empty:
        return rows[list(by)].assign(value=0.0, low=0.0, high=0.0, n=0)
    unit, drawn = weights(rows["seed"], rows["base_uid"], draws)
    cells = rows.groupby(list(dict.fromkeys([*by, each])) if each else list(by), sort=True)
    cell, known = cells.ngroup().to_numpy(), cells.size().rename("n").reset_index()
    groups = known.groupby(list(by), sort=True)
    first = np.flatnonzero(np.diff(groups.ngroup().to_numpy(), prepend=-1))
    shape = (len(known), len(drawn))
    amounts = sparse.csr_array((rows[value].to_numpy(float), (cell, unit)), shape=shape)
    counts = sparse.csr_array((np.ones(len(rows)), (cell, unit)), shape=shape)
    parts = []
    step = max(CELLS * len(first) // len(known), 1)
    for at in range(0, len(first), step):
        begin = first[at : at + step]
        end = first[at + step] if at + step < len(first) else len(known)
        with np.errstate(invalid="ignore"):
            mean = (amounts[begin[0] : end] @ drawn) / (counts[begin[0] : end] @ drawn)
            sums = np.add.reduceat(np.nan_to_num(mean), begin - begin[0], axis=0)
            parts.append(
                np.stack(value_and_interval(sums / np.add.reduceat(np.isfinite(mean), begin - begin[0], axis=0)))
            )
    measured, low, high = np.concatenate(parts, axis=1)
    table = groups["n"].sum().reset_index().assign(value=measured, low=low, high=high)
    if share:
        group = np.searchsorted(first, cell, side="right") - 1
        tokens = sparse.csr_array((np.ones(len(rows)), (group, unit)), shape=(len(first), len(drawn)))
        table = _with_wilson(table, np.diff(tokens.indptr))
    return table[[*by, "value", "low", "high", "n"]]


def _with_wilson(table: pd.DataFrame, tokens: npt.NDArray[np.int64]) -> pd.DataFrame:
    low, high = table["low"].to_numpy(copy=True), table["high"].to_numpy(copy=True)
    for row in np.flatnonzero(high - low < 1e-12):
        ends = wilson(round(table["value"].iloc[row] * tokens[row]), int(tokens[row]))
        low[row], high[row] = min(ends[0], low[row]), max(ends[1], high[row])
    return table.assign(low=low, high=high)


def quantiles(
    rows: pd.DataFrame, value: str, by: Sequence[str], levels: Sequence[float], each: str = "", draws: int = DRAWS
) -> pd.DataFrame:
    """Quantiles of a column over trials: the least value that the share ``level`` of them does not exceed.

    Parameters
    ----------
    rows, value, by : ``means``
    levels : shares, such as 0.5 and 0.9
    each : column whose values count the same, however many rows they have in the group

    Returns
    -------
    DataFrame, one row a group and level, by ``by`` and level
        ``by``, ``level``, ``value``, ``low``, ``high``, ``n`` (int, rows).

    Examples
    --------
    >>> rows = pd.DataFrame({"seed": 1, "base_uid": list("abcd"), "all": 1, "hours": [1.0, 2.0, 3.0, 50.0]})
    >>> quantiles(rows, "hours", ["all"], [0.5, 0.9])["value"].tolist()
    [2.0, 50.0]
    """
    rows = rows[rows[value].notna()]
    if rows.empty:
        return rows[list(by)].assign(level=0.0, value=0.0, low=0.0, high=0.0, n=0)
    unit, drawn = weights(rows["seed"], rows["base_uid"], draws)
    weight = (
        np.ones(len(rows))
        if not each
        else 1 / rows.groupby(list(dict.fromkeys([*by, each])))[value].transform("size").to_numpy()
    )
    amount, found = rows[value].to_numpy(float), []
    groups = rows.groupby(list(by), sort=True)
    keys = groups.size().reset_index()[list(by)]
    group = groups.ngroup().to_numpy()
    for number, key in enumerate(keys.itertuples(index=False)):
        at = np.flatnonzero(group == number)
        at = at[np.lexsort((unit[at], amount[at]))]
        share = np.cumsum(drawn[unit[at]] * weight[at, None], axis=0)
        total = share[-1]
        for level in levels:
            # a sum of thirds may end below one; a draw may hold no token of the group
            place = (share < total * level * (1 - 1e-9)).sum(axis=0)
            drew = np.where(total > 0, amount[at][np.minimum(place, len(at) - 1)], np.nan)
            found.append([*key, level, *(end.item() for end in value_and_interval(drew[None])), len(at)])
    return pd.DataFrame(found, columns=[*by, "level", "value", "low", "high", "n"])


def rates(
    rows: pd.DataFrame, amount: str, exposure: pd.DataFrame, by: Sequence[str], draws: int = DRAWS
) -> pd.DataFrame:
    """Sum of a column divided by the exposure of its group, with its 95% interval over tokens, those without rows too.

    Parameters
    ----------
    rows : DataFrame, one row an incident: ``detector``, ``seed``, ``profile_uid``, ``amount``, ``by``
    exposure : DataFrame, one row a group and seed: ``seed``, ``profiles`` (int), ``exposure`` (float), ``by``
    by : columns that tell groups apart

    Returns
    -------
    DataFrame, one row a group of ``exposure``
        ``by``, ``value``, ``low``, ``high``, ``n`` (int, rows).

    Examples
    --------
    >>> rows = pd.DataFrame({"seed": 1, "profile_uid": ["a", "b"], "all": 1, "minutes": [30.0, 10.0]})
    >>> exposure = pd.DataFrame({"seed": [1], "profiles": 10, "exposure": 20.0, "all": 1})
    >>> rates(rows, "minutes", exposure, ["all"])["value"].tolist()
    [2.0]
    """
    from scipy import sparse

    groups = exposure.groupby(list(by), sort=True)[["exposure"]].sum().reset_index()
    # the same tokens whichever detector: the largest count is the organisation's
    profiles = exposure.groupby("seed")["profiles"].max().to_dict()
    place = groups[list(by)].assign(group=np.arange(len(groups)))
    rows = rows.merge(place, on=list(by)).sort_values(["group", "seed", "profile_uid", amount], kind="stable")
    unit, drawn = weights(rows["seed"], rows["profile_uid"], draws, profiles)
    shape = (len(groups), len(drawn))
    sums = sparse.csr_array((rows[amount].to_numpy(float), (rows["group"].to_numpy(), unit)), shape=shape)
    value, low, high = value_and_interval((sums @ drawn) / groups["exposure"].to_numpy()[:, None])
    n = np.bincount(rows["group"], minlength=len(groups))
    return groups[list(by)].assign(value=value, low=low, high=high, n=n)
