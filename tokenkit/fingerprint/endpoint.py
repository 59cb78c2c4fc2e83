"""Endpoints: which calls. New and rare calls are graded in ``normal.novelty``."""

import narwhals as nw

from tokenkit.fingerprint.feature import distinct, feature, sum_where, total


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
    return sum_where(nw.col("is_list"))


@feature(
    table="activity_operation", unit="calls", asks="Does it touch credentials, rights or logging?",
    reason="Made more sensitive calls", given="requests",
)  # fmt: skip
def sensitive_requests() -> nw.Expr:
    """Calls on credentials, secrets, rights, logging, deletion."""
    return sum_where(nw.col("is_sensitive"))


@feature(
    table="activity_operation", unit="calls", asks="Does it write more than it used to?",
    reason="Changed far more", given="requests",
)  # fmt: skip
def write_requests() -> nw.Expr:
    """Calls that create or update."""
    return sum_where((nw.col("activity_id") == 1) | (nw.col("activity_id") == 3))


@feature(
    table="activity_operation", unit="calls", asks="Does it delete more than it used to?",
    reason="Deleted far more", given="requests",
)  # fmt: skip
def delete_requests() -> nw.Expr:
    """Calls that delete."""
    return sum_where(nw.col("activity_id") == 4)


@feature(
    table="activity_pair", unit="pairs", asks="Does it combine more calls?", reason="Combined more calls",
    given="requests",
)  # fmt: skip
def pairs() -> nw.Expr:
    """Different pairs of operations called in one session."""
    return total("one")


@feature(
    table="activity_pair", unit="pairs", asks="Does it combine calls that it never combined?",
    reason="Combined calls that it never combined before", given="requests",
)  # fmt: skip
def new_pairs() -> nw.Expr:
    """Pairs of operations in one session that the profile had on no earlier day."""
    return sum_where(nw.col("is_new"), "one")


@feature(
    table="activity_transition", unit="steps", asks="Does it take more different ways?",
    reason="Went from call to call in more ways", given="requests",
)  # fmt: skip
def transitions() -> nw.Expr:
    """Different steps from one operation to the next."""
    return total("one")


@feature(
    table="activity_transition", unit="steps", asks="Does it go from call to call as it never did?",
    reason="Took steps from call to call that it never took before", given="requests",
)  # fmt: skip
def new_transitions() -> nw.Expr:
    """Steps from one operation to the next that the profile took on no earlier day."""
    return sum_where(nw.col("is_new"), "one")
