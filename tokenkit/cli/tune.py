"""tune: adapt the score of a day to your own logs, and take that back. Budget and shares: notebook 04_tune."""

from pathlib import Path
from typing import Annotated

import typer

from tokenkit.cli import app
from tokenkit.cli.output import print_table
from tokenkit.progress import progress_bars

tune = typer.Typer(
    no_args_is_help=True,
    help="Adapt the weights of what is unusual about a day to your own logs, or take that back.",
    epilog="Example: tokenkit tune learn --who ana --why 'first month of logs'. Budget and shares: notebook 04_tune.",
)
app.add_typer(tune, name="tune")
Events = Annotated[Path | None, typer.Option(help="Workspace, or its lake. Default: the one around here.")]


@tune.command(epilog="Example: tokenkit tune learn --who ana --why 'first month of logs'")
def learn(
    who: Annotated[str, typer.Option(help="Who learns them; stands on the page.")],
    why: Annotated[str, typer.Option(help="Why; stands on the page.")],
    events: Events = None,
    each: Annotated[int, typer.Option(min=1, help="Trials of each attack and intensity, for each half.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws of tokens and moments.")] = 0,
    dry: Annotated[bool, typer.Option("--dry-run", help="Compare, and save nothing.")] = False,
) -> None:
    """Attack copies of your tokens, learn what tells the attacks, compare with the weights in use, and save them."""
    import tempfile

    from tokenkit.bench import inject, own_weights
    from tokenkit.store.access import locked

    workspace = inject.workspace_of(events)
    with locked(workspace), progress_bars() as progress, tempfile.TemporaryDirectory(prefix="tokenkit-") as folder:
        found = own_weights.learn(workspace, Path(folder), who, why, each, seed, progress)
        path = None if dry else own_weights.save(workspace, found)
    print_table(
        ("", "in use", "learned"),
        [("attacks caught, at the budget", *(f"{one.recall:.2f}" for one in (found.before, found.after))),
         ("incidents without any attack, of the budget",
          *(f"{one.of_budget:.2f}" for one in (found.before, found.after)))],
    )  # fmt: skip
    typer.echo(
        f"{found.after.trials:,} attacks; learned: what weights do on the half of the tokens that they never saw"
    )
    if found.after.recall < found.before.recall:
        typer.echo("the learned weights catch less: take them back with tokenkit tune forget")
    typer.echo(f"weights: {path}; the next tokenkit run uses them" if path else "nothing was saved")


@tune.command(epilog="Example: tokenkit tune forget")
def forget(events: Events = None) -> None:
    """Remove your own weights: the next run uses those that tokenkit comes with."""
    from tokenkit.bench import inject, own_weights
    from tokenkit.store.access import locked

    workspace = inject.workspace_of(events)
    with locked(workspace):
        typer.echo(f"removed: {own_weights.forget(workspace)}")
