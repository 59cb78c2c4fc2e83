"""Counterfactual: evidence as if some profiles had had other days after calibration.

Reads  nothing; the bench lays its trials over the evidence of an organisation with it. Writes nothing.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from tokenkit.errors import InputError
from tokenkit.fingerprint import judged_features
from tokenkit.normal import deviation
from tokenkit.normal.day_matrices import Days, Matrices
from tokenkit.normal.deviation import CLIP, Yardstick
from tokenkit.normal.evidence import Evidence
from tokenkit.normal.robust import column_median


def counterfactual(
    evidence: Evidence, rows: np.ndarray, profiles: np.ndarray, values: Matrices, hours: pd.DataFrame,
    unfamiliarity: pd.DataFrame, trials: np.ndarray,
) -> Evidence:  # fmt: skip
    """Evidence as if these profiles had other days after calibration.

    What is usual stays as ``evidence`` has it; what moved everyone on a day is worked out again with the other days in
    place of the profile's own, so that the result is what measuring the whole organisation again would give.

    Parameters
    ----------
    evidence : of the organisation, without labels
    rows : array of int: the row of ``evidence`` that each other profile takes the place of
    profiles : array of str: the names of the other profiles
    values : feature to matrix (one row each) x day, NaN without a call, equal to ``evidence`` until calibration ends
    hours : ``novelty.graded_hours`` of them
    unfamiliarity : ``familiarity.unfamiliarity`` of them
    trials : array of int: profiles with the same number are changed at the same time

    Raises
    ------
    InputError
        Something differs before the end of the calibration days, from which what is usual was learned.
    """
    _require_same_past(evidence, rows, values)
    before = evidence.of_profiles(rows)
    days = replace(before.days, profiles=profiles, values=values)
    bits, z, since_reference, yardsticks = {}, {}, {}, {}
    for name, feature in judged_features().items():
        yardstick, fit = evidence.yardsticks[name], before.fits[name]
        standard = deviation.in_deviations(fit, feature, days)
        everyones = deviation.in_deviations(evidence.fits[name], feature, evidence.days)
        effect = yardstick.day_effect[rows]
        for number in np.unique(trials):
            changed = np.flatnonzero(trials == number)
            _replace_day_effect(effect, everyones, standard[changed], rows[changed], changed, evidence.days)
        out_of_sample = yardstick.out_of_sample[rows]
        joined, recent = deviation.recent_deviations(standard, out_of_sample, effect, days, None)
        bits[name], z[name] = deviation.tail_bits(recent, yardstick.tails, days), recent
        since_reference[name] = np.clip(joined, -CLIP, CLIP)
        yardsticks[name] = Yardstick(out_of_sample, effect, yardstick.tails)
    return Evidence(evidence.periods, days, bits, z, since_reference, before.fits, yardsticks, hours, unfamiliarity)


def _replace_day_effect(
    effect: np.ndarray, everyones: np.ndarray, standard: np.ndarray, rows: np.ndarray, positions: np.ndarray,
    days: Days,
) -> None:  # fmt: skip
    """Set ``effect[positions]`` on the days on which ``standard`` differs from ``everyones[rows]``."""
    differs = ~((standard == everyones[rows]) | (np.isnan(standard) & np.isnan(everyones[rows]))).all(axis=0)
    if not differs.any():
        return
    replaced = everyones[:, differs]
    replaced[rows] = standard[:, differs]
    counted = days.representative
    everyone = np.nan_to_num(column_median(replaced[counted]))
    for position, row in zip(positions, rows, strict=True):
        peers = (days.group == days.group[row]) & counted
        effect[position, differs] = deviation.peers_effect(replaced[peers], everyone)


def _require_same_past(evidence: Evidence, rows: np.ndarray, values: Matrices) -> None:
    periods = evidence.periods
    assert periods.reference is not None
    end = (periods.calibration or periods.reference)[1]
    past = evidence.days.between(None, end)
    for name in judged_features():
        was, now = evidence.days.values[name][rows][:, past], values[name][:, past]
        different = ~((was == now) | (np.isnan(was) & np.isnan(now)))
        if different.any():
            row, column = np.argwhere(different)[0]
            raise InputError(
                f"{evidence.days.profiles[rows[row]]}: {name} on {evidence.days.days[column].date()} is "
                f"{now[row, column]:g}, was {was[row, column]:g}: what is usual was learned from the days before "
                f"{end}, so they must stay as they were"
            )
