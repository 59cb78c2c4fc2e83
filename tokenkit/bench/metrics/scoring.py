"""Scoring: every metric of what became of the trials (docs/method/evaluation.md), and the table of the leaderboard.

Reads  trials, alerts, benign, runs, windows, scenarios: tables that measure and leaderboard write. Writes nothing.
A trial is one injection into one token of one organisation (a cohort is one trial). It is caught by an incident that
has a flagged window within the attack and was raised after the attack began. Figures over several scenarios count each
scenario the same, all its intensities pooled, so that a long grid of intensities does not outweigh a scenario of one;
an intensity of its own is what ``detectability`` shows. Intervals are 95%, over tokens (``intervals``).
Each result has ``value``, ``low``, ``high`` and ``n`` beside the columns that name it.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from tokenkit.bench.metrics import burden, ranking
from tokenkit.bench.metrics.intervals import DRAWS, means, quantiles
from tokenkit.bench.metrics.ranking import ATTACK, BUDGETS, CLEAN
from tokenkit.errors import InputError

HEADLINE = 5.0
BENIGN_CHANGE = "confounder"  # as ``kind`` has it
REASONS = 3
KEYS = ["detector", "budget", "variant"]
SUMMARY = [
    *("recall_1", "recall_5", "recall_5_low", "recall_5_high", "recall_10", "recall_20", "recall_dirty"),
    *("recall_poisoned", "warned_poisoned", "worst_5", "worst_5_low", "worst_5_high", "worst_scenarios"),
    *("average_precision", "roc_auc"),
    *("incident_precision", "precision_5", "precision_10", "precision_20", "hours_median", "hours_p90", "bytes_lost"),
    *("objects_lost", "benign_change", "of_budget", "explained", "harm_minutes", "stability", "fit_s", "score_s"),
    *("seeds", "trials"),
]
_HOUR = pd.Timedelta("1h")


def trial_outcomes(
    trials: pd.DataFrame, alerts: pd.DataFrame, runs: pd.DataFrame, budgets: Sequence[float] = BUDGETS
) -> pd.DataFrame:
    """What became of each trial at each detector and budget; a trial without an alert is a miss, not a gap.

    Parameters
    ----------
    trials : DataFrame, one row a trial
        ``trial`` (int), ``seed``, ``scenario``, ``number``, ``kind`` (attack or confounder), ``variant``,
        ``intensity``, ``base_uid``, ``behaviour`` (the token's kind), ``start``, ``end``, ``horizon``
        (datetime64[UTC]), ``bytes``, ``objects``.
    alerts : DataFrame, one row an incident of a trial's profiles at a detector and budget
        ``detector``, ``budget``, ``trial``, ``incident_uid``, ``raised``, ``score_bits``, ``touches`` (bool: a window
        of it within the attack is flagged because of the attack), ``fresh`` (bool: it touches, and was raised after
        the attack began), ``early`` (bool: the attacker's warming-up opened it, before the attack), ``reasons`` (lists
        of str), ``bytes_before``, ``objects_before`` (taken before it was raised).
    runs : DataFrame, one row a detector, seed and variant: a detector is judged on the trials of its runs
    budgets : new incidents a day for each 1,000 profiles

    Returns
    -------
    DataFrame, one row a detector, budget and trial, in this order
        The trial's columns, and ``caught`` (bool), ``warned`` (bool: not caught, but the attacker's warming-up had
        raised an incident before), ``hours`` from its start until its first fresh incident was raised
        (until the horizon for a miss), ``reasons`` of that incident (None for a miss), ``bytes_lost`` and
        ``objects_lost``: the share taken before it (1 for a miss, NaN where nothing was taken at all).

    Raises
    ------
    InputError
        An alert is of a trial that no run covers, or a trial number stands twice.
    """
    trials = trials.sort_values("trial")
    if trials["trial"].duplicated().any():
        raise InputError(f"trials: {trials['trial'].duplicated().sum()} numbers stand twice, expected one row a trial")
    covered = runs[["detector", "seed", "variant"]].drop_duplicates().merge(trials, on=["seed", "variant"])
    fresh = ranking.caught(alerts[alerts["budget"].isin(budgets)])
    first = fresh.sort_values(["raised", "incident_uid"], kind="stable").drop_duplicates(
        ["detector", "budget", "trial"]
    )
    first = first[["detector", "budget", "trial", "raised", "reasons", "bytes_before", "objects_before"]]
    table = covered.merge(pd.DataFrame({"budget": [float(b) for b in budgets]}), how="cross")
    table = table.merge(first, on=["detector", "budget", "trial"], how="left")
    table["caught"] = table["raised"].notna()
    key = ["detector", "budget", "trial"]
    early = pd.MultiIndex.from_frame(alerts.loc[alerts["early"].astype(bool), key])
    table["warned"] = ~table["caught"] & pd.MultiIndex.from_frame(table[key]).isin(early)
    if (stray := len(first) - int(table["caught"].sum())) > 0:
        raise InputError(
            f"alerts: {stray} caught trials are in no run: runs needs a row for their detector, seed, variant"
        )
    table["hours"] = (table["raised"].fillna(table["horizon"]) - table["start"]) / _HOUR
    for what in ("bytes", "objects"):
        taken = table[what].astype(float)
        table[f"{what}_lost"] = (table[f"{what}_before"].fillna(taken) / taken.where(taken > 0)).clip(0, 1)
    table = table.drop(columns=["raised", "bytes_before", "objects_before"])
    return table.sort_values([*KEYS, "trial"], kind="stable").reset_index(drop=True)


def within(outcomes: pd.DataFrame, days: float) -> pd.DataFrame:
    """``trial_outcomes`` as they stood so many days after each attack began; what was caught later is a miss."""
    return outcomes.assign(caught=outcomes["caught"] & (outcomes["hours"] <= 24 * days))


def recall(outcomes: pd.DataFrame, draws: int = DRAWS) -> pd.DataFrame:
    """Share of attacks caught, each scenario counting the same; one row a detector, budget and variant.

    Examples
    --------
    >>> one = {"detector": "d", "budget": 5.0, "variant": "clean", "kind": "attack", "seed": 1}
    >>> found = pd.DataFrame({"scenario": list("xxy"), "base_uid": list("abc"), "caught": [True, False, True]})
    >>> recall(found.assign(**one))[["value", "n"]].values.tolist()
    [[0.75, 3.0]]
    """
    return means(_attacks(outcomes), "caught", KEYS, each="scenario", draws=draws)


def warned(outcomes: pd.DataFrame, draws: int = DRAWS) -> pd.DataFrame:
    """Share of attacks that were missed, but an incident was raised while the attacker warmed the token up."""
    return means(_attacks(outcomes), "warned", KEYS, each="scenario", draws=draws)


def scenario_recall(outcomes: pd.DataFrame, draws: int = DRAWS) -> pd.DataFrame:
    """Share of a scenario's trials caught; one row a detector, budget, variant and scenario."""
    return means(_attacks(outcomes), "caught", [*KEYS, "scenario"], draws=draws)


def worst_mean(outcomes: pd.DataFrame, worst: int = 5, draws: int = DRAWS) -> pd.DataFrame:
    """Mean recall of the worst scenarios of each detector, budget and variant, and which those are (``scenarios``).

    Which they are is not drawn anew, as the least of drawn values lies below the least of the true ones: the interval
    is that of the scenarios named. With fewer scenarios, all of them count.

    Examples
    --------
    >>> one = {"detector": "d", "budget": 5.0, "variant": "clean", "kind": "attack", "seed": 1}
    >>> found = pd.DataFrame({"scenario": list("xxy"), "base_uid": list("abc"), "caught": [True, False, True]})
    >>> worst_mean(found.assign(**one), worst=1)[["value", "scenarios"]].values.tolist()
    [[0.5, ['x']]]
    """
    attacks = _attacks(outcomes)
    each = attacks.groupby([*KEYS, "scenario"])["caught"].mean().rename("value").reset_index()
    low = each.sort_values([*KEYS, "value", "scenario"]).groupby(KEYS).head(worst)
    table = means(attacks.merge(low[[*KEYS, "scenario"]]), "caught", KEYS, each="scenario", draws=draws)
    named = low.groupby(KEYS)["scenario"].agg(list).rename("scenarios").reset_index()
    return table.merge(named, on=KEYS)


def recall_by_kind(outcomes: pd.DataFrame, draws: int = DRAWS) -> pd.DataFrame:
    """Share of attacks caught by kind of token (``behaviour``), each scenario counting the same."""
    return means(_attacks(outcomes), "caught", [*KEYS, "behaviour"], each="scenario", draws=draws)


def time_to_detect(outcomes: pd.DataFrame, draws: int = DRAWS) -> pd.DataFrame:
    """Hours until half (``level`` 0.5) and nine tenths (0.9) of the attacks are caught; a miss counts at the horizon.

    A quantile is the least time by which that share was caught. ``missed`` (bool): fewer were, and ``value`` is only
    how long was looked. Every miss stands at the longest time that any trial was looked at: a miss of an attack that
    begins an hour before the end is no quick catch. Each scenario counts the same.
    """
    attacks = _attacks(outcomes)
    attacks = attacks.assign(hours=attacks["hours"].where(attacks["caught"], attacks["hours"].max()))
    table = quantiles(attacks, "hours", KEYS, [0.5, 0.9], each="scenario", draws=draws)
    share = means(attacks, "caught", KEYS, each="scenario", draws=0)[[*KEYS, "value"]]
    share = table[KEYS].merge(share, on=KEYS, how="left")["value"]
    return table.assign(missed=(share.to_numpy() < table["level"].to_numpy(float) - 1e-9).astype(bool))


def loss(outcomes: pd.DataFrame, draws: int = DRAWS) -> pd.DataFrame:
    """Share of the ``bytes`` and of the ``objects`` (``what``) that was taken before the first fresh incident.

    The share of each attack, averaged: one huge theft does not hide the others. A miss loses all. Attacks that take
    nothing are left out.
    """
    attacks = _attacks(outcomes)
    parts = [
        means(attacks, f"{w}_lost", KEYS, each="scenario", draws=draws).assign(what=w) for w in ("bytes", "objects")
    ]
    return pd.concat(parts, ignore_index=True)


def detectability(outcomes: pd.DataFrame, draws: int = DRAWS) -> pd.DataFrame:
    """Recall against intensity; one row a detector, budget, variant, scenario and intensity."""
    return means(_attacks(outcomes), "caught", [*KEYS, "scenario", "intensity"], draws=draws)


def falls(curve: pd.DataFrame) -> pd.DataFrame:
    """Where a stronger attack is caught less often than a weaker one, by more than both intervals allow.

    Parameters
    ----------
    curve : ``detectability``

    Returns
    -------
    DataFrame, one row a detector, budget, variant, scenario and pair of intensities
        ``weaker``, ``stronger`` (intensity), ``weaker_recall``, ``stronger_recall``.

    Examples
    --------
    >>> curve = pd.DataFrame({"detector": "d", "budget": 5.0, "variant": "clean", "scenario": "s",
    ...     "intensity": [1.0, 2.0], "value": [0.9, 0.5], "low": [0.8, 0.4], "high": [1.0, 0.6]})
    >>> falls(curve)[["weaker", "stronger", "weaker_recall", "stronger_recall"]].values.tolist()
    [[1.0, 2.0, 0.9, 0.5]]
    """
    keys = [*KEYS, "scenario"]
    both = curve.merge(curve, on=keys, suffixes=("", "_to"))
    both = both[(both["intensity"] < both["intensity_to"]) & (both["high_to"] < both["low"])]
    named = {"intensity": "weaker", "intensity_to": "stronger", "value": "weaker_recall", "value_to": "stronger_recall"}
    return both.rename(columns=named)[[*keys, *named.values()]].reset_index(drop=True)


def intensity_at_recall(curve: pd.DataFrame, levels: Sequence[float] = (0.5, 0.9)) -> pd.DataFrame:
    """The intensity from which on a share of the attacks is caught; NaN where it never is.

    The recall is made to rise with intensity (isotonic regression, by trials), then read off between two intensities
    in proportion. Its interval is where the upper and the lower ends of the recall, made to rise likewise, reach it.

    Parameters
    ----------
    curve : ``detectability``
    levels : shares, of 0 to 1

    Returns
    -------
    DataFrame, one row a detector, budget, variant, scenario and ``level``
        ``value``, ``low``, ``high`` (intensity), ``at_most`` (bool: the lowest intensity tried reaches it already).

    Examples
    --------
    >>> curve = pd.DataFrame({"detector": "d", "budget": 5.0, "variant": "clean", "scenario": "s", "n": 60,
    ...     "intensity": [0.1, 0.3, 0.5], "value": [0.2, 0.6, 0.8], "low": [0.1, 0.5, 0.7], "high": [0.3, 0.7, 0.95]})
    >>> intensity_at_recall(curve)["value"].round(3).tolist()
    [0.25, nan]
    """
    from scipy.optimize import isotonic_regression

    keys, found = [*KEYS, "scenario"], []
    for key, rows in curve.sort_values("intensity").groupby(keys, sort=True):
        x, n = rows["intensity"].to_numpy(float), rows["n"].to_numpy(float)
        risen = [isotonic_regression(rows[name].to_numpy(float), weights=n).x for name in ("value", "high", "low")]
        for level in levels:
            at = [_first_intensity(x, y, level) for y in risen]
            found.append([*key, level, *at, int(n.sum()), bool(risen[0][0] >= level)])
    return pd.DataFrame(found, columns=[*keys, "level", "value", "low", "high", "n", "at_most"])


def _first_intensity(x: np.ndarray, y: np.ndarray, level: float) -> float:
    above = np.flatnonzero(y >= level - 1e-12)
    if not len(above):
        return float("nan")
    at = int(above[0])
    return float(x[0]) if at == 0 else float(np.interp(level, y[at - 1 : at + 1], x[at - 1 : at + 1]))


def benign_changes_raised(outcomes: pd.DataFrame, draws: int = DRAWS) -> pd.DataFrame:
    """Share of benign changes that raise a fresh incident, each scenario counting the same."""
    changes = outcomes[outcomes["kind"] == BENIGN_CHANGE]
    return means(changes, "caught", KEYS, each="scenario", draws=draws)


def cause_named(outcomes: pd.DataFrame, scenarios: pd.DataFrame, draws: int = DRAWS) -> pd.DataFrame:
    """Share of caught attacks where one of ``scenarios.shown_by`` is among the three first reasons of their incident.

    All caught attacks count alike. A detector that never gives a reason is left out: there is nothing to judge.
    """
    shown = {s: set(names) for s, names in zip(scenarios["scenario"], scenarios["shown_by"], strict=True)}
    caught = _attacks(outcomes)
    caught = caught[caught["caught"]]
    # none at all may be an empty list, None or NaN, whatever wrote the table
    reasons = [list(given)[:REASONS] if np.iterable(given) else [] for given in caught["reasons"]]
    hit = [not shown[s].isdisjoint(r) for s, r in zip(caught["scenario"], reasons, strict=True)]
    caught = caught.assign(hit=np.array(hit, dtype=bool), given=[bool(r) for r in reasons])
    gives = caught.groupby("detector")["given"].transform("any").astype(bool)
    return means(caught[gives], "hit", KEYS, draws=draws)


def paired(outcomes: pd.DataFrame, reference: str, draws: int = DRAWS) -> pd.DataFrame:
    """Recall of every other detector less that of one, on the same trials, with Wilcoxon's signed-rank test over seeds.

    The test knows only the seeds: of five, the least two-sided p that it can reach is 2 / 2^5 = 0.0625, even when all
    five agree (``attainable``). So the interval of the difference, over tokens, is what decides.

    Parameters
    ----------
    outcomes : ``trial_outcomes``
    reference : detector that the others are compared with

    Returns
    -------
    DataFrame, one row another detector, budget and variant
        ``value`` (mean over scenarios of the difference; above 0: better than the reference), ``low``, ``high``, ``n``
        (trials of both), ``p`` (two-sided, exact; 1 where no seed differs), ``attainable``, ``seeds`` (that differ).

    Raises
    ------
    InputError
        The reference is not among the detectors.
    """
    from scipy.stats import PermutationMethod, wilcoxon

    attacks = _attacks(outcomes)
    if reference not in set(attacks["detector"]):
        raise InputError(f"no detector {reference!r} in the outcomes; there are {sorted(set(attacks['detector']))}")
    mine = attacks.loc[attacks["detector"] == reference, ["budget", "trial", "caught"]]
    both = attacks[attacks["detector"] != reference].merge(mine, on=["budget", "trial"], suffixes=("", "_reference"))
    both = both.assign(more=both["caught"].astype(float) - both["caught_reference"].astype(float))
    by_seed = means(both, "more", [*KEYS, "seed"], each="scenario", draws=0)
    tests = []
    for key, rows in by_seed.groupby(KEYS, sort=True):
        # whole and tied differences must compare as equal
        differs = rows["value"].to_numpy(float).round(12)
        differs = differs[differs != 0]
        p = wilcoxon(differs, method=PermutationMethod(rng=0)).pvalue if len(differs) > 1 else 1.0
        tests.append([*key, float(p), min(2.0 / 2 ** len(differs), 1.0), len(differs)])
    tested = pd.DataFrame(tests, columns=[*KEYS, "p", "attainable", "seeds"]).astype(by_seed[KEYS].dtypes.to_dict())
    return means(both, "more", KEYS, each="scenario", draws=draws).merge(tested, on=KEYS)


def ablation(outcomes: pd.DataFrame, whole: str, without: Mapping[str, str], draws: int = DRAWS) -> pd.DataFrame:
    """Recall that is lost without each family of features, the greatest loss first within a budget.

    Parameters
    ----------
    outcomes : ``trial_outcomes``, of the whole detector and of those that lack one family
    whole : the detector with all families
    without : family -> detector that lacks it

    Returns
    -------
    DataFrame
        ``paired`` with its sign turned (above 0: recall that the family brings) and ``family``.
    """
    family = {detector: name for name, detector in without.items()}
    table = paired(outcomes[outcomes["detector"].isin([whole, *family])], whole, draws)
    table = table.assign(
        family=table["detector"].map(family), value=-table["value"], low=-table["high"], high=-table["low"]
    )
    return table.sort_values(["budget", "variant", "value", "family"], ascending=[True, True, False, True]).reset_index(
        drop=True
    )


def summary(
    trials: pd.DataFrame,
    alerts: pd.DataFrame,
    benign: pd.DataFrame,
    runs: pd.DataFrame,
    windows: pd.DataFrame,
    scenarios: pd.DataFrame,
    draws: int = DRAWS,
) -> pd.DataFrame:
    """The leaderboard: one row a detector, the best recall at 5 incidents a day first, then the fewest false alarms.

    All is at that budget and of the clean variant unless the column says otherwise; NaN where nothing was to be judged.

    Returns
    -------
    DataFrame indexed by detector
        ``recall_1``, ``recall_5``, ``recall_5_low``, ``recall_5_high``, ``recall_10``, ``recall_20``, ``recall_dirty``,
        ``recall_poisoned``, ``warned_poisoned`` (of the rest, those whose warming-up was raised; a share of all),
        ``worst_5``, ``worst_5_low``, ``worst_5_high``, ``worst_scenarios`` (list of str),
        ``average_precision``, ``roc_auc`` (both by window), ``incident_precision`` (average precision by incident),
        ``precision_5``, ``precision_10``, ``precision_20`` (at k a day), ``hours_median``, ``hours_p90``,
        ``bytes_lost``, ``objects_lost``, ``benign_change``, ``of_budget``, ``explained``, ``harm_minutes``,
        ``stability`` (rank correlation with what is learned from days one day earlier), ``fit_s``, ``score_s`` (CPU
        seconds a seed), ``seeds``, ``trials`` (int, attacks).
    """
    outcomes = trial_outcomes(trials, alerts, runs)
    headline = outcomes[outcomes["budget"] == HEADLINE]
    at = headline[headline["variant"] == CLEAN]
    clean, one = runs[runs["variant"] == CLEAN], [HEADLINE]
    table = clean.groupby("detector").agg(
        fit_s=("fit_s", "mean"), score_s=("score_s", "mean"), seeds=("seed", "nunique"),
        stability=("stability", "mean"),
    )  # fmt: skip

    def put(rows: pd.DataFrame, name: str, column: str = "value") -> None:
        table[name] = rows.set_index("detector")[column].reindex(table.index)

    budgets = recall(outcomes[outcomes["variant"] == CLEAN], 0)
    dirty, poisoned = (headline[headline["variant"] == variant] for variant in ("dirty", "poisoned"))
    by_window = ranking.window_precision(windows, trials, 0)
    lists = ranking.precision_at(trials, alerts, benign, runs, budgets=one, draws=0)
    hours, lost = time_to_detect(at, 0), loss(at, 0)
    worst = worst_mean(at, 5, draws)
    columns = {f"recall_{budget:g}": budgets[budgets["budget"] == budget] for budget in BUDGETS}
    columns |= {f"precision_{k}": lists[lists["k"] == k] for k in (5, 10, 20)}
    columns |= {
        "recall_dirty": recall(dirty, 0), "recall_poisoned": recall(poisoned, 0),
        "warned_poisoned": warned(poisoned, 0), "recall_5": recall(at, draws), "worst_5": worst,
        "average_precision": by_window[by_window["metric"] == "average precision"],
        "roc_auc": by_window[by_window["metric"] == "roc auc"],
        "incident_precision": ranking.incident_precision(trials, alerts, benign, runs, one, 0),
        "hours_median": hours[hours["level"] == 0.5], "hours_p90": hours[hours["level"] == 0.9],
        "bytes_lost": lost[lost["what"] == "bytes"], "objects_lost": lost[lost["what"] == "objects"],
        "benign_change": benign_changes_raised(at, 0), "of_budget": burden.share_of_budget(benign, runs, one, 0),
        "explained": cause_named(at, scenarios, 0), "harm_minutes": burden.harm(benign, runs, one, 0),
    }  # fmt: skip
    for name, rows in columns.items():
        put(rows, name)
    for name in ("recall_5", "worst_5"):
        put(columns[name], f"{name}_low", "low")
        put(columns[name], f"{name}_high", "high")
    put(worst, "worst_scenarios", "scenarios")
    table["trials"] = _attacks(at).groupby("detector").size().reindex(table.index, fill_value=0)
    order = ["recall_5", "benign_change", "of_budget"]
    return table.sort_values(order, ascending=[False, True, True], kind="stable")[SUMMARY]


def _attacks(outcomes: pd.DataFrame) -> pd.DataFrame:
    return outcomes[outcomes["kind"] == ATTACK]
