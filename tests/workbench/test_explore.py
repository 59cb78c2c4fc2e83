"""Explore: what is said of a token is what the tables hold, past and present apart, and little history is enough."""

from datetime import date, timedelta

import numpy as np
import organisation as small
import pandas as pd
import pytest

import tokenkit
from tokenkit import config, report, run
from tokenkit.errors import InputError
from tokenkit.normal.deviation import CLIP
from tokenkit.sources.inputs import Input
from tokenkit.store import engine, lake
from tokenkit.workbench import explore, own_frames


@pytest.fixture(scope="module")
def view(analysed):
    return explore.look(analysed, *small.BUSY)


@pytest.fixture(scope="module")
def enumerated(view):
    incidents = view.ws.incidents()
    return incidents.loc[incidents["record"].map(lambda r: r["story"] == "enumeration"), "profile_uid"].iloc[0]


@pytest.fixture(scope="module")
def young(organisation, tmp_path_factory):
    """A workspace that knows three days."""
    folder = tmp_path_factory.mktemp("young")
    small.copy_until(organisation / "logs", folder / "logs", date(2026, 1, 8))
    ws = config.init(folder / "ws")
    run.run(ws, [Input(folder / "logs")], organisation / "inventory.csv")
    return ws.root


def test_those_that_nobody_answers_for_come_first(view):
    status = explore.tokens(view)["owner_status"].tolist()
    nobody = [s in explore.UNOWNED for s in status]
    assert nobody == sorted(nobody, reverse=True) and any(nobody)
    assert explore.tokens(view).loc[explore.suggested_profile(view), "owner_status"] in explore.UNOWNED


def test_the_values_of_a_token_add_up_to_its_calls(view, enumerated):
    events = view.ws.events(view.reference_start, view.end, enumerated)
    now = events["time"] >= pd.Timestamp(view.start, tz="UTC")
    for kind in ("network", "client", "operation"):
        values = explore.values(view, enumerated, kind)
        assert (values["now"].sum(), values["before"].sum()) == (now.sum(), (~now).sum())
        assert set(values.loc[values["before"] == 0, "mark"]) <= {"UNSEEN"}
    week = explore.week(view, enumerated)
    assert week["now"].sum() == pytest.approx(now.sum() / 10 * 7)


def test_what_changed_is_what_the_deviations_say(view, enumerated):
    changed = explore.changes(view, enumerated).set_index("feature")
    assert changed.index[0] in ("requests", "gap_variation", "sequential_objects")
    assert changed.loc["sequential_objects", "now"] > 50 > 5 > changed.loc["sequential_objects", "usual"]
    calls = view.days[
        (view.days["profile_uid"] == enumerated) & (view.days["start"] >= pd.Timestamp(view.start, tz="UTC"))
    ]
    assert changed.loc["requests", "now"] == calls["requests"].mean()
    said = view.ws.deviations(view.start, view.end)
    said = said[(said["window"] == "day") & (said["profile_uid"] == enumerated)].groupby("feature")["rz"].max()
    assert (changed["peak"] <= CLIP).all() and changed.loc["sequential_objects", "peak"] == pytest.approx(
        said["sequential_objects"], abs=0.5
    )


def test_the_band_holds_most_of_the_days_that_it_was_not_learned_from_and_not_the_attack(view, enumerated):
    frame = explore.series(view, enumerated, "requests")
    past, attack = frame[frame["reference"]], frame["value"].idxmax()
    first, end = (pd.Timestamp(day, tz="UTC") for day in view.evidence.periods.calibration)
    later = frame[(frame.index >= first) & (frame.index < end) & ~frame["reference"] & frame["high"].notna()]
    inside = (later["value"] >= later["low"]) & (later["value"] <= later["high"])
    assert len(later) >= 7 and inside.mean() > 0.7 and frame.loc[attack, "value"] > 10 * frame.loc[attack, "high"]
    hours = explore.series(view, enumerated, "requests", "hour")
    assert hours["value"].sum() == frame["value"].sum() and hours["reference"].sum() == 24 * past.shape[0]


def test_an_unknown_name_is_an_error_that_says_what_exists(view, enumerated):
    for call, said in (
        (lambda: explore.values(view, enumerated, "networks"), "did you mean network"),
        (lambda: explore.series(view, enumerated, "request"), "did you mean requests"),
        (lambda: explore.suggested_profile(view, "nobody-knows-it"), "no token 'nobody-knows-it'"),
        (lambda: explore.look(view.ws, "2026-02-15", "2026-02-10"), "must be before end"),
    ):
        with pytest.raises(InputError, match=said):
            call()


def test_three_days_are_enough_for_a_card_that_says_what_is_missing(young):
    view = explore.look(young)
    card = report.fingerprint_card(view)
    assert "3 days of logs so far" in card.html and "3 days of logs so far" in report.notice(view).html
    assert "What changed since the reference" not in card.html and "Calls in one session" in card.html
    assert report.organisation(view) and report.peer_groups(view)
    assert explore.tokens(view)["z"].isna().all() and explore.changes(view, explore.suggested_profile(view)).empty


def test_an_empty_lake_has_nothing_but_a_notice(tmp_path):
    view = explore.look(config.init(tmp_path / "ws"))
    assert not view and "tokenkit run --events PATH" in report.notice(view).html
    assert not report.organisation(view) and not report.peer_groups(view)
    assert report.fingerprint_card(view).html == report.notice(view).html


def test_days_of_the_reference_are_not_held_against_what_was_learned_from_them(analysed):
    newest = explore.look(analysed, end="2026-01-17")  # twelve days of logs: the reference is all but the last
    assert newest.evidence.periods.reference == (date(2026, 1, 5), date(2026, 1, 16))
    assert (newest.reference_start, newest.start, newest.end) == (
        date(2026, 1, 5),
        date(2026, 1, 16),
        date(2026, 1, 17),
    )
    inside = explore.look(analysed, "2026-01-10", "2026-01-17")
    assert inside.evidence is None and explore.changes(inside, explore.suggested_profile(inside)).empty
    said = "part of the reference (2026-01-05 to 2026-01-15): look at later ones to compare"
    assert said in report.notice(inside).html and said in report.fingerprint_card(inside).html


def test_fingerprints_of_another_version_are_an_error_that_says_what_to_do(workspace):
    ws = tokenkit.open(workspace)
    with engine.connect(ws.settings.engine, ws.scratch) as connection:
        formed = lake.scan(connection, ws.lake, "fingerprint").project("* exclude (pairs)").to_arrow_table()
    lake.replace(ws.lake, "fingerprint", formed)
    for call in (lambda: explore.look(ws, *small.BUSY), lambda: explore.look(ws, end="2026-01-08"), ws.deviations):
        with pytest.raises(InputError, match=r"have no pairs: formed by another version\. Form them again"):
            call()


def test_events_without_any_token_are_said_to_be_so():
    hours = pd.date_range("2026-03-01", periods=48, freq="h", tz="UTC")
    ws = own_frames.from_events(pd.DataFrame({"time": hours, "token_uid": "", "operation": "GET /orders"}))
    view = explore.look(ws)
    assert not view and "None of the events that were read has a token" in report.notice(view).html


def test_the_settings_in_hand_are_those_of_the_view(analysed):
    settings = config.load_settings(analysed / config.FILE_NAME)
    settings.report.pseudonymous = True
    view = explore.look(config.Workspace(analysed, settings), *small.BUSY)
    assert view.ws.settings is settings and view.people["owner_name"].isna().all()


def test_a_card_names_owner_peers_and_reference_and_is_the_same_twice(view, enumerated):
    one, two = (report.fingerprint_card(view, enumerated).html for _ in range(2))
    assert one == two
    for said in ("Emre Yilmaz", "its own past, 28 active days", "walked through consecutive numbers", "aria-label"):
        assert said in one
    assert "fingerprint" in report.fingerprint_card(explore.look(view.ws), enumerated, window="hour").html.lower()
    assert np.isfinite(explore.groups(view)["tokens"]).all() and view.start == date(2026, 2, 15) - timedelta(days=10)
