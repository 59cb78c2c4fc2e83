"""Each feature on a case counted by hand, and the map from tokens to profiles applied when it is formed."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import raw_logs
from raw_logs import cloudtrail, moment, nginx

from tokenkit import activity, fingerprint, identity
from tokenkit.config import Workspace
from tokenkit.errors import SchemaError
from tokenkit.fingerprint.feature import REGISTRY, feature
from tokenkit.store import lake
from tokenkit.tokens import owners
from tokenkit.tokens.profiles import token_profiles

FAMILIES = {"volume", "data", "network", "client", "endpoint", "objects", "outcome", "rhythm", "lifecycle"}

# one token, two hours of one day, and one hour of the day before
CALLS: list[dict[str, Any]] = [
    nginx("d0", moment(0, 9), uri="/v1/orders/1", bytes_sent=100, request_length=10),
    nginx("a1", moment(1, 9, 0, 0), uri="/v1/orders/1", bytes_sent=100, request_length=10),
    nginx("a2", moment(1, 9, 0, 5), uri="/v1/orders/2", bytes_sent=200, request_length=20),
    nginx("a3", moment(1, 9, 7, 0), uri="/v1/orders/3", bytes_sent=300, request_length=30, remote_addr="192.0.2.1"),
    nginx("a4", moment(1, 9, 8, 0), uri="/v1/orders", bytes_sent=400, request_length=40),
    nginx("b1", moment(1, 11, 0), uri="/v1/orders/9", request_method="DELETE", bytes_sent=0, request_length=50),
    nginx("b2", moment(1, 11, 1), uri="/v1/orders/7", request_method="PUT", bytes_sent=0, request_length=60),
    nginx("b3", moment(1, 11, 2), uri="/v1/orders", request_method="POST", status=403, bytes_sent=7, request_length=70),
    nginx("b4", moment(1, 11, 3), uri="/v1/secrets/7", status=401, bytes_sent=7, request_length=80),
    nginx("b5", moment(1, 11, 4), uri="/v1/orders/8", status=404, bytes_sent=7, http_user_agent="curl/8.1"),
    nginx("b6", moment(1, 11, 4, 9), uri="/v1/orders/8", status=429, bytes_sent=7, request_length=90),
]
BY_HAND = {
    "requests": (4, 6, 10), "active_minutes": (3, 5, 8), "max_in_minute": (2, 2, 2),
    "response_bytes": (1000, 28, 1028), "request_bytes": (100, 350 + 300, 750), "rows": (0, 0, 0),
    "networks": (2, 1, 2), "clients": (1, 2, 2),
    # a3 comes 6 minutes after a2 from another network, a4 a minute after a3 from the first again
    "network_switches": (None, None, 2),
    "operations": (2, 5, 6), "list_requests": (1, 0, 1), "sensitive_requests": (0, 2, 2),
    "write_requests": (0, 2, 2), "delete_requests": (0, 1, 1),
    "objects": (None, None, 7), "new_objects": (None, None, 6), "sequential_objects": (None, None, 4),
    "denied": (0, 2, 2), "client_errors": (0, 4, 4), "throttled": (0, 1, 1), "denied_operations": (0, 2, 2),
    # day 1: {orders/{n}, orders}, then {delete, put, post, secrets, orders/{n}}: 1 + 10 pairs; 7 of 9 steps differ
    "pairs": (None, None, 11), "new_pairs": (None, None, 11),
    "transitions": (None, None, 7), "new_transitions": (None, None, 7),
    # gaps of 5, 415, 60, 6720, 60, 60, 60, 60 and 9 s, of which three 60 s follow one of 60 s
    "paced_requests": (None, None, 3), "gap_variation": (None, None, 2521), "longest_gap": (None, None, 112),
    "active_hours": (None, None, 2), "sessions": (None, None, 2), "longest_session": (None, None, 9),
    "age_days": (None, None, 1), "days_since_rotation": (None, None, 1), "idle_days": (None, None, 0),
    "is_new": (None, None, 1), "has_owner": (None, None, 0), "owner_left": (None, None, 0), "scopes": (None, None, 0),
}  # fmt: skip
WINDOWS = [("hour", moment(1, 9)), ("hour", moment(1, 11)), ("day", moment(1))]


@pytest.fixture(scope="module")
def formed(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("features")
    place = raw_logs.workspace(folder / "w")
    raw_logs.form(place, raw_logs.write(folder / "a.log", CALLS))
    return raw_logs.table(place, "fingerprint").set_index(["window", "start"])


@pytest.mark.parametrize("name", fingerprint.features())
def test_a_feature_is_what_is_counted_by_hand(formed: pd.DataFrame, name: str) -> None:
    found = tuple(formed.loc[window, name] for window in WINDOWS)
    assert tuple(None if pd.isna(v) else int(v) for v in found) == BY_HAND[name]


def test_every_feature_has_a_case_here() -> None:
    assert set(BY_HAND) == set(fingerprint.features())


@pytest.mark.parametrize("name", fingerprint.features())
def test_every_feature_says_what_it_is_and_what_it_asks(name: str) -> None:
    its = fingerprint.features()[name]
    assert its.unit and its.doc.endswith(".") and its.asks.endswith("?")
    assert its.bad == "context" or its.reason
    assert its.given is None or its.given in fingerprint.judged_features()
    assert its.family in FAMILIES
    assert its.windows in (("day",), ("hour", "day"))


def test_a_second_feature_of_the_same_name_is_refused() -> None:
    def requests() -> Any: ...

    before = REGISTRY["requests"]
    with pytest.raises(SchemaError, match="two features are called requests"):
        feature(table="activity_hour", unit="calls", asks="?", reason="")(requests)
    assert REGISTRY["requests"] is before


# tokens become profiles when the fingerprint is formed

OLD, NEW, OTHER = "key_old_0123456789", "key_new_0123456789", "key_other_0123456789"


@pytest.fixture
def rotated(tmp_path: Path) -> Workspace:
    place = raw_logs.workspace(tmp_path / "w")
    lines = [nginx("o", moment(0, 1), api_key_id=OLD), nginx("n", moment(1, 1), api_key_id=NEW)]
    lines.append(nginx("x", moment(1, 1), api_key_id=OTHER))
    raw_logs.form(place, raw_logs.write(tmp_path / "a.log", lines))
    return place


def uid(place: Workspace, native: str, issuer: str = "gateway:default") -> str:
    return identity.token_uid(identity.load_key(place.key), issuer, native)


def daily(place: Workspace) -> dict[tuple[str, int], int]:
    frame = raw_logs.table(place, "fingerprint")
    frame = frame[frame["window"] == "day"]
    first = pd.Timestamp(raw_logs.FIRST, tz="UTC")
    return {(r.profile_uid, (r.start - first).days): int(r.requests) for r in frame.itertuples()}


def test_correcting_the_inventory_changes_profiles_and_touches_no_event(rotated: Workspace, tmp_path: Path) -> None:
    old, new, other = (uid(rotated, native) for native in (OLD, NEW, OTHER))
    assert daily(rotated) == {(old, 0): 1, (new, 1): 1, (other, 1): 1}
    before = lake.digest(rotated.lake, ["events", "activity_hour", "activity_object"])
    raw_logs.own(rotated, tmp_path, f"native_id,rotated_from\n{OLD},\n{NEW},{OLD}\n{OTHER},\n")
    assert activity.build(rotated) == 0
    assert fingerprint.build(rotated) == 2
    assert daily(rotated) == {(old, 0): 1, (old, 1): 1, (other, 1): 1}
    assert lake.digest(rotated.lake, ["events", "activity_hour", "activity_object"]) == before
    raw_logs.own(rotated, tmp_path, f"native_id,rotated_from\n{OLD},\n{NEW},\n{OTHER},{OLD}\n")
    fingerprint.build(rotated)
    assert daily(rotated) == {(old, 0): 1, (new, 1): 1, (old, 1): 1}


def test_a_rotated_token_touches_no_object_for_the_first_time_that_its_forerunner_knew(
    rotated: Workspace, tmp_path: Path
) -> None:
    raw_logs.own(rotated, tmp_path, f"native_id,rotated_from\n{OLD},\n{NEW},{OLD}\n")
    fingerprint.build(rotated)
    frame = raw_logs.table(rotated, "fingerprint")
    frame = frame[(frame["window"] == "day") & (frame["profile_uid"] == uid(rotated, OLD))]
    assert frame["new_objects"].tolist() == [1, 0]


def test_what_is_up_to_date_is_not_formed_again(rotated: Workspace) -> None:
    before = lake.version(rotated.lake, "fingerprint")
    assert fingerprint.build(rotated) == 0
    assert lake.version(rotated.lake, "fingerprint") == before


def test_sessions_of_a_role_are_one_profile_unless_their_name_recurs(tmp_path: Path) -> None:
    place = raw_logs.workspace(tmp_path / "w")
    records = [
        cloudtrail(f"r{n}", moment(0, n), raw_logs.role("deploy", f"botocore-session-{n}", f"ASIAAAAAAAAAAAAAAA0{n}"))
        for n in range(4)
    ]
    records += [
        cloudtrail(f"s{n}", moment(0, n), raw_logs.role("admin", "ana", f"ASIABBBBBBBBBBBBBB0{n}")) for n in range(3)
    ]
    records.append(cloudtrail("u", moment(0, 5), raw_logs.user("bob", "ASIACCCCCCCCCCCCCC01")))
    raw_logs.form(place, raw_logs.write(tmp_path / "a.json", records))
    aws = "arn:aws:iam::111122223333"
    assert daily(place) == {
        (uid(place, f"{aws}:role/deploy", "aws"), 0): 4,
        (uid(place, "arn:aws:sts::111122223333:assumed-role/admin/ana", "aws"), 0): 3,
        (uid(place, f"{aws}:user/bob", "aws"), 0): 1,
    }
    mapped = token_profiles(place)
    assert mapped.groupby("profile_kind").size().to_dict() == {"principal": 1, "role": 4, "session": 3}
    people = owners.people(place, mapped, moment(1))
    assert set(people["kind"]) == {"principal", "role", "session"}


def test_an_object_first_touched_in_a_late_event_is_no_longer_new_on_the_day_after(tmp_path: Path) -> None:
    place = raw_logs.workspace(tmp_path / "w")
    lines = [nginx("a", moment(0), uri="/v1/orders/1"), nginx("b", moment(2), uri="/v1/orders/5")]
    raw_logs.form(place, raw_logs.write(tmp_path / "a.log", lines))
    late = nginx("late", moment(1), uri="/v1/orders/5")
    raw_logs.form(place, raw_logs.write(tmp_path / "late.log", [late]))
    at_once = raw_logs.workspace(tmp_path / "once")
    at_once.key.write_text(place.key.read_text())
    raw_logs.form(at_once, raw_logs.write(tmp_path / "all.log", [*lines, late]))
    pd.testing.assert_frame_equal(raw_logs.table(place, "fingerprint"), raw_logs.table(at_once, "fingerprint"))


def test_a_new_day_leaves_the_days_before_it_as_they_are(tmp_path: Path) -> None:
    place = raw_logs.workspace(tmp_path / "w")
    raw_logs.form(place, raw_logs.write(tmp_path / "a.log", [nginx("a", moment(0)), nginx("b", moment(1))]))
    before = lake.days(place.lake, "fingerprint")
    raw_logs.read(place, raw_logs.write(tmp_path / "b.log", [nginx("c", moment(2), uri="/v1/orders/5")]))
    activity.build(place)
    assert fingerprint.build(place) == 1
    after = lake.days(place.lake, "fingerprint")
    assert {d: after[d] for d in before} == before


def test_a_feature_of_a_notebook_is_one_of_those_that_are_compared_and_formed():
    import narwhals as nw

    from tokenkit import fingerprint
    from tokenkit.fingerprint.feature import REGISTRY, feature

    before = fingerprint.definitions()

    def largest_of_mine() -> nw.Expr:
        """Bytes of the largest answer."""
        return nw.col("max_response_bytes").max()

    try:
        feature(table="activity_hour", unit="bytes", asks="Is it large?", reason="Was large")(largest_of_mine)
        assert "largest_of_mine" in fingerprint.judged_features() and fingerprint.definitions() != before
    finally:
        del REGISTRY["largest_of_mine"]
