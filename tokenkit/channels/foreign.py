"""Foreign: a profile that begins to work on what only others worked on.

A thief with the access of one token, or somebody else who was given it, touches objects that are new to this profile
and known to another. Most profiles hardly ever do, whatever they begin, so the channel needs a small share of the
budget; on real logs it is what tells that two people changed places (docs/method/channels.md).
"""

from datetime import date
from typing import Self

import pandas as pd

from tokenkit.channels import score_rows
from tokenkit.normal import familiarity
from tokenkit.normal.evidence import Evidence
from tokenkit.normal.tail import normal_bits


class ForeignObjects:
    """Objects that only others touched before, in three days, beyond the profile's usual share of them."""

    name, title, gap_days = "foreign_objects", "Works on what only others worked on", 3
    least_shape = 0.2

    def fit(self, evidence: Evidence, start: date, end: date) -> Self:
        """Nothing to learn: what is usual is that of the 28 days before each day."""
        return self

    def score(self, evidence: Evidence, start: date, end: date) -> pd.DataFrame:
        """One row an active day."""
        table = familiarity.between(evidence.unfamiliarity, start, end)
        parts = pd.DataFrame({"foreign_objects": normal_bits(table[familiarity.FOREIGN].to_numpy())})
        return score_rows(self.name, "day", table["profile_uid"].to_numpy(), table["start"], parts)
