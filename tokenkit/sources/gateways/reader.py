"""Reader: one reader of access logs for every gateway, by its profile.

The key's id is the first of ``Reading.gateway.key_fields`` that a line has, else what the gateway itself names. What
else a line holds (headers, bodies, query strings) is not kept. Traps: numbers as text, ``-`` for nothing, durations of
-1 for a call that broke off, methods that someone invented, names that someone only claimed to have.
"""

from collections.abc import Iterator
from pathlib import Path

from tokenkit.sources import files, wrappers
from tokenkit.sources.contract import BATCH, Batch, Quarantined, Reading, Record, Source, Tally
from tokenkit.sources.fields.sameness import event_ids
from tokenkit.sources.gateways import calls, text, w3c, whole
from tokenkit.sources.gateways.profile import Profile
from tokenkit.sources.objects import Records

SUFFIXES = (".json", ".jsonl", ".ndjson", ".log")


def source(profile: Profile) -> Source:
    """Return the source of a gateway's log."""

    def recognises(record: Record) -> bool:
        return _recognises(profile, record)

    def recognises_file(path: Path) -> bool:
        parse = _parser(profile, path)
        if parse is None:
            return False
        return any(map(recognises, wrappers.first_records(path, recognises, by_names=True, parse=parse)))

    def read(path: Path, reading: Reading, tally: Tally) -> Iterator[Batch]:
        return _batches(path, profile, reading, tally)

    is_text = bool(profile.lines or profile.table)
    return Source(
        profile.name, profile.doc, SUFFIXES, recognises, read, profile.handle_field, profile.columns, unwraps=True,
        recognises_file=recognises_file if is_text else None,
        is_lines=None if profile.table else wrappers.is_lines,  # what a line of a table is, a line before it says
    )  # fmt: skip


def _recognises(profile: Profile, record: Record) -> bool:
    return all(any(name in record for name in names) for names in profile.marks)


def _parser(profile: Profile, path: Path) -> wrappers.Parse | None:
    if profile.table:
        return w3c.parser(path)
    return text.parser(profile) if profile.lines else None


def _batches(path: Path, profile: Profile, reading: Reading, tally: Tally) -> Iterator[Batch]:
    """Yield the events of one file, wrapped or not, plain or packed, whole or cut off."""

    def wanted(record: Record) -> bool:
        return _recognises(profile, record)

    def read_whole(lines: list[bytes]) -> tuple[calls.Calls | None, whole.Mask]:
        return whole.read(lines, profile, reading)

    for part in wrappers.records(path, wanted, BATCH, by_names=True, parse=_parser(profile, path), whole=read_whole):
        with files.without_collection():
            batch = _batch(path, profile, reading, tally, part)
        if batch:
            yield batch
        tally.read += len(part.quarantined)
        directives = [one for one in part.quarantined if one.reason == w3c.DIRECTIVE]
        tally.ignored.update(one.reason for one in directives)
        tally.quarantined += [one for one in part.quarantined if one.reason != w3c.DIRECTIVE]


def _batch(path: Path, profile: Profile, reading: Reading, tally: Tally, part: Records) -> Batch | None:
    """Return the events among these records; the others are counted."""
    numbers, lines, records = part.numbers, part.lines, part.records
    tally.read += len(lines)
    if part.whole is not None:
        return _events(path, profile, reading, part, part.whole)
    if profile.table and profile.derive:
        for record in records:
            profile.derive(record)
    reasons, found = calls.of_records(records, profile, reading)
    if reasons:
        for i, reason in sorted(reasons.items()):
            tally.quarantined.append(Quarantined.of(f"{part.place} {numbers[i]}", lines[i], reason))
        numbers, lines = files.without(numbers, reasons), files.without(lines, reasons)
        records = files.without(records, reasons)
        _, found = calls.of_records(records, profile, reading)
    if not records:
        return None
    return _events(path, profile, reading, Records(numbers, lines, place=part.place), found)


def _events(path: Path, profile: Profile, reading: Reading, part: Records, found: calls.Calls) -> Batch:
    uids, contents = event_ids(found.event_uid.to_pylist(), part.lines, reading.gateway.unique_ids)
    return calls.to_events(found, profile, reading, path, part.numbers, part.place, uids, contents)
