from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from drivers.base import UploadBusyError
from drivers.inmemory import InMemoryDriver
from registry.oci.digest import Digest
from registry.oci.errors import BlobUploadUnknownError, DigestInvalidError, SizeInvalidError
from registry.oci.ranges import ByteRange
from registry.oci.uploads import BodyCutShortError, Chunk, OffsetError
from registry.storage import paths
from registry.storage.repository import Repositories, Repository
from tests.content import chunk
from tests.drivers.failing import FailingDriver

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTENT = b"some content that comes in pieces"
SHA256 = Digest.of(CONTENT)
SHA512 = Digest.of(CONTENT, "sha512")


@pytest.fixture
def repository(driver: InMemoryDriver) -> Repository:
    return Repositories(driver).open("team/app")


def published(repository: Repository, digest: Digest) -> bytes:
    return b"".join(repository.blobs.read(repository.blobs.stat(digest), 0, len(CONTENT)))


def nothing_is_left(driver: InMemoryDriver) -> bool:
    return driver.list(paths.uploads("team/app"), limit=1) == []


def test_a_finished_upload_is_a_blob_and_leaves_nothing(driver: InMemoryDriver, repository: Repository) -> None:
    state = repository.uploads.start()

    size = repository.uploads.finish(state, chunk(CONTENT[:5], CONTENT[5:]), SHA256)

    assert size == len(CONTENT)
    assert published(repository, SHA256) == CONTENT
    assert nothing_is_left(driver)


@pytest.mark.parametrize("claimed", [0, 5, 11, 2**62])
def test_a_token_that_is_out_of_date_is_refused_and_told_where_the_upload_stands(
    repository: Repository,
    claimed: int,
) -> None:
    state = repository.uploads.append(repository.uploads.start(), chunk(CONTENT[:10]))

    for attempt in (
        lambda: repository.uploads.append(replace(state, offset=claimed), chunk(b"other")),
        lambda: repository.uploads.finish(replace(state, offset=claimed), chunk(b"other"), SHA256),
    ):
        with pytest.raises(OffsetError) as caught:
            attempt()

        assert caught.value.state.offset == 10
        # The hash in the token is that of other bytes than are stored.
        assert caught.value.state.digest_state is None
    assert repository.uploads.status(state.upload_id).offset == 10


@pytest.mark.parametrize("start", [0, 9, 11])
def test_a_chunk_from_elsewhere_is_refused_and_not_written(repository: Repository, start: int) -> None:
    state = repository.uploads.append(repository.uploads.start(), chunk(CONTENT[:10]))

    with pytest.raises(OffsetError) as caught:
        repository.uploads.append(state, Chunk([b"12345"], ByteRange(start, start + 5), 5))

    assert caught.value.state == state
    assert repository.uploads.status(state.upload_id).offset == 10


@pytest.mark.parametrize("length", [0, 4, 6])
def test_a_body_of_another_length_than_its_range_is_refused_and_not_written(
    repository: Repository,
    length: int,
) -> None:
    state = repository.uploads.start()

    with pytest.raises(SizeInvalidError):
        repository.uploads.append(state, Chunk([b"x" * length], ByteRange(0, 5), length))

    assert repository.uploads.status(state.upload_id).offset == 0


def cut_short() -> Iterator[bytes]:
    yield CONTENT[:10]
    raise BodyCutShortError("the body ended early")


def test_a_body_that_breaks_off_is_kept_as_far_as_it_came(repository: Repository) -> None:
    state = repository.uploads.start()

    with pytest.raises(BodyCutShortError):
        repository.uploads.finish(state, Chunk(cut_short(), length=99), SHA256)

    stands = repository.uploads.status(state.upload_id)
    assert stands.offset == 10
    repository.uploads.finish(stands, chunk(CONTENT[10:]), SHA256)
    assert published(repository, SHA256) == CONTENT


def test_other_content_than_its_digest_ends_the_session_and_publishes_nothing(
    driver: InMemoryDriver,
    repository: Repository,
) -> None:
    for digest in (SHA256, SHA512):
        state = repository.uploads.append(repository.uploads.start(), chunk(CONTENT[:10]))

        with pytest.raises(DigestInvalidError):
            repository.uploads.finish(state, chunk(b"forged"), digest)

        with pytest.raises(BlobUploadUnknownError):
            repository.uploads.status(state.upload_id)
    assert nothing_is_left(driver)
    assert driver.list(paths.BLOBS, limit=1) == []


def test_content_that_is_stored_already_is_linked_and_not_stored_again(
    driver: InMemoryDriver,
    repository: Repository,
) -> None:
    other = Repositories(driver).open("other")
    other.uploads.finish(other.uploads.start(), chunk(CONTENT), SHA256)
    before = driver.stat(paths.blob_data(SHA256))

    repository.uploads.finish(repository.uploads.start(), chunk(CONTENT), SHA256)

    assert driver.stat(paths.blob_data(SHA256)) == before
    assert published(repository, SHA256) == CONTENT
    assert nothing_is_left(driver)


def test_what_another_registry_left_torn_is_replaced(driver: InMemoryDriver, repository: Repository) -> None:
    driver.put(paths.blob_data(SHA256), CONTENT[:5])

    repository.uploads.finish(repository.uploads.start(), chunk(CONTENT), SHA256)

    assert published(repository, SHA256) == CONTENT


def test_a_cancelled_session_is_gone_with_all_it_had(driver: InMemoryDriver, repository: Repository) -> None:
    state = repository.uploads.append(repository.uploads.start(), chunk(CONTENT))

    repository.uploads.cancel(state.upload_id)

    assert nothing_is_left(driver)
    for attempt in (
        lambda: repository.uploads.cancel(state.upload_id),
        lambda: repository.uploads.status(state.upload_id),
        lambda: repository.uploads.append(state, chunk(b"x")),
        lambda: repository.uploads.finish(state, chunk(), SHA256),
    ):
        with pytest.raises(BlobUploadUnknownError):
            attempt()
    assert driver.list(paths.BLOBS, limit=1) == []


def test_a_session_that_is_cancelled_while_it_sends_publishes_nothing(
    driver: InMemoryDriver,
    repository: Repository,
) -> None:
    state = repository.uploads.start()

    def pieces() -> Iterator[bytes]:
        yield CONTENT[:10]
        repository.uploads.cancel(state.upload_id)
        yield CONTENT[10:]

    with pytest.raises(BlobUploadUnknownError):
        repository.uploads.finish(state, Chunk(pieces()), SHA256)

    assert nothing_is_left(driver)
    assert driver.list(paths.BLOBS, limit=1) == []


def test_a_second_request_to_an_upload_that_is_being_written_is_told_to_come_back(repository: Repository) -> None:
    state = repository.uploads.start()

    def pieces() -> Iterator[bytes]:
        with pytest.raises(UploadBusyError):
            repository.uploads.append(state, chunk(b"other"))
        yield CONTENT

    repository.uploads.finish(state, Chunk(pieces()), SHA256)

    assert published(repository, SHA256) == CONTENT


def test_a_failure_to_clean_up_is_not_the_client_s_concern(driver: InMemoryDriver) -> None:
    rehearsal = FailingDriver(InMemoryDriver(), fail_at=0)
    for medium, fail_at in ((rehearsal, 0), (driver, 1)):
        failing = FailingDriver(medium, rehearsal.calls if fail_at else 0)
        uploads = Repositories(failing).open("team/app").uploads

        assert uploads.finish(uploads.start(), chunk(CONTENT), SHA256) == len(CONTENT)


def test_only_what_says_that_it_is_old_is_abandoned(driver: InMemoryDriver, repository: Repository) -> None:
    now = datetime.now(UTC)
    for started_at in (b"", b"yesterday", b"2026-11-23", b"2020-01-01T00:00:00", b"\xff", b"9" * 1000):
        driver.put(paths.upload_started_at("team/app", repository.uploads.start().upload_id), started_at)
    old = repository.uploads.start().upload_id
    driver.put(paths.upload_started_at("team/app", old), b"2020-01-01T00:00:00.123456789Z")

    assert list(repository.uploads.started_before(now - timedelta(days=1))) == [old]
