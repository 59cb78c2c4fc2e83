"""Tuning: what another configuration would have raised: a picture, and incidents gained and lost.

From what ``tune.what_if`` returns to a Part.
"""

from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from tokenkit.incidents import words as say
from tokenkit.report import figures
from tokenkit.report.figures.canvas import ACCENT, DASHED, INK, LINE, RULE, Canvas, style
from tokenkit.report.parts.render import Part, part
from tokenkit.workbench import tune
from tokenkit.workbench.tune import ScoredPeriod, WhatIf

ROWS = 12


def tuning(scored: ScoredPeriod, what_if: WhatIf, saved: WhatIf) -> Part:
    """A configuration against the saved one: incidents a day, thresholds, and which are gained and lost."""
    change = tune.compare(what_if, saved)
    counts = {kind: int((change["change"] == kind).sum()) for kind in ("gained", "lost", "kept")}
    days = max((scored.periods.end - scored.periods.start).days, 1)
    keys = [
        (f"{what_if.detection.budget:g}", "budget", f"saved: {saved.detection.budget:g} a day for 1,000 tokens"),
        (say.count(what_if.opened), "opened", f"saved: {say.count(saved.opened)}; in {say.plural(days, 'day')}"),
        (say.percent(what_if.achieved), "of the budget", f"{what_if.allowed:.1f} were allowed"),
        (say.count(counts["gained"]), "gained", "not raised as saved"),
        (say.count(counts["lost"]), "lost", "raised only as saved"),
    ]
    shown = change[change["change"] != "kept"]
    return part(
        "tuning",
        keys=keys,
        days=days_figure(scored, what_if, change, "tune-days"),
        thresholds=thresholds_figure(scored, what_if, saved, "tune-lines"),
        rows=[_row(r) for r in shown.head(ROWS).to_dict("records")],
        more=max(len(shown) - ROWS, 0),
        kept=counts["kept"],
    )


def _row(r: dict[str, Any]) -> dict[str, Any]:
    return {"change": r["change"], "label": r["label"], "owner": None if pd.isna(r["owner"]) else r["owner"],
            "start": r["start"].isoformat(), "channels": ", ".join(r["channels"]).replace("_", " "),
            "bits": f"{r['score_bits']:.1f}"}  # fmt: skip


def days_figure(scored: ScoredPeriod, what_if: WhatIf, change: pd.DataFrame, name: str) -> Markup:
    """Incidents opened by the day: kept, gained on top, lost below the axis; dashes: what the budget allows a day."""
    days = pd.date_range(scored.periods.start, scored.periods.end, freq="D", inclusive="left", tz="UTC")
    opened = change[change["start"] >= days[0]]
    counted = {}
    for kind in ("kept", "gained", "lost"):
        begun = pd.DatetimeIndex(opened.loc[opened["change"] == kind, "start"]).floor("D")
        counted[kind] = np.array([(begun == day).sum() for day in days], dtype=float)
    allowed = what_if.allowed / max(len(days), 1)
    top, low = max((counted["kept"] + counted["gained"]).max(), allowed, 1.0), counted["lost"].max()
    counts = (
        f"{int(counted['gained'].sum())} gained, {int(counted['lost'].sum())} lost, {int(counted['kept'].sum())} kept"
    )
    with style():
        canvas = Canvas(figures.WIDE, 170 + (30 if low else 0), 34, 8, 14, 24)
        canvas.scale(-0.6, len(days) - 0.4, -low * 1.1, top * 1.15)
        for value in figures.steps_of(top, 1):
            canvas.line([-0.6, len(days) - 0.4], [value, value], RULE, 1.0 if value == 0 else 0.6)
            canvas.text(-0.6, value, f"{value:g}", ha="right", dx=-6, dy=-4)
        zero = np.zeros(len(days))
        _bars(canvas, zero, counted["kept"], LINE)
        _bars(canvas, counted["kept"], counted["kept"] + counted["gained"], ACCENT)
        _bars(canvas, -counted["lost"], zero, INK)
        canvas.line([-0.6, len(days) - 0.4], [allowed, allowed], INK, 1.2, dash=DASHED)
        for n in sorted({0, len(days) // 2, len(days) - 1}):
            canvas.text(n, -low * 1.1, say.day(days[n].to_pydatetime()).split(" ", 1)[1], ha="center", dy=-18)
        canvas.text(-0.6, top * 1.15, "blue: kept, orange: gained, black: lost; dashes: allowed a day", dx=4, dy=0)
        return canvas.svg(name, f"Incidents opened by the day: {counts}.")


def _bars(canvas: Canvas, bottom: np.ndarray, top: np.ndarray, color: str) -> None:
    """All bars of a colour as one outline, there over the tops and back over the bottoms: one shape each took 0.1 s."""
    if not (top > bottom).any():
        return
    x = np.repeat(np.arange(len(top)), 4) + np.tile([-0.34, -0.34, 0.34, 0.34], len(top))
    y = np.column_stack([bottom, top, top, bottom]).ravel()
    back = np.repeat(np.arange(len(top)), 2)[::-1] + np.tile([0.34, -0.34], len(top))
    canvas.area([*x.tolist(), *back.tolist()], [*y.tolist(), *np.repeat(bottom, 2)[::-1].tolist()], color)


def thresholds_figure(scored: ScoredPeriod, what_if: WhatIf, saved: WhatIf, name: str) -> Markup:
    """The threshold of each channel: as saved (small) and as tried (large)."""
    since = pd.Timestamp(scored.periods.start, tz="UTC")
    pairs = []
    for channel in what_if.threshold_table.columns:
        was, now = (t.threshold_table.loc[t.threshold_table.index >= since, channel].median() for t in (saved, what_if))
        pairs.append((str(channel), float(was), float(now)))
    values = [v for _, *two in pairs for v in two if np.isfinite(v)]
    if not values:
        return Markup("")
    low, high = min(values) - 0.5, max(values) + 0.5
    with style():
        canvas = Canvas(figures.WIDE, 26 * len(pairs) + 34, 120, 60, 8, 24)
        canvas.scale(low, high, len(pairs) - 0.5, -0.5)
        for n, (channel, was, now) in enumerate(pairs):
            canvas.line([low, high], [n, n], RULE, 0.6)
            canvas.text(low, n, channel.replace("_", " "), ha="right", dx=-8, dy=-4)
            if np.isfinite(was) and np.isfinite(now) and was != now:
                canvas.line([was, now], [n, n], LINE, 2.0)
            if np.isfinite(was):
                canvas.dot(was, n, LINE, 5)
            if np.isfinite(now):
                canvas.dot(now, n, ACCENT, 8)
                canvas.text(now, n, f"{now:.1f}", INK, dx=9, dy=-4, bold=True)
            else:
                canvas.text(low, n, "off", dx=4, dy=-4)
        canvas.text(low, len(pairs) - 0.5, "bits a channel must reach; small: saved, large: this one", dx=0, dy=-18)
        texts = ", ".join(f"{c} {now:.1f} (saved {was:.1f})" for c, was, now in pairs if np.isfinite(now))
        return canvas.svg(name, f"Thresholds in bits: {texts}.")
