"""A small simulated organisation for the tests: 40 tokens, 45 days, 30,000 events, made in a third of a second."""

import csv
import gzip
import hashlib
import re
import shutil
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import orjson

from tokenkit.world import simulate_logs

DAY = re.compile(r"(\d{4})[-/](\d\d)[-/](\d\d)")
# days in which each of the attacks of seed 1 lies, after enough history
BUSY = ("2026-02-05", "2026-02-15")


def make(folder: Path, tokens: int = 40, days: int = 45, events: int = 30_000, attacks: bool = True) -> dict[str, Any]:
    """Raw logs, inventory and truth; the truth is returned."""
    return simulate_logs(folder, tokens=tokens, days=days, events=events, seed=1, attacks=attacks)


def day_of(path: Path) -> date:
    """The day of a log file, by its path."""
    year, month, day = DAY.search(str(path)).groups()  # type: ignore[union-attr]
    return date(int(year), int(month), int(day))


def copy_until(logs: Path, target: Path, end: date) -> None:
    """Copy the files of the days before ``end`` that are not in ``target`` yet, as a log shipper would."""
    for file in logs.rglob("*.*"):
        copy = target / file.relative_to(logs)
        if file.is_file() and day_of(file.relative_to(logs)) < end and not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)


def plant(
    logs: Path,
    key: str,
    day: date,
    hours: range,
    *,
    agent: str = "rclone/v1.65.2",
    path: str = "/v1/users",
    address: str = "198.51.100.7",
    a_hour: int = 60,
    **more: object,
) -> Path:
    """Another NGINX log of a day: calls with a gateway key as somebody who took it would make them."""
    file = logs / "gateway" / "nginx" / f"planted-{day}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    with file.open("ab") as out:
        for n in range(a_hour * len(hours)):
            line = {
                "request_id": f"planted-{day}-{hours.start}-{n}-{path}"[:64],
                "msec": begin + 3600 * hours.start + n * 3600 // a_hour,
                "remote_addr": address,
                "request_method": "GET",
                "uri": path.replace("{n}", str(n)),
                "status": 200,
                "bytes_sent": 250_000,
                "request_length": 300,
                "request_time": 0.05,
                "http_user_agent": agent,
                "api_key_id": key,
            }
            out.write(orjson.dumps(line | more) + b"\n")
    return file


def victim(raw: Path, place: int = 0) -> str:
    """The gateway key of NGINX that works on most days, and whose owner is known; or one of the next ``place``s."""
    with (raw / "inventory.csv").open(encoding="utf-8") as file:
        owned = {row["native_id"] for row in csv.DictReader(file) if row["owner_status"] == "active"}
    days: Counter[str] = Counter()
    for file in sorted((raw / "logs" / "gateway" / "nginx").glob("*.gz")):
        days.update({m.decode() for m in re.findall(rb'"api_key_id":"([^"]+)"', gzip.decompress(file.read_bytes()))})
    return sorted(owned & set(days), key=lambda key: (-days[key], key))[place]


def usual_path(raw: Path, key: str) -> str:
    """A path that an NGINX key asks for often."""
    paths: Counter[str] = Counter()
    for file in sorted((raw / "logs" / "gateway" / "nginx").glob("*.gz")):
        for line in gzip.decompress(file.read_bytes()).splitlines():
            record = orjson.loads(line)
            if record["api_key_id"] == key and record["request_method"] == "GET":
                paths[re.sub(r"\d{3,}.*", "{n}", record["uri"].split("?")[0])] += 1
    return paths.most_common(1)[0][0].replace("{n}", "12345")


def truth(raw: Path) -> dict[str, Any]:
    """What was planted."""
    return orjson.loads((raw / "truth.json").read_bytes())


def content(folder: Path) -> dict[str, str]:
    """Every file below a folder with a digest of its content."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
