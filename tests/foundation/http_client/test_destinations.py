from __future__ import annotations

from ipaddress import ip_address

import pytest

from registry.foundation.http_client import HttpError
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
