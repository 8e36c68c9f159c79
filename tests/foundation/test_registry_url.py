from __future__ import annotations

import pytest

from registry.foundation.registry_url import RegistryUrl, parse_registry_url


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://r.example", RegistryUrl("https://r.example")),
        ("r.example:5000", RegistryUrl("https://r.example:5000")),
        ("http://127.0.0.1:5000/", RegistryUrl("http://127.0.0.1:5000")),
        ("https://r.example/prefix/v2/", RegistryUrl("https://r.example/prefix")),
        ("https://[::1]:5000/v2", RegistryUrl("https://[::1]:5000")),
        ("https://alice:a%3Ab@r.example", RegistryUrl("https://r.example", "alice", "a:b")),
        ("https://alice@r.example", RegistryUrl("https://r.example", "alice", "")),
    ],
)
def test_a_url_is_read_as_people_type_it(text: str, expected: RegistryUrl) -> None:
    assert parse_registry_url(text) == expected
    assert parse_registry_url(text).host == expected.address.split("/")[2]


@pytest.mark.parametrize(
    "text",
    [
        *("", "http://", "ftp://r.example", "http://[::1", "https://r.example:99999", "https://r.example:x"),
        *(
            "https://r.example:0",
            "https://r.example?x",
            "https://r.example#x",
            "https://r.example\n",
            "https://a b\x00",
        ),
    ],
)
def test_what_no_registry_can_be_at_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be http|port|HOST:PORT"):
        parse_registry_url(text)
