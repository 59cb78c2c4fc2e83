"""Outcome: with what success."""

import narwhals as nw

from tokenkit.fingerprint.feature import distinct, feature, total


@feature(
    table="activity_hour", unit="calls", asks="Is it refused more often?", reason="Was refused far more often",
    given="requests",
)  # fmt: skip
def denied() -> nw.Expr:
    """Calls refused for lack of rights."""
    return total("denied")


@feature(
    table="activity_hour", unit="calls", asks="Does it ask for what does not exist?",
    reason="Made far more calls that failed", given="requests",
)  # fmt: skip
def client_errors() -> nw.Expr:
    """Calls answered with a client error (4xx, or a vendor's error), refusals included."""
    return total("client_errors")


@feature(
    table="activity_hour", unit="calls", asks="Does it run into limits?", reason="Ran into rate limits",
    given="requests",
)  # fmt: skip
def throttled() -> nw.Expr:
    """Calls answered with 429 or a vendor's throttling error."""
    return total("throttled")


@feature(
    table="activity_denied", unit="kinds of calls", asks="Is it trying doors?",
    reason="Was refused on many kinds of calls", given="requests",
)  # fmt: skip
def denied_operations() -> nw.Expr:
    """Different operations that were refused."""
    return distinct("operation_key")
