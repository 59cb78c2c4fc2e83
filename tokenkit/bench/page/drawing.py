"""Drawing: how the pictures of the bench are drawn, shown in a notebook, and described in words.

Reads  nothing. Writes nothing.
"""

import io
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Given = ParamSpec("Given")
STYLE: Any = {"text.parse_math": False, "font.family": "sans-serif", "font.size": 9.0, "axes.spines.top": False,
              "axes.spines.right": False, "savefig.facecolor": "white"}  # fmt: skip


def styled(draw: Callable[Given, "Axes"]) -> Callable[Given, "Axes"]:
    """Return the function so that it draws alike whatever the reader's settings are; a dollar sign is a dollar sign."""

    @wraps(draw)
    def drawn(*given: Given.args, **named: Given.kwargs) -> "Axes":
        import matplotlib

        with matplotlib.rc_context(STYLE):
            return draw(*given, **named)

    return drawn


def show(ax: "Axes") -> None:
    """Display the figure in a notebook as a picture with its alternative text."""
    from IPython.display import display

    data = {"image/png": png(ax), "text/plain": alt(ax)}
    display(data, raw=True, metadata={"image/png": {"alt": alt(ax)}})


def png(ax: "Axes", dpi: int = 110) -> bytes:
    """The figure as a PNG: the same drawing, the same bytes."""
    out = io.BytesIO()
    figure_of(ax).savefig(
        out, format="png", dpi=dpi, bbox_inches="tight", facecolor="white", metadata={"Software": None}
    )
    return out.getvalue()


def alt(ax: "Axes") -> str:
    """What the figure shows, in words."""
    return str(figure_of(ax).get_label())


def described(ax: "Axes", text: str) -> "Axes":
    """The axes, with a text that says what their figure shows."""
    figure_of(ax).set_label(text)
    return ax


def axes(width: float, height: float) -> "Axes":
    """Axes of a figure of their own; width and height in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="tight").add_subplot()


def slant(ax: "Axes") -> None:
    """Write the labels below the axes at a slant."""
    for label in ax.get_xticklabels():
        label.set(rotation=60, ha="right", rotation_mode="anchor")


def figure_of(ax: "Axes") -> Any:
    """The figure that the axes are on."""
    return ax.get_figure(root=True)
