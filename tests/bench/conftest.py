"""A small benign organisation of the bench, measured once for all tests."""

import shutil
from pathlib import Path

import pytest
from conftest import once

from tokenkit.bench import scenarios
from tokenkit.bench.trials import benign, draws, overlay


@pytest.fixture(scope="session")
def ground(tmp_path_factory):
    """40 tokens over 90 days; not to be changed."""

    def made(folder: Path):
        return benign.simulated(folder, 3, 40, events_a_token_day=30.0)

    # a copy for each worker: whoever opens a workspace may write to it
    shared = once(tmp_path_factory, "small-ground", made)
    return made(Path(shutil.copytree(shared, tmp_path_factory.mktemp("ground") / "ground")))


@pytest.fixture(scope="session")
def events(ground):
    return draws.events_of(ground, draws.attackable(ground))


CHOSEN = ("stolen_token", "bulk_spike", "slow_exfiltration", "orphan", "deploy")


@pytest.fixture(scope="session")
def attacked(ground, events, tmp_path_factory):
    """Two trials of each of ``CHOSEN`` at its strongest; not to be changed."""
    cells = [(scenarios.get(one), scenarios.get(one).intensities[-1]) for one in CHOSEN]
    trials = draws.draw(ground, cells, 2, events)
    return overlay.attack(ground, trials, events, tmp_path_factory.mktemp("twins") / "lake")
