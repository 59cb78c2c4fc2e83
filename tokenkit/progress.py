"""Progress of long work: a function that is called with the stage, and bars that show it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[str, int, int], None]
"""Called with the name of a stage, how much of it is done, and how much there is to do."""

NOTEBOOK_REFRESH_S = 0.25


def silent(stage: str, done: int, total: int) -> None:
    """Show nothing: the progress of whoever wants none."""


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """Give a progress function that shows one bar for each stage, on a terminal or in a notebook.

    A terminal keeps the bars after the work; a notebook removes them, so that none is saved with it. Where there is
    neither (a scheduled job, a pipe), nothing is shown. Bars go to standard error.

    Examples
    --------
    >>> with progress_bars() as progress:
    ...     progress("reading logs", 1, 2)
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    if not (console.is_jupyter or console.is_terminal):
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
