"""Page: the results of a run of the bench as text, and as a page with pictures (docs/bench).

Reads  leaderboard.Results. Writes README.md and PNG files into a folder, where asked to.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from tokenkit.bench import burden, entrants, figures, plots, scoring
from tokenkit.bench.leaderboard import Results

SHOWN = 6  # detectors told apart in a picture of curves
BUDGET = 5.0


def table(results: Results, draws: int = 1000) -> pd.DataFrame:
    """The leaderboard: ``scoring.summary``, one row a detector."""
    r = results
    return scoring.summary(r.trials, r.alerts, r.benign, r.runs, r.windows, r.scenarios, draws)


def at_headline(results: Results) -> pd.DataFrame:
    """Outcomes at the headline budget, clean variant (``scoring.outcomes``)."""
    found = scoring.outcomes(results.trials, results.alerts, results.runs)
    return found[(found["budget"] == BUDGET) & (found["variant"] == "clean")]


def families(found: pd.DataFrame) -> dict[str, str]:
    """Family to the entrant that lacks it: what ``scoring.ablation`` compares."""
    prefix = f"{entrants.TOKENKIT} without "
    return {name.removeprefix(prefix): name for name in found["detector"].unique() if name.startswith(prefix)}


def whole(summary: pd.DataFrame, found: pd.DataFrame) -> list[str]:
    """The detectors that lack nothing, in the order of the table."""
    return [name for name in summary.index if name not in families(found).values()]


def lines(summary: pd.DataFrame) -> list[str]:
    """The table in Markdown, the columns that a reader asks for first."""
    head = ["detector", "recall at 5 (95%)", "at 1", "at 20", "worst 5", "AP", "benign changes raised", "of budget",
            "cause named", "hours (median)", "bytes lost", "minutes locked a month", "CPU s"]  # fmt: skip
    rows = []
    for name, r in summary.iterrows():
        rows.append([
            str(name), f"{r['recall_5']:.2f} [{r['recall_5_low']:.2f}, {r['recall_5_high']:.2f}]",
            *(_number(r[c]) for c in ("recall_1", "recall_20", "worst_5", "average_precision", "benign_change",
                                      "of_budget", "explained")),
            _number(r["hours_median"], 0), _number(r["bytes_lost"]), _number(r["harm_minutes"], 0),
            _number(r["fit_s"] + r["score_s"], 1),
        ])  # fmt: skip
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(row) + " |" for row in rows)]


def _number(value: Any, digits: int = 2) -> str:
    return "-" if pd.isna(value) else f"{value:,.{digits}f}"


def pictures(results: Results, summary: pd.DataFrame) -> dict[str, Any]:
    """The pictures of the page by file name."""
    found = at_headline(results)
    names = whole(summary, found)
    titles = results.scenarios[["scenario", "number", "title"]]
    told = [name for name in names if name != entrants.ORACLE][:SHOWN]
    made = {
        "recall.png": plots.budgets(summary.loc[names]),
        "scenarios.png": plots.heat_map(scoring.scenario_recall(found), names, titles),
        "calibration.png": plots.calibration(burden.calibration(results.benign, results.runs)),
        "cost.png": plots.cost(summary.loc[names]),
    }
    curve = scoring.detectability(found)
    if (curve.groupby("scenario")["intensity"].nunique() > 1).any():
        made["detectability.png"] = plots.detectability(curve, told, titles)
    if without := families(found):
        made["ablation.png"] = plots.ablation(scoring.ablation(found, entrants.TOKENKIT, without))
    return made


def hardest(results: Results, n: int = 5) -> pd.DataFrame:
    """The scenarios that tokenkit catches least often at the headline budget: title, recall, interval, trials."""
    found = at_headline(results)
    mine = scoring.scenario_recall(found[found["detector"] == entrants.TOKENKIT])
    kinds = results.scenarios.set_index("scenario")
    mine = mine[mine["scenario"].map(kinds["kind"]) == "attack"]
    worst = mine.sort_values(["value", "scenario"]).head(n)
    return worst.assign(title=worst["scenario"].map(kinds["title"]))[["scenario", "title", "value", "low", "high", "n"]]


def write(results: Results, folder: Path) -> Path:
    """Write the page and its pictures; returns the page.

    Parameters
    ----------
    folder : made if absent; ``README.md`` keeps what a person wrote below the marker
    """
    folder.mkdir(parents=True, exist_ok=True)
    summary = table(results)
    page = folder / "README.md"
    _, mark, said = page.read_text(encoding="utf-8").partition(MARK) if page.exists() else ("", "", "")
    alts = {}
    for name, ax in pictures(results, summary).items():
        (folder / name).write_bytes(figures.png(ax, dpi=90))
        alts[name] = figures.alt(ax)
    made, sizes = results.made, results.made["sizes"]
    libraries = ", ".join(f"{name} {number}" for name, number in made["libraries"].items())
    kinds = results.trials.groupby("kind")["trial"].nunique()
    text = [
        "# The bench: what each detector catches, and what it costs", "",
        f"`{made['command']}`: tokenkit {made['version']} (code {made['code']}), Python {made['python']}, {libraries}; "
        f"{made['processors']} processors, {made['minutes']:.0f} minutes. {len(made['seeds'])} organisations of "
        f"{sizes['tokens']:,} tokens over 90 days, fitted until day 42, calibrated until day 56, judged until day 90; "
        f"{kinds.get('attack', 0):,} attacks of {(results.scenarios['kind'] == 'attack').sum()} scenarios and "
        f"{kinds.get('confounder', 0):,} benign changes.", "",
        "Recall counts each scenario the same, all its intensities pooled. The budget is new incidents a day for each "
        "1,000 tokens; its line was set on the calibration days alone.", "",
        *lines(summary), "",
        *(line for name, alt in alts.items() for line in (f"![{alt}]({name})", "")),
        "## The hardest scenarios", "",
        *(f"- {row.title}: {row.value:.2f} [{row.low:.2f}, {row.high:.2f}] of {row.n} trials."
          for row in hardest(results).itertuples()), "",
        MARK,
    ]  # fmt: skip
    page.write_text("\n".join(text) + (said if mark else "\n"), encoding="utf-8")
    return page


MARK = "<!-- made by tokenkit bench show --page; what stands below is written by hand and kept -->"
