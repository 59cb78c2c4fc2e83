"""Silent hours of the logs, which are counted once for each day."""

from pathlib import Path
from typing import Any

import pytest
import raw_logs
from raw_logs import moment, nginx

from tokenkit.judge import coverage
from tokenkit.store import lake

PERIODS = raw_logs.periods(14, 21, calibration=False)
SILENT = range(8, 16)  # hours of day 19


def lines(day: int, hour: int) -> list[dict[str, Any]]:
    return [nginx(f"{day}-{hour}-{n}", moment(day, hour, n), api_key_id="key_a") for n in range(5)]


def test_a_day_that_was_counted_is_counted_again_where_its_events_changed_and_only_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = raw_logs.workspace(tmp_path / "w")
    usual = [(day, hour) for day in range(21) for hour in range(24) if day != 19 or hour not in SILENT]
    raw_logs.read(place, raw_logs.write(tmp_path / "a.log", [one for at in usual for one in lines(*at)]))
    found = coverage.gaps(place, PERIODS)
    assert [(gap["start"][11:13], gap["end"][11:13]) for gap in found] == [("08", "16")]
    with monkeypatch.context() as patch:
        patch.setattr(lake, "scan", None)  # nothing is read
        assert coverage.gaps(place, PERIODS) == found
    late = [one for hour in SILENT for one in lines(19, hour)]
    raw_logs.read(place, raw_logs.write(tmp_path / "b.log", late))
    assert coverage.gaps(place, PERIODS) == []
