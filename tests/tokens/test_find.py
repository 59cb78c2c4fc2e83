"""Which profile somebody means by an id or a name."""

from pathlib import Path

import pytest
import raw_logs
from raw_logs import cloudtrail, moment, nginx

from tokenkit import identity
from tokenkit.config import Workspace
from tokenkit.errors import InputError
from tokenkit.tokens.find import find_profile

KEYS = ["key_0123456789ab", "key_0123456789cd", "key_old_01234567", "key_new_01234567"]
ROLE, USER = "arn:aws:iam::111122223333:role/deploy", "arn:aws:iam::111122223333:user/ana"
SESSION = "arn:aws:sts::111122223333:assumed-role/deploy/s0"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Four gateway keys, one of which replaced another, two sessions of a role, and two keys of one user."""
    folder = tmp_path_factory.mktemp("find")
    place = raw_logs.workspace(folder / "w")
    callers = [raw_logs.role("deploy", f"s{n}", f"ASIAAAAAAAAAAAAAAA0{n}") for n in range(2)]
    callers += [raw_logs.user("ana", f"AKIAAAAAAAAAAAAAAA0{n}") for n in range(2)]
    raw_logs.form(
        place,
        raw_logs.write(folder / "a.json", [cloudtrail(f"e{n}", None, caller) for n, caller in enumerate(callers)]),
        raw_logs.write(folder / "b.log", [nginx(f"r{n}", api_key_id=native) for n, native in enumerate(KEYS)]),
    )
    raw_logs.own(
        place,
        folder,
        "native_id,token_name,rotated_from\n"
        f"{KEYS[0]},export,\n{KEYS[1]},key_...89ab,\n{KEYS[2]},,\n{KEYS[3]},billing,{KEYS[2]}\n",
    )
    return place


def uid(place: Workspace, issuer: str, native: str) -> str:
    return identity.token_uid(identity.load_key(place.key), issuer, native)


def find(place: Workspace, name: str) -> str:
    return find_profile(place, name, moment(9))


def test_every_id_and_every_name_of_a_profile_finds_it(place: Workspace) -> None:
    export, billing = uid(place, "gateway:default", KEYS[0]), uid(place, "gateway:default", KEYS[2])
    assert find(place, export) == find(place, "export") == export
    rotated = uid(place, "gateway:default", KEYS[3])
    assert find(place, rotated) == find(place, billing) == find(place, "billing") == billing


def test_a_role_is_found_by_its_id_its_name_and_each_of_its_sessions(place: Workspace) -> None:
    deploy = uid(place, "aws", ROLE)
    for name in (deploy, ROLE, uid(place, "aws", "ASIAAAAAAAAAAAAAAA00"), uid(place, "aws", SESSION)):
        assert find(place, name) == deploy


def test_a_name_of_several_profiles_lists_them(place: Workspace) -> None:
    for name in (USER, uid(place, "aws", USER)):
        with pytest.raises(InputError, match=r"is the name of 2 tokens: tok1_\w+, tok1_\w+. Name one by its id"):
            find(place, name)
    with pytest.raises(InputError, match=r"'key_...89ab' is the name of 2 tokens"):
        find(place, "key_...89ab")  # the mask of one, and the label of another


def test_an_unknown_name_is_met_with_the_likeliest(place: Workspace) -> None:
    with pytest.raises(InputError, match=r"no token 'exprt'; did you mean export\?"):
        find(place, "exprt")
    with pytest.raises(InputError, match=r"no token .zzzzzz.; known: .*export"):
        find(place, "zzzzzz")


def test_where_nothing_was_read_the_command_that_lists_tokens_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no token 'export'; list them: tokenkit tokens"):
        find(raw_logs.workspace(tmp_path / "w"), "export")
