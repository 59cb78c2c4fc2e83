"""Token picker: search among all tokens by any of their names, and see the fingerprint of the chosen one.

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
from tokenkit.widgets.control import Control, code, error_message, html, markup, message
from tokenkit.workbench import explore
from tokenkit.workbench.explore import View

SEARCH_COLUMNS = ("label", "owner_name", "team", "mask", "principal", "purpose")
MAX_LISTED = 50  # nobody reads more; another letter is quicker


def names_of(people: pd.DataFrame) -> list[str]:
    """Return all names of each token in one lower-case text; made once, since this takes longer than a search."""
    columns = [people[c].fillna("").astype(str).tolist() for c in SEARCH_COLUMNS]
    return [" ".join(parts).lower() for parts in zip(*columns, strict=True)]


def search(people: pd.DataFrame, names: list[str], text: str) -> pd.DataFrame:
    """Return the rows whose names have every word of a text; all rows where there is no word.

    Examples
    --------
    >>> people = pd.DataFrame({c: [f"{c} one", f"{c} two"] for c in SEARCH_COLUMNS})
    >>> search(people, names_of(people), "Two team").index.tolist()
    [1]
    """
    words = text.lower().split()
    return people.iloc[[n for n, text in enumerate(names) if all(word in text for word in words)]]


class TokenPicker(Control):
    """A search box for all tokens, the list of matches, and the card of the chosen token."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.value = ""
        self._people = view.people if view else pd.DataFrame(columns=SEARCH_COLUMNS)
        self._names = names_of(self._people)

    def search(self, text: str) -> pd.DataFrame:
        """Return the tokens whose names have every word; all tokens where there is no word."""
        return search(self._people, self._names, text)

    def choose(self, token: str) -> Part:
        """Choose a token by any of its names; returns its card."""
        self.value = self.view.ws.profile(token)
        return fingerprint_card(self.view, self.value)

    @property
    def calls(self) -> str:
        """Return the calls that do what was clicked."""
        token = self.value or "TOKEN"
        return f'profile = ws.profile("{token}")\nreport.fingerprint_card(view, profile)'

    def static(self) -> Part:
        """Return the number of tokens, and the calls."""
        if not self.view:
            return Part("picker")
        return part("picker", n=len(self._people), calls=self.calls)

    def _build(self) -> ipywidgets.Widget:
        if not self.view:
            return markup(notice(self.view))
        search_box = ipywidgets.Text(description="Token", placeholder="label, owner, team, mask or purpose")
        matches = ipywidgets.Select(rows=8, layout={"width": "46rem", "max_width": "100%"})
        count, card, calls = markup(message("")), markup(message("")), markup(code(self.calls))

        def update(_: object = None) -> None:
            rows = self.search(search_box.value)
            shown = rows.head(MAX_LISTED)
            matches.options = [("", ""), *((_line(row), str(uid)) for uid, row in shown.iterrows())]
            more = f", the first {MAX_LISTED} are listed" if len(rows) > MAX_LISTED else ""
            count.value = html(message(f"{len(rows):,} of {len(self._people):,} tokens{more}"))

        def choose(change: dict[str, str]) -> None:
            if not change["new"]:
                return
            try:
                card.value = html(self.choose(change["new"]))
            except TokenkitError as error:
                card.value = html(error_message(error))
            calls.value = html(code(self.calls))

        search_box.observe(update, "value")
        matches.observe(choose, "value")
        update()
        return ipywidgets.VBox([search_box, count, matches, calls, card])


def _line(row: pd.Series) -> str:
    parts = (row["label"], row["mask"] if row["mask"] != row["label"] else "", row["owner_name"], row["team"])
    return " | ".join(clean(part, 60) for part in parts if part)


def pick_token(source: View | Workspace) -> TokenPicker:
    """Return a picker for the tokens of a view (``explore.look``) or of a workspace."""
    return TokenPicker(source if isinstance(source, View) else explore.look(source))
