"""Every metric is what its definition says: checked by hand, at both ends, by chance, and under any table."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from tokenkit.bench.metrics import burden, intervals, ranking, scoring
from tokenkit.bench.metrics.agreement import rank_correlation
from tokenkit.errors import InputError

FIRST = pd.Timestamp("2026-03-01", tz="UTC").as_unit("us")
DAYS = 34
HORIZON = FIRST + pd.Timedelta(days=DAYS)
TRIAL = {"seed": 1, "scenario": "s", "number": 1, "kind": "attack", "variant": "clean", "intensity": 1.0,
         "base_uid": "t", "behaviour": "service", "start": FIRST, "end": FIRST + pd.Timedelta("1D"), "horizon": HORIZON,
         "bytes": 100.0, "objects": 10.0}  # fmt: skip
ALERT = {"detector": "d", "budget": 5.0, "score_bits": 9.0, "touches": True, "fresh": True, "early": False,
         "reasons": [], "bytes_before": 0.0, "objects_before": 0.0}  # fmt: skip
BENIGN = {"detector": "d", "budget": 5.0, "seed": 1, "score_bits": 5.0, "action": "notify", "harm_minutes": 0.0}
RUN = {"detector": "d", "seed": 1, "variant": "clean", "profiles": 1000, "days": DAYS, "fit_s": 2.0, "score_s": 1.0,
       "rows": 100, "stability": 0.9}  # fmt: skip


def trials(*rows: dict) -> pd.DataFrame:
    return pd.DataFrame([{**TRIAL, "base_uid": f"t{n}", **row, "trial": n} for n, row in enumerate(rows)])


def alerts(*rows: dict) -> pd.DataFrame:
    """Alerts, raised ``hours`` after the first moment of the test days."""
    made = []
    for n, given_ in enumerate(rows):
        row = {**ALERT, "incident_uid": f"i{n}", "hours": 1.0, **given_}
        raised = FIRST + pd.Timedelta(hours=row.pop("hours"))
        made.append({**row, "start": raised - pd.Timedelta("1h"), "end": raised, "raised": raised})
    return pd.DataFrame(made) if made else alerts({"trial": 0}).iloc[:0]


def benign(*rows: dict) -> pd.DataFrame:
    made = []
    for n, given_ in enumerate(rows):
        row = {**BENIGN, "profile_uid": f"p{n}", "incident_uid": f"b{n}", "hours": 1.0, **given_}
        raised = FIRST + pd.Timedelta(hours=row.pop("hours"))
        made.append({**row, "start": raised - pd.Timedelta("1h"), "end": raised, "raised": raised})
    return pd.DataFrame(made) if made else benign({}).iloc[:0]


def runs(*rows: dict) -> pd.DataFrame:
    frame = pd.DataFrame([{**RUN, **row} for row in rows or [{}]])
    return frame if "counted" in frame else frame.assign(counted=frame["profiles"])


def outcomes(made: pd.DataFrame, raised: pd.DataFrame, budgets: tuple[float, ...] = (5.0,)) -> pd.DataFrame:
    seeds = made[["seed", "variant"]].drop_duplicates().to_dict("records")
    return scoring.trial_outcomes(made, raised, runs(*seeds), budgets)


def only(table: pd.DataFrame, column: str = "value") -> float:
    (value,) = table[column]
    return pytest.approx(float(value))


# ---- what became of a trial ----
def test_a_trial_is_caught_by_what_was_raised_after_it_began_and_touches_it():
    made = trials({}, {}, {}, {})
    found = outcomes(made, alerts({"trial": 1, "fresh": False}, {"trial": 2, "touches": False}, {"trial": 3}))
    assert found["caught"].tolist() == [False, False, False, True]
    assert found["hours"].tolist() == [24.0 * DAYS] * 3 + [1.0], "a miss counts until the horizon"


def test_the_first_fresh_incident_says_how_long_it_took_and_why():
    raised = alerts(
        {"trial": 0, "hours": 30, "reasons": ["late"], "bytes_before": 90.0},
        {"trial": 0, "hours": 6, "reasons": ["early"], "bytes_before": 25.0, "objects_before": 10.0},
        {"trial": 0, "hours": 2, "fresh": False, "bytes_before": 5.0},
    )
    row = outcomes(trials({}), raised).iloc[0]
    assert (row["hours"], row["reasons"], row["bytes_lost"], row["objects_lost"]) == (6.0, ["early"], 0.25, 1.0)


def test_a_detector_is_judged_on_the_seeds_and_variants_of_its_runs():
    made = trials({"seed": 1}, {"seed": 2}, {"seed": 1, "variant": "dirty"})
    found = scoring.trial_outcomes(made, alerts({"trial": 0}), runs({}, {"detector": "e", "seed": 2}), (1.0, 5.0))
    assert found[["detector", "budget", "trial", "caught"]].values.tolist() == [
        ["d", 1.0, 0, False], ["d", 5.0, 0, True], ["e", 1.0, 1, False], ["e", 5.0, 1, False],
    ]  # fmt: skip


def test_alerts_of_no_run_and_trials_that_stand_twice_are_refused():
    with pytest.raises(InputError, match="1 caught trials are in no run"):
        scoring.trial_outcomes(trials({}), alerts({"trial": 7}), runs())
    with pytest.raises(InputError, match="1 numbers stand twice"):
        scoring.trial_outcomes(pd.concat([trials({})] * 2), alerts(), runs())


# ---- recall, by hand ----
@pytest.fixture
def three() -> pd.DataFrame:
    """Of scenario a 1 of 4 caught, of b 1 of 1, of c 1 of 2."""
    made = trials(*[{"scenario": s} for s in "aaaabcc"])
    return outcomes(made, alerts({"trial": 0}, {"trial": 4}, {"trial": 5, "hours": 49}))


def test_each_scenario_counts_the_same_in_the_recall(three):
    table = scoring.recall(three)
    assert only(table) == (1 / 4 + 1 + 1 / 2) / 3 and table["n"].item() == 7
    assert scoring.scenario_recall(three)[["scenario", "value", "n"]].values.tolist() == [
        ["a", 0.25, 4], ["b", 1.0, 1], ["c", 0.5, 2],
    ]  # fmt: skip


def test_the_worst_mean_is_of_the_worst_scenarios_and_names_them(three):
    table = scoring.worst_mean(three, worst=2)
    assert only(table) == 0.375 and table["scenarios"].item() == ["a", "c"]
    assert only(scoring.worst_mean(three, worst=5)) == (1 / 4 + 1 + 1 / 2) / 3


def test_what_is_caught_later_is_not_caught_within_two_days(three):
    assert only(scoring.recall(scoring.within(three, 2))) == (1 / 4 + 1 + 0) / 3


def test_variants_are_never_pooled():
    made = trials({}, {"variant": "dirty"})
    table = scoring.recall(outcomes(made, alerts({"trial": 0})))
    assert table[["variant", "value"]].values.tolist() == [["clean", 1.0], ["dirty", 0.0]]


# ---- time and loss, by hand ----
def test_misses_stand_at_the_horizon_in_the_time_to_detect():
    raised = alerts(*[{"trial": n, "hours": h} for n, h in enumerate([2, 4, 6, 8, 10, 12, 14, 16])])
    table = scoring.time_to_detect(outcomes(trials(*[{}] * 10), raised)).set_index("level")
    assert table["value"].to_dict() == {0.5: 10.0, 0.9: 24.0 * DAYS}
    assert table["missed"].to_dict() == {0.5: False, 0.9: True}


def test_a_scenario_of_many_trials_does_not_set_the_median():
    made = trials(*[{"scenario": "many"}] * 8, {"scenario": "few"}, {"scenario": "few"}, {"scenario": "third"})
    hours = [1] * 8 + [50, 50, 99]
    found = outcomes(made, alerts(*[{"trial": n, "hours": h} for n, h in enumerate(hours)]))
    assert scoring.time_to_detect(found).set_index("level")["value"].to_dict() == {0.5: 50.0, 0.9: 99.0}


def test_a_miss_loses_all_and_what_took_nothing_is_left_out():
    made = trials({}, {}, {"objects": 0.0})
    raised = alerts({"trial": 0, "bytes_before": 20.0, "objects_before": 5.0}, {"trial": 2, "bytes_before": 10.0})
    table = scoring.loss(outcomes(made, raised)).set_index("what")
    assert table["value"].to_dict() == pytest.approx({"bytes": (0.2 + 1 + 0.1) / 3, "objects": (0.5 + 1) / 2})
    assert table["n"].to_dict() == {"bytes": 3, "objects": 2}


# ---- detectability ----
def test_the_curve_and_the_intensities_that_reach_a_half_and_nine_tenths():
    made = trials(*[{"intensity": x} for x in (0.1, 0.3, 0.6) for _ in range(10)])
    caught = [0, *range(10, 14), *range(20, 28)]
    curve = scoring.detectability(outcomes(made, alerts(*[{"trial": n} for n in caught])))
    assert curve[["intensity", "value", "n"]].values.tolist() == [[0.1, 0.1, 10], [0.3, 0.4, 10], [0.6, 0.8, 10]]
    table = scoring.intensity_at_recall(curve).set_index("level")
    assert table.loc[0.5, "value"] == pytest.approx(0.3 + 0.3 * 0.1 / 0.4)
    assert np.isnan(table.loc[0.9, "value"]), "never reached: 0.8 is the most"
    assert table.loc[0.5, "low"] < table.loc[0.5, "value"] and not table["at_most"].any()


def test_a_dip_in_the_curve_is_levelled_before_it_is_read():
    curve = pd.DataFrame({"detector": "d", "budget": 5.0, "variant": "clean", "scenario": "s", "n": [10, 30, 10, 10],
                          "intensity": [1.0, 2.0, 3.0, 4.0], "value": [0.2, 0.6, 0.4, 0.8]}).assign(
        low=lambda c: c["value"] - 0.1, high=lambda c: c["value"] + 0.1)  # fmt: skip
    table = scoring.intensity_at_recall(curve, [0.1, 0.25, 0.5])
    assert table["value"].tolist() == pytest.approx([1.0, 1 + 0.05 / 0.35, 1 + 0.3 / 0.35])
    assert table["at_most"].tolist() == [True, False, False] and table["low"].tolist()[:2] == [1.0, 1.0]


# ---- benign changes and explanations, by hand ----
def test_each_kind_of_benign_change_counts_the_same_and_no_attack_counts():
    made = trials(*[{"kind": "confounder", "scenario": s} for s in "aaab"], {"scenario": "attack"})
    found = outcomes(made, alerts({"trial": 0}, {"trial": 3, "touches": False}, {"trial": 4}))
    assert only(scoring.benign_changes_raised(found)) == (1 / 3 + 0) / 2


def test_an_explanation_hits_if_a_cause_is_among_the_first_three_reasons():
    reasons = [["x", "y", "cause"], ["x", "y", "z", "cause"], [], ["other cause"]]
    raised = alerts(*[{"trial": n, "reasons": r} for n, r in enumerate(reasons)])
    scenarios = pd.DataFrame({"scenario": ["s"], "shown_by": [["cause", "other cause"]]})
    table = scoring.cause_named(outcomes(trials(*[{}] * 6), raised), scenarios)
    assert only(table) == 2 / 4 and table["n"].item() == 4, "misses explain nothing and are not asked"
    for nothing in ([], None, float("nan")):
        mute = outcomes(trials({}), alerts({"trial": 0, "reasons": nothing}))
        assert scoring.cause_named(mute, scenarios).empty, "a detector without reasons is not judged"


# ---- share of budget and harm, by hand ----
def test_share_of_budget_is_achieved_over_requested_and_seeds_are_pooled_by_exposure():
    both = runs(
        {"profiles": 100, "days": 10}, {"seed": 2, "profiles": 300, "days": 10}, {"seed": 3, "variant": "dirty"}
    )
    found = benign(*[{}] * 5, {"seed": 2})
    pooled = burden.share_of_budget(found, both, (5.0,))
    # 6 incidents in 4,000 profile-days: 1.5 a day for each 1,000
    assert only(pooled) == 0.3 and pooled[["requested", "achieved", "n"]].values.tolist() == [[5.0, 1.5, 6]]


def test_no_incident_at_all_leaves_the_share_of_budget_in_doubt():
    table = burden.share_of_budget(benign(), runs({"profiles": 100, "days": 10}), (5.0,))
    assert table[["value", "low", "n"]].values.tolist() == [[0.0, 0.0, 0]] and only(table, "high") == 3.69 / 5


def test_harm_is_minutes_in_thirty_days_for_a_thousand_profiles():
    found = benign({"harm_minutes": 30.0}, {"harm_minutes": 10.0}, {"harm_minutes": 99.0, "budget": 1.0})
    table = burden.harm(found, runs({"profiles": 500, "days": 15}), (1.0, 5.0))
    assert table["value"].tolist() == pytest.approx([99 * 4, 40 * 4])


def test_harm_is_unknown_of_a_detector_that_never_gives_a_reason():
    nan = float("nan")
    found = benign(
        {"harm_minutes": nan}, {"detector": "e", "harm_minutes": nan}, {"detector": "e", "harm_minutes": 34.0}
    )
    both = runs({}, {"detector": "e"}, {"detector": "raises nothing"})
    table = burden.harm(found, both, (5.0,)).set_index("detector")["value"]
    assert np.isnan(table["d"]) and table["e"] == pytest.approx(30.0) and table["raises nothing"] == 0.0


def test_a_warming_up_that_was_raised_is_no_catch_and_stands_beside_the_recall():
    made = trials(*[{"variant": "poisoned", "scenario": s} for s in "aaab"])
    early, missed = {"early": True, "touches": False, "fresh": False}, {"touches": True, "fresh": False}
    found = outcomes(made, alerts({"trial": 0} | early, {"trial": 0}, {"trial": 1} | early, {"trial": 2} | missed,
                                  {"trial": 3} | early))  # fmt: skip
    assert found["caught"].tolist() == [True, False, False, False]
    assert found["warned"].tolist() == [False, True, False, True]  # who is caught is not counted twice
    assert only(scoring.warned(found)) == pytest.approx((1 / 3 + 1) / 2)
    assert only(scoring.recall(found)) == pytest.approx((1 / 3 + 0) / 2)


def test_each_kind_of_token_has_a_recall_of_its_own():
    made = trials(*[{"behaviour": kind} for kind in ("person", "person", "service")])
    found = scoring.recall_by_kind(outcomes(made, alerts({"trial": 0})), draws=0).set_index("behaviour")
    assert found["value"].to_dict() == {"person": 0.5, "service": 0.0} and found["n"].sum() == 3


def test_what_is_caught_less_often_although_stronger_is_named_and_chance_is_not():
    many = trials(
        *[{"intensity": i, "scenario": s} for s in ("falls", "rises", "may") for i in (1.0, 2.0) for _ in range(30)]
    )
    hits = {
        ("falls", 1.0): 28,
        ("falls", 2.0): 5,
        ("rises", 1.0): 5,
        ("rises", 2.0): 28,
        ("may", 1.0): 20,
        ("may", 2.0): 17,
    }
    caught = [
        t for (s, i), n in hits.items() for t in many.index[(many["scenario"] == s) & (many["intensity"] == i)][:n]
    ]
    found = scoring.falls(scoring.detectability(outcomes(many, alerts(*[{"trial": int(t)} for t in caught]))))
    assert found[["scenario", "weaker", "stronger"]].values.tolist() == [["falls", 1.0, 2.0]]
    assert found[["weaker_recall", "stronger_recall"]].round(3).values.tolist() == [[0.933, 0.167]]


def test_two_detectors_precision_is_compared_on_the_same_draws():
    made = trials(*[{}] * 8)
    rng = np.random.default_rng(3)
    rows = pd.DataFrame(
        {"seed": 1, "trial": [*range(8), *[-1] * 40], "attack": [True] * 8 + [False] * 40, "weight": 1.0}
    )
    good = rows.assign(detector="good", score_bits=rng.normal(size=48) + 3.0 * rows["attack"])
    twin, poor = good.assign(detector="twin"), rows.assign(detector="poor", score_bits=rng.normal(size=48))
    found = ranking.precision_beside(pd.concat([good, twin, poor]), made, "good", draws=200).set_index("detector")
    assert found.loc["twin", ["value", "low", "high"]].tolist() == [0.0, 0.0, 0.0]
    assert found.loc["poor", "high"] < 0
    each = ranking.window_precision(pd.concat([good, poor]), made, draws=0)
    each = each[each["metric"] == "average precision"].set_index("detector")["value"]
    assert found.loc["poor", "value"] == pytest.approx(each["poor"] - each["good"])


def test_a_profile_more_than_the_run_had_is_refused():
    with pytest.raises(InputError, match="seed 1: runs has 1 profiles, but 2 have rows"):
        burden.share_of_budget(benign({}, {}), runs({"profiles": 1}))


# ---- ranking, by hand ----
def test_average_precision_counts_ties_as_one_step_and_misses_as_never_found():
    def of(right, wrong, missed=0.0):
        weight = np.ones((len(right), 1)), np.ones((len(wrong), 1))
        return ranking.average_precision(np.array(right), weight[0], np.array(wrong), weight[1], missed).item()

    assert of([9.0, 7.0], [8.0]) == pytest.approx((1 + 2 / 3) / 2)
    assert of([9.0, 9.0], [9.0]) == pytest.approx(2 / 3)
    assert of([9.0], [1.0], missed=1.0) == 0.5


@given(st.integers(0, 1000))
@settings(max_examples=25)
def test_window_precision_agrees_with_scikit_learn(seed):
    draw = np.random.default_rng(seed)
    n = 200
    rows = pd.DataFrame({"trial": draw.integers(-1, 5, n), "weight": draw.uniform(0.5, 9, n)})
    rows = rows.assign(detector="d", seed=1, score_bits=draw.integers(0, 12, n).astype(float))
    rows["attack"] = (rows["trial"] >= 0) & draw.choice([True, False], n)
    rows["score_bits"] += 3 * rows["attack"]
    table = ranking.window_precision(rows, trials(*[{}] * 5), draws=50).set_index("metric")
    told = [rows["attack"], rows["score_bits"]]
    assert table.loc["average precision", "value"] == pytest.approx(
        average_precision_score(*told, sample_weight=rows["weight"])
    )
    assert table.loc["roc auc", "value"] == pytest.approx(roc_auc_score(*told, sample_weight=rows["weight"]))
    assert (table["low"] <= table["value"]).all() and (table["value"] <= table["high"]).all()


def test_windows_of_other_variants_do_not_count():
    rows = pd.DataFrame({"detector": "d", "seed": 1, "trial": [0, 1, -1], "weight": 1.0, "score_bits": [9.0, 1.0, 5.0],
                         "attack": [True, True, False]})  # fmt: skip
    table = ranking.window_precision(rows, trials({}, {"variant": "dirty"})).set_index("metric")
    assert table["value"].to_dict() == {"average precision": 1.0, "roc auc": 1.0} and table["n"].tolist() == [1, 1]
    assert table["base"].tolist() == [0.5, 0.5]


def test_incident_precision_weighs_the_trials_of_a_scenario_one_together():
    made = trials({"scenario": "a"}, {"scenario": "a"}, {"scenario": "b"})
    raised = alerts({"trial": 0, "score_bits": 9.0}, {"trial": 0, "score_bits": 3.0}, {"trial": 2, "score_bits": 7.0})
    table = ranking.incident_precision(made, raised, benign({"score_bits": 8.0}), runs(), [5.0])
    # half an attack, then a benign one, then a whole attack; half an attack is never found
    assert only(table) == (0.5 * 1 + 1 * (1.5 / 2.5)) / 2 and table["n"].item() == 3
    # in another seed the scenario has one trial, which weighs one
    made = trials({"scenario": "a"}, {"scenario": "a"}, {"scenario": "a", "seed": 2})
    raised = alerts({"trial": 0, "score_bits": 9.0}, {"trial": 2, "score_bits": 7.0})
    both = runs({}, {"seed": 2})
    assert only(ranking.incident_precision(made, raised, benign({"score_bits": 8.0}), both, [5.0])) == (0.5 + 0.6) / 2


def test_precision_of_a_day_is_what_is_true_of_the_top_of_its_list():
    made = trials({}, {}, {})
    raised = alerts({"trial": 0, "score_bits": 7.0}, {"trial": 1, "score_bits": 9.0, "hours": 30},
                    {"trial": 1, "score_bits": 1.0, "hours": 60})  # fmt: skip
    listed = benign({"score_bits": 8.0}, {"score_bits": 7.0}, {"score_bits": 1.0}, {"score_bits": 1.0, "hours": 40},
                    {"score_bits": 99.0, "hours": 100}, {"score_bits": 99.0, "seed": 2})  # fmt: skip
    table = ranking.precision_at(made, raised, listed, runs({}, {"seed": 2}), [2, 3, 9], [5.0]).set_index("k")
    # trial 0: third of four (a tie is lost), trial 1: first of two, trial 2: missed
    assert table["value"].to_dict() == pytest.approx(
        {2: (0 + 1 / 2) / 3, 3: (1 / 3 + 1 / 2) / 3, 9: (1 / 4 + 1 / 2) / 3}
    )
    assert table["attainable"].to_dict() == pytest.approx({2: 1 / 3, 3: (1 / 3 + 1 / 2) / 3, 9: (1 / 4 + 1 / 2) / 3})
    assert (table["profiles"] == 1000).all()


def test_the_trial_takes_the_place_of_its_token_in_the_list_of_the_day():
    raised = alerts({"trial": 0, "score_bits": 7.0}, {"trial": 0, "score_bits": 8.0, "touches": False})
    own = benign({"score_bits": 9.0, "profile_uid": "t0"})
    table = ranking.precision_at(trials({}), raised, own, runs(), [1, 2, 3], [5.0])
    assert table["value"].tolist() == [0.0, 0.5, 0.5], (
        "behind the trial's own incident that is not true, not its benign self"
    )


def test_a_cohort_has_several_true_incidents_on_its_day():
    raised = alerts(*[{"trial": 0, "score_bits": s} for s in (9.0, 8.0, 7.0)])
    table = ranking.precision_at(trials({}), raised, benign({"score_bits": 7.5}), runs(), [2, 4], [5.0])
    assert table["value"].tolist() == [1.0, 0.75] and table["attainable"].tolist() == [1.0, 0.75]


# ---- stability ----
def test_stability_is_the_rank_correlation_of_the_rows_of_both_runs():
    one = pd.DataFrame({"row": range(4), "score_bits": [1.0, 2.0, 3.0, 4.0]})
    assert rank_correlation(one, one.assign(score_bits=[1.0, 2.0, 4.0, 3.0]), ["row"]) == pytest.approx(0.8)
    assert rank_correlation(one, one.iloc[[3, 1, 0]], ["row"]) == pytest.approx(1.0)
    assert np.isnan(rank_correlation(one, one.assign(score_bits=1.0), ["row"]))
    assert np.isnan(rank_correlation(one, one.iloc[:1], ["row"]))
    with pytest.raises(InputError, match="the second run: 1 rows stand twice by row"):
        rank_correlation(one, pd.concat([one, one.head(1)]), ["row"])


# ---- two detectors ----
def five_seeds(better: list[int]) -> pd.DataFrame:
    """Four trials a seed; d catches one in each, e as many as said."""
    made = trials(*[{"seed": s} for s in range(1, 6) for _ in range(4)])
    raised = alerts(*[{"trial": 4 * s} for s in range(5)],
                    *[{"trial": 4 * s + n, "detector": "e"} for s in range(5) for n in range(better[s])])  # fmt: skip
    return scoring.trial_outcomes(
        made, raised, runs(*[{"seed": s, "detector": d} for s in range(1, 6) for d in "de"]), [5.0]
    )


def test_five_seeds_that_all_agree_reach_no_p_below_one_sixteenth():
    table = scoring.paired(five_seeds([2, 3, 4, 2, 3]), "d")
    assert table["detector"].tolist() == ["e"] and only(table) == (14 - 5) / 20
    assert table[["p", "attainable", "seeds", "n"]].values.tolist() == [[0.0625, 0.0625, 5, 20]]
    assert 0 < table["low"].item() < 9 / 20 < table["high"].item()


def test_seeds_that_do_not_differ_say_nothing():
    assert scoring.paired(five_seeds([1] * 5), "d")[["value", "p", "seeds"]].values.tolist() == [[0.0, 1.0, 0]]
    with pytest.raises(InputError, match=r"no detector 'f' in the outcomes; there are \['d', 'e'\]"):
        scoring.paired(five_seeds([1] * 5), "f")


def test_where_one_detector_alone_took_part_nothing_stands_beside_it() -> None:
    alone = five_seeds([1] * 5)
    assert scoring.paired(alone[alone["detector"] == "d"], "d").empty


def test_an_ablation_is_the_recall_that_is_lost_without_the_family():
    table = scoring.ablation(five_seeds([0] * 5), "d", {"network": "e"})
    assert table["family"].tolist() == ["network"] and only(table) == 0.25
    assert table["low"].item() <= 0.25 <= table["high"].item()


# ---- the ends: a detector that knows all, one that knows nothing ----
def whole(hits: np.ndarray, draw: np.random.Generator | None = None, detector: str = "d") -> dict[str, pd.DataFrame]:
    """Five seeds, six scenarios of ten trials each, 10 benign incidents a day, 5 of them on the day of each attack.

    With ``draw`` all scores are of one distribution; without, attacks are above what is benign, which is raised on the
    first day, on which no attack begins.
    """
    shape = [(seed, scenario, n) for seed in range(1, 6) for scenario in "abcdef" for n in range(10)]
    kinds = {"kind": "confounder"}
    made = trials(*[{"seed": s, "scenario": c, "base_uid": f"t{n}", "start": FIRST + pd.Timedelta(days=1 + n),
                     "end": HORIZON, **(kinds if c == "f" else {})} for s, c, n in shape])  # fmt: skip
    caught = [n for n in range(len(made)) if hits[n]]
    names = ["cause", *[f"f{n}" for n in range(9)]]
    score = draw.uniform(0, 9, len(caught)) if draw else np.full(len(caught), 9.0)
    reasons = [list(draw.permutation(names)) if draw else names for _ in caught]
    hours = [24 * (1 + shape[n][2]) + 1 for n in caught]
    raised = alerts(*[{"trial": n, "detector": detector, "hours": h, "score_bits": s, "reasons": r}
                      for n, h, s, r in zip(caught, hours, score, reasons, strict=True)])  # fmt: skip
    days = [d for d in range(DAYS) for _ in range(5)] if draw else [0] * 5 * DAYS
    places = [(s, n, d) for s in range(1, 6) for n, d in enumerate(days)]
    quiet = benign(*[{"seed": s, "detector": detector, "hours": 24 * d + 2, "profile_uid": f"p{n}",
                      "score_bits": draw.uniform(0, 9) if draw else 1.0} for s, n, d in places])  # fmt: skip
    size = 2000
    trial = np.where(np.arange(size) % 2, np.arange(size) % len(made), -1)
    attack = (trial >= 0) & (made["kind"].to_numpy()[trial] == "attack")
    windows = pd.DataFrame({"detector": detector, "seed": np.where(trial >= 0, made["seed"].to_numpy()[trial], 1),
                            "trial": trial, "scenario": "", "attack": attack, "weight": np.where(trial < 0, 20.0, 1.0),
                            "score_bits": draw.uniform(size=size) if draw else attack * 1.0})  # fmt: skip
    scenarios = pd.DataFrame({"scenario": list("abcdef"), "shown_by": [["cause"]] * 6})
    return {"trials": made, "alerts": raised, "benign": quiet, "windows": windows, "scenarios": scenarios,
            "runs": runs(*[{"seed": s, "detector": detector} for s in range(1, 6)])}  # fmt: skip


def test_an_oracle_reaches_the_best_value_of_every_metric():
    tables = whole(np.array([n % 60 < 50 for n in range(300)]))
    row = scoring.summary(**tables).iloc[0]
    ones = ["recall_5", "recall_5_high", "worst_5", "average_precision", "roc_auc", "incident_precision", "precision_5",
            "precision_20", "of_budget", "explained"]  # fmt: skip
    assert row[ones].astype(float).tolist() == pytest.approx([1.0] * len(ones))
    assert row[["bytes_lost", "objects_lost", "benign_change", "harm_minutes"]].tolist() == [0, 0, 0, 0]
    assert (row["hours_median"], row["hours_p90"], row["seeds"], row["trials"]) == (1.0, 1.0, 5, 250)
    assert (row["fit_s"], row["score_s"]) == (2.0, 1.0) and row[["recall_1", "recall_20"]].tolist() == [0, 0]
    assert np.isnan(row["recall_dirty"]), "no dirty run: not 0, but unknown"
    assert row["recall_5_low"] < 1, "50 tokens that are all caught do not prove that all would be"


def test_chance_gives_what_it_should_within_its_interval():
    draw = np.random.default_rng(3)
    tables = whole(draw.uniform(size=300) < 0.4, draw)
    made, raised, quiet, run = (tables[name] for name in ("trials", "alerts", "benign", "runs"))
    found = scoring.trial_outcomes(made, raised, run, [5.0])
    base = tables["windows"].groupby("attack")["weight"].sum()
    precision = ranking.window_precision(tables["windows"], made).set_index("metric")
    expected = [
        (scoring.recall(found), 0.4),
        (scoring.scenario_recall(found).query("scenario == 'a'"), 0.4),
        (scoring.benign_changes_raised(found), 0.4),
        (scoring.cause_named(found, tables["scenarios"]), 3 / 10),
        (burden.share_of_budget(quiet, run, [5.0]), 1.0),
        (precision.loc[["roc auc"]], 0.5),
        (precision.loc[["average precision"]], base[True] / base.sum()),
        # caught, then anywhere in a list of six
        *[(rows, 0.4 / 6) for _, rows in ranking.precision_at(made, raised, quiet, run, budgets=[5.0]).groupby("k")],
    ]
    for table, value in expected:
        assert table["low"].item() <= value <= table["high"].item(), (table, value)


def test_the_interval_holds_the_truth_about_nineteen_times_in_twenty():
    draw = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        # ten tokens in each of five seeds, three trials each, alike within a token: not 150 witnesses
        rate = np.repeat(draw.beta(2, 2, 50), 3)
        rows = pd.DataFrame({"seed": np.repeat(range(5), 30), "base_uid": np.repeat(range(50), 3).astype(str), "all": 1,
                             "caught": draw.uniform(size=150) < rate})  # fmt: skip
        table = intervals.means(rows, "caught", ["all"], draws=200)
        held += table["low"].item() <= 0.5 <= table["high"].item()
    assert 0.90 <= held / 200 <= 0.99


@pytest.mark.parametrize(
    "made", [trials({}), trials({"kind": "confounder"}), trials({"variant": "dirty"}), trials({})[:0]]
)
def test_what_was_not_tried_is_unknown_in_the_leaderboard_and_no_error(made):
    windows = pd.DataFrame(
        {"detector": ["d"], "seed": 1, "trial": -1, "score_bits": 1.0, "attack": False, "weight": 1.0}
    )
    scenarios = pd.DataFrame({"scenario": ["s"], "shown_by": [["x"]]})
    row = scoring.summary(made, alerts(), benign(), runs({}, {"variant": "dirty"}), windows, scenarios).iloc[0]
    tried = bool((made["variant"] == "clean").any() and (made["kind"] == "attack").any())
    for name in ("recall_5", "worst_5", "incident_precision", "precision_5", "hours_median", "bytes_lost"):
        assert bool(np.isfinite(row[name])) == tried, name
    assert np.isnan(row["average_precision"]) and np.isnan(row["explained"]) and row["of_budget"] == 0


# ---- under any table ----
@st.composite
def nested(draw: st.DrawFn) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Trials and the alerts that each budget adds: what a small budget shows, a larger one shows too."""
    rows = draw(st.lists(st.tuples(st.integers(1, 3), st.sampled_from("abc"), st.sampled_from("tuvw"),
                                   st.sampled_from([None, 1.0, 5.0, 20.0]), st.floats(0, 800), st.booleans()),
                         min_size=1, max_size=25))  # fmt: skip
    made = trials(*[{"seed": s, "scenario": c, "base_uid": t, "intensity": 1.0 + s} for s, c, t, *_ in rows])
    told = [(n, b, h, f) for n, (*_, least, h, f) in enumerate(rows) for b in scoring.BUDGETS if least and b >= least]
    raised = alerts(*[{"trial": n, "budget": b, "hours": h, "fresh": f, "bytes_before": h / 8} for n, b, h, f in told])
    return made, raised


@given(nested(), st.integers(0, 99))
@settings(max_examples=15)
def test_any_table_gives_shares_in_their_intervals_whatever_the_order_of_its_rows(tables, order):
    made, raised = tables
    found = outcomes(made, raised, scoring.BUDGETS)
    shuffled = outcomes(
        made.sample(frac=1, random_state=order), raised.sample(frac=1, random_state=order), scoring.BUDGETS
    )
    pd.testing.assert_frame_equal(found, shuffled)
    again = found.sample(frac=1, random_state=order)
    for metric in (scoring.recall, scoring.scenario_recall, scoring.worst_mean, scoring.loss, scoring.detectability,
                   scoring.time_to_detect):  # fmt: skip
        table = metric(found, draws=40)
        assert (table["low"] <= table["value"]).all() and (table["value"] <= table["high"]).all()
        if metric is not scoring.time_to_detect:
            assert table["low"].min() >= 0 and table["high"].max() <= 1 + 1e-12
        pd.testing.assert_frame_equal(table, metric(again, draws=40))
    by_budget = scoring.recall(found, draws=0).sort_values("budget")["value"]
    assert all(less <= more + 1e-12 for less, more in pairwise(by_budget))


@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from("tuvw"), st.floats(0, 1e4)), max_size=20))
@settings(max_examples=30)
def test_rates_lie_in_their_intervals_whatever_the_order_of_rows(rows):
    found = benign(*[{"seed": s, "profile_uid": t, "harm_minutes": m} for s, t, m in rows])
    run = runs(*[{"seed": s, "profiles": 20} for s in (1, 2, 3)])
    for table, again in zip(*[[burden.harm(f, run, [5.0], 40), burden.share_of_budget(f, run, [5.0], draws=40)]
                              for f in (found, found.iloc[::-1])], strict=True):  # fmt: skip
        assert table["low"].item() <= table["value"].item() <= table["high"].item()
        pd.testing.assert_frame_equal(table, again)


def test_one_more_seed_changes_no_draw_of_another():
    seeds, tokens = pd.Series([1, 1, 2]), pd.Series(["a", "b", "a"])
    _, few = intervals.weights(seeds[:2], tokens[:2], draws=20)
    _, more = intervals.weights(seeds, tokens, draws=20)
    assert (more[:2] == few).all() and (few[:, 1:].sum(axis=0) == 2).all()


def test_the_leaderboard_begins_with_the_best_recall_at_five_a_day():
    caught = np.arange(300) % 60 < 50
    poor = whole(caught & (np.arange(300) % 2 == 0), detector="poor")
    good = whole(caught, detector="good")
    joint = ("alerts", "benign", "runs", "windows")
    both = {**good, **{name: pd.concat([poor[name], good[name]], ignore_index=True) for name in joint}}
    table = scoring.summary(**both)
    assert table.index.tolist() == ["good", "poor"] and table["recall_5"].tolist() == pytest.approx([1.0, 0.5])
    assert table.columns.tolist() == scoring.SUMMARY


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_interval_of_a_share_holds_it_and_narrows_with_more_trials(hits, more):
    n = hits + more
    low, high = intervals.wilson(hits, n)
    assert 0 <= low <= high <= 1
    if n:
        assert low <= hits / n + 1e-12 and hits / n <= high + 1e-12
        wider = intervals.wilson(hits * 4, n * 4)
        assert wider[1] - wider[0] <= high - low + 1e-12
