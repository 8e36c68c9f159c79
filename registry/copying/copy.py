"""Copies object by object, several at a time, and verifies each. Done again, it copies what is missing."""

from __future__ import annotations

import hashlib
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from drivers.base import ObjectTooLargeError, PathNotFoundError
from registry.storage import enumeration as walk
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Future

    from drivers.base import StorageDriver
    from registry.oci.digest import Digest
    from registry.storage.enumeration import Source

_LINK_BYTES: Final = 512
_SMALL_BYTES: Final = 1024 * 1024
"""Up to this an object is put whole; larger ones go through an upload."""


class Progress(Protocol):
    """Is told how it goes on."""

    def advance(self, size: int, what: str) -> None:
        """Be told that `size` more bytes are done, of `what`."""


@dataclass(slots=True)
class Result:
    """How many objects were `copied`, or were `there` already, and which are `damaged` at their source."""

    copied: int = 0
    there: int = 0
    damaged: list[str] = field(default_factory=list)


class CopyError(Exception):
    """An object at the source is not what its path says; the text names it."""


def copy_storage(source: StorageDriver, target: StorageDriver, jobs: int, progress: Progress) -> Result:
    """Copy all blobs, then links, then tags, `jobs` at a time; a blob that is damaged is told of and not copied.

    Raises:
        DriverError: either storage failed.
    """
    copier = _Copier(source, target, progress)
    result = Result()
    for objects in (walk.blobs(source), walk.links(source), walk.tags(source)):
        _run(copier, objects, jobs, result)
    with suppress(PathNotFoundError):
        target.delete(paths.COPIES)
    return result


def _run(copier: _Copier, objects: Iterable[Source], jobs: int, result: Result) -> None:
    """Copy `objects`; no more of them are held than are being copied."""
    with ThreadPoolExecutor(jobs, thread_name_prefix="copy") as pool:
        running: set[Future[bool]] = set()
        try:
            for each in objects:
                if len(running) >= jobs:
                    ended, running = wait(running, return_when=FIRST_COMPLETED)
                    _note(ended, result)
                running.add(pool.submit(copier.copy, each))
            _note(wait(running).done, result)
        finally:
            for future in running:
                future.cancel()


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

    def copy(self, each: Source) -> bool:
        """Copy an object, and tell whether that was needed.

        Raises:
            CopyError: it is damaged.
        """
        needed = self._copy_link(each) if each.digest is None else self._copy_blob(each, each.digest)
        if not needed or each.digest is None:
            self._progress.advance(each.size, each.path)
        return needed

    def _copy_link(self, each: Source) -> bool:
        content = self._source.get(each.path, limit=_LINK_BYTES)
        with suppress(PathNotFoundError, ObjectTooLargeError):
            if self._target.get(each.path, limit=_LINK_BYTES) == content:
                return False
        self._target.put(each.path, content)
        return True

    def _copy_blob(self, each: Source, digest: Digest) -> bool:
        with suppress(PathNotFoundError):
            if self._target.stat(each.path).size == each.size:
                return False
        if each.size <= _SMALL_BYTES:
            content = self._source.get(each.path, limit=_SMALL_BYTES)
            _verify(hashlib.new(digest.algorithm, content).hexdigest(), digest)
            self._target.put(each.path, content)
            self._progress.advance(each.size, each.path)
        else:
            self._copy_large(each, digest)
        return True

    def _copy_large(self, each: Source, digest: Digest) -> None:
        upload = paths.copy_data(digest)
        # What a copy that broke off has left is not taken up: nothing says what it holds.
        with suppress(PathNotFoundError):
            self._target.delete(upload)
        self._target.create_upload(upload)
        hasher = hashlib.new(digest.algorithm)
        with self._target.open_upload(upload) as writer:
            for piece in self._source.read(each.path):
                hasher.update(piece)
                writer.write(piece)
                self._progress.advance(len(piece), each.path)
            if hasher.hexdigest() == digest.hex:
                writer.commit(each.path)
            else:
                writer.cancel()
        _verify(hasher.hexdigest(), digest)


def _verify(found: str, digest: Digest) -> None:
    if found != digest.hex:
        raise CopyError(f"{digest} is damaged at its source and was not copied")


def measure(source: StorageDriver) -> int:
    """Return the bytes of all blobs.

    Raises:
        DriverError: the storage failed.
    """
    return sum(each.size for each in walk.blobs(source))
