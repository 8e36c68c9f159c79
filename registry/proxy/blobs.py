"""The blobs of a repository of an upstream: those that are here, and those that come when somebody asks for them."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from registry.oci.digest import Digest
from registry.oci.errors import BlobUnknownError, UpstreamFailedError
from registry.ports import Blob
from registry.proxy.fills.fill import State, View
from registry.proxy.fills.fills import NoSlotError
from registry.proxy.fills.remote_blob import RemoteBlob
from registry.proxy.fills.tail import Passing, Tail

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from registry.ports import Visitor
    from registry.proxy.fills.fill import Fill
    from registry.proxy.fills.fills import Fills
    from registry.proxy.routing import Place
    from registry.storage.blobs import BlobStore
    from registry.upstream.client import Upstream


class ProxiedBlobs:
    """The blobs of the repository at `place`, of which `local` has those that are here, for one request of `visitor`.

    A blob that is linked and has no bytes is one that is not here.
    """

    def __init__(self, local: BlobStore, place: Place, upstream: Upstream, fills: Fills, visitor: Visitor) -> None:
        self._local = local
        self._place = place
        self._upstream = upstream
        self._fills = fills
        self._visitor = visitor
        self._coming: dict[Digest, Tail | Passing] = {}
        """What is not here, by what gives it."""

    def stat(self, digest: Digest) -> Blob:
        """Return the blob if its bytes are here: another repository may link them."""
        return self._local.stat(digest)

    def has(self, digest: Digest) -> bool:
        """Tell whether the blob is here. What only the upstream has is fetched first, to its end.

        It is asked for a manifest that is pushed and names the blob: what is acknowledged then must not depend on what
        the upstream keeps.
        """
        if self._local.has(digest):
            return True
        try:
            remote = self._remote(digest)
            fill = None if self._stored(remote) is not None else self._fills.join(remote, self._place, self._visitor)
        except BlobUnknownError:
            return False
        if fill:
            fill.wait(View.has_ended, self._visitor)
            fill.raise_error()
        return self._local.has(digest)

    def has_each(self, digests: Iterable[Digest]) -> Iterator[bool]:
        """Tell of each digest what has() tells; one is fetched after the other."""
        return map(self.has, digests)

    def describe(self, digest: Digest) -> Blob:
        """Return the blob, without fetching it."""
        with suppress(BlobUnknownError):
            return self._local.describe(digest)
        remote = self._remote(digest)
        fill = self._fills.find(remote, self._place)
        size = fill.size if fill else None
        if size is None:
            size = self._size_of(remote)
            self._fills.forget(remote)
        return self._found(digest, size)

    def serve(self, digest: Digest) -> Blob:
        """Return the blob, which is being fetched from now on if it is not here."""
        return self._serve(digest, partial(self._local.serve, digest))

    def serve_range(self, digest: Digest, start: int, stop: int | None) -> Blob:
        """Return the blob as serve() does; what is here may be opened at the same time."""
        return self._serve(digest, partial(self._local.serve_range, digest, start, stop))

    def _serve(self, digest: Digest, look: Callable[[], Blob]) -> Blob:
        try:
            blob, hit = look(), True
        except BlobUnknownError:
            blob, hit = self._fetch(digest), False
        self._fills.meter.served("blob", blob.size, hit=hit)
        return blob

    def read(self, blob: Blob, start: int, stop: int) -> Iterator[bytes]:
        """Yield bytes ``start..stop``, as they come if they are not here."""
        coming = self._coming.get(blob.digest)
        if coming is None:
            try:
                return self._local.read(blob, start, stop)
            except BlobUnknownError:
                blob = self._fetch_again(blob)
                coming = self._coming.get(blob.digest)
        return self._follow(coming, start, stop) if coming else self._local.read(blob, start, stop)

    def open_local(self, blob: Blob) -> BinaryIO | None:
        """Return the local file that holds the blob, opened; None if there is none, or not yet."""
        coming = self._coming.get(blob.digest)
        if isinstance(coming, Tail) and coming.has_ended_well:
            del self._coming[blob.digest]
        elif coming:
            return None
        try:
            return self._local.open_local(blob)
        except BlobUnknownError:
            blob = self._fetch_again(blob)
        return None if blob.digest in self._coming else self._local.open_local(blob)

    def is_verified(self, blob: Blob) -> bool:
        """Tell whether all of it has come, and has its digest."""
        coming = self._coming.get(blob.digest)
        return coming is None or coming.has_ended_well

    def local_name(self, blob: Blob) -> str | None:
        """Return where the blob lies below the directory of all blobs; None if it is not in a file, or not yet."""
        return None if blob.digest in self._coming else self._local.local_name(blob)

    def redirect_url(self, blob: Blob, client: str = "") -> str | None:
        """Return a URL from which the caller may GET the blob itself; None if there is none, or not yet."""
        return None if blob.digest in self._coming else self._local.redirect_url(blob, client)

    def mount(self, blob: Blob) -> None:
        """Let this repository have a blob that is here."""
        self._local.mount(blob)

    def delete(self, digest: Digest) -> None:
        """Take the blob away from here. It comes again if somebody asks for it."""
        fill = self._fills.find(self._remote(digest), self._place)
        if fill and fill.state is State.VERIFIED:  # clients have all of it already
            fill.wait(View.has_ended, self._visitor)
        self._local.delete(digest)

    def revive(self, digest: Digest, since: Callable[[], float]) -> bool:
        """Have the blob again if a garbage collection has condemned it since then."""
        return self._local.revive(digest, since)

    def _follow(self, coming: Tail | Passing, start: int, stop: int) -> Generator[bytes]:
        meter, name, before = self._fills.meter, self._upstream.name, coming.pulled
        meter.followed(name, 1)
        try:
            yield from coming.read(start, stop)
        finally:
            meter.followed(name, -1)
            meter.pulled("blob", coming.pulled - before)

    def _remote(self, digest: Digest) -> RemoteBlob:
        return RemoteBlob(self._upstream, self._place.remote, digest, self._visitor.via)

    def _size_of(self, remote: RemoteBlob) -> int:
        """Return how large the upstream says that the blob is, which shows that it has it; the thread waits parked."""
        with self._visitor.waiting():
            return remote.size()

    def _fetch(self, digest: Digest) -> Blob:
        """Return a blob that is not here, which is being fetched from now on."""
        remote = self._remote(digest)
        size = self._stored(remote)
        if size is not None:
            return Blob(digest, digest, size)
        fill: Fill | None = None
        # Those that are being fetched may come slowly, and this one would not: it is passed on, and not kept.
        with suppress(NoSlotError):
            fill = self._fills.join(remote, self._place, self._visitor)
        size = fill.size if fill else None
        blob = self._found(digest, self._size_of(remote) if size is None else size)
        if fill is None or fill.state is not State.STORED:
            passing = Passing(remote, blob.size, self._visitor, self._fills.turns(remote))
            self._coming[digest] = Tail(fill, blob.size, passing, self._visitor) if fill else passing
        return blob

    def _found(self, digest: Digest, size: int) -> Blob:
        """Return the blob that the upstream has in so many bytes."""
        # Of no other blob, all that a client gets is sent before its digest is verified.
        if not size and Digest.of(b"", digest.algorithm) != digest:
            raise UpstreamFailedError(f"{self._upstream.name} has nothing under {digest}")
        return Blob(digest, digest, size)

    def _fetch_again(self, blob: Blob) -> Blob:
        """Fetch a blob whose bytes turn out to be missing after the client was told that they are there."""
        found = self._fetch(blob.digest)
        if found.size != blob.size:
            raise UpstreamFailedError(f"{self._upstream.name} has {blob.digest} in {found.size} bytes, not {blob.size}")
        return found

    def _stored(self, remote: RemoteBlob) -> int | None:
        """Return the size of a blob whose bytes are here for another repository, if the upstream has it under our name.

        Else a client would get under a name that it may pull what is only under another one.

        Raises:
            BlobUnknownError: it does not have it.
        """
        size = self._local.stored_size(remote.digest)
        if size is None:
            return None
        with suppress(UpstreamFailedError):  # it may yet give the blob itself
            if self._size_of(remote) == size:
                self._fills.link(self._place, Blob(remote.digest, remote.digest, size))
                return size
        return None
