"""Figures of a comparison: who catches how much for how many incidents and how many CPU seconds, who misses what.

Reads  the tables of ``compare.Comparison``. Writes nothing.
Each function draws on Axes and returns them; what a figure shows is also said in words, as its alternative text.
"""

import io
from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np
import pandas as pd

from tokenkit.bench.compare import PIPELINE
from tokenkit.bench.metrics import BEFORE, CAUGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Given = ParamSpec("Given")
# Okabe and Ito's colours, which most colour-blind readers tell apart; a marker each, for print
LOOKS = {
    "channels": ("#000000", "*"), "channel": ("#0072B2", "s"), "raw": ("#D55E00", "v"), "deviations": ("#009E73", "o"),
    "deviations+novelty": ("#56B4E9", "D"), "hourly series": ("#CC79A7", "^"), "control": ("#7F7F7F", "X"),
}  # fmt: skip
TITLES = {"channels": "tokenkit", "channel": "one of our channels", "raw": "PyOD on raw features",
          "deviations": "on deviations", "deviations+novelty": "on deviations and novelty",
          "hourly series": "PyOD's time series", "control": "control"}  # fmt: skip
STYLE: Any = {"text.parse_math": False, "font.family": "sans-serif", "font.size": 9.0, "axes.spines.top": False,
              "axes.spines.right": False, "savefig.facecolor": "white"}  # fmt: skip


def _styled(draw: Callable[Given, "Axes"]) -> Callable[Given, "Axes"]:
    """Draw alike whatever the reader's settings are; a dollar sign in a name is a dollar sign."""

    @wraps(draw)
    def drawn(*given: Given.args, **named: Given.kwargs) -> "Axes":
        import matplotlib

        with matplotlib.rc_context(STYLE):
            return draw(*given, **named)

    return drawn


@_styled
def recall(table: pd.DataFrame, x: str = "a_day", ax: "Axes | None" = None) -> "Axes":
    """Recall of each contender, with its 95% interval, against what it costs.

    Parameters
    ----------
    table : ``Comparison.table()``
    x : ``a_day`` (incidents a day for each 1,000 profiles) or ``cpu_s`` (CPU seconds, fit and score)
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax = ax or _axes(8.6, 4.6)
    for sees, group in table.groupby("sees", sort=False):
        color, marker = LOOKS.get(str(sees), ("#E69F00", "P"))
        at = np.maximum(group[x].to_numpy(dtype=float), 1e-3)
        error = np.clip([group["recall"] - group["low"], group["high"] - group["recall"]], 0.0, 1.0)
        ax.errorbar(at, group["recall"], yerr=error, fmt="none", ecolor=color, elinewidth=0.6, alpha=0.35)
        ax.plot(at, group["recall"], marker, color=color, markersize=11 if marker == "*" else 6, linestyle="none",
                label=TITLES.get(str(sees), str(sees)))  # fmt: skip
    ax.set_xscale("log")
    # plain numbers: powers of ten are written as mathematics, which is not parsed in pictures that hold names from data
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_ylim(-0.03, 1.03)
    n = int(table["attacks"].max()) if len(table) else 0
    ax.set_ylabel(f"attacks caught, of {n} (with 95% interval)")
    unit = {"a_day": "incidents a day for each 1,000 profiles", "cpu_s": "CPU seconds, fit and score"}[x]
    ax.set_xlabel(f"{unit} (log scale)")
    if x == "a_day" and len(table):
        asked = float((table["a_day"] / table["of_budget"]).median())
        ax.axvline(asked, color="#7F7F7F", linewidth=0.8, linestyle="--", zorder=0)
        ax.annotate("asked for", (asked, 1.02), color="#555555", fontsize=8, ha="right", va="top", rotation=90)
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=8)
    best = table.index[:3].tolist()
    return _said(ax, f"Recall against {unit} for {len(table)} contenders; the most is caught by {', '.join(best)}.")


@_styled
def caught(outcomes: pd.DataFrame, names: Sequence[str], ax: "Axes | None" = None) -> "Axes":
    """Contender x attack: dark where caught (with the rank of the incident), pale where it was in one before it began.

    Parameters
    ----------
    outcomes : ``Comparison.outcomes``
    names : contenders, from top to bottom
    """
    import seaborn

    rows = outcomes[outcomes["contender"].isin(names)]
    column = rows["scenario"] + ", " + rows["organisation"]
    value = rows["outcome"].map({CAUGHT: 1.0, BEFORE: 0.35}).fillna(0.0)
    text = rows["rank"].map(lambda r: f"{r:.0f}" if r == r else "")
    grid = rows.assign(column=column, value=value, text=text)
    # an attack is named twice where an organisation holds two of a kind
    number = grid.groupby(["contender", "column"]).cumcount()
    grid["column"] = grid["column"] + number.map(lambda k: f" ({k + 1})" if k else "")
    values = grid.pivot(index="contender", columns="column", values="value").reindex(list(names))
    texts = grid.pivot(index="contender", columns="column", values="text").reindex(list(names))
    ax = ax or _axes(2.6 + 0.36 * values.shape[1], 1.5 + 0.2 * values.shape[0])
    seaborn.heatmap(values, annot=texts, fmt="", cmap="Blues", vmin=0, vmax=1.25, cbar=False, linewidths=0.5,
                    linecolor="#DDDDDD", ax=ax, annot_kws={"fontsize": 7})  # fmt: skip
    ax.set(xlabel="", ylabel="")
    ax.tick_params(axis="both", labelsize=8, length=0)
    _slanted(ax)
    nobody = [c for c in values.columns if not (values[c] == 1.0).any()]
    said = f"No contender caught {', '.join(nobody)}." if nobody else "Each attack was caught by some contender."
    return _said(ax, f"Which of {values.shape[1]} attacks each of {len(names)} contenders caught. {said}")


@_styled
def agreement(table: pd.DataFrame, ax: "Axes | None" = None) -> "Axes":
    """How alike the flagged profile-days of every two contenders are (Jaccard index, 0 to 1)."""
    import seaborn

    ax = ax or _axes(2.4 + 0.3 * len(table), 1.8 + 0.26 * len(table))
    seaborn.heatmap(table, cmap="Greens", vmin=0, vmax=1, square=False, ax=ax, linewidths=0.5, linecolor="#DDDDDD",
                    annot=len(table) <= 16, fmt=".2f", annot_kws={"fontsize": 7},
                    cbar_kws={"label": "shared / all flagged profile-days"})  # fmt: skip
    ax.tick_params(axis="both", labelsize=8, length=0)
    _slanted(ax)
    off = table.to_numpy(dtype=float)[~np.eye(len(table), dtype=bool)]
    middle = float(np.nanmedian(off)) if np.isfinite(off).any() else 0.0
    return _said(ax, f"Agreement of {len(table)} contenders on profile-days; the median of all pairs is {middle:.2f}.")


def best_of(table: pd.DataFrame, a_kind: int = 3) -> list[str]:
    """The first contenders of each kind, in the order of the table: few enough to look at, and no kind left out."""
    keep = table.groupby("sees", sort=False).head(a_kind).index
    return [name for name in table.index if name in set(keep) or name == PIPELINE]


def show(ax: "Axes") -> None:
    """Display the figure in a notebook as a picture with its alternative text."""
    from IPython.display import display

    data = {"image/png": png(ax), "text/plain": alt(ax)}
    display(data, raw=True, metadata={"image/png": {"alt": alt(ax)}})


def png(ax: "Axes", dpi: int = 110) -> bytes:
    """The figure as a PNG: the same drawing, the same bytes."""
    out = io.BytesIO()
    _figure(ax).savefig(out, format="png", dpi=dpi, bbox_inches="tight", facecolor="white", metadata={"Software": None})
    return out.getvalue()


def alt(ax: "Axes") -> str:
    """What the figure shows, in words."""
    return str(_figure(ax).get_label())


def _axes(width: float, height: float) -> "Axes":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="tight").add_subplot()


def _slanted(ax: "Axes") -> None:
    for label in ax.get_xticklabels():
        label.set(rotation=60, ha="right", rotation_mode="anchor")


def _figure(ax: "Axes") -> Any:
    return ax.get_figure(root=True)


def _said(ax: "Axes", text: str) -> "Axes":
    _figure(ax).set_label(text)
    return ax
