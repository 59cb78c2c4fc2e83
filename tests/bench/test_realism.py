"""Statistics of realism agree with what can be worked out by hand, and the notebook runs without the real logs."""

import json
import re
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tokenkit.bench.page import drawing
from tokenkit.bench.realism import logs, months, plots, statistics
from tokenkit.errors import InputError, ReportError
from tokenkit.report.publishing import unattended
from tokenkit.report.publishing.notebooks import check_parameters
from tokenkit.world.bench_organisation import bench_mean_requests, bench_organisation
from tokenkit.world.benign_changes import daily_variation
from tokenkit.world.draws import stream
from tokenkit.world.traffic import request_times

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "bench" / "realism.ipynb"
SIZE = {"tokens": 24, "days": 28}
DAY = 86_400


def events(*rows: tuple[str, float], **columns: object) -> pd.DataFrame:
    """Events: token and seconds since 1 March 2026; other columns are the same for all, or one value a row."""
    frame = pd.DataFrame(rows, columns=["token", "second"])
    time = pd.Timestamp("2026-03-01", tz="UTC") + pd.to_timedelta(frame.pop("second"), unit="s")
    usual = {"network": 1, "client": 1, "operation": 1, "object": 0, "outcome": "ok", "response_bytes": np.nan}
    return frame.assign(time=time, **{**usual, **columns})


@pytest.fixture(scope="module")
def simulated() -> pd.DataFrame:
    return logs.organisations([0], **SIZE)


# ---- hours, by hand ----
def test_a_metronome_has_no_variation_and_two_bursts_have_more_than_a_poisson_process():
    even = statistics.interarrival(events(*[("a", 10.0 * n) for n in range(50)]), by=["token"]).loc["a"]
    assert (even["cv"], even["median_s"], even["p99_s"]) == (0.0, 10.0, 10.0)
    burst = statistics.interarrival(events(*[("a", float(n)) for n in (*range(10), *range(500, 510))]), by=["token"])
    # 18 gaps of 1 s and one of 491: mean 509 / 19, mean of squares (18 + 491^2) / 19
    mean, square = 509 / 19, (18 + 491**2) / 19
    assert burst.loc["a", "cv"] == pytest.approx(np.sqrt(square - mean**2) / mean)
    assert burst.loc["a", "cv"] > 4


def test_gaps_are_taken_within_a_token_whatever_the_order_of_the_rows():
    mixed = events(("b", 7), ("a", 30), ("b", 2), ("a", 0), ("a", 10))
    assert sorted(statistics.gaps(mixed, by=["token"])) == [5.0, 10.0, 20.0]


def test_with_one_gap_there_is_no_variation_to_speak_of():
    assert np.isnan(statistics.interarrival(events(("a", 0), ("a", 9)), by=["token"]).loc["a", "cv"])


def test_an_hour_with_too_few_calls_is_left_out_and_hours_begin_with_the_log():
    rows = [("a", 1800 + n) for n in range(20)] + [("a", 1800 + 3600)] + [("b", 1801)]
    hours = statistics.token_hours(events(*rows))
    assert len(hours) == 20 and hours["second"].tolist() == list(range(20)) and set(hours["hour"]) == {0}


@pytest.mark.parametrize(
    ("seconds", "window", "expected"),
    [
        (range(10), 1, 0.0),  # one call in each second: no variance
        ([0] * 10 + [9], 1, (100 + 1 - 121 / 10) / 9 / 1.1),  # counts 10, 0 x 8, 1
        ([0, 0, 0, 9], 5, (9 + 1 - 16 / 2) / 1 / 2),  # counts 3, 1
        ([0, 9], 60, np.nan),  # the log ends before two windows do
    ],
)
def test_the_fano_factor_is_variance_over_mean_of_the_calls_in_whole_windows(seconds, window, expected):
    hour = pd.DataFrame({"token": "a", "hour": 0, "second": list(seconds)})
    assert statistics.fano(hour, [window]).loc[("a", 0), window] == pytest.approx(expected, nan_ok=True)


def test_a_poisson_process_has_a_fano_factor_of_one_in_each_window_and_a_variation_of_one():
    rng = np.random.default_rng(5)
    times = np.sort(rng.integers(0, 200 * 3600, 200 * 400))
    hours = statistics.by_token_hour(events(*[("a", float(t)) for t in times]))
    for name in ("fano 1 s", "fano 60 s", "fano 600 s"):
        assert hours[name].mean() == pytest.approx(1.0, abs=0.1), name
    assert hours["cv"].mean() == pytest.approx(1.0, abs=0.05)


def test_entropy_is_zero_for_one_operation_and_even_for_equal_shares():
    calls = events(
        *[("one", 0)] * 4, *[("four", 0)] * 4, *[("odd", 0)] * 4, operation=[7] * 4 + [1, 2, 3, 4] + [1, 1, 1, 2]
    )
    table = statistics.entropy(calls, by=["token"])
    assert table.loc["one"].tolist() == [1, 0.0, 0.0] and table.loc["four"].tolist() == [4, 2.0, 1.0]
    assert table.loc["odd", "bits"] == pytest.approx(0.75 * np.log2(4 / 3) + 0.25 * 2)


def test_shares_of_outcomes_add_up_and_name_those_that_did_not_occur():
    share = statistics.error_rates(events(*[("a", n) for n in range(4)], outcome=["ok", "ok", "missing", "server"]))
    assert share.to_dict() == {"ok": 0.5, "denied": 0, "throttled": 0, "missing": 0.25, "other": 0, "server": 0.25}


# ---- days, by hand ----
@pytest.mark.parametrize("alpha", [0.8, 1.2, 2.5])
def test_hill_finds_the_index_of_a_pareto_tail(alpha):
    sizes = pd.Series(1_000 * (1 + np.random.default_rng(3).pareto(alpha, 200_000)))
    assert statistics.hill(sizes, 5_000) == pytest.approx(alpha, rel=0.05)
    told = statistics.tail(sizes)
    assert told["alpha of the top 10%"] == pytest.approx(alpha, rel=0.05)
    assert told["p99.9 / p99"] == pytest.approx(10 ** (1 / alpha), rel=0.25)


def test_sizes_that_are_unknown_or_zero_are_no_part_of_the_tail():
    assert statistics.tail(pd.Series([np.nan, 0.0, 10.0, 10.0]))["n"] == 2
    assert np.isnan(statistics.hill(pd.Series([5.0, 20.0]), above=10.0))


def test_a_value_is_first_seen_on_its_first_day_alone_and_the_first_week_is_left_out():
    rows = [("a", DAY * n) for n in range(10)] + [("a", DAY * 8 + 60)]
    seen = statistics.first_seen(events(*rows, network=[1] * 10 + [2], operation=[1] * 9 + [3] + [1])).round(3)
    assert seen.loc["network"].tolist() == [3, 0.333, 0.333, 0.333, 0.25]  # of 3 days and 4 calls
    assert seen.loc["operation"].tolist() == [3, 0.333, 0.333, 0.333, 0.25]
    assert seen.loc["client", "with_new"] == 0 and seen.loc["object", "token_days"] == 0


def test_a_weekly_job_repeats_last_week_and_not_yesterday():
    rows = [("weekly", DAY * 7.0 * week) for week in range(10) for _ in range(5)] + [("weekly", DAY * 69.0)]
    table = statistics.autocorrelation(events(*rows))
    assert table.loc["weekly", 7] > 0.8 and table.loc["weekly", 1] < 0


def test_calls_that_never_change_have_no_autocorrelation():
    assert statistics.autocorrelation(events(*[("a", DAY * n) for n in range(20)])).isna().all(axis=None)


# ---- weeks, by hand ----
def calls_of(token: str, calls: list[int], objects: int = 0) -> pd.DataFrame:
    """So many calls on each day, on objects that come round after so many."""
    rows = [(token, d * DAY + n) for d, many in enumerate(calls) for n in range(many)]
    touched = [1 + d % objects if objects else 0 for d, many in enumerate(calls) for _ in range(many)]
    return events(*rows, object=touched)


def test_a_level_that_rises_begins_once_and_stays():
    both = pd.concat(
        [calls_of("a", [10] * 42 + [20] * 14), calls_of("b", [10] * 56), calls_of("c", [0] * 50 + [99] * 6)]
    )
    found = months.month_statistics(both)
    assert found["tokens"] == 2, "the third was not there in the first weeks"
    # 15 windows of 14 days end on the days from the 42nd on; 9 of 14 days at 20 calls make 16.4 a day
    assert found["+60% begins, per 1,000 a day"] == pytest.approx(1000 / (2 * 14))
    assert found["days at +60%"] == pytest.approx(6 / (2 * 15))


def test_a_day_is_set_beside_the_median_active_day_of_the_first_four_weeks():
    found = months.month_statistics(calls_of("a", [2, 0] * 14 + [2] * 20 + [6, 20] + [2] * 8))
    assert found["threefold days, per 1,000"] == pytest.approx(2000 / 30)
    assert found["tenfold days, per 1,000"] == pytest.approx(1000 / 30)
    even = months.month_statistics(calls_of("a", [3] * 50))
    assert (even["variation of days"], even["busiest day in 100"]) == (0.0, 1.0)


def test_an_object_is_new_on_its_first_day_and_no_other():
    found = months.month_statistics(calls_of("a", [2] * 60, objects=40))
    assert found["objects never touched before"] == pytest.approx(12 / 32)  # of 32 days, until all 40 are known


def test_six_weeks_are_too_few_to_tell():
    found = months.month_statistics(calls_of("a", [3] * 42))
    assert found["tokens"] == 1 and found[[c for c in found.index if "per 1,000" in c]].isna().all()


def test_the_committed_months_are_rounded_and_say_where_they_come_from(tmp_path):
    table = months.beside_real_months(months.month_statistics(calls_of("a", [3] * 50)))
    assert list(table) == ["simulated", *months.SOURCES] and not table[list(months.SOURCES)].isna().any().any()
    months.write({name: table[name] for name in months.SOURCES}, tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == months.REAL.read_bytes()


# ---- the real hour ----
def test_the_committed_statistics_are_those_of_the_real_logs(real_logs, tmp_path):
    made = logs.summarise(real_logs)
    logs.write(made, tmp_path / "made.json")
    assert (tmp_path / "made.json").read_bytes() == logs.REAL.read_bytes()
    shares = made.about
    assert shares["records"] == 2900 and 0 < shares["calls"] < 2900 and made.errors.sum() == pytest.approx(1)


def test_the_committed_statistics_hold_no_key_no_name_and_no_address():
    text = logs.REAL.read_text()
    assert not re.search(r"tok1_|A[KS]IA|arn:|\d+\.\d+\.\d+\.\d+|\d{12}", text)
    about = json.loads(text)["about"]
    assert {"what", "source", "licence", "first", "last", "records"} <= set(about) and "MIT" in about["licence"]


def test_each_published_figure_has_a_source_or_says_that_there_is_none():
    table = logs.published()
    assert set(logs.PUBLISHED["source"]) - {""} == set(logs.SOURCES.index)
    assert table.loc[table["source"] == "", "figure"].str.startswith("none found").all()
    assert {"bytes tail", "first seen", "autocorrelation"} <= set(table.index)


# ---- the simulated organisations ----
def test_an_organisation_is_kept_and_used_again(tmp_path):
    size = {"tokens": 12, "days": 28}
    first = logs.organisations([3], **size, folder=tmp_path)
    (kept,) = tmp_path.glob("realism-*/3/lake/tokens")
    before = kept.stat().st_mtime_ns
    pd.testing.assert_frame_equal(first, logs.organisations([3], **size, folder=tmp_path))
    assert kept.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("seeds", "size", "said"),
    [
        ([], SIZE, "seeds are"),
        ([True], SIZE, "seeds are"),
        (["0"], SIZE, "seeds are"),
        ([0], {"tokens": 3, "days": 28}, "at least 12"),
        ([0], {"tokens": 24, "days": 27}, "28 days"),
    ],
)
def test_an_organisation_that_says_nothing_is_refused(seeds, size, said):
    with pytest.raises(InputError, match=said):
        logs.organisations(seeds, **size)


def test_what_the_notebook_says_of_the_simulator_still_holds(simulated):
    """Its last text has round figures of the simulator: when this fails, change them there."""
    log, real = logs.log_statistics(simulated), logs.real_hour()
    table = logs.compare_token_hours(log, real)
    assert 0.03 < 1 - log.gaps.loc[0] < 0.2 and real.gaps.loc[0] < 0.25
    assert 0.9 < table.loc["fano 1 s", "simulated_50%"] < 1.3 and table.loc["fano 1 s", "real_median"] > 10
    assert (table.loc["fano 1 s":"fano 60 s", "inside"] < 0.4).all() and table.loc["fano 600 s", "inside"] > 0.5
    assert (statistics.interarrival(simulated, by=["token"])["cv"] > 1).mean() > 0.8
    assert 3 <= table.loc["operations", "simulated_50%"] <= 6 and log.hours["operations"].max() <= 18
    assert 0.01 < 1 - log.errors["ok"] < 0.03 and 0.1 < 1 - real.errors["ok"] < 0.11
    assert log.volumes["orders"] < 5 and 0.4 < log.volumes["share"] < 0.75
    assert 1.4 < log.sizes["alpha of the top 1%"] < 3.5 and 2 < log.sizes["p99.9 / p99"] < 6
    new = statistics.first_seen(simulated)
    assert 0.01 < new.loc["operation", "new_a_day"] < 0.1 and new.loc["network", "median_token"] < 0.15


def test_figures_are_pictures_and_say_in_words_what_they_show(simulated):
    log, real = logs.log_statistics(simulated), logs.real_hour()
    draws = [
        lambda: plots.gaps(log, real),
        lambda: plots.bursts(log, real),
        lambda: plots.errors(log, real),
        lambda: plots.sizes(simulated),
        lambda: plots.first_seen(statistics.first_seen(simulated)),
        lambda: plots.rhythm(statistics.autocorrelation(simulated)),
    ]
    for draw in draws:
        ax = draw()
        picture = drawing.png(ax)
        assert picture.startswith(b"\x89PNG") and picture == drawing.png(draw())
        assert len(drawing.alt(ax)) > 60 and "nan" not in drawing.alt(ax)


# ---- the notebook ----
@pytest.mark.slow
def test_the_notebook_runs_with_other_parameters_and_needs_no_real_log(tmp_path):
    parameters = {"seeds": [1], **SIZE, "folder": str(tmp_path / "kept")}
    page = unattended.run_notebook(NOTEBOOK, parameters, tmp_path / "page.html").read_text()
    assert "<script" not in page and "Traceback" not in page and "Warning" not in page
    assert page.count("<img ") == 6 and page.count('alt="') >= 6
    for said in (
        "gaps of 0 s",
        "What that means",
        "IEEE/ACM Transactions on Networking",
        "none found for the daily calls",
    ):
        assert said in page
    assert list((tmp_path / "kept").glob("realism-*/1/lake"))


def test_a_mistyped_parameter_is_an_error_that_lists_what_exists(command, tmp_path):
    left = command("notebook", NOTEBOOK, "-p", "seed=[0]", "--out", tmp_path / "x.html", cwd=tmp_path)
    assert left.code == 2 and "did you mean seeds?" in left.err and "folder: str" in left.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "value", "said"), [("tokens", "many", "got str"), ("days", 28.5, "got float")])
def test_a_value_has_the_type_that_the_notebook_declares(name, value, said):
    with pytest.raises(InputError, match=f"parameter {name}: expected int, {said}"):
        check_parameters(NOTEBOOK, {name: value})


def test_a_size_that_is_too_small_ends_the_notebook_with_what_is_needed(tmp_path):
    with pytest.raises(ReportError, match="at least 12 tokens and 28 days"):
        unattended.run_notebook(NOTEBOOK, {"tokens": 2}, tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def weeks() -> dict[str, pd.Series]:
    """Month statistics of simulated machines, and of the other simulated tokens."""
    org, _ = bench_organisation(315, 98, date(2026, 1, 5), 0)
    frames: dict[bool, list[pd.DataFrame]] = {True: [], False: []}
    for token, mean in zip(org.tokens, bench_mean_requests(org, 1500), strict=True):
        hours, _ = request_times(stream(0, token.native_id, "requests"), token, org, mean, daily_variation(token, org))
        times = pd.Timestamp(org.begin_time) + pd.to_timedelta(hours, unit="h")
        calls = pd.DataFrame({"token": token.native_id, "time": times, "object": 0})
        if token.created <= org.begin_time:
            frames[token.job.archetype == "cron"].append(calls)
    return {name: months.month_statistics(pd.concat(frames[name == "machines"])) for name in ("machines", "others")}


def test_over_weeks_simulated_accounts_are_no_calmer_than_the_calmest_real_log(weeks):
    real = months.beside_real_months(weeks["others"]).drop(columns="simulated").drop(index="tokens").min(axis=1)
    told = ["+60% begins, per 1,000 a day", "days at +60%", "threefold days, per 1,000", "tenfold days, per 1,000"]
    assert (weeks["others"][told] > 0.85 * real[told]).all(), weeks["others"]


def test_over_weeks_simulated_machines_keep_to_their_level(weeks):
    assert weeks["machines"]["days at +60%"] < 0.08
    assert weeks["machines"]["tenfold days, per 1,000"] < 2
