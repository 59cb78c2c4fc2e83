"""The 2,900 real CloudTrail records that lie beside this checkout: five hours of attack simulations in one account."""

import html
import re
from collections import Counter

import orjson
import pytest

from tokenkit import config, identity, run
from tokenkit.sources.fields import masking
from tokenkit.sources.inputs import Input
from tokenkit.store import lake, state


@pytest.fixture(scope="module")
def records(real_logs):
    documents = [orjson.loads(path.read_bytes()) for path in sorted(real_logs.glob("*.json"))]
    return [record for document in documents for record in document["Records"]]


@pytest.fixture(scope="module")
def reported(tmp_path_factory, real_logs):
    workspace = config.init(tmp_path_factory.mktemp("real"))
    return workspace, run.run(workspace, [Input(real_logs)])


def test_every_record_is_accounted_for(reported, records):
    workspace, result = reported
    counts = result.counts
    assert counts.read == len(records) == 2_900
    assert counts.read == counts.stored + counts.duplicates + counts.quarantined + counts.ignored
    assert counts.stored == len({record["eventID"] for record in records}) and counts.quarantined == 0
    stored = lake.read(workspace.lake, "events")
    assert stored.num_rows == counts.stored
    with state.connect(workspace.state) as db:
        kept = db.execute("select sum(read), sum(stored), sum(duplicates), sum(ignored) from files").fetchone()
    assert tuple(kept) == (counts.read, counts.stored, counts.duplicates, counts.ignored)


def test_what_has_neither_key_nor_principal_is_unattributed(reported):
    workspace, result = reported
    kinds = Counter(lake.read(workspace.lake, "events")["token_kind"].to_pylist())
    assert kinds["none"] == 76
    assert sum(s["unattributed"] for s in result.facts["coverage"]["sources"]) == 76


def test_the_verdict_is_not_enough_history_and_nothing_is_scored(reported):
    workspace, result = reported
    assert result.facts["state"] == "not_enough_history" and result.facts["history"]["reference"] is None
    assert lake.read(workspace.lake, "scores").num_rows == 0
    assert "history" in text_of(result.page).lower()


def text_of(page):
    return html.unescape(re.sub(r"<[^>]+>", " ", page.read_text()))


def test_the_most_active_keys_are_named_by_their_masked_ids(reported, records):
    _, result = reported
    keys = Counter(key for r in records if (key := r["userIdentity"].get("accessKeyId", "")).startswith("AKIA"))
    assert keys, "the account has lasting keys"
    page = text_of(result.page)
    listed = [(t["mask"], t["requests"]) for t in result.facts["active_tokens"]]
    for key, calls in keys.most_common(3):
        assert identity.mask(key) in page and (identity.mask(key), calls) in listed
        assert key not in result.page.read_text()
    assert [n for _, n in listed] == sorted((n for _, n in listed), reverse=True)
    assert masking.shown(keys.most_common(1)[0][0]) == identity.mask(keys.most_common(1)[0][0])


def test_the_tool_of_the_attacks_is_among_the_rare_values(reported):
    _, result = reported
    rare = [v for v in result.facts["rare_values"] if str(v.get("value", "")).startswith("stratus-red-team_")]
    assert rare
    page = text_of(result.page)
    assert "stratus-red-team_" in page and "rare" in page.lower()


def test_without_an_inventory_nobody_is_owned(reported):
    _, result = reported
    assert result.facts["coverage"]["owners"]["rows"] == 0
    assert result.facts["counts"]["unowned"] == result.facts["counts"]["profiles"] > 0


def test_a_second_delivery_changes_nothing(reported, real_logs):
    workspace, result = reported
    again = run.run(workspace, [Input(real_logs)])
    assert again.counts.read == 0 and again.counts.files_known == result.counts.files
    assert again.page == result.page and again.facts == result.facts
