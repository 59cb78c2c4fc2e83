"""Family E, endpoints: which calls. New and rare calls are graded in ``deviation.novelty``."""

import narwhals as nw

from tokenkit.fingerprint.feature import distinct, feature, where


@feature(
    table="activity_operation", unit="kinds of calls", asks="Does it call more different things?",
    reason="Made more kinds of calls", given="requests",
)  # fmt: skip
def operations() -> nw.Expr:
    """Different operations in the window."""
    return distinct("operation_key")


@feature(
    table="activity_operation", unit="calls", asks="Does it list more than it used to?",
    reason="Listed far more", given="requests",
)  # fmt: skip
def list_requests() -> nw.Expr:
    """Calls that list or describe rather than read one thing."""
    return where(nw.col("is_list"))


@feature(
    table="activity_operation", unit="calls", asks="Does it touch credentials, rights or logging?",
    reason="Made more sensitive calls", given="requests",
)  # fmt: skip
def sensitive_requests() -> nw.Expr:
    """Calls on credentials, secrets, rights, logging, deletion."""
    return where(nw.col("is_sensitive"))


@feature(
    table="activity_operation", unit="calls", asks="Does it write more than it used to?",
    reason="Changed far more", given="requests",
)  # fmt: skip
def write_requests() -> nw.Expr:
    """Calls that create or update."""
    return where((nw.col("activity_id") == 1) | (nw.col("activity_id") == 3))


@feature(
    table="activity_operation", unit="calls", asks="Does it delete more than it used to?",
    reason="Deleted far more", given="requests",
)  # fmt: skip
def delete_requests() -> nw.Expr:
    """Calls that delete."""
    return where(nw.col("activity_id") == 4)
