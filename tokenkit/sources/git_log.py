"""Git: the history of a repository, as text that ``git log --numstat`` writes; ``tokenkit try`` writes it itself.

The author is the token, the folder and the kind of change the operation, the file the object, the changed lines
``rows``, and the author's time zone the network. A change of a file is an event, and so is a commit without one.
``FORMAT`` is what to ask git for; its own format, ``fuller`` and ``--date=iso`` are read, too. Traps: names and dates
are whatever somebody configured, so that this log shows habits and proves nothing; a rebase writes the same change
under another id; summer time is another zone.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path, PurePosixPath

from tokenkit.sources import files
from tokenkit.sources.contract import BATCH, Batch, Quarantined, Reading, Record, Source, Tally
from tokenkit.sources.mapped import Mapping, batches
from tokenkit.sources.tabular import Rows, field_of_each

FORMAT = "commit%x09%H%x09%aI%x09%aE%x09%cE%x09%aN"  # git log --numstat --format=FORMAT
MAPPING = Mapping(
    name="git-log",
    issuer="git",
    columns={
        "time": "author date", "event_uid": "commit + file", "native_id": "author e-mail", "principal": "author name",
        "app": "committer", "src_ip": "time zone", "operation": "kind of change + folder", "activity": "kind of change",
        "resource": "file", "rows": "added + deleted",
    },
    values={"service": "git", "token_kind": "git_author", "token_lifetime": "long_lived", "status": "ok",
            "resource_type": "file"},
    files=(".log", ".txt", ".gitlog", ".log.gz", ".txt.gz"),
    unique_ids=True,  # a commit's id is the hash of its content
)  # fmt: skip
DEPTH = 2  # folders of a path that tell operations apart
_OURS = re.compile(r"commit\t([0-9a-f]{40,64})\t([^\t]*)\t([^\t]*)\t([^\t]*)\t(.*)")
_COMMIT = re.compile(r"commit ([0-9a-f]{40,64})(?: .*)?")
_PERSON = re.compile(r"(Author|Commit): +(.*?) <([^>]*)>")
_DATE = re.compile(r"(?:AuthorDate|Date): +(.*)")
_OF_HEADER = re.compile(
    r"(Merge|CommitDate|Commit|Author|Date|AuthorDate|Notes[^:]*|gpg|Reflog[^:]*|Tag[^:]*):| {4}|\t"
)
_NUMSTAT = re.compile(r"(\d{1,18}|-)\t(\d{1,18}|-)\t(.+)")
_RENAME = re.compile(r"(.*)\{(?:.*) => (.*)\}(.*)|.* => (.*)")


@dataclass
class Commit:
    """What a header says of a commit, and where it stands."""

    number: int
    header: bytes
    uid: str
    date: str = ""
    email: str = ""
    name: str = ""
    committer: str = ""
    has_file: bool = False


def is_git_log(path: Path) -> bool:
    """Whether a file begins as ``git log`` begins it."""
    first = files.Reader(path).head(4096).lstrip().split(b"\n", 1)[0].decode("utf-8", "replace").rstrip("\r")
    return bool(_OURS.fullmatch(first) or _COMMIT.fullmatch(first))


def read(path: Path, reading: Reading, tally: Tally) -> Iterator[Batch]:
    """Yield the events of a history; a line that is none is quarantined."""
    yield from batches(MAPPING, path, reading, tally, _rows(path))


def _rows(path: Path) -> Iterator[Rows]:
    commit: Commit | None = None
    for numbers, lines, quarantined in files.Reader(path).lines(BATCH):
        rows = Rows(quarantined=list(quarantined))
        records: list[Record] = []
        for number, line in zip(numbers, lines, strict=True):
            text = line.decode("utf-8", "replace").rstrip("\r")
            if started := _begin(number, line, text):
                _end(commit, rows, records)
                commit = started
            elif change := _NUMSTAT.fullmatch(text):
                if commit is None:
                    why = "a file of a commit whose header is missing or cannot be read"
                    rows.quarantined.append(Quarantined.of(f"line {number}", line, why))
                    continue
                commit.has_file = True
                _add(rows, records, number, commit.header + b"\n" + line, _record(commit, *change.groups()))
            elif not (commit and _continue(commit, text)):
                rows.quarantined.append(Quarantined.of(f"line {number}", line, "not a line of git log --numstat"))
                _end(commit, rows, records)
                commit = None  # it may have begun a commit, whose files are no other's
        rows.columns = {name: field_of_each(records, name) for name in MAPPING.needed}
        yield rows
    rest, last = Rows(), list[Record]()
    _end(commit, rest, last)
    if last:
        rest.columns = {name: field_of_each(last, name) for name in MAPPING.needed}
        yield rest


def _begin(number: int, line: bytes, text: str) -> Commit | None:
    """Return the commit that a line begins."""
    if ours := _OURS.fullmatch(text):
        uid, date, email, committer, name = ours.groups()
        return Commit(number, line, uid, date, email, name, committer)
    if plain := _COMMIT.fullmatch(text):
        return Commit(number, line, plain.group(1))
    return None


def _continue(commit: Commit, text: str) -> bool:
    """Take what a line of a header says; return whether it is one."""
    if commit.has_file or not _OF_HEADER.match(text):
        return False
    if person := _PERSON.fullmatch(text):
        role, name, email = person.groups()
        if role == "Author":
            commit.name, commit.email = name, email
        commit.committer = email if role == "Commit" else commit.committer
    elif date := _DATE.fullmatch(text):
        commit.date = date.group(1)
    return True


def _end(commit: Commit | None, rows: Rows, records: list[Record]) -> None:
    """Add a commit that changed no file, such as a merge, as an event of its own."""
    if commit and not commit.has_file:
        _add(rows, records, commit.number, commit.header, _record(commit, "0", "0", ""))


def _add(rows: Rows, records: list[Record], number: int, raw: bytes, record: Record) -> None:
    rows.numbers.append(number)
    rows.raw.append(raw)
    records.append(record)


def _record(commit: Commit, added: str, deleted: str, path: str) -> Record:
    path = file_name(path)
    moment = _moment(commit.date)
    kind = _kind(added, deleted) if path else "commit"
    folder = "/".join(PurePosixPath(path).parts[:-1][:DEPTH]) or "." if path else ""
    return {
        "author date": moment.isoformat() if moment else commit.date,
        "time zone": f"UTC{moment.isoformat()[-6:]}" if moment else None,
        "commit + file": f"{commit.uid}:{path}",
        "author e-mail": commit.email or commit.name,
        "author name": commit.name,
        "committer": commit.committer if commit.committer != commit.email else None,
        "kind of change + folder": f"{kind} {folder}".strip(),
        "kind of change": kind,
        "file": path or None,
        "added + deleted": sum(int(n) for n in (added, deleted) if n != "-"),
    }


def _kind(added: str, deleted: str) -> str:
    """Return how a file changed, as far as numbers of lines say it.

    Examples
    --------
    >>> [_kind(*lines) for lines in (("3", "0"), ("0", "3"), ("3", "1"), ("-", "-"), ("0", "0"))]
    ['add', 'delete', 'edit', 'replace', 'edit']
    """
    if "-" in (added, deleted):
        return "replace"  # binary
    return "add" if deleted == "0" != added else "delete" if added == "0" != deleted else "edit"


def _moment(date: str) -> datetime | None:
    """Return a date with its zone, as git's formats have it; None of what is none."""
    try:
        moment = datetime.fromisoformat(re.sub(r" ([+-]\d{4})$", r"\1", date))
    except (ValueError, OverflowError):
        try:
            moment = parsedate_to_datetime(date)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    return moment if moment.tzinfo else None


def file_name(path: str) -> str:
    r"""Return a file's name as it is, without git's quotes; of a renamed file the new one.

    Examples
    --------
    >>> file_name('"caf\\303\\251 \\"x\\".py"'), file_name("src/{old => new}/a.py"), file_name("a.py => b.py")
    ('café "x".py', 'src/new/a.py', 'b.py')
    """
    if len(path) > 1 and path[0] == path[-1] == '"':
        return re.sub(rb"\\([0-7]{3}|.)", _unquoted, path[1:-1].encode("utf-8", "replace")).decode("utf-8", "replace")
    if renamed := _RENAME.fullmatch(path):
        before, new, after, whole = renamed.groups()
        return whole if whole is not None else f"{before}{new}{after}".replace("//", "/")
    return path


_ESCAPES = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}


def _unquoted(match: re.Match[bytes]) -> bytes:
    code = match.group(1)
    return bytes([int(code, 8) & 255]) if len(code) == 3 else _ESCAPES.get(code, code)


SOURCE = Source(
    MAPPING.name, "git log --numstat: who changes what (tokenkit try writes it)", MAPPING.endings, lambda record: False,
    read, columns=MAPPING.filled, recognises_file=is_git_log,
)  # fmt: skip
