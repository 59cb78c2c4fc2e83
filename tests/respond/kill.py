"""Lock a token and undo it in a process of its own that kills itself with SIGKILL, at a named point or a random one."""

import os
import random
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

from tokenkit import respond
from tokenkit.config import Workspace
from tokenkit.respond import act, journal
from tokenkit.respond.connector import GatewayState
from tokenkit.respond.haproxy import HAProxy
from tokenkit.respond.proposal import Proposal

# name: the function at which the process dies, before or after it, and the phase of the journal that it is called for
POINTS: dict[str, tuple[object, str, str, str | None]] = {
    "before the intent": (journal, "append", "before", journal.INTENT),
    "after the intent": (journal, "append", "after", journal.INTENT),
    "after the map file": (HAProxy, "_replace_file", "after", None),
    "after the gateway": (HAProxy, "write", "after", None),
    "before the result": (journal, "append", "before", journal.RESULT),
    "after the result": (journal, "append", "after", journal.RESULT),
}


def die() -> None:
    """End this process as kill -9 does."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(point: str) -> None:
    """Let this process die when it comes to a named point."""
    owner, name, when, phase = POINTS[point]
    function = getattr(owner, name)

    def deadly(*arguments: Any) -> Any:
        here = phase is None or phase in arguments
        if here and when == "before":
            die()
        result = function(*arguments)
        if here:
            die()
        return result

    setattr(owner, name, deadly)


def in_a_child(call: Callable[[], object]) -> int:
    """Call a function in a forked process; returns -9 where that was killed, 0 where the function ended well."""
    child = os.fork()
    if child == 0:
        try:
            call()
        except BaseException:
            traceback.print_exc()
            os._exit(7)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def counting(call: Callable[[], object], deadline: float = float("inf")) -> int:
    """Count the calls of functions, Python's own included, while a function runs; the process dies in number
    ``deadline``.
    """
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        if "call" in event:
            calls += 1
            if calls >= deadline:
                die()

    sys.setprofile(count)
    try:
        call()
    finally:
        sys.setprofile(None)
    return calls


def gateway(workspace: Workspace, proposal: Proposal) -> GatewayState:
    """What HAProxy does with the token of a proposal."""
    return act.usable_connector(respond.connectors(workspace), "haproxy").read(proposal.handle)


def state_of(workspace: Workspace, proposal: Proposal) -> str:
    """What the journal says of an action."""
    return journal.latest(journal.read(workspace)).get(proposal.action_uid, ("proposed",))[0]


def contradiction(workspace: Workspace, proposal: Proposal, settled: bool) -> str | None:
    """What the gateway does that the journal does not say, or None."""
    at_gateway, state = gateway(workspace, proposal), state_of(workspace, proposal)
    allowed = {journal.APPLIED: {proposal.verb}, journal.IN_DOUBT: {proposal.verb, None}}.get(state, {None})
    unsettled = settled and (state == journal.IN_DOUBT or not at_gateway.agree)
    if unsettled or not {at_gateway.in_force, at_gateway.after_restart} <= allowed:
        return f"{state}: {at_gateway.in_words()}"
    return None


def at_random(workspace: Workspace, proposal: Proposal, kills: int, seed: int) -> dict[str, Any]:
    """Kill so many processes in the middle of a lock and its undo, each in another call of a function.

    Where they die is drawn from the calls that a whole lock and undo takes, so a slow machine is as good as a fast one.
    """

    def both() -> None:
        respond.apply(workspace, proposal, "ana", "kill test")
        respond.undo(workspace, proposal.action_uid, "ana", "kill test")

    rng = random.Random(seed)
    both()  # what is made or imported on first use
    calls = counting(both)
    counts = dict.fromkeys(("killed", "in doubt", "applied", "file and runtime apart"), 0)
    problems = []
    for n in range(kills):
        deadline = rng.randrange(1, int(0.95 * calls))
        counts["killed"] += in_a_child(lambda deadline=deadline: counting(both, deadline)) == -signal.SIGKILL
        state = state_of(workspace, proposal)
        counts["in doubt"] += state == journal.IN_DOUBT
        counts["applied"] += state == journal.APPLIED
        counts["file and runtime apart"] += not gateway(workspace, proposal).agree
        problems += [f"kill {n}, before: {p}" for p in [contradiction(workspace, proposal, False)] if p]
        respond.settle(workspace, "raj")
        problems += [f"kill {n}, after: {p}" for p in [contradiction(workspace, proposal, True)] if p]
        if state_of(workspace, proposal) == journal.APPLIED:
            respond.undo(workspace, proposal.action_uid, "raj", "kill test")
    if broken := journal.check(journal.read(workspace)):
        problems.append(broken)
    return {**counts, "problems": problems}
