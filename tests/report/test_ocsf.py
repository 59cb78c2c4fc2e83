"""Findings are valid OCSF 1.8, whatever the logs held."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from report.facts_example import STATES, attention
from report.test_parts import HOSTILE, with_text

from tokenkit.report import findings

SCHEMA = json.loads((Path(__file__).parents[1] / "data" / "ocsf" / "detection_finding.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)


def problems(facts):
    return [f"{e.json_path}: {e.message[:200]}" for finding in findings(facts) for e in VALIDATOR.iter_errors(finding)]


@pytest.mark.parametrize("state", STATES)
def test_findings_are_valid_in_every_state(state):
    assert problems(STATES[state]()) == []


def test_no_incident_is_an_empty_list():
    assert findings(STATES["quiet"]()) == []


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_findings_are_valid_and_plain_json_whatever_the_text(text):
    facts = with_text(attention(), text)
    assert problems(facts) == []
    json.dumps(findings(facts), allow_nan=False).encode("utf-8")


def test_a_finding_names_the_incident_the_tokens_and_when_it_could_have_been_raised():
    facts = attention()
    first, second, third = findings(facts)
    assert first["finding_info"]["uid"] == first["metadata"]["uid"] == "inc1_4b7e09d2a6c01f35"
    assert first["finding_info"]["created_time"] == 1772593200000  # 2026-03-04T03:00:00Z
    assert [r["uid"] for r in second["resources"]] == facts["incidents"][1]["token_uids"]
    assert all(r["role_id"] == 3 for r in second["resources"])
    assert first["resources"][0]["owner"] == {
        "name": "Marta Lind",
        "email_addr": "marta.lind@example.com",
        "type_id": 1,
    }
    assert "owner" not in third["resources"][0], "who left owns nothing"
    assert (first["activity_id"], third["activity_id"]) == (1, 2)
    assert (first["severity_id"], first["risk_level_id"], first["confidence_id"], first["risk_score"]) == (4, 3, 3, 94)
    assert "203.0.113.0/24" in first["finding_info"]["desc"]
    assert first["finding_info"]["attacks"][0]["sub_technique"] == {"uid": "T1078.004", "name": "Cloud Accounts"}


def test_two_runs_of_the_same_incident_differ_in_the_run_only():
    one, other = attention(), attention() | {"run_uid": "run1_ffff"}
    a, b = findings(one)[0], findings(other)[0]
    assert a["metadata"].pop("correlation_uid") != b["metadata"].pop("correlation_uid")
    assert a == b


def test_an_address_that_is_none_is_not_called_one():
    facts = attention()
    for row in facts["incidents"][0]["evidence"]:
        row["from"] = "cloudformation.amazonaws.com"
    facts["incidents"][0]["owner"]["email"] = "not an address"
    assert problems(facts) == []
    assert "src_endpoint" not in findings(facts)[0]["evidences"][0]


def test_numbers_that_json_does_not_know_are_left_out():
    facts = attention()
    facts["incidents"][0]["reasons"][0]["value"] = float("nan")
    facts["incidents"][0]["reasons"][0]["bits"] = float("inf")
    assert problems(facts) == []
    json.dumps(findings(facts), allow_nan=False)
