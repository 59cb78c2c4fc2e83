"""Detectors are compared by one protocol, on rows that they were not fitted on, and nobody's result is flattered."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenkit import config
from tokenkit.bench import compare, metrics
from tokenkit.bench.detectors import contenders, matrices, series
from tokenkit.bench.page import figures
from tokenkit.days import MIN_DAYS
from tokenkit.errors import InputError
from tokenkit.judge import detect
from tokenkit.report.publishing import kernel
from tokenkit.report.publishing.notebooks import check_parameters, find_notebook
from tokenkit.store import lake
from tokenkit.tokens import owners
from tokenkit.tokens.profiles import token_profiles

NOTEBOOK = "02_compare_detectors"
SIZE = {"tokens": 16, "days": 40}


def hour(text: str) -> pd.Timestamp:
    return pd.Timestamp(f"2026-03-{text}", tz="UTC").as_unit("us")


def windows(*rows: tuple[str, str, str, str, float]) -> pd.DataFrame:
    """Flagged windows: incident, profile, start and end within March 2026, bits."""
    return pd.DataFrame(
        [(i, p, "c", hour(a), hour(b), bits) for i, p, a, b, bits in rows],
        columns=["incident_uid", "profile_uid", "channel", "start", "end", "score_bits"],
    )


def attacks(*rows: tuple[str, str, str, str]) -> pd.DataFrame:
    """Attacks: name, profile, start, end."""
    return pd.DataFrame(
        [(n, "theft", p, hour(a), hour(b)) for n, p, a, b in rows],
        columns=["attack", "scenario", "profile_uid", "start", "end"],
    )


# ---- metrics, by hand ----
def test_an_attack_is_caught_by_a_new_incident_of_its_profile_within_its_time():
    flagged = windows(
        ("i1", "victim", "05 00:00", "06 00:00", 9.0),  # the attack's day
        ("i2", "other", "05 00:00", "06 00:00", 12.0),  # another profile
        ("i3", "late", "08 00:00", "09 00:00", 7.0),  # after its attack
    )
    planted = attacks(
        ("a", "victim", "05 10:00", "05 12:00"),
        ("b", "late", "05 10:00", "05 12:00"),
    )
    found = metrics.incidents(flagged, hour("01 00:00"))
    told = metrics.outcomes(found, metrics.touched(flagged, planted), planted).set_index("attack")
    assert told["outcome"].to_dict() == {"a": "caught", "b": "missed"}
    assert (told.loc["a", "rank"], told.loc["a", "of"], told.loc["a", "hours"]) == (2, 3, 14.0)


def test_an_incident_that_was_open_before_the_attack_says_nothing_new():
    flagged = windows(("i", "victim", "03 00:00", "04 00:00", 9.0), ("i", "victim", "05 00:00", "06 00:00", 9.0))
    planted = attacks(("a", "victim", "05 10:00", "05 12:00"))
    found = metrics.incidents(flagged, hour("01 00:00"))
    assert metrics.outcomes(found, metrics.touched(flagged, planted), planted)["outcome"].tolist() == ["open before"]


def test_windows_on_both_sides_of_an_attack_have_not_seen_it():
    flagged = windows(("i", "victim", "03 00:00", "04 00:00", 9.0), ("i", "victim", "06 00:00", "07 00:00", 9.0))
    planted = attacks(("a", "victim", "05 10:00", "05 12:00"))
    assert metrics.touched(flagged, planted).empty


def test_an_incident_from_before_the_report_is_not_opened_in_it_and_a_quiet_one_is_not_listed():
    flagged = windows(
        ("old", "p", "01 00:00", "02 00:00", 9.0),
        ("grown", "q", "01 00:00", "02 00:00", 8.0),
        ("grown", "q", "05 00:00", "06 00:00", 9.0),
        ("new", "r", "05 00:00", "06 00:00", 7.0),
    )
    found = metrics.incidents(flagged, hour("04 00:00"))
    assert found[["incident_uid", "opened", "score_bits"]].values.tolist() == [
        ["grown", False, 9.0],
        ["new", True, 7.0],
    ]


def test_the_summary_adds_up_over_organisations():
    runs = pd.DataFrame(
        {"contender": ["a", "a", "b", "b"], "organisation": ["x", "y"] * 2, "sees": "raw", "how": "row by row",
         "profiles": 100, "days": 10, "allowed": 5.0, "opened": [4, 6, 0, 0], "hits": [1, 1, 0, 0],
         "fit_s": 1.0, "score_s": 0.5}
    )  # fmt: skip
    results = pd.DataFrame(
        {"contender": ["a"] * 3 + ["b"] * 3, "outcome": ["caught", "caught", "missed"] + ["missed"] * 3,
         "scenario": "theft", "hours": [2.0, 4.0, np.nan] + [np.nan] * 3}
    )  # fmt: skip
    table = metrics.summary(runs, results)
    assert table.index.tolist() == ["a", "b"]
    a = table.loc["a"]
    assert (a["caught"], a["attacks"], a["a_day"], a["of_budget"], a["precision"]) == (2, 3, 5.0, 1.0, 0.2)
    assert (a["hours"], a["cpu_s"]) == (3.0, 3.0)
    assert np.isnan(table.loc["b", "precision"]) and table.loc["b", "recall"] == 0


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_interval_of_a_share_holds_it_and_narrows_with_more_trials(hits, more):
    n = hits + more
    low, high = metrics.wilson(hits, n)
    assert 0 <= low <= high <= 1
    if n:
        assert low <= hits / n + 1e-12 and hits / n <= high + 1e-12
        wider = metrics.wilson(hits * 4, n * 4)
        assert wider[1] - wider[0] <= high - low + 1e-12


def test_agreement_is_one_with_itself_and_unknown_where_nobody_flagged():
    flagged = pd.DataFrame([("a", "x", "p", 1)], columns=["contender", "organisation", "profile_uid", "day"])
    table = metrics.agreement(flagged, ["a", "b", "c"])
    assert table.loc["a", "a"] == 1 and table.loc["a", "b"] == 0 and np.isnan(table.loc["b", "c"])
    assert metrics.agreement(flagged.iloc[:0], ["a"]).isna().all(axis=None)


# ---- a simulated organisation ----
@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compare")


@pytest.fixture(scope="module")
def case(folder: Path) -> compare.Case:
    return compare.organisations([1], **SIZE, folder=folder)[0]


def test_an_organisation_is_made_once_and_its_attacks_lie_on_its_profiles(case, folder):
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("raw/logs/**/*") if p.is_file()}
    again = compare.organisations([1], **SIZE, folder=folder)[0]
    assert before == {p: p.stat().st_mtime_ns for p in folder.rglob("raw/logs/**/*") if p.is_file()}
    assert sorted(case.attacks["scenario"]) == ["object_enumeration", "slow_exfiltration", "stolen_token"]
    assert set(case.attacks["profile_uid"]) <= set(case.evidence.days.profiles)
    pd.testing.assert_frame_equal(again.attacks, case.attacks)


def test_the_same_seed_makes_the_same_table_wherever_it_is_made(case):
    chosen = compare.choose(["tokenkit", "IForest, deviations", "random"])
    elsewhere = compare.organisations([1], **SIZE)
    one, two = (compare.run(cases, chosen) for cases in ([case], elsewhere))
    pd.testing.assert_frame_equal(one.incidents, two.incidents)
    timed = ["fit_s", "score_s"]
    pd.testing.assert_frame_equal(one.runs.drop(columns=timed), two.runs.drop(columns=timed))


def test_the_row_of_our_pipeline_is_what_a_run_would_have_flagged(case, folder):
    workspace = config.init(next(folder.rglob("workspace/tokenkit.toml")).parent)
    mapped = token_profiles(workspace)
    people = owners.people(workspace, mapped, datetime.combine(case.periods.end, datetime.min.time(), UTC))
    found = detect.detect(workspace, case.periods, people, mapped).windows
    expected = found[found["channel"] != "policy"].sort_values(["profile_uid", "channel", "start"])
    (ours,) = compare.choose(["tokenkit"])
    got = compare.flagged_windows(case, ours, ours.score(case, 0), workspace.settings.detection.budget)
    got = got.sort_values(["profile_uid", "channel", "start"])
    assert (
        len(got)
        and got[["profile_uid", "channel"]].values.tolist() == expected[["profile_uid", "channel"]].values.tolist()
    )
    np.testing.assert_allclose(got["score_bits"], expected["score_bits"])


@pytest.mark.parametrize("sees", list(matrices.MATRICES))
def test_no_row_is_both_fitted_and_scored(case, sees):
    fit, rows, profiles, days = matrices.MATRICES[sees](case)
    assert fit.shape[1] == rows.shape[1] and len(rows) == len(profiles) == len(days)
    assert np.isfinite(fit).all() and np.isfinite(rows).all()
    assert days.min() >= pd.Timestamp(case.reference[1], tz="UTC")
    active = ~np.isnan(case.evidence.days.values["requests"])
    reference = case.evidence.days.days < pd.Timestamp(case.reference[1], tz="UTC")
    assert len(fit) <= active[:, reference].sum() and len(rows) == active[:, ~reference].sum()


def test_each_kind_of_contender_runs_and_reruns_to_the_same_result(case):
    names = ["tokenkit", "point_day", "IForest, raw", "ECOD, deviations", "ADEngine, deviations", "controls",
             "SpectralResidual, hourly calls"]  # fmt: skip
    chosen = compare.choose(names)
    told: list[tuple[int, int]] = []
    one = compare.run([case], chosen, progress=lambda stage, done, total: told.append((done, total)))
    two = compare.run([case], chosen)
    for first, second in ((one.outcomes, two.outcomes), (one.incidents, two.incidents), (one.flagged, two.flagged)):
        pd.testing.assert_frame_equal(first, second)
    table = one.table()
    assert set(table.index) == {c.name for c in chosen} and (table["attacks"] == 3).all()
    assert table["how"]["ECOD, deviations"] == contenders.DAYS and table["how"]["IForest, raw"] == contenders.ROWS
    notes = one.runs.set_index("contender")["note"]
    assert notes["ADEngine, deviations"] and told[-1] == (len(chosen), len(chosen))
    rule = one.incidents[one.incidents["contender"] == "any new network"]
    more = compare.run([case], [c for c in chosen if c.rule], budget_per_1000=50.0).incidents
    assert len(rule) == (more["contender"] == "any new network").sum(), "no budget changes a rule"
    figure = figures.recall(table)
    assert figures.png(figure) == figures.png(figures.recall(table)) and "tokenkit" in figures.alt(figure)
    assert "attacks" in figures.alt(figures.caught(one.outcomes, list(table.index)))
    assert "Agreement" in figures.alt(figures.agreement(one.agreement(figures.best_of(table))))
    assert figures.recall(table, x="cpu_s").get_xlabel().startswith("CPU seconds")


@pytest.mark.parametrize(
    ("make", "trailing"),
    [(series.spectral_residual, True), (series.matrix_profile, True), (series.windowed_iforest, False)],
)
def test_a_night_of_a_series_knows_nothing_of_the_days_after_it(case, make, trailing):
    busy = np.argsort(-np.nansum(case.evidence.days.values["requests"], axis=1))[:2]
    few = _only(case, busy)
    rows, *_ = series.nightly(few, "requests", make, 0, trailing)
    cut = sorted(rows["start"].unique())[4]
    later = (cut - pd.Timestamp(case.reference[0], tz="UTC")).days + 1
    changed = _only(case, busy)
    changed.hourly["requests"][:, 24 * later :] *= 7
    again, *_ = series.nightly(changed, "requests", make, 0, trailing)
    before, after = (r[r["start"] <= cut].reset_index(drop=True) for r in (rows, again))
    assert len(before) > 4
    # profiles are put beside each other by their reference alone, so nothing at all may differ
    pd.testing.assert_frame_equal(before, after)


def _only(case: compare.Case, rows: np.ndarray) -> compare.Case:
    from dataclasses import replace

    days = case.evidence.days
    fewer = replace(days, profiles=days.profiles[rows], values={n: v[rows] for n, v in days.values.items()})
    evidence = replace(case.evidence, days=fewer)
    return replace(case, evidence=evidence, hourly={n: v[rows].copy() for n, v in case.hourly.items()})


# ---- your own ----
class Sum:
    def fit(self, x):
        return self

    def decision_function(self, x):
        return x.sum(axis=1)


class Rank(Sum):
    def decision_function(self, x):
        return x.sum(axis=1).argsort().argsort().astype(float)


class Broken(Sum):
    def decision_function(self, x):
        return np.full(len(x), np.nan)


@pytest.mark.parametrize("given", [Sum, Sum(), "pyod.models.pca:PCA"])
def test_your_own_estimator_takes_part_as_class_object_or_path(case, given):
    one = compare.own(given, "mine")
    assert compare.run([case], [one]).table().loc["mine", "attacks"] == 3


def test_scikit_learns_sign_is_turned(case):
    from sklearn.ensemble import IsolationForest

    scored = compare.own(IsolationForest(random_state=0)).score(case, 0)
    pyod = compare.own("pyod.models.iforest:IForest").score(case, 0)
    assert np.corrcoef(scored.rows["raw_bits"], pyod.rows["raw_bits"])[0, 1] > 0.9


def test_a_detector_that_ranks_within_its_batch_is_scored_day_by_day(case):
    scored = compare.own(Rank, "ranks", sees="deviations").score(case, 0)
    assert scored.how == contenders.DAYS
    assert (scored.rows.groupby("start")["raw_bits"].min() == 0).all()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nosuch.module:Class", "No module named 'nosuch'.*installed"),
        ("pyod.models.knn", "expected module:Class"),
        ("pyod.models.knn:KMN", "has no KMN; did you mean KNN"),
        (object, "no fit and no decision_function"),
        (Rank.__init__, "no fit and no decision_function"),
    ],
)
def test_what_is_no_estimator_is_refused_with_what_to_do(given, said):
    with pytest.raises(InputError, match=said):
        compare.own(given)


def test_wrong_names_sizes_and_scores_are_errors_that_say_what_to_do(case):
    with pytest.raises(InputError, match=r"no contender 'IForrest'; did you mean IForest\?"):
        compare.choose(["IForrest"])
    with pytest.raises(InputError, match="no matrix 'deviation'; did you mean deviations"):
        compare.own(Sum, sees="deviation")
    with pytest.raises(InputError, match=r"mine: decision_function of .* not finite"):
        compare.run([case], [compare.own(Broken, "mine")])
    with pytest.raises(InputError, match="budget is 0"):
        compare.run([case], [], 0)
    with pytest.raises(InputError, match="two contenders are called 'mine'"):
        compare.run([case], [compare.own(Sum, "mine"), compare.own(Rank, "mine")])
    with pytest.raises(InputError, match="at least one whole number"):
        compare.organisations([])
    with pytest.raises(InputError, match="at least 12 tokens and 36 days"):
        compare.organisations([1], tokens=5)


# ---- your own logs ----
def test_your_own_workspace_is_compared_without_a_truth(analysed):
    (mine,), why = compare.own_logs(str(analysed))
    assert mine.attacks.empty and "no recall" in why
    table = compare.run([mine], compare.choose(["tokenkit", "random"])).table()
    assert table["recall"].isna().all() and (table["a_day"] > 0).any()


def test_logs_that_cannot_be_compared_are_refused_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.delenv("TOKENKIT_WORKSPACE", raising=False)
    found, why = compare.own_logs(str(tmp_path))
    assert not found and why.startswith("No logs of your own: no tokenkit workspace") and "tokenkit init" in why
    config.init(tmp_path)
    found, why = compare.own_logs(str(tmp_path))
    assert not found and "no events yet. Read some: tokenkit ingest" in why


def test_few_days_of_logs_are_too_few(monkeypatch, tmp_path):
    workspace = config.init(tmp_path)
    first = datetime(2026, 1, 5).date()
    monkeypatch.setattr(lake, "days", lambda *_: {first + timedelta(days=n): "" for n in range(14)})
    found, why = compare.own_logs(str(workspace.root))
    assert not found and f"reach over 14 days, and {2 * MIN_DAYS + 1} are needed" in why


# ---- the notebook ----
@pytest.mark.slow
def test_the_notebook_runs_with_other_parameters_on_an_empty_lake(tmp_path, monkeypatch, folder):
    config.init(tmp_path / "empty")
    monkeypatch.chdir(tmp_path)
    few = {"seeds": [1], **SIZE, "contenders": ["tokenkit", "HBOS, raw", "random"], "folder": str(folder),
           "workspace": str(tmp_path / "empty")}  # fmt: skip
    done = kernel.execute(find_notebook(NOTEBOOK), tmp_path / "out.ipynb", few)
    said = {cell.id: cell.outputs for cell in done.cells if cell.cell_type == "code"}
    assert [o.metadata["image/png"]["alt"][:6] for o in said["recall"]] == ["Recall"]
    assert "no events yet" in said["here"][-1]["text"] and not said["here-table"]
    assert not [o for outputs in said.values() for o in outputs if o.output_type == "error"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"token": 60}, "no parameter 'token'; did you mean tokens"),
        ({"tokens": "60"}, "parameter tokens: expected int"),
        ({"contenders": "KNN"}, "parameter contenders: expected list"),
    ],
)
def test_a_mistyped_parameter_of_the_notebook_is_an_error(wrong, said):
    with pytest.raises(InputError, match=said):
        check_parameters(find_notebook(NOTEBOOK), wrong)
