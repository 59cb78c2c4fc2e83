"""A small benign organisation of the bench, measured once for all tests."""

import shutil
from pathlib import Path

import pytest
from conftest import once

from tokenkit.bench.trials import benign, draws


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
