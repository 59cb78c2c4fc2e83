"""What kind of network an address is in: each rule, both families of addresses, files that cannot be used."""

import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mmdb
import pytest
import raw_logs
from raw_logs import moment, nginx

from tokenkit import config, schema, sources
from tokenkit.config import Workspace
from tokenkit.errors import ConfigError
from tokenkit.sources.fields import networks
from tokenkit.sources.fields.networks import NOTHING, AddressInfo, open_databases
from tokenkit.store import lake

AMAZON, OTHER = 16509, 64500
V4, V6 = "198.51.100.7", "2001:db8:1:2::3"


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"is_anonymous": True}, "anonymiser"),
        ({"is_anonymous": True, "is_tor_exit_node": True}, "anonymiser"),
        ({"is_anonymous": True, "is_public_proxy": True}, "anonymiser"),
        ({"is_anonymous": True, "is_anonymous_vpn": True, "is_hosting_provider": True}, "anonymiser"),
        ({"is_anonymous": True, "is_residential_proxy": True}, "anonymiser"),
        ({"is_anonymous": True, "is_hosting_provider": True}, "hosting"),  # as MaxMind has each hosting provider
        ({"is_hosting_provider": True}, "hosting"),
        ({"is_hosting_provider": False}, "unknown"),
        ({"vpn": "true", "hosting": "true"}, "anonymiser"),  # IPinfo has text
        ({"vpn": "", "hosting": "true"}, "hosting"),
        ({"as_type": "hosting"}, "hosting"),
        ({"as_type": "isp", "asn": "AS64500"}, "unknown"),
        ({"connection_type": "Cellular"}, "mobile"),
        ({"connection_type": "Corporate"}, "corporate"),
        ({"connection_type": "Cable/DSL"}, "residential"),
        ({"connection_type": "Satellite"}, "unknown"),
        ({"traits": {"user_type": "hosting"}}, "hosting"),
        ({"traits": {"user_type": "residential", "connection_type": "Cellular"}}, "residential"),
        ({"traits": {"user_type": "cellular"}}, "mobile"),
        ({"traits": {"user_type": "business"}}, "corporate"),
        ({"user_type": "traveler"}, "unknown"),
        ({"autonomous_system_number": AMAZON}, "hosting"),
        ({"asn": "AS16509"}, "hosting"),
        ({"autonomous_system_number": AMAZON, "connection_type": "Corporate"}, "hosting"),
        ({"autonomous_system_number": AMAZON, "user_type": "business"}, "corporate"),
        ({"autonomous_system_number": OTHER, "autonomous_system_organization": "Hosting Inc"}, "unknown"),
        ({"country": {"iso_code": "DE"}}, "unknown"),
    ],
)
def test_each_rule_gives_its_class(tmp_path: Path, record: dict[str, Any], expected: str) -> None:
    path = mmdb.write(tmp_path / "a.mmdb", {"198.51.100.0/24": record})
    assert open_databases([path]).look_up(V4).network_class == expected


@pytest.mark.parametrize(
    "record",
    [
        {"autonomous_system_number": OTHER, "autonomous_system_organization": " Net \x1b[31m"} | {"country_code": "de"},
        {"asn": "AS64500", "as_name": "Net \x1b[31m", "country": "DE", "country_name": "Germany"},
        {"traits": {"autonomous_system_number": OTHER, "autonomous_system_organization": "Net \x1b[31m"},
         "country": {"iso_code": "DE", "names": {"en": "Germany"}}},
    ],
)  # fmt: skip
def test_number_name_and_country_are_found_under_each_makers_names(tmp_path: Path, record: dict[str, Any]) -> None:
    found = open_databases([mmdb.write(tmp_path / "a.mmdb", {"198.51.100.0/24": record})]).look_up(V4)
    assert found == AddressInfo("unknown", OTHER, "Net \ufffd[31m", "DE")


def test_fields_of_another_kind_are_left_out(tmp_path: Path) -> None:
    odd = {
        "autonomous_system_number": "many",
        "autonomous_system_organization": ["x"],
        "country": "Germany",
        "user_type": ["hosting"],
        "traits": "none",
        "is_hosting_provider": 1,
    }
    databases = open_databases([mmdb.write(tmp_path / "a.mmdb", {"198.51.100.0/24": odd})])
    assert databases.look_up(V4) == NOTHING


def test_addresses_of_both_families_are_looked_up_and_others_are_unknown(tmp_path: Path) -> None:
    both = mmdb.write(tmp_path / "six.mmdb", {"198.51.100.0/24": mmdb.HOSTING, "2001:db8:1::/48": mmdb.HOSTING})
    four = mmdb.write(tmp_path / "four.mmdb", {"198.51.100.0/24": mmdb.HOSTING}, ip_version=4)
    assert [open_databases([both]).look_up(a).network_class for a in (V4, V6)] == ["hosting", "hosting"]
    assert [open_databases([four]).look_up(a).network_class for a in (V4, V6)] == ["hosting", "unknown"]
    assert open_databases([both]).look_up("192.0.2.1") is NOTHING
    assert open_databases([both]).look_up("2001:db8:2::1") is NOTHING
    assert open_databases([]).look_up(V4) is NOTHING


def test_several_files_say_together_what_none_says_alone(tmp_path: Path) -> None:
    asn = mmdb.write(tmp_path / "asn.mmdb", {"198.51.100.0/24": {"autonomous_system_number": OTHER}})
    flags = mmdb.write(tmp_path / "flags.mmdb", {"198.51.100.7/32": {"is_anonymous": True, "is_tor_exit_node": True}})
    country = mmdb.write(tmp_path / "country.mmdb", {"198.51.0.0/16": {"country": {"iso_code": "NL"}}})
    databases = open_databases([asn, flags, country])
    assert databases.look_up(V4) == AddressInfo("anonymiser", OTHER, None, "NL")
    assert databases.look_up("198.51.100.8") == AddressInfo("unknown", OTHER, None, "NL")


def test_a_missing_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"networks.database: .*none.mmdb: no such file, expected .*Correct its path"):
        open_databases([tmp_path / "none.mmdb"])


@pytest.mark.parametrize("content", [b"", b"no database", b"\xab\xcd\xefMaxMind.com", b"\xab\xcd\xefMaxMind.com\xe0"])
def test_another_kind_of_file_is_named_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mmdb"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"a.mmdb is damaged or another kind of file, expected .*Download it again"):
        open_databases([path])


def test_whatever_is_damaged_in_a_file_ends_no_process_and_is_said(tmp_path: Path) -> None:
    whole = mmdb.write(tmp_path / "a.mmdb", {"198.51.100.0/24": mmdb.HOSTING, "2001:db8:1::/48": mmdb.HOSTING})
    content, rng, said = whole.read_bytes(), random.Random(1), 0
    for n in range(400):
        damaged = bytearray(content[: rng.randrange(1, len(content))] if n % 3 == 0 else content)
        for _ in range(rng.randrange(1, 8)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path = tmp_path / "b.mmdb"
        path.write_bytes(bytes(damaged))
        try:
            databases = open_databases([path])
            for address in (V4, V6, "192.0.2.1"):
                assert isinstance(databases.look_up(address), AddressInfo)
        except ConfigError as error:
            said += "b.mmdb is damaged" in str(error)
    assert said > 100


# ---- in the lake ----
def opened(folder: Path, *names: str) -> Workspace:
    raw_logs.workspace(folder)
    mmdb.set_in(folder, *names)
    found = config.find(folder)
    assert found is not None
    return found


def test_events_and_networks_have_what_the_file_says(tmp_path: Path) -> None:
    place = opened(tmp_path / "w", "a.mmdb")
    record = mmdb.HOSTING | {"country_code": "US"}
    mmdb.write(place.root / "a.mmdb", {"198.51.100.0/24": record, "10.0.0.0/8": record})
    lines = [nginx(a, moment(0, 9), remote_addr=a) for a in (V4, "192.0.2.1", "10.1.2.3", "rds.amazonaws.com")]
    raw_logs.read(place, raw_logs.write(tmp_path / "a.log", lines))
    events = lake.read(place.lake, "events").to_pandas().set_index("event_uid")
    assert events["network_class"].to_dict() == {
        V4: "hosting", "192.0.2.1": "unknown", "10.1.2.3": "private", "rds.amazonaws.com": "service"
    }  # fmt: skip
    assert (events.loc[V4, "src_asn"], events.loc[V4, "src_country"]) == (AMAZON, "US")
    assert events[["src_asn", "src_country"]].notna().sum().tolist() == [1, 1], "a private address is not looked up"
    networks_seen = lake.read(place.lake, "dim_network").to_pandas().set_index("network")
    row = networks_seen.loc["198.51.100.0/24", ["network_class", "asn", "as_name"]]
    assert row.tolist() == ["hosting", AMAZON, "AMAZON-02"]
    assert networks_seen["asn"].notna().sum() == 1


def test_what_the_log_says_is_not_overwritten(tmp_path: Path) -> None:
    mapping = tmp_path / "own.toml"
    mapping.write_text(
        'name = "own"\nissuer = "own"\n[columns]\ntime = "time"\nnative_id = "key"\noperation = "call"\nsrc_ip = "ip"\n'
        'src_asn = "asn"\nsrc_country = "country"\n'
    )
    log = tmp_path / "own.csv"
    log.write_text(f"time,key,call,ip,asn,country\n2026-03-02T00:00:00Z,k1,a,{V4},64500,DE\n"
                   f"2026-03-02T00:00:01Z,k1,a,{V4},,\n")  # fmt: skip
    path = mmdb.write(tmp_path / "a.mmdb", {"198.51.100.0/24": mmdb.HOSTING | {"country_code": "US"}})
    reading = sources.Reading(b"k" * 32, databases=open_databases([path]))
    (batch,) = sources.get(str(mapping)).read(log, reading, sources.Tally())
    rows = batch.events.select(["src_asn", "src_country", "network_class"]).to_pylist()
    assert [tuple(row.values()) for row in rows] == [(64500, "DE", "hosting"), (AMAZON, "US", "hosting")]


def test_without_a_file_everything_is_as_with_one_that_knows_nothing(tmp_path: Path) -> None:
    log = raw_logs.write(tmp_path / "a.log", [nginx(a, moment(0, 9), remote_addr=a) for a in (V4, V6, "10.1.2.3")])
    (tmp_path / "w").mkdir()
    key = b"k" * 32
    path = mmdb.write(tmp_path / "a.mmdb", {"192.0.2.0/24": mmdb.HOSTING})
    batches = [
        next(sources.get("nginx").read(log, sources.Reading(key, databases=open_databases(paths)), sources.Tally()))
        for paths in ([], [path])
    ]
    assert batches[0].events.equals(batches[1].events)
    assert batches[0].dimensions["dim_network"].equals(batches[1].dimensions["dim_network"])
    assert batches[0].events["src_asn"].null_count == 3
    assert set(batches[0].events["network_class"].to_pylist()) == {"unknown", "private"}


def classes(place: Workspace) -> dict[str, str]:
    rows = lake.read(place.lake, "dim_network").to_pylist()
    return {row["network"]: row["network_class"] for row in rows}


def test_networks_from_before_the_file_get_their_class_and_lose_it_with_the_file(tmp_path: Path) -> None:
    place = raw_logs.workspace(tmp_path / "w")
    log = raw_logs.write(tmp_path / "a.log", [nginx(a, remote_addr=a) for a in (V4, V6, "10.1.2.3", "x.amazonaws.com")])
    raw_logs.read(place, log)
    before = classes(place)
    assert before["198.51.100.0/24"] == "unknown"
    path = place.root / "a.mmdb"
    with_file = opened(place.root, "a.mmdb")
    for record, expected in ((mmdb.HOSTING, "hosting"), ({"connection_type": "Cellular"}, "mobile")):
        mmdb.write(path, {"198.51.100.0/24": record, "2001:db8:1::/48": record})
        raw_logs.read(with_file, log)  # nothing new in it
        changed = {"198.51.100.0/24": expected, "2001:db8:1::/48": expected}
        assert classes(with_file) == before | changed
    version = lake.version(place.lake, "dim_network")
    raw_logs.read(with_file, log)
    assert lake.version(place.lake, "dim_network") == version, "the same file changes nothing"
    raw_logs.read(place, log)
    assert classes(place) == before


def test_a_lake_of_an_older_version_gets_the_columns(tmp_path: Path) -> None:
    place = raw_logs.workspace(tmp_path / "w")
    log = raw_logs.write(tmp_path / "a.log", [nginx("a", remote_addr=V4)])
    raw_logs.read(place, log)
    old = lake.read(place.lake, "dim_network").drop_columns(["asn", "as_name"])
    lake.replace(place.lake, "dim_network", old)
    mmdb.write(place.root / "a.mmdb", {"198.51.100.0/24": mmdb.HOSTING})
    raw_logs.read(opened(place.root, "a.mmdb"), log)
    rows = lake.read(place.lake, "dim_network")
    assert rows.schema.names == schema.table("dim_network").names and rows["asn"].to_pylist() == [AMAZON]


def test_nothing_is_read_where_a_file_cannot_be_used(tmp_path: Path) -> None:
    place = opened(tmp_path / "w", "none.mmdb")
    with pytest.raises(ConfigError, match=r"none\.mmdb"):
        raw_logs.read(place, raw_logs.write(tmp_path / "a.log", [nginx("a")]))
    assert lake.version(place.lake, "events") is None


def test_a_file_says_what_it_is_and_when_it_was_made(tmp_path: Path) -> None:
    (database,) = open_databases([mmdb.write(tmp_path / "a.mmdb", {"198.51.100.0/24": {}}, "GeoLite2-ASN")]).opened
    assert database.kind == "GeoLite2-ASN" and abs((database.made - datetime.now(UTC)).total_seconds()) < 3600


def test_every_large_provider_counts_as_hosting() -> None:
    assert {networks.class_of({"asn": number}) for number in networks.HOSTING_ASNS} == {"hosting"}
