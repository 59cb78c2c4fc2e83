"""Figures: what a token did against its band of normal, parts of a score, small multiples, runs against the budget.

Each is drawn twice, 740 and 320 px wide, and CSS shows one, so that text never shrinks. There is no legend and no
title: lines are labelled where they are, and an ``aria-label`` tells the finding.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from markupsafe import Markup

from tokenkit.incidents import words
from tokenkit.report.figures.canvas import ACCENT, BAND, CARD, DASHED, INK, LINE, RULE, WASH, Canvas, style
from tokenkit.schema.facts import DriftingToken
from tokenkit.schema.incident import Incident, Point, Timeline

WIDE, NARROW = 740, 320


def steps_of(top: float, least: int = 2) -> list[float]:
    """Round values from 0 to at most ``top``, two to four of them beyond 0.

    Examples
    --------
    >>> steps_of(720e6), steps_of(45)
    ([0, 200000000, 400000000, 600000000], [0, 20, 40])
    """
    if top <= 0:
        return [0]
    size = 10 ** math.floor(math.log10(top))
    step = next(s * size for s in (5, 2, 1, 0.5, 0.2, 0.1) if top / (s * size) >= least)
    return [step * i for i in range(int(top / step) + 1)]


def dates(start: datetime, end: datetime, most: int) -> list[tuple[datetime, str]]:
    """Where the time axis is labelled, and how: hours, then days, whole and evenly spaced."""
    hours = (end - start).total_seconds() / 3600
    if hours <= 2:
        step = next(m for m in (5, 10, 15, 30, 60) if hours * 60 / m <= most) / 60
    else:
        step = next((s for s in (1, 2, 3, 6, 12, 24, 48, 72, 168, 336, 672) if hours / s <= most), 1344)
    at = start.replace(minute=0, second=0, microsecond=0)
    if step > 1:
        at = at.replace(hour=0)
    labels = []
    while at <= end:
        if at >= start:
            midnight = at.hour == 0 and at.minute == 0 and hours > 2
            labels.append((at, _short_day(at) if midnight else f"{at:%H:%M}"))
        at += timedelta(hours=step)
    return labels


def _points(series: Sequence[Point]) -> list[tuple[datetime, float]]:
    """Times and values; what is not a time or a finite number is left out."""
    pairs = [(words.moment(when), value) for when, value in series]
    return [(t, float(v)) for t, v in pairs if t is not None and math.isfinite(v)]


@dataclass(frozen=True)
class _Series:
    """A timeline with its times parsed once for both widths."""

    points: list[tuple[datetime, float]]
    band: list[tuple[datetime, float, float]]
    flagged: list[tuple[datetime, datetime]]
    window: timedelta
    unit: str

    @classmethod
    def parse(cls, timeline: Timeline) -> "_Series":
        """The timeline with parsed times."""
        window = {"day": timedelta(days=1), "hour": timedelta(hours=1), "minute": timedelta(minutes=1)}
        pairs = list(zip(timeline["points"], timeline["band"], strict=False))
        lows = _points([(when, low) for (when, _), (low, _) in pairs])
        highs = dict(_points([(when, high) for (when, _), (_, high) in pairs]))
        band = [(t, lo, highs[t]) for t, lo in lows if t in highs]
        points, flagged = _points(timeline["points"]), _flagged(timeline)
        return cls(points, band, flagged, window[timeline["window"]], timeline["unit"])

    @property
    def start(self) -> datetime:
        return min([self.points[0][0]] + [a for a, _ in self.flagged])

    @property
    def end(self) -> datetime:
        return max([self.points[-1][0] + self.window] + [b for _, b in self.flagged])

    @property
    def top(self) -> float:
        return max([v for _, v in self.points] + [hi for *_, hi in self.band]) or 1.0

    def within(self, a: datetime, b: datetime) -> list[tuple[datetime, float]]:
        return [(t, v) for t, v in self.points if a <= t < b]

    def spells(self) -> str:
        """When it happened, in a few words."""
        first, last = self.flagged[0][0], self.flagged[-1][1]
        if self.window == timedelta(days=1):
            days = round(sum((b - a for a, b in self.flagged), timedelta()) / self.window)
            return f"{words.plural(days, 'day')} from {words.day(first)}" if days > 1 else words.day(first)
        begin = f"{words.day(first)}, {first:%H:%M}"
        if len(self.flagged) > 1:
            return f"{words.number(len(self.flagged))} times from {begin}"
        same_day = first.date() == (last - timedelta(seconds=1)).date()
        return f"{begin} to {last:%H:%M}" if same_day else f"{begin} to {words.day(last)}, {last:%H:%M}"


def _flagged(timeline: Timeline) -> list[tuple[datetime, datetime]]:
    """The incident's windows, joined where they touch."""
    merged: list[tuple[datetime, datetime]] = []
    pairs = [(words.moment(a), words.moment(b)) for a, b in timeline["flagged"]]
    for a, b in sorted((a, b) for a, b in pairs if a is not None and b is not None):
        if merged and a <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(b, merged[-1][1]))
        else:
            merged.append((a, b))
    return merged


def timeline(series: Timeline, name: str, whose: str, widths: Sequence[int] = (WIDE, NARROW)) -> Markup:
    """What a token did against the band of normal, with the incident washed, drawn thicker and labelled.

    Hours are drawn as steps, days as a line through their middles; where windows are missing, the line is broken.

    Parameters
    ----------
    series : an incident's ``timeline``
    name : prefix of the ids in the SVG, unique on the page
    whose : the token's label, for the description that is read aloud
    widths : in pixels, wide and narrow

    Returns
    -------
    Two SVG elements, of which CSS shows one; nothing where there are fewer than two points.
    """
    parsed = _Series.parse(series)
    if len(parsed.points) < 2:
        return Markup("")
    label = f"{series['title']}: {whose}. {_describe(parsed)}"
    with style():
        drawings = [
            _timeline(parsed, width).svg(f"{name}-{width}", label, kind)
            for width, kind in zip(widths, ("wide", "narrow"), strict=True)
        ]
    return Markup("").join(drawings)


def _describe(parsed: _Series) -> str:
    """The finding in words, for those who do not see it."""
    inside = {t: v for a, b in parsed.flagged for t, v in parsed.within(a, b)}
    outside = [v for t, v in parsed.points if t not in inside]
    first, last = (words.instant(words.iso(t)) for t in (parsed.points[0][0], parsed.points[-1][0]))
    parts = [f"From {first} to {last}"]
    if outside:
        parts.append(f"{'otherwise ' if inside else ''}at most {words.short_amount(max(outside), parsed.unit)}")
    if inside:
        parts.append(
            f"in the incident up to {words.short_amount(max(inside.values()), parsed.unit)}, {parsed.spells()}"
        )
    return ", ".join(parts) + "."


def _timeline(parsed: _Series, width: int) -> Canvas:
    labels = [
        (v, words.short_amount(v, parsed.unit if parsed.unit in ("bytes", "share") else ""))
        for v in steps_of(parsed.top)
    ]
    labels[0] = (0, "0")
    left = max(len(text) for _, text in labels) * 6.7 + 8
    labelled = bool(parsed.flagged)
    height = (212 if width > NARROW else 196) - (0 if labelled else 24)
    canvas = Canvas(width, height, left=left, right=2, top=26 if labelled else 6, bottom=22)
    ceiling = parsed.top * (1.2 if labelled or parsed.band else 1.04)  # room above the values for labels
    canvas.scale(_x(parsed.start), _x(parsed.end), 0, ceiling)
    for a, b in parsed.flagged:
        canvas.area([_x(a), _x(a), _x(b), _x(b)], [0, ceiling, ceiling, 0], WASH)
    for value, text in labels:
        canvas.line([_x(parsed.start), _x(parsed.end)], [value, value], RULE, 1.0 if value == 0 else 0.6)
        canvas.text(_x(parsed.start), value, text, ha="right", dx=-6, dy=-4)
    for run in _runs([(t, (lo, hi)) for t, lo, hi in parsed.band], parsed.window):
        (xs, low), (_, high) = (_shape([(t, band[k]) for t, band in run], parsed.window) for k in (0, 1))
        canvas.area(xs + xs[::-1], high + low[::-1], BAND)
    for run in _runs(parsed.points, parsed.window):
        canvas.line(*_shape(run, parsed.window), LINE, 1.6)
        for a, b in parsed.flagged:
            _strong(canvas, [p for p in run if a <= p[0] < b], run, parsed.window)
    _label(canvas, parsed, ceiling)
    return canvas


def _strong(canvas: Canvas, part: list[Any], run: list[Any], window: timedelta) -> None:
    """The incident's part of a line, thicker: from edge to edge of its time."""
    if not part:
        return
    xs, ys = _shape(part, window)
    before, after = [v for t, v in run if t < part[0][0]][-1:], [v for t, v in run if t > part[-1][0]][:1]
    if window < timedelta(days=1):
        xs, ys = xs[:1] * len(before) + xs + xs[-1:] * len(after), before + ys + after
    else:
        half = window.total_seconds() / 7200
        xs = [xs[0] - half] * len(before) + xs + [xs[-1] + half] * len(after)
        ys = [(v + ys[0]) / 2 for v in before] + ys + [(v + ys[-1]) / 2 for v in after]
    canvas.line(xs, ys, ACCENT, 2.6)


def _x(t: datetime) -> float:
    return t.timestamp() / 3600


def _runs(points: list[tuple[datetime, Any]], window: timedelta) -> list[list[tuple[datetime, Any]]]:
    """Stretches of windows that follow each other."""
    runs: list[list[tuple[datetime, Any]]] = []
    for t, value in points:
        if runs and t - runs[-1][-1][0] <= window:
            runs[-1].append((t, value))
        else:
            runs.append([(t, value)])
    return runs


def _shape(points: list[tuple[datetime, float]], window: timedelta) -> tuple[list[float], list[float]]:
    """Hours as steps, days as a line through their middles."""
    if window >= timedelta(days=1):
        return [_x(t + window / 2) for t, _ in points], [v for _, v in points]
    return [x for t, _ in points for x in (_x(t), _x(t + window))], [y for _, v in points for y in (v, v)]


def _label(canvas: Canvas, parsed: _Series, ceiling: float) -> None:
    """Label times, band, incident and its height."""
    free = -1.0
    for at, text in dates(parsed.start, parsed.end, 8 if canvas.width > NARROW else 4):
        middle, half = canvas.share(_x(at)) * canvas.inner, len(text) * 3.5
        if free < 0 or (middle - half > free and middle + half < canvas.inner + 4):
            canvas.text(_x(at), 0, text, ha="center" if middle > 24 else "left", dy=-16)
            free = middle + half + 8
    # what is said goes where the incident is not
    late = bool(parsed.flagged) and canvas.share(_x(parsed.flagged[0][0])) > 0.45
    if parsed.band:
        most = words.short_amount(max(hi for *_, hi in parsed.band), parsed.unit)
        text = f"shaded: usual, at most {most}" if canvas.width > NARROW else "shaded: usual"
        if late or not parsed.flagged:
            canvas.text(_x(parsed.start), ceiling, text, dx=4, dy=-13)
        else:
            canvas.text(_x(parsed.end), ceiling, text, ha="right", dx=-4, dy=-13)
    if not parsed.flagged:
        return
    edge = parsed.flagged[-1][1] if late else parsed.flagged[0][0]
    canvas.text(_x(edge), ceiling, f"Incident, {parsed.spells()}", ACCENT, "right" if late else "left", dy=6, bold=True)
    inside = [(v, t) for a, b in parsed.flagged for t, v in parsed.within(a, b)]
    if inside:
        value, at = max(inside)
        canvas.text(
            _x(at + parsed.window / 2), value, words.short_amount(value, parsed.unit), ACCENT, "center", dy=5, bold=True
        )


def small(row: DriftingToken, name: str) -> Markup:
    """One of the watch list: the last weeks of a token, its band, and where it is now beside where it usually is."""
    points, unit, days = _points(row["series"]), row["unit"], row["days"]
    if len(points) < 2:
        return Markup("")
    band = row["band"] if len(row["band"]) == len(points) else []
    ceiling = (max([v for _, v in points] + [hi for _, hi in band]) or 1.0) * 1.06
    middle = sum(band[-1]) / 2 if band else 0.0
    now, usual = words.short_amount(points[-1][1], unit), words.short_amount(middle, unit) if band else ""
    xs, last = [_x(t) for t, _ in points], points[-1][0]
    recent = [p for p in points if p[0] > last - timedelta(days=days)]
    label = f"{row['what']} of {row['label']}: now {now}" + (f", usually {usual}" if usual else "")
    with style():
        canvas = Canvas(240, 92, left=2, right=max(len(now), len(usual)) * 7 + 12, top=6, bottom=20)
        canvas.scale(xs[0], xs[-1], 0, ceiling)
        if recent:
            canvas.area([_x(recent[0][0])] * 2 + [xs[-1]] * 2, [0, ceiling, ceiling, 0], WASH)
        if band:
            canvas.area(xs + xs[::-1], [hi for _, hi in band] + [lo for lo, _ in band][::-1], BAND)
        canvas.line([xs[0], xs[-1]], [0, 0], RULE, 0.8)
        canvas.line(xs, [v for _, v in points], LINE, 1.2)
        canvas.line([_x(t) for t, _ in recent], [v for _, v in recent], ACCENT, 2.0)
        canvas.dot(xs[-1], points[-1][1], ACCENT, 5)
        canvas.text(xs[-1], points[-1][1], now, INK, dx=8, dy=-1, bold=True)
        if usual and abs(middle - points[-1][1]) / ceiling * 66 > 13:  # else the two would touch
            canvas.text(xs[-1], middle, usual, dx=8, dy=-6)
        canvas.text(xs[0], 0, _short_day(points[0][0]), dy=-14)
        canvas.text(xs[-1], 0, _short_day(last), ha="right", dy=-14)
        return canvas.svg(name, label + ".")


def _short_day(t: datetime) -> str:
    return words.day(t).split(" ", 1)[1]


def share_bar(share: float) -> Markup:
    """A share as a thin bar; the number stands beside it."""
    length = max(1, min(100, round(share * 100)))
    rects = (
        f'<rect width="{w}" height="6" style="fill:var(--{c})"/>' for w, c in ((100, "rule-2"), (length, "accent"))
    )
    return Markup(f'<svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">{"".join(rects)}</svg>')


def score(incident: Incident, name: str) -> Markup:
    """The parts of a score, end to end; of a single channel against its threshold, which a sum is not compared with."""
    parts = [max(r["bits"], 0.0) for r in incident["reasons"] if r["bits"]]
    total = incident["score_bits"]
    threshold = incident["threshold_bits"] if len(incident["channels"]) == 1 else None
    if not parts or total <= 0:
        return Markup("")
    against = "" if threshold is None else f" against a threshold of {threshold:.1f}"
    label = f"{total:.1f} points{against}, from {words.plural(len(parts), 'reason')}."
    top, above = (total, 2) if threshold is None else (max(total, threshold), 22)
    with style():
        drawings = []
        for width, kind in ((WIDE, "wide"), (NARROW, "narrow")):
            canvas = Canvas(width, 40 + above, 2, 60, above, 18)
            canvas.scale(0, top, 0, 1)
            begin = 0.0
            for bits in parts:
                canvas.area([begin, begin, begin + bits, begin + bits], [0, 1, 1, 0], ACCENT)
                canvas.line([begin + bits] * 2, [0, 1], CARD, 1.5)
                if bits / top * canvas.inner > 34:
                    canvas.text(begin + bits / 2, 0, f"{bits:.1f}", ha="center", dy=-14)
                begin += bits
            if threshold is not None:
                canvas.line([threshold, threshold], [-0.1, 1.25], INK, 1.2, dash=DASHED)
                canvas.text(threshold, 1.25, f"threshold {threshold:.1f}", INK, ha="center", dy=4)
            canvas.text(top, 0.5, f"{total:.1f}", INK, dx=8, dy=-5, bold=True)
            drawings.append(canvas.svg(f"{name}-{width}", label, kind))
    return Markup("").join(drawings)


def bars(runs: Sequence[tuple[datetime, float, float | None]], name: str) -> Markup:
    """Incidents opened by each run, as (end of its period, opened, allowed), oldest first; the last one stands out."""
    top = max([n for _, n, _ in runs] + [a or 0 for *_, a in runs] + [1])
    label = f"Incidents opened by the last {len(runs)} reports; by the latest {words.count(runs[-1][1])}."
    drawings = []
    with style():
        for width, kind in ((1040, "wide"), (NARROW, "narrow")):
            canvas = Canvas(width, 170, 34, 2, 18, 22)
            last_x = max(len(runs), 14) - 0.4  # so that few runs are not broad towers
            canvas.scale(-0.6, last_x, 0, top * 1.12)
            for value in steps_of(top):
                canvas.line([-0.6, last_x], [value, value], RULE, 1.0 if value == 0 else 0.6)
                canvas.text(-0.6, value, words.count(value), ha="right", dx=-6, dy=-4)
            free = -99.0
            for i, (end, opened, allowed) in enumerate(runs):
                last = i == len(runs) - 1
                canvas.area([i - 0.32, i - 0.32, i + 0.32, i + 0.32], [0, opened, opened, 0], ACCENT if last else LINE)
                if allowed:
                    canvas.line([i - 0.5, i + 0.5], [allowed, allowed], INK, 1.2, dash=DASHED)
                at = canvas.share(i) * canvas.inner
                if at - free > 64 or last:
                    canvas.text(i, 0, _short_day(end - timedelta(microseconds=1)), ha="center", dy=-16)
                    free = at if not last else free
            canvas.text(len(runs) - 1, runs[-1][1], words.count(runs[-1][1]), ACCENT, "center", dy=4, bold=True)
            canvas.text(-0.6, top * 1.12, "bars: opened; dashes: allowed", dx=4, dy=4)
            drawings.append(canvas.svg(f"{name}-{width}", label, kind))
    return Markup("").join(drawings)
