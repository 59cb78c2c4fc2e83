"""Point: one hour or one day that is unlike the profile (docs/method/channels.md).

Hours: new networks, programs, calls and odd hours, which count for more together than alone (conjunction).
Days: amounts, objects, outcomes: the largest bits of each family, summed with weights 1 / i^1.5.
"""

from datetime import date
from typing import Self

import numpy as np
import pandas as pd

from tokenkit.channels import score_rows
from tokenkit.fingerprint import judged_features
from tokenkit.normal.evidence import Evidence
from tokenkit.normal.novelty import USUAL_BITS

WEIGHTS = np.array([1.0 / i**1.5 for i in range(1, 9)])
SPEAKS_FIRST = {"sequential_objects": 1.5}  # a walk says more than "many objects": its name stands for its family
MOVED = 0.95  # of the calls come from networks never used, with the usual program: an egress change, weighed half


class PointHour:
    """Novelty of an hour: N + C + O/2 + T/2 + min(N, C + O/2 + T/2) (docs/method/channels.md)."""

    name, title, gap_days = "point_hour", "New places, programs and calls in one hour", 1
    least_shape = 0.2

    def fit(self, evidence: Evidence, start: date, end: date) -> Self:
        """Nothing to learn: the grades come from the days before each hour."""
        return self

    def score(self, evidence: Evidence, start: date, end: date) -> pd.DataFrame:
        """One row an active hour."""
        hours = evidence.hours_between(start, end)
        network = np.maximum(hours["network"] - USUAL_BITS, 0.0)
        client = np.maximum(hours["client"] - USUAL_BITS, 0.0)
        operation = np.maximum(hours["operation"] - USUAL_BITS, 0.0) / 2
        odd_hour = np.clip(hours["hour_of_week"] - 5.0, 0.0, 8.0) / 2
        network = network * np.where((hours["moved"] >= MOVED) & (client < 4.0), 0.5, 1.0)
        others = client + operation + odd_hour
        together = np.minimum(network, others)
        share = together / 2 / np.maximum(others, 1e-9)
        parts = pd.DataFrame(
            {
                "network": network + together / 2,
                "client": client * (1 + share),
                "operation": operation * (1 + share),
                "hour_of_week": odd_hour * (1 + share),
            }
        )
        return score_rows(self.name, "hour", hours["profile_uid"].to_numpy(), hours["start"], parts)


class PointDay:
    """Surprise of a day's amounts: the largest bits of each family, weighed by rank."""

    name, title, gap_days = "point_day", "Amounts of one day", 1
    least_shape = 0.2

    def fit(self, evidence: Evidence, start: date, end: date) -> Self:
        """Nothing to learn: bits are ranked among the reference days of the peers."""
        return self

    def score(self, evidence: Evidence, start: date, end: date) -> pd.DataFrame:
        """One row an active day."""
        days = evidence.days
        rows, columns = days.active_cells(start, end)
        names = list(judged_features())
        families = sorted({its.family for its in judged_features().values()})
        bits = np.column_stack([np.nan_to_num(evidence.bits[n][rows, columns]) for n in names])
        above = np.column_stack([np.nan_to_num(evidence.z[n][rows, columns]) > 0 for n in names])
        bits = np.where(above, bits, 0.0)
        best = np.zeros((len(rows), len(families)))
        which = np.zeros((len(rows), len(families)), dtype=int)
        for f, family in enumerate(families):
            members = [i for i, n in enumerate(names) if judged_features()[n].family == family]
            weight = np.array([SPEAKS_FIRST.get(names[i], 1.0) for i in members])
            which[:, f] = np.array(members)[np.argmax(bits[:, members] * weight, axis=1)]
            best[:, f] = bits[:, members].max(axis=1)
        rank = np.argsort(np.argsort(-best, axis=1, kind="stable"), axis=1)
        best = best * WEIGHTS[np.minimum(rank, len(WEIGHTS) - 1)]
        parts = np.zeros((len(rows), len(names)))
        np.put_along_axis(parts, which, best, axis=1)
        return score_rows(self.name, "day", days.profiles[rows], days.days[columns], pd.DataFrame(parts, columns=names))
