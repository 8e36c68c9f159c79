from __future__ import annotations

import pytest

from registry.foundation.http_client import Location
from registry.upstream.realms import RealmError, allowed_realm, registrable_domain


@pytest.mark.parametrize(
    ("upstream", "realm", "realms"),
    [
        ("https://registry.example.com", "https://registry.example.com/token", ()),
        ("https://registry.example.com", "https://REGISTRY.example.com:8443/token?x=y", ()),
        ("https://registry-1.example.com", "https://auth.example.com/token", ()),
        ("https://registry.example.co.uk", "https://auth.example.co.uk/token", ()),
        ("https://registry.corp", "https://auth.registry.corp/token", ()),
        ("https://registry.example.com", "/token", ()),
        ("https://registry.example.com", "https://auth.example.net/token", ("auth.example.net",)),
        ("https://registry.example.com", "https://auth.example.net:444/token", ("AUTH.example.net:444",)),
        ("https://127.0.0.1:5000", "https://127.0.0.1:5000/token", ()),
        ("http://localhost:5000", "http://localhost:5000/token", ()),
        ("http://localhost:5000", "http://127.0.0.1:5001/token", ("127.0.0.1:5001",)),
        ("http://registry.example.com", "http://auth.example.com/token", ()),
        ("http://registry.example.com", "https://auth.example.com/token", ()),
        ("https://[2001:db8::1]:5000", "https://[2001:db8::1]:5000/token", ()),
    ],
)
def test_a_token_service_of_the_same_domain_or_that_is_named_may_be_asked(
    upstream: str, realm: str, realms: tuple[str, ...]
) -> None:
    assert allowed_realm(realm, Location.parse(upstream), realms).location.target.startswith("/token")


@pytest.mark.parametrize(
    ("upstream", "realm", "text"),
    [
        ("https://registry.example.com", "https://auth.example.net/token", "another domain"),
        ("https://registry.example.com", "https://registry.example.com.evil.net/token", "another domain"),
        ("https://registry.example.com", "https://evilexample.com/token", "another domain"),
        ("https://a.co.uk", "https://b.co.uk/token", "another domain"),
        ("https://a.github.io", "https://b.github.io/token", "another domain"),
        ("https://registry", "https://auth/token", "another domain"),
        ("https://com", "https://net/token", "another domain"),
        ("https://127.0.0.1:5000", "https://127.0.0.1:5001/token", "another domain"),
        ("https://10.0.0.1", "https://11.0.0.1/token", "another domain"),
        ("https://localhost:5000", "https://localhost:5001/token", "another domain"),
        ("https://registry.example.com", "https://169.254.169.254/token", "another domain"),
        ("https://registry.example.com", "https://[::1]/token", "another domain"),
        ("https://registry.example.com", "http://auth.example.com/token", "not asked by HTTPS"),
        ("https://registry.example.com", "http://registry.example.com/token", "not asked by HTTPS"),
        ("https://registry.example.com", "https://u:p@registry.example.com/token", "with a login"),
        ("https://registry.example.com", "https://registry.example.com@evil.net/token", "with a login"),
        ("https://registry.example.com", "//evil.net/token", "another domain"),
        ("https://registry.example.com", "ftp://registry.example.com/", "not a URL"),
        ("https://registry.example.com", "https://[/token", "not a URL"),
        ("https://registry.example.com", "file:///etc/passwd", "not a URL"),
    ],
)
def test_any_other_token_service_may_not(upstream: str, realm: str, text: str) -> None:
    with pytest.raises(RealmError, match=text):
        allowed_realm(realm, Location.parse(upstream), ("other.example:444",))


def test_a_host_that_is_named_is_meant_with_its_port() -> None:
    with pytest.raises(RealmError):
        allowed_realm(
            "https://auth.example.net:444/", Location.parse("https://registry.example.com"), ("auth.example.net",)
        )


def test_what_the_configuration_names_is_told_from_the_rest_of_the_domain() -> None:
    upstream = Location.parse("https://registry.example.com")
    assert allowed_realm("https://registry.example.com/token", upstream, ()).named
    assert allowed_realm("https://auth.example.net/token", upstream, ("auth.example.net",)).named
    assert not allowed_realm("https://auth.example.com/token", upstream, ()).named


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "fe80::1%eth0", "com", "co.uk", ""])
def test_nobody_has_registered_an_address_or_a_suffix(host: str) -> None:
    assert registrable_domain(host) == ""
