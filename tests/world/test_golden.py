"""The same seed gives the same organisation, today and after every change of the simulator.

Where a digest changes on purpose, every figure that was measured on simulated organisations has to be measured again.
"""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest

from tokenkit import config
from tokenkit.store import lake
from tokenkit.world import simulate_lake, simulate_logs

SIZE = {"tokens": 16, "days": 16, "events": 3_000}


def digest_of_files(folder: Path) -> str:
    """Names and contents of all files; of packed ones what is in them, since zlib may pack it in another way."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(folder)}\n".encode())
        digest.update(gzip.decompress(content) if file.suffix == ".gz" else content)
    return digest.hexdigest()[:16]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"seed": 3}, "139c9e9bb54fd0d6"),
        ({"seed": 3, "attacks": False}, "7372dbe748101ed9"),
        ({"seed": 3, "attacks": False, "bench": True}, "459f974895314a88"),
    ],
    ids=["demo", "demo without attacks", "bench"],
)
def test_raw_logs_of_a_seed_stay_the_same(tmp_path, arguments, expected):
    simulate_logs(tmp_path, **SIZE, **arguments)
    assert digest_of_files(tmp_path) == expected


def test_a_lake_of_a_seed_stays_the_same(tmp_path):
    workspace = config.init(tmp_path)
    simulate_lake(workspace, **SIZE, seed=3, processes=1)
    digest = hashlib.sha256()
    for name, key in (("events", "event_key"), ("tokens", "token_uid")):
        table = lake.read(workspace.lake, name).sort_by(key)
        for column in table.column_names:
            digest.update(f"{column} {table[column].to_pylist()}\n".encode())
    assert digest.hexdigest()[:16] == "a33c924ae4d6fe66"
