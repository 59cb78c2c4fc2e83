"""Text that attackers choose goes through a whole run and is read as text: on the page, in the notebook."""

import csv
import html
import importlib.util
import json
import re
from datetime import date
from pathlib import Path

import mmdb
import nbformat
import organisation as small
import pytest

from tokenkit import config, run
from tokenkit.sources.inputs import Input

AGENT = "<img src=x onerror=alert(1)>"
PATH = "/v1/</script><script>alert(2)</script>/users"
OWNER = '<b onmouseover=alert(3)>Ana</b> =HYPERLINK("http://x")'
LABEL = "$\\badcmd$ {{7*7}} <svg/onload=alert(4)>"
TEAM = '=cmd|"/c calc"!A1 </style><script>alert(5)</script>'
AS_NAME = "<svg/onload=alert(7)> {{8*8}}"
NAME = "</title><script>alert(6)</script> & Sons"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """The folder of a report whose incident is all of it, and the facts."""
    root = tmp_path_factory.mktemp("hostile")
    small.make(root / "raw", tokens=20, events=12_000, attacks=False)
    key = small.victim(root / "raw")
    small.plant(root / "raw" / "logs", key, date(2026, 2, 17), range(1, 6), agent=AGENT, path=PATH)
    with (root / "raw" / "inventory.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if row["native_id"] == key:
            row |= {"owner_name": OWNER, "token_name": LABEL, "team": TEAM}
        elif row["team"] == rows[0]["team"]:  # nobody to ask, and still with a name
            row |= {"token_name": f"{LABEL} {row['native_id'][-3:]}", "owner_status": "left", "owner_name": OWNER}
    with (root / "raw" / "inventory.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    workspace = config.init(root / "workspace", NAME)
    mmdb.write_places(workspace.root / "a.mmdb", AS_NAME)
    workspace.settings.networks.database = ["a.mmdb"]
    logs = [Input(root / "raw" / "logs")]
    result = run.run(workspace, logs, root / "raw" / "inventory.csv", "2026-02-16", "2026-02-18")
    short = config.init(root / "short", NAME)  # rare values are listed where the logs are short
    small.copy_until(root / "raw" / "logs", root / "few", date(2026, 1, 9))
    small.plant(root / "few", key, date(2026, 1, 7), range(1, 2), agent=AGENT, path=PATH, a_hour=1)
    rare = run.run(short, [Input(root / "few")], root / "raw" / "inventory.csv")
    return {"attention": result, "not_enough_history": rare}


STATES = ("attention", "not_enough_history")


def outputs(page):
    """The HTML that the notebook shows, cell by cell."""
    notebook = nbformat.read(page.parent / "03_anomaly_report.ipynb", as_version=4)
    cells = [c for c in notebook.cells if c.cell_type == "code"]
    return [o.data["text/html"] for c in cells for o in c.outputs if o.get("data", {}).get("text/html")]


@pytest.mark.parametrize("state", STATES)
def test_the_run_is_of_that_state(hostile, state):
    assert hostile[state].facts["state"] == state


@pytest.mark.parametrize(
    ("state", "texts"),
    [("attention", (AGENT, OWNER, LABEL, TEAM, NAME, AS_NAME)), ("not_enough_history", (AGENT.split("(")[0], NAME))],
)
def test_what_was_given_can_be_read_on_the_page_and_in_the_notebook(hostile, state, texts):
    page = hostile[state].page
    shown = {"page": page.read_text(), "notebook": "\n".join(outputs(page)) + html.escape(NAME)}
    for where, source in shown.items():
        readable = html.unescape(
            re.sub(r"</?(?!img|b |/b|script|/script|svg|style|title)[a-z0-9]+\b[^>]*>", "", source)
        )
        for text in texts:
            assert text in readable, (where, text)


def test_the_hostile_path_is_among_the_new_values(hostile):
    page = html.unescape(hostile["attention"].page.read_text())
    assert "/v1/</script><script>alert(2)" in page


@pytest.mark.parametrize("state", STATES)
def test_no_markup_of_theirs_is_markup_of_ours(hostile, state):
    page = hostile[state].page
    sources = [page.read_text(), (page.parent.parent / "index.html").read_text(), *outputs(page)]
    for source in sources:
        assert not re.search(r"<(script|img|iframe|object|embed|base|form)\b", source, re.IGNORECASE)
        assert all('href="data:' in link for link in re.findall(r"<link\b[^>]*>", source))
        assert not re.search(r"<[^>]*\son[a-z]+\s*=", source, re.IGNORECASE)
        assert "49" not in re.findall(r"\{\{7\*7\}\}|\b49\b(?= <svg)", html.unescape(source)), "a template calculated"


def test_the_findings_keep_the_text_and_stay_json(hostile):
    text = (hostile["attention"].page.parent / "incidents.json").read_text()
    assert LABEL in json.dumps(json.loads(text), ensure_ascii=False).replace("\\\\", "\\")


# ---- in a browser ----
@pytest.fixture(scope="module")
def axe():
    package = importlib.util.find_spec("axe_playwright_python")
    if package is None or package.origin is None:
        pytest.skip("axe-playwright-python is not installed: make test installs it")
    return (Path(package.origin).parent / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture
def watched(browser):
    """Open a page and listen; what it says and asks for ends up in ``heard``."""
    contexts = []

    def open_(path):
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        contexts.append(context)
        page, heard = context.new_page(), []
        page.on("console", lambda message: heard.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: heard.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (heard.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: heard.append(request.url))
        page.goto(path.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        page.mouse.move(300, 300)
        page.wait_for_timeout(200)
        return page, [h for h in heard if h != path.as_uri() and not h.startswith("data:")]

    yield open_
    for context in contexts:
        context.close()


@pytest.mark.browser
@pytest.mark.parametrize("state", STATES)
def test_no_script_runs_and_nothing_is_asked_for_and_nobody_is_shut_out(hostile, state, watched, axe):
    for path in (hostile[state].page, hostile[state].page.parent.parent / "index.html"):
        page, heard = watched(path)
        assert heard == []
        assert page.evaluate("document.scripts.length + document.images.length") == 0
        page.evaluate(axe)
        found = page.evaluate("axe.run(document)")
        assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found["violations"]] == []


@pytest.mark.browser
def test_the_page_shows_the_text_itself(hostile, watched):
    page, _ = watched(hostile["attention"].page)
    text = page.inner_text("main")
    assert AGENT in text and OWNER in text and LABEL in text


@pytest.mark.browser
@pytest.mark.parametrize("state", STATES)
def test_what_the_notebook_shows_runs_nothing_without_the_policy_of_the_page(hostile, state, watched, tmp_path):
    """JupyterLab shows these outputs; here they stand in a bare page that would let anything run."""
    body = "\n".join(outputs(hostile[state].page))
    (tmp_path / "n.html").write_text(f"<!DOCTYPE html><meta charset=utf-8><title>x</title>{body}", encoding="utf-8")
    page, heard = watched(tmp_path / "n.html")
    assert heard == [] and page.evaluate("document.scripts.length + document.images.length") == 0
