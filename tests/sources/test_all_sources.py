"""What holds for every source, whatever its log holds: all is counted, and no record touches another."""

import gzip
import json
import re
import tempfile
import tracemalloc
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import SAMPLES, Chosen, Sample

from tokenkit import config, schema, sources
from tokenkit.ingest import ingest
from tokenkit.sources import packed
from tokenkit.sources.fields.sameness import number_equal_records
from tokenkit.sources.inputs import Input

SOME = settings(max_examples=6, deadline=None)
READING = sources.Reading(b"k" * 32)
ALL = pytest.mark.parametrize("name", sorted(SAMPLES))
Event = dict[str, Any]


def source(name: str, folder: Path) -> sources.Source:
    if not SAMPLES[name].mapping:
        return sources.get(name)
    (folder / "own.toml").write_text(SAMPLES[name].mapping)
    return sources.get(str(folder / "own.toml"))


def read(name: str, content: bytes) -> tuple[list[Event], sources.Tally]:
    """The events of a log, without the place where each stands, and the counts, which have to add up."""
    tally = sources.Tally()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / SAMPLES[name].name
        path.write_bytes(content)
        batches = list(source(name, Path(folder)).read(path, READING, tally))
        sources.recognise(path)
    assert all(batch.events.schema.equals(schema.EVENTS.arrow) for batch in batches)
    events = [e for batch in number_equal_records(batches)[0] for e in batch.events.to_pylist()]
    assert tally.read == len(events) + sum(tally.ignored.values()) + len(tally.quarantined)
    for event in events:
        del event["raw_ref"]
        assert all(len(value) <= 4096 for value in event.values() if isinstance(value, str))
    return events, tally


def plain(events: list[Event]) -> list[str]:
    return sorted(json.dumps(event, default=str, sort_keys=True) for event in events)


@cache
def alone(name: str, call: bytes) -> list[str]:
    """The events of a call that is a log by itself."""
    return plain(read(name, SAMPLES[name].log(call))[0])


def lost(name: str, kept: list[bytes], content: bytes) -> list[str]:
    """The events of these calls, each read by itself, that a log does not hold."""
    there = plain(read(name, content)[0])
    return [event for call in kept for event in alone(name, call) if event not in there]


def test_every_source_has_a_sample() -> None:
    missing = sorted(sources.sources().keys() - SAMPLES.keys())
    assert not missing, f"no sample of {', '.join(missing)}: write one call of each in tests/samples.py"


@ALL
def test_a_sample_is_read_whole_and_names_its_tokens(name: str) -> None:
    events, tally = read(name, SAMPLES[name].log(*SAMPLES[name].usual()))
    assert len(events) == 4 and not tally.quarantined, [one.reason for one in tally.quarantined]
    assert (
        len({e["token_uid"] for e in events} - {""}) == SAMPLES[name].tokens
        and len({e["event_key"] for e in events}) == 4
    )


ODD_BYTES = [b"\0", b"\0" * 9, b"\xff\xfe", b"\xc3(", b'"', b"\\", b"{", b"]}"]
odd_bytes = st.one_of(st.binary(min_size=1, max_size=6), st.sampled_from(ODD_BYTES))


@ALL
@SOME
@given(st.integers(0, 3), st.data())
def test_a_damaged_record_costs_no_other(name: str, at: int, data: st.DataObject) -> None:
    calls = SAMPLES[name].usual()
    damaged = calls[at].rstrip(b"\n")
    start = data.draw(st.integers(0, len(damaged)))
    end = data.draw(st.integers(start, len(damaged)))
    put = data.draw(st.one_of(st.just(b""), odd_bytes)).replace(b"\n", b"").replace(b"\r", b"")
    calls[at] = damaged[:start] + put + damaged[end:] + b"\n"
    others = calls[:at] + calls[at + 1 :]
    assert lost(name, others, SAMPLES[name].log(*calls)) == []


ODD_TIMES = ["9999-12-31T23:59:59Z", "0001-01-01", "1969-12-31T23:59:59-12:00", 253402300799000, -62135596800]
nested = st.recursive(
    st.text(max_size=2),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=3), inner, max_size=2)),
    max_leaves=4,
)
wrong = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=8),
    st.sampled_from([10**400, -1, 1e308, 0, [], {}, [[]], "", "-", "\0", "nan", *ODD_TIMES]),
    nested,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a parsed record."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


def with_value(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = with_value(value[path[0]], path[1:], new)
    return copy


@ALL
@SOME
@given(st.integers(0, 3), st.data())
def test_a_value_of_another_type_costs_no_other_record(name: str, at: int, data: st.DataObject) -> None:
    calls = SAMPLES[name].usual()
    line = calls[at].rstrip(b"\n")
    new = data.draw(wrong)
    try:
        record = json.loads(line)
        path = data.draw(st.sampled_from(places(record)[1:]))
        calls[at] = json.dumps(with_value(record, path, new)).encode() + b"\n"
    except ValueError:  # a log of plain text: a word of it
        words = [*re.finditer(rb'[^\s",;|]+', line)]
        word = data.draw(st.sampled_from(words))
        put = str(new).encode("utf-8", "replace").replace(b"\n", b"").replace(b"\r", b"")
        calls[at] = line[: word.start()] + put + line[word.end() :] + b"\n"
    others = calls[:at] + calls[at + 1 :]
    assert lost(name, others, SAMPLES[name].log(*calls)) == []


@ALL
@SOME
@given(st.lists(st.integers(0, 3), min_size=1, max_size=8))
def test_order_and_repeats_of_records_change_no_event(name: str, order: list[int]) -> None:
    calls = SAMPLES[name].usual()
    events, tally = read(name, SAMPLES[name].log(*(calls[i] for i in order)))
    assert len(events) == len(order) and not tally.quarantined
    assert lost(name, [calls[i] for i in set(order)], SAMPLES[name].log(*(calls[i] for i in order))) == []


@ALL
@SOME
@given(st.data())
def test_of_a_log_cut_off_the_whole_records_are_stored(name: str, data: st.DataObject) -> None:
    calls = SAMPLES[name].usual()
    whole = SAMPLES[name].log(*calls)
    cut = data.draw(st.integers(len(SAMPLES[name].head), len(whole)))
    ends = [len(SAMPLES[name].log(*calls[: i + 1])) for i in range(len(calls))]
    kept = [call for call, end in zip(calls, ends, strict=True) if end <= cut]
    assert lost(name, kept, whole[:cut]) == []


@ALL
@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_another_encoding_is_read_alike(name: str, encoding: str) -> None:
    content = SAMPLES[name].log(*SAMPLES[name].usual())
    encoded = content.decode().encode(encoding)
    assert plain_but_keys(read(name, encoded)[0]) == plain_but_keys(read(name, content)[0])


def plain_but_keys(events: list[Event]) -> list[str]:
    return plain([{k: v for k, v in event.items() if k not in ("event_key", "event_uid")} for event in events])


HUGE_OR_ODD = [
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b"\0" * 50_000,
    b" " * 50_000,
    b"\xff\xfe\xfd" * 10_000,
    b"x" * (10 << 20),
]


@ALL
def test_huge_or_odd_records_cost_no_other_and_little_memory(name: str) -> None:
    calls = SAMPLES[name].usual()
    marked = SAMPLES[name].call(9, "ana", Chosen(agent="AGENT"))
    hostile = [odd + b"\n" for odd in HUGE_OR_ODD]
    hostile += [marked.replace(b"AGENT", odd.replace(b'"', b"'")) for odd in HUGE_OR_ODD]
    content = SAMPLES[name].log(*calls[:2], *hostile, *calls[2:])
    alone(name, calls[0])  # imports and first use
    tracemalloc.start()
    assert lost(name, calls, content) == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * len(content)


@ALL
def test_what_unpacks_to_far_more_than_a_log_is_not_read_on(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "ALWAYS", 1 << 20)
    calls = SAMPLES[name].usual()
    bomb = gzip.compress(SAMPLES[name].log(*calls) + b" " * (8 << 20) + b"\n", 9)
    assert lost(name, calls, bomb) == []
    assert packed.BOMB in [one.reason for one in read(name, bomb)[1].quarantined]


@ALL
def test_a_record_from_the_future_is_set_aside_alone(tmp_path: Path, name: str) -> None:
    calls = SAMPLES[name].usual(12)
    wrong_clock = SAMPLES[name].call(20, "ana", Chosen()).replace(b"2026", b"2031").replace(b"17724", b"19300")
    path = tmp_path / SAMPLES[name].name
    path.write_bytes(SAMPLES[name].log(*calls, wrong_clock))
    workspace = config.init(tmp_path / "ws")
    source(name, tmp_path)
    known_as = str(tmp_path / "own.toml") if SAMPLES[name].mapping else name
    counts = ingest(workspace, [Input(path, known_as)], now=datetime(2026, 3, 3, tzinfo=UTC))
    # a report of usage whose hour is not over is ignored; so are lines that name the columns
    assert counts.stored == 12 and counts.quarantined + counts.ignored > 0, counts.line()


# what a client sends in a header or a path: anything that is no control character
sent = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=12)
FORGED = ['" 200 1 "-" "x', "\\", '\\"', "r0", "r1", "-", "", "null", '"}', '"}\n{"', '{"log": "x"}', "{}", "[", ",",
          "?", "AKIAEXAMPLERAJ000001", "203.0.113.9, 203.0.113.8", "<134>1 - {", "%22", "a" * 5000, "#", "//", "..",
          "\u202e", "\ufeff", "=1+1"]  # fmt: skip
words = st.one_of(sent, st.sampled_from(FORGED)).map(lambda text: "".join(c for c in text if c not in "\r\n"))
paths = words.map(lambda text: "/" + "".join(c for c in text if not c.isspace()))
chosen = st.builds(Chosen, agent=words, path=paths, request_id=words, forwarded=words)
SERVER = ("time", "token_uid", "principal_uid", "src_ip", "status_id", "http_status", "response_bytes")


@ALL
@settings(max_examples=12, deadline=None)
@given(st.lists(chosen, min_size=1, max_size=4))
def test_no_choice_of_a_client_hides_a_call_or_makes_it_anothers(name: str, choices: list[Chosen]) -> None:
    sample: Sample = SAMPLES[name]
    victims = [sample.call(0, "raj", Chosen()), sample.call(1, "raj", Chosen(request_id="r0"))]
    theirs = [sample.call(10 + n, "ana", choice) for n, choice in enumerate(choices)]
    honest = [sample.call(10 + n, "ana", Chosen()) for n in range(len(choices))]
    events, tally = read(name, sample.log(victims[0], *theirs, victims[1]))
    assert not tally.quarantined, [one.reason for one in tally.quarantined]
    assert len({event["event_key"] for event in events}) == len(events) == len(theirs) + 2
    assert lost(name, victims, sample.log(victims[0], *theirs, victims[1])) == []
    expected, _ = read(name, sample.log(victims[0], *honest, victims[1]))
    assert said_by_the_server(events) == said_by_the_server(expected)


def said_by_the_server(events: list[Event]) -> list[str]:
    return plain([{column: event[column] for column in SERVER} for event in events])
