"""Control: what all widgets share: whether somebody can operate them, their static equivalent, and HTML for them."""

from functools import cached_property
from typing import Any

import ipywidgets
from markupsafe import Markup

from tokenkit.errors import InputError, TokenkitError
from tokenkit.incidents import attribution
from tokenkit.report.parts.render import Part, style

VIEW = "application/vnd.jupyter.widget-view+json"


def is_interactive() -> bool:
    """Return whether the cell was run from a front end in which somebody can operate a widget.

    Notes
    -----
    A front end says with each cell whether it can be asked for input (``allow_stdin`` of Jupyter's messaging protocol).
    JupyterLab can; nbclient, with which papermill and nbconvert execute, cannot.
    """
    return bool(_cell_message().get("content", {}).get("allow_stdin"))


def browser_session() -> str:
    """Return the id of the front end's page that sent the cell; empty outside of a notebook."""
    return str(_cell_message().get("header", {}).get("session", ""))


def _cell_message() -> dict[str, Any]:
    """Return the message that the cell came with."""
    from IPython.core.getipython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    return dict(kernel.get_parent("shell")) if kernel else {}


def user_name() -> str:
    """Return the user of the operating system; empty where the process has no user name, as in many containers."""
    try:
        return attribution.person("")
    except InputError:
        return ""


class Control:
    """A widget that shows itself where somebody can use it, and its static equivalent elsewhere.

    A subclass defines ``_build`` (the widget) and ``static`` (a Part). No ipywidget is made before it is shown, since
    its state would be written into a notebook that ran unattended.
    """

    @cached_property
    def box(self) -> ipywidgets.Widget:
        """The widget."""
        return ipywidgets.VBox([markup(Markup(style())), self._build()])

    def _build(self) -> ipywidgets.Widget:
        raise NotImplementedError

    def static(self) -> Part:
        """Return what is shown where nothing can be operated."""
        raise NotImplementedError

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle, metadata = self.static()._repr_mimebundle_()
        shown: dict[str, Any] = dict(bundle)
        if is_interactive():
            shown[VIEW] = self.box._repr_mimebundle_()[VIEW]
        return shown, metadata


def markup(value: Markup | Part) -> ipywidgets.HTML:
    """Return a widget of escaped HTML; anything that is not marked as such is refused."""
    return ipywidgets.HTML(html(value))


def html(value: Markup | Part) -> str:
    """Return the HTML of a Part or of Markup; anything else is refused."""
    if isinstance(value, Part):
        return value.html
    assert isinstance(value, Markup), "text has to be escaped before it becomes HTML"
    return str(value)


def code(text: str) -> Markup:
    """Return calls as they would be typed in a cell, to be copied."""
    return Markup('<div class="tk"><pre class="calls"><code>{}</code></pre></div>').format(text)


def message(text: str, bad: bool = False) -> Markup:
    """Return a line that says what was done, or why not."""
    return Markup('<div class="tk"><p class="{}" role="status">{}</p></div>').format("hot" if bad else "quiet", text)


def error_message(error: TokenkitError) -> Markup:
    """Return the message of an error as such a line."""
    return message(str(error), bad=True)
