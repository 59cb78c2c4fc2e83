"""Objects: on what. Daily, since different objects do not add up over hours."""

import narwhals as nw

from tokenkit.fingerprint.feature import distinct, feature, sum_where


@feature(
    table="activity_object", unit="objects", asks="Does it touch more different objects?",
    reason="Touched far more different objects for its calls", given="requests", daily=True,
)  # fmt: skip
def objects() -> nw.Expr:
    """Different objects."""
    return distinct("object_key")


@feature(
    table="activity_object", unit="objects", asks="Does it reach for objects it never touched?",
    reason="Touched far more objects it never touched before", given="requests", daily=True,
)  # fmt: skip
def new_objects() -> nw.Expr:
    """Objects that the profile touched for the first time."""
    return sum_where(nw.col("is_new"), "one")


@feature(
    table="activity_object", unit="objects", asks="Does it walk through numbers?",
    reason="Walked through consecutive numbers", given="requests", daily=True,
)  # fmt: skip
def sequential_objects() -> nw.Expr:
    """Objects whose number follows that of another object touched the same day."""
    return sum_where(nw.col("sequential"), "one")
