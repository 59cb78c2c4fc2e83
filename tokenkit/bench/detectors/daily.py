"""Daily: which days of an evidence can be scored, and scores of days in the table that every channel returns.

Reads  Evidence. Writes nothing.
"""

from datetime import date

import numpy as np
import pandas as pd

from tokenkit.normal.evidence import Evidence


def active_days(evidence: Evidence, start: date, end: date) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of each active profile-day of ``[start, end)``."""
    days = evidence.days.days
    wanted = (days >= pd.Timestamp(start, tz="UTC")) & (days < pd.Timestamp(end, tz="UTC"))
    rows, columns = np.nonzero(evidence.days.active & wanted[None, :])
    return rows, columns


def day_scores(
    name: str, profiles: np.ndarray, days: pd.DatetimeIndex, values: np.ndarray, reason: str = ""
) -> pd.DataFrame:
    """Scores of days as ``channels.COLUMNS``; ``reason`` names the one part, where there is one."""
    return pd.DataFrame(
        {"profile_uid": profiles, "window": "day", "start": pd.DatetimeIndex(days).as_unit("us"), "channel": name,
         "raw_bits": values, "parts": [{reason: float(v)} if reason and v > 0 else {} for v in values]}
    )  # fmt: skip
