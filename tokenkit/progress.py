"""Progress of long work: a function that is called with the stage, and bars that show it."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal

Progress = Callable[[str, int, int], None]
"""Called with the name of a stage, how much of it is done, and how much there is to do."""

NOTEBOOK_REFRESH_S = 0.25
Log = Literal["", "text", "json"]


def silent(stage: str, done: int, total: int) -> None:
    """Show nothing: the progress of whoever wants none."""


@contextmanager
def progress_bars(log: Log = "") -> Iterator[Progress]:
    """Give a progress function that shows one bar for each stage, on a terminal or in a notebook.

    A terminal keeps the bars after the work; a notebook removes them, so that none is saved with it. Where there is
    neither (a scheduled job, a pipe), nothing is shown but the ``log``. Bars and log go to standard error.

    Parameters
    ----------
    log : "text": a line a stage with the time and its duration, where no bars are shown; "json": the same as JSON, and
        no bars anywhere

    Examples
    --------
    >>> with progress_bars() as progress:
    ...     progress("reading logs", 1, 2)
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    if log == "json" or not (console.is_jupyter or console.is_terminal):
        if log:
            with _lines(log) as note:
                yield note
        else:
            yield silent
        return
    bars = Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
    )
    tasks = {}

    def update(stage: str, done: int, total: int) -> None:
        if stage not in tasks:
            tasks[stage] = bars.add_task(stage, total=total)
        bars.update(tasks[stage], completed=done, total=total)

    if console.is_jupyter:
        with _displayed(bars) as refresh:

            def update_and_display(stage: str, done: int, total: int) -> None:
                update(stage, done, total)
                refresh(done >= total)

            yield update_and_display
    else:
        with bars:
            yield update


@contextmanager
def _lines(log: Log) -> Iterator[Progress]:
    """Write a line for each stage when the next one begins, and for the last one at the end, to standard error."""
    stage, done, total, began = "", 0, 0, time.monotonic()

    def write() -> None:
        now, lasted_s = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), time.monotonic() - began
        if log == "json":
            said = {"time": now, "stage": stage, "done": done, "total": total, "duration_s": round(lasted_s, 3)}
            print(json.dumps(said), file=sys.stderr, flush=True)
        else:
            print(f"{now} {stage}: {done:,} of {total:,} in {lasted_s:.1f} s", file=sys.stderr, flush=True)

    def note(now: str, so_far: int, of: int) -> None:
        nonlocal stage, done, total, began
        if now != stage:
            if stage:
                write()
            stage, began = now, time.monotonic()
        done, total = so_far, of

    try:
        yield note
    finally:
        if stage:
            write()


@contextmanager
def _displayed(bars: object) -> Iterator[Callable[[bool], None]]:
    """Display the bars below a notebook's cell until the work ends; gives a function that displays them as they are.

    Rich's own display is a widget with a thread: what the cell prints meanwhile would go into the widget.
    """
    from IPython.display import display

    handle = display(bars, display_id=True)
    last = 0.0

    def refresh(now: bool) -> None:
        nonlocal last
        if now or time.monotonic() - last >= NOTEBOOK_REFRESH_S:
            last = time.monotonic()
            handle.update(bars)

    try:
        yield refresh
    finally:
        handle.update({"text/plain": "", "text/html": ""}, raw=True)
