from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.foundation.proxies import TrustedProxies, customer_of, parse_network
from registry.foundation.shared_set import SharedSet

CLIENT, PROXY, OUTER = "198.51.100.7", "10.0.0.1", "10.0.0.2"


def client(trusted: TrustedProxies, peer: str, **headers: str) -> str:
    return trusted.client({"REMOTE_ADDR": peer, **{f"HTTP_{name}": value for name, value in headers.items()}})


@pytest.fixture
def trusted() -> TrustedProxies:
    return TrustedProxies(["127.0.0.1", "10.0.0.0/8", "2001:db8:1::/48"])


@pytest.mark.parametrize(
    ("header", "value", "found"),
    [
        ("X_FORWARDED_FOR", CLIENT, CLIENT),
        ("X_FORWARDED_FOR", f"192.0.2.9, {CLIENT}", CLIENT),
        ("X_FORWARDED_FOR", f"192.0.2.9,{CLIENT},{OUTER}", CLIENT),
        ("X_FORWARDED_FOR", f"{CLIENT}, {OUTER}, 10.9.9.9", CLIENT),
        ("X_FORWARDED_FOR", f"{CLIENT}:4711", CLIENT),
        ("X_FORWARDED_FOR", f"::ffff:{CLIENT}", CLIENT),
        ("X_FORWARDED_FOR", "[2001:DB8::7]:4711, 2001:db8:1::1", "2001:db8::7"),
        ("X_FORWARDED_FOR", f"{OUTER}", OUTER),
        ("X_FORWARDED_FOR", f"{CLIENT}, unknown, {OUTER}", OUTER),
        ("X_FORWARDED_FOR", f"{CLIENT}, unknown", PROXY),
        ("X_FORWARDED_FOR", "", PROXY),
        ("X_FORWARDED_FOR", f"{CLIENT},", PROXY),
        ("X_FORWARDED_FOR", CLIENT + f",{OUTER}" * 500, OUTER),
        ("FORWARDED", f"for={CLIENT};proto=https", CLIENT),
        ("FORWARDED", f'for=192.0.2.9, for="{CLIENT}:80", For={OUTER}', CLIENT),
        ("FORWARDED", 'for="[2001:db8::7]"', "2001:db8::7"),
        ("FORWARDED", f"for={CLIENT}, for=_hidden", PROXY),
        ("FORWARDED", f"for={CLIENT}, proto=https", PROXY),
        ("FORWARDED", f'for={CLIENT}, for="', PROXY),
        ("X_REAL_IP", CLIENT, CLIENT),
        ("X_REAL_IP", f"{CLIENT}, 192.0.2.9", PROXY),
    ],
)
def test_the_client_is_the_nearest_address_that_is_not_a_trusted_proxys(
    trusted: TrustedProxies, header: str, value: str, found: str
) -> None:
    assert client(trusted, PROXY, **{header: value}) == found


@pytest.mark.parametrize("header", ["X_FORWARDED_FOR", "FORWARDED", "X_REAL_IP"])
@pytest.mark.parametrize("peer", ["192.0.2.1", "172.17.0.1", "192.168.1.1", "2001:db8:2::1", "fe80::1%eth0"])
def test_whoever_is_not_a_trusted_proxy_is_the_client_itself(trusted: TrustedProxies, header: str, peer: str) -> None:
    value = f"for={CLIENT}" if header == "FORWARDED" else CLIENT
    assert client(trusted, peer, **{header: value}) == peer


def test_what_clients_can_say_in_forwarded_past_their_proxy_does_not_count(trusted: TrustedProxies) -> None:
    assert client(trusted, PROXY, X_FORWARDED_FOR=CLIENT, FORWARDED="for=192.0.2.9", X_REAL_IP="192.0.2.9") == CLIENT


@pytest.mark.parametrize(
    ("peer", "known_as"),
    [("::ffff:192.0.2.1", "192.0.2.1"), ("::ffff:1", "::ffff:1"), ("192.0.2.1", "192.0.2.1"), ("", "")],
)
def test_a_peer_without_headers_is_the_client_as_its_address_is_written(peer: str, known_as: str) -> None:
    assert client(TrustedProxies(), peer) == known_as


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", ""])
def test_loopback_and_unix_sockets_are_trusted_by_default(peer: str) -> None:
    assert client(TrustedProxies(), peer, X_FORWARDED_FOR=CLIENT) == CLIENT


@pytest.mark.parametrize("peer", ["10.0.0.1", "172.17.0.1", "::2", "fd00::1", "nonsense", "127.0.0.1:80"])
def test_nobody_else_is_trusted_by_default(peer: str) -> None:
    assert not TrustedProxies().trusts(peer)


def test_without_any_only_unix_sockets_are_trusted() -> None:
    assert not TrustedProxies([]).trusts("127.0.0.1")
    assert TrustedProxies([]).trusts("")


def test_a_proxy_that_is_not_listed_is_told_of_once_and_a_flood_of_them_a_few_times(
    trusted: TrustedProxies, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        client(trusted, "172.17.0.1", X_FORWARDED_FOR=CLIENT)
        client(trusted, "172.17.0.1")
        client(trusted, PROXY, X_FORWARDED_FOR=CLIENT)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "X-Forwarded-For from 172.17.0.1 is not believed" in record.getMessage()
    assert "add it to http.trustedproxies" in record.getMessage()
    for number in range(100):
        client(trusted, f"192.0.2.{number}", FORWARDED=f"for={CLIENT}")
    assert len(caplog.records) == 5


def test_what_one_process_of_a_server_has_told_no_other_tells(caplog: pytest.LogCaptureFixture) -> None:
    told = SharedSet()
    for _ in range(3):
        client(TrustedProxies([], told), "172.17.0.1", X_FORWARDED_FOR=CLIENT)
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("192.0.2.1", "192.0.2.1/32"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("::1", "::1/128"),
        ("fd00::/8", "fd00::/8"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:10.0.0.1", "10.0.0.1/32"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("::/0", "::/0"),
        ("10.0.0.0/255.0.0.0", "10.0.0.0/8"),
    ],
)
def test_a_network_is_an_address_or_cidr(text: str, network: str) -> None:
    assert str(parse_network(text)) == network


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        *((text, "must be an address or a network") for text in ("", "unix", "localhost", "10.0.0.0/33", "10.", "a/8")),
        *((text, "must be an address or a network") for text in ("10.0.0.1:80", "[::1]", "*", "10.0.0.0-10.0.0.9")),
        ("10.1.2.3/8", r"must be the address of a network, such as 10\.0\.0\.0/8"),
        ("::ffff:10.1.2.3/104", "must be the address of a network"),
    ],
)
def test_what_is_not_a_network_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}"):
        parse_network(text)


@given(st.text(), st.sampled_from(["X_FORWARDED_FOR", "FORWARDED", "X_REAL_IP"]))
def test_no_header_is_an_error_or_makes_up_an_address(text: str, header: str) -> None:
    found = client(TrustedProxies(), "127.0.0.1", **{header: text})
    assert found == "127.0.0.1" or parse_network(found).num_addresses == 1


@pytest.mark.parametrize(
    ("address", "customer"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("", ""),
        ("nonsense", "nonsense"),
    ],
)
def test_a_customer_of_a_provider_has_a_whole_network_of_ipv6(address: str, customer: str) -> None:
    assert customer_of(address) == customer
