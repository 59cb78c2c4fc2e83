"""Lock and undo again and again, killed with SIGKILL at random moments: what is in force is what the journal says."""

import os
import random
import signal
import statistics
import time
import traceback
from typing import Any

from respond.gateway import Gateway

from tokenkit import respond
from tokenkit.config import Workspace
from tokenkit.respond import journal
from tokenkit.respond.proposal import Proposal


def _pair(workspace: Workspace, proposal: Proposal) -> None:
    respond.apply(workspace, proposal, "ana", "kill test")
    respond.undo(workspace, proposal.action_uid, "ana", "kill test")


def _state(workspace: Workspace, proposal: Proposal) -> str:
    return journal.standing(journal.read(workspace)).get(proposal.action_uid, ("proposed",))[0]


def unsaid(workspace: Workspace, proposal: Proposal, settled: bool) -> str | None:
    """What the gateway does that the journal does not say, or None."""
    connector = respond.connectors(workspace)["haproxy"]
    assert not isinstance(connector, str)
    found, state = connector.read(proposal.handle), _state(workspace, proposal)
    may = {journal.APPLIED: {proposal.verb}, journal.IN_DOUBT: {proposal.verb, None}}.get(state, {None})
    if not {found.in_force, found.kept} <= may or (settled and (state == journal.IN_DOUBT or not found.agree)):
        return f"{state}: {found.line()}"
    return None


def run(gateway: Gateway, workspace: Workspace, proposal: Proposal, pairs: int, seed: int) -> dict[str, Any]:
    """Kill ``pairs`` processes, each in the middle of a lock and its undo; what was found.

    The moment is drawn from the time that a pair takes, measured as it goes; a pair that ended before is not counted.
    """
    rng, took = random.Random(seed), []
    for _ in range(5):
        began = time.perf_counter()
        _pair(workspace, proposal)
        took.append(time.perf_counter() - began)
    problems: list[str] = []
    counts = {"killed": 0, "ended before": 0, "in doubt": 0, "applied": 0, "file and runtime apart": 0}
    connector = respond.connectors(workspace)["haproxy"]
    assert not isinstance(connector, str)
    for n in range(20 * pairs):
        if counts["killed"] == pairs:
            break
        began = time.perf_counter()
        child = os.fork()
        if child == 0:
            try:
                _pair(workspace, proposal)
            except BaseException:
                traceback.print_exc()
                os._exit(7)
            os._exit(0)
        time.sleep(rng.uniform(0, 1.2 * statistics.median(took[-15:])))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        counts["killed" if os.WIFSIGNALED(status) else "ended before"] += 1
        if not os.WIFSIGNALED(status):
            took.append(0.8 * (time.perf_counter() - began))  # it ended a little before it was killed
        if os.WIFEXITED(status) and os.WEXITSTATUS(status):
            problems.append(f"pair {n}: the child failed")
        state = _state(workspace, proposal)
        counts["in doubt"] += state == journal.IN_DOUBT
        counts["applied"] += state == journal.APPLIED
        counts["file and runtime apart"] += not connector.read(proposal.handle).agree
        problems += [f"pair {n}, before: {p}" for p in [unsaid(workspace, proposal, False)] if p]
        respond.settle(workspace, "raj")
        problems += [f"pair {n}, after: {p}" for p in [unsaid(workspace, proposal, True)] if p]
        if _state(workspace, proposal) == journal.APPLIED and rng.random() < 0.5:
            respond.undo(workspace, proposal.action_uid, "raj", "kill test")
    if broken := journal.check(journal.read(workspace)):
        problems.append(broken)
    return {"pairs": pairs, **counts, "problems": problems}
