"""Page: the results of a run of the bench as a page with pictures (docs/bench).

Reads  leaderboard.Results. Writes README.md and PNG files into a folder.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from tokenkit.bench.alerts import ORACLE
from tokenkit.bench.detectors.registry import NOT_COMPARED, TOKENKIT, WITHOUT_RULES
from tokenkit.bench.leaderboard import Results
from tokenkit.bench.metrics import burden, scoring
from tokenkit.bench.metrics.ranking import ATTACK
from tokenkit.bench.page import drawing, plots, tables
from tokenkit.bench.trials.unattacked import DAYS
from tokenkit.incidents import words
from tokenkit.normal.behaviour import KINDS
from tokenkit.world import EVENTS_PER_TOKEN_DAY

SHOWN = 6  # contenders told apart in a picture of curves
MARK = "<!-- made by tokenkit bench show --page; what stands below is written by hand and kept -->"


def write(results: Results, folder: Path) -> Path:
    """Write the page and its pictures; returns the page.

    Parameters
    ----------
    folder : made if absent; ``README.md`` keeps what a person wrote below the marker
    """
    folder.mkdir(parents=True, exist_ok=True)
    summary = tables.table(results)
    page = folder / "README.md"
    _, mark, by_hand = page.read_text(encoding="utf-8").partition(MARK) if page.exists() else ("", "", "")
    alts = {}
    for name, ax in pictures(results, summary).items():
        (folder / name).write_bytes(drawing.png(ax, dpi=90))
        alts[name] = drawing.alt(ax)
    text = [*_introduction(results), *_tables(results, summary), *_findings(results, summary, alts), MARK]
    page.write_text("\n".join(text) + (by_hand if mark else "\n"), encoding="utf-8")
    return page


def pictures(results: Results, summary: pd.DataFrame) -> dict[str, Any]:
    """The pictures of the page by file name."""
    outcomes = tables.headline_outcomes(results)
    names = tables.contenders_to_show(summary, outcomes)
    titles = results.scenarios[["scenario", "number", "title"]]
    some = sorted(names, key=lambda name: name != TOKENKIT)[:SHOWN]  # it, too, where it stands far below
    shares = burden.share_of_budget(results.benign, results.runs)
    drawn = {
        "recall.png": plots.budgets(summary.loc[names]),
        "scenarios.png": plots.heat_map(scoring.scenario_recall(outcomes), names, titles),
        "calibration.png": plots.share_of_budget(shares[shares["detector"] != ORACLE]),
        "cost.png": plots.cost(summary.loc[names]),
        "agreement.png": plots.agreement(tables.catch_agreement(outcomes, names), "attacks caught"),
    }
    curve = scoring.detectability(outcomes)
    if (curve.groupby("scenario")["intensity"].nunique() > 1).any():
        drawn["detectability.png"] = plots.detectability(curve, some, titles)
    if without := tables.families(outcomes):
        drawn["ablation.png"] = plots.ablation(scoring.ablation(outcomes, WITHOUT_RULES, without))
    return drawn


# ---- the text ----
def _introduction(results: Results) -> list[str]:
    run, sizes = results.run, results.run["sizes"]
    command = re.sub(r" --out[= ]\S+", "", run["command"])  # a folder of one machine
    libraries = ", ".join(f"{name} {number}" for name, number in run["libraries"].items())
    clean = results.trials[results.trials["variant"] == "clean"]
    kinds = clean.groupby("kind")["trial"].nunique()
    return [
        "# The bench: what each contender catches, and what it costs", "",
        f"`{command}`: tokenkit {run['version']} (code {run['code']}), Python {run['python']}, {libraries}; "
        f"{run['processors']} processors; the organisations took {sum(run['seed_minutes']):.0f} minutes together. "
        f"{words.plural(len(run['seeds']), 'organisation')} of {sizes['tokens']:,} tokens over {DAYS} days, "
        f"{sizes['tokens'] * DAYS * EVENTS_PER_TOKEN_DAY / 1e6:.1f} million events each: fitted on days 15 to 42, "
        f"calibrated on 43 to 56, judged on 57 to 90; "
        f"{kinds.get('attack', 0):,} attacks of {(results.scenarios['kind'] == 'attack').sum()} scenarios and "
        f"{kinds.get('confounder', 0):,} benign changes.", "",
        "Recall counts each scenario the same, all its intensities pooled. The budget is new incidents a day for each "
        "1,000 tokens. Thresholds follow the days as a nightly run's do: each is set by the 14 days before it, of the "
        "organisation that nobody attacks.", "",
        "Those that open more than 1.25 times the budget stand last: what is caught by opening more is no merit.", "",
    ]  # fmt: skip


def _tables(results: Results, summary: pd.DataFrame) -> list[str]:
    return [
        *headline_rows(summary), "",
        "*dirty past*: one token in a hundred was attacked while it was learned from. *poisoned*: the attacker warms "
        "the token up for 14 days, on which thresholds are set; *else warming-up*: the share of all that was missed "
        "then, but whose warming-up stands above the threshold, looking back. *precision*: of the first 5, 10, 20 "
        "incidents of a day with one attack. *stability*: rank correlation of the scores with those that would be "
        "given if all had been learned from days one day earlier.", "",
        *other_rows(summary), "",
        "No part take: " + "; ".join(f"{name} ({why})" for name, why in NOT_COMPARED.items()) + ".", "",
        "## Targets", "", "What docs/method/evaluation.md asks of tokenkit, of the profile *full*:", "",
        *(f"- {r.what}: {r.value:.2f}{_between(r)} (asked: {r.asked}): {'holds' if r.holds else 'does not hold'}."
          for r in tables.targets(results, summary).itertuples()), "",
        "## Beside tokenkit", "",
        "Recall more (+) or less (-) than tokenkit, 95% over tokens, and the paired Wilcoxon test over organisations "
        "(the least p that so many can give); then the same of average precision by window:", "",
        *(f"- {r.detector}: {r.value:+.2f} [{r.low:+.2f}, {r.high:+.2f}], p {r.p:.3g} ({r.attainable:.3g}); "
          f"AP {r.value_ap:+.2f} [{r.low_ap:+.2f}, {r.high_ap:+.2f}]."
          for r in tables.beside_tokenkit(results, summary).itertuples()), "",
    ]  # fmt: skip


def _findings(results: Results, summary: pd.DataFrame, alts: dict[str, str]) -> list[str]:
    names = tables.contenders_to_show(summary, tables.headline_outcomes(results))
    others = [name for name in names if name != TOKENKIT]
    return [
        *(line for name, alt in alts.items() for line in (f"![{alt}]({name})", "")),
        *_kind_rows(results),
        *_reachable_rows(results),
        *_intensity_rows(results, [TOKENKIT, *others[:1]]),
        *_falls(results),
        *_scenario_rows(results),
    ]  # fmt: skip


def _scenario_rows(results: Results) -> list[str]:
    rows = tables.by_scenario(results)
    text = ("What tokenkit catches of each attack, and raises of each benign change, all intensities pooled, at the "
            "headline budget; the hardest first.")  # fmt: skip
    parts = ["## By scenario", "", text, ""]
    for kind, what in ((ATTACK, "attack"), (scoring.BENIGN_CHANGE, "benign change")):
        lines = [
            [r.title, f"{r.value:.2f} [{r.low:.2f}, {r.high:.2f}]", f"{r.n}"]
            for r in rows[rows["kind"] == kind].itertuples()
        ]
        parts += [*_markdown([what, "share (95%)", "trials"], lines), ""]
    return parts


def headline_rows(summary: pd.DataFrame) -> list[str]:
    """The table in Markdown, the columns that a reader asks for first."""
    head = ["contender", "recall at 5 (95%)", "at 1", "at 20", "worst 5", "AP", "benign changes that open an incident",
            "of budget", "cause named", "hours (median)", "bytes lost", "minutes locked a month", "CPU s"]  # fmt: skip
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


def other_rows(summary: pd.DataFrame) -> list[str]:
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
    return _markdown(["contender", *heads.values()], rows)


def _intensity_rows(results: Results, names: Sequence[str]) -> list[str]:
    rows = tables.intensity_at_recall(results, names)
    if rows.empty:
        return []
    text = "The intensity from which on half, and nine tenths, are caught; *any*: the least that was tried; -: none."
    return ["## How strong an attack has to be", "", text, "", *_markdown(list(rows), rows.to_numpy().tolist()), ""]


def _kind_rows(results: Results) -> list[str]:
    """What is promised of tokens of each kind."""
    rows = tables.by_kind(results)
    text = ("What tokenkit catches of tokens of each kind (docs/method/baseline.md) at the headline budget, after how "
            "many hours half of it; of slow leaks, +60% within 14 days and a ramp of 3% a day; and how many benign "
            "changes open an incident.")  # fmt: skip
    head = ["kind", "tokens attacked", "recall (95%)", "hours (median)", "+60%", "3% a day", "benign changes"]
    lines = [
        [KINDS[r.behaviour].split(":")[0], f"{r.tokens}", f"{r.recall:.2f} [{r.low:.2f}, {r.high:.2f}]",
         _number(r.hours, 0), _number(r.sustained), _number(r.ramp), _number(r.benign_change)]
        for r in rows.itertuples()
    ]  # fmt: skip
    return ["## By kind of token", "", text, "", *_markdown(head, lines), ""]


def _reachable_rows(results: Results) -> list[str]:
    """Attacks by amounts, beside the best that anyone could do."""
    rows = tables.reachable(results)
    if rows.empty:
        return []
    text = ("An oracle that knows each token's level and noise of the judged days in hindsight, and by how much an "
            "attack changes which amount on which day, though not when it begins. It has the whole budget, or a "
            "quarter of it, for this one attack.")  # fmt: skip
    head = ["attack", "strength", "within days", "tokenkit", "oracle, whole budget", "oracle, a quarter", "trials"]
    lines = [
        [r.title, f"{r.intensity:g} {r.unit}".strip(), f"{r.window_days}", _number(r.tokenkit),
         _number(r.oracle_whole), _number(r.oracle_quarter), f"{r.trials}"]
        for r in rows.itertuples()
    ]  # fmt: skip
    return ["## What anyone could reach where only amounts change", "", text, "", *_markdown(head, lines), ""]


def _falls(results: Results) -> list[str]:
    rows = tables.harder_when_stronger(results)
    lines = [
        f"- {r.title}: {r.weaker_recall:.2f} at {r.weaker:g}, {r.stronger_recall:.2f} at {r.stronger:g}."
        for r in rows.itertuples()
    ]
    return ["Caught less often although stronger, by more than both intervals allow:", "",
            *(lines or ["- none."]), ""]  # fmt: skip


def _markdown(head: list[str], rows: list[list[str]]) -> list[str]:
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(row) + " |" for row in rows)]


def _number(value: Any, digits: int = 2) -> str:
    return "-" if pd.isna(value) else f"{value:,.{digits}f}"


def _between(row: Any) -> str:
    return "" if pd.isna(row.low) else f" [{row.low:.2f}, {row.high:.2f}]"
