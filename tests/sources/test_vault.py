"""HashiCorp Vault's audit log: two lines a call, of which the response counts."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tokenkit import config, identity, sources
from tokenkit.ingest import ingest
from tokenkit.sources import vault
from tokenkit.sources.inputs import Input
from tokenkit.store import lake

KEY = b"k" * 32


def pair(uid: str, second: int, error: str | None = None, **request: Any) -> list[dict[str, Any]]:
    auth = {"client_token": "hmac-sha256:aa11", "accessor": "hmac-sha256:bb22bb22", "display_name": "approle",
            "token_type": "service", "policies": ["default", "app"], "metadata": {"role_name": "ci"}}  # fmt: skip
    its = {"id": uid, "operation": "read", "path": f"secret/data/app/{uid}", "remote_address": "203.0.113.7"} | request
    lines = [{"time": f"2026-03-02T10:00:{second:02d}.{part}Z", "type": type_, "auth": auth, "request": its}
             for type_, part in (("request", "100000001"), ("response", "900000001"))]  # fmt: skip
    if error:
        lines[1]["error"] = error
    return lines


def put(folder: Path, records: list[dict[str, Any]]) -> Path:
    path = folder / "audit.log"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def read(path: Path) -> tuple[pd.DataFrame, sources.Tally]:
    tally = sources.Tally()
    batches = list(vault.SOURCE.read(path, sources.Reading(KEY), tally))
    events = pd.concat([b.events.to_pandas() for b in batches]) if batches else pd.DataFrame()
    assert tally.read == len(events) + sum(tally.ignored.values()) + len(tally.quarantined)
    return events, tally


def test_request_and_response_are_one_call_and_its_refusal_is_kept(tmp_path: Path) -> None:
    refused = "1 error occurred: permission denied"
    path = put(
        tmp_path, [*pair("a1", 0), *pair("b2", 1, refused), *pair("c3", 2, refused), *pair("d4", 3, "disk full")]
    )
    source = sources.recognise(path)
    assert source is not None and source.name == "vault-audit"
    events, tally = read(path)
    assert tally.ignored == {"rows that are no calls (where type)": 4} and tally.quarantined == []
    assert events["is_denied"].tolist() == [False, True, True, False]
    assert events["status_id"].tolist() == [1, 2, 2, 2] and events["http_status"].isna().all()
    assert events["event_uid"].tolist() == ["a1", "b2", "c3", "d4"]
    assert set(events["token_uid"]) == {identity.token_uid(KEY, "vault", "hmac-sha256:bb22bb22")}
    assert set(events["operation"]) == {"read secret/data/..."} and set(events["activity_id"]) == {2}
    assert events["resource_uid"].tolist()[0] == "secret/data/app/a1"
    assert set(events["principal_uid"]) == {"approle/ci"} and set(events["token_kind"]) == {"vault_service"}
    assert events["scopes"].iloc[0].tolist() == ["default", "app"]


def test_lines_of_one_call_in_two_files_are_one_call(tmp_path: Path) -> None:
    first, second = pair("a1", 0, "permission denied")
    place = config.init(tmp_path / "w")
    for folder, record in (("one", first), ("two", second)):
        (tmp_path / folder).mkdir()
        ingest(place, [Input(put(tmp_path / folder, [record]))])
    events = lake.read(place.lake, "events").to_pandas()
    assert events["is_denied"].tolist() == [True]


def test_a_call_without_a_known_token_is_stored_as_nobodys(tmp_path: Path) -> None:
    _, response = pair("a1", 0, "missing client token")
    response["auth"] = None
    events, _ = read(put(tmp_path, [response]))
    assert events["token_kind"].tolist() == ["none"] and events["is_denied"].tolist() == [True]


def test_no_secret_of_a_line_is_stored(tmp_path: Path) -> None:
    secret = "hvs.CAESIJ0123456789abcdefghij"
    _, response = pair("a1", 0, data={"password": secret}, path=f"auth/token/{secret}")
    response["response"] = {"auth": {"client_token": secret}}
    events, tally = read(put(tmp_path, [response]))
    assert len(events) == 1 and secret not in events.to_csv() + repr(tally)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(
    st.sampled_from(["type", "time", "auth", "request", "error", "response"]),
    st.one_of(st.none(), st.integers(), st.text(max_size=5), st.sampled_from(["response", "2026-03-02T10:00:00Z"]),
              st.dictionaries(st.sampled_from(["id", "operation", "path", "accessor", "metadata", "namespace"]),
                              st.one_of(st.none(), st.integers(), st.text(max_size=5), st.just([1])))),
), max_size=5))  # fmt: skip
def test_any_lines_are_stored_ignored_or_quarantined(tmp_path: Path, records: list[dict[str, Any]]) -> None:
    read(put(tmp_path, records))


@pytest.mark.parametrize("record", [{"type": "request"}, {"type": "x", "request": {"id": 1, "operation": "r"}}, {}])
def test_other_records_are_not_taken_for_vaults(record: dict[str, Any]) -> None:
    assert not vault.recognises(record)
