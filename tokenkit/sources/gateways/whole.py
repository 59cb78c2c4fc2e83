"""Whole: many lines at once, as columns, where they are plain: no wrapper, one shape, no odd value.

Arrow's readers of JSON and CSV take them apart. Whatever is odd in any way goes line by line (``calls.of_records``),
which gives the same calls: what is read here is only read faster.
"""

import re
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json

from tokenkit.sources import files
from tokenkit.sources.contract import Reading
from tokenkit.sources.fields.columns import LARGEST, ColumnReader
from tokenkit.sources.fields.zones import Micros
from tokenkit.sources.gateways import requests
from tokenkit.sources.gateways.calls import Calls, handles_of
from tokenkit.sources.gateways.profile import Names, Profile
from tokenkit.sources.gateways.text import KINDS

STRICT = ("address", "ident")  # kinds of words that could also be another word
SLICE = 5_000  # lines: one odd line sends so many the slow way
_NOTHING = pa.array(["", "-"])
_NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$"
Mask = np.ndarray[Any, np.dtype[np.bool_]]
Columns = dict[str, pa.Array]  # text or double, by the names of the log


def read(lines: list[bytes], profile: Profile, reading: Reading) -> tuple[Calls | None, Mask]:
    """Return the calls of the lines that can be read at once, in their order, and which lines these are."""
    names = dict.fromkeys((*profile.fields, *reading.gateway.key_fields))
    if profile.table:
        return None, np.zeros(len(lines), dtype=bool)
    calls, taken = _slice(lines, names, profile, reading)
    if calls is not None or len(lines) <= SLICE:
        return calls, taken
    starts = range(0, len(lines), SLICE)
    each = [_slice(lines[start : start + SLICE], names, profile, reading) for start in starts]
    parts = [calls for calls, _ in each if calls is not None]
    return (_joined(parts) if parts else None), np.concatenate([taken for _, taken in each])


def _slice(lines: list[bytes], names: dict[str, None], profile: Profile, reading: Reading) -> tuple[Calls | None, Mask]:
    columns = _of_json(lines, names, profile) if lines[0][:1] == b"{" else _of_text(lines, profile)
    if columns is None:
        return None, np.zeros(len(lines), dtype=bool)
    return _calls(columns, len(lines), profile, reading)


def _of_json(lines: list[bytes], names: dict[str, None], profile: Profile) -> Columns | None:
    """Return these fields of lines of JSON; None where one is no object, or a field has two types."""
    # every line is one object then: between two of them no JSON goes on
    if not all(line[:1] == b"{" and line[-1:] == b"}" for line in lines):
        return None
    try:
        first = files.parse(lines[0])
        content = b"\n".join(lines)
        content.decode()
        marks = dict.fromkeys(name for each in profile.marks for name in each if name not in names)
        dotted = [name for name in names if "." in name]
        if any(f'"{name}"'.encode() in content for name in dotted):
            return None  # it may be a field's own name, which counts before what lies inside an object
        schema = pa.schema(
            _kinds(first, [(name,) for name in (*names, *marks)] + [tuple(n.split(".")) for n in dotted])
        )
        table = pyarrow.json.read_json(
            pa.BufferReader(content),
            pyarrow.json.ReadOptions(use_threads=False, block_size=len(content) + 1),
            pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
        )
    except (ValueError, pa.ArrowException):  # UnicodeDecodeError and ArrowInvalid among them
        return None
    if table.num_rows != len(lines) or any(table[name].null_count < len(lines) for name in dotted):
        return None
    columns: Columns = {name: table[name].combine_chunks() for name in (*names, *marks)}
    for name in dotted:
        first_part, *rest = name.split(".")
        columns[name] = pc.struct_field(table[first_part].combine_chunks(), rest)
    for name in names:
        if pa.types.is_list(columns[name].type):
            if pc.any(pc.equal(pc.list_value_length(columns[name]), 0)).as_py() or columns[name].flatten().null_count:
                return None
            of_all = name in profile.forwarded
            columns[name] = pc.binary_join(columns[name], ", ") if of_all else pc.list_element(columns[name], 0)
        if pa.types.is_struct(columns[name].type):
            return None
    return {name: column for name, column in columns.items() if column.null_count < len(lines)}


def _kinds(record: dict[str, Any], paths: list[tuple[str, ...]], inside: bool = False) -> list[pa.Field]:
    """Return the fields at these paths with the types that they have in one record; text where it has none."""
    below: dict[str, list[tuple[str, ...]]] = {}
    for name, *rest in paths:
        below.setdefault(name, []).extend([tuple(rest)] if rest else [])
    fields = []
    for name, inner in below.items():
        value = record.get(name)
        if inner or type(value) is dict:
            kind = pa.struct(_kinds(value if type(value) is dict else {}, inner, inside=True))
        elif inside and type(value) is list:
            kind = pa.list_(pa.string())
        else:
            kind = pa.float64() if type(value) in (int, float) else pa.string()
        fields.append(pa.field(name, kind))
    return fields


def _of_text(lines: list[bytes], profile: Profile) -> Columns | None:
    """Return the fields of lines of text that are all of the first plain format; None where one is not."""
    content = b"\n".join(lines)
    if b"\\" in content or b"\r" in content or b"\0" in content:
        return None
    found = next((f for f in profile.plain if all(line.count(b'"') == f[1] for line in lines)), None)
    if not found or not _is_quoted_by_words(content, len(lines), found[1] // 2):
        return None
    names = list(found[0])
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(content),
            pyarrow.csv.ReadOptions(use_threads=False, column_names=names, block_size=len(content) + 1),
            pyarrow.csv.ParseOptions(delimiter=" ", quote_char='"', double_quote=False),
            pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        )
    except pa.ArrowException:
        return None
    if table.num_rows != len(lines):
        return None
    columns = {name: table[name].combine_chunks() for name in names}
    for name, kind in found[0].items():
        if kind in STRICT and not all(map(re.compile(KINDS[kind]).fullmatch, columns[name].unique().to_pylist())):
            return None
    day, zone = columns["time_local"], columns.pop("zone")
    if not pc.all(pc.and_(pc.starts_with(day, "["), pc.ends_with(zone, "]"))).as_py():
        return None
    columns["time_local"] = pc.binary_join_element_wise(
        pc.utf8_slice_codeunits(day, 1), pc.utf8_slice_codeunits(zone, 0, -1), " "
    )
    return columns


def _is_quoted_by_words(content: bytes, lines: int, pairs: int) -> bool:
    """Whether each quote begins or ends a word between blanks, so that a reader of CSV takes it as it is meant."""
    at_end = content.count(b'"\n') + content.endswith(b'"')
    return content.count(b' "') == lines * pairs and content.count(b'" ') + at_end == lines * pairs


def _calls(columns: Columns, count: int, profile: Profile, reading: Reading) -> tuple[Calls | None, Mask]:
    """Return the calls of the rows that have nothing odd, and which rows these are."""
    sound = np.ones(count, dtype=bool)
    for names in profile.marks:
        sound &= _any_valid([columns[name] for name in names if name in columns], count)
    none = pa.nulls(count, pa.string())

    def texts(names: Names, labels: bool) -> pa.Array:
        """The first of these fields, as text; a row where one is a number is odd."""
        found = [columns[name] for name in names if name in columns]
        for column in found:
            if pa.types.is_floating(column.type):
                sound[column.is_valid().to_numpy(zero_copy_only=False)] = False
        found = [column for column in found if pa.types.is_string(column.type)]
        if labels:
            found = [pc.if_else(pc.is_in(column, _NOTHING), None, column) for column in found]
        return pc.coalesce(*found, none) if found else none

    def numbers(names: Names) -> pa.Array:
        found = [_numbers(columns[name], sound) for name in names if name in columns]
        return pc.coalesce(*found) if found else pa.nulls(count, pa.float64())

    key_fields = (*reading.gateway.key_fields, *profile.key_id)
    keys = texts(key_fields, True)
    handles = {}
    if profile.handle_field in key_fields and profile.handle_field in columns:
        held = keys.filter(pc.equal(keys, columns[profile.handle_field])).unique().to_pylist()
        handles = handles_of(profile.name, held, held)
    method, path = texts(profile.method, False), texts(profile.path, False)
    if profile.request and path.null_count:
        asked = texts(profile.request, False).dictionary_encode()
        pairs = [requests.method_and_path(text) for text in asked.dictionary.to_pylist()]
        method = pc.if_else(
            path.is_null(), pc.coalesce(method, _spread([pair[0] for pair in pairs], asked.indices)), method
        )
        path = pc.coalesce(path, _spread([pair[1] for pair in pairs], asked.indices))
    sound &= pc.is_valid(pc.coalesce(path, method)).to_numpy(zero_copy_only=False)
    calls = Calls(
        _times(columns, count, profile, reading, sound), keys, texts(profile.event_uid, True),
        texts(profile.principal, True), method, path, texts(profile.user_agent, False),
        _hops(columns, texts, profile, bool(reading.gateway.trusted_proxies)),
        numbers(profile.status), numbers(profile.duration),
        _amounts(numbers(profile.request_bytes), sound), _amounts(numbers(profile.response_bytes), sound), handles,
    )  # fmt: skip
    if sound.all():
        return calls, sound
    return (_rows(calls, sound) if sound.any() else None), sound


def _any_valid(columns: list[pa.Array], count: int) -> Mask:
    valid = np.zeros(count, dtype=bool)
    for column in columns:
        valid |= column.is_valid().to_numpy(zero_copy_only=False)
    return valid


def _spread(values: list[str | None], indices: pa.Array) -> pa.Array:
    return pa.array(values, pa.string()).take(indices)


def _numbers(column: pa.Array, sound: Mask) -> pa.Array:
    """Return a column of numbers, or of text that are numbers; a row with other text is odd."""
    if pa.types.is_floating(column.type):
        return column
    text = pc.if_else(pc.is_in(column, _NOTHING), None, column)
    good = pc.match_substring_regex(text, _NUMBER).fill_null(True)
    sound &= good.to_numpy(zero_copy_only=False)
    return pc.if_else(good, text, None).cast(pa.float64())


def _amounts(numbers: pa.Array, sound: Mask) -> pa.Array:
    """Return whole numbers; a row with one that is out of range is odd."""
    values = numbers.to_numpy(zero_copy_only=False)
    missing = np.isnan(values)
    with np.errstate(invalid="ignore"):
        good = (values >= 0) & (values <= LARGEST)
    sound &= good | missing
    return pa.array(np.round(np.where(good, values, 0)).astype(np.int64), mask=missing)


def _times(columns: Columns, count: int, profile: Profile, reading: Reading, sound: Mask) -> Micros:
    """Return the times; each distinct text is read once, by what reads times line by line."""
    column = next((columns[name] for name in profile.time if name in columns), None)
    if column is None or column.null_count:
        sound[:] = False
        return np.zeros(count, dtype=np.int64)
    encoded = column.dictionary_encode() if pa.types.is_string(column.type) else None
    values = requests.times(encoded.dictionary.to_pylist()) if encoded else column.to_pylist()
    reader = ColumnReader([])
    micros = reader.times(values, profile.time[0], profile.per_second, reading.gateway.timezone)
    odd = np.zeros(len(values), dtype=bool)
    odd[list(reader.reasons)] = True
    codes = encoded.indices.to_numpy(zero_copy_only=False) if encoded else np.arange(count)
    sound &= ~odd[codes]
    return micros[codes]


def _hops(columns: Columns, texts: Callable[[Names, bool], pa.Array], profile: Profile, trusted: bool) -> pa.Array:
    """As of ``calls``: the peer alone where no proxy is trusted and the log names it."""
    peer = texts(profile.address, True)
    if not trusted and not peer.null_count:
        return peer
    before = [texts((name,), True) for name in profile.forwarded if name in columns]
    if not trusted:
        return pc.coalesce(peer, *reversed(before))
    hops = peer
    for column in reversed(before):  # Arrow's null_handling="skip" leaves out rows of nothing but nulls
        hops = pc.coalesce(pc.binary_join_element_wise(column, hops, ", "), hops, column)
    return hops


def _rows(calls: Calls, mask: Mask) -> Calls:
    at = pa.array(mask)
    columns = {f.name: getattr(calls, f.name) for f in fields(calls) if f.name not in ("time", "handles")}
    return replace(calls, time=calls.time[mask], **{name: column.filter(at) for name, column in columns.items()})


def _joined(parts: list[Calls]) -> Calls:
    """Return the calls of several slices as one."""
    if len(parts) == 1:
        return parts[0]
    names = [f.name for f in fields(Calls) if f.name not in ("time", "handles")]
    columns = {name: pa.concat_arrays([getattr(part, name) for part in parts]) for name in names}
    handles = {key: handle for part in parts for key, handle in part.handles.items()}
    return Calls(time=np.concatenate([part.time for part in parts]), handles=handles, **columns)
