"""A file that grows is read on from where it was left, whoever moves, copies or empties it; a large one in parts."""

import gzip
import json
import os
import random
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import raw_logs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw_logs import moment, nginx

from tokenkit import ingest
from tokenkit.config import Workspace
from tokenkit.ingest import Counts, known, pieces
from tokenkit.sources import clocks, files
from tokenkit.sources.inputs import Input
from tokenkit.store import lake, state


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    return raw_logs.workspace(tmp_path / "w")


def line(number: int, **fields: Any) -> bytes:
    return json.dumps(nginx(f"r{number}", moment(second=number), **fields)).encode() + b"\n"


def read(place: Workspace, path: Path, source: str | None = "nginx") -> Counts:
    counts = ingest.ingest(place, [Input(path, source)])
    assert counts.read == counts.stored + counts.duplicates + counts.quarantined + counts.ignored
    return counts


def append(path: Path, *texts: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("ab") as file:
        file.writelines(texts)


def totals(place: Workspace) -> tuple[int, ...]:
    """What was read, stored, taken for duplicates and quarantined of all files."""
    rows = raw_logs.files_of(place)
    sums = tuple(sum(row[name] for row in rows) for name in ("read", "stored", "duplicates", "quarantined"))
    assert sums[1] == lake.read(place.lake, "events").num_rows
    return sums


def quarantined(place: Workspace) -> list[tuple[Any, ...]]:
    with state.connect(place.state) as db:
        rows = db.execute("select path, place, reason from quarantine order by rowid")
        return [(Path(row[0]).name, row[1], row[2]) for row in rows]


# a file that grows


def test_only_what_was_appended_is_read_and_its_lines_have_their_numbers(place: Workspace, tmp_path: Path) -> None:
    log = tmp_path / "logs" / "access.log"
    append(log, line(1), b"{\n", line(2))
    assert (read(place, log).read, totals(place)) == (3, (3, 2, 0, 1))
    append(log, line(3), b"[\n")
    counts = read(place, log)
    assert (counts.files, counts.read, counts.stored, counts.quarantined) == (1, 2, 1, 1)
    assert [at for _, at, _ in quarantined(place)] == ["line 2", "line 5"]
    refs = sorted(ref.rsplit("#")[-1] for ref in lake.read(place.lake, "events")["raw_ref"].to_pylist())
    assert refs == ["1", "3", "4"]
    assert len(raw_logs.files_of(place)) == 1
    assert read(place, log) == Counts(files_known=1)


def test_half_a_line_that_a_killed_run_had_noted_is_counted_once_when_it_is_whole(
    place: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "logs" / "access.log"
    append(log, line(0), line(1), line(2)[:50])

    append_rows = lake.append

    def killed(*arguments: Any, **more: Any) -> None:
        if "events" in arguments:
            raise KeyboardInterrupt
        append_rows(*arguments, **more)

    with monkeypatch.context() as patched:
        patched.setattr(lake, "append", killed)
        with pytest.raises(KeyboardInterrupt):
            ingest.ingest(place, [Input(log, "nginx")])
    append(log, line(2)[50:], line(3))
    assert (read(place, log).quarantined, totals(place)) == (0, (4, 4, 0, 0))


@pytest.mark.parametrize("pack", [False, True])
def test_what_a_killed_run_had_noted_and_not_stored_is_read_though_the_file_did_not_change_since(
    place: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: bool
) -> None:
    monkeypatch.setattr(pieces, "STRETCH", 1)
    monkeypatch.setattr(ingest, "EVENTS_A_COMMIT", 2)
    log = tmp_path / "logs" / ("access.log.1.gz" if pack else "access.log.1")
    log.parent.mkdir()
    text = b"".join(line(n) for n in range(3))
    log.write_bytes(gzip.compress(text) if pack else text)
    stored, killed_at, append_events = 0, 2, lake.append

    def killed(*arguments: Any, **more: Any) -> None:
        nonlocal stored
        stored += "events" in arguments
        if stored == killed_at:
            raise KeyboardInterrupt
        append_events(*arguments, **more)

    monkeypatch.setattr(lake, "append", killed)
    with pytest.raises(KeyboardInterrupt):
        ingest.ingest(place, [Input(log, "nginx")])
    assert read(place, log).stored == 1
    assert totals(place) == (3, 3, 0, 0)


def test_what_did_not_change_is_not_opened(place: Workspace, tmp_path: Path, monkeypatch) -> None:
    log, packed = tmp_path / "logs" / "access.log", tmp_path / "logs" / "access.log.1.gz"
    append(log, line(1))
    append(packed, gzip.compress(line(2)))
    assert read(place, log.parent).stored == 2

    def opened(*_: object) -> None:
        raise AssertionError("it was read")

    for name in ("whole_digest", "part_digest", "head_digest"):
        monkeypatch.setattr(known, name, opened)
    assert read(place, log.parent).files_known == 2


def test_a_half_written_line_is_read_when_it_is_whole(place: Workspace, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    half = line(2)
    append(log, line(1), half[:40])
    counts = read(place, log)
    assert (counts.read, counts.unfinished) == (1, 1)
    assert counts.remarks()[0].startswith("the last line of 1 file is not finished")
    counts = read(place, log)
    assert (counts.files_known, counts.read, counts.unfinished) == (1, 0, 1)
    append(log, half[40:], line(3))
    counts = read(place, log)
    assert (counts.read, counts.stored, counts.unfinished) == (2, 2, 0)
    assert totals(place) == (3, 3, 0, 0)


def test_a_whole_last_line_without_a_line_end_is_read_at_once(place: Workspace, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    append(log, line(1), line(2)[:-1])
    assert read(place, log).stored == 2
    append(log, b"\n", line(3))
    counts = read(place, log)
    assert (counts.read, counts.stored) == (1, 1) and totals(place) == (3, 3, 0, 0)
    refs = sorted(ref.rsplit("#")[-1] for ref in lake.read(place.lake, "events")["raw_ref"].to_pylist())
    assert refs == ["1", "2", "3"]


def test_a_half_line_that_nobody_went_on_with_for_a_day_is_quarantined(place: Workspace, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    append(log, line(1), b'{"half": ')
    assert read(place, log).quarantined == 0
    yesterday = log.stat().st_mtime - known.GROWS_S - 60
    os.utime(log, (yesterday, yesterday))
    counts = read(place, log)
    assert (counts.read, counts.quarantined, counts.unfinished) == (1, 1, 0)
    assert quarantined(place) == [("access.log", "line 2", "the line is not JSON")]
    assert read(place, log) == Counts(files_known=1)


# rotation


def test_rotation_by_rename_reads_the_end_of_the_old_file_and_the_new_one(place: Workspace, tmp_path: Path) -> None:
    log = tmp_path / "logs" / "access.log"
    append(log, line(1), line(2)[:30])
    read(place, log.parent)
    append(log, line(2)[30:], line(3))
    log.rename(log.with_name("access.log.1"))
    append(log, line(4))
    counts = read(place, log.parent)
    assert (counts.files, counts.read, counts.stored) == (2, 3, 3)
    assert totals(place) == (4, 4, 0, 0)
    assert {Path(row["path"]).name: row["read"] for row in raw_logs.files_of(place)} == {
        "access.log": 1,
        "access.log.1": 3,
    }
    assert read(place, log.parent) == Counts(files_known=2)


def test_a_half_line_of_a_file_that_was_rotated_is_quarantined_under_its_new_name(
    place: Workspace, tmp_path: Path
) -> None:
    log = tmp_path / "logs" / "access.log"
    append(log, line(1), b'{"half": ')
    read(place, log.parent)
    log.rename(log.with_name("access.log.1"))
    append(log, line(2))
    counts = read(place, log.parent)
    assert (counts.read, counts.stored, counts.quarantined) == (2, 1, 1)
    assert quarantined(place) == [("access.log.1", "line 2", "the line is not JSON")]
    with state.connect(place.state) as db:
        assert len(state.still_quarantined(db)) == 1, "the new file is no better version of the old one"


@pytest.mark.parametrize("copy_name", ["access.log.1", "access-old.log"])  # after the log in order of names, and before
def test_rotation_by_copy_and_truncate_loses_nothing_and_reads_nothing_twice(
    place: Workspace, tmp_path: Path, copy_name: str
) -> None:
    log = tmp_path / "logs" / "access.log"
    append(log, line(1), line(2), line(3)[:30])
    read(place, log.parent)
    append(log, line(3)[30:], line(4))
    shutil.copy(log, log.with_name(copy_name))
    os.truncate(log, 0)
    append(log, line(5))
    counts = read(place, log.parent)
    assert (counts.files, counts.read, counts.stored) == (2, 3, 3)
    assert totals(place) == (5, 5, 0, 0)
    assert read(place, log.parent) == Counts(files_known=2)
    append(log, line(6))
    assert read(place, log.parent).stored == 1


def test_a_log_that_was_emptied_while_its_writer_went_on_begins_with_zeros(place: Workspace, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    with log.open("wb", buffering=0) as writer:  # not opened for appending: it goes on at its old place
        writer.write(line(1) + line(2))
        read(place, log)
        os.truncate(log, 0)
        writer.write(line(3))
        counts = read(place, log)
        assert (counts.read, counts.stored) == (1, 1)
        writer.write(line(4))
        assert read(place, log).stored == 1
    assert totals(place) == (4, 4, 0, 0)


def test_the_half_line_of_a_file_that_is_gone_is_counted(place: Workspace, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    append(log, line(1), b'{"half": ')
    read(place, log)
    log.unlink()
    append(log, line(2), line(3))
    counts = read(place, log)
    assert (counts.read, counts.stored, counts.quarantined, counts.reasons) == (3, 2, 1, Counter({known.GONE: 1}))
    assert totals(place) == (4, 3, 0, 1)
    assert [at for _, at, _ in quarantined(place)] == ["line 2"]
    with state.connect(place.state) as db:
        assert len(state.still_quarantined(db)) == 1
    assert read(place, log) == Counts(files_known=1)


def test_a_file_that_was_written_anew_at_its_place_is_another_one(place: Workspace, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    append(log, line(1), line(2), line(3))
    read(place, log)
    log.write_bytes(line(1) + line(9) + line(3) + line(4))
    counts = read(place, log)
    assert (counts.read, counts.stored, counts.duplicates) == (4, 2, 2)


def test_a_grown_copy_of_a_file_that_still_grows_takes_nothing_from_it(place: Workspace, tmp_path: Path) -> None:
    log, copy = tmp_path / "logs" / "access.log", tmp_path / "logs" / "backup.log"
    append(log, line(1))
    read(place, log.parent)
    append(log, line(2), line(3)[:30])
    shutil.copy(log, copy)
    append(log, line(3)[30:])
    counts = read(place, log.parent)
    assert (counts.stored, counts.duplicates, counts.quarantined) == (2, 2, 0)
    append(log, line(4))
    assert read(place, log.parent).stored == 1


def test_two_files_that_begin_with_the_same_lines_go_on_each_by_itself(place: Workspace, tmp_path: Path) -> None:
    one, two = tmp_path / "logs" / "a.log", tmp_path / "logs" / "b.log"
    for log in (one, two):
        append(log, line(1))
    assert (read(place, one.parent).files_known, totals(place)) == (1, (1, 1, 0, 0))
    append(one, line(2))
    append(two, line(3))
    counts = read(place, one.parent)
    assert (counts.stored, counts.duplicates) == (2, 1)
    assert read(place, one.parent) == Counts(files_known=2)


# one file in parts


def in_small_parts(monkeypatch: pytest.MonkeyPatch, size: int = 700) -> None:
    monkeypatch.setattr(pieces, "STRETCH", size)
    monkeypatch.setattr(pieces, "LONGEST", 4 * size)
    monkeypatch.setattr(ingest, "EVENTS_A_COMMIT", 5)


@pytest.mark.parametrize("name", ["a.log", "a.log.gz"])
def test_a_large_file_is_stored_in_many_commits_and_counted_as_one(
    place: Workspace, tmp_path: Path, monkeypatch, name: str
) -> None:
    in_small_parts(monkeypatch)
    content = b"".join([*(line(n) for n in range(20)), b"{\n", *(line(n) for n in range(20, 40))])
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    counts = read(place, path)
    assert (counts.files, counts.read, counts.stored, counts.quarantined) == (1, 41, 40, 1)
    assert lake.version(place.lake, "events") > 5
    (row,) = raw_logs.files_of(place)
    assert (row["read"], row["first"], row["last"]) == (41, moment(second=0).isoformat(), moment(second=39).isoformat())
    assert quarantined(place) == [(name, "line 21", "the line is not JSON")]
    assert read(place, path) == Counts(files_known=1)
    copy = tmp_path / f"copy-{name}"
    shutil.copy(path, copy)
    assert read(place, copy) == Counts(files_known=1)


def test_a_large_file_that_was_stored_in_part_is_read_on_from_there(
    place: Workspace, tmp_path: Path, monkeypatch
) -> None:
    in_small_parts(monkeypatch)
    store = ingest._store
    stored = []

    def killed(*given: Any) -> None:
        if len(stored) == 3:
            raise KeyboardInterrupt
        stored.append(store(*given))

    for path in (tmp_path / "a.log", tmp_path / "b.log.gz"):
        content = b"".join(line(n + (100 if path.suffix == ".gz" else 0)) for n in range(30))
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
        stored.clear()
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(ingest, "_store", killed)
            read(place, path)
        already = lake.read(place.lake, "events").num_rows
        counts = read(place, path)
        assert 0 < counts.read < 30 and counts.duplicates == 0
        assert already + counts.stored == lake.read(place.lake, "events").num_rows
        assert read(place, path) == Counts(files_known=1)
    assert totals(place) == (60, 60, 0, 0)


same_seconds = st.lists(
    st.sampled_from([*(line(n // 3, request_id=None) for n in range(9)), b"{\n", b"\n", b"not json\n"]),
    min_size=1,
    max_size=25,
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(same_seconds, st.lists(st.integers(0, 6000), max_size=4), st.sampled_from([300, 900, 1 << 20]))
def test_a_file_that_is_read_in_any_cuts_gives_what_it_gives_as_a_whole(
    texts: list[bytes], cuts: list[int], size: int
) -> None:
    content = b"".join(texts)
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name)
        found = []
        for number, ends in enumerate([[len(content)], [*sorted(min(c, len(content)) for c in cuts), len(content)]]):
            if number:
                in_small_parts(patch, size)
            place = raw_logs.workspace(folder / f"w{number}")
            place.key.write_text("0a" * 32)
            log = folder / "logs" / f"{number}.log"
            at = 0
            append(log, b"")
            for end in ends:
                append(log, content[at:end])
                at = end
                if at:
                    read(place, log)
            rows = lake.read(place.lake, "events").to_pylist()
            events = sorted((row["event_key"], row["raw_ref"].rsplit("#")[-1]) for row in rows)
            found.append((events, totals(place), [at for _, at, _ in quarantined(place)]))
            assert read(place, log).read == 0
            shutil.copy(log, folder / "logs" / "again.log")  # the same file delivered again is the same calls
            if at:
                assert read(place, folder / "logs" / "again.log").stored == 0
        assert found[0] == found[1]


def test_equal_lines_of_one_file_are_calls_whatever_part_they_are_in(place: Workspace, tmp_path: Path) -> None:
    log, whole = tmp_path / "a.log", tmp_path / "b.log.gz"
    equal = line(1, request_id=None)
    for stored in (2, 3):
        append(log, *[equal] * stored)
        counts = read(place, log)
        assert (counts.stored, counts.duplicates) == (stored, 0)
    assert counts.repeated == 3
    whole.write_bytes(gzip.compress(log.read_bytes() + equal))
    counts = read(place, whole)
    assert (counts.stored, counts.duplicates) == (1, 5)


def test_a_record_that_docker_cut_is_never_cut_by_us(place: Workspace, tmp_path: Path, monkeypatch) -> None:
    in_small_parts(monkeypatch, 500)
    log = tmp_path / "docker.log"
    texts = []
    for n in range(12):
        text = line(n).decode()
        begin, end = text[:150], text[150:]
        texts += [json.dumps({"log": part, "stream": "stdout", "time": "t"}).encode() + b"\n" for part in (begin, end)]
        texts.append(json.dumps({"log": line(100 + n).decode(), "stream": "stderr", "time": "t"}).encode() + b"\n")
    append(log, *texts[:-2])
    counts = read(place, log)
    assert (counts.stored, counts.quarantined, counts.unfinished) == (22, 0, 1)
    append(log, *texts[-2:])
    assert read(place, log).stored == 2
    assert totals(place) == (24, 24, 0, 0)


def test_records_of_a_wrong_clock_are_told_by_all_that_was_read_of_their_file(
    place: Workspace, tmp_path: Path, monkeypatch
) -> None:
    log = tmp_path / "a.log"
    append(log, *(json.dumps(nginx(f"r{n}", moment(day=n % 3, second=n))).encode() + b"\n" for n in range(60)))
    read(place, log)
    append(log, json.dumps(nginx("r99", moment(day=-3000))).encode() + b"\n")
    counts = read(place, log)
    assert (counts.read, counts.quarantined, counts.reasons) == (1, 1, Counter({clocks.PAST: 1}))


def test_a_line_that_is_too_long_is_one_piece_and_the_next_is_read(place: Workspace, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    append(log, line(1), b"x" * (files.MAX_LINE + (3 << 20)) + b'{"msec": 1}\n', line(2))
    counts = read(place, log)
    assert (counts.read, counts.stored, counts.quarantined) == (3, 2, 1)
    assert quarantined(place) == [("a.log", "line 2", files.TOO_LONG)]


def test_a_file_read_by_an_earlier_version_is_not_read_again(place: Workspace, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    append(log, line(1), line(2))
    read(place, log)
    with state.connect(place.state) as db:
        db.execute("delete from parts")
        db.execute("delete from places")
    assert read(place, log) == Counts(files_known=1)
    assert ingest.read_before(place, log, "nginx")


def test_a_wide_file_of_many_lines_keeps_its_order(place: Workspace, tmp_path: Path, monkeypatch) -> None:
    in_small_parts(monkeypatch, 2000)
    noise = random.Random(5)
    numbers = [noise.randrange(50) for _ in range(60)]
    log = tmp_path / "a.log"
    append(log, *(line(n, request_id=None) for n in numbers))
    counts = read(place, log)
    assert (counts.stored, counts.repeated) == (60, 60 - len(set(numbers)))
