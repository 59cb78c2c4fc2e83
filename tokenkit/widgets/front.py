"""Front: whether somebody sits in front of the notebook, and how a widget and its static equivalent are shown."""

from functools import cached_property
from typing import Any

import ipywidgets
from markupsafe import Markup

from tokenkit.errors import InputError, TokenkitError
from tokenkit.incidents import attribution
from tokenkit.report.parts.render import Part, style

VIEW = "application/vnd.jupyter.widget-view+json"


def live() -> bool:
    """Whether the cell was sent by a front end at which somebody can answer.

    Notes
    -----
    A front end says with each cell whether it can be asked for input (``allow_stdin`` of the messaging protocol).
    JupyterLab can; nbclient, which papermill and nbconvert execute with, says no.
    """
    return bool(_asked().get("content", {}).get("allow_stdin"))


def session() -> str:
    """Which page of which front end sent the cell; empty outside of a notebook."""
    return str(_asked().get("header", {}).get("session", ""))


def _asked() -> dict[str, Any]:
    """The message that the cell came with."""
    from IPython.core.getipython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    return dict(kernel.get_parent("shell")) if kernel else {}


def user() -> str:
    """Who sits there, as far as the operating system says; empty where it has no name (many containers)."""
    try:
        return attribution.person("")
    except InputError:
        return ""


class Control:
    """A widget that shows itself where somebody can use it, and its static equivalent elsewhere.

    A subclass makes ``_build`` (the widget) and ``static`` (a Part). Nothing of ipywidgets is made before it is shown:
    the state of widgets would end up in a notebook that ran unattended.
    """

    @cached_property
    def box(self) -> ipywidgets.Widget:
        """The widget."""
        return ipywidgets.VBox([markup(Markup(style())), self._build()])

    def _build(self) -> ipywidgets.Widget:
        raise NotImplementedError

    def static(self) -> Part:
        """What is shown where nothing can be operated."""
        raise NotImplementedError

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle, metadata = self.static()._repr_mimebundle_()
        shown: dict[str, Any] = dict(bundle)
        if live():
            shown[VIEW] = self.box._repr_mimebundle_()[VIEW]
        return shown, metadata


def markup(value: Markup | Part) -> ipywidgets.HTML:
    """A widget of escaped HTML; anything that is not marked as such is refused."""
    return ipywidgets.HTML(html(value))


def html(value: Markup | Part) -> str:
    """HTML for a widget, from a Part or Markup and from nothing else."""
    if isinstance(value, Part):
        return value.html
    assert isinstance(value, Markup), "text has to be escaped before it becomes HTML"
    return str(value)


def code(text: str) -> Markup:
    """Calls as they stand in a cell, to be copied."""
    return Markup('<div class="tk"><pre class="calls"><code>{}</code></pre></div>').format(text)


def said(text: str, bad: bool = False) -> Markup:
    """A line that says what was done, or why not."""
    return Markup('<div class="tk"><p class="{}" role="status">{}</p></div>').format("hot" if bad else "quiet", text)


def why(error: TokenkitError) -> Markup:
    """Why something was not done."""
    return said(str(error), bad=True)
