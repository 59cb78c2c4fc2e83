"""Pick: search among all tokens, by any of their names, and see the fingerprint of the one that is chosen.

picker = pick_token(view)
picker.search("billing")        what a person would type
picker.value                    profile_uid of the chosen token
"""

import ipywidgets
import pandas as pd

from tokenkit.config import Workspace
from tokenkit.errors import TokenkitError
from tokenkit.incidents.words import clean
from tokenkit.report import fingerprint_card, notice
from tokenkit.report.parts.render import Part, part
from tokenkit.widgets.front import Control, code, html, markup, said, why
from tokenkit.workbench import explore
from tokenkit.workbench.explore import View

SEARCHED = ("label", "owner_name", "team", "mask", "principal", "purpose")
MOST = 50  # more are not read; another letter is quicker


def names_of(people: pd.DataFrame) -> list[str]:
    """What is searched of each token: its names in lower case, made once, since it takes longer than a search."""
    columns = [people[c].fillna("").astype(str).tolist() for c in SEARCHED]
    return [" ".join(parts).lower() for parts in zip(*columns, strict=True)]


def search(people: pd.DataFrame, names: list[str], text: str) -> pd.DataFrame:
    """The rows of which the names hold every word of a text; all of them where there is no word.

    Examples
    --------
    >>> people = pd.DataFrame({c: [f"{c} one", f"{c} two"] for c in SEARCHED})
    >>> search(people, names_of(people), "Two team").index.tolist()
    [1]
    """
    words = text.lower().split()
    return people.iloc[[n for n, its in enumerate(names) if all(word in its for word in words)]]


class TokenPicker(Control):
    """A search box over all tokens, what it finds, and the card of the chosen one."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.value = ""
        self._people = view.people if view else pd.DataFrame(columns=SEARCHED)
        self._names = names_of(self._people)

    def search(self, text: str) -> pd.DataFrame:
        """Tokens of which the names hold every word; all of them where there is no word."""
        return search(self._people, self._names, text)

    def choose(self, token: str) -> Part:
        """Take a token by any of its names; returns its card."""
        self.value = self.view.ws.profile(token)
        return fingerprint_card(self.view, self.value)

    @property
    def calls(self) -> str:
        """The calls that do what was clicked."""
        token = self.value or "TOKEN"
        return f'profile = ws.profile("{token}")\nreport.fingerprint_card(view, profile)'

    def static(self) -> Part:
        """How many tokens there are, and the calls."""
        if not self.view:
            return Part("picker")
        return part("picker", n=len(self._people), calls=self.calls)

    def _build(self) -> ipywidgets.Widget:
        if not self.view:
            return markup(notice(self.view))
        asked = ipywidgets.Text(description="Token", placeholder="label, owner, team, mask or purpose")
        listed = ipywidgets.Select(rows=8, layout={"width": "46rem", "max_width": "100%"})
        count, card, calls = markup(said("")), markup(said("")), markup(code(self.calls))

        def look(_: object = None) -> None:
            found = self.search(asked.value)
            shown = found.head(MOST)
            listed.options = [("", ""), *((_line(row), str(uid)) for uid, row in shown.iterrows())]
            more = f", the first {MOST} are listed" if len(found) > MOST else ""
            count.value = html(said(f"{len(found):,} of {len(self._people):,} tokens{more}"))

        def choose(change: dict[str, str]) -> None:
            if not change["new"]:
                return
            try:
                card.value = html(self.choose(change["new"]))
            except TokenkitError as error:
                card.value = html(why(error))
            calls.value = html(code(self.calls))

        asked.observe(look, "value")
        listed.observe(choose, "value")
        look()
        return ipywidgets.VBox([asked, count, listed, calls, card])


def _line(row: pd.Series) -> str:
    parts = (row["label"], row["mask"] if row["mask"] != row["label"] else "", row["owner_name"], row["team"])
    return " | ".join(clean(part, 60) for part in parts if part)


def pick_token(source: View | Workspace) -> TokenPicker:
    """Search among all tokens of a view (``explore.look``) or a workspace, and see one's fingerprint."""
    return TokenPicker(source if isinstance(source, View) else explore.look(source))
