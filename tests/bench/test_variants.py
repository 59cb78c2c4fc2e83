"""Organisations that were not clean when they were learned from: what changes in them, and what does not."""

import numpy as np
import pandas as pd
import pytest

from tokenkit.bench import scenarios
from tokenkit.bench.scenarios.scenario import WARM_UP_DAYS
from tokenkit.bench.trials import draws, overlay, variants


@pytest.fixture(scope="module")
def past(unattacked, events, tmp_path_factory):
    return variants.dirty(unattacked, events, tmp_path_factory.mktemp("past") / "twins")


def changed_days(unattacked, changed):
    """Profile x day: whether the calls or the bytes of the day are others."""
    pairs = [
        (unattacked.evidence.days.values[n], changed.evidence.days.values[n]) for n in ("requests", "response_bytes")
    ]
    return np.any([~np.isclose(a, b, equal_nan=True) for a, b in pairs], axis=0)


def test_a_dirty_past_is_that_of_one_token_in_a_hundred_and_nothing_of_it_is_judged(unattacked, events, past):
    changed, others = past
    days = changed_days(unattacked, changed)
    attacked = {str(uid) for uid in unattacked.evidence.days.profiles[days.any(axis=1)]}
    assert attacked and attacked == set(events) - set(others)
    assert len(attacked) == max(1, round(variants.DIRTY_SHARE * len(unattacked.evidence.days.profiles)))
    assert unattacked.evidence.days.days[days.any(axis=0)].max() < pd.Timestamp(
        unattacked.evidence.periods.reference[1], tz="UTC"
    )


def test_what_a_killed_run_left_is_not_taken_for_its_own(unattacked, events, past, tmp_path):
    trial = draws.draw(unattacked, [(scenarios.get("stolen_token"), 40)], 1, events)
    overlay.write_twins(unattacked, trial, events, tmp_path / "twins")
    again, _ = variants.dirty(unattacked, events, tmp_path / "twins")
    for name, matrix in past[0].evidence.z.items():
        np.testing.assert_array_equal(matrix, again.evidence.z[name])
    assert not (tmp_path / "twins").exists()


def test_a_poisoned_token_is_warmed_for_two_weeks_and_no_other_is_touched(unattacked, events, tmp_path):
    cells = [
        (scenarios.get(one), scenarios.get(one).intensities[-1]) for one in ("bulk_spike", "stolen_token", "orphan")
    ]
    seen = []
    for changed, attacked in variants.poisoned(unattacked, cells, 2, events, 700, tmp_path / "twins"):
        days = changed_days(unattacked, changed)
        told = attacked.trials.set_index("profile_uid")
        assert told.index.is_unique and len(told) <= 2  # few of the organisation at a time
        assert set(unattacked.evidence.days.profiles[days.any(axis=1)]) == set(told.index)
        first = unattacked.evidence.days.days[days.any(axis=0)].min()
        assert first >= told["start"].min().floor("D") - pd.Timedelta(days=WARM_UP_DAYS)
        assert first < unattacked.start <= told["start"].min()
        assert (attacked.taken["time"] >= attacked.taken["trial"].map(told.set_index("trial")["start"])).all()
        seen.append(attacked.trials)
    trials = pd.concat(seen)
    assert trials["scenario"].value_counts().to_dict() == {"bulk_spike": 2, "stolen_token": 2}  # an orphan is or is not
    assert set(trials["variant"]) == {variants.POISONED} and sorted(trials["trial"]) == list(range(700, 704))
