"""Feature: one expression with its unit, whether a high value counts, and the plain question it answers.

``@feature(...)`` above a function that returns a Narwhals expression registers it under the function's name; the
module's name is its family. ``tokenkit features`` and the report take their texts from here.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import narwhals as nw

from tokenkit.errors import SchemaError, did_you_mean
from tokenkit.fingerprint.tables import DAILY, HOURLY

BAD = ("high", "context")
# columns of the fingerprint, and parts of a score that are no features
RESERVED = re.compile(
    "(day|window|start|profile_uid|network|client|operation|hour_of_week|foreign_objects|silence)$"
    "|panel|drift_|unfamiliar_|fewer_|network_(moved|beside)$|little_else$"
)


@dataclass(frozen=True)
class Feature:
    """A raw value of a profile in a window: one whole number, zero or more.

    ``given`` names the feature that the value is judged against: bytes are judged given the requests, so that a busy
    day does not look like a theft. ``reason`` is its wording in the report. ``bad`` is ``high`` where the value is
    compared with the baseline and a high value counts, and ``context`` where it is only stored and shown.
    """

    name: str
    family: str
    table: str
    unit: str
    bad: str
    asks: str
    reason: str
    doc: str
    windows: tuple[str, ...]
    given: str | None
    expression: Callable[[], nw.Expr]

    @property
    def short(self) -> str:
        """Its description without what is added after a comma or in brackets, such as "Calls refused"."""
        return self.doc.rstrip(".").split(",")[0].split(" (")[0]


REGISTRY: dict[str, Feature] = {}


def feature(
    *,
    table: str,
    unit: str,
    asks: str,
    reason: str = "",
    bad: str = "high",
    given: str | None = None,
    daily: bool = False,
) -> Callable[[Callable[[], nw.Expr]], Callable[[], nw.Expr]]:
    """Register the decorated expression as a feature.

    Parameters
    ----------
    table : the table it is aggregated from (``tables.HOURLY``, ``tables.DAILY``)
    unit : unit of the value: calls, bytes, minutes, ...
    asks : the plain question it answers
    reason : what the report says when it is far off, with the token as its subject: "Made far more calls"
    bad : ``high``, only a value above the expected counts; or ``context``, it is stored and shown but never judged
    given : name of the feature against which the value is judged, or None
    daily : True where only whole days have it, as always with a daily table

    Raises
    ------
    SchemaError
        No such table or ``bad``, a judged feature without reason, or a name that is taken.
    """

    def register(function: Callable[[], nw.Expr]) -> Callable[[], nw.Expr]:
        name = function.__name__
        if name in REGISTRY and REGISTRY[name].expression.__module__ != function.__module__:
            raise SchemaError(f"two features are called {name}: in {REGISTRY[name].family} and {function.__module__}")
        if RESERVED.match(name):
            raise SchemaError(f"feature {name} of {function.__module__}: the name means something else; choose another")
        for what, word, known in (("table", table, [*HOURLY, *DAILY]), ("bad", bad, list(BAD))):
            if word not in known:
                raise SchemaError(
                    f"feature {name} of {function.__module__}: no {what} {word!r}; {did_you_mean(word, known)}"
                )
        if bad == "high" and not reason:
            raise SchemaError(f"feature {name} of {function.__module__}: a judged feature has a reason, what the report"
                              " says when it is far off: reason=\"Made far more calls\"")  # fmt: skip
        REGISTRY[name] = Feature(
            name, function.__module__.rsplit(".", 1)[-1], table, unit, bad, asks, reason,
            (function.__doc__ or "").strip(), ("day",) if daily or table in DAILY else ("hour", "day"), given, function,
        )  # fmt: skip
        return function

    return register


def total(column: str) -> nw.Expr:
    """Return the sum of an integer column, as Int64."""
    return nw.col(column).sum().cast(nw.Int64)


def distinct(column: str) -> nw.Expr:
    """Return how many different values a column has, as Int64."""
    return nw.col(column).n_unique().cast(nw.Int64)


def sum_where(condition: nw.Expr, column: str = "requests") -> nw.Expr:
    """Return the sum of a column over the rows where a condition holds, as Int64."""
    return nw.when(condition).then(nw.col(column)).otherwise(nw.lit(0)).sum().cast(nw.Int64)
