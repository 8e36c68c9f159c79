from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.oci.digest import Digest
from registry.oci.errors import DigestInvalidError, NameInvalidError, TagInvalidError
from registry.oci.reference import MAX_NAME_LENGTH, Tag, parse_name, parse_reference, parse_tag

# As the specification prints it ("Pulling manifests").
SPECIFIED_NAME = re.compile(
    r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*",
)
SPECIFIED_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}", re.ASCII)


@given(st.from_regex(SPECIFIED_NAME, fullmatch=True))
def test_every_name_of_the_specification_is_one(name: str) -> None:
    if len(name) <= MAX_NAME_LENGTH:
        assert parse_name(name) == name


@pytest.mark.parametrize(
    "name", ["FOO/bar", "Registry.Example/a", "a-B.c/d/e", "tags/list", "blobs/uploads", "0", "a--b"]
)
def test_names_that_the_go_registry_stores_are_names(name: str) -> None:
    assert parse_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        ".",
        "..",
        "../a",
        "a/..",
        "a/../b",
        "a/./b",
        ".a",
        "a.",
        "_a",
        "a_",
        "-a",
        "a-",
        "a..b",
        "a___b",
        "a._b",
        "FOO",
        "a/FOO",
        "_layers",
        "a/_manifests",
        "host:5000/a",
        "a\n",
        "a\0",
        "a b",
        "a%2fb",
        "a\\b",
        "ä",
        "a/\u0661",
        "\ud800",
        "a" * (MAX_NAME_LENGTH + 1),
    ],
)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(NameInvalidError):
        parse_name(name)


def test_a_name_may_have_255_characters() -> None:
    assert parse_name("a" * MAX_NAME_LENGTH) == "a" * MAX_NAME_LENGTH


@pytest.mark.parametrize(
    "name", ["a-" * 127, "a/" * 127, "a." * 127, "A." * 127, "-" * 255, "a" + "-" * 254, "A-" * 127]
)
def test_no_name_takes_long_to_refuse(name: str) -> None:
    began = time.thread_time()

    with pytest.raises(NameInvalidError):
        parse_name(name)

    assert time.thread_time() - began < 0.1


@given(st.from_regex(SPECIFIED_TAG, fullmatch=True))
def test_every_tag_of_the_specification_is_one(tag: str) -> None:
    assert parse_tag(tag) == parse_reference(tag) == Tag(tag)
    assert str(parse_tag(tag)) == tag


@pytest.mark.parametrize(
    "tag",
    ["", ".", "..", ".a", "-a", "a/b", "a\n", "a\0", "a b", "ä", "\u0661", "\ud800", "a" * 129, "a+b", "a%2fb"],
)
def test_what_is_no_tag_is_refused(tag: str) -> None:
    with pytest.raises(TagInvalidError):
        parse_tag(tag)


def test_a_reference_with_a_colon_is_a_digest_or_nothing() -> None:
    digest = Digest.of(b"")

    assert parse_reference(str(digest)) == digest
    for text in ("md5:d41d8cd98f00b204e9800998ecf8427e", "sha256:abc", "latest:1", ":"):
        with pytest.raises(DigestInvalidError):
            parse_reference(text)
