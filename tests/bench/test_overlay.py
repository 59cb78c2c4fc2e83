"""A twin has the scores that attacking the whole organisation would have given, and nothing tells who it is."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from whole_organisation import measure_whole

from tokenkit import channels
from tokenkit.bench import scenarios
from tokenkit.bench.trials import draws, overlay
from tokenkit.errors import InputError
from tokenkit.normal import familiarity
from tokenkit.normal.counterfactual import counterfactual
from tokenkit.store import lake


def every_kind():
    """One attack or change of each, at its strongest."""
    return [(one, one.intensities[-1]) for one in scenarios.ALL.values()]


@pytest.fixture(scope="module")
def trials(unattacked, events):
    return draws.draw(unattacked, every_kind(), 1, events)


@pytest.fixture(scope="module")
def versions_before(unattacked):
    """Versions of the organisation's tables before anything is laid over it."""
    return lake.versions(unattacked.workspace.lake)


@pytest.fixture(scope="module")
def attacked(unattacked, events, trials, versions_before, tmp_path_factory):
    return overlay.attack(unattacked, trials, events, tmp_path_factory.mktemp("twins") / "lake")


def scored(fitted, evidence):
    periods = evidence.periods
    frames = [d.score(evidence, periods.calibration[0], periods.end) for d in fitted]
    rows = pd.concat(frames, ignore_index=True)
    return rows.sort_values(["profile_uid", "channel", "start"], ignore_index=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["slow_exfiltration"])  # benchmarks/overlay.py has twenty
def test_a_twin_has_the_scores_that_attacking_the_whole_organisation_gives(
    unattacked, attacked, trials, name, tmp_path
):
    trial = next(t for t in trials if t.scenario.id == name)
    learn = unattacked.evidence.periods.calibration
    fitted = [d.fit(unattacked.evidence, *learn) for d in channels.detectors(("IForest",))]
    rows = attacked.trials[attacked.trials["trial"] == trial.number]
    of = dict(zip(rows["profile_uid"], rows["base_uid"], strict=True))
    mine = scored(fitted, attacked.evidence)
    mine = mine[mine["profile_uid"].isin(of)].assign(profile_uid=lambda frame: frame["profile_uid"].map(of))
    mine = mine.sort_values(["profile_uid", "channel", "start"], ignore_index=True)
    evidence = measure_whole(unattacked, attacked, trial.number, tmp_path)
    long_way = scored([d.fit(evidence, *learn) for d in channels.detectors(("IForest",))], evidence)
    long_way = long_way[long_way["profile_uid"].isin(of.values())].reset_index(drop=True)
    keys = ["profile_uid", "channel", "window", "start"]
    assert mine[keys].equals(long_way[keys])
    assert np.abs(mine["raw_bits"] - long_way["raw_bits"]).max() <= 1e-9


def test_every_scenario_finds_a_token(trials):
    missing = {s.id for s, _ in every_kind()} - {t.scenario.id for t in trials}
    assert missing == set()


def test_the_organisation_is_not_changed_by_trials(unattacked, versions_before, attacked):
    assert len(attacked.trials) and lake.versions(unattacked.workspace.lake) == versions_before


@pytest.fixture(scope="module")
def two(unattacked, events, trials, tmp_path_factory):
    """One of the trials again, a change of a token that had stopped before it, and both of them done."""
    trial = next(t for t in trials if t.scenario.id == "stolen_token")
    change = draws.draw(unattacked, [(scenarios.get("retry_storm"), 2)], 1, events, first=1000)[0]
    (uid,) = change.base_uids
    assert uid not in trial.base_uids
    stopped = events[uid][events[uid]["time"] < change.start].reset_index(drop=True)
    folder = tmp_path_factory.mktemp("two") / "lake"
    return trial, change, overlay.attack(unattacked, [trial, change], events | {uid: stopped}, folder)


def test_one_trial_has_the_same_twins_in_whatever_company(two, attacked):
    trial, _, again = two
    uid = again.trials.set_index("trial").loc[trial.number, "profile_uid"]

    def of(made):
        frame = lake.read(made.workspace.lake, "events").to_pandas()
        return frame[frame["token_uid"] == uid].sort_values(["time", "event_key"], ignore_index=True)

    pd.testing.assert_frame_equal(of(again), of(attacked), check_dtype=False)  # a column without nulls is of integers


def test_one_more_scenario_changes_no_trial_of_another(unattacked, events):
    one, other = scenarios.get("stolen_token"), scenarios.get("bulk_spike")
    alone = draws.draw(unattacked, [(one, 40)], 3, events)
    beside = draws.draw(unattacked, [(other, 9), (one, 40)], 3, events, first=100)[3:]
    assert [t.name for t in alone] == [t.name for t in beside]
    assert [(t.base_uids, t.start) for t in alone] == [(t.base_uids, t.start) for t in beside]


def test_a_silence_longer_than_the_days_attacked_has_no_trial(unattacked, events):
    revived, month = scenarios.get("dormant_revived"), (unattacked.end - pd.Timedelta(days=20), unattacked.end)
    drawn = draws.draw(unattacked, [(revived, days) for days in (7, 14, 28)], 2, events, period=month)
    assert [trial.intensity for trial in drawn] == [7, 7, 14, 14]
    assert all(trial.start - pd.Timedelta(days=trial.intensity) >= month[0] for trial in drawn)


def test_a_breached_third_party_is_of_one_purpose_where_enough_tokens_have_it(unattacked, events):
    tokens = unattacked.tokens.assign(
        purpose=np.where(unattacked.tokens["token_uid"].isin(sorted(events)[:15]), "feed", "own")
    )
    vendor = replace(unattacked, tokens=tokens)
    purpose = tokens.drop_duplicates("token_uid").set_index("token_uid")["purpose"]
    drawn = draws.draw(vendor, [(scenarios.get("supply_chain"), 20)], 6, events)
    assert all(purpose[list(trial.base_uids)].nunique() == 1 for trial in drawn)
    some = draws.draw(vendor, [(scenarios.get("invalid_token_storm"), 20)], 6, events)
    assert any(purpose[list(trial.base_uids)].nunique() == 2 for trial in some)


def test_a_benign_change_is_looked_for_from_its_first_changed_event_on(unattacked, attacked, trials, events):
    told = attacked.trials.drop_duplicates("trial").set_index("scenario")
    storm, trial = told.loc["retry_storm"], next(t for t in trials if t.scenario.id == "retry_storm")
    own = events[trial.base_uids[0]]["time"]
    assert storm["start"] == own[own >= trial.start].min()  # the outage begins with its next call
    silent = next(t for t in trials if t.scenario.id == "holiday")
    gone = events[silent.base_uids[0]]["time"]
    assert told.loc["holiday", "start"] == gone[gone >= silent.start].min()
    assert (told["events"] > 0).all() and storm["end"] == storm["horizon"]


def test_what_the_twins_events_name_is_in_their_dimensions(attacked):
    events = lake.read(attacked.workspace.lake, "events").to_pandas()
    for key in ("network_key", "client_key", "operation_key", "object_key"):
        known = set(lake.read(attacked.workspace.lake, f"dim_{key.removesuffix('_key')}").to_pandas()[key])
        assert set(events.loc[events[key] != 0, key]) <= known


def test_no_object_that_its_owner_asked_for_is_loot(attacked):
    loot = attacked.trials.drop_duplicates("trial").set_index("scenario")["objects"]
    assert loot["orphan"] == 0 and loot["object_enumeration"] > 0


def test_a_change_of_an_idle_token_is_none(two):
    _, change, done = two
    assert done.trials.set_index("trial").loc[change.number, "events"] == 0


def test_an_owner_without_a_time_zone_has_that_of_the_logs(unattacked, events, tmp_path):
    nowhere = replace(unattacked, tokens=unattacked.tokens.assign(owner_timezone=None))
    trial = draws.draw(nowhere, [(scenarios.get("new_engineer"), 3)], 1, events)
    place, _, _ = overlay.write_twins(nowhere, trial, events, tmp_path / "lake")
    assert lake.read(place.lake, "events").num_rows > len(events[trial[0].base_uids[0]])


def test_what_is_before_the_test_period_cannot_be_changed(unattacked):
    row = np.array([0])
    values = {name: matrix[row].copy() for name, matrix in unattacked.evidence.days.values.items()}
    values["requests"][0, 3] = 12_345.0
    uid = unattacked.evidence.days.profiles[row]
    with pytest.raises(InputError, match="what is usual was learned"):
        counterfactual(
            unattacked.evidence, row, uid, values, unattacked.evidence.hours.iloc[:0], familiarity.nothing(), row
        )


def test_neither_ids_nor_order_tell_which_event_is_the_attackers(attacked, unattacked, events, tmp_path):
    """A tree that is given the keys, their bits, and places in the table cannot tell them apart."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import roc_auc_score

    stored = lake.read(attacked.workspace.lake, "events").to_pandas()
    calls = []
    for one in attacked.trials.itertuples():
        mine = stored[stored["token_uid"] == one.profile_uid]
        inside = mine[(mine["time"] >= one.start) & (mine["time"] < one.end)]
        calls.append(
            (inside, inside["event_key"].isin(set(inside["event_key"]) - set(events[one.base_uid]["event_key"])))
        )
    inside, truth = max(calls, key=lambda some: min(some[1].sum(), (~some[1]).sum()))  # a hundred of each, or more
    truth = truth.to_numpy()
    keys = inside["event_key"].to_numpy().astype("uint64")
    bits = (keys[:, None] >> np.arange(64, dtype="uint64")[None, :]) & np.uint64(1)
    assert inside["event_uid"].tolist() == inside["event_key"].astype(str).tolist()
    assert inside["raw_ref"].nunique(dropna=False) == 1 and inside["source"].nunique() == 1
    assert min(truth.sum(), (~truth).sum()) > 100, "there is too little to tell apart"
    half = np.random.default_rng(0).random(len(inside)) < 0.5
    model = RandomForestClassifier(200, random_state=0).fit(bits[half], truth[half])
    assert abs(roc_auc_score(truth[~half], model.predict_proba(bits[~half])[:, 1]) - 0.5) < 0.12


def test_twins_and_tokens_have_names_of_one_kind(attacked, unattacked):
    lengths = {len(uid) for uid in [*attacked.trials["profile_uid"], *unattacked.evidence.days.profiles[:5]]}
    assert lengths == {29} and all(uid.startswith("tok1_") for uid in attacked.trials["profile_uid"])


def test_the_truth_is_not_among_the_files_of_the_twins(attacked):
    names = [path.name for path in attacked.workspace.root.rglob("*") if path.is_file()]
    assert not [name for name in names if "truth" in name or "trial" in name or "taken" in name]
