"""Small notebooks for the tests: the sections of the report over invented facts, and cells that go wrong."""

from pathlib import Path

import nbformat
from report.test_parts import SECTIONS

TESTS = str(Path(__file__).parents[1])
PARAMETERS = (
    'state: str = "quiet"  # which of the invented states\ntext: str = ""  # replaces every free text\ntop: int = 10'
)
FACTS = f"""import sys
sys.path.insert(0, {TESTS!r})
from report.facts_example import PUBLISHED
from report.test_parts import with_text
from tokenkit.report import parts
facts = PUBLISHED[state]()
facts = with_text(facts, text) if text else facts"""


def notebook(path: Path, *cells: tuple[str, str] | str, sections: tuple[str, ...] = SECTIONS) -> Path:
    """Write a notebook: parameters, facts, the sections, then ``cells``, each its source or (source, tag)."""
    made = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "x", "language": "python"}}
    )
    sources = [(PARAMETERS, "parameters"), (FACTS, ""), *((f"parts.{name}(facts)", "report") for name in sections)]
    sources += [cell if isinstance(cell, tuple) else (cell, "") for cell in cells]
    for number, (source, tag) in enumerate(sources):
        cell = nbformat.v4.new_code_cell(source, id=f"cell-{number}", metadata={"tags": [tag] if tag else []})
        made.cells.append(cell)
    nbformat.write(made, path)
    return path
