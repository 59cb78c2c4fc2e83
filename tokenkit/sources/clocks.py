"""Clocks: set aside records that a wrong clock wrote: from the future, or from long before the rest of their file.

Each moved the newest or the first day of the logs, and with it what is judged. Which records of a file these are is
decided by its days (``days.main_part``), so that a few of them never decide about the others.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tokenkit import schema
from tokenkit.config import Ingest
from tokenkit.days import main_part
from tokenkit.sources.contract import Batch, Quarantined, Tally

FUTURE = "its time lies in the future, a clock may be wrong"
PAST = "its time lies long before the rest of the file, a clock may be wrong"


@dataclass
class Clock:
    """What time it is for the records that are read now, and how far they may be off.

    Attributes
    ----------
    now : datetime with a zone
    settings : section ``[ingest]`` of tokenkit.toml
    end_of_logs : function, optional
        The end of what was read before, or None; asked only where a record is ahead of ``now``, which is wrong where it
        is behind that.
    """

    now: datetime
    settings: Ingest
    end_of_logs: Callable[[], datetime | None] = lambda: None

    @cached_property
    def latest(self) -> datetime:
        """The last moment that a record may name (UTC), by ``now``."""
        return self._with_tolerance(self.now)

    @cached_property
    def latest_of_all(self) -> datetime:
        """The same, by ``now`` or by the logs that were read before, whichever is later."""
        return self._with_tolerance(max(self.now, self.end_of_logs() or self.now))

    def _with_tolerance(self, now: datetime) -> datetime:
        try:
            return now.astimezone(UTC) + timedelta(hours=self.settings.future_hours)
        except OverflowError:
            return datetime.max.replace(tzinfo=UTC)


def keep_right(batches: Sequence[Batch], tally: Tally, clock: Clock, days: Counter[date] | None = None) -> list[Batch]:
    """Return the batches of one file without records of a wrong clock, which go to the tally with their reason.

    Parameters
    ----------
    batches : all of one file, or of a part of it
    tally : of that file or part
    clock : Clock
    days : where it is a part, the number of records by day of the parts before it; those of this part are added
    """
    newest = max((pc.max(batch.events["time"]).as_py() for batch in batches if batch.events.num_rows), default=None)
    latest = pa.scalar(clock.latest_of_all if newest and newest > clock.latest else clock.latest, schema.TIME)
    by_day: Counter[date] = Counter() if days is None else days
    for batch in batches:
        in_time = batch.events["day"].filter(pc.less_equal(batch.events["time"], latest))
        by_day.update({row["values"].as_py(): row["counts"].as_py() for row in pc.value_counts(in_time)})
    first = main_part(by_day, clock.settings.past_days)[0] if by_day else date.min
    if by_day and (first - min(by_day)).days <= clock.settings.past_days:
        first = min(by_day)
    return [_keep_right(batch, tally, latest, first) for batch in batches]


def _keep_right(batch: Batch, tally: Tally, latest: pa.Scalar, first: date) -> Batch:
    future = pc.greater(batch.events["time"], latest).to_numpy()
    past = pc.less(batch.events["day"], pa.scalar(first, schema.DAY)).to_numpy()
    wrong = future | past
    if not wrong.any():
        return batch
    rows = batch.events.select(["event_uid", "raw_ref"]).filter(pa.array(wrong)).to_pylist()
    for row, is_future in zip(rows, future[wrong].tolist(), strict=True):
        place = f"{batch.place} {row['raw_ref'].rsplit('#', 1)[-1]}"
        tally.quarantined.append(Quarantined(place, _piece_digest(row["event_uid"]), FUTURE if is_future else PAST))
    events = batch.events.filter(pa.array(~wrong))
    by_content = None if batch.by_content is None else batch.by_content[~wrong]
    return replace(batch, events=events, dimensions=still_used(batch.dimensions, events), by_content=by_content)


def _piece_digest(event_uid: str) -> str:
    """The digest of a record by its id, which is the SHA-256 of its line where the log has none."""
    whole = event_uid if re.fullmatch("[0-9a-f]{64}", event_uid) else hashlib.sha256(event_uid.encode()).hexdigest()
    return whole[:16]


def still_used(dimensions: dict[str, pa.Table], events: pa.Table) -> dict[str, pa.Table]:
    """The rows of the dimensions that an event points to."""
    kept: dict[str, Any] = {}
    for name, table in dimensions.items():
        key = schema.table(name).names[0]
        kept[name] = table.filter(pa.array(np.isin(table[key].to_numpy(), events[key].unique().to_numpy())))
    return kept
