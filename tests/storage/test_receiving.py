from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from drivers.base import PIECE_SIZE, DriverError
from drivers.inmemory import InMemoryDriver
from registry.oci.digest import Digest
from registry.oci.uploads import BodyCutShortError
from registry.storage.hashing import Hasher, new_hasher
from registry.storage.receiving import receive
from tests.faults import no_more_threads

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from drivers.base import StorageDriver

UPLOAD = "/docker/uploads/1/data"
PIECES = [bytes([number]) * PIECE_SIZE for number in range(11)] + [b"the end"]
CONTENT = b"".join(PIECES)


@pytest.fixture
def driver() -> StorageDriver:
    return InMemoryDriver()


def broken_off(pieces: Iterable[bytes]) -> Iterator[bytes]:
    yield from pieces
    raise BodyCutShortError("gone")


@contextmanager
def no_thread_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


@pytest.mark.parametrize("count", [0, 1, 4, 5, 6, 12])
def test_what_comes_is_written_and_hashed(driver: StorageDriver, count: int) -> None:
    content, hasher = b"".join(PIECES[:count]), new_hasher("sha256")
    driver.create_upload(UPLOAD)

    with no_thread_left(), driver.open_upload(UPLOAD) as writer:
        receive(PIECES[:count], writer, hasher)

        assert writer.size == len(content)
        assert b"".join(writer.content()) == content
    assert hasher.digest() == Digest.of(content)


def test_a_long_body_is_hashed_also_where_no_thread_can_be_started(driver: StorageDriver) -> None:
    hasher = new_hasher("sha256")
    driver.create_upload(UPLOAD)

    with driver.open_upload(UPLOAD) as writer, no_more_threads():
        receive(PIECES, writer, hasher)
        assert writer.size == len(CONTENT)

    assert hasher.digest() == Digest.of(CONTENT)


def test_a_hash_goes_on_from_request_to_request(driver: StorageDriver) -> None:
    hasher = new_hasher("sha512")
    driver.create_upload(UPLOAD)

    for pieces in (PIECES[:1], PIECES[1:7], PIECES[7:]):
        with driver.open_upload(UPLOAD) as writer:
            receive(pieces, writer, hasher)

    assert hasher.digest() == Digest.of(CONTENT, "sha512")


def test_without_a_hasher_it_is_only_written(driver: StorageDriver) -> None:
    driver.create_upload(UPLOAD)

    with no_thread_left(), driver.open_upload(UPLOAD) as writer:
        receive(PIECES, writer, None)

        assert b"".join(writer.content()) == CONTENT


def test_a_body_that_breaks_off_is_written_as_far_as_it_came(driver: StorageDriver) -> None:
    driver.create_upload(UPLOAD)

    with no_thread_left(), driver.open_upload(UPLOAD) as writer:
        with pytest.raises(BodyCutShortError):
            receive(broken_off(PIECES), writer, new_hasher("sha256"))

        assert b"".join(writer.content()) == CONTENT


class Failing(Hasher):
    def __init__(self, after: int) -> None:
        self._left = after

    def update(self, piece: bytes) -> None:
        self._left -= len(piece)
        if self._left < 0:
            raise DriverError("what was written cannot be read")

    def digest(self) -> Digest:
        raise AssertionError("nobody may ask for it")

    def state(self) -> bytes | None:
        raise AssertionError("nobody may ask for it")


@pytest.mark.parametrize("after", [0, 2 * PIECE_SIZE, 6 * PIECE_SIZE, len(CONTENT) - 1])
def test_what_cannot_be_hashed_fails_instead_of_being_taken_for_hashed(driver: StorageDriver, after: int) -> None:
    driver.create_upload(UPLOAD)

    with no_thread_left(), driver.open_upload(UPLOAD) as writer, pytest.raises(DriverError, match="cannot be read"):
        receive(PIECES, writer, Failing(after))
