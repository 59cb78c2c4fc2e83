"""A simulated organisation: the same from the same seed, and its attacks do what the truth says."""

from __future__ import annotations

import csv
import gzip
import hashlib
from collections import Counter, defaultdict
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest

from tokenkit.errors import InputError
from tokenkit.world import simulate_logs
from tokenkit.world.draws import network_of

SMALL: dict[str, Any] = {"tokens": 20, "days": 20, "events": 5_000}
MEDIUM: dict[str, Any] = {"tokens": 80, "days": 56, "events": 45_000}


def records(out: Path) -> list[dict[str, Any]]:
    """Every CloudTrail record, as often as it was delivered, with its file."""
    files = sorted((out / "logs" / "cloudtrail").glob("AWSLogs/*/CloudTrail/**/*.json.gz"))
    return [
        record | {"file": file.name}
        for file in files
        for record in orjson.loads(gzip.decompress(file.read_bytes()))["Records"]
    ]


def events(out: Path) -> list[dict[str, Any]]:
    """Every event once, in one shape; times in seconds, ``sent`` are the response's bytes."""
    found = {}
    for record in records(out):
        identity = record["userIdentity"]
        role = identity.get("sessionContext", {}).get("sessionIssuer", {}).get("arn")
        sizes = record.get("additionalEventData", {})
        key = (record["requestParameters"] or {}).get("key", "")
        call = f"{record['eventSource'].split('.')[0]} {record['eventName']} {key}"
        time = datetime.fromisoformat(record["eventTime"]).timestamp()
        found[record["eventID"]] = (
            role or identity.get("accessKeyId", ""), time, call, record["sourceIPAddress"],
            record["userAgent"].strip("[]"), record.get("errorCode", ""),
            sizes.get("bytesTransferredOut", 0), sizes.get("bytesTransferredIn", 0),
        )  # fmt: skip
    for file in sorted((out / "logs" / "gateway" / "nginx").glob("*.gz")):
        for row in map(orjson.loads, gzip.decompress(file.read_bytes()).splitlines()):
            found[row["request_id"]] = (
                row["api_key_id"], row["msec"], f"{row['request_method']} {row['uri']}", row["remote_addr"],
                row["http_user_agent"], row["status"], row["bytes_sent"], row["request_length"],
            )  # fmt: skip
    for file in sorted((out / "logs" / "gateway" / "haproxy").glob("*.jsonl")):
        for number, row in enumerate(map(orjson.loads, file.read_bytes().splitlines())):
            found[f"{file.name}#{number}"] = (
                row["key_hmac"], row["ts_ms"] / 1000, f"{row['method']} {row['path']}", row["src_ip"],
                row["ua"], row["status"], row["bytes_out"], row["bytes_in"],
            )  # fmt: skip
    names = ("token", "time", "call", "address", "client", "status", "sent", "received")
    return [dict(zip(names, values, strict=True)) for values in found.values()]


def by_token(rows: list[dict[str, Any]]) -> dict[str, Counter[tuple[Any, ...]]]:
    found: dict[str, Counter[tuple[Any, ...]]] = defaultdict(Counter)
    for row in rows:
        found[row["token"]][tuple(row.values())] += 1
    return found


def inventory(out: Path) -> list[dict[str, str]]:
    with (out / "inventory.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def digest(out: Path) -> dict[str, str]:
    files = (file for file in sorted(out.rglob("*")) if file.is_file())
    return {str(file.relative_to(out)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


class Pair:
    """The same organisation with and without its attacks."""

    def __init__(self, folder: Path, **arguments: Any) -> None:
        self.attacked, self.plain = folder / "attacked", folder / "plain"
        self.truth = simulate_logs(self.attacked, **arguments)
        self.untouched = simulate_logs(self.plain, attacks=False, **arguments)
        self.rows, self.without = events(self.attacked), events(self.plain)
        self.attacks = {attack["scenario"]: attack for attack in self.truth["attacks"]}

    def added(self, scenario: str) -> list[dict[str, Any]]:
        """The events of the attacked token that only the attacked organisation has, by time."""
        token = self.attacks[scenario]["native_id"]
        before = by_token(self.without)[token]
        rows = [row for row in self.rows if row["token"] == token and not before[tuple(row.values())]]
        return sorted(rows, key=lambda row: row["time"])

    def span(self, scenario: str) -> tuple[float, float]:
        attack = self.attacks[scenario]
        return datetime.fromisoformat(attack["start"]).timestamp(), datetime.fromisoformat(attack["end"]).timestamp()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair(tmp_path_factory.mktemp("small"), seed=5, **SMALL)


@pytest.fixture(scope="module")
def medium(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair(tmp_path_factory.mktemp("medium"), seed=1, **MEDIUM)


@pytest.fixture(scope="module", params=["small", "medium"])
def pair(request: pytest.FixtureRequest) -> Pair:
    found: Pair = request.getfixturevalue(request.param)
    return found


def test_the_same_arguments_give_the_same_bytes(small, tmp_path):
    simulate_logs(tmp_path, seed=5, **SMALL)
    assert digest(tmp_path) == digest(small.attacked)


def test_another_seed_gives_another_organisation(small, tmp_path):
    simulate_logs(tmp_path, seed=6, **SMALL)
    assert not {row["native_id"] for row in inventory(tmp_path)} & {
        row["native_id"] for row in inventory(small.attacked)
    }


def test_an_attack_changes_no_other_token(pair):
    attacked = {attack["native_id"] for attack in pair.truth["attacks"]}
    before, after = by_token(pair.without), by_token(pair.rows)
    assert len(attacked) == 3
    assert before.keys() == after.keys()
    assert {token for token in before if before[token] != after[token]} == attacked
    assert (pair.attacked / "inventory.csv").read_bytes() == (pair.plain / "inventory.csv").read_bytes()
    assert pair.truth["confounders"] == pair.untouched["confounders"]
    assert pair.untouched["attacks"] == []


@pytest.mark.parametrize("scenario", ["stolen_token", "object_enumeration"])
def test_the_legitimate_use_of_an_attacked_token_goes_on(pair, scenario):
    token = pair.attacks[scenario]["native_id"]
    assert not by_token(pair.without)[token] - by_token(pair.rows)[token]


@pytest.mark.parametrize("scenario", ["stolen_token", "object_enumeration", "slow_exfiltration"])
def test_an_attack_lies_within_its_window(pair, scenario):
    start, end = pair.span(scenario)
    assert all(start <= row["time"] < end for row in pair.added(scenario))


def test_the_number_of_events_is_about_what_was_asked_for(small, medium):
    assert len(small.without) == pytest.approx(SMALL["events"], rel=0.1)
    assert len(medium.without) == pytest.approx(MEDIUM["events"], rel=0.1)
    assert len(medium.rows) == pytest.approx(MEDIUM["events"], rel=0.1)


def test_volumes_are_heavy_tailed_and_no_token_dominates(medium):
    volumes = sorted(sum(rows.values()) for token, rows in by_token(medium.without).items() if token)
    assert volumes[-1] < 0.05 * len(medium.without)
    assert volumes[int(0.95 * len(volumes))] > 3 * volumes[len(volumes) // 2]


def test_the_stolen_token_is_used_from_a_network_and_a_client_never_seen(pair):
    rows = pair.added("stolen_token")
    assert 80 <= len(rows) <= 400
    assert rows[-1]["time"] - rows[0]["time"] < 4 * 3600
    networks, clients = {network_of(row["address"]) for row in rows}, {row["client"] for row in rows}
    assert len(networks) == len(clients) == 1
    assert not networks & {network_of(row["address"]) for row in pair.without}
    assert not clients & {row["client"] for row in pair.without}
    kinds = {kind(row) for row in pair.without if row["token"] == rows[0]["token"]}
    fresh = {kind(row) for row in rows} - kinds
    assert 1 <= len(fresh) <= 2
    assert sum(kind(row) in kinds for row in rows) > 0.8 * len(rows)


def kind(row: dict[str, Any]) -> str:
    """The call without numbers, query and key."""
    method, path = row["call"].split(" ")[:2]
    return method + " " + "/".join("#" if part.isdigit() else part for part in path.split("?")[0].split("/"))


def test_slow_exfiltration_is_sixty_percent_more_bytes_with_as_many_requests(pair):
    attack = pair.attacks["slow_exfiltration"]
    start, end = pair.span("slow_exfiltration")
    before, after = (
        [row for row in rows if row["token"] == attack["native_id"] and start <= row["time"] < end]
        for rows in (pair.without, pair.rows)
    )
    assert sum(row["sent"] for row in after) == pytest.approx(1.6 * sum(row["sent"] for row in before), rel=0.01)
    assert len(before) < len(after) <= 1.1 * len(before) + 1
    assert {row["address"] for row in after} == {row["address"] for row in before}
    assert {row["client"] for row in after} == {row["client"] for row in before}
    ever = {row["call"] for row in pair.without if row["token"] == attack["native_id"]}
    assert sum(row["call"].split("?")[0] not in ever for row in after) >= 0.9 * (len(after) - len(before))


def test_object_enumeration_counts_through_numbers_from_where_the_token_works(pair):
    rows = pair.added("object_enumeration")
    assert 300 <= len(rows) <= 1500
    assert rows[-1]["time"] - rows[0]["time"] < 5 * 3600
    numbers = [int(next(part for part in row["call"].split("?")[0].split("/") if part.isdigit())) for row in rows]
    assert sum(b - a == 1 for a, b in pairwise(numbers)) > 0.95 * len(numbers)
    assert 0.25 < sum(row["status"] == 404 for row in rows) / len(rows) < 0.65
    own = [row for row in pair.without if row["token"] == rows[0]["token"]]
    assert {row["address"] for row in rows} <= {row["address"] for row in own}
    assert {row["client"] for row in rows} <= {row["client"] for row in own}
    assert len({kind(row) for row in rows}) == 1
    assert kind(rows[0]) in {kind(row) for row in own}


def test_nothing_but_the_truth_names_an_attack(small):
    words = [b"attack", b"stolen", b"exfil", b"enumerat", b"truth"]
    for file in [*(small.attacked / "logs").rglob("*"), small.attacked / "inventory.csv"]:
        if file.is_file():
            content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
            assert not [word for word in words if word in content.lower() or word.decode() in file.name.lower()]
    names = digest(small.attacked).keys()
    assert names == digest(small.plain).keys()  # also the suffixes
    assert [name for name in names if "truth" in name] == ["truth.json"]
    assert orjson.loads((small.attacked / "truth.json").read_bytes()) == small.truth


def test_attacked_tokens_have_an_active_owner_and_a_past(medium):
    owned = {row["native_id"]: row for row in inventory(medium.attacked)}
    for attack in medium.truth["attacks"]:
        assert owned[attack["native_id"]]["owner_status"] == "active"
        start = datetime.fromisoformat(attack["start"]).timestamp()
        days = {
            row["time"] // 86400
            for row in medium.without
            if row["token"] == attack["native_id"] and row["time"] < start
        }
        assert len(days) >= 20


def test_benign_novelty_is_common(medium):
    first: dict[tuple[str, str], float] = {}
    for row in sorted(medium.without, key=lambda row: row["time"]):
        if row["token"]:
            first.setdefault((row["token"], network_of(row["address"])), row["time"])
    begin = datetime(2026, 1, 5, tzinfo=UTC).timestamp()
    late = sum(time >= begin + 42 * 86400 for time in first.values()) / (MEDIUM["days"] - 42)
    assert 10 <= late * 200 / MEDIUM["tokens"] <= 25


def test_an_egress_change_moves_all_traffic_of_its_tokens(medium):
    change = next(note for note in medium.truth["confounders"] if note["kind"] == "egress_change")
    moment = datetime.fromisoformat(change["start"]).timestamp()
    old, new = (part.removesuffix("0/24") for part in change["detail"].split(" -> "))
    for row in medium.without:
        if row["token"] in change["native_ids"]:
            assert network_of(row["address"]) == (new if row["time"] >= moment else old)


def test_versions_rise_and_never_fall(medium):
    seen: dict[str, list[int]] = defaultdict(list)
    for row in sorted(medium.without, key=lambda row: row["time"]):
        if row["client"].startswith("Boto3/1.34."):
            seen[row["token"]].append(int(row["client"].split(" ")[0].split(".")[2]))
    assert seen
    assert all(versions == sorted(versions) for versions in seen.values())
    assert any(versions[0] < versions[-1] for versions in seen.values())


def test_the_inventory_has_gaps_and_a_past(medium):
    rows = inventory(medium.plain)
    used = {row["token"] for row in medium.without} - {""}
    assert used - {row["native_id"] for row in rows}  # unowned
    assert {row["owner_status"] for row in rows} == {"active", "left"}
    assert 8 <= len({row["purpose"] for row in rows}) <= 12
    assert sum("" < row["expires_time"] < "2026-01-05" for row in rows) == 1
    (successor,) = [row for row in rows if row["rotated_from"]]
    (predecessor,) = [row for row in rows if row["native_id"] == successor["rotated_from"]]
    assert predecessor["valid_to"] == successor["valid_from"]
    change = datetime.fromisoformat(successor["valid_from"]).timestamp()
    assert max(row["time"] for row in medium.without if row["token"] == predecessor["native_id"]) < change
    assert min(row["time"] for row in medium.without if row["token"] == successor["native_id"]) >= change
    assert any(row["networks"] for row in rows)


def test_cloudtrail_has_its_traps(medium):
    found = records(medium.plain)
    files = defaultdict(list)
    for record in found:
        files[record["eventID"]].append(record["file"])
    again = [names for names in files.values() if len(names) > 1]
    assert again
    assert all(len(set(names)) == 2 for names in again)  # delivered again, in another file
    assert any(record["userIdentity"]["type"] == "AWSService" for record in found)
    assert any(record["requestParameters"] is None for record in found)
    assert any(isinstance(record.get("additionalEventData", {}).get("bytesTransferredOut"), float) for record in found)
    sessions = [record["userIdentity"] for record in found if record["userIdentity"]["type"] == "AssumedRole"]
    assert all(identity["accessKeyId"].startswith("ASIA") for identity in sessions)
    assert {identity["sessionContext"]["attributes"]["mfaAuthenticated"] for identity in sessions} == {"false"}
    assert list((medium.plain / "logs" / "cloudtrail").glob("AWSLogs/*/CloudTrail-Digest/**/*.json.gz"))


@pytest.mark.parametrize("seed", range(4))
def test_short_periods_and_few_tokens_work(tmp_path, seed):
    calls: list[tuple[int, int]] = []
    truth = simulate_logs(tmp_path, tokens=12, days=14, events=2_000, seed=seed, progress=lambda *at: calls.append(at))
    assert len(truth["attacks"]) == 3
    assert calls[-1] == (26, 26)


def test_too_few_tokens_or_days_are_refused(tmp_path):
    with pytest.raises(InputError, match="at least 12 tokens and 14 days"):
        simulate_logs(tmp_path, tokens=3)
