"""Check the notebooks named on the command line against the house rules; prints what breaks them, and exits 1.

A code cell has at most 12 lines, but for the one tagged ``parameters``; no shell; cell ids are there and differ; the
kernel is ``python3``. That nothing was executed is nbstripout's part.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat

MAX_LINES = 12


def problems(path: Path) -> Iterator[str]:
    """What is wrong with one notebook, a line each."""
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    parameters = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    ids = [cell.get("id") for cell in notebook.cells]

    if None in ids or len(set(ids)) != len(ids):
        yield "cells without an id, or with the same: save it with nbformat 4.5 or later"
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        yield "the kernel is not python3"
    if len(parameters) > 1:
        yield f"{len(parameters)} cells are tagged parameters, expected one"
    for cell in code:
        lines = cell.source.splitlines()
        place = f"cell {cell.get('id')} ({lines[0] if lines else 'empty'})"
        if len(lines) > MAX_LINES and cell not in parameters:
            yield f"{place} has {len(lines)} lines, expected at most {MAX_LINES}: name a function in the package"
        if any(line.lstrip().startswith(("!", "%%bash", "%%sh", "%%script", "%%!")) for line in lines):
            yield f"{place} calls a shell"


def main(paths: list[Path]) -> int:
    """Print the problems of all notebooks; 1 if there is any, or nothing to check."""
    found = [f"{path}: {problem}" for path in paths for problem in problems(path)]
    if not paths:
        found.append("no notebook to check")
    print("\n".join(found) or f"{len(paths)} notebooks keep the house rules")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main([Path(name) for name in sys.argv[1:]]))
