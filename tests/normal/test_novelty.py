"""How surprising a value is: only the days before count, and a wanderer surprises less."""

import math
from collections import defaultdict
from collections.abc import Mapping
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


# the formulas of docs/method/baseline.md, one value at a time


@dataclass
class Firsts:
    """On which day each profile used each value first, and when it was active first; and the groups of the profiles."""

    values: dict[tuple[str, int], int] = field(default_factory=dict)
    active: dict[str, int] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)


def firsts_by_hand(uses: list[Use], active: list[tuple[str, int, int]], groups: dict[str, str]) -> Firsts:
    found = Firsts(groups=groups)
    for who, day, value, count in uses:
        if count > 0:
            found.values[who, value] = min(day, found.values.get((who, value), day))
    for who, day, count in active:
        if count > 0:
            found.active[who] = min(day, found.active.get(who, day))
    return found


def novelty_by_hand(
    uses: list[Use], active: list[tuple[str, int, int]], groups: dict[str, str],
    others: Firsts | None = None, replaces: Mapping[str, str] | None = None,
) -> dict[tuple[str, int, int], tuple[float, int, int]]:  # fmt: skip
    """Bits, earlier hours and earlier peers of each profile, day and value."""
    own = firsts_by_hand(uses, active, groups)
    others = others or own
    found = {}
    for who, day, value, _ in uses:
        k = sum(h for p, d, v, h in uses if (p, v) == (who, value) and d < day)
        n = sum(h for p, d, h in active if p == who and d < day)
        values = sum(p == who and first < day for (p, _), first in own.values.items())
        left_out = (replaces or {}).get(who, who)
        users = [p for (p, v), d in others.values.items() if v == value and d < day and p != left_out]
        peers = sum(others.groups[p] == groups[who] for p in users)
        there = [p for p, d in others.active.items() if d < day]
        size = max(sum(others.groups[p] == groups[who] for p in there) - 1, 0)
        p_org = (len(users) + 0.5) / (len(there) + 1)
        p_peer = (peers + 20 * p_org) / (size + 20)
        a = (values + 1) / (math.log(1 + n) + 0.3)
        known_day = any((p, d) == (who, day) for p, d, _ in active)
        bits = min(-math.log2((k + a * p_peer) / (n + a)), 40.0) if known_day else math.nan
        found[who, day, value] = (bits, k, peers)
    return found


def at(day: int) -> pd.Timestamp:
    return pd.Timestamp(day_of(day))


def as_frames(uses: list[Use], active: list[tuple[str, int, int]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """As ``novelty`` takes them, in no order."""
    rows = pd.DataFrame(uses, columns=["profile_uid", "day", "value", "hours"]).sample(frac=1, random_state=1)
    hours = pd.DataFrame(active, columns=["profile_uid", "day", "hours"]).sample(frac=1, random_state=2)
    return tuple(f.assign(day=pd.to_datetime(f["day"].map(at))) for f in (rows, hours))


def some_uses(seed: int) -> tuple[list[Use], list[tuple[str, int, int]]]:
    """Uses, some of which count for nothing, and in how many hours each profile was active."""
    rng = np.random.default_rng(seed)
    cells = {(PROFILES[rng.integers(6)], int(rng.integers(12)), int(rng.integers(-2, 5))) for _ in range(110)}
    uses = [(p, d, v, int(rng.integers(0, 4))) for p, d, v in sorted(cells)]
    active = [(p, d, int(rng.integers(0, 9))) for p, d in sorted({(p, d) for p, d, _, _ in uses})]
    return uses, [*active, ("f", 30, 3)]


def agree(frame: pd.DataFrame, expected: dict[tuple[str, int, int], tuple[float, int, int]]) -> None:
    days = [(d.date() - day_of(0)).days for d in frame["day"]]
    keys = list(zip(frame["profile_uid"], days, frame["value"], strict=True))
    assert keys == sorted(expected, key=lambda k: (k[0], k[2], k[1])), "ordered by profile, value and day"
    np.testing.assert_allclose(frame["bits"], [expected[k][0] for k in keys], rtol=1e-9, atol=1e-12)
    assert frame["hours_before"].tolist() == [expected[k][1] for k in keys]
    assert frame["peers_before"].tolist() == [expected[k][2] for k in keys]
    assert frame["peers_before"].dtype == "int64"
    assert list(frame) == ["profile_uid", "day", "value", "hours", "bits", "hours_before", "peers_before"]


@pytest.mark.parametrize("seed", range(4))
def test_the_bits_of_a_value_are_those_of_the_formula(seed: int) -> None:
    uses, active = some_uses(seed)
    groups = dict(GROUPS)
    agree(novelty.novelty(*as_frames(uses, active), GROUPS), novelty_by_hand(uses, active, groups))


def test_the_bits_of_a_value_are_those_of_the_formula_where_each_profile_is_a_group_of_its_own() -> None:
    uses, active = some_uses(4)
    daily = {(p, d, v % 2): h for p, d, v, h in uses}
    uses = [(*key, h) for key, h in daily.items()]
    groups = {p: p for p in PROFILES}
    agree(novelty.novelty(*as_frames(uses, active), pd.Series(groups)), novelty_by_hand(uses, active, groups))


@pytest.mark.parametrize("replaces", [{}, {"t": "a", "u": "e", "v": "gone"}])
def test_those_of_another_organisation_are_compared_with_all_but_the_one_they_replace(replaces: dict[str, str]) -> None:
    theirs, their_days = some_uses(9)
    others = firsts_by_hand(theirs, their_days, dict(GROUPS))
    others.active["nobody's"] = 2
    others.groups["nobody's"] = "x"
    since = {p: (day_of(d) - date(1970, 1, 1)).days for p, d in others.active.items()}
    known = FirstUses(
        pd.DataFrame(
            [(p, v, (day_of(d) - date(1970, 1, 1)).days, GROUPS[p]) for (p, v), d in others.values.items()],
            columns=["profile_uid", "value", "day", "group"],
        ),
        pd.DataFrame([(p, d, others.groups[p]) for p, d in since.items()], columns=["profile_uid", "day", "group"]),
    )
    mine, days = some_uses(10)
    names = dict(zip(PROFILES, "atuvef", strict=True))
    mine, days = [(names[p], d, v, h) for p, d, v, h in mine], [(names[p], d, h) for p, d, h in days]
    groups = dict(zip("atuvef", "xxyxyy", strict=True))
    found = novelty.novelty(*as_frames(mine, days), pd.Series(groups), (known, replaces))
    agree(found, novelty_by_hand(mine, days, groups, others, replaces))


def test_where_no_other_ever_used_anything_a_value_is_compared_with_nobody() -> None:
    nothing = FirstUses(
        pd.DataFrame({"profile_uid": pd.Series(dtype=str), "value": pd.Series(dtype="int64"),
                      "day": pd.Series(dtype="int64"), "group": pd.Series(dtype=str)}),
        pd.DataFrame({"profile_uid": pd.Series(dtype=str), "day": pd.Series(dtype="int64"),
                      "group": pd.Series(dtype=str)}),
    )  # fmt: skip
    uses, active = some_uses(2)
    found = novelty.novelty(*as_frames(uses, active), GROUPS, (nothing, {}))
    agree(
        found, novelty_by_hand(uses, active, dict(GROUPS), Firsts(active={}, values={("z", 99): 5}, groups={"z": "x"}))
    )


def test_a_first_value_by_hand() -> None:
    found = graded([("a", 0, 1, 2), ("b", 0, 1, 1), ("a", 1, 7, 1)])
    p_peer = 20 * (0.5 / 3) / (1 + 20)  # of two that were there before, nobody used it; one of them is a peer
    a = 2 / (math.log(3) + 0.3)
    assert bits(found, "a", 1, 7) == pytest.approx(-math.log2(a * p_peer / (2 + a)), rel=1e-12)


def test_forty_bits_are_the_most() -> None:
    days = [("a", d, 1, 10**12) for d in range(2)]
    assert bits(graded([*days, ("a", 2, 9, 1)]), "a", 2, 9) == 40.0


def hour_bits_by_hand(hours: list[tuple[str, datetime, bool]]) -> dict[tuple[str, datetime], float]:
    found = {}
    for who, when, _ in hours:
        kind = when.weekday() >= 5
        learned = [t for p, t, counts in hours if p == who and counts]
        with_it = sum(t < when and t.hour == when.hour and (t.weekday() >= 5) == kind for t in learned)
        first = min([t.date() for t in learned], default=when.date())
        passed = [first + timedelta(days=n) for n in range((when.date() - first).days)]
        days = sum((d.weekday() >= 5) == kind for d in passed)
        found[who, when] = -math.log2((with_it + 0.4) / (days + 2))
    return found


@pytest.mark.parametrize("some_count_for_nothing", [False, True])
def test_the_bits_of_an_hour_of_the_week_are_those_of_the_formula(some_count_for_nothing: bool) -> None:
    rng = np.random.default_rng(3)
    rows = []
    for who, first in (("a", 0), ("b", 9), ("c", 12)):
        cells = sorted({(int(rng.integers(first, 30)), int(rng.integers(3)) * 11) for _ in range(60)})
        rows += [(who, moment(d, h), bool(rng.random() < 0.6 and who != "c")) for d, h in cells]
    frame = pd.DataFrame(rows, columns=["profile_uid", "start", "is_learned_from"]).sample(frac=1, random_state=1)
    frame["start"] = pd.to_datetime(frame["start"], utc=True)
    if not some_count_for_nothing:
        frame, rows = frame.drop(columns="is_learned_from"), [(who, when, True) for who, when, _ in rows]
    found, expected = novelty.hour_of_week(frame), hour_bits_by_hand(rows)
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


def days_by_hand(
    uses: Mapping[tuple[str, int, int], int], misuse: list[tuple[str, int, int]]
) -> tuple[list[Use], list[tuple[str, int, int]]]:
    """In how many hours that count each value was used on each day, and in how many a profile was active."""
    daily: dict[tuple[str, int, int], int] = defaultdict(int)
    active: dict[tuple[str, int], set[int]] = defaultdict(set)
    for who, when, value in uses:
        counts = not any(p == who and low <= when < high for p, low, high in misuse)
        daily[who, day_number(when), value] += counts
        active[who, day_number(when)] |= {when} if counts else set()
    return [(*key, n) for key, n in daily.items()], [(*key, len(hours)) for key, hours in active.items()]


def accepted_by_hand(
    rows: list[tuple[str, int, int]], windows: list[tuple[str, int, int]]
) -> set[tuple[str, int, int]]:
    """Which profiles, hours and values show what was accepted, from that window on."""
    found = set()
    for profile, low, high in windows:
        shown = {value for who, when, value in rows if who == profile and low <= when < high}
        found |= {row for row in rows if row[0] == profile and row[1] >= low and row[2] in shown}
    return found


def hours_by_hand(
    first: int, stop: int, groups: dict[str, str], labelled: LabelledPeriods,
    compared_with: dict[str, Firsts] | None = None, replaces: Mapping[str, str] | None = None,
) -> dict[tuple[str, int], dict[str, float]]:  # fmt: skip
    """Every graded hour of the lake, as a row by profile and start."""
    misuse, accepted = windows_of(labelled.misuse), windows_of(labelled.accepted)
    _, active = days_by_hand(uses_by_hand("network", first, stop), misuse)
    names = ("requests", "network", "client", "operation", "moved", "new_networks")
    hours: dict[tuple[str, int], dict[str, float]] = defaultdict(lambda: dict.fromkeys(names, 0.0))
    for kind in ("network", "client", "operation"):
        uses = uses_by_hand(kind, first, stop)
        daily, _ = days_by_hand(uses, misuse)
        graded = novelty_by_hand(daily, active, groups, compared_with[kind] if compared_with else None, replaces)
        usual = accepted_by_hand(list(uses), accepted)
        total: dict[tuple[str, int], int] = defaultdict(int)
        fresh: dict[tuple[str, int], int] = defaultdict(int)
        for (who, when, value), requests in uses.items():
            day = day_number(when)
            found, before, _ = graded[who, day, value]
            if kind == "client" and before == 0:
                family = FAMILIES.get(value)
                if any(p == who and d < day and n > 0 and FAMILIES.get(v) == family for p, d, v, n in daily):
                    found *= 0.25
            if (who, when, value) in usual:
                found = min(found, 3.0)
            row = hours[who, when]
            row[kind] = max(row[kind], 0.0 if math.isnan(found) else found)
            if kind == "network":
                row["requests"] += requests
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
    bits_of = hour_bits_by_hand(marks)
    for key, row in hours.items():
        found = bits_of[key[0], moments[key]]
        row["hour_of_week"] = min(found, 3.0) if slots[key] in usual else found
    return dict(hours)


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


def firsts_of_lake(first: int, stop: int, groups: dict[str, str]) -> dict[str, Firsts]:
    _, active = days_by_hand(uses_by_hand("network", first, stop), [])
    return {
        kind: firsts_by_hand(days_by_hand(uses_by_hand(kind, first, stop), [])[0], active, groups)
        for kind in ("network", "client", "operation")
    }


def test_the_first_uses_of_a_lake_are_those_of_its_days(stored: Workspace) -> None:
    found = novelty.first_uses(stored, pd.Series(HOUR_GROUPS), day_of(1), day_of(13))
    expected = firsts_of_lake(1, 13, HOUR_GROUPS)
    assert list(found) == ["network", "client", "operation"]
    day_0 = (day_of(0) - date(1970, 1, 1)).days
    for kind, uses in found.items():
        rows = uses.values[["profile_uid", "value", "day", "group"]].values.tolist()
        assert sorted(rows) == sorted([p, v, d + day_0, HOUR_GROUPS[p]] for (p, v), d in expected[kind].values.items())
        rows = uses.first_active[["profile_uid", "day", "group"]].values.tolist()
        assert sorted(rows) == sorted([p, d + day_0, HOUR_GROUPS[p]] for p, d in expected[kind].active.items())


@pytest.mark.parametrize("replaces", [None, {"a": "c", "e": "d"}])
def test_the_hours_of_a_lake_may_be_compared_with_another(stored: Workspace, replaces: dict[str, str] | None) -> None:
    others = novelty.first_uses(stored, pd.Series(HOUR_GROUPS), day_of(0), day_of(10))
    found = novelty.graded_hours(stored, pd.Series(HOUR_GROUPS), day_of(2), day_of(14), LABELS, others, replaces)
    expected = hours_by_hand(2, 14, HOUR_GROUPS, LABELS, firsts_of_lake(0, 10, HOUR_GROUPS), replaces)
    check_hours(found, expected)
