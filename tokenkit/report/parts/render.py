"""Render: facts and a template become a Part, which shows itself in a notebook, on the page and in a terminal.

Every value passes through the one autoescaping Jinja environment made here; what must be markup is made by a template
or by ``figures``. In a notebook the first Part that is shown brings the stylesheet; the page has it in its head.
"""

import re
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import BaseLoader, Environment, StrictUndefined, TemplateNotFound
from markupsafe import Markup, escape

from tokenkit.incidents import words
from tokenkit.report import figures

PILLS = {"attention": "Needs attention", "quiet": "Nothing to report", "not_enough_history": "Not enough history"}
Values = dict[str, Any]  # what a template is given, by name
TEMPLATES = files("tokenkit.report") / "templates"


class Part:
    """A section of the report, made by one function of ``parts``.

    Shown at the end of a cell it is a piece of the page; ``str(part)`` is its text. A section that has nothing to say
    is falsy, and the page leaves it out.
    """

    # the part that brings the stylesheet in this session: shown again, it brings it again
    _styled_by: str | None = None

    def __init__(self, name: str, html: str = "", head: dict[str, str] | None = None) -> None:
        self.name, self.html, self.head = name, html, head or {}

    def __bool__(self) -> bool:
        return bool(self.html)

    def __repr__(self) -> str:
        return text_of(self.html) or f"Nothing to say here ({self.name})."

    def _repr_html_(self) -> str | None:
        if not self.html:
            return None
        if Part._styled_by is None:
            Part._styled_by = self.name
        return (style() if Part._styled_by == self.name else "") + self.html

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict[str, str], dict[str, Any]]:
        bundle = {"text/plain": repr(self)}
        if not self.html:
            return bundle, {}
        return bundle | {"text/html": self._repr_html_() or ""}, {"tokenkit": {"part": self.name, **self.head}}


@cache
def style() -> str:
    """The stylesheet as an element, the same in a notebook and in the head of a page."""
    return f"<style>\n{(TEMPLATES / 'report.css').read_text(encoding='utf-8')}</style>\n"


def part(name: str, head: dict[str, str] | None = None, **values: Any) -> Part:
    """Render ``templates/parts/<name>.html.j2``; blank output makes an empty Part."""
    html = environment().get_template(f"parts/{name}.html.j2").render(**values)
    html = re.sub(r"\n\s*", "\n", html).strip()
    return Part(name, f'<div class="tk">{html}</div>' if html else "", head)


class _Resources(BaseLoader):
    """Templates as package resources, wherever the package is installed."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Any]:
        path = TEMPLATES.joinpath(*template.split("/"))
        if not path.is_file():
            raise TemplateNotFound(template)
        return path.read_text(encoding="utf-8"), template, None


@cache
def environment() -> Environment:
    """The one place where text becomes HTML."""
    env = Environment(
        loader=_Resources(),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finish,
    )
    for name in ("count", "compact", "data", "percent", "clean", "sentence", "day", "number", "kind"):
        env.filters[name] = getattr(words, name)
    env.filters["bdi"] = bdi
    env.filters["time"] = time
    env.globals.update(figures=figures)
    return env


def _finish(value: Any) -> Any:
    """What every expression of a template passes: nothing for None, and no character that is not text."""
    if value is None:
        return ""
    return words.printable(value) if type(value) is str else value


def bdi(value: object, limit: int = 240) -> Markup:
    """A value from the data: cleaned, cut if very long, and kept from turning the direction of what is around it."""
    text = words.clean(value, limit)
    return Markup("<bdi>{}</bdi>").format(text) if text else Markup("")


def time(when: str | None, text: str = "") -> Markup:
    """A time that a machine can read too."""
    t = words.moment(when)
    if t is None:
        return Markup("") + escape(text)
    return Markup('<time datetime="{}">{}</time>').format(f"{t:%Y-%m-%dT%H:%MZ}", text or words.instant(when))


def text_of(html: str) -> str:
    """The text of a part, for a terminal: drawings left out, one line a row."""
    text = re.sub(r"\s+", " ", re.sub(r"<svg.*?</svg>|<style.*?</style>", " ", html, flags=re.S))
    text = re.sub(r"</?(a|b|bdi|code|small|strong|time|wbr)\b[^>]*>", "", text)
    text = re.sub(r"</(h\d|p|tr|li|dd|div|summary|caption|figcaption)>", "\n", text)
    text = Markup(re.sub(r"<[^>]+>", " ", text)).unescape()
    lines = (re.sub(r"\s+", " ", line).strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line)
