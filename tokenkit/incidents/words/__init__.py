"""Words: numbers, times and text as a person reads them, on the page and in the sentences of an incident.

Pure functions; ``words.amount`` and its like are all that other modules use.
"""

from tokenkit.incidents.words.numbers import (
    amount,
    amount_range,
    compact,
    count,
    data,
    number,
    percent,
    percent_change,
    percents,
    plural,
    points,
    rounded,
    short_amount,
)
from tokenkit.incidents.words.text import clean, clip, inside, joined, kind, printable, sentence
from tokenkit.incidents.words.times import clock, day, duration, instant, iso, last_day, moment, period, place, zone_of

__all__ = [
    "amount",
    "amount_range",
    "clean",
    "clip",
    "clock",
    "compact",
    "count",
    "data",
    "day",
    "duration",
    "inside",
    "instant",
    "iso",
    "joined",
    "kind",
    "last_day",
    "moment",
    "number",
    "percent",
    "percent_change",
    "percents",
    "period",
    "place",
    "plural",
    "points",
    "printable",
    "rounded",
    "sentence",
    "short_amount",
    "zone_of",
]
