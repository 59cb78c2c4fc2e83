"""Progress bars: on a terminal, in a notebook, and where there is neither."""

import ast
import json

import nbformat
import pytest

from tokenkit.progress import progress_bars, silent
from tokenkit.report.publishing import kernel


def test_a_terminal_keeps_one_bar_for_each_stage(monkeypatch, capfd):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress_bars() as progress:
        progress("reading [logs]", 1, 2)
        progress("reading [logs]", 2, 2)
        progress("scoring", 1, 3)
    last = [line for line in kernel.plain(capfd.readouterr().err).replace("\r", "\n").splitlines() if "left" in line][
        -2:
    ]
    assert "reading [logs]" in last[0] and "2/2" in last[0]
    assert "scoring" in last[1] and "1/3" in last[1]


def test_without_a_terminal_nothing_is_written(capfd):
    with progress_bars() as progress:
        progress("reading", 1, 2)
    assert progress is silent
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("log", ["text", "json"])
def test_a_log_has_a_line_a_stage_with_its_time_and_duration(capfd, log):
    with progress_bars(log) as progress:
        progress("reading", 1, 2)
        progress("reading", 2, 2)
        progress("scoring 'x'", 1200, 3000)
    lines = capfd.readouterr().err.splitlines()
    if log == "json":
        said = [json.loads(line) for line in lines]
        assert [(s["stage"], s["done"], s["total"]) for s in said] == [("reading", 2, 2), ("scoring 'x'", 1200, 3000)]
        assert all(s["duration_s"] >= 0 and s["time"].endswith("Z") for s in said)
    else:
        assert [line.split("Z ")[1].split(" in ")[0] for line in lines] == [
            "reading: 2 of 2", "scoring 'x': 1,200 of 3,000"
        ]  # fmt: skip


def test_a_notebook_shows_the_bars_and_saves_none_of_them(tmp_path):
    cells = [
        "from IPython.utils.capture import capture_output\nfrom tokenkit.progress import progress_bars",
        "with capture_output() as seen, progress_bars() as progress:\n"
        "    for done in range(3):\n        progress('reading', done, 2)",
        "[output.data['text/plain'] for output in seen.outputs]",
        "with progress_bars() as progress:\n    progress('reading', 1, 2)\n    print('printed')",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    nbformat.write(notebook, tmp_path / "bars.ipynb")
    executed = kernel.execute(tmp_path / "bars.ipynb", tmp_path / "executed.ipynb", {})
    seen = ast.literal_eval(executed.cells[-2].outputs[0].data["text/plain"])
    assert any("reading" in text and "2/2" in text for text in seen) and seen[-1] == ""
    saved, printed = executed.cells[-1].outputs
    assert saved.data == {"text/plain": "", "text/html": ""}
    assert printed.text == "printed\n"
