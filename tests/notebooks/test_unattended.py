"""Notebooks that nobody sits in front of: checked parameters, an empty lake, little history, the real records."""

import copy
import functools
import re
import shutil

import nbformat
import organisation as small
import pytest
from report.test_page_in_browser import PAYLOAD

from tokenkit import config, run
from tokenkit.errors import InputError, ReportError
from tokenkit.report import find_notebook
from tokenkit.report.publishing import kernel, unattended
from tokenkit.sources.inputs import Input

OURS = ("01_explore_baselines", "04_tune")


def page_of(name, tmp_path, **parameters):
    out = unattended.run_notebook(find_notebook(name), parameters, tmp_path / "page.html")
    text = out.read_text()
    assert "<script" not in text and "http" not in re.sub(r'content="[^"]*"', "", text.split("<body", 1)[1])
    return text


DAYS = {"start": small.BUSY[0], "end": small.BUSY[1]}


@pytest.fixture(scope="module")
def shown(analysed, tmp_path_factory):
    """Our notebooks, run on the analysed workspace, each once: (workspace, page, the executed notebook as it was)."""

    @functools.cache
    def run_once(name, **parameters):
        folder, executed, plain = tmp_path_factory.mktemp("shown"), [], kernel.execute

        def execute(*arguments):
            made = plain(*arguments)
            executed.append(copy.deepcopy(made))  # the page is made by taking things from it
            return made

        root = shutil.copytree(analysed, folder / "workspace")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernel, "execute", execute)
            text = page_of(name, folder, workspace=str(root), **DAYS, **parameters)
        return root, text, executed[0]

    return {OURS[0]: lambda: run_once(OURS[0]), OURS[1]: lambda: run_once(OURS[1], budget=40.0)}


def test_notebook_01_says_whose_from_where_when_and_what_changed(shown):
    _, text, _ = shown["01_explore_baselines"]()
    for said in ("The organisation", "Nobody answers for them", "Peer groups", "When, by hour of the week", "with "):
        assert said in text
    assert "What changed since the reference" in text and "Calls in one session" in text
    assert "the frozen reference that it was learned from" in text and "report.fingerprint_card(view, profile)" in text


def test_notebook_04_saves_only_when_it_is_told_to(analysed, shown, tmp_path):
    root, text, _ = shown["04_tune"]()
    assert (root / config.FILE_NAME).read_bytes() == (analysed / config.FILE_NAME).read_bytes()
    assert "gained" in text and "tune.what_if(scored, budget=40" in text and "labels.label(ws, " in text
    copied = shutil.copytree(root, tmp_path / "workspace")
    page_of("04_tune", tmp_path, workspace=str(copied), **DAYS, budget=40.0, save=True, who="ana", why="time for more")
    assert config.load_settings(copied / config.FILE_NAME).detection.budget == 40.0


@pytest.mark.parametrize("name", OURS)
def test_on_an_empty_lake_it_says_what_is_missing_and_what_to_do(name, tmp_path):
    ws = config.init(tmp_path / "ws")
    text = page_of(name, tmp_path, workspace=str(ws.root))
    assert "tokenkit run --events PATH" in text and "Traceback" not in text


@pytest.mark.parametrize("name", OURS)
def test_on_five_hours_of_real_records_it_says_that_the_history_is_short(name, real_workspace, tmp_path):
    text = page_of(name, tmp_path, workspace=str(real_workspace))
    assert "Traceback" not in text
    assert ("of logs so far" if name.startswith("01") else "days lie before the reported ones") in text


@pytest.fixture(scope="module")
def real_workspace(tmp_path_factory, real_logs):
    ws = config.init(tmp_path_factory.mktemp("real"))
    run.run(ws, [Input(real_logs)])
    return ws.root


@pytest.mark.parametrize("name", OURS)
def test_a_mistyped_parameter_is_an_error_that_lists_what_exists(name, command, tmp_path):
    left = command("notebook", name, "-p", "strat=2026-01-01", "--out", tmp_path / "x.html", cwd=tmp_path)
    assert left.code == 2 and "did you mean start?" in left.err and "workspace: str" in left.err
    assert not list(tmp_path.iterdir())


def test_values_have_the_type_that_the_notebook_declares(tmp_path):
    tune = find_notebook("04_tune")
    assert unattended.parsed(["budget=8", "save=true", "why=1=1"], tune) == {"budget": 8, "save": True, "why": "1=1"}
    for pair, said in (
        ("budget={[]: 1}", "expected float, got str"),
        ("budget=many", "expected float, got str 'many'"),
        ("budget", "expected NAME=VALUE"),
    ):
        with pytest.raises(InputError, match=said):
            unattended.parsed([pair], tune)


@pytest.mark.parametrize(("texts", "title"), [(["", "  \n", "# Ours\nmore"], "Ours"), (["", "#"], "n")])
def test_the_title_is_the_first_line_that_a_notebook_says(texts, title, tmp_path):
    cells = [nbformat.v4.new_markdown_cell(text, id=f"m{n}") for n, text in enumerate(texts)]
    made = nbformat.v4.new_notebook(cells=cells)
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(made, tmp_path / "n.ipynb")
    text = unattended.run_notebook(tmp_path / "n.ipynb", {}, tmp_path / "n.html").read_text()
    assert f"<title>{title} | tokenkit</title>" in text and "¶" not in text and "&#182;" not in text


def test_without_a_name_the_command_lists_the_notebooks_and_what_they_take(command, tmp_path):
    left = command("notebook", cwd=tmp_path)
    assert left.code == 0
    assert all(f"{name}\n" in left.out for name in OURS) and "budget: float = 0.0" in left.out


def test_a_notebook_that_fails_names_its_cell_and_leaves_the_last_page(tmp_path):
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0", id="a")])
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(made, tmp_path / "n.ipynb")
    (tmp_path / "n.html").write_text("the last one")
    with pytest.raises(ReportError, match=r"cell 1 \(1 / 0\): ZeroDivisionError"):
        unattended.run_notebook(tmp_path / "n.ipynb", {}, tmp_path / "n.html")
    assert (tmp_path / "n.html").read_text() == "the last one"


def test_what_cells_print_and_show_is_text_on_the_page(tmp_path):
    cells = ["import pandas as pd", f"print({PAYLOAD!r})", f"pd.DataFrame({{'a': [{PAYLOAD!r}]}})", f"{PAYLOAD!r}"]
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c, id=f"c{n}") for n, c in enumerate(cells)])
    made.cells.append(nbformat.v4.new_markdown_cell(f"# {PAYLOAD}", id="m"))
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(made, tmp_path / "n.ipynb")
    text = unattended.run_notebook(tmp_path / "n.ipynb", {}, tmp_path / "n.html").read_text()
    assert "<script" not in text and "<img" not in text and text.count("&lt;img src=x onerror=alert(1)&gt;") >= 3


@pytest.mark.parametrize("name", OURS)
def test_nbconvert_shows_the_static_equivalents_and_no_state_of_widgets(name, shown):
    from nbconvert import HTMLExporter

    _, _, made = shown[name]()
    assert "widgets" not in made.metadata
    body, _ = HTMLExporter().from_notebook_node(made)
    assert ("report.fingerprint_card(view" if name.startswith("01") else "tune.what_if(scored") in body
    assert "application/vnd.jupyter.widget" not in body.split("<body", 1)[1]
