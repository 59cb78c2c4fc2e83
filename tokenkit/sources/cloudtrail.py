"""CloudTrail: AWS's own log of API calls, in documents of records or in any other shape of ``aws.shapes``.

Traps: truth as text, bytes as floats, services where an address is expected, parameters that are null, calls of
services that have no credential, digest files beside the logs, summaries among the calls. What becomes of a record's
fields stands in ``aws.calls``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenkit.sources import files, packed, wrappers
from tokenkit.sources.aws import calls, exports, recognition, shapes
from tokenkit.sources.contract import BATCH, Batch, Quarantined, Reading, Record, Source, Tally
from tokenkit.sources.fields.sameness import event_ids

NAME = "cloudtrail"
DOCUMENT = b'{"Records":'  # how a file begins that CloudTrail wrote
USUAL = ("Management", "Data")  # categories of calls
LINES, HELD_LINES = 500, 10_000  # lines read at once; a line may be a batch of thousands of records
STREAMED = 256 << 20  # bytes of a file from which on its lines are not held at once
PACKED_TIMES = 20  # how much larger than packed a log may be

# what the other columns are made from
MORE = {
    "event_uid": ("sharedEventID", "eventID"),
    "time": ("eventTime",),
    "token_uid": ("userIdentity.accessKeyId", "userIdentity.credentialId", "userIdentity.principalId",
                  "userIdentity.onBehalfOf"),
    "session_uid": ("userIdentity.sessionContext",),
    "principal_uid": ("userIdentity.arn", "userIdentity.onBehalfOf"),
    "is_mfa": ("userIdentity.sessionContext",),
    "activity_id": ("readOnly",),
    "resource_uid": ("resources", "requestParameters"),
    "request_bytes": ("additionalEventData.bytesTransferredIn",),
    "response_bytes": ("additionalEventData.bytesTransferredOut",),
}  # fmt: skip


def read(path: Path, reading: Reading, tally: Tally) -> Iterator[Batch]:
    """Yield the events of one CloudTrail file, of any shape, whole or cut off."""
    if exports.is_table(path):
        yield from _table(path, reading, tally)
        return
    reader = files.Reader(path)
    is_document = reader.head(len(DOCUMENT)).startswith(DOCUMENT)
    if not is_document and not recognition.is_of_aws(path) and recognition.is_shipped(path):
        yield from _shipped(path, reading, tally)
        return
    if _is_large(path) and shapes.one_a_line(reader.head(files.HEADS[-1])):
        yield from _lines(path, reading, tally, reader.lines(LINES))
        return
    document = reader.document()
    if reader.stop_reason == files.TOO_LARGE:
        _quarantine(tally, "record 1", document, files.TOO_LARGE)
        return
    if shapes.one_a_line(document[: files.HEADS[-1]]):
        yield from _held_lines(path, reading, tally, document, reader.stop_reason)
        return
    try:
        with files.without_collection():
            parsed = files.parse(document)
        reason = ""
    except ValueError as error:
        parsed, reason = None, f"the document is {error}"
    if reason:
        yield from _pieces(path, reading, tally, document, reader.stop_reason, reason)
        return
    if recognition.is_digest(parsed):
        tally.read += 1
        tally.ignored[recognition.DIGEST_FILE] += 1
    elif isinstance(parsed, dict) and isinstance(parsed.get("Records"), list):
        yield from _records(path, reading, tally, parsed["Records"], document)
    else:
        with files.without_collection():
            records = shapes.unwrap(parsed)
        wraps_nothing = not records and parsed == []
        if wraps_nothing or (len(records) == 1 and type(records[0]) is not dict) or records == [parsed] == [{}]:
            _quarantine(tally, "record 1", document, reader.stop_reason or "no record in it")
            return
        waiting = _Waiting(path, reading, tally, "record")
        for number, record in enumerate(records, start=1):
            waiting.add(record, number, document if len(records) == 1 else None)
        yield from waiting.batches(last=True)
    if reader.stop_reason:
        _quarantine(tally, f"byte {len(document)}", b"", reader.stop_reason)


def _is_large(path: Path) -> bool:
    """Whether a file may not be held as a whole; of what is packed, its size says little."""
    size = packed.size(path)
    return size > STREAMED or (size * PACKED_TIMES > STREAMED and packed.is_packed(path))


def _records(path: Path, reading: Reading, tally: Tally, records: list[Any], document: bytes) -> Iterator[Batch]:
    """Yield the events of the one list of records that CloudTrail itself writes."""
    if not all(map(shapes.is_record, records)):
        waiting = _Waiting(path, reading, tally, "record")
        raw = _RawRecords(document)
        for number, item in enumerate(records, start=1):
            inner = shapes.unwrap(item, depth=1)
            for record in inner:
                waiting.add(record, number, raw if len(inner) == 1 else None)
        yield from waiting.batches(last=True)
        return
    raw_records = _RawRecords(document)
    for start in range(0, len(records), BATCH):
        part = records[start : start + BATCH]
        numbers = range(start + 1, start + 1 + len(part))
        with files.without_collection():
            batch = _batch(path, reading, tally, part, numbers, raw_records)
        if batch:
            yield batch


def _table(path: Path, reading: Reading, tally: Tally) -> Iterator[Batch]:
    """Yield the events of a table of CloudTrail's columns."""
    for records, numbers, raw, quarantined, unit in exports.records(path):
        tally.read += len(quarantined)
        tally.quarantined += quarantined
        waiting = _Waiting(path, reading, tally, unit)
        waiting.add_lines(records, numbers, raw)
        yield from waiting.batches(last=True)


def _shipped(path: Path, reading: Reading, tally: Tally) -> Iterator[Batch]:
    """Yield the events of a file in which a log shipper wrapped each record, or what AWS wraps some in."""
    waiting = _Waiting(path, reading, tally, "line")
    for part in wrappers.records(path, recognition.holds_records):
        tally.read += len(part.quarantined)
        tally.quarantined += part.quarantined
        for number, line, record in zip(part.numbers, part.lines, part.records, strict=True):
            inner = shapes.unwrap(record)
            for one in inner:
                waiting.add(one, number, line if len(inner) == 1 else None)
        yield from waiting.batches()
    yield from waiting.batches(last=True)


def _lines(path: Path, reading: Reading, tally: Tally, groups: files.Lines) -> Iterator[Batch]:
    """Yield the events of a file of lines, each a record or what wraps some."""
    waiting = _Waiting(path, reading, tally, "line")
    for numbers, lines, quarantined in groups:
        tally.read += len(quarantined)
        tally.quarantined += quarantined
        with files.without_collection():
            records, reasons = files.parse_lines(lines)
            if not reasons and all(map(shapes.is_record, records)):
                waiting.add_lines(records, numbers, lines)
            else:
                for number, line in zip(numbers, lines, strict=True):
                    waiting.add_pieces(shapes.pieces(line, number, "the line is not JSON"))
        yield from waiting.batches()
    yield from waiting.batches(last=True)


def _pieces(
    path: Path, reading: Reading, tally: Tally, document: bytes, stop_reason: str | None, reason: str
) -> Iterator[Batch]:
    """Yield the events of a file that is not JSON as a whole: lines, joined records, or a document that is damaged."""
    head = document[: files.HEADS[-1]]
    is_lines = shapes.one_a_line(document) or any(
        recognition.is_of_cloudtrail(record)
        for line in head.split(b"\n")[:50]
        for piece in shapes.pieces(line)
        if line.strip() and not piece.reason and not piece.offset
        for record in shapes.unwrap(piece.value)[:1]
        if b"\n" in document
    )
    if is_lines:
        yield from _held_lines(path, reading, tally, document, stop_reason)
        return
    if files.has_records(document):
        yield from _complete_records(path, reading, tally, document, stop_reason, reason)
        return
    waiting = _Waiting(path, reading, tally, "line")
    read_before = tally.read
    with files.without_collection():
        waiting.add_pieces(shapes.pieces(document, end_reason=stop_reason or ""))
    if not waiting.records and tally.read == read_before:
        _quarantine(tally, "record 1", document, stop_reason or reason)
    yield from waiting.batches(last=True)


def _held_lines(
    path: Path, reading: Reading, tally: Tally, document: bytes, stop_reason: str | None
) -> Iterator[Batch]:
    """Yield the events of the lines of a document; where it could not be read to its end, also of half a line."""
    end = document.rfind(b"\n") + 1 if stop_reason else len(document)
    yield from _lines(path, reading, tally, _groups(document[:end]))
    if stop_reason:
        waiting, quarantined_before = _Waiting(path, reading, tally, "line"), len(tally.quarantined)
        waiting.add_pieces(shapes.pieces(document[end:], document.count(b"\n") + 1, stop_reason))
        if len(tally.quarantined) == quarantined_before:
            _quarantine(tally, f"byte {len(document)}", b"", stop_reason)
        yield from waiting.batches(last=True)


def _groups(document: bytes) -> files.Lines:
    """Yield the lines of a document as ``Reader.lines`` does."""
    lines = document.split(b"\n")
    for start in range(0, len(lines), HELD_LINES):
        part = lines[start : start + HELD_LINES]
        numbers = list(range(start + 1, start + 1 + len(part)))
        if not all(map(bytes.strip, part)):
            numbers = [number for number, line in zip(numbers, part, strict=True) if line.strip()]
            part = [line for line in part if line.strip()]
        yield numbers, part, []


@dataclass
class _Waiting:
    """Records that wait for a batch, with their number in the file, their place and their bytes."""

    path: Path
    reading: Reading
    tally: Tally
    unit: str
    records: list[Any] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    raw: list[Any] = field(default_factory=list)

    def add(self, record: Any, number: int, raw: Any) -> None:
        self.records.append(record)
        self.numbers.append(number)
        self.raw.append(raw)

    def add_lines(self, records: list[Record], numbers: list[int], lines: list[bytes]) -> None:
        self.records += records
        self.numbers += numbers
        self.raw += lines

    def add_pieces(self, pieces: Iterator[shapes.Piece]) -> None:
        for piece in pieces:
            if piece.reason:
                place = f"byte {piece.offset}" if piece.reason == files.CUT_OFF else f"{self.unit} {piece.line}"
                _quarantine(self.tally, place, piece.raw, piece.reason)
                continue
            records = shapes.unwrap(piece.value)
            for record in records:
                self.add(record, piece.line, piece.raw if len(records) == 1 else None)

    def batches(self, last: bool = False) -> Iterator[Batch]:
        """Yield what waits in batches; unless it is the last, what fills none goes on waiting."""
        while len(self.records) >= BATCH or (last and self.records):
            records, self.records = self.records[:BATCH], self.records[BATCH:]
            numbers, self.numbers = self.numbers[:BATCH], self.numbers[BATCH:]
            raw, self.raw = self.raw[:BATCH], self.raw[BATCH:]
            with files.without_collection():
                batch = _batch(
                    self.path, self.reading, self.tally, records, range(len(records)),
                    _RawOf(records, numbers, raw), numbers, self.unit,
                )  # fmt: skip
            if batch:
                yield batch


@dataclass
class _RawOf:
    """The raw bytes of records that wait, by index; of those that were unwrapped, bytes that stand for them."""

    records: list[Any]
    numbers: list[int]
    raw: list[Any]

    def __getitem__(self, index: int) -> bytes:
        raw = self.raw[index]
        if isinstance(raw, _RawRecords):
            return raw[self.numbers[index]]
        return shapes.bytes_of(self.records[index]) if raw is None else raw


def _quarantine(tally: Tally, place: str, piece: bytes, reason: str) -> None:
    tally.read += 1
    tally.quarantined.append(Quarantined.of(place, piece, reason))


class _RawRecords:
    """The raw bytes of each record; split only when the first quarantined record asks for them."""

    def __init__(self, document: bytes) -> None:
        self._document = document
        self._records: list[bytes] | None = None

    def __getitem__(self, number: int) -> bytes:
        if self._records is None:
            self._records = [record for _, record, complete in files.records_in(self._document) if complete]
        return self._records[number - 1] if number <= len(self._records) else self._document


def _complete_records(
    path: Path, reading: Reading, tally: Tally, document: bytes, stop_reason: str | None, reason: str
) -> Iterator[Batch]:
    """Yield the complete records of a document that is not JSON as a whole; the rest is quarantined as one piece."""
    records: list[Any] = []
    numbers: list[int] = []
    raw: dict[int, bytes] = {}
    end, cut_off, quarantined_before = 0, False, len(tally.quarantined)
    for number, (offset, record, complete) in enumerate(files.records_in(document), start=1):
        if not complete:
            end, cut_off = offset, True
            break
        end = offset + len(record)
        raw[number] = record
        try:
            records.append(files.parse(record))
            numbers.append(number)
        except ValueError as error:
            _quarantine(tally, f"record {number}", record, f"the record is {error}")
        if len(records) == BATCH:
            if batch := _batch(path, reading, tally, records, numbers, raw):
                yield batch
            records, numbers, raw = [], [], {}
    if batch := _batch(path, reading, tally, records, numbers, raw):
        yield batch
    # a record that is not JSON explains why the document is not; else the cause lies behind the last record
    if stop_reason or cut_off or len(tally.quarantined) == quarantined_before or document[end:].strip(b" \t\r\n,]}"):
        _quarantine(tally, f"byte {end}", document[end:], stop_reason or (files.CUT_OFF if cut_off else reason))


def _batch(
    path: Path,
    reading: Reading,
    tally: Tally,
    records: Sequence[Any],
    keys: Sequence[int],
    raw: Any,
    numbers: Sequence[int] | None = None,
    unit: str = "record",
) -> Batch | None:
    """Return the events among these records; the others are counted.

    ``raw`` gives the bytes of a record by its key. ``numbers``, by key, are their places in the file; without them the
    keys are.
    """
    tally.read += len(records)

    def quarantine(indices: dict[int, str]) -> None:
        for i, reason in sorted(indices.items()):
            place = f"{unit} {keys[i] if numbers is None else numbers[keys[i]]}"
            tally.quarantined.append(Quarantined.of(place, raw[keys[i]], reason))

    if set(map(type, records)) - {dict}:
        no_objects = {i: "the record is not an object" for i, r in enumerate(records) if type(r) is not dict}
        quarantine(no_objects)
        records, keys = files.without(records, no_objects), files.without(keys, no_objects)

    def without_ignored() -> tuple[Sequence[Any], Sequence[int]]:
        categories = [record.get("eventCategory") for record in records]
        odd = [i for i, category in enumerate(categories) if category not in USUAL]
        by_rule = {i: rule for i in odd if (rule := recognition.rule_of(records[i]))}
        tally.ignored.update(by_rule.values())
        return (files.without(records, by_rule), files.without(keys, by_rule)) if by_rule else (records, keys)

    records, keys = without_ignored()
    reader, columns = calls.columns_of(records)
    if reader.reasons:  # it may stem from a table
        records = [_with_known_names(record) for record in records]
        records, keys = without_ignored()
        reader, columns = calls.columns_of(records)
    if reader.reasons:
        quarantine(reader.reasons)
        records, keys = files.without(records, reader.reasons), files.without(keys, reader.reasons)
        reader, columns = calls.columns_of(records)
    if not records:
        return None
    uids = columns["event_uid"]  # AWS's own: no client can choose them
    without_id = [] if all(uids) else [b"" if uid else raw[k] for uid, k in zip(uids, keys, strict=True)]
    columns["event_uid"], columns["contents"] = event_ids(uids, without_id, unique=True)
    columns["resource_uid"], columns["resource_type"] = calls.resources(records, columns)
    places = list(keys) if numbers is None else [numbers[k] for k in keys]
    return calls.events(path, reading, columns, places, NAME, calls.AWS)


def _with_known_names(record: Record) -> Record:
    """Return a record that stems from a table, with small letters or its caller as text, under CloudTrail's names."""
    if "eventName" in record and type(record.get("userIdentity")) is not str:
        return record
    named: Record = exports.with_known_names(record)
    if type(caller := named.get("userIdentity")) is str:
        named = named | {"userIdentity": exports.parse_text(caller) or caller}
    return named


SOURCE = Source(
    NAME,
    "AWS CloudTrail: documents of records, lines, arrays, exports of CloudWatch, Lake and Athena",
    (".json", ".jsonl", ".ndjson", ".log", ".csv", ".parquet"),
    recognition.recognises,
    read,
    recognises_file=recognition.recognises_file,
    columns={"src_ip" if column == "address" else column: (theirs,) for column, theirs in calls.TEXTS.items()} | MORE,
)
