"""Contender: who takes part in the bench: one or several detectors under one name.

Reads  nothing. Writes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tokenkit.channels import Detector
from tokenkit.days import Periods, Span

YOURS = "yours"


@dataclass(frozen=True)
class Contender:
    """A name, its detectors, and how the budget is split among them.

    ``make`` of a seed gives detectors that are not fitted yet; ``shares`` is the part of the budget that each of them
    has, by its name. ``group`` is the heading in the registry, or ``YOURS``. ``learns`` says from which days:
    ``calibration``, as the channels of a run, or ``reference``, as an estimator of rows, which has no calibration of
    its own. One ``without_budget`` flags whatever it scores above 0, at every budget. ``policy``: broken rules of the
    inventory are flagged too, as in a run. No threshold lies below ``least_bits``, whatever the budget. ``source`` is
    the text of what somebody brought along, so that results of another version are not mistaken for its own.
    """

    name: str
    make: Callable[[int], list[Detector]]
    shares: dict[str, float]
    group: str = ""
    learns: str = "calibration"
    without_budget: bool = False
    policy: bool = False
    least_bits: float = 0.0
    source: bytes = b""

    def days_to_learn(self, periods: Periods) -> Span:
        """First day and end of the days that it is fitted on."""
        days = periods.reference if self.learns == "reference" else periods.calibration
        assert days is not None, "the bench's periods have a reference and calibration days"
        return days
