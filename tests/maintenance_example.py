"""Logs and content of the workspaces that the tests of maintenance look after."""

import json
from datetime import timedelta
from pathlib import Path

import raw_logs
from raw_logs import moment, nginx

from tokenkit.config import Workspace
from tokenkit.store import lake

KEYS = ("key_0123456789ab", "key_ffff00001111")


def day_log(folder: Path, day: int, part: int = 0, calls: int = 3) -> Path:
    """A log of one day: calls of two keys, each of its own."""
    first = moment(day=day, hour=part % 24, minute=part // 24 * calls)
    lines = [
        nginx(f"r{day}-{part}-{n}", first + timedelta(minutes=n), api_key_id=KEYS[n % 2],
              remote_addr=f"203.0.{n % 2}.7", uri=f"/v1/orders/{n % 2}")
        for n in range(calls)
    ]  # fmt: skip
    return raw_logs.write(folder / f"{day}-{part}.log", lines)


def content(place: Workspace) -> dict[str, list[str]]:
    """All rows of all tables, in an order of their own."""
    return {
        name: sorted(json.dumps(row, default=str, sort_keys=True) for row in lake.read(place.lake, name).to_pylist())
        for name in lake.versions(place.lake)
    }
