from __future__ import annotations

from ipaddress import ip_address
from typing import Literal

import pytest

from registry.foundation.http_client import Address, HttpError, Location, Reach
from registry.foundation.http_client.destinations import Guard

GUARD = Guard(frozenset({ip_address("198.51.100.7")}))


@pytest.mark.parametrize(
    "address",
    [
        *("10.2.3.4", "172.16.0.1", "192.168.1.1", "198.51.100.7", "8.8.8.8", "169.253.255.255", "169.255.0.0"),
        *("fd12::1", "2001:db8::1", "::ffff:10.0.0.1", "2002:a00:1::", "100.100.100.201", "fec0::1", "192.0.0.193"),
        # A network of IPv6 alone reaches IPv4 by these.
        *("64:ff9b::808:808", "64:ff9b:1::808:808", "64:ff9b:1:808:8:800::", "64:ff9b:1:0:8:808:800:0"),
    ],
)
def test_addresses_of_others_are_allowed(address: str) -> None:
    GUARD.require_allowed(address)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"]
)
def test_loopback_is_allowed_to_who_came_from_there(address: str) -> None:
    with pytest.raises(HttpError, match=r"^it redirects to .*, a loopback address, which is not followed$"):
        GUARD.require_allowed(address)
    Guard(frozenset({ip_address("127.0.0.1")})).require_allowed(address)
    Guard(frozenset({ip_address("::1")})).require_allowed(address)


def test_the_address_that_the_caller_named_is_allowed_and_no_other_of_its_kind() -> None:
    guard = Guard(frozenset({ip_address("169.254.10.1")}))
    guard.require_allowed("169.254.10.1")
    for address in ("169.254.169.254", "::ffff:169.254.10.1"):
        with pytest.raises(HttpError, match="a link-local address"):
            guard.require_allowed(address)


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("fe80::1%1", "a link-local address"),
        ("febf::1", "a link-local address"),
        ("169.254.0.23", "a link-local address"),
        ("0.1.2.3", "an unspecified address"),
        ("::", "an unspecified address"),
        ("64:ff9b::", "an unspecified address"),
        ("ff0e::1", "a multicast address"),
        ("::ffff:239.1.1.1", "a multicast address"),
        ("255.255.255.255", "the broadcast address"),
        ("2002:6464:64c8::", "a metadata address"),
    ],
)
def test_a_forbidden_address_is_told_by_its_kind(address: str, kind: str) -> None:
    with pytest.raises(HttpError) as caught:
        GUARD.require_allowed(address)
    assert str(caught.value) == f"it redirects to {address}, {kind}, which is not followed"


PUBLIC, OWN = frozenset({ip_address("198.51.100.7")}), frozenset({ip_address("192.168.1.2")})


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "172.31.0.1", "192.168.0.1", "100.64.0.1", "fd00::1", "::ffff:10.0.0.1"]
)
@pytest.mark.parametrize(
    ("private", "home", "allowed"),
    [
        (None, PUBLIC, True),
        ("auto", PUBLIC, False),
        ("auto", OWN, True),
        ("auto", frozenset({ip_address("127.0.0.1")}), True),
        ("allow", PUBLIC, True),
        ("deny", PUBLIC, False),
        ("deny", OWN, False),
    ],
)
def test_what_a_peer_names_may_be_private_as_is_configured(
    private: Literal["auto", "allow", "deny"] | None, home: frozenset[Address], address: str, *, allowed: bool
) -> None:
    guard = Reach(private=private).beyond(home, "it redirects to")
    if allowed:
        guard.require_allowed(address)
    else:
        with pytest.raises(HttpError, match="a private address"):
            guard.require_allowed(address)


@pytest.mark.parametrize("private", ["auto", "allow", "deny"])
def test_the_name_of_the_peer_itself_leads_anywhere_but_to_metadata(private: Literal["auto", "allow", "deny"]) -> None:
    guard = Reach(private=private).own(Location.parse("http://registry.example/"))
    assert guard
    for address in ("10.1.2.3", "127.0.0.1", "::1", "198.51.100.7"):
        guard.require_allowed(address)
    for address in ("169.254.169.254", "fe80::1", "100.100.100.200"):
        with pytest.raises(HttpError, match=r"^it is at "):
            guard.require_allowed(address)


def test_a_peer_that_is_configured_by_its_address_may_have_any() -> None:
    for url in ("http://169.254.10.1/", "http://[fe80::1%25eth0]/"):
        assert Reach(private="auto").own(Location.parse(url)) is None
