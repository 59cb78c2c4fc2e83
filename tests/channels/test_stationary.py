"""A profile that goes on as ever raises as few alarms in half a year as in its second month."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import raw_logs
from raw_logs import day_of

from tokenkit import schema
from tokenkit.channels import calibration
from tokenkit.config import Detection, Workspace
from tokenkit.incidents.thresholds import highest
from tokenkit.normal import novelty
from tokenkit.store import lake

PROFILES, DAYS, FIRST_SCORED = 150, 200, 42
WEIGHED = 0.99  # of the profile-days of the first two months lie below what counts as an alarm here


def lake_of_habits(folder: Path, seed: int) -> Workspace:
    """Profiles with habits of their own: hours, values they use again, and a rate at which they show new ones."""
    rng = np.random.default_rng(seed)
    rows: dict[str, list[tuple[int, int, int]]] = {"network": [], "client": [], "operation": []}
    hours: list[tuple[int, int]] = []
    begin = int(raw_logs.moment(0).timestamp())
    for profile in range(PROFILES):
        workday = rng.integers(0, 16)
        often, weekend = rng.uniform(0.3, 1.0), rng.uniform(0.0, 1.0)
        new = {kind: rng.choice([0.002, 0.02, 0.2]) for kind in rows}
        for day in range(DAYS):
            if rng.random() > often * (weekend if day % 7 > 4 else 1.0):
                continue
            for hour in np.unique(np.clip(workday + rng.integers(0, 8, 4) + (rng.random(4) < 0.01) * 12, 0, 23)):
                at = begin + day * 86400 + int(hour) * 3600
                hours.append((profile + 1, at))
                for number, kind in enumerate(rows):
                    is_new = rng.random() < new[kind] / 4
                    value = int(rng.integers(10**6, 10**12)) if is_new else number * 1000 + int(rng.integers(0, 3))
                    rows[kind].append((profile + 1, at, value))
    place = raw_logs.workspace(folder)

    def write(name: str, some: list[dict[str, object]]) -> None:
        lake.replace(place.lake, name, pa.Table.from_pylist(some, schema=schema.table(name).arrow))

    def cell(token: int, at: int) -> dict[str, object]:
        return {"day": datetime.fromtimestamp(at, UTC).date(), "token_key": token, "hour_s": at, "requests": 5}

    write("activity_hour", [cell(*hour) for hour in hours])
    for kind, uses in rows.items():
        more = {"outcome": 1} if kind == "operation" else {}
        write(f"activity_{kind}", [cell(t, at) | {f"{kind}_key": v, "response_bytes": 0} | more for t, at, v in uses])
    write("dim_client", [])
    write(
        "dim_token",
        [{"token_key": k + 1, "token_uid": f"tok1_{k:024x}", "issuer": "aws", "token_kind": "api_key",
          "token_lifetime": "long_lived"} for k in range(PROFILES)],
    )  # fmt: skip
    return place


@pytest.mark.parametrize("seed", [1, 2])
def test_the_daily_alarm_rate_of_no_channel_has_a_trend(tmp_path: Path, seed: int) -> None:
    place = lake_of_habits(tmp_path, seed)
    groups = pd.Series("job", index=[f"tok1_{k:024x}" for k in range(PROFILES)])
    hours = novelty.graded_hours(place, groups, day_of(0), day_of(DAYS))
    values = raw_logs.steady(PROFILES, DAYS, seed)
    evidence = raw_logs.evidence_of(values, raw_logs.periods(FIRST_SCORED, DAYS), hours)
    scores = calibration.score(evidence, Detection())
    days = pd.DatetimeIndex([pd.Timestamp(day_of(d), tz="UTC") for d in range(FIRST_SCORED, DAYS)])
    for channel, rows in scores.groupby("channel"):
        heights = highest(rows, pd.Index(evidence.days.profiles), days.as_unit("us"))
        alarms = heights > max(np.quantile(heights[:, :60], WEIGHED), 1e-9)
        early, late = alarms[:, 20:89], alarms[:, 89:158]
        # of days that follow each other one says what the next will, so profiles are what is independent
        more = late.mean(axis=1) - early.mean(axis=1)
        assert abs(more.mean()) <= 3 * more.std() / np.sqrt(PROFILES), channel
