"""Risk: 0 to 100 from how surprising an incident is and how much its token matters.

``risk = 100 (1 - exp(-score_bits / 20) ^ weight)``: monotone in the score (10 bits 39, 20 bits 63, 40 bits 86 at weight
1). The weight is 0.9, 1, 1.1 or 1.2 for low, medium, high and critical tokens,
and 0.1 more where nobody owns it: enough to
order what is alike, too little to lift a surprise of chance above an attack (docs/decisions.md).
"""

import math

WEIGHTS = {"low": 0.9, "medium": 1.0, "high": 1.1, "critical": 1.2}
NOBODY = 0.1
HIGH, MEDIUM = 75, 50


def risk(score_bits: float, criticality: str | None, owner_status: str) -> int:
    """Risk of an incident, 0 to 100.

    Examples
    --------
    >>> risk(20, "medium", "owned"), risk(20, "critical", "orphaned"), risk(0, None, "unowned")
    (63, 73, 0)
    """
    weight = WEIGHTS.get(criticality or "medium", 1.0) + (NOBODY if owner_status != "owned" else 0.0)
    return round(100 * (1 - math.exp(-score_bits / 20) ** weight))


def level(value: int) -> str:
    """High from 75, medium from 50, else low."""
    return "high" if value >= HIGH else "medium" if value >= MEDIUM else "low"
