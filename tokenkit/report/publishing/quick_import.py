"""Quick import: notebook libraries without a grammar that takes longer to build than all else that a page imports.

``nbformat`` and ``papermill`` import ``jsonschema``, and that imports ``rfc3987_syntax`` where Jupyter has brought it,
which builds a parser of international web addresses at once: 1.4 s of a run. No notebook has such a field. Here it is
built when it is first asked for.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

GRAMMAR = "rfc3987_syntax"


def import_jsonschema() -> None:
    """Import ``jsonschema`` with a grammar that is built when a value is first checked by it."""
    if "jsonschema" in sys.modules or GRAMMAR in sys.modules or find_spec(GRAMMAR) is None:
        return

    def is_valid_syntax(term: str, text: str) -> bool:
        return bool(import_module(GRAMMAR).is_valid_syntax(term, text))

    later = ModuleType(GRAMMAR)
    later.__dict__["is_valid_syntax"] = is_valid_syntax
    sys.modules[GRAMMAR] = later
    try:
        import_module("jsonschema")
    finally:
        del sys.modules[GRAMMAR]  # whoever else asks for it gets it
