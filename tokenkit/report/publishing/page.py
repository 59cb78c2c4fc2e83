"""Page: an executed notebook as one self-contained file, and what is kept of its metadata.

nbconvert with a template of our own (``templates/page``): what cells tagged ``report`` display, a content security
policy, one stylesheet; no code, no script, no address.
"""

import re
from pathlib import Path
from typing import Any

from tokenkit.errors import ReportError
from tokenkit.incidents import words
from tokenkit.report.parts import render

# nothing may be loaded or run, and no form sent, whatever stands in the page
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_SHOWN = {"text/html", "image/png", "image/svg+xml"}
# of HTML that is not a Part's (a table of pandas): structure and nothing that acts, loads or styles
_TAGS = [
    *(
        "a",
        "b",
        "br",
        "caption",
        "code",
        "dd",
        "div",
        "dl",
        "dt",
        "em",
        "figcaption",
        "figure",
        "h1",
        "h2",
        "h3",
        "h4",
        "hr",
        "i",
    ),
    *("li", "ol", "p", "pre", "small", "span", "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead"),
    *("tr", "ul"),
]


def write(notebook: Any, path: Path) -> dict[str, str]:
    """Write the page of an executed notebook, and the notebook without the metadata of this machine beside it.

    Parameters
    ----------
    notebook : NotebookNode
    path : of the page; the notebook was written into the same folder

    Returns
    -------
    The page's head: title, issue, state and headline, as the verdict gave them.

    Raises
    ------
    ReportError
        No cell tagged ``report`` displayed anything: such a page would say nothing.
    """
    import nbformat

    cells = [cell for cell in notebook.cells if "report" in cell.metadata.get("tags", [])]
    shown = [output for cell in cells for output in cell.get("outputs", []) if _SHOWN & set(output.get("data", {}))]
    if not shown:
        raise ReportError("no cell tagged report displayed anything; tag the cells whose output belongs on the page")
    strip(notebook)
    heads = [output.metadata["tokenkit"] for output in shown if output.metadata.get("tokenkit", {}).get("title")]
    head = {"title": "tokenkit report", "issue": ""}
    if heads:
        head = {key: words.clean(value, 300) for key, value in heads[0].items() if key != "part"}
    path.write_text(html(notebook, head), encoding="utf-8", errors="replace")
    for copy in path.parent.glob("*.ipynb"):
        nbformat.write(notebook, copy)
    return head


def html(notebook: Any, head: dict[str, str], template: str = "index.html.j2") -> str:
    """The page as text: the same notebook gives the same bytes. ``template`` is a file of ``templates/page``."""
    from nbconvert.exporters import TemplateExporter
    from traitlets.config import Config

    settings = Config()
    settings.NbConvertBase.display_data_priority = ["text/html", "image/svg+xml", "image/png", "text/plain"]
    exporter = TemplateExporter(
        config=settings,
        template_name="page",
        template_file=template,
        extra_template_basedirs=[str(render.TEMPLATES)],
        filters={"cleaned": cleaned},
    )
    resources = {"tokenkit": {**head, "policy": POLICY, "style": render.style()}}
    body, _ = exporter.from_notebook_node(notebook, resources=resources)
    return re.sub(r"\n{2,}", "\n", body)


def cleaned(foreign: str) -> str:
    """HTML of somebody else's as structure and text.

    Examples
    --------
    >>> cleaned('<table><tr><th onclick="x()">a</th></tr></table><script>x()</script>')
    '<table><tbody><tr><th>a</th></tr></tbody></table>'
    """
    from nbconvert.preprocessors.sanitize import SanitizeHTML

    without = re.sub(r"<(script|style)\b.*?(</\1\s*>|$)", "", foreign, flags=re.S | re.I)
    cleaner = SanitizeHTML(tags=_TAGS, attributes={"*": ["colspan", "rowspan", "scope"]}, strip=True)
    return str(cleaner.sanitize_html_tags(without))


def strip(notebook: Any) -> None:
    """Keep of the metadata what a reader needs: kernel, tags, and which part an output is."""
    notebook.metadata = type(notebook.metadata)(
        kernelspec={"display_name": "Python 3", "language": "python", "name": "python3"},
        language_info={"name": "python"},
    )
    for number, cell in enumerate(notebook.cells):
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell["id"] = f"injected-parameters-{number}"  # papermill's is random
        cell.metadata = _only(cell.metadata, {"tags"})
        for output in cell.get("outputs", []):
            if "metadata" in output:
                output.metadata = _only(output.metadata, {"tokenkit", "image/png", "image/svg+xml"})


def _only(metadata: Any, keys: set[str]) -> Any:
    return type(metadata)({key: value for key, value in metadata.items() if key in keys})
