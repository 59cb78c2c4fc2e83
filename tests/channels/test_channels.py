"""Each channel: parts that add up, rows that stand alone, and what it must and must not see."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import raw_logs
from raw_logs import day_of

from tokenkit import channels
from tokenkit.channels import Detector, calibration, drift
from tokenkit.channels.drift import DriftAmounts, DriftRequests
from tokenkit.channels.foreign import ForeignObjects
from tokenkit.channels.panel import Panel
from tokenkit.channels.point import PointDay, PointHour
from tokenkit.channels.weights import Weights
from tokenkit.normal import familiarity
from tokenkit.normal.day_matrices import DaySpan
from tokenkit.normal.evidence import Evidence

END = 70
CHANNELS: list[Callable[[], Detector]] = [PointHour, PointDay, ForeignObjects, DriftAmounts, DriftRequests, Panel]
SHARES = {"point_hour": 0.27, "point_day": 0.22, "drift_amounts": 0.32, "drift_requests": 0.09}
LEAK, GROWTH, SPIKE, ENUMERATION = 0, 1, 2, 3


def hours_of(seed: int = 0) -> pd.DataFrame:
    """Graded hours of 24 profiles: mostly nothing, sometimes a little of everything."""
    rng = np.random.default_rng(seed)
    rows = [(k, d, h) for k in range(24) for d in range(END) for h in (9, 14)]
    frame = pd.DataFrame(
        {
            "profile_uid": [f"tok1_{k:024x}" for k, _, _ in rows],
            "start": pd.DatetimeIndex([raw_logs.moment(d, h) for _, d, h in rows]).as_unit("us"),
            "requests": 10.0,
            "moved": 0.0,
            "new_networks": 0.0,
        }
    )
    for kind in ("network", "client", "operation", "hour_of_week"):
        frame[kind] = rng.exponential(2.0, len(rows))
    return frame


def unfamiliarity_of(seed: int = 0) -> pd.DataFrame:
    """The unfamiliarity of 24 profiles: mostly nothing, sometimes a little of everything."""
    rng = np.random.default_rng(seed)
    rows = [(k, d) for k in range(24) for d in range(END)]
    frame = pd.DataFrame({"profile_uid": [f"tok1_{k:024x}" for k, _ in rows]})
    frame["start"] = pd.DatetimeIndex([raw_logs.moment(d) for _, d in rows]).as_unit("us")
    for name in familiarity.nothing().columns[2:]:
        frame[name] = np.maximum(rng.normal(0, 1, len(rows)), 0.0)
    return frame


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    values = raw_logs.steady(days=END)
    values["response_bytes"][LEAK, 42:] *= 1.6
    values["response_bytes"][GROWTH, 42:] *= 1.6
    values["requests"][GROWTH, 42:] *= 1.6
    values["objects"][GROWTH, 42:] *= 1.6
    values["response_bytes"][SPIKE, 50] *= 10
    values["sequential_objects"][ENUMERATION, 50], values["objects"][ENUMERATION, 50] = 500, 600
    return raw_logs.evidence_of(values, raw_logs.periods(42, END), hours_of(), unfamiliarity_of())


def scored(detector: Detector, evidence: Evidence, start: int = 42, end: int = END) -> pd.DataFrame:
    frame = detector.fit(evidence, day_of(28), day_of(42)).score(evidence, day_of(start), day_of(end))
    return frame.sort_values(["profile_uid", "start"], ignore_index=True)


def heights(detector: Detector, evidence: Evidence) -> np.ndarray:
    """Raw bits of each profile and day from the 42nd on."""
    frame = scored(detector, evidence)
    return frame.pivot(index="profile_uid", columns="start", values="raw_bits").to_numpy()


def calibrated(raw: pd.DataFrame, evidence: Evidence, shares: dict[str, float]) -> pd.DataFrame:
    return calibration.with_parts(calibration.calibrate(raw, evidence, shares).scores(raw))


# what holds for every channel


def test_the_channels_of_a_run_are_detectors_of_different_names() -> None:
    made = channels.detectors()
    assert len({d.name for d in made}) == len(made) == len(CHANNELS)
    assert all(d.title and d.gap_days >= 1 and 0.2 <= d.least_shape <= 0.5 for d in made)


@pytest.mark.parametrize("channel", CHANNELS)
def test_the_score_of_a_row_does_not_depend_on_the_rows_scored_with_it(
    channel: Callable[[], Detector], evidence: Evidence
) -> None:
    whole = scored(channel(), evidence)
    for start, end in ((42, 43), (50, 57), (69, END)):
        part = scored(channel(), evidence, start, end)
        low, high = (pd.Timestamp(day_of(d), tz="UTC") for d in (start, end))
        same = whole[(whole["start"] >= low) & (whole["start"] < high)].reset_index(drop=True)
        assert len(part) and part.equals(same)


@pytest.mark.parametrize("channel", [PointHour, PointDay, ForeignObjects, DriftAmounts, DriftRequests, Panel])
def test_the_days_that_follow_change_no_score(channel: Callable[[], Detector], evidence: Evidence) -> None:
    values = {n: m[:, :57] for n, m in evidence.days.values.items()}
    known = [t[t["start"] < pd.Timestamp(day_of(57), tz="UTC")] for t in (evidence.hours, evidence.unfamiliarity)]
    part = scored(channel(), raw_logs.evidence_of(values, raw_logs.periods(42, 57), *known), 42, 57)
    whole = scored(channel(), evidence, 42, 57)
    assert len(part) and part.equals(whole)


@pytest.mark.parametrize("channel", CHANNELS)
def test_parts_add_up_to_the_raw_bits(channel: Callable[[], Detector], evidence: Evidence) -> None:
    frame = scored(channel(), evidence)
    assert list(frame.columns) == channels.COLUMNS and len(frame)
    assert np.allclose([sum(p.values()) for p in frame["parts"]], frame["raw_bits"])
    assert all(v > 0 for p in frame["parts"] for v in p.values())
    assert (frame["raw_bits"] >= 0).all() and not frame["raw_bits"].isna().any()


def test_parts_add_up_to_the_calibrated_score_as_well(evidence: Evidence) -> None:
    raw = pd.concat([scored(c(), evidence, 28) for c in CHANNELS], ignore_index=True)
    frame = calibrated(raw, evidence, SHARES)
    added = np.array([sum(p.values()) for p in frame["parts"]])
    some = frame["raw_bits"].to_numpy() > 1e-6
    assert np.allclose(added[some], frame["score_bits"].to_numpy()[some])


def test_calibration_does_not_depend_on_the_other_windows(evidence: Evidence) -> None:
    raw = pd.concat([scored(c(), evidence, 28) for c in CHANNELS], ignore_index=True)
    late = pd.Timestamp(day_of(50), tz="UTC")
    whole = calibrated(raw, evidence, SHARES)
    part = calibrated(raw[raw["start"] < late], evidence, SHARES)
    order = ["channel", "profile_uid", "start"]
    columns = [*order, "score_bits", "parts"]
    same = whole[whole["start"] < late].sort_values(order)[columns].reset_index(drop=True)
    assert part.sort_values(order)[columns].reset_index(drop=True).equals(same)


def test_calibration_keeps_the_order_within_a_channel_and_half_a_share_costs_one_bit(evidence: Evidence) -> None:
    raw = scored(PointDay(), evidence, 28)
    full = calibrated(raw, evidence, {"point_day": 0.4, "panel": 0.4})
    half = calibrated(raw, evidence, {"point_day": 0.2, "panel": 0.4})
    by_raw = full.sort_values("raw_bits")["score_bits"].to_numpy()
    assert np.all(np.diff(by_raw) >= 0)
    high = full["score_bits"].to_numpy() > 1
    assert np.allclose(full["score_bits"][high] - half["score_bits"][high], 1.0)


@pytest.mark.parametrize("channel", CHANNELS)
def test_no_day_in_the_period_gives_no_row(channel: Callable[[], Detector], evidence: Evidence) -> None:
    assert scored(channel(), evidence, 42, 42).empty


# point


def one_hour(**graded: float) -> dict[str, float]:
    usual = {"network": 0.0, "client": 0.0, "operation": 0.0, "hour_of_week": 0.0, "moved": 0.0, "new_networks": 0.0}
    row = usual | {"requests": 10.0} | graded
    frame = pd.DataFrame([row]).assign(profile_uid="tok1_a", start=pd.Timestamp(raw_logs.moment(50, 9)))
    empty = raw_logs.evidence_of(raw_logs.steady(profiles=2, days=52), raw_logs.periods(42, 52), frame)
    parts: dict[str, float] = PointHour(EVEN).score(empty, day_of(50), day_of(51))["parts"].iloc[0]
    return parts


# one bit of evidence a bit of surprise from 4 bits on; where everything moved, from 11 bits on
FROM_4, FROM_11 = (0.0, 0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0, 1.0)
EVEN = Weights(
    dict.fromkeys(("network_beside", "client", "operation", "hour_of_week"), FROM_4) | {"network_moved": FROM_11}
)


def test_what_is_new_in_an_hour_adds_up() -> None:
    assert one_hour(network=13.0) == {"network": 9.0} and one_hour(client=10.0) == {"client": 6.0}
    assert one_hour(network=13.0, client=10.0) == {"network": 9.0, "client": 6.0}
    assert one_hour(network=4.0, client=4.0, operation=3.0, hour_of_week=0.0) == {}


def test_where_everything_moved_to_a_new_network_it_is_another_sign_than_one_beside_the_usual() -> None:
    assert one_hour(network=13.0, moved=1.0) == {"network": 2.0}
    assert one_hour(network=13.0, moved=0.9) == {"network": 9.0}


def test_an_hour_never_says_more_than_its_day(evidence: Evidence) -> None:
    hours, days = scored(PointHour(), evidence), scored(PointDay(), evidence)
    day = days.set_index(["profile_uid", "start"])["raw_bits"]
    of_hour = hours.groupby(["profile_uid", hours["start"].dt.floor("D")])["raw_bits"].max()
    assert (of_hour <= day.reindex(of_hour.index) + 1e-9).all() and of_hour.max() > 1


def test_more_of_a_sign_never_lowers_a_score(evidence: Evidence) -> None:
    more = replace(evidence, bits={name: m + 3.0 for name, m in evidence.bits.items()},
                   hours=evidence.hours.assign(network=evidence.hours["network"] + 3.0))  # fmt: skip
    fitted = PointDay().fit(evidence, day_of(28), day_of(42))
    before, after = (fitted.score(one, day_of(42), day_of(END)) for one in (evidence, more))
    assert (after["raw_bits"] >= before["raw_bits"]).all() and (after["raw_bits"] > before["raw_bits"]).any()


def test_a_walk_through_numbers_is_what_its_day_is_told_by(evidence: Evidence) -> None:
    frame = scored(PointDay(), evidence)
    row = frame[(frame["profile_uid"] == f"tok1_{ENUMERATION:024x}") & (frame["start"] == raw_logs.moment(50))]
    parts = row["parts"].iloc[0]
    assert {"sequential_objects", "objects"} & set(sorted(parts, key=lambda name: -parts[name])[:3])
    assert row["raw_bits"].iloc[0] > np.quantile(frame["raw_bits"], 0.99)


def test_a_tenfold_day_is_the_height_of_the_point_channel(evidence: Evidence) -> None:
    found = heights(PointDay(), evidence)
    assert np.argmax(found[SPIKE]) == 50 - 42
    assert found[SPIKE, 8] > np.quantile(found, 0.99)


def test_a_low_value_raises_nothing() -> None:
    values = raw_logs.steady(days=52)
    for name in ("requests", "response_bytes", "objects", "active_minutes"):
        values[name][0, 50] = 1
    found = raw_logs.evidence_of(values, raw_logs.periods(42, 52))
    frame = PointDay().fit(found, day_of(28), day_of(42)).score(found, day_of(50), day_of(51))
    parts = frame[frame["profile_uid"] == f"tok1_{0:024x}"]["parts"].iloc[0]
    assert not {"requests", "active_minutes"} & set(parts)


# drift


def test_sixty_percent_more_for_the_same_calls_is_seen_within_three_weeks(evidence: Evidence) -> None:
    found = heights(DriftAmounts(), evidence)
    calm = np.delete(found[:, :20], [LEAK, SPIKE, ENUMERATION], axis=0).max()
    assert found[LEAK, :20].max() > calm + 6
    frame = scored(DriftAmounts(), evidence, 61, 62)
    parts = frame[frame["profile_uid"] == f"tok1_{LEAK:024x}"]["parts"].iloc[0]
    assert max(parts, key=parts.get) == "drift_response_bytes"


def test_bytes_that_grow_with_the_calls_are_growth_of_calls_and_no_leak(evidence: Evidence) -> None:
    amounts, requests = heights(DriftAmounts(), evidence), heights(DriftRequests(), evidence)
    others = [k for k in range(24) if k not in (LEAK, GROWTH, SPIKE, ENUMERATION)]
    assert amounts[GROWTH].max() < max(amounts[others].max(), 6)
    assert requests[GROWTH, 14:].min() > requests[others].max()


def test_one_tenfold_day_is_no_drift(evidence: Evidence) -> None:
    amounts = heights(DriftAmounts(), evidence)
    others = [k for k in range(24) if k not in (LEAK, GROWTH, SPIKE, ENUMERATION)]
    assert amounts[SPIKE].max() < max(amounts[others].max(), 6)


def test_too_little_use_has_no_drift() -> None:
    values = raw_logs.steady(days=62)
    values["response_bytes"][:3, 42:] *= 5
    for matrix in values.values():
        matrix[0, 3:28] = np.nan  # three days of reference
        matrix[1, 28:42] = matrix[1, 46:] = np.nan  # four active days since
    found = raw_logs.evidence_of(values, raw_logs.periods(42, 62))
    frame = scored(DriftAmounts(), found, 42, 62)
    few_reference_days, few_active_days, enough = (
        frame[frame["profile_uid"] == f"tok1_{number:024x}"] for number in range(3)
    )
    assert few_reference_days.empty and few_active_days.empty
    assert len(enough) == 20 and enough["raw_bits"].max() > 6


def test_how_far_benign_levels_move_is_learnt_from_the_calibration_days() -> None:
    still = raw_logs.steady(days=62)
    moving = raw_logs.steady(days=62)
    moving["response_bytes"] *= np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.08, (24, 62)), axis=1))
    spreads = [
        DriftAmounts()
        .fit(raw_logs.evidence_of(v, raw_logs.periods(42, 62)), day_of(28), day_of(42))
        .scales["office"][0]
        .spread
        for v in (still, moving)
    ]
    assert 2 * spreads[0] < spreads[1]


@pytest.mark.parametrize("restless", [0.1, 0.6])
def test_the_smallest_rise_gives_as_many_bits_as_it_is_named_for(restless: float) -> None:
    values, bits = raw_logs.steady(days=62), 400.0
    values["response_bytes"] *= np.exp(np.random.default_rng(3).normal(0, restless, (24, 62)))
    calm = raw_logs.evidence_of(values, raw_logs.periods(42, 62))
    rise = drift.smallest_rise(calm, bits)
    found = []
    for token in range(6):
        changed = {name: matrix.copy() for name, matrix in values.items()}
        changed["response_bytes"][token, 48:] *= 1 + rise.iloc[token]
        found.append(heights(DriftAmounts(), raw_logs.evidence_of(changed, raw_logs.periods(42, 62)))[token, -1])
    assert bits / 1.25 < np.median(found) < bits * 1.25


def test_a_larger_lasting_rise_of_one_amount_is_always_clearer() -> None:
    """However restless a token is, data that leaks without anything else is seen from some amount on."""
    found = []
    for times in (1.5, 4.0, 20.0):
        values = raw_logs.steady(days=62)
        values["response_bytes"] *= np.exp(np.random.default_rng(3).normal(0, 0.6, (24, 62)))
        values["response_bytes"][20, 48:] *= times
        found.append(heights(DriftAmounts(), raw_logs.evidence_of(values, raw_logs.periods(42, 62)))[20].max())
    assert found[0] < found[1] < found[2] / 2


def test_what_moves_in_one_kind_of_token_hides_nothing_in_another() -> None:
    values = raw_logs.steady(days=62)
    values["response_bytes"][:12] *= np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.2, (12, 62)), axis=1))
    values["response_bytes"][20, 48:] *= 1.6
    found = raw_logs.evidence_of(values, raw_logs.periods(42, 62))
    behaviour = np.where(np.arange(24) < 12, "person", "scheduled")
    by_kind = replace(found, days=replace(found.days, behaviour=behaviour))
    assert heights(DriftAmounts(), by_kind)[20].max() > heights(DriftAmounts(), found)[20].max() + 3


def test_a_direction_of_a_leak_adds_to_what_any_rise_shows(evidence: Evidence) -> None:
    plain = _drift(evidence, {})
    assert (_drift(evidence, {"response_bytes": -1.0}) >= plain).all(), "the larger counts"
    assert _drift(evidence, {"requests": 1.0})[GROWTH].max() > 2 * plain[GROWTH].max()


def _drift(evidence: Evidence, leak: dict[str, float]) -> np.ndarray:
    return heights(DriftAmounts(Weights({"requests": (1.0,) * 5}, leak=leak)), evidence)


def test_after_an_accepted_level_only_what_came_since_counts(evidence: Evidence) -> None:
    accepted = DaySpan(LEAK, 56, END)
    sums, _ = drift.two_weeks(replace(evidence, days=replace(evidence.days, accepted=[accepted])), ["response_bytes"])
    before, _ = drift.two_weeks(evidence, ["response_bytes"])
    assert np.allclose(sums[LEAK, :56], before[LEAK, :56])
    assert before[LEAK, 56, 0] > drift.HELD >= abs(sums[LEAK, 56, 0]), "one day alone"
