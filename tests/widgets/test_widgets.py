"""Widgets: what is clicked is a call, what is searched is found at once, and no text of the data becomes markup."""

import organisation as small
import pandas as pd
import pytest
from markupsafe import Markup

import tokenkit
from tokenkit import explore, tune, widgets
from tokenkit.errors import InputError
from tokenkit.incidents import verdicts
from tokenkit.widgets import front
from tokenkit.widgets.pick import MOST, SEARCHED, TokenPicker

PAYLOAD = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def view(analysed):
    return explore.look(analysed, *small.BUSY)


@pytest.fixture(scope="module")
def scored(analysed):
    return tune.prepare(tokenkit.open(analysed), *small.BUSY)


def test_a_token_is_found_among_a_hundred_thousand(view):  # in which time: benchmarks/picker.py
    n = 100_000
    people = pd.DataFrame({c: [f"{c}-{k}" for k in range(n)] for c in SEARCHED}, index=[f"tok1_{k}" for k in range(n)])
    many = explore.View(view.ws)
    many.__dict__["people"] = people
    picker = TokenPicker(many)
    assert len(picker.search("nothing at all")) == 0 and len(picker.search("l")) >= MOST
    assert picker.search("owner_name-99999")["label"].tolist() == ["label-99999"]


def test_a_chosen_token_is_the_value_and_the_call_that_does_the_same_is_shown(view):
    picker = widgets.pick_token(view)
    label = picker.search("billing")["label"].iloc[0]
    card = picker.choose(label)
    assert picker.value == view.ws.profile(label) and label in card.html
    names = {"ws": view.ws, "view": view, "report": __import__("tokenkit.report").report}
    exec(picker.calls, names)
    assert names["profile"] == picker.value


def test_typing_filters_the_list_and_choosing_shows_the_card(view):
    picker = widgets.pick_token(view)
    asked, count, listed, _, card = picker.box.children[1].children
    asked.value = "billing"
    assert "of 40 tokens" in count.value and 1 < len(listed.options) <= 4
    listed.value = listed.options[1][1]
    assert picker.value == listed.value and "fingerprint" in card.value.lower()


def test_moving_the_budget_redraws_and_shows_its_call(view, scored):
    tuner = widgets.tune_budget(view.ws, scored=scored)
    left, picture, calls, *_ = tuner.box.children[1].children
    before = picture.value
    left.children[0].value = 20.0
    assert picture.value != before and "budget=20" in calls.value
    assert tuner.trial.detection.budget == 20.0 and tuner.saved.detection.budget == 5.0


def test_shares_beyond_the_whole_are_refused_in_words_and_nothing_moves(view, scored):
    tuner = widgets.tune_budget(view.ws, scored=scored)
    left, picture, *_, done = tuner.box.children[1].children
    before = picture.value
    left.children[1].value = 1.0
    assert "shares add up to" in done.value and picture.value == before


def test_an_answer_is_a_label_and_needs_a_reason(workspace):
    ws = tokenkit.open(workspace)
    answers = widgets.triage(ws)
    uid = answers.incidents["incident_uid"].iloc[0]
    with pytest.raises(InputError, match="needs a reason"):
        answers.answer(uid, "true_positive", " ", "ana")
    answers.answer(uid, "true_positive", "a stolen key", "ana")
    assert verdicts.labels(ws)[["incident_uid", "verdict"]].values.tolist() == [[uid, "true_positive"]]
    assert "true positive" in answers.static().html


def test_hostile_values_are_text_in_every_widget(workspace):
    ws = tokenkit.open(workspace)
    answers = widgets.triage(ws)
    answers.incidents["headline"] = answers.incidents["owner"] = PAYLOAD
    one = answers.box.children[1].children[1].children[0].value
    shown = answers.static().html + one + widgets.table(pd.DataFrame({PAYLOAD: [PAYLOAD]}), PAYLOAD).static().html
    assert "<img" not in shown and "&lt;img" in shown
    assert "<img" not in front.code(PAYLOAD) + front.said(PAYLOAD)


def test_text_that_nobody_escaped_cannot_become_a_widget():
    with pytest.raises(AssertionError, match="escaped"):
        front.markup(PAYLOAD)
    assert front.markup(Markup("<b>{}</b>").format(PAYLOAD)).value.startswith("<b>&lt;img")


def test_the_interactive_table_carries_its_script_and_escapes_cells():
    made = widgets.table(pd.DataFrame({"agent": [PAYLOAD], "n": [1.23456]}), "agents").interactive()
    assert PAYLOAD not in made and "https://cdn" not in made.split("</script>")[-1] and "1.235" in made


def test_where_nobody_is_there_no_widget_is_made(view):
    picker = widgets.pick_token(view)
    bundle, _ = picker._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"} and "box" not in picker.__dict__


def test_with_too_little_history_the_tuner_says_so(tmp_path):
    from tokenkit import config

    ws = tokenkit.open(config.init(tmp_path / "ws").root)
    assert "there are no events yet" in widgets.tune_budget(ws).static().html
    assert not widgets.pick_token(ws).static()
