from __future__ import annotations

import pytest

from registry.web.links import Links
from registry.web.words import ago, short

LINKS = Links("/registry/ui", "1")


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (7199, "1 hour ago"),
        (7200, "2 hours ago"),
        (86400, "1 day ago"),
        (59 * 86400, "1 month ago"),
        (800 * 86400, "2 years ago"),
        (-1, "in a moment"),
        (-90 * 86400, "in 3 months"),
    ],
)
def test_times_are_told_from_now_on(seconds: float, told: str) -> None:
    assert ago(1_000_000_000.0, now=1_000_000_000.0 + seconds) == told


def test_digests_are_told_by_their_first_digits() -> None:
    assert short("sha256:" + "a1" * 32) == "a1a1a1a1a1a1"
    assert short("sha512:" + "b2" * 64) == "sha512:b2b2b2b2b2b2"


def test_a_link_spells_what_it_names() -> None:
    assert LINKS.home() == "/registry/ui/"
    assert LINKS.tag("team/app", "v1") == "/registry/ui/team/app:v1"
    assert LINKS.search('a&b="c d"') == "/registry/ui/_search?q=a%26b%3D%22c+d%22"
    assert LINKS.login("/registry/ui/a?b=c") == "/registry/ui/_login?next=%2Fregistry%2Fui%2Fa%3Fb%3Dc"


@pytest.mark.parametrize(
    "target", ["/registry/ui/", "/registry/ui", "/registry/ui/team/app:v1", "/registry/ui/a?b=//c"]
)
def test_paths_of_pages_are_ours(target: str) -> None:
    assert LINKS.is_ours(target)


@pytest.mark.parametrize(
    "target",
    [
        *("", "/", "/registry/uix", "//registry/ui/", "/registry/ui//x", "/registry/ui/../v2", "https://a/"),
        *("/registry/ui/a\\b", "/registry/ui/\t/x", "/registry/ui/\u00e4"),
    ],
)
def test_nothing_else_is_ours(target: str) -> None:
    assert not LINKS.is_ours(target)
