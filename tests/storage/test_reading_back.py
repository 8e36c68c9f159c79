from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from drivers.inmemory import InMemoryDriver
from registry.oci.digest import Digest
from registry.oci.uploads import DigestState
from registry.storage.repository import Repositories, Repository
from registry.storage.tokens import UploadTokens
from tests.content import chunk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.base import Writer
    from registry.oci.uploads import UploadState

CONTENT = b"some content that comes in pieces"
SHA256 = Digest.of(CONTENT)
SHA512 = Digest.of(CONTENT, "sha512")
TOKENS = UploadTokens(b"a secret")


class WatchedDriver(InMemoryDriver):
    """Counts how often an upload is read back."""

    def __init__(self) -> None:
        super().__init__(lock_seconds=0.1)
        self.read_back = 0

    def open_upload(self, path: str) -> Writer:
        writer = super().open_upload(path)
        content = writer.content

        def counted() -> Iterator[bytes]:
            self.read_back += 1
            return content()

        writer.content = counted  # type: ignore[method-assign]  # what a subclass of the writer would do
        return writer


@pytest.fixture
def driver() -> WatchedDriver:
    return WatchedDriver()


@pytest.fixture
def repository(driver: WatchedDriver) -> Repository:
    return Repositories(driver).open("team/app")


def told(state: UploadState) -> UploadState:
    """Take `state` to the client and back."""
    return TOKENS.load(TOKENS.sign(state), name=state.name, upload_id=state.upload_id)


def push_in_chunks(repository: Repository, state: UploadState, digest: Digest) -> None:
    for start in range(0, len(CONTENT), 10):
        state = told(repository.uploads.append(state, chunk(CONTENT[start : start + 10])))
    repository.uploads.finish(state, chunk(), digest)


def published(repository: Repository, digest: Digest) -> bytes:
    return b"".join(repository.blobs.read(repository.blobs.stat(digest), 0, len(CONTENT)))


def test_reading_back_is_not_needed_in_one_request_whatever_the_algorithm(
    driver: WatchedDriver,
    repository: Repository,
) -> None:
    for digest in (SHA256, SHA512, Digest.of(CONTENT, "sha384")):
        repository.uploads.finish(repository.uploads.start(), chunk(CONTENT), digest)

        assert published(repository, digest) == CONTENT
    assert driver.read_back == 0


@pytest.mark.parametrize("digest", [SHA256, SHA512], ids=["sha256", "sha512"])
def test_reading_back_is_not_needed_over_many_requests_of_the_announced_algorithm(
    driver: WatchedDriver,
    repository: Repository,
    digest: Digest,
) -> None:
    push_in_chunks(repository, told(repository.uploads.start(digest.algorithm)), digest)

    assert driver.read_back == 0
    assert published(repository, digest) == CONTENT


@pytest.mark.parametrize("digest", [SHA512, Digest.of(CONTENT, "sha384")], ids=["sha512", "sha384"])
def test_reading_back_is_needed_once_when_the_algorithm_turns_out_another(
    driver: WatchedDriver,
    repository: Repository,
    digest: Digest,
) -> None:
    push_in_chunks(repository, repository.uploads.start(), digest)

    assert driver.read_back == 1
    assert published(repository, digest) == CONTENT


def test_reading_back_is_needed_when_the_client_has_lost_its_token(
    driver: WatchedDriver, repository: Repository
) -> None:
    state = repository.uploads.start()
    repository.uploads.append(state, chunk(CONTENT[:10]))

    repository.uploads.finish(repository.uploads.status(state.upload_id), chunk(CONTENT[10:]), SHA256)

    assert driver.read_back == 1


@pytest.mark.parametrize(
    "change",
    [
        {"digest_state": None},
        {"digest_state": DigestState("sha256", b"no state")},
        {"digest_state": DigestState("sha384", b"never exported")},
        {"checkpoint": "another"},
    ],
    ids=["go-registry", "broken", "not-resumable", "other-bytes"],
)
def test_reading_back_is_needed_when_the_token_cannot_vouch_for_what_is_stored(
    driver: WatchedDriver,
    repository: Repository,
    change: dict[str, DigestState | str],
) -> None:
    state = repository.uploads.append(repository.uploads.start(), chunk(CONTENT[:10]))

    repository.uploads.finish(replace(state, **change), chunk(CONTENT[10:]), SHA256)  # type: ignore[arg-type]

    assert driver.read_back == 1
    assert published(repository, SHA256) == CONTENT
