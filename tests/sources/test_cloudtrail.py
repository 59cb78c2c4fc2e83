"""What becomes of CloudTrail's records."""

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from tokenkit import identity, schema, sources
from tokenkit.sources.aws import recognition

KEY = b"k" * 32
READING = sources.Reading(KEY)
USER = {
    "type": "IAMUser",
    "principalId": "AIDAEXAMPLE",
    "arn": "arn:aws:iam::111122223333:user/ana",
    "accountId": "111122223333",
    "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
}
ROLE_ARN = "arn:aws:iam::111122223333:role/deploy"
SESSION = {
    "type": "AssumedRole",
    "principalId": "AROAEXAMPLE:ci",
    "arn": "arn:aws:sts::111122223333:assumed-role/deploy/ci",
    "accountId": "111122223333",
    "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
    "sessionContext": {
        "sessionIssuer": {"type": "Role", "arn": ROLE_ARN},
        "attributes": {"creationDate": "2026-03-01T00:00:00Z", "mfaAuthenticated": "true"},
    },
}


def record(**fields: Any) -> dict[str, Any]:
    return {
        "eventID": "11111111-2222-3333-4444-555555555555",
        "eventTime": "2026-03-01T10:20:30Z",
        "eventSource": "s3.amazonaws.com",
        "eventName": "GetObject",
        "awsRegion": "eu-west-1",
        "recipientAccountId": "111122223333",
        "sourceIPAddress": "203.0.113.7",
        "userAgent": "Boto3/1.34.2 md/Botocore#1.34.2",
        "userIdentity": USER,
        "requestParameters": None,
        "responseElements": None,
        "readOnly": True,
    } | fields


def read_bytes(folder: Path, content: bytes) -> tuple[pd.DataFrame, sources.Tally, dict[str, pd.DataFrame]]:
    path = folder / "file.json"
    path.write_bytes(content)
    tally = sources.Tally()
    batches = list(sources.get("cloudtrail").read(path, READING, tally))
    events = pa.concat_tables([b.events for b in batches]) if batches else schema.empty("events")
    assert tally.read == events.num_rows + sum(tally.ignored.values()) + len(tally.quarantined)
    assert events.schema.equals(schema.EVENTS.arrow)
    dimensions = {}
    for name in ("dim_token", "dim_network", "dim_client", "dim_operation", "dim_object"):
        tables = [b.dimensions[name] for b in batches] or [schema.empty(name)]
        assert all(t.schema.equals(schema.table(name).arrow) for t in tables)
        dimensions[name] = pa.concat_tables(tables).to_pandas()
        assert dimensions[name].iloc[:, 0].is_unique or len(batches) > 1
    return events.to_pandas(), tally, dimensions


@pytest.fixture
def read(tmp_path: Path):
    def of(*records: Any) -> tuple[pd.DataFrame, sources.Tally, dict[str, pd.DataFrame]]:
        return read_bytes(tmp_path, json.dumps({"Records": records}).encode())

    return of


def test_a_call_becomes_an_event_whose_keys_lead_to_its_dimension_rows(read) -> None:
    events, tally, dims = read(record(requestParameters={"bucketName": "b", "key": "2026/part-7.csv"}))
    e = events.iloc[0]
    assert (tally.read, tally.quarantined) == (1, [])
    assert e["time"] == pd.Timestamp("2026-03-01 10:20:30", tz="UTC") and str(e["day"]) == "2026-03-01"
    assert e["token_uid"] == identity.token_uid(KEY, "aws", USER["accessKeyId"])
    assert e["token_key"] == identity.int_key(e["token_uid"])
    assert (e["token_kind"], e["token_lifetime"]) == ("aws_access_key", "long_lived")
    assert (e["principal_uid"], e["principal_type_id"], e["tenant_uid"]) == (USER["arn"], 1, "111122223333")
    assert (e["src_ip"], e["network"], e["network_class"]) == ("203.0.113.7", "203.0.113.0/24", "unknown")
    assert (e["ua_family"], e["operation"], e["activity_id"], e["status_id"]) == ("Boto3", "GetObject", 2, 1)
    assert (e["resource_uid"], e["resource_type"]) == ("arn:aws:s3:::b/2026/part-7.csv", "AWS::S3::Object")
    assert pd.isna(e["rows"]) and pd.isna(e["response_bytes"]) and pd.isna(e["src_svc"])

    token = dims["dim_token"].iloc[0]
    assert (token["token_key"], token["mask"], token["issuer"]) == (e["token_key"], "AKIA...MPLE", "aws")
    assert token["principal_token_uid"] == identity.token_uid(KEY, "aws", USER["arn"])
    assert pd.isna(token["role_token_uid"])
    assert dims["dim_network"].iloc[0].tolist()[:3] == [e["network_key"], "203.0.113.0/24", "unknown"]
    client = dims["dim_client"].iloc[0]
    assert client.tolist() == [
        identity.value_key("client", "Boto3/1.34.2"),
        identity.value_key("client_family", "Boto3"),
        "Boto3/1.34.2",
        "Boto3",
        "1.34.2",
    ]
    assert e["client_key"] == client["client_key"]
    assert e["operation_key"] == identity.value_key("operation", "s3.amazonaws.com|GetObject")
    assert e["object_key"] == dims["dim_object"]["object_key"][0] and dims["dim_object"]["number"][0] == 7
    assert e["event_key"] == identity.value_key("event", f"cloudtrail|{e['event_uid']}")


def test_a_session_of_a_role_has_its_role_and_its_session_but_not_its_key(read) -> None:
    events, _, dims = read(record(userIdentity=SESSION))
    assert events["token_kind"][0] == "aws_session" and events["token_lifetime"][0] == "session"
    assert events["is_mfa"][0] is True or events["is_mfa"][0] == True  # noqa: E712  # a text in the log
    assert events["session_uid"][0].startswith("tok1_")
    token = dims["dim_token"].iloc[0]
    assert (token["role"], token["principal"]) == (ROLE_ARN, SESSION["arn"])
    assert token["role_token_uid"] == identity.token_uid(KEY, "aws", ROLE_ARN)


@pytest.mark.parametrize(
    ("caller", "kind", "native"),
    [
        ({"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}, "none", None),
        ({"type": "AWSService", "principalId": "ec2.amazonaws.com"}, "none", None),
        ({"accountId": "111122223333", "invokedBy": "ec2.amazonaws.com"}, "none", None),
        (None, "none", None),
        ({**USER, "accessKeyId": ""}, "principal", USER["arn"]),
        ({"type": "IAMUser", "principalId": "AIDAEXAMPLE", "accessKeyId": ""}, "principal", "AIDAEXAMPLE"),
        ({"type": "Root", "arn": "arn:aws:iam::1:root"}, "principal", "arn:aws:iam::1:root"),
        ({"type": "IAMUser", "arn": USER["arn"], "credentialId": "ABSKexample"}, "aws_bearer", "ABSKexample"),
    ],
)
def test_who_has_no_key_is_a_principal_or_no_one(read, caller: Any, kind: str, native: str | None) -> None:
    events, _, dims = read(record(userIdentity=caller))
    assert events["token_kind"][0] == kind
    assert events["token_uid"][0] == (identity.token_uid(KEY, "aws", native) if native else "")
    assert (events["token_key"][0] == 0) == (native is None)
    assert len(dims["dim_token"]) == (native is not None)


def test_a_service_that_calls_is_a_network_by_its_name(read) -> None:
    events, _, dims = read(
        record(sourceIPAddress="rds.amazonaws.com"), record(eventID="2", sourceIPAddress="AWS Internal")
    )
    assert events["src_ip"].isna().all()
    assert events["src_svc"].tolist() == events["network"].tolist() == ["rds.amazonaws.com", "AWS Internal"]
    assert set(dims["dim_network"]["network_class"]) == {"service"}


def test_refusals_and_throttling_are_told_apart_from_other_failures(read) -> None:
    codes = ["AccessDenied", "Client.UnauthorizedOperation", "ThrottlingException", "NoSuchTagSet", None]
    events, _, _ = read(*(record(eventID=str(i), errorCode=c) for i, c in enumerate(codes)))
    assert events["is_denied"].tolist() == [True, True, False, False, False]
    assert events["status_id"].tolist() == [2, 2, 2, 2, 1]
    assert events["http_status"].fillna(0).tolist() == [403, 403, 429, 400, 0]


def test_a_failed_sign_in_has_a_message_and_no_code(read) -> None:
    events, _, _ = read(record(eventName="ConsoleLogin", errorMessage="Failed authentication"))
    assert events["status_id"][0] == 2


def test_bytes_are_whole_though_the_log_has_floats(read) -> None:
    events, _, _ = read(record(additionalEventData={"bytesTransferredIn": 12.0, "bytesTransferredOut": 3e9}))
    assert (events["request_bytes"][0], events["response_bytes"][0]) == (12, 3_000_000_000)


def test_truth_may_be_text(read) -> None:
    events, tally, _ = read(record(readOnly="false", eventName="PutThing"), record(eventID="2", readOnly="true"))
    assert events["activity_id"].tolist() == [3, 2] and not tally.quarantined


def test_an_object_is_preferred_to_its_bucket(read) -> None:
    listed = [
        {"type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::b", "accountId": "1"},
        {"type": "AWS::S3::Object", "ARN": "arn:aws:s3:::b/k"},
    ]
    events, _, _ = read(record(resources=listed), record(eventID="2", resources=[{"accountId": "1"}, "odd"]))
    assert events["resource_uid"].fillna("").tolist() == ["arn:aws:s3:::b/k", ""]


def test_a_key_id_and_a_secret_that_stand_elsewhere_are_masked(read) -> None:
    stolen = "AKIAABCDEFGHIJKLMNOP"
    token = "ghp_" + "a1B2" * 9
    events, _, dims = read(
        record(
            requestParameters={
                "bucketName": "b",
                "key": f"dump/{token}/{stolen}",
                "accessKeyId": stolen,
                "password": token,
            },
            responseElements={"accessKey": {"accessKeyId": stolen, "secretAccessKey": "s" * 40}},
            userAgent=f"tool/1 ({token})",
            errorMessage=f"no {stolen}",
            errorCode=f"Bad {stolen}",
            eventID=f"id-{token}",
        ),
        record(
            resources=[{"ARN": f"arn:aws:iam::1:access-key/{stolen}"}],
            eventName=f"Get{stolen}",
            eventID=f"other-{token}",
        ),
    )
    stored = events.to_csv() + "".join(d.to_csv() for d in dims.values())
    for secret in (stolen, token, "s" * 40, USER["accessKeyId"]):
        assert secret not in stored
    assert events["event_key"].is_unique


def test_insight_events_are_ignored_by_rule(read) -> None:
    events, tally, _ = read(record(), record(eventCategory="Insight", userIdentity=None))
    assert len(events) == 1 and tally.ignored == {"cloudtrail insight event": 1}


def test_a_digest_that_was_named_as_a_log_is_ignored_by_rule(tmp_path: Path) -> None:
    events, tally, _ = read_bytes(tmp_path, b'{"digestStartTime": "2026-03-01T00:00:00Z", "logFiles": []}')
    assert len(events) == 0 and tally.ignored == {"cloudtrail digest file": 1}


def test_a_record_without_an_id_has_the_digest_of_its_bytes_and_keeps_it(read) -> None:
    first, _, _ = read(record(eventID=None), record(eventID=None, eventName="PutObject"))
    again, _, _ = read(record(eventID=None), record(eventID=None, eventName="PutObject"))
    assert first["event_uid"].tolist() == again["event_uid"].tolist() and first["event_uid"].is_unique


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (7, "the record is not an object"),
        (None, "the record is not an object"),
        (record(eventTime=None), "eventTime is missing, expected a time"),
        (record(eventTime="yesterday"), "eventTime is not a time"),
        (record(eventTime="1970-01-01T00:00:00Z"), "eventTime is not between 2000 and 2100"),
        (record(eventTime="2999-01-01T00:00:00Z"), "eventTime is not between 2000 and 2100"),
        (record(eventTime=["2026"]), "eventTime is a list, expected a time"),
        (record(eventName=None), "eventName is missing"),
        (record(userAgent=["secret-content"]), "userAgent is a list, expected text"),
        (record(userIdentity="secret-content"), "userIdentity is text, expected an object"),
        (record(userIdentity={**SESSION, "sessionContext": []}), "sessionContext is a list, expected an object"),
        (record(resources={"secret-content": 1}), "resources is an object, expected a list"),
        (record(readOnly=[1]), "readOnly is a list, expected true or false"),
        (record(additionalEventData={"bytesTransferredOut": -1}), "bytesTransferredOut is out of range"),
        (record(additionalEventData={"bytesTransferredOut": 1e300}), "bytesTransferredOut is out of range"),
        (record(additionalEventData={"bytesTransferredOut": "much"}), "bytesTransferredOut is text, expected a number"),
    ],
)
def test_a_broken_record_is_quarantined_and_its_neighbours_are_kept(read, broken: Any, reason: str) -> None:
    events, tally, _ = read(record(eventID="before"), broken, record(eventID="after"))
    assert events["event_uid"].tolist() == ["before", "after"]
    (one,) = tally.quarantined
    assert (one.place, one.reason) == ("record 2", reason)
    assert len(one.piece_digest) == 16 and "secret-content" not in one.reason
    assert [ref.rsplit("#")[1] for ref in events["raw_ref"]] == ["1", "3"]


def test_of_a_document_cut_off_every_whole_record_is_kept_and_the_rest_is_one_piece(tmp_path: Path) -> None:
    whole = json.dumps({"Records": [record(eventID=str(i)) for i in range(10)]}).encode()
    at = whole.index(b'"eventID": "7"')
    events, tally, _ = read_bytes(tmp_path, whole[: at + 40])
    assert events["event_uid"].tolist() == [str(i) for i in range(7)]
    (one,) = tally.quarantined
    assert one.place == f"byte {at - 1}" and "cut off" in one.reason


def test_of_a_half_written_gzip_every_whole_record_is_kept(tmp_path: Path) -> None:
    packed = gzip.compress(json.dumps({"Records": [record(eventID=f"{i * 7919:x}") for i in range(3000)]}).encode())
    events, tally, _ = read_bytes(tmp_path, packed[: len(packed) // 2])
    assert 500 < len(events) < 2500 and events["event_uid"].is_unique
    assert len(tally.quarantined) == 1


@pytest.mark.parametrize("lost", [1, 8, 30])
def test_a_gzip_that_lost_its_end_is_read_and_reported(tmp_path: Path, lost: int) -> None:
    packed = gzip.compress(json.dumps({"Records": [record()]}).encode())
    events, tally, _ = read_bytes(tmp_path, packed[:-lost])
    assert len(tally.quarantined) == 1 and len(events) <= 1


def test_gzip_files_joined_are_one_file(tmp_path: Path) -> None:
    whole = json.dumps({"Records": [record()]}).encode()
    events, tally, _ = read_bytes(tmp_path, gzip.compress(whole[:50]) + gzip.compress(whole[50:]))
    assert len(events) == 1 and not tally.quarantined


def test_a_record_that_is_not_json_costs_itself_alone(tmp_path: Path) -> None:
    parts = [json.dumps(record(eventID="1")), '{"eventID": nonsense}', json.dumps(record(eventID="3"))]
    events, tally, _ = read_bytes(tmp_path, f'{{"Records": [{", ".join(parts)}]}}'.encode())
    assert events["event_uid"].tolist() == ["1", "3"]
    assert [(b.place, b.reason) for b in tally.quarantined] == [("record 2", "the record is not JSON")]


def test_a_record_nested_too_deep_costs_itself_alone(tmp_path: Path) -> None:
    deep = '{"requestParameters": ' + "[" * 100_000 + "]" * 100_000 + "}"
    parts = [json.dumps(record(eventID="1")), deep, json.dumps(record(eventID="3"))]
    events, tally, _ = read_bytes(tmp_path, f'{{"Records": [{", ".join(parts)}]}}'.encode())
    assert events["event_uid"].tolist() == ["1", "3"]
    assert [b.place for b in tally.quarantined] == ["record 2"]


@pytest.mark.parametrize(
    "content", [b'{"foo": 1}', b"[1]", b"{}", b"\xff\xfe", b"x", b'{"Records": 7}', b'{"Records": {"a": 1}}']
)
def test_a_file_that_is_no_document_of_records_is_one_piece(tmp_path: Path, content: bytes) -> None:
    events, tally, _ = read_bytes(tmp_path, content)
    assert len(events) == 0 and len(tally.quarantined) == 1


@pytest.mark.parametrize("text", ["a\x00b", "\ud800", "\u202eexe", "a\x1b[31m"])
def test_text_that_a_terminal_or_arrow_would_stumble_over_becomes_harmless(read, text: str) -> None:
    events, tally, _ = read(record(userAgent=text, eventName=f"Get{text}"))
    assert not tally.quarantined
    assert not set(events["user_agent"][0]) & set("\x00\ud800\u202e\x1b")


def test_invalid_utf8_costs_no_record(tmp_path: Path) -> None:
    whole = json.dumps({"Records": [record(userAgent="AGENT")]}).encode().replace(b"AGENT", b"a\xff\xfeb")
    events, tally, _ = read_bytes(tmp_path, whole)
    assert events["user_agent"][0] == "a\ufffd\ufffdb" and not tally.quarantined


def test_long_texts_are_cut_and_stay_distinct(read) -> None:
    keys = ["k" * 5000 + str(i) for i in range(2)]
    events, _, _ = read(*(record(eventID=k, requestParameters={"bucketName": "b", "key": k}) for k in keys))
    assert events["resource_uid"].str.len().max() <= 1024
    assert events["resource_uid"].is_unique and events["event_key"].is_unique


def test_the_real_records_are_all_read_and_seventy_six_have_no_one(real_logs: Path) -> None:
    tally = sources.Tally()
    batches = [b for path, source in sources.find_files(real_logs)[0] for b in source.read(path, READING, tally)]
    events = pa.concat_tables([b.events for b in batches]).to_pandas()
    assert (tally.read, len(events), tally.quarantined, dict(tally.ignored)) == (2900, 2900, [], {})
    unattributed = events[events["token_kind"] == "none"]
    assert len(unattributed) == 76
    assert (unattributed["token_uid"] == "").all() and (unattributed["token_key"] == 0).all()
    assert (events.loc[events["token_kind"] != "none", "token_uid"] != "").all()
    assert events["token_kind"].value_counts().to_dict() == {
        "aws_access_key": 2182,
        "aws_session": 633,
        "none": 76,
        "principal": 9,
    }
    agents = [r["userAgent"] for path in real_logs.glob("*.json") for r in json.loads(path.read_text())["Records"]]
    attacks = sum(agent.strip("[").startswith("stratus-red-team_") for agent in agents)
    assert attacks > 200 and events["ua_family"].str.startswith("stratus-red-team_").sum() == attacks
    stored = events.to_csv() + "".join(t.to_pandas().to_csv() for b in batches for t in b.dimensions.values())
    raw = "".join(path.read_text() for path in real_logs.glob("*.json"))
    native = set(re.findall(r"\bA[KS]IA[A-Z0-9]{16}\b", raw))
    assert len(native) > 50 and not [n for n in native if n in stored]


def test_an_operation_is_sensitive_for_a_reason_that_stands_in_the_table(read) -> None:
    names = [
        "CreateAccessKey",
        "GetSecretValue",
        "AttachRolePolicy",
        "StopLogging",
        "DeleteBucket",
        "DescribeInstances",
    ]
    _, _, dims = read(*(record(eventID=n, eventName=n, readOnly=None) for n in names))
    rows = dims["dim_operation"].set_index("operation")
    assert rows.loc[names, "is_sensitive"].tolist() == [True, True, True, True, True, False]
    assert rows.loc[names, "activity_id"].tolist() == [1, 2, 3, 3, 4, 2]
    assert rows.loc["DescribeInstances", "is_list"]


def test_recognition_needs_what_every_record_has() -> None:
    assert recognition.recognises(record())
    assert not recognition.recognises({"eventTime": 1})
