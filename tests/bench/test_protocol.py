"""The protocol judges everyone alike, and refuses who knows what must not be known."""

import itertools

import numpy as np
import pandas as pd
import pytest

from tokenkit.bench import detectors, protocol, raised, scenarios
from tokenkit.bench.detectors import entrants, leaks
from tokenkit.bench.metrics import ranking
from tokenkit.bench.protocol import Entrant
from tokenkit.bench.trials import benign, draws, overlay
from tokenkit.errors import DetectorError, InputError

CHOSEN = ("stolen_token", "bulk_spike", "slow_exfiltration", "orphan", "deploy")


@pytest.fixture(scope="module")
def attacked(ground, events, tmp_path_factory):
    cells = [(scenarios.get(one), scenarios.get(one).intensities[-1]) for one in CHOSEN]
    trials = draws.draw(ground, cells, 2, events)
    return overlay.attack(ground, trials, events, tmp_path_factory.mktemp("twins") / "lake")


def entrant(detector, learns="calibration", **more):
    return Entrant(detector.name, lambda seed: [detector], {detector.name: 1.0}, learns, **more)


def alerts_of(ground, fitted, attacked):
    usual = raised.as_usual(fitted.scores, protocol.policy_windows(ground.workspace, ground.evidence))
    broken = protocol.policy_windows(attacked.workspace, attacked.evidence)
    return raised.alerts(fitted, attacked, broken, usual)


class Calls(detectors.Control):
    def __init__(self):
        super().__init__("calls", detectors.robust_z("requests"))


def test_an_honest_detector_is_let_in(ground):
    for one in [entrants.choose(["tokenkit"])[0], entrant(Calls()), entrants.choose(["random"])[0]]:
        leaks.refuse(ground, one)


@pytest.mark.slow
@pytest.mark.parametrize("group", ["channels", "pyod", "controls"])
def test_everyone_in_the_table_is_honest(ground, group):
    for one in entrants.choose([group]):
        leaks.refuse(ground, one)


def test_a_detector_that_knows_names_is_refused(ground):
    thieves = set(ground.evidence.days.profiles[:5])

    class Told(Calls):
        def score(self, evidence, start, end):
            rows = super().score(evidence, start, end)
            return rows.assign(raw_bits=rows["raw_bits"] + 40.0 * rows["profile_uid"].isin(thieves))

    with pytest.raises(DetectorError, match="change with what the profiles are called"):
        leaks.refuse(ground, entrant(Told()))


def test_a_detector_that_takes_a_name_it_never_heard_for_a_thief_is_refused(ground):
    class Guest(Calls):  # the twins of a trial have such names
        def fit(self, evidence, start, end):
            self.known = set(evidence.days.profiles)
            return super().fit(evidence, start, end)

        def score(self, evidence, start, end):
            rows = super().score(evidence, start, end)
            return rows.assign(raw_bits=rows["raw_bits"] + 40.0 * ~rows["profile_uid"].isin(self.known))

    with pytest.raises(DetectorError, match="change with what the profiles are called"):
        leaks.refuse(ground, entrant(Guest()))


def test_a_score_that_is_no_number_is_said_to_be_none(ground):
    class Silent(Calls):
        def score(self, evidence, start, end):
            return super().score(evidence, start, end).assign(raw_bits=np.nan)

    with pytest.raises(DetectorError, match="scores are no finite number"):
        leaks.refuse(ground, entrant(Silent()))


def test_a_detector_that_reads_the_files_of_the_bench_is_refused(ground):
    label = ground.workspace.root / "truth.json"
    label.write_text("{}")

    class Reads(Calls):
        def fit(self, evidence, start, end):
            label.read_text()
            return self

    try:
        with pytest.raises(DetectorError, match=r"opened .*truth\.json"):
            leaks.refuse(ground, entrant(Reads()))
    finally:
        label.unlink()


def test_a_detector_fitted_on_what_it_is_to_judge_is_refused(ground):
    class Peeks(Calls):
        def fit(self, evidence, start, end):
            self.middle = float(np.nanmean(evidence.days.values["requests"]))
            return self

        def score(self, evidence, start, end):
            rows = super().score(evidence, start, end)
            return rows.assign(raw_bits=rows["raw_bits"] - self.middle)

    with pytest.raises(DetectorError, match=r"happened after .* fitted on rows that it is to judge"):
        leaks.refuse(ground, entrant(Peeks()))


def test_a_detector_that_goes_on_learning_while_it_scores_is_refused(ground):
    class Learns(Calls):
        seen = 0

        def score(self, evidence, start, end):
            rows = super().score(evidence, start, end)
            rows = rows.assign(raw_bits=rows["raw_bits"] - self.seen)
            self.seen += 1
            return rows

    with pytest.raises(DetectorError, match="another score"):
        leaks.refuse(ground, entrant(Learns()))


def test_a_detector_whose_score_follows_the_batch_is_refused(ground):
    class Ranks(Calls):
        def score(self, evidence, start, end):
            rows = super().score(evidence, start, end)
            return rows.assign(raw_bits=rows["raw_bits"].rank(pct=True))

    with pytest.raises(DetectorError, match="another score in another batch"):
        leaks.refuse(ground, entrant(Ranks()))


def test_what_a_detector_is_fitted_on_ends_where_calibration_ends(ground):
    seen = []

    class Looks(Calls):
        def fit(self, evidence, start, end):
            seen.append(evidence.days.days[-1])
            assert (evidence.hours["start"] < pd.Timestamp(end, tz="UTC")).all()
            return self

    protocol.fit(ground, entrant(Looks()), 0)
    assert seen == [pd.Timestamp(ground.evidence.periods.calibration[1], tz="UTC") - pd.Timedelta("1D")]


def test_random_opens_what_the_budget_allows_and_no_more(ground):
    fitted = protocol.fit(ground, entrants.choose(["random"])[0], 0)
    nothing = ground.evidence.hours.iloc[:0]
    opened = raised.benign_incidents(fitted, ground, nothing).groupby("budget").size()
    days, profiles = (ground.end - ground.start).days, len(ground.evidence.days.profiles)
    for budget in (10.0, 20.0):
        allowed = budget * profiles / 1000 * days
        assert allowed - 4 * np.sqrt(allowed) <= opened.get(budget, 0) <= allowed + 5 * np.sqrt(allowed)


@pytest.fixture(scope="module")
def by_chance(ground, events, tmp_path_factory):
    """Every attack on several tokens, and what a detector that knows nothing says of them."""
    cells = [(one, one.intensities[len(one.intensities) // 2]) for one in scenarios.SCENARIOS.values()]
    trials = draws.draw(ground, cells, 4, events)
    attacked = overlay.attack(ground, trials, events, tmp_path_factory.mktemp("chance") / "lake")
    return attacked, protocol.fit(ground, entrants.choose(["random"])[0], 0)


def test_random_catches_what_chance_would(ground, by_chance):
    """Each day that an attack changed is above the line with the share of days that are: 1 - (1 - p)^days."""
    attacked, fitted = by_chance
    line = fitted.limits[20.0]["random"]
    rows = protocol.surprise(fitted, attacked.evidence).merge(
        attacked.trials[["profile_uid", "base_uid", "trial", "start", "end"]], on="profile_uid",
        suffixes=("", "_attack"),
    )  # fmt: skip
    inside = rows[(rows["start"] < rows["end"]) & (rows["start"] + pd.Timedelta("1D") > rows["start_attack"])]
    theirs = fitted.scores[["profile_uid", "start", "score_bits"]].rename(columns={"profile_uid": "base_uid"})
    both = inside.merge(theirs, how="left", on=["base_uid", "start"], suffixes=("", "_usual"))
    other = both[both["score_bits"] != both["score_bits_usual"]]  # a day as it was has the score that it had
    p = float((fitted.scores["score_bits"] >= line).mean())
    days = other.groupby("trial").size().reindex(attacked.trials["trial"].unique(), fill_value=0)
    chance = 1 - (1 - p) ** days
    alerts = alerts_of(ground, fitted, attacked)
    caught = alerts[alerts["fresh"] & (alerts["budget"] == 20.0)]["trial"].nunique()
    assert 3.0 < chance.sum() < len(chance) - 3.0, "there is nothing to tell apart"
    assert abs(caught - chance.sum()) <= 3.3 * np.sqrt((chance * (1 - chance)).sum())


def test_random_orders_windows_by_chance(ground, by_chance):
    attacked, fitted = by_chance
    windows = pd.concat(
        [
            raised.windows(fitted, ground, None, None),
            raised.windows(fitted, ground, attacked, protocol.surprise(fitted, attacked.evidence)),
        ]
    )
    trials = attacked.trials.drop_duplicates("trial")
    found = ranking.window_precision(windows[windows["score_bits"] > 0], trials).set_index("metric")
    auc, precision = found.loc["roc auc"], found.loc["average precision"]
    assert auc["low"] - 0.02 <= 0.5 <= auc["high"] + 0.02
    assert precision["low"] * 0.8 <= precision["base"] <= precision["high"] * 1.2


def test_budgets_are_nested(ground, attacked):
    fitted = protocol.fit(ground, entrants.choose(["tokenkit"])[0], 0)
    lines = [list(fitted.limits[budget].values()) for budget in protocol.BUDGETS]
    assert all(a >= b for low, high in itertools.pairwise(lines) for a, b in zip(low, high, strict=True))
    alerts = alerts_of(ground, fitted, attacked)
    caught = [set(alerts[alerts["fresh"] & (alerts["budget"] == b)]["trial"]) for b in (5.0, 20.0)]
    assert len(caught[0]) <= len(caught[1])


def test_the_owner_who_left_is_raised_by_the_rule_and_by_nothing_learned(ground, attacked):
    fitted = protocol.fit(ground, entrants.choose(["tokenkit"])[0], 0)
    alerts = alerts_of(ground, fitted, attacked)
    orphans = attacked.trials[attacked.trials["scenario"] == "orphan"]["trial"]
    mine = alerts[alerts["trial"].isin(orphans) & alerts["fresh"]]
    assert set(mine["trial"]) == set(orphans)
    said = mine.groupby("trial")["reasons"].agg(lambda several: {reason for some in several for reason in some})
    assert all("orphan_in_use" in reasons for reasons in said)


def test_the_oracle_is_right_about_every_attack_and_says_nothing_else(attacked):
    told = raised.oracle(attacked)
    attacks = attacked.trials[attacked.trials["scenario"] != "deploy"]
    for _, rows in told.groupby("budget"):
        assert set(rows["trial"]) == set(attacks["trial"]) and rows["fresh"].all()


def test_what_was_taken_before_the_alert_is_a_part_of_all(ground, attacked):
    fitted = protocol.fit(ground, entrants.choose(["tokenkit"])[0], 0)
    alerts = alerts_of(ground, fitted, attacked)
    whole = attacked.trials.drop_duplicates("trial").set_index("trial")
    assert (alerts["bytes_before"] <= alerts["trial"].map(whole["bytes"])).all()
    assert (alerts["objects_before"] <= alerts["trial"].map(whole["objects"])).all()


def test_what_was_taken_is_counted_until_the_moment_of_the_alert():
    times = pd.date_range("2026-03-02", periods=4, freq="h", tz="UTC")
    taken = pd.DataFrame({"trial": [1, 1, 2, 1], "time": times, "bytes": [5, 7, 100, 11], "object_key": [8, 0, 9, 8]})
    alerts = pd.DataFrame(
        {"trial": [1, 1, 2, 3], "raised": [times[3], times[3] + pd.Timedelta("1s"), times[0], times[3]]}
    )
    had = raised._before(alerts, taken)
    assert had["bytes_before"].tolist() == [12, 23, 0, 0] and had["objects_before"].tolist() == [1, 1, 0, 0]


def test_without_a_family_its_features_are_no_reasons(ground, attacked):
    fitted = protocol.fit(ground, entrants.choose(["tokenkit without network"])[0], 0)
    rows = protocol.surprise(fitted, attacked.evidence)
    assert not [p for p in rows["parts"] if "network" in p or "networks" in p]


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("nothing.py:Class", "no such file"),
        ("mine", "expected module:Class, or path"),
        ("json:JSONEncoder", "is no detector"),
    ],
)
def test_a_detector_of_ones_own_is_taken_or_refused_in_words(where, said):
    with pytest.raises((InputError, DetectorError), match=said):
        entrants.own(where)


def test_a_detector_that_uses_days_that_are_still_to_come_is_refused(ground):
    class Centred(Calls):
        def score(self, evidence, start, end):
            rows = super().score(evidence, start, end)
            return rows.assign(raw_bits=rows["raw_bits"] - rows.groupby("profile_uid")["raw_bits"].transform("mean"))

    with pytest.raises(DetectorError, match="days after it are not there yet"):
        leaks.refuse(ground, entrant(Centred()))


def test_what_the_token_would_have_raised_anyway_is_no_catch(ground, attacked):
    class Always(Calls):  # says of every day the same, whatever happens
        def score(self, evidence, start, end):
            return super().score(evidence, start, end).assign(raw_bits=1.0)

    fitted = protocol.fit(ground, entrant(Always(), rule=True), 0)
    alerts = alerts_of(ground, fitted, attacked)
    assert len(alerts) and alerts["fresh"].mean() < 0.2  # only where a day was idle before the attack


def test_a_window_above_its_line_without_the_attack_is_no_catch_when_the_attack_lifts_it_further():
    days = pd.date_range("2026-03-02", periods=4, freq="D", tz="UTC")
    windows = pd.DataFrame({
        "profile_uid": "twin", "channel": "calls", "window": "day", "start": days, "end": days + pd.Timedelta("1D"),
        "incident_uid": "one", "score_bits": [12.5, 12.5, 11.0, 30.0], "threshold_bits": 10.0,
    })  # fmt: skip
    usual = windows.assign(profile_uid="token", score_bits=[8.0, 12.0, 9.9, 8.0])[[*protocol.WINDOW, "score_bits"]]
    trials = pd.DataFrame({"profile_uid": ["twin"], "base_uid": ["token"], "start": [days[1]], "end": [days[3]]})
    # before the attack, lifted by it, raised by it, after it
    assert raised._changed(windows, trials, usual)["start"].tolist() == [days[2]]
    idle = usual.iloc[[1]]  # on the other days nothing happens without the attack
    assert raised._changed(windows, trials, idle)["start"].tolist() == [days[2]]


def test_an_incident_that_the_warming_up_raised_is_told_apart():
    days = pd.date_range("2026-03-02", periods=4, freq="D", tz="UTC")
    windows = pd.DataFrame({
        "profile_uid": "twin", "channel": "calls", "window": "day", "start": days, "end": days + pd.Timedelta("1D"),
        "incident_uid": ["before", "warmed", "attack", "attack"], "score_bits": 12.0, "threshold_bits": 10.0,
    })  # fmt: skip
    usual = windows.assign(profile_uid="token", score_bits=[11.0, 8.0, 8.0, 8.0])[[*protocol.WINDOW, "score_bits"]]
    trials = pd.DataFrame({"profile_uid": ["twin"], "base_uid": ["token"], "start": [days[2] + pd.Timedelta("3h")],
                           "end": [days[3]], "variant": "poisoned"})  # fmt: skip
    assert raised._warned(windows, trials, usual) == {"warmed"}  # the day of the attack is the attack's
    assert raised._warned(windows, trials.assign(variant="clean"), usual) == set()


def test_a_detector_whose_channel_has_another_name_is_refused(ground):
    class Named(Calls):
        def score(self, evidence, start, end):
            return super().score(evidence, start, end).assign(channel="another")

    with pytest.raises(DetectorError, match="the channel of its scores is 'another', expected its name, 'calls'"):
        protocol.fit(ground, entrant(Named()), 0)


def test_a_channel_of_ones_own_learns_from_the_days_that_a_run_gives_it(tmp_path, ground):
    module = tmp_path / "channel_of_a_test.py"
    module.write_text(
        "from tokenkit.bench.detectors import Control, robust_z\n\n\nclass Mine(Control):\n    seen = []\n\n"
        "    def __init__(self):\n        super().__init__('mine', robust_z('requests'))\n\n"
        "    def fit(self, evidence, start, end):\n        self.seen.append((start, end))\n        return self\n",
        encoding="utf-8",
    )
    made = entrants.own(f"{module}:Mine")
    fitted = protocol.fit(ground, made, 0)
    assert fitted.detectors[0].seen[-1] == ground.evidence.periods.calibration


def test_who_gives_no_reason_locks_nobody_and_that_is_not_counted_as_merit(ground):
    fitted = protocol.fit(ground, entrants.choose(["random"])[0], 0)
    opened = raised.benign_incidents(fitted, ground, ground.evidence.hours.iloc[:0])
    assert len(opened) and opened["harm_minutes"].isna().all()


def test_what_learns_nothing_says_the_same_in_two_nights_and_what_learns_nearly_so(ground):
    nothing, forest = entrants.choose(["random", "IForest, deviations"])
    before = benign.a_day_earlier(ground)
    found = [protocol.stability(protocol.fit(ground, one, 0), protocol.fit(before, one, 0), ground.start)
             for one in (nothing, forest)]  # fmt: skip
    assert found[0] > 0.9999 and 0.5 < found[1] < 1.0


def test_the_ablations_have_no_rule_that_raises_what_the_family_would_have():
    lacking = entrants.choose(["ablation"])
    assert lacking[0].name == entrants.LEARNED and not any(one.policy for one in lacking)
    assert all(one.shares == entrants.choose(["tokenkit"])[0].shares for one in lacking)


def test_a_file_that_cannot_be_run_and_a_class_that_fails_say_where(tmp_path, ground):
    module = tmp_path / "broken_of_a_test.py"
    module.write_text("import no_such_module_anywhere\n", encoding="utf-8")
    with pytest.raises(DetectorError, match=r"cannot be run: ModuleNotFoundError: .*broken_of_a_test\.py:1\)"):
        entrants.own(f"{module}:Mine")
    module.write_text("class Mine:\n    def fit(self, X)\n", encoding="utf-8")
    with pytest.raises(DetectorError, match=r"SyntaxError: expected ':' \(broken_of_a_test\.py, line 2\)$"):
        entrants.own(f"{module}:Mine")
    module.write_text("class Mine:\n    def fit(self, X):\n        raise ValueError('no')\n\n"
                      "    def decision_function(self, X):\n        return X[:, 0]\n", encoding="utf-8")  # fmt: skip
    with pytest.raises(DetectorError, match=r"Mine failed: ValueError: no \(.*broken_of_a_test\.py:3\)"):
        leaks.refuse(ground, entrants.own(f"{module}:Mine"))


def test_an_estimator_from_a_file_takes_part(tmp_path, ground):
    module = tmp_path / "mine_of_a_test.py"
    module.write_text(
        "from sklearn.ensemble import IsolationForest\n\n\nclass Mine(IsolationForest):\n    pass\n", encoding="utf-8"
    )
    made = entrants.own(f"{module}:Mine")
    leaks.refuse(ground, made)
    assert len(protocol.fit(ground, made, 0).scores) > 0
