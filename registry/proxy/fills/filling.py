"""The work of the thread that fetches a blob: of all processes and hosts one does it, and the others read along.

They meet in the storage only. Who has the claim writes to the upload; the others look now and then what that has got,
and whether the claim is free. If it is, the upload is taken over: what it has is hashed, and the rest is asked for.
"""

from __future__ import annotations

import json
import logging
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from drivers.base import DriverError, NoSpaceError, NotPermittedError, ObjectTooLargeError, PathNotFoundError
from registry.oci.errors import BlobUnknownError, RegistryError, UpstreamError, UpstreamFailedError
from registry.ports import Blob
from registry.proxy.fills.fetching import PACE, Fetching, MismatchError, Pace, StoppedError
from registry.proxy.fills.spool import OtherBytesError, open_spool
from registry.storage import paths
from registry.storage.hashing import new_hasher

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.base import StorageDriver, Writer
    from registry.proxy.caching import Caching
    from registry.proxy.fills.fill import Fill
    from registry.proxy.fills.remote_blob import RemoteBlob
    from registry.proxy.fills.spool import Spool
    from registry.proxy.routing import Place
    from registry.storage.repository import Repositories
    from registry.upstream.streams import BlobStream

_ABOUT_LIMIT: Final = 4096
_SMALL: Final = 1024 * 1024
"""Bytes of a blob that is fetched before another process could read along with much of it."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """Where content is kept: `repositories` over `driver`, in which it becomes visible by `caching`."""

    driver: StorageDriver
    repositories: Repositories
    caching: Caching
    pace: Pace = PACE


class Filling:
    """Has the blob of `fill` come, as `remote` has it; `stopping` tells whether to leave it to another process."""

    def __init__(self, fill: Fill, remote: RemoteBlob, kept: Kept, stopping: Callable[[], bool]) -> None:
        self._fill = fill
        self._remote = remote
        self._digest = remote.digest
        self._driver = kept.driver
        self._repositories = kept.repositories
        self._caching = kept.caching
        self._pace = kept.pace
        self._fetching = Fetching(remote, fill, stopping, kept.pace)
        self._data = paths.fill_data(remote.name, remote.digest)
        self._about = paths.fill_about(remote.name, remote.digest)
        self._spool: Spool | None = None
        self._is_described = False
        self.could_not_write = False
        """Whether the storage is full, or this registry may not write to it."""

    def run(self) -> None:
        """Return when the fill has ended, however it did."""
        try:
            self._claim_or_follow()
        except RegistryError as error:
            self._fill.fail(error)
        except StoppedError:
            self._fill.give_up()
        except (DriverError, OtherBytesError) as error:
            self.could_not_write = isinstance(error, NoSpaceError | NotPermittedError)
            self._log("cannot be cached", error)
            self._fill.give_up()
        except Exception:  # noqa: BLE001  clients wait for the end of this thread's work, whatever it comes to
            _log.exception("a blob could not be fetched")
            self._fill.give_up()

    def _log(self, what: str, error: Exception) -> None:
        _log.warning("%s of %s %s: %s", self._digest, self._remote.name, what, error)

    def _claim_or_follow(self) -> None:
        silent_seconds = self._remote.upstream.settings.network.stalltimeout_seconds
        path = paths.fill_claim(self._remote.name, self._digest)
        pause, heard = self._pace.least, time.monotonic()
        while (claim := self._driver.claim(path)) is None:
            if self._follow():
                pause, heard = self._pace.least, time.monotonic()
            elif time.monotonic() - heard > silent_seconds:
                raise DriverError(f"the process that fetches it has got nothing for {silent_seconds:g} seconds")
            self._fetching.pause(pause)
            pause = min(2 * pause, self._pace.most)
        with claim:
            stored = self._repositories.open(self._place.name).blobs.stored_size(self._digest)
            if stored is None or not self._take_stored(stored):
                self._fetch()

    @property
    def _place(self) -> Place:
        """The repository for which the blob was asked for first."""
        return next(iter(self._fill.places.values()))

    # What another process fetches.

    def _follow(self) -> bool:
        """Read what the process that has the claim has got; tell whether that is more than before."""
        with suppress(PathNotFoundError):
            if self._spool is None:
                return self._begin_following()
            if self._spool.follow(self._driver, self._data):
                self._fill.grew()
                return True
        return False

    def _begin_following(self) -> bool:
        about = self._read_about()
        if about is None:
            return False
        self._is_described = True
        repository, size = about
        if repository != self._remote.repository:
            self._remote.size()
        self._begin(size)
        return True

    def _begin(self, size: int | None) -> Spool:
        """Let clients read what is in the upload from now on."""
        spool = self._spool = open_spool(self._driver, self._data)
        self._fill.begin(size, spool)
        return spool

    def _read_about(self) -> tuple[str, int | None] | None:
        """Return of which repository the process that fetches the blob does it, and its size if that is known."""
        try:
            fields = json.loads(self._driver.get(self._about, limit=_ABOUT_LIMIT))
            repository, size = fields["repository"], fields["size"]
        except (PathNotFoundError, ObjectTooLargeError, ValueError, KeyError, TypeError):
            return None
        return (repository, size) if isinstance(repository, str) and isinstance(size, int | None) else None

    def _take_stored(self, size: int) -> bool:
        """Let clients have the bytes that are stored already; tell whether that could be done.

        Those who have got the first bytes from another process get the rest only if all of it is what is stored.

        Raises:
            OtherBytesError: it is not.
        """
        spool = self._spool
        if spool is None:
            if not self._has(self._place) and not self._is_of_size(size):
                return False
            self._share(size)
            return True
        if not self._is_stored(spool, size):
            raise OtherBytesError("what is stored is not what clients have got of it")
        self._fill.verify()
        self._share(size)
        return True

    def _has(self, place: Place) -> bool:
        """Tell whether a repository has the blob: another process may have fetched it."""
        return self._repositories.open(place.name).blobs.has(self._digest)

    def _is_of_size(self, size: int) -> bool:
        """Tell whether the upstream has the blob under our name, in so many bytes."""
        with suppress(UpstreamFailedError):  # it may yet give the blob itself
            return self._remote.size() == size
        return False

    def _is_stored(self, spool: Spool, size: int) -> bool:
        path = paths.blob_data(self._digest)
        if spool.is_of(self._driver, path):
            spool.accept(size, b"")
            return True
        for piece in self._driver.read(path, spool.size):
            spool.accept(spool.size, piece)
        return spool.size == size and spool.digest(self._digest.algorithm) == self._digest

    # What this process fetches.

    def _fetch(self) -> None:
        try:
            writer = self._driver.open_upload(self._data)
        except PathNotFoundError:
            return self._fetch_all()
        with writer:
            try:
                self._continue(writer)
                return self._publish(writer)
            except (MismatchError, OtherBytesError):
                # What was kept of an earlier try may have been wrong.
                self._cancel(writer)
            except (NoSpaceError, BlobUnknownError):
                self._cancel(writer)
                raise
        return self._fetch_all()

    def _continue(self, writer: Writer) -> None:
        """Go on with an upload that another process has left: hash what it has, and fetch the rest."""
        about = self._read_about()
        if about is None:
            raise OtherBytesError("it is not known what was fetched")
        self._is_described = True
        repository, size = about
        if self._spool is None or repository != self._remote.repository:
            size = self._remote.size()
        spool = self._spool
        if spool is None or not spool.may_continue(self._driver, self._data, writer.size):
            spool = self._begin(size)
        self._driver.touch(self._about)
        hasher = new_hasher(self._digest.algorithm)
        position = 0
        for piece in self._driver.read_upload(self._data):
            hasher.update(piece)
            self._fetching.accept(spool, position, piece)
            position += len(piece)
        if position != writer.size:
            raise OtherBytesError("what was fetched cannot be read")
        self._fetching.is_pieced = True
        self._fetching.fetch(writer, hasher, spool, ExitStack())

    def _fetch_all(self) -> None:
        """Fetch the blob from its beginning, and once more if it comes in pieces that do not fit."""
        with ExitStack() as opened:
            stream = opened.enter_context(self._remote.open())
            size = self._size_of(stream)
            self._driver.start_upload(self._data, self._described(size))
            is_first, self._fetching.is_pieced = self._spool is None, False
            with self._driver.open_upload(self._data) as writer:
                try:
                    hasher, spool = new_hasher(self._digest.algorithm), self._begin(size)
                    self._fetching.fetch(writer, hasher, spool, opened.pop_all(), stream)
                    return self._publish(writer)
                except MismatchError:
                    self._cancel(writer)
                    if not (is_first and self._fetching.is_pieced):
                        raise
                except (NoSpaceError, BlobUnknownError):
                    self._cancel(writer)
                    raise
        return self._fetch_all()

    def _described(self, size: int | None) -> list[tuple[str, bytes]]:
        """Return the object that says what is fetched; none where that takes no longer than to store it does."""
        if size is not None and size <= _SMALL:
            return []
        self._is_described = True
        about = {"repository": self._remote.repository, "size": size}
        return [(self._about, json.dumps(about).encode("ascii"))]

    def _size_of(self, stream: BlobStream) -> int | None:
        if stream.size is not None:
            return stream.size
        with suppress(UpstreamError):
            return self._remote.size()
        return None

    def _publish(self, writer: Writer) -> None:
        """Let the repositories have the blob, which is right. Clients get it even if it cannot be kept."""
        self._fill.verify()
        size, place = writer.size, self._place
        try:
            self._caching.adopt_blob(self._repositories.open(place.name), writer, self._digest)
        except DriverError as error:
            self._log("cannot be kept", error)
            return self._fill.give_up()
        return self._share(size, but=place)

    def _share(self, size: int, *, but: Place | None = None) -> None:
        """Let all repositories `but` one have the blob, which is stored."""
        blob = Blob(self._digest, self._digest, size)
        for place in self._fill.places.values():
            with suppress(BlobUnknownError, DriverError):  # whoever asks for it next links it
                if place is not but and not self._has(place):
                    self._caching.link_blob(self._repositories.open(place.name), blob)
        self._clear()
        self._fill.store(size)

    def _cancel(self, writer: Writer) -> None:
        writer.cancel()
        self._clear()

    def _clear(self) -> None:
        """Delete what is said of an upload that has ended."""
        if self._is_described:
            with suppress(PathNotFoundError):
                self._driver.delete(self._about)
