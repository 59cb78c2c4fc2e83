"""A small benign organisation of the bench, measured once for all tests."""

import shutil
from pathlib import Path

import pytest
from conftest import once

from tokenkit.bench import scenarios
from tokenkit.bench.trials import draws, overlay
from tokenkit.bench.trials.unattacked import simulated_organisation


@pytest.fixture(scope="session")
def organisation(tmp_path_factory):
    """40 tokens over 90 days; not to be changed."""

    def made(folder: Path):
        return simulated_organisation(folder, 3, 40, events_a_token_day=30.0)

    # a copy for each worker: whoever opens a workspace may write to it
    shared = once(tmp_path_factory, "small-organisation", made)
    return made(Path(shutil.copytree(shared, tmp_path_factory.mktemp("organisation") / "organisation")))


@pytest.fixture(scope="session")
def events(organisation):
    return draws.events_of(organisation, draws.attackable(organisation))


CHOSEN = ("stolen_token", "bulk_spike", "slow_exfiltration", "orphan", "deploy")


@pytest.fixture(scope="session")
def attacked(organisation, events, tmp_path_factory):
    """Two trials of each of ``CHOSEN`` at its strongest; not to be changed."""
    cells = [(scenarios.get(one), scenarios.get(one).intensities[-1]) for one in CHOSEN]
    trials = draws.draw(organisation, cells, 2, events)
    return overlay.attack(organisation, trials, events, tmp_path_factory.mktemp("twins") / "lake")
