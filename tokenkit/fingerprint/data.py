"""Data: how much is taken."""

import narwhals as nw

from tokenkit.fingerprint.feature import feature, total


@feature(
    table="activity_hour", unit="bytes", asks="Does it take more than it used to?",
    reason="Took far more data for its calls", given="requests",
)  # fmt: skip
def response_bytes() -> nw.Expr:
    """Bytes the service sent to the token's holder."""
    return total("response_bytes")


@feature(
    table="activity_hour", unit="bytes", asks="Does it send more than it used to?",
    reason="Sent far more data for its calls", given="requests",
)  # fmt: skip
def request_bytes() -> nw.Expr:
    """Bytes the token's holder sent to the service."""
    return total("request_bytes")


@feature(
    table="activity_hour", unit="rows", asks="Does it read more rows than it used to?",
    reason="Read far more rows for its calls", given="requests",
)  # fmt: skip
def rows() -> nw.Expr:
    """Rows or objects returned, where the log says it."""
    return total("rows")
