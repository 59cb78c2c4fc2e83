"""A repository's history as a log: who changes what, and from which zone."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from own_sources import KEY, read

from tokenkit import identity, sources
from tokenkit.sources import git_log

ONE, TWO = "a" * 40, "b" * 40
OURS = f"""commit\t{ONE}\t2026-03-02T10:00:00+01:00\tana@acme.example\tnoreply@forge.example\tAna Example

3\t0\tsrc/shop/api.py
-\t-\t"art/caf\\303\\251.png"
commit\t{TWO}\t2026-03-02T09:30:00Z\traj@acme.example\traj@acme.example\tRaj
"""
PLAIN = f"""commit {ONE} (HEAD -> main)
Merge: 1 2
Author: Ana Example <ana@acme.example>
Date:   Mon Mar 2 10:00:00 2026 +0100

    commit {TWO}
    12\t3\tforged

3\t0\tsrc/shop/api.py
"""


def put(folder: Path, text: str) -> Path:
    path = folder / "history.log"
    path.write_text(text)
    return path


def test_a_changed_file_is_an_event_of_its_author(tmp_path: Path) -> None:
    path = put(tmp_path, OURS)
    assert sources.recognise(path) is sources.get("git-log")
    events, tally = read(path, "git-log")
    assert tally.quarantined == []
    assert events["operation"].tolist() == ["add src/shop", "replace art", "commit"]
    assert events["resource_uid"].fillna("").tolist() == ["src/shop/api.py", "art/café.png", ""]
    assert events["network"].tolist() == ["UTC+01:00", "UTC+01:00", "UTC+00:00"]
    assert events["rows"].tolist() == [3, 0, 0] and events["app_uid"].fillna("").tolist()[::2] == [
        "noreply@forge.example",
        "",
    ]
    assert events["token_uid"].iloc[0] == identity.token_uid(KEY, "git", "ana@acme.example")
    assert events["time"].iloc[0].isoformat() == "2026-03-02T09:00:00+00:00"


def test_gits_own_format_is_read_and_no_message_makes_a_commit(tmp_path: Path) -> None:
    path = put(tmp_path, PLAIN)
    assert sources.recognise(path) is sources.get("git-log")
    events, tally = read(path, "git-log")
    assert tally.quarantined == [] and events["resource_uid"].tolist() == ["src/shop/api.py"]
    assert events["network"].tolist() == ["UTC+01:00"] and events["principal_uid"].tolist() == ["Ana Example"]


@pytest.mark.parametrize("broken", ["commit\tbroken", "\0commit\t", "odd"])
def test_a_broken_header_costs_its_own_files_alone(tmp_path: Path, broken: str) -> None:
    path = put(tmp_path, OURS.replace(f"commit\t{TWO}", broken) + "1\t1\tx.py\n" + OURS)
    events, tally = read(path, "git-log")
    assert "x.py" not in set(events["resource_uid"]) and [one.place for one in tally.quarantined] == [
        "line 5",
        "line 6",
    ]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.one_of(st.sampled_from([*OURS.splitlines(), *PLAIN.splitlines()]), st.text(max_size=20)), max_size=9)
)
def test_any_lines_are_stored_or_quarantined(tmp_path: Path, lines: list[str]) -> None:
    path = tmp_path / "history.log"
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    read(path, "git-log")


@pytest.mark.parametrize("date", ["", "yesterday", "2026-03-02", "0001-01-01T00:00:00+23:59"])
def test_a_date_that_is_none_costs_its_commit(tmp_path: Path, date: str) -> None:
    events, tally = read(put(tmp_path, OURS.replace("2026-03-02T10:00:00+01:00", date)), "git-log")
    assert len(events) + len(tally.quarantined) == 3 and git_log.file_name("{a => b}/c") == "b/c"
