"""What is an alert: caught by what an attack changed, dated, with reasons and what was stolen before."""

import pandas as pd
from contenders import Calls, alerts_of, contender

from tokenkit.bench import alerts, protocol
from tokenkit.bench.detectors import registry


def test_the_owner_who_left_is_raised_by_the_rule_and_by_nothing_learned(unattacked, attacked):
    fitted = protocol.fit(unattacked, registry.choose(["tokenkit"])[0], 0)
    opened = alerts_of(unattacked, fitted, attacked)
    orphans = attacked.trials[attacked.trials["scenario"] == "orphan"]["trial"]
    assert len(orphans)
    mine = opened[opened["trial"].isin(orphans) & opened["fresh"]]
    assert set(mine["trial"]) == set(orphans)
    said = mine.groupby("trial")["reasons"].agg(lambda several: {reason for some in several for reason in some})
    assert all("orphan_in_use" in reasons for reasons in said)


def test_the_oracle_is_right_about_every_attack_and_says_nothing_else(attacked):
    told = alerts.oracle_alerts(attacked)
    attacks = attacked.trials[attacked.trials["scenario"] != "deploy"]
    for _, rows in told.groupby("budget"):
        assert set(rows["trial"]) == set(attacks["trial"]) and rows["fresh"].all()


def test_what_was_taken_before_the_alert_is_a_part_of_all(unattacked, attacked):
    fitted = protocol.fit(unattacked, registry.choose(["tokenkit"])[0], 0)
    opened = alerts_of(unattacked, fitted, attacked)
    whole = attacked.trials.drop_duplicates("trial").set_index("trial")
    assert (opened["bytes_before"] > 0).any()
    assert (opened["bytes_before"] <= opened["trial"].map(whole["bytes"])).all()
    assert (opened["objects_before"] <= opened["trial"].map(whole["objects"])).all()


def test_what_was_taken_is_counted_until_the_moment_of_the_alert():
    times = pd.date_range("2026-03-02", periods=4, freq="h", tz="UTC")
    taken = pd.DataFrame({"trial": [1, 1, 2, 1], "time": times, "bytes": [5, 7, 100, 11], "object_key": [8, 0, 9, 8]})
    opened = pd.DataFrame(
        {"trial": [1, 1, 2, 3], "raised": [times[3], times[3] + pd.Timedelta("1s"), times[0], times[3]]}
    )
    had = alerts.with_taken_before(opened, taken)
    assert had["bytes_before"].tolist() == [12, 23, 0, 0] and had["objects_before"].tolist() == [1, 1, 0, 0]


def test_what_the_token_would_have_raised_anyway_is_no_catch(unattacked, attacked):
    class Always(Calls):  # says of every day the same, whatever happens
        def score(self, evidence, start, end):
            return super().score(evidence, start, end).assign(raw_bits=1.0)

    fitted = protocol.fit(unattacked, contender(Always(), without_budget=True), 0)
    opened = alerts_of(unattacked, fitted, attacked)
    assert len(opened) and opened["fresh"].mean() < 0.2  # only where a day was idle before the attack


def test_a_window_above_its_line_without_the_attack_is_no_catch_when_the_attack_lifts_it_further():
    days = pd.date_range("2026-03-02", periods=4, freq="D", tz="UTC")
    windows = pd.DataFrame({
        "profile_uid": "twin", "channel": "calls", "window": "day", "start": days, "end": days + pd.Timedelta("1D"),
        "incident_uid": "one", "score_bits": [12.5, 12.5, 11.0, 30.0], "threshold_bits": 10.0,
    })  # fmt: skip
    usual = windows.assign(profile_uid="token", score_bits=[8.0, 12.0, 9.9, 8.0])[[*protocol.WINDOW, "score_bits"]]
    trials = pd.DataFrame({"profile_uid": ["twin"], "base_uid": ["token"], "start": [days[1]], "end": [days[3]]})
    # before the attack, lifted by it, raised by it, after it
    assert alerts.changed_windows(windows, trials, usual)["start"].tolist() == [days[2]]
    idle = usual.iloc[[1]]  # on the other days nothing happens without the attack
    assert alerts.changed_windows(windows, trials, idle)["start"].tolist() == [days[2]]


def test_an_incident_that_the_warming_up_raised_is_told_apart():
    days = pd.date_range("2026-03-02", periods=4, freq="D", tz="UTC")
    windows = pd.DataFrame({
        "profile_uid": "twin", "channel": "calls", "window": "day", "start": days, "end": days + pd.Timedelta("1D"),
        "incident_uid": ["before", "warmed", "attack", "attack"], "score_bits": 12.0, "threshold_bits": 10.0,
    })  # fmt: skip
    usual = windows.assign(profile_uid="token", score_bits=[11.0, 8.0, 8.0, 8.0])[[*protocol.WINDOW, "score_bits"]]
    trials = pd.DataFrame({"profile_uid": ["twin"], "base_uid": ["token"], "start": [days[2] + pd.Timedelta("3h")],
                           "end": [days[3]], "variant": "poisoned"})  # fmt: skip
    assert alerts.warming_up_incidents(windows, trials, usual) == {"warmed"}  # the day of the attack is the attack's
    assert alerts.warming_up_incidents(windows, trials.assign(variant="clean"), usual) == set()


def test_who_gives_no_reason_locks_nobody_and_that_is_not_counted_as_merit(unattacked):
    fitted = protocol.fit(unattacked, registry.choose(["random"])[0], 0)
    opened = alerts.benign_alerts(fitted, unattacked, unattacked.evidence.hours.iloc[:0])
    assert len(opened) and opened["harm_minutes"].isna().all()


def test_an_incident_from_before_the_report_is_not_opened_in_it_and_a_quiet_one_is_not_listed():
    def day(number):
        return pd.Timestamp(f"2026-03-{number:02d}", tz="UTC")

    flagged = pd.DataFrame(
        [("old", "p", 1, 9.0), ("grown", "q", 1, 8.0), ("grown", "q", 5, 9.0), ("new", "r", 5, 7.0)],
        columns=["incident_uid", "profile_uid", "start", "score_bits"],
    )
    flagged = flagged.assign(channel="c", end=[day(n + 1) for n in flagged["start"]],
                             start=[day(n) for n in flagged["start"]])  # fmt: skip
    table = alerts.incidents(flagged, day(4))
    assert table[["incident_uid", "opened", "score_bits"]].values.tolist() == [
        ["grown", False, 9.0],
        ["new", True, 7.0],
    ]
