"""Tuner: move the budget and its shares, see the incidents gained and lost, and save the settings.

Each action is a call of ``tune``, which is shown.
"""

from datetime import date
from typing import Any

import ipywidgets

from tokenkit import channels, config
from tokenkit.config import Workspace
from tokenkit.errors import InputError, TokenkitError
from tokenkit.report.parts.render import Part, part
from tokenkit.report.parts.tuning import tuning
from tokenkit.widgets.control import Control, code, error_message, html, markup, message, user_name
from tokenkit.workbench import frames, tune
from tokenkit.workbench.explore import View
from tokenkit.workbench.tune import ScoredPeriod, WhatIf


class Tuner(Control):
    """Settings being chosen: ``what_if`` has the incidents of the settings tried, ``saved`` those of the saved ones."""

    def __init__(self, ws: Workspace, scored: ScoredPeriod | None, missing: str = "") -> None:
        self.ws, self.scored, self.missing = ws, scored, missing
        self.what_if: WhatIf | None = None
        self.saved: WhatIf | None = None
        self.digest = ""
        if scored is not None:
            self.saved = self.what_if = tune.with_saved_settings(scored)

    def change(self, **values: Any) -> Part:
        """Try a budget, shares or a panel, as ``tune.what_if`` does; returns the picture."""
        if self.scored is None:
            return self.static()
        self.what_if = tune.what_if(self.scored, **values)
        self.__dict__.pop("box", None)  # the next time it is shown, the sliders are at these values
        return self.picture()

    def save(self, who: str, why: str) -> str:
        """Write the settings tried to tokenkit.toml; returns their digest, which the next page prints."""
        if self.what_if is None:
            return ""
        self.digest = tune.save(self.ws, self.what_if.detection, who=who, why=why)
        if self.scored is not None:
            self.saved, self.scored.detection = self.what_if, self.what_if.detection
        return self.digest

    def as_code(self, who: str = "", why: str = "") -> str:
        """Return the calls that try these settings, and that save them where a reason is given."""
        return tune.as_code(self.what_if, who, why) if self.what_if else ""

    def picture(self) -> Part:
        """Return the picture: incidents a day, thresholds, and incidents gained and lost."""
        assert self.scored is not None and self.what_if is not None and self.saved is not None
        return tuning(self.scored, self.what_if, self.saved)

    def static(self) -> Part:
        """Return the picture, and the calls that make it."""
        if self.scored is None or self.what_if is None:
            return part("notice", title="Nothing to tune yet", text=self.missing)
        shown = self.picture()
        return Part("tuner", shown.html + html(code(self.as_code())))

    def _build(self) -> ipywidgets.Widget:
        if self.scored is None or self.what_if is None:
            return markup(self.static())
        d = self.what_if.detection
        wide = {"style": {"description_width": "9rem"}, "layout": {"width": "28rem"}, "continuous_update": False}
        # a slider cuts a value outside its range, and the next move of any control would try the cut value
        budget = ipywidgets.FloatSlider(min=min(0.5, d.budget), max=max(20.0, d.budget), step=0.5, value=d.budget,
                                        description="Budget", **wide)  # fmt: skip
        shares = {
            name: ipywidgets.FloatSlider(min=0, max=1, step=0.01, value=d.shares.get(name, 0.0), readout_format=".2f",
                                         description=name, **wide)
            for name in channels.gaps()
        }  # fmt: skip
        detectors = sorted({*config.PANEL, *d.panel})
        panel = ipywidgets.SelectMultiple(
            options=detectors, value=tuple(d.panel), rows=len(detectors), description="Panel",
            style={"description_width": "9rem"},
        )  # fmt: skip
        who = ipywidgets.Text(value=user_name(), description="Who")
        reason = ipywidgets.Text(description="Why", placeholder="for whoever reads the page", layout={"width": "28rem"})
        button = ipywidgets.Button(
            description="Save to tokenkit.toml", layout={"width": "auto"}, button_style="primary"
        )
        picture, calls, done = markup(self.picture()), markup(code(self.as_code())), markup(message(""))

        def update(_: object = None) -> None:
            try:
                changed = self.change(
                    budget=budget.value,
                    shares={n: round(s.value, 4) for n, s in shares.items() if s.value > 0},
                    panel=list(panel.value),
                )
                picture.value, calls.value, done.value = html(changed), html(code(self.as_code())), html(message(""))
            except TokenkitError as error:
                done.value = html(error_message(error))

        def save(_: object) -> None:
            try:
                digest = self.save(who.value, reason.value)
                text = f"saved; the next tokenkit run uses it and prints {digest[:12]}"
                done.value = html(message(text))
                calls.value = html(code(self.as_code(who.value, reason.value)))
                picture.value = html(self.picture())
            except TokenkitError as error:
                done.value = html(error_message(error))

        for control in (budget, *shares.values(), panel):
            control.observe(update, "value")
        button.on_click(save)
        left = ipywidgets.VBox([budget, *shares.values(), panel])
        return ipywidgets.VBox([left, picture, calls, ipywidgets.HBox([who, reason, button]), done])


def tune_budget(
    source: View | Workspace, start: str | date = "", end: str | date = "", scored: ScoredPeriod | None = None
) -> Tuner:
    """Return sliders for the budget, the channels' shares and the panel, over the scores of some days.

    Parameters
    ----------
    source : a workspace, or a view, whose days are used
    start, end : reported days of a workspace; default: the newest that can be judged
    scored : the scores, as ``tune.prepare`` returns them, which takes a while; default: computed here
    """
    if isinstance(source, View):
        ws, start, end = source.ws, source.start if source else "", source.end if source else ""
    else:
        ws = frames.open(source)
    if scored is None:
        try:
            scored = tune.prepare(ws, start, end)
        except InputError as error:
            return Tuner(ws, None, str(error))
    return Tuner(ws, scored)
