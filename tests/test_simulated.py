"""A simulated organisation through the same door as real logs: what is found, and what is in the lake afterwards."""

import gzip
import json

import organisation as small
import orjson
import pytest

from tokenkit import config, identity, run
from tokenkit.sources.inputs import Input
from tokenkit.store import engine, lake
from tokenkit.world import simulate_logs

CAUSES = {
    "network": {"network"}, "client": {"client"}, "operations": {"operation"},
    "response_bytes": {"response_bytes", "drift_response_bytes"}, "errors": {"client_errors"},
    "objects": {"objects", "new_objects", "drift_objects"}, "sequential": {"sequential_objects"},
}  # fmt: skip


@pytest.fixture(scope="module")
def found(first_run):
    root, result = first_run
    return config.find(root), result


def raw_records(organisation):
    for file in sorted((organisation / "logs").rglob("*.*")):
        if not file.is_file() or "CloudTrail-Digest" in file.parts:
            continue
        content = file.read_bytes()
        content = gzip.decompress(content) if file.suffix == ".gz" else content
        yield from (
            orjson.loads(content)["Records"] if "cloudtrail" in file.parts else map(orjson.loads, content.splitlines())
        )


def test_each_event_is_in_the_lake_once(organisation, found):
    workspace, result = found
    records = list(raw_records(organisation))
    trail = {r["eventID"] for r in records if "eventID" in r}
    assert result.counts.read == len(records) and result.counts.quarantined == 0
    assert result.counts.stored == len(trail) + sum("eventID" not in r for r in records)
    events = lake.read(workspace.lake, "events")
    assert events.num_rows == result.counts.stored == len(set(events["event_key"].to_pylist()))


def test_bytes_and_calls_of_raw_logs_and_activity_agree(organisation, found):
    workspace, _ = found
    sent = sum(r.get("bytes_sent", r.get("bytes_out", 0)) for r in raw_records(organisation) if "eventID" not in r)
    trail = {
        r["eventID"]: r for r in raw_records(organisation) if "eventID" in r and r["userIdentity"].get("accessKeyId")
    }
    sent += sum(int((r.get("additionalEventData") or {}).get("bytesTransferredOut", 0)) for r in trail.values())
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        activity = lake.scan(connection, workspace.lake, "activity_hour")
        total, calls = activity.aggregate("sum(response_bytes), sum(requests)").fetchall()[0]
    gateway = sum("eventID" not in r for r in raw_records(organisation))
    assert int(total) == sent and int(calls) == gateway + len(trail)


def test_every_table_of_activity_counts_the_same_calls(found):
    workspace, _ = found
    with engine.connect(workspace.settings.engine, workspace.scratch) as connection:
        counts = {
            name: int(lake.scan(connection, workspace.lake, name).aggregate("sum(requests)").fetchall()[0][0])
            for name in ("activity_hour", "activity_operation", "activity_client", "activity_network")
        }
    assert counts["activity_hour"] == counts["activity_operation"] == counts["activity_client"]
    assert counts["activity_network"] <= counts["activity_hour"]


def uid_of(workspace, attack):
    key = identity.load_key(workspace.key)
    issuer = "aws" if attack["issuer"] == "aws" else "gateway:default"
    return identity.token_uid(key, issuer, attack["native_id"])


def incidents_of(result, uid):
    """The incidents of a token, as the facts of the report hold them."""
    findings = json.loads((result.page.parent / "incidents.json").read_text())
    raised = {f["finding_info"]["uid"] for f in findings if uid in {r["uid"] for r in f["resources"]}}
    return [r for r in result.facts["incidents"] if r["incident_uid"] in raised]


# +60% in eleven days is no more than what the delivery of webhooks that leaks here does anyway; the next test has the
# leak of a scheduled job, which is seen
@pytest.mark.parametrize("scenario", ["stolen_token", "object_enumeration"])
def test_an_attack_raises_an_incident_with_its_cause_among_the_first_reasons(scenario, organisation, found):
    workspace, result = found
    attack = next(a for a in small.truth(organisation)["attacks"] if a["scenario"] == scenario)
    record = next(
        r for r in incidents_of(result, uid_of(workspace, attack))
        if r["start"] < attack["end"].replace("Z", "~") and r["end"] > attack["start"]
    )  # fmt: skip
    first = {reason["feature"] for reason in record["reasons"][:3]}
    assert any(first & CAUSES[cause] for cause in attack["cause"]), first


@pytest.mark.slow
def test_a_slow_leak_of_a_scheduled_job_raises_an_incident_with_the_data_as_its_first_reason(tmp_path):
    # all drifts of 60 tokens may open 1.3 incidents in two weeks; of the seeds 0 to 7 this leak is one in 0, 6 and 7
    truth = simulate_logs(tmp_path / "raw", tokens=60, days=60, events=180_000, seed=7)
    leak = next(a for a in truth["attacks"] if a["scenario"] == "slow_exfiltration")
    workspace = config.init(tmp_path / "workspace")
    result = run.run(workspace, [Input(tmp_path / "raw" / "logs")], tmp_path / "raw" / "inventory.csv")
    record, *_ = incidents_of(result, uid_of(workspace, leak))
    assert record["reasons"][0]["feature"] == "drift_response_bytes" and record["story"] == "slow_leak"
    assert leak["start"] < record["start"] < leak["end"] and record["start"].startswith("2026-02-23")


def test_the_reasons_of_an_incident_add_up_to_its_score(found):
    _, result = found
    assert result.facts["incidents"]
    for record in result.facts["incidents"]:
        assert sum(r["bits"] for r in record["reasons"]) == pytest.approx(record["score_bits"], abs=0.5)


def test_owners_and_purposes_come_from_the_inventory(organisation, found):
    _, result = found
    text = (organisation / "inventory.csv").read_text(encoding="utf-8")
    for record in result.facts["incidents"]:
        assert record["token"]["label"] in text and record["owner"]["name"] in text


def test_the_truth_is_never_read(found, organisation):
    _, result = found
    truth = (organisation / "truth.json").read_text()
    assert "scenario" in truth
    for path in result.page.parent.iterdir():
        assert "attack-1" not in path.read_text() and "truth.json" not in path.read_text()
