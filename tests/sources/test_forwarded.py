"""The client's address behind proxies: nothing that a client writes moves it past the first hop that is not trusted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenkit.config import Gateway
from tokenkit.sources.fields.forwarded import MAX_HOPS, address_of, client_address

PROXIES = ["10.0.0.0/8", "2001:db8:1::/48"]
addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
proxies = st.sampled_from(["10.0.0.1", "10.255.255.255", "2001:db8:1::5", "::ffff:10.0.0.9", "10.1.1.1:443"])
strangers = st.sampled_from(["203.0.113.7", "2001:db8:2::1", "[2001:db8:2::2]:443", "192.0.2.1:80", "9.255.255.255"])


@given(st.text(), strangers, st.lists(proxies, max_size=5))
def test_nothing_that_a_client_writes_moves_the_address(sent: str, client: str, way: list[str]) -> None:
    hops = ", ".join([sent, client, *way])
    assert client_address(hops, PROXIES) == str(address_of(client))


@given(st.text(), strangers)
def test_without_trusted_proxies_the_last_hop_counts(sent: str, peer: str) -> None:
    assert client_address(f"{sent},{peer}") == str(address_of(peer))


@given(st.text(st.characters(blacklist_characters=",")), st.lists(proxies, min_size=1, max_size=5))
def test_where_the_chain_is_malformed_the_last_sound_hop_counts(odd: str, way: list[str]) -> None:
    if address_of(odd) is None:
        assert client_address(", ".join([odd, *way]), PROXIES) == str(address_of(way[0]))


@given(st.lists(proxies, min_size=1, max_size=5))
def test_where_all_are_trusted_the_farthest_counts(way: list[str]) -> None:
    assert client_address(", ".join(way), PROXIES) == str(address_of(way[0]))


@given(st.text())
def test_any_text_is_read_without_an_error(hops: str) -> None:
    assert isinstance(client_address(hops, PROXIES), str)


@given(addresses)
def test_an_address_is_itself(address: str) -> None:
    assert address_of(client_address(address)) == address_of(address)


def test_an_endless_list_of_trusted_addresses_is_given_up() -> None:
    hops = "203.0.113.7, " + "10.0.0.1, " * 1_000_000 + "10.0.0.2"
    assert client_address(hops, PROXIES) == "10.0.0.1" and MAX_HOPS <= 100


def test_what_is_no_address_stays_as_it_is() -> None:
    assert client_address("AWS Internal", PROXIES) == "AWS Internal" and client_address("unix:") == "unix:"


@pytest.mark.parametrize("text", ["10.0.0.0/33", "10.0.0.1/8", "proxy.example.com", ""])
def test_the_setting_says_what_is_no_network(text: str) -> None:
    with pytest.raises(ValueError, match=r"Expected an address, or a network such as 10\.0\.0\.0/8"):
        Gateway(trusted_proxies=["10.0.0.0/8", text])
