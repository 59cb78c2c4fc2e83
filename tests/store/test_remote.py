"""A lake on S3-style storage, here moto's server, is the lake that it would be in a folder."""

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import raw_logs
from raw_logs import moment, nginx

from tokenkit import config
from tokenkit.config import Workspace
from tokenkit.errors import ConfigError, InputError
from tokenkit.maintenance import compaction, erasure, retention
from tokenkit.maintenance.status import status
from tokenkit.store import lake, points, remote
from tokenkit.store.access import locked

KEYS = ("key_0123456789ab", "key_ffff00001111")


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    """The address of a server with the bucket ``lakes``, which the environment names."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # a process of its own: some calls of Delta's library let no other thread of Python work meanwhile
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    for _ in range(600):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            break
        time.sleep(0.1)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true",
        }.items():  # fmt: skip
            patch.setenv(name, value)
        remote.fs.S3FileSystem(**config.s3_options(), allow_bucket_creation=True).create_dir("lakes")
        yield f"http://127.0.0.1:{port}"
    server.terminate()
    server.wait()


def day_log(folder: Path, day: int) -> Path:
    calls = [
        nginx(f"r{day}-{n}", moment(day=day, minute=n), api_key_id=KEYS[n % 2], uri=f"/v1/{n % 2}") for n in range(3)
    ]
    return raw_logs.write(folder / f"{day}.log", calls)


def content(place: Workspace) -> dict[str, list[str]]:
    return {
        name: sorted(json.dumps(row, default=str, sort_keys=True) for row in lake.read(place.lake, name).to_pylist())
        for name in lake.versions(place.lake)
    }


def test_all_that_is_done_with_a_lake_is_done_on_s3_as_in_a_folder(storage: str, tmp_path: Path) -> None:
    logs = [day_log(tmp_path / "logs", day) for day in range(3)]
    folder, away = raw_logs.workspace(tmp_path / "folder"), raw_logs.workspace(tmp_path / "away")
    (away.root / config.FILE_NAME).write_text('lake = "s3://lakes/a/b"\n')
    away = config.init(away.root)
    for place in (folder, away):
        place.key.write_text("0a" * 32 + "\n")
        raw_logs.read(place, *logs[:2])
        raw_logs.read(place, raw_logs.write(tmp_path / "more.log", [nginx("more", moment(day=0, hour=1))]))
        raw_logs.form(place, logs[2])
    assert content(away) == content(folder) and not away.root.joinpath("lake").exists() and not Path("s3:").exists()
    assert raw_logs.read(away, *logs).files_known == 3
    assert (status(away).events, status(away).tables[0].files) == (10, 4)
    before = content(away)
    assert "events" in {one.table for one in compaction.compact(away)} and content(away) == before
    points.restore(away, 1)
    assert len(raw_logs.event_keys(away)) == 6
    raw_logs.form(away, tmp_path / "more.log", logs[2])
    assert content(away)["activity_hour"] == before["activity_hour"]
    removed = compaction.vacuum(away, keep_hours=0, apply=True)
    assert removed and all(size > 0 for size in removed.values())
    assert [name for name in lake.versions(away.lake) if lake.missing_files(away.lake, name)] == []
    assert retention.apply(away) == []
    subject = erasure.find_subject(away, "key_...1111", raw_logs.moment(day=9))
    assert any(remote.is_remote(path) for path in erasure.traces(away, subject))
    erasure.forget(away, "key_...1111", raw_logs.moment(day=9))
    assert list(erasure.traces(away, subject)) == [] and len(raw_logs.event_keys(away)) == 7


def test_a_bucket_that_is_not_there_is_said_in_words(storage: str, tmp_path: Path) -> None:
    place = raw_logs.workspace(tmp_path / "w")
    (place.root / config.FILE_NAME).write_text('lake = "s3://nowhere/lake"\n')
    place = config.init(place.root)
    with pytest.raises(InputError, match=r"s3://nowhere/lake: cannot be reached.*AWS_ENDPOINT_URL"), locked(place):
        raw_logs.read(place, day_log(tmp_path, 0))


@pytest.mark.parametrize(
    "address", ["gs://lakes/a", "s3://lakes", "s3://lakes/", "/srv/lake", "s3://L/a", "s3://lakes/a b"]
)
def test_another_address_is_refused_with_what_was_expected(tmp_path: Path, address: str) -> None:
    (tmp_path / config.FILE_NAME).write_text(f'lake = "{address}"\n')
    with pytest.raises(ConfigError, match=r"lake: .*expected s3://BUCKET/PREFIX"):
        config.init(tmp_path)


def test_a_variable_does_not_send_the_tables_of_every_workspace_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENKIT_LAKE", "s3://lakes/a")
    assert config.init(tmp_path).lake == tmp_path.resolve() / "lake"
