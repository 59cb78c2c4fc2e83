"""How surprising a value is: only the days before count, and a wanderer surprises less."""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import raw_logs
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_logs import day_of, moment, nginx

from tokenkit.normal import novelty
from tokenkit.tokens.profiles import token_profiles

PROFILES = ["a", "b", "c", "d", "e", "f"]
GROUPS = pd.Series(["x", "x", "x", "x", "y", "y"], index=PROFILES)
Use = tuple[str, int, int, int]  # profile, day, value, hours


def graded(uses: list[Use], groups: pd.Series = GROUPS) -> pd.DataFrame:
    frame = pd.DataFrame(uses, columns=["profile_uid", "day", "value", "hours"])
    frame = frame.astype({"day": int, "value": int, "hours": int})
    frame = frame.groupby(["profile_uid", "day", "value"], as_index=False)["hours"].sum()
    frame["day"] = pd.to_datetime([day_of(d) for d in frame["day"]])
    active = frame.groupby(["profile_uid", "day"], as_index=False)["hours"].sum()
    return novelty.novelty(frame, active, groups)


def bits(frame: pd.DataFrame, profile: str, day: int, value: int) -> float:
    rows = frame[
        (frame["profile_uid"] == profile) & (frame["day"] == pd.Timestamp(day_of(day))) & (frame["value"] == value)
    ]
    return float(rows["bits"].iloc[0])


use = st.tuples(st.sampled_from(PROFILES), st.integers(0, 9), st.integers(1, 5), st.integers(1, 3))


@settings(max_examples=30)
@given(st.lists(use, min_size=1, max_size=40), st.lists(use, max_size=10), st.integers(0, 9))
def test_what_happens_later_changes_no_bit_of_what_was_before(uses: list[Use], more: list[Use], day: int) -> None:
    late = [(p, max(d, day), v, h) for p, d, v, h in more]
    until = pd.Timestamp(day_of(day))
    first, second = graded([u for u in uses if u[1] < day] or [("a", 0, 1, 1)]), graded([*uses, *late])
    if not [u for u in uses if u[1] < day]:
        return
    columns = ["profile_uid", "day", "value", "bits", "hours_before", "peers_before"]
    second = second[second["day"] < until]
    pd.testing.assert_frame_equal(
        first[columns].reset_index(drop=True), second[columns].reset_index(drop=True), check_exact=True
    )


@settings(max_examples=15)
@given(st.lists(use, min_size=1, max_size=40))
def test_bits_are_between_nothing_and_forty(uses: list[Use]) -> None:
    found = graded(uses)["bits"]
    assert ((found >= 0) & (found <= novelty.MAX_BITS)).all()


def test_a_new_value_surprises_more_at_a_stable_profile_than_at_a_wandering_one() -> None:
    stable = [("a", d, 1, 8) for d in range(20)]
    wandering = [("b", d, 100 + d, 8) for d in range(20)]
    found = graded([*stable, *wandering, ("a", 20, 999, 1), ("b", 20, 998, 1)])
    assert bits(found, "a", 20, 999) > bits(found, "b", 20, 998) + 3


def test_the_usual_value_of_a_stable_profile_surprises_nobody() -> None:
    found = graded([("a", d, 1, 8) for d in range(20)])
    assert bits(found, "a", 19, 1) < 0.1 < 1 <= bits(found, "a", 0, 1)


def test_a_value_that_peers_use_surprises_less_than_one_that_others_use_and_that_less_than_none() -> None:
    own = [("a", d, 1, 8) for d in range(10)]
    peers = [(p, 3, 7, 1) for p in "bcd"]
    found = {
        "peers": bits(graded([*own, *peers, ("a", 10, 7, 1)]), "a", 10, 7),
        "others": bits(graded([*own, ("e", 3, 7, 1), ("f", 3, 7, 1), ("a", 10, 7, 1)]), "a", 10, 7),
        "nobody": bits(graded([*own, ("a", 10, 7, 1)]), "a", 10, 7),
    }
    assert found["peers"] < found["others"] < found["nobody"]


def test_a_row_never_judges_itself() -> None:
    once = bits(graded([("a", 0, 1, 8), ("a", 1, 7, 1)]), "a", 1, 7)
    often = bits(graded([("a", 0, 1, 8), ("a", 1, 7, 20)]), "a", 1, 7)
    assert once == often


def test_nothing_gives_nothing() -> None:
    assert graded([]).empty


def hours(*when: tuple[int, int]) -> pd.DataFrame:
    return pd.DataFrame({"profile_uid": "a", "start": pd.to_datetime([moment(d, h) for d, h in when], utc=True)})


def test_an_hour_surprises_where_the_profile_is_seldom_active_at_it() -> None:
    office = [(d, h) for d in range(26) if d % 7 < 5 for h in (9, 10)]
    found = novelty.hour_of_week(hours(*office, (25, 3), (26, 9))).set_index("start")["bits"]
    assert found[moment(25, 9)] < 0.5
    assert found[moment(25, 3)] > 4
    assert found[moment(26, 9)] > found[moment(25, 9)] + 2, "a Saturday is another kind of day"


def test_an_hour_is_judged_by_the_days_before_it_only() -> None:
    some = [(d, 9) for d in range(10)]
    early = novelty.hour_of_week(hours(*some))
    late = novelty.hour_of_week(hours(*some, (10, 9), (11, 3), (12, 9)))
    assert late["bits"].iloc[:10].tolist() == early["bits"].tolist()


def test_hours_are_graded_from_the_lake_and_a_version_bump_is_weighed_down(tmp_path: Path) -> None:
    place = raw_logs.workspace(tmp_path / "w")
    lines: list[dict[str, Any]] = []
    keys = [f"key_{n}_0123456789" for n in range(3)]
    for key in keys:
        lines += [nginx(f"{key}{d}{h}", moment(d, h), api_key_id=key) for d in range(20) for h in (9, 10, 11)]
    strange = {"http_user_agent": "curl/8.1"}
    bump = {"http_user_agent": "python-requests/2.32.0"}
    lines.append(nginx("s", moment(20, 9), api_key_id=keys[0], **strange))
    lines.append(nginx("b", moment(20, 9), api_key_id=keys[1], **bump))
    lines.append(nginx("n", moment(20, 9), api_key_id=keys[2], remote_addr="192.0.2.9", uri="/v1/secrets/1"))
    raw_logs.form(place, raw_logs.write(tmp_path / "a.log", lines))
    mapped = token_profiles(place).sort_values("token_uid")
    groups = pd.Series("all tokens", index=mapped["profile_uid"])

    def grades(end: date) -> pd.DataFrame:
        return novelty.graded_hours(place, groups, day_of(0), end).sort_values(["profile_uid", "start"])

    found = grades(day_of(21))
    last = found[found["start"] == moment(20, 9)].set_index("profile_uid")
    assert len(found) == 3 * 20 * 3 + 3 and not found.isna().any().any()
    by_client = np.sort(last["client"].to_numpy())
    assert by_client[0] < 0.5, "the third kept its program"
    assert 0.5 < by_client[1] < by_client[2] * 0.3, "only the version is new"
    moved = last[last["moved"] == 1.0]
    assert len(moved) == 1 and moved["new_networks"].iloc[0] == 1
    assert moved["network"].iloc[0] > 5 and moved["operation"].iloc[0] > 5
    before = grades(day_of(20))
    pd.testing.assert_frame_equal(
        before.reset_index(drop=True), found[found["start"] < moment(20)].reset_index(drop=True), check_exact=True
    )
