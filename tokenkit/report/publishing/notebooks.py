"""Notebooks: where the ones that come with tokenkit are, and what parameters a notebook takes.

Papermill runs a notebook whose parameter is misspelt, with a warning and the default; here that is an error, before
anything runs.
"""

import ast
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from tokenkit.errors import InputError, did_you_mean
from tokenkit.sources.fields.masking import holds_secret

REPORT = "03_anomaly_report"
# what a run tells the notebook of a report, with a value of the type that it gives
REPORT_PARAMETERS = {"workspace": "", "start": "", "end": "", "budget": 0.0, "pseudonymous": False}


@dataclass(frozen=True)
class Parameter:
    """One line of the cell tagged ``parameters``."""

    name: str
    type: str
    default: str
    help: str

    def __str__(self) -> str:
        return f"{self.name}: {self.type} = {self.default}" + (f"  ({self.help})" if self.help else "")


def find_notebook(name: str) -> Path:
    """The path of a notebook that comes with tokenkit, in an installed wheel or in a checkout; with or without .ipynb.

    Raises
    ------
    InputError
        There is none of that name; lists what exists.

    Examples
    --------
    >>> find_notebook("03_anomaly_report").name
    '03_anomaly_report.ipynb'
    """
    name = name.removesuffix(".ipynb")
    by_name = {name_of(path): path for path in all_notebooks()}
    if name in by_name:
        return by_name[name]
    hint = did_you_mean(name, list(by_name)) if by_name else "this installation has none"
    raise InputError(f"no notebook {name}.ipynb; {hint}")


def report_notebook(path: Path | None = None) -> Path:
    """The notebook that a report is made from: the one that comes with tokenkit, or a copy that somebody changed.

    Raises
    ------
    InputError
        There is no such file, it is not a notebook, it lacks a parameter that a report gives, or no cell is tagged
        ``report``.
    """
    import nbformat

    if path is None:
        return find_notebook(REPORT)
    missing = [name for name in REPORT_PARAMETERS if name not in parameters_of(path)]
    copy = f"Make it from a copy of {REPORT}.ipynb"
    if missing:
        raise InputError(
            f"{path}: its cell tagged parameters lacks {', '.join(missing)}, which a report gives. {copy} and keep "
            "that cell."
        )
    check_parameters(path, REPORT_PARAMETERS)
    cells = nbformat.read(path, as_version=4).cells
    if not any("report" in cell.metadata.get("tags", []) for cell in cells):
        raise InputError(f"{path}: no cell is tagged report, so the page would be empty. {copy}, or tag the cells.")
    return path


def all_notebooks() -> list[Path]:
    """The notebooks that come with tokenkit, by name."""
    package = Path(str(files("tokenkit")))
    folders = [folder for folder in (package / "_notebooks", package.parent / "notebooks") if folder.is_dir()]
    by_name = {name_of(path): path for folder in reversed(folders) for path in folder.rglob("*.ipynb")
             if ".ipynb_checkpoints" not in path.parts}  # fmt: skip
    return [path for _, path in sorted(by_name.items())]


def name_of(notebook: Path) -> str:
    """What a notebook is called on the command line: its name, below its folder where it has one.

    Examples
    --------
    >>> name_of(Path("notebooks/bench/realism.ipynb")), name_of(Path("notebooks/04_tune.ipynb"))
    ('bench/realism', '04_tune')
    """
    return notebook.stem if notebook.parent.name != "bench" else f"bench/{notebook.stem}"


def parameters_of(notebook: Path) -> dict[str, Parameter]:
    """What the notebook takes: the assignments of its cell tagged ``parameters``, with their comments.

    Raises
    ------
    InputError
        There is no such file, or it is not a notebook.
    """
    import nbformat
    import papermill

    if not notebook.is_file():
        raise InputError(f"no notebook {notebook}")
    try:
        nbformat.validate(nbformat.read(notebook, as_version=4))
        parameters = papermill.inspect_notebook(notebook)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, UnicodeDecodeError, AttributeError, KeyError,
            TypeError) as error:  # fmt: skip
        # the last three: nbformat fails on JSON that is an array, a number, or a notebook of version 1 in name only
        raise InputError(f"{notebook} is not a notebook: {str(error).splitlines()[0]}") from error
    return {
        name: Parameter(name, _type(p["inferred_type_name"], p["default"]), p["default"], p["help"])
        for name, p in parameters.items()
    }


def _type(declared: str, default: str) -> str:
    """The annotation, or the type of the default where there is none."""
    if declared and declared != "None":
        return declared
    try:
        return type(ast.literal_eval(default)).__name__
    except (ValueError, SyntaxError):
        return "any"


def check_parameters(notebook: Path, parameters: dict[str, Any]) -> None:
    """Make sure that the notebook takes these parameters with these types.

    Raises
    ------
    InputError
        A name it does not know, a value of another type, or a value that looks like a secret; names what it takes.
    """
    declared = parameters_of(notebook)
    takes = "\n  ".join([f"{notebook.name} takes", *(str(p) for p in declared.values())])
    for name, value in parameters.items():
        if name not in declared:
            hint = f"{did_you_mean(name, list(declared))} " if declared else ""
            raise InputError(f"no parameter {name!r}; {hint}{takes}")
        if not fits(value, declared[name].type):
            got = f"{type(value).__name__} {str(value)[:40]!r}"
            raise InputError(f"parameter {name}: expected {declared[name].type}, got {got}. {takes}")
        if isinstance(value, str) and holds_secret(value):
            raise InputError(
                f"parameter {name} looks like a secret, and parameters are written into the notebook. "
                "Name a path or an id instead."
            )


def fits(value: Any, declared: str) -> bool:
    """Whether a value has the declared type; an int is a float, and a bool is neither.

    Examples
    --------
    >>> fits(3, "float"), fits(True, "int"), fits(None, "str | None"), fits("2026-03-01", "str")
    (True, False, True, True)
    """
    for kind in (part.strip() for part in declared.replace("Optional[", "None | ").split("|")):
        base = kind.split("[")[0].strip("] ")
        if base in ("any", "Any") or (base == "None" and value is None):
            return True
        if base == "float" and isinstance(value, int | float) and not isinstance(value, bool):
            return True
        types = {"str": str, "int": int, "bool": bool, "list": list, "dict": dict, "tuple": tuple}
        if base in types and isinstance(value, types[base]) and not (base == "int" and isinstance(value, bool)):
            return True
        if base not in (*types, "float", "None"):
            return True  # a type of the notebook's own: its own cell will say
    return False
