"""Behaviour: which kind of token a profile is follows from when and what it calls."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from conftest import once

from tokenkit import activity, config
from tokenkit.days import plan
from tokenkit.normal import behaviour
from tokenkit.normal.evidence import population
from tokenkit.world import simulate_lake
from tokenkit.world.catalogue import BENCH_JOBS

FIRST = date(2026, 1, 5)
OFFICE = list(range(8, 18))


def kind_of(hours: list[int], weekend: bool = False, days: int = 20, model: float = 0.0, owner: str = "service") -> str:
    """The kind of one profile with one call in each of these hours."""
    frame = pd.DataFrame({"profile_uid": "a", "hour": hours, "weekend": False, "requests": 1})
    if weekend:
        frame = pd.concat([frame, frame.assign(weekend=True)])
    found = behaviour.kinds(frame, pd.Series({"a": days}), pd.Series({"a": model}), pd.Series({"a": owner}), 28)
    return str(found["a"])


def test_kinds_are_told_by_hours_weekends_calls_and_owner() -> None:
    assert kind_of([3, 4], weekend=True) == "scheduled"
    assert kind_of(list(range(24)), weekend=True) == "service"
    assert kind_of(OFFICE, owner="human") == "person" and kind_of(OFFICE) == kind_of(OFFICE, owner="") == "office"
    assert kind_of(OFFICE, model=0.6) == "model"
    assert kind_of([3, 4], days=7) == "seldom"


def test_a_profile_without_a_call_is_seldom_used() -> None:
    none = pd.DataFrame({"profile_uid": [], "hour": [], "weekend": [], "requests": []})
    found = behaviour.kinds(none, pd.Series(dtype=float), pd.Series(dtype=float), pd.Series({"a": "human"}), 28)
    assert found.to_dict() == {"a": "seldom"}


def test_every_kind_is_said_in_words() -> None:
    assert set(behaviour.KINDS) == {"scheduled", "service", "person", "office", "model", "seldom"}


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> pd.Series:
    """Kind by profile of a simulated organisation, with its archetype as second level of the index."""

    def make(folder):  # type: ignore[no-untyped-def]
        place = config.init(folder)
        simulate_lake(
            place, tokens=63, days=42, start=pd.Timestamp("2026-01-05").date(), seed=5, processes=1, events=60_000
        )
        activity.build(place)

    place = config.find(once(tmp_path_factory, "kinds", make))
    periods = plan(FIRST, date(2026, 2, 10), date(2026, 2, 16), place.settings.history)
    people = population(place, periods).people
    archetype = {job.purpose: job.archetype for job in BENCH_JOBS}
    return people["behaviour"].groupby(people["purpose"].map(archetype)).value_counts(normalize=True)


def test_simulated_archetypes_are_told_apart_without_being_named(kinds: pd.Series) -> None:
    for archetype, kind in (("cron", "scheduled"), ("webhook", "service"), ("mobile", "service"), ("human", "person"),
                            ("llm", "model"), ("dormant", "seldom")):  # fmt: skip
        assert kinds[archetype].get(kind, 0.0) > 0.75, (archetype, kinds[archetype].to_dict())
    assert np.isclose(kinds.groupby(level=0).sum(), 1).all()
