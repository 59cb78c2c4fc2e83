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


# one process that imports tokenkit once, and a child of it for each folder that holds a package
IN_EACH = """
import os, sys
from pathlib import Path
from tokenkit.cli import about, main
from tokenkit import channels, fingerprint

words, folders = sys.argv[1].split(), sys.argv[2:]
for folder in map(Path, folders):
    pid = os.fork()
    if pid == 0:
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        for number, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        sys.argv = ["tokenkit", *words]
        code = 0
        try:
            main()
        except SystemExit as left:
            code = int(left.code or 0)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


def with_mistakes(page: Path, module: str, mistakes: list[tuple[str, str]], root: Path, words: str) -> list[str]:
    """Run a command with the page's package, each time with another text of its module replaced by a mistake.

    Returns what each command wrote to standard error; each must leave with 2, and without a traceback.
    """
    folders = [root / f"mistake-{n}" for n in range(len(mistakes))]
    for folder, (old, new) in zip(folders, mistakes, strict=True):
        install(page, folder)
        text = (folder / module).read_text(encoding="utf-8")
        assert old in text
        (folder / module).write_text(text.replace(old, new), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", IN_EACH, words, *map(str, folders)],
        cwd=root, env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    errors = [(folder / "stderr").read_text(encoding="utf-8") for folder in folders]
    assert done.stdout.split() == ["2"] * len(folders), errors
    assert not [text for text in errors if "Traceback" in text]
    return errors


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
