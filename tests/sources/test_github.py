"""GitHub's audit log: JSON and CSV; a token is known by its hash, and calls of the API by their route."""

from pathlib import Path
from typing import Any

import pytest
from own_sources import GITHUB, KEY, changed, event, put, read

from tokenkit import identity, sources


def test_an_entry_is_a_call_of_its_token(tmp_path: Path) -> None:
    found = event(tmp_path, "github-audit", GITHUB)
    expected = {
        "event_uid": "doc-1", "operation": "repo.create", "activity_id": 1, "principal_uid": "ana",
        "token_kind": "personal_access_token_classic", "token_lifetime": "long_lived", "src_ip": "203.0.113.7",
        "src_country": "DE", "user_agent": "gh/2.60.0", "tenant_uid": "acme", "resource_uid": "acme/shop",
        "resource_type": "repo", "status_id": 1, "is_denied": False, "service": "github",
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected
    assert found["time"].isoformat() == "2026-03-02T10:00:00.123000+00:00"
    assert found["token_uid"] == identity.token_uid(KEY, "github", GITHUB["hashed_token"])
    assert found["scopes"].tolist() == ["repo", "read:org"]


def test_a_csv_export_says_the_same(tmp_path: Path) -> None:
    names = ["@timestamp", "_document_id", "action", "actor", "actor_ip", "user_agent", "org", "repo", "hashed_token",
             "token_scopes", "programmatic_access_type", "operation_type", "actor_location.country_code"]  # fmt: skip
    values = {**GITHUB, "actor_location.country_code": "DE"}
    path = tmp_path / "export.csv"
    path.write_text(",".join(names) + "\n" + ",".join(f'"{values[name]}"' for name in names) + "\n")
    source = sources.recognise(path)
    assert source is not None and source.name == "github-audit"
    from_csv, _ = read(path, "github-audit")
    from_json = event(tmp_path, "github-audit", GITHUB)
    for name in ("time", "event_key", "token_uid", "operation", "src_ip", "resource_uid", "src_country", "activity_id"):
        assert from_csv.iloc[0][name] == from_json[name], name


@pytest.mark.parametrize(
    ("fields", "operation", "status"),
    [
        ({"action": "api.request", "request_method": "GET", "route": "/repos/:owner/:repo", "status_code": 403},
         "GET /repos/:owner/:repo", (403, True)),
        ({"action": "api.request", "request_method": "POST", "url_path": "/repos/a/b/keys/17?token=x"},
         "POST /repos/a/b/keys/{id}", (None, False)),
        ({"action": "protected_branch.rejected_ref_update"}, "protected_branch.rejected_ref_update", (None, True)),
    ],
)  # fmt: skip
def test_calls_of_the_api_have_a_route_and_a_status(
    tmp_path: Path, fields: dict[str, Any], operation: str, status: tuple[int | None, bool]
) -> None:
    found = event(tmp_path, "github-audit", changed(GITHUB, **fields))
    http = None if found["http_status"] != found["http_status"] else found["http_status"]
    assert (found["operation"], http, found["is_denied"]) == (operation, *status)


def test_what_was_done_in_the_browser_is_its_actors(tmp_path: Path) -> None:
    found = event(tmp_path, "github-audit", changed(GITHUB, hashed_token=None, token_id=None))
    assert (found["token_kind"], found["token_uid"]) == ("principal", identity.token_uid(KEY, "github", "ana"))


@pytest.mark.parametrize(("kind", "lifetime"), [("GitHub App server-to-server token", "session"), ("x", "long_lived")])
def test_tokens_of_apps_live_for_hours(tmp_path: Path, kind: str, lifetime: str) -> None:
    found = event(tmp_path, "github-audit", changed(GITHUB, programmatic_access_type=kind))
    assert found["token_lifetime"] == lifetime


def test_an_array_is_read_as_lines_are(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    path.write_text("[" + put(tmp_path / "a.json", [GITHUB]).read_text().strip() + "]")
    events, _ = read(path, "github-audit")
    assert len(events) == 1


@pytest.mark.parametrize("record", [{"action": "deny.x", "time": 1}, {"action": 7, "@timestamp": 1, "actor": "a"}, {}])
def test_other_records_are_not_taken_for_githubs(tmp_path: Path, record: dict[str, Any]) -> None:
    assert sources.recognise(put(tmp_path / "a.json", [record])) is None
