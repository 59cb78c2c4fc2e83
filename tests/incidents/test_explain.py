"""Reasons that add up, stories that follow from them, and a risk that never falls as the surprise grows."""

import dataclasses
from typing import Any

import pandas as pd
import pytest
import raw_logs
from hypothesis import given
from hypothesis import strategies as st

from tokenkit.channels import policy
from tokenkit.fingerprint import judged_features
from tokenkit.incidents import advice, explain, risk, words
from tokenkit.normal.evidence import Evidence

PARTS = [
    *judged_features(),
    *explain.VALUES,
    "hour_of_week",
    "panel",
    *policy.BITS,
    *(f"drift_{n}" for n in explain.DRIFT_TITLE),
]
parts_of = st.dictionaries(st.sampled_from(PARTS), st.floats(0.01, 40), min_size=1, max_size=8)


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    values = raw_logs.steady(days=62)
    values["response_bytes"][0, 45:] *= 1.6
    values["sequential_objects"][0, 50] = 500
    return raw_logs.evidence_of(values, raw_logs.periods(42, 62))


def incident(parts: dict[str, float], start: int = 48, end: int = 52) -> pd.Series:
    low, high = (pd.Timestamp(raw_logs.moment(d)) for d in (start, end))
    return pd.Series(
        {"profile_uid": f"tok1_{0:024x}", "start": low, "end": high, "parts": parts,
         "peak_start": low, "peak_window": "day", "score_bits": sum(parts.values())}
    )  # fmt: skip


def seen(kind: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "key": [1, 2],
            "value": [f"new {kind}", f"old {kind}"],
            "now": [7, 3],
            "before": [0, 900],
            "hours_before": [0, 90],
        }
    )


def reasons_of(parts: dict[str, float], evidence: Evidence) -> list[dict[str, Any]]:
    new = {kind: seen(kind) for kind in explain.VALUES}
    return explain.reasons(incident(parts), evidence, new, {kind: {1: 2} for kind in new})


@given(parts=parts_of)
def test_contributions_add_up_to_the_score_and_shares_to_one(evidence: Evidence, parts: dict[str, float]) -> None:
    found = reasons_of(parts, evidence)
    assert sum(r["bits"] for r in found) == pytest.approx(sum(parts.values()))
    assert sum(r["share"] for r in found) == pytest.approx(1)
    assert [r["feature"] for r in found] == sorted(parts, key=lambda p: (-parts[p], p)), "the largest first"


@pytest.mark.parametrize("part", PARTS)
def test_every_part_can_be_said_in_a_plain_sentence(part: str, evidence: Evidence) -> None:
    (reason,) = reasons_of({part: 10.0}, evidence)
    assert reason["title"] and reason["observed"] and reason["measured_as"]
    assert reason["sentence"].startswith(reason["title"]) and reason["sentence"].rstrip(".")
    assert "nan" not in reason["sentence"].lower() and "None" not in reason["sentence"]


def test_a_drift_says_how_much_more_a_day_and_of_what(evidence: Evidence) -> None:
    (reason,) = reasons_of({"drift_response_bytes": 10.0}, evidence)
    assert reason["value"] > reason["expected"] > 0 and "% more" in reason["observed"]
    assert "for as many calls" in reason["usual"]


def test_an_amount_says_the_day_on_which_it_was_farthest_off(evidence: Evidence) -> None:
    (reason,) = reasons_of({"sequential_objects": 10.0}, evidence)
    assert reason["value"] == 500 and words.day(pd.Timestamp(raw_logs.moment(50))) in reason["observed"]


def test_a_new_value_is_named_with_what_was_usual_and_how_many_peers_use_it(evidence: Evidence) -> None:
    (reason,) = reasons_of({"network": 10.0}, evidence)
    assert reason["observed"].startswith("new network: 7 calls of 10")
    assert reason["usual"].startswith("old network (900 calls before)")
    assert reason["peers"] == "2 of 23 use it"


@pytest.mark.parametrize(
    ("before", "total", "mark"),
    [
        (0, 0, "UNSEEN"), (0, 1000, "UNSEEN"), (1, 1001, "RARE"), (1, 1000, "INFREQUENT"), (49, 1000, "INFREQUENT"),
        (50, 1000, "FREQUENT"), (1, 1, "FREQUENT"),
    ],
)  # fmt: skip
def test_how_common_a_value_was_is_marked(before: int, total: int, mark: str) -> None:
    assert explain.mark(before, total) == mark


@pytest.mark.parametrize(
    ("parts", "kind"),
    [
        ({"network": 20.0, "client": 18.0, "requests": 4.0}, "stolen"),
        ({"network": 20.0}, "new_network"),
        ({"client": 20.0}, "new_program"),
        ({"operation": 9.0, "sensitive_requests": 3.0}, "new_calls"),
        ({"new_pairs": 9.0, "new_transitions": 3.0}, "new_calls"),
        ({"objects": 15.0, "sequential_objects": 6.0}, "enumeration"),
        ({"sequential_objects": 1.0, "requests": 15.0}, "enumeration"),
        ({"objects": 15.0, "new_objects": 2.0}, "objects"),
        ({"denied": 9.0}, "doors"),
        ({"response_bytes": 9.0, "requests": 9.0}, "spike"),
        ({"drift_response_bytes": 9.0, "drift_objects": 2.0}, "slow_leak"),
        ({"drift_requests": 9.0}, "growth"),
        ({"requests": 9.0}, "busy"),
        ({"delete_requests": 9.0}, "deletion"),
        ({"orphan_in_use": 16.0}, "policy"),
        ({"hour_of_week": 5.0}, "mixed"),
        ({"panel": 5.0}, "mixed"),
        ({"clients": 5.0}, "mixed"),
    ],
)
def test_the_story_is_what_explains_most_of_the_score(parts: dict[str, float], kind: str) -> None:
    assert advice.story_of(parts) == kind


def person(**fields: Any) -> pd.Series:
    return pd.Series(
        {"label": "deploy", "owner_status": "owned", "owner_name": "ana", "team": "core", "owner_type": "service",
         "kind": "api_key", "issuer": "gateway:default"} | fields
    )  # fmt: skip


@pytest.mark.parametrize("story", advice.HEADLINES)
def test_every_story_has_a_headline_something_to_do_and_what_happens_otherwise(story: str, evidence: Evidence) -> None:
    found = reasons_of({"network": 20.0, "drift_response_bytes": 10.0}, evidence)
    long, short, detail = advice.headline(story, "deploy", found)
    assert "deploy" in long and "deploy" in short and detail
    action = advice.action(story, person(), "high")
    assert action["title"] and action["text"] and action["verb"] in ("lock", "step_up", "restrict", "notify")
    assert 1 <= len(advice.explanations(story, found, person())) <= 3
    assert advice.if_nothing(story, found)
    assert all(t in advice.ATTACK for t in advice.technique_ids(story))


@given(parts_of)
def test_every_score_has_a_story_that_can_be_told(parts: dict[str, float]) -> None:
    assert advice.story_of(parts) in advice.HEADLINES


def test_a_person_signs_in_again_and_a_machine_s_key_is_locked() -> None:
    assert advice.action("stolen", person(), "high")["verb"] == "lock"
    assert advice.action("stolen", person(owner_type="human"), "high")["verb"] == "step_up"
    assert "has no owner" in advice.action("stolen", person(owner_status="unowned", owner_name=None), "high")["who"]


@pytest.mark.parametrize("story", advice.HEADLINES)
def test_where_little_is_sure_a_question_is_asked_and_no_access_changes(story: str) -> None:
    assert advice.action(story, person(), "low")["verb"] == "notify"


criticalities = [None, "low", "medium", "high", "critical"]


@given(st.floats(0, 200), st.floats(0, 200), st.sampled_from(criticalities), st.sampled_from(["owned", "orphaned"]))
def test_risk_never_falls_as_the_surprise_grows(a: float, b: float, criticality: str | None, status: str) -> None:
    low, high = sorted((a, b))
    assert 0 <= risk.risk(low, criticality, status) <= risk.risk(high, criticality, status) <= 100


@given(st.floats(0, 200), st.sampled_from(["owned", "unowned"]))
def test_risk_never_falls_as_the_token_matters_more(bits: float, status: str) -> None:
    by_criticality = [risk.risk(bits, c, status) for c in ("low", "medium", "high", "critical")]
    assert by_criticality == sorted(by_criticality)
    assert risk.risk(bits, None, "orphaned") >= risk.risk(bits, None, "owned")
    assert risk.risk(bits, None, status) == risk.risk(bits, "medium", status) == risk.risk(bits, "odd", status)


def test_levels_of_risk() -> None:
    assert [risk.level(v) for v in (0, 49, 50, 74, 75, 100)] == ["low", "low", "medium", "medium", "high", "high"]


def test_an_amount_that_belongs_to_no_story_is_the_headline_itself_where_it_leads(evidence: Evidence) -> None:
    for parts, leads in (({"request_bytes": 9.0, "clients": 1.0}, True), ({"request_bytes": 4.0, "clients": 3.9,
                         "networks": 3.9}, False), ({"hour_of_week": 9.0}, False)):  # fmt: skip
        long, short, _ = advice.headline(advice.story_of(parts), "deploy", reasons_of(parts, evidence))
        assert (short == "deploy sent far more data for its calls") is leads
        assert (long == f"{short}.") is leads


def test_what_a_value_is_given_is_named_by_its_unit(evidence: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    (reason,) = reasons_of({"pairs": 5.0}, evidence)
    assert "for as many calls" in reason["usual"]
    listed = explain.features()
    other = listed | {"pairs": dataclasses.replace(listed["pairs"], given="objects")}
    monkeypatch.setattr(explain, "features", lambda: other)
    (reason,) = reasons_of({"pairs": 5.0}, evidence)
    assert "for as many objects" in reason["usual"]


def test_the_detail_of_a_headline_is_the_largest_reason_of_its_story(evidence: Evidence) -> None:
    found = reasons_of({"requests": 9.0, "response_bytes": 8.0, "rows": 4.0}, evidence)
    assert advice.headline("spike", "deploy", found)[2].startswith(found[1]["title"])


def test_what_has_ended_has_no_rate_to_carry_forward(evidence: Evidence) -> None:
    found = reasons_of({"drift_response_bytes": 10.0}, evidence)
    said = advice.if_nothing("slow_leak", found, pd.Timestamp("2026-03-03", tz="UTC"))
    assert said == ["It ended on Mon 2 Mar: nothing of it was flagged since."]
