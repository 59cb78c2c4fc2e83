"""Each file once, each event once, every record counted, no secret kept, whatever happens meanwhile."""

import gzip
import hashlib
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import raw_logs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw_logs import CLOUDTRAIL, cloudtrail, moment, nginx

from tokenkit import activity, config, fingerprint, identity, ingest, sources
from tokenkit.config import Workspace
from tokenkit.errors import IdentityError, InputError
from tokenkit.ingest import Counts, known
from tokenkit.ingest.pieces import Piece
from tokenkit.sources import Tally
from tokenkit.sources.inputs import Input, parse_input
from tokenkit.store import lake, state


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    return raw_logs.workspace(tmp_path / "w")


def adds_up(counts: Counts) -> bool:
    return counts.read == counts.stored + counts.duplicates + counts.quarantined + counts.ignored


def parquet_files(place: Workspace, name: str) -> list[Path]:
    return sorted((place.lake / name).rglob("*.parquet"))


def kept(place: Workspace, query: str) -> list[tuple[Any, ...]]:
    """What ``state.db`` answers."""
    with state.connect(place.state) as db:
        return [tuple(row) for row in db.execute(query)]


# the key


def test_a_new_workspace_gets_a_key_and_keeps_a_check_of_it(place: Workspace) -> None:
    with state.connect(place.state) as db:
        key = ingest.open_key(place, db)
    assert place.key.read_text() == f"{key.hex()}\n"
    assert kept(place, "select * from meta") == [("key_check", identity.key_check(key))]
    with state.connect(place.state) as db:
        assert ingest.open_key(place, db) == key


def test_a_key_that_is_there_before_the_first_log_is_used(place: Workspace) -> None:
    place.key.write_text("0a" * 32)
    with state.connect(place.state) as db:
        assert ingest.open_key(place, db) == b"\x0a" * 32


def test_another_key_is_refused_and_nothing_is_read(place: Workspace, tmp_path: Path) -> None:
    raw_logs.read(place, raw_logs.write(tmp_path / "a.log", [nginx("r1")]))
    place.key.write_text("0a" * 32)
    with pytest.raises(IdentityError) as caught:
        raw_logs.read(place, raw_logs.write(tmp_path / "b.log", [nginx("r2")]))
    assert str(caught.value) == (
        f"{place.key}: this is another key than the one {place.lake} was made with. Nothing was changed. "
        "Restore the former key, or start anew in another folder: tokenkit init DIR"
    )
    assert len(raw_logs.event_keys(place)) == len(raw_logs.files_of(place)) == 1


@pytest.mark.parametrize("left", ["the check", "the events"])
def test_a_key_that_is_gone_is_not_made_anew(place: Workspace, tmp_path: Path, left: str) -> None:
    if left == "the check":
        with state.connect(place.state) as db:
            ingest.open_key(place, db)
    else:
        raw_logs.read(place, raw_logs.write(tmp_path / "a.log", [nginx("r1")]))
        set_state(place, "delete from meta")
    place.key.unlink()
    with state.connect(place.state) as db, pytest.raises(IdentityError, match="the workspace key is missing"):
        ingest.open_key(place, db)
    assert not place.key.exists()


# an event is stored once


def test_the_same_file_twice_is_read_once(place: Workspace, tmp_path: Path) -> None:
    path = raw_logs.write(tmp_path / "a.log", [nginx("r1"), nginx("r2")])
    assert raw_logs.read(place, path).stored == 2
    copy = tmp_path / "copy.log"
    copy.write_bytes(path.read_bytes())
    again = raw_logs.read(place, path, copy)
    assert (again.files, again.files_known, again.read) == (0, 2, 0)
    assert len(raw_logs.event_keys(place)) == 2


def test_the_same_content_twice_in_one_call_is_read_once(place: Workspace, tmp_path: Path) -> None:
    paths = [raw_logs.write(tmp_path / name, [nginx("r1")]) for name in ("a.log", "b.log")]
    counts = raw_logs.read(place, *paths)
    assert (counts.files, counts.files_known, counts.stored) == (1, 1, 1)


@pytest.mark.parametrize("together", [True, False])
def test_the_same_event_in_two_files_is_stored_once(place: Workspace, tmp_path: Path, together: bool) -> None:
    one = raw_logs.write(tmp_path / "a.log", [nginx("r1"), nginx("r2")])
    two = raw_logs.write(tmp_path / "b.log", [nginx("r2"), nginx("r3")])
    calls = [raw_logs.read(place, one, two)] if together else [raw_logs.read(place, p) for p in (one, two)]
    assert all(map(adds_up, calls))
    assert sum(c.stored for c in calls) == 3 and sum(c.duplicates for c in calls) == 1
    keys = raw_logs.event_keys(place)
    assert len(keys) == len(set(keys)) == 3


def test_the_same_event_in_two_batches_of_one_file_is_stored_once(
    place: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tokenkit.sources.cloudtrail.BATCH", 10)
    records = [cloudtrail(f"e{n}") for n in range(25)]
    counts = raw_logs.read(place, raw_logs.write(tmp_path / "a.json", [*records, *records[:12]]))
    assert (counts.read, counts.stored, counts.duplicates) == (37, 25, 12)
    keys = raw_logs.event_keys(place)
    assert len(keys) == len(set(keys)) == 25


def test_one_id_at_two_sources_is_two_events(place: Workspace, tmp_path: Path) -> None:
    raw_logs.read(
        place,
        raw_logs.write(tmp_path / "a.log", [nginx("same")]),
        raw_logs.write(tmp_path / "b.json", [cloudtrail("same")]),
    )
    assert len(raw_logs.event_keys(place)) == 2


def test_a_re_delivered_cloudtrail_record_is_stored_once(place: Workspace, tmp_path: Path) -> None:
    one = raw_logs.write(tmp_path / "a.json", [cloudtrail("e1"), cloudtrail("e2")])
    two = raw_logs.write(tmp_path / "b.json.gz", [cloudtrail("e2"), cloudtrail("e3")])
    counts = raw_logs.read(place, one, two)
    assert (counts.stored, counts.duplicates) == (3, 1)


def test_an_event_of_the_first_and_of_the_last_day_of_a_file_is_found_in_the_lake(
    place: Workspace, tmp_path: Path
) -> None:
    ends = [nginx("r1", moment(day=1)), nginx("r3", moment(day=3, hour=23))]
    raw_logs.read(place, raw_logs.write(tmp_path / "a.log", ends))
    counts = raw_logs.read(place, raw_logs.write(tmp_path / "b.log", [*ends, nginx("r2", moment(day=2))]))
    assert (counts.stored, counts.duplicates) == (1, 2)


def test_only_the_days_of_the_new_events_are_looked_up_in_the_lake(place: Workspace, tmp_path: Path) -> None:
    around = [nginx("r1", moment(day=1)), nginx("r3", moment(day=3))]
    raw_logs.read(place, raw_logs.write(tmp_path / "a.log", around))
    for path in parquet_files(place, "events"):
        path.write_bytes(b"no longer a table")
    assert raw_logs.read(place, raw_logs.write(tmp_path / "b.log", [nginx("r2", moment(day=2))])).stored == 1


def test_a_last_file_that_brings_nothing_new_counts_as_duplicates(place: Workspace, tmp_path: Path) -> None:
    one = raw_logs.write(tmp_path / "a.log", [nginx("r1"), nginx("r2")])
    two = raw_logs.write(tmp_path / "b.log", [nginx("r2"), nginx("r1")])
    raw_logs.read(place, one, two)
    assert [(f["read"], f["stored"], f["duplicates"]) for f in raw_logs.files_of(place)] == [(2, 2, 0), (2, 0, 2)]


def test_what_is_known_is_passed_over_and_the_next_file_is_read(place: Workspace, tmp_path: Path) -> None:
    paths = [raw_logs.write(tmp_path / f"{n}.log", [nginx(f"r{n}")]) for n in range(3)]
    raw_logs.read(place, *paths[:2])
    counts = raw_logs.read(place, *paths)
    assert counts == Counts(files=1, files_known=2, read=1, stored=1)
    assert len(raw_logs.event_keys(place)) == 3


def test_the_same_content_under_the_name_of_another_source_is_read(place: Workspace, tmp_path: Path) -> None:
    path = raw_logs.write(tmp_path / "a.log", [b"{"])
    both = [Input(path, "nginx"), Input(path, "haproxy")]
    assert ingest.ingest(place, both) == Counts(
        files=2, read=2, quarantined=2, reasons=Counter({"the line is not JSON": 2})
    )
    assert ingest.ingest(place, both) == Counts(files_known=2)
    assert [f["source"] for f in raw_logs.files_of(place)] == ["nginx", "haproxy"]


def test_what_was_read_before_is_told_by_content_and_source(place: Workspace, tmp_path: Path) -> None:
    path = raw_logs.write(tmp_path / "a.log", [nginx("r1")])
    assert not ingest.read_before(place, path, "nginx") and not place.state.exists()
    raw_logs.read(place, path)
    copy = tmp_path / "copy.log"
    copy.write_bytes(path.read_bytes())
    assert ingest.read_before(place, path, "nginx") and ingest.read_before(place, copy, "nginx")
    assert not ingest.read_before(place, path, "haproxy")
    assert not ingest.read_before(place, raw_logs.write(path, [nginx("r2")]), "nginx")


def test_a_file_that_cannot_be_read_is_named(place: Workspace, tmp_path: Path) -> None:
    with state.connect(place.state), pytest.raises(ingest.InputError) as caught:
        ingest.read_before(place, tmp_path, "nginx")
    assert str(caught.value) == f"{tmp_path} cannot be read: Is a directory. Check its permissions."


# every record is counted


def broken_records(number: int) -> list[dict[str, Any]]:
    return [cloudtrail(f"broken{n}", eventTime="yesterday") for n in range(number)]


def insights(number: int) -> list[dict[str, Any]]:
    return [cloudtrail(f"insight{n}", eventCategory="Insight") for n in range(number)]


def test_every_count_is_a_sum_over_the_files_and_each_file_keeps_its_own(place: Workspace, tmp_path: Path) -> None:
    service = {"type": "AWSService", "invokedBy": CLOUDTRAIL}
    events = [cloudtrail(f"e{n}", moment(minute=9 - n), caller=service if n < 2 else None) for n in range(4)]
    one = raw_logs.write(tmp_path / "a.json", [*events, *events[:3], *broken_records(2), *insights(1)])
    two = raw_logs.write(tmp_path / "b.json", [cloudtrail("e9"), events[3], *broken_records(1), *insights(5)])
    counts = raw_logs.read(place, one, two)
    why = Counter({"eventTime is not a time": 3})
    assert counts == Counts(files=2, read=18, stored=5, duplicates=4, quarantined=3, ignored=6, reasons=why)
    assert counts.line() == "18 records read = 5 stored + 4 duplicates + 3 quarantined + 6 ignored"
    digests = [hashlib.sha256(path.read_bytes()).hexdigest()[:32] for path in (one, two)]
    assert [tuple(f.values()) for f in raw_logs.files_of(place)] == [
        (digests[0], "cloudtrail", str(one), "stored", 10, 4, 3, 2, 1, '{"cloudtrail insight event": 1}', 4,
         "2026-03-02T00:06:00+00:00", "2026-03-02T00:09:00+00:00", 0, 0),
        (digests[1], "cloudtrail", str(two), "stored", 8, 1, 1, 1, 5, '{"cloudtrail insight event": 5}', 0,
         "2026-03-02T00:00:00+00:00", "2026-03-02T00:06:00+00:00", 0, 0),
    ]  # fmt: skip


def test_large_counts_are_written_with_commas() -> None:
    line = Counts(read=10_000, stored=4_000, duplicates=3_000, quarantined=2_000, ignored=1_000).line()
    assert line == "10,000 records read = 4,000 stored + 3,000 duplicates + 2,000 quarantined + 1,000 ignored"


def test_the_span_of_a_file_is_that_of_all_its_batches(
    place: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tokenkit.sources.gateways.reader.BATCH", 2)
    lines = [nginx(f"r{n}", moment(minute=n)) for n in (5, 3, 9, 1, 4)]
    raw_logs.read(place, raw_logs.write(tmp_path / "a.log", lines))
    (file,) = raw_logs.files_of(place)
    assert (file["first"], file["last"]) == ("2026-03-02T00:01:00+00:00", "2026-03-02T00:09:00+00:00")


def test_what_is_kept_of_a_broken_piece_is_its_place_its_digest_and_why(place: Workspace, tmp_path: Path) -> None:
    piece = b'{"half": '
    path = raw_logs.write(tmp_path / "a.log", [nginx("r1"), piece, b"[]"])
    raw_logs.read(place, path)
    (file,) = raw_logs.files_of(place)
    rows = kept(place, "select * from quarantine order by place")
    digest = hashlib.sha256(piece).hexdigest()[:16]
    assert rows[0] == (file["digest"], "nginx", str(path), "line 2", digest, "the line is not JSON")
    assert [row[3] for row in rows] == ["line 2", "line 3"]


def test_files_that_are_not_read_are_counted_by_rule_and_kept_by_path(place: Workspace, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        raw_logs.write(folder / "a.json", [cloudtrail(folder.name)])
        (folder / "empty.json").touch()
    (one / ".hidden.json").touch()
    counts = raw_logs.read(place, one, two)
    assert counts.stored == 2 and counts.ignored_files == {"empty file": 2, "hidden file": 1}
    assert kept(place, "select * from ignored_files order by path") == [
        (str(one / ".hidden.json"), "hidden file"),
        (str(one / "empty.json"), "empty file"),
        (str(two / "empty.json"), "empty file"),
    ]


def test_what_was_set_aside_is_said_with_its_reason_the_most_frequent_first() -> None:
    reasons = Counter({"no JSON": 2, **{f"reason {n}": 1 for n in range(6)}})
    lines = Counts(reasons=reasons).remarks()
    assert lines[:2] == ["2 set aside: no JSON", "1 set aside: reason 0"] and len(lines) == 6
    assert lines[-1] == "2 set aside for other reasons (see the page)"


def test_a_file_whose_counts_do_not_add_up_is_not_stored(place: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    file = Piece(path, "nginx", "d1", 0, Tally(read=3, ignored=Counter({"b": 1})), [])
    with pytest.raises(AssertionError) as caught, state.connect(place.state) as db:
        ingest._store(place, db, [file], Counts())
    assert str(caught.value) == f"{path}: 3 records read, but [0, 0, 0, 1] accounted for. Report this."
    assert raw_logs.files_of(place) == []


def test_the_rules_that_left_records_out_are_kept_by_name(place: Workspace, tmp_path: Path) -> None:
    file = Piece(tmp_path / "a.log", "nginx", "d1", 0, Tally(read=3, ignored=Counter({"b": 1, "a": 2})), [])
    with state.connect(place.state) as db:
        known.add_whole(db, "d1", "nginx")
        ingest._store(place, db, [file], Counts())
    assert [f["ignored_rules"] for f in raw_logs.files_of(place)] == ['{"a": 2, "b": 1}']


good = st.integers(0, 9).map(lambda n: json.dumps(nginx(f"r{n}", moment(day=n % 3, minute=n))).encode())
broken = st.sampled_from(
    [b"{", b"[]", b"7", b"not json", json.dumps(nginx("r1", msec="yesterday")).encode(), b"\xff\xfe"]
)
blank = st.sampled_from([b"", b"  "])


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(st.lists(st.one_of(good, good, broken, blank), min_size=1, max_size=12), min_size=1, max_size=3))
def test_read_is_stored_and_duplicates_and_quarantined_and_ignored(files: list[list[bytes]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        place = raw_logs.workspace(folder / "w")
        calls = []
        for number, lines in enumerate(files):
            path = raw_logs.write(folder / f"{number}.log", lines)
            calls.append(ingest.ingest(place, [Input(path, "nginx")]))
        lines = [line for file in {tuple(f) for f in files} for line in file if line.strip()]
        uses = [Counter(line for line in file if line.startswith(b'{"') and b"yesterday" not in line) for file in files]
        events = sum(max(use[line] for use in uses) for line in set().union(*uses))  # equal lines of a file are calls
        assert all(map(adds_up, calls))
        assert sum(c.read for c in calls) == len(lines)
        assert sum(c.stored for c in calls) == events == len(raw_logs.event_keys(place))
        bad = sum(not line.startswith(b'{"') or b"yesterday" in line for line in lines)
        assert sum(c.quarantined for c in calls) == bad
        kept = raw_logs.files_of(place)
        assert all(f["read"] == f["stored"] + f["duplicates"] + f["quarantined"] + f["ignored"] for f in kept)
        assert {f["status"] for f in kept} == {"stored"}


def test_a_broken_record_stops_nothing_and_is_kept_with_its_place(place: Workspace, tmp_path: Path) -> None:
    records = [cloudtrail("e1"), cloudtrail("e2", eventTime="yesterday"), cloudtrail("e3")]
    lines = [nginx("r1"), b'{"half": ', nginx("r2")]
    counts = raw_logs.read(
        place, raw_logs.write(tmp_path / "a.json", records), raw_logs.write(tmp_path / "b.log", lines)
    )
    assert (counts.read, counts.stored, counts.quarantined) == (6, 4, 2) and adds_up(counts)
    with state.connect(place.state) as db:
        rows = [tuple(r) for r in db.execute("select place, reason from quarantine order by path")]
    assert rows == [("record 2", "eventTime is not a time"), ("line 2", "the line is not JSON")]


def test_a_file_of_broken_lines_only_is_counted_and_not_read_again(place: Workspace, tmp_path: Path) -> None:
    path = raw_logs.write(tmp_path / "a.log", [b"{", b"["])
    logs = [Input(path, "nginx")]
    counts = ingest.ingest(place, logs)
    assert counts == Counts(files=1, read=2, quarantined=2, reasons=Counter({"the line is not JSON": 2}))
    assert ingest.ingest(place, logs) == Counts(files_known=1)
    (file,) = raw_logs.files_of(place)
    assert (file["status"], file["stored"], file["unattributed"], file["first"]) == ("stored", 0, 0, None)
    assert lake.version(place.lake, "events") is None


def test_what_a_rule_ignores_is_counted(place: Workspace, tmp_path: Path) -> None:
    path = raw_logs.write(tmp_path / "a.json", [cloudtrail("e1"), cloudtrail("e2", eventCategory="Insight")])
    counts = raw_logs.read(place, path)
    assert (counts.read, counts.stored, counts.ignored) == (2, 1, 1)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "empty.json").touch()
    raw_logs.write(tmp_path / "logs" / "b.json", [cloudtrail("e9")])
    assert raw_logs.read(place, tmp_path / "logs").ignored_files == {"empty file": 1}


def test_a_file_that_was_empty_and_is_filled_later_is_no_longer_left_out(place: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "logs" / "empty.json"
    path.parent.mkdir()
    raw_logs.write(path.parent / "b.json", [cloudtrail("e9")])
    path.touch()
    raw_logs.read(place, path.parent)
    raw_logs.write(path, [cloudtrail("e1")])
    raw_logs.read(place, path.parent)
    with state.connect(place.state) as db:
        assert db.execute("select * from ignored_files").fetchall() == []


# half-written files


@pytest.mark.parametrize("source", ["gateway", "cloudtrail"])
def test_a_half_written_gzip_keeps_its_whole_records_and_its_completion_adds_only_the_rest(
    place: Workspace, tmp_path: Path, source: str
) -> None:
    # names that do not compress, so that half of the bytes hold about half of the records
    noise = random.Random(0)
    make: Any = nginx if source == "gateway" else cloudtrail
    records = [make(f"{noise.getrandbits(128):032x}", moment(minute=n)) for n in range(400)]
    path = tmp_path / ("a.log.gz" if source == "gateway" else "a.json.gz")
    whole = raw_logs.write(path, records).read_bytes()
    raw_logs.write(path, records, cut=len(whole) // 2)
    first = raw_logs.read(place, path)
    assert 50 < first.stored < 350 and first.quarantined == 1 and adds_up(first)
    path.write_bytes(whole)
    rest = raw_logs.read(place, path)
    assert (rest.read, rest.stored, rest.duplicates, rest.quarantined) == (400, 400 - first.stored, first.stored, 0)
    keys = raw_logs.event_keys(place)
    assert len(keys) == len(set(keys)) == 400


def test_a_log_that_grows_adds_only_its_new_lines(place: Workspace, tmp_path: Path) -> None:
    lines = [nginx(f"r{n}") for n in range(6)]
    raw_logs.read(place, raw_logs.write(tmp_path / "a.log", lines[:3]))
    counts = raw_logs.read(place, raw_logs.write(tmp_path / "a.log", lines))
    assert (counts.read, counts.stored, counts.duplicates) == (3, 3, 0)


# killed in the middle


def set_state(place: Workspace, statement: str, *values: object) -> None:
    with state.connect(place.state) as db:
        db.execute(statement, values)


def test_a_pending_file_whose_transaction_is_in_the_lake_is_taken_as_stored(
    place: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = raw_logs.write(tmp_path / "a.log", [nginx("r1"), b"{"])
    with monkeypatch.context() as killed:  # between the commit and what is noted after it
        killed.setattr(known, "store_part", lambda *_: None)
        raw_logs.read(place, path)
    assert raw_logs.files_of(place) == []
    counts = raw_logs.read(place, path)
    assert (counts.files, counts.files_known) == (0, 1)
    (file,) = raw_logs.files_of(place)
    assert (file["read"], file["stored"], file["quarantined"], file["status"]) == (2, 1, 1, "stored")
    assert len(raw_logs.event_keys(place)) == 1


def test_a_pending_file_of_an_earlier_version_without_its_transaction_is_read_again(
    place: Workspace, tmp_path: Path
) -> None:
    other = raw_logs.write(tmp_path / "a.log", [nginx("r1")])
    raw_logs.read(place, other)
    path = raw_logs.write(tmp_path / "b.log", [nginx("r2"), b"{", nginx("r1")])
    digest = known.whole_digest(path)
    row = [digest, "nginx", str(path), "pending", 3, 2, 0, 1, 0, "{}", 0, None, None, 0, 0]
    set_state(place, f"insert into files values ({', '.join('?' * 15)})", *row)
    set_state(place, "insert into quarantine values (?, 'nginx', ?, 'line 2', 'x', 'y')", digest, str(path))
    counts = raw_logs.read(place, path)
    assert (counts.read, counts.stored, counts.duplicates, counts.quarantined) == (3, 1, 1, 1)
    assert [f["status"] for f in raw_logs.files_of(place)] == ["stored", "stored"]
    with state.connect(place.state) as db:
        assert db.execute("select count(*) from quarantine").fetchone()[0] == 1, (
            "what the killed run noted is noted once"
        )


def test_a_pending_file_of_duplicates_only_made_no_commit_and_is_read_again(place: Workspace, tmp_path: Path) -> None:
    raw_logs.read(place, raw_logs.write(tmp_path / "a.log", [nginx("r1"), nginx("r2")]))
    path = raw_logs.write(tmp_path / "b.log", [nginx("r2"), nginx("r1")])
    raw_logs.read(place, path)
    (file,) = [row for row in raw_logs.files_of(place) if row["path"] == str(path)]
    set_state(place, "update parts set status = 'pending' where digest = ?", file["digest"])
    set_state(place, "delete from files where digest = ?", file["digest"])
    counts = raw_logs.read(place, path)
    assert (counts.files, counts.stored, counts.duplicates) == (1, 0, 2)


def test_a_file_whose_commit_fails_is_pending_and_read_again_as_a_whole(
    place: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = lake.write_deltalake

    def full(path: str, *arguments: Any, **more: Any) -> None:
        if path.endswith("events"):
            raise OSError("the disk is full")
        write(path, *arguments, **more)

    path = raw_logs.write(tmp_path / "a.log", [nginx("r1"), nginx("r2"), b"{"])
    with monkeypatch.context() as patch, pytest.raises(InputError, match="the disk is full"):
        patch.setattr(lake, "write_deltalake", full)
        raw_logs.read(place, path)
    assert kept(place, "select status from parts") == [("pending",)] and not raw_logs.files_of(place)
    why = Counter({"the line is not JSON": 1})
    assert raw_logs.read(place, path) == Counts(files=1, read=3, stored=2, quarantined=1, reasons=why)
    assert [f["status"] for f in raw_logs.files_of(place)] == ["stored"]
    assert len(raw_logs.event_keys(place)) == 2 and len(kept(place, "select * from quarantine")) == 1


KILLED = """
import sys
from pathlib import Path
from tokenkit import config, ingest
from tokenkit.sources.inputs import Input
ingest.EVENTS_A_COMMIT = 100  # many commits, so that a kill finds one
ingest.ingest(config.init(Path(sys.argv[1])), [Input(Path(sys.argv[2]))])
"""


def test_five_kills_at_random_moments_and_one_more_run_leave_the_same_events(tmp_path: Path) -> None:
    noise = random.Random(3)
    logs = tmp_path / "logs"
    for file in range(16):
        numbers = [noise.randrange(2500) for _ in range(200)]
        lines = [nginx(f"r{n}", moment(day=n % 4, second=n)) for n in numbers]
        raw_logs.write(logs / f"{file:02}.log", [*lines, b"{"])
    calm = raw_logs.workspace(tmp_path / "calm")
    key = tmp_path / "killed" / ".tokenkit" / "key"
    expected = raw_logs.read(calm, logs)
    assert adds_up(expected) and expected.duplicates > 100
    key.parent.mkdir(parents=True)
    key.write_text(calm.key.read_text())
    command = [sys.executable, "-c", KILLED, str(tmp_path / "killed"), str(logs)]
    killed = 0
    for _ in range(5):
        process = subprocess.Popen(command)
        time.sleep(noise.uniform(0.5, 1.4))
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
    assert killed >= 2, "most runs must die before they end, or nothing is shown"
    subprocess.run(command, check=True)
    place = raw_logs.workspace(tmp_path / "killed")
    assert raw_logs.event_keys(place) == raw_logs.event_keys(calm)
    rows = raw_logs.files_of(place)
    assert {f["status"] for f in rows} == {"stored"} and len(rows) == 16
    totals = {name: sum(f[name] for f in rows) for name in ("read", "stored", "duplicates", "quarantined", "ignored")}
    assert totals == {name: getattr(expected, name) for name in totals}


# how it is stored


def test_the_files_of_a_day_are_sorted_by_token_and_time(place: Workspace, tmp_path: Path) -> None:
    noise = random.Random(1)
    lines = [
        nginx(
            f"r{n}", moment(day=n % 3, second=noise.randrange(80_000)), api_key_id=f"key_{noise.randrange(5)}_0123456"
        )
        for n in range(300)
    ]
    raw_logs.read(place, raw_logs.write(tmp_path / "a.log", lines))
    files = parquet_files(place, "events")
    assert len(files) == 3, "one file a day"
    for path in files:
        table = pq.ParquetFile(path).read(columns=["token_key", "time", "event_key"])
        rows = list(zip(*(table[c].to_pylist() for c in table.column_names), strict=True))
        assert rows == sorted(rows)


def test_every_dimension_grows_with_its_events(place: Workspace, tmp_path: Path) -> None:
    lines = [nginx("r1"), nginx("r2", api_key_id="key_another_01"), nginx("r3", api_key_id="key_another_01")]
    raw_logs.read(place, raw_logs.write(tmp_path / "a.log", lines), raw_logs.write(tmp_path / "b.log", [nginx("r4")]))
    names = ("dim_token", "dim_network", "dim_client", "dim_operation")
    assert {name: lake.read(place.lake, name).num_rows for name in names} == dict.fromkeys(names, 1) | {"dim_token": 2}
    assert "_file" not in lake.read(place.lake, "events").column_names


def test_a_gateways_keys_are_those_of_the_fields_in_the_settings(place: Workspace, tmp_path: Path) -> None:
    settings_file = place.root / config.FILE_NAME
    settings_file.write_text('[gateway]\nkey_fields = ["my_key"]\nrealm = "shop"\n')
    line = nginx("r1", my_key="mine_0123456789")
    raw_logs.read(config.init(place.root), raw_logs.write(tmp_path / "a.log", [line]))
    (token,) = lake.read(place.lake, "dim_token").to_pylist()
    assert (token["issuer"], token["mask"]) == ("gateway:shop", "mine...6789")


# nothing secret is kept

GITHUB, STRIPE, SLACK = "ghp_" + "a1B2" * 9, "sk_live_" + "9z8Y" * 6, "xoxb-" + "123456789012-" + "abcdefABCDEF"
KEY, QUERY, ACCESS = "key_5f2c9e7711aa0b3d", "plainsecret0123456789", "AKIAZZZZZZZZPLANTED1"
PLANTED = [GITHUB, STRIPE, SLACK, KEY, QUERY, ACCESS]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("planted")
    place = raw_logs.workspace(folder / "w")
    lines: list[dict[str, Any] | bytes] = [
        nginx("r1", api_key_id=KEY, uri=f"/v1/orders/17?api_key={QUERY}", http_authorization=f"Bearer {GITHUB}"),
        nginx("r2", api_key_id=KEY, uri=f"/v1/keys/{GITHUB}/use", headers={"x-token": STRIPE}),
        nginx("r3", api_key_id=KEY, uri=f"/v1/hooks%3Ftoken={QUERY}", http_user_agent=f"deploy/1 (token={STRIPE})"),
        nginx(f"{SLACK}", api_key_id=KEY, uri="/v1/orders", http_referer=f"https://a.example/?k={QUERY}"),
        nginx("r5", api_key_id=STRIPE, uri=f"/v1/{SLACK}"),
        nginx("r6", api_key_id=KEY, uri=f"/v1/keys/{KEY}/use"),
        json.dumps(nginx("r7", api_key_id=KEY, uri=f"/{GITHUB}")).encode()[:-9],
    ]
    ana = raw_logs.user("ana", ACCESS)
    records = [
        cloudtrail("e1", caller=ana, requestParameters={"secret": GITHUB, "deep": [{"x": STRIPE}]}),
        cloudtrail("e2", caller=ana, responseElements={"credentials": {"sessionToken": SLACK}}),
        cloudtrail("e3", caller=ana, userAgent=f"aws-cli/2 {GITHUB}", errorMessage=f"bad {QUERY}"),
        cloudtrail(
            "e4", caller=raw_logs.user("ana", ACCESS), eventSource="s3.amazonaws.com",
            requestParameters={"bucketName": "b", "key": f"dump/{GITHUB}/x?{QUERY}"},
        ),
        cloudtrail("e5", caller=raw_logs.user("ana", ACCESS), requestParameters={"bucketName": "b", "key": QUERY}),
    ]  # fmt: skip
    raw_logs.form(place, raw_logs.write(folder / "a.log", lines), raw_logs.write(folder / "b.json", records))
    raw_logs.own(place, folder, f"native_id,source,token_name\n{KEY},gateway,deploy {KEY}\n{ACCESS},aws,ana\n")
    activity.build(place)
    fingerprint.build(place)
    return place


def texts_of(table: pa.Table) -> str:
    columns = [c for c in table.columns if pa.types.is_string(c.type) or pa.types.is_large_string(c.type)]
    return "\n".join(str(v) for c in columns for v in c.to_pylist())


@pytest.mark.parametrize("secret", PLANTED)
def test_a_planted_secret_is_in_no_file_of_the_workspace(planted: Workspace, secret: str) -> None:
    files = [p for p in planted.root.rglob("*") if p.is_file()]
    assert any(p.name.startswith("state.db") for p in files) and any(p.suffix == ".parquet" for p in files)
    holding = [p for p in files if secret.encode() in p.read_bytes()]
    holding += [p for p in files if p.suffix == ".gz" and secret.encode() in gzip.decompress(p.read_bytes())]
    for path in (p for p in files if p.suffix == ".parquet"):
        if secret in texts_of(pq.ParquetFile(path).read()):
            holding.append(path)
    assert holding == []


def test_no_query_string_is_stored_and_the_events_are(planted: Workspace) -> None:
    table = lake.read(planted.lake, "events")
    assert table.num_rows == 6 + 5
    paths = [p for p in table["url_path"].to_pylist() if p]
    assert paths and not [p for p in paths if "?" in p or "%3F" in p]
    assert "/v1/orders/17" in paths and "/v1/keys/[masked]/use" in paths
    assert not [o for o in table["resource_uid"].to_pylist() if o and "?" in o]


# what is asked for


def test_a_source_before_the_path_is_taken_and_a_wrong_one_named(place: Workspace, tmp_path: Path) -> None:
    path = raw_logs.write(tmp_path / "day=1" / "a.log", [nginx("r1")])
    assert ingest.ingest(place, [parse_input(f"nginx={path}")]).stored == 1
    assert parse_input(str(path)) == Input(path)
    with pytest.raises(ingest.sources.SourceError, match=r"did you mean nginx\?"):
        parse_input(f"ngnix={path}")


def test_nothing_is_read_where_one_of_the_paths_is_wrong(place: Workspace, tmp_path: Path) -> None:
    path = raw_logs.write(tmp_path / "a.log", [nginx("r1")])
    with pytest.raises(ingest.InputError, match="no such file or folder"):
        raw_logs.read(place, path, tmp_path / "missing")
    assert raw_logs.event_keys(place) == []


def test_commits_hold_many_small_files(place: Workspace, tmp_path: Path) -> None:
    for n in range(12):
        raw_logs.write(tmp_path / "logs" / f"{n}.log", [nginx(f"r{n}")])
    assert raw_logs.read(place, tmp_path / "logs").stored == 12
    assert lake.version(place.lake, "events") == 0


def test_a_commit_is_made_as_soon_as_its_events_are_many_enough_and_progress_is_told_for_each_file(
    place: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "EVENTS_A_COMMIT", 4)
    for name, events in zip("abcdef", (2, 1, 1, 3, 1, 1), strict=True):
        raw_logs.write(tmp_path / "logs" / f"{name}.log", [nginx(f"{name}{n}") for n in range(events)])
    told: list[tuple[str, int, int, int | None]] = []

    def progress(stage: str, done: int, total: int) -> None:
        told.append((stage, done, total, lake.version(place.lake, "events")))

    assert ingest.ingest(place, [Input(tmp_path / "logs")], progress) == Counts(files=6, read=9, stored=9)
    commits = [None, None, None, 0, 0, 1, 2]
    assert told == [("reading logs", n, 6, commits[n]) for n in range(7)]


def test_a_name_that_is_not_utf8_is_read_and_shown_in_text(tmp_path: Path) -> None:
    place = raw_logs.workspace(tmp_path / "ws")
    logs = tmp_path / "logs"
    raw_logs.write(logs / "caf\udce9.log", [raw_logs.nginx("a")])
    raw_logs.write(logs / "good\n.log", [raw_logs.nginx("b"), b"no JSON"])
    raw_logs.write(logs / "notes\udcff.txt", [b"no log"])
    counts = raw_logs.read(place, logs)
    assert (counts.files, counts.stored, counts.quarantined) == (2, 2, 1)
    with state.connect(place.state) as db:
        paths = {row["path"] for row in db.execute("select path from files union select path from ignored_files")}
    assert {Path(path).name for path in paths} == {"caf\\xe9.log", "good�.log~95c9be6c", "notes\\xff.txt"}


def test_a_file_that_goes_while_others_are_read_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = raw_logs.workspace(tmp_path / "ws")
    for name in ("a.log", "b.log"):
        raw_logs.write(tmp_path / "logs" / name, [raw_logs.nginx(name)])
    find_files = sources.find_files

    def found_and_gone(*given):
        found = find_files(*given)
        (tmp_path / "logs" / "a.log").unlink(missing_ok=True)
        return found

    monkeypatch.setattr(sources, "find_files", found_and_gone)
    counts = raw_logs.read(place, tmp_path / "logs")
    assert (counts.stored, counts.ignored_files) == (1, {"cannot be read": 1})
