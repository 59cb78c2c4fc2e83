"""export: the events for another program, such as a SIEM."""

from pathlib import Path
from typing import Annotated

import typer

from tokenkit.cli import app
from tokenkit.progress import progress_bars

commands = typer.Typer(
    no_args_is_help=True,
    help="Write the events for another program.",
    epilog="Example: tokenkit export ocsf events.jsonl.gz --start 2026-03-01",
)
app.add_typer(commands, name="export")


@commands.command(epilog="Example: tokenkit export ocsf events.jsonl.gz --start 2026-03-01 --end 2026-04-01")
def ocsf(
    file: Annotated[Path, typer.Argument(help="File to write: .jsonl, .jsonl.gz or .parquet.")],
    start: Annotated[str, typer.Option(help="First day (UTC), such as 2026-03-01. Default: the first there is.")] = "",
    end: Annotated[str, typer.Option(help="End of the days (UTC), not included.")] = "",
) -> None:
    """Write events as API Activity of OCSF 1.8; tokens are the keyed ids of the lake, and no key is in it."""
    from tokenkit import run as runner
    from tokenkit.days import day_of
    from tokenkit.export import export_ocsf
    from tokenkit.store.access import readable

    between = day_of(start, "--start"), day_of(end, "--end")
    workspace = runner.workspace_for([], None)
    with readable(workspace), progress_bars() as progress:
        written = export_ocsf(workspace, file, *between, progress)
    typer.echo(f"{written:,} events written to {file}")


@commands.callback()
def export() -> None:
    """Write the events for another program."""
