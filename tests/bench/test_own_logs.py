"""Contenders on one's own logs, and notebook 02, which shows them beside the bench."""

from datetime import datetime, timedelta

import nbformat
import pytest

from tokenkit import config, days
from tokenkit.bench import own_logs
from tokenkit.bench.detectors import registry
from tokenkit.days import MIN_DAYS
from tokenkit.errors import InputError
from tokenkit.report.publishing.notebooks import check_parameters, find_notebook
from tokenkit.store import lake

NOTEBOOK = "02_compare_detectors"


def test_your_own_workspace_is_compared_without_a_truth(workspace):
    some = registry.choose(["tokenkit", "random"])
    # three days of 40 profiles: six incidents at 50 a day for each 1,000, and less than one at 5
    here, text = own_logs.compare(str(workspace), some, 50.0)
    assert "no recall" in text and here.contenders.index.tolist() == ["tokenkit", "random"]
    assert (here.contenders["a_day"] > 0).all()
    # much more: between, the thresholds of tokenkit hardly move, and what it opens stays the same
    more, _ = own_logs.compare(str(workspace), some, 500.0)
    assert (more.contenders["opened"] > here.contenders["opened"]).all()
    assert more.agreement().loc["random", "random"] == 1.0


def test_logs_that_cannot_be_compared_are_refused_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.delenv("TOKENKIT_WORKSPACE", raising=False)
    here, text = own_logs.compare(str(tmp_path), [])
    assert here is None and text.startswith("No logs of your own: no tokenkit workspace") and "tokenkit init" in text
    config.init(tmp_path)
    here, text = own_logs.compare(str(tmp_path), [])
    assert here is None and "no events yet. Read some: tokenkit ingest" in text


def test_few_days_of_logs_are_too_few(monkeypatch, tmp_path):
    workspace = config.init(tmp_path)
    first = datetime(2026, 1, 5).date()
    monkeypatch.setattr(lake, "days", lambda *_: {first + timedelta(days=n): "" for n in range(14)})
    monkeypatch.setattr(days, "event_counts", lambda _: {"nginx": {first + timedelta(days=n): 9 for n in range(14)}})
    here, text = own_logs.compare(str(workspace.root), [])
    assert here is None and f"reach over 14 days, and {2 * MIN_DAYS + 1} are needed" in text


# ---- the notebook ----
@pytest.mark.slow
def test_the_notebook_runs_with_other_parameters_on_an_empty_lake(compared):
    done = nbformat.read(compared / "out.ipynb", as_version=4)
    shown = {cell.id: cell.outputs for cell in done.cells if cell.cell_type == "code"}
    assert [o.metadata["image/png"]["alt"][:6] for o in shown["recall"]] == ["Recall"]
    assert "yours: furthest" in str(shown["measure"]) and "tokenkit" in str(shown["measure"])
    assert "no events yet" in shown["here"][-1]["text"] and not shown["here-table"]
    assert not [o for outputs in shown.values() for o in outputs if o.output_type == "error"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"seed": [1]}, "no parameter 'seed'; did you mean seeds"),
        ({"budget": "5"}, "parameter budget: expected float"),
        ({"contenders": "KNN"}, "parameter contenders: expected list"),
    ],
)
def test_a_mistyped_parameter_of_the_notebook_is_an_error(wrong, said):
    with pytest.raises(InputError, match=said):
        check_parameters(find_notebook(NOTEBOOK), wrong)
