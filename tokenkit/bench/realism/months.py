"""Months: how far tokens keep to their level over weeks, the same for simulated events and for real ones.

Reads  frames of events (``logs.read``); ``real_months.json``, which is committed so that nobody needs the logs.
Writes nothing, but for ``write``, which makes ``real_months.json`` again.
The first four weeks are the reference, as they are for a run; what is counted lies after them.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

REAL = Path(__file__).with_name("real_months.json")
REFERENCE_DAYS = 28
WINDOW_DAYS = 14  # as the drift channels look at
LEAST_DAYS = 7  # on which a token is active in the reference, to be counted
STEP = 1.6
SOURCES = {
    "GitHub people": "activities of 293 people at the GitHub API, 25 November 2022 to 25 January 2023, a holiday among "
    "them; Chidambaram et al., MSR 2023 data showcase, Zenodo 7740521",
    "jobs, RICC": "jobs of accounts at a computing centre, May to September 2010; Parallel Workloads Archive, log of "
    "RICC provided by M. Uchida, RIKEN",
    "jobs, Thunder": "jobs of accounts at a computing centre, January to June 2007; Parallel Workloads Archive, log of "
    "LLNL Thunder provided by M. Jette, LLNL",
}


def daily_calls(events: pd.DataFrame) -> pd.DataFrame:
    """Calls of each token on each day of the log, days without any included (token x day).

    Examples
    --------
    >>> times = pd.to_datetime(["2026-03-01", "2026-03-01", "2026-03-03"], utc=True)
    >>> daily_calls(pd.DataFrame({"token": ["a", "a", "b"], "time": times})).values.tolist()
    [[2.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    day = events["time"].dt.floor("D")
    calls = events.groupby(["token", day]).size().unstack(fill_value=0)
    days = pd.date_range(day.min(), day.max(), freq="D")
    return calls.reindex(columns=days, fill_value=0).astype("float64")


def month_statistics(events: pd.DataFrame) -> pd.Series:
    """How calm tokens are over weeks.

    Parameters
    ----------
    events : as ``logs.read`` gives them, of more than six weeks; of fewer every figure is NaN

    Returns
    -------
    Series
        ``tokens`` (active on seven days of the first 28, which alone are counted); ``+60% begins, per 1,000 a day``
        (the mean of 14 days comes to 1.6 times that of the first 28); ``days at +60%`` (share of days at the end of
        such two weeks); ``threefold days, per 1,000`` and ``tenfold days, per 1,000`` (calls of a day beside the median
        of the active days among the first 28); ``variation of days`` (standard deviation of the logarithm of the calls
        of active days, of the median token); ``busiest day in 100`` (times the token's median active day); ``objects
        never touched before`` (share of a token's objects of a day, after the first 28).

    Examples
    --------
    >>> hours = pd.date_range("2026-01-01", periods=60 * 24, freq="h", tz="UTC")
    >>> even = month_statistics(pd.DataFrame({"token": "a", "time": hours, "object": 7}))
    >>> even[["tokens", "days at +60%", "tenfold days, per 1,000", "busiest day in 100"]].tolist()
    [1.0, 0.0, 0.0, 1.0]
    """
    calls = daily_calls(events)
    first = calls.iloc[:, :REFERENCE_DAYS]
    counted = (first > 0).sum(axis=1) >= LEAST_DAYS
    matrix = calls[counted].to_numpy()
    found = {"tokens": float(counted.sum())} | _levels(matrix) | _days(matrix)
    return pd.Series(found | {"objects never touched before": _new_objects(events)})


def _levels(matrix: np.ndarray) -> dict[str, float]:
    names = ["+60% begins, per 1,000 a day", "days at +60%"]
    if not len(matrix) or matrix.shape[1] <= REFERENCE_DAYS + WINDOW_DAYS:
        return dict.fromkeys(names, np.nan)
    usual = matrix[:, :REFERENCE_DAYS].mean(axis=1, keepdims=True)
    windows = np.lib.stride_tricks.sliding_window_view(matrix, WINDOW_DAYS, axis=1)[:, REFERENCE_DAYS:].mean(axis=2)
    above = windows >= STEP * usual
    begins = above[:, 1:] & ~above[:, :-1]
    return dict(zip(names, [1000 * float(begins.mean()), float(above.mean())], strict=True))


def _days(matrix: np.ndarray) -> dict[str, float]:
    names = ["threefold days, per 1,000", "tenfold days, per 1,000", "variation of days", "busiest day in 100"]
    if not len(matrix) or matrix.shape[1] <= REFERENCE_DAYS + WINDOW_DAYS:
        return dict.fromkeys(names, np.nan)
    active = np.where(matrix > 0, matrix, np.nan)
    usual = np.nanmedian(active[:, :REFERENCE_DAYS], axis=1, keepdims=True)
    later = matrix[:, REFERENCE_DAYS:]
    often = [1000 * float((later >= times * usual).mean()) for times in (3, 10)]
    logarithm = np.log(active)
    beside = np.exp(logarithm - np.nanmedian(logarithm, axis=1, keepdims=True))
    spread = float(np.median(np.nanstd(logarithm, axis=1)))
    return dict(zip(names, [*often, spread, float(np.nanquantile(beside, 0.99))], strict=True))


def _new_objects(events: pd.DataFrame) -> float:
    day = events["time"].dt.floor("D")
    touched = pd.DataFrame({"token": events["token"], "day": day, "object": events["object"]})
    touched = touched[touched["object"] != 0].drop_duplicates()
    first = touched.groupby(["token", "object"])["day"].transform("min")
    late = touched["day"] >= day.min() + pd.Timedelta(days=REFERENCE_DAYS)
    return float((touched["day"] == first)[late].mean())


def write(measured: Mapping[str, pd.Series], path: Path = REAL) -> None:
    """Write the statistics of real logs as JSON: no identity, value or time of them is in it.

    Parameters
    ----------
    measured : ``month_statistics`` by the names of ``SOURCES``
    """
    stored = {name: {"source": SOURCES[name]} | series.round(3).to_dict() for name, series in measured.items()}
    path.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


def beside_real_months(simulated: pd.Series) -> pd.DataFrame:
    """The statistics of simulated events, and those of the real logs (one column a log).

    Examples
    --------
    >>> beside_real_months(pd.Series({"tokens": 60.0})).loc["tokens"].tolist()
    [60.0, 139.0, 38.0, 69.0]
    """
    stored = json.loads(REAL.read_text(encoding="utf-8"))
    real = {name: pd.Series({k: v for k, v in figures.items() if k != "source"}) for name, figures in stored.items()}
    return pd.DataFrame({"simulated": simulated} | real).reindex(simulated.index)


def sources() -> pd.DataFrame:
    """Where the real logs come from."""
    return pd.Series(SOURCES, name="source").to_frame()
