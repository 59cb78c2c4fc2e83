"""What a notebook takes, and that the one that comes with tokenkit takes what it says."""

import nbformat
import pytest
from report.notebooks_example import notebook

from tokenkit.errors import InputError
from tokenkit.report.parts import __all__ as sections
from tokenkit.report.publishing.notebooks import check_parameters, find_notebook, parameters_of, report_notebook


@pytest.fixture
def small(tmp_path):
    return notebook(tmp_path / "small.ipynb")


def test_the_report_notebook_is_found_and_shows_every_section_once():
    path = find_notebook("03_anomaly_report")
    cells = nbformat.read(path, as_version=4).cells
    shown = [c.source for c in cells if "report" in c.metadata.get("tags", [])]
    assert sorted(s.split("(")[0].removeprefix("parts.") for s in shown) == sorted(sections)


def test_each_parameter_of_the_report_has_a_type_a_default_and_a_meaning():
    taken = parameters_of(find_notebook("03_anomaly_report.ipynb"))
    assert {name: p.type for name, p in taken.items()} == {
        "workspace": "str", "start": "str", "end": "str", "budget": "float", "pseudonymous": "bool", "top": "int",
    }  # fmt: skip
    assert all(p.help and p.default for p in taken.values())


def test_a_notebook_that_does_not_exist_is_named_with_those_that_do(tmp_path):
    with pytest.raises(InputError, match=r"no notebook 03_report\.ipynb; .*03_anomaly_report"):
        find_notebook("03_report")
    with pytest.raises(InputError, match="no notebook"):
        parameters_of(tmp_path / "none.ipynb")
    (tmp_path / "text.ipynb").write_text("not a notebook")
    with pytest.raises(InputError, match="is not a notebook"):
        parameters_of(tmp_path / "text.ipynb")


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"stat": "quiet"}, r"no parameter 'stat'; did you mean state\? small.ipynb takes\n  state: str = \"quiet\""),
        ({"top": "10"}, "parameter top: expected int, got str '10'"),
        ({"top": True}, "parameter top: expected int, got bool"),
        ({"state": 1}, "parameter state: expected str, got int"),
        ({"state": "AKIA" + "ABCDEFGHIJKLMNOP"}, "looks like a secret"),
        ({"state": "ghp_" + "a" * 36}, "looks like a secret"),
        ({"state": "hvs." + "a" * 24}, "looks like a secret"),
        ({"state": "https://ana:hunter2@example.com/"}, "looks like a secret"),
    ],
)
def test_a_wrong_parameter_is_an_error_that_lists_what_exists(small, parameters, said):
    with pytest.raises(InputError, match=said):
        check_parameters(small, parameters)


def test_right_parameters_pass(small):
    check_parameters(small, {"state": "quiet", "top": 3})
    check_parameters(small, {"state": "logs/key=1/day=2026-03-01"})


def copied(path, change=lambda cells: None):
    """A copy of the report's notebook, changed."""
    made = nbformat.read(find_notebook("03_anomaly_report"), as_version=4)
    change(made.cells)
    nbformat.write(made, path)
    return path


def test_a_report_is_made_from_the_notebook_of_tokenkit_or_from_a_copy(tmp_path):
    assert report_notebook() == find_notebook("03_anomaly_report")
    mine = copied(tmp_path / "mine.ipynb", lambda cells: cells.append(nbformat.v4.new_markdown_cell("Mine")))
    assert report_notebook(mine) == mine


def without_budget(cells):
    cell = next(c for c in cells if "parameters" in c.metadata.get("tags", []))
    cell.source = "\n".join(line for line in cell.source.splitlines() if not line.startswith("budget"))


def without_tags(cells):
    for cell in cells:
        cell.metadata["tags"] = [tag for tag in cell.metadata.get("tags", []) if tag != "report"]


def with_a_number_of_days(cells):
    cell = next(c for c in cells if "parameters" in c.metadata.get("tags", []))
    cell.source = cell.source.replace('start: str = ""', "start: int = 0")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (without_budget, "its cell tagged parameters lacks budget, which a report gives"),
        (without_tags, "no cell is tagged report"),
        (with_a_number_of_days, "parameter start: expected int, got str"),
        (lambda cells: cells.clear(), "lacks workspace, start, end, budget, pseudonymous"),
    ],
)
def test_a_copy_that_cannot_make_a_report_is_refused(tmp_path, change, error):
    with pytest.raises(InputError, match=error):
        report_notebook(copied(tmp_path / "mine.ipynb", change))


@pytest.mark.parametrize("text", ["", "no notebook", "{}", "[]", "3", '{"cells": 3}', '{"nbformat": 4}', "\udcff"])
def test_a_file_that_is_no_notebook_is_refused(tmp_path, text):
    path = tmp_path / "mine.ipynb"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match="is not a notebook"):
        report_notebook(path)


@pytest.mark.parametrize("name", ["none.ipynb", ""])
def test_a_path_at_which_there_is_no_file_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="no notebook"):
        report_notebook(tmp_path / name)
