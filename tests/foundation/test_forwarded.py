from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.foundation.forwarded import node_address, parse_forwarded


@pytest.mark.parametrize(
    ("header", "elements"),
    [
        ("for=192.0.2.60;proto=http;by=203.0.113.43", [{"for": "192.0.2.60", "proto": "http", "by": "203.0.113.43"}]),
        ("For=192.0.2.43, for=198.51.100.17", [{"for": "192.0.2.43"}, {"for": "198.51.100.17"}]),
        ('for="_gazonk"', [{"for": "_gazonk"}]),
        ('For="[2001:db8:cafe::17]:4711"', [{"for": "[2001:db8:cafe::17]:4711"}]),
        ('host="a,b;c=\\"d\\\\"', [{"host": 'a,b;c="d\\'}]),
        ("host=public.example:8443;proto=https", [{"host": "public.example:8443", "proto": "https"}]),
        ("host=[::1]:8443", [{"host": "[::1]:8443"}]),
        (" ; for=a ;; proto=b\t; , ,for=c", [{"for": "a", "proto": "b"}, {}, {"for": "c"}]),
        ("", [{}]),
    ],
    ids=repr,
)
def test_every_element_of_a_forwarded_header_is_read(header: str, elements: list[dict[str, str]]) -> None:
    assert parse_forwarded(header) == elements


@pytest.mark.parametrize(
    "header",
    [
        *("for", "for=", "for=a b", 'for="a', 'for="a"b', "for =a", "for= a", 'for=a"b"', "=a", "for=a;for=b"),
        *('host="a\\', "f\xf6r=a", "for=a\nhost=b", "for:a", "a" * 5000, "," * 5000, " " * 5000, 'host="' + "a" * 5000),
    ],
    ids=lambda header: repr(header)[:30],
)
def test_a_malformed_header_is_refused_whole(header: str) -> None:
    with pytest.raises(ValueError, match=r"^it "):
        parse_forwarded(header)


@given(st.lists(st.dictionaries(st.sampled_from(["for", "by", "host", "x"]), st.text()), min_size=1))
def test_what_is_quoted_is_read_back(elements: list[dict[str, str]]) -> None:
    def quoted(text: str) -> str:
        return text.replace("\\", "\\\\").replace('"', '\\"')

    header = ",".join(";".join(f'{name}="{quoted(text)}"' for name, text in pairs.items()) for pairs in elements)
    if len(header) <= 4096:
        assert parse_forwarded(header) == elements


@pytest.mark.parametrize(
    ("node", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1\t", "192.0.2.1"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ("192.0.2.1:_port", "192.0.2.1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[::ffff:c000:201]:80", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
    ],
)
def test_an_address_is_read_whatever_its_form(node: str, address: str) -> None:
    assert str(node_address(node)) == address


@pytest.mark.parametrize(
    "node",
    [
        *("", "unknown", "_hidden", "_SEVKISEK", "example.com", "192.0.2", "192.0.2.1.5", "192.0.2.01", "1"),
        *("192.0.2.1, 192.0.2.2", "[192.0.2.1]", "[2001:db8::1", "[2001:db8::1]x", "]::1[", ":4711", "::1::", "1" * 70),
        *("\u0661.0.0.1", "192.0.2.1\n192.0.2.2", "-", "192.0.2.0/24"),
    ],
)
def test_what_tells_no_address_is_none(node: str) -> None:
    assert node_address(node) is None


@given(st.text())
def test_no_text_of_a_node_is_an_error(node: str) -> None:
    assert node_address(node) is None or node.strip()
