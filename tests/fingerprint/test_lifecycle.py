"""Family I: how old a profile is and who answers for it, as of each day, with and without a list of owners."""

from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
import raw_logs
from raw_logs import cloudtrail, moment, nginx

from tokenkit import fingerprint
from tokenkit.config import Workspace

OLD, NEW = "key_old_0123456789", "key_new_0123456789"
NAMES = [name for name, its in fingerprint.features().items() if its.family == "lifecycle"]


def day(number: int) -> str:
    return (raw_logs.FIRST + timedelta(days=number)).isoformat()


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    """One key on days 0, 1 and 5, and another from day 6 on."""
    made = raw_logs.workspace(tmp_path / "w")
    lines = [nginx(f"o{d}", moment(d), api_key_id=OLD) for d in (0, 1, 5)]
    lines += [nginx(f"n{d}", moment(d), api_key_id=NEW) for d in (6, 20)]
    raw_logs.form(made, raw_logs.write(tmp_path / "a.log", lines))
    return made


def formed(place: Workspace) -> pd.DataFrame:
    """The lifecycle of each day, by number of the day; days of two profiles do not overlap here."""
    fingerprint.build(place)
    frame = raw_logs.table(place, "fingerprint")
    frame = frame[frame["window"] == "day"]
    number = (frame["start"] - pd.Timestamp(raw_logs.FIRST, tz="UTC")).dt.days
    return frame.set_index(number)[NAMES].astype(int)


def test_without_a_list_of_owners_a_token_is_as_old_as_its_first_call(place: Workspace) -> None:
    found = formed(place)
    assert found["age_days"].to_dict() == {0: 0, 1: 1, 5: 5, 6: 0, 20: 14}
    assert found["days_since_rotation"].equals(found["age_days"])
    assert found["idle_days"].to_dict() == {0: 0, 1: 0, 5: 3, 6: 0, 20: 13}
    assert found["is_new"].to_dict() == {0: 1, 1: 1, 5: 1, 6: 1, 20: 0}
    assert not found[["has_owner", "owner_left", "scopes"]].to_numpy().any()


def test_a_list_of_owners_says_since_when_by_whom_and_for_what(place: Workspace, tmp_path: Path) -> None:
    text = (
        "native_id,owner_uid,owner_name,owner_status,created,scopes,rotated_from\n"
        f'{OLD},a,ana,active,{day(-100)},"read:orders write:orders",\n'
        f"{NEW},b,bo,left,{day(3)},read:orders,{OLD}\n"
    )
    raw_logs.own(place, tmp_path, text)
    found = formed(place)
    assert found["age_days"].to_dict() == {0: 100, 1: 101, 5: 105, 6: 106, 20: 120}
    # the new key was created on day 3, and nobody could know of it before it was seen on day 6
    assert found["days_since_rotation"].to_dict() == {0: 100, 1: 101, 5: 105, 6: 3, 20: 17}
    assert found["idle_days"].to_dict() == {0: 0, 1: 0, 5: 3, 6: 0, 20: 13}, "one profile: the key was replaced"
    assert found["has_owner"].to_dict() == {0: 1, 1: 1, 5: 1, 6: 0, 20: 0}
    assert found["owner_left"].to_dict() == {0: 0, 1: 0, 5: 0, 6: 1, 20: 1}
    assert found["scopes"].to_dict() == {0: 2, 1: 2, 5: 2, 6: 1, 20: 1}


def test_an_owner_counts_from_the_day_on_which_the_list_says_so(place: Workspace, tmp_path: Path) -> None:
    text = "native_id,owner_uid,owner_name,owner_status,valid_from,valid_to\n"
    text += f"{OLD},a,ana,active,,{day(1)}\n{OLD},b,bo,left,{day(1)},{day(5)}\n"
    raw_logs.own(place, tmp_path, text)
    found = formed(place)
    assert found["has_owner"].to_dict() == {0: 1, 1: 0, 5: 0, 6: 0, 20: 0}
    assert found["owner_left"].to_dict() == {0: 0, 1: 1, 5: 0, 6: 0, 20: 0}


def test_a_role_s_owner_answers_for_its_sessions(tmp_path: Path) -> None:
    made = raw_logs.workspace(tmp_path / "w")
    calls = [cloudtrail(f"s{d}", moment(d), raw_logs.role("admin", "ana", f"ASIABBBBBBBBBBBBBB0{d}")) for d in range(3)]
    raw_logs.form(made, raw_logs.write(tmp_path / "a.json", calls))
    assert not formed(made)["has_owner"].any()
    arn = "arn:aws:iam::111122223333:role/admin"
    raw_logs.own(made, tmp_path, f"native_id,owner_uid,owner_name,owner_status\n{arn},a,ana,active\n")
    found = formed(made)
    assert found["has_owner"].tolist() == [1, 1, 1]
    assert found["age_days"].tolist() == [0, 1, 2] and found["days_since_rotation"].tolist() == [0, 0, 0]


def test_context_is_neither_fitted_nor_scored() -> None:
    evidence = raw_logs.evidence_of(raw_logs.steady(profiles=4, days=50), raw_logs.periods(42, 50))
    for kept in (evidence.fits, evidence.bits, evidence.z):
        assert set(kept) == set(fingerprint.judged_features())
    assert set(NAMES) < set(evidence.days.values) and not set(NAMES) & set(fingerprint.judged_features())
