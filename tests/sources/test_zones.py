"""Zones: local times without a zone are those of the zone that was named, summer and winter, in every kind of log."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenkit import config
from tokenkit.config import Gateway
from tokenkit.errors import ConfigError
from tokenkit.sources import Reading, Tally, get
from tokenkit.sources.check import check
from tokenkit.sources.fields.columns import ColumnReader
from tokenkit.sources.fields.zones import NO_SUCH_TIME, column_to_utc, to_utc
from tokenkit.sources.mapped import Mapping, load, source
from tokenkit.sources.mapped.values import moment

BERLIN = "Europe/Berlin"
ZONES = st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Sao_Paulo", "UTC"])
LOCAL = st.datetimes(datetime(2001, 1, 1), datetime(2037, 12, 31))


def read(mapping: Mapping, path: Path) -> tuple[list[str], list[str]]:
    """The times stored (UTC, by minute), and why rows cannot be used."""
    tally = Tally()
    batches = list(source(mapping).read(path, Reading(bytes(32)), tally))
    times = [time for batch in batches for time in batch.events["time"].to_pylist()]
    return [f"{time:%m-%d %H:%M}" for time in times], [q.reason for q in tally.quarantined]


@given(ZONES, st.lists(LOCAL, min_size=1, max_size=20))
def test_a_column_and_a_single_time_agree_with_the_standard_library(zone: str, local: list[datetime]) -> None:
    numbers = np.array(local, dtype="datetime64[us]").astype(np.int64)
    found = column_to_utc(numbers, zone).tolist()
    assert found == [to_utc(time, zone) for time in local]
    for time, micros in zip(local, found, strict=True):
        if micros == NO_SUCH_TIME:
            assert (
                time.replace(tzinfo=ZoneInfo(zone)).utcoffset()
                != time.replace(tzinfo=ZoneInfo(zone), fold=1).utcoffset()
            )
        else:
            utc = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
            assert utc.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0) == time
            assert utc == time.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC)


NIGHTS = [
    ("2026-07-01 12:00:00", "07-01 10:00"),
    ("2026-01-01 00:30:00", "12-31 23:30"),
    ("2026-10-25 01:59:59", "10-24 23:59"),
    ("2026-10-25 02:30:00", "10-25 00:30"),  # twice: the first
    ("2026-10-25 03:00:00", "10-25 02:00"),
    ("2026-03-29 03:00:00", "03-29 01:00"),
    ("2026-07-01T12:00:00Z", "07-01 12:00"),  # names its zone
]


@pytest.mark.parametrize("form", ["csv", "jsonl", "two columns", "mixed"])
def test_a_mapping_reads_local_times(tmp_path: Path, form: str) -> None:
    columns = {"time": "at", "native_id": "key", "operation": "call"}
    rows = [(text, f"key_{n:08d}", "GET") for n, (text, _) in enumerate(NIGHTS[: None if form == "mixed" else -1])]
    rows.append(("2026-03-29 02:30:00", "key_never_was", "GET"))
    path = tmp_path / "log"
    if form == "jsonl":
        path.write_text("".join(json.dumps(dict(zip(("at", "key", "call"), row, strict=True))) + "\n" for row in rows))
    elif form == "two columns":
        columns["time"] = ["day", "clock"]  # type: ignore[assignment]
        path.write_text("day;clock;key;call\n" + "".join(f"{at.replace(' ', ';')};{k};{c}\n" for at, k, c in rows))
    else:
        path.write_text("at,key,call\n" + "".join(",".join(row) + "\n" for row in rows))
    times, reasons = read(Mapping("m", "m", columns, timezone=BERLIN), path)
    assert times == [utc for _, utc in NIGHTS][: len(rows) - 1]
    name = "day + clock" if form == "two columns" else "at"
    assert reasons == [f"{name} is a time that {BERLIN} does not have (clocks go forward)"]
    utc, _ = read(Mapping("m", "m", columns), path)
    assert utc[0] == "07-01 12:00", "without a zone it is UTC"


def test_a_toml_names_two_columns_and_the_zone_and_check_says_so(tmp_path: Path) -> None:
    (tmp_path / "iis.toml").write_text(
        f'name = "iis"\nissuer = "iis"\ntimezone = "{BERLIN}"\n'
        '[columns]\ntime = ["date", "time"]\nnative_id = "key"\npath = "url"\n'
    )
    (tmp_path / "iis.csv").write_text("date,time,key,url\n2026-07-01,12:00:00,key_00000001,/a\n2026-07-01,,key_2,/b\n")
    result = check(tmp_path / "iis.csv", load(tmp_path / "iis.toml"), Reading(bytes(32)))
    assert result.records[0]["time"] == "2026-07-01T10:00:00Z" and result.filled["time"] == "date + time"
    assert [q.reason for q in result.quarantined] == ["date + time is missing"]
    assert result.unused == [] and f"times name no zone: they are read as {BERLIN}" in result.notes


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('timezone = "Berlin"\n[columns]\ntime = "at"', "timezone: no time zone 'Berlin'; did you mean"),
        ("timezone = 2\n[columns]\ntime = 'at'", "timezone is 2, expected text"),
        ('[columns]\ntime = ["a"]', "columns.time is"),
        ('[columns]\ntime = ["a", "b", "c"]', "columns.time is"),
        ('[columns]\ntime = ["a", 1]', "columns.time is"),
    ],
)
def test_a_mapping_that_names_no_zone_or_no_two_columns_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "m.toml"
    path.write_text(f'name = "m"\nissuer = "m"\n{text}\nnative_id = "key"\noperation = "call"\n')
    with pytest.raises(ConfigError, match=says):
        load(path)


def test_one_of_two_columns_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("date,key,call\n2026-07-01,k,GET\n")
    mapping = Mapping("m", "m", {"time": ["date", "clock"], "native_id": "key", "operation": "call"})  # type: ignore[dict-item]
    with pytest.raises(ConfigError, match="no column 'clock'"):
        read(mapping, tmp_path / "a.csv")


def test_a_gateway_reads_local_times(tmp_path: Path) -> None:
    line = {"remote_addr": "203.0.113.7", "uri": "/", "status": 200, "api_key_id": "key_0123456789ab"}
    never, times = "2026-03-29T02:30:00", [(text.replace(" ", "T"), utc) for text, utc in NIGHTS]
    reading = Reading(bytes(32), Gateway(timezone=BERLIN))
    path = tmp_path / "a.log"
    for some in (times, times[:-1]):  # with one that names its zone, and without
        path.write_text("".join(json.dumps(line | {"time_iso8601": t}) + "\n" for t in [*(t for t, _ in some), never]))
        tally = Tally()
        (batch,) = get("nginx").read(path, reading, tally)
        assert [f"{time:%m-%d %H:%M}" for time in batch.events["time"].to_pylist()] == [utc for _, utc in some]
        assert [q.reason.partition(" ")[2] for q in tally.quarantined] == [
            f"is a time that {BERLIN} does not have (clocks go forward)"
        ]
    assert f"times name no zone: they are read as {BERLIN}" in check(path, get("nginx"), reading).notes


def test_a_zone_that_does_not_exist_is_refused_by_the_settings(tmp_path: Path) -> None:
    path = tmp_path / config.FILE_NAME
    path.write_text('[gateway]\ntimezone = "Europe/Berlyn"')
    with pytest.raises(ConfigError, match="no time zone 'Europe/Berlyn'; did you mean Europe/Berlin"):
        config.load_settings(path)


def test_settings_without_a_zone_keep_their_digest() -> None:
    assert config.digest(config.Settings()) != config.digest(config.Settings(gateway=Gateway(timezone=BERLIN)))
    assert "timezone" not in config.Settings().gateway.model_dump(exclude_defaults=True)


# numbers since 1970: the unit by their size, never 1970


@given(st.integers(946_684_800, 4_102_444_799), st.sampled_from([1, 1_000, 1_000_000, 1_000_000_000]))
def test_a_number_of_seconds_or_of_parts_of_them_is_the_same_time_everywhere(second: int, per_second: int) -> None:
    number = second * per_second
    for of_format in (1, 1000):
        reader = ColumnReader([{}])
        assert reader.times([number], "at", of_format).tolist() == [second * 1_000_000] and not reader.reasons
        assert reader.times([number, str(number)], "at", of_format).tolist() == [second * 1_000_000] * 2
    assert moment(number, "") == second * 1_000_000


@given(st.integers(-(1 << 80), 1 << 80) | st.floats(), st.sampled_from([1, 1000]))
def test_a_number_of_another_size_is_refused(number: float, of_format: int) -> None:
    reader = ColumnReader([{}])
    (micros,) = reader.times([number], "at", of_format).tolist()
    in_some_unit = any(946_684_800 - 1 <= abs(number) / unit <= 4_102_444_800 for unit in (1, 1e3, 1e6, 1e9))
    assert reader.reasons or in_some_unit
    assert reader.reasons or 946_684_800_000_000 <= micros < 4_102_444_800_000_000
