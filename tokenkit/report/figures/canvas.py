"""Canvas: one small drawing by matplotlib, in pixels, that becomes an SVG element of the page.

It is drawn in stand-in colours, which become CSS variables (``--ink``, ``--accent``, ...), so that dark mode and print
follow. What matplotlib adds for a file of its own (fonts, ids, a stylesheet, the date) is taken out, and numbers are
rounded to a tenth of a pixel. The same drawing gives the same bytes.
"""

import io
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from markupsafe import Markup, escape

from tokenkit.incidents import words

_FONT = 12.0
_CHARACTER = 6.9  # width of an average one in bold, px: a system font is hardly wider

# stand-in -> variable: colours that appear nowhere else in an SVG of matplotlib
INK, INK_2, ACCENT, LINE = "#0a0101", "#0a0202", "#0a0303", "#0a0404"
BAND, WASH, RULE, CARD = "#0a0505", "#0a0606", "#0a0707", "#0a0808"
_VARIABLES = {
    INK: "ink",
    INK_2: "ink-2",
    ACCENT: "accent",
    LINE: "line",
    BAND: "band",
    WASH: "wash",
    RULE: "rule",
    CARD: "card",
}
DASHED: Any = (0, (3, 2))
_STYLE: Any = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "tokenkit",
    "text.parse_math": False,  # a label with dollar signs is a label
    "font.family": "sans-serif",
    "font.size": _FONT,
    "figure.dpi": 72,  # one point is one CSS pixel
    "path.simplify_threshold": 0.4,
}


def style() -> AbstractContextManager[None]:
    """Within it, figures are drawn as the page needs them, whatever the user's settings are."""
    import matplotlib

    return matplotlib.rc_context(_STYLE)


class Canvas:
    """One drawing in pixels: a figure with one bare Axes, and what is drawn on it."""

    def __init__(self, width: float, height: float, left: float, right: float, top: float, bottom: float) -> None:
        from matplotlib.figure import Figure

        self.width, self.height, self.left, self.right = width, height, left, right
        self.figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        self.ax = self.figure.add_axes(
            (left / width, bottom / height, (width - left - right) / width, (height - top - bottom) / height)
        )
        self.ax.set_axis_off()
        self.inner = width - left - right

    def scale(self, x0: float, x1: float, y0: float, y1: float) -> None:
        """Set what the Axes shows."""
        self.ax.set_xlim(x0, x1)
        self.ax.set_ylim(y0, y1)

    def line(self, xs: Sequence[float], ys: Sequence[float], color: str, width: float, dash: Any = "-") -> None:
        """A line through points."""
        self.ax.plot(*_thin(xs, ys), color=color, linewidth=width, linestyle=dash, clip_on=False, zorder=1)

    def dot(self, x: float, y: float, color: str, size: float) -> None:
        """A dot at a point."""
        self.ax.plot([x], [y], color=color, marker="o", markersize=size, clip_on=False, zorder=1)

    def area(self, xs: Sequence[float], ys: Sequence[float], color: str) -> None:
        """A filled outline."""
        self.ax.fill(*_thin(xs, ys), facecolor=color, edgecolor="none", clip_on=False, zorder=1)

    def text(self, x: float, y: float, text: str, color: str = INK_2, ha: str = "left", va: str = "baseline",
             dx: float = 0, dy: float = 0, bold: bool = False) -> None:  # fmt: skip
        """A text at a point of the data, moved by pixels, and kept inside the drawing."""
        text = words.clean(text, 90)
        at = self.left + self.share(x) * self.inner + dx
        long = len(text) * _CHARACTER * (1.0 if bold else 0.93)
        begin = at - {"left": 0.0, "center": long / 2, "right": long}[ha]
        dx += max(0.0, -begin) - max(0.0, begin + long - self.width)
        self.ax.annotate(
            text, (x, y), xytext=(dx, dy), textcoords="offset pixels", color=color, ha=ha, va=va, annotation_clip=False,
            fontweight="bold" if bold else "normal", parse_math=False,
        )  # fmt: skip

    def share(self, x: float) -> float:
        """How far to the right a point of the data is, from 0 to 1."""
        x0, x1 = self.ax.get_xlim()
        return (x - x0) / (x1 - x0) if x1 > x0 else 0.0

    def svg(self, name: str, label: str, kind: str = "one") -> Markup:
        """The drawing as an SVG element of the page. ``kind`` is the class: wide, narrow, or one for both."""
        out = io.StringIO()
        self.figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        return _embed(out.getvalue(), name, label, kind, self.width, self.height)


def _thin(xs: Sequence[float], ys: Sequence[float]) -> tuple[list[float], list[float]]:
    """The same line without the points that lie between two others at the same height, or straight above each other."""
    points: list[tuple[float, float]] = []
    for point in zip(xs, ys, strict=True):
        if len(points) > 1 and (
            points[-2][1] == points[-1][1] == point[1] or points[-2][0] == points[-1][0] == point[0]
        ):
            points.pop()
        points.append(point)
    return [x for x, _ in points], [y for _, y in points]


def _embed(svg: str, name: str, label: str, kind: str, width: float, height: float) -> Markup:
    """Turn a file of matplotlib's into an element that can live in a page beside others."""
    body = re.sub(r"<metadata>.*?</metadata>|<defs>\s*<style.*?</defs>", "", svg, flags=re.S)
    body = body[body.index(">", body.index("<svg")) + 1 : body.rindex("</svg>")]
    body = re.sub(r"<!--.*?-->", "", body, flags=re.S)
    used = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", body))
    body = re.sub(r" id=\"([^\"]*)\"", lambda m: m[0] if m[1] in used else "", body)
    body = re.sub(r"(id=\"|url\(#|href=\"#)", rf"\1{name}-", body)
    for stand_in, variable in _VARIABLES.items():
        body = body.replace(stand_in, f"var(--{variable})")
    body = re.sub(r">\s+<", "><", re.sub(r"<[^>]+>", _tag, body))
    body = re.sub(r"</?g>", "", body) if "<g " not in body else body
    body = re.sub(r'<path d="[^"]*" style="fill:none"/>', "", body, count=1)  # the empty ground of the figure
    size = f'viewBox="0 0 {width:g} {height:g}" style="max-width:{width:g}px;font-size:{_FONT:g}px"'
    label = escape(words.clean(label, 400))
    return Markup(f'<svg class="{kind}" {size} role="img" aria-label="{label}">{body.strip()}</svg>')


def _tag(match: re.Match[str]) -> str:
    """A tag with its numbers rounded to a tenth of a pixel and no space too many. What stands between tags is kept."""
    text = re.sub(r"-?\d+\.\d+", lambda m: f"{round(float(m[0]), 1) + 0:g}", match[0])
    text = re.sub(r"\s*\n\s*", " ", text)
    text = re.sub(r"(?<=[\d\"]) ?([MLz]) ?", r"\1", re.sub(r"([:;]) ", r"\1", text))
    text = re.sub(r"font-family:[^;\"]*;?|font-size:12px;?|( transform=\"rotate\(-?0 [^\"]*\")", "", text)
    text = re.sub(r"font-weight:(?:700|bold)", "font-weight:650", text)
    return re.sub(r"stroke-line(join|cap):[a-z]+;?|font-style:normal;?| (?=\")|(?<=\") (?=/)", "", text)
