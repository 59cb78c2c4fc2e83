"""Page: the results of a run of the bench as text, and as a page with pictures (docs/bench).

Reads  leaderboard.Results. Writes README.md and PNG files into a folder, where asked to.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tokenkit.bench.detectors import entrants
from tokenkit.bench.leaderboard import Results
from tokenkit.bench.metrics import burden, scoring
from tokenkit.bench.page import figures, plots
from tokenkit.bench.raised import ORACLE
from tokenkit.bench.trials.benign import DAYS
from tokenkit.world.simulate import EVENTS_A_TOKEN_DAY

SHOWN = 6  # detectors told apart in a picture of curves
BUDGET = 5.0
OVERSPENT = 1.25  # times the budget (EVALUATION.md); what is caught by raising more is no merit
LOUD = (1, 2, 3, 4, 5, 6, 7, 12, 14, 16, 21, 22, 23, 24)


def table(results: Results, draws: int = 1000) -> pd.DataFrame:
    """The leaderboard: ``scoring.summary``, one row a detector; those that overspend the budget stand last."""
    r = results
    rows = scoring.summary(r.trials, r.alerts, r.benign, r.runs, r.windows, r.scenarios, draws)
    over = rows["of_budget"] > OVERSPENT
    return pd.concat([rows[~over], rows[over]])


def at_headline(results: Results) -> pd.DataFrame:
    """Outcomes at the headline budget, clean variant (``scoring.outcomes``)."""
    found = scoring.outcomes(results.trials, results.alerts, results.runs)
    return found[(found["budget"] == BUDGET) & (found["variant"] == "clean")]


def families(found: pd.DataFrame) -> dict[str, str]:
    """Family to the entrant that lacks it: what ``scoring.ablation`` compares with ``entrants.LEARNED``."""
    prefix = f"{entrants.TOKENKIT} without "
    names = [name for name in found["detector"].unique() if name.startswith(prefix) and name != entrants.LEARNED]
    return {name.removeprefix(prefix): name for name in names}


def compared(summary: pd.DataFrame, found: pd.DataFrame) -> list[str]:
    """The detectors in the order of the table, without ablations, and without the oracle: it is right by definition."""
    apart = {ORACLE, entrants.LEARNED, *families(found).values()}
    return [name for name in summary.index if name not in apart]


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
    return _markdown(head, rows)


def more_lines(summary: pd.DataFrame) -> list[str]:
    """The other metrics of the table in Markdown."""
    heads = {
        "recall_10": "recall at 10", "recall_dirty": "dirty past", "recall_poisoned": "poisoned",
        "warned_poisoned": "else warming-up", "incident_precision": "AP by incident", "roc_auc": "ROC-AUC",
        "precision_5": "precision at 5 a day", "precision_10": "at 10", "precision_20": "at 20",
        "hours_p90": "hours (p90)", "objects_lost": "objects lost", "stability": "stability",
    }  # fmt: skip
    rows = [
        [str(name), *(_number(r[column], 0 if column == "hours_p90" else 2) for column in heads)]
        for name, r in summary.iterrows()
    ]
    return _markdown(["detector", *heads.values()], rows)


def reach(results: Results, told: list[str]) -> pd.DataFrame:
    """The intensity from which on half, and nine tenths, of the attacks are caught at the headline budget.

    Returns
    -------
    DataFrame, one row a scenario that has several intensities
        ``title``, ``unit``, and for each detector of ``told`` two texts, such as ``tokenkit 50%``: the intensity, "any"
        where the least one tried suffices, "-" where none does.
    """
    curve = scoring.detectability(at_headline(results), draws=0)
    found = scoring.reach(curve[curve["detector"].isin(told)])
    several = curve.groupby("scenario")["intensity"].nunique()
    kinds = results.scenarios.set_index("scenario")
    rows = []
    for one in kinds.index[kinds["kind"] == "attack"]:
        if several.get(one, 0) < 2:
            continue
        row = {"title": kinds.loc[one, "title"], "unit": kinds.loc[one, "unit"]}
        for r in found[found["scenario"] == one].itertuples():
            said = "any" if r.at_most else "-" if pd.isna(r.value) else f"{r.value:.3g}"
            row[f"{r.detector} {r.level:.0%}"] = said
        rows.append(row)
    columns = [f"{name} {level}" for name in told for level in ("50%", "90%")]
    return pd.DataFrame(rows, columns=["title", "unit", *columns])


def _reach_lines(results: Results, told: list[str]) -> list[str]:
    rows = reach(results, told)
    if rows.empty:
        return []
    said = "The intensity from which on half, and nine tenths, are caught; *any*: the least that was tried; -: none."
    return ["## How strong an attack has to be", "", said, "", *_markdown(list(rows), rows.to_numpy().tolist()), ""]


def _markdown(head: list[str], rows: list[list[str]]) -> list[str]:
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(row) + " |" for row in rows)]


def _number(value: Any, digits: int = 2) -> str:
    return "-" if pd.isna(value) else f"{value:,.{digits}f}"


def pictures(results: Results, summary: pd.DataFrame) -> dict[str, Any]:
    """The pictures of the page by file name."""
    found = at_headline(results)
    names = compared(summary, found)
    titles = results.scenarios[["scenario", "number", "title"]]
    told = sorted(names, key=lambda name: name != entrants.TOKENKIT)[:SHOWN]  # it, too, where it stands far below
    calibrated = burden.calibration(results.benign, results.runs)
    made = {
        "recall.png": plots.budgets(summary.loc[names]),
        "scenarios.png": plots.heat_map(scoring.scenario_recall(found), names, titles),
        "calibration.png": plots.calibration(calibrated[calibrated["detector"] != ORACLE]),
        "cost.png": plots.cost(summary.loc[names]),
    }
    curve = scoring.detectability(found)
    if (curve.groupby("scenario")["intensity"].nunique() > 1).any():
        made["detectability.png"] = plots.detectability(curve, told, titles)
    if without := families(found):
        made["ablation.png"] = plots.ablation(scoring.ablation(found, entrants.LEARNED, without))
    return made


def beside(results: Results, summary: pd.DataFrame) -> pd.DataFrame:
    """Every other detector against tokenkit at the headline budget (``scoring.paired``)."""
    found = at_headline(results)
    names = compared(summary, found)
    table = scoring.paired(found[found["detector"].isin(names)], entrants.TOKENKIT)
    return table.sort_values(["value", "detector"], ascending=[False, True], ignore_index=True)


def targets(results: Results, summary: pd.DataFrame) -> pd.DataFrame:
    """What EVALUATION.md asks of tokenkit: ``what``, ``value``, ``low``, ``high``, ``asked``, ``holds``."""
    found = at_headline(results)
    found = found[found["detector"] == entrants.TOKENKIT]
    rows: list[list[Any]] = []

    def recall(what: str, some: pd.DataFrame, least: float) -> None:
        if len(some):
            r = scoring.recall(some).iloc[0]
            rows.append([what, r["value"], r["low"], r["high"], f"at least {least:.2f}", r["value"] >= least])

    def slow(scenario: str, intensity: float) -> pd.DataFrame:
        return found[(found["scenario"] == scenario) & np.isclose(found["intensity"], intensity)]

    recall("loud scenarios", found[found["number"].isin(LOUD) & (found["kind"] == "attack")], 0.95)
    recall("+60% sustained, within 14 days", scoring.within(slow("slow_exfiltration", 0.6), 14), 0.90)
    recall("+30% sustained, within 30 days", scoring.within(slow("slow_exfiltration", 0.3), 30), 0.70)
    recall("ramp of 3% a day", slow("ramp", 0.03), 0.97)
    if len(ramp := slow("ramp", 0.03)):
        half = scoring.time_to_detect(ramp).set_index("level").loc[0.5, ["value", "low", "high"]] / 24
        rows.append(["days until half of the ramps of 3% are caught", *half, "at most 18", half["value"] <= 18])
    recall("ramp of 1% a day, until the end", slow("ramp", 0.01), 0.70)
    mine = summary.loc[entrants.TOKENKIT]
    worst, changed, spent, named = (mine[c] for c in ("worst_5", "benign_change", "of_budget", "explained"))
    nan = float("nan")
    rows += [
        ["worst five scenarios", worst, mine["worst_5_low"], mine["worst_5_high"], "at least 0.60", worst >= 0.6],
        ["benign changes that raise an incident", changed, nan, nan, "at most 0.20", changed <= 0.2],
        ["incidents opened of those allowed", spent, nan, nan, "0.75 to 1.25", 0.75 <= spent <= 1.25],
        ["cause among the first three reasons", named, nan, nan, "at least 0.90", named >= 0.9],
    ]
    return pd.DataFrame(rows, columns=["what", "value", "low", "high", "asked", "holds"])


def _between(row: Any) -> str:
    return "" if pd.isna(row.low) else f" [{row.low:.2f}, {row.high:.2f}]"


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
    command = re.sub(r" --out[= ]\S+", "", made["command"])  # a folder of one machine
    libraries = ", ".join(f"{name} {number}" for name, number in made["libraries"].items())
    clean = results.trials[results.trials["variant"] == "clean"]
    kinds = clean.groupby("kind")["trial"].nunique()
    others = [name for name in compared(summary, at_headline(results)) if name != entrants.TOKENKIT]
    text = [
        "# The bench: what each detector catches, and what it costs", "",
        f"`{command}`: tokenkit {made['version']} (code {made['code']}), Python {made['python']}, {libraries}; "
        f"{made['processors']} processors, {sum(made['seed_minutes']):.0f} minutes of one of them. "
        f"{len(made['seeds'])} organisations of {sizes['tokens']:,} tokens over {DAYS} days, "
        f"{sizes['tokens'] * DAYS * EVENTS_A_TOKEN_DAY / 1e6:.1f} million events each: fitted on days 15 to 42, "
        f"calibrated on 43 to 56, judged on 57 to 90; "
        f"{kinds.get('attack', 0):,} attacks of {(results.scenarios['kind'] == 'attack').sum()} scenarios and "
        f"{kinds.get('confounder', 0):,} benign changes.", "",
        "Recall counts each scenario the same, all its intensities pooled. The budget is new incidents a day for each "
        "1,000 tokens; its line was set on the calibration days alone.", "",
        "Those that open more than 1.25 times the budget stand last: what is caught by raising more is no merit.", "",
        *lines(summary), "",
        "*dirty past*: one token in a hundred was attacked while it was learned from. *poisoned*: the attacker warms "
        "the token up for 14 days, on which the lines are set; *else warming-up*: the share of all that was missed "
        "then, but whose warming-up stands above the line, looking back. *precision*: of the first 5, 10, 20 incidents "
        "of a day with one attack. *stability*: rank correlation of the scores with those that would be given if all "
        "had been learned from days one day earlier.", "",
        *more_lines(summary), "",
        "## Targets", "", "What EVALUATION.md asks of tokenkit, of the profile *full*:", "",
        *(f"- {r.what}: {r.value:.2f}{_between(r)} (asked: {r.asked}): {'holds' if r.holds else 'does not hold'}."
          for r in targets(results, summary).itertuples()), "",
        "## Beside tokenkit", "",
        "Recall more (+) or less (-) than tokenkit, 95% over tokens, and the paired Wilcoxon test over organisations "
        "(the least p that so many can give):", "",
        *(f"- {r.detector}: {r.value:+.2f} [{r.low:+.2f}, {r.high:+.2f}], p {r.p:.3g} ({r.attainable:.3g})."
          for r in beside(results, summary).itertuples()), "",
        *(line for name, alt in alts.items() for line in (f"![{alt}]({name})", "")),
        *_reach_lines(results, [entrants.TOKENKIT, *others[:1]]),
        "## The hardest scenarios", "",
        *(f"- {row.title}: {row.value:.2f} [{row.low:.2f}, {row.high:.2f}] of {row.n} trials."
          for row in hardest(results).itertuples()), "",
        MARK,
    ]  # fmt: skip
    page.write_text("\n".join(text) + (said if mark else "\n"), encoding="utf-8")
    return page


MARK = "<!-- made by tokenkit bench show --page; what stands below is written by hand and kept -->"
