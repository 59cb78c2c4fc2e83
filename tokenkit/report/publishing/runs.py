"""Runs: the list of all reports in a folder, made anew from their ``run.json`` files each time.

Newest first, with what failed and why. A record that cannot be read is named and left out.
"""

import json
import os
from pathlib import Path
from typing import Any

from tokenkit.incidents import words
from tokenkit.report import figures
from tokenkit.report.parts import render
from tokenkit.report.publishing.page import POLICY

Record = dict[str, Any]  # a ``facts.Run`` as it was read: of any version, and perhaps damaged
ROWS = 14  # the others fold


def read(out: Path) -> tuple[list[Record], list[str]]:
    """The records of a folder, newest first, and the names of those that cannot be read."""
    records, damaged = [], []
    for path in sorted([*out.glob("*/run.json"), *out.glob("failed/*/run.json")]):
        name = str(path.parent.relative_to(out))
        if name.startswith("."):
            continue
        try:
            run = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(run, dict):
                raise ValueError("not an object")
            records.append({**run, "place": name, "failed": run.get("failed") if name.startswith("failed") else None})
        except (OSError, ValueError):
            damaged.append(name)
    records.sort(
        key=lambda r: (str(_of(r, "period").get("end") or ""), str(r.get("made") or ""), r["place"]), reverse=True
    )
    return records, damaged


def _of(run: Record, key: str) -> Record:
    value = run.get(key)
    return value if isinstance(value, dict) else {}


def write_index(out: Path) -> Path:
    """Write ``out/index.html``, the list of runs, by one rename.

    Returns
    -------
    Its path. Works with no run at all.
    """
    runs, damaged = read(out)
    rows = [_row(run) for run in runs]
    published = [row for row in rows if not row["failed"]]
    latest = published[0] if published else None
    failed = [row for row in rows if row["failed"]]
    template = render.environment().get_template("runs.html.j2")
    html = template.render(
        policy=POLICY,
        style=render.Markup(render.style()),
        organisation=next((words.clean(r["organisation"], 80) for r in runs if r.get("organisation")), ""),
        pill=render.PILLS.get(latest["state"], render.PILLS["not_enough_history"]) if latest else "",
        headline=_headline(latest, rows),
        lead=_lead(published, failed),
        latest=latest,
        figure=_figure(published),
        rows=rows,
        shown=ROWS,
        failed=failed[:3],
        damaged=damaged,
    )
    path, new = out / "index.html", out / ".index.html"
    new.write_text(html + "\n", encoding="utf-8", errors="replace")
    os.replace(new, path)
    return path


def _row(run: Record) -> Record:
    period, counts, page = (_of(run, key) for key in ("period", "counts", "page"))
    return {
        "place": run["place"],
        "failed": words.clean(run["failed"], 300) if run["failed"] else "",
        "state": run.get("state") or "",
        "period": words.period(period.get("start"), period.get("end")) or words.clean(run.get("run_uid"), 60),
        "end": words.moment(period.get("end")),
        "headline": words.clean(page.get("headline") or "Report", 160),
        "opened": _number(run.get("opened")),
        "allowed": _number(run.get("allowed")),
        "active": _number(counts.get("active")),
        "calls": _number(counts.get("calls")),
    }


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _headline(latest: Record | None, rows: list[Record]) -> str:
    if latest:
        return latest["headline"]
    return "No report yet: the only runs so far failed." if rows else "No report yet."


def _lead(published: list[Record], failed: list[Record]) -> str:
    if not published and not failed:
        return "Reports are listed here as they are made."
    text = f"{words.plural(len(published), 'report')} so far" if published else "No report so far"
    return (
        f"{text}; {words.plural(len(failed), 'run')} failed and changed nothing that was published."
        if failed
        else f"{text}, none failed."
    )


def _figure(published: list[Record]) -> render.Markup:
    """Incidents opened against the budget, oldest first; nothing to compare in fewer than four."""
    bars = [(r["end"], r["opened"], r["allowed"]) for r in reversed(published[:28])
             if r["end"] is not None and r["opened"] is not None and r["state"] != "not_enough_history"]  # fmt: skip
    return figures.bars(bars, "runs") if len(bars) > 3 else render.Markup("")
