"""The leaderboard's figures say in words what they show, hold up at full size, and draw names as they are."""

from itertools import product

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from tokenkit.bench.metrics import scoring
from tokenkit.bench.page import drawing, plots

BUDGETS = list(scoring.BUDGETS)
MONEY = "rule $a$ of $b$"


def titles(count: int = 3) -> pd.DataFrame:
    rows = [(f"s{n}", n, f"Scenario {n} with a long title of many words that goes on") for n in range(1, count + 1)]
    return pd.DataFrame(rows, columns=["scenario", "number", "title"])


def shares(names: list[str], count: int = 3) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    rows = pd.DataFrame(list(product(names, titles(count)["scenario"])), columns=["detector", "scenario"])
    value = draw.choice([0.0, 0.25, 0.5, 1.0], len(rows))
    return rows.assign(value=value, low=np.clip(value - 0.1, 0, 1), high=np.clip(value + 0.1, 0, 1), n=60)


def curve(names: list[str]) -> pd.DataFrame:
    grid = pd.DataFrame({"intensity": [0.1, 0.5, 1.0], "value": [0.1, 0.4, 0.9]})
    many = pd.DataFrame(list(product(names, ["s1", "s2"])), columns=["detector", "scenario"]).merge(grid, how="cross")
    one = pd.DataFrame({"detector": names, "scenario": "s3", "intensity": 1.0, "value": 0.5})
    return pd.concat([many, one]).assign(low=lambda c: c["value"] - 0.1, high=lambda c: c["value"] + 0.1)


def requests(ratios: dict[str, float]) -> pd.DataFrame:
    rows = pd.DataFrame(list(product(ratios, BUDGETS)), columns=["detector", "requested"])
    value = rows["detector"].map(ratios)
    return rows.assign(budget=rows["requested"], value=value, low=value * 0.9, high=value * 1.1 + 0.01)


def losses(values: dict[str, float]) -> pd.DataFrame:
    value = pd.Series(values)
    rows = pd.DataFrame({"family": value.index, "value": value.to_numpy()})
    return rows.assign(low=rows["value"] - 0.02, high=rows["value"] + 0.02)


def alike(names: list[str]) -> pd.DataFrame:
    return pd.DataFrame(np.eye(len(names)), index=names, columns=names)


def board(names: list[str]) -> pd.DataFrame:
    recall = np.linspace(0.9, 0.1, len(names))
    table = pd.DataFrame({f"recall_{b:g}": np.clip(recall + b / 200, 0, 1) for b in BUDGETS}, index=names)
    return table.assign(recall_5=recall, recall_5_low=recall - 0.05, recall_5_high=recall + 0.05, worst_5=recall / 2,
                        fit_s=np.geomspace(500, 0.01, len(names)), score_s=1.0)  # fmt: skip


DRAWN = {
    "heat map": lambda n: plots.heat_map(shares(n), n, titles()),
    "detectability": lambda n: plots.detectability(curve(n), n, titles()),
    "share of budget": lambda n: plots.share_of_budget(requests(dict.fromkeys(n, 1.0))),
    "ablation": lambda n: plots.ablation(losses({**dict.fromkeys(n, 0.1), n[0]: 0.2})),
    "cost": lambda n: plots.cost(board(n)),
    "budgets": lambda n: plots.budgets(board(n)),
    "agreement": lambda n: plots.agreement(alike(n), "attacks caught"),
}


def texts(ax) -> list[str]:
    figure = ax.get_figure(root=True)
    axes = [t for one in figure.axes for t in (*one.texts, *one.get_xticklabels(), *one.get_yticklabels())]
    legends = [*figure.legends, *[one.get_legend() for one in figure.axes if one.get_legend()]]
    return [t.get_text() for t in axes] + [t.get_text() for legend in legends for t in legend.get_texts()]


@pytest.mark.parametrize("kind", DRAWN)
@pytest.mark.parametrize("names", [[MONEY], [MONEY, *[f"detector {n}" for n in range(39)]]], ids=["one", "forty"])
def test_a_figure_has_words_beside_it_and_draws_the_same_bytes(kind, names):
    with mpl.rc_context({"font.size": 30, "text.usetex": False}):
        first = DRAWN[kind](names)
    second = DRAWN[kind](names)
    assert drawing.png(first) == drawing.png(second), "whatever the reader's settings are"
    assert len(drawing.alt(first)) > 40 and drawing.alt(first).endswith(".") and "nan" not in drawing.alt(first)
    if kind not in ("share of budget", "agreement"):
        assert MONEY in drawing.alt(first)
    assert not [t for t in texts(first) if "mathdefault" in t], "numbers are plain"


def test_each_cell_of_the_heat_map_fits_at_full_size():
    names = [f"d{n}" for n in range(40)]
    ax = plots.heat_map(shares(names, 27).assign(value=1.0, low=0.88, high=1.0), names, titles(27))
    figure = ax.get_figure(root=True)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    wide = ax.get_window_extent().width / 27
    tall = ax.get_window_extent().height / 40
    boxes = [t.get_window_extent(canvas.get_renderer()) for t in ax.texts]
    assert len(boxes) == 2 * 40 * 27
    assert max(b.width for b in boxes) < 0.95 * wide
    assert boxes[0].height + boxes[1].height < tall, "the value stands above its interval"


def test_the_heat_map_writes_the_value_and_its_interval_and_a_dash_for_what_was_not_run():
    table = shares(["a", "b"], 2).assign(value=0.25, low=0.051, high=0.6).iloc[:3]
    ax = plots.heat_map(table, ["b", "a"], titles(2))
    assert [t.get_text() for t in ax.texts] == ["25", "5–60", "–", "25", "5–60", "25", "5–60"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["b  25", "a  25"]
    assert "s1 (25%), s2 (25%)" in drawing.alt(ax)


def test_only_scenarios_of_several_intensities_have_a_curve_and_six_detectors_have_looks():
    names = [f"d{n}" for n in range(8)]
    ax = plots.detectability(curve(names), names, titles())
    panels = [one for one in ax.get_figure(root=True).axes if one.axison]
    assert [one.get_title(loc="left")[:12] for one in panels] == ["1 Scenario 1", "2 Scenario 2"]
    named = {t for t in texts(ax) if t.startswith("d") or "others" in t}
    assert named == {*names[:6], "2 others"}
    styles = {(line.get_marker(), str(line.get_linestyle())) for line in ax.lines if line.get_label() in names}
    assert len(styles) == 6, "told apart without colour"
    assert "d0 catches 10% to 90% in s1, 10% to 90% in s2" in drawing.alt(ax)


def test_the_calibration_names_who_is_outside_the_band_and_has_a_place_for_none():
    ax = plots.share_of_budget(requests({"kept": 1.2, "loud": 8.0, "mute": 0.0}))
    assert "Outside it at 5 a day: 0.00 mute, 8.00 loud." in drawing.alt(ax)
    assert {"within: 4 of 12", "outside: 8 of 12"} <= set(texts(ax))
    assert min(line.get_ydata().min() for line in ax.lines) == plots.FLOOR
    assert "At 5 a day all keep it." in drawing.alt(plots.share_of_budget(requests({"kept": 0.75})))


def test_the_ablation_is_hollow_where_the_interval_holds_nothing():
    ax = plots.ablation(losses({"nothing": 0.01, "network": 0.2, "harmful": -0.1}))
    assert [t.get_text() for t in ax.get_yticklabels()] == ["network", "nothing", "harmful"]
    filled = {line.get_label(): (line.get_markerfacecolor(), list(line.get_ydata())) for line in ax.lines[1:]}
    assert filled == {"interval without 0": (plots.DARK, [0, 2]), "interval holds 0": ("white", [1])}
    assert "network (+0.200), nothing (+0.010), harmful (−0.100); for 1 the interval holds 0" in drawing.alt(ax)


def test_cost_names_the_best_and_the_cheapest_that_is_nearly_as_good():
    table = board(["best", "near", "cheap"]).assign(recall_5=[0.9, 0.88, 0.3], fit_s=[100.0, 1.0, 0.0])
    assert "best catches most, 0.90, in 101.0 s. Of those within 5% of the most, near needs the least: 2.0 s." in (
        drawing.alt(plots.cost(table))
    )


def test_recall_at_each_budget_has_a_marker_of_its_own():
    ax = plots.budgets(board(["a", "b"]).assign(recall_1=[0.5, 0.0]))
    assert len({line.get_marker() for line in ax.lines}) == len(BUDGETS)
    assert "a catches 0.50 at 1, 0.90 at 5, 0.95 at 10, 1.00 at 20" in drawing.alt(ax)
