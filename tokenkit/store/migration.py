"""Migration: bring a workspace of an older version up to date, once, before anything else is done with it.

Reads and writes  the schema version (state.db), and whatever a step changes. A step that was interrupted is repeated.
"""

from collections.abc import Callable

from deltalake import Field

from tokenkit import schema
from tokenkit.config import Workspace
from tokenkit.store import lake, state


def migrate(workspace: Workspace) -> list[int]:
    """Take the steps that a workspace lacks, under its lock; return the versions that it was brought to.

    Raises
    ------
    InputError
        A newer tokenkit wrote it.
    """
    if not workspace.state.exists():
        return []
    taken = []
    with state.connect(workspace.state) as db:
        for number, step in STEPS.items():
            if state.version(db) < number:
                step(workspace)
                state.set_version(db, number)
                taken.append(number)
    return taken


def _add_columns(workspace: Workspace) -> None:
    """2: each table of the lake has every column that the schema has; those that it lacked are null."""
    for name in lake.versions(workspace.lake):
        table = lake.open_to_change(workspace.lake, name)
        assert table is not None
        there = {field.name for field in table.schema().fields}
        lacking = [f.remove_metadata() for f in schema.table(name).arrow if f.name not in there]
        if lacking:
            table.alter.add_columns([Field.from_arrow(field) for field in lacking])


STEPS: dict[int, Callable[[Workspace], None]] = {2: _add_columns}
