"""Schema: the tables, and the two things done with them: an empty one, and a check of one that somebody brings.

``tables`` has the columns; ``empty`` gives a table with zero rows, ``conform`` checks and casts to it.
"""

import pyarrow as pa
import pyarrow.compute as pc

from tokenkit.errors import SchemaError, did_you_mean
from tokenkit.schema.table import DAY, INT, STRING, TIME, Column, Table
from tokenkit.schema.tables import BASELINE, DEVIATIONS, DIM_TOKEN, EVENTS, SEEN, TABLES, TOKENS

__all__ = [
    "BASELINE",
    "DAY",
    "DEVIATIONS",
    "DIM_TOKEN",
    "EVENTS",
    "INT",
    "SEEN",
    "STRING",
    "TABLES",
    "TIME",
    "TOKENS",
    "Column",
    "Table",
    "conform",
    "empty",
    "table",
]


def table(name: str) -> Table:
    """The table of that name.

    Raises
    ------
    SchemaError
        There is none; lists what exists.

    Examples
    --------
    >>> table("events").columns[0].name
    'event_uid'
    """
    if name not in TABLES:
        raise SchemaError(f"no table {name!r}; {did_you_mean(name, list(TABLES))}")
    return TABLES[name]


def empty(name: str) -> pa.Table:
    """The table with zero rows.

    Examples
    --------
    >>> empty("scores").num_rows
    0
    """
    return table(name).arrow.empty_table()


def conform(name: str, data: pa.Table) -> pa.Table:
    """Check and cast a table to its schema: columns in order, nullable ones that lack filled with null.

    Raises
    ------
    SchemaError
        A required column is missing or null, or a column cannot be cast; names it, what was expected and found.
    """
    arrays = []
    given = {column_name: n for n, column_name in enumerate(data.column_names)}  # Arrow makes its list anew each time
    for c in table(name).columns:
        if c.name not in given:
            if c.required:
                raise SchemaError(f"{name}: column {c.name} is missing; it has {', '.join(data.column_names)}")
            arrays.append(pa.nulls(data.num_rows, c.type))
            continue
        column = data.column(given[c.name])
        if pa.types.is_dictionary(column.type):
            column = pc.cast(column, column.type.value_type)
        try:
            column = column if column.type == c.type else pc.cast(column, c.type)
        except pa.ArrowException as error:  # also where Arrow knows no such cast
            raise SchemaError(f"{name}: column {c.name} is {column.type}, expected {c.type}: {error}") from error
        if c.required and column.null_count:
            raise SchemaError(f"{name}: column {c.name} has {column.null_count} nulls, expected none")
        arrays.append(column)
    return pa.table(arrays, schema=table(name).arrow)
