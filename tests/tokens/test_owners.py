"""What people call a profile, and who answers for it."""

from pathlib import Path

import pandas as pd
import pytest
import raw_logs
from raw_logs import cloudtrail, moment, nginx

from tokenkit import identity
from tokenkit.config import Workspace
from tokenkit.tokens import owners
from tokenkit.tokens.profiles import token_profiles

CHAIN = [f"key_{n}_0123456789" for n in range(6)]


def people_of(place: Workspace, day: int = 9) -> pd.DataFrame:
    return owners.people(place, token_profiles(place), moment(day))


def chain(folder: Path, natives: list[str]) -> Workspace:
    place = raw_logs.workspace(folder / "w")
    lines = [nginx(f"r{n}", moment(n), api_key_id=native) for n, native in enumerate(natives)]
    raw_logs.form(place, raw_logs.write(folder / "a.log", lines))
    return place


def test_without_an_inventory_a_profile_is_called_by_its_principal_and_a_mask(tmp_path: Path) -> None:
    place = raw_logs.workspace(tmp_path / "w")
    raw_logs.form(
        place, raw_logs.write(tmp_path / "a.json", [cloudtrail("e")]), raw_logs.write(tmp_path / "b.log", [nginx("r")])
    )
    people = people_of(place)
    rows = people.set_index("mask")[["label", "owner_status", "issuer", "kind"]].to_dict("index")
    assert rows == {
        "AKIA...MPLE": {"label": "user/ana", "owner_status": "unowned", "issuer": "aws", "kind": "aws_access_key"},
        "key_...89ab": {
            "label": "key_...89ab", "owner_status": "unowned", "issuer": "gateway:default", "kind": "api_key",
        },
    }  # fmt: skip
    assert people["owner_name"].tolist() == [None, None]


def test_the_newest_token_of_a_chain_speaks_for_it(tmp_path: Path) -> None:
    place = chain(tmp_path, CHAIN)
    rows = [f"{t},{CHAIN[n - 1] if n else ''},token {n},owner {n}" for n, t in enumerate(CHAIN)]
    raw_logs.own(place, tmp_path, "native_id,rotated_from,token_name,owner_name\n" + "\n".join(rows) + "\n")
    people = people_of(place)
    key = identity.load_key(place.key)
    uids = [identity.token_uid(key, "gateway:default", native) for native in CHAIN]
    assert list(people.index) == [uids[0]], "the profile is the head of its chain"
    (person,) = people.to_dict("records")
    assert (person["label"], person["owner_name"]) == ("token 5", "owner 5")
    assert person["token_uids"] == uids[::-1], "the newest credential first"


def test_owners_are_those_of_the_moment(tmp_path: Path) -> None:
    place = chain(tmp_path, CHAIN[:1])
    raw_logs.own(
        place,
        tmp_path,
        f"native_id,owner_name,valid_from,valid_to\n{CHAIN[0]},ana,2026-03-01,2026-03-05\n{CHAIN[0]},raj,2026-03-05,\n",
    )
    assert people_of(place, 1)["owner_name"].tolist() == ["ana"]
    assert people_of(place, 9)["owner_name"].tolist() == ["raj"]


@pytest.mark.parametrize(
    ("row", "status"), [("ana,active", "owned"), ("ana,left", "orphaned"), (",", "unowned"), ("ana,", "owned")]
)
def test_the_status_is_that_of_the_inventory(tmp_path: Path, row: str, status: str) -> None:
    place = chain(tmp_path, CHAIN[:1])
    raw_logs.own(place, tmp_path, f"native_id,owner_name,owner_status\n{CHAIN[0]},{row}\n")
    assert people_of(place)["owner_status"].tolist() == [status]


def test_an_inventory_that_knows_the_role_names_its_sessions(tmp_path: Path) -> None:
    place = raw_logs.workspace(tmp_path / "w")
    records = [cloudtrail(f"e{n}", None, raw_logs.role("deploy", f"s{n}", f"ASIAAAAAAAAAAAAAAA0{n}")) for n in range(2)]
    raw_logs.form(place, raw_logs.write(tmp_path / "a.json", records))
    raw_logs.own(
        place,
        tmp_path,
        "native_id,token_name,owner_name,purpose\narn:aws:iam::111122223333:role/deploy,Deploy,ana,ci\n",
    )
    (person,) = people_of(place).to_dict("records")
    assert (person["label"], person["owner_name"], person["purpose"], person["kind"]) == ("Deploy", "ana", "ci", "role")
    assert len(person["token_uids"]) == 2


@pytest.mark.parametrize("listed", ["native_id,owner_name\n{0},ana\n",
                                    "native_id,token_name,owner_name\n{0},,ana\n{1},x,raj\n",
                                    "native_id,token_name,owner_name\n{0},nan,ana\n{1},None,raj\n"])  # fmt: skip
def test_a_token_that_the_list_gives_no_name_is_called_by_its_mask(tmp_path: Path, listed: str) -> None:
    place = chain(tmp_path, CHAIN[:2])
    raw_logs.own(place, tmp_path, listed.format(*CHAIN))
    people = people_of(place)
    assert people.set_index("owner_name")["label"]["ana"] == "key_...6789"
    assert not people["label"].astype(str).str.fullmatch("(?i)none|nan|").any()
    assert not people.map(lambda value: value != value if not isinstance(value, list) else False).any().any()
