"""The command line: what each command says, to a person and to a program."""

import csv
import io
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import mmdb
import nbformat
import organisation as small
import pytest
import typer

from tokenkit import cli, config, fingerprint, identity, schema
from tokenkit.report import find_notebook
from tokenkit.store import state

COMMANDS = (
    "bench",
    "run",
    "report",
    "ingest",
    "demo",
    "try",
    "detectors",
    "init",
    "config",
    "tokens",
    "doctor",
    "notebook",
    "respond",
    "label",
    "suppress",
    "tune",
    "sources",
    "features",
    "schema",
    "version",
    "export",
    "lake",
)


def test_every_command_is_known_here():
    from tokenkit.cli import about, bench, export, labels, lake, notebook, pipeline, respond, sources, tune, workspace  # noqa: F401

    assert set(typer.main.get_command(cli.app).commands) == set(COMMANDS)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_has_an_example_that_begins_as_it_would_be_typed(name, tmp_path, command):
    left = command(name, "--help", cwd=tmp_path)
    assert left.code == 0
    assert f"Example: tokenkit {name}" in " ".join(left.out.split())


@pytest.mark.parametrize("words", [[], ["--help"]])
def test_the_help_names_every_command_and_the_exit_codes(words, tmp_path, command):
    left = command(*words, cwd=tmp_path)
    said = " ".join((left.out + left.err).split())
    assert all(name in said for name in COMMANDS)
    assert "0 done, 2 input, 3 locked, 4 report failed" in said


def test_version(tmp_path, command):
    assert command("version", cwd=tmp_path).out.strip() == version("tokenkit")


def test_sources_and_features_are_listed(tmp_path, command):
    assert {s["name"] for s in command("sources", "--json", cwd=tmp_path).json} >= {"cloudtrail", "nginx", "haproxy"}
    listed = command("features", "--json", cwd=tmp_path).json
    assert [f["name"] for f in listed] == list(fingerprint.features())
    assert all(f["asks"].endswith("?") and f["unit"] for f in listed)
    for name in ("sources", "features"):
        lines = command(name, cwd=tmp_path).out.splitlines()
        assert len(lines) == 1 + len(command(name, "--json", cwd=tmp_path).json)


def test_schema_of_every_table(tmp_path, command):
    assert set(command("schema", "--json", cwd=tmp_path).json) == set(schema.TABLES)
    for name, table in schema.TABLES.items():
        assert [c["name"] for c in command("schema", name, "--json", cwd=tmp_path).json] == table.names
        assert len(command("schema", name, cwd=tmp_path).out.splitlines()) == 1 + len(table.names)


def test_config_prints_every_setting_with_its_value(tmp_path, command):
    assert "no workspace: defaults" in command("config", cwd=tmp_path).out
    config.init(tmp_path, "Northwind")
    left = command("config", cwd=tmp_path)
    assert all(
        f"{name}\t{value}\t{doc}" in left.out for name, value, doc in config.describe(config.find(tmp_path).settings)
    )
    assert command("config", "--json", cwd=tmp_path).json["name"] == "Northwind"


def test_config_says_which_channels_are_switched_off(tmp_path, command):
    place = config.init(tmp_path)
    assert "Not looked for" not in command("config", cwd=tmp_path).out
    (place.root / config.FILE_NAME).write_text("[detection.shares]\ndrift_amounts = 0\n")
    said = command("config", cwd=tmp_path).out.splitlines()[-1]
    assert "for two weeks: Not looked for: drift_amounts has no share of the budget" in said


def test_a_scheduler_is_told_by_the_exit_code_that_a_report_needs_attention(workspace, command):
    asked = ("report", "--start", small.BUSY[0], "--end", small.BUSY[1], "--json")
    left = command(*asked, "--fail-on", "attention", cwd=workspace)
    assert (left.code, left.json["state"]) == (6, "attention"), "and what it prints is printed"
    assert command(*asked, cwd=workspace).code == 0
    wrong = command("report", "--fail-on", "atention", cwd=workspace)
    assert wrong.code == 2 and "the only value is: attention" in wrong.err


def test_init_makes_a_workspace_once_and_is_harmless_again(tmp_path, command):
    left = command("init", "here", "--name", 'A "quoted" name\\', cwd=tmp_path)
    assert left.code == 0, left.err
    key = tmp_path / "here" / ".tokenkit" / "key"
    assert key.stat().st_mode & 0o777 == 0o600
    before = small.content(tmp_path / "here")
    assert command("init", "here", cwd=tmp_path).code == 0
    assert small.content(tmp_path / "here") == before
    ignored = (tmp_path / "here" / ".gitignore").read_text().split()
    assert {".tokenkit/", "lake/", "state.db*"} <= set(ignored)
    assert command("config", "--json", cwd=tmp_path / "here").json["name"] == 'A "quoted" name\\'


def test_a_workspace_is_found_from_below_and_by_name(workspace, tmp_path, command, monkeypatch):
    (workspace / "a" / "b").mkdir(parents=True)
    here = command("tokens", "--csv", cwd=workspace).out
    assert command("tokens", "--csv", cwd=workspace / "a" / "b").out == here
    monkeypatch.setenv("TOKENKIT_WORKSPACE", str(workspace))
    monkeypatch.chdir(tmp_path)
    assert config.find().root == workspace


def test_ingest_says_what_became_of_the_records(organisation, tmp_path, command):
    config.init(tmp_path)
    left = command("ingest", f"cloudtrail={organisation / 'logs/cloudtrail'}", "--json", cwd=tmp_path)
    assert left.code == 0, left.err
    said = left.json
    assert said["read"] == said["stored"] + said["duplicates"] + said["quarantined"] + said["ignored"] > 0
    assert sum(said["ignored_files"].values()) == 45, "digest files"
    again = command("ingest", f"cloudtrail={organisation / 'logs/cloudtrail'}", cwd=tmp_path)
    assert (
        f"{said['files'] + said['files_known']:,} files were read before" in again.out and "0 records read" in again.out
    )


# ---- tokens ----
def rows(left):
    assert left.code == 0, left.err
    return list(csv.DictReader(io.StringIO(left.out)))


def test_tokens_lists_each_with_owner_and_status(organisation, workspace, command):
    listed = rows(command("tokens", "--csv", cwd=workspace))
    with (organisation / "inventory.csv").open(encoding="utf-8") as file:
        owners = {row["owner_name"] for row in csv.DictReader(file)}
    assert len({row["token_uid"] for row in listed}) == len(listed) > 40
    assert {row["owner"] for row in listed} - {""} <= owners
    assert {row["status"] for row in listed} <= {"owned", "unowned", "orphaned", "ambiguous"}
    as_json = command("tokens", "--json", cwd=workspace).json
    assert [row["token_uid"] for row in as_json] == [row["token_uid"] for row in listed]


def test_native_ids_are_mapped_to_their_token_uid(organisation, workspace, command):
    with (organisation / "inventory.csv").open(encoding="utf-8") as file:
        inventory = {row["native_id"]: row for row in csv.DictReader(file)}
    key_of_aws = next(n for n in inventory if n.startswith("AKIA"))
    role = next(n for n in inventory if ":role/" in n)
    gateway = next(n for n in inventory if n.startswith("key_"))
    user = f"arn:aws:iam::418207735116:user/{inventory[key_of_aws]['token_name']}"
    asked = [key_of_aws, gateway, user, role, "AKIAUNKNOWN000000000", gateway]
    (workspace / "ids.txt").write_text("\ufeff" + "\r\n".join([*asked, "", "  "]), encoding="utf-8")
    found = rows(command("tokens", "--csv", "--native-ids", "ids.txt", cwd=workspace))
    key = identity.load_key(workspace / ".tokenkit" / "key")
    expected = [identity.token_uid(key, "gateway:default" if n == gateway else "aws", n) for n in asked]
    assert [row["native_id"] for row in found] == asked
    assert [row["token_uid"] for row in found] == expected
    assert [row["status"] == "not seen" for row in found] == [False, False, False, False, True, False]
    for row, native in zip(found, asked, strict=True):
        if native in inventory:
            assert row["label"] == inventory[native]["token_name"]
            assert row["owner"] == inventory[native]["owner_name"]
    assert found[2]["label"] == found[0]["label"], "a user's ARN leads to the user's key"


def test_a_csv_that_is_opened_in_a_spreadsheet_calculates_nothing(organisation, workspace, command):
    text = (organisation / "inventory.csv").read_text(encoding="utf-8")
    with io.StringIO(text) as file:
        lines = list(csv.DictReader(file))
    for row in lines:
        row["owner_name"] = '=HYPERLINK("http://x")'
    with (workspace / "odd.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, lines[0])
        writer.writeheader()
        writer.writerows(lines)
    from tokenkit.tokens import load

    load.load_inventory(config.find(workspace), workspace / "odd.csv")
    owners = {row["owner"] for row in rows(command("tokens", "--csv", cwd=workspace))} - {""}
    assert owners == {'\'=HYPERLINK("http://x")'}
    assert '=HYPERLINK("http://x")' in {row["owner"] for row in command("tokens", "--json", cwd=workspace).json}


def test_tokens_of_an_empty_workspace_are_none(tmp_path, command):
    config.init(tmp_path)
    assert rows(command("tokens", "--csv", cwd=tmp_path)) == []
    assert command("tokens", "--json", cwd=tmp_path).json == []
    (tmp_path / "ids").write_text("AKIAUNKNOWN000000000\n")
    command("init", cwd=tmp_path)
    assert [r["status"] for r in rows(command("tokens", "--csv", "--native-ids", "ids", cwd=tmp_path))] == ["not seen"]


# ---- doctor ----
def checks(left):
    return {c["name"]: c for c in left.json}


def test_doctor_finds_nothing_to_do_in_a_sound_workspace(workspace, command):
    left = command("doctor", "--json", cwd=workspace)
    assert left.code == 0 and all(c["ok"] for c in left.json), left.out
    assert checks(left)["lake"]["found"] == "45 days of events"
    assert "TODO" not in command("doctor", cwd=workspace).out


def test_doctor_counts_what_is_still_set_aside_as_the_page_does(workspace, command):
    with state.connect(workspace / "state.db") as db:
        for digest, path, quarantined in (("old", "cut.log", 2), ("new", "cut.log", 0), ("other", "other.log", 1)):
            db.execute("insert into files values (?, 'nginx', ?, 'stored', 9, ?, 0, ?, 0, '{}', 0, null, null, 0, 0)",
                       [digest, path, 9 - quarantined, quarantined])  # fmt: skip
            for n in range(quarantined):
                db.execute(
                    "insert into quarantine values (?, 'nginx', ?, ?, 'x', 'no JSON')", [digest, path, f"line {n}"]
                )
    assert checks(command("doctor", "--json", cwd=workspace))["state"]["found"].endswith("; 1 piece set aside")


def test_doctor_and_config_name_the_files_that_know_networks(workspace, command):
    assert checks(command("doctor", "--json", cwd=workspace))["networks"]["found"].startswith("no file says")
    mmdb.write(workspace / "a.mmdb", {"198.51.100.0/24": mmdb.HOSTING})
    mmdb.set_in(workspace, "a.mmdb")
    found = checks(command("doctor", "--json", cwd=workspace))["networks"]
    assert found["ok"] and found["found"].startswith("a.mmdb: GeoLite2-ASN of 20")
    assert "networks.database\t['a.mmdb']\t" in command("config", cwd=workspace).out


def test_doctor_works_without_a_workspace_and_changes_nothing(tmp_path, command):
    assert command("doctor", cwd=tmp_path).code == 0
    assert list(tmp_path.iterdir()) == []


def lose_the_key(root):
    (root / ".tokenkit" / "key").unlink()


def take_another_key(root):
    (root / ".tokenkit" / "key").write_text("ab" * 32 + "\n")


def open_the_key(root):
    (root / ".tokenkit" / "key").chmod(0o644)


def mistype_a_setting(root):
    (root / "tokenkit.toml").write_text("[detection]\nbudgte = 3\n")


def break_the_lake(root):
    log = sorted((root / "lake" / "events" / "_delta_log").iterdir())
    log[0].write_text("{")


def break_the_state(root):
    (root / "state.db").write_bytes(b"no database" * 500)
    for beside in root.glob("state.db-*"):
        beside.unlink()


def lose_a_file_of_the_lake(root):
    next((root / "lake" / "events").rglob("*.parquet")).unlink()


def lose_the_file_of_networks(root):
    mmdb.set_in(root, "none.mmdb")


def damage_the_file_of_networks(root):
    mmdb.set_in(root, "a.mmdb")
    (root / "a.mmdb").write_bytes(b"no database")


@pytest.mark.parametrize(
    ("damage", "name"),
    [(lose_the_key, "key"), (take_another_key, "key"), (open_the_key, "key"), (mistype_a_setting, "workspace"),
     (break_the_lake, "lake"), (break_the_state, "state"), (lose_a_file_of_the_lake, "lake"),
     (lose_the_file_of_networks, "networks"), (damage_the_file_of_networks, "networks")],
)  # fmt: skip
def test_doctor_says_what_to_do_in_a_broken_workspace(damage, name, workspace, command):
    damage(workspace)
    left = command("doctor", "--json", cwd=workspace)
    assert left.code == 2
    broken = [c for c in left.json if not c["ok"]]
    assert name in [c["name"] for c in broken] and all(c["found"] and c["do"] for c in broken)
    assert "TODO" in command("doctor", cwd=workspace).out


def test_the_demo_ends_with_the_page(tmp_path, command, monkeypatch):
    left = command("demo", "d", "--tokens", "16", "--days", "16", cwd=tmp_path)
    assert left.code == 0, left.err
    page = left.out.splitlines()[-1]
    assert shutil.os.path.isfile(page) and "/reports/" in page


def test_a_repository_is_tried_in_a_workspace_of_its_own_and_too_little_is_said(tmp_path, command):
    who = ["-c", "user.name=Ana", "-c", "user.email=ana@acme.example"]
    subprocess.run(["git", "init", "-q", "repository"], cwd=tmp_path, check=True)
    subprocess.run(["git", *who, "commit", "-qm", "x", "--allow-empty"], cwd=tmp_path / "repository", check=True)
    before = sorted(path for path in (tmp_path / "repository").rglob("*") if ".git/" not in path.as_posix())
    left = command("try", ".", "--out", "../own", cwd=tmp_path / "repository")
    assert left.code == 0, left.err
    assert "too little history: 1 day. From 7 on something is judged" in left.out
    page = (tmp_path / "repository" / left.out.splitlines()[-1]).resolve()
    assert page.is_file() and page.is_relative_to(tmp_path / "own")
    assert sorted(p for p in (tmp_path / "repository").rglob("*") if ".git/" not in p.as_posix()) == before


@pytest.mark.parametrize(("path", "said"), [("nowhere", "no such file or folder"), (".", "the folder is empty")])
def test_what_cannot_be_tried_is_said_and_leaves_nothing(path, said, tmp_path, command):
    left = command("try", path, "--out", "own", cwd=tmp_path)
    assert left.code == 2 and said in left.err and not (tmp_path / "own").exists()


def test_a_report_is_made_from_the_notebook_that_is_named(workspace, command):
    made = nbformat.read(find_notebook("03_anomaly_report"), as_version=4)
    shown = nbformat.v4.new_code_cell("from IPython.display import HTML\nHTML('<p>A cell of mine</p>')")
    shown.metadata["tags"] = ["report"]
    made.cells.insert(-1, shown)
    nbformat.write(made, workspace / "mine.ipynb")
    left = command(
        "report", "--start", small.BUSY[0], "--end", small.BUSY[1], "--notebook", "mine.ipynb", cwd=workspace
    )
    assert left.code == 0, left.err
    page = Path(left.out.splitlines()[-1])
    assert "<p>A cell of mine</p>" in page.read_text() and (page.parent / "mine.ipynb").exists()


def test_a_report_from_no_notebook_changes_nothing(workspace, command):
    (workspace / "text.ipynb").write_text("text")
    before = small.content(workspace / "reports")
    for name, error in (("none.ipynb", "no notebook none.ipynb"), ("text.ipynb", "text.ipynb is not a notebook")):
        left = command("report", "--notebook", name, cwd=workspace)
        assert left.code == 2 and error in " ".join(left.err.split()) and "Traceback" not in left.err
    assert small.content(workspace / "reports") == before
