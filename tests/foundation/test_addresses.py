from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.foundation import addresses


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("example.com:443", "example.com", 443),
        ("127.0.0.1:0", "127.0.0.1", 0),
        (":5000", "", 5000),
        ("[::1]:5000", "::1", 5000),
        ("[fe80::1%eth0]:65535", "fe80::1%eth0", 65535),
    ],
)
def test_host_and_port_are_read_without_brackets(text: str, host: str, port: int) -> None:
    assert addresses.parse(text) == (host, port)


@pytest.mark.parametrize(
    "text",
    [
        *("", "host", "host:", "[::1]", "::1", "::1:5000", "[::1", "::1]:5000", "[[::1]]:1", "[::1]5000", "a:b:1"),
        *("host:65536", "host:-1", "host:+1", "host: 1", "host:1_0", "host:https", "host:1\n", "host:\u0661"),
        "host:" + "9" * 5000,
    ],
)
def test_what_is_not_host_and_port_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        addresses.parse(text)


@pytest.mark.parametrize(
    ("text", "host", "port"), [("a", "a", 6379), ("[::1]", "::1", 6379), ("a:1", "a", 1), ("a:0", "a", 0)]
)
def test_port_that_is_not_given_is_the_default_if_there_is_one(text: str, host: str, port: int) -> None:
    assert addresses.parse(text, default_port=6379) == (host, port)


@given(st.ip_addresses(), st.integers(0, 65535))
def test_every_address_is_read_back_from_what_a_socket_says(address: object, port: int) -> None:
    text = f"[{address}]:{port}" if ":" in str(address) else f"{address}:{port}"
    assert addresses.parse(text) == (str(address), port)


def test_no_host_to_listen_on_is_every_address() -> None:
    host, port = addresses.parse_listening(":5000")
    assert port == 5000
    assert host == ("::" if socket.has_dualstack_ipv6() else "0.0.0.0")


def test_host_that_nobody_knows_cannot_be_listened_on() -> None:
    with pytest.raises(OSError):
        addresses.parse_listening("no-such-host.invalid:5000")
