"""respond list, show, apply, undo: list what could be done about each incident, do it, undo it."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tokenkit.cli import app, errors

if TYPE_CHECKING:
    from tokenkit.config import Workspace
    from tokenkit.respond.proposal import Proposal

respond_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)
app.add_typer(
    respond_app,
    name="respond",
    help="Propose an action for each incident; apply it, undo it.",
    epilog="Example: tokenkit respond list",
)

Action = Annotated[
    str,
    typer.Argument(metavar="ID", help="Id of the action (act1_...), or of an incident (inc1_...) that has one action."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Who = Annotated[str, typer.Option(help="Who acts, for the journal. Default: the user of the operating system.")]
Why = Annotated[str, typer.Option(help="Why, for the journal. Required.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for another program.")]


def _workspace() -> "Workspace":
    from tokenkit import run as runner

    return runner.workspace_for([], None)


def _settle(workspace: "Workspace", who: str = "") -> None:
    """Finish interrupted actions, and say so; where that is not possible, say why and go on."""
    from tokenkit import respond
    from tokenkit.errors import TokenkitError

    try:
        for line in respond.settle(workspace, who):
            errors.print(line)
    except TokenkitError as error:
        errors.print(f"an interrupted action is still in doubt: {error}")


@respond_app.command("list", epilog="Example: tokenkit respond list --json")
def list_actions(as_json: AsJson = False) -> None:
    """Every proposal of the newest report and every action that was applied, with its state and what to type."""
    from tokenkit import respond
    from tokenkit.cli.output import print_table
    from tokenkit.respond import journal
    from tokenkit.store.access import readable

    workspace = _workspace()
    with readable(workspace):
        _settle(workspace)
        rows = respond.overview(workspace)
        broken = journal.check(journal.read(workspace))
    if broken:
        errors.print(f"warning: {broken}. Do not trust it; compare with the gateway.")
    if workspace.hold.exists():
        errors.print(f"on hold: {workspace.hold} is there, so nothing is applied; undo stays allowed")
    if as_json:
        typer.echo(json.dumps(rows))
        return
    if not rows:
        errors.print("the newest report has no incident to act on (tokenkit report)")
        return
    names = ("action_uid", "incident_uid", "token", "owner", "verb", "connector", "state", "do", "note")
    print_table(("id", *names[1:]), [tuple(str(row[name]) for name in names) for row in rows])


@respond_app.command(epilog="Example: tokenkit respond show act1_0123456789abcdef --ocsf")
def show(
    action: Action,
    ocsf: Annotated[bool, typer.Option("--ocsf", help="Print an OCSF Remediation Activity.")] = False,
    as_json: AsJson = False,
) -> None:
    """One action: what it would do, what it costs, how it is undone, and what the journal says of it."""
    from tokenkit import respond
    from tokenkit.respond import journal
    from tokenkit.respond.ocsf import remediation
    from tokenkit.store.access import readable

    workspace = _workspace()
    with readable(workspace):
        proposal = respond.find_proposal(workspace, action)
        journal_rows = journal.read(workspace)
        rows = [row for row in journal_rows if row.action_uid == proposal.action_uid]
        if ocsf:
            if not proposal.acts:
                raise typer.BadParameter(f"{action} proposes to notify: there is no remediation to print")
            typer.echo(json.dumps(remediation(proposal, journal_rows)))
            return
        if as_json:
            records = [{"phase": row.phase, **row.record} for row in rows]
            typer.echo(json.dumps({**vars(proposal), "journal": records}))
            return
        typer.echo(_plan(workspace, proposal))
    for row in rows:
        r = row.record
        text = f"{r['who']}: {r['why']}" if row.phase == journal.INTENT else f"{r['status']} {r['note']}".strip()
        typer.echo(f"journal    {r['when']} {r['operation']} {row.phase}: {text}")


@respond_app.command(epilog='Example: tokenkit respond apply act1_0123456789abcdef --why "ticket 12" --yes')
def apply(
    action: Action,
    why: Why = "",
    who: Who = "",
    yes: Yes = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done; change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Do what is proposed: journalled before and after, verified, and done once however often it is asked for."""
    from tokenkit import respond
    from tokenkit.errors import InputError
    from tokenkit.respond import act
    from tokenkit.store.access import readable

    workspace = _workspace()
    with readable(workspace):
        proposal = respond.find_proposal(workspace, action)
        if dry_run:
            typer.echo(_plan(workspace, proposal))
            typer.echo("dry run: nothing was changed")
            return
        act.reason(why)
        act.check_hold(workspace)
        _settle(workspace, who)
        if proposal.acts and not yes:
            if not sys.stdin.isatty():
                raise InputError(
                    f"nobody can be asked here. Nothing was changed. To apply {action} without asking: add --yes"
                )
            typer.echo(_plan(workspace, proposal), err=as_json)
            typer.confirm("Apply it?", abort=True)
        _say(respond.apply(workspace, proposal, who, why, confirmed=proposal.acts and not yes), as_json)


@respond_app.command(epilog='Example: tokenkit respond undo act1_0123456789abcdef --why "it was us"')
def undo(action: Action, why: Why = "", who: Who = "", yes: Yes = False, as_json: AsJson = False) -> None:
    """Put back what was there before the action: journalled and verified as apply is. Asks on a terminal only."""
    from tokenkit import respond
    from tokenkit.respond import act
    from tokenkit.store.access import readable

    workspace = _workspace()
    with readable(workspace):
        # an undo needs no report, and none that can be read
        uid = respond.find_proposal(workspace, action).action_uid if action.startswith("inc1_") else action
        act.reason(why)
        if sys.stdin.isatty() and not yes:
            typer.confirm(f"Put back what was there before {uid}?", abort=True, err=as_json)
        _say(respond.undo(workspace, uid, who, why), as_json)


def _say(outcome: object, as_json: bool) -> None:
    from tokenkit.respond import Outcome

    assert isinstance(outcome, Outcome)
    if as_json:
        typer.echo(json.dumps(vars(outcome)))
        return
    for line in outcome.settled:
        typer.echo(line)
    typer.echo(outcome.message)
    for check in outcome.checks:
        typer.echo(f"  {check['what']}: {check['found']}")


def _plan(workspace: "Workspace", p: "Proposal") -> str:
    from tokenkit import respond
    from tokenkit.respond.proposal import VERBS, command_line

    lines = [
        ("action", p.action_uid),
        ("incident", f"{p.incident_uid} {p.headline}"),
        ("token", f"{p.label} {p.token_uid}"),
        ("owner", p.owner or "nobody is recorded"),
        ("verb", f"{p.verb}: {VERBS[p.verb][1]}"),
    ]
    if p.why_not:
        lines.append(("why not", p.why_not))
    if p.note:
        lines.append(("note", p.note))
    if p.confirm:
        lines.append(("confirm", p.confirm))
    connector = respond.connectors(workspace).get(p.connector)
    if connector is not None and not isinstance(connector, str):
        handle = "HANDLE" if workspace.settings.report.pseudonymous else p.handle
        lines += [("would do", command) for command in connector.commands(handle, p.verb)]
        lines += [("cost", VERBS[p.verb][2]), ("apply", command_line("apply", p.action_uid))]
        lines += [("undo", command_line("undo", p.action_uid) + "; what was there before is put back")]
    return "\n".join(f"{name:<10} {text}" for name, text in lines)
