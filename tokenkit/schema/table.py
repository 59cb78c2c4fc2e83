"""A table of tokenkit: what one row is, and its columns."""

from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

TIME = pa.timestamp("us", "UTC")
STRING, INT, FLOAT, BOOL, DAY = pa.string(), pa.int64(), pa.float64(), pa.bool_(), pa.date32()


@dataclass(frozen=True)
class Column:
    """One column: its type, unit, whether null is allowed, meaning and OCSF 1.8 attribute."""

    name: str
    type: pa.DataType
    doc: str
    unit: str = ""
    ocsf: str = ""
    required: bool = False


@dataclass(frozen=True)
class Table:
    """A named table: what one row is, its columns, and the column it is stored by, if any."""

    name: str
    row: str
    columns: tuple[Column, ...]
    partition: str | None = None

    @cached_property
    def arrow(self) -> pa.Schema:
        """As an Arrow schema with unit, meaning and OCSF attribute as field metadata."""
        return pa.schema(
            [pa.field(c.name, c.type, metadata={"unit": c.unit, "doc": c.doc, "ocsf": c.ocsf}) for c in self.columns]
        )

    @property
    def names(self) -> list[str]:
        """The columns' names in order."""
        return [c.name for c in self.columns]
