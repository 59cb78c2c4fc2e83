"""Facts about the whole organisation: what its last week opened beside what was allowed, and by what."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import raw_logs

from tokenkit.config import Detection
from tokenkit.incidents.labels import Labels
from tokenkit.judge import organisation
from tokenkit.judge.judgement import Judgement
from tokenkit.normal.evidence import Evidence
from tokenkit.schema.facts import Budget

END = 62
ALLOWED_A_DAY = 0.5  # 3.5 in a week


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    values = raw_logs.steady(days=END)
    for matrix in values.values():
        matrix[20:, :40] = np.nan  # the last four are young
    return raw_logs.evidence_of(values, raw_logs.periods(42, END))


def window(profile: int, day: int, channel: str = "point_day", part: str = "operation", name: str = "") -> Any:
    """A flagged day of a profile, of an incident of its own."""
    start = pd.Timestamp(raw_logs.moment(day))
    return {
        "incident_uid": name or f"inc1_{profile}_{day}", "profile_uid": f"tok1_{profile:024x}", "channel": channel,
        "window": "day", "start": start, "end": start + pd.Timedelta("1D"), "score_bits": 9.0, "threshold_bits": 8.0,
        "parts": {part: 8.0, "requests": 1.0},
    }  # fmt: skip


def budget_of(evidence: Evidence, windows: list[Any], allowed_a_day: float = ALLOWED_A_DAY) -> Budget:
    columns = list(window(0, 0))
    judgement = Judgement(
        evidence.periods, SimpleNamespace(), Labels(), pd.DataFrame(), pd.DataFrame(windows, columns=columns),  # type: ignore[arg-type]
        evidence, allowed_a_day=allowed_a_day,
    )  # fmt: skip
    return organisation.budget(judgement, [], Detection())


def opened(n: int, day: int = 58) -> list[Any]:
    return [window(profile, day) for profile in range(n)]


@pytest.mark.parametrize(
    ("n", "far_off", "chance"),
    [
        (0, True, False), (1, True, True), (2, False, True), (7, False, True), (8, True, False), (12, True, False),
    ],
)  # fmt: skip
def test_a_week_is_far_off_at_less_than_half_or_more_than_twice_what_is_allowed(
    evidence: Evidence, n: int, far_off: bool, chance: bool
) -> None:
    """3.5 are allowed: 0 have a chance of .03, 1 or fewer .14, 8 or more .03."""
    week = budget_of(evidence, opened(n))["week"]
    assert week is not None and (week["opened"], week["allowed"]) == (n, 3.5)
    assert week["far_off"] is far_off
    if far_off:
        assert week["may_be_chance"] is chance


def test_a_cause_is_the_way_of_looking_the_sign_and_the_kind_of_tokens_that_opened_most(evidence: Evidence) -> None:
    some = [window(n, 58) for n in range(4)] + [window(n, 59, "drift_amounts", "drift_rows") for n in range(20, 23)]
    some += [window(10, 60, part="silence"), window(23, 61)]
    week = budget_of(evidence, some)["week"]
    assert week is not None and week["opened"] == 9
    assert week["causes"] == [
        "All that is unusual about one day (6)",
        "Made calls it rarely or never made (5)",
        "other tokens at work in working hours: builds, partners, people without an entry in the list of owners (5)",
    ]


def test_tokens_that_are_young_are_told_as_such(evidence: Evidence) -> None:
    some = [window(n, day) for n in range(20, 24) for day in (55, 58)]
    week = budget_of(evidence, some)["week"]
    assert week is not None and week["causes"][-1] == "tokens that are young or seldom used (8)"


def test_a_week_that_opened_too_little_has_no_cause(evidence: Evidence) -> None:
    week = budget_of(evidence, [])["week"]
    assert week is not None and week["far_off"] and week["causes"] == []


def test_what_opened_before_the_week_or_by_a_rule_is_not_of_the_week(evidence: Evidence) -> None:
    older = [window(1, 54, name="inc1_old"), window(1, 56, name="inc1_old"), window(2, 54)]
    rules = [window(3, 58, "policy", "orphan_in_use")]
    week = budget_of(evidence, [*older, *rules, window(4, 55)])["week"]
    assert week is not None and week["opened"] == 1, "the week begins on the first of the last seven days"


@pytest.mark.parametrize(("end", "known"), [(48, False), (49, True)])
def test_nothing_is_said_before_a_whole_week_was_judged(end: int, known: bool) -> None:
    short = raw_logs.evidence_of(raw_logs.steady(profiles=8, days=end), raw_logs.periods(42, end))
    assert (budget_of(short, [])["week"] is not None) is known


def test_nothing_is_said_where_nothing_is_allowed(evidence: Evidence) -> None:
    assert budget_of(evidence, [], allowed_a_day=0.0)["week"] is None


def test_chance_opens_what_the_shares_of_the_budget_leave_of_it(evidence: Evidence) -> None:
    found = budget_of(evidence, [])
    assert found["allowed"] == ALLOWED_A_DAY * (END - 42)
    assert found["by_chance"] == pytest.approx(found["allowed"] * sum(Detection().shares.values()))
    assert found["achieved"] == 0.0 and found["calibration_opened"] == 0


def test_what_the_first_thresholds_would_have_opened_on_the_days_on_which_they_were_set(evidence: Evidence) -> None:
    some = [window(0, 27), window(1, 28), window(2, 41), window(3, 42), window(4, 30, "policy", "orphan_in_use")]
    assert budget_of(evidence, some)["calibration_opened"] == 2
