"""Pages: the code of the documentation, taken out of it and run as a reader would.

A fenced block whose first line ends in ``file=NAME`` is that file. In a ``console`` block a line that begins with
``$ `` is a command; what follows it, up to the next one, must be printed in that order; ``...`` stands for any lines.
"""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
_BLOCK = re.compile(r"^```(?P<kind>\w*)[ \t]*(?P<info>[^\n]*)\n(?P<text>.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Step:
    """A command of a page, and the lines that it is said to print."""

    command: str
    printed: list[str]


def files(page: Path) -> dict[str, str]:
    """The files of a page by name; one that is given twice is joined."""
    found: dict[str, str] = {}
    for block in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        if name := re.search(r"\bfile=(\S+)", block["info"]):
            found[name.group(1)] = found.get(name.group(1), "") + block["text"]
    return found


def write(page: Path, folder: Path) -> None:
    """Write the files of a page into a folder."""
    for name, text in files(page).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def steps(page: Path) -> list[Step]:
    """The commands of a page in order."""
    found: list[Step] = []
    for block in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        if block["kind"] != "console":
            continue
        for line in block["text"].splitlines():
            if line.startswith("$ "):
                found.append(Step(line[2:], []))
            elif line.strip():
                found[-1].printed.append(line)
    return found


def install(page: Path, folder: Path) -> dict[str, str]:
    """Write the files of a page into a folder, install its packages from where they lie, and give the environment.

    As an editable install does: what is changed in the folder afterwards counts.
    """
    write(page, folder)
    packages = [(folder / name).parent for name in files(page) if Path(name).name == "pyproject.toml"]
    for package in packages:
        project = tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        about = package / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        about.mkdir(exist_ok=True)
        head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        (about / "METADATA").write_text(head, encoding="utf-8")
        groups = [
            "\n".join([f"[{group}]", *(f"{name} = {value}" for name, value in points.items())])
            for group, points in project.get("entry-points", {}).items()
        ]
        (about / "entry_points.txt").write_text("\n".join(groups) + "\n", encoding="utf-8")
    return environment(*packages)


def environment(*installed: Path) -> dict[str, str]:
    """The environment of a reader who has installed packages there: no workspace of the machine, our command found."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("TOKENKIT_")}
    path = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", "")])
    # wide, so that a table is printed whole
    return env | {"COLUMNS": "200", "PYTHONPATH": os.pathsep.join(map(str, installed)), "PATH": path}


def run(step: Step, folder: Path, installed: Path) -> str:
    """Run one command in the page's folder and return what it printed; it must do what the page says.

    ``pip install ./NAME`` puts the package into ``installed``, from this folder alone: no index, no dependencies.
    """
    words = shlex.split(step.command)
    if words[:2] == ["pip", "install"]:
        alone = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet"]
        words = [sys.executable, "-m", "pip", "install", *alone, "--target", str(installed), *words[2:]]
    done = subprocess.run(words, cwd=folder, env=environment(installed), capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert done.returncode == 0, f"{step.command}\n{said}"
    lines = iter(re.sub(r"[ \t]+", " ", line).strip() for line in said.splitlines())
    for expected in step.printed:
        wanted = re.sub(r"[ \t]+", " ", expected).strip()
        # in order: the iterator goes on where the line before was found
        assert wanted == "..." or any(wanted in line for line in lines), f"{step.command}\nno line: {expected}\n{said}"
    return said
