"""Packed files are told by their bytes; what is whole in them is read, the rest is counted, and bombs do not go off."""

import gzip
import io
import json
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest
import raw_logs

from tokenkit import sources
from tokenkit.sources import files, packed

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
