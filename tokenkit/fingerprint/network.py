"""Network: from where. New and rare networks are graded in ``normal.novelty``."""

import narwhals as nw

from tokenkit.fingerprint.feature import distinct, feature, total


@feature(
    table="activity_network", unit="networks", asks="Is it used from more places?",
    reason="Was used from more networks", given="requests",
)  # fmt: skip
def networks() -> nw.Expr:
    """Different networks (/24 or /48) in the window."""
    return distinct("network_key")


@feature(
    table="activity_transition", unit="changes", asks="Is it used from two networks at once?",
    reason="Went to and fro between networks within minutes", given="requests",
)  # fmt: skip
def network_switches() -> nw.Expr:
    """Calls that came from another network than the call before, at most 10 minutes after it."""
    return total("switched")
