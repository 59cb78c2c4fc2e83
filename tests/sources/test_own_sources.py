"""Whatever a record of an audit log or a usage report holds: it is accounted for, and hides no other."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from own_sources import RECORDS, changed, put, read

from tokenkit import sources
from tokenkit.sources.fields.sensitive import sensitive_because

FEW = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
odd = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**30), 10**30), st.floats(), st.text(max_size=6),
              st.sampled_from(["", "-", "2026-03-02T10:00:00Z", "unknown", "\ud800", "1e999", "{", '{"a": [1]}'])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=6,
)  # fmt: skip
# what a client chooses, in a way that the log says who called and what all the same
CHOSEN: dict[str, tuple[str, ...]] = {
    "github-audit": ("user_agent",), "okta-log": ("client__userAgent__rawUserAgent",),
    "kubernetes-audit": ("auditID", "userAgent"), "mcp-gateway": ("request__id", "request__params__arguments"),
    "litellm-spend": ("request_id", "end_user", "session_id", "request_tags", "messages"),
    "vault-audit": ("request__data",), "hoop-sessions": ("script",),
}  # fmt: skip
# what the server knows and what differs from call to call
TIMES = {"github-audit": "_document_id", "okta-log": "uuid", "kubernetes-audit": "requestReceivedTimestamp",
         "mcp-gateway": "timestamp", "litellm-spend": "startTime", "vault-audit": "request__id",
         "hoop-sessions": "id"}  # fmt: skip


@pytest.mark.parametrize("name", RECORDS)
def test_a_file_is_recognised_by_its_content(tmp_path: Path, name: str) -> None:
    path = put(tmp_path / "a.json", [RECORDS[name]])
    assert sources.recognise(path) is sources.get(name)
    path.write_text(json.dumps({"log": json.dumps(RECORDS[name]) + "\n", "stream": "stdout", "time": "x"}) + "\n")
    events, _ = read(path, name)
    assert sources.recognise(path) is sources.get(name) and len(events) == 1, "inside Docker's wrapper"


@FEW
@pytest.mark.parametrize("name", RECORDS)
@given(data=st.data())
def test_any_records_are_stored_ignored_or_quarantined_and_change_no_other(
    tmp_path: Path, name: str, data: st.DataObject
) -> None:
    good = RECORDS[name]
    names = list(good) + [f"{outer}__{inner}" for outer in good if type(good[outer]) is dict for inner in good[outer]]
    fields = data.draw(st.dictionaries(st.sampled_from(names), odd, max_size=4))
    mutated = good
    for field, value in fields.items():
        outer = field.split("__")[0]
        if "__" not in field or type(mutated.get(outer)) is dict:
            mutated = changed(mutated, **{field: value})
    path = tmp_path / "a.json"
    path.write_bytes(b"\n".join(json.dumps(r).encode("utf-8", "surrogatepass") for r in (good, mutated, good)))
    events, _ = read(path, name)
    alone, _ = read(put(tmp_path / "b.json", [good]), name)
    kept = events[events["raw_ref"].str.endswith("#1")]
    pd.testing.assert_frame_equal(kept.drop(columns="raw_ref"), alone.drop(columns="raw_ref"), check_dtype=False)


@FEW
@pytest.mark.parametrize("name", RECORDS)
@given(content=st.binary(max_size=80))
def test_any_bytes_stop_nothing(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    read(path, name)
    sources.recognise(path)


@pytest.mark.parametrize("name", CHOSEN)
def test_what_a_client_chooses_neither_hides_a_call_nor_makes_it_anothers(tmp_path: Path, name: str) -> None:
    values = ["the same", "x" * 5000, "\u202eanother", json.dumps(RECORDS[name])]
    calls: list[Any] = []
    for n, value in enumerate(values * 3):
        uid = f"2026-03-02T10:00:{n:02d}Z" if "ime" in TIMES[name] else f"call-{n}"
        call = changed(RECORDS[name], **{TIMES[name]: uid})
        calls.append(changed(call, **dict.fromkeys(CHOSEN[name], value)))
    events, _ = read(put(tmp_path / "a.json", calls), name)
    assert len(events) == events["event_key"].nunique() == len(calls)
    assert events["token_uid"].nunique() == events["operation"].nunique() == 1 or name == "hoop-sessions"


@pytest.mark.parametrize(
    ("operation", "is_sensitive"),
    [
        ("org.add_member", True), ("personal_access_token.access_granted", True), ("protected_branch.destroy", True),
        ("repo.destroy", True), ("git.clone", False), ("pull_request.create", False),
        ("system.api_token.create", True), ("user.account.privilege.grant", True), ("policy.rule.update", True),
        ("user.mfa.factor.reset_all", True), ("user.session.start", False), ("user.authentication.sso", False),
        ("get secrets", True), ("create pods/exec", True), ("create clusterrolebindings", True),
        ("impersonate: list pods", True), ("delete namespaces", True), ("list pods", False), ("update leases", False),
        ("update sys/policies/...", True), ("update sys/audit/...", True), ("read secret/data/...", False),
        ("exec postgres drop", True), ("exec postgres select", False),
    ],
)  # fmt: skip
def test_operations_of_github_okta_kubernetes_and_vault_are_known(operation: str, is_sensitive: bool) -> None:
    assert (sensitive_because(operation) is not None) == is_sensitive
