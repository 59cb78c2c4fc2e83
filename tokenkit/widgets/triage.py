"""Triage: label incidents as true positive, benign or false positive, with a reason; labels are stored in state.db.

Each label is one call of ``labels.label``, which is shown.
"""

from collections.abc import Callable
from datetime import date
from typing import Any

import ipywidgets
import pandas as pd

from tokenkit.config import Workspace
from tokenkit.errors import TokenkitError
from tokenkit.incidents import advice, labels
from tokenkit.report.parts.render import Part, part
from tokenkit.tokens import owners
from tokenkit.widgets.control import Control, code, error_message, html, markup, message, user_name
from tokenkit.workbench import frames
from tokenkit.workbench.explore import View
from tokenkit.workbench.frames import OpenWorkspace

MAX_INCIDENTS = 20
# text of a button, verdict, whether it accepts the change as the new normal, whether it needs a day
CHOICES = (
    ("True positive", "true_positive", False, False),
    ("Benign: new normal", "benign", True, False),
    ("Benign: nothing until", "benign", False, True),
    ("False positive", "false_positive", False, False),
)


class Triage(Control):
    """The incidents of a period, each with the buttons that label it."""

    def __init__(self, ws: OpenWorkspace, start: str | date = "", end: str | date = "") -> None:
        self.ws = ws
        incidents = ws.incidents(start, end)
        self.incidents = _without_names(incidents) if ws.settings.report.pseudonymous else incidents

    def answer(
        self, incident_uid: str, verdict: str, reason: str, who: str, accept: bool = False, until: str = ""
    ) -> dict[str, Any]:
        """Store a label, as ``labels.label`` does, and return it."""
        stored = labels.label(self.ws, incident_uid, verdict, reason, who, accept, until or None)
        self.incidents.loc[self.incidents["incident_uid"] == incident_uid, "verdict"] = verdict
        return stored

    def static(self) -> Part:
        """Return the incidents with their labels, and the call that labels one."""
        rows = [_row(r) for r in self.incidents.head(MAX_INCIDENTS).to_dict("records")]
        example = _call(rows[0]["uid"] if rows else "INCIDENT", "benign", "why", "your name", True, "")
        return part("triage", rows=rows, n=len(self.incidents), calls=example)

    def _build(self) -> ipywidgets.Widget:
        if self.incidents.empty:
            return markup(message("There is no incident in these days."))
        who = ipywidgets.Text(value=user_name(), description="Who")
        rows = [self._incident_box(r, who) for r in self.incidents.head(MAX_INCIDENTS).to_dict("records")]
        return ipywidgets.VBox([who, *rows])

    def _incident_box(self, incident: dict[str, Any], who: ipywidgets.Text) -> ipywidgets.Widget:
        shown = _row(incident)
        reason = ipywidgets.Text(description="Reason", placeholder="what you found out", layout={"width": "34rem"})
        until = ipywidgets.Text(description="Until", placeholder="2026-03-01", layout={"width": "15rem"})
        head, done = markup(part("triage_one", r=shown)), markup(message(""))
        buttons = [ipywidgets.Button(description=text, layout={"width": "auto"}) for text, *_ in CHOICES]

        def answer(verdict: str, accept: bool, dated: bool) -> Callable[[object], None]:
            def act(_: object) -> None:
                day = until.value.strip() if dated else ""
                call = _call(shown["uid"], verdict, reason.value, who.value, accept, day)
                try:
                    self.answer(shown["uid"], verdict, reason.value, who.value, accept, day)
                    words = f"kept: {verdict.replace('_', ' ')}. The next report follows it."
                    done.value = html(message(words) + code(call))
                except TokenkitError as error:
                    done.value = html(error_message(error))

            return act

        for button, (_, verdict, accept, dated) in zip(buttons, CHOICES, strict=True):
            button.on_click(answer(verdict, accept, dated))
        lines = [head, ipywidgets.HBox([reason, until]), ipywidgets.HBox(buttons), done]
        return ipywidgets.VBox(lines, layout={"margin": "16px 0 0 0"})


def _without_names(incidents: pd.DataFrame) -> pd.DataFrame:
    """Replace names by ids, in the headline too, whatever the run that stored the incidents showed."""
    label = owners.hide_names(incidents.set_index("profile_uid"))["label"].to_numpy()
    records = zip(incidents["record"], label, strict=True)
    headlines = [advice.headline(r["story"], name, r["reasons"])[0] for r, name in records]
    return incidents.assign(label=label, owner=None, team=None, headline=headlines).drop(columns="record")


def _row(r: dict[str, Any]) -> dict[str, Any]:
    verdict = "" if r["verdict"] is None or pd.isna(r["verdict"]) else str(r["verdict"]).replace("_", " ")
    return {"uid": r["incident_uid"], "label": r["label"], "owner": r["owner"], "team": r["team"], "risk": r["risk"],
            "start": r["start"].isoformat(), "headline": r["headline"], "verdict": verdict}  # fmt: skip


def _call(uid: str, verdict: str, reason: str, who: str, accept: bool, until: str) -> str:
    more = ", accept=True" if accept else f", until={until!r}" if until else ""
    return f"labels.label(ws, {uid!r}, {verdict!r}, reason={reason!r}, who={who!r}{more})"


def triage(source: View | Workspace, start: str | date = "", end: str | date = "") -> Triage:
    """Return a triage of the incidents of some days (default: all) of a workspace, or of the days of a view."""
    if isinstance(source, View):
        return Triage(source.ws, source.start if source else "", source.end if source else "")
    return Triage(frames.open(source), start, end)
