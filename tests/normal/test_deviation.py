"""How far off a window is: tails that agree with SciPy, counts that know how small they are, rows that stand alone."""

import math
import statistics
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import raw_logs
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_logs import day_of
from scipy.stats import genpareto

from tokenkit.fingerprint import judged_features
from tokenkit.fingerprint.feature import Feature
from tokenkit.normal import baseline, deviation
from tokenkit.normal.baseline import Fit
from tokenkit.normal.day_matrices import Days
from tokenkit.normal.deviation import Yardstick
from tokenkit.normal.evidence import Evidence, deviations_table
from tokenkit.normal.labelled_periods import DaySpan
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


# the formulas of docs/method/baseline.md, one value at a time


def tail_by_hand(values: Iterable[float], least_shape: float = 0.2) -> tuple[list[float], float, float, float]:
    """The pool, and where its tail starts, with its shape and scale."""
    pool = sorted(float(v) for v in values if not math.isnan(v)) or [0.0]
    place = 0.98 * (len(pool) - 1)
    low = math.floor(place)
    start = pool[low] + (place - low) * (pool[min(low + 1, len(pool) - 1)] - pool[low])
    over = [v - start for v in pool if v > start]
    shape, scale = least_shape, 1.0
    if len(over) >= 10:
        mean = math.fsum(over) / len(over)
        weighted = math.fsum(x * (1 - (k + 0.65) / len(over)) for k, x in enumerate(over)) / len(over)
        shape = min(max(2 - mean / max(mean - 2 * weighted, 1e-9), least_shape), 0.5)
        scale = mean * (1 - shape)
    elif over:
        scale = math.fsum(over) / len(over)
    return pool, start, shape, max(scale, 0.05)


def bits_by_hand(value: float, pool: list[float], start: float, shape: float, scale: float) -> float:
    if math.isnan(value):
        return math.nan
    if value > start:
        p = 0.02 * (1 + shape * (value - start) / scale) ** (-1 / shape)
    else:
        p = max((sum(v >= value for v in pool) + 1) / (len(pool) + 1), 0.02)
    return min(-math.log2(p), 40.0)


def standard_by_hand(fit: Fit, feature: Feature, days: Days, accepted: bool) -> np.ndarray:
    """Residuals in standard deviations, with or without what was accepted."""
    found = np.empty(days.reference.shape)
    for d, day in enumerate(days.days):
        kind = 1 if day.weekday() >= 5 else 0
        for k in range(len(found)):
            usual, doubt = float(fit.level[k, kind]), 0.0
            if feature.given:
                usual += float(fit.slope[k]) * math.log1p(days.values[feature.given][k, d])
            if accepted and fit.shift is not None and fit.doubt is not None:
                usual, doubt = usual + float(fit.shift[k, d]), float(fit.doubt[k, d])
            calls = max(float(days.values["requests"][k, d]), 1.0)
            v = float(fit.scale[k]) ** 2 * (fit.noise[0] + fit.noise[1] / calls)
            if feature.unit != "bytes":
                n = max(math.expm1(usual), 0.0)
                v += (n + 0.5) / (n + 1) ** 2
            found[k, d] = (math.log1p(days.values[feature.name][k, d]) - usual) / math.sqrt(v + doubt)
    return found


def effect_by_hand(standard: np.ndarray, days: Days) -> np.ndarray:
    """What moved everyone on each day: the peers' median, held to that of all by ten of them."""
    effect = np.empty(standard.shape)
    counted = [k for k, row in enumerate(days.shared) if row.any()] or list(range(len(standard)))
    for d in range(standard.shape[1]):
        known = {k: float(standard[k, d]) for k in counted if not days.misuse[k, d] and not math.isnan(standard[k, d])}
        of_all = statistics.median(known.values()) if known else 0.0
        for k, g in enumerate(days.group):
            peers = [z for other, z in known.items() if days.group[other] == g]
            middle = statistics.median(peers) if peers else 0.0
            effect[k, d] = (len(peers) * middle + 10 * of_all) / (len(peers) + 10)
    return effect


def level_by_hand(z: np.ndarray, since: np.ndarray | None = None) -> np.ndarray:
    """The level of the 14 days before each day."""
    level = np.zeros(z.shape)
    for k, row in enumerate(z.tolist()):
        for d in range(len(row)):
            first = max(d - 14, 0, 0 if since is None else int(since[k, d]))
            if known := [v for v in row[first:d] if not math.isnan(v)]:
                level[k, d] = statistics.median(known) * len(known) / (len(known) + 3)
    return level


def without_misuse(z: np.ndarray, days: Days) -> np.ndarray:
    found = z.copy()
    found[days.misuse] = math.nan
    return found


def within_twenty(z: np.ndarray) -> np.ndarray:
    return np.array([[min(max(v, -20.0), 20.0) if not math.isnan(v) else v for v in row] for row in z.tolist()])


def agree(found: np.ndarray, expected: np.ndarray | list[float] | list[list[float]]) -> None:
    assert found.shape == np.shape(expected)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def scattered(profiles: int, count: int, seed: int, learned: int | None = None) -> tuple[Days, np.ndarray]:
    """Deviations of profiles in three groups, with gaps, misuse and a young one; nothing is learned from the third."""
    rng = np.random.default_rng(seed)
    shape = (profiles, count)
    z = rng.standard_t(2, shape)
    z[rng.random(shape) < 0.2] = np.nan
    z[:, count // 2] = np.nan  # a day on which nobody called
    misuse = rng.random(shape) < 0.1
    shared = ~np.isnan(z) & ~misuse & (np.arange(count) < 20)[None, :]
    group = np.arange(profiles) % 3
    shared[(group == 2) | (np.arange(profiles) == 1)] = False
    if learned is not None:
        shared[learned:] = False
    reference = shared.copy()
    reference[1, 25:35] = ~np.isnan(z[1, 25:35])  # a younger one has its own
    days = pd.date_range(day_of(0), periods=count, freq="D", tz="UTC")
    names = np.array([f"tok1_{k:024x}" for k in range(profiles)], dtype=object)
    return Days(
        names, days, {"requests": np.where(np.isnan(z), np.nan, 1.0)}, group, ["a", "b", "c"],
        np.full(profiles, "office"), reference, np.where(reference.sum(axis=1) >= 7, "mature", "young"), shared,
        misuse, [], pd.DataFrame(),
    ), z  # fmt: skip


def pools() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    return {
        "nothing": np.array([np.nan]),
        "one": np.array([2.5]),
        "thin": rng.random(800) * 9,
        "heavy": rng.pareto(0.8, 800),
        "between": rng.standard_t(3, 3000),
        "negative": -rng.exponential(3, 700) - 5,
        "ties": np.round(rng.exponential(2, 900)),
        "ten beyond": rng.normal(0, 3, 501),
        "nine beyond": rng.normal(0, 3, 451),
        "eleven beyond": rng.normal(0, 3, 551),
        "one beyond": rng.normal(0, 3, 51),
        "gaps": np.where(rng.random((6, 150)) < 0.2, np.nan, rng.normal(0, 2, (6, 150))),
        "all the same": np.full(600, 3.0),
        "all but the same": np.repeat([0.0, 1e-10], [588, 12]),
        "narrow": rng.random(800) * 1e-3,
    }


@pytest.mark.parametrize("name", list(pools()))
@pytest.mark.parametrize("least_shape", [0.2, 0.35])
def test_a_tail_is_the_one_of_the_formula(name: str, least_shape: float) -> None:
    values = pools()[name]
    pool, start, shape, scale = tail_by_hand(values.ravel(), least_shape)
    found = fit_tail(values, least_shape)
    assert found.pool.tolist() == pool
    agree(np.array([found.start, found.shape, found.scale]), [start, shape, scale])
    some = np.array([*pool[::97], *pool[-15:], start, start + 1e-3, start + 0.4, start + 3, start + 1e3, np.nan])
    some = np.concatenate([some, [start + 1e9, pool[0] - 1, pool[-1] + 1]])
    tail = (found.start, found.shape, found.scale)
    agree(found.bits(some), [bits_by_hand(float(v), pool, *tail) for v in some])


def test_the_pools_of_this_file_have_tails_of_every_kind() -> None:
    tails = {name: tail_by_hand(pool.ravel()) for name, pool in pools().items()}
    beyond = {name: sum(v > start for v in pool) for name, (pool, start, _, _) in tails.items()}
    assert [beyond[f"{n} beyond"] for n in ("one", "nine", "ten", "eleven")] == [1, 9, 10, 11]
    assert tails["thin"][2] == 0.2 < tails["between"][2] < 0.5 == tails["heavy"][2]
    assert tails["all the same"][3] == tails["nothing"][3] == tails["one"][3] == 1.0
    assert tails["narrow"][3] == tails["all but the same"][3] == 0.05
    assert tails["all but the same"][2] == 0.5, "so little beyond says nothing of its end"


def test_without_a_shape_of_its_own_a_tail_is_held_as_those_of_deviations_are() -> None:
    assert fit_tail(pools()["thin"]).shape == 0.2


def test_forty_bits_are_the_most() -> None:
    tail = Tail(np.arange(9.0), start=7.5, shape=0.25, scale=1.0)
    assert tail.bits(np.array([1e5, 1e30])).tolist() == [40.0, 40.0]


@pytest.mark.parametrize("since", [False, True])
def test_the_level_before_a_day_is_the_median_of_two_weeks_held_back_where_they_are_few(since: bool) -> None:
    _, z = scattered(7, 40, seed=3)
    z[0, :20] = np.nan
    first = np.random.default_rng(4).integers(0, 41, z.shape)
    first[1] = 0
    first[2] = np.arange(40) - 1  # the day before only
    first[3] = np.arange(40)  # none
    at = first if since else None
    agree(deviation.trailing_level(z, at), level_by_hand(z, at))


def test_the_level_before_a_day_by_hand() -> None:
    z = np.array([[4.0, 2.0, np.nan, 9.0, *[1.0] * 14]])
    level = deviation.trailing_level(z)[0]
    assert level[:5].tolist() == [0.0, 4 / 4, 3 * 2 / 5, 3 * 2 / 5, 4 * 3 / 6]
    assert level[17] == 1.0 * 14 / 17
    assert deviation.trailing_level(np.array([[5.0]])).tolist() == [[0.0]]


@pytest.mark.parametrize("learned", [None, 0, 1])
def test_what_moves_everyone_is_the_peers_median_held_to_that_of_all(learned: int | None) -> None:
    days, standard = scattered(11, 30, seed=5, learned=learned)
    before = standard.copy()
    agree(deviation.day_effect(standard, days), effect_by_hand(standard, days))
    assert np.array_equal(before, standard, equal_nan=True)


def test_what_moves_a_group_by_hand() -> None:
    standard = np.array([[1.0, np.nan, 2.0], [5.0, np.nan, np.nan]])
    everyone = np.array([2.0, 3.0, 0.0])
    agree(deviation.peers_effect(standard, everyone), [(2 * 3 + 20) / 12, 3.0, 2 / 11])
    agree(deviation.peers_effect(standard[:0], everyone), everyone)


@pytest.mark.parametrize("since", [False, True])
def test_a_recent_deviation_is_less_its_level_and_misuse_is_no_part_of_that(since: bool) -> None:
    days, standard = scattered(9, 45, seed=8)
    out_of_sample, effect = np.where(days.reference, standard + 0.5, np.nan), np.cos(standard) * 3
    standard[0, 30], standard[4, 31] = 400.0, -400.0
    out_of_sample[0, 3], out_of_sample[3, 3] = 90.0, -90.0
    days.reference[[0, 3], 3] = True
    first = np.random.default_rng(9).integers(0, 46, standard.shape) if since else None
    joined = standard - effect
    joined[days.reference] = out_of_sample[days.reference]
    recent = within_twenty(joined - level_by_hand(without_misuse(joined, days), first))
    found, found_recent = deviation.recent_deviations(standard, out_of_sample, effect, days, first)
    agree(found, joined)
    agree(found_recent, recent)
    assert found.max(initial=0, where=~np.isnan(found)) > 20.0, "only the second is held"
    assert np.nanmin(found_recent) == -20.0 and np.nanmax(found_recent) == 20.0


def test_bits_are_those_of_the_tail_of_the_own_group() -> None:
    days, z = scattered(10, 25, seed=11)
    tails = {g: fit_tail(np.random.default_rng(g).standard_t(2 + g, 400)) for g in range(3)}
    expected = np.empty(z.shape)
    for k, row in enumerate(z.tolist()):
        tail = tails[int(days.group[k])]
        expected[k] = [bits_by_hand(v, tail.pool.tolist(), tail.start, tail.shape, tail.scale) for v in row]
    agree(deviation.tail_bits(z, tails, days), expected)


def test_a_part_of_a_yardstick_is_that_of_the_rows_or_the_days_that_are_asked_for() -> None:
    one, other = np.arange(12.0).reshape(3, 4), np.arange(12.0, 24.0).reshape(3, 4)
    whole = Yardstick(one, other, {0: fit_tail(np.arange(5.0))})
    rows, columns = whole.of_profiles(np.array([2, 0])), whole.of_days(slice(1, 3))
    assert rows.out_of_sample.tolist() == [one[2].tolist(), one[0].tolist()]
    assert rows.day_effect.tolist() == [other[2].tolist(), other[0].tolist()]
    assert columns.out_of_sample.tolist() == one[:, 1:3].tolist()
    assert columns.day_effect.tolist() == other[:, 1:3].tolist()
    assert rows.tails is whole.tails and columns.tails is whole.tails


def population() -> Days:
    """Three groups: one with 200 days to learn from, one with a day less, and a small one of which one is young.

    There are gaps, misuse, days far off in both directions, and levels that were accepted, of one profile twice.
    """
    rng = np.random.default_rng(2)
    values = raw_logs.steady(profiles=20, days=62, seed=6)
    values["sequential_objects"][rng.random((20, 62)) < 0.1] = 3.0
    values["requests"][5, 48:] *= 4
    values["objects"][12, 44:] *= 9
    values["objects"][12, 54:] *= 9
    values["response_bytes"][[2, 3, 4, 9], [50, 51, 5, 6]] = [0.0, 1e15, 1e15, 0.0]
    gone, misuse = rng.random((2, 20, 62)) < 0.05
    gone[:, :28], misuse[:, :28] = False, False
    for first, missing in ((0, 24), (8, 25)):
        for n, cell in enumerate(rng.choice(8 * 28, missing, replace=False)):
            (gone if n % 2 else misuse)[first + cell // 28, cell % 28] = True
    gone[19, :44] = True
    shared = ~gone & ~misuse & (np.arange(62) < 28)[None, :]
    days = pd.date_range(day_of(0), periods=62, freq="D", tz="UTC")
    names = np.array([f"tok1_{k:024x}" for k in range(20)], dtype=object)
    accepted = [DaySpan(12, 44, 47), DaySpan(5, 48, 52), DaySpan(12, 54, 56)]
    return Days(
        names, days, {name: np.where(gone, np.nan, m) for name, m in values.items()}, np.repeat([0, 1, 2], [8, 8, 4]),
        ["a", "b", "c"], np.full(20, "office"), shared.copy(), np.where(shared.any(axis=1), "mature", "young"), shared,
        misuse, accepted, pd.DataFrame(),
    )  # fmt: skip


@pytest.mark.parametrize("some_accepted", [False, True])
def test_the_deviations_of_a_population_are_those_of_the_formulas(some_accepted: bool) -> None:
    days = population()
    assert days.shared.sum(axis=1)[:8].sum() == 200 == days.shared.sum(axis=1)[8:16].sum() + 1
    if not some_accepted:
        days = replace(days, accepted=[])
    bits, z, since_reference, fits, yardsticks = deviation.day_deviations(days)
    assert list(bits) == list(z) == list(since_reference) == list(fits) == list(yardsticks) == list(judged_features())
    for name in ("requests", "response_bytes", "objects", "sequential_objects"):
        feature, found = judged_features()[name], yardsticks[name]
        fit = baseline.fit_feature(feature, days)
        plain = standard_by_hand(fit, feature, days, accepted=False)
        agree(found.day_effect, effect_by_hand(plain, days))
        fit = baseline.accept(fit, feature, days)
        agree(deviation.in_deviations(fit, feature, days), plain)  # as if nothing had been accepted
        for part in ("level", "slope", "scale", "noise", "shift", "since", "doubt"):
            np.testing.assert_equal(getattr(fits[name], part), getattr(fit, part))
        out_of_sample = baseline.out_of_sample(feature, days)
        assert np.array_equal(found.out_of_sample, out_of_sample, equal_nan=True)
        joined = standard_by_hand(fit, feature, days, accepted=True) - found.day_effect
        joined[days.reference] = out_of_sample[days.reference]
        agree(since_reference[name], within_twenty(joined))
        agree(z[name], within_twenty(joined - level_by_hand(without_misuse(joined, days), fit.since)))
        pool = {g: z[name][(days.group == g)[:, None] & days.shared] for g in range(3)}
        everyone = np.concatenate(list(pool.values()))
        assert list(found.tails) == [0, 1, 2]
        for g, tail in found.tails.items():
            expected = tail_by_hand(pool[g] if g == 0 else everyone)
            assert tail.pool.tolist() == expected[0]
            agree(np.array([tail.start, tail.shape, tail.scale]), list(expected[1:]))
            rows = days.group == g
            measured = (expected[0], tail.start, tail.shape, tail.scale)
            agree(bits[name][rows], [[bits_by_hand(float(v), *measured) for v in row] for row in z[name][rows]])
    assert since_reference["response_bytes"][2, 50] == z["response_bytes"][2, 50] == -20.0
    assert since_reference["response_bytes"][3, 51] == z["response_bytes"][3, 51] == 20.0
