"""Blobs: bytes that all repositories share, and the links by which a repository may serve them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from drivers.base import PathNotFoundError
from registry.oci.digest import Digest
from registry.oci.errors import BlobUnknownError
from registry.storage import paths
from registry.storage.links import read_link, write_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.base import StorageDriver, Writer


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob that a repository may serve.

    `digest` is the one it was asked for, `target` the one its bytes lie under. The two differ when the Go
    registry stored a blob pushed by sha512: it keeps such bytes under their sha256.
    """

    digest: Digest
    target: Digest
    size: int

    @property
    def path(self) -> str:
        """Where the driver keeps the bytes."""
        return paths.blob_data(self.target)


class BlobStore:
    """The blobs of one repository."""

    def __init__(self, driver: StorageDriver, name: str) -> None:
        self._driver = driver
        self._name = name

    def stat(self, digest: Digest) -> Blob:
        """Return the blob.

        Raises:
            BlobUnknownError: this repository does not link it, or its bytes are missing.
        """
        target = read_link(self._driver, paths.layer_link(self._name, digest))
        if target is None:
            raise _unknown(digest)
        return stat_target(self._driver, digest, target)

    def has(self, digest: Digest) -> bool:
        """Tell whether stat() would find the blob."""
        try:
            self.stat(digest)
        except BlobUnknownError:
            return False
        return True

    def open_local(self, blob: Blob) -> BinaryIO | None:
        """Return the local file that holds the blob, opened, or None if the driver has none.

        Raises:
            BlobUnknownError: it was deleted meanwhile.
        """
        path = self.local_path(blob)
        if path is None:
            return None
        try:
            return Path(path).open("rb", buffering=0)
        except FileNotFoundError:
            raise _unknown(blob.digest) from None

    def local_path(self, blob: Blob) -> str | None:
        """Return the name of the local file that holds the blob, or None if the driver has none."""
        return self._driver.local_path(blob.path)

    def redirect_url(self, blob: Blob, client: str = "") -> str | None:
        """Return a URL from which whoever asks, from the address `client`, may GET the blob itself, or None."""
        return self._driver.redirect_url(blob.path, method="GET", client=client)

    def read(self, blob: Blob, start: int, stop: int) -> Iterator[bytes]:
        """Yield bytes ``start..stop``; the blob is opened before this returns.

        Raises:
            BlobUnknownError: it was deleted meanwhile.
        """
        try:
            return self._driver.read(blob.path, start, stop)
        except PathNotFoundError:
            raise _unknown(blob.digest) from None

    def adopt(self, writer: Writer, digest: Digest) -> None:
        """Publish what `writer` holds, whose digest the caller has verified to be `digest`.

        The bytes first, then the link: a crash between leaves bytes without a link, never the reverse.
        """
        if self._is_stored(digest, writer.size):
            writer.cancel()
        else:
            writer.commit(paths.blob_data(digest))
        self.link(digest)

    def _is_stored(self, digest: Digest, size: int) -> bool:
        """Tell whether the bytes are stored already, so that an upload of the same need not replace them.

        A file of another size is what a power cut left of another registry's write. One of the same size may have
        rotted, which an object store looks after and a file system does not: this push is the chance to mend it.
        """
        path = paths.blob_data(digest)
        if self.stored_size(digest) != size:
            return False
        if self._driver.local_path(path) is None:
            return True
        try:
            return Digest.of_pieces(self._driver.read(path), digest.algorithm) == digest
        except PathNotFoundError:
            return False

    def link(self, digest: Digest) -> None:
        """Let this repository serve the stored blob `digest`, whose bytes the caller has shown to hold."""
        write_link(self._driver, paths.layer_link(self._name, digest), digest)

    def mount(self, blob: Blob) -> None:
        """Let this repository serve a blob that the store of another one has returned."""
        write_link(self._driver, paths.layer_link(self._name, blob.digest), blob.target)

    def delete(self, digest: Digest) -> None:
        """Take the blob away from this repository; others keep theirs, and the bytes stay for them.

        Raises:
            BlobUnknownError: this repository does not link it.
        """
        try:
            self._driver.delete(paths.layer_link(self._name, digest))
        except PathNotFoundError:
            raise _unknown(digest) from None

    def stored_size(self, digest: Digest) -> int | None:
        """Return the size of the blob in bytes if it is stored, whether or not any repository links it."""
        try:
            return self._driver.stat(paths.blob_data(digest)).size
        except PathNotFoundError:
            return None


def stat_target(driver: StorageDriver, digest: Digest, target: Digest) -> Blob:
    """Return the blob whose bytes lie under `target`, whether or not any repository links it.

    Raises:
        BlobUnknownError: there are no such bytes.
    """
    try:
        return Blob(digest, target, driver.stat(paths.blob_data(target)).size)
    except PathNotFoundError:
        raise _unknown(digest) from None


def _unknown(digest: Digest) -> BlobUnknownError:
    return BlobUnknownError("blob unknown to registry", {"digest": str(digest)})
