"""Erasure: forget a token, or an owner with all tokens, everywhere in a workspace, and prove it.

Reads and writes  every table of the lake with its earlier versions, state.db, fitted detectors, own weights, reports.
What is to be forgotten is noted before anything is removed, so that an erasure that was killed is finished by the next
command that looks (``finish``); the note goes last.
"""

import html
import json
import mmap
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tokenkit import identity, schema
from tokenkit.channels import weights
from tokenkit.config import Workspace
from tokenkit.errors import InputError, TokenkitError
from tokenkit.ingest.forgotten import remember_marks
from tokenkit.maintenance.subject import Subject, find_subject
from tokenkit.progress import Progress, silent
from tokenkit.report.publishing import runs
from tokenkit.respond import journal
from tokenkit.store import engine, lake, points, remote, state
from tokenkit.store.access import PATIENCE_S, locked

UNFINISHED = "unfinished_forget"  # in table meta of state.db
BY_TOKEN = (
    "events", "dim_token", "activity_hour", "activity_network", "activity_client", "activity_operation",
    "activity_transition", "activity_session", "activity_pair", "activity_object", "seen",
)  # fmt: skip
BY_PROFILE = ("fingerprint", "baseline", "deviations", "scores")
# dimension: its key, which has to be in use by an event or by what is counted of events
DIMENSIONS = {
    "dim_network": ("network_key", "activity_network"), "dim_client": ("client_key", "activity_client"),
    "dim_operation": ("operation_key", "activity_operation"), "dim_object": ("object_key", "activity_object"),
}  # fmt: skip
TEXTS = {"files": ("path", "ignored_rules"), "quarantine": ("path", "reason"), "ignored_files": ("path",)}
GONE = "(forgotten)"


@dataclass
class Erased:
    """What a forget removed: rows by table, reports and other files by name, and what it leaves to you."""

    tokens: int
    rows: dict[str, int] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    yours: list[str] = field(default_factory=list)


def forget(workspace: Workspace, name: str, now: datetime | None = None, progress: Progress = silent) -> Erased:
    """Remove all that a workspace knows of a token, or of an owner with all tokens, in every version of every table.

    Parameters
    ----------
    name : of a token or of an owner, as ``find_subject`` takes it
    now : calls from before this moment are ignored if they are read again; default: the present moment

    Raises
    ------
    InputError
        Nobody or several have this name; or an action at a gateway may be in force, whose undoing needs what would go.
    LockedError
        Another run works in the workspace for longer than ten minutes.
    TokenkitError
        Something of it was found afterwards; names the file.
    """
    now = now or datetime.now(UTC)
    with locked(workspace, PATIENCE_S):
        finish(workspace, progress)
        subject = find_subject(workspace, name, now)
        _check_no_action(workspace, subject)
        with state.connect(workspace.state) as db:
            remember_marks(db, identity.load_key(workspace.key), subject.uids, now)
            state.set_meta(db, UNFINISHED, json.dumps(asdict(subject)))
        return _erase(workspace, subject, progress)


def finish(workspace: Workspace, progress: Progress = silent) -> None:
    """Finish an erasure that was interrupted; nothing where there is none."""
    if not workspace.state.exists():
        return
    with state.connect(workspace.state) as db:
        noted = state.get_meta(db, UNFINISHED)
    if noted:
        _erase(workspace, Subject(**{name: tuple(value) for name, value in json.loads(noted).items()}), progress)


def _check_no_action(workspace: Workspace, subject: Subject) -> None:
    for uid, latest in journal.latest(journal.read(workspace)).items():
        if latest.may_be_in_force and latest.intent.record.get("token_uid") in subject.uids:
            raise InputError(
                f"action {uid} on this token may be in force, and what would be removed is needed to undo it. "
                f"Nothing was changed. First: tokenkit respond undo {uid}"
            )


def _erase(workspace: Workspace, subject: Subject, progress: Progress) -> Erased:
    steps = (_erase_rows, _erase_state, _erase_files)
    erased = Erased(len(subject.token_uids))
    for number, step in enumerate(steps):
        progress("forgetting", number, len(steps))
        step(workspace, subject, erased)
    progress("forgetting", len(steps), len(steps))
    with state.connect(workspace.state) as db:
        db.execute("delete from points")  # their files are gone
        db.execute("delete from meta where name = ?", [UNFINISHED])
    state.compact(workspace.state)
    points.note(workspace, "forget")
    left = list(traces(workspace, subject))
    own = [path for path in left if _is_own(workspace, path)]
    if own:
        raise TokenkitError(
            f"{len(own)} files still hold something of what was to be forgotten, such as {own[0]}. Report this, and "
            "remove them."
        )
    erased.yours = [str(path.relative_to(workspace.root)) for path in left if path not in own]
    return erased


def _erase_rows(workspace: Workspace, subject: Subject, erased: Erased) -> None:
    """Remove the rows of every table, and then all that earlier versions hold."""
    keys = ", ".join(map(str, subject.keys))
    uids, profiles, owners = (_quoted(u) for u in (subject.token_uids, subject.profile_uids, subject.owner_uids))
    where = dict.fromkeys(BY_TOKEN, f"token_key in ({keys})") if keys else {}
    where |= dict.fromkeys(BY_PROFILE, f"profile_uid in ({profiles})") if profiles else {}
    listed = [f"{column} in ({ids})" for column, ids in (("token_uid", uids), ("owner_uid", owners)) if ids]
    where["tokens"] = " or ".join(listed)
    for name in lake.versions(workspace.lake):
        if name in where:
            erased.rows[name] = lake.delete_rows(workspace.lake, name, where[name])
    for name, (key, table) in DIMENSIONS.items():
        if lake.version(workspace.lake, name) is not None:
            erased.rows[name] = _erase_unused(workspace, name, key, table)
    for name in lake.versions(workspace.lake):
        for column in _columns_with(workspace, name, subject.words):  # of others, whose calls were about them
            lake.replace_texts(workspace.lake, name, column, subject.words, GONE)
        lake.erase_history(workspace.lake, name)


def _quoted(texts: Sequence[str]) -> str:
    return ", ".join("'{}'".format(text.replace("'", "''")) for text in texts)


def _columns_with(workspace: Workspace, name: str, words: Sequence[str]) -> list[str]:
    """Return the columns of a table in which one of some texts stands."""
    columns = [column.name for column in schema.table(name).columns if column.type == schema.STRING]
    if not columns:
        return []
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        asked = ", ".join(f'coalesce(bool_or("{column}" in ({_quoted(words)})), false)' for column in columns)
        (row,) = lake.scan(connection, workspace.lake, name).aggregate(asked).fetchall()
    return [column for column, there in zip(columns, row, strict=True) if there]


def _erase_unused(workspace: Workspace, name: str, key: str, table: str) -> int:
    """Remove the rows of a dimension that no event and no count points to: an address or an object of theirs alone."""
    rows = lake.read(workspace.lake, name)
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        both = [lake.scan(connection, workspace.lake, t).project(key) for t in ("events", table)]
        used = both[0].union(both[1]).distinct().to_arrow_table()[key].combine_chunks()
    kept = rows.filter(pc.is_in(rows[key], value_set=used))
    if kept.num_rows < rows.num_rows:
        lake.replace(workspace.lake, name, kept)
    return rows.num_rows - kept.num_rows


def _erase_state(workspace: Workspace, subject: Subject, erased: Erased) -> None:
    """Remove incidents, answers and suppressions; put a word in the place of names in what stays."""
    journal.redact(workspace, dict.fromkeys(subject.words, GONE))
    with state.connect(workspace.state) as db:
        db.execute("pragma secure_delete = on")
        for table in ("incidents", "labels", "suppressions"):
            number = 0
            for uid in subject.profile_uids:
                number += db.execute(f"delete from {table} where profile_uid = ?", [uid]).rowcount
            erased.rows[table] = number
        for row in db.execute("select run_uid, record from runs").fetchall():
            record = json.loads(row["record"])
            known = record.get("incidents") or {}
            record["incidents"] = {uid: end for uid, end in known.items() if uid not in subject.texts}
            text = _without(json.dumps(record, sort_keys=True), subject.words)
            db.execute("update runs set record = ? where run_uid = ?", [text, row["run_uid"]])
        for table in ("incidents", "labels", "suppressions"):  # of others, who were compared with it
            column = "record" if table != "suppressions" else "reason"
            for row in db.execute(f"select rowid as id, {column} as text from {table}").fetchall():
                if (text := _without(row["text"], subject.words)) != row["text"]:
                    db.execute(f"update {table} set {column} = ? where rowid = ?", [text, row["id"]])
        for table, columns in TEXTS.items():
            for column in columns:
                for word in subject.words:
                    db.execute(f"update or replace {table} set {column} = replace({column}, ?, ?)", [word, GONE])
        db.execute("delete from meta where name like 'facts:%'")
        db.execute("delete from hours")
        for row in db.execute("select name, value from meta where name <> ?", [UNFINISHED]).fetchall():
            if (text := _without(row["value"], subject.words)) != row["value"]:
                state.set_meta(db, row["name"], text)


def _without(text: str, words: Sequence[str]) -> str:
    for word in words:
        text = text.replace(word, GONE).replace(json.dumps(word)[1:-1], GONE)
    return text


def _erase_files(workspace: Workspace, subject: Subject, erased: Erased) -> None:
    """Remove what learned from it, and the reports that name it."""
    models = workspace.key.parent / "models"
    own_weights = workspace.root / weights.FILE_NAME
    for path in [*sorted(models.glob("*")), *([own_weights] if own_weights.exists() else [])]:
        path.unlink()
        erased.files.append(str(path.relative_to(workspace.root)))
    shutil.rmtree(workspace.scratch, ignore_errors=True)
    if not workspace.reports.exists():
        return
    words = [*subject.words, *(uid[:13] for uid in subject.uids)]  # a page shows the first letters of an id
    for run in sorted([*workspace.reports.glob("*/run.json"), *workspace.reports.glob("failed/*/run.json")]):
        if any(_names(path, words) for path in run.parent.rglob("*") if path.is_file()):
            shutil.rmtree(run.parent)
            erased.files.append(str(run.parent.relative_to(workspace.root)))
    runs.write_index(workspace.reports)


def _names(path: Path, words: Sequence[str]) -> bool:
    if not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(content.find(form) >= 0 for form in _forms(words))


def _forms(words: Sequence[str]) -> set[bytes]:
    """Return words as they stand in text, in JSON and in HTML."""
    return {form.encode() for word in words for form in (word, json.dumps(word)[1:-1], html.escape(word))}


def traces(workspace: Workspace, subject: Subject) -> Iterator[Path]:
    """Yield the files below the workspace in which something of it is: in their bytes, or in a column of theirs."""
    for path in sorted(workspace.root.rglob("*")):
        if not path.is_file() or path.is_symlink():
            continue
        if _names(path, subject.words) or (path.suffix == ".parquet" and _in_parquet(pq.ParquetFile(path), subject)):
            yield path
    if remote.is_remote(workspace.lake):
        for path, content in remote.contents(workspace.lake):
            parquet = pq.ParquetFile(pa.BufferReader(content)) if path.suffix == ".parquet" else None
            if any(form in content for form in _forms(subject.words)) or (parquet and _in_parquet(parquet, subject)):
                yield path


def _in_parquet(file: pq.ParquetFile, subject: Subject) -> bool:
    words, keys = pa.array(subject.words, pa.string()), pa.array(subject.keys, pa.int64())
    for batch in file.iter_batches():
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if name == "token_key" and pc.any(pc.is_in(column, value_set=keys)).as_py():
                return True
            if pa.types.is_string(column.type) and pc.any(pc.is_in(column, value_set=words)).as_py():
                return True
            if not pa.types.is_primitive(column.type) and not pa.types.is_string(column.type):
                text = json.dumps(column.to_pylist(), default=str)
                if any(word in text for word in subject.words):
                    return True
    return False


def _is_own(workspace: Workspace, path: Path) -> bool:
    places: list[Any] = [workspace.lake, workspace.key.parent, workspace.reports]
    return any(place in path.parents for place in places) or path.name.startswith("state.db")
