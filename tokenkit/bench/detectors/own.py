"""A detector of one's own as a contender, loaded once: from a file, a package, a class, or an object.

Reads  the file that a person names. Writes nothing.
"""

import copy
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle

from tokenkit.bench.detectors.contender import YOURS, Contender
from tokenkit.bench.detectors.rows import Rows
from tokenkit.bench.detectors.views import VIEWS
from tokenkit.channels import Detector
from tokenkit.errors import DetectorError, InputError, did_you_mean


def load(given: Any, name: str = "", view: str = "deviations+novelty") -> Contender:
    """A contender from a detector of one's own; a file is run now and never again.

    Parameters
    ----------
    given : ``"path/to/module.py:Class"``, ``"package.module:Class"``, a class, or an object
        A class is made without arguments. With ``fit(evidence, start, end)`` and ``score(evidence, start, end)``
        (docs/extend/detector.md) it is a channel; with ``fit(X)`` and ``decision_function(X)`` it is given rows. An
        object is copied for each organisation. ``seed``, or a ``random_state`` of None, is set where there is one.
    name : of an estimator of rows; default: its class's
    view : which rows (``views.VIEWS``)

    Raises
    ------
    InputError
        There is no such file, class or view.
    DetectorError
        The file cannot be run, the class cannot be made, or it is neither a channel nor an estimator.

    Examples
    --------
    >>> load("sklearn.ensemble:IsolationForest", "forest").name
    'forest'
    """
    if view not in VIEWS:
        raise InputError(f"no view {view!r}; {did_you_mean(view, list(VIEWS))}")
    module: ModuleType | None = None
    title = given if isinstance(given, str) else getattr(given, "__name__", type(given).__name__)
    if isinstance(given, str):
        module, given = _module_and_class(given)
    make = _maker(given, title)
    one = make()
    source = type(one).__qualname__.encode() + b"\n" + _source(module, given)
    if all(hasattr(one, needed) for needed in ("name", "gap_days", "least_shape", "fit", "score")):
        return Contender(one.name, partial(_make_channel, make), {one.name: 1.0}, YOURS, source=source)
    if all(callable(getattr(one, method, None)) for method in ("fit", "decision_function")):
        name = name or type(one).__name__
        return Contender(name, partial(_make_rows, make, name, view), {name: 1.0}, YOURS, "reference",
                         source=view.encode() + b"\n" + source)  # fmt: skip
    raise DetectorError(
        f"{title}: {type(one).__name__} is no detector: it has neither name, gap_days, least_shape, fit and score (a "
        "channel), nor fit(X) and decision_function(X) (an estimator of rows). docs/extend/detector.md has an example"
    )


def exception_text(error: Exception) -> str:
    """What an exception of somebody's code says, and where it was raised.

    Examples
    --------
    >>> exception_text(ValueError("no rows"))
    'ValueError: no rows'
    """
    # a mistake in the syntax says itself where it is, and was raised in Python's own importing
    frames = [] if isinstance(error, SyntaxError) else traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__}: {error}" + (f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else "")


def pack(contenders: list[Contender]) -> bytes:
    """Return contenders as bytes that another process can read, with the code of those that it could not import.

    Raises
    ------
    DetectorError
        The module of one of them holds something that no other process can be given.
    """
    try:
        return cloudpickle.dumps(contenders)
    except Exception as error:
        raise DetectorError(
            f"{', '.join(c.name for c in contenders)}: cannot be given to another process: {exception_text(error)}. "
            "Open files, connections and locks in fit, not where the module is imported"
        ) from error


def _module_and_class(where: str) -> tuple[ModuleType, Any]:
    """The module and the class that ``module:Class`` or ``path/to/module.py:Class`` leads to."""
    path, _, name = where.rpartition(":")
    if not path or not name:
        raise InputError(f"detector {where!r}: expected module:Class, or path/to/module.py:Class")
    if path.endswith(".py"):
        module = _run_file(where, Path(path))
    else:
        try:
            module = importlib.import_module(path)
        except ImportError as error:
            raise InputError(f"detector {where!r}: {error}. Is it installed in this environment?") from error
    if not hasattr(module, name):
        known = [n for n in dir(module) if n[0] != "_"][:400]
        raise InputError(f"detector {where!r}: {path} has no {name}; {did_you_mean(name, known)}")
    return module, getattr(module, name)


def _run_file(where: str, path: Path) -> ModuleType:
    if not path.is_file():
        raise InputError(f"detector {where!r}: there is no such file")
    name = f"tokenkit_own_{path.stem}"  # no module of the standard library has such a name
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise DetectorError(f"detector {where!r}: the file cannot be run: {exception_text(error)}") from error
    cloudpickle.register_pickle_by_value(module)  # other processes get the class, and do not run the file again
    return module


def _maker(given: Any, title: str) -> Callable[[], Any]:
    """A function that makes a fresh one of a class (or function), or a copy of an object."""
    if not callable(given) or (hasattr(given, "fit") and not isinstance(given, type)):
        return partial(copy.deepcopy, given)
    try:
        given()
    except Exception as error:
        raise DetectorError(
            f"{title}: {getattr(given, '__name__', given)} cannot be made without arguments: {error}. Give a class "
            "that can, or an object"
        ) from error
    return given


def _source(module: ModuleType | None, given: Any) -> bytes:
    """The text of the module, or of the class of an object and its settings; what that imports is not looked at."""
    if module is not None and module.__file__:
        return Path(module.__file__).read_bytes()
    kind = given if isinstance(given, type) else type(given)
    settings = "" if isinstance(given, type) else sorted(getattr(given, "__dict__", {}).items())
    try:
        text = f"{_class_text(kind)}\n{given!r} {settings!r}"
        return re.sub(r" at 0x[0-9a-f]+", "", text).encode()  # not where it lies in memory
    except (OSError, TypeError):
        return bytes(cloudpickle.dumps(given))


def _class_text(kind: type) -> str:
    """The source of a class; of one of a notebook, which has no file, that of its methods, and its values."""
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):
        members = {name: getattr(value, "__func__", value) for name, value in vars(kind).items()}
        parts = [inspect.getsource(value) if inspect.isfunction(value) else f"{name} = {value!r}"
                 for name, value in members.items() if name not in ("__dict__", "__weakref__")]  # fmt: skip
        return "\n".join([*(_class_text(base) for base in kind.__bases__ if base.__module__ == "__main__"), *parts])


def _make_channel(make: Callable[[], Any], seed: int) -> list[Detector]:
    one = make()
    if hasattr(one, "seed"):
        one.seed = seed
    return [one]


def _make_rows(make: Callable[[], Any], name: str, view: str, seed: int) -> list[Detector]:
    one = make()
    if getattr(one, "random_state", 0) is None:
        one.random_state = seed
    return [Rows(name, one, view)]
