"""Volume: how often."""

import narwhals as nw

from tokenkit.fingerprint.feature import feature, total


@feature(table="activity_hour", unit="calls", asks="Does it call more than it used to?", reason="Made far more calls")
def requests() -> nw.Expr:
    """Calls in the window."""
    return total("requests")


@feature(
    table="activity_hour", unit="minutes", asks="Is it at work for longer?", reason="Was active for far longer"
)  # fmt: skip
def active_minutes() -> nw.Expr:
    """Minutes with at least one call."""
    return total("active_minutes")


@feature(
    table="activity_hour", unit="calls a minute", asks="Does it come in bursts?", reason="Called in a burst",
    given="requests",
)  # fmt: skip
def max_in_minute() -> nw.Expr:
    """Most calls in one minute."""
    return nw.col("max_in_minute").max()
