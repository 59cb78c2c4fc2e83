"""A run, end to end: raw logs in, a published report out, every night the same."""

import csv
import gzip
import json
import os
import re
import shutil
import tempfile
from datetime import date
from pathlib import Path

import organisation as small
import pandas as pd
import pytest
import raw_logs
from conftest import tokenkit_process
from jsonschema import Draft202012Validator

import tokenkit
from tokenkit import config, run
from tokenkit.sources.inputs import Input
from tokenkit.store import lake, state

SCHEMA = json.loads((Path(__file__).parent / "data" / "ocsf" / "detection_finding.schema.json").read_text())
FILES = {"03_anomaly_report.ipynb", "incidents.json", "index.html", "run.json"}


def uids(page):
    return [f["finding_info"]["uid"] for f in json.loads((page.parent / "incidents.json").read_text())]


# ---- the same run once more, in a process of its own, as a person or a scheduler would start it ----
@pytest.fixture(scope="module")
def again(organisation, first_run, tmp_path_factory):
    """(how the second run left, where, what was published before and after, and the lake's versions)."""
    root = Path(shutil.copytree(first_run[0], tmp_path_factory.mktemp("again") / "workspace"))
    published = [small.content(root / "reports")]
    versions = [lake.versions(root / "lake")]
    start, end = small.BUSY
    asked = ["--start", start, "--end", end, "--inventory", organisation / "inventory.csv", "--json"]
    left = tokenkit_process("run", "--events", organisation / "logs", *asked, cwd=root)
    published.append(small.content(root / "reports"))
    versions.append(lake.versions(root / "lake"))
    return left, root, published, versions


def test_a_run_publishes_a_report_and_the_list_of_runs(first_run):
    root, result = first_run
    assert result.page.name == "index.html" and {path.name for path in result.page.parent.iterdir()} == FILES
    assert (root / "reports" / "index.html").is_file(), "the list of runs"
    html = result.page.read_text()
    assert "<script" not in html and not re.search(r"""(src|href)=["']?(https?:)?//""", html)


def test_the_findings_are_valid_ocsf(first_run):
    findings = json.loads(first_run[1].page.with_name("incidents.json").read_text())
    assert findings, "the attacks of this organisation lie in the reported days"
    assert [e.message for f in findings for e in Draft202012Validator(SCHEMA).iter_errors(f)] == []


def only_stages(log: str) -> bool:
    """Whether an unattended run said when each stage ended and how long it took, and nothing else."""
    lines = log.splitlines()
    return bool(lines) and all(re.fullmatch(r"\S+Z [\w' ]+: [\d,]+ of [\d,]+ in [\d.]+ s", line) for line in lines)


def test_the_second_run_repeats_no_stage_and_gives_the_same_bytes(again):
    left, _, (before, after), (versions_before, versions_after) = again
    assert (left.code, only_stages(left.err)) == (0, True) and left.json["read"] == left.json["stored"] == 0
    assert versions_after == versions_before
    same = {name for name in before if not name.endswith(".ipynb")}  # a notebook keeps when its cells ran
    assert {n: after[n] for n in same} == {n: before[n] for n in same}
    assert before.keys() == after.keys()


def test_json_says_what_another_program_needs(again):
    left, root, *_ = again
    said = left.json
    page = root / said["page"]
    kept = json.loads((page.parent / "run.json").read_text())
    with state.connect(root / "state.db") as db:
        opened = "select count(*) from incidents where run_uid = ? and state = 'opened'"
        assert said["opened"] == db.execute(opened, [said["run_uid"]]).fetchone()[0] > 0
    assert said["incidents"] == uids(page) and said["opened"] == kept["opened"]
    assert (said["period"]["start"][:10], said["period"]["end"][:10]) == small.BUSY
    assert kept["run_uid"] == said["run_uid"] == page.parent.name


@pytest.fixture(scope="module")
def by_cron(first_run, tmp_path_factory):
    """How a run left in cron's own environment (crontab(5)): no virtual environment and no PATH of ours."""
    home = tmp_path_factory.mktemp("cron")
    root = Path(shutil.copytree(first_run[0], home / "workspace"))
    bare = {"HOME": str(home), "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", "LOGNAME": "nobody"}
    return tokenkit_process("run", "--since", "last", "--pseudonymous", cwd=root, env=bare)


def test_crons_bare_environment_is_enough(by_cron):
    assert (by_cron.code, only_stages(by_cron.err)) == (0, True)
    assert Path(by_cron.out.splitlines()[-1]).is_file()


def test_a_pseudonymous_report_shows_no_name(organisation, by_cron):
    with (organisation / "inventory.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = {row[c] for row in rows for c in ("token_name", "owner_name", "owner_email", "owner_uid")} - {""}
    shown = set()
    for path in Path(by_cron.out.splitlines()[-1]).parent.iterdir():
        text = path.read_text(encoding="utf-8")
        shown |= {(path.name, name) for name in names if name in text or json.dumps(name)[1:-1] in text}
    assert len(names) > 60 and shown == set()


# ---- inputs; how long the logs reach does not matter, so they are one week ----
@pytest.fixture
def one_week(organisation, tmp_path):
    """A folder to work in, with ``logs/`` of the first week."""
    small.copy_until(organisation / "logs", tmp_path / "logs", date(2026, 1, 12))
    return tmp_path


def test_two_inputs_of_the_settings_make_one_run_with_paths_taken_from_the_workspace(organisation, one_week, command):
    """A scheduler starts in another folder; so do the notebooks."""
    shutil.copy(organisation / "inventory.csv", one_week)
    config.init(one_week)
    settings = 'events = ["cloudtrail=logs/cloudtrail", "logs/gateway"]\ninventory = "inventory.csv"\n'
    (one_week / "tokenkit.toml").write_text(settings)
    below = one_week / "notebooks" / "mine"
    below.mkdir(parents=True)
    left = command("run", "--json", "--log-json", "--fail-on", "attention", cwd=below)
    stages = [json.loads(line) for line in left.err.splitlines()]
    assert stages and all(set(s) == {"time", "stage", "done", "total", "duration_s"} for s in stages)
    assert (left.code, left.json["state"]) == (0, "not_enough_history")
    record = json.loads(Path(left.json["page"]).with_name("run.json").read_text())
    assert {s["source"] for s in record["coverage"]["sources"]} == {"cloudtrail", "nginx", "haproxy"}
    assert left.json["stored"] > 1_000 and left.json["read"] == sum(s["read"] for s in record["coverage"]["sources"])
    assert record["counts"]["profiles"] > 30 and record["parameters"]["budget_per_1000"] == 5.0


def test_a_half_written_gzip_is_set_aside_and_the_rest_is_reported(one_week, command):
    whole = sorted((one_week / "logs" / "gateway" / "nginx").iterdir())[-1]
    content = whole.read_bytes()
    lines = gzip.decompress(content).count(b"\n")
    whole.write_bytes(content[:-400])
    left = command("run", "--events", "logs/gateway", "--out", "out", cwd=one_week)
    assert left.code == 0, left.err
    assert {path.name for path in one_week.iterdir()} == {"logs", "out"}, "outside a workspace one is made under out"
    counts, *_, page = left.out.splitlines()
    read, *parts = (int(n.replace(",", "")) for n in re.findall(r"[\d,]+(?= )", counts))
    assert read > 1_000 and read == sum(parts)
    assert "1 piece could not be used" in left.out
    assert whole.name in (one_week / page).read_text()
    # the shipper finishes the file: each event is there once
    whole.write_bytes(content)
    again = command("ingest", one_week / "logs/gateway", "--json", cwd=one_week / "out/workspace")
    assert again.code == 0, again.err
    assert again.json["read"] == lines and 0 < again.json["stored"] < lines
    assert again.json["stored"] + again.json["duplicates"] == lines


# ---- options, in a workspace that knows the organisation ----
def test_start_and_end_bound_what_is_reported_and_report_reads_no_log(workspace, command):
    (workspace / "tokenkit.toml").write_text('events = ["gone"]\n')
    left = command("report", "--start", "2026-02-08", "--end", "2026-02-12", "--json", cwd=workspace)
    assert left.code == 0 and left.json["read"] == 0, left.err
    assert (left.json["period"]["start"], left.json["period"]["end"]) == (
        "2026-02-08T00:00:00Z",
        "2026-02-12T00:00:00Z",
    )
    assert "20260208_20260212" in left.json["run_uid"]
    findings = json.loads(Path(left.json["page"]).with_name("incidents.json").read_text())
    opened = [f for f in findings if f["activity_name"] == "Create"]  # neither grown nor quiet since before
    assert opened
    for finding in opened:
        assert "2026-02-08" <= _day(finding["start_time"]) <= _day(finding["end_time"] - 1) < "2026-02-12"


def _day(milliseconds):
    return str(date.fromordinal(date(1970, 1, 1).toordinal() + milliseconds // 86_400_000))


@pytest.fixture
def changed(organisation, workspace, tmp_path, command):
    """How a run left that was asked for a larger budget and given a list in which every owner is somebody else."""
    with (organisation / "inventory.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["owner_name"] = "Somebody Else"
    with (tmp_path / "new.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    asked = ["--start", small.BUSY[0], "--end", small.BUSY[1], "--budget", 200, "--inventory", tmp_path / "new.csv"]
    return command("run", *asked, "--json", cwd=workspace)


def test_a_larger_budget_opens_more_and_is_noted_and_a_new_owner_is_known_though_no_log_is_read(
    first_run, workspace, changed
):
    assert changed.code == 0, changed.err
    page = Path(changed.json["page"])
    assert json.loads(page.with_name("run.json").read_text())["parameters"]["budget_per_1000"] == 200.0
    before = json.loads(first_run[1].page.with_name("run.json").read_text())
    assert before["parameters"]["budget_per_1000"] == 5.0
    assert changed.json["opened"] > before["opened"] > 0
    assert "Somebody Else" in page.read_text()
    assert lake.version(workspace / "lake", "events") == lake.version(first_run[0] / "lake", "events")


# ---- night after night ----
@pytest.fixture(scope="module")
def nights(tmp_path_factory):
    """Reports of three nights, each with what the shipper had brought by then, and the last one once more."""
    root = tmp_path_factory.mktemp("nights")
    organisation = root / "organisation"
    # without attacks, since one in the calibration days would raise the thresholds
    small.make(organisation, tokens=12, events=7_000, attacks=False)
    workspace = config.init(root / "workspace")
    facts = []
    patch = pytest.MonkeyPatch()
    patch.setattr("tokenkit.report.publish", lambda *arguments, **more: root / "index.html")  # nobody reads these pages
    for last in (18, 19, 19):
        # somebody else holds the key: looks around in the evening, and takes what there is in the night
        small.copy_until(organisation / "logs", root / "logs", date(2026, 2, last))
        if len(facts) < 2:
            key, day = small.victim(organisation), date(2026, 2, last - 1)
            if last == 18:
                usual = small.usual_path(organisation, key)
                small.plant(root / "logs", key, day, range(18, 24), path=usual, a_hour=5)
            else:
                worse = {"agent": "sqlmap/1.8", "path": "/v1/admin/{n}", "address": "203.0.113.9", "a_hour": 300}
                small.plant(root / "logs", key, day, range(0, 12), status=403, **worse)
        result = run.run(workspace, [Input(root / "logs")], organisation / "inventory.csv", since_last=True)
        facts.append(result.facts)
    patch.undo()
    return workspace, facts


def test_an_incident_that_goes_on_keeps_its_id_and_grows(nights):
    _, (first, second, _) = nights
    assert second["period"]["start"] == first["period"]["end"], "--since last"
    before = {r["incident_uid"]: r["state"] for r in first["incidents"]}
    after = {r["incident_uid"]: r for r in second["incidents"]}
    going_on = [uid for uid in before if after.get(uid, {}).get("state") == "grown"]
    assert going_on and all(before[uid] == "opened" for uid in going_on)
    assert not any(after[uid]["new_since_last"] for uid in going_on)


def test_new_since_the_last_report_adds_up(nights):
    _, (first, second, _) = nights
    assert first["previous"] is None and second["previous"]["run_uid"] == first["run_uid"]
    fresh = {r["incident_uid"] for r in second["incidents"]} - {r["incident_uid"] for r in first["incidents"]}
    assert set(second["previous"]["incidents_new"]) == fresh and second["previous"]["opened"] == len(fresh)
    assert second["previous"]["grown"] == sum(r["state"] == "grown" for r in second["incidents"])


def test_a_night_without_new_logs_reports_the_newest_day_again(nights):
    _, (_, second, third) = nights
    assert third["period"]["end"] == second["period"]["end"]
    assert third["period"]["start"] < third["period"]["end"]


def test_the_reference_stays_the_same_from_night_to_night(nights):
    workspace, facts = nights
    assert len({f["history"]["reference"]["end"] for f in facts}) == 1
    with state.connect(workspace.state) as db:
        assert state.get_meta(db, "reference")


def test_in_the_second_week_of_logs_there_is_a_report(organisation, tmp_path, command):
    small.copy_until(organisation / "logs", tmp_path / "logs", date(2026, 1, 15))
    left = command("run", "--events", "logs", "--out", "out", "--json", cwd=tmp_path)
    assert left.code == 0, left.err
    assert (tmp_path / left.json["page"]).is_file()


def test_in_the_second_week_a_theft_is_raised(tmp_path):
    """When all began, everything was new to everybody: that says nothing of how rare new things are."""
    small.make(tmp_path / "raw", days=14, events=9_500, attacks=False)
    key, logs = small.victim(tmp_path / "raw"), tmp_path / "raw" / "logs"
    small.plant(logs, key, date(2026, 1, 16), range(1, 4), path="/v1/secrets", address="192.0.2.66", a_hour=40)
    workspace = config.init(tmp_path / "workspace")
    facts = run.run(workspace, [Input(logs)], tmp_path / "raw" / "inventory.csv", "2026-01-16", "2026-01-17").facts
    (theft,) = facts["incidents"]
    assert theft["token"]["mask"].endswith(key[-4:]) and "point_day" in theft["channels"]


def test_a_wrong_path_leaves_no_folder_behind(tmp_path, command):
    left = command("run", "--events", "nowhere/logs", cwd=tmp_path)
    assert left.code == 2 and "no such file or folder" in left.err
    assert list(tmp_path.iterdir()) == []


def test_a_workspace_and_temporary_files_may_be_in_a_folder_of_any_name(tmp_path, monkeypatch):
    folder = tmp_path / 'a {b} %20 [1] ü#^ 日本 it\'s "q"'
    lines = [raw_logs.nginx(f"{day}-{hour}", raw_logs.moment(day, hour)) for day in range(16) for hour in (9, 15)]
    raw_logs.write(folder / "logs" / "a [1].log", lines)
    (folder / "logs" / "notes.txt").write_text("no log\n")
    (folder / "tmp").mkdir()
    root = config.init(folder / "ws").root
    left = tokenkit_process(
        "run", "--events", folder / "logs", cwd=root, env=os.environ | {"TMPDIR": str(folder / "tmp")}
    )
    assert left.code == 0, left.err
    assert "32 stored" in left.out and "1 file left out: no known source" in left.out
    page = Path(left.out.splitlines()[-1])
    assert {path.name for path in page.parent.iterdir()} == FILES
    assert not any(folder.joinpath("tmp").iterdir())
    monkeypatch.setenv("TMPDIR", str(folder / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    times = pd.date_range("2026-03-02", periods=3, freq="h", tz="UTC")
    workspace = tokenkit.from_events(pd.DataFrame({"time": times, "token_uid": ["a"] * 3, "operation": ["x"] * 3}))
    assert len(workspace.events()) == 3
