"""sources, sources check: which logs can be read, and what one makes of a file before anything is stored."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tokenkit.cli import app
from tokenkit.cli.output import console, print_table

if TYPE_CHECKING:
    from tokenkit.sources.check import CheckResult

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
VALUE_WIDTH = 26  # characters of a value on a terminal

commands = typer.Typer(rich_markup_mode=None, invoke_without_command=True)
app.add_typer(commands, name="sources")


@commands.callback(epilog="Example: tokenkit sources")
def sources(context: typer.Context, as_json: AsJson = False) -> None:
    """Log sources that can be read; with check PATH, what one of them makes of a file."""
    if context.invoked_subcommand:
        return
    from tokenkit import config
    from tokenkit import sources as known
    from tokenkit.sources.inputs import mapped_sources

    found = list(known.sources().values())
    if workspace := config.find():
        found += mapped_sources(workspace)
    rows = [(s.name, s.doc, " ".join(s.suffixes)) for s in found]
    if as_json:
        typer.echo(json.dumps([dict(zip(("name", "doc", "suffixes"), row, strict=True)) for row in rows]))
    else:
        print_table(("source", "reads", "files"), rows)


@commands.command(epilog="Example: tokenkit sources check logs/orders.csv --source orders.toml")
def check(
    path: Annotated[Path, typer.Argument(help="A log file, or a folder, of which the first file is looked at.")],
    source: Annotated[
        str, typer.Option(metavar="NAME|MAPPING.toml", help="Source; default: by the first record.")
    ] = "",
    draft: Annotated[
        bool, typer.Option("--draft", help="Print a mapping guessed from the file, and nothing else.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show ten records as they would be stored, what stays null and what that costs, and what is refused."""
    from tokenkit.errors import TokenkitError
    from tokenkit.sources.fields.masking import hidden

    try:
        _check(path, source, draft, as_json)
    except TokenkitError as error:  # it names the file, and columns: nobody has looked at them yet
        raise type(error)(hidden(str(error), 4096)) from None


def _check(path: Path, source: str, draft: bool, as_json: bool) -> None:
    from tokenkit import config, identity, ingest
    from tokenkit import sources as known
    from tokenkit.errors import InputError
    from tokenkit.sources.check import check as look
    from tokenkit.sources.clocks import Clock
    from tokenkit.sources.fields.masking import hidden
    from tokenkit.sources.fields.networks import open_databases
    from tokenkit.sources.mapped.draft import draft as guess

    if draft and path.is_dir():
        raise InputError(f"{path}: a draft is made of one file. Name it.")
    sample = known.sample_of(path) if path.is_file() else path
    if path.is_file() and (draft or (not source and known.recognise(sample) is None)):
        text = guess(sample)
        if as_json:
            typer.echo(json.dumps({"path": hidden(str(path), 4096), "draft": text}))
            return
        if not draft:
            typer.echo(
                f"{hidden(str(path), 4096)}: of no known source. A draft of a mapping (--draft prints it alone):\n",
                err=True,
            )
        typer.echo(text, nl=False)
        return
    files, _ = known.find_files(path, source or None)
    file, its = files[0]
    workspace = config.find()
    keyed = workspace is not None and workspace.key.exists()
    key = identity.load_key(workspace.key) if workspace and keyed else bytes(identity.KEY_BYTES)
    settings = workspace.settings if workspace else config.Settings()
    databases = open_databases(workspace.network_databases if workspace else ())
    clock = Clock(datetime.now(UTC), settings.ingest)
    checked = look(file, its, known.Reading(key, settings.gateway, databases), keyed, clock)
    if not keyed:
        checked.notes.append("no workspace here: token_uid is made with a workspace's key (tokenkit init)")
    if len(files) > 1:
        checked.notes.append(f"the first of {len(files):,} files; name another one to look at it")
    if workspace and ingest.read_before(workspace, file, its.name):
        checked.notes.append(
            f"this file was read before as {its.name} and is not read again, whatever its mapping says now; "
            "other columns hold for new files. To read all anew: tokenkit init ANOTHER-FOLDER"
        )
    if as_json:
        said = {name: value for name, value in vars(checked).items() if name != "quarantined"}
        refused = [{"place": q.place, "reason": q.reason} for q in checked.quarantined]
        typer.echo(json.dumps(said | {"path": str(checked.path), "refused": refused}))
    else:
        _show(checked)


def _show(checked: "CheckResult") -> None:
    c = checked.counts
    typer.echo(
        f"{checked.path} as {checked.source}: {c['read']:,} records read = {c['stored']:,} stored"
        f" + {c['duplicates']:,} duplicates + {c['quarantined']:,} quarantined + {c['ignored']:,} ignored"
    )
    if checked.records:
        typer.echo(f"\nThe first {len(checked.records)} as they would be stored:")
        _records(checked)
    costly = {name: cost for name, cost in checked.null.items() if cost}
    _section("Stays null:", [(name, cost) for name, cost in costly.items()])
    free = [name for name in checked.null if name not in costly]
    if free:
        typer.echo(f"Null as well, and nothing is judged by them: {', '.join(free)}")
    _section("Columns of the file that nothing is made of:", [(name,) for name in checked.unused])
    _section("Refused:", [(q.place, q.reason) for q in checked.quarantined])
    more = c["quarantined"] - len(checked.quarantined)
    if more:
        typer.echo(f"and {more:,} more")
    _section("Note:", [(note,) for note in checked.notes])


def _section(title: str, rows: list[tuple[str, ...]]) -> None:
    if rows:
        typer.echo(f"\n{title}")
        print_table(("",) * len(rows[0]), rows)


def _records(checked: "CheckResult") -> None:
    """Our columns down, records across, as many beside each other as the terminal is wide."""
    names = [name for name in checked.records[0] if any(r[name] is not None for r in checked.records)]
    wide = sys.stdout.isatty()
    beside = max(1, (console.width - 40) // (VALUE_WIDTH + 2)) if wide else len(checked.records)
    for at in range(0, len(checked.records), beside):
        part = checked.records[at : at + beside]
        head = ("column", "from", *(f"record {at + 1 + i}" for i in range(len(part))))
        rows = [(name, checked.filled.get(_ours(name), ""), *(_cell(r[name], wide) for r in part)) for name in names]
        print_table(head, rows)


def _ours(name: str) -> str:
    return "token_uid" if name == "token" else name


def _cell(value: Any, short: bool) -> str:
    text = "" if value is None else " ".join(value) if isinstance(value, list) else str(value)
    return text if not short or len(text) <= VALUE_WIDTH else text[: VALUE_WIDTH - 1] + "…"
