"""Driver and caches that report what they do. They are put before the real ones only if there is an observer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Protocol, TypeVar

from drivers.base import Claim, Found, Stat, StorageDriver, Writer
from drivers.delegating import DelegatingDriver
from drivers.log import Log, Page
from registry.storage.cache import ManifestCache, ServedManifest

if TYPE_CHECKING:
    from registry.oci.digest import Digest
    from registry.storage.descriptors import DescriptorCache


_Step = TypeVar("_Step")


class StorageObserver(Protocol):
    """What they report to."""

    def storage_called(self, driver: str, action: str, seconds: float) -> None:
        """Take note of a call; `action` has the Go registry's name, if that has such a call."""

    def upload_opened(self) -> None:
        """Take note that an upload was opened for writing."""

    def upload_closed(self) -> None:
        """Take note that such an upload was closed."""

    def cache_asked(self, *, hit: bool) -> None:
        """Take note that a manifest, or the size of a blob, was looked for in a cache."""


class MeasuredDriver(DelegatingDriver):
    """Times the calls to `inner`."""

    def __init__(self, inner: StorageDriver, observer: StorageObserver) -> None:
        super().__init__(inner)
        self._observer = observer

    def timed(self, action: str) -> _Timed:
        """Report how long the block takes, also if it fails."""
        return _Timed(self, action)

    def report(self, action: str, seconds: float) -> None:
        """Report a call."""
        self._observer.storage_called(self.name, action, seconds)

    def probe(self, *, read_only: bool = False) -> None:
        with self.timed("Probe"):
            self._inner.probe(read_only=read_only)

    def get(self, path: str, *, limit: int) -> bytes:
        with self.timed("GetContent"):
            return self._inner.get(path, limit=limit)

    def get_each(self, paths: Iterable[str], *, limit: int) -> Iterator[bytes | None]:
        began = perf_counter()
        for content in self._inner.get_each(paths, limit=limit):
            self.report("GetContent", perf_counter() - began)
            yield content
            began = perf_counter()

    def put(self, path: str, content: bytes) -> None:
        with self.timed("PutContent"):
            self._inner.put(path, content)

    def create(self, path: str, content: bytes) -> None:
        with self.timed("PutContent"):
            self._inner.create(path, content)

    def replace(self, path: str, content: bytes, *, expected: bytes) -> None:
        with self.timed("PutContent"):
            self._inner.replace(path, content, expected=expected)

    def delete_if(self, path: str, *, expected: bytes) -> None:
        with self.timed("Delete"):
            self._inner.delete_if(path, expected=expected)

    def put_in_order(
        self,
        objects: Iterable[tuple[str, bytes]],
        *,
        best_effort: Iterable[tuple[str, bytes]] = (),
        copies_of: str | None = None,
    ) -> None:
        with self.timed("PutContent"):
            self._inner.put_in_order(objects, best_effort=best_effort, copies_of=copies_of)

    def stat(self, path: str) -> Stat:
        with self.timed("Stat"):
            return self._inner.stat(path)

    def read(self, path: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        began = perf_counter()
        return _MeasuredSteps(self, "Reader", self._inner.read(path, start, stop), perf_counter() - began)

    def list_prefixes(self, path: str, *, after: str = "", limit: int) -> list[str]:
        with self.timed("List"):
            return self._inner.list_prefixes(path, after=after, limit=limit)

    def list(self, path: str, *, after: str = "", limit: int) -> list[str]:
        with self.timed("List"):
            return self._inner.list(path, after=after, limit=limit)

    def holds(self, path: str, *, likely: str = "", is_name: Callable[[str], object] | None = None) -> bool:
        with self.timed("List"):
            return self._inner.holds(path, likely=likely, is_name=is_name)

    def delete(self, path: str) -> None:
        with self.timed("Delete"):
            self._inner.delete(path)

    def walk(self, path: str, *, leaf_in: Callable[[str], str] | None = None) -> Iterator[Found]:
        return _MeasuredSteps(self, "Walk", self._inner.walk(path, leaf_in=leaf_in), 0.0)

    def scan(self, path: str, *, after: str = "", limit: int) -> Sequence[Found]:
        with self.timed("Walk"):
            return self._inner.scan(path, after=after, limit=limit)

    def discard(self, found: Iterable[Found]) -> Sequence[str]:
        with self.timed("Delete"):
            return self._inner.discard(found)

    def create_upload(self, path: str) -> None:
        with self.timed("CreateUpload"):
            self._inner.create_upload(path)

    def start_upload(self, path: str, objects: Iterable[tuple[str, bytes]]) -> None:
        with self.timed("CreateUpload"):
            self._inner.start_upload(path, objects)

    def end_upload(self, path: str, objects: Sequence[str]) -> None:
        with self.timed("Delete"):
            self._inner.end_upload(path, objects)

    def upload_size(self, path: str) -> int:
        with self.timed("UploadSize"):
            return self._inner.upload_size(path)

    def open_upload(self, path: str) -> Writer:
        began = perf_counter()
        return _MeasuredWriter(self, self._inner.open_upload(path), self._observer, perf_counter() - began)

    def read_upload(self, path: str, start: int = 0) -> Iterator[bytes]:
        began = perf_counter()
        return _MeasuredSteps(self, "Reader", self._inner.read_upload(path, start), perf_counter() - began)

    def claim(self, path: str) -> Claim | None:
        with self.timed("Claim"):
            return self._inner.claim(path)

    def touch(self, path: str) -> None:
        with self.timed("Touch"):
            self._inner.touch(path)

    def log(self, path: str) -> Log:
        return _MeasuredLog(self, self._inner.log(path))

    def redirect_url(self, path: str, *, method: str, client: str = "") -> str | None:
        with self.timed("RedirectURL"):
            return self._inner.redirect_url(path, method=method, client=client)


class _Timed:
    """A block that is timed. It is a class because a context manager from a generator costs several times as much."""

    __slots__ = ("_action", "_began", "_driver")

    def __init__(self, driver: MeasuredDriver, action: str) -> None:
        self._driver = driver
        self._action = action

    def __enter__(self) -> None:
        self._began = perf_counter()

    def __exit__(self, *_: object) -> None:
        self._driver.report(self._action, perf_counter() - self._began)


class _MeasuredSteps(Iterator[_Step]):
    """Times only the steps of `inner`; the time between them is the caller's and not the storage's."""

    def __init__(self, driver: MeasuredDriver, action: str, inner: Iterator[_Step], seconds: float) -> None:
        self._driver = driver
        self._action = action
        self._inner = inner
        self._seconds = seconds
        self._open = True

    def __next__(self) -> _Step:
        began = perf_counter()
        try:
            return next(self._inner)
        except BaseException:
            self._report()
            raise
        finally:
            self._seconds += perf_counter() - began

    def close(self) -> None:
        """Report the time so far and close `inner`."""
        self._report()
        close = getattr(self._inner, "close", None)
        if close:
            close()

    def _report(self) -> None:
        if self._open:
            self._open = False
            self._driver.report(self._action, self._seconds)


class _MeasuredWriter(Writer):
    """Times opening, writing and closing together as one action; publishing is another."""

    def __init__(self, driver: MeasuredDriver, inner: Writer, observer: StorageObserver, seconds: float) -> None:
        self._driver = driver
        self._inner = inner
        self._observer = observer
        self._seconds = seconds
        self._open = True
        observer.upload_opened()

    @property
    def size(self) -> int:
        return self._inner.size

    @property
    def checkpoint(self) -> str:
        return self._inner.checkpoint

    def write(self, piece: bytes) -> None:
        began = perf_counter()
        try:
            self._inner.write(piece)
        finally:
            self._seconds += perf_counter() - began

    def flush(self) -> None:
        began = perf_counter()
        try:
            self._inner.flush()
        finally:
            self._seconds += perf_counter() - began

    def content(self) -> Iterator[bytes]:
        return self._inner.content()

    def commit(self, destination: str) -> None:
        with self._driver.timed("Move"):
            self._inner.commit(destination)

    def cancel(self) -> None:
        with self._driver.timed("Delete"):
            self._inner.cancel()

    def close(self) -> None:
        if not self._open:
            return
        self._open = False
        began = perf_counter()
        try:
            self._inner.close()
        finally:
            self._driver.report("Writer", self._seconds + perf_counter() - began)
            self._observer.upload_closed()


class _MeasuredLog(Log):
    """Times the calls to `inner`."""

    def __init__(self, driver: MeasuredDriver, inner: Log) -> None:
        self._driver = driver
        self._inner = inner

    def append(self, content: bytes) -> int:
        with self._driver.timed("Append"):
            return self._inner.append(content)

    def after(self, position: str, *, before_ns: int, limit: int) -> Page:
        with self._driver.timed("Appended"):
            return self._inner.after(position, before_ns=before_ns, limit=limit)

    def count(self, position: str) -> int:
        with self._driver.timed("Appended"):
            return self._inner.count(position)

    def trim(self, before_ns: int) -> None:
        with self._driver.timed("Delete"):
            self._inner.trim(before_ns)


class MeasuredCache(ManifestCache):
    """A cache of manifests that reports whether it had what it was asked for."""

    def __init__(self, observer: StorageObserver) -> None:
        super().__init__()
        self._observer = observer

    def get(self, digest: Digest) -> ServedManifest | None:
        manifest = super().get(digest)
        self._observer.cache_asked(hit=manifest is not None)
        return manifest


class MeasuredDescriptors:
    """Reports whether `inner` had what it was asked for."""

    def __init__(self, inner: DescriptorCache, observer: StorageObserver) -> None:
        self._inner = inner
        self._observer = observer

    def get(self, digest: Digest) -> int | None:
        size = self._inner.get(digest)
        self._observer.cache_asked(hit=size is not None)
        return size

    def put(self, digest: Digest, size: int) -> None:
        self._inner.put(digest, size)

    def drop(self, digest: Digest) -> None:
        self._inner.drop(digest)
