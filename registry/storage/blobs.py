"""Blobs: bytes that all repositories share, and the links by which a repository may serve them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from drivers.base import PathNotFoundError
from registry.oci.digest import Digest
from registry.oci.errors import BlobUnknownError
from registry.ports import Blob
from registry.storage import paths
from registry.storage.links import read_link, revive_link, write_link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drivers.base import StorageDriver, Writer
    from registry.storage.descriptors import DescriptorCache


class BlobStore:
    """The blobs of one repository."""

    def __init__(self, driver: StorageDriver, name: str, descriptors: DescriptorCache) -> None:
        self._driver = driver
        self._name = name
        self._descriptors = descriptors

    def stat(self, digest: Digest) -> Blob:
        """Return the blob, for a caller that relies on its bytes being there.

        Raises:
            BlobUnknownError: this repository does not link it, or its bytes are missing.
        """
        target = self._target(digest)
        try:
            return stat_target(self._driver, digest, target)
        except BlobUnknownError:
            # A client that was told of the blob looks again, and then pushes it.
            self._descriptors.drop(target)
            raise

    def serve(self, digest: Digest) -> Blob:
        """Return the blob, for a caller that reads it next: its size may be one that is remembered.

        Raises:
            BlobUnknownError: this repository does not link it, or its bytes are known to be missing.
        """
        target = self._target(digest)
        size = self._descriptors.get(target)
        if size is not None:
            return Blob(digest, target, size)
        blob = stat_target(self._driver, digest, target)
        self._descriptors.put(target, blob.size)
        return blob

    describe = serve
    """Return the blob, for a caller that reads nothing of it, as serve() does."""

    def has(self, digest: Digest) -> bool:
        """Tell whether stat() finds the blob."""
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
        try:
            return self._driver.open_local(paths.blob_data(blob.target))
        except PathNotFoundError:
            raise self._gone(blob) from None

    def is_verified(self, blob: Blob) -> bool:
        """Tell whether its bytes are those of its digest; nothing else is stored."""
        del blob
        return True

    def local_name(self, blob: Blob) -> str | None:
        """Return where the blob lies below the directory of all blobs, or None if the driver has no local files."""
        path = paths.blob_data(blob.target)
        return path.removeprefix(paths.BLOBS) if self._driver.local_path(path) is not None else None

    def redirect_url(self, blob: Blob, client: str = "") -> str | None:
        """Return a URL from which the caller, whose address is `client` if known, may GET the blob itself, or None."""
        return self._driver.redirect_url(paths.blob_data(blob.target), method="GET", client=client)

    def read(self, blob: Blob, start: int, stop: int) -> Iterator[bytes]:
        """Yield bytes ``start..stop``; the blob is opened before this returns.

        Raises:
            BlobUnknownError: it was deleted meanwhile.
        """
        try:
            return self._driver.read(paths.blob_data(blob.target), start, stop)
        except PathNotFoundError:
            raise self._gone(blob) from None

    def adopt(self, writer: Writer, digest: Digest) -> None:
        """Publish what `writer` holds, whose digest the caller has verified to be `digest`.

        The bytes first, then the link: a crash between leaves bytes without a link, never the reverse.
        """
        size = writer.size
        if self._is_stored(digest, size):
            writer.cancel()
        else:
            writer.commit(paths.blob_data(digest))
        self.link(digest)
        self._descriptors.put(digest, size)

    def _is_stored(self, digest: Digest, size: int) -> bool:
        """Tell whether the bytes are stored already, so that an upload of the same need not replace them.

        A file of another size is what a power cut left of another registry's write. One of the same size may be damaged
        nevertheless. An object store detects and repairs that, a file system does not: this push can repair it.
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

        Nobody brings it back, even if a garbage collection has condemned it before.

        Raises:
            BlobUnknownError: this repository does not link it.
        """
        try:
            self._driver.delete(paths.layer_link(self._name, digest))
        except PathNotFoundError:
            raise _unknown(digest) from None
        finally:
            with suppress(PathNotFoundError):
                self._driver.delete(paths.condemned_layer_link(self._name, digest))

    def revive(self, digest: Digest, since: Callable[[], float]) -> bool:
        """Link the blob again if a garbage collection has condemned it since then; tell whether stat() finds it.

        The link is looked at last: another request may have revived it at the same time.
        """
        live = paths.layer_link(self._name, digest)
        revive_link(self._driver, paths.condemned_layer_link(self._name, digest), live, since)
        return self.has(digest)

    def stored_size(self, digest: Digest) -> int | None:
        """Return the size of the blob in bytes if it is stored, whether or not any repository links it."""
        try:
            return self._driver.stat(paths.blob_data(digest)).size
        except PathNotFoundError:
            return None

    def _target(self, digest: Digest) -> Digest:
        """Return the digest under which the bytes of a blob that this repository links lie."""
        target = read_link(self._driver, paths.layer_link(self._name, digest))
        if target is None:
            raise _unknown(digest)
        return target

    def _gone(self, blob: Blob) -> BlobUnknownError:
        """Return the error for a blob whose bytes turn out to be missing."""
        self._descriptors.drop(blob.target)
        return _unknown(blob.digest)


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
    return BlobUnknownError("blob unknown to registry", str(digest))
