"""Change the code in small ways and see whether the tests notice: ``make mutate``, or ``make mutate ARGS=merge``.

Runs mutmut on a copy of the repository, one room after the other, with the tests of that room. What was tried already
is kept in ``.mutants/`` and not tried again while neither the code nor the tests change. Ends with one JSON line for
each room: mutants, those that a test killed, and their share. Exits with 1 where a room stays below 85%.
"""

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from repository import ROOT, tracked_files

SCRATCH = ROOT / ".mutants"
GOAL = 0.85
KILLED = {"killed", "timeout", "caught by type check"}


@dataclass(frozen=True)
class Room:
    """Modules to be changed, and the tests that should notice.

    ``without`` has the beginnings of tests' names that take too long to be run for each mutant.
    """

    modules: tuple[str, ...]
    tests: tuple[str, ...]
    without: tuple[str, ...] = ()


ROOMS = {
    "identity": Room(("tokenkit/identity.py",), ("tests/test_identity.py",)),
    "merge": Room(("tokenkit/incidents/merge.py",), ("tests/incidents/test_merge.py",)),
    "thresholds": Room(("tokenkit/incidents/thresholds.py",), ("tests/incidents/test_thresholds.py",)),
    "baseline": Room(
        ("tokenkit/normal/baseline.py", "tokenkit/normal/day_matrices.py"), ("tests/normal/test_baseline.py",)
    ),
    "deviation": Room(("tokenkit/normal/deviation.py", "tokenkit/normal/tail.py"), ("tests/normal/test_deviation.py",)),
    "novelty": Room(
        ("tokenkit/normal/novelty.py", "tokenkit/normal/new_value_rate.py"), ("tests/normal/test_novelty.py",)
    ),
    "ingest": Room(
        ("tokenkit/ingest/__init__.py", "tokenkit/ingest/copies.py", "tokenkit/ingest/duplicates.py"),
        ("tests/test_ingest.py",),
        tuple(
            f"tests/test_ingest.py::test_{name}"
            for name in ("five_kills", "read_is_stored_and", "a_planted_secret", "no_query_string")
        ),
    ),
    "act": Room(("tokenkit/respond/act.py",), ("tests/respond/test_act.py",)),
}


def main(names: list[str]) -> int:
    """Try the rooms of these names, or all of them; returns the exit code."""
    unknown = [name for name in names if name not in ROOMS]
    if unknown:
        print(f"no room {unknown[0]!r}; there are {', '.join(ROOMS)}", file=sys.stderr)
        return 2
    shares = [run(name, ROOMS[name]) for name in names or ROOMS]
    return int(any(share < GOAL for share in shares))


def run(name: str, room: Room) -> float:
    """Try every mutant of a room, print its survivors and its result; returns the share that a test killed."""
    folder = SCRATCH / name
    copy_repository(folder)
    settings = {
        "source_paths": ["tokenkit"],
        "only_mutate": list(room.modules),
        "also_copy": ["docs", "notebooks", "benchmarks", "README.md", "requirements.lock", "Makefile"],
        "pytest_add_cli_args_test_selection": [*room.tests, *room.modules],
        "pytest_add_cli_args": [
            *("-p", "no:cacheprovider", "-p", "no:xdist", "--doctest-modules"),
            *("--assert=plain", "--tb=no"),  # nobody reads why a test fails, and to explain it takes most of the time
            *(f"--deselect={name}" for name in room.without),
        ],
        "process_isolation": "forkserver",  # DuckDB and Arrow have threads, which a plain fork would leave behind
    }
    with (folder / "pyproject.toml").open("a") as file:
        file.write("\n[tool.mutmut]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items()))
    mutmut = [sys.executable, "-m", "mutmut"]
    subprocess.run([*mutmut, "run", "--max-children", "2"], cwd=folder, check=False)
    listed = subprocess.run(
        [*mutmut, "results", "--all", "true"], cwd=folder, capture_output=True, text=True, check=True
    )
    results = re.findall(r"^\s*(\S+): (.+)$", listed.stdout, flags=re.MULTILINE)
    counts = Counter(status for _, status in results)
    killed, mutants = sum(counts[status] for status in KILLED), sum(counts.values())
    survivors = [
        f"{status}: {mutant}\n{difference(folder, mutant)}" for mutant, status in results if status not in KILLED
    ]
    report = SCRATCH / f"{name}.txt"
    report.write_text("\n".join(survivors))
    print(f"survivors, each with what was changed: {report.relative_to(ROOT)}")
    share = killed / mutants if mutants else 0.0
    print(json.dumps({"name": f"mutants of {name}", "mutants": mutants, "killed": killed, "value": round(share, 3),
                      "unit": "share killed", "goal": GOAL, "holds": share >= GOAL}))  # fmt: skip
    return share


def difference(folder: Path, mutant: str) -> str:
    """The lines that a mutant changes."""
    shown = subprocess.run([sys.executable, "-m", "mutmut", "show", mutant], cwd=folder, capture_output=True, text=True)
    changed = [line for line in shown.stdout.splitlines() if line[:1] in "+-" and line[:3] not in ("---", "+++")]
    return "".join(f"    {line}\n" for line in changed)


def copy_repository(folder: Path) -> None:
    """Bring a copy of what git knows up to date; where code or tests changed, mutmut's results are not of them."""
    files = tracked_files()
    changed = False
    for old in [*folder.glob("tokenkit/**/*.py"), *folder.glob("tests/**/*.py")]:
        if ROOT / old.relative_to(folder) not in files:
            old.unlink()  # moved since, and its tests with it
            changed = True
    for source in files:
        target = folder / source.relative_to(ROOT)
        if target.exists() and target.read_bytes() == source.read_bytes():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
        changed |= source.suffix == ".py"
    if changed:
        shutil.rmtree(folder / "mutants", ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
