"""The bytes of a blob from an upstream that may break off: asked again, it goes on where it has stopped."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from registry.oci.errors import UpstreamError, UpstreamFailedError, UpstreamRefusedError
from registry.storage.receiving import receive

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from drivers.base import Writer
    from registry.proxy.fills.fill import Fill
    from registry.proxy.fills.remote_blob import RemoteBlob
    from registry.proxy.fills.spool import Spool
    from registry.storage.hashing import Hasher
    from registry.upstream.streams import BlobStream

_PROGRESS: Final = 1024 * 1024
"""Bytes by which an upstream that has broken off shows that it is worth while to ask again."""
_TRIES: Final = 5
"""How often in a row it may break off without so much progress."""
_FLUSHED: Final = 4 * 1024 * 1024
"""After how many bytes other hosts are to see them."""
_FLUSHED_SECONDS: Final = 1.0
"""After how long, from a slow upstream."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take, in seconds; tests have them shorter.

    `least` and `most` are between two looks at what another process has got, `again` before an upstream is asked again
    that has broken off, twice as long each time.
    """

    least: float = 0.02
    most: float = 0.5
    again: float = 0.25


PACE: Final = Pace()


class StoppedError(Exception):
    """This process ends."""


class MismatchError(UpstreamFailedError):
    """The bytes are not those of the digest."""


class Fetching:
    """Writes what `remote` has to an upload, and tells the readers of `fill`; `stopping` tells whether to break off."""

    def __init__(self, remote: RemoteBlob, fill: Fill, stopping: Callable[[], bool], pace: Pace) -> None:
        self._remote = remote
        self._fill = fill
        self._stopping = stopping
        self._pace = pace
        self.is_pieced = False
        """Whether the bytes come of several answers, so that another try may bring others."""

    def pause(self, seconds: float) -> None:
        """Wait.

        Raises:
            StoppedError: this process ends.
        """
        if self._stopping():
            raise StoppedError
        time.sleep(seconds)

    def fetch(
        self, writer: Writer, hasher: Hasher, spool: Spool, opened: ExitStack, stream: BlobStream | None = None
    ) -> None:
        """Write and hash what `writer` lacks of the blob, and give it to `spool`.

        Of `stream`, which is closed with `opened`, comes the first of it.

        Raises:
            MismatchError: the blob has another size or digest.
            BlobUnknownError, UpstreamError: the upstream does not give it.
            StoppedError: this process ends.
            drivers.base.DriverError: the storage fails.
        """
        with opened, closing(self._arriving(writer, spool, opened, stream)) as pieces:
            receive(pieces, writer, hasher)
        if hasher.digest() != self._remote.digest:
            raise MismatchError(f"{self._remote.name} gives other content than that of {self._remote.digest}")

    def accept(self, spool: Spool, position: int, piece: bytes) -> None:
        """Give readers what the upload has at `position`."""
        spool.accept(position, piece)
        self._fill.grew()

    def _arriving(self, writer: Writer, spool: Spool, opened: ExitStack, stream: BlobStream | None) -> Generator[bytes]:
        """Yield what is still to come."""
        failures, before = 0, writer.size
        while stream or not self._is_whole(writer.size):
            with opened:
                try:
                    stream = stream or opened.enter_context(self._remote.open(writer.size))
                    yield from self._pieces(stream, writer, spool)
                    if self._is_whole(writer.size) or self._fill.size is None:
                        return
                    raise UpstreamFailedError(f"{self._remote.name} ends {self._remote.digest} too early")
                except UpstreamError as error:
                    if isinstance(error, MismatchError | UpstreamRefusedError):
                        raise
                    failures = 1 if writer.size - before >= _PROGRESS else failures + 1
                    if failures == _TRIES:
                        raise
            opened, stream, before, self.is_pieced = ExitStack(), None, writer.size, True
            self.pause(self._pace.again * 2 ** (failures - 1))

    def _is_whole(self, position: int) -> bool:
        return position == self._fill.size

    def _pieces(self, stream: BlobStream, writer: Writer, spool: Spool) -> Generator[bytes]:
        """Yield what `stream` gives that the upload does not have; who asks for the next piece has written the last.

        Raises:
            MismatchError: the blob has another size.
            UpstreamError: the upstream breaks off.
        """
        name, digest, size = self._remote.name, self._remote.digest, self._fill.size
        position, flushed, flushed_at = stream.start, writer.size, time.monotonic()
        if size is not None and stream.size not in {None, size}:
            raise MismatchError(f"{name} gives {digest} in {stream.size} bytes and in {size}")
        for piece in stream.pieces():
            if self._stopping():
                raise StoppedError
            # Where all is sent again, what is here already is passed over.
            new, begins = piece[max(writer.size - position, 0) :], writer.size
            position += len(piece)
            self._fill.pulled += len(piece)
            if size is not None and position > size:
                raise MismatchError(f"{name} gives more than the {size} bytes of {digest}")
            if not new:
                continue
            yield new
            self.accept(spool, begins, new)
            now = time.monotonic()
            if writer.size - flushed >= _FLUSHED or now - flushed_at >= _FLUSHED_SECONDS:
                writer.flush()
                flushed, flushed_at = writer.size, now
