"""Packed files are told by their bytes; what is whole in them is read, the rest is counted, and bombs do not go off."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import time
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
import raw_logs

from tokenkit import sources
from tokenkit.errors import SourceError
from tokenkit.sources import cloudtrail, files, packed, tabular

READING = sources.Reading(b"k" * 32)
LINES = [json.dumps(raw_logs.nginx(f"r{n}", raw_logs.moment(0, 1, n))).encode() for n in range(40)]
LOG = b"\n".join(LINES) + b"\n"


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def tarred(**members: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def events(path: Path) -> tuple[int, list[str]]:
    """How many events there are in all files found at a path, and why pieces are quarantined."""
    count, reasons = 0, []
    for file, source in sources.find_files(path)[0]:
        tally = sources.Tally()
        count += sum(batch.events.num_rows for batch in source.read(file, READING, tally))
        reasons += [q.reason for q in tally.quarantined]
    return count, reasons


@pytest.mark.parametrize(
    ("content", "count"),
    [
        (LOG, 40),
        (gzip.compress(LOG), 40),
        (gzip.compress(gzip.compress(LOG)), 40),
        (zstd(LOG), 40),
        (zstd(LOG) + zstd(LOG), 80),
        (gzip.compress(zstd(LOG)), 40),
        (zipped(a=LOG, b=gzip.compress(LOG), readme=b"hello"), 80),
        (tarred(a=LOG), 40),
        (gzip.compress(tarred(a=LOG, b=LOG)), 80),
        (zstd(tarred(a=zstd(LOG))), 40),
        (zipped(a=gzip.compress(tarred(b=LOG, c=LOG)), d=zipped(e=LOG)), 120),
        (LOG.decode().encode("utf-16"), 40),
        (b"\xfe\xff" + LOG.decode().encode("utf-16-be"), 40),
        (gzip.compress(b"\xef\xbb\xbf" + LOG), 40),
        (b"\0" * 3_000_000 + LOG, 40),
        (LOG + b"\0" * 3_000_000 + LOG, 80),
        (LOG + LINES[0] + b"\0" * 3_000_000 + LOG, 81),
    ],
    ids=range(17),
)
@pytest.mark.parametrize("name", ["export", "a.json.gz"])
def test_a_packed_log_is_read_whatever_its_name(tmp_path: Path, content: bytes, count: int, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert events(tmp_path) == (count, [])


def test_files_in_archives_have_a_path_and_a_source_of_their_own(tmp_path: Path) -> None:
    trail = json.dumps({"Records": [raw_logs.cloudtrail("e1")]}).encode()
    (tmp_path / "all.zip").write_bytes(zipped(**{"aws/t.json": trail, "gw/a.log": LOG, "x.txt": b"x", ".h": LOG}))
    (tmp_path / "book.xlsx").write_bytes(zipped(**{"a.xml": b"<a/>", "b.xml": b"<b/>"}))
    found, ignored = sources.find_files(tmp_path)
    assert [(path, source.name) for path, source in found] == [
        (tmp_path / "all.zip/aws/t.json", "cloudtrail"), (tmp_path / "all.zip/gw/a.log", "nginx"),
    ]  # fmt: skip
    assert ignored == {
        "no known source": [tmp_path / "all.zip/x.txt", tmp_path / "book.xlsx"],
        "hidden file": [tmp_path / "all.zip/.h"],
    }
    place = raw_logs.workspace(tmp_path / "ws")
    counts = raw_logs.read(place, tmp_path / "all.zip")
    assert (counts.files, counts.stored) == (2, 41)
    (tmp_path / "a.log").write_bytes(LOG)
    assert raw_logs.read(place, tmp_path / "a.log").files_known == 1  # the same file, unpacked


@pytest.mark.parametrize(
    "pack", [gzip.compress, zstd, lambda c: gzip.compress(tarred(a=c)), lambda c: zstd(tarred(a=c))]
)
def test_of_a_packed_file_that_was_cut_off_the_beginning_is_read(tmp_path: Path, pack) -> None:
    lines = [json.dumps(raw_logs.nginx(f"{n * 7919:x}", raw_logs.moment(0, 1, 1, n))).encode() for n in range(20_000)]
    whole = pack(b"\n".join(lines))
    (tmp_path / "a").write_bytes(whole[: len(whole) // 2])
    count, reasons = events(tmp_path)
    assert 5_000 < count < 15_000
    assert len(reasons) == 1


def test_an_archive_that_cannot_be_unpacked_is_counted_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "good.log").write_bytes(LOG)
    (tmp_path / "cut.zip").write_bytes(zipped(a=LOG)[:-30])
    locked = bytearray(zipped(a=LOG))
    for at in (6, locked.rfind(b"PK\x01\x02") + 8):
        locked[at] |= 1  # says that it is encrypted
    (tmp_path / "locked.zip").write_bytes(locked)
    found, ignored = sources.find_files(tmp_path)
    assert [path.name for path, _ in found] == ["good.log"]
    assert sum(map(len, ignored.values())) == 2
    assert ignored[sources.ARCHIVE] == [tmp_path / "cut.zip"]


@pytest.mark.parametrize("name", ["../../escaped", "/etc/escaped", "a/../../escaped"])
def test_no_name_in_an_archive_leads_out_of_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.zip").write_bytes(zipped(**{name: LOG}))
    ((path, _),) = sources.find_files(tmp_path)[0]
    assert path.is_relative_to(tmp_path / "a.zip") and ".." not in path.parts


def test_a_bomb_is_read_up_to_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "ALWAYS", 1 << 20)
    bombs = {"gz": gzip.compress(LOG + b" " * 30_000_000), "zst": zstd(LOG + b" " * 30_000_000),
             "zip": zipped(a=LOG + b" " * 30_000_000), "gzgz": gzip.compress(gzip.compress(LOG + b" " * 30_000_000)),
             "tgz": gzip.compress(tarred(a=LOG + b" " * 30_000_000))}  # fmt: skip
    for name, content in bombs.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.log").write_bytes(content)
        count, reasons = events(tmp_path / name)
        assert (count, reasons) == (40, [packed.BOMB]), name


def test_a_parquet_file_may_be_packed(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    from tokenkit.sources import tabular

    pq.write_table(pa.table({"at": ["2026-03-01"], "key": ["a"]}), tmp_path / "a.parquet")
    (tmp_path / "b").write_bytes(zipped(a=(tmp_path / "a.parquet").read_bytes()))
    (inside,) = packed.members(tmp_path / "b") or []
    assert tabular.format_of(inside) == "parquet"
    assert [rows.columns for rows in tabular.rows(inside, "parquet", ["key"])] == [{"key": ["a"]}]


def test_nul_bytes_within_a_line_stay(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a\0b\n\0\0c\n")
    assert [lines for _, lines, _ in files.Reader(tmp_path / "a").lines(9)] == [[b"a\0b", b"c"]]


@pytest.mark.parametrize("shift", range(8))
def test_what_a_client_sends_makes_no_archive_of_a_log(tmp_path: Path, shift: int) -> None:
    line = json.dumps(raw_logs.nginx("r" * (1 + shift), http_user_agent="ustar" * 90)).encode()
    (tmp_path / "a.log").write_bytes(line + b"\n" + LOG)
    assert events(tmp_path) == (41, [])


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED])
def test_a_damaged_file_in_a_zip_costs_no_other_one(tmp_path: Path, method: int) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("a.log", LOG * 20)
        archive.writestr("b.log", LOG)
    content = bytearray(file.getvalue())
    at = content.index(b"a.log") + 60
    content[at : at + 30] = bytes(30)
    (tmp_path / "logs.zip").write_bytes(content)
    place = raw_logs.workspace(tmp_path / "ws")
    assert raw_logs.read(place, tmp_path / "logs.zip").stored >= 40


def test_an_archive_that_was_cut_off_behind_its_last_log_says_so(tmp_path: Path) -> None:
    whole = tarred(**{"a.log": LOG, "notes.txt": b"x" * 4000, "b.log": LOG})
    (tmp_path / "a.tar").write_bytes(whole[: whole.index(b"notes.txt") + 2000])
    found, ignored = sources.find_files(tmp_path)
    assert [path.name for path, _ in found] == ["a.log"]
    assert ignored[f"rest of an archive: {packed.CUT_OFF}"] == [tmp_path / "a.tar"]


def test_thousands_of_files_of_one_name_are_told_apart_in_no_time(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(3_000):
            archive.writestr("a.log", b"x")
    begin = time.process_time()
    assert len(set(packed.members(tmp_path / "a.zip") or ())) == 3_000
    assert time.process_time() - begin < 5  # two thousand took that with a # for each earlier one


@pytest.mark.parametrize("zeros", [1, 1_000, 70_000, 200_000])
def test_gzip_files_with_zeros_between_them_are_read_on(tmp_path: Path, zeros: int) -> None:
    first, second = (gzip.compress(line + b"\n") for line in LINES[:2])
    (tmp_path / "a.log.gz").write_bytes(first + bytes(zeros) + second)
    assert events(tmp_path) == (2, [])


def test_lines_that_unpack_to_more_than_a_document_may_have_are_read_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloudtrail, "STREAMED", 5_000)
    monkeypatch.setattr(files, "MAX_DOCUMENT", 200_000)
    lines = b"\n".join(json.dumps(raw_logs.cloudtrail(f"e{n}")).encode() for n in range(1_000))
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(lines))
    assert events(tmp_path) == (1_000, [])


@pytest.mark.parametrize(("pack", "packer"), [(bz2.compress, "bzip2"), (lzma.compress, "xz")])
def test_a_file_packed_in_another_way_says_how_to_unpack_it(
    tmp_path: Path, pack: Callable[[bytes], bytes], packer: str
) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(pack(b"at,key\n1,a\n"))
    with pytest.raises(SourceError, match=rf"packed with {packer}, expected gzip.*Unpack it: {packer} -d"):
        tabular.names(path, "csv")
