"""notebook: run any of the notebooks unattended, with checked parameters, to a page."""

from pathlib import Path
from typing import Annotated

import typer

from tokenkit.cli import app


@app.command(epilog="Example: tokenkit notebook 04_tune -p budget=8 --out tune.html")
def notebook(
    name: Annotated[str, typer.Argument(help="Its name, or the path of one of your own; none lists them.")] = "",
    parameters: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="Repeat for more.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The page. Default: NAME.html in the current folder.")] = None,
) -> None:
    """Run a notebook without anybody in front of it, and write a page of what it shows; prints the path."""
    from tokenkit.report.publishing import unattended
    from tokenkit.report.publishing.notebooks import find_notebook

    if not name:
        for stem, takes in unattended.listed():
            typer.echo("\n  ".join([stem, *takes]))
        return
    path = Path(name) if Path(name).is_file() else find_notebook(name)
    values = unattended.parsed(parameters or [], path)
    typer.echo(str(unattended.run_notebook(path, values, (out or Path(f"{path.stem}.html")).resolve())))
