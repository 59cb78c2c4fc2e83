"""Two calls are never one event, whatever a client sends; one call is never two, however often its log is delivered."""

import gzip
import json
import sqlite3
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import raw_logs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tokenkit import config, ingest, sources
from tokenkit.config import Workspace
from tokenkit.sources.check import check
from tokenkit.sources.fields.sameness import event_ids, number_equal
from tokenkit.sources.inputs import Input
from tokenkit.store import lake, state

FEW = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
SECOND = "2026-03-02T10:00:00+00:00"
MAPPING = """
name = "orders"
issuer = "orders-api"
[columns]
time = "at"
native_id = "key"
path = "url"
method = "verb"
src_ip = "ip"
user_agent = "agent"
status = "code"
response_bytes = "bytes"
event_uid = "id"
"""


def nginx_line(**fields: Any) -> dict[str, Any]:
    line = raw_logs.nginx("", time_iso8601=SECOND, api_key_id="key_of_the_caller_01") | fields
    del line["msec"]
    return line


def haproxy_line(**fields: Any) -> dict[str, Any]:
    return {"ts_ms": 1772445600000, "src_ip": "203.0.113.7", "method": "GET", "path": "/v1/orders/17", "status": 200,
            "bytes_in": 100, "bytes_out": 900, "latency_ms": 4, "ua": "curl/8.5.0", "key_hmac": "ab" * 32,
            "unique_id": ""} | fields  # fmt: skip


def mapped_line(**fields: Any) -> dict[str, Any]:
    return {"at": SECOND, "key": "key_of_the_caller_01", "url": "/v1/orders/17", "verb": "GET", "ip": "203.0.113.7",
            "agent": "curl/8.5.0", "code": 200, "bytes": 900, "id": ""} | fields  # fmt: skip


# of each source: a line, and where it has request id, path, program and credential
LINES: dict[str, tuple[Any, tuple[str, str, str, str]]] = {
    "nginx": (nginx_line, ("request_id", "uri", "http_user_agent", "api_key_id")),
    "haproxy": (haproxy_line, ("unique_id", "path", "ua", "key_hmac")),
    "orders": (mapped_line, ("id", "url", "agent", "key")),
}


def place_in(folder: Path, unique: bool = False) -> Workspace:
    """A workspace, and the mapping beside it; made again, it is the same one with these settings."""
    config.init(folder)
    text = f"[gateway]\nunique_ids = {str(unique).lower()}\n"
    (folder / config.FILE_NAME).write_text(text)
    (folder / "orders.toml").write_text(f"unique_ids = {str(unique).lower()}" + MAPPING)
    return config.find(folder)


def put(path: Path, lines: list[Any]) -> Path:
    return raw_logs.write(path, [json.dumps(line).encode() for line in lines])


def read(place: Workspace, source: str, *paths: Path) -> ingest.Counts:
    name = str(place.root / "orders.toml") if source == "orders" else source
    counts = ingest.ingest(place, [Input(path, name) for path in paths])
    assert counts.read == counts.stored + counts.duplicates + counts.quarantined + counts.ignored
    return counts


@pytest.fixture(params=list(LINES))
def source(request: pytest.FixtureRequest) -> str:
    return request.param


# ---- what a client chooses hides no call ----
def test_one_request_id_on_many_calls_is_many_calls(tmp_path: Path, source: str) -> None:
    line, (request_id, path, *_) = LINES[source]
    calls = [line(**{request_id: "the-thief's", path: f"/v1/exports/{n}"}) for n in range(200)]
    place = place_in(tmp_path / "w")
    assert read(place, source, put(tmp_path / "a.log", calls)).stored == 200
    assert len(set(raw_logs.event_keys(place))) == 200
    assert set(lake.read(place.lake, "events")["event_uid"].to_pylist()) == {"the-thief's"}


@pytest.mark.parametrize("request_id", ["", "the-thief's"])
def test_equal_lines_of_one_second_are_calls_of_their_own(tmp_path: Path, source: str, request_id: str) -> None:
    line, (name, *_) = LINES[source]
    place = place_in(tmp_path / "w")
    counts = read(place, source, put(tmp_path / "a.log", [line(**{name: request_id})] * 150))
    assert (counts.stored, counts.duplicates, counts.repeated) == (150, 0, 149)
    assert len(set(raw_logs.event_keys(place))) == 150


def test_a_request_id_of_another_token_hides_neither_call(tmp_path: Path, source: str) -> None:
    line, (request_id, _, _, key) = LINES[source]
    calls = [line(**{request_id: "r1", key: key_id * 32}) for key_id in ("ab", "cd")]
    place = place_in(tmp_path / "w")
    for n, call in enumerate(calls):
        assert read(place, source, put(tmp_path / f"{n}.log", [call])).stored == 1
    assert len(set(lake.read(place.lake, "events")["token_key"].to_pylist())) == 2


chosen = st.text(st.characters(codec="utf-8"), max_size=12)


@FEW
@given(st.sampled_from(list(LINES)), st.booleans(),
       st.lists(st.tuples(chosen, chosen, chosen, chosen), min_size=1, max_size=6))  # fmt: skip
def test_no_choice_of_a_client_hides_a_call_or_makes_it_anothers(
    name: str, with_victim: bool, sent: list[tuple[str, str, str, str]]
) -> None:
    line, (request_id, path, agent, key) = LINES[name]
    # the victim's call is the attacker's model: the same moment, route and amounts
    victim = line(**{request_id: "r1", key: "cd" * 32})
    calls = [line(**{request_id: r, path: f"/{p}", agent: a, "x_forwarded_for": f}) for r, p, a, f in sent]
    with tempfile.TemporaryDirectory() as folder:
        place = place_in(Path(folder) / "w")
        assert (
            read(place, name, put(Path(folder) / "a.log", calls + [victim] * with_victim)).stored
            == len(calls) + with_victim
        )
        read(place, name, put(Path(folder) / "b.log", [victim]))
        tokens = Counter(lake.read(place.lake, "events")["token_uid"].to_pylist())
    assert sorted(tokens.values()) == sorted([1, len(calls)])


@FEW
@given(st.lists(st.tuples(chosen, chosen), min_size=1, max_size=6))
def test_no_choice_of_a_client_hides_a_call_from_cloudtrail(sent: list[tuple[str, str]]) -> None:
    thief = raw_logs.user("thief", "AKIAI44QH8DHBEXAMPLE")
    calls = [
        raw_logs.cloudtrail(f"e{n}", caller=thief, userAgent=agent, requestID="r1",
                            requestParameters={"bucketName": bucket, "eventID": "victim"})
        for n, (agent, bucket) in enumerate(sent)
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        place = place_in(Path(folder) / "w")
        logs = raw_logs.write(Path(folder) / "a.json", [*calls, raw_logs.cloudtrail("victim", requestID="r1")])
        assert raw_logs.read(place, logs).stored == len(calls) + 1
        tokens = Counter(lake.read(place.lake, "events")["token_uid"].to_pylist())
    assert sorted(tokens.values()) == sorted([1, len(calls)])


def test_equal_cloudtrail_records_without_an_id_are_calls_of_their_own(tmp_path: Path) -> None:
    without = raw_logs.cloudtrail("", eventID=None)
    path = raw_logs.write(tmp_path / "a.json", [without, without, raw_logs.cloudtrail("e1"), raw_logs.cloudtrail("e1")])
    counts = raw_logs.read(place_in(tmp_path / "w"), path)
    assert (counts.stored, counts.duplicates, counts.repeated, counts.differing) == (3, 1, 1, 0)


# ---- a delivery more adds nothing ----
@FEW
@given(st.data())
def test_how_lines_are_spread_over_files_how_often_and_in_which_order_changes_nothing(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(list(LINES)))
    line, (request_id, path, *_) = LINES[name]
    with_ids = data.draw(st.booleans())
    numbers = range(data.draw(st.integers(1, 9)))
    # no two lines are equal, though their ids may be
    lines = [line(**{request_id: f"r{n % 3}" if with_ids else "", path: f"/v1/{n}"}) for n in numbers]
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        whole, parted = place_in(folder / "whole"), place_in(folder / "parted")
        read(whole, name, put(folder / "whole.log", lines))
        for file in range(data.draw(st.integers(1, 4))):
            part = data.draw(st.lists(st.sampled_from(lines), min_size=1, unique_by=str))
            read(parted, name, put(folder / f"{file}.log{'.gz' * data.draw(st.booleans())}", part))
        cut = data.draw(st.integers(0, len(lines)))
        for n, part in enumerate((lines[cut:], lines[:cut])):
            if part:
                read(parted, name, put(folder / f"rest{n}.log", part))
        assert raw_logs.event_keys(parted) == raw_logs.event_keys(whole)
        assert len(raw_logs.event_keys(whole)) == len(lines)


@FEW
@given(st.sampled_from(list(LINES)),
       st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=8), min_size=1, max_size=5),
       st.booleans())  # fmt: skip
def test_of_equal_lines_the_most_that_one_file_holds_count(name: str, files: list[list[int]], together: bool) -> None:
    line, (_, path, *_) = LINES[name]
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        place = place_in(folder / "w")
        paths = [
            put(folder / f"{n}.log", [line(**{path: f"/v1/{number}"}) for number in file])
            for n, file in enumerate(files)
        ]
        for part in [paths] if together else [[one] for one in paths]:
            read(place, name, *part)
        stored = Counter(lake.read(place.lake, "events")["url_path"].to_pylist())
        assert stored == {f"/v1/{n}": max(file.count(n) for file in files) for n in {n for file in files for n in file}}


@pytest.mark.parametrize("request_id", ["", "r1"])
def test_the_same_file_renamed_packed_or_grown_counts_once(tmp_path: Path, source: str, request_id: str) -> None:
    line, (name, path, *_) = LINES[source]
    lines = [line(**{name: request_id})] * 5 + [line(**{name: request_id, path: "/v1/other"})] * 2
    place = place_in(tmp_path / "w")
    log = put(tmp_path / "a.log", lines)
    assert read(place, source, log).stored == 7
    copies = [tmp_path / "copy.log", tmp_path / "a.log.gz", tmp_path / "windows.log", tmp_path / "tail.log"]
    copies[0].write_bytes(log.read_bytes())
    copies[1].write_bytes(gzip.compress(log.read_bytes()))
    copies[2].write_bytes(log.read_bytes().replace(b"\n", b"\r\n"))
    copies[3].write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[3:]))
    assert read(place, source, *copies).stored == 0
    assert read(place, source, put(log, [*lines, lines[-1], lines[0]])).stored == 2
    assert len(set(raw_logs.event_keys(place))) == 9


def test_a_burst_over_two_batches_is_counted_through(
    tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("gateways.reader", "tabular"):
        monkeypatch.setattr(f"tokenkit.sources.{module}.BATCH", 4)
    lines = [LINES[source][0]()] * 11
    place = place_in(tmp_path / "w")
    assert read(place, source, put(tmp_path / "a.log", lines)).stored == 11
    monkeypatch.undo()
    assert read(place, source, put(tmp_path / "b.log", lines[:9])).stored == 0


# ---- where the user says that ids are unique ----
def test_a_declared_id_alone_tells_calls_apart(tmp_path: Path, source: str) -> None:
    line, (request_id, path, *_) = LINES[source]
    place = place_in(tmp_path / "w", unique=True)
    calls = [line(**{request_id: f"r{n}", "delivery": d}) for d in (1, 2) for n in range(3)]
    counts = read(place, source, put(tmp_path / "a.log", calls))
    assert (counts.stored, counts.duplicates, counts.repeated, counts.differing) == (3, 3, 0, 0)
    other = [line(**{request_id: "r1", path: "/v1/other"}), line(**{request_id: "r2"}), line(), line()]
    counts = read(place, source, put(tmp_path / "b.log", other))
    assert (counts.stored, counts.duplicates, counts.repeated, counts.differing) == (2, 2, 1, 1)
    assert raw_logs.files_of(place)[1]["differing"] == 1


def test_duplicates_by_id_that_are_not_equal_are_counted_apart_within_a_file_too(tmp_path: Path, source: str) -> None:
    line, (request_id, path, *_) = LINES[source]
    calls = [line(**{request_id: "r1", path: f"/v1/{n}"}) for n in (1, 1, 2, 3)]
    place = place_in(tmp_path / "w", unique=True)
    counts = read(place, source, put(tmp_path / "a.log", calls))
    assert (counts.stored, counts.duplicates, counts.differing) == (1, 3, 2)
    (remark,) = counts.remarks()
    assert remark.startswith("2 duplicates have the id of another event, but not its content")


def test_a_mapping_without_an_id_declares_none(tmp_path: Path) -> None:
    text = "\n".join(row for row in MAPPING.splitlines() if "event_uid" not in row)
    (tmp_path / "a.toml").write_text("unique_ids = true" + text)
    with pytest.raises(config.ConfigError, match="unique_ids is true, but no column is the id"):
        sources.get(str(tmp_path / "a.toml"))
    (tmp_path / "a.toml").write_text('unique_ids = "yes"' + MAPPING)
    with pytest.raises(config.ConfigError, match="expected true or false"):
        sources.get(str(tmp_path / "a.toml"))


# ---- lakes of an earlier version, and settings that change ----
def forget_the_ways(place: Workspace) -> None:
    """Make of a workspace with declared ids one of an earlier version, which knew every event by its id.

    And every file by its whole content.
    """
    with state.connect(place.state) as db:
        db.execute("delete from meta where name = 'known_by'")
        db.execute("delete from parts")
        db.execute("delete from places")


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
@pytest.mark.parametrize("with_id", [True, False])
def test_what_an_earlier_version_stored_is_not_stored_again(
    tmp_path: Path, source: str, with_id: bool, ending: bytes
) -> None:
    line, (request_id, path, *_) = LINES[source]
    lines = [line(**{request_id: f"r{n}" if with_id else "", path: f"/v1/{n}"}) for n in range(4)]
    log = tmp_path / "a.log"
    log.write_bytes(b"".join(json.dumps(one).encode() + ending for one in lines))
    place = place_in(tmp_path / "w", unique=True)
    assert read(place, source, log).stored == 4
    forget_the_ways(place)
    place = place_in(tmp_path / "w")
    new = line(**{request_id: "r0" if with_id else "", path: "/v1/new", "status": 404, "code": 404})
    log.write_bytes(log.read_bytes() + json.dumps(new).encode() + ending)
    counts = read(place, source, log)
    assert (counts.stored, counts.duplicates, counts.differing) == (1, 4, 0)
    assert read(place, source, put(tmp_path / "b.log", [*lines, new])).stored == 0


@pytest.mark.parametrize("before", [True, False])
def test_declaring_ids_later_or_no_longer_stores_nothing_again(tmp_path: Path, source: str, before: bool) -> None:
    line, (request_id, path, *_) = LINES[source]
    lines = [line(**{request_id: f"r{n}", path: f"/v1/{n}"}) for n in range(4)]
    read(place_in(tmp_path / "w", unique=before), source, put(tmp_path / "a.log", lines[:3]))
    place = place_in(tmp_path / "w", unique=not before)
    assert read(place, source, put(tmp_path / "a.log", lines)).stored == 1


def test_a_state_of_an_earlier_version_gains_the_columns(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    columns = "digest text not null, source text not null, path text not null, status text not null, read integer, " \
              "stored integer, duplicates integer, quarantined integer, ignored integer, ignored_rules text, " \
              "unattributed integer, first text, last text, primary key (digest, source)"  # fmt: skip
    with sqlite3.connect(path) as old:
        old.execute(f"create table files ({columns})")
        old.execute("insert into files values ('d', 'nginx', 'a', 'stored', 1, 1, 0, 0, 0, '{}', 0, null, null)")
    for _ in range(2):
        with state.connect(path) as db:
            (row,) = db.execute("select repeated, differing, path from files").fetchall()
    assert tuple(row) == (0, 0, "a")


# ---- the parts ----
keys = st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=30)


@settings(max_examples=100, deadline=None)
@given(keys, st.integers(0, 30))
def test_numbers_of_equal_records_follow_from_those_before_alone(rows: list[tuple[int, bool]], cut: int) -> None:
    values, flags = (np.array([row[i] for row in rows], dtype=kind) for i, kind in ((0, np.int64), (1, bool)))
    numbered, later = number_equal(values, flags)
    assert (numbered[~flags] == values[~flags]).all() and not later[~flags].any()
    seen: Counter[int] = Counter()
    for value, flag, number, more in zip(values.tolist(), flags, numbered.tolist(), later, strict=True):
        if flag:
            assert more == (seen[value] > 0) and (number != value) == more
            seen[value] += 1
    assert len(set(numbered[flags].tolist())) == flags.sum()
    assert number_equal(values[:cut], flags[:cut])[0].tolist() == numbered[:cut].tolist()


@given(st.lists(st.tuples(st.sampled_from([None, "", "a", "b"]), st.sampled_from([b"1", b"2", b"1\r"]))), st.booleans())
def test_a_record_is_known_by_its_content_unless_its_id_is_unique(rows: list[Any], unique: bool) -> None:
    uids, records = [uid for uid, _ in rows], [record for _, record in rows]
    names, contents = event_ids(uids, records, unique)
    assert len(names) == len(rows) and all(names)
    assert [name for name, uid in zip(names, uids, strict=True) if uid] == [uid for uid in uids if uid]
    known = contents or [None] * len(rows)
    assert [content is None for content in known] == [unique and bool(uid) for uid in uids]
    same = {record.rstrip(b"\r"): content for record, content in zip(records, known, strict=True) if content}
    assert [c for c in known if c] == [same[r.rstrip(b"\r")] for r, c in zip(records, known, strict=True) if c]


# ---- what is said ----
def test_a_check_says_equal_only_of_what_is_equal(tmp_path: Path, source: str) -> None:
    line, (request_id, path, *_) = LINES[source]
    log = put(tmp_path / "a.log", [line(**{request_id: "r1", path: f"/v1/{n}"}) for n in (1, 1, 2)])
    for unique, counted, words in ((False, (3, 0), ["equal"]), (True, (1, 2), ["equal", "not its content"])):
        place = place_in(tmp_path / f"w{unique}", unique=unique)
        its = sources.get(str(place.root / "orders.toml") if source == "orders" else source)
        said = check(log, its, sources.Reading(b"k" * 32, place.settings.gateway))
        assert (said.counts["stored"], said.counts["duplicates"]) == counted
        notes = [note for note in said.notes if note.startswith("1 ")]
        assert len(notes) == len(words) and all(word in note for word, note in zip(words, notes, strict=True)), notes
