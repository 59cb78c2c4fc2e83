"""Which files are read, as what, and what is said about the others."""

import gzip
import json
import os
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from tokenkit import plugins, sources
from tokenkit.errors import InputError, SourceError

CLOUDTRAIL = {"eventTime": "2026-03-01T00:00:00Z", "eventSource": "s3.amazonaws.com", "eventName": "GetObject"}
NGINX = {"msec": 1772323200.123, "remote_addr": "192.0.2.1", "request_method": "GET", "uri": "/v1/a", "status": 200}
HAPROXY = {"ts_ms": 1772323200123, "src_ip": "192.0.2.1", "method": "GET", "path": "/v1/a", "status": 200}


def document(*records: dict) -> bytes:
    return json.dumps({"Records": list(records)}).encode()


def line(record: dict) -> bytes:
    return json.dumps(record).encode() + b"\n"


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (document(CLOUDTRAIL), "cloudtrail"),
        (json.dumps({"Records": [CLOUDTRAIL]}, indent=2).encode(), "cloudtrail"),
        (b'{"Records": []}', "cloudtrail"),
        (line(NGINX) * 2, "nginx"),
        (line(HAPROXY), "haproxy"),
        (line(HAPROXY).rstrip(), "haproxy"),
        (b"\xef\xbb\xbf" + line(NGINX), "nginx"),
        (b"garbage\n" + line(NGINX), "nginx"),
        (document(CLOUDTRAIL, CLOUDTRAIL)[:-60], "cloudtrail"),
        (b"native_id,owner\na,b\n", None),
        (b'{"some": "object"}\n', None),
        (b"[1, 2]\n", None),
        (b"\x00\xff\xfe", None),
        (b"", None),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_file_is_recognised_by_its_first_record(
    tmp_path: Path, content: bytes, name: str | None, packed: bool
) -> None:
    path = tmp_path / "anything"
    path.write_bytes(gzip.compress(content) if packed else content)
    found = sources.recognise(path)
    assert (found.name if found else None) == name


def test_a_half_written_gzip_is_recognised_as_far_as_its_first_record_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json.gz"
    whole = gzip.compress(document(*({**CLOUDTRAIL, "eventID": f"{i * 7919:032x}"} for i in range(2000))))
    path.write_bytes(whole[: len(whole) // 2])
    assert sources.recognise(path) is sources.get("cloudtrail")


def test_a_first_record_longer_than_what_is_looked_at_first_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(document({"requestParameters": {"x": "y" * 200_000}, **CLOUDTRAIL}))
    assert sources.recognise(path) is sources.get("cloudtrail")


def test_a_tree_is_read_in_order_and_what_is_not_read_is_counted_by_rule(tmp_path: Path) -> None:
    def put(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    b = put("AWSLogs/1/CloudTrail/eu/b.json.gz", gzip.compress(document(CLOUDTRAIL)))
    a = put("AWSLogs/1/CloudTrail/eu/a.json", document(CLOUDTRAIL))
    gateway = put("gateway/access.log.1", line(NGINX))
    by_folder = put("AWSLogs/1/CloudTrail-Digest/eu/d.json", b'{"digestStartTime": "x"}')
    by_content = put("moved/d.json", b'{"awsAccountId": "1", "digestStartTime": "x", "logFiles": []}')
    empty, hidden, other = put("empty.json", b""), put(".git/a.json", document(CLOUDTRAIL)), put("LICENSE", b"text\n")

    found, ignored = sources.find_files(tmp_path)

    assert [(path, source.name) for path, source in found] == [(a, "cloudtrail"), (b, "cloudtrail"), (gateway, "nginx")]
    assert ignored == {
        "cloudtrail digest file": [by_folder, by_content],
        "empty file": [empty],
        "hidden file": [hidden],
        "no known source": [other],
    }


def test_a_named_source_is_believed(tmp_path: Path) -> None:
    odd = tmp_path / "odd.jsonl"
    odd.write_bytes(b"nothing that can be recognised\n")
    (tmp_path / "notes.txt").write_bytes(b"x")
    found, ignored = sources.find_files(tmp_path, "nginx")
    assert found == [(odd, sources.get("nginx"))]
    assert ignored == {"name of another kind of file": [tmp_path / "notes.txt"]}
    assert sources.find_files(tmp_path / "notes.txt", "nginx")[0]  # a single file whatever its name


def test_a_rotated_log_has_the_name_of_a_log(tmp_path: Path) -> None:
    for name in ("access.log", "access.log.1", "access.log-20260301.gz", "a.json.gz"):
        (tmp_path / name).write_bytes(line(NGINX))
    assert len(sources.find_files(tmp_path, "nginx")[0]) == 4


def test_cloudtrail_named_reads_broken_files_but_neither_digests_nor_other_kinds(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_bytes(b'{"Records": [{"eventTi')
    (tmp_path / "digest.json").write_bytes(b'{"digestStartTime": "x"}')
    (tmp_path / "LICENSE").write_bytes(b"MIT")
    found, ignored = sources.find_files(tmp_path, "cloudtrail")
    assert [path.name for path, _ in found] == ["broken.json"]
    assert {rule: [p.name for p in paths] for rule, paths in ignored.items()} == {
        "cloudtrail digest file": ["digest.json"],
        "name of another kind of file": ["LICENSE"],
    }


def test_a_missing_path_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        sources.find_files(tmp_path / "nowhere")


def test_nothing_to_read_says_what_was_found_and_how_to_name_a_source(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"x")
    with pytest.raises(SourceError, match=r"1 file: no known source: 1 \(such as a.txt\).*SOURCE="):
        sources.find_files(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="the folder is empty"):
        sources.find_files(tmp_path / "empty")


def test_an_unknown_source_says_what_was_probably_meant() -> None:
    with pytest.raises(SourceError, match="did you mean cloudtrail"):
        sources.get("cloudtrial")


@pytest.fixture
def plug_in(monkeypatch: pytest.MonkeyPatch):
    def install(value: str) -> None:
        class Point(EntryPoint):
            dist = type("Dist", (), {"name": "tokenkit-okta"})()

        point = Point("okta", value, sources.GROUP)
        monkeypatch.setattr(plugins, "entry_points", lambda group: [point])
        sources.sources.cache_clear()

    yield install
    sources.sources.cache_clear()


OTHER = sources.Source("okta", "Okta", (".json",), lambda record: "published" in record, lambda *_: iter(()))


def test_an_installed_package_brings_a_source(plug_in, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sources, "OTHER", OTHER, raising=False)
    plug_in("tokenkit.sources:OTHER")
    (tmp_path / "a").write_bytes(b'{"published": "x"}')
    assert sources.recognise(tmp_path / "a") is OTHER


@pytest.mark.parametrize("value", ["no_such_module:SOURCE", "tokenkit.sources:no_such", "tokenkit.sources:GROUP"])
def test_a_package_whose_source_cannot_be_used_is_named(plug_in, value: str) -> None:
    plug_in(value)
    with pytest.raises(SourceError, match="tokenkit-okta"):
        sources.sources()


def test_a_package_cannot_replace_a_source_of_ours(plug_in) -> None:
    plug_in("tokenkit.sources.cloudtrail:SOURCE")
    with pytest.raises(SourceError, match="tokenkit-okta brings a second source 'cloudtrail'"):
        sources.sources()


def test_linked_folders_are_followed_once_and_loops_end(tmp_path: Path) -> None:
    tree, elsewhere = tmp_path / "tree", tmp_path / "elsewhere"
    for folder in (tree / "a", elsewhere / "b"):
        folder.mkdir(parents=True)
        (folder / "x.log").write_bytes(line(NGINX))
    (tree / "2026-03").symlink_to(elsewhere)
    (tree / "again").symlink_to(elsewhere)
    (tree / "0-itself").symlink_to(tree / "a")
    (tree / "a" / "up").symlink_to(tree)
    (elsewhere / "home").symlink_to(tree)
    (tree / "nothing").symlink_to(tmp_path / "nowhere")
    found, ignored = sources.find_files(tree)
    assert [path for path, _ in found] == [tree / "2026-03" / "b" / "x.log", tree / "a" / "x.log"]
    assert ignored == {"cannot be read": [tree / "nothing"]}


def test_what_cannot_be_opened_is_left_out_by_name_and_the_rest_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/closed.log", "b/x.log", "c.log"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(line(NGINX))
    refused = [tmp_path / "b", tmp_path / "a" / "closed.log"]  # as root no file is closed
    scandir, opened = os.scandir, Path.open
    monkeypatch.setattr(os, "scandir", lambda path: _refuse(path) if path in refused else scandir(path))
    monkeypatch.setattr(Path, "open", lambda self, *a: _refuse(self) if self in refused else opened(self, *a))
    found, ignored = sources.find_files(tmp_path)
    assert [path.name for path, _ in found] == ["c.log"]
    assert sorted(ignored["cannot be read"]) == sorted(refused)


def _refuse(path: Path) -> None:
    raise PermissionError(13, "Permission denied", str(path))
