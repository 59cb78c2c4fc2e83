"""What an id of AWS says: what it is of, how long it lasts, whose session it is; one role, one id."""

import itertools
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenkit import identity, sources
from tokenkit.sources import http
from tokenkit.sources.aws import calls, ids

KEY, A = b"k" * 32, "111122223333"


def callers(*identities: dict[str, Any]) -> list[dict[str, Any]]:
    """The dim_token rows of some callers, by the log's own reader."""
    records = [
        {"eventID": str(i), "eventTime": "2026-03-02T10:00:00Z", "eventSource": "s3.amazonaws.com", "eventName": "Get",
         "userIdentity": caller} for i, caller in enumerate(identities)
    ]  # fmt: skip
    reader, raw = calls.columns_of(records)
    assert not reader.reasons
    raw["resource_uid"], raw["resource_type"] = calls.resources(records, raw)
    batch = calls.events(Path("a"), sources.Reading(KEY), raw, [1] * len(records), "cloudtrail", "aws")
    return batch.dimensions["dim_token"].to_pylist()


@pytest.mark.parametrize("prefix", sorted(ids.PREFIXES))
def test_the_prefix_of_a_key_says_its_kind_in_every_log(prefix: str) -> None:
    native = prefix + "IOSFODNN7EXAMPLE"
    kind, lifetime, type_ = ids.PREFIXES[prefix][1]
    row = callers({"type": "IAMUser", "accessKeyId": native})[0]
    assert (row["token_kind"], row["token_lifetime"]) == (kind, lifetime)
    columns: dict[str, Any] = {}
    mapped = http.add_token_columns(KEY, "aws", {"key_id": [native], "principal": [None]}, columns).to_pylist()[0]
    assert (mapped["token_kind"], mapped["token_lifetime"], mapped["token_uid"]) == (kind, lifetime, row["token_uid"])
    assert columns["token_type_id"] == pa.array([type_], pa.int8())


@pytest.mark.parametrize(
    "native", ["ASIA", "ASIA-team-key", "akiaiosfodnn7example", "key_0123456789ab", "AKIAlower000000000"]
)
def test_what_only_begins_like_an_id_of_aws_is_none(native: str) -> None:
    assert ids.kind_of(native) is None


def test_a_mapped_session_names_its_role() -> None:
    raw = {"key_id": ["ASIAIOSFODNN7EXAMPLE"], "principal": [f"arn:aws:sts::{A}:assumed-role/nightly/s1"]}
    (row,) = http.add_token_columns(KEY, "aws", raw, {}).to_pylist()
    assert row["role"] == f"arn:aws:iam::{A}:role/nightly"


def test_a_role_is_one_with_and_without_issuer_and_path() -> None:
    def session(number: int, issuer: Any) -> dict[str, Any]:
        return {
            "type": "AssumedRole", "arn": f"arn:aws:sts::{A}:assumed-role/nightly/s{number}",
            "accessKeyId": f"ASIAEXAMPLENIGHT000{number}", "sessionContext": {"sessionIssuer": issuer},
        }  # fmt: skip

    path = f"arn:aws:iam::{A}:role/batch/jobs/nightly"
    issuers: list[Any] = [
        {"type": "Role", "arn": path},
        {},
        None,
        {"arn": path},
        {"type": "Role"},
        {"type": "", "arn": ""},
    ]
    rows = callers(*(session(i, issuer) for i, issuer in enumerate(issuers)))
    uids = {row["role_token_uid"] for row in rows}
    # the list of owners may name the role with its path, without it, or as the ARN of its sessions
    listed = (path, f"arn:aws:iam::{A}:role/nightly", f"arn:aws:sts::{A}:assumed-role/nightly")
    assert uids == {identity.token_uid(KEY, "aws", native) for native in listed}


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_roles_of_other_accounts_names_and_partitions_stay_apart(partition: str) -> None:
    arns = [
        f"arn:{p}:iam::{a}:role/{name}" for p in ("aws", "aws-cn", "aws-us-gov") for a in ("1", "2") for name in "xy"
    ]
    assert len({identity.token_uid(KEY, "aws", arn) for arn in arns}) == len(arns)
    assert ids.role_of(f"arn:{partition}:sts::1:assumed-role/x/s") == f"arn:{partition}:iam::1:role/x"


def test_a_session_of_which_only_the_principal_id_is_known_is_its_roles() -> None:
    foreign = [{"type": "AWSAccount", "principalId": f"AROAEXAMPLEPARTNER01:s{i}", "accountId": A} for i in range(3)]
    rows = callers(*foreign)
    assert {row["role_token_uid"] for row in rows} == {identity.token_uid(KEY, "aws", "AROAEXAMPLEPARTNER01")}


def test_a_user_and_a_service_have_no_role() -> None:
    rows = callers(
        {"type": "IAMUser", "arn": f"arn:aws:iam::{A}:user/ana", "accessKeyId": "AKIAIOSFODNN7EXAMPLE"},
        {"type": "FederatedUser", "arn": f"arn:aws:sts::{A}:federated-user/ana", "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
         "sessionContext": {"sessionIssuer": {"type": "IAMUser", "arn": f"arn:aws:iam::{A}:user/ana"}}},
    )  # fmt: skip
    assert [row["role"] for row in rows] == [None, None]


def test_a_person_of_identity_center_is_one_whatever_the_records_say() -> None:
    person = {"onBehalfOf": {"userId": "a1b2-ana", "identityStoreArn": f"arn:aws:identitystore::{A}:identitystore/d-1"}}
    signed_in = [{"type": "IdentityCenterUser", "accountId": A, "credentialId": f"cred{i}", **person} for i in range(2)]
    without = {"type": "IdentityCenterUser", "accountId": A, **person}
    rows = callers(*signed_in, without)
    assert {row["principal_token_uid"] for row in rows} == {identity.token_uid(KEY, "aws", "a1b2-ana")}
    assert [(r["token_kind"], r["token_lifetime"]) for r in rows] == [
        ("aws_bearer", "session"), ("aws_bearer", "session"), ("principal", "unknown"),
    ]  # fmt: skip


def test_a_role_that_acts_on_behalf_of_a_person_stays_the_role() -> None:
    (row,) = callers({
        "type": "AssumedRole", "arn": f"arn:aws:sts::{A}:assumed-role/app/s", "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
        "onBehalfOf": {"userId": "a1b2-ana"},
    })  # fmt: skip
    assert row["principal"].endswith("assumed-role/app/s") and row["role"].endswith("role/app")


@given(st.text(max_size=60), st.sampled_from(["", "arn:aws:sts::1:assumed-role/", "arn:aws:iam::1:role/", "AROA"]))
def test_any_text_is_taken(text: str, begin: str) -> None:
    ids.kind_of(begin + text)
    ids.role_of(begin + text)
    assert identity.token_uid(KEY, "aws", begin + text).startswith("tok1_")


def test_different_ids_stay_different_unless_they_are_one_role() -> None:
    natives = [
        "a",
        "arn:aws:iam::1:user/p/a",
        "arn:aws:iam::1:user/a",
        "arn:aws:iam::1:role/a",
        "arn:aws:iam::1:policy/a",
    ]
    uids = [identity.token_uid(KEY, "aws", native) for native in natives]
    assert all(a != b for a, b in itertools.combinations(uids, 2))
