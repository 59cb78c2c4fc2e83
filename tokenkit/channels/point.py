"""Point: one day, or one hour, that is unlike the profile: all its signs, each with the weight that it has learned.

Days have every sign; their hours have those of what is new in them, with the same weights, so that an hour never says
more than its day (docs/method/channels.md).
"""

from datetime import date
from typing import Self

import pandas as pd

from tokenkit.channels import score_rows, signs
from tokenkit.channels.weights import Weights, shipped
from tokenkit.normal.evidence import Evidence

NETWORK = ("network_moved", "network_beside")  # two signs, of which a day has one: one reason
LITTLE_ELSE = "little_else"  # one reason: all that fell behind what it did


class _Point:
    least_shape = 0.2
    gap_days = 1

    def __init__(self, weights: Weights | None = None) -> None:
        self.weights = weights or shipped()
        self.scale = signs.Scale({})

    def fit(self, evidence: Evidence, start: date, end: date) -> Self:
        """Learn how new things usually are; the weights were learned elsewhere."""
        self.scale = signs.fit_scale(evidence, start, end)
        return self

    def _parts(self, bits: pd.DataFrame) -> pd.DataFrame:
        parts = self.weights.parts(bits)
        joined = {"network": list(NETWORK), LITTLE_ELSE: [name for name in parts if name.startswith(signs.FEWER)]}
        sums = {name: parts[some].sum(axis=1) for name, some in joined.items()}
        return parts.drop(columns=[*joined["network"], *joined[LITTLE_ELSE]]).assign(**sums)


class PointDay(_Point):
    """All signs of one day."""

    name, title = "point_day", "All that is unusual about one day"

    def score(self, evidence: Evidence, start: date, end: date) -> pd.DataFrame:
        """One row an active day."""
        rows, columns, bits = signs.of_days(evidence, self.scale, start, end)
        days = evidence.days
        return score_rows(self.name, "day", days.profiles[rows], days.days[columns], self._parts(bits))


class PointHour(_Point):
    """What is new in one hour: networks, programs, calls, and the hour itself."""

    name, title = "point_hour", "New places, programs and calls in one hour"

    def score(self, evidence: Evidence, start: date, end: date) -> pd.DataFrame:
        """One row an active hour."""
        hours, bits = signs.of_hours(evidence, self.scale, start, end)
        return score_rows(self.name, "hour", hours["profile_uid"].to_numpy(), hours["start"], self._parts(bits))
