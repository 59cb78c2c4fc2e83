"""Progress: how long work says how far it is, on a terminal, in a notebook, or not at all."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]


def silent(stage: str, done: int, total: int) -> None:
    """Progress for those who want none."""
