"""What earlier scans have read, in a directory of the host: what a manifest leads to, and what a tag points to.

A manifest never changes, so its digest says whether what is known of it holds. A tag's link does: there the version
says it that the driver gives (drivers.base.Found). A file of the cache is sorted as the scan asks. So a scan reads it
once, from its beginning to its end, and writes the next one meanwhile, which takes its place at the end: memory does
not grow with it, what is not asked for any more is gone, and a scan that breaks off changes nothing.

Nothing is believed that another version of this registry has written, which may have found less in a manifest, or that
was read from another storage; nothing whose checksum is wrong, and nothing after it, for the order may be
wrong, too. Then it is read from the storage. Of two scans at a time the second one does without a cache.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import struct
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Self

from registry import __version__

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import TracebackType

    from registry.config import Configuration

_log = logging.getLogger(__name__)

_HEAD: Final = struct.Struct(">HI8s")
"""Lengths of key and value, and their checksum."""
_CANNOT_KEEP: Final = "the next garbage collection will read everything anew: %s"
_CHECKSUM_BYTES: Final = 8
_LONGEST_VALUE: Final = 16 * 1024 * 1024
"""Bytes: more than the references of a manifest of the greatest size take."""


class Remembered:
    """Values by key in a sorted file, and the file that replaces it. Without a file, nothing is remembered."""

    def __init__(self, path: Path | None, identity: bytes) -> None:
        self._path = path
        self._header = identity
        self._former: BinaryIO | None = None
        self._next: BinaryIO | None = None
        self._key = b""
        self._value = b""
        self._kept = b""

    def open(self) -> None:
        """Begin at the beginning."""
        if self._path is None:
            return
        with suppress(FileNotFoundError):
            self._former = self._path.open("rb")
            if self._former.read(len(self._header)) != self._header:
                self._forget_former()
        self._next = self._part(self._path).open("wb")
        self._next.write(self._header)
        self._advance()

    def find(self, key: bytes) -> bytes | None:
        """Return the value of `key`, None if there is none; no key is less than the one before."""
        while self._former and self._key < key:
            self._advance()
        return self._value if self._former and self._key == key else None

    def keep(self, key: bytes, value: bytes) -> None:
        """Remember `value` for the next scan, unless `key` is not greater than the one before."""
        if self._next is None or key <= self._kept:
            return
        self._kept = key
        try:
            self._next.write(_HEAD.pack(len(key), len(value), _checksum(key, value)) + key + value)
        except OSError as error:
            _log.warning(_CANNOT_KEEP, error)
            self._drop()

    def finish(self) -> None:
        """Put what was kept in the place of what was there."""
        if self._next is None or self._path is None:
            return
        try:
            self._next.close()
            self._part(self._path).replace(self._path)
        except OSError as error:
            _log.warning(_CANNOT_KEEP, error)
            self._drop()
        self._next = None

    def close(self) -> None:
        """Let go of the files; what was kept and is not finished is forgotten."""
        self._forget_former()
        self._drop()

    def _advance(self) -> None:
        if self._former is None:
            return
        before = self._key
        try:
            head = self._former.read(_HEAD.size)
            if head:
                key_length, value_length, checksum = _HEAD.unpack(head.ljust(_HEAD.size, b"\0"))
                self._key = self._former.read(key_length)
                self._value = self._former.read(min(value_length, _LONGEST_VALUE))
                whole = (len(self._key), len(self._value)) == (key_length, value_length)
                if whole and checksum == _checksum(self._key, self._value) and self._key > before:
                    return
                _log.warning("%s is damaged: what it would tell is read from the storage", self._path)
        except OSError as error:
            _log.warning("what %s would tell is read from the storage: %s", self._path, error)
        self._forget_former()

    def _forget_former(self) -> None:
        if self._former:
            self._former.close()
        self._former = None

    def _drop(self) -> None:
        if self._next and self._path:
            with suppress(OSError):  # close() tries once more to write what could not be written
                self._next.close()
            with suppress(OSError):
                self._part(self._path).unlink()
        self._next = None

    @staticmethod
    def _part(path: Path) -> Path:
        return path.with_name(f"{path.name}.part")


class Cache:
    """What earlier scans have read of a storage, which the text `storage` tells from others; a context manager.

    It lies in `directory`, which is made if it is missing. With "" for it nothing is remembered. Where it cannot be
    used, the log says why, and nothing is remembered either. In a context of `opening` its files are made.
    """

    def __init__(
        self,
        directory: str = "",
        storage: str = "",
        opening: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._opening = opening
        self._directory = Path(directory) if directory else None
        known = f"garbage collection of registry {__version__}: {storage}"
        self._identity = hashlib.sha256(known.encode(errors="surrogatepass")).digest()
        self._lock: int | None = None
        self.manifests = Remembered(None, b"")
        self.tags = Remembered(None, b"")

    def __enter__(self) -> Self:
        if self._directory:
            try:
                with self._opening():
                    self._open(self._directory)
            except OSError as error:
                _log.warning("the garbage collection cannot use what it has read before: %s", error)
                self._let_go()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.manifests.finish()
            self.tags.finish()
        self._let_go()

    def _open(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _log.info("another garbage collection uses %s: this one reads everything", directory)
            return
        self.manifests = Remembered(directory / "manifests", self._identity)
        self.tags = Remembered(directory / "tags", self._identity)
        self.manifests.open()
        self.tags.open()

    def _let_go(self) -> None:
        self.manifests.close()
        self.tags.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def cache_of(
    configuration: Configuration, opening: Callable[[], AbstractContextManager[object]] = nullcontext
) -> Cache:
    """Return the cache for the storage of a configuration."""
    storage = configuration.storage
    identity = f"{storage.driver} {sorted(storage.parameters.items())!r}"
    return Cache(storage.maintenance.garbagecollection.statedirectory, identity, opening)


def _checksum(key: bytes, value: bytes) -> bytes:
    return hashlib.blake2b(key + value, digest_size=_CHECKSUM_BYTES, key=len(key).to_bytes(2, "big")).digest()
