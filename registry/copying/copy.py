"""Copies object by object, several at a time, and verifies each. Done again, it copies what is missing.

It works below the level of repositories, on objects and their paths, and so not through registry.publishing. The target
becomes a copy of its source. Listeners are not told.
"""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import FIRST_COMPLETED, wait
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from drivers.base import ObjectTooLargeError, PathNotFoundError
from registry.foundation.pool import Pool
from registry.storage import enumeration, paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future

    from drivers.base import StorageDriver
    from registry.foundation.progress import Progress
    from registry.oci.digest import Digest
    from registry.ports import Blob
    from registry.storage.enumeration import Link

Stored = TypeVar("Stored")

_SMALL_BYTES: Final = 1024 * 1024
"""Up to this an object is put whole; larger ones go through an upload."""


@dataclass(slots=True)
class Result:
    """How many objects were `copied`, or were `there` already, and which are `damaged` at their source."""

    copied: int = 0
    there: int = 0
    damaged: list[str] = field(default_factory=list)


class CopyError(Exception):
    """An object at the source is not what its path says; the text names it."""


def copy_storage(source: StorageDriver, target: StorageDriver, jobs: int, progress: Progress) -> Result:
    """Copy all blobs, then links, then tags, `jobs` at a time; a damaged blob is named in the result and not copied.

    What is known of fetched content goes along.

    Raises:
        DriverError: either storage failed.
    """
    copier = _Copier(source, target, progress)
    result = Result()
    # In this order, so that a copy that breaks off leaves nothing that leads nowhere. Uploads under way are not copied:
    # their sessions belong to the registry that has begun them.
    copier.run(copier.copy_blob, enumeration.blobs(source), jobs, result)
    copier.run(copier.copy_link, enumeration.links_but_tags(source), jobs, result)
    # A tag of which nothing was known upstream would count as pushed, so what is known comes before it.
    copier.run(copier.copy_link, enumeration.fetched(source), jobs, result)
    copier.run(copier.copy_link, enumeration.tag_links(source), jobs, result)
    with suppress(PathNotFoundError):
        target.delete(paths.COPIES)
    return result


def _note(ended: Iterable[Future[bool]], result: Result) -> None:
    for future in ended:
        try:
            if future.result():
                result.copied += 1
            else:
                result.there += 1
        except CopyError as error:
            result.damaged.append(str(error))


class _Copier:
    def __init__(self, source: StorageDriver, target: StorageDriver, progress: Progress) -> None:
        self._source = source
        self._target = target
        self._progress = progress
        self._stopped = threading.Event()

    def run(self, copy: Callable[[Stored], bool], objects: Iterable[Stored], jobs: int, result: Result) -> None:
        """Copy `objects` by `copy`; no more of them are held than are being copied."""
        with Pool(jobs, thread_name_prefix="copy") as pool:
            running: set[Future[bool]] = set()
            try:
                for each in objects:
                    if len(running) >= jobs:
                        ended, running = wait(running, return_when=FIRST_COMPLETED)
                        _note(ended, result)
                    running.add(pool.submit(copy, each))
                _note(wait(running).done, result)
            except BaseException:
                # The pool waits for what has begun, and a large blob may take hours.
                self._stopped.set()
                raise
            finally:
                for future in running:
                    future.cancel()

    def copy_link(self, link: Link) -> bool:
        """Copy a link, and tell whether that was needed."""
        content = self._source.get(link.path, limit=_SMALL_BYTES)
        needed = not self._has_link(link, content)
        if needed:
            self._target.put(link.path, content)
        self._progress.advance(link.size, link.path)
        return needed

    def _has_link(self, link: Link, content: bytes) -> bool:
        try:
            return self._target.get(link.path, limit=_SMALL_BYTES) == content
        except (PathNotFoundError, ObjectTooLargeError):
            return False

    def copy_blob(self, blob: Blob) -> bool:
        """Copy a blob, and tell whether that was needed.

        Raises:
            CopyError: it is damaged.
        """
        path = paths.blob_data(blob.digest)
        with suppress(PathNotFoundError):
            if self._target.stat(path).size == blob.size:
                self._progress.advance(blob.size, path)
                return False
        if blob.size <= _SMALL_BYTES:
            content = self._source.get(path, limit=_SMALL_BYTES)
            _verify(hashlib.new(blob.digest.algorithm, content).hexdigest(), blob.digest)
            self._target.put(path, content)
            self._progress.advance(blob.size, path)
        else:
            self._copy_large(blob.digest, path)
        return True

    def _copy_large(self, digest: Digest, path: str) -> None:
        upload = paths.copy_data(digest)
        # What a copy that broke off has left is not taken up: nothing says what it holds.
        with suppress(PathNotFoundError):
            self._target.delete(upload)
        self._target.create_upload(upload)
        hasher = hashlib.new(digest.algorithm)
        with self._target.open_upload(upload) as writer:
            for piece in self._source.read(path):
                if self._stopped.is_set():
                    raise CopyError(f"{digest}: the copy was stopped")
                hasher.update(piece)
                writer.write(piece)
                self._progress.advance(len(piece), path)
            if hasher.hexdigest() == digest.hex:
                writer.commit(path)
            else:
                writer.cancel()
        _verify(hasher.hexdigest(), digest)


def _verify(found: str, digest: Digest) -> None:
    if found != digest.hex:
        raise CopyError(f"{digest} is damaged at its source and was not copied")


def measure(source: StorageDriver, found: Callable[[str], None]) -> int:
    """Return the bytes of all blobs; `found` is told each of them.

    Raises:
        DriverError: the storage failed.
    """
    size = 0
    for blob in enumeration.blobs(source):
        size += blob.size
        found(str(blob.digest))
    return size
