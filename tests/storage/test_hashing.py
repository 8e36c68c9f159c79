from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.storage.hashing import StateError, new_hasher, resume_hasher

RESUMABLE = ["sha256", "sha512"]

# MarshalBinary of Go's crypto/sha256 and crypto/sha512 after Write("abc"): magic, chain, block, length.
GO_SHA256_ABC = bytes.fromhex(
    "736861036a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19616263" + "00" * 61 + "0000000000000003",
)
GO_SHA512_ABC = bytes.fromhex(
    "73686107"
    "6a09e667f3bcc908bb67ae8584caa73b3c6ef372fe94f82ba54ff53a5f1d36f1"
    "510e527fade682d19b05688c2b3e6c1f1f83d9abfb41bd6b5be0cd19137e2179"
    "616263" + "00" * 125 + "0000000000000003",
)


@given(st.sampled_from(RESUMABLE), st.lists(st.binary(max_size=300), max_size=6))
def test_a_state_carried_over_after_every_piece_gives_the_digest_of_hashlib(
    algorithm: str, pieces: list[bytes]
) -> None:
    state = new_hasher(algorithm).state()
    for piece in pieces:
        assert state is not None
        hasher = resume_hasher(algorithm, state)
        hasher.update(piece)
        state = hasher.state()

    assert state is not None
    assert resume_hasher(algorithm, state).digest().hex == hashlib.new(algorithm, b"".join(pieces)).hexdigest()


@pytest.mark.parametrize("algorithm", RESUMABLE)
@pytest.mark.parametrize("length", [0, 1, 55, 56, 63, 64, 65, 111, 112, 127, 128, 129, 1000, 1024 * 1024])
def test_a_state_may_be_taken_at_any_length(algorithm: str, length: int) -> None:
    first = new_hasher(algorithm)
    first.update(b"x" * length)
    state = first.state()
    assert state is not None

    second = resume_hasher(algorithm, state)
    second.update(b"yz")

    assert second.digest().hex == hashlib.new(algorithm, b"x" * length + b"yz").hexdigest()


@pytest.mark.parametrize(("algorithm", "golden"), [("sha256", GO_SHA256_ABC), ("sha512", GO_SHA512_ABC)])
def test_a_state_is_laid_out_as_go_does_it(algorithm: str, golden: bytes) -> None:
    hasher = new_hasher(algorithm)
    hasher.update(b"abc")

    assert hasher.state() == golden


def test_a_state_of_256_bits_has_108_bytes() -> None:
    assert len(GO_SHA256_ABC) == 108
    assert len(GO_SHA512_ABC) == 204


def test_neither_digest_nor_state_disturbs_what_follows() -> None:
    hasher = new_hasher("sha256")
    hasher.update(b"a")
    hasher.digest()
    hasher.state()
    hasher.update(b"b")

    assert hasher.digest().hex == hashlib.sha256(b"ab").hexdigest()


def test_the_length_may_exceed_32_bits() -> None:
    beyond = GO_SHA256_ABC[:-8] + (2**33 + 3).to_bytes(8, "big")

    assert resume_hasher("sha256", beyond).state() == beyond


@pytest.mark.parametrize(
    "state",
    [b"", b"sha\x03", GO_SHA256_ABC[:-1], GO_SHA256_ABC + b"\0", b"sha\x02" + GO_SHA256_ABC[4:], GO_SHA512_ABC],
    ids=len,
)
def test_what_is_no_state_of_the_algorithm_is_refused(state: bytes) -> None:
    with pytest.raises(StateError):
        resume_hasher("sha256", state)


def test_sha384_is_computed_but_not_carried_over() -> None:
    hasher = new_hasher("sha384")
    hasher.update(b"abc")

    assert hasher.digest().hex == hashlib.sha384(b"abc").hexdigest()
    assert hasher.state() is None
    with pytest.raises(StateError):
        resume_hasher("sha384", GO_SHA512_ABC)
