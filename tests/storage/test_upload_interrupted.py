"""A process that dies between publishing an upload's bytes and linking them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from drivers.inmemory import InMemoryDriver
from registry.oci.digest import Digest
from registry.oci.errors import BlobUploadUnknownError
from registry.oci.uploads import Chunk
from registry.storage import paths
from registry.storage.links import write_link
from registry.storage.repository import Repositories

if TYPE_CHECKING:
    from registry.oci.uploads import UploadState
    from registry.storage.repository import Repository

CONTENT = b"all of a layer"
DIGEST = Digest.of(CONTENT)
ALIEN = Digest.of(b"somebody else's layer")


def interrupted() -> tuple[InMemoryDriver, Repository, UploadState]:
    """Return a session whose bytes lie under their digest already, linked by nobody."""
    driver = InMemoryDriver()
    repository = Repositories(driver).open("app")
    state = repository.uploads.append(repository.uploads.start(), Chunk([CONTENT]))
    with driver.open_upload(paths.upload_data("app", state.upload_id)) as writer:
        writer.commit(paths.blob_data(DIGEST))
    driver.put(paths.blob_data(ALIEN), b"somebody else's layer")
    return driver, repository, state


def test_client_that_tries_again_finishes() -> None:
    _, repository, state = interrupted()

    assert repository.uploads.finish(state, Chunk([]), DIGEST) == len(CONTENT)

    assert repository.blobs.stat(DIGEST).size == len(CONTENT)
    with pytest.raises(BlobUploadUnknownError):
        repository.uploads.status(state.upload_id, state)


def test_client_that_sends_its_last_chunk_again_finishes() -> None:
    driver, repository, _ = interrupted()
    start = repository.uploads.start()
    driver.delete(paths.upload_data("app", start.upload_id))

    repository.uploads.finish(start, Chunk([CONTENT]), DIGEST)

    assert repository.blobs.has(DIGEST)


def test_client_that_asks_is_told_what_it_was_told() -> None:
    _, repository, state = interrupted()

    assert repository.uploads.status(state.upload_id, state) == state


def test_client_without_its_token_is_not_helped() -> None:
    _, repository, state = interrupted()

    with pytest.raises(BlobUploadUnknownError):
        repository.uploads.status(state.upload_id)


@pytest.mark.parametrize("digest", [ALIEN, Digest.of(CONTENT, "sha512"), Digest.of(b"not stored")])
def test_nobody_gets_a_blob_that_it_has_not_sent(digest: Digest) -> None:
    _, repository, state = interrupted()

    with pytest.raises(BlobUploadUnknownError):
        repository.uploads.finish(state, Chunk([]), digest)

    assert not repository.blobs.has(digest)


def test_without_a_hash_the_note_of_who_read_it_back_is_needed() -> None:
    driver, repository, state = interrupted()
    unhashed = replace(state, digest_state=None)
    with pytest.raises(BlobUploadUnknownError):
        repository.uploads.finish(unhashed, Chunk([]), DIGEST)

    write_link(driver, paths.upload_verified("app", state.upload_id), DIGEST)
    repository.uploads.finish(unhashed, Chunk([]), DIGEST)

    assert repository.blobs.has(DIGEST)


def test_session_that_has_ended_cannot_be_finished_again() -> None:
    _, repository, state = interrupted()
    repository.uploads.finish(state, Chunk([]), DIGEST)
    repository.blobs.delete(DIGEST)

    with pytest.raises(BlobUploadUnknownError):
        repository.uploads.finish(state, Chunk([]), DIGEST)
