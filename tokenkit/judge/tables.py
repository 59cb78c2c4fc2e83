"""Tables: what was judged as tables of the lake: baseline, deviations and scores.

Reads  Evidence, scores, thresholds. Writes baseline, deviations, scores.
"""

import json
from datetime import timedelta

import pandas as pd
import pyarrow as pa

from tokenkit import schema
from tokenkit.config import Workspace
from tokenkit.incidents.thresholds import Thresholds
from tokenkit.normal import baseline
from tokenkit.normal.evidence import Evidence, deviations_table
from tokenkit.store import lake


def write(workspace: Workspace, evidence: Evidence, scores: pd.DataFrame, thresholds: Thresholds) -> None:
    """Replace the baseline, and of deviations and scores the days that were scored."""
    fits = baseline.table(evidence.fits, evidence.days, evidence.periods)
    lake.replace(
        workspace.lake, "baseline", schema.conform("baseline", pa.Table.from_pandas(fits, preserve_index=False))
    )
    first, end = evidence.periods.first_scored, evidence.periods.end
    days = [first + timedelta(days=n) for n in range((end - first).days)]
    tables = {
        "deviations": deviations_table(evidence, first),
        "scores": _score_rows(scores, thresholds),
    }
    for name, frame in tables.items():
        table = schema.conform(name, pa.Table.from_pandas(frame, preserve_index=False))
        lake.replace_days(workspace.lake, name, table, days)


def _score_rows(scores: pd.DataFrame, thresholds: Thresholds) -> pd.DataFrame:
    """Scores with the day's ``threshold_bits`` and parts as JSON."""
    rows = scores.assign(
        day=scores["start"].dt.date,
        parts=[json.dumps({k: round(v, 4) for k, v in p.items()}, sort_keys=True) for p in scores["parts"]],
    )
    table = thresholds.for_all
    if table.empty:
        return rows
    long = table.stack().rename("threshold_bits").rename_axis(["day_start", "channel"]).reset_index()
    return rows.assign(day_start=rows["start"].dt.normalize()).merge(long, on=["day_start", "channel"], how="left")
