"""tokenkit sources and sources check: what a person and a program are told of a file, before anything is stored."""

import csv
import json
import tomllib
from pathlib import Path
from typing import Any

import organisation as small
import pytest
import raw_logs

from tokenkit import config, identity

SECRET = "ghp_0123456789abcdefghij0123456789abcdef"
NATIVE = "cred-7f3a9b2c1d"
TOML = """name = "orders"
issuer = "orders-api"
[columns]
time = "at"
native_id = "key"
method = "verb"
path = "url"
user_agent = "agent"
"""


def row(**cells: Any) -> dict[str, Any]:
    return {"at": "2026-03-01T10:20:30Z", "key": NATIVE, "verb": "GET", "url": f"/v1/orders/17?k={SECRET}",
            "agent": f"curl/8 {SECRET} {NATIVE}", "note": SECRET} | cells  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    with (tmp_path / "logs" / "orders.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(row()))
        writer.writeheader()
        writer.writerows([*(row(url=f"/v1/orders/{i}") for i in range(12)), row(), row(at=SECRET), row(verb="a,b")])
        file.write("too,few\r\n")
    (tmp_path / "orders.toml").write_text(TOML)
    return tmp_path


def check(command: Any, folder: Path, *words: object) -> Any:
    left = command("sources", "check", *words, cwd=folder)
    assert left.code == 0, left.err
    assert SECRET not in left.out + left.err and NATIVE not in left.out + left.err
    return left


def test_a_check_without_a_source_prints_a_draft_that_can_be_saved_and_used(folder: Path, command: Any) -> None:
    said = check(command, folder, "logs/orders.csv")
    assert "no known source" in said.err
    draft = check(command, folder, "logs/orders.csv", "--draft")
    assert draft.out == said.out and draft.err == ""
    assert tomllib.loads(draft.out)["columns"]["native_id"] == "key"
    assert check(command, folder, "logs/orders.csv", "--json").json["draft"] == draft.out
    (folder / "draft.toml").write_text(draft.out)
    assert check(command, folder, "logs/orders.csv", "--source", "draft.toml", "--json").json["counts"]["stored"] == 14


def test_a_check_shows_ten_records_and_what_is_null_unused_and_refused(folder: Path, command: Any) -> None:
    said = check(command, folder, "logs/orders.csv", "--source", "orders.toml").out
    assert "16 records read = 14 stored + 0 duplicates + 2 quarantined + 0 ignored" in said
    lines = {line.split("\t")[0]: line.split("\t") for line in said.splitlines()}
    assert lines["token"] == ["token", "key", *[identity.mask(NATIVE)] * 10]
    assert lines["operation"][1:3] == ["verb + url", "GET /v1/orders/{id}"]
    assert lines["src_ip"][1].startswith("family network stays blind")
    assert "\nnote\n" in said and "token_uid\t" not in said and "no workspace here" in said
    assert lines["line 15"][1].startswith("at is not a time") and lines["line 17"] == [
        "line 17",
        "2 values, expected 6",
    ]


def test_a_check_as_json_says_the_same(folder: Path, command: Any) -> None:
    said = check(command, folder, "logs", "--source", "orders.toml", "--json").json
    assert said["counts"] == {"read": 16, "stored": 14, "duplicates": 0, "ignored": 0, "quarantined": 2}
    assert len(said["records"]) == 10 and said["unused"] == ["note"] and "src_ip" in said["null"]
    assert [r["place"] for r in said["refused"]] == ["line 15", "line 17"]


def test_a_check_stores_nothing_and_shows_the_token_uid_of_the_workspace(folder: Path, command: Any) -> None:
    place = config.init(folder)
    before = small.content(folder)
    assert "token_uid" not in json.dumps(
        check(command, folder, "logs", "--source", "orders.toml", "--json").json["null"]
    )
    assert small.content(folder) == before
    key = identity.create_key(place.key)
    said = check(command, folder, "logs", "--source", "orders.toml", "--json").json
    assert said["records"][0]["token_uid"] == identity.token_uid(key, "orders-api", NATIVE)
    before = small.content(folder)
    check(command, folder, "logs", "--source", "orders.toml")
    assert small.content(folder) == before


def test_a_file_that_was_read_before_is_said_to_be_read_no_more(folder: Path, command: Any) -> None:
    config.init(folder)
    assert "read before" not in check(command, folder, "logs", "--source", "orders.toml").out
    assert command("ingest", "orders.toml=logs", cwd=folder).code == 0
    (folder / "orders.toml").write_text(TOML + 'principal = "note"\n')
    assert "read before as orders" in check(command, folder, "logs", "--source", "orders.toml").out


def test_a_known_source_is_checked_without_a_name(tmp_path: Path, command: Any) -> None:
    raw_logs.write(tmp_path / "a.log", [raw_logs.nginx("r1"), raw_logs.nginx("r2")])
    raw_logs.write(tmp_path / "b.log", [raw_logs.nginx("r3")])
    said = check(command, tmp_path, ".").out
    assert "a.log as nginx: 2 records read" in said and "the first of 2 files" in said
    assert "src_ip\tremote_addr\t" in said


def test_mappings_of_the_workspace_are_listed_beside_our_sources(folder: Path, command: Any) -> None:
    config.init(folder)
    (folder / config.FILE_NAME).write_text('events = ["orders.toml=logs"]\n')
    (folder / "below").mkdir()
    listed = {s["name"]: s for s in command("sources", "--json", cwd=folder / "below").json}
    assert {"cloudtrail", "nginx", "haproxy", "orders"} <= set(listed)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("none.csv",), "no such file"),
        (("logs/orders.csv", "--source", "orderz"), "no source 'orderz'"),
        (("logs/orders.csv", "--source", "other.toml"), "the mapping cannot be read"),
        (("logs",), "tokenkit sources check logs/orders.csv"),
        (("orders.toml",), "not a table"),
    ],
)
def test_what_cannot_be_checked_says_what_to_do(folder: Path, command: Any, words: tuple[str, ...], said: str) -> None:
    left = command("sources", "check", *words, cwd=folder)
    assert left.code == 2 and said in left.err and "Traceback" not in left.err


def test_a_column_that_is_not_there_is_said_before_anything_is_stored(folder: Path, command: Any) -> None:
    config.init(folder)
    (folder / "orders.toml").write_text(TOML + 'status = "staus"\n')
    left = command("ingest", "orders.toml=logs", cwd=folder)
    assert left.code == 2 and 'orders.toml, line 9: status = "staus"' in left.err and "its columns: at, key" in left.err


def test_hostile_names_and_values_are_harmless_on_a_terminal(tmp_path: Path, command: Any) -> None:
    cells = {"at": "2026-03-01T00:00:00Z", "key": "k\x1b[31m", "url": "/\x1b]0;x\x07", "e\x1b[2Jvil": "[red]x[/]"}
    (tmp_path / "a.jsonl").write_text(json.dumps(cells) + "\n")
    (tmp_path / "m.toml").write_text(
        'name = "m"\nissuer = "m"\n[columns]\ntime = "at"\nnative_id = "key"\npath = "url"\n'
    )
    for words in (("a.jsonl",), ("a.jsonl", "--source", "m.toml")):
        left = command("sources", "check", *words, cwd=tmp_path)
        assert left.code == 0 and not {"\x1b", "\x07"} & set(left.out + left.err)


def test_a_draft_of_a_folder_is_refused(tmp_path, command):
    left = command("sources", "check", tmp_path, "--draft", cwd=tmp_path)
    assert left.code == 2 and "a draft is made of one file" in left.err
