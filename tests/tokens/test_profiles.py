"""Which tokens share one fingerprint."""

import pandas as pd
import pytest

from tokenkit import identity, schema
from tokenkit.errors import InventoryError
from tokenkit.tokens.profiles import map_profiles

KEY = b"k" * 32


def uid(native: str) -> str:
    return identity.token_uid(KEY, "gateway:default", native)


def rotations(**replaced: str | None) -> pd.DataFrame:
    rows = [
        {"token_uid": uid(new), "mask": new, "rotated_from_uid": uid(old) if old else None}
        for new, old in replaced.items()
    ]
    return pd.DataFrame(rows)


def dim(*rows: dict[str, str | None]) -> pd.DataFrame:
    frame = pd.DataFrame([{"principal_token_uid": None, "role_token_uid": None} | row for row in rows])
    frame["token_key"] = [identity.int_key(u) for u in frame["token_uid"]]
    return frame


def token(native: str, lifetime: str = "long_lived", **more: str | None) -> dict[str, str | None]:
    return {"token_uid": uid(native), "token_kind": "api_key", "token_lifetime": lifetime} | more


def profiles_of(frame: pd.DataFrame, tokens: pd.DataFrame | None = None) -> list[tuple[str, str]]:
    none = schema.empty("tokens").to_pandas()
    found = map_profiles(frame, none if tokens is None else tokens)
    assert found.columns.tolist() == ["token_key", "token_uid", "profile_uid", "profile_kind"]
    assert found["token_uid"].is_unique
    return list(zip(found["profile_uid"], found["profile_kind"], strict=True))


def test_a_lasting_token_is_its_own_profile() -> None:
    assert profiles_of(dim(token("a"), token("b", "unknown"))) == [(uid("a"), "token"), (uid("b"), "token")]


def test_a_session_of_a_user_is_the_users() -> None:
    frame = dim(*(token(f"s{i}", "session", principal_token_uid=uid("user")) for i in range(2)))
    assert profiles_of(frame) == [(uid("user"), "principal")] * 2


def test_a_session_of_a_role_is_the_sessions_where_its_name_recurs_else_the_roles() -> None:
    frame = dim(
        *(token(f"ci{i}", "session", principal_token_uid=uid("role/ci"), role_token_uid=uid("role")) for i in range(3)),
        *(
            token(f"sdk{i}", "session", principal_token_uid=uid(f"role/{i}"), role_token_uid=uid("role"))
            for i in range(2)
        ),
    )
    assert profiles_of(frame) == [(uid("role/ci"), "session")] * 3 + [(uid("role"), "role")] * 2


def test_a_role_without_a_key_is_the_role_and_a_user_without_a_key_is_the_user() -> None:
    role = token("p", "unknown", token_kind="principal", principal_token_uid=uid("p"), role_token_uid=uid("role"))
    user = token("u", "unknown", token_kind="principal", principal_token_uid=uid("u"))
    assert profiles_of(dim(role, user)) == [(uid("role"), "role"), (uid("u"), "token")]


def test_rotation_leads_to_the_head_of_the_chain() -> None:
    tokens = rotations(a=None, b="a", c="b", d=None)
    frame = dim(*(token(name) for name in "abcd"))
    kinds = ["token", "rotated", "rotated", "token"]
    assert profiles_of(frame, tokens) == list(zip([uid("a")] * 3 + [uid("d")], kinds, strict=True))


def test_rotation_in_a_circle_is_an_error() -> None:
    tokens = rotations(a="b", b="a")
    with pytest.raises(InventoryError, match="in a circle"):
        map_profiles(dim(token("a")), tokens)


def test_who_has_no_token_has_no_profile() -> None:
    assert profiles_of(dim(token("a"), token("a") | {"token_uid": ""}, token("a"))) == [(uid("a"), "token")]
    assert len(map_profiles(schema.empty("dim_token").to_pandas(), schema.empty("tokens").to_pandas())) == 0
