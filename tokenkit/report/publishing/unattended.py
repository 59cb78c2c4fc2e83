"""Unattended: any notebook, run with checked parameters, and a page of all that it says and shows.

The page of the report shows the cells tagged ``report``; here all but the code stays: text, pictures, tables, and
what is shown in the place of widgets. The same template folder, policy and escaping.
"""

import ast
import tempfile
from pathlib import Path
from typing import Any

from tokenkit.errors import InputError, ReportError
from tokenkit.report.publishing import kernel, notebooks, page


def run_notebook(notebook: Path, parameters: dict[str, Any], out: Path) -> Path:
    """Run a notebook and write its page.

    Parameters
    ----------
    notebook : path (``notebooks.find_notebook`` finds one by name)
    parameters : by name, as the notebook declares them
    out : the page; what is there is replaced once the run succeeded

    Raises
    ------
    InputError
        A parameter is unknown or mistyped; lists what exists. Nothing was run.
    ReportError
        The notebook failed; names the cell.
    """
    notebooks.check_parameters(notebook, parameters)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tokenkit-") as scratch:
        try:
            executed = kernel.execute(notebook, Path(scratch) / notebook.name, parameters)
        except Exception as error:
            # papermill, nbclient and the kernel each raise their own
            reason = f"{notebook.name}, {kernel.where(error)}: {kernel.what(error)}"
            raise ReportError(f"{reason}. Nothing was written to {out}.") from error
    page.strip(executed)
    headings = (c.source.strip().lstrip("# ") for c in executed.cells if c.cell_type == "markdown")
    title = next((text.splitlines()[0] for text in headings if text), notebook.stem)
    shown = ", ".join(f"{name}: {value}" for name, value in parameters.items())
    text = page.html(executed, {"title": f"{title} | tokenkit", "issue": shown}, "notebook.html.j2")
    part = out.with_name(f".{out.name}.part")
    part.write_text(text, encoding="utf-8", errors="replace")
    part.replace(out)
    return out


def listed() -> list[tuple[str, list[str]]]:
    """Every notebook that comes with tokenkit, with what it takes, a line each."""
    return [
        (notebooks.name_of(path), [str(p) for p in notebooks.parameters_of(path).values()])
        for path in notebooks.all_notebooks()
    ]


def parsed(pairs: list[str], notebook: Path) -> dict[str, Any]:
    """Parameters as a command line gives them, NAME=VALUE, with the types that the notebook declares.

    Raises
    ------
    InputError
        A name it does not know, or a value that is not of its type; lists what exists.
    """
    declared_parameters = notebooks.parameters_of(notebook)
    values: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise InputError(f"parameter {pair!r}: expected NAME=VALUE, such as budget=8")
        declared = declared_parameters[name].type if name in declared_parameters else "str"
        values[name] = text if declared.startswith("str") else _literal(text)
    notebooks.check_parameters(notebook, values)
    return values


def _literal(text: str) -> Any:
    """A number, a list or a bool as it is typed; anything else is text, which the check refuses by name.

    Whatever ``ast.literal_eval`` cannot make: ``{[]: 1}`` is well written and has a key that cannot be one.

    Examples
    --------
    >>> _literal("8"), _literal("true"), _literal("[1, 2]"), _literal("eight"), _literal("{[]: 1}")
    (8, True, [1, 2], 'eight', '{[]: 1}')
    """
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return text
