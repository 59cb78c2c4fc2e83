"""Ablation: a channel without one family of features: what the family is worth is what is lost without it.

Reads  Evidence. Writes nothing.
"""

from dataclasses import replace
from datetime import date
from typing import Self

import numpy as np
import pandas as pd

from tokenkit.channels import Detector
from tokenkit.fingerprint import judged_features
from tokenkit.normal.evidence import Evidence

# the columns of graded hours that belong to a family
HOURLY = {"network": ("network", "moved", "new_networks"), "client": ("client",), "endpoint": ("operation",),
          "rhythm": ("hour_of_week",)}  # fmt: skip
# the kind of familiarity that is of a family
FAMILIAR = {"objects": "object", "endpoint": "operation", "network": "network", "client": "client"}


class Without:
    """A channel that is not shown one family of features."""

    def __init__(self, channel: Detector, family: str) -> None:
        self.name, self.title, self.gap_days = channel.name, channel.title, channel.gap_days
        self.least_shape = channel.least_shape
        self.channel, self.family = channel, family

    def fit(self, evidence: Evidence, start: date, end: date) -> Self:
        """Fit the channel on what is left."""
        self.channel = self.channel.fit(without(evidence, self.family), start, end)
        return self

    def score(self, evidence: Evidence, start: date, end: date) -> pd.DataFrame:
        """Score by what is left."""
        return self.channel.score(without(evidence, self.family), start, end)


def families() -> list[str]:
    """What can be left out: the families of judged features, and the hour of the week.

    Examples
    --------
    >>> "network" in families(), "rhythm" in families()
    (True, True)
    """
    return sorted({its.family for its in judged_features().values()} | {"rhythm"})


def features_of(family: str) -> set[str]:
    """The judged features of a family.

    Examples
    --------
    >>> sorted(features_of("objects"))
    ['new_objects', 'objects', 'sequential_objects']
    """
    return {name for name, its in judged_features().items() if its.family == family}


def without(evidence: Evidence, family: str) -> Evidence:
    """The evidence as if one family had never been measured; its deviations are 0 and its amounts unknown.

    A long silence stays a sign without the rhythm, too: which days are active is known without it.
    """
    gone = features_of(family)
    shape = evidence.days.values["requests"].shape
    nothing = {name: np.zeros(shape) for name in gone}
    unknown = {name: np.full(shape, np.nan) for name in gone - {"requests"}}  # calls say which days are active
    columns = {name: 0.0 for name in HOURLY.get(family, ())}
    familiar = [c for c in evidence.unfamiliarity if family in FAMILIAR and f"_{FAMILIAR[family]}" in c]
    return replace(
        evidence, days=replace(evidence.days, values=evidence.days.values | unknown), bits=evidence.bits | nothing,
        z=evidence.z | nothing, since_reference=evidence.since_reference | nothing,
        hours=evidence.hours.assign(**columns),
        unfamiliarity=evidence.unfamiliarity.assign(**dict.fromkeys(familiar, 0.0)),
    )  # fmt: skip
