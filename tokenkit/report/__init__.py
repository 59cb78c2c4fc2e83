"""Report: the page, the findings and the list of runs, made from the facts of a period.

    facts = report.gather(workspace, start, end)    everything the page says (from ``judge``)
    report.parts.verdict(facts)                     a section, in a notebook and on the page
    report.publish(notebook, parameters, out, run, incidents)

In a notebook ``report.parts`` is all that is needed; ``publish`` executes that notebook and makes the page from it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenkit.judge.facts import gather
    from tokenkit.report import parts
    from tokenkit.report.ocsf import findings
    from tokenkit.report.parts.exploration import fingerprint_card, notice, organisation, peer_groups
    from tokenkit.report.publishing import publish
    from tokenkit.report.publishing.notebooks import find_notebook, report_notebook

__all__ = [
    "find_notebook",
    "findings",
    "fingerprint_card",
    "gather",
    "notice",
    "organisation",
    "parts",
    "peer_groups",
    "publish",
    "report_notebook",
]

# imported when first used: a notebook needs no papermill, and the command line no matplotlib
_PLACES = {
    "gather": "tokenkit.judge.facts", "parts": "", "publish": ".publishing", "findings": ".ocsf",
    "find_notebook": ".publishing.notebooks",
    "report_notebook": ".publishing.notebooks",
    "fingerprint_card": ".parts.exploration", "notice": ".parts.exploration",
    "organisation": ".parts.exploration", "peer_groups": ".parts.exploration",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import what is asked for."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "parts":
        return import_module(f"{__name__}.parts")
    value = getattr(import_module(_PLACES[name], __name__), name)
    globals()[name] = value  # importing the module publish had put itself in this place
    return value
