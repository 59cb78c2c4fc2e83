"""How surprising a value is: only the days before count, and a wanderer surprises less."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import raw_logs
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_logs import day_of, moment, nginx

from tokenkit import schema
from tokenkit.config import Workspace
from tokenkit.normal import novelty
from tokenkit.normal.labelled_periods import LabelledPeriods
from tokenkit.normal.novelty import FirstUses
from tokenkit.store import lake
from tokenkit.tokens.profiles import token_profiles

PROFILES = ["a", "b", "c", "d", "e", "f"]
GROUPS = pd.Series(["x", "x", "x", "x", "y", "y"], index=PROFILES)
Use = tuple[str, int, int, int]  # profile, day, value, hours


def graded(uses: list[Use], groups: pd.Series = GROUPS) -> pd.DataFrame:
    frame = pd.DataFrame(uses, columns=["profile_uid", "day", "value", "hours"])
    frame = frame.astype({"day": int, "value": int, "hours": int})
    frame = frame.groupby(["profile_uid", "day", "value"], as_index=False)["hours"].sum()
    return novelty.novelty(frame, frame[["profile_uid", "day"]].drop_duplicates(), groups)


def bits(frame: pd.DataFrame, profile: str, day: int, value: int) -> float:
    rows = frame[(frame["profile_uid"] == profile) & (frame["day"] == day) & (frame["value"] == value)]
    return float(rows["bits"].iloc[0])


use = st.tuples(st.sampled_from(PROFILES), st.integers(0, 9), st.integers(1, 5), st.integers(1, 3))


@settings(max_examples=30)
@given(st.lists(use, min_size=1, max_size=40), st.lists(use, max_size=10), st.integers(0, 9))
def test_what_happens_later_changes_no_bit_of_what_was_before(uses: list[Use], more: list[Use], day: int) -> None:
    late = [(p, max(d, day), v, h) for p, d, v, h in more]
    first, second = graded([u for u in uses if u[1] < day] or [("a", 0, 1, 1)]), graded([*uses, *late])
    if not [u for u in uses if u[1] < day]:
        return
    columns = ["profile_uid", "day", "value", "bits", "hours_before", "peers_before"]
    second = second[second["day"] < day]
    pd.testing.assert_frame_equal(
        first[columns].reset_index(drop=True), second[columns].reset_index(drop=True), check_exact=True
    )


@settings(max_examples=15)
@given(st.lists(use, min_size=1, max_size=40))
def test_bits_are_between_nothing_and_forty(uses: list[Use]) -> None:
    found = graded(uses)["bits"]
    assert ((found >= 0) & (found <= 40)).all()


def test_a_new_value_surprises_more_at_a_stable_profile_than_at_a_wandering_one() -> None:
    stable = [(who, d, 1, 8) for d in range(28) for who in "acdef"]
    wandering = [("b", d, 100 + d, 8) for d in range(28)]
    found = graded([*stable, *wandering, ("a", 28, 999, 1), ("b", 28, 998, 1)])
    assert bits(found, "b", 28, 998) < 1 and bits(found, "a", 28, 999) > 3


def test_the_usual_value_of_a_stable_profile_surprises_nobody() -> None:
    found = graded([("a", d, 1, 8) for d in range(20)])
    assert bits(found, "a", 0, 1) == 0.0, "on a first day nothing is usual yet"
    assert bits(found, "a", 19, 1) < 0.1


def test_a_value_that_peers_use_surprises_less_than_one_that_others_use_and_that_less_than_none() -> None:
    own = [(p, d, 1, 8) for d in range(30) for p in PROFILES]
    known = [("b", 3, 7, 1), ("e", 3, 8, 1)]  # of a peer, and of one who is none
    newer = [("c", 9, 7, 1), ("d", 9, 7, 1), ("f", 12, 7, 1)]  # as rare to those as 7 and 8 are to a
    found = {
        name: bits(graded([*own, *known, *newer, ("a", 30, value, 1)]), "a", 30, value)
        for name, value in (("peers", 7), ("others", 8), ("nobody", 9))
    }
    assert found["peers"] < found["others"] < found["nobody"]


def test_a_row_never_judges_itself() -> None:
    once = bits(graded([("a", 0, 1, 8), ("a", 1, 7, 1)]), "a", 1, 7)
    often = bits(graded([("a", 0, 1, 8), ("a", 1, 7, 20)]), "a", 1, 7)
    assert once == often


def test_nothing_gives_nothing() -> None:
    assert graded([]).empty


ALONE = pd.Series({"a": "x"})


def hours(*when: tuple[int, int]) -> pd.DataFrame:
    return pd.DataFrame({"profile_uid": "a", "start": pd.to_datetime([moment(d, h) for d, h in when], utc=True)})


def test_an_hour_surprises_where_the_profile_is_seldom_active_at_it() -> None:
    office = [(d, h) for d in range(25) if d % 7 < 5 for h in (9, 10, 11)]
    team = pd.concat([hours(*office).assign(profile_uid=who) for who in "bcde"])
    rows = pd.concat([team, hours(*office, (25, 3), (25, 10), (26, 9))])
    found = novelty.hour_of_week(rows, pd.Series("x", index=list("abcde")))
    found = found[found["profile_uid"] == "a"].set_index("start")["bits"]
    assert found[moment(25, 10)] < 0.5
    assert found[moment(25, 3)] > 3
    assert found[moment(26, 9)] > found[moment(25, 10)] + 2, "a Saturday is another kind of day"


def test_an_hour_is_judged_by_the_days_before_it_only() -> None:
    some = [(d, 9) for d in range(10)]
    early = novelty.hour_of_week(hours(*some), ALONE)
    late = novelty.hour_of_week(hours(*some, (10, 9), (11, 3), (12, 9)), ALONE)
    assert late["bits"].iloc[:10].tolist() == early["bits"].tolist()


def test_hours_are_graded_from_the_lake_and_a_version_bump_is_weighed_down(tmp_path: Path) -> None:
    place = raw_logs.workspace(tmp_path / "w")
    lines: list[dict[str, Any]] = []
    keys = [f"key_{n}_0123456789" for n in range(3)]
    for key in keys:
        lines += [nginx(f"{key}{d}{h}", moment(d, h), api_key_id=key) for d in range(20) for h in (9, 10, 11)]
    strange = {"http_user_agent": "curl/8.1"}
    bump = {"http_user_agent": "python-requests/2.32.0"}
    for key in keys[:1] + keys[2:]:  # to which the second does not follow yet
        lines.append(nginx(f"e{key}", moment(15, 9), api_key_id=key, http_user_agent="python-requests/2.31.9"))
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
    assert 0.5 < by_client[1] < by_client[2], "only the version is new"
    moved = last[last["moved"] == 1.0]
    assert len(moved) == 1 and moved["new_networks"].iloc[0] == 1
    assert moved["network"].iloc[0] > 2.5 and moved["operation"].iloc[0] > 2.5
    before = grades(day_of(20))
    pd.testing.assert_frame_equal(
        before.reset_index(drop=True), found[found["start"] < moment(20)].reset_index(drop=True), check_exact=True
    )


# the formulas of docs/method/baseline.md, one value at a time
Day = tuple[str, int]  # profile, day
WINDOW = 28


@dataclass
class Organisation:
    """Who used what, who was active on which days (both only where it counts), and the groups of the profiles."""

    uses: list[Use] = field(default_factory=list)
    active: set[Day] = field(default_factory=set)
    groups: dict[str, str] = field(default_factory=dict)
    families: dict[int, int] | None = None


def rarity_by_hand(use: Use, own: Organisation, others: Organisation, replaces: Mapping[str, str]) -> tuple[int, int]:
    """How rare a value is for a profile on a day (0 to 2), and how many of its peers used it before."""
    who, day, value, _ = use
    left_out = replaces.get(who, who)
    group = own.groups[who]
    users = {p for p, d, v, h in others.uses if v == value and d < day and h > 0 and p != left_out}
    there = {p for p, d in others.active if d < day and p != left_out}
    peers, size = (sum(others.groups[p] == group for p in some) for some in (users, there))
    of_family = own.families is not None and any(
        p == who and d < day and h > 0 and own.families.get(v) == own.families.get(value) for p, d, v, h in own.uses
    )
    return 0 if of_family or peers > 0.05 * size else 1 if users else 2, peers


def share_by_hand(use: Use, own: Organisation) -> float:
    """On what share of its active days of the last 28 a profile used a value."""
    who, day, value, _ = use
    window = range(day - WINDOW, day)
    with_it = len({d for p, d, v, h in own.uses if (p, v) == (who, value) and h > 0 and d in window})
    return (with_it + 1) / (sum((who, d) in own.active for d in window) + 2)


def new_days_by_hand(own: Organisation, others: Organisation, replaces: Mapping[str, str]) -> dict[Day, int]:
    """The rarest new value of each active day: 0 to 2, -1 where there was none."""
    days = {(who, day): -1 for who, day in own.active if has_past(own, who, day)}
    for use in own.uses:
        who, day, _, count = use
        if count > 0 and (who, day) in days and not hours_before(own, use):
            days[who, day] = max(days[who, day], rarity_by_hand(use, own, others, replaces)[0])
    return days


def has_past(own: Organisation, who: str, day: int) -> bool:
    return any(p == who and d < day for p, d in own.active)


def hours_before(own: Organisation, use: Use) -> int:
    return sum(h for p, d, v, h in own.uses if (p, v) == (use[0], use[2]) and d < use[1])


def rate_by_hand(
    who: str, day: int, level: int, own: dict[Day, int], others: dict[Day, int], groups: dict[str, str],
    others_groups: dict[str, str], replaces: Mapping[str, str],
) -> float:  # fmt: skip
    """On what share of active days a profile showed, or its peers, or everyone, what is of that level or above."""
    left_out = replaces.get(who, who)

    def lately(days: dict[Day, int], which: Callable[[str], bool]) -> tuple[int, int]:
        found = [level <= at for (p, d), at in days.items() if day - WINDOW <= d < day and which(p)]
        return sum(found), len(found)

    n, d = lately(others, lambda p: p != left_out)
    everyone = (n + 0.5) / (d + 1)
    n, d = lately(others, lambda p: p != left_out and others_groups[p] == groups[who])
    peers = (n + 100 * everyone) / (d + 100)
    n, d = lately(own, lambda p: p == who)
    return (n + 7 * peers) / (d + 7)


def novelty_by_hand(
    own: Organisation, others: Organisation | None = None, replaces: Mapping[str, str] | None = None
) -> dict[tuple[str, int, int], tuple[float, int, int]]:
    """Bits, earlier hours and earlier peers of each profile, day and value."""
    replaces, others = replaces or {}, others or own
    own_days, others_days = new_days_by_hand(own, others, replaces), new_days_by_hand(others, others, {})
    found = {}
    for use in own.uses:
        who, day, value, _ = use
        rarity, peers = rarity_by_hand(use, own, others, replaces)
        before = hours_before(own, use)
        if before:
            p = share_by_hand(use, own)
        else:
            p = rate_by_hand(who, day, rarity, own_days, others_days, own.groups, others.groups, replaces)
        found[who, day, value] = (-math.log2(p) if has_past(own, who, day) else 0.0, before, peers)
    return found


def as_frames(own: Organisation) -> tuple[pd.DataFrame, pd.DataFrame]:
    """As ``novelty`` takes them, in no order."""
    rows = pd.DataFrame(own.uses, columns=["profile_uid", "day", "value", "hours"])
    active = pd.DataFrame(sorted(own.active), columns=["profile_uid", "day"])
    return rows.sample(frac=1, random_state=1), active.sample(frac=1, random_state=2)


def some_organisation(seed: int, profiles: str = "abcdef", groups: Mapping[str, str] | None = None) -> Organisation:
    """Uses on seventy days, some of which count for nothing, and days on which nothing was used at all."""
    rng = np.random.default_rng(seed)
    cells = {(profiles[rng.integers(6)], int(rng.integers(70)), int(rng.exponential(4)) - 2) for _ in range(330)}
    uses = [(p, d, v, int(rng.integers(0, 4))) for p, d, v in sorted(cells)]
    active = {(p, d) for p, d, _, h in uses if h > 0} | {("f" if "f" in profiles else profiles[0], 30)}
    of = dict(groups or zip(profiles, "xxxxyy", strict=True))
    return Organisation(uses, active, of, {v: v // 3 + 9 for v in range(-2, 6)} if seed % 2 else None)


def agree(frame: pd.DataFrame, expected: dict[tuple[str, int, int], tuple[float, int, int]]) -> None:
    keys = list(zip(frame["profile_uid"], frame["day"], frame["value"], strict=True))
    assert keys == sorted(expected, key=lambda k: (k[0], k[2], k[1])), "ordered by profile, value and day"
    np.testing.assert_allclose(frame["bits"], [expected[k][0] for k in keys], rtol=1e-9, atol=1e-12)
    assert frame["hours_before"].tolist() == [expected[k][1] for k in keys]
    assert frame["peers_before"].tolist() == [expected[k][2] for k in keys]
    assert frame["peers_before"].dtype == "int64"
    assert list(frame) == ["profile_uid", "day", "value", "hours", "hours_before", "peers_before", "bits"]


def series(values: Mapping[int, int] | None) -> pd.Series | None:
    return None if values is None else pd.Series(values)


@pytest.mark.parametrize("seed", range(4))
def test_the_bits_of_a_value_are_those_of_the_formula(seed: int) -> None:
    own = some_organisation(seed)
    found = novelty.novelty(*as_frames(own), pd.Series(own.groups), series(own.families))
    agree(found, novelty_by_hand(own))


def test_the_bits_of_a_value_are_those_of_the_formula_where_each_profile_is_a_group_of_its_own() -> None:
    own = some_organisation(4, groups={p: p for p in PROFILES})
    agree(novelty.novelty(*as_frames(own), pd.Series(own.groups)), novelty_by_hand(own))


def known_of(others: Organisation) -> FirstUses:
    frames = as_frames(others)
    return novelty.first_uses(*frames, pd.Series(others.groups), series(others.families))


@pytest.mark.parametrize("replaces", [{}, {"t": "a", "u": "e", "v": "gone"}])
def test_those_of_another_organisation_are_compared_with_all_but_the_one_they_replace(replaces: dict[str, str]) -> None:
    others = some_organisation(9)
    others.active.add(("nobody's", 2))
    others.groups["nobody's"] = "x"
    mine = some_organisation(11, "atuvef", dict(zip("atuvef", "xxyxyy", strict=True)))
    groups, families = pd.Series(mine.groups), series(mine.families)
    found = novelty.novelty(*as_frames(mine), groups, families, known_of(others), replaces)
    agree(found, novelty_by_hand(mine, others, replaces))


def test_where_no_other_ever_used_anything_a_value_is_compared_with_nobody() -> None:
    own, nothing = some_organisation(2), Organisation(groups={"z": "x"})
    frames = [frame.astype({c: "int64" for c in frame if c != "profile_uid"}) for frame in as_frames(nothing)]
    found = novelty.novelty(*as_frames(own), GROUPS, None, novelty.first_uses(*frames, GROUPS, None), {})
    agree(found, novelty_by_hand(own, nothing))


def test_a_first_value_by_hand() -> None:
    found = graded([("a", 0, 1, 2), ("b", 0, 1, 1), ("b", 1, 5, 1), ("a", 2, 7, 1)])
    everyone = (1 + 0.5) / (1 + 1)  # of one day of one other, b's second, on which it had something that nobody had
    peers = (1 + 100 * everyone) / (1 + 100)
    assert bits(found, "a", 2, 7) == pytest.approx(-math.log2(7 * peers / 7), rel=1e-12)  # its own first day is none


HourRow = tuple[str, datetime, bool]


def oddity_by_hand(who: str, when: datetime, learned: list[HourRow]) -> tuple[float, int]:
    """The share of days of its kind with that hour, and how odd it is: -1, 0 or 1."""
    kind, day = when.weekday() >= 5, when.date()
    days = [
        (t.hour - when.hour + 12) % 24 - 12
        for p, t, _ in learned
        if p == who and (t.weekday() >= 5) == kind and day - timedelta(WINDOW) <= t.date() < day
    ]
    first = max(min([t.date() for p, t, _ in learned if p == who], default=day), day - timedelta(WINDOW))
    passed = sum(((first + timedelta(n)).weekday() >= 5) == kind for n in range((day - first).days))
    share = ((days.count(-1) + 2 * days.count(0) + days.count(1)) / 4 + 0.4) / (passed + 2)
    if first >= day or any(abs(d) <= 1 for d in days):
        return share, -1
    return share, 0 if any(abs(d) <= 3 for d in days) else 1


def odd_days_by_hand(hours: list[HourRow], day_0: date) -> dict[Day, int]:
    learned = [row for row in hours if row[2]]
    found: dict[Day, int] = {}
    for who, when, _ in learned:
        day = (when.date() - day_0).days
        found[who, day] = max(found.get((who, day), -1), oddity_by_hand(who, when, learned)[1])
    return {(who, day): odd for (who, day), odd in found.items() if any(p == who and d < day for p, d in found)}


def hour_bits_by_hand(
    hours: list[HourRow], groups: dict[str, str], others: list[HourRow] | None = None,
    others_groups: dict[str, str] | None = None, replaces: Mapping[str, str] | None = None,
) -> dict[tuple[str, datetime], float]:  # fmt: skip
    day_0, found = date(2020, 1, 1), {}
    own_days = odd_days_by_hand(hours, day_0)
    others_days = own_days if others is None else odd_days_by_hand(others, day_0)
    for who, when, _ in hours:
        share, oddity = oddity_by_hand(who, when, [row for row in hours if row[2]])
        if oddity >= 0:
            day = (when.date() - day_0).days
            share = rate_by_hand(
                who, day, oddity, own_days, others_days, groups, others_groups or groups, replaces or {}
            )
        found[who, when] = max(-math.log2(share), 0.0)
    return found


@pytest.mark.parametrize("some_count_for_nothing", [False, True])
def test_the_bits_of_an_hour_of_the_week_are_those_of_the_formula(some_count_for_nothing: bool) -> None:
    rng = np.random.default_rng(3)
    rows = []
    for who, first in (("a", 0), ("b", 9), ("c", 12)):
        cells = sorted({(int(rng.integers(first, 70)), int(rng.integers(6)) * 4 % 23) for _ in range(90)})
        rows += [(who, moment(d, h), bool(rng.random() < 0.6 and who != "c")) for d, h in cells]
    frame = pd.DataFrame(rows, columns=["profile_uid", "start", "is_learned_from"]).sample(frac=1, random_state=1)
    frame["start"] = pd.to_datetime(frame["start"], utc=True)
    if not some_count_for_nothing:
        frame, rows = frame.drop(columns="is_learned_from"), [(who, when, True) for who, when, _ in rows]
    groups = {"a": "x", "b": "x", "c": "y"}
    found, expected = novelty.hour_of_week(frame, pd.Series(groups)), hour_bits_by_hand(rows, groups)
    keys = [(who, when.to_pydatetime()) for who, when in zip(found["profile_uid"], found["start"], strict=True)]
    assert keys == sorted(expected)
    np.testing.assert_allclose(found["bits"], [expected[k] for k in keys], rtol=1e-9)
    assert (found.columns == [*frame.columns, "bits"]).all()


# hours of a lake, from tables that hold nothing but what novelty reads

TOKENS = {1: "a", 2: "b", 3: "b", 4: "c", 5: "d", 6: "e"}  # two keys of one user, b; the others are on their own
FAMILIES = {11: 1, 12: 1, 13: 2, 14: 3}  # of programs; 15 and 16 are in no table
SECONDS = 86400
Call = tuple[int, int, int, int]  # token, start of the hour in seconds since 1970, value, requests


def second(day: int, hour: int) -> int:
    return int(moment(day, hour).timestamp())


def some_calls(seed: int, values: list[int], cells: list[tuple[int, int, int]]) -> list[Call]:
    """In each hour of a token one value or two, the first of them most often."""
    rng = np.random.default_rng(seed)
    calls: dict[tuple[int, int, int], int] = {}
    for token, day, hour in cells:
        for _ in range(rng.integers(1, 3)):
            value = values[min(int(rng.exponential(0.9)), len(values) - 1)]
            calls[token, second(day, hour), value] = int(rng.integers(0, 9))
    return [(*key, n) for key, n in calls.items()]


def all_calls() -> dict[str, list[Call]]:
    """Calls on fourteen days of six tokens. There are hours with calls of no known network, one of them a whole day."""
    rng = np.random.default_rng(5)
    cells = sorted({(int(rng.integers(1, 7)), int(rng.integers(14)), (0, 9, 23)[rng.integers(3)]) for _ in range(170)})
    cells = [c for c in cells if c[:2] != (1, 6)]
    unknown, nothing_but = [(1, 6, 9), (4, 7, 22), (5, 5, 3)], (2, 3, 21)
    at_five = [(4, second(day, 5), 101, 2) for day in (5, 10)]  # a Saturday that was accepted, and a Thursday
    return {
        "network": [*some_calls(6, [101, 102, 103, 104], [*cells, nothing_but]), *at_five],
        "client": some_calls(7, [11, 12, 15, 13, 16, 14], cells),
        "operation": some_calls(8, [301, 302, 303, 304], [*cells, *unknown]),
    }


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    place = raw_logs.workspace(tmp_path_factory.mktemp("novelty"))

    def write(name: str, rows: list[dict[str, Any]]) -> None:
        lake.replace(place.lake, name, pa.Table.from_pylist(rows, schema=schema.table(name).arrow))

    write(
        "dim_token",
        [{"token_key": key, "token_uid": uid if uid != "b" else f"b{key}", "issuer": "aws", "token_kind": "api_key",
          "token_lifetime": "session" if uid == "b" else "long_lived",
          "principal_token_uid": "b" if uid == "b" else None}
         for key, uid in TOKENS.items()],
    )  # fmt: skip
    write("dim_client", [{"client_key": c, "family_key": f} for c, f in FAMILIES.items()])
    for kind, calls in all_calls().items():
        rows = [
            {"day": datetime.fromtimestamp(at, UTC).date(), "token_key": token, "hour_s": at, f"{kind}_key": value,
             "requests": n, "response_bytes": 0} | ({"outcome": 1} if kind == "operation" else {})
            for token, at, value, n in calls
        ]  # fmt: skip
        if kind == "operation":  # what was refused is the same operation
            rows += [row | {"outcome": 2} for row in rows[::3]]
        write(f"activity_{kind}", rows)
    write(
        "activity_hour",
        [{"day": datetime.fromtimestamp(at, UTC).date(), "token_key": token, "hour_s": at, "requests": n}
         for (token, at), n in all_hours().items()],
    )  # fmt: skip
    return place


def labels(*windows: tuple[str, datetime, datetime]) -> pd.DataFrame:
    frame = pd.DataFrame(windows, columns=["profile_uid", "start", "end"])
    return frame.assign(**{n: pd.to_datetime(frame[n], utc=True).dt.as_unit("us") for n in ("start", "end")})


LABELS = LabelledPeriods(
    misuse=labels(("a", moment(3, 9), moment(4)), ("d", moment(0), moment(3, 9)), ("e", moment(1), moment(20))),
    accepted=labels(("b", moment(6), moment(9, 10)), ("c", moment(4), moment(7, 23)), ("c", moment(11), moment(12))),
)


def windows_of(frame: pd.DataFrame) -> list[tuple[str, int, int]]:
    return [(p, int(a.timestamp()), int(b.timestamp())) for p, a, b in frame[["profile_uid", "start", "end"]].values]


def uses_by_hand(kind: str, first: int, stop: int) -> dict[tuple[str, int, int], int]:
    """Calls of each profile, hour and value, of the days asked for."""
    found: dict[tuple[str, int, int], int] = defaultdict(int)
    for n, (token, when, value, requests) in enumerate(all_calls()[kind]):
        if second(first, 0) <= when < second(stop, 0):
            found[TOKENS[token], when, value] += requests * (2 if kind == "operation" and n % 3 == 0 else 1)
    return found


def day_number(when: int) -> int:
    return (when - second(0, 0)) // SECONDS


def all_hours() -> dict[tuple[int, int], int]:
    """Calls of each token and hour, of which the values of some are not known."""
    cells = sorted({(token, when) for calls in all_calls().values() for token, when, _, _ in calls})
    return {cell: 3 + n % 7 for n, cell in enumerate(cells)}


def calls_by_hand(first: int, stop: int) -> dict[tuple[str, int], int]:
    """Calls of each profile and hour, of the days asked for."""
    found: dict[tuple[str, int], int] = defaultdict(int)
    for (token, when), requests in all_hours().items():
        if second(first, 0) <= when < second(stop, 0):
            found[TOKENS[token], when] += requests
    return found


def organisation_by_hand(
    kind: str, first: int, stop: int, groups: dict[str, str], misuse: list[tuple[str, int, int]]
) -> Organisation:
    """In how many hours that count each value was used on each day, and on which days a profile was active."""

    def counts(who: str, when: int) -> bool:
        return not any(p == who and low <= when < high for p, low, high in misuse)

    daily: dict[tuple[str, int, int], int] = defaultdict(int)
    for who, when, value in uses_by_hand(kind, first, stop):
        daily[who, day_number(when), value] += counts(who, when)
    active = {(who, day_number(when)) for who, when in calls_by_hand(first, stop) if counts(who, when)}
    families = FAMILIES if kind == "client" else None
    return Organisation([(*key, n) for key, n in daily.items()], active, groups, families)


def accepted_by_hand(
    rows: list[tuple[str, int, int]], windows: list[tuple[str, int, int]]
) -> set[tuple[str, int, int]]:
    """Which profiles, hours and values show what was accepted, from that window on."""
    found = set()
    for profile, low, high in windows:
        shown = {value for who, when, value in rows if who == profile and low <= when < high}
        found |= {row for row in rows if row[0] == profile and row[1] >= low and row[2] in shown}
    return found


@dataclass
class OtherLake:
    """The days of a lake that others are compared with."""

    first: int
    stop: int


def hours_by_hand(
    first: int, stop: int, groups: dict[str, str], labelled: LabelledPeriods,
    other: OtherLake | None = None, replaces: Mapping[str, str] | None = None,
) -> dict[tuple[str, int], dict[str, float]]:  # fmt: skip
    """Every graded hour of the lake, as a row by profile and start."""
    misuse, accepted = windows_of(labelled.misuse), windows_of(labelled.accepted)
    names = ("network", "client", "operation", "moved", "new_networks")
    calls = calls_by_hand(first, stop)
    hours = {key: {"requests": float(n)} | dict.fromkeys(names, 0.0) for key, n in calls.items()}
    for kind in ("network", "client", "operation"):
        uses = uses_by_hand(kind, first, stop)
        own = organisation_by_hand(kind, first, stop, groups, misuse)
        others = organisation_by_hand(kind, other.first, other.stop, groups, []) if other else None
        graded = novelty_by_hand(own, others, replaces)
        usual = accepted_by_hand(list(uses), accepted)
        total: dict[tuple[str, int], int] = defaultdict(int)
        fresh: dict[tuple[str, int], int] = defaultdict(int)
        for (who, when, value), requests in uses.items():
            found, before, _ = graded[who, day_number(when), value]
            if (who, when, value) in usual:
                found = min(found, 3.0)
            row = hours[who, when]
            row[kind] = max(row[kind], found)
            if kind == "network":
                total[who, when] += requests
                if before == 0 and (who, when, value) not in usual:
                    fresh[who, when] += requests
                    row["new_networks"] += 1
        for key, n in total.items():
            hours[key]["moved"] = fresh[key] / max(n, 1)
    moments = {key: datetime.fromtimestamp(key[1], UTC) for key in hours}
    marks = [(k[0], t, not any(p == k[0] and a <= k[1] < b for p, a, b in misuse)) for k, t in moments.items()]
    slots = {key: (key[0], key[1], t.hour + 24 * (t.weekday() >= 5)) for key, t in moments.items()}
    usual = accepted_by_hand(list(slots.values()), accepted)
    theirs = None
    if other:
        theirs = [(p, datetime.fromtimestamp(t, UTC), True) for p, t in calls_by_hand(other.first, other.stop)]
    bits_of = hour_bits_by_hand(marks, groups, theirs, groups, replaces)
    for key, row in hours.items():
        found = bits_of[key[0], moments[key]]
        row["hour_of_week"] = min(found, 3.0) if slots[key] in usual else found
    return hours


def check_hours(found: pd.DataFrame, expected: dict[tuple[str, int], dict[str, float]]) -> None:
    names = ["requests", "network", "moved", "new_networks", "client", "operation", "hour_of_week"]
    assert sorted(found.columns) == sorted(["profile_uid", "start", *names])
    keys = [(p, int(t.timestamp())) for p, t in zip(found["profile_uid"], found["start"], strict=True)]
    assert sorted(keys) == sorted(expected) and str(found["start"].dt.tz) == "UTC"
    for name in names:
        np.testing.assert_allclose(found[name], [expected[k][name] for k in keys], rtol=1e-9, atol=1e-12, err_msg=name)


HOUR_GROUPS = {"a": "x", "b": "x", "c": "x", "d": "y", "e": "y"}


@pytest.mark.parametrize("labelled", [None, LABELS])
def test_the_hours_of_a_lake_are_those_of_the_formulas(stored: Workspace, labelled: LabelledPeriods | None) -> None:
    found = novelty.graded_hours(stored, pd.Series(HOUR_GROUPS), day_of(1), day_of(13), labelled)
    check_hours(found, hours_by_hand(1, 13, HOUR_GROUPS, labelled or LabelledPeriods()))


def test_the_first_uses_of_a_lake_are_those_of_its_days(stored: Workspace) -> None:
    found = novelty.others(stored, pd.Series(HOUR_GROUPS), day_of(1), day_of(13))
    assert list(found.first_uses) == ["network", "client", "operation"]
    day_0 = (day_of(0) - date(1970, 1, 1)).days
    for kind, uses in found.first_uses.items():
        own = organisation_by_hand(kind, 1, 13, HOUR_GROUPS, [])
        first = {(p, v): min(d for q, d, w, h in own.uses if (q, w, h > 0) == (p, v, True)) for p, _, v, _ in own.uses}
        rows = uses.values[["profile_uid", "value", "day", "group"]].values.tolist()
        assert sorted(rows) == sorted([p, v, d + day_0, HOUR_GROUPS[p]] for (p, v), d in first.items())
        since = {p: min(d for q, d in own.active if q == p) for p, _ in own.active}
        rows = uses.first_active[["profile_uid", "day", "group"]].values.tolist()
        assert sorted(rows) == sorted([p, d + day_0, HOUR_GROUPS[p]] for p, d in since.items())


@pytest.mark.parametrize("replaces", [None, {"a": "c", "e": "d"}])
def test_the_hours_of_a_lake_may_be_compared_with_another(stored: Workspace, replaces: dict[str, str] | None) -> None:
    others = novelty.others(stored, pd.Series(HOUR_GROUPS), day_of(0), day_of(10))
    found = novelty.graded_hours(stored, pd.Series(HOUR_GROUPS), day_of(2), day_of(14), LABELS, others, replaces)
    check_hours(found, hours_by_hand(2, 14, HOUR_GROUPS, LABELS, OtherLake(0, 10), replaces))
