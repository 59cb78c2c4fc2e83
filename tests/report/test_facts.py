"""Facts are what their types say: those that the pipeline makes, and those that other tests are written with."""

import json
import sqlite3

import pytest
from organisation import BUSY
from pydantic import TypeAdapter, ValidationError
from report.facts_example import STATES, attention
from report.test_parts import SECTIONS, Markup, with_everything

from tokenkit import config, report
from tokenkit.incidents import labels
from tokenkit.report import findings, parts
from tokenkit.schema.facts import Facts, Run, Summary
from tokenkit.schema.incident import Incident


def check(kind, value):
    """Make sure that a value has every key of its type, no other, and nothing of another type."""
    text, adapter = json.dumps(value, allow_nan=False), TypeAdapter(kind)
    read = adapter.validate_json(text, strict=True)
    assert json.loads(adapter.dump_json(read)) == json.loads(text), "a key that the type does not know"


@pytest.mark.parametrize("make", [*STATES.values(), with_everything])
def test_invented_facts_are_of_the_types(make):
    check(Facts, make())


def test_a_missing_key_a_key_too_many_and_another_type_are_found():
    facts = attention()
    del facts["incidents"][0]["n_days"]
    with pytest.raises(ValidationError, match="n_days"):
        check(Facts, facts)
    with pytest.raises(AssertionError, match="does not know"):
        check(Facts, attention() | {"verdicts": {}})
    with pytest.raises(ValidationError, match="risk"):
        facts = attention()
        facts["incidents"][0]["risk"] = "94"
        check(Facts, facts)


def test_what_a_run_makes_and_keeps_is_of_the_types(first_run):
    root, result = first_run
    check(Facts, result.facts)
    assert result.facts["incidents"] and result.facts["watch"] + result.facts["policy"]
    record = json.loads((result.page.parent / "run.json").read_text())
    check(Run, {key: value for key, value in record.items() if key not in ("notebook", "page")})
    with sqlite3.connect(root / "state.db") as db:
        rows = [json.loads(row[0]) for row in db.execute("select record from incidents")]
        check(list[Incident], rows)
        assert len(rows) == len(result.facts["incidents"])
        check(Summary, json.loads(db.execute("select record from runs").fetchone()[0]))


def test_facts_of_answered_incidents_are_of_the_types(workspace, first_run):
    opened = config.workspace_at(workspace)
    confirmed, accepted, closed = [r["incident_uid"] for r in first_run[1].facts["incidents"]][:3]
    labels.label(opened, confirmed, "true_positive", "in a gist", "ana")
    labels.label(opened, accepted, "benign", "a migration", "ana", accept=True)
    labels.label(opened, closed, "false_positive", "a rehearsal", "ana")
    facts = report.gather(opened, *BUSY)
    check(Facts, facts)
    assert facts["accepted"] and facts["answered"]
    assert [i["answer"]["verdict"] for i in facts["incidents"] if i["answer"]] == ["true_positive"]


def test_facts_of_a_short_history_are_of_the_types(workspace):
    facts = report.gather(workspace, "2026-01-06", "2026-01-07")
    assert facts["state"] == "not_enough_history"
    check(Facts, facts)


def test_the_page_of_what_a_run_makes_is_well_formed(first_run):
    facts = first_run[1].facts
    for name in SECTIONS:
        read = Markup(getattr(parts, name)(facts).html)
        assert read.unclosed == [] and read.open == [], name
        text = read.text.replace("CostNone.", "")  # what an action costs may be nothing
        assert "None" not in text and "nan" not in text.split(), name
    assert len(findings(facts)) == len(facts["incidents"])
