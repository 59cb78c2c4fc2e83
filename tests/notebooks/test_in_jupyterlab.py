"""The notebooks in a real JupyterLab in a real Chromium: opened, run, operated, and no request leaves the machine."""

import json
import os
import shutil
import sqlite3
from pathlib import Path

import organisation as small
import pytest
from conftest import COMPARED, tokenkit_process
from playwright.sync_api import expect

import tokenkit
from tokenkit import config

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PAYLOAD = "<img src=x onerror=\"document.title='ran'\"><script>document.title='ran'</script>"
SHOTS = os.environ.get("TOKENKIT_TEST_SHOTS")


def shot(page, name):
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/{name}.png")


def hostile(workspace: Path) -> None:
    """Put markup where a log and a list of owners can have put it: a program, a label, a headline."""
    import pyarrow as pa

    from tokenkit.store import lake

    for table, column in (("dim_client", "user_agent"), ("tokens", "label")):
        rows = lake.read(workspace / "lake", table)
        text = pa.array([PAYLOAD if v else None for v in rows[column].to_pylist()], rows[column].type)
        lake.replace(workspace / "lake", table, rows.set_column(rows.schema.get_field_index(column), column, text))


@pytest.fixture(scope="module")
def tuned(lab):
    """04_tune, run on the busy days."""
    page = lab.open("04_tune")
    edit_parameters(page, 'workspace = start = end = who = why = ""; budget = 0.0; save = False\n'
                    f'start, end = "{small.BUSY[0]}", "{small.BUSY[1]}"')  # fmt: skip
    lab.run_all(page)
    page.wait_for_selector(".widget-slider", timeout=20_000)
    return page


def edit_parameters(page, text):
    """Type over the cell of parameters, as a person would."""
    cell = page.locator(".jp-CodeCell").first.locator(".cm-content")
    cell.click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(text)


def test_the_slider_moves_the_picture(lab, tuned):
    picture = tuned.locator(".tk .keys").first
    picture.scroll_into_view_if_needed()
    shot(tuned, "04_before")
    before = picture.text_content()  # a picture that is scrolled away has no inner text
    handle = tuned.locator(".widget-slider .noUi-handle").first
    handle.focus()
    for _ in range(20):
        tuned.keyboard.press("ArrowRight")
    expect(tuned.locator("pre.calls").first).to_contain_text("tune.what_if(scored, budget=15", timeout=10_000)
    expect(picture).not_to_have_text(before, timeout=10_000)
    shot(tuned, "04_after")


def test_a_setting_is_saved_and_the_next_run_prints_its_digest(lab, tuned):
    why = tuned.get_by_placeholder("for whoever reads the page")
    why.fill("time for more")
    why.press("Tab")
    tuned.get_by_role("button", name="Save to tokenkit.toml").click()
    tuned.get_by_text("saved; the next tokenkit run uses it").wait_for(timeout=10_000)
    settings = config.load_settings(lab.workspace / config.FILE_NAME)
    assert settings.detection.budget == 15.0 and settings.detection.set_why == "time for more"
    left = tokenkit_process("run", "--start", small.BUSY[0], "--end", small.BUSY[1], "--json", cwd=lab.workspace)
    assert left.code == 0, left.err
    page = Path(left.json["page"]).read_text()
    assert config.digest(settings)[:12] in page


def test_a_verdict_is_kept_and_read_back(lab, tuned):
    incident = tokenkit.open(lab.workspace).incidents(*small.BUSY).iloc[0]
    tuned.get_by_placeholder("what you found out").first.fill("the customer asked for it")
    tuned.get_by_role("button", name="Benign: new normal").first.click()
    tuned.get_by_text("kept: benign").wait_for(timeout=10_000)
    shot(tuned, "04_triage")
    with sqlite3.connect(lab.workspace / "state.db") as db:
        rows = db.execute("select incident_uid, verdict, accept, reason from labels").fetchall()
    assert rows == [(incident["incident_uid"], "benign", 1, "the customer asked for it")]


def test_an_answer_without_a_reason_is_refused_in_words(lab, tuned):
    tuned.get_by_role("button", name="True positive").nth(1).click()
    tuned.get_by_text("an answer needs a reason").wait_for(timeout=10_000)


def test_notebook_01_shows_the_token_and_another_one_can_be_picked(lab):
    page = lab.open("01_explore_baselines")
    lab.run_all(page)
    page.wait_for_selector("article.print", timeout=20_000)
    page.locator("article.print").first.scroll_into_view_if_needed()
    shot(page, "01_card")
    asked = page.get_by_placeholder("label, owner, team, mask or purpose")
    asked.scroll_into_view_if_needed()
    asked.fill("billing")
    page.get_by_text("of 40 tokens").wait_for(timeout=10_000)
    option = page.locator(".widget-select select option", has_text="billing-close").first
    option.wait_for(state="attached", timeout=10_000)
    page.locator(".widget-select select").first.select_option(label=option.text_content())
    page.wait_for_function("document.querySelectorAll('article.print').length === 2", timeout=15_000)
    shot(page, "01_picked")
    page.locator(".dt-search input").first.wait_for(state="attached", timeout=10_000)  # the tables can be searched
    page.close()


def test_the_report_runs_by_hand(lab):
    page = lab.open("03_anomaly_report")
    lab.run_all(page)
    page.locator(".tk .verdict").first.wait_for(timeout=20_000)
    page.locator(".tk .verdict").first.scroll_into_view_if_needed()
    shot(page, "03_verdict")
    page.close()


def test_notebook_02_compares_by_hand(lab, compared, tmp_path):
    """It reads what it measured before: how it measures is seen in tests/bench/test_own_logs.py."""
    page = lab.open("02_compare_detectors")
    folder = shutil.copytree(compared / "bench", tmp_path / "bench")
    parameters = {"profile": "small", "budget": 5.0, "folder": str(folder), "workspace": "", "attacks": []} | COMPARED
    edit_parameters(page, "\n".join(f"{name} = {value!r}" for name, value in parameters.items()))
    lab.run_all(page, 240_000)
    assert page.locator(".jp-OutputArea img").count() >= 4, "the figures are shown"
    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    shot(page, "02_compared")
    page.get_by_role("link", name="bench/leaderboard.ipynb").click()
    page.get_by_role("heading", name="Leaderboard").wait_for(timeout=20_000)
    shot(page, "leaderboard")
    page.close()


def test_hostile_values_are_text(lab):
    hostile(lab.workspace)
    page = lab.open("01_explore_baselines")
    lab.run_all(page)
    card = page.locator("article.print").first
    # JupyterLab draws a cell when it comes into view, and a frame later: until then what can be read of it is ''
    card.scroll_into_view_if_needed(timeout=20_000)
    expect(card).to_contain_text("onerror=", use_inner_text=True, timeout=10_000)
    shot(page, "01_hostile")
    page.wait_for_function("document.querySelector('.dt-search input')", timeout=10_000)
    assert page.locator(".jp-OutputArea img[src='x']").count() == 0 and page.title() != "ran"
    page.close()


def test_cells_travel_over_socket_files_and_no_network(lab):
    kernels = [json.loads(path.read_text()) for path in lab.runtime.glob("kernel-*.json")]
    assert kernels and {kernel["transport"] for kernel in kernels} == {"ipc"}


def test_nothing_was_asked_of_another_machine_and_the_console_stayed_silent(lab):
    ours = {"01_explore_baselines", "02_compare_detectors", "03_anomaly_report", "04_tune"}
    assert ours <= set(lab.opened), "nothing was watched"
    assert lab.heard == [], json.dumps(lab.heard, indent=1)
