"""The page in a real Chromium: nothing runs, nothing is asked for, nothing overflows, and everybody can read it."""

import importlib.util
import re
from pathlib import Path

import pytest
from report.facts_example import PUBLISHED, STATES
from report.notebooks_example import notebook

from tokenkit import run as runner
from tokenkit.report import publish
from tokenkit.report.publishing import runs

pytestmark = pytest.mark.browser

# planted wherever text can come from, through the whole way: facts, notebook, page
PAYLOAD = (
    "<img src=x onerror=alert(1)></script><script>document.title='ran'</script>"
    "<a href=javascript:alert(1)>=HYPERLINK(1)"
)


@pytest.fixture(scope="session")
def axe():
    package = importlib.util.find_spec("axe_playwright_python")
    if package is None or package.origin is None:
        pytest.skip("axe-playwright-python is not installed: make test installs it")
    return (Path(package.origin).parent / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """All states and one of hostile text, published by the real way into one folder."""
    folder = tmp_path_factory.mktemp("published")
    source, out, pages = notebook(folder / "n.ipynb"), folder / "reports", {}
    for name, parameters in {
        **{state: {"state": state} for state in PUBLISHED},
        "hostile": {"state": "attention", "text": PAYLOAD},
    }.items():
        facts = PUBLISHED[parameters["state"]]()
        run = {**runner.record(facts), "run_uid": f"run1_{name}"}
        run["organisation"] = PAYLOAD if name == "hostile" else run["organisation"]
        pages[name] = publish(source, parameters, out, run, [])
    pages["runs"] = runs.write_index(out)
    return pages


NAMES = (*STATES, "hostile", "runs")


@pytest.fixture(scope="module")
def watched_page(browser):
    """One page for all tests, since a new one takes longer than most of them; what it says ends in ``page.heard``."""
    page = browser.new_context().new_page()
    page.heard, page.shown = [], ""
    page.on("console", lambda message: page.heard.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: page.heard.append(f"error: {error}"))
    page.on("dialog", lambda dialog: (page.heard.append("a dialog"), dialog.dismiss()))
    page.on("request", lambda request: page.heard.append(request.url) if request.url != page.shown else None)
    yield page
    page.context.close()


@pytest.fixture
def open_page(watched_page):
    """Load a file into the page, of a given width and colour scheme; nothing of what was shown before is left."""

    def open_(path, width=1280, scheme="light"):
        page = watched_page
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme, media="null")
        page.goto("about:blank")
        page.heard.clear()
        page.shown = path.as_uri()
        page.goto(page.shown)
        return page

    return open_


@pytest.mark.parametrize("name", NAMES)
def test_no_script_runs_no_request_leaves_and_the_console_stays_silent(open_page, published, name):
    page = open_page(published[name])
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    page.mouse.move(400, 400)
    page.wait_for_timeout(100)
    assert [heard for heard in page.heard if not heard.startswith("data:")] == []
    assert page.title() != "ran"
    assert page.evaluate("document.scripts.length") == 0
    assert page.evaluate("[...document.images].length") == 0
    assert page.evaluate("[...document.links].every(a => a.protocol === 'file:')")


def test_hostile_values_are_read_as_text(open_page, published):
    text = open_page(published["hostile"]).inner_text("main")
    assert "<img src=x onerror=alert(1)></script><script>" in text and "=HYPERLINK(1)" in text


def test_the_policy_would_stop_a_script_that_got_in(open_page, published, tmp_path):
    html = (
        published["quiet"]
        .read_text()
        .replace("</main>", "<script>document.title='ran'</script><img src='http://127.0.0.1:9/x'></main>")
    )
    (tmp_path / "page.html").write_text(html)
    page = open_page(tmp_path / "page.html")
    assert page.title() != "ran"
    assert all(
        "Content Security Policy" in heard or "csp" in heard.lower()
        for heard in page.heard
        if heard.startswith("console")
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", NAMES)
def test_axe_finds_nothing_with_all_details_open(open_page, published, axe, name, width, scheme):
    page = open_page(published[name], width, scheme)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    page.evaluate(axe)
    rules = ["color-contrast"] if scheme == "dark" else []  # all else is as in light
    found = page.evaluate("rules => axe.run(document, rules.length ? {runOnly: rules} : {})", rules)
    assert [(v["id"], v["nodes"][0]["html"][:200], v["nodes"][0]["failureSummary"]) for v in found["violations"]] == []


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_overflows_sideways(open_page, published, name, width):
    page = open_page(published[name], width)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    for font in ("", "* { font-family: 'DejaVu Sans' !important; }"):  # a fallback font may be wide
        page.add_style_tag(content=font) if font else None
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        outside = page.evaluate(
            """[...document.querySelectorAll('main *')].filter(e => e.getClientRects().length
               && !e.closest('.pan, .hide, svg, thead') && e.getBoundingClientRect().right > innerWidth + 1)
               .map(e => e.outerHTML.slice(0, 120))"""
        )
        assert outside == []


@pytest.mark.parametrize(("name", "screens"), [("quiet", 2), ("attention", 8), ("busy", 8)])
def test_what_is_not_folded_is_a_few_screens(open_page, published, name, screens):
    height = open_page(published[name], 1280).evaluate("document.documentElement.scrollHeight")
    assert height <= screens * 800


def test_a_link_to_a_folded_incident_opens_it(open_page, published):
    page = open_page(published["attention"])
    uid = page.evaluate("document.querySelector('details.incident article').id")
    page.evaluate(f"location.hash = '{uid}'")
    page.wait_for_function("document.querySelector('details.incident').open", timeout=5000)


def test_everything_that_can_be_used_can_be_reached_by_keyboard(open_page, published):
    page = open_page(published["attention"])
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    summary = page.locator("summary").first
    summary.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.querySelector('details').open")


def test_dark_and_light_differ_and_print_is_always_light(open_page, published):
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = open_page(published["quiet"], scheme="dark")
    assert dark.evaluate(ground) == "rgb(19, 20, 23)"
    dark.emulate_media(media="print")
    assert dark.evaluate(ground) == "rgb(255, 255, 255)"
    assert open_page(published["quiet"]).evaluate(ground) == "rgb(250, 249, 246)"


FOLDED = """[...document.querySelectorAll('details:not([open], .tech) > :not(summary)')]
            .filter(e => e.checkVisibility() === SEEN).map(e => e.outerHTML.slice(0, 120))"""


@pytest.mark.parametrize("name", NAMES)
def test_the_print_opens_and_shows_what_is_folded(open_page, published, name):
    page = open_page(published[name])
    pdf = page.pdf(prefer_css_page_size=True)
    assert pdf.startswith(b"%PDF") and b"%%EOF" in pdf[-64:]
    # every text of the hostile one is long
    assert 1 <= len(re.findall(rb"/Type /Page\b", pdf)) <= (24 if name == "hostile" else 14)
    assert page.evaluate(FOLDED.replace("SEEN", "true")) == [], "on the screen it stays folded"
    page.emulate_media(media="print")
    assert page.evaluate(FOLDED.replace("SEEN", "false")) == []
    assert name in ("quiet", "empty", "runs") or page.evaluate(FOLDED.replace("SEEN", "true")) != []


def test_a_night_with_three_incidents_stays_below_150_kb(published):
    assert published["attention"].stat().st_size < 150_000
