"""Reasons that add up, stories that follow from them, and a risk that never falls as the surprise grows."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest
import raw_logs
from hypothesis import given
from hypothesis import strategies as st
from report.facts_example import attention

from tokenkit.channels import detectors, policy, signs
from tokenkit.config import PANEL
from tokenkit.fingerprint import judged_features
from tokenkit.incidents import advice, explain, risk, words
from tokenkit.normal import familiarity
from tokenkit.normal.evidence import Evidence
from tokenkit.report import parts as page_parts

PARTS = [
    *judged_features(),
    *explain.VALUES,
    "hour_of_week",
    "panel",
    *policy.BITS,
    *(f"drift_{n}" for n in explain.DRIFT_TITLE),
    *explain.FAMILIAR,
    "silence",
    "little_else",
]
parts_of = st.dictionaries(st.sampled_from(PARTS), st.floats(0.01, 40), min_size=1, max_size=8)


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    values = raw_logs.steady(days=62)
    values["response_bytes"][0, 45:] *= 1.6
    values["sequential_objects"][0, 50] = 500
    return raw_logs.evidence_of(values, raw_logs.periods(42, 62), unfamiliarity=used(range(20, 62), 10, {50: 6}))


def used(days: range, of: int, fresh: dict[int, int], span: int = 1, usual: int = 1) -> pd.DataFrame:
    """What the first profile used on each day: so many values of each kind, one of them new, and others' where new."""
    new = np.array([fresh.get(day, usual) for day in days])
    table = pd.DataFrame({name: np.zeros(len(days)) for name in familiarity.nothing()})
    for kind in familiarity.KINDS:
        table[f"values_{kind}"], table[f"fresh_{kind}"] = float(of), new.astype(float)
        table[f"fresh_{kind}_{span}"] = new.astype(float)
    table["of_others_object"], table[familiarity.FOREIGN] = np.where(new > usual, new, 0.0), np.maximum(new - usual, 0)
    start = pd.DatetimeIndex([pd.Timestamp(raw_logs.moment(day)) for day in days]).as_unit("us")
    return table.assign(profile_uid=f"tok1_{0:024x}", start=start)


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


def test_what_fell_behind_is_said_of_what_fell_farthest() -> None:
    values = raw_logs.steady(days=62)
    values["write_requests"][:] = 40 + np.arange(62) % 5
    values["write_requests"][0, 50] = 2
    found = raw_logs.evidence_of(values, raw_logs.periods(42, 62))
    (row,) = explain.reasons(incident({"little_else": 9.0}), found, {}, {})
    assert row["title"] == "So many calls of one kind that the rest fell behind"
    assert row["observed"].startswith("calls that create or update: 2 calls on ")
    assert "at least" in row["usual"] and row["value"] == 2


def test_a_new_value_is_named_with_what_was_usual_and_how_many_peers_use_it(evidence: Evidence) -> None:
    (reason,) = reasons_of({"network": 10.0}, evidence)
    assert reason["observed"].startswith("new network: 7 calls of 10")
    assert reason["usual"].startswith("old network (900 calls before)")
    assert reason["peers"] == "2 of 23 use it"


def test_a_new_kind_of_network_is_named_with_who_runs_it_before_new_networks_of_a_known_kind(
    evidence: Evidence,
) -> None:
    networks = pd.DataFrame(
        {"key": [1, 2, 3, 4], "value": ["home", "rented", "tor", "usual"], "now": [9, 4, 2, 3],
         "before": [0, 0, 0, 900], "hours_before": [0, 0, 0, 90], "asn": [None, 16509, 64500, None],
         "as_name": [None, "AMAZON-02", None, None], "new_class": [False, True, True, False],
         "network_class": ["residential", "hosting", "anonymiser", "residential"]}
    )  # fmt: skip
    (reason,) = explain.reasons(incident({"network": 9.0}), evidence, {"network": networks}, {})
    assert reason["title"] == (
        "Used from a hosting provider and an anonymiser (VPN, proxy or Tor), a kind of network it never used"
    )
    assert reason["observed"] == "rented (AS16509 AMAZON-02), tor (AS64500): 6 calls of 18" and reason["value"] == 6
    ours = networks.assign(network_class="service")  # which a log tells without a file, too
    (reason,) = explain.reasons(incident({"network": 9.0}), evidence, {"network": ours}, {})
    assert reason["title"] == "Used from a network it was never used from" and reason["value"] == 15


@pytest.mark.parametrize(
    ("part", "what"),
    [
        ("unfamiliar_objects", "objects"), ("unfamiliar_operations", "kinds of calls"),
        ("unfamiliar_networks", "networks"), ("unfamiliar_clients", "programs"),
    ],
)  # fmt: skip
def test_what_is_new_to_a_token_is_counted_on_the_day_on_which_most_was(
    part: str, what: str, evidence: Evidence
) -> None:
    (reason,) = reasons_of({part: 10.0}, evidence)
    assert reason["sentence"] == (
        f"{explain.TITLE[part]}: 6 of 10 {what} were new to it, up to Tue 21 Apr; usual: 10% of them."
    )
    assert (reason["value"], reason["expected"]) == (6.0, pytest.approx(1.0))
    assert reason["measured_as"] == f"{part}, 1 days against 28"


def test_what_is_new_bit_by_bit_is_counted_over_the_days_in_which_it_was(evidence: Evidence) -> None:
    slow = used(range(20, 62), 10, {48: 3, 49: 4, 50: 5}, span=3)
    (reason,) = reasons_of({"unfamiliar_objects": 10.0}, dataclasses.replace(evidence, unfamiliarity=slow))
    assert reason["observed"] == "12 of 30 objects were new to it in 3 days, up to Tue 21 Apr"
    assert reason["usual"] == "10% of them" and reason["expected"] == pytest.approx(3.0)


def test_what_was_others_is_told_apart_from_what_was_new_to_everyone(evidence: Evidence) -> None:
    (reason,) = reasons_of({"foreign_objects": 10.0}, evidence)
    assert (reason["channel"], reason["family"]) == ("foreign_objects", "objects")
    assert reason["sentence"] == (
        "Worked on what only others had worked on: 6 of 30 objects were others' and new to it in 3 days, "
        "up to Tue 21 Apr; usual: 0% of them."
    )


def test_one_that_is_new_was_new_and_more_were(evidence: Evidence) -> None:
    for of, said in ((1, "1 of 1 kind of call was new to it"), (5, "1 of 5 kinds of calls was new to it")):
        lone = dataclasses.replace(evidence, unfamiliarity=used(range(20, 62), of, {50: 1}, usual=0))
        (reason,) = reasons_of({"unfamiliar_operations": 10.0}, lone)
        assert reason["observed"] == f"{said}, up to Tue 21 Apr" and reason["usual"] == "0% of them"


def test_days_of_another_incident_or_of_another_token_say_nothing_of_what_is_new(evidence: Evidence) -> None:
    mine, theirs = used(range(20, 62), 10, {47: 9, 50: 6, 52: 9}), used(range(20, 62), 10, {51: 10})
    both = pd.concat([mine, theirs.assign(profile_uid=f"tok1_{1:024x}")], ignore_index=True)
    (reason,) = reasons_of({"unfamiliar_objects": 10.0}, dataclasses.replace(evidence, unfamiliarity=both))
    assert reason["observed"].startswith("6 of 10 objects") and "Tue 21 Apr" in reason["observed"]


@pytest.mark.parametrize(
    ("silent", "observed", "usual"),
    [
        # days 50 and 51 are of the incident
        ({*range(40, 50)}, "10 days without a call before Tue 21 Apr", "at most 0 days"),
        ({10, *range(40, 50)}, "10 days without a call before Tue 21 Apr", "at most 1 day"),
        ({5, 6, 7, *range(30, 34), *range(45, 51)}, "6 days without a call before Wed 22 Apr", "at most 4 days"),
    ],
)
def test_a_silence_says_how_long_it_was_and_how_long_any_was_before(
    silent: set[int], observed: str, usual: str
) -> None:
    values = raw_logs.steady(profiles=6, days=62)
    for matrix in values.values():
        matrix[0, sorted(silent)] = np.nan
    evidence = raw_logs.evidence_of(values, raw_logs.periods(42, 62))
    (reason,) = found = explain.reasons(incident({"silence": 9.0}, 50, 52), evidence, {}, {})
    assert advice.headline("revived", "deploy", found) == (
        "deploy is used again after a long silence.", "deploy woke up after a long silence",
        f"Used again after a long silence: {observed}.",
    )  # fmt: skip
    assert reason["sentence"] == f"Used again after a long silence: {observed}; usual: {usual}."
    assert (reason["family"], reason["channel"], reason["peers"]) == ("rhythm", "point_day", "")


def test_every_part_of_every_channel_has_a_title_in_plain_words() -> None:
    ours = [*PARTS, *(f"panel_{name}" for name in PANEL), *(one.name for one in detectors())]
    for part, title in zip(ours, map(explain.title_of, ours), strict=True):
        assert title[:1].isupper() and "_" not in title and not title.endswith("."), part
    joined = {"network_moved", "network_beside", *signs.fewer()}
    assert set(signs.names()) - joined <= set(PARTS), "nothing is left out here"
    assert [explain.title_of(part) for part in ("silence", "foreign_objects", "orphan_in_use")] == [
        "Used again after a long silence", "Worked on what only others had worked on",
        "Used although its owner has left",
    ]  # fmt: skip


@pytest.mark.parametrize("part", [part for part in [*PARTS, "panel_IForest"] if part not in explain.VALUES])
def test_a_part_is_called_the_same_wherever_it_is_named(part: str, evidence: Evidence) -> None:
    (reason,) = reasons_of({part: 10.0}, evidence)
    assert explain.title_of(part) == reason["title"]


HOSTILE = "<img src=x onerror=alert(1)>{label}{0}\u202e"


def test_a_hostile_value_is_text_in_a_reason_and_on_a_card(evidence: Evidence) -> None:
    new = {kind: seen(kind).assign(value=[HOSTILE + "x" * 500, HOSTILE]) for kind in explain.VALUES}
    found = explain.reasons(incident(dict.fromkeys(explain.VALUES, 9.0)), evidence, new, {})
    assert all(r["observed"].startswith("<img src=x onerror=alert(1)>{label}{0}") for r in found)
    assert all(len(r["sentence"]) < 300 for r in found), "a long value is cut"
    facts = attention()
    facts["incidents"] = [facts["incidents"][0] | {"reasons": found}]
    html = page_parts.incidents(facts).html
    assert "<img src=x" not in html and "&lt;img src=x onerror=alert(1)&gt;{label}{0}" in html and "\u202e" not in html


@pytest.mark.parametrize("first", ["network", "orphan_in_use"])
@pytest.mark.parametrize("story", advice.HEADLINES)
def test_a_hostile_name_is_put_into_a_headline_as_it_is(story: str, first: str, evidence: Evidence) -> None:
    found = reasons_of({first: 9.0, "requests": 1.0}, evidence)
    long, short, _ = advice.headline(story, HOSTILE, found)
    assert long.count(HOSTILE) == short.count(HOSTILE) == 1 and long.endswith(".")


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
        ({"foreign_objects": 9.0, "objects": 5.0}, "others_work"),
        ({"silence": 9.0, "requests": 9.0}, "revived"),
        ({"unfamiliar_networks": 9.0, "unfamiliar_clients": 3.0}, "stolen"),
        ({"network_switches": 9.0}, "new_network"),
        ({"unfamiliar_operations": 9.0}, "new_calls"),
        ({"unfamiliar_objects": 9.0}, "objects"),
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


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"foreign_objects": 9.0, "requests": 8.0}, (
            "deploy began to work on what only others had worked on.", "deploy works on what is others'",
            "Worked on what only others had worked on: 6 of 30 objects were others' and new to it in 3 days, up to "
            "Tue 21 Apr.",
        )),
        ({"unfamiliar_objects": 9.0, "requests": 8.0}, (
            "deploy touched far more different objects than usual.", "deploy reaches for more objects",
            "More of what it touched was new to it: 6 of 10 objects were new to it, up to Tue 21 Apr.",
        )),
        ({"unfamiliar_networks": 9.0, "requests": 8.0}, (
            "deploy was used from a network it rarely or never used.", "deploy is used from a new place",
            "More of its networks were new to it: 6 of 10 networks were new to it, up to Tue 21 Apr.",
        )),
    ],
)  # fmt: skip
def test_a_story_of_what_is_new_is_told_with_its_own_reason(
    parts: dict[str, float], told: tuple[str, str, str], evidence: Evidence
) -> None:
    assert advice.headline(advice.story_of(parts), "deploy", reasons_of(parts, evidence)) == told


def test_the_detail_of_a_headline_is_the_largest_reason_of_its_story(evidence: Evidence) -> None:
    found = reasons_of({"requests": 9.0, "response_bytes": 8.0, "rows": 4.0}, evidence)
    assert advice.headline("spike", "deploy", found)[2].startswith(found[1]["title"])


def test_what_has_ended_has_no_rate_to_carry_forward(evidence: Evidence) -> None:
    found = reasons_of({"drift_response_bytes": 10.0}, evidence)
    said = advice.if_nothing("slow_leak", found, pd.Timestamp("2026-03-03", tz="UTC"))
    assert said == ["It ended on Mon 2 Mar: nothing of it was flagged since."]
