"""How far off a window is: tails that agree with SciPy, counts that know how small they are, rows that stand alone."""

import numpy as np
import pytest
import raw_logs
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_logs import day_of
from scipy.stats import genpareto

from tokenkit.fingerprint import judged_features
from tokenkit.normal import deviation
from tokenkit.normal.evidence import Evidence, deviations_table
from tokenkit.normal.tail import LEAST_SHAPE, MAX_BITS, TAIL_FROM, Tail, fit_tail

finite = st.floats(-50, 50, allow_nan=False)


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return raw_logs.evidence_of(raw_logs.steady(days=70), raw_logs.periods(42, 70))


@settings(max_examples=60)
@given(st.lists(finite, min_size=0, max_size=200), st.lists(finite, min_size=2, max_size=20))
def test_the_farther_off_the_more_bits(pool: list[float], values: list[float]) -> None:
    bits = fit_tail(np.array(pool)).bits(np.sort(values))
    assert np.all(np.diff(bits) >= 0)
    assert np.all((bits >= 0) & (bits <= MAX_BITS))


def test_beyond_the_tail_s_start_bits_are_those_of_a_generalised_pareto() -> None:
    tail = Tail(np.sort(np.random.default_rng(0).normal(size=2000)), start=2.0, shape=0.3, scale=0.5)
    x = np.array([2.01, 2.5, 4.0, 8.0])
    expected = -np.log2(TAIL_FROM * genpareto.sf(x, 0.3, loc=2.0, scale=0.5))
    np.testing.assert_allclose(tail.bits(x), expected, rtol=1e-12)


def test_since_the_reference_a_level_counts_for_as_long_as_it_stays_and_a_busy_day_of_all_does_not() -> None:
    values = raw_logs.steady(days=70)
    names = ("requests", "response_bytes", "request_bytes", "objects")
    for name in names:
        values[name][3, 45:] *= 6  # one moved, and stays
        values[name][:, 60] *= 3  # all of them, for a day
        values[name][5, 65] *= 1e6  # beyond the clip
    e = raw_logs.evidence_of(values, raw_logs.periods(42, 70))
    far, anew = e.since_reference["requests"], e.z["requests"]
    assert far[3, -1] > 4 > 2 > anew[3, -1]
    assert abs(np.median(far[:, 60])) < 1 and far[5, 65] == deviation.CLIP
    assert all(np.nanmax(np.abs(z)) <= deviation.CLIP for z in e.since_reference.values())


@pytest.mark.parametrize("shape", [0.25, 0.4])
def test_a_generalised_pareto_tail_is_recovered(shape: float) -> None:
    pool = genpareto.rvs(shape, scale=2.0, size=200_000, random_state=1)
    tail = fit_tail(pool)
    assert tail.start == pytest.approx(genpareto.ppf(0.98, shape, scale=2.0), rel=0.05)
    assert tail.shape == pytest.approx(shape, abs=0.08)
    far = genpareto.ppf(0.9999, shape, scale=2.0)
    assert tail.bits(np.array([far]))[0] == pytest.approx(-np.log2(1e-4), abs=0.4)


def test_below_the_tail_bits_are_the_share_of_the_pool_at_least_as_large() -> None:
    tail = fit_tail(np.arange(100.0))
    assert tail.bits(np.array([-1.0]))[0] == 0
    assert tail.bits(np.array([50.0]))[0] == pytest.approx(-np.log2(51 / 101))


def test_a_tail_promises_no_thinner_end_than_is_allowed() -> None:
    uniform = np.linspace(0, 1, 5000)
    assert fit_tail(uniform).shape == LEAST_SHAPE
    assert fit_tail(uniform, 0.35).shape == 0.35
    assert fit_tail(np.full(5000, 3.0)).scale > 0
    assert fit_tail(np.array([])).bits(np.array([0.0]))[0] == 0
    assert fit_tail(np.array([np.nan, 1.0])).pool.tolist() == [1.0]


def test_what_is_not_known_has_no_bits() -> None:
    assert np.isnan(fit_tail(np.arange(10.0)).bits(np.array([np.nan]))).all()


def test_one_object_in_sequence_is_not_as_far_off_as_five_hundred() -> None:
    values = raw_logs.steady()
    values["sequential_objects"][0, 50], values["sequential_objects"][1, 50] = 1, 500
    found = raw_logs.evidence_of(values, raw_logs.periods(42, 62))
    z = found.z["sequential_objects"][:, 50]
    assert z[0] < 2 < 6 < z[1]
    bits = found.bits["sequential_objects"][:, 50]
    assert bits[1] > bits[0] + 4


def test_few_calls_are_allowed_to_vary_more_than_many() -> None:
    values = raw_logs.steady(noise=0.05)
    values["requests"][:12] = np.random.default_rng(0).poisson(4, (12, 62)) + 1.0
    found = raw_logs.evidence_of(values, raw_logs.periods(42, 62))
    from tokenkit.normal import baseline

    v = baseline.variance(found.fits["requests"], judged_features()["requests"], found.days)
    assert v[:12].mean() > 3 * v[12:].mean()


def test_a_tenfold_day_is_far_off_and_the_next_is_not() -> None:
    values = raw_logs.steady()
    values["response_bytes"][0, 50] *= 10
    found = raw_logs.evidence_of(values, raw_logs.periods(42, 62))
    assert found.bits["response_bytes"][0, 50] > 10
    assert found.bits["response_bytes"][0, 51] < 7


def test_a_day_that_moved_everyone_moves_nobody() -> None:
    values = raw_logs.steady()
    quiet = raw_logs.evidence_of(values, raw_logs.periods(42, 62))
    values["response_bytes"][:, 50] *= 3
    busy = raw_logs.evidence_of(values, raw_logs.periods(42, 62))
    moved = np.abs(busy.z["response_bytes"][:, 50] - quiet.z["response_bytes"][:, 50])
    assert np.median(moved) < 0.7, "threefold is seven standard deviations"
    assert moved.max() < 3.5


def test_a_level_that_moved_weeks_ago_is_no_longer_far_off() -> None:
    values = raw_logs.steady()
    values["response_bytes"][0, 42:] *= 3
    found = raw_logs.evidence_of(values, raw_logs.periods(42, 62)).z["response_bytes"][0]
    assert found[42] > 3 > 2 > np.median(found[55:])


def shorter(evidence: Evidence, end: int) -> Evidence:
    values = {n: m[:, :end] for n, m in evidence.days.values.items()}
    return raw_logs.evidence_of(values, raw_logs.periods(42, end))


@pytest.mark.parametrize("end", [43, 49, 57, 69])
def test_the_days_that_follow_change_no_bit_of_a_day(evidence: Evidence, end: int) -> None:
    """A row's context is its profile's past, the reference, and its peers of that day; never the rows scored."""
    part = shorter(evidence, end)
    for name in judged_features():
        assert np.array_equal(part.z[name], evidence.z[name][:, :end], equal_nan=True), name
        assert np.array_equal(part.bits[name], evidence.bits[name][:, :end], equal_nan=True), name


def test_the_days_that_follow_change_no_bit_in_a_history_of_half_a_year_either() -> None:
    values = raw_logs.steady(profiles=8, days=180)  # sums over more than 128 days are added up in another order
    whole = raw_logs.evidence_of(values, raw_logs.periods(100, 180))
    part = raw_logs.evidence_of({n: m[:, :141] for n, m in values.items()}, raw_logs.periods(100, 141))
    for name in judged_features():
        assert np.array_equal(part.z[name], whole.z[name][:, :141], equal_nan=True), name


def test_the_table_of_some_days_has_the_rows_of_the_table_of_all(evidence: Evidence) -> None:
    whole = deviations_table(evidence, day_of(42)).sort_values(["feature", "profile_uid", "start"], ignore_index=True)
    part = deviations_table(evidence, day_of(60)).sort_values(["feature", "profile_uid", "start"], ignore_index=True)
    assert whole[whole["start"] >= part["start"].min()].reset_index(drop=True).equals(part)
    assert len(part) == 24 * 10 * len(judged_features())
    assert np.allclose(part["bits"], -np.log2(part["tail_probability"]))
    assert (part["expected"] >= 0).all()


def test_a_day_without_a_call_has_no_deviation(evidence: Evidence) -> None:
    values = {n: m.copy() for n, m in evidence.days.values.items()}
    for matrix in values.values():
        matrix[0, 50] = np.nan
    found = raw_logs.evidence_of(values, raw_logs.periods(42, 70))
    assert all(np.isnan(found.bits[n][0, 50]) and np.isnan(found.z[n][0, 50]) for n in judged_features())
    table = deviations_table(found, day_of(50))
    assert len(table[table["start"] == table["start"].min()]) == 23 * len(judged_features())
