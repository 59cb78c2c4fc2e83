"""The oracle of amounts: as good as the noise allows, and never better than chance where nothing changes."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tokenkit.bench.metrics import reachable
from tokenkit.fingerprint import judged_features

PROFILES, DAYS, FIRST = 400, 60, 30  # days from the first reported one on


@pytest.fixture(scope="module")
def quiet() -> Any:
    """Profiles whose every amount is noise of one standard deviation each day."""
    rng = np.random.default_rng(7)
    noise = {name: rng.normal(size=(PROFILES, DAYS)) for name in judged_features()}
    return evidence(noise, [f"p{n}" for n in range(PROFILES)])


def evidence(residuals: dict[str, np.ndarray], profiles: list[str]) -> Any:
    reported = np.arange(DAYS) >= FIRST
    days = SimpleNamespace(
        between=lambda start: reported, counted=np.ones((len(profiles), DAYS), bool), row=profiles.index
    )
    return SimpleNamespace(days=days, since_reference=residuals, periods=SimpleNamespace(start=None))


def attacked(quiet: Any, shift: float, days: int, names: tuple[str, ...] = ("response_bytes",)) -> Any:
    """Every tenth profile with some amounts raised from the fifth reported day on."""
    rows = np.arange(0, PROFILES, 10)
    changed = {name: values[rows].copy() for name, values in quiet.since_reference.items()}
    for name in names:
        changed[name][:, FIRST + 5 : FIRST + 5 + days] += shift
    return evidence(changed, [f"t{n}" for n in rows])


def of(quiet: Any, theirs: Any) -> pd.Series:
    trials = pd.DataFrame({"trial": range(40), "base_uid": [f"p{n}" for n in range(0, PROFILES, 10)],
                           "profile_uid": [f"t{n}" for n in range(0, PROFILES, 10)]})  # fmt: skip
    found = reachable.of_amounts(quiet, theirs, trials)
    assert found["trial"].tolist() == sorted([*range(40), *range(40)])
    return found.set_index(["window_days", "trial"])["by_chance"]


def test_a_change_far_above_the_noise_is_hardly_ever_surpassed_by_chance(quiet):
    assert (of(quiet, attacked(quiet, 1.5, 20))[14] <= 0.01).mean() > 0.9


def test_where_no_amount_changes_chance_surpasses_it_always(quiet):
    assert (of(quiet, attacked(quiet, 0.0, 20)) == 1.0).all()


def test_a_stronger_a_longer_and_a_broader_change_are_clearer(quiet):
    def median(*change: Any) -> float:
        return float(of(quiet, attacked(quiet, *change))[30].median())

    usual = median(0.5, 8)
    assert usual > median(0.8, 8) and usual > median(0.5, 20)
    assert usual > median(0.5, 8, ("response_bytes", "objects", "new_objects"))


def test_what_is_seen_in_fourteen_days_is_no_clearer_than_in_thirty(quiet):
    found = of(quiet, attacked(quiet, 0.5, 25))
    assert found[14].median() > found[30].median()


def test_a_profile_whose_level_moves_by_itself_hides_the_same_change(quiet):
    walk = np.random.default_rng(8).normal(size=(PROFILES, DAYS)).cumsum(axis=1)
    restless = {
        name: values + (walk if name == "response_bytes" else 0.0) for name, values in quiet.since_reference.items()
    }
    moving = evidence(restless, [f"p{n}" for n in range(PROFILES)])
    assert of(moving, attacked(moving, 1.0, 20))[30].median() > 5 * of(quiet, attacked(quiet, 1.0, 20))[30].median()


def test_no_trial_by_amounts_is_an_empty_table(quiet):
    empty = reachable.of_amounts(quiet, quiet, pd.DataFrame(columns=["trial", "base_uid", "profile_uid"]))
    assert empty.empty and empty.dtypes.astype(str).tolist() == ["int64", "int64", "float64"]
