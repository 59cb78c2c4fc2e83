"""From incidents to proposals: what can be acted on, what can only be notified, and what the page says of both."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from respond.conftest import TOKEN, incident

from tokenkit import config, respond
from tokenkit.respond import haproxy, journal, ocsf
from tokenkit.respond.proposal import (
    BREAK_GLASS,
    NO_AUTOMATION,
    NO_HANDLE,
    NOT_UNDONE,
    Protection,
    action_uid,
    proposals,
    with_actions,
)

HANDLE = "76ca9a91aee79028ae4f8b19bb56b17db41ca150f4f6a659fc9b8f37427779ff"
HANDLES = {TOKEN: ("haproxy", HANDLE)}
SETTINGS = config.Respond(haproxy=config.HAProxy(socket="/run/h.sock", map="/etc/a.map", probe="http://127.0.0.1:1/"))
READY = {"haproxy": haproxy.connector(SETTINGS)}
OTHER = "tok1_" + "b" * 24


def one(record, handles=HANDLES, connectors=READY):
    (found,) = proposals([record], handles, connectors)
    return found


@pytest.mark.parametrize("verb", ["lock", "restrict", "step_up"])
def test_a_token_with_a_handle_is_proposed_what_the_incident_asks_for(verb):
    p = one(incident("inc1_a", TOKEN, verb))
    assert (p.verb, p.connector, p.handle, p.why_not) == (verb, "haproxy", HANDLE, "")
    assert p.action_uid == action_uid("inc1_a", TOKEN, verb, "haproxy", HANDLE)


@pytest.mark.parametrize(
    ("handles", "connectors", "why"),
    [
        ({}, READY, NO_HANDLE),
        (HANDLES, {"haproxy": haproxy.connector(config.Respond())}, "respond.haproxy.socket, respond.haproxy.map"),
        ({TOKEN: ("haprxy", HANDLE)}, READY, "there is no connector 'haprxy'"),
        ({TOKEN: ("", HANDLE)}, READY, "enforce_handle is given without enforce_connector"),
        ({TOKEN: ("haproxy", "x; shutdown sessions server a/b")}, READY, "holds other characters"),
        ({TOKEN: ("haproxy", "abcd\nefgh lock")}, READY, "holds other characters"),
        ({TOKEN: ("haproxy", "#0abcd")}, READY, "holds other characters"),
        ({TOKEN: ("haproxy", "abcd\n")}, READY, "holds other characters"),
    ],
)
def test_a_token_that_cannot_be_acted_on_is_notified_and_says_why(handles, connectors, why):
    p = one(incident("inc1_a", TOKEN, "lock"), handles, connectors)
    assert p.verb == "notify" and not p.acts and why in p.why_not


def test_an_incident_that_asks_for_a_question_is_no_more_than_that():
    p = one(incident("inc1_a", TOKEN, "notify"))
    assert (p.verb, p.why_not) == ("notify", "")


@pytest.mark.parametrize(("level", "verb"), [("high", "lock"), ("medium", "restrict")])
def test_a_service_cannot_sign_in_again(level, verb):
    p = one(incident("inc1_a", TOKEN, "step_up", owner={"type": "service"}, sure={"level": level}))
    assert p.verb == verb and p.note == f"a service cannot sign in again, so step-up became {verb}"


def test_each_credential_with_a_handle_has_its_own_those_of_the_evidence_first():
    record = incident("inc1_a", TOKEN, "lock", token_uids=[TOKEN, OTHER, "tok1_c"], evidence=[{"token_uid": OTHER}])
    found = proposals([record], {**HANDLES, OTHER: ("haproxy", HANDLE[::-1])}, READY)
    assert [p.token_uid for p in found] == [OTHER, TOKEN]
    assert len({p.action_uid for p in found}) == 2


def test_the_page_has_the_command_its_undo_and_no_whole_handle():
    record = incident("inc1_a", TOKEN, "lock")
    action = with_actions(record, [one(record)], [], READY, False)["action"]
    text = json.dumps(action)
    assert f"tokenkit respond apply {one(record).action_uid}" in text and "76ca...79ff lock" in text
    assert action["undo"].startswith("tokenkit respond undo") and action["proposed"] == "lock"
    assert HANDLE not in text and "HANDLE lock" in json.dumps(with_actions(record, [one(record)], [], READY, True))
    assert "76ca" not in json.dumps(with_actions(record, [one(record)], [], READY, True)["action"])


def test_the_page_says_why_only_notify_and_keeps_what_a_person_can_do_by_hand():
    record = incident("inc1_a", TOKEN, "lock")
    action = with_actions(record, [one(record, {})], [], READY, False)["action"]
    assert (action["proposed"], action["why_not"], action["title"]) == ("notify", NO_HANDLE, "Lock the key now")


def test_the_page_says_who_locked_it_and_not_so_by_pseudonyms():
    record = incident("inc1_a", TOKEN, "lock")
    p = one(record)
    row = {"action_uid": p.action_uid, "verb": "lock", "state": "applied", "who": "ana", "token_uid": TOKEN}
    row["operation"] = "apply"
    row["when"] = "2026-03-03T09:12:44.123Z"
    (line,) = with_actions(record, [p], [row], READY, False)["action"]["how"]
    assert "locked by ana at 2026-03-03 09:12 UTC; undo: tokenkit respond undo" in line
    assert "ana" not in with_actions(record, [p], [row], READY, True)["action"]["how"][0]
    action = with_actions(record, [p], [row], READY, False)["action"]
    assert (action["applied"], action["title"]) == ("lock", "Locked: replace it, or undo")
    undone = with_actions(record, [p], [row | {"state": "undone"}], READY, False)["action"]
    assert "applied" not in undone and undone["title"] == "Lock the key now"


def test_a_step_up_that_became_a_lock_is_called_one_on_the_card():
    record = incident("inc1_a", TOKEN, "step_up", owner={"type": "service"})
    action = with_actions(record, [one(record)], [], READY, False)["action"]
    assert (action["verb"], action["title"]) == ("lock", "Lock it")
    assert action["text"].startswith("A service cannot sign in again")


# ---- OCSF ----
SCHEMA = json.loads((Path(__file__).parents[1] / "data" / "ocsf" / "remediation_activity.schema.json").read_text())


def rows(verb, operation, status):
    check = {"what": "show map", "expected": verb, "found": verb, "holds": True}
    began = {"operation": operation, "verb": verb, "value": verb, "prior": None, "who": "ana\u202e", "why": "x",
             "when": "2026-03-03T09:12:44.123Z", "commands": ["add map"], "undo": ["del map"]}  # fmt: skip
    ended = {"operation": operation, "status": status, "when": "2026-03-03T09:12:44.200Z", "who": "ana",
             "settled": False, "checks": [check], "note": "", "found": None}  # fmt: skip
    uid = one(incident("inc1_a", TOKEN, verb)).action_uid
    return [journal.Row(1, uid, "intent", began, "", "a"), journal.Row(2, uid, "result", ended, "a", "b")]


@pytest.mark.parametrize("verb", ["lock", "restrict", "step_up"])
@pytest.mark.parametrize("operation", ["apply", "undo"])
@pytest.mark.parametrize("status", ["verified", "unverified", "failed", None])
def test_an_action_is_a_valid_remediation_activity(verb, operation, status):
    written = rows(verb, operation, status) if status else []
    found = ocsf.remediation(one(incident("inc1_a", TOKEN, verb)), written)
    assert [e.message for e in Draft202012Validator(SCHEMA).iter_errors(found)] == []
    assert found["metadata"]["correlation_uid"] == "inc1_a"
    assert found["unmapped"]["dry_run"] is (status is None)
    assert found["duration"] == (77 if status else 0)
    if status:
        assert found["status"] == {"verified": "Success", "unverified": "Partial", "failed": "Failure"}[status]
        assert (found["activity_name"] == "Restore") is (operation == "undo")


def test_what_a_person_closed_is_proposed_nothing(make):
    closed = {"verdict": "false_positive", "closes": True}
    workspace = make([incident("inc1_a", TOKEN, "lock", answer=closed), incident("inc1_b", TOKEN, "lock")], SETTINGS)
    assert [p.incident_uid for p in respond.newest_proposals(workspace)] == ["inc1_b"]


def test_that_a_step_up_became_a_lock_is_still_said_of_a_stored_record():
    record = incident("inc1_a", TOKEN, "step_up", owner={"type": "service"})
    stored = with_actions(record, [one(record)], [], READY, False)
    assert one(stored).note == one(record).note != ""


def test_what_failed_is_proposed_again_and_an_undo_is_not_taken_for_the_action():
    record = incident("inc1_a", TOKEN, "lock")
    p = one(record)
    row = {"action_uid": p.action_uid, "verb": "lock", "operation": "undo", "state": "unverified", "who": "raj"}
    row |= {"token_uid": TOKEN, "when": "2026-03-03T09:12:44.123Z"}
    (line,) = with_actions(record, [p], [row], READY, False)["action"]["how"]
    assert "undo of lock: unverified by raj" in line
    assert f"respond apply {p.action_uid}" in json.dumps(with_actions(record, [p], [], READY, False)["action"]["how"])


def protected(protection):
    record = incident("inc1_a", TOKEN, "lock")
    found = proposals([record], HANDLES, READY, {TOKEN: protection})
    return found[0], with_actions(record, found, [], READY, False)["action"]


def test_a_token_kept_for_emergencies_is_proposed_nothing_and_its_card_says_ask():
    p, action = protected(Protection(break_glass=True))
    assert (p.acts, p.why_not) == (False, BREAK_GLASS)
    assert (action["verb"], action["proposed"]) == ("notify", "notify") and "emergencies" in action["title"]


def test_what_cannot_be_undone_is_proposed_and_its_card_promises_no_undo():
    p, action = protected(Protection(confirm=NOT_UNDONE))
    assert p.acts and p.confirm == NOT_UNDONE
    assert action["irreversible"] and "cannot be undone" in action["undo"]


def test_without_automation_the_proposal_stands_and_says_that_a_person_confirms():
    p, action = protected(Protection(confirm=NO_AUTOMATION))
    assert p.acts and p.confirm == NO_AUTOMATION and "irreversible" not in action
