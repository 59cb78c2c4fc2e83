"""Tables: a frame to search and sort (itables), without any request to a server; static where nobody can operate it."""

from typing import Any, ClassVar

import pandas as pd
from markupsafe import escape

from tokenkit.report.parts.render import Part, part
from tokenkit.widgets.control import browser_session, is_interactive

STATIC_ROWS = 30


class Table:
    """A frame as a table. Each cell is shown as text, whatever it has."""

    # by page, the caption of the table that has the script of DataTables: shown again, it has to bring it again
    _with_script: ClassVar[dict[str, str]] = {}

    def __init__(self, frame: pd.DataFrame, caption: str = "") -> None:
        self.frame, self.caption = frame, caption

    def static(self) -> Part:
        """Return the first rows as a plain table."""
        shown = self.frame.head(STATIC_ROWS).reset_index(drop=isinstance(self.frame.index, pd.RangeIndex))
        return part("table", caption=self.caption, columns=[str(c) for c in shown.columns], n=len(self.frame),
                    rows=[[_text(v) for v in row] for row in shown.itertuples(index=False)])  # fmt: skip

    def interactive(self) -> str:
        """Return HTML and script of the searchable table, all of it inline."""
        from itables import to_html_datatable

        text = self.frame.map(_text) if len(self.frame) else self.frame
        numbers = self.frame.select_dtypes("number").columns
        # a nullable integer has no number for what is missing, and would be shown as <NA>
        text[numbers] = self.frame[numbers].astype({n: float for n in numbers if self.frame[n].isna().any()})
        with pd.option_context("display.float_format", lambda v: f"{v:,.4g}"):
            # itables puts the caption into the page unescaped, whatever allow_html says
            html = to_html_datatable(text, str(escape(self.caption)) or None, connected=False, allow_html=False,
                                     maxBytes=0, display_logo_when_loading=False,
                                     classes="display compact")  # fmt: skip
        return self._script() + str(html)

    def _script(self) -> str:
        """Return the script of DataTables once for each page; a reloaded page has another session."""
        from itables.javascript import generate_init_offline_itables_html
        from itables.options import dt_bundle

        first = Table._with_script.setdefault(browser_session(), self.caption)
        return str(generate_init_offline_itables_html(dt_bundle)) if first == self.caption else ""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        if not is_interactive():
            bundle, metadata = self.static()._repr_mimebundle_()
            return dict(bundle), metadata
        return {"text/plain": repr(self.frame), "text/html": self.interactive()}, {}


def _text(value: Any) -> str:
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return ""
    return f"{value:,.3g}" if isinstance(value, float) else str(value)


def table(frame: pd.DataFrame, caption: str = "") -> Table:
    """Return a frame as a table to search and sort, with every cell as text.

    Examples
    --------
    >>> table(pd.DataFrame({"token": ["<b>ci</b>"]})).static().html.count("&lt;b&gt;ci&lt;/b&gt;")
    1
    """
    return Table(frame, caption)
