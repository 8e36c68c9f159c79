"""A driver that passes every call on to another one; a subclass overrides the calls that it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Self

from drivers.base import Claim, Found, Result, Stat, StorageDriver, Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from drivers.log import Log


class DelegatingDriver(StorageDriver):
    """Takes the place of `inner`, under its name."""

    def __init__(self, inner: StorageDriver) -> None:
        self._inner = inner
        self.name = inner.name  # type: ignore[misc]  # the name of the driver that it takes the place of
        self.circuit = inner.circuit
        self.shared_between_processes = inner.shared_between_processes  # type: ignore[misc]

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, object]) -> Self:
        del parameters
        raise TypeError("it is made for another driver, not from a configuration")

    def check(self, *, below: Sequence[str] = (), read_only: bool = False) -> None:
        self._inner.check(below=below, read_only=read_only)

    def absent(self) -> str:
        return self._inner.absent()

    def probe(self, *, read_only: bool = False) -> None:
        self._inner.probe(read_only=read_only)

    def get(self, path: str, *, limit: int) -> bytes:
        return self._inner.get(path, limit=limit)

    def get_each(self, paths: Iterable[str], *, limit: int) -> Iterator[bytes | None]:
        return self._inner.get_each(paths, limit=limit)

    def together(self, *steps: Callable[[], Result]) -> list[Result]:
        return self._inner.together(*steps)

    def put(self, path: str, content: bytes) -> None:
        self._inner.put(path, content)

    def put_in_order(
        self,
        objects: Iterable[tuple[str, bytes]],
        *,
        best_effort: Iterable[tuple[str, bytes]] = (),
        copies_of: str | None = None,
    ) -> None:
        self._inner.put_in_order(objects, best_effort=best_effort, copies_of=copies_of)

    def create(self, path: str, content: bytes) -> None:
        self._inner.create(path, content)

    def replace(self, path: str, content: bytes, *, expected: bytes) -> None:
        self._inner.replace(path, content, expected=expected)

    def delete_if(self, path: str, *, expected: bytes) -> None:
        self._inner.delete_if(path, expected=expected)

    def stat(self, path: str) -> Stat:
        return self._inner.stat(path)

    def read(self, path: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        return self._inner.read(path, start, stop)

    def list_prefixes(self, path: str, *, after: str = "", limit: int) -> list[str]:
        return self._inner.list_prefixes(path, after=after, limit=limit)

    def list(self, path: str, *, after: str = "", limit: int) -> list[str]:
        return self._inner.list(path, after=after, limit=limit)

    def holds(self, path: str, *, likely: str = "", is_name: Callable[[str], object] | None = None) -> bool:
        return self._inner.holds(path, likely=likely, is_name=is_name)

    def delete(self, path: str) -> None:
        self._inner.delete(path)

    def walk(self, path: str, *, leaf_in: Callable[[str], str] | None = None) -> Iterator[Found]:
        return self._inner.walk(path, leaf_in=leaf_in)

    def scan(self, path: str, *, after: str = "", limit: int) -> Sequence[Found]:
        return self._inner.scan(path, after=after, limit=limit)

    def discard(self, found: Iterable[Found]) -> Sequence[str]:
        return self._inner.discard(found)

    def create_upload(self, path: str) -> None:
        self._inner.create_upload(path)

    def start_upload(self, path: str, objects: Iterable[tuple[str, bytes]]) -> None:
        self._inner.start_upload(path, objects)

    def end_upload(self, path: str, objects: Sequence[str]) -> None:
        self._inner.end_upload(path, objects)

    def upload_size(self, path: str) -> int:
        return self._inner.upload_size(path)

    def open_upload(self, path: str) -> Writer:
        return self._inner.open_upload(path)

    def read_upload(self, path: str, start: int = 0) -> Iterator[bytes]:
        return self._inner.read_upload(path, start)

    def claim(self, path: str) -> Claim | None:
        return self._inner.claim(path)

    def touch(self, path: str) -> None:
        self._inner.touch(path)

    def log(self, path: str) -> Log:
        return self._inner.log(path)

    def purge(self, before: float) -> int:
        return self._inner.purge(before)

    def local_path(self, path: str) -> str | None:
        return self._inner.local_path(path)

    def open_local(self, path: str) -> BinaryIO | None:
        return self._inner.open_local(path)

    def redirect_url(self, path: str, *, method: str, client: str = "") -> str | None:
        return self._inner.redirect_url(path, method=method, client=client)

    def object_key(self, path: str) -> str | None:
        return self._inner.object_key(path)
