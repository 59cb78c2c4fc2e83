"""Rules: breaches of the inventory's rules that began in the scored days, as flagged windows.

Reads  policy.breaches. Writes nothing.
"""

from datetime import date

import pandas as pd

from tokenkit.channels import policy
from tokenkit.incidents import labels

COLUMNS = ["profile_uid", "window", "start", "end", "channel", "raw_bits", "parts", "score_bits", "threshold_bits"]


def new_breaches(breaches: pd.DataFrame, start: date, end: date, accepted: pd.DataFrame | None = None) -> pd.DataFrame:
    """Rules that began to be broken in the days ``[start, end)``, as flagged windows of the channel ``policy``.

    Parameters
    ----------
    breaches : ``policy.breaches``
    accepted : periods that were accepted as new normal (``LabelledPeriods.accepted``); what lies in them is left out
    """
    windows = as_windows(policy.in_period(breaches, start, end))
    return windows if accepted is None or windows.empty else labels.without_accepted(windows, accepted)


def as_windows(broken: pd.DataFrame) -> pd.DataFrame:
    """Broken rules (``policy.in_period``) as flagged windows; those broken before already are left out."""
    rows = []
    for breach in broken[~broken["standing"].astype(bool)].itertuples() if len(broken) else ():
        bits = policy.BITS[breach.rule]
        start = pd.Timestamp(breach.since_s, unit="s", tz="UTC").as_unit("us")
        rows.append(
            {"profile_uid": breach.profile_uid, "window": "hour", "start": start, "end": start + pd.Timedelta("1h"),
             "channel": "policy", "raw_bits": bits, "parts": {breach.rule: bits}, "score_bits": bits,
             "threshold_bits": bits}
        )  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)
