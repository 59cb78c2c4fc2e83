"""bench: detectors compared on simulated organisations, on copies of your own with attacks, and on real logs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tokenkit.cli import app
from tokenkit.cli.output import print_table
from tokenkit.progress import progress_bars

if TYPE_CHECKING:
    import pandas as pd

bench = typer.Typer(
    no_args_is_help=True,
    help="Measure detectors: on simulated organisations with every attack, or with attacks injected into your own.",
    epilog="Example: tokenkit bench run --profile smoke",
)
app.add_typer(bench, name="bench")
Out = Annotated[Path, typer.Option(help="Folder of the results; a run that was killed is taken up there.")]
HERE = Path("tokenkit-bench")


@bench.command(epilog="Example: tokenkit bench run --profile smoke --detector mine.py:Detector")
def run(
    profile: Annotated[
        str, typer.Option(help="small (60 tokens), smoke (100), standard (300) or full (1,000).")
    ] = "smoke",
    detector: Annotated[list[str] | None, typer.Option(help="Your own: path/to/module.py:Class. May repeat.")] = None,
    scenario: Annotated[list[str] | None, typer.Option(help="Only this one. May repeat; tokenkit bench list.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Only this organisation. May repeat; default: all.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="Organisations at a time.")] = 2,
    out: Out = HERE,
    contender: Annotated[
        list[str] | None, typer.Option(help="Only this one, or this group. May repeat; default: the profile's.")
    ] = None,
    page: Annotated[Path | None, typer.Option(help="Write the page and its pictures into this folder.")] = None,
) -> None:
    """Run a profile's contenders on every scenario, over several organisations; run it again to go on after a kill."""
    from tokenkit.bench import leaderboard
    from tokenkit.bench import page as pages

    with progress_bars() as progress:
        results = leaderboard.run(
            out, profile, detector or (), scenario or (), seed or (), processes, progress, contender or ()
        )
    _print(pages.tables.table(results, 0))
    if page is not None:
        typer.echo(str(pages.write(results, page)))
    typer.echo(f"results: {out}; pictures: tokenkit bench show --page FOLDER, or notebook bench/leaderboard")


@bench.command(epilog="Example: tokenkit bench show --page docs/bench")
def show(
    out: Out = HERE,
    page: Annotated[Path | None, typer.Option(help="Write the page and its pictures into this folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole table as JSON.")] = False,
) -> None:
    """The leaderboard of the newest finished run."""
    from tokenkit.bench import leaderboard
    from tokenkit.bench import page as pages

    results = leaderboard.read(out)
    if page is not None:
        typer.echo(str(pages.write(results, page)))
        return
    summary = pages.tables.table(results)
    if as_json:
        typer.echo(summary.reset_index().to_json(orient="records"))
    else:
        _print(summary)


@bench.command("list", epilog="Example: tokenkit bench list")
def listed() -> None:
    """Every attack and every benign change that can be injected, with its intensities."""
    from tokenkit.bench import scenarios

    rows = []
    for one in scenarios.ALL.values():
        unchecked = {i: f"{i} (unchecked)" for i in one.unchecked}
        techniques = ", ".join(unchecked.get(i, i) for i in one.attack_ids)
        grid = ", ".join(f"{value:g}" for value in one.intensities)
        kind = "attack" if one.kind == "attack" else "benign change"
        rows.append((one.id, one.title, kind, techniques, f"{grid} {one.unit}"))
    print_table(("id", "what", "kind", "ATT&CK v19", "intensities"), rows)


@bench.command(epilog="Example: tokenkit bench inject --scenario slow_exfiltration --scenario stolen_token")
def inject(
    events: Annotated[Path | None, typer.Option(help="Workspace, or its lake. Default: the one around here.")] = None,
    scenario: Annotated[list[str] | None, typer.Option(help="Only this one. May repeat; default: all attacks.")] = None,
    each: Annotated[int, typer.Option(min=1, help="Trials of each scenario and intensity.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws of tokens and moments.")] = 0,
    start: Annotated[str, typer.Option(metavar="DATE", help="First day (UTC) in which attacks may begin.")] = "",
    end: Annotated[str, typer.Option(metavar="DATE", help="End of the days (UTC, not included).")] = "",
    out: Out = HERE / "inject",
) -> None:
    """Inject attacks into a copy of your own events and count which would be raised; nothing of yours changes."""
    from tokenkit.bench import inject as injection
    from tokenkit.store.access import locked

    workspace = injection.workspace_of(events)
    with locked(workspace), progress_bars() as progress:
        done = injection.inject(workspace, scenario or (), out, each, seed, start, end, progress)
    rows = [
        (r.scenario, f"{r.intensity:g} {r.unit}", f"{r.caught} of {r.trials}",
         f"{r.hours:.0f}" if r.caught else "-", r.reasons if r.caught else "-")
        for r in injection.by_intensity(done.outcomes).itertuples()
    ]  # fmt: skip
    print_table(("scenario", "intensity", "caught", "hours", "first reasons"), rows)
    if done.left_out:
        typer.echo(f"no token suits, or the days are too few: {', '.join(done.left_out)}")
    typer.echo(f"tables: {out}")


@bench.command(epilog="Example: tokenkit init work, cd work, tokenkit ingest PATH, then: tokenkit bench real")
def real(
    events: Annotated[Path | None, typer.Option(help="Workspace, or its lake. Default: the one around here.")] = None,
    budget: Annotated[float, typer.Option(min=0.1, help="New incidents a day for each 1,000 tokens.")] = 5.0,
    pairs: Annotated[int, typer.Option(min=0, help="Pairs of identities exchanged at a time; 0 for none.")] = 20,
    times: Annotated[int, typer.Option(min=1, help="How often pairs are drawn.")] = 5,
    contender: Annotated[
        list[str] | None, typer.Option(help="Only this one, or this group. May repeat; default: tokenkit.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws of pairs and moments.")] = 0,
    out: Out = HERE / "real",
) -> None:
    """Judge months of real logs: whether the budget is kept, and whether exchanged identities are noticed."""
    from tokenkit.bench import inject as injection
    from tokenkit.bench import real as real_logs
    from tokenkit.bench.detectors import registry
    from tokenkit.store.access import locked

    workspace = injection.workspace_of(events)
    taking_part = registry.choose([*(contender or [registry.TOKENKIT]), registry.RANDOM])
    with locked(workspace), progress_bars() as progress:
        found = real_logs.measure(workspace, taking_part, out, budget, pairs, times, seed, progress)
    months = found.months[found.months["detector"] != registry.RANDOM]
    rows = [(r.detector, r.month, str(r.days), str(r.opened), f"{r.allowed:.1f}", f"{r.of_budget:.2f}")
            for r in months.itertuples()]  # fmt: skip
    print_table(("detector", "month", "days", "opened", "allowed", "of budget"), rows)
    typer.echo(f"profiles: {found.profiles:,}, of which {found.judged:,} have a reference of their own")
    if len(found.exchanged):
        each = len(found.exchanged) // len(taking_part)
        for days, within in ((7, "in 7 days"), (None, "until the logs end")):
            recall = found.recall(days)
            shares = [f"{name} {share:.2f}" for name, share in recall.items() if name != registry.RANDOM]
            chance = f"chance {recall[registry.RANDOM]:.2f}"
            typer.echo(f"exchanged identities caught {within}, of {each}: {', '.join(shares)}; {chance}")
    typer.echo(f"tables: {out}")


@bench.command(epilog="Example: tokenkit bench train --save tokenkit/channels/weights.json")
def train(
    seed: Annotated[
        list[int] | None, typer.Option(help="Organisations to learn from. May repeat; default: 100 to 102.")
    ] = None,
    tokens: Annotated[int, typer.Option(min=60, help="Tokens of each.")] = 300,
    each: Annotated[int, typer.Option(min=1, help="Trials of each scenario and intensity.")] = 4,
    processes: Annotated[int, typer.Option(min=1, help="Organisations at a time.")] = 2,
    save: Annotated[Path | None, typer.Option(help="File for the weights. Default: weights.json in --out.")] = None,
    out: Out = HERE / "train",
) -> None:
    """Learn the weights of the day's signs from injected attacks, and try each family of attacks left out."""
    from tokenkit.bench import train as training
    from tokenkit.channels import weights

    with progress_bars() as progress:
        done = training.train(out, seed or training.SEEDS, tokens, each, processes, progress)
    weights.write(done.weights, save or out / "weights.json")
    by_weight = sorted(done.weights.by_sign.items(), key=lambda item: -sum(item[1]))
    print_table(("sign", *(f"from {h:g} bits" for h in weights.HINGES)),
                [(sign, *(f"{w:.2f}" for w in row)) for sign, row in by_weight if sum(row) >= 0.005])  # fmt: skip
    typer.echo("a bit more of a sign, from so many bits on, adds so much to the score")
    leak = sorted(done.weights.leak.items(), key=lambda item: -abs(item[1]))
    print_table(("in two weeks of a leak", "weight"), [(name, f"{w:+.2f}") for name, w in leak if abs(w) >= 0.005])
    print_table(("family left out", "recall", "trials"),
                [(r.family, f"{r.recall:.2f}", f"{r.trials:,}") for r in done.left_out.itertuples()])  # fmt: skip
    typer.echo(f"weights: {save or out / 'weights.json'}")


def _print(summary: "pd.DataFrame") -> None:
    rows = [
        (str(name), f"{r['recall_5']:.2f}", f"{r['recall_1']:.2f}", f"{r['recall_20']:.2f}", f"{r['worst_5']:.2f}",
         f"{r['benign_change']:.2f}", f"{r['of_budget']:.2f}", f"{r['explained']:.2f}",
         f"{r['fit_s'] + r['score_s']:.1f}")
        for name, r in summary.iterrows()
    ]  # fmt: skip
    heads = ("detector", "recall at 5", "at 1", "at 20", "worst 5", "benign raised", "of budget", "cause", "CPU s")
    print_table(heads, rows)
