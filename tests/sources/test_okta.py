"""Okta's System Log: tokens and sessions, what counts as refused, and whose name is kept."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from own_sources import KEY, OKTA, changed, event

from tokenkit import identity


def test_an_entry_is_a_call_of_its_api_token(tmp_path: Path) -> None:
    found = event(tmp_path, "okta-log", OKTA)
    expected = {
        "operation": "user.lifecycle.create", "activity_id": 1, "principal_uid": "ana@acme.example",
        "token_kind": "okta_api_token", "src_ip": "203.0.113.7", "user_agent": "okta-sdk-python/2.9",
        "resource_uid": "00u2", "resource_type": "User", "status_id": 1, "is_denied": False, "src_asn": 64500,
        "app_uid": "ab" * 32,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected
    assert found["token_uid"] == identity.token_uid(KEY, "okta", "00Tabcdefgh1234567")
    assert found["session_uid"].startswith("tok1_") and pd.isna(found["src_country"])


@pytest.mark.parametrize(
    ("event_type", "result", "reason", "status"),
    [
        ("user.session.start", "FAILURE", "LOCKED_OUT", (2, True)),
        ("user.session.start", "FAILURE", "INVALID_CREDENTIALS", (2, True)),
        ("policy.evaluate_sign_on", "DENY", None, (2, True)),
        ("application.lifecycle.create", "FAILURE", "NAME_TAKEN", (2, False)),
        ("user.session.start", "SUCCESS", "Sign-on policy evaluation: not denied", (1, False)),
        ("user.authentication.sso", "ALLOW", None, (1, False)),
    ],
)
def test_a_failed_sign_in_is_a_refusal_and_a_reason_beside_success_is_none(
    tmp_path: Path, event_type: str, result: str, reason: str | None, status: tuple[int, bool]
) -> None:
    record = changed(OKTA, eventType=event_type, outcome={"result": result, "reason": reason})
    found = event(tmp_path, "okta-log", record)
    assert (found["status_id"], found["is_denied"]) == status


def test_what_an_unknown_user_typed_is_not_kept(tmp_path: Path) -> None:
    typed = "correct-horse-battery"
    record = changed(OKTA, actor={"id": "unknown", "alternateId": typed}, transaction={}, target=None)
    found = event(tmp_path, "okta-log", record)
    assert found["token_kind"] == "none" and not any(typed in str(value) for value in found.values())


@pytest.mark.parametrize("targets", [None, [], [{"id": "00u1"}], "x", [7]])
def test_any_targets_make_an_event(tmp_path: Path, targets: Any) -> None:
    event(tmp_path, "okta-log", changed(OKTA, target=targets))
