from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.oci.digest import ALGORITHMS, Digest, looks_like_digest
from registry.oci.errors import DigestInvalidError

EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@given(st.binary(), st.sampled_from(sorted(ALGORITHMS)))
def test_a_digest_reads_back_from_its_text(content: bytes, algorithm: str) -> None:
    digest = Digest.of(content, algorithm)

    assert Digest.parse(str(digest)) == digest
    assert digest.hex == hashlib.new(algorithm, content).hexdigest()


@given(st.lists(st.binary(max_size=50)), st.sampled_from(sorted(ALGORITHMS)))
def test_content_in_pieces_has_the_digest_of_the_whole(pieces: list[bytes], algorithm: str) -> None:
    assert Digest.of_pieces(pieces, algorithm) == Digest.of(b"".join(pieces), algorithm)


def test_the_digest_of_nothing_is_the_well_known_one() -> None:
    assert str(Digest.of(b"")) == EMPTY


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "sha256:",
        "sha256",
        EMPTY.removesuffix("5"),
        EMPTY + "5",
        EMPTY + "\n",
        EMPTY + "\0",
        " " + EMPTY,
        EMPTY.upper(),
        EMPTY.replace("sha256", "SHA256"),
        EMPTY.replace("sha256:", "sha256:\u0660")[:-1],
        EMPTY.replace("sha256", "sha512"),
        EMPTY.replace("sha256", "md5"),
        EMPTY.replace("sha256", "sha256+b64"),
        "sha256:" + "g" * 64,
        "sha256:../../../../etc/passwd",
        "sha256:" + "a" * 31 + "/" + "a" * 32,
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        "sha256::" + "0" * 63,
        f"{EMPTY}:{EMPTY}",
        "\ud800:0",
        "a" * 100_000 + ":" + "b" * 100_000,
    ],
)
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(DigestInvalidError):
        Digest.parse(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("sha256;abc", "invalid digest format"),
        ("md5:d41d8cd98f00b204e9800998ecf8427e", "unsupported digest algorithm; known are sha256, sha384, sha512"),
        ("sha512:abc", "a sha512 digest has 128 lower-case hex digits"),
    ],
)
def test_a_refusal_says_what_is_wrong(text: str, why: str) -> None:
    with pytest.raises(DigestInvalidError) as caught:
        Digest.parse(text)

    assert caught.value.message == why
    assert caught.value.detail == text


@given(st.text())
def test_whatever_else_comes_is_refused_and_repeated_in_brief(text: str) -> None:
    with pytest.raises(DigestInvalidError) as caught:
        Digest.parse(text * 100)

    assert len(str(caught.value.detail)) <= 256


def test_digests_sort_by_algorithm_and_then_by_hex() -> None:
    digests = [Digest("sha512", "0"), Digest("sha256", "b"), Digest("sha256", "a")]

    assert sorted(digests) == list(reversed(digests))


@pytest.mark.parametrize(("text", "expected"), [("sha256:x", True), (":", True), ("latest", False), ("", False)])
def test_what_has_a_colon_is_meant_as_a_digest(text: str, expected: bool) -> None:
    assert looks_like_digest(text) is expected
