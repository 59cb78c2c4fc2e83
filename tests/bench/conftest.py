"""A small benign organisation of the bench, measured once for the tests of a worker."""

import pytest


@pytest.fixture(scope="session")
def ground(tmp_path_factory):
    """40 tokens over 90 days; not to be changed."""
    from tokenkit.bench import leaderboard

    return leaderboard.grounds(tmp_path_factory.mktemp("ground"), 3, 40, events_a_token_day=30.0)


@pytest.fixture(scope="session")
def events(ground):
    from tokenkit.bench import overlay

    return overlay.events_of(ground, overlay.attackable(ground))
