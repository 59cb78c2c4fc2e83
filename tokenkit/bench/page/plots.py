"""Plots of the leaderboard: who catches what at which budget, what it costs, and which family of features pays.

Reads  the results of ``scoring``. Writes nothing.
Each function returns Axes, the first one where there are several; what a figure shows is also said in words
(``drawing.alt``). No difference is told by colour alone: numbers, markers and lines tell it too.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tokenkit.bench.metrics.ranking import BUDGETS
from tokenkit.bench.metrics.scoring import HEADLINE
from tokenkit.bench.page.drawing import axes, described, slant, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# Okabe and Ito's colours without their yellow, which is faint on white; a marker and a dash each, for print
LOOKS = [("#0072B2", "o", "-"), ("#D55E00", "s", "--"), ("#009E73", "^", "-."), ("#CC79A7", "D", ":"),
         ("#000000", "v", (0, (5, 1))), ("#56B4E9", "P", (0, (3, 1, 1, 1)))]  # fmt: skip
DARK, GREY = "#0072B2", "#8A8A8A"
BAND = (0.75, 1.25)
FLOOR = 0.05
ROW_INCHES = 0.23


@styled
def heat_map(table: pd.DataFrame, names: Sequence[str], titles: pd.DataFrame) -> "Axes":
    """Detector x scenario: recall in percent, the darker the more, and its 95% interval below it.

    The darkest blue is light enough for black figures.

    Parameters
    ----------
    table : ``scoring.scenario_recall`` of one budget and variant
    names : detectors, from top to bottom; each row says its mean over the scenarios
    titles : DataFrame, one row a scenario: ``scenario``, ``number``, ``title``
    """
    import seaborn

    titles = titles[titles["scenario"].isin(table["scenario"])].sort_values(["number", "scenario"])
    order = titles["scenario"].tolist()
    grid = {c: table.pivot(index="detector", columns="scenario", values=c).reindex(list(names), columns=order)
            for c in ("value", "low", "high")}  # fmt: skip
    percent = {c: 100 * values.to_numpy(float) for c, values in grid.items()}
    ax = axes(3.2 + 0.47 * len(order), 2.4 + 0.36 * len(names))
    seaborn.heatmap(
        percent["value"], cmap="Blues", vmin=0, vmax=150, cbar=False, linewidths=0.5, linecolor="white", ax=ax
    )
    for (row, column), value in np.ndenumerate(percent["value"]):
        if np.isnan(value):
            ax.text(column + 0.5, row + 0.5, "–", ha="center", va="center", fontsize=8, color=GREY)
            continue
        ends = f"{percent['low'][row, column]:.0f}–{percent['high'][row, column]:.0f}"
        ax.text(column + 0.5, row + 0.36, f"{value:.0f}", ha="center", va="center", fontsize=8)
        ax.text(column + 0.5, row + 0.76, ends, ha="center", va="center", fontsize=6)
    mean = grid["value"].mean(axis=1)
    ax.set_yticks(np.arange(len(names)) + 0.5, [f"{_short(n)}  {100 * mean[n]:.0f}" for n in names], rotation=0)
    ax.set_xticks(np.arange(len(order)) + 0.5, [_short(f"{r.number} {r.title}", 36) for r in titles.itertuples()])
    ax.set(xlabel="", ylabel="")
    ax.tick_params(axis="both", labelsize=8, length=0)
    slant(ax)
    said = "Attacks caught, in percent (below: 95% interval; beside the name: mean over scenarios)"
    ax.set_title(said, fontsize=9, loc="left")
    hardest = grid["value"].max().sort_values(kind="stable")
    least = [f"{s} ({100 * v:.0f}%)" for s, v in hardest.head(3).items()]
    return described(ax, f"Recall of {len(names)} detectors in {len(order)} scenarios. {names[0]} catches "
                     f"{100 * mean[names[0]]:.0f}% over all of them. Hardest for all, by what the best detector "
                     f"of each catches: {', '.join(least)}.")  # fmt: skip


@styled
def detectability(curve: pd.DataFrame, names: Sequence[str], titles: pd.DataFrame) -> "Axes":
    """Recall against intensity, a panel for each scenario that has several: few detectors in full, others thin grey.

    Parameters
    ----------
    curve : ``scoring.detectability`` of one variant, at least one scenario with several intensities
    names : the detectors to tell apart; those after the sixth stay grey
    titles : DataFrame, one row a scenario: ``scenario``, ``number``, ``title``

    Returns
    -------
    Axes of the first panel
    """
    names = list(names)[: len(LOOKS)]
    grids = curve.groupby("scenario")["intensity"].nunique()
    titles = titles[titles["scenario"].isin(grids[grids > 1].index)].sort_values(["number", "scenario"])
    across = min(3, len(titles))
    down = -(-len(titles) // across)
    figure = _figure(3.4 * across + 1.8, 2.5 * down + 0.7)
    panels = figure.subplots(down, across, squeeze=False, sharey=True).ravel()
    ends = []
    for ax, row in zip(panels, titles.itertuples(), strict=False):
        mine = curve[curve["scenario"] == row.scenario].sort_values("intensity")
        for number, (_, other) in enumerate(mine[~mine["detector"].isin(names)].groupby("detector")):
            label = "" if number else f"{mine['detector'].nunique() - len(names)} others"
            ax.plot(other["intensity"], other["value"], color="#C8C8C8", linewidth=0.6, zorder=1, label=label)
        for name, (color, marker, dash) in zip(names, LOOKS, strict=False):
            one = mine[mine["detector"] == name]
            ax.fill_between(one["intensity"], one["low"], one["high"], color=color, alpha=0.1, linewidth=0)
            ax.plot(
                one["intensity"], one["value"], color=color, marker=marker, linestyle=dash, markersize=5, label=name
            )
        for level in (0.5, 0.9):
            ax.axhline(level, color=GREY, linewidth=0.6, linestyle=":", zorder=0)
        ax.set_title(_short(f"{row.number} {row.title}"), fontsize=9, loc="left")
        ax.set(ylim=(-0.03, 1.03), xlabel="intensity")
        first = mine.loc[mine["detector"] == names[0], "value"]
        ends.append(
            f"{100 * first.iloc[0]:.0f}% to {100 * first.iloc[-1]:.0f}% in {row.scenario}" if len(first) else ""
        )
    for ax in panels[len(titles) :]:
        ax.set_axis_off()
    for ax in panels[::across]:
        ax.set_ylabel("attacks caught")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=8)
    said = f"From the least to the greatest intensity {names[0]} catches {', '.join(filter(None, ends))}."
    return described(panels[0], f"Recall of {', '.join(names)} and others against intensity. {said}")


@styled
def share_of_budget(table: pd.DataFrame) -> "Axes":
    """Incidents a day that were achieved against those requested; the band is what counts as kept.

    Parameters
    ----------
    table : ``burden.share_of_budget``, pooled over the seeds
    """
    from matplotlib.ticker import FixedLocator

    ax = axes(8.6, 5.2)
    asked = table["requested"].drop_duplicates().sort_values().to_numpy(float)
    names = sorted(table["detector"].unique())
    # beside each other within a budget, or 40 detectors lie on one line; the band is as wide as they
    place = {name: 10 ** (0.2 * (n + 0.5) / len(names) - 0.1) for n, name in enumerate(names)}
    x = table["requested"] * table["detector"].map(place)
    # no incident at all has no place on a logarithmic axis
    y = {c: (table[c] * table["requested"]).clip(lower=FLOOR) for c in ("value", "low", "high")}
    inside = table["value"].between(*BAND)
    for number, budget in enumerate(asked):
        wide = [budget / 10**0.12, budget * 10**0.12]
        label = "" if number else "0.75 to 1.25 of the request"
        ax.fill_between(wide, budget * BAND[0], budget * BAND[1], color="#DCE9F2", linewidth=0, zorder=0, label=label)
        ax.hlines(budget, *wide, color=GREY, linewidth=0.8, linestyle="--", zorder=1, label="" if number else "request")
    ax.vlines(x, y["low"], y["high"], color=GREY, linewidth=0.6, alpha=0.7, zorder=1)
    for kept, marker, color, said in ((True, "o", DARK, "within"), (False, "X", "#D55E00", "outside")):
        at = inside == kept
        ax.plot(x[at], y["value"][at], marker, color=color, markersize=4.5, linestyle="none",
                label=f"{said}: {int(at.sum())} of {len(table)}")  # fmt: skip
    ax.set(xscale="log", yscale="log", xlabel="incidents a day for each 1,000 profiles, requested (log scale)",
           ylabel=f"achieved (log scale; fewer than {FLOOR:g} at the bottom)")  # fmt: skip
    _plain(ax.yaxis, (1, 2, 5))
    _plain(ax.xaxis, (1,))
    ax.xaxis.set_major_locator(FixedLocator(asked.tolist()))
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=8)
    at = table[(table["requested"] == HEADLINE) & ~inside].sort_values(["value", "detector"])
    off = [f"{value:.2f} {name}" for name, value in zip(at["detector"], at["value"], strict=True)]
    if off:
        lines = ["achieved / requested,", "outside at 5 a day:", *map(_short, off[:18])]
        lines += [f"and {len(off) - 18} more"] if len(off) > 18 else []
        ax.text(1.03, 0.72, "\n".join(lines), transform=ax.transAxes, va="top", fontsize=8, linespacing=1.3)
    said = f"Outside it at 5 a day: {', '.join(off)}." if off else "At 5 a day all keep it."
    return described(ax, f"Achieved against requested incidents of {len(names)} detectors at {len(asked)} budgets; "
                     f"{int(inside.sum())} of {len(table)} within 0.75 to 1.25. {said}")  # fmt: skip


@styled
def ablation(table: pd.DataFrame) -> "Axes":
    """Recall that is lost without each family of features, with its 95% interval; hollow where that holds 0.

    Parameters
    ----------
    table : ``scoring.ablation`` of one budget and variant
    """
    rows = table.sort_values(["value", "family"], ascending=[False, True]).reset_index(drop=True)
    ax = axes(7.0, 1.4 + 1.2 * ROW_INCHES * len(rows))
    ax.axvline(0, color=GREY, linewidth=0.8, zorder=0)
    ax.hlines(rows.index, rows["low"], rows["high"], color=DARK, linewidth=1.2)
    holds = (rows["low"] <= 0) & (rows["high"] >= 0)
    for hollow, fill, said in ((False, DARK, "interval without 0"), (True, "white", "interval holds 0")):
        at = rows[holds == hollow]
        ax.plot(
            at["value"], at.index, "o", color=DARK, markerfacecolor=fill, markersize=6, linestyle="none", label=said
        )
    figures = [f"{value:+.3f}".replace("-", "−") for value in rows["value"]]
    for number, figure in enumerate(figures):
        ax.annotate(figure, (1.01, number), xycoords=("axes fraction", "data"), va="center", fontsize=8)
    _rows(ax, rows["family"].tolist())
    ax.set_xlabel("recall lost without the family (95% interval over tokens)")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), frameon=False, fontsize=8, ncols=2, borderaxespad=0.2)
    most = [f"{family} ({figure})" for family, figure in zip(rows["family"].head(3), figures, strict=False)]
    return described(ax, f"Recall lost without each of {len(rows)} families. Most is lost without {', '.join(most)}; "
                     f"for {int(holds.sum())} the interval holds 0.")  # fmt: skip


@styled
def cost(table: pd.DataFrame) -> "Axes":
    """Recall at 5 incidents a day, and beside it the CPU seconds of one seed; one row a detector, as in the table.

    Parameters
    ----------
    table : ``scoring.summary``

    Returns
    -------
    Axes of the recall; those of the seconds are beside it
    """
    figure = _figure(9.2, 1.3 + ROW_INCHES * len(table))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
    row = np.arange(len(table))
    left.hlines(row, table["recall_5_low"], table["recall_5_high"], color=DARK, linewidth=1.2)
    left.plot(table["recall_5"], row, "o", color=DARK, markersize=5, label="over all scenarios, 95% interval")
    left.plot(
        table["worst_5"], row, "|", color="#D55E00", markersize=9, markeredgewidth=1.8, label="worst five scenarios"
    )
    left.set(xlim=(-0.03, 1.03), xlabel="attacks caught at 5 incidents a day")
    fit, score = (table[c].clip(lower=1e-3) for c in ("fit_s", "score_s"))
    right.hlines(row, fit, score, color="#C8C8C8", linewidth=0.8)
    right.plot(fit, row, "^", color="#009E73", markersize=4.5, markerfacecolor="white", label="fit")
    right.plot(score, row, "s", color="#000000", markersize=4.5, label="score")
    right.set(xscale="log", xlabel="CPU seconds a seed (log scale)")
    _plain(right.xaxis, (1,))
    _rows(left, table.index.tolist())
    right.grid(axis="y", color="#EEEEEE", linewidth=0.6)
    for ax in (left, right):
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False, fontsize=8, ncols=2)
    seconds = table["fit_s"] + table["score_s"]
    near = seconds[table["recall_5"] >= 0.95 * table["recall_5"].max()].sort_values(kind="stable").head(1)
    said = [f" Of those within 5% of the most, {name} needs the least: {value:.1f} s." for name, value in near.items()]
    most = table["recall_5"].idxmax()
    return described(left, f"Recall and CPU seconds of {len(table)} detectors; {most} catches most, "
                       f"{table.loc[most, 'recall_5']:.2f}, in {seconds[most]:.1f} s.{''.join(said)}")  # fmt: skip


@styled
def budgets(table: pd.DataFrame) -> "Axes":
    """Recall at 1, 5, 10 and 20 incidents a day, one row a detector, as in the table; the bar is the interval at 5.

    Parameters
    ----------
    table : ``scoring.summary``
    """
    ax = axes(7.6, 1.5 + ROW_INCHES * len(table))
    columns = [f"recall_{budget:g}" for budget in BUDGETS]
    row = np.arange(len(table))
    ax.hlines(row, table[columns].min(axis=1), table[columns].max(axis=1), color="#C8C8C8", linewidth=0.8, zorder=0)
    ax.hlines(row, table["recall_5_low"], table["recall_5_high"], color=LOOKS[1][0], linewidth=3, alpha=0.35, zorder=0)
    for number, (column, budget, (color, marker, _)) in enumerate(zip(columns, BUDGETS, LOOKS, strict=False)):
        fill = color if number % 2 else "white"
        ax.plot(table[column], row, marker, color=color, markersize=5, markerfacecolor=fill, label=f"{budget:g}")
    _rows(ax, table.index.tolist())
    ax.set(xlim=(-0.03, 1.03), xlabel="attacks caught, each scenario counting the same")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), frameon=False, fontsize=8, ncols=4, borderaxespad=0.2,
              title="incidents a day for each 1,000 profiles", title_fontsize=8, alignment="left")  # fmt: skip
    first = [f"{table[column].iloc[0]:.2f} at {budget:g}" for column, budget in zip(columns, BUDGETS, strict=True)]
    said = f"{table.index[0]} catches {', '.join(first)} incidents a day."
    return described(ax, f"Recall of {len(table)} detectors at {len(BUDGETS)} budgets. {said}")


@styled
def agreement(table: pd.DataFrame, what: str) -> "Axes":
    """How alike what every two contenders flag is (Jaccard index, 0 to 1).

    Parameters
    ----------
    table : ``metrics.agreement``
    what : what they flag, in the plural
    """
    import seaborn

    ax = axes(2.4 + 0.3 * len(table), 1.8 + 0.26 * len(table))
    seaborn.heatmap(table, cmap="Greens", vmin=0, vmax=1, square=False, ax=ax, linewidths=0.5, linecolor="#DDDDDD",
                    annot=len(table) <= 16, fmt=".2f", annot_kws={"fontsize": 7},
                    cbar_kws={"label": f"{what} of both / of either"})  # fmt: skip
    ax.tick_params(axis="both", labelsize=8, length=0)
    slant(ax)
    off = table.to_numpy(dtype=float)[~np.eye(len(table), dtype=bool)]
    middle = float(np.nanmedian(off)) if np.isfinite(off).any() else 0.0
    return described(ax, f"Agreement of {len(table)} contenders on {what}; the median of all pairs is {middle:.2f}.")


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _short(name: str, most: int = 44) -> str:
    return name if len(name) <= most else name[: most - 1].rstrip() + "…"


def _rows(ax: "Axes", names: Sequence[str]) -> None:
    ax.set_yticks(range(len(names)), [_short(name) for name in names], fontsize=8)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.grid(axis="y", color="#EEEEEE", linewidth=0.6)
    ax.set_axisbelow(True)


def _plain(axis: "Axis", subs: Sequence[float]) -> None:
    """Numbers as they are: powers of ten are written as mathematics, which is not parsed here."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=list(subs)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
