"""The back of the page: what it says of the budget, of a week that missed it, and of what chance alone opens."""

import re

import pytest
from report.facts_example import attention

from tokenkit.report import parts


def budget_note(facts=None, week=None, **budget):
    """What the page says of the budget, as text."""
    facts = facts or attention()
    facts["budget"] |= budget
    if week is not None:
        facts["budget"]["week"] = facts["budget"]["week"] | week
    (note,) = re.findall(r"[^>]*<[^>]*>(\d[^<]* allowed[^<]*)<", parts.coverage_and_health(facts).html)
    return re.sub(r"\s+", " ", note).strip()


def test_a_week_that_opened_far_more_says_how_many_and_by_what():
    assert budget_note().endswith(
        " In the last 7 days 9 opened where 3.5 are allowed, most by: All that is unusual about one day (6); "
        "Made calls it rarely or never made (5); services (4). Thresholds answer within three nights."
    )


def test_a_week_that_opened_far_less_is_said_to_have_been_calm():
    note = budget_note(week={"opened": 0, "causes": []})
    assert note.endswith(
        " In the last 7 days 0 opened where 3.5 are allowed: these days were calmer than the two weeks before, and "
        "thresholds follow."
    )


@pytest.mark.parametrize("opened", [0, 2])
def test_where_few_are_allowed_a_week_far_off_is_said_to_be_chance_and_blames_nothing(opened):
    note = budget_note(week={"opened": opened, "allowed": 0.7, "may_be_chance": True})
    assert note.endswith(
        f" In the last 7 days {opened} opened where 0.7 are allowed: so few are allowed that this may be chance."
    )


@pytest.mark.parametrize("week", [None, {"opened": 4, "allowed": 3.5, "far_off": False, "causes": []}])
def test_nothing_is_said_of_a_week_that_kept_the_budget_or_of_the_first_one(week):
    facts = attention()
    facts["budget"]["week"] = week and facts["budget"]["week"] | week
    assert "In the last 7 days" not in budget_note(facts)


def test_how_many_incidents_chance_alone_opens_stands_beside_those_that_opened():
    assert "On days as ordinary as the 14 before, chance alone would open about 11." in budget_note(by_chance=11.2)


@pytest.mark.parametrize("budget", [{"by_chance": None}, {"opened": 0}])
def test_where_nothing_opened_or_nothing_is_known_chance_is_not_spoken_of(budget):
    assert "chance" not in budget_note(**budget)


def test_the_budget_is_said_in_whole_numbers_however_large_the_organisation_is():
    week = {"opened": 1_800, "allowed": 699.6}
    facts = attention()
    facts["budget"] |= {"allowed": 1_799.6, "per_day": 99.98, "opened": 1_900}
    assert budget_note(facts, week).startswith("1,900 incidents in 18 days, 1,800 allowed")
    assert "1,800 opened where 700 are allowed" in budget_note(facts, week)
    page = "".join(part(facts).html for part in (parts.coverage_and_health, parts.brief, parts.words))
    assert not re.search(r"\de\+\d", page) and "100 a day allowed" in page


def test_a_hostile_cause_is_text_in_one_line():
    note = budget_note(week={"causes": ["<b>bold</b>\n\u202e (3)", "x" * 500]})
    assert "most by: &lt;b&gt;bold&lt;/b&gt; (3); xxx" in note and len(note) < 800


def test_records_that_only_look_alike_or_only_share_an_id_are_named_beside_the_sum() -> None:
    facts = attention()
    assert "calls of their own" not in parts.coverage_and_health(facts).html
    facts["coverage"]["sources"][0] |= {"repeated": 147, "differing": 2}
    page = parts.coverage_and_health(facts).html
    assert "147 records equal an earlier one of their file" in page
    assert "2 duplicates have the id of another event, but not its content" in page
