"""Signs: each a number of bits that means the same, of a day and of its hours; and what only others worked on."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import raw_logs
from raw_logs import day_of

from tokenkit.channels import signs
from tokenkit.channels.foreign import ForeignObjects
from tokenkit.normal import familiarity
from tokenkit.normal.evidence import Evidence

UIDS = [f"tok1_{k:024x}" for k in range(24)]


def unfamiliarity(**columns: float) -> pd.DataFrame:
    """Of all profiles and 62 days: nothing, but on the last day of the first profile what is given."""
    days = pd.date_range(day_of(0), periods=62, freq="D", tz="UTC").as_unit("us")
    frame = pd.DataFrame([(uid, day) for uid in UIDS for day in days], columns=["profile_uid", "start"])
    frame = frame.assign(**dict.fromkeys(familiarity.nothing().columns[2:], 0.0))
    for name, value in columns.items():
        frame.loc[61, name] = value
    return frame


def hours_of(moved: float = 0.0, **graded: float) -> pd.DataFrame:
    """An hour of each profile and day without anything new; the last one of the first profile has what is given."""
    rows = [(uid, raw_logs.moment(d, 9)) for uid in UIDS for d in range(62)]
    frame = pd.DataFrame(rows, columns=["profile_uid", "start"]).assign(requests=10.0, moved=0.0, new_networks=0.0)
    frame["start"] = pd.DatetimeIndex(frame["start"]).as_unit("us")
    rng = np.random.default_rng(1)
    for name in ("network", "client", "operation", "hour_of_week"):
        frame[name] = rng.exponential(0.5, len(frame))
        frame.loc[61, name] = graded.get(name, 0.0)
    frame.loc[61, "moved"] = moved
    return frame


def evidence_of(hours: pd.DataFrame | None = None, table: pd.DataFrame | None = None) -> Evidence:
    values = raw_logs.steady(profiles=24, days=62)
    return raw_logs.evidence_of(values, raw_logs.periods(42, 62), hours_of() if hours is None else hours, table)


def last_day(evidence: Evidence) -> pd.Series:
    scale = signs.fit_scale(evidence.before(day_of(42)), day_of(28), day_of(42))
    rows, columns, bits = signs.of_days(evidence, scale, day_of(42), day_of(62))
    assert list(bits) == signs.names() and (bits >= 0).all().all() and bits.notna().all().all()
    return bits[(rows == 0) & (columns == 61)].iloc[0]


def test_a_day_has_the_bits_of_its_own_rarity_whatever_unit_a_sign_comes_in() -> None:
    found = last_day(evidence_of(hours_of(network=30.0, client=30.0), unfamiliarity(fresh_object_3=9.0)))
    assert found["network_beside"] > 8 and found["client"] > 8 and found["unfamiliar_objects"] > 5
    assert found["operation"] == found["hour_of_week"] == found["unfamiliar_networks"] == 0


@pytest.mark.parametrize(("moved", "sign", "other"), [(1.0, "network_moved", "network_beside"),
                                                      (0.5, "network_beside", "network_moved")])  # fmt: skip
def test_a_network_that_everything_moved_to_is_another_sign_than_one_beside(
    moved: float, sign: str, other: str
) -> None:
    found = last_day(evidence_of(hours_of(moved, network=30.0)))
    assert found[sign] > 8 and found[other] == 0


def test_the_most_unusual_span_of_one_kind_counts() -> None:
    one = last_day(evidence_of(None, unfamiliarity(fresh_operation_7=9.0)))["unfamiliar_operations"]
    both = last_day(evidence_of(None, unfamiliarity(fresh_operation_7=9.0, fresh_operation_1=2.0)))
    assert both["unfamiliar_operations"] == one > 5


def test_without_days_to_learn_from_signs_are_taken_as_they_are() -> None:
    evidence = evidence_of(hours_of(network=7.0), unfamiliarity(fresh_object_1=3.0))
    scale = signs.fit_scale(evidence, day_of(42), day_of(42))
    rows, columns, bits = signs.of_days(evidence, scale, day_of(42), day_of(62))
    found = bits[(rows == 0) & (columns == 61)].iloc[0]
    assert found["network_beside"] == 7.0 and found["unfamiliar_objects"] == 3.0


def silences(*used: int) -> np.ndarray:
    active = np.zeros((1, 60), dtype=bool)
    active[0, list(used)] = True
    return signs.silence(SimpleNamespace(active=active))[0]  # type: ignore[arg-type]


def test_a_silence_is_set_beside_the_longest_one_before_it() -> None:
    found = silences(0, 1, 3, 5, 6, 26)
    assert found[26] == pytest.approx(np.log2(20 / 2)) and np.count_nonzero(found) == 1
    assert not silences(0, 10, 20, 30, 40, 50).any(), "as long as ever"
    assert not silences(0, 1, 2, 40).any(), "two pauses say nothing"
    assert silences(0, 1, 2, 3, 40)[40] == pytest.approx(np.log2(37))


def test_what_only_others_touched_is_scored_and_what_nobody_touched_is_not() -> None:
    found = {}
    for name in ("of_others_object_3", "fresh_object_3"):
        evidence = evidence_of(None, unfamiliarity(**{name: 6.0}))
        rows = ForeignObjects().fit(evidence, day_of(28), day_of(42)).score(evidence, day_of(42), day_of(62))
        assert len(rows) == 24 * 20 and (rows["window"] == "day").all()
        found[name] = rows.loc[rows["raw_bits"].idxmax()] if rows["raw_bits"].any() else None
    assert found["fresh_object_3"] is None
    best = found["of_others_object_3"]
    assert best["profile_uid"] == UIDS[0] and best["start"] == raw_logs.moment(61)
    assert best["parts"] == {"foreign_objects": best["raw_bits"]} and best["raw_bits"] == pytest.approx(29.0, abs=1.5)
