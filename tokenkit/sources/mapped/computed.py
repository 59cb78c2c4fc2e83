"""Computed: rows of a log some of whose columns are made from several fields of a record, by a function of a source.

Reads  JSON in any wrapper, CSV and Parquet by ``wrappers`` and ``tabular``. Gives ``Rows`` as ``tabular`` does.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from tokenkit.errors import SourceError
from tokenkit.sources import files, tabular, wrappers
from tokenkit.sources.contract import BATCH, Quarantined, Record
from tokenkit.sources.fields.masking import tidy_text
from tokenkit.sources.mapped.values import first_of
from tokenkit.sources.tabular import Rows

Fields = Callable[[Record], Record | list[Record]]


def rows(path: Path, columns: Sequence[str], wanted: wrappers.Wanted, fields: Fields) -> Iterator[Rows]:
    """Yield some columns of a file, its own and computed ones, in batches of rows.

    Parameters
    ----------
    path : Path
    columns : list of str
        Names with dots lead into objects and lists.
    wanted : function of a record
        Whether an object of JSON is a record of the log, rather than an envelope of them.
    fields : function of a record
        As of ``with_fields``. A row of a CSV is a record of its cells that are not blank.
    """
    form = tabular.format_of(path)
    names: list[str] = []
    if form != "jsonl":
        try:
            names = tabular.names(path, form)
        except SourceError:  # its lines are quarantined one by one, so that one odd file stops nothing
            form = "jsonl" if form == "csv" else form
    if form == "jsonl":
        for group in wrappers.records(path, wanted, BATCH):
            given = Rows(group.numbers, {}, group.lines, group.quarantined, group.place)
            yield with_fields(given, group.records, columns, fields)
        return
    for part in tabular.rows(path, form, names):
        yield with_fields(part, _records(part, names), columns, fields)


def _records(part: Rows, names: list[str]) -> list[Record]:
    cells = zip(*(part.columns[name] for name in names), strict=True) if names else [()] * len(part.numbers)
    return [
        {name: cell for name, cell in zip(names, row, strict=True) if not isinstance(cell, str) or cell.strip()}
        for row in cells
    ]


def with_fields(given: Rows, records: Sequence[Record], columns: Sequence[str], fields: Fields) -> Rows:
    """Return the rows that records are.

    Parameters
    ----------
    given : Rows
        Number and text of each record, and what is quarantined already.
    records : sequence of dict
    columns : list of str
        Names of columns, of the record itself and of what ``fields`` computes; with dots for what lies in an object.
    fields : function of a record
        Returns what it computes by name, which counts before the record's own field of that name. A list of several
        makes as many rows of the record. Its ValueError, which quotes nothing, quarantines the record.
    """
    out = Rows(quarantined=list(given.quarantined), place=given.place)
    owners: list[Record] = []
    made: list[Record] = []
    with files.without_collection():
        for number, line, record in zip(given.numbers, given.raw, records, strict=True):
            try:
                computed = fields(record)
            except ValueError as error:
                reason = tidy_text(str(error), 200)
                out.quarantined.append(Quarantined.of(f"{given.place} {number}", line, reason))
                continue
            several = [computed] if isinstance(computed, dict) else computed
            out.raw += [line] if isinstance(computed, dict) else map(files.as_json, several)
            out.numbers += [number] * len(several)
            owners += [record] * len(several)
            made += several
        out.columns = {name: _column(owners, made, name) for name in columns}
    return out


def _column(records: list[Record], made: list[Record], name: str) -> list[Any]:
    """Return what was computed under a name, null too; where nothing was, the record's own field."""
    if all(name in computed for computed in made):
        return [computed[name] for computed in made]
    own = tabular.field_of_each(records, name)
    return [computed.get(name, value) for computed, value in zip(made, own, strict=True)]


def has_header(path: Path, header: Collection[str]) -> bool:
    """Whether a file is a CSV whose columns have all these names, and others perhaps."""
    if tabular.format_of(path) != "csv":
        return False
    try:
        return {*header} <= {*tabular.names(path, "csv")}
    except SourceError:
        return False


def inner(record: Record, *names: str) -> Record:
    """Return the object that names lead to, one in another; an empty one where there is none.

    Examples
    --------
    >>> inner({"auth": {"metadata": {"role": "ci"}}}, "auth", "metadata"), inner({"auth": None}, "auth")
    ({'role': 'ci'}, {})
    """
    value: Any = record
    for name in names:
        value = value.get(name) if type(value) is dict else None
    return value if type(value) is dict else {}


def text(value: Any) -> str | None:
    """Return a text that is not blank, a whole number as text, the first of a list; None of anything else.

    Examples
    --------
    >>> text(" get "), text(17), text(["a", "b"]), text({}), text("")
    ('get', '17', 'a', None, None)
    """
    value = first_of(value) if type(value) is list else value
    if type(value) is int or (type(value) is float and value.is_integer()):
        return str(int(value))
    return (value.strip() or None) if type(value) is str else None


def first_text(record: Record, *names: str) -> str | None:
    """Return the first of these fields that has a text, as ``text`` has it; None where none has.

    Examples
    --------
    >>> first_text({"org": None, "business": "acme"}, "org", "business")
    'acme'
    """
    return next((value for name in names if (value := text(record.get(name)))), None)


def parsed(value: Any) -> Record:
    """Return an object, or the one that a text is as JSON; an empty one of anything else.

    Examples
    --------
    >>> parsed({"a": 1}), parsed('{"a": 1}'), parsed("a")
    ({'a': 1}, {'a': 1}, {})
    """
    if type(value) is str and value.lstrip().startswith("{"):
        try:
            value = files.parse(value.encode("utf-8", "replace"))
        except ValueError:
            return {}
    return value if type(value) is dict else {}
