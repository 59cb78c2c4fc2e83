"""sources, features, schema, version: what tokenkit knows."""

import json
from typing import Annotated

import typer

from tokenkit.cli import app
from tokenkit.cli.workspace import _table

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command(epilog="Example: tokenkit sources")
def sources(as_json: AsJson = False) -> None:
    """Log sources that can be read."""
    from tokenkit import sources as known

    rows = [(s.name, s.doc, " ".join(s.suffixes)) for s in known.sources().values()]
    if as_json:
        typer.echo(json.dumps([dict(zip(("name", "doc", "suffixes"), row, strict=True)) for row in rows]))
    else:
        _table(("source", "reads", "files"), rows)


@app.command(epilog="Example: tokenkit features")
def features(as_json: AsJson = False) -> None:
    """Features of the fingerprint: unit, and the question each answers."""
    from tokenkit.fingerprint import features as known

    rows = [(f.family, f.name, f.unit, f.asks, f.doc) for f in known().values()]
    if as_json:
        typer.echo(json.dumps([dict(zip(("family", "name", "unit", "asks", "doc"), row, strict=True)) for row in rows]))
    else:
        _table(("family", "feature", "unit", "asks", "is"), rows)


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
            _table(("table", "row", "columns"), rows)
        return
    columns = tables.table(table).columns
    if as_json:
        typer.echo(json.dumps([{**vars(c), "type": str(c.type)} for c in columns]))
    else:
        _table(
            ("column", "type", "unit", "required", "meaning", "OCSF 1.8"),
            [(c.name, str(c.type), c.unit, "yes" if c.required else "", c.doc, c.ocsf) for c in columns],
        )


@app.command(epilog="Example: tokenkit version")
def version() -> None:
    """Version of tokenkit."""
    import tokenkit

    typer.echo(tokenkit.__version__)
