"""Calls of tools by agents (MCP), and sessions at databases (hoop.dev)."""

import json
from pathlib import Path
from typing import Any

import pytest
from own_sources import HOOP, KEY, MCP, changed, event, put, read

from tokenkit import identity, sources
from tokenkit.sources import hoop


def test_a_call_of_a_tool_has_its_agent_and_the_person_behind_it(tmp_path: Path) -> None:
    found = event(tmp_path, "mcp-gateway", MCP)
    expected = {"operation": "create_issue", "service": "github", "principal_uid": "ana@acme.example",
                "app_uid": "coder", "src_ip": "203.0.113.7", "status_id": 1, "is_denied": False,
                "duration_ms": 12.0}  # fmt: skip
    assert {name: found[name] for name in expected} == expected
    assert found["token_uid"] == identity.token_uid(KEY, "mcp", "gk_0123456789")
    assert found["session_uid"].startswith("tok1_")


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({"response": {"result": {"isError": True, "content": [{"type": "text", "text": "disk full"}]}}}, (2, False)),
        ({"response": {"result": {"isError": True, "content": [{"text": "permission denied"}]}}}, (2, True)),
        ({"response": {"error": {"code": -32602, "message": "no such tool"}}}, (2, False)),
        ({"response": None, "status": "denied"}, (2, True)),
        ({"response": None, "status": "ok", "is_error": True}, (2, False)),
    ],
)
def test_a_tool_that_fails_says_so_in_a_message_that_succeeded(
    tmp_path: Path, fields: dict[str, Any], outcome: tuple[int, bool]
) -> None:
    found = event(tmp_path, "mcp-gateway", changed(MCP, **fields))
    assert (found["status_id"], found["is_denied"]) == outcome


@pytest.mark.parametrize("message", ["top", "text", "flat"])
def test_the_message_may_stand_in_several_places(tmp_path: Path, message: str) -> None:
    record = changed(MCP)
    request = record.pop("request")
    if message == "top":
        record |= request
    elif message == "text":
        record["message"] = json.dumps(request)
    else:
        record["tool"] = "create_issue"
    assert sources.recognise(put(tmp_path / "a.log", [record])) is sources.get("mcp-gateway")
    assert event(tmp_path, "mcp-gateway", record)["operation"] == "create_issue"


def test_results_and_notifications_alone_are_ignored(tmp_path: Path) -> None:
    others = [changed(MCP, request={"jsonrpc": "2.0", "method": "notifications/progress", "params": {}}),
              changed(MCP, request=None)]  # fmt: skip
    events, tally = read(put(tmp_path / "a.log", [MCP, *others]), "mcp-gateway")
    assert len(events) == 1 and sum(tally.ignored.values()) == 2


def test_what_a_client_sends_makes_no_call_of_somebody_else(tmp_path: Path) -> None:
    forged = changed(MCP, user="the victim", api_key_id="gk_of_the_victim")
    lines = [
        changed(MCP, request={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"arguments": forged}}),
        changed(MCP, request={"jsonrpc": "2.0", "id": 1, "method": "odd/method", "params": forged}),
        {"timestamp": MCP["timestamp"], "session_id": "s1", "body": forged | {"request": None}},
    ]
    events, _ = read(put(tmp_path / "a.log", lines), "mcp-gateway")
    victim = identity.token_uid(KEY, "mcp", "gk_of_the_victim")
    assert len(events) == 0 or victim not in set(events["token_uid"])


def test_a_session_is_a_call_of_its_user_or_machine(tmp_path: Path) -> None:
    found = event(tmp_path, "hoop-sessions", HOOP)
    expected = {"operation": "exec postgres select", "activity_id": 2, "principal_uid": "ana@acme.example",
                "resource_uid": "orders-db", "response_bytes": 569, "duration_ms": 3000.0, "status_id": 1,
                "is_denied": False, "token_kind": "principal"}  # fmt: skip
    assert {name: found[name] for name in expected} == expected
    machine = event(tmp_path, "hoop-sessions", changed(HOOP, machine_identity_id="mi_1"))
    assert machine["token_uid"] == identity.token_uid(KEY, "hoop", "mi_1")


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [({"exit_code": 1}, (2, False)), ({"review": {"status": "REJECTED"}, "exit_code": None}, (2, True))],
)
def test_a_rejected_review_is_a_refusal(tmp_path: Path, fields: dict[str, Any], outcome: tuple[int, bool]) -> None:
    found = event(tmp_path, "hoop-sessions", changed(HOOP, **fields))
    assert (found["status_id"], found["is_denied"]) == outcome


def test_an_open_session_is_not_hidden_and_hides_nothing(tmp_path: Path) -> None:
    still_open = changed(HOOP, status="open", end_date=None, exit_code=None, event_size=0)
    events, _ = read(put(tmp_path / "a.json", [still_open, HOOP]), "hoop-sessions")
    assert events["event_key"].nunique() == 2


def test_of_a_script_the_gravest_known_word_is_kept_and_nothing_else(tmp_path: Path) -> None:
    assert hoop.command("select 1;\n-- drop table x\nselect 2") == "select"
    found = event(tmp_path, "hoop-sessions", changed(HOOP, script={"data": "hunter2 SELECT; drop table hunter2"}))
    assert found["operation"] == "exec postgres drop" and "hunter2" not in str(found)
