"""The bytes of a blob as they arrive: a file at whose end one thread adds, and that any number of threads read.

On a file system that is the file of the upload itself, whose descriptor stays good when it is renamed into place. Any
other medium takes an upload and does not show it, so the bytes go into a temporary file, too.
"""

from __future__ import annotations

import errno
import os
import tempfile
from abc import ABC, abstractmethod
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from drivers.base import PIECE_SIZE, DriverError, NoSpaceError, UnavailableError
from registry.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.base import StorageDriver

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class OtherBytesError(Exception):
    """What is to be added to a spool contradicts what readers have been given of it."""


class Spool(ABC):
    """Bytes ``0..size`` of a blob. It owns the file `descriptor`, and closes it when nobody has it any more."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size = 0

    def __del__(self) -> None:
        os.close(self._descriptor)

    @abstractmethod
    def accept(self, position: int, piece: bytes) -> None:
        """Have what the upload has at `position`, which is not behind the end.

        Raises:
            OtherBytesError: the spool has other bytes there.
            DriverError: the medium of the spool fails.
        """

    @abstractmethod
    def follow(self, driver: StorageDriver, path: str) -> bool:
        """Have what another process has added to the upload at `path`; tell whether that was anything.

        Raises:
            OtherBytesError: what the upload had is gone.
            DriverError: the storage fails.
        """

    @abstractmethod
    def is_of(self, driver: StorageDriver, path: str) -> bool:
        """Tell whether this is the very file of the object or upload at `path`."""

    @abstractmethod
    def may_continue(self, driver: StorageDriver, path: str, size: int) -> bool:
        """Tell whether readers may go on with what is added to the upload at `path`, which has `size` bytes."""

    def read(self, start: int, stop: int) -> bytes:
        """Return bytes ``start..stop``, which are there.

        Raises:
            DriverError: the medium fails, or has fewer bytes.
        """
        with _translated("read"):
            piece = os.pread(self._descriptor, stop - start, start)
        if not piece:
            raise DriverError("what was fetched of a blob is not there any more")
        return piece

    def pieces(self, stop: int) -> Iterator[bytes]:
        """Yield bytes ``0..stop``."""
        position = 0
        while position < stop:
            piece = self.read(position, min(stop, position + PIECE_SIZE))
            position += len(piece)
            yield piece

    def digest(self, algorithm: str) -> Digest:
        """Return the digest of all bytes."""
        return Digest.of_pieces(self.pieces(self.size), algorithm)


class UploadSpool(Spool):
    """The file of the upload."""

    def accept(self, position: int, piece: bytes) -> None:
        self.size = max(self.size, position + len(piece))

    def follow(self, driver: StorageDriver, path: str) -> bool:
        del driver, path
        with _translated("read"):
            size = os.fstat(self._descriptor).st_size
        if size < self.size:
            raise OtherBytesError
        grown, self.size = size > self.size, size
        return grown

    def is_of(self, driver: StorageDriver, path: str) -> bool:
        name = driver.local_path(path)
        try:
            return name is not None and os.path.samestat(os.fstat(self._descriptor), Path(name).stat())
        except OSError:
            return False

    def may_continue(self, driver: StorageDriver, path: str, size: int) -> bool:
        return self.size <= size and self.is_of(driver, path)


class TemporarySpool(Spool):
    """A file without a name, in ``TMPDIR``."""

    def accept(self, position: int, piece: bytes) -> None:
        known = piece[: max(self.size - position, 0)]
        if known and self.read(position, position + len(known)) != known:
            raise OtherBytesError
        rest = memoryview(piece)[len(known) :]
        with _translated("kept in TMPDIR"):
            while rest:
                written = os.pwrite(self._descriptor, rest, self.size)
                self.size += written
                rest = rest[written:]

    def follow(self, driver: StorageDriver, path: str) -> bool:
        before = self.size
        for piece in driver.read_upload(path, self.size):
            self.accept(self.size, piece)
        return self.size > before

    def is_of(self, driver: StorageDriver, path: str) -> bool:
        del driver, path
        return False

    def may_continue(self, driver: StorageDriver, path: str, size: int) -> bool:
        del driver, path
        return self.size <= size


def open_spool(driver: StorageDriver, path: str) -> Spool:
    """Return a spool, still empty, for the upload at `path`, which exists.

    Raises:
        DriverError: there can be no temporary file.
    """
    name = driver.local_path(path)
    if name:
        # Not there, it is in a place of the driver's own.
        with _translated("read"), suppress(FileNotFoundError):
            return UploadSpool(os.open(name, os.O_RDONLY | os.O_CLOEXEC))
    with _translated("kept in TMPDIR"), tempfile.TemporaryFile(buffering=0) as file:
        return TemporarySpool(os.dup(file.fileno()))


@contextmanager
def _translated(verb: str) -> Iterator[None]:
    """Raise errors of the operating system as those of the storage are; `verb` says what has failed."""
    try:
        yield
    except OSError as error:
        word = NoSpaceError if error.errno in _FULL else UnavailableError
        raise word(f"what is fetched of a blob cannot be {verb}: {error.strerror or error}") from error
