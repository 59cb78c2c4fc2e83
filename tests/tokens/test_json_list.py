"""Lists of tokens in JSON, as commands and APIs give them."""

import json
from pathlib import Path
from typing import Any

import pytest

from tokenkit.errors import InventoryError
from tokenkit.tokens import inventory

KEY = b"k" * 32


def load(folder: Path, value: Any) -> tuple[list[dict[str, Any]], list[str]]:
    path = folder / "list.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    table, notes = inventory.load(path, KEY, "acme")
    return table.to_pylist(), notes


AWS = {
    "UserName": "ana",
    "AccessKeyId": "AKIAIOSFODNN7EXAMPLE",
    "Status": "Active",
    "CreateDate": "2026-01-02T03:04:05+00:00",
}
OKTA = {
    "id": "00Tabc",
    "name": "ci",
    "userId": "00u1",
    "created": "2026-01-02T03:04:05.000Z",
    "network": {"connection": "ANYWHERE"},
}
GITHUB = {"id": 7, "token_id": 42, "token_name": "ci", "owner": {"login": "ana", "id": 3}, "token_expires_at": None,
          "permissions": {"repository": {"contents": "read"}}}  # fmt: skip
ACCOUNT = {"apiVersion": "v1", "kind": "ServiceAccount",
           "metadata": {"name": "ci", "namespace": "build", "creationTimestamp": "2026-01-02T03:04:05Z"}}  # fmt: skip
SERVICES = {"kind": "List", "apiVersion": "v1", "items": [ACCOUNT, {**ACCOUNT, "metadata": {"name": "b"}}]}
BELOW = {"data": {"keys": [{"accessor": "a1", "scopes": ["read", "write"]}, {"accessor": "a2"}]}}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"AccessKeyMetadata": [AWS, AWS | {"AccessKeyId": "AKIAIOSFODNN7EXAMPL2"}]}, {"owner_name": "ana"}),
        ([OKTA, OKTA | {"id": "00Tabd"}], {"label": "ci"}),
        ([GITHUB, GITHUB | {"token_id": 43}], {"label": "ci", "owner_name": "ana"}),
        (SERVICES, {"label": "ci"}),
        (BELOW, {"scopes": "read write"}),
        (["accessor1", "accessor2"], {"owner_name": None}),
        ('{"key_id": "k1", "owner": "ana"}\n{"key_id": "k2", "owner": "bo"}\n', {"owner_name": "ana"}),
    ],
)  # fmt: skip
def test_a_list_is_read_as_its_command_gives_it(tmp_path: Path, value: Any, expected: dict[str, Any]) -> None:
    rows, notes = load(tmp_path, value)
    assert len(rows) == 2 and {name: rows[0][name] for name in expected} == expected
    assert "the list is JSON: line N is its Nth object" in notes


def test_one_token_is_a_list_of_one(tmp_path: Path) -> None:
    (row,), _ = load(tmp_path, {"key_id": "k1", "repositories": [{"id": 5}], "scopes": ["read"]})
    assert row["scopes"] == "read"


def test_the_id_of_an_account_is_the_name_in_the_audit_log(tmp_path: Path) -> None:
    (of_json,), _ = load(tmp_path, {"items": [ACCOUNT]})
    (tmp_path / "list.csv").write_text("service_account\nsystem:serviceaccount:build:ci\n")
    (of_csv,) = inventory.load(tmp_path / "list.csv", KEY, "acme")[0].to_pylist()
    assert of_json["token_uid"] == of_csv["token_uid"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "no list of tokens in this JSON"),
        ('{"a": 1}', "no list of tokens in this JSON"),
        ('[{"key_id": "k1"},\n{"key_id": ', "line 2: not JSON"),
        ('[{"name": "ci"}]', "no column for the token's id"),
    ],
)
def test_what_is_no_list_is_said(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InventoryError, match=said):
        load(tmp_path, text)


def test_a_workbook_is_called_one(tmp_path: Path) -> None:
    (tmp_path / "list.xlsx").write_bytes(b"PK\x03\x04" + b"\0" * 40)
    with pytest.raises(InventoryError, match=r"an Excel workbook .* Save the sheet as CSV"):
        inventory.load(tmp_path / "list.xlsx", KEY, "acme")
