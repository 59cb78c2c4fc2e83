"""What people say of incidents, and what follows: on the scores, the page, the budget, and for everybody else."""

import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import organisation as small
import pandas as pd
import pytest
import raw_logs
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from raw_logs import day_of

from tokenkit import activity, config, fingerprint, report, run
from tokenkit.channels.drift import DriftAmounts
from tokenkit.config import History, Workspace
from tokenkit.days import plan
from tokenkit.errors import InputError
from tokenkit.incidents import labels
from tokenkit.ingest import ingest
from tokenkit.normal import baseline, deviation, evidence, novelty
from tokenkit.normal.day_matrices import day_matrices
from tokenkit.normal.evidence import Evidence
from tokenkit.normal.labelled_periods import LabelledPeriods
from tokenkit.report import parts
from tokenkit.sources.inputs import Input
from tokenkit.store import lake
from tokenkit.tokens import load

ONCE = (Phase.explicit, Phase.reuse, Phase.generate)  # an example takes two seconds: a failing one is not made smaller

# ---- on day matrices: one profile answered, 23 others, 28 days of reference and 14 of calibration ----
WHO = f"tok1_{3:024x}"


def stretch(first: int, stop: int, profile: str = WHO) -> pd.DataFrame:
    times = {n: pd.Timestamp(day_of(d), tz="UTC").as_unit("us") for n, d in (("start", first), ("end", stop))}
    return pd.DataFrame([{"profile_uid": profile, **times, "accepted_by": "ana", "accepted_time": times["end"]}])


def evidence_of(values: dict[str, np.ndarray], answers: LabelledPeriods | None = None) -> Evidence:
    plain = raw_logs.evidence_of(values, raw_logs.periods(42, values["requests"].shape[1]))
    row, column = np.nonzero(~np.isnan(values["requests"]))
    frame = pd.DataFrame({name: matrix[row, column] for name, matrix in values.items()})
    starts = pd.DatetimeIndex([pd.Timestamp(day_of(int(d)), tz="UTC") for d in column]).as_unit("us")
    frame = frame.assign(profile_uid=plain.days.profiles[row], start=starts)
    groups = pd.Series("job", index=plain.days.profiles)
    days = day_matrices(frame, groups, plain.periods, answers)
    return Evidence(plain.periods, days, *deviation.day_deviations(days), plain.hours)


@pytest.fixture(scope="module")
def steady() -> dict[str, np.ndarray]:
    return raw_logs.steady()


@settings(max_examples=4, phases=ONCE)
@given(st.integers(43, 52), st.integers(1, 4), st.sampled_from([3.0, 10.0, 300.0]))
def test_an_accepted_level_surprises_no_longer_and_three_times_as_much_does(
    first: int, length: int, factor: float
) -> None:
    values = raw_logs.steady(profiles=12)
    values["objects"][3, first:] *= factor
    values["objects"][3, 58:] *= 3
    before = evidence_of(values)
    after = evidence_of(values, LabelledPeriods(accepted=stretch(first, first + length)))
    assert before.bits["objects"][3, first] > 6
    usual = after.bits["objects"][3, first:58]
    assert np.median(usual) < 4 and usual.max() < 11, "as other days of other profiles, but for the noise of few days"
    assert after.bits["objects"][3, 58] > 8
    np.testing.assert_array_equal(after.bits["objects"][3, :first], before.bits["objects"][3, :first])
    others = np.arange(12) != 3
    for name in before.bits:
        np.testing.assert_array_equal(after.bits[name][others], before.bits[name][others], err_msg=name)
        np.testing.assert_array_equal(after.z[name][others], before.z[name][others], err_msg=name)


def test_acceptances_of_one_profile_add_up_and_are_signed(steady: dict[str, np.ndarray]) -> None:
    values = {name: matrix.copy() for name, matrix in steady.items()}
    values["objects"][3, 44:] *= 10
    values["objects"][3, 50:] *= 10
    both = pd.concat([stretch(44, 45), stretch(50, 51)], ignore_index=True)
    found = evidence_of(values, LabelledPeriods(accepted=both))
    assert np.median(found.bits["objects"][3, 44:]) < 3 and found.bits["objects"][3, 44:].max() < 11
    table = baseline.table(found.fits, found.days, found.periods).set_index("profile_uid")
    assert set(table.loc[WHO, "version"]) == {3} and set(table.loc[WHO, "accepted_by"]) == {"ana"}
    others = table.drop(WHO)
    assert set(others["version"]) == {1} and others["accepted_by"].isna().all() and others["accepted_time"].isna().all()


def test_an_accepted_drift_is_over_the_next_day_and_a_further_one_is_not(steady: dict[str, np.ndarray]) -> None:
    values = {name: matrix.copy() for name, matrix in steady.items()}
    values["response_bytes"][3, 40:] *= 1.6

    def bits(answers: LabelledPeriods | None) -> np.ndarray:
        evidence = evidence_of(values, answers)
        fitted = DriftAmounts().fit(evidence, day_of(28), day_of(42))
        rows = fitted.score(evidence, day_of(42), day_of(62))
        return rows.pivot(index="profile_uid", columns="start", values="raw_bits").fillna(0.0)

    plain, answered = bits(None), bits(LabelledPeriods(accepted=stretch(48, 52)))
    assert plain.loc[WHO].iloc[10] > 8, "the leak is seen"
    assert (answered.loc[WHO].iloc[6:] < 3).all(), "from its first day on, though two weeks of it lie before"
    pd.testing.assert_frame_equal(answered.drop(WHO), plain.drop(WHO), check_exact=True)
    pd.testing.assert_series_equal(answered.loc[WHO].iloc[:6], plain.loc[WHO].iloc[:6], check_exact=True)
    values["response_bytes"][3, 52:] *= 3.5
    assert bits(LabelledPeriods(accepted=stretch(48, 52))).loc[WHO].iloc[-1] > 8


@settings(max_examples=4, phases=ONCE)
@given(st.integers(5, 55), st.integers(1, 5), st.sampled_from([0.2, 1.0, 40.0]))
def test_nothing_learns_from_confirmed_misuse(first: int, length: int, factor: float) -> None:
    """All other days are judged as if the token had made no call in those."""
    values = raw_logs.steady(profiles=12)
    for matrix in values.values():
        matrix[3, first : first + length] *= factor
    kept = evidence_of(values, LabelledPeriods(misuse=stretch(first, first + length)))
    for matrix in values.values():
        matrix[3, first : first + length] = np.nan
    without = evidence_of(values)
    outside = np.ones_like(kept.days.reference)
    outside[3, first : first + length] = False
    for name in kept.bits:
        np.testing.assert_array_equal(kept.bits[name][outside], without.bits[name][outside], err_msg=name)
    assert not np.isnan(kept.bits["requests"][3, first]), "it is still judged"


use = st.tuples(st.sampled_from("abcdef"), st.integers(0, 9), st.integers(1, 5), st.integers(1, 3), st.booleans())


@settings(max_examples=40)
@given(st.lists(use, min_size=1, max_size=40))
def test_a_value_of_confirmed_misuse_does_not_become_known(uses: list[tuple[str, int, int, int, bool]]) -> None:
    groups = pd.Series(["x", "x", "x", "x", "y", "y"], index=list("abcdef"))
    frame = pd.DataFrame(uses, columns=["profile_uid", "day", "value", "hours", "taught"])
    frame = frame.groupby(["profile_uid", "day", "value"], as_index=False).agg({"hours": "sum", "taught": "first"})
    frame["hours"] = frame["hours"].where(frame["taught"], 0)

    def graded(rows: pd.DataFrame) -> pd.DataFrame:
        found = novelty.novelty(rows, rows.loc[rows["hours"] > 0, ["profile_uid", "day"]].drop_duplicates(), groups)
        return found[found["taught"]].reset_index(drop=True)

    if frame["taught"].any():
        pd.testing.assert_frame_equal(graded(frame), graded(frame[frame["taught"]]), check_exact=True)


# ---- from raw logs to the page ----
FIRST = date(2026, 1, 5)
DAY = FIRST + timedelta(43)
# deletes what has expired, number by number: more than one sign that goes on when place and program are known
EXPORT: dict[str, Any] = {"path": "/v1/exports/{n}", "a_hour": 120, "request_method": "DELETE"}
THEFT: dict[str, Any] = {"agent": "curl/8.5.0", "path": "/v1/secrets/{n}", "address": "192.0.2.66", "a_hour": 200}
TODAY = datetime(2026, 2, 18, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A clean organisation in which one key has a new job from ``DAY`` on, and another is stolen twice, later."""
    folder = tmp_path_factory.mktemp("planted")
    small.make(folder, days=56, attacks=False)
    job, stolen = small.victim(folder), small.victim(folder, 1)
    logs = folder / "logs"
    for days, hours, what in ((0, range(2, 8), EXPORT), (1, range(2, 8), EXPORT)):
        small.plant(logs, job, DAY + timedelta(days), hours, **what)
    small.plant(logs, job, DAY + timedelta(2), range(2, 8), **EXPORT | {"a_hour": 360, "address": "192.0.2.200"})
    for days in (3, 12):
        small.plant(logs, stolen, DAY + timedelta(days), range(1, 3), **THEFT)
    place = config.init(folder / "w")
    load.load_inventory(place, folder / "inventory.csv")
    ingest(place, [Input(logs)])
    activity.build(place)
    fingerprint.build(place)
    told(place, 0)
    return place.root, job[-4:], stolen[-4:]


def told(place: Workspace, day: int, days: int = 1) -> dict[str, Any]:
    """The facts of a report, kept as a run keeps them."""
    facts = report.gather(place, DAY + timedelta(day), DAY + timedelta(day + days))
    run.remember(place, facts)
    return facts


def opened(folder: Path) -> Workspace:
    found = config.find(folder)
    assert found is not None
    return found


@pytest.fixture
def place(planted: tuple[Path, str, str], tmp_path: Path) -> Workspace:
    """A copy in which the report of ``DAY`` was made."""
    return opened(shutil.copytree(planted[0], tmp_path / "w"))


Of = Callable[[dict[str, Any], str], list[dict[str, Any]]]


def of(facts: dict[str, Any], mask: str, where: str = "incidents") -> list[dict[str, Any]]:
    return [r for r in facts[where] if str((r.get("token") or r)["mask"]).endswith(mask)]


def label(place: Workspace, uid: str, verdict: str, **more: Any) -> dict[str, Any]:
    return labels.label(place, uid, verdict, "looked at it", "ana", now=TODAY, **more)


def test_an_accepted_normal_raises_nothing_the_next_day_and_a_larger_change_does(
    place: Workspace, planted: tuple[Path, str, str]
) -> None:
    _, job, _ = planted
    first = told(place, 0)
    (raised,) = of(first, job)
    assert raised["state"] == "opened"
    lines = raw_logs.table(place, "scores").set_index(["profile_uid", "channel", "start"])["threshold_bits"]
    label(place, raised["incident_uid"], "benign", accept=True)
    again = told(place, 0)
    assert again["run_uid"] != first["run_uid"], "another answer, another report"
    assert not of(again, job) and again["counts"]["accepted"] == 1
    assert [r["incident_uid"] for r in again["incidents"]] == [
        r["incident_uid"] for r in first["incidents"] if r is not raised
    ]
    after = raw_logs.table(place, "scores").set_index(["profile_uid", "channel", "start"])["threshold_bits"]
    pd.testing.assert_series_equal(after.sort_index(), lines.sort_index(), check_exact=True)
    following = told(place, 1)
    assert not of(following, job) and not of(following, job, "answered")
    (shown,) = following["accepted"]
    assert shown["calls"] > 180 and shown["version"] == 2 and shown["who"] == "ana"
    section = str(parts.answered(following))
    assert "still happening" in section and "Accepted as normal by ana" in section and "looked at it" in section
    (larger,) = of(told(place, 2), job)
    assert larger["state"] == "opened" and larger["incident_uid"] != raised["incident_uid"]
    table = lake.read(place.lake, "baseline").to_pandas().set_index("profile_uid")
    assert set(table.loc[raised["profile_uid"], "version"]) == {2}


def test_without_an_answer_the_same_goes_on_being_raised(place: Workspace, planted: tuple[Path, str, str]) -> None:
    (grown,) = of(told(place, 1), planted[1])
    assert grown["state"] == "grown" and grown["answer"] is None


def test_a_thief_s_network_does_not_become_known_and_a_day_without_the_thief_is_not_called_quiet(
    place: Workspace, planted: tuple[Path, str, str]
) -> None:
    _, _, stolen = planted
    (theft,) = of(told(place, 3), stolen)

    def new_networks() -> dict[int, int]:
        """The most networks in an hour that were never used before, by day."""
        end = DAY + timedelta(13)
        planned = plan(FIRST, end - timedelta(1), end, History())
        groups, known = evidence.population(place, planned).groups, labels.read(place, end).periods
        hours = novelty.graded_hours(place, groups, FIRST, end, known)
        days = hours[hours["profile_uid"] == theft["profile_uid"]].groupby(hours["start"].dt.date)["new_networks"].max()
        return {d: int(days[DAY + timedelta(d)]) for d in (3, 12)}

    assert new_networks() == {3: 1, 12: 0}, "without an answer it is known nine days later"
    label(place, theft["incident_uid"], "true_positive")
    facts = told(place, 12)
    assert new_networks() == {3: 1, 12: 1}, "and is not, where it was a thief's"
    assert facts["incidents"][0]["token"]["mask"].endswith(stolen), "first on the page"
    assert facts["health"]["verdicts"] == {"true_positive": 1, "benign": 0, "false_positive": 0, "precision": 1.0}

    facts = told(place, 7)  # a day on which it rests
    (kept,) = of(facts, stolen)
    assert kept["state"] == "quiet" and facts["state"] == "attention"
    verdict = str(parts.verdict(facts))
    assert "was misused, as confirmed on Wed 18 Feb" in verdict and "behaved like themselves" in verdict
    assert "Confirmed by ana on Wed 18 Feb: looked at it." in str(parts.incidents(facts))
    assert "1 misuse; 100% of 1 answered incident was misuse" in str(parts.coverage_and_health(facts))


def test_what_is_suppressed_stays_on_the_page_and_comes_back_when_its_day_has_come(
    place: Workspace, planted: tuple[Path, str, str]
) -> None:
    _, job, _ = planted
    before = told(place, 0)
    (raised,) = of(before, job)
    until = DAY + timedelta(1)
    labels.suppress(place, raised["token"]["label"], "load test", "ana", until, now=datetime(2026, 2, 1, tzinfo=UTC))
    facts = told(place, 0)
    (hushed,) = of(facts, job, "answered")
    assert not of(facts, job) and hushed["state"] == "opened" and hushed["answer"]["closes"]
    assert facts["budget"]["opened"] == before["budget"]["opened"] - 1 and facts["counts"]["answered"] == 1
    section = str(parts.answered(facts))
    assert raised["token"]["label"] in section and "Suppressed until Wed 18 Feb by ana" in section
    assert "load test" in section and " calls, began in these days" in section
    (back,) = of(told(place, 1), job)
    assert back["state"] == "grown" and back["answer"]["expired"]
    assert "that day has come and it goes on" in str(parts.incidents(told(place, 1)))
    uid = labels.suppressions(place)["suppression_uid"].iloc[0]
    labels.withdraw(place, uid)
    assert list(labels.suppressions(place)["state"]) == ["withdrawn"]
    assert labels.read(place, until).suppressions.empty


def test_a_false_alarm_is_closed_and_is_not_new_again_while_it_goes_on(
    place: Workspace, planted: tuple[Path, str, str]
) -> None:
    (raised,) = of(told(place, 0), planted[1])
    label(place, raised["incident_uid"], "false_positive")
    facts = told(place, 1)
    assert not of(facts, planted[1]) and facts["previous"]["closed"] == 0
    (goes_on,) = of(facts, planted[1], "answered")
    assert goes_on["incident_uid"] == raised["incident_uid"] and goes_on["state"] == "grown"
    assert not goes_on["new_since_last"]


def test_the_newest_answer_counts_and_all_are_kept(place: Workspace, planted: tuple[Path, str, str]) -> None:
    (raised,) = of(told(place, 0), planted[1])
    label(place, raised["incident_uid"], "benign", until=date(2026, 4, 1))
    assert len(labels.read(place, DAY + timedelta(1)).suppressions) == 1
    label(place, raised["incident_uid"], "true_positive")
    facts = told(place, 0)
    assert of(facts, planted[1])[0]["answer"]["verdict"] == "true_positive"
    assert not facts["answered"], "the suppression of the first answer went with it"
    given = labels.labels(place)
    assert list(given["verdict"]) == ["true_positive", "benign"] and list(given["counts"]) == [True, False]


@pytest.mark.parametrize("budget", [1.0, 400.0])
def test_an_answer_is_found_again_with_another_budget(
    place: Workspace, planted: tuple[Path, str, str], budget: float
) -> None:
    """What a larger one adds, or a smaller one leaves out, may give the theft another id."""
    _, _, stolen = planted
    (theft,) = of(told(place, 3), stolen)
    label(place, theft["incident_uid"], "true_positive")
    (place.root / config.FILE_NAME).write_text(f"[detection]\nbudget = {budget}\n")
    facts = told(opened(place.root), 3)
    found = [i for i in of(facts, stolen) if (i["answer"] or {}).get("verdict") == "true_positive"]
    (said,) = found or of(facts, stolen, "not_raised")
    assert theft["incident_uid"] in (said["incident_uid"], *said.get("aliases", ()))
    assert found or budget < 5


def test_the_same_report_twice_is_the_same_though_confirmed_misuse_grew(
    place: Workspace, planted: tuple[Path, str, str]
) -> None:
    (raised,) = of(told(place, 0), planted[1])
    label(place, raised["incident_uid"], "true_positive")
    first, second = told(place, 1), told(place, 1)
    assert first == second
    assert labels.read(place, DAY + timedelta(2)).table["end"].iloc[0] == raised["end"]
    later = labels.read(place, DAY + timedelta(3)).table["end"].iloc[0]
    assert later == of(first, planted[1])[0]["end"] > raised["end"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"incident_uid": "inc1_nothing", "accept": True},
            r"no incident 'inc1_nothing'; (did you mean|known: ).*inc1_",
        ),
        ({"verdict": "tp"}, "verdict is 'tp'; known: true_positive"),
        ({"reason": "  "}, "needs a reason"),
        ({"who": ""}, "needs a name"),
        ({"until": "2026-02-18"}, "not in the future: today is 2026-02-18"),
        ({"until": "soon"}, "expected a day such as"),
        ({}, "one choice of two"),
        ({"accept": True, "until": "2026-04-01"}, "one choice of two"),
        ({"verdict": "false_positive", "accept": True}, "does not go with --accept-new-normal"),
        ({"verdict": "true_positive", "until": "2026-04-01"}, "does not go with --until"),
    ],
)
def test_an_answer_that_cannot_be_taken_says_what_to_do(
    planted: tuple[Path, str, str], change: dict[str, Any], said: str
) -> None:
    place = opened(planted[0])
    (raised,) = of(report.gather(place, DAY, DAY + timedelta(1)), planted[1])
    given = {"incident_uid": raised["incident_uid"], "verdict": "benign", "reason": "r", "who": "ana", "now": TODAY}
    with pytest.raises(InputError, match=said):
        labels.label(place, **given | change)
    assert labels.labels(place).empty


def test_a_suppression_needs_a_token_and_a_channel_that_exist(planted: tuple[Path, str, str]) -> None:
    place = opened(planted[0])
    with pytest.raises(InputError, match="no token 'nobody'"):
        labels.suppress(place, "nobody", "r", "ana", "2026-04-01", now=TODAY)
    (raised,) = of(report.gather(place, DAY, DAY + timedelta(1)), planted[1])
    with pytest.raises(InputError, match="no channel 'drift_request'; did you mean drift_requests"):
        labels.suppress(place, raised["profile_uid"], "r", "ana", "2026-04-01", "drift_request", now=TODAY)
    with pytest.raises(InputError, match="no suppression 'sup1_x'"):
        labels.withdraw(place, "sup1_x")


def test_a_pasted_secret_is_masked_and_accepting_again_keeps_the_heights_that_the_incident_had(
    place: Workspace, planted: tuple[Path, str, str]
) -> None:
    (raised,) = of(told(place, 0), planted[1])
    secret, uid = "ghp_" + "a1B2" * 9, raised["incident_uid"]
    made = labels.label(place, uid, "benign", f"for {secret}", "ana\x1b[31m", accept=True, now=TODAY)
    assert secret not in str(made) and secret not in str(labels.labels(place).to_dict()) and "\x1b" not in made["who"]
    assert secret.encode() not in place.state.read_bytes()
    first = labels.read(place, DAY + timedelta(2)).accepted_scores
    told(place, 0)  # scores it anew
    label(place, uid, "benign", accept=True)
    pd.testing.assert_frame_equal(labels.read(place, DAY + timedelta(2)).accepted_scores, first)


def test_a_what_if_is_a_run_where_an_incident_was_accepted(place: Workspace, planted: tuple[Path, str, str]) -> None:
    from tokenkit.workbench import tune

    (raised,) = of(told(place, 0, days=3), planted[1])
    label(place, raised["incident_uid"], "benign", accept=True)
    facts = told(place, 0, days=3)
    what_if = tune.with_saved_settings(tune.prepare(place, DAY, DAY + timedelta(3)))
    assert set(what_if.incidents["incident_uid"]) == {
        r["incident_uid"] for r in facts["incidents"] if r["state"] in ("opened", "grown")
    }
    stored = raw_logs.table(place, "scores").groupby(["channel", "day"])["threshold_bits"].first()
    for (channel, day), bits in stored.items():
        assert np.isclose(what_if.threshold_table.at[pd.Timestamp(day, tz="UTC"), channel], bits), (channel, day)
