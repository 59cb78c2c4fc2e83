"""Zones: from the local times of a zone to UTC, with its changes between winter and summer.

Where clocks go back, an hour of local time occurs twice: the first one (summer time) is taken. Where they go forward,
an hour does not occur at all: its times are ``NO_SUCH_TIME``, and their records cannot be used.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

Micros = np.ndarray[Any, np.dtype[np.int64]]
NO_SUCH_TIME = int(np.iinfo(np.int64).min)
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)

_zone = lru_cache(maxsize=64)(ZoneInfo)


def column_to_utc(local: Micros, zone: str) -> Micros:
    """Microseconds since 1970 of local times; ``local``: the same number, had the clocks shown UTC.

    Examples
    --------
    >>> local = np.array(["2026-07-01T12:00", "2026-10-25T02:30", "2026-03-29T02:30"], dtype="datetime64[us]")
    >>> utc = column_to_utc(local.astype(np.int64), "Europe/Berlin")
    >>> utc[:2].astype("datetime64[us]").astype("datetime64[m]").astype(str).tolist(), bool(utc[2] == NO_SUCH_TIME)
    (['2026-07-01T10:00', '2026-10-25T00:30'], True)
    """
    if not zone:
        return local
    index = pd.DatetimeIndex(local.view("datetime64[us]"))
    found = index.tz_localize(_zone(zone), ambiguous=np.ones(len(local), dtype=bool), nonexistent="NaT")
    return found.as_unit("us").asi8  # NaT is NO_SUCH_TIME


def to_utc(local: datetime, zone: str) -> int:
    """Microseconds since 1970 of one time without a zone, as ``column_to_utc`` has it.

    Examples
    --------
    >>> to_utc(datetime(2026, 10, 25, 2, 30), "Europe/Berlin") == to_utc(datetime(2026, 10, 25, 0, 30), "")
    True
    >>> to_utc(datetime(2026, 3, 29, 2, 30), "Europe/Berlin") == NO_SUCH_TIME
    True
    """
    moment = local.replace(tzinfo=_zone(zone) if zone else UTC).astimezone(UTC)
    if zone and moment.astimezone(_zone(zone)).replace(tzinfo=None, fold=0) != local.replace(fold=0):
        return NO_SUCH_TIME
    return (moment - _EPOCH) // _MICROSECOND


def no_such_time(name: str, zone: str) -> str:
    """Why a record cannot be used whose local time does not occur."""
    return f"{name} is a time that {zone} does not have (clocks go forward)"
