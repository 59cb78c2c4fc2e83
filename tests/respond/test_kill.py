"""A process that is killed in the middle of an action leaves nothing that the journal does not say."""

import signal

import pytest
from respond import kill
from respond.conftest import TOKEN, incident

from tokenkit import respond
from tokenkit.respond import journal
from tokenkit.respond.connector import GatewayState

pytestmark = pytest.mark.haproxy
NOTHING, LOCKED = GatewayState(None, None), GatewayState("lock", "lock")

# where it is killed: what the journal says then, what HAProxy and its file do, and the state that settling makes of it
APPLY = {
    "before the intent": ("proposed", NOTHING, "proposed"),
    "after the intent": (journal.IN_DOUBT, NOTHING, journal.APPLIED),
    "after the map file": (journal.IN_DOUBT, GatewayState(None, "lock"), journal.APPLIED),
    "after the gateway": (journal.IN_DOUBT, LOCKED, journal.APPLIED),
    "before the result": (journal.IN_DOUBT, LOCKED, journal.APPLIED),
    "after the result": (journal.APPLIED, LOCKED, journal.APPLIED),
}
UNDO = {
    "before the intent": (journal.APPLIED, LOCKED, journal.APPLIED),
    "after the intent": (journal.IN_DOUBT, LOCKED, journal.UNDONE),
    "after the map file": (journal.IN_DOUBT, GatewayState("lock", None), journal.UNDONE),
    "after the gateway": (journal.IN_DOUBT, NOTHING, journal.UNDONE),
    "before the result": (journal.IN_DOUBT, NOTHING, journal.UNDONE),
    "after the result": (journal.UNDONE, NOTHING, journal.UNDONE),
}


@pytest.mark.parametrize("point", kill.POINTS)
@pytest.mark.parametrize("operation", ["apply", "undo"])
def test_kill_9_at_each_step_leaves_what_the_journal_says_and_is_settled_once(gateway, make, operation, point):
    workspace = make([incident("inc1_a", TOKEN, "lock")], gateway.settings)
    (proposal,) = respond.newest_proposals(workspace)
    if operation == "undo":
        respond.apply(workspace, proposal, "ana", "stolen")

    def killed_command():
        kill.die_at(point)
        if operation == "apply":
            respond.apply(workspace, proposal, "ana", "stolen")
        else:
            respond.undo(workspace, proposal.action_uid, "ana", "a test of ours")

    assert kill.in_a_child(killed_command) == -signal.SIGKILL
    state, at_gateway, settled = (APPLY if operation == "apply" else UNDO)[point]
    assert kill.state_of(workspace, proposal) == state
    assert kill.gateway(workspace, proposal) == at_gateway
    sentences = respond.settle(workspace, "raj")
    assert len(sentences) == (state == journal.IN_DOUBT)
    assert kill.state_of(workspace, proposal) == settled
    assert kill.gateway(workspace, proposal) == (LOCKED if settled == journal.APPLIED else NOTHING)
    rows = journal.read(workspace)
    assert [r.phase for r in rows] == ["intent", "result"] * (len(rows) // 2), "settled once, in one more row"
    assert [r.record["settled"] for r in rows if r.phase == journal.RESULT][-1:] in ([], [state == journal.IN_DOUBT])
    assert journal.check(rows) is None and respond.settle(workspace, "raj") == []


def test_kill_9_at_random_moments_leaves_what_the_journal_says(gateway, make):
    workspace = make([incident("inc1_a", TOKEN, "lock")], gateway.settings)
    (proposal,) = respond.newest_proposals(workspace)
    outcome = kill.at_random(workspace, proposal, kills=12, seed=1)
    assert outcome["problems"] == [] and outcome["killed"] == 12
