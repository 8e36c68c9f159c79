"""The bytes of blobs and manifests: how many there are, and whether they have the digest that their path says."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from enum import IntEnum
from typing import TYPE_CHECKING, Final, Self

from drivers.base import DriverError, NotPermittedError, ObjectTooLargeError, PathNotFoundError, UnavailableError
from registry.foundation.temporary_database import temporary_database
from registry.oci.digest import Digest
from registry.oci.manifest import MAX_SIZE
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from drivers.base import StorageDriver
    from registry.foundation.progress import Progress
    from registry.fsck.pacing import Pacer

_SCHEMA: Final = """
    CREATE TABLE blobs (digest TEXT PRIMARY KEY, size INTEGER NOT NULL, state INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE told (digest TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_PAGE: Final = 1000
_MOST_UNREADABLE: Final = 10
"""After so many blobs one after the other it is not they, but the storage; after so many links it is asked."""


class StorageFailsError(UnavailableError):
    """It is not some of what a storage has that it does not give: it fails as a whole."""


class State(IntEnum):
    """What is known of some bytes."""

    UNREAD = 0
    SOUND = 1
    DAMAGED = 2
    MISSING = 3
    UNREADABLE = 4
    """The storage has them and does not give them: a fault of a disk, say, or the mode of a file."""

    @property
    def is_lost(self) -> bool:
        """Whether nobody will ever read them as what they were."""
        return self in {State.DAMAGED, State.MISSING}


class Contents:
    """What was found of all bytes so far, in a file on disk; a context manager, because it has that file.

    Bytes that were read once are not read again, unless somebody asks for that. `pacer` says how fast they are read;
    `progress` is told.
    """

    def __init__(self, driver: StorageDriver, pacer: Pacer, progress: Progress) -> None:
        self._driver = driver
        self._pacer = pacer
        self._progress = progress
        self._connection = temporary_database(_SCHEMA)
        self.read_bytes = 0
        self._unreadable = 0
        self._failed = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def note(self, digest: Digest, size: int) -> None:
        """Note that `size` bytes lie where those of `digest` belong."""
        self._connection.execute("INSERT OR IGNORE INTO blobs VALUES (?, ?, ?)", (str(digest), size, State.UNREAD))

    def noted(self, algorithm: str, prefix: str) -> Iterator[tuple[Digest, int]]:
        """Yield, in order, each digest of `algorithm` whose hex begins with `prefix`, and how many bytes it has."""
        query = "SELECT digest, size FROM blobs WHERE digest > ? AND digest < ? ORDER BY digest LIMIT ?"
        last, end = f"{algorithm}:{prefix}", f"{algorithm}:{prefix}g"
        while page := self._connection.execute(query, (last, end, _PAGE)).fetchall():
            for last, size in page:
                yield Digest.parse(last), size

    def count(self) -> tuple[int, int]:
        """Return how many blobs there are, and how many bytes they have together."""
        count, size = self._connection.execute("SELECT count(*), coalesce(sum(size), 0) FROM blobs").fetchone()
        return count, size

    def size(self, digest: Digest) -> int | None:
        """Return how many bytes are stored; None if there are none."""
        found = self._connection.execute("SELECT size FROM blobs WHERE digest = ?", (str(digest),)).fetchone()
        if found:
            return int(found[0])
        try:
            size = self._driver.stat(paths.blob_data(digest)).size
        except PathNotFoundError:
            return None
        self.note(digest, size)
        return size

    def known(self, digest: Digest) -> State:
        """Return what is known of the bytes without reading them."""
        found = self._connection.execute("SELECT state FROM blobs WHERE digest = ?", (str(digest),)).fetchone()
        return State(found[0]) if found else State.UNREAD

    def state(self, digest: Digest) -> State:
        """Return whether the bytes have their digest; they are read for that if they have not been."""
        known = self.known(digest)
        return self.read(digest) if known is State.UNREAD else known

    def read(self, digest: Digest) -> State:
        """Read the bytes, once more if they have been; return whether they have their digest."""
        hasher, size = hashlib.new(digest.algorithm), 0
        try:
            for piece in self._driver.read(paths.blob_data(digest)):
                hasher.update(piece)
                size += len(piece)
                self._account(len(piece), digest)
        except PathNotFoundError:
            self.forget(digest)
            return State.MISSING
        except DriverError as error:
            return self._note_unreadable(digest, error)
        return self._remember(digest, size, hasher.hexdigest())

    def manifest(self, digest: Digest) -> tuple[bytes, State]:
        """Return the bytes of a manifest, if they are sound, and whether they are."""
        try:
            content = self._driver.get(paths.blob_data(digest), limit=MAX_SIZE)
        except PathNotFoundError:
            self.forget(digest)
            return b"", State.MISSING
        except ObjectTooLargeError:
            return b"", self.state(digest)
        except DriverError as error:
            return b"", self._note_unreadable(digest, error)
        return self._judge(digest, content)

    def manifests(self, digests: Sequence[Digest]) -> Iterator[tuple[bytes, State]]:
        """Yield for each of `digests` what manifest() returns; a driver may read several at a time."""
        contents = self._driver.get_each(map(paths.blob_data, digests), limit=MAX_SIZE)
        for number, digest in enumerate(digests):
            try:
                content = next(contents)
            except DriverError:  # which of them it is, and whether others are, is not known
                yield from map(self.manifest, digests[number:])
                return
            yield self.manifest(digest) if content is None else self._judge(digest, content)

    def _judge(self, digest: Digest, content: bytes) -> tuple[bytes, State]:
        self._account(len(content), digest)
        state = self._remember(digest, len(content), Digest.of(content, digest.algorithm).hex)
        return (content if state is State.SOUND else b""), state

    def have_also(self, target: Digest, digest: Digest) -> bool:
        """Tell whether the bytes that lie under `target` have another `digest` as well; they are read for that."""
        hasher = hashlib.new(digest.algorithm)
        try:
            for piece in self._driver.read(paths.blob_data(target)):
                hasher.update(piece)
                self._account(len(piece), target)
        except DriverError:
            return False
        return hasher.hexdigest() == digest.hex

    def forget(self, digest: Digest) -> None:
        """Forget what is known of some bytes: they have gone, or others have come."""
        self._connection.execute("DELETE FROM blobs WHERE digest = ?", (str(digest),))

    def tell_once(self, what: Digest | str) -> bool:
        """Tell whether this is the first time that it is asked of a digest, or of a path."""
        return self._connection.execute("INSERT OR IGNORE INTO told VALUES (?)", (str(what),)).rowcount == 1

    def bear(self, error: DriverError) -> None:
        """Return if the storage works although it has failed with `error`.

        Raises:
            StorageFailsError: it does not.
        """
        if isinstance(error, StorageFailsError):
            raise error
        self._failed += 1
        if self._failed <= _MOST_UNREADABLE:
            return
        try:
            self._driver.probe()
            self._driver.list_prefixes(paths.ROOT, limit=1)
        except DriverError:
            raise StorageFailsError(str(error)) from error
        self._failed = 0

    def _note_unreadable(self, digest: Digest, error: DriverError) -> State:
        """Note that the storage has just failed to give some bytes; raise its error if it fails again and again.

        Where this process may not read them, it is always they: all may have been copied as another user.
        """
        if self.known(digest) is not State.UNREADABLE and not isinstance(error, NotPermittedError):
            self._unreadable += 1
        if self._unreadable > _MOST_UNREADABLE:
            raise StorageFailsError(str(error)) from error
        size = 0
        with suppress(DriverError):
            size = self.size(digest) or 0
        self._connection.execute("INSERT OR REPLACE INTO blobs VALUES (?, ?, ?)", (str(digest), size, State.UNREADABLE))
        return State.UNREADABLE

    def _account(self, size: int, digest: Digest) -> None:
        self.read_bytes += size
        self._progress.advance(size, str(digest))
        self._pacer.spend(size)

    def _remember(self, digest: Digest, size: int, hexdigest: str) -> State:
        self._unreadable = 0
        state = State.SOUND if hexdigest == digest.hex else State.DAMAGED
        self._connection.execute("INSERT OR REPLACE INTO blobs VALUES (?, ?, ?)", (str(digest), size, state))
        return state
