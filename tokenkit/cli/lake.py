"""lake: look after the tables of a workspace: what is in them, fewer files, a way back, erasure, another try."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from tokenkit.cli import app
from tokenkit.cli.output import print_table
from tokenkit.progress import progress_bars

lake = typer.Typer(
    no_args_is_help=True,
    help="Look after the lake: what it holds, fewer files, a way back, erasure, another try at what was set aside.",
    epilog="Example: tokenkit lake status. Every command waits for a run that is at work. docs/lake.md has the rest.",
)
app.add_typer(lake, name="lake")
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object for another program.")]


@lake.command(epilog="Example: tokenkit lake status --json")
def status(as_json: AsJson = False) -> None:
    """What the lake holds: rows, files, bytes, versions and days of each table, and what was set aside."""
    from tokenkit.config import workspace_at
    from tokenkit.maintenance.status import status as status_of
    from tokenkit.store.access import readable

    workspace = workspace_at()
    with readable(workspace):
        found = status_of(workspace)
    if as_json:
        typer.echo(json.dumps(asdict(found)))
        return
    head = ("table", "rows", "files", "size", "version", "oldest day", "newest day")
    print_table(
        head,
        [(t.table, f"{t.rows:,}", f"{t.files:,}", size(t.file_bytes), str(t.version), t.oldest, t.newest)
         for t in found.tables],
    )  # fmt: skip
    typer.echo(f"{found.lake}: schema {found.schema_version}, {size(sum(t.file_bytes for t in found.tables))}")
    if found.old_files:
        typer.echo(
            f"{found.old_files:,} files of earlier versions ({size(found.old_file_bytes)}); "
            f"{found.restore_points:,} restore points: tokenkit lake restore"
        )
    removed = f", {found.removed_events:,} of them removed since" if found.removed_events > 0 else ""
    typer.echo(f"{found.events + found.removed_events:,} events of {found.log_files:,} log files were stored{removed}")
    if found.quarantined:
        typer.echo(f"{found.quarantined:,} pieces set aside; after a fix: tokenkit lake retry")


@lake.command(epilog="Example: tokenkit lake compact")
def compact(as_json: AsJson = False) -> None:
    """Write the many small files of each day into few. Safe beside a run and against a kill at any moment."""
    from tokenkit.config import workspace_at
    from tokenkit.maintenance import compaction

    with progress_bars() as progress:
        changed = compaction.compact(workspace_at(), progress)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in changed]))
        return
    print_table(("table", "files before", "files after"), [(c.table, str(c.before), str(c.after)) for c in changed])
    saved = sum(c.before - c.after for c in changed)
    typer.echo(
        f"{saved:,} files less; the old ones stay for earlier versions (tokenkit lake vacuum)"
        if changed
        else "nothing to compact: no day has more than one small file"
    )


@lake.command(epilog="Example: tokenkit lake vacuum --keep-hours 24 --apply")
def vacuum(
    keep_hours: Annotated[
        float, typer.Option(help="Restore points of the last hours stay; older ones are given up.")
    ] = 168,
    apply: Annotated[bool, typer.Option("--apply", help="Remove them; without it they are only listed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove files that only earlier versions need. Each run does so after a week by itself."""
    from tokenkit.config import workspace_at
    from tokenkit.maintenance import compaction

    files = compaction.vacuum(workspace_at(), keep_hours, apply)
    if as_json:
        typer.echo(json.dumps({"files": len(files), "file_bytes": sum(files.values()), "removed": apply}))
        return
    what = f"{len(files):,} files ({size(sum(files.values()))})"
    if not files:
        typer.echo("nothing to remove")
    elif apply:
        typer.echo(f"{what} removed")
    else:
        typer.echo(f"{what} would be removed; nothing was: add --apply")


@lake.command(epilog="Example: tokenkit lake restore, then tokenkit lake restore 12")
def restore(
    point: Annotated[
        int | None, typer.Argument(help="Number of the restore point; without it they are listed.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring all tables back to an earlier moment, together. What was read since is read again by the next run."""
    from tokenkit.config import workspace_at
    from tokenkit.store import points
    from tokenkit.store.access import PATIENCE_S, locked, readable

    workspace = workspace_at()
    if point is None:
        with readable(workspace):
            found = points.points(workspace) if workspace.state.exists() else []
        if as_json:
            typer.echo(json.dumps([asdict(one) for one in found]))
            return
        print_table(("point", "moment (UTC)", "after"), [(str(p.number), p.moment[:19], p.after) for p in found])
        if not found:
            typer.echo("no restore point yet: each run and each ingest notes one")
        return
    with locked(workspace, PATIENCE_S):
        restored = points.restore(workspace, point)
    if as_json:
        typer.echo(json.dumps(asdict(restored)))
        return
    typer.echo(f"all tables are as they were after {restored.after} ({restored.moment[:19]} UTC)")
    typer.echo("logs read since then are read again by the next run; labels, actions and reports were left as they are")


@lake.command(epilog="Example: tokenkit lake retry orders.toml=logs/orders")
def retry(
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="[SOURCE=]PATH...", help="Logs; default: those of tokenkit.toml.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read the records that were set aside again, after a mapping, a setting or tokenkit was corrected."""
    from tokenkit.config import workspace_at
    from tokenkit.maintenance import retry as retrying
    from tokenkit.sources.inputs import parse_input

    workspace = workspace_at()
    with progress_bars() as progress:
        found = retrying.retry(workspace, [parse_input(text) for text in paths or []], progress)
    if as_json:
        typer.echo(json.dumps(asdict(found)))
        return
    typer.echo(
        f"{found.tried:,} records read again: {found.stored:,} stored, {found.duplicates:,} duplicates, "
        f"{found.ignored:,} ignored, {found.still:,} still set aside"
    )
    for reason, number in found.reasons.most_common(5):
        typer.echo(f"{number:,} set aside: {reason}")
    for reason, number in found.not_tried.items():
        typer.echo(f"{number:,} not read again: {reason}")


@lake.command(epilog="Example: tokenkit lake forget billing-sync --yes")
def forget(
    name: Annotated[
        str, typer.Argument(metavar="TOKEN|OWNER", help="Id or name of a token; or of an owner: all tokens.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it you are only told what would go.")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase all that is known of a token, or of an owner with all tokens, in every version of every table."""
    from datetime import UTC, datetime

    from tokenkit.config import workspace_at
    from tokenkit.maintenance import erasure
    from tokenkit.maintenance.subject import find_subject
    from tokenkit.store.access import readable

    workspace = workspace_at()
    if not yes:
        with readable(workspace):
            subject = find_subject(workspace, name, datetime.now(UTC))
        typer.echo(f"{len(subject.token_uids)} tokens would be forgotten: {', '.join(subject.token_uids[:5])}")
        typer.echo("with them all restore points and the reports that name them; this cannot be undone: add --yes")
        return
    with progress_bars() as progress:
        erased = erasure.forget(workspace, name, progress=progress)
    if as_json:
        typer.echo(json.dumps(asdict(erased)))
        return
    print_table(("table", "rows removed"), [(table, f"{n:,}") for table, n in erased.rows.items() if n])
    for path in erased.files:
        typer.echo(f"removed {path}")
    typer.echo(f"{erased.tokens} tokens forgotten, and nothing of them found afterwards in what tokenkit wrote here")
    for path in erased.yours:
        typer.echo(f"note: {path} is yours and still names them")
    typer.echo("note: lists of owners, logs, and reports in other folders are yours to clear")


def size(number: float) -> str:
    """Return a number of bytes as text.

    Examples
    --------
    >>> size(999), size(1_234_000)
    ('999 B', '1.2 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} B" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"
