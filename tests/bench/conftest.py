"""A small organisation of the bench that nobody attacks, measured once for all tests."""

import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import once

from tokenkit import config
from tokenkit.bench import scenarios
from tokenkit.bench.trials import draws, overlay
from tokenkit.bench.trials.unattacked import simulated_organisation


@pytest.fixture(scope="session")
def unattacked(tmp_path_factory):
    """40 tokens over 90 days; not to be changed."""

    def make(folder: Path):
        made = simulated_organisation(folder / "organisation", 3, 40, events_a_token_day=30.0)
        (folder / "measured").write_bytes(pickle.dumps(made))

    shared = once(tmp_path_factory, "small-unattacked", make)
    # a copy for each worker: whoever opens a workspace may write to it
    root = shutil.copytree(shared / "organisation", tmp_path_factory.mktemp("unattacked") / "organisation")
    return replace(pickle.loads((shared / "measured").read_bytes()), workspace=config.find(Path(root)))


@pytest.fixture(scope="session")
def events(unattacked):
    return draws.events_of(unattacked, draws.attackable(unattacked))


CHOSEN = ("stolen_token", "bulk_spike", "slow_exfiltration", "orphan", "deploy")


@pytest.fixture(scope="session")
def attacked(unattacked, events, tmp_path_factory):
    """Two trials of each of ``CHOSEN`` at its strongest; not to be changed."""

    def make(folder: Path):
        cells = [(scenarios.get(one), scenarios.get(one).intensities[-1]) for one in CHOSEN]
        trials = draws.draw(unattacked, cells, 2, events)
        profiles = overlay.attack(unattacked, trials, events, folder / "lake")
        (folder / "profiles").write_bytes(pickle.dumps(profiles))

    return pickle.loads((once(tmp_path_factory, "small-attacked", make) / "profiles").read_bytes())
