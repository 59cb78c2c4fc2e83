"""Rules that need no history: who has left, what has expired, where it may be used from; begun or standing."""

from pathlib import Path

import pandas as pd
import pytest
import raw_logs
from raw_logs import day_of, moment, nginx

from tokenkit.channels import policy
from tokenkit.tokens.profiles import token_profiles

KEY, OTHER = "key_0123456789ab", "key_other_456789"


def broken(folder: Path, text: str, start: int = 5, end: int = 10, **fields: object) -> pd.DataFrame:
    """Rules broken on days 5 to 9 by a token used at noon of days 2, 6 and 7, and by one that nobody listed."""
    place = raw_logs.workspace(folder / "w")
    lines = [nginx(f"r{d}", moment(d, 12), api_key_id=KEY, **fields) for d in (2, 6, 7)]
    lines += [nginx(f"o{d}", moment(d, 12), api_key_id=OTHER, remote_addr="192.0.2.1") for d in (2, 6)]
    raw_logs.form(place, raw_logs.write(folder / "a.log", lines))
    if text:
        raw_logs.own(place, folder, text)
    breaches = policy.breaches(place, token_profiles(place), day_of(end))
    return policy.in_period(breaches, day_of(start), day_of(end))


def inventory(**columns: str) -> str:
    return f"native_id,{','.join(columns)}\n{KEY},{','.join(columns.values())}\n"


def test_without_an_inventory_no_rule_is_broken(tmp_path: Path) -> None:
    assert broken(tmp_path, "").empty


def test_a_token_in_order_breaks_no_rule(tmp_path: Path) -> None:
    text = inventory(owner_name="ana", owner_status="active", networks="203.0.113.0/24", expires_time="2027-01-01")
    assert broken(tmp_path, text).empty


def test_use_after_the_owner_left_is_found_with_its_first_and_last_hour(tmp_path: Path) -> None:
    (row,) = broken(tmp_path, inventory(owner_name="ana", owner_status="left")).to_dict("records")
    assert (row["rule"], row["requests"], row["standing"]) == ("orphan_in_use", 2, True)
    seconds = [int(moment(d, 12).timestamp()) for d in (2, 6, 7)]
    assert (row["first_s"], row["since_s"], row["last_s"]) == (seconds[0], seconds[1], seconds[2] + 3600)


def test_what_was_broken_before_the_period_is_standing_and_what_begins_in_it_is_not(tmp_path: Path) -> None:
    text = inventory(owner_name="ana", expires_time="2026-03-05")  # between the uses of days 2 and 6
    (row,) = broken(tmp_path, text).to_dict("records")
    assert (row["rule"], row["standing"], row["what"]) == ("expired_in_use", False, ["expired on 5 Mar 2026"])


def test_what_was_broken_only_before_the_period_is_not_found(tmp_path: Path) -> None:
    text = "native_id,owner_name,owner_status,valid_from,valid_to\n"
    text += f"{KEY},ana,left,,2026-03-06\n{KEY},raj,active,2026-03-06,\n"
    assert broken(tmp_path, text).empty


# declared networks, an address, whether it lies outside of them
NETWORKS = [
    ("203.0.113.0/24", "203.0.113.7", False),
    ("203.0.0.0/16", "203.0.113.7", False),
    ("203.0.113.128/25", "203.0.113.7", False),  # of an address its /24 is kept: it may be inside
    ("10.0.0.0/8 203.0.113.0/24", "203.0.113.7", False),
    ("10.0.0.0/8", "203.0.113.7", True),
    ("198.51.100.0/24 2001:db8::/32", "203.0.113.7", True),
    ("2001:db8::/32", "2001:db8:1::9", False),
    ("2001:db9::/32", "2001:db8:1::9", True),
    ("head office", "203.0.113.7", False),  # no network at all is declared
    ("head office; 10.0.0.0/8", "203.0.113.7", True),
]


@pytest.fixture(scope="module")
def outside_networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What is found of one token for each of ``NETWORKS``: token name, and what lies outside."""
    folder = tmp_path_factory.mktemp("networks")
    place = raw_logs.workspace(folder / "w")
    keys = [f"key_{n:012d}" for n in range(len(NETWORKS))]
    lines = [
        nginx(f"r{n}", moment(6, 12), api_key_id=keys[n], remote_addr=address)
        for n, (_, address, _) in enumerate(NETWORKS)
    ]
    raw_logs.form(place, raw_logs.write(folder / "a.log", lines))
    rows = [f"{key},{n},{declared}\n" for n, (key, (declared, _, _)) in enumerate(zip(keys, NETWORKS, strict=True))]
    raw_logs.own(place, folder, "native_id,token_name,networks\n" + "".join(rows))
    found = policy.in_period(policy.breaches(place, token_profiles(place), day_of(10)), day_of(5), day_of(10))
    assert set(found["rule"]) == {"outside_networks"}
    names = raw_logs.table(place, "tokens").set_index("token_uid")["label"]
    return {names[row.profile_uid]: row.what for row in found.itertuples()}


@pytest.mark.parametrize(("number", "outside"), [(n, outside) for n, (_, _, outside) in enumerate(NETWORKS)])
def test_use_outside_declared_networks_is_found(
    outside_networks: dict[str, list[str]], number: int, outside: bool
) -> None:
    assert (str(number) in outside_networks) == outside
    if outside:
        (network,) = outside_networks[str(number)]
        assert "/" in network


def test_several_rules_are_several_findings_of_one_token(tmp_path: Path) -> None:
    text = inventory(owner_name="ana", owner_status="left", networks="10.0.0.0/8", expires_time="2026-03-04")
    found = broken(tmp_path, text)
    assert sorted(found["rule"]) == ["expired_in_use", "orphan_in_use", "outside_networks"]
    assert found["profile_uid"].nunique() == 1
    assert set(policy.BITS) == set(policy.TITLES) == set(found["rule"])
