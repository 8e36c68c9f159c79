"""An upload on a file system: a plain file that grows under a lock and is renamed into place."""

# A string is passed to the system call as it is; to make a Path costs more than the call.
# ruff: noqa: PTH104, PTH108

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from drivers.base import PIECE_SIZE, DriverError, PathNotFoundError, Writer
from drivers.filesystem.files import NewNames, Translated, parent_of
from drivers.filesystem.locks import status_if_still_at
from drivers.filesystem.mounts import has_one_host
from drivers.pending import Flushes
from registry.foundation.files import sync_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CLOSED = -1


class FileWriter(Writer):
    """Owns `fd`, which holds the lock; `size` is the size of the file `name` when it was locked.

    `name_of` gives the name of the file for the path at which the upload is published.
    """

    def __init__(self, path: str, name: str, fd: int, size: int, name_of: Callable[[str], str]) -> None:
        self._path = path
        self._name = name
        self._name_of = name_of
        self._fd = fd
        self._size = self._durable_size = size
        self._flushes: Flushes | None = None
        self._has_one_host = False

    @property
    def size(self) -> int:
        return self._size

    def write(self, piece: bytes) -> None:
        with Translated("write", self._path):
            rest = memoryview(piece)
            while rest:
                written = os.write(self._fd, rest)
                self._size += written
                rest = rest[written:]

    def flush(self) -> None:
        # Processes of this host see it already. Those of others see what a network file system has sent to its server.
        if self._flushes is None:
            self._flushes, self._has_one_host = Flushes(), has_one_host(self._fd)
        if not self._has_one_host and self._size != self._durable_size and self._flushes.are_due():
            with Translated("flush", self._path):
                self._sync()

    def content(self) -> Iterator[bytes]:
        with Translated("read upload", self._path):
            yield from pread(self._fd, 0, self._size)

    def commit(self, destination: str) -> None:
        target, names = self._name_of(destination), NewNames()
        with Translated("commit", self._path):
            self._sync()
            names.place(target, self._rename)
            # If a loss of power brought the old name back, the published file would be an upload as well.
            names.took_from(parent_of(self._name))
            names.sync()
            self._release()

    def _rename(self, target: str) -> None:
        if size_if_still_at(self._name, self._fd) != self._size:
            raise DriverError(f"filesystem: commit {self._path}: a program without our lock wrote to it")
        os.rename(self._name, target)

    def cancel(self) -> None:
        with Translated("cancel", self._path):
            with suppress(PathNotFoundError):
                size_if_still_at(self._name, self._fd)
                os.unlink(self._name)
            self._release()
            sync_directory(parent_of(self._name))

    def close(self) -> None:
        if self._fd == _CLOSED:
            return
        with Translated("close", self._path):
            try:
                if self._size != self._durable_size:
                    self._sync()
            finally:
                self._release()

    def _sync(self) -> None:
        try:
            os.fsync(self._fd)
        except OSError:
            # The kernel may have dropped what it could not write, and it reports that only once: a later fsync would
            # succeed. So go back to what was durable when the upload was opened.
            os.ftruncate(self._fd, self._durable_size)
            self._size = self._durable_size
            raise
        self._durable_size = self._size

    def _release(self) -> None:
        fd, self._fd = self._fd, _CLOSED
        os.close(fd)


def size_if_still_at(name: str, fd: int) -> int:
    """Return the size of the open upload `fd`, provided that `name` is still its name.

    Raises:
        PathNotFoundError: it was published or deleted since it was opened.
    """
    found = status_if_still_at(name, fd)
    if found is None:
        raise PathNotFoundError(f"filesystem: {name}: this upload has ended")
    return found.st_size


def pread(fd: int, start: int, stop: int) -> Iterator[bytes]:
    """Yield bytes ``start..stop`` of the file `fd`, as far as there are any, in pieces of at most PIECE_SIZE."""
    while start < stop and (piece := os.pread(fd, min(PIECE_SIZE, stop - start), start)):
        yield piece
        start += len(piece)
