"""Ranking: whether attacks stand above what is benign, in all windows, in all incidents and in the list of one day.

Reads  windows, trials, alerts, benign, runs: tables that measure and leaderboard write. Writes nothing.
All of it is about the clean variant, because the benign incidents are those of its runs.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from tokenkit.bench.metrics.intervals import DRAWS, Floats, means, value_and_interval, weights

BUDGETS = (1.0, 5.0, 10.0, 20.0)
CLEAN, ATTACK = "clean", "attack"
METRICS = ("average precision", "roc auc")  # by window
# draws that are in memory at once: 20,000 windows x 100 float64 are 16 MB, a few times over
_BLOCK = 100


def window_precision(windows: pd.DataFrame, trials: pd.DataFrame, draws: int = DRAWS) -> pd.DataFrame:
    """Average precision and ROC-AUC by window, each window with its weight.

    Both depend on what the table holds, average precision on its share of attack windows too: ``base`` is that share,
    and what scores at random reach. ROC-AUC stands beside it for comparison with what others publish: at low base rates
    it flatters. The intervals draw the attacked tokens anew and keep the benign windows as they are.

    Parameters
    ----------
    windows : DataFrame, one row a sampled window
        ``detector``, ``seed``, ``trial`` (int, -1: of the benign organisation), ``score_bits``, ``attack`` (bool),
        ``weight`` (float, how many windows it stands for).
    trials : as in ``scoring.trial_outcomes``; only the windows of clean trials count

    Returns
    -------
    DataFrame, one row a detector and ``metric`` (average precision, roc auc)
        ``value``, ``low``, ``high``, ``n`` (int, attack windows), ``base``.
    """
    found = []
    for detector, drawn, n, base in _drawn_precision(windows, trials, draws):
        for metric, values in zip(METRICS, drawn, strict=True):
            numbers = [number.item() for number in value_and_interval(values[None])]
            found.append([detector, metric, *numbers, n, base])
    return pd.DataFrame(found, columns=["detector", "metric", "value", "low", "high", "n", "base"])


def precision_beside(windows: pd.DataFrame, trials: pd.DataFrame, reference: str, draws: int = DRAWS) -> pd.DataFrame:
    """Average precision by window of every other detector less that of one, with its interval: both see the same draws.

    Returns
    -------
    DataFrame, one row another detector: ``detector``, ``value`` (above 0: better than the reference), ``low``, ``high``
    """
    each = {detector: drawn[0] for detector, drawn, _, _ in _drawn_precision(windows, trials, draws)}
    own = each.pop(reference)
    found = [[detector, *(n.item() for n in value_and_interval((v - own)[None]))] for detector, v in each.items()]
    return pd.DataFrame(found, columns=["detector", "value", "low", "high"])


def _drawn_precision(
    windows: pd.DataFrame, trials: pd.DataFrame, draws: int
) -> Iterator[tuple[str, Floats, int, float]]:  # fmt: skip
    """Each detector, its metrics (``METRICS`` x 1 + draws), its attack windows, and the share of them."""
    token = trials.loc[trials["variant"] == CLEAN].set_index("trial")["base_uid"]
    rows = windows[windows["trial"].isin(token.index) | (windows["trial"] == -1)]
    for detector, mine in rows.groupby("detector", sort=True):
        hit = mine["attack"].to_numpy(bool)
        if not hit.any() or hit.all():
            continue
        attack = mine[hit].assign(base_uid=mine.loc[hit, "trial"].map(token))
        attack = attack.sort_values(["score_bits", "seed", "base_uid", "weight"], ascending=False)
        unit, drawn = weights(attack["seed"], attack["base_uid"], draws)
        weight, score = attack["weight"].to_numpy(float)[:, None], attack["score_bits"].to_numpy(float)
        benign = mine.loc[~hit].sort_values(["score_bits", "weight"], ascending=False)
        benign_scores, benign_weights = benign["score_bits"].to_numpy(float), benign["weight"].to_numpy(float)[:, None]
        above = [_at_least(benign_scores, benign_weights, score, strictly) for strictly in (False, True)]
        auc = 1 - (above[0] + above[1]) / 2 / benign_weights.sum()
        parts = []
        for at in range(0, drawn.shape[1], _BLOCK):
            counted = drawn[unit, at : at + _BLOCK] * weight
            precision = average_precision(score, counted, benign_scores, benign_weights)
            parts.append([precision, _ratio((counted * auc).sum(axis=0), counted)])
        base = float(weight.sum() / (weight.sum() + benign_weights.sum()))
        yield str(detector), np.concatenate(parts, axis=1), int(hit.sum()), base


def average_precision(
    score: Floats, weight: Floats, benign_scores: Floats, benign_weights: Floats, missed: float | Floats = 0.0
) -> Floats:
    """Precision at each step down the list, weighted by the share of attacks that the step adds; ties are one step.

    Parameters
    ----------
    score, weight : (attacks,) and (attacks, draws)
    benign_scores, benign_weights : (benign,) and (benign, 1 or draws); scores and weights of what is benign
    missed : weight of the attacks that stand nowhere in the list

    Returns
    -------
    ndarray (draws,); NaN where a draw holds no attack

    Examples
    --------
    >>> one = np.ones((2, 1))
    >>> average_precision(np.array([9.0, 3.0]), one, np.array([5.0, 1.0]), one).round(3).tolist()
    [0.833]
    """
    order = np.argsort(-score, kind="stable")
    right = np.cumsum(weight[order], axis=0)
    last = np.flatnonzero(np.diff(score[order], append=np.nan) != 0)
    right = right[last]
    wrong = _at_least(benign_scores, benign_weights, score[order][last])
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.nan_to_num(right / (right + wrong))
        steps = np.diff(right, axis=0, prepend=0.0)
        total = (right[-1] if len(right) else 0.0) + missed
        return np.asarray((steps * precision).sum(axis=0) / np.where(total > 0, total, np.nan))


def _at_least(benign_scores: Floats, benign_weights: Floats, score: Floats, strictly: bool = False) -> Floats:
    """Weight of what is benign at (or, strictly, above) each score: (scores, 1 or draws)."""
    order = np.argsort(-benign_scores, kind="stable")
    sums = np.vstack([np.zeros((1, benign_weights.shape[1])), np.cumsum(benign_weights[order], axis=0)])
    return sums[np.searchsorted(-benign_scores[order], -score, side="left" if strictly else "right")]


def _ratio(sums: Floats, counted: Floats) -> Floats:
    total = counted.sum(axis=0)
    return np.asarray(np.divide(sums, total, out=np.full(len(total), np.nan), where=total > 0))


def incident_precision(
    trials: pd.DataFrame, alerts: pd.DataFrame, benign: pd.DataFrame, runs: pd.DataFrame,
    budgets: Sequence[float] = BUDGETS, draws: int = DRAWS,
) -> pd.DataFrame:  # fmt: skip
    """Average precision by incident at each budget: attacks that were caught and benign incidents in one list.

    An attack stands in it once, with the highest score of its fresh incidents; a missed one stands nowhere and counts
    as never found. As hundreds of trials share an organisation that in truth would see few, the trials of a scenario
    in a seed weigh one together: the list is that of organisations in which each scenario happens once. Seeds are
    pooled. The intervals draw attacked tokens and those with benign incidents.

    Parameters
    ----------
    trials, alerts, runs : as in ``scoring.trial_outcomes``
    benign : DataFrame, one row an incident: ``detector``, ``budget``, ``seed``, ``profile_uid``, ``score_bits``

    Returns
    -------
    DataFrame, one row a detector and budget: ``value``, ``low``, ``high``, ``n`` (int, attacks)
    """
    attacks = trials[(trials["variant"] == CLEAN) & (trials["kind"] == ATTACK)].sort_values("trial")
    attacks = attacks.assign(weight=1 / attacks.groupby(["seed", "scenario"])["trial"].transform("size"))
    best = caught(alerts).groupby(["detector", "budget", "trial"])["score_bits"].max()
    found = []
    for detector, seeds in runs[runs["variant"] == CLEAN].groupby("detector", sort=True)["seed"]:
        mine = attacks[attacks["seed"].isin(seeds)]
        for budget in map(float, budgets):
            at = (benign["detector"] == detector) & (benign["budget"] == budget) & benign["seed"].isin(seeds)
            wrong = benign[at].sort_values(["score_bits", "seed", "profile_uid"])
            score = best.reindex(pd.MultiIndex.from_product([[detector], [budget], mine["trial"]])).to_numpy(float)
            listed = np.isfinite(score)
            tokens = pd.concat([mine["base_uid"], wrong["profile_uid"]])
            unit, drawn = weights(pd.concat([mine["seed"], wrong["seed"]]), tokens, draws)
            benign_scores, own = wrong["score_bits"].to_numpy(float), unit[len(mine) :]
            parts = []
            for start in range(0, drawn.shape[1], _BLOCK):
                block = drawn[:, start : start + _BLOCK]
                weight = block[unit[: len(mine)]] * mine["weight"].to_numpy()[:, None]
                missed = weight[~listed].sum(axis=0)
                parts.append(average_precision(score[listed], weight[listed], benign_scores, block[own], missed))
            values = [end.item() for end in value_and_interval(np.concatenate(parts)[None])]
            found.append([detector, budget, *values, len(mine)])
    return pd.DataFrame(found, columns=["detector", "budget", "value", "low", "high", "n"])


def precision_at(
    trials: pd.DataFrame, alerts: pd.DataFrame, benign: pd.DataFrame, runs: pd.DataFrame,
    ks: Sequence[int] = (5, 10, 20), budgets: Sequence[float] = BUDGETS, draws: int = DRAWS,
) -> pd.DataFrame:  # fmt: skip
    """Share of the first ``k`` incidents of a day's list that are true, on days with an attack to be found.

    The day of an attack is the UTC day on which its first fresh incident was raised. The list of that day holds the
    trial's incidents raised on it, and the benign incidents of its seed raised on it but for those of the attacked
    token (whose place the trial takes), the highest score first, what is benign first among equals. The precision is
    the number of fresh incidents of the attack among the first k, divided by k or by the length of a shorter list. A
    missed attack has 0. The mean over attacks counts each scenario the same.

    One attack at a time is on the list, so a long list has at most 1/k: ``attainable`` is what the same incidents
    would reach in the best order. Lists grow with the organisation: ``profiles`` (mean over seeds) goes with each row.

    Parameters
    ----------
    trials, alerts, runs : as in ``scoring.trial_outcomes``
    benign : as in ``incident_precision``, with ``raised``
    ks : lengths of the part of the list that is read

    Returns
    -------
    DataFrame, one row a detector, budget and ``k``
        ``value``, ``low``, ``high``, ``n`` (int, attacks), ``attainable``, ``profiles``.
    """
    clean = runs[runs["variant"] == CLEAN]
    attacks = trials[(trials["variant"] == CLEAN) & (trials["kind"] == ATTACK)]
    attacks = attacks[["trial", "seed", "scenario", "base_uid"]].sort_values("trial")
    table = clean[["detector", "seed"]].drop_duplicates().merge(attacks, on="seed")
    table = table.merge(pd.DataFrame({"budget": [float(b) for b in budgets]}), how="cross")
    key, place = ["detector", "budget", "trial"], ["detector", "budget", "seed", "day"]
    day = alerts["raised"].dt.normalize()
    mine = alerts[[*key, "incident_uid", "score_bits"]].assign(day=day, true=_catches(alerts))
    first = mine[mine["true"]].groupby(key)["day"].min().rename("first").reset_index()
    mine = mine.merge(first, on=key)
    mine = mine[mine["day"] == mine["first"]].merge(table, on=key)
    others = benign.assign(day=benign["raised"].dt.normalize())
    both = pd.concat([mine.assign(ours=True), others.assign(ours=False)], ignore_index=True)
    both = both.sort_values([*place, "score_bits", "ours", "true", "incident_uid"],
                            ascending=[True] * 4 + [False, True, True, True])  # fmt: skip
    both["above"] = (~both["ours"]).groupby([both[name] for name in place]).cumsum()
    mine = both[both["ours"]].copy()
    mine["true"] = mine["true"].astype(bool)
    mine["rank"] = mine["above"] + mine.groupby(key).cumcount()
    # what the token raised in the benign run is not in the list of the trial
    own = mine.reset_index()[["index", *place, "base_uid", "score_bits"]].merge(
        others[[*place, "profile_uid", "score_bits"]], left_on=[*place, "base_uid"], right_on=[*place, "profile_uid"],
        suffixes=("", "_benign"),
    )  # fmt: skip
    higher = own[own["score_bits_benign"] >= own["score_bits"]].groupby("index").size()
    mine["rank"] -= higher.reindex(mine.index, fill_value=0)
    length = others.groupby(place).size().rename("length").reset_index()
    mine = mine.merge(length, on=place, how="left").fillna({"length": 0})
    removed = others.groupby([*place, "profile_uid"]).size().rename("removed").reset_index()
    mine = mine.merge(removed, left_on=[*place, "base_uid"], right_on=[*place, "profile_uid"], how="left")
    lists = mine.groupby(key).agg(
        listed=("true", "size"), true=("true", "sum"), length=("length", "first"), removed=("removed", "first")
    )
    lists["length"] += lists["listed"] - lists["removed"].fillna(0)
    found = []
    for k in ks:
        top = mine[mine["true"] & (mine["rank"] < k)].groupby(key).size().reindex(lists.index, fill_value=0)
        read = lists["length"].clip(upper=k)
        rows = pd.DataFrame({"hit": top / read, "best": lists["true"].clip(upper=k) / read}).reset_index()
        rows = table.merge(rows, on=key, how="left").fillna({"hit": 0.0, "best": 0.0})
        best = means(rows, "best", ["detector", "budget"], each="scenario", draws=0)["value"]
        measured = means(rows, "hit", ["detector", "budget"], each="scenario", draws=draws)
        found.append(measured.assign(k=k, attainable=best))
    size = clean.groupby("detector")["profiles"].mean().rename("profiles").reset_index()
    return pd.concat(found, ignore_index=True).merge(size, on="detector")


def caught(alerts: pd.DataFrame) -> pd.DataFrame:
    """Alerts that catch their trial: a flagged window overlaps the attack, and it was raised after the attack began."""
    return alerts[_catches(alerts)]


def _catches(alerts: pd.DataFrame) -> pd.Series:
    return alerts["fresh"].astype(bool) & alerts["touches"].astype(bool)
