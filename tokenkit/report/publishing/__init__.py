"""Publish: execute a notebook, make the page of it, and put page, findings and record in place by one rename.

    out/index.html                     the list of runs, always made anew from the run.json files
    out/<run_uid>/index.html           the page
    out/<run_uid>/incidents.json       OCSF findings
    out/<run_uid>/run.json             what the run was: parameters, versions, counts
    out/<run_uid>/<notebook>.ipynb     the executed notebook
    out/failed/<run_uid>/              what a failed run left, with reason.txt

All is made in a hidden folder beside the target. A run that fails or is killed changes nothing that was published.
"""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tokenkit.errors import InputError, LockedError, ReportError
from tokenkit.incidents import words
from tokenkit.report.publishing import kernel, notebooks, page, runs
from tokenkit.report.publishing.quick_import import import_jsonschema
from tokenkit.schema.facts import Run

import_jsonschema()

PATIENCE_S = 5.0  # how long to wait for another publisher
_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


def publish(notebook: Path, parameters: dict[str, Any], out: Path, run: Run, incidents: list[dict[str, Any]]) -> Path:
    """Execute the notebook with these parameters and publish the report.

    Parameters
    ----------
    notebook : what is executed; its cells tagged ``report`` make the page
    parameters : by name, as the notebook's cell tagged ``parameters`` declares them; never a secret
    out : folder of all reports
    run : the record of the run, written to ``run.json``
    incidents : OCSF findings, written to ``incidents.json``

    Returns
    -------
    The path of the page.

    Raises
    ------
    InputError
        A parameter is unknown or mistyped, or the run's id cannot name a folder; nothing was run.
    LockedError
        Another run publishes to the same folder.
    ReportError
        The notebook failed; names the cell and where the remains are. What was published before stands.
    """
    uid = str(run["run_uid"] or "")
    if not _UID.fullmatch(uid) or uid == "failed":
        raise InputError(f"run_uid {uid!r} cannot name a folder; expected letters, digits, _ and -")
    notebooks.check_parameters(notebook, parameters)
    out.mkdir(parents=True, exist_ok=True)
    with _alone(out):
        _tidy(out)
        staging = out / f".staging-{uid}"
        staging.mkdir()
        record = {**run, "notebook": notebook.name}
        try:
            executed = kernel.execute(notebook, staging / notebook.name, parameters)
            record["page"] = page.write(executed, staging / "index.html")
            _write_json(staging / "incidents.json", incidents)
            _write_json(staging / "run.json", record)
        except Exception as error:
            remains = _set_aside(staging, out / "failed" / uid, record, notebook, error)
            runs.write_index(out)
            raise ReportError(f"{_reason(notebook, error)}. What there is: {remains}") from error
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        _put_in_place(staging, out / uid)
        shutil.rmtree(out / "failed" / uid, ignore_errors=True)  # the same run, done again, succeeded
        runs.write_index(out)
    return out / uid / "index.html"


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """One publisher a folder, so that whatever hidden folder lies there was left by a run that is gone."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(out / ".lock", timeout=PATIENCE_S):
            yield
    except Timeout as error:
        raise LockedError(
            f"{out}: another run publishes there. Wait for it, or name another folder with --out"
        ) from error


def _tidy(out: Path) -> None:
    """Remove what killed runs left, and put back a report that one of them had moved aside."""
    for left in out.glob(".old-*"):
        target = out / left.name.removeprefix(".old-")
        if target.exists():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.rename(target)
    for left in out.glob(".staging-*"):
        shutil.rmtree(left, ignore_errors=True)


def _put_in_place(staging: Path, target: Path) -> None:
    """One rename; a report of the same run gives way, and is there again if the second rename fails."""
    old = target.parent / f".old-{target.name}"
    if not target.exists():
        staging.rename(target)
        return
    target.rename(old)
    try:
        staging.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _set_aside(staging: Path, remains: Path, record: dict[str, Any], notebook: Path, error: Exception) -> Path:
    """Keep what there is of a failed run, with the reason."""
    reason = _reason(notebook, error)
    trace = "\n".join(getattr(error, "traceback", None) or []) or f"{type(error).__name__}: {error}"
    (staging / "reason.txt").write_text(f"{reason}\n\n{kernel.plain(trace)}\n", encoding="utf-8", errors="replace")
    for name in ("index.html", "incidents.json"):
        (staging / name).unlink(missing_ok=True)
    _write_json(staging / "run.json", {**record, "failed": reason})
    remains.parent.mkdir(exist_ok=True)
    shutil.rmtree(remains, ignore_errors=True)
    staging.rename(remains)
    return remains


def _reason(notebook: Path, error: Exception) -> str:
    """The notebook, the cell and the error in one line."""
    return words.clean(f"{notebook.name}, {kernel.where(error)}: {kernel.what(error)}", 500).rstrip(".")


def _write_json(path: Path, value: Any) -> None:
    """Sorted and indented, so that two runs can be compared."""
    path.write_text(json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
