"""The protocol judges every contender alike, by thresholds that follow the days."""

import itertools
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from contenders import Calls, alerts_of, contender

from tokenkit import config
from tokenkit.bench import alerts, protocol, scenarios
from tokenkit.bench.detectors import ablation, registry
from tokenkit.bench.metrics import ranking
from tokenkit.bench.trials import draws, overlay
from tokenkit.bench.trials.unattacked import a_day_earlier
from tokenkit.channels.calibration import share_bits
from tokenkit.errors import DetectorError
from tokenkit.incidents.thresholds import MIN_BITS
from tokenkit.judge import detect


def test_what_a_detector_is_fitted_on_ends_where_calibration_ends(unattacked):
    seen = []

    class Looks(Calls):
        def fit(self, evidence, start, end):
            seen.append(evidence.days.days[-1])
            assert (evidence.hours["start"] < pd.Timestamp(end, tz="UTC")).all()
            return self

    protocol.fit(unattacked, contender(Looks()), 0)
    assert seen == [pd.Timestamp(unattacked.evidence.periods.calibration[1], tz="UTC") - pd.Timedelta("1D")]


def test_random_opens_what_the_budget_allows_and_no_more(unattacked):
    fitted = protocol.fit(unattacked, registry.choose(["random"])[0], 0, [20.0, 50.0])
    nothing = unattacked.evidence.hours.iloc[:0]
    opened = alerts.benign_alerts(fitted, unattacked, nothing).groupby("budget").size()
    days, profiles = (unattacked.end - unattacked.start).days, len(unattacked.evidence.days.profiles)
    for budget in (20.0, 50.0):
        allowed = budget * profiles / 1000 * days
        assert allowed - 4 * np.sqrt(allowed) <= opened.get(budget, 0) <= allowed + 5 * np.sqrt(allowed)


@pytest.fixture(scope="module")
def by_chance(unattacked, events, tmp_path_factory):
    """Every attack on several tokens, and what a detector that knows nothing says of them."""
    cells = [(one, one.intensities[len(one.intensities) // 2]) for one in scenarios.ATTACKS.values()]
    trials = draws.draw(unattacked, cells, 2, events)
    attacked = overlay.attack(unattacked, trials, events, tmp_path_factory.mktemp("chance") / "lake")
    return attacked, protocol.fit(unattacked, registry.choose(["random"])[0], 0)


def test_random_catches_what_chance_would(unattacked, by_chance):
    """Each day that an attack changed is flagged with the share p of days above its threshold."""
    attacked, fitted = by_chance
    table = fitted.thresholds[20.0].for_all["random"]
    rows = protocol.surprise(fitted, attacked.evidence).merge(
        attacked.trials[["profile_uid", "base_uid", "trial", "start", "end"]], on="profile_uid",
        suffixes=("", "_attack"),
    )  # fmt: skip
    inside = rows[(rows["start"] < rows["end"]) & (rows["start"] + pd.Timedelta("1D") > rows["start_attack"])]
    theirs = fitted.scores[["profile_uid", "start", "score_bits"]].rename(columns={"profile_uid": "base_uid"})
    both = inside.merge(theirs, how="left", on=["base_uid", "start"], suffixes=("", "_usual"))
    other = both[both["score_bits"] != both["score_bits_usual"]]  # a day as it was has the score that it had
    share = fitted.scores["score_bits"].sort_values().to_numpy()
    below = np.searchsorted(share, other["start"].dt.normalize().map(table)) / len(share)
    below = pd.Series(below, index=other.index).groupby(other["trial"]).prod()
    chance = 1 - below.reindex(attacked.trials["trial"].unique(), fill_value=1.0)
    opened = alerts_of(unattacked, fitted, attacked)
    caught = opened[opened["fresh"] & (opened["budget"] == 20.0)]["trial"].nunique()
    assert 3.0 < chance.sum() < len(chance) - 3.0, "there is nothing to tell apart"
    assert abs(caught - chance.sum()) <= 3.3 * np.sqrt((chance * (1 - chance)).sum())


def test_random_orders_windows_by_chance(unattacked, by_chance):
    attacked, fitted = by_chance
    windows = pd.concat(
        [
            alerts.benign_days(fitted, unattacked),
            alerts.trial_days(fitted, unattacked.seed, attacked, protocol.surprise(fitted, attacked.evidence)),
        ]
    )
    trials = attacked.trials.drop_duplicates("trial")
    found = ranking.window_precision(windows[windows["score_bits"] > 0], trials).set_index("metric")
    auc, precision = found.loc["roc auc"], found.loc["average precision"]
    assert auc["low"] - 0.02 <= 0.5 <= auc["high"] + 0.02
    assert precision["low"] * 0.8 <= precision["base"] <= precision["high"] * 1.2


def test_a_larger_budget_flags_all_that_a_smaller_one_does_and_more(unattacked, attacked):
    fitted = protocol.fit(unattacked, registry.choose(["tokenkit"])[0], 0)
    tables = [fitted.thresholds[budget].for_all for budget in protocol.BUDGETS]
    assert all((few >= many).all(axis=None) for few, many in itertools.pairwise(tables))
    rows = protocol.surprise(fitted, attacked.evidence)
    windows = [protocol.flagged(fitted, rows, budget, rows.iloc[:0]) for budget in protocol.BUDGETS]
    named = [set(some[protocol.WINDOW].itertuples(index=False, name=None)) for some in windows]
    assert all(few < many for few, many in itertools.pairwise(named))


def test_tokenkit_flags_on_the_bench_what_a_run_flags(unattacked, tmp_path):
    copy = shutil.copytree(unattacked.workspace.root, tmp_path / "copy")
    (copy / config.FILE_NAME).write_text("[detection]\nbudget = 20\n")  # of so few tokens 5 would flag too little
    workspace = config.init(copy)
    detection = workspace.settings.detection
    fitted = protocol.fit(unattacked, registry.tokenkit_as_set(detection), detection.seed, [detection.budget])
    breaches = protocol.breach_windows(unattacked.workspace, unattacked.evidence)
    ours = protocol.flagged(fitted, fitted.scores, detection.budget, breaches)
    run = detect(workspace, unattacked.evidence.periods)
    keys = ["profile_uid", "channel", "start"]
    ours, nightly = (some.sort_values(keys, ignore_index=True) for some in (ours, run.windows))
    assert len(ours) > 20 and (ours["channel"] != "policy").any()
    assert ours[[*keys, "incident_uid"]].equals(nightly[[*keys, "incident_uid"]])
    for bits in ("score_bits", "threshold_bits"):
        np.testing.assert_allclose(ours[bits], nightly[bits])


def test_thresholds_are_those_of_an_organisation_in_which_nobody_attacks(unattacked):
    """An organisation that shows attacks from the reported days on has the thresholds of the one without them."""
    random = registry.choose(["random"])[0]
    days, row = unattacked.evidence.days, 3
    busy = np.where(days.days >= unattacked.start, np.nan_to_num(days.values["requests"][row]) + 7.0, np.nan)
    values = {**days.values, "requests": days.values["requests"].copy()}
    values["requests"][row] = np.where(np.isnan(busy), days.values["requests"][row], busy)
    shown = replace(unattacked, evidence=replace(unattacked.evidence, days=replace(days, values=values)))
    alone = unattacked.evidence.of_profiles(np.array([row]))
    expected = protocol.fit(unattacked, random, 0).thresholds[20.0].for_all
    poisoned = protocol.fit(shown, random, 0, unattacked=alone)
    pd.testing.assert_frame_equal(poisoned.thresholds[20.0].for_all, expected)
    assert not poisoned.scores.equals(protocol.fit(unattacked, random, 0).scores)


def test_without_a_family_its_features_are_no_reasons(unattacked, attacked):
    fitted = protocol.fit(unattacked, registry.choose(["tokenkit without network"])[0], 0)
    rows = protocol.surprise(fitted, attacked.evidence)
    whole = protocol.fit(unattacked, registry.choose(["tokenkit without rules"])[0], 0)
    family = ablation.features_of("network") | {"network"}
    assert [p for p in protocol.surprise(whole, attacked.evidence)["parts"] if family & set(p)], (
        "else nothing is tested"
    )
    assert not [p for p in rows["parts"] if family & set(p)]


def test_a_detector_whose_channel_has_another_name_is_refused(unattacked):
    class Named(Calls):
        def score(self, evidence, start, end):
            return super().score(evidence, start, end).assign(channel="another")

    with pytest.raises(DetectorError, match="the channel of its scores is 'another', expected its name, 'calls'"):
        protocol.fit(unattacked, contender(Named()), 0)


def test_what_learns_nothing_says_the_same_in_two_nights_and_what_learns_nearly_so(unattacked):
    nothing, forest = registry.choose(["random", "IForest, deviations"])
    before = a_day_earlier(unattacked)
    found = [protocol.stability(protocol.fit(unattacked, one, 0), protocol.fit(before, one, 0), unattacked.start)
             for one in (nothing, forest)]  # fmt: skip
    assert found[0] > 0.9999 and 0.5 < found[1] < 1.0


def test_the_ablations_have_no_rule_that_raises_what_the_family_would_have():
    lacking = registry.choose(["ablation"])
    assert lacking[0].name == registry.WITHOUT_RULES and not any(one.policy for one in lacking)
    assert all(one.shares == registry.choose(["tokenkit"])[0].shares for one in lacking)


def test_only_tokenkit_has_thresholds_that_no_budget_lowers(unattacked):
    for name, floor in (("tokenkit", MIN_BITS), ("random", 0.0)):
        contender = registry.choose([name])[0]
        table = protocol.fit(unattacked, contender, 0, [400.0]).thresholds[400.0].for_all
        least = table.where(np.isfinite(table)).min()
        for channel, share in contender.shares.items():
            lowest = floor + share_bits(share, max(contender.shares.values()))  # a smaller share costs bits
            at_floor = least[channel] == pytest.approx(lowest)
            assert at_floor if name == "tokenkit" else lowest <= least[channel] < MIN_BITS
