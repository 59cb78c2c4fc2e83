"""Familiarity: how much of what a profile does is new to it, and how much of that others did before."""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import raw_logs
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_logs import day_of, moment, nginx

from tokenkit import config
from tokenkit.config import Workspace
from tokenkit.normal import familiarity
from tokenkit.normal.familiarity import Usage
from tokenkit.normal.labelled_periods import LabelledPeriods
from tokenkit.tokens.profiles import token_profiles

A, B = "key_a_0123456789", "key_b_0123456789"


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    return config.init(tmp_path / "place")


def days_of(usage: Usage, kind: str = "object") -> dict[tuple[str, int], tuple[int, int, int]]:
    """Values, fresh ones and those of others by profile and day."""
    rows = usage.days[usage.days["kind"] == kind]
    zero = (day_of(0) - date(1970, 1, 1)).days
    counts = rows[["values", "fresh", "of_others"]].astype(int).itertuples(index=False, name=None)
    return {(uid, int(day) - zero): n for uid, day, n in zip(rows["profile_uid"], rows["day"], counts, strict=True)}


@pytest.fixture
def two(place: Workspace, tmp_path: Path) -> tuple[Workspace, pd.Series]:
    """A reads orders 1 and 2, and from day 5 on those of B, 11 and 12, and one of its own, 3."""
    calls = [(A, d, n) for d in range(7) for n in (1, 2)] + [(B, d, n) for d in range(7) for n in (11, 12)]
    calls += [(A, 5, 11), (A, 5, 12), (A, 5, 3), (A, 6, 11)]
    lines = [
        nginx(f"{key}{day}{number}{n}", moment(day, 9), api_key_id=key, uri=f"/v1/orders/{number}")
        for n, (key, day, number) in enumerate(calls)
    ]
    raw_logs.form(place, raw_logs.write(tmp_path / "a.log", lines))
    mapped = token_profiles(place)
    return place, pd.Series("x", index=mapped["profile_uid"].unique())


def test_what_is_new_to_a_profile_is_counted_once_and_what_others_used_before_apart(two: Any) -> None:
    place, groups = two
    found = days_of(familiarity.usage(place, groups, day_of(0), day_of(7)))
    busy = next(uid for uid, day in found if found[uid, day][0] == 5)
    (other,) = {uid for uid, _ in found} - {busy}
    assert found[busy, 5] == (5, 3, 2) and found[busy, 6] == (3, 0, 0)
    assert [found[other, d] for d in range(7)] == [(2, 0, 0)] * 7, "on the first day nothing is new"


def test_nothing_is_learned_from_a_day_of_confirmed_misuse(two: Any) -> None:
    place, groups = two
    plain = days_of(familiarity.usage(place, groups, day_of(0), day_of(7)))
    busy = next(uid for uid, day in plain if plain[uid, day][0] == 5)
    span = pd.DataFrame(
        {"profile_uid": [busy], "start": [pd.Timestamp(moment(5, 9))], "end": [pd.Timestamp(moment(5, 10))]}
    )
    usage = familiarity.usage(place, groups, day_of(0), day_of(7), LabelledPeriods(misuse=span))
    found = days_of(usage)
    assert found[busy, 5] == plain[busy, 5], "it is judged"
    assert found[busy, 6] == (3, 1, 1), "and what was used on it is new the day after"
    counted = usage.days[(usage.days["profile_uid"] == busy) & (usage.days["kind"] == "object")]
    assert (~counted["counts"].astype(bool)).sum() == 1


def test_a_twin_is_not_somebody_else_than_its_token(two: Any) -> None:
    place, groups = two
    whole = familiarity.usage(place, groups, day_of(0), day_of(7))
    again = familiarity.usage(place, groups, day_of(0), day_of(7), None, whole, {})
    twin = familiarity.usage(
        place, groups, day_of(0), day_of(7), None, whole, dict(zip(groups.index, groups.index, strict=True))
    )
    assert days_of(twin) == days_of(whole) == days_of(again)


def usage_of(counts: list[tuple[str, int, int, int, int]]) -> Usage:
    """Of objects: profile, day, values, fresh, of_others."""
    days = pd.DataFrame(counts, columns=["profile_uid", "day", "values", "fresh", "of_others"])
    return Usage(days.assign(kind="object", group="x", counts=True), pd.DataFrame())


def test_a_share_far_above_the_usual_one_is_seen_in_one_day_and_bit_by_bit_in_a_week() -> None:
    usual = [("a", d, 20, 1, 0) for d in range(60)]
    sudden = familiarity.unfamiliarity(usage_of([*usual[:50], ("a", 50, 20, 15, 0)])).iloc[-1]
    assert sudden["fresh_object_1"] > 5 and sudden["of_others_object_3"] == 0
    slow = familiarity.unfamiliarity(usage_of([*usual[:50], *[("a", 50 + k, 20, 5, 0) for k in range(7)]])).iloc[-1]
    assert slow["fresh_object_7"] > slow["fresh_object_3"] > slow["fresh_object_1"] > 1
    calm = familiarity.unfamiliarity(usage_of(usual)).iloc[-1]
    assert calm[familiarity.fresh_columns("object")].max() < 0.5


def test_a_busier_day_of_the_same_mix_is_not_less_familiar() -> None:
    usual = [("a", d, 20, 2, 0) for d in range(50)]
    busy = familiarity.unfamiliarity(usage_of([*usual, ("a", 50, 400, 40, 0)])).iloc[-1]
    assert busy["fresh_object_1"] < 1


def test_one_thing_of_others_says_more_of_a_profile_whose_peers_never_touch_any() -> None:
    peers = [(f"p{k}", d, 20, 2, 0) for k in range(20) for d in range(50)]
    shared = [(f"p{k}", d, 20, 2, 2) for k in range(20) for d in range(50)]
    own = [("a", d, 20, 2, 0) for d in range(50)] + [("a", 50, 20, 3, 3)]

    def last(others: list[tuple[str, int, int, int, int]]) -> float:
        found = familiarity.unfamiliarity(usage_of([*others, *own]))
        return float(found[found["profile_uid"] == "a"]["of_others_object_3"].iloc[-1])

    assert last(peers) > last(shared) + 0.5


@given(st.integers(0, 200), st.integers(1, 200), st.floats(0.001, 0.999), st.floats(20, 5000))
@settings(deadline=None)
def test_more_new_values_never_lie_nearer_to_what_is_usual(found: int, of: int, share: float, known: float) -> None:
    some = np.arange(min(found, of) + 1)
    above = familiarity.above(some, np.full(len(some), of), np.full(len(some), share), np.full(len(some), known))
    assert (np.diff(above) >= -1e-12).all() and (above >= 0).all() and np.isfinite(above).all() and above[0] == 0


def test_a_score_of_a_day_does_not_change_with_the_days_after_it() -> None:
    rng = np.random.default_rng(1)
    rows = [(f"p{k}", d, 20, int(rng.integers(0, 6)), int(rng.integers(0, 2))) for k in range(6) for d in range(60)]
    whole = familiarity.unfamiliarity(usage_of(rows))
    part = familiarity.unfamiliarity(usage_of([row for row in rows if row[1] < 40]))
    same = whole[whole["start"] < part["start"].max() + pd.Timedelta("1h")].reset_index(drop=True)
    pd.testing.assert_frame_equal(part, same, check_exact=True)
