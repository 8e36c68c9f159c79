"""Objects in the memory of one process, for tests and trials; they are lost when it ends."""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field
from heapq import nsmallest
from itertools import count, islice
from threading import Condition
from typing import TYPE_CHECKING, Final, Self

from drivers.base import (
    PIECE_SIZE,
    Claim,
    DriverError,
    Found,
    ObjectTooLargeError,
    PathExistsError,
    PathNotFoundError,
    Stat,
    StorageDriver,
    UploadBusyError,
    Writer,
    checked_path,
)
from drivers.object_log import ObjectLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from drivers.log import Log


_AFTER_SLASH: Final = chr(ord("/") + 1)


@dataclass(frozen=True, slots=True)
class _Object:
    content: bytes | bytearray
    modified: float = field(default_factory=time.time)
    version: int = field(default_factory=count().__next__)


@dataclass(eq=False, slots=True)
class _Upload:
    content: bytearray = field(default_factory=bytearray)
    busy: bool = False


@dataclass(frozen=True, slots=True)
class _Store:
    """Objects and uploads by their paths; `paths` are those of the objects in order, `claimed` those of claims."""

    objects: dict[str, _Object] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    uploads: dict[str, _Upload] = field(default_factory=dict)
    claimed: set[str] = field(default_factory=set)
    changed: Condition = field(default_factory=Condition)

    def keep(self, path: str, found: _Object) -> None:
        """Keep an object at `path`, in place of one that is there; call it with the lock."""
        if path not in self.objects:
            insort(self.paths, path)
        self.objects[path] = found

    def drop(self, path: str) -> None:
        """Delete the object at `path`, where there is one; call it with the lock."""
        del self.objects[path]
        del self.paths[bisect_left(self.paths, path)]

    def below(self, path: str) -> slice:
        """Return which of `paths` are below `path`; call it with the lock."""
        return slice(bisect_left(self.paths, f"{path}/"), bisect_left(self.paths, f"{path}{_AFTER_SLASH}"))


class InMemoryDriver(StorageDriver):
    """One map from paths to objects and one to uploads, under one lock."""

    name = "inmemory"
    shared_between_processes = False

    def __init__(self, *, lock_seconds: float = 5.0) -> None:
        self._lock_seconds = lock_seconds
        self._store = _Store()

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, object]) -> Self:
        del parameters
        return cls()

    def check(self, *, below: Sequence[str] = (), read_only: bool = False) -> None:
        pass

    def get(self, path: str, *, limit: int) -> bytes:
        content = self._object(path).content
        if len(content) > limit:
            raise ObjectTooLargeError(f"inmemory: get {path}: {len(content)} bytes, at most {limit} allowed")
        return bytes(content)

    def put(self, path: str, content: bytes) -> None:
        with self._store.changed:
            self._store.keep(checked_path(path), _Object(bytes(content)))

    def create(self, path: str, content: bytes) -> None:
        with self._store.changed:
            if checked_path(path) in self._store.objects:
                raise PathExistsError(f"inmemory: create {path}: it exists")
            self._store.keep(path, _Object(bytes(content)))

    def replace(self, path: str, content: bytes, *, expected: bytes) -> None:
        with self._store.changed:
            self._require(path, expected)
            self.put(path, content)

    def delete_if(self, path: str, *, expected: bytes) -> None:
        with self._store.changed:
            self._require(path, expected)
            self.delete(path)

    def stat(self, path: str) -> Stat:
        found = self._object(path)
        return Stat(len(found.content), found.modified)

    def read(self, path: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        return _pieces(self._object(path).content, start, stop)

    @staticmethod
    def _first(below: Iterable[str], after: str, limit: int) -> list[str]:
        names = {each.partition("/")[0] for each in below}
        return nsmallest(limit, (name for name in names if name > after))

    def _below(self, path: str) -> list[str]:
        start = len(checked_path(path)) + 1
        with self._store.changed:
            return [each[start:] for each in self._store.paths[self._store.below(path)]]

    def list_prefixes(self, path: str, *, after: str = "", limit: int) -> list[str]:
        return self._first((below for below in self._below(path) if "/" in below), after, limit)

    def list(self, path: str, *, after: str = "", limit: int) -> list[str]:
        return self._first(self._below(path), after, limit)

    def delete(self, path: str) -> None:
        checked_path(path)
        with self._store.changed:
            below = self._store.below(path)
            objects = [*self._store.paths[below], *([path] if path in self._store.objects else [])]
            uploads = [name for name in self._store.uploads if _is_at_or_below(name, path)]
            if not objects and not uploads:
                raise PathNotFoundError(f"inmemory: delete {path}: there is nothing")
            del self._store.paths[below]
            if path in self._store.objects:
                del self._store.paths[bisect_left(self._store.paths, path)]
            for name in objects:
                del self._store.objects[name]
            for name in uploads:
                del self._store.uploads[name]

    def walk(self, path: str, *, leaf_in: Callable[[str], str] | None = None) -> Iterator[Found]:
        del leaf_in
        return self._after(path, "")

    def scan(self, path: str, *, after: str = "", limit: int) -> Sequence[Found]:
        return [*islice(self._after(path, after), limit)]

    def _after(self, path: str, last: str) -> Iterator[Found]:
        """Yield each object below `path` that sorts after the path `last`."""
        prefix = f"{checked_path(path)}/"
        last = max(last, prefix)
        while True:
            with self._store.changed:
                index = bisect_right(self._store.paths, last)
                if index == len(self._store.paths) or not self._store.paths[index].startswith(prefix):
                    return
                last = self._store.paths[index]
                found = self._store.objects[last]
            yield Found(last, len(found.content), found.modified, str(found.version))

    def discard(self, found: Iterable[Found]) -> Sequence[str]:
        return [each.path for each in found if not self._discard(each)]

    def _discard(self, found: Found) -> bool:
        """Delete an object if it is the one that was found; tell whether it is, or is gone."""
        with self._store.changed:
            there = self._store.objects.get(checked_path(found.path))
            if there and str(there.version) != found.version:
                return False
            if there:
                self._store.drop(found.path)
        return True

    def create_upload(self, path: str) -> None:
        with self._store.changed:
            self._store.uploads.setdefault(checked_path(path), _Upload())

    def upload_size(self, path: str) -> int:
        with self._store.changed:
            return len(self._upload(path).content)

    def open_upload(self, path: str) -> Writer:
        with self._store.changed:
            upload = self._upload(path)
            if not self._store.changed.wait_for(lambda: not upload.busy, self._lock_seconds):
                raise UploadBusyError(f"inmemory: another request is writing to {path}")
            if self._upload(path) is not upload:
                raise PathNotFoundError(f"inmemory: open upload {path}: it has just ended")
            upload.busy = True
        return _MemoryWriter(self._store, path, upload)

    def read_upload(self, path: str, start: int = 0) -> Iterator[bytes]:
        with self._store.changed:
            content = self._upload(path).content
        return _pieces(content, start, len(content))

    def claim(self, path: str) -> Claim | None:
        with self._store.changed:
            if checked_path(path) in self._store.claimed:
                return None
            self._store.claimed.add(path)
        return _MemoryClaim(self._store, path)

    def touch(self, path: str) -> None:
        with self._store.changed:
            self._store.keep(path, _Object(self._object(path).content))

    def log(self, path: str) -> Log:
        return ObjectLog(self, checked_path(path))

    def _object(self, path: str) -> _Object:
        with self._store.changed:
            found = self._store.objects.get(checked_path(path))
        if found is None:
            raise PathNotFoundError(f"inmemory: no object at {path}")
        return found

    def _upload(self, path: str) -> _Upload:
        found = self._store.uploads.get(checked_path(path))
        if found is None:
            raise PathNotFoundError(f"inmemory: no upload at {path}")
        return found


class _MemoryClaim(Claim):
    def __init__(self, store: _Store, path: str) -> None:
        self._store = store
        self._path = path
        self._held = True

    @property
    def held(self) -> bool:
        return self._held

    def release(self) -> None:
        with self._store.changed:
            if self._held:
                self._held = False
                self._store.claimed.remove(self._path)


class _MemoryWriter(Writer):
    def __init__(self, store: _Store, path: str, upload: _Upload) -> None:
        self._store = store
        self._path = path
        self._upload = upload
        self._open = True

    @property
    def size(self) -> int:
        return len(self._upload.content)

    def write(self, piece: bytes) -> None:
        if not self._open:
            raise DriverError(f"inmemory: write {self._path}: the writer is closed")
        self._upload.content += piece

    def content(self) -> Iterator[bytes]:
        return _pieces(self._upload.content, 0, None)

    def commit(self, destination: str) -> None:
        checked_path(destination)
        with self._store.changed:
            if not self._open or self._store.uploads.get(self._path) is not self._upload:
                raise PathNotFoundError(f"inmemory: commit {self._path}: the upload has ended")
            del self._store.uploads[self._path]
            self._store.keep(destination, _Object(self._upload.content))
        self.close()

    def cancel(self) -> None:
        with self._store.changed:
            if self._store.uploads.get(self._path) is self._upload:
                del self._store.uploads[self._path]
        self.close()

    def close(self) -> None:
        if self._open:
            self._open = False
            with self._store.changed:
                self._upload.busy = False
                self._store.changed.notify_all()


def _pieces(content: bytes | bytearray, start: int, stop: int | None) -> Iterator[bytes]:
    stop = len(content) if stop is None else min(stop, len(content))
    for position in range(start, stop, PIECE_SIZE):
        # Not by a memoryview: while there is one, a writer in another thread cannot append.
        yield bytes(content[position : min(position + PIECE_SIZE, stop)])


def _is_at_or_below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(prefix + "/")
