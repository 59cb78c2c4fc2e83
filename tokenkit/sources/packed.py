"""Packed: what is inside gzip, zstd, zip and tar, told by the bytes of a file and not by its name.

A file in an archive is a path below the archive, such as ``logs.zip/aws/a.json``, and is read as any other file.
Nothing is unpacked into a folder: what has to be kept for a while is a file without name, which goes with the process.
What unpacks to far more than a log would is read up to there.
"""

import io
import lzma
import os
import tarfile
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

GZIP, ZSTD, ZIPS = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", (b"PK\x03\x04", b"PK\x05\x06")
STEP, MOST = 64 << 10, 1 << 20  # bytes that are read at once, and that are made of them at once
LAYERS = 3  # a gzip of a gzip of a gzip; an archive in an archive in an archive
MAX_MEMBERS = 100_000
# what unpacks to more than both is no log: logs shrink to a tenth, seldom to a hundredth
MAX_TIMES, ALWAYS = 300, 256 << 20
CUT_OFF = "the file ends in the middle (half-written or cut off)"
GZIP_DAMAGED, ZSTD_DAMAGED = "the gzip stream is damaged", "the zstd stream is damaged"
MEMBER_DAMAGED = "the file in the archive cannot be unpacked (damaged, encrypted, or packed in another way)"
ARCHIVE_DAMAGED = "the archive cannot be unpacked (damaged or cut off)"
TOO_MANY = f"more than {MAX_MEMBERS:,} files in one archive"
BOMB = f"it unpacks to more than {MAX_TIMES} times its size, which no log does"
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, RuntimeError,
           NotImplementedError)  # fmt: skip
Opener = Callable[[], IO[bytes]]


class Unpacking:
    """The bytes of one file, unpacked. If they cannot be read to their end, ``stop_reason`` says why afterwards."""

    def __init__(self, opener: Opener, packed_size: int) -> None:
        self.stop_reason: str | None = None
        self._opener = opener
        self._most = max(ALWAYS, MAX_TIMES * packed_size)

    def blocks(self, size: int = STEP) -> Iterator[bytes]:
        """Yield the content in blocks, as far as it can be unpacked."""
        total = 0
        with self._opener() as file:
            for block in self._layer(_Forward(self._read(file, size)), LAYERS):
                total += len(block)
                if total > self._most:
                    yield block[: self._most - total]
                    self.stop_reason = BOMB
                    return
                yield block

    def _read(self, file: IO[bytes], size: int) -> Iterator[bytes]:
        try:
            while block := file.read(size):
                yield block
        except _BROKEN:
            self.stop_reason = MEMBER_DAMAGED
        except OSError as error:
            if error.errno is not None:  # of the disk; bzip2 says so, without a number, of a damaged stream
                raise
            self.stop_reason = MEMBER_DAMAGED

    def _layer(self, packed: "_Forward", layers: int) -> Iterator[bytes]:
        start = packed.peek(4)
        if layers and start.startswith(GZIP):
            yield from self._layer(_Forward(self._gunzip(packed)), layers - 1)
        elif layers and start == ZSTD:
            yield from self._layer(_Forward(self._unzstd(packed)), layers - 1)
        else:
            yield from packed.rest()

    def _stop(self, reason: str) -> None:
        self.stop_reason = self.stop_reason or reason

    def _gunzip(self, packed: "_Forward") -> Iterator[bytes]:
        stream = zlib.decompressobj(wbits=31)
        pending = b""
        while True:
            raw = pending or packed.read(STEP)
            if not raw:
                self._stop(CUT_OFF)
                return
            before = stream.copy()
            pending = b""
            try:
                yield stream.decompress(raw, MOST)
                while stream.unconsumed_tail:
                    before, raw = stream.copy(), stream.unconsumed_tail
                    yield stream.decompress(raw, MOST)
            except zlib.error:
                yield _up_to_the_damage(before, raw)
                self._stop(GZIP_DAMAGED)
                return
            if stream.eof:
                # gzip files may be joined one after another, and padded with zeros
                rest = stream.unused_data or packed.read(STEP)
                while rest and not rest.strip(b"\0"):  # padding may go on in the next block
                    rest = packed.read(STEP)
                pending = rest.lstrip(b"\0")
                if not pending:
                    return
                if not pending.startswith(GZIP[: len(pending)]):
                    self._stop(GZIP_DAMAGED)
                    return
                stream = zlib.decompressobj(wbits=31)

    def _unzstd(self, packed: "_Forward") -> Iterator[bytes]:
        try:
            # closed at once, also where nobody reads on: left to the end of the process it would never end
            with pa.PythonFile(packed, mode="r") as file, pa.CompressedInputStream(file, "zstd") as stream:
                while block := stream.read(4 << 10):  # in small steps: nothing is given of a step that fails
                    yield block
        except (OSError, pa.ArrowException) as error:
            self._stop(CUT_OFF if "Truncated" in str(error) else ZSTD_DAMAGED)


class _Forward(io.RawIOBase):
    """Blocks of bytes as a file that is read forward."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        super().__init__()
        self._blocks = blocks
        self._block, self._at = b"", 0

    def readable(self) -> bool:
        return True

    def peek(self, count: int) -> bytes:
        """Return the next bytes without reading them, fewer at the end."""
        while len(self._block) - self._at < count:
            block = next(self._blocks, None)
            if block is None:
                break
            self._block, self._at = self._block[self._at :] + block, 0
        return self._block[self._at : self._at + count]

    def read(self, size: int = -1) -> bytes:
        """Return at most ``size`` bytes; none at the end."""
        self.peek(1)
        piece = self._block[self._at : self._at + size]
        self._at += len(piece)
        return piece

    def rest(self) -> Iterator[bytes]:
        """Yield all that was not read yet."""
        if self._at < len(self._block):
            yield self._block[self._at :]
        self._block = b""
        yield from filter(None, self._blocks)


def _up_to_the_damage(stream: Any, raw: bytes) -> bytes:
    """Decompress the block again in small steps, up to the damage: zlib gives nothing of a step that fails."""
    content = b""
    try:
        for offset in range(0, len(raw), 64):
            content += stream.decompress(raw[offset : offset + 64])
    except zlib.error:
        pass
    return content


class _Archive:
    """The files in a zip or tar, and in archives in it, by names that are safe as a path."""

    def __init__(self, opener: Opener, packed_size: int) -> None:
        self.files: dict[str, tuple[Opener, int]] = {}
        self.stop_reason: str | None = None
        self._same_names: Counter[str] = Counter()
        self._kept: list[Any] = []  # open as long as the archive is
        kind = _kind(opener, packed_size)
        self.is_one = bool(kind)
        if kind:
            self._add_all("", opener, packed_size, kind, 1)

    def _add_all(self, folder: str, opener: Opener, packed_size: int, kind: str, layer: int) -> None:
        listed = self._zipped(opener) if kind == "zip" else self._tarred(opener, packed_size)
        for name, inner, size in listed:
            parts = [part for part in (folder + name.replace("\0", "")).split("/") if part not in ("", ".", "..")]
            unique = "/".join(parts) or "unnamed"
            if unique in self.files:
                self._same_names[unique] += 1
                unique += f"#{self._same_names[unique]}"
            while unique in self.files:  # a name that ends in #1 of its own
                unique += "#"
            inner_kind = _kind(inner, size) if layer < LAYERS else ""
            if inner_kind:
                self._add_all(f"{unique}/", inner, size, inner_kind, layer + 1)
            else:
                self.files[unique] = (inner, size)
            if len(self.files) >= MAX_MEMBERS:
                self.stop_reason = TOO_MANY
                return

    def _zipped(self, opener: Opener) -> Iterator[tuple[str, Opener, int]]:
        try:
            file = opener()
            archive = zipfile.ZipFile(file)
            self._kept += [file, archive]
            infos = [info for info in archive.infolist() if not info.is_dir()]
        except (*_BROKEN, OSError, ValueError):
            self.stop_reason = ARCHIVE_DAMAGED
            return
        for info in infos:
            yield info.filename, lambda info=info: _zip_member(archive, info), info.compress_size  # type: ignore[misc]

    def _tarred(self, opener: Opener, packed_size: int) -> Iterator[tuple[str, Opener, int]]:
        unpacking = Unpacking(opener, packed_size)
        file = _spooled(opener, unpacking)
        self._kept.append(file)
        try:
            archive = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115
            self._kept.append(archive)
            for info in archive:
                if info.isreg():
                    yield info.name, lambda info=info: _tar_member(file, archive, info), info.size  # type: ignore[misc]
        except (*_BROKEN, OSError, ValueError):
            self.stop_reason = self.stop_reason or (CUT_OFF if self.files else ARCHIVE_DAMAGED)
        self.stop_reason = unpacking.stop_reason or self.stop_reason


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    try:
        return archive.open(info)
    except (*_BROKEN, OSError):
        return _Unreadable()


def _tar_member(file: IO[bytes], archive: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    if info.issparse():
        return archive.extractfile(info) or io.BytesIO()
    return _Window(file, info.offset_data, info.size)  # type: ignore[return-value]


class _Window(io.RawIOBase):
    """A part of a file, as far as it is there."""

    def __init__(self, file: IO[bytes], start: int, length: int) -> None:
        super().__init__()
        self._file, self._start, self._length, self._at = file, start, length, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._length - self._at)
        self._file.seek(self._start + self._at)
        piece = self._file.read(left if size is None or size < 0 else min(size, left))
        self._at += len(piece)
        return piece


class _Unreadable(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        raise zipfile.BadZipFile


def _spooled(opener: Opener, unpacking: Unpacking) -> IO[bytes]:
    """Return the unpacked content as a file in which one can go back; of what is packed, one without a name."""
    file = opener()
    start = file.read(4)
    file.seek(0)
    if not start.startswith(GZIP) and start != ZSTD:
        return file
    file.close()
    content = tempfile.TemporaryFile()  # noqa: SIM115
    for block in unpacking.blocks():
        content.write(block)
    content.seek(0)
    return content


def _kind(opener: Opener, packed_size: int) -> str:
    """Return zip, tar, or nothing for what is no archive."""
    head = b""
    for block in Unpacking(opener, packed_size).blocks(4096):
        head += block
        if head[:4] in ZIPS:
            with opener() as file:  # a zip that is packed again is not looked into
                return "zip" if file.read(4) in ZIPS else ""
        if len(head) >= 512:
            break
    return "tar" if head[257:262] == b"ustar" and _is_tar_header(head[:512]) else ""


def _is_tar_header(block: bytes) -> bool:
    """Whether a block has the checksum of a tar's header: its mark alone may stand in what a client sent."""
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


@lru_cache(maxsize=2)
def _archive(path: Path, size: int, modified_ns: int) -> _Archive:
    return _Archive(lambda: path.open("rb"), size)


def _inside(path: Path) -> tuple[Opener, int, str | None]:
    """How to open the file at a path, on disk or in an archive, its size there, and why the archive ends there."""
    if os.path.exists(path):  # of a name in an archive that no file system allows it is no error
        return (lambda: path.open("rb")), path.stat().st_size, None
    for outer in path.parents:
        if outer.is_file():
            status = outer.stat()
            archive = _archive(outer, status.st_size, status.st_mtime_ns)
            name = str(path.relative_to(outer))
            if name in archive.files:
                last = name == next(reversed(archive.files))
                return (*archive.files[name], archive.stop_reason if last else None)
            break
    return (lambda: path.open("rb")), 0, None  # which says that there is no such file


def members(path: Path) -> list[Path] | None:
    """Return the files in an archive, in its order, as paths below it; None where the file is no archive.

    Raises
    ------
    OSError
        The file cannot be read, or there is no space to unpack it.
    """
    status = path.stat()
    archive = _archive(path, status.st_size, status.st_mtime_ns)
    return [path / name for name in archive.files] if archive.is_one else None


def is_packed(path: Path) -> bool:
    """Whether a file is gzip or zstd, so that its size says little of what is in it."""
    with _inside(path)[0]() as file:
        start = file.read(4)
    return start.startswith(GZIP) or start == ZSTD


def stop_reason(path: Path) -> str | None:
    """Return why an archive is not read to its end; None where it is."""
    status = path.stat()
    return _archive(path, status.st_size, status.st_mtime_ns).stop_reason


def size(path: Path) -> int:
    """Return the size of a file, on disk or in an archive as it is packed there, bytes."""
    return _inside(path)[1]


def raw_blocks(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file, on disk or in an archive, as they are there."""
    with _inside(path)[0]() as file:
        try:
            while block := file.read(1 << 20):
                yield block
        except _BROKEN:
            return
        except OSError as error:
            if error.errno is not None:
                raise


def unpacking(path: Path) -> tuple[Unpacking, str | None]:
    """Return what unpacks a file, on disk or in an archive, and why a damaged archive ends after it."""
    opener, size, reason = _inside(path)
    return Unpacking(opener, size), reason


def on_disk(path: Path) -> Path | IO[bytes]:
    """Return a file in which one can go back: the path, or, of what is packed, its content as a file without a name."""
    opener, size, _ = _inside(path)
    if os.path.exists(path):
        with opener() as file:
            start = file.read(4)
        if not start.startswith(GZIP) and start != ZSTD:
            return path
    content = tempfile.TemporaryFile()  # noqa: SIM115
    for block in Unpacking(opener, size).blocks():
        content.write(block)
    content.seek(0)
    return content


def forget() -> None:
    """Close the archives that were looked into last."""
    _archive.cache_clear()
