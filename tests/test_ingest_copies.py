"""A call that AWS delivers to two accounts is stored once, as the account that owns the credential saw it."""

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import raw_logs

from tokenkit import ingest
from tokenkit.config import Workspace
from tokenkit.sources.inputs import Input
from tokenkit.store import lake

ROLE = {
    "type": "AssumedRole", "principalId": "AROAEXAMPLEPARTNER01:etl", "accountId": "444455556666",
    "arn": "arn:aws:sts::444455556666:assumed-role/etl/etl", "accessKeyId": "ASIAEXAMPLEETL000000",
}  # fmt: skip
FOREIGN = {"type": "AWSAccount", "principalId": "AROAEXAMPLEPARTNER01:etl", "accountId": "444455556666"}


def record(number: int, own: bool, **more: Any) -> dict[str, Any]:
    return {
        "eventID": f"e{number}-{'own' if own else 'copy'}", "sharedEventID": f"shared-{number}",
        "eventTime": f"2026-03-02T{number:02}:00:00Z", "eventSource": "s3.amazonaws.com", "eventName": "GetObject",
        "userIdentity": ROLE if own else FOREIGN, "sourceIPAddress": "192.0.2.9",
        "recipientAccountId": "444455556666" if own else "111122223333",
        "additionalEventData": {"bytesTransferredOut": 1000},
    } | more  # fmt: skip


def read(place: Workspace, folder: Path, *files: list[dict[str, Any]], together: bool = False) -> ingest.Counts:
    """Ingest each list of records as a file, all in one call or one call for each."""
    counts = ingest.Counts()
    paths = []
    for records in files:
        path = folder / f"{len(list(folder.glob('*.json')))}.json"
        path.write_text(json.dumps({"Records": records}))
        paths.append(path)
    for group in [paths] if together else [[path] for path in paths]:
        more = ingest.ingest(place, [Input(path) for path in group])
        assert more.read == more.stored + more.duplicates + more.quarantined + more.ignored
        counts.stored += more.stored
        counts.duplicates += more.duplicates
    return counts


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    return raw_logs.workspace(tmp_path / "w")


def callers(place: Workspace) -> list[tuple[str, str, str]]:
    events = lake.read(place.lake, "events").to_pandas().sort_values("time")
    return list(zip(events["event_uid"], events["token_kind"], events["tenant_uid"], strict=True))


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_whichever_comes_first_the_owner_of_the_credential_is_stored(
    place: Workspace, tmp_path: Path, order: tuple[int, ...], together: bool
) -> None:
    deliveries = [[record(1, True), record(2, True)], [record(1, False)], [record(2, False), record(3, False)]]
    counts = read(place, tmp_path, *(deliveries[i] for i in order), together=together)
    assert (counts.stored, counts.duplicates) == (3, 2)
    assert callers(place) == [
        ("shared-1", "aws_session", "444455556666"),
        ("shared-2", "aws_session", "444455556666"),
        ("shared-3", "principal", "111122223333"),  # nobody delivered the caller's own record
    ]


def test_in_one_file_the_order_does_not_count_either(place: Workspace, tmp_path: Path) -> None:
    counts = read(place, tmp_path, [record(1, False), record(1, True), record(2, True), record(2, False)])
    assert (counts.stored, counts.duplicates) == (2, 2)
    assert {kind for _, kind, _ in callers(place)} == {"aws_session"}


def test_a_token_that_only_copies_had_is_forgotten(place: Workspace, tmp_path: Path) -> None:
    read(place, tmp_path, [record(1, False)])
    assert lake.read(place.lake, "dim_token")["token_kind"].to_pylist() == ["principal"]
    read(place, tmp_path, [record(1, True)])
    assert lake.read(place.lake, "dim_token")["token_kind"].to_pylist() == ["aws_session"]


def test_a_token_of_other_calls_is_kept(place: Workspace, tmp_path: Path) -> None:
    read(place, tmp_path, [record(1, False), record(2, False)])
    read(place, tmp_path, [record(1, True), record(3, False)])
    kinds = lake.read(place.lake, "dim_token")["token_kind"].to_pylist()
    assert sorted(kinds) == ["aws_session", "principal"]
    assert [uid for uid, _, _ in callers(place)] == ["shared-1", "shared-2", "shared-3"]


def test_of_two_records_that_know_the_caller_that_of_the_callers_account_is_stored(
    place: Workspace, tmp_path: Path
) -> None:
    there = record(1, True, recipientAccountId="111122223333")
    read(place, tmp_path, [there], [record(1, True)])
    assert callers(place) == [("shared-1", "aws_session", "444455556666")]


@pytest.mark.parametrize("at", ["before the events are added", "after it"])
def test_a_run_that_is_killed_while_it_replaces_loses_and_doubles_nothing_and_leaves_no_token(
    place: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    read(place, tmp_path, [record(1, False)])
    append = lake.append

    def killed(root: Path, name: str, *more: Any) -> None:
        if name != "events" or at == "after it":
            append(root, name, *more)
        if name == "events":
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(lake, "append", killed)
        with pytest.raises(KeyboardInterrupt):
            read(place, tmp_path, [record(1, True), record(2, True)])
    path = sorted(tmp_path.glob("*.json"))[-1]
    assert [kind for _, kind, _ in callers(place)][:1] == ["aws_session"]  # it was replaced
    counts = ingest.ingest(place, [Input(path)])
    assert (counts.stored, counts.duplicates, counts.files_known) == ((0, 0, 1) if at == "after it" else (1, 1, 0))
    assert [kind for _, kind, _ in callers(place)] == ["aws_session"] * 2
    tokens = lake.read(place.lake, "dim_token")["token_key"].to_pylist()
    assert set(lake.read(place.lake, "events")["token_key"].to_pylist()) == set(tokens)


def test_records_of_one_account_are_never_exchanged(place: Workspace, tmp_path: Path) -> None:
    plain = [record(i, True, sharedEventID=None) for i in range(1, 4)]
    read(place, tmp_path, plain)
    version = lake.version(place.lake, "events")
    counts = read(place, tmp_path, [*plain, record(4, True, sharedEventID=None)])
    assert (counts.stored, counts.duplicates) == (1, 3)
    assert lake.version(place.lake, "events") == version + 1
