"""Plots of simulated traffic beside a real hour or published figures.

Reads  ``logs.LogStatistics``, events and tables of ``statistics``. Writes nothing.
Each function draws on Axes and returns them, and describes the picture in words too (``drawing.described``).
"""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tokenkit.bench.page.drawing import axes, described, styled
from tokenkit.bench.realism import statistics
from tokenkit.bench.realism.logs import LogStatistics

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIMULATED, REAL, PUBLISHED = "#0072B2", "#D55E00", "#7F7F7F"
HILL = (1.0, 1.2)  # alpha of Web transfers above 10,000 bytes (Crovella and Bestavros, 1997)
CLUE = (0.013, 0.27)  # at most so many new event types a user and active day (Landauer et al., 2022)


@styled
def gaps(simulated: LogStatistics, real: LogStatistics) -> "Axes":
    """How long tokens pause: share of the gaps between two calls that are longer than so many seconds."""
    ax = axes(6.4, 3.4)
    for name, log, color, marker in (("simulated", simulated, SIMULATED, "o"), ("real", real, REAL, "s")):
        share = log.gaps[log.gaps > 0]
        ax.plot(np.maximum(share.index.to_numpy(dtype=float), 0.5), share, color=color, marker=marker, label=name)
    ax.set(xscale="log", yscale="log", xlabel="seconds (log scale; the leftmost point is 0)",
           ylabel="share of longer gaps (log scale)")  # fmt: skip
    _plain(ax)
    ax.legend(frameon=False)
    at_once = {name: 1 - log.gaps.loc[0] for name, log in (("simulated", simulated), ("real", real))}
    return described(
        ax, f"Gaps between calls of a token within an hour: {at_once['real']:.0%} of the real ones and "
        f"{at_once['simulated']:.0%} of the simulated have 0 s: both calls came in the same second.")  # fmt: skip


@styled
def bursts(simulated: LogStatistics, real: LogStatistics) -> "Axes":
    """Fano factor against the length of the window: simulated token-hours as a band, each real one as a line."""
    ax = axes(6.4, 3.4)
    names = [f"fano {w} s" for w in statistics.WINDOWS_S]
    low, middle, high = (simulated.hours[names].quantile(q) for q in (0.05, 0.5, 0.95))
    ax.fill_between(statistics.WINDOWS_S, low, high, color=SIMULATED, alpha=0.2, label="simulated, 5% to 95%")
    ax.plot(statistics.WINDOWS_S, middle, color=SIMULATED, marker="o", label="simulated, median")
    for number, (_, hour) in enumerate(real.hours[names].iterrows()):
        ax.plot(statistics.WINDOWS_S, hour, color=REAL, linewidth=0.9, marker="s", markersize=3,
                label="" if number else "real, each token-hour")  # fmt: skip
    ax.axhline(1.0, color=PUBLISHED, linewidth=0.8, linestyle="--", label="Poisson process")
    ax.set(xscale="log", yscale="log", xlabel="window in seconds (log scale)", ylabel="Fano factor (log scale)")
    _plain(ax)
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1.0))
    second = "fano 1 s"
    return described(
        ax, f"Fano factor by window. In one second the median is {real.hours[second].median():.1f} in real token-hours "
        f"and {middle[second]:.1f} in simulated ones; 1 is a Poisson process.")  # fmt: skip


@styled
def errors(simulated: LogStatistics, real: LogStatistics) -> "Axes":
    """Share of calls that end in each kind of error."""
    ax = axes(6.4, 2.8)
    kinds = [k for k in statistics.OUTCOMES if k != "ok"]
    at = np.arange(len(kinds))
    for step, name, log, color, hatch in (
        (-0.2, "simulated", simulated, SIMULATED, ""),
        (0.2, "real", real, REAL, "//"),
    ):
        bars = ax.bar(at + step, log.errors[kinds] * 100, 0.38, color=color, hatch=hatch, edgecolor="white", label=name)
        ax.bar_label(bars, fmt="%.1f", fontsize=8)
    ax.set_xticks(at, kinds)
    ax.set_ylabel("% of calls")
    ax.legend(frameon=False)
    said = ", ".join(f"{k} {real.errors[k]:.1%} real and {simulated.errors[k]:.1%} simulated" for k in kinds)
    return described(ax, f"Calls by kind of error: {said}.")


@styled
def sizes(events: pd.DataFrame) -> "Axes":
    """Share of responses larger than so many bytes, with the slopes that were published for Web transfers."""
    ax = axes(6.4, 3.4)
    known = events["response_bytes"][events["response_bytes"] > 0]
    at = np.geomspace(100.0, float(known.max()), 60)
    share = statistics.ccdf(known, at.tolist())
    ax.plot(at[share > 0], share[share > 0], color=SIMULATED, label="simulated")
    start = 10_000.0
    begins = float(statistics.ccdf(known, [start]).iloc[0])
    slopes = [begins * (at[at >= start] / start) ** -alpha for alpha in HILL]
    ax.fill_between(at[at >= start], slopes[1], slopes[0], color=PUBLISHED, alpha=0.5,
                    label=f"published slope, alpha {HILL[0]} to {HILL[1]}")  # fmt: skip
    ax.set(xscale="log", yscale="log", xlabel="bytes of a response (log scale)",
           ylabel="share of larger responses (log scale)", ylim=(1e-6, 1.3))  # fmt: skip
    _powers(ax)
    ax.legend(frameon=False, loc="lower left")
    told = statistics.tail(known)
    return described(
        ax, f"Sizes of simulated responses. Alpha is {told['alpha above 10,000 bytes']} above 10,000 bytes and "
        f"{told['alpha of the top 1%']} in the largest 1%, where {HILL[0]} to {HILL[1]} was published.")  # fmt: skip


@styled
def first_seen(table: pd.DataFrame) -> "Axes":
    """How many values a token shows for the first time, a token-day (``statistics.first_seen``)."""
    ax = axes(6.4, 2.6)
    kinds = list(table.index)[::-1]
    at = np.arange(len(kinds))
    ax.plot(table.loc[kinds, "new_a_day"], at, "o", color=SIMULATED, label="simulated, all token-days")
    ax.plot(table.loc[kinds, "median_token"], at, "D", color=SIMULATED, mfc="white", label="simulated, median token")
    ax.plot(CLUE, [kinds.index("operation")] * 2, color=PUBLISHED, linewidth=7, alpha=0.5, solid_capstyle="butt",
            label="published for people, at most", zorder=0)  # fmt: skip
    ax.set_yticks(at, kinds)
    ax.set(xscale="log", xlabel="new values a token-day (log scale)", ylim=(-0.5, len(kinds) - 0.5))
    _plain(ax, both=False)
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1.0))
    said = ", ".join(f"{k} {table.loc[k, 'new_a_day']:.2g}" for k in table.index)
    return described(ax, f"First-seen values a simulated token-day: {said}. For operations {CLUE[0]} to {CLUE[1]} at "
                     "most was published for people; for the rest, nothing was found.")  # fmt: skip


@styled
def rhythm(table: pd.DataFrame) -> "Axes":
    """How many tokens repeat yesterday, and how many last week (``statistics.autocorrelation``)."""
    from matplotlib.ticker import MaxNLocator

    ax = axes(6.4, 2.8)
    edges = np.linspace(-1.0, 1.0, 21)
    for lag, color, style in zip(table.columns, (SIMULATED, REAL), ("-", "--"), strict=False):
        ax.hist(table[lag].dropna(), edges.tolist(), histtype="step", color=color, linestyle=style, linewidth=1.6,
                label=f"{lag} day{'s' if lag > 1 else ''} before")  # fmt: skip
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="autocorrelation of daily calls", ylabel="simulated tokens")
    ax.legend(frameon=False)
    said = " and ".join(f"{table[lag].median():.2f} at {lag} day{'s' if lag > 1 else ''}" for lag in table.columns)
    return described(ax, f"Autocorrelation of the daily calls of simulated tokens: the median is {said}.")


def _plain(ax: "Axes", both: bool = True) -> None:
    """Plain numbers on logarithmic axes: powers are written as mathematics, which is not parsed here."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    for axis in (ax.xaxis, ax.yaxis) if both else (ax.xaxis,):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())


def _powers(ax: "Axes") -> None:
    """Thousands as 1k and 1M; shares as plain numbers."""
    from matplotlib.ticker import EngFormatter

    _plain(ax)
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
