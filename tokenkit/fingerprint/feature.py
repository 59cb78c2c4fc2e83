"""A feature: one expression with its unit, its bad direction and the plain question it answers.

``@feature(...)`` above a function that returns a Narwhals expression registers it under the function's name; the
module's name is its family. ``tokenkit features`` and the report print from here and nowhere else.
"""

from collections.abc import Callable
from dataclasses import dataclass

import narwhals as nw

from tokenkit.errors import SchemaError


@dataclass(frozen=True)
class Feature:
    """A raw value of a profile in a window.

    ``given`` names the feature that the value is judged against (amounts are judged given the requests: the largest
    single gain measured, DETECTION.md); ``reason`` and ``noun`` are how the report speaks of it.
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


REGISTRY: dict[str, Feature] = {}


def feature(
    *, table: str, unit: str, asks: str, reason: str, bad: str = "high", given: str | None = None, daily: bool = False
) -> Callable[[Callable[[], nw.Expr]], Callable[[], nw.Expr]]:
    """Register the decorated expression as a feature.

    Parameters
    ----------
    table : the activity table it is aggregated from
    unit : unit of the value: calls, bytes, minutes, ...
    asks : the plain question it answers
    reason : what the report says when it is far off
    bad : ``high``; a low value never raises an incident
    given : name of the feature the value is judged given, or None
    daily : True where only whole days have it
    """

    def register(function: Callable[[], nw.Expr]) -> Callable[[], nw.Expr]:
        name = function.__name__
        if name in REGISTRY and REGISTRY[name].expression.__module__ != function.__module__:
            raise SchemaError(f"two features are called {name}: in {REGISTRY[name].family} and {function.__module__}")
        REGISTRY[name] = Feature(
            name, function.__module__.rsplit(".", 1)[-1], table, unit, bad, asks, reason,
            (function.__doc__ or "").strip(), ("day",) if daily else ("hour", "day"), given, function,
        )  # fmt: skip
        return function

    return register


def total(column: str) -> nw.Expr:
    """The sum of an integer column, as Int64."""
    return nw.col(column).sum().cast(nw.Int64)


def distinct(column: str) -> nw.Expr:
    """How many different values, as Int64."""
    return nw.col(column).n_unique().cast(nw.Int64)


def where(condition: nw.Expr, column: str = "requests") -> nw.Expr:
    """The sum of a column over the rows where a condition holds, as Int64."""
    return nw.when(condition).then(nw.col(column)).otherwise(nw.lit(0)).sum().cast(nw.Int64)
