"""Output: tables on a terminal, and as tab-separated lines elsewhere."""

import sys
from collections.abc import Sequence

import typer
from rich.console import Console
from rich.table import Table

console = Console(markup=False, highlight=False, soft_wrap=True)


def print_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows under their head: a table on a terminal, elsewhere tab-separated lines."""
    if not sys.stdout.isatty():
        for row in ([head] if any(head) and rows else []) + list(rows):
            typer.echo("\t".join(row))
        return
    table = Table(*head, box=None)
    for row in rows:
        table.add_row(*row)
    console.print(table)
