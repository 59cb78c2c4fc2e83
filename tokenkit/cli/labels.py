"""label, suppress: label an incident, and agree that a token opens no incident until a day."""

import json
from typing import Annotated, Any

import typer

from tokenkit.cli import app
from tokenkit.cli.output import print_table

Reason = Annotated[str, typer.Option(help="Why, for whoever reads the page next.")]
Who = Annotated[str, typer.Option(help="Who says so. Default: the user of this computer.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Until = Annotated[str, typer.Option(metavar="DATE", help="First day (UTC) that is raised again, such as 2026-03-01.")]


@app.command(
    epilog="Example: tokenkit label inc1_4f70ee5f136bb69f --verdict benign --reason 'new job' --accept-new-normal"
)
def label(
    incident: Annotated[str, typer.Argument(help="The incident's id, as the page shows it.")] = "",
    verdict: Annotated[str, typer.Option(help="true_positive, benign or false_positive.")] = "",
    reason: Reason = "",
    who: Who = "",
    accept: Annotated[
        bool, typer.Option("--accept-new-normal", help="Benign: what was seen is usual for this token from now on.")
    ] = False,
    until: Until = "",
    listed: Annotated[bool, typer.Option("--list", help="Show the labels that were given, the newest first.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what an incident was; the newest label counts, and the next report follows it."""
    from tokenkit import run as runner
    from tokenkit.errors import InputError
    from tokenkit.incidents import attribution, labels
    from tokenkit.store.access import readable

    workspace = runner.workspace_for([], None)
    with readable(workspace):
        if listed:
            _show(labels.labels(workspace), ("incident_uid", "token", "verdict", "accept", "expires", "who",
                                               "made_time", "reason", "counts"), as_json)  # fmt: skip
            return
        if not incident:
            raise InputError(
                "name an incident, as the page shows it (inc1_...), or see the labels that were given: --list"
            )
        stored = labels.label(workspace, incident, verdict, reason, attribution.person(who), accept, until or None)
    if as_json:
        typer.echo(json.dumps(stored))
        return
    follows = {
        "true_positive": "nothing learns from it, and it stays first on the page while it goes on",
        "false_positive": "it is closed, and does not count as new while it goes on",
        "benign": "what was seen is usual for it from now on; a larger change is still raised"
        if accept else f"nothing of it is raised before {stored['expires']}",
    }  # fmt: skip
    typer.echo(f"{stored['token']}: {verdict.replace('_', ' ')}; {follows[verdict]}")
    typer.echo("The next report follows it: tokenkit report")


@app.command(epilog="Example: tokenkit suppress billing-sync --reason 'load test' --until 2026-03-01")
def suppress(
    token: Annotated[str, typer.Argument(help="Label, mask or id of the token.")] = "",
    reason: Reason = "",
    until: Until = "",
    channel: Annotated[str, typer.Option(help="One channel only, such as drift_requests; default: all.")] = "",
    who: Who = "",
    listed: Annotated[bool, typer.Option("--list", help="Show the suppressions, the newest first.")] = False,
    withdraw: Annotated[str, typer.Option(metavar="ID", help="End this suppression now.")] = "",
    as_json: AsJson = False,
) -> None:
    """Raise nothing of a token until a day; what goes on stays on the page, in a section of its own."""
    from tokenkit import run as runner
    from tokenkit.errors import InputError
    from tokenkit.incidents import attribution, labels
    from tokenkit.store.access import readable

    workspace = runner.workspace_for([], None)
    with readable(workspace):
        if listed:
            _show(labels.suppressions(workspace), ("suppression_uid", "profile_uid", "channel", "until", "state",
                                                     "who", "made_time", "reason"), as_json)  # fmt: skip
            return
        if withdraw:
            labels.withdraw(workspace, withdraw)
            typer.echo(json.dumps({"withdrawn": withdraw}) if as_json else f"{withdraw} is withdrawn")
            return
        if not token or not until:
            raise InputError("name a token and a day: tokenkit suppress TOKEN --until 2026-03-01 --reason '...'")
        stored = labels.suppress(workspace, token, reason, attribution.person(who), until, channel)
    if as_json:
        typer.echo(json.dumps(stored))
    else:
        typer.echo(f"{token}: nothing is raised before {stored['until']}. Withdraw: tokenkit suppress --withdraw "
                   f"{stored['suppression_uid']}")  # fmt: skip


def _show(frame: Any, columns: tuple[str, ...], as_json: bool) -> None:
    if as_json:
        typer.echo(frame.to_json(orient="records"))
    else:
        rows = frame[list(columns)].fillna("").itertuples(index=False)
        print_table(columns, [tuple(map(str, row)) for row in rows])
