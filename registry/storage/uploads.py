"""Upload sessions: bytes that grow, request by request, into a blob.

The token says what the client was told, the driver says what is durable; unequal means 416. Bytes once
acknowledged never change, or a replayed token could publish other bytes under its digest: nothing here
truncates or overwrites, and the driver's writer excludes all others while it is open.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from drivers.base import DriverError, ObjectTooLargeError, PathExistsError, PathNotFoundError
from registry.foundation.uuids import random_uuid
from registry.oci.digest import DEFAULT_ALGORITHM, Digest
from registry.oci.errors import (
    BlobUploadUnknownError,
    DigestInvalidError,
    SizeInvalidError,
)
from registry.oci.uploads import DigestState, OffsetError, UploadState
from registry.storage import paths
from registry.storage.hashing import Hasher, StateError, new_hasher, resume_hasher
from registry.storage.links import read_link, write_link
from registry.storage.listing import names_below
from registry.storage.names import is_upload_id
from registry.storage.receiving import receive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from drivers.base import StorageDriver, Writer
    from registry.oci.uploads import Chunk
    from registry.storage.blobs import BlobStore

_MAX_TIME = 64
"""Bytes of the longest RFC 3339 time that anybody writes."""

_log = logging.getLogger(__name__)


class UploadStore:
    """The upload sessions of one repository."""

    def __init__(self, driver: StorageDriver, name: str, blobs: BlobStore) -> None:
        self._driver = driver
        self._name = name
        self._blobs = blobs

    def start(self, algorithm: str = DEFAULT_ALGORITHM, upload_id: str | None = None) -> UploadState:
        """Begin a session whose content is expected to be named by a digest of `algorithm`."""
        upload_id = upload_id or random_uuid()
        started_at = _now()
        note = paths.upload_started_at(self._name, upload_id), started_at.encode("ascii")
        self._driver.start_upload(paths.upload_data(self._name, upload_id), [note])
        expected = None if algorithm == DEFAULT_ALGORITHM else _exported(new_hasher(algorithm))
        return UploadState(self._name, upload_id, 0, started_at, expected)

    def status(self, upload_id: str, told: UploadState | None = None) -> UploadState:
        """Return where a session stands, for a client that has lost its token or doubts it.

        `told` is what the client was told, if it says so; where that is still true it is the better answer,
        because it knows the hash of what is stored.

        Raises:
            BlobUploadUnknownError: there is no such session.
        """
        try:
            started_at = self._driver.get(paths.upload_started_at(self._name, upload_id), limit=_MAX_TIME)
        except (PathNotFoundError, ObjectTooLargeError):
            raise _unknown(upload_id) from None
        try:
            size = self._driver.upload_size(paths.upload_data(self._name, upload_id))
        except PathNotFoundError:
            if told is None:
                raise _unknown(upload_id) from None
            return told  # published already, and not yet linked: finish() goes on from there
        if told and told.offset == size:
            return told
        return UploadState(self._name, upload_id, size, started_at.decode("ascii", "replace"))

    def append(self, state: UploadState, chunk: Chunk) -> UploadState:
        """Store a chunk and return the state to sign for the client; raises what registry.ports says."""
        with self._open(state) as writer:
            hasher = self._admit(writer, state, chunk)
            receive(chunk.pieces, writer, hasher)
            writer.close()
            return replace(
                state,
                offset=writer.size,
                digest_state=_exported(hasher),
                checkpoint=writer.checkpoint,
            )

    def finish(self, state: UploadState, chunk: Chunk, digest: Digest) -> int:
        """Store the last chunk, which may be empty, and publish the whole as a blob; return its size in bytes.

        Raises:
            DigestInvalidError: the content is another; the session is gone and nothing was published.
            As append() otherwise; the session stays.
        """
        try:
            writer = self._open(state)
        except BlobUploadUnknownError:
            return self._finish_interrupted(state, chunk, digest)
        with writer:
            hasher = self._admit(writer, state, chunk, digest.algorithm)
            receive(chunk.pieces, writer, hasher)
            size = writer.size
            content = hasher.digest() if hasher else None
            left = [paths.upload_started_at(self._name, state.upload_id)]
            # Without a hash over all of it, or with one of another algorithm, the content is read back.
            if content is None or content.algorithm != digest.algorithm:
                content = Digest.of_pieces(writer.content(), digest.algorithm)
                left.append(paths.upload_verified(self._name, state.upload_id))
                write_link(self._driver, left[-1], content)
            if content == digest:
                self._publish(writer, state.upload_id, digest)
            else:
                writer.cancel()
        self._end(state.upload_id, left)
        if content != digest:
            raise DigestInvalidError(
                "provided digest did not match uploaded content",
                f"invalid digest for referenced layer: {digest}, content does not match digest",
            )
        return size

    def cancel(self, upload_id: str) -> None:
        """End a session and delete all that was stored for it.

        Raises:
            BlobUploadUnknownError: there is no such session.
        """
        try:
            self._driver.delete(paths.upload_directory(self._name, upload_id))
        except PathNotFoundError:
            raise _unknown(upload_id) from None

    def _open(self, state: UploadState) -> Writer:
        try:
            return self._driver.open_upload(paths.upload_data(self._name, state.upload_id))
        except PathNotFoundError:
            raise _unknown(state.upload_id) from None

    def _admit(
        self,
        writer: Writer,
        state: UploadState,
        chunk: Chunk,
        algorithm: str | None = None,
    ) -> Hasher | None:
        """Return the hasher to continue with, if the chunk may be written; None if what is stored was never hashed.

        `algorithm` is the one that is known to be needed, where it is.
        """
        if writer.size != state.offset:
            stands = replace(state, offset=writer.size, digest_state=None, checkpoint=writer.checkpoint)
            raise OffsetError("the upload state is out of date", stands)
        if chunk.range and chunk.range.start != writer.size:
            raise OffsetError("the chunk does not begin where the upload stands", state)
        if chunk.range and chunk.length is not None and chunk.length != chunk.range.length:
            raise SizeInvalidError("Content-Length is not the length of Content-Range")
        return _hasher(state, algorithm) if state.checkpoint == writer.checkpoint or not writer.size else None

    def _finish_interrupted(self, state: UploadState, chunk: Chunk, digest: Digest) -> int:
        """Finish for a process that has died after it published the bytes and before it linked them.

        The session has no data any more, and the blob may be known from elsewhere. So the client has to show
        that it has sent these bytes: by the hash in its token together with what it sends now, or by the note
        of a process that has read them back.
        """
        if self._started_at(state.upload_id) is None:
            raise _unknown(state.upload_id)
        hasher, size = _hasher(state, digest.algorithm), state.offset
        for piece in chunk.pieces:
            size += len(piece)
            if hasher:
                hasher.update(piece)
        noted = read_link(self._driver, paths.upload_verified(self._name, state.upload_id))
        if digest not in {noted, hasher.digest() if hasher else None} or self._blobs.stored_size(digest) != size:
            raise _unknown(state.upload_id)
        self._blobs.link(digest)
        self.discard(state.upload_id)
        return size

    def _publish(self, writer: Writer, upload_id: str, digest: Digest) -> None:
        try:
            self._blobs.adopt(writer, digest)
        except PathNotFoundError:  # cancelled by another request while this one was sending
            raise _unknown(upload_id) from None

    def started_before(self, moment: datetime, undated: Callable[[str], object] = lambda _: None) -> Iterator[str]:
        """Yield the ids of sessions that were started before `moment`.

        What does not say when it was started may be starting just now, and is not among them: `undated` is called with
        its id.
        """
        for upload_id in names_below(self._driver, paths.uploads(self._name), is_upload_id):
            started = self._started_at(upload_id)
            if started is None:
                undated(upload_id)
            elif started < moment:
                yield upload_id

    def date(self, upload_id: str) -> None:
        """Let a session have been started now that does not say when it was.

        A crash has left it, as it was started or as it ended; or it is just being started, and then it will say so.
        """
        with suppress(PathExistsError):
            self._driver.create(paths.upload_started_at(self._name, upload_id), _now().encode("ascii"))

    def _started_at(self, upload_id: str) -> datetime | None:
        try:
            content = self._driver.get(paths.upload_started_at(self._name, upload_id), limit=_MAX_TIME)
            started = datetime.fromisoformat(content.decode("ascii"))
        except (PathNotFoundError, ObjectTooLargeError, ValueError):
            return None
        return started if started.tzinfo else None

    def discard(self, upload_id: str) -> None:
        """Delete what is left of a session that has ended; a failure is for the purge, not the client's concern."""
        try:
            self._driver.delete(paths.upload_directory(self._name, upload_id))
        except PathNotFoundError:
            pass
        except DriverError as error:
            self._warn_of_rest(upload_id, error)

    def _end(self, upload_id: str, left: Sequence[str]) -> None:
        """Delete the objects at `left` of a session whose bytes were published or cancelled, as discard() does."""
        try:
            self._driver.end_upload(paths.upload_directory(self._name, upload_id), left)
        except DriverError as error:
            self._warn_of_rest(upload_id, error)

    def _warn_of_rest(self, upload_id: str, error: DriverError) -> None:
        _log.warning("the ended upload %s of %s was not cleaned up: %s", upload_id, self._name, error)


def _hasher(state: UploadState, algorithm: str | None) -> Hasher | None:
    """Return the hasher over the bytes ``0..offset`` of `state`, if they are known to have been hashed."""
    if not state.offset:
        expected = state.digest_state.algorithm if state.digest_state else DEFAULT_ALGORITHM
        return new_hasher(algorithm or expected)
    if state.digest_state is None:
        return None
    try:
        return resume_hasher(state.digest_state.algorithm, state.digest_state.state)
    except StateError:
        return None


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _exported(hasher: Hasher | None) -> DigestState | None:
    state = hasher.state() if hasher else None
    return DigestState(hasher.digest().algorithm, state) if hasher and state else None


def _unknown(upload_id: str) -> BlobUploadUnknownError:
    return BlobUploadUnknownError("blob upload unknown to registry", {"upload": upload_id[:128]})
