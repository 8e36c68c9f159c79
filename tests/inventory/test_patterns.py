from __future__ import annotations

import re

import pytest

from registry.inventory.patterns import Pattern, PatternError
from tests.content import ABSENT
from tests.growth import grows_linearly


@pytest.mark.parametrize(
    ("text", "name", "tag", "digest"),
    [
        ("app", "app", None, None),
        ("team/app:v1", "team/app", "v1", None),
        (f"app@{ABSENT}", "app", None, ABSENT),
    ],
)
def test_what_has_no_wildcards_names_one_thing(text: str, name: str, tag: str | None, digest: object) -> None:
    pattern = Pattern.parse(text)
    assert (pattern.name, pattern.tag, pattern.digest) == (name, tag, digest)
    assert not pattern.is_wild


@pytest.mark.parametrize(
    ("text", "repository", "tag", "expected"),
    [
        ("team/*", "team/app", None, True),
        ("team/*", "team/app/sub", None, False),
        ("team/**", "team/app/sub", None, True),
        ("team/**", "team", None, False),
        ("**", "a/b/c", None, True),
        ("app:v*", "app", "v1.2", True),
        ("app:v*", "app", "w1", False),
        ("app:v?", "app", "v12", False),
        ("app:*.*", "app", "v12", False),
        ("app:v1.2*", "app", "v1x2", False),
        ("*:*", "app", "v1", True),
    ],
)
def test_wildcards_match_names_and_tags(text: str, repository: str, tag: str | None, *, expected: bool) -> None:
    pattern = Pattern.parse(text)
    meant = pattern.means(repository)
    if tag is not None and isinstance(pattern.tag, re.Pattern):
        meant = meant and pattern.tag.fullmatch(tag) is not None
    assert meant == expected
    assert pattern.is_wild


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "NAME"),
        ("UPPER", "NAME"),
        ("../etc", "NAME"),
        ("app:", "NAME"),
        (":v1", "NAME"),
        ("app:-v", "NAME"),
        ("app@", "NAME"),
        ("app@sha256:12", "NAME"),
        (f"app:v1@{ABSENT}", "NAME"),
        ("localhost:5000/app", "slash in the tag .*: --url says"),
        ("team/**x", r"\*\* must stand alone"),
        ("app:v[12]*", "not a pattern for tags"),
        ("[ab]*", "not a pattern for repositories"),
        ("*" * 600, "too long"),
        ("app:" + "*" * 600, "not a pattern for tags"),
        ("\x1b[31m", r"x1b\[31m' is not NAME"),
    ],
)
def test_what_names_nothing_is_said_in_one_printable_line(text: str, said: str) -> None:
    with pytest.raises(PatternError, match=said) as caught:
        Pattern.parse(text)
    assert str(caught.value).isprintable()


def test_a_pattern_of_many_wildcards_takes_linear_time() -> None:
    pattern = Pattern.parse("app:" + "*a" * 60 + "b").tag
    assert isinstance(pattern, re.Pattern)
    assert grows_linearly(pattern.fullmatch, lambda size: "a" * size)
