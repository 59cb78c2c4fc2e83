"""Tables: what the page of the bench says, from the results of a run.

Reads  leaderboard.Results. Writes nothing.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from tokenkit.bench.alerts import ORACLE
from tokenkit.bench.detectors.registry import TOKENKIT, WITHOUT_RULES
from tokenkit.bench.leaderboard import Results
from tokenkit.bench.metrics import burden, ranking, scoring
from tokenkit.bench.metrics.agreement import agreement
from tokenkit.bench.metrics.intervals import means
from tokenkit.bench.metrics.ranking import ATTACK, CLEAN
from tokenkit.bench.metrics.scoring import HEADLINE

OVERSPENT = 1.25  # times the budget; what is caught by opening more is no merit
COLUMNS = [  # those that a reader asks for first
    *("recall_5", "recall_5_low", "recall_5_high", "recall_1", "recall_20", "worst_5", "average_precision"),
    *("benign_change", "of_budget", "explained", "hours_median", "bytes_lost", "harm_minutes", "fit_s", "score_s"),
]
STEADY = ("scheduled", "service")  # kinds whose amounts hardly move
LOUD = (1, 2, 3, 4, 5, 6, 7, 12, 14, 16, 21, 22, 23, 24)


def table(results: Results, draws: int = 1000) -> pd.DataFrame:
    """The leaderboard: ``scoring.summary``, one row a contender; those that overspend the budget stand last."""
    r = results
    rows = scoring.summary(r.trials, r.alerts, r.benign, r.runs, r.windows, r.scenarios, draws)
    over = rows["of_budget"] > OVERSPENT
    return pd.concat([rows[~over], rows[over]])


def headline_outcomes(results: Results) -> pd.DataFrame:
    """Outcomes at the headline budget, clean variant (``scoring.trial_outcomes``)."""
    outcomes = scoring.trial_outcomes(results.trials, results.alerts, results.runs)
    return outcomes[(outcomes["budget"] == HEADLINE) & (outcomes["variant"] == CLEAN)]


def families(outcomes: pd.DataFrame) -> dict[str, str]:
    """Family to the contender that lacks it: what ``scoring.ablation`` compares with ``registry.WITHOUT_RULES``."""
    prefix = f"{TOKENKIT} without "
    names = [name for name in outcomes["detector"].unique() if name.startswith(prefix) and name != WITHOUT_RULES]
    return {name.removeprefix(prefix): name for name in names}


def contenders_to_show(summary: pd.DataFrame, outcomes: pd.DataFrame) -> list[str]:
    """The contenders in the order of the table, without ablations, and without the oracle: it is right by definition.

    Parameters
    ----------
    summary : ``table``
    outcomes : ``headline_outcomes``
    """
    apart = {ORACLE, WITHOUT_RULES, *families(outcomes).values()}
    return [name for name in summary.index if name not in apart]


def catch_agreement(outcomes: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """How alike the attacks that every two contenders catch are (``metrics.agreement``)."""
    caught = outcomes[outcomes["caught"] & (outcomes["kind"] == "attack")]
    return agreement(caught, names, ["trial"])


def intensity_at_recall(results: Results, names: Sequence[str]) -> pd.DataFrame:
    """The intensity from which on half, and nine tenths, of the attacks are caught at the headline budget.

    Returns
    -------
    DataFrame, one row a scenario that has several intensities
        ``title``, ``unit``, and for each of ``names`` two texts, such as ``tokenkit 50%``: the intensity, "any" where
        the least one tried suffices, "-" where none does.
    """
    curve = scoring.detectability(headline_outcomes(results), draws=0)
    levels = scoring.intensity_at_recall(curve[curve["detector"].isin(names)])
    several = curve.groupby("scenario")["intensity"].nunique()
    kinds = results.scenarios.set_index("scenario")
    rows = []
    for one in kinds.index[kinds["kind"] == "attack"]:
        if several.get(one, 0) < 2:
            continue
        row = {"title": kinds.loc[one, "title"], "unit": kinds.loc[one, "unit"]}
        for r in levels[levels["scenario"] == one].itertuples():
            row[f"{r.detector} {r.level:.0%}"] = "any" if r.at_most else "-" if pd.isna(r.value) else f"{r.value:.3g}"
        rows.append(row)
    columns = [f"{name} {level}" for name in names for level in ("50%", "90%")]
    return pd.DataFrame(rows, columns=["title", "unit", *columns])


def beside_tokenkit(results: Results, summary: pd.DataFrame) -> pd.DataFrame:
    """Every other contender against tokenkit at the headline budget (``scoring.paired``).

    ``value_ap``, ``low_ap``, ``high_ap``: the same of average precision by window (``ranking.precision_beside``).
    """
    outcomes = headline_outcomes(results)
    names = contenders_to_show(summary, outcomes)
    rows = scoring.paired(outcomes[outcomes["detector"].isin(names)], TOKENKIT)
    windows = results.windows[results.windows["detector"].isin(names)]
    precision = ranking.precision_beside(windows, results.trials, TOKENKIT)
    rows = rows.merge(precision, on="detector", how="left", suffixes=("", "_ap"))
    return rows.sort_values(["value", "detector"], ascending=[False, True], ignore_index=True)


def targets(results: Results, summary: pd.DataFrame) -> pd.DataFrame:
    """What docs/method/evaluation.md asks of tokenkit: ``what``, ``value``, ``low``, ``high``, ``asked``, ``holds``."""
    outcomes = headline_outcomes(results)
    outcomes = outcomes[outcomes["detector"] == TOKENKIT]
    rows: list[list[Any]] = []

    def recall(what: str, some: pd.DataFrame, least: float) -> None:
        if len(some):
            r = scoring.recall(some).iloc[0]
            rows.append([what, r["value"], r["low"], r["high"], f"at least {least:.2f}", r["value"] >= least])

    recall("all attacks", outcomes, 0.85)
    recall("loud scenarios", outcomes[outcomes["number"].isin(LOUD) & (outcomes["kind"] == "attack")], 0.95)
    sustained, ramp = _of(outcomes, "slow_exfiltration", 0.6), _of(outcomes, "ramp", 0.03)
    recall("+60% sustained, within 14 days", scoring.within(sustained, 14), 0.90)
    recall("+30% sustained, within 30 days", scoring.within(_of(outcomes, "slow_exfiltration", 0.3), 30), 0.70)
    recall("ramp of 3% a day", ramp, 0.97)
    steady = ramp["behaviour"].isin(STEADY)
    recall("ramp of 3% a day, scheduled jobs and services", ramp[steady], 0.90)
    if len(ramp):
        half = scoring.time_to_detect(ramp).set_index("level").loc[0.5, ["value", "low", "high"]] / 24
        rows.append(["days until half of the ramps of 3% are caught", *half, "at most 18", half["value"] <= 18])
    recall("ramp of 1% a day, until the end", _of(outcomes, "ramp", 0.01), 0.70)
    own = summary.loc[TOKENKIT]
    worst, changed, spent, named = (own[c] for c in ("worst_5", "benign_change", "of_budget", "explained"))
    nan = float("nan")
    rows += [
        ["worst five scenarios", worst, own["worst_5_low"], own["worst_5_high"], "at least 0.60", worst >= 0.6],
        ["benign changes that open an incident", changed, nan, nan, "at most 0.42, better 0.20", changed <= 0.42],
        ["incidents opened of those allowed", spent, nan, nan, "0.75 to 1.25", 0.75 <= spent <= 1.25],
        *(
            [f"- of organisation {one.seed}", one.value, nan, nan, "0.75 to 1.25", 0.75 <= one.value <= 1.25]
            for one in _share_by_seed(results).itertuples()
        ),
        ["cause among the first three reasons", named, nan, nan, "at least 0.95", named >= 0.95],
    ]
    return pd.DataFrame(rows, columns=["what", "value", "low", "high", "asked", "holds"])


def by_kind(results: Results) -> pd.DataFrame:
    """What tokenkit catches of tokens of each kind, and what benign changes of them raise, at the headline budget.

    Returns
    -------
    DataFrame, one row a kind (``behaviour``)
        ``tokens`` (attacked), ``recall`` with ``low`` and ``high``, ``hours`` (until half of the attacks are caught;
        NaN where fewer are), ``sustained`` (+60% within 14 days), ``ramp`` (3% a day), ``benign_change``.
    """
    outcomes = headline_outcomes(results)
    own = outcomes[outcomes["detector"] == TOKENKIT]
    rows = []
    for kind, some in own.groupby("behaviour", sort=False):
        attacks = some[some["kind"] == "attack"]
        if attacks.empty:
            continue
        r, half = scoring.recall(attacks).iloc[0], scoring.time_to_detect(attacks, 0).set_index("level").loc[0.5]
        slow = scoring.within(_of(attacks, "slow_exfiltration", 0.6), 14)["caught"].mean()
        changed = scoring.benign_changes_raised(some, 0)["value"]
        hours = float("nan") if half["missed"] else half["value"]
        ramp = _of(attacks, "ramp", 0.03)["caught"].mean()
        benign = changed.iloc[0] if len(changed) else float("nan")
        tokens = attacks["base_uid"].nunique()
        rows.append([kind, tokens, r["value"], r["low"], r["high"], hours, slow, ramp, benign])
    columns = ["behaviour", "tokens", "recall", "low", "high", "hours", "sustained", "ramp", "benign_change"]
    return pd.DataFrame(rows, columns=columns).sort_values("tokens", ascending=False, ignore_index=True)


def _of(outcomes: pd.DataFrame, scenario: str, intensity: float) -> pd.DataFrame:
    return outcomes[(outcomes["scenario"] == scenario) & np.isclose(outcomes["intensity"], intensity)]


def reachable(results: Results) -> pd.DataFrame:
    """Recall of attacks by amounts beside what an oracle that knows the noise reaches (``metrics.reachable``).

    Returns
    -------
    DataFrame, one row a scenario, intensity and window
        ``title``, ``intensity``, ``unit``, ``window_days``, ``tokenkit``, ``oracle_whole``, ``oracle_quarter`` (of the
        headline budget, which it is given), ``trials``.
    """
    outcomes = headline_outcomes(results)
    own = outcomes[outcomes["detector"] == TOKENKIT].merge(results.reachable, on="trial")
    days = results.runs.set_index("seed")["days"].groupby("seed").first()
    chance = HEADLINE / 1000 * own["seed"].map(days)
    own["tokenkit"] = own["caught"] & (own["hours"] <= 24 * own["window_days"])
    own["oracle_whole"], own["oracle_quarter"] = own["by_chance"] <= chance, own["by_chance"] <= chance / 4
    kinds = results.scenarios.set_index("scenario")
    cells = own.groupby(["scenario", "intensity", "window_days"])
    table = cells[["tokenkit", "oracle_whole", "oracle_quarter"]].mean().assign(trials=cells.size()).reset_index()
    return table.assign(title=table["scenario"].map(kinds["title"]), unit=table["scenario"].map(kinds["unit"]))[
        ["title", "intensity", "unit", "window_days", "tokenkit", "oracle_whole", "oracle_quarter", "trials"]
    ]


def harder_when_stronger(results: Results) -> pd.DataFrame:
    """Attacks that tokenkit catches less often the stronger they are (``scoring.falls``), with their ``title``."""
    outcomes = headline_outcomes(results)
    found = scoring.falls(scoring.detectability(outcomes[outcomes["detector"] == TOKENKIT]))
    return found.assign(title=found["scenario"].map(results.scenarios.set_index("scenario")["title"]))


def _share_by_seed(results: Results) -> pd.DataFrame:
    """Incidents that tokenkit opened of those allowed, one row an organisation: ``seed``, ``value``."""
    runs = results.runs[(results.runs["detector"] == TOKENKIT) & (results.runs["variant"] == CLEAN)]
    benign = results.benign[results.benign["detector"] == TOKENKIT]
    found = [[seed, burden.share_of_budget(benign[benign["seed"] == seed], run, [HEADLINE], 0)["value"].item()]
             for seed, run in runs.groupby("seed")]  # fmt: skip
    return pd.DataFrame(found, columns=["seed", "value"])


def by_scenario(results: Results) -> pd.DataFrame:
    """Every attack and then every benign change, the least often caught, or raised, first, at the headline budget.

    Columns: kind, scenario, title, value (share of its trials, all intensities pooled) with low and high, n (trials).
    """
    outcomes = headline_outcomes(results)
    shares = means(outcomes[outcomes["detector"] == TOKENKIT], "caught", [*scoring.KEYS, "kind", "scenario"])
    titles = results.scenarios.set_index("scenario")["title"]
    shares = shares.assign(title=shares["scenario"].map(titles)).sort_values(["kind", "value", "scenario"])
    return shares[["kind", "scenario", "title", "value", "low", "high", "n"]].reset_index(drop=True)


def hardest(results: Results, n: int = 5) -> pd.DataFrame:
    """The attacks that tokenkit catches least often at the headline budget: those rows of ``by_scenario``."""
    rows = by_scenario(results)
    return rows[rows["kind"] == ATTACK].head(n).drop(columns="kind")
