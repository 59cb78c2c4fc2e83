"""A file is cut at line ends, wherever it is cut its lines are the same, and no line is forged by a cut."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenkit.sources import files, stretch
from tokenkit.sources.stretch import Cutter, Stretch


def stretches(cutter: Cutter, size: int) -> list[Stretch]:
    """All of a file, in stretches of about this size."""
    cut = []
    while True:
        part = cutter.peek(size, to_the_end=True)
        if not part.held and not part.stop_reason:
            return cut
        cut.append(part)
        cutter.take(part)
        if part.stop_reason:
            return cut


def lines(path: Path) -> list[tuple[int, bytes]]:
    return [pair for numbers, texts, _ in files.Reader(path).lines(10) for pair in zip(numbers, texts, strict=True)]


pieces = st.lists(st.sampled_from([b"a", b"bc", b"\n", b"\r\n", b"\n\n", b"\0" * 9, b"\0", b" "]), max_size=30)


@given(pieces, st.integers(1, 12))
def test_the_lines_of_all_stretches_are_those_of_the_file(tmp_path_factory, texts: list[bytes], size: int) -> None:
    path = tmp_path_factory.mktemp("s") / "a.log"
    path.write_bytes(b"".join(texts))
    parts = stretches(Cutter(path), size)
    assert [line for part in parts for line in lines(part)] == lines(path)
    assert [part.start for part in parts] == [0, *(part.end for part in parts)][: len(parts)]


@given(pieces, st.integers(1, 12))
def test_a_stretch_is_read_again_by_where_it_lies(tmp_path_factory, texts: list[bytes], size: int) -> None:
    path = tmp_path_factory.mktemp("s") / "a.log"
    path.write_bytes(b"".join(texts))
    for part in stretches(Cutter(path), size):
        again = Cutter(path, part.start, part.first_line).up_to(part.end)
        assert (again.content, again.start, lines(again)) == (part.content, part.start, lines(part))


def test_half_a_line_at_the_end_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"one\ntw")
    cutter = Cutter(path)
    cutter.take(cutter.peek(100))
    assert cutter.peek(100).content == b"" and cutter.at_end
    rest = cutter.peek(100, to_the_end=True)
    assert (rest.content, rest.start, rest.first_line) == (b"tw", 4, 2)


def test_a_stretch_is_shortened_to_the_lines_before_one(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"1\n\0\0\0\n3\n4\n5")
    cutter = Cutter(path)
    cutter.take(cutter.peek(2))
    part = cutter.peek(100)
    shorter = cutter.before(part, 4)
    assert [number for number, _ in lines(shorter)] == [3] and cutter.before(part, 2).held == 0
    cutter.take(shorter)
    assert lines(cutter.peek(100)) == [(4, b"4")]


def test_the_end_of_a_line_that_is_too_long_is_no_line_of_its_own(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(stretch, "GIVE_UP", 3 << 20)
    monkeypatch.setattr(files, "MAX_LINE", 2 << 20)
    path = tmp_path / "a.log"
    path.write_bytes(b"one\n" + b"x" * (9 << 20) + b'{"forged": 1}\ntwo\n')
    parts = stretches(Cutter(path), 1 << 20)
    assert [line for part in parts for line in lines(part)] == [(1, b"one"), (3, b"two")]
    assert max(len(part.content) for part in parts) < 5 << 20
    assert parts[-1].end == path.stat().st_size


def test_the_zeros_of_a_log_that_was_emptied_take_no_memory_and_are_not_read_as_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with path.open("wb") as file:
        file.truncate(200 << 20)
        file.seek(200 << 20)
        file.write(b"one\n")
    cutter = Cutter(path)
    part = cutter.peek(1 << 20)
    assert (lines(part), part.end) == ([(1, b"one")], (200 << 20) + 4)
    assert cutter.held < 3 << 20


def test_zeros_at_the_end_are_not_passed_over_since_a_line_may_be_written_there(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"one\n" + bytes(3 << 20))
    assert Cutter(path).peek(16 << 20).end == 4


@pytest.mark.parametrize("cut", [0, 30])
def test_a_packed_file_is_cut_as_it_is_unpacked_and_says_why_it_ends(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.log.gz"
    packed = gzip.compress(b"".join(b"%d\n" % n for n in range(9000)), mtime=0)
    path.write_bytes(packed[: len(packed) - cut])
    parts = stretches(Cutter(path), 5000)
    assert len(parts) > 5 and [line for part in parts for line in lines(part)] == lines(path)
    assert [part.stop_reason for part in parts if part.stop_reason] == [files.CUT_OFF] * (cut > 0)
    later = Cutter(path, parts[2].start, parts[2].first_line).peek(5000)
    assert (later.content, later.end) == (parts[2].content, parts[2].end)
