"""Publishing: one rename or nothing, the same bytes for the same input, and a list of runs that is always right."""

import copy
import json
import shutil
import subprocess
import sys

import nbformat
import pytest
from report.facts_example import STATES, attention
from report.notebooks_example import notebook

from tokenkit import run as runner
from tokenkit.errors import InputError, LockedError, ReportError
from tokenkit.report import findings, publish
from tokenkit.report.publishing import runs

UID = "run1_5d0c8a1f22b94e07"


def record(state="quiet", uid=UID, **more):
    return {**runner.record(STATES[state]()), "run_uid": uid, **more}


@pytest.fixture
def small(tmp_path):
    return notebook(tmp_path / "small.ipynb", sections=("verdict", "footer"))


@pytest.fixture
def out(tmp_path):
    return tmp_path / "reports"


@pytest.fixture(scope="module")
def quiet_report(tmp_path_factory):
    """A folder with one published report, of a quiet period; not to be changed."""
    folder = tmp_path_factory.mktemp("quiet")
    source = notebook(folder / "small.ipynb", sections=("verdict", "footer"))
    publish(source, {"state": "quiet"}, folder / "reports", record(), [])
    return folder / "reports"


@pytest.fixture
def published(quiet_report, out):
    """The folder of the reports, in which a quiet one was published."""
    return shutil.copytree(quiet_report, out)


def names(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and p.name != ".lock")


def test_a_report_is_page_findings_record_and_executed_notebook(tmp_path, out):
    made = publish(
        notebook(tmp_path / "n.ipynb"), {"state": "attention"}, out, record("attention"), findings(attention())
    )
    assert made == out / UID / "index.html"
    assert names(out) == [
        "index.html",
        *(f"{UID}/{n}" for n in ("incidents.json", "index.html", "n.ipynb", "run.json")),
    ]
    html = made.read_text()
    assert html.count("<style>") == 1 and html.count("<article") == 3
    assert "<title>invoice-export was used by someone else. Two other tokens" in html
    assert "default-src &#x27;none&#x27;" in html and len(html) < 150_000
    for word in ("<script", "parts.verdict", "In [", "http://", "https://", str(tmp_path)):
        assert word not in html, word
    assert json.loads((out / UID / "incidents.json").read_text())[0]["finding_info"]["uid"].startswith("inc1_")
    run = json.loads((out / UID / "run.json").read_text())
    page = run.pop("page")
    assert run == {**record("attention"), "notebook": "n.ipynb"} and page["state"] == "attention"


def test_the_same_input_makes_the_same_bytes(small, tmp_path):
    first, second = (publish(small, {"state": "attention"}, tmp_path / n, record(), []) for n in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    assert (tmp_path / "a" / "index.html").read_bytes() == (tmp_path / "b" / "index.html").read_bytes()


def test_the_executed_notebook_keeps_nothing_of_this_machine(small, out, tmp_path):
    publish(small, {"state": "attention"}, out, record(), [])
    text = (out / UID / "small.ipynb").read_text()
    made = nbformat.reads(text, as_version=4)
    nbformat.validate(made)
    assert "papermill" not in text and str(out) not in text and sys.executable not in text
    assert set(made.metadata) == {"kernelspec", "language_info"}
    assert {key for cell in made.cells for key in cell.metadata} <= {"tags"}


def test_a_report_of_the_same_run_gives_way_to_the_new_one(small, published):
    assert "invoice-export" not in (published / UID / "index.html").read_text()
    publish(small, {"state": "attention"}, published, record("attention"), [])
    assert "invoice-export" in (published / UID / "index.html").read_text()
    assert [p.name for p in published.iterdir() if p.name.startswith(".")] == [".lock"]


def test_a_wrong_parameter_is_refused_before_anything_runs(small, out):
    with pytest.raises(InputError, match="no parameter 'stat'"):
        publish(small, {"stat": "quiet"}, out, record(), [])
    assert not out.exists()


@pytest.mark.parametrize("uid", ["", "../x", "failed", ".hidden", "a/b", "a b", None])
def test_a_run_id_that_cannot_name_a_folder_is_refused(small, out, uid):
    with pytest.raises(InputError, match="cannot name a folder"):
        publish(small, {}, out, record(uid=uid), [])


def test_a_run_that_fails_leaves_the_good_report_and_its_remains(tmp_path, published):
    before = (published / UID / "index.html").read_bytes()
    bad = notebook(
        tmp_path / "bad.ipynb", ("raise ValueError('line one <b>\\nline two')", "report"), sections=("verdict",)
    )
    with pytest.raises(ReportError) as error:
        publish(bad, {"state": "attention"}, published, record("attention"), [])
    message = str(error.value)
    assert "\n" not in message and "bad.ipynb, cell" in message and "ValueError: line one <b>" in message
    assert str(published / "failed" / UID) in message
    assert (published / UID / "index.html").read_bytes() == before
    assert names(published / "failed" / UID) == ["bad.ipynb", "reason.txt", "run.json"]
    assert (published / "failed" / UID / "reason.txt").read_text().startswith("bad.ipynb, cell")
    listed = (published / "index.html").read_text()
    assert "1 run failed" in listed and f"failed/{UID}/reason.txt" in listed and "line one &lt;b&gt;" in listed


def test_the_same_run_done_again_clears_its_failure(tmp_path, small, out):
    bad = notebook(tmp_path / "bad.ipynb", "1 / 0", sections=("verdict",))
    with pytest.raises(ReportError, match="ZeroDivisionError"):
        publish(bad, {}, out, record(), [])
    publish(small, {}, out, record(), [])
    assert not (out / "failed" / UID).exists() and "none failed" in (out / "index.html").read_text()


def test_a_kernel_that_is_killed_is_a_failed_run(tmp_path, out):
    cells = ["print(6 * 7)", "import os; os.kill(os.getpid(), 9)"]
    bad = notebook(tmp_path / "bad.ipynb", *cells, sections=("verdict",))
    with pytest.raises(ReportError, match="the kernel died"):
        publish(bad, {}, out, record(), [])
    assert '"42\\n"' in (out / "failed" / UID / "bad.ipynb").read_text(), "what ran before stands there"
    assert not (out / UID).exists()


def test_a_notebook_without_a_report_cell_makes_no_page(tmp_path, out):
    with pytest.raises(ReportError, match="no cell tagged report displayed anything"):
        publish(notebook(tmp_path / "n.ipynb", sections=()), {}, out, record(), [])
    assert not (out / UID).exists()


def test_only_cells_tagged_report_are_shown_and_foreign_html_is_cleaned(tmp_path, out):
    cells = [
        "print('secret stream')",
        ("print('tagged stream'); from IPython.display import HTML, Markdown, display", "report"),
        (
            "HTML('<table><tr><th>Kept</th></tr></table><script>alert(1)</script><img src=x onerror=alert(2)>')",
            "report",
        ),
        ("Markdown('<img src=x onerror=alert(3)>')", "report"),
        "HTML('<p>untagged</p>')",
        ("import pandas; pandas.DataFrame({'a': ['<i>x</i>']})", "report"),
    ]
    html = publish(notebook(tmp_path / "n.ipynb", *cells, sections=("verdict",)), {}, out, record(), []).read_text()
    html = html.split("</style>")[1]
    assert "<th>Kept</th>" in html and "&lt;i&gt;x&lt;/i&gt;" in html
    for word in ("stream", "untagged", "<script", "onerror=alert(3)", "<img"):
        assert word not in html, word


def test_the_notebook_sees_neither_secrets_of_the_shell_nor_profiles_of_the_user(tmp_path, out, monkeypatch):
    (tmp_path / "home/.ipython/profile_default/startup").mkdir(parents=True)
    (tmp_path / "home/.ipython/profile_default/startup/00.py").write_text("injected = 1")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted")
    monkeypatch.setenv("TOKENKIT_REPORT__TOP", "3")
    check = "import os; assert 'AWS_SECRET_ACCESS_KEY' not in os.environ and os.environ['TOKENKIT_REPORT__TOP'] == '3'"
    publish(notebook(tmp_path / "n.ipynb", check, "assert 'injected' not in globals()"), {}, out, record(), [])


def test_the_kernel_is_this_python_whatever_kernels_are_installed(tmp_path, out, monkeypatch):
    kernel = tmp_path / "jupyter/kernels/python3"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(json.dumps({"argv": ["/bin/false"], "display_name": "x", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    check = f"import sys; assert sys.executable == {sys.executable!r}, sys.executable"
    publish(notebook(tmp_path / "n.ipynb", check), {}, out, record(), [])


def test_what_a_killed_run_left_is_removed_and_what_it_moved_is_put_back(small, published):
    (published / UID).rename(published / f".old-{UID}")  # killed between the two renames
    (published / ".staging-run1_dead").mkdir()
    publish(small, {}, published, record(uid="run1_other"), [])
    assert (published / UID / "index.html").exists()
    assert not [p for p in published.iterdir() if p.name.startswith((".old", ".staging"))]


# where a run is killed: just before this function is called for the n-th time; and what is published then
MOMENTS = {
    ("tokenkit.report.publishing.kernel.execute", 1): "old",
    ("tokenkit.report.publishing.page.write", 1): "old",
    ("tokenkit.report.publishing.page.strip", 1): "old",
    ("tokenkit.report.publishing._write_json", 1): "old",
    ("tokenkit.report.publishing._write_json", 2): "old",
    ("tokenkit.report.publishing._put_in_place", 1): "old",
    ("pathlib.Path.rename", 1): "old",
    ("pathlib.Path.rename", 2): "moved aside",
    ("shutil.rmtree", 1): "new",
    ("tokenkit.report.publishing.runs.write_index", 1): "new",
}
# one process that imports everything once, and a child of it for each moment
KILLED = """
import json, os, pkgutil, signal, sys
from pathlib import Path
from tokenkit.report import publish
from tokenkit.report.publishing import kernel
import nbformat

executed, notebook, record = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])

def execute(source, output, parameters):
    output.write_bytes(executed.read_bytes())
    return nbformat.read(output, as_version=4)

def die_at(name, n):
    owner, attribute = name.rsplit(".", 1)
    owner = pkgutil.resolve_name(owner)
    plain, calls = getattr(owner, attribute), []
    def counted(*arguments, **more):
        calls.append(1)
        if len(calls) == n:
            os.kill(os.getpid(), signal.SIGKILL)
        return plain(*arguments, **more)
    setattr(owner, attribute, counted)

for line in sys.stdin:
    out, name, n = json.loads(line)
    if (pid := os.fork()) == 0:
        kernel.execute = execute
        die_at(name, n)
        publish(notebook, {"state": "attention"}, Path(out), record, [])
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


def test_a_run_killed_at_any_moment_changes_nothing_that_was_published(small, published, tmp_path, monkeypatch):
    before = (published / UID / "index.html").read_bytes()
    new = publish(small, {"state": "attention"}, tmp_path / "other", record("attention"), [])
    folders = [shutil.copytree(published, tmp_path / f"killed-{n}") for n in range(len(MOMENTS))]
    lines = [json.dumps([str(folder), *moment]) for folder, moment in zip(folders, MOMENTS, strict=True)]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(new.parent / "small.ipynb"), str(small), json.dumps(record("attention"))],
        input="\n".join(lines), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["-9"] * len(MOMENTS), (done.stdout, done.stderr)
    executed = nbformat.read(new.parent / "small.ipynb", as_version=4)
    monkeypatch.setattr("tokenkit.report.publishing.kernel.execute", lambda *_: copy.deepcopy(executed))
    pages = {"old": (before, "quiet"), "moved aside": (before, "quiet"), "new": (new.read_bytes(), "attention")}
    for folder, (moment, what) in zip(folders, MOMENTS.items(), strict=True):
        place = folder / (f".old-{UID}" if what == "moved aside" else UID)
        for now in (place, folder / UID):  # at once, and after the next run
            html, state = pages[what]
            assert (now / "index.html").read_bytes() == html, (moment, now)
            assert json.loads((now / "run.json").read_text())["state"] == state, (moment, now)
            publish(small, {}, folder, record("attention", uid="run1_next"), [])
        assert not [p for p in folder.iterdir() if p.name.startswith((".old", ".staging"))], moment
        assert f"{UID}/index.html" in (folder / "index.html").read_text()


def test_a_second_publisher_leaves_with_a_clear_word(small, out, monkeypatch):
    from filelock import FileLock

    out.mkdir()
    monkeypatch.setattr("tokenkit.report.publishing.PATIENCE_S", 0.1)
    with FileLock(out / ".lock"), pytest.raises(LockedError, match="another run publishes there"):
        publish(small, {}, out, record(), [])


def test_the_list_of_runs_works_with_none_and_names_what_is_damaged(tmp_path):
    text = runs.write_index(tmp_path).read_text()
    assert "No report yet." in text and "<table" not in text
    for name, content in (
        ("run1_a", "{"),
        ("run1_b", "[]"),
        ("run1_c", '{"run_uid": "<b>", "period": 3, "counts": []}'),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(content)
    text = runs.write_index(tmp_path).read_text()
    assert "Records that cannot be read" in text and "run1_a" in text and "run1_b" in text
    assert "&lt;b&gt;" in text and "<b>" not in text.split("</style>")[1]


def test_runs_are_listed_newest_first_and_many_fold(tmp_path):
    for day in range(1, 21):
        folder = tmp_path / f"run1_{day:02}"
        folder.mkdir()
        period = {"start": f"2026-03-{day:02}T00:00:00Z", "end": f"2026-03-{day + 1:02}T00:00:00Z", "days": 1.0}
        run = record(uid=folder.name, period=period, page={"headline": f"Headline {day}", "state": "quiet"})
        (folder / "run.json").write_text(json.dumps(run))
    text = runs.write_index(tmp_path).read_text()
    assert text.index(">Headline 20<") < text.index(">Headline 7<") < text.index("6 more") < text.index(">Headline 6<")
    assert 'href="run1_20/index.html">Latest report' in text
    assert "Incidents against the budget" in text
