"""Usage of models: a row of a bucket is an event with its tokens, and a bucket that is not over is none."""

import json
from pathlib import Path

import pytest
from own_sources import ANTHROPIC, KEY, LITELLM, OPENAI, changed, event, put, read

from tokenkit import identity, sources


def test_a_result_of_openais_bucket_is_the_use_of_a_model_by_a_key(tmp_path: Path) -> None:
    found = event(tmp_path, "openai-usage", OPENAI)
    expected = {"operation": "gpt-5-mini", "cost_units": 1500.0, "rows": 500, "count": 5, "tenant_uid": "proj_1",
                "status_id": 1, "principal_uid": "user-1", "service": "openai completions",
                "token_kind": "api_key"}  # fmt: skip
    assert {name: found[name] for name in expected} == expected
    key = OPENAI["results"][0]["api_key_id"]
    assert found["token_uid"] == identity.token_uid(KEY, "openai", key)
    assert found["time"].isoformat() == "2026-03-02T10:00:00+00:00"


def test_a_page_has_its_results_and_empty_buckets_are_counted(tmp_path: Path) -> None:
    other = OPENAI["results"][0] | {"model": "gpt-5", "input_tokens": 7}
    buckets = [OPENAI | {"results": [*OPENAI["results"], other]}, OPENAI | {"results": []}]
    path = tmp_path / "page.json"
    path.write_text(json.dumps({"object": "page", "data": buckets, "has_more": False}))
    source = sources.recognise(path)
    assert source is not None and source.name == "openai-usage"
    events, tally = read(path, "openai-usage")
    assert (events["cost_units"].tolist(), tally.read, sum(tally.ignored.values())) == ([1500.0, 507.0], 3, 1)
    assert events["event_key"].nunique() == 2


@pytest.mark.parametrize(
    ("name", "record"),
    [("openai-usage", OPENAI | {"end_time": 4102444800 - 86400}),
     ("anthropic-usage", ANTHROPIC | {"ending_at": "2099-01-01T00:00:00Z"})],
)  # fmt: skip
def test_a_bucket_that_is_not_over_is_ignored(tmp_path: Path, name: str, record: dict) -> None:
    events, tally = read(put(tmp_path / "a.json", [record]), name)
    assert len(events) == 0 and sum(tally.ignored.values()) == 1


def test_a_report_of_the_same_hours_says_the_same_events(tmp_path: Path) -> None:
    again = json.loads(json.dumps(OPENAI))
    again["results"].reverse()
    first, second = event(tmp_path, "openai-usage", OPENAI), event(tmp_path, "openai-usage", again)
    assert first["event_key"] == second["event_key"]


def test_tokens_of_every_kind_are_added_up(tmp_path: Path) -> None:
    found = event(tmp_path, "anthropic-usage", ANTHROPIC)
    assert (found["operation"], found["cost_units"]) == ("claude-opus-5", 1500 + 200 + 500 + 1000 + 500)
    assert found["rows"] == 500


def test_exports_as_csv_are_read(tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    path.write_text("start_time,end_time,api_key_id,model,num_model_requests,input_tokens,output_tokens\n"
                    "1772445600,1772449200,key_1,gpt-5,3,10,20\n")  # fmt: skip
    assert sources.recognise(path) is sources.get("openai-usage")
    events, _ = read(path, "openai-usage")
    assert (events["count"].tolist(), events["cost_units"].tolist()) == ([3], [30.0])
    path.write_text("usage_date_utc,model_version,api_key,workspace,usage_input_tokens_no_cache,usage_output_tokens\n"
                    "2026-03-02,claude-opus-5,ci,Default,10,20\n")  # fmt: skip
    assert sources.recognise(path) is sources.get("anthropic-usage")
    events, _ = read(path, "anthropic-usage")
    assert (events["operation"].tolist(), events["cost_units"].tolist()) == (["claude-opus-5"], [30.0])


def test_what_it_cost_is_an_operation_of_its_own(tmp_path: Path) -> None:
    cost = {"object": "organization.costs.result", "amount": {"value": 0.06, "currency": "usd"}, "line_item": "GPT-5",
            "project_id": "proj_1"}  # fmt: skip
    found = event(tmp_path, "openai-usage", OPENAI | {"results": [cost]})
    assert (found["operation"], found["cost_units"], found["principal_uid"]) == ("cost of GPT-5", 0.06, "proj_1")
    report = {"amount": "123.45", "currency": "USD", "description": "Opus 5 output", "workspace_id": "w1"}
    assert event(tmp_path, "anthropic-usage", ANTHROPIC | {"results": [report]})["cost_units"] == 123.45


def test_a_row_of_litellm_is_a_call_of_its_key(tmp_path: Path) -> None:
    found = event(tmp_path, "litellm-spend", LITELLM)
    expected = {"operation": "small", "cost_units": 300.0, "rows": 100, "principal_uid": "ana", "app_uid": "customer-9",
                "src_ip": "203.0.113.7", "user_agent": "openai-python/2.1.0", "status_id": 1}  # fmt: skip
    assert {name: found[name] for name in expected} == expected
    assert found["token_uid"] == identity.token_uid(KEY, "litellm", LITELLM["api_key"])


def test_a_failed_call_of_litellm_is_told_by_its_error(tmp_path: Path) -> None:
    error = {"status": "failure", "error_information": {"error_code": "401", "error_class": "ProxyException"}}
    for metadata in (error, json.dumps(error)):
        found = event(tmp_path, "litellm-spend", changed(LITELLM, status=None, metadata=metadata, total_tokens=0))
        assert (found["status_id"], found["is_denied"], found["cost_units"]) == (2, True, 0.0021)
