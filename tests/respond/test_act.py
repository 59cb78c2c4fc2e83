"""What an action does and writes down, word by word, at a gateway that lives in the test."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tokenkit import config
from tokenkit.config import Workspace
from tokenkit.errors import InputError, LockedError, RespondError
from tokenkit.respond import act, journal
from tokenkit.respond.act import Outcome
from tokenkit.respond.connector import Check, GatewayState, Verification
from tokenkit.respond.journal import APPLIED, FAILED, IN_DOUBT, UNDONE, UNVERIFIED
from tokenkit.respond.proposal import Proposal

HANDLE, OTHER_HANDLE = "76ca9a91aee79028", "11f0c7b2d4e66a93"
UID, OTHER = "act1_a", "act1_b"
NOTHING = GatewayState(None, None)
LOCK, RESTRICT = GatewayState("lock", "lock"), GatewayState("restrict", "restrict")
UNDO_LINE = "tokenkit respond undo act1_a --why REASON"
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class Kill(BaseException):
    """The process ends here, whatever it was about to do."""


class Gateway:
    """A gateway that keeps its entries in this process, and notes what it is asked for.

    ``trouble`` has, by the name of a function, what its next calls raise (None: nothing); with ``deaf`` it takes what
    is written and changes nothing.
    """

    def __init__(self, name: str = "edge") -> None:
        self.name = name
        self.states = {HANDLE: NOTHING, OTHER_HANDLE: NOTHING}
        self.calls: list[tuple[str, ...]] = []
        self.trouble: dict[str, list[BaseException | None]] = {}
        self.deaf = False
        self.at_write: Callable[[], None] = lambda: None

    def _asked(self, function: str, handle: str, *more: str) -> None:
        assert handle in self.states, f"{self.name} was asked for {handle!r}"
        self.calls.append((function, handle, *more))
        error = self.trouble[function].pop(0) if self.trouble.get(function) else None
        if error is not None:
            raise error

    def unusable(self, handle: str) -> str | None:
        return None

    def read(self, handle: str) -> GatewayState:
        self._asked("read", handle)
        return self.states[handle]

    def write(self, handle: str, value: str | None) -> None:
        self.at_write()
        self._asked("write", handle, value or "nothing")
        if not self.deaf:
            self.states[handle] = GatewayState(value, value)

    def verify(self, handle: str, expected: str | None) -> Verification:
        self._asked("verify", handle, expected or "nothing")
        state, wanted = self.states[handle], expected or "nothing"
        both = (("now", state.in_force), ("after a restart", state.after_restart))
        return Verification(tuple(Check(what, wanted, found or "nothing", found == expected) for what, found in both))

    def commands(self, handle: str, value: str | None) -> list[str]:
        return [f"{self.name}: set {handle} {value}", f"{self.name}: keep {handle} {value}"]

    def writes(self) -> list[tuple[str, ...]]:
        return [call[1:] for call in self.calls if call[0] == "write"]


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    return config.init(tmp_path / "w")


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


def proposal(uid: str = UID, verb: str = "lock", **more: str) -> Proposal:
    fields = {
        "incident_uid": "inc1_a", "profile_uid": "tok1_profile", "token_uid": "tok1_token", "connector": "edge",
        "handle": HANDLE, "label": "ci-deploy", "owner": "Ana", "headline": "It was used from a network.",
        "first_seen": "2026-03-03T02:00:00Z", "risk_level": "high",
    }  # fmt: skip
    return Proposal(uid, verb=verb, **(fields | more))


def apply(place: Workspace, gateway: Gateway, p: Proposal | None = None, who: str = "ana", why: str = "x") -> Outcome:
    return act.apply(place, {gateway.name: gateway}, p or proposal(), who, why)


def undo(place: Workspace, gateway: Gateway, uid: str = UID, who: str = "raj", why: str = "y") -> Outcome:
    return act.undo(place, {gateway.name: gateway}, uid, who, why)


def settle(place: Workspace, gateway: Gateway, who: str = "eve") -> list[str]:
    return act.settle(place, {gateway.name: gateway}, who)


def rows_of(place: Workspace) -> list[tuple[str, str, dict[str, Any]]]:
    """Action, phase and record of each row of the journal; a moment becomes WHEN."""
    rows = journal.read(place)
    assert journal.check(rows) is None
    return [(r.action_uid, r.phase, r.record | {"when": MOMENT.sub("WHEN", r.record["when"])}) for r in rows]


def without_moments(text: str) -> str:
    return MOMENT.sub("WHEN", text)


def state_of(place: Workspace, uid: str = UID) -> str:
    return journal.latest(journal.read(place))[uid].state


def checks(expected: str, now: str | None = None, later: str | None = None) -> list[dict[str, Any]]:
    """The checks as the journal has them."""
    found = {"now": now or expected, "after a restart": later or expected}
    return [{"what": w, "expected": expected, "found": f, "holds": f == expected} for w, f in found.items()]


def intent(**more: Any) -> dict[str, Any]:
    """What the journal has of a lock before anything is changed."""
    return {
        "operation": "apply", "verb": "lock", "value": "lock", "prior": None, "before": [None, None],
        "connector": "edge", "handle": HANDLE, "token_uid": "tok1_token", "incident_uid": "inc1_a",
        "label": "ci-deploy", "owner": "Ana", "first_seen": "2026-03-03T02:00:00Z", "risk_level": "high",
        "who": "ana", "why": "x", "when": "WHEN",
        "commands": [f"edge: set {HANDLE} lock", f"edge: keep {HANDLE} lock"],
        "undo": [f"edge: set {HANDLE} None", f"edge: keep {HANDLE} None"],
    } | more  # fmt: skip


def result(**more: Any) -> dict[str, Any]:
    """What the journal has of a lock that went well."""
    return {
        "operation": "apply", "status": "verified", "when": "WHEN", "who": "ana", "settled": False,
        "checks": checks("lock"), "note": "", "found": None,
    } | more  # fmt: skip


def kill_an_apply(
    place: Workspace, gateway: Gateway, p: Proposal | None = None, **trouble: list[BaseException | None]
) -> None:
    """An apply whose process ends right after the intent, or where ``trouble`` says."""
    gateway.trouble = trouble or {"write": [Kill()]}
    with pytest.raises(Kill):
        apply(place, gateway, p)
    gateway.trouble = {}
    assert state_of(place, (p or proposal()).action_uid) == IN_DOUBT


# ---- apply ----
def test_an_apply_is_an_intent_a_write_a_check_and_a_result(place: Workspace, gateway: Gateway) -> None:
    outcome = apply(place, gateway, who=" ana ", why=" ticket 12, token=abc123 ")
    assert gateway.calls == [("read", HANDLE), ("write", HANDLE, "lock"), ("verify", HANDLE, "lock")]
    assert gateway.states == {HANDLE: LOCK, OTHER_HANDLE: NOTHING}
    assert rows_of(place) == [
        (UID, "intent", intent(why="ticket 12, token=[masked]")),
        (UID, "result", result()),
    ]
    message = f"lock of ci-deploy (76ca...9028): applied, verified at {journal.read(place)[1].record['when']}"
    assert outcome == Outcome(UID, APPLIED, True, message, checks("lock"), [])


def test_the_intent_is_in_the_journal_before_the_gateway_is_changed_and_the_result_only_after(
    place: Workspace, gateway: Gateway
) -> None:
    phases: list[list[str]] = []
    gateway.at_write = lambda: phases.append([r.phase for r in journal.read(place)])
    apply(place, gateway)
    undo(place, gateway)
    assert phases == [["intent"], ["intent", "result", "intent"]]


def test_what_was_there_before_is_what_an_undo_would_put_back(place: Workspace, gateway: Gateway) -> None:
    gateway.states[HANDLE] = RESTRICT
    apply(place, gateway)
    undo_commands = [f"edge: set {HANDLE} restrict", f"edge: keep {HANDLE} restrict"]
    assert rows_of(place)[0][2] == intent(prior="restrict", before=["restrict", "restrict"], undo=undo_commands)


def test_the_verb_of_the_proposal_is_what_is_set(place: Workspace, gateway: Gateway) -> None:
    outcome = apply(place, gateway, proposal(verb="restrict"))
    assert gateway.states[HANDLE] == RESTRICT and outcome.message.startswith("restrict of ci-deploy")
    record = rows_of(place)[0][2]
    assert (record["verb"], record["value"]) == ("restrict", "restrict")


def test_an_action_that_is_done_already_is_not_done_again(place: Workspace, gateway: Gateway) -> None:
    apply(place, gateway)
    when = journal.read(place)[0].record["when"]
    gateway.calls.clear()
    message = f"act1_a was applied by ana at {when}: nothing to do"
    assert apply(place, gateway, who="raj") == Outcome(UID, APPLIED, False, message, [], [])
    assert gateway.calls == [("read", HANDLE)] and len(rows_of(place)) == 2


@pytest.mark.parametrize(
    ("why_not", "why"),
    [("", "; ask its owner, as the card says"), ("it has no handle", ": it has no handle")],
)
def test_a_notice_has_nothing_to_apply(place: Workspace, gateway: Gateway, why_not: str, why: str) -> None:
    with pytest.raises(InputError) as caught:
        apply(place, gateway, proposal(verb="notify", why_not=why_not))
    assert str(caught.value) == f"act1_a proposes to notify, so there is nothing to apply{why}"
    assert gateway.calls == [] and not place.state.exists()


@pytest.mark.parametrize("command", [apply, undo])
def test_without_a_reason_nothing_is_done(place: Workspace, gateway: Gateway, command: Callable[..., Outcome]) -> None:
    with pytest.raises(InputError, match="no reason is given"):
        command(place, gateway, why="  ")
    assert gateway.calls == [] and not place.state.exists()


def test_a_gateway_that_disagrees_with_itself_is_not_changed(place: Workspace, gateway: Gateway) -> None:
    gateway.states[HANDLE] = GatewayState(None, "restrict")
    with pytest.raises(InputError) as caught:
        apply(place, gateway)
    assert str(caught.value) == (
        "edge disagrees with itself about this token: nothing in force, restrict kept for a restart. "
        "Nothing was changed. Bring both to the same, by a reload or by hand, then repeat."
    )
    assert gateway.writes() == [] and rows_of(place) == []


def test_what_half_of_the_gateway_lost_is_applied_again_and_keeps_what_was_there_first(
    place: Workspace, gateway: Gateway
) -> None:
    gateway.states[HANDLE] = RESTRICT
    apply(place, gateway)
    gateway.states[HANDLE] = GatewayState("lock", None)
    outcome = apply(place, gateway, who="raj", why="again")
    assert outcome.acted and gateway.states[HANDLE] == LOCK
    undo_commands = [f"edge: set {HANDLE} restrict", f"edge: keep {HANDLE} restrict"]
    assert rows_of(place)[2:] == [
        (UID, "intent", intent(who="raj", why="again", prior="restrict", before=["lock", None], undo=undo_commands)),
        (UID, "result", result(who="raj")),
    ]
    undo(place, gateway)
    assert gateway.states[HANDLE] == RESTRICT


@pytest.mark.parametrize("state", [NOTHING, GatewayState(None, "lock")])
def test_what_the_gateway_lost_is_applied_again_over_what_it_does_now(
    place: Workspace, gateway: Gateway, state: GatewayState
) -> None:
    gateway.states[HANDLE] = RESTRICT
    apply(place, gateway)
    gateway.states[HANDLE] = state
    assert apply(place, gateway).acted and gateway.states[HANDLE] == LOCK
    assert (rows_of(place)[2][2]["prior"], rows_of(place)[2][2]["before"]) == (None, [None, state.after_restart])


def test_an_action_that_was_undone_is_applied_like_a_new_one(place: Workspace, gateway: Gateway) -> None:
    apply(place, gateway)
    undo(place, gateway)
    apply(place, gateway, proposal(OTHER, "restrict"))
    outcome = apply(place, gateway)
    assert outcome.acted and gateway.states[HANDLE] == LOCK, "a later action on the token does not stop it"
    assert rows_of(place)[-2][2]["prior"] == "restrict"
    assert undo(place, gateway).message.endswith("; what was there before is in force again: restrict")


def test_an_action_that_was_undone_is_not_applied_to_a_gateway_that_disagrees_with_itself(
    place: Workspace, gateway: Gateway
) -> None:
    apply(place, gateway)
    undo(place, gateway)
    gateway.states[HANDLE] = GatewayState("lock", None)
    with pytest.raises(InputError, match="disagrees with itself"):
        apply(place, gateway)
    assert len(rows_of(place)) == 4


# ---- what is refused ----
def test_the_hold_refuses_an_apply_before_anything_is_asked(place: Workspace, gateway: Gateway) -> None:
    kill_an_apply(place, gateway)
    gateway.calls.clear()
    place.hold.touch()
    with pytest.raises(InputError) as caught:
        apply(place, gateway, proposal(OTHER))
    assert str(caught.value) == (
        f"{place.hold} is there: nothing is applied while it is; undo stays allowed. Nothing was changed. "
        f"When the hold is over: rm {place.hold}"
    )
    assert gateway.calls == [] and state_of(place) == IN_DOUBT, "nor is an interrupted action finished"


def test_the_hold_allows_an_undo(place: Workspace, gateway: Gateway) -> None:
    apply(place, gateway)
    place.hold.touch()
    assert undo(place, gateway).state == UNDONE and gateway.states[HANDLE] == NOTHING


def test_a_connector_that_is_not_there_is_named_with_the_one_that_was_meant(place: Workspace, gateway: Gateway) -> None:
    with pytest.raises(InputError) as caught:
        apply(place, gateway, proposal(connector="egde"))
    assert str(caught.value) == "no connector 'egde'; did you mean edge?"
    assert rows_of(place) == []


def test_a_connector_that_is_not_set_up_says_what_it_lacks(place: Workspace, gateway: Gateway) -> None:
    with pytest.raises(InputError) as caught:
        act.apply(place, {"edge": "edge lacks its socket"}, proposal(), "ana", "x")
    assert str(caught.value) == "edge lacks its socket. Correct it, then repeat."
    apply(place, gateway)
    with pytest.raises(InputError, match=r"^edge lacks its socket\. Correct it, then repeat\.$"):
        act.undo(place, {"edge": "edge lacks its socket"}, UID, "ana", "x")
    assert state_of(place) == APPLIED


def test_a_gateway_that_cannot_be_read_leaves_no_row(place: Workspace, gateway: Gateway) -> None:
    gateway.trouble = {"read": [RespondError("it is down")]}
    with pytest.raises(RespondError, match=r"^it is down$"):
        apply(place, gateway)
    assert rows_of(place) == []


@pytest.mark.parametrize("command", [apply, undo])
def test_the_second_of_two_commands_is_refused_and_nothing_is_asked(
    place: Workspace, gateway: Gateway, command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(act, "TIMEOUT_S", 0.01)
    with FileLock(place.root / ".tokenkit" / "respond.lock"), pytest.raises(LockedError) as caught:
        command(place, gateway)
    assert str(caught.value) == (
        f"another respond command acts in {place.root}. Wait until it has finished, then look at what it did: "
        "tokenkit respond list. Nothing was changed."
    )
    assert gateway.calls == [] and not place.state.exists()


def test_the_lock_makes_its_folder_and_ends_with_a_command_that_failed(place: Workspace, gateway: Gateway) -> None:
    place.hold.parent.rmdir()
    with pytest.raises(InputError), act.lock(place):
        raise InputError("it failed")
    assert (place.root / ".tokenkit" / "respond.lock").exists()
    assert apply(place, gateway).state == APPLIED


# ---- two actions on one token ----
def test_the_later_of_two_actions_has_to_be_undone_first(place: Workspace, gateway: Gateway) -> None:
    apply(place, gateway, proposal(verb="restrict"))
    apply(place, gateway, proposal(OTHER))
    words = (
        "act1_a: act1_b was applied later to the same token. Nothing was changed. Undo that one first: "
        "tokenkit respond undo act1_b --why REASON"
    )
    for command in (lambda: undo(place, gateway), lambda: apply(place, gateway, proposal(verb="restrict"))):
        with pytest.raises(InputError) as caught:
            command()
        assert str(caught.value) == words
    assert gateway.states[HANDLE] == LOCK and len(rows_of(place)) == 4
    assert undo(place, gateway, OTHER).message.endswith("in force again: restrict")
    assert undo(place, gateway).state == UNDONE and gateway.states[HANDLE] == NOTHING


def test_an_action_on_another_handle_or_at_another_gateway_is_no_later_one(place: Workspace, gateway: Gateway) -> None:
    second = Gateway("second")
    both: act.Connectors = {"edge": gateway, "second": second}
    first = proposal()
    others = [proposal(OTHER, handle=OTHER_HANDLE), proposal("act1_c", connector="second")]
    for p in (first, *others):
        act.apply(place, both, p, "ana", "x")
    actions = journal.latest(journal.read(place))
    assert [act.later_action(actions, p.action_uid) for p in (first, *others)] == [None, None, None]
    assert act.undo(place, both, UID, "ana", "x").acted
    assert (gateway.states[HANDLE], gateway.states[OTHER_HANDLE], second.states[HANDLE]) == (NOTHING, LOCK, LOCK)


def test_a_later_action_that_is_undone_stands_in_nobodys_way(place: Workspace, gateway: Gateway) -> None:
    apply(place, gateway, proposal(verb="restrict"))
    apply(place, gateway, proposal(OTHER))
    assert act.later_action(journal.latest(journal.read(place)), UID) == OTHER
    undo(place, gateway, OTHER)
    assert act.later_action(journal.latest(journal.read(place)), UID) is None


# ---- undo ----
def test_an_undo_is_an_intent_a_write_a_check_and_a_result(place: Workspace, gateway: Gateway) -> None:
    apply(place, gateway)
    gateway.calls.clear()
    outcome = undo(place, gateway, who=" raj ", why=" it was our test ")
    assert gateway.calls == [("read", HANDLE), ("write", HANDLE, "nothing"), ("verify", HANDLE, "nothing")]
    assert gateway.states[HANDLE] == NOTHING
    assert rows_of(place)[2:] == [
        (UID, "intent", intent(
            operation="undo", before=["lock", "lock"], who="raj", why="it was our test",
            commands=[f"edge: set {HANDLE} None", f"edge: keep {HANDLE} None"],
            undo=["tokenkit respond apply act1_a --why REASON"])),
        (UID, "result", result(operation="undo", who="raj", checks=checks("nothing"))),
    ]  # fmt: skip
    message = f"lock of ci-deploy (76ca...9028): undone, verified at {journal.read(place)[3].record['when']}"
    assert outcome == Outcome(UID, UNDONE, True, message, checks("nothing"), [])


def test_an_undo_says_what_is_in_force_again(place: Workspace, gateway: Gateway) -> None:
    gateway.states[HANDLE] = RESTRICT
    assert "in force again" not in apply(place, gateway).message
    outcome = undo(place, gateway)
    assert without_moments(outcome.message) == (
        "lock of ci-deploy (76ca...9028): undone, verified at WHEN; what was there before is in force again: restrict"
    )
    assert gateway.states[HANDLE] == RESTRICT and outcome.checks == checks("restrict")
    assert rows_of(place)[2][2]["commands"] == [f"edge: set {HANDLE} restrict", f"edge: keep {HANDLE} restrict"]


def test_an_action_that_is_undone_already_is_not_undone_again(place: Workspace, gateway: Gateway) -> None:
    apply(place, gateway)
    undo(place, gateway)
    when = journal.read(place)[2].record["when"]
    gateway.calls.clear()
    message = f"act1_a was undone by raj at {when}: nothing to do"
    assert undo(place, gateway, who="eve") == Outcome(UID, UNDONE, False, message, [], [])
    assert gateway.calls == [] and len(rows_of(place)) == 4


def test_an_action_that_was_never_applied_cannot_be_undone(place: Workspace, gateway: Gateway) -> None:
    with pytest.raises(InputError) as caught:
        undo(place, gateway)
    assert str(caught.value) == (
        "act1_a: no such action was applied; nothing was applied in this workspace (tokenkit respond list)"
    )
    apply(place, gateway, proposal("act1_b0"))
    with pytest.raises(InputError) as caught:
        undo(place, gateway, "act1_b1")
    assert str(caught.value) == ("act1_b1: no such action was applied; did you mean act1_b0? (tokenkit respond list)")
    apply(place, gateway, proposal("act1_a9", handle=OTHER_HANDLE))
    with pytest.raises(InputError) as caught:
        undo(place, gateway, "zzz")
    assert str(caught.value) == ("zzz: no such action was applied; known: act1_a9, act1_b0 (tokenkit respond list)")


def test_an_entry_that_somebody_changed_is_not_put_back(place: Workspace, gateway: Gateway) -> None:
    apply(place, gateway)
    gateway.states[HANDLE] = GatewayState("restrict", "lock")
    with pytest.raises(InputError) as caught:
        undo(place, gateway)
    assert str(caught.value) == (
        "act1_a: somebody changed the entry since it set lock: restrict in force, lock kept for a restart. "
        f"Nothing was changed. Find out who did; by hand: edge: set {HANDLE} None; edge: keep {HANDLE} None"
    )
    gateway.states[HANDLE] = GatewayState("lock", "restrict")
    with pytest.raises(InputError, match="lock in force, restrict kept"):
        undo(place, gateway)
    assert gateway.writes() == [(HANDLE, "lock")] and len(rows_of(place)) == 2


@pytest.mark.parametrize("state", [LOCK, NOTHING, GatewayState("lock", None), GatewayState(None, "lock")])
def test_an_entry_that_is_wholly_or_half_back_can_be_undone(
    place: Workspace, gateway: Gateway, state: GatewayState
) -> None:
    apply(place, gateway)
    gateway.states[HANDLE] = state
    assert undo(place, gateway).state == UNDONE and gateway.states[HANDLE] == NOTHING
    assert rows_of(place)[2][2]["before"] == [state.in_force, state.after_restart]


# ---- a write that fails ----
def test_an_apply_that_fails_puts_back_what_was_there(place: Workspace, gateway: Gateway) -> None:
    gateway.states[HANDLE] = RESTRICT
    gateway.trouble = {"write": [RespondError("Out of memory.")]}
    with pytest.raises(RespondError) as caught:
        apply(place, gateway)
    assert str(caught.value) == "act1_a: apply failed; now restrict in force and kept. Out of memory."
    assert gateway.calls == [
        ("read", HANDLE), ("write", HANDLE, "lock"), ("write", HANDLE, "restrict"), ("read", HANDLE),
    ]  # fmt: skip
    note = "Out of memory. now restrict in force and kept"
    found = ["restrict", "restrict"]
    assert rows_of(place)[1] == (UID, "result", result(status="failed", checks=[], note=note, found=found))
    assert state_of(place) == FAILED
    assert apply(place, gateway).acted and rows_of(place)[2][2]["prior"] == "restrict"


def test_what_is_put_back_is_what_was_in_force_not_what_was_kept(place: Workspace, gateway: Gateway) -> None:
    apply(place, gateway)
    gateway.states[HANDLE] = GatewayState("restrict", "lock")
    gateway.trouble = {"write": [RespondError("No.")]}
    with pytest.raises(RespondError, match="now restrict in force and kept"):
        apply(place, gateway)
    assert gateway.writes()[1:] == [(HANDLE, "lock"), (HANDLE, "restrict")]


def test_an_apply_that_cannot_be_put_back_says_what_is_there(place: Workspace, gateway: Gateway) -> None:
    def half() -> None:
        gateway.states[HANDLE] = GatewayState(None, "lock")

    gateway.at_write = half
    gateway.trouble = {"write": [RespondError("No."), RespondError("No.")]}
    with pytest.raises(RespondError) as caught:
        apply(place, gateway)
    assert str(caught.value) == "act1_a: apply failed; now nothing in force, lock kept for a restart. No."
    assert rows_of(place)[1][2]["found"] == [None, "lock"]


def test_an_apply_that_fails_at_a_gateway_that_ends_says_that_nothing_is_known(
    place: Workspace, gateway: Gateway
) -> None:
    down = RespondError("It is down.")
    gateway.trouble = {"read": [None, down], "write": [down, down]}
    with pytest.raises(RespondError) as caught:
        apply(place, gateway)
    assert str(caught.value) == (
        "act1_a: apply failed; what is in force is not known, since the gateway cannot be asked. It is down."
    )
    note = "It is down. what is in force is not known, since the gateway cannot be asked"
    assert rows_of(place)[1] == (UID, "result", result(status="failed", checks=[], note=note))


def test_an_undo_that_fails_writes_nothing_more_and_may_still_be_in_force(place: Workspace, gateway: Gateway) -> None:
    apply(place, gateway)
    gateway.calls.clear()
    gateway.trouble = {"write": [RespondError("No.")]}
    with pytest.raises(RespondError) as caught:
        undo(place, gateway)
    assert str(caught.value) == "act1_a: undo failed; now lock in force and kept. No."
    assert gateway.calls == [("read", HANDLE), ("write", HANDLE, "nothing"), ("read", HANDLE)]
    note = "No. now lock in force and kept"
    row = result(operation="undo", status="failed", who="raj", checks=[], note=note, found=["lock", "lock"])
    assert rows_of(place)[3] == (UID, "result", row)
    assert state_of(place) == FAILED and journal.latest(journal.read(place))[UID].may_be_in_force
    assert undo(place, gateway).state == UNDONE


# ---- a check that fails ----
def test_what_the_gateway_did_not_do_is_not_verified_and_stays_as_it_is(place: Workspace, gateway: Gateway) -> None:
    gateway.deaf = True
    with pytest.raises(RespondError) as caught:
        apply(place, gateway)
    note = "now: expected lock, found nothing; after a restart: expected lock, found nothing"
    assert str(caught.value) == (
        f"act1_a: apply was carried out, but it is not verified: {note}. It stays as it is. Check "
        f"the gateway, then repeat the command to verify it, or put it back: {UNDO_LINE}"
    )
    failing = checks("lock", "nothing", "nothing")
    assert rows_of(place)[1] == (UID, "result", result(status="unverified", checks=failing, note=note))
    assert gateway.writes() == [(HANDLE, "lock")] and state_of(place) == UNVERIFIED


def test_a_check_that_cannot_be_made_verifies_nothing(place: Workspace, gateway: Gateway) -> None:
    gateway.trouble = {"verify": [RespondError("It is down")]}
    with pytest.raises(RespondError, match=r"^act1_a: apply was carried out, but it is not verified: It is down\. It "):
        apply(place, gateway)
    assert rows_of(place)[1] == (UID, "result", result(status="unverified", checks=[], note="It is down"))
    assert gateway.states[HANDLE] == LOCK


def test_what_was_not_verified_is_verified_when_it_is_repeated_and_not_done_again(
    place: Workspace, gateway: Gateway
) -> None:
    gateway.trouble = {"verify": [RespondError("It is down")]}
    with pytest.raises(RespondError):
        apply(place, gateway)
    gateway.calls.clear()
    outcome = apply(place, gateway, who="raj")
    assert gateway.calls == [("read", HANDLE), ("verify", HANDLE, "lock")]
    assert rows_of(place)[2:] == [(UID, "result", result(who="raj", settled=True))]
    assert (outcome.state, outcome.acted, outcome.checks) == (APPLIED, True, checks("lock"))


def test_what_was_not_verified_and_is_not_there_is_done_again(place: Workspace, gateway: Gateway) -> None:
    gateway.deaf = True
    with pytest.raises(RespondError):
        apply(place, gateway)
    gateway.deaf = False
    assert apply(place, gateway).acted and gateway.states[HANDLE] == LOCK
    assert [phase for _, phase, _ in rows_of(place)] == ["intent", "result", "intent", "result"]


def test_an_undo_that_is_not_verified_can_be_repeated_or_the_action_applied_again(
    place: Workspace, gateway: Gateway
) -> None:
    gateway.states[HANDLE] = RESTRICT
    apply(place, gateway)
    gateway.deaf = True
    with pytest.raises(RespondError, match=rf"^act1_a: undo was carried out, but .* put it back: {UNDO_LINE}$"):
        undo(place, gateway)
    assert state_of(place) == UNVERIFIED
    gateway.deaf = False
    assert apply(place, gateway).state == APPLIED
    assert rows_of(place)[4][2]["prior"] == "restrict" and [p for _, p, _ in rows_of(place)[4:]] == ["intent", "result"]
    assert undo(place, gateway).state == UNDONE and gateway.states[HANDLE] == RESTRICT


# ---- interrupted ----
def began(operation: str = "apply", who: str = "ana") -> str:
    return f"act1_a: {operation} by {who} at WHEN was interrupted"


@pytest.mark.parametrize("state", [NOTHING, GatewayState(None, "lock"), GatewayState("lock", None), LOCK])
def test_an_interrupted_apply_is_finished_wherever_it_ended(
    place: Workspace, gateway: Gateway, state: GatewayState
) -> None:
    kill_an_apply(place, gateway)
    gateway.states[HANDLE] = state
    (said,) = settle(place, gateway)
    when = journal.read(place)[0].record["when"]
    assert said.startswith(f"act1_a: apply by ana at {when} was interrupted; ")
    message = "lock of ci-deploy (76ca...9028): applied, verified at WHEN"
    assert without_moments(said) == f"{began()}; finished now: {message}"
    assert gateway.states[HANDLE] == LOCK and state_of(place) == APPLIED
    assert rows_of(place)[1:] == [(UID, "result", result(who="eve", settled=True))]
    assert settle(place, gateway) == [] and len(rows_of(place)) == 2


def test_an_interrupted_undo_is_finished_on_hold_as_well(place: Workspace, gateway: Gateway) -> None:
    gateway.states[HANDLE] = RESTRICT
    apply(place, gateway)
    gateway.trouble = {"write": [Kill()]}
    with pytest.raises(Kill):
        undo(place, gateway)
    place.hold.touch()
    (said,) = settle(place, gateway)
    assert without_moments(said) == (
        f"{began('undo', 'raj')}; finished now: lock of ci-deploy (76ca...9028): undone, verified at WHEN; "
        "what was there before is in force again: restrict"
    )
    assert gateway.states[HANDLE] == RESTRICT
    row = result(operation="undo", who="eve", settled=True, checks=checks("restrict"))
    assert rows_of(place)[3] == (UID, "result", row)


@pytest.mark.parametrize("state", [RESTRICT, GatewayState("lock", "restrict"), GatewayState("restrict", "lock")])
def test_an_interrupted_apply_is_put_back_on_hold(place: Workspace, gateway: Gateway, state: GatewayState) -> None:
    gateway.states[HANDLE] = RESTRICT
    kill_an_apply(place, gateway)
    gateway.states[HANDLE] = state
    gateway.calls.clear()
    place.hold.touch()
    assert [without_moments(said) for said in settle(place, gateway)] == [
        f"{began()}; {place.hold} is there, so it was put back: restrict in force and kept"
    ]
    assert gateway.calls == [("read", HANDLE), ("write", HANDLE, "restrict"), ("read", HANDLE)]
    note = "put back: the hold file was there"
    row = result(status="failed", who="eve", settled=True, checks=[], note=note, found=["restrict", "restrict"])
    assert rows_of(place)[1:] == [(UID, "result", row)] and state_of(place) == FAILED


def test_an_interrupted_apply_that_is_wholly_in_force_is_verified_on_hold(place: Workspace, gateway: Gateway) -> None:
    kill_an_apply(place, gateway, verify=[Kill()])
    place.hold.touch()
    (said,) = settle(place, gateway)
    assert "finished now: lock of ci-deploy" in said
    assert gateway.states[HANDLE] == LOCK and state_of(place) == APPLIED


@pytest.mark.parametrize("hold", [False, True])
@pytest.mark.parametrize("state", [GatewayState("restrict", None), GatewayState(None, "restrict")])
def test_an_interrupted_apply_whose_entry_somebody_changed_is_left_as_it_is(
    place: Workspace, gateway: Gateway, state: GatewayState, hold: bool
) -> None:
    kill_an_apply(place, gateway)
    gateway.states[HANDLE] = state
    gateway.calls.clear()
    if hold:
        place.hold.touch()
    note = "somebody else changed the entry meanwhile"
    assert [without_moments(said) for said in settle(place, gateway)] == [
        f"{began()}; {note} ({state.in_words()}), so it was left alone"
    ]
    assert gateway.calls == [("read", HANDLE)]
    found = [state.in_force, state.after_restart]
    row = result(status="failed", who="eve", settled=True, checks=[], note=note, found=found)
    assert rows_of(place)[1:] == [(UID, "result", row)]


def test_an_interrupted_repetition_is_finished_where_the_entry_is_what_it_met(
    place: Workspace, gateway: Gateway
) -> None:
    apply(place, gateway)
    gateway.states[HANDLE] = GatewayState("lock", "restrict")
    kill_an_apply(place, gateway)
    (said,) = settle(place, gateway)
    assert "finished now" in said and gateway.states[HANDLE] == LOCK


def test_an_interrupted_apply_that_fails_when_it_is_finished_says_so_and_stops_nobody(
    place: Workspace, gateway: Gateway
) -> None:
    kill_an_apply(place, gateway)
    gateway.trouble = {"write": [RespondError("No.")]}
    outcome = apply(place, gateway, proposal(OTHER, handle=OTHER_HANDLE), who="raj")
    assert [without_moments(said) for said in outcome.settled] == [
        f"{began()}; act1_a: apply failed; now nothing in force and kept. No."
    ]
    note = "No. now nothing in force and kept"
    row = result(status="failed", who="raj", settled=True, checks=[], note=note, found=[None, None])
    assert rows_of(place)[1] == (UID, "result", row)
    assert (outcome.action_uid, outcome.state, gateway.states[OTHER_HANDLE]) == (OTHER, APPLIED, LOCK)


def test_an_interrupted_apply_that_is_not_verified_when_it_is_finished_says_so(
    place: Workspace, gateway: Gateway
) -> None:
    kill_an_apply(place, gateway)
    gateway.trouble = {"verify": [RespondError("It is down")]}
    (said,) = settle(place, gateway)
    assert "; act1_a: apply was carried out, but it is not verified: It is down. It stays as it is." in said
    row = result(status="unverified", who="eve", settled=True, checks=[], note="It is down")
    assert rows_of(place)[1] == (UID, "result", row)


def test_every_interrupted_action_is_finished_and_no_other_one_is_looked_at(place: Workspace, gateway: Gateway) -> None:
    apply(place, gateway)
    kill_an_apply(place, gateway, proposal(OTHER, handle=OTHER_HANDLE))
    second = journal.read(place)[-1].record
    gateway.states["5c2e"] = NOTHING
    journal.append(place, "act1_c", journal.INTENT, second | {"handle": "5c2e", "who": "kim"})
    gateway.calls.clear()
    assert [without_moments(said)[:51] for said in settle(place, gateway)] == [
        "act1_b: apply by ana at WHEN was interrupted; finis",
        "act1_c: apply by kim at WHEN was interrupted; finis",
    ]
    assert {call[1] for call in gateway.calls} == {OTHER_HANDLE, "5c2e"}
    assert gateway.states == {HANDLE: LOCK, OTHER_HANDLE: LOCK, "5c2e": LOCK}


@pytest.mark.parametrize("operation", ["apply", "undo"])
def test_a_command_tells_what_it_finished_first_and_in_whose_name(
    place: Workspace, gateway: Gateway, operation: str
) -> None:
    apply(place, gateway, proposal(OTHER, handle=OTHER_HANDLE))
    kill_an_apply(place, gateway)
    outcome = apply(place, gateway, who="raj") if operation == "apply" else undo(place, gateway, OTHER, who="raj")
    assert [without_moments(said) for said in outcome.settled] == [
        f"{began()}; finished now: lock of ci-deploy (76ca...9028): applied, verified at WHEN"
    ]
    assert rows_of(place)[3] == (UID, "result", result(who="raj", settled=True))
    assert outcome.acted == (operation == "undo")


def test_what_is_in_doubt_stays_so_while_the_gateway_cannot_be_asked(place: Workspace, gateway: Gateway) -> None:
    kill_an_apply(place, gateway)
    gateway.trouble = {"read": [RespondError("It is down")]}
    with pytest.raises(RespondError, match=r"^It is down$"):
        settle(place, gateway)
    with pytest.raises(InputError, match=r"^no connector 'edge'; known: second$"):
        act.settle(place, {"second": Gateway("second")}, "eve")
    assert state_of(place) == IN_DOUBT and len(rows_of(place)) == 1
