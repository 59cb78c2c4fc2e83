"""Fingerprint figures: a feature of a token with its band of normal and reference, and its hours of the week.

Frames of ``explore`` to SVG elements of the page; ``figures`` has those of the report.
"""

import math

import pandas as pd
from markupsafe import Markup, escape

from tokenkit.incidents import words
from tokenkit.report.figures.canvas import ACCENT, BAND, INK, LINE, RULE, WASH, Canvas, style

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_HOURS_SHOWN = 72  # of the hours before those looked at: more would be a smear


def panel(frame: pd.DataFrame, since: pd.Timestamp, title: str, unit: str, name: str) -> Markup:
    """One feature over time: band, reference (the bar below), the looked-at time washed, its last value at the right.

    Parameters
    ----------
    frame : ``explore.series``
    since : from when on it is looked at
    title, unit : what it is, for who does not see it, and the values' unit
    name : prefix of the ids in the SVG, unique on the page
    """
    hourly = len(frame) > 1 and frame.index[1] - frame.index[0] < pd.Timedelta("1D")
    shown = frame[frame.index >= since - pd.Timedelta(hours=_HOURS_SHOWN)] if hourly else frame
    if len(shown) < 2:
        return Markup("")
    xs = [t.timestamp() / 3600 for t in shown.index]
    values = shown["value"].tolist()
    now = [(x, v) for x, v, t in zip(xs, values, shown.index, strict=True) if t >= since]
    largest = max((v for _, v in now), default=values[-1])
    ceiling = _ceiling(shown, values)
    text = words.short_amount(largest, unit if unit in ("bytes", "share") else "")
    with style():
        canvas = Canvas(240, 104, left=2, right=len(text) * 7 + 14, top=8, bottom=26)
        canvas.scale(xs[0], xs[-1], 0, ceiling)
        if now:
            canvas.area([now[0][0]] * 2 + [xs[-1]] * 2, [0, ceiling, ceiling, 0], WASH)
        _band(canvas, shown, xs, ceiling)
        canvas.line([xs[0], xs[-1]], [0, 0], RULE, 0.8)
        canvas.line(xs, [min(v, ceiling) for v in values], LINE, 1.2)
        canvas.line([x for x, _ in now], [min(v, ceiling) for _, v in now], ACCENT, 2.0)
        canvas.text(xs[-1], min(largest, ceiling), text, INK, dx=8, dy=-4, bold=True)
        learned = [x for x, used in zip(xs, shown["reference"], strict=True) if used]
        if learned and not hourly:
            canvas.line([learned[0], learned[-1]], [-0.1 * ceiling] * 2, INK, 1.4)
        for at, t, side in ((xs[0], shown.index[0], "left"), (xs[-1], shown.index[-1], "right")):
            canvas.text(at, 0, words.day(t.to_pydatetime()).split(" ", 1)[1], ha=side, dy=-22)
        return canvas.svg(name, f"{title}: {_description(shown, now, unit)}")


def _ceiling(shown: pd.DataFrame, values: list[float]) -> float:
    high = [v for v in shown["high"] if v == v]
    return (max([*values, *sorted(high)[: max(1, int(len(high) * 0.95))]]) or 1.0) * 1.06


def _band(canvas: Canvas, shown: pd.DataFrame, xs: list[float], ceiling: float) -> None:
    """The band of normal, where there is one; over days without a call it goes on as it was."""
    band = shown[["low", "high"]].ffill().bfill()
    if band["high"].isna().all():
        return
    low, high = ([min(v, ceiling) for v in band[c]] for c in ("low", "high"))
    canvas.area(xs + xs[::-1], high + low[::-1], BAND)


def _description(shown: pd.DataFrame, now: list[tuple[float, float]], unit: str) -> str:
    largest = max((v for _, v in now), default=0.0)
    high = shown["high"].dropna()
    usual = f"; usually at most {words.short_amount(float(high.median()), unit)}" if len(high) else ""
    return f"lately up to {words.short_amount(largest, unit)}{usual}."


def week(frame: pd.DataFrame, column: str, whose: str) -> Markup:
    """The hours of the week as a map: the darker, the more calls; an hour it never used before stands out.

    Parameters
    ----------
    frame : ``explore.week``
    column : ``usual`` or ``now``
    whose : the token's label, for the description that is read aloud
    """
    top = float(frame[["usual", "now"]].max().max()) or 1.0
    cells = []
    for row in frame.itertuples():
        value = float(getattr(row, column))
        strange = column == "now" and value > 0 and row.usual == 0 and frame["usual"].any()
        color, strength = ("accent" if strange else "line"), 0.12 + 0.88 * math.sqrt(value / top)
        paint = f"fill:var(--{color});fill-opacity:{strength:.2f}" if value else "fill:var(--rule-2);fill-opacity:.5"
        cells.append(f'<rect x="{36 + 14 * row.hour}" y="{15 * row.day}" width="13" height="14" style="{paint}"/>')
    for n, day in enumerate(DAYS):
        cells.append(f'<text x="0" y="{15 * n + 11}" style="fill:var(--ink-2)">{day}</text>')
    for hour in range(0, 24, 6):
        cells.append(f'<text x="{36 + 14 * hour}" y="119" style="fill:var(--ink-2)">{hour:02}:00</text>')
    busiest = frame.loc[frame[column].idxmax()]
    most = (
        f"most calls on {DAYS[int(busiest['day'])]} at {int(busiest['hour']):02}:00" if busiest[column] else "no call"
    )
    label = escape(words.clean(f"Calls of {whose} by hour of the week, UTC: {most}.", 300))
    size = 'viewBox="0 0 372 124" style="max-width:460px;font-size:11px"'
    return Markup(f'<svg class="one" {size} role="img" aria-label="{label}">{"".join(cells)}</svg>')
