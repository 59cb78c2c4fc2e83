"""Reachable: the best that any method could do where an attack changes amounts, by an oracle that knows the noise.

Reads  Evidence of an organisation, and of its attacked profiles. Writes nothing.
The oracle is a matched filter. It knows each profile's level and noise of the judged period in hindsight, how features
move together, and by how much the attack changes which feature on which day; it does not know when it begins. It is
given a share of the budget, and nothing else to look for. What it misses no threshold on these amounts can catch, so
the distance of a contender to it is what better statistics could win (Neyman and Pearson, 1933; Turin, *An introduction
to matched filters*, 1960).
"""

import numpy as np
import pandas as pd

from tokenkit.fingerprint import judged_features
from tokenkit.normal.evidence import Evidence

WINDOWS_DAYS = (14, 30)  # after the first changed day, in which it may be caught
HELD = 2.0  # standard deviations at which a day is held: single heavy days are frequent, and hide what lasts
LEAST_SD = 0.3  # of a profile's own noise, in those of the peers


def of_amounts(unattacked: Evidence, attacked: Evidence, trials: pd.DataFrame) -> pd.DataFrame:
    """How often each attack would be surpassed by chance, to one who knows the noise.

    Parameters
    ----------
    unattacked : evidence of the organisation
    attacked : evidence of the profiles that were attacked
    trials : ``trial``, ``base_uid``, ``profile_uid`` (in ``unattacked`` and in ``attacked``)

    Returns
    -------
    DataFrame, one row a trial and each of ``WINDOWS_DAYS``
        ``trial``, ``window_days`` (int), ``by_chance``: the share of profiles that nobody attacks which show the same
        change as clearly, in the reported days. 1 where no amount changes.
    """
    found: list[list[float]] = []
    if trials.empty:
        return _table(found)
    days = unattacked.days
    reported = days.between(unattacked.periods.start)
    raw = _residuals(unattacked)
    level = np.nanmean(raw, axis=1, keepdims=True)
    noise = np.fmax(np.nanstd(raw, axis=1, keepdims=True), LEAST_SD)
    usual = _held((raw - level) / noise)[:, reported]
    others = usual[days.counted[:, reported].any(axis=1)]
    worked = others.reshape(-1, others.shape[-1])
    together = np.nan_to_num(np.corrcoef(worked[worked.any(axis=1)].T))
    np.fill_diagonal(together, 1.0)
    weight = np.linalg.inv(0.9 * together + 0.1 * np.eye(len(together)))
    theirs = _residuals(attacked)
    for one in trials.itertuples():
        k = days.row(one.base_uid)
        mine = _held((theirs[attacked.days.row(one.profile_uid)] - level[k]) / noise[k])[reported]
        change = mine - usual[k]
        changed = np.flatnonzero(change.any(axis=1))
        for length in WINDOWS_DAYS:
            by_chance = 1.0
            if len(changed):
                shape = change[changed[0] : changed[0] + length] @ weight
                seen = float((mine[changed[0] : changed[0] + length] * shape).sum())
                by_chance = float((_largest(others, shape) >= seen).mean())
            found.append([one.trial, length, by_chance])
    return _table(found)


def _table(rows: list[list[float]]) -> pd.DataFrame:
    types = {"trial": "int64", "window_days": "int64", "by_chance": "float64"}
    return pd.DataFrame(rows, columns=list(types)).astype(types)


def _residuals(evidence: Evidence) -> np.ndarray:
    """Profile x day x feature: standard deviations since the frozen reference, NaN on days without a call."""
    return np.stack([evidence.since_reference[name] for name in judged_features()], axis=-1)


def _held(residuals: np.ndarray) -> np.ndarray:
    return np.clip(np.nan_to_num(residuals), -HELD, HELD)


def _largest(profiles: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """How clearly each profile shows a change of this shape on its best day to begin with.

    Examples
    --------
    >>> quiet, loud = np.zeros((4, 1)), np.array([[0.0], [1.0], [1.0], [0.0]])
    >>> _largest(np.stack([quiet, loud]), np.ones((2, 1))).tolist()
    [0.0, 2.0]
    """
    best = np.full(len(profiles), -np.inf)
    for first in range(profiles.shape[1]):
        part = profiles[:, first : first + len(shape)]
        best = np.maximum(best, np.einsum("kdf,df->k", part, shape[: part.shape[1]]))
    return best
