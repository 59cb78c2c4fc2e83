"""run, report, ingest, demo, try: what reads logs and makes pages."""

import json
import math
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Annotated

import typer

from tokenkit.cli import app
from tokenkit.progress import progress_bars

Events = Annotated[
    list[str] | None,
    typer.Option("--events", metavar="[SOURCE=]PATH", help="Logs: a file or a folder tree; repeat for more."),
]
Inventory = Annotated[
    Path | None, typer.Option(help="List of token owners (CSV); only the column native_id is required.")
]
Start = Annotated[str, typer.Option(help="First reported day (UTC), such as 2026-03-01. What lies before is history.")]
End = Annotated[str, typer.Option(help="End of the reported days (UTC), not included.")]
Budget = Annotated[float | None, typer.Option(help="New incidents a day for each 1,000 tokens that you have time for.")]
Out = Annotated[Path | None, typer.Option(help="Folder for the reports. Default: reports/ of the workspace.")]
Pseudonymous = Annotated[bool | None, typer.Option("--pseudonymous", help="Show ids instead of names.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object for another program.")]
NEEDS_ATTENTION = 6  # exit code
LogJson = Annotated[bool, typer.Option("--log-json", help="Log each stage as a line of JSON to standard error.")]
FailOn = Annotated[str, typer.Option(help="'attention': leave with exit code 6 where the report needs attention.")]


@app.command(epilog="Example: tokenkit run --events cloudtrail=logs/aws --events logs/gateway --inventory tokens.csv")
def run(
    events: Events = None,
    inventory: Inventory = None,
    start: Start = "",
    end: End = "",
    budget: Budget = None,
    since: Annotated[str, typer.Option(help="'last': start where the last report ended.")] = "",
    out: Out = None,
    pseudonymous: Pseudonymous = None,
    as_json: AsJson = False,
    log_json: LogJson = False,
    fail_on: FailOn = "",
) -> None:
    """Read logs, score the tokens, publish a report; prints the path of the page."""
    from tokenkit import run as runner
    from tokenkit.errors import InputError
    from tokenkit.sources.inputs import parse_input

    _check_fail_on(fail_on)
    if since not in ("", "last"):
        raise InputError(f"--since is {since!r}; the only value is: last. For a day, use --start 2026-03-01")
    inputs = [parse_input(text) for text in events or []]
    workspace = runner.workspace_for(inputs, out)
    with progress_bars("json" if log_json else "text") as progress:
        result = runner.run(
            workspace, inputs, inventory, start, end, budget, since == "last", out, pseudonymous, progress
        )
    _say(result, as_json)
    _leave(result, fail_on)


@app.command(epilog="Example: tokenkit report --start 2026-03-01 --end 2026-03-02")
def report(
    start: Start = "",
    end: End = "",
    budget: Budget = None,
    out: Out = None,
    pseudonymous: Pseudonymous = None,
    notebook: Annotated[
        Path | None, typer.Option(help="Make the page from this copy of 03_anomaly_report.ipynb.", metavar="PATH")
    ] = None,
    as_json: AsJson = False,
    log_json: LogJson = False,
    fail_on: FailOn = "",
) -> None:
    """Publish a report from what the workspace has read already."""
    from tokenkit import run as runner
    from tokenkit.config import Workspace

    _check_fail_on(fail_on)
    found = runner.workspace_for([], out)
    workspace = Workspace(found.root, found.settings.model_copy(update={"events": []}))
    with progress_bars("json" if log_json else "text") as progress:
        result = runner.run(
            workspace, [], None, start, end, budget, out=out, pseudonymous=pseudonymous, progress=progress,
            notebook=notebook,
        )  # fmt: skip
    _say(result, as_json)
    _leave(result, fail_on)


def _check_fail_on(fail_on: str) -> None:
    from tokenkit.errors import InputError

    if fail_on not in ("", "attention"):
        raise InputError(f"--fail-on is {fail_on!r}; the only value is: attention")


def _leave(result: "object", fail_on: str) -> None:
    """Leave with the exit code that a scheduler asked for."""
    from tokenkit.run import Result

    assert isinstance(result, Result)
    if fail_on == "attention" and result.facts["state"] == "attention":
        raise typer.Exit(NEEDS_ATTENTION)


def _say(result: "object", as_json: bool) -> None:
    from tokenkit.run import Result

    assert isinstance(result, Result)
    facts = result.facts
    if as_json:
        typer.echo(
            json.dumps(
                {"page": str(result.page), "run_uid": facts["run_uid"], "state": facts["state"],
                 "period": facts["period"],
                 "opened": facts["budget"]["opened"], "incidents": [r["incident_uid"] for r in facts["incidents"]],
                 **result.counts.by_name()}
            )
        )  # fmt: skip
        return
    if result.counts.files:
        typer.echo("\n".join([result.counts.line(), *result.counts.remarks()]))
    _say_left_out(result.counts.ignored_files)
    if facts["coverage"]["quarantined_total"]:
        typer.echo(
            f"{_counted(facts['coverage']['quarantined_total'], 'piece')} could not be used, set aside (see the page)"
        )
    for note in result.notes:
        typer.echo(note)
    for note in result.counts.notes:
        typer.echo(f"note: {note}")
    if unmatched := facts["coverage"]["owners"]["unmatched"]:
        typer.echo(f"note: {unmatched}")
    words = {
        "attention": "needs attention",
        "quiet": "nothing to report",
        "not_enough_history": "not enough history yet",
    }
    going_on = sum(r["state"] == "grown" for r in facts["incidents"])
    typer.echo(
        f"{facts['period']['start'][:10]} to {facts['period']['end'][:10]}: {words[facts['state']]}"
        f" ({_counted(facts['budget']['opened'], 'incident')} opened" + (f", {going_on} going on)" if going_on else ")")
    )
    typer.echo(str(result.page))


def _say_left_out(files: Mapping[str, int]) -> None:
    for rule, n in sorted(files.items()):
        typer.echo(f"{_counted(n, 'file')} left out: {rule}")


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


@app.command(epilog="Example: tokenkit ingest cloudtrail=logs/aws logs/gateway")
def ingest(
    paths: Annotated[list[str], typer.Argument(metavar="[SOURCE=]PATH...", help="Files or folder trees of logs.")],
    as_json: AsJson = False,
) -> None:
    """Read logs into the lake: each file once, each event once. Waits for a run that is at work."""
    from tokenkit import ingest as ingesting
    from tokenkit import run as runner
    from tokenkit.sources.inputs import parse_input
    from tokenkit.store.access import PATIENCE_S, locked
    from tokenkit.tokens.load import unmatched_list

    workspace = runner.workspace_for([], None)
    with locked(workspace, PATIENCE_S), progress_bars() as progress:
        counts = ingesting.ingest(workspace, [parse_input(text) for text in paths], progress)
    if as_json:
        files = {"files": counts.files, "files_known": counts.files_known}
        typer.echo(json.dumps(files | counts.by_name() | {"ignored_files": counts.ignored_files}))
        return
    typer.echo("\n".join([counts.line(), *counts.remarks()]))
    if counts.files_known:
        typer.echo(f"{counts.files_known:,} files were read before")
    _say_left_out(counts.ignored_files)
    for note in counts.notes:
        typer.echo(f"note: {note}")
    if unmatched := unmatched_list(workspace):
        typer.echo(f"note: {unmatched}")


@app.command(epilog="Example: tokenkit demo my-demo")
def demo(
    folder: Annotated[Path, typer.Argument(help="Where the demo workspace is, or is made.")] = Path("data/demo"),
    seed: Annotated[int, typer.Option(help="Seed of the simulated organisation.")] = 1,
    tokens: Annotated[int, typer.Option(help="How many tokens to simulate.")] = 200,
    days: Annotated[int, typer.Option(help="How many days to simulate.")] = 60,
    attacks: Annotated[bool, typer.Option("--attacks/--no-attacks", help="With or without the three attacks.")] = True,
) -> None:
    """Simulate an organisation if there is none yet, and publish its report; the last line is the path of the page."""
    from tokenkit import config
    from tokenkit import run as runner
    from tokenkit.sources.inputs import Input
    from tokenkit.world import simulate_logs
    from tokenkit.world.to_logs import FIRST_DAY

    workspace = config.init(folder, "Demo organisation (simulated)")
    raw = workspace.root / "raw"
    with progress_bars() as progress:
        if not (raw / "truth.json").exists():
            simulate_logs(
                raw, tokens=tokens, days=days, seed=seed, attacks=attacks, events=tokens * days * 250 // 3,
                progress=lambda done, total: progress("simulating an organisation", done, total),
            )  # fmt: skip
        # simulated days may be ahead of this machine's clock
        now = max(datetime.now(UTC), datetime.combine(FIRST_DAY + timedelta(days), time(), UTC))
        result = runner.run(workspace, [Input(raw / "logs")], raw / "inventory.csv", progress=progress, now=now)
    _say(result, False)


@app.command("try", epilog="Example: tokenkit try .")
def try_(
    path: Annotated[Path, typer.Argument(help="A git repository, or a log file or folder of any known source.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the workspace that is made. Default: a new temporary one.")
    ] = None,
) -> None:
    """Make a page of what is there, in a workspace of its own; the last line is the path of the page.

    Of a git repository its history is read: authors, folders and files, as tokens, calls and objects.
    """
    from tokenkit import config
    from tokenkit import run as runner
    from tokenkit.days import MIN_DAYS
    from tokenkit.errors import InputError
    from tokenkit.sources import find_files
    from tokenkit.sources.git_repository import is_repository, write_history
    from tokenkit.sources.inputs import Input

    if not path.exists():
        raise InputError(f"{path}: no such file or folder. Check the path; it is taken from {Path.cwd()}")
    own = is_repository(path)
    if not own:
        find_files(path)  # says what is wrong before a workspace is made
    folder = out or Path(tempfile.mkdtemp(prefix="tokenkit-try-"))
    logs = Input(write_history(path, folder / "raw" / "history.log"), "git-log") if own else Input(path)
    workspace = config.init(folder, path.resolve().name)
    with progress_bars() as progress:
        result = runner.run(workspace, [logs], progress=progress)
    if result.facts["state"] == "not_enough_history":
        days = max(1, math.ceil(result.facts["history"]["days"]))
        typer.echo(
            f"too little history: {_counted(days, 'day')}. From {MIN_DAYS} on something is judged, from 42 on the "
            "comparison is complete. The page shows what there is; try another repository, or more logs."
        )
    _say(result, False)
