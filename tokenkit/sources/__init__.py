"""Sources: one file a log source, from raw files to batches of events.

``sources`` lists them: ours, registered in ``OURS``, and those of installed packages under the entry-point group
``tokenkit.sources``, each of which is a ``Source``. A new source is a file of its own and a name in ``OURS``.
"""

import os
import re
from functools import cache
from pathlib import Path

from tokenkit import plugins
from tokenkit.errors import InputError, SourceError, did_you_mean
from tokenkit.sources import (
    cloudtrail,
    files,
    gateways,
    git_log,
    github,
    hoop,
    kubernetes,
    litellm,
    mapped,
    mcp,
    model_usage,
    ocsf,
    okta,
    packed,
    vault,
    wrappers,
)
from tokenkit.sources.aws import recognition
from tokenkit.sources.contract import Batch, Quarantined, Reading, Record, Source, Tally

__all__ = [
    "Batch",
    "Quarantined",
    "Reading",
    "Source",
    "Tally",
    "find_files",
    "get",
    "recognise",
    "sample_of",
    "sources",
]

OURS = (
    cloudtrail.SOURCE, *gateways.SOURCES, ocsf.SOURCE, vault.SOURCE, github.SOURCE, okta.SOURCE,
    kubernetes.SOURCE, model_usage.OPENAI, model_usage.ANTHROPIC, litellm.SOURCE, hoop.SOURCE, mcp.SOURCE,
    git_log.SOURCE,
)  # fmt: skip
GROUP = "tokenkit.sources"

# rules by which a file is not read
EMPTY, DIGEST, UNKNOWN = "empty file", recognition.DIGEST_FILE, "no known source"
HIDDEN, OTHER_NAME, UNREADABLE = "hidden file", "name of another kind of file", "cannot be read"
ARCHIVE = "archive with nothing in it that can be unpacked"


@cache
def sources() -> dict[str, Source]:
    """Return every source by its name.

    Raises
    ------
    SourceError
        An installed package's source cannot be used; names the package.

    Examples
    --------
    >>> {"cloudtrail", "nginx", "ocsf", "vault-audit"} <= {*sources()}
    True
    """
    by_name = {source.name: source for source in OURS}
    for point, package, source in plugins.installed(GROUP, "source", SourceError):
        if not isinstance(source, Source):
            raise SourceError(f"source {point.name!r} of package {package} is no Source but {type(source).__name__}")
        if source.name in by_name:
            raise SourceError(f"package {package} brings a second source {source.name!r}. Remove the package.")
        by_name[source.name] = source
    return by_name


def get(name: str) -> Source:
    """Return the source of that name; a name that ends in ``.toml`` is the path of a mapping.

    Raises
    ------
    SourceError
        There is none; suggests which was probably meant.
    ConfigError
        The mapping cannot be used; tells what to correct.
    """
    known_sources = sources()
    if name.endswith(".toml"):
        source = mapped.load(Path(name))
        if source.name in known_sources:
            raise SourceError(f"{name}: name is {source.name!r}, which is another source's. Choose another name.")
        return source
    if name not in known_sources:
        raise SourceError(
            f"no source {name!r}: {did_you_mean(name, sorted(known_sources))} (tokenkit sources lists them)"
        )
    return known_sources[name]


def recognise(path: Path) -> Source | None:
    """Return the source of a file, by its first record, or None.

    A cut-off file is recognised if one record of it can be read; records before it that cannot be used are skipped. A
    digest file is not a log and has no source.
    """
    return _recognise(path)[0]


def sample_of(path: Path) -> Path:
    """Return the file that stands for an archive: the first in it of a known source, else the first; or the path."""
    inside = packed.members(path)
    return next((member for member in inside if recognise(member)), inside[0]) if inside else path


def _recognise(path: Path) -> tuple[Source | None, bool]:
    for record in files.first_records(path):
        if recognition.is_digest(record):
            return None, True
        if source := _of_record(record):
            return source, False
    # the outermost record that a source knows as it stands: what it holds may be a client's
    for record in wrappers.first_records(path, lambda record: _of_record(record) is not None, by_names=False):
        if source := _of_record(record):
            if source.unwraps:
                return source, False
            break
    for source in sources().values():
        if source.recognises_file and source.recognises_file(path):
            return source, False
    return None, False


def _of_record(record: Record) -> Source | None:
    return next((source for source in sources().values() if source.recognises(record)), None)


def find_files(path: Path, source: str | None = None) -> tuple[list[tuple[Path, Source]], dict[str, list[Path]]]:
    """Return the log files at a path, a file or a tree of folders.

    Parameters
    ----------
    path : Path
        File or folder.
    source : str, optional
        Name of the source, or path of a mapping; without one every file is recognised by its first record.

    Returns
    -------
    list of (Path, Source)
        Sorted by path.
        A file in an archive is a path below the archive. Links are followed, each folder is looked into once.
    dict of str to list of Path
        Files, and folders that cannot be read, that are left out, by rule.

    Raises
    ------
    InputError
        There is no such path.
    SourceError
        No such source, or nothing that can be read; tells what is there.
    """
    named = get(source) if source else None
    if not path.exists():
        raise InputError(f"{path}: no such file or folder. Check the path; it is taken from {Path.cwd()}")
    candidates, unreadable = _files_below(path) if path.is_dir() else ([path], [])
    log_files: list[tuple[Path, Source]] = []
    ignored: dict[str, list[Path]] = {UNREADABLE: unreadable} if unreadable else {}
    for file in candidates:
        taken, left_out = _look_into(file, path, named)
        log_files += taken
        for rule, paths in left_out.items():
            ignored.setdefault(rule, []).extend(paths)
    packed.forget()
    if not log_files:
        raise SourceError(_why_nothing(path, named, ignored))
    return log_files, ignored


def _files_below(root: Path) -> tuple[list[Path], list[Path]]:
    """Return the files in a tree of folders, sorted, and what of it cannot be read.

    Links to folders are followed after all others, so that a folder is found under its own path where it has one here.
    """
    found: list[Path] = []
    unreadable: list[Path] = []
    seen: set[tuple[int, int]] = set()
    folders: list[Path] = [root]
    links: list[Path] = []
    while folders or links:
        folder = folders.pop() if folders else links.pop(0)
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            unreadable.append(folder)
            continue
        for entry in entries:
            inner = folder / entry.name
            try:
                if entry.is_dir():
                    (links if entry.is_symlink() else folders).append(inner)
                elif entry.is_file():
                    found.append(inner)
                elif entry.is_symlink() and not inner.exists():
                    unreadable.append(inner)  # a link to nothing
            except OSError:
                unreadable.append(inner)
    return sorted(found), sorted(unreadable)


def _look_into(file: Path, root: Path, named: Source | None) -> tuple[list[tuple[Path, Source]], dict[str, list[Path]]]:
    """Return the logs in a file, itself or, of an archive, those in it; and what is left out, by rule."""
    try:
        inside = None if _rule_by_name(file, root) or not file.is_file() else packed.members(file)
    except OSError:
        return [], {UNREADABLE: [file]}
    if inside is None:
        rule, source = _source_of(file, root, named, file == root)
        return ([(file, source)], {}) if source else ([], {rule: [file]})
    taken: list[tuple[Path, Source]] = []
    left_out: dict[str, list[Path]] = {}
    for member in inside:
        rule, source = _source_of(member, root, named, file == root and len(inside) == 1)
        if source:
            taken.append((member, source))
        else:
            left_out.setdefault(rule, []).append(member)
    if not taken:  # a workbook, a program: one file that is no log
        return [], {next(iter(left_out), ARCHIVE): [file]}
    if taken[-1][0] != inside[-1] and (reason := packed.stop_reason(file)):  # else the last log says so itself
        left_out.setdefault(f"rest of an archive: {reason}", []).append(file)
    return taken, left_out


def _rule_by_name(file: Path, root: Path) -> str:
    inside = file.relative_to(root).parts if file != root else ()
    if any(part.startswith(".") for part in inside):
        return HIDDEN
    return DIGEST if any(part == "CloudTrail-Digest" for part in file.parts) else ""


def _source_of(file: Path, root: Path, named: Source | None, alone: bool) -> tuple[str, Source | None]:
    if rule := _rule_by_name(file, root):
        return rule, None
    try:
        if packed.size(file) == 0 and (file.is_file() or file != root):
            return EMPTY, None
        if named:
            has_suffix = any(re.search(re.escape(suffix) + r"($|[.-])", file.name) for suffix in named.suffixes)
            if not has_suffix and not alone:
                return OTHER_NAME, None
            is_digest = named is cloudtrail.SOURCE and _recognise(file)[1]
            return DIGEST, None if is_digest else named
        recognised, is_digest = _recognise(file)
        return (DIGEST if is_digest else UNKNOWN), recognised
    except OSError:
        return UNREADABLE, None


def _why_nothing(path: Path, named: Source | None, ignored: dict[str, list[Path]]) -> str:
    count = sum(map(len, ignored.values()))
    if not count:
        return f"{path}: the folder is empty, expected log files."
    what = ", ".join(f"{rule}: {len(paths)} (such as {paths[0].name})" for rule, paths in sorted(ignored.items()))
    known_names = ", ".join(sorted(sources()))
    remedy = (
        f"Files of {named.name} usually end in {', '.join(named.suffixes)}; one file alone is read whatever its name."
        if named
        else f"Name the source if it is one of {known_names}: SOURCE={path} (tokenkit sources describes them). "
        f"For columns of your own: tokenkit sources check {_example(path, ignored)}"
    )
    return f"{path}: nothing to read in {count} file{'s' * (count > 1)}: {what}. {remedy}"


def _example(path: Path, ignored: dict[str, list[Path]]) -> Path:
    return next((paths[0] for rule, paths in ignored.items() if rule == UNKNOWN), path)
