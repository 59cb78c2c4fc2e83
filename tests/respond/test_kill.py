"""A process that is killed in the middle of an action leaves nothing that the journal does not say."""

import pytest
from respond import kill
from respond.conftest import TOKEN, incident

from tokenkit import respond


@pytest.mark.haproxy
def test_what_kill_9_leaves_is_what_the_journal_says(gateway, make):
    workspace = make([incident("inc1_a", TOKEN, "lock")], gateway.settings)
    (proposal,) = respond.newest(workspace)
    found = kill.run(gateway, workspace, proposal, pairs=20, seed=1)
    assert found["problems"] == []
    assert found["killed"] == 20 and found["in doubt"] > 0, "or nothing was tested"
