"""What holds for the whole repository."""

import ast
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from repository import ROOT, tracked_files

MODULES = sorted((ROOT / "tokenkit").rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DEPENDENCIES = [Requirement(line) for line in PROJECT["dependencies"]]
DEVELOPMENT = [Requirement(line) for line in PROJECT["optional-dependencies"]["dev"]]
# what the package imports only where it is installed, and in one module
OPTIONAL = {"nonconform": "tokenkit/bench/detectors/conformal.py"}

MAX_LINES = 420
# in syllables, so that this file does not hold what it looks for
HOSTS = {"org": "py-pi python-hosted deb-ian npm-js ana-conda", "com": "npm-js ana-conda"}
NAMES = [(name.replace("-", ""), ending) for ending, names in HOSTS.items() for name in names.split()]
REGISTRY = re.compile("|".join(rf"\b{name}\.{ending}\b" for name, ending in NAMES))
MACHINE = re.compile(r"""(?<![\w./<-])/(work|tmp|root)(?=[/"'\s]|$)""")
# each takes long to import, and most commands do without it
HEAVY = {"matplotlib", "nbconvert", "numba", "papermill", "pyod", "seaborn", "sklearn"}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_fits_in_the_head_and_begins_with_what_it_is_for(module):
    text = module.read_text(encoding="utf-8")
    assert text.count("\n") < MAX_LINES, "too long: it does more than one job"
    assert ast.get_docstring(ast.parse(text)), "no docstring that says what the module is for"


def test_no_tracked_file_names_a_package_registry_or_a_path_of_one_machine():
    found = []
    for path in tracked_files():
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        found += [
            f"{path.relative_to(ROOT)}:{number}: {hit.group()}"
            for number, line in enumerate(lines, 1)
            for hit in (REGISTRY.search(line), MACHINE.search(line))
            if hit
        ]
    assert not found, "\n".join(found)


def undeclared_imports(modules: list[Path], dependencies: list[Requirement], own: set[str]) -> dict[str, str]:
    """Top-level names that are imported and come from no declared dependency, with a module that imports them."""
    distributions = importlib.metadata.packages_distributions()
    declared = {canonicalize_name(dependency.name) for dependency in dependencies}
    undeclared = {}
    for module in modules:
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            match node:
                case ast.Import():
                    names = {alias.name.split(".")[0] for alias in node.names}
                case ast.ImportFrom(level=0, module=str(name)):
                    names = {name.split(".")[0]}
                case _:
                    continue
            for name in names - set(sys.stdlib_module_names) - own:
                if not declared & {canonicalize_name(owner) for owner in distributions.get(name, [])}:
                    undeclared[name] = str(module.relative_to(ROOT))
    return undeclared


def test_whatever_the_package_imports_is_a_declared_dependency():
    rest = [module for module in MODULES if str(module.relative_to(ROOT)) not in OPTIONAL.values()]
    assert undeclared_imports(rest, DEPENDENCIES, {"tokenkit"}) == {}
    assert undeclared_imports(MODULES, DEPENDENCIES, {"tokenkit", *OPTIONAL}) == {}
    assert {*OPTIONAL} <= {dependency.name for dependency in DEVELOPMENT}


def test_whatever_tests_benchmarks_and_docs_import_is_declared_too():
    modules = [path for folder in ("tests", "benchmarks", "docs") for path in sorted((ROOT / folder).rglob("*.py"))]
    own = {"tokenkit", *(path.stem for path in modules), *(path.parent.name for path in modules)}
    assert undeclared_imports(modules, DEPENDENCIES + DEVELOPMENT, own) == {}


def test_the_lock_holds_every_dependency_within_its_bound_by_hash_and_no_torch():
    text = (ROOT / "requirements.lock").read_text()
    entries = re.findall(r"^(\S+?)==(\S+)(.*(?:\n    --hash=\S+.*)*)", text, flags=re.MULTILINE)
    locked = {}
    for name, version, rest in entries:
        assert "--hash=sha256:" in rest, f"{name} has no hash"
        locked.setdefault(canonicalize_name(name), []).append(version)
    for dependency in DEPENDENCIES + DEVELOPMENT:
        versions = locked.get(canonicalize_name(dependency.name), [])
        assert versions, f"{dependency.name} is not in requirements.lock: make lock"
        assert all(version in dependency.specifier for version in versions), (
            f"{dependency} against {versions}: make lock"
        )
    assert "torch" not in locked


def test_the_command_line_starts_without_what_it_may_not_need():
    code = f"import sys, tokenkit.cli; print(*sorted({HEAVY!r} & set(sys.modules)))"
    started = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert started.stdout.split() == [], "import these where they are used, inside the function"


def test_the_wheel_carries_the_notebooks_and_the_template_of_the_page(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    carried = set(zipfile.ZipFile(wheel).namelist())
    ours = [path.relative_to(ROOT / "notebooks") for path in (ROOT / "notebooks").rglob("*.ipynb")]
    notebooks = {f"tokenkit/_notebooks/{path}" for path in ours if ".ipynb_checkpoints" not in path.parts}
    templates = {str(path.relative_to(ROOT)) for path in (ROOT / "tokenkit/report/templates").rglob("*.j2")}
    assert notebooks and templates
    assert notebooks | templates | {"tokenkit/bench/realism/real_logs.json"} <= carried
    assert not [name for name in carried if not name.startswith(("tokenkit/", "tokenkit-"))]


def test_make_works_in_a_clone_of_any_name(tmp_path):
    clone = tmp_path / "my $HOME it's [1] %20 #ü"
    (clone / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", clone)
    for name in ("requirements.lock", "pyproject.toml", ".venv/.locked", ".venv/.installed"):
        (clone / name).touch()
    (clone / "data" / "demo").mkdir(parents=True)
    (clone / "data" / "demo" / "tokenkit.toml").touch()
    for name in ("tokenkit", "jupyter"):
        (clone / ".venv" / "bin" / name).write_text('#!/bin/sh\necho "$1 $TOKENKIT_WORKSPACE"\n')
        (clone / ".venv" / "bin" / name).chmod(0o755)
    made = subprocess.run(["make", "demo", "lab"], cwd=clone, capture_output=True, text=True, check=True)
    assert made.stdout.splitlines()[0].startswith("demo")
    assert made.stdout.splitlines()[1] == f"lab {clone}/data/demo"
