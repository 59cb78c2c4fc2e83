"""Tuning: a what-if is what a run would report, its effect is said, and saving changes one section of the file."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import organisation as small
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tokenkit
from tokenkit import channels, config
from tokenkit.days import periods_of
from tokenkit.errors import ConfigError, InputError
from tokenkit.incidents import merge
from tokenkit.judge import Judgement, detect
from tokenkit.workbench import tune

START, END = (date.fromisoformat(d) for d in small.BUSY)


@pytest.fixture(scope="module")
def scored(analysed: Path) -> tune.ScoredPeriod:
    return tune.prepare(tokenkit.open(analysed), START, END)


def detected(root: Path, **change: object) -> tuple[Judgement, set[str]]:
    """What a run finds with these settings, and the incidents that its page would list as opened or grown."""
    ws = tokenkit.open(root)
    ws.settings.detection = ws.settings.detection.model_copy(update=change)
    found = detect(ws, periods_of(ws, START, END))
    shown = {
        str(uid)
        for uid, windows in found.windows.groupby("incident_uid")
        if merge.state(windows, START, END) in ("opened", "grown")
    }
    return found, shown


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"budget": 60.0},
        {"budget": 30.0, "shares": {"point_hour": 0.1, "drift_amounts": 0.6, "drift_requests": 0.3}},
        {"budget": 40.0, "shares": {"point_day": 0.2, "panel": 0.5}, "panel": ["HBOS"]},
    ],
)
def test_a_what_if_is_what_a_run_with_those_settings_reports(
    scored: tune.ScoredPeriod, workspace: Path, change: dict[str, object]
) -> None:
    what_if = tune.what_if(scored, **change)  # type: ignore[arg-type]
    found, shown = detected(workspace, **change)
    assert set(what_if.incidents["incident_uid"]) == shown
    limits = found.threshold_table[list(what_if.threshold_table.columns)]
    assert np.allclose(what_if.threshold_table.to_numpy(), limits.to_numpy(), rtol=1e-9)
    by_uid = merge.summary(found.windows).set_index("incident_uid")["score_bits"]
    assert np.allclose(what_if.incidents["score_bits"], by_uid.loc[what_if.incidents["incident_uid"]])


def test_a_larger_budget_gains_and_loses_nothing_it_does_not_say(scored: tune.ScoredPeriod) -> None:
    saved, more = tune.with_saved_settings(scored), tune.what_if(scored, budget=100)
    change = tune.compare(more, saved)
    assert (change["change"] == "gained").sum() > 0
    assert set(change.loc[change["change"] != "lost", "incident_uid"]) == set(more.incidents["incident_uid"])
    assert more.allowed == pytest.approx(20 * saved.allowed) and more.achieved == more.opened / more.allowed


def test_a_theft_in_the_midst_of_a_drift_that_is_kept_is_gained_or_lost(scored: tune.ScoredPeriod) -> None:
    saved = tune.with_saved_settings(scored)
    days = pd.date_range("2026-03-01", periods=3, freq="7D", tz="UTC")
    one = saved.incidents.iloc[:1].assign(profile_uid="tok1_a")
    drift = one.assign(incident_uid="inc1_drift", start=days[0], end=days[1])
    theft = one.assign(incident_uid="inc1_theft", start=days[1], end=days[2])
    with_theft = replace(saved, incidents=pd.concat([drift, theft], ignore_index=True))
    without = replace(saved, incidents=drift.assign(end=days[2]))
    gained, lost = tune.compare(with_theft, without), tune.compare(without, with_theft)
    assert gained[["change", "incident_uid"]].to_numpy().tolist() == [["gained", "inc1_theft"], ["kept", "inc1_drift"]]
    assert lost[["change", "incident_uid"]].to_numpy().tolist() == [["lost", "inc1_theft"], ["kept", "inc1_drift"]]


def test_compared_with_itself_a_what_if_keeps_everything(scored: tune.ScoredPeriod) -> None:
    saved = tune.with_saved_settings(scored)
    assert set(tune.compare(saved, saved)["change"]) <= {"kept"}
    assert len(tune.compare(saved, saved)) == len(saved.incidents)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"budget": -1}, r"detection\.budget: .*greater than 0"),
        ({"shares": {"drift_amount": 0.1}}, "unknown channel 'drift_amount': did you mean drift_amounts"),
        ({"shares": {"panel": 0.7, "point_day": 0.7}}, r"shares add up to 1\.40"),
    ],
)
def test_a_configuration_that_the_file_would_not_take_is_refused(
    scored: tune.ScoredPeriod, change: dict[str, object], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        tune.what_if(scored, **change)  # type: ignore[arg-type]


def test_with_too_little_history_it_says_how_much_is_missing(workspace: Path) -> None:
    ws = tokenkit.open(workspace)
    first = periods_of(ws).first
    with pytest.raises(InputError, match="9 days lie before the reported ones, expected 14 or more"):
        tune.prepare(ws, first + pd.Timedelta(days=9), first + pd.Timedelta(days=10))


def test_what_is_saved_is_what_the_next_run_uses_and_nothing_else_changes(tmp_path: Path) -> None:
    ws = config.init(tmp_path / "ws", "Orders")
    path = ws.root / config.FILE_NAME
    before = path.read_text()
    wanted = ws.settings.detection.model_copy(update={"budget": 8.0, "panel": ["IForest"]})
    digest = tune.save(ws, wanted, who=" ana ", why="three more\na night")
    again = tokenkit.open(ws.root)
    assert config.digest(again.settings) == digest != config.digest(ws.settings)
    assert (again.settings.detection.budget, again.settings.detection.panel) == (8.0, ["IForest"])
    assert (again.settings.detection.set_by, again.settings.detection.set_why) == ("ana", "three more a night")
    lines = path.read_text().splitlines()
    assert [line for line in before.splitlines() if line.startswith(("#", "name"))] == [
        line for line in lines if line.startswith(("#", "name"))
    ]
    assert any("# new incidents a day for each 1,000 profiles" in line for line in lines)
    assert tune.save(again, wanted, who="raj", why="again") == digest  # who and why change no result


def test_saving_needs_a_name_and_a_reason(tmp_path: Path) -> None:
    ws = config.init(tmp_path / "ws")
    before = (ws.root / config.FILE_NAME).read_bytes()
    with pytest.raises(ConfigError, match="who saves it and why"):
        tune.save(ws, ws.settings.detection, who="ana", why=" ")
    assert (ws.root / config.FILE_NAME).read_bytes() == before


def test_a_broken_file_is_not_written_over(tmp_path: Path) -> None:
    ws = config.init(tmp_path / "ws")
    (ws.root / config.FILE_NAME).write_text("[detection\n")
    with pytest.raises(ConfigError, match="not valid TOML"):
        tune.save(ws, ws.settings.detection, who="ana", why="more")
    assert (ws.root / config.FILE_NAME).read_text() == "[detection\n"


@given(name=st.text(max_size=40), why=st.text(min_size=1, max_size=80).filter(str.strip), budget=st.floats(0.1, 99))
@settings(max_examples=40)
def test_whatever_is_written_as_a_reason_the_file_can_be_read_again(
    tmp_path_factory: pytest.TempPathFactory, name: str, why: str, budget: float
) -> None:
    ws = config.init(tmp_path_factory.mktemp("ws"))
    wanted = ws.settings.detection.model_copy(update={"budget": budget})
    tune.save(ws, wanted, who=f"x{name}", why=why)
    assert tokenkit.open(ws.root).settings.detection.budget == budget


def test_the_calls_shown_make_the_same_what_if(scored: tune.ScoredPeriod) -> None:
    what_if = tune.what_if(scored, budget=12, shares={"point_hour": 0.5, "panel": 0.2})
    names: dict[str, object] = {"tune": tune, "scored": scored}
    exec(tune.as_code(what_if), names)
    pd.testing.assert_frame_equal(names["what_if"].incidents, what_if.incidents)  # type: ignore[attr-defined]
    assert set(what_if.threshold_table.columns) == set(channels.gaps())


def test_the_page_of_the_next_run_says_who_saved_its_settings_and_why(workspace: Path) -> None:
    from tokenkit import run

    ws = tokenkit.open(workspace)
    digest = tune.save(ws, tune.make_detection({"budget": 9.0}), who="<b>ana</b>", why="three more a night")
    result = run.run(tokenkit.open(workspace), start=START, end=END)
    page = result.page.read_text(encoding="utf-8")
    assert digest in page and "saved by &lt;b&gt;ana&lt;/b&gt; on " in page and "Three more a night" in page
    assert result.facts["budget"]["per_1000"] == 9.0
