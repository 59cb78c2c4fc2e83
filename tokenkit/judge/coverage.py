"""Coverage: what was read, what was quarantined and why, and where logs are missing.

Reads  files, quarantine (state.db), events. Writes calls by hour (state.db), so that a day is counted once.
"""

import json
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from tokenkit.config import Workspace
from tokenkit.days import Periods, apart, extent
from tokenkit.ingest import COUNTED, mapping_notes
from tokenkit.schema import coverage as types
from tokenkit.schema import facts
from tokenkit.store import engine, lake, state

LISTED = 20
GAP_HOURS = 6
MIN_CALLS_AN_HOUR = 5


def coverage(workspace: Workspace, periods: Periods) -> types.Logs:
    """Counts by source, quarantine, and gaps of the reported days.

    The counts are those of all files ever read. The list of what is quarantined, and its total, leave out the files
    that were written whole later, so the total may be smaller than the counts add up to. ``ignored_rules`` adds records
    and whole files.
    """
    with state.connect(workspace.state) as db:
        files = [dict(r) for r in db.execute("select * from files where status = 'stored' order by source, path")]
        quarantine = state.still_quarantined(db)
        ignored = Counter(r["rule"] for r in db.execute("select rule from ignored_files"))
    rules: Counter[str] = Counter(ignored)
    for file in files:
        rules.update(json.loads(file["ignored_rules"]))
    outside = apart(workspace)
    within = _within(workspace) if outside else {}
    sources: list[types.Source] = []
    for name in sorted({f["source"] for f in files}):
        own = [f for f in files if f["source"] == name]
        counts = {column: sum(f[column] for f in own) for column in (*COUNTED, "unattributed")}
        sources.append(
            {"source": name, "files": len(own), **counts,  # type: ignore[typeddict-item]  # its fields, by name
             "first": _time(within.get(name, (None, None))[0] if outside else
                            min((f["first"] for f in own if f["first"]), default=None)),
             "last": _time(within.get(name, (None, None))[1] if outside else
                           max((f["last"] for f in own if f["last"]), default=None)), "lag_s": None}
        )  # fmt: skip
    return {
        "sources": sources,
        "first": min((s["first"] for s in sources if s["first"]), default=None),
        "last": max((s["last"] for s in sources if s["last"]), default=None),
        "ignored_rules": dict(sorted(rules.items())),
        "quarantined": [
            {"file": Path(q["path"]).name, "place": q["place"], "reason": q["reason"]} for q in quarantine[:LISTED]
        ],
        "quarantined_total": len(quarantine),
        "gaps": gaps(workspace, periods),
        "notes": _notes(workspace) + [note for note in [apart_note(outside)] if note],
    }


def apart_note(outside: dict[date, dict[str, int]]) -> str:
    """What is said of events that lie apart from all others (``days.apart``); empty where there are none.

    Examples
    --------
    >>> apart_note({date(2027, 3, 1): {"nginx": 1}})  # doctest: +NORMALIZE_WHITESPACE
    '1 call stands apart from all others, on 2027-03-01 (nginx): a clock may be wrong. It does not move the reported
    days. To have its day judged, name it: tokenkit report --start 2027-03-01 --end 2027-03-02'
    """
    calls = sum(n for counts in outside.values() for n in counts.values())
    if not calls:
        return ""
    days, sources = sorted(outside), sorted({source for counts in outside.values() for source in counts})
    on = ", ".join(day.isoformat() for day in days[-3:]) + (f" and {len(days) - 3} more days" if len(days) > 3 else "")
    one, newest = calls == 1, days[-1]
    return (
        f"{calls:,} call{'' if one else 's'} stand{'s' if one else ''} apart from all others, on {on}"
        f" ({', '.join(sources)}): a clock may be wrong. {'It does' if one else 'They do'} not move the reported days. "
        f"To have {'its' if one else 'such a'} day judged, name it: "
        f"tokenkit report --start {newest} --end {newest + timedelta(days=1)}"
    )


def _within(workspace: Workspace) -> dict[str, tuple[str, str]]:
    """First and last time (ISO 8601) of each source in the days on which the logs begin and end."""
    span = extent(workspace)
    if span is None:
        return {}
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        lake.scan(connection, workspace.lake, "events", span[0], span[1] + timedelta(days=1)).create_view("e")
        rows = connection.sql("select source, min(time), max(time) from e group by all").fetchall()
    return {source: (first.isoformat(), last.isoformat()) for source, first, last in rows}


def _time(text: str | None) -> str | None:
    return None if text is None else pd.Timestamp(text).strftime("%Y-%m-%dT%H:%M:%SZ")


def _notes(workspace: Workspace) -> list[str]:
    with state.connect(workspace.state) as db:
        return json.loads(state.get_meta(db, "inventory_notes") or "[]") + mapping_notes(workspace)


def gaps(workspace: Workspace, periods: Periods) -> list[types.Gap]:
    """Hours of the reported days without a single call of a source that is usually busy at that hour."""
    counted = _calls_by_hour(workspace, periods)
    silent_hours: list[types.Gap] = []
    for source, rows in counted.groupby("source"):
        at = pd.to_datetime(rows["hour_s"], unit="s", utc=True)
        full = pd.date_range(at.min(), pd.Timestamp(periods.end, tz="UTC"), freq="h", inclusive="left")
        series = pd.Series(0, index=full)
        series.loc[at] = rows["n"].to_numpy()
        usual = series.groupby([series.index.hour, series.index.day_of_week]).transform("median")
        silent = (series == 0) & (usual >= MIN_CALLS_AN_HOUR) & (series.index >= pd.Timestamp(periods.start, tz="UTC"))
        run = (silent != silent.shift()).cumsum()
        for _, part in series[silent].groupby(run[silent]):
            if len(part) >= GAP_HOURS:
                start, end = part.index[0], part.index[-1] + pd.Timedelta("1h")
                silent_hours.append(
                    {"source": source, "start": f"{start:%Y-%m-%dT%H:%M:%SZ}", "end": f"{end:%Y-%m-%dT%H:%M:%SZ}"}
                )
    return silent_hours


def _calls_by_hour(workspace: Workspace, periods: Periods) -> pd.DataFrame:
    """Return ``source``, ``hour_s`` and ``n``, the calls of all days to the end; a day is counted where it changed."""
    digests = {
        d: digest for d, digest in lake.days(workspace.lake, "events").items() if periods.first <= d < periods.end
    }
    with state.connect(workspace.state) as db:
        kept = {date.fromisoformat(row["day"]): row for row in db.execute("select * from hours")}
    counts = {day: json.loads(kept[day]["counts"]) for day in digests if day in kept}
    changed: dict[date, list[Any]] = {
        day: [] for day, digest in digests.items() if day not in kept or kept[day]["digest"] != digest
    }
    if changed:
        with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
            first, end = min(changed), max(changed) + timedelta(days=1)
            lake.scan(connection, workspace.lake, "events", first, end).create_view("e")
            rows = connection.sql(
                "select day, source, time_ms // 3600000 * 3600, count(*) from e group by all order by all"
            ).fetchall()
        for day, *row in rows:
            if day in changed:
                changed[day].append(row)
        with state.connect(workspace.state) as db:
            new = [(day.isoformat(), digests[day], json.dumps(of_day)) for day, of_day in changed.items()]
            db.executemany("insert or replace into hours values (?, ?, ?)", new)
    every = [row for of_day in (counts | changed).values() for row in of_day]
    return pd.DataFrame(every, columns=["source", "hour_s", "n"])


def calls_series(workspace: Workspace, periods: Periods) -> facts.CallsSeries:
    """All calls of the reported period, of no known token too, by day, hour or minute, whichever reads best."""
    days = (periods.end - periods.start).days
    unit: facts.Window
    unit, span = ("day", 86400) if days > 7 else ("hour", 3600) if days > 1 else ("minute", 60)
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        lake.scan(connection, workspace.lake, "events", periods.start, periods.end).create_view("e")
        rows = connection.sql(
            f"select time_ms // {span * 1000} * {span} as s, count(*) as n from e group by all order by all"
        ).fetchall()
    if unit == "minute" and rows and rows[-1][0] - rows[0][0] > 4 * 3600:
        merged: Counter[int] = Counter()
        for second, n in rows:
            merged[second // 3600 * 3600] += n
        unit, rows = "hour", sorted(merged.items())
    return {"unit": unit, "points": [(f"{pd.Timestamp(s, unit='s'):%Y-%m-%dT%H:%M:%SZ}", int(n)) for s, n in rows]}
