"""Network: from where. New and rare networks are graded in ``normal.novelty``."""

import narwhals as nw

from tokenkit.fingerprint.feature import distinct, feature


@feature(
    table="activity_network", unit="networks", asks="Is it used from more places?",
    reason="Was used from more networks", given="requests",
)  # fmt: skip
def networks() -> nw.Expr:
    """Different networks (/24 or /48) in the window."""
    return distinct("network_key")
