"""Blobs: bytes that all repositories share, and the links by which a repository may serve them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from drivers.base import PathNotFoundError
from registry.oci.digest import Digest
from registry.oci.errors import BlobUnknownError
from registry.ports import Blob
from registry.storage import paths
from registry.storage.at_once import both, each
from registry.storage.links import read_link, revive_link, write_link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from drivers.base import StorageDriver, Writer
    from registry.storage.descriptors import DescriptorCache
    from registry.storage.listed import SeenLinks


class BlobStore:
    """The blobs of one repository."""

    def __init__(self, driver: StorageDriver, name: str, descriptors: DescriptorCache, linked: SeenLinks) -> None:
        self._driver = driver
        self._name = name
        self._descriptors = descriptors
        self._linked = linked
        self._opening: _Opening | None = None

    def stat(self, digest: Digest) -> Blob:
        """Return the blob, for a caller that relies on its bytes being there.

        Raises:
            BlobUnknownError: this repository does not link it, or its bytes are missing.
        """
        return self._require(digest, digest, *both(self._driver, *self._looks(digest, digest)))

    def serve(self, digest: Digest) -> Blob:
        """Return the blob, for a caller that reads it next: its size may be one that is remembered.

        Raises:
            BlobUnknownError: this repository does not link it, or its bytes are known to be missing.
        """
        likely = self._linked.target(self._name, digest) or digest
        size = self._descriptors.get(likely)
        if size is None:
            return self._seen(digest, likely, *both(self._driver, *self._looks(digest, likely)))
        target = self._target(digest)
        return Blob(digest, target, size) if target == likely else self._seen(digest, likely, target, None)

    def serve_range(self, digest: Digest, start: int, stop: int | None) -> Blob:
        """Return the blob as serve() does, for a caller that reads ``start..stop`` next, up to its end without `stop`.

        Where the driver has no local files, it is opened while the link is looked at: read() of that range has it then.
        That is done only where the link was seen not long ago: who asks for what the repository does not have would
        else cost a connection, and be told by the time it takes whether another repository has it.
        """
        target = self._linked.target(self._name, digest)
        if target is None or self._driver.local_path(paths.blob_data(target)) is not None:
            return self.serve(digest)
        opening = _Opening(self._driver, target, start, stop)
        try:
            blob, _ = both(self._driver, partial(self.serve, digest), opening.open)
        except BaseException:
            opening.close()
            raise
        self._opening = opening
        return blob

    def _looks(self, digest: Digest, likely: Digest) -> tuple[Callable[[], Digest], Callable[[], int | None]]:
        """Return what looks at the link, and at the bytes where they are likely to lie."""
        return partial(self._target, digest), partial(self.stored_size, likely)

    def _seen(self, digest: Digest, likely: Digest, target: Digest, size: int | None) -> Blob:
        """Return a blob and remember its size; that of one that lies elsewhere than was likely may be known."""
        if target != likely and (remembered := self._descriptors.get(target)) is not None:
            return Blob(digest, target, remembered)
        blob = self._require(digest, likely, target, size)
        self._descriptors.put(target, blob.size)
        return blob

    def _require(self, digest: Digest, likely: Digest, target: Digest, size: int | None) -> Blob:
        """Return a blob if its bytes are there, which have that `size` if they lie where it was likely."""
        if target != likely:
            size = self.stored_size(target)
        if size is None:
            # A client that was told of the blob looks again, and then pushes it.
            self._descriptors.drop(target)
            raise _unknown(digest)
        return Blob(digest, target, size)

    describe = serve
    """Return the blob, for a caller that reads nothing of it, as serve() does."""

    def has(self, digest: Digest) -> bool:
        """Tell whether stat() finds the blob."""
        try:
            self.stat(digest)
        except BlobUnknownError:
            return False
        return True

    def has_each(self, digests: Iterable[Digest]) -> Iterator[bool]:
        """Tell of each digest what has() tells, of some at a time."""
        return each(self._driver, self.has, digests)

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
        opening, self._opening = self._opening, None
        opened = opening.take(blob, start, stop) if opening else None
        if opened:
            return opened
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
        self._linked.note(self._name, digest, digest)

    def mount(self, blob: Blob) -> None:
        """Let this repository serve a blob that the store of another one has returned."""
        write_link(self._driver, paths.layer_link(self._name, blob.digest), blob.target)
        self._linked.note(self._name, blob.digest, blob.target)

    def delete(self, digest: Digest) -> None:
        """Take the blob away from this repository; others keep theirs, and the bytes stay for them.

        Nobody brings it back, even if a garbage collection has condemned it before.

        Raises:
            BlobUnknownError: this repository does not link it.
        """
        self._linked.drop(self._name, digest)
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
            self._linked.drop(self._name, digest)
            raise _unknown(digest)
        self._linked.note(self._name, digest, target)
        return target

    def _gone(self, blob: Blob) -> BlobUnknownError:
        """Return the error for a blob whose bytes turn out to be missing."""
        self._descriptors.drop(blob.target)
        return _unknown(blob.digest)


@dataclass(slots=True)
class _Opening:
    """Bytes ``start..stop`` of a blob, which is opened before it is known whether the repository may serve it."""

    driver: StorageDriver
    target: Digest
    start: int
    stop: int | None
    pieces: Iterator[bytes] | None = None

    def open(self) -> None:
        with suppress(PathNotFoundError):
            self.pieces = self.driver.read(paths.blob_data(self.target), self.start, self.stop)

    def take(self, blob: Blob, start: int, stop: int) -> Iterator[bytes] | None:
        """Return bytes ``start..stop`` of `blob` if they are among these, which are closed else."""
        reaches = self.stop is None or stop <= self.stop
        if self.pieces is not None and reaches and (self.target, self.start) == (blob.target, start):
            return _cut(self.pieces, stop - start)
        self.close()
        return None

    def close(self) -> None:
        _close(self.pieces)


def _cut(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Yield the first `size` bytes of `pieces`, and close them."""
    try:
        for piece in pieces:
            yield piece[:size]
            size -= len(piece)
            if size <= 0:
                return
    finally:
        _close(pieces)


def _close(pieces: Iterator[bytes] | None) -> None:
    close: Callable[[], object] | None = getattr(pieces, "close", None)
    if close:
        close()


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
