"""Repository: the files that git knows, or would take."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def tracked_files() -> list[Path]:
    """Every file that git tracks or would track; outside a git checkout (an sdist) the test is skipped, not in CI."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode != 0:
        reason = f"git lists no files here: {listed.stderr.strip()}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return sorted(ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file())
