"""Compare: detectors side by side at one incident budget, on the same organisations, by one protocol.

Reads  Case, Contender. Writes nothing but the cache of ``organisations``.

The protocol, the same for all (EVALUATION.md): fitted on the reference days; every active profile-day after them is
scored; the calibration days turn scores into surprise; thresholds follow the last 14 days, by the pipeline's own
``incidents.budget``; flagged windows merge by the pipeline's own ``incidents.merge``; incidents are counted after that.
A contender of one channel has the whole budget for it. Rules of policy raise nothing here: they need no detector.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tokenkit import channels
from tokenkit.bench import metrics, protocol
from tokenkit.bench.cases import Case, organisations, own_logs
from tokenkit.bench.detectors.contenders import PIPELINE, Contender, Scored, advice, choose, own
from tokenkit.bench.detectors.matrices import MATRICES
from tokenkit.errors import InputError
from tokenkit.incidents import merge, thresholds
from tokenkit.judge import detect
from tokenkit.progress import Progress, silent

__all__ = [
    "MATRICES",
    "PIPELINE",
    "Case",
    "Comparison",
    "Contender",
    "advice",
    "choose",
    "joined",
    "organisations",
    "own",
    "own_logs",
    "run",
]


@dataclass(frozen=True)
class Comparison:
    """Plain tables. ``organisation`` is the case's name, ``contender`` the contender's, in each of them.

    ``runs``: one row a contender and organisation (``metrics.summary``), with ``note``;
    ``outcomes``: one row a contender and attack; ``incidents``: one row a contender and incident;
    ``flagged``: one row a contender and flagged profile-day of the reported days.
    """

    runs: pd.DataFrame
    outcomes: pd.DataFrame
    incidents: pd.DataFrame
    flagged: pd.DataFrame

    def table(self) -> pd.DataFrame:
        """One row a contender, the best recall first (``metrics.summary``)."""
        return metrics.summary(self.runs, self.outcomes)

    def agreement(self, names: Sequence[str] = ()) -> pd.DataFrame:
        """Jaccard index of flagged profile-days, contender x contender (``metrics.agreement``)."""
        return metrics.agreement(self.flagged, list(names) or list(self.runs["contender"].unique()))


def run(
    cases: Sequence[Case],
    contenders: Sequence[Contender],
    budget_per_1000: float = 5.0,
    seed: int = 0,
    progress: Progress = silent,
) -> Comparison:
    """Score every case with every contender and count what the budget lets through.

    Parameters
    ----------
    cases : organisations, with or without truth
    contenders : ``choose``, ``own``
    budget_per_1000 : new incidents a day for each 1,000 profiles
    seed : of everything random in the contenders
    progress : function of stage, done, total

    Raises
    ------
    InputError
        The budget is not above 0, two contenders have one name, or a contender gave no usable scores.
    """
    names = [c.name for c in contenders]
    if not budget_per_1000 > 0 or not np.isfinite(budget_per_1000):
        raise InputError(
            f"budget is {budget_per_1000}, expected more than 0: new incidents a day for each 1,000 profiles"
        )
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise InputError(f"two contenders are called {twice[0]!r}: give one of them another name")
    runs: list[dict[str, object]] = []
    results, found, flagged = [], [], []
    total = len(cases) * len(contenders)
    for case in cases:
        for contender in contenders:
            progress(f"comparing ({len(contenders)} contenders)", len(runs), total)
            scored = contender.score(case, seed)
            windows = flagged_windows(case, contender, scored, budget_per_1000)
            start = pd.Timestamp(case.periods.start, tz="UTC")
            rows = metrics.incidents(windows, start)
            touching = metrics.touched(windows, case.attacks)
            opened = rows[rows["opened"]]
            profiles = len(case.evidence.days.profiles)
            runs.append(
                {"contender": contender.name, "organisation": case.name, "sees": contender.sees, "how": scored.how,
                 "profiles": profiles, "days": case.days, "allowed": budget_per_1000 * profiles / 1000 * case.days,
                 "opened": len(opened), "hits": int(opened["incident_uid"].isin(touching["incident_uid"]).sum()),
                 "fit_s": scored.fit_s, "score_s": scored.score_s, "note": scored.note}
            )  # fmt: skip
            named = {"contender": contender.name, "organisation": case.name}
            results.append(metrics.outcomes(rows, touching, case.attacks).assign(**named))
            found.append(rows.assign(**named))
            day = windows["start"].dt.normalize()
            inside = windows.assign(day=day)[day >= start][["profile_uid", "day"]].drop_duplicates()
            flagged.append(inside.assign(**named))
    if total:
        progress(f"comparing ({len(contenders)} contenders)", total, total)
    return Comparison(pd.DataFrame(runs, columns=RUNS), _joined(results, OUTCOMES), _joined(found, FOUND),
                      _joined(flagged, FLAGGED))  # fmt: skip


RUNS = ["contender", "organisation", "sees", "how", "profiles", "days", "allowed", "opened", "hits", "fit_s", "score_s",
        "note"]  # fmt: skip
OUTCOMES = ["contender", "organisation", "attack", "scenario", "outcome", "rank", "of", "hours"]
FOUND = ["contender", "organisation", "incident_uid", "profile_uid", "start", "end", "raised", "score_bits", "opened"]
FLAGGED = ["contender", "organisation", "profile_uid", "day"]


def joined(parts: Sequence[Comparison]) -> Comparison:
    """Several comparisons by the same contenders as one, so that only one organisation need be in memory."""
    columns = {"runs": RUNS, "outcomes": OUTCOMES, "incidents": FOUND, "flagged": FLAGGED}
    return Comparison(**{name: _joined([getattr(p, name) for p in parts], columns[name]) for name in columns})


def _joined(frames: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    full = [f for f in frames if len(f)]
    return pd.concat(full, ignore_index=True)[columns] if full else pd.DataFrame(columns=columns)


def flagged_windows(case: Case, contender: Contender, scored: Scored, budget_per_1000: float) -> pd.DataFrame:
    """Windows beyond the budget's thresholds, with their ``incident_uid``: ``incidents.detect`` for any contender.

    Returns
    -------
    DataFrame, one row a flagged window from the first calibration day on
        ``profile_uid``, ``channel``, ``start``, ``end``, ``score_bits``, ``incident_uid``.
    """
    rows = scored.rows
    days = pd.date_range(case.calibration[0], case.periods.end, freq="D", inclusive="left", tz="UTC").as_unit("us")
    if contender.rule:
        raised = rows[rows["raw_bits"] > 0].assign(score_bits=rows["raw_bits"])
        raised = raised.assign(end=raised["start"] + raised["window"].map(merge.SPAN))
        return merge.join(raised, contender.gap_days)
    judged = pd.Index(case.evidence.days.profiles)
    core = case.evidence.days.core
    known = judged[core] if core.any() else judged
    own_unit = set(channels.gaps())
    units = {
        str(c): (0.0, 1.0) if c in own_unit else protocol.unit(g, case.calibration) for c, g in rows.groupby("channel")
    }
    rows = protocol.in_units(rows, units)
    rows = channels.calibrate(
        rows, *case.calibration, contender.shares, set(known), detect.teaches(rows, case.evidence)
    )
    taught = rows[detect.teaches(rows, case.evidence)]
    heights = {c: thresholds.daily_heights(taught[taught["channel"] == c], known, days) for c in contender.shares}
    allowed = budget_per_1000 * len(known) / 1000
    limits = thresholds.thresholds(heights, contender.gap_days, contender.shares, days, case.calibration[1], allowed)
    return merge.join(merge.flag(rows, limits), contender.gap_days)
