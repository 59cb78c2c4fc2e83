"""Rhythm: when, and how evenly. Unusual hours of the week are graded in ``normal.novelty``.

None of these is judged: they move with the calls, and a family more is a chance more to be unusual. With all of them a
walk through numbers fell from the 5th to the 9th place, with the best alone nothing was won (decisions.md). They are
context.
"""

import narwhals as nw

from tokenkit.fingerprint.feature import distinct, feature, total


@feature(table="activity_transition", unit="per mille", asks="Is its rhythm less even than it was?", bad="context")
def gap_variation() -> nw.Expr:
    """Standard deviation of the time between calls, in thousandths of its mean."""
    # exact sums first, then single operations on doubles: the same on every engine
    steps, sums, squares = (
        nw.col(c).sum().cast(nw.Int64).cast(nw.Float64) for c in ("steps", "gap_s", "squared_gap_s2")
    )
    ratio = nw.max_horizontal(steps * squares / nw.max_horizontal(sums * sums, nw.lit(1.0)) - 1.0, nw.lit(0.0))
    return (ratio.sqrt() * 1000.0).floor().cast(nw.Int64)


@feature(table="activity_transition", unit="calls", asks="Does it call at the pace of a machine?", bad="context")
def paced_requests() -> nw.Expr:
    """Calls that came as long after the last one as that after the one before, to a tenth (2 s and more)."""
    return total("paced")


@feature(table="activity_transition", unit="minutes", asks="Was it silent for longer?", bad="context")
def longest_gap() -> nw.Expr:
    """Whole minutes of the longest time without a call between two of a day."""
    return (nw.col("max_gap_s").max() // 60).cast(nw.Int64)


@feature(table="activity_hour", unit="hours", asks="Is it at work in more hours?", bad="context", daily=True)
def active_hours() -> nw.Expr:
    """Hours of the day with a call."""
    return distinct("hour_s")


@feature(table="activity_session", unit="sessions", asks="Does it come more often?", bad="context")
def sessions() -> nw.Expr:
    """Sessions: calls no more than 10 minutes apart."""
    return total("one")


@feature(table="activity_session", unit="minutes", asks="Does it stay for longer?", bad="context")
def longest_session() -> nw.Expr:
    """Minutes of the longest session, begun ones included."""
    return ((nw.col("end_s") - nw.col("start_s")).max() // 60 + 1).cast(nw.Int64)
