"""What goes wrong is said in one clear message that says what to do, with its exit code, and nothing is lost."""

import csv
import gzip
import json
import re
import shutil
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import nbformat
import organisation as small
import pytest

from tokenkit import config, errors, report
from tokenkit.store import lake, state

REMEDY = ("tokenkit ", "expected", "Check", "Correct", "Rename", "Restore", "Name", "known:", "did you mean", "Wait",
          "must be before", "end the first row", "use --start", "What there is", "the lake holds",
          "one native id a line", "Free some space")  # fmt: skip


def kept(root):
    """What must not change: tables, published reports, key."""
    reports = {k: v for k, v in small.content(root / "reports").items() if not k.startswith("failed/")}
    reports.pop("index.html", None)  # also lists what failed
    return lake.versions(root / "lake"), reports, (root / ".tokenkit" / "key").read_text()


def refused(left, code, *words):
    """It left with this code and one message that has these words and a remedy, and no traceback."""
    assert left.code == code, (left.code, left.err)
    stages = re.match(r"(\d{4}-\S+Z [\w' ]+: [\d,]+ of [\d,]+ in [\d.]+ s\n)*", left.err)  # of an unattended run
    assert "Traceback" not in left.err and left.err[stages.end() :].startswith("error: ") and left.out == ""
    assert len(left.err) < 1000 and left.err.count("\n") <= 14
    for word in words:
        assert word in left.err, left.err
    assert any(r in left.err for r in REMEDY), left.err


def test_the_tree_of_errors_is_the_one_that_is_drawn():
    tree = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type)}
    assert all(issubclass(kind, errors.TokenkitError) for kind in tree.values())
    assert all(name in (errors.__doc__ or "") for name in tree)
    assert {kind.exit_code for kind in tree.values()} == {2, 3, 4, 5}


# ---- inputs ----
def one_line(folder, name, text):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder


OVERLAP = "native_id,token_name,owner_name,valid_from,valid_to\nkey_1,ci,Ana,2026-01-01,\nkey_1,ci,Raj,2026-02-01,\n"


def inputs(folder):
    """Arguments, and what the message must hold."""
    odd = one_line(folder / "odd", "notes.txt", "these are no logs\n")
    logs = ["--events", "logs"]
    return {
        "missing folder": (["run", "--events", "gone"], ["gone", "no such file"]),
        "missing folder of a source": (["run", "--events", "nginx=gone"], ["gone", "no such file"]),
        "unknown source": (["run", "--events", "cloudtrial=logs"], ["cloudtrial", "did you mean cloudtrail"]),
        "no known source": (["run", "--events", str(odd)], ["nothing to read", "no known source", "notes.txt"]),
        "missing inventory": (["run", *logs, "--inventory", "gone.csv"], ["gone.csv", "Correct the path"]),
        "inventory is a folder": (["run", *logs, "--inventory", "odd"], ["odd"]),
        "no token column": (
            ["run", *logs, "--inventory", str(one_line(folder / "i", "a.csv", "owner,team\nAna,sre\n") / "a.csv")],
            ["a.csv, line 1", "native_id", "owner, team"],
        ),
        "two owners": (
            ["run", *logs, "--inventory", str(one_line(folder / "i", "b.csv", OVERLAP) / "b.csv")],
            ["b.csv, line 3", "two owners", "2026-02-01", "Ana, Raj"],
        ),
        "start after end": (["run", "--start", "2026-02-10", "--end", "2026-02-05"], ["must be before end"]),
        "start is end": (["run", "--start", "2026-02-10", "--end", "2026-02-10"], ["must be before end"]),
        "start is no day": (["run", "--start", "yesterday"], ["start is 'yesterday'", "2026-03-01"]),
        "end is no day": (["run", "--start", "2026-02-10", "--end", "2026-2-31"], ["end is '2026-2-31'"]),
        "start after the logs": (["run", "--start", "2027-01-01"], ["2027-01-01", "2026-02-19"]),
        "end before the logs": (["run", "--end", "2025-01-01"], ["2026-01-05 to 2026-02-18"]),
        "since": (["run", "--since", "yesterday"], ["'yesterday'", "last"]),
        "budget 0": (["run", "--budget", "0"], ["budget is 0", "more than 0"]),
        "budget below 0": (["run", "--budget", "-1"], ["budget is -1", "more than 0"]),
        "budget nan": (["run", "--budget", "nan"], ["budget is nan", "more than 0"]),
        "budget inf": (["run", "--budget", "inf"], ["budget is inf"]),
        "report, budget 0": (["report", "--budget", "0"], ["budget is 0"]),
        "ingest of a missing folder": (["ingest", "gone"], ["gone", "no such file"]),
        "native ids": (["tokens", "--native-ids", "gone.txt"], ["gone.txt", "one native id a line"]),
        "native ids is a folder": (["tokens", "--native-ids", "odd"], ["odd", "one native id a line"]),
        "unknown table": (["schema", "event"], ["event", "did you mean events"]),
        "no such table": (["schema", "NOSUCH"], ["NOSUCH", "known:"]),
        "out is a file": (["run", "--out", "tokenkit.toml"], ["reports cannot be written", "--out"]),
        "out below a file": (["run", "--out", "tokenkit.toml/out"], ["reports cannot be written", "--out"]),
    }


CASES = [
    "missing folder", "missing folder of a source", "unknown source", "no known source", "missing inventory",
    "inventory is a folder", "no token column", "two owners", "start after end", "start is end", "start is no day",
    "end is no day", "start after the logs", "end before the logs", "since", "budget 0", "budget below 0",
    "budget nan", "budget inf", "report, budget 0", "ingest of a missing folder", "native ids",
    "native ids is a folder", "unknown table", "no such table", "out is a file", "out below a file",
]  # fmt: skip


def test_every_case_is_run(tmp_path):
    assert set(inputs(tmp_path)) == set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_an_input_that_cannot_be_used_is_named_and_nothing_changes(case, organisation, workspace, command):
    shutil.copytree(organisation / "logs" / "gateway", workspace / "logs")
    arguments, words = inputs(workspace)[case]
    before = kept(workspace)
    refused(command(*arguments, cwd=workspace), 2, *words)
    assert kept(workspace) == before


@pytest.mark.parametrize("name", ["run", "report", "tokens", "ingest x"])
def test_outside_a_workspace_it_is_said_how_to_make_one(name, tmp_path, command):
    refused(command(*name.split(), cwd=tmp_path), 2, "no tokenkit workspace", "tokenkit init DIR")
    assert list(tmp_path.iterdir()) == []


def test_a_workspace_without_events_says_how_to_read_some(tmp_path, command):
    config.init(tmp_path)
    refused(command("run", cwd=tmp_path), 2, "no events yet", "tokenkit ingest PATH")


def test_an_unknown_option_or_command_is_named(workspace, command):
    for arguments, word in (
        (["run", "--bugdet", "3"], "--budget"),
        (["rnu"], "run"),
        (["run", "--budget", "x"], "--budget"),
    ):
        left = command(*arguments, cwd=workspace)
        assert left.code == 2 and word in left.err and "Traceback" not in left.err


# ---- settings ----
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[detection]\nbudgte = 3\n", ["detection.budgte", "did you mean budget?"]),
        ("[detectoin]\nbudget = 3\n", ["detectoin", "did you mean detection?"]),
        ("[detection]\nbudget = 0\n", ["detection.budget", "greater than 0"]),
        ("[detection]\nbudget = 'many'\n", ["detection.budget", "many"]),
        ("[detection.shares]\npint_hour = 0.5\n", ["pint_hour", "did you mean point_hour?"]),
        ("[detection\n", ["not valid TOML", "Correct that line"]),
        ("events = 'logs'\n", ["events", "list"]),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(text, words, workspace, command):
    before = kept(workspace)
    (workspace / "tokenkit.toml").write_text(text)
    for name in ("run", "config", "tokens"):
        left = command(name, cwd=workspace)
        assert left.code == 2 and "Traceback" not in left.err
        assert all(w in left.err for w in ["tokenkit.toml", *words]), left.err
    assert kept(workspace) == before


def test_a_workspace_named_by_the_environment_has_to_be_one(tmp_path, command, monkeypatch):
    monkeypatch.setenv("TOKENKIT_WORKSPACE", str(tmp_path / "gone"))
    from tokenkit.errors import ConfigError

    with pytest.raises(ConfigError, match=r"TOKENKIT_WORKSPACE is .*gone.*tokenkit init"):
        config.find()


# ---- the workspace itself ----
def lose_the_key(root):
    (root / ".tokenkit" / "key").unlink()


def take_another_key(root):
    (root / ".tokenkit" / "key").write_text("ab" * 32 + "\n")


def cut_the_key(root):
    (root / ".tokenkit" / "key").write_text("ab\n")


def lose_key_and_state(root):
    lose_the_key(root)
    for file in root.glob("state.db*"):
        file.unlink()


def break_the_state(root):
    for file in root.glob("state.db-*"):
        file.unlink()
    (root / "state.db").write_bytes(b"no database" * 500)


def break_the_lake(root):
    sorted((root / "lake" / "events" / "_delta_log").iterdir())[0].write_text("{")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lose_the_key, ["the workspace key is missing", "Restore the file from a backup", "tokenkit init DIR"]),
        (lose_key_and_state, ["the workspace key is missing", "Restore the file from a backup"]),
        (take_another_key, ["another key", "Restore the former key"]),
        (cut_the_key, ["expected 64 hex digits", "Restore"]),
        (break_the_state, ["cannot be read or written", "tokenkit doctor"]),
        (break_the_lake, ["cannot be read or written", "tokenkit doctor"]),
    ],
)
def test_a_damaged_workspace_is_refused_and_left_as_it_is(damage, words, organisation, workspace, command):
    damage(workspace)
    before = files_of(workspace)
    left = command("run", "--events", organisation / "logs", cwd=workspace)
    assert left.code == 2, left.err
    assert "Traceback" not in left.err and all(w in left.err for w in words), left.err
    assert files_of(workspace) == before


def files_of(root):
    """All but the lock, and the state, which SQLite writes anew when it is opened."""
    return {k: v for k, v in small.content(root).items() if "lock" not in k and not k.startswith("state.db")}


HOLD = """
import sys, time, filelock
lock = filelock.FileLock(sys.argv[1])
lock.acquire()
print("held", flush=True)
time.sleep(60)
"""


def test_a_second_run_leaves_with_a_clear_word(workspace, command):
    before = kept(workspace)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, workspace / ".tokenkit" / "lock"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        for arguments in (["run"], ["report"]):  # ingest waits instead: tests/maintenance/test_compaction.py
            refused(command(*arguments, cwd=workspace), 3, "another run works in", "Wait until it has finished")
        assert command("tokens", cwd=workspace).code == 0, "looking is allowed"
    finally:
        holder.kill()
        holder.wait()
    assert kept(workspace) == before
    assert command("run", *_busy(), cwd=workspace).code == 0, "the lock goes with its process"


def _busy():
    return "--start", small.BUSY[0], "--end", small.BUSY[1]


# ---- the report ----
def broken_notebook(folder, change):
    notebook = nbformat.read(report.find_notebook("03_anomaly_report"), as_version=4)
    change(notebook)
    nbformat.write(notebook, folder / "03_anomaly_report.ipynb")
    return folder / "03_anomaly_report.ipynb"


def raise_in_a_cell(notebook):
    notebook.cells[-1].source = "raise RuntimeError('the figure fell off')"


def kill_the_kernel(notebook):
    notebook.cells[-1].source = "import os; os.kill(os.getpid(), 9)"


@pytest.mark.parametrize(
    ("change", "words"),
    [(raise_in_a_cell, ["RuntimeError: the figure fell off"]), (kill_the_kernel, ["the kernel died"])],
)
def test_a_report_that_fails_leaves_the_good_one_and_says_where_its_remains_are(
    change, words, workspace, tmp_path, command, monkeypatch
):
    with state.connect(workspace / "state.db") as db:
        good = state.last_run(db)
    before = kept(workspace)
    broken = broken_notebook(tmp_path, change)
    monkeypatch.setattr(report, "report_notebook", lambda notebook: broken)
    left = command("run", *_busy(), cwd=workspace)
    refused(left, 4, "03_anomaly_report.ipynb", "What there is", *words)
    assert kept(workspace) == before
    remains = next((workspace / "reports" / "failed").iterdir())
    assert words[0] in (remains / "reason.txt").read_text()
    assert "failed" in (workspace / "reports" / "index.html").read_text()
    assert not list((workspace / "reports").glob(".staging*"))
    with state.connect(workspace / "state.db") as db:
        assert state.last_run(db)["run_uid"] == good["run_uid"], "a report that failed is not the last one"
    monkeypatch.undo()
    assert command("run", *_busy(), cwd=workspace).code == 0
    assert not (workspace / "reports" / "failed" / remains.name).exists()


def test_a_disk_that_is_full_at_the_end_is_a_failed_report(workspace, command, monkeypatch):
    before = kept(workspace)

    def full(*arguments, **named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(report, "publish", full)
    refused(command("run", *_busy(), cwd=workspace), 4, "No space left", "Free some space")
    assert kept(workspace) == before


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"strat": "2026-02-05"}, ["no parameter 'strat'", "did you mean start?"]),
        ({"top": "ten"}, ["parameter top: expected int"]),
        ({"workspace": "AKIAIOSFODNN7EXAMPLE"}, ["looks like a secret"]),
    ],
)
def test_an_unknown_notebook_parameter_is_refused_before_anything_runs(parameters, words, tmp_path):
    began = time.monotonic()
    with pytest.raises(errors.InputError) as caught:
        report.publish(
            report.find_notebook("03_anomaly_report"), parameters, tmp_path / "out", {"run_uid": "run1_x"}, []
        )
    assert all(word in str(caught.value) for word in words)
    assert time.monotonic() - began < 10 and not (tmp_path / "out").exists()


# ---- what is no error ----
def test_half_a_gzip_and_broken_lines_are_set_aside_and_counted(organisation, workspace, command):
    sample = sorted((organisation / "logs" / "gateway" / "nginx").iterdir())[-1]
    lines = gzip.decompress(sample.read_bytes()).splitlines(keepends=True)
    odd = workspace / "odd"
    odd.mkdir()
    moved = [line.replace(b'"request_id":"', b'"request_id":"f') for line in lines]
    (odd / "half.jsonl.gz").write_bytes(gzip.compress(b"".join(moved))[:-300])
    (odd / "lines.jsonl").write_bytes(moved[0] + b"not json\n" + b'{"a": 1}\n' + moved[1])
    left = command("ingest", "nginx=odd", "--json", cwd=workspace)
    assert left.code == 0, left.err
    said = left.json
    assert said["files"] == 2 and said["quarantined"] == 3
    assert said["read"] == said["stored"] + said["duplicates"] + said["quarantined"] + said["ignored"]
    with state.connect(workspace / "state.db") as db:
        found = [dict(row) for row in db.execute("select * from quarantine order by path, place")]
    assert [(Path(f["path"]).name, f["place"]) for f in found][1:] == [
        ("lines.jsonl", "line 2"),
        ("lines.jsonl", "line 3"),
    ]
    assert "half-written or cut off" in found[0]["reason"] and all("not json" not in f["reason"] for f in found)


def test_an_inventory_of_nobody_known_is_no_error(organisation, tmp_path, command):
    small.copy_until(organisation / "logs", tmp_path / "logs", date(2026, 1, 9))
    with (tmp_path / "other.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["token", "owner"], ["key_of_somebody", "Ana"]])
    left = command("run", "--events", "logs", "--inventory", "other.csv", "--out", "out", "--json", cwd=tmp_path)
    assert left.code == 0, left.err
    record = json.loads((tmp_path / left.json["page"]).with_name("run.json").read_text())
    assert record["counts"]["tokens"] > 30
