"""init, config, tokens, doctor: the workspace and what is in it."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from tokenkit.cli import app
from tokenkit.cli.output import print_table


@app.command(epilog="Example: tokenkit init tokens && cd tokens && tokenkit run --events ../logs")
def init(
    folder: Annotated[Path, typer.Argument(help="Folder of the workspace.")] = Path(),
    name: Annotated[str, typer.Option(help="The organisation's name, shown on top of the page.")] = "",
) -> None:
    """Make a workspace: settings, lake, state and key. Harmless where there is one."""
    from tokenkit import config, identity

    workspace = config.init(folder, name)
    if not workspace.state.exists():
        identity.create_key(workspace.key)
    typer.echo(f"workspace: {workspace.root}")
    typer.echo(f"key:       {workspace.key}  (keep a copy: without it every identity is lost)")
    typer.echo("next:      tokenkit run --events LOGS --inventory TOKENS.csv")


@app.command("config", epilog="Example: tokenkit config --json")
def show_config(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Every setting with its value and meaning."""
    from tokenkit import config
    from tokenkit.judge.health import switched_off

    found = config.find()
    settings = found.settings if found else config.Settings()
    if as_json:
        typer.echo(settings.model_dump_json(indent=1))
        return
    typer.echo(
        f"{found.root / config.FILE_NAME if found else 'no workspace: defaults'}  (digest {config.digest(settings)})"
    )
    print_table(("setting", "value", "meaning"), [(n, str(v), d) for n, v, d in config.describe(settings)])
    for spot in switched_off(settings.detection):
        typer.echo(f"{spot['what']}: {spot['means']}")


@app.command(epilog="Example: tokenkit tokens --native-ids keys.txt --csv")
def tokens(
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    native_ids: Annotated[
        Path | None, typer.Option(help="File of native ids (a key, or a principal such as a role's ARN), one a line.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array.")] = False,
) -> None:
    """Every token with its profile, label, owner and status; with native ids, which token_uid each of them has."""
    from tokenkit import run as runner
    from tokenkit.store.access import readable
    from tokenkit.tokens import listing

    workspace = runner.workspace_for([], None)
    with readable(workspace):
        frame = listing.tokens(workspace, native_ids, datetime.now(UTC))
    if as_json:
        typer.echo(frame.to_json(orient="records"))
    elif csv or not sys.stdout.isatty():
        typer.echo(listing.spreadsheet(frame), nl=False)
    else:
        print_table(tuple(frame.columns), [tuple(map(str, row)) for row in frame.fillna("").itertuples(index=False)])


@app.command(epilog="Example: tokenkit doctor")
def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array.")] = False) -> None:
    """Check the installation and the workspace, and say what to do. Leaves with 2 where something must be done."""
    from tokenkit import doctor as checks

    found = checks.check()
    if as_json:
        typer.echo(json.dumps([vars(c) for c in found]))
    else:
        for c in found:
            typer.echo(f"{'ok  ' if c.ok else 'TODO'}  {c.name}: {c.found}" + ("" if c.ok else f"\n      {c.do}"))
    if not all(c.ok for c in found):
        raise typer.Exit(2)
