"""Judgement: what a run has judged, as one object that the facts of the page are made from."""

from dataclasses import dataclass, field

import pandas as pd

from tokenkit.channels import COLUMNS
from tokenkit.days import Periods
from tokenkit.incidents.labels import Labels
from tokenkit.incidents.thresholds import Thresholds
from tokenkit.normal.evidence import Evidence, Population
from tokenkit.schema.incident import Incident


@dataclass(frozen=True)
class Judgement:
    """What a run has judged in its periods.

    Attributes
    ----------
    periods : Periods
    population : Population
        The profiles, with names hidden where the report is pseudonymous.
    labels : Labels
        What people answered about incidents, as far as it counts for the report.
    broken_rules : DataFrame (``policy.in_period``)
        Rules of the inventory that were broken in the reported days.
    windows : DataFrame, one row a flagged window
        With ``incident_uid``; of rules too.
    evidence : Evidence, or None where history is too short for a reference
        Scores and thresholds are empty then, and only rules are judged.
    scores : DataFrame (``calibration.score``)
    thresholds : Thresholds, or None
    allowed_a_day : float
        New incidents a day that the budget grants.
    incidents : list of Incident
        One record an incident, with its proposal: confirmed misuse first, then by risk (``record.records``).
    """

    periods: Periods
    population: Population
    labels: Labels
    broken_rules: pd.DataFrame
    windows: pd.DataFrame
    evidence: Evidence | None = None
    scores: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=[*COLUMNS, "score_bits"]))
    thresholds: Thresholds | None = None
    allowed_a_day: float = 0.0
    incidents: list[Incident] = field(default_factory=list)

    @property
    def threshold_table(self) -> pd.DataFrame:
        """The thresholds of all by day and channel; empty where history is too short."""
        return self.thresholds.for_all if self.thresholds else pd.DataFrame()

    @property
    def judged_profiles(self) -> int:
        """How many profiles were judged by their own past or their peers."""
        return len(self.evidence.days.profiles) if self.evidence else 0
