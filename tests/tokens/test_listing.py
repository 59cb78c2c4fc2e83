"""Tokens as another program asks for them: by what it holds."""

from pathlib import Path

import pytest
import raw_logs
from raw_logs import cloudtrail, moment, nginx

from tokenkit import identity
from tokenkit.config import Workspace
from tokenkit.errors import IdentityError, InputError
from tokenkit.ingest import ingest
from tokenkit.sources.inputs import Input
from tokenkit.tokens import listing

KEY, ROLE = "key_0123456789ab", "arn:aws:iam::111122223333:role/deploy"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("listing")
    made = raw_logs.workspace(folder / "w")
    records = [cloudtrail(f"e{n}", None, raw_logs.role("deploy", f"s{n}", f"ASIAAAAAAAAAAAAAAA0{n}")) for n in range(2)]
    raw_logs.form(
        made, raw_logs.write(folder / "a.json", records), raw_logs.write(folder / "b.log", [nginx("r", api_key_id=KEY)])
    )
    raw_logs.own(
        made, folder, f"native_id,token_name,owner_name,team\n{KEY},deploy,ana,core\n{ROLE},Deploy role,raj,ci\n"
    )
    return made


def uid(place: Workspace, issuer: str, native: str) -> str:
    return identity.token_uid(identity.load_key(place.key), issuer, native)


def asked(place: Workspace, folder: Path, text: str) -> list[dict[str, object]]:
    (folder / "ids.txt").write_text(text)
    return listing.tokens(place, folder / "ids.txt", moment(9)).to_dict("records")


def test_every_token_is_listed_with_its_profile_and_owner(place: Workspace) -> None:
    frame = listing.tokens(place, None, moment(9))
    assert list(frame.columns) == listing.COLUMNS and len(frame) == 3
    row = frame[frame["token_uid"] == uid(place, "gateway:default", KEY)].iloc[0]
    assert (row["label"], row["owner"], row["team"], row["status"]) == ("deploy", "ana", "core", "owned")
    sessions = frame[frame["token_uid"] != row["token_uid"]]
    assert set(sessions["profile_uid"]) == {uid(place, "aws", ROLE)} and set(sessions["label"]) == {"Deploy role"}


def test_native_ids_are_mapped_in_their_order_seen_or_not(place: Workspace, tmp_path: Path) -> None:
    rows = asked(place, tmp_path, f"\n{ROLE}\n  {KEY}  \nkey_never_seen\nAKIANEVERSEEN0000000\n\n")
    assert [(r["native_id"], r["token_uid"], r["status"]) for r in rows] == [
        (ROLE, uid(place, "aws", ROLE), "owned"),
        (KEY, uid(place, "gateway:default", KEY), "owned"),
        ("key_never_seen", uid(place, "gateway:default", "key_never_seen"), "not seen"),
        ("AKIANEVERSEEN0000000", uid(place, "aws", "AKIANEVERSEEN0000000"), "not seen"),
    ]
    assert [r["label"] for r in rows[:2]] == ["Deploy role", "deploy"]
    assert rows[0]["profile_uid"] == rows[0]["token_uid"], "a role is a profile, and no credential"


def test_ids_of_every_issuer_in_the_lake_are_found(place: Workspace, tmp_path: Path) -> None:
    native = "ord_0123456789abcdef"
    mapped = raw_logs.workspace(tmp_path / "w")
    (tmp_path / "orders.toml").write_text(
        'name = "orders"\nissuer = "orders-api"\n[columns]\ntime = "at"\nnative_id = "key"\noperation = "op"\n'
    )
    (tmp_path / "orders.csv").write_text(f"at,key,op\n2026-03-02T00:00:00Z,{native},read\n")
    ingest(mapped, [Input(tmp_path / "orders.csv", str(tmp_path / "orders.toml"))])
    raw_logs.form(mapped, raw_logs.write(tmp_path / "b.log", [nginx("r", api_key_id=KEY)]))
    raw_logs.own(mapped, tmp_path, f"native_id,source,token_name\n{native},orders-api,orders export\n")
    rows = asked(mapped, tmp_path, f"{native}\n{KEY}\nkey_never_seen\n")
    assert [(r["token_uid"], r["status"]) for r in rows] == [
        (uid(mapped, "orders-api", native), "unowned"),
        (uid(mapped, "gateway:default", KEY), "unowned"),
        (uid(mapped, "gateway:default", "key_never_seen"), "not seen"),
    ]
    assert [r["label"] for r in rows[:2]] == ["orders export", "key_...89ab"]


def test_the_same_id_twice_is_answered_twice(place: Workspace, tmp_path: Path) -> None:
    assert len(asked(place, tmp_path, f"{KEY}\n{KEY}\n")) == 2
    assert asked(place, tmp_path, "\n") == []


def test_a_missing_file_and_a_missing_key_say_what_to_do(place: Workspace, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none.txt.*one (native )?id a line"):
        listing.tokens(place, tmp_path / "none.txt", moment(9))
    empty = raw_logs.workspace(tmp_path / "other")
    (tmp_path / "ids.txt").write_text(KEY)
    with pytest.raises(IdentityError, match="key is missing"):
        listing.tokens(empty, tmp_path / "ids.txt", moment(9))
