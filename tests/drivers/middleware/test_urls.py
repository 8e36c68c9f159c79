from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from drivers.base import InvalidPathError, StorageDriver
from drivers.inmemory import InMemoryDriver
from registry.config.values import Middleware
from registry.plugins import PluginError, load_middleware
from tests.drivers.middleware.cloudfront import key_file

if TYPE_CHECKING:
    from pathlib import Path

BLOB = "/docker/registry/v2/blobs/sha256/ab/abcd/data"


class Bucket(InMemoryDriver):
    """A driver that signs URLs of an object store."""

    def redirect_url(self, path: str, *, method: str, client: str = "") -> str | None:
        return f"https://store.example:9000/images{path}?X-Signature=a%2Bb%2F&method={method}&client={client}"


def before(driver: StorageDriver, *entries: dict[str, Any]) -> StorageDriver:
    """Put middleware before `driver`, given as in a configuration."""
    return load_middleware(driver, [Middleware(**entry) for entry in entries])


def url_of(driver: StorageDriver) -> str | None:
    return driver.redirect_url(BLOB, method="GET", client="c")


@pytest.mark.parametrize(
    ("baseurl", "url"),
    [
        ("https://cdn.example", f"https://cdn.example{BLOB}"),
        ("https://cdn.example/", f"https://cdn.example{BLOB}"),
        ("http://cdn.example:8080/a/b/", f"http://cdn.example:8080/a/b{BLOB}"),
        ("https://[2001:db8::1]:8443", f"https://[2001:db8::1]:8443{BLOB}"),
    ],
)
@pytest.mark.parametrize("driver", [InMemoryDriver(), Bucket()])
def test_redirect_leads_to_its_own_server_whatever_the_driver(driver: StorageDriver, baseurl: str, url: str) -> None:
    assert url_of(before(driver, {"name": "redirect", "options": {"baseurl": baseurl}})) == url


def test_redirect_leads_to_no_path_that_a_driver_would_refuse() -> None:
    driver = before(InMemoryDriver(), {"name": "redirect", "options": {"baseurl": "https://cdn.example"}})

    with pytest.raises(InvalidPathError):
        driver.redirect_url("/../etc", method="GET")


@pytest.mark.parametrize(
    ("options", "beginning"),
    [
        ({}, "https://store.example:9000/images/docker/"),
        ({"scheme": "http"}, "http://store.example:9000/images/docker/"),
        ({"host": "cdn.example"}, "https://cdn.example/images/docker/"),
        ({"host": "[2001:db8::1]:8443"}, "https://[2001:db8::1]:8443/images/docker/"),
        ({"trimpathprefix": "/images"}, "https://store.example:9000/docker/"),
        ({"trimpathprefix": "/images/"}, "https://store.example:9000/docker/"),
        ({"trimpathprefix": "/other"}, "https://store.example:9000/images/docker/"),
        (
            {"scheme": "HTTP", "host": "cdn.example:80", "trimpathprefix": "/images"},
            "http://cdn.example:80/docker/",
        ),
    ],
)
def test_rewrite_changes_what_it_names_and_leaves_the_signature(options: dict[str, object], beginning: str) -> None:
    driver = before(Bucket(), {"name": "rewrite", "options": options})

    rest = f"{BLOB.removeprefix('/docker/')}?X-Signature=a%2Bb%2F&method=GET&client=c"
    assert url_of(driver) == beginning + rest


def test_rewrite_has_nothing_to_change_where_the_driver_gives_no_url() -> None:
    assert url_of(before(InMemoryDriver(), {"name": "rewrite", "options": {"host": "cdn.example"}})) is None


def test_the_middleware_listed_last_has_the_last_word_and_a_disabled_one_has_none() -> None:
    redirect = {"name": "redirect", "options": {"baseurl": "https://cdn.example/a"}}
    rewrite = {"name": "rewrite", "options": {"trimpathprefix": "/a", "scheme": "http"}}

    assert url_of(before(InMemoryDriver(), redirect, rewrite)) == f"http://cdn.example{BLOB}"
    assert url_of(before(InMemoryDriver(), rewrite, redirect)) == f"https://cdn.example/a{BLOB}"
    assert url_of(before(InMemoryDriver(), redirect, rewrite | {"disabled": True})) == f"https://cdn.example/a{BLOB}"
    assert url_of(before(InMemoryDriver(), {"name": "unknown", "disabled": True})) is None


def test_an_unknown_middleware_is_one_line_that_lists_the_known_ones() -> None:
    message = (
        r"^middleware\.storage\[1\]\.name: unknown, must be one of cloudfront, redirect, rewrite "
        r"\(is cloudfront meant\?\)$"
    )
    with pytest.raises(PluginError, match=message):
        before(InMemoryDriver(), {"name": "rewrite"}, {"name": "cloudflare"})


CLOUDFRONT = {"baseurl": "cdn.example", "keypairid": "K"}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("redirect", {}, "baseurl: is missing"),
        ("redirect", {"baseurl": "cdn.example"}, "baseurl: must be http(s)://HOST[:PORT][/PATH], not 'cdn.example'"),
        ("redirect", {"baseurl": "ftp://cdn.example"}, "baseurl: must be http(s)://"),
        ("redirect", {"baseurl": "https:///path"}, "baseurl: must be http(s)://"),
        ("redirect", {"baseurl": "https://a:70000"}, "baseurl: must be http(s)://"),
        ("redirect", {"baseurl": "https://[::1"}, "baseurl: must be http(s)://"),
        ("redirect", {"baseurl": "https://u:p@cdn.example"}, "baseurl: must be http(s)://"),
        ("redirect", {"baseurl": "https://cdn.example/?a=b"}, "baseurl: must be http(s)://"),
        ("redirect", {"baseurl": "https://cdn.example/a b"}, "baseurl: must be http(s)://"),
        ("redirect", {"baseurl": ["https://cdn.example"]}, "baseurl: must be text, not a list"),
        ("rewrite", {"scheme": 1}, "scheme: must be one of http, https, not 1"),
        ("rewrite", {"host": "https://cdn.example"}, "host: must be HOST[:PORT], not 'https://cdn.example'"),
        ("rewrite", {"host": "cdn.example/path"}, "host: must be HOST[:PORT]"),
        ("rewrite", {"trimpathprefix": True}, "trimpathprefix: must be text, not True"),
        ("cloudfront", {}, "baseurl: is missing"),
        ("cloudfront", {"baseurl": "cdn.example"}, "keypairid: is missing"),
        ("cloudfront", CLOUDFRONT, "privatekey: is missing"),
        ("cloudfront", CLOUDFRONT | {"privatekey": "/nowhere"}, "privatekey: cannot read /nowhere: No such file"),
        ("cloudfront", CLOUDFRONT | {"baseurl": "ftp://cdn.example"}, "baseurl: must be http(s)://"),
        ("cloudfront", CLOUDFRONT | {"duration": 60}, "duration: must be a duration like 100ms, 1h30m or 90d, not 60"),
        ("cloudfront", CLOUDFRONT | {"duration": "0s"}, "duration: must be at least 1s, not 0s"),
        ("cloudfront", CLOUDFRONT | {"updatefrequency": "soon"}, "updatefrequency: must be a duration"),
        ("cloudfront", CLOUDFRONT | {"ipfilteredby": "gcp"}, "ipfilteredby: must be one of none, aws, awsregion"),
        ("cloudfront", CLOUDFRONT | {"ipfilteredby": "awsregion"}, "awsregion: is missing: the regions"),
        (
            "cloudfront",
            CLOUDFRONT | {"iprangesurl": "file:///etc/passwd"},
            "iprangesurl: must be the URL of a",
        ),
    ],
)
def test_a_wrong_option_is_one_line_that_names_it(
    name: str, options: dict[str, object], message: str, tmp_path: Path
) -> None:
    if options.keys() >= CLOUDFRONT.keys() and options != CLOUDFRONT:
        options = {"privatekey": key_file(tmp_path)} | options

    with pytest.raises(PluginError) as caught:
        before(Bucket(), {"name": name, "options": options})

    assert str(caught.value).startswith(f"middleware.storage[0].options: {message}")
    assert "\n" not in str(caught.value)


def test_an_option_that_nobody_knows_is_ignored_aloud(caplog: pytest.LogCaptureFixture) -> None:
    before(Bucket(), {"name": "rewrite", "options": {"hots": "cdn.example"}})

    assert caplog.messages == ["middleware.storage[0].options.hots: unknown, ignored (is host meant?)"]
