"""Words: numbers as an incident's sentences say them; the page has more of them in ``report.words``."""

import pandas as pd

UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def amount(value: float, unit: str) -> str:
    """A value with its unit, three figures.

    Examples
    --------
    >>> amount(1_400_000_000, "bytes"), amount(1931, "calls"), amount(0.0, "bytes"), amount(1, "objects")
    ('1.4 GB', '1,931 calls', '0 bytes', '1 object')
    """
    if unit == "bytes":
        for size, name in UNITS:
            if value >= size:
                return f"{value / size:.3g} {name}" if value / size < 1000 else f"{value / size:,.0f} {name}"
        return f"{value:.0f} bytes"
    return count(round(value), unit.removesuffix("s")) if unit.endswith("s") else f"{value:,.3g} {unit}"


def count(number: int, noun: str) -> str:
    """A number of things.

    Examples
    --------
    >>> count(1, "call"), count(1200, "call"), count(2, "kinds of call")
    ('1 call', '1,200 calls', '2 kinds of calls')
    """
    one = noun.replace("kinds of", "kind of") if number == 1 else noun + "s"
    return f"{number:,} {one}"


def span(low: float, high: float, unit: str) -> str:
    """A range with its unit once.

    Examples
    --------
    >>> span(90, 310, "calls")
    '90 to 310 calls'
    """
    first, last = amount(low, unit), amount(high, unit)
    if first == last:
        return last
    a, _, unit_a = first.partition(" ")
    return f"{a} to {last}" if unit_a.rstrip("s") == last.partition(" ")[2].rstrip("s") else f"{first} to {last}"


def percent_change(ratio: float) -> str:
    """A ratio as a change.

    Examples
    --------
    >>> percent_change(1.62), percent_change(0.97), percent_change(12.0), percent_change(1.0)
    ('62% more', '3% less', '12 times as much', 'no change')
    """
    if ratio >= 3:
        return f"{ratio:,.0f} times as much"
    change = round(100 * (ratio - 1))
    return f"{change}% more" if change > 0 else f"{-change}% less" if change < 0 else "no change"


def day(when: pd.Timestamp) -> str:
    """A day, as ``Tue 3 Mar``."""
    return f"{when:%a} {when.day} {when:%b}"


def when(moment: pd.Timestamp) -> str:
    """A moment in UTC, as ``Tue 3 Mar, 02:00 UTC``."""
    return f"{day(moment)}, {moment:%H:%M} UTC"


def clip(text: str, length: int = 60) -> str:
    """A value from a log, no longer than a line."""
    return text if len(text) <= length else text[: length - 1] + "…"
