"""A small simulated organisation for the tests: 40 tokens, 45 days, about 30,000 events, made in a third of a second."""

import hashlib
import re
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import orjson

from tokenkit.bench.simulate import simulate

DAY = re.compile(r"(\d{4})[-/](\d\d)[-/](\d\d)")
# days in which each of the attacks of seed 1 lies, after enough history
BUSY = ("2026-02-05", "2026-02-15")


def make(folder: Path, *, tokens: int = 40, days: int = 45, events: int = 30_000, seed: int = 1) -> dict[str, Any]:
    """Raw logs, inventory and truth; the truth is returned."""
    return simulate(folder, tokens=tokens, days=days, events=events, seed=seed)


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
