"""Statistics of the traffic of tokens, the same for simulated events and for real ones.

Reads  frames of events (``logs.read``). Writes nothing.
By token and hour: gaps, bursts, operations. By call: errors, sizes. By token and day: first-seen values, weekly rhythm.
A token is a profile: the sessions of a role are one. Times have whole seconds, as CloudTrail writes them.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

LEAST = 20  # calls in a token-hour: with fewer, a ratio of variances or an entropy says nothing
WINDOWS_S = (1, 3, 10, 30, 60, 180, 600)
HOUR_S = 3_600
KINDS = ("network", "client", "operation", "object")
OUTCOMES = ("ok", "denied", "throttled", "missing", "other", "server")
SETTLED_DAYS = 7  # before that nearly everything is new


# ---- hours ----
def token_hours(events: pd.DataFrame, least: int = LEAST) -> pd.DataFrame:
    """The events of those token-hours that have at least ``least`` calls.

    Hours are counted from the first event of the log, so that a log of one hour is one hour.

    Returns
    -------
    ``events`` with ``hour`` (int) and ``second`` (int, within the hour)

    Examples
    --------
    >>> times = pd.to_datetime([0, 5, 3_700], unit="s", utc=True)
    >>> token_hours(pd.DataFrame({"token": "a", "time": times}), least=2)[["hour", "second"]].values.tolist()
    [[0, 0], [0, 5]]
    """
    since = (events["time"] - events["time"].min()) // pd.Timedelta("1s")
    frame = events.assign(hour=since // HOUR_S, second=since % HOUR_S)
    return frame[frame.groupby(["token", "hour"])["second"].transform("size") >= least]


def gaps(events: pd.DataFrame, by: Sequence[str] = ("token", "hour")) -> pd.Series:
    """Seconds between a call and the one before it, within each group.

    Examples
    --------
    >>> times = pd.to_datetime([9, 0, 4, 2], unit="s", utc=True)
    >>> gaps(pd.DataFrame({"token": ["a", "a", "a", "b"], "time": times}), by=["token"]).tolist()
    [4.0, 5.0]
    """
    ordered = events.sort_values([*by, "time"])
    return ordered.groupby(list(by), sort=False)["time"].diff().dropna().dt.total_seconds().rename("gap_s")


def interarrival(events: pd.DataFrame, by: Sequence[str] = ("token", "hour")) -> pd.DataFrame:
    """How evenly calls come: one row a group.

    Returns
    -------
    DataFrame by group
        ``calls`` (int), ``cv`` (standard deviation / mean of the gaps: 0 for a metronome, 1 for a Poisson process, more
        for bursts), ``median_s``, ``p90_s``, ``p99_s`` (seconds). NaN where there are fewer than two gaps.

    Examples
    --------
    >>> times = pd.to_datetime([0, 2, 4, 6], unit="s", utc=True)
    >>> even = pd.DataFrame({"token": "a", "time": times})
    >>> interarrival(even, by=["token"]).loc["a", ["calls", "cv", "p99_s"]].tolist()
    [4.0, 0.0, 2.0]
    """
    ordered = events.sort_values([*by, "time"])
    groups = [ordered[name] for name in by]
    gap = ordered.groupby(list(by), sort=False)["time"].diff().dt.total_seconds().groupby(groups)
    table = pd.DataFrame({"calls": gap.size(), "cv": gap.std(ddof=0) / gap.mean().replace(0.0, np.nan)})
    table["cv"] = table["cv"].where(gap.count() >= 2)
    return table.assign(median_s=gap.median(), p90_s=gap.quantile(0.9), p99_s=gap.quantile(0.99))


def ccdf(values: pd.Series, at: Sequence[float]) -> pd.Series:
    """Share of values above each of ``at``.

    Examples
    --------
    >>> ccdf(pd.Series([0.0, 1.0, 1.0, 8.0]), at=[0, 1]).tolist()
    [0.75, 0.25]
    """
    ordered = np.sort(values.to_numpy(dtype=float))
    share = 1.0 - np.searchsorted(ordered, at, side="right") / max(len(ordered), 1)
    return pd.Series(share, index=pd.Index(at, name="above"), name="share")


def fano(hours: pd.DataFrame, windows_s: Sequence[int] = WINDOWS_S) -> pd.DataFrame:
    """Fano factor of each token-hour: variance / mean of the calls in windows of one length.

    Parameters
    ----------
    hours : as ``token_hours`` gives it
    windows_s : lengths in seconds; windows that do not end before the log does are left out

    Returns
    -------
    DataFrame, one row a token-hour and one column a length: 1 for a Poisson process, more for bursts (sample variance).

    Examples
    --------
    >>> hour = pd.DataFrame({"token": "a", "hour": 0, "second": [0, 0, 1, 3]})
    >>> fano(hour, [1, 2]).round(3).values.tolist()
    [[0.667, 1.0]]
    """
    span = HOUR_S if hours["hour"].nunique() > 1 else int(hours["second"].max()) + 1
    group = ["token", "hour"]
    table = pd.DataFrame(index=hours.groupby(group).size().index)
    for length in windows_s:
        number = span // length
        inside = hours[hours["second"] < number * length]
        counts = inside.groupby([*group, inside["second"] // length]).size()
        total, squares = counts.groupby(group).sum(), (counts**2).groupby(group).sum()
        variance = (squares - total**2 / number) / (number - 1) if number > 1 else np.nan
        table[length] = variance / (total / number)
    return table.rename_axis(columns="window_s")


def entropy(events: pd.DataFrame, by: Sequence[str] = ("token", "hour")) -> pd.DataFrame:
    """How widely calls spread over operations: one row a group.

    Returns
    -------
    DataFrame by group
        ``operations`` (int), ``bits`` (Shannon entropy), ``evenness`` (bits / log2 of the operations; 0 with only one).

    Examples
    --------
    >>> entropy(pd.DataFrame({"token": "a", "operation": [1, 1, 2, 2]}), by=["token"]).values.tolist()
    [[2.0, 1.0, 1.0]]
    """
    counts = events.groupby([*by, "operation"]).size()
    share = counts / counts.groupby(list(by)).transform("sum")
    bits = (share * np.log2(1.0 / share)).groupby(list(by)).sum()
    table = pd.DataFrame({"operations": counts.groupby(list(by)).size(), "bits": bits})
    return table.assign(evenness=(table["bits"] / np.log2(table["operations"].clip(lower=2))).clip(0.0, 1.0))


def error_rates(events: pd.DataFrame) -> pd.Series:
    """Share of calls with each outcome: denied, throttled, missing (no such thing), other client error, server error.

    Examples
    --------
    >>> error_rates(pd.DataFrame({"outcome": ["ok", "ok", "ok", "denied"]})).loc[["ok", "denied"]].tolist()
    [0.75, 0.25]
    """
    share = events["outcome"].value_counts(normalize=True)
    return share.reindex(OUTCOMES, fill_value=0.0).rename("share").rename_axis("outcome")


# ---- days ----
def volumes(events: pd.DataFrame, busiest: float = 0.186) -> dict[str, float]:
    """How unequal tokens are: ``orders`` of magnitude between the mean daily calls of the most and the least busy, and
    ``share`` of all calls that the busiest tokens make.

    Examples
    --------
    >>> volumes(pd.DataFrame({"token": ["a"] * 90 + ["b"] * 9 + ["c"]}), busiest=1 / 3)
    {'orders': 1.954, 'share': 0.9}
    """
    calls = events["token"].value_counts()
    top = calls.iloc[: max(1, round(busiest * len(calls)))]
    return {
        "orders": round(float(np.log10(calls.max() / calls.min())), 3),
        "share": round(float(top.sum() / calls.sum()), 3),
    }


def hill(values: pd.Series, above: float) -> float:
    """Hill's estimate of the tail index alpha: 1 / mean of log(value / above) over the values above.

    Small is heavy: below 2 the variance is infinite, below 1 the mean. NaN with fewer than two values above.

    Examples
    --------
    >>> round(hill(pd.Series([1.0, 1.0, np.e, np.e**3]), above=1.0), 3)
    0.5
    """
    tail = values[values > above]
    return float(1.0 / np.log(tail / above).mean()) if len(tail) > 1 else float("nan")


def tail(sizes: pd.Series) -> pd.Series:
    """The tail of sizes in bytes: quantiles, their ratios, and Hill's alpha from three beginnings of the tail.

    Parameters
    ----------
    sizes : bytes; what is null or zero is left out

    Examples
    --------
    >>> tail(pd.Series([100.0] * 50 + [20_000.0] * 50))[["n", "p50", "p99 / p50"]].tolist()
    [100.0, 10050.0, 2.0]
    """
    sizes = sizes[sizes > 0]
    p50, p90, p99, p999 = sizes.quantile([0.5, 0.9, 0.99, 0.999])
    return pd.Series(
        {"n": float(len(sizes)), "p50": round(p50, 1), "p99": round(p99, 1), "max": float(sizes.max()),
         "p99 / p50": round(p99 / p50, 1), "p99.9 / p99": round(p999 / p99, 1),
         "alpha above 10,000 bytes": round(hill(sizes, 10_000), 2), "alpha of the top 10%": round(hill(sizes, p90), 2),
         "alpha of the top 1%": round(hill(sizes, p99), 2)}
    )  # fmt: skip


def first_seen(events: pd.DataFrame, settled_days: int = SETTLED_DAYS) -> pd.DataFrame:
    """How often a token shows what it never showed on an earlier day.

    Parameters
    ----------
    settled_days : token-days so soon after a token's first day are left out, since there nearly everything is new

    Returns
    -------
    DataFrame by kind (``KINDS``)
        ``token_days`` (int), ``with_new`` (share of token-days with at least one new value), ``new_a_day`` (new values
        a token-day), ``median_token`` (the same of the median token), ``of_calls`` (share of calls that carry a value
        that is new on that day).

    Examples
    --------
    >>> days = pd.to_datetime(["2026-03-01", "2026-03-02", "2026-03-02"], utc=True)
    >>> seen = pd.DataFrame({"token": "a", "time": days, "network": [1, 1, 2], "client": 1, "operation": 1})
    >>> first_seen(seen.assign(object=0), settled_days=1).loc["network", ["with_new", "of_calls"]].tolist()
    [1.0, 0.5]
    """
    day = events["time"].dt.floor("D")
    age = (day - day.groupby(events["token"]).transform("min")).dt.days
    rows = {}
    for kind in KINDS:
        known = events[kind] != 0
        frame = pd.DataFrame({"token": events["token"], "day": day, "age": age, "value": events[kind]})[known]
        earliest = frame.groupby(["token", "value"])["day"].transform("min")
        frame = frame.assign(new=frame["day"] == earliest)[frame["age"] >= settled_days]
        days = frame.groupby("token")["day"].nunique()
        values = frame[frame["new"]].groupby("token")["value"].nunique().reindex(days.index, fill_value=0)
        with_new = frame[frame["new"]].groupby("token")["day"].nunique().sum()
        count = int(days.sum())
        shares = [with_new / count, values.sum() / count] if count else [np.nan, np.nan]
        rows[kind] = [count, *shares, (values / days).median(), frame["new"].mean()]
    columns = ["token_days", "with_new", "new_a_day", "median_token", "of_calls"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def autocorrelation(events: pd.DataFrame, lags: Sequence[int] = (1, 7)) -> pd.DataFrame:
    """Autocorrelation of each token's daily calls, days without any included.

    Returns
    -------
    DataFrame by token, one column a lag in days; NaN where the calls never change.

    Examples
    --------
    >>> days = pd.to_datetime(["2026-03-01", "2026-03-03"] * 2, utc=True)
    >>> autocorrelation(pd.DataFrame({"token": "a", "time": days}), lags=[1, 2]).round(3).values.tolist()
    [[-0.667, 0.167]]
    """
    day = events["time"].dt.floor("D")
    calls = events.groupby(["token", day]).size().unstack(fill_value=0)
    calls = calls.reindex(columns=pd.date_range(day.min(), day.max(), freq="D"), fill_value=0)
    counts = calls.to_numpy(dtype=float)
    centred = counts - counts.mean(axis=1, keepdims=True)
    power = (centred**2).sum(axis=1)
    with np.errstate(invalid="ignore"):
        made = {lag: (centred[:, lag:] * centred[:, :-lag]).sum(axis=1) / power for lag in lags}
    return pd.DataFrame(made, index=calls.index).rename_axis(columns="lag_days")


def by_token_hour(events: pd.DataFrame, least: int = LEAST) -> pd.DataFrame:
    """Gaps, operations and bursts of each busy token-hour, the busiest first.

    Returns
    -------
    DataFrame, one row a token-hour with at least ``least`` calls
        What ``interarrival``, ``entropy`` and ``fano`` give; the latter as ``fano 1 s``, ``fano 3 s``, ...
    """
    hours = token_hours(events, least)
    bursts = fano(hours).rename(columns="fano {} s".format)
    return interarrival(hours).join(entropy(hours)).join(bursts).sort_values("calls", ascending=False, kind="stable")
