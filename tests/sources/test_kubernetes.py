"""Kubernetes' audit log: several stages are one call with its outcome, and no client's header hides one."""

import json
from pathlib import Path
from typing import Any

import pytest
from own_sources import KEY, KUBERNETES, changed, event, put, read

from tokenkit import config, identity, sources
from tokenkit.ingest import ingest
from tokenkit.sources.inputs import Input
from tokenkit.store import lake


def stages(*names: str, code: int = 200, **fields: Any) -> list[dict[str, Any]]:
    made = []
    for second, name in enumerate(names):
        record = changed(KUBERNETES, stage=name, stageTimestamp=f"2026-03-02T10:00:{second:02d}.5Z", **fields)
        record["responseStatus"] = {"code": code} if name != "RequestReceived" else None
        made.append(record)
    return made


def test_an_event_is_a_call_of_its_account(tmp_path: Path) -> None:
    found = event(tmp_path, "kubernetes-audit", KUBERNETES)
    expected = {
        "operation": "get secrets", "activity_id": 2, "principal_uid": "system:serviceaccount:shop:deployer",
        "token_kind": "k8s_token", "token_lifetime": "session", "resource_uid": "shop/secrets/db", "status_id": 1,
        "http_status": 200, "is_denied": False, "duration_ms": 250.0, "service": "kubernetes",
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected
    credential = "JTI=7b2c1c1e-0000-4d0d-8a75-000000000001"
    assert found["token_uid"] == identity.token_uid(KEY, "kubernetes", credential)


@pytest.mark.parametrize(
    ("names", "code", "outcome"),
    [
        (("RequestReceived", "ResponseComplete"), 403, (2, True)),
        (("RequestReceived", "ResponseStarted", "ResponseComplete"), 101, (1, False)),
        (("RequestReceived", "Panic"), 500, (2, False)),
        (("ResponseComplete",), 409, (2, False)),
    ],
)
@pytest.mark.parametrize("in_two_files", [False, True])
def test_the_stages_of_a_call_are_one_call_with_its_outcome(
    tmp_path: Path, names: tuple[str, ...], code: int, outcome: tuple[int, bool], in_two_files: bool
) -> None:
    records = stages(*names, code=code)
    place = config.init(tmp_path / "w")
    parts = [records[:1], records[1:]] if in_two_files and len(records) > 1 else [records]
    for number, part in enumerate(parts):
        ingest(place, [Input(put(tmp_path / f"{number}.log", part), "kubernetes-audit")])
    events = lake.read(place.lake, "events").to_pandas()
    assert list(zip(events["status_id"], events["is_denied"], strict=True)) == [outcome]


def test_one_audit_id_on_many_calls_is_many_calls(tmp_path: Path) -> None:
    calls = [changed(KUBERNETES, auditID="chosen", requestURI=f"/api/v1/namespaces/{n}") for n in range(9)]
    calls += [
        changed(KUBERNETES, auditID="chosen", requestReceivedTimestamp=f"2026-03-02T10:00:0{n}Z") for n in range(9)
    ]
    calls.append(changed(KUBERNETES, auditID="chosen", user__username="other"))
    events, _ = read(put(tmp_path / "a.log", calls), "kubernetes-audit")
    assert events["event_key"].nunique() == 19


def test_the_address_is_who_was_connected_and_not_what_a_client_wrote(tmp_path: Path) -> None:
    assert event(tmp_path, "kubernetes-audit", KUBERNETES)["src_ip"] == "203.0.113.7"


@pytest.mark.parametrize(
    ("fields", "operation"),
    [
        ({"verb": "create", "objectRef": {"resource": "pods", "subresource": "exec"}}, "create pods/exec"),
        ({"objectRef": None, "requestURI": "/healthz?verbose"}, "get /healthz"),
        ({"impersonatedUser": {"username": "system:admin"}}, "impersonate: get secrets"),
        ({"verb": "invented-by-a-scanner"}, "other secrets"),
    ],
)
def test_an_operation_is_verb_and_kind_of_object(tmp_path: Path, fields: dict[str, Any], operation: str) -> None:
    assert event(tmp_path, "kubernetes-audit", changed(KUBERNETES, **fields))["operation"] == operation


def test_who_acted_as_another_is_still_himself(tmp_path: Path) -> None:
    found = event(tmp_path, "kubernetes-audit", changed(KUBERNETES, impersonatedUser={"username": "system:admin"}))
    assert (found["principal_uid"], found["app_uid"]) == (KUBERNETES["user"]["username"], "system:admin")


@pytest.mark.parametrize("indent", [None, 1])
def test_a_list_of_events_is_read(tmp_path: Path, indent: int | None) -> None:
    items = stages("RequestReceived", "ResponseComplete", code=403)
    path = tmp_path / "list.json"
    path.write_text(json.dumps({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": items}, indent=indent))
    source = sources.recognise(path)
    assert source is not None and source.name == "kubernetes-audit"
    events, tally = read(path, "kubernetes-audit")
    assert events["is_denied"].tolist() == [True] and sum(tally.ignored.values()) == 1
