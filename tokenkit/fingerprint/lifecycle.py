"""Lifecycle: how old it is and who answers for it. Context: shown, kept by day, and never a surprise.

Without a list of owners a token is as old as its first call, nobody owns it, and no scope of it is known (0).
"""

import narwhals as nw

from tokenkit.fingerprint.feature import feature

NEW_DAYS = 14


@feature(table="lifecycle", unit="days", asks="How old is it?", bad="context")
def age_days() -> nw.Expr:
    """Days since it was created, or since its first call where that is not known."""
    return nw.col("age_days").max()


@feature(table="lifecycle", unit="days", asks="When was it last replaced?", bad="context")
def days_since_rotation() -> nw.Expr:
    """Days since its newest credential was created; where it was never replaced, its age."""
    return nw.col("rotated_days").max()


@feature(table="lifecycle", unit="days", asks="How long was it not used?", bad="context")
def idle_days() -> nw.Expr:
    """Days without a call before this one; 0 on its first day."""
    return nw.col("idle_days").max()


@feature(table="lifecycle", unit="1 or 0", asks="Is it new?", bad="context")
def is_new() -> nw.Expr:
    """1 in its first 14 days."""
    return (nw.col("age_days").max() < NEW_DAYS).cast(nw.Int64)


@feature(table="lifecycle", unit="1 or 0", asks="Does somebody answer for it?", bad="context")
def has_owner() -> nw.Expr:
    """1 where the list of owners names one who is there."""
    return nw.col("owned").max()


@feature(table="lifecycle", unit="1 or 0", asks="Has its owner left?", bad="context")
def owner_left() -> nw.Expr:
    """1 where the list of owners says so."""
    return nw.col("orphaned").max()


@feature(table="lifecycle", unit="scopes", asks="How much may it do?", bad="context")
def scopes() -> nw.Expr:
    """Scopes that the list of owners names; 0 where it names none."""
    return nw.col("scopes").max()
