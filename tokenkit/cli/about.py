"""features, detectors, schema, version: what tokenkit knows."""

import json
from typing import Annotated

import typer

from tokenkit.cli import app
from tokenkit.cli.output import print_table

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command(epilog="Example: tokenkit features")
def features(as_json: AsJson = False) -> None:
    """Features of the fingerprint: unit, question, and what is made of it: judged (high) or only shown (context)."""
    from tokenkit.fingerprint import features as known

    rows = [(f.family, f.name, f.unit, f.bad, f.asks, f.doc) for f in known().values()]
    names = ("family", "name", "unit", "bad", "asks", "doc")
    if as_json:
        typer.echo(json.dumps([dict(zip(names, row, strict=True)) for row in rows]))
    else:
        print_table(("family", "feature", "unit", "bad", "asks", "is"), rows)


@app.command(epilog="Example: tokenkit detectors")
def detectors(as_json: AsJson = False) -> None:
    """Channels that score, ours and those of installed packages: title, days within one incident, where it is from."""
    from tokenkit import channels

    rows = [(d.name, d.title, str(d.gap_days), channels.package_of(d.name)) for d in channels.detectors()]
    names = ("channel", "title", "gap_days", "package")
    if as_json:
        typer.echo(json.dumps([dict(zip(names, row, strict=True)) for row in rows]))
    else:
        print_table(names, rows)


@app.command(epilog="Example: tokenkit schema events")
def schema(
    table: Annotated[str, typer.Argument(help="One table; all where none is named.")] = "", as_json: AsJson = False
) -> None:
    """Tables and their columns: type, unit, meaning, OCSF attribute."""
    from tokenkit import schema as tables

    if not table:
        rows = [(t.name, f"one row is: {t.row}", f"{len(t.columns)} columns") for t in tables.TABLES.values()]
        if as_json:
            typer.echo(json.dumps({t.name: t.row for t in tables.TABLES.values()}))
        else:
            print_table(("table", "row", "columns"), rows)
        return
    columns = tables.table(table).columns
    if as_json:
        typer.echo(json.dumps([{**vars(c), "type": str(c.type)} for c in columns]))
    else:
        print_table(
            ("column", "type", "unit", "required", "meaning", "OCSF 1.8"),
            [(c.name, str(c.type), c.unit, "yes" if c.required else "", c.doc, c.ocsf) for c in columns],
        )


@app.command(epilog="Example: tokenkit version")
def version() -> None:
    """Version of tokenkit."""
    import tokenkit

    typer.echo(tokenkit.__version__)
